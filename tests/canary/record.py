"""What the tests keep while they run, for the scan at their end: every secret, and all that could give one away.

Nothing is kept unless `begin` was called, as the plugin beside this does. A record is a folder for its owner alone:

::

    secrets.*.jsonl    each secret as it is, with where it came from
    log.*.txt          what was logged, at every level
    reprs.*.txt        values and errors of the product as they print themselves
    written.*.txt      what tests and commands wrote to stdout and stderr, and the tracebacks of tests that failed

The ending of the names is the process that wrote them: pytest-xdist has several.
"""

import functools
import importlib
import inspect
import json
import logging
import pkgutil
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard
from urllib.parse import unquote_plus

import httpx2
from hypothesis import currently_in_test_context

import grantflow
from grantflow.protocol.secret import Secret

#: Shorter ones, and those of few characters, occur by chance or are words that a test made up.
SHORTEST, FEWEST_CHARACTERS = 16, 8
#: How many values of each class are printed: the first ones, then one in so many.
FIRST_REPRS, ONE_IN = 100, 50

_NAMES = "access_token|refresh_token|id_token|token|code|code_verifier|client_secret|secret|password|key"
_MEMBER = re.compile(rf'"({_NAMES})"\s*:\s*"([^"\\]+)"')
_PARAMETER = re.compile(rf"(?:^|[?&])({_NAMES})=([^&\s#]+)")
#: What travels in addresses by design and opens nothing by itself: the name of a pending request, and the state, which
#: serves once and in one browser. The product holds both as a `Secret` on its way to a digest.
_HARMLESS = re.compile(r"[?&](?:request|state)=([^&\s#\"']+)")
#: Where the product makes a `Secret` of what is none: of an email or client id as somebody typed it, so that no more
#: than its digest is kept; and of the state, where it is made together with a verifier that is known again when it is
#: sent, and where it comes back.
_NO_SECRETS = {
    "grantflow.web.throttle._digest",
    "grantflow.client.flows.starting._pending",
    "grantflow.client.flows.answers.open_pending",
}
#: What tests send for a secret and is known to all the world: RFC 7636's example, hostile markup, plain words.
_PUBLIC = re.compile(
    r"""
    E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM | dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk
    | "><script>.* | [a-z]+://.* | (spark|identity):.* | the\ presented\ token
    """,
    re.VERBOSE,
)

#: Foreign clients, in tests/interop and the examples: they log what they like.
_FOREIGN = ("authlib", "oauthlib", "requests_oauthlib", "urllib3", "webexpythonsdk", "werkzeug", "wxc_sdk")


def is_telling(text: str) -> bool:
    """Whether it is a secret that can be told from other text; Hypothesis sends whatever it finds in the sources."""
    return (
        len(text) >= SHORTEST
        and len(set(text)) >= FEWEST_CHARACTERS
        and not _PUBLIC.fullmatch(text)
        and not currently_in_test_context()
    )


@dataclass
class Record:
    folder: Path
    process: str
    known: set[str] = field(default_factory=set)
    harmless: set[str] = field(default_factory=set)
    files: dict[str, BinaryIO] = field(default_factory=dict)
    made: Counter[type] = field(default_factory=Counter)

    def learn(self, text: str, kind: str) -> None:
        if is_telling(text) and text not in self.known:
            self.known.add(text)
            self.write("secrets", json.dumps([kind, text]), ending="jsonl")

    def learn_all(self, text: str, where: str) -> None:
        """The secrets in JSON, a form or an address, by the names of their members."""
        for name, value in _MEMBER.findall(text):
            self.learn(value, f"{name} in {where}")
        for name, value in _PARAMETER.findall(text):
            self.learn(unquote_plus(value), f"{name} in {where}")
        for value in _HARMLESS.findall(text):
            self.learn_harmless(unquote_plus(value))

    def learn_harmless(self, text: str) -> None:
        if is_telling(text) and text not in self.harmless:
            self.harmless.add(text)
            self.write("secrets", json.dumps([None, text]), ending="jsonl")

    def write(self, name: str, text: str, *, ending: str = "txt") -> None:
        if name not in self.files:
            path = self.folder / f"{name}.{self.process}.{ending}"
            path.touch(mode=0o600)
            # Without a buffer: threads write here too, and a process that is killed leaves all that it has written.
            self.files[name] = path.open("ab", buffering=0)
        self.files[name].write(text.encode("utf-8", "backslashreplace") + b"\n")

    def print(self, value: object) -> None:
        count = self.made[type(value)] = self.made[type(value)] + 1
        if count <= FIRST_REPRS or count % ONE_IN == 0:
            try:
                shown = f"{value!r} {value}"
            except Exception:  # made in part: a subclass goes on to fill it
                return
            self.write("reprs", shown)

    def close(self) -> None:
        for file in self.files.values():
            file.close()


_record: Record | None = None


def begin(folder: Path, process: str, *, values: bool = True) -> Record:
    """From here on, until the process ends. Printing ``values`` as they are made is what costs most."""
    global _record  # noqa: PLW0603
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _record = Record(folder, process)
    _watch_secrets(_record)
    _watch_wire(_record)
    if values:
        _watch_values(_record)
    logging.getLogger().addHandler(_Log(_record))
    return _record


def learn_all(said: str, where: str) -> None:
    """Keep the secrets in what a command says on purpose, such as `grantflow up --json`."""
    if _record is not None:
        _record.learn_all(said, where)


def written(said: str, where: str) -> None:
    """Keep what was written where no secret may be."""
    if _record is not None and said:
        _record.write("written", f"--- {where}\n{said}")


def in_full() -> tuple[str, ...]:
    """The option with which commands log all that they can, while a record is kept."""
    return ("--debug",) if _record is not None else ()


def _watch_secrets(record: Record) -> None:
    original = Secret.__init__

    def keep(self: Secret, text: str) -> None:
        original(self, text)
        caller = sys._getframe(1)
        if (where := f"{caller.f_globals.get('__name__')}.{caller.f_code.co_name}") not in _NO_SECRETS:
            record.learn(text, f"Secret made in {where}")

    Secret.__init__ = keep  # type: ignore[method-assign]


def _watch_wire(record: Record) -> None:
    """What the clients of tests, and the integration half, send and receive."""

    def keep(response: httpx2.Response) -> None:
        request = response.request
        record.learn_all(str(request.url.query, "ascii"), "the address of a request")
        record.learn_all(response.headers.get("location", ""), "the address of a redirect")
        for name, message in (("a request", request), ("an answer", response)):
            try:
                record.learn_all(message.content.decode("utf-8", "replace"), f"the body of {name}")
            except (httpx2.RequestNotRead, httpx2.ResponseNotRead):
                continue

    def watched(send: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(send)
        def blocking(*arguments: Any, **options: Any) -> Any:
            response = send(*arguments, **options)
            keep(response)
            return response

        @functools.wraps(send)
        async def awaiting(*arguments: Any, **options: Any) -> Any:
            response = await send(*arguments, **options)
            keep(response)
            return response

        return awaiting if inspect.iscoroutinefunction(send) else blocking

    httpx2.Client.send = watched(httpx2.Client.send)  # type: ignore[method-assign]
    httpx2.AsyncClient.send = watched(httpx2.AsyncClient.send)  # type: ignore[method-assign]


def _watch_values(record: Record) -> None:
    """Each dataclass and error of the product prints itself when it is made."""
    for found in pkgutil.walk_packages(grantflow.__path__, "grantflow."):
        module = importlib.import_module(found.name)
        for value in vars(module).values():
            if _is_made_there(value, module.__name__) and (is_dataclass(value) or issubclass(value, BaseException)):
                _print_when_made(value, record)


def _is_made_there(value: object, module: str) -> TypeGuard[type]:
    return isinstance(value, type) and value.__module__ == module and "__init__" in vars(value)


def _print_when_made(kind: type, record: Record) -> None:
    original: Callable[..., None] = kind.__init__  # type: ignore[misc]

    @functools.wraps(original)
    def make(self: object, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **options)
        record.print(self)

    kind.__init__ = make  # type: ignore[misc]


class _Log(logging.Handler):
    """Every record but those of others: of foreign clients, and of the tests' own HTTP clients, since a person's
    browser knows the addresses that it is sent to."""

    def __init__(self, record: Record) -> None:
        super().__init__()
        self._record = record

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(_FOREIGN):
            return
        if not record.name.startswith(("httpx2", "httpcore2")) or _is_under_the_integration():
            self._record.write("log", f"{record.name}: {self.format(record)}")


def _is_under_the_integration() -> bool:
    frame = sys._getframe(1)
    while frame := frame.f_back:  # type: ignore[assignment]
        if frame.f_globals.get("__name__", "").startswith("grantflow.client.shells"):
            return True
    return False


def read_secrets(folder: Path) -> Mapping[str, str]:
    """Each secret of the record, and where it came from."""
    lines = (line for file in folder.glob("secrets.*.jsonl") for line in file.read_text(encoding="utf-8").splitlines())
    learnt = [json.loads(line) for line in lines]
    harmless = {text for kind, text in learnt if kind is None}
    return {text: kind for kind, text in learnt if text not in harmless}

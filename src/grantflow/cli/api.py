"""`grantflow api`: one call of the API in a person's name; the answer goes to stdout as it came."""

import json as json_module
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import httpx2
from cyclopts import Parameter

from grantflow.cli.flags import Data, File, Several, Switch
from grantflow.cli.granted import grant_called
from grantflow.cli.log import told_by_the_command
from grantflow.cli.output import (
    FAILED,
    GRANT_FIRST,
    OK,
    REFUSED,
    USAGE,
    Failure,
    one_line,
    say_failure,
    styled,
    write,
    write_bytes,
)
from grantflow.cli.own import own_integration
from grantflow.client.errors import ForeignOrigin
from grantflow.client.judging import is_passing
from grantflow.client.shells.clients import GrantClient

#: Their fields are sent in the query: a body has no meaning there (RFC 9110 section 9.3).
_WITHOUT_BODY = ("GET", "HEAD", "DELETE")
#: Those of RFC 9110 section 9 that ask an API for something, and PATCH (RFC 5789): another word is a slip.
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_FIELD = re.compile(r"(?P<name>[^:=]+)(?P<kind>:?=)(?P<value>.*)", re.DOTALL)
_NAME = re.compile(r'^( *)("(?:[^"\\]|\\.)*")(: )', re.MULTILINE)


def api(
    method: str,
    path: str,
    /,
    *,
    person: str | None = None,
    field: Annotated[Several, Parameter(name=("--field", "-f"))] = (),
    body: str | None = None,
    header: Annotated[Several, Parameter(name=("--header", "-H"))] = (),
    include: Annotated[Switch, Parameter(name=("--include", "-i"))] = False,
    paginate: Switch = False,
    env_file: File = None,
    data: Data = None,
) -> int:
    method = method.upper()
    if method not in _METHODS:
        raise Failure(
            f"{method} is no method, such as GET or POST.", fix=f"Say one of {', '.join(_METHODS)}.", code=USAGE
        )
    if paginate and method != "GET":
        raise Failure("--paginate goes on from one GET to the next.", fix="Leave it out.", code=USAGE)
    sent = _what_to_send(method, fields=_read_fields(field), body=body, headers=_read_headers(header))
    with own_integration(env_file, data=data) as integration, told_by_the_command():
        grant = grant_called(integration, person)
        with integration.client_for(grant.person_id, owner=grant.owner) as client:
            client.follow_redirects = True
            try:
                return _page_by_page(client, path, sent) if paginate else _call(client, method, path, sent, include)
            except ForeignOrigin as error:
                raise _foreign(error) from error


def _foreign(error: ForeignOrigin) -> Failure:
    """What a program would do about it cannot be done here."""
    what = str(error).partition(" If it belongs to the API")[0]
    return Failure(what, fix="Name a path below GRANTFLOW_API_URL, such as people/me.")


def code_of(status: int) -> int:
    """What the shell is told of an answer's status."""
    if status < 400:
        return OK
    if status == 401:
        return GRANT_FIRST
    return REFUSED if is_passing(status) else FAILED


# --- what is sent --------------------------------------------------------------------------------------------------


def _read_fields(fields: Sequence[str]) -> dict[str, Any]:
    return dict(_read_field(text) for text in fields)


def _read_field(text: str) -> tuple[str, Any]:
    found = _FIELD.fullmatch(text)
    if found is None:
        raise Failure(
            f"--field {text} is not understood.", fix="Write NAME=TEXT, or NAME:=JSON for what is no text.", code=USAGE
        )
    if found["kind"] == "=":
        return found["name"], found["value"]
    try:
        return found["name"], json_module.loads(found["value"])
    except ValueError as error:
        raise Failure(f"What --field {found['name']}:= is to be is not valid JSON: {error}.", code=USAGE) from error


def _read_headers(headers: Sequence[str]) -> dict[str, str]:
    pairs = [header.partition(":") for header in headers]
    for name, colon, _ in pairs:
        if not colon or name.strip().lower() == "authorization":
            raise Failure(
                "--header is not understood." if not colon else "The token is sent by itself.",
                fix="Write it like 'Accept: text/csv'." if not colon else "Leave the Authorization header out.",
                code=USAGE,
            )
    return {name.strip(): value.strip() for name, _, value in pairs}


def _what_to_send(
    method: str, *, fields: Mapping[str, Any], body: str | None, headers: Mapping[str, str]
) -> dict[str, Any]:
    """As the HTTP library wants it."""
    if body is not None and fields:
        raise Failure("A body is made of --field, or given whole as --body.", fix="Leave one of them out.", code=USAGE)
    if body is not None:
        return {"content": _read_body(body), "headers": {"content-type": "application/json", **_lowered(headers)}}
    if not fields:
        return {"headers": headers}
    return {"headers": headers, "params" if method in _WITHOUT_BODY else "json": fields}


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _read_body(text: str) -> bytes:
    """The text itself, or of the file that is named after an @, or of stdin."""
    if text == "@-":
        return sys.stdin.buffer.read()
    if not text.startswith("@"):
        return text.encode()
    try:
        return Path(text[1:]).read_bytes()
    except OSError as error:
        raise Failure(f"{text[1:]} cannot be read: {error.strerror}.", code=USAGE) from error


# --- what is shown -------------------------------------------------------------------------------------------------


def _call(client: GrantClient, method: str, path: str, sent: Mapping[str, Any], include: bool) -> int:
    with client.stream(method, path, **sent) as answer:
        if include:
            _show_head(answer)
        if sys.stdout.isatty() or answer.is_error:
            answer.read()
            _show(answer)
        else:
            for chunk in answer.iter_bytes():
                write_bytes(chunk)
    return _told(answer)


def _page_by_page(client: GrantClient, path: str, sent: Mapping[str, Any]) -> int:
    """All pages as if they were one: the `items` of each, in one object."""
    answer = client.get(path, **sent)
    items: list[Any] = []
    for page in _pages(client, answer):
        if page.is_error:
            return _told(page)
        try:
            items += page.json()["items"]
        except (ValueError, KeyError, TypeError) as error:
            raise Failure(
                f"{path} does not answer in pages of items.", fix="Leave out --paginate.", code=USAGE
            ) from error
    _show_json({"items": items})
    return OK


def _pages(client: GrantClient, answer: httpx2.Response) -> Iterator[httpx2.Response]:
    yield answer
    while url := answer.links.get("next", {}).get("url"):
        answer = client.get(answer.url.join(url))
        yield answer


def _show_head(answer: httpx2.Response) -> None:
    lines = [f"{answer.http_version} {answer.status_code} {answer.reason_phrase}"]
    lines += [f"{styled(name, 'bold', stream=sys.stdout)}: {one_line(value)}" for name, value in answer.headers.items()]
    write("\n".join(lines) + "\n")


def _show(answer: httpx2.Response) -> None:
    if not sys.stdout.isatty():
        write_bytes(answer.content)
        return
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type.endswith(("/json", "+json")):
        try:
            _show_json(answer.json())
            return
        except ValueError:
            media_type = "text/plain"
    if media_type.startswith("text/"):
        write("\n".join(one_line(line) for line in answer.text.splitlines()))
    elif answer.content:
        raise Failure(
            f"The answer is no text but {media_type or 'of no named type'}, {len(answer.content):,} bytes.",
            fix="Send it into a file: > FILE",
            code=USAGE,
        )


def _show_json(value: Any) -> None:
    """For people one member a line, with nothing in it that would move a cursor; for programs one line."""
    if not sys.stdout.isatty():
        write(json_module.dumps(value, ensure_ascii=False))
        return
    written = json_module.dumps(value, ensure_ascii=False, indent=2)
    harmless = "".join(c if c.isprintable() or c == "\n" else json_module.dumps(c)[1:-1] for c in written)
    write(_NAME.sub(lambda found: f"{found[1]}{styled(found[2], 'bold', stream=sys.stdout)}{found[3]}", harmless))


def _told(answer: httpx2.Response) -> int:
    if answer.is_error:
        request = answer.request
        what = f"{request.method} {request.url.path} was answered {answer.status_code} {answer.reason_phrase}"
        say_failure(Failure(f"{what}{_message(answer)}"))
    return code_of(answer.status_code)


def _message(answer: httpx2.Response) -> str:
    """Webex's own words, where there are some: what happened, which is the same of all alike, and the cause."""
    try:
        told = answer.json()
        words = [str(told["message"])]
    except (ValueError, KeyError, TypeError):
        return "."
    with suppress(KeyError, TypeError):
        words += [str(each["description"]) for each in told["errors"]]
    return f": {one_line(' '.join(dict.fromkeys(words)))}"

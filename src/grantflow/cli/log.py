"""What the servers log while they run: short lines on stderr, with every secret struck out, whatever wrote them."""

import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from grantflow.cli.output import one_line

#: A parameter, JSON member or header that carries a secret; a token, key, client secret or code by its shape.
_SECRETS = re.compile(
    r"""
    (?P<named> (?: code | state | code_verifier | access_token | refresh_token | id_token | token | client_secret
                 | password | form_token | note ) ["']? \s* [=:] \s* ["']? ) [^\s&"',;)}]+
    | (?P<scheme> \b (?: Bearer | Basic ) \s+ ) [A-Za-z0-9+/=_.~-]+
    | \b gf[ck]_ [A-Za-z0-9_-]+
    | \b [A-Za-z0-9+/=]{64} _ [A-Z0-9]{4} _ [0-9a-f-]{36}
    | \b [0-9a-f]{64} \b
    """,
    re.VERBOSE | re.IGNORECASE,
)
#: A letter, digit, ``-._~``, ``=`` or ``:`` that an address spells as %41 or, encoded once more, as %2541.
_ENCODED = re.compile(r"%(?:25)*(2[DE]|3[0-9AD]|[46][1-9A-F]|[57][0-9A]|5F|7E)", re.IGNORECASE)


def set_up(*, verbose: bool, debug: bool) -> None:
    """By default warnings and what administrators do, one line a request with ``verbose``, all and tracebacks with
    ``debug``.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Redacting(tracebacks=debug))
    handler.addFilter(lambda record: debug or not _is_told_already(record))
    level = logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("grantflow.audit").setLevel(min(level, logging.INFO))
    if not debug:
        for chatty in ("uvicorn.error", "httpx2", "httpcore2", "asyncio"):
            logging.getLogger(chatty).setLevel(max(level, logging.WARNING))


@contextmanager
def told_by_the_command() -> Iterator[None]:
    """What the command tells of each grant itself is not logged beside it, but where more is asked for."""
    logger = logging.getLogger("grantflow")
    before = logger.level
    if logging.getLogger().level >= logging.WARNING:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def redacted(text: str) -> str:
    """Without secrets, and with each letter as itself: RFC 3986 section 2.3 knows one that is percent-encoded as the
    same, and so would whoever reads the log.
    """
    spelled = _ENCODED.sub(lambda found: chr(int(found[1], 16)), text)
    return _SECRETS.sub(lambda found: f"{found['named'] or found['scheme'] or ''}***", spelled)


class _Redacting(logging.Formatter):
    def __init__(self, *, tracebacks: bool) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")
        self._tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """On one line: nobody forges another by a newline in an address."""
        record.message = one_line(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: object) -> str:  # noqa: N802 (logging's name)
        if self._tracebacks:
            return super().formatException(ei)  # type: ignore[arg-type]
        error = ei[1] if isinstance(ei, tuple) else ei
        return f"  {type(error).__name__}: {error} (start with --debug to see where)"


def _is_told_already(record: logging.LogRecord) -> bool:
    """The error page has logged the crash under its reference; the server would log it once more."""
    return record.name == "uvicorn.error" and record.getMessage().startswith("Exception in ASGI application")

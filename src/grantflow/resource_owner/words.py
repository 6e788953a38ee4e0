"""Plain words for what the protocol says in numbers and URIs."""

from urllib.parse import quote

from grantflow.protocol.scope import Scopes, meaning

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60))


def duration(seconds: int) -> str:
    """7,776,000 is `90 days`, 5,400 is `90 minutes`: the largest unit that says it exactly."""
    for unit, size in _UNITS:
        count, rest = divmod(seconds, size)
        if count and not rest:
            return _counted(count, unit)
    return _counted(seconds, "second")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def in_words(scopes: Scopes) -> list[tuple[str, str]]:
    """Pairs of scope and plain words, for `ui.scope_list`."""
    return [(token, meaning(token)) for token in scopes]


def web_address(uri: str | None) -> str | None:
    """The URI if it is one that a link may lead to: http or https."""
    return uri if uri and uri.startswith(("https://", "http://")) else None


def with_query(path: str, **parameters: str | None) -> str:
    """The path with those parameters that have a value."""
    pairs = [f"{name}={quote(value, safe='')}" for name, value in parameters.items() if value]
    return f"{path}?{'&'.join(pairs)}" if pairs else path

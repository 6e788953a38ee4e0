"""Addresses as pages write and read them."""

from urllib.parse import quote, urlencode

from starlette.requests import Request


def with_query(path: str, **parameters: str | None) -> str:
    """The path with those parameters that have a value."""
    pairs = [f"{name}={quote(value, safe='')}" for name, value in parameters.items() if value]
    return f"{path}?{'&'.join(pairs)}" if pairs else path


def web_address(uri: str | None) -> str | None:
    """The URI if it is one that a link may lead to: http or https."""
    return uri if uri and uri.startswith(("https://", "http://")) else None


def own_query(request: Request, *, limit: int = 2_000) -> str:
    """What the request asks for, written anew as ``?name=value``; empty where it is nothing, or longer than that."""
    query = urlencode(request.query_params.multi_items(), quote_via=quote, safe="")
    return f"?{query}" if 0 < len(query) <= limit else ""

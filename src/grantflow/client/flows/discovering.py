"""Discover: ask a server for its metadata, and believe it only where it speaks of the very issuer that was asked for.

Each of the two places is asked once, without redirects; what is no such document there is told in the error.
"""

from typing import Final

from grantflow.client.discovery import why_no_document, why_no_issuer, why_unusable
from grantflow.client.errors import DiscoveryFailed
from grantflow.client.steps import Flow, Unanswered, send
from grantflow.protocol.errors import InvalidRequest
from grantflow.protocol.http import Request, Response
from grantflow.protocol.metadata import ServerMetadata, metadata_requests, read_metadata
from grantflow.protocol.token import read_json_object

#: The most that one of the two places may take to answer, in seconds.
_LONGEST: Final = 10.0


def discover(issuer: str) -> Flow[ServerMetadata]:
    """Raises DiscoveryFailed."""
    if (why := why_no_issuer(issuer)) is not None:
        raise DiscoveryFailed(f"{issuer[:200]!r} is no issuer: {why}.")
    failures = []
    for request in metadata_requests(issuer):
        response = yield from _ask(request, issuer=issuer)
        metadata, why = _read(response, issuer=issuer)
        if metadata is not None:
            return metadata
        failures.append(f"{request.url} {why}")
    raise DiscoveryFailed(
        f"The metadata of {issuer} could not be found: {'; '.join(failures)}. Check that this is the issuer exactly as "
        "the server's makers write it (a slash at the end counts), or make the integration without discovery and name "
        "authorization_endpoint= and token_endpoint= yourself."
    )


def _ask(request: Request, *, issuer: str) -> Flow[Response]:
    try:
        return (yield from send(request, deadline=_LONGEST))
    except Unanswered as silence:
        raise DiscoveryFailed(
            f"The metadata of {issuer} could not be asked for at {request.url}: {silence}. If the address is right, "
            "try again."
        ) from silence


def _read(response: Response, *, issuer: str) -> tuple[ServerMetadata | None, str]:
    """The metadata; or None, and why not."""
    if (why := why_no_document(response)) is not None:
        return None, why
    try:
        metadata = read_metadata(read_json_object(response.body) or {}, issuer=issuer)
    except InvalidRequest as error:
        return None, f"cannot be believed: {error.reason}"
    why = why_unusable(metadata)
    return (metadata, "") if why is None else (None, f"cannot be used: {why}")

"""Reads a posted form, bounded, and turns every malformed one into a page that says what is wrong with it."""

from starlette.requests import ClientDisconnect, Request

from grantflow.protocol import http
from grantflow.protocol.errors import InvalidRequest, RequestTooLarge
from grantflow.web.errors import PageError

GO_BACK = "Go back to the form, reload it and send it again."


async def read_form(request: Request, limit_bytes: int = http.FORM_LIMIT) -> dict[str, str]:
    """The fields of an urlencoded form; one without value counts as absent, so ask with `.get(name, "")`.

    Raises:
        PageError: 413 if larger than `limit_bytes`, 415 if not urlencoded, 400 if it is not UTF-8, a field occurs
            twice, or the body ends early.
    """
    if http.media_type(request.headers) != http.FORM:
        raise PageError(
            415,
            "This form was sent in a way we cannot read",
            why=f"Forms are read as {http.FORM}.",
            next_step=f"{GO_BACK} A program must set that content type.",
        )
    body = await _read_body(request, limit_bytes)
    try:
        return http.read_form(body, limit=limit_bytes)
    except RequestTooLarge as error:
        raise _too_large(error.description) from error
    except InvalidRequest as error:
        raise PageError(400, "This form could not be read", why=error.description, next_step=GO_BACK) from error


async def _read_body(request: Request, limit_bytes: int) -> bytes:
    """Stops reading at the limit, whatever length was announced."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit_bytes:
                raise _too_large(f"It holds more than {limit_bytes} bytes.")
    except ClientDisconnect as error:
        raise PageError(
            400, "This form arrived incomplete", why="The connection ended early.", next_step=GO_BACK
        ) from error
    return bytes(body)


def _too_large(why: str) -> PageError:
    return PageError(
        413, "This form is too large", why=why, next_step="Go back, shorten what you entered and send it again."
    )

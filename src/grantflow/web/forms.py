"""Reads a posted form, bounded, and turns every malformed one into a page that says what is wrong with it."""

from starlette.requests import Request

from grantflow.protocol import http
from grantflow.protocol.errors import InvalidRequest, RequestTooLarge
from grantflow.web.errors import PageError
from grantflow.web.wire import read_request

GO_BACK = "Go back to the form, reload it and send it again."


async def read_form(request: Request, limit_bytes: int = http.FORM_LIMIT) -> dict[str, str]:
    """The fields of an urlencoded form; one without value counts as absent, so ask with `.get(name, "")`.

    Raises:
        PageError: 413 if larger than `limit_bytes`, 415 if not urlencoded, 400 if it is not UTF-8, a field occurs
            twice, or the body ends early.
    """
    try:
        sent = await read_request(request, limit=limit_bytes)
        if sent.media_type != http.FORM:
            raise PageError(
                415,
                "This form was sent in a way we cannot read",
                why=f"Forms are read as {http.FORM}.",
                next_step=f"{GO_BACK} A program must set that content type.",
            )
        return http.read_form(sent.body, limit=limit_bytes)
    except RequestTooLarge as error:
        next_step = "Go back, shorten what you entered and send it again."
        raise PageError(413, "This form is too large", why=error.description, next_step=next_step) from error
    except InvalidRequest as error:
        raise PageError(400, "This form could not be read", why=error.description, next_step=GO_BACK) from error

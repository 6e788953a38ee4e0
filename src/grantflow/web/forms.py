"""Reads a posted form, bounded, and turns every malformed one into a page that says what is wrong with it."""

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from grantflow.protocol import http
from grantflow.protocol.errors import InvalidRequest, RequestTooLarge
from grantflow.web.errors import PageError
from grantflow.web.wire import read_request

MULTIPART = "multipart/form-data"
#: The parameters of its content type. What else stands between them is of no use to anybody.
_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"\\;]{1,70})"|([^\s";]{1,70}))\s*(?:;|$)', re.IGNORECASE)
_CHARSET = re.compile(r';\s*charset\s*=[\s"]*([^\s";]*)', re.IGNORECASE)
SHORTEN = "Go back, shorten what you entered and send it again."
GO_BACK = "Go back to the form, reload it and send it again."


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came with a form. What its sender called it and its type is not believed, and so not kept."""

    content: bytes = field(repr=False)


async def read_form(request: Request, limit_bytes: int = http.FORM_LIMIT) -> dict[str, str]:
    """The fields of an urlencoded form; one without value counts as absent, so ask with `.get(name, "")`.

    Raises:
        PageError: 413 if larger than `limit_bytes`, 415 if not urlencoded, 400 if it is not UTF-8, a field occurs
            twice, or the body ends early.
    """
    try:
        sent = await read_request(request, limit=limit_bytes)
        if sent.media_type != http.FORM:
            raise _unreadable(f"Forms are read as {http.FORM}.")
        return http.read_form(sent.body, limit=limit_bytes)
    except InvalidRequest as error:
        raise _refused(error) from error


async def read_upload_form(
    request: Request, *, limit_bytes: int, if_too_large: str = SHORTEN
) -> tuple[dict[str, str], dict[str, Upload]]:
    """The fields and files of a form that may carry files (RFC 7578); neither holds what was left empty. A file that
    was chosen and has nothing in it is there.

    All of it is read into memory, at most `limit_bytes`. Raises PageError as `read_form` does; `if_too_large` is what
    to do then.
    """
    try:
        sent = await read_request(request, limit=limit_bytes)
        if sent.media_type == http.FORM:
            return http.read_form(sent.body, limit=limit_bytes), {}
        if sent.media_type != MULTIPART:
            raise _unreadable(f"This form is read as {MULTIPART} or {http.FORM}.")
        boundary = _boundary(sent.headers["content-type"])
        return await _read_multipart(sent.body, boundary=boundary, limit_bytes=limit_bytes)
    except InvalidRequest as error:
        raise _refused(error, if_too_large=if_too_large) from error


def _boundary(content_type: str) -> str:
    """What parts the form (RFC 2046 section 5.1.1). The platform's forms are UTF-8, and no browser says so."""
    charset = _CHARSET.search(content_type)
    if charset and charset[1].lower() not in ("utf-8", "utf8"):
        raise InvalidRequest("The form names another charset; forms are read as UTF-8, send it as that.")
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise InvalidRequest("The content type names no boundary between the parts of the form, of 1 to 70 characters.")
    return found[1] or found[2]


async def _read_multipart(body: bytes, *, boundary: str, limit_bytes: int) -> tuple[dict[str, str], dict[str, Upload]]:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    # Not the request's own header: the parser takes any codec that stands there, and some, punycode for one, would hold
    # the event loop for minutes.
    headers = Headers({"content-type": f'{MULTIPART}; boundary="{boundary}"'})
    try:
        parser = MultiPartParser(
            headers, stream(), max_files=5, max_fields=http.FORM_FIELDS_LIMIT, max_part_size=limit_bytes
        )
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError, LookupError) as error:
        raise InvalidRequest("The parts of the form are malformed.") from error
    try:
        fields: dict[str, str] = {}
        files: dict[str, Upload] = {}
        for name, value in form.multi_items():
            if name in fields or name in files:
                raise InvalidRequest(f"The field {http.shown(name)} occurs more than once; send it once.")
            if isinstance(value, str):
                fields[name] = value
            elif value.filename or value.size:  # a browser sends neither where no file was chosen
                files[name] = Upload(await value.read())
    finally:
        await form.close()
    present = {name: value for name, value in fields.items() if value}
    return present, files


def _unreadable(why: str) -> PageError:
    return PageError(
        415,
        "This form was sent in a way we cannot read",
        why=why,
        next_step=f"{GO_BACK} A program must set that content type.",
    )


def _refused(error: InvalidRequest, *, if_too_large: str = SHORTEN) -> PageError:
    if isinstance(error, RequestTooLarge):
        return PageError(413, "This form is too large", why=error.description, next_step=if_too_large)
    return PageError(400, "This form could not be read", why=error.description, next_step=GO_BACK)

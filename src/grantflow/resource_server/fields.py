"""Reads what a call brings: the query, the JSON body, and each field by its type. Unknown fields are ignored."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from grantflow.protocol.bearer import ApiError
from grantflow.protocol.http import JSON, Request, read_form, shown
from grantflow.protocol.timestamp import read_timestamp
from grantflow.protocol.token import read_json_object

Choice = TypeVar("Choice", bound=StrEnum)

#: The most that a JSON body may hold, in bytes: two texts of a message's length with every character escaped fit.
BODY_LIMIT = 128 * 1024
#: In bytes; longer ones name nothing (RFC 5321 section 4.5.3.1).
EMAIL_LIMIT = 320
ID_LIMIT = 200

_NOT_OF_A_MEDIA_TYPE = re.compile(r"[^A-Za-z0-9!#$&^_.+/-]")
#: No database takes half of a surrogate pair, and PostgreSQL takes no NUL.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def read_query(request: Request) -> dict[str, str]:
    """The parameters of the query; one without value counts as absent.

    Raises:
        InvalidRequest: one occurs twice, or it is not UTF-8.
        ApiError: 400 for a character that no value can hold.
    """
    _, _, query = request.url.partition("?")
    fields = read_form(query.encode("latin-1"))
    for name, value in fields.items():
        _refuse_unstorable(name, value)
    return fields


def read_max(query: Mapping[str, str], *, default: int, limit: int) -> int:
    """``max``: above the limit it is cut to it, as Webex does; ``null`` is what some of Webex's own links hold.

    Raises:
        ApiError: 400 unless it is a whole number from 1 on.
    """
    text = query.get("max", "null")
    if text == "null":
        return default
    if not re.fullmatch(r"0*[1-9][0-9]*", text):
        raise ApiError(400, f"The parameter 'max' must be a whole number from 1 to {limit}.")
    digits = text.lstrip("0")
    return limit if len(digits) > 9 else min(int(digits), limit)


def read_choice(query: Mapping[str, str], name: str, choices: type[Choice]) -> Choice | None:
    """
    Raises:
        ApiError: 400 that lists the choices.
    """
    text = query.get(name)
    if text is None:
        return None
    try:
        return choices(text)
    except ValueError as error:
        raise ApiError(400, f"The parameter '{name}' must be one of: {', '.join(choices)}.") from error


def read_flag(query: Mapping[str, str], name: str) -> bool:
    return query.get(name, "").lower() == "true"


def read_time(query: Mapping[str, str], name: str) -> datetime | None:
    """A moment with its zone. A space is read as the ``+`` of an offset that the client did not encode.

    Raises:
        ApiError: 400 where it is none.
    """
    text = query.get(name)
    if text is None:
        return None
    try:
        return read_timestamp(text.replace(" ", "+"))
    except (ValueError, OverflowError) as error:
        raise ApiError(400, f"The parameter '{name}' must be a time like 2026-11-23T10:00:00.000Z.") from error


@dataclass(frozen=True, slots=True)
class Body:
    """The JSON object of a POST or PUT; a member that is null counts as absent, as clients send it."""

    members: Mapping[str, Any]

    def text(self, name: str, *, limit: int) -> str | None:
        """A string of at most ``limit`` bytes of UTF-8.

        Raises:
            ApiError: 400 that names the field.
        """
        value = self.members.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise ApiError(400, f"The field '{name}' must be a string.")
        _refuse_unstorable(name, value)
        if len(value.encode()) > limit:
            raise ApiError(400, f"The field '{name}' is longer than {limit} bytes.")
        return value

    def flag(self, name: str) -> bool | None:
        """
        Raises:
            ApiError: 400 that names the field.
        """
        value = self.members.get(name)
        if value is not None and not isinstance(value, bool):
            raise ApiError(400, f"The field '{name}' must be true or false.")
        return value

    def refuse(self, *names: str) -> None:
        """Refuse what Webex knows and this platform does not serve, rather than act as if it had been done.

        Raises:
            ApiError: 400 that names the field, unless it is absent, false or empty.
        """
        for name in names:
            if self.members.get(name):
                raise ApiError(400, f"The field '{name}' is not served by this platform; leave it out.")


def read_body(request: Request) -> Body:
    """
    Raises:
        ApiError: 415 unless it is JSON, 400 unless it is a JSON object.
    """
    if request.media_type != JSON:
        shown = _NOT_OF_A_MEDIA_TYPE.sub("", request.media_type)[:100]
        raise ApiError(415, f"Content type '{shown}' not supported")
    members = read_json_object(request.body)
    if members is None:
        raise ApiError(400, "The body is not a JSON object.")
    return Body(members)


def _refuse_unstorable(name: str, value: str) -> None:
    if _UNSTORABLE.search(value):
        raise ApiError(400, f"{shown(name)} holds a character that cannot be kept: NUL, or half of a surrogate pair.")

"""Reads the files in which other programs keep tokens, whichever shape they have; no message quotes what is in them.

- a list of objects in JSON, or one object a line: our own form (docs/moving-in.md), and that of Authlib's token dicts;
- one such object, or a mapping of them by user, as Authlib's applications keep them;
- a YAML file of wxc_sdk, which has the same members, or a mapping of such.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TextIO

from grantflow.client.flows.adopting import check
from grantflow.client.grant import ExistingTokens, Person
from grantflow.protocol.errors import OAuthError
from grantflow.protocol.scope import read_scopes
from grantflow.protocol.secret import Secret

#: What the names in a mapping are.
Names = Literal["owner", "person"]

#: In characters; YAML is read whole, and takes a hundredfold while it is.
_YAML_LIMIT = 4 * 2**20
_YAML_DEPTH = 20
#: In bits, of a name that is a number.
_LONGEST_NAME = 256
_MERGE = "tag:yaml.org,2002:merge"
#: What PyYAML raises for 2026-02-31, for a number of five thousand digits, and where a tag calls something what it is
#: not (`!!bool x`, `!!int ''`).
_UNREADABLE_VALUE = (ValueError, LookupError, AttributeError, TypeError, ArithmeticError, RecursionError)


@dataclass(frozen=True, slots=True)
class Entry:
    """`place` tells people where it stands. Either tokens, or what is wrong with them and what to do."""

    place: str
    tokens: ExistingTokens | None = None
    problem: str = ""
    fix: str = ""


class NotTokens(Exception):
    """The file is of no shape that is known; says what was found and what to do."""

    def __init__(self, what: str, *, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix or "docs/moving-in.md shows the forms that are read."


class _Wrong(Exception):
    """What is wrong with one entry, and what to do."""


def read_tokens(file: TextIO, *, names: Names, now: datetime) -> Iterator[Entry]:
    """Each entry, in the file's order. What is one object a line is read line by line, however long the file is.

    Raises NotTokens, UnicodeDecodeError.
    """
    first = ""
    while not first.strip():
        if not (first := file.readline()):
            raise NotTokens("It is empty.")
    first = first.removeprefix("\ufeff")
    if first.lstrip().startswith("{") and isinstance(one := _parsed(first), Mapping):
        rest = file.readline()
        while rest.isspace():
            rest = file.readline()
        if rest:
            yield from _read_lines(one, rest, file, names=names, now=now)
        else:
            yield from _read_whole(one, names=names, now=now)
        return
    if first.lstrip()[0] in "[{":
        yield from _read_whole(_read_json(first + file.read()), names=names, now=now)
    else:
        yield from _read_whole(_read_yaml(first + file.read(_YAML_LIMIT)), names=names, now=now)


def _parsed(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _read_lines(first: Mapping[str, Any], second: str, file: TextIO, *, names: Names, now: datetime) -> Iterator[Entry]:
    yield _read_entry("line 1", first, now=now)
    number, line = 2, second
    while line:
        if line.strip():
            yield _read_entry(f"line {number}", _parsed(line), now=now)
        number, line = number + 1, file.readline()


def _read_json(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        # Its own message quotes nothing of the text.
        raise NotTokens(
            f"It begins as JSON and is none: {error.msg} (line {error.lineno}, column {error.colno})."
        ) from None
    except RecursionError:
        raise NotTokens("Its JSON is nested too deeply.") from None
    except ValueError:
        raise NotTokens("A number in its JSON is too long to be read.") from None


def _read_yaml(text: str) -> object:
    import yaml

    if len(text) > _YAML_LIMIT:
        raise NotTokens(
            f"It is longer than {_YAML_LIMIT // 2**20} MiB, and no JSON.", fix="Write it as one object a line."
        )
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_yaml(yaml.parse(text, Loader=loader))
        return yaml.load(text, Loader=loader)  # noqa: S506  safe, both of them
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise NotTokens(f"It is neither JSON nor YAML: it cannot be read on{where}.") from None
    except _UNREADABLE_VALUE:
        raise NotTokens("It holds a date, a number or another value that is none.", fix="Put it in quotes.") from None


def _check_yaml(events: Iterator[Any]) -> None:
    """Before anything is made of it: the reader in C ends the process where lists are nested without end, and mappings
    that are merged into others can grow by the ninefold a line. Raises NotTokens."""
    depth = 0
    for event in events:
        name = type(event).__name__
        depth += name in ("SequenceStartEvent", "MappingStartEvent")
        depth -= name in ("SequenceEndEvent", "MappingEndEvent")
        if depth > _YAML_DEPTH:
            raise NotTokens(f"Its YAML is nested more than {_YAML_DEPTH} deep.")
        if name == "ScalarEvent" and (event.value == "<<" or event.tag == _MERGE):
            raise NotTokens(
                f"It merges mappings (<<, line {event.start_mark.line + 1}).", fix="Write out what is merged."
            )


def _read_whole(found: object, *, names: Names, now: datetime) -> Iterator[Entry]:
    if isinstance(found, list):
        for number, members in enumerate(found, start=1):
            yield _read_entry(f"entry {number}", members, now=now)
    elif isinstance(found, Mapping) and _is_entry(found):
        yield _read_entry("entry 1", found, now=now)
    elif isinstance(found, Mapping) and found and all(isinstance(value, Mapping) for value in found.values()):
        if any(isinstance(name, int) and name.bit_length() > _LONGEST_NAME for name in found):
            raise NotTokens("The name of an entry is a number too long to be one.")
        for name, members in found.items():
            yield _read_entry(f"entry {str(name)!r}", members, now=now, **{names: str(name)})
    else:
        raise NotTokens("It holds neither a list of objects, nor one with tokens, nor a mapping of those by user.")


def _is_entry(members: Mapping[str, Any]) -> bool:
    return isinstance(members.get("refresh_token", members.get("access_token")), str)


def _read_entry(
    place: str, members: object, *, now: datetime, owner: str | None = None, person: str | None = None
) -> Entry:
    try:
        if not isinstance(members, Mapping):
            raise _Wrong("is no JSON object", "Correct it, or take it out")
        tokens = _tokens_of(members, owner=owner, person=person)
        check(tokens)
        if tokens.refresh_expires_at is not None and tokens.refresh_expires_at <= now:
            raise _Wrong(
                f"holds a refresh token that ended on {tokens.refresh_expires_at:%Y-%m-%d}",
                "This person must grant again",
            )
    except _Wrong as wrong:
        return Entry(place, problem=f"it {wrong.args[0]}", fix=wrong.args[1])
    except (ValueError, OverflowError) as error:
        return Entry(place, problem=f"it cannot be used: {error}", fix="Correct it, or take it out")
    except OAuthError as error:
        return Entry(
            place, problem=f"it cannot be used: {error.description}", fix="Correct its scopes, or take them out"
        )
    return Entry(place, tokens)


def _tokens_of(members: Mapping[str, Any], *, owner: str | None, person: str | None) -> ExistingTokens:
    refresh_token = _text(members, "refresh_token")
    if refresh_token is None:
        raise _Wrong(
            "holds no refresh_token, without which a grant ends with its access token",
            "Look whether the other program keeps it elsewhere; else this person must grant again",
        )
    access_token, issued_at = _text(members, "access_token"), _time(members, "issued_at")
    person = _text(members, "person_id") or person
    return ExistingTokens(
        refresh_token=Secret(refresh_token),
        access_token=Secret(access_token) if access_token else None,
        access_expires_at=_end(members, ("access_expires_at", "expires_at"), "expires_in", issued_at),
        refresh_expires_at=_end(
            members, ("refresh_expires_at", "refresh_token_expires_at"), "refresh_token_expires_in", issued_at
        ),
        scopes=_scopes(members),
        person=Person(person, _text(members, "display_name"), _text(members, "email")) if person else None,
        owner=_text(members, "owner") or owner,
        issued_at=issued_at,
    )


def _scopes(members: Mapping[str, Any]) -> Any:
    named = members.get("scopes") or members.get("scope")
    if not named:
        return None
    if isinstance(named, list) and all(isinstance(each, str) for each in named):
        named = " ".join(named)
    if not isinstance(named, str):
        raise _Wrong("has scopes that are neither text nor a list of it", "Correct them, or take them out")
    return read_scopes(named)


def _end(
    members: Mapping[str, Any], called: tuple[str, ...], lifetime: str, issued_at: datetime | None
) -> datetime | None:
    """A lifetime alone says nothing: nobody knows since when."""
    for name in called:
        if (end := _time(members, name)) is not None:
            return end
    seconds = members.get(lifetime)
    if issued_at is None or isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds <= 0:
        return None
    return issued_at + timedelta(seconds=seconds)


def _text(members: Mapping[str, Any], name: str) -> str | None:
    value = members.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and name in ("owner", "person_id"):
        return str(value)  # a database's own number
    if not isinstance(value, str):
        raise _Wrong(f"has no text in its {name}", "Put it in quotes")
    return value


def _time(members: Mapping[str, Any], name: str) -> datetime | None:
    """ISO 8601, or seconds since 1970; without a zone it is UTC."""
    value = members.get(name)
    try:
        if value is None or value == "":
            return None
        if isinstance(value, str):
            value = float(value) if value.replace(".", "", 1).isdigit() else datetime.fromisoformat(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = datetime.fromtimestamp(value, UTC)
        if not isinstance(value, datetime):
            raise ValueError
    except (ValueError, OverflowError, OSError):
        raise _Wrong(
            f"has no time in its {name}", "Write it like 2026-11-26T12:00:00Z, or as seconds since 1970"
        ) from None
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)

"""`grantflow grants list`, `show` and `expiring`: the grants that one's own integration keeps."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from grantflow.cli.flags import Data, File, Json
from grantflow.cli.granted import grants_called
from grantflow.cli.output import OK, aligned, say, write, write_json, write_json_list, write_pages
from grantflow.cli.own import own_integration
from grantflow.client.grant import Grant, Status
from grantflow.client.integration import Integration
from grantflow.protocol.timestamp import write_timestamp

_HELD_BACK: Final = "refused with so many others that it is not believed; an operator must look"
Days = Annotated[int, Parameter(name="--days", validator=Number(gte=1, lte=3_650))]
Word = Literal["active", "delayed", "refused", "revoked"]
#: As they are shown, and as --json and the library name them.
AnyWord = Literal[
    "active", "delayed", "refused", "revoked", "ACTIVE", "REFRESH_DELAYED", "REAUTHORIZATION_REQUIRED", "REVOKED"
]
Words = Annotated[tuple[AnyWord, ...], Parameter(name="--status", negative="")]

_TRACKED: Final = re.compile(r"\(tracking id [^()]+\)\Z")

#: As many are read at a time, so that a million of them do not fill the memory.
PAGE: Final = 500
#: The statuses as they are typed and shown.
WORDS: Final[dict[Status, Word]] = {
    Status.ACTIVE: "active",
    Status.REFRESH_DELAYED: "delayed",
    Status.REAUTHORIZATION_REQUIRED: "refused",
    Status.REVOKED: "revoked",
}
#: What a status means to whoever reads it for the first time.
_MEANS: Final = {
    Status.ACTIVE: "works; an expired access token is renewed on the way",
    Status.REFRESH_DELAYED: "not renewed for now; nothing is harmed, and it is tried again",
    Status.REAUTHORIZATION_REQUIRED: "refused by the platform; the person must grant again",
    Status.REVOKED: "disconnected here; the tokens are forgotten",
}


def show_all(
    *,
    status: Words = (),
    owner: str | None = None,
    env_file: File = None,
    data: Data = None,
    json: Json = False,
) -> None:
    with own_integration(env_file, data=data) as integration:
        pages = _pages(integration, owner=owner, statuses=_named(status))
        if json:
            write_json_list(as_json(grant) for page in pages for grant in page)
            return
        rows = ([_row(grant) for grant in page] for page in pages)
        if not write_pages(("PERSON", "STATUS", "ENDS", "GRANT", "OWNER"), rows):
            say("There is no such grant here." if status or owner else "Nobody has granted here yet.")


def _named(words: Sequence[AnyWord]) -> list[Status]:
    return [each for each, word in WORDS.items() if word in words or each.value in words]


def _pages(integration: Integration, *, owner: str | None, statuses: Sequence[Status]) -> Iterator[Sequence[Grant]]:
    last = None
    while page := integration.page_of_grants(owner=owner, statuses=statuses, after=last, limit=PAGE):
        yield page
        last = page[-1]


def _row(grant: Grant) -> tuple[str, ...]:
    return (
        who(grant),
        WORDS[grant.status],
        day(grant.refresh_expires_at),
        grant.id,
        "" if grant.owner == grant.person_id else grant.owner,
    )


def show(
    person: str, /, *, owner: str | None = None, env_file: File = None, data: Data = None, json: Json = False
) -> None:
    with own_integration(env_file, data=data) as integration:
        grants = grants_called(integration, person, owner=owner)
        now = integration.now()
        if json:
            write_json([as_json(grant) for grant in grants])
            return
        for number, grant in enumerate(grants):
            write("\n".join([*([""] if number else []), *aligned(_details(integration, grant, now=now), width=80)]))


def _details(integration: Integration, grant: Grant, *, now: datetime) -> list[tuple[str, str]]:
    rows = [
        ("Person", grant.display_name),
        ("E-mail", grant.email),
        ("Person's id", grant.person_id if grant.is_named else f"{grant.person_id} (whose it is, is not known yet)"),
        ("Owner", None if grant.owner == grant.person_id else grant.owner),
        ("Grant", grant.id),
        ("Status", f"{WORDS[grant.status]}: {_HELD_BACK if grant.is_held_back else _MEANS[grant.status]}"),
        ("Reason", grant.reason),
        ("Incident", grant.incident),
        ("Next try", moment(grant.retry_at) if grant.retry_at else None),
        ("Scopes", str(grant.scopes)),
        ("Granted", moment(grant.granted_at)),
        ("Renewed", moment(grant.refreshed_at) if grant.refreshed_at else "never"),
    ]
    if grant.status in {Status.ACTIVE, Status.REFRESH_DELAYED}:
        rows += [
            ("Access token", _until(grant.access_expires_at, now=now)),
            ("Ends", f"{_until(grant.refresh_expires_at, now=now)}, if nobody uses it"),
        ]
    else:
        rows.append(("Grant again", integration.configuration.grant_url(grant)))
    return [(label, text) for label, text in rows if text]


def expiring(*, days: Days = 30, env_file: File = None, data: Data = None, json: Json = False) -> int:
    """Soonest first."""
    with own_integration(env_file, data=data) as integration:
        now, count = integration.now(), 0

        def pages() -> Iterator[Sequence[Grant]]:
            nonlocal count
            last = None
            while page := integration.expiring(timedelta(days=days), after=last, limit=PAGE):
                yield page
                last, count = page[-1], count + len(page)

        if json:
            write_json_list(as_json(grant) for page in pages() for grant in page)
            return OK
        rows = ([_row_of_end(grant, now=now) for grant in page] for page in pages())
        write_pages(("PERSON", "ENDS", "IN", "STATUS", "GRANT"), rows)
        endless = integration.has_endless()
    within = f"within {days} {'day' if days == 1 else 'days'}"
    if count:
        end = "grant ends" if count == 1 else "grants end"
        say(
            f"{count:,} {end} {within} if nobody uses {'it' if count == 1 else 'them'}. To renew "
            f"{'it' if count == 1 else 'them'}: grantflow grants keep-alive --days {days}"
        )
    else:
        say(f"No grant ends {within}.")
    if endless:
        say("Of some grants the platform has told no end; they are in no such list.")
    return OK


def _row_of_end(grant: Grant, *, now: datetime) -> tuple[str, ...]:
    assert grant.refresh_expires_at is not None
    return (
        who(grant),
        day(grant.refresh_expires_at),
        left(grant.refresh_expires_at, now=now),
        WORDS[grant.status],
        grant.id,
    )


# --- words ------------------------------------------------------------------------------------------------------------


def who(grant: Grant) -> str:
    """As people know them, and as commands take them."""
    return grant.email or grant.person_id


def because(reason: str | None) -> str:
    """Behind a sentence that tells of a refusal: the id by which the platform finds its own reason, else its words."""
    found = _TRACKED.search(reason or "")
    told = found[0] if found else f"({reason})" if reason else ""
    return f" {told}" if told else ""


def day(when: datetime | None) -> str:
    return f"{when:%Y-%m-%d}" if when else ""


def moment(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def left(end: datetime, *, now: datetime) -> str:
    """Such as `3 days`, `5 hours`, `over`."""
    seconds = (end - now).total_seconds()
    if seconds <= 0:
        return "over"
    for name, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count:,} {name}{'' if count == 1 else 's'}"
    return "a minute"


def _until(end: datetime | None, *, now: datetime) -> str:
    if end is None:
        return "the platform has told no end"
    ahead = left(end, now=now)
    return f"{moment(end)} ({'over' if ahead == 'over' else f'in {ahead}'})"


def as_json(grant: Grant) -> dict[str, Any]:
    def at(when: datetime | None) -> str | None:
        return write_timestamp(when) if when else None

    return {
        "grant_id": grant.id,
        "person_id": grant.person_id,
        "email": grant.email,
        "name": grant.display_name,
        "owner": grant.owner,
        "status": grant.status.value,
        "scopes": str(grant.scopes),
        "generation": grant.generation,
        "granted_at": at(grant.granted_at),
        "refreshed_at": at(grant.refreshed_at),
        "access_expires_at": at(grant.access_expires_at),
        "refresh_expires_at": at(grant.refresh_expires_at),
        "retry_at": at(grant.retry_at),
        "incident": grant.incident,
        "reason": grant.reason,
    }

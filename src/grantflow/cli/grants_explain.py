"""`grantflow grants explain`: why somebody was logged out, told from the audit log, and what to do now."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

from grantflow.cli.called import as_called
from grantflow.cli.flags import Data, File, Json
from grantflow.cli.granted import grants_called
from grantflow.cli.grants import as_json, day, moment, who
from grantflow.cli.output import aligned, one_line, write, write_json
from grantflow.cli.own import own_integration
from grantflow.client.events import Event, Kind
from grantflow.client.grant import Brake, Grant, Status
from grantflow.client.integration import Integration
from grantflow.client.rules import REFUSED_TOKENS_KEPT
from grantflow.protocol.timestamp import write_timestamp

#: What happens again and again is told once where it comes more often in a row.
_IN_A_ROW: Final = 3
_WIDTH: Final = 80
#: An end that is nearer than this is worth a word.
_SOON: Final = timedelta(days=7)
#: With these a grant has ended, or is as good as that.
_BEGINNINGS: Final = (Kind.GRANTED, Kind.ADOPTED, Kind.REFRESHED)
_ENDINGS: Final = (Kind.REAUTHORIZATION_REQUIRED, Kind.OUTCOME_UNKNOWN, Kind.HELD_BACK, Kind.REVOKED)


@dataclass(frozen=True, slots=True)
class Story:
    """`lines`: when, and what happened; `why` answers the question; `then` says what to do now, each with the command
    or the address for it."""

    grant: Grant
    events: Sequence[Event]
    lines: Sequence[tuple[str, str]]
    why: str
    then: Sequence[tuple[str, str]]


def explain(
    person: str, /, *, owner: str | None = None, env_file: File = None, data: Data = None, json: Json = False
) -> None:
    with own_integration(env_file, data=data) as integration:
        grants = grants_called(integration, person, owner=owner)
        stories = [_story(integration, grant, is_only=len(grants) == 1) for grant in grants]
    if json:
        write_json([_as_json(story) for story in stories])
        return
    for number, story in enumerate(stories):
        write("\n".join([*([""] if number else []), *_told(story)]))


def _story(integration: Integration, grant: Grant, *, is_only: bool) -> Story:
    events = integration.history(grant.person_id, owner=grant.owner)
    now, brake = integration.now(), integration.brake()
    ending = _ending(grant, events)
    url, called = integration.configuration.grant_url(grant), who(grant) if is_only else grant.id
    then = list(_then(grant, refused_at=_last_refusal(events), called=called, brake=brake, url=url, now=now))
    if (refused := _refusal_of_the_integration(grant, events)) is not None:
        why = (
            f"Nobody was logged out, but on {moment(refused.at)} the platform refused the integration itself, so the "
            f"grant was not renewed: {refused.reason}."
        )
        mend = "Client ID, client secret or the token endpoint are wrong, if they are still the same. To see which:"
        then = [(mend, "grantflow doctor"), *(each for each in then if each[1])]
        return Story(grant, events, list(_lines(events)), why, then)
    return Story(grant, events, list(_lines(events)), _why(grant, ending), then)


def _ending(grant: Grant, events: Sequence[Event]) -> Event | None:
    """The event that ended the grant: not a later refusal of what had been refused before."""
    endings = [event for event in events if event.kind in _ENDINGS]
    if grant.status is Status.REAUTHORIZATION_REQUIRED:
        last_good = max((number for number, event in enumerate(events) if event.kind in _BEGINNINGS), default=-1)
        endings = [event for event in events[last_good + 1 :] if event.kind in _ENDINGS][:1]
    return endings[-1] if endings else None


def _refusal_of_the_integration(grant: Grant, events: Sequence[Event]) -> Event | None:
    """The last renewal failed, and it is not held against the grant: whoever sent it was refused."""
    renewals = [event for event in events if event.kind in {*_BEGINNINGS, *_ENDINGS, Kind.REFRESH_DELAYED}]
    if grant.status is Status.ACTIVE and renewals and renewals[-1].kind is Kind.REFRESH_DELAYED:
        return renewals[-1]
    return None


# --- what happened ----------------------------------------------------------------------------------------------------


def _lines(events: Sequence[Event]) -> Iterator[tuple[str, str]]:
    has_granted = False
    for kind, run in groupby(events, key=lambda event: event.kind):
        row = list(run)
        if kind in {Kind.REFRESHED, Kind.REFRESH_DELAYED, Kind.HANDED_OUT} and len(row) > _IN_A_ROW:
            yield moment(row[0].at), _sentence(row[0], again=has_granted)
            yield "", f"... and so {len(row) - 2:,} times more"
            row = row[-1:]
        for event in row:
            yield moment(event.at), _sentence(event, again=has_granted)
            has_granted |= kind in {Kind.GRANTED, Kind.ADOPTED}


def _sentence(event: Event, *, again: bool) -> str:
    by = f" by {_actor(event)}" if event.actor else ""
    incident = f" Incident {event.incident}." if event.incident else ""
    reason = f": {event.reason}" if event.reason else ""
    sent, came = _token("refresh token", event.token), _token("access token", event.new_token)
    match event.kind:
        case Kind.GRANTED:
            return f"The person granted{' again' if again else ''}; {came} came."
        case Kind.ADOPTED:
            return f"Tokens that another program got were brought in: {sent}."
        case Kind.REFRESHED:
            return f"Renewed with {sent}; {came} came."
        case Kind.REFRESH_DELAYED:
            return f"Not renewed with {sent}{reason}. Nothing was harmed.{incident}"
        case Kind.REAUTHORIZATION_REQUIRED:
            return f"The platform refused {sent} for good{reason}.{incident}"
        case Kind.OUTCOME_UNKNOWN:
            return f"The platform refused {sent} after a request that had no clear answer{reason}.{incident}"
        case Kind.HELD_BACK:
            return (
                f"The platform refused {sent}, and many others at the same time, so it was held back{reason}.{incident}"
            )
        case Kind.RETRIED:
            return f"The refused {sent.removeprefix('the ')} was tried again{by}."
        case Kind.REVOKED:
            return f"Disconnected here{by}; the tokens were forgotten."
        case Kind.HANDED_OUT | Kind.CALLER_ADDED | Kind.CALLER_REMOVED:
            return _sentence_of_a_program(event)
        case _:
            return f"{event.kind.value.replace('_', ' ').capitalize()}{by}{reason}.{incident}"


def _sentence_of_a_program(event: Event) -> str:
    """Of another kind, which is handed access tokens."""
    match event.kind:
        case Kind.CALLER_ADDED:
            return f"The {event.actor} was given {_token('key', event.token)}, for access tokens of this grant."
        case Kind.CALLER_REMOVED:
            return f"The {event.actor} was removed, and {_token('key', event.token)} with it."
        case _:
            to = f" to {event.actor}" if event.actor else ""
            return f"{_token('access token', event.token).capitalize()} was handed out{to}."


def _actor(event: Event) -> str:
    return "an operator" if event.actor == "operator" else str(event.actor)


def _token(called: str, fingerprint: str | None) -> str:
    return f"the {called} {fingerprint}" if fingerprint else f"the {called}"


def _last_refusal(events: Sequence[Event]) -> datetime | None:
    return max((event.at for event in events if event.kind in _ENDINGS), default=None)


# --- why, and what to do ----------------------------------------------------------------------------------------------


def _why(grant: Grant, ending: Event | None) -> str:
    match grant.status:
        case Status.ACTIVE if ending is None:
            return "Nobody was logged out: the grant works."
        case Status.ACTIVE:
            assert ending is not None
            return f"The grant works again. It had ended on {moment(ending.at)}: {_cause(grant, ending, is_past=True)}."
        case Status.REFRESH_DELAYED if grant.is_held_back:
            when = f" on {moment(ending.at)}" if ending else ""
            return f"The platform refused the grant{when}, and so many others that it is not believed."
        case Status.REFRESH_DELAYED:
            return f"Nobody was logged out. The platform did not renew the grant: {grant.reason}."
        case Status.REAUTHORIZATION_REQUIRED if ending is not None:
            return f"Logged out on {moment(ending.at)}: {_cause(grant, ending, is_past=False)}."
        case Status.REAUTHORIZATION_REQUIRED:
            return f"The platform refused the grant: {grant.reason}. When, the audit log does not tell any more."
        case Status.REVOKED:
            by = f" by {_actor(ending)}" if ending and ending.actor else ""
            return f"The grant was disconnected here{by}{f' on {moment(ending.at)}' if ending else ''}."


def _cause(grant: Grant, ending: Event, *, is_past: bool) -> str:
    """As far as it can be told from here: a platform does not say why it refuses a token."""
    end = grant.refresh_expires_at
    if ending.kind is Kind.REVOKED:
        return f"it was disconnected here{f' by {_actor(ending)}' if ending.actor else ''}"
    if ending.kind is Kind.OUTCOME_UNKNOWN:
        return (
            "an answer of the platform was lost on the way. As it seems, the platform had swapped the refresh token "
            "for one that never arrived, or it served the lost request so late that it took the request for the use of "
            "a stolen token"
        )
    if not is_past and end is not None and ending.at >= end:
        return f"nobody had used the grant until its refresh token ended on {day(end)}"
    return (
        "the platform refused the refresh token. It does not say why; most often the person has revoked the grant "
        "there or changed their password, an administrator has, or another program has used the same refresh token"
    )


def _then(
    grant: Grant, *, refused_at: datetime | None, called: str, brake: Brake, url: str, now: datetime
) -> Iterator[tuple[str, str]]:
    if brake.on_since is not None:
        yield (
            f"Since {moment(brake.on_since)} no grant is declared dead: {brake.reason}. See what is wrong with the "
            "platform or the registration, then:",
            "grantflow grants retry --all-refused",
        )
    elif grant.status is Status.REFRESH_DELAYED:
        since = f" from {moment(grant.retry_at)} on" if grant.retry_at else ""
        yield f"It is tried again{since}; nothing is to be done.", ""
    if grant.status is Status.REAUTHORIZATION_REQUIRED:
        yield "Send the person to this address to grant again; the grant and its id stay the same:", url
        if refused_at is not None and now < refused_at + REFUSED_TOKENS_KEPT:
            kept = day(refused_at + REFUSED_TOKENS_KEPT)
            yield (
                f"If the platform refused it by mistake (it is kept until {kept}):",
                f"grantflow grants retry {called}",
            )
    if grant.status is Status.REVOKED:
        yield "If they want to come back, send the person to this address to grant again:", url
    if grant.status is Status.ACTIVE:
        end = grant.refresh_expires_at
        if end is not None and end < now + _SOON:
            yield f"It ends on {day(end)}, if nobody uses it. To renew it:", f"grantflow grants refresh {called}"
        else:
            yield "Nothing is to be done.", ""


# --- what people see --------------------------------------------------------------------------------------------------


def _told(story: Story) -> list[str]:
    grant = story.grant
    owner = "" if grant.owner == grant.person_id else f", owner {grant.owner}"
    events = story.lines or [("", "The audit log holds nothing of it.")]
    lines = [one_line(f"{grant.called} (grant {grant.id}{owner})"), ""]
    lines += aligned([(when, one_line(what)) for when, what in events], width=_WIDTH)
    lines += ["", "Why", *_paragraph(story.why), "", "Now"]
    for text, how in story.then:
        lines += [*_paragraph(text), *([f"    {as_called(how)}"] if how else [])]
    return lines


def _paragraph(text: str) -> list[str]:
    wrapped = textwrap.wrap(one_line(text), _WIDTH - 2, break_long_words=False, break_on_hyphens=False)
    return [f"  {line}" for line in wrapped]


def _as_json(story: Story) -> dict[str, Any]:
    return {
        "grant": as_json(story.grant),
        "events": [{**event.members(), "at": write_timestamp(event.at)} for event in story.events],
        "why": story.why,
        "now": [{"do": text, "with": how or None} for text, how in story.then],
    }

"""`grantflow grants refresh`, `retry`, `revoke` and `keep-alive`: what an operator does with grants."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Annotated, Final

from cyclopts import Parameter

from grantflow.cli.flags import Data, File, Json, Switch
from grantflow.cli.granted import one_called
from grantflow.cli.grants import PAGE, Days, as_json, because, moment, who
from grantflow.cli.log import told_by_the_command
from grantflow.cli.logout import is_to_end
from grantflow.cli.logout import tell as tell_of_revocation
from grantflow.cli.output import FAILED, GRANT_FIRST, OK, REFUSED, USAGE, Failure, say, say_of, write_json
from grantflow.cli.own import own_integration
from grantflow.client.errors import IntegrationRefused, ReauthorizationRequired, RefusalHeldBack, TransientTokenError
from grantflow.client.grant import Grant, KeptAlive, Status
from grantflow.client.integration import Integration
from grantflow.sealing import SealingError

AllRefused = Annotated[bool, Parameter(name="--all-refused", negative="")]
#: So many in a row that the platform did not help with: it is out of order.
_ENOUGH: Final = 5
_NAMED: Final = 20


def refresh(
    person: str, /, *, owner: str | None = None, env_file: File = None, data: Data = None, json: Json = False
) -> None:
    with own_integration(env_file, data=data) as integration:
        grant = one_called(integration, person, owner=owner)
        with told_by_the_command():
            renewed = integration.refresh(grant.person_id, owner=grant.owner)
    if json:
        write_json(as_json(renewed))
    else:
        say(f"The grant of {renewed.called} is renewed. {_until(renewed)}")


def _until(grant: Grant) -> str:
    access, end = grant.access_expires_at, grant.refresh_expires_at
    until = f"Its access token lives until {moment(access)}. " if access else ""
    return until + (f"The grant ends on {moment(end)}, if nobody uses it." if end else "The platform has told no end.")


def revoke(
    person: str,
    /,
    *,
    owner: str | None = None,
    yes: Switch = False,
    env_file: File = None,
    data: Data = None,
    json: Json = False,
) -> int:
    with own_integration(env_file, data=data) as integration:
        grant = one_called(integration, person, owner=owner)
        if not is_to_end(grant, yes=yes):
            return USAGE
        done = integration.revoke(grant.person_id, owner=grant.owner, actor="operator")
        is_asked = integration.configuration.revocation_url is not None
    return tell_of_revocation(grant, done, is_asked=is_asked, json=json)


# --- refused ones, once more ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Retried:
    """`held`: refused once more, and not believed while so many are; `released`: refusals count again;
    `unreadable`: the ids of those whose record does not open."""

    alive: list[Grant] = field(default_factory=list)
    refused: int = 0
    held: int = 0
    forgotten: int = 0
    delayed: int = 0
    unreadable: list[str] = field(default_factory=list)
    released: bool = False
    stopped: str = ""


def retry(
    person: str | None = None,
    /,
    *,
    all_refused: AllRefused = False,
    release_brake: Switch = False,
    owner: str | None = None,
    env_file: File = None,
    data: Data = None,
    json: Json = False,
) -> int:
    if (person is None) is not all_refused:
        raise Failure("Whose grant is to be tried again?", fix="Say PERSON, or --all-refused.", code=USAGE)
    if release_brake and not all_refused:
        raise Failure("--release-brake goes with --all-refused.", fix="Say both.", code=USAGE)
    with own_integration(env_file, data=data) as integration:
        if person is not None:
            grant = one_called(integration, person, owner=owner)
            with told_by_the_command():
                alive = integration.retry(grant.person_id, owner=grant.owner)
            others_wait = integration.brake().on_since is not None
            return _tell_of_one(alive, before=grant, others_wait=others_wait, json=json)
        with told_by_the_command():
            retried = _retry_all(integration, owner=owner, release_brake=release_brake)
    return _tell_of_retries(retried, json=json)


def _tell_of_one(alive: Grant, *, before: Grant, others_wait: bool, json: bool) -> int:
    if json:
        write_json(as_json(alive))
        return OK
    was_refused = before.is_held_back or before.status is Status.REAUTHORIZATION_REQUIRED
    told = "works again" if was_refused else "was not refused; it is renewed"
    say(f"The grant of {alive.called} {told}. {_until(alive)}")
    if others_wait:
        say("The refusals of many others are held back. To try them too: grantflow grants retry --all-refused")
    return OK


def _retry_all(integration: Integration, *, owner: str | None, release_brake: bool) -> Retried:
    """While refusals are held back none of these tries declares a grant dead; so the brake is released when some of
    them work again, and before only where that is wanted."""
    retried = Retried()
    is_on = integration.brake().on_since is not None
    if is_on and release_brake:
        retried.released = integration.release_brake()
        is_on = False
    _try_each(integration, retried, owner=owner, is_on=is_on)
    if is_on and retried.alive and not retried.stopped:
        retried.released, retried.held = integration.release_brake(), 0
        _try_each(integration, retried, owner=owner, is_on=False, held_alone=True)
    return retried


def _try_each(
    integration: Integration, retried: Retried, *, owner: str | None, is_on: bool, held_alone: bool = False
) -> None:
    away = 0
    for grant in _refused(integration, owner=owner):
        if (held_alone and not grant.is_held_back) or grant.id in retried.unreadable:
            continue
        try:
            retried.alive.append(integration.retry(grant.person_id, owner=grant.owner))
            away = 0
        except ReauthorizationRequired as error:
            _count_refusal(retried, grant, error)
        except RefusalHeldBack as error:
            retried.held += 1
            if not is_on:
                retried.stopped = str(error)
            elif retried.held == _ENOUGH and not retried.alive:
                retried.stopped = (
                    f"The platform refuses them still, the first {_ENOUGH} at least, so refusals stay held back. See "
                    "what is wrong; if it means what it says, add --release-brake."
                )
        except IntegrationRefused as error:
            retried.delayed += 1
            retried.stopped = str(error)
        except SealingError as error:
            retried.unreadable.append(grant.id)
            say_of(f"{who(grant)}:", str(error))
        except TransientTokenError as error:
            retried.delayed += 1
            away += 1
            say_of(f"{who(grant)}:", str(error))
            if error.status == 429 or away == _ENOUGH:
                retried.stopped = (
                    "The platform says slow down." if error.status == 429 else "The platform is out of order."
                )
        if retried.stopped:
            return


def _refused(integration: Integration, *, owner: str | None) -> Iterator[Grant]:
    """Those that are held back too, since many others were refused at the same time."""
    last, statuses = None, (Status.REAUTHORIZATION_REQUIRED, Status.REFRESH_DELAYED)
    while page := integration.page_of_grants(owner=owner, statuses=statuses, after=last, limit=PAGE):
        yield from (each for each in page if each.is_held_back or each.status is Status.REAUTHORIZATION_REQUIRED)
        last = page[-1]


def _count_refusal(retried: Retried, grant: Grant, error: ReauthorizationRequired) -> None:
    """The same incident as before: nothing was sent, for there is no token left to send."""
    if error.grant is not None and error.grant.incident == grant.incident:
        retried.forgotten += 1
        say_of(f"{who(grant)}:", "its token is not kept any more (30 days). The person must grant again.")
        return
    retried.refused += 1
    reason = error.grant.reason if error.grant else None
    say_of(f"{who(grant)}:", f"the refresh token is refused once more{because(reason)}. The person must grant again.")


def _tell_of_retries(retried: Retried, *, json: bool) -> int:
    if json:
        write_json(
            {
                "brake_released": retried.released,
                "alive": [as_json(grant) for grant in retried.alive],
                "refused": retried.refused,
                "held_back": retried.held,
                "forgotten": retried.forgotten,
                "delayed": retried.delayed,
                "unreadable": retried.unreadable,
                "stopped": retried.stopped or None,
            }
        )
    else:
        if retried.released:
            say("Refusals count again: a grant that is refused from now on is declared dead.")
        said = [
            (len(retried.alive), "work again"),
            (retried.refused, "refused once more"),
            (retried.held, "refused and held back"),
            (retried.forgotten, "without a token that could be tried"),
            (retried.delayed, "put off"),
            (len(retried.unreadable), "that do not open"),
        ]
        told = ", ".join(f"{count:,} {words}" for count, words in said if count)
        if told or not retried.stopped:
            say(f"{told}." if told else "No grant is refused.")
        if retried.delayed:
            say("What was put off counts as refused no more: it is tried again by itself, with the next call.")
        if retried.stopped:
            untold = "The others were left alone" if told else "None works again"
            say(f"{untold}: {retried.stopped} Run it again later.")
    if retried.stopped or retried.delayed:
        return REFUSED
    if retried.unreadable:
        return FAILED
    return GRANT_FIRST if retried.refused or retried.forgotten else OK


# --- those that would die ---------------------------------------------------------------------------------------------


def keep_alive(*, days: Days = 7, env_file: File = None, data: Data = None, json: Json = False) -> int:
    with own_integration(env_file, data=data) as integration, told_by_the_command():
        kept = integration.keep_alive(timedelta(days=days))
    if json:
        write_json(asdict(kept))
        return _code_of(kept)
    said = [
        (kept.prolonged, "renewed"),
        (kept.in_vain, "renewed in vain"),
        (kept.refused, "refused"),
        (kept.delayed, "put off"),
        (kept.unneeded, "renewed by another meanwhile"),
        (len(kept.unreadable), "that do not open"),
    ]
    told = ", ".join(f"{count:,} {words}" for count, words in said if count)
    within = f"within {days} {'day' if days == 1 else 'days'}"
    if told or not kept.stopped:
        say(f"Of the grants that end {within}: {told}." if told else f"No grant ends {within}.")
    if kept.in_vain:
        say(
            "In vain is, as the platform tells it: renewed, they end when they would have. These people must grant "
            "again before that; grantflow grants expiring lists them."
        )
    for grant_id in kept.unreadable[:_NAMED]:
        say(
            f"The record of grant {grant_id} does not open: put back the key that it was sealed under, restore it from "
            "a backup, or let the person grant again."
        )
    if kept.stopped:
        say(f"{'The others were left alone' if told else 'None was renewed'}: {kept.stopped} Run it again later.")
    elif kept.delayed_by:
        say(f"Why: {kept.delayed_by} Run it again later.")
    return _code_of(kept)


def _code_of(kept: KeptAlive) -> int:
    if kept.stopped or kept.delayed:
        return REFUSED
    return FAILED if kept.unreadable else OK

"""Which grant a command means: PERSON is an id, an e-mail address, or the id of the grant itself."""

from collections.abc import Sequence

from grantflow.cli.output import GRANT_FIRST, USAGE, Failure
from grantflow.client.grant import Grant, Status
from grantflow.client.integration import Integration

#: How many are named where one has to be chosen.
_SHOWN = 20
_LIVING = [status for status in Status if status is not Status.REVOKED]


def grant_called(integration: Integration, person: str | None) -> Grant:
    """The one that is meant; a disconnected one only where there is no other.

    Raises:
        Failure: there is none, or more than one.
    """
    of_their_own = integration.grant(person) if person else None
    if of_their_own is not None and of_their_own.status is not Status.REVOKED:
        return of_their_own  # by one probe, however many there are
    found = (
        integration.find_grants(person) if person else integration.page_of_grants(statuses=_LIVING, limit=_SHOWN + 1)
    )
    living = [grant for grant in found if grant.status is not Status.REVOKED]
    if len(living) == 1:
        return living[0]
    if living:
        raise _several(living, person)
    if found and person:
        return found[-1]
    raise _nobody(person)


def grants_called(integration: Integration, person: str, *, owner: str | None = None) -> Sequence[Grant]:
    """All that are meant, disconnected ones too. Raises Failure where there is none."""
    found = [grant for grant in integration.find_grants(person) if owner in (None, grant.owner)]
    if not found:
        raise _nobody(person)
    return found


def one_called(integration: Integration, person: str, *, owner: str | None = None) -> Grant:
    """The one that is meant; a disconnected one only where there is no other.

    Raises:
        Failure: there is none, or more than one.
    """
    found = grants_called(integration, person, owner=owner)
    living = [grant for grant in found if grant.status is not Status.REVOKED]
    if len(living) > 1:
        raise _several(living, person)
    return (living or found)[-1]


def _several(living: Sequence[Grant], person: str | None) -> Failure:
    who = "More than one person has granted here" if person is None else f"{person} has more than one grant here"
    more = [("...", "and more")] if len(living) > _SHOWN else []
    rows = [(grant.id if person else grant.email or grant.person_id, _told(grant)) for grant in living[:_SHOWN]]
    return Failure(f"{who}: say which is meant.", details=[*rows, *more], code=USAGE)


def _told(grant: Grant) -> str:
    name = grant.display_name or ""
    return name if grant.owner == grant.person_id else f"{name} (owner {grant.owner})".strip()


def _nobody(person: str | None) -> Failure:
    what = "Nobody has granted here yet." if person is None else f"{person} has granted nothing here."
    return Failure(what, fix="grantflow login takes a person through the grant.", code=GRANT_FIRST)

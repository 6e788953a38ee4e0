"""Which grant a command means: PERSON is an id, an e-mail address, or the id of the grant itself."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from grantflow.cli.output import GRANT_FIRST, USAGE, Failure
from grantflow.client.grant import Grant, Status
from grantflow.client.integration import Integration

#: How many are named where one has to be chosen.
_SHOWN = 20
_TO_GRANT: Final = "grantflow login takes a person through the grant."
_LIVING: Final = [status for status in Status if status is not Status.REVOKED]
_WORKING: Final = frozenset({Status.ACTIVE, Status.REFRESH_DELAYED})


def grant_called(integration: Integration, person: str | None, *, refused_too: bool = False) -> Grant:
    """The one that is meant; a refused one only where none works, a disconnected one only where there is no other.
    `refused_too`: a refused one may well be meant beside one that works.

    Raises:
        Failure: there is none, or more than one.
    """
    of_their_own = integration.grant(person) if person else None
    if of_their_own is not None and of_their_own.status is not Status.REVOKED:
        return of_their_own  # by one probe, however many there are
    found = integration.find_grants(person) if person else _first_living(integration, refused_too=refused_too)
    living = [grant for grant in found if grant.status is not Status.REVOKED]
    working = [grant for grant in living if grant.status in _WORKING]
    meant = working if len(working) == 1 and not refused_too else living
    if len(meant) == 1:
        return meant[0]
    if living:
        raise _several(living, person)
    if found and person:
        return found[-1]
    raise _nobody(integration, person)


def _first_living(integration: Integration, *, refused_too: bool) -> Sequence[Grant]:
    """Enough of them to tell whether one alone is meant, though very many others are refused."""
    working = () if refused_too else integration.page_of_grants(statuses=list(_WORKING), limit=2)
    return working if len(working) == 1 else integration.page_of_grants(statuses=_LIVING, limit=_SHOWN + 1)


def grants_called(integration: Integration, person: str, *, owner: str | None = None) -> Sequence[Grant]:
    """All that are meant, disconnected ones too. Raises Failure where there is none."""
    found = [grant for grant in integration.find_grants(person) if owner in (None, grant.owner)]
    if not found:
        raise _nobody(integration, person, owner=owner)
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
    what = "More than one grant is here" if person is None else f"{person} has more than one grant here"
    more = [("...", "and more")] if len(living) > _SHOWN else []
    return Failure(
        f"{what}: say which is meant.",
        fix="Say it as PERSON, behind the command; to grantflow api, as --person PERSON.",
        details=[*_choices(living, by_id=bool(person)), *more],
        code=USAGE,
    )


def _choices(living: Sequence[Grant], *, by_id: bool) -> list[tuple[str, str]]:
    """Each by what a command takes for it alone."""
    handles = Counter((grant.email or grant.person_id).lower() for grant in living)
    rows = []
    for grant in living[:_SHOWN]:
        handle = grant.email or grant.person_id
        is_its_own = handles[handle.lower()] == 1 and not by_id
        told = _told(grant) if is_its_own or by_id else f"{handle}  {_told(grant)}".rstrip()
        rows.append((handle if is_its_own else grant.id, told))
    return rows


def _told(grant: Grant) -> str:
    name = grant.display_name or ""
    return name if grant.owner == grant.person_id else f"{name} (owner {grant.owner})".strip()


def no_grant(integration: Integration) -> Failure:
    """Where none lives: there never was one, or each was ended."""
    had_some = integration.page_of_grants(limit=1)
    what = "No grant is left here: all were disconnected." if had_some else "Nobody has granted here yet."
    return Failure(what, fix=_TO_GRANT, code=GRANT_FIRST)


def _nobody(integration: Integration, person: str | None, *, owner: str | None = None) -> Failure:
    if person is None:
        return no_grant(integration)
    of_owner = integration.page_of_grants(owner=person, limit=_SHOWN + 1)
    if of_owner and owner is None:
        return _is_owner(person, of_owner)
    what = f"No grant of {person} is here{f' for the owner {owner}' if owner else ''}."
    return Failure(what, fix=_TO_GRANT, code=GRANT_FIRST)


def _is_owner(owner: str, grants: Sequence[Grant]) -> Failure:
    """One's own user in the place of the person."""
    rows = [(grant.id, f"{grant.email or grant.person_id}  {grant.display_name or ''}".rstrip()) for grant in grants]
    return Failure(
        f"No grant of a person {owner} is here, but {owner} is an owner: say which of its grants is meant.",
        details=[*rows[:_SHOWN], *([("...", "and more")] if len(rows) > _SHOWN else [])],
        code=USAGE,
    )

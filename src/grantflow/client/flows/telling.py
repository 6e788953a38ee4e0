"""The words for a grant that cannot be used just now: what happened, why, what to do; the same wherever it shows."""

from datetime import datetime
from typing import Final

from grantflow.client.configuration import Configuration
from grantflow.client.errors import (
    IntegrationRefused,
    ReauthorizationRequired,
    RefreshOutcomeUnknown,
    RefusalHeldBack,
    TransientTokenError,
)
from grantflow.client.grant import Grant, Standing, Status, StoredGrant

#: In seconds; the most that any refusal of the integration makes people wait before a page.
_WHILE_AN_OPERATOR_LOOKS: Final = 300.0


def must_grant_again(
    grant: Grant | None, *, configuration: Configuration, unanswered_since: datetime | None = None
) -> ReauthorizationRequired:
    """`unanswered_since` tells of a refresh whose answer was lost."""
    url = configuration.grant_url(grant)
    then = f"Send the person to {url} to grant access."
    if grant is None:
        return ReauthorizationRequired(f"This person has granted nothing here. {then}", grant=None, grant_url=url)
    if grant.status is Status.REVOKED:
        text = f"The grant of {grant.called} was disconnected. {then}"
        return ReauthorizationRequired(text, grant=grant, grant_url=url)
    if unanswered_since is None:
        text = f"The grant of {grant.called} is no longer accepted: {grant.reason}. {then} Incident {grant.incident}."
        return ReauthorizationRequired(text, grant=grant, grant_url=url)
    text = (
        f"The grant of {grant.called} could not be renewed: {grant.reason}. A request of "
        f"{unanswered_since:%Y-%m-%d %H:%M:%S} UTC had no clear answer. The platform may have swapped the refresh "
        "token for one that never arrived, or served the request so late that it took it for the use of a stolen "
        f"token. {then} Incident {grant.incident}."
    )
    return RefreshOutcomeUnknown(text, grant=grant, grant_url=url)


def must_wait(stored: StoredGrant, *, now: datetime, status: int | None = None) -> TransientTokenError:
    grant = stored.grant
    seconds = (grant.retry_at - now).total_seconds() if grant.retry_at else 0.0
    return TransientTokenError(
        f"The grant of {grant.called} cannot be renewed just now: {grant.reason}. Nothing is harmed; "
        f"the next try is in {seconds:.0f} s. Incident {grant.incident}.",
        retry_after=seconds,
        status=status,
        grant=grant,
    )


def operator_must_look(
    standing: Standing, *, until: datetime | None, now: datetime, status: int | None = None
) -> IntegrationRefused:
    seconds = (until - now).total_seconds() if until else 0.0
    return IntegrationRefused(
        f"The platform refuses the integration itself: {standing.reason}. Check client_id, client_secret (was it "
        "regenerated?) and the token endpoint. No grant is harmed; the next try is in "
        f"{seconds:.0f} s, or at once with another secret.",
        status=status,
        retry_after=seconds,
    )


def many_are_refused(grant: Grant) -> RefusalHeldBack:
    return RefusalHeldBack(
        f"The platform refused the grant of {grant.called} ({grant.reason}), and those of many others at the same "
        "time. So it is not declared dead, and not asked for again, until an operator has looked: see what is wrong "
        "with the platform or the registration, then have the refused tokens tried again (grantflow grants retry "
        f"--all-refused). Incident {grant.incident}.",
        grant=grant,
        retry_after=_WHILE_AN_OPERATOR_LOOKS,
    )

"""How a grant flow can end without a grant, and what the person reads then: one row for each ending."""

from collections.abc import Mapping
from dataclasses import dataclass

from grantflow.client.errors import (
    AccessDenied,
    AuthorizationResponseError,
    GrantflowError,
    MissingCode,
    TransientTokenError,
    VaultUnavailable,
    WrongAccount,
)
from grantflow.migrations import SchemaTooNew
from grantflow.sealing import SealingError
from grantflow.web.pages import MessageKind

NOT_READY = "not_ready"
UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Ending:
    """`status` is that of the page. The texts may name {integration}, {platform}, {operator}, {expected}, {came}.

    `again` is the label of the button that leads into the flow once more. `for_operator` says that the person can do
    nothing about it, so it is logged as an error; what is wrong stands in the log alone. `start_first` makes the start
    page the better way on.
    """

    status: int
    title: str
    why: str
    next_step: str
    kind: MessageKind = "warning"
    again: str = "Grant again"
    for_operator: bool = False
    start_first: bool = False


ENDINGS: Mapping[str, Ending] = {
    AccessDenied.code: Ending(
        200,
        "You declined",
        why="{platform} told us that you did not accept. {integration} got no access, and nothing was stored.",
        next_step="If that was a slip, you can grant it now. Otherwise there is nothing left to do.",
        kind="info",
        again="Grant after all",
    ),
    "expired_state": Ending(
        400,
        "That took a little too long",
        why="For your safety a grant must be finished within ten minutes of the click that began it.",
        next_step="Nothing was stored. Begin again; it takes less time now, because you are signed in already.",
    ),
    "reused_state": Ending(
        400,
        "This answer has been used already",
        why="Each answer of {platform} counts once. A reload, a second click or the back button sends it again.",
        next_step="If you have just granted, all is well: the start page shows whether you are connected.",
        kind="info",
        start_first=True,
    ),
    "mismatching_state": Ending(
        400,
        "This answer does not belong to this browser",
        why="It was not asked for here: the grant was begun in another browser or a private window, somebody sent you "
        "the link, or this browser refused our cookie.",
        next_step="Nothing was exchanged or stored. Begin again in this browser, with cookies allowed for this site.",
    ),
    "mismatching_issuer": Ending(
        400,
        "Another server answered",
        why="The answer names a different server from the one that you were sent to, so it was not used.",
        next_step="Nothing was exchanged or stored. Begin again; if this page comes back, tell {operator}.",
        kind="danger",
        for_operator=True,
    ),
    "missing_code": Ending(
        400,
        "Nothing came with you",
        why="{platform} sends people here with a code after they have accepted, and this visit carries none.",
        next_step="Begin at the start page, or grant right away.",
        kind="info",
        again="Grant",
    ),
    "wrong_account": Ending(
        409,
        "Somebody else granted",
        why="This grant is to be renewed by {expected}, but {came} accepted at {platform}. Nothing was replaced.",
        next_step="Sign in to {platform} as {expected} and grant again.",
        again="Sign in as somebody else",
    ),
    "unknown_person": Ending(
        502,
        "We could not find out who you are",
        why="You granted, but {platform} did not say by whom, so there is nobody to keep the grant for.",
        next_step="Nothing was stored. Try again in a minute; if this page comes back, tell {operator}.",
        for_operator=True,
    ),
    "token_endpoint_refused": Ending(
        400,
        "{platform} no longer takes this answer",
        why="A code is good for a few minutes and for one use, and {platform} says that this one is spent.",
        next_step="Nothing was stored. Begin again; it takes one click while you are signed in.",
    ),
    "token_endpoint_unavailable": Ending(
        503,
        "{platform} cannot be reached right now",
        why="You granted, but we could not fetch what you granted: {platform} is not answering or asks us to wait.",
        next_step="Nothing is lost and nothing was stored. Grant again in a minute.",
    ),
    "integration_refused": Ending(
        502,
        "{integration} is not set up correctly",
        why="The fault is not yours: {platform} does not accept {integration} itself at the moment.",
        next_step="Tell {operator} the reference below; with it they find what has to be mended. Then grant again.",
        kind="danger",
        for_operator=True,
    ),
    VaultUnavailable.code: Ending(
        503,
        "{integration} cannot keep your grant right now",
        why="Its own records do not work at the moment. The fault is neither yours nor that of {platform}.",
        next_step="Nothing was stored. Grant again in a minute; if this page comes back, tell {operator} the reference "
        "below.",
        for_operator=True,
    ),
    UNAVAILABLE: Ending(
        503,
        "{platform} could not finish this",
        why="It answered that something went wrong on its side.",
        next_step="Nothing was stored. Grant again in a minute.",
    ),
    NOT_READY: Ending(
        400,
        "{platform} needs you to sign in first",
        why="It was asked to go on without showing a page, and it could not.",
        next_step="Grant again; {platform} will ask you to sign in and to accept.",
    ),
    "authorization_refused": Ending(
        400,
        "{platform} did not grant access",
        why="It gave a reason that only whoever runs {integration} can act on; it is written down for them.",
        next_step="Nothing was stored. Grant again; if this page comes back, tell {operator} the reference below.",
        for_operator=True,
    ),
}

#: The error of an authorization response (RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6): its ending.
_BY_ERROR = {
    "server_error": UNAVAILABLE,
    "temporarily_unavailable": UNAVAILABLE,
    "login_required": NOT_READY,
    "consent_required": NOT_READY,
    "interaction_required": NOT_READY,
    "account_selection_required": NOT_READY,
    "invalid_scope": "integration_refused",
    "unauthorized_client": "integration_refused",
    "unsupported_response_type": "integration_refused",
}


def ending_of(error: GrantflowError) -> str:
    """The row of `ENDINGS` that tells of this error."""
    if isinstance(error, SealingError | SchemaTooNew | VaultUnavailable):
        return VaultUnavailable.code
    if isinstance(error, AccessDenied) and not error.cookie_name:
        return MissingCode.code  # this browser does not vouch for it: it may be anybody's link, and nobody declined
    by_error = _BY_ERROR.get(error.error or "") if isinstance(error, AuthorizationResponseError) else None
    known = error.code if error.code in ENDINGS else AuthorizationResponseError.code
    return by_error or known


def particulars(error: GrantflowError) -> dict[str, str]:
    """What the page must know beyond its row, as text."""
    known: dict[str, str] = {}
    if error.return_to:
        known["return_to"] = error.return_to
    if isinstance(error, TransientTokenError | VaultUnavailable):
        known["retry_after"] = str(max(1, round(error.retry_after)))
    if isinstance(error, WrongAccount):
        expected = error.expected
        known |= {"grant": expected.id, "expected": masked(expected.email or expected.called), "came": error.came}
    return known


def masked(account: str) -> str:
    """Enough for its owner to know it, too little for others: `ada@example.com` becomes `a•••@example.com`."""
    local, at, domain = account.partition("@")
    return f"{local[:1]}•••{at}{domain}"

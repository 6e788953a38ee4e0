"""Start: where to send the person, and what their browser must remember meanwhile (RFC 6749 4.1.1, RFC 7636)."""

from dataclasses import dataclass
from datetime import datetime

from grantflow.client import presenting
from grantflow.client.flows.parts import Parts
from grantflow.client.grant import Grant
from grantflow.client.pending import Pending, PendingCookie, check_return_to
from grantflow.client.steps import Flow, current_time, load
from grantflow.protocol.authorization import AuthorizationRequest, authorization_url
from grantflow.protocol.pkce import S256, challenge_of
from grantflow.protocol.scope import read_scopes
from grantflow.protocol.secret import Secret


@dataclass(frozen=True, slots=True)
class BegunAuthorization:
    """Redirect the person to `url` and set `cookie` on that same answer; nothing is stored here."""

    url: str
    cookie: PendingCookie


def start(
    parts: Parts,
    *,
    owner: str | None,
    return_to: str | None,
    scopes: str | None,
    prompt: str | None,
    grant_id: str | None,
) -> Flow[BegunAuthorization]:
    """State and PKCE are made here, on the click, in the browser of the person who clicks.

    Raises ValueError (where to return to, an owner that no vault can keep), InvalidScope.
    """
    if owner:
        presenting.check_owner(owner)
    now = yield from current_time()
    renewing = yield from _grant_to_renew(parts, grant_id, owner=owner)
    pending = _pending(parts, owner=owner, return_to=return_to, scopes=scopes, renewing=renewing, now=now)
    configuration = parts.configuration
    request = AuthorizationRequest(
        client_id=configuration.client_id,
        redirect_uri=configuration.redirect_uri,
        scope=pending.scopes or str(configuration.scopes),
        state=pending.state.reveal(),
        code_challenge=challenge_of(pending.verifier),
        code_challenge_method=S256,
        prompt=prompt,
        login_hint=renewing.email if renewing else None,
    )
    url = authorization_url(configuration.authorization_endpoint, request)
    return BegunAuthorization(url, parts.cookies.write(pending))


def _grant_to_renew(parts: Parts, grant_id: str | None, *, owner: str | None) -> Flow[Grant | None]:
    """A grant of another integration or owner, one long gone, or one of nobody knows whom, is none to renew: then it is
    a fresh grant."""
    if grant_id is None:
        return None
    grant = yield from load(lambda: parts.vault.grant_by_id(grant_id))
    if grant is None or grant.integration != parts.configuration.client_id or not grant.is_named:
        return None
    return grant if owner in {None, grant.owner} else None


def _pending(
    parts: Parts,
    *,
    owner: str | None,
    return_to: str | None,
    scopes: str | None,
    renewing: Grant | None,
    now: datetime,
) -> Pending:
    redirect_uri = parts.configuration.redirect_uri
    return Pending(
        state=Secret(parts.mint(32)),
        verifier=Secret(parts.mint(32)),
        created=now,
        owner=renewing.owner if renewing else owner,
        grant_id=renewing.id if renewing else None,
        return_to=check_return_to(return_to, redirect_uri=redirect_uri) if return_to else None,
        scopes=str(read_scopes(scopes)) if scopes else None,
    )

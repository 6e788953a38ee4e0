"""Where integrations come for tokens: access_token, revoke and the metadata. All of it answers scripts in a browser."""

import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl

from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse

from grantflow.authorization_server.answer import answer
from grantflow.authorization_server.client_authentication import authenticate
from grantflow.authorization_server.code import ReuseDetected, redeem
from grantflow.authorization_server.ports import Tokens
from grantflow.authorization_server.records import Client, Renewal, Rotation
from grantflow.authorization_server.refresh import RefreshOutcome, refresh
from grantflow.authorization_server.settings import Settings
from grantflow.protocol import token as wire
from grantflow.protocol.errors import InvalidClient, InvalidRequest, OAuthError, TemporarilyUnavailable
from grantflow.protocol.http import JSON, NO_STORE, Request, Response
from grantflow.protocol.metadata import ServerMetadata, write_metadata
from grantflow.protocol.minting import Mint, mint_uuid
from grantflow.protocol.registration import CLIENT_ID
from grantflow.protocol.revocation import read_revocation_request
from grantflow.protocol.scope import MEANINGS
from grantflow.protocol.token import ClientCredentials, CodeExchange, Refresh
from grantflow.web.throttle import Throttle, sender
from grantflow.web.wire import read_request, tracking_id, write_response

log = logging.getLogger("grantflow.authorization_server")

CORS = {"access-control-allow-origin": "*", "access-control-expose-headers": "trackingid, retry-after"}
_PREFLIGHT = {
    "access-control-allow-methods": "POST",
    "access-control-allow-headers": "authorization, content-type, trackingid",
    "access-control-max-age": "86400",
}
#: How often what was loaded may turn out to be outdated before the client is asked to come again.
ATTEMPTS = 8
#: A client secret's last use is noted when the note is older than this, in seconds: not a write for each request.
NOTE_EVERY = 60

Answering = Callable[[Request, str], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class TokenEndpoints:
    settings: Settings
    tokens: Tokens
    throttle: Throttle
    clock: Callable[[], datetime]
    mint: Mint

    async def access_token(self, request: HttpRequest) -> HttpResponse:
        return await self._answer(request, self._issue)

    async def revoke(self, request: HttpRequest) -> HttpResponse:
        return await self._answer(request, self._revoke)

    # --- POST /access_token ----------------------------------------------------------------------------------------

    async def _issue(self, request: Request, address: str) -> Response:
        asked = wire.read_token_request(request, accept_json=self.settings.token_endpoint_accepts_json)
        for _ in range(ATTEMPTS):
            try:
                issued = await self._attempt(asked, address)
            except ReuseDetected as reuse:
                await self.tokens.revoke_family(reuse.family, now=self.clock())
                raise
            if issued is not None:
                return wire.tokens_response(issued)
        raise TemporarilyUnavailable("Too many requests for this grant at once; try again.", retry_after=1)

    async def _attempt(self, asked: CodeExchange | Refresh, address: str) -> wire.Tokens | None:
        """None where somebody was faster, so that what was decided on is no longer so."""
        return await (
            self._redeem(asked, address) if isinstance(asked, CodeExchange) else self._refresh(asked, address)
        )

    async def _redeem(self, asked: CodeExchange, address: str) -> wire.Tokens | None:
        now = self.clock()
        await self._admit(asked.credentials, address, now=now)
        client, code = await self.tokens.code(asked.credentials.client_id, asked.code)
        await self._authenticate(client, asked.credentials, address, now=now)
        redemption = redeem(asked, code, settings=self.settings, now=now, mint=self.mint)
        if not await self.tokens.redeem(redemption):
            return None
        return answer(redemption, settings=self.settings, now=now)

    async def _refresh(self, asked: Refresh, address: str) -> wire.Tokens | None:
        now = self.clock()
        await self._admit(asked.credentials, address, now=now)
        client, token = await self.tokens.refresh_token(asked.credentials.client_id, asked.refresh_token)
        client = await self._authenticate(client, asked.credentials, address, now=now)
        outcome = refresh(asked, client, token, settings=self.settings, now=now, mint=self.mint)
        if not await self._save(outcome):
            return None
        return answer(outcome, settings=self.settings, now=now)

    async def _save(self, outcome: RefreshOutcome) -> bool:
        if isinstance(outcome, Renewal):
            return await self.tokens.renew(outcome)
        if isinstance(outcome, Rotation):
            return await self.tokens.rotate(outcome)
        return True

    # --- POST /revoke ----------------------------------------------------------------------------------------------

    async def _revoke(self, request: Request, address: str) -> Response:
        """200 for everybody who may ask, also where there was nothing to revoke (RFC 7009 section 2.2)."""
        asked, now = read_revocation_request(request), self.clock()
        await self._admit(asked.credentials, address, now=now)
        client, revocable = await self.tokens.revocable(asked.credentials.client_id, asked.token)
        client = await self._authenticate(client, asked.credentials, address, now=now)
        if revocable is None:
            return Response(200, NO_STORE)
        if revocable.client_id != client.client_id:
            log.warning("client %s asked to revoke a token of client %s", client.client_id, revocable.client_id)
        elif revocable.is_refresh_token and revocable.family is not None:
            await self.tokens.revoke_family(revocable.family, now=now)
        else:
            await self.tokens.revoke_access_token(revocable.digest, now=now)
        return Response(200, NO_STORE)

    # --- who asks --------------------------------------------------------------------------------------------------

    async def _admit(self, credentials: ClientCredentials, address: str, *, now: datetime) -> None:
        if not CLIENT_ID.fullmatch(credentials.client_id):
            raise InvalidClient("client_id is not one of ours; copy it again from the integration's page.")
        if seconds := await self.throttle.wait(credentials.client_id, address=address, now=now):
            raise TemporarilyUnavailable(
                "This client failed to authenticate too often from here; wait before the next try.",
                status=429,
                retry_after=seconds,
            )

    async def _authenticate(
        self, client: Client | None, credentials: ClientCredentials, address: str, *, now: datetime
    ) -> Client:
        try:
            secret = authenticate(client, credentials, now=now)
        except InvalidClient:
            await self.throttle.failed(credentials.client_id, address=address, now=now)
            raise
        assert client is not None
        if secret is None:
            return client
        await self.throttle.succeeded(credentials.client_id, address=address)
        if secret.last_used_at is None or (now - secret.last_used_at).total_seconds() >= NOTE_EVERY:
            await self.tokens.note_use_of_secret(client.client_id, secret.digest, now=now)
        return client

    # --- the frame around each -------------------------------------------------------------------------------------

    async def _answer(self, request: HttpRequest, answering: Answering) -> HttpResponse:
        tracking = tracking_id(request, mint_uuid=lambda: mint_uuid(self.mint))
        if request.method == "OPTIONS":
            return HttpResponse(status_code=204, headers={**CORS, **_PREFLIGHT})
        try:
            if request.method != "POST":
                raise InvalidRequest("This endpoint takes POST alone.", status=405)
            _refuse_secrets_in_address(request)
            response = await answering(await read_request(request), sender(request))
        except OAuthError as error:
            response = self._refuse(request, error, tracking=tracking)
        headers = {**response.headers, **CORS, "trackingid": tracking}
        return write_response(Response(response.status, headers, response.body))

    def _refuse(self, request: HttpRequest, error: OAuthError, *, tracking: str) -> Response:
        level = logging.WARNING if isinstance(error, ReuseDetected) else logging.INFO
        path = request.scope["path"]
        log.log(level, "%s refused with %s: %s (tracking id %s)", path, error.code, error.reason, tracking)
        response = wire.error_response(error, tracking_id=tracking, webex_only=self.settings.webex_error_body)
        if error.status == 405:
            return Response(405, {**response.headers, "allow": "POST, OPTIONS"}, response.body)
        if isinstance(error, InvalidClient) and "authorization" in request.headers:
            return Response(401, {**response.headers, "www-authenticate": 'Basic realm="grantflow"'}, response.body)
        return response


def _refuse_secrets_in_address(request: HttpRequest) -> None:
    """What stands in an address ends up in logs; it is not read, and whoever sends it must learn so (S49)."""
    query = request.scope["query_string"]
    secret = {"client_secret", "code", "refresh_token", "token", "code_verifier"}
    if query and any(name in secret for name, _ in parse_qsl(query.decode("latin-1"), max_num_fields=None)):
        raise InvalidRequest("A secret was sent in the address; send all parameters in the body, and renew the secret.")


def metadata_endpoint(settings: Settings, *, sandbox: bool) -> Callable[[HttpRequest], Awaitable[HttpResponse]]:
    """Authorization server metadata (RFC 8414), the same for everybody."""
    metadata = ServerMetadata(
        issuer=settings.issuer,
        authorization_endpoint=settings.authorization_endpoint,
        token_endpoint=settings.token_endpoint,
        revocation_endpoint=settings.revocation_endpoint,
        iss_announced=True,
        scopes=tuple(MEANINGS),
        sandbox=sandbox,
    )
    body = json.dumps(write_metadata(metadata)).encode()
    headers = {"content-type": JSON, "cache-control": "public, max-age=300", **CORS}

    async def show(request: HttpRequest) -> HttpResponse:
        return HttpResponse(body, headers=headers)

    return show

"""The token API: a living access token over HTTP, for programs in other languages, each with a key of its own.

``POST /token`` with ``Authorization: Bearer KEY`` and, as form or JSON, ``person`` and ``rejected``. It is a POST since
each answer is a secret of its own and a line in the audit log: nothing to be cached, fetched in advance, tried again
unasked, or written into a log with its address.
"""

import logging
import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from grantflow.client.errors import (
    GrantflowError,
    GrantGone,
    IntegrationRefused,
    NotForCaller,
    ReauthorizationRequired,
    TransientTokenError,
    UnknownCaller,
    VaultUnavailable,
)
from grantflow.client.grant import AccessToken
from grantflow.client.integration import AsyncIntegration
from grantflow.protocol.bearer import read_bearer
from grantflow.protocol.errors import InvalidRequest, OAuthError
from grantflow.protocol.http import Request as Sent
from grantflow.protocol.http import shown
from grantflow.protocol.timestamp import write_timestamp
from grantflow.protocol.token import BEARER, TOKEN_LIMIT, read_body
from grantflow.web.throttle import FailuresInMemory, Throttle, sender
from grantflow.web.wire import read_request

log = logging.getLogger("grantflow.token_api")

TOKEN: Final = "/token"
_MEMBERS: Final = frozenset({"person", "rejected"})
#: A body names a person and a token at the most; its percent-encoding may triple a character.
_BODY_LIMIT: Final = 4 * TOKEN_LIMIT
_CHALLENGE: Final = 'Bearer realm="grantflow token API"'
#: Wrong keys from one address that cost nothing. A right key is always answered: behind one address are many callers.
_FREE_FAILURES: Final = 10
_STATUS: Final[dict[type[GrantflowError], int]] = {NotForCaller: 403, GrantGone: 404}
_OUT_OF_ORDER: Final = (TransientTokenError, IntegrationRefused, VaultUnavailable)


def token_api(integration: AsyncIntegration) -> Starlette:
    """An ASGI app of its own. Serve it on loopback or over TLS: keys and tokens travel to it and from it."""
    desk = _Desk(integration, Throttle(FailuresInMemory(), what="client", free=_FREE_FAILURES))
    app = Starlette(
        routes=[Route(TOKEN, desk.token, methods=["POST"]), Route("/healthz", _healthz, methods=["GET"])],
        exception_handlers={HTTPException: _on_http_exception, Exception: _on_crash},
    )
    app.router.redirect_slashes = False  # a 307 would carry the key to whatever address the Host header names
    return app


@dataclass(frozen=True, slots=True)
class _Desk:
    integration: AsyncIntegration
    throttle: Throttle

    async def token(self, request: Request) -> Response:
        try:
            sent = await read_request(request, limit=_BODY_LIMIT)
            key = read_bearer(sent.headers)
            if key is None:
                return _refused(401, "invalid_request", "Send the key: Authorization: Bearer KEY", challenge=_CHALLENGE)
            fields = _read_fields(sent)
        except OAuthError as error:
            return _refused(error.status, error.code, error.description)
        try:
            handed = await self.integration.lend(key, person=fields.get("person"), rejected=fields.get("rejected"))
        except UnknownCaller as error:
            return await self._nobody(request, error)
        except GrantflowError as error:
            return _why_not(error)
        return _answer(200, self._as_json(handed))

    async def _nobody(self, request: Request, error: UnknownCaller) -> Response:
        """Who guesses waits longer and longer; of the keys that were tried nothing is kept."""
        now, address = self.integration.now(), sender(request)
        if seconds := await self.throttle.wait(TOKEN, address=address, now=now):
            words = "Too many wrong keys came from this address."
            return _refused(429, "slow_down", words, retry_after=seconds)
        await self.throttle.failed(TOKEN, address=address, now=now)
        log.warning("a wrong key came from %s", address)
        return _refused(401, "invalid_token", str(error), challenge=f'{_CHALLENGE}, error="invalid_token"')

    def _as_json(self, handed: AccessToken) -> dict[str, Any]:
        told: dict[str, Any] = {"access_token": handed.token.reveal(), "token_type": BEARER}
        if handed.expires_at is not None:
            told["expires_in"] = max(0, int((handed.expires_at - self.integration.now()).total_seconds()))
            told["expires_at"] = write_timestamp(handed.expires_at)
        grant = handed.grant
        return told | {
            "scope": str(grant.scopes),
            "person_id": grant.person_id,
            "email": grant.email,
            "grant_id": grant.id,
        }


def _read_fields(sent: Sent) -> dict[str, str]:
    """What was asked for. Whoever is misread would be handed the token of somebody else than they meant, the one of
    their only grant: so what is not understood is refused, and only who sends nothing names nobody.

    Raises OAuthError: InvalidRequest, UnsupportedMediaType, ...
    """
    if "?" in sent.url:
        raise InvalidRequest("Nothing is read from the address: send person and rejected in the body.")
    if not sent.body:
        return {}
    fields = read_body(sent, accept_json=True, keep_empty=True)
    unknown = sorted(set(fields) - _MEMBERS)
    if unknown:
        raise InvalidRequest(
            f"The parameter {shown(unknown[0])} is none; there are person and rejected. JSON is sent with "
            "Content-Type: application/json."
        )
    empty = sorted(name for name, value in fields.items() if not value)
    if empty:
        raise InvalidRequest(f"The parameter {shown(empty[0])} is empty: give it a value, or leave it out.")
    if not fields:
        raise InvalidRequest("The body names nobody: send person, or no body at all where the key is good for one.")
    return fields


def _why_not(error: GrantflowError) -> Response:
    if isinstance(error, _OUT_OF_ORDER):
        return _refused(503, error.code, str(error), retry_after=max(1, math.ceil(error.retry_after)))
    if isinstance(error, ReauthorizationRequired):
        incident = error.grant.incident if error.grant else None
        return _refused(409, error.code, str(error), grant_url=error.grant_url, incident=incident)
    if type(error) not in _STATUS:
        raise error
    return _refused(_STATUS[type(error)], error.code, str(error))


def _refused(
    status: int, code: str, words: str, *, retry_after: int | None = None, challenge: str | None = None, **more: Any
) -> Response:
    headers = {"retry-after": str(retry_after)} if retry_after is not None else {}
    if challenge is not None:
        headers["www-authenticate"] = challenge
    known = {name: value for name, value in more.items() if value is not None}
    return _answer(status, {"error": code, "error_description": words, **known}, headers)


def _answer(status: int, members: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(members, status_code=status, headers={"cache-control": "no-store", **(headers or {})})


async def _healthz(request: Request) -> Response:
    return _answer(200, {"status": "ok"})


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = f"{HTTPStatus(error.status_code).phrase}: a token is asked for by POST {TOKEN}."
    answer = _refused(error.status_code, "invalid_request", words)
    answer.headers.update(error.headers or {})
    return answer


async def _on_crash(request: Request, error: Exception) -> Response:
    log.error("no token could be handed out", exc_info=error)
    return _refused(500, "server_error", "The fault is not the caller's; it has been written down.")

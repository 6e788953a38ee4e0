"""The way of every call: read it, admit its token, let the endpoint answer."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from starlette.requests import Request as HttpRequest
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from grantflow.protocol.bearer import ApiError, read_bearer, refuse_token
from grantflow.protocol.http import Request, Response
from grantflow.resource_server.admission import admit
from grantflow.resource_server.answers import Answer, refuse, refuse_method, write_answer
from grantflow.resource_server.fields import BODY_LIMIT
from grantflow.resource_server.last_use import LastUse
from grantflow.resource_server.ports import AccessTokens
from grantflow.resource_server.records import Access, Person
from grantflow.web.wire import read_request, tracking_id, write_response


@dataclass(frozen=True, slots=True)
class Call:
    """One admitted request. ``ids`` are those of its path, as they came."""

    access: Access
    request: Request
    ids: Mapping[str, str]
    now: datetime

    @property
    def person(self) -> Person:
        return self.access.person


Endpoint: TypeAlias = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Method:
    """One method of one path: the scope that it needs, and who answers."""

    needs: str
    endpoint: Endpoint


class Api:
    """What all resources share. ``mint_uuid`` makes the tracking ids of calls that bring none."""

    def __init__(self, tokens: AccessTokens, *, clock: Callable[[], datetime], mint_uuid: Callable[[], UUID]) -> None:
        self._tokens = tokens
        self._clock = clock
        self._mint_uuid = mint_uuid
        self._last_use = LastUse(tokens)

    def resource(self, path: str, **methods: Method) -> Route:
        return Route(path, Resource(self, methods))

    def nothing_at(self, path: str) -> Route:
        return LastResort(path, Nothing(self))

    def tracking_id(self, http: HttpRequest) -> str:
        return tracking_id(http, mint_uuid=self._mint_uuid)

    async def respond(self, http: HttpRequest, methods: Mapping[str, Method]) -> tuple[Response, Access | None]:
        """The answer, and the access that was used for it."""
        tracking, access = self.tracking_id(http), None
        try:
            request = await read_request(http, limit=BODY_LIMIT)
            method = methods.get(request.method)
            if method is None:
                return refuse_method(methods, tracking_id=tracking), None
            token = read_bearer(request.headers)
            if token is None:
                return refuse_token(None, tracking_id=tracking), None
            now = self._clock()
            access = admit(await self._tokens.find(token.digest()), needs=method.needs, now=now)
            answer = await method.endpoint(Call(access, request, http.path_params, now))
            return write_answer(answer, tracking_id=tracking), access
        except Exception as error:
            return refuse(error, tracking_id=tracking, call=named(http)), access

    async def note_use(self, access: Access) -> None:
        await self._last_use.note(access, now=self._clock())


@dataclass(frozen=True, slots=True)
class Resource:
    """One path as an ASGI app: it takes every method, and refuses those that it does not serve."""

    api: Api
    methods: Mapping[str, Method]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response, access = await self.api.respond(HttpRequest(scope, receive), self.methods)
        await write_response(response)(scope, receive, send)
        if access is not None:  # after the answer, so that nobody waits for it
            await self.api.note_use(access)


@dataclass(frozen=True, slots=True)
class Nothing:
    """404 in Webex's shape."""

    api: Api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        http = HttpRequest(scope, receive)
        error = ApiError(404, "The requested resource could not be found.")
        refusal = refuse(error, tracking_id=self.api.tracking_id(http), call=named(http))
        await write_response(refusal)(scope, receive, send)


class LastResort(Route):
    """Matches in part only, as a route does whose method is wrong.

    So it takes what no other route does, and every route that fits wholly, or was put before it and fits in part,
    goes first: those of this role and of any other.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        return (Match.PARTIAL if match is Match.FULL else match), child


def named(http: HttpRequest) -> str:
    """The call for the log: without its query, and encoded as it came, so that it cannot forge a line."""
    path: bytes = http.scope["raw_path"]
    return f"{http.method} {path.decode('latin-1')}"

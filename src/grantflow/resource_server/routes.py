"""Which call is served where, the scope that each needs, and what serves it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from starlette.routing import BaseRoute

from grantflow.resource_server.api import Api, Method
from grantflow.resource_server.authorizations import AuthorizationCalls
from grantflow.resource_server.description import description_route
from grantflow.resource_server.memberships import MembershipCalls
from grantflow.resource_server.messages import MessageCalls
from grantflow.resource_server.people import PeopleCalls
from grantflow.resource_server.ports import AccessTokens, Authorizations, Directory, Memberships, Messages, Rooms
from grantflow.resource_server.rooms import RoomCalls


@dataclass(frozen=True, slots=True)
class Settings:
    """``api_url`` is the public address of the API, up to ``/v1``; links to further pages are built from it alone."""

    api_url: str


@dataclass(frozen=True, slots=True)
class Ports:
    """What the role asks of storage."""

    tokens: AccessTokens
    directory: Directory
    rooms: Rooms
    memberships: Memberships
    messages: Messages
    authorizations: Authorizations


def routes(
    ports: Ports, settings: Settings, *, clock: Callable[[], datetime], mint: Callable[[int], bytes]
) -> list[BaseRoute]:
    """The API under ``/v1``. Put these routes after those of other roles: the last ones take all that is left of /v1.

    ``clock`` tells the time (aware UTC), ``mint`` makes that many random bytes.
    """

    def mint_uuid() -> UUID:
        return UUID(bytes=mint(16), version=4)

    def mint_id() -> str:
        return str(mint_uuid())

    api = Api(ports.tokens, clock=clock, mint_uuid=mint_uuid)
    url = settings.api_url
    people = PeopleCalls(ports.directory, f"{url}/people")
    rooms = RoomCalls(ports.rooms, f"{url}/rooms", mint_id)
    memberships = MembershipCalls(ports.memberships, ports.rooms, f"{url}/memberships")
    messages = MessageCalls(ports.messages, ports.rooms, f"{url}/messages", mint_id)
    authorizations = AuthorizationCalls(ports.authorizations, ports.directory)
    return [
        description_route(url),
        api.resource("/v1/people/me", GET=Method("spark:people_read", people.me)),
        api.resource("/v1/people", GET=Method("spark:people_read", people.find)),
        api.resource("/v1/people/{person_id}", GET=Method("spark:people_read", people.get)),
        api.resource(
            "/v1/rooms",
            GET=Method("spark:rooms_read", rooms.find),
            POST=Method("spark:rooms_write", rooms.create),
        ),
        api.resource(
            "/v1/rooms/{room_id}",
            GET=Method("spark:rooms_read", rooms.get),
            PUT=Method("spark:rooms_write", rooms.update),
            DELETE=Method("spark:rooms_write", rooms.delete),
        ),
        api.resource(
            "/v1/memberships",
            GET=Method("spark:memberships_read", memberships.find),
            POST=Method("spark:memberships_write", memberships.create),
        ),
        api.resource(
            "/v1/memberships/{membership_id}",
            GET=Method("spark:memberships_read", memberships.get),
            PUT=Method("spark:memberships_write", memberships.update),
            DELETE=Method("spark:memberships_write", memberships.delete),
        ),
        api.resource(
            "/v1/messages",
            GET=Method("spark:messages_read", messages.find),
            POST=Method("spark:messages_write", messages.create),
        ),
        api.resource("/v1/messages/direct", GET=Method("spark:messages_read", messages.find_direct)),
        api.resource(
            "/v1/messages/{message_id}",
            GET=Method("spark:messages_read", messages.get),
            PUT=Method("spark:messages_write", messages.update),
            DELETE=Method("spark:messages_write", messages.delete),
        ),
        api.resource(
            "/v1/authorizations",
            GET=Method("identity:tokens_read", authorizations.find),
            DELETE=Method("identity:tokens_write", authorizations.delete_all_of_client),
        ),
        api.resource(
            "/v1/authorizations/tokenExpiry",
            GET=Method("identity:tokens_read", authorizations.token_expiry),
        ),
        api.resource(
            "/v1/authorizations/{authorization_id}",
            DELETE=Method("identity:tokens_write", authorizations.delete),
        ),
        api.nothing_at("/v1"),
        api.nothing_at("/v1/{rest:path}"),
    ]

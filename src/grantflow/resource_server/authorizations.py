"""``/authorizations``: what people of the organization have granted, for its administrators (developer.webex.com,
Authorizations; W02).

A ``refresh`` authorization is a person's grant to an integration: it goes with all its tokens. An ``access``
authorization is one access token.
"""

from dataclasses import dataclass
from typing import Any

from grantflow.protocol.bearer import INSUFFICIENT_SCOPE_MESSAGE, ApiError
from grantflow.protocol.timestamp import write_timestamp
from grantflow.resource_server.answers import Answer
from grantflow.resource_server.api import Call
from grantflow.resource_server.fields import read_query
from grantflow.resource_server.ids import Kind, read_id, write_id
from grantflow.resource_server.memberships import read_name
from grantflow.resource_server.ports import Authorizations, Directory
from grantflow.resource_server.records import Access, Authorization, Person
from grantflow.web.audit import note_all_to_an_app_ended, note_grant_ended, note_token_ended


@dataclass(frozen=True, slots=True)
class AuthorizationCalls:
    authorizations: Authorizations
    directory: Directory

    async def find(self, call: Call) -> Answer:
        may_administer(call.access)
        person = await self._person(call)
        found = await self.authorizations.of(person.id, now=call.now)
        return Answer({"items": [write_authorization(one) for one in found]})

    async def _person(self, call: Call) -> Person:
        query = read_query(call.request)
        who = read_name(query.get("personId"), query.get("personEmail"))
        if who is None:
            raise ApiError(400, "Must specify either personId or personEmail.")
        viewer = call.person
        if who.person_id is not None:
            person = await self.directory.find(who.person_id, viewer=viewer)
        else:
            person = await self.directory.find_by_email(who.email or "", viewer=viewer)
        if person is None or person.org_id != viewer.org_id:
            raise ApiError(404, "Person not found")
        return person

    async def delete(self, call: Call) -> Answer:
        may_administer(call.access)
        ended = await self.authorizations.end(
            read_id(Kind.AUTHORIZATION, call.ids["authorization_id"]),
            org_id=call.person.org_id,
            now=call.now,
            rule=lambda authorization: may_end(authorization, call.access),
        )
        note = {"by": call.person.email, "person": ended.person_email, "app": ended.app}
        if ended.is_grant:
            note_grant_ended(**note, grant_id=ended.id)
        else:
            note_token_ended(**note, token_id=ended.id)
        return Answer()

    async def delete_all_of_client(self, call: Call) -> Answer:
        may_administer(call.access)
        query = read_query(call.request)
        if "clientId" not in query:
            raise ApiError(400, "Required String parameter 'clientId' is not present")
        org_id = call.person.org_id
        if "orgId" in query and read_id(Kind.ORGANIZATION, query["orgId"]) != org_id:
            raise forbidden("An administrator ends the authorizations of the own organization alone.")
        ended = await self.authorizations.end_all_of_client(query["clientId"], org_id=org_id, now=call.now)
        if ended is None:
            raise ApiError(404, "No integration has this clientId.")
        note_all_to_an_app_ended(by=call.person.email, app=ended.app, client_id=query["clientId"], count=ended.count)
        return Answer()

    async def token_expiry(self, call: Call) -> Answer:
        """In milliseconds since 1970, of the token that asks."""
        may_administer(call.access)
        return Answer({"exp": round(call.access.expires_at.timestamp() * 1000)})


# --- rules ---------------------------------------------------------------------------------------------------------


def may_administer(access: Access) -> None:
    if not access.is_admin:
        raise forbidden("This call is for administrators of the organization.")


def may_end(authorization: Authorization | None, access: Access) -> None:
    """Webex: of their own tokens administrators end those of the client that they call with."""
    if authorization is None:
        raise ApiError(404, "No living authorization has this id.")
    if authorization.person_id == access.person.id and authorization.client_id != access.client_id:
        raise forbidden("Of your own authorizations you can end those of the integration that you call with.")


def forbidden(why: str) -> ApiError:
    return ApiError(403, INSUFFICIENT_SCOPE_MESSAGE, description=why)


# --- answers -------------------------------------------------------------------------------------------------------


def write_authorization(authorization: Authorization) -> dict[str, Any]:
    return {
        "id": write_id(Kind.AUTHORIZATION, authorization.id),
        "applicationId": write_id(Kind.APPLICATION, authorization.client_id),
        "applicationName": authorization.app,
        "personId": write_id(Kind.PEOPLE, authorization.person_id),
        "clientId": authorization.client_id,
        "created": write_timestamp(authorization.created_at),
        "type": "refresh" if authorization.is_grant else "access",
    }

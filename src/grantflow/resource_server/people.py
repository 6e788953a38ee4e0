"""``/people``: who the person is, and whom the person may look up (developer.webex.com, People)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grantflow.protocol.bearer import ApiError
from grantflow.protocol.timestamp import write_timestamp
from grantflow.resource_server.answers import Answer
from grantflow.resource_server.api import Call
from grantflow.resource_server.fields import read_max, read_query
from grantflow.resource_server.ids import Kind, read_id, write_id
from grantflow.resource_server.paging import cut, next_url, read_cursor
from grantflow.resource_server.ports import Directory
from grantflow.resource_server.records import Cursor, Person

#: The most ids that one call may name.
IDS_LIMIT = 85


@dataclass(frozen=True, slots=True)
class PeopleCalls:
    """``url`` is the public address of the list."""

    directory: Directory
    url: str

    async def me(self, call: Call) -> Answer:
        return Answer(write_person(call.person))

    async def get(self, call: Call) -> Answer:
        person = await self.directory.find(read_id(Kind.PEOPLE, call.ids["person_id"]), viewer=call.person)
        if person is None:
            raise ApiError(404, "Person not found")
        return Answer(write_person(person))

    async def find(self, call: Call) -> Answer:
        query = read_query(call.request)
        if "id" in query:
            return await self._by_ids(read_ids(query["id"]), viewer=call.person)
        if "email" in query:
            person = await self.directory.find_by_email(query["email"], viewer=call.person)
            return Answer(write_people([person] if person else []))
        if "displayName" in query:
            return await self._by_name(call, query)
        raise ApiError(400, "Email, displayName, or id list should be specified.")

    async def _by_ids(self, ids: Sequence[str], *, viewer: Person) -> Answer:
        people = await self.directory.find_all(ids, viewer=viewer)
        missing = set(ids) - {person.id for person in people}
        if not missing:
            return Answer(write_people(people))
        not_found = [write_id(Kind.PEOPLE, person_id) for person_id in ids if person_id in missing]
        return Answer({**write_people(people), "notFoundIds": not_found})

    async def _by_name(self, call: Call, query: dict[str, str]) -> Answer:
        size = read_max(query, default=100, limit=1000)
        found = await self.directory.named(
            query["displayName"], viewer=call.person, after=read_cursor(query), limit=size + 1
        )
        page, last = cut(found, size=size)
        after = Cursor(last.id, name=last.display_name) if last else None
        return Answer(write_people(page), next_url(self.url, query, after=after))


def read_ids(text: str) -> Sequence[str]:
    """
    Raises:
        ApiError: 400 for a malformed one, or more than 85.
    """
    ids = list(dict.fromkeys(read_id(Kind.PEOPLE, part.strip()) for part in text.split(",")))
    if len(ids) > IDS_LIMIT:
        raise ApiError(400, f"At most {IDS_LIMIT} ids can be looked up in one call; {len(ids)} were sent.")
    return ids


def write_people(people: Sequence[Person]) -> dict[str, Any]:
    return {"items": [write_person(person) for person in people]}


def write_person(person: Person) -> dict[str, Any]:
    """What was never set is left out, as Webex does."""
    members = {
        "id": write_id(Kind.PEOPLE, person.id),
        "emails": [person.email],
        "displayName": person.display_name,
        "nickName": person.nick_name,
        "firstName": person.first_name,
        "lastName": person.last_name,
        "orgId": write_id(Kind.ORGANIZATION, person.org_id),
        "created": write_timestamp(person.created_at),
        "type": person.type,
    }
    return {name: value for name, value in members.items() if value is not None}

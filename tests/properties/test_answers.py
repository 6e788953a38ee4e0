"""What is answered, read by the other half: the API's lists and items, who somebody is, when to come again."""

import asyncio
import json
import re
from typing import Any

import httpx2
from hypothesis import given
from hypothesis import strategies as st

from grantflow.client.pages.webex_calls import CallFailed, WebexCalls
from grantflow.client.webex import read_person
from grantflow.protocol.bearer import ApiError, api_error_response
from grantflow.protocol.errors import InvalidRequest, InvalidToken, TemporarilyUnavailable
from grantflow.protocol.http import JSON, Response
from grantflow.protocol.timestamp import read_timestamp
from grantflow.protocol.token import TokenRefusal, error_response, read_tokens
from grantflow.resource_server import people, rooms
from grantflow.resource_server.answers import Answer, refuse, write_answer
from grantflow.resource_server.authorizations import write_authorization
from grantflow.resource_server.ids import Kind, read_id, read_membership_id
from grantflow.resource_server.memberships import write_membership
from grantflow.resource_server.messages import write_message, write_target
from grantflow.resource_server.paging import next_url, read_cursor
from grantflow.resource_server.records import (
    Authorization,
    Cursor,
    Membership,
    Message,
    Person,
    PersonName,
    Room,
    RoomType,
)
from grantflow.web.wire import write_response
from tests.properties.reading import ANY_TEXT, JSON_VALUES, MOMENTS, NONEMPTY, TEXT, UUIDS, read_or_refused

OPTIONAL = st.none() | TEXT
PEOPLE = st.builds(Person, UUIDS, NONEMPTY, TEXT, *[OPTIONAL] * 3, UUIDS, st.sampled_from(["person", "bot"]), MOMENTS)
ROOMS = st.builds(
    Room,
    UUIDS,
    TEXT,
    st.sampled_from(RoomType),
    st.booleans(),
    OPTIONAL,
    UUIDS,
    UUIDS,
    MOMENTS,
    MOMENTS,
    UUIDS,
    st.booleans(),
)
MEMBERSHIPS = st.builds(
    Membership, UUIDS, UUIDS, TEXT, TEXT, UUIDS, st.sampled_from(RoomType), st.booleans(), st.booleans(), MOMENTS
)
MESSAGES = st.builds(
    Message,
    UUIDS,
    UUIDS,
    st.sampled_from(RoomType),
    UUIDS,
    TEXT,
    st.none() | UUIDS,
    TEXT,
    OPTIONAL,
    MOMENTS,
    st.none() | MOMENTS,
    st.integers(0, 10),
    st.lists(UUIDS, max_size=3).map(tuple),
)
AUTHORIZATIONS = st.builds(Authorization, UUIDS, st.booleans(), TEXT, TEXT, UUIDS, TEXT, MOMENTS)


def sent(answer: Answer) -> httpx2.Response:
    """The answer as the HTTP client of an integration has it."""
    written = write_response(write_answer(answer, tracking_id="t"))
    return httpx2.Response(written.status_code, headers=dict(written.headers), content=bytes(written.body))


@given(PEOPLE)
def test_w29_who_somebody_is_reads_back_at_the_integration(person: Person) -> None:
    answer = sent(Answer(people.write_person(person)))
    read = read_person(Response(answer.status_code, dict(answer.headers), answer.content))
    assert read is not None
    assert (read_id(Kind.PEOPLE, read.person_id), read.display_name, read.email) == (
        person.id,
        person.display_name,
        person.email,
    )
    (listed,) = people.write_people([person])["items"]
    assert listed == answer.json()
    assert read_timestamp(answer.json()["created"]) == person.created_at


BODIES = st.binary(max_size=200) | JSON_VALUES.map(lambda value: json.dumps(value).encode())
SOME = st.fixed_dictionaries(
    {"id": ANY_TEXT}, optional=dict.fromkeys(("displayName", "emails", "title"), JSON_VALUES | ANY_TEXT)
)
LISTS = st.fixed_dictionaries({"items": st.lists(SOME | JSON_VALUES, max_size=3) | JSON_VALUES})
MEMBERS = (SOME | LISTS).map(lambda members: json.dumps(members).encode())
STATUSES = st.just(200) | st.sampled_from([204, 302, 400, 401, 502])


@given(STATUSES, BODIES | MEMBERS | SOME.map(lambda members: json.dumps(members).encode()))
def test_w29_any_answer_names_a_person_or_nobody(status: int, body: bytes) -> None:
    read = read_person(Response(status, {"content-type": JSON}, body))
    assert read is None or (status == 200 and read.person_id)


@given(STATUSES, BODIES | MEMBERS)
def test_w04_any_answer_of_the_api_is_shown_or_a_failed_call(status: int, body: bytes) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers={"content-type": JSON}, content=body)

    async def ask() -> list[str]:
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer), base_url="https://api") as client:
            calls = WebexCalls(client)  # type: ignore[arg-type]  # no more of a client is asked for
            found = [text for space in await calls.spaces() for text in (space.id, space.title)]
            return [*found, await calls.display_name(), await calls.post("r", text="x")]

    for text in read_or_refused(lambda: asyncio.run(ask()), CallFailed) or ():
        text.encode()


@given(ROOMS)
def test_a_room_reads_back_as_it_was_answered(room: Room) -> None:
    answer = sent(Answer(rooms.write_room(room))).json()
    assert read_id(Kind.ROOM, answer["id"]) == room.id
    assert read_id(Kind.PEOPLE, answer["creatorId"]) == room.creator_id
    assert read_id(Kind.ORGANIZATION, answer["ownerId"]) == room.owner_id
    assert (answer["title"], answer.get("description")) == (room.title, room.description)
    assert [read_timestamp(answer[name]) for name in ("created", "lastActivity")] == [
        room.created_at,
        room.last_activity,
    ]


@given(MEMBERSHIPS)
def test_a_membership_reads_back_as_it_was_answered(membership: Membership) -> None:
    answer = sent(Answer(write_membership(membership))).json()
    assert read_membership_id(answer["id"]) == (membership.person_id, membership.room_id)
    assert read_id(Kind.ROOM, answer["roomId"]) == membership.room_id
    assert answer["personDisplayName"] == membership.person_display_name
    assert read_timestamp(answer["created"]) == membership.created_at


@given(MESSAGES)
def test_a_message_reads_back_as_it_was_answered(message: Message) -> None:
    answer = sent(Answer(write_message(message))).json()
    assert read_id(Kind.MESSAGE, answer["id"]) == message.id
    assert (answer["text"], answer.get("markdown")) == (message.text, message.markdown)
    parent_id = answer.get("parentId")
    assert (parent_id and read_id(Kind.MESSAGE, parent_id)) == message.parent_id
    assert tuple(read_id(Kind.PEOPLE, one) for one in answer.get("mentionedPeople", ())) == message.mentioned
    assert read_timestamp(answer["created"]) == message.created_at


@given(st.builds(PersonName, UUIDS, st.none()) | st.builds(PersonName, st.none(), NONEMPTY), AUTHORIZATIONS)
def test_whom_and_what_an_answer_is_about_reads_back(target: PersonName, authorization: Authorization) -> None:
    told = sent(Answer(write_target(target))).json()
    person_id = told.get("toPersonId")
    assert PersonName(person_id and read_id(Kind.PEOPLE, person_id), told.get("toPersonEmail")) == target
    answer = sent(Answer(write_authorization(authorization))).json()
    assert read_timestamp(answer["created"]) == authorization.created_at


CURSORS = st.builds(Cursor, UUIDS, MOMENTS, TEXT.filter(lambda name: "\0" not in name))


@given(CURSORS, st.dictionaries(st.sampled_from(["max", "roomId", "é&=", ">;,"]), TEXT.filter(bool)))
def test_w30_the_link_header_leads_an_http_client_to_the_page_after(cursor: Cursor, query: dict[str, str]) -> None:
    answer = sent(Answer({"items": []}, next_url("https://api/v1/rooms", query, after=cursor)))
    link = answer.links["next"]["url"]
    assert re.fullmatch(r'<[\x21-\x7e]+>; rel="next"', answer.headers["link"])
    params = dict(httpx2.URL(link).params)
    assert read_cursor(params) == cursor
    assert params == {**query, "cursor": params["cursor"]}


SECONDS = st.integers(0, 10**9)


@given(SECONDS, TEXT)
def test_s104_when_to_come_again_reads_back_as_it_was_answered(seconds: int, words: str) -> None:
    refusal: TokenRefusal | None = None
    try:
        read_tokens(error_response(TemporarilyUnavailable(words, retry_after=seconds), tracking_id="t"))
    except TokenRefusal as error:
        refusal = error
    assert refusal is not None
    assert refusal.retry_after == seconds
    assert api_error_response(ApiError(429, words, seconds), tracking_id="t").headers["retry-after"] == str(seconds)


@given(ANY_TEXT | st.sampled_from(["Wed, 21 Oct 2026 07:28:00 GMT", "1.5", "-1", "٣", "1" * 11]))
def test_s104_any_retry_after_is_a_number_of_seconds_or_says_nothing(header: str) -> None:
    refusal: TokenRefusal | None = None
    try:
        read_tokens(Response(429, {"retry-after": header}, b""))
    except TokenRefusal as error:
        refusal = error
    assert refusal is not None
    assert refusal.retry_after is None or re.fullmatch("[0-9]{1,10}", header)


@given(TEXT, st.none() | SECONDS)  # which is logged too, and no log can hold halves of surrogate pairs
def test_s31_any_refusal_of_the_api_is_headers_and_json(words: str, seconds: int | None) -> None:
    errors: list[Exception] = [ApiError(400, words, seconds), InvalidToken(words), InvalidRequest(words)]
    for error in [*errors, TemporarilyUnavailable(words, retry_after=1)]:
        written = write_response(refuse(error, tracking_id="t", call="GET /v1/rooms"))
        members: dict[str, Any] = json.loads(bytes(written.body))
        assert isinstance(members["message"], str)
        assert members["trackingId"] == "t"

"""What calls bring to the API: queries, bodies and their fields, ids, cursors, mentions."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from grantflow.protocol.bearer import ApiError
from grantflow.protocol.errors import InvalidRequest
from grantflow.protocol.http import JSON, Request, read_form
from grantflow.protocol.scope import Scopes
from grantflow.resource_server.api import Call
from grantflow.resource_server.fields import Body, read_body, read_choice, read_flag, read_max, read_query, read_time
from grantflow.resource_server.ids import Kind, read_id, read_membership_id, write_id, write_membership_id
from grantflow.resource_server.memberships import read_name, read_person
from grantflow.resource_server.mentions import MENTIONS_LIMIT, read_mentioned, read_mentions
from grantflow.resource_server.messages import LENGTH_LIMIT, read_parent, read_target, read_words
from grantflow.resource_server.paging import next_url, read_cursor, write_cursor
from grantflow.resource_server.people import IDS_LIMIT, read_ids
from grantflow.resource_server.records import Access, Cursor, Person, RoomType
from grantflow.resource_server.rooms import read_wish
from tests.properties.reading import ANY_TEXT, JSON_VALUES, MOMENTS, TEXT, TIMES, UUIDS, read_or_refused

KINDS = st.sampled_from(Kind)
IDS = ANY_TEXT | UUIDS | st.builds(write_id, KINDS, UUIDS | TEXT)


@given(st.binary(max_size=300).map(lambda query: query.decode("latin-1")))
def test_any_query_is_read_or_refused(query: str) -> None:
    fields = read_or_refused(lambda: read_query(Request("GET", f"/v1/rooms?{query}")), InvalidRequest, ApiError)
    assert "\0" not in "".join((fields or {}).values())


@given(st.dictionaries(st.sampled_from(["max", "type", "before", "cursor", "flag"]), TEXT | TIMES))
def test_any_parameter_is_read_or_refused(query: dict[str, str]) -> None:
    size = read_or_refused(lambda: read_max(query, default=50, limit=1000), ApiError)
    assert size is None or 1 <= size <= 1000
    read_or_refused(lambda: read_choice(query, "type", RoomType), ApiError)
    read_or_refused(lambda: read_time(query, "before"), ApiError)
    read_or_refused(lambda: read_cursor(query), ApiError)
    read_flag(query, "flag")


@given(
    st.binary(max_size=300) | JSON_VALUES.map(lambda value: json.dumps(value).encode()),
    st.sampled_from([JSON, "", "x"]),
)
def test_any_body_is_a_json_object_or_refused(body: bytes, content_type: str) -> None:
    request = Request("POST", "/v1/rooms", {"content-type": content_type}, body)
    read = read_or_refused(lambda: read_body(request), ApiError)
    assert read is None or isinstance(read.members, dict)


@given(st.dictionaries(st.sampled_from(["title", "isLocked", "personId", "personEmail", "teamId"]), JSON_VALUES))
def test_any_member_of_a_body_is_of_its_type_or_refused(members: dict[str, Any]) -> None:
    body = Body(members)
    title = read_or_refused(lambda: body.text("title", limit=20), ApiError)
    assert title is None or len(title.encode()) <= 20
    assert read_or_refused(lambda: body.flag("isLocked"), ApiError) in (None, True, False)
    read_or_refused(lambda: read_wish(body), ApiError)
    read_or_refused(lambda: read_person(body, person_id="personId", email="personEmail"), ApiError)


MESSAGE_MEMBERS = ["text", "markdown", "parentId", "roomId", "toPersonEmail", "toPersonId", "files"]
NOW = datetime(2026, 11, 25, tzinfo=UTC)
ADA = Person("8b1d7f52-52c5-4f0a-9a3c-0f6f4b1f8c11", "ada@example.com", "Ada", None, None, None, "o", "person", NOW)
CALL = Call(Access(ADA, Scopes.of(), NOW, is_revoked=False), Request("POST", "/v1/messages"), {}, NOW)


@given(st.dictionaries(st.sampled_from(MESSAGE_MEMBERS), JSON_VALUES | IDS))
def test_w04_any_body_of_a_message_says_something_to_somebody_or_is_refused(members: dict[str, Any]) -> None:
    body = Body(members)
    words = read_or_refused(lambda: read_words(body), ApiError)
    assert words is None or 0 < len(words.text.encode()) <= LENGTH_LIMIT
    read_or_refused(lambda: read_target(body, call=CALL), ApiError)
    parent_id = read_or_refused(lambda: read_parent(body), ApiError)
    assert parent_id is None or len(parent_id) == 36


@given(st.none() | st.sampled_from(["me", ADA.id]) | IDS, st.sampled_from(RoomType), st.booleans())
def test_w04_any_text_names_whose_mentions_are_listed_or_is_refused(
    text: str | None, room_type: RoomType, is_bot: bool
) -> None:
    viewer = replace(ADA, type="bot" if is_bot else "person")
    who = read_or_refused(lambda: read_mentioned(text, viewer, room_type=room_type), ApiError)
    assert who in (None, viewer.id)
    assert who is None or text == "me" or read_id(Kind.PEOPLE, text or "") == viewer.id


@given(KINDS, UUIDS)
def test_an_id_reads_back_as_it_was_written_and_as_no_other_kind(kind: Kind, uuid: str) -> None:
    written = write_id(kind, uuid)
    assert read_id(kind, written) == read_id(kind, uuid) == read_id(kind, written + "==") == uuid
    for other in set(Kind) - {kind}:
        assert read_or_refused(partial(read_id, other, written), ApiError) is None


@given(UUIDS, UUIDS)
def test_a_memberships_id_reads_back_as_it_was_written(person_id: str, room_id: str) -> None:
    assert read_membership_id(write_membership_id(person_id, room_id)) == (person_id, room_id)


@given(KINDS, IDS)
def test_any_text_is_an_id_or_refused(kind: Kind, text: str) -> None:
    uuid = read_or_refused(lambda: read_id(kind, text), ApiError)
    assert uuid is None or len(uuid) == 36
    read_or_refused(lambda: read_membership_id(text), ApiError)
    read_or_refused(lambda: read_name(text, None), ApiError)
    read_or_refused(lambda: read_name(None, text), ApiError)
    ids = read_or_refused(lambda: read_ids(text), ApiError)
    assert ids is None or len(ids) <= IDS_LIMIT


CURSORS = st.builds(Cursor, UUIDS, MOMENTS, TEXT.filter(lambda name: "\0" not in name))


@given(CURSORS, st.dictionaries(st.sampled_from(["max", "roomId", "é&="]), TEXT.filter(bool)))
def test_a_cursor_reads_back_from_the_link_that_holds_it_and_its_query_with_it(
    cursor: Cursor, query: dict[str, str]
) -> None:
    url = next_url("https://api/v1/rooms", {**query, "cursor": "before"}, after=cursor)
    assert url is not None
    sent = read_form(url.partition("?")[2].encode())
    assert read_cursor(sent) == cursor
    assert sent == {**query, "cursor": write_cursor(cursor)}


MENTION = st.builds("<@{}:{}|{}>".format, st.sampled_from(["personEmail", "personId", "all"]), IDS, TEXT)


@given(st.lists(MENTION | TEXT).map("".join))
def test_any_markdown_mentions_a_bounded_number_of_people(markdown: str) -> None:
    assert len(read_mentions(markdown)) <= MENTIONS_LIMIT

"""What nobody should send: each is refused as the sender's mistake, and never ends in a 500."""

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.resource_server.given import Platform, refused, run, uuid

JSON = "application/json"
DEEP = b'{"title":' + b"[" * 60_000 + b"]" * 60_000 + b"}"

#: A body, its content type, and the status that it earns.
BODIES: list[tuple[str, bytes, str | None, int]] = [
    ("nothing", b"", JSON, 400),
    ("a list", b"[]", JSON, 400),
    ("a string", b'"x"', JSON, 400),
    ("null", b"null", JSON, 400),
    ("half an object", b'{"title":', JSON, 400),
    ("two objects", b"{}{}", JSON, 400),
    ("no JSON", b"title=x", JSON, 400),
    ("a comment", b'{"title": "x"} // y', JSON, 400),
    ("not UTF-8", b'{"title": "\xff"}', JSON, 400),
    ("deep", DEEP, JSON, 400),
    ("a deep object", b'{"a":' * 20_000 + b"1" + b"}" * 20_000, JSON, 400),
    ("a long number", b'{"title": ' + b"9" * 100_000 + b"}", JSON, 400),
    ("a megabyte", b'{"title": "' + b"x" * 1_048_576 + b'"}', JSON, 413),
    ("one byte too much", b" " * (128 * 1024 + 1), JSON, 413),
    ("NUL", b'{"title": "a\\u0000b", "text": "a\\u0000b"}', JSON, 400),
    ("half a surrogate pair", b'{"title": "\\ud800", "text": "\\ud800"}', JSON, 400),
    ("half a pair in bytes", b'{"title": "\xed\xa0\x80", "text": "\xed\xa0\x80"}', JSON, 400),
    ("a form", b"title=x", "application/x-www-form-urlencoded", 415),
    ("multipart", b"--x\r\n", "multipart/form-data; boundary=x", 415),
    ("text", b'{"title": "x"}', "text/plain", 415),
    ("no type", b'{"title": "x"}', None, 415),
    ("a strange type", b'{"title": "x"}', 'a<script>"/b; c', 415),
]
PATHS = ["rooms", "memberships", "messages"]


@pytest.mark.parametrize(("name", "body", "content_type", "status"), BODIES, ids=[case[0] for case in BODIES])
def test_a_body_that_is_no_small_json_object_is_refused(
    tmp_path: Path, name: str, body: bytes, content_type: str | None, status: int
) -> None:
    async def story(platform: Platform) -> None:
        ada = platform.caller(await platform.person("Ada"))
        room_id = await ada.open_room()
        message_id = await ada.say(room_id, "x")
        (member,) = (await ada.get("memberships", roomId=room_id)).json()["items"]
        headers = {} if content_type is None else {"content-type": content_type}
        changing = [f"rooms/{room_id}", f"memberships/{member['id']}", f"messages/{message_id}"]
        for method, path in [*(("POST", path) for path in PATHS), *(("PUT", path) for path in changing)]:
            answer = await ada.send(method, path, content=body, headers=headers)
            found = refused(answer)
            assert found[0] == status, (method, path, found)
            assert "<script>" not in found[1]

    run(tmp_path, story)


def test_a_415_names_the_type_that_was_sent_in_webex_s_words(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = platform.caller(await platform.person("Ada"))
        answer = await ada.send("POST", "rooms", content=b"x", headers={"content-type": "text/plain; charset=utf-8"})
        assert refused(answer) == (415, "Content type 'text/plain' not supported")

    run(tmp_path, story)


def test_json_with_a_charset_and_every_character_escaped_is_read(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = platform.caller(await platform.person("Ada"))
        text = "x" * 7439
        escaped = "".join(f"\\u{ord(character):04x}" for character in text)
        body = f'{{"roomId": "{await ada.open_room()}", "text": "{escaped}", "markdown": "{escaped}"}}'
        headers = {"content-type": "Application/JSON;charset=utf-8"}
        answer = await ada.send("POST", "messages", content=body.encode(), headers=headers)
        assert (answer.status_code, answer.json()["markdown"]) == (200, text)

    run(tmp_path, story)


#: Values of every JSON type and some odd strings, for every field of every call.
VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    10**400,
    float("inf"),
    "",
    " ",
    "x",
    "\0",
    "\ud800",
    "\U0010ffff",
    "'; DROP TABLE rooms; --",
    "%00",
    "../../people/me",
    "x" * 10_000,
    [],
    ["x"],
    {},
    {"x": "y"},
]
FIELDS = {
    "rooms": ["title", "isLocked", "description", "teamId", "isPublic"],
    "memberships": ["roomId", "personId", "personEmail", "isModerator", "isRoomHidden"],
    "messages": ["roomId", "toPersonId", "toPersonEmail", "parentId", "text", "markdown", "files", "attachments"],
}


@pytest.mark.slow
def test_no_value_of_any_field_ends_in_a_500(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, bob = await platform.person("Ada"), await platform.person("Bob")
        caller = platform.caller(ada)
        room_id = await caller.open_room()
        fine: dict[str, dict[str, Any]] = {
            "rooms": {"title": "x"},
            "memberships": {"roomId": room_id, "personId": bob.id},
            "messages": {"roomId": room_id, "text": "x"},
        }
        changing = {
            "rooms": f"rooms/{room_id}",
            "memberships": f"memberships/{ada.uuid}:{room_id}",
            "messages": f"messages/{await caller.say(room_id, 'x')}",
        }
        for path, fields in FIELDS.items():
            for field in fields:
                for value in VALUES:
                    body = json.dumps({**fine[path], field: value}).encode()
                    for method, where in [("POST", path), ("PUT", changing[path])]:
                        headers = {"content-type": JSON}
                        answer = await caller.send(method, where, content=body, headers=headers)
                        assert answer.status_code < 500, (method, where, field, value, answer.text)

    run(tmp_path, story)


QUERIES = ["max", "before", "beforeMessage", "parentId", "cursor", "roomId", "personId", "personEmail", "sortBy"]
QUERIES += ["type", "email", "displayName", "id", "teamId", "orgPublicSpaces", "from", "to", "mentionedPeople", "x"]
ODD = ["%00", "%FF", "%ED%A0%80", "'", "%25", "-1", "9" * 30, "1e309", "NaN", "null", "true", "x" * 5000, "%", "%zz"]


@pytest.mark.slow
def test_no_query_ends_in_a_500(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = await platform.person("Ada")
        caller = platform.caller(ada)
        room_id = await caller.open_room()
        for path in ("rooms?", "memberships?", f"memberships?roomId={room_id}&", f"messages?roomId={room_id}&"):
            for name in QUERIES:
                for value in ODD:
                    answer = await caller.client.get(f"{path}{name}={value}")
                    assert answer.status_code < 500, (path, name, value, answer.text)
        for name in ("email", "displayName", "id", "max", "cursor"):
            for value in ODD:
                answer = await caller.client.get(f"people?{name}={value}")
                assert answer.status_code < 500, (name, value, answer.text)

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("query", "status"),
    [("max=1&max=2", 400), ("x=%FF", 400), ("sortBy=%00", 400), ("&".join(f"a{n}=1" for n in range(101)), 413)],
)
def test_a_query_that_cannot_be_read_is_refused(tmp_path: Path, query: str, status: int) -> None:
    async def story(platform: Platform) -> None:
        ada = platform.caller(await platform.person("Ada"))
        assert refused(await ada.client.get(f"rooms?{query}"))[0] == status

    run(tmp_path, story)


def test_no_id_in_a_path_ends_in_a_500(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = platform.caller(await platform.person("Ada"))
        for kind in ("people", "rooms", "memberships", "messages"):
            for text in ("%00", "%FF", "..%2f..", "x" * 5000, "%F0%9F%98%80", "{}", "null", ":", f"{uuid()}:", "%3a"):
                for method in ("GET", "DELETE") if kind != "people" else ("GET",):
                    answer = await ada.send(method, f"{kind}/{text}")
                    assert refused(answer)[0] in (400, 404), (method, kind, text)

    run(tmp_path, story)


def test_what_is_not_served_is_404_and_a_wrong_method_405_with_those_that_are(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, nobody = platform.caller(await platform.person("Ada")), platform.caller(None)
        missing = (404, "The requested resource could not be found.")
        for path in ("", "x", "teams", "people/", "rooms/x/y", "people/me/x", "authorize"):
            for caller in (ada, nobody):
                assert refused(await caller.get(path)) == missing, path
            assert refused(await ada.post(path)) == missing, path
        for method, path, allowed in [
            ("POST", "people/me", "GET"),
            ("OPTIONS", "rooms", "GET, POST"),
            ("PATCH", f"rooms/{uuid()}", "GET, PUT, DELETE"),
            ("DELETE", "messages", "GET, POST"),
            ("TRACE", "memberships", "GET, POST"),
        ]:
            answer = await nobody.send(method, path)
            assert refused(answer)[0] == 405
            assert answer.headers["allow"] == allowed
        assert refused(await ada.client.get("http://127.0.0.1:1/v1")) == missing
        head = await ada.send("HEAD", "people/me")
        assert (head.status_code, head.headers["allow"]) == (405, "GET")

    run(tmp_path, story)


def test_another_role_s_route_under_the_same_path_goes_first_whatever_the_method(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        async def authorize(request: Request) -> PlainTextResponse:
            return PlainTextResponse("theirs")

        platform.app = Starlette(routes=[Route("/v1/authorize", authorize), *platform.app.routes])
        caller = platform.caller(None)
        assert (await caller.get("authorize")).text == "theirs"
        assert (await caller.post("authorize")).status_code == 405
        assert (await caller.get("people/me")).status_code == 401

    run(tmp_path, story)


def test_real_clients_odd_habits_are_taken(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = await platform.person("Ada")
        habits = platform.caller(ada, **{"content-type": "application/json;charset=utf-8"})
        assert (await habits.get("people/me")).status_code == 200
        assert (await habits.get("rooms", max="null")).status_code == 200
        assert (await habits.delete(f"rooms/{await habits.open_room()}")).status_code == 204

    run(tmp_path, story)

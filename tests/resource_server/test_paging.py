"""Long lists: pages, the one link to the next, and its address."""

import re
from pathlib import Path

import httpx2
import pytest

from grantflow.protocol.bearer import ApiError
from grantflow.resource_server.paging import read_cursor, write_cursor
from grantflow.resource_server.records import Cursor
from tests.resource_server.given import API_URL, NOW, Caller, Platform, refused, run, uuid


async def pages(caller: Caller, path: str, **query: str) -> list[list[str]]:
    """The ids of each page, from the first to the one that links to no other."""
    found = []
    answer = await caller.get(path, **query)
    while True:
        assert answer.status_code == 200, answer.text
        found.append([item["id"] for item in answer.json()["items"]])
        assert len(found) < 20, "the pages go round in a circle"
        url = next_link(answer)
        if url is None:
            return found
        answer = await caller.client.get(url.removeprefix(f"{API_URL}/"))


def next_link(answer: httpx2.Response) -> str | None:
    links = answer.headers.get_list("link")
    if not links:
        return None
    (link,) = links
    match = re.fullmatch(r'<([^<>]*)>; rel="next"', link)
    assert match, link
    return match[1]


@pytest.mark.parametrize("order", ["id", "created", "lastactivity"])
def test_250_rooms_come_in_three_pages_each_room_once(tmp_path: Path, order: str) -> None:
    async def story(platform: Platform) -> None:
        ada = await platform.person("Ada")
        await platform.rooms_of(ada, count=250)
        found = await pages(platform.caller(ada), "rooms", sortBy=order)
        assert [len(page) for page in found] == [100, 100, 50]
        assert len({room_id for page in found for room_id in page}) == 250

    run(tmp_path, story)


def test_messages_memberships_and_people_come_in_pages_too(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = await platform.person("Ada")
        caller = platform.caller(ada)
        room_id = await caller.open_room()
        said = [await caller.say(room_id, f"{n}") for n in range(7)]
        for n in range(4):
            await caller.add(room_id, await platform.person("Ada", email=f"{n}@example.com"))
            await caller.open_room(f"{n}")
        found = await pages(caller, "messages", roomId=room_id, max="3")
        assert [len(page) for page in found] == [3, 3, 1]
        assert [message for page in found for message in page] == said[::-1]
        lists: list[tuple[str, dict[str, str]]] = [
            ("memberships", {"roomId": room_id}),
            ("memberships", {}),
            ("people", {"displayName": "ada"}),
        ]
        for path, query in lists:
            found = await pages(caller, path, max="2", **query)
            assert [len(page) for page in found] == [2, 2, 1], path
            assert len({item for page in found for item in page}) == 5, path

    run(tmp_path, story)


def test_s89_the_link_is_made_of_the_public_address_whatever_host_the_request_names(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = await platform.person("Ada")
        await platform.rooms_of(ada, count=3)
        headers = {"host": "evil.example", "x-forwarded-host": "evil.example", "x-forwarded-proto": "gopher"}
        answer = await platform.caller(ada, **headers).get("rooms", max="2", type="group")
        url = next_link(answer)
        assert url is not None
        assert url.startswith(f"{API_URL}/rooms?max=2&type=group&cursor=")
        assert "evil" not in answer.headers["link"]

    run(tmp_path, story)


def test_a_query_cannot_forge_a_second_link(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = await platform.person("Ada")
        await platform.rooms_of(ada, count=2)
        evil = '>; rel="next", <https://evil.example/>; rel="next\r\nx-evil: 1'
        answer = await platform.caller(ada).get("rooms", max="1", other=evil)
        assert "evil.example/>" not in answer.headers["link"]
        assert "x-evil" not in answer.headers

    run(tmp_path, story)


def test_max_is_cut_to_its_limit_and_refused_where_it_is_no_count(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = await platform.person("Ada")
        caller = platform.caller(ada)
        room_id = await caller.open_room()
        for _ in range(2):
            await caller.say(room_id, "x")
        for text, count in [("1", 1), ("01", 1), ("2", 2), ("1001", 2), ("9" * 5000, 2), ("null", 2), ("", 2)]:
            answer = await caller.get("messages", roomId=room_id, max=text)
            assert len(answer.json()["items"]) == count, text
        for text in ["0", "-1", "1.5", "1e3", "x", " 1", "+1", "٣", "0x10", "NaN", "null "]:
            for path in ("rooms", "memberships", f"messages?roomId={room_id}", "people?displayName=a"):
                join = "&" if "?" in path else "?"
                answer = await caller.client.get(f"{path}{join}{httpx2.QueryParams(max=text)}")
                status, message = refused(answer)
                assert (status, "'max'" in message) == (400, True), (path, text)

    run(tmp_path, story)


@pytest.mark.parametrize("cursor", [Cursor(uuid()), Cursor(uuid(), at=NOW), Cursor(uuid(), name='Ä "b" c\n&')])
def test_a_cursor_comes_back_as_it_was(cursor: Cursor) -> None:
    assert read_cursor({"cursor": write_cursor(cursor)}) == cursor


@pytest.mark.parametrize("text", ["x", "é", "=", "AAAA", "\ud800", "MjAyNiB4IHk", "A" * 50_000])
def test_a_cursor_that_was_not_made_here_is_refused(text: str) -> None:
    with pytest.raises(ApiError) as refusal:
        read_cursor({"cursor": text})
    assert refusal.value.status == 400

"""Unmodified clients of Webex, over a real socket: webexpythonsdk and wxc-sdk find here what they expect there."""

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from webexpythonsdk import ApiError, WebexAPI

from grantflow.storage.sqlite import SqliteEngine
from tests.resource_server.given import Account, Platform


@contextmanager
def served(path: Path) -> Iterator[Platform]:
    """A platform on a free port of loopback, served from a thread of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        engine = SqliteEngine.open(path / "platform.db")
        platform = Platform(engine, api_url=f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
        server = uvicorn.Server(uvicorn.Config(platform.app, lifespan="off", log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield platform
        finally:
            server.should_exit = True
            thread.join()
            asyncio.run(engine.close())


def people(platform: Platform, *names: str) -> list[Account]:
    async def add() -> list[Account]:
        return [await platform.person(name) for name in names]

    return asyncio.run(add())


def webexpythonsdk(platform: Platform, token: str) -> WebexAPI:
    return WebexAPI(access_token=token, base_url=f"{platform.api_url}/")


def test_webexpythonsdk_goes_through_every_call_that_it_has_for_what_is_served(tmp_path: Path) -> None:
    with served(tmp_path) as platform:
        ada, bob = people(platform, "Ada Lovelace", "Bob Noyce")
        api = webexpythonsdk(platform, ada.token)

        me = api.people.me()
        assert (me.id, me.emails, me.displayName, me.created.year) == (ada.id, [ada.email], "Ada Lovelace", 2026)
        assert api.people.get(bob.id).displayName == "Bob Noyce"
        assert [person.id for person in api.people.list(email=bob.email)] == [bob.id]
        assert [person.id for person in api.people.list(displayName="Ada", max=1)] == [ada.id]

        room = api.rooms.create("Engines")
        assert (api.rooms.get(room.id).title, room.isLocked) == ("Engines", False)
        assert api.rooms.update(room.id, title="Locked", isLocked=True).isLocked is True
        assert [each.title for each in api.rooms.list(type="group", sortBy="lastactivity")] == ["Locked"]

        membership = api.memberships.create(room.id, personEmail=bob.email)
        assert api.memberships.get(membership.id).personDisplayName == "Bob Noyce"
        assert api.memberships.update(membership.id, isModerator=True).isModerator is True
        assert {each.personId for each in api.memberships.list(roomId=room.id)} == {ada.id, bob.id}

        said = [api.messages.create(room.id, markdown=f"**{n}**") for n in range(5)]
        reply = api.messages.create(room.id, parentId=said[0].id, text="reply")
        direct = api.messages.create(toPersonEmail=bob.email, text="psst")
        assert [each.text for each in api.messages.list_direct(personId=bob.id)] == ["psst"]
        assert api.rooms.get(direct.roomId).title == "Bob Noyce"
        listed = [each.id for each in islice(api.messages.list(room.id, max=2), 50)]
        assert listed == [reply.id, *(message.id for message in reversed(said))]
        before = api.messages.list(room.id, before=said[2].created.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), max=1)
        assert [each.id for each in islice(before, 50)] == [said[1].id, said[0].id]
        assert [each.id for each in api.messages.list(room.id, parentId=said[0].id)] == [reply.id]
        assert api.messages.update(reply.id, room.id, text="changed").text == "changed"
        assert api.messages.get(reply.id).updated is not None

        api.messages.delete(reply.id)
        api.memberships.delete(membership.id)
        api.rooms.delete(room.id)
        assert [each.type for each in api.rooms.list()] == ["direct"]


def test_webexpythonsdk_pages_through_250_rooms(tmp_path: Path) -> None:
    with served(tmp_path) as platform:
        (ada,) = people(platform, "Ada")
        asyncio.run(platform.rooms_of(ada, count=250))
        api = webexpythonsdk(platform, ada.token)
        for query in ({}, {"max": 100, "sortBy": "created"}, {"max": 7, "type": "group", "sortBy": "lastactivity"}):
            assert len({room.id for room in api.rooms.list(**query)}) == 250, query


def test_webexpythonsdk_raises_its_own_error_with_our_message_and_tracking_id(tmp_path: Path) -> None:
    with served(tmp_path) as platform:
        (ada,) = people(platform, "Ada")
        api, stranger = webexpythonsdk(platform, ada.token), webexpythonsdk(platform, "None")
        room = api.rooms.create("x")
        refusals: list[tuple[Callable[[], Any], int, str]] = [
            (stranger.people.me, 401, "The request requires a valid access token"),
            (lambda: api.rooms.get(ada.uuid), 404, "Room not found"),
            (lambda: api.rooms.create(" "), 400, "Title cannot be empty."),
            (lambda: api.memberships.create(room.id, personId=ada.id), 409, "Person is already in the room."),
            (lambda: api.messages.create(room.id, text="x", files=["http://x.example/y"]), 400, "'files'"),
            (lambda: api.messages.create(room.id, text="x", files=[__file__]), 415, "multipart/form-data"),
            (lambda: list(api.people.list()), 400, "Email, displayName, or id list should be specified."),
            (lambda: api.teams.create("x"), 404, "The requested resource could not be found."),
        ]
        for call, status, message in refusals:
            with pytest.raises(ApiError) as refusal:
                call()
            error = refusal.value
            assert error.status_code == status
            assert message in error.message
            assert error.tracking_id.startswith("ROUTERGW_")
            assert error.tracking_id in str(error)


@pytest.mark.slow  # wxc-sdk takes seconds to import
@pytest.mark.skipif(sys.version_info >= (3, 14), reason="wxc-sdk is not for this Python")
def test_wxc_sdk_goes_through_every_call_that_it_has_for_what_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wxc_sdk import WebexSimpleApi
    from wxc_sdk.common import RoomType
    from wxc_sdk.rest import RestError, RestSession

    with served(tmp_path) as platform:
        ada, bob = people(platform, "Ada Lovelace", "Bob Noyce")
        asyncio.run(platform.rooms_of(ada, count=250))
        monkeypatch.setattr(RestSession, "BASE", platform.api_url)
        api = WebexSimpleApi(tokens=ada.token)

        assert api.people.me().person_id_uuid == ada.uuid
        assert api.people.details(person_id=bob.id).display_name == "Bob Noyce"
        assert [person.person_id for person in api.people.list(id_list=[bob.id])] == [bob.id]
        assert len({room.id for room in api.rooms.list()}) == 250

        room = api.rooms.create(title="Engines", description="d")
        room_id = str(room.id)
        room.title, room.is_locked = "Locked", True
        assert api.rooms.update(room).is_locked is True
        assert api.rooms.details(room_id).description == "d"

        membership = api.membership.create(room_id=room_id, person_id=bob.id)
        membership.is_moderator = True
        assert api.membership.update(membership).is_moderator is True
        assert len(list(api.membership.list(room_id=room_id, max=1))) == 2

        said = [api.messages.create(room_id=room_id, text=f"{n}") for n in range(5)]
        assert [each.text for each in islice(api.messages.list(room_id=room_id, max=2), 50)] == list("43210")
        assert said[2].created is not None
        assert [each.text for each in api.messages.list(room_id=room_id, before=said[2].created)] == ["1", "0"]
        assert api.messages.create(to_person_id=bob.id, markdown="*psst*").room_type == "direct"
        said[4].text = "changed"
        assert api.messages.edit(said[4]).text == "changed"
        api.messages.delete(str(said[0].id))

        with pytest.raises(RestError) as refusal:
            api.rooms.details(ada.uuid)
        detail = refusal.value.detail
        assert detail is not None
        assert (detail.message, detail.tracking_id.startswith("SIMPLE_")) == ("Room not found", True)
        api.rooms.delete(room_id)
        assert len(list(api.rooms.list(type_=RoomType("direct")))) == 1


def test_w04_webexpythonsdk_as_a_bot_answers_whoever_mentions_it(tmp_path: Path) -> None:
    with served(tmp_path) as platform:
        (ada,) = people(platform, "Ada Lovelace")
        bot = asyncio.run(platform.bot("LockBot"))
        person, its = webexpythonsdk(platform, ada.token), webexpythonsdk(platform, bot.token)
        me = its.people.me()
        assert (me.type, me.emails, me.displayName) == ("bot", ["lockbot@webex.bot"], "LockBot")
        assert list(its.rooms.list()) == []

        room = person.rooms.create("Engines")
        membership = person.memberships.create(room.id, personEmail="lockbot@webex.bot")
        assert [each.title for each in its.rooms.list()] == ["Engines"]
        person.messages.create(room.id, text="between us")
        asked = person.messages.create(room.id, markdown="<@personEmail:lockbot@webex.bot> lock the room")
        assert asked.mentionedPeople == [bot.id]
        (seen,) = its.messages.list(room.id, mentionedPeople="me")
        assert seen.text == "LockBot lock the room"
        its.messages.create(room.id, parentId=seen.id, markdown=f"Done, <@personId:{ada.id}|Ada>.")
        (answer,) = person.messages.list(room.id, parentId=asked.id)
        assert (answer.personEmail, answer.text) == ("lockbot@webex.bot", "Done, Ada.")
        with pytest.raises(ApiError, match="mentionedPeople=me"):
            list(its.messages.list(room.id))

        person.memberships.delete(membership.id)
        assert list(its.rooms.list()) == []


@pytest.mark.slow  # wxc-sdk takes seconds to import
@pytest.mark.skipif(sys.version_info >= (3, 14), reason="wxc-sdk is not for this Python")
def test_w02_wxc_sdk_as_an_administrator_ends_what_one_person_granted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wxc_sdk import WebexSimpleApi
    from wxc_sdk.rest import RestError, RestSession

    with served(tmp_path) as platform:
        scopes = "spark:people_read identity:tokens_read identity:tokens_write"
        grace = asyncio.run(platform.person("Grace Hopper", scopes=scopes, is_admin=True))
        ada, bob = people(platform, "Ada Lovelace", "Bob Noyce")
        monkeypatch.setattr(RestSession, "BASE", platform.api_url)
        api = WebexSimpleApi(tokens=grace.token)

        listed = api.authorizations.list(person_email=ada.email)
        assert [each.type for each in listed] == ["refresh", "access"]
        api.authorizations.delete(authorization_id=str(listed[0].id))
        assert api.authorizations.list(person_id=ada.id) == []
        with pytest.raises(ApiError, match="401"):
            webexpythonsdk(platform, ada.token).people.me()
        assert webexpythonsdk(platform, bob.token).people.me().displayName == "Bob Noyce"
        assert api.authorizations.get_token_expiration_status() > 1_700_000_000_000
        with pytest.raises(RestError):
            WebexSimpleApi(tokens=bob.token).authorizations.list(person_id=bob.id)
        api.authorizations.delete(client_id=platform.client_id)
        with pytest.raises(ApiError, match="401"):
            webexpythonsdk(platform, bob.token).people.me()

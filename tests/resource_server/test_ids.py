"""Ids as Webex writes them, and what is taken for one."""

import base64

import pytest

from grantflow.protocol.bearer import ApiError
from grantflow.resource_server.ids import Kind, read_id, read_membership_id, write_id, write_membership_id

PERSON = "f5b36187-c8dd-4727-8b2f-f9c447f29046"
ROOM = "bbceb1ad-43f1-3b58-9147-f14bb0c4d154"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_an_id_is_webex_s_own_form() -> None:
    # Both are printed in Webex's public documentation.
    assert write_id(Kind.PEOPLE, PERSON) == (
        "Y2lzY29zcGFyazovL3VzL1BFT1BMRS9mNWIzNjE4Ny1jOGRkLTQ3MjctOGIyZi1mOWM0NDdmMjkwNDY"
    )
    assert write_id(Kind.ROOM, ROOM) == ("Y2lzY29zcGFyazovL3VzL1JPT00vYmJjZWIxYWQtNDNmMS0zYjU4LTkxNDctZjE0YmIwYzRkMTU0")


@pytest.mark.parametrize(
    "text",
    [
        write_id(Kind.PEOPLE, PERSON),
        write_id(Kind.PEOPLE, PERSON) + "=",
        encoded(f"ciscospark://us/PEOPLE/{PERSON}"),
        encoded(f"ciscospark://urn:TEAM:eu-central-1_k/PEOPLE/{PERSON}"),
        encoded(f"ciscospark://us/PEOPLE/{PERSON.upper()}"),
        PERSON,
        PERSON.upper(),
    ],
)
def test_an_id_is_read_with_or_without_padding_from_any_region_and_as_a_bare_uuid(text: str) -> None:
    assert read_id(Kind.PEOPLE, text) == PERSON


@pytest.mark.parametrize(
    "text",
    [
        "",
        "me",
        "%",
        "é",
        "\0",
        "\ud800",
        "A",
        "=" * 10,
        PERSON[:-1],
        f"{{{PERSON}}}",
        PERSON.replace("-", ""),
        encoded(PERSON),
        encoded("ciscospark://us/PEOPLE/"),
        encoded("ciscospark://us/PEOPLE/1234"),
        encoded(f"http://us/PEOPLE/{PERSON}"),
        encoded(f"ciscospark://us/PEOPLE/{PERSON}/more"),
        base64.b64encode(b"ciscospark://us/PEOPLE/\xff\xfe").decode(),
        "A" * 100_000,
    ],
)
def test_what_is_no_id_is_refused_in_webex_s_words(text: str) -> None:
    with pytest.raises(ApiError) as refusal:
        read_id(Kind.PEOPLE, text)
    assert (refusal.value.status, refusal.value.message) == (400, "Expect base64 ID or UUID.")


def test_the_id_of_another_kind_is_refused_by_name() -> None:
    with pytest.raises(ApiError, match="400") as refusal:
        read_id(Kind.PEOPLE, write_id(Kind.ROOM, ROOM))
    assert refusal.value.message == "The id of a PEOPLE is expected here, and this is the id of a ROOM."


@pytest.mark.parametrize("text", [write_membership_id(PERSON, ROOM), f"{PERSON}:{ROOM}"])
def test_a_membership_s_id_names_person_and_room(text: str) -> None:
    assert read_membership_id(text) == (PERSON, ROOM)


@pytest.mark.parametrize(
    "text", [PERSON, f"{PERSON}:", f":{ROOM}", f"{PERSON}:{ROOM}:{ROOM}", write_id(Kind.MEMBERSHIP, PERSON)]
)
def test_half_a_membership_s_id_is_refused(text: str) -> None:
    with pytest.raises(ApiError):
        read_membership_id(text)

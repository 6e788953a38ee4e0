"""The pages against our own platform: what a connected person does, and what becomes of it on the other side."""

import asyncio

import httpx2
import pytest

from grantflow.client.pages.webex_calls import MESSAGE_LIMIT
from tests.client.pages.conftest import Both

pytestmark = pytest.mark.slow


def test_w04_w29_w30_a_message_is_posted_in_the_name_of_who_granted(both: Both) -> None:
    with both.person(0) as ada:
        assert ada.grant(f"{both.url}/connect") == f"{both.url}/granted"
        assert "You are connected, Ada Lovelace" in ada.page.words
        page = ada.press("Continue")
        assert "Connected as Ada Lovelace" in page.words
        assert "has just confirmed it" in page.words
        page = ada.press("Post message", text="  Guten Tag, <b>&amp;</b> 数学  ")
        assert (page.status, page.url.partition("?")[0]) == (200, f"{both.url}/")
        assert "Posted to “" in page.words
        assert "“Guten Tag, <b>&amp;</b> 数学”" in page.words
        assert both.authors_of("Guten Tag, <b>&amp;</b> 数学") == ["ada@example.com"]


def test_a_reload_of_the_page_after_posting_posts_nothing(both: Both) -> None:
    with both.person(0) as ada:
        both.connect(ada)
        ada.press("Post message", text="Only once")
        ada.open(ada.page.url)
        assert both.authors_of("Only once") == ["ada@example.com"]


@pytest.mark.parametrize("at_once", [False, True])
def test_a_form_that_is_sent_twice_posts_one_message_and_says_so(both: Both, at_once: bool) -> None:
    text = f"Once, please, {at_once}"
    with both.person(0) as ada:
        both.connect(ada)
        form = next(form for form in ada.page.forms if form.action == "/messages")
        filled = {**form.fields, "text": text}

        async def send(times: int) -> list[httpx2.Response]:
            async with httpx2.AsyncClient(cookies=ada._http.cookies, trust_env=False, timeout=60) as browser:
                sendings = [browser.post(f"{both.url}/messages", data=filled) for _ in range(times)]
                return list(await asyncio.gather(*sendings)) if at_once else [await sending for sending in sendings]

        answers = asyncio.run(send(5))
        assert sorted(answer.status_code for answer in answers) == [303, 409, 409, 409, 409]
        assert both.authors_of(text) == ["ada@example.com"]
        twice = next(answer for answer in answers if answer.status_code == 409)
        assert "This message was sent already" in twice.text
        assert text in twice.text, "whoever does want it twice presses the button again"
        both.connect(ada)
        assert "Posted to" in ada.press("Post message", text=text).words
        assert len(both.authors_of(text)) == 2


@pytest.mark.parametrize(
    ("filled", "told"),
    [
        ({"text": ""}, "Write a message first."),
        ({"text": " \n "}, "Write a message first."),
        ({"text": "ä" * 3_720}, "Shorten the message by 1 bytes: it may hold 7439."),
        ({"text": "Into nowhere", "space": "unknown"}, "Choose another space: you are no longer in that one."),
        ({"text": "Into nothing", "space": ""}, "Choose the space to post to."),
    ],
)
def test_a_message_that_cannot_be_posted_is_kept_with_the_reason_beside_it(
    both: Both, filled: dict[str, str], told: str
) -> None:
    with both.person(0) as ada:
        both.connect(ada)
        page = ada.press("Post message", **filled)
        assert page.status == 400
        assert page.words.count(told) == 2, "in the summary and beside the field"
        assert "Error: Connected as Ada Lovelace" in page.words
        assert filled["text"].strip() in page.text
        assert both.authors_of(filled["text"].strip()) == []


def test_the_longest_message_is_posted(both: Both) -> None:
    with both.person(0) as ada:
        both.connect(ada)
        longest = "x" * MESSAGE_LIMIT
        assert ada.press("Post message", text=longest).status == 200
        assert both.authors_of(longest) == ["ada@example.com"]


def test_w31_w32_with_a_dead_access_token_the_next_action_still_works(both: Both) -> None:
    with both.person(0) as ada:
        both.connect(ada)
        both.sql("UPDATE access_tokens SET expires_at = 1")
        assert "Posted to" in ada.press("Post message", text="After the end of the token").words
        assert both.authors_of("After the end of the token") == ["ada@example.com"]


def test_w02_w34_after_a_revocation_the_person_is_sent_through_the_flow_and_nothing_they_wrote_is_lost(
    both: Both,
) -> None:
    with both.person(1) as grace, both.person(2) as alan:
        both.connect(alan)
        both.connect(grace)
        opened = grace.page
        grace.open(f"{both.platform_url}/connected-apps")
        grace.press("Revoke")
        grace.press("Revoke")
        grace.page = opened
        page = grace.press("Post message", text="Half an hour's work")
        assert page.status == 409
        assert "Your grant has ended" in page.words
        assert "Half an hour's work" in page.words
        assert both.authors_of("Half an hour's work") == []
        grace.press("Grant again")
        assert "Sample" in grace.press("Accept").words
        assert "Connected as Grace Hopper" in grace.press("Go on where you were").words
        assert "Posted to" in grace.press("Post message", text="Half an hour's work").words
        assert "Connected as Alan Turing" in alan.open(both.url).words, "nobody else was touched"


def test_w02_disconnecting_ends_the_grant_at_the_platform_too(both: Both) -> None:
    with both.person(3) as katherine:
        both.connect(katherine)
        living = (
            "SELECT count(*) FROM refresh_tokens JOIN people ON people.id = person_id "
            "WHERE email = 'katherine@example.com' AND revoked_at IS NULL"
        )
        assert both.sql(living) == [(1,)]
        page = katherine.press("Disconnect")
        assert "Disconnected" in page.words
        assert "has confirmed that" in page.words
        assert both.sql(living) == [(0,)]
        assert "Connected as" not in katherine.open(both.url).words


def test_s22_a_form_that_is_not_the_persons_own_changes_nothing(both: Both) -> None:
    with both.person(0) as ada, both.person(2) as alan:
        both.connect(ada)
        both.connect(alan)
        theirs = next(form.fields["form_token"] for form in alan.page.forms if form.action == "/disconnect")
        cases: list[tuple[dict[str, str], dict[str, str], int]] = [
            ({}, {}, 400),
            ({"form_token": ""}, {}, 400),
            ({"form_token": theirs}, {}, 400),
            ({}, {"sec-fetch-site": "cross-site"}, 403),
            ({}, {"origin": "https://evil.example"}, 403),
        ]
        for fields, headers, status in cases:
            for path in ("/disconnect", "/messages"):
                answer = ada._http.post(both.url + path, data={"text": "forged", **fields}, headers=headers)
                assert answer.status_code == status, (path, fields, headers)
        assert both.authors_of("forged") == []
        assert "Connected as Ada Lovelace" in ada.open(both.url).words

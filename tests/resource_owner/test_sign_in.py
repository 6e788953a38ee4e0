"""Sign-in: the one place where a password is typed, and what it lets nobody learn, ride on or get around."""

import asyncio
import logging
import secrets
from datetime import timedelta
from pathlib import Path

import pytest

from grantflow.protocol.secret import Secret
from grantflow.resource_owner import assembly
from grantflow.resource_owner.passwords import PasswordPool
from grantflow.storage.failures import FailureStore
from grantflow.storage.times import milliseconds
from grantflow.web.throttle import Throttle
from tests.resource_owner.given import NOW, PASSWORD, House, form_of, run, text_of


def test_w24_the_sign_in_page_names_the_integration_and_helps_password_managers(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        client_id = await house.integration("LockBot")
        request_id = await house.question(client_id, login_hint="ada@sandbox.example")
        page = await house.browser().open(f"/signin?request={request_id}")
        assert page.status_code == 200
        assert "to continue to LockBot" in text_of(page)
        for attribute in (
            'autocomplete="username"',
            'autocomplete="current-password"',
            'value="ada@sandbox.example"',
            "data-show-password",
        ):
            assert attribute in page.text
        assert "LockBot never sees it" in text_of(page)
        assert "grantflow up" in text_of(page)

    run(tmp_path, story)


def test_s19_w24_after_signing_in_the_browser_goes_back_to_the_authorization_endpoint_by_303(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        await house.person()
        request_id = await house.question(await house.integration())
        browser = house.browser()
        answer = await browser.sign_in(f"/signin?request={request_id}")
        assert (answer.status_code, answer.headers["location"]) == (303, f"/v1/authorize?request={request_id}")
        assert browser.session
        assert PASSWORD not in answer.text

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("wanted", "reached"),
    [
        ("/connected-apps", "/connected-apps"),
        ("/connected-apps?page=2", "/connected-apps?page=2"),
        ("/connected-apps/revocation", "/connected-apps/revocation"),
        ("/connected-apps?q=A%20B%0A&scope.spark%3Aall=on", "/connected-apps?q=A%20B%0A&scope.spark%3Aall=on"),
        (f"/connected-apps?q={'x' * 2000}", "/connected-apps"),
        ("/connected-apps?q=a\r\nSet-Cookie: a=b", "/connected-apps"),
        ("/connected-apps?q=//evil.example", "/connected-apps"),
        ("/signin", "/connected-apps"),
        ("https://evil.example/", "/connected-apps"),
        ("//evil.example/", "/connected-apps"),
        ("/\\evil.example/", "/connected-apps"),
        ("/connected-apps/../../evil", "/connected-apps"),
        ("/connected-apps//evil.example", "/connected-apps"),
        ("/connected-apps@evil.example", "/connected-apps"),
        ("/connected-apps\r\nSet-Cookie: a=b", "/connected-apps"),
        ("javascript:alert(1)", "/connected-apps"),
        ("", "/connected-apps"),
    ],
)
def test_s99_next_leads_to_pages_of_our_own_alone(tmp_path: Path, wanted: str, reached: str) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in(await house.person())
        answer = await browser.client.get("/signin", params={"next": wanted})
        assert (answer.status_code, answer.headers["location"]) == (303, reached)

    run(tmp_path, story)


def test_next_is_kept_through_the_form(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        await house.person()
        answer = await house.browser().sign_in("/signin?next=/connected-apps/revocation")
        assert answer.headers["location"] == "/connected-apps/revocation"

    run(tmp_path, story)


def test_an_unknown_email_and_a_wrong_password_are_answered_alike(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        await house.person()
        pages = []
        for email in ("ada@sandbox.example", "nobody@sandbox.example"):
            page = await house.browser().sign_in("/signin", email=email, password="wrong password")
            assert page.status_code == 400
            pages.append(text_of(page))
            assert "Error:" in page.text.partition("</title>")[0]
            assert f'value="{email}"' in page.text
            assert "wrong password" not in page.text
        assert pages[0] == pages[1]
        assert "The email address or the password is not right." in pages[0]

    run(tmp_path, story)


def test_who_has_no_password_cannot_sign_in(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        person = await house.person()
        await house.save(
            "people", id="b", email="bot@sandbox.example", display_name="Bot", org_id=person.org_id, type="bot",
            created_at=0,
        )  # fmt: skip
        for password in ("", "x", PASSWORD):
            browser = house.browser()
            assert (await browser.sign_in("/signin", email="bot@sandbox.example", password=password)).status_code == 400
            assert browser.session is None

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("email", "password", "words"),
    [
        ("", PASSWORD, ["Enter your email address"]),
        ("ada@sandbox.example", "", ["Enter your password"]),
        (" ", "", ["Enter your email address", "Enter your password", "There are 2 problems"]),
    ],
)
def test_what_is_missing_is_said_at_the_top_and_beside_the_field(
    tmp_path: Path, email: str, password: str, words: list[str]
) -> None:
    async def story(house: House) -> None:
        page = await house.browser().sign_in("/signin", email=email, password=password)
        assert page.status_code == 400
        for said in words:
            assert said in text_of(page)

    run(tmp_path, story)


# --- sessions ----------------------------------------------------------------------------------------------------


def test_signing_in_begins_a_new_session_and_ends_the_one_the_browser_brought(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ada = await house.person()
        browser = await house.signed_in(ada)
        before = browser.session
        await browser.sign_in("/signin?switch=yes")
        assert browser.session not in (None, before)
        (row,) = await house.rows("SELECT * FROM sessions")
        assert row["token_hash"] == Secret(browser.session or "").digest()

    run(tmp_path, story)


def test_a_session_id_that_somebody_planted_is_never_taken_up(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        await house.person()
        browser = house.browser()
        browser.bring("planted")
        await browser.sign_in("/signin")
        assert browser.session != "planted"
        hashes = [row["token_hash"] for row in await house.rows("SELECT token_hash FROM sessions")]
        assert Secret("planted").digest() not in hashes

    run(tmp_path, story)


def test_a_session_lasts_twelve_hours(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        await house.person()
        browser = house.browser()
        answer = await browser.sign_in("/signin")
        assert "Max-Age=43200" in answer.headers["set-cookie"]
        house.now = NOW + timedelta(hours=12) - timedelta(milliseconds=1)
        assert (await browser.open("/connected-apps")).status_code == 200
        house.now = NOW + timedelta(hours=12)
        assert (await browser.open("/connected-apps")).headers["location"] == "/signin?next=%2Fconnected-apps"

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("base_url", "name", "secure"),
    [
        ("http://127.0.0.1:9000", "grantflow_platform_9000_session", False),
        ("https://platform.example", "__Host-grantflow_platform_session", True),
    ],
)
def test_s90_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(
    tmp_path: Path, base_url: str, name: str, secure: bool
) -> None:
    async def story(house: House) -> None:
        await house.person()
        answer = await house.browser().sign_in("/signin")
        cookie = next(line for line in answer.headers.get_list("set-cookie") if line.startswith(f"{name}="))
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert ("Secure" in cookie) is secure

    run(tmp_path, story, base_url=base_url)


def test_signing_out_needs_the_form_ends_the_session_and_clears_the_cookie(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in(await house.person())
        token = browser.session
        assert (await browser.open("/signout")).status_code == 405
        assert (await browser.open("/signout")).headers["allow"] == "POST"
        assert (await browser.client.post("/signout", data={"form_token": "x"})).status_code == 400
        assert await house.rows("SELECT 1 FROM sessions")
        menu = (await browser.open("/connected-apps")).text
        form_token = menu.partition('name="form_token" value="')[2].partition('"')[0]
        answer = await browser.client.post("/signout", data={"form_token": form_token})
        assert (answer.status_code, answer.headers["location"]) == (303, "/?signed-out=yes")
        assert not await house.rows("SELECT 1 FROM sessions")
        assert browser.session is None
        assert "You are signed out." in text_of(await browser.open("/?signed-out=yes"))
        browser.bring(token or "")
        assert (await browser.open("/connected-apps")).status_code == 303
        assert (await browser.client.post("/signout", data={"form_token": form_token})).status_code == 303

    run(tmp_path, story)


# --- forgery, two tabs, the way back --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "change", "status"),
    [
        ({}, {}, 303),
        ({"origin": "http://127.0.0.1:9000"}, {}, 303),
        ({"origin": "https://evil.example"}, {}, 403),
        ({"origin": "null"}, {}, 403),
        ({"sec-fetch-site": "cross-site"}, {}, 403),
        ({}, {"form_token": ""}, 400),
        ({}, {"form_token": "A" * 43}, 400),
    ],
)
def test_s22_a_sign_in_that_another_site_sends_is_refused(
    tmp_path: Path, headers: dict[str, str], change: dict[str, str], status: int
) -> None:
    async def story(house: House) -> None:
        await house.person()
        browser = house.browser()
        action, hidden = form_of(await browser.open("/signin"))
        fields = {**hidden, "email": "ada@sandbox.example", "password": PASSWORD, **change}
        answer = await browser.client.post(action, data=fields, headers=headers)
        assert answer.status_code == status
        assert (browser.session is not None) is (status == 303)

    run(tmp_path, story)


def test_a_form_of_another_browser_is_refused_and_leads_to_a_fresh_one(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        await house.person()
        request_id = await house.question(await house.integration())
        theirs = await house.browser().open(f"/signin?request={request_id}")
        answer = await house.browser().send(theirs, email="ada@sandbox.example", password=PASSWORD)
        assert answer.status_code == 400
        assert "This form has expired" in text_of(answer)
        assert f'href="/signin?request={request_id}"' in answer.text

    run(tmp_path, story)


def test_two_tabs_can_sign_in_one_after_the_other(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        await house.person()
        client_id = await house.integration()
        browser = house.browser()
        tabs = [await browser.open(f"/signin?request={await house.question(client_id)}") for _ in range(2)]
        for tab in tabs:
            answer = await browser.send(tab, email="ada@sandbox.example", password=PASSWORD)
            assert answer.status_code == 303
        assert len(await house.rows("SELECT 1 FROM sessions")) == 1

    run(tmp_path, story)


def test_the_way_back_to_sign_in_offers_to_go_on(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        request_id = await house.question(await house.integration())
        house.now = NOW + timedelta(seconds=5)
        browser = await house.signed_in(await house.person())
        page = await browser.open(f"/signin?request={request_id}")
        assert f'href="/v1/authorize?request={request_id}"' in page.text
        assert "Continue as Ada Lovelace" in text_of(page)

    run(tmp_path, story)


def test_who_must_sign_in_once_more_is_told_so_and_not_sent_in_circles(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in(await house.person())
        house.now = NOW + timedelta(seconds=5)
        page = await browser.open(f"/signin?request={await house.question(await house.integration())}")
        assert "LockBot asks you to sign in once more" in text_of(page)
        assert "/v1/authorize" not in page.text
        assert 'value="ada@sandbox.example"' in page.text

    run(tmp_path, story)


def test_not_you_signs_another_account_in_for_the_same_request(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ada, grace = await house.person(), await house.person("grace@sandbox.example", "Grace Hopper")
        request_id = await house.question(await house.integration())
        browser = await house.signed_in(ada)
        consent = await browser.open(f"/consent?request={request_id}")
        switch = f"/signin?request={request_id}&switch=yes"
        assert switch.replace("&", "&amp;") in consent.text
        answer = await browser.sign_in(switch, email=grace.email)
        assert answer.headers["location"] == f"/v1/authorize?request={request_id}"
        (row,) = await house.rows("SELECT person_id FROM sessions")
        assert row["person_id"] == grace.id

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("changed", "status", "title"),
    [
        ({"expires_at": milliseconds(NOW)}, 410, "This request has expired"),
        ({"answered_at": milliseconds(NOW)}, 409, "You have answered this already"),
    ],
)
def test_a_request_that_is_over_gets_a_page_with_a_way_on(
    tmp_path: Path, changed: dict[str, object], status: int, title: str
) -> None:
    async def story(house: House) -> None:
        await house.person()
        client_id = await house.integration()
        request_id = await house.question(client_id)
        browser = house.browser()
        form = await browser.open(f"/signin?request={request_id}")
        over = await house.question(client_id, **changed)
        for page in (
            await browser.open(f"/signin?request={over}"),
            await browser.client.post(
                f"/signin?request={over}",
                data={**form_of(form)[1], "email": "ada@sandbox.example", "password": PASSWORD},
            ),
        ):
            assert page.status_code == status
            assert title in text_of(page)
            assert 'href="http://localhost:8000/"' in page.text
            assert 'href="/connected-apps"' in page.text
        assert browser.session is None

    run(tmp_path, story)


def test_an_unknown_request_gets_a_page_with_a_way_on(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        page = await house.browser().open("/signin?request=made-up")
        assert page.status_code == 404
        assert "We do not know this request" in text_of(page)
        assert 'href="/connected-apps"' in page.text

    run(tmp_path, story)


# --- guessing ----------------------------------------------------------------------------------------------------


def test_s51_guessing_is_slowed_and_the_right_person_from_elsewhere_is_not(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        await house.person()
        guesser = house.browser("192.0.2.1")
        for _ in range(5):
            assert (await guesser.sign_in("/signin", password="wrong password")).status_code == 400
        refused = await guesser.sign_in("/signin", password=PASSWORD)
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        assert "Wait 1 second" in text_of(refused)
        assert guesser.session is None
        assert (await house.browser("198.51.100.7").sign_in("/signin")).status_code == 303
        house.now = NOW + timedelta(seconds=1)
        assert (await guesser.sign_in("/signin", password=PASSWORD)).status_code == 303
        left = await house.rows("SELECT count FROM failures WHERE address = '192.0.2.1'")
        assert [row["count"] for row in left] == [5]  # of the address; those of the account are forgotten

    run(tmp_path, story)


def test_s51_guesses_sent_all_at_once_do_not_outrun_the_throttle(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        await house.person()
        browser = house.browser()
        page = await browser.open("/signin")
        answers = await asyncio.gather(
            *(browser.send(page, email="ada@sandbox.example", password=f"guess number {n}") for n in range(20))
        )
        looked_at = sum(answer.status_code == 400 for answer in answers)
        assert looked_at <= 5 + 2
        assert sum(answer.status_code == 429 for answer in answers) == 20 - looked_at

    run(tmp_path, story)


def test_s51_one_address_that_tries_many_accounts_is_slowed_too(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        await house.person()
        flood = Throttle(FailureStore(house.engine), what="person")
        for _ in range(100):
            await flood.failed("*", address="192.0.2.1", now=NOW)
        assert (await house.browser("192.0.2.1").sign_in("/signin")).status_code == 429
        assert (await house.browser("192.0.2.2").sign_in("/signin")).status_code == 303

    run(tmp_path, story)


def test_where_too_many_wait_the_next_is_asked_to_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "PasswordPool", lambda: PasswordPool(threads=1, queue=0))

    async def story(house: House) -> None:
        await house.person()
        browsers = [house.browser(f"192.0.2.{n}") for n in range(3)]
        answers = await asyncio.gather(*(browser.sign_in("/signin") for browser in browsers))
        assert sorted(answer.status_code for answer in answers) == [303, 503, 503]
        busy = next(answer for answer in answers if answer.status_code == 503)
        assert busy.headers["retry-after"] == "5"

    run(tmp_path, story)


# --- secrets and markup --------------------------------------------------------------------------------------------


def test_w01_the_password_is_kept_nowhere_and_logged_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    typed_wrongly = "one wrong password " + secrets.token_hex(8)
    secret = [PASSWORD, typed_wrongly]

    async def story(house: House) -> None:
        await house.person()
        browser = house.browser()
        await browser.sign_in("/signin", password=typed_wrongly)
        await browser.sign_in("/signin", email=typed_wrongly, password=typed_wrongly)
        await browser.sign_in("/signin")
        assert browser.session
        secret.append(browser.session)
        kept = b"".join(map(Path.read_bytes, house.files))
        assert b"ada@sandbox.example" in kept
        for text in secret:
            assert text.encode() not in kept
            assert text not in caplog.text

    run(tmp_path, story)


def test_s31_markup_in_what_was_typed_or_named_stays_text(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        markup = '"><script>alert(1)</script>'
        client_id = await house.integration(f"Bad {markup}")
        request_id = await house.question(client_id, login_hint=markup)
        browser = house.browser()
        pages = [
            await browser.open(f"/signin?request={request_id}"),
            await browser.sign_in(f"/signin?request={request_id}", email=markup, password=markup),
            await browser.client.get("/signin", params={"next": markup}),
            await browser.client.get("/signin", params={"request": markup}),
        ]
        for page in pages:
            assert "<script>" not in page.text

    run(tmp_path, story)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_a_wrong_method_is_told_the_right_ones(tmp_path: Path, method: str) -> None:
    async def story(house: House) -> None:
        answer = await house.browser().client.request(method, "/signin")
        assert answer.status_code == 405
        assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}

    run(tmp_path, story)

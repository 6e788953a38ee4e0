"""Consent: who asks, for what and for how long, and an answer that counts once, for one person and one request."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from grantflow.protocol.scope import KMS, MEANINGS, Scopes
from grantflow.protocol.secret import Secret
from grantflow.resource_owner.records import Decision, Question
from grantflow.resource_owner.standing import Standing, standing
from grantflow.storage.consents import ConsentStore
from grantflow.storage.times import milliseconds
from tests.resource_owner.given import NOW, REDIRECT_URI, SCOPES, House, form_of, run, text_of


def test_w24_s24_the_prompt_says_who_asks_for_what_for_how_long_and_where_the_answer_goes(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        grace = await house.person("grace@sandbox.example", "Grace Hopper")
        request_id = await house.question(await house.integration("LockBot", owner=grace))
        browser = await house.signed_in(await house.person())
        page = await browser.open(f"/consent?request={request_id}")
        words = text_of(page)
        for said in (
            "LockBot asks for access",
            "Published by Grace Hopper",
            "Unverified publisher",
            "See who you are, and look up people in your organization",
            "See the titles of the spaces that you are in",
            "Post and delete messages in your name",
            "Ada Lovelace, ada @sandbox .example",
            "Not you?",
            "localhost:8000",
            "Until you revoke it under Connected apps , or until it has not been used for 90 days",
            "Only ask when requesting new permissions",
        ):
            assert said in words
        assert "encrypted" not in words
        assert "spark:kms" not in page.text
        assert 'name="remember" value="on" checked' in page.text

    run(tmp_path, story)


def test_an_integration_without_publisher_is_shown_as_the_sandboxs_own(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        request_id = await house.question(await house.integration("LockBot"))
        words = text_of(await (await house.signed_in(await house.person())).open(f"/consent?request={request_id}"))
        assert "Sandbox app" in words
        assert "Published by" not in words

    run(tmp_path, story)


def test_accept_and_decline_are_alike_in_size(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        request_id = await house.question(await house.integration())
        page = await (await house.signed_in(await house.person())).open(f"/consent?request={request_id}")
        row = page.text.partition('<div class="actions actions-equal">')[2].partition("</form>")[0]
        assert row.count("<button ") == 2
        assert 'name="decision" value="accept"' in row
        assert 'name="decision" value="decline"' in row

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("scopes", "allowed", "said", "unsaid"),
    [
        (SCOPES, None, ["If you accept, it can"], ["What you granted before", "asks for more"]),
        (
            SCOPES,
            "spark:people_read spark:rooms_read spark:kms",
            ["asks for more access", "New: it could also Post and delete", "What you granted before (2) See who"],
            ["If you accept"],
        ),
        ("spark:people_read", SCOPES, ["You granted all of this before", "See who you are"], ["New:", "Post and"]),
        ("spark:devices_read", None, ["devices read"], []),
        ("spark:kms", None, ["no access to your data"], ["encrypted"]),
    ],
)
def test_what_is_new_is_set_apart_from_what_was_allowed_before(
    tmp_path: Path, scopes: str, allowed: str | None, said: list[str], unsaid: list[str]
) -> None:
    async def story(house: House) -> None:
        ada = await house.person()
        client_id = await house.integration()
        if allowed:
            await house.grant(ada, client_id, scopes=allowed)
        await house.grant(await house.person("grace@sandbox.example", "Grace"), client_id, scopes=SCOPES)
        await house.grant(ada, await house.integration("Another"), scopes=SCOPES)
        await house.grant(ada, client_id, scopes=SCOPES, revoked_at=milliseconds(NOW))
        request_id = await house.question(client_id, scopes=scopes)
        words = text_of(await (await house.signed_in(ada)).open(f"/consent?request={request_id}"))
        for some in said:
            assert some in words
        for some in unsaid:
            assert some not in words

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("redirect_uri", "sources"),
    [
        ("http://localhost:8000/oauth", "'self' http://localhost:8000 http: https:"),
        ("https://lockbot.example/oauth?a=1", "'self' https://lockbot.example https:"),
        ("mydemoapp://oauth", "'self' mydemoapp:"),
    ],
)
def test_the_browser_may_follow_the_answer_to_the_redirect_uri(tmp_path: Path, redirect_uri: str, sources: str) -> None:
    async def story(house: House) -> None:
        request_id = await house.question(await house.integration(), redirect_uri=redirect_uri)
        browser = await house.signed_in(await house.person())
        for path in ("/consent", "/signin"):
            page = await browser.open(f"{path}?request={request_id}")
            assert f"form-action {sources};" in page.headers["content-security-policy"]
        assert "form-action 'self';" in (await browser.open("/signin?switch=yes")).headers["content-security-policy"]

    run(tmp_path, story)


# --- the answer --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "decision", "remember"),
    [
        ({"decision": "accept", "remember": "on"}, "accepted", 1),
        ({"decision": "accept"}, "accepted", 0),
        ({"decision": "decline", "remember": "on"}, "declined", 0),
        ({"decision": "decline"}, "declined", 0),
    ],
)
def test_w24_w25_s19_the_answer_is_kept_and_the_authorization_endpoint_goes_on_by_303(
    tmp_path: Path, fields: dict[str, str], decision: str, remember: int
) -> None:
    async def story(house: House) -> None:
        ada = await house.person()
        request_id = await house.question(await house.integration())
        browser = await house.signed_in(ada)
        answer = await browser.send(await browser.open(f"/consent?request={request_id}"), **fields)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/v1/authorize?request={request_id}")
        row = await house.stored(request_id)
        assert (row["decision"], row["decided_by"], row["remember"]) == (decision, ada.id, remember)
        assert row["answered_at"] is None

    run(tmp_path, story)


def test_a_form_with_neither_answer_grants_nothing_and_leads_back(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        request_id = await house.question(await house.integration())
        browser = await house.signed_in(await house.person())
        page = await browser.open(f"/consent?request={request_id}")
        for fields in ({}, {"decision": "maybe"}):
            answer = await browser.send(page, **fields)
            assert answer.status_code == 400
            assert f'href="/consent?request={request_id}"' in answer.text
        assert (await house.stored(request_id))["decision"] is None

    run(tmp_path, story)


def test_s22_consent_is_bound_to_the_session_and_to_the_request(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ada, mallory = await house.person(), await house.person("mallory@sandbox.example", "Mallory")
        client_id = await house.integration()
        request_id, other_id = await house.question(client_id), await house.question(client_id)
        adas, mallorys = await house.signed_in(ada), await house.signed_in(mallory)
        _, of_mallory = form_of(await mallorys.open(f"/consent?request={request_id}"))
        _, of_other_request = form_of(await adas.open(f"/consent?request={other_id}"))
        _, own = form_of(await adas.open(f"/consent?request={request_id}"))
        cases: list[tuple[dict[str, str], dict[str, str], int]] = [
            (of_mallory, {}, 400),
            (of_other_request, {}, 400),
            ({}, {}, 400),
            (own, {"origin": "https://evil.example"}, 403),
            (own, {"sec-fetch-site": "same-site"}, 403),
        ]
        for hidden, headers, status in cases:
            answer = await adas.client.post(
                f"/consent?request={request_id}", data={**hidden, "decision": "accept"}, headers=headers
            )
            assert answer.status_code == status
        signed_out = await house.browser().client.post(
            f"/consent?request={request_id}", data={**own, "decision": "accept"}
        )
        assert signed_out.status_code == 400
        assert (await house.stored(request_id))["decision"] is None

    run(tmp_path, story)


def test_a_form_that_was_open_while_another_account_signed_in_grants_nothing(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        await house.person()
        grace = await house.person("grace@sandbox.example", "Grace Hopper")
        request_id = await house.question(await house.integration())
        browser = house.browser()
        await browser.sign_in("/signin")
        page = await browser.open(f"/consent?request={request_id}")
        await browser.sign_in("/signin?switch=yes", email=grace.email)
        answer = await browser.send(page, decision="accept")
        assert answer.status_code == 400
        assert "This form has expired" in text_of(answer)
        assert f'href="/consent?request={request_id}"' in answer.text
        assert (await house.stored(request_id))["decision"] is None

    run(tmp_path, story)


@pytest.mark.parametrize(("first", "second"), [("accept", "accept"), ("accept", "decline"), ("decline", "accept")])
def test_a_double_click_or_a_second_tab_answers_once_and_the_first_answer_counts(
    tmp_path: Path, first: str, second: str
) -> None:
    async def story(house: House) -> None:
        request_id = await house.question(await house.integration())
        browser = await house.signed_in(await house.person())
        tabs = [await browser.open(f"/consent?request={request_id}") for _ in range(2)]
        for tab, decision in zip(tabs, (first, second), strict=True):
            answer = await browser.send(tab, decision=decision)
            assert (answer.status_code, answer.headers["location"]) == (303, f"/v1/authorize?request={request_id}")
        assert (await house.stored(request_id))["decision"] == {"accept": "accepted", "decline": "declined"}[first]

    run(tmp_path, story)


def test_of_many_answers_at_once_exactly_one_is_recorded(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ada = await house.person()
        request_id = await house.question(await house.integration())
        recorded = await asyncio.gather(
            *(
                ConsentStore(house.engine).decide(
                    Secret(request_id).digest(),
                    person_id=ada.id,
                    decision=Decision.ACCEPTED if n % 2 else Decision.DECLINED,
                    remember=False,
                    now=NOW,
                )
                for n in range(20)
            )
        )
        assert recorded.count(True) == 1

    run(tmp_path, story)


# --- questions that take no answer -----------------------------------------------------------------------------------

ADA, GRACE = "ada's id", "grace's id"


@pytest.mark.parametrize(
    ("decision", "decided_by", "answered", "age", "person", "stands"),
    [
        (None, None, False, 0, ADA, Standing.OPEN),
        (None, None, False, 599, ADA, Standing.OPEN),
        (None, None, False, 600, ADA, Standing.EXPIRED),
        (None, None, True, 0, ADA, Standing.ANSWERED),
        (None, None, True, 601, ADA, Standing.ANSWERED),
        (Decision.ACCEPTED, ADA, False, 0, ADA, Standing.DECIDED),
        (Decision.DECLINED, ADA, False, 0, ADA, Standing.DECIDED),
        (Decision.ACCEPTED, ADA, False, 601, ADA, Standing.EXPIRED),
        (Decision.ACCEPTED, ADA, True, 0, ADA, Standing.ANSWERED),
        (Decision.ACCEPTED, ADA, False, 0, GRACE, Standing.SOMEBODY_ELSES),
        (Decision.ACCEPTED, ADA, True, 601, GRACE, Standing.SOMEBODY_ELSES),
        (Decision.ACCEPTED, ADA, True, 0, None, Standing.ANSWERED),
        (Decision.ACCEPTED, ADA, False, 0, None, Standing.DECIDED),
    ],
)
def test_where_a_question_stands(
    decision: Decision | None, decided_by: str | None, answered: bool, age: int, person: str | None, stands: Standing
) -> None:
    question = Question(
        client_id="C1",
        app="LockBot",
        publisher=None,
        site_url=None,
        scopes=Scopes(),
        redirect_uri=REDIRECT_URI,
        login_hint=None,
        created_at=NOW,
        expires_at=NOW + timedelta(minutes=10),
        allowed=Scopes(),
        decision=decision,
        decided_by=decided_by,
        answered_at=NOW if answered else None,
    )
    assert standing(question, person, now=NOW + timedelta(seconds=age)) is stands


@pytest.mark.parametrize(
    ("changed", "by_grace", "status", "title"),
    [
        ({"expires_at": milliseconds(NOW)}, False, 410, "This request has expired"),
        ({"answered_at": milliseconds(NOW)}, False, 409, "You have answered this already"),
        ({"decision": "accepted"}, True, 403, "Another account answered this"),
    ],
)
def test_a_question_that_takes_no_answer_gets_a_page_with_a_way_on(
    tmp_path: Path, changed: dict[str, object], by_grace: bool, status: int, title: str
) -> None:
    async def story(house: House) -> None:
        ada, grace = await house.person(), await house.person("grace@sandbox.example", "Grace Hopper")
        client_id = await house.integration()
        browser = await house.signed_in(ada)
        still_open = await browser.open(f"/consent?request={await house.question(client_id)}")
        over = await house.question(client_id, **changed, decided_by=grace.id if by_grace else None)
        page = await browser.open(f"/consent?request={over}")
        assert page.status_code == status
        assert title in text_of(page)
        assert 'href="http://localhost:8000/"' in page.text
        assert 'href="/connected-apps"' in page.text
        assert "<button type=submit" not in page.text
        assert form_of(still_open)[0] not in page.text

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("sql", "status", "title"),
    [
        ("UPDATE authorization_requests SET expires_at = created_at", 410, "This request has expired"),
        ("UPDATE authorization_requests SET answered_at = 1", 409, "You have answered this already"),
        (
            "UPDATE authorization_requests SET decision = 'accepted', "
            "decided_by = (SELECT id FROM people WHERE email LIKE 'grace%')",
            403,
            "Another account answered this",
        ),
        ("DELETE FROM authorization_requests", 404, "We do not know this request"),
    ],
)
def test_an_answer_that_comes_too_late_changes_nothing_and_is_told_so(
    tmp_path: Path, sql: str, status: int, title: str
) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in(await house.person())
        await house.person("grace@sandbox.example", "Grace Hopper")
        request_id = await house.question(await house.integration())
        form = await browser.open(f"/consent?request={request_id}")
        await house.change(sql)
        before = await house.rows("SELECT * FROM authorization_requests")
        answer = await browser.send(form, decision="decline")
        assert answer.status_code == status
        assert title in text_of(answer)
        assert [tuple(row) for row in await house.rows("SELECT * FROM authorization_requests")] == [
            tuple(row) for row in before
        ]

    run(tmp_path, story)


def test_the_way_back_after_an_answer_goes_forward_again(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        request_id = await house.question(await house.integration())
        browser = await house.signed_in(await house.person())
        await browser.send(await browser.open(f"/consent?request={request_id}"), decision="accept")
        again = await browser.open(f"/consent?request={request_id}")
        assert (again.status_code, again.headers["location"]) == (303, f"/v1/authorize?request={request_id}")

    run(tmp_path, story)


def test_who_is_not_signed_in_is_sent_to_the_authorization_endpoint_which_decides(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        request_id = await house.question(await house.integration())
        answer = await house.browser().open(f"/consent?request={request_id}")
        assert (answer.status_code, answer.headers["location"]) == (303, f"/v1/authorize?request={request_id}")

    run(tmp_path, story)


def test_s31_an_integration_cannot_write_markup_or_odd_links_into_the_prompt(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        name = "<b>Bank</b> <script>alert(1)</script>"
        client_id = await house.integration(name, site_url="javascript:alert(1)")
        browser = await house.signed_in(await house.person())
        page = await browser.open(f"/consent?request={await house.question(client_id, scopes='x:<i>y</i>')}")
        assert "<script>alert" not in page.text
        assert "<b>Bank" not in page.text
        assert "<i>y" not in page.text
        over = await browser.open(f"/consent?request={await house.question(client_id, answered_at=1)}")
        assert "javascript:" not in over.text

    run(tmp_path, story)


def test_s24_every_scope_that_is_asked_for_is_named_in_its_own_words(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        client_id = await house.integration()
        request_id = await house.question(client_id, scopes=" ".join(MEANINGS))
        browser = await house.signed_in(await house.person())
        words = text_of(await browser.open(f"/consent?request={request_id}"))
        for scope, meaning in MEANINGS.items():
            assert (meaning in words) is (scope != KMS), scope

    run(tmp_path, story)

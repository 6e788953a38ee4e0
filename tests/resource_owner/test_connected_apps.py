"""Connected apps: one grant can be taken away without touching any other, by its own person alone, at once."""

from pathlib import Path
from uuid import uuid4

import pytest

from grantflow.storage import connected_apps
from grantflow.storage.times import milliseconds
from tests.resource_owner.given import NOW, House, form_of, run, text_of


async def revoked(house: House) -> set[str]:
    """The ids of the grants that have ended."""
    return {row["id"] for row in await house.rows("SELECT id FROM grants WHERE revoked_at IS NOT NULL")}


def test_the_page_says_what_each_app_may_do_since_when_and_when_it_was_last_used(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ada = await house.person()
        grace = await house.person("grace@sandbox.example", "Grace Hopper")
        await house.grant(ada, await house.integration("LockBot", owner=grace))
        await house.grant(ada, await house.integration("Gone"), revoked_at=milliseconds(NOW))
        await house.grant(grace, await house.integration("Grace's own"))
        page = await (await house.signed_in(ada)).open("/connected-apps")
        words = text_of(page)
        for said in (
            "LockBot",
            "Published by Grace Hopper",
            "See who you are",
            "Post and delete messages in your name",
            "Connected 20 Nov 2026, 12:00 UTC , last used 23 Nov 2026, 11:55 UTC",
        ):
            assert said in words
        for unsaid in ("Gone", "Grace's own", "encrypted", "Revoke all"):
            assert unsaid not in words

    run(tmp_path, story)


def test_where_nothing_is_connected_the_page_says_so(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in(await house.person())
        assert "Nothing is connected" in text_of(await browser.open("/connected-apps"))
        assert (await browser.open("/connected-apps/revocation")).headers["location"] == "/connected-apps"

    run(tmp_path, story)


def test_w02_revoking_one_grant_touches_no_other_of_this_person_or_of_anybody_else(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ada, grace = await house.person(), await house.person("grace@sandbox.example", "Grace Hopper")
        lockbot, standup = await house.integration("LockBot"), await house.integration("Standup")
        target = await house.grant(ada, lockbot)
        await house.grant(ada, standup)
        await house.grant(grace, lockbot)
        browser = await house.signed_in(ada)

        asked = await browser.open(f"/connected-apps/{target}/revocation")
        assert "Revoke access of LockBot?" in text_of(asked)
        assert "Post and delete messages" in text_of(asked)
        assert await revoked(house) == set()

        answer = await browser.send(asked)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/connected-apps?revoked={target}")
        assert await revoked(house) == {target}
        (row,) = await house.rows("SELECT revoked_at, version FROM grants WHERE id = :id", id=target)
        assert (row["revoked_at"], row["version"]) == (milliseconds(NOW), 2)

        told = text_of(await browser.open(answer.headers["location"]))
        assert "LockBot can no longer act for you" in told
        assert "Standup" in told

    run(tmp_path, story)


def test_w02_revoking_all_ends_all_of_this_person_and_nobody_elses(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ada, grace = await house.person(), await house.person("grace@sandbox.example", "Grace Hopper")
        lockbot, standup = await house.integration("LockBot"), await house.integration("Standup")
        adas = {await house.grant(ada, client_id) for client_id in (lockbot, standup)}
        await house.grant(grace, lockbot)
        browser = await house.signed_in(ada)
        asked = await browser.open("/connected-apps/revocation")
        for said in ("All 2 apps", "LockBot", "Standup"):
            assert said in text_of(asked)
        answer = await browser.send(asked)
        assert (answer.status_code, answer.headers["location"]) == (303, "/connected-apps?revoked=all")
        assert await revoked(house) == adas
        told = text_of(await browser.open("/connected-apps?revoked=all"))
        assert "All access was revoked" in told
        assert "Nothing is connected" in told

    run(tmp_path, story)


def test_w02_nobody_else_can_see_or_revoke_a_grant(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ada, mallory = await house.person(), await house.person("mallory@sandbox.example", "Mallory")
        client_id = await house.integration()
        target, own = await house.grant(ada, client_id), await house.grant(mallory, client_id)
        browser = await house.signed_in(mallory)
        _, hidden = form_of(await browser.open(f"/connected-apps/{own}/revocation"))
        for answer in (
            await browser.open(f"/connected-apps/{target}/revocation"),
            await browser.client.post(f"/connected-apps/{target}/revocation", data=hidden),
            await browser.open(f"/connected-apps/{uuid4()}/revocation"),
            await browser.open("/connected-apps/made-up/revocation"),
        ):
            assert answer.status_code == 404
            assert "LockBot" not in answer.text
        assert "was revoked" not in text_of(await browser.open(f"/connected-apps?revoked={target}"))
        store = connected_apps.ConnectedAppStore(house.engine)
        assert not await store.revoke(target, person_id=mallory.id, now=NOW)
        assert await revoked(house) == set()

    run(tmp_path, story)


@pytest.mark.parametrize("path", ["/connected-apps/revocation", "/connected-apps/{grant}/revocation"])
def test_s22_revoking_needs_the_persons_own_form(tmp_path: Path, path: str) -> None:
    async def story(house: House) -> None:
        ada = await house.person()
        client_id = await house.integration()
        where = path.format(grant=await house.grant(ada, client_id))
        await house.grant(ada, await house.integration("Standup"))
        browser, other = await house.signed_in(ada), await house.signed_in(ada)
        _, of_other_session = form_of(await other.open(where))
        _, own = form_of(await browser.open(where))
        for hidden, headers, status in (
            ({"form_token": "x"}, {}, 400),
            (of_other_session, {}, 400),
            (own, {"origin": "https://evil.example"}, 403),
        ):
            assert (await browser.client.post(where, data=hidden, headers=headers)).status_code == status
        expired = await house.browser().client.post(where, data=own)
        assert expired.status_code == 400
        assert f'href="{where}"' in expired.text
        assert await revoked(house) == set()

    run(tmp_path, story)


def test_revoking_twice_says_the_same_and_changes_nothing_more(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ada = await house.person()
        target = await house.grant(ada, await house.integration())
        browser = await house.signed_in(ada)
        asked = await browser.open(f"/connected-apps/{target}/revocation")
        first = await browser.send(asked)
        second = await browser.send(asked)
        back = await browser.open(f"/connected-apps/{target}/revocation")
        assert first.headers["location"] == second.headers["location"] == back.headers["location"]
        (row,) = await house.rows("SELECT version FROM grants")
        assert row["version"] == 2

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("all", "Connected apps Who may act"),
        ("{grant}", "Connected apps Who may act"),
        ("made-up", "Connected apps Who may act"),
    ],
)
def test_a_made_up_link_does_not_make_the_page_claim_a_revocation(tmp_path: Path, told: str, words: str) -> None:
    async def story(house: House) -> None:
        ada = await house.person()
        grant = await house.grant(ada, await house.integration())
        page = await (await house.signed_in(ada)).open(f"/connected-apps?revoked={told.format(grant=grant)}")
        assert words in text_of(page)
        assert "revoked" not in text_of(page)

    run(tmp_path, story)


@pytest.mark.parametrize("path", ["/connected-apps", "/connected-apps/revocation"])
def test_who_is_not_signed_in_signs_in_first_and_comes_back(tmp_path: Path, path: str) -> None:
    async def story(house: House) -> None:
        await house.person()
        browser = house.browser()
        sent = await browser.open(path)
        assert sent.status_code == 303
        answer = await browser.sign_in(sent.headers["location"])
        assert answer.headers["location"] == path

    run(tmp_path, story)


PAGES = [
    ("", 50, "App 000"),
    ("?page=2", 50, "App 050"),
    ("?page=3", 20, "App 100"),
    ("?page=x", 50, "App 000"),
    ("?page=-1", 50, "App 000"),
    ("?page=0", 50, "App 000"),
    ("?page=²", 50, "App 000"),
]


def test_many_apps_are_shown_fifty_a_page_last_used_first(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ada = await house.person()
        for n in range(120):
            await house.grant(ada, await house.integration(f"App {n:03}"), last_used_at=1_000_000 - n)
        browser = await house.signed_in(ada)
        for query, shown, first in PAGES:
            words = text_of(await browser.open(f"/connected-apps{query}"))
            assert words.count("Connected 20 Nov") == shown
            assert words.index(first) == words.index("App ")
        assert (await browser.open("/connected-apps?page=99")).headers["location"] == "/connected-apps?page=3"
        assert "and 70 more" in text_of(await browser.open("/connected-apps/revocation"))

    run(tmp_path, story)


@pytest.mark.parametrize("sql", [connected_apps._CONNECTED, connected_apps._COUNT, connected_apps._REVOKE_ALL])
def test_a_persons_grants_are_found_by_an_index(tmp_path: Path, sql: str) -> None:
    async def story(house: House) -> None:
        plan = await house.rows(f"EXPLAIN QUERY PLAN {sql}", person_id="p", size=50, offset=0, now=0)
        assert any("living_grants (person_id=?" in row["detail"] for row in plan)
        assert not any(row["detail"].startswith("SCAN") for row in plan)

    run(tmp_path, story)

"""Administration: an administrator takes away one grant, all of one person's, or all of one integration's, alone."""

import logging
from pathlib import Path
from uuid import uuid4

import pytest

from grantflow.cli.log import redacted
from grantflow.resource_owner import administration, administration_endings
from grantflow.resource_owner.records import Person
from grantflow.storage.administration import AdministrationStore
from grantflow.storage.connected_apps import ConnectedAppStore
from grantflow.web.audit import note_all_to_an_app_ended, note_grant_ended, note_token_ended
from tests.resource_owner.given import NOW, ORG, Browser, House, form_of, run, text_of


async def revoked(house: House) -> set[str]:
    """The ids of the grants that have ended."""
    return {row["id"] for row in await house.rows("SELECT id FROM grants WHERE revoked_at IS NOT NULL")}


async def administrator(house: House) -> Browser:
    grace = await house.person("grace@sandbox.example", "Grace Hopper", is_admin=True)
    return await house.signed_in(grace)


async def two_people_and_two_apps(house: House) -> tuple[Person, str, list[str]]:
    """Ada, LockBot's client ID, and the grants: Ada's to LockBot, Bob's to LockBot, Ada's to Standup, Bob's to it."""
    ada, bob = await house.person(), await house.person("bob@sandbox.example", "Bob Noyce")
    lockbot, standup = await house.integration("LockBot"), await house.integration("Standup")
    given = [await house.grant(person, app) for app in (lockbot, standup) for person in (ada, bob)]
    return ada, lockbot, given


# --- who may ---------------------------------------------------------------------------------------------------------


def test_w02_the_pages_are_for_administrators_alone(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ada, lockbot, given = await two_people_and_two_apps(house)
        admin, person, nobody = await administrator(house), await house.signed_in(ada), house.browser()
        confirmations = [
            f"/administration/grants/{given[1]}/revocation",
            f"/administration/people/{ada.id}/revocation",
            f"/administration/integrations/{lockbot}/revocation",
        ]
        pages = ["/administration/people", "/administration/integrations", f"/administration/people/{ada.id}"]
        for path in (*pages, f"/administration/integrations/{lockbot}", *confirmations):
            refused = await person.open(path)
            assert refused.status_code == 403
            assert "This page is for administrators" in text_of(refused)
            assert (await nobody.open(path)).headers["location"].startswith("/signin?next=%2Fadministration")
            assert (await admin.open(path)).status_code == 200
        for path in confirmations:
            _, hidden = form_of(await admin.open(path))
            assert (await person.client.post(path, data=hidden)).status_code == 403
            assert (await nobody.client.post(path, data=hidden)).status_code >= 400
            assert (await admin.client.post(path, data={})).status_code >= 400
        assert await revoked(house) == set()

    run(tmp_path, story)


def test_the_menu_leads_administrators_there_and_nobody_else(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        admin, person = await administrator(house), await house.signed_in(await house.person())
        assert '<a href="/administration">Administration</a>' in (await admin.open("/connected-apps")).text
        assert "/administration" not in (await person.open("/connected-apps")).text
        assert (await admin.open("/administration")).headers["location"] == "/administration/people"

    run(tmp_path, story)


def test_who_is_no_administrator_any_more_is_out_at_once(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        admin = await administrator(house)
        await house.change("UPDATE people SET is_admin = 0")
        assert (await admin.open("/administration/people")).status_code == 403

    run(tmp_path, story)


def test_w02_people_of_another_organization_are_neither_seen_nor_touched(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        admin = await administrator(house)
        eve = await house.person("eve@elsewhere.example", "Eve", org_id=str(uuid4()))
        lockbot = await house.integration("LockBot")
        grant = await house.grant(eve, lockbot)
        assert "Eve" not in text_of(await admin.open("/administration/people"))
        assert "Nobody found" in text_of(await admin.open("/administration/people?q=eve"))
        assert "Nobody granted it access" in text_of(await admin.open(f"/administration/integrations/{lockbot}"))
        for path in (f"/administration/people/{eve.id}", f"/administration/grants/{grant}/revocation"):
            assert (await admin.open(path)).status_code == 404
        await house.grant(await house.person(), lockbot)
        await admin.send(await admin.open(f"/administration/integrations/{lockbot}/revocation"))
        assert grant not in await revoked(house)

    run(tmp_path, story)


# --- taking away -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", ["person", "integration"])
def test_w02_one_grant_is_taken_away_and_the_other_three_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, at: str
) -> None:
    async def story(house: House) -> None:
        ada, lockbot, given = await two_people_and_two_apps(house)
        admin = await administrator(house)
        home = f"/administration/people/{ada.id}" if at == "person" else f"/administration/integrations/{lockbot}"
        page = await admin.open(home)
        origin = "" if at == "person" else "?from=integration"
        assert f"/administration/grants/{given[0]}/revocation{origin}" in page.text
        asked = await admin.open(f"/administration/grants/{given[0]}/revocation{origin}")
        assert "Ada Lovelace must grant again to use it. Nobody else loses anything" in text_of(asked)
        assert await revoked(house) == set()
        done = await admin.send(asked)
        assert (done.status_code, done.headers["location"]) == (303, f"{home}?revoked={given[0]}")
        assert await revoked(house) == {given[0]}
        told = text_of(await admin.open(done.headers["location"]))
        assert "LockBot can no longer act for Ada Lovelace , who must grant again" in told
        again = await admin.open(f"/administration/grants/{given[0]}/revocation{origin}")
        assert again.headers["location"] == f"{home}?revoked={given[0]}"
        line = f'grace@sandbox.example revoked grant {given[0]}, what ada@sandbox.example had granted to "LockBot"'
        assert caplog.text.count(line) == 1

    with caplog.at_level(logging.INFO, logger="grantflow.audit"):
        run(tmp_path, story)


def test_w02_all_of_one_person_is_taken_away_and_nobody_else_s(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(house: House) -> None:
        ada, _, given = await two_people_and_two_apps(house)
        admin, home = await administrator(house), f"/administration/people/{ada.id}"
        asked = await admin.open(f"{home}/revocation")
        assert "2 apps can no longer act for Ada Lovelace, who must grant again in each" in text_of(asked)
        done = await admin.send(asked)
        assert await revoked(house) == {given[0], given[2]}
        told = await admin.open(done.headers["location"])
        assert "No app can act for Ada Lovelace any more" in text_of(told)
        assert (await admin.open(f"{home}/revocation")).headers["location"] == home
        assert "revoked all that ada@sandbox.example had granted (2 grants)" in caplog.text

    with caplog.at_level(logging.INFO, logger="grantflow.audit"):
        run(tmp_path, story)


def test_w02_all_of_one_integration_is_taken_away_and_no_other_s(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(house: House) -> None:
        _, lockbot, given = await two_people_and_two_apps(house)
        admin, home = await administrator(house), f"/administration/integrations/{lockbot}"
        asked = await admin.open(f"{home}/revocation")
        assert "2 people must grant again to use LockBot. Their other apps keep what they have" in text_of(asked)
        done = await admin.send(asked)
        assert await revoked(house) == {given[0], given[1]}
        told = await admin.open(done.headers["location"])
        assert "LockBot can no longer act for anybody in your organization" in text_of(told)
        assert (await admin.open(f"{home}/revocation")).headers["location"] == home
        assert f'revoked all 2 grants to client {lockbot}, called "LockBot"' in caplog.text

    with caplog.at_level(logging.INFO, logger="grantflow.audit"):
        run(tmp_path, story)


def test_a_made_up_link_says_nothing_that_is_not_so(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ada, lockbot, given = await two_people_and_two_apps(house)
        admin = await administrator(house)
        for home in (f"/administration/people/{ada.id}", f"/administration/integrations/{lockbot}"):
            for told in ("all", given[0], str(uuid4()), "x"):
                assert "revoked" not in text_of(await admin.open(f"{home}?revoked={told}"))

    run(tmp_path, story)


def test_who_and_what_is_not_there_is_said_with_a_way_on(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        admin = await administrator(house)
        for path, words in [
            (f"/administration/people/{uuid4()}", "There is no such person"),
            ("/administration/integrations/C0", "There is no such integration"),
            (f"/administration/grants/{uuid4()}/revocation", "There is no such grant"),
        ]:
            page = await admin.open(path)
            assert page.status_code == 404
            assert words in text_of(page)
            assert '"/administration/people"' in page.text

    run(tmp_path, story)


def test_bots_are_no_people_here(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        admin = await administrator(house)
        await house.save(
            "people", id=str(uuid4()), email="b@webex.bot", display_name="Bot", org_id=ORG, type="bot", created_at=1
        )
        assert "Bot" not in text_of(await admin.open("/administration/people"))
        assert "Nobody found" in text_of(await admin.open("/administration/people?q=b@webex"))

    run(tmp_path, story)


# --- finding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("", ["Ada Lovelace", "Adam Smith", "Bob Noyce", "Grace Hopper"]),
        ("ada", ["Ada Lovelace", "Adam Smith"]),
        ("ADA L", ["Ada Lovelace"]),
        ("  ada   l ", ["Ada Lovelace"]),
        ("smith@", ["Adam Smith"]),
        ("love", []),
        ("%", []),
        ("_da", []),
        ("'", []),
        ("\0", ["Ada Lovelace", "Adam Smith", "Bob Noyce", "Grace Hopper"]),
    ],
)
def test_people_are_found_by_the_beginning_of_a_name_or_an_email(tmp_path: Path, typed: str, found: list[str]) -> None:
    async def story(house: House) -> None:
        admin = await administrator(house)
        await house.person()
        await house.person("smith@sandbox.example", "Adam Smith")
        await house.person("bob@sandbox.example", "Bob Noyce")
        page = await admin.client.get("/administration/people", params={"q": typed})
        everybody = ("Ada Lovelace", "Adam Smith", "Bob Noyce", "Grace Hopper")
        assert [name for name in everybody if name in text_of(page)] == found
        assert page.status_code == 200

    run(tmp_path, story)


def test_integrations_are_found_by_the_beginning_of_a_name_or_by_client_id(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        admin = await administrator(house)
        lockbot = await house.integration("LockBot", owner=await house.person())
        await house.integration("Standup")
        for typed, found in [("", [True, True]), ("lock", [True, False]), (lockbot, [True, False]), ("x", [False] * 2)]:
            words = text_of(await admin.client.get("/administration/integrations", params={"q": typed}))
            assert ["LockBot" in words, "Standup" in words] == found, typed
        assert "Published by Ada Lovelace" in text_of(await admin.open("/administration/integrations"))

    run(tmp_path, story)


def test_long_lists_come_page_by_page_and_a_search_stays_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (administration, administration_endings):
        monkeypatch.setattr(module, "PAGE_SIZE", 2)

    async def story(house: House) -> None:
        admin, lockbot = await administrator(house), await house.integration("LockBot")
        for number in range(5):
            person = await house.person(f"ada{number}@sandbox.example", f"Ada {number}")
            await house.grant(person, lockbot, created_at=number)
        first = await admin.open("/administration/people?q=ada")
        assert "5 people whose name or email begins like that" in text_of(first)
        assert "/administration/people?q=ada&amp;page=2" in first.text
        last = await admin.open("/administration/people?q=ada&page=3")
        assert ["Ada 4" in text_of(last), "Ada 3" in text_of(last)] == [True, False]
        beyond = await admin.open("/administration/people?q=ada&page=9")
        assert beyond.headers["location"] == "/administration/people?q=ada&page=3"
        granted = text_of(await admin.open(f"/administration/integrations/{lockbot}?page=2"))
        assert [f"Ada {number}" in granted for number in range(5)] == [False, True, True, False, False]
        asked = text_of(await admin.open(f"/administration/integrations/{lockbot}/revocation"))
        assert "5 people must grant again" in asked
        assert "and 3 more" in asked

    run(tmp_path, story)


def test_every_statement_is_a_probe_of_an_index_and_only_what_matches_is_sorted(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ada, lockbot, given = await two_people_and_two_apps(house)
        store, grants = AdministrationStore(house.engine), ConnectedAppStore(house.engine)
        statements: set[str] = set()
        connections = (house.engine._reader, house.engine._writer)
        for connection in connections:
            connection.set_trace_callback(statements.add)
        await store.people("", org_id=ORG, page=1, size=50)
        await store.apps("", page=1, size=50)
        await store.given_to(lockbot, org_id=ORG, page=1, size=50)
        in_order = set(statements)
        await store.people("ada", org_id=ORG, page=1, size=50)
        await store.apps("lock", page=1, size=50)
        await store.person(ada.id, org_id=ORG)
        await store.app(lockbot)
        await store.given(given[0], org_id=ORG)
        await store.revoke_all_given_to(lockbot, org_id=ORG, now=NOW)
        await grants.connected(ada.id, page=1, size=50)
        await grants.revoke_all(ada.id, now=NOW)
        for connection in connections:
            connection.set_trace_callback(None)
        planned = [each for each in statements if each.lstrip().startswith(("SELECT", "UPDATE", "DELETE"))]
        assert len(planned) > 12
        assert sum("matching" in statement for statement in planned) == 2
        for statement in planned:
            steps = [step["detail"] for step in await house.rows(f"EXPLAIN QUERY PLAN {statement}")]
            assert not any(step.startswith("SCAN ") and step != "SCAN matching" for step in steps), (statement, steps)
            if "matching" in statement:
                assert not any(step.endswith("people_by_name (org_id=?)") for step in steps), "not everybody is read"
            if statement in in_order:
                assert not any("TEMP B-TREE" in step for step in steps), (statement, steps)

    run(tmp_path, story)


def test_integrations_are_shown_to_administrators_with_their_icons(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        lockbot = await house.integration("LockBot")
        await house.change("UPDATE integrations SET icon = 'key'")
        admin = await administrator(house)
        for path in ("/administration/integrations", f"/administration/integrations/{lockbot}"):
            assert "app-key" in (await admin.open(path)).text

    run(tmp_path, story)


def test_no_app_s_name_passes_for_another_part_of_the_line_or_hides_an_id(caplog: pytest.LogCaptureFixture) -> None:
    name = 'LockBot" (client C0, 9 grants) token: 1" code=2'
    grant_id, client_id = str(uuid4()), "C" + "ab" * 32
    with caplog.at_level(logging.INFO, logger="grantflow.audit"):
        note_grant_ended(by="grace@x.example", person="ada@x.example", app=name, grant_id=grant_id)
        note_token_ended(by="grace@x.example", person="ada@x.example", app=name, token_id=grant_id)
        note_all_to_an_app_ended(by="grace@x.example", app=name, client_id=client_id, count=2)
    noted = [record for record in caplog.records if record.name == "grantflow.audit"]
    one, token, everything = (redacted(record.getMessage()) for record in noted)
    quoted = r'"LockBot\" (client C0, 9 grants) token: ***" code=***'
    assert one.startswith(f"grace@x.example revoked grant {grant_id}, what ada@x.example had granted to {quoted}")
    assert token.startswith(f"grace@x.example revoked access token {grant_id} of ada@x.example for {quoted}")
    assert everything.startswith(f"grace@x.example revoked all 2 grants to client {client_id}, called {quoted}")

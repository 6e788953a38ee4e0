"""Looking after an integration: edit it, see who granted it access, end that access, delete it."""

import asyncio
from datetime import timedelta
from pathlib import Path

from grantflow.storage.times import milliseconds
from tests.developer_portal.given import NOW, House, form_of, png, run, text_of

PNG = ("icon.png", png(), "image/png")


def test_w18_every_field_is_edited_and_client_id_and_secret_stay(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        client_id = await browser.created(picture=PNG, other_scopes="meeting:schedules_read")
        page = await browser.open(f"/my-apps/{client_id}/registration")
        fields = form_of(page).fields
        assert (fields["name"], fields["icon"], fields["other_scopes"]) == ("LockBot", "kept", "meeting:schedules_read")
        assert await house.storage.my_apps.secrets(client_id, now=NOW)
        answer = await browser.send(
            page,
            {
                "name": "Lockbot",  # only its case: that is no other integration's
                "description": "New words.",
                "contact_email": "new@lockbot.example",
                "site_url": "https://new.example/",
                "redirect_uris": "https://new.example/oauth",
                "scope.spark:rooms_read": None,
                "scope.spark:people_read": "on",
                "other_scopes": None,
                "kind": "strict",
            },
        )
        assert (answer.status_code, answer.headers["location"]) == (303, f"/my-apps/{client_id}?saved=yes")
        found = await house.storage.registrations.find(client_id)
        assert found is not None
        assert (found.registration.name, found.description) == ("Lockbot", "New words.")
        assert (found.contact_email, found.site_url) == ("new@lockbot.example", "https://new.example/")
        assert found.registration.redirect_uris == ("https://new.example/oauth",)
        assert str(found.registration.scopes) == "spark:people_read spark:messages_write spark:kms"
        assert found.registration.strict
        assert found.icon is not None
        assert len(await house.storage.my_apps.secrets(client_id, now=NOW)) == 1

    run(tmp_path, story)


def test_w18_an_edit_says_what_it_does_to_the_people_who_granted(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        client_id = await browser.created()
        assert "granted it access" not in text_of(await browser.open(f"/my-apps/{client_id}/registration"))
        await house.grant(client_id, await house.person("Grace Hopper"))
        said = text_of(await browser.open(f"/my-apps/{client_id}/registration"))
        assert "One person has granted it access" in said
        assert "ends no grant" in said
        assert "stays with those who granted it" in said

    run(tmp_path, story)


def test_an_edit_that_began_before_another_was_saved_overwrites_nothing(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        client_id = await browser.created()
        path = f"/my-apps/{client_id}/registration"
        first, second = await browser.open(path), await browser.open(path)
        assert (await browser.send(first, description="First.")).status_code == 303
        answer = await browser.send(second, description="Second.")
        assert answer.status_code == 400
        assert "changed meanwhile" in text_of(answer)
        assert form_of(answer).fields["description"] == "Second."
        found = await house.storage.registrations.find(client_id)
        assert found is not None
        assert found.description == "First."
        assert (await browser.send(answer)).status_code == 303

    run(tmp_path, story)


def test_of_two_edits_at_once_one_is_saved_and_the_other_is_told(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        client_id = await browser.created()
        page = await browser.open(f"/my-apps/{client_id}/registration")
        both = await asyncio.gather(browser.send(page, description="First."), browser.send(page, description="Second."))
        assert sorted(answer.status_code for answer in both) == [303, 400]
        (row,) = await house.rows("SELECT description, version FROM integrations")
        assert row["version"] == 2
        told = next(answer for answer in both if answer.status_code == 400)
        assert form_of(told).fields["description"] != row["description"]

    run(tmp_path, story)


def test_w18_an_edit_cannot_take_another_integrations_name_and_keeps_what_was_typed(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        await browser.created(name="Taken")
        client_id = await browser.created()
        answer = await browser.send(
            await browser.open(f"/my-apps/{client_id}/registration"), name="TAKEN", redirect_uris="https://c.example/o"
        )
        assert answer.status_code == 400
        assert 'href="#field-name"' in answer.text
        assert form_of(answer).fields["redirect_uris"] == "https://c.example/o"
        found = await house.storage.registrations.find(client_id)
        assert found is not None
        assert found.registration.redirect_uris == ("https://lockbot.example/oauth",)

    run(tmp_path, story)


def test_s10_a_public_integration_stays_public_whatever_the_form_says(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        answer = await browser.create(kind="public")
        (row,) = await house.rows("SELECT client_id FROM integrations")
        page = await browser.open(f"/my-apps/{row['client_id']}/registration")
        assert answer.status_code == 201
        assert (await browser.send(page, kind="webex")).status_code == 303
        (row,) = await house.rows("SELECT client_type, profile FROM integrations")
        assert (row["client_type"], row["profile"]) == ("public", "strict")

    run(tmp_path, story)


def test_w02_people_are_listed_with_name_since_last_use_and_state(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        client_id = await browser.created()
        path = f"/my-apps/{client_id}/people"
        assert "Nobody yet" in text_of(await browser.open(path))
        await house.grant(client_id, await house.person("Grace Hopper"))
        alan = await house.grant(client_id, await house.person("Alan Turing"), last_used_at=1)
        await house.grant(client_id, await house.person("Mary Somerville"), revoked_at=1)
        said = text_of(await browser.open(path))
        assert "Grace Hopper 20 Nov 2026, 12:00 UTC 23 Nov 2026, 11:55 UTC Active" in said
        assert said.index("Grace") < said.index("Alan")
        assert "Mary" not in said
        assert "@sandbox.example" not in said, "the developer is told no addresses"
        found = text_of(await browser.open(f"{path}?q=RING"))
        assert ("Alan" in found, "Grace" in found) == (True, False)
        house.now = NOW + timedelta(days=15)
        await browser.sign_in(await house.person("Someone Else"))
        assert (await browser.open(f"{path}/{alan}/revocation")).status_code == 404

    run(tmp_path, story)


def test_w02_one_persons_access_tokens_expire_and_the_refresh_token_lives_on(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        client_id = await browser.created()
        grace = await house.grant(client_id, await house.person("Grace Hopper"))
        await house.grant(client_id, await house.person("Alan Turing"), last_used_at=1)
        page = await browser.open(f"/my-apps/{client_id}/people")
        answer = await browser.send(page, to=f"/people/{grace}/expiry")
        assert (answer.status_code, answer.headers["location"]) == (303, f"/my-apps/{client_id}/people?expired=yes")
        rows = await house.rows("SELECT grant_id FROM access_tokens WHERE expires_at <= :now", now=milliseconds(NOW))
        assert [row["grant_id"] for row in rows] == [grace]
        assert len(await house.rows("SELECT 1 FROM refresh_tokens WHERE expires_at > :now", now=milliseconds(NOW))) == 2
        said = text_of(await browser.open(answer.headers["location"]))
        assert "The access tokens have expired" in said
        assert "Refreshes at its next use" in said.partition("Grace")[2].partition("Alan")[0]

    run(tmp_path, story)


def test_w02_one_persons_grant_is_revoked_and_nobody_elses(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        client_id, other = await browser.created(), await browser.created(name="Another")
        grace = await house.person("Grace Hopper")
        target = await house.grant(client_id, grace)
        await house.grant(client_id, await house.person("Alan Turing"))
        elsewhere = await house.grant(other, grace)
        asked = await browser.open(f"/my-apps/{client_id}/people/{target}/revocation")
        assert "Revoke the grant of Grace Hopper?" in text_of(asked)
        assert "encrypted" not in text_of(asked)
        assert (await browser.send(asked)).status_code == 303
        rows = await house.rows("SELECT id, version FROM grants WHERE revoked_at IS NOT NULL")
        assert [(row["id"], row["version"]) for row in rows] == [(target, 2)]
        assert (await browser.send(asked)).status_code == 404
        astray = await browser.open(f"/my-apps/{client_id}/people/{elsewhere}/revocation")
        assert astray.status_code == 404, "a grant to another integration is not this one's"

    run(tmp_path, story)


def test_an_integration_is_deleted_with_all_grants_once_its_name_was_typed(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        client_id, other = await browser.created(), await browser.created(name="Another")
        for name in ("Grace Hopper", "Alan Turing"):
            person = await house.person(name)
            await house.grant(client_id, person)
            await house.grant(other, person)
        asked = await browser.open(f"/my-apps/{client_id}/deletion")
        assert "2 people lose their grant" in text_of(asked)
        wrong = await browser.send(asked, name="Another")
        assert wrong.status_code == 400
        assert "Type the integration's name" in text_of(wrong)
        answer = await browser.send(wrong, name=" lockbot ")
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(f"/my-apps?deleted={client_id}&proof=")
        said = text_of(await browser.open(answer.headers["location"]))
        assert "It was deleted" in said
        assert "Another" in said
        for table in ("integrations", "redirect_uris", "client_secrets", "grants", "access_tokens", "refresh_tokens"):
            left = await house.rows(f"SELECT DISTINCT client_id FROM {table}")
            assert [row["client_id"] for row in left] == [other], table
        proof = answer.headers["location"].partition("&proof=")[2]
        stranger = await house.signed_in(await house.person("Eve Nobody"))
        for made_up in (client_id, other, f"{other}&proof={proof}", f"Cnever&proof={proof}", "Cnever&proof=%C3%AB"):
            assert "It was deleted" not in text_of(await browser.open(f"/my-apps?deleted={made_up}"))
        assert "deleted" not in text_of(await browser.open(f"/my-apps?deleted-bot={client_id}&proof={proof}"))
        assert "It was deleted" not in text_of(await stranger.open(answer.headers["location"]))

    run(tmp_path, story)


def test_after_a_revocation_the_portal_still_knows_that_it_was_used(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        client_id = await browser.created()
        assert "Nobody has granted it access yet" in text_of(await browser.open(f"/my-apps/{client_id}"))
        await house.grant(client_id, await house.person("Grace Hopper"), revoked_at=1)
        said = text_of(await browser.open(f"/my-apps/{client_id}"))
        assert "Nobody grants it access now. It was last used 23 Nov 2026, 11:55 UTC" in said
        assert "yet" not in said
        mine = text_of(await browser.open("/my-apps"))
        assert ("23 Nov 2026, 11:55 UTC" in mine, "never" in mine) == (True, False)

    run(tmp_path, story)


def test_names_that_differ_in_width_alone_are_the_same_name(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        await browser.created(name="NOTICE")
        answer = await browser.create(name="\uff2e\uff2f\uff34\uff29\uff23\uff25")
        assert answer.status_code == 400
        assert "Another integration has this name already" in text_of(answer)
        await browser.created(name="\ufb01le \uff21pp")
        assert "file App" in text_of(await browser.open("/my-apps"))

    run(tmp_path, story)

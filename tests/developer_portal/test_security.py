"""The portal against strangers: forms of other sites and other people, markup in every field, no way out of a page."""

from pathlib import Path

import pytest

from tests.developer_portal.given import FILLED, NEW, ORG, House, form_of, png, run, text_of

EVIL = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'{{7*7}}"


@pytest.mark.parametrize("path", ["", "/registration", "/secret", "/deletion", "/people"])
def test_s20_s21_no_page_of_the_portal_can_be_framed_loads_from_elsewhere_or_is_kept(tmp_path: Path, path: str) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        client_id = await browser.created(picture=("icon.png", png(), "image/png"))
        await house.grant(client_id, await house.person("Grace Hopper"))
        for address in (f"/my-apps/{client_id}{path}", "/my-apps", NEW, "/app-hub", "/scopes"):
            page = await browser.open(address)
            assert page.status_code == 200
            policy = page.headers["content-security-policy"]
            assert "frame-ancestors 'none'" in policy
            assert "script-src 'self'" in policy
            assert page.headers["cache-control"] == "no-store"
            assert page.headers["x-content-type-options"] == "nosniff"
            assert " style=" not in page.text
            assert "http://" not in page.text.partition("</head>")[0]

    run(tmp_path, story)


def test_s22_no_form_is_taken_from_another_site_without_its_token_or_from_another_session(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        client_id = await browser.created()
        grant_id = await house.grant(client_id, await house.person("Grace Hopper"))
        stranger = await house.signed_in(await house.person("Eve Nobody"))
        token = form_of(await stranger.open(NEW)).fields["form_token"]
        own = form_of(await browser.open(f"/my-apps/{client_id}/secret")).fields
        posts = (
            NEW,
            f"/my-apps/{client_id}/registration",
            f"/my-apps/{client_id}/secret",
            f"/my-apps/{client_id}/deletion",
            f"/my-apps/{client_id}/people/{grant_id}/expiry",
            f"/my-apps/{client_id}/people/{grant_id}/revocation",
        )
        fields = {"name": "LockBot", "version": own["version"]}
        before = await everything(house)
        for path in posts:
            none = await browser.client.post(path, data=fields)
            theirs = await browser.client.post(path, data={**fields, "form_token": token})
            elsewhere = await browser.client.post(
                path, data={**fields, "form_token": own["form_token"]}, headers={"origin": "https://evil.example"}
            )
            assert [none.status_code, theirs.status_code, elsewhere.status_code] == [400, 400, 403], path
        assert await everything(house) == before

    run(tmp_path, story)


def test_s22_nobody_changes_what_is_somebody_elses_even_with_a_form_token_of_their_own(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        client_id = await browser.created()
        grant_id = await house.grant(client_id, await house.person("Grace Hopper"))
        stranger = await house.signed_in(await house.person("Eve Nobody"))
        token = form_of(await stranger.open(NEW)).fields["form_token"]
        before = await everything(house)
        for below in (
            "registration",
            "secret",
            "deletion",
            f"people/{grant_id}/expiry",
            f"people/{grant_id}/revocation",
        ):
            fields = {"form_token": token, "name": "LockBot", "version": "1", "redirect_uris": "https://evil.example/"}
            answer = await stranger.client.post(f"/my-apps/{client_id}/{below}", data=fields)
            assert answer.status_code == 404, below
        assert await everything(house) == before

    run(tmp_path, story)


async def everything(house: House) -> list[list[tuple[object, ...]]]:
    tables = ("integrations", "redirect_uris", "client_secrets", "grants", "access_tokens", "icons")
    return [[tuple(row) for row in await house.rows(f"SELECT * FROM {table}")] for table in tables]


def test_s31_markup_in_every_field_is_shown_as_the_text_that_it_is(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        client_id = await browser.created(
            name=EVIL,
            description=EVIL,
            contact_email='"><script>@x',
            site_url="https://lockbot.example/?a='><script>alert(1)</script>",
            redirect_uris="https://lockbot.example/oauth?a='onload='alert(1)",
        )
        await house.grant(client_id, await house.person("Grace <script>alert(1)</script>"))
        below = ("", "/registration", "/secret", "/deletion", "/people")
        pages = [await browser.open(f"/my-apps/{client_id}{path}") for path in below]
        pages += [await browser.open(path) for path in ("/my-apps", "/app-hub", f"/app-hub/{client_id}")]
        pages.append(await browser.create(name=EVIL, redirect_uris="javascript:<script>alert(1)</script>", icon=EVIL))
        pages.append(await browser.open("/my-apps?q=%3Cscript%3E"))
        pages.append(await browser.open(f"{NEW}?name=%22%3E%3Cscript%3Ealert(1)%3C/script%3E"))
        for page in pages:
            assert "<script>" not in page.text
            assert "<img src=x" not in page.text
            assert "onload='" not in page.text
            assert "alert(1)" in page.text or "%3Cscript" in page.text or "&lt;script" in page.text
        assert EVIL in text_of(pages[0])

    run(tmp_path, story)


def test_s31_a_shell_that_reads_the_env_file_runs_nothing_of_it(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        answer = await browser.create(redirect_uris="https://lockbot.example/oauth?a=$(touch+x)&b='")
        assert "GRANTFLOW_REDIRECT_URI='https://lockbot.example/oauth?a=$(touch+x)&b='\"'\"''" in answer.text.replace(
            "&#39;", "'"
        ).replace("&#34;", '"').replace("&amp;", "&")

    run(tmp_path, story)


@pytest.mark.parametrize("kind", ["integrations", "bots"])
def test_nobody_but_an_administrator_registers_without_end(tmp_path: Path, kind: str) -> None:
    async def story(house: House) -> None:
        ada = await house.person()
        admin = await house.person("Grace Hopper", is_admin=True)
        new, filled = (NEW, FILLED) if kind == "integrations" else ("/my-apps/new/bot", {"name": "B", "username": "b"})
        for person in (ada, admin):
            for n in range(999):
                if kind == "integrations":
                    await house.save(
                        kind, client_id=f"{person.id}{n}", name=f"{person.id}{n}", owner_id=person.id, **REGISTERED
                    )
                else:
                    email = f"{person.display_name[0]}{n}@webex.bot"
                    await house.save(
                        "people", id=email, email=email, display_name="B", org_id=ORG, type="bot", created_at=0
                    )
                    await house.save(kind, person_id=email, username=email, owner_id=person.id)
        browser = await house.signed_in(ada)
        last = await browser.send(await browser.open(new), filled)
        assert last.status_code == 201, text_of(last)
        more = {**filled, "name": "Another", "username": "another"}
        refused = await browser.send(await browser.open(new), more)
        assert refused.status_code == 400
        assert f"You have registered 1,000 {kind}" in text_of(refused)
        assert "Another" in refused.text
        free = await house.signed_in(admin)
        for n in (1, 2):
            made = await free.send(await free.open(new), {**filled, "name": f"Free {n}", "username": f"free{n}"})
            assert made.status_code == 201, text_of(made)

    run(tmp_path, story)


REGISTERED = {"profile": "webex", "client_type": "confidential", "scopes": "spark:people_read", "created_at": 0}

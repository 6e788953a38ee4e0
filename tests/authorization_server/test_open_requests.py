"""How much a stranger can make the platform keep: requests are small, and only so many wait at once."""

from pathlib import Path

import pytest

from grantflow.protocol.authorization import QUERY_LIMIT
from tests.authorization_server.given import Server, parameters_of, request_of, run


async def kept(server: Server) -> int:
    found: int = (await server.rows("SELECT count(*) AS n FROM authorization_requests"))[0]["n"]
    return found


def test_a_request_that_is_far_too_long_is_refused_on_a_page_and_not_kept(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app, browser = await server.integration(), server.browser()
        for state in ("x" * 60_000, "x" * QUERY_LIMIT):
            page = await browser.authorize(app, state=state)
            assert (page.status_code, "location" in page.headers) == (413, False)
            assert "larger than 8192 bytes" in page.text
        assert await kept(server) == 0

    run(tmp_path, story)


@pytest.mark.parametrize("state", ["x" * 2_048, "'/ " * 700])
def test_s28_a_long_state_still_comes_back_exactly(tmp_path: Path, state: str) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        browser = await server.signed_in(await server.person())
        assert parameters_of(await browser.accept(await browser.authorize(app, state=state)))["state"] == state

    run(tmp_path, story)


def test_one_address_can_have_only_so_many_requests_kept_and_others_do_not_notice(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app, flood, other = await server.integration(), server.browser("192.0.2.66"), server.browser("192.0.2.7")
        for _ in range(3):
            request_of(await flood.authorize(app), "/signin")
        for _ in range(5):
            page = await flood.authorize(app)
            assert (page.status_code, page.headers["retry-after"]) == (429, "60")
            assert "Too many requests are open from your network" in page.text
        assert await kept(server) == 3
        request_of(await other.authorize(app), "/signin")

    run(tmp_path, story, open_requests_of_an_address=3)


def test_all_together_can_have_only_so_many_requests_kept(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        for number in range(3):
            request_of(await server.browser(f"192.0.2.{number}").authorize(app), "/signin")
        page = await server.browser("192.0.2.9").authorize(app)
        assert (page.status_code, page.headers["retry-after"]) == (503, "60")
        assert "Very many people are connecting apps just now" in page.text
        assert await kept(server) == 3

    run(tmp_path, story, open_requests=3)


def test_a_request_that_was_answered_or_has_expired_makes_room(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        browser = await server.signed_in(await server.person())
        asked = await browser.authorize(app)
        assert (await browser.authorize(app)).status_code == 429
        assert "code" in parameters_of(await browser.accept(asked, remember=False))
        request_of(await browser.authorize(app), "/consent")
        assert (await browser.authorize(app)).status_code == 429
        server.wait(minutes=10)
        request_of(await browser.authorize(app), "/consent")

    run(tmp_path, story, open_requests_of_an_address=1)


def test_a_request_that_is_kept_already_goes_on_while_no_other_is_taken(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app, browser = await server.integration(), server.browser()
        asked = await browser.authorize(app)
        assert (await server.browser().authorize(app)).status_code == 429
        await browser.sign_in(await server.person())
        assert "code" in parameters_of(await browser.accept(await browser.come_back(asked)))

    run(tmp_path, story, open_requests_of_an_address=1)

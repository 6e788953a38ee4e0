"""Which forms pass the guard, and what the others are told."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from grantflow.web.csrf import FORM_FIELD, FormGuard
from grantflow.web.errors import error_handlers
from grantflow.web.forms import read_form
from grantflow.web.pages import Pages
from grantflow.web.site import Site

SITE = Site(name="Gallery", base_url="http://127.0.0.1:9000")
KEY = b"k" * 32
SESSION = "the-id-of-a-session"


def guard(mint: Iterator[str] | None = None) -> FormGuard:
    ids = mint or (f"visitor-number-{number:04}" for number in range(100))
    return FormGuard(site=SITE, key=KEY, mint=lambda: next(ids))


def app(form_guard: FormGuard) -> Starlette:
    async def show(request: Request) -> Response:
        visitor = form_guard.visitor(request)
        return form_guard.remember(PlainTextResponse(form_guard.token(visitor)), visitor)

    async def send(request: Request) -> Response:
        form = await read_form(request)
        form_guard.check(request, form, binding=form_guard.visitor(request), again="/form")
        return PlainTextResponse("passed")

    async def send_signed_in(request: Request) -> Response:
        form_guard.check(request, await read_form(request), binding=request.query_params.get("session"), again="/form")
        return PlainTextResponse("passed")

    return Starlette(
        routes=[
            Route("/form", show),
            Route("/form", send, methods=["POST"]),
            Route("/signed-in", send_signed_in, methods=["POST"]),
        ],
        exception_handlers=error_handlers(Pages(SITE), new_reference=lambda: "GF-1"),
    )


def browser() -> TestClient:
    return TestClient(app(guard()), base_url=SITE.base_url)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://127.0.0.1:9000"}, 200),
        ({"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:9000"}, 200),
        ({"sec-fetch-site": "same-origin", "origin": "http://localhost:9000"}, 200),
        ({"sec-fetch-site": "same-origin", "origin": "null"}, 200),
        ({"sec-fetch-site": "same-origin", "origin": "http://[::1]:9000"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "same-origin", "origin": "https://elsewhere.example"}, 403),
        ({"sec-fetch-site": "same-origin", "origin": "http://localhost:8000"}, 403),
        ({"sec-fetch-site": "same-origin", "origin": "https://localhost:9000"}, 403),
        ({"sec-fetch-site": "none", "origin": "https://elsewhere.example"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "https://elsewhere.example"}, 403),
        ({"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:8000"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1:9000"}, 403),
        ({"origin": "https://elsewhere.example"}, 403),
        ({"origin": "http://127.0.0.1:8000"}, 403),
        ({"origin": "null"}, 403),
    ],
)
def test_s22_a_form_passes_only_from_our_own_pages_and_from_programs_that_hold_its_token(
    headers: dict[str, str], status: int
) -> None:
    client = browser()
    token = client.get("/form").text
    assert client.post("/form", data={FORM_FIELD: token}, headers=headers).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:9001"}, 200),
        ({"origin": "http://127.0.0.1:9001"}, 200),
        ({"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:8000"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "same-site", "origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1:9001"}, 403),
    ],
)
def test_s22_w03_of_the_other_ports_of_a_host_only_a_role_of_this_platform_may_send_forms(
    headers: dict[str, str], status: int
) -> None:
    site = replace(SITE, siblings=("http://127.0.0.1:9001",))
    form_guard = replace(guard(), site=site)
    client = TestClient(app(form_guard), base_url=SITE.base_url)
    token = client.get("/form").text
    assert client.post("/form", data={FORM_FIELD: token}, headers=headers).status_code == status


@pytest.mark.parametrize("sent", [{"other": "field"}, {FORM_FIELD: ""}, {FORM_FIELD: "guessed"}, {FORM_FIELD: "gü€ss"}])
def test_s22_a_form_without_its_token_changes_nothing_and_offers_a_fresh_one(sent: dict[str, str]) -> None:
    client = browser()
    client.get("/form")
    answer = client.post("/form", data=sent)
    assert answer.status_code == 400
    assert "This form has expired" in answer.text
    assert 'href="/form"' in answer.text


def test_s22_a_token_of_another_browser_is_refused() -> None:
    form_guard = guard()
    mine = TestClient(app(form_guard), base_url=SITE.base_url)
    theirs = TestClient(app(form_guard), base_url=SITE.base_url)
    mine.get("/form")
    assert mine.post("/form", data={FORM_FIELD: theirs.get("/form").text}).status_code == 400


def test_s22_a_token_is_bound_to_its_session_and_useless_without_one() -> None:
    client, token = browser(), guard().token(SESSION)
    assert client.post(f"/signed-in?session={SESSION}", data={FORM_FIELD: token}).status_code == 200
    assert client.post("/signed-in?session=another", data={FORM_FIELD: token}).status_code == 400
    assert client.post("/signed-in", data={FORM_FIELD: token}).status_code == 400
    assert client.post("/signed-in", data={FORM_FIELD: guard().token("")}).status_code == 400


def test_a_form_stays_good_in_two_tabs_and_after_the_back_button() -> None:
    client = browser()
    first, second = client.get("/form").text, client.get("/form").text
    assert first == second
    assert client.post("/form", data={FORM_FIELD: first}).status_code == 200
    assert client.post("/form", data={FORM_FIELD: first}).status_code == 200


@pytest.mark.parametrize("planted", ["short", "x" * 129, "sixteen characters", "ü" * 20])
def test_a_visitors_id_that_we_did_not_write_is_replaced(planted: str) -> None:
    client = browser()
    cookie = f"grantflow_platform_9000_visitor={planted}".encode()
    answer = client.get("/form", headers={b"cookie": cookie})
    assert answer.text == guard().token("visitor-number-0000")


def test_two_nodes_with_one_key_accept_each_others_forms_and_another_key_does_not() -> None:
    other_key = FormGuard(site=SITE, key=b"o" * 32, mint=lambda: "")
    assert guard().token(SESSION) == guard().token(SESSION)
    assert other_key.token(SESSION) != guard().token(SESSION)


def test_the_key_is_not_printed() -> None:
    assert "kkkk" not in repr(guard())

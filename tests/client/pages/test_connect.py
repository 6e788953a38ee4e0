"""The click on Grant: what is made on it, where it happens, and where it never leads."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from httpx2 import Response

from grantflow.client.pages.pending_cookies import MOST
from tests.client.foreign import CLIENT_ID
from tests.client.pages.conftest import Sample, Serve

pytestmark = pytest.mark.slow


def asked(answer: Response) -> dict[str, str]:
    """The parameters of the authorization URL that the answer leads to."""
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_w10_w23_s95_s96_s97_each_click_makes_a_state_and_a_challenge_of_its_own(sample: Sample, method: str) -> None:
    with sample.http() as http:
        first, second = (http.request(method, "/connect") for _ in range(2))
    assert first.status_code == second.status_code == 303
    assert first.headers["location"].startswith(f"{sample.world.api_url}/authorize?client_id={CLIENT_ID}&")
    one, other = asked(first), asked(second)
    assert one["redirect_uri"] == f"{sample.url}/oauth"
    assert one["code_challenge_method"] == "S256"
    for fresh in ("state", "code_challenge"):
        assert len(one[fresh]) >= 43
        assert one[fresh] != other[fresh]
    for kept in (first, second):
        assert re.search(r"; Max-Age=600; Path=/; HttpOnly; SameSite=Lax$", kept.headers["set-cookie"])
        assert kept.headers["cache-control"] == "no-store"
        assert kept.headers["referrer-policy"] == "no-referrer"


def test_a_click_on_another_name_of_this_machine_first_goes_where_the_cookie_will_come_back(sample: Sample) -> None:
    port = sample.url.rpartition(":")[2]
    with sample.http() as http:
        answer = http.get(f"http://127.0.0.1:{port}/connect?grant=abc&return_to=%2Fnotes%3Fa%3D1%26b")
        assert answer.status_code == 303
        assert "set-cookie" not in answer.headers
        assert answer.headers["location"] == f"{sample.url}/connect?grant=abc&return_to=%2Fnotes%3Fa%3D1%26b&moved=1"
        assert "state" in asked(http.get(answer.headers["location"]))


def test_behind_a_proxy_that_changes_the_host_nobody_is_sent_in_circles(sample: Sample) -> None:
    with sample.http(headers={"host": "10.0.0.7:8080"}) as http:
        moved = http.get("/connect").headers["location"]
        assert moved == f"{sample.url}/connect?moved=1"
        assert "state" in asked(http.get(moved))


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "evil.example@localhost"]
)
def test_s89_s99_the_host_header_leads_nobody_anywhere(sample: Sample, host: str) -> None:
    with sample.http(headers={"host": host, "x-forwarded-host": host, "x-forwarded-proto": "https"}) as http:
        for path in (
            "/",
            "/connect",
            "/connect?moved=1",
            "/oauth?error=access_denied",
            "/oauth/",
            "/granted",
            "/nowhere",
        ):
            answer = http.get(path)
            assert "evil" not in answer.headers.get("location", "")
            assert "evil" not in answer.text


@pytest.mark.parametrize(
    "return_to",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "///evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "\x00//evil.example",
        "http:evil.example",
        "javascript:alert(1)",
        "evil.example",
        "@evil.example",
        "/" + "x" * 2_000,
        "http://localhost.evil.example/",
    ],
)
def test_s99_nobody_is_sent_on_to_another_site_after_the_grant(sample: Sample, return_to: str) -> None:
    with sample.browser() as visitor:
        visitor._http.params = {"return_to": return_to}
        begun = visitor.open(f"{sample.url}/connect").url
        visitor._http.params = {}
        page = visitor.open(sample.world.platform.accept(begun))
        assert "You are connected" in page.words
        assert {href for _, href in page.links} == {"#main", "/"}


def test_the_person_can_go_on_where_they_were(sample: Sample) -> None:
    with sample.browser() as visitor:
        page = sample.grant(visitor, start="/connect?return_to=%2Fnotes%3Fa%3D1%26b%3D2")
        assert dict(page.links)["Go on where you were"] == f"{sample.url}/notes?a=1&b=2"


@pytest.mark.parametrize(("return_to", "kept"), [("/", MOST), ("/" + "x" * 1_200, 3)])
def test_a_browser_drops_the_oldest_of_many_pending_grants_before_proxies_shut_it_out(
    sample: Sample, return_to: str, kept: int
) -> None:
    with sample.browser() as visitor:
        begun = [visitor.open(f"{sample.url}/connect?return_to={return_to}").url for _ in range(MOST + 3)]
        pending = [name for name in visitor.cookies if name.startswith("grantflow-")]
        assert len(pending) == kept
        assert len("; ".join(f"{name}={value}" for name, value in visitor.cookies.items())) < 8_000
        accept = sample.world.platform.accept
        assert "does not belong to this browser" in visitor.open(accept(begun[0])).words
        assert "You are connected" in visitor.open(accept(begun[-1])).words


def test_an_unknown_grant_to_renew_begins_a_fresh_one(serve: Serve) -> None:
    sample = serve()
    with sample.browser() as visitor:
        assert "You are connected, Ada" in sample.grant(visitor, start="/connect?grant=unknown").words


def test_another_account_can_be_chosen_at_the_platform(sample: Sample) -> None:
    with sample.http() as http:
        assert asked(http.get("/connect?switch=1"))["prompt"] == "select_account"
        assert "prompt" not in asked(http.get("/connect"))


def test_w34_whoever_grants_again_from_the_middle_of_something_goes_on_there_with_the_same_grant(
    sample: Sample,
) -> None:
    with sample.browser() as visitor:
        sample.grant(visitor)
        (grant,) = sample.elsewhere().grants()
        sample.world.platform.end_grants()
        page = sample.grant(visitor, start=f"/connect?grant={grant.id}&return_to=%2Fnotes%3Fa%3D1")
        assert dict(page.links)["Go on where you were"] == f"{sample.url}/notes?a=1"
        (again,) = sample.elsewhere().grants()
        assert (again.id, again.generation) == (grant.id, grant.generation + 1)

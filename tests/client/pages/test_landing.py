"""The start page: what it says before the grant, and after."""

import re
import time
import tracemalloc
from urllib.parse import urlsplit

import pytest

from grantflow import ReauthorizationRequired, RefusalHeldBack, Status, TransientTokenError
from grantflow.client.pages import About
from grantflow.client.pages.notices import told
from tests.client.conftest import World
from tests.client.foreign import Answer
from tests.client.misbehaving import pours, says
from tests.client.pages.conftest import Sample, Serve
from tests.whole.person import Page

pytestmark = pytest.mark.slow


def buttons(page: Page) -> set[str]:
    return {words for form in page.forms for words, _ in form.buttons}


def links(page: Page) -> dict[str, str]:
    return dict(page.links)


def test_w22_the_landing_page_says_what_will_be_granted_and_has_a_grant_button(sample: Sample) -> None:
    with sample.browser() as visitor:
        page = visitor.open(sample.url)
        assert page.status == 200
        assert "Post in your own name" in page.words
        assert "See who you are, and look up people in your organization" in page.words
        assert "See the titles of the spaces that you are in" in page.words
        assert "You can end it at any time. Revoke it under the connected apps of" in page.words
        assert visitor.press("Grant").url.startswith(f"{sample.world.api_url}/authorize?")


def test_what_the_platform_adds_by_itself_is_not_listed_as_asked_for(serve: Serve) -> None:
    with (sample := serve(scopes="spark:people_read spark:kms")).browser() as visitor:
        assert "encrypted" not in visitor.open(sample.url).text


def test_the_page_where_a_grant_is_taken_back_is_linked_where_it_is_known(serve: Serve) -> None:
    about = About("Sample", does="It works", connected_apps_url="https://platform.example/connected-apps")
    with (sample := serve(about)).browser() as visitor:
        assert links(visitor.open(sample.url))["Connected apps"] == "https://platform.example/connected-apps"
        assert links(sample.grant(visitor))["Connected apps"] == "https://platform.example/connected-apps"
        assert links(visitor.open(sample.url))["Connected apps"] == "https://platform.example/connected-apps"


@pytest.mark.parametrize("asked", [False, True], ids=["not to be asked", "can be asked"])
def test_the_slip_of_a_grant_says_once_that_it_can_be_revoked_at_the_platform(
    serve: Serve, world: World, asked: bool
) -> None:
    about = About("Sample", does="It works", connected_apps_url="https://platform.example/connected-apps")
    options = {"revocation_url": f"{world.api_url}/revoke"} if asked else {}
    with (sample := serve(about, **options)).browser() as visitor:
        sample.grant(visitor)
        page = visitor.open(sample.url)
        assert page.words.count("Connected apps") == 1
        assert ("the grant stands until you revoke it there too, under Connected apps." in page.words) is not asked
        assert ("under Connected apps, and there you can revoke it too." in page.words) is asked


def test_w30_a_connected_person_sees_as_whom_since_when_how_long_and_how_to_leave(sample: Sample) -> None:
    with sample.browser() as visitor:
        sample.grant(visitor)
        page = visitor.open(sample.url)
        assert "Connected as Ada" in page.words
        assert "ada@example.org" in page.words
        assert "Granted" in page.words
        assert "Ends if unused" in page.words
        assert "Disconnect" in buttons(page)


def test_nobody_else_sees_who_is_connected(sample: Sample) -> None:
    with sample.browser() as ada, sample.browser() as stranger:
        sample.grant(ada)
        assert "Ada" not in stranger.open(sample.url).words
        assert "Ada" not in stranger.open(f"{sample.url}/granted").words


def test_a_session_ends_after_twelve_hours_and_the_grant_does_not(sample: Sample) -> None:
    with sample.browser() as visitor:
        sample.grant(visitor)
        sample.world.clock.advance(hours=12, seconds=1)
        assert "Connected" not in visitor.open(sample.url).words
        assert "You are connected, Ada" in sample.grant(visitor).words


def test_a_changed_session_cookie_is_no_session(sample: Sample) -> None:
    with sample.browser() as visitor, sample.http() as http:
        sample.grant(visitor)
        (name,) = [name for name in visitor.cookies if name.endswith("_person")]
        value = visitor.cookies[name]
        assert "Connected as" in http.get("/", headers={"cookie": f"{name}={value}"}).text
        other = "AA" if value[-2] != "A" else "BA"
        for changed in (value[:-2] + other, value[2:], value * 20, "x", "AQ", "{}"):
            answer = http.get("/", headers={"cookie": f"{name}={changed}"})
            assert (answer.status_code, "Connected as" in answer.text) == (200, False), changed


def test_s31_markup_in_a_name_is_shown_and_not_run(serve: Serve) -> None:
    sample = serve(About("<script>alert(1)</script>", does="{{ 7 * 7 }} <img src=x>", operator="<i>ops</i>"))
    with sample.browser() as visitor:
        pages = [visitor.open(sample.url), sample.grant(visitor, person="<svg onload=alert(1)>")]
        pages += [visitor.open(sample.url), visitor.open(f"{sample.url}/oauth?state=<b>&code=<b>&error=<b>")]
    for page in pages:
        assert "<script>alert" not in page.text
        assert "<svg onload" not in page.text.lower()
        assert "<i>ops" not in page.text
        assert "<b>" not in page.text
    assert "{{ 7 * 7 }} <img src=x>" in pages[0].words


def test_w34_a_dead_grant_leads_through_the_flow_again_and_back(sample: Sample) -> None:
    with sample.browser() as visitor:
        sample.grant(visitor)
        sample.world.platform.end_grants()
        with pytest.raises(ReauthorizationRequired):
            sample.elsewhere().client_for("id-ada").get("people/me")
        page = visitor.open(sample.url)
        assert page.status == 200
        assert "Your grant has ended" in page.words
        again = visitor.press("Grant again").url
        assert "login_hint=ada%40example.org" in again
        assert "You are connected, Ada" in visitor.open(sample.world.platform.accept(again)).words
        assert "Connected as Ada" in visitor.press("Go on where you were").words


def test_w34_the_start_page_itself_finds_out_that_a_grant_is_dead(serve: Serve) -> None:
    sample = serve(pages={"try_it": True})
    with sample.browser() as visitor:
        sample.grant(visitor)
        sample.world.platform.end_grants()
        page = visitor.open(sample.url)
        assert page.status == 200
        assert "Your grant has ended" in page.words
        assert "grant=" in dict(page.links)["Grant again"]


def test_w02_disconnecting_in_one_browser_disconnects_the_person_in_all(sample: Sample) -> None:
    with sample.browser() as desk, sample.browser() as phone:
        for browser in (desk, phone):
            sample.grant(browser)
        desk.open(sample.url)
        desk.press("Disconnect")
        assert "Connected as" not in phone.open(sample.url).words


def test_w02_after_disconnecting_a_new_grant_opens_in_the_browser_that_gave_it_alone(sample: Sample) -> None:
    with sample.browser() as desk, sample.browser() as phone, sample.browser() as new:
        for browser in (desk, phone):
            sample.grant(browser)
        with desk.keeping_cookies():
            desk.open(sample.url)
            desk.press("Disconnect")
        sample.grant(new)
        assert "Connected as" in new.open(sample.url).words
        assert not any("Connected as" in browser.open(sample.url).words for browser in (desk, phone))


def test_w02_neither_a_renewal_nor_granting_again_elsewhere_logs_a_browser_out(sample: Sample) -> None:
    with sample.browser() as desk, sample.browser() as phone:
        sample.grant(desk)
        sample.elsewhere().refresh("id-ada")
        assert "Connected as" in desk.open(sample.url).words
        sample.world.clock.advance(hours=1)
        sample.grant(phone)
        assert "Connected as" in desk.open(sample.url).words
        sample.world.platform.end_grants()
        with pytest.raises(ReauthorizationRequired):
            sample.elsewhere().client_for("id-ada").get("people/me")
        phone.open(sample.url)
        sample.grant(phone)
        assert "Connected as" in desk.open(sample.url).words


def test_a_dead_grant_can_be_let_go(sample: Sample) -> None:
    with sample.browser() as visitor:
        sample.grant(visitor)
        sample.world.platform.end_grants()
        with pytest.raises(ReauthorizationRequired):
            sample.elsewhere().client_for("id-ada").get("people/me")
        visitor.open(sample.url)
        assert "Disconnected" in visitor.press("Disconnect").words
        assert "Grant again" not in visitor.open(sample.url).words


#: What the platform does, and the words of the banner over the page that is shown nevertheless.
TROUBLE: list[tuple[str, int, Answer | None, str]] = [
    ("the API fails", 500, None, "cannot be reached right now"),
    ("the API refuses", 403, None, "did not allow this"),
    ("the API is strange", 418, None, "did not do it"),
    ("the token endpoint fails", 401, Answer(500), "cannot be reached right now"),
    ("the token endpoint hangs up", 401, Answer(0), "cannot be reached right now"),
    ("the token endpoint answers with a page", 401, Answer(200, "<h1>Welcome</h1>"), "cannot be reached right now"),
    ("the token endpoint says slow down", 401, Answer(429, "", {"Retry-After": "soon"}), "cannot be reached right now"),
    ("the secret is wrong", 401, Answer(401, '{"error": "invalid_client"}'), "is not set up correctly"),
]


@pytest.mark.parametrize(("status", "answer", "words"), [row[1:] for row in TROUBLE], ids=[row[0] for row in TROUBLE])
def test_what_does_not_work_just_now_is_told_and_harms_no_grant(
    serve: Serve, status: int, answer: Answer | None, words: str
) -> None:
    sample = serve(pages={"try_it": True})
    with sample.browser() as visitor:
        sample.grant(visitor)
        sample.world.platform.people_me_status = status
        if answer:
            sample.world.platform.expire_access_tokens()
            sample.world.platform.answers.append(answer)
        page = visitor.open(sample.url)
        assert page.status == 200
        assert words in page.words
        assert "unharmed" in page.words or status in {403, 418}
        assert "Connected as Ada" in page.words
        (grant,) = sample.elsewhere().grants()
        assert grant.status in {Status.ACTIVE, Status.REFRESH_DELAYED}


@pytest.mark.parametrize("try_it", [True, False])
def test_w36_whose_grant_is_held_back_among_many_reads_why_and_may_grant_again(serve: Serve, try_it: bool) -> None:
    sample = serve(pages={"try_it": try_it})
    others = sample.elsewhere()
    for number in range(21):
        sample.world.grant(others, person=f"p{number}")
    with sample.browser() as visitor:
        sample.grant(visitor)
        sample.world.platform.expire_access_tokens()
        sample.world.platform.on_refresh = lambda: (400, {"error": "invalid_grant"})
        for person in [*(f"id-p{number}" for number in range(21)), "id-ada"]:
            with pytest.raises((ReauthorizationRequired, RefusalHeldBack)):
                others.refresh(person)
        page = visitor.open(sample.url)
        assert page.status == 200
        assert "does not accept your grant just now" in page.words
        assert "Your grant is kept until the help desk has looked" in page.words
        again = visitor.open(sample.url + links(page)["Grant again"])
        assert again.url.startswith(f"{sample.world.api_url}/authorize?")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(0),
        Answer(200, "torn", {"Content-Encoding": "gzip"}),
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"),
    ],
)
def test_an_api_whose_answer_cannot_be_read_is_away_and_the_page_is_there(serve: Serve, answer: Answer) -> None:
    sample = serve(pages={"try_it": True})
    with sample.browser() as visitor:
        sample.grant(visitor)
        sample.world.platform.api_answers += [answer, answer]  # what closes is asked once more
        page = visitor.open(sample.url)
        assert page.status == 200
        assert "cannot be reached right now" in page.words


@pytest.mark.parametrize("answer", [pours(), pours(told=True), Answer(200, "<h1>Welcome</h1>"), Answer(200, "")])
def test_an_api_that_answers_with_something_else_costs_no_memory_and_no_page(serve: Serve, answer: Answer) -> None:
    sample = serve(pages={"try_it": True})
    with sample.browser() as visitor:
        sample.grant(visitor)
        sample.world.platform.api_answers.append(answer)
        tracemalloc.start()
        try:
            page = visitor.open(sample.url)
            assert tracemalloc.get_traced_memory()[1] < 40_000_000
        finally:
            tracemalloc.stop()
        assert (page.status, "cannot be reached right now" in page.words) == (200, True)
        assert "Connected as Ada" in page.words
        assert "cannot be reached" not in visitor.open(sample.url).words


def test_what_was_written_is_kept_while_the_platform_is_away(serve: Serve) -> None:
    sample = serve(pages={"try_it": True})
    with sample.browser() as visitor:
        sample.grant(visitor)
        token = next(iter(visitor.open(sample.url).forms)).fields["form_token"]
        sample.world.platform.expire_access_tokens()
        sample.world.platform.answers.append(Answer(503, "", {"Retry-After": "30"}))
        fields = {"form_token": token, "space": "any", "text": "Half an hour's work"}
        answer = visitor._http.post(f"{sample.url}/messages", data=fields)
        assert answer.status_code == 503
        assert 25 < int(answer.headers["retry-after"]) <= 30
        assert "Half an hour&#39;s work" in answer.text
        assert "unharmed" in answer.text


def test_a_renewal_that_waits_is_told_on_the_start_page(sample: Sample) -> None:
    with sample.browser() as visitor:
        sample.grant(visitor)
        sample.world.platform.expire_access_tokens()
        sample.world.platform.answers.append(Answer(503, "", {"Retry-After": "30"}))
        with pytest.raises(TransientTokenError):
            sample.elsewhere().client_for("id-ada").get("people/me")
        page = visitor.open(sample.url)
        assert "Connected as Ada" in page.words
        assert "cannot be reached right now" in page.words


@pytest.mark.slow
def test_no_page_waits_long_for_whoever_refreshes_the_grant(serve: Serve) -> None:
    """Another machine, stopped in the middle, may hold the lease for 45 seconds."""
    sample = serve(pages={"try_it": True})
    with sample.browser() as visitor:
        sample.grant(visitor)
        token = next(iter(visitor.open(sample.url).forms)).fields["form_token"]
        sample.world.platform.expire_access_tokens()
        vault = sample.elsewhere()._parts.vault
        (grant,) = sample.elsewhere().grants()
        assert vault.take_lease(grant.id, generation=1, holder="elsewhere", seconds=45)
        for _ in range(2):
            begun = time.monotonic()
            page = visitor.open(sample.url)
            assert time.monotonic() - begun < 30
            assert "Connected as Ada" in page.words
            assert "unharmed. Try again in 5 seconds" in page.words
        fields = {"form_token": token, "space": "any", "text": "Half an hour's work"}
        answer = visitor._http.post(f"{sample.url}/messages", data=fields)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "Half an hour&#39;s work" in answer.text
        vault.release(grant.id, holder="elsewhere", unanswered_since=None)
        assert "cannot be reached" not in visitor.open(sample.url).words


def test_a_person_in_no_space_is_told_what_to_do(serve: Serve) -> None:
    sample = serve(pages={"try_it": True})
    with sample.browser() as visitor:
        sample.grant(visitor)
        assert "You are in no space yet" in visitor.open(sample.url).words


def test_disconnecting_tells_when_only_this_side_could_forget(sample: Sample) -> None:
    with sample.browser() as visitor:
        sample.grant(visitor)
        visitor.open(sample.url)
        page = visitor.press("Disconnect")
        assert "Disconnected here, and here only" in page.words
        assert "has no way to tell" in page.words
        assert "so the grant may still stand there" in page.words
        assert "revoke it to end the grant for good" in page.words
        assert "endpoint" not in page.words
        assert sample.elsewhere().grants()[0].status is Status.REVOKED


@pytest.mark.parametrize("asked", [False, True], ids=["not to be asked", "can be asked"])
def test_w34_no_page_promises_that_disconnecting_ends_what_the_platform_is_not_asked_to_end(
    serve: Serve, world: World, asked: bool
) -> None:
    sample = serve(**({"revocation_url": f"{world.api_url}/revoke"} if asked else {}))
    with sample.browser() as visitor:
        page = visitor.open(sample.url)
        assert ("You can end it at any time. Disconnect here, or revoke it" in page.words) is asked
        assert ("It ends at once, for this integration alone" in page.words) is asked
        assert ("Disconnecting here deletes only the tokens" in page.words) is not asked
        page = sample.grant(visitor)
        assert ("You can end it at any time" in page.words) is asked
        assert ("To end it, revoke it under the connected apps of" in page.words) is not asked
        assert ("deletes the tokens kept here" in page.words) is not asked
        page = visitor.open(sample.url)
        assert ("Disconnecting ends the grant of Sample <b>app</b> alone, at once" in page.words) is asked
        assert ("the grant stands until you revoke it there too" in page.words) is not asked


@pytest.mark.parametrize("how", ["refused", "disconnected"])
def test_w34_the_page_that_says_connected_is_not_shown_again_once_the_grant_is_over(sample: Sample, how: str) -> None:
    with sample.browser() as visitor:
        sample.grant(visitor)
        assert "You are connected" in visitor.open(f"{sample.url}/granted").words
        if how == "disconnected":
            sample.elsewhere().revoke("id-ada")
        else:
            sample.world.platform.end_grants()
            with pytest.raises(ReauthorizationRequired):
                sample.elsewhere().client_for("id-ada").get("people/me")
        page = visitor.open(f"{sample.url}/granted")
        assert "You are connected" not in page.words
        assert page.url == f"{sample.url}/"


@pytest.mark.parametrize("asked", [False, True], ids=["not to be asked", "away"])
def test_w34_disconnecting_what_the_platform_had_refused_speaks_of_no_grant_that_goes_on(
    serve: Serve, world: World, asked: bool
) -> None:
    sample = serve(**({"revocation_url": f"{world.api_url}/revoke"} if asked else {}))
    world.platform.revocation_status = 503
    with sample.browser() as visitor:
        sample.grant(visitor)
        world.platform.end_grants()
        with pytest.raises(ReauthorizationRequired):
            sample.elsewhere().client_for("id-ada").get("people/me")
        assert "Your grant has ended" in visitor.open(sample.url).words
        page = visitor.press("Disconnect")
        assert "had refused this grant before, and no token of it is kept here any more" in page.words
        assert "here only" not in page.words
        assert "has not confirmed" not in page.words
        assert sample.elsewhere().grants()[0].status is Status.REVOKED


def test_disconnecting_at_the_same_moment_as_another_tab_says_so() -> None:
    note = {"told": "disconnected", "over": "forgotten", "reason": "There was no grant to revoke."}
    notice = told(note, about=About("Sample", does="Post"))
    assert (notice.kind, notice.title) == ("success", "Disconnected")
    assert "a moment before" in notice.text


@pytest.mark.parametrize(
    ("authorization_endpoint", "platform"),
    [
        ("https://webexapis.com/v1/authorize?prompt=select_account", "Webex"),
        ("https://idbroker.webex.com/idb/oauth2/v1/authorize", "Webex"),
        ("http://127.0.0.1:9000/v1/authorize", "127.0.0.1:9000"),
        ("https://webexapis.com.example.org/v1/authorize", "webexapis.com.example.org"),
        ("https://notwebex.com/authorize", "notwebex.com"),
    ],
)
def test_only_webex_is_called_webex_where_nobody_said_what_it_is_called(
    authorization_endpoint: str, platform: str
) -> None:
    assert About("Sample", does="Post").with_platform_at(authorization_endpoint).platform == platform
    assert About("Sample", does="Post", platform="Ours").with_platform_at(authorization_endpoint).platform == "Ours"


def test_every_page_calls_a_platform_that_is_not_webex_by_its_host(sample: Sample) -> None:
    host = urlsplit(sample.world.api_url).netloc
    with sample.browser() as visitor:
        pages = [visitor.open(sample.url), sample.grant(visitor), visitor.open(sample.url), visitor.press("Disconnect")]
        for page in pages:
            assert host in page.words
            assert "Webex" not in page.words.replace("Webex is its trademark", "")


def test_w34_disconnecting_tells_what_the_platform_has_confirmed_and_no_more(serve: Serve, world: World) -> None:
    sample = serve(revocation_url=f"{world.api_url}/revoke")
    for status, words in ((200, "has confirmed that"), (503, "has not confirmed the end of the grant: The platform")):
        world.platform.revocation_status = status
        with sample.browser() as visitor:
            sample.grant(visitor)
            visitor.open(sample.url)
            page = visitor.press("Disconnect")
            assert words in page.words
            assert ("here only" in page.words) is (status != 200)


def test_wrong_methods_and_unknown_addresses_end_in_a_page(sample: Sample) -> None:
    cases = [("GET", "/nowhere", 404), ("POST", "/", 405), ("POST", "/oauth", 405), ("GET", "/disconnect", 405)]
    with sample.http() as http:
        for method, path, status in [*cases, ("GET", "/messages", 404), ("PUT", "/connect", 405)]:
            answer = http.request(method, path)
            assert (answer.status_code, "Go to the start page" in answer.text) == (status, True), path


@pytest.mark.parametrize("path", ["/", "/granted", "/declined", "/oauth?code=c&state=s", "/nowhere", "/connected"])
def test_s20_s21_s100_no_page_can_be_framed_loads_from_elsewhere_or_is_kept(sample: Sample, path: str) -> None:
    with sample.browser() as visitor:
        if path != "/":
            sample.grant(visitor)
        url = visitor.open(sample.url + path).url
        answer = visitor.see("GET", url)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] in {"no-referrer", "same-origin"}
        loaded = re.findall(r"<(?:script|link|img|iframe)[^>]+?(?:src|href)=\"([^\"]*)", answer.text)
        assert loaded
        assert all(re.match(r"/static/|data:", address) for address in loaded)
        assert not re.search(r"<script(?![^>]*src=)|<style| style=| on[a-z]+=", answer.text)

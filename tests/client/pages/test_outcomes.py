"""The answer at the redirect URI: every way it can come, and the page that tells what came of it."""

import asyncio
import logging
import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.client.foreign import Answer
from tests.client.misbehaving import pours, says
from tests.client.pages.conftest import Browser, Sample, Serve

pytestmark = pytest.mark.slow

JSON = {"Content-Type": "application/json"}
WEBEX_REFUSAL = '{"message": "It is spent.", "errors": [{"description": "It is spent."}], "trackingId": "T1"}'

Begin = Callable[[Sample, Browser], str]


def accepted(sample: Sample, visitor: Browser) -> str:
    return sample.accepted(visitor)


def state_of(sample: Sample, visitor: Browser) -> str:
    return parse_qs(urlsplit(sample.accepted(visitor)).query)["state"][0]


def with_state(rest: str) -> Begin:
    """The platform answers with the right state and something else than a code."""
    return lambda sample, visitor: f"{sample.url}/oauth?state={state_of(sample, visitor)}&{rest}"


def after(*answers: Answer) -> Begin:
    """A good answer comes, and the token endpoint says this."""

    def begin(sample: Sample, visitor: Browser) -> str:
        sample.world.platform.answers.extend(answers)
        return sample.accepted(visitor)

    return begin


def stale(sample: Sample, visitor: Browser) -> str:
    answer = sample.accepted(visitor)
    sample.world.clock.advance(minutes=10, seconds=1)
    return answer


def begun_elsewhere(sample: Sample, _visitor: Browser) -> str:
    with sample.browser() as somebody:
        return sample.accepted(somebody)


def used(sample: Sample, visitor: Browser) -> str:
    answer = sample.accepted(visitor)
    with visitor.keeping_cookies():
        visitor.open(answer)
    return answer


def whoami(status: int) -> Begin:
    """A good answer comes, and `people/me` answers with this status."""

    def begin(sample: Sample, visitor: Browser) -> str:
        sample.world.platform.people_me_status = status
        return sample.accepted(visitor)

    return begin


def by_somebody_else(sample: Sample, visitor: Browser) -> str:
    sample.grant(visitor)
    (grant,) = sample.elsewhere().grants()
    return sample.accepted(visitor, person="grace", start=f"/connect?grant={grant.id}")


#: What happens, the status of the page, words on it, and whether somebody must look into it.
WENT_WRONG: list[tuple[str, Begin, int, str, bool]] = [
    ("opened by hand", lambda sample, _: f"{sample.url}/oauth", 400, "Nothing came with you", False),
    ("no code", with_state("foo=bar"), 400, "Nothing came with you", False),
    ("an empty code", with_state("code="), 400, "Nothing came with you", False),
    ("no state", lambda sample, _: f"{sample.url}/oauth?code=c", 400, "does not belong to this browser", False),
    ("made up", lambda sample, _: f"{sample.url}/oauth?code=c&state=s", 400, "does not belong to this browser", False),
    ("begun elsewhere", begun_elsewhere, 400, "does not belong to this browser", False),
    ("stale", stale, 400, "a little too long", False),
    ("used", used, 400, "used already", False),
    ("twice the same parameter", with_state("code=a&code=b"), 400, "did not grant access", False),
    ("an unknown error", with_state("error=strange"), 400, "did not grant access", True),
    ("its server failed", with_state("error=server_error"), 503, "could not finish this", False),
    ("it is busy", with_state("error=temporarily_unavailable"), 503, "could not finish this", False),
    ("sign in first", with_state("error=login_required"), 400, "needs you to sign in first", False),
    ("a scope too many", with_state("error=invalid_scope"), 502, "is not set up correctly", True),
    ("an error without state", lambda sample, _: f"{sample.url}/oauth?error=invalid_scope", 502, "not set up", False),
    ("not registered", with_state("error=unauthorized_client"), 502, "is not set up correctly", True),
    ("the code is spent", after(Answer(400, '{"error": "invalid_grant"}', JSON)), 400, "no longer takes", False),
    ("the code is spent, as Webex says it", after(Answer(400, WEBEX_REFUSAL, JSON)), 400, "no longer takes", False),
    ("the secret is wrong", after(Answer(401, '{"error": "invalid_client"}', JSON)), 502, "not set up correctly", True),
    ("no such address", after(Answer(404, "")), 502, "is not set up correctly", True),
    ("a login wall", after(Answer(403, "<h1>Sign in to the hotel</h1>")), 503, "cannot be reached right now", False),
    ("out of order", after(Answer(500, "<h1>Oops</h1>")), 503, "cannot be reached right now", False),
    ("slow down", after(Answer(429, "", {"Retry-After": "17"})), 503, "cannot be reached right now", False),
    ("hung up", after(Answer(0)), 503, "cannot be reached right now", False),
    ("HTML", after(Answer(200, "<h1>Welcome</h1>")), 503, "cannot be reached right now", False),
    ("nothing", after(Answer(200, "")), 503, "cannot be reached right now", False),
    ("HTML 400", after(Answer(400, "<h1>Bad</h1>")), 503, "cannot be reached right now", False),
    ("half an answer", after(says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")), 503, "cannot be reached", False),
    ("a hundred megabytes", after(pours()), 503, "cannot be reached right now", False),
    ("an odd token", after(Answer(200, '{"access_token": 5}', JSON)), 503, "cannot be reached right now", False),
    ("an absurd wait", after(Answer(429, "", {"Retry-After": "9" * 50})), 503, "cannot be reached right now", False),
    ("sent elsewhere", after(Answer(307, "", {"Location": "http://e.example/"})), 502, "not set up correctly", True),
    ("no access token", after(Answer(200, '{"expires_in": 5}', JSON)), 503, "cannot be reached right now", False),
    ("by nobody", whoami(403), 502, "could not find out who you are", True),
    ("the API is out of order", whoami(500), 503, "cannot be reached right now", False),
    ("the API says slow down", whoami(429), 503, "cannot be reached right now", False),
    ("by somebody else", by_somebody_else, 409, "Somebody else granted", False),
]


@pytest.mark.parametrize(
    ("begin", "status", "words", "look"), [row[1:] for row in WENT_WRONG], ids=[r[0] for r in WENT_WRONG]
)
def test_w10_w30_s95_what_goes_wrong_is_told_with_reason_next_step_and_reference(
    sample: Sample, caplog: pytest.LogCaptureFixture, begin: Begin, status: int, words: str, look: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    with sample.browser() as visitor:
        answer = begin(sample, visitor)
        stored = [grant.generation for grant in sample.elsewhere().grants()]
        caplog.clear()
        page = visitor.open(answer)
        assert (page.status, page.url.partition("?")[0]) == (status, f"{sample.url}/went-wrong")
        assert words in page.words
        assert "Go to the start page" in dict(page.links)
        reference = re.search(r"Reference ([a-z2-7]{8})(?![a-z2-7])", page.words)
        assert reference is not None
        ours = [record for record in caplog.records if record.name.startswith("grantflow")]
        (line,) = [record for record in ours if reference[1] in record.getMessage()]
        assert (line.levelno == logging.ERROR) is look
        shown = page.url + page.text + "".join(record.getMessage() + str(record.exc_info) for record in ours)
        answered = parse_qs(urlsplit(answer).query)
        assert not [text for name in ("code", "state") for text in answered.get(name, ()) if text[8:] and text in shown]
        assert [grant.generation for grant in sample.elsewhere().grants()] == stored, "nothing was stored or replaced"
        again = next(label for label in dict(page.links) if label.startswith(("Grant", "Sign in as")))
        assert visitor.press(again).url.startswith(f"{sample.world.api_url}/authorize?")


@pytest.mark.parametrize(
    ("rest", "told"), [("iss=https%3A%2F%2Fevil.example", True), ("", True), ("iss=ISSUER", False)]
)
def test_s98_an_answer_of_another_server_is_not_used(serve: Serve, rest: str, told: bool) -> None:
    issuer = "https://platform.example/v1"
    sample = serve(issuer=issuer)
    with sample.browser() as visitor:
        page = visitor.open(f"{sample.accepted(visitor)}&{rest.replace('ISSUER', issuer)}")
        assert ("Another server answered" in page.words) is told
        assert sample.world.platform.counts["exchange"] == (0 if told else 1)


def test_w25_w30_after_accept_the_person_reads_who_granted_and_the_code_is_gone(sample: Sample) -> None:
    with sample.browser() as visitor:
        exchanged = visitor.see("GET", sample.accepted(visitor))
        assert (exchanged.status_code, exchanged.headers["location"]) == (303, "/granted")
        assert exchanged.headers["referrer-policy"] == "no-referrer"
        assert exchanged.headers["cache-control"] == "no-store"
        page = visitor.open(f"{sample.url}/granted")
        assert "You are connected, Ada" in page.words
        assert "See the titles of the spaces that you are in" in page.words
        assert not [name for name in visitor.cookies if name.startswith("grantflow-")], "it has served"


def test_w25_after_decline_the_person_reads_so_and_can_change_their_mind(sample: Sample) -> None:
    with sample.browser() as visitor:
        page = visitor.open(with_state("error=access_denied&error_description=No%20thanks")(sample, visitor))
        assert (page.status, page.url.partition("?")[0]) == (200, f"{sample.url}/declined")
        assert "You declined" in page.words
        assert sample.world.platform.counts["token"] == 0
        assert (
            "You are connected"
            in visitor.open(sample.world.platform.accept(visitor.press("Grant after all").url)).words
        )


def test_w10_who_did_not_decline_is_not_told_so_whatever_link_they_were_given(sample: Sample) -> None:
    with sample.browser() as visitor:
        sample.grant(visitor)
        page = visitor.open(f"{sample.url}/oauth?error=access_denied")
        assert (page.status, "Nothing came with you" in page.words) == (400, True)
        page = visitor.open(f"{sample.url}/declined")
        assert (page.url, "Connected as Ada" in page.words) == (f"{sample.url}/", True)


def test_w10_s95_a_used_answer_gets_no_tokens_a_second_time(sample: Sample) -> None:
    with sample.browser() as visitor:
        visitor.open(used(sample, visitor))
        assert sample.world.platform.counts["exchange"] == 1
        assert "Connected as Ada" in visitor.press("Go to the start page").words


def test_an_answer_of_another_browser_gets_no_tokens(sample: Sample) -> None:
    with sample.browser() as visitor:
        visitor.open(begun_elsewhere(sample, visitor))
        assert sample.world.platform.counts["token"] == 0


def test_twenty_tabs_of_one_browser_are_all_granted(sample: Sample) -> None:
    async def story() -> list[httpx2.Response]:
        async with httpx2.AsyncClient(base_url=sample.url, trust_env=False, timeout=60) as tabs:
            begun = [await tabs.get("/connect") for _ in range(20)]
            answers = [sample.world.platform.accept(each.headers["location"]) for each in begun]
            return await asyncio.gather(*(tabs.get(answer) for answer in reversed(answers)))

    answers = asyncio.run(story())
    assert {(answer.status_code, answer.headers["location"]) for answer in answers} == {(303, "/granted")}
    (grant,) = sample.elsewhere().grants()
    assert grant.generation == 20


def test_looking_ahead_with_head_spends_nothing(sample: Sample) -> None:
    with sample.browser() as visitor:
        answer = sample.accepted(visitor)
        ahead = visitor.see("HEAD", answer)
        assert (ahead.status_code, ahead.headers["allow"]) == (405, "GET")
        assert visitor.see("GET", answer).headers["location"] == "/granted"


def test_the_wrong_account_is_told_whom_we_expect_without_giving_them_away(sample: Sample) -> None:
    with sample.browser() as visitor:
        page = visitor.open(by_somebody_else(sample, visitor))
        assert "a•••@example.org" in page.words
        assert "ada@" not in page.text
        assert "Grace accepted" in page.words
        begun = visitor.press("Sign in as somebody else").url
        assert "prompt=select_account" in begun
        assert "You are connected, Ada" in visitor.open(sample.world.platform.accept(begun)).words


def test_a_platform_that_says_when_to_come_back_is_quoted(sample: Sample) -> None:
    with sample.browser() as visitor:
        sample.world.platform.answers.append(Answer(429, "", {"Retry-After": "17"}))
        told = visitor.see("GET", sample.accepted(visitor)).headers["location"]
        assert visitor.see("GET", sample.url + told).headers["retry-after"] == "17"


def test_a_person_who_granted_less_is_told_what_will_not_work(sample: Sample) -> None:
    with sample.browser() as visitor:
        narrow = sample.accepted(visitor)
        (asked,) = sample.world.platform.codes.values()
        asked["scope"] = "spark:people_read"
        page = visitor.open(narrow)
        assert "Not all was granted" in page.words
        assert "See the titles of the spaces that you are in" in page.words
        assert "/authorize?" in visitor.press("Grant again").url


@pytest.mark.parametrize("note", ["", "x", "AAAA", "A" * 5_000, "é", "other page", "old"])
def test_what_a_page_tells_cannot_be_made_up_and_ends_by_itself(sample: Sample, note: str) -> None:
    with sample.browser() as visitor:
        url = visitor.open(f"{sample.url}/oauth?code=c&state=s").url
        if note == "old":
            sample.world.clock.advance(minutes=16)
        elif note == "other page":
            assert "browser" not in visitor.open(url.replace("/went-wrong", "/declined")).words
            url = url.replace("/went-wrong", "/")
        else:
            url = f"{sample.url}/went-wrong?note={note}"
        page = visitor.open(url)
        assert page.status == 200
        assert "does not belong" not in page.words

"""Races over real sockets: at two servers with an engine each over one database, and from eight processes."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx2

from grantflow.protocol.registration import Profile
from grantflow.protocol.secret import Secret
from tests.authorization_server.given import PKCE, VERIFIER, App, Server, serving
from tests.authorization_server.test_races import (
    CALLERS,
    at_once,
    living_refresh_tokens,
    redeem_at_once,
    refresh_at_once,
    refresh_of,
    workers,
)
from tests.soak.looking import ANSWERS, Logs, left_behind, watched
from tests.soak.proof import Play, Proof
from tests.walkthrough.both_halves import ADA, REDIRECT_URI, BothHalves, both_halves
from tests.whole.person import Person
from tests.whole.running import OwnDatabase, json_of, up
from tests.whole.test_many_callers import REDIRECT_URI as EIGHT_REDIRECT_URI
from tests.whole.test_many_callers import call_at_once, eight_processes, register
from tests.whole.test_workers import SCOPES, served

PROFILES = ("webex", "strict")
Race: TypeAlias = Callable[[Server, Sequence[str], int, random.Random], Awaitable[Mapping[str, object]]]


def at_two_servers(race: Race) -> Callable[[Path], AbstractContextManager[Play]]:
    @contextmanager
    def begin(folder: Path) -> Iterator[Play]:
        with workers(folder) as addresses, asyncio.Runner() as runner:
            entered = serving(folder)
            server = runner.run(_enter(entered))
            try:
                yield lambda number, chance: runner.run(_as_coroutine(race(server, addresses, number, chance)))
            finally:
                runner.run(server.engine.close())

    return begin


async def _enter(entered: object) -> Server:
    server: Server = await entered.__aenter__()  # type: ignore[attr-defined]
    return server


async def _as_coroutine(playing: Awaitable[Mapping[str, object]]) -> Mapping[str, object]:
    return await playing


async def _given(server: Server, number: int, *, strict: bool) -> tuple[App, dict[str, str]]:
    """An integration of this round's own, and the tokens of a person of this round's own."""
    if strict:
        app = await server.integration(f"App {number}", "https://app.example/oauth", profile=Profile.STRICT)
    else:
        app = await server.integration(f"App {number}")
    return app, await server.tokens(app, await server.person(f"ada{number}@sandbox.example"))


async def redeem(server: Server, addresses: Sequence[str], number: int, chance: random.Random) -> Mapping[str, object]:
    app, person = await server.integration(f"App {number}"), await server.person(f"ada{number}@sandbox.example")
    await redeem_at_once(server, addresses, app=app, person=person)
    return {"callers": CALLERS}


async def refresh(server: Server, addresses: Sequence[str], number: int, chance: random.Random) -> Mapping[str, object]:
    """In both profiles, twice, so that the second time begins from what the first left."""
    for strict in (False, True):
        app, tokens = await _given(server, 2 * number + strict, strict=strict)
        for _ in range(2):
            refresh_token = tokens["refresh_token"]
            tokens = await refresh_at_once(server, addresses, app=app, refresh_token=refresh_token, rotates=strict)
    return {"callers": CALLERS}


async def refresh_or_revoke(
    server: Server, addresses: Sequence[str], number: int, chance: random.Random
) -> Mapping[str, object]:
    """A grant that is revoked while fifty refresh it is dead for good: no token that was issued meanwhile lives on."""
    app, tokens = await _given(server, number, strict=chance.random() < 0.5)
    pause = chance.uniform(0, 0.15)

    async def revoke() -> httpx2.Response:
        await asyncio.sleep(pause)
        async with httpx2.AsyncClient(timeout=30) as client:
            fields = {**app.credentials, "token": tokens["refresh_token"]}
            return await client.post(f"{chance.choice(addresses)}/v1/revoke", data=fields)

    answers, revoked = await asyncio.gather(at_once(addresses, refresh_of(app, tokens["refresh_token"])), revoke())
    assert revoked.status_code == 200
    seen = _only(answers, {200: None, 400: "invalid_grant"})
    for answer in (answer.json() for answer in answers if answer.status_code == 200):
        assert not await server.lives(answer["access_token"]), "a token outlived the revocation"
        assert (await server.refresh(app, answer["refresh_token"])).status_code == 400
    assert await living_refresh_tokens(server, app) == 0
    return seen


async def regenerate(
    server: Server, addresses: Sequence[str], number: int, chance: random.Random
) -> Mapping[str, object]:
    """Whoever refreshes with the old secret meanwhile is served, or refused (after a few times with 429); the grant
    lives on under the new one."""
    strict = chance.random() < 0.5
    app, tokens = await _given(server, number, strict=strict)
    pause = chance.uniform(0, 0.15)

    async def another() -> App:
        await asyncio.sleep(pause)
        return await server.another_secret(app, others_expire_at=server.now - timedelta(seconds=1))

    answers, renewed = await asyncio.gather(at_once(addresses, refresh_of(app, tokens["refresh_token"])), another())
    seen = _only(answers, {200: None, 401: "invalid_client", 429: "temporarily_unavailable"})
    newest = next((answer.json() for answer in answers if answer.status_code == 200), tokens)
    assert (await server.refresh(app, newest["refresh_token"])).status_code == 401, "the old secret still serves"
    answer = await server.refresh(renewed, newest["refresh_token"])
    assert answer.status_code == 200, answer.text
    assert await server.lives(answer.json()["access_token"])
    return seen


def _only(answers: Sequence[httpx2.Response], allowed: Mapping[int, str | None]) -> Mapping[str, object]:
    """How many answers had each status; each must be an allowed one, with the error that goes with it."""
    for answer in answers:
        assert answer.status_code in allowed, (answer.status_code, answer.text)
        assert answer.json().get("error") == allowed[answer.status_code]
    return {str(status): count for status, count in sorted(Counter(a.status_code for a in answers).items())}


# --- the consent page ----------------------------------------------------------------------------------------------

CLICKS = 8


@contextmanager
def consent_twice(folder: Path) -> Iterator[Play]:
    """Many clicks on one consent page, Accept and Decline at once: one answer counts, and makes one code or none."""
    with both_halves(folder) as halves:

        def play(number: int, chance: random.Random) -> Mapping[str, object]:
            app = halves.register(f"App {number}", profile=Profile.WEBEX)
            url = (
                f"{halves.api_url}/authorize?client_id={app.client_id}&response_type=code&state=s"
                f"&redirect_uri={REDIRECT_URI}&scope=spark%3Apeople_read"
            )
            with halves.browser(ADA) as ada:
                ada.open(url)
                if any("password" in form.fields for form in ada.page.forms):
                    ada.sign_in()
                decisions = [chance.choice(["Accept", "Decline"]) for _ in range(CLICKS)]
                with ThreadPoolExecutor(CLICKS) as threads:
                    ends = list(threads.map(lambda words: _click(ada, words), decisions))
            return _counted(halves, app.client_id, app.client_secret or "", ends)

        yield play


def _click(person: Person, words: str) -> str:
    """Press the button from a tab of its own; the address where that ended."""
    (form, sent), *_ = [(f, sent) for f in person.page.forms for label, sent in f.buttons if label == words]
    with httpx2.Client(trust_env=False, cookies=person._http.cookies, timeout=30) as tab:
        url = urljoin(person.page.url, form.action or person.page.url)
        answer = tab.post(url, data=form.fields | sent, headers={"origin": _origin(person.page.url)})
        for _ in range(10):
            assert answer.status_code < 500, answer.text
            if not answer.has_redirect_location:
                return str(answer.url)
            url = urljoin(url, answer.headers["location"])
            if url.startswith(REDIRECT_URI):
                return url
            answer = tab.get(url)
    raise AssertionError(f"ten redirects and no end: {url}")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _counted(halves: BothHalves, client_id: str, client_secret: str, ends: Sequence[str]) -> Mapping[str, object]:
    answers = [parse_qs(urlsplit(end).query) for end in ends if end.startswith(REDIRECT_URI)]
    codes = {answer["code"][0] for answer in answers if "code" in answer}
    declined = [answer for answer in answers if answer.get("error") == ["access_denied"]]
    assert answers, "nobody came to the redirect URI"
    assert len(codes) <= 1, "one consent made several codes"
    assert not (codes and declined), "the one consent was given and refused"
    for code in codes:
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI}
        answer = halves.post("access_token", client_id=client_id, client_secret=client_secret, **fields)
        assert answer.status_code == 200, answer.text
    return {"codes": len(codes), "declined": len(declined), "pages": len(ends) - len(answers)}


# --- processes -----------------------------------------------------------------------------------------------------


@contextmanager
def processes(folder: Path) -> Iterator[Play]:
    """The eight go on from round to round; the grant, the vault, its key and their integrations are new each time."""
    watched()
    logs = Logs(folder)
    with ExitStack() as stack:
        platform = stack.enter_context(up(folder / "state"))
        all_call = stack.enter_context(eight_processes())
        apps = {profile: register(platform, profile, "Eight processes") for profile in PROFILES}
        people = {
            profile: stack.enter_context(Person(platform.ada, stops=(EIGHT_REDIRECT_URI,))) for profile in PROFILES
        }

        def play(number: int, chance: random.Random) -> Mapping[str, object]:
            profile = chance.choice(PROFILES)
            own = folder / str(number)
            own.mkdir()
            call_at_once(platform, apps[profile], own, ada=people[profile], all_call=all_call)
            logs.check()
            return {"profile": profile}

        yield play


# --- two workers ---------------------------------------------------------------------------------------------------

ADA_EMAIL = "ada@example.com"
#: For how long a host is away, in seconds: two minutes, and a little so that none is missing.
AWAY = 121.0
_LIVING = (
    "SELECT count(*) FROM refresh_tokens WHERE replaced_at IS NULL AND revoked_at IS NULL "
    "AND family = (SELECT family FROM refresh_tokens WHERE token_hash = ?)"
)


@dataclass(frozen=True, slots=True)
class TwoWorkers(OwnDatabase):
    """`grantflow platform serve --workers 2`, an integration in each profile, and Ada's browser."""

    folder: Path
    url: str
    apps: Mapping[str, Mapping[str, Any]]
    ada: Person

    def tokens(self, profile: str) -> dict[str, Any]:
        """Of a fresh grant."""
        app = self.apps[profile]
        asked = {
            **{"client_id": app["client_id"], "response_type": "code", "redirect_uri": EIGHT_REDIRECT_URI},
            **{"scope": SCOPES, "state": "s", **PKCE},
        }
        (code,) = parse_qs(urlsplit(self.ada.grant(f"{self.url}/v1/authorize?{urlencode(asked)}")).query)["code"]
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": EIGHT_REDIRECT_URI}
        answer = self.ask(profile, **fields, code_verifier=VERIFIER)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def ask(self, profile: str, **fields: str) -> httpx2.Response:
        sent = self.fields(profile, **fields)
        return httpx2.post(f"{self.url}/v1/access_token", data=sent, trust_env=False, timeout=30)

    def fields(self, profile: str, **fields: str) -> dict[str, str]:
        app = self.apps[profile]
        return {"client_id": app["client_id"], "client_secret": app["client_secret"], **fields}

    def check_lives(self, profile: str, tokens: Mapping[str, Any]) -> None:
        """The API takes the access token, the refresh token serves, and it is the only one of its family."""
        digest = Secret(tokens["refresh_token"]).digest()
        assert self.sql(_LIVING, digest) == [(1,)], "more than one generation lives"
        bearer = {"authorization": f"Bearer {tokens['access_token']}"}
        assert httpx2.get(f"{self.url}/v1/people/me", headers=bearer, trust_env=False, timeout=30).status_code == 200
        again = self.ask(profile, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
        assert again.status_code == 200, again.text


@contextmanager
def two_workers(folder: Path) -> Iterator[TwoWorkers]:
    watched()
    data = folder / "state"
    where = ("--data", str(data), "--json")
    ada = {"email": ADA_EMAIL} | json_of("platform", "person", "add", ADA_EMAIL, "--name", "Ada", *where)
    adding = ("--redirect-uri", EIGHT_REDIRECT_URI, "--scopes", SCOPES)
    apps = {
        profile: json_of("platform", "app", "add", f"App {profile}", *adding, "--profile", profile, *where)
        for profile in PROFILES
    }
    with served(data) as url, Person(ada, stops=(EIGHT_REDIRECT_URI,)) as browser:
        yield TwoWorkers(data, url, apps, browser)


@contextmanager
def fifty(folder: Path) -> Iterator[Play]:
    with two_workers(folder) as platform, asyncio.Runner() as runner:

        def play(number: int, chance: random.Random) -> Mapping[str, object]:
            for profile in PROFILES:
                old = platform.tokens(profile)["refresh_token"]
                fields = platform.fields(profile, grant_type="refresh_token", refresh_token=old)
                answers = runner.run(_as_answers(at_once([platform.url], fields)))
                assert Counter(answer.status_code for answer in answers) == {200: CALLERS}
                (successor,) = {answer.json()["refresh_token"] for answer in answers}
                assert (successor == old) is (profile == "webex")
                platform.check_lives(profile, chance.choice(answers).json())
            assert not ANSWERS.take()
            return {"callers": CALLERS}

        yield play


async def _as_answers(asking: Awaitable[list[httpx2.Response]]) -> list[httpx2.Response]:
    return await asking


@contextmanager
def comes_back(folder: Path) -> Iterator[Play]:
    """The answer to a refresh gets lost, and its host is away for two minutes by the real clock."""
    with two_workers(folder) as platform:

        def play(number: int, chance: random.Random) -> Mapping[str, object]:
            lost = []
            for profile in PROFILES * 5:
                old = platform.tokens(profile)["refresh_token"]
                answer = platform.ask(profile, grant_type="refresh_token", refresh_token=old)
                lost.append((profile, old, answer.json()["refresh_token"]))
            time.sleep(AWAY)
            for profile, old, successor in lost:
                answer = platform.ask(profile, grant_type="refresh_token", refresh_token=old)
                assert answer.status_code == 200, answer.text
                assert answer.json()["refresh_token"] == successor
                platform.check_lives(profile, answer.json())
            return {"grants": len(lost)}

        yield play


RACES = [
    Proof("fifty", "S67: fifty refreshes at once at two workers succeed, and the session lives on", 100, fifty),
    Proof(
        "comes-back",
        "S67: a host that comes back after two minutes still gets the answer that it has missed",
        2,
        comes_back,
        mostly_waits=True,
    ),
    Proof("redeem", "W28 S33: of fifty redemptions of a code at once, one succeeds", 100, at_two_servers(redeem)),
    Proof("refresh", "S67: of fifty refreshes at once, all succeed, in both profiles", 100, at_two_servers(refresh)),
    Proof("revoke", "W02: what is revoked during fifty refreshes is dead", 100, at_two_servers(refresh_or_revoke)),
    Proof(
        "secret",
        "W19: a secret that is regenerated during fifty refreshes costs no grant",
        100,
        at_two_servers(regenerate),
    ),
    Proof("consent", "W25: of many answers to one consent page, one counts", 100, consent_twice),
    Proof(
        "processes",
        "W32: 25 callers in each of eight processes make one refresh",
        100,
        processes,
        look=left_behind,
    ),
]

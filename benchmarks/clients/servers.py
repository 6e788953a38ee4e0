"""The other side: servers that protect against reuse, and a token that comes more than once without a thief.

Eight refreshes at one moment are what several processes of one client do by mistake. One that comes again is what a
client does whose answer was lost on the way. Either way the client goes on with the refresh token that came last.
"""

import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urljoin, urlsplit

import httpx2

from benchmarks import parts
from benchmarks.load import LoadFailed, Target
from benchmarks.rows import (
    REDIRECT_URI,
    Missing,
    Place,
    Running,
    django_oauth_toolkit,
    followed,
    oidc_provider,
    ours,
    place,
)
from benchmarks.run import Results, say

PARALLEL = 8
#: A client that had no answer asks again after so many seconds.
AGAIN_AFTER = 0.5


def _again(running: Running) -> str:
    """The first of its people, who has consented once and for all."""
    return running.cookies[0]


def _anew(running: Running) -> str:
    """Somebody new: where a server revokes the whole grant, the consent goes with it."""
    return followed(replace(running.target, authorize=running.target.authorize + "&prompt=consent"))


@dataclass(frozen=True, slots=True)
class Server:
    name: str
    start: Callable[[Place], Running]
    needs: Sequence[str] = ()
    enter: Callable[[Running], str] = _again
    """Somebody signed in, who has consented: their cookies."""


SERVERS = [
    Server("Grantflow, strict", ours(1, profile="strict", people=1)),
    Server("Grantflow, webex", ours(1, people=1)),
    Server("oidc-provider", oidc_provider(on_postgres=False, rotates=True), ("oidc_provider",), _anew),
    Server(
        "django-oauth-toolkit",
        lambda place: django_oauth_toolkit(place, name="django", ROTATES="yes"),
        ("django", "postgresql"),
    ),
    Server(
        "django-oauth-toolkit, 10 s of grace",
        lambda place: django_oauth_toolkit(place, name="django_grace", ROTATES="yes", GRACE_SECONDS="10"),
        ("django", "postgresql"),
    ),
]


def play(results: Results, *, rounds: int, lost_rounds: int) -> None:
    parts.install_needed({need for server in SERVERS for need in server.needs})
    with tempfile.TemporaryDirectory(prefix="grantflow-servers-") as folder, place(Path(folder)) as room:
        for server in SERVERS:
            say(f"servers: {server.name}", end=" ... ")
            cell: dict[str, Any] = {"scenario": "servers", "row": server.name}
            try:
                running = server.start(room)
                cell["rounds"] = [parallel(running.target, server.enter(running)) for _ in range(rounds)]
                cell["lost"] = [lost(running.target, server.enter(running)) for _ in range(lost_rounds)]
                running.spawned.end()
            except (Missing, LoadFailed, httpx2.HTTPError) as error:
                cell["failed"] = str(error)
            results.keep(cell)
            say(cell.get("failed", f"{len(cell.get('rounds', ()))} rounds"))


def parallel(target: Target, cookies: str) -> dict[str, Any]:
    """One session, refreshed eight times at once; then once more."""
    first = _session(target, cookies)
    answers: list[httpx2.Response] = []
    start = threading.Barrier(PARALLEL)

    def refresh() -> None:
        with httpx2.Client(trust_env=False, timeout=30) as http:
            http.get(target.url + "/")  # connected, so that what follows comes at one moment
            start.wait()
            answers.append(_refresh(http, target, first))

    threads = [threading.Thread(target=refresh) for _ in range(PARALLEL)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"ends": _counted(answers), "alive": _goes_on(target, answers, first)}


def lost(target: Target, cookies: str) -> dict[str, Any]:
    """One session whose refresh has no answer, as far as the client can tell: it sends the same token again."""
    first = _session(target, cookies)
    with httpx2.Client(trust_env=False, timeout=30) as http:
        _refresh(http, target, first)
        time.sleep(AGAIN_AFTER)
        again = _refresh(http, target, first)
    return {"ends": _counted([again]), "alive": _goes_on(target, [again], first)}


def _counted(answers: Sequence[httpx2.Response]) -> dict[str, int]:
    return dict(Counter(str(answer.status_code) for answer in answers).most_common())


def _goes_on(target: Target, answers: Sequence[httpx2.Response], first: str) -> bool:
    """With the refresh token that came last; with the old one, where none came."""
    came = [answer.json().get("refresh_token", first) for answer in answers if answer.status_code == 200]
    with httpx2.Client(trust_env=False, timeout=30) as http:
        return _refresh(http, target, came[-1] if came else first).status_code == 200


def _session(target: Target, cookies: str) -> str:
    """A person who has consented before: an authorization code and its exchange. Answers the refresh token."""
    with httpx2.Client(trust_env=False, timeout=30, headers={"cookie": cookies}) as http:
        url = target.url + target.authorize
        for _ in range(5):
            url = urljoin(url, http.get(url).headers.get("location", ""))
            if url.startswith(REDIRECT_URI):
                code = parse_qs(urlsplit(url).query)["code"][0]
                form = {**dict(parse_qsl(target.form)), "grant_type": "authorization_code", "code": code}
                answer = http.post(target.url + target.token, data=form)
                token: str = answer.raise_for_status().json()["refresh_token"]
                return token
    raise Missing(f"no authorization code came: {url}")


def _refresh(http: httpx2.Client, target: Target, token: str) -> httpx2.Response:
    known = dict(parse_qsl(target.form))
    form = {"client_id": known["client_id"], "client_secret": known["client_secret"]}
    return http.post(target.url + target.token, data={**form, "grant_type": "refresh_token", "refresh_token": token})

"""W23 as one table: each wrong authorization request, where the person or the integration learns of it, and in what
words. The person has not signed in when it comes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import pytest

from grantflow.protocol.registration import Profile
from tests.authorization_server.given import CHALLENGE, ISSUER, PKCE, SCOPES, Server, parameters_of, request_of, run

FIRST, SECOND = "https://a.example/oauth", "https://b.example/oauth"
EVIL = "https://evil.example/"
STATE = "a b+c&d=é"


@dataclass(frozen=True, slots=True)
class Wrong:
    """A request of an integration with two redirect URIs: what differs from a good one (None leaves it out), what is
    sent once more, and the parameter, reason and fix that must be told.
    """

    parameter: str
    reason: str
    fix: str
    changed: Mapping[str, str | None]
    again: dict[str, str] = field(default_factory=dict)
    profile: Profile = Profile.WEBEX

    def __str__(self) -> str:
        return f"{self.parameter}: {self.reason}"

    def query(self, client_id: str) -> str:
        good: dict[str, str | None] = {"client_id": client_id, "response_type": "code", "redirect_uri": FIRST}
        asked = {**good, "scope": SCOPES, "state": STATE, **self.changed}
        pairs = [*((name, value) for name, value in asked.items() if value is not None), *self.again.items()]
        return urlencode(pairs)


COPY = "Copy the authorization URL from the integration's page again"
REGISTERED = "Send exactly one of the registered redirect URIs"
SHOWN = [
    Wrong("client_id", "It is missing", COPY, {"client_id": None}),
    Wrong("client_id", "It is missing", COPY, {"client_id": ""}),
    Wrong("client_id", "No integration with this client ID", COPY, {"client_id": "C" + "0" * 64}),
    Wrong("client_id", "No integration with this client ID", COPY, {"client_id": "' OR '1'='1"}),
    Wrong("client_id", "It occurs more than once", COPY, {}, {"client_id": "C" + "0" * 64}),
    Wrong("redirect_uri", "It is missing", REGISTERED, {"redirect_uri": None}),
    Wrong("redirect_uri", "It is missing", REGISTERED, {"redirect_uri": ""}),
    Wrong("redirect_uri", "It is not registered", REGISTERED, {"redirect_uri": EVIL}),
    Wrong("redirect_uri", "It is not registered", REGISTERED, {"redirect_uri": FIRST + "/"}),
    Wrong("redirect_uri", "It is not registered", REGISTERED, {"redirect_uri": FIRST + "?next=" + EVIL}),
    Wrong("redirect_uri", "It is not registered", REGISTERED, {"redirect_uri": f"{FIRST},{SECOND}"}),
    Wrong("redirect_uri", "It occurs more than once", REGISTERED, {}, {"redirect_uri": EVIL}),
    Wrong("redirect_uri", "It occurs more than once", REGISTERED, {}, {"redirect_uri": FIRST}),
]

BEYOND = "spark:rooms_read"
SENT = {
    "invalid_request": [
        Wrong("response_type", "is missing", "must be code", {"response_type": None}),
        Wrong("response_type", "is missing", "must be code", {"response_type": ""}),
        Wrong("response_type", "occurs more than once", "send it once", {}, {"response_type": "token"}),
        Wrong("scope", "occurs more than once", "send it once", {}, {"scope": BEYOND}),
        Wrong("state", "occurs more than once", "send it once", {}, {"state": "other"}),
        Wrong("code_challenge", "is missing", "must use PKCE with S256", {}, profile=Profile.STRICT),
        Wrong("code_challenge", "malformed", "43 base64url", PKCE | {"code_challenge": "short"}),
        Wrong("code_challenge", "occurs more than once", "send it once", PKCE, {"code_challenge": "x" * 43}),
        Wrong("code_challenge", "without code_challenge", "send both", {"code_challenge_method": "S256"}),
        Wrong("code_challenge_method", "plain is not supported", "must be S256", {"code_challenge": CHALLENGE}),
        Wrong(
            "code_challenge_method",
            "plain is not supported",
            "must be S256",
            {"code_challenge": CHALLENGE, "code_challenge_method": "plain"},
        ),
        Wrong("prompt", "unknown here", "must be none, login, consent or select_account", {"prompt": "maybe"}),
        Wrong("prompt", "cannot be combined", "send none alone", {"prompt": "none login"}),
        Wrong("max_age", "no time", "whole number of seconds", {"max_age": "soon"}),
        Wrong("max_age", "no time", "whole number of seconds", {"max_age": "-1"}),
    ],
    "unsupported_response_type": [
        Wrong("response_type", "implicit grant is not offered", "must be code", {"response_type": "token"}),
        Wrong("response_type", "implicit grant is not offered", "must be code", {"response_type": "code id_token"}),
        Wrong("response_type", "none that is offered", "must be code", {"response_type": "CODE"}),
    ],
    "invalid_scope": [
        Wrong("scope", "is missing", "name at least one registered scope", {"scope": None}),
        Wrong("scope", "names no scope", "name at least one registered scope", {"scope": " "}),
        Wrong("scope", f"beyond what is registered for this integration: {BEYOND}", "Ask for less", {"scope": BEYOND}),
        Wrong("scope", "beyond what is registered", "Ask for less", {"scope": "spark:all"}),
        Wrong("scope", "a character that RFC 6749", "without quotes", {"scope": 'spark:people_read"'}),
        Wrong("scope", "OpenID Connect", "leave that out", {"scope": f"openid {SCOPES}"}),
    ],
    "request_not_supported": [
        Wrong("request", "is not supported", "send the parameters themselves", {"request": "eyJhbGciOiJub25lIn0.e30."}),
    ],
    "request_uri_not_supported": [
        Wrong("request_uri", "is not supported", "send the parameters themselves", {"request_uri": EVIL}),
    ],
}


@pytest.mark.parametrize("wrong", SHOWN, ids=str)
def test_w23_s08_s09_s15_what_cannot_be_trusted_is_a_page_with_parameter_reason_and_fix(
    tmp_path: Path, wrong: Wrong
) -> None:
    async def story(server: Server) -> None:
        app = await server.integration("App", FIRST, SECOND)
        for browser in (server.browser(), await server.signed_in(await server.person())):
            page = await browser.open(f"/v1/authorize?{wrong.query(app.client_id)}")
            assert (page.status_code, page.headers.get("location")) == (400, None)
            words = " ".join(unescape(re.sub(r"<[^>]*>", " ", page.text.partition("<main")[2])).split())
            assert f"The {wrong.parameter} of this request cannot be trusted" in words
            assert wrong.reason in words
            assert wrong.fix in words
        assert not await server.rows("SELECT 1 FROM authorization_requests")

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("error", "wrong"), [(error, wrong) for error, rows in SENT.items() for wrong in rows], ids=str
)
def test_w23_s12_s18_s28_s47_all_else_is_told_to_the_redirect_uri_after_sign_in_with_parameter_reason_and_fix(
    tmp_path: Path, error: str, wrong: Wrong
) -> None:
    async def story(server: Server) -> None:
        app = await server.integration("App", FIRST, SECOND, profile=wrong.profile)
        browser = server.browser()
        asked = await browser.open(f"/v1/authorize?{wrong.query(app.client_id)}")
        request_of(asked, "/signin")
        await browser.sign_in(await server.person())
        answer = await browser.come_back(asked)
        assert answer.headers["location"].startswith(FIRST + "?")
        told = parameters_of(answer)
        words = told.pop("error_description")
        state = {} if "state" in wrong.again else {"state": STATE}
        assert told == {"error": error, "iss": ISSUER} | state
        for said in (wrong.parameter, wrong.reason, wrong.fix):
            assert said in words
        assert not await server.rows("SELECT 1 FROM codes")

    run(tmp_path, story)


def test_w23_each_of_the_wrong_requests_is_another() -> None:
    wrongs = [*SHOWN, *(wrong for rows in SENT.values() for wrong in rows)]
    assert len({(wrong.query("C"), wrong.profile) for wrong in wrongs}) == len(wrongs) >= 20

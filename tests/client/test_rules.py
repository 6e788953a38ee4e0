"""The decisions about a grant, in tables."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from grantflow.client import judging, rules
from grantflow.client.grant import GrantKey, Person, Standing, Status, StoredGrant
from grantflow.client.judging import Verdict
from grantflow.protocol.http import Response
from grantflow.protocol.scope import Scopes
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import TokenRefusal, Tokens, read_tokens

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WEBEX = {"message": "The request could not be understood.", "errors": [{"description": "x"}], "trackingId": "ROUTER_1"}
IDENTITY_SERVICE = {
    "error": "invalid_request",
    "error_description": "The refresh token is expired.",
    "trackingID": "C_1",
}
HTML = "<html><body>Just a moment</body></html>"

CLASSIFICATION = [
    # status, body, verdict, whether the server surely left the refresh token alone
    (400, {"error": "invalid_grant"}, Verdict.FINAL, True),
    (400, WEBEX, Verdict.FINAL, True),
    (400, {**WEBEX, "error": "invalid_grant"}, Verdict.FINAL, True),
    (400, IDENTITY_SERVICE, Verdict.FINAL, True),
    (400, {**WEBEX, "error": "invalid_request"}, Verdict.INTEGRATION, True),
    (400, {"error": "invalid_client"}, Verdict.INTEGRATION, True),
    (400, {"error": "unauthorized_client"}, Verdict.INTEGRATION, True),
    (400, {"error": "unsupported_grant_type"}, Verdict.INTEGRATION, True),
    (400, {"error": "invalid_scope"}, Verdict.INTEGRATION, True),
    (400, {**WEBEX, "error": "invalid_scope"}, Verdict.INTEGRATION, True),
    (400, {"unknown": "shape"}, Verdict.TRANSIENT, True),
    (400, HTML, Verdict.TRANSIENT, True),
    (401, {"error": "invalid_client"}, Verdict.INTEGRATION, True),
    (401, WEBEX, Verdict.INTEGRATION, True),
    (401, {"error": "invalid_grant"}, Verdict.FINAL, True),
    (403, {"error": "invalid_grant"}, Verdict.FINAL, True),
    (403, {**WEBEX, "error": "invalid_grant"}, Verdict.FINAL, True),
    (404, {"error": "invalid_grant"}, Verdict.FINAL, True),
    (401, IDENTITY_SERVICE, Verdict.INTEGRATION, True),
    (302, {"error": "invalid_grant"}, Verdict.INTEGRATION, False),
    (429, {"error": "invalid_grant"}, Verdict.TRANSIENT, True),
    (401, "", Verdict.INTEGRATION, True),
    (403, {"message": "no"}, Verdict.INTEGRATION, True),
    (404, "", Verdict.INTEGRATION, True),
    (404, "404 page not found", Verdict.INTEGRATION, True),
    (302, {}, Verdict.INTEGRATION, False),
    (401, HTML, Verdict.TRANSIENT, True),
    (403, HTML, Verdict.TRANSIENT, True),
    (404, "\n  <!DOCTYPE html>", Verdict.TRANSIENT, True),
    (405, HTML, Verdict.TRANSIENT, True),
    (407, HTML, Verdict.TRANSIENT, True),
    (302, HTML, Verdict.TRANSIENT, False),
    (405, WEBEX, Verdict.INTEGRATION, True),
    (415, WEBEX, Verdict.INTEGRATION, True),
    (302, "", Verdict.INTEGRATION, False),
    (429, HTML, Verdict.TRANSIENT, True),
    (429, WEBEX, Verdict.TRANSIENT, True),
    (408, "", Verdict.TRANSIENT, True),
    (500, {"error": "invalid_grant"}, Verdict.TRANSIENT, False),
    (502, HTML, Verdict.TRANSIENT, False),
    (503, WEBEX, Verdict.TRANSIENT, False),
    (200, {"message": "slow down"}, Verdict.TRANSIENT, False),
    (200, HTML, Verdict.TRANSIENT, False),
    (200, {"access_token": ""}, Verdict.TRANSIENT, False),
    (200, {"access_token": None, "refresh_token": "r"}, Verdict.TRANSIENT, False),
    (204, "", Verdict.TRANSIENT, False),
]


def refusal_of(status: int, body: object) -> TokenRefusal:
    raw = body if isinstance(body, str) else json.dumps(body)
    with pytest.raises(TokenRefusal) as caught:
        read_tokens(Response(status, {}, raw.encode()))
    return caught.value


@pytest.mark.parametrize(("status", "body", "verdict", "clear"), CLASSIFICATION)
def test_a_refusal_is_judged_by_status_and_shape(status: int, body: object, verdict: Verdict, clear: bool) -> None:
    refusal = refusal_of(status, body)
    assert judging.judge(refusal) is verdict
    assert judging.told_clearly(refusal) is clear


def test_the_words_of_a_refusal_decide_nothing() -> None:
    for words in ("invalid_grant", "expired, revoked, malformed, or invalid", "try again later", ""):
        body = {**WEBEX, "message": words}
        assert judging.judge(refusal_of(400, body)) is Verdict.FINAL
        assert judging.judge(refusal_of(503, body)) is Verdict.TRANSIENT


@pytest.mark.parametrize(
    ("failures", "retry_after", "seconds"),
    [
        *[(1, None, 1), (2, None, 2), (3, None, 4), (6, None, 32), (7, None, 60), (1000, None, 60)],
        *[(1, 30, 30), (7, 30, 60), (1, 0, 1), (1, 10**9, 3_600), (10**6, 10**9, 3_600)],
    ],
)
def test_the_wait_doubles_up_to_a_minute_and_obeys_retry_after(
    failures: int, retry_after: int | None, seconds: float
) -> None:
    assert judging.back_off(failures, retry_after=retry_after) == seconds


def test_one_odd_answer_makes_nobody_wait_longer_than_five_minutes_for_everybody() -> None:
    marked = judging.integration_refused(Standing(), reason="401", retry_after=86_400, now=NOW)
    assert marked.retry_at == NOW + timedelta(minutes=5)
    assert judging.integration_refused(Standing(), reason="401", retry_after=30, now=NOW).retry_at == NOW + timedelta(
        seconds=30
    )


def grant(**tokens: object) -> StoredGrant:
    given = Tokens(**{"access_token": Secret("a1"), "refresh_token": Secret("r1"), **tokens})  # type: ignore[arg-type]
    return rules.granted(
        "g1",
        GrantKey("C1", "owner", "ada"),
        person=Person("ada", "Ada", "ada@example.org"),
        tokens=given,
        asked=Scopes.of("asked"),
        now=NOW,
    )


def test_an_answer_without_scope_grants_what_was_asked() -> None:
    assert grant().grant.scopes == Scopes.of("asked")
    assert grant(scope=Scopes.of("fewer")).grant.scopes == Scopes.of("fewer")
    assert grant(scope=Scopes.of()).grant.scopes == Scopes.of()


def test_w08_a_renewed_grant_keeps_the_old_refresh_token_where_none_came() -> None:
    renewed = rules.renewed(grant(refresh_token_expires_in=100), Tokens(Secret("a2")), now=NOW)
    assert renewed.refresh_token == Secret("r1")
    assert renewed.access_token == Secret("a2")
    assert renewed.grant.generation == 2
    assert renewed.grant.refresh_expires_at == NOW + timedelta(seconds=100)
    assert renewed.grant.scopes == Scopes.of("asked")


def test_w08_each_use_starts_the_refresh_tokens_time_anew_as_the_platform_tells_it() -> None:
    later = NOW + timedelta(days=80)
    tokens = Tokens(Secret("a2"), expires_in=60, refresh_token=Secret("r1"), refresh_token_expires_in=7_776_000)
    renewed = rules.renewed(grant(refresh_token_expires_in=7_776_000), tokens, now=later)
    assert renewed.grant.refresh_expires_at == later + timedelta(days=90)
    assert renewed.grant.access_expires_at == later + timedelta(seconds=60)


def test_s104_no_lifetime_is_made_up_where_none_was_told() -> None:
    assert grant().grant.access_expires_at is None
    swapped = rules.renewed(
        grant(refresh_token_expires_in=100), Tokens(Secret("a2"), refresh_token=Secret("r2")), now=NOW
    )
    assert swapped.grant.access_expires_at is None
    assert swapped.grant.refresh_expires_at is None


def test_success_clears_what_went_wrong_before() -> None:
    delayed = rules.delayed(grant(), reason="503", incident="i", retry_after=None, unanswered=True, now=NOW)
    renewed = rules.renewed(delayed, Tokens(Secret("a2")), now=NOW)
    assert (renewed.failures, renewed.unanswered_since, renewed.suspected_at) == (0, None, None)
    assert (renewed.grant.status, renewed.grant.retry_at, renewed.grant.reason) == (Status.ACTIVE, None, None)


SWAPPED = Tokens(Secret("a2"), refresh_token=Secret("r2"))
LATER = NOW + timedelta(minutes=2)


def unanswered() -> StoredGrant:
    return rules.delayed(grant(), reason="timeout", incident="i", retry_after=None, unanswered=True, now=NOW)


def end(stored: StoredGrant) -> datetime | None:
    """Since when an answer has been missing, as it is told of a grant that is refused whenever it is next renewed."""
    return rules.refused(stored, reason="400", incident="i", now=NOW + timedelta(days=13)).unanswered_since


def test_a_request_that_was_overtaken_may_end_the_grant_until_it_is_renewed_when_that_lies_nowhere_any_more() -> None:
    """To a server that ends reused families the first request is the reuse, when it comes to it last."""
    renewed = rules.renewed(unanswered(), SWAPPED, now=LATER)
    assert (renewed.unanswered_since, renewed.overtaken_since) == (None, NOW)
    assert end(renewed) == NOW
    held = rules.held_back(renewed, reason="400", incident="i", now=LATER)
    assert (held.grant.is_held_back, held.unanswered_since) == (True, NOW)
    third = Tokens(Secret("a3"), refresh_token=Secret("r3"))
    assert end(rules.renewed(renewed, third, now=NOW + timedelta(minutes=15))) == NOW
    assert end(rules.renewed(renewed, third, now=NOW + timedelta(minutes=15, seconds=1))) is None
    silent_for_long = rules.renewed(unanswered(), SWAPPED, now=NOW + timedelta(days=1))
    assert end(silent_for_long) == NOW, "of many requests without an answer, the last may have been sent just before"
    assert end(rules.renewed(silent_for_long, third, now=NOW + timedelta(days=1, hours=1))) is None


def test_a_new_loss_is_told_rather_than_the_one_that_was_overtaken() -> None:
    renewed = rules.renewed(unanswered(), SWAPPED, now=LATER)
    silent = rules.delayed(renewed, reason="timeout", incident="i", retry_after=None, unanswered=True, now=LATER)
    assert end(silent) == LATER


def test_where_the_server_keeps_the_refresh_token_nothing_is_overtaken() -> None:
    renewed = rules.renewed(unanswered(), Tokens(Secret("a2")), now=LATER)
    assert renewed.overtaken_since is None
    assert end(renewed) is None


def test_half_an_answer_overtakes_as_a_whole_one_does() -> None:
    swapped = rules.swapped(unanswered(), Secret("r2"))
    assert (swapped.unanswered_since, swapped.overtaken_since) == (None, NOW)


def test_what_stayed_unanswered_stays_known_until_a_clear_answer() -> None:
    silent = rules.delayed(grant(), reason="timeout", incident="i1", retry_after=None, unanswered=True, now=NOW)
    later = NOW + timedelta(minutes=1)
    busy = rules.delayed(silent, reason="429", incident="i2", retry_after=5, unanswered=False, now=later)
    assert busy.unanswered_since == NOW
    assert busy.failures == 2
    assert busy.grant.retry_at == later + timedelta(seconds=5)
    assert rules.refused(busy, reason="400", incident="i3", now=later).unanswered_since == NOW
    clear = rules.delayed(grant(), reason="429", incident="i", retry_after=None, unanswered=False, now=NOW)
    assert clear.unanswered_since is None


def test_a_refused_grant_keeps_its_tokens_and_a_revoked_one_has_none() -> None:
    refused = rules.refused(grant(), reason="400", incident="i", now=NOW)
    assert refused.refresh_token == Secret("r1")
    assert refused.grant.generation == 1
    revoked = rules.revoked(refused.grant)
    assert (revoked.access_token, revoked.refresh_token) == (None, None)
    assert revoked.grant.generation == 2


def test_a_lone_401_condemns_only_after_it_came_again_and_again_and_never_where_it_names_the_client() -> None:
    plain, of_the_client = refusal_of(401, ""), refusal_of(401, {"error": "invalid_client"})
    assert not judging.is_dead_alone(StoredGrant(grant().grant, failures=1), plain)
    assert judging.is_dead_alone(StoredGrant(grant().grant, failures=2), plain)
    assert not judging.is_dead_alone(StoredGrant(grant().grant, failures=9), of_the_client)
    assert not judging.is_dead_alone(StoredGrant(grant().grant, failures=9), refusal_of(403, ""))


@pytest.mark.parametrize(("ahead", "waits"), [(-1, False), (1, True), (3_600, True), (86_400, False)])
def test_a_next_try_that_is_further_off_than_any_wait_is_of_a_clock_that_was_ahead(ahead: float, waits: bool) -> None:
    retry_at = NOW + timedelta(seconds=ahead)
    assert judging.waits_for_itself(replace(grant().grant, retry_at=retry_at), now=NOW) is waits
    assert judging.waits_for_all(retry_at, now=NOW) is (waits and ahead < 3_600)

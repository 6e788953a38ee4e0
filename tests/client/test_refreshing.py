"""Keeping the grant alive: what is sent, what becomes of each answer, and what callers are told."""

import base64
import json
import logging
import re
import secrets
import sqlite3 as database
import time
from datetime import timedelta

import pytest

from grantflow import (
    GrantflowError,
    Integration,
    IntegrationRefused,
    Kind,
    ReauthorizationRequired,
    RefreshOutcomeUnknown,
    Status,
    TransientTokenError,
    VaultUnavailable,
)
from grantflow.client.flows import settling
from grantflow.client.vault import sqlite
from grantflow.protocol.secret import Secret
from tests.client.conftest import World
from tests.client.foreign import Answer
from tests.client.shells import Kinds, granted
from tests.engines import BOTH

DEAD = Answer(400, '{"error": "invalid_grant"}')
WEBEX_DEAD = Answer(400, '{"message": "The request could not be understood.", "trackingId": "ROUTER_1"}')


def test_w33_a_refresh_sends_these_four_fields_and_takes_the_same_four_answers(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    _, refresh_token = world.stored_tokens(integration)
    world.platform.expires_in = 77
    grant = integration.refresh("id-ada")
    sent = world.platform.forms[-1]
    assert set(sent) == {"grant_type", "client_id", "client_secret", "refresh_token"}
    assert (sent["grant_type"], sent["refresh_token"]) == ("refresh_token", refresh_token)
    assert grant.access_expires_at == world.clock.now() + timedelta(seconds=77)
    assert grant.refreshed_at == world.clock.now()
    assert grant.generation == 2


def test_w08_without_a_new_refresh_token_the_old_one_goes_on_serving(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    _, refresh_token = world.stored_tokens(integration)
    world.platform.sends_refresh_token = False
    for _ in range(3):
        integration.refresh("id-ada")
        assert world.stored_tokens(integration)[1] == refresh_token
    assert world.platform.counts["refresh"] == 3


def test_s101_a_new_refresh_token_takes_the_place_of_the_old_one(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    world.platform.rotates = True
    tokens = [world.stored_tokens(integration)[1]]
    for _ in range(3):
        integration.refresh("id-ada")
        tokens.append(world.stored_tokens(integration)[1])
        assert tokens[-1] == world.platform.line().refresh
    assert len(set(tokens)) == 4


def test_whoever_names_a_token_that_is_no_longer_stored_gets_the_new_one_and_asks_nobody(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    old, _ = world.stored_tokens(integration)
    first = integration.refresh("id-ada", rejected=old)
    for _ in range(5):
        assert integration.refresh("id-ada", rejected=old) == first
    assert integration.refresh("id-ada", rejected="something else") == first
    assert world.platform.counts["refresh"] == 1


@pytest.mark.parametrize("answer", [DEAD, WEBEX_DEAD])
def test_w34_a_refused_refresh_sends_the_person_through_the_flow_again_and_the_grant_lives_on(
    world: World, answer: Answer
) -> None:
    integration = world.integration()
    grant = world.grant(integration)
    world.platform.expire_access_tokens()
    world.platform.answers.append(answer)
    client = integration.client_for("id-ada")
    with pytest.raises(ReauthorizationRequired) as caught:
        client.get("people/me")
    error = caught.value
    assert type(error) is ReauthorizationRequired
    assert error.grant_url == f"http://localhost:8000/connect?grant={grant.id}"
    assert error.grant is not None
    assert error.grant.status is Status.REAUTHORIZATION_REQUIRED
    assert error.grant.incident is not None
    assert error.grant.incident in str(error)
    assert error.grant_url in str(error)
    again = world.grant(integration, grant=grant.id)
    assert again.status is Status.ACTIVE
    assert client.get("people/me").json()["id"] == "id-ada"


def test_w34_after_a_final_refusal_no_call_asks_anybody_until_the_person_has_granted_again(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    world.platform.end_grants()
    client = integration.client_for("id-ada")
    for _ in range(50):
        with pytest.raises(ReauthorizationRequired):
            client.get("people/me")
    with pytest.raises(ReauthorizationRequired):
        world.integration().client_for("id-ada").get("people/me")
    assert world.platform.counts["refresh"] == 1
    assert world.platform.counts["call"] == 2  # people/me of the grant flow, and the one that met the 401


def test_a_refused_refresh_token_stays_sealed_for_thirty_days(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    tokens = world.stored_tokens(integration)
    world.platform.end_grants()
    with pytest.raises(ReauthorizationRequired):
        integration.refresh("id-ada")
    world.clock.advance(days=29)
    world.grant(integration, person="grace")
    assert world.stored_tokens(integration) == tokens
    world.clock.advance(days=2)
    world.grant(integration, person="edsger")
    with pytest.raises(AssertionError):
        world.stored_tokens(integration)


def test_a_person_who_never_granted_is_sent_to_the_landing_of_a_grant(world: World) -> None:
    with pytest.raises(ReauthorizationRequired, match="granted nothing here") as caught:
        world.integration().client_for("nobody").get("people/me")
    assert caught.value.grant is None
    assert caught.value.grant_url == "http://localhost:8000/connect"


def test_a_platform_that_gave_no_refresh_token_needs_a_new_grant_when_the_access_token_dies(world: World) -> None:
    integration = world.integration()
    world.platform.sends_refresh_token = False
    world.grant(integration)
    client = integration.client_for("id-ada")
    assert client.get("people/me").status_code == 200
    world.platform.expire_access_tokens()
    for _ in range(2):
        with pytest.raises(ReauthorizationRequired, match="gave no refresh token"):
            client.get("people/me")
    assert world.platform.counts["refresh"] == 0


@pytest.mark.parametrize(
    ("answer", "retry_after"),
    [
        (Answer(503, "<html>maintenance</html>"), 1),
        (Answer(500, '{"error": "invalid_grant"}'), 1),
        (Answer(429, "<html>", {"Retry-After": "30"}), 30),
        (Answer(429, '{"message": "too many", "trackingId": "R"}'), 1),
        (Answer(200, "<html>hotel wifi</html>"), 1),
        (Answer(200, '{"message": "ok"}'), 1),
        (Answer(0), 1),
        (Answer(400, "<html>proxy</html>"), 1),
        (Answer(401, "<html>sign in</html>"), 1),
        (Answer(403, "<html>blocked</html>", {"Content-Type": "text/html"}), 1),
        (Answer(404, "moved", {"Content-Type": "text/html; charset=utf-8"}), 1),
        (Answer(405, "<html>", {"Retry-After": "86400"}), 3_600),
        (Answer(302, "<html>portal</html>", {"Location": "https://portal.example/"}), 1),
    ],
)
def test_a_transient_failure_harms_nothing_and_costs_one_request_for_each_step(
    world: World, answer: Answer, retry_after: float
) -> None:
    integration = world.integration()
    world.grant(integration)
    tokens = world.stored_tokens(integration)
    world.platform.expire_access_tokens()
    world.platform.answers += [answer, answer]
    clients = [integration.client_for("id-ada"), world.integration().client_for("id-ada")]
    for client in clients * 3:
        with pytest.raises(TransientTokenError) as caught:
            client.get("people/me")
        assert caught.value.retry_after == retry_after
        assert caught.value.grant is not None
        assert caught.value.grant.status is Status.REFRESH_DELAYED
    assert world.platform.counts["token"] == 2
    assert world.stored_tokens(integration) == tokens
    world.clock.advance(seconds=retry_after)
    with pytest.raises(TransientTokenError) as caught:
        clients[0].get("people/me")
    assert caught.value.retry_after == max(2, retry_after)
    world.clock.advance(seconds=max(60, retry_after))
    assert clients[0].get("people/me").status_code == 200
    assert clients[1].get("people/me").status_code == 200
    assert world.platform.counts["refresh"] == 1
    grant = integration.grant("id-ada")
    assert grant is not None
    assert (grant.status, grant.retry_at, grant.incident) == (Status.ACTIVE, None, None)


TORN = Answer(200, "\x1f\x8b torn", {"Content-Encoding": "gzip"})
SPOILED = [
    Answer(200, '{"access_token": "a2", "refresh_token": "\\ud800"}'),
    Answer(200, '{"access_token": "a2\\u00e9"}'),
    Answer(200, '{"access_token": "a2", "token_type": "mac"}'),
    Answer(200, '{"error": "server_error", "refresh_token": "r2"}'),
    TORN,
]


@pytest.mark.parametrize("answer", SPOILED)
def test_s105_an_answer_with_unusable_tokens_harms_nothing_and_leaves_its_outcome_open(
    world: World, answer: Answer
) -> None:
    integration = world.integration()
    world.grant(integration)
    tokens = world.stored_tokens(integration)
    world.platform.answers.append(answer)
    with pytest.raises(TransientTokenError):
        integration.refresh("id-ada")
    assert world.stored_tokens(integration) == tokens
    stored = integration._parts.vault.find(integration._parts.key("id-ada", None))
    assert stored is not None
    assert stored.unanswered_since is not None, "the platform may have swapped the token"
    world.clock.advance(seconds=2)
    assert integration.refresh("id-ada").status is Status.ACTIVE


NOT_TO_BE_USED = [
    Answer(200, '{"access_token": "a2", "refresh_token": "r2", "token_type": "mac"}'),
    Answer(200, '{"access_token": "a2\\u00e9", "refresh_token": "r2"}'),
    Answer(200, '{"access_token": "", "refresh_token": "r2"}'),
]


@pytest.mark.parametrize("answer", NOT_TO_BE_USED)
def test_s105_a_new_refresh_token_is_kept_though_the_access_token_beside_it_cannot_be_used(
    world: World, either: Kinds, answer: Answer
) -> None:
    integration = either()
    granted(integration, world)
    access_token, sent = world.stored_tokens(integration.integration)
    world.platform.answers.append(answer)
    with pytest.raises(TransientTokenError, match="the new refresh token that came with it is kept"):
        integration.refresh()
    assert world.stored_tokens(integration.integration) == (access_token, "r2")
    event = world.integration().history("id-ada")[-1]
    assert (event.kind, event.token) == (Kind.REFRESH_DELAYED, Secret(sent).fingerprint())
    assert event.incident


def test_s105_a_server_that_swaps_refresh_tokens_and_gives_for_a_time_no_bearer_tokens_costs_no_grant(
    world: World, either: Kinds
) -> None:
    integration = either()
    granted(integration, world)
    world.platform.rotates = world.platform.revokes_families = True
    world.platform.token_type = "mac"
    for _ in range(3):
        with pytest.raises(TransientTokenError):
            integration.refresh()
        world.clock.advance(seconds=60)
    world.platform.token_type = "Bearer"
    assert integration.refresh().status is Status.ACTIVE
    assert world.platform.counts["refresh"] == 4
    assert integration.get("people/me").status_code == 200


def test_s105_a_scope_that_is_none_leaves_what_is_known_and_the_new_tokens_are_kept(world: World) -> None:
    integration = world.integration()
    scopes = world.grant(integration).scopes
    world.platform.answers.append(Answer(200, '{"access_token": "a2", "refresh_token": "r2", "scope": "\\ud800"}'))
    assert integration.refresh("id-ada").scopes == scopes
    assert world.stored_tokens(integration) == ("a2", "r2")


@pytest.mark.parametrize("answer", [Answer(503, "<html>"), DEAD, Answer(401, '{"error": "invalid_client"}')])
def test_whoever_cannot_save_what_was_said_leaves_no_lease_behind(
    world: World, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    integration = world.integration()
    grant = world.grant(integration)
    vault = integration._parts.vault
    world.platform.answers.append(answer)

    def broken(*_: object, **__: object) -> bool:
        raise RuntimeError("no disk")

    monkeypatch.setattr(vault, "save", broken)
    monkeypatch.setattr(vault, "refuse", broken)
    with pytest.raises(RuntimeError, match="no disk"):
        integration.refresh("id-ada")
    monkeypatch.undo()
    assert vault.take_lease(grant.id, generation=1, holder="next", seconds=1) is not None
    found = vault.find(grant.key)
    assert found is not None
    assert found.unanswered_since is not None, "the taking of the lease"


def test_whoever_cannot_look_whether_others_were_served_leaves_no_lease_behind(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    integration = world.integration()
    grant = world.grant(integration)
    vault = integration._parts.vault
    vault._write("UPDATE grants SET suspected_at = 1.0", {})  # type: ignore[attr-defined]
    world.platform.answers.append(UNAUTHORIZED)

    def locked(*_: object, **__: object) -> bool:
        raise VaultUnavailable("locked for a moment", retry_after=1.0)

    monkeypatch.setattr(vault, "served_others", locked)
    with pytest.raises(VaultUnavailable):
        integration.refresh("id-ada")
    monkeypatch.undo()
    assert vault.take_lease(grant.id, generation=1, holder="next", seconds=1) is not None


def test_tokens_that_could_not_be_saved_keep_the_lease_and_are_saved_before_anything_is_believed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever took the lease would send the old token, which a strict server answers with the end of the grant."""
    integration = world.integration()
    grant = world.grant(integration)
    world.platform.rotates = True
    vault = integration._parts.vault

    def broken(*_: object, **__: object) -> bool:
        raise VaultUnavailable("no disk", retry_after=5)

    with monkeypatch.context() as patch:
        patch.setattr(vault, "save", broken)
        patch.setattr(settling, "_PAUSES_BETWEEN_TRIES", (0.01, 0.01))
        with pytest.raises(VaultUnavailable, match="no disk"):
            integration.refresh("id-ada")
    assert vault.take_lease(grant.id, generation=1, holder="next", seconds=1) is None
    world.home.ask("UPDATE grants SET status = 'REAUTHORIZATION_REQUIRED'")
    assert integration.client_for("id-ada").get("people/me").status_code == 200
    assert world.platform.counts["refresh"] == 1


def test_tokens_that_could_not_be_saved_are_saved_with_the_next_that_can_be(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    integration = world.integration()
    for person in ("ada", "grace"):
        world.grant(integration, person=person)
    world.platform.rotates = True

    def broken(*_: object, **__: object) -> bool:
        raise VaultUnavailable("no disk", retry_after=5)

    with monkeypatch.context() as patch:
        patch.setattr(integration._parts.vault, "save", broken)
        patch.setattr(settling, "_PAUSES_BETWEEN_TRIES", ())
        with pytest.raises(VaultUnavailable):
            integration.refresh("id-ada")
    integration.refresh("id-grace")
    assert world.integration().client_for("id-ada").get("people/me").status_code == 200


def test_a_locked_vault_costs_a_caller_one_wait_and_harms_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_WAIT_FOR_LOCK_SECONDS", 1.5)
    integration = world.integration()
    world.grant(integration)
    world.platform.expire_access_tokens()
    other = database.connect(world.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    begun = time.monotonic()
    with pytest.raises(VaultUnavailable, match="another program keeps it locked"):
        integration.client_for("id-ada").get("people/me")
    assert time.monotonic() - begun < 2.9, "twice would be three seconds"
    assert world.platform.counts["refresh"] == 0
    other.close()
    assert integration.client_for("id-ada").get("people/me").status_code == 200


@pytest.mark.parametrize("minted", [b"\xfb\xef\xbe\xfb\xef", b"\xff" * 5, b"\x00" * 5])
def test_an_incident_can_be_read_out_and_copied_with_one_click(world: World, minted: bytes) -> None:
    integration = world.integration(_mint=lambda _: base64.urlsafe_b64encode(minted).decode().rstrip("="))
    assert re.fullmatch(r"inc-[a-z2-7]{8}", integration._parts.incident())


def test_no_grants_id_looks_like_an_option_of_a_command(world: World) -> None:
    integration = world.integration(_mint=lambda size: base64.urlsafe_b64encode(b"\xff" * size).decode().rstrip("="))
    assert re.fullmatch(r"[a-z2-7]{24}", integration._parts.grant_id())
    minted = world.grant(world.integration(_mint=lambda size: "-" + secrets.token_urlsafe(size)[1:])).id
    assert re.fullmatch(r"[a-z2-7]{24}", minted)


def test_a_person_who_takes_a_grant_back_rings_no_operators_bell(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    integration = world.integration()
    world.grant(integration)
    world.platform.end_grants()
    with pytest.raises(ReauthorizationRequired):
        integration.refresh("id-ada")
    (told,) = [record for record in caplog.records if "is dead" in record.getMessage()]
    assert told.levelno == logging.WARNING


def test_an_unreachable_platform_harms_nothing(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    nowhere = world.integration(token_endpoint="http://127.0.0.1:1/v1/access_token")
    with pytest.raises(TransientTokenError, match="no answer"):
        nowhere.refresh("id-ada")
    stored = integration._parts.vault.find(integration._parts.key("id-ada", None))
    assert stored is not None
    assert stored.unanswered_since is None, "the request surely never left"


def test_a_slow_platform_is_given_up_at_the_deadline(world: World) -> None:
    world.grant(world.integration())
    integration = world.integration(deadline=1.0)
    world.platform.answers.append(Answer(200, "{}", wait=3.0))
    with pytest.raises(TransientTokenError, match=r"no answer"):
        integration.refresh("id-ada")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(401, '{"error": "invalid_client"}'),
        Answer(401, '{"message": "unauthorized", "trackingId": "R"}'),
        Answer(401, '{"error": "invalid_client"}', {"Retry-After": "86400"}),
        Answer(403, '{"message": "forbidden"}'),
        Answer(404, ""),
        Answer(405, ""),
        Answer(400, '{"error": "unauthorized_client"}'),
        Answer(400, '{"error": "invalid_scope"}'),
    ],
)
def test_what_is_the_integrations_own_fault_costs_no_person_their_grant(
    world: World, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    integration = world.integration()
    for person in ("ada", "grace", "edsger"):
        world.grant(integration, person=person)
    world.platform.expire_access_tokens()
    exchanges = world.platform.counts["token"]
    world.platform.answers += [answer]
    for person in ("ada", "grace", "edsger") * 5:
        with pytest.raises(IntegrationRefused, match="client_secret"):
            integration.client_for(f"id-{person}").get("people/me")
    assert world.platform.counts["token"] == exchanges + 1, "one request for each step, over all grants"
    assert {grant.status for grant in integration.grants()} == {Status.ACTIVE}
    assert "the integration is refused" in caplog.text
    world.clock.advance(seconds=305 if answer.headers else 2)
    for person in ("ada", "grace", "edsger"):
        assert integration.client_for(f"id-{person}").get("people/me").status_code == 200


@pytest.mark.parametrize("status", [401, 403])
def test_one_dead_grant_stops_no_other_whatever_status_its_invalid_grant_comes_with(world: World, status: int) -> None:
    integration = world.integration()
    for person in ("ada", "grace"):
        world.grant(integration, person=person)
    world.platform.expire_access_tokens()
    world.platform.answers.append(Answer(status, '{"error": "invalid_grant"}'))
    with pytest.raises(ReauthorizationRequired):
        integration.client_for("id-ada").get("people/me")
    assert integration.client_for("id-grace").get("people/me").status_code == 200
    statuses = {grant.person_id: grant.status for grant in integration.grants()}
    assert statuses == {"id-ada": Status.REAUTHORIZATION_REQUIRED, "id-grace": Status.ACTIVE}


def test_a_regenerated_secret_harms_no_grant_and_the_new_one_is_tried_at_once(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    world.platform.client_secret = "regenerated"
    world.platform.expire_access_tokens()
    with pytest.raises(IntegrationRefused):
        integration.client_for("id-ada").get("people/me")
    repaired = world.integration(client_secret="regenerated")
    assert repaired.client_for("id-ada").get("people/me").status_code == 200


UNAUTHORIZED = Answer(401, '{"message": "unauthorized", "trackingId": "R"}')


def refuse_alone(world: World, integration: Integration, answer: Answer, *, times: int) -> list[str]:
    """Each time the platform refuses Ada's renewal as if the integration were at fault, and then renews Grace's."""
    ends = []
    for _ in range(times):
        world.platform.answers.append(answer)
        with pytest.raises(GrantflowError) as caught:
            integration.refresh("id-ada")
        ends.append(type(caught.value).__name__)
        world.clock.advance(seconds=70)
        integration.refresh("id-grace")
    return ends


def test_a_401_that_comes_for_one_grant_alone_again_and_again_is_final_for_it(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    world.grant(integration, person="grace")
    ends = refuse_alone(world, integration, UNAUTHORIZED, times=4)
    assert ends == ["IntegrationRefused", "TransientTokenError", "TransientTokenError", "ReauthorizationRequired"]
    statuses = {grant.person_id: grant.status for grant in integration.grants()}
    assert statuses == {"id-ada": Status.REAUTHORIZATION_REQUIRED, "id-grace": Status.ACTIVE}


@pytest.mark.parametrize(
    "answer",
    [
        Answer(401, '{"error": "invalid_client"}'),
        Answer(403, '{"message": "no"}'),
        Answer(400, '{"error": "invalid_scope"}'),
        Answer(400, '{"error": "unauthorized_client"}'),
    ],
)
def test_one_persons_trouble_makes_nobody_else_wait_and_condemns_nobody(world: World, answer: Answer) -> None:
    integration = world.integration()
    world.grant(integration)
    world.grant(integration, person="grace")
    ends = refuse_alone(world, integration, answer, times=6)
    assert ends == ["IntegrationRefused", *["TransientTokenError"] * 5]
    world.platform.answers.append(answer)
    with pytest.raises(TransientTokenError):
        integration.refresh("id-ada")
    assert integration.refresh("id-grace").status is Status.ACTIVE, "at once"


def test_a_grant_for_which_the_integration_is_refused_lets_another_try_first(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    world.grant(integration, person="grace")
    world.platform.answers += [UNAUTHORIZED, UNAUTHORIZED]
    for waited in (0.0, 1.0, 0.9):
        world.clock.advance(seconds=waited)
        with pytest.raises(IntegrationRefused):
            integration.refresh("id-ada")
    assert len(world.platform.answers) == 1, "asked once"
    world.platform.answers.clear()
    assert integration.refresh("id-grace").status is Status.ACTIVE


@pytest.mark.parametrize("answer", [UNAUTHORIZED, Answer(401, '{"error": "invalid_client"}')])
def test_a_wrong_secret_kills_no_grant_that_was_suspected_when_the_secret_was_wrong_before(
    world: World, answer: Answer
) -> None:
    integration = world.integration()
    people = ["ada", "bob", "cyd", "dan"]
    for person in people:
        world.grant(integration, person=person)
    for _ in range(3):
        for person in people:
            world.clock.advance(seconds=600)
            world.platform.answers.append(answer)
            with pytest.raises((IntegrationRefused, TransientTokenError)):
                integration.refresh(f"id-{person}")
        world.clock.advance(hours=9)
        integration.refresh("id-ada")
    assert {grant.status for grant in integration.grants()} <= {Status.ACTIVE, Status.REFRESH_DELAYED}


@BOTH
@pytest.mark.parametrize("answer", [UNAUTHORIZED, Answer(401, '{"error": "invalid_client"}')])
def test_an_old_secret_harms_and_delays_no_grant_that_another_processs_new_secret_serves(
    world: World, answer: Answer
) -> None:
    """A rollover with two nodes, of which one has not been started anew."""
    old, new = world.integration(), world.integration(client_secret="regenerated")
    world.grant(old)
    world.grant(old, person="grace")
    old.refresh("id-grace")
    world.platform.client_secret = "regenerated"
    for _ in range(6):
        world.platform.answers.append(answer)
        with pytest.raises(IntegrationRefused):
            old.refresh("id-ada")
        world.clock.advance(seconds=70)
        new.refresh("id-grace")
    world.platform.answers.append(answer)
    with pytest.raises(IntegrationRefused):
        old.refresh("id-ada")
    assert new.refresh("id-ada").status is Status.ACTIVE, "at once"


@pytest.mark.parametrize("ahead", [301, 86_400])
def test_a_process_whose_clock_is_ahead_makes_nobody_wait_longer_than_its_own_clock_differs(
    world: World, ahead: float
) -> None:
    world.grant(world.integration())
    hasty = world.integration(_now=lambda: world.clock.now() + timedelta(seconds=ahead))
    world.platform.answers.append(Answer(503, "<html>"))
    with pytest.raises(TransientTokenError):
        hasty.refresh("id-ada")
    world.clock.advance(seconds=min(ahead, 3_600) + 2)
    assert world.integration().refresh("id-ada").status is Status.ACTIVE


@pytest.mark.parametrize("lost", [Answer(0, after_work=True), Answer(502, "<html>", after_work=True)])
def test_a_lost_answer_is_repaired_by_sending_the_same_token_again(world: World, lost: Answer) -> None:
    integration = world.integration()
    world.grant(integration)
    world.platform.answers.append(lost)
    with pytest.raises(TransientTokenError):
        integration.refresh("id-ada")
    world.clock.advance(seconds=2)
    integration.refresh("id-ada")
    sent = [form["refresh_token"] for form in world.platform.forms[1:]]
    assert len(sent) == 2
    assert len(set(sent)) == 1


@pytest.mark.parametrize(
    "lost",
    [
        Answer(0, after_work=True),
        Answer(502, "<html>", after_work=True),
        Answer(200, '{"access_token": "cut sho', after_work=True),
    ],
)
def test_with_a_strict_server_a_lost_answer_is_told_as_such(world: World, lost: Answer) -> None:
    integration = world.integration()
    grant = world.grant(integration)
    world.platform.rotates = True
    world.platform.answers.append(lost)
    with pytest.raises(TransientTokenError):
        integration.refresh("id-ada")
    world.clock.advance(seconds=2)
    for _ in range(3):
        with pytest.raises(RefreshOutcomeUnknown, match=r"no clear answer.*never arrived") as caught:
            integration.refresh("id-ada")
        assert caught.value.grant_url.endswith(grant.id)
    assert world.platform.counts["refresh"] == 2
    world.grant(integration, grant=grant.id)
    assert integration.client_for("id-ada").get("people/me").status_code == 200


def test_a_clear_refusal_after_a_busy_answer_leaves_no_doubt(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    world.platform.answers += [Answer(429, "<html>"), DEAD]
    with pytest.raises(TransientTokenError):
        integration.refresh("id-ada")
    world.clock.advance(seconds=2)
    with pytest.raises(ReauthorizationRequired) as caught:
        integration.refresh("id-ada")
    assert type(caught.value) is ReauthorizationRequired


def test_a_grant_is_dead_only_if_the_token_that_was_refused_is_still_the_stored_one(world: World) -> None:
    """While the refusal is on its way, the person grants again elsewhere."""
    integration, elsewhere = world.integration(), world.integration()
    grant = world.grant(integration)
    old, _ = world.stored_tokens(integration)

    def grant_again() -> None:
        world.platform.on_refresh = lambda: None
        world.platform.line().alive = False
        world.grant(elsewhere, grant=grant.id)

    world.platform.on_refresh = grant_again
    renewed = integration.refresh("id-ada", rejected=old)
    assert (renewed.status, renewed.generation) == (Status.ACTIVE, 2)
    assert integration.client_for("id-ada").get("people/me").status_code == 200


def test_a_disconnect_during_a_refresh_is_not_undone_by_its_answer(world: World) -> None:
    integration, elsewhere = world.integration(), world.integration()
    world.grant(integration)

    def disconnect() -> None:
        world.platform.on_refresh = lambda: None
        elsewhere.revoke("id-ada")

    world.platform.on_refresh = disconnect
    with pytest.raises(ReauthorizationRequired, match="disconnected"):
        integration.refresh("id-ada")
    assert integration.grants()[0].status is Status.REVOKED
    assert world.stored(integration) == (None, None)


def test_s105_unknown_fields_of_an_answer_are_ignored_and_kept_out_of_the_vault(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    integration.refresh("id-ada")
    assert all(b"surprise" not in file.read_bytes() for file in world.folder.iterdir())


def test_s94_nothing_that_is_logged_or_raised_or_shown_holds_a_token(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    integration = world.integration()
    begun = integration.authorization_request()
    url = world.platform.accept(begun.url)
    grant = integration.complete_authorization(url, {begun.cookie.name: begun.cookie.value})
    client = integration.client_for("id-ada")
    world.platform.expire_access_tokens()
    answer = client.get("people/me")
    shown = [repr(each) for each in (integration, grant, client, answer, answer.request, answer.request.headers)]
    shown += [repr(each) for each in (client.auth, begun, *answer.history, integration._parts.live.__dict__)]
    shown.append(repr(integration._parts.vault.find(grant.key)))
    world.platform.answers.append(DEAD)
    with pytest.raises(ReauthorizationRequired) as caught:
        integration.refresh("id-ada")
    shown += [repr(caught.value), str(caught.value), repr(caught.value.__dict__)]
    text = "\n".join([*shown, caplog.text])
    assert "grant" in caplog.text
    for form in world.platform.forms:
        for name in ("refresh_token", "client_secret", "code", "code_verifier"):
            assert form.get(name, "absent-") not in text
    for _, authorization in world.platform.seen:
        assert not authorization or authorization.removeprefix("Bearer ") not in text


def test_s102_no_token_and_no_secret_travels_in_an_address(world: World) -> None:
    integration = world.integration(revocation_url=f"{world.api_url}/revoke")
    world.grant(integration)
    integration.refresh("id-ada")
    tokens = world.stored_tokens(integration)
    integration.client_for("id-ada").get("people/me")
    integration.revoke("id-ada")
    addresses = json.dumps([path for path, _ in world.platform.seen])
    assert not any(token in addresses for token in (*tokens, "foreign-secret"))

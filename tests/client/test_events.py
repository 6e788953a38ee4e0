"""What is written of a grant's life, never with a token in it; and who is told of it, at least once."""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Thread
from time import sleep

import pytest

from grantflow import ReauthorizationRequired, RefreshOutcomeUnknown, SqliteVault, TransientTokenError, VaultUnavailable
from grantflow.client.events import Event, Kind
from grantflow.client.grant import GrantKey, Status
from grantflow.client.vault.sql_vault import SqlVault
from grantflow.protocol.secret import Secret
from tests.client.conftest import World
from tests.client.foreign import CLIENT_SECRET, Answer
from tests.client.shells import Kinds, granted


def fingerprint(token: str) -> str:
    return Secret(token).fingerprint()


def test_the_history_of_a_grant_tells_each_step_with_its_tokens_fingerprints_and_incidents(world: World) -> None:
    integration = world.integration()
    grant = world.grant(integration)
    first_access, refresh_token = world.stored_tokens(integration)
    integration.refresh("id-ada")
    second_access, _ = world.stored_tokens(integration)
    world.platform.answers.append(Answer(503, "<html>"))
    with pytest.raises(TransientTokenError) as delayed:
        integration.refresh("id-ada")
    world.clock.advance(seconds=5)
    world.platform.end_grants()
    with pytest.raises(RefreshOutcomeUnknown) as dead:
        integration.refresh("id-ada")
    world.grant(integration)
    integration.revoke("id-ada", actor="the night shift")
    history = integration.history("id-ada")
    assert [event.kind for event in history] == [
        Kind.GRANTED,
        Kind.REFRESHED,
        Kind.REFRESH_DELAYED,
        Kind.OUTCOME_UNKNOWN,
        Kind.GRANTED,
        Kind.REVOKED,
    ]
    assert {event.grant_id for event in history} == {grant.id}
    assert [event.generation for event in history] == [1, 2, 2, 2, 3, 4]
    assert history[0].new_token == fingerprint(first_access)
    assert (history[1].token, history[1].new_token) == (fingerprint(refresh_token), fingerprint(second_access))
    assert [event.credentials for event in history[:3]] == [None, fingerprint(CLIENT_SECRET), None]
    assert history[2].token == history[3].token == fingerprint(refresh_token)
    assert delayed.value.grant is not None
    assert history[2].incident == delayed.value.grant.incident
    assert dead.value.grant is not None
    assert history[3].incident == dead.value.grant.incident
    assert "503" in str(history[2].reason)
    assert history[-1].actor == "the night shift"
    assert integration.history("id-grace") == []


def test_s106_no_event_holds_a_token(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    tokens = list(world.stored_tokens(integration))
    integration.refresh("id-ada")
    tokens += world.stored_tokens(integration)
    rows = sqlite3.connect(world.path).execute("SELECT * FROM events").fetchall()
    assert len(rows) == 2
    assert not any(token in str(rows) for token in tokens)


def test_what_has_happened_is_not_changed(world: World) -> None:
    world.grant(world.integration())
    with pytest.raises(sqlite3.DatabaseError, match="what has happened is not changed"):
        sqlite3.connect(world.path).execute("UPDATE events SET kind = 'revoked'")


def test_kinds_that_a_newer_grantflow_wrote_are_passed_over(world: World) -> None:
    told: list[Kind] = []
    integration = world.integration(on_event=lambda event: told.append(event.kind))
    world.grant(integration)
    newer = sqlite3.connect(world.path)
    newer.execute(
        "INSERT INTO events (id, at, kind, integration, owner, person_id) "
        "SELECT 'e-newer', at, 'of_another_kind', integration, owner, person_id FROM events"
    )
    newer.execute("INSERT INTO untold_events (id, integration, number) SELECT id, integration, number FROM events")
    newer.commit()
    world.clock.advance(seconds=120)
    integration.refresh("id-ada")
    assert [event.kind for event in integration.history("id-ada")] == [Kind.GRANTED, Kind.REFRESHED]
    assert set(told) == {Kind.GRANTED, Kind.REFRESHED}


def test_an_event_is_written_with_its_change_or_not_at_all(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    other = sqlite3.connect(world.path)
    other.execute("CREATE TRIGGER full BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'no room'); END")
    tokens = world.stored_tokens(integration)
    with pytest.raises(sqlite3.DatabaseError, match="no room"):
        integration.refresh("id-ada")
    assert world.stored_tokens(integration) == tokens
    other.execute("DROP TRIGGER full")
    renewed = integration.refresh("id-ada")
    assert renewed.generation == 2
    assert [event.kind for event in integration.history("id-ada")] == [Kind.GRANTED, Kind.REFRESHED]


def test_whoever_watches_is_told_of_each_event_once_it_is_saved(either: Kinds, world: World) -> None:
    told: list[Event] = []

    def watch(event: Event) -> None:
        key = GrantKey(event.integration, str(event.owner), str(event.person_id))
        assert world.integration()._parts.vault.events(key)[-1] == event
        told.append(event)

    integration = either(on_event=watch)
    granted(integration, world)
    integration.refresh()
    integration.revoke()
    assert [event.kind for event in told] == [Kind.GRANTED, Kind.REFRESHED, Kind.REVOKED]


def test_a_watcher_may_be_awaited(world: World) -> None:
    told: list[Kind] = []

    async def watch(event: Event) -> None:
        await asyncio.sleep(0.01)
        told.append(event.kind)

    async def story() -> None:
        async with world.async_integration(on_event=watch) as integration:
            begun = await integration.authorization_request()
            answer = world.platform.accept(begun.url)
            await integration.complete_authorization(answer, {begun.cookie.name: begun.cookie.value})

    asyncio.run(story())
    assert told == [Kind.GRANTED]


def test_whoever_watches_may_use_the_integration_while_others_wait_for_the_same_grant(world: World) -> None:
    answers: list[object] = []

    def watch(event: Event) -> None:
        if event.kind is Kind.REFRESHED:
            answers.append(call())

    integration = world.integration(on_event=watch)
    world.grant(integration)
    world.platform.expire_access_tokens()

    def call() -> int:
        return integration.client_for("id-ada").get("people/me").status_code

    callers = [Thread(target=lambda: answers.append(call()), daemon=True) for _ in range(5)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=30)
    assert answers == [200] * 6


def test_a_watcher_may_have_a_refused_token_tried_again(world: World) -> None:
    def watch(event: Event) -> None:
        if event.kind is Kind.REAUTHORIZATION_REQUIRED:
            tried.append(integration.retry("id-ada").status)

    tried: list[Status] = []
    integration = world.integration(on_event=watch)
    world.grant(integration)
    world.platform.answers.append(Answer(400, '{"error":"invalid_grant"}'))
    world.platform.expire_access_tokens()
    raised: list[Exception] = []

    def call() -> None:
        try:
            integration.client_for("id-ada").get("people/me")
        except ReauthorizationRequired as error:
            raised.append(error)

    caller = Thread(target=call, daemon=True)
    caller.start()
    caller.join(timeout=30)
    assert len(raised) == 1
    assert tried == [Status.ACTIVE]


def test_an_awaited_watcher_may_use_the_integration_and_is_waited_for_when_it_is_closed(world: World) -> None:
    answers: list[object] = []
    may_end = asyncio.Event()

    async def watch(event: Event) -> None:
        if event.kind is Kind.REFRESHED:
            answers.append((await integration.client_for("id-ada").get("people/me")).status_code)
            await may_end.wait()
            answers.append("done")

    integration = world.async_integration(on_event=watch)
    world.grant(world.integration())

    async def story() -> None:
        client = integration.client_for("id-ada")
        async with asyncio.timeout(30):
            await client.get("people/me")
            world.platform.expire_access_tokens()
            calls = [asyncio.create_task(client.get("people/me")) for _ in range(5)]
            done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
            assert [(await call).status_code for call in done] == [200] * len(done)
            assert answers != [200, "done"], "whoever shares the flight waits for no watcher"
            asyncio.get_running_loop().call_later(0.2, may_end.set)
            calls[0].cancel()
            await asyncio.wait(calls)
            await integration.close()

    asyncio.run(story())
    assert answers == [200, "done"]


def test_a_watcher_that_closes_the_integration_hangs_nobody(either: Kinds, world: World) -> None:
    def watch(event: Event) -> Awaitable[None] | None:
        return integration.integration.close() if event.kind is Kind.REFRESHED else None

    integration = either(on_event=watch)
    granted(integration, world)
    assert integration.refresh().generation == 2
    assert integration.refresh().generation == 3


@pytest.mark.parametrize("kind", [Kind.GRANTED, Kind.REFRESHED, Kind.REVOKED])
def test_what_a_watcher_closes_stays_closed(either: Kinds, world: World, kind: Kind) -> None:
    """That they were told is noted in the vault before it is closed."""

    def watch(event: Event) -> Awaitable[None] | None:
        return integration.integration.close() if event.kind is kind else None

    integration = either(on_event=watch)
    vault = integration.integration._parts.vault
    assert isinstance(vault, SqliteVault)
    steps: dict[Kind, Callable[[], object]] = {
        Kind.GRANTED: lambda: granted(integration, world),
        Kind.REFRESHED: integration.refresh,
        Kind.REVOKED: integration.revoke,
    }
    for step, take in steps.items():
        take()
        assert (vault._connections is None) == (step is kind)
        assert step is not kind or not integration.integration._shell._made
    assert world.home.ask("SELECT id FROM untold_events") == []


def test_what_was_cancelled_in_a_watcher_cancels_no_caller_and_no_revocation(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        stopped = asyncio.get_running_loop().create_future()
        stopped.cancel()

        async def watch(_: Event) -> None:
            await stopped

        world.grant(world.integration())
        async with world.async_integration(on_event=watch, revocation_url=f"{world.api_url}/revoke") as integration:
            client = integration.client_for("id-ada")
            world.platform.expire_access_tokens()
            answers = await asyncio.gather(*(client.get("people/me") for _ in range(5)))
            assert [answer.status_code for answer in answers] == [200] * 5
            assert (await integration.revoke("id-ada")).at_platform

    asyncio.run(story())
    assert "on_event failed on refreshed" in caplog.text
    assert world.platform.counts["revoke"] == 1


def test_a_watcher_is_told_of_a_revocation_when_the_platform_has_been_asked(either: Kinds, world: World) -> None:
    asked: list[int] = []

    def watch(event: Event) -> None:
        if event.kind is Kind.REVOKED:
            asked.append(world.platform.counts["revoke"])

    integration = either(on_event=watch, revocation_url=f"{world.api_url}/revoke")
    granted(integration, world)
    integration.revoke()
    assert asked == [1]


def test_a_watcher_that_fails_stops_nobody_and_is_told_again(
    either: Kinds, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Kind] = []

    def watch(event: Event) -> None:
        told.append(event.kind)
        if len(told) == 1:
            raise RuntimeError("the mail server is away")

    integration = either(on_event=watch)
    granted(integration, world)
    assert "the mail server is away" in caplog.text
    integration.refresh()
    assert told == [Kind.GRANTED, Kind.REFRESHED], "not at once"
    world.clock.advance(seconds=121)
    integration.refresh()
    assert told == [Kind.GRANTED, Kind.REFRESHED, Kind.REFRESHED, Kind.GRANTED]
    world.clock.advance(seconds=121)
    integration.refresh()
    assert told[4:] == [Kind.REFRESHED]


def test_what_a_process_saved_and_did_not_tell_another_tells(world: World) -> None:
    class Killed(BaseException):
        pass

    def dies(_: Event) -> None:
        raise Killed

    with pytest.raises(Killed):
        world.grant(world.integration(on_event=dies))
    told: list[Kind] = []
    another = world.integration(on_event=lambda event: told.append(event.kind))
    world.clock.advance(minutes=2)
    another.refresh("id-ada")
    assert told == [Kind.REFRESHED, Kind.GRANTED]


def test_events_that_are_never_taken_hide_no_other(world: World) -> None:
    told: list[Event] = []

    def watch(event: Event) -> None:
        if event.kind is Kind.GRANTED:
            raise KeyError("a bug of the host application")
        told.append(event)

    integration = world.integration(on_event=watch)
    for number in range(12):
        world.grant(integration, person=f"p{number}")
    _die_before_telling(world, person_id="id-p0")
    for _ in range(5):
        world.clock.advance(minutes=2)
        integration.refresh("id-p5")
    assert [event.person_id for event in told if event.kind is Kind.REVOKED] == ["id-p0"]


def test_a_caller_tells_a_few_of_what_is_left_and_the_next_one_more(either: Kinds, world: World) -> None:
    told: list[Kind] = []
    is_away = [True]

    def watch(event: Event) -> None:
        if is_away:
            raise OSError("the web hook is away")
        told.append(event.kind)

    integration = either(on_event=watch)
    for number in range(12):
        granted(integration, world, person=f"p{number}")
    is_away.clear()
    world.clock.advance(minutes=3)
    for count in (5, 10, 12, 12):
        integration.refresh("id-p0")
        assert told.count(Kind.GRANTED) == count


def test_what_is_left_is_told_by_one_process_alone(world: World) -> None:
    told: list[str] = []

    def slow(event: Event) -> None:
        told.append(event.id)
        sleep(0.02)

    first = world.integration(on_event=slow)
    for number in range(4):
        world.grant(first, person=f"p{number}")
    told.clear()
    world.home.ask("INSERT INTO untold_events (id, integration, number) SELECT id, integration, number FROM events")
    world.clock.advance(minutes=3)
    others = [world.integration(on_event=slow) for _ in range(4)]
    with ThreadPoolExecutor(4) as processes:
        list(processes.map(lambda number: others[number].refresh(f"id-p{number}"), range(4)))
    assert len(told) == len(set(told)) == 8


def test_an_event_that_is_never_taken_is_told_less_and_less_and_given_up_loudly(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    days: list[float] = []

    def watch(event: Event) -> None:
        if event.kind is Kind.GRANTED:
            days.append((world.clock.now() - event.at).total_seconds() / 86_400)
            raise KeyError("a bug of the host application")

    integration = world.integration(on_event=watch)
    world.grant(integration)
    for _ in range(120):
        world.clock.advance(hours=4, seconds=1)
        integration.refresh("id-ada")
    assert len(days) == 91
    assert 13 < days[-1] < 16
    assert "on_event never took granted" in caplog.text


def _die_before_telling(world: World, *, person_id: str) -> None:
    class Killed(BaseException):
        pass

    def dies(_: Event) -> None:
        raise Killed

    with pytest.raises(Killed):
        world.integration(on_event=dies).revoke(person_id)


def test_without_a_watcher_nothing_waits_to_be_told(world: World) -> None:
    world.grant(world.integration())
    told: list[Kind] = []
    world.clock.advance(days=1)
    world.integration(on_event=lambda event: told.append(event.kind)).refresh("id-ada")
    assert told == [Kind.REFRESHED]


def test_each_event_is_in_the_log_with_its_members_for_whoever_reads_logs_by_machine(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "grantflow")
    integration = world.integration()
    grant = world.grant(integration)
    world.platform.end_grants()
    with pytest.raises(ReauthorizationRequired):
        integration.refresh("id-ada")
    records = [record for record in caplog.records if hasattr(record, "grantflow")]
    assert [record.grantflow["kind"] for record in records] == ["granted", "reauthorization_required"]
    members = records[-1].grantflow
    assert members["grant_id"] == grant.id
    assert members["incident"] in records[-1].getMessage()
    assert members["at"] == world.clock.now().isoformat()


def test_what_happened_more_than_400_days_ago_goes_when_somebody_grants(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    world.clock.advance(days=300)
    integration.refresh("id-ada")
    world.clock.advance(days=99)
    world.grant(integration, person="grace")
    assert [event.kind for event in integration.history("id-ada")] == [Kind.GRANTED, Kind.REFRESHED]
    world.clock.advance(days=2)
    world.grant(integration, person="grace")
    assert [event.kind for event in integration.history("id-ada")] == [Kind.REFRESHED]


def test_what_a_revoked_grant_was_stays_in_its_persons_history(world: World) -> None:
    integration = world.integration()
    first = world.grant(integration)
    integration.revoke("id-ada")
    world.clock.advance(hours=1)
    second = world.grant(integration)
    assert first.id != second.id
    history = integration.history("id-ada")
    assert [event.grant_id for event in history] == [first.id, first.id, second.id]
    assert history[-1].at - history[0].at == timedelta(hours=1)


def test_a_vault_that_fails_after_the_tokens_are_saved_and_told_fails_no_refresh(
    either: Kinds, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Kind] = []
    integration = either(on_event=lambda event: told.append(event.kind))
    granted(integration, world)

    def broken(*_: object, **__: object) -> None:
        raise VaultUnavailable("the disk is full", retry_after=60)

    world.clock.advance(minutes=2)
    with monkeypatch.context() as patch:
        patch.setattr(SqlVault, "untold", broken)
        patch.setattr(SqlVault, "set_told", broken)
        assert integration.refresh().generation == 2
    assert told == [Kind.GRANTED, Kind.REFRESHED]
    assert "will be told once more" in caplog.text
    world.clock.advance(minutes=2)
    integration.refresh()
    assert told == [Kind.GRANTED, Kind.REFRESHED, Kind.REFRESHED, Kind.REFRESHED]

"""A signal handler that raises in the middle of a refresh: Ctrl-C, the soft time limit of a task queue.

The platform may have swapped the refresh token by then, and strict ones end the grant where the old one comes back.
"""

import logging
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import pytest

from grantflow import Event, Integration, Kind, Person, SqliteVault, VaultUnavailable
from grantflow.client.flows import saving_late, settling
from grantflow.client.vault.sql_vault import SqlVault
from tests.client.conftest import World
from tests.client.foreign import CLIENT_ID, Line

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="setitimer is POSIX's")


class TimeLimit(Exception):
    """As Celery's SoftTimeLimitExceeded, no BaseException."""


@contextmanager
def time_limit(seconds: float, *, error: type[BaseException] = TimeLimit) -> Iterator[None]:
    is_over = False

    def raise_it(_number: int, _frame: FrameType | None) -> None:
        if not is_over:
            raise error

    earlier = signal.signal(signal.SIGALRM, raise_it)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        is_over = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)


@pytest.fixture(autouse=True)
def _strict(world: World) -> None:
    world.platform.rotates = world.platform.revokes_families = True


@pytest.mark.parametrize("error", [TimeLimit, KeyboardInterrupt])
def test_a_time_limit_under_way_comes_at_once_and_costs_no_grant_and_no_second_request(
    world: World, error: type[BaseException]
) -> None:
    told: list[Event] = []
    integration = world.integration(on_event=told.append)
    world.grant(integration)
    world.platform.expire_access_tokens()
    world.platform.wait = 1.0
    begun = time.monotonic()
    with pytest.raises(error), time_limit(0.3, error=error):
        integration.client_for("id-ada").get("people/me")
    assert time.monotonic() - begun < 0.9
    assert integration.client_for("id-ada").get("people/me").status_code == 200
    assert world.platform.counts["refresh"] == 1
    assert world.stored_tokens(world.integration())[1] == world.platform.line().refresh
    integration.close()
    end = time.monotonic() + 10
    while Kind.REFRESHED not in [event.kind for event in told]:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_closing_after_a_time_limit_waits_for_the_answer(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    world.platform.expire_access_tokens()
    world.platform.wait = 0.5
    with pytest.raises(TimeLimit), integration, time_limit(0.2):
        integration.refresh("id-ada")
    assert not [each for each in threading.enumerate() if each.name == "grantflow-flight"]
    assert world.stored_tokens(world.integration())[1] == world.platform.line().refresh
    assert world.integration().client_for("id-ada").get("people/me").status_code == 200
    assert world.platform.counts["refresh"] == 1


def test_closing_after_a_time_limit_waits_for_whoever_watches_too(world: World) -> None:
    told: list[Kind] = []
    heard = threading.Event()

    def watch(event: Event) -> None:
        if event.kind is Kind.REFRESHED:
            heard.set()
            time.sleep(0.5)
        told.append(event.kind)

    integration = world.integration(on_event=watch)
    world.grant(integration)
    world.platform.wait = 0.3
    with pytest.raises(TimeLimit), time_limit(0.1):
        integration.refresh("id-ada")
    assert heard.wait(10)
    integration.close()
    assert told[-1] is Kind.REFRESHED
    vault = integration._parts.vault
    assert isinstance(vault, SqliteVault)
    assert vault._connections is None


REFRESHING = """
import signal, sys
from grantflow import Integration, KeyRing, SqliteVault
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background of a shell inherits none
vault = SqliteVault(sys.argv[3], keys=KeyRing(sys.argv[4]))
integration = Integration(
    sys.argv[1], "foreign-secret-0123456789", redirect_uri="http://localhost:8000/oauth", scopes="spark:people_read",
    api_url=sys.argv[2], vault=vault,
)
integration.refresh("id-ada")
"""


def test_a_program_that_ctrl_c_ends_waits_for_the_answer_and_keeps_it(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    world.platform.wait = 1.0
    asked = threading.Event()
    world.platform.on_refresh = asked.set
    program = subprocess.Popen(
        [sys.executable, "-c", REFRESHING, CLIENT_ID, world.api_url, str(world.path), world.key],
        stderr=subprocess.PIPE,
    )
    assert asked.wait(30)
    program.send_signal(signal.SIGINT)
    assert b"KeyboardInterrupt" in program.communicate(timeout=30)[1]
    assert world.stored_tokens(integration)[1] == world.platform.line().refresh
    assert integration.grants()[0].generation == 2


def test_where_no_thread_can_be_had_a_refresh_goes_on_without(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    integration = world.integration()
    world.grant(integration)
    real = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name == "grantflow-flight":
            raise RuntimeError("can't start new thread")
        real(thread)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        assert integration.refresh("id-ada").generation == 2
    assert integration.refresh("id-ada").generation == 3


@pytest.mark.slow
# Where a call of the API is interrupted while the HTTP library opens or closes its connection, that is left to the
# garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("saves", ["always", "now and then"])
def test_time_limits_at_random_points_of_a_refresh_cost_no_grant(
    world: World, saves: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the vault is away when the tokens come, so that they wait to be saved."""
    monkeypatch.setattr(settling, "_PAUSES_BETWEEN_TRIES", (0.002,))
    monkeypatch.setattr(saving_late, "_TRY_AGAIN_AFTER", 0.01)
    chance, real = random.Random(32), SqlVault.save

    def save(vault: SqlVault, *what: object, **how: object) -> bool:
        if saves != "always" and chance.random() < 0.7:
            raise VaultUnavailable("The disk is full.", retry_after=0.01)
        return real(vault, *what, **how)  # type: ignore[arg-type]

    integration = world.integration()
    world.grant(integration)
    world.platform.wait = 0.003
    monkeypatch.setattr(SqlVault, "save", save)
    ends = {"in time": 0, "too late": 0}
    for _ in range(150):
        world.platform.expire_access_tokens()
        try:
            with time_limit(chance.uniform(0.0003, 0.02)), suppress(VaultUnavailable):
                integration.client_for("id-ada").get("people/me")
            ends["in time"] += 1
        except TimeLimit:
            ends["too late"] += 1
        _check_alive(world, integration)
    assert min(ends.values()) > 20, ends


def _check_alive(world: World, integration: Integration) -> None:
    """And the tokens are in the vault, at last."""
    end = time.monotonic() + 20
    while True:
        with suppress(VaultUnavailable):
            status = integration.client_for("id-ada").get("people/me").status_code
            if not len(integration._parts.unsaved):
                break
        assert time.monotonic() < end
        time.sleep(0.005)
    assert status == 200
    assert world.stored_tokens(integration)[1] == world.platform.line().refresh


# --- a refresh that the main thread asks for has a thread of its own, which is nothing to whoever calls ---------------


def test_a_handler_of_the_log_that_posts_through_the_integration_does_not_wait_for_itself(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """It holds its lock while the refresh is under way, which has something to log too."""
    integration = world.integration()
    world.grant(integration)
    client, posted = integration.client_for("id-ada"), []

    class ToRoom(logging.Handler):
        is_posting = False

        def emit(self, record: logging.LogRecord) -> None:
            if not self.is_posting:
                self.is_posting = True
                posted.append((record.getMessage(), client.get("people/me").status_code))
                self.is_posting = False
            else:
                posted.append((record.getMessage(), 0))

    handler, log = ToRoom(), logging.getLogger()
    log.addHandler(handler)
    try:
        world.platform.expire_access_tokens()
        with caplog.at_level(logging.INFO), time_limit(20):
            logging.getLogger("app").warning("something went wrong")
    finally:
        log.removeHandler(handler)
    assert posted[-1] == ("something went wrong", 200)
    assert any("renewed" in message for message, _ in posted[:-1]), "what the refresh logs is not lost"


def test_what_a_refresh_logs_whose_caller_has_gone_is_written_when_it_has_landed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    integration = world.integration()
    world.grant(integration)
    world.platform.expire_access_tokens()
    world.platform.wait = 1.0
    with caplog.at_level(logging.INFO), pytest.raises(TimeLimit), time_limit(0.3):
        integration.client_for("id-ada").get("people/me")
    with caplog.at_level(logging.INFO):
        integration.close()
    assert sum("renewed, generation 2" in record.getMessage() for record in caplog.records) == 1


def test_whose_tokens_come_in_is_asked_in_the_callers_own_thread(world: World) -> None:
    """What the host application asks with may belong to that: a connection to SQLite, a session."""
    world.platform.lines.append(Line("ada", set(), "refresh-token-from-elsewhere"))
    asked_in = []

    def identify(client: Any) -> Person:
        asked_in.append(threading.current_thread())
        return Person(client.get("people/me").json()["id"])

    integration = world.integration(identify=identify)
    assert integration.adopt("refresh-token-from-elsewhere").person_id == "id-ada"
    assert asked_in == [threading.main_thread()]

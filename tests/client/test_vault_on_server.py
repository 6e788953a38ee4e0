"""What a vault promises of its server, on a real PostgreSQL that is stopped, filled up, locked and silenced."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass

import psycopg
import pytest

from benchmarks.postgres import FOR_TESTS, Postgres, postgres_server
from grantflow import KeyRing, PostgresVault, VaultNotOpened, VaultUnavailable
from grantflow.client.vault import postgres_connections
from grantflow.protocol.secret import Secret
from tests.client.conftest import World
from tests.client.shells import Kinds
from tests.client.test_vault_in_trouble import live_through
from tests.client.vault_records import KEYS, NOW, stored
from tests.engines import OnServer
from tests.parts import require

pytestmark = pytest.mark.slow

PASSWORD = "p%40ss%2Fw%3Ard"
AS_TYPED = "p@ss/w:rd"


@dataclass
class House:
    """A server whose account `ada` owns a database and comes in with her password."""

    server: Postgres
    database: str

    @property
    def address(self) -> str:
        return f"postgresql://ada:{PASSWORD}@127.0.0.1:{self.server.port}/{self.database}"

    @property
    def place(self) -> str:
        return f"postgresql://ada@127.0.0.1:{self.server.port}/{self.database}"

    def say(self, statement: str) -> list[tuple[object, ...]]:
        """As the one whom everything belongs to, in ada's database."""
        with psycopg.connect(f"{self.server.url}/{self.database}", autocommit=True) as connection:
            asked = connection.execute(statement)
            return asked.fetchall() if asked.description else []

    def sessions(self) -> list[int]:
        """The server's processes that work for a vault."""
        found = self.say("SELECT pid FROM pg_stat_activity WHERE application_name = 'grantflow' ORDER BY backend_start")
        return [int(str(pid)) for (pid,) in found]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    require("postgres")
    with postgres_server({**FOR_TESTS, "max_connections": 15}) as server:
        server.say(f"CREATE ROLE ada LOGIN PASSWORD '{AS_TYPED}'")
        hba = server.folder / "pg_hba.conf"
        refused = "host all barbara 127.0.0.1/32 reject\n"
        hba.write_text(f"{refused}host all ada 127.0.0.1/32 scram-sha-256\n{hba.read_text()}")
        server.say("SELECT pg_reload_conf()")
        yield server


@pytest.fixture
def house(server: Postgres, request: pytest.FixtureRequest) -> Iterator[House]:
    house = House(server, f"of_{abs(hash(request.node.name))}")
    server.say(f"CREATE DATABASE {house.database} OWNER ada")
    yield house
    server.say(f"DROP DATABASE {house.database} WITH (FORCE)")


@pytest.fixture
def vault(house: House) -> Iterator[PostgresVault]:
    vault = PostgresVault(house.address, keys=KEYS)
    yield vault
    vault.close()


# --- it goes and comes back ------------------------------------------------------------------------------------------


def test_a_server_that_was_started_anew_is_found_again_without_a_failed_call(
    vault: PostgresVault, house: House
) -> None:
    vault.enter(stored())
    house.server.stop()
    house.server.start()
    assert vault.find(stored().grant.key) == stored()
    assert vault.enter(stored("grace")) == vault.find(stored("grace").grant.key)


def test_a_server_that_is_away_is_told_at_once_and_the_vault_comes_back_by_itself(
    vault: PostgresVault, house: House
) -> None:
    vault.enter(stored())
    house.server.stop()
    acts: list[Callable[[], object]] = [
        lambda: vault.find(stored().grant.key),
        lambda: vault.enter(stored("grace")),
        lambda: vault.release("g-ada", holder="h", unanswered_since=None),
    ]
    begun = time.monotonic()
    try:
        for act in acts:
            with pytest.raises(VaultUnavailable) as caught:
                act()
            assert str(caught.value).startswith(f"The vault {house.place} cannot be used just now: the server is not ")
            assert "Nothing was changed. Start it, or look at the network" in str(caught.value)
            assert caught.value.retry_after == 5
        assert time.monotonic() - begun < 5, "as long as a connection may take that is waited for"
        with pytest.raises(VaultNotOpened, match=r"cannot be opened: the server is not there .*Start it") as refused:
            PostgresVault(house.address, keys=KEYS)
        assert isinstance(refused.value, OSError)
    finally:
        house.server.start()
    assert vault.find(stored().grant.key) == stored()
    assert vault.enter(stored("grace")) == vault.find(stored("grace").grant.key)


def test_a_connection_that_is_cut_in_the_middle_of_a_write_says_that_nobody_knows(
    vault: PostgresVault, house: House
) -> None:
    vault.enter(stored())
    vault.take_lease("g-ada", generation=1, holder="h", seconds=30)
    with psycopg.connect(f"{house.server.url}/{house.database}") as other, ThreadPoolExecutor(1) as threads:
        other.execute("SELECT * FROM grants FOR UPDATE")
        writing = threads.submit(vault.release, "g-ada", holder="h", unanswered_since=None)
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'grantflow'"
        while not house.say(waits):
            assert not writing.done()
            time.sleep(0.02)
        house.say("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'grantflow'")
        with pytest.raises(
            VaultUnavailable, match=r"started or stopped .*Whether the last change was kept is not known; doing it once"
        ):
            writing.result()
    vault.release("g-ada", holder="h", unanswered_since=None)


def test_a_server_that_falls_silent_is_given_up_in_time_and_used_again_when_it_speaks(
    vault: PostgresVault, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_connections.Connection, "answer_seconds", 1.0)
    vault.enter(stored())
    [session] = house.sessions()
    os.kill(session, signal.SIGSTOP)
    begun = time.monotonic()
    try:
        with pytest.raises(VaultUnavailable, match=r"takes too long to answer \(no answer within 1 seconds\)"):
            vault.find(stored().grant.key)
        assert time.monotonic() - begun < 6
        assert vault.find(stored().grant.key) == stored(), "over another connection"
    finally:
        os.kill(session, signal.SIGCONT)


@pytest.mark.slow
def test_a_server_that_takes_no_connection_is_given_up_in_time(
    vault: PostgresVault, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgres_connections._ADDRESS_DEFAULTS, "connect_timeout", "2")
    vault.enter(stored())
    vault.close()
    os.kill(house.server.process, signal.SIGSTOP)
    begun = time.monotonic()
    try:
        with pytest.raises(VaultUnavailable, match="takes too long to answer"):
            vault.find(stored().grant.key)
        assert time.monotonic() - begun < 10
    finally:
        os.kill(house.server.process, signal.SIGCONT)
    assert vault.find(stored().grant.key) == stored()


def test_whoever_is_stopped_in_the_middle_of_a_transaction_keeps_its_rows_not_for_long(
    vault: PostgresVault, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.enter(stored())
    monkeypatch.setattr(postgres_connections, "STATEMENT_SECONDS", 1.0)
    with closing(postgres_connections.connect(Secret(house.address))) as stopped:
        stopped.execute("BEGIN")
        stopped.execute("UPDATE grants SET failures = 7")
        assert vault.take_lease("g-ada", generation=1, holder="one", seconds=30) == stored()


def test_a_lease_counts_from_when_it_was_taken_and_not_from_when_it_was_asked_for(
    vault: PostgresVault, house: House
) -> None:
    vault.enter(stored())
    with psycopg.connect(f"{house.server.url}/{house.database}") as other, ThreadPoolExecutor(1) as threads:
        other.execute("SELECT * FROM grants FOR UPDATE")
        taking = threads.submit(vault.take_lease, "g-ada", generation=1, holder="one", seconds=10)
        time.sleep(1.5)
        assert not taking.done()
        other.rollback()
        assert taking.result() == stored()
    assert vault.lease_left("g-ada", holder="one") > 10 - 1.5


@pytest.mark.slow
def test_an_integration_whose_server_goes_says_so_and_when_it_comes_back_no_grant_is_missing(
    world: World, either: Kinds, house: House
) -> None:
    world.home = OnServer.new(f"{house.server.url}/{house.database}")

    @contextmanager
    def stopped(_: World) -> Iterator[None]:
        house.server.stop()
        try:
            yield
        finally:
            house.server.start()

    live_through(world, either, stopped, r"the server is not there .*Nothing was changed\. Start it, or look at")
    either.close()
    for each in world.made:
        each.close()


# --- it is full, shut, or not ours -----------------------------------------------------------------------------------


def test_a_server_without_a_connection_left_says_so_and_takes_us_when_there_is_one(
    vault: PostgresVault, house: House
) -> None:
    vault.enter(stored())
    vault.close()
    with ExitStack() as others:
        with suppress(psycopg.OperationalError):
            while True:
                others.enter_context(psycopg.connect(house.address))
        with pytest.raises(VaultUnavailable, match=r"no connection left .* raise max_connections") as caught:
            vault.find(stored().grant.key)
        assert caught.value.retry_after == 5
    deadline = time.monotonic() + 30
    while True:
        with suppress(VaultUnavailable):
            assert vault.find(stored().grant.key) == stored()
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_many_threads_share_few_connections(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(PostgresVault(house.address, keys=KEYS, connections=3)) as vault:
        vault.enter(stored())
        with ThreadPoolExecutor(30) as threads:
            assert all(threads.map(lambda _: vault.find(stored().grant.key) == stored(), range(200)))
        assert 1 <= len(house.sessions()) <= 3
        monkeypatch.setattr(postgres_connections, "LOCK_SECONDS", 0.2)
        with ExitStack() as all_of_them:
            for _ in range(3):
                all_of_them.enter_context(vault._here().lent())
            with pytest.raises(VaultUnavailable, match="all 3 connections of this process are in use"):
                vault.find(stored().grant.key)
        assert vault.find(stored().grant.key) == stored()


def test_nothing_is_held_when_a_function_returns(vault: PostgresVault, house: House) -> None:
    vault.enter(stored())
    vault.take_lease("g-ada", generation=1, holder="one", seconds=30)
    vault.spend(b"x", now=NOW, until=NOW)
    vault.find(stored().grant.key)
    held = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE application_name = 'grantflow'"
    assert house.say(held) == [(0,)]
    assert house.say("SELECT DISTINCT state FROM pg_stat_activity WHERE application_name = 'grantflow'") == [("idle",)]


def test_every_write_is_on_disk_when_it_returns_even_where_the_database_would_be_lax(house: House) -> None:
    house.say(f"ALTER DATABASE {house.database} SET synchronous_commit = off")
    house.say(f"ALTER DATABASE {house.database} SET default_transaction_isolation = 'serializable'")
    with closing(PostgresVault(house.address, keys=KEYS)) as vault:
        settings: dict[str, str] = {}
        for name in ("synchronous_commit", "transaction_isolation", "lock_timeout", "statement_timeout"):
            [row] = vault._rows(f"SHOW {name}", {})
            settings |= row
    assert settings == {
        "synchronous_commit": "on",
        "transaction_isolation": "read committed",
        "lock_timeout": "5s",
        "statement_timeout": "10s",
    }


def let_nobody_write(house: House) -> None:
    house.say(f"ALTER DATABASE {house.database} SET default_transaction_read_only = on")


def take_rights_away(house: House) -> None:
    house.say("ALTER TABLE grants OWNER TO postgres")


def drop_a_table(house: House) -> None:
    house.say("DROP TABLE grants")


def set_another_password(house: House) -> None:
    house.say("ALTER ROLE ada PASSWORD 'another'")


def put_the_password_back(house: House) -> None:
    house.say(f"ALTER ROLE ada PASSWORD '{AS_TYPED}'")


@pytest.mark.parametrize(
    ("harm", "mend", "says"),
    [
        (let_nobody_write, None, "takes no writes: it is a standby, or switched to read-only .* Name the primary"),
        (take_rights_away, None, "the account may not do that .*GRANT it what is missing"),
        (drop_a_table, None, "the vault's tables are not there .*Put the database back from a backup"),
        (set_another_password, put_the_password_back, r"refuses the account or its password .*PGPASSWORD or ~/.pgpass"),
    ],
)
def test_a_database_that_cannot_be_used_names_the_cause_and_what_to_do(
    vault: PostgresVault, house: House, harm: Callable[[House], None], mend: Callable[[House], None] | None, says: str
) -> None:
    vault.enter(stored())
    harm(house)
    vault.close()
    try:
        with pytest.raises(VaultUnavailable, match=rf"just now: .*{says}") as caught:
            vault.enter(stored("grace"))
        assert isinstance(caught.value.__cause__, psycopg.Error)
        assert_no_password(caught.value)
    finally:
        if mend is not None:
            mend(house)


# --- it does not open ------------------------------------------------------------------------------------------------


def assert_no_password(error: BaseException) -> None:
    """Nowhere, not even in what the driver said."""
    said = []
    each: BaseException | None = error
    while each is not None:
        said += [str(each), repr(each)]
        each = each.__cause__ or each.__context__
    for text in said:
        for part in (AS_TYPED, PASSWORD, "wrong%21", "wrong!"):
            assert part not in text


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (PASSWORD, "wrong%21", "refuses the account or its password .*Mend them in the address"),
        (f"ada:{PASSWORD}", "nobody", "refuses the account or its password"),
        (f"ada:{PASSWORD}", "barbara:wrong%21", "lets this account not in from here .*pg_hba.conf"),
        ("/of_", "/no_", "there is no such database .*createdb"),
        ("127.0.0.1", "nowhere.invalid", "its host is not known"),
        ("127.0.0.1", "127.0.0.1,127.0.0.1", "cannot be opened"),
    ],
)
def test_an_address_that_does_not_let_us_in_is_told_with_reason_and_what_to_do_and_without_its_password(
    house: House, old: str, new: str, says: str
) -> None:
    address = house.address.replace(old, new)
    if "," in new:
        address = address.replace(PASSWORD, "wrong%21")
    with pytest.raises(VaultNotOpened, match=says) as caught:
        PostgresVault(address, keys=KEYS)
    assert str(caught.value).startswith("The vault postgresql://")
    assert_no_password(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://ada:se%cret@host/db",
        "postgresql://ada:se@cret@host/db",
        "postgresql://ada:se/cret@host/db",
        "postgresql://ada:12/secret@host/db",
        "postgresql://ada:se cret@host/db",
        "postgresql://ada:secret@host:port/db",
        "postgresql://ada:secret@host/db?nonsense=1",
        "secret",
    ],
)
def test_an_address_that_cannot_be_read_is_refused_without_a_word_of_it(address: str) -> None:
    with pytest.raises(ValueError, match="percent-encoded: @ as %40") as caught:
        PostgresVault(address, keys=KEYS)
    assert "cret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_the_password_is_shown_nowhere(vault: PostgresVault, house: House) -> None:
    assert vault.place == house.place
    assert AS_TYPED not in repr(vault) + repr(vault.__dict__)
    assert PASSWORD not in repr(vault) + repr(vault.__dict__)


def test_a_database_that_cannot_keep_every_name_is_refused(house: House) -> None:
    name = f"{house.database}_latin"
    house.say(f"CREATE DATABASE {name} OWNER ada ENCODING 'SQL_ASCII' TEMPLATE template0")
    with pytest.raises(VaultNotOpened, match=r"keeps text as SQL_ASCII.*--encoding=UTF8"):
        PostgresVault(f"{house.address}_latin", keys=KEYS)
    house.say(f"DROP DATABASE {name} WITH (FORCE)")


def test_tables_of_another_program_are_left_alone(house: House) -> None:
    house.say("CREATE TABLE grants (ours TEXT)")
    with pytest.raises(VaultNotOpened, match=r"a table of that name is there already.*search_path"):
        PostgresVault(house.address, keys=KEYS)
    house.say("CREATE SCHEMA apart AUTHORIZATION ada")
    with closing(PostgresVault(f"{house.address}?options=-csearch_path%3Dapart", keys=KEYS)) as vault:
        vault.enter(stored())
        assert vault.find(stored().grant.key) == stored()
    assert house.say("SELECT * FROM grants") == []


def test_a_vault_lies_in_the_first_schema_of_its_path_though_another_one_lies_further_down(house: House) -> None:
    with closing(PostgresVault(house.address, keys=KEYS)) as one:
        one.enter(stored())
        house.say("CREATE SCHEMA own AUTHORIZATION ada")
        of_its_own = f"{house.address}?options=-csearch_path%3Down%2Cpublic"
        with closing(PostgresVault(of_its_own, keys=KeyRing(KeyRing.new_key()))) as another:
            assert another.find(stored().grant.key) is None
            another.enter(stored("grace"))
        assert one.find(stored("grace").grant.key) is None
        assert one.find(stored().grant.key) == stored()


def test_an_account_without_the_right_to_make_tables_is_told(house: House) -> None:
    house.say("REVOKE ALL ON SCHEMA public FROM ada, public")
    house.say("ALTER SCHEMA public OWNER TO postgres")
    with pytest.raises(VaultNotOpened, match=r"no schema that the account may use .*GRANT the account USAGE"):
        PostgresVault(house.address, keys=KEYS)
    house.say("GRANT USAGE ON SCHEMA public TO ada")
    with pytest.raises(VaultNotOpened, match=r"the account may not do that .*GRANT it what is missing"):
        PostgresVault(house.address, keys=KEYS)


def test_of_many_processes_that_open_a_new_vault_at_once_each_gets_in(house: House) -> None:
    """One makes the tables, the others wait for it."""
    opened = threading.Barrier(6)

    def open_it(_: int) -> bool:
        opened.wait()
        with closing(PostgresVault(house.address, keys=KEYS)) as vault:
            return vault.grants("C1") == []

    with ThreadPoolExecutor(6) as threads:
        assert all(threads.map(open_it, range(6)))


def test_without_the_driver_the_line_that_installs_it_is_told() -> None:
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from grantflow import KeyRing, open_vault\n"
        "try: open_vault('postgresql://x/y', keys=KeyRing(KeyRing.new_key()))\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert 'in a clone of Grantflow: pip install ".[postgres]"' in said, "it is not published"

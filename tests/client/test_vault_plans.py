"""However many grants there are, a lookup and a refresh are probes of an index: what each database plans to do."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any

import pytest

from grantflow.client import rules
from grantflow.client.events import Event, Kind
from grantflow.client.grant import GrantKey, StoredGrant
from grantflow.client.vault import Refusing
from grantflow.client.vault.records import COLUMNS, write_record
from grantflow.client.vault.sql_vault import SqlVault, Transaction
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import Tokens
from tests.client.vault_records import KEYS, NOW, stored
from tests.engines import BOTH, Home

pytestmark = BOTH

MANY = 5_000
KEY = GrantKey("C1", "u17", "p17")

_NUMBERS = {
    "sqlite": "WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < :many) ",
    "postgres": "WITH many(n) AS (SELECT CAST(generate_series(1, CAST(:many AS INTEGER)) AS TEXT)) ",
}


class Recorded:
    """A vault whose statements are written down."""

    def __init__(self, vault: SqlVault, monkeypatch: pytest.MonkeyPatch) -> None:
        self.statements: list[tuple[str, Any]] = []
        rows, write, transaction = vault._rows, vault._write, vault._transaction

        def recorded(perform: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
            def perform_it(statement: str, parameters: Any) -> Any:
                self.statements.append((statement, parameters))
                return perform(statement, parameters)

            return perform_it

        @contextmanager
        def recorded_transaction() -> Iterator[Transaction]:
            with transaction() as real:
                yield type("Recorded", (), {"execute": staticmethod(recorded(real.execute))})()

        monkeypatch.setattr(vault, "_rows", recorded(rows))
        monkeypatch.setattr(vault, "_write", recorded(write))
        monkeypatch.setattr(vault, "_transaction", recorded_transaction)


@pytest.fixture
def vault(home: Home, engine: str) -> Iterator[SqlVault]:
    """With so many grants that a database would not read them all if it can help it."""
    with closing(home.open(KEYS)) as vault:
        record = write_record(stored(), KEYS.derive("vault"))
        own = {"id": "'g' || n", "owner": "'u' || n", "person_id": "'p' || n"}
        values = ", ".join(own.get(name, f":{name}") for name in COLUMNS)
        given = {name: value for name, value in record.items() if name not in own}
        if engine == "postgres":
            values = re.sub(r":(\w+)", lambda name: _typed(name[1]), values)
        home.ask(
            f"{_NUMBERS[engine]}INSERT INTO grants ({', '.join(COLUMNS)}) SELECT {values} FROM many", many=MANY, **given
        )
        home.ask("ANALYZE")
        yield vault


def _typed(name: str) -> str:
    kind = "BYTEA" if name == "tokens" else "BIGINT" if name in ("generation", "failures") else "DOUBLE PRECISION"
    is_text = name in ("integration", "display_name", "email", "status", "scopes", "incident", "reason")
    return f"CAST(:{name} AS {'TEXT' if is_text else kind})"


def record_of(vault: SqlVault) -> StoredGrant:
    found = vault.grant(KEY)
    assert found is not None
    return StoredGrant(found, access_token=Secret("a"), refresh_token=Secret("r"))


ACTS: dict[str, Callable[[SqlVault], object]] = {
    "grant": lambda vault: vault.grant(KEY),
    "grant by id": lambda vault: vault.grant_by_id("g17"),
    "generation": lambda vault: vault.generation(KEY),
    "granted": lambda vault: vault.has_granted("C1", person_id="p17"),
    "adopted": lambda vault: vault.adopted("C1", digest=b"x" * 32),
    "standing": lambda vault: vault.standing("C1", credentials="aaaa"),
    "lease left": lambda vault: vault.lease_left("g17", holder="me"),
    "release": lambda vault: vault.release("g17", holder="me", unanswered_since=None),
    "save": lambda vault: vault.save(rules.renewed(record_of(vault), Tokens(Secret("a2")), now=NOW), generation=1),
    "refused": lambda vault: vault.save(
        rules.refused(record_of(vault), reason="r", incident="i", now=NOW),
        generation=1,
        event=Event("e1", NOW, Kind.REAUTHORIZATION_REQUIRED, "C1", "g17", "u17", "p17"),
    ),
    "enter": lambda vault: vault.enter(record_of(vault)),
    "spend": lambda vault: vault.spend(b"x" * 32, now=NOW, until=NOW + timedelta(minutes=10)),
    "forget": lambda vault: vault.forget_refused(before=NOW),
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_what_a_call_or_a_refresh_asks_is_one_probe_of_an_index_in_each_statement(
    vault: SqlVault, home: Home, engine: str, monkeypatch: pytest.MonkeyPatch, act: Callable[[SqlVault], object]
) -> None:
    recorded = Recorded(vault, monkeypatch)
    act(vault)
    assert recorded.statements
    for statement, parameters in recorded.statements:
        assert_probes(home, engine, statement, parameters)


def test_a_lease_is_taken_by_probes_too(
    vault: SqlVault, home: Home, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record opens under its own id alone, and these are copies."""
    kept = vault.enter(stored(grant_id="g-own"))
    recorded = Recorded(vault, monkeypatch)
    assert vault.find(kept.grant.key) == kept
    assert vault.take_lease("g-own", generation=1, holder="me", seconds=30) == kept
    assert len(recorded.statements) == 3
    for statement, parameters in recorded.statements:
        assert_probes(home, engine, statement, parameters)


def refuse(vault: SqlVault) -> None:
    refused = rules.refused(record_of(vault), reason="r", incident="i", now=NOW)
    event = Event("e", NOW, Kind.REAUTHORIZATION_REQUIRED, "C1", "g17", "u17", "p17")
    vault.refuse(Refusing(refused, event, refused, event, event, over=1, holder="me"), now=NOW)


JUDGING: dict[str, Callable[[SqlVault], object]] = {
    "served others": lambda vault: vault.served_others(KEY, credentials="old"),
    "refuse": refuse,
}


@pytest.mark.parametrize("judge", JUDGING.values(), ids=JUDGING)
def test_what_a_refusal_asks_of_the_audit_log_is_one_range_of_an_index_however_much_has_happened(
    vault: SqlVault, home: Home, engine: str, monkeypatch: pytest.MonkeyPatch, judge: Callable[[SqlVault], object]
) -> None:
    number = "CAST(n AS INTEGER)"
    home.ask(
        f"{_NUMBERS[engine]}INSERT INTO events (id, at, kind, integration, owner, person_id, credentials) "
        f"SELECT 'e' || n, {NOW.timestamp()} + {number} - :many, 'refreshed', 'C1', 'u' || n, 'p' || n, 'new' "
        "FROM many",
        many=MANY,
    )
    home.ask("ANALYZE")
    recorded = Recorded(vault, monkeypatch)
    judge(vault)
    assert recorded.statements
    for statement, parameters in recorded.statements:
        assert_probes(home, engine, statement, parameters)


def assert_probes(home: Home, engine: str, statement: str, parameters: Any) -> None:
    if statement.startswith("INSERT"):
        return  # it reads nothing but the unique index of what it conflicts with
    if engine == "sqlite":
        plan = [row[3] for row in home.ask(f"EXPLAIN QUERY PLAN {statement}", **parameters)]
        touched = [step for step in plan if step.startswith(("SCAN", "SEARCH"))]
        assert touched, plan
        for step in touched:
            assert re.match(r"SEARCH \w+ USING (COVERING )?(INDEX|PRIMARY KEY)", step), plan
            assert "ANY(" not in step, plan
        return
    text = "\n".join(row[0] for row in home.ask(f"EXPLAIN {statement}", **parameters))
    # A table that is empty here is read whole by PostgreSQL, which costs nothing then.
    assert not re.search(r"Seq Scan on (grants|events)", text), text
    assert "grants" not in statement or re.search(r"Index (Only )?Scan", text), text

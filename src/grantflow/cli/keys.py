"""`grantflow keys ...`: the keys that seal tokens, and how one takes over from another."""

import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from grantflow.cli.flags import Data, File, Json
from grantflow.cli.output import (
    FAILED,
    OK,
    REFUSED,
    USAGE,
    Failure,
    commands,
    has_colour,
    say,
    write,
    write_json,
    write_table,
)
from grantflow.cli.own import own_vault
from grantflow.client.errors import VaultUnavailable
from grantflow.client.vault import Resealed, SealedUnder
from grantflow.client.vault.sql_vault import SqlVault
from grantflow.protocol.timestamp import write_timestamp
from grantflow.sealing import KeyRing

#: So many are sealed anew in one transaction: few enough that whoever wants one of them waits for milliseconds.
_TOGETHER: Final = 100
#: Between two transactions it rests as long as the last one took, at least so long, and leaves the vault to calls.
_REST_SECONDS: Final = 0.002
_PROGRESS_SECONDS: Final = 2.0
#: How often all is gone through again for what was changed meanwhile, and how long the vault is waited for in a row.
_PASSES: Final = 5
_PATIENCE_SECONDS: Final = 300.0


def new(*, out: File = None) -> None:
    if out is None:
        write(KeyRing.new_key())
        return
    _put_into(out, KeyRing.new_key())
    say(f"A new key is in {out}, for you alone. Keep it apart from the vault: without it nobody can read the tokens.")
    say(f"To use it:{commands(_export(out))}")


def _put_into(path: Path, key: str) -> None:
    """A file of its own, made for its owner alone. Raises Failure where it is there already, or cannot be made: what it
    holds may be the only key to a vault."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(f"{key}\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise Failure(
            f"{path} is there already, and was left as it is: the key in it may be the only one that opens a vault.",
            fix=f"If it is your key, use it:{commands(_export(path))}\nIf you need another, name another file.",
            code=USAGE,
        ) from error
    except OSError as error:
        raise Failure(
            f"{path} cannot be written: {error.strerror}.", fix="Name another file with --out.", code=USAGE
        ) from error


def _export(path: Path) -> str:
    return f"export GRANTFLOW_KEY_FILE={shlex.quote(str(path))}"


# --- status ----------------------------------------------------------------------------------------------------------


def status(*, env_file: File = None, data: Data = None, json: Json = False) -> int:
    with own_vault(env_file, data=data) as vault:
        rows = _rows(vault.keys_in_use(), vault.keys)
    if json:
        write_json({"keys": [row.members() for row in rows]})
    else:
        write_table(["KEY", "ROLE", "GRANTS", "SINCE"], [row.cells() for row in rows])
        for sentence in _advice(rows):
            say(sentence)
    return FAILED if any(row.role == "missing" for row in rows) else OK


@dataclass(frozen=True, slots=True)
class _Row:
    """`role`: primary, previous, or missing where the vault needs a key that was not given. `has_sealed`: it has been
    the primary one here, or seals some grant.
    """

    key_id: str
    role: str
    grants: int
    since: datetime | None
    has_sealed: bool

    def members(self) -> dict[str, str | int | None]:
        since = write_timestamp(self.since) if self.since else None
        return {"key_id": self.key_id, "role": self.role, "grants": self.grants, "since": since}

    def cells(self) -> tuple[str, str, str, str]:
        since = f"{self.since:%Y-%m-%d}" if self.since else "not known"
        return self.key_id, self.role, str(self.grants), since


def _rows(known: Sequence[SealedUnder], keys: KeyRing) -> list[_Row]:
    """The keys that were given, in their order, then those that are missing; keys of the past are left out."""
    by_id = {each.key_id: each for each in known}
    given = list(dict.fromkeys((keys.key_id, *keys.previous_key_ids)))
    missing = [each.key_id for each in known if each.records and each.key_id not in given]
    nothing = SealedUnder("", 0, None)
    rows = []
    for key_id in (*given, *missing):
        found = by_id.get(key_id, nothing)
        role = "primary" if key_id == keys.key_id else "previous" if key_id in given else "missing"
        rows.append(_Row(key_id, role, found.records, found.since, has_sealed=key_id in by_id))
    return rows


def _advice(rows: Sequence[_Row]) -> Iterator[str]:
    for row in rows:
        if row.role == "missing":
            yield f"Put key {row.key_id} back, after a comma: without it these {row.grants} grants do not open."
        elif row.role == "previous" and row.grants:
            yield f"Key {row.key_id} is still needed. Seal its grants under the primary key: grantflow keys rotate"
        elif row.role == "previous":
            yield _what_it_is_for(row.key_id, has_sealed=row.has_sealed)


def _what_it_is_for(key_id: str, *, has_sealed: bool) -> str:
    """Of one that is not the primary one and seals nothing: an old one is done with, a new one has yet to begin."""
    return f"Key {key_id} seals no grant any more. {HOW_TO_DROP}" if has_sealed else f"Key {key_id} {HOW_TO_BEGIN}"


#: Cookies of people who are on their way through the grant are sealed too, and live for ten minutes.
HOW_TO_DROP: Final = (
    "Where the primary one is first at every node, and has been for ten minutes, take the other out of GRANTFLOW_KEY "
    "there (or the file that GRANTFLOW_KEY_FILE names), and destroy it once no backup needs it."
)
HOW_TO_BEGIN: Final = (
    "opens what others seal under it, and has sealed nothing here itself: a new one waits so. When all nodes have it, "
    "put it first in GRANTFLOW_KEY there (or the file that GRANTFLOW_KEY_FILE names)."
)


# --- rotate ----------------------------------------------------------------------------------------------------------


def rotate(*, env_file: File = None, data: Data = None, json: Json = False) -> int:
    with own_vault(env_file, data=data) as vault:
        before = {each.key_id: each.records for each in vault.keys_in_use()}
        outcome = _Outcome(total=sum(number for key_id, number in before.items() if key_id != vault.keys.key_id))
        with _progress(outcome, shown=not json and outcome.total > 0) as tell:
            _go_through(vault, outcome, tell)
        left = {each.key_id: each.records for each in vault.keys_in_use() if each.records}
    left.pop(vault.keys.key_id, None)
    if json:
        told = {"primary": vault.keys.key_id, "resealed": outcome.resealed, "left": left}
        write_json({**told, "unopened": sorted(outcome.unopened)})
    else:
        _tell(outcome, left, vault.keys, before=before)
    return FAILED if left else OK


@dataclass(slots=True)
class _Outcome:
    """`total`: how many there were to seal anew when it began."""

    total: int
    resealed: int = 0
    unopened: set[str] = field(default_factory=set)


def _go_through(vault: SqlVault, outcome: _Outcome, tell: Callable[[], None]) -> None:
    """All records in the order of their ids; again for those that somebody was writing, under the old key perhaps."""
    for _ in range(_PASSES):
        passed, after = 0, ""
        while True:
            begun = time.monotonic()
            part = _patiently(lambda after=after: vault.reseal(after=after, limit=_TOGETHER))  # type: ignore[misc]
            outcome.resealed += part.resealed
            outcome.unopened.update(part.unopened)
            passed += part.passed
            tell()
            if part.last is None:
                break
            after = part.last
            if part.resealed:
                time.sleep(max(_REST_SECONDS, time.monotonic() - begun))
        if not passed and not _is_left(vault, outcome):
            return


def _is_left(vault: SqlVault, outcome: _Outcome) -> bool:
    """Whether there are records under another key than the primary one, but for those that do not open."""
    left = sum(each.records for each in vault.keys_in_use() if each.key_id != vault.keys.key_id)
    return left > len(outcome.unopened)


def _patiently(work: Callable[[], Resealed]) -> Resealed:
    """A vault that is locked or away for a while is waited for. Raises VaultUnavailable where it stays so."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return work()
        except VaultUnavailable as error:
            if time.monotonic() + error.retry_after > until:
                raise Failure(
                    str(error), fix="What is done is done: run the same again and it goes on.", code=REFUSED
                ) from error
            say(f"{error} It goes on in {error.retry_after:g} seconds.")
            time.sleep(error.retry_after)


@contextmanager
def _progress(outcome: _Outcome, *, shown: bool) -> Iterator[Callable[[], None]]:
    """A bar on a terminal, else a line every few seconds, all on stderr; called after each step."""
    if not shown:
        yield lambda: None
    elif sys.stderr.isatty():
        with _bar(outcome) as tell:
            yield tell
    else:
        told = time.monotonic()

        def tell() -> None:
            nonlocal told
            if time.monotonic() - told >= _PROGRESS_SECONDS:
                told = time.monotonic()
                say(f"{outcome.resealed:,} of {outcome.total:,} grants are sealed under the primary key.")

        yield tell


@contextmanager
def _bar(outcome: _Outcome) -> Iterator[Callable[[], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, no_color=not has_colour(sys.stderr))
    columns = (TextColumn("Sealing anew"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=outcome.total)
        yield lambda: progress.update(task, completed=outcome.resealed)


def _tell(outcome: _Outcome, left: dict[str, int], keys: KeyRing, *, before: Mapping[str, int]) -> None:
    """`before`: how many each key sealed when it began, 0 of those that did once."""
    if outcome.resealed or not outcome.total:
        nothing = "No grant had to be" if any(before.values()) else "The vault keeps no grant yet, so nothing was"
        what = f"{outcome.resealed:,} grants were" if outcome.resealed else nothing
        write(f"{what} sealed anew; key {keys.key_id} is the primary one.")
    for key_id, number in left.items():
        if key_id not in keys.previous_key_ids:
            say(
                f"{number:,} grants are under key {key_id}, which was not given: put it back, after a comma, and go on."
            )
        elif outcome.unopened:
            say(f"{number:,} grants are still under key {key_id}.")
        else:
            say(
                f"{number:,} grants are under key {key_id} again: some node still seals under it. Make the new key the "
                "first one in GRANTFLOW_KEY (or its file) everywhere, then run this again."
            )
    for grant_id in sorted(outcome.unopened)[:20]:
        say(f"The record of grant {grant_id} does not open: restore it from a backup, or let the person grant again.")
    if not left:
        for key_id in keys.previous_key_ids:
            say(_what_it_is_for(key_id, has_sealed=key_id in before))

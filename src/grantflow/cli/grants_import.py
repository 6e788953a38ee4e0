"""`grantflow grants import`: tokens that another program got come in, and nobody is asked again."""

import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import Annotated, Any, Final, TextIO

from cyclopts import Parameter

from grantflow.cli.flags import Data, File, Json, Switch
from grantflow.cli.grants import because
from grantflow.cli.log import told_by_the_command
from grantflow.cli.output import FAILED, OK, REFUSED, USAGE, Failure, say, say_of, write_json
from grantflow.cli.own import own_integration
from grantflow.cli.token_files import Entry, Names, NotTokens, read_tokens
from grantflow.client.errors import (
    GrantflowError,
    IntegrationRefused,
    ReauthorizationRequired,
    TransientTokenError,
    UnknownPerson,
)
from grantflow.client.grant import Adoption, ExistingTokens, Status
from grantflow.client.integration import Integration

#: As many are kept by one write; so many are lost to a kill at most, and the next run brings them in.
_TOGETHER: Final = 500
_PROGRESS_SECONDS: Final = 1.0
#: The longest that the platform is waited for where it says so, in seconds, and how often in a row.
_PATIENCE, _TRIES = 300.0, 3
#: So many in a row of whom the platform could not be asked: it is out of order, and the others wait for the next run.
_ENOUGH: Final = 5
#: How many that failed are told one by one; --json tells all.
_SHOWN: Final = 200


@dataclass(slots=True)
class Report:
    """`adopted`, `replaced`, `unchanged` and `kept` count what became of the tokens; `nameless` those of whom it is not
    known yet whose they are. `stopped` says why the platform was not asked of the rest."""

    entries: int = 0
    counts: dict[Adoption, int] = field(default_factory=lambda: dict.fromkeys(Adoption, 0))
    failed: list[Entry] = field(default_factory=list)
    nameless: int = 0
    stopped: str = ""

    def fail(self, entry: Entry) -> None:
        self.failed.append(entry)
        if len(self.failed) <= _SHOWN:
            say_of(f"{entry.place}:", f"{entry.problem}. {entry.fix}.")


def bring_in(
    file: Annotated[Path, Parameter(name="FILE", allow_leading_hyphen=True)],
    /,
    *,
    names: Names = "owner",
    replace: Switch = False,
    dry_run: Switch = False,
    env_file: File = None,
    data: Data = None,
    json: Json = False,
) -> int:
    report = Report()
    own = own_integration(env_file, data=data, create=True, dry_run=dry_run)
    with own as integration, _opened(file) as opened:
        entries = read_tokens(opened, names=names, now=integration.now())
        try:
            waiting = _keep(integration, entries, report, replace=replace, dry_run=dry_run)
        except (NotTokens, UnicodeDecodeError) as error:
            raise _unreadable(file, error) from None
        if not dry_run:
            with told_by_the_command():
                _name(integration, waiting, report, replace=replace)
    if json:
        write_json(_as_json(report, dry_run=dry_run))
    else:
        _tell(report, file, dry_run=dry_run)
    if report.stopped:
        return REFUSED
    return FAILED if report.failed else OK


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    if str(path) == "-":
        sys.stdin.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
        yield sys.stdin
        return
    try:
        file = path.open(encoding="utf-8")
    except OSError as error:
        raise Failure(
            f"{path} cannot be read: {error.strerror}.", fix="Name another file, or - for stdin.", code=USAGE
        ) from error
    with file:
        _warn_of_readers(path, os.fstat(file.fileno()).st_mode)
        yield file


def _warn_of_readers(path: Path, mode: int) -> None:
    if os.name == "posix" and stat.S_ISREG(mode) and mode & 0o077:
        say(
            f"warning: {path} holds tokens, and others on this machine may read it (mode {stat.S_IMODE(mode):03o}). "
            f"Make it yours alone: chmod 600 {quote(str(path))}"
        )


def _unreadable(path: Path, error: NotTokens | UnicodeDecodeError) -> Failure:
    called = "What came on stdin" if str(path) == "-" else str(path)
    if isinstance(error, UnicodeDecodeError):
        return Failure(f"{called} is no text in UTF-8.", fix="Save it as UTF-8.", code=USAGE)
    return Failure(f"{called} is no file of tokens. {error.what}", fix=error.fix, code=USAGE)


def _keep(
    integration: Integration, entries: Iterator[Entry], report: Report, *, replace: bool, dry_run: bool
) -> list[tuple[str, ExistingTokens]]:
    """All that can be used is kept, before anything is asked; answers with those whose person is not known."""
    waiting: list[tuple[str, ExistingTokens]] = []
    with _progress("kept" if not dry_run else "read") as progress:
        while some := list(islice(entries, _TOGETHER)):
            usable = [(entry.place, entry.tokens) for entry in some if entry.tokens]
            taken = integration.adopt_all([tokens for _, tokens in usable], replace=replace, dry_run=dry_run)
            for (place, tokens), grant in zip(usable, taken, strict=True):
                if grant.is_named:
                    report.counts[grant.outcome] += 1
                else:
                    waiting.append((place, tokens))
            for entry in some:
                if entry.tokens is None:
                    report.fail(entry)
            report.entries += len(some)
            progress(report.entries)
    report.nameless = len(waiting)
    return waiting


# --- whose they are ---------------------------------------------------------------------------------------------------


def _name(
    integration: Integration, waiting: list[tuple[str, ExistingTokens]], report: Report, *, replace: bool
) -> None:
    """Ask the platform whose they are, one after another, and not on where it is out of order."""
    away = 0
    with _progress(f"of {len(waiting):,} named") as progress:
        for number, (place, tokens) in enumerate(waiting, start=1):
            try:
                grant = _adopt(integration, tokens, replace=replace)
                report.counts[grant.outcome] += 1
                away = 0
            except IntegrationRefused as error:
                report.stopped = str(error)
                return
            except TransientTokenError as error:
                away += 1
                problem = str(error).partition(" They are kept")[0].rstrip(".")
                report.fail(Entry(place, problem=problem, fix="Its tokens are kept; run this again later"))
                if away == _ENOUGH:
                    report.nameless = len(waiting) - number
                    report.stopped = "The platform is out of order."
                    return
            except ReauthorizationRequired as error:
                report.fail(Entry(place, problem=_ended(error), fix="This person must grant again"))
            except UnknownPerson as error:
                fix = 'Add "person_id" to it in the file, or the scope spark:people_read to the integration'
                report.fail(Entry(place, problem=str(error).partition(", so ")[0], fix=fix))
            except GrantflowError as error:
                report.fail(Entry(place, problem=str(error).rstrip("."), fix="Run this again"))
            report.nameless = len(waiting) - number
            progress(number)


def _ended(error: ReauthorizationRequired) -> str:
    if error.grant is None or error.grant.status is Status.REVOKED:
        return "the grant was disconnected here"
    return f"the refresh token is no longer accepted{because(error.grant.reason)}"


def _adopt(integration: Integration, tokens: ExistingTokens, *, replace: bool) -> Any:
    """Once more where the platform says when."""
    for tries_left in reversed(range(_TRIES)):
        try:
            return integration.adopt(
                tokens.refresh_token,
                access_token=tokens.access_token,
                access_expires_at=tokens.access_expires_at,
                refresh_expires_at=tokens.refresh_expires_at,
                scopes=tokens.scopes,
                owner=tokens.owner,
                issued_at=tokens.issued_at,
                replace=replace,
            )
        except TransientTokenError as error:
            if not tries_left or error.status != 429 or error.retry_after > _PATIENCE:
                raise
            time.sleep(error.retry_after)
    raise AssertionError


# --- what people see --------------------------------------------------------------------------------------------------


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int], None]]:
    """A line that counts on, on a terminal; else nothing, for it would fill a log."""
    due, shown = time.monotonic() + _PROGRESS_SECONDS, False

    def progress(count: int) -> None:
        nonlocal due, shown
        if sys.stderr.isatty() and time.monotonic() >= due:
            due, shown = time.monotonic() + _PROGRESS_SECONDS, True
            sys.stderr.write(f"\r{count:,} {what} ... ")
            sys.stderr.flush()

    yield progress
    if shown:
        sys.stderr.write("\r\x1b[K")


def _tell(report: Report, file: Path, *, dry_run: bool) -> None:
    if len(report.failed) > _SHOWN:
        say(f"... and {len(report.failed) - _SHOWN:,} more; --json names them all.")
    counts = report.counts
    said = [
        (counts[Adoption.ADOPTED], "new"),
        (counts[Adoption.REPLACED], "in place of a grant that was here"),
        (counts[Adoption.UNCHANGED], "here already"),
        (counts[Adoption.KEPT], "left out for a grant that is here"),
        (report.nameless, "to ask the platform about" if dry_run else "waiting for a name"),
        (len(report.failed), "cannot be used" if dry_run else "failed"),
    ]
    entries = f"{report.entries:,} {'entry' if report.entries == 1 else 'entries'}"
    say(f"{entries}: {', '.join(f'{count:,} {what}' for count, what in said if count) or 'nothing in it'}.")
    if counts[Adoption.KEPT]:
        say("Those that were left out are not known to be newer; --replace takes them all the same.")
    if dry_run:
        say("Nothing was changed.")
        return
    if report.stopped:
        say(f"{report.stopped} What came in is kept; run the same command again to go on.")
    elif report.nameless:
        say("What waits is kept; run the same command again to ask whose it is.")
    if str(file) != "-" and not report.failed and not report.stopped:
        say(f"Nothing else may use these tokens from now on. Once all works, delete {file}.")


def _as_json(report: Report, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "entries": report.entries,
        **{outcome.value.lower(): count for outcome, count in report.counts.items()},
        "nameless": report.nameless,
        "failed": [{"entry": entry.place, "problem": entry.problem, "fix": entry.fix} for entry in report.failed],
        "stopped": report.stopped or None,
    }

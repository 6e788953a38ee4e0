"""What lies on this side: settings, key, files and vault."""

import shutil
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from grantflow.cli.checks.finding import Finding, Verdict
from grantflow.cli.output import Failure
from grantflow.client.errors import VaultUnavailable
from grantflow.client.integration import Integration
from grantflow.protocol.scope import Scopes
from grantflow.protocol.secret import Secret
from grantflow.settings import IntegrationSettings

_KEY_IS_OLD = timedelta(days=365)
#: Free bytes below which a log alone may fill the disk (docs/operations.md), and below which it soon will.
_TOO_LITTLE_ROOM, _LITTLE_ROOM = 20 * 2**20, 500 * 2**20


def of_problems(check: str, problems: Failure) -> Iterator[Finding]:
    """What a check fails by: one finding for each setting that is missing or wrong."""
    if not problems.details:
        yield Finding(check, Verdict.FAIL, problems.what, problems.fix)
    for where, what in problems.details:
        yield Finding(check, Verdict.FAIL, where, what)


def of_scopes(scopes: Scopes, *, userinfo: str | None = None) -> Finding:
    """``userinfo``: the endpoint of a server that tells there who has granted, and wants no scope of Webex's for it."""
    asked = f"{len(scopes)} {'is' if len(scopes) == 1 else 'are'} asked for"
    if userinfo is not None:
        return Finding("scopes", Verdict.OK, f"{asked}; {userinfo} tells who has granted")
    if scopes.allow("spark:people_read"):
        return Finding("scopes", Verdict.OK, f"{asked}, people_read among them")
    return Finding(
        "scopes",
        Verdict.FAIL,
        "spark:people_read is not asked for, without which the API does not tell who has granted",
        "Add it to GRANTFLOW_SCOPES, and to the registration at the platform.",
    )


def of_scopes_without_userinfo(scopes: Scopes, *, issuer: str | None) -> Finding:
    """Of a server whose metadata names no such endpoint: ours is one, and a program may have a way of its own."""
    if any(scope.startswith("spark:") for scope in scopes):
        return of_scopes(scopes)
    return Finding(
        "scopes",
        Verdict.WARN,
        f"{issuer} names no userinfo_endpoint, so nothing tells grantflow serve and login who has granted",
        "People grant in a program that has a way of its own, Integration(identify=...); all else works.",
    )


def not_looked_at(check: str) -> Finding:
    return Finding(check, Verdict.SKIP, "not looked at, since what is above has to be mended first")


def all_not_looked_at(skipped: Sequence[Finding]) -> Finding:
    """One for people, who need not read the same of each."""
    return Finding("the rest", Verdict.SKIP, f"{skipped[0].found}: {', '.join(each.check for each in skipped)}")


def of_key(settings: IntegrationSettings, *, now: datetime) -> Finding:
    """Of one that has been read: if it lies in a file, who may read it and how old it is."""
    if settings.key_file is None:
        return Finding("key", Verdict.OK, "it comes from GRANTFLOW_KEY; how old it is cannot be told")
    return _key_file(settings.key_file, now=now)


def of_files(settings: IntegrationSettings, env_file: Path | None) -> Iterator[Finding]:
    """The secrets that lie in other files: who may read them."""
    for name, path in (("client secret's file", settings.client_secret_file), ("env file", env_file)):
        if path is not None:
            yield _readable_by(name, path) or Finding(name, Verdict.OK, f"{path} is for its owner alone")


def _key_file(path: Path, *, now: datetime) -> Finding:
    age = now - datetime.fromtimestamp(path.stat().st_mtime, UTC)
    if (finding := _readable_by("key", path)) is not None:
        return finding
    if age > _KEY_IS_OLD:
        return Finding(
            "key",
            Verdict.WARN,
            f"{path} is {age.days} days old",
            "Make another (grantflow keys new), put it first in the file with a comma after it, at every node; then: "
            "grantflow keys rotate",
        )
    return Finding("key", Verdict.OK, f"{path} is for its owner alone and {age.days} days old")


def _readable_by(name: str, path: Path) -> Finding | None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO) == 0:
        return None
    return Finding(name, Verdict.WARN, f"{path} can be read by others (mode {mode:04o})", f"chmod 600 {path}")


def of_vault(integration: Integration, where: Path | Secret, *, place: str) -> Finding:
    """It has been opened and has the schema of this version; now it is written to, and a file's disk is looked at."""
    try:
        integration.is_first("doctor", seconds=1)
    except VaultUnavailable as error:
        return Finding("vault", Verdict.FAIL, str(error), "Mend what it names, then run this again.")
    if isinstance(where, Secret):
        return Finding("vault", Verdict.OK, f"{place} opens and can be written")
    return _vault_file(where)


def no_vault_yet(place: str, *, fix: str) -> Finding:
    return Finding("vault", Verdict.WARN, f"there is none at {place}, so no grant of anybody either", fix)


def _vault_file(path: Path) -> Finding:
    free = shutil.disk_usage(path.parent).free
    room = f"{free / 2**20:,.0f} MB are free on its disk"
    if (finding := _readable_by("vault", path)) is not None:
        return finding
    if free < _LITTLE_ROOM:
        verdict = Verdict.FAIL if free < _TOO_LITTLE_ROOM else Verdict.WARN
        return Finding("vault", verdict, f"{path} can be written, but {room}", "Make room: each grant needs some.")
    return Finding("vault", Verdict.OK, f"{path} opens and can be written; {room}")

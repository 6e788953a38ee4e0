"""`grantflow doctor`: looks at everything that an integration needs, a line for each and what to do where it fails."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from grantflow.app import clock
from grantflow.cli.called import as_called
from grantflow.cli.checks.finding import Finding, Verdict
from grantflow.cli.checks.here import (
    all_not_looked_at,
    no_vault_yet,
    not_looked_at,
    of_files,
    of_key,
    of_problems,
    of_scopes,
    of_scopes_without_userinfo,
    of_vault,
)
from grantflow.cli.checks.platform import of_certificates, of_platform
from grantflow.cli.checks.registration import of_authorization, of_client_secrets, of_redirect_uri
from grantflow.cli.checks.web import Web
from grantflow.cli.configured import read
from grantflow.cli.flags import Data, File, Json
from grantflow.cli.output import FAILED, OK, Failure, one_line, styled, wrapped, write, write_json
from grantflow.cli.own import (
    has_vault,
    how_to_have_a_vault,
    keys_of,
    make,
    open_own_vault,
    place_of_vault,
    redirect_uri_of,
    vault_of,
)
from grantflow.cli.server import bring_along, server_of
from grantflow.client.configuration import Configuration
from grantflow.client.integration import Integration
from grantflow.data_directory import DataDirectory
from grantflow.protocol.scope import Scopes
from grantflow.settings import IntegrationSettings

_COLUMN = 15
_STYLES = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red", Verdict.SKIP: "dim"}
#: What is looked at wherever all is well, in the order in which it is.
_CHECKS = (
    *("settings", "key", "scopes", "vault", "redirect URI", "TLS", "platform", "clock", "metadata", "authorization"),
    "client secret",
)


def doctor(*, env_file: File = None, data: Data = None, json: Json = False) -> int:
    findings: list[Finding] = []
    for finding in _with_the_rest(_examine(env_file, data)):
        findings.append(finding)
        if not json and finding.verdict is not Verdict.SKIP:
            _show(finding)  # at once: some take seconds
    if json:
        write_json([_as_json(finding) for finding in findings])
    else:
        if skipped := [finding for finding in findings if finding.verdict is Verdict.SKIP]:
            _show(all_not_looked_at(skipped))
        write(f"\n{_summary(findings)}")
    return FAILED if any(finding.verdict is Verdict.FAIL for finding in findings) else OK


def _with_the_rest(findings: Iterator[Finding]) -> Iterator[Finding]:
    """And what they do not tell of, so that nobody takes it for well."""
    looked_at = set()
    for finding in findings:
        looked_at.add(finding.check)
        yield finding
    yield from (not_looked_at(check) for check in _CHECKS if check not in looked_at)


def _examine(env_file: Path | None, data: Path | None) -> Iterator[Finding]:
    directory = DataDirectory.find(data)
    try:
        settings = read(IntegrationSettings, env_file)
    except Failure as problems:
        yield from of_problems("settings", problems)
        return
    yield Finding("settings", Verdict.OK, f"all are there, of {settings.client_id}")
    broken = list(_attempt("key", lambda: keys_of(settings)))
    yield from broken or [of_key(settings, now=clock())]
    yield from of_files(settings, env_file)
    if not settings.discovers:
        yield of_scopes(Scopes.of(*settings.scopes.split()))
    if broken:
        return
    if not _is_to_be_begun(settings, directory):
        directory.create()
        yield from _examine_integration(settings, directory)
        return
    begins = no_vault_yet(place_of_vault(settings, directory), fix=how_to_have_a_vault(settings, directory))
    with TemporaryDirectory() as passing:  # to look is not to begin one
        over_it = settings.model_copy(update={"vault": Path(passing) / "vault.db"})
        bring_along(settings, known=directory, to=DataDirectory(Path(passing)))
        yield from _examine_integration(over_it, DataDirectory(Path(passing)), vault=begins)


def _is_to_be_begun(settings: IntegrationSettings, directory: DataDirectory) -> bool:
    """There is no vault, but it could be made; so could the folder of the data. What stands in its way is told when it
    is opened."""
    try:
        if has_vault(settings, directory):
            return False
    except Failure:
        return False
    where = vault_of(settings, directory)
    if not isinstance(where, Path):
        return True
    folder = where.absolute().parent
    if settings.vault is None:
        folder = next(each for each in (folder, *folder.parents) if each.is_dir())
    return folder.is_dir() and os.access(folder, os.W_OK)


def _examine_integration(
    settings: IntegrationSettings, directory: DataDirectory, *, vault: Finding | None = None
) -> Iterator[Finding]:
    """`vault`: what has been found of it already."""
    for check, attempt in _attempts(settings, directory).items():
        broken = list(_attempt(check, attempt))
        yield from broken
        if broken:
            return
    integration = _made(settings, directory)
    with integration, Web(clock) as web:
        if settings.discovers:
            yield _of_scopes_there(integration.configuration)
        yield vault or of_vault(integration, vault_of(settings, directory), place=place_of_vault(settings, directory))
        yield from _examine_configuration(integration, web)


def _attempt(check: str, attempt: Callable[[], object]) -> Iterator[Finding]:
    """What it fails by, if it does."""
    try:
        attempt()
    except Failure as problems:
        yield from of_problems(check, problems)


def _attempts(settings: IntegrationSettings, directory: DataDirectory) -> Mapping[str, Callable[[], object]]:
    """What an integration is made of, piece by piece, so that what fails has its name."""
    return {
        "vault": lambda: open_own_vault(settings, directory).close(),
        "metadata": lambda: server_of(settings, directory),
        "integration": lambda: _made(settings, directory).close(),
    }


def _made(settings: IntegrationSettings, directory: DataDirectory) -> Integration:
    redirect_uri = redirect_uri_of(settings)
    return make(Integration, settings, redirect_uri=redirect_uri, directory=directory, redeems=False)


def _of_scopes_there(configuration: Configuration) -> Finding:
    """As the server's metadata says how it tells who has granted."""
    if configuration.userinfo_endpoint is None:
        return of_scopes_without_userinfo(configuration.scopes, issuer=configuration.issuer)
    return of_scopes(configuration.scopes, userinfo=configuration.userinfo_endpoint)


def _examine_configuration(integration: Integration, web: Web) -> Iterator[Finding]:
    of = integration.configuration
    yield of_redirect_uri(of.redirect_uri, web)
    urls = (of.redirect_uri, of.api_url, of.authorization_endpoint, of.token_endpoint, of.revocation_url or "")
    yield from of_certificates(iter(urls), web, now=clock())
    platform = list(of_platform(of, web))
    yield from platform
    if platform[0].verdict is Verdict.OK:
        yield of_authorization(integration.authorization_request().url, of, web)
        yield from of_client_secrets(of, web)


def _show(finding: Finding) -> None:
    verdict = styled(f"{finding.verdict:4}", _STYLES[finding.verdict], stream=sys.stdout)
    indent = 6 + _COLUMN
    write(f"{verdict}  {finding.check:{_COLUMN}}{wrapped(one_line(finding.found), indent=indent, stream=sys.stdout)}")
    if finding.fix:
        write(" " * indent + wrapped(as_called(finding.fix), indent=indent, stream=sys.stdout))


def _summary(findings: Sequence[Finding]) -> str:
    count = {verdict: sum(finding.verdict is verdict for finding in findings) for verdict in Verdict}
    skipped = f", {count[Verdict.SKIP]} not looked at" if count[Verdict.SKIP] else ""
    return f"{count[Verdict.OK]} well, {count[Verdict.WARN]} to look at, {count[Verdict.FAIL]} to mend{skipped}."


def _as_json(finding: Finding) -> dict[str, str]:
    return {
        "check": finding.check,
        "verdict": finding.verdict.value,
        "found": finding.found,
        "fix": as_called(finding.fix),
    }

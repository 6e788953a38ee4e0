"""What `grantflow doctor` looks at: each check finds one thing, and what to do where it is not well. None changes a
grant, and none sends a token or a code of anybody's.
"""

import re
import shutil
import ssl
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from html import unescape
from pathlib import Path
from socket import create_connection
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx2

from grantflow.cli.output import Failure
from grantflow.cli.own import port_in
from grantflow.client import rules
from grantflow.client.configuration import Configuration
from grantflow.client.discovery import why_no_document
from grantflow.client.errors import VaultUnavailable
from grantflow.client.integration import Integration
from grantflow.client.rules import Verdict as Judgement
from grantflow.protocol.errors import InvalidRequest
from grantflow.protocol.http import Request, Response
from grantflow.protocol.metadata import ServerMetadata, metadata_requests, read_metadata
from grantflow.protocol.redirect_uri import check_registrable
from grantflow.protocol.scope import Scopes
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import (
    ClientCredentials,
    CodeExchange,
    TokenRefusal,
    exchange_request,
    read_json_object,
    read_tokens,
)
from grantflow.settings import IntegrationSettings
from grantflow.web.site import is_loopback

Clock = Callable[[], datetime]

_PATIENCE = 10.0
#: Seconds by which clocks may differ unnoticed, and by which lifetimes are counted wrong enough to hurt.
_CLOCK_MAY_DIFFER, _CLOCK_IS_WRONG = 5, 120
_DAYS_BEFORE_A_CERTIFICATE_ENDS = 14
_KEY_IS_OLD = timedelta(days=365)
#: Free bytes below which a log alone may fill the disk (docs/operations.md), and below which it soon will.
_TOO_LITTLE_ROOM, _LITTLE_ROOM = 20 * 2**20, 500 * 2**20
#: What is missed where the platform has it and it is not set.
_UNSET = {
    "GRANTFLOW_REVOCATION_URL": "nothing is revoked at the platform when a person disconnects",
    "GRANTFLOW_ISSUER": "an answer that another server has mixed in would not be noticed (RFC 9207)",
}


class Verdict(StrEnum):
    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"
    SKIP = "SKIP"


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    verdict: Verdict
    found: str
    fix: str = ""


class Web:
    """Asks servers, and remembers how far the platform's clock is from ours."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._context = httpx2.create_ssl_context()
        self._client = httpx2.Client(timeout=_PATIENCE, verify=self._context, headers={"user-agent": "grantflow"})

    def __enter__(self) -> "Web":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, request: Request) -> tuple[Response, float | None]:
        """The answer, and by how many seconds its Date is ahead of us. Raises httpx2.HTTPError."""
        sent_at = self._clock()
        answer = self._client.request(
            request.method, request.url, headers=dict(request.headers), content=request.body or None
        )
        between = sent_at + (self._clock() - sent_at) / 2
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Response(answer.status_code, headers, answer.content), _seconds_ahead(headers.get("date"), between)

    def certificate_of(self, url: str) -> datetime:
        """Until when it is good, after its chain and its name have been checked. Raises OSError."""
        parts = urlsplit(url)
        with (
            create_connection((parts.hostname or "", port_in(parts)), timeout=_PATIENCE) as plain,
            self._context.wrap_socket(plain, server_hostname=parts.hostname) as secure,
        ):
            certificate = secure.getpeercert() or {}
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)


def _seconds_ahead(date: str | None, moment: datetime) -> float | None:
    try:
        return (parsedate_to_datetime(date or "") - moment).total_seconds()
    except (TypeError, ValueError):
        return None


# --- settings ------------------------------------------------------------------------------------------------------


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


# --- the vault -----------------------------------------------------------------------------------------------------


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


# --- the redirect URI ----------------------------------------------------------------------------------------------


def of_redirect_uri(redirect_uri: str, web: Web) -> Finding:
    """Whether it may be registered, and whether anything answers there: without code and state that does nothing."""
    try:
        warnings = check_registrable(redirect_uri, strict=False)
    except InvalidRequest as error:
        return _bad_redirect_uri(f"{redirect_uri} may not be registered. {error.description}")
    parts = urlsplit(redirect_uri)
    if parts.scheme not in ("http", "https"):
        return Finding("redirect URI", Verdict.WARN if warnings else Verdict.OK, " ".join([redirect_uri, *warnings]))
    here = is_loopback(parts.hostname or "")
    try:
        answer, _ = web.ask(Request("GET", redirect_uri, {"accept": "text/html"}))
    except httpx2.HTTPError as error:
        if here:
            return Finding(
                "redirect URI", Verdict.OK, f"{redirect_uri} is free for grantflow serve or login; nothing answers now"
            )
        return _bad_redirect_uri(f"Nothing answers at {redirect_uri}: {_words(error)}")
    if answer.status == 404 or answer.status >= 500:
        return _bad_redirect_uri(f"{redirect_uri} answers {answer.status}: people would come back to nothing")
    return Finding("redirect URI", Verdict.OK, f"{redirect_uri} answers ({answer.status})")


def _bad_redirect_uri(found: str) -> Finding:
    fix = "Serve it (grantflow serve), or correct GRANTFLOW_REDIRECT_URI; register it at the platform to the letter."
    return Finding("redirect URI", Verdict.FAIL, found, fix)


# --- the platform --------------------------------------------------------------------------------------------------


def of_certificates(urls: Iterator[str], web: Web, *, now: datetime) -> Iterator[Finding]:
    """One for each host that https is spoken with."""
    hosts = {urlsplit(url).netloc: url for url in urls if url.startswith("https:")}
    for host, url in hosts.items():
        yield _certificate(host, url, web, now=now)
    if not hosts:
        yield Finding("TLS", Verdict.OK, "not needed: all addresses are on this machine, over plain http")


def _certificate(host: str, url: str, web: Web, *, now: datetime) -> Finding:
    try:
        days = (web.certificate_of(url) - now).days
    except ssl.SSLCertVerificationError as error:
        fix = "Have it renewed for this name. An authority of your own is trusted by SSL_CERT_FILE=authority.pem"
        return Finding("TLS", Verdict.FAIL, f"{host}: {error.verify_message}", fix)
    except OSError as error:
        return Finding(
            "TLS", Verdict.WARN, f"{host} could not be looked at: {error}", "Is a proxy between? Then ask it."
        )
    if days < _DAYS_BEFORE_A_CERTIFICATE_ENDS:
        fix = "Have it renewed: after that no call and no refresh will work."
        return Finding("TLS", Verdict.WARN, f"{host}: its certificate ends in {days} days", fix)
    return Finding("TLS", Verdict.OK, f"{host}: trusted, for another {days} days")


def of_platform(configuration: Configuration, web: Web) -> Iterator[Finding]:
    """Whether it answers, how far its clock is from ours, and what it says of itself."""
    try:
        # What is asked for is told by nobody without a token: any answer shows that the API is there.
        _, ahead = web.ask(Request("GET", f"{configuration.api_url}/people/me", {"accept": "application/json"}))
    except httpx2.HTTPError as error:
        fix = "Start the platform, look at the way there (DNS, proxy, firewall), or correct GRANTFLOW_API_URL."
        yield Finding("platform", Verdict.FAIL, f"{configuration.api_url} does not answer: {_words(error)}", fix)
        return
    yield Finding("platform", Verdict.OK, f"{configuration.api_url} answers")
    yield _clock(ahead)
    yield from _metadata(configuration, web)


def _clock(ahead: float | None) -> Finding:
    if ahead is None:
        return Finding(
            "clock", Verdict.WARN, "the platform's answer has no Date to compare with", "Look at it by hand: date -u"
        )
    apart = f"{abs(ahead):.0f} s {'behind' if ahead > 0 else 'ahead of'} the platform's"
    if abs(ahead) <= _CLOCK_MAY_DIFFER:
        return Finding("clock", Verdict.OK, "within a few seconds of the platform's")
    verdict = Verdict.FAIL if abs(ahead) > _CLOCK_IS_WRONG else Verdict.WARN
    return Finding("clock", verdict, f"this machine's is {apart}", "Set it by NTP: timedatectl set-ntp true")


def _metadata(configuration: Configuration, web: Web) -> Iterator[Finding]:
    issuer = configuration.issuer or configuration.api_url
    for request in metadata_requests(issuer):
        try:
            answer, _ = web.ask(request)
            members = None if why_no_document(answer) else read_json_object(answer.body)
            if members is not None:
                yield from _compare(configuration, read_metadata(members, issuer=issuer))
                return
        except httpx2.HTTPError:
            continue
        except InvalidRequest as error:
            fix = "Set GRANTFLOW_ISSUER to what the platform calls itself, to the letter."
            yield Finding("metadata", Verdict.WARN, f"{request.url}: {error.reason}", fix)
            return
    if configuration.issuer:
        fix = "Correct GRANTFLOW_ISSUER, or leave it out."
        yield Finding("metadata", Verdict.WARN, f"{issuer} says nothing of itself", fix)
    else:
        yield Finding("metadata", Verdict.OK, "the platform publishes none; the endpoints are taken as they are set")


def _compare(configuration: Configuration, server: ServerMetadata) -> Iterator[Finding]:
    set_and_said = {
        "GRANTFLOW_AUTHORIZATION_ENDPOINT": (configuration.authorization_endpoint, server.authorization_endpoint),
        "GRANTFLOW_TOKEN_ENDPOINT": (configuration.token_endpoint, server.token_endpoint),
        "GRANTFLOW_REVOCATION_URL": (configuration.revocation_url, server.revocation_endpoint),
        "GRANTFLOW_ISSUER": (configuration.issuer, server.issuer if server.iss_announced else configuration.issuer),
    }
    differing = {name: (ours, theirs) for name, (ours, theirs) in set_and_said.items() if theirs and ours != theirs}
    for name, (ours, theirs) in differing.items():
        found = f"{name} is {ours}, and the platform says {theirs}" if ours else f"{name} is not set, so {_UNSET[name]}"
        verdict = Verdict.FAIL if ours else Verdict.WARN
        yield Finding("metadata", verdict, found, f"export {name}={theirs}")
    if not differing:
        yield Finding("metadata", Verdict.OK, f"{server.issuer} says the same as the settings")


def of_authorization(url: str, configuration: Configuration, web: Web) -> Finding:
    """One authorization request as people send it, by nobody who is signed in; where it leads is not followed."""
    try:
        answer, _ = web.ask(Request("GET", url, {"accept": "text/html"}))
    except httpx2.HTTPError as error:
        return _not_asked(f"{configuration.authorization_endpoint} does not answer: {_words(error)}")
    leads_to = urlsplit(urljoin(url, answer.headers.get("location", "")))
    told = dict(parse_qsl(leads_to.query))
    if answer.status in _REDIRECTS and "error" in told:
        what = f"people would come back with {told['error']}: {told.get('error_description', 'no more is said')}"
        fix = "Compare GRANTFLOW_SCOPES and the redirect URI with the registration at the platform."
        return Finding("authorization", Verdict.FAIL, what, fix)
    if answer.status in (400, 401, 404):
        what = f"people would see an error page ({answer.status}){_heading(answer)}"
        fix = f"Register {configuration.redirect_uri} at the platform to the letter, or correct GRANTFLOW_REDIRECT_URI "
        return Finding("authorization", Verdict.FAIL, what, f"{fix}or GRANTFLOW_CLIENT_ID.")
    if answer.status in _REDIRECTS and leads_to.netloc == urlsplit(url).netloc:
        return Finding("authorization", Verdict.OK, "client ID and redirect URI are taken, and people can sign in")
    return _not_asked(
        f"the answer ({answer.status}) does not tell whether the redirect URI and the scopes are registered"
    )


_REDIRECTS = (301, 302, 303, 307, 308)


def _not_asked(found: str) -> Finding:
    return Finding("authorization", Verdict.WARN, found, "Compare them with the registration, or try: grantflow login")


def _heading(answer: Response) -> str:
    found = re.search(r"<(h1|title)[^>]*>(.*?)</\1>", answer.body.decode(errors="replace"), re.DOTALL | re.IGNORECASE)
    return f": {' '.join(unescape(re.sub(r'<[^>]+>', '', found[2])).split())[:200]}" if found else ""


def of_client_secrets(configuration: Configuration, web: Web) -> Iterator[Finding]:
    """One for each; while one is replaced, another that the platform does not know any more is no harm."""
    findings = [of_client_secret(configuration, each, web) for each in configuration.all_credentials]
    one_serves = any(finding.verdict is Verdict.OK for finding in findings)
    for number, finding in enumerate(findings):
        name = "client secret" if number == 0 else "other secret"
        if one_serves and finding.verdict is Verdict.FAIL:
            yield Finding(name, Verdict.WARN, finding.found, "Leave it out of the settings: the other one serves.")
        else:
            yield replace(finding, check=name)


def of_client_secret(configuration: Configuration, credentials: ClientCredentials, web: Web) -> Finding:
    """A code that nobody was given is refused as a code by whoever has accepted the client, which is asked first."""
    exchange = CodeExchange(
        credentials,
        Secret("a-code-that-nobody-was-given-by-grantflow-doctor"),
        configuration.redirect_uri,
        Secret("a-verifier-that-belongs-to-no-challenge-at-all"),
    )
    try:
        answer, _ = web.ask(exchange_request(configuration.token_endpoint, exchange))
        read_tokens(answer)
    except httpx2.HTTPError as error:
        return Finding(
            "client secret",
            Verdict.FAIL,
            f"{configuration.token_endpoint} does not answer: {_words(error)}",
            "Correct GRANTFLOW_TOKEN_ENDPOINT, or try again later.",
        )
    except TokenRefusal as refusal:
        return _secret(refusal)
    return Finding(
        "client secret",
        Verdict.FAIL,
        "the platform gave tokens for a code that nobody was given",
        "Do not use this platform: it would give them to anybody.",
    )


def _secret(refusal: TokenRefusal) -> Finding:
    judgement = rules.judge(refusal)
    if judgement is Judgement.FINAL:
        return Finding(
            "client secret", Verdict.OK, "the platform accepts it: it looked at the code that it was asked for"
        )
    if refusal.status == 401 or refusal.error in ("invalid_client", "unauthorized_client"):
        fix = "Take client ID and secret from the developer portal anew; was the secret regenerated?"
        return Finding("client secret", Verdict.FAIL, f"it is refused: {refusal}", fix)
    if judgement is Judgement.TRANSIENT:
        return Finding("client secret", Verdict.WARN, f"not judged: {refusal}", "Try again later.")
    fix = "Compare GRANTFLOW_TOKEN_ENDPOINT and the redirect URI with the registration."
    return Finding("client secret", Verdict.WARN, f"it cannot be told: {refusal}", fix)


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__

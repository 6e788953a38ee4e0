"""The platform: whether it answers and is trusted, its clock, and what it says of itself."""

import ssl
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlsplit

import httpx2

from grantflow.cli.checks.finding import Finding, Verdict
from grantflow.cli.checks.web import Web, words_of
from grantflow.client.configuration import Configuration
from grantflow.client.discovery import why_no_document
from grantflow.protocol.errors import InvalidRequest
from grantflow.protocol.http import Request
from grantflow.protocol.metadata import ServerMetadata, metadata_requests, read_metadata
from grantflow.protocol.token import read_json_object

#: Seconds by which clocks may differ unnoticed, and by which lifetimes are counted wrong enough to hurt.
_CLOCK_MAY_DIFFER, _CLOCK_IS_WRONG = 5, 120
_DAYS_BEFORE_A_CERTIFICATE_ENDS = 14
#: What is missed where the platform has it and it is not set.
_UNSET = {
    "GRANTFLOW_REVOCATION_URL": "nothing is revoked at the platform when a person disconnects",
    "GRANTFLOW_ISSUER": "an answer that another server has mixed in would not be noticed (RFC 9207)",
}


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
        yield Finding("platform", Verdict.FAIL, f"{configuration.api_url} does not answer: {words_of(error)}", fix)
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

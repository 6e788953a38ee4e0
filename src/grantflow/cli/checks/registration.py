"""What is registered at the platform: the redirect URI, the client ID with its scopes, and the client secrets."""

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx2

from grantflow.cli.checks.finding import Finding, Verdict
from grantflow.cli.checks.web import Web, words_of
from grantflow.client import judging
from grantflow.client.configuration import Configuration
from grantflow.client.judging import Verdict as Judgement
from grantflow.protocol.errors import InvalidRequest
from grantflow.protocol.http import Request, Response
from grantflow.protocol.redirect_uri import check_registrable
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import ClientCredentials, CodeExchange, TokenRefusal, exchange_request, read_tokens
from grantflow.web.site import is_loopback

_REDIRECTS = (301, 302, 303, 307, 308)


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
        return _bad_redirect_uri(f"Nothing answers at {redirect_uri}: {words_of(error)}")
    if answer.status == 404 or answer.status >= 500:
        return _bad_redirect_uri(f"{redirect_uri} answers {answer.status}: people would come back to nothing")
    return Finding("redirect URI", Verdict.OK, f"{redirect_uri} answers ({answer.status})")


def _bad_redirect_uri(found: str) -> Finding:
    fix = "Serve it (grantflow serve), or correct GRANTFLOW_REDIRECT_URI; register it at the platform to the letter."
    return Finding("redirect URI", Verdict.FAIL, found, fix)


def of_authorization(url: str, configuration: Configuration, web: Web) -> Finding:
    """One authorization request as people send it, by nobody who is signed in; where it leads is not followed."""
    try:
        answer, _ = web.ask(Request("GET", url, {"accept": "text/html"}))
    except httpx2.HTTPError as error:
        return _not_asked(f"{configuration.authorization_endpoint} does not answer: {words_of(error)}")
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
            f"{configuration.token_endpoint} does not answer: {words_of(error)}",
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
    judgement = judging.judge(refusal)
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

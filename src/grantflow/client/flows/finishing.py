"""Finish: from the answer at the redirect URI to a grant in the vault (RFC 6749 section 4.1.2 to 4.1.4).

Everything is checked before anything is sent; the state is spent just before the code is exchanged, so of two answers
with one state only one gets that far; and nothing is stored before it is known who granted.
"""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime

from grantflow.client import judging, presenting, rules, webex
from grantflow.client.errors import (
    GrantflowError,
    IntegrationRefused,
    ReusedState,
    TokenEndpointError,
    TransientTokenError,
    UnknownPerson,
    VaultUnavailable,
    WrongAccount,
)
from grantflow.client.events import Kind
from grantflow.client.flows.answers import check_answer, open_pending, read_answer
from grantflow.client.flows.credentials import Chosen, clear, in_order, mark_refused
from grantflow.client.flows.ending import GOODBYE, end_at_platform
from grantflow.client.flows.identifying import question
from grantflow.client.flows.parts import Parts, logger
from grantflow.client.flows.recording import tell
from grantflow.client.grant import CompletedGrant, Grant, Person, StoredGrant
from grantflow.client.judging import Verdict
from grantflow.client.observing import Exchanging
from grantflow.client.pending import LIFETIME, Pending
from grantflow.client.steps import Flow, Unanswered, current_time, identify, load, save, send
from grantflow.protocol.http import Request, Response, is_page, retry_after
from grantflow.protocol.scope import read_scopes
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import CodeExchange, TokenRefusal, Tokens, exchange_request, read_tokens


def finish(parts: Parts, answer: str | Mapping[str, str], *, cookies: Mapping[str, str]) -> Flow[CompletedGrant]:
    """`answer` is the URL that was called, its query, or its parameters; `cookies` those of the same request.

    Raises the tree of AuthorizationResponseError, TokenEndpointError, TransientTokenError, IntegrationRefused; each
    knows `owner`, `return_to` and `cookie_name` as soon as the browser has proved that the answer is its own.
    """
    response = read_answer(answer)
    now = yield from current_time()
    pending = open_pending(response, cookies, parts=parts)
    cookie_name = parts.cookies.name(pending.state)
    try:
        code = check_answer(response, pending, configuration=parts.configuration, now=now)
        yield from _spend(parts, pending, now=now)
        stored = yield from _redeem(parts, pending, code)
    except GrantflowError as error:
        error.owner, error.return_to, error.cookie_name = pending.owner, pending.return_to, cookie_name
        raise
    grant = stored.grant
    values = {each.name: getattr(grant, each.name) for each in fields(Grant)}
    return CompletedGrant(**values, return_to=pending.return_to, cookie_name=cookie_name)


def _spend(parts: Parts, pending: Pending, *, now: datetime) -> Flow[None]:
    digest, until = pending.state.digest(), pending.created + LIFETIME
    if not (yield from save(lambda: parts.vault.spend(digest, now=now, until=until))):
        raise ReusedState(
            "This answer of the platform has been used already (the page was loaded twice, or the link was opened "
            "again). Nothing was exchanged; if there is no grant yet, begin again on the landing page."
        )


def _redeem(parts: Parts, pending: Pending, code: Secret) -> Flow[StoredGrant]:
    asked_at = yield from current_time()
    with Exchanging(parts.observers, parts.configuration.client_id):
        tokens = yield from _exchange(parts, pending, code)
    person = yield from _identify(parts, tokens.access_token)
    key = parts.key(person.person_id, pending.owner)
    asked = read_scopes(pending.scopes) if pending.scopes else parts.configuration.scopes
    fresh = rules.granted(parts.grant_id(), key, person=person, tokens=tokens, asked=asked, now=asked_at)
    came = tokens.access_token.fingerprint()
    event = parts.event(Kind.GRANTED, fresh.grant, at=(yield from current_time()), new_token=came)
    try:
        yield from _check_account(parts, pending, person)
        stored = yield from save(lambda: parts.vault.enter(fresh, event=event))
    except Exception:
        yield from _let_go(parts, fresh)
        raise
    parts.live.keep(key, stored, now=(yield from current_time()))
    yield from _tidy(parts, now=asked_at)
    yield from tell(parts, event.of(stored.grant))  # last: whoever watches may disconnect the grant, or close
    return stored


def _let_go(parts: Parts, unkept: StoredGrant) -> Flow[None]:
    """End at the platform what will be kept nowhere, on the way out with an error, which stays the one that is told.

    Not where a grant of the same person lives here: some platforms end everything of theirs with any token.
    """
    grant = unkept.grant
    try:
        if (yield from load(lambda: parts.vault.has_granted(grant.integration, person_id=grant.person_id))):
            reason = "another grant of the same person lives here, and might end with them."
        else:
            revocation = yield from end_at_platform(parts, unkept, deadline=min(GOODBYE, parts.configuration.deadline))
            reason = "" if revocation.at_platform else str(revocation.reason)
    except GrantflowError as error:
        reason = f"whether another grant of the same person lives here cannot be read: {error}"
    if reason:
        logger.warning("tokens that came and were not kept may live on at the platform: %s", reason)


def _tidy(parts: Parts, *, now: datetime) -> Flow[None]:
    """Housekeeping, now that there is something to do anyway; the grant is stored, whatever comes of this."""
    try:
        yield from save(lambda: parts.vault.forget_refused(before=now - rules.REFUSED_TOKENS_KEPT))
        yield from save(lambda: parts.vault.forget_events(before=now - rules.EVENTS_KEPT))
    except VaultUnavailable as error:
        logger.warning("refused tokens and old events are forgotten later: %s", error)


def _exchange(parts: Parts, pending: Pending, code: Secret) -> Flow[Tokens]:
    """Under one client secret after the other, as long as the platform refuses the client: that spends no code."""
    configuration = parts.configuration
    left = yield from in_order(parts)
    while True:
        chosen = left.pop(0)
        exchange = CodeExchange(chosen.credentials, code, configuration.redirect_uri, pending.verifier)
        response = yield from _answer_to(exchange_request(configuration.token_endpoint, exchange), parts=parts)
        try:
            tokens = read_tokens(response)
        except TokenRefusal as refusal:
            if refusal.error == "invalid_client":
                # Nothing less clear: some servers refuse a mistaken code alike, and whoever brings one must not be
                # able to make all refreshes wait.
                yield from mark_refused(parts, chosen, refusal)
            if judging.judge(refusal) is not Verdict.INTEGRATION or not left:
                raise _exchange_error(refusal) from refusal
        else:
            yield from _note_success(parts, chosen)
            return tokens


def _note_success(parts: Parts, chosen: Chosen) -> Flow[None]:
    """What was held against the credentials is over; with the tokens in hand, this is not worth an error."""
    try:
        yield from clear(parts, chosen)
    except VaultUnavailable as error:
        logger.warning("that the credentials have served is noted later: %s", error)


def _answer_to(request: Request, *, parts: Parts) -> Flow[Response]:
    try:
        return (yield from send(request, deadline=parts.configuration.deadline))
    except Unanswered as silence:
        raise _unreachable(silence) from silence


def _unreachable(silence: Unanswered) -> TransientTokenError:
    return TransientTokenError(
        f"The platform did not answer: {silence}. Nothing was stored; begin again on the landing page.",
        retry_after=1.0,
    )


def _exchange_error(refusal: TokenRefusal) -> TokenEndpointError:
    verdict = judging.judge(refusal)
    if verdict is Verdict.TRANSIENT:
        return TransientTokenError(
            f"The code could not be exchanged just now: {refusal}. Begin again on the landing page.",
            retry_after=judging.back_off(1, retry_after=refusal.retry_after),
            status=refusal.status,
        )
    if verdict is Verdict.INTEGRATION:
        if refusal.error != "invalid_client":  # of that, the event has told
            logger.error("the integration is refused: %s", refusal)
        return IntegrationRefused(
            f"The platform refuses the integration itself: {refusal}. Check client_id, client_secret (was it "
            "regenerated?) and the token endpoint.",
            status=refusal.status,
        )
    return TokenEndpointError(
        f"The platform did not accept the code: {refusal}. A code serves once, for a few minutes; begin again on the "
        "landing page.",
        status=refusal.status,
    )


def _identify(parts: Parts, access_token: Secret) -> Flow[Person]:
    if parts.asks_for_person:
        person = presenting.presentable((yield from _ask_host(access_token)))
        whose, fix = "identify told", "check what it takes for the person's id"
    else:
        person, whose, fix = yield from _ask_platform(parts, access_token)
    if person is None:
        raise UnknownPerson(
            f"Access was granted, but {whose} no person, so it could not be stored. Begin again on the landing page; "
            f"if it comes back, {fix}."
        )
    return person


def _ask_platform(parts: Parts, access_token: Secret) -> Flow[tuple[Person | None, str, str]]:
    """Who granted; whose word it is, and what to do where it names nobody."""
    asked = question(parts.configuration, access_token)
    response = yield from _answer_to(asked.request, parts=parts)
    if webex.is_away(response):
        raise _away(response, called=asked.called)
    named = asked.read(response)
    person = presenting.presentable(named) if named else None
    return person, f"{asked.called} answered {response.status} and told", asked.fix


def _away(response: Response, *, called: str) -> TransientTokenError:
    told = "a web page" if is_page(response) else str(response.status)
    return TransientTokenError(
        f"Access was granted, but {called} answered with {told} when it was asked by whom. Nothing was stored; begin "
        "again on the landing page.",
        retry_after=judging.back_off(1, retry_after=retry_after(response)),
        status=response.status,
    )


def _ask_host(access_token: Secret) -> Flow[Person]:
    try:
        return (yield from identify(access_token))
    except Unanswered as silence:
        raise _unreachable(silence) from silence


def _check_account(parts: Parts, pending: Pending, person: Person) -> Flow[None]:
    """Where a grant is to be renewed, only its own person can; nothing of anybody's is replaced otherwise."""
    if pending.grant_id is None:
        return
    grant_id = pending.grant_id
    expected = yield from load(lambda: parts.vault.grant_by_id(grant_id))
    if expected is not None and expected.person_id != person.person_id:
        came = person.display_name or person.email or person.person_id
        raise WrongAccount(
            f"The access of {expected.called} was to be renewed, but {came} signed in at the platform. Nothing was "
            f"changed. Sign out there, or choose the account of {expected.called}, and try again.",
            expected=expected,
            came=came,
        )

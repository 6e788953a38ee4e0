"""The authorization prompt: who asks, for what, for how long, and where the answer goes (W24, W25)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from grantflow.protocol.scope import in_words
from grantflow.protocol.secret import Secret
from grantflow.resource_owner.closed import closed, unknown
from grantflow.resource_owner.paths import CONNECTED_APPS, CONSENT, SIGN_IN
from grantflow.resource_owner.ports import Questions
from grantflow.resource_owner.records import Decision, Question, Session
from grantflow.resource_owner.settings import ResourceOwnerSettings
from grantflow.resource_owner.standing import Standing, standing
from grantflow.resource_owner.visits import Visits, binding
from grantflow.resource_owner.way_out import destination, form_targets
from grantflow.resource_owner.words import duration
from grantflow.web.addresses import with_query
from grantflow.web.csrf import FormGuard
from grantflow.web.errors import PageError
from grantflow.web.forms import read_form
from grantflow.web.pages import Pages
from grantflow.web.site import Link

_DECISIONS = {"accept": Decision.ACCEPTED, "decline": Decision.DECLINED}


@dataclass(frozen=True, slots=True)
class ConsentPage:
    pages: Pages
    guard: FormGuard
    visits: Visits
    questions: Questions
    settings: ResourceOwnerSettings
    clock: Callable[[], datetime]

    async def ask(self, request: Request) -> Response:
        now = self.clock()
        request_id = request.query_params.get("request", "")
        session = await self.visits.session(request, now=now)
        if session is None:
            return self._next_step(request_id)
        question = await self._question(request_id, session)
        stands = standing(question, session.person_id, now=now)
        if stands is Standing.DECIDED:
            return self._next_step(request_id)
        if stands is not Standing.OPEN:
            raise closed(question, stands)
        return self._page(request, question, session=session, request_id=request_id)

    async def decided(self, request: Request) -> Response:
        now = self.clock()
        form = await read_form(request)
        request_id = request.query_params.get("request", "")
        session = await self.visits.session(request, now=now)
        bound_to = binding(session, request_id) if session else None
        self.guard.check(request, form, binding=bound_to, again=with_query(CONSENT, request=request_id))
        assert session is not None  # the guard lets nothing pass that is bound to nobody
        decision = _DECISIONS.get(form.get("decision", ""))
        if decision is None:
            raise _undecided(request_id)
        remember = decision is Decision.ACCEPTED and bool(form.get("remember"))
        recorded = await self.questions.decide(
            Secret(request_id).digest(), person_id=session.person_id, decision=decision, remember=remember, now=now
        )
        if not recorded:
            await self._explain(request_id, session, now=now)
        return self._next_step(request_id)

    async def _explain(self, request_id: str, session: Session, *, now: datetime) -> None:
        """A second click of the same person goes the first one's way; everything else is told."""
        question = await self._question(request_id, session)
        stands = standing(question, session.person_id, now=now)
        if stands is not Standing.DECIDED:
            raise closed(question, stands)

    async def _question(self, request_id: str, session: Session) -> Question:
        question = await self.questions.find(Secret(request_id).digest(), person_id=session.person_id)
        if question is None:
            raise unknown()
        return question

    def _next_step(self, request_id: str) -> Response:
        """The authorization endpoint decides what comes next, here and everywhere."""
        return self.pages.redirect(with_query(self.settings.authorization_endpoint, request=request_id))

    def _page(self, request: Request, question: Question, *, session: Session, request_id: str) -> Response:
        longest = max(self.settings.access_token_lifetime, self.settings.refresh_token_lifetime)
        return self.pages.page(
            request,
            "consent.html",
            form_action=form_targets(question.redirect_uri),
            account=self.visits.account(session),
            question=question,
            new=in_words(question.new),
            old=in_words(question.old),
            destination=destination(question.redirect_uri),
            unused=duration(longest),
            action=with_query(CONSENT, request=request_id),
            connected_apps=CONNECTED_APPS,
            switch=with_query(SIGN_IN, request=request_id, switch="yes"),
            form_token=self.guard.token(binding(session, request_id)),
        )


def _undecided(request_id: str) -> PageError:
    return PageError(
        400,
        "Accept or decline?",
        why="The form came without either answer. Nothing was granted.",
        next_step="Open the question again and use one of its two buttons.",
        actions=(Link("Open the question again", with_query(CONSENT, request=request_id), "primary"),),
        kind="warning",
        reason="the consent form names no decision",
    )

"""Sign-in and sign-out: the one place where a password is typed (W01, W24)."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from grantflow.protocol.secret import Secret
from grantflow.resource_owner.closed import closed, unknown
from grantflow.resource_owner.passwords import PasswordPool, PoolBusy
from grantflow.resource_owner.paths import SIGN_IN, WELCOME
from grantflow.resource_owner.ports import People, Questions
from grantflow.resource_owner.records import Question, Session
from grantflow.resource_owner.settings import ResourceOwnerSettings
from grantflow.resource_owner.standing import Standing, standing
from grantflow.resource_owner.visits import Visits, binding
from grantflow.resource_owner.way_out import form_targets
from grantflow.resource_owner.words import duration
from grantflow.web.addresses import with_query
from grantflow.web.csrf import FormGuard
from grantflow.web.errors import PageError
from grantflow.web.forms import read_form
from grantflow.web.pages import Pages
from grantflow.web.throttle import Throttle, sender

EVERYBODY = "*"
_BELOW_IT = re.compile(r"(/[A-Za-z0-9_-]+)*(\?[A-Za-z0-9_=&.~%-]{0,2000})?")

WRONG = "The email address or the password is not right. Check both and try again."


@dataclass(frozen=True, slots=True)
class SignIn:
    """`throttle` slows guesses at one account, `flood` one address that tries many accounts."""

    pages: Pages
    guard: FormGuard
    visits: Visits
    people: People
    questions: Questions
    passwords: PasswordPool
    throttle: Throttle
    flood: Throttle
    settings: ResourceOwnerSettings
    clock: Callable[[], datetime]

    async def form(self, request: Request) -> Response:
        now = self.clock()
        question = await self._question(request, now=now)
        session = await self.visits.session(request, now=now)
        if session is not None and question is None and "switch" not in request.query_params:
            return self.pages.redirect(self._way_on(request))
        return self._page(request, question, session=session, email=_first_email(request, question, session))

    async def submitted(self, request: Request) -> Response:
        now = self.clock()
        form = await read_form(request)
        self.guard.check(request, form, binding=self.guard.visitor(request), again=_address(request))
        question = await self._question(request, now=now)
        email, password = form.get("email", "").strip(), Secret(form.get("password", ""))
        if errors := _missing(email, password):
            return self._page(request, question, 400, email=email, errors=errors)
        try:
            async with self.passwords.turn():
                return await self._attempt(request, question, email=email, password=password, now=self.clock())
        except PoolBusy:
            raise _busy() from None

    async def sign_out(self, request: Request) -> Response:
        form = await read_form(request)
        answer = self.pages.redirect(with_query(WELCOME, **{"signed-out": "yes"}))
        now = self.clock()
        session = await self.visits.session(request, now=now)
        if session is not None:
            self.guard.check(request, form, binding=binding(session))
            await self.visits.end(session, answer, now=now)
        return answer

    async def _attempt(
        self, request: Request, question: Question | None, *, email: str, password: Secret, now: datetime
    ) -> Response:
        """Whatever is wrong, the words and the time are the same: nobody learns here who has an account."""
        address = sender(request)
        seconds = max(
            await self.throttle.wait(email, address=address, now=now),
            await self.flood.wait(EVERYBODY, address=address, now=now),
        )
        if seconds:
            return self._too_many(request, question, email=email, seconds=seconds)
        known = await self.people.credentials(email)
        if not await self.passwords.is_right(password, known.password_hash if known else None) or known is None:
            await self.throttle.failed(email, address=address, now=now)
            await self.flood.failed(EVERYBODY, address=address, now=now)
            return self._page(request, question, 400, email=email, errors={"password": WRONG})
        await self.throttle.succeeded(email, address=address)
        answer = self.pages.redirect(self._way_on(request))
        await self.visits.begin(request, answer, person_id=known.person_id, now=now)
        return answer

    async def _question(self, request: Request, *, now: datetime) -> Question | None:
        """What the person signs in for; None where they came by themselves.

        Raises:
            PageError: the question is unknown, expired or answered.
        """
        request_id = request.query_params.get("request")
        if not request_id:
            return None
        question = await self.questions.find(Secret(request_id).digest(), person_id=None)
        if question is None:
            raise unknown()
        stands = standing(question, None, now=now)
        if stands in (Standing.ANSWERED, Standing.EXPIRED):
            raise closed(question, stands)
        return question

    def _way_on(self, request: Request) -> str:
        """Back to the authorization endpoint with the question, or to a page of our own, never elsewhere (S99)."""
        if request_id := request.query_params.get("request"):
            return with_query(self.settings.authorization_endpoint, request=request_id)
        wanted = request.query_params.get("next", "")
        own = any(
            wanted.startswith(page) and _BELOW_IT.fullmatch(wanted, len(page)) for page in self.settings.own_pages
        )
        return wanted if own else self.settings.own_pages[0]

    def _page(
        self,
        request: Request,
        question: Question | None,
        status: int = 200,
        *,
        email: str,
        session: Session | None = None,
        errors: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        visitor = self.guard.visitor(request)
        answer = self.pages.page(
            request,
            "sign_in.html",
            status,
            form_action=form_targets(question.redirect_uri) if question else (),
            headers=headers,
            question=question,
            session=session,
            fresh=session is not None and question is not None and session.authenticated_at >= question.created_at,
            way_on=self._way_on(request),
            action=_address(request),
            form_token=self.guard.token(visitor),
            email=email,
            errors=errors or {},
            program=self.settings.program,
        )
        return self.guard.remember(answer, visitor)

    def _too_many(self, request: Request, question: Question | None, *, email: str, seconds: int) -> Response:
        words = (
            f"There were too many wrong attempts. Wait {_rounded(seconds)}, then try again. "
            "This one was not looked at, right or wrong."
        )
        headers = {"Retry-After": str(seconds)}
        return self._page(request, question, 429, email=email, errors={"": words}, headers=headers)


def _address(request: Request) -> str:
    """This sign-in's own path, with what it was opened for and nothing else."""
    asked = request.query_params
    return with_query(
        SIGN_IN,
        request=asked.get("request"),
        next=asked.get("next"),
        switch="yes" if "switch" in asked else None,
    )


def _first_email(request: Request, question: Question | None, session: Session | None) -> str:
    """The one that the integration hinted at, or that is signed in already and must prove it again."""
    if "switch" in request.query_params:
        return ""
    hint = question.login_hint if question else None
    return hint or (session.email if session else "")


def _rounded(seconds: int) -> str:
    return duration(seconds if seconds < 120 else 60 * math.ceil(seconds / 60))


def _missing(email: str, password: Secret) -> dict[str, str]:
    errors = {} if email else {"email": "Enter your email address, like name@example.com."}
    return errors if password else {**errors, "password": "Enter your password."}


def _busy() -> PageError:
    return PageError(
        503,
        "Many people are signing in right now",
        why="Passwords are checked a few at a time, and the line is full. Yours was not looked at.",
        next_step="Go back and try again in a few seconds.",
        kind="warning",
        reason="the line before the password pool is full",
        headers={"Retry-After": "5"},
    )

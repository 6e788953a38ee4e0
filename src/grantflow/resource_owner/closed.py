"""The pages for a question that cannot be answered (any more), each with a way on."""

from grantflow.resource_owner.paths import CONNECTED_APPS
from grantflow.resource_owner.records import Question
from grantflow.resource_owner.standing import Standing
from grantflow.resource_owner.words import duration
from grantflow.web.addresses import web_address
from grantflow.web.errors import PageError
from grantflow.web.site import Link

_CONNECTED = Link("Your connected apps", CONNECTED_APPS)


def unknown() -> PageError:
    """No such question: mistyped, or so old that it is no longer kept."""
    return PageError(
        404,
        "We do not know this request",
        why="Its address is incomplete or too old. Nothing was granted.",
        next_step="Go back to the app that you came from and begin again there.",
        actions=(_CONNECTED,),
        kind="warning",
        reason="no authorization request has this id",
    )


def closed(question: Question, now_stands: Standing) -> PageError:
    """The page for each standing in which a question takes no answer."""
    app = question.app
    title, status, why, next_step = {
        Standing.ANSWERED: (
            "You have answered this already",
            409,
            f"{app} was given your answer. An answer counts once, so nothing happened now.",
            f"Go on in {app}. What you granted you can see, and revoke, under Connected apps.",
        ),
        Standing.SOMEBODY_ELSES: (
            "Another account answered this",
            403,
            f"Somebody else, signed in here with another account, has answered what {app} asked. "
            "Nothing was granted in your name.",
            f"Begin again in {app}; then it asks you.",
        ),
        Standing.EXPIRED: (
            "This request has expired",
            410,
            f"What {app} asked was open for {_open_for(question)}, to keep strangers from answering it later. "
            "Nothing was granted.",
            f"Begin again in {app}.",
        ),
    }[now_stands]
    return PageError(
        status,
        title,
        why=why,
        next_step=next_step,
        actions=_ways_on(question),
        kind="info" if now_stands is Standing.ANSWERED else "warning",
        reason=f"the authorization request is {now_stands.name.lower()}",
    )


def _ways_on(question: Question) -> tuple[Link, ...]:
    site = web_address(question.site_url)
    back = (Link(f"Go to {question.app}", site, "primary"),) if site else ()
    return (*back, _CONNECTED)


def _open_for(question: Question) -> str:
    return duration(round((question.expires_at - question.created_at).total_seconds()))

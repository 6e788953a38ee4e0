"""The banners of the start page: what has just happened, or what does not work just now."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from grantflow.client.errors import IntegrationRefused, RefusalHeldBack, TransientTokenError
from grantflow.client.grant import Grant
from grantflow.client.pages.about import About
from grantflow.client.pages.webex_calls import CallFailed
from grantflow.web.pages import MessageKind

#: What can go wrong with a call while the grant itself is well.
Trouble = TransientTokenError | IntegrationRefused | CallFailed


@dataclass(frozen=True, slots=True)
class Notice:
    """`status` is that of an answer to a form that the notice speaks of. `id` comes with a copy button."""

    kind: MessageKind
    title: str
    text: str
    status: int = 200
    retry_after: int | None = None
    id: str = ""
    id_label: str = ""


SENT_TWICE = Notice(
    "info",
    "This message was sent already",
    "Its form came a second time, by a double click or the back button, and nothing was posted now. To post the same "
    "words once more, press the button again.",
    409,
)


def told(note: Mapping[str, str], *, about: About) -> Notice:
    """The notice that another page has left in the address."""
    if note["told"] == "posted":
        return Notice(
            "success",
            f"Posted to “{note['space']}”",
            f"It stands there in your name: “{note['text']}”",
            id=note.get("id", ""),
            id_label="Message",
        )
    return _disconnected(note, about=about)


def _disconnected(note: Mapping[str, str], *, about: About) -> Notice:
    if note.get("at_platform"):
        return Notice(
            "success",
            "Disconnected",
            f"{about.platform} has confirmed that {about.name} can no longer act in your name, and the tokens that "
            "were kept here are deleted.",
        )
    if note.get("over") == "refused":
        return Notice(
            "success",
            "Disconnected",
            f"{about.platform} had refused this grant before, and no token of it is kept here any more. If "
            f"{about.name} is still among your connected apps there, revoke it.",
        )
    if note.get("over") == "forgotten":
        return Notice("success", "Disconnected", "It was disconnected a moment before, so nothing was left to do.")
    if note.get("unasked"):
        return Notice(
            "warning",
            "Disconnected here, and here only",
            f"The tokens that were kept here are deleted. {about.name} has no way to tell {about.platform}, so the "
            f"grant may still stand there. If {about.name} is still among your connected apps there, revoke it to end "
            "the grant for good.",
        )
    reason = note.get("reason", "It could not be told.")
    return Notice(
        "warning",
        "Disconnected here, and here only",
        f"The tokens that were kept here are deleted, but {about.platform} has not confirmed the end of the grant: "
        f"{reason} If {about.name} is still among your connected apps there, revoke it to end it for good.",
    )


def trouble(error: Trouble, *, about: About, reference: str) -> Notice:
    platform = about.platform
    if isinstance(error, RefusalHeldBack):
        return held_back(about, id=reference, id_label="Reference")
    if isinstance(error, IntegrationRefused):
        text = f"{platform} does not accept {about.name} itself. Your grant is unharmed; tell {about.operator}."
        return Notice("danger", f"{about.name} is not set up correctly", text, 502, id=reference, id_label="Reference")
    if isinstance(error, TransientTokenError):
        return unreachable(about, seconds=max(1, round(error.retry_after)))
    match error.status:
        case None | 429 | 500 | 502 | 503 | 504:
            return unreachable(about, seconds=5)
        case 403:
            text = f"Your grant does not reach that far, or {platform} does not let you. Granting anew may help."
            return Notice("warning", f"{platform} did not allow this", text, 403, id=reference, id_label="Reference")
    text = "Your grant is unharmed. Try again; if it goes on, tell whoever runs this the reference."
    return Notice("warning", f"{platform} did not do it", text, 502, id=reference, id_label="Reference")


def delayed(grant: Grant, *, about: About, now: datetime) -> Notice:
    """For a grant whose renewal waits until the platform is well again."""
    if grant.is_held_back:
        return held_back(about, id=str(grant.incident), id_label="Incident")
    left = (grant.retry_at - now).total_seconds() if grant.retry_at else 0
    return unreachable(about, seconds=max(1, round(left)))


def held_back(about: About, *, id: str, id_label: str) -> Notice:  # noqa: A002  as it is called in Notice
    text = (
        f"{about.platform} refuses the access of many people at once, so {about.name} does not take it that you wanted "
        f"this. Your grant is kept until {about.operator} has looked; tell them, if it lasts."
    )
    title = f"{about.platform} does not accept your grant just now"
    return Notice("warning", title, text, 503, 300, id=id, id_label=id_label)


def unreachable(about: About, *, seconds: int) -> Notice:
    text = f"Your grant is unharmed. Try again in {seconds} second{'s' if seconds > 1 else ''}."
    return Notice("warning", f"{about.platform} cannot be reached right now", text, 503, seconds)

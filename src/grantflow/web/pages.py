"""The renderer: one Jinja environment per app, and answers that carry every security header."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from grantflow.web.headers import ReferrerPolicy, page_headers
from grantflow.web.icons import icon_path
from grantflow.web.site import Link, Site
from grantflow.web.static import Static

TEMPLATES = Path(__file__).parent / "templates"
TILE_TONES = 6
MessageKind = Literal["info", "success", "warning", "danger"]


@dataclass(frozen=True, slots=True)
class Message:
    """A page that says one thing: what happened, why, and what to do next.

    `details` are pairs of label and text, shown to the letter: what somebody sent, say. They are never links.
    `reference` is the id under which the log holds the rest, so that a person can quote it.
    """

    title: str
    why: str = ""
    next_step: str = ""
    kind: MessageKind = "info"
    actions: tuple[Link, ...] = ()
    reference: str = ""
    details: tuple[tuple[str, str], ...] = ()


class Pages:
    """Renders the pages of one app.

    Templates are looked up in `templates` first, then among those all pages share.
    """

    def __init__(self, site: Site, *, templates: Sequence[Path] = ()) -> None:
        self.site = site
        self.static = Static()
        self._environment = _environment(site, static=self.static, folders=[*templates, TEMPLATES])

    def page(
        self,
        request: Request,
        template: str,
        status: int = 200,
        *,
        form_action: Iterable[str] = (),
        referrer: ReferrerPolicy = "same-origin",
        headers: Mapping[str, str] | None = None,
        **context: Any,
    ) -> Response:
        """One HTML page, never cached. `form_action` and `referrer` are explained at `headers.page_headers`."""
        html = self._environment.get_template(template).render(here=request.url.path, **context)
        own = page_headers(self.site, form_action=form_action, referrer=referrer)
        return HTMLResponse(html, status_code=status, headers={**own, **(headers or {})})

    def message(
        self,
        request: Request,
        message: Message,
        status: int = 200,
        *,
        referrer: ReferrerPolicy = "same-origin",
        headers: Mapping[str, str] | None = None,
        **context: Any,
    ) -> Response:
        """The page that says one thing (`message.html`)."""
        return self.page(
            request, "message.html", status, referrer=referrer, headers=headers, message=message, **context
        )

    def redirect(self, path: str) -> Response:
        """After a form: 303, so that the browser asks with GET and never sends a password on (RFC 9700 section 4.12).

        `path` is one of this app's own paths, or an address below one of its siblings; one elsewhere must be written
        by the one who checked it.
        """
        if not self.site.leads_to_us(path):
            raise ValueError("Pages redirect to paths of their own app and of its siblings only.")
        return RedirectResponse(self.site.url(path), status_code=303, headers=page_headers(self.site))


def _environment(site: Site, *, static: Static, folders: Sequence[Path]) -> Environment:
    def icon_src(icon: str | None) -> str | None:
        path = icon_path(icon, static_path=static.path)
        return site.url(path) if path else None

    environment = Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals.update(
        site=site,
        url=site.url,
        static=lambda name: site.url(static.path(name)),
        icon_src=icon_src,
        account=None,
        errors={},
    )
    environment.filters.update(
        tone=tone, filename=filename, initials=initials, shorten=shorten, utc_text=utc_text, utc_machine=utc_machine
    )
    environment.globals["ui"] = environment.get_template("components.html").module
    return environment


def tone(name: str) -> int:
    """The colour of a letter tile: the same for the same name on every machine."""
    return crc32(name.encode()) % TILE_TONES


def initials(name: str, count: int = 2) -> str:
    """Up to `count` first letters: `Ada Lovelace` becomes `AL`; a name without letters or digits becomes `?`."""
    firsts = [letter for word in name.split() for letter in word[:1] if letter.isalnum()]
    return "".join(firsts[:count]).upper() or "?"


def filename(name: str) -> str:
    """A name as a file may be called: `Ada's Helper` becomes `ada-s-helper`."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name.lower())
    return "-".join(filter(None, plain.split("-")))[:40] or "integration"


def shorten(text: str, length: int = 16) -> str:
    """An id with its middle left out, since both of its ends tell it from others."""
    if len(text) <= length:
        return text
    head = (length - 1) // 2
    return f"{text[:head]}…{text[len(text) - (length - 1 - head) :]}"


def utc_text(moment: datetime) -> str:
    moment = moment.astimezone(UTC)
    return f"{moment.day} {moment:%b %Y, %H:%M} UTC"


def utc_machine(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

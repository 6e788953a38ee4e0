"""A person without eyes: opens pages, follows redirects, fills in forms as a browser without JavaScript does."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Self
from urllib.parse import urljoin, urlsplit

import httpx2


@dataclass(slots=True)
class Form:
    action: str
    method: str = "get"
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Each button's words, and the field that pressing it sends."""


@dataclass(slots=True)
class Page:
    url: str
    status: int
    text: str
    forms: list[Form]
    links: list[tuple[str, str]]

    @property
    def words(self) -> str:
        return " ".join(_Words(self.text).found.split())


class Person:
    """One browser of one person. `stops` are addresses that no server answers: a redirect there is the end, and its
    address that of an empty page."""

    def __init__(self, account: dict[str, str] | None = None, *, stops: tuple[str, ...] = ()) -> None:
        self.account = account or {}
        self.stops = stops
        self.page = Page("", 0, "", [], [])
        self._http = httpx2.Client(trust_env=False, headers={"accept": "text/html"}, timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def open(self, url: str) -> Page:
        return self._go("GET", urljoin(self.page.url, url), {})

    def press(self, words: str, **filled: str) -> Page:
        """Press the button or follow the link with these words; `filled` are fields by name."""
        for form in self.page.forms:
            for label, sent in form.buttons:
                if label == words:
                    return self._submit(form, sent | filled)
        for label, href in self.page.links:
            if label == words:
                return self.open(href)
        raise AssertionError(f"no button or link says {words!r} on {self.page.url}: {self.page.words}")

    def sign_in(self) -> Page:
        """On the sign-in page, with the person's own email and password."""
        return self.press("Sign in", email=self.account["email"], password=self.account["password"])

    def grant(self, url: str) -> str:
        """From an authorization URL through sign-in and consent; the address that the answer went to."""
        return self._decide(url, "Accept")

    def decline(self, url: str) -> str:
        return self._decide(url, "Decline")

    def _decide(self, url: str, decision: str) -> str:
        self.open(url)
        if any("password" in form.fields for form in self.page.forms):
            self.sign_in()
        if any(decision == words for form in self.page.forms for words, _ in form.buttons):
            self.press(decision)
        return self.page.url

    def _submit(self, form: Form, changed: dict[str, str]) -> Page:
        fields = form.fields | changed
        method = form.method.upper()
        return self._go(method, urljoin(self.page.url, form.action or self.page.url), fields)

    def _go(self, method: str, url: str, fields: dict[str, str]) -> Page:
        sender = self.page.url
        for _ in range(20):
            if self.stops and url.startswith(self.stops):
                self.page = Page(url, 0, "", [], [])
                return self.page
            origin = {"origin": _origin(sender)} if method == "POST" and sender else {}
            response = self._http.request(method, url, data=fields if method == "POST" else None, headers=origin)
            if not response.has_redirect_location:
                self.page = _read(str(response.url), response.status_code, response.text)
                return self.page
            url, method, fields = urljoin(url, response.headers["location"]), "GET", {}
        raise AssertionError(f"twenty redirects and no page: {url}")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _read(url: str, status: int, text: str) -> Page:
    reader = _Reader()
    reader.feed(text)
    return Page(url, status, text, reader.forms, reader.links)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[tuple[str, str]] = []
        self._form: Form | None = None
        self._label: list[str] | None = None
        self._sent: dict[str, str] = {}
        self._href = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(of.get("action", ""), of.get("method", "get").lower())
            self.forms.append(self._form)
        elif tag == "input" and self._form and "name" in of:
            if of.get("type") not in {"checkbox", "radio"} or "checked" in of:
                self._form.fields[of["name"]] = of.get("value", "on" if of.get("type") == "checkbox" else "")
        elif tag in {"textarea", "select"} and self._form and "name" in of:
            self._form.fields[of["name"]] = ""
            self._select = of["name"] if tag == "select" else ""
        elif tag == "option" and self._form and ("selected" in of or not self._form.fields.get(self._select, "")):
            self._form.fields[self._select] = of.get("value", "")
        elif tag == "button":
            self._label, self._sent = [], {of["name"]: of.get("value", "")} if "name" in of else {}
        elif tag == "a":
            self._label, self._href = [], of.get("href", "")

    def handle_endtag(self, tag: str) -> None:
        words = " ".join("".join(self._label or []).split())
        if tag == "form":
            self._form = None
        elif tag == "button":
            if self._form:
                self._form.buttons.append((words, self._sent))
            self._label = None
        elif tag == "a":
            self.links.append((words, self._href))
            self._label = None

    def handle_data(self, data: str) -> None:
        if self._label is not None:
            self._label.append(data)


class _Words(HTMLParser):
    """The text that a page shows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found = ""
        self.feed(text)

    def handle_data(self, data: str) -> None:
        self.found += data

"""What an integration must be like to be registered here, and the secrets it is given.

The rules are pure; storage keeps what they answer, and says whether a name is taken.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlsplit

from grantflow.developer_portal.records import Integration, NewSecret
from grantflow.protocol.errors import InvalidRequest, InvalidScope, printable
from grantflow.protocol.minting import Mint
from grantflow.protocol.redirect_uri import LENGTH_LIMIT, LOOPBACK_ADDRESSES, check_registrable
from grantflow.protocol.registration import ClientType, Profile, Registration
from grantflow.protocol.scope import KMS, Scopes, read_scopes
from grantflow.protocol.secret import Secret
from grantflow.web.icons import DIGEST, OWN_ICONS

NAME_LIMIT = 120
DESCRIPTION_LIMIT = 1_000
EMAIL_LIMIT = 254
REDIRECT_URI_LIMIT = 50
SCOPES_LIMIT = 200
SCOPE_LENGTH_LIMIT = 100
#: Integrations, and bots, that one person may have registered; administrators are not bound.
REGISTERED_LIMIT = 1_000
_SECRET_BYTES = 32
_SCOPE = re.compile(r"[A-Za-z][A-Za-z-]*:[A-Za-z_]+")
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+")
#: Controls (C0 but the newline, DEL, C1), other line ends, embedded and overridden directions, halves of characters.
_UNFIT = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
#: What an address holds that needs no look at how browsers would mend it.
_PLAIN = re.compile(r"[!-~]+")

NO_SUCH_ICON = "There is no such icon; choose one of those shown, or upload one."
NAME_TAKEN = "Another integration has this name already; choose a name of its own."


class InvalidRegistration(Exception):
    """``problems``: field name to what is wrong and what to write instead, in the order of the form."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__(" ".join(problems.values()))
        self.problems = dict(problems)


@dataclass(frozen=True, slots=True)
class Application:
    """What a developer asks to register: form fields as typed, redirect URIs already split.

    ``icon`` is the name of one of the platform's own, or the digest of one that was uploaded and read.
    """

    name: str
    redirect_uris: tuple[str, ...]
    scopes: str
    profile: Profile = Profile.WEBEX
    client_type: ClientType = ClientType.CONFIDENTIAL
    description: str = ""
    contact_email: str = ""
    owner_id: str | None = None
    site_url: str | None = None
    icon: str | None = None


@dataclass(frozen=True, slots=True)
class Registered:
    """``secret`` is shown this one time and not kept; ``warnings`` are for the developer to read."""

    integration: Integration
    secret: Secret | None
    kept_secret: NewSecret | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Amended:
    integration: Integration
    warnings: tuple[str, ...]


def register(application: Application, *, now: datetime, mint: Mint, sandbox: bool) -> Registered:
    """Give an integration its client ID (``C`` and 64 hex digits) and, unless it is public, its client secret (64).

    Outside a ``sandbox`` plain http is for loopback addresses alone.

    Raises:
        InvalidRegistration: all that is wrong, field by field.
    """
    integration, warnings = _checked(application, "C" + mint(32).hex(), now=now, sandbox=sandbox)
    if application.client_type is ClientType.PUBLIC:
        return Registered(integration, None, None, warnings)
    secret, kept = new_secret(now=now, mint=mint)
    return Registered(integration, secret, kept, warnings)


def amend(known: Integration, application: Application, *, sandbox: bool) -> Amended:
    """The integration as its owner wants it from now on.

    Its client ID, owner and client type stay: with the type its secrets would come or go.

    Raises:
        InvalidRegistration: all that is wrong, field by field.
    """
    application = replace(application, client_type=known.registration.client_type, owner_id=known.owner_id)
    client_id = known.registration.client_id
    integration, warnings = _checked(application, client_id, now=known.created_at, sandbox=sandbox)
    return Amended(replace(integration, version=known.version), warnings)


def _checked(
    application: Application, client_id: str, *, now: datetime, sandbox: bool
) -> tuple[Integration, tuple[str, ...]]:
    strict = application.profile is Profile.STRICT or application.client_type is ClientType.PUBLIC
    problems: dict[str, str] = {}
    warnings: list[str] = []
    name = _name(application.name, problems)
    _check_texts(application, sandbox, problems)
    _check_redirect_uris(application.redirect_uris, strict, sandbox, problems=problems, warnings=warnings)
    scopes = _scopes(application.scopes, problems)
    if problems:
        raise InvalidRegistration(problems)
    registration = Registration(
        client_id=client_id,
        name=name,
        redirect_uris=application.redirect_uris,
        scopes=scopes,
        profile=Profile.STRICT if strict else Profile.WEBEX,
        client_type=application.client_type,
    )
    integration = Integration(
        registration,
        created_at=now,
        description=lines(application.description),
        contact_email=application.contact_email.strip(),
        owner_id=application.owner_id,
        site_url=(application.site_url or "").strip() or None,
        icon=application.icon,
    )
    return integration, tuple(warnings)


def new_secret(*, now: datetime, mint: Mint) -> tuple[Secret, NewSecret]:
    """A client secret of 256 bits as 64 hex digits, to be shown once, and what is kept of it."""
    secret = Secret(mint(_SECRET_BYTES).hex())
    return secret, NewSecret(secret.digest(), last_four=secret.reveal()[-4:], created_at=now)


def read_name(text: str) -> str:
    """As it is kept and compared: letters that differ in width or ligature alone look the same to people (NFKC)."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def _name(name: str, problems: dict[str, str]) -> str:
    plain = read_name(name)
    if not plain:
        problems["name"] = "The integration needs a name; people see it when they are asked for consent."
    elif len(plain) > NAME_LIMIT or not plain.isprintable():
        problems["name"] = f"The name must have at most {NAME_LIMIT} characters, all of them printable."
    return plain


def _check_texts(application: Application, sandbox: bool, problems: dict[str, str]) -> None:
    email = application.contact_email.strip()
    if email and not (_EMAIL.fullmatch(email) and email.isprintable() and len(email) <= EMAIL_LIMIT):
        problems["contact_email"] = "The contact email must look like name@example.com."
    if application.icon and not (application.icon in OWN_ICONS or DIGEST.fullmatch(application.icon)):
        problems["icon"] = NO_SUCH_ICON
    if problem := description_problem(application.description):
        problems["description"] = problem
    if problem := _site_problem((application.site_url or "").strip(), sandbox=sandbox):
        problems["site_url"] = problem


def _site_problem(address: str, *, sandbox: bool) -> str | None:
    """What is wrong with the landing page's address, to which everybody is led who looks at the App Hub."""
    if not address:
        return None
    wrong = "The landing page must be a web address: https://host/path."
    if len(address) > LENGTH_LIMIT or not _PLAIN.fullmatch(address):
        return wrong
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return wrong
    if parts.scheme not in ("https", "http") or not host or "@" in parts.netloc:
        return wrong
    if parts.scheme == "http" and not (sandbox and host in {*LOOPBACK_ADDRESSES, "localhost"}):
        return "The landing page must begin with https://; plain http is for this machine alone, in a sandbox."
    return None


def _check_redirect_uris(
    uris: tuple[str, ...], strict: bool, sandbox: bool, *, problems: dict[str, str], warnings: list[str]
) -> None:
    if not uris:
        problems["redirect_uris"] = "At least one redirect URI is needed; the answer to a grant is sent there."
    elif len(uris) > REDIRECT_URI_LIMIT:
        problems["redirect_uris"] = f"At most {REDIRECT_URI_LIMIT} redirect URIs can be registered."
    elif len(set(uris)) < len(uris):
        problems["redirect_uris"] = "The same redirect URI stands there twice; remove one."
    else:
        wrong: list[str] = []
        for uri in uris:
            try:
                warnings += check_registrable(uri, strict=strict, sandbox=sandbox)
            except InvalidRequest as error:
                wrong.append(f"{_quoted(uri)}: {error.description}")
        if wrong:
            problems["redirect_uris"] = "\n".join(wrong)


def check_number(registered: int, what: str, *, is_admin: bool) -> None:
    """Before another is registered: ``registered`` is how many this person has, ``what`` they are.

    Raises:
        InvalidRegistration: they are enough.
    """
    if registered >= REGISTERED_LIMIT and not is_admin:
        problem = f"You have registered {REGISTERED_LIMIT:,} {what}, and nobody may have more but an administrator."
        raise InvalidRegistration({"": f"{problem} Delete one that you do not need."})


def _quoted(uri: str) -> str:
    """As it may be repeated to whoever typed it, on a page or in a terminal."""
    plain = printable(uri)
    return f"{plain[:97]}..." if len(plain) > 100 else plain


def description_problem(description: str) -> str | None:
    """What is wrong with the description of an integration or a bot, which pages and terminals show."""
    plain = lines(description)
    if len(plain) > DESCRIPTION_LIMIT:
        return f"The description must have at most {DESCRIPTION_LIMIT} characters."
    if _UNFIT.search(plain):
        return "The description holds a control character, or one that turns the direction of a line; remove it."
    return None


def lines(text: str) -> str:
    """With the line ends that everybody uses but forms, and no tabs."""
    return text.replace("\r\n", "\n").replace("\t", " ").strip()


def _scopes(text: str, problems: dict[str, str]) -> Scopes:
    """The scopes, and spark:kms with any spark: scope: Webex's portal adds it by itself too, unasked."""
    try:
        scopes = read_scopes(text)
    except InvalidScope as error:
        problems["scopes"] = error.description
        return Scopes()
    if not scopes:
        problems["scopes"] = "At least one scope is needed; it says what the integration may do."
    elif len(scopes) > SCOPES_LIMIT or any(len(scope) > SCOPE_LENGTH_LIMIT for scope in scopes):
        problems["scopes"] = (
            f"At most {SCOPES_LIMIT} scopes can be registered, of {SCOPE_LENGTH_LIMIT} characters each; ask for those "
            "that the integration uses."
        )
    elif not all(_SCOPE.fullmatch(scope) for scope in scopes):
        problems["scopes"] = "A scope looks like spark:people_read; OpenID Connect's scopes are not registered."
    elif any(scope.startswith("spark:") for scope in scopes):
        scopes |= Scopes.of(KMS)
    return scopes

"""What an integration must be like to be registered here, and the secrets it is given.

The rules are pure; storage keeps what they answer, and says whether a name is taken.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from grantflow.developer_portal.records import Integration, NewSecret
from grantflow.protocol.errors import InvalidRequest, InvalidScope
from grantflow.protocol.redirect_uri import check_registrable
from grantflow.protocol.registration import ClientType, Profile, Registration
from grantflow.protocol.scope import KMS, Scopes, read_scopes
from grantflow.protocol.secret import Secret

#: ``mint(n)`` answers n unguessable bytes.
Mint = Callable[[int], bytes]

NAME_LIMIT = 120
DESCRIPTION_LIMIT = 1_000
REDIRECT_URI_LIMIT = 50
_SECRET_BYTES = 32
_SCOPE = re.compile(r"[A-Za-z][A-Za-z-]*:[A-Za-z_]+")
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+")

NAME_TAKEN = "Another integration has this name already; choose a name of its own."


class InvalidRegistration(Exception):
    """``problems``: field name to what is wrong and what to write instead, in the order of the form."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__(" ".join(problems.values()))
        self.problems = dict(problems)


@dataclass(frozen=True, slots=True)
class Application:
    """What a developer asks to register: form fields as typed, redirect URIs already split."""

    name: str
    redirect_uris: tuple[str, ...]
    scopes: str
    profile: Profile = Profile.WEBEX
    client_type: ClientType = ClientType.CONFIDENTIAL
    description: str = ""
    contact_email: str = ""
    owner_id: str | None = None
    site_url: str | None = None


@dataclass(frozen=True, slots=True)
class Registered:
    """``secret`` is shown this one time and not kept; ``warnings`` are for the developer to read."""

    integration: Integration
    secret: Secret | None
    kept_secret: NewSecret | None
    warnings: tuple[str, ...]


def register(application: Application, *, now: datetime, mint: Mint, sandbox: bool) -> Registered:
    """Give an integration its client ID (``C`` and 64 hex digits) and, unless it is public, its client secret (64).

    Outside a ``sandbox`` plain http is for loopback addresses alone.

    Raises:
        InvalidRegistration: all that is wrong, field by field.
    """
    strict = application.profile is Profile.STRICT or application.client_type is ClientType.PUBLIC
    problems: dict[str, str] = {}
    warnings: list[str] = []
    name = _name(application.name, problems)
    _check_texts(application, problems)
    _check_redirect_uris(application.redirect_uris, strict, sandbox, problems=problems, warnings=warnings)
    scopes = _scopes(application.scopes, problems)
    if problems:
        raise InvalidRegistration(problems)
    registration = Registration(
        client_id="C" + mint(32).hex(),
        name=name,
        redirect_uris=application.redirect_uris,
        scopes=scopes,
        profile=Profile.STRICT if strict else Profile.WEBEX,
        client_type=application.client_type,
    )
    integration = Integration(
        registration,
        created_at=now,
        description=application.description.strip(),
        contact_email=application.contact_email.strip(),
        owner_id=application.owner_id,
        site_url=application.site_url,
    )
    if application.client_type is ClientType.PUBLIC:
        return Registered(integration, None, None, tuple(warnings))
    secret, kept = new_secret(now=now, mint=mint)
    return Registered(integration, secret, kept, tuple(warnings))


def new_secret(*, now: datetime, mint: Mint) -> tuple[Secret, NewSecret]:
    """A client secret of 256 bits as 64 hex digits, to be shown once, and what is kept of it."""
    secret = Secret(mint(_SECRET_BYTES).hex())
    return secret, NewSecret(secret.digest(), last_four=secret.reveal()[-4:], created_at=now)


def _name(name: str, problems: dict[str, str]) -> str:
    plain = " ".join(name.split())
    if not plain:
        problems["name"] = "The integration needs a name; people see it when they are asked for consent."
    elif len(plain) > NAME_LIMIT or not plain.isprintable():
        problems["name"] = f"The name must have at most {NAME_LIMIT} characters, all of them printable."
    return plain


def _check_texts(application: Application, problems: dict[str, str]) -> None:
    if len(application.description) > DESCRIPTION_LIMIT:
        problems["description"] = f"The description must have at most {DESCRIPTION_LIMIT} characters."
    if application.contact_email and not _EMAIL.fullmatch(application.contact_email.strip()):
        problems["contact_email"] = "The contact email must look like name@example.com."
    if application.site_url and not application.site_url.startswith(("https://", "http://")):
        problems["site_url"] = "The site must be a web address: https://host/path."


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
        try:
            warnings += [warning for uri in uris for warning in check_registrable(uri, strict=strict, sandbox=sandbox)]
        except InvalidRequest as error:
            problems["redirect_uris"] = error.description


def _scopes(text: str, problems: dict[str, str]) -> Scopes:
    """The scopes, and spark:kms with any spark: scope: Webex's portal adds it by itself too, unasked."""
    try:
        scopes = read_scopes(text)
    except InvalidScope as error:
        problems["scopes"] = error.description
        return Scopes()
    if not scopes:
        problems["scopes"] = "At least one scope is needed; it says what the integration may do."
    elif not all(_SCOPE.fullmatch(scope) for scope in scopes):
        problems["scopes"] = "A scope looks like spark:people_read; OpenID Connect's scopes are not registered."
    elif any(scope.startswith("spark:") for scope in scopes):
        scopes |= Scopes.of(KMS)
    return scopes

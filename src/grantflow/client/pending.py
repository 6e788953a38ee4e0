"""What is remembered between the click on Grant and the answer: one sealed cookie for each authorization.

The browser carries it, so nothing is stored for authorizations that are never finished, twenty tabs have twenty
cookies, and any node with the same keys can finish. The state is bound to the browser by it (RFC 9700 section 4.7.1).
"""

import base64
import binascii
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from grantflow.protocol.redirect_uri import origin
from grantflow.protocol.secret import Secret
from grantflow.sealing import KeyRing, SealingError

LIFETIME: Final = timedelta(minutes=10)
_RETURN_TO_LIMIT: Final = 1500


@dataclass(frozen=True, slots=True)
class Pending:
    """One authorization under way. `grant_id` is the grant to be renewed, where it is a renewal; `scopes` are those
    asked for, where they are not the integration's own."""

    state: Secret
    verifier: Secret
    created: datetime
    owner: str | None = None
    grant_id: str | None = None
    return_to: str | None = None
    scopes: str | None = None

    def expired(self, *, now: datetime) -> bool:
        return not self.created - LIFETIME <= now <= self.created + LIFETIME


@dataclass(frozen=True, slots=True)
class PendingCookie:
    """To be set HttpOnly and SameSite=Lax on the answer that redirects to the platform.

    `max_age` is in seconds. Over https the name begins with `__Host-`, so no other host can plant it.
    """

    name: str
    value: str = field(repr=False)
    secure: bool
    max_age: int = int(LIFETIME.total_seconds())
    path: str = "/"

    @property
    def header(self) -> str:
        """The value of a Set-Cookie header."""
        secure = "; Secure" if self.secure else ""
        return f"{self.name}={self.value}; Max-Age={self.max_age}; Path={self.path}; HttpOnly; SameSite=Lax{secure}"


@dataclass(frozen=True, slots=True)
class PendingCookies:
    """Writes and reads the cookies of one integration at one redirect URI: begun there, finished there (W16).

    And with one server: what was begun with another opens no cookie here, even where both know the integration by one
    client ID and redirect URI, so no code reaches a token endpoint that is not its own (RFC 9700 section 4.4.2).
    """

    keys: KeyRing
    client_id: str
    redirect_uri: str
    token_endpoint: str

    @property
    def secure(self) -> bool:
        return urlsplit(self.redirect_uri).scheme == "https"

    def name(self, state: Secret) -> str:
        prefix = "__Host-" if self.secure else ""
        return f"{prefix}grantflow-{state.digest().hex()[:24]}"

    def write(self, pending: Pending) -> PendingCookie:
        fields = {
            "state": pending.state.reveal(),
            "verifier": pending.verifier.reveal(),
            "created": pending.created.isoformat(),
            "owner": pending.owner,
            "grant": pending.grant_id,
            "return_to": pending.return_to,
            "scopes": pending.scopes,
        }
        # Without what is absent, so that twenty of them fit into the 8 KiB of headers that proxies let pass.
        said = {name: value for name, value in fields.items() if value is not None}
        sealed = self.keys.seal(json.dumps(said, separators=(",", ":")).encode(), self._context)
        value = base64.urlsafe_b64encode(sealed).decode().rstrip("=")
        return PendingCookie(self.name(pending.state), value, self.secure)

    def read(self, cookies: Mapping[str, str], *, state: Secret) -> Pending | None:
        """The authorization that this browser began with this state; None where it did not, or not here."""
        value = cookies.get(self.name(state))
        if not value:
            return None
        try:
            sealed = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
            fields = json.loads(self.keys.unseal(sealed, self._context))
        except (binascii.Error, ValueError, SealingError):
            return None
        if not hmac.compare_digest(fields["state"].encode(), state.reveal().encode("utf-8", "surrogatepass")):
            return None
        return Pending(
            state=state,
            verifier=Secret(fields["verifier"]),
            created=datetime.fromisoformat(fields["created"]),
            owner=fields.get("owner"),
            grant_id=fields.get("grant"),
            return_to=fields.get("return_to"),
            scopes=fields.get("scopes"),
        )

    @property
    def _context(self) -> tuple[str, ...]:
        return ("pending", self.client_id, self.redirect_uri, self.token_endpoint)


def check_return_to(return_to: str, *, redirect_uri: str, called: str = "return_to") -> str:
    """A path of the redirect URI's own site, or a URL of its origin, as a path; nowhere else (RFC 9700 4.11.1).

    Raises ValueError, in which it is `called` as its author knows it.
    """
    path = return_to.removeprefix(origin(redirect_uri)) if "://" in return_to else return_to
    plain = all(" " < character <= "~" and character != "\\" for character in path)
    if not path.startswith("/") or path.startswith("//") or not plain or len(path) > _RETURN_TO_LIMIT:
        raise ValueError(
            f"{called} must be a path of this site, such as /settings?tab=2 (printable ASCII, up to "
            f"{_RETURN_TO_LIMIT} characters): a person is never sent to another site."
        )
    return path

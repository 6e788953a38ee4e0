"""Scopes: what an access token may do (RFC 6749 section 3.3), and what each Webex scope means in plain words."""

from collections.abc import Iterator
from dataclasses import dataclass

from grantflow.protocol.errors import InvalidScope

#: Needed to read encrypted content; the Webex portal adds it by itself and no consent page lists it.
KMS = "spark:kms"
ALL = "spark:all"


@dataclass(frozen=True, slots=True)
class Scopes:
    """A set of scope tokens that keeps the order in which they were first named."""

    tokens: tuple[str, ...] = ()

    @classmethod
    def of(cls, *tokens: str) -> "Scopes":
        return cls(tuple(dict.fromkeys(tokens)))

    def __str__(self) -> str:
        return " ".join(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self.tokens

    def __iter__(self) -> Iterator[str]:
        return iter(self.tokens)

    def __len__(self) -> int:
        return len(self.tokens)

    def __or__(self, other: "Scopes") -> "Scopes":
        return Scopes.of(*self.tokens, *other.tokens)

    def within(self, other: "Scopes") -> bool:
        return set(self.tokens) <= set(other.tokens)

    def beyond(self, other: "Scopes") -> "Scopes":
        """Those of mine that ``other`` lacks."""
        return Scopes.of(*(token for token in self.tokens if token not in other.tokens))

    def allow(self, token: str) -> bool:
        """Whether a call that needs ``token`` is covered; spark:all covers every spark: scope of a person."""
        return token in self.tokens or (token.startswith("spark:") and token != KMS and ALL in self.tokens)


def read_scopes(text: str) -> Scopes:
    """Read a space-separated list.

    Raises:
        InvalidScope: a character outside RFC 6749 section 3.3 (printable ASCII without quote and backslash).
    """
    tokens = text.split()
    for token in tokens:
        if not all("!" <= c <= "~" and c not in '"\\' for c in token):
            raise InvalidScope(
                "A scope holds a character that RFC 6749 section 3.3 does not allow; write it in ASCII without quotes."
            )
    return Scopes.of(*tokens)


#: The scopes that the platform serves, in plain words: what the person lets the integration do.
MEANINGS: dict[str, str] = {
    "spark:all": "Everything in your account: read and change your spaces, messages and memberships",
    "spark:kms": "Work with encrypted content (added automatically)",
    "spark:people_read": "See who you are, and look up people in your organization",
    "spark:rooms_read": "See the titles of the spaces that you are in",
    "spark:rooms_write": "Create, rename, lock and delete spaces in your name",
    "spark:memberships_read": "See who is in your spaces",
    "spark:memberships_write": "Invite people to your spaces and make them moderators",
    "spark:messages_read": "Read the messages in your spaces",
    "spark:messages_write": "Post and delete messages in your name",
    "identity:tokens_read": "See which integrations people in your organization have granted access",
    "identity:tokens_write": "Revoke access that people in your organization have granted",
}


#: Those that reach further than one person's own data, or all of it: a developer is told to think twice.
FAR_REACHING = frozenset({"spark:all", "identity:tokens_read", "identity:tokens_write"})


def without_kms(scopes: Scopes) -> Scopes:
    """The platform adds spark:kms by itself, and no page lists it (as Webex's does not)."""
    return scopes.beyond(Scopes.of(KMS))


def in_words(scopes: Scopes) -> list[tuple[str, str]]:
    """Pairs of scope and plain words, for whichever page lists them."""
    return [(token, meaning(token)) for token in scopes]


def meaning(token: str) -> str:
    """The plain words for a scope; an unlisted one shows its own words (``devices read``)."""
    return MEANINGS.get(token) or token.partition(":")[2].replace("_", " ") or token

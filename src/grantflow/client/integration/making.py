"""How both kinds of integration are made, and what of them neither blocks nor awaits.

This is where the real clock and real randomness come in.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias

from grantflow.client.callers import Caller
from grantflow.client.configuration import Configuration, configure, name_of
from grantflow.client.discovery import check_identity, sends_basic
from grantflow.client.events import Event
from grantflow.client.flows import lending
from grantflow.client.flows.calling import call
from grantflow.client.flows.handing_out import hand_out, hand_out_to
from grantflow.client.flows.parts import Mint, Parts
from grantflow.client.flows.refreshing import refresh
from grantflow.client.flows.retrying import retry
from grantflow.client.grant import AccessToken, Brake, ExistingTokens, Grant, Overview, Person, Status
from grantflow.client.observing import Observer
from grantflow.client.shells.calls import Conversation, Origins
from grantflow.client.shells.wire import Addresses
from grantflow.client.steps import Flow, load, save
from grantflow.client.vault import Vault
from grantflow.protocol.metadata import ServerMetadata
from grantflow.protocol.scope import Scopes, read_scopes
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import ClientCredentials
from grantflow.sealing import KeyRing

#: One, or several while it is replaced: the one that works is found and remembered. None for a public client.
ClientSecrets: TypeAlias = str | Secret | Sequence[str | Secret] | None


def real_now() -> datetime:
    return datetime.now(UTC)


def nobody(_access_token: Secret) -> Any:
    raise AssertionError("there is no token yet")


class Made:
    """What both kinds share: how they are made, and everything that neither blocks nor awaits."""

    def __init__(
        self,
        client_id: str,
        client_secret: ClientSecrets = None,
        *,
        redirect_uri: str,
        scopes: str | Iterable[str],
        vault: Vault,
        server: ServerMetadata | None = None,
        api_url: str | None = None,
        authorization_endpoint: str | None = None,
        authorization_parameters: Mapping[str, str] | None = None,
        token_endpoint: str | None = None,
        revocation_url: str | None = None,
        issuer: str | None = None,
        api_origins: Iterable[str] = (),
        grant_url: str | None = None,
        identify: Callable[[Any], Any] | None = None,
        on_event: Callable[[Event], Any] | None = None,
        client_authentication: Literal["body", "basic"] | None = None,
        deadline: float = 40.0,
        allow_plain_http: bool = False,
        transport: Any = None,
        _lease_margin: float = 5.0,
        _now: Callable[[], datetime] = real_now,
        _mint: Mint = secrets.token_urlsafe,
    ) -> None:
        secret, *further = _secrets(client_secret)
        basic = client_authentication == "basic"
        if server is not None and client_authentication is None:
            basic = sends_basic(server, secret)
        configuration = configure(
            ClientCredentials(client_id, secret, basic=basic),
            further_secrets=[each for each in further if each is not None],
            redirect_uri=redirect_uri,
            scopes=read_scopes(scopes if isinstance(scopes, str) else " ".join(scopes)),
            server=server,
            api_url=api_url,
            authorization_endpoint=authorization_endpoint,
            authorization_parameters=authorization_parameters,
            token_endpoint=token_endpoint,
            revocation_url=revocation_url,
            issuer=issuer,
            api_origins=tuple(api_origins),
            grant_url=grant_url,
            deadline=deadline,
            lease_margin=_lease_margin,
            allow_plain_http=allow_plain_http,
        )
        if server is not None and identify is None:
            check_identity(server, list(configuration.scopes))
        self.now = _now
        self._parts = Parts(
            configuration, vault, _mint, asks_for_person=identify is not None, is_watched=on_event is not None
        )
        self._origins = Origins.of(*configuration.api_origins)
        self._open_shell(transport, identify=identify, on_event=on_event, now=_now)

    def _open_shell(self, transport: Any, *, identify: Any, on_event: Any, now: Callable[[], datetime]) -> None:
        raise NotImplementedError

    @property
    def _addresses(self) -> Addresses:
        of = self.configuration
        return Addresses(of.api_url, of.api_origins, of.token_endpoint)

    @property
    def configuration(self) -> Configuration:
        """Everything that it was made with, defaults filled in."""
        return self._parts.configuration

    def use_secret(self, client_secret: ClientSecrets) -> None:
        """Authenticate with this client secret, or these, from now on: it was regenerated, and nothing has to be
        started again."""
        secret, *further = _secrets(client_secret)
        credentials = replace(self.configuration.credentials, client_secret=secret)
        further_secrets = tuple(each for each in further if each is not None)
        configuration = replace(self.configuration, credentials=credentials, further_secrets=further_secrets)
        self._parts = replace(self._parts, configuration=configuration)

    @property
    def client_id(self) -> str:
        return self.configuration.client_id

    @property
    def redirect_uri(self) -> str:
        return self.configuration.redirect_uri

    @property
    def scopes(self) -> Scopes:
        return self.configuration.scopes

    @property
    def keys(self) -> KeyRing:
        """The vault's keys, for whoever seals something of their own: `keys.derive("purpose")`."""
        return self._parts.vault.keys

    @property
    def mint(self) -> Mint:
        """Draws that many random bytes and writes them in base64url."""
        return self._parts.mint

    def observe(self, observer: Observer) -> None:
        """Have it told of each call, refresh and exchange; the metrics and traces of `grantflow.client.adapters` are
        such observers. What it raises is its own and stops nothing."""
        self._parts.observers.add(observer)

    def overview(self, *, ending_within: timedelta = timedelta(days=7)) -> Overview:
        """How many grants are in which state, and what an operator must know, over all processes.

        It counts in the vault and does not await: with many grants call it in a thread. Raises VaultUnavailable.
        """
        vault, of = self._parts.vault, self.configuration
        grants, ending = vault.census(of.client_id, ending_before=self.now() + ending_within)
        standings = [vault.standing(of.client_id, credentials=name_of(each)) for each in of.all_credentials]
        is_refused = all(standing.refused_at is not None for standing in standings)
        return Overview(grants, ending, vault.brake(of.client_id), is_refused)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.client_id!r}, api_url={self.configuration.api_url!r})"

    def _call(self, person_id: str, owner: str | None) -> Conversation:
        key = self._parts.key(person_id, owner)
        return lambda replayable: call(self._parts, key, replayable=replayable)

    def _grants(self, owner: str | None) -> Flow[Sequence[Grant]]:
        return load(lambda: self._parts.vault.grants(self.client_id, owner=owner))

    def _page_of_grants(
        self, owner: str | None, statuses: Iterable[Status], after: Grant | None, limit: int
    ) -> Flow[Sequence[Grant]]:
        wanted = tuple(statuses)
        return load(
            lambda: self._parts.vault.page_of_grants(
                self.client_id, owner=owner, statuses=wanted, after=after, limit=limit
            )
        )

    def _find_grants(self, who: str) -> Flow[Sequence[Grant]]:
        return load(lambda: self._parts.vault.grants_called(self.client_id, who))

    def _expiring(self, within: timedelta, limit: int | None, after: Grant | None) -> Flow[Sequence[Grant]]:
        before = self.now() + within
        return load(lambda: self._parts.vault.expiring(self.client_id, before=before, limit=limit, after=after))

    def _has_endless(self) -> Flow[bool]:
        return load(lambda: self._parts.vault.has_endless(self.client_id))

    def _grant(self, person_id: str, owner: str | None) -> Flow[Grant | None]:
        key = self._parts.key(person_id, owner)
        return load(lambda: self._parts.vault.grant(key))

    def _is_first(self, form: str, seconds: int) -> Flow[bool]:
        now, digest = self.now(), Secret(f"form {form}").digest()
        return save(lambda: self._parts.vault.spend(digest, now=now, until=now + timedelta(seconds=seconds)))

    def _hand_out(
        self, person_id: str, owner: str | None, rejected: str | Secret | None, actor: str | None
    ) -> Flow[AccessToken]:
        token, key = Secret(rejected) if isinstance(rejected, str) else rejected, self._parts.key(person_id, owner)
        if actor is None:
            return hand_out(self._parts, key, rejected=token)
        return hand_out_to(self._parts, key, rejected=token, actor=actor)

    def _callers(self) -> Flow[Sequence[Caller]]:
        return load(lambda: self._parts.vault.callers(self.client_id))

    def _lend(self, key: str | Secret, person: str | None, rejected: str | Secret | None) -> Flow[AccessToken]:
        key = Secret(key) if isinstance(key, str) else key
        token = Secret(rejected) if isinstance(rejected, str) else rejected
        return lending.lend(self._parts, key, person=person, rejected=token)

    def _refresh(self, person_id: str, owner: str | None, rejected: str | Secret | None) -> Flow[Grant]:
        token = Secret(rejected) if isinstance(rejected, str) else rejected
        return (yield from refresh(self._parts, self._parts.key(person_id, owner), rejected=token)).grant

    def _retry(self, person_id: str, owner: str | None, actor: str | None) -> Flow[Grant]:
        return (yield from retry(self._parts, self._parts.key(person_id, owner), actor=actor)).grant

    def _brake(self) -> Flow[Brake]:
        return load(lambda: self._parts.vault.brake(self.client_id))

    def _history(self, person_id: str, owner: str | None) -> Flow[Sequence[Event]]:
        key = self._parts.key(person_id, owner)
        return load(lambda: self._parts.vault.events(key))


def _secrets(client_secret: ClientSecrets) -> Sequence[Secret | None]:
    if client_secret is None or isinstance(client_secret, str | Secret):
        client_secret = [client_secret] if client_secret is not None else []
    secrets = [Secret(each) if isinstance(each, str) else each for each in client_secret]
    return secrets or [None]


def existing(
    refresh_token: str | Secret,
    *,
    access_token: str | Secret | None,
    scopes: str | Iterable[str] | None,
    person: Person | str | None,
    **known: Any,
) -> ExistingTokens:
    """Tokens of another program: what was given as text, in the type that it has here."""
    if scopes is not None:
        scopes = read_scopes(scopes if isinstance(scopes, str) else " ".join(scopes))
    return ExistingTokens(
        refresh_token=Secret(refresh_token) if isinstance(refresh_token, str) else refresh_token,
        access_token=Secret(access_token) if isinstance(access_token, str) else access_token,
        scopes=scopes,
        person=Person(person) if isinstance(person, str) else person,
        **known,
    )

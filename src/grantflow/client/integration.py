"""`Integration` and `AsyncIntegration`: the same names, one blocking, one awaiting.

This is where the real clock and real randomness come in.
"""

import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

from grantflow.client.callers import AddedCaller, Caller
from grantflow.client.configuration import Configuration, check_address, configure, name_of
from grantflow.client.discovery import check_identity, sends_basic
from grantflow.client.events import Event
from grantflow.client.flows import brake, lending
from grantflow.client.flows.adopting import adopt, take_in
from grantflow.client.flows.calling import call
from grantflow.client.flows.discovering import discover
from grantflow.client.flows.finishing import finish
from grantflow.client.flows.handing_out import hand_out, hand_out_to
from grantflow.client.flows.keeping_alive import keep_alive
from grantflow.client.flows.parts import Mint, Parts
from grantflow.client.flows.refreshing import refresh
from grantflow.client.flows.retrying import retry
from grantflow.client.flows.revoking import revoke
from grantflow.client.flows.settling import save_what_is_left
from grantflow.client.flows.starting import BegunAuthorization, start
from grantflow.client.grant import (
    AccessToken,
    AdoptedGrant,
    Brake,
    CompletedGrant,
    ExistingTokens,
    Grant,
    KeptAlive,
    Overview,
    Person,
    Revocation,
    Status,
)
from grantflow.client.observing import Observer
from grantflow.client.shells.awaiting import AsyncShell
from grantflow.client.shells.blocking import Shell
from grantflow.client.shells.calls import Calls, Conversation, Origins
from grantflow.client.shells.clients import AsyncGrantClient, GrantClient, bearing
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


def _real_now() -> datetime:
    return datetime.now(UTC)


def _nobody(_access_token: Secret) -> Any:
    raise AssertionError("there is no token yet")


def server_at(issuer: str, *, transport: Any = None, allow_plain_http: bool = False) -> ServerMetadata:
    """What that server says of itself, asked now. Raises DiscoveryFailed; ValueError where the issuer has no TLS."""
    check_address("issuer", issuer, allow_plain_http=allow_plain_http)
    addresses = Addresses(issuer, (), issuer)
    shell = Shell(now=_real_now, monotonic=time.monotonic, addresses=addresses, transport=transport, identify=_nobody)
    return shell.perform(discover(issuer))


class _Made:
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
        _now: Callable[[], datetime] = _real_now,
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


class Integration(_Made):
    """Takes people through the grant flow, keeps their grants alive, and calls the API for them; blocking.

    - `client_id`, `client_secret`: as the platform's developer portal shows them; a public client has no secret (None).
      Several secrets, new one first, while it is replaced: the one that the platform takes is found and remembered.
    - `redirect_uri`: where the platform sends the person back to, exactly as registered.
    - `scopes`: what to ask for, in one string or several.
    - `server`: what the platform says of itself, as `discover` finds out. Whatever is named here beside it counts.
    - `api_url`: the platform; Webex by default, or the server's issuer. The authorization and the token endpoint lie
      under it unless they are named, here or by the server.
    - `authorization_parameters`: what the server wants to be told beside what the standard knows, such as
      `{"prompt": "consent"}`, without which many give no refresh token.
    - `revocation_url`: RFC 7009, where the platform has it (Webex documents none).
    - `issuer`: then `iss` must come with each answer and be this (RFC 9207).
    - `api_origins`: further origins of the API that tokens may be sent to.
    - `grant_url`: the page of yours that begins an authorization; `connect` in the redirect URI's folder by default,
      where `integration_pages` has it.
    - `identify`: finds out whose token it is, given an HTTP client that carries it; `GET people/me` by default, or the
      server's userinfo endpoint.
    - `on_event`: called with each `Event` once it is saved: at least once, also where a process dies in between.
      It may use the integration.
    - `client_authentication`: how the secret is sent: in the form's body, or as HTTP Basic (RFC 6749 section 2.3.1).
    - `deadline`: the most that one call of the token endpoint may take in all, in seconds; half of it to connect. What
      finds no connection by then is not sent.
    - `transport`: instead of the network, for tests.

    Raises ValueError where an address is not https (nor loopback) or something is missing, InvalidScope.

    Safe to share between threads, and between processes over one vault. Close it, or use it as a context manager, and
    its connections and its vault are closed; it opens them again when it is used again.
    """

    _shell: Shell

    @classmethod
    def discover(
        cls,
        issuer: str,
        client_id: str,
        client_secret: ClientSecrets = None,
        *,
        transport: Any = None,
        **options: Any,
    ) -> Self:
        """An integration with a server that is asked, now, for its addresses and habits (RFC 8414, OpenID Connect
        Discovery): endpoints, `iss`, how clients authenticate, who granted.

        `issuer` is to the letter what the server calls itself. `options` are those of `Integration`; `api_url`, where
        the calls go, is the issuer unless it is named. Raises DiscoveryFailed, and what `Integration` raises.
        """
        server = server_at(issuer, transport=transport, allow_plain_http=options.get("allow_plain_http", False))
        return cls(client_id, client_secret, server=server, transport=transport, **options)

    def _open_shell(
        self,
        transport: Any,
        *,
        identify: Callable[[GrantClient], Person] | None,
        on_event: Callable[[Event], object] | None,
        now: Callable[[], datetime],
    ) -> None:
        def find_out(access_token: Secret) -> Person:
            assert identify is not None
            with self._client(bearing(access_token)) as client:
                return identify(client)

        self._shell = Shell(
            now=now,
            monotonic=time.monotonic,
            addresses=self._addresses,
            transport=transport,
            identify=find_out,
            on_event=on_event,
        )

    def authorization_request(
        self,
        *,
        owner: str | None = None,
        return_to: str | None = None,
        scopes: str | None = None,
        prompt: str | None = None,
        grant: str | None = None,
    ) -> BegunAuthorization:
        """Begin an authorization: redirect the person to `.url` and set `.cookie` on that same answer.

        - `owner`: your own signed-in user, whom the grant will belong to; without one, the person at the platform.
        - `return_to`: a path of your site, for afterwards.
        - `scopes`: fewer or others than the integration's.
        - `prompt`: as the platform knows it; Webex: `select_account`, `login`, `none`.
        - `grant`: the id of the grant to renew, as it comes with `grant_url`; then only its own person can.

        Raises ValueError (return_to leads elsewhere), InvalidScope.
        """
        return self._shell.perform(
            start(self._parts, owner=owner, return_to=return_to, scopes=scopes, prompt=prompt, grant_id=grant)
        )

    def complete_authorization(self, answer: str | Mapping[str, str], cookies: Mapping[str, str]) -> CompletedGrant:
        """Turn what came to the redirect URI into a grant: exchange the code, ask who granted, store the tokens.

        `answer` is the URL that was called, its query string or its parameters; `cookies` those of the same request.
        Raises AuthorizationResponseError and its subclasses, TokenEndpointError and its subclasses; no error of the
        HTTP library, not even one that `identify` met: an unreachable platform is a TransientTokenError.
        """
        return self._shell.perform(finish(self._parts, answer, cookies=cookies))

    def client_for(self, person_id: str, *, owner: str | None = None) -> GrantClient:
        """An `httpx2.Client` that calls the API for this person: `client.get("people/me")`.

        It renews an expired or revoked access token and tries the call once more. Its calls raise
        ReauthorizationRequired, TransientTokenError, IntegrationRefused, ForeignOrigin, BodyNotReplayable. Where the
        API itself does not answer, or not readably, they raise what any call of that library raises:
        `httpx2.RequestError` (ConnectError, ReadTimeout, DecodingError, ...). `get` and its like read an answer whole;
        for one that may be large there is `client.stream`.
        """
        return self._client(self._call(person_id, owner))

    def calls_for(self, person_id: str, *, owner: str | None = None) -> Calls[Shell]:
        """The same for any other HTTP library: what the adapters are made of, and one of your own."""
        return Calls(self._call(person_id, owner), self._shell, self._origins)

    def adopt(
        self,
        refresh_token: str | Secret,
        *,
        access_token: str | Secret | None = None,
        access_expires_at: datetime | None = None,
        refresh_expires_at: datetime | None = None,
        scopes: str | Iterable[str] | None = None,
        person: Person | str | None = None,
        owner: str | None = None,
        issued_at: datetime | None = None,
        replace: bool = False,
    ) -> AdoptedGrant:
        """Bring in tokens that another program got, asking no person again; what is not known is left out.

        - `access_expires_at`, `refresh_expires_at`, `issued_at`: aware times.
        - `person`: who granted, or their id. Where it is not known, people/me (or `identify`) is asked, with the access
          token where it works, else with one that is got for it: the refresh token is in the vault before that.
        - `replace`: in place of a grant of the same person and owner that is here. Without it that one stays, unless it
          is refused, or these tokens are known to be newer.

        Bringing in the same again does nothing. That other program must not use the refresh token any more: a platform
        that swaps them takes two for thieves. `outcome` tells what became of the tokens.

        Raises ValueError, InvalidScope; and where the platform must be asked UnknownPerson, ReauthorizationRequired,
        TransientTokenError, IntegrationRefused: then the tokens are kept, and adopting them again goes on. Those that
        are refused for good before anybody knows whose they are leave nothing but their events in the audit log.
        """
        tokens = _existing(
            refresh_token,
            access_token=access_token,
            access_expires_at=access_expires_at,
            refresh_expires_at=refresh_expires_at,
            scopes=scopes,
            person=person,
            owner=owner,
            issued_at=issued_at,
        )
        return self._shell.perform(adopt(self._parts, tokens, instead=replace))

    def adopt_all(
        self, batch: Sequence[ExistingTokens], *, replace: bool = False, dry_run: bool = False
    ) -> Sequence[AdoptedGrant]:
        """Keep many at once, as `adopt` has it, but ask nobody: a grant whose person is not known yet (`is_named`
        tells) waits for `adopt` to be called with the same tokens. `dry_run`: tell what would become of them, and keep
        nothing. Raises ValueError."""
        return self._shell.perform(take_in(self._parts, batch, instead=replace, dry_run=dry_run))

    def grants(self, *, owner: str | None = None) -> Sequence[Grant]:
        """All grants, or those of one owner, oldest first; disconnected ones too (`Status.REVOKED`)."""
        return self._shell.perform(self._grants(owner))

    def page_of_grants(
        self,
        *,
        owner: str | None = None,
        statuses: Iterable[Status] = (),
        after: Grant | None = None,
        limit: int = 500,
    ) -> Sequence[Grant]:
        """So many grants, by owner and person: where there may be more than memory holds. `after` is the last one of
        the page before; `statuses`: only these, where any are named."""
        return self._shell.perform(self._page_of_grants(owner, statuses, after, limit))

    def find_grants(self, who: str) -> Sequence[Grant]:
        """The grants that `who` names: the id of a grant or of a person, or an e-mail address."""
        return self._shell.perform(self._find_grants(who))

    def expiring(self, within: timedelta, *, limit: int | None = None, after: Grant | None = None) -> Sequence[Grant]:
        """The grants that can be used now and die within that time if nobody does, soonest first; those whose end has
        come are the first. A grant whose end the platform has not told is in no such list."""
        return self._shell.perform(self._expiring(within, limit, after))

    def has_endless(self) -> bool:
        """Whether there are grants that can be used and of whose end the platform has told nothing."""
        return self._shell.perform(self._has_endless())

    def keep_alive(self, within: timedelta) -> KeptAlive:
        """Renew the grants that would die within that time, one after another, and no others; as many processes may do
        it at once as like. It stops where the platform says slow down, refuses the integration, or is out of order:
        `stopped` tells which, and nothing is raised."""
        return self._shell.perform(keep_alive(self._parts, within=within))

    def grant(self, person_id: str, *, owner: str | None = None) -> Grant | None:
        return self._shell.perform(self._grant(person_id, owner))

    def refresh(self, person_id: str, *, owner: str | None = None, rejected: str | Secret | None = None) -> Grant:
        """Renew the tokens, where `rejected` is still the stored access token (or none is named).

        Raises ReauthorizationRequired, TransientTokenError, IntegrationRefused.
        """
        return self._shell.perform(self._refresh(person_id, owner, rejected))

    def access_token(
        self,
        person_id: str,
        *,
        owner: str | None = None,
        rejected: str | Secret | None = None,
        actor: str | None = None,
    ) -> AccessToken:
        """A living access token, for programs that call the API by other means than `client_for`; renewed where its
        time is as good as over, or where it is the one that the API has `rejected`. `actor` is who is given it: then
        the audit log says so.

        Raises ReauthorizationRequired, TransientTokenError, IntegrationRefused.
        """
        return self._shell.perform(self._hand_out(person_id, owner, rejected, actor))

    def revoke(self, person_id: str, *, owner: str | None = None, actor: str | None = None) -> Revocation:
        """Forget the grant here, and end it at the platform where that can be asked; tells which happened.

        `actor` is noted in the audit log as who did it, where it was not the person.
        """
        return self._shell.perform(revoke(self._parts, self._parts.key(person_id, owner), actor=actor))

    def retry(self, person_id: str, *, owner: str | None = None, actor: str | None = "operator") -> Grant:
        """Try a refused refresh token again, as an operator may once the platform has mended what was wrong; it is kept
        for 30 days. Raises ReauthorizationRequired where it is refused once more or is not kept any more,
        TransientTokenError, IntegrationRefused."""
        return self._shell.perform(self._retry(person_id, owner, actor))

    def brake(self) -> Brake:
        """Whether refusals are held back, because the platform refused more than 20 grants, and every fifth, within
        five minutes: then no grant is declared dead until `release_brake`."""
        return self._shell.perform(self._brake())

    def release_brake(self, *, actor: str | None = "operator") -> bool:
        """An operator has looked: refusals count again, and what was held back may be asked for once more. Answers
        whether the brake was on."""
        return self._shell.perform(brake.release(self._parts, actor=actor))

    def history(self, person_id: str, *, owner: str | None = None) -> Sequence[Event]:
        """What happened to the grants of this person, oldest first, as the audit log has it."""
        return self._shell.perform(self._history(person_id, owner))

    def add_caller(self, name: str, *, grants: Iterable[str]) -> AddedCaller:
        """Let a program of another kind have the access tokens of those grants (their ids); `.key` is its key, which is
        told this one time.

        Raises ValueError: no grant is named, or the name is none. CallerExists.
        """
        return self._shell.perform(lending.add_caller(self._parts, name, grant_ids=tuple(grants)))

    def callers(self) -> Sequence[Caller]:
        """Who may have which tokens, by name."""
        return self._shell.perform(self._callers())

    def remove_caller(self, name: str) -> bool:
        """Its key is dead from then on; tokens that it was given live out their time. Whether there was one."""
        return self._shell.perform(lending.remove_caller(self._parts, name))

    def lend(
        self, key: str | Secret, *, person: str | None = None, rejected: str | Secret | None = None
    ) -> AccessToken:
        """What `access_token` gives, for the caller with that key and one of its grants; each time is audited.

        `person` is an id at the platform, an email or the id of a grant; it may be left out where the caller has one
        grant. Raises UnknownCaller, NotForCaller, GrantGone, and what `access_token` raises.
        """
        return self._shell.perform(self._lend(key, person, rejected))

    def is_first(self, form: str, *, seconds: int) -> bool:
        """Whether nobody has asked this of that form yet, in any process over this vault: a form that is sent twice is
        to act once. It is remembered for that many seconds."""
        return self._shell.perform(self._is_first(form, seconds))

    def close(self) -> None:
        self._shell.perform(save_what_is_left(self._parts))
        self._shell.close()
        self._parts.vault.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _client(self, conversation: Conversation) -> GrantClient:
        calls = Calls(conversation, self._shell, self._origins)
        return GrantClient(calls, api_url=self.configuration.api_url)


class AsyncIntegration(_Made):
    """`Integration` for asyncio: made with the same arguments, used by the same names.

    Everything that may wait is awaited; `client_for` gives an `httpx2.AsyncClient` at once. `identify` is awaited.
    A refresh goes on when the caller who began it is cancelled, so that no answer is lost.
    """

    _shell: AsyncShell

    @classmethod
    async def discover(
        cls,
        issuer: str,
        client_id: str,
        client_secret: ClientSecrets = None,
        *,
        transport: Any = None,
        **options: Any,
    ) -> Self:
        """As `Integration.discover`."""
        check_address("issuer", issuer, allow_plain_http=options.get("allow_plain_http", False))
        shell = AsyncShell(
            now=_real_now, addresses=Addresses(issuer, (), issuer), transport=transport, identify=_nobody
        )
        server = await shell.perform(discover(issuer))
        return cls(client_id, client_secret, server=server, transport=transport, **options)

    def _open_shell(
        self,
        transport: Any,
        *,
        identify: Callable[[AsyncGrantClient], Awaitable[Person]] | None,
        on_event: Callable[[Event], object] | None,
        now: Callable[[], datetime],
    ) -> None:
        async def find_out(access_token: Secret) -> Person:
            assert identify is not None
            async with self._client(bearing(access_token)) as client:
                return await identify(client)

        self._shell = AsyncShell(
            now=now,
            addresses=self._addresses,
            transport=transport,
            identify=find_out,
            vault_waits=self._parts.vault.waits,
            on_event=on_event,
        )

    async def authorization_request(
        self,
        *,
        owner: str | None = None,
        return_to: str | None = None,
        scopes: str | None = None,
        prompt: str | None = None,
        grant: str | None = None,
    ) -> BegunAuthorization:
        """As `Integration.authorization_request`."""
        return await self._shell.perform(
            start(self._parts, owner=owner, return_to=return_to, scopes=scopes, prompt=prompt, grant_id=grant)
        )

    async def complete_authorization(
        self, answer: str | Mapping[str, str], cookies: Mapping[str, str]
    ) -> CompletedGrant:
        """As `Integration.complete_authorization`."""
        return await self._shell.perform(finish(self._parts, answer, cookies=cookies))

    def client_for(self, person_id: str, *, owner: str | None = None) -> AsyncGrantClient:
        """As `Integration.client_for`, with an `httpx2.AsyncClient`."""
        return self._client(self._call(person_id, owner))

    def calls_for(self, person_id: str, *, owner: str | None = None) -> Calls[AsyncShell]:
        """As `Integration.calls_for`."""
        return Calls(self._call(person_id, owner), self._shell, self._origins)

    async def adopt(
        self,
        refresh_token: str | Secret,
        *,
        access_token: str | Secret | None = None,
        access_expires_at: datetime | None = None,
        refresh_expires_at: datetime | None = None,
        scopes: str | Iterable[str] | None = None,
        person: Person | str | None = None,
        owner: str | None = None,
        issued_at: datetime | None = None,
        replace: bool = False,
    ) -> AdoptedGrant:
        """As `Integration.adopt`."""
        tokens = _existing(
            refresh_token,
            access_token=access_token,
            access_expires_at=access_expires_at,
            refresh_expires_at=refresh_expires_at,
            scopes=scopes,
            person=person,
            owner=owner,
            issued_at=issued_at,
        )
        return await self._shell.perform(adopt(self._parts, tokens, instead=replace))

    async def adopt_all(
        self, batch: Sequence[ExistingTokens], *, replace: bool = False, dry_run: bool = False
    ) -> Sequence[AdoptedGrant]:
        """As `Integration.adopt_all`."""
        return await self._shell.perform(take_in(self._parts, batch, instead=replace, dry_run=dry_run))

    async def grants(self, *, owner: str | None = None) -> Sequence[Grant]:
        """As `Integration.grants`."""
        return await self._shell.perform(self._grants(owner))

    async def page_of_grants(
        self,
        *,
        owner: str | None = None,
        statuses: Iterable[Status] = (),
        after: Grant | None = None,
        limit: int = 500,
    ) -> Sequence[Grant]:
        """As `Integration.page_of_grants`."""
        return await self._shell.perform(self._page_of_grants(owner, statuses, after, limit))

    async def find_grants(self, who: str) -> Sequence[Grant]:
        """As `Integration.find_grants`."""
        return await self._shell.perform(self._find_grants(who))

    async def expiring(
        self, within: timedelta, *, limit: int | None = None, after: Grant | None = None
    ) -> Sequence[Grant]:
        """As `Integration.expiring`."""
        return await self._shell.perform(self._expiring(within, limit, after))

    async def has_endless(self) -> bool:
        """As `Integration.has_endless`."""
        return await self._shell.perform(self._has_endless())

    async def keep_alive(self, within: timedelta) -> KeptAlive:
        """As `Integration.keep_alive`."""
        return await self._shell.perform(keep_alive(self._parts, within=within))

    async def grant(self, person_id: str, *, owner: str | None = None) -> Grant | None:
        return await self._shell.perform(self._grant(person_id, owner))

    async def refresh(self, person_id: str, *, owner: str | None = None, rejected: str | Secret | None = None) -> Grant:
        """As `Integration.refresh`."""
        return await self._shell.perform(self._refresh(person_id, owner, rejected))

    async def access_token(
        self,
        person_id: str,
        *,
        owner: str | None = None,
        rejected: str | Secret | None = None,
        actor: str | None = None,
    ) -> AccessToken:
        """As `Integration.access_token`."""
        return await self._shell.perform(self._hand_out(person_id, owner, rejected, actor))

    async def revoke(self, person_id: str, *, owner: str | None = None, actor: str | None = None) -> Revocation:
        """As `Integration.revoke`."""
        return await self._shell.perform(revoke(self._parts, self._parts.key(person_id, owner), actor=actor))

    async def retry(self, person_id: str, *, owner: str | None = None, actor: str | None = "operator") -> Grant:
        """As `Integration.retry`."""
        return await self._shell.perform(self._retry(person_id, owner, actor))

    async def brake(self) -> Brake:
        """As `Integration.brake`."""
        return await self._shell.perform(self._brake())

    async def release_brake(self, *, actor: str | None = "operator") -> bool:
        """As `Integration.release_brake`."""
        return await self._shell.perform(brake.release(self._parts, actor=actor))

    async def history(self, person_id: str, *, owner: str | None = None) -> Sequence[Event]:
        """As `Integration.history`."""
        return await self._shell.perform(self._history(person_id, owner))

    async def add_caller(self, name: str, *, grants: Iterable[str]) -> AddedCaller:
        """As `Integration.add_caller`."""
        return await self._shell.perform(lending.add_caller(self._parts, name, grant_ids=tuple(grants)))

    async def callers(self) -> Sequence[Caller]:
        """As `Integration.callers`."""
        return await self._shell.perform(self._callers())

    async def remove_caller(self, name: str) -> bool:
        """As `Integration.remove_caller`."""
        return await self._shell.perform(lending.remove_caller(self._parts, name))

    async def lend(
        self, key: str | Secret, *, person: str | None = None, rejected: str | Secret | None = None
    ) -> AccessToken:
        """As `Integration.lend`."""
        return await self._shell.perform(self._lend(key, person, rejected))

    async def is_first(self, form: str, *, seconds: int) -> bool:
        """As `Integration.is_first`."""
        return await self._shell.perform(self._is_first(form, seconds))

    async def close(self) -> None:
        """Waits for refreshes under way."""
        await self._shell.landed()
        await self._shell.perform(save_what_is_left(self._parts))
        await self._shell.close()
        self._parts.vault.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _client(self, conversation: Conversation) -> AsyncGrantClient:
        calls = Calls(conversation, self._shell, self._origins)
        return AsyncGrantClient(calls, api_url=self.configuration.api_url)


def _existing(
    refresh_token: str | Secret,
    *,
    access_token: str | Secret | None,
    scopes: str | Iterable[str] | None,
    person: Person | str | None,
    **known: Any,
) -> ExistingTokens:
    if scopes is not None:
        scopes = read_scopes(scopes if isinstance(scopes, str) else " ".join(scopes))
    return ExistingTokens(
        refresh_token=Secret(refresh_token) if isinstance(refresh_token, str) else refresh_token,
        access_token=Secret(access_token) if isinstance(access_token, str) else access_token,
        scopes=scopes,
        person=Person(person) if isinstance(person, str) else person,
        **known,
    )

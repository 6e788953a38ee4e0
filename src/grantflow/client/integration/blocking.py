"""`Integration`: what a program without an event loop uses."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from grantflow.client.callers import AddedCaller, Caller
from grantflow.client.configuration import check_address
from grantflow.client.events import Event
from grantflow.client.flows import brake, lending
from grantflow.client.flows.adopting import adopt, take_in
from grantflow.client.flows.discovering import discover
from grantflow.client.flows.finishing import finish
from grantflow.client.flows.keeping_alive import keep_alive
from grantflow.client.flows.revoking import revoke
from grantflow.client.flows.saving_late import save_before_closing
from grantflow.client.flows.starting import BegunAuthorization, start
from grantflow.client.grant import (
    AccessToken,
    AdoptedGrant,
    Brake,
    CompletedGrant,
    ExistingTokens,
    Grant,
    KeptAlive,
    Person,
    Revocation,
    Status,
)
from grantflow.client.integration.making import ClientSecrets, Made, existing, nobody, real_now
from grantflow.client.shells.blocking import Shell
from grantflow.client.shells.calls import Calls, Conversation
from grantflow.client.shells.clients import GrantClient, bearing
from grantflow.client.shells.wire import Addresses
from grantflow.protocol.metadata import ServerMetadata
from grantflow.protocol.secret import Secret


def server_at(issuer: str, *, transport: Any = None, allow_plain_http: bool = False) -> ServerMetadata:
    """What that server says of itself, asked now. Raises DiscoveryFailed; ValueError where the issuer has no TLS."""
    check_address("issuer", issuer, allow_plain_http=allow_plain_http)
    addresses = Addresses(issuer, (), issuer)
    shell = Shell(now=real_now, monotonic=time.monotonic, addresses=addresses, transport=transport, identify=nobody)
    return shell.perform(discover(issuer))


class Integration(Made):
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

    Safe to share between threads, and between processes over one vault. A refresh goes on where a signal handler raises
    (Ctrl-C, a time limit), so that no answer is lost; a program that ends waits for it. Close it, or use it as a
    context manager, and its connections and its vault are closed; it opens them again when it is used again.
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
        tokens = existing(
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
        time is as good as over, or where it is the one that the API has `rejected`. Where the API rejects new ones as
        well, another is had only after 1, 2, 4, ... 60 seconds; until then it is a TransientTokenError with
        `retry_after`. `actor` is who is given it: then the audit log says so.

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
        """Waits for refreshes that an interrupt has left under way."""
        self._shell.landed()
        try:
            self._shell.perform(save_before_closing(self._parts))
        finally:
            self._shell.close(self._parts.vault.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _client(self, conversation: Conversation) -> GrantClient:
        calls = Calls(conversation, self._shell, self._origins)
        return GrantClient(calls, api_url=self.configuration.api_url)

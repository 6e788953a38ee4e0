"""`AsyncIntegration`: the same names as `Integration`, for asyncio."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
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
from grantflow.client.flows.saving_late import save_before_closing, save_together
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
from grantflow.client.shells.awaiting import AsyncShell
from grantflow.client.shells.calls import Calls, Conversation
from grantflow.client.shells.clients import AsyncGrantClient, bearing
from grantflow.client.shells.wire import Addresses
from grantflow.protocol.secret import Secret


class AsyncIntegration(Made):
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
        shell = AsyncShell(now=real_now, addresses=Addresses(issuer, (), issuer), transport=transport, identify=nobody)
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
        await self._shell.perform(save_together(self._parts))  # before it waits for whoever watches
        await self._shell.landed()
        try:
            await self._shell.perform(save_before_closing(self._parts))
        finally:
            await self._shell.close(self._parts.vault.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _client(self, conversation: Conversation) -> AsyncGrantClient:
        calls = Calls(conversation, self._shell, self._origins)
        return AsyncGrantClient(calls, api_url=self.configuration.api_url)

"""`grantflow platform serve`: a platform alone, or some of its roles."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import timedelta
from shlex import quote
from typing import Annotated, Literal

from cyclopts import Parameter

from grantflow.app import Storage, mint, platform
from grantflow.authorization_server import Settings
from grantflow.cli.addresses import addresses, knows_the_api, public_address, roles_of
from grantflow.cli.configured import read
from grantflow.cli.flags import Data, Json, PortSetting
from grantflow.cli.output import USAGE, Failure, aligned, say, write, write_json
from grantflow.cli.starting import address, bound, held, serve_in_workers
from grantflow.data_directory import DataDirectory
from grantflow.roles import Role
from grantflow.serving import Listener
from grantflow.settings import PlatformSettings, RoleName
from grantflow.web.site import Site, is_loopback

Switch = Annotated[bool | None, Parameter(negative="")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """Those that are settings too, by their names in ``PlatformSettings``; None: not given."""

    host: str | None = None
    port: PortSetting = None
    public_url: str | None = None
    trusted_proxies: Annotated[list[str] | None, Parameter(name="trusted-proxy", negative="")] = None
    role: Annotated[list[RoleName] | None, Parameter(negative="")] = None
    authorization_server_url: str | None = None
    resource_owner_url: str | None = None
    resource_server_url: str | None = None
    developer_portal_url: str | None = None
    workers: int | None = None
    access_token_lifetime: int | None = None
    refresh_token_lifetime: int | None = None
    error_body: Literal["superset", "webex"] | None = None
    token_endpoint_accepts_json: Switch = None
    report_countdown: Switch = None
    revoke_on_sign_out: Switch = None
    sandbox: bool | None = None


_NO_FLAGS = Flags()


def serve(*, flags: Annotated[Flags, Parameter(name="*")] = _NO_FLAGS, data: Data = None, json: Json = False) -> int:
    settings = read(PlatformSettings, **asdict(flags))
    roles, public = roles_of(settings), public_address(settings)
    _refuse_plain_http_beyond_this_machine(settings.host, public)
    directory = DataDirectory.find(data)
    directory.create()
    is_sandbox = directory.sandbox.exists() if settings.sandbox is None else settings.sandbox
    with held(directory, shared=True), ExitStack() as issuing, bound(settings.host, settings.port) as sockets:
        url = public or address("http", settings.host, sockets)
        found = addresses(settings, url=url)
        issuer = f"{found.authorization_server}/v1"
        if Role.AUTHORIZATION_SERVER in roles:
            _warn_of_another_issuer(issuing.enter_context(directory.issuing(issuer)), issuer=issuer)
        form_key = directory.form_key(mint=mint)
        has_people = asyncio.run(_anybody(directory))

        def begin() -> Sequence[Listener]:
            app = platform(
                Storage.open(directory.database),
                _authorization_server(settings, issuer=issuer),
                site=Site(name="Grantflow", base_url=url, sandbox=is_sandbox),
                form_key=form_key,
                roles=roles,
                addresses=found,
            )
            return [Listener(app, sockets, trusted_proxies=settings.trusted_proxies)]

        api_url = f"{found.resource_server}/v1" if knows_the_api(settings) else None

        def on_ready() -> None:
            if json:
                write_json({"platform_url": url, "api_url": api_url, "roles": list(roles), "sandbox": is_sandbox})
            else:
                _show(settings, roles, url=url, api_url=api_url, directory=directory)
            if Role.RESOURCE_OWNER in roles and not has_people:
                say("Nobody can sign in yet. Add the first person:")
                say(f"  grantflow platform person add EMAIL --name NAME --admin --data {quote(str(directory.path))}")

        return serve_in_workers(settings.workers, begin, on_ready=on_ready)


def _show(
    settings: PlatformSettings, roles: Sequence[Role], *, url: str, api_url: str | None, directory: DataDirectory
) -> None:
    rows = [
        ("Platform", url),
        ("Roles", ", ".join(roles) if len(roles) < len(Role) else None),
        ("API", api_url),
        ("Data", str(directory.path)),
        ("Workers", str(settings.workers) if settings.workers > 1 else None),
    ]
    write("\n".join(aligned([(name, told) for name, told in rows if told])))


def _warn_of_another_issuer(other: str | None, *, issuer: str) -> None:
    if other is not None:
        say(
            f"warning: Another process issues tokens from this data as {other}, this one as {issuer}: integrations "
            "that compare the issuer (RFC 9207) refuse one of them. Give both one --public-url, or each its own --data."
        )


def _authorization_server(settings: PlatformSettings, *, issuer: str) -> Settings:
    return Settings(
        issuer=issuer,
        access_token_lifetime=timedelta(seconds=settings.access_token_lifetime),
        refresh_token_lifetime=timedelta(seconds=settings.refresh_token_lifetime),
        report_countdown=settings.report_countdown,
        revoke_on_sign_out=settings.revoke_on_sign_out,
        token_endpoint_accepts_json=settings.token_endpoint_accepts_json,
        webex_error_body=settings.error_body == "webex",
    )


def _refuse_plain_http_beyond_this_machine(host: str, public: str | None) -> None:
    if public is None and not is_loopback(host):
        raise Failure(
            f"On {host} others could reach it over plain http, and read passwords and tokens on the way.",
            fix="Put a server that speaks https before it and name its address: --public-url https://id.example.com. "
            "For this machine alone leave out --host.",
            code=USAGE,
        )


async def _anybody(directory: DataDirectory) -> bool:
    """Whether somebody can sign in. The database is made here, or brought to our schema, once for all workers; and
    closed, so that no connection of it is open when they are forked.
    """
    storage = Storage.open(directory.database)
    try:
        return bool(await storage.people.list(limit=1))
    finally:
        await storage.engine.close()

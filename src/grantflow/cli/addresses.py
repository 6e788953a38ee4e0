"""Where the platform's roles are found, those of this process and those that run elsewhere, from the settings."""

from collections.abc import Collection

from grantflow.cli.output import USAGE, Failure
from grantflow.roles import Addresses, Role
from grantflow.settings import PlatformSettings

#: Whom each role sends people to, so that a process without it must know its address.
_LEADS_TO = {
    Role.AUTHORIZATION_SERVER: (Role.RESOURCE_OWNER,),
    Role.RESOURCE_OWNER: (Role.AUTHORIZATION_SERVER, Role.RESOURCE_SERVER),
    Role.RESOURCE_SERVER: (Role.RESOURCE_OWNER,),
    Role.DEVELOPER_PORTAL: (Role.RESOURCE_OWNER, Role.AUTHORIZATION_SERVER, Role.RESOURCE_SERVER),
}


def roles_of(settings: PlatformSettings) -> tuple[Role, ...]:
    """Those that this process serves: all, unless some are named."""
    return tuple(Role(name) for name in settings.role) or tuple(Role)


def public_address(settings: PlatformSettings) -> str | None:
    """Where the roles of this process are found, if it is said.

    Raises:
        Failure: it is said twice, and differently.
    """
    said = {_flag(role): url for role in roles_of(settings) if (url := _said(settings, role))}
    if settings.public_url:
        said["--public-url"] = settings.public_url
    if len(set(said.values())) > 1:
        raise Failure(
            f"One process answers at one address, and {' and '.join(said)} name different ones.",
            fix="Start a process for each address, with the --role that it serves.",
            code=USAGE,
        )
    return next(iter(said.values()), None)


def knows_the_api(settings: PlatformSettings) -> bool:
    return Role.RESOURCE_SERVER in roles_of(settings) or settings.resource_server_url is not None


def addresses(settings: PlatformSettings, *, url: str) -> Addresses:
    """All of them, from the settings and this process's own, ``url``.

    Raises:
        Failure: one is missing that people will be sent to, or they cannot share a session.
    """
    served = roles_of(settings)
    missing = {
        needed for role in served for needed in _LEADS_TO[role] if not (needed in served or _said(settings, needed))
    }
    if missing:
        raise Failure(
            f"{_named(served)} without the other roles must know where people are sent on to.",
            fix=f"Name it: {', '.join(f'{_flag(role)} URL' for role in Role if role in missing)}",
            code=USAGE,
        )
    found = {role: url if role in served else _said(settings, role) for role in Role}
    person = found[Role.RESOURCE_OWNER] or url
    try:
        return Addresses(  # of whom nobody here is led to, it does not matter where they are
            authorization_server=found[Role.AUTHORIZATION_SERVER] or person,
            resource_owner=person,
            resource_server=found[Role.RESOURCE_SERVER] or person,
            developer_portal=found[Role.DEVELOPER_PORTAL],
        )
    except ValueError as error:
        raise Failure(str(error), code=USAGE) from error


def _said(settings: PlatformSettings, role: Role) -> str | None:
    said: str | None = getattr(settings, f"{role.name.lower()}_url")
    return said


def _flag(role: Role) -> str:
    return f"--{role}-url"


def _named(roles: Collection[Role]) -> str:
    return f"The {' and the '.join(role.replace('-', ' ') for role in roles)}"

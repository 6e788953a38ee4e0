"""`grantflow login`: takes a person through the grant from the terminal (RFC 8252)."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from grantflow.app import clock
from grantflow.cli.configured import read
from grantflow.cli.flags import Data, File, Json, PortSetting, Seconds, Switch
from grantflow.cli.granted import grant_called
from grantflow.cli.output import GRANT_FIRST, INTERRUPTED, OK, Failure, say, say_interrupted, write_json
from grantflow.cli.own import about_of, make, place_of_vault, port_in, redirect_uri_of
from grantflow.cli.reception import SOMEBODY_ELSES, Reception, TimeIsOver
from grantflow.cli.starting import bound, open_browser
from grantflow.client.errors import AccessDenied, AuthorizationResponseError, WrongAccount
from grantflow.client.grant import CompletedGrant
from grantflow.client.integration import Integration
from grantflow.client.pages.about import About
from grantflow.client.pending import LIFETIME
from grantflow.data_directory import DataDirectory
from grantflow.devtls import LOCAL_NAMES, certificates
from grantflow.protocol.redirect_uri import origin
from grantflow.protocol.timestamp import write_timestamp
from grantflow.serving import port_of
from grantflow.settings import IntegrationSettings
from grantflow.web.site import is_loopback

_LONGEST = int(LIFETIME.total_seconds())


def login(
    person: str | None = None,
    /,
    *,
    no_browser: Switch = False,
    port: PortSetting = None,
    scopes: str | None = None,
    timeout: Seconds = _LONGEST,
    env_file: File = None,
    data: Data = None,
    json: Json = False,
) -> int:
    settings = read(IntegrationSettings, env_file)
    directory = DataDirectory.find(data)
    directory.create()
    asked = _Asked(person, scopes, min(timeout, _LONGEST), is_shown=no_browser or not has_display())
    redirect_uri = urlsplit(redirect_uri_of(settings))
    try:
        if redirect_uri.scheme in ("http", "https") and is_loopback(redirect_uri.hostname or ""):
            grant = _by_browser(settings, directory, redirect_uri, port=port, asked=asked)
        else:
            grant = _by_pasting(settings, directory, redirect_uri, asked=asked)
    except KeyboardInterrupt:
        say_interrupted()
        say("Given up; nothing was granted.")
        return INTERRUPTED
    except TimeIsOver:
        seconds = "1 second" if asked.seconds == 1 else f"{asked.seconds} seconds"
        raise Failure(
            f"Nobody answered within {seconds}; nothing was granted.",
            fix="Begin again with: grantflow login",
            code=GRANT_FIRST,
        ) from None
    except AuthorizationResponseError as error:
        raise _not_granted(error) from error
    _tell(grant, json=json, kept_in=place_of_vault(settings, directory))
    return OK


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the command line asks for; `is_shown`: the address is for a browser that the person opens."""

    person: str | None
    scopes: str | None
    seconds: int
    is_shown: bool

    def begin(self, integration: Integration, about: About) -> Reception:
        grant = grant_called(integration, self.person) if self.person else None
        begun = integration.authorization_request(scopes=self.scopes, grant=grant.id if grant else None)
        return Reception(integration, begun, about)


def has_display(environ: Mapping[str, str] | None = None) -> bool:
    """Whether a browser can be shown here: not over ssh, and on Linux within a graphical session."""
    environ = os.environ if environ is None else environ
    if environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"):
        return False
    return bool(sys.platform == "darwin" or environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def _by_browser(
    settings: IntegrationSettings,
    directory: DataDirectory,
    redirect_uri: SplitResult,
    *,
    port: int | None,
    asked: _Asked,
) -> CompletedGrant:
    host = redirect_uri.hostname or ""
    any_port = _takes_any_port(redirect_uri)
    if port is None:
        port = 0 if any_port and not redirect_uri.port else port_in(redirect_uri)
    tls = (
        certificates(directory.certificates, now=clock(), names=LOCAL_NAMES) if redirect_uri.scheme == "https" else None
    )
    with bound(host, port, otherwise=_where_else(redirect_uri, any_port=any_port)) as sockets:
        actual = port_of(sockets)
        here = redirect_uri.geturl() if actual == port_in(redirect_uri) else _at_port(redirect_uri, actual)
        with make(Integration, settings, redirect_uri=here, directory=directory) as integration:
            reception = asked.begin(integration, about_of(settings))
            _show(reception, asked, waits_at=here)
            return reception.wait(sockets, tls=tls.server_context() if tls else None, seconds=asked.seconds)


def _by_pasting(
    settings: IntegrationSettings, directory: DataDirectory, redirect_uri: SplitResult, *, asked: _Asked
) -> CompletedGrant:
    """The answer goes to a redirect URI that is not on this machine, so a person must bring it here."""
    with make(Integration, settings, redirect_uri=redirect_uri.geturl(), directory=directory) as integration:
        reception = asked.begin(integration, about_of(settings))
        _show(reception, asked, waits_at=None)
        for line in filter(None, map(str.strip, sys.stdin)):
            if reception.settle_at_once(line):
                return reception.result()
            say(SOMEBODY_ELSES)
        raise TimeIsOver


def _show(reception: Reception, asked: _Asked, *, waits_at: str | None) -> None:
    url, about = reception.begun.url, reception.about
    if not asked.is_shown and waits_at is not None:
        open_browser(url)
        say(f"The browser opens to grant {about.name} access at {about.platform}. If it does not, open:")
    else:
        say(f"Open this address to grant {about.name} access at {about.platform}:")
    say(f"\n  {url}\n")
    if waits_at is None:
        say("Afterwards paste here the address that the browser was sent to. Ctrl-C gives up.")
    else:
        say(
            f"Waiting for the answer at {waits_at}.\n"
            "If the browser is on another machine and cannot open it, paste here the\n"
            "address that it was sent to. Ctrl-C gives up."
        )


def _takes_any_port(redirect_uri: SplitResult) -> bool:
    """A platform has to, where the redirect URI names the loopback address and not a host (RFC 8252 section 7.3)."""
    try:
        return redirect_uri.scheme == "http" and ip_address(redirect_uri.hostname or "").is_loopback
    except ValueError:
        return False


def _at_port(redirect_uri: SplitResult, port: int) -> str:
    host = f"[{redirect_uri.hostname}]" if ":" in (redirect_uri.hostname or "") else redirect_uri.hostname
    return redirect_uri._replace(netloc=f"{host}:{port}").geturl()


def _where_else(redirect_uri: SplitResult, *, any_port: bool) -> str:
    pages = f"if it is grantflow serve, grant on its pages: {origin(redirect_uri.geturl())}"
    other = ", or where the platform takes any port of a loopback address, add --port 0" if any_port else ""
    return pages + other


def _not_granted(error: AuthorizationResponseError) -> Failure:
    if isinstance(error, AccessDenied):
        return Failure("The person declined; nothing was granted.", code=GRANT_FIRST)
    if isinstance(error, WrongAccount):
        fix = f"Sign in at the platform as {error.expected.called}, or leave out PERSON for a grant of their own."
        return Failure(str(error), fix=fix, code=GRANT_FIRST)
    return Failure(str(error), fix="Begin again with: grantflow login", code=GRANT_FIRST)


def _tell(grant: CompletedGrant, *, json: bool, kept_in: str) -> None:
    if json:
        write_json(
            {
                "grant_id": grant.id,
                "person_id": grant.person_id,
                "email": grant.email,
                "name": grant.display_name,
                "scopes": str(grant.scopes),
                "access_expires_at": write_timestamp(grant.access_expires_at) if grant.access_expires_at else None,
                "vault": kept_in,
            }
        )
        return
    who = f"{grant.called} <{grant.email}>" if grant.email and grant.email != grant.called else grant.called
    say(f"{who} has granted access. The tokens are kept, sealed, in {kept_in}")

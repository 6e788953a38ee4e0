"""`grantflow serve`: the pages of one's own integration, by themselves."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from socket import create_connection, socket
from urllib.parse import SplitResult, urljoin, urlsplit

from starlette.applications import Starlette

from grantflow.app import clock, integration, metrics_of, trace
from grantflow.cli.configured import read
from grantflow.cli.flags import Data, File, Json, Open, OptionalPort, PortSetting, Switch
from grantflow.cli.output import USAGE, Failure, aligned, say, write, write_json
from grantflow.cli.own import about_of, make, place_of_vault, port_in
from grantflow.cli.starting import address, bound, open_browser, serve_until_signal
from grantflow.client.integration import AsyncIntegration
from grantflow.client.pages.assembly import RedirectUriElsewhere
from grantflow.client.pages.mount import CONNECT
from grantflow.client.token_api import TOKEN
from grantflow.client.token_api import token_api as token_api_of
from grantflow.data_directory import DataDirectory
from grantflow.devtls import LOCAL_NAMES, Certificates, certificates
from grantflow.serving import Listener
from grantflow.settings import IntegrationSettings
from grantflow.web.site import Site, is_loopback

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104

#: What the form of --try-it calls for, beside whose form it is.
_TO_POST = ("spark:rooms_read", "spark:messages_write")


def serve(
    *,
    host: str | None = None,
    port: PortSetting = None,
    public_url: str | None = None,
    tls: Switch = False,
    try_it: Switch = False,
    token_api: Switch = False,
    token_api_host: str | None = None,
    token_api_port: OptionalPort = None,
    metrics: Switch = False,
    metrics_host: str | None = None,
    metrics_port: OptionalPort = None,
    env_file: File = None,
    data: Data = None,
    open_: Open = False,
    json: Json = False,
) -> int:
    settings = read(
        IntegrationSettings,
        env_file,
        host=host,
        port=port,
        public_url=public_url,
        token_api=token_api or None,
        token_api_host=token_api_host,
        token_api_port=token_api_port,
        metrics=metrics or None,
        metrics_host=metrics_host,
        metrics_port=metrics_port,
    )
    host, port = _where_to_listen(settings)
    _refuse_plain_http_beyond_this_machine(settings, host=host, tls=tls)
    directory = DataDirectory.find(data)
    directory.create()
    made = certificates(directory.certificates, now=clock(), names=_names(settings, host=host)) if tls else None
    with (
        bound(host, port, otherwise=_another_redirect_uri(settings, port=port)) as sockets,
        _token_api_bound(settings) as token_sockets,
        _metrics_bound(settings) as metrics_sockets,
    ):
        local_url = address("https" if tls else "http", host, sockets)
        base_url = settings.public_url or _home_of(settings.redirect_uri) or local_url
        redirect_uri = settings.redirect_uri or f"{base_url}/oauth"
        client = _client(settings, redirect_uri, base_url=base_url, directory=directory)
        context = made.server_context() if made else None
        listeners = [Listener(_app(client, settings, base_url=base_url, try_it=try_it), sockets, context)]
        if token_sockets:
            listeners.append(Listener(token_api_of(client), token_sockets, context))
        if metrics_sockets:
            listeners.append(Listener(metrics_of(client), metrics_sockets))
        trace(client)
        steps = _steps_to_the_redirect_uri(settings, served_at=local_url)
        if steps:
            _warn_of_a_redirect_uri_elsewhere(redirect_uri, steps, served_at=local_url)
        landing_url = _moved(base_url, to=local_url) if steps else base_url
        if not settings.discovers:
            _warn_of_people_who_cannot_be_known(settings.scopes)
        if try_it:
            _warn_of_a_form_that_cannot_post(settings.scopes)
        _warn_of_a_platform_that_is_away(settings.api_url)
        token_url = _token_url(settings, token_sockets, scheme="https" if tls else "http")
        metrics_url = _metrics_url(settings, metrics_sockets)

        def on_ready() -> None:
            if json:
                authority = str(made.authority) if made else None
                told = {
                    "integration_url": landing_url,
                    "redirect_uri": redirect_uri,
                    "certificate_authority": authority,
                }
                further = {"token_url": token_url, "metrics_url": metrics_url}
                write_json(told | {name: url for name, url in further.items() if url})
            else:
                say(f"The pages of {settings.name}. Ctrl-C stops them.\n")
                elsewhere = ", which is not served here: see the warning" if steps else ""
                rows = [
                    ("Landing page", landing_url),
                    ("Redirect URI", redirect_uri + elsewhere),
                    ("API", settings.api_url),
                ]
                if landing_url != local_url:
                    rows.append(("Served at", local_url))
                if token_url:
                    rows.append(("Token API", f"POST {token_url}"))
                if metrics_url:
                    rows.append(("Metrics", metrics_url))
                write("\n".join(aligned([*rows, ("Vault", place_of_vault(settings, directory))])))
                if words := _last_words(made, elsewhere=bool(steps)):
                    say(words)
            if open_:
                open_browser(landing_url)

        return serve_until_signal(listeners, on_ready=on_ready)


@contextmanager
def _token_api_bound(settings: IntegrationSettings) -> Iterator[Sequence[socket]]:
    """At an address of its own, so that no proxy before the pages leads there by chance; none where none is wanted."""
    if not settings.token_api:
        yield ()
        return
    with bound(settings.token_api_host, settings.token_api_port, flag="--token-api-port") as sockets:
        yield sockets


def _token_url(settings: IntegrationSettings, sockets: Sequence[socket], *, scheme: str) -> str | None:
    return f"{address(scheme, settings.token_api_host, sockets)}{TOKEN}" if sockets else None


@contextmanager
def _metrics_bound(settings: IntegrationSettings) -> Iterator[Sequence[socket]]:
    """At an address of their own, so that no proxy before the pages leads there; none where none are wanted."""
    if not settings.has_metrics:
        yield ()
        return
    with bound(settings.metrics_host, settings.metrics_port, flag="--metrics-port") as sockets:
        yield sockets


def _metrics_url(settings: IntegrationSettings, sockets: Sequence[socket]) -> str | None:
    return f"{address('http', settings.metrics_host, sockets)}/metrics" if sockets else None


def _client(
    settings: IntegrationSettings, redirect_uri: str, *, base_url: str, directory: DataDirectory
) -> AsyncIntegration:
    try:
        grant_url = Site("", base_url).public_url(CONNECT)
    except ValueError as error:
        raise Failure(str(error), code=USAGE) from error
    return make(AsyncIntegration, settings, redirect_uri=redirect_uri, directory=directory, grant_url=grant_url)


def _app(client: AsyncIntegration, settings: IntegrationSettings, *, base_url: str, try_it: bool) -> Starlette:
    behind_proxy = settings.public_url is not None
    try:
        return integration(client, about_of(settings), base_url=base_url, try_it=try_it, behind_proxy=behind_proxy)
    except RedirectUriElsewhere as error:
        raise Failure(
            f"The redirect URI {client.redirect_uri} does not lie below --public-url {base_url}: the platform would "
            "send people to an address that these pages do not serve.",
            fix="Correct --public-url, or register a redirect URI below it at the platform, such as "
            f"{base_url}/oauth, and set GRANTFLOW_REDIRECT_URI to it.",
            code=USAGE,
        ) from error
    except ValueError as error:
        raise Failure(str(error), code=USAGE) from error


def _steps_to_the_redirect_uri(settings: IntegrationSettings, *, served_at: str) -> list[str]:
    """What to do where it is on this machine and these pages are not; behind a proxy it lies elsewhere for good reason,
    and then the public URL says so."""
    redirect_uri = urlsplit(settings.redirect_uri or served_at)
    if settings.public_url is not None or not is_loopback(redirect_uri.hostname or ""):
        return []
    served = urlsplit(served_at)
    steps = []
    if redirect_uri.scheme != served.scheme:
        steps.append("add --tls" if redirect_uri.scheme == "https" else "leave out --tls")
    if port_in(redirect_uri) != port_in(served):
        steps.append(f"give it --port {port_in(redirect_uri)}")
    return steps


def _warn_of_a_redirect_uri_elsewhere(redirect_uri: str, steps: Sequence[str], *, served_at: str) -> None:
    say(
        f"warning: The pages are served at {served_at}, but people come back to {redirect_uri}, where they are not. To "
        f"serve them there, {' and '.join(steps)}. To stay here, register {_moved(redirect_uri, to=served_at)} at the "
        "platform, and set GRANTFLOW_REDIRECT_URI to it."
    )


def _moved(url: str, *, to: str) -> str:
    """The same path at the origin where the pages are served."""
    served = urlsplit(to)
    return urlsplit(url)._replace(scheme=served.scheme, netloc=served.netloc).geturl()


def _where_to_listen(settings: IntegrationSettings) -> tuple[str, int]:
    """Host and port as they are set, or else where people come back to on this machine."""
    host, port, is_set = settings.host, settings.port, settings.model_fields_set
    redirect_uri = _redirect_uri_here(settings)
    if redirect_uri is None or not redirect_uri.port:  # without a port it is a proxy's: few may listen at 443
        return host, port
    if "host" not in is_set and redirect_uri.hostname in ("127.0.0.1", "::1"):
        host = redirect_uri.hostname
    return host, port if "port" in is_set else redirect_uri.port


def _redirect_uri_here(settings: IntegrationSettings) -> SplitResult | None:
    """The one that is set, if it is on this machine and no proxy stands before it."""
    redirect_uri = urlsplit(settings.redirect_uri or "")
    is_here = settings.public_url is None and is_loopback(redirect_uri.hostname or "")
    return redirect_uri if is_here else None


def _another_redirect_uri(settings: IntegrationSettings, *, port: int) -> str:
    """What to do where the port is taken that people come back to: they must come back to another."""
    redirect_uri = _redirect_uri_here(settings)
    if redirect_uri is None or port_in(redirect_uri) != port:
        return ""
    near = port - 1 if port == 65_535 else port + 1
    moved = redirect_uri._replace(netloc=f"{redirect_uri.netloc.removesuffix(f':{port}')}:{near}").geturl()
    return f"register {moved} at the platform too, set GRANTFLOW_REDIRECT_URI to it, and add --port {near}"


def _warn_of_people_who_cannot_be_known(scopes: str) -> None:
    if not {"spark:people_read", "spark:all"} & set(scopes.split()):
        say(
            "warning: GRANTFLOW_SCOPES lacks spark:people_read, without which the API does not tell who has granted: "
            "every grant would end in an error. Add it there, and to the registration at the platform."
        )


def _warn_of_a_form_that_cannot_post(scopes: str) -> None:
    asked = set(scopes.split())
    lacking = [] if "spark:all" in asked else [scope for scope in _TO_POST if scope not in asked]
    if lacking:
        say(
            f"warning: GRANTFLOW_SCOPES lacks {' and '.join(lacking)}, without which the form of --try-it posts "
            "nothing. Add it there, and to the registration at the platform."
        )


def _warn_of_a_platform_that_is_away(api_url: str) -> None:
    """On this machine it would be up within milliseconds; others are not asked."""
    parts = urlsplit(api_url)
    if not is_loopback(parts.hostname or ""):
        return
    try:
        create_connection((parts.hostname, port_in(parts)), timeout=1).close()
    except OSError:
        say(f"warning: Nothing answers at {api_url} now. Start the platform, or correct GRANTFLOW_API_URL.")


def _home_of(redirect_uri: str | None) -> str | None:
    """The folder that it lies in, where the pages must be too."""
    return urljoin(redirect_uri, ".").rstrip("/") if redirect_uri else None


def _names(settings: IntegrationSettings, *, host: str) -> list[str]:
    public = urlsplit(settings.public_url or "").hostname
    own = (host, public, settings.token_api_host if settings.token_api else None)
    return list(dict.fromkeys([*LOCAL_NAMES, *(name for name in own if name and name not in _EVERYWHERE)]))


def _refuse_plain_http_beyond_this_machine(settings: IntegrationSettings, *, host: str, tls: bool) -> None:
    if not tls and settings.public_url is None and not is_loopback(host):
        raise Failure(
            f"On {host} others could reach it over plain http, and read codes on the way.",
            fix="Add --tls, or put a server that speaks https before it and name its address with --public-url.",
            code=USAGE,
        )
    if not tls and settings.token_api and not is_loopback(settings.token_api_host):
        raise Failure(
            f"On {settings.token_api_host} others could read the token API's keys and tokens on the way.",
            fix="Add --tls, or leave out --token-api-host and let callers come over this machine alone.",
            code=USAGE,
        )


def _last_words(made: Certificates | None, *, elsewhere: bool) -> str:
    trust = _how_to_trust(made)
    exactly = "\nThe redirect URI must be registered at the platform exactly like that."
    return trust.removeprefix("\n") if elsewhere else exactly + trust


def _how_to_trust(made: Certificates | None) -> str:
    if made is None:
        return ""
    authority = shlex.quote(str(made.authority))
    rows = [
        (
            "Debian",
            f"sudo cp {authority} /usr/local/share/ca-certificates/grantflow.crt && sudo update-ca-certificates",
        ),
        (
            "macOS",
            "sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain " + authority,
        ),
        ("Firefox", f"Settings, Certificates, Authorities, Import: {authority}"),
        ("curl", f"curl --cacert {authority} ..."),
    ]
    return "\n\nTo trust its certificate, which is good for this machine's own names alone:\n" + "\n".join(
        aligned(rows)
    )

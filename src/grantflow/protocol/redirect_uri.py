"""Redirect URIs: what may be registered, what matches, and how an answer is put on one (RFC 6749 section 3.1.2)."""

import re
from collections.abc import Iterable
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit, urlunsplit

from grantflow.protocol.errors import InvalidRequest

LOOPBACK_ADDRESSES = frozenset({"127.0.0.1", "::1"})
LENGTH_LIMIT = 2000

#: Schemes that a browser or another program acts on by itself; no answer is ever sent there.
_TAKEN = re.compile(
    r"""
      about | blob | data | file | filesystem | jar | javascript | res | resource | shell | vbscript | view-source
    | android-app | chrome | chrome-extension | edge | intent | itms | itms-services | market | moz-extension | opera
    | bitcoin | callto | cid | facetime | facetime-audio | feed | fido | geo | im | magnet | mailto | mid | otpauth
    | sip | sips | sms | tel | urn | webcal | xmpp
    | afp | dav | ftp | ftps | git | imap | irc | ldap | ldaps | news | nfs | nntp | pop | rdp | rsync | rtsp | sftp
    | smb | ssh | svn | telnet | vnc | ws | wss
    | (?: ms- | search-ms | web\+ | x-apple ) .*
    """,
    re.VERBOSE,
)
_SCHEME = re.compile(r"[a-z][a-z0-9+.\-]*")
_AROUND = re.compile(r"^[\s,]+|[\s,]+$")
_NEXT_URI = re.compile(r",\s*(?=[A-Za-z][A-Za-z0-9+.\-]*:)")
#: How an address begins whose scheme was left out; a scheme may look like the name of a host.
_HOST_AND_PORT = re.compile(r"localhost:|[a-z0-9.\-]+:[0-9]+(?=[/?]|$)", re.IGNORECASE)
_LEGAL = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")


def split_redirect_uris(text: str) -> list[str]:
    """Split a comma-separated list (W18).

    A comma is legal inside a URI, so the split is at a comma followed by optional space and a scheme, and at line
    ends; a literal comma before something that looks like a scheme is written %2C.
    """
    parts = (part for line in text.splitlines() for part in _NEXT_URI.split(line))
    return [uri for part in parts if (uri := _AROUND.sub("", part))]


def check_registrable(uri: str, *, strict: bool, sandbox: bool = True) -> list[str]:
    """Check one redirect URI before it is registered; answers warnings for people to read.

    ``strict`` is the profile of RFC 9700; otherwise Webex's habits are allowed (schemes without a period,
    http://localhost). Outside a ``sandbox`` http is for loopback addresses alone in either profile.

    Raises:
        InvalidRequest: it may not be registered; the description says which rule and what to write instead.
    """
    _check_characters(uri)
    if _HOST_AND_PORT.match(uri):
        raise InvalidRequest(f"It has no scheme. Did you mean {_with_scheme(uri, strict=strict)}?")
    parts = _split(uri)
    scheme, host = parts.scheme.lower(), parts.hostname or ""
    if _TAKEN.fullmatch(scheme):
        raise InvalidRequest(
            f"The scheme {scheme}: is never a redirect URI, since other programs act on it; use https, or for an app a "
            "scheme of its own."
        )
    if parts.fragment or "#" in uri:
        raise InvalidRequest("A redirect URI has no fragment (RFC 6749 section 3.1.2); remove '#' and what follows.")
    if parts.username is not None or parts.password is not None:
        raise InvalidRequest("A redirect URI has no user name or password; remove what stands before '@'.")
    if "*" in parts.netloc:
        raise InvalidRequest(
            "A '*' in the host stands for nothing: redirect URIs are compared letter by letter (RFC 9700 section "
            "4.1.3). Register each host by its name."
        )
    if any(segment in {".", ".."} for segment in parts.path.replace("%2e", ".").replace("%2E", ".").split("/")):
        raise InvalidRequest("A redirect URI has no '.' or '..' path segments; write the path they lead to.")
    if scheme == "https":
        _check_host(host)
        _check_path(parts)
        return []
    if scheme == "http":
        _check_http(host, strict=strict, sandbox=sandbox)
        _check_path(parts)
        return [] if sandbox else ["Plain http serves development on this machine only; production needs https."]
    return _check_private_use(scheme, strict=strict)


def _with_scheme(uri: str, *, strict: bool) -> str:
    host, _, rest = uri.partition(":")
    after = f":{rest}" if rest[:1].isdigit() else f"/{rest.lstrip('/')}"
    if host.lower() == "localhost":
        return f"http://{'127.0.0.1' if strict else 'localhost'}{after}"
    return f"{'http' if host in LOOPBACK_ADDRESSES else 'https'}://{host}{after}"


def _check_characters(uri: str) -> None:
    if len(uri) > LENGTH_LIMIT:
        raise InvalidRequest(f"The redirect URI is longer than {LENGTH_LIMIT} characters.")
    if not _LEGAL.fullmatch(uri):
        raise InvalidRequest("The redirect URI holds a space or another character that a URI may not; %-encode it.")


def _split(uri: str) -> SplitResult:
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError as error:
        raise InvalidRequest("The redirect URI cannot be read: its host or port is malformed.") from error
    if not _SCHEME.fullmatch(parts.scheme.lower()):
        raise InvalidRequest("The redirect URI must be absolute: https://host/path or, for an app, scheme://path.")
    return parts


def _check_host(host: str) -> None:
    if not host:
        raise InvalidRequest("The redirect URI has no host; write https://host/path.")


def _check_path(parts: SplitResult) -> None:
    # A host alone reads as if all below it were meant; what counts is the whole address.
    if not parts.path:
        raise InvalidRequest(
            f"The redirect URI has no path; register it whole (RFC 8252 section 8.4), at least with a slash: "
            f"{parts.scheme}://{parts.netloc}/"
        )


def _check_http(host: str, *, strict: bool, sandbox: bool) -> None:
    if host not in LOOPBACK_ADDRESSES and not (host == "localhost" and not strict and sandbox):
        raise InvalidRequest(
            "Plain http is allowed for loopback only (http://127.0.0.1); use https for every other host."
        )


def _check_private_use(scheme: str, *, strict: bool) -> list[str]:
    if "." in scheme:
        return []
    if strict:
        raise InvalidRequest(
            f"The scheme {scheme}: has no period; use a reversed domain name of yours, com.example.app: "
            "(RFC 8252 section 7.1)."
        )
    return [f"Another app on the device can claim {scheme}: too; a reversed domain name is safer (RFC 8252 7.1)."]


def find_registered(presented: str, registered: Iterable[str]) -> str | None:
    """The registered URI that the presented one equals, or None.

    Exact string comparison (RFC 9700 section 4.1.3); sole exception: any port for a loopback address registered
    with http (RFC 8252 section 7.3).
    """
    for uri in registered:
        if presented == uri or _same_but_for_loopback_port(presented, uri):
            return uri
    return None


def _same_but_for_loopback_port(presented: str, registered: str) -> bool:
    try:
        wanted, given = urlsplit(registered), urlsplit(presented)
        port = given.port
    except ValueError:
        return False
    if wanted.scheme != "http" or wanted.hostname not in LOOPBACK_ADDRESSES or not port:
        return False
    host = f"[{wanted.hostname}]" if ":" in wanted.hostname else wanted.hostname
    expected = wanted._replace(netloc=f"{host}:{port}")
    return presented == urlunsplit(expected) and "#" not in presented


def with_parameters(uri: str, parameters: Iterable[tuple[str, str]]) -> str:
    """Add parameters to a redirect URI, keeping its own query; none appears twice (RFC 6749 section 3.1.2)."""
    added = list(parameters)
    names = {name for name, _ in added}
    base, question, query = uri.partition("?")
    kept = [part for part in query.split("&") if part and not _named(part, names)]
    joined = "&".join([*kept, urlencode(added, quote_via=quote, safe="")])
    return f"{base}?{joined}" if joined or question else base


def _named(part: str, names: set[str]) -> bool:
    return any(name in names for name, _ in parse_qsl(part, keep_blank_values=True))


def origin(uri: str) -> str:
    """``scheme://host:port`` of an http(s) URI, ``scheme:`` of any other: what a CSP source and people need."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in {"http", "https"} else f"{parts.scheme}:"

"""Where a person's browser goes when it leaves the platform: in words, and for the browser that must let it."""

from urllib.parse import urlsplit

_ONWARD = {"https": ("https:",), "http": ("http:", "https:")}


def destination(redirect_uri: str) -> str:
    """Where the browser will be sent: the host, or for a private-use scheme the app that claims it (RFC 8252 7.1)."""
    parts = urlsplit(redirect_uri)
    return parts.netloc if parts.scheme in ("http", "https") else f"an app on this device ({parts.scheme}:)"


def form_targets(redirect_uri: str) -> tuple[str, ...]:
    """What the form-action of a page must allow whose form may end at the redirect URI.

    Chromium holds every redirect that follows a form against it, and so also the one by which an integration sends
    people on from its redirect URI, often to another host: it would block that after the code is spent. So beside the
    redirect URI itself the whole scheme is allowed; for plain http, which serves development, https too.
    """
    return (redirect_uri, *_ONWARD.get(urlsplit(redirect_uri).scheme, ()))

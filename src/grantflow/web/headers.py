"""The security headers that every page carries (security-relevant defaults of browsers are not enough)."""

import re
from collections.abc import Iterable
from typing import Literal

from grantflow.protocol.redirect_uri import origin
from grantflow.web.site import Site

ReferrerPolicy = Literal["same-origin", "no-referrer"]

_HOST_SOURCE = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_UNUSED_FEATURES = ("camera", "geolocation", "microphone", "payment", "usb")


def page_headers(
    site: Site, *, form_action: Iterable[str] = (), referrer: ReferrerPolicy = "same-origin"
) -> dict[str, str]:
    """Headers of one HTML page.

    `form_action` lists further addresses that a form on this page may end up at. Chromium applies form-action to the
    redirect that follows a POST too, so the consent page names its redirect URI here, and every page its siblings.
    `referrer` stays `same-origin` on pages with forms: under `no-referrer` their POSTs carry `Origin: null`. So they do
    under `same-origin` where a form leads to a sibling: with siblings, others are told the origin and no more.
    """
    headers = {
        "Content-Security-Policy": content_security_policy((*site.siblings, *form_action)),
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "strict-origin-when-cross-origin"
        if site.siblings and referrer == "same-origin"
        else referrer,
        "Permissions-Policy": ", ".join(f"{feature}=()" for feature in _UNUSED_FEATURES),
        "Cache-Control": "no-store",
    }
    # A browser applies HSTS to every port of a host: on loopback it would lock people out of their other servers.
    if site.https and not site.loopback:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    return headers


def content_security_policy(form_action: Iterable[str] = ()) -> str:
    targets = " ".join(dict.fromkeys(["'self'", *map(form_action_source, form_action)]))
    return (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
        f"form-action {targets}; base-uri 'none'; frame-ancestors 'none'"
    )


def form_action_source(uri: str) -> str:
    """The narrowest CSP source that covers `uri`: its origin, or its scheme where CSP cannot express the host.

    CSP's grammar knows no IPv6 literals and no hosts of private-use schemes (CSP level 3, section 2.3.1), and nothing
    but the characters of a scheme or host may reach the header. Raises ValueError if `uri` has no scheme.
    """
    source = origin(uri)
    scheme = source.partition(":")[0]
    if not _SCHEME.fullmatch(scheme):
        raise ValueError("A form can only lead to an absolute address.")
    return source if _HOST_SOURCE.fullmatch(source) else f"{scheme}:"

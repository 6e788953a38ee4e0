"""Whose word about a client's address is believed: ``X-Forwarded-For`` counts from proxies that were named, else not.

The public address of a site never comes from a header, whoever sends it: it is a setting (RFC 9700 section 4.13).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

from starlette.types import ASGIApp, Receive, Scope, Send

Network: TypeAlias = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class BehindProxies:
    """Lets the app see the client where it would see a trusted proxy."""

    app: ASGIApp
    trusted: Sequence[Network]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["client"]:
            peer, port = scope["client"]
            lines = (value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for")
            client = client_of(peer, lines, trusted=self.trusted)
            scope = {**scope, "client": (client, port if client == peer else 0)}
        await self.app(scope, receive, send)


def client_of(peer: str, forwarded: Iterable[str], *, trusted: Sequence[Network]) -> str:
    """The first address, from the connection backwards, that is no trusted proxy's.

    Each proxy writes at the end whom it was asked by, so what lies before an untrusted address is a stranger's word.
    What is no address ends the search at the proxy that passed it on.
    """
    address = peer
    hops = [hop for line in forwarded for hop in line.split(",")] if _is_one_of(trusted, address) else []
    while hops and _is_one_of(trusted, address):
        hop = _read(hops.pop())
        if hop is None:
            break
        address = str(hop)
    return address


def _is_one_of(trusted: Sequence[Network], address: str) -> bool:
    found = _read(address)
    return found is not None and any(found in network for network in trusted)


def _read(text: str) -> IPv4Address | IPv6Address | None:
    """``192.0.2.1``, ``2001:db8::1``, and both as some proxies write them, with a port: ``[2001:db8::1]:443``."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address

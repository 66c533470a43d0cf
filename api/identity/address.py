# SPDX-License-Identifier: Apache-2.0
"""Where a request comes from: the socket's other end, or who stood before the proxies that the operator trusts.

`X-Forwarded-For` is a list to which each proxy adds whom it heard from. All but what our own proxies wrote was written
by the caller, so it is read from its end, and only where the other end of the socket is one of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

Network = IPv4Network | IPv6Network
_Address = IPv4Address | IPv6Address
_LENGTH_MAX = 64  # of an address with its zone; longer ones must not fill the memory of those that were read
_WITH_PORT = re.compile(r"([0-9.]+):[0-9]+|\[([0-9A-Fa-f:.]+)\](?::[0-9]+)?")  # as some proxies write it
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1"))


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """`10.0.0.0/8`, `2001:db8::/32` or single addresses. Raises `ValueError` for what is none, and for one whose host
    part says that something else was meant."""
    return tuple(ip_network(text.strip()) for text in texts)


def within(address: str, allowed: Iterable[Network]) -> bool:
    """Does the address lie in one of the networks? Nowhere does one that is not known."""
    found = _parse(address)
    return found is not None and any(found in network for network in allowed)


def client_address(scope: Any) -> str:
    """The address that a request comes from, in one spelling; "" where a socket has none."""
    peer = _parse(scope["client"][0]) if scope.get("client") else None
    if peer is None:
        return ""
    trusted = scope["litestar_app"].state.world.settings.trusted_proxies
    if not _in(peer, trusted):
        return str(peer)
    said = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for").decode("latin-1")
    for hop in reversed(said.split(",")):
        found = _hop(hop.strip())
        if found is None:  # nothing, or what no proxy of ours writes: the last that is known
            break
        peer = found
        if not _in(found, trusted):
            break
    return str(peer)


def household(address: str) -> str:
    """What one caller has at least: an IPv4 address, or the 64 bits of an IPv6 address that a line is given."""
    found = _parse(address)
    if isinstance(found, IPv6Address):
        return str(IPv6Network((found, 64), strict=False))
    return str(found or "")


def _hop(text: str) -> _Address | None:
    """Read without its port: else every caller would be taken for the proxy, which keys may be bound to."""
    match = _WITH_PORT.fullmatch(text)
    return _parse(text if match is None else match[1] or match[2])


def _in(address: _Address, found: Iterable[Network]) -> bool:
    return any(address in network for network in found)


def _parse(text: str) -> _Address | None:
    return _read(text) if len(text) <= _LENGTH_MAX else None


@lru_cache(4096)
def _read(text: str) -> _Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.scope_id is not None:
            return IPv6Address(int(address))
    return address

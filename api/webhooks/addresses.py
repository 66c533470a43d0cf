# SPDX-License-Identifier: Apache-2.0
"""Where a message may be sent. Whoever names an address makes this machine knock there, from inside its network.

So a name is resolved once, every address that it stands for must be a public one, and it is one of these addresses that
is connected to: a name that points elsewhere a moment later gains nothing (RFC 6890 for what is not public).
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import urlsplit

URL_MAX = 500
PORT_OWN_MIN = 1024  # below it are other services than the web's two
TRIED_MAX = 2  # of a name's addresses
LOOK_UPS_MAX = 32  # at once, some of them of name servers that keep half a minute silent

_CLOSED_V4 = [
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
    )
]
_GLOBAL_V6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")  # stands for the IPv4 address in its last four bytes
_CLOSED_V6 = [  # within 2000::/3: Teredo, benchmarks, ORCHID and other protocols, documentation, 6to4
    ip_network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
]


class NoPublicAddress(Exception):
    """The name stands for nothing, or for something within. Which of the two is not told: it would map the network."""


class Target(NamedTuple):
    """An address taken apart. `path` is what is asked for, with its query."""

    tls: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The Host header."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == (443 if self.tls else 80) else f"{name}:{self.port}"


def parse(url: str, *, private: bool = False) -> Target:
    """Raises `ValueError` for what messages are not sent to. With `private`, http and any address and port will do."""
    if not (url.isascii() and url.isprintable()) or " " in url or "\\" in url or len(url) > URL_MAX:
        raise ValueError("printable ASCII without spaces")
    parts = urlsplit(url)
    if parts.scheme != "https" and not (private and parts.scheme == "http"):
        raise ValueError("https")
    if "@" in parts.netloc or "#" in url:
        raise ValueError("no user, password or fragment")
    tls = parts.scheme == "https"
    port = parts.port if parts.port is not None else (443 if tls else 80)
    host = (parts.hostname or "").rstrip(".")
    if not host or "%" in host or any(len(label) > 63 for label in host.split(".")):
        raise ValueError("a host")
    if not private:
        if port != 443 and port < PORT_OWN_MIN:
            raise ValueError("port 443, or 1024 and above")
        numeric = _numeric(host)
        if numeric is not None and not is_public(numeric):
            raise ValueError("a public address")
    query = f"?{parts.query}" if parts.query else ""
    return Target(tls, host, port, (parts.path or "/") + query)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """May anybody on the Internet be told to connect there?"""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _CLOSED_V4)
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    if address in _NAT64:
        return is_public(IPv4Address(address.packed[12:]))
    return address in _GLOBAL_V6 and not any(address in network for network in _CLOSED_V6)


def _numeric(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a host already is, also where it is written as resolvers take it (`127.1`, `0x7f000001`)."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


class Resolver:
    """Looks names up in threads of its own, for everybody (`whose`) one name at a time: a name server that does not
    answer, asked again and again, keeps nobody else's work waiting."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOK_UPS_MAX, "jifen-names")
        self._asked: dict[str, asyncio.Future[list[str]]] = {}

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def addresses(self, target: Target, *, private: bool = False, whose: str = "") -> list[str]:
        """The addresses to connect to. Raises `NoPublicAddress` where one of all that there are is not public."""
        while (before := self._asked.get(whose)) is not None:
            await asyncio.wait([before])
        loop = asyncio.get_running_loop()
        asked = self._asked[whose] = loop.run_in_executor(self._threads, self._look_up, target.host, target.port)
        asked.add_done_callback(lambda done: self._answered(whose, done))
        try:
            found = await asyncio.shield(asked)  # whoever gives up waiting has a thread until it comes back
        except (OSError, UnicodeError):
            raise NoPublicAddress from None
        if not found or not (private or all(is_public(ip_address(one.partition("%")[0])) for one in found)):
            raise NoPublicAddress
        return found[:TRIED_MAX]

    def _answered(self, whose: str, asked: asyncio.Future[list[str]]) -> None:
        del self._asked[whose]
        if not asked.cancelled():
            asked.exception()  # perhaps nobody is there any more to hear of it

    def _look_up(self, host: str, port: int) -> list[str]:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(row[4][0]) for row in rows))

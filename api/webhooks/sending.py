# SPDX-License-Identifier: Apache-2.0
"""One message to one address: how it went, and nothing else of what the other side says.

No redirect is followed, no proxy asked, no cookie kept, and of the answer only its head is read: the receiver decides
nothing here but a status, and how long to wait.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import httptools

from api.settings import software_version
from api.webhooks.addresses import NoPublicAddress, Resolver, Target

SECONDS = 10.0  # for all of it, from the look-up of the name to the end of the answer's head
HEAD_MAX = 16 * 1024
WAIT_MAX_S = 12 * 3600

DELIVERED, GONE, REDIRECTED, REFUSED = "delivered", "gone", "redirected", "refused"
TIMED_OUT, NO_CONNECTION, BAD_TLS, NOT_HTTP = "timed_out", "no_connection", "bad_tls", "not_http"
NO_ADDRESS = "no_public_address"
_NotHttp = (httptools.HttpParserError, httptools.HttpParserUpgrade)


class Sent(NamedTuple):
    """How it went. `status` is 0 where there was no answer; `wait_s` what a 429 or 503 asked for; `ms` it took."""

    outcome: str
    status: int = 0
    wait_s: int = 0
    ms: int = 0


async def send(
    target: Target,
    headers: Mapping[str, str],
    body: bytes,
    resolver: Resolver,
    *,
    private: bool,
    whose: str = "",
    seconds: float = SECONDS,
) -> Sent:
    """POST `body`. `whose` endpoint it is sent to, of which one name is looked up at a time. Never raises for what the
    other side does."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(seconds):
            addresses = await resolver.addresses(target, private=private, whose=whose)
            sent = await _send(target, headers, body, addresses)
    except NoPublicAddress:
        sent = Sent(NO_ADDRESS)
    except TimeoutError:
        sent = Sent(TIMED_OUT)
    except ssl.SSLError:
        sent = Sent(BAD_TLS)
    except OSError:
        sent = Sent(NO_CONNECTION)
    except _NotHttp:
        sent = Sent(NOT_HTTP)
    return sent._replace(ms=int((time.monotonic() - began) * 1000))


async def _send(target: Target, headers: Mapping[str, str], body: bytes, addresses: list[str]) -> Sent:
    reader, writer = await _connect(target, addresses)
    try:
        said = {
            "Host": target.authority,
            "User-Agent": f"jifen/{software_version()}",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Connection": "close",
            **headers,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in said.items())
        writer.write(f"POST {target.path} HTTP/1.1\r\n{lines}\r\n".encode("ascii") + body)
        await writer.drain()
        return await _answer(reader)
    finally:
        writer.transport.abort()  # nothing more is expected, and a polite end could be made to last


async def _connect(target: Target, addresses: list[str]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """To the first of these addresses that takes the connection; the certificate is the name's all the same."""
    tls: dict[str, Any] = {"ssl": _tls(), "server_hostname": target.host} if target.tls else {}
    for number, address in enumerate(addresses, 1):
        try:
            return await asyncio.open_connection(address, target.port, limit=HEAD_MAX, **tls)
        except ssl.SSLError:
            raise
        except OSError:
            if number == len(addresses):
                raise
    raise NoPublicAddress


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


async def _answer(reader: asyncio.StreamReader) -> Sent:
    head = _Head()
    left = HEAD_MAX
    while not head.status:
        piece = await reader.read(4096)
        left -= len(piece)
        if not piece or left < 0:
            return Sent(NOT_HTTP)
        try:
            head.parser.feed_data(piece)
        except _NotHttp:
            if not head.status:  # what follows a complete head does not matter
                raise
    return head.sent()


class _Head:
    """The final answer's head; the `on_…` methods are httptools' callbacks."""

    def __init__(self) -> None:
        self.status = 0
        self._wait = b""
        self.parser: Any = httptools.HttpResponseParser(self)

    def on_message_begin(self) -> None:
        self._wait = b""

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after" and not self.status:
            self._wait = value

    def on_headers_complete(self) -> None:
        status = self.parser.get_status_code()
        if status >= 200 and not self.status:  # 1xx: the answer is still to come
            self.status = status

    def sent(self) -> Sent:
        status = self.status
        if status < 300:
            return Sent(DELIVERED, status)
        if status == 410:
            return Sent(GONE, status)
        if status < 400:
            return Sent(REDIRECTED, status)
        wait = self._wait.strip()
        asked = status in (429, 503) and wait.isdigit() and len(wait) < 9
        return Sent(REFUSED, status, min(int(wait), WAIT_MAX_S) if asked else 0)

# SPDX-License-Identifier: Apache-2.0
"""Bounds on a connection: how large a request's head may be, how long it may take to arrive, how slowly an answer may
be read, and how many one address may keep open. uvicorn with httptools has none of them, so one caller could fill the
memory, or hold connections for ever without saying or reading anything."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.identity.address import LOOPBACK, Network, household, within

HEAD_MAX = 32 * 1024  # request line and headers together
ARRIVE_S = 120.0  # from the first byte to the last; ten megabytes over a slow line
READ_S, READ_LEAST = 30.0, 64 * 1024  # of an answer that waits, so many bytes in so many seconds
PEER_MAX = 256  # connections of one address to one process; an office behind one address has fewer
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class _HeadTooLarge(Exception):
    pass


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol, which hangs up on heads that are too large, requests that do not arrive, answers that are not
    read, and addresses that take all connections for themselves."""

    open: ClassVar[int] = 0  # connections of this process
    trusted: ClassVar[tuple[Network, ...]] = ()  # proxies, behind which are many
    _peers: ClassVar[Counter[str]] = Counter()

    _within = False  # a head
    _parsed = _received = 0  # its bytes: as lines that are complete, and as they came in after the first piece
    _late: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _peer = ""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        BoundedHttp.open += 1
        self._peer = household(self.client[0]) if self.client else ""
        self._peers[self._peer] += 1
        if (
            self._peers[self._peer] > PEER_MAX
            and self.client
            and not within(self.client[0], (*LOOPBACK, *self.trusted))
        ):
            transport.abort()
            return
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        self._read()
        BoundedHttp.open -= 1
        self._peers[self._peer] -= 1
        if not self._peers[self._peer]:
            del self._peers[self._peer]
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._read()
        self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self._read()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._within:
            self._received += len(data)  # httptools keeps a line to itself until it is complete
            if self._received > HEAD_MAX:
                self._hang_up()
                return
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        if self._parsed > HEAD_MAX:
            self._hang_up()
        else:
            super().send_400_response(msg)

    def on_message_begin(self) -> None:
        self._within, self._parsed, self._received = True, 0, 0
        self._wait()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + 4)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._within = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._arrived()
        super().on_message_complete()

    def _count(self, length: int) -> None:
        self._parsed += length
        if self._parsed > HEAD_MAX:
            raise _HeadTooLarge  # the parser stops, and uvicorn asks for `send_400_response`

    def _hang_up(self) -> None:
        self.transport.write(_TOO_LARGE)
        self.transport.close()

    def _wait(self) -> None:
        self._arrived()
        self._late = self.loop.call_later(ARRIVE_S, self.transport.close)

    def _arrived(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _watch(self, waits: int) -> None:
        self._unread = self.loop.call_later(READ_S, self._reading, waits)

    def _reading(self, waited: int) -> None:
        waits = self.transport.get_write_buffer_size()
        if waited - waits < READ_LEAST:
            self.transport.abort()
        else:
            self._watch(waits)

    def _read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

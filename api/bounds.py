# SPDX-License-Identifier: Apache-2.0
"""Bounds on a request before it is one: how large its head may be, how long it may take to arrive. uvicorn with
httptools has neither, so one connection could fill the memory, or stay open for ever without saying anything."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_MAX = 32 * 1024  # request line and headers together
ARRIVE_S = 120.0  # from the first byte to the last; ten megabytes over a slow line
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class _HeadTooLarge(Exception):
    pass


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol, which hangs up on heads that are too large and on requests that do not arrive."""

    _within = False  # a head
    _parsed = _received = 0  # its bytes: as lines that are complete, and as they came in after the first piece
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        super().connection_lost(exc)

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

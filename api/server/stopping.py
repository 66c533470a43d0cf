# SPDX-License-Identifier: Apache-2.0
"""Going down in good order: SIGTERM first closes the door to new requests (503 `shutting_down`), and ends the server
once every connection has heard of it, or after a few seconds. What is under way and what is queued is finished.

uvicorn alone would close its idle connections at once, and a request that was just on its way on one of them would be
lost without a word. With no connection open nothing is waited for.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

log = logging.getLogger("jifen.server")

DRAIN_S = 3.0  # as long as a proxy may take to see that `/ready` says no, and not much more
_LOOK_S = 0.05


class Stopping:
    """Takes SIGTERM over from the server that runs this application, and hands it back when the door is closed."""

    def __init__(self, stopping: asyncio.Event, connections: Callable[[], int]) -> None:
        """`stopping` is set first; `connections` counts those that are open."""
        self._stopping = stopping
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._server: Any = signal.signal(signal.SIGTERM, self._asked)
        self._draining: asyncio.Task[None] | None = None

    def _asked(self, number: int, _frame: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self._start, number)

    def _start(self, number: int) -> None:
        if self._draining is None:  # else told twice: by whoever stops the service, and by the process that started us
            self._stopping.set()
            self._draining = asyncio.create_task(self._drain(number))

    async def _drain(self, number: int) -> None:
        log.info("told to stop; %d connections are open", self._connections())
        until = self._loop.time() + DRAIN_S
        while self._connections() and self._loop.time() < until:
            await asyncio.sleep(_LOOK_S)
        self._hand_on(number)

    def _hand_on(self, number: int) -> None:
        if callable(self._server):
            self._server(number, None)

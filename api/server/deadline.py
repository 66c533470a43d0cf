# SPDX-License-Identifier: Apache-2.0
"""How long an answer may take. Whoever has waited a minute has usually gone; what still waits for a lock or a disk
is given up, so that it holds neither memory nor a connection.

One look a second at all that runs, instead of a timer for every request: a timer costs more than many an answer.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any

from ledger.errors import Unavailable

USUAL_S = 60.0
DEAR_S = 600.0  # a county's list, a back-test, five thousand awards
DEAR_UNITS = 20
LOOK_S = 1.0
_GIVEN_UP = -1.0


class Deadline:
    """An ASGI application around another, which answers `took_too_long` where that one does not answer in time."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._until: dict[asyncio.Task[Any] | None, float] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if self._loop is not loop:
            self._loop = loop
            loop.call_later(LOOK_S, self._look, loop)
        self._until[task] = loop.time() + USUAL_S
        scope["deadline"] = self
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if task is None or self._until.get(task) != _GIVEN_UP:
                raise
            task.uncancel()
            if not scope.get("answered"):  # half an answer cannot be taken back: then the server hangs up
                await _too_late(scope, receive, send)
        finally:
            self._until.pop(task, None)

    def extend(self, seconds: float) -> None:
        """From now on, for the request that runs here."""
        self._until[asyncio.current_task()] = asyncio.get_running_loop().time() + seconds

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task, until in self._until.items():
            if _GIVEN_UP < until < now and task is not None:
                self._until[task] = _GIVEN_UP
                task.cancel()
        loop.call_later(LOOK_S, self._look, loop)


def extend(scope: Any, cost: int, *, endless: bool) -> None:
    """Give a dear operation ten minutes; one that is not meant to end all the time there is."""
    if endless or cost >= DEAR_UNITS:
        scope["deadline"].extend(math.inf if endless else DEAR_S)


async def _too_late(scope: Any, receive: Any, send: Any) -> None:
    from litestar import Request  # here: the command line comes by this file and starts without it

    from api import problems

    request = Request[Any, Any, Any](scope, receive, send)
    said = problems.answer(request, Unavailable("took_too_long", retry_after=5))
    await said.to_asgi_response(None, request)(scope, receive, send)

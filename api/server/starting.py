# SPDX-License-Identifier: Apache-2.0
"""Opening a deployment whose database may not be there yet: after a power cut, or when both are started at once."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress

from api.world import NotReady, World
from ledger.store import StoreLost

log = logging.getLogger("jifen.server")

_PAUSES_S = (0.2, 0.5, 1.0, 2.0)  # the last one again and again
_SAY_EVERY_S = 30.0


async def open_when_there(world: World, patience_s: float = float("inf")) -> None:
    """Open `world` as soon as its database answers. Raises `StoreLost` when it has not within `patience_s`, and
    `NotReady` for what waiting does not mend, or when the server is told to stop meanwhile."""
    started = time.monotonic()
    said = -_SAY_EVERY_S
    tries = 0
    while True:
        try:
            await world.open()
            return
        except StoreLost:
            waited = time.monotonic() - started
            if waited >= patience_s:
                raise
            if waited - said >= _SAY_EVERY_S:
                said = waited
                log.warning("the database does not answer; waiting for it since %d s", waited)
        with suppress(TimeoutError):
            await asyncio.wait_for(world.stopping.wait(), _PAUSES_S[min(tries, len(_PAUSES_S) - 1)])
            raise NotReady("told to stop while waiting for the database")
        tries += 1

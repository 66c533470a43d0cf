# SPDX-License-Identifier: Apache-2.0
"""What happens in public, as it happens: checkpoints signed, editions published, packs adopted.

Nothing is kept for it: events are read from what is published anyhow, by one reader for all listeners of a process and
only while there are any. A checkpoint counts as of its last entry, and only the newest of a journal is told.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import suppress
from typing import Any, NamedTuple

from ledger import note
from ledger.engine import Ledger
from ledger.errors import Unavailable
from rules.lists.model import PUBLIC

log = logging.getLogger("jifen.feed")

LOOK_S = 1.0
LISTENERS_MAX = 200  # of a process
FROM_ONE_ADDRESS_MAX = 5
QUEUE_MAX = 1_000  # events that a listener may lag behind; a county's journals all at once
# Between when something is said to have happened and when everybody can see it lie a commit, or a signature. Who asks
# for pages waits that long, so that nothing comes in behind the cursor; a stream goes back, and says things twice.
SETTLED_US = 5_000_000
OVERLAP_US = 60_000_000

CHECKPOINT, EDITION, PACK = "checkpoint.published", "edition.published", "pack.adopted"


class PublicEvent(NamedTuple):
    """`at` in µs; (at, type, key) tells it from all others and says where it stands among them."""

    at: int
    type: str
    key: str
    data: dict[str, Any]

    @property
    def place(self) -> tuple[int, str, str]:
        return self.at, self.type, self.key


Queue = asyncio.Queue[PublicEvent | None]


class Feed:
    """The public events of one deployment, and who listens to them in this process. `stopping` ends all listening."""

    def __init__(self, ledger: Ledger, stopping: asyncio.Event) -> None:
        self._ledger = ledger
        self._stopping = stopping
        self._listeners: dict[Queue, str] = {}
        self._reader: asyncio.Task[None] | None = None

    async def since(self, after: tuple[int, str, str], until: int = 2**62) -> list[PublicEvent]:
        """The events that come behind this one, in their order, those before the instant `until`."""
        at = after[0]
        found = [*await self._checkpoints(at), *await self._editions(at), *await self._packs(at)]
        return sorted((one for one in found if one.place > after and one.at < until), key=lambda one: one.place)

    # listening -------------------------------------------------------------------------------------------------

    def join(self, address: str) -> Queue:
        """From now on events are put into this queue; None at the end, and where a listener lags too far behind.
        Raises `listeners_full`."""
        here = Counter(self._listeners.values())
        if self._stopping.is_set():
            raise Unavailable("shutting_down", retry_after=5)
        if len(self._listeners) >= LISTENERS_MAX or here[address] >= FROM_ONE_ADDRESS_MAX:
            raise Unavailable("listeners_full", retry_after=60)
        queue: Queue = asyncio.Queue(QUEUE_MAX)
        self._listeners[queue] = address
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read())
        return queue

    def leave(self, queue: Queue) -> None:
        self._listeners.pop(queue, None)

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            with suppress(asyncio.CancelledError):
                await self._reader

    async def _read(self) -> None:
        """Look for what is new until nobody listens any more."""
        try:
            told = {one.place for one in await self.since((self._ledger.clock() - OVERLAP_US, "", ""))}
            sizes = await self._sizes()
            while self._listeners:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), LOOK_S)
                    return
                before, sizes = sizes, await self._sizes()
                moved = [journal for journal, size in sizes.items() if before.get(journal) != size]
                at = self._ledger.clock() - OVERLAP_US
                found = [*await self._checkpoints(0, moved), *await self._editions(at), *await self._packs(at)]
                fresh = sorted((one for one in found if one.place not in told), key=lambda one: one.place)
                told = {place for place in told if place[0] >= at} | {one.place for one in fresh}
                for one in fresh:
                    self._tell(one)
        except Exception as error:  # the database is away: listeners come again, and are told what they missed
            log.warning("feed: %s", type(error).__name__)
        finally:
            for queue in self._listeners:
                _end(queue)

    def _tell(self, event: PublicEvent) -> None:
        for queue in list(self._listeners):
            try:
                queue.put_nowait(event)
            except asyncio.QueueFull:
                self.leave(queue)
                _end(queue)

    # what is published -----------------------------------------------------------------------------------------

    async def _sizes(self) -> dict[str, int]:
        return dict(await self._ledger.fetch("SELECT journal, MAX(size) FROM checkpoint GROUP BY journal"))

    async def _checkpoints(self, at: int, journals: list[str] | None = None) -> list[PublicEvent]:
        """The newest checkpoint of each journal (of these) whose last entry is not older than `at`."""
        if journals == []:
            return []
        rows = await self._ledger.fetch(
            "SELECT c.journal, c.note, e.recorded_at FROM checkpoint c JOIN "
            "(SELECT journal, MAX(size) AS size FROM checkpoint GROUP BY journal) n "
            "ON n.journal = c.journal AND n.size = c.size "
            "JOIN entry e ON e.journal = c.journal AND e.seq = c.size - 1 WHERE e.recorded_at >= ?",
            at,
        )
        wanted = None if journals is None else set(journals)
        found: list[PublicEvent] = []
        for journal, text, recorded_at in rows:
            if wanted is None or journal in wanted:
                point = note.parse_checkpoint(note.parse_note(text.encode()).text)
                data = {"journal": journal, "size": point.size, "root": point.root.hex()}
                found.append(PublicEvent(recorded_at, CHECKPOINT, f"{journal}/{point.size}", data))
        return found

    async def _editions(self, at: int) -> list[PublicEvent]:
        marks = ", ".join("?" * len(PUBLIC))
        rows = await self._ledger.fetch(
            "SELECT id, list, period, place, version, corrects, published_at FROM edition "
            f"WHERE state IN ({marks}) AND published_at >= ?",
            *sorted(PUBLIC),
            at,
        )
        names = ("id", "list", "period", "place", "version")
        return [
            PublicEvent(row[6], EDITION, row[0], {**dict(zip(names, row[:5], strict=True)), "corrects": row[5] or None})
            for row in rows
        ]

    async def _packs(self, at: int) -> list[PublicEvent]:
        rows = await self._ledger.fetch(
            "SELECT id, version, hash, effective_from, published_at FROM pack WHERE published_at >= ?", at
        )
        names = ("id", "version", "hash", "effective_from")
        return [PublicEvent(row[4], PACK, row[2], dict(zip(names, row[:4], strict=True))) for row in rows]


def _end(queue: Queue) -> None:
    """Make room for the end, and put it there."""
    while queue.full():
        queue.get_nowait()
    queue.put_nowait(None)

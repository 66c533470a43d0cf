# SPDX-License-Identifier: Apache-2.0
"""Delivering: of several server processes one at a time, every endpoint on its own, every journal in its order.

A cursor moves when the receiver has answered 2xx, in a commit that checks that it still stands where it stood. So an
event may come twice (a crash between answer and commit, a lease that ran out) and is never left out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import orjson

from api.tables import WEBHOOK, WEBHOOK_CURSOR, WEBHOOK_TRY, WORK_LEASE
from api.webhooks import events, signing
from api.webhooks.addresses import parse
from api.webhooks.endpoints import DISABLED, Endpoint, Rows, Webhooks
from api.webhooks.sending import DELIVERED, GONE, Sent, send
from ledger.engine import Ledger
from ledger.errors import Unavailable
from ledger.port import Answer
from ledger.tables import Key, Row, Table
from ledger.view import View

log = logging.getLogger("jifen.webhooks")

# Pauses after the 1st, 2nd, … failure of one event, in seconds; after the last of them the endpoint is given up. About
# five days, so that a receiver that breaks on a Friday evening is put right on Monday.
PAUSES_S = (5, 60, 300, 1800, 7200, 18_000, 36_000, *[43_200] * 8)
JITTER = 0.2
RESTS_S = (5, 10, 20, 40, 80, 160, 300)  # of an endpoint, after failures in a row at whichever journal
LEASE, LEASE_US = "webhooks", 30_000_000
SENDING_MAX = 64  # at once, of all endpoints
UNSAVED_MAX = 2_000  # entries passed over before that is written down

OWNER_ENDED, FAILING = "owner_ended", "failing"


@dataclass(slots=True)
class Cursor:
    """`stored` is where the row stands, `seq` how far was looked; the rest as in the row."""

    stored: int = 0
    seq: int = 0
    tries: int = 0
    since: int = 0
    next_at: int = 0


@dataclass(frozen=True, slots=True)
class Moved(Rows):
    """What a try leaves behind: the try, the cursor's new row if it still stood at `stored`, and why the endpoint ends
    if it does. The answer's value: may the sender go on, because nobody else has changed endpoint or cursor?"""

    webhook: str
    version: int
    stored: int
    cursor: Row
    tried: Row | None = None
    reason: str = ""

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield WEBHOOK, (self.webhook,)
        yield WEBHOOK_CURSOR, self.cursor[:2]

    def decide(self, view: View) -> Answer:
        row = view.get(WEBHOOK, self.webhook)
        if row is None:
            return Answer(value=False)
        if self.tried is not None:
            view.insert(WEBHOOK_TRY, self.tried)
        there = view.get(WEBHOOK_CURSOR, *self.cursor[:2])
        if (there[2] if there is not None else 0) != self.stored:
            return Answer(value=False)
        view.put(WEBHOOK_CURSOR, self.cursor)
        was = Endpoint.of(row)
        same = was.version == self.version
        if same and self.reason:
            view.put(WEBHOOK, _ended(was, self.reason))
        return Answer(value=same and not self.reason)


@dataclass(frozen=True, slots=True)
class End(Rows):
    """Tell an endpoint nothing more, unless it was changed since it was seen."""

    webhook: str
    version: int
    reason: str

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield WEBHOOK, (self.webhook,)

    def decide(self, view: View) -> Answer:
        row = view.get(WEBHOOK, self.webhook)
        if row is not None and Endpoint.of(row).version == self.version:
            view.put(WEBHOOK, _ended(Endpoint.of(row), self.reason))
        return Answer()


def _ended(was: Endpoint, reason: str) -> Row:
    return was.but(state=DISABLED, reason=reason, version=was.version + 1).row()


@dataclass(frozen=True, slots=True)
class Lease(Rows):
    """Take, keep or (`lasts` 0) give back the right to work; the value is until when it is held, 0 where it is not."""

    holder: str
    lasts: int = LEASE_US

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield WORK_LEASE, (LEASE,)

    def decide(self, view: View) -> Answer:
        row = view.get(WORK_LEASE, LEASE)
        if row is not None and row[1] != self.holder and view.now_us < row[2] <= view.now_us + LEASE_US:
            return Answer(value=0)
        until = view.now_us + self.lasts
        view.put(WORK_LEASE, (LEASE, self.holder, until))
        return Answer(value=until if self.lasts else 0)


def _unheard(_outcome: str) -> None:
    pass


async def backlog(ledger: Ledger) -> tuple[int, int]:
    """How many entries lie behind events that receivers would not take, and for how long the oldest has waited, µs."""
    rows = await ledger.fetch(
        "SELECT SUM(h.size - c.seq), MIN(c.since) FROM webhook_cursor c JOIN webhook w ON w.id = c.webhook "
        "JOIN head h ON h.journal = c.journal WHERE c.tries > 0 AND w.state = 'active'"
    )
    count, since = rows[0]
    return (int(count), max(0, ledger.clock() - since)) if count else (0, 0)


async def post(hooks: Webhooks, endpoint: Endpoint, message: str, body: bytes) -> Sent:
    """Sign and send one message."""
    headers = signing.headers(message, hooks.ledger.clock() // 1_000_000, body, hooks.secrets(endpoint))
    target = parse(hooks.url(endpoint), private=True)  # was checked; the setting may have changed since
    return await send(target, headers, body, hooks.resolver, private=hooks.private, whose=endpoint.id)


class Deliverer:
    """One process's part in delivering. `tick` starts what is due and does not wait for it."""

    def __init__(self, hooks: Webhooks, counted: Callable[[str], None] | None = None) -> None:
        """`counted` hears of every try: `delivered`, `failed`, or `disabled` where it was the last."""
        self.hooks = hooks
        self.ledger = hooks.ledger
        self.done = 0  # events delivered
        self._counted = counted or _unheard
        self._holder = self.ledger.secret_id("prc")
        self._until = 0
        self._versions: dict[str, int] = {}
        self._cursors: dict[str, dict[str, Cursor]] = {}
        self._concerned: dict[str, tuple[int, int, list[str]]] = {}
        self._rests: dict[str, tuple[int, int]] = {}  # failures in a row, and until when it rests
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._sending = asyncio.Semaphore(SENDING_MAX)

    async def tick(self) -> int:
        """How many endpoints there was something to do for."""
        endpoints = await self.hooks.active()
        if not endpoints or not await self._lead():
            return 0
        sizes: dict[str, int] = dict(await self.ledger.fetch("SELECT journal, size FROM head"))
        self._forget(self._versions.keys() - {endpoint.id for endpoint in endpoints})
        started = 0
        for endpoint in endpoints:
            if endpoint.id in self._busy:
                continue
            if due := await self._due(endpoint, sizes):
                started += 1
                self._busy[endpoint.id] = asyncio.create_task(self._work(endpoint, {j: sizes[j] for j in due}))
        return started

    async def drain(self) -> None:
        """Wait for what was started."""
        while self._busy:
            await asyncio.wait(self._busy.values(), timeout=LEASE_US / 6_000_000)
            await self._lead()

    async def close(self) -> None:
        """Break off what runs, and let another process go on at once."""
        running = list(self._busy.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if self._until:
            self._until = 0
            with suppress(Unavailable):  # then it runs out
                await self.ledger.submit(Lease(self._holder, 0))

    async def _lead(self) -> bool:
        now = self.ledger.clock()
        if not now < self._until - LEASE_US // 2 <= now + LEASE_US:
            held = now < self._until
            self._until = (await self.ledger.submit(Lease(self._holder))).value
            if not held:  # somebody else may have moved the cursors meanwhile
                self._versions.clear()
        return bool(self._until)

    def _forget(self, gone: Iterable[str]) -> None:
        for id_ in gone:
            for known in (self._versions, self._cursors, self._concerned, self._rests):
                known.pop(id_, None)

    async def _due(self, endpoint: Endpoint, sizes: Mapping[str, int]) -> list[str]:
        """The journals in which there is something to look at now, the one that waited longest first."""
        if self._versions.get(endpoint.id) != endpoint.version:
            rows = await self.ledger.fetch(
                "SELECT journal, seq, tries, since, next_at FROM webhook_cursor WHERE webhook = ?", endpoint.id
            )
            self._cursors[endpoint.id] = {journal: Cursor(seq, seq, *rest) for journal, seq, *rest in rows}
            self._versions[endpoint.id] = endpoint.version
        known = self._concerned.get(endpoint.id)
        if known is None or known[:2] != (endpoint.version, len(sizes)):
            journals = [journal for journal in sizes if self.hooks.concerns(endpoint, journal)]
            if known is None or known[0] != endpoint.version:
                self._rests.pop(endpoint.id, None)
            known = self._concerned[endpoint.id] = (endpoint.version, len(sizes), journals)
        cursors, now = self._cursors[endpoint.id], self.ledger.clock()
        if now < self._rests.get(endpoint.id, (0, 0))[1]:
            return []
        waiting = [j for j in known[2] if cursors.setdefault(j, Cursor()).seq < sizes[j]]
        due = [journal for journal in waiting if cursors[journal].next_at <= now]
        return sorted(due, key=lambda journal: cursors[journal].next_at)

    async def _work(self, endpoint: Endpoint, sizes: Mapping[str, int]) -> None:
        try:
            for journal, size in sizes.items():
                if not await self._journal(endpoint, journal, size):
                    return
        except Unavailable as refusal:
            log.warning("%s: %s", endpoint.id, refusal.code)
            self._versions.pop(endpoint.id, None)
        except Exception:
            log.exception("%s: failed", endpoint.id)
            self._versions.pop(endpoint.id, None)
            self._rests[endpoint.id] = (len(RESTS_S), self.ledger.clock() + RESTS_S[-1] * 1_000_000)
        finally:
            del self._busy[endpoint.id]

    async def _journal(self, endpoint: Endpoint, journal: str, size: int) -> bool:
        """Tell one journal's news. False where there was a failure, or no right to go on."""
        cursor = self._cursors[endpoint.id][journal]
        while cursor.seq < size:
            allowed = await self.hooks.allowed(endpoint.owner, endpoint.merchant, endpoint.place)
            if not allowed:
                await self.ledger.submit(End(endpoint.id, endpoint.version, OWNER_ENDED))
                return False
            kinds = events.chosen(orjson.loads(endpoint.events), allowed)
            found = await events.following(self.ledger, journal, cursor.seq, size, kinds, endpoint.merchant)
            for event in found.events:
                if self.ledger.clock() >= self._until or not await self._deliver(endpoint, cursor, event):
                    return False
            cursor.seq = found.looked
        if cursor.seq - cursor.stored >= UNSAVED_MAX:
            row = (endpoint.id, journal, cursor.seq, 0, 0, 0)
            return await self._moved(endpoint, cursor, Moved(endpoint.id, endpoint.version, cursor.stored, row))
        return True

    async def _deliver(self, endpoint: Endpoint, cursor: Cursor, event: events.Event) -> bool:
        async with self._sending:
            sent = await post(self.hooks, endpoint, event.message, event.body())
        now, good = self.ledger.clock(), sent.outcome == DELIVERED
        tries = 0 if good else cursor.tries + 1
        reason = GONE if sent.outcome == GONE else FAILING if tries > len(PAUSES_S) else ""
        self._counted("delivered" if good else "disabled" if reason else "failed")
        if good:
            self.done += 1
            self._rests.pop(endpoint.id, None)
            row = (endpoint.id, event.journal, event.seq + 1, 0, 0, 0)
        else:
            failures = self._rests.get(endpoint.id, (0, 0))[0]
            rest = RESTS_S[min(failures, len(RESTS_S) - 1)]
            self._rests[endpoint.id] = (failures + 1, now + rest * 1_000_000)
            # Where the receiver fails, the cursor comes to stand at what it fails at.
            since, next_at = cursor.since or now, now + self._pause_us(tries, sent.wait_s)
            row = (endpoint.id, event.journal, event.seq, tries, since, next_at)
        id_ = self.ledger.new_id("try")
        tried = (endpoint.id, id_, event.journal, event.seq, event.kind, cursor.tries + 1, now, *sent[:2], sent.ms)
        moved = Moved(endpoint.id, endpoint.version, cursor.stored, row, tried, reason)
        return await self._moved(endpoint, cursor, moved) and good

    async def _moved(self, endpoint: Endpoint, cursor: Cursor, moved: Moved) -> bool:
        """Write it down; False where the endpoint or its cursor has been changed by somebody else, or ended."""
        same = (await self.ledger.submit(moved)).value
        _, _, seq, cursor.tries, cursor.since, cursor.next_at = moved.cursor
        cursor.stored = cursor.seq = seq
        if not same:
            self._versions.pop(endpoint.id, None)
        return same

    def _pause_us(self, tries: int, wait_s: int) -> int:
        pause = PAUSES_S[min(tries, len(PAUSES_S)) - 1]
        spread = 1 - JITTER + 2 * JITTER * int.from_bytes(self.ledger.random(2), "big") / 0xFFFF
        return int(max(pause * spread, wait_s) * 1_000_000)

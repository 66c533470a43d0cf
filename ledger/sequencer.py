# SPDX-License-Identifier: Apache-2.0
"""Group commit: whatever arrives while one commit runs is the next batch. docs/life-of-a-point.md walks through it.

Order of one batch, and what a crash at each step would mean:
  1. begin, lock the heads         nothing written
  2. load what the batch touches   nothing written
  3. decide each command           memory only; a refusal undoes its own changes and nothing else
  4. write, set-based              the transaction is open: all of it goes away
  5. COMMIT                        the one moment at which entries come to be
  6. answer                        an answer lost here is found again by its retry key
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from ledger.clock import Guard
from ledger.errors import Refusal, Unavailable
from ledger.port import FORGOTTEN, Answer, Command, Retry
from ledger.store.base import Conflict, Store, StoreLost
from ledger.tables import REQUEST, Key, Row, Table
from ledger.view import Groups, Missing, Unlocked, View

log = logging.getLogger("jifen.sequencer")

BATCH_WEIGHT_MAX = 512  # entries a batch: 256 waiting clients fit into one commit and p99 stays a few commits long
QUEUE_WEIGHT_MAX = 20_000
CACHE_ROWS_MAX = 50_000  # groups of cached rows kept between batches, 0.7 to 1 kB each: some 50 MB a process
# The pauses in which the outcome of a lost COMMIT is asked for. A server comes back in seconds; a disk that is still
# full after half a second waits for a person, and callers had better know.
SETTLE_S = {"postgres": (0.1, 0.3, 1.0, 2.0, 4.0, 8.0), "sqlite": (0.1, 0.3)}
ATTEMPTS_MAX = 6  # lost races are decided again; each loss means that another writer won, so this ends

Outcome = Answer | BaseException


class Watch(Protocol):
    """Somebody who measures commits. Neither raises nor waits."""

    def queued(self) -> object:
        """A command has been handed in; called in its caller's context. What it gives comes back with the commit."""
        ...

    def committed(self, callers: Sequence[object], started_ns: int, failure: str) -> None:
        """A batch has been through, begin to COMMIT: what `queued` gave of its commands, when it began (ns since the
        epoch), and the kind of error where the database refused it."""
        ...


@dataclass(slots=True, eq=False)
class _Waiting:
    command: Command
    future: asyncio.Future[Answer]
    caller: object = None


class Sequencer:
    """The one writer of a process. `submit` returns when the command's entries are durable."""

    def __init__(
        self,
        store: Store,
        key: bytes,
        guard: Guard | None = None,
        random: Callable[[int], bytes] | None = None,
    ) -> None:
        """`key` opens the digests of entries that name no subject."""
        self.store = store
        self.guard = guard or Guard()
        self.batches = 0
        self.watch: Watch | None = None
        self._key = key
        self._random = random
        self._queue: deque[_Waiting] = deque()
        self._queued = 0
        self._cache: dict[Table, Groups] = {}
        self._places: dict[str, tuple[int, bytes]] = {}
        self._runner: asyncio.Task[None] | None = None
        self._closing = False

    async def submit(self, command: Command) -> Answer:
        """Run one command in the next commit. Raises `Refusal`; `Unavailable` when nothing was decided."""
        if self._closing:
            raise Unavailable("read_only", retry_after=5)
        weight = command.weight
        if self._queued and self._queued + weight > QUEUE_WEIGHT_MAX:
            raise Unavailable("queue_full", retry_after=1, queued=self._queued)
        waiting = _Waiting(command, asyncio.get_running_loop().create_future())
        if self.watch is not None:
            waiting.caller = self.watch.queued()
        self._queue.append(waiting)
        self._queued += weight
        if self._runner is None or self._runner.done():
            # In a context of its own: it works for all, and must not go by the first one's request id.
            self._runner = asyncio.create_task(self._run(), context=Context())
        return await waiting.future

    @property
    def queued(self) -> int:
        """Weight of what waits for the next commit."""
        return self._queued

    async def close(self) -> None:
        """Finish what is queued, then refuse."""
        self._closing = True
        if self._runner is not None:
            await self._runner

    # batches ---------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while self._queue:
            batch = self._take()
            try:
                await self._settle(batch)
            except BaseException as error:  # never leave a caller waiting for ever
                _answer(batch, [error] * len(batch))
                if not isinstance(error, Exception):
                    raise
                log.exception("a batch failed in an unexpected way")
            # A turn of the loop: callers wake up, and what they send next is in the next batch.
            await asyncio.sleep(0)

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        weight = 0
        while self._queue and (not batch or weight + self._queue[0].command.weight <= BATCH_WEIGHT_MAX):
            waiting = self._queue.popleft()
            self._queued -= waiting.command.weight
            if not waiting.future.done():  # a caller that gave up while queued has asked for nothing
                weight += waiting.command.weight
                batch.append(waiting)
            if not batch and not self._queue:
                break
        return batch

    async def _settle(self, batch: list[_Waiting]) -> None:
        """Commit the batch; split it when the database refuses, so that one poisoned command fails alone."""
        if not batch:
            return
        for attempt in range(ATTEMPTS_MAX):
            try:
                outcomes = await self._watched(batch)
            except Conflict as error:
                log.info("conflict, deciding again: %s", error)
                if attempt and len(batch) > 1:
                    half = len(batch) // 2
                    await self._settle(batch[:half])
                    await self._settle(batch[half:])
                    return
                if attempt == ATTEMPTS_MAX - 1:
                    _answer(batch, [error] * len(batch))
                    return
                await asyncio.sleep(0.002 * attempt)
            except StoreLost as error:
                log.warning("database lost: %s", error)
                _answer(batch, [Unavailable("database_unavailable", retry_after=2)] * len(batch))
                return
            except Refusal as error:  # the clock: nothing was decided for anyone
                _answer(batch, [error] * len(batch))
                return
            except Exception as error:  # a value the database cannot take: whose it is shows when they go one by one
                log.exception("a batch of %d failed", len(batch))
                if len(batch) == 1:
                    _answer(batch, [error])
                    return
                half = len(batch) // 2
                await self._settle(batch[:half])
                await self._settle(batch[half:])
                return
            else:
                self.batches += 1
                _answer(batch, outcomes)
                return

    async def _watched(self, batch: list[_Waiting]) -> list[Outcome]:
        commands = [waiting.command for waiting in batch]
        if self.watch is None:
            return await self._commit(commands)
        started, failure = time.time_ns(), ""
        try:
            return await self._commit(commands)
        except BaseException as error:
            failure = type(error).__name__
            raise
        finally:
            self.watch.committed([waiting.caller for waiting in batch], started, failure)

    async def _commit(self, commands: list[Command]) -> list[Outcome]:
        journals = {journal for command in commands for journal in command.journals}
        while True:
            try:
                return await self._transaction(commands, journals)
            except Unlocked as more:
                await self._abort()
                journals.add(more.journal)
            except BaseException:
                await self._abort()
                raise

    async def _abort(self) -> None:
        # Rows in memory were changed by decisions that did not happen.
        self._forget()
        await self.store.rollback()

    async def _transaction(self, commands: list[Command], journals: set[str]) -> list[Outcome]:
        now = self.guard.now()
        heads = await self.store.begin(journals)
        for head in heads.values():
            self.guard.check(now, head.recorded_at)
            if self._places.get(head.journal) != head.place:
                self._forget(head.journal)
                self._places[head.journal] = head.place
        groups = self._groups()
        await self._load(groups, wanted(commands, journals))
        view = View(now, heads, groups, self._key, **({"random": self._random} if self._random else {}))
        outcomes = [await self._decide(command, view, groups) for command in commands]
        changes = view.changes()
        if changes is None:
            await self.store.rollback()
            return outcomes
        await self.store.write(changes)
        try:
            await self.store.commit()
        except StoreLost as error:
            if not error.committing or not await self._happened(view):
                raise
        for head in heads.values():
            self._places[head.journal] = head.place
        return outcomes

    async def _happened(self, view: View) -> bool:
        """After a lost COMMIT: is the last entry we wrote in the chain? Without entries nobody can tell: no."""
        last = view.entries[-1] if view.entries else None
        for pause in SETTLE_S[self.store.dialect]:
            try:
                # Under the head's lock: a COMMIT that the server is still working on has ended once we hold it, and
                # on SQLite what a failed one left in the log is overwritten.
                await self.store.rollback()
                await self.store.begin([last.journal] if last else [])
                await self.store.rollback()
                if last is None:
                    return False
                rows = await self.store.fetch(
                    "SELECT leaf FROM entry WHERE journal = ? AND seq = ?", last.journal, last.seq
                )
                return bool(rows) and bytes(rows[0][0]) == last.leaf
            except (StoreLost, Conflict):
                await asyncio.sleep(pause)
        return False

    # one command -----------------------------------------------------------------------------------------------

    async def _decide(self, command: Command, view: View, groups: dict[Table, Groups]) -> Outcome:
        retry = command.retry
        if retry is not None:
            known = view.get(REQUEST, retry.caller, retry.key)
            if known is not None:
                return replay(known, retry)
        while True:
            mark = view.mark()
            try:
                answer = command.decide(view)
                if retry is not None:
                    view.put(REQUEST, request_row(retry, view.now_us, answer.status, answer.ref, ""))
                view.keep()
                return answer
            except Missing as missing:
                view.undo(mark)
                await self._load(groups, {missing.table: {missing.prefix}})
            except Unavailable as refusal:
                view.undo(mark)
                return refusal
            except Refusal as refusal:
                view.undo(mark)
                for table, row in refusal.leaves:
                    view.put(table, row)
                if retry is not None:
                    said = orjson.dumps({"code": refusal.code, "facts": refusal.facts}).decode()
                    view.put(REQUEST, request_row(retry, view.now_us, 0, "", said))
                return refusal
            except Unlocked:
                raise
            except Exception as error:
                view.undo(mark)
                log.exception("a decision failed")
                return error

    # rows in memory --------------------------------------------------------------------------------------------

    def _groups(self) -> dict[Table, Groups]:
        if sum(map(len, self._cache.values())) > CACHE_ROWS_MAX:
            self._cache.clear()
        return _Groups(self._cache)

    async def _load(self, groups: dict[Table, Groups], wanted: dict[Table, set[Key]]) -> None:
        # Row locks are taken in one order by everybody: by table, then by key.
        for table, prefixes in sorted(wanted.items(), key=lambda item: item[0].name):
            known = groups[table]
            missing = [prefix for prefix in prefixes if prefix not in known]
            if missing:
                if not table.cached:
                    missing.sort()
                known.update(await self.store.load(table, missing))

    def _forget(self, journal: str | None = None) -> None:
        if journal is None:
            self._cache.clear()
            self._places.clear()
            return
        if journal not in self._places:
            return  # rows are only kept of journals that have been locked
        for groups in self._cache.values():
            for prefix in [prefix for prefix in groups if prefix[0] == journal]:
                del groups[prefix]


class _Groups(dict[Table, Groups]):
    """Row groups by table: cached tables keep theirs from batch to batch, the others start empty each time."""

    def __init__(self, cache: dict[Table, Groups]) -> None:
        super().__init__()
        self._cache = cache

    def __missing__(self, table: Table) -> Groups:
        groups: Groups = self._cache.setdefault(table, {}) if table.cached else {}
        self[table] = groups
        return groups


def wanted(commands: Iterable[Command], journals: Collection[str]) -> dict[Table, set[Key]]:
    """The groups of rows that these commands announce, their retry keys included."""
    groups: dict[Table, set[Key]] = {}
    for command in commands:
        if command.retry is not None:
            groups.setdefault(REQUEST, set()).add(command.retry[:2])
        for table, prefix in command.reads():
            if table.cached and prefix[0] not in journals:
                continue  # only current under that journal's lock; the decision will ask if it needs the row
            groups.setdefault(table, set()).add(prefix)
    return groups


def request_row(retry: Retry, now_us: int, status: int, ref: str, refusal: str) -> Row:
    """What is kept under a retry key: the answer's status and reference, or the refusal as JSON."""
    return (retry.caller, retry.key, retry.digest, status, ref, refusal, now_us)


def replay(row: Row, retry: Retry) -> Outcome:
    """The first answer again, or `idempotency_key_reused` when the key stood for another request."""
    _, _, digest, status, ref, refusal, _ = row
    if bytes(digest) not in (retry.digest, FORGOTTEN):
        return Refusal("idempotency_key_reused", key=retry.key)
    if refusal:
        said = orjson.loads(refusal)
        again = Refusal(said["code"], **said["facts"])
        again.replayed = True
        return again
    return Answer(status, ref, replayed=True)


def _answer(batch: list[_Waiting], outcomes: Iterable[Any]) -> None:
    for waiting, outcome in zip(batch, outcomes, strict=True):
        if waiting.future.done():
            continue
        if isinstance(outcome, BaseException):
            waiting.future.set_exception(outcome)
        else:
            waiting.future.set_result(outcome)

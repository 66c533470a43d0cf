# SPDX-License-Identifier: Apache-2.0
"""Whom a report is about: home journal, former homes, kind and groups, read for many subjects at once.

What is read here only prepares a command; that the account is open, and where, is decided again inside the commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import orjson

from ledger.book.members import MOVED, OPEN
from ledger.engine import Ledger
from ledger.errors import Refusal

EVERY_PERSON = "G3"  # a person is a resident beside all other hats
_CHUNKS = (256, 32, 4, 1)  # a few statement shapes, so that statement caches hit
_SQL = (
    "SELECT m.subject, m.journal, m.state, m.kind, s.groups, s.state FROM member m "
    "LEFT JOIN subject s ON s.subject = m.subject WHERE m.subject IN ({marks})"
)


@dataclass(frozen=True, slots=True)
class Known:
    """A subject as the register and the ledger know it. `former` are journals where it has lived before."""

    subject: str
    home: str
    kind: str
    groups: frozenset[str]
    former: tuple[str, ...] = ()


class Subjects:
    """Reads subjects in bulk; single look-ups made in the same turn of the loop share one query."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: dict[str, asyncio.Future[Known | Refusal]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def one(self, subject: str) -> Known:
        """Raises `subject_unknown` or `subject_erased`."""
        future = self._waiting.get(subject)
        if future is None:
            loop = asyncio.get_running_loop()
            future = self._waiting[subject] = loop.create_future()
            if len(self._waiting) == 1:
                task = loop.create_task(self._flush())
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        found = await future
        if isinstance(found, Refusal):
            raise Refusal(found.code, **found.facts)
        return found

    async def many(self, subjects: Collection[str]) -> dict[str, Known | Refusal]:
        """Every subject asked for, or why not."""
        rows: dict[str, list[tuple[Any, ...]]] = {subject: [] for subject in subjects}
        asked = sorted(rows)
        position = 0
        for size in _CHUNKS:
            while len(asked) - position >= size:
                sql = _SQL.format(marks=", ".join("?" * size))
                for row in await self._ledger.fetch(sql, *asked[position : position + size]):
                    rows[row[0]].append(row)
                position += size
        return {subject: _known(subject, found) for subject, found in rows.items()}

    async def _flush(self) -> None:
        waiting, self._waiting = self._waiting, {}
        try:
            found = await self.many(waiting.keys())
        except BaseException as error:
            for future in waiting.values():
                if not future.done():
                    future.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for subject, future in waiting.items():
            if not future.done():
                future.set_result(found[subject])


def _known(subject: str, rows: list[tuple[Any, ...]]) -> Known | Refusal:
    home = next((row for row in rows if row[2] == OPEN), None)
    if home is None:
        erased = any(row[2] == "erased" for row in rows)
        return Refusal("subject_erased" if erased else "subject_unknown", subject=subject)
    if home[5] == "withdrawn":  # joining is voluntary: whoever has left is not scored
        return Refusal("consent_required", purpose="ledger")
    groups: set[str] = set(orjson.loads(home[4])) if home[4] else set()
    if home[3] == "person":
        groups.add(EVERY_PERSON)
    former = tuple(row[1] for row in rows if row[2] == MOVED) if len(rows) > 1 else ()
    return Known(subject, home[1], home[3], frozenset(groups), former)

# SPDX-License-Identifier: Apache-2.0
"""Objections in lists, and what is under objection: for whoever shows entries, and for lists that leave them out."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from ledger.engine import Ledger
from rules.desk.lists import below
from rules.objections.domain import OPEN, WITHDRAWN
from rules.objections.records import ObjectionRecord, record
from rules.tables import OBJECTION, ObjectionRow

_CHUNKS = (64, 8, 1)  # a few statement shapes
Place = tuple[str, int]  # journal, seq


async def objections(
    *,
    places: Collection[str] | None = None,
    subject: str | None = None,
    state: str | None = None,
    due_before: str | None = None,
    before: str | None = None,
    limit: int = 50,
) -> list[ObjectionRecord]:
    """Newest first, without the reasons: of one subject, or about deeds and people in these places. `due_before` is
    for open ones that should have been decided; `before` the last id of the page before."""
    row: Any = ObjectionRow
    query: Any = row.select(*(getattr(row, name) for name in OBJECTION.names if name != "sealed"))
    for condition, value in (
        (row.subject == subject, subject),
        (row.state == state, state),
        (row.id < before, before),
    ):
        if value is not None:
            query = query.where(condition)
    if places is not None:
        query = query.where(_within(places))
    if due_before is not None:
        query = query.where((row.state == OPEN) & (row.due < due_before))
    found = await query.order_by(row.id, ascending=False).limit(limit).run()
    return [record(tuple(one.values())) for one in found]


async def overdue(today: str, *, places: Collection[str] | None = None, subject: str | None = None) -> int:
    """How many are open although the day has passed by which they had to be decided."""
    row: Any = ObjectionRow
    query: Any = row.count().where((row.state == OPEN) & (row.due < today))
    if subject is not None:
        query = query.where(row.subject == subject)
    if places is not None:
        query = query.where(_within(places))
    return int(await query.run())


def _within(places: Collection[str]) -> Any:
    row: Any = ObjectionRow
    return below(row.place, places) | below(row.journal, places)


async def disputed(ledger: Ledger, journal: str) -> set[Place]:
    """The entries of a journal that are under objection now: they count for no list and no ranking."""
    rows = await ledger.fetch("SELECT target_seq FROM objection WHERE target_journal = ? AND state = ?", journal, OPEN)
    return {(journal, seq) for (seq,) in rows}


async def marks(ledger: Ledger, entries: Iterable[Place]) -> dict[Place, dict[str, str]]:
    """What stands beside each of these entries: the last objection to it that was not withdrawn, with its state and
    the day by which it is decided."""
    by_journal: dict[str, list[int]] = {}
    for journal, seq in entries:
        by_journal.setdefault(journal, []).append(seq)
    found: dict[Place, dict[str, str]] = {}
    for journal, seqs in by_journal.items():
        at = 0
        for size in _CHUNKS:
            while len(seqs) - at >= size:
                rows = await ledger.fetch(
                    "SELECT target_seq, id, state, due FROM objection WHERE target_journal = ? "
                    f"AND target_seq IN ({', '.join('?' * size)}) AND state <> ? ORDER BY id",
                    journal,
                    *seqs[at : at + size],
                    WITHDRAWN,
                )
                found |= {(journal, seq): {"id": id_, "state": state, "due": due} for seq, id_, state, due in rows}
                at += size
    return found

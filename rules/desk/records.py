# SPDX-License-Identifier: Apache-2.0
"""What the desk shows: awards, batches and approvals as stored, with the explanation where it may be opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.keys import BadKey, unseal
from ledger.tables import Row
from rules.ports import Actor, Vault
from rules.tables import APPROVAL, AWARD, BATCH

CHUNK = 256


class RowResult(NamedTuple):
    """What became of one row of a batch. `facts` fill the sentence of `code`; they are shown, never stored."""

    row: int
    state: str
    code: str | None = None
    standing: int = 0
    points: int = 0
    award: str | None = None
    facts: Mapping[str, Any] = {}

    def brief(self) -> dict[str, Any]:
        """The row without anything that could be personal."""
        said: dict[str, Any] = {
            "row": self.row,
            "state": self.state,
            "standing": self.standing,
            "points": self.points,
        }
        if self.code is not None:
            said["code"] = self.code
        return said


class AwardRecord(NamedTuple):
    """One award. `trace` and `request` are None once the subject's key is gone, or where they were not asked for.

    A named tuple like the row that it is made of: a frozen dataclass of as many fields costs 6 µs more.
    """

    id: str
    batch: str | None
    line: int | None
    state: str
    outcome: str
    code: str | None
    subject: str
    journal: str | None
    seq: int | None
    leaf: bytes | None
    place: str
    indicator: str
    group: str
    occurred_on: str
    level: str
    standing: int
    points: int
    proposer: str
    approver: str | None
    created_at: int
    reversal_journal: str | None
    reversal_seq: int | None
    trace: Mapping[str, Any] | None = None
    request: Mapping[str, Any] | None = None
    later: Mapping[str, Any] = {}

    @property
    def receipt(self) -> dict[str, Any] | None:
        """Where the entry is, or None while there is none."""
        if self.seq is None or self.leaf is None:
            return None
        return {"journal": self.journal, "seq": self.seq, "entry_hash": bytes(self.leaf).hex()}


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """One batch. `rows` only where they were asked for; `changed` only after an approval."""

    id: str
    state: str
    source: str
    proposer: str
    approver: str | None
    place: str
    places: Sequence[str]
    lines: int
    standing: int
    points: int
    counts: Mapping[str, int]
    why: Sequence[Mapping[str, Any]]
    created_at: int
    decided_at: int | None
    rows: Sequence[RowResult] = ()


@dataclass(frozen=True, slots=True)
class ApprovalRecord:
    """What waits, or waited, for a second person."""

    id: str
    kind: str
    target: str
    proposer: str
    proposer_subject: str | None
    place: str
    places: Sequence[str]
    why: Sequence[Mapping[str, Any]]
    lines: int
    standing: int
    points: int
    state: str
    version: int
    created_at: int
    decided_by: str | None
    decided_at: int | None
    reason: str | None
    changed: Sequence[Mapping[str, Any]]

    def proposed_by(self, actor: Actor) -> bool:
        """Is this the person who proposed it, under whatever login?"""
        return actor.id == self.proposer or (actor.subject is not None and actor.subject == self.proposer_subject)

    @property
    def etag(self) -> str:
        """Names exactly what is seen here."""
        return f"{self.id}.{self.version}"


def award_record(row: Row, trace: Mapping[str, Any] | None = None) -> AwardRecord:
    return AwardRecord(*row[:-1], trace=trace)


def batch_record(row: Row, rows: Sequence[RowResult] = ()) -> BatchRecord:
    (id_, state, source, proposer, approver, place, places, lines, standing, points, counts, _, why, at, decided) = row
    return BatchRecord(
        id_, state, source, proposer, approver, place, orjson.loads(places), lines, standing, points,
        orjson.loads(counts), orjson.loads(why), at, decided, rows,
    )  # fmt: skip


def approval_record(row: Row) -> ApprovalRecord:
    values = list(row)
    values[6], values[7], values[17] = (orjson.loads(row[at]) for at in (6, 7, 17))
    return ApprovalRecord(*values)


def opened(row: Row, key: bytes) -> dict[str, Any]:
    """Request, trace and what came later, from an award's sealed column."""
    return orjson.loads(unseal(key, bytes(row[-1]), row[0].encode()))


class Records:
    """Reads what the desk stored. Who may see it is the caller's question."""

    def __init__(self, ledger: Ledger, vault: Vault) -> None:
        self._ledger = ledger
        self._vault = vault

    async def award_row(self, id_: str) -> Row:
        return await self._row(AWARD.name, ", ".join(AWARD.names), id_, "award")

    async def award(self, id_: str) -> AwardRecord:
        """One award with its explanation. Raises `not_found`."""
        row = await self.award_row(id_)
        try:
            content = opened(row, await self._vault.data_key(row[6]))
        except (Refusal, BadKey):  # erased: the numbers stay, the story is gone
            return award_record(row)
        later = {name: content[name] for name in content.keys() - {"request", "trace"}}
        return AwardRecord(*row[:-1], trace=content["trace"], request=content["request"], later=later)

    async def award_of_entry(self, journal: str, seq: int) -> AwardRecord | None:
        """The award behind an entry, if the desk made it."""
        rows = await self._ledger.fetch("SELECT id FROM award WHERE journal = ? AND seq = ?", journal, seq)
        return await self.award(rows[0][0]) if rows else None

    async def award_rows(self, batch: str) -> list[Row]:
        """All columns of a batch's awards, in the order of the sheet."""
        return await self._ledger.fetch(
            f"SELECT {', '.join(AWARD.names)} FROM award WHERE batch = ? ORDER BY line", batch
        )

    async def batch_row(self, id_: str) -> Row:
        return await self._row(BATCH.name, ", ".join(BATCH.names), id_, "batch")

    async def batch(self, id_: str) -> BatchRecord:
        """One batch with all its rows. Raises `not_found`."""
        row = await self.batch_row(id_)
        done = await self._ledger.fetch(
            "SELECT line, outcome, code, standing, points, id FROM award WHERE batch = ? ORDER BY line", id_
        )
        rows = [RowResult(line, outcome, code, s, p, award) for line, outcome, code, s, p, award in done]
        rows += [RowResult(one["row"], one["state"], one.get("code")) for one in orjson.loads(row[11])]
        return batch_record(row, sorted(rows, key=lambda one: one.row))

    async def approval_row(self, id_: str) -> Row:
        return await self._row(APPROVAL.name, ", ".join(APPROVAL.names), id_, "approval")

    async def approval(self, id_: str) -> ApprovalRecord:
        return approval_record(await self.approval_row(id_))

    async def _row(self, table: str, columns: str, id_: str, what: str) -> Row:
        rows = await self._ledger.fetch(f"SELECT {columns} FROM {table} WHERE id = ?", id_)
        if not rows:
            raise Refusal("not_found", what=what, id=id_[:60])
        return rows[0]

# SPDX-License-Identifier: Apache-2.0
"""A second person decides: everything is judged again in the moment of approval, and said where it differs.

Proposer and approver are different people, and nobody approves an award to themselves. Of two who approve at once,
one wins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from ledger import codec
from ledger.errors import Refusal
from ledger.keys import seal
from ledger.port import Answer, Retry
from ledger.tables import Key, Row, Table
from ledger.view import View, local_day
from rules.desk import cooling
from rules.desk.assess import AWAITING, POSTED, REFUSED, REJECTED, assess, content, post
from rules.desk.batch import STATES
from rules.desk.prepare import Prepared
from rules.desk.records import ApprovalRecord
from rules.tables import APPROVAL, AWARD, BATCH


@dataclass(frozen=True, slots=True)
class Decided:
    """What a decision did: rows that came out other than the approver saw them, and the sums now."""

    approval: str
    kind: str
    target: str
    state: str
    standing: int = 0
    points: int = 0
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    changed: Sequence[Mapping[str, Any]] = ()


def open_approval(view: View, id_: str, etag: str | None) -> Row:
    """The approval, still open and as it was seen. Raises `precondition_failed` otherwise."""
    row = view.get(APPROVAL, id_)
    if row is None:
        raise Refusal("not_found", what="approval", id=id_)
    if row[11] != "open" or etag not in (None, f"{id_}.{row[12]}"):
        raise Refusal("precondition_failed", state=row[11], etag=f"{id_}.{row[12]}")
    return row


def closed(row: Row, state: str, actor: str, at: int, reason: str | None, changed: Sequence[Any] = ()) -> Row:
    said = orjson.dumps(changed).decode()
    return (*row[:11], state, row[12] + 1, row[13], actor, at, reason, said)


@dataclass(frozen=True, slots=True)
class ApproveCommand:
    """Post what waits. `waiting` are the stored reports, each prepared again or refused since."""

    approval: ApprovalRecord
    waiting: Sequence[tuple[str, Prepared | Refusal]]
    confirmed: bool
    zone: str
    actor: str
    etag: str | None
    reason: str | None
    retry: Retry | None
    journals: tuple[str, ...]
    weight: int

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield APPROVAL, (self.approval.id,)
        if self.approval.kind == "batch":
            yield BATCH, (self.approval.target,)
        for award, prepared in self.waiting:
            yield AWARD, (award,)
            if isinstance(prepared, Prepared):
                yield from prepared.reads()

    def decide(self, view: View) -> Answer:
        approval = open_approval(view, self.approval.id, self.etag)
        day = cooling.until(self.approval.why)
        if local_day(view.now_us, self.zone) < day:
            raise Refusal("cooling_off", until=day)
        changed: list[dict[str, Any]] = []
        counts: Counter[str] = Counter()
        standing = points = 0
        for award, prepared in self.waiting:
            before = view.get(AWARD, award)
            if before is None or before[3] != AWAITING:
                continue
            after = self._post(view, before, prepared)
            view.put(AWARD, after)
            counts[after[4]] += 1
            standing, points = standing + after[15], points + after[16]
            if (before[4], before[15], before[16]) != (after[4], after[15], after[16]):
                changed.append(_change(before, after))
        said = self._batch(view, counts, standing, points) if self.approval.kind == "batch" else {}
        view.put(APPROVAL, closed(approval, "approved", self.actor, view.now_us, self.reason, changed))
        done = Decided(
            self.approval.id, self.approval.kind, self.approval.target, "approved", standing, points, said, changed
        )
        return Answer(201, self.approval.id, done)

    def _post(self, view: View, before: Row, prepared: Prepared | Refusal) -> Row:
        try:
            if isinstance(prepared, Refusal):
                raise prepared
            level = prepared.confirmed_level if self.confirmed else prepared.level
            entered = local_day(before[19], self.zone)
            assessed = assess(view, prepared, level, entered=entered)
        except Refusal as refusal:
            if self.approval.kind == "award":
                raise Refusal(refusal.code, **refusal.facts) from None
            state = "duplicate" if refusal.code == "duplicate_cause" else "refused"
            said = (REFUSED, state, refusal.code)
            return (*before[:3], *said, *before[6:15], 0, 0, before[17], self.actor, *before[19:])
        _, row = post(view, prepared, assessed, self.actor)
        return (*row[:19], before[19], *row[20:])

    def _batch(self, view: View, counts: Counter[str], standing: int, points: int) -> dict[str, int]:
        row = view.get(BATCH, self.approval.target)
        assert row is not None
        before = orjson.loads(row[10])
        now = {state: counts[state] + (before[state] if state in STATES[3:] else 0) for state in STATES}
        view.put(
            BATCH,
            (
                row[0], POSTED, *row[2:4], self.actor, *row[5:8], standing, points,
                orjson.dumps(now).decode(), *row[11:14], view.now_us,
            ),
        )  # fmt: skip
        return now


def _change(before: Row, after: Row) -> dict[str, Any]:
    change: dict[str, Any] = {
        "award": before[0],
        "before": {"state": before[4], "standing": before[15], "points": before[16]},
        "now": {"state": after[4], "standing": after[15], "points": after[16]},
    }
    if before[2] is not None:
        change["row"] = before[2]
    if after[5] is not None:
        change["code"] = after[5]
    return change


@dataclass(frozen=True, slots=True)
class RejectCommand:
    """Send back what waits. The reason for a single award is sealed with it."""

    approval: ApprovalRecord
    awards: Sequence[str]
    sealed: Mapping[str, bytes]
    actor: str
    etag: str | None
    reason: str
    retry: Retry | None
    journals: tuple[str, ...] = ()

    @property
    def weight(self) -> int:
        return 1 + len(self.awards) // 4

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield APPROVAL, (self.approval.id,)
        if self.approval.kind == "batch":
            yield BATCH, (self.approval.target,)
        yield from ((AWARD, (award,)) for award in self.awards)

    def decide(self, view: View) -> Answer:
        approval = open_approval(view, self.approval.id, self.etag)
        for award in self.awards:
            row = view.get(AWARD, award)
            if row is not None and row[3] == AWAITING:
                sealed = self.sealed.get(award, row[22])
                view.put(AWARD, (*row[:3], REJECTED, *row[4:18], self.actor, *row[19:22], sealed))
        single = self.approval.kind == "award"
        if not single and (row := view.get(BATCH, self.approval.target)) is not None:
            view.put(BATCH, (row[0], REJECTED, *row[2:4], self.actor, *row[5:14], view.now_us))
        reason = None if single else self.reason
        view.put(APPROVAL, closed(approval, "rejected", self.actor, view.now_us, reason))
        done = Decided(self.approval.id, self.approval.kind, self.approval.target, "rejected")
        return Answer(201, self.approval.id, done)


def resealed(row: Row, opened: Mapping[str, Any], key: bytes, more: Mapping[str, Any]) -> bytes:
    """An award's sealed column with something added to what it says."""
    later = {name: opened[name] for name in opened.keys() - {"request", "trace"}} | dict(more)
    said, trace = codec.encode(opened["request"]), codec.encode(opened["trace"])
    return seal(key, content(said, trace, later), row[0].encode())

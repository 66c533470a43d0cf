# SPDX-License-Identifier: Apache-2.0
"""Many reports in one decision: judged row by row, posted together or not at all, over as many journals as it takes.

The rows are first assessed against the ledger and against each other, with nothing written; only when it is clear what
becomes of all of them are entries made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import orjson

from ledger import codec
from ledger.errors import Refusal
from ledger.port import Answer, Retry
from ledger.tables import Key, Row, Table
from ledger.view import View
from rules.desk import braking, cooling
from rules.desk.assess import AWAITING, Assessed, Pending, assess, award_row, post
from rules.desk.award import Previewed, Second
from rules.desk.prepare import Prepared
from rules.desk.records import BatchRecord, RowResult, batch_record
from rules.engine.model import ApprovalLimits, Indicator
from rules.ports import Rooms
from rules.tables import APPROVAL, AWARD, BATCH

Source = Literal["sheet", "api"]
OnError = Literal["abort", "skip"]
ROWS_MAX = 5000
STATES = ("posted", "reduced", "zero", "duplicate", "refused", "ignored")
_DUPLICATES = ("duplicate_cause", "already_replaced")


class Line(NamedTuple):
    """One row of a batch on its way in: a report, a refusal that came before, or None for an aside of the sheet."""

    row: int
    what: Prepared | Refusal | None


@dataclass(frozen=True, slots=True)
class BatchCommand:
    """Judge and post a batch. `month_points` is what each journal gave in the calendar month before."""

    id: str
    lines: Sequence[Line]
    source: Source
    on_error: OnError
    second: Second | None
    limits: ApprovalLimits
    month_points: Mapping[str, int]
    ask: bool
    retry: Retry | None
    journals: tuple[str, ...]
    weight: int
    dry: bool = False
    rooms: Rooms = field(default_factory=dict[str, Any])

    def reads(self) -> Iterable[tuple[Table, Key]]:
        for line in self.lines:
            if isinstance(line.what, Prepared):
                yield from line.what.reads()

    def decide(self, view: View) -> Answer:
        judged = [self._judge(view, line, pending) for pending in (Pending(),) for line in self.lines]
        why = self._why(view, judged)
        if why and self.source == "sheet":
            # What a second person will decide about is what their standing by the list makes of it.
            pending = Pending()
            judged = [self._judge(view, line, pending, confirmed=True) for line in self.lines]
        rows = [_result(line, what) for line, what in zip(self.lines, judged, strict=True)]
        if self.dry:
            state = AWAITING if why else "posted"
            raise Previewed(batch_record(self._row(view.now_us, state, rows, why), unnamed(rows)))
        refused = [row for row in rows if row.state == "refused"]
        if refused and self.on_error == "abort":
            raise BatchRefused(unnamed(rows))
        if why:
            return self._store(view, judged, rows, why)
        for line, what in zip(self.lines, judged, strict=True):
            if isinstance(what, Assessed):
                assert isinstance(line.what, Prepared)
                _, row = post(view, line.what, what)
                view.insert(AWARD, row)
        return self._done(view, "posted", rows, why)

    def _judge(self, view: View, line: Line, pending: Pending, confirmed: bool = False) -> Assessed | Refusal | None:
        prepared = line.what
        if not isinstance(prepared, Prepared):
            return prepared
        sure = confirmed or (self.source == "sheet" and needs_confirming(prepared.indicator))
        try:
            level = prepared.confirmed_level if sure else prepared.level
            return assess(view, prepared, level, pending=pending)
        except Refusal as refusal:
            return refusal

    def _why(self, view: View, judged: Sequence[Assessed | Refusal | None]) -> list[dict[str, Any]]:
        """Why this batch is not one person's decision; empty when it is."""
        why: list[dict[str, Any]] = []
        made = [
            (line.what, what)
            for line, what in zip(self.lines, judged, strict=True)
            if isinstance(line.what, Prepared) and isinstance(what, Assessed)
        ]
        if not made:
            return why
        if len(made) > self.limits.rows:
            why.append({"code": "many_rows", "rows": len(made), "limit": self.limits.rows})
        if len(made) > self.limits.share_rows:
            points: Counter[str] = Counter()
            for _, what in made:
                points[what.home] += what.outcome.points
            for journal, sum_ in sorted(points.items()):
                month = self.month_points.get(journal, 0)
                # A journal without a month behind it has no yardstick yet: there the number of rows decides.
                if month > 0 and sum_ * 100 > self.limits.share_percent * month:
                    why.append(
                        {
                            "code": "large_share",
                            "journal": journal,
                            "points": sum_,
                            "month_points": month,
                            "limit_percent": self.limits.share_percent,
                        }
                    )
        if second := sorted({p.indicator.code for p, _ in made if p.needs_second}):
            why.append({"code": "second_person", "indicators": second})
        if self.source == "sheet" and (
            weak := sorted({p.indicator.code for p, _ in made if needs_confirming(p.indicator)})
        ):
            why.append({"code": "needs_confirmation", "indicators": weak})
        if self.ask:
            why.append({"code": "asked"})
        why += braking.reason(view, self.rooms, made)
        return why + cooling.reason(view, ((prepared, what.home) for prepared, what in made))

    def _store(
        self,
        view: View,
        judged: Sequence[Assessed | Refusal | None],
        rows: Sequence[RowResult],
        why: list[dict[str, Any]],
    ) -> Answer:
        for line, what in zip(self.lines, judged, strict=True):
            if isinstance(what, Assessed):
                assert isinstance(line.what, Prepared)
                trace = codec.encode(what.outcome.trace)
                view.insert(AWARD, award_row(view.now_us, line.what, what, trace, AWAITING))
        assert self.second is not None
        counts = tally(rows)
        sums = sum(row.standing for row in rows), sum(row.points for row in rows)
        made = sum(counts[state] for state in STATES[:3])
        view.insert(APPROVAL, self.second.row("batch", self.id, why, made, *sums, view.now_us))
        return self._done(view, AWAITING, rows, why)

    def _done(self, view: View, state: str, rows: Sequence[RowResult], why: list[dict[str, Any]]) -> Answer:
        row = self._row(view.now_us, state, rows, why)
        view.insert(BATCH, row)
        return Answer(201, self.id, batch_record(row, rows))

    def _row(self, now_us: int, state: str, rows: Sequence[RowResult], why: list[dict[str, Any]]) -> Row:
        second = self.second
        assert second is not None
        rest = [row.brief() for row in rows if row.state in STATES[3:]]
        return (
            "" if self.dry else self.id, state, self.source, second.actor.id, None, second.place,
            orjson.dumps(second.places).decode(), len(self.lines),
            sum(row.standing for row in rows), sum(row.points for row in rows),
            orjson.dumps(tally(rows)).decode(), orjson.dumps(rest).decode(), orjson.dumps(why).decode(),
            now_us, None if state == AWAITING else now_us,
        )  # fmt: skip


class BatchRefused(Refusal):
    """`batch_has_errors`. What is kept under the retry key is each row's state and code; `rows` says everything."""

    def __init__(self, rows: Sequence[RowResult]) -> None:
        refused = sum(row.state == "refused" for row in rows)
        super().__init__("batch_has_errors", refused=refused, lines=len(rows), rows=[row.brief() for row in rows])
        self.rows: Sequence[RowResult] = rows


def needs_confirming(indicator: Indicator) -> bool:
    """Is a list that only its keeper vouches for too weak, and strong enough once someone else does?"""
    needed = indicator.evidence.points if indicator.standing is None else indicator.evidence.standing
    return needed == "E2"


def unnamed(rows: Iterable[RowResult]) -> list[RowResult]:
    """Rows without the ids of awards that will never be."""
    return [row._replace(award=None) for row in rows]


def tally(rows: Iterable[RowResult]) -> dict[str, int]:
    """How many rows are in which state; states without rows are named too."""
    found = Counter(row.state for row in rows)
    return {state: found[state] for state in STATES}


def _result(line: Line, what: Assessed | Refusal | None) -> RowResult:
    if what is None:
        return RowResult(line.row, "ignored")
    if isinstance(what, Refusal):
        state = "duplicate" if what.code in _DUPLICATES else "refused"
        return RowResult(line.row, state, what.code, facts=what.facts)
    outcome = what.outcome
    assert isinstance(line.what, Prepared)
    code = None if outcome.state == "posted" else "cap_reached"
    return RowResult(line.row, outcome.state, code, outcome.standing, outcome.points, line.what.id)


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """A batch as answered: what is stored, and whether this is the answer to an earlier request."""

    record: BatchRecord
    replayed: bool = False
    changed: Sequence[Mapping[str, Any]] = field(default_factory=tuple)

# SPDX-License-Identifier: Apache-2.0
"""One report, one decision: posted at once, or put before a second person."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from ledger import codec
from ledger.errors import Refusal
from ledger.port import Answer, Retry
from ledger.tables import Key, Row, Table
from ledger.view import View
from rules.desk import braking, cooling
from rules.desk.assess import AWAITING, Assessed, assess, award_row, post
from rules.desk.prepare import Places, Prepared
from rules.desk.records import award_record
from rules.ports import Actor, Rooms
from rules.tables import APPROVAL, AWARD


class Previewed(Refusal):
    """How a dry run leaves the commit: with what it saw, and nothing written."""

    def __init__(self, value: Any) -> None:
        super().__init__("previewed")
        self.value = value


@dataclass(frozen=True, slots=True)
class Second:
    """The approval that a command opens if it has to: its id, who proposes, and over which places."""

    id: str
    actor: Actor
    place: str
    places: tuple[str, ...]

    def row(
        self,
        kind: str,
        target: str,
        why: Sequence[dict[str, Any]],
        lines: int,
        standing: int,
        points: int,
        at: int,
    ) -> Row:
        return (
            self.id, kind, target, self.actor.id, self.actor.subject, self.place,
            orjson.dumps(self.places).decode(), orjson.dumps(why).decode(), lines, standing, points,
            "open", 1, at, None, None, None, "[]",
        )  # fmt: skip


def above_all(places: Places, codes: Sequence[str]) -> str:
    """The lowest place that covers all of these; empty where there is none."""
    node: str | None = codes[0]
    while node is not None:
        if all(places.covers(node, code) for code in codes):
            return node
        node = places.place(node).parent
    return ""


@dataclass(frozen=True, slots=True)
class AwardCommand:
    """Post one award, or let it wait (`second`) where there is a reason to. The hot path: whatever could be done before
    has been done in `Prepared`."""

    prepared: Prepared
    second: Second | None
    retry: Retry | None
    dry: bool = False
    weight: int = 1
    rooms: Rooms = field(default_factory=dict[str, Any])

    @property
    def journals(self) -> tuple[str, ...]:
        return (self.prepared.home,)

    def reads(self) -> Iterable[tuple[Table, Key]]:
        return self.prepared.reads()

    def decide(self, view: View) -> Answer:
        prepared = self.prepared
        assessed = assess(view, prepared, prepared.level)
        why = self._why(view, assessed) if self.dry or self.second is not None else []
        if self.dry:
            raise Previewed((assessed, why))
        trace = assessed.outcome.trace
        if why:
            row = award_row(view.now_us, prepared, assessed, codec.encode(trace), AWAITING)
            view.insert(APPROVAL, self._waits(view, assessed, why))
        else:
            _, row = post(view, prepared, assessed)
        view.insert(AWARD, row)
        return Answer(201, prepared.id, award_record(row, trace))

    def _waits(self, view: View, assessed: Assessed, why: Sequence[dict[str, Any]]) -> Row:
        assert self.second is not None
        outcome = assessed.outcome
        return self.second.row("award", self.prepared.id, why, 1, outcome.standing, outcome.points, view.now_us)

    def _why(self, view: View, assessed: Assessed) -> list[dict[str, Any]]:
        """Why this award is not posted now; empty when it is."""
        prepared = self.prepared
        codes = [prepared.indicator.code] if prepared.needs_second else []
        second = [{"code": "second_person", "indicators": codes}] if codes else []
        braked = braking.reason(view, self.rooms, [(prepared, assessed)])
        return [*second, *braked, *cooling.reason(view, [(prepared, assessed.home)])]

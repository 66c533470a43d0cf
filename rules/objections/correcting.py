# SPDX-License-Identifier: Apache-2.0
"""What a decision sets right, prepared before the commit and done inside it.

An award that should not be is reversed; one that was wrong is reversed and posted anew with the right facts; a deed
that is missing is posted, judged as if it had been reported on the day of the objection. What takes a second person at
the desk takes one here too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from ledger import codec
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.model import Link
from ledger.tables import CAUSE, Key, Row, Table
from ledger.view import View, local_day
from rules.desk.assess import AWAITING, assess, award_row, post
from rules.desk.award import Second
from rules.desk.prepare import Prepared, Preparer
from rules.desk.records import Records, opened
from rules.desk.request import AwardRequest, Evidence, restated, stated
from rules.desk.reversal import Original, Reversal, ReverseCommand
from rules.desk.reversing import Reversals
from rules.objections.domain import Outcome
from rules.objections.records import ObjectionRecord
from rules.ports import Actor
from rules.tables import APPROVAL, AWARD

LEVEL = "E4"  # what the decision on an objection is, as evidence


@dataclass(frozen=True, slots=True)
class Correction:
    """`reverse` takes back the award `wrong`; `award` is posted, or put before a second person. `on`, `at`: day and
    instant of the objection, which is when the deed counts as reported."""

    wrong: str | None = None
    reverse: ReverseCommand | None = None
    award: Prepared | None = None
    second: Second | None = None
    on: str = ""
    at: int = 0

    def within(self, txn: str) -> Correction:
        """The same as part of a business transaction."""
        for act in (*(one.act for one in self._originals()), *([self.award.act] if self.award is not None else [])):
            act.txn = txn
        return self

    def _originals(self) -> list[Original]:
        return [one for one in self.reverse.originals if isinstance(one, Original)] if self.reverse is not None else []

    @property
    def journals(self) -> set[str]:
        homes = set(self.reverse.journals) if self.reverse is not None else set[str]()
        return homes | ({self.award.home} if self.award is not None else set())

    def reads(self) -> Iterable[tuple[Table, Key]]:
        if self.wrong is not None:
            yield AWARD, (self.wrong,)
        if self.reverse is not None:
            yield from self.reverse.reads()
        if self.award is not None:
            yield from self.award.reads()

    def make(self, view: View) -> dict[str, Any] | None:
        """Do it, and say what was done by reference. Raises what the desk raises; then nothing stands."""
        done: dict[str, Any] = {}
        if self.wrong is not None:
            done["reversal"] = self._reverse(view, self.wrong)
        if self.award is not None:
            done["award"] = self._post(view, self.award)
        return done or None

    def _reverse(self, view: View, wrong: str) -> dict[str, Any]:
        row = view.get(AWARD, wrong)
        if row is not None and row[21] is not None:  # somebody was quicker: it is taken back, which is what is wanted
            return {"award": wrong, "journal": row[20], "seq": row[21]}
        if self.reverse is None:
            raise Refusal("not_reversible", award=wrong)
        made: Reversal = self.reverse.decide(view).value[0]
        assert made.receipt is not None
        return {
            "award": wrong,
            "journal": made.receipt["journal"],
            "seq": made.receipt["seq"],
            "shortfall": made.shortfall,
        }

    def _post(self, view: View, prepared: Prepared) -> dict[str, Any]:
        try:
            assessed = assess(view, prepared, prepared.level, entered=self.on)
        except Refusal as refusal:
            if refusal.code != "duplicate_cause" or prepared.replaces is not None or "seq" not in refusal.facts:
                raise
            cause = view.get(CAUSE, prepared.cause)
            if cause is not None and cause[3] and not cause[4]:
                raise  # it was there and was taken back: it is that reversal which is to be disputed
            # Reported by somebody meanwhile: it is not missing any more.
            return {"journal": refusal.facts["journal"], "seq": refusal.facts["seq"]}
        outcome = assessed.outcome
        if self.second is not None:
            trace = codec.encode(outcome.trace)
            view.insert(AWARD, award_row(self.at, prepared, assessed, trace, AWAITING))
            why = [{"code": "second_person", "indicators": [prepared.indicator.code]}]
            said = self.second.row("award", prepared.id, why, 1, outcome.standing, outcome.points, view.now_us)
            view.insert(APPROVAL, said)
            return {"award": prepared.id, "approval": self.second.id}
        sealed, row = post(view, prepared, assessed)
        view.insert(AWARD, row)
        return {"award": prepared.id, "journal": sealed.journal, "seq": sealed.seq}


class Corrections:
    """Prepares what a decision sets right."""

    def __init__(self, ledger: Ledger, records: Records, preparer: Preparer, reversals: Reversals) -> None:
        self._ledger = ledger
        self._records = records
        self._preparer = preparer
        self._reversals = reversals

    async def award_behind(self, found: ObjectionRecord) -> tuple[Row, bool] | None:
        """The award that is disputed, by itself or as a line of an edition, and whether it is its reversal that is;
        None where no award is."""
        if found.kind not in ("entry", "edition_entry"):
            return None
        where = (found.target_journal, found.target_seq)
        for sql, reversal in (
            ("SELECT id FROM award WHERE journal = ? AND seq = ?", False),
            ("SELECT id FROM award WHERE reversal_journal = ? AND reversal_seq = ?", True),
        ):
            rows = await self._ledger.fetch(sql, *where)
            if rows:
                return await self._records.award_row(rows[0][0]), reversal
        return None

    async def prepare(
        self,
        actor: Actor,
        found: ObjectionRecord,
        outcome: Outcome,
        facts: Mapping[str, int | str] | None,
        *,
        reason: str,
        today: str,
        key: bytes,
    ) -> Correction:
        """What this outcome sets right. `facts` are those of the deed as it was; a missing deed needs them, and so does
        an award that stays in part. Raises `request_invalid` where they are lacking or mean nothing."""
        behind = await self.award_behind(found)
        if outcome == "rejected" or (found.kind != "missing" and behind is None):
            if facts is not None:
                raise _wrong("field_unknown")
            return Correction()
        if behind is None:
            if facts is None:
                raise _wrong("field_missing")
            return await self._posting(actor, found, self._missing(found, facts), None)
        row, reversal = behind
        if outcome == "partly" and facts is None and not reversal:
            raise _wrong("field_missing")
        reverse = None if reversal else await self._reversals.single(actor, row, reason, today)
        done = reverse if isinstance(reverse, ReverseCommand) else None
        wrong = None if reversal else row[0]
        if facts is None and not reversal:
            return Correction(wrong, done)
        said = opened(row, key)["request"]
        request = restated({**said, "facts": said["facts"] if facts is None else facts})
        evidence = (*request.evidence, _decided(found))
        request = request._replace(evidence=evidence, replaces=None)
        posting = await self._posting(actor, found, request, row)
        return Correction(wrong, done, posting.award, posting.second, posting.on, posting.at)

    def _missing(self, found: ObjectionRecord, facts: Mapping[str, int | str]) -> AwardRequest:
        assert found.detail is not None
        return AwardRequest(
            subject=found.subject,
            indicator=found.detail["indicator"],
            occurred_on=date.fromisoformat(found.detail["occurred_on"]),
            facts=facts,
            place=found.detail["place"],
            evidence=(_decided(found),),
        )

    async def _posting(
        self, actor: Actor, found: ObjectionRecord, request: AwardRequest, replaced: Row | None
    ) -> Correction:
        (prepared,) = await self._preparer.many(actor, [request], self._ledger.new_id("txn"), again=True)
        if isinstance(prepared, Refusal):
            raise prepared
        on, at = found.filed_on, found.filed_at
        if replaced is not None:
            _replace(prepared, replaced)
            # What was reported in time then is in time now.
            at = min(at, replaced[19])
            on = local_day(at, self._preparer.shelf.zone)
        second = None
        if prepared.needs_second:
            second = Second(self._ledger.new_id("apr"), actor, prepared.place, (prepared.place,))
        return Correction(award=prepared, second=second, on=on, at=at)


def _replace(prepared: Prepared, row: Row) -> None:
    """Let it take the place of the award in `row`, which is reversed by the time it is posted."""
    prepared.replaces = Link("replaces", row[7], row[8], bytes(row[9]).hex())
    prepared.request = prepared.request._replace(replaces=row[0])
    prepared.said = codec.encode(stated(prepared.request, prepared.place, prepared.indicator.group))
    prepared.act.request = prepared.said


def _decided(found: ObjectionRecord) -> Evidence:
    return Evidence("decision", LEVEL, reference=found.id)


def _wrong(code: str) -> Refusal:
    return Refusal("request_invalid", errors=[{"pointer": "/facts", "code": code}])

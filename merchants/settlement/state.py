# SPDX-License-Identifier: Apache-2.0
"""How far a statement has got, and the decisions that move it: issued, disputed, answered, agreed, settled. Pure.

Paying a statement pays all that was open at its end, earlier months with it; what was paid since is left out. So one
that was passed over, or one whose points went back to residents afterwards, is made good by a later one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import orjson

from ledger.book import holds
from ledger.errors import Refusal
from ledger.model import FOREVER, POINTS, Act, merchant_account
from ledger.port import Answer, Retry
from ledger.tables import BALANCE, FromRow, Key, Row, Table
from ledger.view import View, local_day
from merchants.booking import turned_over
from merchants.model import Merchant
from merchants.settlement.statement import Statement, last_day
from merchants.tables import MERCHANT, SETTLEMENT, SETTLEMENT_DISPUTE, SETTLEMENT_TEXT

DISPUTE_DAYS = 10
AFTER_ANSWER_DAYS = 3
WHOLE = 0  # the line of a dispute about the statement as a whole

Sums = dict[str, tuple[int, int]]
"""Journal → (points, fen)."""


@dataclass(frozen=True, slots=True)
class Settlement(FromRow):
    """A statement's row; migrations/0006 says what the columns mean."""

    merchant: str
    period: str
    sha256: str
    points: int
    fen: int
    lines: int
    closing: str
    state: str
    made_at: int
    until_day: str
    agreed_by: str = ""
    agreed_at: int = 0
    settled_by: str = ""
    settled_at: int = 0
    settled_day: str = ""
    settled_with: str = ""
    paid: str = "{}"
    reference: str = ""

    @staticmethod
    def new(made: Statement, now_us: int, today: str) -> Settlement:
        """One that is just being issued."""
        fields = made.fields
        closing = {one["journal"]: (one["closing"]["points"], one["closing"]["fen"]) for one in fields["journals"]}
        end = (date.fromisoformat(today) + timedelta(days=DISPUTE_DAYS)).isoformat()
        sums = (fields["closing"]["points"], fields["closing"]["fen"], fields["totals"]["lines"])
        return Settlement(
            fields["merchant"], fields["period"], made.sha256, *sums, _text(closing), "open", now_us, end
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dispute(FromRow):
    """A line that the shop does not agree with. `reason` and `answer` are sealed; no `outcome` yet: not answered."""

    merchant: str
    period: str
    line: int
    actor: str
    at: int
    reason: bytes
    outcome: str = ""
    answered_by: str = ""
    answered_at: int = 0
    answer: bytes = b""


def due(one: Settlement, others: Iterable[Settlement]) -> Sums:
    """What is still to be paid of a statement's closing: less what was paid after its end for earlier ones. Nothing for
    a journal that owes back: that is carried on."""
    left: dict[str, list[int]] = {journal: list(both) for journal, both in sums(one.closing).items()}
    for other in others:
        if other.period < one.period and other.settled_day > last_day(one.period):
            for journal, (points, fen) in sums(other.paid).items():
                left[journal][0] -= points
                left[journal][1] -= fen
    return {j: (max(0, points), max(0, fen)) for j, (points, fen) in sorted(left.items()) if points > 0 or fen > 0}


def found(view: View, merchant: str, period: str) -> Settlement:
    """The statement's row as it is in the commit. Raises `not_found`."""
    row = view.get(SETTLEMENT, merchant, period)
    if row is None:
        raise Refusal("not_found", what="statement", id=f"{merchant}/{period}")
    return Settlement.of(row)


@dataclass(frozen=True, slots=True)
class OnStatement:
    """A command on one statement."""

    merchant: str
    period: str
    actor: str
    zone: str
    retry: Retry | None = None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield SETTLEMENT, (self.merchant,)
        yield SETTLEMENT_DISPUTE, (self.merchant, self.period)

    def decide(self, view: View) -> Answer:
        one = self._do(view, found(view, self.merchant, self.period), local_day(view.now_us, self.zone))
        view.put(SETTLEMENT, one.row())
        return Answer(200, f"{self.merchant}/{self.period}", one)

    def _do(self, view: View, one: Settlement, today: str) -> Settlement:
        raise NotImplementedError

    def _disputes(self, view: View) -> list[Dispute]:
        rows = view.rows(SETTLEMENT_DISPUTE, (self.merchant, self.period))
        return [Dispute.of(rows[key]) for key in sorted(rows)]


@dataclass(frozen=True, slots=True)
class Issue:
    """Put a statement in its place; one that is there stays (`value` False)."""

    made: Statement
    note: str
    zone: str
    retry: Retry | None = None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield SETTLEMENT, (self.made.fields["merchant"],)

    def decide(self, view: View) -> Answer:
        one = Settlement.new(self.made, view.now_us, local_day(view.now_us, self.zone))
        if view.get(SETTLEMENT, one.merchant, one.period) is not None:
            return Answer(value=False)
        view.put(SETTLEMENT, one.row())
        view.insert(SETTLEMENT_TEXT, (one.merchant, one.period, self.made.body, self.note))
        return Answer(value=True)


@dataclass(frozen=True, slots=True)
class Disputed(OnStatement):
    """The shop does not agree with these lines, once each and within the window."""

    lines: tuple[int, ...] = (WHOLE,)
    reason: bytes = b""

    def _do(self, view: View, one: Settlement, today: str) -> Settlement:
        if one.state not in ("open", "disputed") or today > one.until_day:
            raise Refusal("dispute_closed", until=one.until_day, state=one.state)
        there = {other.line for other in self._disputes(view)}
        for line in self.lines:
            if line > one.lines:
                raise Refusal("not_found", what="line", id=str(line))
            if line in there:
                raise Refusal("already_disputed", line=line)
            row = Dispute(self.merchant, self.period, line, self.actor, view.now_us, self.reason).row()
            view.put(SETTLEMENT_DISPUTE, row)
        return one.but(state="disputed")


@dataclass(frozen=True, slots=True)
class Answered(OnStatement):
    """The community answers disputed lines, all that wait where none is named. The shop then has three more days."""

    lines: tuple[int, ...] = ()
    outcome: str = "rejected"
    answer: bytes = b""

    def _do(self, view: View, one: Settlement, today: str) -> Settlement:
        waiting = {other.line: other for other in self._disputes(view) if not other.outcome}
        lines = self.lines or tuple(waiting)
        if not lines or not waiting.keys() >= set(lines):
            raise Refusal("nothing_disputed")
        for line in lines:
            made = waiting.pop(line).but(
                outcome=self.outcome, answered_by=self.actor, answered_at=view.now_us, answer=self.answer
            )
            view.put(SETTLEMENT_DISPUTE, made.row())
        if waiting:
            return one
        end = (date.fromisoformat(today) + timedelta(days=AFTER_ANSWER_DAYS)).isoformat()
        return one.but(state="open", until_day=max(one.until_day, end))


@dataclass(frozen=True, slots=True)
class Agreed(OnStatement):
    """The shop agrees: nothing has to be waited for."""

    def _do(self, view: View, one: Settlement, today: str) -> Settlement:
        if one.state == "agreed":
            return one
        _check_undisputed(one)
        if one.state == "settled":
            raise Refusal("already_settled", period=one.settled_with or one.period)
        return one.but(state="agreed", agreed_by=self.actor, agreed_at=view.now_us)


@dataclass(frozen=True, slots=True)
class Settled(OnStatement):
    """The shop has been paid: its points are retired, journal by journal, and the entries say for what.

    `persons` are the subject behind the member of staff and those that it acts for, none of whom may be the shop's;
    nobody settles what they answered.
    `periods` are the statements up to this one that are open. Raises `already_settled`, `statement_disputed`,
    `statement_open`, `same_person`, `nothing_due`, `returned_since`.
    """

    persons: frozenset[str] = frozenset()
    reference: str = ""
    request: bytes = b""
    txn: str = ""
    periods: tuple[str, ...] = ()

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield SETTLEMENT, (self.merchant,)
        yield MERCHANT, (self.merchant,)
        yield from ((SETTLEMENT_DISPUTE, (self.merchant, period)) for period in self.periods)
        yield from ((BALANCE, (journal, merchant_account(self.merchant))) for journal in self.journals)

    def _do(self, view: View, one: Settlement, today: str) -> Settlement:
        if one.state == "settled":
            raise Refusal("already_settled", period=one.settled_with or one.period)
        others = [Settlement.of(row) for row in view.rows(SETTLEMENT, (self.merchant,)).values()]
        earlier = [other for other in others if other.period < one.period and other.state != "settled"]
        for other in (*earlier, one):
            self._check(view, other, today)
        shop = view.get(MERCHANT, self.merchant)
        if shop is not None and Merchant.of(shop).subject in self.persons - {""}:
            raise Refusal("same_person")
        owed = due(one, others)
        if not owed:
            raise Refusal("nothing_due")
        for journal, (points, fen) in owed.items():
            self._pay(view, one, journal, points, fen)
        done: dict[str, Any] = {"settled_by": self.actor, "settled_at": view.now_us}
        done["settled_day"] = max(map(view.today, owed))  # as the entries have it
        for other in earlier:
            view.put(SETTLEMENT, other.but(state="settled", settled_with=one.period, **done).row())
        return one.but(state="settled", paid=_text(owed), reference=self.reference, **done)

    def _check(self, view: View, one: Settlement, today: str) -> None:
        _check_undisputed(one)
        if one.state == "open" and today <= one.until_day:
            raise Refusal("statement_open", period=one.period, until=one.until_day)
        for row in view.rows(SETTLEMENT_DISPUTE, (self.merchant, one.period)).values():
            if Dispute.of(row).answered_by == self.actor:
                raise Refusal("same_person")

    def _pay(self, view: View, one: Settlement, journal: str, points: int, fen: int) -> None:
        held = view.balances(journal, merchant_account(self.merchant), POINTS).get(FOREVER, 0)
        if held < points:
            raise Refusal("returned_since", journal=journal, held=held, asked=points)
        act = Act(self.actor, view.today(journal), self.request, self.txn)
        paid_for = {"period": one.period, "statement": one.sha256}
        sealed = holds.settle(view, journal, act, merchant=self.merchant, amount=points, fen=fen, **paid_for)
        turned_over(view, self.merchant, act, sealed)


def _check_undisputed(one: Settlement) -> None:
    if one.state == "disputed":
        raise Refusal("statement_disputed", period=one.period)


def sums(text: str) -> Sums:
    """What a `closing` or `paid` column says."""
    return {journal: (points, fen) for journal, (points, fen) in orjson.loads(text).items()}


def _text(sums: Sums) -> str:
    return orjson.dumps(sums, option=orjson.OPT_SORT_KEYS).decode()


def rows(found: Iterable[Row]) -> list[Settlement]:
    """Settlements from their rows."""
    return [Settlement.of(row) for row in found]

# SPDX-License-Identifier: Apache-2.0
"""Inside the commit: what a prepared report earns now, and posting it. Pure: the view and the report, nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

from ledger import codec
from ledger.book import awards
from ledger.book.members import MOVED, OPEN
from ledger.errors import Refusal
from ledger.keys import seal
from ledger.model import CapUse, Draft, Sealed
from ledger.tables import CAUSE, MEMBER, TALLY, Row
from ledger.view import View
from rules.desk.kept import less_kept
from rules.desk.prepare import Prepared
from rules.engine.calendar import iso
from rules.engine.evaluate import Outcome, Refused, evaluate
from rules.reports.confirmers import check_still

POSTED, AWAITING, REJECTED, REFUSED, REVERSED = "posted", "awaiting_approval", "rejected", "refused", "reversed"


class Assessed(NamedTuple):
    """What a report earns: the outcome, the journal it goes to, the evidence it was judged on."""

    outcome: Outcome
    home: str
    level: str


@dataclass(slots=True)
class Pending:
    """What earlier rows of the same sheet will have used, before any of them is posted."""

    tallies: dict[tuple[str, str, str, str], int] = field(default_factory=dict[tuple[str, str, str, str], int])
    causes: set[bytes] = field(default_factory=set[bytes])

    def take(self, home: str, prepared: Prepared, outcome: Outcome) -> None:
        self.causes.add(prepared.cause)
        for cap in outcome.caps:
            self.tallies[home, iso(cap.start), prepared.request.subject, cap.id] = cap.used_before + cap.let


@lru_cache(maxsize=1024)
def _day(text: str) -> date:
    return date.fromisoformat(text)


def home_now(view: View, home: str, subject: str) -> str:
    """Where the account is in this commit, following a move that came between. Raises when it is open nowhere."""
    while True:
        row = view.get(MEMBER, home, subject)
        if row is None:
            raise Refusal("subject_unknown", subject=subject)
        if row[3] == OPEN:
            return home
        if row[3] != MOVED:
            raise Refusal("subject_erased" if row[3] == "erased" else "subject_unknown", subject=subject)
        home = row[4]


def posting_day(view: View, home: str) -> date:
    """Today, in the journal's zone."""
    return _day(view.today(home))


def tallied(view: View, prepared: Prepared, home: str, pending: Pending | None = None) -> dict[tuple[str, str], int]:
    """What the report's tallies hold in this commit, by (cap, first day of its window)."""
    used: dict[tuple[str, str], int] = {}
    subject = prepared.request.subject
    for key in prepared.tallies:
        cap, start = key
        if pending is not None and (before := pending.tallies.get((home, start, subject, cap))) is not None:
            used[key] = before
        elif (row := view.get(TALLY, home, start, subject, cap)) is not None:
            used[key] = row[4]
    return used


def assess(
    view: View,
    prepared: Prepared,
    level: str,
    *,
    entered: str | None = None,
    pending: Pending | None = None,
) -> Assessed:
    """What the report earns at this moment. Raises the reason why it is no award.

    `entered` is the day on which it was handed in, where that was before today: a slow approval is not a late report.
    """
    request = prepared.request
    home = home_now(view, prepared.home, request.subject)
    check_still(view, prepared.confirmers)
    awards.check_cause(view, prepared.cause, prepared.replaces)
    for cause in prepared.former_causes:
        if (row := view.get(CAUSE, cause)) is not None:
            raise Refusal("duplicate_cause", journal=row[1], seq=row[2])
    if pending is not None and prepared.cause in pending.causes:
        raise Refusal("duplicate_cause", line=prepared.line)
    takeover = bool(view.head(home).takeover)
    outcome = evaluate(
        prepared.pack,
        prepared.indicator,
        facts=request.facts,
        evidence_level=level,
        occurred_on=request.occurred_on,
        posted_on=posting_day(view, home) if entered is None or takeover else _day(entered),
        used=tallied(view, prepared, home, pending),
        takeover=takeover,
    )
    if isinstance(outcome, Refused):
        # a refusal may be kept under its retry key, so what was reported of the subject stays out of it
        raise Refusal(outcome.code, **{name: fact for name, fact in outcome.facts.items() if name != "conditions"})
    if pending is not None:
        pending.take(home, prepared, outcome)
    if prepared.replaces is not None:
        outcome = less_kept(view, prepared, outcome)
    return Assessed(outcome, home, level)


def post(view: View, prepared: Prepared, assessed: Assessed, approver: str | None = None) -> tuple[Sealed, Row]:
    """Write the entry and make the award's row."""
    outcome, request = assessed.outcome, prepared.request
    trace = codec.encode(outcome.trace)
    sealed = awards.award(
        view,
        Draft(
            "award",
            assessed.home,
            prepared.act,
            subject=request.subject,
            group=prepared.indicator.group,
            place=prepared.place,
            rule=prepared.indicator.code,
            pack=prepared.pack.hash,
            cause=prepared.cause,
            trace=trace,
            evidence=prepared.evidence,
            caps=[
                CapUse(cap, iso(start), iso(end), limit, before, let)
                for cap, start, end, limit, before, let in outcome.caps
            ],
        ),
        standing=outcome.standing,
        points=outcome.points,
        standing_lot=None if outcome.standing_lot is None else iso(outcome.standing_lot),
        points_lot=None if outcome.points_lot is None else iso(outcome.points_lot),
        replaces=prepared.replaces,
    )
    return sealed, award_row(view.now_us, prepared, assessed, trace, POSTED, sealed, approver)


def award_row(
    created_at: int,
    prepared: Prepared,
    assessed: Assessed,
    trace: bytes,
    state: str,
    sealed: Sealed | None = None,
    approver: str | None = None,
) -> Row:
    """The columns of an award, in the order of the table."""
    request, outcome = prepared.request, assessed.outcome
    return (
        prepared.id,
        prepared.batch,
        prepared.line,
        state,
        outcome.state,
        None,
        request.subject,
        None if sealed is None else sealed.journal,
        None if sealed is None else sealed.seq,
        None if sealed is None else sealed.leaf,
        prepared.place,
        prepared.indicator.code,
        prepared.indicator.group,
        prepared.act.occurred_on,
        assessed.level,
        outcome.standing,
        outcome.points,
        prepared.proposer,
        approver,
        created_at,
        None,
        None,
        seal(prepared.key, content(prepared.said, trace), prepared.id.encode()),
    )


def content(said: bytes, trace: bytes, more: dict[str, Any] | None = None) -> bytes:
    """What is sealed with an award: the request and the trace as they were hashed, and what came later."""
    rest = b"" if not more else b"," + codec.encode(more)[1:-1]
    return b'{"request":' + said + b',"trace":' + trace + rest + b"}"

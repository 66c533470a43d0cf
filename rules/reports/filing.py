# SPDX-License-Identifier: Apache-2.0
"""What becomes of a report, as commands: handed in, accepted together with its award, or closed without one."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from ledger.errors import Refusal
from ledger.port import Answer, Retry
from ledger.tables import Key, Row, Table
from ledger.view import View
from rules.desk.assess import REJECTED, REVERSED
from rules.desk.award import AwardCommand
from rules.tables import AWARD, REPORT, REPORT_CASE, REPORT_PHOTO, SUBJECT

State = Literal["open", "accepted", "declined", "withdrawn"]
OPEN: State = "open"
ACCEPTED: State = "accepted"
DECLINED: State = "declined"
WITHDRAWN: State = "withdrawn"
STATES: tuple[State, ...] = (OPEN, ACCEPTED, DECLINED, WITHDRAWN)


def open_report(view: View, id_: str) -> Row:
    """The report, still open. Raises `not_found`, `report_closed`."""
    row = view.get(REPORT, id_)
    if row is None:
        raise Refusal("not_found", what="report", id=id_[:60])
    if row[1] != OPEN:
        raise Refusal("report_closed", award=row[8] or "")
    return row


def closed(row: Row, state: State, actor: str, at: int, award: str | None = None, sealed: bytes | None = None) -> Row:
    return (*row[:1], state, *row[2:8], award, actor, at, None, row[12] if sealed is None else sealed)


@dataclass(frozen=True, slots=True)
class Handing:
    """Put a report into the queue."""

    row: Row
    photos: Collection[bytes]
    retry: Retry | None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield SUBJECT, (self.row[2],)
        yield from ((REPORT_PHOTO, (digest,)) for digest in self.photos)

    def decide(self, view: View) -> Answer:
        subject = view.get(SUBJECT, self.row[2])
        if subject is None or subject[5] == "erased":  # meanwhile
            raise Refusal("subject_erased", subject=self.row[2])
        row: Row = (*self.row[:7], view.now_us, *self.row[8:])
        view.insert(REPORT, row)
        for digest in self.photos:
            view.put(REPORT_PHOTO, (digest, row[0], row[2]))
        return Answer(201, row[0], row)


@dataclass(frozen=True, slots=True)
class Accepting:
    """An award and the end of the report that it comes from, in one commit: of two who accept, one does.

    `case` is the digest of a case that only its first reporter is paid for; None where the rule knows no such thing.
    """

    award: AwardCommand
    report: str
    case: bytes | None
    actor: str

    @property
    def retry(self) -> Retry | None:
        return self.award.retry

    @property
    def journals(self) -> tuple[str, ...]:
        return self.award.journals

    @property
    def weight(self) -> int:
        return self.award.weight

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield from self.award.reads()
        yield REPORT, (self.report,)
        if self.case is not None:
            yield REPORT_CASE, (self.case,)

    def decide(self, view: View) -> Answer:
        row = open_report(view, self.report)
        if self.case is not None:
            self._be_first(view, self.case)
        answer = self.award.decide(view)
        view.put(REPORT, closed(row, ACCEPTED, self.actor, view.now_us, answer.ref))
        return answer

    def _be_first(self, view: View, case: bytes) -> None:
        """Raises `already_reported` unless no award stands for this case: one taken back leaves its place."""
        known = view.get(REPORT_CASE, case)
        if known is not None:
            report = view.get(REPORT, known[1])
            award = view.get(AWARD, report[8]) if report is not None and report[8] else None
            if award is not None and award[3] not in (REJECTED, REVERSED):
                raise Refusal("already_reported", report=known[1])
        view.put(REPORT_CASE, (case, self.report))


@dataclass(frozen=True, slots=True)
class Closing:
    """Decline a report or take it back. Its reason is in `sealed`; None where there is none."""

    report: str
    state: State
    actor: str
    sealed: bytes | None
    retry: Retry | None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield REPORT, (self.report,)

    def decide(self, view: View) -> Answer:
        row = closed(open_report(view, self.report), self.state, self.actor, view.now_us, sealed=self.sealed)
        view.put(REPORT, row)
        return Answer(201, self.report, row)


@dataclass(frozen=True, slots=True)
class Settling:
    """The end of these reports' photos is fixed."""

    reports: Collection[str]
    retry: None = None
    journals: tuple[str, ...] = ()

    @property
    def weight(self) -> int:
        return 1 + len(self.reports) // 4

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield from ((REPORT, (report,)) for report in self.reports)

    def decide(self, view: View) -> Answer:
        for report in self.reports:
            row = view.get(REPORT, report)
            if row is not None and row[1] != OPEN and row[11] is None:
                view.put(REPORT, (*row[:11], view.now_us, row[12]))
        return Answer()


def forgotten(view: View, reports: Collection[str], photos: Collection[Key]) -> None:
    """Whoever is erased has nothing open any more, and no photo of theirs is known again."""
    for report in reports:
        row = view.get(REPORT, report)
        if row is not None and row[1] == OPEN:
            view.put(REPORT, closed(row, WITHDRAWN, "system", view.now_us))
    for key in photos:
        if view.get(REPORT_PHOTO, *key) is not None:
            view.remove(REPORT_PHOTO, *key)

# SPDX-License-Identifier: Apache-2.0
"""What happens to an objection inside a commit, apart from its decision: made, given more time, withdrawn, and the
subject's points kept from lapsing while it is open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from ledger.book import awards, records
from ledger.errors import Refusal
from ledger.model import UNITS, Act, Link, subject_account
from ledger.port import Answer, Retry
from ledger.tables import BALANCE, MEMBER, Key, Table
from ledger.view import View
from rules.desk.assess import home_now
from rules.objections.domain import (
    DUE_WORKDAYS,
    ERASED,
    EXTENDED_WORKDAYS,
    OPEN,
    WITHDRAWN,
    Kind,
    Target,
    kept_until,
)
from rules.objections.records import ObjectionRecord, opened, record
from rules.tables import OBJECTION, OBJECTION_MARK
from rules.workdays import Workdays


def keep_lots(view: View, home: str, act: Act, subject: str, due: date) -> int:
    """Give every lot that would lapse too early a later day, in both books; how many.

    Only what is the subject's own: deductions of bodies lapse in their favour, and go on doing so.
    """
    today = view.today(home)
    later = kept_until(due, date.fromisoformat(today)).isoformat()
    done = 0
    for unit in UNITS:
        for lot, amount in sorted(view.balances(home, subject_account(subject), unit).items()):
            if amount > 0 and today <= lot < later:
                awards.relot(
                    view, home, act, subject=subject, unit=unit, lot=lot, later=later, amount=amount,
                    reason="objection", links=[],
                )  # fmt: skip
                done += 1
    return done


def account_of(home: str, subject: str) -> list[tuple[Table, Key]]:
    return [(MEMBER, (home, subject)), (BALANCE, (home, subject_account(subject)))]


def open_record(view: View, id_: str, key: bytes) -> ObjectionRecord:
    """The objection, still open, with its reasons. Raises `already_decided`."""
    row = view.get(OBJECTION, id_)
    if row is None:
        raise Refusal("not_found", what="objection", id=id_[:60])
    if row[1] != OPEN:
        raise Refusal("already_decided", objection=id_, state=row[1])
    return record(row, opened(row, key))


def own_entry(found: ObjectionRecord) -> Link:
    """The link `decides` to the entry that says it was made."""
    return Link("decides", found.journal, found.seq, bytes(found.leaf).hex())


def close(view: View, found: ObjectionRecord, key: bytes) -> None:
    """Store it as it ended, and free what it disputed for another one."""
    view.put(OBJECTION, found.row(key))
    if view.get(OBJECTION_MARK, found.target) is not None:
        view.remove(OBJECTION_MARK, found.target)


@dataclass(frozen=True, slots=True)
class FileCommand:
    """An objection is made: its entry, its row and the later lots, in one commit."""

    id: str
    kind: Kind
    target: str
    about: Target
    detail: Mapping[str, str] | None
    reason: str
    filed_by: str
    home: str
    key: bytes
    act: Act
    workdays: Workdays
    retry: Retry | None
    weight: int = 3

    @property
    def journals(self) -> tuple[str, ...]:
        return (self.home,)

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield OBJECTION_MARK, (self.target,)
        yield from account_of(self.home, self.about.subject)

    def decide(self, view: View) -> Answer:
        subject, entry = self.about.subject, self.about.entry
        home = home_now(view, self.home, subject)
        mark = view.get(OBJECTION_MARK, self.target)
        if mark is not None:
            raise Refusal("objection_open", objection=mark[1])
        today = view.today(home)
        due, sure = self.workdays.after(date.fromisoformat(today), DUE_WORKDAYS)
        sealed = records.objection(
            view, home, self.act, subject=subject, id=self.id, due=due.isoformat(), links=[entry] if entry else []
        )
        keep_lots(view, home, self.act, subject, due)
        made = ObjectionRecord(
            self.id, OPEN, self.kind, subject, home, sealed.seq, sealed.leaf, self.about.place, self.target,
            entry.journal if entry else None, entry.seq if entry else None, self.detail, self.filed_by,
            self.filed_by != subject, view.now_us, today, due.isoformat(), sure, None, None, None, None, None, None,
            {"reason": self.reason},
        )  # fmt: skip
        view.put(OBJECTION_MARK, (self.target, self.id))
        view.insert(OBJECTION, made.row(self.key))
        return Answer(201, self.id, made)


@dataclass(frozen=True, slots=True)
class ExtendCommand:
    """More time, once: seven working days from the day it was made instead of three."""

    id: str
    subject: str
    home: str
    key: bytes
    act: Act
    reason: str
    workdays: Workdays
    retry: Retry | None
    weight: int = 2

    @property
    def journals(self) -> tuple[str, ...]:
        return (self.home,)

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield OBJECTION, (self.id,)
        yield from account_of(self.home, self.subject)

    def decide(self, view: View) -> Answer:
        found = open_record(view, self.id, self.key)
        home = home_now(view, self.home, self.subject)
        if found.extended_by is not None:
            raise Refusal("objection_extended", due=found.due)
        if found.overdue(view.today(home)):
            raise Refusal("objection_overdue", due=found.due)
        due, sure = self.workdays.after(date.fromisoformat(found.filed_on), EXTENDED_WORKDAYS)
        keep_lots(view, home, self.act, self.subject, due)
        changed = found._replace(
            due=due.isoformat(), sure=sure, extended_by=self.act.actor, said={**found.said, "extension": self.reason}
        )
        view.put(OBJECTION, changed.row(self.key))
        return Answer(201, self.id, changed)


@dataclass(frozen=True, slots=True)
class WithdrawCommand:
    """The subject takes the objection back."""

    id: str
    subject: str
    home: str
    key: bytes
    act: Act
    retry: Retry | None
    weight: int = 1

    @property
    def journals(self) -> tuple[str, ...]:
        return (self.home,)

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield OBJECTION, (self.id,)
        yield MEMBER, (self.home, self.subject)

    def decide(self, view: View) -> Answer:
        found = open_record(view, self.id, self.key)
        home = home_now(view, self.home, self.subject)
        sealed = records.decision(
            view, home, self.act, subject=self.subject, id=self.id, outcome=WITHDRAWN, links=[own_entry(found)]
        )
        ended = found._replace(
            state=WITHDRAWN, decided_by=self.act.actor, decided_at=view.now_us,
            decision_journal=home, decision_seq=sealed.seq,
        )  # fmt: skip
        close(view, ended, self.key)
        return Answer(201, self.id, ended)


@dataclass(frozen=True, slots=True)
class KeepCommand:
    """While it is open: lots that came since, and once a month all of them if the decision is late."""

    id: str
    subject: str
    home: str
    act: Act
    retry: None = None
    weight: int = 2

    @property
    def journals(self) -> tuple[str, ...]:
        return (self.home,)

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield OBJECTION, (self.id,)
        yield from account_of(self.home, self.subject)

    def decide(self, view: View) -> Answer:
        row = view.get(OBJECTION, self.id)
        if row is None or row[1] != OPEN:
            return Answer(value=0)
        home = home_now(view, self.home, self.subject)
        return Answer(value=keep_lots(view, home, self.act, self.subject, date.fromisoformat(record(row).due)))


@dataclass(frozen=True, slots=True)
class ForgetCommand:
    """The subject was erased: nobody is left to be answered."""

    id: str
    target: str
    retry: None = None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield OBJECTION, (self.id,)
        yield OBJECTION_MARK, (self.target,)

    def decide(self, view: View) -> Answer:
        row = view.get(OBJECTION, self.id)
        if row is not None and row[1] == OPEN:
            ended = list(row)
            ended[1], ended[19], ended[20] = ERASED, "system", view.now_us
            view.put(OBJECTION, tuple(ended))
            if view.get(OBJECTION_MARK, self.target) is not None:
                view.remove(OBJECTION_MARK, self.target)
        return Answer(value=1)

# SPDX-License-Identifier: Apache-2.0
"""Commands that open accounts for people, change their records and keep their consents.

One person or a whole sheet is one command: account, record, indexes, consents and the register's row stand together or
not at all. Data keys are made before; a key whose account never came to be opens nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from api.people.records import Amend, Consents, NewPerson, check_joining
from api.people.tables import CONSENT, IDENTITY, PERSON
from ledger.book.accounts import move, open_account
from ledger.errors import Refusal
from ledger.model import ISSUER, Act, subject_account
from ledger.port import Answer, Retry
from ledger.tables import BALANCE, MEMBER, Key, Table
from ledger.view import View


class Index(NamedTuple):
    """The digests under which a person is found."""

    identity: bytes
    phone: bytes | None
    tail: bytes | None
    name_grid: bytes


@dataclass(frozen=True, slots=True, repr=False)
class Prepared:
    """A person ready to be written: id and key made, record sealed, digests taken."""

    subject: str
    key: bytes
    new: NewPerson
    index: Index
    sealed: bytes
    request: bytes


@dataclass(frozen=True, slots=True, repr=False)
class Registering:
    """Opens the accounts. The answer's value lists (subject, newly registered?) in the order of the people.

    `known`: what to do about somebody who is registered already: `refuse` all, or `skip` that one.
    """

    people: Sequence[Prepared]
    actor: str
    txn: str
    base: int
    known: str = "refuse"
    retry: Retry | None = None

    @property
    def journals(self) -> set[str]:
        return {person.new.home for person in self.people}

    @property
    def weight(self) -> int:
        return len(self.people)

    def reads(self) -> Iterable[tuple[Table, Key]]:
        for home in self.journals:
            yield BALANCE, (home, ISSUER)
        for person in self.people:
            home, subject = person.new.home, person.subject
            yield IDENTITY, (person.index.identity,)
            yield MEMBER, (home, subject)
            yield BALANCE, (home, subject_account(subject))

    def decide(self, view: View) -> Answer:
        days = {home: _today(view, home) for home in self.journals}
        done: list[tuple[str, bool]] = []
        for person in self.people:
            known = view.get(IDENTITY, person.index.identity)
            if known is None:
                self._open(view, person, days[person.new.home])
                done.append((person.subject, True))
            elif self.known == "skip":
                done.append((known[1], False))
            else:
                raise Refusal("already_registered", subject=known[1])
        return Answer(201, done[0][0] if len(done) == 1 else self.txn, done)

    def _open(self, view: View, person: Prepared, today: date) -> None:
        new, subject, index = person.new, person.subject, person.index
        check_joining(new.birth, new.consents, today)
        act = Act(self.actor, today.isoformat(), person.request, self.txn, person.key)
        open_account(view, new.home, act, subject=subject, kind="person", base=self.base)
        now, consents = view.now_us, new.consents.row
        view.put(IDENTITY, (index.identity, subject))
        view.insert(PERSON, (subject, person.sealed, *index, *consents, now, now))
        view.insert(CONSENT, (subject, now, self.actor, *consents))
        for table, row in new.also(subject, now):
            view.insert(table, row)


def _today(view: View, home: str) -> date:
    try:
        return date.fromisoformat(view.today(home))
    except Refusal as refusal:
        if refusal.code == "not_found":
            raise Refusal("journal_not_open", journal=home) from refusal
        raise


@dataclass(frozen=True, slots=True, repr=False)
class Changing:
    """Writes a changed record over the one that was read at `seen`; moves the account when the home changes.

    Raises `precondition_failed` when somebody else has changed the record since: the caller reads again.
    """

    subject: str
    key: bytes
    seen: int
    index: Index
    sealed: bytes
    birth: date | None
    origin: str
    home: str
    actor: str
    txn: str
    request: bytes
    amend: Amend
    retry: Retry | None = None
    weight: int = 2

    @property
    def journals(self) -> set[str]:
        return {self.origin, self.home}

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield PERSON, (self.subject,)
        yield IDENTITY, (self.index.identity,)

    def decide(self, view: View) -> Answer:
        row = view.get(PERSON, self.subject)
        if row is None:
            raise Refusal("subject_unknown", subject=self.subject)
        if row[11] != self.seen:
            raise Refusal("precondition_failed")
        today = _today(view, self.home)
        consents = Consents(*row[6:10])
        if consents.ledger:
            check_joining(self.birth, consents, today)
        known = view.get(IDENTITY, self.index.identity)
        if known is not None and known[1] != self.subject:
            raise Refusal("already_registered", subject=known[1])
        if self.home != self.origin:
            act = Act(self.actor, today.isoformat(), self.request, self.txn, self.key)
            move(view, self.origin, self.home, act, subject=self.subject)
        now = max(view.now_us, row[11] + 1)
        if row[2] != self.index.identity:
            view.get(IDENTITY, row[2])
            view.remove(IDENTITY, row[2])
            view.put(IDENTITY, (self.index.identity, self.subject))
        view.put(PERSON, (self.subject, self.sealed, *self.index, *row[6:11], now))
        self.amend(view)
        return Answer(200, self.subject)


@dataclass(frozen=True, slots=True)
class Consenting:
    """Gives or withdraws consents; every change stays on record with who recorded it and when."""

    subject: str
    changes: dict[str, int]
    actor: str
    amend: Amend
    retry: Retry | None = None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield PERSON, (self.subject,)
        yield CONSENT, (self.subject,)

    def decide(self, view: View) -> Answer:
        row = view.get(PERSON, self.subject)
        if row is None:
            raise Refusal("subject_unknown", subject=self.subject)
        before = Consents(*row[6:10])
        after = before.changed(self.changes)
        if after == before:
            return Answer(200, self.subject, after)
        now = max(view.now_us, row[11] + 1)
        changed: tuple[Any, ...] = (*row[:6], *after.row, row[10], now)
        view.put(PERSON, changed)
        view.put(CONSENT, (self.subject, now, self.actor, *after.row))
        self.amend(view)
        return Answer(200, self.subject, after)

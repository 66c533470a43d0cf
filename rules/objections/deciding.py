# SPDX-License-Identifier: Apache-2.0
"""The decision on an objection, with whatever it sets right, in one commit: of two at once, one wins and is whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.book import records
from ledger.model import Act
from ledger.port import Answer, Retry
from ledger.tables import MEMBER, Key, Table
from ledger.view import View
from rules.desk.assess import home_now
from rules.objections.correcting import Correction
from rules.objections.domain import Outcome
from rules.objections.filing import close, open_record, own_entry
from rules.tables import OBJECTION, OBJECTION_MARK


@dataclass(frozen=True, slots=True)
class DecideCommand:
    """Decide, and set right what was wrong. Who may has been looked at by the caller: it depends on nothing that a
    commit changes."""

    id: str
    subject: str
    target: str
    home: str
    outcome: Outcome
    reason: str
    correction: Correction
    key: bytes
    act: Act
    retry: Retry | None
    weight: int = 3

    @property
    def journals(self) -> tuple[str, ...]:
        return tuple(sorted({self.home} | self.correction.journals))

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield OBJECTION, (self.id,)
        yield OBJECTION_MARK, (self.target,)
        yield MEMBER, (self.home, self.subject)
        yield from self.correction.reads()

    def decide(self, view: View) -> Answer:
        found = open_record(view, self.id, self.key)
        home = home_now(view, self.home, self.subject)
        sealed = records.decision(
            view, home, self.act, subject=self.subject, id=self.id, outcome=self.outcome, links=[own_entry(found)]
        )
        done = self.correction.make(view)
        ended = found._replace(
            state=self.outcome,
            decided_by=self.act.actor,
            decided_at=view.now_us,
            decision_journal=home,
            decision_seq=sealed.seq,
            correction=done,
            said={**found.said, "decision": self.reason},
        )
        close(view, ended, self.key)
        return Answer(201, self.id, ended)

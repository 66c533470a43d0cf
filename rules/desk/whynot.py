# SPDX-License-Identifier: Apache-2.0
"""Why a report would be refused, all of it: every check with its values, seen from inside a commit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.port import Answer
from ledger.tables import Key, Table
from ledger.view import View
from rules.desk.assess import home_now, posting_day, tallied
from rules.desk.award import Previewed
from rules.desk.prepare import Prepared
from rules.engine.review import review


@dataclass(frozen=True, slots=True)
class WhyNot:
    """A dry run that leaves with the checks of `review` as they stand in this moment."""

    prepared: Prepared
    retry: None = None
    weight: int = 1

    @property
    def journals(self) -> tuple[str, ...]:
        return (self.prepared.home,)

    def reads(self) -> Iterable[tuple[Table, Key]]:
        return self.prepared.reads()

    def decide(self, view: View) -> Answer:
        prepared, request = self.prepared, self.prepared.request
        home = home_now(view, prepared.home, request.subject)
        raise Previewed(
            review(
                prepared.pack,
                prepared.indicator,
                facts=request.facts,
                evidence_level=prepared.level,
                occurred_on=request.occurred_on,
                posted_on=posting_day(view, home),
                used=tallied(view, prepared, home),
                takeover=bool(view.head(home).takeover),
            )
        )

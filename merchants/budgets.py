# SPDX-License-Identifier: Apache-2.0
"""A year's money for a scenario at a place and below it, and how many points the place may give out in a month before a
second person is asked.

redeem.py draws on the nearest line that covers an offer's community; where none is set, nothing is limited.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.port import Answer, Retry
from ledger.tables import Key, Table
from ledger.view import View
from merchants.catalogue import Scenario
from merchants.change import Change, must_serve, one, rows
from merchants.model import Asker, Budget
from merchants.tables import BUDGET


def budget_id(scenario: str, year: str, place: str) -> str:
    """One line a scenario, year and place: it can be read in a statement, and cannot be set twice."""
    return f"bud_{scenario}_{year}_{place}"


@dataclass(frozen=True, slots=True)
class AddBudget:
    """Set a line that is not there yet. Raises `budget_exists`."""

    budget: Budget
    retry: Retry | None = None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield BUDGET, (self.budget.budget,)

    def decide(self, view: View) -> Answer:
        made = self.budget
        if view.get(BUDGET, made.budget) is not None:
            raise Refusal("budget_exists", budget=made.budget)
        view.put(BUDGET, made.row())
        return Answer(201, made.budget, made)


class Budgets:
    """Budget lines by scenario, year and place. Staff of the place set them; they are closed, never deleted."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    async def add(
        self,
        asker: Asker,
        *,
        scenario: Scenario,
        place: str,
        year: str,
        name: str,
        limit_fen: int,
        issue_limit: int = 0,
    ) -> Budget:
        """A new line, open, nothing spent. Raises `forbidden`, `facts_invalid`, `budget_exists`."""
        must_serve(asker, place)
        if scenario.settlement != "reimburse":
            raise Refusal("facts_invalid", errors=[{"pointer": "/scenario", "code": "not_reimbursed"}])
        made = Budget(
            budget=budget_id(scenario.code, year, place),
            scenario=scenario.code,
            place=place,
            year=year,
            name=name,
            limit_fen=limit_fen,
            spent=0,
            state="open",
            version=1,
            created_at=self.ledger.clock(),
            issue_limit=issue_limit,
        )
        return (await self.ledger.submit(AddBudget(made))).value

    async def change(
        self, asker: Asker, budget: str, *, version: int | None = None, **changes: int | str | None
    ) -> Budget:
        """Change `name`, `limit_fen`, `issue_limit` or `state`; None leaves one as it is. A limit below what is spent
        takes nothing back: it only ends the spending. Raises `forbidden`, `not_found`, `precondition_failed`."""
        unknown = set(changes) - {"name", "limit_fen", "issue_limit", "state"}
        assert not unknown, unknown
        if not asker.is_staff:
            raise Refusal("forbidden")

        def make(before: Budget, view: View) -> Budget:
            must_serve(asker, before.place)
            return before.but(**{name: value for name, value in changes.items() if value is not None})

        return (await self.ledger.submit(Change(BUDGET, budget, Budget.of, make, version))).value

    async def get(self, budget: str) -> Budget:
        """One line. Raises `not_found`."""
        return Budget.of(await one(self.ledger, BUDGET, budget))

    async def find(
        self,
        *,
        places: Collection[str] | None = None,
        scenario: str | None = None,
        year: str | None = None,
        state: str | None = None,
        after: str = "",
        limit: int = 100,
    ) -> list[Budget]:
        """Lines by id, which is by scenario, year and place, from the one after `after`."""
        where, params = "budget > ?", [after]
        for name, value in (("scenario", scenario), ("year", year), ("state", state)):
            if value is not None:
                where, params = f"{where} AND {name} = ?", [*params, value]
        if places is not None:
            if not places:
                return []
            where += f" AND place IN ({', '.join('?' * len(places))})"
            params += sorted(places)
        return [Budget.of(row) for row in await rows(self.ledger, BUDGET, where, params, "budget", limit)]

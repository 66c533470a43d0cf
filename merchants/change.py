# SPDX-License-Identifier: Apache-2.0
"""Changing one row under its version, and who may: what shops, offers, agreements and budgets have in common."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.port import Answer, Retry
from ledger.tables import Key, Row, Table
from ledger.view import View
from merchants.model import Asker


@dataclass(frozen=True, slots=True)
class Change:
    """Read one row, decide, write it back: `make` gets the row as it is in the commit and gives the new one.

    `version` is what the caller saw (If-Match). Raises `not_found`, `precondition_failed` and what `make` raises.
    """

    table: Table
    id: str
    of: Callable[[Row], Any]
    make: Callable[[Any, View], Any]
    version: int | None = None
    also: tuple[tuple[Table, Key], ...] = ()
    retry: Retry | None = None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield self.table, (self.id,)
        yield from self.also

    def decide(self, view: View) -> Answer:
        row = view.get(self.table, self.id)
        if row is None:
            raise Refusal("not_found", what=self.table.name, id=self.id)
        before = self.of(row)
        if self.version is not None and before.version != self.version:
            raise Refusal("precondition_failed", version=before.version)
        after = self.make(before, view)
        if after != before:
            after = after.but(version=before.version + 1)
            view.put(self.table, after.row())
        return Answer(200, self.id, after)


def must_serve(asker: Asker, place: str) -> None:
    """Raises `forbidden` for whoever is no staff at this place."""
    if not asker.is_staff or not asker.serves(place):
        raise Refusal("forbidden")


def must_own(asker: Asker, merchant: str, community: str) -> None:
    """The same, but a shop's key may act for its own shop."""
    if asker.merchant is None:
        must_serve(asker, community)
    elif asker.merchant != merchant:
        raise Refusal("forbidden")


async def rows(
    ledger: Ledger, table: Table, where: str, params: Collection[Any], order: str, limit: int
) -> list[tuple[Any, ...]]:
    """Whole rows of a table, in order."""
    sql = f"SELECT {', '.join(table.names)} FROM {table.name} WHERE {where} ORDER BY {order} LIMIT ?"
    return await ledger.fetch(sql, *params, limit)


async def one(ledger: Ledger, table: Table, id: str) -> Row:
    """The row with this key. Raises `not_found`."""
    found = await rows(ledger, table, f"{table.names[0]} = ?", [id], table.names[0], 1)
    if not found:
        raise Refusal("not_found", what=table.name, id=id)
    return found[0]

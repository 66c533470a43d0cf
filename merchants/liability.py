# SPDX-License-Identifier: Apache-2.0
"""What the points that are out would cost: how many, until when they can be spent, and what the budgets have left.

Balances are read as they stand. Points whose last day is over count for nobody, posted as expired or not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from ledger.engine import Ledger
from ledger.model import FOREVER, POINTS
from merchants.catalogue import Scenarios
from merchants.model import Budget

_ALL_HELD = ("held:", "held;")  # ";" follows ":", so these are the two ends of all accounts of the kind
_ALL_OWN = ("subject:", "subject;")
_ALL_SHOPS = ("merchant:", "merchant;")


@dataclass(frozen=True, slots=True)
class Outstanding:
    """One journal's points, in hundredths: what people have by the month of its last day ("" never), what is held for
    orders, and what shops took and were not paid for yet."""

    journal: str
    months: Mapping[str, int]
    held: int
    with_shops: int

    @property
    def points(self) -> int:
        """What can still be spent or is about to be."""
        return sum(self.months.values()) + self.held


class Left(NamedTuple):
    """What a budget has left, and how many whole months that lasts if they go on like the days of its year so far
    (None: nothing was spent, or it is another year's)."""

    fen: int
    months: int | None


def most_per_point(scenarios: Scenarios) -> int:
    """Fen that a point may cost at most: what it is worth where it is worth most."""
    return max((one.fen_per_point for one in scenarios.values() if one.settlement == "reimburse"), default=0)


def value_fen(points: int, fen_per_point: int) -> int:
    """Hundredths of points in fen, a begun fen counting."""
    return -(-points * fen_per_point // 100)


async def outstanding(ledger: Ledger, journals: Collection[str], today: str) -> list[Outstanding]:
    """The points that are out in these journals, by journal."""
    held, shops = [await _by_lot(ledger, journals, *kind) for kind in (_ALL_HELD, _ALL_SHOPS)]
    months: dict[str, Counter[str]] = {journal: Counter() for journal in sorted(journals)}
    for (journal, lot), points in (await _by_lot(ledger, journals, *_ALL_OWN)).items():
        if lot >= today:
            months[journal]["" if lot == FOREVER else lot[:7]] += points
    return [
        Outstanding(journal, dict(sorted(lots.items())), _in(held, journal), _in(shops, journal))
        for journal, lots in months.items()
    ]


def left(budget: Budget, today: str) -> Left:
    """What a line has left at the end of a day."""
    rest = max(0, budget.limit_fen * 100 - budget.spent)
    fen = rest // 100 if budget.state == "open" else 0
    if budget.year != today[:4] or not budget.spent:
        return Left(fen, None)
    days = date.fromisoformat(today).timetuple().tm_yday
    return Left(fen, fen * 100 * days * 12 // (budget.spent * 365))


async def _by_lot(ledger: Ledger, journals: Collection[str], begin: str, end: str) -> dict[tuple[str, str], int]:
    if not journals:
        return {}
    rows = await ledger.fetch(
        "SELECT journal, lot, SUM(amount) FROM balance WHERE account >= ? AND account < ? AND unit = ?"
        f" AND journal IN ({', '.join('?' * len(journals))}) GROUP BY journal, lot",
        begin,
        end,
        POINTS,
        *sorted(journals),
    )
    return {(journal, lot): int(points) for journal, lot, points in rows}


def _in(found: Mapping[tuple[str, str], int], journal: str) -> int:
    return sum(points for (where, _), points in found.items() if where == journal)

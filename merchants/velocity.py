# SPDX-License-Identifier: Apache-2.0
"""How fast orders may come: at one till a minute, at one shop a day, by one person a day.

No honest counter comes near these numbers; a script with a stolen key or a list of cards does. One row each is kept and
overwritten when its minute or day is over, counted in the order's own commit, so that no two tills slip past at once.
An order that is called off still counts: it was made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ledger.errors import Unavailable
from ledger.tables import Key, Table
from ledger.view import View, rfc3339
from merchants.model import Condition, Merchant, Redemption
from merchants.tables import MERCHANT, VELOCITY

PER_MINUTE = 600  # orders a minute at one till: ten a second
PER_DAY = 5_000  # orders a day at one shop
PERSON_PER_DAY = 200
_MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Velocity(Condition):
    """Counts an order against its till, its shop and its person. `till` is the terminal, or the key where none is
    known, or "" where staff or the person act themselves: they are named in the order, and only the person is counted.

    Raises `rate_limited`, which is not kept under a retry key: the same request may come again later. It is said before
    the person is looked at, or it would be a yes that uses nothing up."""

    till: str
    merchant: str
    subject: str

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield VELOCITY, ("person", self.subject)
        if self.till:
            yield VELOCITY, ("terminal", self.till)
            yield VELOCITY, ("merchant", self.merchant)

    def enter(self, view: View, command: Any) -> None:
        self._all(view, command.journal, 0)

    def place(self, view: View, order: Redemption) -> None:
        self._all(view, order.journal, 1)

    def _all(self, view: View, journal: str, more: int) -> None:
        day = view.today(journal)
        midnight = _seconds_to_midnight(view.now_us, view.head(journal).zone)
        self._count(view, "person", self.subject, day, PERSON_PER_DAY, midnight, more)
        if not self.till:
            return
        row = view.get(MERCHANT, self.merchant)
        assert row is not None, self.merchant
        shop, minute = Merchant.of(row), rfc3339(view.now_us)[:16]
        left = _MINUTE_S - view.now_us // 1_000_000 % _MINUTE_S
        self._count(view, "terminal", self.till, minute, shop.per_minute or PER_MINUTE, left, more)
        self._count(view, "merchant", self.merchant, day, shop.per_day or PER_DAY, midnight, more)

    def _count(self, view: View, what: str, id_: str, start: str, most: int, seconds_left: int, more: int) -> None:
        row = view.get(VELOCITY, what, id_)
        used = row[3] if row is not None and row[2] == start else 0
        if used >= most:
            raise Unavailable("rate_limited", retry_after=seconds_left)
        if more:
            view.put(VELOCITY, (what, id_, start, used + more))


def _seconds_to_midnight(now_us: int, zone: str) -> int:
    now = datetime.fromtimestamp(now_us // 1_000_000, ZoneInfo(zone))
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0)
    return max(1, int((midnight - now).total_seconds()))

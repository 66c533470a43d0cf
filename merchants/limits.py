# SPDX-License-Identifier: Apache-2.0
"""How often: what an order counts in its windows, and what a till may find out by trying.

windows.py says which windows there are. The counts are rows of `usage`, read and written in the order's commit. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import orjson

from ledger.errors import Refusal, Unavailable
from ledger.tables import Row, Table
from ledger.view import View
from merchants.model import Redemption
from merchants.tables import PROBE, USAGE
from merchants.windows import Window

BY_PIN = {"card", "phone"}  # ways that a till can try again and again without the person
TOTALS_TRIED = 5
"""So many different totals may one shop be refused, or hold, for one person a day. Halving an interval five times tells
a balance to a thirty-second; a customer who is short buys at the sixth price with staff, or on their own phone."""


def check(view: View, found: Iterable[Window], units: int, points: int) -> None:
    """Raises `limit_reached` where an order does not fit any more."""
    for one in found:
        asked, used = one.taken(units, points), _used(view, one)
        if used + asked > one.most:
            raise Refusal(
                "limit_reached", limit=one.most, used=used, asked=asked, scenario=one.scope[:3], until=one.last
            )


def count(view: View, found: Iterable[Window], units: int, points: int) -> None:
    """Count an order; negative numbers take it back. A window never falls below nothing."""
    for one in found:
        used = _used(view, one) + one.taken(units, points)
        if used > 0:
            view.put(USAGE, (*one.key, used))
        elif view.get(USAGE, *one.key) is not None:
            view.remove(USAGE, *one.key)


def _used(view: View, one: Window) -> int:
    row = view.get(USAGE, *one.key)
    return row[3] if row else 0


def written(found: Iterable[Window]) -> str:
    """How an order remembers its windows."""
    return orjson.dumps([(*one.key, one.points) for one in found]).decode()


def remembered(order: Redemption) -> list[Window]:
    """The windows an order counts in, its offer's own among them."""
    mine = Window(order.offer, order.consumer, "", "", 0)
    return [
        mine,
        *(Window(scope, who, start, "", 0, points) for scope, who, start, points in orjson.loads(order.windows)),
    ]


class Probe:
    """What one shop has found out about one person on one day: totals that it was refused, or that came to nothing, and
    orders that it holds and has not captured. A total goes on top of what is held, or a till would feel for the balance
    by piling up small orders. One that was tried already says nothing new and may be tried again."""

    def __init__(self, view: View, merchant: str, subject: str, day: str, zone: str) -> None:
        self._key = (merchant, subject, day)
        self._zone = zone
        row = view.get(PROBE, *self._key)
        said = orjson.loads(row[3]) if row else {}
        self._tried: list[str] = said.get("tried", [])
        self._held: dict[str, tuple[int, str]] = said.get("held", {})

    def total(self, points: int, scenario: str) -> str:
        """What an order tries: a total of points and the gate of a scenario, or that gate alone."""
        return f"{scenario} {points + sum(held for held, _ in self._held.values())}" if points else scenario

    def check(self, total: str, now_us: int) -> None:
        """Raises `rate_limited` until tomorrow for a new total after too many; it is not kept under a retry key."""
        known = {*self._tried, *(total for _, total in self._held.values())}
        if total not in known and len(known) >= TOTALS_TRIED:
            day = date.fromisoformat(self._key[2]) + timedelta(days=1)
            midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(self._zone)).astimezone(UTC)
            raise Unavailable("rate_limited", retry_after=max(1, int(midnight.timestamp()) - now_us // 1_000_000))

    def tried(self, total: str) -> tuple[Table, Row]:
        """The row with one more total."""
        return self._row({*self._tried, total}, self._held)

    def holds(self, order: Redemption, total: str) -> tuple[Table, Row]:
        """The row with an order that is held."""
        return self._row(self._tried, {**self._held, order.redemption: (order.points, total)})

    def ends(self, order: Redemption, *, sold: bool) -> tuple[Table, Row]:
        """The row where an order is held no more: it was `sold`, or came to nothing in whole or part."""
        held = dict(self._held)
        _, total = held.pop(order.redemption, (0, self.total(order.points, order.scenario)))
        return self._row(self._tried if sold else {*self._tried, total}, held)

    def _row(self, tried: Iterable[str], held: dict[str, tuple[int, str]]) -> tuple[Table, Row]:
        return PROBE, (*self._key, orjson.dumps({"held": held, "tried": sorted(tried)}).decode())

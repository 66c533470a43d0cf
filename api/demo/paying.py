# SPDX-License-Identifier: Apache-2.0
"""Shops paid month by month: statements are made when a month is over, agreed to by the shops, and settled within the
month. The newest still wait, and one line of them is disputed."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

from api.demo.county import County
from api.demo.lane import first_day
from api.demo.shops import MARKET

TILL = "key_demo"  # who speaks for a shop that has no key of its own


class Paying:
    """The settlement office of the story. `counts`: statements made and settled."""

    def __init__(self, county: County, counts: Counter[str], as_of: date) -> None:
        self.county = county
        self.counts = counts
        self.newest = _month_before(as_of)
        # The last months whose statements are there, and are paid: nothing was sold before the first.
        self.made = self.settled = _month_before(first_day(as_of))

    async def work(self, day: date) -> None:
        """On the first day of business in a month make the statements of the month before, on the next one pay."""
        period = _month_before(day)
        with self.county.ids("statements", day):
            if period > self.made:
                await self._make(period)
                self.made = period
            elif self.settled < period < self.newest:
                for merchant in self.county.merchants.values():
                    await self._settle(merchant, period)
                self.settled = period

    async def _make(self, period: str) -> None:
        office, merchants = self.county.world.settlements, list(self.county.merchants.values())
        self.counts["statements"] += (await office.run(period)).made
        for merchant in merchants if period < self.newest else merchants[1::2]:
            if await self._waits(merchant, period):
                await office.accept(TILL, merchant, period)
        market = self.county.merchants[MARKET]
        if period == self.newest and await self._waits(market, period):
            await office.dispute(TILL, market, period, lines=[1], reason="这一笔当天已经退货，店里有小票")

    async def _waits(self, merchant: str, period: str) -> bool:
        """Has the shop a statement of this month that nobody has done anything with?"""
        found = await self.county.world.settlements.listing(merchant)
        return any(one.period == period and one.lines and one.state == "open" for one in found)

    async def _settle(self, merchant: str, period: str) -> None:
        office, login = self.county.world.settlements, self.county.staff["staff"]
        if all(one.period != period for one in await office.listing(merchant)):
            return
        if (await office.shown(merchant, period)).due:
            reference = f"拨付{period.replace('-', '')}"
            await office.settle(
                login.id, merchant, period, persons=[login.subject] if login.subject else [], reference=reference
            )
            self.counts["settled"] += 1


def _month_before(day: date) -> str:
    return f"{day.replace(day=1) - timedelta(days=1):%Y-%m}"

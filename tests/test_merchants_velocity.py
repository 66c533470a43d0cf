# SPDX-License-Identifier: Apache-2.0
"""How fast orders may come: till by minute, shop and person by day, counted in the commit, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from ledger.errors import Refusal, Unavailable
from merchants import velocity
from merchants.model import Asker
from tests.shops import HOUR, STAFF, Town, opened, refused

pytestmark = pytest.mark.schema("ledger", "merchants")

MINUTE = HOUR // 60


@pytest.fixture
async def town(database_url: str) -> AsyncIterator[Town]:
    async with opened(database_url) as made:
        yield made


async def _limits(town: Town, **limits: int) -> None:
    await town.shop.offers.change_merchant(STAFF, town.merchant.merchant, **limits)


async def _orders(town: Town, who: str, count: int, till: Asker | None = None, **more: str) -> list[str]:
    """So many orders at once; the codes of those that were refused."""
    offer = await town.offer(50, stock=-1)
    by = more or {"card": who, "pin": "2468"}
    calls = (town.shop.redeem(till or town.till, offer=offer, by=by, capture=True) for _ in range(count))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(one, Refusal) for one in outcomes if isinstance(one, BaseException))
    return [one.code for one in outcomes if isinstance(one, Refusal)]


async def test_a_till_by_the_minute(town: Town) -> None:
    """Three a minute each, all at once or one by one; another till has its own minute, and the next one is free."""
    await _limits(town, per_minute=3)
    sub = await town.resident("sub_1", 10_000)
    shop = town.merchant.merchant
    one, other = (Asker("key_1", shop, terminal=till) for till in ("ter_1", "ter_2"))
    assert ["rate_limited"] * 2 == await _orders(town, sub, 5, one)
    assert ["rate_limited"] == await _orders(town, sub, 4, other)
    assert ["rate_limited"] * 2 == await _orders(town, sub, 5, Asker("key_9", shop))
    town.now += 20_000_000
    offer = await town.offer(50)
    said = await refused(town.shop.redeem(one, offer=offer, by={"card": sub, "pin": "2468"}))
    assert 40 == said.facts["retry_after"]
    town.now += 40_000_000
    assert [] == await _orders(town, sub, 3, one)


async def test_a_shop_and_a_person_by_the_day(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """All tills of a shop together, all shops for one person; midnight of the place begins anew."""
    await _limits(town, per_day=4)
    first, second = await town.resident("sub_1", 10_000), await town.resident("sub_2", 10_000)
    assert [] == await _orders(town, first, 2)
    assert ["rate_limited"] == await _orders(town, second, 3, Asker("key_2", town.merchant.merchant))
    offer = await town.offer(50)
    said = await refused(town.shop.redeem(town.till, offer=offer, by={"card": first, "pin": "2468"}))
    assert 12 * 3600 == said.facts["retry_after"]  # it is noon
    monkeypatch.setattr(velocity, "PERSON_PER_DAY", 3)
    assert ["rate_limited"] == await _orders(town, first, 2, STAFF, subject=first)
    assert ["rate_limited"] == await _orders(town, second, 2, STAFF, subject=second)
    town.now += 12 * HOUR
    assert [] == await _orders(town, first, 3)


async def test_a_slowed_request_may_come_again(town: Town) -> None:
    """Nothing is kept under its retry key, nothing was moved, and the same request is an order a minute later; a replay
    is not counted, an order that is called off is."""
    await _limits(town, per_minute=1)
    sub = await town.resident("sub_1", 500)
    offer = await town.offer(50)
    retry = [town.ledger.retry("key_1", f"k{n}", b"body") for n in range(2)]

    async def order(number: int) -> str:
        by = {"card": sub, "pin": "2468"}
        return (await town.shop.redeem(town.till, offer=offer, by=by, retry=retry[number])).id

    first = await order(0)
    assert first == await order(0)
    await town.shop.release(town.till, first)
    said = await refused(order(1))
    assert isinstance(said, Unavailable) and 500 == await town.points(sub)
    town.now += MINUTE
    assert first != await order(1)
    assert 450 == await town.points(sub)


async def test_one_row_each_whatever_the_time(town: Town) -> None:
    """A till, a shop and a person have one row, however many days they come."""
    sub = await town.resident("sub_1", 10_000)
    for _ in range(3):
        await _orders(town, sub, 2)
        town.now += 24 * HOUR
    rows = await town.ledger.fetch("SELECT what, id, used FROM velocity ORDER BY what")
    assert [("merchant", town.merchant.merchant, 2), ("person", sub, 2), ("terminal", "key_1", 2)] == list(
        map(tuple, rows)
    )

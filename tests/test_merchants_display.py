# SPDX-License-Identifier: Apache-2.0
"""Minutes of a street's screen: no booking of anybody touches a member's floor, and a day is never sold twice."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import Refusal
from ledger.tables import Key, Row, Table
from merchants.display import AHEAD_DAYS, Plan, Slot, Taken, free, plan_on, plans_of, play_list, sold_days
from merchants.jobs import expire_holds
from merchants.model import HOLD_US, Asker, Offer, Redemption
from merchants.screens import LetGo, Screens, SetPlan
from merchants.tables import SCREEN, SCREEN_DAY, SCREEN_SLOT
from tests.shops import HERE, HOUR, STAFF, Town, opened
from tests.shops import refused as no

TODAY = date(2022, 6, 15)
STRANGER = Asker("stf_x", serves=lambda community: False)
SHOPS = tuple(f"sub_shop{n}" for n in range(6))
OFF = Offer("off_1", "mer_1", HERE, "S36", "大屏", "Screen", 100, 0, -1, 0, "", "", "open", 1, "a", "b", 0)


class Rows:
    """What a decision sees, with nothing behind it."""

    def __init__(self) -> None:
        self.tables: defaultdict[Table, dict[Key, Row]] = defaultdict(dict)
        self.today_ = TODAY

    def get(self, table: Table, *key: Any) -> Row | None:
        return self.tables[table].get(key)

    def put(self, table: Table, row: Row) -> None:
        self.tables[table][row[: table.key]] = row

    insert = put

    def today(self, journal: str) -> str:
        return self.today_.isoformat()


class Street(Rows):
    """A screen and its orders."""

    def __init__(self) -> None:
        super().__init__()
        self.orders: list[Redemption] = []

    def day(self, offset: int) -> str:
        return (self.today_ + timedelta(days=offset)).isoformat()

    def plan(self, minutes: int, floor: int, members: tuple[str, ...] = SHOPS, *, offset: int = 0) -> None:
        plan = Plan(self.day(offset), minutes, floor, members, "stf_a")
        SetPlan(STAFF, OFF, plan=plan).decide(self)  # type: ignore[arg-type]

    def buy(self, shop: str, minutes: int, *, offset: int = 0) -> Redemption:
        order = Redemption(
            f"red_{len(self.orders)}", HERE, shop, OFF.offer, OFF.merchant, HERE, "S36", minutes, minutes,
            100 * minutes, 0, 0, self.today(HERE), "", 0, "key_1", "", 0,
        )  # fmt: skip
        Slot(OFF.offer, self.day(offset)).place(self, order)  # type: ignore[arg-type]
        self.orders.append(order)
        return order

    def call_off(self, number: int, units: int) -> None:
        """So many minutes of an order, or what there still is of it."""
        order = self.orders[number]
        row = self.get(SCREEN_SLOT, order.redemption)
        assert row is not None
        free(self, order, min(units, row[4]))  # type: ignore[arg-type]

    def let_go(self, shop: str, *, offset: int = 0, keep: bool = False, asker: Asker = STAFF) -> None:
        LetGo(asker, OFF, day=self.day(offset), member=shop, keep=keep).decide(self)  # type: ignore[arg-type]

    def terms(self, day: str) -> Plan | None:
        return plan_on(plans_of(self.get(SCREEN, OFF.offer)), day)

    def taken(self, day: str) -> Taken:
        return Taken.of(self.get(SCREEN_DAY, OFF.offer, day))

    def bought(self, day: str) -> dict[str, int]:
        sold: defaultdict[str, int] = defaultdict(int)
        for row in self.tables[SCREEN_SLOT].values():
            if row[2] == day and row[4]:
                sold[row[3]] += row[4]
        return sold


def refused(call: Any, *args: Any, **more: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        call(*args, **more)
    return caught.value


def check(street: Street) -> None:
    """On every day: not a minute more than there is, every member its floor, and the day's sum is the orders'."""
    for day in sold_days(street.today(HERE)):
        plan, taken, bought = street.terms(day), street.taken(day), street.bought(day)
        assert sum(bought.values()) == taken.booked
        if plan is None:
            assert not taken.booked
            continue
        plays = play_list(plan, day, taken, bought)
        assert sum(one.minutes for one in plays) <= plan.minutes
        assert len({one.subject for one in plays}) == len(plays)
        minutes = {one.subject: one.minutes for one in plays}
        for shop in plan.members:
            assert minutes.get(shop, 0) >= (0 if shop in taken.waived else plan.floor) + bought.get(shop, 0)


DAYS = st.integers(0, 3)
SHOP = st.sampled_from(SHOPS)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("buy"), SHOP, st.integers(1, 25), DAYS),
        st.tuples(st.just("free"), st.integers(0, 30), st.integers(1, 25)),
        st.tuples(st.just("go"), SHOP, DAYS, st.booleans()),
        st.tuples(st.just("plan"), st.integers(0, 40), st.integers(0, 7), st.sets(SHOP), DAYS),
        st.tuples(st.just("tomorrow")),
    ),
    max_size=40,
)


@settings(max_examples=50)
@given(STEPS)
def test_nobody_gets_less_than_the_floor(steps: list[tuple[Any, ...]]) -> None:
    """Whatever is bought, called off, let go or planned anew, in any order: every member has its floor on every day,
    no day has more minutes than there are, and only what does not fit is refused."""
    live(steps)


@pytest.mark.long
@given(STEPS)
def test_nobody_gets_less_than_the_floor_in_many_a_street(steps: list[tuple[Any, ...]]) -> None:
    """The same, more of it."""
    live(steps)


def live(steps: list[tuple[Any, ...]]) -> None:
    street = Street()
    street.plan(30, 3, SHOPS[:4])
    for step in steps:
        try:
            match step:
                case ("buy", shop, minutes, offset):
                    day = street.day(offset)
                    plan = street.terms(day)
                    left = plan.room(street.taken(day)) if plan else 0
                    fits = plan is not None and plan.minutes > 0 and minutes <= left
                    try:
                        street.buy(shop, minutes, offset=offset)
                    except Refusal as refusal:
                        assert not fits, refusal
                        raise
                    assert fits
                case ("free", number, units):
                    if number < len(street.orders):
                        street.call_off(number, units)
                case ("go", shop, offset, keep):
                    street.let_go(shop, offset=offset, keep=keep)
                case ("plan", minutes, floor, members, offset):
                    street.plan(minutes, floor, tuple(sorted(members)), offset=offset)
                case _:
                    street.today_ += timedelta(days=1)
        except Refusal as refusal:
            assert refusal.code in ("slot_full", "slot_closed", "floors_too_long", "calendar_booked", "not_found")
        check(street)


def test_what_is_left_can_be_bought_to_the_last_minute() -> None:
    """Sixty minutes, six floors of five: thirty are for sale, to anybody, and not one more."""
    street = Street()
    street.plan(60, 5)
    street.buy(SHOPS[0], 29)
    said = refused(street.buy, "sub_stranger", 2)
    assert ("slot_full", 1, 2) == (said.code, said.facts["left"], said.facts["asked"])
    street.buy("sub_stranger", 1)
    assert "slot_full" == refused(street.buy, SHOPS[1], 1).code
    today, plan = street.day(0), street.terms(street.day(0))
    assert plan is not None
    plays = play_list(plan, today, street.taken(today), street.bought(today))
    assert {**dict.fromkeys(SHOPS, 5), SHOPS[0]: 34, "sub_stranger": 1} == {one.subject: one.minutes for one in plays}
    street.call_off(0, 9)
    street.buy(SHOPS[1], 9)


def test_days_that_are_sold() -> None:
    """From today until a month ahead, where there are terms and the screen is on."""
    street = Street()
    assert "slot_closed" == refused(street.buy, SHOPS[0], 1).code
    street.plan(30, 0)
    street.plan(0, 0, (), offset=2)
    assert "slot_closed" == refused(street.buy, SHOPS[0], 1, offset=-1).code
    street.buy(SHOPS[0], 1, offset=1)
    assert "slot_closed" == refused(street.buy, SHOPS[0], 1, offset=2).code
    street.plan(30, 0, offset=3)
    street.buy(SHOPS[0], 1, offset=AHEAD_DAYS)
    assert "slot_closed" == refused(street.buy, SHOPS[0], 1, offset=AHEAD_DAYS + 1).code


def test_a_floor_let_go_comes_back_while_nobody_has_it() -> None:
    """A member gives a day away itself; others may buy it; it gets it back only as long as the minutes are there."""
    street = Street()
    street.plan(12, 2)
    own = Asker("res_1", subject=SHOPS[0])
    street.let_go(SHOPS[0], asker=own)
    street.buy(SHOPS[1], 1)
    assert ("slot_full", 1) == ((said := refused(street.let_go, SHOPS[0], keep=True)).code, said.facts["left"])
    street.call_off(0, 1)
    street.let_go(SHOPS[0], asker=own, keep=True)
    assert "slot_full" == refused(street.buy, SHOPS[1], 1).code
    assert "forbidden" == refused(street.let_go, SHOPS[1], asker=own).code
    assert "forbidden" == refused(street.let_go, SHOPS[1], asker=STRANGER).code
    assert "forbidden" == refused(street.let_go, SHOPS[1], asker=Asker("key_1", "mer_1")).code
    assert "not_found" == refused(street.let_go, "sub_stranger").code
    assert "slot_closed" == refused(street.let_go, SHOPS[1], offset=AHEAD_DAYS + 1).code


def test_new_terms_take_nothing_that_was_bought() -> None:
    """Less time or more members only from a day on for which the minutes are still there."""
    street = Street()
    street.plan(30, 3, SHOPS[:2])
    street.buy(SHOPS[5], 24, offset=5)
    said = refused(street.plan, 30, 3, SHOPS[:3])
    assert ("calendar_booked", street.day(5), 3) == (said.code, said.facts["day"], said.facts["over"])
    street.plan(30, 3, SHOPS[:3], offset=6)
    assert (2, 3) == tuple(len(street.terms(street.day(n)).members) for n in (5, 6))  # type: ignore[union-attr]
    assert "floors_too_long" == refused(street.plan, 8, 3, SHOPS[:3], offset=6).code
    assert "slot_closed" == refused(street.plan, 30, 3, offset=-1).code
    stale = SetPlan(STAFF, OFF, plan=Plan(street.day(9), 30, 3, (), "stf_a"), version=1)
    assert "precondition_failed" == refused(stale.decide, street).code
    forbidden = SetPlan(STRANGER, OFF, plan=Plan(street.day(9), 30, 3, (), "stf_a"))
    assert "forbidden" == refused(forbidden.decide, street).code


def test_everybody_is_first_in_turn() -> None:
    """The order moves on by one a day."""
    plan = Plan(TODAY.isoformat(), 60, 5, SHOPS, "")
    first = [
        play_list(plan, (TODAY + timedelta(days=n)).isoformat(), Taken(), {})[0].subject for n in range(len(SHOPS))
    ]
    assert sorted(first) == sorted(SHOPS)


# against a real ledger -------------------------------------------------------------------------------------------


@pytest.fixture
async def town(database_url: str) -> AsyncIterator[Town]:
    async with opened(database_url) as made:
        yield made


async def _on_street(town: Town, minutes: int, floor: int) -> tuple[str, Screens]:
    """A screen with these terms, and every shop of the street with points."""
    for shop in SHOPS:
        await town.resident(shop, 50_000, kind="body")
        town.groups[shop] = ("G5",)
    offer = await town.offer(100, scenario="S36", stock=-1)
    screens = Screens(town.ledger, town.shop.offers)
    await screens.set_plan(STAFF, offer, from_day="2021-11-22", minutes=minutes, floor=floor, members=SHOPS)
    return offer, screens


def _by(shop: str) -> dict[str, str]:
    return {"card": shop, "pin": "2468"}


@pytest.mark.schema("ledger", "merchants")
async def test_minutes_come_back_with_the_order(town: Town) -> None:
    """Held minutes are taken at once; called off, voided or expired they can be sold again, in part if it was in part;
    a refund leaves them taken."""
    offer, screens = await _on_street(town, 40, 5)
    day = "2021-12-01"

    async def left() -> int:
        [found] = await screens.days(offer, [day])
        return found.left

    async def buy(minutes: int, **more: Any) -> str:
        slot = (Slot(offer, day),)
        return (
            await town.shop.redeem(STAFF, offer=offer, by={"subject": SHOPS[0]}, quantity=minutes, more=slot, **more)
        ).id

    assert 10 == await left()
    called_off = await buy(10)
    assert 0 == await left()
    assert "slot_full" == (await no(buy(1))).code
    await town.shop.release(town.till, called_off)
    assert 10 == await left()
    part = await buy(10)
    await town.shop.capture(town.till, part, amount=400)
    assert 6 == await left()
    voided = await buy(6, capture=True)
    assert 0 == await left()
    await town.shop.void(STAFF, voided, reason="排错了日子")
    assert 6 == await left()
    await buy(3)
    town.now += HOLD_US
    assert (3, 1, 6) == (await left(), await expire_holds(town.shop, town.now), await left())
    await town.shop.refund(STAFF, part, amount=400, reason="没播")
    assert 6 == await left()
    assert [("sub_shop0", 5, 4)] == [one for one in (await screens.days(offer, [day]))[0].plays if one.bought]


@pytest.mark.schema("ledger", "merchants")
async def test_the_last_minutes(town: Town) -> None:
    """Many shops at once for what is left: exactly that is sold, every floor stands, the rest are refused by name."""
    offer, screens = await _on_street(town, 50, 5)
    days = ("2021-11-22", "2021-11-23")
    calls = [
        town.shop.redeem(town.till, offer=offer, by=_by(shop), quantity=3, more=(Slot(offer, day),), capture=n % 2 == 0)
        for n in range(3)
        for shop in SHOPS
        for day in days
    ]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    won = [one for one in outcomes if not isinstance(one, BaseException)]
    assert 12 == len(won)  # of 20 minutes a day, six times three
    assert {"slot_full"} == {one.code for one in outcomes if isinstance(one, Refusal)}
    for found in await screens.days(offer, days):
        assert (2, 48) == (found.left, sum(one.minutes for one in found.plays))
        assert {5} == {one.floor for one in found.plays}
    paid = [await town.points(shop) for shop in SHOPS]
    assert 12 * 300 == 6 * 50_000 - sum(paid)


@pytest.mark.schema("ledger", "merchants")
async def test_two_servers_at_the_last_minute(town: Town, database_url: str) -> None:
    """Two processes that know nothing of each other sell the last minutes once, and new terms never cut into them."""
    offer, screens = await _on_street(town, 40, 5)
    day = "2021-12-01"
    other = Town(database_url)
    other.merchant, other.groups = town.merchant, town.groups
    await other.ledger.open()
    try:
        calls: list[Any] = [
            one.shop.redeem(town.till, offer=offer, by=_by(shop), quantity=4, more=(Slot(offer, day),))
            for shop in SHOPS[:4]
            for one in (town, other)
        ]
        more = Screens(other.ledger, other.shop.offers).set_plan(
            STAFF, offer, from_day=day, minutes=34, floor=5, members=SHOPS
        )
        outcomes = await asyncio.gather(*calls, more, return_exceptions=True)
    finally:
        await other.ledger.close()
    refusals = {one.code for one in outcomes if isinstance(one, BaseException)}  # type: ignore[attr-defined]
    [found] = await screens.days(offer, [day])
    assert refusals <= {"slot_full", "calendar_booked"}
    bought = sum(one.bought for one in found.plays)
    assert (found.minutes, bought) in ((40, 8), (34, 4))
    assert {5} == {one.floor for one in found.plays}


@pytest.mark.schema("ledger", "merchants")
async def test_terms_in_force_are_never_forgotten(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many terms are set for later days, those of today stand; only what others took the place of goes."""
    monkeypatch.setattr("merchants.screens._KEPT_PLANS", 3)
    offer, screens = await _on_street(town, 40, 5)
    for n in range(1, 6):
        await screens.set_plan(STAFF, offer, from_day=f"2021-12-{n:02d}", minutes=40 + n, floor=5, members=SHOPS)
    assert [40, 41, 45] == [
        one.minutes for one in await screens.days(offer, ["2021-11-22", "2021-12-01", "2021-12-05"])
    ]
    town.now += 14 * 24 * HOUR  # the sixth of December
    await screens.set_plan(STAFF, offer, from_day="2021-12-20", minutes=50, floor=5, members=SHOPS)
    [row] = await town.ledger.fetch("SELECT plans FROM screen")
    assert ["2021-12-04", "2021-12-05", "2021-12-20"] == [one["from_day"] for one in json.loads(row[0])]


@pytest.mark.schema("ledger", "merchants")
async def test_today_where_no_day_is_said(town: Town) -> None:
    """An order without a day is for today; without a calendar nothing is sold."""
    offer, screens = await _on_street(town, 40, 5)
    await town.shop.redeem(town.till, offer=offer, by=_by(SHOPS[0]), quantity=4)
    assert [6, 10] == [one.left for one in await screens.days(offer, ["2021-11-22", "2021-11-23"])]
    await screens.set_plan(STAFF, offer, from_day="2021-11-23", minutes=0, floor=0, members=())
    town.now += 24 * HOUR
    assert "slot_closed" == (await no(town.shop.redeem(town.till, offer=offer, by=_by(SHOPS[0])))).code
    soap = await town.offer(100)
    assert "not_found" == (await no(screens.offer(soap))).code

# SPDX-License-Identifier: Apache-2.0
"""Histories at the counter, told and random: after every step, and after several at one instant, the shop and the
reference model agree to the unit. Nothing is lost, nobody is overdrawn, nobody keeps the goods and the points."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.reference_shop import ENDLESS, Asker
from tests.shop_town import (
    BUDGETS,
    ELSEWHERE,
    MERCHANTS,
    OFFERS,
    PEOPLE,
    PIN,
    RATE,
    STAFF,
    Deed,
    Town,
    opened,
)

pytestmark = pytest.mark.schema("ledger", "merchants")

LOTS = ("9999-12-31", "2022-03-20", "2022-04-10", "2022-06-30")
POLICIES = ("only_available", "within_balance", "allow_debt")
LIKELY = {"screen": "shop", **dict.fromkeys(("meal", "ride", "entry", "other entry", "water by grade"), "old")}
WAITING, DONE = ("held", "partially_captured"), ("captured", "partially_refunded")
ACTS_ON = {
    "capture": WAITING, "release": WAITING, "expire": WAITING, "refund": DONE, "void": (*WAITING, *DONE)
}  # fmt: skip
_files = itertools.count()

# Chance: a name and three numbers are one deed, a list of them is what happens at one instant.

Op = tuple[str, int, int, int]
OPS = ("award", "award", *["redeem"] * 9, *["capture"] * 4, "release", "release", "void", "void", "refund", "refund",
       "expire", "lapse", "reverse", "move", "settle", "advance", "advance", "stock", "pause", "suspend", "budget",
       "agree", "again")  # fmt: skip
op = st.tuples(st.sampled_from(OPS), st.integers(0, 11), st.integers(0, 600), st.integers(0, 11))
Moment = list[Op]
moment = st.one_of(op.map(lambda one: [one]), st.lists(op, min_size=2, max_size=3))


async def begin(town: Town) -> None:
    """Everybody has something to spend, in lots that lapse and one that does not; one of them has a good grade."""
    for who, points, lot, standing in (
        ("old", 2_000, 1, 0), ("old", 2_500, 0, 4_000), ("young", 3_000, 2, 0), ("young", 1_010, 1, 0),
        ("new", 1_505, 3, 0), ("shop", 2_010, 1, 0), ("shop", 1_515, 3, 0),
    ):  # fmt: skip
        await town.do(town.award(who, f"{who}{lot}", points, LOTS[lot], standing))


async def play(url: str, history: list[Moment], *, servers: int = 1) -> None:
    async with opened(url, servers) as town:
        await begin(town)
        for number, together in enumerate(history):
            if together[0][0] == "advance":
                _, a, b, c = together[0]
                town.advance(**[{"seconds": 60 * (1 + b % 20)}, {"hours": 1 + c}, {"days": 1 + b % 40}][a % 3])
            deeds = [decode(town, f"{number}.{n}", *one) for n, one in enumerate(together)]
            await town.do(*(deed for deed in deeds if deed is not None))


def decode(town: Town, name: str, what: str, a: int, b: int, c: int) -> Deed | None:
    if what == "redeem":
        return redeem(town, name, a, b, c)
    if what in ACTS_ON:
        return on_order(town, what, a, b, c)
    if what == "again":
        return town.again(a * 12 + c) if town.redeemed else None
    who, offer, merchant = list(PEOPLE)[a % 4], list(OFFERS)[b % len(OFFERS)], MERCHANTS[b % 2]
    match what:
        case "award":
            return town.award(who, name, 5 * b, LOTS[c % 4], 10 * b if b % 5 == 0 else 0)
        case "reverse":
            return town.reverse(list(town.awarded)[(a * 50 + b) % len(town.awarded)], POLICIES[c % 3])
        case "lapse":
            return town.lapse(who)
        case "move":
            return town.move(who, town.journals[b % 2])
        case "settle":
            journal = town.journals[c % 6 == 5]
            there = town.owed(merchant, journal)
            return town.settle(merchant, journal, 1 + b % there) if there else None
        case "stock":
            return town.stock(offer, ENDLESS if OFFERS[offer].stock == ENDLESS else a % 5)
        case "pause":
            return town.pause(offer, "open" if a % 3 else "paused")
        case "suspend":
            return town.suspend(merchant, "open" if a % 6 else "suspended")
        case "budget":
            return town.budget(b % len(BUDGETS), 500 * a, "open" if a % 5 else "closed")
        case "agree":
            return town.agree(merchant, "S11")
        case _:
            return None  # time does not pass within a moment


def somebody(merchant: str, c: int) -> Asker:
    """Mostly somebody who may: the shop's till or the place's staff; now and then another till, or other staff."""
    if c == 10:
        return ELSEWHERE
    if c == 0:
        return Asker(next(one for one in MERCHANTS if one != merchant))
    return STAFF if c % 2 else Asker(merchant)


def redeem(town: Town, order: str, a: int, b: int, c: int) -> Deed:
    offer = list(OFFERS)[b % len(OFFERS)]
    who = LIKELY.get(offer) or list(PEOPLE)[a % 3] if a % 5 else list(PEOPLE)[c % 4]
    named = {"reference": town.meters[a % 3]} if OFFERS[offer].scenario.names and b % 9 else {}
    return town.redeem(
        order, somebody(OFFERS[offer].merchant, c), offer, who, 1 + b % 3 if b % 2 else 1,
        pin=PIN if b % 13 else "0000", capture=b % 3 == 0, then_cash=b % 4 == 0,
        gift_to=list(PEOPLE)[b % 4] if a % 6 == 1 and (offer == "meal" or b % 5 == 0) else "", **named,
    )  # fmt: skip


def on_order(town: Town, what: str, a: int, b: int, c: int) -> Deed | None:
    model = town.model
    orders = list(model.orders)
    if a % 4:  # chance alone would mostly ask for what is not there
        orders = [one for one in orders if model.state(one) in ACTS_ON[what]] or orders
    if not orders:
        return None
    order = orders[b % len(orders)]
    asker, hold = somebody(model.orders[order].merchant, c), model.book.holds.get(order)
    there = sum((hold.spent if what == "refund" else hold.held).values()) if hold else 0
    amount = 1 + b % (there if there and a % 3 else 900)
    match what:
        case "capture":
            return town.capture(order, asker, None if b % 2 else amount, final=bool(c % 3))
        case "release":
            return town.release(order, asker)
        case "void":
            return town.void(order, asker)
        case "refund":
            return town.refund(order, asker, amount)
        case _:
            return town.expire(order)


@given(st.lists(moment, min_size=8, max_size=25))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
def test_random_histories_agree_with_the_model(
    tmp_path: Path, migrated: Callable[..., str], history: list[Moment]
) -> None:
    """Orders, stock, limits, budgets, balances by lot and refusals are those of the model, whatever the order."""
    _on_sqlite(tmp_path, migrated, history)


@pytest.mark.long
@given(st.lists(moment, min_size=8, max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_long_random_histories_agree_with_the_model(
    tmp_path: Path, migrated: Callable[..., str], history: list[Moment]
) -> None:
    """The same, more of it and longer."""
    _on_sqlite(tmp_path, migrated, history)


def _on_sqlite(tmp_path: Path, migrated: Callable[..., str], history: list[Moment]) -> None:
    path = tmp_path / f"{next(_files)}.db"
    shutil.copyfile(urlsplit(migrated("sqlite", "ledger", "merchants")).path[1:], path)
    asyncio.run(play(f"sqlite:///{path}", history))
    for file in tmp_path.glob(f"{path.name}*"):
        file.unlink()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=5)
@given(st.lists(moment, min_size=8, max_size=20))
def test_random_histories_agree_on_two_servers(postgres_url: str, history: list[Moment]) -> None:
    """The same on PostgreSQL with two servers taking turns, in one database in which earlier histories lie."""
    asyncio.run(play(postgres_url, history, servers=2))


# Told: the places where such a shop goes wrong. The model says what is right; some of it is said again here.


@pytest.fixture
async def town(database_url: str) -> AsyncIterator[Town]:
    """A town of two servers where the database allows it."""
    async with opened(database_url, 1 if database_url.startswith("sqlite") else 2) as made:
        await begin(made)
        yield made


MARKET, CORNER = Asker("market"), Asker("corner")


async def test_all_at_the_instant_the_time_is_up(town: Town) -> None:
    """Till, staff and sweep meet: one of them comes first, and the others are refused by name."""
    for number, (offer, quantity, before) in enumerate((("rice", 2, 0), ("soap", 3, 301), ("ride", 1, 0))):
        order = f"order{number}"
        await town.do(town.redeem(order, STAFF, offer, "old", quantity))
        if before:
            await town.do(town.capture(order, MARKET, before, final=False))
        town.advance(seconds=15 * 60)
        said = await town.do(town.capture(order, MARKET), town.release(order, MARKET), town.expire(order))
        # Whoever calls off what was captured in part leaves it captured.
        assert said[0] in ("hold_expired", "redemption_closed", "already_captured") and 1 == said.count("ok")
        await town.do(town.void(order, STAFF), town.expire(order), town.release(order, MARKET))


async def test_the_last_yuan_of_a_budget(town: Town) -> None:
    """Drawn on once, by whoever comes first; given back by a void, a part by a refund; another year has its own."""
    await town.do(town.budget(4, 500))  # one meal
    said = await town.do(*(town.redeem(f"order{n}", CORNER, "meal", "old", capture=True) for n in range(3)))
    assert ["budget_exhausted", "budget_exhausted", "ok"] == sorted(said)
    [order] = town.model.orders
    assert [50_000] == [one.spent for one in town.model.budgets if one.scenario == "S31"]
    await town.do(town.refund(order, CORNER, 200))
    assert ["budget_exhausted"] == await town.do(town.redeem("more", STAFF, "meal", "old"))
    await town.do(town.void(order, CORNER))
    assert ["ok"] == await town.do(town.redeem("other", STAFF, "meal", "old"))
    town.advance(days=306)
    assert ["ok"] == await town.do(town.redeem("next year", STAFF, "meal", "old"))


async def test_the_nearest_budget_pays(town: Town) -> None:
    """A closed line of the community is not passed over for the county's: its end is the end."""
    await town.do(town.redeem("one", MARKET, "rice", "old"))
    assert {"east": RATE * 1_000, "": 0} == {
        one.place.removeprefix(town.county): one.spent for one in town.model.budgets if one.scenario == "S13"
    }
    await town.do(town.budget(1, 3_000, "closed"))
    assert ["budget_exhausted"] == await town.do(town.redeem("two", MARKET, "rice", "old"))
    await town.do(town.capture("one", MARKET, 400))
    assert [0, RATE * 400] == [one.spent for one in town.model.budgets if one.scenario == "S13"]


async def test_months_and_quarters(town: Town) -> None:
    """A window counts what was made in it and gives room there, however late the order is called off."""
    await town.do(town.award("young", "plenty", 20_000, LOTS[0]), town.budget(1, 100_000), town.budget(3, 100_000))
    await town.do(town.redeem("one", CORNER, "oil", "young", 2))
    said = await town.do(*(town.redeem(f"soap{n}", MARKET, "soap", "young", 2) for n in range(3)))
    assert ["not_eligible", "not_eligible", "ok"] == sorted(said)  # a hundred points a month, at whatever shop
    town.advance(days=31)
    assert ["ok", "ok"] == await town.do(town.redeem("two", STAFF, "soap", "young", 33), town.release("one", CORNER))
    assert ["limit_reached"] == await town.do(town.redeem("more", STAFF, "soap", "young"))
    bill = [town.redeem(f"bill{n}", STAFF, "water", "young", reference=town.meters[n % 2]) for n in range(3)]
    assert ["limit_reached", "ok", "ok"] == sorted(await town.do(*bill))  # two meters, a quarter each
    await town.do(town.redeem("part", STAFF, "soap", "old", 3), town.redeem("kept", STAFF, "soap", "old", 2))
    await town.do(town.capture("part", MARKET, 400))
    await town.do(town.void("part", STAFF))  # what came back at the capture does not come back again
    for place in ("entry", "other entry"):
        said = await town.do(
            town.redeem(place, STAFF, place, "old", 2), town.redeem(f"{place} 2", STAFF, place, "old", 3)
        )
        assert ["limit_reached", "ok"] == sorted(said)  # so many a year at each site
    town.advance(days=91)
    assert ["ok"] == await town.do(town.redeem("bill", STAFF, "water by grade", "old", reference=town.meters[0]))


async def test_points_taken_back_after_they_were_spent(town: Town) -> None:
    """What was spent stays spent when its award is reversed; what comes back later is whole all the same."""
    await town.do(town.redeem("rice", MARKET, "rice", "new", capture=True))
    await town.do(town.reverse("new3"))
    assert ["insufficient_points"] == await town.do(town.redeem("soap", MARKET, "soap", "new", 2))
    await town.do(town.refund("rice", MARKET, 600), town.reverse("new3"))
    await town.do(town.void("rice", STAFF), town.refund("rice", MARKET, 400))
    await town.do(town.redeem("screen", STAFF, "screen", "shop", 30, capture=True))
    await town.do(town.reverse("shop1", "allow_debt"))
    assert ["insufficient_points"] == await town.do(town.redeem("again", STAFF, "screen", "shop"))  # it owes
    await town.do(town.void("screen", STAFF))


async def test_short_of_points(town: Town) -> None:
    """The rest in cash, rounded up to the fen; not where a point is worth no money, and not with no points at all."""
    await town.do(town.redeem("oil", CORNER, "oil", "new", then_cash=True))
    assert -(-(4_500 - 1_505) * RATE // 100) == town.model.orders["oil"].cash
    await town.do(town.void("oil", CORNER), town.redeem("more", MARKET, "rice", "new", 3, then_cash=True))
    await town.do(town.redeem("screen", MARKET, "screen", "shop", 36, then_cash=True))
    assert "screen" not in town.model.orders


async def test_a_meal_for_somebody_else(town: Town) -> None:
    """It is paid for by one and counted for another, who must be of the age; what comes back goes to who paid."""
    gift = [town.redeem(f"gift{n}", CORNER, "meal", "young", 2, gift_to="old", capture=True) for n in range(3)]
    assert ["limit_reached", "ok", "ok"] == sorted(await town.do(*gift))  # the elder has had all four
    assert ["limit_reached"] == await town.do(town.redeem("own", STAFF, "meal", "old"))
    [first, *_] = town.model.orders
    said = await town.do(town.void(first, CORNER), town.redeem("too young", CORNER, "meal", "old", gift_to="young"))
    assert ["ok", "not_eligible"] == said
    said = await town.do(
        town.redeem("rice", STAFF, "rice", "young", gift_to="old"), town.redeem("own again", STAFF, "meal", "old")
    )
    assert ["not_eligible", "ok"] == said  # only what may be given can be given


async def test_lots_that_lapse_on_the_way(town: Town) -> None:
    """A refund into a lot that has lapsed is good for thirty days, once; a release of one comes to nothing."""
    await town.do(town.redeem("one", MARKET, "rice", "young", 3))
    await town.do(town.capture("one", MARKET, 1_500, final=False))
    town.advance(days=30)
    await town.do(town.refund("one", MARKET, 700), town.lapse("young"), town.expire("one"))
    town.advance(days=3)
    await town.do(town.refund("one", MARKET, 800), town.lapse("young"))
    town.advance(days=60)
    assert ["ok", "exceeds_original"] == await town.do(town.lapse("young"), town.refund("one", MARKET, 1))


async def test_somebody_moves_away(town: Town) -> None:
    """Redeemed in one home, taken back in another; while moving, one of the two comes first."""
    east, west = town.journals
    await town.do(town.redeem("one", MARKET, "rice", "old", 2), town.move("old", west))
    await town.do(town.capture("one", MARKET, 1_100, final=False))
    await town.do(town.redeem("two", MARKET, "soap", "old", capture=True), town.release("one", MARKET))
    await town.do(town.move("old", east), town.refund("one", MARKET, 900), town.void("two", STAFF))
    said = await town.do(town.settle("market", east, 200), town.refund("one", MARKET, 200))
    assert ["merchant_overdrawn", "ok"] == sorted(said)  # paid for or given back, not both


async def test_benefits_without_points(town: Town) -> None:
    """Used, undone and forgotten: counted like anything else, and entered once for each that was used."""
    await town.do(town.redeem("used", MARKET, "ride", "old", capture=True), town.redeem("waits", MARKET, "ride", "old"))
    assert ["limit_reached"] == await town.do(town.redeem("third", MARKET, "ride", "old"))
    assert ["ok", "ok"] == await town.do(town.void("used", MARKET), town.capture("waits", MARKET))
    await town.do(town.redeem("forgotten", MARKET, "ride", "old"))
    town.advance(seconds=16 * 60)
    await town.do(town.capture("forgotten", MARKET), town.expire("forgotten"), town.void("waits", STAFF))
    await town.do(town.agree("market", "S01"))
    assert ["agreement_missing"] == await town.do(town.redeem("late", STAFF, "ride", "old"))
    helped = town.redeem("help", STAFF, "help", "new", capture=True), town.redeem("no", CORNER, "help", "new")
    assert ["ok", "not_eligible"] == await town.do(*helped)  # the attested gate is for staff to open


async def test_a_shop_is_suspended(town: Town) -> None:
    """It does no more business; staff wind up what is left."""
    await town.do(*(town.redeem(f"order{n}", MARKET, "soap", "old", capture=n < 2) for n in range(4)))
    await town.do(town.suspend("market", "suspended"), town.capture("order2", MARKET))
    said = await town.do(town.capture("order3", MARKET), town.redeem("more", STAFF, "soap", "old"))
    assert ["forbidden", "forbidden"] == said
    said = await town.do(town.refund("order0", STAFF, 300), town.void("order1", STAFF), town.release("order3", STAFF))
    assert ["ok", "ok", "ok"] == said
    await town.do(town.suspend("market", "open"), town.redeem("again", MARKET, "soap", "old"))


async def test_a_till_that_tries(town: Town) -> None:
    """Five totals in vain a day with one card, called off or refused; what was tried may be tried again, and staff are
    not asked to stop."""
    said = [await town.do(town.redeem(f"try{n}", MARKET, "soap", "young", n)) for n in (22, 21, 20, 19, 18, 17, 20)]
    assert ["insufficient_points"] * 5 + ["rate_limited", "insufficient_points"] == [one for [one] in said]
    others = town.redeem("desk", STAFF, "soap", "young", 3), town.redeem("meal", CORNER, "meal", "old")
    assert ["ok", "ok"] == await town.do(*others)
    town.advance(days=1)
    for number, undo in enumerate((town.release, town.void) * 2 + (town.release,), start=1):
        await town.do(town.redeem(f"undone{number}", MARKET, "soap", "young", number))
        assert ["ok"] == await town.do(undo(f"undone{number}", STAFF))
    assert ["rate_limited"] == await town.do(town.redeem("new", MARKET, "soap", "young", 6))
    assert ["ok"] == await town.do(town.redeem("known", MARKET, "soap", "young", 2))

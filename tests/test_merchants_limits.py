# SPDX-License-Identifier: Apache-2.0
"""What an order counts in: limits by period, shop and meter, budgets, agreements, what a shop is owed without points,
and how little a till finds out by trying. On both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from ledger.port import PutRows
from merchants.jobs import expire_holds
from merchants.model import HOLD_US, UNCOUNTED, Asker, Budget, Shown
from merchants.tables import BUDGET, MERCHANT
from tests.shops import HERE, HOUR, OTHER, STAFF, Town, opened, refused

pytestmark = pytest.mark.schema("ledger", "merchants")
PIN = {"pin": "2468"}


@pytest.fixture
async def town(database_url: str) -> AsyncIterator[Town]:
    async with opened(database_url) as made:
        yield made


async def budget(town: Town, limit_fen: int, *, place: str = HERE, scenario: str = "S13", name: str = "bud_1") -> None:
    line = Budget(name, scenario, place, "2021", "党组织服务群众经费", limit_fen, 0, "open", 1, town.now)
    await town.ledger.submit(PutRows(puts=((BUDGET, line.row()),)))


async def spent(town: Town, name: str = "bud_1") -> int:
    return (await town.ledger.fetch("SELECT spent FROM budget WHERE budget = ?", name))[0][0]


async def another_shop(town: Town, **changes: Any) -> Asker:
    made = await town.shop.offers.add_merchant(STAFF, name="便民二店", community=HERE)
    await town.ledger.submit(PutRows(puts=((MERCHANT, made.but(**changes).row()),)))
    town.merchant = made
    return Asker("key_2", made.merchant)


async def turnover(town: Town, merchant: str) -> list[tuple[str, str]]:
    rows = await town.ledger.fetch(
        "SELECT t.month, e.kind FROM turnover t JOIN entry e ON e.journal = t.journal AND e.seq = t.seq "
        "WHERE t.merchant = ? ORDER BY t.seq",
        merchant,
    )
    return [(month, kind) for month, kind in rows]


async def test_a_months_limit_counts_over_all_shops(town: Town) -> None:
    """Two haircuts a month, wherever; what is called off or expires does not count, and the next month begins anew."""
    sub = await town.resident("sub_1", 20_000)
    first = await town.offer(1_000, scenario="S17")
    till = town.till
    other = await another_shop(town)
    town.till = other
    second = await town.offer(2_000, scenario="S17")
    by = {"card": sub, **PIN}
    called_off = await town.shop.redeem(till, offer=first, by=by)
    await town.shop.release(till, called_off.id)
    await town.shop.redeem(till, offer=first, by=by, capture=True)
    await town.shop.redeem(other, offer=second, by=by)  # never fetched
    said = await refused(town.shop.redeem(STAFF, offer=first, by={"subject": sub}))
    assert ("limit_reached", 2, 2) == (said.code, said.facts["limit"], said.facts["used"])
    assert "not_eligible" == (await refused(town.shop.redeem(till, offer=first, by=by))).code  # a till is not told why
    town.now += HOLD_US
    assert 1 == await expire_holds(town.shop, town.now)
    done = await town.shop.redeem(STAFF, offer=first, by={"subject": sub}, capture=True)
    assert "limit_reached" == (await refused(town.shop.redeem(STAFF, offer=second, by={"subject": sub}))).code
    await town.shop.void(STAFF, done.id, reason="扫错了")
    assert (await town.shop.eligible(STAFF, offer=second, by={"subject": sub})).eligible
    town.now += 9 * 24 * HOUR  # December
    await town.shop.redeem(STAFF, offer=second, quantity=2, by={"subject": sub})


async def test_a_limit_in_points_follows_what_was_paid(town: Town) -> None:
    """100 points of goods a month: parts that went back may be spent again, parts that were refunded may not."""
    sub = await town.resident("sub_1", 50_000)
    offer = await town.offer(1_000, stock=100)
    staff = {"subject": sub}
    ten = await town.shop.redeem(STAFF, offer=offer, quantity=10, by=staff)
    assert "limit_reached" == (await refused(town.shop.redeem(STAFF, offer=offer, by=staff))).code
    await town.shop.capture(STAFF, ten.id, amount=4_000)
    six = await town.shop.redeem(STAFF, offer=offer, quantity=6, by=staff, capture=True)
    await town.shop.refund(STAFF, six.id, amount=2_000, reason="退货")
    assert "limit_reached" == (await refused(town.shop.redeem(STAFF, offer=offer, by=staff))).code
    await town.shop.void(STAFF, ten.id, reason="作废")
    await town.shop.redeem(STAFF, offer=offer, quantity=4, by=staff)
    assert "limit_reached" == (await refused(town.shop.redeem(STAFF, offer=offer, by=staff))).code


async def test_a_meter_counts_once_whoever_names_it(town: Town) -> None:
    """Once a quarter per meter; the number is needed, is kept nowhere, and spelling it with blanks changes nothing."""
    for sub in ("sub_1", "sub_2"):
        await town.resident(sub, 9_000)
    offer = await town.offer(3_000, scenario="S21")
    said = await refused(town.shop.redeem(STAFF, offer=offer, by={"subject": "sub_1"}))
    assert "reference_missing" == said.code
    await town.shop.redeem(STAFF, offer=offer, by={"subject": "sub_1"}, reference="zx 9917-kyw")
    again = town.shop.redeem(STAFF, offer=offer, by={"subject": "sub_2"}, reference="ZX9917-KYW")
    assert "limit_reached" == (await refused(again)).code
    await town.shop.redeem(STAFF, offer=offer, by={"subject": "sub_2"}, reference="ZX9918-KYW")
    kept = await town.ledger.fetch("SELECT body FROM entry")
    rows = await town.ledger.fetch("SELECT scope, subject FROM usage")
    assert not [one for one in (*kept, *rows) if "9917KYW" in str(one).upper().replace("-", "")]


async def test_a_site_counts_for_itself(town: Town) -> None:
    """Four tickets a year at each site."""
    sub = await town.resident("sub_1", standing=3_000)
    here = await town.offer(0, scenario="S11")
    town.till = await another_shop(town)
    there = await town.offer(0, scenario="S11")
    staff = {"subject": sub}
    await town.shop.redeem(STAFF, offer=here, quantity=4, by=staff)
    assert "limit_reached" == (await refused(town.shop.redeem(STAFF, offer=here, by=staff))).code
    await town.shop.redeem(STAFF, offer=there, quantity=4, by=staff)


async def test_the_last_yuan_of_a_budget(town: Town) -> None:
    """Twenty at once for money that pays for three: three get it, the others are told; what comes back pays again."""
    for number in range(20):
        await town.resident(f"sub_{number}", 5_000)
    offer = await town.offer(1_000, stock=100)
    await budget(town, 3_999)
    outcomes = await asyncio.gather(
        *(town.shop.redeem(STAFF, offer=offer, by={"subject": f"sub_{n}"}) for n in range(20)), return_exceptions=True
    )
    held = [one for one in outcomes if not isinstance(one, BaseException)]
    assert 3 == len(held)
    assert {"budget_exhausted"} == {one.code for one in outcomes if isinstance(one, BaseException)}  # type: ignore[attr-defined]
    assert 300_000 == await spent(town)
    await town.shop.capture(STAFF, held[0].id)
    await town.shop.refund(STAFF, held[0].id, amount=1_000, reason="退货")
    await town.shop.release(STAFF, held[1].id)
    await town.shop.void(STAFF, held[2].id, reason="作废")
    assert 0 == await spent(town)
    assert 97 == await town.stock(offer) - 2  # refunded goods stay counted, the others are back


async def test_the_nearest_budget_pays(town: Town) -> None:
    """A community's own line goes before its street's; a scenario nobody reimburses draws on none; the captured entry
    says which line pays."""
    sub = await town.resident("sub_1", 5_000, standing=3_000)
    await budget(town, 10**6, place=HERE[:9], name="bud_street")
    offer = await town.offer(1_000)
    await town.shop.redeem(STAFF, offer=offer, by={"subject": sub}, capture=True)
    await budget(town, 10**6, name="bud_here")
    await town.shop.redeem(STAFF, offer=offer, by={"subject": sub}, capture=True)
    assert (100_000, 100_000) == (await spent(town, "bud_street"), await spent(town, "bud_here"))
    seqs = await town.ledger.fetch("SELECT seq FROM entry WHERE kind = 'capture' ORDER BY seq")
    named = [(await town.ledger.entry(HERE, seq)).fields["data"]["budget"] for (seq,) in seqs]
    assert ["bud_street", "bud_here"] == named


async def test_a_benefit_without_points_stands_in_the_ledger(town: Town) -> None:
    """What is owed for a ticket by grade is an entry and in the shop's turnover; voiding it takes all of it back."""
    sub = await town.resident("sub_1", standing=3_000)
    offer = await town.offer(0, scenario="S11", value_fen=3_000)
    await budget(town, 10_000, scenario="S11")
    held = await town.shop.redeem(STAFF, offer=offer, quantity=2, by={"subject": sub})
    assert 600_000 == await spent(town)
    assert [] == await turnover(town, town.merchant.merchant)
    await town.shop.capture(town.till, held.id)
    await town.shop.void(STAFF, held.id, reason="天气不好，没去成")
    assert [("2021-11", "benefit")] * 2 == await turnover(town, town.merchant.merchant)
    rows = await town.ledger.fetch("SELECT seq FROM entry WHERE kind = 'benefit' ORDER BY seq")
    first, second = [(await town.ledger.entry(HERE, seq)).fields for (seq,) in rows]
    assert (6_000, 2, held.id) == tuple(first["data"][name] for name in ("fen", "quantity", "redemption"))
    assert (-6_000, -2) == (second["data"]["fen"], second["data"]["quantity"])
    assert "subject" not in first
    assert 0 == await spent(town)


async def test_a_scenario_without_its_agreement(town: Town) -> None:
    """Free tickets need a signed paper, on the day of the order too."""
    sub = await town.resident("sub_1", standing=3_000)
    offer = await town.offer(0, scenario="S11")
    await town.signs("S11", to_day="2021-11-21")
    assert "agreement_missing" == (await refused(town.shop.redeem(STAFF, offer=offer, by={"subject": sub}))).code
    await town.signs("S11", to_day="2021-11-22")
    await town.shop.redeem(STAFF, offer=offer, by={"subject": sub})


async def test_prices_cannot_be_felt_for(town: Town) -> None:
    """With the PIN in hand, a till that halves its way to a balance is stopped at the sixth total; so is one that
    holds and calls off, asks without buying, or asks for many at once. Buying goes on, and so does the desk."""
    sub = await town.resident("sub_1", 9_876)
    offer = await town.offer(50, stock=10_000)
    by = {"card": sub, **PIN}
    held = await town.shop.redeem(town.till, offer=offer, quantity=100, by=by)
    await town.shop.release(town.till, held.id)
    assert not (await town.shop.eligible(town.till, offer=await town.offer(9_999), by=by)).eligible
    outcomes = await asyncio.gather(
        *(town.shop.redeem(town.till, offer=offer, quantity=180 + n, by=by) for n in range(29, 20, -1)),
        return_exceptions=True,
    )
    codes = [getattr(one, "code", "held") for one in outcomes]
    assert (3, 6) == (codes.count("insufficient_points"), codes.count("rate_limited"))
    retry = town.ledger.retry("key_1", "k1", b"body")
    said = await refused(town.shop.redeem(town.till, offer=offer, quantity=20, by=by, retry=retry))
    assert 0 < said.facts["retry_after"] <= 12 * 3600
    await town.shop.redeem(town.till, offer=offer, quantity=100, by=by, capture=True)  # asked before: nothing new
    await town.shop.redeem(STAFF, offer=offer, quantity=50, by={"subject": sub}, capture=True)
    town.now += said.facts["retry_after"] * 1_000_000
    await town.shop.redeem(town.till, offer=offer, quantity=20, by=by, capture=True, retry=retry)  # the same again


async def test_a_pile_of_small_orders_is_no_scale(town: Town) -> None:
    """Orders that are held count on top of each other, so a till cannot pile them up until the points are gone and then
    call them off; what is captured is a sale, and what was asked before may be held."""
    sub = await town.resident("sub_1", 9_876)
    offer = await town.offer(50, stock=10_000)
    by = {"card": sub, **PIN}
    for _ in range(4):  # customers come back
        sold = await town.shop.redeem(town.till, offer=offer, quantity=10, by=by)
        await town.shop.capture(town.till, sold.id)
    pile = [await town.shop.redeem(town.till, offer=offer, quantity=20, by=by) for _ in range(5)]
    assert "rate_limited" == (await refused(town.shop.redeem(town.till, offer=offer, quantity=20, by=by))).code
    await town.shop.capture(town.till, pile.pop().id)
    assert (await town.shop.eligible(town.till, offer=await town.offer(1_000), by=by)).eligible
    pile.append(await town.shop.redeem(town.till, offer=offer, quantity=20, by=by))
    for one in pile:
        await town.shop.release(town.till, one.id)
    assert "rate_limited" == (await refused(town.shop.redeem(town.till, offer=offer, quantity=8, by=by))).code
    await town.shop.redeem(town.till, offer=offer, quantity=20, by=by, capture=True)


async def test_new_year_comes_between(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """An order that was looked up in the old year and is decided in the new one is not paid from the old year's line:
    it is asked again."""
    sub = await town.resident("sub_1", 9_000)
    offer = await town.offer(1_000)
    await budget(town, 100_000)
    midnight = town.now + (39 * 24 + 12) * HOUR
    town.now = midnight - 1
    submit = town.ledger.submit

    async def late(command: Any) -> Any:
        town.now = midnight
        return await submit(command)

    monkeypatch.setattr(town.ledger, "submit", late)
    retry = town.ledger.retry("stf_a", "k1", b"body")
    said = await refused(town.shop.redeem(STAFF, offer=offer, by={"subject": sub}, retry=retry))
    assert ("queue_full", 0) == (said.code, await spent(town))
    await town.shop.redeem(STAFF, offer=offer, by={"subject": sub}, retry=retry)
    assert [("2022-01-01", "")] == await town.ledger.fetch("SELECT day, budget FROM redemption")


async def test_nobody_vouches_for_oneself(town: Town) -> None:
    """What a member of staff must have looked up they do not look up for themselves."""
    sub = await town.resident("sub_1", standing=60_000)
    subsidy = await town.offer(0, scenario="S35", value_fen=100_000)
    oneself = replace(STAFF, own=sub)
    said = await refused(town.shop.redeem(oneself, offer=subsidy, by={"subject": sub}))
    assert ("not_eligible", "gate") == (said.code, said.facts["reason"])
    await town.shop.redeem(OTHER, offer=subsidy, by={"subject": sub})


async def test_the_rest_in_cash_needs_a_yes(town: Town) -> None:
    """Without the person's consent the rest is not asked in cash; with it, it is written down how they agreed."""
    sub = await town.resident("sub_1", 400)
    offer = await town.offer(1_000)
    silent = Shown(sub, "token")
    said = await refused(town.shop.redeem(town.till, offer=offer, by=silent, then_cash=True))
    assert "consent_needed" == said.code
    done = await town.shop.redeem(town.till, offer=offer, by={"card": sub, **PIN}, then_cash=True)
    assert (400, 600) == (done.points, done.cash_fen)
    assert [("pin",)] == await town.ledger.fetch("SELECT consent FROM redemption")


async def test_a_gift_counts_for_who_eats(town: Town) -> None:
    """A relative pays an elder's meal: age and limit are the elder's, the points are the relative's; elsewhere no."""
    payer = await town.resident("sub_1", 20_000)
    elder = await town.resident("sub_2")
    town.ages |= {payer: 30, elder: 71}
    meal, goods = await town.offer(500, scenario="S31", stock=100), await town.offer(500)
    gift = Shown(payer, "token", beneficiary=elder)
    assert "not_eligible" == (await refused(town.shop.redeem(STAFF, offer=meal, by={"subject": payer}))).code
    await town.shop.redeem(town.till, offer=meal, quantity=20, by=gift, capture=True)
    assert (10_000, 0) == (await town.points(payer), await town.points(elder))
    await town.award(elder, 1_000, "2022-12-31")
    assert "limit_reached" == (await refused(town.shop.redeem(STAFF, offer=meal, by={"subject": elder}))).code
    assert "not_eligible" == (await refused(town.shop.redeem(town.till, offer=goods, by=gift))).code


async def test_what_was_never_counted_does_not_come_back(town: Town) -> None:
    """A shop that begins to count its stock does not get units from orders made before."""
    sub = await town.resident("sub_1", 5_000)
    offer = await town.offer(1_000, stock=UNCOUNTED)
    held = await town.shop.redeem(STAFF, offer=offer, by={"subject": sub})
    await town.shop.offers.change(town.till, offer, stock=5)
    await town.shop.release(STAFF, held.id)
    assert 5 == await town.stock(offer)

# SPDX-License-Identifier: Apache-2.0
"""The till: hold, capture, release, refund, void and expiry against a real ledger, on both databases."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from ledger.book import accounts
from ledger.errors import Refusal
from ledger.keys import unseal
from merchants.jobs import expire_holds
from merchants.model import HOLD_US, STATES, Asker, Shown
from merchants.shop import Eligibility
from tests.shops import HERE, HOUR, OTHER, STAFF, THERE, Town, opened, refused

pytestmark = pytest.mark.schema("ledger", "merchants")


@pytest.fixture
async def town(database_url: str) -> AsyncIterator[Town]:
    async with opened(database_url) as made:
        yield made


async def test_a_whole_life_at_the_till(town: Town) -> None:
    """Card and PIN hold the points, capture gives them to the merchant, and stock and limit are counted."""
    sub = await town.resident("sub_1", 5_000)
    offer = await town.offer(1_000, cash_fen=250, per_person=3)
    held = await town.shop.redeem(town.till, offer=offer, quantity=2, by={"card": sub, "pin": "2468"})
    assert ("held", 2_000, 500, "王**") == (held.state, held.points, held.cash_fen, held.masked_name)
    assert town.now + HOLD_US == held.expires_at
    assert held.id.startswith("red_")
    assert (3_000, 8, 2) == (await town.points(sub), await town.stock(offer), await town.used(offer))
    done = await town.shop.capture(town.till, held.id)
    assert "captured" == done.state
    assert {"9999-12-31": 2_000} == await town.lots(f"merchant:{town.merchant.merchant}")
    assert {} == await town.lots(f"held:{held.id}")


async def test_one_trip_captures_at_once(town: Town) -> None:
    """With capture=true order, stock, hold and capture are one commit: two entries with one txn."""
    sub = await town.resident("sub_1", 5_000)
    done = await town.shop.redeem(
        town.till,
        offer=await town.offer(),
        by={"phone_tail": "0000", "surname": "1", "pin": "2468"},
        capture=True,
    )
    assert "captured" == done.state
    rows = await town.ledger.fetch("SELECT seq, kind FROM entry WHERE journal = ? ORDER BY seq", HERE)
    assert ["hold", "capture"] == [kind for _, kind in rows[-2:]]
    hold, capture = [(await town.ledger.entry(HERE, seq)).fields for seq, _ in rows[-2:]]
    assert hold["txn"] == capture["txn"]
    assert sub == hold["subject"]
    assert not {"subject", "group", "place"} & set(capture)  # what a merchant may keep names nobody


async def test_a_retry_answers_again_and_does_nothing_again(town: Town) -> None:
    """The same key gives the same order, from the live store, even when the PIN would no longer do."""
    await town.resident("sub_1", 5_000)
    offer = await town.offer()
    retry = town.ledger.retry("key_1", "k1", b"body")
    by = {"card": "sub_1", "pin": "2468"}
    first, second = await asyncio.gather(
        *(town.shop.redeem(town.till, offer=offer, by=by, retry=retry) for _ in range(2))
    )
    assert first.id == second.id
    again = await town.shop.redeem(town.till, offer=offer, by={"card": "sub_1", "pin": "changed"}, retry=retry)
    assert (first.id, True) == (again.id, again.replayed)
    assert 9 == await town.stock(offer)
    other = town.ledger.retry("key_1", "k1", b"another body")
    said = await refused(town.shop.redeem(town.till, offer=offer, by=by, retry=other))
    assert "idempotency_key_reused" == said.code


async def test_partial_captures_and_refunds(town: Town) -> None:
    """Many captures, the rest released, refunds to the lots the points came from, never more than was captured."""
    sub = await town.resident("sub_1", 1_000, lot="2021-12-31")
    await town.award(sub, 4_000, "2022-12-31")
    offer = await town.offer(1_000)
    red = (await town.shop.redeem(town.till, offer=offer, quantity=4, by={"card": sub, "pin": "2468"})).id
    first = await town.shop.capture(town.till, red, amount=500, final=False)
    assert "partially_captured" == first.state
    second = await town.shop.capture(town.till, red, amount=1_000)
    assert "captured" == second.state
    assert 8 == await town.stock(offer)  # 1.5 units were paid for: two are gone, two are back
    assert "exceeds_original" == (await refused(town.shop.refund(town.till, red, amount=1_501, reason="x"))).code
    assert "partially_refunded" == (await town.shop.refund(town.till, red, amount=500, reason="瓶子漏了")).state
    assert {"2021-12-31": 0, "2022-12-31": 4_000} == {
        "2021-12-31": 0,
        **await town.lots(f"subject:{sub}"),
    }
    assert "refunded" == (await town.shop.refund(town.till, red, amount=1_000, reason="退货")).state
    assert {"2021-12-31": 1_000, "2022-12-31": 4_000} == await town.lots(f"subject:{sub}")
    assert "already_captured" == (await refused(town.shop.capture(town.till, red))).code
    assert "already_captured" == (await refused(town.shop.release(town.till, red))).code
    sealed = await town.ledger.fetch("SELECT kind, sealed FROM redemption_reason WHERE redemption = ?", red)
    assert {("refund", "瓶子漏了"), ("refund", "退货")} == {
        (kind, unseal(b"k" * 32, bytes(text), red.encode()).decode()) for kind, text in sealed
    }


async def test_release_gives_everything_back(town: Town) -> None:
    """A released order returns points, stock and limit, and is closed for good."""
    sub = await town.resident("sub_1", 1_000)
    offer = await town.offer(1_000, stock=1, per_person=1)
    red = (await town.shop.redeem(town.till, offer=offer, by={"card": sub, "pin": "2468"})).id
    assert "released" == (await town.shop.release(town.till, red)).state
    assert (1_000, 1, 0) == (await town.points(sub), await town.stock(offer), await town.used(offer))
    for call in (town.shop.capture(town.till, red), town.shop.void(town.till, red, reason="x")):
        assert ("redemption_closed", "released") == ((said := await refused(call)).code, said.facts["state"])


async def test_void_restores_the_day(town: Town) -> None:
    """Void undoes the whole order on its day, not on the next."""
    sub = await town.resident("sub_1", 3_000)
    offer = await town.offer(1_000, stock=5, per_person=2)
    red = (await town.shop.redeem(town.till, offer=offer, quantity=2, by={"card": sub, "pin": "2468"})).id
    await town.shop.capture(town.till, red, amount=1_500, final=False)
    assert "voided" == (await town.shop.void(STAFF, red, reason="扫错了")).state
    assert (3_000, 5, 0) == (await town.points(sub), await town.stock(offer), await town.used(offer))
    assert {} == await town.lots(f"merchant:{town.merchant.merchant}")
    assert "redemption_closed" == (await refused(town.shop.void(STAFF, red, reason="x"))).code
    late = (await town.shop.redeem(town.till, offer=offer, by={"card": sub, "pin": "2468"}, capture=True)).id
    town.now += 12 * HOUR - 1_000_000
    assert "captured" == (await town.shop.slip(town.till, late)).state
    town.now += 1_000_000
    assert "void_too_late" == (await refused(town.shop.void(STAFF, late, reason="x"))).code
    assert "refunded" == (await town.shop.refund(STAFF, late, amount=1_000, reason="隔天退")).state


async def test_a_hold_expires_by_itself(town: Town) -> None:
    """After the time limit capture is refused, and the sweep gives points, stock and limit back, once."""
    sub = await town.resident("sub_1", 3_000)
    offer = await town.offer(1_000, stock=5)
    by = {"card": sub, "pin": "2468"}
    red = (await town.shop.redeem(town.till, offer=offer, by=by)).id
    part = (await town.shop.redeem(town.till, offer=offer, quantity=2, by=by)).id
    await town.shop.capture(town.till, part, amount=1_000, final=False)
    town.now += HOLD_US - 1
    assert 0 == await expire_holds(town.shop, town.now)
    town.now += 1
    assert "hold_expired" == (await refused(town.shop.capture(town.till, red))).code
    assert 2 == await expire_holds(town.shop, town.now)
    assert 0 == await expire_holds(town.shop, town.now)
    states = [(await town.shop.slip(town.till, one)).state for one in (red, part)]
    assert ["expired", "captured"] == states
    assert (2_000, 4, 1) == (await town.points(sub), await town.stock(offer), await town.used(offer))
    assert "hold_expired" == (await refused(town.shop.capture(town.till, red))).code


async def test_capture_meets_the_sweep(town: Town) -> None:
    """At the very instant of expiry one of capture, release and sweep wins; the points move once."""
    sub = await town.resident("sub_1", 1_000)
    offer = await town.offer(1_000, stock=1)
    red = (await town.shop.redeem(town.till, offer=offer, by={"card": sub, "pin": "2468"})).id
    town.now += HOLD_US
    outcomes = await asyncio.gather(
        town.shop.capture(town.till, red),
        town.shop.release(town.till, red),
        expire_holds(town.shop, town.now),
        return_exceptions=True,
    )
    assert isinstance(outcomes[0], Refusal)
    assert (1_000, 1) == (await town.points(sub), await town.stock(offer))


@pytest.mark.parametrize(
    ("scenario", "standing", "eligible"), [("S14", 3_000, True), ("S14", 2_999, False), ("S08", 3_000, False)]
)
async def test_a_grade_opens_a_gate_without_being_told(
    town: Town, scenario: str, standing: int, eligible: bool
) -> None:
    """A benefit by grade spends nothing: an order of 0 points with the same states, counted and voidable."""
    sub = await town.resident("sub_1", standing=standing)
    offer = await town.offer(0, scenario=scenario, stock=1)
    by = {"card": sub, "pin": "2468"}
    said = await town.shop.eligible(town.till, offer=offer, by=by)
    assert (eligible, None) == (said.eligible, said.reason_code)
    if not eligible:
        said = await refused(town.shop.redeem(town.till, offer=offer, by=by))
        assert ("not_eligible", {}) == (said.code, said.facts)
        found = await town.shop.eligible(STAFF, offer=offer, by={"subject": sub})
        assert Eligibility(False, "not_eligible") == found
        return
    red = await town.shop.redeem(town.till, offer=offer, by=by)
    assert ("held", 0) == (red.state, red.points)
    assert "out_of_stock" == (await refused(town.shop.redeem(town.till, offer=offer, by=by))).code
    assert "captured" == (await town.shop.capture(town.till, red.id)).state
    assert "already_captured" == (await refused(town.shop.capture(town.till, red.id))).code
    assert "exceeds_original" == (await refused(town.shop.refund(town.till, red.id, amount=1, reason="x"))).code
    assert "voided" == (await town.shop.void(town.till, red.id, reason="x")).state
    again = await town.shop.redeem(town.till, offer=offer, by=by)
    town.now += HOLD_US
    assert "hold_expired" == (await refused(town.shop.capture(town.till, again.id))).code
    assert 1 == await expire_holds(town.shop, town.now)
    assert "expired" == (await town.shop.slip(town.till, again.id)).state
    third = await town.shop.redeem(town.till, offer=offer, by=by)
    assert "released" == (await town.shop.release(town.till, third.id)).state
    assert 1 == await town.stock(offer)


async def test_who_a_scenario_is_for(town: Town) -> None:
    """Bodies by group, persons by kind and age; an unknown age is for staff to see, a check by a person for staff."""
    person, shop = await town.resident("sub_1", 9_000), await town.resident("sub_2", 9_000, kind="body")
    screen, meal = await town.offer(500, scenario="S36"), await town.offer(500, scenario="S31")
    help_first = await town.offer(0, scenario="S33")
    eligible, staff = town.shop.eligible, {"subject": person}
    assert not (await eligible(town.till, offer=screen, by={"card": person, "pin": "2468"})).eligible
    assert not (await eligible(town.till, offer=screen, by={"card": shop, "pin": "2468"})).eligible
    town.groups[shop] = ("G5",)
    assert (await eligible(town.till, offer=screen, by={"card": shop, "pin": "2468"})).eligible
    assert not (await eligible(town.till, offer=meal, by={"card": person, "pin": "2468"})).eligible
    assert (await eligible(STAFF, offer=meal, by=staff)).eligible
    town.ages[person] = 59
    assert not (await eligible(STAFF, offer=meal, by=staff)).eligible
    town.ages[person] = 60
    assert (await eligible(town.till, offer=meal, by={"card": person, "pin": "2468"})).eligible
    assert not (await eligible(town.till, offer=help_first, by={"card": person, "pin": "2468"})).eligible
    assert (await eligible(STAFF, offer=help_first, by=staff)).eligible


async def test_a_till_learns_nothing_more(town: Town) -> None:
    """Refusals to a till carry neither balance nor use nor who it was; staff see them."""
    sub = await town.resident("sub_1", 1_500)
    offer = await town.offer(1_000, per_person=2)
    by = {"card": sub, "pin": "2468"}
    said = await refused(town.shop.redeem(town.till, offer=offer, quantity=2, by=by))
    assert ("insufficient_points", {"needed": 2_000}) == (said.code, said.facts)
    said = await refused(town.shop.redeem(STAFF, offer=offer, quantity=2, by={"subject": sub}))
    assert {"available": 1_500, "needed": 2_000} == said.facts
    said = await refused(town.shop.redeem(town.till, offer=offer, quantity=3, by=by))
    assert ("limit_reached", {"limit": 2, "asked": 3}) == (said.code, said.facts)
    for wrong in ({"card": sub, "pin": "0"}, {"card": "sub_nobody", "pin": "2468"}):
        said = await refused(town.shop.redeem(town.till, offer=offer, by=wrong))
        assert ("not_identified", {}) == (said.code, said.facts)
    assert "forbidden" == (await refused(town.shop.redeem(town.till, offer=offer, by={"subject": sub}))).code


async def test_short_of_points_the_rest_in_cash(town: Town) -> None:
    """With then_cash what points do not cover is recorded as cash at the scenario's rate, rounded up to the fen."""
    sub = await town.resident("sub_1", 1_550)
    offer = await town.offer(1_000)
    red = await town.shop.redeem(town.till, offer=offer, quantity=2, by={"card": sub, "pin": "2468"}, then_cash=True)
    assert (1_550, 450) == (red.points, red.cash_fen)


async def test_only_ones_own_and_only_while_open(town: Town) -> None:
    """A key acts for its own shop, staff where they serve; a suspended shop does neither old nor new business."""
    sub = await town.resident("sub_1", 5_000)
    offer = await town.offer()
    by = {"card": sub, "pin": "2468"}
    stranger, elsewhere = Asker("key_2", "mer_other"), Asker("stf_c", serves=lambda c: c == THERE)
    red = (await town.shop.redeem(town.till, offer=offer, by=by)).id
    assert "forbidden" == (await refused(town.shop.redeem(stranger, offer=offer, by=by))).code
    assert "forbidden" == (await refused(town.shop.redeem(elsewhere, offer=offer, by={"subject": sub}))).code
    for asker in (stranger, elsewhere):
        assert "not_found" == (await refused(town.shop.capture(asker, red))).code
    await town.shop.offers.change_merchant(STAFF, town.merchant.merchant, state="suspended")
    assert "forbidden" == (await refused(town.shop.capture(town.till, red))).code
    for asker, who in ((town.till, by), (STAFF, {"subject": sub})):
        assert "forbidden" == (await refused(town.shop.redeem(asker, offer=offer, by=who))).code
    assert "released" == (await town.shop.release(STAFF, red)).state


async def test_offers_open_and_close(town: Town) -> None:
    """An offer sells between its days, after approval by somebody else; changing the price asks again."""
    sub = await town.resident("sub_1", 5_000)
    offers, by = town.shop.offers, {"card": sub, "pin": "2468"}
    made = await offers.propose(
        STAFF,
        merchant=town.merchant.merchant,
        scenario="S13",
        title_zh="米",
        title_en="Rice",
        price=1_000,
        stock=5,
        from_day="2021-11-23",
        to_day="2021-11-24",
    )
    assert "offer_closed" == (await refused(town.shop.redeem(town.till, offer=made.offer, by=by))).code
    assert "same_person" == (await refused(offers.approve(STAFF, made.offer))).code
    assert "forbidden" == (await refused(offers.approve(town.till, made.offer))).code
    assert "open" == (await offers.approve(OTHER, made.offer, version=1)).state
    assert "precondition_failed" == (await refused(offers.change(OTHER, made.offer, version=1, stock=9))).code
    assert "offer_closed" == (await refused(town.shop.redeem(town.till, offer=made.offer, by=by))).code
    town.now += 24 * HOUR
    await town.shop.redeem(town.till, offer=made.offer, by=by)
    assert "paused" == (await offers.change(town.till, made.offer, state="paused")).state
    assert "open" == (await offers.change(town.till, made.offer, state="open", stock=7)).state
    changed = await offers.change(town.till, made.offer, price=900)
    assert ("proposed", "key_1", 7) == (changed.state, changed.proposer, changed.stock)
    assert "offer_state" == (await refused(offers.change(town.till, made.offer, state="open"))).code
    assert "price_not_allowed" == (await refused(offers.change(town.till, made.offer, price=0))).code
    await offers.approve(STAFF, made.offer)
    town.now += 48 * HOUR
    assert "offer_closed" == (await refused(town.shop.redeem(town.till, offer=made.offer, by=by))).code
    assert "closed" == (await offers.change(town.till, made.offer, state="closed")).state
    assert "offer_state" == (await refused(offers.change(town.till, made.offer, state="paused"))).code


async def test_a_scenario_that_waits_opens_nothing(town: Town) -> None:
    """Public money stays closed until the competent office has signed."""
    said = await refused(town.offer(0, scenario="S19"))
    assert "scenario_waits" == said.code


async def test_fifty_for_the_last_item(town: Town) -> None:
    """Fifty people want the last one: exactly one gets it, the rest are told so, and only one lost points."""
    subs = [await town.resident(f"sub_{n}", 1_000) for n in range(50)]
    offer = await town.offer(1_000, stock=1)
    outcomes = await asyncio.gather(
        *(town.shop.redeem(STAFF, offer=offer, by={"subject": sub}) for sub in subs), return_exceptions=True
    )
    codes = Counter(o.code if isinstance(o, Refusal) else "ok" for o in outcomes)
    assert {"ok": 1, "out_of_stock": 49} == dict(codes)
    assert 0 == await town.stock(offer)
    assert 49_000 == sum([await town.points(sub) for sub in subs])


async def test_fifty_for_the_last_points(town: Town) -> None:
    """Fifty tills take the last points of one person: exactly one succeeds, also when only the limit stops them."""
    sub = await town.resident("sub_1", 1_000)
    offer = await town.offer(1_000, stock=100)
    by = {"card": sub, "pin": "2468"}
    outcomes = await asyncio.gather(
        *(town.shop.redeem(town.till, offer=offer, by=by, capture=True) for _ in range(50)),
        return_exceptions=True,
    )
    codes = Counter(o.code if isinstance(o, Refusal) else getattr(o, "state", o) for o in outcomes)
    assert {"captured": 1, "insufficient_points": 49} == dict(codes)
    assert (99, 0) == (await town.stock(offer), await town.points(sub))
    rich, once = await town.resident("sub_2", 100_000), await town.offer(1_000, stock=-1, per_person=1)
    outcomes = await asyncio.gather(
        *(town.shop.redeem(STAFF, offer=once, by={"subject": rich}) for _ in range(50)), return_exceptions=True
    )
    assert {"limit_reached": 49, "ok": 1} == dict(Counter(o.code if isinstance(o, Refusal) else "ok" for o in outcomes))


async def test_two_servers_and_the_last_item(postgres_url: str) -> None:
    """Two processes on one PostgreSQL, people at home in two journals: the offer's row decides, once."""
    town, beside = Town(postgres_url), Town(postgres_url)
    await town.open()
    await beside.ledger.open()
    subs = [await town.resident(f"sub_{n}", 1_000) for n in range(12)]
    for sub in subs[::2]:
        await town.do(lambda view, sub=sub: accounts.move(view, HERE, THERE, town.act(), subject=sub), HERE, THERE)
    offer = await town.offer(1_000, stock=1)
    outcomes = await asyncio.gather(
        *(
            (town if n % 4 < 2 else beside).shop.redeem(STAFF, offer=offer, by={"subject": sub})
            for n, sub in enumerate(subs)
        ),
        return_exceptions=True,
    )
    assert {"ok": 1, "out_of_stock": 11} == dict(
        Counter(
            o.code if isinstance(o, Refusal) else "ok" if not isinstance(o, Exception) else repr(o) for o in outcomes
        )
    )
    await beside.ledger.close()
    await town.ledger.close()


async def test_a_mover_is_followed(town: Town) -> None:
    """Someone who moves between identification and commit still redeems; a refund after a move finds the new home."""
    sub = await town.resident("sub_1", 3_000)
    offer = await town.offer(1_000)
    before = await town.shop.redeem(town.till, offer=offer, by={"card": sub, "pin": "2468"}, capture=True)
    stale = await town.ledger.home(sub)

    async def move() -> None:
        await town.do(lambda view: accounts.move(view, HERE, THERE, town.act(), subject=sub), HERE, THERE)

    real_home = town.ledger.home

    async def home(subject: str) -> str:
        await move()
        town.ledger.home = real_home  # type: ignore[method-assign]
        return stale

    town.ledger.home = home  # type: ignore[method-assign]
    after = await town.shop.redeem(town.till, offer=offer, by={"card": sub, "pin": "2468"})
    order = (await town.shop.details(town.till, after.id)).order
    assert (THERE, "held") == (order.journal, after.state)
    assert 1_000 == sum((await town.lots(f"subject:{sub}", THERE)).values())
    await town.shop.refund(town.till, before.id, amount=1_000, reason="x")
    assert 2_000 == sum((await town.lots(f"subject:{sub}", THERE)).values())


async def test_an_order_outlives_the_person(town: Town) -> None:
    """After erasure an order can still be wound up; its reason is not kept, because nobody could be asked about it."""
    sub = await town.resident("sub_1", 1_000)
    red = (await town.shop.redeem(town.till, offer=await town.offer(), by={"card": sub, "pin": "2468"})).id
    town.erased.add(sub)
    retry = town.ledger.retry("key_1", "k1", b"body")
    done = await town.shop.void(town.till, red, reason="x", retry=retry)
    assert ("voided", "") == (done.state, done.masked_name)
    again = town.shop.void(town.till, red, reason="x", retry=retry)
    assert "subject_erased" == (await refused(again)).code
    assert [] == await town.ledger.fetch("SELECT kind FROM redemption_reason")


async def test_residents_look_but_do_not_act(town: Town) -> None:
    """A resident sees the own order and hears why not; acting on it is the till's work."""
    sub = await town.resident("sub_1", 1_000)
    offer = await town.offer(1_000)
    red = (await town.shop.redeem(town.till, offer=offer, by={"card": sub, "pin": "2468"})).id
    me, neighbour = Asker(sub, subject=sub), Asker("sub_2", subject="sub_2")
    assert "held" == (await town.shop.slip(me, red)).state
    assert "not_found" == (await refused(town.shop.slip(neighbour, red))).code
    assert Eligibility(False, "insufficient_points") == await town.shop.eligible(me, offer=offer, by={"subject": sub})
    await town.award(sub, 0, "2022-12-31", 60_000)
    loan = await town.offer(0, scenario="S18")  # whoever asks about themselves has agreed; who comes for them has not
    assert (await town.shop.eligible(me, offer=loan, by={"subject": sub})).eligible
    agent = Shown(sub, "card", "pin", proxy="sub_2")
    assert "not_eligible" == (await refused(town.shop.redeem(town.till, offer=loan, by=agent))).code
    for call in (
        town.shop.release(me, red),
        town.shop.redeem(me, offer=offer, by={"subject": sub}),
        town.shop.eligible(neighbour, offer=offer, by={"subject": sub}),
    ):
        assert "forbidden" == (await refused(call)).code


async def test_a_day_sheet(town: Town) -> None:
    """A day's orders, oldest first and page by page, of one shop or of the communities somebody serves."""
    await town.resident("sub_1", 9_000)
    offer = await town.offer()
    made = []
    for _ in range(3):
        town.now += 1
        made.append((await town.shop.redeem(STAFF, offer=offer, by={"subject": "sub_1"})).id)
    first = await town.shop.day("2021-11-22", merchant=town.merchant.merchant, limit=2)
    assert made[:2] == [one.order.redemption for one in first]
    last = first[-1].order
    rest = await town.shop.day("2021-11-22", communities=[HERE], after=(last.created_at, last.redemption), limit=2)
    assert made[2:] == [one.order.redemption for one in rest]
    assert [] == await town.shop.day("2021-11-22", communities=[THERE])
    assert [] == await town.shop.day("2021-11-22", communities=[])
    assert set(STATES) >= {one.state for one in first}

# SPDX-License-Identifier: Apache-2.0
"""Vouchers from the desk to the settlement: given out, taken without a network, uploaded, refused, come to an end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from ledger.view import local_day
from merchants.jobs import expire_holds
from merchants.model import Asker
from merchants.vouchers.format import pack, read, write
from merchants.vouchers.issue import UPLOAD_DAYS
from merchants.vouchers.upload import Told
from tests import voucher_vectors
from tests.shops import HERE, NOON, OTHER, STAFF, refused
from tests.vouchers import DAY_S, NOON_S, VoucherTown

pytestmark = pytest.mark.schema("ledger", "merchants")

DAY_US = DAY_S * 1_000_000
MIDNIGHT_S = NOON_S + DAY_S // 2  # the end of the town's first day


@pytest.fixture
async def town(database_url: str) -> AsyncIterator[VoucherTown]:
    made = VoucherTown(database_url)
    await made.open()
    yield made
    await made.check()
    await made.ledger.close()


async def test_a_voucher_from_the_desk_to_the_shop(town: VoucherTown) -> None:
    """Its points are held, its text names the order and nobody, a shop of the circle takes it, and then the order is
    that shop's."""
    await town.resident("sub_1", 5_000)
    offer = await town.offer(1_000, cash_fen=250)
    paper = await town.voucher("sub_1", offer, quantity=2, days=10)
    said = read(paper.text, town.key.verifier)
    assert (paper.details.order.redemption, HERE, "便民圈", "洗衣液") == (
        said.id,
        said.community,
        said.circle,
        said.title,
    )
    assert (2, 2_000, 500, NOON_S, MIDNIGHT_S + 10 * DAY_S) == (
        said.quantity,
        said.points,
        said.cash_fen,
        said.issued,
        said.ends,
    )
    assert "sub_1" not in pack(said).decode(errors="replace")
    assert (3_000, 8, "open") == (await town.points("sub_1"), await town.stock(offer), paper.state(town.now))
    assert "voucher" == paper.details.order.way
    told = await town.upload("near", town.line(1, paper))
    assert [Told(1, "captured", "", False)] == told
    assert {"9999-12-31": 2_000} == await town.lots(f"merchant:{town.near.merchant}")
    after = await town.vouchers.paper(said.id)
    assert ("used", town.near.merchant) == (after.state(town.now), after.details.order.merchant)
    assert paper.text == after.text
    back = await town.shop.refund(town.tills["near"], said.id, amount=2_000, reason="退货")
    assert ("refunded", 5_000) == (back.state, await town.points("sub_1"))


async def test_the_first_upload_wins(town: VoucherTown) -> None:
    """Of two tills that took one voucher, and of two lines of one batch, the first is paid and the other is a dispute
    line of its shop. At the same moment one wins too, and every copy of a batch hears the same."""
    await town.resident("sub_1", 5_000)
    offer = await town.offer(1_000)
    one, two, three = [await town.voucher("sub_1", offer) for _ in range(3)]
    assert ["captured"] == await town.said("near", town.line(1, one))
    lines = town.line(1, one), town.line(2, two), town.line(3, two)
    assert ["used", "captured", "used"] == await town.said("own", *lines)
    assert ["used"] == await town.said(town.till_of(town.near, "ter_second"), town.line(1, one))
    shops = await town.ledger.fetch("SELECT merchant FROM voucher_line WHERE result = 'dispute'")
    assert {town.merchant.merchant: 2, town.near.merchant: 1} == Counter(shop for (shop,) in shops)
    town.erased.add("sub_1")  # the order outlives the person
    line, tills = town.line(9, three), ("own", "own", "own", "near", "near", "near")
    answers = await asyncio.gather(*(town.upload(till, line, batch="same") for till in tills))
    assert answers[0] == answers[1] == answers[2]
    assert answers[3] == answers[4] == answers[5]
    assert ["", "used"] == sorted(one[0].reason for one in (answers[0], answers[3]))


async def test_a_batch_again(town: VoucherTown) -> None:
    """The same batch gets the same answer; a line in another batch keeps its answer and says so; a counter that stands
    for something else is a dispute, and takes nothing away from what was there."""
    await town.resident("sub_1", 5_000)
    offer = await town.offer(1_000)
    one, two = [await town.voucher("sub_1", offer) for _ in range(2)]
    lines = town.line(1, one), town.line(2, "JV1:NONSENSE")
    retry = town.ledger.retry("key_1", "k1", b"batch")
    first = await town.upload("own", *lines, batch="b1", retry=retry)
    assert ["", "forged"] == [told.reason for told in first]
    assert first == await town.upload("own", *lines, batch="b1", retry=retry)
    assert first == await town.upload("own", *lines, batch="b1")
    assert [replace(told, replayed=True) for told in first] == await town.upload("own", *lines, batch="b2")
    changed = town.line(1, two), replace(lines[0], at=lines[0].at + 1), replace(lines[1], counter=3)
    assert ["counter_reused", "counter_reused", "forged"] == await town.said("own", *changed)
    assert first == await town.upload("own", *lines, batch="b1")
    other = town.ledger.retry("key_1", "k1", b"another")
    assert "idempotency_key_reused" == (await refused(town.upload("own", town.line(9, two), retry=other))).code
    assert ["captured"] == await town.said("own", town.line(4, two))


async def test_every_forgery_has_one_answer(town: VoucherTown) -> None:
    """Other keys, other deployments, other journals, an HMAC, a note's signature, noise: `forged`, and no order is
    touched. What our key has signed and our books do not have is `unknown`."""
    await town.resident("sub_1", 5_000)
    paper = await town.voucher("sub_1", await town.offer(1_000))
    texts = [*voucher_vectors.forged().values(), write(pack(paper.voucher), replace(town.key, name="other.example"))]
    texts += [write(pack(paper.voucher), replace(town.key, seed=bytes(32))), paper.text[:-3], paper.text + " ", "券"]
    assert ["forged"] * len(texts) == await town.said("own", *(town.line(n, text) for n, text in enumerate(texts)))
    lost = write(pack(replace(paper.voucher, id="red_lost000000000000")), town.key)
    assert ["unknown"] == await town.said("own", town.line(900, lost))
    assert "open" == (await town.vouchers.paper(paper.voucher.id)).state(town.now)


async def test_where_it_is_good(town: VoucherTown) -> None:
    """A shop outside the circle learns that it is not for it, and not what became of it; one that has left the circle
    still honours what is out, and its own. A circle of the same name elsewhere is another circle. What a suspended
    shop took is noted, and not paid."""
    await town.resident("sub_1", 9_000)
    offer = await town.offer(1_000)
    used, out, own = [await town.voucher("sub_1", offer) for _ in range(3)]
    await town.upload("own", town.line(1, used))
    assert ["other_shop", "other_shop"] == await town.said("far", town.line(1, used), town.line(2, out))
    assert not out.voucher.is_for("mer_x", "370321002002", "便民圈")
    await town.shop.offers.change_merchant(STAFF, town.merchant.merchant, circle="")
    assert ["captured"] == await town.said("near", town.line(1, out))
    assert ["captured"] == await town.said("own", town.line(2, own))
    alone = await town.voucher("sub_1", offer)
    assert ["other_shop"] == await town.said("near", town.line(2, alone))
    await town.shop.offers.change_merchant(STAFF, town.merchant.merchant, state="suspended")
    assert ["suspended"] == await town.said("own", town.line(3, alone))
    assert "forbidden" == (await refused(town.upload(STAFF, town.line(1, alone)))).code


async def test_no_circle_without_the_agreement(town: VoucherTown) -> None:
    """What only a shop with a signed agreement may give is not given, and not paid, at its neighbour's."""
    await town.resident("sub_1", standing=60_000)
    paper = await town.voucher("sub_1", await town.offer(0, scenario="S11"))
    assert ["other_shop"] == await town.said("near", town.line(1, paper))
    assert ["captured"] == await town.said("own", town.line(1, paper))


async def test_the_end(town: VoucherTown) -> None:
    """After its end a voucher is uploaded for three days more, if the till says that it took it before; clocks may be
    a day off. Then the points come back, with stock and limit, and a late upload is a dispute."""
    await town.resident("sub_1", 5_000)
    offer = await town.offer(1_000, per_person=4)
    papers = [await town.voucher("sub_1", offer, days=2) for _ in range(4)]
    ends = papers[0].voucher.ends
    town.now = (ends + DAY_S) * 1_000_000
    assert "ended" == papers[3].state(town.now)
    times = (ends - 1, ends + DAY_S - 1, ends + DAY_S, ends)
    lines = [town.line(n, paper, at) for n, (paper, at) in enumerate(zip(papers, times, strict=True))]
    assert ["captured", "captured", "expired"] == await town.said("own", *lines[:3])
    assert 0 == await expire_holds(town.shop, town.now)
    town.now = (ends + UPLOAD_DAYS * DAY_S) * 1_000_000
    assert ["expired"] == await town.said("own", lines[3])  # though nobody has swept it yet
    assert 2 == await expire_holds(town.shop, town.now)
    assert (3_000, 8, 2) == (await town.points("sub_1"), await town.stock(offer), await town.used(offer))
    assert ["expired"] == await town.said("near", town.line(9, papers[2], ends - 1))
    assert "returned" == (await town.vouchers.paper(papers[3].voucher.id)).state(town.now)


async def test_nothing_lapses_in_a_voucher(town: VoucherTown) -> None:
    """The first points it takes bound its life; others come back with it in time."""
    await town.resident("sub_1", 1_000, lot="2021-11-24")
    await town.award("sub_1", 4_000, "2022-12-31")
    offer = await town.offer(2_000)
    mixed, later = await town.voucher("sub_1", offer), await town.voucher("sub_1", offer)
    assert MIDNIGHT_S + 2 * DAY_S == mixed.voucher.ends
    assert MIDNIGHT_S + 30 * DAY_S == later.voucher.ends
    town.now = mixed.returns_at
    assert 1 == await expire_holds(town.shop, town.now)
    assert 2_000 == await town.points("sub_1")
    hold = town.shop.redeem

    async def delayed(*who: Asker, **what: Any) -> Any:
        """Points that lapse soon arrive after the end was computed."""
        town.shop.redeem = hold
        await town.award("sub_1", 100, "2021-11-30")
        return await hold(*who, **what)

    town.shop.redeem = delayed
    assert "2021-11-30" == local_day((await town.voucher("sub_1", offer)).voucher.ends * 1_000_000 - 1, "Asia/Shanghai")


async def test_nobody_calls_it_off(town: VoucherTown) -> None:
    """While a till may have it, nobody releases or voids its order or captures it without the voucher; once used it is
    voided like any other."""
    await town.resident("sub_1", 5_000, standing=60_000)
    free = await town.offer(0, scenario="S14")
    for offer in (await town.offer(1_000), free):
        paper = await town.voucher("sub_1", offer)
        order = paper.voucher.id
        for asker in (town.till, OTHER):
            assert "voucher_open" == (await refused(town.shop.void(asker, order, reason="不要了"))).code
            assert "voucher_open" == (await refused(town.shop.release(asker, order))).code
            assert "voucher_open" == (await refused(town.shop.capture(asker, order))).code
        assert ["captured"] == await town.said("own", town.line(town.batches, paper))
        assert "voided" == (await town.shop.void(OTHER, order, reason="拿错了")).state
        assert ["closed"] == await town.said("near", town.line(town.batches, paper))
    assert 5_000 == await town.points("sub_1")


async def test_who_may_have_one(town: VoucherTown) -> None:
    """Oneself and staff who serve the shop; no shop, nobody for somebody else. What the offer refuses is refused."""
    await town.resident("sub_1", 500)
    offer = await town.offer(1_000)
    for asker in (town.till, Asker("sub_2", subject="sub_2"), Asker("stf_far", serves=lambda place: False)):
        assert "forbidden" == (await refused(town.vouchers.issue(asker, subject="sub_1", offer=offer))).code
    assert "insufficient_points" == (await refused(town.voucher("sub_1", offer))).code
    screen = await town.offer(1_000, scenario="S36")
    assert "not_by_voucher" == (await refused(town.voucher("sub_1", screen))).code
    part = await town.voucher("sub_1", offer, then_cash=True)
    assert (500, 500) == (part.voucher.points, part.voucher.cash_fen)
    await town.award("sub_1", 0, "2022-12-31", 60_000)
    paper, _ = await town.vouchers.issue(STAFF, subject="sub_1", offer=await town.offer(0, scenario="S14"), days=1)
    assert 0 == paper.voucher.points
    loan = await town.offer(0, scenario="S18")  # where the person's own yes is asked, paper from the desk is none
    assert "not_eligible" == (await refused(town.vouchers.issue(STAFF, subject="sub_1", offer=loan))).code
    assert loan == (await town.voucher("sub_1", loan)).details.order.offer
    assert "not_found" == (await refused(town.vouchers.paper("red_none"))).code


async def test_the_same_voucher_under_one_retry_key(town: VoucherTown) -> None:
    """Asked again, the same voucher is given, and nothing more is held; a list has one's own, the newest first."""
    await town.resident("sub_1", 5_000)
    offer = await town.offer(1_000)
    retry = town.ledger.retry("sub_1", "k1", b"body")
    me = Asker("sub_1", subject="sub_1")
    first, again = [await town.vouchers.issue(me, subject="sub_1", offer=offer, retry=retry) for _ in range(2)]
    assert (False, True) == (first[1], again[1])
    assert first[0].text == again[0].text
    assert 4_000 == await town.points("sub_1")
    town.now = NOON + 40 * DAY_US
    assert first[0].text == (await town.vouchers.issue(me, subject="sub_1", offer=offer, retry=retry))[0].text
    await town.resident("sub_2", 5_000)
    mine = [first[0].voucher.id]
    for who in ("sub_1", "sub_2", "sub_1"):
        town.now += 1
        made = await town.voucher(who, await town.offer(100))
        mine += [made.voucher.id] if who == "sub_1" else []
    seen = await town.vouchers.of("sub_1", limit=2)
    order = seen[-1].details.order
    seen += await town.vouchers.of("sub_1", after=(order.created_at, order.redemption), limit=2)
    assert mine[::-1] == [one.voucher.id for one in seen]

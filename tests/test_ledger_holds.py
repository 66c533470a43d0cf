# SPDX-License-Identifier: Apache-2.0
"""Holds: set aside, capture, release, refund and void; days that pass meanwhile; people who move meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.book import holds
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.model import Sealed
from tests import ledgers
from tests.ledgers import PAID, FixedClock, opened


@pytest.fixture
def url(tmp_path: Any) -> str:
    """The book is pure: one database is enough here, the random histories run it on both."""
    return f"sqlite:///{tmp_path / 'jifen.db'}"


async def person(ledger: Ledger, **lots: int) -> None:
    """`sub_1` in east with lots `m03=100` (good until the end of March) and so on; west is there too."""
    for journal in ("east", "west", "north"):
        await ledgers.open_journal(ledger, journal)
    await ledgers.open_account(ledger, "east", "sub_1", base=0)
    for name, amount in lots.items():
        await ledgers.award(ledger, "east", "sub_1", name, points=amount, points_lot=f"2022-{name[1:]}-28")


async def points(ledger: Ledger, account: str = "subject:sub_1", journal: str = "east") -> dict[str, int]:
    return await ledgers.lots(ledger, journal, account)


async def fields(ledger: Ledger, sealed: Sealed) -> dict[str, Any]:
    return (await ledger.entry(sealed.journal, sealed.seq)).fields


async def test_the_earliest_day_is_spent_first(url: str) -> None:
    """The lots that a hold takes are written in it, and captures use them in the same order."""
    async with opened(url) as ledger:
        await person(ledger, m09=100, m03=100, m06=100)
        await ledgers.hold(ledger, "east", "sub_1", "h", 150)
        assert {"2022-03-28": 100, "2022-06-28": 50} == await points(ledger, "held:h")
        assert {"2022-06-28": 50, "2022-09-28": 100} == await points(ledger)
        await ledgers.capture(ledger, "east", "h", 120)
        assert {"2022-06-28": 30} == await points(ledger, "held:h")
        assert {"9999-12-31": 120} == await points(ledger, "merchant:mer_1")


async def test_what_a_merchant_keeps_names_nobody(url: str) -> None:
    """Capture, refund and void say nothing of the person; the hold and the release do, and are the person's."""
    async with opened(url) as ledger:
        await person(ledger, m09=100)
        named = [await ledgers.hold(ledger, "east", "sub_1", "h", 100)]
        taken = [await ledgers.capture(ledger, "east", "h", 80)]
        for kind in ("refund", "void"):
            back, given = await ledgers.refund(ledger, "east", "h", 20, kind)
            assert back.kind == kind
            taken.append(back)
            named.append(given)
        released = await ledgers.release(ledger, "east", "h")
        assert released is not None
        for sealed in (*named, released):
            assert "sub_1" == sealed.subject == (await fields(ledger, sealed))["subject"]
        for sealed in taken:
            entry = await fields(ledger, sealed)
            assert sealed.subject is None
            assert not {"subject", "group", "place"} & entry.keys()
            assert b"sub_1" not in sealed.body
            assert [("hold", named[0].seq)] == [(link["rel"], link["seq"]) for link in entry["links"]]


@pytest.mark.parametrize("amount", [0, -1, 101, 10**15])
async def test_a_hold_of_what_is_not_there(url: str, amount: int) -> None:
    """Refused with what is available."""
    async with opened(url) as ledger:
        await person(ledger, m09=100)
        with pytest.raises(Refusal, match="insufficient_points") as no:
            await ledgers.hold(ledger, "east", "sub_1", "h", amount)
        assert {"available": 100, "needed": amount} == no.value.facts


@pytest.mark.parametrize("amount", [0, -1, 81])
async def test_no_more_is_captured_or_refunded_than_there_is(url: str, amount: int) -> None:
    """Beyond what is held, and beyond what was captured: refused with what is left."""
    async with opened(url) as ledger:
        await person(ledger, m09=100)
        await ledgers.hold(ledger, "east", "sub_1", "h", 100)
        await ledgers.capture(ledger, "east", "h", 20)
        with pytest.raises(Refusal, match="exceeds_original") as no:
            await ledgers.capture(ledger, "east", "h", amount)
        assert 80 == no.value.facts["left"]
        await ledgers.capture(ledger, "east", "h", 60)
        with pytest.raises(Refusal, match="exceeds_original"):
            await ledgers.refund(ledger, "east", "h", amount)
        await ledgers.capture(ledger, "east", "h", 20)
        with pytest.raises(Refusal, match="already_captured"):
            await ledgers.capture(ledger, "east", "h", 1)


async def test_a_hold_runs_out(url: str) -> None:
    """At its instant no capture any more, swept or not; the sweep gives back once and not too early."""
    clock = FixedClock()
    async with opened(url, clock) as ledger:
        await person(ledger, m09=100)
        await ledgers.hold(ledger, "east", "sub_1", "h", 100, hours=2)
        with pytest.raises(Refusal, match="hold_open"):
            await ledgers.release(ledger, "east", "h", expired=True)
        clock.advance(hours=2)
        with pytest.raises(Refusal, match="hold_expired"):
            await ledgers.capture(ledger, "east", "h", 1)
        sealed = await ledgers.release(ledger, "east", "h", expired=True)
        assert sealed is not None and {"expired": 1} == (await fields(ledger, sealed))["data"]
        with pytest.raises(Refusal, match="hold_expired"):
            await ledgers.capture(ledger, "east", "h", 1)
        with pytest.raises(Refusal, match="hold_open"):
            await ledgers.release(ledger, "east", "h", expired=True)
        assert await ledgers.release(ledger, "east", "h") is None
        assert [("expired",)] == await ledger.fetch("SELECT state FROM hold")
        assert {"2022-09-28": 100} == await points(ledger)


async def test_a_hold_across_the_last_day_of_a_lot(url: str) -> None:
    """Held points can be captured after their day; what is released after it lapses in the same entry."""
    clock = FixedClock()
    async with opened(url, clock) as ledger:
        await person(ledger, m03=60, m09=60)
        await ledgers.hold(ledger, "east", "sub_1", "h", 120, hours=24 * 60)
        clock.advance(days=40)
        assert await ledgers.sweep(ledger, "east", "sub_1") is None
        await ledgers.capture(ledger, "east", "h", 20)
        sealed = await ledgers.release(ledger, "east", "h")
        assert sealed is not None
        assert [("held:h", -40), ("expired", 40), ("held:h", -60), ("subject:sub_1", 60)] == [
            (line["account"], line["amount"]) for line in (await fields(ledger, sealed))["postings"]
        ]
        assert {"2022-09-28": 60} == await points(ledger)


async def test_a_refund_after_the_lot_lapsed_opens_one_lot(url: str) -> None:
    """Thirty days from the first refund, for all refunds of one redemption; after that day they lapse."""
    clock = FixedClock()
    async with opened(url, clock) as ledger:
        await person(ledger, m03=60, m09=60)
        await ledgers.hold(ledger, "east", "sub_1", "h", 120)
        await ledgers.capture(ledger, "east", "h", 120)
        clock.advance(days=40)  # 10 April
        await ledgers.refund(ledger, "east", "h", 70)
        assert {"2022-05-10": 10, "2022-09-28": 60} == await points(ledger)
        clock.advance(days=7)
        await ledgers.refund(ledger, "east", "h", 20)
        assert {"2022-05-10": 30, "2022-09-28": 60} == await points(ledger)
        clock.advance(days=30)
        _, given = await ledgers.refund(ledger, "east", "h", 30)
        assert [("held:h", -30), ("expired", 30)] == [
            (line["account"], line["amount"]) for line in (await fields(ledger, given))["postings"]
        ]
        await ledgers.sweep(ledger, "east", "sub_1")
        assert {"2022-09-28": 60} == await points(ledger)


async def test_a_refund_needs_the_merchants_points(url: str) -> None:
    """What was settled is not there any more: refused with what is."""
    async with opened(url) as ledger:
        await person(ledger, m09=100)
        await ledgers.hold(ledger, "east", "sub_1", "h", 100)
        await ledgers.capture(ledger, "east", "h", 100)
        act = ledgers.act(ledger)
        for amount, fits in ((101, False), (-1, False), (70, True)):
            settle = ledgers.run(
                ledger,
                lambda view, n=amount: holds.settle(view, "east", act, merchant="mer_1", amount=n, **PAID), "east",
            )  # fmt: skip
            if fits:
                await settle
            else:
                with pytest.raises(Refusal, match="merchant_overdrawn"):
                    await settle
        with pytest.raises(Refusal, match="merchant_overdrawn") as no:
            await ledgers.refund(ledger, "east", "h", 31)
        assert {"held": 30, "asked": 31} == no.value.facts
        await ledgers.refund(ledger, "east", "h", 30)
        assert {"9999-12-31": 70} == await points(ledger, "redeemed")


async def test_one_hold_one_merchant(url: str) -> None:
    """Who captures first is the only one who captures more, and who gives back; also where others have points."""
    async with opened(url) as ledger:
        await person(ledger, m09=300)
        await ledgers.hold(ledger, "east", "sub_1", "other", 100)
        await ledgers.capture(ledger, "east", "other", 100, "mer_2")
        await ledgers.hold(ledger, "east", "sub_1", "h", 100)
        await ledgers.capture(ledger, "east", "h", 40)
        for step in (
            ledgers.capture(ledger, "east", "h", 40, "mer_2"),
            ledgers.refund(ledger, "east", "h", 40, merchant="mer_2"),
            ledgers.refund(ledger, "east", "h", 40, "void", "mer_2"),
        ):
            with pytest.raises(Refusal, match="forbidden"):
                await step
        await ledgers.capture(ledger, "east", "h", 60)
        await ledgers.refund(ledger, "east", "h", 100, "void")
        assert {"h": "mer_1", "other": "mer_2"} == dict(await ledger.fetch("SELECT hold, merchant FROM hold"))


async def test_a_merchant_that_is_owed_for_benefits_alone(url: str) -> None:
    """No points to retire: the entry says who was paid and how much, and posts nothing; of nothing there is none."""
    async with opened(url) as ledger:
        await person(ledger)
        pay: dict[str, Any] = {"merchant": "mer_1", "amount": 0, **PAID}
        act = ledgers.act(ledger)
        sealed = await ledgers.run(ledger, lambda view: holds.settle(view, "east", act, **pay), "east")
        entry = await fields(ledger, sealed)
        assert ([], {**PAID, "merchant": "mer_1"}) == (entry["postings"], entry["data"])
        with pytest.raises(Refusal, match="merchant_overdrawn"):
            await ledgers.run(ledger, lambda view: holds.settle(view, "east", act, **{**pay, "fen": 0}), "east")


async def test_what_comes_back_finds_the_person(url: str) -> None:
    """Moved once or twice: release and refund arrive in the journal where the account is now, by linked entries."""
    async with opened(url) as ledger:
        await person(ledger, m09=100)
        await ledgers.hold(ledger, "east", "sub_1", "h", 100)
        await ledgers.capture(ledger, "east", "h", 40)
        await ledgers.move(ledger, "east", "west", "sub_1")
        await ledgers.refund(ledger, "east", "h", 10)
        assert {"2022-09-28": 10} == await points(ledger, journal="west")
        await ledgers.move(ledger, "west", "north", "sub_1")
        sealed = await ledgers.release(ledger, "east", "h")
        assert sealed is not None and {"to": "north"} == (await fields(ledger, sealed))["data"]
        assert {} == await points(ledger, journal="west") == await points(ledger)
        assert {"2022-09-28": 70} == await points(ledger, journal="north")
        await ledgers.move(ledger, "north", "east", "sub_1")
        await ledgers.refund(ledger, "east", "h", 30)
        assert {"2022-09-28": 100} == await points(ledger)


async def test_what_lapsed_meanwhile_does_not_travel(url: str) -> None:
    """A release to somebody who moved, of lots past their day: it lapses where it was held."""
    clock = FixedClock()
    async with opened(url, clock) as ledger:
        await person(ledger, m03=50)
        await ledgers.hold(ledger, "east", "sub_1", "h", 50)
        await ledgers.move(ledger, "east", "west", "sub_1")
        clock.advance(days=40)
        sealed = await ledgers.release(ledger, "east", "h", expired=True)
        assert sealed is not None and {"expired": 1} == (await fields(ledger, sealed))["data"]
        assert {"9999-12-31": 50} == await points(ledger, "expired")


async def test_an_unknown_hold(url: str) -> None:
    """Not found, by name; and a hold's name is used once."""
    async with opened(url) as ledger:
        await person(ledger, m09=100)
        for step in (
            ledgers.capture(ledger, "east", "h", 1),
            ledgers.release(ledger, "east", "h"),
            ledgers.refund(ledger, "east", "h", 1),
        ):
            with pytest.raises(Refusal, match="not_found"):
                await step
        await ledgers.hold(ledger, "east", "sub_1", "h", 10)
        with pytest.raises(AssertionError):
            await ledgers.hold(ledger, "east", "sub_1", "h", 10)

# SPDX-License-Identifier: Apache-2.0
"""Accounts, awards, deductions, reversals, lapsing and moves: each decision's postings, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.book import accounts, awards
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.model import CapUse, Link, Sealed
from ledger.view import View
from tests import ledgers
from tests.ledgers import FixedClock, opened

LOT = "2022-06-30"


@pytest.fixture
def url(tmp_path: Any) -> str:
    """The book is pure: one database is enough here, the random histories run it on both."""
    return f"sqlite:///{tmp_path / 'jifen.db'}"


async def town(ledger: Ledger) -> None:
    for journal in ("east", "west"):
        await ledgers.open_journal(ledger, journal)
    await ledgers.open_account(ledger, "east", "sub_1")
    await ledgers.open_account(ledger, "east", "sub_shop", "body")


async def fields(ledger: Ledger, sealed: Sealed) -> dict[str, Any]:
    return (await ledger.entry(sealed.journal, sealed.seq)).fields


async def lines(ledger: Ledger, sealed: Sealed | None) -> list[tuple[Any, ...]]:
    assert sealed is not None
    return [
        (line["account"], line["unit"], line.get("lot", ""), line["amount"])
        for line in (await fields(ledger, sealed))["postings"]
    ]


# accounts ------------------------------------------------------------------------------------------------------


async def test_an_account_opens_with_its_base(url: str) -> None:
    """The base is standing that never lapses; opening twice is refused, in a journal that is not there too."""
    async with opened(url) as ledger:
        await town(ledger)
        assert {"9999-12-31": 100_000} == await ledgers.lots(ledger, "east", "subject:sub_1", "standing")
        with pytest.raises(Refusal, match="already_registered"):
            await ledgers.open_account(ledger, "east", "sub_1")
        with pytest.raises(Refusal, match="already_open"):
            await ledgers.open_journal(ledger, "east")
        await ledgers.open_account(ledger, "west", "sub_0", base=0)
        assert [] == (await fields(ledger, (await ledgers.open_account(ledger, "west", "sub_00", base=0))))["postings"]


async def test_the_takeover_window_closes_for_ever(url: str) -> None:
    """Awards inside the window say so; after it they do not, and it does not open again."""
    async with opened(url) as ledger:
        await town(ledger)
        inside = await ledgers.award(ledger, "east", "sub_1", "a", points=10)
        assert {"takeover": 1} == (await fields(ledger, inside))["data"]

        async def close() -> None:
            act = ledgers.act(ledger)
            await ledgers.run(ledger, lambda view: accounts.close_takeover(view, "east", act), "east")

        await close()
        assert "data" not in await fields(ledger, await ledgers.award(ledger, "east", "sub_1", "b", points=10))
        with pytest.raises(Refusal, match="takeover_closed"):
            await close()


@pytest.mark.parametrize("subject", ["sub_nobody", "sub_1"])
async def test_nobody_acts_where_they_do_not_live(url: str, subject: str) -> None:
    """Unknown, and moved away: refused by name, the new home included."""
    async with opened(url) as ledger:
        await town(ledger)
        await ledgers.move(ledger, "east", "west", "sub_1")
        with pytest.raises(Refusal) as no:
            await ledgers.award(ledger, "east", subject, "a", points=10)
        expected = ("subject_moved", "west") if subject == "sub_1" else ("subject_unknown", None)
        assert expected == (no.value.code, no.value.facts.get("journal"))


# awards --------------------------------------------------------------------------------------------------------


async def test_an_award_is_written_as_decided(url: str) -> None:
    """Both units from the issuer to the subject, in their lots; who, where and why beside it."""
    async with opened(url) as ledger:
        await town(ledger)
        sealed = await ledgers.award(ledger, "east", "sub_1", "a", standing=100, points=200, points_lot=LOT)
        assert [
            ("issuer", "standing", "", -100),
            ("subject:sub_1", "standing", "", 100),
            ("issuer", "points", "", -200),
            ("subject:sub_1", "points", LOT, 200),
        ] == await lines(ledger, sealed)
        entry = await fields(ledger, sealed)
        assert ("award", "sub_1", "G1", "p1", "V1", "50" * 32) == tuple(
            entry[name] for name in ("kind", "subject", "group", "place", "rule", "pack")
        )


async def test_an_award_of_nothing_is_posted(url: str) -> None:
    """Zero is an answer: the deed is on record, and the same deed is known the next time."""
    async with opened(url) as ledger:
        await town(ledger)
        assert [] == await lines(ledger, await ledgers.award(ledger, "east", "sub_1", "a"))
        with pytest.raises(Refusal, match="duplicate_cause"):
            await ledgers.award(ledger, "east", "sub_1", "a", points=10)


async def test_persons_are_never_deducted(url: str) -> None:
    """A deduction needs a body, and stands in an account of its own."""
    async with opened(url) as ledger:
        await town(ledger)
        with pytest.raises(Refusal, match="group_mismatch"):
            await ledgers.award(ledger, "east", "sub_1", "a", standing=-100)
        sealed = await ledgers.award(ledger, "east", "sub_shop", "a", standing=-100, standing_lot=LOT)
        assert sealed.kind == "deduct"
        assert {LOT: -100} == await ledgers.lots(ledger, "east", "minus:sub_shop", "standing")


async def test_old_credits_lapse_and_old_deductions_too(url: str) -> None:
    """Each on its own day: a credit that has gone does not pull a deduction along, nor the other way round."""
    clock = FixedClock()
    async with opened(url, clock) as ledger:
        await town(ledger)
        await ledgers.award(ledger, "east", "sub_shop", "a", standing=300, standing_lot="2022-03-10")
        await ledgers.award(ledger, "east", "sub_shop", "b", standing=-200, standing_lot="2022-03-20")
        assert await ledgers.sweep(ledger, "east", "sub_shop") is None
        clock.advance(days=10)
        assert [("subject:sub_shop", "standing", "2022-03-10", -300), ("expired", "standing", "", 300)] == await lines(
            ledger, await ledgers.sweep(ledger, "east", "sub_shop")
        )
        assert {"2022-03-20": -200} == await ledgers.lots(ledger, "east", "minus:sub_shop", "standing")
        clock.advance(days=10)
        assert [("minus:sub_shop", "standing", "2022-03-20", 200), ("expired", "standing", "", -200)] == await lines(
            ledger, await ledgers.sweep(ledger, "east", "sub_shop")
        )
        assert {"9999-12-31": 100_000} == await ledgers.lots(ledger, "east", "subject:sub_shop", "standing")


async def test_points_are_good_on_their_last_day_and_not_after(url: str) -> None:
    """The day is the journal's: at 23:59 in Shanghai it is still that day, a minute later it is not."""
    clock = FixedClock("2022-03-20T15:59:00")
    async with opened(url, clock) as ledger:
        await town(ledger)
        await ledgers.award(ledger, "east", "sub_1", "a", points=100, points_lot="2022-03-20")
        await ledgers.hold(ledger, "east", "sub_1", "h1", 40)
        clock.advance(seconds=60)
        with pytest.raises(Refusal, match="insufficient_points") as no:
            await ledgers.hold(ledger, "east", "sub_1", "h2", 40)
        assert 0 == no.value.facts["available"]


# reversals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "policy", "left", "debt", "shortfall"),
    [
        ("sub_1", "only_available", {"2022-12-31": 90}, {}, 120),
        ("sub_1", "allow_debt", {"2022-12-31": 90}, {}, 120),
        ("sub_shop", "only_available", {"2022-12-31": 90}, {}, 120),
        ("sub_shop", "within_balance", {}, {}, 30),
        ("sub_shop", "allow_debt", {}, {"9999-12-31": -30}, 0),
    ],
)
async def test_reversal_after_part_was_spent(
    url: str, subject: str, policy: str, left: dict[str, int], debt: dict[str, int], shortfall: int
) -> None:
    """Own lot first; a person gives no more, a body its other lots, then a debt: by the policy that is named."""
    async with opened(url) as ledger:
        await town(ledger)
        original = await ledgers.award(ledger, "east", subject, "a", points=200, points_lot=LOT)
        await ledgers.hold(ledger, "east", subject, "h", 120)
        await ledgers.award(ledger, "east", subject, "b", points=90, points_lot="2022-12-31")
        sealed = await ledgers.reverse(ledger, original, policy)
        assert {"policy": policy, "shortfall": shortfall, "lapsed": 0} == (await fields(ledger, sealed))["data"]
        assert left == await ledgers.lots(ledger, "east", f"subject:{subject}")
        assert debt == await ledgers.lots(ledger, "east", f"debt:{subject}")
        with pytest.raises(Refusal, match="already_reversed"):
            await ledgers.reverse(ledger, original, policy)


async def test_only_awards_are_reversed(url: str) -> None:
    """A reversal, a hold or an opening is not taken back this way."""
    async with opened(url) as ledger:
        await town(ledger)
        original = await ledgers.award(ledger, "east", "sub_1", "a", points=200)
        for sealed in (await ledgers.reverse(ledger, original), await ledgers.open_account(ledger, "east", "sub_2")):
            with pytest.raises(Refusal, match="not_reversible"):
                await ledgers.reverse(ledger, sealed)


async def test_debt_is_repaid_by_the_next_award_in_its_own_entry(url: str) -> None:
    """While a debt stands nothing is spendable; the award pays it first and the rest is spendable at once."""
    async with opened(url) as ledger:
        await town(ledger)
        original = await ledgers.award(ledger, "east", "sub_shop", "a", points=100)
        await ledgers.hold(ledger, "east", "sub_shop", "h", 100)
        await ledgers.reverse(ledger, original, "allow_debt")
        part = await ledgers.award(ledger, "east", "sub_shop", "b", points=60)
        assert [("issuer", "points", "", -60), ("debt:sub_shop", "points", "", 60)] == await lines(ledger, part)
        with pytest.raises(Refusal, match="insufficient_points"):
            await ledgers.hold(ledger, "east", "sub_shop", "h2", 1)
        await ledgers.award(ledger, "east", "sub_shop", "c", points=60, points_lot=LOT)
        assert {} == await ledgers.lots(ledger, "east", "debt:sub_shop")
        await ledgers.hold(ledger, "east", "sub_shop", "h3", 20)


async def test_reversing_the_award_that_repaid_a_debt(url: str) -> None:
    """The debt stands again and the rest goes back: no point is taken twice."""
    async with opened(url) as ledger:
        await town(ledger)
        original = await ledgers.award(ledger, "east", "sub_shop", "a", points=40)
        await ledgers.hold(ledger, "east", "sub_shop", "h", 40)
        await ledgers.reverse(ledger, original, "allow_debt")
        repaying = await ledgers.award(ledger, "east", "sub_shop", "b", points=100, points_lot=LOT)
        sealed = await ledgers.reverse(ledger, repaying, "within_balance")
        assert 0 == (await fields(ledger, sealed))["data"]["shortfall"]
        assert {"9999-12-31": -40} == await ledgers.lots(ledger, "east", "debt:sub_shop")
        assert {} == await ledgers.lots(ledger, "east", "subject:sub_shop")


async def test_reversal_of_a_deduction(url: str) -> None:
    """What still weighs is taken off; what has lapsed by itself is not given twice."""
    clock = FixedClock()
    async with opened(url, clock) as ledger:
        await town(ledger)
        one = await ledgers.award(ledger, "east", "sub_shop", "a", standing=-100, standing_lot="2022-03-10")
        two = await ledgers.award(ledger, "east", "sub_shop", "b", standing=-70, standing_lot="2022-05-10")
        clock.advance(days=20)
        for original, lapsed in ((one, 100), (two, 0)):
            sealed = await ledgers.reverse(ledger, original, "within_balance")
            assert lapsed == (await fields(ledger, sealed))["data"]["lapsed"]
        await ledgers.sweep(ledger, "east", "sub_shop")
        assert {} == await ledgers.lots(ledger, "east", "minus:sub_shop", "standing")


async def test_a_reversal_gives_room_back_in_the_same_window(url: str) -> None:
    """The cap has counted nothing any more, and the entry says so."""
    async with opened(url) as ledger:
        await town(ledger)
        use = CapUse("day", "2022-03-01", "2022-03-01", 300, 0, 200)

        def post(view: View) -> Sealed:
            draft = ledgers.award_draft(ledger, "east", "sub_1", "a", (use,))
            return awards.award(view, draft, standing=0, points=200)

        original = await ledgers.run(ledger, post, "east")
        sealed = await ledgers.reverse(ledger, original)
        assert [(200, -200)] == [(cap["used_before"], cap["let"]) for cap in (await fields(ledger, sealed))["caps"]]
        assert 0 == await ledgers.run(
            ledger, lambda view: awards.used(view, "east", "sub_1", "day", "2022-03-01"), "east"
        )


async def test_one_award_takes_a_reversed_ones_place(url: str) -> None:
    """Once, by name, and not before the reversal."""
    async with opened(url) as ledger:
        await town(ledger)
        first = await ledgers.award(ledger, "east", "sub_1", "a", points=10)
        link = Link("replaces", "east", first.seq, first.leaf.hex())
        with pytest.raises(Refusal, match="duplicate_cause"):
            await ledgers.award(ledger, "east", "sub_1", "a", points=20, replaces=link)
        await ledgers.reverse(ledger, first)
        with pytest.raises(Refusal, match="duplicate_cause"):
            await ledgers.award(ledger, "east", "sub_1", "a", points=20)
        second = await ledgers.award(ledger, "east", "sub_1", "a", points=20, replaces=link)
        assert [("replaces", first.seq)] == [(x["rel"], x["seq"]) for x in (await fields(ledger, second))["links"]]
        await ledgers.reverse(ledger, second)
        for other in (link, Link("replaces", "east", second.seq, second.leaf.hex())):
            with pytest.raises(Refusal, match=r"already_replaced|duplicate_cause"):
                await ledgers.award(ledger, "east", "sub_1", "a", points=30, replaces=other)


# later days and other places -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lot", "later", "amount", "code"),
    [
        ("2022-03-10", "2022-03-10", 10, "facts_invalid"),
        ("2022-03-10", "2022-03-09", 10, "facts_invalid"),
        ("2022-03-10", "2022-04-10", 0, "facts_invalid"),
        ("2022-03-10", "2022-04-10", -10, "facts_invalid"),
        ("2022-03-10", "2022-04-10", 101, "insufficient_points"),
        ("2022-03-11", "2022-04-10", 1, "insufficient_points"),
        ("2022-02-10", "2022-04-10", 1, "insufficient_points"),
    ],
)
async def test_what_cannot_get_a_later_day(url: str, lot: str, later: str, amount: int, code: str) -> None:
    """Not an earlier day, not nothing, not more than there is, not what has lapsed though nobody swept it."""
    async with opened(url) as ledger:
        await town(ledger)
        await ledgers.award(ledger, "east", "sub_1", "a", points=100, points_lot="2022-03-10")
        await ledgers.award(ledger, "east", "sub_1", "b", points=100, points_lot="2022-02-10")
        with pytest.raises(Refusal, match=code):
            await ledgers.relot(ledger, "east", "sub_1", lot, later, amount)


async def test_a_later_day(url: str) -> None:
    """Part of a lot moves on; the rest keeps its day."""
    async with opened(url) as ledger:
        await town(ledger)
        await ledgers.award(ledger, "east", "sub_1", "a", points=100, points_lot="2022-03-10")
        await ledgers.relot(ledger, "east", "sub_1", "2022-03-10", "2022-04-10", 30)
        assert {"2022-03-10": 70, "2022-04-10": 30} == await ledgers.lots(ledger, "east", "subject:sub_1")


async def test_a_move_takes_everything_along(url: str) -> None:
    """Lots, deductions, debts and what caps have counted; two linked entries of one transaction; nothing stays."""
    async with opened(url) as ledger:
        await town(ledger)
        original = await ledgers.award(ledger, "east", "sub_shop", "a", points=40, points_lot=LOT)
        await ledgers.hold(ledger, "east", "sub_shop", "h", 40)
        await ledgers.reverse(ledger, original, "allow_debt")
        await ledgers.award(ledger, "east", "sub_shop", "b", standing=-70, standing_lot=LOT)
        left, came = await ledgers.move(ledger, "east", "west", "sub_shop")
        gone, there = await fields(ledger, left), await fields(ledger, came)
        assert gone["txn"] == there["txn"] and gone["data"]["tallies"] == there["data"]["tallies"]
        assert [{"rel": "moved_from", "journal": "east", "seq": left.seq, "leaf": left.leaf.hex()}] == there["links"]
        for role, unit, expected in (
            ("subject", "standing", {"9999-12-31": 100_000}), ("minus", "standing", {LOT: -70}),
            ("debt", "points", {"9999-12-31": -40}),
        ):  # fmt: skip
            assert {} == await ledgers.lots(ledger, "east", f"{role}:sub_shop", unit)
            assert expected == await ledgers.lots(ledger, "west", f"{role}:sub_shop", unit)
        assert "west" == await ledger.home("sub_shop")


async def test_a_move_to_where_one_is(url: str) -> None:
    """Refused, and so is a second move from the old home."""
    async with opened(url) as ledger:
        await town(ledger)
        with pytest.raises(Refusal, match="already_registered"):
            await ledgers.move(ledger, "east", "east", "sub_1")
        await ledgers.move(ledger, "east", "west", "sub_1")
        with pytest.raises(Refusal, match="subject_moved"):
            await ledgers.move(ledger, "east", "west", "sub_1")


async def test_a_journal_begins_with_its_own_opening(url: str) -> None:
    """Nothing else can be entry 0: no account is opened in, or moved to, a journal that is not there."""
    async with opened(url) as ledger:
        await town(ledger)
        with pytest.raises(Refusal, match="not_found"):
            await ledgers.move(ledger, "east", "nowhere", "sub_1")
        with pytest.raises(Refusal, match="not_found"):
            await ledgers.open_account(ledger, "nowhere", "sub_2")
        assert "east" == await ledger.home("sub_1")

# SPDX-License-Identifier: Apache-2.0
"""A counter for tests of the shop: two communities, residents with points, one shop; the keeper of identities is the
test's own, and "2468" is everybody's PIN."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import merchants
from ledger.book import accounts, awards
from ledger.engine import MIGRATIONS, Ledger
from ledger.errors import Refusal
from ledger.model import Act, Draft
from ledger.port import Answer, PutRows
from ledger.view import View, local_day
from merchants.catalogue import load_scenarios
from merchants.model import Agreement, Asker, Shown, Traits
from merchants.screens import Screens
from merchants.shop import Shop
from merchants.tables import AGREEMENT

HERE, THERE = "370321002003", "370321002002"
NOON = 1_637_553_600_000_000  # 2021-11-22 12:00 in Shanghai
HOUR = 3_600_000_000
ROOMS = {"ledger": MIGRATIONS, "merchants": Path(merchants.__file__).parent / "migrations"}
STAFF = Asker("stf_a", serves=lambda community: community == HERE)
OTHER = Asker("stf_b", serves=lambda community: community == HERE)


async def on_screen(
    shop: Shop, offer: str, *, minutes: int = 1_440, floor: int = 0, members: Sequence[str] = ()
) -> None:
    """Give the offer a calendar from today on, if it is for minutes of a screen."""
    found = await shop.offers.get(offer)
    if shop.scenarios[found.scenario].benefit == "display":
        today = local_day(shop.ledger.clock(), "Asia/Shanghai")
        staff = Asker("stf_a", serves=lambda community: True)
        await Screens(shop.ledger, shop.offers).set_plan(
            staff, offer, from_day=today, minutes=minutes, floor=floor, members=members
        )


class Do:
    """Any decision of the ledger's book as a command."""

    def __init__(self, decide, *journals: str) -> None:
        self.decide_, self.journals, self.retry, self.weight = decide, journals, None, 1

    def reads(self):
        return ()

    def decide(self, view: View) -> Answer:
        self.decide_(view)
        return Answer()


class Town:
    """A ledger with two communities, residents with points, and a shop."""

    def __init__(self, url: str) -> None:
        self.now = NOON
        self.ledger = Ledger(url, bytes(32), clock=lambda: self.now)
        self.asked = 0
        self.ages: dict[str, int] = {}
        self.groups: dict[str, tuple[str, ...]] = {}
        self.erased: set[str] = set()
        self.shop = Shop(self.ledger, load_scenarios(), self, {"AAA": 105_000, "AA": 103_000, "A": 96_000})

    async def open(self) -> None:
        await self.ledger.open()
        await self.ledger.store.migrate(ROOMS)
        for journal in (HERE, THERE):
            await self.do(
                lambda view, journal=journal: accounts.open_journal(
                    view,
                    journal,
                    self.act(None),
                    origin=f"test/{journal}",
                    vkey="k",
                    recovery="r",
                    zone="Asia/Shanghai",
                    policy={},
                ),
                journal,
            )
        self.merchant = await self.shop.offers.add_merchant(STAFF, name="便民超市", community=HERE)
        self.till = Asker("key_1", self.merchant.merchant)

    async def do(self, decide, *journals: str) -> None:
        await self.ledger.submit(Do(decide, *journals))

    def act(self, key: bytes | None = b"k" * 32) -> Act:
        self.asked += 1
        return Act("stf_a", "2021-11-22", b"{}", f"txn_{self.asked}", key)

    async def resident(
        self, subject: str, points: int = 0, *, lot: str = "2022-12-31", standing: int = 0, kind: str = "person"
    ) -> str:
        await self.do(
            lambda view: accounts.open_account(view, HERE, self.act(), subject=subject, kind=kind, base=100_000),
            HERE,
        )
        if points or standing:
            await self.award(subject, points, lot, standing)
        return subject

    async def award(self, subject: str, points: int, lot: str, standing: int = 0) -> None:
        cause = self.ledger.cause("T-01", f"{points}/{lot}/{self.asked}".encode(), subject)
        draft = Draft("award", HERE, self.act(), subject=subject, rule="T-01", cause=cause)
        await self.do(lambda view: awards.award(view, draft, standing=standing, points=points, points_lot=lot), HERE)

    async def signs(self, scenario: str, **changes) -> None:
        """The shop has an agreement for the scenario."""
        signed = Agreement(
            f"agr_{scenario}_{self.merchant.merchant}",
            self.merchant.merchant,
            scenario,
            "协2021-7",
            "2021-01-01",
            "",
            "",
            "signed",
            1,
            0,
        )
        await self.ledger.submit(PutRows(puts=((AGREEMENT, signed.but(**changes).row()),)))

    async def offer(self, price: int = 1_000, *, scenario: str = "S13", stock: int = 10, **more) -> str:
        if self.shop.scenarios[scenario].agreement == "required":
            await self.signs(scenario)
        made = await self.shop.offers.propose(
            self.till,
            merchant=self.merchant.merchant,
            scenario=scenario,
            title_zh="洗衣液",
            title_en="Washing liquid",
            price=price,
            stock=stock,
            **more,
        )
        await self.shop.offers.approve(STAFF, made.offer)
        await on_screen(self.shop, made.offer)
        return made.offer

    async def stock(self, offer: str) -> int:
        return (await self.shop.offers.get(offer)).stock

    async def lots(self, account: str, journal: str = HERE) -> dict[str, int]:
        return dict(
            await self.ledger.fetch(
                "SELECT lot, amount FROM balance WHERE journal = ? AND account = ? AND unit = 'points'",
                journal,
                account,
            )
        )

    async def points(self, subject: str) -> int:
        return sum((await self.lots(f"subject:{subject}")).values())

    async def used(self, offer: str) -> int:
        return sum(n for (n,) in await self.ledger.fetch('SELECT used FROM "usage" WHERE scope = ?', offer))

    # what the shop asks of the keeper of identities

    async def identify(self, by: Mapping[str, str], *, asker: Asker, offer: str) -> Shown:
        if by.get("pin") != "2468":
            raise Refusal("not_identified")
        return Shown(by.get("card") or f"sub_{by['surname']}", "card" if "card" in by else "phone", "pin")

    async def masked(self, subject: str) -> str:
        if subject in self.erased:
            raise Refusal("subject_erased", subject=subject)
        return "王**"

    async def data_key(self, subject: str) -> bytes:
        if subject in self.erased:
            raise Refusal("subject_erased", subject=subject)
        return b"k" * 32

    async def traits(self, subject: str) -> Traits:
        return Traits(self.groups.get(subject, ()), self.ages.get(subject))


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Town]:
    """The counter on this database; every journey ends with balanced books."""
    made = Town(url)
    await made.open()
    yield made
    sums = await made.ledger.fetch("SELECT unit, SUM(amount) FROM balance GROUP BY unit")
    assert all(total == 0 for _, total in sums)
    await made.ledger.close()


async def refused(awaitable) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await awaitable
    return caught.value

# SPDX-License-Identifier: Apache-2.0
"""Orders at the till in process: held and captured in one trip, with offer, stock, limits, budget and points decided in
one commit; against one transaction per request through the bare driver, and against single awards."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from benchmarks.engine import baseline
from benchmarks.figures import Figure, drive, header, median, table
from benchmarks.town import STAFF, Town, town
from ledger.book import awards
from ledger.model import Act, Draft
from ledger.port import Answer, PutRows
from ledger.tables import Key, Table
from ledger.view import View, local_day
from merchants.model import Asker, Budget, Shown
from merchants.passes import Pass, UsedUp
from merchants.tables import BUDGET, MERCHANT

CLIENTS = (1, 16, 256)
PRICE, POINTS = 50, 10_000  # two hundred orders a person: what the month's limit of the scenario lets through
COUNTER = Asker("stf_counter", serves=lambda where: True)
SECOND = Asker("stf_second", serves=lambda where: True)


@dataclass(frozen=True, slots=True)
class Give:
    """Points for one person, as an award of some deed."""

    journal: str
    subject: str
    draft: Draft
    retry: None = None
    weight: int = 1

    @property
    def journals(self) -> tuple[str, ...]:
        return (self.journal,)

    def reads(self) -> tuple[tuple[Table, Key], ...]:
        return ()

    def decide(self, view: View) -> Answer:
        return Answer(value=awards.award(view, self.draft, standing=0, points=POINTS, points_lot="2099-12-31"))


async def run(
    databases: dict[str, Callable[[], str]], *, seconds: float = 3, runs: int = 3, people: int = 2000
) -> None:
    """A table per database: orders/s and latencies by number of clients, and the ratios."""
    header("Orders at the till in process")
    for name, fresh in databases.items():
        print(f"### {name}\n")
        rows: list[tuple[str, ...]] = []
        for clients in CLIENTS:
            order = await _measure(fresh, clients, seconds, runs, people, _orders)
            bare = await _measure(fresh, clients, seconds, runs, people, _orders, "bare")
            award = await _measure(fresh, clients, seconds, runs, people, _awards)
            rows.append(
                (
                    str(clients), f"{order.per_second:,.0f}", f"{order.p50:.1f} / {order.p99:.1f}",
                    f"{order.per_second / bare.per_second:.2f}×", f"{order.per_second / award.per_second:.2f}×",
                )
            )  # fmt: skip
        table(("clients", "orders/s", "p50 / p99 ms", "of the bare driver", "of single awards"), rows)


async def _measure(
    fresh: Callable[[], str],
    clients: int,
    seconds: float,
    runs: int,
    people: int,
    kind: Callable[..., object],
    way: str | None = None,
) -> Figure:
    figures: list[Figure] = []
    for _ in range(runs):
        async with town(fresh(), people) as place:
            one = await kind(place)  # type: ignore[misc]
            other = baseline(place, way)
            try:
                await drive(clients, 0.5, one)
                figures.append(await drive(clients, seconds, one, start=10_000_000))
            finally:
                if other is not None:
                    await other.close()
    return median(figures)


async def _awards(place: Town) -> Callable[[int], object]:
    async def one(number: int) -> None:
        retry = place.world.ledger.retry("bench", f"key-{number}", b"request")
        await place.world.desk.award(STAFF, place.report(number), retry)

    return one


class Shelf(NamedTuple):
    """A shop, and the thing of 0.50 分 that it sells without end."""

    merchant: str
    offer: str


async def shelf(place: Town) -> Shelf:
    """Opens the shop, and gives everybody a hundred 分 to spend there."""
    world, ledger = place.world, place.world.ledger
    today = local_day(ledger.clock(), world.settings.timezone)
    for start in range(0, len(place.subjects), 500):
        given = [await _given(place, subject, today) for subject in place.subjects[start : start + 500]]
        await asyncio.gather(*(ledger.submit(one) for one in given))
    merchant = await world.shop.offers.add_merchant(COUNTER, name="便民超市", community=place.journals[0])
    quick = merchant.but(per_minute=10**6, per_day=10**8)  # one till does the work of a county's
    await ledger.submit(PutRows(puts=((MERCHANT, quick.row()),)))
    words: dict[str, Any] = {"title_zh": "抽纸", "title_en": "Tissues"}
    made = await world.shop.offers.propose(
        COUNTER, merchant=merchant.merchant, scenario="S13", price=PRICE, stock=10**6, **words
    )
    await world.shop.offers.approve(SECOND, made.offer)
    line = Budget("bud_bench", "S13", place.journals[0], today[:4], "bench", 10**9, 0, "open", 1, ledger.clock())
    await ledger.submit(PutRows(puts=((BUDGET, line.row()),)))
    return Shelf(merchant.merchant, made.offer)


async def _orders(place: Town) -> Callable[[int], object]:
    """Everybody in turn shows a fresh code."""
    world, ledger = place.world, place.world.ledger
    stands = await shelf(place)
    till = Asker("key_bench", stands.merchant)
    codes = itertools.count()

    async def one(number: int) -> None:
        subject = place.subjects[number % len(place.subjects)]
        code = Pass(subject, int(time.time() + 60) * 1_000_000, digest=b"%032d" % next(codes))
        shown = Shown(subject, "token", conditions=(UsedUp(code),))
        retry = ledger.retry("bench", f"key-{number}", b"request")
        await world.shop.redeem(till, offer=stands.offer, by=shown, retry=retry, capture=True)

    return one


async def _given(place: Town, subject: str, today: str) -> Give:
    ledger = place.world.ledger
    journal = await ledger.home(subject)
    act = Act("stf_bench", today, b"{}", ledger.new_id("txn"), await place.world.people.data_key(subject))
    cause = ledger.cause("bench", b"points", subject)
    draft = Draft("award", journal, act, subject=subject, group="G3", place=journal, rule="RE-01", cause=cause)
    draft.pack, draft.trace = place.world.pack.hash, b"{}"
    return Give(journal, subject, draft)

# SPDX-License-Identifier: Apache-2.0
"""Twenty reference tills on a bad network: whatever is dropped, doubled, reordered, replayed, cut or dated wrong, every
voucher is captured once at the most, nobody is overdrawn, and each till has an answer for all that it took."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ledger.engine import Ledger
from merchants.jobs import expire_holds
from merchants.model import Asker
from merchants.vouchers.issue import Paper
from merchants.vouchers.upload import Line, Told, Uploads
from tests.reference_till import till as reference
from tests.vouchers import DAY_S, NOON_S, ORIGIN, VoucherTown, seconds

pytestmark = pytest.mark.schema("ledger", "merchants")

TILLS, PEOPLE, VOUCHERS = 20, 20, 60
HOUR_S = 3_600
PRICE = 500


class Shop:
    """One till: the reference till's folder, the key it uploads with, and a clock that is up to a day off."""

    def __init__(self, folder: Path, town: VoucherTown, number: int, skew: int) -> None:
        self.merchant = (town.merchant, town.near, town.far)[(number > 7) + (number > 16)]
        self.asker = town.till_of(self.merchant, f"ter_{number:02d}")
        self.skew = skew
        self.folder = folder
        folder.mkdir()
        shop = {
            "merchant": self.merchant.merchant,
            "community": self.merchant.community,
            "circle": self.merchant.circle,
        }
        known = {"url": "", "origin": ORIGIN, "keys": [town.key.verifier.public.hex()], **shop}
        (folder / "till.json").write_text(json.dumps(known))
        self.start()

    def start(self) -> None:
        """Switched on: all it knows is what is on the disk."""
        self.till: Any = reference.Till(self.folder)
        self.till.load()


class Network:
    """What lies between the tills and the servers. Nothing that was ever sent is lost to it: it may come again."""

    def __init__(self, town: VoucherTown, servers: list[Uploads], chance: random.Random) -> None:
        self.town, self.servers, self.chance = town, servers, chance
        self.sent: list[tuple[Asker, dict[str, Any]]] = []

    async def deliver(self, asker: Asker, batch: dict[str, Any], cut: int | None = None) -> list[Told]:
        lines = [Line(one["counter"], one["voucher"], seconds(one["at"])) for one in batch["lines"][:cut]]
        retry = self.town.ledger.retry(asker.id, f"{asker.terminal}/{batch['batch']}", json.dumps(batch).encode())
        server = self.chance.choice(self.servers)
        # A cut one is a server that died half way: what it had committed stays, and nobody was answered.
        told, _ = await server.upload(asker, batch["batch"], lines, retry=None if cut else retry)
        return told

    async def upload(self, shop: Shop) -> None:
        """One try of a till, with what may become of it."""
        batch = shop.till.outbox()
        if batch is None:
            return
        self.sent.append((shop.asker, batch))
        fate = self.chance.random()
        if fate < 0.2:
            return  # the request is lost
        if fate < 0.3:
            await self.deliver(shop.asker, batch, cut=self.chance.randint(1, len(batch["lines"])))
            return
        copies = 1 if fate < 0.7 else 3
        answers = await asyncio.gather(*(self.deliver(shop.asker, batch) for _ in range(copies)))
        assert all(answer == answers[0] for answer in answers)
        if fate < 0.45:
            return  # the answer is lost
        said = [{"counter": t.counter, "result": t.result, "reason": t.reason or None} for t in answers[0]]
        if fate > 0.9:
            said = said[: len(said) // 2]  # the till dies while it writes the answers down
        shop.till.answered(batch["batch"], said)

    async def replay(self) -> None:
        """Something old comes again, as it was, in another order, or changed on the way."""
        if not self.sent:
            return
        asker, batch = self.chance.choice(self.sent)
        lines = list(batch["lines"])
        how = self.chance.random()
        if how < 0.3:
            await self.deliver(asker, batch)
            return
        self.chance.shuffle(lines)
        if how > 0.6:
            lines = [{**one, "counter": 1 + (one["counter"] + 1) % 5} for one in lines]
        made = [Line(one["counter"], one["voucher"], seconds(one["at"])) for one in lines]
        await self.chance.choice(self.servers).upload(asker, f"old{self.chance.random()}", made)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long), pytest.param(3, marks=pytest.mark.long)])
async def test_twenty_tills(database_url: str, tmp_path: Path, seed: int) -> None:
    """A week of it: two servers where the database allows."""
    chance = random.Random(seed)
    town = VoucherTown(database_url)
    await town.open()
    second = Ledger(database_url, bytes(32), clock=lambda: town.now)
    servers = [town.uploads]
    if database_url.startswith("postgresql"):
        await second.open()
        servers.append(Uploads(second, town.key.verifier, "Asia/Shanghai"))
    network = Network(town, servers, chance)
    people = await asyncio.gather(*(town.resident(f"sub_{n:02d}", 10_000) for n in range(PEOPLE)))
    offer = await town.offer(PRICE, stock=10 * VOUCHERS)
    lives = [chance.choice([1, 2, 30]) for _ in range(VOUCHERS)]
    papers = await asyncio.gather(*(town.voucher(people[n % PEOPLE], offer, days=days) for n, days in enumerate(lives)))
    skews = [chance.randint(-DAY_S, DAY_S) for _ in range(TILLS)]
    shops = [Shop(tmp_path / f"till{n}", town, n, skew) for n, skew in enumerate(skews)]
    start = town.now
    awake = shops[5:]  # the first five find no network all week
    for hour in range(0, 7 * 24, 12):
        town.now = start + hour * HOUR_S * 1_000_000
        for paper in chance.sample(papers, 16):
            for shop in chance.sample(shops, chance.choice([1, 1, 2, 3])):
                shop.till.take(paper.text, town.now / 1e6 + shop.skew)
        for shop in chance.sample(shops, 3):
            shop.start()
        await asyncio.gather(*(network.upload(shop) for shop in chance.sample(awake, 9)), network.replay())
        await expire_holds(town.shop, town.now)
    while waiting := [shop for shop in shops if shop.till.outbox() is not None]:
        await asyncio.gather(*(network.upload(shop) for shop in waiting))
    for _ in range(20):
        await network.replay()
    town.now = start + 40 * DAY_S * 1_000_000
    await expire_holds(town.shop, town.now)
    await _judge(town, shops, papers, people)
    await town.check()
    await second.close()
    await town.ledger.close()


async def _judge(town: VoucherTown, shops: list[Shop], papers: list[Paper], people: list[str]) -> None:
    rows = await town.ledger.fetch("SELECT terminal, counter, redemption, merchant, result, reason FROM voucher_line")
    outcomes: dict[str, list[str]] = {}
    captured: dict[str, str] = {}
    for _, _, redemption, merchant, result, reason in rows:
        outcomes.setdefault(redemption, []).append(reason or result)
        if result == "captured":
            captured[redemption] = merchant
    taken = [(shop, one) for shop in shops for one in shop.till.taken]
    assert len(taken) > VOUCHERS
    assert len(captured) > VOUCHERS // 4  # the network is bad, not hopeless
    assert {"used", "expired", "counter_reused"} <= {said for found in outcomes.values() for said in found}
    # Every till has an answer for all it took, and the same that the books have.
    stored = {(till, counter, redemption): reason or result for till, counter, redemption, _, result, reason in rows}
    for shop, line in taken:
        answer = shop.till.answers[line["counter"]]
        assert (answer["reason"] or answer["result"]) == stored[shop.asker.terminal, line["counter"], line["id"]]
    # Somebody was paid for every voucher that was anywhere uploaded in time; `used` only where somebody was.
    for redemption, found in outcomes.items():
        said = Counter(found)
        assert said["captured"] == (1 if redemption in captured else 0)
        assert not said["used"] or said["captured"], redemption
        if redemption not in captured:
            assert not {*said} - {"expired", "counter_reused", "other_shop"}, redemption
    assert not {shop.merchant.merchant for shop in shops if shop.merchant == town.far} & set(captured.values())
    # No point is lost or made: what was not captured is back.
    spent = Counter(paper.details.order.subject for paper in papers if paper.voucher.id in captured)
    for person in people:
        assert 10_000 - spent[person] * PRICE == await town.points(person)
    paid = Counter(captured.values())
    for shop in (town.merchant, town.near, town.far):
        assert paid[shop.merchant] * PRICE == sum((await town.lots(f"merchant:{shop.merchant}")).values())
    assert NOON_S < town.now

# SPDX-License-Identifier: Apache-2.0
"""Two communities with two shops whose tills are busy for months, and their statements worked out by other code: from
the lines of the audit export, with nothing of the product's."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from api import imports
from api.settings import Settings
from api.world import World
from ledger.book import accounts, awards, benefits, holds
from ledger.model import Act, Draft, Link
from ledger.port import Answer, PutRows
from ledger.view import View
from merchants.booking import turned_over
from merchants.tables import MERCHANT, TURNOVER
from rules.register import PLACE, Place
from tests.application import application

COUNTY, STREET = "370321", "370321002"
HERE, THERE = "370321002003", "370321002005"
SHOP, OTHER = "mer_shop000000000001", "mer_other00000000001"
BODY = "sub_body000000000001"
START = int(datetime(2026, 7, 31, 16, 0, 1, tzinfo=UTC).timestamp()) * 1_000_000  # the first second of August here
DAY = 86_400_000_000
PASSWORD = "a long enough password 1"
ROLES = {
    "clerk": ("community_staff", HERE),
    "street": ("street_staff", STREET),
    "approver": ("approver", STREET),
    "auditor": ("auditor", COUNTY),
    "far": ("community_staff", THERE),
    "gridder": ("grid_worker", HERE),
}


class Do:
    """Any decision as a command."""

    def __init__(self, decide: Any, *journals: str) -> None:
        self.decide_, self.journals, self.retry, self.weight = decide, journals or (HERE, THERE), None, 1

    def reads(self) -> tuple[()]:
        return ()

    def decide(self, view: View) -> Answer:
        return Answer(value=self.decide_(view))


class Town:
    """The deployment, a clock that tests move, and a till without a door."""

    def __init__(self, url: str, home: Path) -> None:
        self.now = START
        self.asked = 0
        self.world = World(Settings(url, home), clock=lambda: self.now)
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=application(self.world)), base_url="http://test/v1"
        )
        self.tokens: dict[str, str] = {}

    async def open(self) -> Town:
        await self.world.open()
        return self

    async def build(self) -> Town:
        world = self.world
        await world.init()
        await world.open()
        places = [Place(COUNTY, "桓台县", "county"), Place(STREET, "少海街道", "street", COUNTY)]
        places += [Place(HERE, "中心社区", "community", STREET), Place(THERE, "西苑社区", "community", STREET)]
        await world.ledger.submit(PutRows(puts=tuple((PLACE, place.row(self.now)) for place in places)))
        await world.register.reload()
        await imports.open_journals(world, [HERE, THERE], "system")
        shops = [(SHOP, "便民超市", HERE, "open", 1, self.now, "", "", BODY, 0, 0)]
        shops += [(OTHER, "老街饭店", THERE, "open", 1, self.now, "", "", "", 0, 0)]
        await world.ledger.submit(PutRows(puts=tuple((MERCHANT, row) for row in shops)))
        for journal in (HERE, THERE):
            await self.do(self._resident, f"sub_{journal}", journal)
        return self

    async def sign_in(self) -> None:
        """Staff at their places, the shops' offices, a till; staff once more where the clock has gone on since."""
        world = self.world
        if self.tokens:
            for name in ROLES:
                self.tokens[name] = (await world.staff.sign_in(f"try.{name}", PASSWORD)).token
            return
        for name, (role, place) in ROLES.items():
            await self.hire(name, role, place)
        for name, shop, scopes in (
            ("shop", SHOP, ["redemptions:write", "settlements:write"]),
            ("till", SHOP, ["redemptions:write"]),
            ("other", OTHER, ["redemptions:write", "settlements:write"]),
        ):
            issued = await world.staff.issue_key(None, "merchant", name, merchant=shop, scopes=scopes)
            self.tokens[name] = issued.key

    async def hire(self, name: str, role: str, place: str, subject: str | None = None) -> None:
        """Somebody with a role, signed in; `subject` is the person that they are."""
        staff = self.world.staff
        await staff.create(None, f"try.{name}", PASSWORD, [{"role": role, "place": place}], subject=subject)
        self.tokens[name] = (await staff.sign_in(f"try.{name}", PASSWORD)).token

    async def close(self) -> None:
        await self.http.aclose()
        await self.world.close()

    async def do(self, decide: Any, *given: Any) -> Any:
        return (await self.world.ledger.submit(Do(lambda view: decide(view, *given)))).value

    def act(self, view: View, journal: str, key: bytes | None = None) -> Act:
        self.asked += 1
        return Act("stf_a", view.today(journal), b"{}", f"txn_{self.asked}", key)

    def _resident(self, view: View, subject: str, journal: str) -> None:
        act = self.act(view, journal, b"k" * 32)
        accounts.open_account(view, journal, act, subject=subject, kind="person", base=100_000)
        cause = self.world.ledger.cause("T-01", b"1", subject)
        terms: Any = {"group": "G1", "place": journal, "rule": "T-01", "pack": self.world.packs.first.hash}
        draft = Draft("award", journal, act, subject=subject, cause=cause, trace=b"{}", **terms)
        awards.award(view, draft, standing=0, points=100_000_000, points_lot="2030-12-31")

    def to(self, day: str, hour: int = 12) -> None:
        """Move the clock to an hour of a day here."""
        self.now = int(datetime.fromisoformat(f"{day}T{hour:02d}:00:00+08:00").timestamp()) * 1_000_000

    # the till --------------------------------------------------------------------------------------------------------

    async def sell(
        self, points: int, *, shop: str = SHOP, journal: str = HERE, rate: int = 100, budget: str = ""
    ) -> str:
        """A hold and its capture; the redemption."""
        redemption = self.world.ledger.secret_id("red")
        terms = {**({"budget": budget} if budget else {}), "fen_per_point": rate, "scenario": f"S{1 + rate % 36:02d}"}

        def decide(view: View) -> None:
            act = self.act(view, journal, b"k" * 32)
            holds.hold(
                view, journal, act, subject=f"sub_{journal}", hold=redemption, amount=points, expires_at=self.now + DAY
            )
            sealed = holds.capture(view, journal, act, hold=redemption, merchant=shop, amount=points, terms=terms)
            turned_over(view, shop, act, sealed)

        await self.do(decide)
        return redemption

    async def give_back(
        self,
        redemption: str,
        points: int,
        *,
        shop: str = SHOP,
        journal: str = HERE,
        rate: int = 100,
        kind: str = "refund",
    ) -> None:
        terms = {"fen_per_point": rate, "scenario": f"S{1 + rate % 36:02d}"}

        def decide(view: View) -> None:
            act = self.act(view, journal, b"k" * 32)
            sealed = holds.refund(
                view, journal, act, hold=redemption, merchant=shop, amount=points, kind=kind, terms=terms
            )
            turned_over(view, shop, act, sealed[0])

        await self.do(decide)

    async def benefit(self, fen: int, *, shop: str = SHOP, journal: str = HERE, undone: bool = False) -> None:
        terms: Any = {"merchant": shop, "redemption": self.world.ledger.secret_id("red"), "scenario": "S09"}
        terms |= {"quantity": 1, "fen": fen, "budget": ""}

        def decide(view: View) -> None:
            act = self.act(view, journal)
            sealed = benefits.benefit(view, journal, act, **terms)
            turned_over(view, shop, act, sealed)
            if undone:
                link = Link("benefit", journal, sealed.seq, sealed.leaf.hex())
                turned_over(view, shop, act, benefits.undo(view, journal, act, of=link, **terms))

        await self.do(decide)

    async def month(self, period: str, seed: int, orders: int = 25) -> None:
        """A busy month: odd rates, budgets, both journals, refunds of this month's and earlier sales."""
        chance = random.Random(seed)
        sold: list[tuple[str, str, str, int, int]] = []
        for number in range(orders):
            day, hour = divmod(number * 27 * 24 // orders, 24)
            self.to(f"{period}-{1 + day:02d}", hour)
            shop, journal = chance.choice((SHOP, OTHER)), chance.choice((HERE, THERE))
            rate, points = chance.choice((100, 33, 50, 0, 7)), chance.randint(1, 999)
            if chance.random() < 0.2:
                await self.benefit(chance.randint(0, 3_000), shop=shop, journal=journal, undone=chance.random() < 0.3)
            else:
                done = await self.sell(points, shop=shop, journal=journal, rate=rate)
                sold.append((done, shop, journal, rate, points))
            if sold and chance.random() < 0.25:
                done, shop, journal, rate, points = sold.pop(chance.randrange(len(sold)))
                back = chance.randint(1, points)
                kind = chance.choice(("refund", "void"))
                await self.give_back(done, back, shop=shop, journal=journal, rate=rate, kind=kind)

    async def forget_pointers(self) -> None:
        """As if all entries were older than the table of pointers."""
        rows = await self.world.ledger.fetch("SELECT merchant, month, journal, seq FROM turnover")
        await self.world.ledger.submit(PutRows(removes=tuple((TURNOVER, row) for row in rows)))

    # the door --------------------------------------------------------------------------------------------------------

    async def call(self, who: str, method: str, path: str, body: Any = None, key: str = "") -> httpx.Response:
        self.asked += 1
        headers = {"Idempotency-Key": key or f"k{self.asked}", "Accept-Language": "en"}
        if who:
            headers["Authorization"] = f"Bearer {self.tokens[who]}"
        return await self.http.request(method, f"/merchants/{path}", json=body, headers=headers)


async def built(url: str, home: Path) -> int:
    """For the mark `schema(town=...)`: what `open` finds, and how many deeds there were."""
    town = await Town(url, home).build()
    await town.close()
    return town.asked


def worked_out(folder: Path) -> dict[tuple[str, str], dict[str, int]]:
    """(shop, month) → what its statement must say, from the entries of an export by plain addition.

    Fen are cut from what a shop was owed since its first entry under one budget, scenario and rate in one journal.
    """
    found: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    exact: dict[tuple[str, ...], int] = defaultdict(int)
    held: dict[str, int] = defaultdict(int)
    paid: dict[str, int] = defaultdict(int)
    entries = [json.loads(line) for file in folder.glob("37*/entries.jsonl") for line in file.open(encoding="utf-8")]
    ours = [one for one in entries if one["kind"] in ("capture", "refund", "void", "benefit", "settle")]
    whole: dict[str, int] = defaultdict(int)
    for one in sorted(ours, key=lambda one: one["recorded_at"]):
        data, moved, shop = one.get("data", {}), 0, one.get("data", {}).get("merchant", "")
        for posting in one["postings"]:
            if posting["account"].startswith("merchant:"):
                shop, moved = posting["account"][9:], posting["amount"]
        row = found[shop, one["occurred_on"][:7]]
        row["lines"] += 1
        held[shop] += moved
        if one["kind"] == "settle":
            row["settled"] -= moved
            row["paid_fen"] += data["fen"]
            paid[shop] += data["fen"]
        else:
            row["received" if moved > 0 else "returned"] += abs(moved)
            rate = data.get("fen_per_point", 0)
            key = (shop, one["journal"], data.get("budget", ""), data["scenario"], str(rate))
            before = exact[key] // 100
            exact[key] += moved * rate + (100 * data["fen"] if one["kind"] == "benefit" else 0)
            row["owed_fen"] += exact[key] // 100 - before
            whole[shop] += exact[key] // 100 - before
        row["points"], row["fen"] = held[shop], whole[shop] - paid[shop]
    return {key: dict(row) for key, row in found.items()}

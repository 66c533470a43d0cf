# SPDX-License-Identifier: Apache-2.0
"""One town at the counter twice: in the shop, and in the reference model. What is done to both must come out the same,
and what happens at one instant as if it had been done in some order."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import orjson

from ledger import codec
from ledger.book import accounts, awards, holds
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.model import Sealed
from ledger.view import View
from merchants import model
from merchants.agreements import Agreements
from merchants.budgets import Budgets
from merchants.catalogue import load_scenarios
from merchants.model import Shown, Traits
from merchants.shop import Shop
from merchants.shops import Shops
from tests import ledgers, reference_shop
from tests.ledgers import FixedClock, Step
from tests.reference_ledger import NEVER, No
from tests.reference_shop import Asker, Budget, Limit, Offer, Scenario
from tests.shops import on_screen

PIN = "2468"
GRADES = {"AAA": 105_000, "AA": 103_000, "A": 96_000}
AA = GRADES["AA"]
RATE = 33  # fen a point for goods, where the catalogue has a hundred: it must not matter that it does not come out even
GOODS = Scenario("S13", fen=RATE, limits=(Limit(10_000, "month", points=True),))
BUS = Scenario("S01", grade=AA, signed=True, limits=(Limit(60, "month"),))
TICKET = Scenario("S11", grade=AA, signed=True, limits=(Limit(4, "year", by="site"),))
WATER = Scenario("S21", grade=AA, signed=True, limits=(Limit(1, "quarter", by="reference"),))
MEAL = Scenario("S31", age=60, limits=(Limit(20, "month"),), gift=True)
HELP = Scenario("S33", attested=True)
SCREEN = Scenario("S36", kind="body", group="G5", fen=0)
OFFERS = {
    "rice": Offer(GOODS, "market", 1_000, stock=6, per_person=3),
    "soap": Offer(GOODS, "market", 300, cash=50),
    "oil": Offer(GOODS, "corner", 4_500, stock=3, last_day="2022-04-05"),
    "ride": Offer(BUS, "market", 0, cash=150, stock=3, per_person=2, value=200),
    "entry": Offer(TICKET, "corner", 0, value=5_000),
    "other entry": Offer(TICKET, "market", 0, value=4_000),
    "water": Offer(WATER, "corner", 3_000),
    "water by grade": Offer(WATER, "corner", 0, value=3_000),
    "meal": Offer(MEAL, "corner", 500, per_person=4),
    "help": Offer(HELP, "corner", 0),
    "screen": Offer(SCREEN, "market", 100, per_person=60),
}
BUDGETS = (
    ("S13", "", 1_500),
    ("S13", "east", 3_000),
    ("S01", "east", 500),
    ("S11", "", 14_000),
    ("S31", "east", 2_000),
)
MERCHANTS = ("market", "corner")
PEOPLE = {"old": 71, "young": 34, "new": None, "shop": None}  # ages; the last is a body
STAFF, ELSEWHERE = Asker(), Asker(serves=False)
_run_number = itertools.count()


@dataclass
class Deed:
    """One thing done, to the shop and to the model; each gives an answer or refuses."""

    real: Callable[[], Awaitable[Any]]
    model: Callable[[reference_shop.Shop], Any]


class Town:
    """`servers` share one database and take turns. Names carry a number, so that towns can share a database too."""

    def __init__(self, servers: list[Ledger], clock: FixedClock) -> None:
        number = next(_run_number)
        self.clock = clock
        self.scenarios = dict(load_scenarios())
        self.scenarios["S13"] = self.scenarios["S13"].model_copy(update={"fen_per_point": RATE})
        self.ledger = servers[0]
        self._shops = itertools.cycle([Shop(server, self.scenarios, self, GRADES) for server in servers])
        self.shop = next(self._shops)
        self._papers = itertools.count()
        self.shops, self.budgets = Shops(self.ledger), Budgets(self.ledger)
        self.agreements = Agreements(self.ledger, self.shops)
        self.county = f"c{number}x"
        self.journals = [f"{self.county}east", f"{self.county}west"]
        self.subjects = {name: f"sub_{name}{number}" for name in PEOPLE}
        self.meters = [f"meter {number} {n}" for n in range(3)]
        self.model = reference_shop.Shop(
            deepcopy(OFFERS),
            budgets=[Budget(code, "2022", self.county + at, fen * 100) for code, at, fen in BUDGETS],
            ages={self.subjects[name]: age for name, age in PEOPLE.items() if age},
            groups={self.subjects["shop"]: "G5"},
        )
        self.staff = model.Asker("stf_a", serves=lambda place: place in (self.county, self.journals[0]))
        self.ids: dict[str, str] = {}  # what the model calls it → what the shop does
        self.orders: dict[str, str] = {}  # the same of orders
        self.awarded: dict[str, Sealed] = {}  # by deed
        self.redeemed: list[tuple[dict[str, Any], str]] = []  # calls that went through, and the orders they made

    async def open(self) -> None:
        self.set_time()
        for journal in self.journals:
            await ledgers.open_journal(self.ledger, journal)
        for name, subject in self.subjects.items():
            kind = "body" if name == "shop" else "person"
            await ledgers.open_account(self.ledger, self.journals[0], subject, kind)
            self.model.book.open(self.journals[0], subject, kind, 100_000)
        for meter in self.meters:  # counted under a digest
            plain = meter.replace(" ", "").upper().encode()
            self.ids[meter] = self.ledger.cause("reference", plain, "S21").hex()
        for name in MERCHANTS:
            made = await self.shops.add_merchant(self.staff, name=name, community=self.journals[0])
            self.ids[name] = made.merchant
        for budget in self.model.budgets:
            line = await self.budgets.add(
                self.staff, scenario=self.scenarios[budget.scenario], place=budget.place, year=budget.year, name="x",
                limit_fen=budget.limit // 100,
            )  # fmt: skip
            self.ids[f"{budget.scenario} {budget.place}"] = line.budget
        for name, offer in OFFERS.items():
            pair = (offer.merchant, offer.scenario.code)
            if offer.scenario.signed and pair not in self.model.agreed.values():
                signed = self.agree(*pair)
                await signed.real()
                signed.model(self.model)
            await self._open_offer(name, offer)

    async def _open_offer(self, name: str, offer: Offer) -> None:
        made = await self.shop.offers.propose(
            self.staff, merchant=self.ids[offer.merchant], scenario=offer.scenario.code, title_zh=name, title_en=name,
            price=offer.price, cash_fen=offer.cash, stock=offer.stock, per_person=offer.per_person,
            to_day=offer.last_day, value_fen=offer.value,
        )  # fmt: skip
        await self.shop.offers.approve(model.Asker("stf_b", serves=lambda place: True), made.offer)
        self.ids[name] = made.offer
        await on_screen(self.shop, made.offer)

    def set_time(self) -> None:
        self.model.book.now, self.model.book.today = self.clock.us, self.clock.today

    def advance(self, **time: int) -> None:
        self.clock.advance(**time)
        self.set_time()

    # what the shop asks of the keeper of identities

    async def identify(self, by: Mapping[str, str], *, asker: model.Asker, offer: str) -> Shown:
        if by.get("pin") != PIN:
            raise Refusal("not_identified")
        return Shown(by["card"], "card", consent="pin", beneficiary=by.get("to_card", ""))

    async def masked(self, subject: str) -> str:
        return "王**"

    async def data_key(self, subject: str) -> bytes:
        return ledgers.KEY

    async def traits(self, subject: str) -> Traits:
        group = self.model.groups.get(subject)
        kind = "body" if subject == self.subjects["shop"] else "person"
        return Traits((group,) if group else (), self.model.ages.get(subject), kind)

    # doing it twice --------------------------------------------------------------------------------------------

    async def do(self, *deeds: Deed) -> list[str]:
        """All at once. Answers, refusals and everything that is stored must be those of the model, for some order.
        Returns `ok` or the refusal of each."""
        outcomes = await asyncio.gather(*(_real(deed) for deed in deeds))
        for order in itertools.permutations(range(len(deeds))):
            model = deepcopy(self.model)
            said = {number: _expected(deeds[number], model) for number in order}
            if len(deeds) < 2:
                assert list(said.values()) == outcomes
            if all(said[number] == outcome for number, outcome in enumerate(outcomes)) and (
                await self.agrees(model, tell=len(deeds) < 2)
            ):
                self.model = model
                return [said if how == "no" else how for how, said in outcomes]
        raise AssertionError(f"in no order of {len(deeds)} would this have come out: {outcomes}")

    async def agrees(self, model: reference_shop.Shop, *, tell: bool) -> bool:
        expected, stored = self.seen(model), await self.stored()
        if tell:
            for name in expected:
                assert expected[name] == stored[name], name
        return expected == stored

    def seen(self, model: reference_shop.Shop) -> dict[str, Any]:
        """The model's account of everything, in the shop's names."""
        book, ids, orders = model.book, self.ids, self.orders

        def account(name: str) -> str:
            role, colon, rest = name.partition(":")
            return f"{role}{colon}{(orders if role == 'held' else ids).get(rest, rest)}"

        def order(name: str) -> tuple[Any, ...]:
            one, hold = model.orders[name], book.holds.get(name)
            moved = (hold.captured, hold.released, hold.refunded) if hold else (0, 0, 0)
            return model.state(name), one.counted, one.points, one.cash, one.expires_at, *moved

        return {
            "balances": {(j, account(a), u, lot): n for (j, a, u, lot), n in book.balances.items()},
            "homes": {(j, s): one.state for (j, s), one in book.accounts.items()},
            "stock": {ids[name]: offer.stock for name, offer in model.offers.items()},
            "used": {
                (ids.get(scope, scope) + (f"/{ids[site]}" if site else ""), ids.get(who, who), start): n
                for (scope, site, who, start), n in model.used.items()
            },
            "budgets": {(one.scenario, one.place): one.spent for one in model.budgets},
            "orders": {orders[name]: order(name) for name in model.orders},
            "holds": {
                orders[name]: (hold.grace, {lot: [hold.held[lot], hold.spent.get(lot, 0)] for lot in hold.lots})
                for name, hold in book.holds.items()
            },
            "known": {
                (ids[shop], *whom): (known.in_vain, {orders[name]: list(held) for name, held in known.held.items()})
                for (shop, *whom), known in model.known.items()
                if known.totals
            },
            "due": {orders[name] for name in model.due()},
        }

    async def stored(self) -> dict[str, Any]:
        """The same from the shop, the ledger and their tables."""
        fetch, east = self.ledger.fetch, self.journals[0]
        here, users = f"journal IN {tuple(self.journals)}", {*self.subjects.values(), *map(self.ids.get, self.meters)}
        orders = [await self.shop.details(self.staff, red) for red in self.orders.values()]
        offers = await fetch("SELECT offer, stock FROM offer WHERE community = ?", east)
        used = await fetch('SELECT scope, subject, start, used FROM "usage"')
        budgets = await fetch("SELECT scenario, place, spent FROM budget")
        held = await fetch(f"SELECT hold, grace, lots FROM hold WHERE {here}")
        asked = await fetch("SELECT merchant, subject, day, asked FROM probe")
        known = {row[:3]: orjson.loads(row[3]) for row in asked if row[1] in users}
        due = await self.shop.due(self.clock.us)
        return {
            "balances": {
                row[:4]: row[4]
                for row in await fetch(f"SELECT journal, account, unit, lot, amount FROM balance WHERE {here}")
            },
            "homes": {
                row[:2]: row[2]
                for row in await fetch(f"SELECT journal, subject, state FROM member WHERE {here}")
            },
            "stock": dict(offers),
            "used": {row[:3]: row[3] for row in used if row[1] in users},
            "budgets": {row[:2]: row[2] for row in budgets if row[1].startswith(self.county)},
            "orders": {
                one.order.redemption: (
                    one.state, one.order.counted, one.order.points, one.order.cash_fen, one.expires_at, one.captured,
                    one.released, one.refunded,
                )
                for one in orders
            },
            "holds": {row[0]: (row[1], orjson.loads(row[2])) for row in held},
            "known": {key: (set(one["tried"]), one["held"]) for key, one in known.items() if any(one.values())},
            "due": {one.redemption for one in due if one.community == east},
        }  # fmt: skip

    async def close(self) -> None:
        """The books hold, every entry of a shop is in its turnover, and benefits were entered as they were used."""
        await ledgers.assert_whole(self.ledger)
        rows = await self.ledger.fetch("SELECT journal, seq, kind, body FROM entry")
        noted = await self.ledger.fetch("SELECT journal, seq, merchant FROM turnover")
        shops: set[tuple[str, int, str]] = set()
        used: dict[str, int] = {}
        for journal, seq, kind, body in rows:
            if journal not in self.journals or kind not in ("capture", "refund", "void", "benefit"):
                continue
            entry = codec.decode(bytes(body))
            named = [line["account"].removeprefix("merchant:") for line in entry["postings"]]
            shops |= {
                (journal, seq, one) for one in [entry["data"].get("merchant"), *named] if one in self.ids.values()
            }
            if kind == "benefit":
                order = entry["data"]["redemption"]
                used[order] = used.get(order, 0) + entry["data"]["quantity"]
        assert shops == {row for row in noted if row[0] in self.journals}
        free = {self.orders[name]: one for name, one in self.model.orders.items() if not one.points}
        assert {red: one.quantity for red, one in free.items() if one.mark == "captured"} == {
            red: units for red, units in used.items() if units
        }

    # at the counter --------------------------------------------------------------------------------------------

    def asker(self, asker: Asker) -> model.Asker:
        if asker.merchant:
            return model.Asker(f"key_{asker.merchant}", self.ids[asker.merchant])
        return self.staff if asker.serves else model.Asker("stf_x", serves=lambda place: False)

    def redeem(
        self, order: str, asker: Asker, offer: str, who: str, quantity: int = 1, *, pin: str = PIN, gift_to: str = "",
        **options: Any,
    ) -> Deed:  # fmt: skip
        """`options`: capture, then_cash, reference."""
        subject, user = self.subjects[who], self.subjects.get(gift_to, "")
        by: dict[str, str] | Shown = {"card": subject, "pin": pin, **({"to_card": user} if user else {})}
        if not asker.merchant:
            by = Shown(subject, "staff", "staff", beneficiary=user)
        retry = self.ledger.retry("till", f"{self.county}{order}", order.encode())
        call = {
            "asker": self.asker(asker), "offer": self.ids[offer], "by": by, "quantity": quantity, "retry": retry,
            **options,
        }  # fmt: skip
        shop = next(self._shops)

        async def do() -> Any:
            slip = await shop.redeem(**call)
            self.orders[order] = slip.id
            self.redeemed.append((call, slip.id))
            return slip.points, slip.cash_fen, slip.state

        def said(model: reference_shop.Shop) -> Any:
            made = model.redeem(
                order, asker, offer, subject, quantity, right_pin=pin == PIN, gift_to=user, **options
            )  # fmt: skip
            return made.points, made.cash, model.state(order)

        return Deed(do, said)

    def again(self, number: int) -> Deed:
        """The same call under the same key: the same order, and no other."""
        call, first = self.redeemed[number % len(self.redeemed)]
        shop = next(self._shops)

        async def do() -> None:
            slip = await shop.redeem(**call)
            assert (first, True) == (slip.id, slip.replayed)

        return Deed(do, lambda model: None)

    def capture(self, order: str, asker: Asker, amount: int | None = None, *, final: bool = True) -> Deed:
        shop, red = next(self._shops), self.orders[order]
        return _quiet(
            lambda: shop.capture(self.asker(asker), red, amount=amount, final=final),
            lambda model: model.capture(order, asker, amount, final),
        )

    def release(self, order: str, asker: Asker) -> Deed:
        shop, red = next(self._shops), self.orders[order]
        return _quiet(lambda: shop.release(self.asker(asker), red), lambda model: model.release(order, asker))

    def void(self, order: str, asker: Asker) -> Deed:
        shop, red = next(self._shops), self.orders[order]
        return _quiet(lambda: shop.void(self.asker(asker), red, reason="x"), lambda model: model.void(order, asker))

    def refund(self, order: str, asker: Asker, amount: int) -> Deed:
        shop, red = next(self._shops), self.orders[order]
        return _quiet(
            lambda: shop.refund(self.asker(asker), red, amount=amount, reason="x"),
            lambda model: model.refund(order, asker, amount),
        )

    def expire(self, order: str) -> Deed:
        """What the sweep does with it."""
        shop, red = next(self._shops), self.orders[order]

        async def do() -> None:
            await shop.expire((await shop.details(self.staff, red)).order)

        return _quiet(do, lambda model: model.expire(order))

    # what staff change meanwhile -------------------------------------------------------------------------------

    def stock(self, offer: str, units: int) -> Deed:
        change = self.shop.offers.change
        return _quiet(
            lambda: change(self.staff, self.ids[offer], stock=units),
            lambda model: setattr(model.offers[offer], "stock", units),
        )

    def pause(self, offer: str, state: str) -> Deed:
        change = self.shop.offers.change
        return _quiet(
            lambda: change(self.staff, self.ids[offer], state=state),
            lambda model: setattr(model.offers[offer], "state", state),
        )

    def suspend(self, merchant: str, state: str) -> Deed:
        return _quiet(
            lambda: self.shops.change_merchant(self.staff, self.ids[merchant], state=state),
            lambda model: (model.suspended.add if state == "suspended" else model.suspended.discard)(merchant),
        )

    def budget(self, number: int, fen: int, state: str = "open") -> Deed:
        line = self.model.budgets[number]
        budget = self.ids[f"{line.scenario} {line.place}"]

        def said(model: reference_shop.Shop) -> None:
            model.budgets[number].limit, model.budgets[number].state = fen * 100, state

        return _quiet(lambda: self.budgets.change(self.staff, budget, limit_fen=fen, state=state), said)

    def agree(self, merchant: str, scenario: str) -> Deed:
        """Sign an agreement; one that stands is ended."""
        pair, shop = (merchant, scenario), self.ids[merchant]
        signed = [paper for paper, where in self.model.agreed.items() if where == pair]
        if signed:
            end = self.agreements.change
            return _quiet(
                lambda: end(self.staff, shop, self.ids[signed[0]], state="ended"),
                lambda model: model.end(signed[0]),
            )
        paper = f"paper {next(self._papers)}"

        async def do() -> None:
            made = await self.agreements.add(
                self.staff, shop, scenario=self.scenarios[scenario], number="1", from_day="2022-01-01"
            )
            self.ids[paper] = made.agreement

        return _quiet(do, lambda model: model.agreed.update({paper: pair}))

    # what happens to people's points elsewhere -----------------------------------------------------------------

    def award(self, who: str, deed: str, points: int, lot: str, standing: int = 0) -> Deed:
        subject = self.subjects[who]
        home = self.model.book.home(subject)
        draft = ledgers.award_draft(self.ledger, home, subject, deed)

        async def do() -> None:
            step = Step(
                lambda v: awards.award(v, draft, standing=standing, points=points, standing_lot=lot, points_lot=lot),
                (home,),
            )
            self.awarded[deed] = (await self.ledger.submit(step)).value

        return _quiet(do, lambda model: model.book.award(home, subject, deed, standing, points, lot, []))

    def reverse(self, deed: str, policy: str = "only_available") -> Deed:
        """The points of a deed are taken back, spent or not."""
        original = self.awarded[deed]
        number = next(n for n, one in enumerate(self.model.book.bookings) if one.deed == deed)
        subject = self.model.book.bookings[number].subject
        home = self.model.book.home(subject)
        act = self._act()

        async def do() -> None:
            entry = await self.ledger.entry(original.journal, original.seq)
            step = Step(
                lambda v: awards.reverse(v, home, act, entry.fields, entry.leaf, policy=policy),
                (home, original.journal),
            )
            await self.ledger.submit(step)

        def said(model: reference_shop.Shop) -> None:
            if not model.book.bookings[number].reversed:
                model.book.open_here(home, subject)
            model.book.reverse(number, policy)

        return _quiet(do, said)

    def lapse(self, who: str) -> Deed:
        subject, act = self.subjects[who], self._act()
        home = self.model.book.home(subject)
        return self._step(
            lambda v: awards.expire_lots(v, home, act, subject=subject),
            lambda model: model.book.sweep(home, subject), home,
        )  # fmt: skip

    def move(self, who: str, target: str) -> Deed:
        subject, act = self.subjects[who], self._act()
        home = self.model.book.home(subject)
        return self._step(
            lambda v: accounts.move(v, home, target, act, subject=subject),
            lambda model: model.book.move(home, target, subject), home, target,
        )  # fmt: skip

    def settle(self, merchant: str, journal: str, amount: int) -> Deed:
        shop, act = self.ids[merchant], self._act()
        return self._step(
            lambda v: holds.settle(v, journal, act, merchant=shop, amount=amount, **ledgers.PAID),
            lambda model: model.book.settle(journal, merchant, amount), journal,
        )  # fmt: skip

    def owed(self, merchant: str, journal: str) -> int:
        return self.model.book.lots(journal, f"merchant:{merchant}").get(NEVER, 0)

    def _act(self) -> Any:
        return ledgers.act(self.ledger, self.clock.today)

    def _step(self, real: Callable[[View], Any], said: Callable[[Any], Any], *journals: str) -> Deed:
        return _quiet(lambda: self.ledger.submit(Step(real, journals)), said)


def _quiet(real: Callable[[], Awaitable[Any]], said: Callable[[reference_shop.Shop], Any]) -> Deed:
    """A deed whose answer says nothing that the state does not."""

    async def do() -> None:
        await real()

    def expected(model: reference_shop.Shop) -> None:
        said(model)

    return Deed(do, expected)


def _expected(deed: Deed, model: reference_shop.Shop) -> Any:
    try:
        return "ok", deed.model(model)
    except No as no:
        return "no", str(no)


async def _real(deed: Deed) -> Any:
    try:
        return "ok", await deed.real()
    except Refusal as refusal:
        return "no", refusal.code


@asynccontextmanager
async def opened(url: str, servers: int = 1) -> AsyncIterator[Town]:
    """A town on a migrated database, with its servers."""
    clock = FixedClock()
    running = [Ledger(url, ledgers.SECRET, clock=clock) for _ in range(servers)]
    for ledger in running:
        await ledger.open()
    try:
        town = Town(running, clock)
        await town.open()
        yield town
        await town.close()
    finally:
        for ledger in running:
            await ledger.close()

# SPDX-License-Identifier: Apache-2.0
"""Random histories: after every step the ledger and the reference model agree to the unit, and nothing is lost."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ledger import codec
from ledger.book import accounts, awards, benefits, editions, holds
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.model import CapUse, Link, Sealed
from ledger.view import View
from tests import ledgers
from tests.ledgers import HOUR, PAID, FixedClock, Step
from tests.reference_ledger import No, Reference

pytestmark = pytest.mark.schema("ledger")

DAY_LIMIT, MONTH_LIMIT = 300, 700
LOTS = ("", "2022-03-20", "2022-04-10", "2022-06-30")
POLICIES = ("only_available", "within_balance", "allow_debt")
SUBJECTS = ("sub_a", "sub_b", "sub_shop")  # the last is a body
_run_number = itertools.count()

Op = tuple[str, int, int, int]
OPS = ("award", "award", "award", "deduct", "hold", "hold", "capture", "capture", "release", "refund", "void", "expire",
       "sweep", "reverse", "relot", "move", "advance", "settle", "use", "undo", "list", "grant", "replay",
       "reuse", "replace")  # fmt: skip
op = st.tuples(st.sampled_from(OPS), st.integers(0, 11), st.integers(0, 600), st.integers(0, 11))


class World:
    """One history in both ledgers at once. Names carry a number, so that histories can share one database."""

    def __init__(self, ledger: Ledger, clock: FixedClock) -> None:
        self.ledger, self.clock = ledger, clock
        self.model = Reference()
        number = next(_run_number)
        self.tag = f"{number}"
        self.journals = [f"east{number}", f"west{number}", f"north{number}"]
        self.subjects = [f"{name}{number}" for name in SUBJECTS]
        self.sealed: list[Sealed] = []  # by booking of the model
        self.holds: list[str] = []
        self.benefits: list[tuple[Any, Sealed]] = []
        self.lists: list[tuple[Any, Sealed]] = []
        self.sent: list[tuple[Step, str]] = []

    async def open(self) -> None:
        self.set_time()
        for journal in self.journals:
            await ledgers.open_journal(self.ledger, journal)
        for subject in self.subjects:
            kind = "body" if "shop" in subject else "person"
            await ledgers.open_account(self.ledger, self.journals[0], subject, kind)
            self.model.open(self.journals[0], subject, kind, 100_000)

    def set_time(self) -> None:
        self.model.now, self.model.today = self.clock.us, self.clock.today

    def pick(self, items: list[Any], number: int) -> Any:
        return items[number % len(items)] if items else None

    # one operation ---------------------------------------------------------------------------------------------

    async def step(self, operation: Op) -> None:
        name, a, b, c = operation
        if name == "advance":
            self.clock.advance(**[{"hours": 1 + c}, {"days": 1 + b % 9}, {"days": 30}][a % 3])
            self.set_time()
            return
        if name in ("replay", "reuse"):
            await self.again(name, self.pick(self.sent, a * 12 + c))
            return
        pair = self.prepare(name, a, b, c)
        if pair is None:
            return
        real, model, touched = pair
        retry = self.ledger.retry("till", f"{self.tag}-{len(self.sent)}", orjson.dumps(operation))
        step = Step(await real() if asyncio.iscoroutinefunction(real) else real, touched, retry)
        try:
            expected, said = model(), "ok"
        except No as no:
            expected, said = None, str(no)
        try:
            value = (await self.ledger.submit(step)).value
            assert said == "ok", (operation, "the model says", said)
            if name in ("award", "deduct", "replace"):
                assert len(self.sealed) == expected
                self.sealed.append(value)
            elif name == "use":
                self.benefits.append((expected, value))
            elif name == "list":
                self.lists.append((expected, value))
            elif name == "reverse":
                data = (await self.ledger.entry(value.journal, value.seq)).fields["data"]
                assert expected == (data["shortfall"], data["lapsed"])
        except Refusal as refusal:
            assert said == refusal.code, (operation, refusal, "the model says", said)
        self.sent.append((step, said))

    async def again(self, name: str, sent: tuple[Step, str] | None) -> None:
        """The same key again: the first answer and no change; for another request: no."""
        if sent is None:
            return
        step, said = sent
        assert step.retry is not None
        if name == "reuse":
            step = Step(step.function, step.journals, step.retry._replace(digest=b"\1" * 32))
            with pytest.raises(Refusal, match="idempotency_key_reused"):
                await self.ledger.submit(step)
        elif said == "ok":
            assert (await self.ledger.submit(step)).replayed
        else:
            with pytest.raises(Refusal, match=said) as info:
                await self.ledger.submit(step)
            assert info.value.replayed

    def prepare(self, name: str, a: int, b: int, c: int) -> tuple[Any, Callable[[], Any], tuple[str, ...]] | None:
        ledger, model = self.ledger, self.model
        act = ledgers.act(ledger, self.clock.today)
        subject = self.subjects[a % len(self.subjects)]
        home = model.home(subject)
        if c == 11:  # now and then at the wrong door
            home = next(j for j in self.journals if j != home)
        lot = LOTS[c % len(LOTS)]
        held = self.pick(self.holds, a)
        shop = "mer_2" if b % 8 == 7 else "mer_1"
        if c % 2:  # chance alone would mostly ask for what is not there
            lot, held, b = self.likely(name, home, subject, lot, a, b)
        if name in ("award", "deduct", "replace"):
            return self.prepare_award(name, home, subject, b, c, lot)
        if name == "hold":
            new, ends = f"hld_{self.tag}_{len(self.sent)}", self.clock.us + (1 + c * 20) * HOUR
            self.holds.append(new)

            def place() -> None:
                try:
                    model.hold(home, subject, new, "mer_1", b, ends)
                except No:
                    self.holds.remove(new)
                    raise

            return (
                lambda v: holds.hold(v, home, act, subject=subject, hold=new, amount=b, expires_at=ends), place, (home,)
            )  # fmt: skip
        if name in ("capture", "release", "refund", "void", "expire"):
            if held is None:
                return None
            where = model.holds[held].journal
            real: dict[str, Callable[[View], Any]] = {
                "capture": lambda v: holds.capture(v, where, act, hold=held, merchant=shop, amount=b),
                "release": lambda v: holds.release(v, where, act, hold=held),
                "expire": lambda v: holds.release(v, where, act, hold=held, expired=True),
                "refund": lambda v: holds.refund(v, where, act, hold=held, merchant=shop, amount=b),
                "void": lambda v: holds.refund(v, where, act, hold=held, merchant=shop, amount=b, kind="void"),
            }
            said: dict[str, Callable[[], Any]] = {
                "capture": lambda: model.capture(held, b, shop),
                "release": lambda: model.release(held),
                "expire": lambda: model.release(held, expired=True),
                "refund": lambda: model.refund(held, b, shop),
                "void": lambda: model.refund(held, b, shop),
            }
            return real[name], said[name], (where,)
        if name == "sweep":
            return (
                lambda v: awards.expire_lots(v, home, act, subject=subject), lambda: model.sweep(home, subject), (home,)
            )  # fmt: skip
        if name == "settle":
            journal = self.journals[a % 3]
            return (
                lambda v: holds.settle(v, journal, act, merchant=shop, amount=b, **PAID),
                lambda: model.settle(journal, shop, b), (journal,),
            )  # fmt: skip
        if name == "use":
            journal, new = self.journals[a % 3], f"rdm_{self.tag}_{len(self.sent)}"
            terms = {"merchant": shop, "redemption": new, "scenario": "S13", "quantity": 1 + c, "fen": b}
            return lambda v: benefits.benefit(v, journal, act, **terms), lambda: new, (journal,)
        if name == "undo":
            if not self.benefits:
                return None
            new, made = self.pick(self.benefits, a)
            terms = codec.decode(made.body)["data"]
            return (
                lambda v: benefits.undo(v, made.journal, act, of=made.link("undoes"), **terms),
                lambda: model.undo(new), (made.journal,),
            )  # fmt: skip
        if name == "list":
            journal, new = self.journals[a % 3], f"edn_{self.tag}_{len(self.sent)}"
            listed: Any = {"digest": f"{b:064x}", "list": "grids", "period": "2022Q1", "version": 1 + c}
            return (
                lambda v: editions.edition(v, journal, act, id=new, **listed), lambda: model.publish(journal, new),
                (journal,),
            )  # fmt: skip
        if name == "grant":
            if not self.lists:
                return None
            edition, made = self.pick(self.lists, a)
            terms = {"edition": edition, "place": f"p{len(self.sent)}", "fen": 1 + b}
            return (
                lambda v: editions.fund(v, made.journal, act, of=made, budget="bud_1", **terms),
                lambda: model.grant(**terms), (made.journal,),
            )  # fmt: skip
        if name == "relot":
            from_lot = lot or "9999-12-31"
            later = (date.fromisoformat(self.clock.today) + timedelta(days=10 * a)).isoformat()
            return (
                lambda v: awards.relot(
                    v, home, act, subject=subject, unit="points", lot=from_lot, later=later, amount=b, reason="outage",
                    links=[],
                ),
                lambda: model.relot(home, subject, from_lot, later, b), (home,),
            )  # fmt: skip
        if name == "move":
            target = self.journals[b % 3]
            return (
                lambda v: accounts.move(v, home, target, act, subject=subject),
                lambda: model.move(home, target, subject), (home,),
            )  # fmt: skip
        assert name == "reverse"
        return self.prepare_reverse(a, b)

    def likely(self, name: str, home: str, subject: str, lot: str, a: int, b: int) -> tuple[str, str | None, int]:
        """A lot, a hold and an amount with which the operation may well succeed."""
        model = self.model
        held, left = self.pick(self.holds, a), b
        if name == "hold":
            left = model.spendable(home, subject)
        elif name in ("capture", "release", "expire"):
            held = self.pick([h for h in self.holds if model.holds[h].state == "held"] or self.holds, a)
            left = sum(model.holds[held].held.values()) if held else 0
        elif name in ("refund", "void"):
            held = self.pick([h for h in self.holds if any(model.holds[h].spent.values())] or self.holds, a)
            left = sum(model.holds[held].spent.values()) if held else 0
        elif name == "settle":
            left = model.lots(self.journals[a % 3], "merchant:mer_1").get("9999-12-31", 0)
        elif name == "relot":
            there = model.lots(home, f"subject:{subject}")
            lot = self.pick(list(there), b) or lot
            left = there.get(lot, 0)
        return lot, held, b if b <= left or not left else 1 + b % left

    def prepare_award(self, name: str, home: str, subject: str, b: int, c: int, lot: str) -> Any:
        model, day = self.model, self.clock.today
        standing, points = (-b, 0) if name == "deduct" else (b // 3, b)
        deed = f"deed{c}" if c < 3 else f"deed-{len(self.sent)}"
        replaces, link = None, None
        if name == "replace":
            candidates = [i for i, one in enumerate(model.bookings) if one.subject == subject and one.reversed]
            replaces = self.pick(candidates, c)
            if replaces is None:
                return None
            deed, first = model.bookings[replaces].deed, self.sealed[replaces]
            link = Link("replaces", first.journal, first.seq, first.leaf.hex())
        caps = [] if name == "deduct" else [("day", day, DAY_LIMIT), ("month", f"{day[:7]}-01", MONTH_LIMIT)]

        def decide(view: View) -> Sealed:
            uses: list[CapUse] = []
            let = points
            for cap, start, limit in caps:
                before = awards.used(view, home, subject, cap, start)
                let = max(0, min(let, limit - before))
                uses.append(CapUse(cap, start, start, limit, before, let))
            draft = ledgers.award_draft(self.ledger, home, subject, deed, uses)
            return awards.award(
                view, draft, standing=standing, points=let, standing_lot=lot or None, points_lot=lot or None,
                replaces=link,
            )  # fmt: skip

        kept = lot or "9999-12-31"
        return (
            decide, lambda: model.award(home, subject, deed, standing, points, kept, caps, replaces), (home,)
        )  # fmt: skip

    def prepare_reverse(self, a: int, b: int) -> Any:
        if not self.sealed:
            return None
        number = (a + 12 * b) % len(self.sealed)
        original, policy = self.sealed[number], POLICIES[b % 3]
        home = self.model.home(self.model.bookings[number].subject)
        act = ledgers.act(self.ledger, self.clock.today)

        async def real() -> Callable[[View], Sealed]:
            entry = await self.ledger.entry(original.journal, original.seq)
            return lambda view: awards.reverse(view, home, act, entry.fields, entry.leaf, policy=policy)

        return real, lambda: self.model.reverse(number, policy), (home, original.journal)

    # agreement -------------------------------------------------------------------------------------------------

    async def compare(self) -> None:
        model, here = self.model, str(tuple(self.journals))

        async def rows(columns: str, table: str) -> list[tuple[Any, ...]]:
            return await self.ledger.fetch(f"SELECT {columns} FROM {table} WHERE journal IN {here}")

        stored = {row[:4]: row[4] for row in await rows("journal, account, unit, lot, amount", "balance")}
        assert model.balances == stored
        assert {(j, s): a.state for (j, s), a in model.accounts.items()} == {
            row[:2]: row[2] for row in await rows("journal, subject, state", "member")
        }
        assert model.used == {row[:4]: row[4] for row in await rows("journal, subject, cap, start, used", "tally")}
        for row in await rows("hold, state, captured, released, refunded, grace, merchant, lots", "hold"):
            hold = model.holds[row[0]]
            lots = {lot: [hold.held[lot], hold.spent.get(lot, 0)] for lot in hold.lots}
            counted = (hold.state, hold.captured, hold.released, hold.refunded, hold.grace, hold.captor)
            assert (row[0], *counted, lots) == (*row[:7], orjson.loads(row[7]))
        said = [(row[0], codec.decode(bytes(row[1]))["data"]) for row in await self.ledger.fetch(
            f"SELECT journal, body FROM entry WHERE journal IN {here} AND kind IN ('edition', 'fund')"
        )]  # fmt: skip
        assert model.lists == {data["id"]: journal for journal, data in said if "id" in data}
        funds = {(journal, data["edition"], data["place"]): data["fen"] for journal, data in said if "fen" in data}
        assert model.granted == funds
        for unit in ("standing", "points"):
            for journal in self.journals:
                assert 0 == sum(v for k, v in stored.items() if k[0] == journal and k[2] == unit)


async def play(url: str, history: list[Op], *, migrate: bool = True) -> None:
    clock = FixedClock()
    ledger = Ledger(url, ledgers.SECRET, clock=clock)
    await ledger.open()
    try:
        if migrate:
            await ledger.store.migrate({"ledger": ledgers.MIGRATIONS})
        world = World(ledger, clock)
        await world.open()
        for operation in history:
            await world.step(operation)
            await world.compare()
        if migrate:
            await ledgers.assert_whole(ledger)
    finally:
        await ledger.close()


TRAPS: dict[str, list[Op]] = {
    # the numbers of an operation: who or which, how much, which lot or deed
    "refund after expiry, twice: one grace lot": [
        ("award", 0, 200, 5), ("hold", 0, 200, 1), ("capture", 0, 200, 0), ("advance", 2, 0, 0), ("refund", 0, 50, 0),
        ("advance", 1, 3, 0), ("refund", 0, 60, 0), ("advance", 2, 0, 0), ("refund", 0, 10, 0), ("sweep", 0, 0, 0),
    ],
    "expired credits drop out while old debits stay": [
        ("award", 2, 300, 5), ("deduct", 2, 200, 4), ("advance", 2, 0, 0), ("sweep", 2, 0, 0), ("award", 2, 100, 4),
    ],
    "reversal after part was spent": [
        ("award", 0, 300, 4), ("hold", 0, 200, 10), ("capture", 0, 150, 0), ("reverse", 0, 0, 0), ("release", 0, 0, 0),
        ("reverse", 0, 0, 0),
    ],
    "hold across an expiry day": [
        ("award", 0, 300, 5), ("advance", 1, 8, 0), ("advance", 1, 7, 0), ("hold", 0, 200, 10), ("advance", 1, 4, 0),
        ("capture", 0, 50, 0), ("sweep", 0, 0, 0), ("advance", 1, 8, 0), ("expire", 0, 0, 0), ("refund", 0, 20, 0),
    ],
    "a body's deduction lapses": [
        ("deduct", 2, 200, 5), ("deduct", 2, 100, 4), ("advance", 2, 0, 0), ("reverse", 0, 0, 0), ("sweep", 2, 0, 0),
        ("reverse", 1, 0, 0),
    ],
    "debt is repaid by the next award, and stands again when that is reversed": [
        ("award", 2, 300, 4), ("hold", 2, 300, 10), ("capture", 0, 300, 0), ("reverse", 0, 2, 0), ("hold", 2, 10, 1),
        ("advance", 1, 0, 0), ("award", 2, 200, 5), ("award", 2, 200, 6), ("reverse", 1, 1, 0), ("reverse", 2, 2, 0),
    ],
    "the earliest lots first, whatever came first": [
        ("award", 0, 100, 4), ("award", 0, 90, 6), ("award", 0, 80, 5), ("hold", 0, 150, 0), ("capture", 0, 120, 0),
        ("refund", 0, 30, 0), ("release", 0, 0, 0),
    ],
    "points that come back while a debt stands are not spendable": [
        ("award", 2, 300, 4), ("hold", 2, 300, 10), ("reverse", 0, 2, 0), ("release", 0, 0, 0), ("hold", 2, 10, 0),
        ("advance", 1, 0, 0), ("award", 2, 300, 4), ("hold", 2, 10, 0),
    ],
    "a release finds the person two moves on": [
        ("award", 0, 300, 4), ("hold", 0, 200, 10), ("capture", 0, 100, 0), ("move", 0, 1, 0), ("move", 0, 2, 0),
        ("release", 0, 0, 0), ("refund", 0, 100, 0),
    ],
    "refund and release after the subject moved, twice": [
        ("award", 0, 300, 4), ("hold", 0, 200, 10), ("capture", 0, 100, 0), ("move", 0, 1, 0), ("refund", 0, 50, 0),
        ("move", 0, 0, 0), ("hold", 0, 20, 1), ("move", 0, 1, 0), ("release", 0, 0, 0), ("refund", 0, 50, 0),
    ],
    "reverse after a move gives room in the cap of the new home, and coming back keeps it": [
        ("award", 0, 300, 4), ("move", 0, 1, 0), ("reverse", 0, 0, 0), ("award", 0, 300, 4), ("move", 0, 0, 0),
        ("award", 0, 300, 4),
    ],
    "a deed repeated after a move is known, and the cap still counts": [
        ("award", 0, 250, 1), ("move", 0, 1, 0), ("award", 0, 250, 1), ("award", 0, 250, 4),
    ],
    "one replacement of a reversed award": [
        ("award", 0, 100, 1), ("reverse", 0, 0, 0), ("award", 0, 100, 1), ("replace", 0, 120, 0), ("replace", 0, 90, 0),
        ("reverse", 1, 0, 0), ("replace", 0, 90, 1),
    ],
    "a replacement in another journal": [
        ("award", 0, 100, 1), ("reverse", 0, 0, 0), ("move", 0, 1, 0), ("replace", 0, 120, 0), ("replay", 0, 0, 3),
    ],
    "a lapsed lot is not given a later day because its sweep was late": [
        ("award", 0, 200, 5), ("advance", 2, 0, 0), ("relot", 6, 100, 5), ("relot", 6, 100, 4), ("award", 0, 90, 6),
        ("relot", 9, 0, 6), ("relot", 9, 40, 6), ("reverse", 1, 0, 0),
    ],
}  # fmt: skip


@pytest.mark.parametrize("trap", TRAPS)
async def test_known_traps(trap: str, database_url: str) -> None:
    """The places where such ledgers go wrong, each as a short history."""
    await play(database_url, TRAPS[trap])


# Random histories begin with something to spend: two lots each, and a hold.
OPENING: list[Op] = [
    ("award", 0, 150, 6), ("award", 0, 100, 5), ("award", 1, 200, 7), ("award", 1, 90, 4), ("award", 2, 130, 5),
    ("award", 2, 170, 6), ("hold", 0, 180, 8),
]  # fmt: skip


@given(st.lists(op, min_size=10, max_size=40))
@example([("move", 2, 1, 0), ("move", 2, 1, 11), ("sweep", 2, 0, 11), ("hold", 2, 1, 11)])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_histories_agree_with_the_model(tmp_path: Path, history: list[Op]) -> None:
    """Balances by lot, holds, caps and refusals are those of the model after every step, whatever the order."""
    path = tmp_path / f"{next(_run_number)}.db"
    asyncio.run(play(f"sqlite:///{path}", OPENING + history))
    for file in tmp_path.glob(f"{path.name}*"):
        file.unlink()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8)
@given(st.lists(op, min_size=10, max_size=25))
def test_random_histories_agree_on_postgresql(postgres_url: str, history: list[Op]) -> None:
    """The same on PostgreSQL, in one database: earlier histories lie beside later ones and stay whole."""
    asyncio.run(play(postgres_url, OPENING + history))

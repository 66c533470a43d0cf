# SPDX-License-Identifier: Apache-2.0
"""No way around a state. Random people do random things to a grey list on random days; a small model that knows nothing
of how editions are kept says what each of them may do, and a posted line always has its whole story behind it."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.lists import naming
from ledger.errors import Refusal
from rules.lists.model import Line
from rules.ports import Actor
from tests.conftest import Built
from tests.list_town import BODIES, COUNTY, EAST, OTHER, STAFF, STREET, Town, opened
from tests.reference_editions import ONE, Model


def town_on(today: date) -> Callable[[str, Path], Awaitable[dict[str, Any]]]:
    """The town a few days after three shops were found to have ignored a complaint in the month before."""

    async def build(url: str, home: Path) -> dict[str, Any]:
        async with opened(url, home) as town:
            town.set(today - 75 * ONE, "08:00")
            await town.furnish(today - 75 * ONE)
            end = today.replace(day=1) - ONE
            town.set(end)
            deeds = [await town.deduct(number, end - ONE * number, f"case-{number}") for number in (0, 1, 2)]
            town.set(today, "08:00")
            return {**town.known(), "deeds": [f"{journal}/{seq}" for journal, seq in deeds], "month": f"{end:%Y-%m}"}

    return build


TOWNS = {
    "New Year": town_on(date(2026, 2, 9)),
    "National Day": town_on(date(2026, 9, 21)),
    "a year without table": town_on(date(2026, 12, 24)),
}


# chance ------------------------------------------------------------------------------------------------------------

PLACES = (STREET, STREET, STREET, EAST, COUNTY, OTHER)
CHANNELS = ("read", "hand", "print", "sms")
OPS = ("wait", "wait", "wait", "draft", "freeze", "freeze", "notify", "notify", *["deliver"] * 4, *["decide"] * 4,
       *["publish"] * 6, "answer", "dispute", "dispute", "settle", "settle", "correct", "correct", "repair", "sweep",
       "discard")  # fmt: skip
WHO = (*STAFF, "body 0", "body 1", "body 2", "person 1")
LIKELY = {
    **dict.fromkeys(("draft", "freeze", "notify", "deliver", "correct"), ("street", "clerk", "street2", "admin")),
    **dict.fromkeys(("decide", "publish", "repair"), ("first", "second", "again", "council", "street2")),
    "answer": ("body 0", "body 1"),
}  # fmt: skip
Op = tuple[str, int, int, int]
op = st.tuples(st.sampled_from(OPS), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
# Where a history begins: chance alone hardly gets a list as far as its last steps.
PRELUDE: tuple[Op, ...] = (
    ("draft", 0, 1, 0), ("freeze", 0, 1, 0), ("notify", 0, 1, 0), ("deliver", 0, 1, 0), ("deliver", 0, 1, 1),
    ("wait", 0, 9, 0), ("decide", 0, 1, 0), ("decide", 0, 1, 1), ("publish", 0, 1, 0), ("publish", 1, 1, 0),
)  # fmt: skip


class Play:
    """A town and its model. Every step is done to both; what one refuses the other must refuse, and nothing changes."""

    def __init__(self, town: Town, known: dict[str, Any]) -> None:
        self.town = town
        self.month: str = known["month"]
        self.model = Model(known["deeds"], town.today)
        self.done: list[str] = []

    def actor(self, who: str) -> Actor:
        kind, _, number = who.partition(" ")
        if kind == "body":
            return self.town.body(int(number))
        if kind == "person":
            return Actor(self.town.people[int(number)], self.town.people[int(number)])
        return self.town.actors[who]

    async def step(self, what: str, a: int, b: int, c: int) -> None:
        model, office = self.model, self.town.world.editions
        likely = LIKELY.get(what, WHO)
        who = likely[a % len(likely)] if b % 4 else WHO[a % len(WHO)]
        actor = self.actor(who)
        if what == "wait":
            model.today += ONE * (120 if b == 30 else 1 + b % 12)
            self.town.set(model.today)
            return
        if what == "draft":
            place = PLACES[c % len(PLACES)]
            made = await self._tried(office.draft(actor, "grey", self.month, place))
            assert (made is not None) == model.draft(who, place, made.id if made else ""), (what, who, place)
            return
        if what == "sweep":
            await office.sweep()
            model.sweep()
            return
        if what == "settle":
            await self._settle(b, c)
            return
        if not model.lists:
            return
        id = (
            list(model.lists)[-1 - (c // 4) % 2 % len(model.lists)]
            if c % 4
            else list(model.lists)[c % len(model.lists)]
        )
        if what == "correct":
            made = await self._tried(office.correct(actor, id, "核实后更正"))
            assert (made is not None) == model.correct(who, id, made.id if made else ""), (what, who, id)
            return
        if what in ("freeze", "notify", "discard", "publish"):
            more = {"discard": ("不再需要",), "publish": ("同意",)}.get(what, ())
            answer = await self._tried(getattr(office, what)(actor, id, *more))
            assert (answer is not None) == getattr(model, what)(who, id), (what, who, model.lists[id])
            return
        if not model.lists[id].lines:
            return
        await self._on_line(what, who, id, list(model.lists[id].lines)[c % len(model.lists[id].lines)], b)

    async def _on_line(self, what: str, who: str, id: str, key: str, b: int) -> None:
        model, office, actor = self.model, self.town.world.editions, self.actor(who)
        match what:
            case "deliver":
                channel: Any = CHANNELS[b % 4]
                answer = self._tried(office.deliver(actor, id, key, channel))
                expected = model.deliver(who, id, key, channel)
            case "answer":
                answer = self._tried(office.answer(actor.subject or actor.id, id, key, "已经整改，请来查看"))
                expected = model.answer(who, id, key)
            case "decide":
                outcome: Any = "dropped" if b % 7 == 0 else "chosen" if b % 11 == 0 else "confirmed"
                answer = self._tried(office.decide(actor, id, key, outcome, "情况属实"))
                expected = model.decide(who, id, key, outcome)
            case "repair":
                answer = self._tried(office.repair(actor, id, key, "现场核实已整改"))
                expected = model.repair(who, id, key)
            case _:
                await self._dispute(key, model.lists[id].lines[key].body)
                return
        assert (await answer is not None) == expected, (what, who, model.lists[id], key)

    async def _dispute(self, key: str, body: int) -> None:
        """The body says no to the deduction."""
        if key in self.model.undone:
            return
        journal, seq = key.split("/")
        me = self.town.body(body)
        filed = await self._tried(
            self.town.world.objections.file(me, self.town.bodies[body], "entry", (journal, int(seq)), "当天已经整改")
        )
        if filed is not None:
            self.model.disputed[key] = filed[0].id

    async def _settle(self, b: int, c: int) -> None:
        """An open objection is decided, mostly against the body, or taken back."""
        if not self.model.disputed:
            return
        key, id = list(self.model.disputed.items())[b % len(self.model.disputed)]
        body, office = self.model.keys.index(key), self.town.world.objections
        if c % 3 == 0:
            await office.withdraw(self.town.body(body), id)
        else:
            outcome: Any = "upheld" if c % 3 == 1 else "rejected"
            decider = self.town.actors["elsewhere" if body == 2 else "first"]
            await office.decide(decider, id, outcome, "查过了")
            if outcome == "upheld":
                self.model.undone.add(key)
        del self.model.disputed[key]

    async def _tried(self, doing: Awaitable[Any]) -> Any:
        """What was answered, or None for a refusal."""
        try:
            return await doing
        except Refusal as refusal:
            self.done.append(refusal.code)
            return None

    async def agrees(self) -> None:
        """The office's editions are the model's."""
        office = self.town.world.editions
        for id, one in self.model.lists.items():
            assert one.state == (await office.get(id)).state, (self.done[-3:], one)
            lines = {line.line: line for line in await office.lines(id)}
            assert {key: line.state for key, line in one.lines.items()} == {k: line.state for k, line in lines.items()}
            for key, line in one.lines.items():
                assert (line.until.isoformat() if line.until else "") == lines[key].until


@pytest.fixture(scope="module")
def towns(built: Callable[..., Built]) -> dict[str, Built]:
    return {name: built("sqlite", town) for name, town in TOWNS.items()}


_copies = itertools.count()


async def play(made: Built, folder: Path, history: list[Op]) -> Play:
    copy = folder / str(next(_copies))
    shutil.copytree(made.home, copy / "home")
    shutil.copyfile(urlsplit(made.url).path, copy / "jifen.db")
    async with opened(f"sqlite:///{copy / 'jifen.db'}", copy / "home", made.known) as town:
        playing = Play(town, made.known)
        for one in history:
            await playing.step(*one)
            await playing.agrees()
    shutil.rmtree(copy)
    return playing


HISTORY = {
    "name": st.sampled_from(list(TOWNS)),
    "begun": st.integers(0, len(PRELUDE)),
    "history": st.lists(op, min_size=10, max_size=30),
}
RELAXED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=8, suppress_health_check=RELAXED)
@given(**HISTORY)
def test_nobody_finds_a_way_around(
    towns: dict[str, Built], tmp_path_factory: pytest.TempPathFactory, name: str, begun: int, history: list[Op]
) -> None:
    """After every step of anybody, done or refused, each edition and each line is where the model has it."""
    folder = tmp_path_factory.mktemp("machine")
    asyncio.run(play(towns[name], folder, [*PRELUDE[:begun], *history]))


@pytest.mark.long
@settings(max_examples=300, suppress_health_check=RELAXED)
@given(**HISTORY)
def test_nobody_finds_a_way_around_for_long(
    towns: dict[str, Built], tmp_path_factory: pytest.TempPathFactory, name: str, begun: int, history: list[Op]
) -> None:
    """The same of many more histories."""
    folder = tmp_path_factory.mktemp("machine")
    asyncio.run(play(towns[name], folder, [*PRELUDE[:begun], *history]))


# told --------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def going_on(copy: Built) -> AsyncIterator[tuple[Town, str, str]]:
    """The town, its grey edition drafted and frozen by the street, and the first shop's line."""
    async with opened(copy.url, copy.home, copy.known) as town:
        office, street = town.world.editions, town.actors["street"]
        made = await office.draft(street, "grey", copy.known["month"], STREET)
        await office.freeze(street, made.id)
        yield town, made.id, copy.known["deeds"][0]


async def told_on(town: Town, id: str, line: str, day: date) -> Line:
    town.set(day)
    await town.world.editions.notify(town.actors["street"], id)
    return await town.world.editions.deliver(town.body(0), id, line, "read")


async def refused(doing: Awaitable[Any]) -> str:
    with pytest.raises(Refusal) as found:
        await doing
    return found.value.code


@pytest.mark.schema(town=TOWNS["New Year"])
@pytest.mark.parametrize(
    ("told", "due", "sure"),
    [
        # Wednesday to Friday, Saturday the 14th is worked, then nine days of Spring Festival to Monday the 23rd
        ("2026-02-10", "2026-02-24", 1),
        # Wednesday, then National Day; Thursday, Friday, Saturday the 10th is worked, Monday
        ("2026-09-29", "2026-10-12", 1),
        # Nobody knows which days of 2027 are off: Monday to Friday count, New Year's Day among them
        ("2026-12-28", "2027-01-04", 0),
    ],
)
async def test_five_working_days_over_the_holidays(town_copy: Built, told: str, due: str, sure: int) -> None:
    """Neither the fifth working day nor any before it is late enough; the day after is."""
    async with going_on(town_copy) as (town, id, line):
        office = town.world.editions
        found = await told_on(town, id, line, date.fromisoformat(told))
        assert (due, sure) == (found.due, found.sure) and sure == (await office.get(id)).sure
        first, second, last = town.actors["first"], town.actors["council"], date.fromisoformat(due)
        town.set(last, "23:59")
        assert "notice_running" == await refused(office.decide(first, id, line, "confirmed", "情况属实"))
        assert "notice_running" == await refused(office.publish(first, id))
        town.set(last + ONE, "00:00")
        await office.decide(first, id, line, "confirmed", "情况属实")
        assert "decided" == (await office.publish(first, id)).state
        assert "published" == (await office.publish(second, id)).state
        [posted, other] = await office.lines(id)
        assert ("posted", "notified") == (posted.state, other.state), "the shop that nobody told stays out"


@pytest.mark.schema(town=TOWNS["New Year"])
async def test_one_person_with_two_logins_is_not_two(town_copy: Built) -> None:
    """Neither one after the other nor both at the same moment."""
    async with going_on(town_copy) as (town, id, line):
        office = town.world.editions
        await told_on(town, id, line, date(2026, 3, 4))
        town.set(date(2026, 3, 20))
        await office.decide(town.actors["first"], id, line, "confirmed", "情况属实")
        both = (office.publish(town.actors[who], id) for who in ("second", "again"))
        done = await asyncio.gather(*both, return_exceptions=True)
        assert ["same_person"] == [one.code for one in done if isinstance(one, Refusal)]
        assert "decided" == (await office.get(id)).state


@pytest.mark.schema(town=TOWNS["New Year"])
async def test_what_was_taken_back_meanwhile_is_not_posted(town_copy: Built) -> None:
    """An objection that is upheld during the notice, and one that is upheld after a first approval."""
    async with going_on(town_copy) as (town, id, line):
        office, objections = town.world.editions, town.world.objections
        other = town_copy.known["deeds"][1]
        await told_on(town, id, line, date(2026, 3, 4))
        await office.deliver(town.actors["street"], id, other, "hand")
        town.set(date(2026, 3, 20))
        for number, one in enumerate((line, other)):
            if number:  # confirmed and once approved, before anybody said anything
                await office.decide(town.actors["first"], id, one, "confirmed", "情况属实")
                await office.publish(town.actors["first"], id)
            journal, seq = one.split("/")
            subject = town.bodies[number]
            filed, _ = await objections.file(town.body(number), subject, "entry", (journal, int(seq)), "已经整改")
            await objections.decide(town.actors["first"], filed.id, "upheld", "确已整改")
        assert "line_closed" == await refused(office.decide(town.actors["first"], id, line, "confirmed", "情况属实"))
        await office.publish(town.actors["first"], id)
        assert "published" == (await office.publish(town.actors["council"], id)).state
        assert {"posted"}.isdisjoint(one.state for one in await office.lines(id))


@pytest.mark.schema(town=TOWNS["New Year"])
async def test_a_repaired_line_is_gone_from_every_version(town_copy: Built) -> None:
    """A correction takes the lines along; whoever comes off it is on no earlier version either."""
    async with going_on(town_copy) as (town, id, line):
        office, street = town.world.editions, town.actors["street"]

        async def named_in(version: str) -> bool:
            return BODIES[0][0] in json.dumps(await naming.named(town.world, version), ensure_ascii=False)

        await told_on(town, id, line, date(2026, 3, 4))
        assert not await named_in(id)
        town.set(date(2026, 3, 20))
        await office.decide(town.actors["first"], id, line, "confirmed", "情况属实")
        for who in ("first", "council"):
            await office.publish(town.actors[who], id)
        assert await named_in(id)
        [until] = [one.until for one in await office.lines(id) if one.state == "posted"]
        newer = await office.correct(street, id, "另一户补充核实")
        await office.freeze(street, newer.id)
        await office.notify(street, newer.id)
        town.set(date(2026, 4, 20))
        for who in ("first", "council"):
            await office.publish(town.actors[who], newer.id)
        assert ("corrected", "published") == ((await office.get(id)).state, (await office.get(newer.id)).state)
        [again] = [one for one in await office.lines(newer.id) if one.state == "posted"]
        assert (line, until) == (again.line, again.until), "a correction gives nobody a longer term"
        assert await named_in(newer.id)
        await office.repair(town.actors["first"], newer.id, line, "现场核实已整改")
        assert [False, False] == [await named_in(version) for version in (id, newer.id)]

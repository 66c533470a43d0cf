# SPDX-License-Identifier: Apache-2.0
"""Every example of every scenario, played through the real shop on SQLite: agreement, offer, earlier orders, the order.

What the payer owes is read from the ledger's entry, as a statement reads it, and not from the order.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import pytest

from ledger.errors import Refusal
from ledger.port import PutRows
from merchants.catalogue import FOLDER, Example, Period, Scenario, load_scenarios
from merchants.model import UNCOUNTED, Agreement, Asker, Shown, Traits
from merchants.shop import Shop
from merchants.tables import AGREEMENT
from tests.shops import HERE, STAFF, Town, on_screen

SCENARIOS = load_scenarios()
STANDING = {"A": 0, "AA": 3_000, "AAA": 5_000}  # above the base of 1,000
PROPOSER = Asker("stf_p", serves=lambda community: True)


class Stage(Town):
    """A town where the examples of one scenario happen, in the order of their days."""

    def __init__(self, url: str, scenarios: Mapping[str, Scenario], scenario: Scenario) -> None:
        super().__init__(url)
        self.scenario = scenario
        self.kinds: dict[str, str] = {}
        self.shop = Shop(self.ledger, scenarios, self, {"AAA": 105_000, "AA": 103_000, "A": 96_000})

    async def traits(self, subject: str) -> Traits:
        return Traits(self.groups.get(subject, ()), self.ages.get(subject), self.kinds[subject])

    async def comes(self, example: Example, points: int) -> str:
        """Somebody as the example describes them, with so many points."""
        subject = self.ledger.new_id("sub")
        self.kinds[subject], self.groups[subject] = example.kind, tuple(example.groups)
        if example.age is not None:
            self.ages[subject] = example.age
        standing = STANDING[example.grade]
        return await self.resident(subject, points, lot="2039-12-31", standing=standing, kind=example.kind)

    async def opens(self, example: Example) -> str:
        """A shop, with an agreement if the example has one."""
        made = await self.shop.offers.add_merchant(STAFF, name="店", community=HERE)
        if example.agreement:
            paper = ("1", "2021-01-01", "", "", "signed", 1, 0)
            signed = Agreement(self.ledger.new_id("agr"), made.merchant, self.scenario.code, *paper)
            await self.ledger.submit(PutRows(inserts=((AGREEMENT, signed.row()),)))
        return made.merchant

    async def offers(self, merchant: str, example: Example, stock: int) -> str:
        made = await self.shop.offers.propose(
            PROPOSER,
            merchant=merchant,
            scenario=self.scenario.code,
            title_zh="项目",
            title_en="Offer",
            price=example.price,
            cash_fen=example.price_cash_fen,
            value_fen=example.value_fen,
            stock=stock,
        )
        await self.shop.offers.approve(STAFF, made.offer)
        await on_screen(self.shop, made.offer)
        return made.offer


class Case:
    """One example on the stage, in two acts: what went before, and the order itself."""

    def __init__(self, stage: Stage, example: Example) -> None:
        self.stage, self.example = stage, example
        self.refusal = ""

    async def before(self) -> None:
        stage, example = self.stage, self.example
        spent = example.price * example.used
        self.person = await stage.comes(
            example, (0 if example.relative else example.has) + (0 if example.another else spent)
        )
        self.payer = await stage.comes(Example(says="亲属"), example.has) if example.relative else self.person
        try:
            self.merchant = await stage.opens(example)
            self.offer = await stage.offers(self.merchant, example, example.stock)
        except Refusal as refusal:
            self.refusal = refusal.code
            return
        if example.used:
            who = await stage.comes(example, spent) if example.another else self.person
            where = await stage.opens(example) if example.elsewhere else self.merchant
            offer = await stage.offers(where, example, UNCOUNTED)
            named = self._named(example.used_reference or example.reference)
            by = {"card": who, "pin": "2468"}
            await stage.shop.redeem(STAFF, offer=offer, by=by, quantity=example.used, capture=True, reference=named)

    def _named(self, reference: str | None) -> str | None:
        """Made the case's own, for the examples of one scenario share a ledger."""
        return reference and f"{reference}/{self.person}"

    async def now(self) -> dict[str, object]:
        """What came of it, in the words of the example."""
        if self.refusal:
            return {"code": self.refusal}
        stage, example = self.stage, self.example
        by: Mapping[str, str] | Shown = {"card": self.person, "pin": "2468"}
        if example.way == "subject":
            by = {"subject": self.person}
        if example.relative:
            by = Shown(self.payer, "card", "pin", beneficiary=self.person)
        try:
            slip = await stage.shop.redeem(
                STAFF if example.asker == "staff" else Asker("key_1", self.merchant),
                offer=self.offer,
                by=by,
                quantity=example.quantity,
                capture=True,
                then_cash=example.then_cash,
                reference=self._named(example.reference),
            )
        except Refusal as refusal:
            return {"code": refusal.code}
        return {"code": None, "points": slip.points, "cash_fen": slip.cash_fen, "fen": await self._owed()}

    async def _owed(self) -> int:
        """Fen that the last entry says the shop is owed."""
        [(seq,)] = await self.stage.ledger.fetch("SELECT MAX(seq) FROM entry WHERE journal = ?", HERE)
        said = (await self.stage.ledger.entry(HERE, seq)).fields
        assert self.stage.scenario.code == said["data"]["scenario"]
        if said["kind"] == "benefit":
            return said["data"]["fen"]
        paid = sum(line["amount"] for line in said["postings"] if line["account"] == f"merchant:{self.merchant}")
        return paid * said["data"]["fen_per_point"] // 100


async def play(url: str, scenarios: Mapping[str, Scenario], code: str) -> list[str]:
    """The examples of a scenario that came out otherwise than they say."""
    stage = Stage(url, scenarios, scenarios[code])
    await stage.open()
    cases = [Case(stage, example) for example in scenarios[code].examples]
    acts = [(one.example.used_on or one.example.on, 0, n) for n, one in enumerate(cases)]
    acts += [(one.example.on, 1, n) for n, one in enumerate(cases)]
    wrong = []
    try:
        for day, act, n in sorted(acts):
            stage.now = int(dt.datetime.combine(day, dt.time(4), dt.UTC).timestamp()) * 1_000_000  # noon in Shanghai
            if act == 0:
                await cases[n].before()
                continue
            found, example = await cases[n].now(), cases[n].example
            said = {name: getattr(example, name) for name in found}
            if found != said:
                wrong.append(f"{code} {example.says}: {found}, not {said}")
    finally:
        await stage.ledger.close()
    return wrong


def mutants(scenario: Scenario) -> Iterator[tuple[str, Scenario]]:
    """The scenario with one thing in its rules changed, and what."""
    for n, limit in enumerate(scenario.limits):
        step = 1 if limit.count else limit.points // 20  # type: ignore[operator]
        much = "count" if limit.count else "points"
        changes: list[tuple[str, object]] = [(much, getattr(limit, much) + by) for by in (step, -step)]
        changes += [("per", per) for per in (*get_args(Period), None) if per != limit.per]
        changes += [("by", by) for by in ("person", "site") if by != limit.by]
        for name, value in changes:
            changed = [one.model_copy(update={name: value}) if one is limit else one for one in scenario.limits]
            yield f"limits.{n}.{name} = {value}", scenario.model_copy(update={"limits": changed})
        rest = [one for one in scenario.limits if one is not limit]
        yield f"without limits.{n}", scenario.model_copy(update={"limits": rest})
    gate, eligible = scenario.gate, scenario.eligible
    for grade in STANDING if gate.grade else ():
        if grade != gate.grade:
            yield f"gate.grade = {grade}", _with(scenario, "gate", grade=grade)
    if len([one for one in (gate.grade, gate.points, gate.attested) if one]) > 1:
        yield "gate.needs", _with(scenario, "gate", needs="any" if gate.needs == "all" else "all")
    for by in (1, -1) if eligible.age_min else ():
        yield f"age_min {by:+}", _with(scenario, "eligible", age_min=eligible.age_min + by)  # type: ignore[operator]
    for group in eligible.groups:
        groups = [one for one in eligible.groups if one != group]
        yield f"without {group}", _with(scenario, "eligible", groups=groups or ["G0"])
    for name in ("own_consent", "gift"):
        if getattr(scenario, name):
            yield f"without {name}", scenario.model_copy(update={name: False})
    if scenario.agreement == "required":
        yield "agreement", scenario.model_copy(update={"agreement": "optional"})
    if scenario.settlement == "reimburse" and gate.points:
        yield "fen_per_point", scenario.model_copy(update={"fen_per_point": scenario.fen_per_point + 1})


def _with(scenario: Scenario, part: str, **changes: object) -> Scenario:
    return scenario.model_copy(update={part: getattr(scenario, part).model_copy(update=changes)})


@pytest.fixture
def sqlite(migrated: Callable[..., str], tmp_path: Path) -> str:
    """The address of a fresh SQLite database with the tables of ledger and shop."""
    shutil.copyfile(urlsplit(migrated("sqlite", "ledger", "merchants")).path[1:], tmp_path / "jifen.db")
    return f"sqlite:///{tmp_path / 'jifen.db'}"


@pytest.mark.parametrize("code", list(SCENARIOS))
async def test_the_examples_come_true(sqlite: str, code: str) -> None:
    """Whatever a scenario's file says will happen at the counter, happens."""
    assert [] == await play(sqlite, SCENARIOS, code)


@pytest.mark.long
@pytest.mark.parametrize("code", [code for code, one in SCENARIOS.items() if not one.waits_for])
async def test_the_examples_notice_a_change_of_the_rules(sqlite: str, code: str) -> None:
    """A limit one higher or lower, another period, grade, age or group: some example of the scenario fails."""
    empty = Path(urlsplit(sqlite).path).read_bytes()
    survived = []
    for what, scenario in mutants(SCENARIOS[code]):
        Path(urlsplit(sqlite).path).write_bytes(empty)
        try:
            if not await play(sqlite, {**SCENARIOS, code: scenario}, code):
                survived.append(what)
        except Refusal:
            pass  # an earlier order that the examples need is refused now
    assert [] == survived


NEW = """
code = "S37"
title = { zh = "晾衣区存放柜", en = "Locker at the drying yard" }
category = "community"
benefit = "waiver"
origin = "ours"
provider = { zh = "楼院", en = "the yard" }
agreement = "optional"
settlement = "reimburse"
fen_per_point = 50
value_fen_most = 200
yearly_budget_fen = 100000
valid = { from = 2026-01-01, to = 2026-12-31 }
eligible = { kinds = ["person"], age_min = 18 }
gate = { grade = "AA", points = { least = 100, most = 300 } }
limits = [
  { count = 2, per = "day" },
  { points = 500, per = "month", by = "site" },
  { count = 3, by = "reference", reference = { zh = "柜号", en = "number of the locker" } },
]
examples = [
  { says = "AA 级不花积分", grade = "AA", age = 30, value_fen = 200, reference = "7", fen = 200 },
  { says = "一分值五角", has = 600, price = 300, age = 30, reference = "7", points = 300, fen = 150 },
  { says = "一天第三次", has = 300, price = 100, used = 2, age = 30, reference = "8", used_reference = "7", code = "limit_reached" },
  { says = "本月在这里超过 5 分", has = 600, price = 300, used = 1, used_on = 2026-03-01, age = 30, reference = "7", code = "limit_reached" },
  { says = "换个楼院可以", has = 300, price = 300, used = 1, elsewhere = true, age = 30, reference = "7", points = 300, fen = 150 },
  { says = "这个柜子用满三次", grade = "AA", used = 2, used_on = 2026-02-01, another = true, quantity = 2, age = 30, reference = "7", code = "limit_reached" },
  { says = "到期以后", on = 2027-01-01, grade = "AA", age = 30, reference = "7", code = "offer_closed" },
  { says = "17 岁", grade = "AA", age = 17, reference = "7", code = "not_eligible" },
]
"""  # noqa: E501


async def test_a_37th_needs_no_code(sqlite: str, tmp_path: Path) -> None:
    """One more file is one more scenario: days, limits of every kind, its own value of a point, and its examples."""
    for path in FOLDER.glob("*.toml"):
        shutil.copy(path, tmp_path)
    (tmp_path / "S37-locker.toml").write_text(NEW, encoding="utf-8")
    scenarios = load_scenarios(tmp_path)
    assert 37 == len(scenarios)
    assert [] == await play(sqlite, scenarios, "S37")

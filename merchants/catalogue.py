# SPDX-License-Identifier: Apache-2.0
"""The scenarios: what points and grades may be used for, one TOML file each, checked when loaded.

A scenario says who may use it, what it asks (a grade, points, or a check by a person), who provides and who pays. It
can only ever give: there is no kind that takes a service away, and a public service must name its ordinary route.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

FOLDER = Path(__file__).parent / "scenarios"

Benefit = Literal["goods", "discount", "waiver", "threshold", "priority", "subsidy", "display"]
Category = Literal[
    "travel", "medical", "tourism", "shopping", "credit", "utilities", "education", "community", "honours"
]
Origin = Literal["record", "field", "local", "practice", "ours"]
Settlement = Literal["none", "reimburse", "provider_bears"]
Grade = Literal["AAA", "AA", "A"]
Period = Literal["day", "month", "quarter", "term", "season", "year"]
Words = Annotated[str, Field(min_length=1, max_length=300)]
ORDINARY_ROUTE = {"medical", "education"}  # categories that are public services by themselves
PUBLIC = ("政务", "服务大厅", "医院", "就医", "挂号", "学校", "入学", "社保", "医保", "低保", "救助", "户籍")
"""Words of a title or a provider that make a scenario a public service, whatever its category says."""
NOT_ASKED = ("缴费", "欠费", "收入", "存款", "房产", "纳税", "病", "信访", "上访", "宗教", "民族", "婚", "生育")
"""What nobody may be told to look up before a benefit is given: how bills were paid, means, health, belief, family."""


class ScenarioError(ValueError):
    """A scenario file that may not be used; the message names the file, the place in it and what is wrong."""


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Said(_Strict):
    """A sentence in both languages."""

    zh: Words
    en: Words


class Cost(_Strict):
    """The least and the most an offer may ask for one unit, in hundredths."""

    least: Annotated[int, Field(ge=1)]
    most: Annotated[int, Field(ge=1, le=10**9)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.least > self.most:
            raise ValueError("least is above most")
        return self


class Gate(_Strict):
    """What one must have. A grade: nothing is spent. Points: they are. `attested`: what a member of staff must have
    looked up in person; a till cannot open such a gate. Of several any one will do, unless `needs` is "all"."""

    grade: Grade | None = None
    points: Cost | None = None
    attested: Said | None = None
    needs: Literal["any", "all"] = "any"

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.grade is None and self.points is None and self.attested is None:
            raise ValueError("a gate needs a grade, points or attested")
        for word in NOT_ASKED:
            if self.attested and word in self.attested.zh:
                raise ValueError(f"attested asks about {word}, on which no benefit may depend")
        return self


class Eligible(_Strict):
    """Who may use it. `groups` narrows bodies (any of them); `age_min` narrows persons."""

    kinds: Annotated[list[Literal["person", "body"]], Field(min_length=1)]
    groups: list[Annotated[str, Field(pattern=r"^G[1-8]$")]] = []
    age_min: Annotated[int, Field(ge=18, le=120)] | None = None


class Limit(_Strict):
    """At most `count` units, or `points` in hundredths, per period; for ever without one. windows.py has the days.

    Counted for the person; for the person at each shop ("site"); or for what is named at the counter, such as a meter,
    a plate or a home, whoever names it ("reference")."""

    count: Annotated[int, Field(ge=1)] | None = None
    points: Annotated[int, Field(ge=1)] | None = None
    per: Period | None = None
    by: Literal["person", "site", "reference"] = "person"
    reference: Said | None = None
    note: Said | None = None

    @model_validator(mode="after")
    def _counted(self) -> Self:
        if (self.count is None) == (self.points is None):
            raise ValueError("a limit has a count or points")
        if (self.by == "reference") != (self.reference is not None):
            raise ValueError('reference says what is named at the counter, with by = "reference" and only then')
        return self


class Valid(_Strict):
    """The days on which a scenario is offered at all; without `to`, until further notice."""

    first: Annotated[dt.date, Field(alias="from")]
    last: Annotated[dt.date | None, Field(alias="to")] = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.last is not None and self.last < self.first:
            raise ValueError("to is before from")
        return self


class Example(_Strict):
    """A case at the counter and what must come of it; tests/test_merchants_examples.py plays each through the shop.

    Who comes: kind, age, groups, grade, `has` points. For what: an offer at price, price_cash_fen and value_fen with
    stock; a quantity, a reference. How: identified by card and PIN or by staff's word (`way`), at a till or at the
    community's desk (`asker`); with `relative` a listed relative pays for the person described. Before that, `used`
    units went on `used_on` for `used_reference` (if not said: the same day, the same thing), to this person or
    `another`, here or `elsewhere`. Then either `code` is the refusal, as staff hear it, or points, cash_fen and `fen`,
    what the payer owes the shop, are the order's."""

    says: Words
    on: dt.date = dt.date(2026, 3, 10)
    kind: Literal["person", "body"] = "person"
    age: int | None = None
    groups: list[str] = []
    grade: Grade = "A"
    has: int = 0
    price: int = 0
    price_cash_fen: int = 0
    value_fen: int = 0
    stock: int = -1
    quantity: int = 1
    reference: str | None = None
    then_cash: bool = False
    asker: Literal["till", "staff"] = "staff"
    way: Literal["card", "subject"] = "card"
    relative: bool = False
    agreement: bool = True
    used: int = 0
    used_on: dt.date | None = None
    used_reference: str | None = None
    another: bool = False
    elsewhere: bool = False
    code: str | None = None
    points: int = 0
    cash_fen: int = 0
    fen: int = 0


class Scenario(_Strict):
    """One of the 36.

    `agreement`: "required" where a company or an institution provides, so that no offer is open without a signed
    agreement in force; "optional" where the community itself does, or approves a neighbour's shop offer by offer.
    `value_fen_most`: the most the payer owes the shop for a unit where nothing is spent. `yearly_budget_fen`: what is
    proposed for a community's line of a year. `own_consent`: the person agrees each time by code, PIN or phone; staff's
    word is not enough. `gift`: a listed relative may pay. `terms`: what no counter can know."""

    code: Annotated[str, Field(pattern=r"^S[0-9]{2}$")]
    title: Said
    category: Category
    benefit: Benefit
    origin: Origin
    provider: Said
    agreement: Literal["required", "optional"]
    settlement: Settlement
    fen_per_point: Annotated[int, Field(ge=0, le=10_000)] = 100
    value_fen_most: Annotated[int, Field(ge=0, le=10**8)] = 0
    yearly_budget_fen: Annotated[int, Field(ge=1)] | None = None
    valid: Valid
    eligible: Eligible
    gate: Gate
    limits: list[Limit] = []
    own_consent: bool = False
    gift: bool = False
    public_service: bool = False
    ordinary_route: Said | None = None
    waits_for: Said | None = None
    terms: Said | None = None
    note: Said | None = None
    examples: list[Example] = []

    def is_valid(self, day: str) -> bool:
        """Is it offered at all on this day?"""
        first, last = self.valid.first.isoformat(), self.valid.last
        return first <= day and (last is None or day <= last.isoformat())

    @property
    def reference(self) -> Said | None:
        """What is named at the counter (a meter, a plate), because a limit counts for it."""
        return next((limit.reference for limit in self.limits if limit.reference is not None), None)

    @field_validator("benefit", mode="before")
    @classmethod
    def _gives(cls, value: object) -> object:
        if value == "deny":
            raise ValueError("a scenario may only give; none may deny or worsen a service")
        return value

    @model_validator(mode="after")
    def _limits(self) -> Self:
        kinds = [(limit.per, limit.by, limit.count is None) for limit in self.limits]
        if len(set(kinds)) < len(kinds):
            raise ValueError("limits: two of one kind and period; the smaller one will do")
        if len({limit.reference.zh for limit in self.limits if limit.reference}) > 1:
            raise ValueError("limits: only one thing can be named at the counter")
        return self

    @model_validator(mode="after")
    def _paid(self) -> Self:
        spends = self.gate.points is not None
        if self.settlement == "reimburse":
            if self.yearly_budget_fen is None:
                raise ValueError("what is reimbursed needs a yearly_budget_fen")
        elif self.yearly_budget_fen or self.value_fen_most or (spends and self.fen_per_point):
            raise ValueError("nobody is paid here: no yearly_budget_fen, no value_fen_most, fen_per_point = 0")
        if self.gift and not spends:
            raise ValueError("only points can be given")
        return self

    @model_validator(mode="after")
    def _route(self) -> Self:
        named = any(word in self.title.zh + self.provider.zh for word in PUBLIC)
        if (self.public_service or named or self.category in ORDINARY_ROUTE) and self.ordinary_route is None:
            raise ValueError("a public service must name the ordinary_route that stays open to everybody")
        return self


Scenarios = Mapping[str, Scenario]


def load_scenarios(folder: Path = FOLDER) -> Scenarios:
    """Every scenario in the folder by code. Raises `ScenarioError`."""
    found: dict[str, Scenario] = {}
    for path in sorted(folder.glob("*.toml")):
        scenario = load_scenario(path)
        if scenario.code in found:
            raise ScenarioError(f"{path.name}: {scenario.code} is there already")
        found[scenario.code] = scenario
    return MappingProxyType(found)


def load_scenario(path: Path) -> Scenario:
    """One scenario. Its file's name begins with its code. Raises `ScenarioError`."""
    try:
        scenario = Scenario.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{path.name}: not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "scenario"
        raise ScenarioError(f"{path.name}: {where}: {first['msg']}") from error
    if not path.name.startswith(f"{scenario.code}-"):
        raise ScenarioError(f"{path.name}: code is {scenario.code}, so the name must begin with {scenario.code}-")
    return scenario

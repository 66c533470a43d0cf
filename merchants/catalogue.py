# SPDX-License-Identifier: Apache-2.0
"""The scenarios: what points and grades may be used for, one TOML file each, checked when loaded.

A scenario says who may use it, what it asks (a grade, points, or a check by a person), who provides and who pays. It
can only ever give: there is no kind that takes a service away, and a public service must name its ordinary route.
"""

from __future__ import annotations

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
Words = Annotated[str, Field(min_length=1, max_length=300)]
ORDINARY_ROUTE = {"medical", "education"}  # categories that are public services by themselves
PUBLIC = ("政务", "服务大厅", "医院", "就医", "挂号", "学校", "入学", "社保", "医保", "低保", "救助", "户籍")
"""Words of a title or a provider that make a scenario a public service, whatever its category says."""


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
    """What one must have. A grade: nothing is spent. Points: they are. Both: either will do. `attested`: what a member
    of staff must have looked up in person; a till cannot open such a gate."""

    grade: Literal["AAA", "AA", "A"] | None = None
    points: Cost | None = None
    attested: Said | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.grade is None and self.points is None and self.attested is None:
            raise ValueError("a gate needs a grade, points or attested")
        return self


class Eligible(_Strict):
    """Who may use it. `groups` narrows bodies (any of them); `age_min` narrows persons."""

    kinds: Annotated[list[Literal["person", "body"]], Field(min_length=1)]
    groups: list[Annotated[str, Field(pattern=r"^G[1-8]$")]] = []
    age_min: Annotated[int, Field(ge=18, le=120)] | None = None


class Limit(_Strict):
    """How often: `count` units, or points in hundredths, per period and person. `note` has what no counter can know."""

    count: Annotated[int, Field(ge=1)] | None = None
    points: Annotated[int, Field(ge=1)] | None = None
    per: Literal["day", "month", "quarter", "year", "season"] | None = None
    note: Said | None = None


class Scenario(_Strict):
    """One of the 36."""

    code: Annotated[str, Field(pattern=r"^S[0-9]{2}$")]
    title: Said
    category: Category
    benefit: Benefit
    eligible: Eligible
    gate: Gate
    limit: Limit = Limit()
    provider: Said
    settlement: Settlement
    fen_per_point: Annotated[int, Field(ge=0, le=10_000)] = 100
    yearly_budget_fen: Annotated[int, Field(ge=0)] | None = None
    public_service: bool = False
    ordinary_route: Said | None = None
    waits_for: Said | None = None
    origin: Origin
    note: Said | None = None

    @field_validator("benefit", mode="before")
    @classmethod
    def _gives(cls, value: object) -> object:
        if value == "deny":
            raise ValueError("a scenario may only give; none may deny or worsen a service")
        return value

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

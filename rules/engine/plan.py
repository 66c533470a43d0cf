# SPDX-License-Identifier: Apache-2.0
"""What is the same for every award of an indicator, worked out once and kept."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, TypeAlias

from rules.engine.calendar import add_months
from rules.engine.caps import Slots, slots
from rules.engine.conditions import Condition, conditions, day_names, formula
from rules.engine.model import LEVELS, Indicator, Lifetime, Pack
from rules.engine.refusals import DAYS, least, most
from rules.engine.values import Climb, Compute, Formula, Ladder, Value, compile_value

RANK = {level: rank for rank, level in enumerate(LEVELS)}

Known: TypeAlias = tuple[str, int, int, Container[str] | None, int | str | None]
"""A field as it is checked: name, least, most, allowed texts (None for a number), default."""


@dataclass(frozen=True, slots=True)
class Plan:
    """An indicator made ready: no look-ups, no optional shapes, the constant parts of its traces built.

    `dated`: its rules see the day of the deed as one of the facts.
    """

    first: date
    last: date
    fields: tuple[Known, ...]
    needed_rank: int
    points_rank: int
    when: tuple[Condition, ...]
    dated: bool
    days: tuple[str, ...]
    standing: Compute | None
    climb: Climb | None
    points: Compute | None
    minus: bool
    standing_lifetime: Lifetime
    points_lifetime: Lifetime
    rule: dict[str, Any]
    exclusion: dict[str, Any] | None
    no_standing: dict[str, Any]
    no_points: dict[str, Any]
    points_withheld: dict[str, Any]
    emptied_standing: dict[str, Any]
    emptied_points: dict[str, Any]


@lru_cache(maxsize=16384)
def prepared(pack: Pack, indicator: Indicator, occurred_on: date) -> tuple[Plan, Slots, date]:
    """What the indicator and the day of the deed settle: plan, tallies, entry deadline."""
    return _plan(pack, indicator), slots(pack, indicator, occurred_on), add_months(occurred_on, indicator.deadline)


@lru_cache(maxsize=4096)
def _plan(pack: Pack, indicator: Indicator) -> Plan:
    standing, points = indicator.standing, indicator.points
    standing_rank, points_rank = RANK[indicator.evidence.standing], RANK[indicator.evidence.points]
    nothing = {"kind": "none"}
    emptied = {"kind": "none", "why": "emptied"}
    return Plan(
        first=indicator.effective.from_,
        last=indicator.effective.to or date.max,
        fields=tuple(
            (
                field.name,
                least(field),
                most(field),
                DAYS if field.type == "day" else frozenset(field.values) if field.values else None,
                field.default,
            )
            for field in indicator.fields
        ),
        needed_rank=points_rank if standing is None else standing_rank,
        points_rank=points_rank,
        when=conditions(indicator),
        dated=indicator.when is not None or isinstance(standing, Formula) or isinstance(points, Formula),
        days=day_names(indicator),
        standing=_compute(indicator, standing),
        climb=Climb.of(standing) if isinstance(standing, Ladder) else None,
        points=_compute(indicator, points),
        minus=indicator.direction == "minus",
        standing_lifetime=indicator.validity.standing,
        points_lifetime=indicator.validity.points,
        rule=_rule(indicator),
        exclusion=_exclusion(pack, indicator),
        no_standing=nothing,
        no_points=nothing,
        points_withheld={"kind": "withheld", "needs": indicator.evidence.points},
        emptied_standing=nothing if standing is None else emptied,
        emptied_points=nothing if points is None else emptied,
    )


def _compute(indicator: Indicator, value: Value | None) -> Compute | None:
    if isinstance(value, Formula):
        return formula(indicator, value.expr)
    return None if value is None or isinstance(value, Ladder) else compile_value(value)


def _exclusion(pack: Pack, indicator: Indicator) -> dict[str, Any] | None:
    """What the trace says of the set of hats, one of which this deed wears."""
    if indicator.exclusion is None:
        return None
    found = pack.exclusion_sets[indicator.exclusion]
    others = {
        code: other.name.model_dump()
        for code, other in pack.indicators.items()
        if other.exclusion == indicator.exclusion and other is not indicator
    }
    return {"set": indicator.exclusion, "name": found.name.model_dump(), "by": found.by, "others": others}


def _rule(indicator: Indicator) -> dict[str, Any]:
    """What the trace says of the rule itself, so that it can be read without the pack."""
    fields: dict[str, Any] = {}
    for field in indicator.fields:
        entry: dict[str, Any] = {"label": field.label.model_dump()}
        if field.unit is not None:
            entry["unit"] = field.unit
        if field.values:
            entry["values"] = {word: name.model_dump() for word, name in field.values.items()}
        fields[field.name] = entry
    citation: dict[str, Any] = {"source": indicator.citation.source}
    if indicator.citation.part is not None:
        citation["part"] = indicator.citation.part
    return {
        "code": indicator.code,
        "name": indicator.name.model_dump(),
        "group": indicator.group,
        "direction": indicator.direction,
        "fields": fields,
        "citation": citation,
    }

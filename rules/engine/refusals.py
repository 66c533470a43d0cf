# SPDX-License-Identifier: Apache-2.0
"""Why a report is no award at all, said precisely. Off the fast path: only refused reports come here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from rules.engine.model import LEVELS, Field, Indicator, Pack


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a report is no award at all; `facts` fill the sentence that people read."""

    code: Literal[
        "indicator_not_in_force",
        "entry_deadline_passed",
        "facts_invalid",
        "evidence_too_weak",
        "condition_not_met",
        "other_hat",
    ]
    facts: dict[str, Any]


class _Days:
    """Every day, as ISO text."""

    def __contains__(self, text: object) -> bool:
        try:
            return isinstance(text, str) and date.fromisoformat(text).isoformat() == text
        except ValueError:
            return False


DAYS = _Days()


def not_in_force(indicator: Indicator, occurred_on: date) -> Refused:
    facts: dict[str, Any] = {
        "indicator": indicator.code,
        "occurred_on": occurred_on.isoformat(),
        "from": indicator.effective.from_.isoformat(),
    }
    if indicator.effective.to is not None:
        facts["to"] = indicator.effective.to.isoformat()
    return Refused("indicator_not_in_force", facts)


def too_late(indicator: Indicator, occurred_on: date, posted_on: date, deadline: date) -> Refused:
    return Refused(
        "entry_deadline_passed",
        {
            "indicator": indicator.code,
            "occurred_on": occurred_on.isoformat(),
            "posted_on": posted_on.isoformat(),
            "deadline": deadline.isoformat(),
        },
    )


def condition_not_met(indicator: Indicator, conditions: list[dict[str, Any]], unmet: list[int]) -> Refused:
    """All conditions with their values, and in `missed` those that do not hold, as a sentence in both languages."""
    for index, condition in enumerate(conditions):
        condition["holds"] = "no" if index in unmet else "yes"
    missed = [conditions[index]["says"] for index in unmet]
    return Refused(
        "condition_not_met",
        {
            "indicator": indicator.code,
            "conditions": conditions,
            "missed": {"zh": "；".join(one["zh"] for one in missed), "en": "; ".join(one["en"] for one in missed)},
        },
    )


def other_hat(pack: Pack, indicator: Indicator, other: str, occurred_on: date) -> Refused:
    """The deed's day was already scored under another indicator of the same set."""
    assert indicator.exclusion is not None
    return Refused(
        "other_hat",
        {
            "indicator": indicator.code,
            "other": other,
            "other_name": pack.indicators[other].name.model_dump(),
            "set": indicator.exclusion,
            "set_name": pack.exclusion_sets[indicator.exclusion].name.model_dump(),
            "day": occurred_on.isoformat(),
        },
    )


def invalid(
    indicator: Indicator,
    facts: Mapping[str, int | str],
    evidence_level: str,
    occurred_on: date,
    posted_on: date,
) -> Refused:
    errors: list[dict[str, str]] = []

    def error(pointer: str, code: str, found: object, allowed: str) -> None:
        errors.append({"pointer": pointer, "code": code, "found": str(found)[:80], "allowed": allowed})

    for field in indicator.fields:
        pointer = f"/facts/{field.name}"
        value = facts.get(field.name, field.default)
        allowed = _allowed(field)
        if value is None:
            error(pointer, "missing", "", allowed)
        elif field.type == "int" and type(value) is not int:
            error(pointer, "not_an_integer", value, allowed)
        elif field.type == "int" and not least(field) <= int(value) <= most(field):
            error(pointer, "out_of_range", value, allowed)
        elif field.type == "enum" and (type(value) is not str or value not in field.values):
            error(pointer, "not_in_list", value, allowed)
        elif field.type == "day" and value not in DAYS:
            error(pointer, "not_a_day", value, allowed)
    names = {field.name for field in indicator.fields}
    for name in facts.keys() - names:
        error(f"/facts/{name}"[:80], "unknown", facts[name], ", ".join(sorted(names)))
    if evidence_level not in LEVELS:
        error("/evidence", "not_in_list", evidence_level, ", ".join(LEVELS))
    if occurred_on > posted_on:
        error("/occurred_on", "in_future", occurred_on.isoformat(), f"..{posted_on.isoformat()}")
    return Refused("facts_invalid", {"indicator": indicator.code, "errors": errors})


def _allowed(field: Field) -> str:
    if field.type == "day":
        return "YYYY-MM-DD"
    return f"{least(field)}..{most(field)}" if field.type == "int" else ", ".join(field.values)


def least(field: Field) -> int:
    """The smallest quantity that a number field takes."""
    return 0 if field.min is None else field.min


def most(field: Field) -> int:
    """The largest quantity that a number field takes."""
    return 2**53 - 1 if field.max is None else field.max

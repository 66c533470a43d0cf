# SPDX-License-Identifier: Apache-2.0
"""The texts of an indicator in the rule language, made ready: its conditions and its formulas.

A rule sees the facts by their names and the day of the deed as `occurred_on`. A condition sees what was reported; a
formula sees what the caps on facts have left of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, NamedTuple, TypeAlias

from rules.engine.language import (
    OCCURRED_ON,
    Checked,
    Day,
    Enum,
    Int,
    Type,
    check,
    compile_scalar,
    conjuncts,
    parse,
    prose,
    source,
    steps,
    walk,
)
from rules.engine.language.scalar import Rule
from rules.engine.language.tree import Name
from rules.engine.model import Field, Indicator
from rules.engine.refusals import least, most
from rules.engine.values import Compute, Step

Given: TypeAlias = Mapping[str, int | str | date]
Facts: TypeAlias = Mapping[str, int | str]


class Condition(NamedTuple):
    """One of the conditions that must all hold; `names` are the fields it looks at, `worked` the numbers that it
    compares and that no field states."""

    stated: dict[str, Any]
    names: tuple[str, ...]
    worked: tuple[tuple[dict[str, str], Rule], ...]
    holds: Rule


def scope(indicator: Indicator, *, counted: bool = False) -> dict[str, Type]:
    """What a rule of this indicator may name. `counted`: a cap may have left less of a number than its field's min."""
    capped = {cap.on for cap in indicator.caps} if counted else set[str]()
    return {field.name: _type(field, field.name in capped) for field in indicator.fields}


def _type(field: Field, capped: bool) -> Type:
    if field.type == "day":
        return Day()
    if field.type == "enum":
        return Enum(tuple(field.values))
    return Int(min(least(field), 1) if capped else least(field), most(field))


def conditions(indicator: Indicator) -> tuple[Condition, ...]:
    """The indicator's `when` in its parts. Raises LanguageError."""
    if indicator.when is None:
        return ()
    parts = conjuncts(check(parse(indicator.when), scope(indicator)))
    return tuple(
        Condition(
            _stated(indicator, part),
            _names(part),
            tuple((_says(indicator, number), compile_scalar(number)) for number in _worked_out(part)),
            compile_scalar(part),
        )
        for part in parts
    )


def _worked_out(checked: Checked) -> Iterator[Checked]:
    """The numbers in a condition that had to be worked out, each as a whole."""
    for part in checked.parts:
        if not isinstance(part.type, Int):
            yield from _worked_out(part)
        elif any(isinstance(node, Name) for node in walk(part.expr)) and not isinstance(part.expr, Name):
            yield part


def formula(indicator: Indicator, text: str) -> Compute:
    """A formula of the indicator as a function of facts with `occurred_on` among them. Raises LanguageError."""
    checked = check(parse(text), scope(indicator, counted=True))
    stated, names, days = {"kind": "formula", **_stated(indicator, checked)}, _names(checked), day_names(indicator)

    def compute(facts: Facts) -> tuple[int, Step]:
        done = steps(checked, given(facts, days))
        values = {name: facts[name] for name in names}
        return int(done[-1]["value"]), {**stated, "values": values, "steps": _plain(done[:-1])}

    return compute


def day_names(indicator: Indicator) -> tuple[str, ...]:
    """The facts that are days, that of the deed among them."""
    return (*(field.name for field in indicator.fields if field.type == "day"), OCCURRED_ON)


def given(facts: Facts, days: tuple[str, ...]) -> Given:
    """The facts as the language takes them: days as days."""
    return {**facts, **{name: date.fromisoformat(str(facts[name])) for name in days}}


def look(condition: Condition, facts: Facts, rule_facts: Given) -> dict[str, Any]:
    """A condition with its actual values, as it stands in a trace or a refusal."""
    return {
        **condition.stated,
        "values": {name: facts[name] for name in condition.names},
        "worked": [{"says": says, "value": int(number(rule_facts))} for says, number in condition.worked],
    }


def _plain(done: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Steps as a trace holds them: numbers, words and ISO days; a condition on the way says yes or no."""
    for step in done:
        value = step["value"]
        if isinstance(value, bool):
            step["value"] = "yes" if value else "no"
        elif isinstance(value, date):
            step["value"] = value.isoformat()
    return done


def _stated(indicator: Indicator, checked: Checked) -> dict[str, Any]:
    return {"expr": source(checked.expr), "says": _says(indicator, checked)}


def _says(indicator: Indicator, checked: Checked) -> dict[str, str]:
    words = labels(indicator)
    return {"zh": prose(checked, words, "zh"), "en": prose(checked, words, "en")}


def labels(indicator: Indicator) -> dict[str, dict[str, str]]:
    """What fields are called, and the words of each (`field.word`), for prose."""
    named = {field.name: field.label.model_dump() for field in indicator.fields}
    for field in indicator.fields:
        named |= {f"{field.name}.{word}": name.model_dump() for word, name in field.values.items()}
    return named


def _names(checked: Checked) -> tuple[str, ...]:
    found = (node.name for node in walk(checked.expr) if isinstance(node, Name))
    return tuple(dict.fromkeys(name for name in found if name != OCCURRED_ON))

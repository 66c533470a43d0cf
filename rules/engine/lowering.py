# SPDX-License-Identifier: Apache-2.0
"""The value forms of a pack as expressions of the rule language: one meaning, one set of back ends.

`values.py` computes the structured forms directly and says their steps in their own words; a back-test computes
the expression made here. Trees are built balanced, so that a table of a hundred rows is not a hundred levels deep.
"""

from __future__ import annotations

from collections.abc import Sequence

from rules.engine.language.parser import parse
from rules.engine.language.tree import Among, Arithmetic, Binary, Call, Choice, Expr, Name, Number, Text
from rules.engine.values import Brackets, Fixed, Formula, Ladder, PerUnit, Rounding, Tier

TOTAL = "total"
"""The name under which `ladder_level` takes the running total."""


def lower(value: Fixed | PerUnit | Tier | Brackets | Formula) -> Expr:
    """The amount of a value form over its facts; LanguageError for a formula that is none."""
    match value:
        case Fixed():
            return Number(value.amount)
        case PerUnit():
            return _rated(Name(value.field), value.unit, value.amount, value.rounding)
        case Tier():
            return _tier(Name(value.field), tuple(value.amounts.items()))
        case Brackets():
            return _brackets(value)
        case Formula():
            return parse(value.expr)


def ladder_level(ladder: Ladder) -> Expr:
    """The level on which a `total` stands; an award posts what is new of it (docs/adr/0010-ladder-counter.md)."""
    return _rungs(0, tuple((rung.at, rung.level) for rung in ladder.steps))


def _rated(quantity: Expr, unit: int, amount: int, rounding: Rounding) -> Expr:
    """So much for every unit: only whole units, or parts of one down to the hundredth."""
    if rounding == "unit":
        return _binary("*", Call("div_floor", (quantity, Number(unit))), Number(amount))
    return Call("div_floor", (_binary("*", quantity, Number(amount)), Number(unit)))


def _tier(name: Name, rows: Sequence[tuple[str, int]]) -> Expr:
    if len(rows) == 1:
        return Number(rows[0][1])
    first, rest = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    words = tuple(Text(word) for word, _ in first)
    condition = Binary("==", name, words[0]) if len(words) == 1 else Among(name, words)
    return Choice(condition, _tier(name, first), _tier(name, rest))


def _brackets(value: Brackets) -> Expr:
    parts: list[Expr] = []
    quantity = Name(value.field)
    above = 0
    for bracket in value.brackets:
        upper = quantity if bracket.up_to is None else Call("min", (quantity, Number(bracket.up_to)))
        part = Call("max", (_binary("-", upper, Number(above)) if above else upper, Number(0)))
        parts.append(_rated(part, bracket.unit, bracket.amount, value.rounding))
        above = bracket.up_to or above
    return _sum(parts)


def _sum(parts: Sequence[Expr]) -> Expr:
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return _binary("+", _sum(parts[:middle]), _sum(parts[middle:]))


def _rungs(ground: int, rungs: Sequence[tuple[int, int]]) -> Expr:
    """The level of a total that has at least `ground` for certain."""
    if not rungs:
        return Number(ground)
    middle = len(rungs) // 2
    at, level = rungs[middle]
    below = Binary("<", Name(TOTAL), Number(at))
    return Choice(below, _rungs(ground, rungs[:middle]), _rungs(level, rungs[middle + 1 :]))


def _binary(operator: Arithmetic, left: Expr, right: Expr) -> Expr:
    return Binary(operator, left, right)

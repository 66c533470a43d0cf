# SPDX-License-Identifier: Apache-2.0
"""Random programs of the rule language with their fields and rows, and two opinions on what they come to.

`evaluated` walks the tree in plain Python and holds every number against its proven interval; `cel_context` hands
a row to the Rust implementation of CEL, where a day is its ordinal and our functions are registered by us.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from random import Random
from typing import Any

import cel

from rules.engine.language import Bool, Checked, Day, Enum, Expr, Int, Type
from rules.engine.language.tree import (
    Among,
    Arithmetic,
    Binary,
    Call,
    Choice,
    Comparison,
    Name,
    Number,
    Prefix,
    Text,
    Truth,
)

NAMES = ["hours", "minutes", "amount", "count", "level", "kind", "flag", "born", "ended", "x"]
# Names that mean something elsewhere: to Python, to the generated code, to CEL, to the language itself.
NAMES += ["lambda", "def", "print", "facts", "v0", "t0", "min", "day", "steps"]
WORDS = ["city", "district", "community", "yes", "no", "v1", "facts", "in_kind", "a", "b"]
RANGES = [(0, 24), (0, 10_000), (-5, 5), (1, 1), (0, 10**7), (-(10**6), -1), (0, 2**53 - 1), (-(2**31), 2**40)]
EDGES = [(-(2**63), 2**63 - 1), (0, 2**63 - 1), (-(2**63), -(2**63) + 1)]
DAYS = [date.min, date.max, date(2024, 2, 29), date(2023, 12, 31), date(2026, 1, 1), date(1969, 12, 31)]


class Programs:
    """Programs over one set of fields."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.scope: dict[str, Type] = {}
        names = self.random.sample(NAMES, 9)
        for index, name in enumerate(names):
            self.scope[name] = self._type(index)
        self.all = {**self.scope, "occurred_on": Day()}

    def _type(self, index: int) -> Type:
        if index < 5:
            return Int(*self.random.choice(EDGES if self.random.random() < 0.1 else RANGES))
        if index < 7:
            return Enum(tuple(self.random.sample(WORDS, self.random.randint(1, 5))))
        return Bool() if index == 7 else Day()

    def row(self) -> dict[str, Any]:
        """Facts within their types, half of the time at an end of the range."""
        return {name: self._fact(type_) for name, type_ in self.all.items()}

    def _fact(self, type_: Type) -> Any:
        chance = self.random.random()
        match type_:
            case Int(lo, hi):
                return lo if chance < 0.25 else hi if chance < 0.5 else self.random.randint(lo, hi)
            case Enum(words):
                return self.random.choice(words)
            case Bool():
                return chance < 0.5
            case Day():
                ordinal = self.random.randint(1, date.max.toordinal())
                return self.random.choice(DAYS) if chance < 0.5 else date.fromordinal(ordinal)

    def program(self) -> Expr:
        """A tree that mostly has a type; what does not is for `check` to refuse."""
        depth = self.random.randint(1, 6)
        return self.condition(depth) if self.random.random() < 0.4 else self.number(depth)

    def names(self, kind: type) -> list[str]:
        return [name for name, type_ in self.all.items() if isinstance(type_, kind)]

    def number(self, depth: int) -> Expr:
        pick = self.random
        if depth <= 0 or pick.random() < 0.1:
            if pick.random() < 0.65:
                return Name(pick.choice(self.names(Int)))
            return Number(
                pick.choice([0, 1, 2, 60, 100, pick.randint(0, 1000), pick.randint(0, 10**6), 2**53, 2**63 - 1])
            )
        match pick.randint(0, 11):
            case 0 | 1 | 2:
                sign: Arithmetic = pick.choice(("+", "-"))
                return Binary(sign, self.number(depth - 1), self.number(depth - 1))
            case 3 | 4:
                return Binary("*", self.number(depth - 2), self.number(depth - 2))
            case 5:
                return Prefix("-", self.number(depth - 1))
            case 6 | 7:
                arguments = tuple(self.number(depth - 1) for _ in range(pick.randint(2, 4)))
                return Call(pick.choice(["min", "max"]), arguments)
            case 8 | 9:
                number = self.number(depth - 1)
                if pick.random() < 0.8:
                    number = Call("max", (number, Number(0)))
                divisor = Number(pick.choice([1, 2, 3, 60, pick.randint(1, 1000), 2**62, 2**63 - 1]))
                return Call(pick.choice(["div_floor", "round_half_up"]), (number, divisor))
            case 10:
                return Choice(self.condition(depth - 1), self.number(depth - 1), self.number(depth - 1))
            case _:
                if pick.random() < 0.3:
                    return Call("days_between", (self.day(), self.day()))
                return Call(pick.choice(["year", "month", "day", "quarter", "weekday"]), (self.day(),))

    def day(self) -> Expr:
        return Name(self.random.choice(self.names(Day)))

    def condition(self, depth: int) -> Expr:
        pick = self.random
        if depth <= 0 or pick.random() < 0.05:
            return pick.choice([Name(pick.choice(self.names(Bool))), Truth(pick.random() < 0.5)])
        comparison: Comparison = pick.choice(("==", "!=", "<", "<=", ">", ">="))
        match pick.randint(0, 9):
            case 0 | 1 | 2:
                return Binary(pick.choice(["&&", "||"]), self.condition(depth - 1), self.condition(depth - 1))
            case 3:
                return Prefix("!", self.condition(depth - 1))
            case 4:
                name = pick.choice(self.names(Int))
                interval = self.all[name]
                assert isinstance(interval, Int)
                end = pick.choice([interval.lo, interval.hi]) + pick.randint(-1, 1)
                number = Number(end) if end >= 0 else Prefix("-", Number(-end))
                sides = [Name(name), number]
                pick.shuffle(sides)
                return Binary(comparison, *sides)
            case 5:
                return Binary(comparison, self.number(depth - 1), self.number(depth - 1))
            case 6:
                return Binary(comparison, self.day(), self.day())
            case 7:
                name = pick.choice(self.names(Enum))
                enum = self.all[name]
                assert isinstance(enum, Enum)
                words = tuple(Text(pick.choice(enum.words)) for _ in range(pick.randint(1, 3)))
                sides = [Name(name), words[0]]
                pick.shuffle(sides)
                return Among(Name(name), words) if len(words) > 1 else Binary(pick.choice(["==", "!="]), *sides)
            case 8:
                choices = tuple(Number(pick.randint(-3, 30)) for _ in range(pick.randint(1, 4)))
                return Among(self.number(depth - 1), choices)
            case _:
                return Choice(self.condition(depth - 1), self.condition(depth - 1), self.condition(depth - 1))


def evaluated(checked: Checked, row: Mapping[str, Any]) -> Any:
    """The value by walking the tree; every number, taken or not, must lie in its interval and in an int64."""
    expr = checked.expr
    parts = [evaluated(part, row) for part in checked.parts]
    value: Any
    match expr:
        case Number() | Text() | Truth():
            value = expr.value
        case Name():
            value = row[expr.name]
        case Prefix():
            value = not parts[0] if expr.operator == "!" else -parts[0]
        case Binary():
            value = _OPERATORS[expr.operator](*parts)
        case Among():
            value = any(parts[0] == choice.value for choice in expr.choices)
        case Choice():
            value = parts[1] if parts[0] else parts[2]
        case Call():
            value = _FUNCTIONS[expr.function](*parts)
    if isinstance(checked.type, Int):
        assert checked.type.lo <= value <= checked.type.hi, (expr, value)
        assert -(2**63) <= value < 2**63
    return value


def cel_context(row: Mapping[str, Any]) -> cel.Context:
    """A row as CEL sees it."""
    context = cel.Context()
    for name, value in row.items():
        context.add_variable(name, value.toordinal() if isinstance(value, date) else value)
    for name in ("min", "max", "div_floor", "round_half_up"):
        context.add_function(name, _FUNCTIONS[name])
    for name in ("year", "month", "day", "quarter", "weekday"):
        function = _FUNCTIONS[name]
        context.add_function(name, lambda day, function=function: function(date.fromordinal(day)))
    context.add_function("days_between", lambda first, last: last - first)
    return context


_OPERATORS = {
    "+": lambda one, two: one + two,
    "-": lambda one, two: one - two,
    "*": lambda one, two: one * two,
    "==": lambda one, two: one == two,
    "!=": lambda one, two: one != two,
    "<": lambda one, two: one < two,
    "<=": lambda one, two: one <= two,
    ">": lambda one, two: one > two,
    ">=": lambda one, two: one >= two,
    "&&": lambda one, two: one and two,
    "||": lambda one, two: one or two,
}
_FUNCTIONS = {
    "min": lambda *numbers: sorted(numbers)[0],
    "max": lambda *numbers: sorted(numbers)[-1],
    "div_floor": lambda number, divisor: (number - number % divisor) // divisor,
    "round_half_up": lambda number, divisor: int(
        (Decimal(number) / Decimal(divisor)).quantize(Decimal(1), ROUND_HALF_UP)
    ),
    "year": lambda day: int(day.strftime("%Y")),
    "month": lambda day: int(day.strftime("%m")),
    "day": lambda day: int(day.strftime("%d")),
    "quarter": lambda day: [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4][day.month - 1],
    "weekday": lambda day: int(day.strftime("%u")),
    "days_between": lambda first, last: (last - first).days,
}

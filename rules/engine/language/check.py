# SPDX-License-Identifier: Apache-2.0
"""Types and intervals: what passes here cannot fail, overflow or mean two things at run time.

Every number of a checked expression, down to the last sub-expression and whether or not its branch is taken, is
proven to lie in its interval and in an int64, and no division sees a negative operand. So it makes no difference
whether an evaluator stops at the first false condition or computes all of them, nor how it rounds below zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from rules.engine.language.builtin import DAY_PARTS, DIVISIONS, LARGEST_OR_SMALLEST, SIGNATURES, divided, picked
from rules.engine.language.errors import LanguageError
from rules.engine.language.tokens import clipped, shown
from rules.engine.language.tree import (
    Among,
    Binary,
    Call,
    Choice,
    Expr,
    Name,
    Node,
    Number,
    Prefix,
    Text,
    Truth,
    source,
)
from rules.engine.language.types import (
    DAYS_MAX,
    INT64_MAX,
    INT64_MIN,
    Bool,
    Day,
    Enum,
    Int,
    Type,
    arithmetic,
    either,
    negated,
)

OCCURRED_ON = "occurred_on"
"""The day of the deed: in scope in every rule."""


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """An expression with its type, and its operands likewise; a number's type is its proven interval.

    A word in quotes has the type of the enum it is compared with. Compared by identity, like the rule it belongs to.
    """

    expr: Expr
    type: Type
    parts: tuple[Checked, ...] = ()


def check(expr: Expr, scope: Mapping[str, Type]) -> Checked:
    """The expression with its types; LanguageError where it has none, or where the proof fails."""
    assert all(name.fits for name in scope.values() if isinstance(name, Int)), "the fields of a pack are int64"
    return _Checker({**scope, OCCURRED_ON: Day()}).check(expr)


def conjuncts(checked: Checked) -> tuple[Checked, ...]:
    """The conditions that must all hold, from left to right; the expression itself if it is no `&&`."""
    if isinstance(checked.expr, Binary) and checked.expr.operator == "&&":
        return tuple(one for part in checked.parts for one in conjuncts(part))
    return (checked,)


class _Checker:
    def __init__(self, scope: Mapping[str, Type]) -> None:
        self.scope = scope

    def check(self, expr: Expr) -> Checked:
        match expr:
            case Number():
                checked = Checked(expr, Int(expr.value, expr.value))
            case Truth():
                checked = Checked(expr, Bool())
            case Text():
                _refuse(expr, "wrong_type", source(expr), f"name == {source(expr)}")
            case Name():
                if expr.name not in self.scope:
                    _refuse(expr, "unknown_name", expr.name, ", ".join(sorted(self.scope)))
                checked = Checked(expr, self.scope[expr.name])
            case Prefix():
                checked = self.prefix(expr)
            case Binary():
                checked = self.binary(expr)
            case Among():
                checked = self.among(expr)
            case Choice():
                checked = self.choice(expr)
            case Call():
                checked = self.call(expr)
        if isinstance(checked.type, Int) and not checked.type.fits:
            _refuse(expr, "out_of_range", _typed(checked), f"{INT64_MIN}..{INT64_MAX}")
        return checked

    def prefix(self, expr: Prefix) -> Checked:
        if expr.operator == "!":
            return Checked(expr, Bool(), (self.condition(expr.operand),))
        operand, interval = self.number(expr.operand)
        return Checked(expr, negated(interval), (operand,))

    def binary(self, expr: Binary) -> Checked:
        if expr.operator in ("&&", "||"):
            return Checked(expr, Bool(), (self.condition(expr.left), self.condition(expr.right)))
        if expr.operator in ("+", "-", "*"):
            left, one = self.number(expr.left)
            right, two = self.number(expr.right)
            return Checked(expr, arithmetic(expr.operator, one, two), (left, right))
        return Checked(expr, Bool(), self.compared(expr))

    def compared(self, expr: Binary) -> tuple[Checked, Checked]:
        """Numbers with numbers, days with days, a list field with a word of its list."""
        if isinstance(expr.right, Text):
            left = self.check(expr.left)
            pair = left, self.word(expr.right, left)
        elif isinstance(expr.left, Text):
            right = self.check(expr.right)
            pair = self.word(expr.left, right), right
        else:
            pair = self.check(expr.left), self.check(expr.right)
            left, right = pair
            if isinstance(left.type, Bool):
                _refuse(left.expr, "wrong_type", _typed(left), "int, day, enum")
            if isinstance(left.type, Enum):
                _refuse(right.expr, "wrong_type", _typed(right), _words(left.type))
            if type(left.type) is not type(right.type):
                _refuse(right.expr, "wrong_type", _typed(right), _kind(left.type))
            return pair
        if expr.operator not in ("==", "!="):
            _refuse(expr, "wrong_type", source(expr), "== !=")
        return pair

    def word(self, text: Text, other: Checked) -> Checked:
        if not isinstance(other.type, Enum):
            if isinstance(other.type, Int | Day):
                _refuse(text, "wrong_type", source(text), _kind(other.type))
            _refuse(other.expr, "wrong_type", _typed(other), "enum")
        if text.value not in other.type.words:
            _refuse(text, "unknown_word", source(text), _words(other.type))
        return Checked(text, other.type)

    def among(self, expr: Among) -> Checked:
        item = self.check(expr.item)
        if isinstance(item.type, Bool | Day):
            _refuse(expr.item, "wrong_type", _typed(item), "int, enum")
        for choice in expr.choices:
            if isinstance(choice, Text):
                self.word(choice, item)
            elif isinstance(item.type, Enum):
                _refuse(choice, "wrong_type", source(choice), _words(item.type))
            else:
                self.check(choice)
        return Checked(expr, Bool(), (item,))

    def choice(self, expr: Choice) -> Checked:
        condition = self.condition(expr.condition)
        then, otherwise = self.check(expr.then), self.check(expr.otherwise)
        for branch in (then, otherwise):
            if not isinstance(branch.type, Int | Bool):
                _refuse(branch.expr, "wrong_type", _typed(branch), "int, bool")
        parts = (condition, then, otherwise)
        if isinstance(then.type, Int) and isinstance(otherwise.type, Int):
            return Checked(expr, either(then.type, otherwise.type), parts)
        if type(then.type) is not type(otherwise.type):
            _refuse(otherwise.expr, "wrong_type", _typed(otherwise), _kind(then.type))
        return Checked(expr, Bool(), parts)

    def call(self, expr: Call) -> Checked:
        function, count = expr.function, len(expr.arguments)
        if function not in SIGNATURES:
            _refuse(expr, "unknown_function", function, ", ".join(SIGNATURES))
        if count < 2 if function in LARGEST_OR_SMALLEST else count != (1 if function in DAY_PARTS else 2):
            _refuse(expr, "wrong_arguments", source(expr), SIGNATURES[function])
        if function in DIVISIONS:
            return self.division(expr)
        if function in LARGEST_OR_SMALLEST:
            numbers = [self.number(argument) for argument in expr.arguments]
            interval = picked(function, [interval for _, interval in numbers])
            return Checked(expr, interval, tuple(number for number, _ in numbers))
        days = tuple(self.day(argument) for argument in expr.arguments)
        return Checked(expr, DAY_PARTS.get(function, Int(-DAYS_MAX, DAYS_MAX)), days)

    def division(self, expr: Call) -> Checked:
        number, interval = self.number(expr.arguments[0])
        divisor = expr.arguments[1]
        if not isinstance(divisor, Number) or divisor.value < 1:
            instead = f"{expr.function}({source(number.expr)}, 60)"
            _refuse(divisor, "not_a_positive_number", source(divisor), instead)
        literal = self.check(divisor)
        if interval.lo < 0:
            instead = f"{expr.function}(max({source(number.expr)}, 0), {divisor.value})"
            _refuse(number.expr, "maybe_negative", _typed(number), instead)
        return Checked(expr, divided(expr.function, interval, divisor.value), (number, literal))

    def condition(self, expr: Expr) -> Checked:
        checked = self.check(expr)
        if not isinstance(checked.type, Bool):
            _refuse(expr, "wrong_type", _typed(checked), "bool")
        return checked

    def number(self, expr: Expr) -> tuple[Checked, Int]:
        checked = self.check(expr)
        if not isinstance(checked.type, Int):
            _refuse(expr, "wrong_type", _typed(checked), "int")
        return checked, checked.type

    def day(self, expr: Expr) -> Checked:
        checked = self.check(expr)
        if not isinstance(checked.type, Day):
            _refuse(expr, "wrong_type", _typed(checked), "day")
        return checked


def _kind(type_: Type) -> str:
    return type(type_).__name__.lower()


def _typed(checked: Checked) -> str:
    """A piece of the rule with its type, for a message: the interval where it is a number."""
    stated = str(checked.type) if isinstance(checked.type, Int) else _kind(checked.type)
    return f"{shown(source(checked.expr))}: {stated}"


def _words(enum: Enum) -> str:
    return ", ".join(f"'{word}'" for word in enum.words)


def _refuse(node: Node, code: str, found: str, allowed: str) -> NoReturn:
    raise LanguageError(code, node.line, node.column, clipped(found), clipped(allowed))

# SPDX-License-Identifier: Apache-2.0
"""The tree of an expression, and its canonical text.

Nodes carry where they stood in the text, for messages; two expressions are equal when they say the same,
wherever they stood. A tree that was built rather than read has no places.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Comparison: TypeAlias = Literal["==", "!=", "<", "<=", ">", ">="]
Arithmetic: TypeAlias = Literal["+", "-", "*"]
Connective: TypeAlias = Literal["&&", "||"]
Operator: TypeAlias = Comparison | Arithmetic | Connective

BINDING = {
    "||": 2,
    "&&": 3,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in"), 4),
    "+": 5,
    "-": 5,
    "*": 6,
}
"""How tightly an operator holds its operands, as in CEL; `?:` holds least (1), the prefixes most (7)."""

TERNARY, RELATION, PREFIX, WHOLE = 1, 4, 7, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Where a piece of an expression stands: characters `offset` up to `end`; line and column counted from 1."""

    offset: int = field(default=0, compare=False, repr=False)
    end: int = field(default=0, compare=False, repr=False)
    line: int = field(default=1, compare=False, repr=False)
    column: int = field(default=1, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Number(Node):
    """A whole number; negative only among the choices of `in`, elsewhere the sign is a `Prefix`."""

    value: int


@dataclass(frozen=True, slots=True)
class Text(Node):
    """A word in quotes."""

    value: str


@dataclass(frozen=True, slots=True)
class Truth(Node):
    """`true` or `false`."""

    value: bool


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A field of the indicator, or `occurred_on`."""

    name: str


@dataclass(frozen=True, slots=True)
class Prefix(Node):
    """`!` of a condition, `-` of a number."""

    operator: Literal["!", "-"]
    operand: Expr


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """Two operands and what joins them."""

    operator: Operator
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Among(Node):
    """`item in [choices]`."""

    item: Expr
    choices: tuple[Number | Text, ...]


@dataclass(frozen=True, slots=True)
class Choice(Node):
    """`condition ? then : otherwise`."""

    condition: Expr
    then: Expr
    otherwise: Expr


@dataclass(frozen=True, slots=True)
class Call(Node):
    """One of the built-in functions."""

    function: str
    arguments: tuple[Expr, ...]


Expr: TypeAlias = Number | Text | Truth | Name | Prefix | Binary | Among | Choice | Call


def children(expr: Expr) -> tuple[Expr, ...]:
    """The operands of an expression, from left to right; the choices of `in` are not operands."""
    match expr:
        case Prefix():
            return (expr.operand,)
        case Binary():
            return expr.left, expr.right
        case Among():
            return (expr.item,)
        case Choice():
            return expr.condition, expr.then, expr.otherwise
        case Call():
            return expr.arguments
        case _:
            return ()


def walk(expr: Expr) -> Iterator[Expr]:
    """An expression and everything in it, each before what it is made of."""
    yield expr
    for child in children(expr):
        yield from walk(child)


def source(expr: Expr) -> str:
    """The canonical text: single spaces, single quotes, no parenthesis that changes nothing."""
    match expr:
        case Number():
            return str(expr.value)
        case Text():
            return f"'{expr.value}'" if "'" not in expr.value else f'"{expr.value}"'
        case Truth():
            return "true" if expr.value else "false"
        case Name():
            return expr.name
        case Prefix():
            return expr.operator + _within(expr.operand, WHOLE)
        case Binary():
            binding = BINDING[expr.operator]
            # A comparison takes no comparison on either side; the others group to the left.
            left = binding + (binding == RELATION)
            return f"{_within(expr.left, left)} {expr.operator} {_within(expr.right, binding + 1)}"
        case Among():
            choices = ", ".join(source(choice) for choice in expr.choices)
            return f"{_within(expr.item, RELATION + 1)} in [{choices}]"
        case Choice():
            condition, then = _within(expr.condition, TERNARY + 1), _within(expr.then, TERNARY + 1)
            return f"{condition} ? {then} : {source(expr.otherwise)}"
        case Call():
            return f"{expr.function}({', '.join(source(argument) for argument in expr.arguments)})"


def _within(expr: Expr, least: int) -> str:
    text = source(expr)
    return text if _binding(expr) >= least else f"({text})"


def _binding(expr: Expr) -> int:
    match expr:
        case Choice():
            return TERNARY
        case Binary():
            return BINDING[expr.operator]
        case Among():
            return RELATION
        case Prefix():
            return PREFIX
        case _:
            return WHOLE

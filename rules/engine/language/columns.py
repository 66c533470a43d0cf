# SPDX-License-Identifier: Apache-2.0
"""Millions of awards at a time: a polars expression from a checked tree.

Polars computes both sides of everything and lets int64 wrap; neither shows, because `check` has proven that no
sub-expression leaves int64 and that nothing divided is negative. Columns are named like the fields and hold no
nulls: whole numbers of any width, words as String (or Categorical), days as Date.
"""

# Polars states what may be in a literal as a union with an unknown in it.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import add, eq, ge, gt, le, lt, mul, ne, sub
from typing import TYPE_CHECKING, Any

from rules.engine.language.check import Checked
from rules.engine.language.scalar import build, python
from rules.engine.language.tree import Among, Binary, Call, Choice, Name, Number, Prefix, Text, Truth
from rules.engine.language.types import Int

if TYPE_CHECKING:
    import polars as pl

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": add,
    "-": sub,
    "*": mul,
    "==": eq,
    "!=": ne,
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
    "&&": lambda one, two: one & two,
    "||": lambda one, two: one | two,
}
_MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def to_polars(checked: Checked) -> pl.Expr:
    """The same value for every row, Int64 or Boolean; one row where the value does not depend on any field.

    A column in which polars knows only one value (a literal, a branch taken by all rows) makes some of its operations
    lose all rows but one: comparisons with a literal on the left, min_horizontal, shared pieces without a column. So
    what is known without the facts is computed here, literals stand on the right, and min and max are a clip.
    """
    return _column(checked, {})


def _column(checked: Checked, seen: dict[Checked, int | bool | None]) -> pl.Expr:
    import polars as pl  # here: a server that evaluates single awards does without

    known = _known(checked, seen)
    if known is not None:
        return pl.lit(known, dtype=pl.Boolean if isinstance(known, bool) else pl.Int64)
    expr = checked.expr
    if isinstance(expr, Choice) and (condition := _known(checked.parts[0], seen)) is not None:
        return _column(checked.parts[1 if condition else 2], seen)
    if isinstance(expr, Binary) and expr.operator in ("&&", "||"):
        # A side that is known and does not decide says nothing.
        return reduce(_OPERATORS[expr.operator], (_column(p, seen) for p in checked.parts if _known(p, seen) is None))
    parts = [_column(part, seen) for part in checked.parts]
    match expr:
        case Name():
            # A narrow column would be added and multiplied in its own width.
            return pl.col(expr.name).cast(pl.Int64) if isinstance(checked.type, Int) else pl.col(expr.name)
        case Text():
            return pl.lit(expr.value)
        case Prefix():
            return ~parts[0] if expr.operator == "!" else -parts[0]
        case Binary():
            first = checked.parts[0]
            if expr.operator in _MIRRORED and (isinstance(first.expr, Text) or _known(first, seen) is not None):
                return _OPERATORS[_MIRRORED[expr.operator]](parts[1], parts[0])
            return _OPERATORS[expr.operator](*parts)
        case Among():
            return parts[0].is_in([choice.value for choice in expr.choices])
        case Choice():
            return pl.when(parts[0]).then(parts[1]).otherwise(parts[2])
        case Call(function="min" | "max"):
            bound = "upper_bound" if expr.function == "min" else "lower_bound"
            return reduce(lambda one, two: one.clip(**{bound: two}), parts)
        case Call():
            return _call(expr.function, parts)
        case Number() | Truth():
            raise AssertionError("a constant is known")


def _known(checked: Checked, seen: dict[Checked, int | bool | None]) -> int | bool | None:
    """The value that an expression has whatever the facts are, where that can be told; else None."""
    if checked not in seen:
        seen[checked] = _constant(checked, [_known(part, seen) for part in checked.parts])
    return seen[checked]


def _constant(checked: Checked, parts: list[int | bool | None]) -> int | bool | None:
    expr = checked.expr
    if isinstance(checked.type, Int) and checked.type.lo == checked.type.hi:
        return checked.type.lo
    if isinstance(expr, Truth):
        return expr.value
    if isinstance(expr, Choice):
        return None if parts[0] is None else parts[1 if parts[0] else 2]
    if isinstance(expr, Binary) and expr.operator in ("&&", "||") and (expr.operator == "||") in parts:
        return expr.operator == "||"
    if not parts or None in parts:
        return None
    values = {part: repr(value) for part, value in zip(checked.parts, parts, strict=True)}
    return build("constant", [f"return {python(checked, {}, values)}"])({})


def _call(function: str, parts: list[pl.Expr]) -> pl.Expr:
    import polars as pl

    match function:
        case "div_floor":
            return parts[0] // parts[1]
        case "round_half_up":
            # ⌊(x + ⌊k/2⌋) ÷ k⌋, naming x once: a tree that doubles at each level would have no end. The sum of two
            # numbers that are not negative fits in 64 bits without a sign.
            number, divisor = (part.cast(pl.UInt64) for part in parts)
            return ((number + divisor // 2) // divisor).cast(pl.Int64)
        case "days_between":
            return parts[1].cast(pl.Int64) - parts[0].cast(pl.Int64)
        case _:
            return getattr(parts[0].dt, function)().cast(pl.Int64)

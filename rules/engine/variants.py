# SPDX-License-Identifier: Apache-2.0
"""An expression with one number, word or operator changed: every slip of the hand that still reads as a rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias, cast

from rules.engine.language.parser import parse
from rules.engine.language.tree import Among, Binary, Call, Choice, Expr, Number, Prefix, Text, Truth, source

Words: TypeAlias = Mapping[str, tuple[str, ...]]
"""The words of each field, by its name."""

_OPERATORS = {
    **{"==": ("!=",), "!=": ("==",), "<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<")},
    **{"&&": ("||",), "||": ("&&",), "+": ("-",), "-": ("+",), "*": ("+",)},
}
_FUNCTION = {"min": "max", "max": "min", "div_floor": "round_half_up", "round_half_up": "div_floor"}


def variants(text: str, words: Words) -> Iterator[tuple[str, str]]:
    """Each changed text, and what was changed in it; LanguageError where the text is no expression."""
    return ((source(changed), said) for changed, said in _variants(parse(text), words))


def _variants(expr: Expr, words: Words) -> Iterator[tuple[Expr, str]]:
    """Changed here first, then in each operand."""
    for changed, old, new in _changed(expr, words):
        yield changed, f"{old} → {new} at {expr.line}:{expr.column}"
    for operand, put in _operands(expr):
        yield from ((put(changed), said) for changed, said in _variants(operand, words))


def _changed(expr: Expr, words: Words) -> Iterator[tuple[Expr, str, str]]:
    match expr:
        case Number(value=value):
            for other in (value - 1, value + 1):
                if other >= 0:
                    yield Number(other), str(value), str(other)
        case Text(value=value):
            for other in _other_words(value, words):
                yield Text(other), value, other
        case Truth(value=value):
            yield Truth(not value), source(expr), source(Truth(not value))
        case Prefix(operator=operator, operand=operand):
            yield operand, operator, "nothing"
        case Binary(operator=operator):
            for other in _OPERATORS[operator]:
                yield replace(expr, operator=cast("Any", other)), operator, other
        case Among(choices=choices):
            for index, choice in enumerate(choices):
                before, after = choices[:index], choices[index + 1 :]
                if before or after:
                    yield replace(expr, choices=(*before, *after)), source(choice), "nothing"
                for other, old, new in _changed(choice, words):
                    if other not in choices:
                        yield replace(expr, choices=(*before, cast("Number | Text", other), *after)), old, new
        case Choice(then=then, otherwise=otherwise):
            yield replace(expr, then=otherwise, otherwise=then), "? :", ": ?"
        case Call(function=function, arguments=arguments):
            if function in _FUNCTION and arguments[-1] != Number(1):  # a division by one has nothing to round
                yield replace(expr, function=_FUNCTION[function]), function, _FUNCTION[function]
        case _:
            return


def _operands(expr: Expr) -> Iterator[tuple[Expr, Callable[[Expr], Expr]]]:
    """Each operand, and the same expression with another in its place."""
    match expr:
        case Prefix():
            yield expr.operand, lambda other: replace(expr, operand=other)
        case Binary():
            yield expr.left, lambda other: replace(expr, left=other)
            yield expr.right, lambda other: replace(expr, right=other)
        case Among():
            yield expr.item, lambda other: replace(expr, item=other)
        case Choice():
            yield expr.condition, lambda other: replace(expr, condition=other)
            yield expr.then, lambda other: replace(expr, then=other)
            yield expr.otherwise, lambda other: replace(expr, otherwise=other)
        case Call(arguments=arguments):
            for index, argument in enumerate(arguments):
                before, after = arguments[:index], arguments[index + 1 :]
                yield argument, lambda other, b=before, a=after: replace(expr, arguments=(*b, other, *a))
        case _:
            return


def _other_words(word: str, words: Words) -> Iterator[str]:
    """The next word of each field that has this one."""
    for several in words.values():
        if word in several and len(several) > 1:
            yield several[(several.index(word) + 1) % len(several)]

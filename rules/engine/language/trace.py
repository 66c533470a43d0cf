# SPDX-License-Identifier: Apache-2.0
"""What a rule did with these facts: the comparisons and sums on the way, each with its text and its value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from rules.engine.language.check import Checked
from rules.engine.language.scalar import Fact, assignments, build, python
from rules.engine.language.tree import Binary, Choice, Name, Number, Prefix, Text, Truth, source

Steps: TypeAlias = Callable[[Mapping[str, Fact]], list[dict[str, Any]]]


def steps(checked: Checked, facts: Mapping[str, Fact]) -> list[dict[str, Any]]:
    """`{"expr": text, "value": value}` for each step, the whole expression last.

    Fields and numbers by themselves are no steps, nor is what only joins steps (`&&`, `||`, `!`, `?:`), unless it is
    the whole. All conditions are there, also after one that does not hold; of a `?:` only the branch that was taken.
    """
    return _compiled(checked)(facts)


@lru_cache(maxsize=4096)
def _compiled(checked: Checked) -> Steps:
    writer = _Writer()
    lines = writer.lines(checked, top=True)
    body = [*assignments(writer.variables), "steps = []", "add = steps.append", *lines, "return steps"]
    return build("trace", body, writer.texts)


class _Writer:
    def __init__(self) -> None:
        self.variables: dict[str, str] = {}
        self.known: dict[Checked, str] = {}
        self.texts: dict[str, str] = {}

    def lines(self, checked: Checked, *, top: bool = False) -> list[str]:
        """Statements that put every step of an expression into a variable and into the list."""
        expr = checked.expr
        if isinstance(expr, Choice):
            condition, then, otherwise = checked.parts
            lines = self.lines(condition)
            test = self.python(condition)
            lines += [f"if {test}:", *_indented(self.lines(then)), "else:", *_indented(self.lines(otherwise))]
        else:
            lines = [line for part in checked.parts for line in self.lines(part)]
        joins = isinstance(expr, Choice | Prefix) or (isinstance(expr, Binary) and expr.operator in ("&&", "||"))
        if top or not (joins or isinstance(expr, Name | Number | Text | Truth)):
            # A variable set in one branch is used in that branch only: `python` takes the same side of the `?:`.
            value = self.python(checked)
            index = len(self.texts)
            self.known[checked] = f"t{index}"
            self.texts[f"s{index}"] = source(expr)
            lines += [f"t{index} = {value}", f"add({{'expr': s{index}, 'value': t{index}}})"]
        return lines

    def python(self, checked: Checked) -> str:
        return python(checked, self.variables, self.known)


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines] or ["    pass"]

# SPDX-License-Identifier: Apache-2.0
"""One award at a time: Python source from a checked tree, compiled once.

Of the author's text nothing reaches the source but field names (looked up as string literals) and words and numbers
that `check` has passed, each written with `repr`; variables are `v0, v1, …`. The code sees no builtins but `min`
and `max`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, TypeAlias

from rules.engine.language.check import Checked
from rules.engine.language.tree import Among, Binary, Call, Choice, Name, Number, Prefix, Text, Truth

Fact: TypeAlias = int | str | date
Rule: TypeAlias = Callable[[Mapping[str, Fact]], int | bool]

_CALLS = {
    "min": "min({0})",
    "max": "max({0})",
    "div_floor": "({0} // {1})",
    "round_half_up": "((2 * {0} + {1}) // (2 * {1}))",
    "year": "{0}.year",
    "month": "{0}.month",
    "day": "{0}.day",
    "quarter": "(({0}.month + 2) // 3)",
    "weekday": "{0}.isoweekday()",
    "days_between": "({1}.toordinal() - {0}.toordinal())",
}
_OPERATORS = {"&&": "and", "||": "or"}


def compile_scalar(checked: Checked) -> Rule:
    """A function from facts to the value. The facts must hold every field the rule names, checked and in range."""
    variables: dict[str, str] = {}
    result = python(checked, variables)
    return build("rule", [*assignments(variables), f"return {result}"])


def build(name: str, body: list[str], constants: Mapping[str, Any] | None = None) -> Any:
    """The function `name(facts)` with these lines as its body."""
    text = "\n    ".join([f"def {name}(facts):", *body])
    space: dict[str, Any] = {"__builtins__": {}, "min": min, "max": max, **(constants or {})}
    exec(compile(text, f"<{name}>", "exec"), space)
    return space[name]


def assignments(variables: Mapping[str, str]) -> list[str]:
    """The lines that take the facts into variables."""
    return [f"{variable} = facts[{name!r}]" for name, variable in variables.items()]


def python(checked: Checked, variables: dict[str, str], known: Mapping[Checked, str] | None = None) -> str:
    """A Python expression, whole in itself; `variables` gains a variable for each field, `known` are in one already."""
    if known and checked in known:
        return known[checked]
    expr = checked.expr
    parts = [python(part, variables, known) for part in checked.parts]
    match expr:
        case Number() | Text() | Truth():
            return repr(expr.value)
        case Name():
            return variables.setdefault(expr.name, f"v{len(variables)}")
        case Prefix():
            return f"(not {parts[0]})" if expr.operator == "!" else f"(-{parts[0]})"
        case Binary():
            return f"({parts[0]} {_OPERATORS.get(expr.operator, expr.operator)} {parts[1]})"
        case Among():
            return f"({parts[0]} in {tuple(choice.value for choice in expr.choices)!r})"
        case Choice():
            return f"({parts[1]} if {parts[0]} else {parts[2]})"
        case Call():
            template = _CALLS[expr.function]
            return template.format(", ".join(parts)) if expr.function in ("min", "max") else template.format(*parts)

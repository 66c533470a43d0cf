# SPDX-License-Identifier: Apache-2.0
"""Whether a rule's own texts in the rule language hold: its condition and its formulas.

A condition must hold or not hold; a formula must give a number that is proven to lie in 0..AMOUNT_MAX whatever
the facts are. Places in the text are those of the language's errors; the loader turns them into places in the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rules.engine.conditions import scope
from rules.engine.language.check import Checked, check, conjuncts
from rules.engine.language.errors import LanguageError
from rules.engine.language.parser import parse
from rules.engine.language.tokens import clipped
from rules.engine.language.tree import source
from rules.engine.language.types import Bool, Int, Type
from rules.engine.model import Indicator
from rules.engine.problem import EXPRESSION, Problem, shown
from rules.engine.values import AMOUNT_MAX, Formula

TRACED_MAX = 2**53 - 1
"""Every number on the way stands in the trace, which is JSON: what a reader in any language takes exactly."""
INSURED = ("insured == 'yes'", "'yes' == insured", "insured in ['yes']")


def length(indicator: Indicator) -> int:
    """How much of the rule language an indicator holds, in characters."""
    values = (indicator.standing, indicator.points)
    return len(indicator.when or "") + sum(len(value.expr) for value in values if isinstance(value, Formula))


def check_expressions(file: str, at: str, indicator: Indicator, person: bool) -> Iterator[Problem]:
    """The findings about `when` and about every formula; `person`: the rule's group is of persons."""
    if not _sound(indicator):
        return  # the fields themselves are told of elsewhere
    if indicator.when is not None:
        here = f"{at}.when"
        try:
            checked = _proven(indicator.when, scope(indicator))
        except LanguageError as error:
            yield _told(file, here, error)
        else:
            if not isinstance(checked.type, Bool):
                yield Problem(file, here, "not_a_condition", shown(indicator.when), "minutes >= 60", 1, 1)
    for book, value in (("standing", indicator.standing), ("points", indicator.points)):
        if isinstance(value, Formula):
            yield from _check_formula(file, f"{at}.{book}.expr", value.expr, indicator, person)


def _check_formula(file: str, here: str, expr: str, indicator: Indicator, person: bool) -> Iterator[Problem]:
    try:
        kind = _proven(expr, scope(indicator, counted=True)).type
    except LanguageError as error:
        yield _told(file, here, error)
        return
    if not isinstance(kind, Int):
        yield Problem(file, here, "not_an_amount", shown(expr), "100 * times", 1, 1)
    elif kind.lo < 0:
        code = "GR-01" if person else "negative_amount"
        yield Problem(file, here, code, f"{shown(expr)} ({kind})", f"0..{AMOUNT_MAX}", 1, 1)
    elif kind.hi > AMOUNT_MAX:
        yield Problem(file, here, "out_of_range", str(kind), f"0..{AMOUNT_MAX}", 1, 1)


def _proven(text: str, names: Mapping[str, Type]) -> Checked:
    """The text with its types; LanguageError also where a number on the way is too large for a trace."""
    checked = check(parse(text), names)
    parts = [checked]
    for part in parts:
        if isinstance(part.type, Int) and max(-part.type.lo, part.type.hi) > TRACED_MAX:
            found = clipped(f"{shown(source(part.expr))}: {part.type}")
            allowed = f"{-TRACED_MAX}..{TRACED_MAX}"
            raise LanguageError("out_of_range", part.expr.line, part.expr.column, found, allowed)
        parts += part.parts
    return checked


def needs_insurance(indicator: Indicator) -> bool:
    """Whether only insured deeds get through: a field `insured` (yes, no) and `insured == 'yes'` in the condition."""
    field = indicator.field("insured")
    if (
        indicator.when is None
        or not _sound(indicator)
        or field is None
        or set(field.values) != {"yes", "no"}
        or field.default is not None
    ):
        return False
    try:
        parts = conjuncts(check(parse(indicator.when), scope(indicator)))
    except LanguageError:
        return False
    return any(source(part.expr) in INSURED for part in parts)


def _sound(indicator: Indicator) -> bool:
    """Whether every field has a range or words of its own, without which nothing can be proven."""
    return all(
        bool(field.values)
        if field.type == "enum"
        else field.type == "day" or (field.min is not None and field.max is not None and 0 <= field.min <= field.max)
        for field in indicator.fields
    )


def _told(file: str, here: str, error: LanguageError) -> Problem:
    return Problem(file, here, EXPRESSION + error.code, error.found, error.allowed, error.line, error.column)

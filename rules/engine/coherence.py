# SPDX-License-Identifier: Apache-2.0
"""Whether an indicator hangs together: fields, values, caps and validity that mean what they seem to mean.

Each finding refuses the pack. `at` is the indicator's place in its file (`indicator[3]`); what follows it in a path
names a field by its name and a cap by its id.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from rules.engine.calendar import WINDOWS, Window
from rules.engine.caps import HIGHEST, LADDER, MARK
from rules.engine.language.types import INT64_MAX
from rules.engine.model import CAUSE_WORDS, Field, Indicator
from rules.engine.problem import Problem
from rules.engine.values import AMOUNT_MAX, Brackets, Fixed, Formula, Ladder, PerUnit, Tier, largest

RESERVED_FIELDS = (
    frozenset({"count", "standing", "points", "occurred_on", "total", "true", "false", "in"}) | CAUSE_WORDS
)
RESERVED_CAPS = frozenset({LADDER, MARK, HIGHEST})


def check_fields(file: str, at: str, indicator: Indicator) -> Iterator[Problem]:
    """A number field has a unit and a range, a list field has its words, a day neither; a default lies inside."""
    yield from repeated((field.name, file, f"{at}.fields[{n}].name") for n, field in enumerate(indicator.fields))
    for field in indicator.fields:
        here = f"{at}.fields.{field.name}"
        if field.name in RESERVED_FIELDS:
            yield Problem(file, f"{here}.name", "reserved_name", field.name, f"{field.name}_1")
        if field.type == "int":
            yield from _check_number(file, here, field)
        elif field.type == "enum":
            if not field.values or field.min is not None or field.max is not None or field.unit is not None:
                yield Problem(file, here, "field_shape", "enum", "name, type, label, values, default")
            elif field.default is not None and field.default not in field.values:
                yield Problem(file, f"{here}.default", "unknown_word", str(field.default), listed(field.values))
        elif field.values or (field.min, field.max, field.unit, field.default) != (None, None, None, None):
            # the day of a deed is stated by whoever reports it, and never assumed
            yield Problem(file, here, "field_shape", "day", "name, type, label")


def _check_number(file: str, here: str, field: Field) -> Iterator[Problem]:
    if field.min is None or field.max is None or field.values or field.unit is None:
        yield Problem(file, here, "field_shape", "int", "name, type, label, unit, min, max, default")
    elif not 0 <= field.min <= field.max:
        yield Problem(file, f"{here}.min", "out_of_range", f"{field.min}..{field.max}", "0 ≤ min ≤ max")
    elif field.default is not None and not (isinstance(field.default, int) and field.min <= field.default <= field.max):
        yield Problem(file, f"{here}.default", "out_of_range", str(field.default), f"{field.min}..{field.max}")


def check_values(file: str, at: str, indicator: Indicator) -> Iterator[Problem]:
    """A value counts a field that is there, names every word of it, and stays within bounds."""
    if indicator.standing is None and indicator.points is None:
        yield Problem(file, f"{at}.standing", "missing", "", "standing, points")
    if isinstance(indicator.points, Ladder):
        yield Problem(file, f"{at}.points", "standing_only", "ladder", "standing")
    for book, value in (("standing", indicator.standing), ("points", indicator.points)):
        here = f"{at}.{book}"
        if value is None or isinstance(value, Fixed | Formula):
            continue
        field = indicator.field(value.field)
        wanted = "enum" if isinstance(value, Tier) else "int"
        if field is None or field.type != wanted:
            yield Problem(
                file,
                f"{here}.field",
                "unknown_field",
                value.field,
                listed([one.name for one in indicator.fields if one.type == wanted]) or f'type = "{wanted}"',
            )
            continue
        if isinstance(value, Tier) and value.amounts.keys() != field.values.keys():
            yield Problem(file, f"{here}.amounts", "tier_incomplete", listed(value.amounts), listed(field.values))
        if isinstance(value, Brackets):
            yield from _check_brackets(file, here, value)
        if isinstance(value, Ladder):
            yield from _check_ladder(file, at, here, value, indicator)
        if isinstance(value, PerUnit | Brackets) and (most := largest(value, field.max or 0)) > AMOUNT_MAX:
            yield Problem(file, here, "out_of_range", f"{most} ({field.name} = {field.max})", f"≤ {AMOUNT_MAX}")
        elif isinstance(value, PerUnit | Brackets) and (field.max or 0) * _dearest(value) > INT64_MAX:
            # a part of a unit is worked out as quantity × amount ÷ unit, and a back-test computes in int64
            yield Problem(file, f"{at}.fields.{field.name}.max", "out_of_range", str(field.max), f"≤ {10**9}")


def _dearest(value: PerUnit | Brackets) -> int:
    return value.amount if isinstance(value, PerUnit) else max(bracket.amount for bracket in value.brackets)


def _check_brackets(file: str, here: str, value: Brackets) -> Iterator[Problem]:
    low = 0
    for index, bracket in enumerate(value.brackets):
        last = index == len(value.brackets) - 1
        end = f"{here}.brackets[{index}].up_to"
        if bracket.up_to is None:
            if not last:
                yield Problem(file, end, "missing", "", f"up_to = {low + 1}")
            continue
        if bracket.up_to <= low:
            yield Problem(file, end, "not_rising", str(bracket.up_to), f"> {low}")
        if last:
            yield Problem(file, end, "not_open", str(bracket.up_to), "up_to")
        low = bracket.up_to


def _check_ladder(file: str, at: str, here: str, value: Ladder, indicator: Indicator) -> Iterator[Problem]:
    for index, (below, rung) in enumerate(pairwise(value.steps), 1):
        if rung.at <= below.at or rung.level <= below.level:
            step = f"{here}.steps[{index}]"
            yield Problem(file, step, "not_rising", f"{rung.at} → {rung.level}", f"> {below.at} → > {below.level}")
    cap = next((cap for cap in indicator.caps if cap.id == value.cap), None)
    if cap is None or cap.on != value.field:
        allowed = listed([cap.id for cap in indicator.caps if cap.on == value.field]) or f'caps on = "{value.field}"'
        yield Problem(file, f"{here}.cap", "unknown_counter", value.cap, allowed)
    for index, cap in enumerate(indicator.caps):
        if cap.on in ("standing", "count"):
            # such a cap would cut what the ladder has already noted as posted
            fields = listed([field.name for field in indicator.fields if field.type == "int"])
            yield Problem(file, f"{at}.caps[{index}].on", "ladder_is_its_own_cap", cap.on, f"{fields}, points")


def check_caps(file: str, at: str, indicator: Indicator) -> Iterator[Problem]:
    """Caps name what they count and nest from the inside out."""
    yield from repeated((cap.id, file, f"{at}.caps[{n}].id") for n, cap in enumerate(indicator.caps))
    counted = [field.name for field in indicator.fields if field.type == "int"]
    books = [book for book in ("standing", "points") if getattr(indicator, book) is not None]
    inner: dict[str, tuple[Window, int]] = {}
    on_result_before: str | None = None
    for index, cap in enumerate(indicator.caps):
        here = f"{at}.caps[{index}]"
        if cap.on not in ("count", *books, *counted):
            yield Problem(file, f"{here}.on", "unknown_counter", cap.on, listed(["count", *books, *counted]))
        if cap.id in RESERVED_CAPS:
            yield Problem(file, f"{here}.id", "reserved_name", cap.id, f"{cap.id}_1")
        if cap.on in counted and on_result_before is not None:
            yield Problem(file, here, "windows_not_nested", f"{on_result_before}, {cap.on}", f"{cap.on}, …")
        elif cap.on not in counted:
            on_result_before = cap.on
        if cap.on in inner:
            window, most = inner[cap.on]
            if WINDOWS.index(cap.window) <= WINDOWS.index(window):
                wider = listed(WINDOWS[WINDOWS.index(window) + 1 :]) or "–"
                yield Problem(file, f"{here}.window", "windows_not_nested", f"{window}, {cap.window}", wider)
            if cap.max < most:
                yield Problem(file, f"{here}.max", "windows_not_nested", f"{most}, {cap.max}", f"≥ {most}")
        inner[cap.on] = (cap.window, cap.max)


def check_validity(file: str, at: str, indicator: Indicator) -> Iterator[Problem]:
    """Years that hang on a list field name every word of it."""
    for book, lifetime in (("standing", indicator.validity.standing), ("points", indicator.validity.points)):
        here = f"{at}.validity.{book}"
        if isinstance(lifetime.years, int):
            if lifetime.by is not None:
                yield Problem(file, f"{here}.by", "field_shape", lifetime.by, "years = { … }")
            continue
        field = indicator.field(lifetime.by or "")
        if field is None or field.type != "enum":
            enums = listed([one.name for one in indicator.fields if one.type == "enum"]) or 'type = "enum"'
            yield Problem(file, f"{here}.by", "unknown_field", str(lifetime.by or ""), enums)
        elif lifetime.years.keys() != field.values.keys():
            yield Problem(file, f"{here}.years", "tier_incomplete", listed(lifetime.years), listed(field.values))


def check_cause(file: str, at: str, indicator: Indicator) -> Iterator[Problem]:
    """What makes two reports the same deed names what a report has, the subject and the indicator among it."""
    for index, part in enumerate(indicator.cause):
        if part not in CAUSE_WORDS and indicator.field(part) is None:
            known = listed([*sorted(CAUSE_WORDS), *(field.name for field in indicator.fields)])
            yield Problem(file, f"{at}.cause[{index}]", "unknown_field", part, known)
    if not {"subject", "indicator"} <= set(indicator.cause):
        yield Problem(file, f"{at}.cause", "cause_too_wide", listed(indicator.cause), "subject, indicator")


def listed(words: Iterable[str]) -> str:
    """Words as a problem lists them, the first thirty."""
    first = [word for word, _ in zip(words, range(31), strict=False)]
    return ", ".join(first[:30]) + (", …" if len(first) > 30 else "")


def repeated(named: Iterable[tuple[str, str, str]]) -> Iterator[Problem]:
    """Each code once; every code comes with its file and its place there."""
    seen: dict[str, str] = {}
    for code, file, path in named:
        if code in seen:
            yield Problem(file, path, "duplicate_code", code, seen[code])
        else:
            seen[code] = file

# SPDX-License-Identifier: Apache-2.0
"""Whether an indicator hangs together: fields, values, caps and validity that mean what they seem to mean.

Each finding refuses the pack, with the file, the key, what was found and what is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from rules.engine.calendar import WINDOWS, Window
from rules.engine.caps import LADDER
from rules.engine.model import CAUSE_WORDS, Field, Indicator
from rules.engine.values import AMOUNT_MAX, Brackets, Fixed, Ladder, PerUnit, Tier, largest


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why a pack is refused: where, what kind, what was found, what is allowed."""

    file: str
    path: str
    code: str
    found: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.file}: {self.path}: [{self.code}] found {self.found}; allowed: {self.allowed}"


def check_fields(file: str, indicator: Indicator) -> Iterator[Problem]:
    """A number field has a unit and a range, a list field has its words, a default lies inside."""
    yield from repeated(file, names(indicator.fields), f"{indicator.code}.fields")
    for field in indicator.fields:
        at = f"{indicator.code}.fields.{field.name}"
        if field.name in {"count", "standing", "points"} | CAUSE_WORDS:
            yield Problem(file, at, "reserved_name", field.name, "another name")
        if field.type == "enum":
            if not field.values or field.min is not None or field.max is not None:
                yield Problem(file, at, "field_shape", "an enum field", "values, and neither min nor max")
            elif field.default is not None and field.default not in field.values:
                yield Problem(file, f"{at}.default", "out_of_range", str(field.default), ", ".join(field.values))
            continue
        if field.min is None or field.max is None or field.values or field.unit is None:
            yield Problem(file, at, "field_shape", "an int field", "unit, min and max, and no values")
        elif not 0 <= field.min <= field.max:
            yield Problem(file, f"{at}.min", "out_of_range", f"{field.min}..{field.max}", "0 ≤ min ≤ max")
        elif field.default is not None and not (
            isinstance(field.default, int) and field.min <= field.default <= field.max
        ):
            yield Problem(file, f"{at}.default", "out_of_range", str(field.default), f"{field.min}..{field.max}")


def check_values(file: str, indicator: Indicator) -> Iterator[Problem]:
    """A value counts a field that is there, names every word of it, and stays within bounds."""
    if indicator.standing is None and indicator.points is None:
        yield Problem(file, f"{indicator.code}.standing", "missing", "neither standing nor points", "at least one")
    if isinstance(indicator.points, Ladder):
        yield Problem(file, f"{indicator.code}.points", "ladder_on_points", "a ladder", "a ladder feeds standing only")
    for book, value in (("standing", indicator.standing), ("points", indicator.points)):
        at = f"{indicator.code}.{book}"
        if value is None or isinstance(value, Fixed):
            continue
        field = indicator.field(value.field)
        wanted = "enum" if isinstance(value, Tier) else "int"
        if field is None or field.type != wanted:
            allowed = [one.name for one in indicator.fields if one.type == wanted]
            yield Problem(file, f"{at}.field", "unknown_field", value.field, ", ".join(allowed) or f"an {wanted} field")
            continue
        if isinstance(value, Tier) and value.amounts.keys() != field.values.keys():
            yield Problem(
                file,
                f"{at}.amounts",
                "tier_incomplete",
                ", ".join(value.amounts),
                f"exactly {', '.join(field.values)}",
            )
        if isinstance(value, Brackets):
            yield from _check_brackets(file, at, value)
        if isinstance(value, Ladder):
            yield from _check_ladder(file, at, value, indicator)
        if isinstance(value, PerUnit | Brackets) and largest(value, field.max or 0) > AMOUNT_MAX:
            yield Problem(
                file,
                at,
                "out_of_range",
                f"{largest(value, field.max or 0)} at {field.name} = {field.max}",
                f"≤ {AMOUNT_MAX}",
            )


def _check_brackets(file: str, at: str, value: Brackets) -> Iterator[Problem]:
    low = 0
    for index, bracket in enumerate(value.brackets):
        last = index == len(value.brackets) - 1
        if bracket.up_to is None:
            if not last:
                yield Problem(file, f"{at}.brackets[{index}].up_to", "missing", "no end", "only the last may be open")
            continue
        if bracket.up_to <= low:
            yield Problem(file, f"{at}.brackets[{index}].up_to", "not_rising", str(bracket.up_to), f"more than {low}")
        if last:
            yield Problem(
                file,
                f"{at}.brackets[{index}].up_to",
                "not_open",
                str(bracket.up_to),
                "the last one has no end",
            )
        low = bracket.up_to


def _check_ladder(file: str, at: str, value: Ladder, indicator: Indicator) -> Iterator[Problem]:
    for below, rung in pairwise(value.steps):
        if rung.at <= below.at or rung.level <= below.level:
            yield Problem(
                file,
                f"{at}.steps",
                "not_rising",
                f"{rung.at} → {rung.level}",
                f"more than {below.at} → {below.level}",
            )
    cap = next((cap for cap in indicator.caps if cap.id == value.cap), None)
    if cap is None or cap.on != value.field:
        allowed = [cap.id for cap in indicator.caps if cap.on == value.field]
        yield Problem(
            file,
            f"{at}.cap",
            "unknown_counter",
            value.cap,
            ", ".join(allowed) or f"the id of a cap on {value.field}",
        )
    if any(cap.on in ("standing", "count") for cap in indicator.caps):
        # such a cap would cut what the ladder has already noted as posted
        yield Problem(
            file,
            f"{indicator.code}.caps",
            "ladder_is_its_own_cap",
            "a cap on the result",
            "caps on fields or points",
        )


def check_caps(file: str, indicator: Indicator) -> Iterator[Problem]:
    """Caps name what they count and nest from the inside out."""
    yield from repeated(file, (cap.id for cap in indicator.caps), f"{indicator.code}.caps")
    counted = [field.name for field in indicator.fields if field.type == "int"]
    inner: dict[str, tuple[Window, int]] = {}
    on_result_before = False
    for cap in indicator.caps:
        at = f"{indicator.code}.caps.{cap.id}"
        allowed = [
            "count",
            *(["standing"] if indicator.standing else []),
            *(["points"] if indicator.points else []),
            *counted,
        ]
        if cap.on not in allowed:
            yield Problem(file, f"{at}.on", "unknown_counter", cap.on, ", ".join(allowed))
        if cap.id == LADDER:
            yield Problem(file, f"{at}.id", "reserved_name", cap.id, "another name")
        if cap.on in counted and on_result_before:
            yield Problem(
                file,
                at,
                "windows_not_nested",
                f"a cap on {cap.on} after a cap on the result",
                "caps on fields first",
            )
        on_result_before = on_result_before or cap.on not in counted
        if cap.on in inner:
            window, most = inner[cap.on]
            if WINDOWS.index(cap.window) <= WINDOWS.index(window):
                wider = ", ".join(WINDOWS[WINDOWS.index(window) + 1 :]) or "no further cap"
                yield Problem(file, f"{at}.window", "windows_not_nested", f"{cap.window} after {window}", wider)
            if cap.max < most:
                yield Problem(file, f"{at}.max", "windows_not_nested", str(cap.max), f"at least the inner cap's {most}")
        inner[cap.on] = (cap.window, cap.max)


def check_validity(file: str, indicator: Indicator) -> Iterator[Problem]:
    """Years that hang on a list field name every word of it."""
    for book, lifetime in (("standing", indicator.validity.standing), ("points", indicator.validity.points)):
        at = f"{indicator.code}.validity.{book}"
        if isinstance(lifetime.years, int):
            if lifetime.by is not None:
                yield Problem(
                    file,
                    f"{at}.by",
                    "field_shape",
                    lifetime.by,
                    "only with years for each word of that field",
                )
            continue
        field = indicator.field(lifetime.by or "")
        if field is None or field.type != "enum":
            yield Problem(file, f"{at}.by", "unknown_field", str(lifetime.by), "an enum field")
        elif lifetime.years.keys() != field.values.keys():
            yield Problem(
                file,
                f"{at}.years",
                "tier_incomplete",
                ", ".join(lifetime.years),
                f"exactly {', '.join(field.values)}",
            )


def names(fields: Iterable[Field]) -> list[str]:
    """What the fields are called."""
    return [field.name for field in fields]


def repeated(file: str, codes: Iterable[str | tuple[str, str]], path: str = "code") -> Iterator[Problem]:
    """Each code once; codes come alone or with the file they stand in."""
    seen: dict[str, str] = {}
    for entry in codes:
        code, where = entry if isinstance(entry, tuple) else (entry, file)
        if code in seen:
            yield Problem(where, path, "duplicate_code", f"{code} (also in {seen[code]})", "each code once")
        seen[code] = where

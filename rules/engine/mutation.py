# SPDX-License-Identifier: Apache-2.0
"""Whether the worked examples hold a rule fast: change any one number or word of it, and an example must object.

Changed, one at a time: amounts, units, limits, rates and steps of a value (by one, either way), rounding, a cap (its
limit by one, its window to every other, and away altogether), evidence levels, the deadline and the years of
validity (by one), the end of a validity, the days from and to which a rule is in force, membership of a set, the
window of a highest-only set, and every number, word and operator of an expression.

Left alone, because no example could tell:
  what an indicator leaves at the default of the format or of its pack;
  ranges of fields, which say what may be typed; a threshold that is law stands in `when`;
  years of a validity that never ends, and the rounding of a unit of one: nothing changes with them;
  cause, sets by case, approval, cooling, reversal, grey list, work and risk: the desk, the loader and the lists act
  on them, and evaluation does not;
  whatever makes the loader refuse the pack: it cannot be published by mistake.

How long the check takes hangs on the pack, so its work is reckoned up before it begins (`burden`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any, NamedTuple, TypeAlias, cast, get_args

from pydantic import BaseModel

from rules.engine.calendar import WINDOWS, Ending
from rules.engine.examples import run
from rules.engine.expressions import length
from rules.engine.guardrails import Placed, check_catalogue
from rules.engine.language.errors import LanguageError
from rules.engine.model import LEVELS, Cap, HighestSet, Indicator, Lifetime, Pack
from rules.engine.values import AMOUNT_MAX, Brackets, Fixed, Formula, Ladder, PerUnit, Tier
from rules.engine.variants import variants

Path: TypeAlias = tuple[str | int, ...]

BURDEN_MAX = 20_000
"""The founding pack has a tenth of it, 500 plain indicators a half; all of it takes some ten seconds."""
_TEXT_STEP, _ROWS_STEP = 40, 8
"""What makes a change cost as much again: characters of conditions and formulas; examples, fields, words and caps."""
_QUANTITY_MAX = 2**53 - 1


class Change(NamedTuple):
    """Where in an indicator, what stands there instead (None: nothing), and the change in words where it is long."""

    path: Path
    new: object
    said: str = ""


@dataclass(frozen=True, slots=True)
class Survivor:
    """A change that no example of its indicator notices; `path` is the key inside the indicator."""

    indicator: str
    path: str
    change: str


def survivors(pack: Pack, only: Iterable[str] | None = None) -> list[Survivor]:
    """Every change that goes unnoticed, of all indicators or of those with the codes in `only`."""
    codes = pack.indicators if only is None else only
    return [survivor for code in codes for survivor in _survivors(pack, pack.indicators[code])]


def burden(pack: Pack) -> dict[str, int]:
    """What the check has to do, by indicator: the changes, weighted by what each costs. Reckoned in their order until
    BURDEN_MAX is passed."""
    found: dict[str, int] = {}
    left = BURDEN_MAX
    for code, indicator in pack.indicators.items():
        rows = len(indicator.examples) + len(indicator.caps) + sum(1 + len(field.values) for field in indicator.fields)
        each = 1 + length(indicator) // _TEXT_STEP + rows // _ROWS_STEP
        changes = sum(1 for _ in islice(_changes(pack, indicator), left // each + 1))
        found[code] = changes * each
        left -= found[code]
        if left < 0:
            break
    return found


def _survivors(pack: Pack, indicator: Indicator) -> Iterator[Survivor]:
    told = [run(pack, indicator, example) for example in indicator.examples]
    for path, change, other_pack, mutant in _mutants(pack, indicator):
        try:
            unnoticed = all(
                run(other_pack, mutant, example) == before
                for example, before in zip(indicator.examples, told, strict=True)
            )
        except LanguageError:  # such as a divisor of 0: the loader refuses it
            continue
        if unnoticed and _problems(other_pack, mutant) <= _problems(pack, indicator):
            yield Survivor(indicator.code, path, change)


def _problems(pack: Pack, indicator: Indicator) -> set[tuple[str, str]]:
    """What the loader has against an indicator that is loaded alone (a set of one, for instance)."""
    alone = [Placed("", "", indicator, {})]
    return {(problem.path, problem.code) for problem in check_catalogue(pack, pack.groups, alone)}


def _mutants(pack: Pack, indicator: Indicator) -> Iterator[tuple[str, str, Pack, Indicator]]:
    """Each changed indicator in a pack of its own, so that sets see the changed one and not the original."""
    for path, new, said in _changes(pack, indicator):
        mutant = cast("Indicator", _with(indicator, path, new))
        other_pack = pack.model_copy(update={"indicators": {**pack.indicators, indicator.code: mutant}})
        shown, old = _found(indicator, path)
        if isinstance(old, Cap):
            old = f"{old.on}/{old.window} ≤ {old.max}"
        yield shown, said or f"{old} → {'–' if new is None else new}", other_pack, mutant
    if (name := indicator.highest_only) is not None:
        there = pack.highest_sets[name]
        for window in get_args(HighestSet.model_fields["window"].annotation):
            if window != there.window:
                sets = {**pack.highest_sets, name: there.model_copy(update={"window": window})}
                change = f"highest_sets.{name}.window: {there.window} → {window}"
                yield "highest_only", change, pack.model_copy(update={"highest_sets": sets}), indicator


def _changes(pack: Pack, indicator: Indicator) -> Iterator[Change]:
    words = {field.name: tuple(field.values) for field in indicator.fields}
    if indicator.when is not None:
        yield Change(("when",), None)
        yield from (Change(("when",), text, said) for text, said in variants(indicator.when, words))
    for book in ("standing", "points"):
        value = getattr(indicator, book)
        if isinstance(value, Formula):
            yield from (Change((book, "expr"), text, said) for text, said in variants(value.expr, words))
        elif value is not None:
            yield from _inside((book,), _of_value(value))
    yield from _of_caps(indicator)
    for book in ("standing", "points"):
        level = LEVELS.index(getattr(indicator.evidence, book))
        for other in (level - 1, level + 1):
            if getattr(indicator, book) is not None and 0 <= other < len(LEVELS):
                yield Change(("evidence", book), LEVELS[other])
    stated = indicator.model_fields_set
    if "deadline" in stated:
        yield from _nudged(("deadline",), indicator.deadline, 1, 12)
    if "validity" in stated:
        for book in indicator.validity.model_fields_set:
            yield from _inside(("validity", book), _of_lifetime(getattr(indicator.validity, book)))
    for name, default in (("from_", pack.effective_from), ("to", None)):
        day = getattr(indicator.effective, name)
        if day != default:
            for days in (-1, 1):
                yield Change(("effective", name), day + timedelta(days=days))
    if indicator.highest_only is not None:
        yield Change(("highest_only",), None)
    if indicator.exclusion is not None and pack.exclusion_sets[indicator.exclusion].by == "day":
        yield Change(("exclusion",), None)


def _of_value(value: BaseModel) -> Iterator[Change]:
    if isinstance(value, Fixed):
        yield from _nudged(("amount",), value.amount)
    elif isinstance(value, PerUnit):
        yield from _nudged(("amount",), value.amount)
        yield from _nudged(("unit",), value.unit, 1, _QUANTITY_MAX)
        if value.unit > 1:
            yield Change(("rounding",), _other_rounding(value.rounding))
    elif isinstance(value, Tier):
        for word, amount in value.amounts.items():
            yield from _nudged(("amounts", word), amount)
    elif isinstance(value, Brackets):
        for index, bracket in enumerate(value.brackets):
            at = ("brackets", index)
            yield from _nudged((*at, "amount"), bracket.amount)
            yield from _nudged((*at, "unit"), bracket.unit, 1, _QUANTITY_MAX)
            if bracket.up_to is not None:
                yield from _nudged((*at, "up_to"), bracket.up_to, 1, _QUANTITY_MAX)
        if any(bracket.unit > 1 for bracket in value.brackets):
            yield Change(("rounding",), _other_rounding(value.rounding))
    elif isinstance(value, Ladder):
        for index, rung in enumerate(value.steps):
            yield from _nudged(("steps", index, "at"), rung.at, 1, _QUANTITY_MAX)
            yield from _nudged(("steps", index, "level"), rung.level)


def _of_caps(indicator: Indicator) -> Iterator[Change]:
    for index, cap in enumerate(indicator.caps):
        yield from _nudged(("caps", index, "max"), cap.max, 1, _QUANTITY_MAX)
        for window in WINDOWS:
            if window != cap.window:
                yield Change(("caps", index, "window"), window)
        # without the cap that its total comes from, a ladder does not load
        if not (isinstance(indicator.standing, Ladder) and indicator.standing.cap == cap.id):
            yield Change(("caps", index), None)


def _of_lifetime(lifetime: Lifetime) -> Iterator[Change]:
    for end in get_args(Ending):
        if end != lifetime.end:
            yield Change(("end",), end)
    if lifetime.end != "never":
        if isinstance(lifetime.years, int):
            yield from _nudged(("years",), lifetime.years, 0, 10)
        else:
            for word, years in lifetime.years.items():
                yield from _nudged(("years", word), years, 0, 10)


def _nudged(path: Path, value: int, least: int = 0, most: int = AMOUNT_MAX) -> Iterator[Change]:
    for other in (value - 1, value + 1):
        if least <= other <= most:
            yield Change(path, other)


def _inside(path: Path, changes: Iterable[Change]) -> Iterator[Change]:
    return (Change((*path, *change.path), change.new) for change in changes)


def _other_rounding(rounding: str) -> str:
    return "hundredth" if rounding == "unit" else "unit"


# --- paths ---


def _with(thing: Any, path: Path, new: object) -> Any:
    """A copy of a model, table or list with another value at `path`; None takes an element of a list away."""
    key, rest = path[0], path[1:]
    value = _with(_at(thing, key), rest, new) if rest else new
    if isinstance(thing, BaseModel):
        return thing.model_copy(update={str(key): value})
    if isinstance(thing, Mapping):
        return {**cast("Mapping[str, object]", thing), str(key): value}
    kept = [one for one in thing if one is not thing[key]]
    return tuple(kept) if value is None else tuple(value if one is thing[key] else one for one in thing)


def _at(thing: Any, key: str | int) -> Any:
    return getattr(thing, str(key)) if isinstance(thing, BaseModel) else thing[key]


def _found(indicator: Indicator, path: Path) -> tuple[str, object]:
    """The path as problems of a pack write it (list elements by their id, where they have one), and what is there."""
    shown, thing = "", cast("Any", indicator)
    for key in path:
        thing = _at(thing, key)
        named = getattr(thing, "id", key)
        shown += f"[{named}]" if isinstance(named, int) else f".{named}".rstrip("_")
    return shown.lstrip("."), thing

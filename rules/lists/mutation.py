# SPDX-License-Identifier: Apache-2.0
"""Whether the worked examples hold a list fast: change any one number or word of it, and an example must object.

Changed, one at a time: every threshold, minimum, term and limit (by one, either way), what is ranked, the class of an
item, the level of evidence; and left out: a threshold, a group, an indicator, a flag, an item. Left alone, because no
example could tell: what a list leaves at its default, the interval and the second figure beside a rank, money, and
what the office keeps (who decides, who approves, time to answer); and whatever makes the loader refuse the pack.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from pydantic import ValidationError

from rules.engine.list_guardrails import PlacedList, check_lists
from rules.engine.lists import ListRule
from rules.engine.model import LEVELS, Pack
from rules.engine.mutation import Survivor
from rules.lists.examples import run

BURDEN_MAX = 2_500
"""Examples run over changes tried; the founding pack has a tenth of it, and all of it takes about half a minute."""
_PEOPLE_STEP = 500
"""Members of an example that make it cost as much again."""
_ALONE = frozenset(("interval", "fund_fen", "approvers", "notice_workdays", "examples"))
_WORDS: Mapping[str, Sequence[str]] = {
    "metric": ("standing", "gained"),
    "class": ("minor", "ordinary"),
    "level": LEVELS,
}
_MAY_GO = frozenset(("min_standing", "min_gained", "clean_months", "min_per_head", "min_participation", "least"))
_GONE = object()


def survivors(pack: Pack) -> list[Survivor]:
    """Every change that goes unnoticed, of all lists."""
    return [survivor for rule in pack.lists.values() for survivor in _survivors(pack, rule)]


def burden(pack: Pack) -> dict[str, int]:
    """What the check has to do, by list."""
    found: dict[str, int] = {}
    for code, rule in pack.lists.items():
        each = sum(1 + sum(member.times for member in example.members) // _PEOPLE_STEP for example in rule.examples)
        found[code] = each * sum(1 for _ in _changes(_stated(rule)))
    return found


def _survivors(pack: Pack, rule: ListRule) -> Iterator[Survivor]:
    told = [run(pack, rule, example) for example in rule.examples]
    for path, old, new, changed in _changes(_stated(rule)):
        mutant = _loaded(pack, changed)
        if mutant is None:
            continue
        other = pack.model_copy(update={"lists": {**pack.lists, rule.code: mutant}})
        pairs = zip(rule.examples, told, strict=True)
        if all(run(other, mutant, example) == before for example, before in pairs):
            yield Survivor(rule.code, path, f"{old} → {new}")


def _loaded(pack: Pack, changed: dict[str, Any]) -> ListRule | None:
    """The changed list, unless the loader would refuse it."""
    try:
        rule = ListRule.model_validate(changed)
    except ValidationError:
        return None
    placed = [PlacedList("", rule, {})]
    return None if any(check_lists(pack, pack.groups, pack.indicators, placed)) else rule


def _stated(rule: ListRule) -> dict[str, Any]:
    return rule.model_dump(by_alias=True, exclude_unset=True)


def _changes(stated: dict[str, Any]) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Path, what stood there, what stands there instead, and the whole list so changed."""
    for path, old, new in _inside((), stated):
        if path == ("level",) and "min_gained" not in stated:
            continue  # every rule that is named asks that much: the loader sees to it
        shown = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
        yield shown, _short(old), "–" if new is _GONE else str(new), cast("dict[str, Any]", _with(stated, path, new))


def _inside(path: tuple[str | int, ...], value: object) -> Iterator[tuple[tuple[str | int, ...], object, object]]:
    key = path[-1] if path else ""
    if key in _ALONE:
        return
    if key in _MAY_GO:
        yield path, value, _GONE
    if isinstance(value, int):
        yield from ((path, value, other) for other in (value - 1, value + 1))
    elif isinstance(value, dict):
        for inner, one in cast("dict[str, object]", value).items():
            yield from _inside((*path, inner), one)
    elif isinstance(value, tuple):
        for index, one in enumerate(cast("tuple[object, ...]", value)):
            yield (*path, index), one, _GONE
            yield from _inside((*path, index), one)
    elif key in _WORDS:
        yield from ((path, value, other) for other in _WORDS[cast("str", key)] if other != value)


def _with(value: object, path: tuple[str | int, ...], new: object) -> object:
    """The same with `new` at the path, or without what is there."""
    if not path:
        return new
    step, rest = path[0], path[1:]
    if isinstance(value, dict):
        table = cast("dict[str | int, object]", value)
        put = _with(table[step], rest, new)
        return {key: put if key == step else one for key, one in table.items() if key != step or put is not _GONE}
    row = cast("tuple[object, ...]", value)
    at = cast("int", step)
    put = _with(row[at], rest, new)
    return (*row[:at], *(() if put is _GONE else (put,)), *row[at + 1 :])


def _short(value: object) -> str:
    if isinstance(value, dict):
        table = cast("dict[str, object]", value)
        return str(table.get("code", table.get("indicator")))
    return str(value)

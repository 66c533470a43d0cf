# SPDX-License-Identifier: Apache-2.0
"""What the communities of a street or county have published of one ranking, beside each other and together.

Nothing is worked out anew: every figure is one that a published edition states, or the sum of such. What one of them
leaves out, because it would tell of too few people, is in no sum. Communities are not ranked against each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from api.world import World
from ledger import codec
from ledger.errors import Refusal
from rules.lists.model import PUBLISHED, Edition
from rules.lists.periods import days_of, is_period
from rules.lists.shrink import half_up

LEVELS = ("street", "county")
COMMUNITIES_MAX = 10_000
_SUMMED = ("people", "active", "total", "gained", "late", "taken_back", "ranked", "too_few", "empty")

Row = Mapping[str, Any]


async def rolled_up(world: World, period: str, place: str, code: str | None = None) -> dict[str, Any]:
    """The roll-up of one period: `communities` that have published, in the order of their codes, each with the
    `totals` of its edition, `per_head` and `flags`; `waiting`, those that have not; `totals` of all of them.

    `code`: which list, where the pack has several rankings. Raises `not_found` unless the place has communities below
    it and there is such a list with such a period.
    """
    under = world.register.tree.below(world.register.place(place).code)
    homes = sorted(one.code for one in under if one.level == "community")
    found = await world.editions.find(
        kind="ranking", list=code, period=period, places=homes, states=(PUBLISHED,), limit=COMMUNITIES_MAX
    )
    code = found[0].list if found else code
    rule = next(
        (
            one
            for one in world.pack.lists.values()
            if one.kind == "ranking" and code in (None, one.code) and is_period(period, one.period)
        ),
        None,
    )
    if under[0].level not in LEVELS or (rule is None and not found):
        raise Refusal("not_found", what="ranking", id=f"{period}/{place}"[:60])
    name: Row = {"zh": rule.name.zh, "en": rule.name.en} if rule is not None else {}
    items: list[dict[str, Any]] = []
    for one in sorted((each for each in found if each.list == code), key=lambda each: each.place):
        files = await world.editions.files(one.id, "definition.json", "result.json")
        definition = codec.decode(files["definition.json"])
        items.append(_community(world, one, definition, codec.decode(files["result.json"])))
        name = definition["name"]
    start, end = days_of(period)
    told = {one["place"] for one in items}
    return {
        "kind": "roll_up",
        "list": code or (rule.code if rule is not None else ""),
        "name": name,
        "period": period,
        "from": start.isoformat(),
        "to": end.isoformat(),
        "place": place,
        "place_name": world.place_name(place),
        "communities": items,
        "waiting": [{"place": home, "name": world.place_name(home)} for home in homes if home not in told],
        "totals": _sums(items),
    }


def _community(world: World, edition: Edition, definition: Row, result: Row) -> dict[str, Any]:
    flags = {one["code"]: one for one in definition.get("flags", ())}
    earned = [
        {"grid": row["grid"], "name": world.place_name(row["grid"]), "flag": code, "flag_name": flags[code]["name"]}
        | {name: flags[code][name] for name in ("fund_fen", "budget") if name in flags[code]}
        for row in result["rows"]
        for code in row.get("flags", ())
    ]
    totals = result["totals"]
    return {
        "place": edition.place,
        "name": world.place_name(edition.place),
        "edition": edition.id,
        "version": edition.version,
        "published_on": edition.published_on,
        "totals": totals,
        **_per_head(totals),
        "flags": sorted(earned, key=lambda one: (one["flag"], one["grid"])),
        "fund_fen": sum(one.get("fund_fen", 0) for one in earned),
    }


def _sums(items: Sequence[Row]) -> dict[str, int]:
    totals = {name: sum(one["totals"][name] for one in items) for name in _SUMMED if _told(items, name)}
    money = {"flags": sum(len(one["flags"]) for one in items), "fund_fen": sum(one["fund_fen"] for one in items)}
    return {**totals, **_per_head(totals), **money} if items else {}


def _told(items: Sequence[Row], name: str) -> bool:
    return all(name in one["totals"] for one in items)


def _per_head(totals: Row) -> dict[str, int]:
    """In hundredths, where there is anybody."""
    return {"per_head": half_up(totals["total"], totals["people"])} if totals.get("people") else {}

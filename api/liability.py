# SPDX-License-Identifier: Apache-2.0
"""The liability report of a place, as data and as a table: what the points that are out would cost, and the money there
is for them."""

from __future__ import annotations

import csv
import io
from typing import Any

from api.sheets.write import inert
from api.world import World
from ledger.view import local_day, rfc3339
from merchants.liability import Outstanding, left, most_per_point, outstanding, value_fen
from merchants.model import Budget

BUDGETS_MAX = 2_000  # 36 scenarios at some fifty places

_COLUMNS = ("编码", "社区", "项目", "到期月份", "积分", "折合（元）")
_HELD, _LOTS, _FOREVER = "冻结中", "未兑换", "长期有效"


def budget_body(one: Budget) -> dict[str, Any]:
    """A budget as it is shown: whole fen, a begun one counted as spent."""
    return {
        "id": one.budget,
        "scenario": one.scenario,
        "place": one.place,
        "year": one.year,
        "name": one.name,
        "limit_fen": one.limit_fen,
        "spent_fen": -(-one.spent // 100),
        "issue_limit": one.issue_limit or None,
        "state": one.state,
        "created_at": rfc3339(one.created_at),
        "etag": f'"{one.version}"',
    }


async def report(world: World, place: str) -> dict[str, Any]:
    """Points in hundredths, money in fen, of the journals at a place and below it, and of the year's budgets there and
    above. `budget_left_fen` sums those at the place and below it: what lies above is for others too. Raises
    `not_found`."""
    world.register.place(place)
    tree, now = world.register.tree, world.ledger.clock()
    today = local_day(now, world.settings.timezone)
    below = {one.code for one in tree.below(place)}
    journals = [one["journal"] for one in await world.ledger.journals() if one["journal"] in below]
    found = await outstanding(world.ledger, journals, today)
    most = most_per_point(world.shop.scenarios)
    near = below | {one.code for one in tree.up(place)}
    budgets = await world.budgets.find(year=today[:4], limit=BUDGETS_MAX)
    lines = [(one, left(one, today)) for one in budgets if one.place in near]
    points, held = sum(one.points for one in found), sum(one.held for one in found)
    return {
        "place": place,
        "name": world.place_name(place),
        "as_of": rfc3339(now),
        "day": today,
        "fen_per_point": most,
        "points": points,
        "held": held,
        "with_shops": sum(one.with_shops for one in found),
        "value_fen": value_fen(points, most),
        "budget_left_fen": sum(rest.fen for one, rest in lines if one.place in below),
        "journals": [_journal(world, one, most) for one in found],
        "budgets": [{**budget_body(one), "left_fen": rest.fen, "months_left": rest.months} for one, rest in lines],
    }


def _journal(world: World, one: Outstanding, most: int) -> dict[str, Any]:
    return {
        "journal": one.journal,
        "name": world.place_name(one.journal),
        "points": one.points,
        "held": one.held,
        "with_shops": one.with_shops,
        "value_fen": value_fen(one.points, most),
        "months": [
            {"month": month or None, "points": points, "value_fen": value_fen(points, most)}
            for month, points in one.months.items()
        ],
    }


def table(said: dict[str, Any]) -> bytes:
    """The points of a report line by line, with a mark that Excel knows as UTF-8."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\r\n")
    rows.writerow(_COLUMNS)
    for one in said["journals"]:
        lines = [(_LOTS, each["month"] or _FOREVER, each["points"]) for each in one["months"]]
        if one["held"]:
            lines.append((_HELD, "", one["held"]))
        for kind, month, points in lines:
            yuan = value_fen(points, said["fen_per_point"])
            rows.writerow((one["journal"], inert(one["name"]), kind, month, _two(points), _two(yuan)))
    return "\ufeff".encode() + out.getvalue().encode()


def _two(hundredths: int) -> str:
    return f"{hundredths // 100}.{hundredths % 100:02d}"

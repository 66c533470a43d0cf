# SPDX-License-Identifier: Apache-2.0
"""Editions as CSV: every row and figure of the page, with a mark that Excel knows as UTF-8. Points are in 分 with two
places; what is not told is left empty."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from api.lists.words import AMOUNTS, Say, hushed, speaker
from api.messages import Lang
from api.sheets.write import inert

Data = Mapping[str, Any]

_GRID = ("people", "active", "awards", "gained", "points", "late", "taken_back")
_RANKED = ("people", "active", "total", "per_head", "gained", "gained_per_head", "shrunken", "late", "taken_back")


def notice_csv(data: Data, lang: Lang = "zh") -> bytes:
    """One row a grid, body or person; the first column says which."""
    say = speaker(lang)
    rows = [{**row, "kind": say("grid"), "code": row["grid"]} for row in data["grids"]]
    rows += [{**row, "kind": say("body"), "grid": row["place_name"]} for row in data["bodies"]]
    rows += [{**row, "kind": say("person"), "grid": row["grid_name"]} for row in data["persons"]]
    return _written(("kind", "name", "grid", *_GRID), rows, say)


def ranking_csv(data: Data, lang: Lang = "zh") -> bytes:
    """One row a grid. `ties`: how many share the rank; the ends of both intervals are columns of their own."""
    say = speaker(lang)
    names = {one["code"]: one["name"][lang] for one in data["flags"]}
    rows = [
        {**row, "state": say(row["state"]), "flag": " ".join(names.get(code, code) for code in row.get("flags", ()))}
        for row in data["rows"]
    ]
    heads = ("rank", "ties", "name", "grid", "state", *_RANKED, "low", "high", "per_head_low", "per_head_high", "flag")
    return _written(heads, rows, say)


def roll_up_csv(data: Data, lang: Lang = "zh") -> bytes:
    """One row a community, and last their sums; `fund` in yuan, the names of grids with a flag in one cell."""
    say = speaker(lang)
    rows = [
        {
            **one["totals"],
            **{name: one[name] for name in ("name", "per_head", "published_on") if name in one},
            "community": one["place"],
            "flags": len(one["flags"]),
            "flag": " ".join(f"{flag['name']} {flag['flag_name'][lang]}" for flag in one["flags"]),
            "fund": one["fund_fen"],
        }
        for one in data["communities"]
    ]
    if sums := data["totals"]:
        rows.append({**sums, "name": say("sums"), "fund": sums["fund_fen"]})
    grids = {f"grids_{name}": name for name in ("ranked", "too_few", "empty")}
    heads = ("name", "community", "people", "active", "total", "per_head", "gained", "late", "taken_back", *grids)
    return _written(
        (*heads, "flags", "flag", "fund", "published_on"),
        [row | {head: row[name] for head, name in grids.items()} for row in rows],
        say,
    )


def list_csv(data: Data, lang: Lang = "zh") -> bytes:
    """An honour list, or the reminders that are posted now; of one that was removed its number and the day are left."""
    say = speaker(lang)
    if data["kind"] != "reminder":
        return _written(("no", "name", "place", "standing", "gained", "awards", "reason", "removed"), _shown(data), say)
    rows = [{**row, "matter": row["indicator_name"][lang]} if "name" in row else row for row in _shown(data)]
    return _written(("no", "name", "place", "matter", "occurred_on", "until", "reason", "reply", "removed"), rows, say)


def _shown(data: Data) -> list[dict[str, Any]]:
    return [
        {**row, "place": row["place_name"], **{name: hushed(row.get(name, "")) for name in ("reason", "reply")}}
        if "name" in row
        else {"no": row["no"], "removed": row["on"]}
        for row in data["rows"]
    ]


def _written(heads: Sequence[str], rows: Iterable[Mapping[str, Any]], say: Say) -> bytes:
    out = io.StringIO()
    sheet = csv.writer(out, lineterminator="\r\n")
    sheet.writerow([say(head) for head in heads])
    sheet.writerows([_cell(row.get(head), head) for head in heads] for row in rows)
    return "\ufeff".encode() + out.getvalue().encode()


def _cell(value: Any, head: str) -> Any:
    if value is None or isinstance(value, str):
        return inert(value or "")
    if head in AMOUNTS:
        return f"{'-' if value < 0 else ''}{abs(value) // 100}.{abs(value) % 100:02d}"
    return value

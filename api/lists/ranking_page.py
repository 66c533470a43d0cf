# SPDX-License-Identifier: Apache-2.0
"""The ranking of a community's grids: ranks with their intervals, what they are made of, flags and where they have
been."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from api.backtests.words import amount
from api.lists import charts, frame
from api.lists.words import Say, period, short, speaker
from api.messages import Lang
from api.settlements.paper import yuan

Data = Mapping[str, Any]

_HISTORY = 8  # periods side by side on a page


def ranking_page(data: Data, lang: Lang, form: str = "a4") -> str:
    """The whole page. `data` is what `naming.named` gives for a ranking."""
    say = speaker(lang)
    flags = {one["code"]: one for one in data["flags"]}
    parts = [
        frame.head(data, lang, form),
        "<main>",
        _flagged(data, flags, lang, say),
        _chart(data, say),
        frame.section(data["name"][lang], _table(data, flags, lang, say), css="ranks"),
        frame.section(say("method"), _method(data, lang, say)),
        frame.section(say("history"), _history(data, lang, say)) if flags or data["history"] else "",
        frame.objecting(say),
        frame.proof(data, lang),
        "</main>",
    ]
    return frame.page(frame.title(data, lang), lang, form, "".join(parts))


def _ranked(data: Data) -> list[Data]:
    return [row for row in data["rows"] if row["state"] == "ranked"]


def _grid(data: Data, row: Data) -> str:
    return short(row["name"], data["place_name"])


def _rank(row: Data, say: Say) -> str:
    """3, or 2 并列 where others have it too, or why there is none."""
    if row["state"] != "ranked":
        return say(f"unranked_{row['state']}")
    return say("tied", n=row["rank"]) if row.get("ties", 1) > 1 else str(row["rank"])


def _flagged(data: Data, flags: Mapping[str, Data], lang: Lang, say: Say) -> str:
    """Who has the flag this time, in large type: what people come to see."""
    found = [
        f"<li>{charts.flag()} <b>{escape(_grid(data, row))}</b> {escape(flags[code]['name'][lang])}</li>"
        for row in _ranked(data)
        for code in row.get("flags", ())
        if code in flags
    ]
    return f'<ul class="flags">{"".join(found)}</ul>' if found else ""


def _chart(data: Data, say: Say) -> str:
    found = [
        charts.Mark(
            f"{_rank(row, say)}  {_grid(data, row)}",
            row["per_head"],
            row.get("per_head_low"),
            row.get("per_head_high"),
            bool(row.get("flags")),
        )
        for row in _ranked(data)
    ]
    if not found:
        return ""
    percent = data.get("percent")
    note = f'<p class="note">{escape(say("interval_note", percent=percent))}</p>' if percent else ""
    return frame.section(say("chart_rank" if percent else "per_head"), charts.dots(found, say("chart_rank")), note)


def _table(data: Data, flags: Mapping[str, Data], lang: Lang, say: Say) -> str:
    rows = data["rows"]
    if not rows:
        return f'<p class="none">{escape(say("no_rows", what=say("of_grids")))}</p>'
    heads = ["rank", "grid", "people", "participation", "total", "per_head"]
    heads += [name for name in ("gained_per_head", "shrunken") if any(name in row for row in rows)]
    heads += ["interval"] if any("low" in row for row in rows) else []
    heads += [name for name in ("late", "taken_back") if any(row.get(name) for row in rows)]
    heads += ["flag"] if flags else []
    body = [[_cell(data, row, name, flags, lang, say) for name in heads] for row in rows]
    notes = [say("few_note", n=data["suppress_below"])] if any(say("untold") in row for row in body) else []
    notes += [say("late_note")] if "late" in heads or "taken_back" in heads else []
    told = "".join(f'<p class="note">{escape(note)}</p>' for note in notes)
    return frame.table([say(name) for name in heads], body) + told


def _cell(data: Data, row: Data, name: str, flags: Mapping[str, Data], lang: Lang, say: Say) -> frame.Cell:
    match name:
        case "rank":
            return _rank(row, say)
        case "grid":
            return _grid(data, row)
        case "people":
            return 0 if row["state"] == "empty" else row.get("people", say("untold"))
        case _ if row["state"] != "ranked":
            return ""
        case "participation":
            return frame.share(row["active"], row["people"]) if "active" in row else say("untold")
        case "interval":
            return f"{row['low']}–{row['high']}" if "low" in row else None
        case "flag":
            return " ".join(flags[code]["name"][lang] for code in row.get("flags", ()) if code in flags) or None
        case "late" | "taken_back":
            return frame.change(row[name]) if row.get(name) else None
        case _:
            return frame.sum_of(row.get(name))


def _method(data: Data, lang: Lang, say: Say) -> str:
    minimum = data["minimum"]
    told = [
        say(f"rank_note_{data['metric']}", end=data["to"]),
        say("minimum_note", people=minimum["people"], active=minimum["active"]),
    ]
    told += [_earned(one, lang, say) for one in data["flags"]]
    return f"<ul>{''.join(f'<li>{escape(one)}</li>' for one in told)}</ul>"


def _earned(flag: Data, lang: Lang, say: Say) -> str:
    parts: list[str] = []
    if "min_per_head" in flag:
        parts.append(say("flag_per_head", n=amount(flag["min_per_head"])))
    if "min_participation" in flag:
        parts.append(say("flag_participation", n=flag["min_participation"]))
    if "fund_fen" in flag:
        parts.append(say("flag_fund", yuan=yuan(flag["fund_fen"])))
    return say("flag_note", name=flag["name"][lang], conditions=("，" if lang == "zh" else ", ").join(parts))


def _history(data: Data, lang: Lang, say: Say) -> str:
    """Grids down, periods across: a flag where one was earned, with what came with it."""
    held = data["history"]
    if not held:
        return f'<p class="none">{escape(say("no_flags"))}</p>'
    periods = sorted({one["period"] for one in held})[-_HISTORY:]
    cells: dict[tuple[str, str], list[Data]] = {}
    for one in held:
        cells.setdefault((one["grid"], one["period"]), []).append(one)
    names = {one["grid"]: short(one["name"], data["place_name"]) for one in held if one["period"] in periods}
    heads = "".join(f"<th>{escape(period(one, lang))}</th>" for one in periods)
    rows = "".join(
        f"<tr><td>{escape(names[grid])}</td>"
        + "".join(f"<td>{_held(cells.get((grid, one), ()), lang)}</td>" for one in periods)
        + "</tr>"
        for grid in sorted(names)
    )
    return (
        f'<div class="wide"><table class="history"><thead><tr><th>{escape(say("grid"))}</th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _held(found: Sequence[Data], lang: Lang) -> str:
    return "<br>".join(
        f"{charts.flag()} {escape(one['flag_name'][lang])}"
        + (f' <span class="note">¥{yuan(one["fund_fen"])}</span>' if one.get("fund_fen") else "")
        for one in found
    )

# SPDX-License-Identifier: Apache-2.0
"""The rankings of all communities of a street or county on one page: a table, a chart of who takes part, the flags and
the money that came with them. In the order of codes, because communities are not ranked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any
from urllib.parse import quote

from api.lists import charts, frame
from api.lists.words import Say, period, short, speaker
from api.messages import Lang
from api.settlements.paper import yuan

Data = Mapping[str, Any]


def roll_up_page(data: Data, lang: Lang, form: str = "a4") -> str:
    """The whole page. `data` is what `roll_up.rolled_up` gives."""
    say = speaker(lang)
    parts = [
        _head(data, lang, form, say),
        f'<main><p class="note">{escape(say("together_note"))}</p>',
        _figures(data, lang, say),
        "</main>",
    ]
    title = f"{data['place_name']} {period(data['period'], lang)} {say('roll_up')}"
    return frame.page(title, lang, form, "".join(parts))


def address(found: Data, suffix: str, lang: Lang) -> str:
    """Where the ranking of a place is found, or the roll-up of those below it."""
    where = f"/v1/rankings/{quote(found['period'], safe='')}.{suffix}?community={quote(found['place'], safe='')}"
    return f"{where}&list={quote(found['list'], safe='')}&lang={lang}"


def _head(data: Data, lang: Lang, form: str, say: Say) -> str:
    here, other = escape(address(data, "html", lang)), "en" if lang == "zh" else "zh"
    ways = [(escape(address(data, "html", other)), say("other_language"))]
    ways.append((f"{here}&amp;form=a3", say("print_a3")) if form == "a4" else (here, "A4"))
    ways += [(escape(address(data, suffix, lang)), suffix.upper()) for suffix in ("csv", "json")]
    ways.append((f"/lists?community={quote(data['place'], safe='')}&amp;lang={lang}", say("index")))
    links = " · ".join(f'<a href="{where}">{escape(text)}</a>' for where, text in ways)
    days = say("days", start=data["from"], end=data["to"])
    return (
        f'<header><nav>{links}</nav><p class="place">{escape(data["place_name"])}</p>'
        f"<h1>{escape(say('roll_up'))} <small>{escape(period(data['period'], lang))}</small></h1>"
        f'<p class="note">{escape(data["name"][lang])} · {escape(days)}</p></header>'
    )


def _figures(data: Data, lang: Lang, say: Say) -> str:
    if not data["communities"]:
        return f'<p class="none">{escape(say("no_rankings"))}</p>{_waiting(data, say)}'
    notes = "".join(f'<p class="note">{escape(say(key))}</p>' for key in ("ranked_only_note", "each_frozen_note"))
    return "".join(
        (
            _chart(data, say),
            frame.section(say("together"), _table(data, lang, say), _waiting(data, say), notes, css="ranks last"),
            frame.section(say("flags_and_funds"), _flags(data, lang, say), css="last"),
        )
    )


def _chart(data: Data, say: Say) -> str:
    """Who took part, from zero; standing begins at the base that everybody has, and its bars would all look alike."""
    found: list[charts.Mark] = []
    for one in data["communities"]:
        people, active = one["totals"]["people"], one["totals"].get("active")
        if people and active is not None:
            value = 10_000 * active // people
            found.append(charts.Mark(one["name"], value, text=frame.percent(active, people)))
    title = say("chart_participation")
    return frame.section(title, charts.bars(found, title)) if found else ""


def _table(data: Data, lang: Lang, say: Say) -> str:
    heads = ("community", "counted", "participation", "total", "per_head")
    heads += ("grids_ranked", "grids_too_few", "grids_empty", "flags", "fund")
    rows = [
        _row(frame.Link(one["name"], address({**data, "place": one["place"]}, "html", lang)), one, one["totals"], say)
        for one in data["communities"]
    ]
    sums = data["totals"]
    rows.append(_row(say("sums"), {**sums, "flags": [None] * sums["flags"]}, sums, say))
    return frame.table([say(name) for name in heads], rows)


def _row(name: frame.Cell, one: Data, totals: Data, say: Say) -> list[frame.Cell]:
    people, active = totals["people"], totals.get("active")
    who = None if not people else say("untold") if active is None else frame.share(active, people)
    figures = [
        people or None,
        who,
        frame.sum_of(totals["total"] if people else None),
        frame.sum_of(one.get("per_head")),
    ]
    counts = [totals[name] for name in ("ranked", "too_few", "empty")]
    return [name, *figures, *counts, len(one["flags"]), yuan(one["fund_fen"]) if one["fund_fen"] else None]


def _waiting(data: Data, say: Say) -> str:
    names = _listed((one["name"] for one in data["waiting"]), say)
    return f'<p class="note">{escape(say("waiting", names=names))}</p>' if names else ""


def _flags(data: Data, lang: Lang, say: Say) -> str:
    """One row a community and flag: which grids, and what came with it."""
    rows: list[list[frame.Cell]] = []
    sums = data["totals"]["fund_fen"]
    for one in data["communities"]:
        for code in dict.fromkeys(flag["flag"] for flag in one["flags"]):
            held = [flag for flag in one["flags"] if flag["flag"] == code]
            grids = _listed((short(flag["name"], one["name"]) for flag in held), say)
            money = sum(flag.get("fund_fen", 0) for flag in held)
            budget = held[0].get("budget", "") if money else None
            rows.append([one["name"], held[0]["flag_name"][lang], grids, yuan(money) if money else None, budget])
    if not rows:
        return f'<p class="none">{escape(say("no_flags_now"))}</p>'
    rows.append([say("sums"), "", "", yuan(sums) if sums else None, ""])
    return frame.table([say(name) for name in ("community", "flag", "grid", "fund", "budget")], rows)


def _listed(names: Iterable[str], say: Say) -> str:
    return say("comma").join(names)

# SPDX-License-Identifier: Apache-2.0
"""The monthly notice (一月一公示) of a community: on A4 or A3 for the wall, on a phone, on the screen in the lobby."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from api.backtests.words import signed
from api.lists import charts, frame
from api.lists.words import Say, short, speaker
from api.messages import Lang

Data = Mapping[str, Any]

_BARS, _NAMES = 14, 39  # on one slide


def notice_page(data: Data, lang: Lang, form: str = "a4") -> str:
    """The whole page. `data` is what `naming.named` gives for a notice; `form` one of `frame.FORMS`."""
    say = speaker(lang)
    if form == "screen":
        body = frame.slides(data, lang, _slides(data, say), _last(data, lang, say))
        return frame.page(frame.title(data, lang), lang, form, body)
    parts = [
        frame.head(data, lang, form),
        "<main>",
        frame.section(say("summary"), _sums(data, say)),
        frame.section(say("grids"), _grids(data, say), css="grids"),
        _named(data, "bodies", say),
        _named(data, "persons", say, _withheld(data, say)),
        *(f'<p class="note">{escape(say(key))}</p>' for key in ("persons_note", "privacy_note")),
        frame.objecting(say),
        frame.proof(data, lang),
        "</main>",
    ]
    return frame.page(frame.title(data, lang), lang, form, "".join(parts))


def _none(words: str) -> str:
    return f'<p class="none">{escape(words)}</p>'


def _sums(data: Data, say: Say) -> str:
    """The figures of the whole community; one that would give a grid's away is not told."""
    names = [name for name in ("people", "active", "awards", "gained", "points") if name in data["totals"]]
    told = [(say(name), frame.shown(frame.figure(data["totals"][name], name))) for name in names]
    return f'<dl class="sums">{"".join(f"<div><dt>{escape(what)}</dt><dd>{n}</dd></div>" for what, n in told)}</dl>'


def _grid(data: Data, row: Data) -> str:
    return short(row["name"], data["place_name"])


def _chart(data: Data, rows: Sequence[Data], say: Say) -> str:
    found = [charts.Mark(_grid(data, row), row["gained"]) for row in rows if row.get("people") and "gained" in row]
    return charts.bars(found, say("chart_gained")) if any(one.value for one in found) else ""


def _grids(data: Data, say: Say) -> str:
    if not data["grids"]:
        return _none(say("no_grids"))
    names = ["people", "active", "awards", "gained", "points"]
    adjusted = [name for name in ("late", "taken_back") if any(row.get(name) for row in data["grids"])]
    names += adjusted
    untold = say("untold")
    rows = [
        [_grid(data, row), *(_figure(row[name], name) if name in row else untold for name in names)]
        for row in data["grids"]
    ]
    notes = [say("few_note", n=data["suppress_below"])] if any(untold in row for row in rows) else []
    notes += [say("late_note")] if adjusted else []
    told = "".join(f'<p class="note">{escape(note)}</p>' for note in notes)
    return _chart(data, data["grids"], say) + frame.table([say("grid"), *(say(name) for name in names)], rows) + told


def _figure(value: int, name: str) -> frame.Cell:
    return _adjusted(value) if name in ("late", "taken_back") else frame.figure(value, name)


def _adjusted(value: int) -> frame.Cell:
    return frame.change(value or None)


def _named(data: Data, part: str, say: Say, *more: str) -> str:
    shown = _thanked(data, part, data[part], say) or _none(say(f"no_{part}"))
    return frame.section(say(part), shown, *more)


def _thanked(data: Data, part: str, rows: Sequence[Data], say: Say) -> str:
    """Persons with their grid; bodies with their community, where the notice is about several."""
    where = "grid_name" if part == "persons" else "place_name"
    items = "".join(
        f"<li><span>{escape(row['name'])}</span>"
        f"<span>{escape(row[where] if row[where] != data['place_name'] else '')}</span>"
        f"<span>{escape(_thanks(row, say))}</span></li>"
        for row in rows
    )
    return f'<ul class="names {part}">{items}</ul>' if rows else ""


def _thanks(row: Data, say: Say) -> str:
    """What somebody gained: standing, points, or both."""
    told = [signed(row["gained"])] if row["gained"] else []
    return " · ".join([*told, *([say("and_points", n=signed(row["points"]))] if row["points"] else [])])


def _withheld(data: Data, say: Say) -> str:
    return f'<p class="note">{escape(say("withheld", n=data["withheld"]))}</p>' if data.get("withheld") else ""


# the screen ---------------------------------------------------------------------------------------------------------


def _slides(data: Data, say: Say) -> list[str]:
    """One idea a slide: the sums, the grids, the bodies, the residents."""
    found = [f"<h2>{escape(say('summary'))}</h2>{_sums(data, say)}<p class='big'>{escape(say('privacy_note'))}</p>"]
    for rows in _parts(data["grids"], _BARS):
        if chart := _chart(data, rows, say):  # none where nothing is told of these grids
            found.append(f"<h2>{escape(say('chart_gained'))}</h2>{chart}")
    for part in ("bodies", "persons"):
        for rows in _parts(data[part], _NAMES):
            found.append(f"<h2>{escape(say(part))}</h2>{_thanked(data, part, rows, say)}")
    return found


def _last(data: Data, lang: Lang, say: Say) -> str:
    note = escape(say("objecting_note"))
    return f"<h2>{escape(say('objecting'))}</h2><p class='big'>{note}</p>{frame.proof(data, lang)}"


def _parts(rows: Sequence[Data], size: int) -> list[Sequence[Data]]:
    return [rows[at : at + size] for at in range(0, len(rows), size)]

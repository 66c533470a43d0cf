# SPDX-License-Identifier: Apache-2.0
"""The frame of every page of lists: one file without scripts that loads nothing, so that it can be served, sent,
carried to a print shop on a stick and shown on a screen that has lost its network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote
from zoneinfo import ZoneInfo

from api import qr
from api.backtests.words import amount, signed
from api.lists.words import AMOUNTS, Say, hushed, period, speaker
from api.messages import Lang

FORMS = ("a4", "a3", "screen")
"""`a4` is also what a browser shows on a desk or a phone."""

_SLIDES_MAX = 24
_SLIDE_S = 12
_RELOAD_S = 3_600


def _screen_style() -> str:
    """Slides that take turns by themselves: for every number of them the share of the round in which one shows."""
    rules = [
        f".of-{many}>.slide{{animation:of-{many} {many * _SLIDE_S}s step-end infinite}}"
        f"@keyframes of-{many}{{0%{{visibility:visible}}{100 / many:.4f}%{{visibility:hidden}}}}"
        for many in range(2, _SLIDES_MAX + 1)
    ]
    turns = [
        f".slide.slide:nth-child({at}){{animation-delay:{(at - 1) * _SLIDE_S}s}}" for at in range(2, _SLIDES_MAX + 1)
    ]
    return "".join([*rules, *turns])


_HERE = Path(__file__).parent
_STYLES = {
    form: (_HERE / ("screen.css" if form == "screen" else "paper.css")).read_text(encoding="utf-8")
    + (_screen_style() if form == "screen" else "")
    for form in FORMS
}
_ALLOWED = " ".join(
    f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"
    for style in dict.fromkeys(_STYLES.values())
)
CSP = f"default-src 'none'; style-src {_ALLOWED}; base-uri 'none'; form-action 'none'"
_HIDDEN = "noindex, nofollow, noarchive"


def headers(kind: str) -> dict[str, str]:
    """What goes with a page of this kind: what it may load, and that no search engine keeps a reminder."""
    said = {"Content-Security-Policy": CSP, "Cache-Control": "no-cache"}
    return said | ({"X-Robots-Tag": _HIDDEN} if kind == "reminder" else {})


def page(title: str, lang: Lang, form: str, body: str, *, hidden: bool = False) -> str:
    """The whole document."""
    robots = f'<meta name="robots" content="{_HIDDEN}">' if hidden else ""
    again = f'<meta http-equiv="refresh" content="{_RELOAD_S}">' if form == "screen" else ""
    return (
        f'<!doctype html><html lang="{"zh-CN" if lang == "zh" else "en"}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1">{robots}{again}'
        f"<title>{escape(title)}</title><style>{_STYLES[form]}</style></head>"
        f'<body class="{form}">{body}</body></html>\n'
    )


# pieces of a page on paper ------------------------------------------------------------------------------------------


def title(data: Mapping[str, Any], lang: Lang) -> str:
    return f"{data['place_name']} {period(data['period'], lang)} {data['name'][lang]}"


def address(data: Mapping[str, Any], suffix: str) -> str:
    """Where an edition is found; '' for a preview."""
    return f"/v1/editions/{quote(data['id'], safe='')}.{suffix}" if data.get("id") else ""


def head(data: Mapping[str, Any], lang: Lang, form: str) -> str:
    """What it is, of when and where, which version, and the way to its other forms."""
    say = speaker(lang)
    line = [say("days", start=data["from"], end=data["to"])]
    line += [f"{say('published_on')} {data['published_on']}"] if data["published_on"] else []
    line += [say(data["state"])] if data["state"] != "published" else []
    line += [say("version", n=data["version"])] if data["version"] > 1 else []
    parts = [
        f'<p class="place">{escape(data["place_name"])}</p>',
        f"<h1>{escape(data['name'][lang])} <small>{escape(period(data['period'], lang))}</small></h1>",
        f'<p class="note">{escape(" · ".join(line))}</p>',
    ]
    if data.get("corrects"):
        why = say("because", reason=hushed(data.get("reason", "")))
        parts.append(f'<div class="box"><p>{escape(say("corrects", n=data["corrects_version"]) + why)}</p>')
        parts.append(f"{_changes(data.get('changes', ()), say)}</div>")
    if newer := data.get("corrected_by"):
        where = address({"id": newer}, "html")
        parts.append(f'<p class="box"><a href="{where}?lang={lang}">{say("corrected_by")}</a></p>')
    css = ' class="grey"' if data["kind"] == "reminder" else ""
    return f"<header{css}>{_ways(data, lang, form)}{''.join(parts)}</header>"


def _ways(data: Mapping[str, Any], lang: Lang, form: str) -> str:
    if not (here := address(data, "html")):
        return ""
    say, other = speaker(lang), "en" if lang == "zh" else "zh"
    ways = [(f"{here}?lang={other}&amp;form={form}", say("other_language"))]
    ways.append((f"{here}?lang={lang}&amp;form=a3", say("print_a3")) if form == "a4" else (f"{here}?lang={lang}", "A4"))
    if data["kind"] == "notice":
        ways.append((f"{here}?lang={lang}&amp;form=screen", say("screen")))
    ways += [(address(data, suffix), suffix.upper()) for suffix in ("csv", "json")]
    place = quote(data["place"], safe="")
    ways.append((f"/lists?community={place}&amp;lang={lang}", say("index")))
    return f'<nav>{" · ".join(f"""<a href="{where}">{text}</a>""" for where, text in ways)}</nav>'


def _changes(found: Iterable[Mapping[str, Any]], say: Say) -> str:
    """What a correction changed: each figure as it was and as it is, and how many rows came and went."""
    rows: list[list[Cell]] = []
    counts = ""
    for one in found:
        for what in ("added", "removed", "changed"):
            counts += say(f"rows_{what}", n=one[what]) if what in one else ""
        for name in one["was"] | one["is"] if "name" in one else ():
            rows.append([one["name"], say(name), *(figure(one[side].get(name), name) for side in ("was", "is"))])
    drawn = table([say("item"), "", say("was"), say("is")], rows) if rows else ""
    return drawn + (f"<p>{escape(counts)}</p>" if counts else "")


def section(heading: str, *inside: str, css: str = "") -> str:
    opened = f'<section class="{css}">' if css else "<section>"
    return f"{opened}<h2>{escape(heading)}</h2>{''.join(inside)}</section>"


class Link(NamedTuple):
    """Text that leads somewhere."""

    text: str
    where: str


Cell = str | int | Link | None
"""Text, a count, or nothing to show."""


def table(heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """A table; columns of numbers stand right. Every cell is escaped."""
    body = [list(row) for row in rows]
    numbers = [[_is_number(row[at]) for row in body if row[at] not in (None, "")] for at in range(len(heads))]
    css = [" class=n" if any(one) or not one else "" for one in numbers]
    top = "".join(f"<th{right}>{escape(one)}</th>" for one, right in zip(heads, css, strict=True))
    lines = ["".join(f"<td{right}>{shown(cell)}</td>" for cell, right in zip(row, css, strict=True)) for row in body]
    inside = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{inside}</tbody></table></div>'


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, int) or (isinstance(cell, str) and cell[:1] in tuple("0123456789+−¥") and "-" not in cell)


def shown(cell: Cell) -> str:
    if isinstance(cell, Link):
        return f'<a href="{escape(cell.where)}">{escape(cell.text)}</a>'
    return "—" if cell is None else f"{cell:,}" if isinstance(cell, int) else escape(cell)


def sum_of(value: int | None) -> Cell:
    """Hundredths as an amount; nothing where they are not told."""
    return None if value is None else amount(value)


def change(value: int | None) -> Cell:
    return None if value is None else signed(value)


def percent(active: int, people: int) -> str:
    """The share of residents who took part."""
    tenths = (active * 1000 + people // 2) // people
    return f"{tenths // 10}.{tenths % 10}%"


def share(active: int, people: int) -> str:
    """The same with their number."""
    return f"{percent(active, people)} ({active:,})"


def figure(value: int | None, name: str) -> Cell:
    return sum_of(value) if name in AMOUNTS else value


def objecting(say: Say) -> str:
    return section(say("objecting"), f"<p>{escape(say('objecting_note'))}</p>", css="objecting")


def proof(data: Mapping[str, Any], lang: Lang) -> str:
    """The closing root with its QR code, and what else pins this edition down."""
    say, closing = speaker(lang), data.get("closing")
    facts = [(say("digest"), data["digest"])] if data.get("digest") else []
    facts += [(say("rules"), data["pack"]["hash"][:16]), (say("frozen_at"), moment(data["frozen_at"], data["zone"]))]
    drawn, note = "", say("no_proof")
    if closing:
        size = say("entries" if closing["log"] else "epochs", n=format(closing["size"], ","))
        facts.insert(0, (say("root"), f"{spaced(closing['root'][:16])} ({size})"))
        drawn, note = f"<figure>{qr.svg(closing['note'].encode(), inline=True)}</figure>", say("proof_note")
    told = "".join(f"<dt>{escape(what)}</dt><dd><code>{escape(value)}</code></dd>" for what, value in facts)
    return section(say("proof"), f'<div class="proof">{drawn}<div><dl>{told}</dl><p>{escape(note)}</p></div></div>')


def spaced(digits: str) -> str:
    """Sixteen digits of hex as people compare them: in fours."""
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def moment(instant: str, zone: str) -> str:
    """An instant as the clocks of a place show it."""
    return datetime.fromisoformat(instant).astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")


# pieces of a page on a screen ---------------------------------------------------------------------------------------


def slides(data: Mapping[str, Any], lang: Lang, inside: Sequence[str], last: str) -> str:
    """A heading that stays, and the slides that take turns under it. What is more than a lobby will wait for is left to
    the paper; `last` is always shown."""
    say = speaker(lang)
    kept = [*inside[: _SLIDES_MAX - 1], last]
    rest = f'<p class="note">{escape(say("rest_on_paper"))}</p>' if len(kept) <= len(inside) else ""
    turning = "".join(
        f'<section class="slide"><p class="turn">{at}/{len(kept)}</p>{one}{rest if one is last else ""}</section>'
        for at, one in enumerate(kept, 1)
    )
    closing = data.get("closing")
    root = f"{say('root')} {spaced(closing['root'][:16])}" if closing else ""
    return (
        f"<header><p>{escape(data['place_name'])}</p><h1>{escape(data['name'][lang])} "
        f"<small>{escape(period(data['period'], lang))}</small></h1></header>"
        f'<main class="of-{len(kept)}">{turning}</main>'
        f"<footer><p>{escape(say('objecting_short'))}</p><p><code>{root}</code></p></footer>"
    )

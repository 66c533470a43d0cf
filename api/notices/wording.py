# SPDX-License-Identifier: Apache-2.0
"""Notices as people get them: a message of one line, a table for the sender of messages, slips to cut and hand out."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

from api import messages
from api.notices.prior import Prior
from api.notices.untold import Notice
from api.pages.page import filled
from api.people.names import masked
from api.world import World
from ledger.errors import Refusal
from rules.engine.explain import amount

LINES_MAX = 4  # in a message; the rest is said as a number


class Told(NamedTuple):
    """A notice with the name and phone it goes to and its words."""

    notice: Notice
    name: str
    phone: str | None
    text: str


async def worded(world: World, notices: Sequence[Notice], lang: messages.Lang = "zh") -> list[Told]:
    """Those that can be addressed: whoever was erased meanwhile is not told anything any more."""
    people = await world.people.records([one.subject for one in notices if one.kind == "person"])
    told: list[Told] = []
    for one in notices:
        if one.kind == "person":
            person = people.get(one.subject)
            if person is not None:
                text = message(world, one, masked(person.name), lang)
                told.append(Told(one, person.name, person.phone, text))
            continue
        rows = await world.ledger.fetch("SELECT name FROM body WHERE subject = ?", one.subject)
        if rows:
            told.append(Told(one, rows[0][0], None, message(world, one, rows[0][0], lang)))
    return told


def message(world: World, notice: Notice, name: str, lang: messages.Lang) -> str:
    """The whole message in one line."""
    said = [sentence(world, line, lang) for line in notice.lines[:LINES_MAX]]
    if more := len(notice.lines) - LINES_MAX:
        said += [messages.sentence("notice_more", "detail", lang, {"count": more})] if more > 0 else []
    said += [lapse(day, points, lang) for day, points in notice.lapsing]
    said += [proposed(world, line, lang) for line in notice.prior]
    facts = {"place": world.place_name(notice.journal), "name": name, "said": "".join(said)}
    return messages.sentence("notice_text", "detail", lang, facts)


def sentence(world: World, line: dict[str, Any], lang: messages.Lang) -> str:
    """One entry in one sentence; what was awarded for is called by its name."""
    facts = {
        "day": line["occurred_on"],
        "standing": signed(line["standing"]),
        "points": signed(line["points"]),
        "journal": line["journal"],
        "seq": line["seq"],
    }
    if "rule" not in line:
        return messages.sentence(f"entry_{line['kind']}", "detail", lang, facts)
    named = _rule(world, line["rule"], line["occurred_on"], lang)
    return messages.sentence(f"notice_{line['kind']}", "detail", lang, {**facts, "name": named})


def proposed(world: World, line: Prior, lang: messages.Lang) -> str:
    """Prior notice of one line of a reminder."""
    facts = {
        "day": line.day,
        "name": _rule(world, line.indicator, line.day, lang),
        "journal": line.journal,
        "seq": line.seq,
        "period": line.period,
        "list": line.list.en if lang == "en" else line.list.zh,
        "workdays": line.workdays,
    }
    return messages.sentence("notice_prior", "detail", lang, facts)


def _rule(world: World, code: str, day: str, lang: messages.Lang) -> str:
    """What a rule was called on a day."""
    try:
        _, indicator = world.packs.indicator(code, date.fromisoformat(day))
    except Refusal:
        return code
    return indicator.name.en if lang == "en" else indicator.name.zh


def lapse(day: str, points: int, lang: messages.Lang) -> str:
    return messages.sentence("notice_lapse", "detail", lang, {"day": day, "points": amount(points)})


def signed(hundredths: int) -> str:
    return f"+{amount(hundredths)}" if hundredths > 0 else amount(hundredths)


def table(told: Sequence[Told]) -> bytes:
    """For the sender of messages: phone and text, and the id to report back. With a mark that Excel knows as UTF-8."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\r\n")
    rows.writerow(("手机号", "短信内容", "编号", "账簿", "序号", "到期提醒至"))
    for one in told:
        notice = one.notice
        rows.writerow((one.phone, one.text, notice.subject, notice.journal, notice.seq, notice.warned))
    return "\ufeff".encode() + out.getvalue().encode()


def slips(world: World, told: Sequence[Told], lang: messages.Lang = "zh") -> bytes:
    """A page with one slip for each, by grid, to be cut and handed over."""
    return filled("notices.html", slips="\n".join(_slip(world, one, lang) for one in told) or _nothing(lang))


def _slip(world: World, one: Told, lang: messages.Lang) -> str:
    notice = one.notice
    lines = [sentence(world, line, lang) for line in notice.lines]
    lines += [lapse(day, points, lang) for day, points in notice.lapsing]
    lines += [proposed(world, line, lang) for line in notice.prior]
    where = world.place_name(notice.grid or notice.journal)
    listed = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    return (
        f'<section class="told"><h2>{html.escape(one.name)} <small>{html.escape(where)}</small></h2>'
        f'<ul>{listed}</ul><p class="note">{html.escape(messages.sentence("notice_object", "detail", lang, {}))}</p>'
        "</section>"
    )


def _nothing(lang: messages.Lang) -> str:
    return f"<p>{html.escape(messages.sentence('notice_none', 'detail', lang, {}))}</p>"

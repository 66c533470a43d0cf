# SPDX-License-Identifier: Apache-2.0
"""Honour lists and the grey list: who is on it and why, what the body says to it, and how one leaves it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from api.backtests.words import amount, signed
from api.lists import frame
from api.lists.words import Say, hushed, speaker
from api.messages import Lang

Data = Mapping[str, Any]


def list_page(data: Data, lang: Lang, form: str = "a4") -> str:
    """The whole page. `data` is what `naming.named` gives for an honour or a reminder list; no search engine keeps
    the page of a reminder."""
    say, grey = speaker(lang), data["kind"] == "reminder"
    parts = [
        frame.head(data, lang, form),
        "<main>",
        f'<p class="note">{escape(_note(data, say))}</p>',
        _reminders(data, lang, say) if grey else _honours(data, say),
        f'<p class="note">{escape(say("withheld", n=data["withheld"]))}</p>' if data.get("withheld") else "",
        _comments(data, say),
        _conditions(data, lang, say),
        frame.objecting(say),
        frame.proof(data, lang),
        "</main>",
    ]
    return frame.page(frame.title(data, lang), lang, form, "".join(parts), hidden=grey)


def _note(data: Data, say: Say) -> str:
    if data["kind"] == "reminder":
        return say("reminder_note", days=data["notice_workdays"])
    return say(f"honour_note_{data['decision']}")


def _empty(data: Data, say: Say) -> str:
    if data["state"] == "corrected":  # the new version says who is on it
        return ""
    what = say(f"of_{data['about']}")
    return f'<p class="none">{escape(say("no_rows", what=what))}</p>'


def _honours(data: Data, say: Say) -> str:
    if not data["rows"]:
        return _empty(data, say)
    why = any(row.get("reason") for row in data["rows"])
    heads = [say("no"), say("who" if data["about"] == "persons" else "name"), say("place")]
    heads += [say("standing"), say("gained_short"), *([say("reason")] if why else [])]
    return frame.table(heads, [_honour(row, say)[: len(heads)] for row in data["rows"]])


def _honour(row: Data, say: Say) -> list[frame.Cell]:
    if "name" not in row:
        return [row["no"], say("removed_on", day=row["on"]), *[""] * 4]
    figures = (amount(row["standing"]), signed(row["gained"]), hushed(row.get("reason", "")))
    return [row["no"], row["name"], row["place_name"], *figures]


def _reminders(data: Data, lang: Lang, say: Say) -> str:
    """One block of rows a matter: the reply stands right under it, in the same type."""
    minor = f'<p class="note">{escape(say("minor", n=data["minor"]))}</p>' if data.get("minor") else ""
    if not data["rows"]:
        return _empty(data, say) + minor
    heads = "".join(
        f'<th class="day">{escape(say(name))}</th>'
        for name in ("no", "name", "place", "matter", "occurred_on", "until")
    )
    rows = "".join(_reminder(row, lang, say) for row in data["rows"])
    return f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>{minor}'


def _reminder(row: Data, lang: Lang, say: Say) -> str:
    if "name" not in row:
        gone = escape(say("removed_on", day=row["on"]))
        return f'<tr class="gone"><td class="n">{row["no"]}</td><td colspan="5">{gone}</td></tr>'
    cells = (row["name"], row["place_name"], row["indicator_name"][lang])
    told = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    told += "".join(f'<td class="day">{escape(row[day])}</td>' for day in ("occurred_on", "until"))
    why = say("because", reason=hushed(row["reason"])) if row.get("reason") else ""
    said = say("replied", text=hushed(row["reply"])) if row.get("reply") else say("no_reply")
    under = "".join(f'<span class="quote">{escape(text)}</span>' for text in (why, said) if text)
    return (
        f'<tr class="matter"><td class="n" rowspan="2">{row["no"]}</td>{told}</tr><tr><td colspan="5">{under}</td></tr>'
    )


def _conditions(data: Data, lang: Lang, say: Say) -> str:
    items = "".join(f"<li>{escape(one)}</li>" for one in data.get("conditions", {}).get(lang, ()))
    return frame.section(say("conditions"), f"<ul>{items}</ul>") if items else ""


def _comments(data: Data, say: Say) -> str:
    found = data.get("comments") or ()
    items = "".join(f"<li>{escape(hushed(one['text']))} <small>{escape(one['day'])}</small></li>" for one in found)
    return frame.section(say("comments"), f"<ul>{items}</ul>") if items else ""

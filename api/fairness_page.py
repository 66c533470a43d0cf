# SPDX-License-Identifier: Apache-2.0
"""The fairness report as a page to print and as a table, and its alarms in words."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from api.backtests.words import amount
from api.lists.frame import Cell, page, section, sum_of, table
from api.lists.words import period
from api.messages import Lang
from api.sheets.write import inert

Data = Mapping[str, Any]

_WORDS: Mapping[str, tuple[str, str]] = {
    "title": ("积分公平性季报", "Fairness report"),
    "note": (
        "{start} 至 {end}，{place}。按登记居民算：一群人占多少人，就该占多少份。"
        "参与人数或积分不到应得的一半，就要查原因。不列姓名；不足五人的群体和不足五人得到的数不显示。",
        "{start} to {end}, {place}. A group's fair share is its part of the residents on record. Where it gets less "
        "than half of that, in people reached or in points, somebody looks for the reason. Nobody is named; groups of "
        "fewer than five, and what fewer than five got, are not shown.",
    ),
    "alarms": ("要查的", "To be looked into"),
    "none": ("本季没有。", "Nothing this quarter."),
    "all": ("全部", "All"),
    "age": ("按年龄", "By age"),
    "grid": ("按网格", "By grid"),
    "phone": ("按有没有手机", "With and without a phone"),
    "channel": ("按登记渠道", "By the way it came in"),
    "group": ("群体", "Group"),
    "people": ("居民", "Residents"),
    "reached": ("得到积分的人", "Reached"),
    "points": ("积分", "Points"),
    "reached_of_fair": ("参与占应得%", "Reached, % of fair"),
    "points_of_fair": ("积分占应得%", "Points, % of fair"),
    "state": ("结论", "Finding"),
    "fair": ("正常", "fair"),
    "below": ("不到一半", "below half"),
    "unsure": ("人数少，不下结论", "too few to say"),
    "too_few": ("人数少，不显示", "too few, not shown"),
    "18-39": ("18-39 岁", "18-39"),
    "40-59": ("40-59 岁", "40-59"),
    "60-74": ("60-74 岁", "60-74"),
    "75+": ("年满 75 岁", "from 75"),
    "60+": ("年满 60 岁（合计）", "all from 60"),
    "unknown": ("年龄不详", "age unknown"),
    "with": ("登记了手机", "with a phone"),
    "without": ("没有手机", "without a phone"),
    "awards": ("加分笔数", "Awards"),
    "points_percent": ("积分占比%", "% of points"),
    "counter": ("窗口登记", "at the desk"),
    "sheet": ("表格导入", "from sheets"),
    "report": ("居民自报", "reported by residents"),
    "dealing": ("关联与集中", "Self-dealing and concentration"),
    "what": ("检查", "Check"),
    "found": ("结果", "Result"),
    "kin": ("加分给经办人的代办人、登记亲属", "Awards to a proxy or listed relative of whoever gave them"),
    "mutual": ("经办人互相加分", "Awards that two givers gave each other"),
    "own_grid": ("加分多半给了自己住的网格的经办人", "Givers most of whose awards went to the grid they live in"),
    "counted": ("{n} 笔", "{n} awards"),
    "givers": ("{n} 人", "{n} people"),
    "top": ("积分最多的 {n} 人占全部积分", "Part of all points that the {n} people with most have"),
    "top_untold": ("积分最多的人占全部积分", "Part of all points that those with most have"),
    "one_proposer": (
        "登记最多的经办人（共 {n} 名）占全部加分笔数",
        "The busiest giver's part of all awards (of {n} givers)",
    ),
    "below_half": ("{group}：{measures}不到应得的一半", "{group}: {measures} below half of a fair share"),
    "and": ("和", " and "),
    "colon": ("{what}：{many}", "{what}: {many}"),
    "measure_reached": ("参与人数", "people reached"),
    "measure_points": ("积分", "points"),
}
_COLUMNS = ("people", "reached", "points", "reached_of_fair", "points_of_fair", "state")
_SECTIONS = (("age", "age"), ("phone", "phone"), ("grids", "grid"))


def _say(key: str, lang: Lang, **facts: Any) -> str:
    return _WORDS[key][lang == "en"].format(**facts)


def group_name(data: Data, code: str, lang: Lang) -> str:
    """A band, a grid by its name, or the words of a code."""
    names = {row["code"]: row["name"] for row in data["grids"]}
    return names.get(code) or (_say(code, lang) if code in _WORDS else code)


def alarms(data: Data, lang: Lang) -> list[str]:
    """Each alarm as a sentence."""
    said: list[str] = []
    for one in data["alarms"]:
        if one["kind"] == "below_half":
            measures = _say("and", lang).join(_say(f"measure_{name}", lang) for name in one["measures"])
            said.append(_say("below_half", lang, group=group_name(data, one["code"], lang), measures=measures))
        else:
            many = ("givers", one["staff"]) if one["kind"] == "own_grid" else ("counted", one["awards"])
            said.append(_say("colon", lang, what=_say(one["kind"], lang), many=_say(many[0], lang, n=many[1])))
    return said


def render(data: Data, lang: Lang) -> bytes:
    """The whole page."""
    heads = [_say(name, lang) for name in ("group", *_COLUMNS)]
    found = alarms(data, lang)
    listed = "".join(f"<li>{escape(one)}</li>" for one in found)
    whole = [(_say("all", lang), data["people"], data["reached"], sum_of(data["points"]), "", "", "")]
    parts = [
        f"<header><p class=place>{escape(data['place_name'])}</p><h1>{_say('title', lang)} "
        f"<small>{escape(period(data['period'], lang))}</small></h1><p class=note>"
        f"{escape(_say('note', lang, start=data['from'], end=data['to'], place=data['place_name']))}</p></header>",
        section(_say("alarms", lang), f"<ul>{listed}</ul>" if found else f"<p>{_say('none', lang)}</p>"),
    ]
    for key, word in _SECTIONS:
        rows = [_row(data, one, lang) for one in data[key]]
        parts.append(section(_say(word, lang), table(heads, [*rows, *whole])))
    parts.append(section(_say("channel", lang), _channels(data, lang)))
    parts.append(section(_say("dealing", lang), _dealing(data, lang)))
    title = f"{data['place_name']} {data['period']} {_say('title', lang)}"
    return page(title, lang, "a4", "".join(parts)).encode()


def _row(data: Data, one: Data, lang: Lang) -> Sequence[Cell]:
    return (
        group_name(data, one["code"], lang),
        one.get("people"),
        one.get("reached"),
        sum_of(one.get("points")),
        one.get("reached_of_fair"),
        one.get("points_of_fair"),
        _say(one["state"], lang),
    )


def _channels(data: Data, lang: Lang) -> str:
    heads = [_say(name, lang) for name in ("channel", "awards", "reached", "points", "points_percent")]
    rows = [
        (_say(one["code"], lang), one["awards"], one["reached"], sum_of(one["points"]), one["points_percent"])
        for one in data["channels"]
    ]
    return table(heads, rows)


def _dealing(data: Data, lang: Lang) -> str:
    dealing, shares = data["self_dealing"], data["concentration"]
    top = shares["top_people"]
    rows: list[Sequence[Cell]] = [
        (_say("kin", lang), _say("counted", lang, n=dealing["kin"]["awards"])),
        (_say("mutual", lang), _say("counted", lang, n=dealing["mutual"]["awards"])),
        (_say("own_grid", lang), _say("givers", lang, n=dealing["own_grid"]["staff"])),
        (_say("top", lang, n=top) if top else _say("top_untold", lang), _percent(shares["top_points_percent"])),
        (_say("one_proposer", lang, n=shares["proposers"]), _percent(shares["one_proposer_percent"])),
    ]
    return table([_say("what", lang), _say("found", lang)], rows)


def _percent(value: int | None) -> Cell:
    return None if value is None else f"{value}%"


def as_csv(data: Data, lang: Lang) -> bytes:
    """One row a group, with a mark that Excel knows as UTF-8; the first column says which kind of group."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\r\n")
    rows.writerow(["", *(_say(name, lang) for name in ("group", *_COLUMNS))])
    for key, word in _SECTIONS:
        for one in data[key]:
            cells = ["" if cell is None else cell for cell in _row(data, one, lang)]
            rows.writerow([_say(word, lang), inert(str(cells[0])), *cells[1:]])
    for one in data["channels"]:
        points = "" if one["points"] is None else amount(one["points"])
        rows.writerow([_say("channel", lang), _say(one["code"], lang), "", one["reached"], points])
    return "\ufeff".encode() + out.getvalue().encode()

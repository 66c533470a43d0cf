# SPDX-License-Identifier: Apache-2.0
"""A back-test's report as one page: Chinese first, English at a switch, charts inside, nothing loaded from anywhere,
and made to be printed for a meeting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, TypeAlias

from api.backtests.charts import Pair, columns, rows
from api.backtests.words import REASONS, WINDOWS, WORDS, PlaceName, Word, amount, named, rate, signed

Cell: TypeAlias = Word | str | int | None
Part: TypeAlias = Mapping[str, Any]

_CHARTED = 12
_STYLE = """
:root{color-scheme:light}
body{font:15px/1.55 system-ui,"PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif;color:#1a1c1e;margin:0}
main,header,.switch{max-width:70rem;margin:0 auto;padding:0 1.2rem}
.switch{text-align:right;padding-top:.8rem;color:#555}
h1{font-size:1.7rem;margin:.4rem 0 .2rem}h2{font-size:1.15rem;margin:2.2rem 0 .5rem;border-bottom:2px solid #d8dde3}
p{margin:.3rem 0}.note,header p{color:#4a5560}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.87rem}
th,td{padding:.28rem .6rem;border-bottom:1px solid #e3e7eb;text-align:left;vertical-align:top}
th{font-weight:600;background:#f4f6f8;vertical-align:bottom}td.n,th.n{text-align:right}td.n,td.c{white-space:nowrap}
.wide{overflow-x:auto}
svg{width:100%;height:auto;margin:.4rem 0}svg text{font-size:11px;fill:#1a1c1e}svg line{stroke:#9aa4ae}
rect.old{fill:#9fb3c8}rect.new{fill:#c0392b}
.key i{display:inline-block;width:.9em;height:.9em;margin:0 .35em 0 1em;vertical-align:-.08em}
.key .o{background:#9fb3c8}.key .w{background:#c0392b}
#zh:checked~* .en,#en:checked~* .zh{display:none}
@media print{.switch,#zh,#en{display:none}h2{break-after:avoid}tr,svg{break-inside:avoid}body{font-size:11px}
rect,th,.key i{print-color-adjust:exact;-webkit-print-color-adjust:exact}@page{margin:14mm}}
"""


def render(report: Part, place_name: PlaceName = str) -> str:
    """The whole page. `report` is what `rules.backtest.compare.compare` gives."""
    parts = [
        _head(report),
        _totals(report),
        _people(report),
        _months(report),
        _rules(report),
        _sums_table("groups", report["groups"]),
        _deciles(report),
        _grids(report, place_name),
        _grades(report),
        _caps(report),
        _reasons(report),
        _method(report),
    ]
    title = f"{WORDS['title'].zh} {report['pack']['id']} {report['pack']['version']}"
    return (
        '<!doctype html><html lang="zh"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        '<input type="radio" name="lang" id="zh" checked hidden><input type="radio" name="lang" id="en" hidden>'
        '<div class="switch"><label for="zh">中文</label> · <label for="en">English</label></div>'
        f"{parts[0]}<main>{''.join(parts[1:])}</main></body></html>\n"
    )


# pieces ------------------------------------------------------------------------------------------------------------


def _say(word: Word | str) -> str:
    if isinstance(word, str):
        return escape(word)
    if word.zh == word.en:
        return escape(word.zh)
    return f'<span class="zh" lang="zh">{escape(word.zh)}</span><span class="en" lang="en">{escape(word.en)}</span>'


def _is_number(value: Cell) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and value[:1] in tuple("0123456789+−-—"))


def _cell(value: Cell) -> str:
    said = _say(WORDS["few"]) if value is None else f"{value:,}" if isinstance(value, int) else _say(value)
    if _is_number(value):
        return f'<td class="n">{said}</td>'
    return f'<td class="c">{said}</td>' if isinstance(value, str) else f"<td>{said}</td>"


def _table(heads: Sequence[Word | str], body: Sequence[Sequence[Cell]]) -> str:
    if not body:
        return f"<p>{_say(WORDS['none'])}</p>"
    right = [any(_is_number(row[column]) for row in body) for column in range(len(heads))]
    top = "".join(
        f'<th class="n">{_say(head)}</th>' if number else f"<th>{_say(head)}</th>"
        for head, number in zip(heads, right, strict=True)
    )
    lines = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in body)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>'


def _section(title: str, *inside: str) -> str:
    return f"<section><h2>{_say(WORDS[title])}</h2>{''.join(inside)}</section>"


def _key(old: str = "old") -> str:
    return f'<p class="key"><i class="o"></i>{_say(WORDS[old])}<i class="w"></i>{_say(WORDS["new"])}</p>'


def _sums(row: Part) -> list[Cell]:
    old, new = row["old"], row["new"]
    return [
        amount(old["standing"]), amount(new["standing"]), signed(new["standing"] - old["standing"]),
        amount(old["points"]), amount(new["points"]), signed(new["points"] - old["points"]),
    ]  # fmt: skip


def _sum_heads() -> list[Word]:
    heads: list[Word] = []
    for book in ("standing", "points"):
        heads += [_joined(WORDS[book], WORDS[side]) for side in ("old", "new", "change")]
    return heads


def _joined(one: Word, two: Word) -> Word:
    return Word(f"{one.zh} {two.zh}", f"{one.en}: {two.en.lower()}")


def _points(label: Word, row: Part) -> Pair:
    old, new = row["old"]["points"], row["new"]["points"]
    return Pair(label, old, new, amount(old), amount(new))


# sections ----------------------------------------------------------------------------------------------------------


def _head(report: Part) -> str:
    packs = "".join(
        f"<p>{_say(WORDS[which])}: {_say(named(pack['name'], pack['id']))} {escape(pack['version'])} "
        f"<code>{escape(pack['hash'][:12])}</code></p>"
        for which, pack in (("draft", report["pack"]), ("current", report["current"]))
    )
    return (
        f"<header><h1>{_say(WORDS['title'])}</h1>"
        f"<p>{_say(WORDS['range'])}: {escape(report['from'])} – {escape(report['to'])}</p>{packs}</header>"
    )


def _totals(report: Part) -> str:
    old, new = report["totals"]["old"], report["totals"]["new"]
    body: list[Sequence[Cell]] = [
        (WORDS[book], amount(old[book]), amount(new[book]), signed(new[book] - old[book]))
        for book in ("standing", "points")
    ]
    money = (amount(old["points"]), amount(new["points"]), signed(new["points"] - old["points"]))
    body.append((WORDS["budget"], *money))
    heads = ["", WORDS["old"], WORDS["new"], WORDS["change"]]
    return _section("totals", _table(heads, body), f'<p class="note">{_say(WORDS["budget_note"])}</p>')


def _people(report: Part) -> str:
    names = ("with_awards", "newly_in", "newly_out", "more_points", "fewer_points", "more_standing", "less_standing")
    body = [(WORDS[row["kind"]], *(row[name] for name in names)) for row in report["people"]]
    return _section("moved", _table([WORDS["kind"], *(WORDS[name] for name in names)], body))


def _months(report: Part) -> str:
    pairs = [_points(Word(row["month"][2:], row["month"][2:]), row) for row in report["months"]]
    return _section("months", _key(), columns(pairs, WORDS["months"]))


def _rules(report: Part) -> str:
    found = sorted(report["rules"], key=_unchanged)
    changed = [row for row in found if row["old"]["points"] != row["new"]["points"]]
    chart = ""
    if changed:
        pairs = [_points(_rule_name(row), row) for row in changed[:_CHARTED]]
        chart = f"<p>{_say(WORDS['rules_chart'])}</p>{_key()}{rows(pairs, WORDS['rules_chart'])}"
    heads = [WORDS[name] for name in ("code", "name", "awards", "people", "refused", "cut")] + _sum_heads()
    body = [
        (row["code"], _rule_name(row), row["awards"], row["people"], row["refused"], row["cut"], *_sums(row))
        for row in found
    ]
    return _section("rules", chart, _table(heads, body))


def _unchanged(row: Part) -> tuple[int, int, str]:
    """What changes most comes first, then by code."""
    old, new = row["old"], row["new"]
    return -abs(new["points"] - old["points"]), -abs(new["standing"] - old["standing"]), row["code"]


def _rule_name(row: Part) -> Word:
    return named(row["name"], row["code"]) if row["code"] else WORDS["others"]


def _sums_table(title: str, found: Sequence[Part]) -> str:
    heads = [WORDS[name] for name in ("code", "name", "awards", "people")] + _sum_heads()
    body = [(row["code"], _rule_name(row), row["awards"], row["people"], *_sums(row)) for row in found]
    return _section(title, _table(heads, body))


def _deciles(report: Part) -> str:
    found = report["deciles"]
    label = [f"{row['part']}/{row['parts']}" for row in found]
    pairs = [_points(Word(text, text), row) for text, row in zip(label, found, strict=True)]
    chart = _key() + columns(pairs, WORDS["deciles"]) if pairs else ""
    body = [(Word(text, text), row["people"], *_sums(row)) for text, row in zip(label, found, strict=True)]
    return _section("deciles", chart, _table([WORDS["part"], WORDS["people"], *_sum_heads()], body))


def _grids(report: Part, place_name: PlaceName) -> str:
    heads = [WORDS[name] for name in ("community", "grid", "people", "rank")] + _sum_heads()
    body: list[Sequence[Cell]] = []
    for row in report["grids"]:
        rank = row["rank"]
        place = "" if rank is None else f"{rank['old']} → {rank['new']}"
        grid = place_name(row["grid"]) if row["grid"] else WORDS["others"]
        body.append((place_name(row["community"]), grid, row["people"], place, *_sums(row)))
    return _section("grids", _table(heads, body))


def _grades(report: Part) -> str:
    heads = [WORDS[name] for name in ("kind", "from_grade", "to_grade", "people")]
    body = [(WORDS[row["kind"]], row["old"], row["new"], row["people"]) for row in report["grades"]]
    return _section("grades", _table(heads, body), f'<p class="note">{_say(WORDS["grades_note"])}</p>')


def _caps(report: Part) -> str:
    found = report["caps"]
    often = [row for row in found if rate(row["old"]) or rate(row["new"])]
    often.sort(key=lambda row: -max(rate(row["old"]) or 0, rate(row["new"]) or 0))
    pairs = [
        Pair(
            Word(*(f"{row['indicator']} {row['cap']}",) * 2), rate(row["old"]) or 0, rate(row["new"]) or 0,
            _percent(row["old"]), _percent(row["new"]),
        )
        for row in often[:_CHARTED]
    ]  # fmt: skip
    chart = _key("held") + rows(pairs, WORDS["caps"]) if pairs else ""
    heads = [WORDS["code"], WORDS["cap"]]
    for side in ("held", "new"):
        heads += [_joined(WORDS[name], WORDS[side]) for name in ("limit", "awards", "cut", "hit_rate")]
    body = [(row["indicator"], row["cap"], *_cap(row["old"]), *_cap(row["new"])) for row in found]
    return _section("caps", chart, _table(heads, body))


def _cap(cap: Part | None) -> list[Cell]:
    if cap is None:
        return ["—"] * 4
    window = WINDOWS[cap["window"]]
    limit = Word(f"{cap['limit']:,}/{window.zh}", f"{cap['limit']:,}/{window.en}")
    return [limit, cap["awards"], cap["cut"], _percent(cap)]


def _percent(cap: Part | None) -> str:
    share = rate(cap)
    return "—" if share is None else f"{share:.1%}"


def _reasons(report: Part) -> str:
    found = report["deeds"]["refused"]
    body = [(REASONS.get(code, Word(code, code)), count) for code, count in found.items()]
    return _section("reasons", _table(["", WORDS["awards"]], body))


def _method(report: Part) -> str:
    names = ("judged", "carried", "taken_back", "unreadable")
    body = [(WORDS[name], report["deeds"][name]) for name in names]
    return _section("method", f"<p>{_say(WORDS['method_note'])}</p>", _table(["", WORDS["awards"]], body))

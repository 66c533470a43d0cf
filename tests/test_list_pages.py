# SPDX-License-Identifier: Apache-2.0
"""Pages and tables of editions: what they say, what they never let out, and that they need nothing but themselves."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
from collections.abc import Callable, Mapping
from html import unescape
from typing import Any, cast

import pytest

from api.lists import charts, frame, index_page, list_page, notice_page, ranking_page, roll_up_page, tables
from api.lists.words import WORDS, hushed, period, short
from api.messages import Lang

LANGS: tuple[Lang, ...] = ("zh", "en")
RED = {"code": "red_flag", "name": {"zh": "红旗网格", "en": "Red flag grid"}}


def head(kind: str, about: str = "grids") -> dict[str, Any]:
    return {
        "id": "edn_1", "list": kind, "kind": kind, "about": about, "name": {"zh": "某榜", "en": "Some list"},
        "period": "2026Q3", "from": "2026-07-01", "to": "2026-09-30", "place": "370321002002",
        "place_name": "兴旺花园社区", "version": 1, "state": "published", "published_on": "2026-10-03",
        "digest": "9f" * 32, "frozen_at": "2026-10-01T16:30:00.000000Z", "zone": "Asia/Shanghai",
        "pack": {"hash": "c0" * 32}, "totals": {}, "metric": "standing", "minimum": {"people": 50, "active": 10},
        "suppress_below": 5, "notice_workdays": 5, "decision": "person", "withheld": 0, "comments": [],
        "closing": {"log": "c", "size": 18342, "root": "ab56241ed7e95a6d" * 4, "note": "o\n1\nq\n\n— k AAA=\n"},
    }  # fmt: skip


def grid(number: int, **figures: Any) -> dict[str, Any]:
    return {"grid": f"370321002002-{number:02d}", "name": f"兴旺花园第{number}网格", **figures}


def notice() -> dict[str, Any]:
    whole = {"people": 100, "active": 20, "awards": 30, "gained": 5000, "points": 4000, "late": 150, "taken_back": -50}
    return head("notice") | {
        "totals": {"people": 104, "awards": 30},
        "grids": [grid(1, **whole), grid(2, people=12), grid(3)],
        "bodies": [{"name": "兴旺超市", "place_name": "兴旺花园社区", "gained": 200, "points": 500, "awards": 2}],
        "persons": [{"name": "张*华", "grid_name": "第1网格", "gained": 1050, "points": 300, "awards": 3}],
        "withheld": 2,
    }


def ranking() -> dict[str, Any]:
    def row(number: int, rank: int, ties: int, per_head: int, *flags: str) -> dict[str, Any]:
        ends = {"low": 1, "high": 3, "per_head_low": per_head - 90, "per_head_high": per_head + 120}
        figures = {"people": 200, "active": 47, "total": per_head * 200, "per_head": per_head, "flags": [*flags]}
        return grid(number, state="ranked", rank=rank, ties=ties, **figures, **ends)

    rows = [row(4, 1, 1, 101000, "red_flag"), row(1, 2, 2, 100500), row(2, 2, 2, 100500), row(3, 4, 1, 100100)]
    rows += [grid(5, state="too_few", people=31), grid(6, state="too_few"), grid(7, state="empty")]
    del rows[3]["active"]
    flags = [{**RED, "min_per_head": 100800, "min_participation": 20, "fund_fen": 200000}]
    held = {"grid": rows[0]["grid"], "name": rows[0]["name"], "flag": "red_flag", "flag_name": RED["name"]}
    history = [{**held, "period": name, "fund_fen": 200000} for name in ("2026Q3", "2025Q4")]
    return head("ranking") | {"rows": rows, "flags": flags, "percent": 90, "history": history}


def reminder() -> dict[str, Any]:
    row = {
        "no": 1, "name": "西苑面馆", "place_name": "西苑社区", "indicator_name": {"zh": "投诉属实", "en": "Complaint"},
        "occurred_on": "2026-09-08", "until": "2027-04-02", "reply": "已退款，电话 0533-8231234", "reason": "已核实",
    }  # fmt: skip
    rows = [row, {"no": 2, "removed": True, "on": "2026-11-12"}]
    said = [{"text": "整改以后也公布一下", "day": "2026-11-05"}]
    return head("reminder", "bodies") | {"rows": rows, "minor": 3, "comments": said}


def honour() -> dict[str, Any]:
    row = {"no": 1, "name": "张*华", "place_name": "兴旺花园社区", "standing": 105000, "gained": 4050, "awards": 12}
    rows = [row | {"reason": "三年无事故"}, {"no": 2, "removed": True, "on": "2026-11-12"}]
    return head("honour", "persons") | {"rows": rows}


def index() -> dict[str, Any]:
    found = {"list": "notice", "kind": "notice", "name": {"zh": "每月公示", "en": "Monthly notice"}}
    editions = [{"id": "edn_2", "period": "2026-10"}, {"id": "edn_1", "period": "2026-09"}]
    community = {"code": "c", "name": "甲社区", "level": "community", "together": []}
    street = {"code": "s", "name": "乙街道", "level": "street", "lists": []}
    together = [{"list": "grids", "name": RED["name"], "periods": ["2026Q3", "2026Q2"]}]
    places = [{**street, "together": together}, {**community, "lists": [{**found, "editions": editions}]}]
    return {"place": None, "place_name": "", "above": [], "below": [], "places": places}


def roll_up() -> dict[str, Any]:
    """Two communities, of which one does not tell who took part, and one that has not published."""
    flag = {"flag": "red_flag", "flag_name": RED["name"], "fund_fen": 200000, "budget": "服务群众经费"}
    flags = [{**flag, "grid": grid(n)["grid"], "name": grid(n)["name"]} for n in (1, 4)]
    one = {"place": "370321002002", "name": "兴旺花园社区", "published_on": "2026-10-03", "fund_fen": 400000}
    figures = {"people": 200, "active": 47, "total": 20050000, "gained": 90000, "ranked": 2, "too_few": 1, "empty": 1}
    other = {"people": 100, "total": 10000000, "ranked": 1, "too_few": 0, "empty": 0}
    found = [
        {**one, "totals": figures, "per_head": 100250, "flags": flags},
        {**one, "name": "田家社区", "totals": other, "per_head": 100000, "flags": [], "fund_fen": 0},
    ]
    sums = {"people": 300, "total": 30050000, "ranked": 3, "too_few": 1, "empty": 1, "per_head": 100167}
    made = head("roll_up") | {"name": {"zh": "网格考核排名", "en": "Ranking of grids"}, "communities": found}
    waiting = [{"place": "370321002006", "name": "鲁桥社区"}]
    return made | {"totals": {**sums, "flags": 2, "fund_fen": 400000}, "waiting": waiting}


Make = Callable[[dict[str, Any], Lang], "str | bytes"]
MADE: list[tuple[str, Callable[[], dict[str, Any]], Make]] = [
    *((f"notice {form}", notice, lambda data, lang, form=form: notice_page.notice_page(data, lang, form))
      for form in frame.FORMS),
    ("ranking", ranking, ranking_page.ranking_page),
    ("ranking a3", ranking, lambda data, lang: ranking_page.ranking_page(data, lang, "a3")),
    ("reminder", reminder, list_page.list_page),
    ("honour", honour, list_page.list_page),
    ("index", index, index_page.index_page),
    ("roll-up", roll_up, roll_up_page.roll_up_page),
    ("roll-up a3", roll_up, lambda data, lang: roll_up_page.roll_up_page(data, lang, "a3")),
    ("notice.csv", notice, tables.notice_csv),
    ("ranking.csv", ranking, tables.ranking_csv),
    ("reminder.csv", reminder, tables.list_csv),
    ("honour.csv", honour, tables.list_csv),
    ("roll-up.csv", roll_up, tables.roll_up_csv),
]  # fmt: skip
EVERY = pytest.mark.parametrize(("data", "make"), [pytest.param(*one[1:], id=one[0]) for one in MADE])
PAGES = pytest.mark.parametrize(
    ("data", "make"), [pytest.param(*one[1:], id=one[0]) for one in MADE if "csv" not in one[0]]
)


def read(made: str | bytes) -> str:
    """What somebody sees of it: text without markup."""
    text = made.decode() if isinstance(made, bytes) else re.sub(r"<style>.*?</style>|<[^>]*>", " ", made)
    return re.sub(r"\s+", " ", unescape(text))


def rows_of(made: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(made.decode("utf-8-sig"))))


# what never gets out ------------------------------------------------------------------------------------------------

POISON = {
    "subject": "sub_poison", "line": "sub_poison", "phone": "13800001234", "identity": "370321198001011234",
    "id_number": "370321198001011234", "birth": "1980-01-01", "contact": "poison", "full_name": "poison",
    "uscc": "poison", "decided_by": "poison",
}  # fmt: skip


def poisoned(value: Any) -> Any:
    """The same with what must not be seen added to every row."""
    if isinstance(value, list):
        return [poisoned(one) for one in cast("list[Any]", value)]
    if isinstance(value, Mapping):
        found = cast("Mapping[str, Any]", value)
        return {**(POISON if "zh" not in found else {}), **{name: poisoned(one) for name, one in found.items()}}
    return value


@EVERY
def test_only_known_fields_are_rendered(data: Callable[[], dict[str, Any]], make: Make) -> None:
    """Whatever else a row may carry one day (ids, phones, identity numbers), no page and no table shows it."""
    for lang in LANGS:
        clean, dirty = make(data(), lang), make(poisoned(data()), lang)
        assert clean == dirty
        assert not re.search(r"(?<![0-9a-f])[0-9]{7,}(?![0-9a-f])", read(clean).replace("370321002002", ""))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("电话13800001234", "电话＊＊＊"),
        ("138 0000 1234 找我", "＊＊＊ 找我"),
        ("138-0000-1234", "＊＊＊"),
        ("１３８００００１２３４", "＊＊＊"),
        ("一三八零零零零一二三四", "＊＊＊"),
        ("0533-8231234转2", "＊＊＊转2"),
        ("身份证37032119800101123X。", "身份证＊＊＊。"),
        ("2026-10-08已整改，2026-11-01复查", "2026-10-08已整改，2026-11-01复查"),
        ("2026-10-08 13800001234", "2026-10-08 ＊＊＊"),
        ("赔偿 12000 元，3 人", "赔偿 12000 元，3 人"),
        ("第三十六分店", "第三十六分店"),
    ],
)
def test_long_numbers_in_what_people_write(text: str, expected: str) -> None:
    """Numbers as long as a telephone's are blotted out in every spelling; dates, sums and names stay."""
    assert expected == hushed(text)


def test_replies_and_comments_are_hushed() -> None:
    """A body that puts its telephone into its reply does not have it on the wall, nor in the table."""
    for lang in LANGS:
        assert "8231234" not in list_page.list_page(reminder(), lang)
        assert "8231234" not in tables.list_csv(reminder(), lang).decode()


@EVERY
def test_markup_and_formulas_are_text(data: Callable[[], dict[str, Any]], make: Make) -> None:
    """A shop may call itself what it likes: it is escaped on a page, and no spreadsheet computes it."""

    def spoiled(value: Any) -> Any:
        if isinstance(value, list):
            return [spoiled(one) for one in cast("list[Any]", value)]
        if isinstance(value, Mapping):
            found = cast("Mapping[str, Any]", value)
            names = ("name", "place_name", "grid_name", "reason", "reply", "text")
            return {
                key: '=<b>"&' if key in names and isinstance(one, str) else spoiled(one) for key, one in found.items()
            }
        return value

    made = make(spoiled(data()), "zh")
    if isinstance(made, bytes):
        assert all(not cell.startswith("=") for row in rows_of(made) for cell in row)
    else:
        assert '=<b>"' not in made
        assert "=&lt;b&gt;" in made


# what they need ----------------------------------------------------------------------------------------------------


@PAGES
def test_a_page_needs_nothing_but_itself(data: Callable[[], dict[str, Any]], make: Make) -> None:
    """No script, nothing loaded, no style outside the one that the policy allows by its digest."""
    for lang in LANGS:
        made = str(make(data(), lang))
        assert not re.search(r"<script|<link|<img|<iframe|<form|\sstyle=|\son\w+=|url\(|@import|javascript:", made)
        (style,) = re.findall(r"<style>(.*?)</style>", made, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in frame.CSP
        assert "unsafe" not in frame.CSP


def test_a_reminder_is_not_for_search_engines() -> None:
    """Its page and its headers say so; those of an honour do not."""
    assert "noindex" in list_page.list_page(reminder(), "zh")
    assert "noindex" in frame.headers("reminder")["X-Robots-Tag"]
    assert "noindex" not in list_page.list_page(honour(), "zh")
    assert "X-Robots-Tag" not in frame.headers("honour")


def test_words_in_both_languages() -> None:
    """Every word is there twice, with the same facts in it."""
    for key, (zh, en) in WORDS.items():
        assert zh and en
        assert set(re.findall(r"\{\w+\}", zh)) == set(re.findall(r"\{\w+\}", en)), key
    pages = (notice_page.notice_page(notice(), "en"), ranking_page.ranking_page(ranking(), "en"))
    for made in (*pages, roll_up_page.roll_up_page(roll_up(), "en")):
        assert not re.findall(r"[，。：；、]", read(made))
    for made in (notice_page.notice_page(notice(), "zh"), list_page.list_page(reminder(), "zh")):
        assert "失信" not in made and "黑名单" not in made


# what they say -----------------------------------------------------------------------------------------------------


def test_a_notice_says_what_it_has() -> None:
    """Sums as people write them, what is not told said so and explained, the day in the community's zone."""
    said = read(notice_page.notice_page(notice(), "zh"))
    assert "第1网格 100 20 30 50.00 40.00 +1.50 −0.50" in said
    assert "第2网格 12 不公布 不公布" in said
    assert "第3网格 不公布 不公布" in said
    assert "不足 5 人的数字不公布" in said
    assert "兴旺超市 +2.00 · " in said
    assert "张*华 第1网格 +10.50" in said
    assert "另有 2 人撤回了公示同意" in said
    assert "2026-10-02 00:30" in said
    assert "ab56 241e d7e9 5a6d" in said


def test_a_ranking_says_who_shares_a_rank() -> None:
    """1, 2, 2, 4; small and empty grids listed without one; who has the flag stands first, and where it has been."""
    said = read(ranking_page.ranking_page(ranking(), "zh"))
    for row in ("1 第4网格 200 23.5% (47)", "2 并列 第1网格", "2 并列 第2网格", "4 第3网格 200 不公布"):
        assert row in said
    for row in ("不排名 第5网格 31", "不排名 第6网格 不公布", "无居民 第7网格 0"):
        assert row in said
    assert said.index("第4网格 红旗网格") < said.index("各网格人均信用分与区间")
    assert "2025年第四季度 2026年第三季度" in said
    assert "人均不低于 1,008.00 分，参与率不低于 20%，奖励资金 2,000.00 元" in said


def test_communities_stand_beside_each_other() -> None:
    """Their figures, the sums that every one of them tells, who is missing, which grids have a flag and with what
    money; no rank, and each leads to its own page."""
    made = roll_up_page.roll_up_page(roll_up(), "zh")
    said = read(made)
    assert "社区之间不排名" in said
    assert "名次" not in said
    for row in (
        "兴旺花园社区 200 23.5% (47) 200,500.00 1,002.50 2 1 1 2 4,000.00",
        "田家社区 100 不公布 100,000.00 1,000.00 1 0 0 0 —",
        "合计 300 不公布 300,500.00 1,001.67 3 1 1 2 4,000.00",
        "兴旺花园社区 红旗网格 第1网格、第4网格 4,000.00 服务群众经费",
        "尚未公示：鲁桥社区。",
    ):
        assert row in said
    assert 1 == made.count("<rect")  # of the one that tells
    assert '"/v1/rankings/2026Q3.html?community=370321002002&amp;list=roll_up&amp;lang=zh"' in made
    heads, *rows = rows_of(tables.roll_up_csv(roll_up()))
    found = [dict(zip(heads, row, strict=True)) for row in rows]
    assert ["兴旺花园社区", "田家社区", "合计"] == [row["名称"] for row in found]
    assert ["47", "", ""] == [row["参与人数"] for row in found]
    assert ["4000.00", "0.00", "4000.00"] == [row["奖励资金（元）"] for row in found]


def test_the_index_is_by_street() -> None:
    """The newest of each list; of one place all of them, with the way up and down."""
    whole = read(index_page.index_page(index(), "zh"))
    assert "乙街道 各社区网格排名汇总 2026年第三季度 甲社区 每月公示 2026年10月" in whole
    one = index() | {"place": "s", "place_name": "乙街道", "above": [{"code": "x", "name": "丙县"}]}
    made = index_page.index_page(one | {"below": [{"code": "c", "name": "甲社区"}]}, "zh")
    assert "2026年第三季度 · 2026年第二季度" in read(made)
    assert "community=x&amp;" in made
    assert "community=c&amp;" in made


def test_a_reply_stands_with_its_reminder() -> None:
    """The body's own words right under its line; what was removed is a number and a day."""
    said = read(list_page.list_page(reminder(), "zh"))
    assert (
        "西苑面馆 西苑社区 投诉属实 2026-09-08 2027-04-02 理由：已核实 单位回应：已退款，电话 ＊＊＊ 2 2026-11-12 移出"
        in said
    )
    assert "另有 3 件轻微事项" in said
    assert "整改以后也公布一下 2026-11-05" in said


def test_an_honour_has_its_reason() -> None:
    """Masked, with the reason of whoever decided, and what the list asks for."""
    said = read(list_page.list_page(honour() | {"conditions": {"zh": ["信用分满 1050 分"], "en": []}}, "zh"))
    assert "条件 信用分满 1050 分" in said
    assert "1 张*华 兴旺花园社区 1,050.00 +40.50 三年无事故 2 2026-11-12 移出" in said
    assert "逐个决定" in said


def test_a_correction_says_what_it_corrects() -> None:
    """Which version, why, each figure as it was and as it is; the old version points to the new one."""
    was, now = {"rank": 2, "per_head": 100500}, {"rank": 4, "per_head": 100050}
    changes = [{"part": "rows", "name": "第1网格", "was": was, "is": now}, {"part": "rows", "removed": 1}]
    new = ranking() | {"version": 3, "corrects": "edn_0", "corrects_version": 1, "reason": "登记重复"}
    said = read(ranking_page.ranking_page(new | {"changes": changes}, "zh"))
    assert "本版更正第 1 版。理由：登记重复" in said
    assert "第1网格 名次 2 4 第1网格 人均信用分 1,005.00 1,000.50 移出 1 条" in said
    old = ranking_page.ranking_page(ranking() | {"state": "corrected", "corrected_by": "edn_9"}, "zh")
    assert "/v1/editions/edn_9.html" in old


def test_nothing_to_show_is_said() -> None:
    """An edition of a month in which nothing happened, and one that is only tried."""
    quiet = notice() | {"totals": {}, "grids": [], "bodies": [], "persons": [], "withheld": 0, "closing": None}
    tried = quiet | {"id": None, "state": "preview", "published_on": "", "digest": ""}
    for form in frame.FORMS:
        said = read(notice_page.notice_page(tried, "zh", form))
        assert "检查点还没有签发" in said
    said = read(notice_page.notice_page(tried, "zh"))
    for words in ("还没有网格数据", "本期没有单位加分", "没有居民自愿公示", "试算，未公示"):
        assert words in said
    replaced = reminder() | {"rows": [], "state": "corrected", "corrected_by": "edn_9"}
    assert "本期没有上榜的单位" not in read(list_page.list_page(replaced, "zh"))
    assert "本期没有上榜的单位" in read(list_page.list_page(reminder() | {"rows": [], "minor": 0}, "zh"))
    assert "还没有公示过" in read(index_page.index_page(index() | {"places": []}, "zh"))
    alone = roll_up() | {"communities": [], "totals": {}}
    assert "还没有社区公示网格排名。 尚未公示：鲁桥社区。" in read(roll_up_page.roll_up_page(alone, "zh"))
    assert 1 == len(rows_of(tables.roll_up_csv(alone)))
    assert "还没有网格得过" in read(ranking_page.ranking_page(ranking() | {"rows": [], "history": []}, "zh"))


def test_slides_take_turns() -> None:
    """One class says how many there are, each of them has its turn, the last is how to object; a long month is cut and
    says so."""
    long = notice() | {"persons": notice()["persons"] * 2_000}
    for data, many in ((notice(), 5), (long, 24)):
        made = notice_page.notice_page(data, "zh", "screen")
        assert f'<main class="of-{many}">' in made
        assert many == made.count('<section class="slide">')
        assert "怎样提异议" in made.rsplit('<section class="slide">', 1)[1]
        assert (many == 24) == ("其余见纸质公示" in made)
        assert f".of-{many}>.slide" in made


def test_tables_have_every_figure() -> None:
    """Numbers as numbers, empty where they are not told, one row a grid."""
    heads, *rows = rows_of(tables.ranking_csv(ranking()))
    found = [dict(zip(heads, row, strict=True)) for row in rows]
    assert ["1", "2", "2", "4", "", "", ""] == [row["名次"] for row in found]
    assert ("1010.00", "47", "1", "3", "红旗网格") == tuple(
        found[0][name] for name in ("人均信用分", "参与人数", "名次区间起", "名次区间止", "旗")
    )
    assert "" == found[3]["参与人数"]
    assert [3, 1, 1] == [
        sum(row[0] == kind for row in rows_of(tables.notice_csv(notice()))) for kind in ("网格", "单位", "居民")
    ]
    assert ["2", "", "", "", "", "", "", "", "2026-11-12"] == rows_of(tables.list_csv(reminder()))[2]


@pytest.mark.parametrize(
    ("name", "community", "expected"),
    [
        ("兴旺花园第4网格", "兴旺花园社区", "第4网格"),
        ("兴旺花园04网格", "兴旺花园社区", "04网格"),
        ("宝发第4网格", "兴旺花园社区", "宝发第4网格"),
        ("第一网格", "第一社区", "第一网格"),
        ("东岳大集", "东岳社区", "东岳大集"),
    ],
)
def test_a_grid_at_home(name: str, community: str, expected: str) -> None:
    """On its own community's wall a grid is called by its number."""
    assert expected == short(name, community)


def test_periods_in_words() -> None:
    """As people say them."""
    assert ["2026年11月", "2026年第三季度", "2026年"] == [period(one, "zh") for one in ("2026-11", "2026Q3", "2026")]
    assert ["November 2026", "2026, quarter 3", "2026"] == [period(one, "en") for one in ("2026-11", "2026Q3", "2026")]


def test_dots_with_and_without_an_interval() -> None:
    """Equal figures have a scale as well; nothing to show is no chart."""
    assert "" == charts.dots([], "x")
    assert 2 == charts.dots([charts.Mark("甲", 100000), charts.Mark("乙", 100000)], "x").count("<circle")

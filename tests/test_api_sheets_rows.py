# SPDX-License-Identifier: Apache-2.0
"""Grids become rows: the sample month, other towns' layouts, problems by row and column, asides ignored."""

from __future__ import annotations

import time as clock
from datetime import date, time
from pathlib import Path
from typing import Any

import pytest

from api.sheets.awards import AwardRow, AwardSheet, parse_awards
from api.sheets.bodies import parse_bodies
from api.sheets.grid import SheetRefused
from api.sheets.people import parse_people
from api.sheets.places import parse_places
from api.sheets.read import read_sheet
from tests.test_api_sheets_read import book

SAMPLE = next(
    (p for p in (Path(__file__).parents[n] / "shared/data/shaohai-2022-03" for n in (1, 2)) if p.is_dir()),
    None,
)
sample = pytest.mark.skipif(SAMPLE is None, reason="the sample month is not beside the repository")


def awards(
    rows: dict[int, list[Any]] | list[list[Any]], formats: dict[tuple[int, int], str] | None = None
) -> AwardSheet:
    return parse_awards(read_sheet(book(rows, formats)))


def codes(sheet: Any) -> list[tuple[int, str, str]]:
    return [(p.row, p.column, p.code) for p in sheet.problems]


@sample
@pytest.mark.parametrize(("file", "parse"), [("signin.xlsx", parse_awards), ("people.xlsx", parse_people)])
def test_the_sample_month_is_read_whole_and_fast(file: str, parse: Any) -> None:
    """4,572 rows without a problem; the bound leaves room for a busy machine."""
    assert SAMPLE is not None
    data = (SAMPLE / file).read_bytes()
    started = clock.perf_counter()
    sheet = parse(read_sheet(data, file))
    assert clock.perf_counter() - started < 2.0
    assert (len(sheet.rows), sheet.problems, sheet.ignored) == (4572, [], [])
    assert [row.row for row in sheet.rows] == list(range(2, 4574))


@sample
def test_the_sample_places_are_read_whole() -> None:
    """1 county, 2 streets, 15 communities and 140 grids, each under its parent."""
    assert SAMPLE is not None
    sheet = parse_places(read_sheet((SAMPLE / "places.csv").read_bytes(), "places.csv"))
    assert sheet.problems == []
    levels = [row.level for row in sheet.rows]
    assert [levels.count(level) for level in ("county", "street", "community", "grid")] == [1, 2, 15, 140]
    assert {row.parent for row in sheet.rows} - {None} <= {row.code for row in sheet.rows}


def test_another_towns_layout() -> None:
    """Title, notes, other words, phones as numbers, totals and signatures at the foot: two rows are two
    deeds."""
    sheet = awards(
        {
            1: ["兴旺花园社区2022年3月志愿服务签到表"],
            2: ["填报单位：兴旺花园社区", None, None, None, "日期：2022年3月31日"],
            4: ["序号", "志愿者\n姓名", "联系电话", "网格", "活动名称", "活动日期", "时长（小时）", "签名"],
            5: [None, "必填", "11位手机号", None, None, "如：2022-03-05"],
            6: [1, "傅 丽", 19903047465, "第4网格", "环境整治", "2022年3月5日", 2],
            7: [2, "程梅艳", "199-0891-4342", "第2网格", "环境整治", date(2022, 3, 5), "1.5小时"],
            8: [3],
            9: ["合计", None, None, None, None, None, 3.5],
            11: ["备注：以上情况属实。"],
            12: ["填表人：张三", None, "审核人：李四", None, "社区（盖章）"],
        },
        {(7, 5): "yyyy/m/d"},
    )
    assert sheet.problems == []
    assert sheet.rows == [
        AwardRow(
            6,
            "傅丽",
            "19903047465",
            None,
            "第4网格",
            "环境整治",
            date(2022, 3, 5),
            None,
            None,
            120,
            None,
            None,
        ),
        AwardRow(
            7,
            "程梅艳",
            "19908914342",
            None,
            "第2网格",
            "环境整治",
            date(2022, 3, 5),
            None,
            None,
            90,
            None,
            None,
        ),
    ]
    assert sheet.ignored == [1, 2, 5, 8, 9, 11, 12]


@pytest.mark.parametrize(
    "words",
    [
        ["姓名", "手机号", "所属社区", "所属网格", "服务日期", "服务时长(小时)"],
        ["居民姓名", "手机", "社区", "网格名称", "日期", "小时数"],
        [" 姓 名 ", "联系电话（必填）", "所在社区", "所在网格", "活动日期(年-月-日)", "时长"],
        ["姓名*", "电话", "社区名称", "网格", "服务\n日期", "服务时长（ 小时 ）"],
        ["Name", "Phone", "Community", "Grid", "Date", "Hours"],
    ],
)
def test_header_synonyms_in_any_order(words: list[str]) -> None:
    """The words communities use, in whatever brackets and order, name the same columns."""
    cells: list[Any] = ["王丽", "13800000000", "中心社区", "第4网格", "2022-03-05", 2]
    for order in (range(6), (5, 3, 1, 0, 2, 4)):
        sheet = awards([[words[i] for i in order], [cells[i] for i in order]])
        row = sheet.rows[0]
        assert (row.name, row.phone, row.community, row.grid, row.minutes) == (
            "王丽",
            "13800000000",
            "中心社区",
            "第4网格",
            120,
        )


@pytest.mark.parametrize(
    ("word", "cell", "minutes"),
    [
        ("服务时长(分钟)", 90, 90),
        ("时长（分）", "90", 90),
        ("分钟数", 90, 90),
        ("服务时间(小时)", 2, 120),
        ("时长(次)", 2, None),
        ("服务时长(分钟)", "1.5小时", 90),
    ],
)
def test_the_unit_of_a_duration_is_in_its_header(word: str, cell: Any, minutes: int | None) -> None:
    """Minutes are minutes; a unit that is no time makes the column a stranger."""
    assert awards([["姓名", "日期", word], ["王丽", "2022-03-05", cell]]).rows[0].minutes == minutes


TIMES = ["姓名", "服务日期", "签到时间", "签退时间", "服务时长(小时)"]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["2022-03-05", "9:00", "11:30", 2.5], 150),
        (["2022-03-05", "9:00", "11:30", None], 150),
        (["2022-03-05", "9:00", "10:20", 1.33], 80),
        (["2022-03-05", "9:00", None, 2], 120),
        (["2022-03-05", None, None, None], None),
        (["2022-03-05", "2022-03-05 09:00:10", "2022-03-05 11:00:50", 2], 120),
        ([None, "2022-03-05 09:00", "2022-03-05 11:00", 2], 120),
        (["2022-03-05", "9:00", "11:30", 2], [("服务时长(小时)", "hours_mismatch")]),
        (["2022-03-05", "22:00", "1:00", 3], [("签退时间", "times_reversed")]),
        (["2022-03-05", "9:00", "9:00", None], [("签退时间", "times_reversed")]),
        (["2022-03-05", "2022-03-06 09:00", "11:00", 2], [("签到时间", "time_other_day")]),
        ([None, "9:00", "11:00", 2], [("服务日期", "date_missing")]),
        (
            ["03/05/22", "约9点", "11:00", "很久"],
            [("服务日期", "date_invalid"), ("签到时间", "time_invalid"), ("服务时长(小时)", "hours_invalid")],
        ),
    ],
)  # fmt: skip
def test_days_times_and_hours_must_agree(cells: list[Any], expected: Any) -> None:
    """Minutes come from the times or the hours, and a row that contradicts itself is refused by column."""
    sheet = awards([TIMES, ["王丽", *cells]])
    if isinstance(expected, list):
        assert [(p.column, p.code) for p in sheet.problems] == expected
        assert sheet.rows == []
    else:
        assert sheet.problems == []
        assert sheet.rows[0].minutes == expected
        assert sheet.rows[0].occurred_on == date(2022, 3, 5)


def test_one_column_for_day_and_times() -> None:
    """服务时间 with a day and a span is all three."""
    row = awards([["姓名", "服务时间"], ["王丽", "2022-03-05 9:00-11:00"]]).rows[0]
    assert (row.occurred_on, row.start, row.end, row.minutes) == (date(2022, 3, 5), time(9), time(11), 120)


def test_problems_name_row_column_and_value() -> None:
    """A problem says where it stands in the file and what is written there."""
    sheet = awards({2: ["联系电话", "姓名", "日期"], 5: ["1.99E+10", None, "2022-03-05"], 6: [12, "王丽", "3月5日"]})
    assert codes(sheet) == [
        (5, "姓名", "name_missing"), (5, "联系电话", "phone_scientific"),
        (6, "联系电话", "phone_invalid"), (6, "日期", "date_invalid"),
    ]  # fmt: skip
    assert [p.value for p in sheet.problems] == ["", "1.99E+10", "12", "3月5日"]


def test_errors_of_formulas_are_problems() -> None:
    """A broken formula is not a blank and not a name."""
    sheet = awards([["姓名", "日期"], ["#REF!", "2022-03-05"]])
    assert codes(sheet) == [(2, "姓名", "cell_error")]


def test_control_characters_are_shown_as_pictures() -> None:
    """A NUL in a cell is a problem whose message can be printed."""
    sheet = parse_awards(read_sheet("姓名,日期\n王\0丽,2022-03-05\n".encode()))
    assert (codes(sheet), sheet.problems[0].value) == ([(2, "姓名", "cell_control")], "王␀丽")


def test_indicator_is_the_code_else_the_activity() -> None:
    """指标编码 wins over 活动; an empty code leaves the activity."""
    rows = awards(
        [
            ["姓名", "日期", "活动", "指标编码"],
            ["王丽", 44625, "植树", "RE-01"],
            ["李强", 44625, "植树", None],
        ]
    ).rows
    assert [row.indicator for row in rows] == ["RE-01", "植树"]


def test_names_that_look_like_asides_are_people() -> None:
    """计春花 and 单总华 are people, 合计 and 审核人 are not."""
    names = [
        "如意",
        "计春花",
        "单总华",
        "合计",
        "小计",
        "审核人：王丽",
        "经小月",
        "注：以上属实",
        "姓名",
        "总计3人",
        "盖方舟",
    ]
    sheet = awards([["姓名", "日期"], *[[name, "2022-03-05"] for name in names]])
    assert [row.name for row in sheet.rows] == ["如意", "计春花", "单总华", "经小月", "盖方舟"]
    assert sheet.problems == []


def test_totals_and_signatures_wherever_they_stand() -> None:
    """合计 under 序号 beside 共2人, 社区负责人（签字） under the name: nobody's row; a phone without a name
    is somebody's."""
    sheet = awards(
        [
            ["序号", "姓名", "手机号", "日期", "备注"],
            [1, "王丽", "13800000000", "2022-03-05"],
            [2, None, "13900000000", "2022-03-05", "说明：补登"],
            ["合计", "共2人"],
            [None, "社区负责人（签字）："],
            [None, None, None, None, "填报说明：略"],
        ]
    )
    assert [row.row for row in sheet.rows] == [2]
    assert codes(sheet) == [(3, "姓名", "name_missing")]
    assert sheet.ignored == [4, 5, 6]


def test_a_merged_duration_is_not_shared_out() -> None:
    """Three hours merged over two people may be three each or three together."""
    grid = read_sheet(book([["姓名", "日期", "时长"], ["王丽", 44625, 3], ["李强", 44625, None]]))
    grid.rows[2][2] = 3
    merged = type(grid)(grid.name, grid.rows, grid.numbers, 0, 1, grid.headers, frozenset({(3, 2)}))
    assert codes(parse_awards(merged)) == [(3, "时长", "cell_merged")]


def test_missing_and_doubled_columns_refuse_the_sheet() -> None:
    """Without a needed column, or with two for one thing, nothing is read."""
    with pytest.raises(SheetRefused) as raised:
        awards([["姓名", "手机号"], ["王丽", "13800000000"]])
    assert (raised.value.code, raised.value.facts["missing"]) == ("column_missing", "服务日期")
    with pytest.raises(SheetRefused) as raised:
        awards([["姓名", "日期", "姓名"], ["王丽", 44625, "李强"]])
    assert raised.value.code == "column_twice"
    with pytest.raises(SheetRefused) as raised:
        parse_places(read_sheet(book([["姓名", "手机号"], ["王丽", "13800000000"]])))
    assert raised.value.code == "header_not_found"


def test_people() -> None:
    """Groups, birth and consent as people write them; a person needs a community and a grid."""
    sheet = parse_people(
        read_sheet(
            book(
                [
                    ["姓名", "手机号", "所属社区", "所属网格", "群体", "出生日期", "是否同意公示"],
                    ["王丽", None, "中心社区", "第4网格", "党员、居民", "1940年5月6日", "是"],
                    ["李强", 13800000000, "中心社区", "第4网格", None, None, None],
                    ["赵敏", None, None, "第4网格", None, "40.5.6", "看情况"],
                ]
            )
        )
    )
    first, second = sheet.rows
    assert (first.groups, first.birth, first.publication) == (("党员", "居民"), date(1940, 5, 6), True)
    assert (second.phone, second.groups, second.birth, second.publication) == ("13800000000", (), None, None)
    assert codes(sheet) == [
        (4, "所属社区", "place_missing"), (4, "出生日期", "date_invalid"),
        (4, "是否同意公示", "choice_invalid"),
    ]  # fmt: skip


def test_bodies() -> None:
    """A body needs a name and a type; its code may be empty but not wrong."""
    sheet = parse_bodies(
        read_sheet(
            book(
                [
                    ["单位名称", "类型", "统一社会信用代码", "群体", "所属社区", "联系人", "电话"],
                    ["惠民超市", "商户", "91110000600037341L", "商户", "中心社区", "王丽", "0533-8261234"],
                    ["中心社区志愿队", "志愿服务队", "无", None, None, None, None],
                    ["某公司", None, "911100006000373410", None, None, None, "826"],
                ]
            )
        )
    )
    assert [(row.name, row.uscc, row.phone) for row in sheet.rows] == [
        ("惠民超市", "91110000600037341L", "05338261234"), ("中心社区志愿队", None, None),
    ]  # fmt: skip
    assert codes(sheet) == [
        (4, "类型", "type_missing"), (4, "统一社会信用代码", "uscc_invalid"), (4, "电话", "phone_invalid"),
    ]  # fmt: skip


def test_places_speak_chinese_levels() -> None:
    """街道 and 网格 are levels; a number typed as code is still a code."""
    sheet = parse_places(
        read_sheet(
            book(
                [
                    ["编码", "名称", "层级", "上级编码"],
                    [370321, "桓台县", "县", None],
                    [370321001, "索镇街道", "街道", 370321],
                    ["370321001001-01", "第1网格", "网格", "370321001001"],
                    ["abc", "某地", "小区", None],
                ]
            )
        )
    )
    assert [(row.code, row.level, row.parent) for row in sheet.rows] == [
        ("370321", "county", None), ("370321001", "street", "370321"),
        ("370321001001-01", "grid", "370321001001"),
    ]  # fmt: skip
    assert codes(sheet) == [(5, "编码", "code_invalid"), (5, "层级", "level_invalid")]

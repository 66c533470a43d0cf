# SPDX-License-Identifier: Apache-2.0
"""Sign-in sheets as communities really keep them, brought in through `jifen import awards`.

What is unambiguous is taken; what is not is named by row, column and value, with a sentence that says what to do.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import orjson
import pytest
import xlsxwriter

from api import cli, settings
from api.sheets.grid import shown
from api.sheets.read import read_sheet
from api.world import World
from rules.ports import Actor

pytestmark = pytest.mark.schema()

PASSWORD = "correct horse battery"
COUNTY, STREET, GARDEN, CENTRE = "370321", "370321002", "370321002001", "370321002002"
PLACES = f"""编码,名称,层级,上级编码
{COUNTY},桓台县,county,
{STREET},少海街道,street,{COUNTY}
{GARDEN},兴旺花园社区,community,{STREET}
{CENTRE},中心社区,community,{STREET}
""" + "".join(
    f"{code}-{n:02d},{name}第{n}网格,grid,{code}\n"
    for code, name in ((GARDEN, "兴旺花园"), (CENTRE, "中心"))
    for n in (1, 2, 3, 4)
)
PEOPLE = """姓名,手机号,所属社区,所属网格,群体
王丽,19900000001,兴旺花园社区,第1网格,居民
李强,19900000002,兴旺花园社区,第2网格,党员
赵敏,,兴旺花园社区,第4网格,居民
张伟,19900000004,中心社区,第1网格,居民
张伟,19900000005,中心社区,第1网格,居民
"""
HEADER = (
    *("姓名", "手机号", "所属社区", "所属网格", "活动"),
    *("服务日期", "签到时间", "签退时间", "服务时长(小时)", "备注"),
)


class Office:
    """A small street with its people, and its command line in this process."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self.folder, self.capfd, self.patch = folder, capfd, patch

    def run(self, *words: str | Path, typed: str = PASSWORD + "\n") -> tuple[int, str, str]:
        self.patch.setattr("sys.stdin", io.StringIO(typed))
        self.capfd.readouterr()
        try:
            status = cli.main([str(word) for word in words])
        except SystemExit as stopped:  # argparse's own
            status = int(stopped.code or 0)
        out, err = self.capfd.readouterr()
        return status, out, err

    def do(self, *words: str | Path, status: int = 0) -> dict[str, Any]:
        found, out, err = self.run(*words, "--json")
        assert status == found, (words, out, err)
        return orjson.loads(out) if out else {"err": err}

    def sheet(self, name: str, rows: Sequence[Sequence[Any]], **more: Any) -> Path:
        path = self.folder / name
        if name.endswith(".csv"):
            lines = [",".join("" if cell is None else str(cell) for cell in row) + "\r\n" for row in rows]
            path.write_bytes("".join(lines).encode(more.get("encoding", "utf-8")))
            return path
        book = xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd"})
        page = book.add_worksheet()
        clock = book.add_format({"num_format": "hh:mm"})
        for at, row in enumerate(rows):
            for column, cell in enumerate(row):
                if isinstance(cell, time):
                    page.write_datetime(at, column, datetime.combine(date(1899, 12, 31), cell), clock)
                elif cell is not None:
                    page.write(at, column, cell)
        for across, text in more.get("merged", ()):
            page.merge_range(across, text)
        book.close()
        return path

    def rows(self, sheet: Path, *words: str, status: int = 0) -> dict[int, dict[str, Any]]:
        """The preview of a sheet, by row."""
        return {one["row"]: one for one in self.do("import", "awards", sheet, *words, status=status)["rows"]}


@pytest.fixture
def office(
    database_url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Office:
    monkeypatch.setenv("JIFEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("JIFEN_DATABASE_URL", database_url)
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    office = Office(tmp_path, capfd, monkeypatch)
    office.do("init")
    office.do("staff", "add", "admin", "--role", "county_admin", "--place", COUNTY)
    office.do("staff", "add", "wang", "--role", "street_staff", "--place", STREET)
    for kind, text, user in (("places", PLACES, "admin"), ("people", PEOPLE, "wang")):
        sheet = tmp_path / f"{kind}.csv"
        sheet.write_text(text, encoding="utf-8")
        assert office.do("import", kind, sheet, "--commit", "--as", user)["committed"]
    return office


def states(rows: dict[int, dict[str, Any]]) -> dict[int, str]:
    return {number: row["state"] for number, row in rows.items()}


def test_layouts_that_mean_one_thing_are_taken(office: Office) -> None:
    """Titles, notes, totals, other words, other orders, other ways to write a day, a phone, an hour, a grid."""
    # a printed form: merged title, subtitle, header in row 4, a row of notes, a row twice, totals, signatures
    form = office.sheet(
        "form.xlsx",
        [
            [],
            ["活动地点：社区广场", None, None, "2022年3月"],
            [],
            ["序号", "结束时间", "开始时间", "活动日期", "志愿者姓名", "联系电话\n（必填）", "活动项目", "小时数"],
            [None, "24小时制", "24小时制", "年-月-日", "请填写真实姓名", "11位", "请填写", None],
            [1, "11:00", "9:00", "2022年3月5日", "王 丽", 19900000001, "志愿服务", 2],
            [2, time(11, 30), time(10, 0), date(2022, 3, 6), "李强", "199 0000 0002", "疫情防控志愿服务", 1.5],
            [3, "11:00", "9:00", "2022.3.5", "王丽", "+86 19900000001", "志愿服务", "2小时"],
            [4, "16:00", "下午2:30", 20220307, "赵敏", None, "志愿服务", "1小时30分"],
            [5],
            [None, None, None, None, "合计", "3人", None, 7],
            ["填表人：李主任", None, None, None, None, "审核人（签字）："],
            ["备注：以上人员均已核实"],
        ],
        merged=[("A1:H1", "少海街道志愿服务签到表")],
    )
    rows = office.rows(form, status=1)
    ignored = dict.fromkeys((1, 2, 5, 10, 11, 12, 13), "ignored")
    assert ignored | {6: "posted", 7: "posted", 8: "duplicate", 9: "refused"} == states(rows)
    assert ("ambiguous", "志愿者姓名", "赵敏") == tuple(rows[9][k] for k in ("code", "column", "value"))

    # 赵敏 has no phone, so the grid is needed: by its short name, its full name, its code
    header = ("姓名", "网格", "所在社区", "日期", "时间段", "活动内容")
    grids = [
        header,
        ("赵敏", "第4网格", "兴旺花园社区", "2022-03-05", "9:00-10:30", "志愿服务"),
        ("赵敏", "兴旺花园第4网格", "兴旺花园", "2022/3/6", "9:00－10:30", "志愿服务"),
        ("赵敏", f"{GARDEN}-04", "", "2022-03-07", "9:00~10:30", "志愿服务"),
    ]
    assert dict.fromkeys((2, 3, 4), "posted") == states(office.rows(office.sheet("grids.csv", grids)))

    # a csv of an old Excel, with tabs for commas the next one
    deeds = [
        ("姓名", "手机", "服务日", "签到", "签退", "时长", "指标编号"),
        ("王丽", "19900000001", "2022-3-5", "9:00", "10:30", "", "RE-01"),
        ("王丽", "19900000001", "2022-3-6", "9:00", "10:30", "90分钟", "RE-01"),
        ("王丽", "19900000001", "2022-3-7", "", "", "1:30", "志愿服务时长"),
    ]
    previewed = office.do("import", "awards", office.sheet("gbk.csv", deeds, encoding="gb18030"))
    assert {"posted"} == {row["state"] for row in previewed["rows"]}
    same = office.do("import", "awards", office.sheet("utf16.csv", deeds, encoding="utf-16"))
    assert previewed["rows"] == same["rows"]

    # a header far below, named by hand
    deep = office.sheet("deep.csv", [*([f"说明{n}"] for n in range(1, 23)), *deeds])
    assert "header_not_found" in office.do("import", "awards", deep, status=2)["err"]
    assert dict.fromkeys((24, 25, 26), "posted") == {
        number: state for number, state in states(office.rows(deep, "--header-row", "23")).items() if state != "ignored"
    }


WRONG: tuple[tuple[tuple[Any, ...], str, str, str, str], ...] = (
    # the row, then code, column, value, and a word of what to do
    (("王丽", "19900000001", "兴旺花园社区", "第1网格", "志愿服务", "2022-03-05", "09:00", "11:00", "3"),
     "hours_mismatch", "服务时长(小时)", "3", "一致"),
    (("王丽", "19900000002", "兴旺花园社区", "第1网格", "志愿服务", "2022-03-05", "09:00", "11:00", "2"),
     "name_mismatch", "手机号", "19900000002", "核对"),
    (("孙七", "19900000077", "兴旺花园社区", "第1网格", "志愿服务", "2022-03-05", "09:00", "11:00", "2"),
     "subject_unknown", "姓名", "孙七", "登记"),
    (("张伟", "", "中心社区", "第1网格", "志愿服务", "2022-03-05", "09:00", "11:00", "2"),
     "ambiguous", "姓名", "张伟", "手机号"),
    (("赵敏", "", "兴旺花园社区", "第9网格", "志愿服务", "2022-03-05", "09:00", "11:00", "2"),
     "grid_unknown", "所属网格", "第9网格", "网格"),
    (("赵敏", "", "幸福社区", "第4网格", "志愿服务", "2022-03-05", "09:00", "11:00", "2"),
     "place_unknown", "所属社区", "幸福社区", "社区"),
    (("王丽", "19900000001", "兴旺花园社区", "第1网格", "志愿服务", "3月5日", "09:00", "11:00", "2"),
     "date_invalid", "服务日期", "3月5日", "年"),
    (("王丽", "19900000001", "兴旺花园社区", "第1网格", "志愿服务", "2022-02-30", "09:00", "11:00", "2"),
     "date_invalid", "服务日期", "2022-02-30", "日"),
    (("王丽", "19900000001", "兴旺花园社区", "第1网格", "广场舞", "2022-03-05", "09:00", "11:00", "2"),
     "indicator_unknown", "活动", "广场舞", "指标"),
    (("王丽", "19900000001", "兴旺花园社区", "第1网格", "志愿服务", "2022-03-05", "11:00", "09:00", "2"),
     "times_reversed", "签退时间", "09:00", "行"),
    (("王丽", "1.99E+10", "兴旺花园社区", "第1网格", "志愿服务", "2022-03-05", "09:00", "11:00", "2"),
     "phone_scientific", "手机号", "1.99E+10", "文本"),
    (("", "19900000001", "兴旺花园社区", "第1网格", "志愿服务", "2022-03-05", "09:00", "11:00", "2"),
     "name_missing", "姓名", "", "姓名"),
)  # fmt: skip


def test_what_is_not_certain_is_named_with_what_to_do(office: Office) -> None:
    """Row, column, value, code, reason and remedy of each; in words on the terminal, as a sheet with --errors."""
    sheet = office.sheet("wrong.csv", [HEADER, *(row for row, *_ in WRONG)])
    rows = office.rows(sheet, status=1)
    for number, (_, code, column, value, remedy) in enumerate(WRONG, start=2):
        found = rows[number]
        assert ("refused", code, column, value) == tuple(found[k] for k in ("state", "code", "column", "value")), found
        assert remedy in found["fix"] and "{" not in found["detail"] + found["fix"], found
    status, out, err = office.run("import", "awards", sheet)
    assert (1, "") == (status, err)
    assert "第2行 [hours_mismatch]" in out and "这是预览" in out


def test_nothing_is_half_imported_unless_asked_and_the_rest_comes_back_mended(office: Office) -> None:
    """One bad row keeps all out; --skip-bad takes the good ones; the sheet of refused rows is mended and imported."""
    good = ("王丽", "19900000001", "兴旺花园社区", "第1网格", "志愿服务", "2022-03-05", "09:00", "11:00", "2", "")
    bad = ("李强", 19900000002, "兴旺花园社区", "第2网格", "志愿服务", "2022-03-05", "09:00", "11:00", "2.5", "领队")
    sheet = office.sheet("month.xlsx", [["三月"], HEADER, good, bad])
    errors = office.folder / "errors.xlsx"
    before = office.do("verify")["lines"]
    assert 2 == office.run("import", "awards", sheet, "--errors", sheet)[0]
    assert 2 == office.run("import", "awards", sheet, "--errors", office.folder / "no" / "where.xlsx")[0]
    refused = office.do("import", "awards", sheet, "--commit", "--as", "wang", "--errors", errors, status=1)
    assert (False, "refused", 1) == (refused["committed"], refused["state"], refused["counts"]["refused"])
    assert before == office.do("verify")["lines"]

    back = read_sheet(errors.read_bytes())
    assert [*HEADER, "原行号", "原因", "怎么改"] == back.headers
    (row,) = back.rows[back.body :]
    assert ["李强", "19900000002", "4"] == [shown(row[at]) for at in (0, 1, 10)]
    assert "120" in shown(row[11]) and "一致" in shown(row[12])

    done = office.do("import", "awards", sheet, "--commit", "--as", "wang", "--skip-bad")
    assert (True, "posted") == (done["committed"], done["state"])
    assert (1, 1) == (done["counts"]["posted"], done["counts"]["refused"])

    row[8] = "2"
    mended = office.sheet("mended.xlsx", [back.headers, [shown(cell) for cell in row]])
    again = office.do("import", "awards", mended, "--commit", "--as", "wang")
    assert ("posted", 1, 0) == (again["state"], again["counts"]["posted"], again["counts"]["refused"])
    assert "duplicate" == states(office.rows(sheet, status=1))[3]


def test_a_sheet_that_was_taken_back_comes_in_mended(office: Office) -> None:
    """Its deeds are the same deeds still, so the mended sheet names the batch whose place it takes; and once only."""
    deeds = [("王丽", "19900000001", "志愿服务", "2022-03-05", "09:00", "", "1", "")]
    deeds += [("王丽", "19900000001", "志愿服务", "2022-03-05", "14:00", "", "1", "中心社区")]
    header = ("姓名", "手机号", "活动", "服务日期", "签到时间", "签退时间", "时长", "服务社区")
    wrong = office.sheet("wrong.csv", [header, *deeds])
    batch = office.do("import", "awards", wrong, "--commit", "--as", "wang")["id"]
    right = office.sheet("right.csv", [header, (*deeds[0][:6], "2", ""), deeds[1]])
    assert {"duplicate"} == set(states(office.rows(right, "--replaces", batch)).values())  # nothing was taken back yet

    async def take_back() -> None:
        world = World(settings.read())
        await world.open()
        try:
            clerk = Actor("stf_clerk", None, (("street_staff", STREET),))
            await world.desk.reverse_batch(clerk, batch, reason="时长抄错了", occurred_on="2022-03-31")
        finally:
            await world.close()

    asyncio.run(take_back())
    assert {"duplicate"} == set(states(office.rows(right)).values())
    assert "[not_found]" in office.do("import", "awards", right, "--replaces", "bat_none", status=2)["err"]
    done = office.do("import", "awards", right, "--replaces", batch, "--commit", "--as", "wang")
    assert 2 == done["counts"]["posted"]
    assert {"duplicate"} == set(states(office.rows(right, "--replaces", batch)).values())
    assert office.do("verify")["ok"]


def test_what_the_sheet_does_not_say_may_be_said_beside_it(office: Office) -> None:
    """--indicator and --place serve rows that name none; what a row does name is never overruled."""
    rows = [
        ("姓名", "手机号", "活动", "服务社区", "服务日期", "时长"),
        ("王丽", "19900000001", "", "", "2022-03-05", "1"),
        ("王丽", "19900000001", "", "中心社区", "2022-03-06", "1"),
        ("王丽", "19900000001", "RE-99", "", "2022-03-07", "1"),
    ]
    sheet = office.sheet("silent.csv", rows)
    assert ["indicator_missing", "indicator_missing", "indicator_unknown"] == [
        one["code"] for one in office.rows(sheet, status=1).values()
    ]
    said = office.rows(sheet, "--indicator", "RE-01", "--place", CENTRE, status=1)
    assert {2: "posted", 3: "posted", 4: "refused"} == states(said)
    for words, code in (
        (("--indicator", "RE-99"), "not_found"),
        (("--place", "370321009"), "not_found"),
        (("--header-row", "9"), "header_not_found"),
        (("--header-row", "0"), "header"),
    ):
        status, out, err = office.run("import", "awards", sheet, *words)
        assert (2, "") == (status, out) and code in err, (words, out, err)

# SPDX-License-Identifier: Apache-2.0
"""A street's month as its communities keep it, in three sheets; and what those sheets alone say everybody has earned.

The sums here are worked out from the cells, by other code than the product's: that is what it is checked against.
"""

from __future__ import annotations

import random
import re
import zipfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import xlsxwriter

from tests.tree import ROOT

# The month of the public record, 4,572 people, where it lies beside the project; it is no part of it.
SAMPLE = ROOT.parent / "shared" / "data" / "shaohai-2022-03"
STREET = "370321002"
NAMES = ("东苑", "西苑", "南苑", "北苑", "兴旺花园", "红莲湖", "田家", "鲁桥")
CODES = [f"{STREET}{n:03d}" for n in range(1, len(NAMES) + 1)]
GRIDS = 3
BASE = 100_000
DAY_MAX, YEAR_MAX = 240, 36_000
LADDER = (
    (600, 200), (1200, 500), (3000, 1000), (4800, 1500), (6000, 2000),
    (9000, 2500), (12000, 3000), (15000, 4000), (18000, 5000),
)  # fmt: skip


@dataclass(frozen=True)
class Month:
    """Three sheets of one street, and its communities' codes."""

    places: Path
    people: Path
    signin: Path
    communities: Sequence[str]


def months() -> list[Any]:
    """Which months there are to try: always one made here, and in the long run the recorded one where it is at hand."""
    recorded = [pytest.param("recorded", marks=pytest.mark.long)] if SAMPLE.is_dir() else []
    return ["made", *recorded]


def month(which: str, folder: Path) -> Month:
    if which == "recorded":
        return Month(SAMPLE / "places.csv", SAMPLE / "people.xlsx", SAMPLE / "signin.xlsx", CODES)
    return _made(folder)


def _made(folder: Path, people: int = 80, rows: int = 240, seed: int = 20220301) -> Month:
    """Few volunteers and many hours: full days, second deeds on one day, and some who reach the ladder."""
    chance = random.Random(seed)
    places = [["编码", "名称", "层级", "上级编码"], ["370321", "桓台县", "county", ""]]
    places.append([STREET, "少海街道", "street", "370321"])
    places += [[code, f"{name}社区", "community", STREET] for code, name in zip(CODES, NAMES, strict=True)]
    for code, name in zip(CODES, NAMES, strict=True):
        places += [[f"{code}-{n:02d}", f"{name}第{n}网格", "grid", code] for n in range(1, GRIDS + 1)]
    (folder / "places.csv").write_text("".join(",".join(row) + "\n" for row in places), encoding="utf-8")

    town: list[list[Any]] = []
    for n in range(people):
        name = chance.choice("王李张刘陈杨赵") + chance.choice("秀建国丽志文") + "甲乙丙丁戊己庚辛壬癸"[n // 8]
        grid = f"第{chance.randint(1, GRIDS)}网格"
        # Some elders have no phone and are found by name and grid; every name is one of a kind in its grid.
        phone = None if n % 9 == 0 else f"1990000{n:04d}"
        town.append([name, phone, f"{NAMES[n % 8]}社区", grid])
    _write(
        folder / "people.xlsx",
        ["姓名", "手机号", "所属社区", "所属网格", "群体", "出生日期", "是否同意公示"],
        [[*who, "党员" if n % 5 == 0 else "居民", "1960-05-06", "是"] for n, who in enumerate(town)],
    )

    seen: set[tuple[int, int, int]] = set()
    deeds: list[list[Any]] = []
    while len(deeds) < rows:
        n = min(int(chance.expovariate(0.06)), people - 1)  # a few do most of the work
        day, hour = chance.randint(1, 31), chance.choice((8, 10, 13, 15))
        if (n, day, hour) in seen:
            continue
        seen.add((n, day, hour))
        minutes = chance.choice((50, 60, 90, 120, 95, 200, 300))
        end = hour * 60 + minutes
        times = [f"{hour:02d}:00", f"{end // 60:02d}:{end % 60:02d}"]
        hours = round(minutes / 60, 2) if minutes % 30 == 0 else f"{minutes}分钟"
        deeds.append([*town[n], "RE-01", f"2022-03-{day:02d}", *times, hours, None])
    header = [
        "姓名",
        "手机号",
        "所属社区",
        "所属网格",
        "指标编码",
        "服务日期",
        "签到时间",
        "签退时间",
        "服务时长(小时)",
        "备注",
    ]
    _write(folder / "signin.xlsx", header, deeds)
    return Month(folder / "places.csv", folder / "people.xlsx", folder / "signin.xlsx", CODES)


def _write(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    book = xlsxwriter.Workbook(path)
    sheet = book.add_worksheet()
    for at, row in enumerate([header, *rows]):
        sheet.write_row(at, 0, row)
    book.close()


# what the sheet says ------------------------------------------------------------------------------------------------

Who = tuple[str, str]


def cells(path: Path) -> list[dict[str, str]]:
    """The rows of a plain xlsx under its first row, read with nothing but zip and XML."""
    spaces = {"m": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
    with zipfile.ZipFile(path) as book:
        shared: list[str] = []
        if "xl/sharedStrings.xml" in book.namelist():
            for one in ElementTree.fromstring(book.read("xl/sharedStrings.xml")).findall("m:si", spaces):
                shared.append("".join(text.text or "" for text in one.iter(f"{{{spaces['m']}}}t")))
        sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    rows: list[dict[str, str]] = []
    for row in sheet.findall(".//m:row", spaces):
        found: dict[str, str] = {}
        for cell in row.findall("m:c", spaces):
            column = re.sub(r"\d", "", cell.attrib["r"])
            text = "".join(piece.text or "" for piece in cell.iter() if piece.tag.endswith(("}v", "}t")))
            found[column] = shared[int(text)] if cell.attrib.get("t") == "s" else text
        rows.append(found)
    header = rows[0]
    return [{header[column]: text for column, text in row.items()} for row in rows[1:]]


def who(row: dict[str, str]) -> Who:
    """A person as a sheet names one: by phone, or by grid where there is none."""
    return row["姓名"], row.get("手机号") or f"{row['所属社区']}{row['所属网格']}"


def earned(path: Path) -> dict[Who, tuple[int, int]]:
    """(standing, points) of everybody in the sheet, in hundredths, if all of it is confirmed."""
    day: Counter[tuple[Who, str]] = Counter()
    year: Counter[Who] = Counter()
    points: dict[Who, int] = defaultdict(int)
    for row in cells(path):
        one, on = who(row), row["服务日期"]
        start, end = (int(t[:2]) * 60 + int(t[3:]) for t in (row["签到时间"], row["签退时间"]))
        minutes = min(end - start, DAY_MAX - day[one, on], YEAR_MAX - year[one])
        day[one, on] += minutes
        year[one] += minutes
        points[one] += minutes * 100 // 60
    return {one: (max([0, *(level for at, level in LADDER if year[one] >= at)]), points[one]) for one in points}

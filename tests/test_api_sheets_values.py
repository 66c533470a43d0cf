# SPDX-License-Identifier: Apache-2.0
"""What a cell means, one line a case: taken as written, or refused with a code."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pytest

from api.sheets import moments, values
from api.sheets.grid import Cell
from api.sheets.values import Bad


def judged(read: Any, cell: Cell, *args: Any, **kwargs: Any) -> Any:
    """The value, or the code of the refusal."""
    try:
        return read(cell, *args, **kwargs)
    except Bad as bad:
        return bad.code


DAY = date(2022, 3, 5)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2022-03-05", DAY), ("2022/3/5", DAY), ("2022.3.5", DAY), ("2022年3月5日", DAY),
        ("2022年03月05号", DAY),
        ("2022 年 3 月 5 日", DAY), ("20220305", DAY), (20220305, DAY), (44625, DAY), ("44625", DAY),
        (DAY, DAY),
        (datetime(2022, 3, 5, 9), DAY), ("2022-03-05 00:00:00", DAY), ("2022-03-05T09:00:00", DAY),
        ("2022-03-05 星期六", DAY), ("2022年3月5日（周六）", DAY), ("２０２２－０３－０５", DAY),
        ("2022-03-05 9:00", DAY),
        ("03/05/22", "date_invalid"), ("3/5/2022", "date_invalid"), ("3月5日", "date_invalid"),
        ("22.3.5", "date_invalid"),
        ("2022-3", "date_invalid"), ("2022-02-30", "date_invalid"), ("2022-13-01", "date_invalid"),
        (1965, "date_invalid"),
        ("2022-03-05至07", "date_invalid"), ("3月5日-3月7日", "date_invalid"),
        ("2022.3.5-2022.3.7", "date_invalid"),
        ("0022-03-05", "date_invalid"), (time(9), "date_invalid"), (True, "date_invalid"),
        (Decimal("0.5"), "date_invalid"),
        ("五月一日", "date_invalid"), ("2022-03/05", "date_invalid"), (None, None), ("无", None), (" ", None),
    ],
)  # fmt: skip
def test_days(cell: Cell, expected: Any) -> None:
    """A day is taken with its year first, and refused when month and day could change places."""
    assert judged(moments.day, cell) == expected


def test_births_reach_further_back_than_deeds() -> None:
    """1940 is a birth year but no year of service."""
    assert moments.day("1940-05-06", False, 1900) == date(1940, 5, 6)
    assert judged(moments.day, "1940-05-06") == "date_invalid"


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("9:00", time(9)), ("09:00:00", time(9)), ("09:30:45", time(9, 30)), ("9：30", time(9, 30)),
        ("上午9:00", time(9)),
        ("下午2:30", time(14, 30)), ("下午14:30", time(14, 30)), ("2:30 PM", time(14, 30)),
        ("9:00AM", time(9)),
        ("9点", time(9)), ("9点半", time(9, 30)), ("9时30分", time(9, 30)), ("9点30", time(9, 30)),
        ("晚上8点", time(20)),
        ("中午12点", time(12)), ("中午1点", time(13)), ("下午12:30", time(12, 30)), ("0900", time(9)),
        (1430, time(14, 30)),
        (time(9, 0, 20), time(9)), (Decimal("0.375"), time(9)), ("24:00", "time_invalid"),
        ("9:60", "time_invalid"),
        (9, "time_invalid"), ("9", "time_invalid"), ("9.30", "time_invalid"),
        (Decimal("9.3"), "time_invalid"),
        ("上午12:00", "time_invalid"), ("上午14:00", "time_invalid"), ("晚上12点", "time_invalid"),
        ("约9点", "time_invalid"),
        (900, "time_invalid"), ("下午", "time_invalid"), (DAY, "time_invalid"),
    ],
)  # fmt: skip
def test_times(cell: Cell, expected: Any) -> None:
    """A time is taken to the minute; words for the half of the day must leave one meaning."""
    found = judged(moments.clock, cell)
    assert (found if isinstance(found, str) else found[1]) == expected


def test_times_that_bring_their_day() -> None:
    """A moment is a day and a time."""
    assert moments.clock("2022-03-05 09:00") == (DAY, time(9))
    assert moments.clock("2022年3月5日 上午9:00") == (DAY, time(9))
    assert moments.clock(datetime(2022, 3, 5, 9, 30)) == (DAY, time(9, 30))
    assert moments.clock(None) is None


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("9:00-11:00", (None, time(9), time(11))), ("9：00～11：30", (None, time(9), time(11, 30))),
        ("上午9点至下午3点", (None, time(9), time(15))), ("2022-03-05 9:00-11:00", (DAY, time(9), time(11))),
        ("2022年3月5日9:00—11:00", (DAY, time(9), time(11))), ("2022-03-05", (DAY, None, None)),
        (DAY, (DAY, None, None)), (44625, (DAY, None, None)), ("9:00", (None, time(9), None)),
        (datetime(2022, 3, 5, 9), (DAY, time(9), None)), ("3月5日 9:00-11:00", "date_invalid"),
        ("一上午", "time_invalid"),
        ("2022-03-05 下午", "time_invalid"), (None, (None, None, None)), (time(9), (None, time(9), None)),
    ],
)  # fmt: skip
def test_spans(cell: Cell, expected: Any) -> None:
    """A column headed only 服务时间 may hold a day, a time or both."""
    assert judged(moments.span, cell) == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (3, 180), (Decimal("1.5"), 90), ("1.5", 90), ("2 小时", 120), ("1小时30分", 90),
        ("1小时30分钟", 90), ("90分钟", 90),
        ("半小时", 30), ("一个半小时", 90), ("两小时", 120), ("2h", 120), ("1:30", 90), (time(1, 30), 90),
        ("1.5小时", 90),
        ("１．５", 90), (Decimal("1.33"), 80), (Decimal("0.67"), 40), (Decimal("0.333333333333333"), 20),
        (24, 1440),
        (Decimal("1.34"), "hours_invalid"), (0, "hours_invalid"), (-1, "hours_invalid"),
        (25, "hours_invalid"),
        ("很久", "hours_invalid"), ("1.5小时30分", "hours_invalid"), ("-2", "hours_invalid"),
        (True, "hours_invalid"),
        (DAY, "hours_invalid"), (10**18, "hours_invalid"), ("1:30:20", "hours_invalid"),
        ("2-3小时", "hours_invalid"),
        (None, None), ("无", None),
    ],
)  # fmt: skip
def test_hours(cell: Cell, expected: Any) -> None:
    """Hours become whole minutes; what no minute can be written as is refused."""
    assert judged(moments.minutes, cell) == expected


def test_two_decimals_name_one_minute() -> None:
    """Every minute of a day survives being written as hours with two decimals."""
    for minute in range(1, 1441):
        assert moments.minutes(round(Decimal(minute) / 60, 2)) == minute


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("13800000000", "13800000000"), (13800000000, "13800000000"), ("138 0000 0000", "13800000000"),
        ("138-0000-0000", "13800000000"), ("+86 13800000000", "13800000000"),
        ("8613800000000", "13800000000"),
        ("１３８０００００００0", "13800000000"), ("13800000000.0", "13800000000"),
        ("\t13800000000 ", "13800000000"),
        ("1.38E+10", "phone_scientific"), ("1.3800000000E+10", "phone_scientific"),
        ("12800000000", "phone_invalid"),
        ("1380000000", "phone_invalid"), ("138000000000", "phone_invalid"), ("138****0000", "phone_invalid"),
        ("13800000000/13900000000", "phone_invalid"), ("0533-8261234", "phone_invalid"),
        ("电话", "phone_invalid"),
        (None, None), ("无", None), ("/", None), ("-", None), ("138\x0000000000", "cell_control"),
        ("=A1", "cell_error"),
    ],
)  # fmt: skip
def test_phones(cell: Cell, expected: Any) -> None:
    """Eleven digits however they are spaced; lost digits and second numbers are refused."""
    assert judged(values.phone, cell) == expected


def test_bodies_may_have_landlines() -> None:
    """A shop's landline with its area code is a phone."""
    assert values.phone("0533-8261234", landlines=True) == "05338261234"
    assert judged(values.phone, "8261234", landlines=True) == "phone_invalid"


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("王 丽", "王丽"), ("王　丽 ", "王丽"), ("欧阳　志远", "欧阳志远"),
        ("迪丽热巴 · 买买提", "迪丽热巴·买买提"),
        ("古丽•阿依", "古丽·阿依"), ("Ｊｏｈｎ  Smith", "John Smith"), ("王\u200b丽", "王丽"),
        ("〇一", "〇一"), ("㐂", "㐂"),
        ("王丽、李强", "name_invalid"), ("王丽等12人", "name_invalid"), ("王丽（党员）", "name_invalid"),
        (12, "name_invalid"),
        ("王\x00丽", "cell_control"), ("#REF!", "cell_error"), ("=A1", "cell_error"),
        ("@SUM(1)", "name_invalid"),
        ("王" * 51, "text_too_long"), (None, None), ("  ", None), ("·", "name_invalid"),
    ],
)  # fmt: skip
def test_names(cell: Cell, expected: Any) -> None:
    """Names are composed, half-width and without the spaces that even out a column; one person a cell."""
    assert judged(values.name, cell) == expected


def test_names_are_composed() -> None:
    """The same letters typed two ways are the same name."""
    assert values.name("e\u0301va") == "\u00e9va"


USCC = [
    "91110000600037341L",
    "9137000016309472X1"[:17],
    "N2370321MF1234567"[:17],
    "A1370321000000001"[:17],
    "Y1370321000000002"[:17],
]


def test_credit_codes_may_begin_with_letters() -> None:
    """The check character holds for codes beginning with N, A and Y as for digits."""
    assert values.uscc(USCC[0]) == USCC[0]
    for first in USCC[1:]:
        code = first + values.uscc_check(first)
        assert values.uscc(f" {code[:9]} {code[9:].lower()}") == code
        wrong = "0" if code[17] != "0" else "1"
        assert judged(values.uscc, first + wrong) == "uscc_invalid"


@pytest.mark.parametrize(
    ("cell", "expected"),
    [("91110000600037341", "uscc_invalid"), ("9111000060003734IL", "uscc_invalid"),
     (911100006000373410, "digits_lost"),
     (None, None), ("无", None), ("370321-志-001", "uscc_invalid")],
)  # fmt: skip
def test_credit_codes_refused(cell: Cell, expected: Any) -> None:
    """Short, misspelt and rounded codes are refused, no code is fine."""
    assert judged(values.uscc, cell) == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [("是", True), ("同意", True), ("√", True), (1, True), (True, True), ("否", False), ("不同意", False),
     ("×", False),
     (0, False), (None, None), ("", None), ("看情况", "choice_invalid")],
)  # fmt: skip
def test_yes_and_no(cell: Cell, expected: Any) -> None:
    """Consent is yes, no, or not asked."""
    assert judged(values.yes_no, cell) == expected


def test_groups_are_listed_in_one_cell() -> None:
    """Groups come apart at the marks people use, once each."""
    assert values.parts("党员、志愿者，楼长;党员") == ("党员", "志愿者", "楼长")
    assert values.parts("党员\n志愿者") == ("党员", "志愿者")
    assert values.parts(None) == ()

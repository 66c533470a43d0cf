# SPDX-License-Identifier: Apache-2.0
"""The rule language: what it says, what it refuses and where, and that no text can hurt it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import date
from random import Random
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.engine.language import (
    Bool,
    Day,
    Enum,
    Int,
    LanguageError,
    Type,
    check,
    compile_scalar,
    conjuncts,
    parse,
    prose,
    source,
    steps,
    to_polars,
    walk,
)
from rules.engine.language.errors import SENTENCES
from rules.engine.language.tree import Name, Number
from tests.tree import ROOT

SCOPE: Mapping[str, Type] = {
    "hours": Int(0, 24),
    "minutes": Int(0, 10_000),
    "change": Int(-5, 5),
    "level": Enum(("community", "district", "city")),
    "kind": Enum(("a", "b")),
    "flag": Bool(),
    "born": Day(),
}
FACTS: Mapping[str, Any] = {
    "hours": 3,
    "minutes": 70,
    "change": -5,
    "level": "city",
    "kind": "b",
    "flag": True,
    "born": date(1950, 2, 28),
    "occurred_on": date(2024, 2, 29),
}


def value(text: str, **facts: Any) -> Any:
    """What a rule comes to, alone and in a column of two rows."""
    checked = check(parse(text), SCOPE)
    row = {**FACTS, **facts}
    result = compile_scalar(checked)(row)
    assert [result, result] == pl.DataFrame([row, row]).select(pl.all(), found=to_polars(checked))["found"].to_list()
    return result


def refused(text: str) -> LanguageError:
    with pytest.raises(LanguageError) as caught:
        check(parse(text), SCOPE)
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 + 3 * 4 - 5", 9),
        ("10 - 3 - 2", 5),
        ("-hours * -2", 6),
        ("- -hours", 3),
        ("(2 + 3) * 4", 20),
        ("min(hours, 5, 2) + max(minutes, 7)", 72),
        ("div_floor(minutes, 60)", 1),
        ("div_floor(59, 60)", 0),
        ("round_half_up(5, 2)", 3),
        ("round_half_up(7, 2)", 4),
        ("round_half_up(7, 3)", 2),
        ("round_half_up(8, 3)", 3),
        ("round_half_up(9223372036854775807, 9223372036854775807)", 1),
        ("round_half_up(4611686018427387903, 9223372036854775807)", 0),
        ("round_half_up(4611686018427387904, 9223372036854775807)", 1),
        ("hours >= 3 && minutes < 60 || level == 'city'", True),
        ('hours >= 3 && (minutes < 60 || level == "district")', False),
        ("!(hours == 3) || !flag", False),
        ("'city' == level", True),
        ("level in ['district', 'city']", True),
        ("hours in [-3, 3]", True),
        ("change in [-5]", True),
        ("hours > 2 ? 10 : hours > 1 ? 5 : 0", 10),
        ("hours > 3 ? 10 : hours > 2 ? 5 : 0", 5),
        ("hours > 2 == true ? 1 : 0", None),
        ("year(born) * 10000 + month(born) * 100 + day(born)", 19500228),
        ("quarter(occurred_on)", 1),
        ("weekday(occurred_on)", 4),
        ("days_between(born, occurred_on)", 27029),
        ("days_between(occurred_on, born)", -27029),
        ("occurred_on > born && born != occurred_on", True),
        (" \t\r\n true\n", True),
    ],
)
def test_what_expressions_come_to(text: str, expected: int | bool | None) -> None:
    """Binding as in CEL, halves up, days by the calendar; the same alone and in columns."""
    if expected is None:
        assert "chained_comparison" == refused(text).code
    else:
        assert (expected, type(expected)) == (value(text), type(value(text)))


@pytest.mark.parametrize(
    ("day", "quarter", "weekday"),
    [
        (date(2024, 3, 31), 1, 7),
        (date(2024, 4, 1), 2, 1),
        (date(2024, 9, 30), 3, 1),
        (date(2024, 10, 1), 4, 2),
        (date(1, 1, 1), 1, 1),
        (date(9999, 12, 31), 4, 5),
    ],
)
def test_days_at_the_edges(day: date, quarter: int, weekday: int) -> None:
    """Quarters turn with their months, Monday is 1, and the calendar's ends are no exception."""
    assert (quarter, weekday) == (value("quarter(born)", born=day), value("weekday(born)", born=day))


@pytest.mark.parametrize(
    ("text", "code", "line", "column", "found", "allowed"),
    [
        # What comes from other languages and from the keyboard.
        ("hours = 3", "no_such_operator", 1, 7, "=", "=="),
        ("hours === 3", "no_such_operator", 1, 7, "===", "=="),
        ("hours <> 3", "no_such_operator", 1, 7, "<>", "!="),
        ("hours => 3", "no_such_operator", 1, 7, "=>", ">="),
        ("flag and flag", "no_such_operator", 1, 6, "and", "&&"),
        ("flag OR flag", "no_such_operator", 1, 6, "OR", "||"),
        ("not flag", "no_such_operator", 1, 1, "not", "!"),
        ("flag & flag", "no_such_operator", 1, 6, "&", "&&"),
        ("flag\n  | flag", "no_such_operator", 2, 3, "|", "||"),
        ("hours / 60", "no_such_operator", 1, 7, "/", "div_floor(x, 60)"),
        ("hours // 60", "no_such_operator", 1, 7, "//", "div_floor(x, 60)"),
        ("hours % 2", "no_such_operator", 1, 7, "%", "div_floor(x * 10, 100)"),
        ("hours * 15%", "no_such_operator", 1, 9, "15%", "div_floor(x * 15, 100)"),
        ("hours * 15％", "no_such_operator", 1, 9, "15％", "div_floor(x * 15, 100)"),
        ("hours ** 2", "no_such_operator", 1, 7, "**", "x * x"),
        ("hours * 0.5", "decimal_number", 1, 9, "0.5", "div_floor(x * 5, 10)"),
        ("hours * .25", "decimal_number", 1, 9, ".25", "div_floor(x * 25, 100)"),
        ("1e5", "decimal_number", 1, 1, "1e5", "div_floor(x, 2)"),
        ("007", "bad_number", 1, 1, "007", "7"),
        ("0x1F", "bad_number", 1, 1, "0x1F", "0"),
        ("12小时", "bad_number", 1, 1, "12小时", "12"),
        ("flag，flag", "foreign_character", 1, 5, "， (U+FF0C)", ","),
        ("（hours）", "foreign_character", 1, 1, "（ (U+FF08)", "("),
        ("hours ＝ 3", "foreign_character", 1, 7, "＝ (U+FF1D)", "=="),
        ("hours > ３", "foreign_character", 1, 9, "３ (U+FF13)", "3"),
        ("hours ≥ 2", "foreign_character", 1, 7, "≥ (U+2265)", ">="),
        ("hours × 2", "foreign_character", 1, 7, "× (U+00D7)", "*"),
        ("flag ？ 1 ： 2", "foreign_character", 1, 6, "？ (U+FF1F)", "?"),
        ("level == “city”", "foreign_character", 1, 10, "“ (U+201C)", "'"),
        ("level in 【'city'】", "foreign_character", 1, 10, "【 (U+3010)", "["),
        ("h\u043eurs > 1", "foreign_character", 1, 2, "\u043e (U+043E)", "o"),
        ("hours\u3000> 1", "foreign_character", 1, 6, "U+3000", "U+0020"),
        ("小时数 >= 2", "foreign_character", 1, 1, "小时数", "a-z 0-9 _"),
        ("level == 'city", "open_text", 1, 10, "'city", "'city'"),
        ("level == 'city\n'", "open_text", 1, 10, "'city", "'city'"),
        ("level == 'ci\\ty'", "not_in_language", 1, 13, "\\", "'word'"),
        ("hours == null", "not_in_language", 1, 10, "null", "0, 'word', name"),
        ("if > 1", "not_in_language", 1, 1, "if", "a ? b : c"),
        ("while > 1", "not_in_language", 1, 1, "while", "while_"),
        # Grammar.
        ("1 < hours < 3", "chained_comparison", 1, 11, "a < b < c", "a < b && b < c"),
        ("hours in [1] == flag", "chained_comparison", 1, 14, "a in b == c", "a in b && b == c"),
        ("hours +", "unexpected", 1, 8, "…", "60, 'word', name, (, !, -"),
        ("hours 3", "unexpected", 1, 7, "3", "+ - * < <= > >= == != in && || ?"),
        ("hours[0]", "unexpected", 1, 6, "[", "+ - * < <= > >= == != in && || ?"),
        ("(hours", "unexpected", 1, 7, "…", "+ - * < <= > >= == != in && || ? )"),
        ("min(hours 3)", "unexpected", 1, 11, "3", "+ - * < <= > >= == != in && || ? , )"),
        ("flag ? flag ? 1 : 2 : 3", "unexpected", 1, 13, "?", "+ - * < <= > >= == != in && || :"),
        ("hours in []", "unexpected", 1, 11, "]", "60, 'word'"),
        ("hours in [1, hours]", "unexpected", 1, 14, "hours", "60, 'word'"),
        ("hours in [1 2]", "unexpected", 1, 13, "2", ", ]"),
        ("hours in 3", "unexpected", 1, 10, "3", "["),
        ("hours in [-'a']", "unexpected", 1, 12, "'a'", "60"),
        ("!-hours", "unexpected", 1, 2, "-", "60, name, ("),
        # Types.
        ("huors > 1", "unknown_name", 1, 1, "huors", "born, change, flag, hours, kind, level, minutes, occurred_on"),
        ("level == 'citty'", "unknown_word", 1, 10, "'citty'", "'community', 'district', 'city'"),
        ("level in ['city',\n 'a']", "unknown_word", 2, 2, "'a'", "'community', 'district', 'city'"),
        ("hours == 'city'", "wrong_type", 1, 10, "'city'", "int"),
        ("level == kind", "wrong_type", 1, 10, "kind: enum", "'community', 'district', 'city'"),
        ("level == 3", "wrong_type", 1, 10, "3: 3..3", "'community', 'district', 'city'"),
        ("level < 'city'", "wrong_type", 1, 1, "level < 'city'", "== !="),
        ("level in [1]", "wrong_type", 1, 11, "1", "'community', 'district', 'city'"),
        ("'city' == 'city'", "wrong_type", 1, 1, "'city'", "name == 'city'"),
        ("flag == 'a'", "wrong_type", 1, 1, "flag: bool", "enum"),
        ("flag == true", "wrong_type", 1, 1, "flag: bool", "int, day, enum"),
        ("born > hours", "wrong_type", 1, 8, "hours: 0..24", "day"),
        ("born in [1]", "wrong_type", 1, 1, "born: day", "int, enum"),
        ("hours && flag", "wrong_type", 1, 1, "hours: 0..24", "bool"),
        ("!hours", "wrong_type", 1, 2, "hours: 0..24", "bool"),
        ("-flag", "wrong_type", 1, 2, "flag: bool", "int"),
        ("hours + level", "wrong_type", 1, 9, "level: enum", "int"),
        ("year(hours)", "wrong_type", 1, 6, "hours: 0..24", "day"),
        ("flag ? 1 : flag", "wrong_type", 1, 12, "flag: bool", "int"),
        ("flag ? level : kind", "wrong_type", 1, 8, "level: enum", "int, bool"),
        ("min(hours)", "wrong_arguments", 1, 1, "min(hours)", "min(x, y, …)"),
        ("year()", "wrong_arguments", 1, 1, "year()", "year(occurred_on)"),
        # Proofs.
        ("div_floor(minutes, hours)", "not_a_positive_number", 1, 20, "hours", "div_floor(minutes, 60)"),
        ("div_floor(minutes, 0)", "not_a_positive_number", 1, 20, "0", "div_floor(minutes, 60)"),
        ("round_half_up(change, 2)", "maybe_negative", 1, 15, "change: -5..5", "round_half_up(max(change, 0), 2)"),
    ],
)
def test_a_mistake_is_named_at_its_place(
    text: str, code: str, line: int, column: int, found: str, allowed: str
) -> None:
    """Line, column, what is there and what may be: the remedy itself where there is a likely one."""
    error = refused(text)
    assert (code, line, column, found, allowed) == (error.code, error.line, error.column, error.found, error.allowed)


def test_an_unknown_function_is_named_with_all_there_are() -> None:
    """The set is closed; methods of Python or CEL are not in it."""
    error = refused("size(level)")
    assert ("unknown_function", "size") == (error.code, error.found)
    assert "min, max, div_floor, round_half_up, year, month, day, quarter, weekday, days_between" == error.allowed


@pytest.mark.parametrize("code", SENTENCES)
def test_every_code_has_a_sentence_in_both_languages(code: str) -> None:
    """The sentence holds the place, what was found and what is allowed, and the codes are in the specification."""
    assert f"`{code}`" in (ROOT / "docs" / "spec" / "rules.md").read_text(encoding="utf-8")
    error = LanguageError(code, 3, 14, "FOUND", "ALLOWED")
    for sentence, place in ((error.says("zh"), "第3行第14个字"), (error.says("en"), "Line 3, column 14")):
        assert sentence.startswith(place)
        assert "FOUND" in sentence
        assert "ALLOWED" in sentence


# --- intervals ---


@pytest.mark.parametrize(
    ("text", "lo", "hi"),
    [
        ("hours + change", -5, 29),
        ("hours - change", -5, 29),
        ("-change * 3", -15, 15),
        ("change * change", -25, 25),
        ("change * -hours", -120, 120),
        ("min(hours, change)", -5, 5),
        ("max(hours, change, 2)", 2, 24),
        ("flag ? hours : change", -5, 24),
        ("div_floor(minutes + 60, 60)", 1, 167),
        ("round_half_up(minutes, 60)", 0, 167),
        ("year(born) * 0 + weekday(born)", 1, 7),
        ("days_between(born, occurred_on)", -3652058, 3652058),
    ],
)
def test_intervals_are_as_tight_as_one_operation_can_tell(text: str, lo: int, hi: int) -> None:
    """The smallest interval over the operands' intervals."""
    assert Int(lo, hi) == check(parse(text), SCOPE).type


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("big", True),
        ("big + 1", False),
        ("-big", True),
        ("-big - 1", True),
        ("-big - 2", False),
        ("-small", False),
        ("min(big + 1, 3)", False),
        ("flag ? big * 2 : 0", False),
        ("3037000499 * 3037000499", True),
        ("3037000500 * 3037000500", False),
        ("9223372036854775807", True),
        ("9223372036854775808", False),
        ("big in [9223372036854775808]", False),
        ("big > 0 || big * big > 1", False),
    ],
)
def test_no_number_leaves_int64_in_any_branch(text: str, fits: bool) -> None:
    """To the unit, and also where a branch or a short circuit would hide it."""
    scope = {"big": Int(0, 2**63 - 1), "small": Int(-(2**63), 0), "flag": Bool()}
    if fits:
        check(parse(text), scope)
    else:
        with pytest.raises(LanguageError) as caught:
            check(parse(text), scope)
        assert "out_of_range" == caught.value.code


# --- trees, conditions, traces, sentences ---


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("((hours))+(  2*3 )", "hours + 2 * 3"),
        ("(hours+2)*3", "(hours + 2) * 3"),
        ("1-(2-3)", "1 - (2 - 3)"),
        ("-(hours+1)", "-(hours + 1)"),
        ("-(-1)", "-(-1)"),
        ('level=="city"', "level == 'city'"),
        ("(flag||flag)&&flag", "(flag || flag) && flag"),
        ("flag||(flag&&flag)", "flag || flag && flag"),
        ("(flag ? 1 : 2) + 1", "(flag ? 1 : 2) + 1"),
        ("flag ? (flag ? 1 : 2) : (flag ? 3 : 4)", "flag ? (flag ? 1 : 2) : flag ? 3 : 4"),
        ("hours in[ 1,- 2 ]", "hours in [1, -2]"),
        ("(hours in [1]) || flag", "hours in [1] || flag"),
    ],
)
def test_canonical_text(text: str, canonical: str) -> None:
    """One spelling for one tree, and it reads back as the same tree."""
    assert canonical == source(parse(text))
    assert parse(text) == parse(canonical)


def test_a_tree_knows_its_places_but_is_equal_without_them() -> None:
    """Offsets, lines and columns are for messages."""
    spaced = parse("hours\n  +  minutes")
    places = [(node.offset, node.end, node.line, node.column) for node in walk(spaced) if isinstance(node, Name)]
    assert [(0, 5, 1, 1), (11, 18, 2, 6)] == places
    assert spaced == parse("hours+minutes")


def test_conditions_fall_into_their_conjuncts() -> None:
    """`&&` in any grouping; an `||` stays whole."""
    checked = check(parse("hours > 1 && (flag && level == 'city') && (flag || hours > 2)"), SCOPE)
    expected = ["hours > 1", "flag", "level == 'city'", "flag || hours > 2"]
    assert expected == [source(one.expr) for one in conjuncts(checked)]
    assert parse("level == 'city'") == conjuncts(checked)[2].expr


def test_a_trace_shows_each_condition_and_the_branch_taken() -> None:
    """Also the conditions after one that failed, nothing of the other branch, the whole at the end."""
    text = "level == 'city' && hours > 5 ? hours * 10 : div_floor(minutes * 5, 60) + 1"
    checked = check(parse(text), SCOPE)
    assert [
        {"expr": "level == 'city'", "value": False},
        {"expr": "hours > 5", "value": False},
        {"expr": "minutes * 5", "value": 350},
        {"expr": "div_floor(minutes * 5, 60)", "value": 5},
        {"expr": "div_floor(minutes * 5, 60) + 1", "value": 6},
        {"expr": text, "value": 6},
    ] == steps(checked, {**FACTS, "level": "district"})
    assert [{"expr": "hours", "value": 3}] == steps(check(parse("hours"), SCOPE), FACTS)


LABELS = {
    "hours": {"zh": "服务小时", "en": "hours"},
    "minutes": {"zh": "服务分钟", "en": "minutes"},
    "level": {"zh": "级别", "en": "the level"},
    "level.city": {"zh": "市级", "en": "municipal"},
    "city": {"zh": "城市", "en": "town"},
    "district": {"zh": "区级", "en": "district"},
}


@pytest.mark.parametrize(
    ("text", "zh", "en"),
    [
        (
            "hours >= 2 && level in ['district', 'city']",
            "服务小时不少于2，且级别是“区级”、“市级”之一",
            "hours is at least 2 and the level is one of “district”, “municipal”",
        ),
        (
            "level == 'city' || !(hours > 3 || hours < 1)",
            "级别是“市级”，或并非（服务小时大于3，或服务小时小于1）",
            "the level is “municipal” or not (hours is more than 3 or hours is less than 1)",
        ),
        (
            "min(div_floor(minutes, 60) * 100, 800)",
            "最小值（（服务分钟 ÷ 60 向下取整）× 100，800）",
            "the smallest of ((minutes ÷ 60 rounded down) × 100, 800)",
        ),
        (
            "level == 'city' ? hours * 20 : hours - (1 + 2)",
            "如果级别是“市级”，则为服务小时 × 20；否则为服务小时 −（1 + 2）",
            "if the level is “municipal”: hours × 20; otherwise hours − (1 + 2)",
        ),
        (
            "occurred_on >= born && weekday(occurred_on) in [6, 7]",
            "行为发生日不早于born，且行为发生日的星期（周一为1）是6、7之一",
            "the day of the deed is not before born"
            " and the weekday of the day of the deed (Monday is 1) is one of 6, 7",
        ),
        ("kind != 'a'", "kind不是“a”", "kind is not “a”"),
    ],
)
def test_rules_as_sentences(text: str, zh: str, en: str) -> None:
    """Labels for fields and words, a word's own field first; without a label it stands as written."""
    checked = check(parse(text), SCOPE)
    assert (zh, en) == (prose(checked, LABELS, "zh"), prose(checked, LABELS, "en"))


# --- limits, and texts meant to hurt ---

MANY = {
    "terms": "hours" + " + 1" * 10**6,
    "open parentheses": "(" * 10**6,
    "prefixes": "-" * 10**6 + "1",
    "digits": "9" * 10**6,
    "quotes": "'" + "a" * 10**6,
    "full-width": "（" * 10**6,
}


@pytest.mark.parametrize("text", MANY.values(), ids=MANY)
def test_a_text_of_a_million_characters_costs_nothing(text: str) -> None:
    """It is refused for its length before it is read."""
    began = time.process_time()
    assert ("too_long", str(len(text))) == ((error := refused(text)).code, error.found)
    assert time.process_time() - began < 0.1


@pytest.mark.parametrize(
    ("fits", "too_much", "code"),
    [
        ("(" * 31 + "hours" + ")" * 31, "(" * 32 + "hours" + ")" * 32, "too_deep"),
        ("hours" + " + 1" * 31, "hours" + " + 1" * 32, "too_deep"),
        ("-" * 31 + "hours", "-" * 32 + "hours", "too_deep"),
        ("!" * 31 + "flag", "!" * 1996 + "flag", "too_deep"),
        ("flag ? 1 : " * 31 + "1", "flag ? 1 : " * 32 + "1", "too_deep"),
        ("min(1, " * 31 + "1" + ")" * 31, "min(1, " * 32 + "1" + ")" * 32, "too_deep"),
        (f"hours in [{'1,' * 497}1]", f"hours in [{'1,' * 498}1]", "too_many_parts"),
        (f"max({'1,' * 498}1)", f"max({'1,' * 499}1)", "too_many_parts"),
        ("1".ljust(2000), "1".ljust(2001), "too_long"),
    ],
)
def test_limits_to_the_unit(fits: str, too_much: str, code: str) -> None:
    """32 levels, 500 parts, 2,000 characters: the last that fits can be used by everything that walks a tree."""
    checked = check(parse(fits), SCOPE)
    compile_scalar(checked)(FACTS)
    steps(checked, FACTS)
    pl.DataFrame([FACTS]).select(to_polars(checked))
    prose(checked, {}, "zh")
    assert code == refused(too_much).code


def test_deep_texts_need_little_stack() -> None:
    """The deepest that fits, in every shape, with a quarter of Python's usual stack."""
    program = """
import sys
from rules.engine.language import parse, check, compile_scalar, steps, prose, source, Int, Bool
sys.setrecursionlimit(250)
for text in ("(" * 31 + "1" + ")" * 31, "1" + "+1" * 31, "min(1," * 31 + "1" + ")" * 31, "f?1:" * 31 + "1"):
    checked = check(parse(text), {"f": Bool()})
    compile_scalar(checked)({"f": True}), steps(checked, {"f": True}), prose(checked, {}, "en"), source(checked.expr)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


PIECES = [
    *[
        "hours",
        "level",
        "flag",
        "born",
        "occurred_on",
        "'city'",
        "'b'",
        "1",
        "0",
        "60",
        "true",
        "in",
        "[",
        "]",
        "(",
        ")",
    ],
    *[",", "+", "-", "*", "<", "<=", "==", "!=", "&&", "||", "!", "?", ":", "min(", "div_floor(", "year(", "[1,2]"],
    *["=", "and", "or", "/", "%", "0.5", "“", "，", "（", "）", "＝", "'", '"', "\\", "\n", ".", "null", "３", "小时"],
    *["\u202e", "\u0000", "\ud800", "\u3000", "\r", "\U0001f44d"],
]


def survives(text: str) -> None:
    """The text is a rule that works, or a LanguageError with a sentence; in no time, whatever it is."""
    began = time.process_time()
    try:
        checked = check(parse(text), SCOPE)
        if isinstance(checked.type, Int | Bool):
            compile_scalar(checked)(FACTS)
            assert parse(source(checked.expr)) == checked.expr
    except LanguageError as error:
        lines = text.split("\n")
        assert 1 <= error.line <= len(lines)
        assert 1 <= error.column <= len(lines[error.line - 1]) + 1
        assert len(error.found) <= 400
        error.says("zh").encode()
    assert time.process_time() - began < 0.5


@given(st.one_of(st.text(max_size=200), st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join)))
@settings(max_examples=800, deadline=None)
def test_any_text_is_a_rule_or_a_language_error(text: str) -> None:
    """Nothing else comes out: no other exception, no place outside the text, no unprintable message."""
    survives(text)


def test_mutated_rules_are_rules_or_language_errors() -> None:
    """Characters of good rules dropped, doubled, exchanged, replaced by any others."""
    random = Random(4)
    rules = [
        "level in ['district', 'city'] || hours >= 2 && !(minutes < 60)",
        "min(div_floor(minutes, 60) * 100, 800) + (level == 'city' ? 300 : 0)",
        "weekday(occurred_on) in [6, 7] && days_between(born, occurred_on) >= 365 * 60",
    ]
    for _ in range(3000):
        text = list(random.choice(rules))
        for _ in range(random.randint(1, 4)):
            at = random.randrange(len(text))
            text[at : at + random.randint(0, 2)] = random.choice(
                ["", text[at] * 2, random.choice(text), chr(random.randrange(0x3000)), random.choice(PIECES)]
            )
        survives("".join(text))


def test_no_word_of_the_author_becomes_python() -> None:
    """Names that mean something to Python, and words with quotes in them, stay names and words."""
    scope: dict[str, Type] = {name: Int(0, 9) for name in ("lambda", "def", "facts", "__import__", "v0", "steps")}
    expr = parse("lambda + def + facts + __import__ + v0 + steps")
    facts = dict(zip(scope, range(1, 7), strict=True))
    assert 21 == compile_scalar(check(expr, scope))(facts)
    odd = 'a\'b" + __import__("os")'.replace('"', "")
    words = {"word": Enum((odd, "plain"))}
    checked = check(parse(f'word == "{odd}"'), words)
    assert compile_scalar(checked)({"word": odd}) is True
    assert steps(checked, {"word": odd})[-1]["value"] is True


def test_the_server_does_not_load_polars_for_a_rule() -> None:
    """One award is computed without the library for millions."""
    program = """
import sys
from rules.engine.language import parse, check, compile_scalar, Int
compile_scalar(check(parse("x + 1"), {"x": Int(0, 9)}))({"x": 1})
sys.exit("polars" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_number_below_zero_needs_its_sign() -> None:
    """A tree has negative numbers only after `in`; elsewhere the sign is an operator."""
    assert [Number(1)] == [node for node in walk(parse("-1")) if isinstance(node, Number)]

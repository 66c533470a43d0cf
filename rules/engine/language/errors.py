# SPDX-License-Identifier: Apache-2.0
"""The one error of the rule language, and how it says in a sentence what is wrong.

Codes are for ever; `docs/spec/rules.md` lists them. `found` and `allowed` are in the language of the rules, not
of the reader: `allowed` is the remedy where there is a likely one, else what may stand there.
"""

from __future__ import annotations

from typing import Literal

SENTENCES: dict[str, tuple[str, str]] = {
    "too_long": ("表达式太长（{found}），最多{allowed}", "the expression is too long ({found}); at most {allowed}"),
    "too_deep": (
        "嵌套或连接太深：{found}；最多{allowed}。请拆成几个条件或几条规则",
        "nested or chained too deeply: {found}; at most {allowed}. Make it several rules",
    ),
    "too_many_parts": (
        "表达式的成分太多：{found}；最多{allowed}",
        "the expression has too many parts: {found}; at most {allowed}",
    ),
    "foreign_character": (
        "规则里不能写 {found}；这里可以写 {allowed}（标点用英文半角，字段用它的英文名）",
        "{found} cannot be written in a rule; write {allowed} (a field by its name, not its label)",
    ),
    "bad_number": ("数字 {found} 写法不对；{allowed}", "the number {found} is not written well; {allowed}"),
    "decimal_number": (
        "不能写小数 {found}；请用整数，例如 {allowed}",
        "there are no decimals ({found}); use whole numbers, as in {allowed}",
    ),
    "open_text": ("引号没有成对：{found}；请写成 {allowed}", "a quotation without its end: {found}; write {allowed}"),
    "no_such_operator": ("没有 {found} 这种写法；请写 {allowed}", "there is no {found}; write {allowed}"),
    "not_in_language": ("规则里不用 {found}；这里可以写 {allowed}", "rules have no {found}; write {allowed}"),
    "chained_comparison": (
        "比较不能连写（{found}）；请写成 {allowed}",
        "comparisons cannot be chained ({found}); write {allowed}",
    ),
    "unexpected": ("这里出现了 {found}，应当是 {allowed}", "found {found} where {allowed} should stand"),
    "unknown_name": ("没有叫 {found} 的字段；可用的有：{allowed}", "there is no field {found}; there are {allowed}"),
    "unknown_function": (
        "没有叫 {found} 的函数；可用的有：{allowed}",
        "there is no function {found}; there are {allowed}",
    ),
    "wrong_arguments": (
        "函数的参数个数不对：{found}；应当是 {allowed}",
        "a function with the wrong number of arguments: {found}; it is {allowed}",
    ),
    "wrong_type": ("{found} 不能用在这里；应当是 {allowed}", "{found} cannot stand here; it should be {allowed}"),
    "unknown_word": (
        "{found} 不在可选值之内；可选的有：{allowed}",
        "{found} is not one of the words of this field: {allowed}",
    ),
    "not_a_positive_number": (
        "除数必须是直接写出的正整数，不能是 {found}；请写成 {allowed}",
        "the divisor must be a positive number as written, not {found}; write {allowed}",
    ),
    "maybe_negative": (
        "被除的数可能是负数（{found}）；请写成 {allowed}",
        "what is divided may be negative ({found}); write {allowed}",
    ),
    "out_of_range": (
        "数值可能太大：{found}；必须在 {allowed} 之内。请收紧字段的上下限",
        "the value may become too large: {found}; it must stay within {allowed}. Narrow the fields' min and max",
    ),
}


class LanguageError(Exception):
    """A rule that cannot be used: a stable code, a place (both counted from 1), what is there, what may be."""

    def __init__(self, code: str, line: int, column: int, found: str, allowed: str) -> None:
        assert code in SENTENCES
        super().__init__(code, line, column, found, allowed)
        self.code = code
        self.line = line
        self.column = column
        self.found = found
        self.allowed = allowed

    def says(self, lang: Literal["zh", "en"]) -> str:
        """What is wrong, in one sentence."""
        zh, en = SENTENCES[self.code]
        if lang == "zh":
            return f"第{self.line}行第{self.column}个字：{zh.format(found=self.found, allowed=self.allowed)}。"
        return f"Line {self.line}, column {self.column}: {en.format(found=self.found, allowed=self.allowed)}."

    def __str__(self) -> str:
        return self.says("en")


def place(text: str, offset: int) -> tuple[int, int]:
    """Line and column of a character, both counted from 1; a column is one character, however wide it prints."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)

# SPDX-License-Identifier: Apache-2.0
"""A rule as a sentence, in Chinese and in English, from the same tree that is computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from rules.engine.language.builtin import DAY_PARTS, LARGEST_OR_SMALLEST
from rules.engine.language.check import OCCURRED_ON, Checked
from rules.engine.language.tree import Among, Binary, Call, Choice, Expr, Name, Number, Prefix, Text, Truth
from rules.engine.language.types import Day, Type

Lang: TypeAlias = Literal["zh", "en"]
Labels: TypeAlias = Mapping[str, Mapping[str, str]]
"""What fields and words are called: `name`, and for a word `name.word` or simply `word`, to {"zh": …, "en": …}."""

_DEFAULT: Labels = {OCCURRED_ON: {"zh": "行为发生日", "en": "the day of the deed"}}

_COMPARED = {
    "zh": {"==": "等于", "!=": "不等于", "<": "小于", "<=": "不超过", ">": "大于", ">=": "不少于"},
    "en": {
        "==": "is",
        "!=": "is not",
        "<": "is less than",
        "<=": "is at most",
        ">": "is more than",
        ">=": "is at least",
    },
}
_DAYS_COMPARED = {
    "zh": {"==": "就是", "!=": "不是", "<": "早于", "<=": "不晚于", ">": "晚于", ">=": "不早于"},
    "en": {
        "==": "is",
        "!=": "is not",
        "<": "is before",
        "<=": "is not after",
        ">": "is after",
        ">=": "is not before",
    },
}
_WORDS_COMPARED = {"zh": {"==": "是", "!=": "不是"}, "en": {"==": "is", "!=": "is not"}}
_JOINED = {"zh": {"&&": "，且", "||": "，或"}, "en": {"&&": " and ", "||": " or "}}
_SIGNS = {"+": " + ", "-": " − ", "*": " × "}
_CALLED = {
    "zh": {
        "min": "最小值（{0}）",
        "max": "最大值（{0}）",
        "div_floor": "{0} ÷ {1} 向下取整",
        "round_half_up": "{0} ÷ {1} 四舍五入",
        "year": "{0}的年份",
        "month": "{0}的月份",
        "day": "{0}的日号",
        "quarter": "{0}的季度",
        "weekday": "{0}的星期（周一为1）",
        "days_between": "从{0}到{1}的天数",
    },
    "en": {
        "min": "the smallest of ({0})",
        "max": "the largest of ({0})",
        "div_floor": "{0} ÷ {1} rounded down",
        "round_half_up": "{0} ÷ {1} rounded half up",
        "year": "the year of {0}",
        "month": "the month of {0}",
        "day": "the day of the month of {0}",
        "quarter": "the quarter of {0}",
        "weekday": "the weekday of {0} (Monday is 1)",
        "days_between": "the days from {0} to {1}",
    },
}


def prose(checked: Checked, labels: Labels, lang: Lang) -> str:
    """The rule in words; a field or word without a label stands as it is written in the rule."""
    return _Speaker({**_DEFAULT, **labels}, lang).says(checked)


class _Speaker:
    def __init__(self, labels: Labels, lang: Lang) -> None:
        self.labels = labels
        self.lang: Lang = lang

    def says(self, checked: Checked) -> str:
        expr, parts = checked.expr, checked.parts
        zh = self.lang == "zh"
        match expr:
            case Number():
                return str(expr.value)
            case Text():
                return self.word(None, expr.value)
            case Truth():
                return {"zh": ("总不成立", "总成立"), "en": ("never", "always")}[self.lang][expr.value]
            case Name():
                return self.label(expr.name)
            case Prefix(operator="!"):
                return f"并非（{self.says(parts[0])}）" if zh else f"not ({self.says(parts[0])})"
            case Prefix():
                return f"−{self.operand(parts[0])}"
            case Binary():
                return self.binary(expr, parts)
            case Among():
                choices = [
                    str(choice.value) if isinstance(choice, Number) else self.word(expr.item, choice.value)
                    for choice in expr.choices
                ]
                listed = "、".join(choices) if zh else ", ".join(choices)
                item = self.compared_side(parts[0])
                if len(choices) == 1:
                    return f"{item}是{listed}" if zh else f"{item} is {listed}"
                return f"{item}是{listed}之一" if zh else f"{item} is one of {listed}"
            case Choice():
                condition, then, otherwise = (self.says(part) for part in parts)
                if isinstance(expr.then, Choice):
                    then = self.bracketed(then)
                if zh:
                    otherwise = otherwise if isinstance(expr.otherwise, Choice) else f"为{otherwise}"
                    return f"如果{condition}，则为{then}；否则{otherwise}"
                return f"if {condition}: {then}; otherwise {otherwise}"
            case Call():
                template = _CALLED[self.lang][expr.function]
                if expr.function in LARGEST_OR_SMALLEST:
                    return template.format(("，" if zh else ", ").join(self.says(part) for part in parts))
                return template.format(*(self.operand(part) for part in parts))

    def binary(self, expr: Binary, parts: tuple[Checked, ...]) -> str:
        left, right = parts
        if expr.operator in ("&&", "||"):
            return _JOINED[self.lang][expr.operator].join(self.joined(part, expr.operator) for part in parts)
        if expr.operator in _SIGNS:
            first = self.operand(left) if expr.operator == "*" or isinstance(left.expr, Choice) else self.says(left)
            said = f"{first}{_SIGNS[expr.operator]}{self.operand(right)}"
            return said.replace("） ", "）").replace(" （", "（")
        compared = self.compared(left.type, expr)
        first, second = (
            self.word(other.expr, part.expr.value) if isinstance(part.expr, Text) else self.compared_side(part)
            for part, other in ((left, right), (right, left))
        )
        gap = "" if self.lang == "zh" else " "
        return f"{first}{gap}{compared}{gap}{second}"

    def compared(self, type_: Type, expr: Binary) -> str:
        if isinstance(type_, Day):
            return _DAYS_COMPARED[self.lang][expr.operator]
        words = isinstance(expr.left, Text) or isinstance(expr.right, Text)
        return (_WORDS_COMPARED if words else _COMPARED)[self.lang][expr.operator]

    def joined(self, part: Checked, operator: str) -> str:
        """A condition among others: in parentheses where `and` and `or` would mix, or a `?:` would swallow the rest."""
        mixed = isinstance(part.expr, Binary) and part.expr.operator in ("&&", "||") and part.expr.operator != operator
        said = self.says(part)
        return self.bracketed(said) if mixed or isinstance(part.expr, Choice) else said

    def compared_side(self, part: Checked) -> str:
        return self.bracketed(self.says(part)) if isinstance(part.expr, Choice) else self.says(part)

    def operand(self, part: Checked) -> str:
        """One side of a sum, product or division: whatever is computed stands in parentheses, unless it has its own."""
        function = part.expr.function if isinstance(part.expr, Call) else ""
        whole = isinstance(part.expr, Number | Name) or function in LARGEST_OR_SMALLEST or function in DAY_PARTS
        return self.says(part) if whole else self.bracketed(self.says(part))

    def bracketed(self, said: str) -> str:
        return f"（{said}）" if self.lang == "zh" else f"({said})"

    def label(self, name: str) -> str:
        found = self.labels.get(name)
        return found[self.lang] if found else name

    def word(self, field: Expr | None, word: str) -> str:
        found = self.labels.get(f"{field.name}.{word}") if isinstance(field, Name) else None
        found = found or self.labels.get(word)
        said = found[self.lang] if found else word
        return f"“{said}”"

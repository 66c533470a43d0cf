# SPDX-License-Identifier: Apache-2.0
"""One reason why a pack is refused: where, what kind, what was found, what is allowed, and how it is said."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from rules.engine.language.errors import SENTENCES as EXPRESSION_SENTENCES
from rules.engine.sentences import SENTENCES

EXPRESSION = "expression."
"""Codes of the rule language stand behind this in a pack's problems: `expression.unknown_name`."""
SHOWN_MAX = 80


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why a pack is refused.

    `line` and `column` count from 1, characters and not bytes; 0 when the trouble is with a whole file or folder.
    `about` names the rule (code and Chinese name) when there is one.
    """

    file: str
    path: str
    code: str
    found: str
    allowed: str
    line: int = 0
    column: int = 0
    about: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        key = f"{self.path}: " if self.path else ""
        return f"{place}: {key}[{self.code}] found {self.found}; allowed: {self.allowed}"

    def says(self, lang: Literal["zh", "en"]) -> str:
        """Where it is, what is wrong and the way out, in one sentence that needs no knowledge of TOML."""
        if lang == "zh":
            place = f"第{self.line}行第{self.column}个字" if self.line else ""
            return f"{self.file}{place}{'，' if self.about else '：'}{self.tells(lang)}"
        place = f", line {self.line}, column {self.column}" if self.line else ""
        return f"{self.file}{place}{', ' if self.about else ': '}{self.tells(lang)}"

    def tells(self, lang: Literal["zh", "en"]) -> str:
        """The same without file, line and column, for where these stand beside it."""
        facts = {"found": self.found, "allowed": self.allowed, "key": self.path.rpartition(".")[2] or self.file}
        zh, en = sentence(self.code)
        if lang == "zh":
            rule = f"规则 {self.about}：" if self.about else ""
            return f"{rule}{zh.format_map(facts)}。{_guardrail(self.code, '（', '）')}"
        rule = f"rule {self.about}: " if self.about else ""
        return f"{rule}{en.format_map(facts)}.{_guardrail(self.code, ' (', ')')}"

    def at(self, line: int, column: int, about: str) -> Problem:
        """The same problem at this place of its file, about this rule."""
        return replace(self, line=line, column=column, about=about)


def sentence(code: str) -> tuple[str, str]:
    """The sentence of a code in zh and en, with {found}, {allowed} and {key} left open."""
    if code.startswith(EXPRESSION):
        return EXPRESSION_SENTENCES[code.removeprefix(EXPRESSION)]
    return SENTENCES[code]


def shown(value: object) -> str:
    """A value as a problem shows it: short, whatever its size."""
    if isinstance(value, str):
        text = value.replace("\n", " ")
        return text if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "…"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value) if abs(value) < 10**30 else "…"
    if isinstance(value, dict):
        return "{…}"
    if isinstance(value, list | tuple):
        return "[…]"
    return str(value)[:SHOWN_MAX]


def _guardrail(code: str, opening: str, closing: str) -> str:
    return f"{opening}{code}{closing}" if code.startswith("GR-") else ""

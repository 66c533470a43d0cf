# SPDX-License-Identifier: Apache-2.0
"""What a row's problem says to the person who keeps the sheet: the reason and the way out, in zh or en."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from api.sheets.grid import RowProblem

_LOCALE = Path(__file__).parent.parent / "locale"


@cache
def _table(lang: str) -> dict[str, dict[str, str]]:
    return tomllib.loads((_LOCALE / f"{'en' if lang == 'en' else 'zh'}.toml").read_text(encoding="utf-8"))


class _Facts(dict[str, object]):
    def __missing__(self, name: str) -> str:
        return "…"


def sentence(problem: RowProblem, lang: str = "zh") -> tuple[str, str]:
    """(reason, what to do). Facts, column, value and row fill in; a code without a sentence says itself."""
    entry = _table(lang).get(problem.code, {})
    facts = _Facts({"row": problem.row, "column": problem.column, "value": problem.value, **problem.facts})
    for name, fact in facts.items():
        if isinstance(fact, (list, tuple)):
            facts[name] = ("、" if lang != "en" else ", ").join(map(str, fact))
    return (entry.get("detail", problem.code).format_map(facts), entry.get("fix", "").format_map(facts))

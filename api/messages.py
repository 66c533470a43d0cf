# SPDX-License-Identifier: Apache-2.0
"""The sentences of `locale/*.toml`: which language a request asks for, and a code's words with its facts filled in."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal, cast

Lang = Literal["zh", "en"]

_LOCALE = Path(__file__).parent / "locale"
_RANGE = re.compile(r"\s*([A-Za-z*-]{1,35})\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?))?\s*")


@cache
def sentences(lang: Lang) -> dict[str, dict[str, str]]:
    """Every code's sentences in one language."""
    return tomllib.loads((_LOCALE / f"{lang}.toml").read_text(encoding="utf-8"))


@lru_cache(maxsize=256)
def language(accept: str) -> Lang:
    """The better of our two languages for an Accept-Language header; Chinese where nothing is said."""
    best: Lang = "zh"
    weight = 0.0
    for part in accept[:500].split(","):
        match = _RANGE.fullmatch(part)
        if match is None:
            continue
        q = float(match[2]) if match[2] else 1.0
        name = match[1].lower()
        found: Lang | None = "en" if name.startswith("en") else "zh" if name == "*" or name.startswith("zh") else None
        if found is not None and q > weight:
            best, weight = found, q
    return best


def sentence(code: str, part: str, lang: Lang, facts: Mapping[str, Any]) -> str:
    """`title`, `detail` or `fix` of a code; a code that has none says itself, so that nothing is ever blank."""
    text = sentences(lang).get(code, {}).get(part)
    if text is None:
        return code if part != "fix" else ""
    return text.format_map(_Facts(facts, lang))


class _Facts(dict[str, str]):
    """Facts as they read in a sentence. One that is missing reads "…": a bad sentence is better than none."""

    def __init__(self, facts: Mapping[str, Any], lang: Lang) -> None:
        super().__init__({name: _said(value, lang) for name, value in facts.items()})

    def __missing__(self, name: str) -> str:
        return "…"


def _said(value: Any, lang: Lang) -> str:
    if isinstance(value, dict) and lang in value:
        return str(cast("dict[str, Any]", value)[lang])
    if isinstance(value, list | tuple):
        return ("、" if lang == "zh" else ", ").join(str(item) for item in value)
    return str(value)

# SPDX-License-Identifier: Apache-2.0
"""What one cell means: texts, names, phones, codes, consent. What is not certain is `Bad`, never guessed."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from functools import lru_cache
from typing import Any

from api.sheets.grid import CONTROL, Cell, shown


class Bad(Exception):
    """A cell that cannot be taken as it is written: a code and the facts of its sentence."""

    def __init__(self, code: str, **facts: Any) -> None:
        super().__init__(code)
        self.code, self.facts = code, facts


_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {
    0x3000: 0x20,
    0xA0: 0x20,
    0x2019: 0x27,
}
_DOTS = dict.fromkeys(map(ord, "・•‧∙⋅･"), "·")
_INVISIBLE = dict.fromkeys([0xAD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), 0x2060, 0xFEFF])
_PLAIN = str.maketrans(_FULL_WIDTH | _DOTS | _INVISIBLE)
_NOTHING = frozenset(["无", "暂无", "没有", "未填", "空", "/", "\\", "-", "--", "—", "——", "n/a", "N/A", "/ /"])
_LONGEST = 2_000
"""Longer texts are refused before anything is spent on them."""
_ERRORS = frozenset(
    ["#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#N/A", "#NUM!", "#NULL!", "#SPILL!", "#CALC!", "#GETTING_DATA"]
)


def _plain(text: str) -> str:
    if CONTROL.search(text):
        raise Bad("cell_control")
    bare = text.strip()
    if bare in _ERRORS or bare[:1] == "=":
        raise Bad("cell_error")
    plain = unicodedata.normalize("NFC", text).translate(_PLAIN)
    return " ".join(plain.split())


def plain_text(cell: Cell, limit: int = 500) -> str | None:
    """A cell as one line of text: composed, half-width, no invisible characters, or None for nothing."""
    if cell is None:
        return None
    text = cell if isinstance(cell, str) else shown(cell)
    if len(text) > _LONGEST:
        raise Bad("text_too_long", limit=limit)
    text = _plain(text)
    if not text or text in _NOTHING:
        return None
    if len(text) > limit:
        raise Bad("text_too_long", limit=limit)
    return text


_HAN = "\u2e80-\u2fdf\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_HAN_GAP = re.compile(f"(?<=[{_HAN}·]) | (?=[{_HAN}·])")


def closed(text: str) -> str:
    """Without the spaces that people put between Chinese characters to make a column look even (王 丽)."""
    return _HAN_GAP.sub("", text) if " " in text else text


def name(cell: Cell) -> str | None:
    text = plain_text(cell)
    if text is None:
        return None
    if len(text) > 50:
        raise Bad("text_too_long", limit=50)
    text = closed(text)
    if not all(c.isalpha() or c in " ·-'.〇" or unicodedata.category(c) == "Mn" for c in text):
        raise Bad("name_invalid")
    if not any(map(str.isalpha, text)):
        raise Bad("name_invalid")
    return text


@lru_cache(maxsize=4096)
def _label(text: str) -> str | None:
    plain = plain_text(text, 100)
    return None if plain is None else closed(plain)


def label(cell: Cell) -> str | None:
    """The text of a place, an activity, a type: something that comes again and again.

    Names and phones have no such cache: they shall not outlive their request.
    """
    return None if cell is None else _label(cell if isinstance(cell, str) else shown(cell))


_MOBILE = re.compile(r"1[3-9][0-9]{9}")
_SCIENTIFIC = re.compile(r"\d(\.\d+)?[eE]\+?\d+")


def phone(cell: Cell, *, landlines: bool = False) -> str | None:
    """Eleven digits of a mobile number; for bodies also a landline with its area code."""
    text = str(cell)
    if _MOBILE.fullmatch(text):
        return text  # nearly all of them
    text = plain_text(cell, 60)
    if text is None:
        return None
    if _SCIENTIFIC.fullmatch(text):
        raise Bad("phone_scientific")
    digits = re.sub(r"[\s().\-‐‑–—_]", "", re.sub(r"\.0$", "", text))
    mobile = re.fullmatch(r"(?:\+?86|0086)?(1[3-9][0-9]{9})", digits)
    if mobile:
        return mobile[1]
    if landlines and re.fullmatch(r"0[0-9]{9,11}", digits):
        return digits
    raise Bad("phone_invalid")


_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def uscc_check(first17: str) -> str:
    """The last character of a 统一社会信用代码 (GB 32100) for the seventeen before it."""
    total = sum(_ALPHABET.index(c) * pow(3, i, 31) for i, c in enumerate(first17))
    return _ALPHABET[(31 - total % 31) % 31]


def uscc(cell: Cell) -> str | None:
    """A code with the right check character; letters first (N, A, Y) are as good as digits."""
    if isinstance(cell, (int, Decimal)) and not isinstance(cell, bool):
        raise Bad("digits_lost")  # a spreadsheet keeps fifteen digits of a number, the rest is gone
    text = plain_text(cell, 60)
    if text is None:
        return None
    code = re.sub(r"[\s-]", "", text).upper()
    if len(code) != 18 or any(c not in _ALPHABET for c in code) or uscc_check(code[:17]) != code[17]:
        raise Bad("uscc_invalid")
    return code


_YES = frozenset(["是", "同意", "愿意", "公示", "可以", "y", "yes", "true", "1", "√", "✓", "✔", "☑"])
_NO = frozenset(["否", "不", "不同意", "不愿意", "不公示", "n", "no", "false", "0", "×", "x", "✗", "✘", "☒"])


def yes_no(cell: Cell) -> bool | None:
    if isinstance(cell, bool):
        return cell
    text = plain_text(cell, 40)
    if text is None:
        return None
    word = closed(text).lower()
    if word in _YES or word in _NO:
        return word in _YES
    raise Bad("choice_invalid")


def parts(cell: Cell) -> tuple[str, ...]:
    """Several texts in one cell, as people list them."""
    text = plain_text(re.sub(r"[\r\n]+", "、", cell) if isinstance(cell, str) else cell, 200)
    if text is None:
        return ()
    return tuple(dict.fromkeys(p for piece in re.split(r"[、，,;/|]| +(?=\S)", text) if (p := closed(piece.strip()))))

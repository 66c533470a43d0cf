# SPDX-License-Identifier: Apache-2.0
"""Two plain bar charts as inline SVG: old beside new, the amounts at the bars. Nothing is loaded, nothing moves."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from api.backtests.words import Word

_WIDTH, _HEIGHT, _LEFT, _BASE = 720, 220, 8, 24
_ROW, _LABEL = 34, 260


class Pair(NamedTuple):
    """One place on the axis: old and new, in any unit, with what is written at them."""

    label: Word
    old: float
    new: float
    old_text: str
    new_text: str


def columns(pairs: Sequence[Pair], title: Word) -> str:
    """Upright bars, for a series in time or from few to many."""
    top = max((max(pair.old, pair.new) for pair in pairs), default=0) or 1
    step = (_WIDTH - 2 * _LEFT) / max(len(pairs), 1)
    bar = min(step * 0.4, 36)
    parts: list[str] = []
    for index, pair in enumerate(pairs):
        middle = _LEFT + step * (index + 0.5)
        for side, value, text, kind in ((-1, pair.old, pair.old_text, "old"), (1, pair.new, pair.new_text, "new")):
            height = max(value, 0) / top * (_HEIGHT - _BASE - 16)
            left = middle - bar if side < 0 else middle
            parts.append(
                f'<rect class="{kind}" x="{left:.1f}" y="{_HEIGHT - _BASE - height:.1f}" width="{bar - 1:.1f}" '
                f'height="{height:.1f}"><title>{escape(text)}</title></rect>'
            )
        parts.append(_text(pair.label, middle, _HEIGHT - 8, "middle"))
    line = f'<line x1="0" x2="{_WIDTH}" y1="{_HEIGHT - _BASE}" y2="{_HEIGHT - _BASE}"/>'
    return _svg(_HEIGHT, line + "".join(parts), title)


def rows(pairs: Sequence[Pair], title: Word) -> str:
    """Lying bars, for things with names."""
    top = max((max(pair.old, pair.new) for pair in pairs), default=0) or 1
    room = _WIDTH - _LABEL - 90
    parts: list[str] = []
    for index, pair in enumerate(pairs):
        y = index * _ROW
        parts.append(_text(pair.label, _LABEL - 10, y + 20, "end"))
        for offset, value, text, kind in ((4, pair.old, pair.old_text, "old"), (17, pair.new, pair.new_text, "new")):
            width = max(value, 0) / top * room
            parts.append(f'<rect class="{kind}" x="{_LABEL}" y="{y + offset}" width="{width:.1f}" height="11"/>')
            parts.append(f'<text x="{_LABEL + width + 5:.1f}" y="{y + offset + 10}">{escape(text)}</text>')
    return _svg(len(pairs) * _ROW + 4, "".join(parts), title)


def _text(label: Word, x: float, y: float, anchor: str) -> str:
    if label.zh == label.en:
        return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(label.zh)}</text>'
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return "".join(
        f'<text class="{lang}" lang="{lang}" {where}>{escape(_short(said))}</text>'
        for lang, said in label._asdict().items()
    )


def _short(text: str) -> str:
    """What fits beside a bar: a Chinese character takes twice the room of a letter."""
    room, kept = 36, ""
    for letter in text:
        room -= 2 if ord(letter) > 0x2E80 else 1
        if room < 0:
            return kept + "…"
        kept += letter
    return kept


def _svg(height: float, inside: str, title: Word) -> str:
    said = escape(f"{title.zh} {title.en}", quote=True)
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{said}">{inside}</svg>'

# SPDX-License-Identifier: Apache-2.0
"""Charts of grids as inline SVG: bars for amounts, dots with their intervals for ranks. Nothing is loaded, nothing
moves, and every number in them also stands in a table."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from api.backtests.words import amount

_WIDTH, _ROW, _LABEL, _VALUE, _FOOT = 900, 30, 200, 130, 26
_STEPS = (1, 2, 5)


class Mark(NamedTuple):
    """One grid: what is written before it, its value in hundredths, the ends of its interval, whether it stands out;
    what is written behind a bar, if not its value."""

    label: str
    value: int
    low: int | None = None
    high: int | None = None
    flagged: bool = False
    text: str | None = None


def bars(found: Sequence[Mark], title: str) -> str:
    """One bar a row, from zero."""
    least, most = min([0, *(one.value for one in found)]), max([0, *(one.value for one in found)])
    zero, parts = _x(0, least, most), list[str]()
    for at, one in enumerate(found):
        left, right = sorted((zero, _x(one.value, least, most)))
        parts.append(_label(one, at))
        parts.append(f'<rect x="{left:.1f}" y="{at * _ROW + 6}" width="{max(right - left, 0.5):.1f}" height="18"/>')
        parts.append(_value(one, at, right))
    parts.append(f'<path class="axis" d="M{zero:.1f} 0V{len(found) * _ROW}"/>')
    return _svg("".join(parts), len(found) * _ROW, title)


def dots(found: Sequence[Mark], title: str) -> str:
    """One dot a row and its interval as a line, over a scale that need not begin at zero: standing begins at the base
    that everybody has, and bars from zero would all look alike."""
    ends = [end for one in found for end in (one.value, one.low, one.high) if end is not None]
    if not ends:
        return ""
    step = _step(max(ends) - min(ends))
    least, most = min(ends) // step * step, -(-max(ends) // step) * step
    foot, parts = len(found) * _ROW, list[str]()
    for tick in range(least, most + 1, step):
        x = _x(tick, least, most)
        parts.append(f'<path class="axis" d="M{x:.1f} 0V{foot}"/>')
        parts.append(f'<text class="axis" x="{x:.1f}" y="{foot + 18}" text-anchor="middle">{amount(tick)}</text>')
    for at, one in enumerate(found):
        y, end = at * _ROW + 15, _x(one.value, least, most)
        parts.append(_label(one, at))
        if one.low is not None and one.high is not None:
            low, high = _x(one.low, least, most), _x(one.high, least, most)
            parts.append(f'<path d="M{low:.1f} {y - 5}v10m0-5H{high:.1f}m0-5v10"/>')
        css = ' class="flagged"' if one.flagged else ""
        parts.append(f'<circle{css} cx="{end:.1f}" cy="{y}" r="6"/>')
        parts.append(_value(one, at, _WIDTH - _VALUE + 10))
    return _svg("".join(parts), foot + _FOOT, title)


def flag() -> str:
    """The red flag, drawn: many screens have no font with one."""
    return (
        '<svg class="flag" viewBox="0 0 16 16" aria-hidden="true">'
        '<path class="pole" d="M3 1v14"/><path class="cloth" d="M3.8 2h10l-2.6 3.2 2.6 3.3h-10z"/></svg>'
    )


def _x(value: int, least: int, most: int) -> float:
    return _LABEL + (value - least) / ((most - least) or 1) * (_WIDTH - _LABEL - _VALUE)


def _step(width: int) -> int:
    """A round distance between ticks, so that there are three to eight of them."""
    power = 1
    while width > 70 * power:
        power *= 10
    return next((power * one for one in _STEPS if width <= 7 * power * one), power * 10)


def _label(one: Mark, at: int) -> str:
    return f'<text x="{_LABEL - 12}" y="{at * _ROW + 20}" text-anchor="end">{escape(one.label)}</text>'


def _value(one: Mark, at: int, x: float) -> str:
    return f'<text class="value" x="{x + 8:.1f}" y="{at * _ROW + 20}">{escape(one.text or amount(one.value))}</text>'


def _svg(inside: str, height: int, title: str) -> str:
    return f'<svg class="chart" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">{inside}</svg>'

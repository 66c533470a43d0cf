# SPDX-License-Identifier: Apache-2.0
"""Where a key of a TOML file stands: line and column of every key, table, list element and text.

The standard library reads TOML but forgets where it read it. This scanner knows the places and nothing of what
the values mean. It runs first, so it also refuses what would make the reader slow: deep nesting, long dotted
keys, endless numbers and floods of values. What it lets through, `tomllib` still judges.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

DEPTH_MAX = 16
"""Parts of one dotted key, and levels of lists and tables in one value; a pack needs five."""
VALUES_MAX = 25_000
"""Keys, tables and list elements in one file; a hundred indicators with their examples have about 8,000."""
NUMBER_MAX = 40
"""Characters of a number or a day; the longest that a pack may say is a day."""

_SPACE = re.compile(r"[ \t]*")
_GAP = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*+")
_LINE_END = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z)")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^\s,\]\[}{#=\"']+(?: [0-9]{2}:[0-9:.]+[Zz0-9:+-]*)?")
_PLAIN_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_TEXTS = (
    re.compile(r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*+"{3,5}', re.DOTALL),
    re.compile(r"'''(?:[^']|'{1,2}(?!'))*+'{3,5}", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]|\\[^\n])*+"'),
    re.compile(r"'[^'\n]*+'"),
)
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}
_NAMED_BY = ("name", "id", "code")


class Misread(Exception):
    """The scanner stopped: what kind of trouble, where, what stands there, what may."""

    def __init__(self, code: str, line: int, column: int, found: str, allowed: str) -> None:
        self.code, self.line, self.column, self.found, self.allowed = code, line, column, found, allowed
        super().__init__(f"{line}:{column}: {code}: {found}")


@dataclass(slots=True)
class Place:
    """One value: offset of its key (or of its own beginning, in a list), offset of the value, what it holds."""

    key: int
    value: int
    inner: dict[str, Place] | list[Place] | None = None


class Places:
    """The places of one text. Raises Misread where the text is not TOML or is built to exhaust its reader."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]
        self.count = 0
        """Keys, tables and list elements found."""
        self._root = Place(0, 0, {})
        self._scan()

    def of(self, path: str) -> tuple[int, int]:
        """Line and column (from 1) of a key (`indicator[2].caps.year.max`), or of what surrounds it if there is none.

        An element of a list may be named by its number or by its `name`, `id` or `code`.
        """
        return self._line_column(self._find(path).key)

    def inside(self, path: str, line: int, column: int) -> tuple[int, int]:
        """Where in the file the given line and column (from 1) of the text value at `path` stand."""
        at = self._find(path).value
        raw = next((match.group() for one in _TEXTS if (match := one.match(self._text, at))), None)
        if raw is None:
            return self._line_column(at)
        end = at + len(raw)
        row, col = 1, 1
        for offset, char in _characters(raw):
            if (row, col) == (line, column):
                end = at + offset
                break
            row, col = (row + 1, 1) if char == "\n" else (row, col + 1)
        return self._line_column(min(end, at + len(raw) - 1))

    def _find(self, path: str) -> Place:
        place, rest = self._root, path
        while rest:
            step = self._step(place, rest)
            if step is None:
                break
            place, rest = step
        return place

    def _step(self, place: Place, rest: str) -> tuple[Place, str] | None:
        """The next place on the way and what is left of the path; keys may hold dots, so the longest one wins."""
        if isinstance(place.inner, list):
            number = re.match(r"\[([0-9]+)\]\.?", rest)
            if number is not None:
                index = int(number.group(1))
                return (place.inner[index], rest[number.end() :]) if index < len(place.inner) else None
            named = ((self._name(one), one) for one in place.inner)
            inner = {name: one for name, one in named if name is not None}
        else:
            inner = place.inner or {}
        keys = [key for key in inner if rest.startswith(key) and rest[len(key) : len(key) + 1] in ("", ".", "[")]
        if not keys:
            return None
        key = max(keys, key=len)
        return inner[key], rest[len(key) :].removeprefix(".")

    def _name(self, place: Place) -> str | None:
        if isinstance(place.inner, dict):
            for key in _NAMED_BY:
                named = place.inner.get(key)
                if named is not None and self._text[named.value : named.value + 1] in ('"', "'"):
                    return self._text_at(named.value)
        return None

    def _text_at(self, at: int) -> str:
        raw = next((match.group() for one in _TEXTS if (match := one.match(self._text, at))), "")
        return "".join(char for _, char in _characters(raw))

    def _line_column(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._lines, offset)
        return line, offset - self._lines[line - 1] + 1

    # the scan ------------------------------------------------------------------------------------------------------

    def _scan(self) -> None:
        table, at, text = self._root, 0, self._text
        while (at := self._gap(at)) < len(text):
            if text[at] == "[":
                table, at = self._header(at)
            else:
                at = self._pair(at, table)
            end = _LINE_END.match(text, at)
            if end is None:
                raise self._stop("not_toml", at, "⏎")
            at = end.end()

    def _header(self, at: int) -> tuple[Place, int]:
        many = self._text.startswith("[[", at)
        close = "]]" if many else "]"
        parts, end = self._key(at + len(close))
        if not self._text.startswith(close, end):
            raise self._stop("not_toml", end, close)
        table = self._down(self._root, parts[:-1])
        name = parts[-1][0]
        if not many:
            table = self._down(table, parts[-1:])
            if table.key == parts[-1][1]:
                table.key = at
            return table, end + 1
        self._tally(at)
        element = Place(at, at, {})
        if isinstance(table.inner, dict):
            listed = table.inner.setdefault(name, Place(at, at, []))
            if isinstance(listed.inner, list):
                listed.inner.append(element)
        return element, end + 2

    def _pair(self, at: int, table: Place) -> int:
        parts, equals = self._key(at)
        if not self._text.startswith("=", equals):
            raise self._stop("not_toml", equals, "=")
        value, end = self._value(self._after_space(equals + 1), at, 0)
        owner = self._down(table, parts[:-1])
        if isinstance(owner.inner, dict):
            owner.inner.setdefault(parts[-1][0], value)
        return end

    def _down(self, place: Place, parts: list[tuple[str, int]]) -> Place:
        """The table that these key parts lead to, made on the way; a clash is left for tomllib to name."""
        for name, at in parts:
            if isinstance(place.inner, list) and place.inner:
                place = place.inner[-1]
            if not isinstance(place.inner, dict):
                return Place(at, at, {})
            if name not in place.inner:
                self._tally(at)
                place.inner[name] = Place(at, at, {})
            place = place.inner[name]
        return place.inner[-1] if isinstance(place.inner, list) and place.inner else place

    def _key(self, at: int) -> tuple[list[tuple[str, int]], int]:
        """The parts of a dotted key with their offsets, and where it ends."""
        parts: list[tuple[str, int]] = []
        while True:
            at = self._after_space(at)
            bare = _BARE.match(self._text, at)
            fenced = self._text.startswith(('"""', "'''"), at)
            part = bare or next((m for one in _TEXTS[2:] if not fenced and (m := one.match(self._text, at))), None)
            if part is None:
                raise self._stop("not_toml", at, "key = value")
            name = part.group() if bare else "".join(char for _, char in _characters(part.group()))
            parts.append((name, at))
            if len(parts) > DEPTH_MAX:
                raise self._stop("too_deep", at, f"≤ {DEPTH_MAX}")
            at = self._after_space(part.end())
            if not self._text.startswith(".", at):
                return parts, at
            at += 1

    def _value(self, at: int, key: int, depth: int) -> tuple[Place, int]:
        """The value that begins here, and where it ends."""
        self._tally(at)
        if depth > DEPTH_MAX:
            raise self._stop("too_deep", at, f"≤ {DEPTH_MAX}")
        char = self._text[at : at + 1]
        if char == "[":
            return self._list(at, key, depth)
        if char == "{":
            return self._inline(at, key, depth)
        if char in ('"', "'"):
            # a text of one line must not be tried where a longer fence opens
            fenced = self._text.startswith(('"""', "'''"), at)
            tried = _TEXTS[:2] if fenced else _TEXTS[2:]
            text = next((match for one in tried if (match := one.match(self._text, at))), None)
            if text is None:
                raise self._stop("not_toml", at, char * (3 if fenced else 1))
            return Place(key, at), text.end()
        scalar = _SCALAR.match(self._text, at)
        if scalar is None:
            raise self._stop("not_toml", at, "key = value")
        if scalar.end() - at > NUMBER_MAX:
            raise self._stop("number_too_big", at, f"≤ {2**53 - 1}")
        if not _reads(scalar.group()):
            raise Misread("not_toml", *self._line_column(at), scalar.group(), '"…", 100, 2022-01-01')
        return Place(key, at), scalar.end()

    def _list(self, at: int, key: int, depth: int) -> tuple[Place, int]:
        elements: list[Place] = []
        here = self._gap(at + 1)
        while not self._text.startswith("]", here):
            element, here = self._value(here, here, depth + 1)
            elements.append(element)
            here = self._gap(here)
            if self._text.startswith(",", here):
                here = self._gap(here + 1)
            elif not self._text.startswith("]", here):
                raise self._stop("not_toml", here, ", ]")
        return Place(key, at, elements), here + 1

    def _inline(self, at: int, key: int, depth: int) -> tuple[Place, int]:
        table = Place(key, at, {})
        here = self._after_space(at + 1)
        if self._text.startswith("}", here):
            return table, here + 1
        while True:
            parts, equals = self._key(here)
            if not self._text.startswith("=", equals):
                raise self._stop("not_toml", equals, "=")
            value, end = self._value(self._after_space(equals + 1), here, depth + 1)
            owner = self._down(table, parts[:-1])
            if isinstance(owner.inner, dict):
                owner.inner.setdefault(parts[-1][0], value)
            end = self._after_space(end)
            if self._text.startswith("}", end):
                return table, end + 1
            if not self._text.startswith(",", end):
                raise self._stop("not_toml", end, ", }")
            here = self._after_space(end + 1)

    def _tally(self, at: int) -> None:
        self.count += 1
        if self.count > VALUES_MAX:
            raise self._stop("too_many", at, f"≤ {VALUES_MAX}")

    def _gap(self, at: int) -> int:
        match = _GAP.match(self._text, at)
        return at if match is None else match.end()

    def _after_space(self, at: int) -> int:
        match = _SPACE.match(self._text, at)
        return at if match is None else match.end()

    def _stop(self, code: str, at: int, allowed: str) -> Misread:
        rest = self._text[at : at + 40].splitlines()
        return Misread(
            code, *self._line_column(min(at, len(self._text))), rest[0] if rest and rest[0] else "…", allowed
        )


def _reads(scalar: str) -> bool:
    """Whether a value without quotes is one: nearly all are plain numbers."""
    if _PLAIN_NUMBER.fullmatch(scalar) or scalar in ("true", "false"):
        return True
    try:
        return bool(tomllib.loads(f"value = {scalar}"))
    except ValueError:
        return False


def _characters(raw: str) -> Iterator[tuple[int, str]]:
    """The characters of a quoted text, each with its offset from the opening quote."""
    quote = raw[:3] if raw[:3] in ('"""', "'''") else raw[:1]
    at, end = len(quote), len(raw) - len(quote)
    if len(quote) == 3:
        at += 2 if raw.startswith("\r\n", at) else raw.startswith("\n", at)
    while at < end:
        if raw[at] == "\\" and quote[0] == '"':
            mark = raw[at + 1]
            if mark in "uU":
                digits = 4 if mark == "u" else 8
                code = int(raw[at + 2 : at + 2 + digits] or "0", 16) if _is_hex(raw[at + 2 : at + 2 + digits]) else 0
                yield at, chr(code) if code <= 0x10FFFF else "\ufffd"
                at += 2 + digits
            elif mark in _ESCAPES:
                yield at, _ESCAPES[mark]
                at += 2
            else:  # a backslash at the end of a line swallows the white space that follows
                at += 1
                while at < end and raw[at] in " \t\r\n":
                    at += 1
        elif raw.startswith("\r\n", at):
            yield at, "\n"
            at += 2
        else:
            yield at, raw[at]
            at += 1


def _is_hex(digits: str) -> bool:
    return re.fullmatch("[0-9A-Fa-f]+", digits) is not None

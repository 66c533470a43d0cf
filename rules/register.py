# SPDX-License-Identifier: Apache-2.0
"""The register: the tree of places, and which account is at home where under which hats. It knows no person's name.

Places are few (a county has some hundreds), so the tree is kept in memory and read again after a change. Matching
never guesses: a text that could mean two places means none.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.tables import Row
from rules.tables import BODY, PLACE, SUBJECT

__all__ = ["BODY", "PLACE", "SUBJECT", "Place", "Register", "Subject", "Tree", "subject_row"]

LEVELS = ("county", "street", "community", "grid", "building", "unit")
RESIDENTS = "G3"  # everybody is a resident beside other hats
FIRST_DAY = "2000-01-01"  # places of which nobody says since when
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Place:
    """A node of the tree. Grids are redrawn: it holds from `from_day` to `to_day`, both included."""

    code: str
    name: str
    level: str
    parent: str | None = None
    from_day: str = FIRST_DAY
    to_day: str | None = None

    def row(self, now_us: int) -> Row:
        return (self.code, self.name, self.level, self.parent, self.from_day, self.to_day, now_us)


@dataclass(frozen=True, slots=True)
class Subject:
    """An account's place in the register: `home` is its journal, `state` open, withdrawn or erased."""

    subject: str
    kind: str
    home: str
    grid: str
    groups: tuple[str, ...]
    state: str


def subject_row(
    subject: str, kind: str, home: str, grid: str, groups: Iterable[str], now_us: int, state: str = "open"
) -> Row:
    """A row of SUBJECT; a person gets the residents' hat beside the others."""
    hats = {*groups, RESIDENTS} if kind == "person" else set(groups)
    return (subject, kind, home, grid, json.dumps(sorted(hats)), state, now_us)


_NUMERALS = {n: str(i) for i, n in enumerate("零一二三四五六七八九")}
_ORDINAL = re.compile(
    r"第([0-9]{1,4}|[零一二三四五六七八九十]{1,3})"
    r"|(?<![0-9])([0-9]{1,4}|[零一二三四五六七八九十]{1,3})(?=号?(?:网格|楼|栋|幢|单元))"
)


def _number(found: re.Match[str]) -> str:
    text = found[1] or found[2]
    if not text.isascii():
        tens, ten, ones = text.rpartition("十")
        if ten:
            text = (_NUMERALS.get(tens, "") if tens else "1") + (_NUMERALS.get(ones, "") if ones else "0")
        else:
            text = "".join(_NUMERALS[c] for c in text)
    return f"第{text.lstrip('0') or '0'}"


def plain(text: str) -> str:
    """A place's name as compared: half-width, no spaces, 第四网格 and 04网格 as 第4网格."""
    bare = re.sub(r"\s", "", unicodedata.normalize("NFKC", text)).lower()
    return _ORDINAL.sub(_number, bare)


def _short(name: str) -> str:
    """A community's name without what it is."""
    for tail in ("社区居委会", "社区", "居委会", "村委会", "村"):
        if name.endswith(tail) and len(name) > len(tail):
            return name[: -len(tail)]
    return name


@dataclass(slots=True)
class Tree:
    """Places as they stand in memory, with the words by which they are found."""

    places: dict[str, Place] = field(default_factory=dict[str, Place])
    _children: dict[str | None, list[str]] = field(default_factory=dict[str | None, list[str]])
    _communities: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    _grids: dict[tuple[str, str], set[str]] = field(default_factory=dict[tuple[str, str], set[str]])

    @classmethod
    def of(cls, places: Iterable[Place]) -> Tree:
        tree = cls({place.code: place for place in places})
        for code, place in sorted(tree.places.items()):
            tree._children.setdefault(place.parent, []).append(code)
            if place.level == "community":
                name = plain(place.name)
                for word in {code, name, _short(name)}:
                    tree._communities.setdefault(word, set()).add(code)
            elif place.level == "grid":
                tree._index_grid(place)
        return tree

    def _index_grid(self, grid: Place) -> None:
        community = self.community(grid.code)
        if community is None:
            return
        name, full = plain(grid.name), plain(community.name)
        words = {grid.code, name}
        for head in (full, _short(full)):
            if name.startswith(head) and len(name) > len(head):
                rest = _ORDINAL.sub(_number, name[len(head) :])
                words |= {rest, full + rest, _short(full) + rest}
        for word in words:
            self._grids.setdefault((community.code, word), set()).add(grid.code)

    def up(self, code: str) -> Iterator[Place]:
        """The place and everything above it; a loop in the data ends the walk."""
        seen: set[str] = set()
        at: str | None = code
        while at is not None and at not in seen:
            seen.add(at)
            place = self.places.get(at)
            if place is None:
                return
            yield place
            at = place.parent

    def community(self, code: str) -> Place | None:
        return next((place for place in self.up(code) if place.level == "community"), None)

    def children(self, parent: str | None) -> list[Place]:
        return [self.places[code] for code in self._children.get(parent, ())]

    def below(self, code: str) -> list[Place]:
        """The place and everything under it."""
        found = [self.places[code]] if code in self.places else []
        for place in found:  # grows while it is walked
            found += self.children(place.code)
        return found

    def match_community(self, text: str) -> Place | None:
        word = plain(text)
        found = self._communities.get(word) or self._communities.get(_short(word), set())
        return self.places[next(iter(found))] if len(found) == 1 else None

    def match_grid(self, text: str, community: str) -> Place | None:
        found = self._grids.get((community, plain(text)), set())
        return self.places[next(iter(found))] if len(found) == 1 else None


class Register:
    """The tree in memory and the subjects in the database. `reload` after a change; `refresh` notices others'."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._mark: tuple[int, int] = (-1, -1)
        self.tree = Tree()

    async def reload(self) -> None:
        self._mark = await self._state()
        rows = await self._ledger.fetch("SELECT code, name, level, parent, from_day, to_day FROM place")
        self.tree = Tree.of(Place(*row) for row in rows)

    async def refresh(self) -> None:
        """Read the tree again if another process has changed it."""
        if await self._state() != self._mark:
            await self.reload()

    async def _state(self) -> tuple[int, int]:
        rows = await self._ledger.fetch("SELECT count(*), coalesce(max(changed_at), 0) FROM place")
        return int(rows[0][0]), int(rows[0][1])

    # places ----------------------------------------------------------------------------------------------------

    def place(self, code: str) -> Place:
        """Raises `not_found`."""
        place = self.tree.places.get(code)
        if place is None:
            raise Refusal("not_found", what="place", id=code)
        return place

    def children(self, parent: str | None) -> list[Place]:
        return self.tree.children(parent)

    def covers(self, upper: str, lower: str) -> bool:
        """Is `lower` the place `upper` or below it?"""
        return upper == lower or any(place.code == upper for place in self.tree.up(lower))

    def community_of(self, place: str) -> str:
        """The community of a grid, a building or itself: the journal's id. Raises `not_found`."""
        community = self.tree.community(place)
        if community is None:
            raise Refusal("not_found", what="community", id=place)
        return community.code

    def grids_under(self, place: str) -> list[str]:
        """Codes of all grids in a place, itself included."""
        return [found.code for found in self.tree.below(place) if found.level == "grid"]

    def grid_of(self, code: str) -> str:
        """The grid in which a building or a unit lies; any other place is its own answer."""
        return next((place.code for place in self.tree.up(code) if place.level == "grid"), code)

    def match_community(self, text: str) -> Place | None:
        """By code, or by name with or without 社区. None when unknown or ambiguous."""
        return self.tree.match_community(text)

    def match_grid(self, text: str, community_code: str) -> Place | None:
        """By code, full name, or the name less the community's, inside that community."""
        return self.tree.match_grid(text, community_code)

    # subjects --------------------------------------------------------------------------------------------------

    async def subject(self, subject: str) -> Subject:
        """Raises `subject_unknown`, `subject_erased`."""
        found = (await self.subjects([subject])).get(subject)
        if found is None:
            raise Refusal("subject_unknown", subject=subject)
        if found.state == "erased":
            raise Refusal("subject_erased", subject=subject)
        return found

    async def subjects(self, subjects: Collection[str]) -> dict[str, Subject]:
        """Those of the given subjects that are registered, in whatever state."""
        found: dict[str, Subject] = {}
        wanted = list(dict.fromkeys(subjects))
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            marks = ", ".join("?" * len(chunk))
            for row in await self._ledger.fetch(
                f"SELECT subject, kind, home, grid, groups, state FROM subject WHERE subject IN ({marks})", *chunk
            ):
                found[row[0]] = Subject(row[0], row[1], row[2], row[3], tuple(json.loads(row[4])), row[5])
        return found

# SPDX-License-Identifier: Apache-2.0
"""What an edition is made from, gathered at one moment: how far the journals are, who belongs to the place, the rule,
and the result that follows. docs/spec/edition.md."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ledger import codec
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.view import rfc3339
from rules.engine.lists import ListRule
from rules.engine.model import Pack
from rules.lists.model import HEADER, Edition, Line, inflated
from rules.lists.periods import days_of
from rules.register import Register
from rules.tables import EDITION_FILE

if TYPE_CHECKING:
    from rules.lists.columns import Columns

METHOD = "1"
"""How results are computed; a change that gives other results from the same inputs is another method."""
SEED = b"jifen/edition/seed/1\n"

Reach = Mapping[str, Mapping[str, Any]]
"""By journal: how many entries were looked at, and the leaf of the last of them."""


class Member(NamedTuple):
    """A row of population.csv."""

    subject: str
    grid: str
    groups: tuple[str, ...]
    listed: bool


class Consents(Protocol):
    """Who agreed to what: the vault's to say. `purpose` is `publication` or `ranking`."""

    async def consenting(self, purpose: str, homes: Collection[str]) -> set[str]: ...


@dataclass(frozen=True, slots=True)
class Frozen:
    """An edition's files by name, its header and its result."""

    header: dict[str, Any]
    result: dict[str, Any]
    files: dict[str, bytes]


class Freezer:
    """Gathers and computes; writes nothing but the columns under `home`."""

    def __init__(self, ledger: Ledger, register: Register, consents: Consents, home: Path, software: str) -> None:
        self.ledger = ledger
        self.register = register
        self.consents = consents
        self.home = home
        self.software = software
        self._held: Columns | None = None

    async def freeze(
        self, edition: Edition, rule: ListRule, pack: Pack, previous: Mapping[str, Any] | None, corrected: Frozen | None
    ) -> Frozen:
        """`previous` is the header of the edition before this one; `corrected` the version that is put right: it keeps
        its members and its deeds, and only what was taken back, disputed or decided since is looked at anew. Of a
        period that is not over, what there is so far.
        """
        journals = self.communities(edition.place)
        members = None
        if corrected is None:
            seen = await self._reach(await self.lived(journals))
            members = await self._members(rule, {one: seen[one]["size"] for one in journals if one in seen})
        else:
            seen = await self._reach(corrected.header["seen"])
            while (names := await self._went(seen)) - seen.keys():  # somebody has moved meanwhile
                seen = await self._reach(names)
        if not seen:
            raise Refusal("journal_not_open", journal=edition.place)
        header = self._header(edition, rule, pack, seen)
        if corrected is not None:
            header |= {
                name: corrected.header[name] for name in ("as_of", "units", "previous") if name in corrected.header
            }
        elif previous is not None:
            sizes = {name: {j: at["size"] for j, at in previous[name].items()} for name in ("as_of", "seen")}
            header["previous"] = {"edition": previous["id"], **sizes}
        chosen = {name: header[name] for name in ("as_of", "list", "period", "place")}
        header["seed"] = sha256(SEED + codec.canonical(chosen)).hexdigest()
        from rules.lists import columns, making  # here: polars takes a third of a second to load

        self._held = held = await columns.refresh(self.ledger, self.home, self._held)
        return await asyncio.to_thread(making.made, header, rule, pack, members, held, corrected)

    def _header(self, edition: Edition, rule: ListRule, pack: Pack, seen: Reach) -> dict[str, Any]:
        first, last = days_of(edition.period)
        header: dict[str, Any] = {
            "about": rule.about,
            "as_of": seen,
            "from": first.isoformat(),
            "frozen_at": rfc3339(self.ledger.clock()),
            "id": edition.id,
            "kind": rule.kind,
            "list": rule.code,
            "method": METHOD,
            "pack": pack.hash,
            "period": edition.period,
            "place": edition.place,
            "seen": seen,
            "software": self.software,
            "to": last.isoformat(),
            "units": sorted(self.register.grids_under(edition.place)),
            "v": 1,
            "version": edition.version,
            "zone": pack.zone,
        }
        return header | ({"corrects": edition.corrects} if edition.corrects else {})

    def communities(self, place: str) -> list[str]:
        """The communities of a place, itself included: their codes are journals."""
        return sorted(one.code for one in self.register.tree.below(place) if one.level == "community")

    async def _members(self, rule: ListRule, sizes: Mapping[str, int]) -> list[Member]:
        """Who belongs to the list: accounts at home in these journals that were open at these sizes and still are, of
        the kind and the groups it is about; a ranking counts whoever agreed to be counted, and a list of persons has
        nobody who did not agree to be named."""
        kinds = {"grids": ("person",), "persons": ("person",), "bodies": ("body",)}[rule.about]
        if rule.kind == "notice":
            kinds = ("body", "person")
        rows: list[tuple[Any, ...]] = []
        for journal, size in sizes.items():
            rows += await self.ledger.fetch(
                "SELECT s.subject, s.kind, s.grid, s.groups FROM subject s "
                "JOIN member m ON m.journal = s.home AND m.subject = s.subject "
                "WHERE s.home = ? AND s.state = 'open' AND m.state = 'open' AND m.opened_seq < ?",
                journal,
                size,
            )
        ranked = await self.consents.consenting("ranking", sizes) if rule.kind == "ranking" else None
        public = await self.consents.consenting("publication", sizes)
        made: list[Member] = []
        for subject, kind, grid, groups in rows:
            hats, listed = _hats(groups), kind == "body" or subject in public
            out = (ranked is not None and subject not in ranked) or (rule.about == "persons" and not listed)
            if kind in kinds and not out and (not rule.groups or set(rule.groups) & set(hats)):
                made.append(Member(subject, self.register.grid_of(grid), hats, listed))
        return made

    async def lived(self, journals: Sequence[str]) -> set[str]:
        """These journals, and those in which anybody at home here has lived before."""
        found = {one["journal"] for one in await self.ledger.journals()} & set(journals)
        return found | await self._of_each(
            "subject s JOIN member m ON m.subject = s.subject WHERE s.home = ?", journals
        )

    async def _went(self, journals: Collection[str]) -> set[str]:
        """These journals, and those where anybody has lived who lived in one of them: a deed is taken back, disputed
        and decided on where its subject is at home by then."""
        lived = "member o JOIN member m ON m.subject = o.subject WHERE o.journal = ?"
        return set(journals) | await self._of_each(lived, journals)

    async def _of_each(self, members: str, journals: Collection[str]) -> set[str]:
        """The journals of these members `m`, asked one journal at a time."""
        found: set[str] = set()
        for journal in journals:
            rows = await self.ledger.fetch(f"SELECT DISTINCT m.journal FROM {members}", journal)
            found.update(name for (name,) in rows)
        return found

    async def _reach(self, names: Collection[str]) -> dict[str, dict[str, Any]]:
        """Where each journal is now. One statement, so that a move is in both journals or in neither."""
        every = {one["journal"]: one for one in await self.ledger.journals()}
        return {name: {"leaf": every[name]["leaf"], "size": every[name]["size"]} for name in sorted(names)}


@lru_cache(maxsize=4096)
def _hats(groups: str) -> tuple[str, ...]:
    """Groups as a subject's row has them; there are few different ones."""
    return tuple(sorted(json.loads(groups)))


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What a correction changed, part by part: rows that came, went, or have another figure (was, is; left out where
    there was none)."""
    found: dict[str, Any] = {}
    for part in sorted(before.keys() | after.keys()):
        old, new = _rows(before.get(part)), _rows(after.get(part))
        said = {
            "added": [new[key] for key in sorted(new.keys() - old.keys())],
            "changed": [
                {"row": key, "was": _less(old[key], new[key]), "is": _less(new[key], old[key])}
                for key in sorted(old.keys() & new.keys())
                if old[key] != new[key]
            ],
            "removed": sorted(old.keys() - new.keys()),
        }
        if any(said.values()):
            found[part] = said
    return found


def _rows(part: Any) -> dict[str, dict[str, Any]]:
    if isinstance(part, list):
        return {str(row.get("line") or row.get("grid")): row for row in part}  # type: ignore[reportUnknownMemberType]
    return {"": part} if part else {}


def _less(row: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if other.get(name) != value}


def lines_of(edition: Edition, rule: ListRule, result: Mapping[str, Any], before: Mapping[str, Line]) -> list[Line]:
    """One line for each subject in a result; what was done for the same line in the version before is done."""
    made: list[Line] = []
    for row in result.get("rows", ()) if rule.about != "grids" else ():
        key = row["line"]
        old = before.get(key)
        if old is not None:
            state = old.state if rule.kind == "reminder" or rule.decision == "person" else "proposed"
            made.append(old.but(edition=edition.id, state=_again(old, state)))
            continue
        deed = (row.get("journal", ""), row.get("seq", -1), row.get("indicator", ""))
        made.append(Line(edition.id, key, row["subject"], *deed, row.get("class", ""), row.get("months", 0)))
    return made


def _again(old: Line, state: str) -> str:
    """Where a line of an earlier version stands in the next: what was shown is decided, what has ended stays ended."""
    if old.state == "ended":
        return "ended"
    if state != "posted":
        return state
    return "confirmed" if old.journal else "chosen"


async def stored_files(ledger: Ledger, id: str, *names: str) -> dict[str, bytes]:
    """An edition's files by name, all or those named; of a draft none. A county's population is megabytes."""
    chosen = f"AND name IN ({', '.join('?' * len(names))})" if names else ""
    rows = await ledger.fetch(
        f"SELECT name, data FROM {EDITION_FILE.name} WHERE edition = ? {chosen} ORDER BY name", id, *names
    )
    return {name: inflated(data) for name, data in rows}


async def stored(ledger: Ledger, id: str) -> Frozen:
    """A frozen edition. Raises `not_found` for one that is not frozen yet."""
    files = await stored_files(ledger, id)
    if HEADER not in files:
        raise Refusal("not_found", what="edition", id=id[:60])
    return Frozen(codec.decode(files[HEADER]), codec.decode(files["result.json"]), files)

# SPDX-License-Identifier: Apache-2.0
"""The packs that a deployment goes by: which one was in force on the day of a deed, and which one is coming.

A pack is never changed, only followed by another; a late report is judged by the rules of its own day. The shelf holds
the pack that a deployment is founded on, as it was when its first journal was opened, and every pack that two people
have published since (`rules/publishing`). What a later version of the software brings changes nobody's rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

import orjson

from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.view import local_day
from rules.engine.model import Indicator, Pack
from rules.engine.pack import PACKS, PackError, builtin_pack, load_files, read_pack

FOUNDING = "huantai"


class ShelfDamaged(RuntimeError):
    """A stored pack is not what was published; the message says which."""


class Shelf:
    """Packs in order of the day they took effect. `reload` and `refresh` need a ledger."""

    def __init__(self, packs: Iterable[Pack], ledger: Ledger | None = None) -> None:
        self._ledger = ledger
        self._given = tuple(packs)
        if not self._given:
            raise ValueError("a shelf needs a pack")
        self._put(self._given)

    def _put(self, packs: Iterable[Pack]) -> None:
        self.packs = tuple(sorted(packs, key=lambda pack: pack.effective_from))
        self._found: dict[tuple[str, date], tuple[Pack, Indicator]] = {}

    @classmethod
    def founding(cls, ledger: Ledger | None = None) -> Shelf:
        """The shelf a deployment starts with."""
        return cls([builtin_pack(FOUNDING)], ledger)

    # what was published since --------------------------------------------------------------------------------------

    async def refresh(self) -> None:
        """Notice the packs that another process has published. Raises `ShelfDamaged`."""
        if self._ledger is None:
            return
        known = {pack.hash: pack for pack in self.packs}
        rows = await self._ledger.fetch("SELECT hash, proposal FROM pack")
        stored = {hash_ for hash_, _ in rows}
        # Once a journal stands on the stored founding pack, what the software brings is only a pack to be proposed.
        given = () if any(not proposal for _, proposal in rows) else self._given
        if stored | {pack.hash for pack in given} == known.keys():
            return
        for hash_ in stored - known.keys():
            known[hash_] = self._read(hash_, await self.stored_files(hash_))
        self._put([*given, *(known[hash_] for hash_ in stored)])

    async def stored_files(self, hash_: str) -> dict[str, bytes]:
        """The files of a stored pack, by name; empty for one that is not stored."""
        if self._ledger is None:
            return {}
        rows = await self._ledger.fetch("SELECT files FROM pack WHERE hash = ?", hash_)
        return unpacked(bytes(rows[0][0])) if rows else {}

    async def files(self, pack: Pack) -> dict[str, bytes]:
        """The files of a pack that is on the shelf, by name."""
        if stored := await self.stored_files(pack.hash):
            return stored
        files = load_files(PACKS / pack.id)
        if read_pack(files).hash != pack.hash:
            raise ShelfDamaged(f"the files of pack {pack.id} in {PACKS} are no longer those that are in force; restart")
        return files

    @staticmethod
    def _read(hash_: str, files: Mapping[str, bytes]) -> Pack:
        try:
            pack = read_pack(files)
        except PackError as error:
            raise ShelfDamaged(f"pack {hash_} was published and cannot be read any more: {error}") from error
        if pack.hash != hash_:
            raise ShelfDamaged(f"pack {hash_} was published, and what is stored under its name is {pack.hash}")
        return pack

    # which one -----------------------------------------------------------------------------------------------------

    @property
    def first(self) -> Pack:
        """The pack that the deployment is founded on. Every pack after it has its id and its zone."""
        return self.packs[0]

    @property
    def zone(self) -> str:
        """The zone in which days are counted: one for all packs."""
        return self.first.zone

    def pack(self, day: date) -> Pack:
        """The pack in force on a day; before the first one, the first (whose indicators then say so themselves)."""
        for pack in reversed(self.packs):
            if pack.effective_from <= day:
                return pack
        return self.packs[0]

    def at(self, instant_us: int) -> Pack:
        """The pack in force at an instant."""
        return self.pack(date.fromisoformat(local_day(instant_us, self.zone)))

    def newest(self) -> Pack:
        """The last pack published, which may not be in force yet. What applies today is `at(clock())`."""
        return self.packs[-1]

    def indicator(self, code: str, day: date) -> tuple[Pack, Indicator]:
        """An indicator by its code, with the pack it is judged under. Raises `not_found`."""
        found = self._found.get((code, day))
        if found is None:
            pack = self.pack(day)
            indicator = pack.indicators.get(code)
            if indicator is None:
                raise Refusal("not_found", what="indicator", id=code[:40])
            if len(self._found) > 20_000:
                self._found.clear()
            found = self._found[code, day] = (pack, indicator)
        return found

    def knows(self, code: str) -> bool:
        """Is there an indicator of this code in any pack?"""
        return any(code in pack.indicators for pack in self.packs)

    def by_text(self, text: str, day: date) -> Indicator | None:
        """The indicator that a sheet names by code, name or alias; None when it is none of these."""
        return self.pack(day).indicator_by_text(text)


def packed(files: Mapping[str, bytes]) -> bytes:
    """Files as they are stored: JSON, each name with its text. Raises UnicodeDecodeError."""
    return orjson.dumps({name: data.decode() for name, data in files.items()}, option=orjson.OPT_SORT_KEYS)


def unpacked(stored: bytes) -> dict[str, bytes]:
    """The files of a stored pack, by name."""
    return {name: text.encode() for name, text in orjson.loads(stored).items()}

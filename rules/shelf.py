# SPDX-License-Identifier: Apache-2.0
"""The packs that a deployment goes by: which one was in force on the day of a deed.

A pack is never changed, only followed by another; a late report is judged by the rules of its own day.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from ledger.errors import Refusal
from rules.engine.model import Indicator, Pack
from rules.engine.pack import builtin_pack

FOUNDING = "huantai"


class Shelf:
    """Packs in order of the day they took effect."""

    def __init__(self, packs: Iterable[Pack]) -> None:
        self.packs = tuple(sorted(packs, key=lambda pack: pack.effective_from))
        if not self.packs:
            raise ValueError("a shelf needs a pack")
        self._found: dict[tuple[str, date], tuple[Pack, Indicator]] = {}

    @classmethod
    def founding(cls) -> Shelf:
        """The shelf a deployment starts with."""
        return cls([builtin_pack(FOUNDING)])

    def pack(self, day: date) -> Pack:
        """The pack in force on a day; before the first one, the first (whose indicators then say so themselves)."""
        for pack in reversed(self.packs):
            if pack.effective_from <= day:
                return pack
        return self.packs[0]

    def newest(self) -> Pack:
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

    def by_text(self, text: str, day: date) -> Indicator | None:
        """The indicator that a sheet names by code, name or alias; None when it is none of these."""
        return self.pack(day).indicator_by_text(text)

# SPDX-License-Identifier: Apache-2.0
"""What a backup may hold of the vault: every index value sealed under its subject's data key.

A blind index that lay open in a file on a shelf would outlive an erasure. Sealed, it goes with the key.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from api.people import tables
from api.people.keystore import Keystore
from ledger.errors import Refusal
from ledger.keys import seal, unseal
from ledger.snapshot import Layout
from ledger.tables import Row, Table

_Turn = Callable[[bytes, bytes, bytes], bytes]

_OPENLY = frozenset({"sealed"})  # sealed already
# Every column of bytes in every table of the vault, so that an index added later is not forgotten here.
HIDDEN: dict[str, frozenset[str]] = {
    table.name: hidden
    for table in vars(tables).values()
    if isinstance(table, Table)
    and (hidden := frozenset(name for name, kind in table.columns if kind == "blob") - _OPENLY)
} | {"report_photo": frozenset({"digest"})}  # of a room above: a digest of the vault's photos


class Veil:
    """See `ledger.backup.Veil`. `keyless` passes over subjects whose key was lost, as if they had been erased."""

    def __init__(self, keystore: Keystore, *, keyless: bool = False) -> None:
        self._keystore = keystore
        self._keyless = keyless
        self.left_out = 0

    def hide(self, layout: Layout, rows: list[Row]) -> list[Row]:
        return self._each(layout, rows, seal)

    def show(self, layout: Layout, rows: list[Row]) -> list[Row]:
        return self._each(layout, rows, unseal)

    def _each(self, layout: Layout, rows: list[Row], turn: _Turn) -> list[Row]:
        hidden = HIDDEN.get(layout.name)
        if hidden is None:
            return rows
        names = layout.names
        whose = names.index("subject")
        places = [(place, name) for place, name in enumerate(names) if name in hidden]
        keys = self._keys({row[whose] for row in rows})
        out: list[Row] = []
        for row in rows:
            key = keys.get(row[whose])
            if key is None:
                self.left_out += 1
                continue
            changed = list(row)
            for place, name in places:
                if row[place] is not None:
                    changed[place] = turn(
                        key, row[place], f"jifen/backup/1\n{layout.name}.{name}\n{row[whose]}".encode()
                    )
            out.append(tuple(changed))
        return out

    def _keys(self, subjects: Collection[str]) -> dict[str, bytes]:
        """Those that there are; an erased subject has none. Raises `keys_missing`."""
        try:
            return self._keystore.keys(subjects)
        except Refusal:
            found = {subject: self._key(subject) for subject in subjects}
            return {subject: key for subject, key in found.items() if key is not None}

    def _key(self, subject: str) -> bytes | None:
        try:
            return self._keystore.key(subject)
        except Refusal as refusal:
            if refusal.code == "subject_unknown" and not self._keyless:
                raise Refusal("keys_missing", subject=subject) from refusal
            return None

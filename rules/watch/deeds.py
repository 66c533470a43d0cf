# SPDX-License-Identifier: Apache-2.0
"""Posted and waiting awards of a place and time as plain deeds, their sealed reports opened for the search alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.keys import BadKey
from ledger.tables import Row
from rules.desk.records import opened
from rules.ports import Vault, living_keys
from rules.tables import AWARD

CHUNK = 2000
MINUTES = "minutes"  # the fact that says how long; every indicator that counts hours has it


class Deed(NamedTuple):
    """One award as reported. `start` is HH:MM or a source's own mark; `minutes` 0 where the indicator counts none."""

    award: str
    subject: str
    grid: str
    indicator: str
    place: str
    day: str
    start: str
    minutes: int
    proposer: str
    approver: str | None
    created_at: int
    batch: str | None
    evidence: Sequence[Mapping[str, str]]


async def deeds(ledger: Ledger, vault: Vault, place: str, from_day: str, to_day: str) -> list[Deed]:
    """Deeds of these days (both included) at a place and below it. What was refused or taken back is left out, and so
    is what belongs to somebody who was erased: it can no longer be read."""
    found: list[Deed] = []
    after = ""
    while True:
        rows = await ledger.fetch(
            f"SELECT {', '.join(f'a.{name}' for name in AWARD.names)}, s.grid FROM award a "
            "LEFT JOIN subject s ON s.subject = a.subject WHERE a.place >= ? AND a.place < ? AND a.id > ? "
            "AND a.occurred_on BETWEEN ? AND ? AND a.state IN ('posted', 'awaiting_approval') ORDER BY a.id LIMIT ?",
            place,
            place + "~",
            after,
            from_day,
            to_day,
            CHUNK,
        )
        keys = await living_keys(vault, sorted({row[6] for row in rows}))
        found += [deed for row in rows if (deed := _deed(row, keys.get(row[6]))) is not None]
        if len(rows) < CHUNK:
            return found
        after = rows[-1][0]


def _deed(row: Row, key: bytes | None) -> Deed | None:
    if key is None:
        return None
    award, grid = row[:-1], row[-1]
    try:
        said: Mapping[str, Any] = opened(award, key)["request"]
    except (BadKey, Refusal):
        return None
    minutes = said["facts"].get(MINUTES, 0)
    return Deed(
        award[0], award[6], grid or "", award[11], award[10], award[13], said.get("start", ""),
        minutes if isinstance(minutes, int) else 0, award[17], award[18], award[19], award[1], said["evidence"],
    )  # fmt: skip

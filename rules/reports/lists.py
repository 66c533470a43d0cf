# SPDX-License-Identifier: Apache-2.0
"""Lists of confirmers, newest first, for the places that the reader may see."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from rules.desk.lists import below
from rules.reports.confirmers import Confirmer, State
from rules.tables import ConfirmerRow


async def confirmers(
    places: Collection[str], *, state: State | None = None, before: str | None = None, limit: int = 50
) -> list[Confirmer]:
    """Who may confirm, or might until they were suspended, in these places and below them."""
    row: Any = ConfirmerRow
    query: Any = row.select().where(below(row.place, places))
    if state is not None:
        query = query.where(row.state == state)
    if before is not None:
        query = query.where(row.id < before)
    found = await query.order_by(row.id, ascending=False).limit(limit).run()
    return [Confirmer(*one.values()) for one in found]

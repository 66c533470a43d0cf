# SPDX-License-Identifier: Apache-2.0
"""Lists of awards, batches and approvals, newest first, for the places that the reader may see.

`before` is the last id of the page before: ids begin with their instant, so the order needs no other column.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from rules.desk.records import ApprovalRecord, AwardRecord, BatchRecord, approval_record, batch_record
from rules.tables import AWARD, ApprovalRow, AwardRow, BatchRow


async def awards(
    places: Collection[str],
    *,
    indicator: str | None = None,
    state: str | None = None,
    from_day: str | None = None,
    to_day: str | None = None,
    batch: str | None = None,
    before: str | None = None,
    limit: int = 50,
) -> list[AwardRecord]:
    """Awards for deeds in these places and below them, without what is sealed."""
    row: Any = AwardRow
    query: Any = row.select(*(getattr(row, name) for name in AWARD.names if name != "sealed"))
    query = query.where(below(row.place, places))
    for condition, value in (
        (row.indicator == indicator, indicator),
        (row.state == state, state),
        (row.occurred_on >= from_day, from_day),
        (row.occurred_on <= to_day, to_day),
        (row.batch == batch, batch),
        (row.id < before, before),
    ):
        if value is not None:
            query = query.where(condition)
    found = await query.order_by(row.id, ascending=False).limit(limit).run()
    return [AwardRecord(*one.values()) for one in found]


async def batches(
    places: Collection[str],
    proposer: str,
    *,
    state: str | None = None,
    before: str | None = None,
    limit: int = 50,
) -> list[BatchRecord]:
    """Batches over these places, and the reader's own wherever they reach."""
    row: Any = BatchRow
    query: Any = row.select().where(below(row.place, places) | (row.proposer == proposer))
    if state is not None:
        query = query.where(row.state == state)
    if before is not None:
        query = query.where(row.id < before)
    found = await query.order_by(row.id, ascending=False).limit(limit).run()
    return [batch_record(tuple(one.values())) for one in found]


async def approvals(
    places: Collection[str],
    proposer: str,
    *,
    state: str = "open",
    before: str | None = None,
    limit: int = 50,
) -> list[ApprovalRecord]:
    """What waits over these places, and what the reader has proposed."""
    row: Any = ApprovalRow
    query: Any = row.select().where((below(row.place, places) | (row.proposer == proposer)) & (row.state == state))
    if before is not None:
        query = query.where(row.id < before)
    found = await query.order_by(row.id, ascending=False).limit(limit).run()
    return [approval_record(tuple(one.values())) for one in found]


def below(column: Any, places: Collection[str]) -> Any:
    """A place's code begins with the code of the place above it, so a subtree is one range of the index."""
    condition: Any = column == ""
    for place in sorted(places):
        condition = condition | ((column >= place) & (column < place + "~"))
    return condition

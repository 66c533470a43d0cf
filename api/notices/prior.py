# SPDX-License-Identifier: Apache-2.0
"""Prior notice: what bodies must be told before a reminder about them may be published."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from api.world import World
from ledger import codec
from rules.engine.model import Name
from rules.lists.steps import LEAST_WORKDAYS


class Prior(NamedTuple):
    """A line that nobody has told its subject of: of which list and period, for which entry, done on which day, and how
    many working days there will be to answer."""

    subject: str
    edition: str
    line: str
    journal: str
    seq: int
    indicator: str
    day: str
    list: Name
    period: str
    workdays: int


async def untold_lines(world: World, subjects: Collection[str]) -> list[Prior]:
    """Those of these subjects, in the order of editions and lines."""
    rows = await world.ledger.fetch(
        "SELECT l.subject, l.edition, l.line, l.journal, l.seq, l.indicator, n.body, e.list, e.period, e.workdays "
        "FROM edition_line l JOIN edition e ON e.id = l.edition "
        "JOIN entry n ON n.journal = l.journal AND n.seq = l.seq "
        "WHERE e.kind = 'reminder' AND e.state IN ('notified', 'decided') AND l.state = 'notified' "
        "AND l.delivered_on = '' ORDER BY l.edition, l.line"
    )
    names = {code: one.name for pack in world.packs.packs for code, one in pack.lists.items()}
    found: list[Prior] = []
    for subject, edition, line, journal, seq, indicator, body, code, period, workdays in rows:
        if subject in subjects:
            day, count = codec.decode(bytes(body))["occurred_on"], max(workdays, LEAST_WORKDAYS)
            found.append(Prior(subject, edition, line, journal, seq, indicator, day, names[code], period, count))
    return found

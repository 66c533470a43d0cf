# SPDX-License-Identifier: Apache-2.0
"""The brake: where a month's points have come to more than their payer wants to stand for, the next ones are given by
two people.

It asks, and never refuses: a deed earns what the rules say, now or a little later, and what was given stays given. What
was given is known when a deed is put together (a brake, not a wall), and in a take-over window nothing waits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from ledger.view import View
from rules.desk.assess import Assessed
from rules.desk.prepare import Prepared
from rules.ports import Room, Rooms

CODE = "budget_brake"


def reason(view: View, rooms: Rooms, made: Iterable[tuple[Prepared, Assessed]]) -> list[dict[str, Any]]:
    """Why these are not one person's decision, one reason for each limit that they would pass."""
    if not rooms:
        return []
    asked: Counter[Room] = Counter()
    for prepared, assessed in made:
        if assessed.outcome.points > 0 and not view.head(assessed.home).takeover:
            for room in rooms.get(prepared.place, ()):
                asked[room] += assessed.outcome.points
    return [
        {"code": CODE, "place": room.place, "limit": room.limit, "given": room.given, "points": points}
        for room, points in sorted(asked.items())
        if room.given + points > room.limit
    ]

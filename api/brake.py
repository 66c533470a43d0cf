# SPDX-License-Identifier: Apache-2.0
"""What the desk's brake is told: monthly limits from the budgets, and what was given out this month at their places.

Where no budget names a limit this costs the desk nothing but a look at the clock once a minute. What was given is
counted by the day on which it was reported, and what was taken back since is not: the month once a minute, the last
minute every time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from ledger.engine import Ledger
from ledger.ids import ordered_id
from rules.ports import Room, Rooms

KEPT_US = 60 * 1_000_000
SETTLED_US = 10 * 1_000_000  # an award whose id is older is posted, or waits for somebody
_LAST = "awd~"  # after every award's id


class _Known(NamedTuple):
    """Limits by place, and what was given at which place by awards before the one of id `since`."""

    limits: Sequence[tuple[str, int]]
    given: Counter[str]
    since: str


class IssueBrake:
    """`rules.ports.Brake` over the budgets. `covers(upper, lower)`: does one place lie in the other?"""

    def __init__(self, ledger: Ledger, covers: Callable[[str, str], bool], zone: str) -> None:
        self._ledger = ledger
        self._covers = covers
        self._zone = ZoneInfo(zone)
        self._known = _Known((), Counter(), "")
        self._asked_at: int | None = None

    async def rooms(self, places: Collection[str]) -> Rooms:
        """The limits over each place of a deed, as of a minute ago at most, and what was given until now."""
        now = self._ledger.clock()
        if self._asked_at is None or not 0 <= now - self._asked_at < KEPT_US:
            self._asked_at = now  # first, so that one asks and not everybody who comes meanwhile
            try:
                self._known = await self._ask(now)
            except BaseException:
                self._asked_at = None
                raise
        known = self._known
        if not known.limits:
            return {}
        # Or a batch that is cut small enough would pass within the minute.
        given = known.given + await self._given(known.since, _LAST)
        rooms = [Room(place, limit, self._below(place, given)) for place, limit in known.limits]
        found = {place: [room for room in rooms if self._covers(room.place, place)] for place in places}
        return {place: rooms for place, rooms in found.items() if rooms}

    def forget(self) -> None:
        """A budget has changed."""
        self._asked_at = None

    async def _ask(self, now_us: int) -> _Known:
        today = datetime.fromtimestamp(now_us // 1_000_000, self._zone)
        limits = await self._ledger.fetch(
            "SELECT place, MIN(issue_limit) FROM budget WHERE issue_limit > 0 AND state = 'open' AND year = ?"
            " GROUP BY place ORDER BY place",
            f"{today:%Y}",
        )
        if not limits:
            return _Known((), Counter(), "")
        first = today.replace(day=1, hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)
        begin = int(first.timestamp()) * 1_000_000
        since = _award(max(begin, now_us - SETTLED_US))
        return _Known([(place, int(limit)) for place, limit in limits], await self._given(_award(begin), since), since)

    async def _given(self, begin: str, end: str) -> Counter[str]:
        """Points by place. An award's id begins with its instant, so this reads one range of the primary key."""
        rows = await self._ledger.fetch(
            "SELECT place, SUM(points) FROM award WHERE id >= ? AND id < ? AND state = 'posted' GROUP BY place",
            begin,
            end,
        )
        return Counter({place: int(points) for place, points in rows})

    def _below(self, upper: str, given: Mapping[str, int]) -> int:
        return sum(points for place, points in given.items() if self._covers(upper, place))


def _award(instant_us: int) -> str:
    return ordered_id("awd", instant_us, bytes)

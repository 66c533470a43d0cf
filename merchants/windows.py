# SPDX-License-Identifier: Apache-2.0
"""Which days a limit counts together, and the counter behind each limit of a scenario. Pure."""

from __future__ import annotations

import datetime as dt
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from ledger.errors import Refusal
from merchants.catalogue import Limit, Period, Scenario

FOR_EVER = ("", "9999-12-31")
_BEGINS: dict[Period, tuple[tuple[int, int], ...]] = {  # (month, day) on which a new period begins
    "month": tuple((month, 1) for month in range(1, 13)),
    "quarter": ((1, 1), (4, 1), (7, 1), (10, 1)),
    "term": ((3, 1), (9, 1)),  # spring and autumn courses
    # The bill for a winter, 15 November to 15 March, is paid from the autumn on: one season reaches to the next.
    "season": ((3, 16),),
    "year": ((1, 1),),
}


@dataclass(frozen=True, slots=True)
class Window:
    """One counter, the USAGE row (scope, subject, start): at most `most` until `last`, the last day it counts on; in
    units, or in hundredths of points if `points`."""

    scope: str
    subject: str
    start: str
    last: str
    most: int
    points: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        return self.scope, self.subject, self.start

    def taken(self, quantity: int, points: int) -> int:
        """What an order of `quantity` units that asks `points` hundredths takes of it."""
        return points if self.points else quantity


@lru_cache(maxsize=64)  # an order asks twice for the same few days
def window(per: Period | None, day: str) -> tuple[str, str]:
    """The first and the last day, YYYY-MM-DD, of the period that `day` is in; without one, all days."""
    if per is None:
        return FOR_EVER
    if per == "day":
        return day, day
    today = dt.date.fromisoformat(day)
    starts = [dt.date(year, *at) for year in (today.year - 1, today.year, today.year + 1) for at in _BEGINS[per]]
    following = next(n for n, start in enumerate(starts) if start > today)
    return starts[following - 1].isoformat(), (starts[following] - dt.timedelta(days=1)).isoformat()


def windows(
    scenario: Scenario, *, day: str, merchant: str, subject: str, reference: str = "", asking: bool = False
) -> tuple[Window, ...]:
    """The counters of an order under the scenario. `subject` is whom it is for, `reference` the keyed digest of what
    was named at the counter. Who is only `asking` may name nothing, and leaves out what counts for it. Raises
    `reference_missing`."""
    if scenario.reference is not None and not reference and not asking:
        raise Refusal("reference_missing", scenario=scenario.code)
    return tuple(
        _window(scenario.code, limit, day, merchant, subject, reference)
        for limit in scenario.limits
        if reference or limit.by != "reference"
    )


def named(reference: str) -> str:
    """What was named at the counter in one form, however it was typed: 鲁C·12345 and 鲁c12345 are one plate."""
    return "".join(char for char in unicodedata.normalize("NFKC", reference).upper() if char.isalnum())


def _window(code: str, limit: Limit, day: str, merchant: str, subject: str, reference: str) -> Window:
    start, last = window(limit.per, day)
    scope = f"{code}.{limit.per or 'ever'}{'' if limit.points is None else '.points'}"
    return Window(
        f"{scope}/{merchant}" if limit.by == "site" else scope,
        reference if limit.by == "reference" else subject,
        start,
        last,
        limit.count or limit.points or 0,
        limit.points is not None,
    )

# SPDX-License-Identifier: Apache-2.0
"""How often somebody may do something: one row for each kind of doing, counted in a window of minutes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from api.tables import ATTEMPT
from ledger.engine import Ledger
from ledger.errors import Refusal, Unavailable
from ledger.port import Answer
from ledger.tables import Key, Table
from ledger.view import View

MINUTE_US = 60_000_000


@dataclass(frozen=True, slots=True)
class Counting:
    """Once more for this caller. Raises `rate_limited`."""

    what: str
    most: int
    span_us: int
    retry: None = None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield ATTEMPT, (self.what,)

    def decide(self, view: View) -> Answer:
        row = view.get(ATTEMPT, self.what)
        tries, since = (row[1], row[2]) if row is not None else (0, view.now_us)
        left = since + self.span_us - view.now_us
        if not 0 < left <= self.span_us:
            tries, since = 0, view.now_us
        elif tries >= self.most:
            raise Refusal("rate_limited", retry_after=left // 1_000_000 + 1)
        view.put(ATTEMPT, (self.what, tries + 1, since))
        return Answer()


async def check(ledger: Ledger, counting: Counting) -> None:
    """Raises `rate_limited` where counting once more would, and counts nothing."""
    rows = await ledger.fetch("SELECT tries, since FROM attempt WHERE what = ?", counting.what)
    left = rows[0][1] + counting.span_us - ledger.clock() if rows else 0
    if 0 < left <= counting.span_us and rows[0][0] >= counting.most:
        raise Unavailable("rate_limited", retry_after=left // 1_000_000 + 1)

# SPDX-License-Identifier: Apache-2.0
"""Latencies as they came, to be asked about afterwards: what was the tail before a fault, and when was it back?"""

from __future__ import annotations

from array import array
from bisect import bisect_left

WINDOW_S = 5.0
STEP_S = 0.5
CALM_S = 0.05  # a tail below this is nobody's trouble, however quick it was before


class Tail:
    """When each answer came (seconds on the monotonic clock, rising) and how late it was (seconds)."""

    def __init__(self) -> None:
        self._when, self._took = array("d"), array("d")

    def add(self, when: float, took: float) -> None:
        self._when.append(when)
        self._took.append(took)

    def __len__(self) -> int:
        return len(self._when)

    def part(self, percent: int, since: float, until: float) -> float:
        """The percentile of the answers that came in between, in seconds; infinite where none did."""
        found = sorted(self._took[bisect_left(self._when, since) : bisect_left(self._when, until)])
        return found[min(len(found) - 1, len(found) * percent // 100)] if found else float("inf")

    def back_after(self, fault: float, before: float, times: float) -> float:
        """Seconds from a fault to the first five whose p99 is at most so many times that before; infinite if never."""
        at, end = fault, self._when[-1] if self._when else fault
        while at + WINDOW_S <= end:
            if self.part(99, at, at + WINDOW_S) <= max(before * times, CALM_S):
                return at - fault
            at += STEP_S
        return float("inf")

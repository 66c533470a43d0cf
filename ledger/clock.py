# SPDX-License-Identifier: Apache-2.0
"""Ledger time. Instants rise strictly within a journal; a clock that cannot be trusted stops posting, not truth."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ledger.errors import Unavailable

BACK_US_MAX = 5_000_000  # a step back of up to 5 s (NTP, a leap second) is bridged by last + 1 µs
AHEAD_US_MAX = 3_600_000_000  # an hour ahead of the monotonic estimate: nobody adjusts a healthy clock by that much

Clock = Callable[[], int]


def system_clock() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000


@dataclass(slots=True)
class Guard:
    """Checks the wall clock against the monotonic clock since start, and against what was recorded last."""

    clock: Clock = system_clock
    monotonic: Callable[[], int] = time.monotonic_ns
    _wall0: int = field(init=False)
    _mono0: int = field(init=False)

    def __post_init__(self) -> None:
        self.accept()

    def accept(self) -> None:
        """Take the clock as right from now on. A person decides this, or a restart."""
        self._wall0, self._mono0 = self.clock(), self.monotonic()

    def now(self) -> int:
        """The instant for this commit. Raises `Unavailable clock_unsafe` when the clock has leapt ahead."""
        now = self.clock()
        ahead = now - (self._wall0 + (self.monotonic() - self._mono0) // 1000)
        if self.clock is system_clock and ahead > AHEAD_US_MAX:
            raise Unavailable("clock_unsafe", retry_after=60, ahead_seconds=ahead // 1_000_000)
        return now

    @staticmethod
    def check(now: int, recorded_at: int) -> None:
        """Raises `Unavailable clock_unsafe` when `now` is more than 5 s before what was recorded last."""
        if recorded_at - now > BACK_US_MAX:
            raise Unavailable("clock_unsafe", retry_after=60, behind_seconds=(recorded_at - now) // 1_000_000)

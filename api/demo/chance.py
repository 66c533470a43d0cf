# SPDX-License-Identifier: Apache-2.0
"""The county's clock and its chance. Both are injected, so that a seed and a day make the same town twice.

What identifies (subjects, orders, awards) is drawn from the seed; what protects (keys, nonces, tokens, PINs, passwords)
never is: outside `seeded`, chance is the operating system's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime, time
from random import Random
from zoneinfo import ZoneInfo

from ledger.clock import system_clock

_stream: ContextVar[Random | None] = ContextVar("demo_stream", default=None)


def draw(length: int) -> bytes:
    """Bytes for an id: of the stream in use here, else of the operating system."""
    stream = _stream.get()
    return os.urandom(length) if stream is None else stream.randbytes(length)


@contextmanager
def seeded(*name: object) -> Iterator[None]:
    """Inside, ids come from the stream of this name. Each task has its own, so their order does not matter."""
    token = _stream.set(Random("/".join(map(str, name))))
    try:
        yield
    finally:
        _stream.reset(token)


class Clock:
    """Stands still until it is set; never ahead of the machine's, for the server that comes after goes by that."""

    def __init__(self, zone: str) -> None:
        self.zone = ZoneInfo(zone)
        self.now = 0

    def __call__(self) -> int:
        return self.now

    def set(self, day: date, at: str) -> None:
        """Move on to a time of day. Stays where it is rather than going back."""
        moment = datetime.combine(day, time.fromisoformat(at), self.zone)
        self.now = max(self.now, min(int(moment.timestamp()) * 1_000_000, system_clock()))

    def catch_up(self) -> None:
        """The machine's own time: what is issued now must be good now."""
        self.now = max(self.now, system_clock())

    def today(self) -> date:
        return datetime.fromtimestamp(system_clock() / 1e6, self.zone).date()

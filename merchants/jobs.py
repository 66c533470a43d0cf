# SPDX-License-Identifier: Apache-2.0
"""The shop's own job: give back what was held too long. Safe to run at any time, twice, and by two at once."""

from __future__ import annotations

import asyncio

from ledger.errors import Refusal, Unavailable
from merchants.shop import Shop

CHUNK = 256  # one group commit's worth


async def expire_holds(shop: Shop, now_us: int) -> int:
    """Release every order whose time is up, with its stock and limit; how many. A till that captures at the same
    moment is decided in the commit: one of the two is refused by name."""
    expired = 0
    while True:
        due = await shop.due(now_us, CHUNK)
        outcomes = await asyncio.gather(*map(shop.expire, due), return_exceptions=True)
        done = 0
        for outcome in outcomes:
            if not isinstance(outcome, BaseException):
                done += 1
            elif isinstance(outcome, Unavailable) or not isinstance(outcome, Refusal):
                raise outcome
        expired += done
        if len(due) < CHUNK or not done:
            return expired

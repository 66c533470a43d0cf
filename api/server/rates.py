# SPDX-License-Identifier: Apache-2.0
"""How much one caller may ask for in a minute, over all processes and restarts (ADR 0032, docs/limits.md).

A bucket of units for each caller stands in the database as one number: the instant at which it is full again (GCRA,
ITU-T I.371). A process takes a sixteenth of it at a time, so that most requests cost a look into a dictionary and
none costs a commit of its own. A quarter of every quota is kept out of the bucket and shared out among the processes
beforehand: whoever asks now and then never reaches the database at all.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from api.auth import Caller
from api.identity.address import client_address, household
from api.tables import RATE
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.port import Answer
from ledger.tables import Key, Table
from ledger.view import View

WINDOW_S = 60
WINDOW_US = WINDOW_S * 1_000_000
PURSES_MAX = 50_000  # some 12 MB
_PUBLIC = "public"


@dataclass(frozen=True)
class Policy:
    """A quota, and how it is shared out. `free` is what each process gives unasked in a minute, `pot` what the bucket
    holds, `chunk` what is taken from it at once; all in units."""

    name: str
    quota: int
    workers: int = 1
    free: int = field(init=False)
    pot: int = field(init=False)
    chunk: int = field(init=False)
    said: bytes = field(init=False)  # the RateLimit-Policy header

    def __post_init__(self) -> None:
        free = self.quota // 4 // self.workers
        for name, value in {
            "free": free,
            "pot": self.quota - free * self.workers,
            "chunk": max(1, self.quota // 16),
            "said": b'"%s";q=%d;w=%d' % (self.name.encode(), self.quota, WINDOW_S),
        }.items():
            object.__setattr__(self, name, value)


class Purse:
    """What this process holds of one caller's units: `left` of them, good until `ends`. `pot` is what the bucket held
    when it was last asked; until `shut` it need not be asked for `short` or more."""

    __slots__ = ("asking", "ends", "left", "pot", "short", "shut")

    def __init__(self) -> None:
        self.left = self.ends = self.pot = self.short = self.shut = 0
        self.asking: asyncio.Task[None] | None = None


class Rates:
    """The limits of one process. `quotas`: units a minute by kind of caller; a kind without one has no limit."""

    def __init__(self, ledger: Ledger, quotas: Mapping[str, int], workers: int, key: bytes) -> None:
        """`key` hides the addresses of those who have not said who they are."""
        self._ledger = ledger
        self._policies = {name: Policy(name, quota, workers) for name, quota in quotas.items()}
        self._key = key
        self._purses: dict[str, Purse] = {}
        # What the process before us gave unasked in this minute is not known: so we give nothing until it is over.
        self._since = ledger.clock()

    async def charge(self, scope: Any, caller: Caller | None, cost: int) -> None:
        """Take `cost` units from the caller, or from the address of one who has not said who they are.

        Leaves in `scope["rate"]` what the answer's headers say. Raises `rate_limited`.
        """
        policy = self._policies.get(_PUBLIC if caller is None else caller.kind)
        if policy is None or not cost:
            return
        who = household(client_address(scope)) if caller is None else caller.id
        now = self._ledger.clock()
        purse = self._purses.get(who)
        if purse is None or not now < purse.ends <= now + WINDOW_US:
            purse = self._open(who, purse, policy, now)
        cost = min(cost, policy.pot)
        try:
            while purse.left < cost:
                await self._fill(who, purse, policy, cost, caller is None)
            purse.left -= cost
        finally:
            scope["rate"] = (policy, purse.left + purse.pot)

    def _open(self, who: str, old: Purse | None, policy: Policy, now: int) -> Purse:
        """A purse for the next minute. What was taken from the bucket and not spent stays good."""
        purse = old or Purse()
        if old is None:
            if len(self._purses) >= PURSES_MAX:
                del self._purses[next(iter(self._purses))]
            self._purses[who] = purse
        purse.ends = now + WINDOW_US
        purse.pot = policy.pot
        if not 0 <= now - self._since < WINDOW_US:
            purse.left = max(purse.left, policy.free)
        return purse

    async def _fill(self, who: str, purse: Purse, policy: Policy, cost: int, anonymous: bool) -> None:
        """Ask the bucket, once for all requests of this caller that wait. Raises `rate_limited`."""
        now, units = self._ledger.clock(), max(cost, policy.chunk)
        if units >= purse.short and now < purse.shut <= now + WINDOW_US:
            raise Refusal("rate_limited", retry_after=-((now - purse.shut) // 1_000_000))
        if purse.asking is None:
            name = self._hidden(who) if anonymous else who
            purse.asking = asyncio.create_task(self._ask(purse, policy, Take(name, units, policy.pot)))
        await asyncio.shield(purse.asking)

    async def _ask(self, purse: Purse, policy: Policy, take: Take) -> None:
        try:
            purse.pot = (await self._ledger.submit(take)).value
            purse.left += take.units
        except Exception as error:
            if isinstance(error, Refusal) and error.code == "rate_limited":
                purse.pot = error.facts["left"] if take.units > policy.chunk else 0
                purse.short, wait = take.units, error.facts["wait_us"]
            else:  # out of reach, or too busy to be asked: then each process goes by itself, at the same pace
                purse.left += take.units
                purse.pot, purse.short, wait = 0, 0, take.units * WINDOW_US // policy.quota
            purse.shut = self._ledger.clock() + wait
        finally:
            purse.asking = None

    def _hidden(self, address: str) -> str:
        return f"at:{hmac.digest(self._key, address.encode(), hashlib.sha256)[:16].hex()}"


def headers(rate: tuple[Policy, int]) -> list[tuple[bytes, bytes]]:
    """draft-ietf-httpapi-ratelimit-headers-10: `r` units are left, and in `t` seconds the quota is whole again."""
    policy, left = rate
    whole = -((left - policy.quota) * WINDOW_S // policy.quota)
    said = b'"%s";r=%d;t=%d' % (policy.name.encode(), left, whole)
    return [(b"ratelimit-policy", policy.said), (b"ratelimit", said)]


@dataclass(frozen=True, slots=True)
class Take:
    """Take `units` out of a bucket of `pot`, all or none; the answer's value is what is left in it.

    Raises `rate_limited` with `wait_us` and what is `left`.
    """

    who: str
    units: int
    pot: int
    retry: None = None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield RATE, (self.who,)

    def decide(self, view: View) -> Answer:
        row = view.get(RATE, self.who)
        each, now = WINDOW_US // self.pot, view.now_us
        empty = now + each * self.pot  # when a bucket that is empty now will be full
        before = row[1] if row is not None else 0
        after = max(before, now) + self.units * each
        if after > empty:
            wait, left = min(after - empty, self.units * each), max(0, empty - max(before, now)) // each
            refusal = Refusal("rate_limited", retry_after=-(-wait // 1_000_000), wait_us=wait, left=left)
            if before > empty:  # the clock was set back since: emptier than empty would shut somebody out for hours
                refusal.leaves = ((RATE, (self.who, empty)),)
            raise refusal
        view.put(RATE, (self.who, after))
        return Answer(value=(empty - after) // each)

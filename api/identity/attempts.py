# SPDX-License-Identifier: Apache-2.0
"""Tries to sign in, counted before the password is looked at, for known and unknown names alike.

Three counts: five for a name from one address, sixty from one address, twenty-five for a name from everywhere. The last
two hold strangers only. Whoever has signed in from an address before is no stranger there, so that somebody far away
who guesses at a name, or a thousand machines that do, cannot keep its owner from the desk at which they always sit.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from api.identity.address import household
from api.tables import ATTEMPT, KNOWN_ADDRESS
from ledger.errors import Refusal
from ledger.port import Answer
from ledger.tables import Key, Table
from ledger.view import View

MINUTE_US = 60_000_000
PAIR_MAX, PAIR_US = 5, 15 * MINUTE_US
ADDRESS_MAX, ADDRESS_US = 60, 15 * MINUTE_US
NAME_MAX, NAME_US = 25, 60 * MINUTE_US
KNOWN_US = 90 * 24 * 60 * MINUTE_US


@dataclass(frozen=True, slots=True)
class Attempt:
    """Under what one try is counted: keyed digests, so that neither names nor addresses stand in the table. `here` is
    the machine itself, where there is no address."""

    pair: str
    name: str
    address: str
    here: bool

    @classmethod
    def of(cls, key: bytes, username: str, address: str) -> Attempt:
        where = household(address)

        def digest(kind: str, *parts: str) -> str:
            said = "\n".join((kind, *parts)).encode()
            return f"{kind}:{hmac.digest(key, said, hashlib.sha256).hex()[:32]}"

        return cls(digest("pair", username, where), digest("name", username), digest("from", where), not where)

    @property
    def counts(self) -> tuple[tuple[str, int, int], ...]:
        """What a stranger is held to: (what, most, µs)."""
        return () if self.here else ((self.name, NAME_MAX, NAME_US), (self.address, ADDRESS_MAX, ADDRESS_US))


@dataclass(frozen=True, slots=True)
class Try:
    """Count a try. Raises `rate_limited` when there were too many; waiting is what opens the door again."""

    attempt: Attempt
    retry: None = None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield KNOWN_ADDRESS, (self.attempt.pair,)
        for what in (self.attempt.pair, self.attempt.name, self.attempt.address):
            yield ATTEMPT, (what,)

    def decide(self, view: View) -> Answer:
        seen = view.get(KNOWN_ADDRESS, self.attempt.pair)
        stranger = seen is None or view.now_us - seen[1] > KNOWN_US
        # The window of a pair starts again with each try, so that it is a quarter of an hour after the last of them.
        _count(view, self.attempt.pair, PAIR_MAX, PAIR_US, since_last=True)
        for what, most, span_us in self.attempt.counts:
            _count(view, what, most if stranger else None, span_us)
        return Answer()


def _count(view: View, what: str, most: int | None, span_us: int, *, since_last: bool = False) -> None:
    row = view.get(ATTEMPT, what)
    fresh = row is None or not 0 <= view.now_us - row[2] < span_us
    tries, since = (0, view.now_us) if row is None or fresh else (row[1], row[2])
    if most is not None and tries >= most:
        raise Refusal("rate_limited", retry_after=(since + span_us - view.now_us) // 1_000_000 + 1)
    view.put(ATTEMPT, (what, tries + 1, view.now_us if since_last else since))


def succeeded(view: View, attempt: Attempt) -> None:
    """It was the right person: their tries are given back, and they are known at this address from now on."""
    row = view.get(ATTEMPT, attempt.pair)
    tries = row[1] if row is not None else 0
    view.remove(ATTEMPT, attempt.pair)
    for what, _, _ in attempt.counts:
        row = view.get(ATTEMPT, what)
        if row is not None:
            view.put(ATTEMPT, (what, max(row[1] - tries, 0), row[2]))
    if not attempt.here:
        view.get(KNOWN_ADDRESS, attempt.pair)
        view.put(KNOWN_ADDRESS, (attempt.pair, view.now_us))

# SPDX-License-Identifier: Apache-2.0
"""What happened, as an endpoint is told of it: which entry, of which kind, and the id under which more is found.

An event is an entry, so it exists exactly when its entry is committed, and there are none to lose. What it says is thin
on purpose: no name, no subject, no amount. Whoever may know more asks with their own key.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import orjson

from ledger import codec
from ledger.engine import Ledger
from ledger.model import KINDS
from ledger.view import rfc3339
from merchants.settlement import lines

PREFIX = "entry."
STRETCH = 2_000  # entries of a journal looked through at a time
PAGE = 100  # events taken from it

MERCHANT_KINDS = frozenset(lines.KINDS)
_AWARDS = frozenset({"award", "deduct", "reverse"})
_POINTS = frozenset({"hold", "capture", "release", "refund", "void", "benefit", "expire", "relot", "adjust"})
# What a client is told of by what its key may read; staff of a place are told of everything there.
SCOPE_KINDS = {
    "awards:write": _AWARDS,
    "balances:read": _AWARDS | _POINTS,
    "people:read": frozenset({"open", "move", "close", "erase"}),
    "lists:read": frozenset({"edition", "fund"}),
}


class Event(NamedTuple):
    """One entry of a journal; `at` is when it was recorded, in µs, `id` what it is about or nothing."""

    journal: str
    seq: int
    kind: str
    at: int
    id: str = ""

    @property
    def message(self) -> str:
        """The same for every try and every replay, so that a receiver knows what it has had."""
        return f"evt_{self.journal}_{self.seq}"

    def body(self) -> bytes:
        data = {"journal": self.journal, "seq": self.seq, "kind": self.kind}
        if self.id:
            data["id"] = self.id
        return orjson.dumps({"type": PREFIX + self.kind, "timestamp": rfc3339(self.at), "data": data})


class Found(NamedTuple):
    """The next events of a journal, in order, and the entry after all that was looked at."""

    events: list[Event]
    looked: int


def kinds_of(scopes: Iterable[str]) -> frozenset[str]:
    """What the key of a client with these scopes is told of."""
    return frozenset[str]().union(*(SCOPE_KINDS.get(scope, frozenset()) for scope in scopes))


def chosen(events: Iterable[str], allowed: frozenset[str]) -> frozenset[str]:
    """The kinds that an endpoint asks for (`entry.award`, or `entry.*` for all that it may have)."""
    asked = {event.removeprefix(PREFIX) for event in events}
    return allowed if "*" in asked else allowed & asked


def names(allowed: frozenset[str]) -> list[str]:
    """What may be asked for, as it is written."""
    return [f"{PREFIX}*", *(PREFIX + kind for kind in sorted(allowed))]


ALL = frozenset(KINDS)


async def following(ledger: Ledger, journal: str, seq: int, size: int, kinds: frozenset[str], merchant: str) -> Found:
    """The events from entry `seq` on, below `size`: those of these kinds, and of one merchant where one is named."""
    if not kinds:
        return Found([], size)
    end = min(size, seq + STRETCH)
    marks = ", ".join("?" * len(kinds))
    rows = await ledger.fetch(
        f"SELECT seq, kind, recorded_at, leaf, body FROM entry WHERE journal = ? AND seq >= ? AND seq < ? "
        f"AND kind IN ({marks}) ORDER BY seq LIMIT ?",
        journal,
        seq,
        end,
        *sorted(kinds),
        PAGE,
    )
    awards: dict[int, str] = {}
    if any(kind in _AWARDS for _, kind, _, _, _ in rows):
        sql = "SELECT seq, id FROM award WHERE journal = ? AND seq >= ? AND seq <= ?"
        awards = dict(await ledger.fetch(sql, journal, rows[0][0], rows[-1][0]))
    events: list[Event] = []
    for number, kind, at, leaf, body in rows:
        if kind in MERCHANT_KINDS:
            paid, line = lines.read(bytes(body), bytes(leaf))
            if merchant and paid != merchant:
                continue
            about = line.redemption
        else:
            about = awards.get(number) or _about(kind, bytes(body))
        events.append(Event(journal, number, kind, at, about))
    return Found(events, rows[-1][0] + 1 if len(rows) == PAGE else end)


def _about(kind: str, body: bytes) -> str:
    if kind in ("hold", "release"):
        for posting in codec.decode(body)["postings"]:
            role, _, owner = posting["account"].partition(":")
            if role == "held":
                return owner
    if kind == "edition":
        return codec.decode(body).get("data", {}).get("id", "")
    return ""

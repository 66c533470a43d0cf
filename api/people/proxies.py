# SPDX-License-Identifier: Apache-2.0
"""Who may stand in for whom: an elder's daughter at the till, a son who pays for his mother's meals.

Listed with the subject's consent, by the subject or by staff who keep the signed paper's number, until a day. Ending it
works at once: the row is read again in the commit of every order that rests on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from api.people.tables import ERASURE, PERSON, PROXY
from ledger import keys
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.port import Answer
from ledger.tables import Key, Row, Table
from ledger.view import View

Kind = Literal["acts", "relative"]
MOST = 8  # people whom one subject has listed at a time, of each kind: a family, not a business
_COLUMNS = ", ".join(PROXY.names)


@dataclass(frozen=True, slots=True)
class Proxy:
    """`agent` stands in for `subject` until `to_day`, both days included; `ended_at` (µs) is 0 while it holds."""

    subject: str
    agent: str
    kind: str
    to_day: str
    consent: bytes
    actor: str
    created_at: int
    ended_at: int

    @property
    def row(self) -> Row:
        return tuple(getattr(self, name) for name in PROXY.names)


class Proxies:
    """The list of who stands in for whom."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    async def grant(
        self, subject: str, agent: str, kind: Kind, *, to_day: str, consent: str, key: bytes, actor: str
    ) -> Proxy:
        """List somebody, or list them anew with another last day. `consent` is kept sealed under `key`, the subject's.

        Raises `subject_unknown`, `subject_erased`, `proxies_too_many`.
        """
        sealed = keys.seal(key, consent.encode(), f"{subject} {agent} {kind}".encode()) if consent else b""
        proxy = Proxy(subject, agent, kind, to_day, sealed, actor, self.ledger.clock(), 0)
        await self.ledger.submit(_Grant(proxy, tuple(p.agent for p in await self.of(subject) if p.kind == kind)))
        return proxy

    async def end(self, one: str, other: str) -> int:
        """Whatever either stands in for the other ends now; how many rows that were."""
        pairs = [(subject, agent, kind) for subject, agent in ((one, other), (other, one)) for kind in _KINDS]
        return (await self.ledger.submit(_End(tuple(pairs)))).value

    async def of(self, subject: str) -> list[Proxy]:
        """Who stands in for the subject, the run out among them, the ended not."""
        return await self._list("subject", subject)

    async def for_whom(self, agent: str) -> list[Proxy]:
        """For whom somebody stands in."""
        return await self._list("agent", agent)

    async def _list(self, column: str, subject: str) -> list[Proxy]:
        rows = await self.ledger.fetch(
            f"SELECT {_COLUMNS} FROM proxy WHERE {column} = ? AND ended_at = 0 ORDER BY subject, agent, kind", subject
        )
        return [Proxy(*row) for row in rows]


_KINDS: tuple[Kind, ...] = ("acts", "relative")


def stands_in(view: View, subject: str, agent: str, kind: Kind, today: str) -> bool:
    """Does the list say so now, in this commit?"""
    row = view.get(PROXY, subject, agent, kind)
    return row is not None and not row[7] and today <= row[3]


@dataclass(frozen=True, slots=True)
class _Grant:
    proxy: Proxy
    others: tuple[str, ...]
    retry: None = None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        proxy = self.proxy
        for one in sorted((proxy.subject, proxy.agent)):
            yield PERSON, (one,)
            yield ERASURE, (one,)
        for agent in (proxy.agent, *self.others):
            yield PROXY, (proxy.subject, agent, proxy.kind)

    def decide(self, view: View) -> Answer:
        proxy = self.proxy
        for one in (proxy.subject, proxy.agent):
            person = view.get(PERSON, one)  # its lock is what an erasure under way in another process holds
            if view.get(ERASURE, one) is not None:
                raise Refusal("subject_erased", subject=one)
            if person is None:
                raise Refusal("subject_unknown", subject=one)
        rows = [view.get(PROXY, proxy.subject, agent, proxy.kind) for agent in self.others if agent != proxy.agent]
        if sum(1 for row in rows if row is not None and not row[7]) >= MOST:
            raise Refusal("proxies_too_many", limit=MOST)
        view.get(PROXY, proxy.subject, proxy.agent, proxy.kind)
        view.put(PROXY, proxy.row)
        return Answer(201)


@dataclass(frozen=True, slots=True)
class _End:
    keys: tuple[tuple[str, str, str], ...]
    retry: None = None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield from ((PROXY, key) for key in self.keys)

    def decide(self, view: View) -> Answer:
        ended = 0
        for key in self.keys:
            row = view.get(PROXY, *key)
            if row is not None and not row[7]:
                view.put(PROXY, (*row[:7], max(1, view.now_us)))
                ended += 1
        return Answer(value=ended)

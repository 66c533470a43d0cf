# SPDX-License-Identifier: Apache-2.0
"""Awards, balances and redemptions at a steady rate, each asked until it is decided, and the books of the answers.

Requests fall due whether or not earlier ones have been answered, and a latency counts from when the request was due.
One that gets no answer, or is told to come back, is sent again under the same key: so in the end what was asked is
exactly what must stand in the ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from benchmarks.front import Front
from benchmarks.load import Link
from benchmarks.tail import Tail

CONNECTIONS = 64
MIX = (("award", 6), ("balance", 3), ("redemption", 1))
AWARD_POINTS, ORDER_POINTS, START_POINTS = 100, 50, 10_000
GIVE_UP_S = 120.0
KEPT_S = (5.0, 15.0)  # how long a connection is kept: no worker is left with those of one that died
AGAIN = frozenset({409, 429, 503})


class Promise(NamedTuple):
    """Where an acknowledged award stands."""

    journal: str
    seq: int
    entry_hash: bytes


@dataclass
class Books:
    """What was answered, by the number of the request, and what must be true because of it."""

    awards: dict[int, Promise] = field(default_factory=dict)
    orders: dict[int, str] = field(default_factory=dict)
    points: Counter[str] = field(default_factory=Counter)
    undecided: Counter[str] = field(default_factory=Counter)  # requests about a subject
    begun: Counter[str] = field(default_factory=Counter)  # the same, ever
    told: Counter[str] = field(default_factory=Counter)  # the newest entry about a subject that anybody was told of
    refusals: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def about(self, subject: str) -> Iterator[None]:
        self.undecided[subject] += 1
        self.begun[subject] += 1
        try:
            yield
        finally:
            self.undecided[subject] -= 1


class Load:
    """Who asks."""

    def __init__(self, made: Front, port: int) -> None:
        self.made, self.port = made, port
        self.books, self.tail = Books(), Tail()
        self._deeds, self._orders, self._asked = itertools.count(), itertools.count(), itertools.count()
        self._kinds = itertools.cycle(_mixed())
        self._due: deque[float] = deque()
        self._more = asyncio.Event()

    async def flat_out(self, seconds: float) -> float:
        """Requests per second with every connection busy."""
        began, done = time.monotonic(), 0

        async def client() -> None:
            nonlocal done
            link = await Link.to(self.port)
            while time.monotonic() < began + seconds:
                link = await self._one(link)
                done += 1
            link.close()

        await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
        return done / (time.monotonic() - began)

    async def steady(self, rate: float, seconds: float) -> None:
        """`rate` requests fall due in every second; returns when all of them are decided."""
        began, due = time.monotonic(), 0
        clients = [asyncio.create_task(self._client()) for _ in range(CONNECTIONS)]
        while (gone := time.monotonic() - began) < seconds:
            while due < gone * rate:
                self._due.append(began + due / rate)
                due += 1
            self._more.set()
            await asyncio.sleep(0.005)
        self._due.extend([-1.0] * CONNECTIONS)  # go home
        self._more.set()
        await asyncio.gather(*clients)

    async def _client(self) -> None:
        link, until = await Link.to(self.port), 0.0
        while True:
            if time.monotonic() > until:
                link, until = await self._another(link), time.monotonic() + random.uniform(*KEPT_S)
            while not self._due:
                self._more.clear()
                await self._more.wait()
            if (due := self._due.popleft()) < 0:
                link.close()
                return
            link = await self._one(link)
            now = time.monotonic()
            self.tail.add(now, now - due)

    async def _one(self, link: Link) -> Link:
        match next(self._kinds):
            case "award":
                return await self._award(link, next(self._deeds))
            case "redemption":
                return await self._redemption(link, next(self._orders))
            case _:
                return await self._balance(link, next(self._asked))

    async def _award(self, link: Link, number: int) -> Link:
        books, subject = self.books, self.made.subject(number)
        with books.about(subject):
            link, body = await self._decided(link, self.made.award(number), 201)
            if body is not None:
                if (body["state"], body["outcome"], body["points"]) != ("posted", "posted", AWARD_POINTS):
                    books.wrong.append(f"award {number}: {body}")
                stands = body["receipt"]
                books.awards[number] = Promise(stands["journal"], stands["seq"], bytes.fromhex(stands["entry_hash"]))
                books.told[subject] = max(books.told[subject], stands["seq"])
                books.points[subject] += body["points"]
        return link

    async def _redemption(self, link: Link, number: int) -> Link:
        books, subject = self.books, self.made.subject(number)
        with books.about(subject):
            link, body = await self._decided(link, self.made.redemption(number), 201)
            if body is not None:
                if (body["state"], body["points"]) != ("captured", ORDER_POINTS):
                    books.wrong.append(f"order {number}: {body}")
                books.orders[number] = body["id"]
                books.points[subject] -= body["points"]
        return link

    async def _balance(self, link: Link, number: int) -> Link:
        """Never older than what anybody was told, and right to the point where nothing happens meanwhile."""
        books, subject = self.books, self.made.subject(number % len(self.made.residents))
        quiet, begun, told = not books.undecided[subject], books.begun[subject], books.told[subject]
        must_be = START_POINTS + books.points[subject]
        link, body = await self._decided(link, self.made.balance(number), 200)
        if body is None:
            return link
        if body["subject"] != subject or body["as_of"]["seq"] < told:
            books.wrong.append(f"balance of {subject}, whose entry {told} was told before: {body}")
        if quiet and books.begun[subject] == begun and body["points"]["available"] != must_be:
            books.wrong.append(f"balance of {subject}, who has {must_be}: {body}")
        return link

    async def _decided(self, link: Link, sent: bytes, status: int) -> tuple[Link, dict[str, Any] | None]:
        """The answer, however often it takes; None, and a note in the books, where it is not `status`."""
        books, until = self.books, time.monotonic() + GIVE_UP_S
        while time.monotonic() < until:
            try:
                answer = await asyncio.wait_for(link.ask(sent), 30)
            except (OSError, TimeoutError):
                books.refusals["no answer"] += 1
                link = await self._another(link)
                continue
            if answer.status == status:
                return link, orjson.loads(answer.body)
            books.refusals[f"{answer.status} {_code(answer.body)}"] += 1
            if answer.status not in AGAIN:
                books.wrong.append(f"{answer.status} to {sent[:60]!r}: {answer.body[:300]!r}")
                return link, None
            await asyncio.sleep(random.uniform(0.1, 0.5))
        books.wrong.append(f"never decided: {sent[:60]!r}")
        return link, None

    async def _another(self, link: Link) -> Link:
        link.close()
        while True:
            with contextlib.suppress(OSError):
                return await Link.to(self.port)
            await asyncio.sleep(random.uniform(0.02, 0.2))


def _mixed() -> list[str]:
    """Ten requests in an order that is always the same."""
    kinds = [kind for kind, share in MIX for _ in range(share)]
    random.Random(0).shuffle(kinds)
    return kinds


def _code(body: bytes) -> str:
    with contextlib.suppress(ValueError, TypeError, KeyError):
        return str(orjson.loads(body)["code"])
    return ""

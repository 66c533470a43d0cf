# SPDX-License-Identifier: Apache-2.0
"""Work that nobody asks for: giving back expired holds, posting lapsed lots, clearing out old sign-ins.

Each job is a plain async function that may run at any time, twice, or in two processes. The server runs the first
every few seconds; `jifen jobs run` runs them all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from api.tables import ATTEMPT, SESSION
from api.world import World
from ledger import codec
from ledger.book.awards import expire_lots
from ledger.errors import Refusal, Unavailable
from ledger.model import Act
from ledger.port import Answer, PutRows, Retry
from ledger.tables import BALANCE, MEMBER, Key, Table
from ledger.view import View, local_day
from merchants.jobs import expire_holds

log = logging.getLogger("jifen.jobs")

EVERY_S = 5.0
CHUNK = 200
DAY_US = 86_400_000_000


async def holds(world: World) -> int:
    """Release what was held too long."""
    return await expire_holds(world.shop, world.ledger.clock())


@dataclass(frozen=True, slots=True)
class ExpireLots:
    """Post what has lapsed of one subject."""

    journal: str
    subject: str
    act: Act
    retry: Retry | None = None
    weight: int = 1

    @property
    def journals(self) -> tuple[str, ...]:
        return (self.journal,)

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield MEMBER, (self.journal, self.subject)
        for role in ("subject", "minus"):
            yield BALANCE, (self.journal, f"{role}:{self.subject}")

    def decide(self, view: View) -> Answer:
        return Answer(value=expire_lots(view, self.journal, self.act, subject=self.subject) is not None)


async def lots(world: World) -> int:
    """Post the lots whose last day is over. They could not be spent meanwhile; this writes it down."""
    ledger = world.ledger
    done = 0
    for journal in await ledger.journals():
        today = local_day(ledger.clock(), journal["zone"])
        after = ""
        while True:
            rows = await ledger.fetch(
                "SELECT DISTINCT account FROM balance WHERE journal = ? AND lot < ? AND account > ? "
                "AND (account LIKE 'subject:%' OR account LIKE 'minus:%') ORDER BY account LIMIT ?",
                journal["journal"],
                today,
                after,
                CHUNK,
            )
            subjects = sorted({account.partition(":")[2] for (account,) in rows})
            outcomes = await asyncio.gather(
                *(_expire(world, journal["journal"], subject, today) for subject in subjects)
            )
            done += sum(outcomes)
            if len(rows) < CHUNK:
                break
            after = rows[-1][0]
    return done


async def _expire(world: World, journal: str, subject: str, today: str) -> int:
    try:
        key = await world.people.data_key(subject)
    except Refusal:  # erased meanwhile: the erasure has posted what was left
        return 0
    request = codec.encode({"day": today, "job": "lots", "subject": subject})
    act = Act("system", today, request, world.ledger.new_id("txn"), key)
    answer = await world.ledger.submit(ExpireLots(journal, subject, act))
    return int(answer.value)


async def sessions(world: World) -> int:
    """Forget sessions that are over and tries of yesterday."""
    now = world.ledger.clock()
    done = 0
    for table, sql, before in (
        (SESSION, "SELECT hash FROM session WHERE expires_at < ? LIMIT 500", now),
        (ATTEMPT, "SELECT what FROM attempt WHERE since < ? LIMIT 500", now - DAY_US),
    ):
        while rows := await world.ledger.fetch(sql, before):
            await world.ledger.submit(PutRows(removes=tuple((table, (key,)) for (key,) in rows)))
            done += len(rows)
    return done


JOBS: dict[str, Callable[[World], Awaitable[int]]] = {"holds": holds, "lots": lots, "sessions": sessions}


async def loop(world: World, every: float = EVERY_S) -> None:
    """What the server does beside answering. Ends when it is cancelled."""
    while True:
        await asyncio.sleep(every)
        try:
            await holds(world)
        except Unavailable as refusal:  # an unsafe clock, a lost database: sweeps wait
            log.warning("holds: %s", refusal.code)
        except Exception:
            log.exception("holds: failed")

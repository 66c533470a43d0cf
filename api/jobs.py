# SPDX-License-Identifier: Apache-2.0
"""Work that nobody asks for: giving back expired holds, posting lapsed lots, clearing out old sign-ins.

Each job is a plain async function that may run at any time, twice, or in two processes. The server runs the first
every few seconds; `jifen jobs run` runs them all.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from api import erasure
from api.identity.attempts import KNOWN_US
from api.people.evidence import KEPT_AFTER_DECISION_DAYS
from api.people.tables import ACTIVATION, PROXY
from api.settings import SettingsError
from api.tables import ACCESS, ATTEMPT, KNOWN_ADDRESS, NONCE, RATE, SESSION, WEBHOOK_TRY
from api.webhooks.delivery import Deliverer
from api.witness.client import EpochLog, offer
from api.world import World
from ledger import codec
from ledger.book.awards import expire_lots
from ledger.errors import Refusal, Unavailable
from ledger.guard import GuardBusy
from ledger.model import Act
from ledger.port import FORGOTTEN, Answer, PutRows, Retry
from ledger.publish import Forked
from ledger.seals import make_seals
from ledger.store import StoreLost
from ledger.tables import BALANCE, MEMBER, REQUEST, Key, Table
from ledger.view import View, local_day
from merchants.jobs import expire_holds
from merchants.settlement.statement import month_before
from merchants.tables import CHARGE, PASS_USED, PROBE
from rules.objections import lists as disputes

log = logging.getLogger("jifen.jobs")

EVERY_S = 5.0
PUBLISH_S = 0.5
EPOCH_S = 600.0
DELIVER_S = 1.0
PATIENCE_S = 60.0
CHUNK = 200
DAY_US = 86_400_000_000
SEALING_S = 300.0
SEALING_FROM_US = 3 * 3_600_000_000  # a day of seals begins at three in the morning, when little is going on
ERASURES_S = 60.0
HOUSEKEEPING_S = 600.0
REFUSALS_KEPT_DAYS = 30
TRIES_KEPT_DAYS = 7
ACCESS_KEPT_DAYS = 1096  # three years, as long as other records of how personal data was handled (PIPL art. 56)


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


async def seals(world: World) -> int:
    """Seal every journal in which something was posted since its last seal."""
    return await _seal(world, [one["journal"] for one in await world.ledger.journals()])


async def daily_seals(world: World) -> int:
    """The same once a day: what the server asks every few minutes."""
    rows = await world.ledger.fetch(
        "SELECT h.journal, h.zone, (SELECT e.recorded_at FROM seal s JOIN entry e ON e.journal = s.journal "
        "AND e.seq = s.seq WHERE s.journal = h.journal ORDER BY s.since DESC LIMIT 1) FROM head h ORDER BY h.journal"
    )

    def day(instant: int, zone: str) -> str:
        return local_day(instant - SEALING_FROM_US, zone)

    now = world.ledger.clock()
    return await _seal(world, [j for j, zone, last in rows if last is None or day(last, zone) < day(now, zone)])


async def _seal(world: World, journals: Iterable[str]) -> int:
    done = 0
    for journal in journals:
        try:
            done += await make_seals(world.ledger, journal)
        except ValueError as error:  # entries that are not what was hashed: the other journals are sealed all the same
            log.error("not sealed: %s: %s", journal, error)
    return done


async def checkpoints(world: World) -> int:
    """Sign and publish now, with an epoch over all journals."""
    return await world.publisher.publish(epoch=True)


async def witnesses(world: World) -> int:
    """Have the newest checkpoint of the epoch log cosigned by those witnesses that have not done so yet."""
    return await offer(world.home, EpochLog(world.published, world.publisher), world.clock)


async def sessions(world: World) -> int:
    """Forget sessions that are over, codes and charges that ran out, tries, buckets and nonces of yesterday."""
    now = world.ledger.clock()
    done = 0
    for table, sql, before in (
        (SESSION, "SELECT hash FROM session WHERE expires_at < ? LIMIT 500", now),
        (KNOWN_ADDRESS, "SELECT digest FROM known_address WHERE seen_at < ? LIMIT 500", now - KNOWN_US),
        (ATTEMPT, "SELECT what FROM attempt WHERE since < ? LIMIT 500", now - DAY_US),
        (NONCE, "SELECT digest FROM nonce WHERE at < ? LIMIT 500", now - DAY_US),
        (RATE, "SELECT who FROM rate WHERE full_at < ? LIMIT 500", now - DAY_US),
        (PASS_USED, "SELECT digest FROM pass_used WHERE expires_at < ? LIMIT 500", now - DAY_US),
        (CHARGE, "SELECT charge FROM charge WHERE expires_at < ? LIMIT 500", now - DAY_US),
    ):
        while rows := await world.ledger.fetch(sql, before):
            await world.ledger.submit(PutRows(removes=tuple((table, (key,)) for (key,) in rows)))
            done += len(rows)
    return done


async def retention(world: World) -> int:
    """Delete what has served its time: refusals kept for repeats, printed codes, the log of who read what, proxies of
    long ago, what tills tried, how deliveries went."""
    now = world.ledger.clock()
    refused = "SELECT caller, key FROM request WHERE refusal <> '' AND recorded_at < ? AND digest <> ? LIMIT 500"
    over = "SELECT digest FROM activation WHERE expires_at < ? OR used_at BETWEEN 1 AND ? LIMIT 500"
    read = "SELECT id FROM (SELECT id, at FROM access_log ORDER BY id LIMIT 500) oldest WHERE at < ?"
    ended = "SELECT subject, agent, kind FROM proxy WHERE ended_at BETWEEN 1 AND ? OR to_day < ? LIMIT 500"
    year_ago = now - 366 * DAY_US
    tried = "SELECT merchant, subject, day FROM probe WHERE day < ? LIMIT 500"
    sent = "SELECT webhook, id FROM webhook_try WHERE at < ? LIMIT 500"
    done = 0
    for table, sql, *params in (
        # A key that registered somebody who was erased since must never register them anew: its refusal stays.
        (REQUEST, refused, now - REFUSALS_KEPT_DAYS * DAY_US, FORGOTTEN),
        (ACTIVATION, over, now, now - DAY_US),
        (ACCESS, read, now - ACCESS_KEPT_DAYS * DAY_US),
        (PROXY, ended, year_ago, local_day(year_ago, world.settings.timezone)),
        (WEBHOOK_TRY, sent, now - TRIES_KEPT_DAYS * DAY_US),
        (PROBE, tried, local_day(now - 2 * DAY_US, world.settings.timezone)),
    ):
        while rows := await world.ledger.fetch(sql, *params):
            await world.ledger.submit(PutRows(removes=tuple((table, tuple(key)) for key in rows)))
            done += len(rows)
    return done


async def erasures(world: World) -> int:
    """Finish erasures whose traces could not be cleared at once."""
    return await erasure.finish(world)


async def keycopy(world: World) -> int:
    """Renew the copy of the key store once a day."""
    store = world.people.keystore
    if world.ledger.clock() / 1e6 - store.copied_at() < DAY_US / 1e6:
        return 0
    await asyncio.to_thread(store.roll)
    return 1


async def cooling(world: World) -> int:
    """Post awards whose cooling-off is over."""
    return await world.desk.ripen()


async def evidence(world: World) -> int:
    """Let the photos of decided reports end soon, and take away those whose time is over; how many are gone."""
    over, photos = await world.reports.decided()
    await world.photos.end_by(photos, world.ledger.clock() + KEPT_AFTER_DECISION_DAYS * DAY_US)
    if over:
        await world.reports.settle(over)
    return await world.photos.expire()


async def packs(world: World) -> int:
    """Notice a pack that another process has published. Its week of notice leaves plenty of time to do so."""
    await world.packs.refresh()
    return len(world.packs.packs)


async def objections(world: World) -> int:
    """Keep points from lapsing while an objection is open, and say which decisions are late."""
    if late := await disputes.overdue(world.objections.today):
        log.warning("objections: %d should have been decided by now", late)
    return await world.objections.keep()


async def statements(world: World) -> int:
    """Make last month's statements of all shops, from three in the morning of the first day on."""
    office = world.settlements
    period = month_before(local_day(world.ledger.clock() - SEALING_FROM_US, office.zone))
    if await office.ran(period):
        return 0
    return (await office.run(period)).made


async def editions(world: World) -> int:
    """Take off the lists what is over, and what rests on an entry that was taken back. No page waits for it."""
    return await world.editions.sweep()


async def webhooks(world: World) -> int:
    """Deliver what is due, unless a server is at it; how many events arrived."""
    deliverer = Deliverer(world.webhooks)
    try:
        if await deliverer.tick():
            await deliverer.drain()
    finally:
        await deliverer.close()
    return deliverer.done


JOBS: dict[str, Callable[[World], Awaitable[int]]] = {
    "holds": holds,
    "objections": objections,  # before lots: what is kept must not lapse first
    "lots": lots,
    "cooling": cooling,
    "evidence": evidence,
    "statements": statements,
    "editions": editions,
    "seals": seals,
    "checkpoints": checkpoints,
    "witnesses": witnesses,
    "webhooks": webhooks,
    "sessions": sessions,
    "erasures": erasures,
    "keycopy": keycopy,
    "retention": retention,
}


async def loop(world: World, every: float = EVERY_S) -> None:
    """What the server does beside answering. Ends when it is cancelled."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_repeat("holds", holds, world, every))
        tasks.create_task(_repeat("packs", packs, world, every))
        tasks.create_task(_repeat("erasures", erasures, world, ERASURES_S))
        tasks.create_task(_repeat("keycopy", keycopy, world, HOUSEKEEPING_S))
        tasks.create_task(_repeat("cooling", cooling, world, HOUSEKEEPING_S))
        tasks.create_task(_repeat("evidence", evidence, world, HOUSEKEEPING_S))
        tasks.create_task(_repeat("objections", objections, world, HOUSEKEEPING_S))
        tasks.create_task(_repeat("retention", retention, world, HOUSEKEEPING_S))
        tasks.create_task(_repeat("sessions", sessions, world, HOUSEKEEPING_S))
        tasks.create_task(_repeat("statements", statements, world, HOUSEKEEPING_S))
        tasks.create_task(_repeat("editions", editions, world, HOUSEKEEPING_S))
        tasks.create_task(publishing(world))
        tasks.create_task(delivering(world))
        if world.meter is not None:
            tasks.create_task(_repeat("figures", world.meter.look, world, every))
        tasks.create_task(_repeat("seals", daily_seals, world, SEALING_S))
        tasks.create_task(_repeat("witnesses", witnesses, world, every))


async def _repeat(name: str, job: Callable[[World], Awaitable[int]], world: World, every: float) -> None:
    while True:
        await asyncio.sleep(every)
        outcome = "failed"
        try:
            await job(world)
            outcome = "done"
        except Unavailable as refusal:  # an unsafe clock, a lost database: sweeps wait
            log.warning("%s: %s", name, refusal.code)
            outcome = "waiting"
        except StoreLost:
            log.warning("%s: the database does not answer", name)
            outcome = "waiting"
        except SettingsError as error:  # a file of the operator's that cannot be read
            log.error("%s: %s", name, error)
            await asyncio.sleep(PATIENCE_S)
        except Exception:
            log.exception("%s: failed", name)
        if world.meter is not None:
            world.meter.job(name, outcome)


async def delivering(world: World) -> None:
    """Tell endpoints what was committed, in one process of several; what an endpoint waits for holds up no other."""
    deliverer = Deliverer(world.webhooks, world.meter.delivered if world.meter is not None else None)
    try:
        await _repeat("webhooks", lambda _world: deliverer.tick(), world, DELIVER_S)
    finally:
        await deliverer.close()


async def publishing(world: World) -> None:
    """Sign what was committed, twice a second, and an epoch over all journals every ten minutes.

    Of several server processes one does it: whoever finds the guard's lock free. A fork freezes the ledger.
    """
    pause, last_epoch = PUBLISH_S, time.monotonic()
    while True:
        await asyncio.sleep(pause)
        pause = PUBLISH_S
        due = time.monotonic() - last_epoch >= EPOCH_S
        try:
            await world.publisher.publish(epoch=due)
            if due:
                last_epoch = time.monotonic()
        except GuardBusy:
            pause = PUBLISH_S * 2
        except Forked as fork:
            world.ledger.frozen = fork
            log.error("read-only: %s (docs/operations.md)", fork)
            return
        except Unavailable as refusal:
            log.warning("publishing: %s", refusal.code)
            pause = EVERY_S
        except StoreLost:
            log.warning("publishing: the database does not answer")
            pause = EVERY_S
        except Exception:
            log.exception("publishing: failed")
            pause = EVERY_S

# SPDX-License-Identifier: Apache-2.0
"""Forgetting a person in every room: who may ask for it, what each room gives up, and going on after a crash.

  1. open holds are released         a crash leaves an open account with its points back
  2. one commit (people/erasing.py)  a crash leaves a row in `erasure` with `settled_at` 0
  3. the data key is destroyed       a crash leaves traces in the files, photos that nothing opens, and the row
  4. photos and files are scrubbed   a crash leaves the row: it is done once more
  5. the row is settled              there is nothing left to do
Steps 3 to 5 are `settle`: at once, when a deployment opens, and every minute until they succeed. A key that is
destroyed while its person is in the database means an older database: `reapply` erases that person again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from api.auth import Caller
from api.people import erasing, traces
from api.people.erasing import Erased, Settled
from api.reach import reached
from api.tables import SESSION, STAFF
from ledger.errors import Refusal, Unavailable
from ledger.port import FORGOTTEN
from ledger.tables import REQUEST, Key, Table
from ledger.view import View
from merchants.shop import SYSTEM
from merchants.tables import PROBE, REASON, USAGE, VELOCITY
from rules.reports import confirmers, filing
from rules.tables import APPROVAL, SUBJECT

if TYPE_CHECKING:
    from api.world import World

log = logging.getLogger("jifen.erasure")


async def check_may(world: World, caller: Caller, subject: str) -> None:
    """The person, or whoever may register people where they live. Raises `forbidden`, `subject_unknown`,
    `subject_erased`."""
    own = caller.kind == "resident" and caller.subject == subject
    known = await (world.register.subject(subject) if own else reached(world, caller, subject))
    if known.kind != "person":
        raise Refusal("subject_unknown", subject=subject)


async def erase(world: World, subject: str, *, actor: str, reason: str) -> bool:
    """Forget a person, for ever. True when no trace is left in the database's files; otherwise the server goes on
    trying. Raises what `erase_person` raises; then nothing was changed but holds released."""
    erased = await _forget(world, subject, actor, reason)
    return await _settle(world, [erased])


async def reapply(world: World) -> int:
    """Erase again whom an older database has brought back, and finish what a crash left; how many came back.

    Runs before anything is served. What cannot be done now (an unsafe clock, a reader in the way) is done by the job;
    nobody is named meanwhile, for the key is gone.
    """
    try:
        back = await _again(world)
        await settle(world)
    except Unavailable as refusal:
        log.warning("erasures wait: %s", refusal.code)
        return 0
    return back


async def _again(world: World) -> int:
    back = 0
    for subject in await erasing.come_back(world.people):
        try:
            await _forget(world, subject, "system", "restored")
            back += 1
        except Unavailable:
            raise
        except Refusal as refusal:  # one that cannot be helped must not keep a deployment closed
            log.error("somebody erased has come back and cannot be erased again: %s", refusal.code)
    return back


async def settle(world: World) -> int:
    """Destroy and scrub what an erasure has left undone; how many are settled now."""
    subjects = await erasing.unsettled(world.people)
    if not subjects:
        return 0
    destroy, now = world.people.keystore.destroy, world.ledger.clock()
    left = [Erased(subject, world.traces.get(subject), destroy(subject, now)) for subject in subjects]
    return len(left) if await _settle(world, left) else 0


async def finish(world: World) -> int:
    """The job: whoever came back is erased again, what was left undone is done."""
    return await _again(world) + await settle(world)


async def _settle(world: World, erased: Sequence[Erased]) -> bool:
    if new := [one.wrapped for one in erased if one.subject not in world.traces]:
        await asyncio.to_thread(world.people.keystore.scrub, new)
    needles: set[bytes] | None = set()
    for one in erased:
        await asyncio.to_thread(world.photos.forget, one.subject)
        needles = None if needles is None or one.needles is None else needles | one.needles
    if not await traces.scrub(world.ledger, needles):
        world.traces.update((one.subject, one.needles) for one in erased)
        log.warning("traces of %d erased people may be left in the files: somebody still reads them", len(erased))
        return False
    await world.ledger.submit(Settled([one.subject for one in erased]))
    for one in erased:
        world.traces.pop(one.subject, None)
    return True


async def _forget(world: World, subject: str, actor: str, reason: str) -> Erased:
    if world.ledger.frozen is None:
        await _release(world, subject)
    rooms = await _rooms(world, subject)
    zone = world.settings.timezone
    erased = await erasing.erase_person(world.people, subject, zone, actor=actor, reason=reason, amend=rooms.amend)
    world.gate.forget()
    return erased


async def _release(world: World, subject: str) -> None:
    """Give back what is held, with its stock. An order that is captured or over meanwhile is left as it is; one that
    is made meanwhile lapses."""
    rows = await world.ledger.fetch(
        "SELECT redemption FROM redemption r LEFT JOIN hold h ON h.journal = r.journal AND h.hold = r.redemption "
        "WHERE r.subject = ? AND (h.state = 'held' OR r.mark = 'held')",
        subject,
    )
    for (redemption,) in rows:
        try:
            await world.shop.release(SYSTEM, redemption)
        except Unavailable:
            raise
        except Refusal as refusal:
            log.info("an order of an erased person stays as it is: %s", refusal.code)


# what the other rooms give up ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Rooms:
    """Rows outside the vault that are about one person."""

    subject: str
    sessions: Collection[bytes]
    staff: Collection[str]
    limits: Collection[Key]
    tried: Collection[Key]
    reasons: Collection[Key]
    approvals: Collection[str]
    requests: Collection[Key]
    reports: Collection[str]
    report_photos: Collection[Key]
    confirmers: Collection[Key]

    def amend(self, view: View) -> None:
        """Take them away, or what they say of the person."""
        row = view.get(SUBJECT, self.subject)
        if row is not None:  # the community stays, for its figures; grid and hats go
            view.put(SUBJECT, (row[0], row[1], row[2], row[2], "[]", "erased", row[6]))
        _remove(view, SESSION, [(one,) for one in self.sessions])
        _remove(view, USAGE, self.limits)
        _remove(view, PROBE, self.tried)
        _remove(view, VELOCITY, [("person", self.subject)])
        _remove(view, REASON, self.reasons)
        for id_ in self.staff:
            row = view.get(STAFF, id_)
            if row is not None and row[3] == self.subject:
                view.put(STAFF, (*row[:3], "", *row[4:6], row[6] + 1, *row[7:]))
        for id_ in self.approvals:
            row = view.get(APPROVAL, id_)
            if row is not None:
                view.put(APPROVAL, (*row[:16], None, *row[17:]))
        filing.forgotten(view, self.reports, self.report_photos)
        confirmers.ended(view, self.confirmers)
        for key in self.requests:
            row = view.get(REQUEST, *key)
            if row is not None:
                view.put(REQUEST, (*key, FORGOTTEN, 0, "", '{"code":"subject_erased","facts":{}}', row[6]))


def _remove(view: View, table: Table, keys: Collection[Key]) -> None:
    for key in keys:
        if view.get(table, *key) is not None:
            view.remove(table, *key)


async def _rooms(world: World, subject: str) -> _Rooms:
    fetch = world.ledger.fetch
    return _Rooms(
        subject,
        [bytes(one) for (one,) in await fetch("SELECT hash FROM session WHERE owner = ?", subject)],
        [id_ for (id_,) in await fetch("SELECT id FROM staff WHERE subject = ?", subject)],
        await fetch("SELECT scope, subject, start FROM usage WHERE subject = ?", subject),
        await fetch("SELECT merchant, subject, day FROM probe WHERE subject = ?", subject),
        await fetch(
            "SELECT e.redemption, e.txn FROM redemption r JOIN redemption_reason e ON e.redemption = r.redemption "
            "WHERE r.subject = ?",
            subject,
        ),
        [
            id_
            for (id_,) in await fetch(
                "SELECT p.id FROM approval p JOIN award a ON a.id = p.target WHERE a.subject = ? "
                "AND p.kind = 'award' AND p.reason IS NOT NULL",
                subject,
            )
        ],
        await fetch("SELECT caller, key FROM request WHERE ref = ? AND substr(ref, 1, 4) = 'sub_'", subject),
        [id_ for (id_,) in await fetch("SELECT id FROM report WHERE subject = ? AND state = 'open'", subject)],
        [(bytes(d), r) for d, r in await fetch("SELECT digest, report FROM report_photo WHERE subject = ?", subject)],
        await fetch("SELECT who, id FROM confirmer WHERE who = ?", subject),
    )

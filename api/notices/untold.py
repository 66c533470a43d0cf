# SPDX-License-Identifier: Apache-2.0
"""What subjects have not been told yet, found by walking the journals from where a mark says it was told.

Each subject has one mark: the last entry and the last lapsing lot that they were told of. Nothing else has to be kept,
and a mark only moves forward.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Literal, NamedTuple

from api import statement
from api.notices.prior import Prior, untold_lines
from api.tables import NOTICE_MARK
from api.world import World
from ledger import codec
from ledger.model import POINTS
from ledger.port import Answer
from ledger.tables import Key, Table
from ledger.view import View, local_day

Channel = Literal["sms", "print"]
TOLD = ("open", "award", "deduct", "reverse", "expire", "relot", "move", "objection", "decision")
WARN_DAYS = 60
BACK_DAYS = 92  # what nobody asked for in a quarter is no news any more: it stands in the statement
SCAN = 5000  # entries looked at for one page
_DAY_US = 86_400_000_000


@dataclass(slots=True)
class Notice:
    """What one subject is to be told, and the mark to set when they have been: `seq` −1 and `warned` '' say nothing."""

    subject: str
    kind: str
    grid: str
    journal: str
    lines: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    lapsing: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    prior: list[Prior] = field(default_factory=list[Prior])
    seq: int = -1
    warned: str = ""


class Place(NamedTuple):
    """Where a walk goes on: a journal and the first entry not yet looked at."""

    journal: str
    seq: int


async def untold(world: World, place: str, at: Place | None) -> tuple[list[Notice], Place | None]:
    """Notices for subjects living at a place, one walk of at most SCAN entries at a time, and where to go on.

    Lots about to lapse, and prior notice, come with the last part of each journal.
    """
    journals = sorted(one for one in await _journals(world) if world.covers(place, one) or world.covers(one, place))
    if at is None:
        if not journals:
            return [], None
        at = Place(journals[0], await _since(world, journals[0]))
    if at.journal not in journals:
        return [], None
    rows = await world.ledger.fetch(
        "SELECT seq, subject, kind, body FROM entry WHERE journal = ? AND seq >= ? ORDER BY seq LIMIT ?",
        at.journal, at.seq, SCAN,
    )  # fmt: skip
    known = await _living(world, place, at.journal)
    found: dict[str, Notice] = {}
    for seq, subject, kind, body in rows:
        if kind in TOLD and (mark := known.get(subject)) is not None and seq > mark.told:
            notice = found.setdefault(subject, Notice(subject, mark.kind, mark.grid, at.journal))
            notice.lines.append(statement.line(subject, codec.decode(bytes(body))))
            notice.seq = seq
    if len(rows) == SCAN:
        return list(found.values()), Place(at.journal, rows[-1][0] + 1)
    await _warn(world, at.journal, known, found)
    for line in await untold_lines(world, known):
        mark = known[line.subject]
        notice = found.setdefault(line.subject, Notice(line.subject, mark.kind, mark.grid, at.journal))
        notice.prior.append(line)
    following = next((one for one in journals if one > at.journal), None)
    shown = sorted(found.values(), key=lambda one: (one.grid, one.subject))
    return shown, None if following is None else Place(following, await _since(world, following))


async def own(world: World, subject: str, limit: int) -> list[dict[str, Any]]:
    """What a subject is told, newest first, whether by now on paper or not."""
    found = await statement.entries(world.ledger, subject, limit, None)
    return [one for one in found if one.pop("recorded_us") is not None and one["kind"] in TOLD]


class _Mark(NamedTuple):
    kind: str
    grid: str
    told: int
    warned: str


async def _journals(world: World) -> list[str]:
    return [one["journal"] for one in await world.ledger.journals()]


async def _living(world: World, place: str, journal: str) -> dict[str, _Mark]:
    rows = await world.ledger.fetch(
        "SELECT s.subject, s.kind, s.grid, m.journal, m.seq, m.warned FROM subject s "
        "LEFT JOIN notice_mark m ON m.subject = s.subject WHERE s.home = ? AND s.state = 'open'",
        journal,
    )
    whole = world.covers(place, journal)
    return {
        subject: _Mark(kind, grid, seq if told == journal else -1, warned or "")
        for subject, kind, grid, told, seq, warned in rows
        if whole or (grid and world.covers(place, grid))
    }


async def _since(world: World, journal: str) -> int:
    """The first entry of the last BACK_DAYS; instants rise within a journal, so halving finds it."""
    ((size,),) = await world.ledger.fetch("SELECT size FROM head WHERE journal = ?", journal)
    oldest, low, high = world.ledger.clock() - BACK_DAYS * _DAY_US, 0, int(size)
    while low < high:
        middle = (low + high) // 2
        ((at,),) = await world.ledger.fetch(
            "SELECT recorded_at FROM entry WHERE journal = ? AND seq = ?", journal, middle
        )
        low, high = (middle + 1, high) if at < oldest else (low, middle)
    return low


def _warned_days(world: World) -> tuple[str, str]:
    """Today, and the last day whose lots are announced today."""
    today = date.fromisoformat(local_day(world.ledger.clock(), world.settings.timezone))
    return today.isoformat(), (today + timedelta(days=WARN_DAYS)).isoformat()


async def _warn(world: World, journal: str, known: dict[str, _Mark], found: dict[str, Notice]) -> None:
    today, last = _warned_days(world)
    rows = await world.ledger.fetch(
        "SELECT account, lot, amount FROM balance WHERE journal = ? AND unit = ? AND lot >= ? AND lot <= ? "
        "AND amount > 0 AND account LIKE 'subject:%' ORDER BY account, lot",
        journal, POINTS, today, last,
    )  # fmt: skip
    for account, lot, amount in rows:
        subject = account.partition(":")[2]
        mark = known.get(subject)
        if mark is not None and lot > mark.warned:
            notice = found.setdefault(subject, Notice(subject, mark.kind, mark.grid, journal))
            notice.lapsing.append((lot, amount))
            notice.warned = lot


class Delivered(NamedTuple):
    """One subject was told up to `seq` of `journal`, and of lots up to the day `warned`."""

    subject: str
    journal: str
    seq: int
    warned: str


async def plausible(world: World, delivered: Sequence[Delivered], homes: Mapping[str, str]) -> list[Delivered]:
    """These as far as they can be true: of the journal in which the subject lives now, of no entry that is still to
    come, of no lot beyond those announced. A mark further on would keep somebody from ever being told."""
    sizes = {journal["journal"]: journal["size"] for journal in await world.ledger.journals()}
    last = _warned_days(world)[1]
    return [
        one._replace(seq=min(one.seq, sizes[one.journal] - 1), warned=min(one.warned, last))
        for one in delivered
        if one.journal == homes[one.subject] and one.journal in sizes
    ]


@dataclass(frozen=True, slots=True)
class Deliver:
    """Set the marks of these subjects; none moves back, except to another journal after a move."""

    delivered: Sequence[Delivered]
    channel: Channel
    actor: str
    retry: None = None
    journals: tuple[str, ...] = ()

    @property
    def weight(self) -> int:
        return 1 + len(self.delivered) // 4

    def reads(self) -> Iterable[tuple[Table, Key]]:
        return ((NOTICE_MARK, (one.subject,)) for one in self.delivered)

    def decide(self, view: View) -> Answer:
        for one in self.delivered:
            row = view.get(NOTICE_MARK, one.subject)
            seq = max(one.seq, row[2]) if row is not None and row[1] == one.journal else one.seq
            warned = max(one.warned, row[3] if row is not None else "")
            view.put(NOTICE_MARK, (one.subject, one.journal, seq, warned, self.channel, self.actor, view.now_us))
        return Answer(value=len({one.subject for one in self.delivered}))

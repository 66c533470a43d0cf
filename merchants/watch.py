# SPDX-License-Identifier: Apache-2.0
"""Looking for spending that does not look right: points that go round, sales that are undone again and again, sales
when nobody is there, a till that tries. It says where a person should look; it decides nothing and stops nobody.

`findings` is pure, over plain sales; `sales` reads them. Thresholds are what an honest counter does not reach in a
month; docs/display.md lists them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from ledger.engine import Ledger
from ledger.tables import Row
from merchants.hours import is_open

OWN_ORDERS = 3  # a shopkeeper may buy at home now and then
UNDONE_ORDERS = 3  # of one person at one shop in one month
UNDONE_PERCENT = 50  # and at least so much of what they ordered there
BURST_ORDERS = 5
BURST_US = 10 * 60 * 1_000_000
TRIED_TOTALS = 3
TRIED_CASH = 2
REGULAR_ORDERS = 20
REGULAR_PERCENT = 50
GRACE_US = 3_600_000_000  # an hour before opening or after closing is nobody's business
GRACE_STEP_US = GRACE_US // 4  # a shop may be open for less than an hour
NIGHT = range(0, 5)  # hours of the clock; for shops that have not said when they are open
CHUNK = 5_000

_Key = TypeVar("_Key")


class Sale(NamedTuple):
    """One order with what became of it. Points in hundredths. `short`: the points did not reach and cash made up for
    the rest. `at_till` is false of vouchers, which are made at home and handed in whenever a line is there. `held`:
    nothing has become of it yet."""

    redemption: str
    subject: str
    consumer: str
    merchant: str
    till: str
    day: str
    created_at: int
    points: int
    captured: int
    refunded: int
    voided: bool
    benefit: bool
    short: bool = False
    at_till: bool = True
    held: bool = False

    @property
    def stands(self) -> bool:
        """Was something given for it that was not taken back?"""
        return not self.voided and (self.benefit or self.captured > self.refunded)


class Watched(NamedTuple):
    """A shop as the search knows it: the body behind it, its hours, its name."""

    owner: str = ""
    hours: str = ""
    name: str = ""


class Finding(NamedTuple):
    """Where to look: the kind (a sentence of its own in both languages), the day, the shop, whom and which orders it is
    about, and the numbers of that sentence."""

    kind: str
    day: str
    merchant: str
    subjects: Sequence[str]
    redemptions: Sequence[str]
    facts: Mapping[str, int | str]


def findings(
    sales: Sequence[Sale],
    shops: Mapping[str, Watched],
    ties: Iterable[tuple[str, str]],
    zone: str,
) -> list[Finding]:
    """Everything that should be looked at, latest day first. `ties` are pairs of subjects of whom one may act for the
    other: a person for a body, a relative for a relative."""
    near: defaultdict[str, set[str]] = defaultdict(set)
    for one, other in ties:
        near[one].add(other)
        near[other].add(one)
    found = [
        *_round_trips(sales, shops, near),
        *_closed(sales, shops, zone),
        *_undone(sales),
        *_bursts(sales),
        *_tries(sales),
        *_regulars(sales),
    ]
    return sorted(found, key=lambda one: (one.day, one.kind, one.redemptions), reverse=True)


def _finding(kind: str, there: Sequence[Sale], **facts: int | str) -> Finding:
    subjects = sorted({who for one in there for who in (one.subject, one.consumer) if who})
    orders = sorted({one.redemption for one in there})
    last = max(one.day for one in there)
    points = sum(one.points for one in there)
    return Finding(kind, last, there[0].merchant, subjects, orders, {"orders": len(orders), "points": points, **facts})


def _grouped(sales: Iterable[Sale], key: Callable[[Sale], _Key]) -> dict[_Key, list[Sale]]:
    groups: defaultdict[_Key, list[Sale]] = defaultdict(list)
    for one in sales:
        groups[key(one)].append(one)
    return groups


def _at_till(sales: Iterable[Sale]) -> Iterator[Sale]:
    return (one for one in sales if one.at_till)


def _round_trips(
    sales: Sequence[Sale], shops: Mapping[str, Watched], near: Mapping[str, Collection[str]]
) -> Iterator[Finding]:
    """Points that come back to whoever spends them, or to somebody close."""
    standing = (one for one in sales if one.stands)
    for (merchant, who), there in _grouped(standing, lambda one: (one.merchant, one.subject)).items():
        owner = shops.get(merchant, Watched()).owner
        if not owner or len(there) < OWN_ORDERS:
            continue
        tied = near.get(who, ())
        if who == owner or owner in tied:
            yield _finding("own_shop", there)
        elif any(owner in near.get(other, ()) for other in tied):
            yield _finding("kin_shop", there)


def _closed(sales: Sequence[Sale], shops: Mapping[str, Watched], zone: str) -> Iterator[Finding]:
    """Sales when the shop says it is shut, or at dead of night where it says nothing."""

    def shut(one: Sale) -> bool:
        if not one.at_till:
            return False
        hours = shops.get(one.merchant, Watched()).hours
        if not hours:
            return datetime.fromtimestamp(one.created_at // 1_000_000, ZoneInfo(zone)).hour in NIGHT
        return not any(
            is_open(hours, one.created_at + late, zone) for late in range(-GRACE_US, GRACE_US + 1, GRACE_STEP_US)
        )

    for there in _grouped((one for one in sales if shut(one)), lambda one: (one.merchant, one.day)).values():
        yield _finding("closed_hours", there)


def _undone(sales: Sequence[Sale]) -> Iterator[Finding]:
    """One person's sales at one shop, made and taken back, month after month the same."""
    for there in _grouped(sales, lambda one: (one.merchant, one.subject, one.day[:7])).values():
        refunded = [one for one in there if one.refunded and not one.voided]
        voided = [one for one in there if one.voided]
        for kind, undone in (("refund_loop", refunded), ("void_loop", voided)):
            if len(undone) >= UNDONE_ORDERS and len(undone) * 100 >= UNDONE_PERCENT * len(there):
                yield _finding(kind, undone, all=len(there))


def _bursts(sales: Sequence[Sale]) -> Iterator[Finding]:
    """One till and one person, order upon order."""
    for there in _grouped(_at_till(sales), lambda one: (one.till, one.subject)).values():
        there.sort(key=lambda one: one.created_at)
        first, runs = 0, list[tuple[int, int]]()  # from, to: what overlaps is one
        for last, one in enumerate(there):
            while one.created_at - there[first].created_at > BURST_US:
                first += 1
            if last - first + 1 >= BURST_ORDERS:
                runs.append((runs.pop()[0] if runs and first <= runs[-1][1] else first, last))
        for first, last in runs:
            run = there[first : last + 1]
            minutes = max(1, (run[-1].created_at - run[0].created_at) // 60_000_000)
            yield _finding("till_burst", run, minutes=minutes)


def _tries(sales: Sequence[Sale]) -> Iterator[Finding]:
    """Orders of one person called off before anything was given: totals tried out, or the cash part looked at."""
    nothing = (one for one in _at_till(sales) if not (one.benefit or one.held) and (one.voided or not one.captured))
    for there in _grouped(nothing, lambda one: (one.merchant, one.subject, one.day)).values():
        short = sum(one.short for one in there)
        if short >= TRIED_CASH or len({one.points for one in there if not one.voided}) >= TRIED_TOTALS:
            yield _finding("probing", there, short=short)


def _regulars(sales: Sequence[Sale]) -> Iterator[Finding]:
    """A shop that lives on one customer: points for cash look like this."""
    standing = [one for one in sales if one.stands and one.points]
    for there in _grouped(standing, lambda one: one.merchant).values():
        taken = sum(one.captured - one.refunded for one in there)
        for mine in _grouped(there, lambda one: one.subject).values():
            share = sum(one.captured - one.refunded for one in mine) * 100 // taken
            if len(mine) >= REGULAR_ORDERS and share > REGULAR_PERCENT:
                yield _finding("one_customer", mine, percent=share)


# reading ---------------------------------------------------------------------------------------------------------

_SALES = (
    "SELECT r.redemption, r.subject, r.beneficiary, r.merchant, r.terminal, r.actor, r.day, r.created_at, r.points,"
    " h.captured, h.refunded, r.mark, r.consent, r.way, h.state"
    " FROM redemption r LEFT JOIN hold h ON h.journal = r.journal AND h.hold = r.redemption"
    " WHERE r.community >= ? AND r.community < ? AND r.day BETWEEN ? AND ? AND r.redemption > ?"
    " ORDER BY r.redemption LIMIT ?"
)


async def sales(ledger: Ledger, place: str, from_day: str, to_day: str) -> list[Sale]:
    """Orders of these days (both included) at the shops of a place and below it."""
    found: list[Sale] = []
    after = ""
    while True:
        rows = await ledger.fetch(_SALES, place, place + "~", from_day, to_day, after, CHUNK)
        found += map(_sale, rows)
        if len(rows) < CHUNK:
            return found
        after = rows[-1][0]


def _sale(row: Row) -> Sale:
    red, subject, consumer, merchant, terminal, actor, day, at, points, captured, refunded, *rest = row
    mark, consent, way, state = rest
    return Sale(
        red, subject, consumer or subject, merchant, terminal or actor, day, at, points, captured or 0, refunded or 0,
        mark == "voided", not points and mark == "captured", bool(consent), way != "voucher", "held" in (mark, state),
    )  # fmt: skip


async def shops(ledger: Ledger, place: str) -> dict[str, Watched]:
    """The shops of a place and below it."""
    rows = await ledger.fetch(
        "SELECT merchant, subject, hours, name FROM merchant WHERE community >= ? AND community < ?", place, place + "~"
    )
    return {merchant: Watched(*known) for merchant, *known in rows}

# SPDX-License-Identifier: Apache-2.0
"""A ledger for tests: on any database, with a clock that tests move and randomness that repeats."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

from ledger import codec
from ledger.audit import audit
from ledger.book import accounts, awards, benefits, editions, holds
from ledger.engine import MIGRATIONS, Ledger
from ledger.keys import Signer
from ledger.model import Act, CapUse, Draft, Link, Sealed
from ledger.port import Answer, Retry
from ledger.tables import Key, Table
from ledger.view import View, local_day
from tests.tree import ROOT

SECRET = bytes(range(32))
KEY = b"k" * 32  # the data key of every subject here
ZONE = "Asia/Shanghai"
POLICY = {"points_validity_months": 12}
MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000


class FixedClock:
    """Stands still until a test moves it."""

    def __init__(self, at: str = "2022-03-01T09:00:00") -> None:
        self.us = int(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()) * 1_000_000

    def __call__(self) -> int:
        return self.us

    def advance(self, *, days: int = 0, hours: int = 0, seconds: int = 0) -> None:
        self.us += days * DAY + hours * HOUR + seconds * 1_000_000

    @property
    def today(self) -> str:
        return local_day(self.us, ZONE)


class OneKey:
    """A deployment whose key has never changed."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    @property
    def origin(self) -> str:
        return self._signer.name

    async def signers(self, log: str, before: int, size: int) -> Sequence[Signer]:
        return (self._signer,)


@dataclass(slots=True)
class Step:
    """A command made of one function of the view; what the function returns is the answer's `value`."""

    function: Callable[[View], Any]
    journals: tuple[str, ...] = ()
    retry: Retry | None = None
    weight: int = 1
    wanted: tuple[tuple[Table, Key], ...] = field(default=())

    def reads(self) -> Iterable[tuple[Table, Key]]:
        return self.wanted

    def decide(self, view: View) -> Answer:
        value = self.function(view)
        return value if isinstance(value, Answer) else Answer(value=value)


@asynccontextmanager
async def opened(
    url: str, clock: FixedClock | None = None, *, seed: int = 1, whole: bool = True
) -> AsyncIterator[Ledger]:
    """A migrated ledger; at the end everything in it must agree (`whole=False`: the test has broken it)."""
    ledger = Ledger(url, SECRET, clock=clock or FixedClock(), random=random.Random(seed).randbytes)
    await ledger.open()
    try:
        await ledger.store.migrate({"ledger": MIGRATIONS})
        yield ledger
        if whole:
            await assert_whole(ledger)
    finally:
        await ledger.close()


async def assert_whole(ledger: Ledger) -> None:
    """Replay finds nothing, every unit sums to zero in each journal, and no entry says more than its kind may."""
    report = await audit(ledger)
    assert [] == report.findings, report.findings
    for (body,) in await ledger.fetch("SELECT body FROM entry ORDER BY seq DESC LIMIT 500"):
        assert keeps_schema(codec.decode(bytes(body))), bytes(body)
    sums = await ledger.fetch("SELECT journal, unit, SUM(amount) FROM balance GROUP BY journal, unit")
    assert [] == [row for row in sums if row[2]]


@cache
def specified_data() -> dict[str, list[tuple[set[str], set[str]]]]:
    """Kind → its forms of `data` as docs/spec/entry.md gives them: (fields that must be there, that may be)."""
    text = (ROOT / "docs/spec/entry.md").read_text("utf-8").split("## Kinds")[1].split("\n## ")[0]
    forms: dict[str, list[tuple[set[str], set[str]]]] = {}
    for kind, cell in re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|", text, re.MULTILINE):
        named = re.findall(r"`(\w+)`(\??)", re.sub(r"\([^)]*\)", "", cell))
        forms.setdefault(kind, []).append(({n for n, m in named if not m}, {n for n, m in named if m}))
    return forms


def keeps_schema(entry: dict[str, Any]) -> bool:
    fields = set(entry.get("data", {}))
    return any(must <= fields <= must | may for must, may in specified_data()[entry["kind"]])


# what tests do all the time ------------------------------------------------------------------------------------


PAID = {"fen": 7_000, "period": "2022-03", "statement": hashlib.sha256(b"statement").hexdigest()}  # what settles


def act(ledger: Ledger, day: str = "2022-03-01", request: bytes = b"{}") -> Act:
    return Act("stf_1", day, request, ledger.new_id("txn"), KEY)


async def run(ledger: Ledger, function: Callable[[View], Any], *journals: str, retry: Retry | None = None) -> Any:
    """The value of one step, or its `Refusal`."""
    return (await ledger.submit(Step(function, journals, retry))).value


async def open_journal(ledger: Ledger, journal: str) -> Sealed:
    return await run(
        ledger,
        lambda view: accounts.open_journal(
            view, journal, act(ledger), origin=f"jifen.example/{journal}", vkey="v", recovery="r", zone=ZONE,
            policy=POLICY,
        ),
        journal,
    )  # fmt: skip


async def open_account(ledger: Ledger, journal: str, subject: str, kind: str = "person", base: int = 100_000) -> Sealed:
    return await run(
        ledger,
        lambda view: accounts.open_account(view, journal, act(ledger), subject=subject, kind=kind, base=base),
        journal,
    )


def award_draft(
    ledger: Ledger, journal: str, subject: str, deed: str, caps: Iterable[CapUse] = (), day: str = "2022-03-01"
) -> Draft:
    cause = ledger.cause("V1", deed.encode(), subject, day)
    return Draft(
        "award", journal, act(ledger, day), subject=subject, group="G1", place="p1", rule="V1", pack="50" * 32,
        cause=cause, trace=b"{}", evidence=(b"photo",), caps=tuple(caps),
    )  # fmt: skip


async def award(
    ledger: Ledger,
    journal: str,
    subject: str,
    deed: str,
    *,
    standing: int = 0,
    points: int = 0,
    standing_lot: str | None = None,
    points_lot: str | None = None,
    replaces: Link | None = None,
    retry: Retry | None = None,
) -> Sealed:
    return await run(
        ledger,
        lambda view: awards.award(
            view, award_draft(ledger, journal, subject, deed), standing=standing, points=points,
            standing_lot=standing_lot, points_lot=points_lot, replaces=replaces,
        ),
        journal,
        retry=retry,
    )  # fmt: skip


async def reverse(ledger: Ledger, original: Sealed, policy: str = "only_available") -> Sealed:
    entry = await ledger.entry(original.journal, original.seq)
    home = await ledger.home(entry.fields["subject"])
    return await run(
        ledger,
        lambda view: awards.reverse(view, home, act(ledger), entry.fields, entry.leaf, policy=policy),
        original.journal,
        home,
    )


async def hold(ledger: Ledger, journal: str, subject: str, name: str, amount: int, hours: int = 24) -> Sealed:
    return await run(
        ledger,
        lambda view: holds.hold(
            view, journal, act(ledger), subject=subject, hold=name, amount=amount,
            expires_at=view.now_us + hours * HOUR,
        ),
        journal,
    )  # fmt: skip


async def capture(
    ledger: Ledger, journal: str, name: str, amount: int, merchant: str = "mer_1", **terms: Any
) -> Sealed:
    return await run(
        ledger,
        lambda view: holds.capture(
            view, journal, act(ledger), hold=name, merchant=merchant, amount=amount, terms=terms or None
        ),
        journal,
    )


async def refund(
    ledger: Ledger, journal: str, name: str, amount: int, kind: str = "refund", merchant: str = "mer_1", **terms: Any
) -> list[Sealed]:
    return await run(
        ledger,
        lambda view: holds.refund(
            view, journal, act(ledger), hold=name, merchant=merchant, amount=amount, kind=kind, terms=terms or None
        ),
        journal,
    )


async def benefit(ledger: Ledger, journal: str, redemption: str, **changed: Any) -> Sealed:
    """Three units of a benefit; with `of`, the entry of one, it is undone."""
    terms = {"merchant": "mer_1", "redemption": redemption, "scenario": "S13", "quantity": 3, "fen": 450, **changed}
    step = benefits.undo if "of" in terms else benefits.benefit
    return await run(ledger, lambda view: step(view, journal, act(ledger), **terms), journal)


async def edition(ledger: Ledger, journal: str, id: str, **changed: Any) -> Sealed:
    """A list was published."""
    said = {"digest": hashlib.sha256(id.encode()).hexdigest(), "list": "grids", "period": "2022Q1", "version": 1}
    said |= changed
    return await run(ledger, lambda view: editions.edition(view, journal, act(ledger), id=id, **said), journal)


async def fund(ledger: Ledger, of: Sealed | Link, edition: str, place: str = "p1", fen: int = 100_000) -> Sealed:
    """A place is granted money for its rank in it."""
    said: dict[str, Any] = {"edition": edition, "place": place, "fen": fen, "budget": "bud_1"}
    return await run(ledger, lambda view: editions.fund(view, of.journal, act(ledger), of=of, **said), of.journal)


async def release(ledger: Ledger, journal: str, name: str, expired: bool = False) -> Sealed | None:
    return await run(
        ledger, lambda view: holds.release(view, journal, act(ledger), hold=name, expired=expired), journal
    )


async def move(ledger: Ledger, origin: str, target: str, subject: str) -> tuple[Sealed, Sealed]:
    return await run(
        ledger, lambda view: accounts.move(view, origin, target, act(ledger), subject=subject), origin, target
    )


async def sweep(ledger: Ledger, journal: str, subject: str) -> Sealed | None:
    return await run(ledger, lambda view: awards.expire_lots(view, journal, act(ledger), subject=subject), journal)


async def lots(ledger: Ledger, journal: str, account: str, unit: str = "points") -> dict[str, int]:
    """Lot → amount as stored."""
    rows = await ledger.fetch(
        "SELECT lot, amount FROM balance WHERE journal = ? AND account = ? AND unit = ? ORDER BY lot",
        journal, account, unit,
    )  # fmt: skip
    return dict(rows)


async def relot(ledger: Ledger, journal: str, subject: str, lot: str, later: str, amount: int) -> Sealed:
    return await run(
        ledger,
        lambda view: awards.relot(
            view, journal, act(ledger), subject=subject, unit="points", lot=lot, later=later, amount=amount,
            reason="outage", links=[],
        ),
        journal,
    )  # fmt: skip

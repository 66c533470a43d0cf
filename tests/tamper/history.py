# SPDX-License-Identifier: Apache-2.0
"""The untouched deployment: three journals with everything that entries can say, seals, epochs, three keys.

What the auditor keeps aside (`pins`) and the guard lie beside it, and copies from earlier days for stale restores.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sqlite3
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ledger.book import awards
from ledger.errors import Refusal
from ledger.model import CapUse, Draft, Sealed
from ledger.seals import make_seals
from tests.export_maker import PACK, TERMS, Office, rich_history
from tests.ledgers import FixedClock, capture, fund, hold, move, opened, refund, release, relot, run, sweep

JOURNALS = ("east", "north", "west")


@dataclass(frozen=True)
class Deployment:
    """Where things are. `pins` are checkpoints of the epoch log: the newest, and one from halfway (`old_pin`)."""

    home: Path

    @property
    def database(self) -> Path:
        return self.home / "jifen.db"

    @property
    def guard(self) -> Path:
        return self.home / "guard.db"

    @property
    def export(self) -> Path:
        return self.home / "export"

    @property
    def pin(self) -> Path:
        return self.home / "pin"

    @property
    def old_pin(self) -> Path:
        return self.home / "pin.old"

    @property
    def old_export(self) -> Path:
        return self.home / "export.old"

    @property
    def stale(self) -> list[Path]:
        """The database as it was at earlier publications, oldest first."""
        return sorted(self.home.glob("stale-*.db"))


def build(home: Path, *, days: int = 40, url: str = "") -> Deployment:
    """Make it in `home`; `url` for another database than a SQLite file there."""
    home.mkdir(parents=True, exist_ok=True)
    found = Deployment(home)
    asyncio.run(_build(found, days, url or f"sqlite:///{found.database}"))
    if not url:  # one file, nothing beside it
        connection = sqlite3.connect(found.database)
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.close()
    return found


async def _build(found: Deployment, days: int, url: str) -> None:
    clock = FixedClock()
    async with opened(url, clock, whole=False) as ledger:
        office = Office(ledger, clock, found.home)
        await office.open("north")
        await rich_history(office)
        town = Town(office)
        await town.settle_in()
        for day in range(days):
            await town.day()
            if day % 3 == 2:
                await office.publisher.publish(epoch=True)
                if url.startswith("sqlite"):
                    _copy(found, day)
            if day % 8 == 7:
                for journal in JOURNALS:
                    await make_seals(ledger, journal)
                ranked, *_ = await office.publish_list(f"edn_{day}", *JOURNALS)
                for place in ("p1", "p2"):
                    await fund(ledger, ranked, f"edn_{day}", place)
            if day == days // 2:
                await office.publisher.publish(epoch=True)
                found.old_pin.write_bytes(await office.published.note(""))
                await office.export(found.old_export)
        await office.export(found.export)
        found.pin.write_bytes(await office.published.note(""))


def _copy(found: Deployment, day: int) -> None:
    here, there = sqlite3.connect(found.database), sqlite3.connect(found.home / f"stale-{day:02d}.db")
    here.backup(there)
    here.close()
    there.execute("PRAGMA journal_mode = DELETE")
    there.close()


class Town:
    """What happens from day to day; drawn from a seed of its own."""

    def __init__(self, office: Office) -> None:
        self.office, self.ledger, self.clock = office, office.ledger, office.clock
        self.draw = random.Random(7)
        self.homes: dict[str, str] = {}
        self.bodies = ("sub_n0", "sub_e0")
        self.given: list[Sealed] = []
        self.number = 0

    async def settle_in(self) -> None:
        for journal, count in (("north", 10), ("east", 4), ("west", 3)):
            for number in range(count):
                subject = f"sub_{journal[0]}{number}"
                await self.office.member(journal, subject, "body" if subject in self.bodies else "person")
                self.homes[subject] = journal
        await self.office.close_takeover("north")

    async def day(self) -> None:
        self.clock.advance(days=1)
        for subject in self.draw.sample(sorted(self.homes), 9):
            self.clock.advance(seconds=self.draw.randrange(1, 900))
            with suppress(Refusal):
                await self._deed(subject)
        for what in self.draw.sample(
            (self._shop, self._reverse, self._sweep, self._move, self._deduct, self._relot, self._object), 5
        ):
            self.clock.advance(seconds=self.draw.randrange(1, 900))
            with suppress(Refusal):
                await what()

    async def _deed(self, subject: str) -> None:
        journal, day = self.homes[subject], self.clock.today
        self.number += 1
        deed = f"deed {self.number}"
        points = self.draw.choice((100, 200, 300, 700))
        lot = self.draw.choice(("2022-05-31", "2022-06-30", "2022-12-31", None))

        def step(view: Any) -> Sealed:
            caps: list[CapUse] = []
            for name, first, last, limit, let in (
                ("V-01/day", day, day, 900, points),
                ("V-01/month", f"{day[:7]}-01", f"{day[:7]}-28", 90_000, points),
            ):
                used = awards.used(view, journal, subject, name, first)
                if used + let <= limit and (first == day or day[8:] < "29"):
                    caps.append(CapUse(name, first, last, limit, used, let))
            draft = Draft(
                "award", journal, replace(self.office.act(), memo=b"note" if self.number % 5 == 0 else None),
                subject=subject, group="G1", place="p1", rule="V-01", pack=PACK, trace=b"{}", evidence=(b"photo",),
                cause=self.ledger.cause("V-01", deed.encode(), subject, day), caps=caps,
            )  # fmt: skip
            return awards.award(view, draft, standing=points // 2, points=points, points_lot=lot)

        self.given.append(await run(self.ledger, step, journal))

    async def _shop(self) -> None:
        subject = self.draw.choice([one for one in self.homes if one not in self.bodies])
        journal, name = self.homes[subject], f"hold_{self.number}"
        self.number += 1
        await self.office.use(journal, f"rdm_{self.number}", undone=self.number % 3 == 0)
        await hold(self.ledger, journal, subject, name, 150, hours=2)
        self.clock.advance(seconds=60)
        await capture(self.ledger, journal, name, 80, **TERMS)
        if self.draw.random() < 0.5:
            await capture(self.ledger, journal, name, 40)  # a second time would be more than is held
        if self.draw.random() < 0.5:
            await refund(self.ledger, journal, name, 40, self.draw.choice(("refund", "void")))
        if self.draw.random() < 0.7:
            await release(self.ledger, journal, name)
        if self.draw.random() < 0.4:
            await self.office.settle(journal, "mer_1", 20)

    async def _reverse(self) -> None:
        if self.given:
            original = self.given.pop(self.draw.randrange(len(self.given)))
            await self.office.reverse(original, self.draw.choice(("only_available", "within_balance", "allow_debt")))

    async def _object(self) -> None:
        if not self.given:
            return
        disputed = self.draw.choice(self.given)
        subject = json.loads(disputed.body)["subject"]
        journal, self.number = self.homes[subject], self.number + 1
        made = await self.office.object(journal, subject, f"obj_{self.number}", [disputed.link("disputes")])
        if self.draw.random() < 0.7:
            await self.office.decide(journal, made, self.draw.choice(("upheld", "partly", "rejected", "withdrawn")))

    async def _sweep(self) -> None:
        for subject, journal in self.homes.items():
            with suppress(Refusal):
                await sweep(self.ledger, journal, subject)

    async def _move(self) -> None:
        subject = self.draw.choice([one for one in self.homes if one not in self.bodies])
        target = self.draw.choice([one for one in JOURNALS if one != self.homes[subject]])
        await move(self.ledger, self.homes[subject], target, subject)
        self.homes[subject] = target

    async def _deduct(self) -> None:
        self.number += 1
        subject = self.draw.choice(self.bodies)
        lot = self.draw.choice(("2022-05-31", "2022-06-30"))
        await self.office.award(self.homes[subject], subject, f"deed {self.number}", standing=-50, standing_lot=lot)

    async def _relot(self) -> None:
        subject = self.draw.choice(sorted(self.homes))
        lot = self.draw.choice(("2022-05-31", "2022-06-30"))
        await relot(self.ledger, self.homes[subject], subject, lot, "2022-12-30", 20)


if __name__ == "__main__":
    import sys

    shutil.rmtree(sys.argv[1], ignore_errors=True)
    build(Path(sys.argv[1]))

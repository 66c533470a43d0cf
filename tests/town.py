# SPDX-License-Identifier: Apache-2.0
"""A small town for tests of the desk: two communities of one street, people and bodies with open accounts."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import orjson

from ledger.book import accounts
from ledger.engine import MIGRATIONS, Ledger
from ledger.errors import Refusal
from ledger.model import Act
from ledger.port import Answer
from ledger.view import View
from rules.desk import AwardRequest, Desk, Evidence
from rules.ports import Actor
from rules.shelf import Shelf
from rules.tables import SUBJECT

COUNTY, STREET, EAST, WEST = "370321", "370321002", "370321002001", "370321002002"
PEOPLE = tuple(f"sub_{n:016d}" for n in range(12))
SHOP = "sub_shop000000000001"
NOON = int(datetime(2022, 6, 15, 4, tzinfo=UTC).timestamp()) * 1_000_000
TODAY = date(2022, 6, 15)

CLERK = Actor("stf_clerk", None, (("community_staff", EAST),))
WORKER = Actor("stf_worker", PEOPLE[0], (("grid_worker", EAST),))
STREETER = Actor("stf_street", None, (("street_staff", STREET),))
APPROVER = Actor("stf_approver", None, (("approver", STREET),))
SECOND = Actor("stf_second", None, (("approver", STREET),))


class Node(NamedTuple):
    code: str
    parent: str | None


class Map:
    """The tree of places, by their codes alone."""

    _parents: ClassVar[dict[str, str | None]] = {COUNTY: None, STREET: COUNTY, EAST: STREET, WEST: STREET}

    def place(self, code: str) -> Node:
        if code not in self._parents:
            raise Refusal("not_found", what="place", id=code)
        return Node(code, self._parents[code])

    def covers(self, upper: str, lower: str) -> bool:
        return lower.startswith(upper)


class Safe:
    """Data keys that follow from the subject; those in `burnt` are gone."""

    def __init__(self) -> None:
        self.burnt: set[str] = set()

    async def data_key(self, subject: str) -> bytes:
        if subject in self.burnt:
            raise Refusal("subject_erased", subject=subject)
        return hashlib.sha256(subject.encode()).digest()

    async def data_keys(self, subjects: Collection[str]) -> dict[str, bytes]:
        return {subject: await self.data_key(subject) for subject in subjects}


@dataclass
class Run:
    """A command made of one function."""

    body: Any
    journals: tuple[str, ...]
    retry: None = None
    weight: int = 1

    def reads(self) -> list[Any]:
        return []

    def decide(self, view: View) -> Answer:
        return Answer(value=self.body(view))


class Town:
    """The ledger, the desk and a clock that stands still until a test moves it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.now = NOON
        self.safe = Safe()
        self.ledger = Ledger(url, bytes(32), clock=self.clock)
        self.desk = Desk(self.ledger, self.safe, Map(), Shelf.founding())

    def clock(self) -> int:
        return self.now

    async def open(self, people: Collection[str] = PEOPLE, *, takeover: bool = False) -> Town:
        await self.ledger.open()
        rules = Path(__file__).parent.parent / "rules" / "migrations"
        await self.ledger.store.migrate({"ledger": MIGRATIONS, "rules": rules})

        def build(view: View) -> None:
            for journal in (EAST, WEST):
                act = Act("system", TODAY.isoformat(), b"{}", "txn_open")
                accounts.open_journal(
                    view, journal, act, origin="t", vkey="t", recovery="t", zone="Asia/Shanghai", policy={}
                )
                if not takeover:
                    accounts.close_takeover(view, journal, act)
            for number, subject in enumerate((*people, SHOP)):
                home, kind = (WEST, "person") if number % 4 == 3 else (EAST, "person")
                groups = ["G1", "G3"]
                if subject == SHOP:
                    home, kind, groups = EAST, "body", ["G5"]
                act = Act("system", TODAY.isoformat(), b"{}", "txn_open")
                accounts.open_account(view, home, act, subject=subject, kind=kind, base=100_000)
                view.insert(SUBJECT, (subject, kind, home, home, orjson.dumps(groups).decode(), "open", self.now))

        await self.run(build)
        return self

    async def close(self) -> None:
        await self.ledger.close()

    async def run(self, body: Any, *journals: str) -> Any:
        return (await self.ledger.submit(Run(body, journals or (EAST, WEST)))).value

    async def points(self, subject: str) -> int:
        rows = await self.ledger.fetch(
            "SELECT SUM(amount) FROM balance WHERE account = ? AND unit = 'points'", f"subject:{subject}"
        )
        return int(rows[0][0] or 0)

    async def entries(self, kind: str) -> int:
        return int((await self.ledger.fetch("SELECT COUNT(*) FROM entry WHERE kind = ?", kind))[0][0])


def hours(
    subject: str,
    minutes: int = 60,
    *,
    day: date = TODAY,
    start: str | None = None,
    level: str = "E2",
    **more: Any,
) -> AwardRequest:
    """Volunteer hours, the deed that most tests report."""
    proof = (Evidence("sign_in_sheet", level),) if level else ()
    return AwardRequest(subject, "RE-01", day, {"minutes": minutes}, evidence=proof, start=start, **more)

# SPDX-License-Identifier: Apache-2.0
"""A town for tests of editions: two streets, three shops, six residents of whom some want to be seen. Everybody who may
do something with a list works here, and many who may not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from api.bodies import NewBody, register_bodies
from api.commands import journal_close_takeover
from api.demo.chance import Clock
from api.people.records import Consents, NewPerson
from api.settings import Settings
from api.world import World
from ledger.book import accounts
from ledger.model import Act
from ledger.port import PutRows
from rules.desk import AwardRequest, Cause, Evidence
from rules.ports import Actor
from rules.register import Place, subject_row
from rules.tables import PLACE, SUBJECT
from tests.town import Run

COUNTY, STREET, OTHER = "370321", "370321002", "370321001"
EAST, WEST, FAR = "370321002001", "370321002002", "370321001001"
GRIDS = (f"{EAST}-01", f"{EAST}-02", f"{WEST}-01", f"{FAR}-01")
PLACES = (
    Place(COUNTY, "桓台县", "county"),
    Place(STREET, "少海街道", "street", COUNTY),
    Place(OTHER, "索镇街道", "street", COUNTY),
    Place(EAST, "东岳社区", "community", STREET),
    Place(WEST, "西苑社区", "community", STREET),
    Place(FAR, "远洋社区", "community", OTHER),
    *(Place(grid, f"第{number}网格", "grid", grid[:12]) for number, grid in enumerate(GRIDS, start=1)),
)
# name, grid, publication, ranking
PEOPLE = (
    ("王小红", GRIDS[0], 1, 1),
    ("李桂芳", GRIDS[0], 0, 1),
    ("赵敏", GRIDS[1], 1, 0),
    ("孙立", GRIDS[1], 0, 0),
    ("周强", GRIDS[2], 1, 1),
    ("吴军", GRIDS[3], 1, 1),
)
BODIES = (("东岳便民超市", EAST), ("西苑面馆", WEST), ("远洋花店", FAR))
STAFF = {
    "clerk": ("community_staff", EAST, None),
    "street": ("street_staff", STREET, None),
    "street2": ("street_staff", STREET, None),
    "first": ("approver", STREET, None),
    "second": ("approver", STREET, 0),  # the same person as `again`, under another login
    "again": ("approver", COUNTY, 0),
    "council": ("council", STREET, None),
    "elsewhere": ("approver", OTHER, None),
    "outsider": ("street_staff", OTHER, None),
    "auditor": ("auditor", COUNTY, None),
    "admin": ("county_admin", COUNTY, None),
}
ZONE = "Asia/Shanghai"
PASSWORD = "a long enough password 1"


class Town:
    """The deployment, its people by number, its bodies and its staff by name; the clock is moved by the test."""

    def __init__(self, settings: Settings) -> None:
        self.clock = Clock(ZONE)
        self.world = World(settings, clock=self.clock)
        self.people: list[str] = []
        self.bodies: list[str] = []
        self.actors: dict[str, Actor] = {}
        self.built: dict[str, Any] = {}  # whatever its builder said of it

    @property
    def today(self) -> date:
        return datetime.fromtimestamp(self.clock.now / 1e6, self.clock.zone).date()

    def set(self, day: date, at: str = "10:00") -> None:
        """Time only goes on; unlike the demo's, this clock knows no present."""
        moment = datetime.combine(day, datetime.strptime(at, "%H:%M").time(), self.clock.zone)
        self.clock.now = max(self.clock.now + 1, int(moment.astimezone(UTC).timestamp()) * 1_000_000)

    def body(self, number: int) -> Actor:
        return Actor(self.bodies[number], self.bodies[number])

    def known(self) -> dict[str, Any]:
        return {"people": self.people, "bodies": self.bodies, "now": self.clock.now, "actors": self.actors}

    def goes_on(self, known: dict[str, Any]) -> None:
        self.people, self.bodies, self.actors = known["people"], known["bodies"], known["actors"]
        self.clock.now, self.built = known["now"], known

    async def furnish(self, day: date) -> None:
        """Places, accounts and staff as of 08:00 of this day, ten weeks before anything happens."""
        world = self.world
        self.set(day, "08:00")
        await world.ledger.submit(PutRows(puts=tuple((PLACE, place.row(self.clock.now)) for place in PLACES)))
        await world.register.reload()
        act = Act("system", day.isoformat(), b"{}", "txn_open")
        held = world.keys

        def build(view: Any) -> None:
            for journal in (EAST, WEST, FAR):
                names = {"origin": held.journal_origin(journal), "vkey": held.vkey, "recovery": held.recovery}
                accounts.open_journal(view, journal, act, **names, zone=ZONE, policy={})

        await world.ledger.submit(Run(build, (EAST, WEST, FAR)))
        for journal in (EAST, WEST, FAR):
            await journal_close_takeover(world, journal)
        for number, (name, grid, publication, ranking) in enumerate(PEOPLE):
            self.people.append(await self._join(number, name, grid, Consents(1, publication, 1, ranking)))
        new = [NewBody(name, "商户", None, "G5", home) for name, home in BODIES]
        made = await register_bodies(world, new, actor="system", base=world.pack.base_standing)
        self.bodies = [subject for subject, _ in made.value]
        for name, (role, place, person) in STAFF.items():
            subject = None if person is None else self.people[person]
            roles = [{"role": role, "place": place, "from": None, "to": None}]
            answer = await world.staff.create(None, name, PASSWORD, roles, subject)
            self.actors[name] = Actor(answer.ref, subject, ((role, place),))

    async def _join(self, number: int, name: str, grid: str, consents: Consents) -> str:
        def also(subject: str, now: int) -> Any:
            return ((SUBJECT, subject_row(subject, "person", grid[:12], grid, ("G3",), now)),)

        birth, phone = date(1960 + number, 1, 1), f"1380000000{number}"
        person = NewPerson(name, phone, birth, grid[:12], grid, consents, also)
        return (await self.world.people.register(person, actor="system", base=self.world.pack.base_standing)).ref

    async def deduct(self, body: int, day: date, case: str, indicator: str = "MK-08") -> tuple[str, int]:
        """(journal, seq) of a deduction that the street reported and an approver agreed to."""
        proof = (Evidence("decision", "E3"),)
        request = AwardRequest(self.bodies[body], indicator, day, cause=Cause("投诉", case), evidence=proof)
        street = self.actors["outsider" if body == 2 else "street"]
        waiting = (await self.world.desk.award(street, request)).record
        rows = await self.world.ledger.fetch("SELECT id FROM approval WHERE target = ?", waiting.id)
        await self.world.desk.approve(self.actors["again"], rows[0][0])
        rows = await self.world.ledger.fetch("SELECT journal, seq FROM award WHERE id = ?", waiting.id)
        return rows[0][0], rows[0][1]

    async def help(self, person: int, day: date, minutes: int = 120) -> str:
        """The id of an award for volunteer hours."""
        proof = (Evidence("sign_in_sheet", "E2"),)
        request = AwardRequest(self.people[person], "RE-01", day, {"minutes": minutes}, evidence=proof)
        clerk = self.actors["clerk" if PEOPLE[person][1].startswith(EAST) else "street"]
        return (await self.world.desk.award(clerk, request)).record.id


@asynccontextmanager
async def opened(url: str, home: Path, known: dict[str, Any] | None = None) -> AsyncIterator[Town]:
    """The town, as `known` from an earlier time or empty."""
    town = Town(Settings(url, home))
    if known is None:
        await town.world.init()
    else:
        town.goes_on(known)
    await town.world.open()
    try:
        yield town
    finally:
        await town.world.close()

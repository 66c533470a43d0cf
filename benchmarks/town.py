# SPDX-License-Identifier: Apache-2.0
"""A deployment to measure: a few communities with many people, and reports ready to be handed in."""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from api.imports import commit_people, commit_places, plan_people, plan_places
from api.settings import Settings
from api.sheets.people import PeopleSheet, PersonRow
from api.sheets.places import PlaceRow, PlacesSheet
from api.world import World
from rules.desk.request import AwardRequest, Evidence
from rules.ports import Actor

COUNTY = "370321"
STAFF = Actor("stf_bench", None, (("community_staff", COUNTY),))
APPROVER = Actor("stf_second", None, (("approver", COUNTY),))


@dataclass(slots=True)
class Town:
    """`journals` are communities; `subjects` live in the journal at the same position modulo their number."""

    world: World
    journals: list[str]
    subjects: list[str]
    url: str

    def report(self, number: int, day: date | None = None) -> AwardRequest:
        """The number-th report: everybody in turn, another start minute each round, so that every cause is new."""
        subject = self.subjects[number % len(self.subjects)]
        turn = number // len(self.subjects)
        return AwardRequest(
            subject=subject,
            indicator="RE-01",
            occurred_on=day or date.today() - timedelta(days=turn % 20),
            facts={"minutes": 60},
            evidence=(Evidence("sign_in", "E2"),),
            start=f"{turn // 20 % 24:02d}:{turn // 480 % 60:02d}",
        )


@contextlib.asynccontextmanager
async def town(url: str, people: int, communities: int = 1) -> AsyncIterator[Town]:
    """A town on an empty database; keys in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="jifen-bench-") as home:
        settings = Settings(database_url=url or f"sqlite:///{home}/jifen.db", home=Path(home))
        world = World(settings)
        await world.init()
        await world.open()
        try:
            journals, subjects = await _settle(world, people, communities)
            yield Town(world, journals, subjects, settings.database_url)
        finally:
            await world.close()


async def _settle(world: World, people: int, communities: int) -> tuple[list[str], list[str]]:
    street = f"{COUNTY}001"
    places = [PlaceRow(1, COUNTY, "桓台县", "county", None), PlaceRow(2, street, "索镇街道", "street", COUNTY)]
    journals = [f"{street}{number:03d}" for number in range(1, communities + 1)]
    for number, journal in enumerate(journals, 1):
        places.append(PlaceRow(len(places) + 1, journal, f"第{number}社区", "community", street))
        places.append(PlaceRow(len(places) + 1, f"{journal}-01", f"第{number}第1网格", "grid", journal))
    await commit_places(world, await plan_places(world, PlacesSheet(places, [], [])), "system")
    rows = [_person(number, number % communities + 1) for number in range(people)]
    subjects: list[str] = []
    for start in range(0, people, 5000):
        sheet = PeopleSheet(rows[start : start + 5000], [], [])
        done = await commit_people(world, await plan_people(world, sheet), "system")
        subjects += [done.ids[row.row] for row in sheet.rows]
    return journals, subjects


def _person(number: int, community: int) -> PersonRow:
    chosen = random.Random(number)
    name = chosen.choice("王李张刘陈杨赵黄周吴") + "".join(
        chosen.choices("伟芳娜敏静丽强磊军洋勇艳杰娟涛明超兰霞平", k=2)
    )
    phone = f"199{number:08d}"
    return PersonRow(number + 1, name, phone, f"第{community}社区", "第1网格", ("居民",), date(1970, 1, 1), False)


def reports(place: Town, count: int, start: int = 0) -> Sequence[AwardRequest]:
    return [place.report(number) for number in range(start, start + count)]

# SPDX-License-Identifier: Apache-2.0
"""The county before anything happens in it: places and journals, staff, people, bodies.

All of it goes through the same doors that staff use; nothing is written past them.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from itertools import islice
from random import Random
from typing import Any

from api import imports
from api.assessments import YEARS_MAX, Purpose, years_after
from api.bodies import NewBody, register_bodies
from api.demo import names
from api.demo.chance import Clock, seeded
from api.demo.places import COMMUNITIES, COUNTY, HOMES, STREETS, lived_in, places
from api.demo.scale import SMALL, Scale
from api.people.records import Consents, NewPerson, age
from api.world import World
from ledger.tables import Row, Table
from merchants.model import Offer
from rules.ports import Actor
from rules.register import subject_row
from rules.tables import SUBJECT

ELDER = 60


@dataclass(slots=True, eq=False)
class Neighbour:
    """A person or body as the story needs to know them. `points` and `standing` are kept in step with the ledger."""

    subject: str
    home: str
    grid: str
    groups: frozenset[str]
    keen: float = 1.0
    elder: bool = False
    till: bool = True
    type: str = ""
    points: int = 0
    standing: int = 0


@dataclass(frozen=True, slots=True)
class Login:
    """A member of staff who can sign in."""

    id: str
    username: str
    password: str
    roles: tuple[tuple[str, str], ...]
    subject: str | None = None

    @property
    def actor(self) -> Actor:
        return Actor(self.id, self.subject, self.roles)

    @property
    def said(self) -> dict[str, str]:
        return {"username": self.username, "password": self.password}


@dataclass(slots=True)
class County:
    """Who is there, by community."""

    world: World
    clock: Clock
    seed: int
    scale: Scale
    staff: dict[str, Login] = field(default_factory=dict[str, Login])
    people: dict[str, list[Neighbour]] = field(default_factory=dict[str, list[Neighbour]])
    bodies: dict[str, list[Neighbour]] = field(default_factory=dict[str, list[Neighbour]])
    offers: list[Offer] = field(default_factory=list[Offer])
    merchants: dict[str, str] = field(default_factory=dict[str, str])  # name → id
    resident: Neighbour | None = None

    def clerk(self, community: str) -> Login:
        """Who works the desk and the counter there."""
        return self.staff.get(community) or self.staff["staff"]

    def rng(self, *name: object) -> Random:
        """A stream of choices of its own for each part of the story."""
        return Random("/".join(map(str, ("choices", self.seed, *name))))

    def ids(self, *name: object) -> Any:
        return seeded("ids", self.seed, self.scale.people, *name)

    @property
    def base(self) -> int:
        return self.world.pack.base_standing


# places and staff ------------------------------------------------------------------------------------------------


async def settle(county: County, actor: str) -> None:
    """Places, and a journal for each community."""
    plan: imports.Plan[Any] = imports.Plan("places", [], [])
    for row, place in enumerate(places(), start=2):
        plan.take(row, imports.NEW, place)
    with county.ids("places"):
        await imports.commit_places(county.world, plan, actor)


PUBLIC_STAFF = {
    "admin": ("county_admin", COUNTY),
    "staff": ("community_staff", COUNTY),
    "approver": ("approver", COUNTY),
    "second_approver": ("approver", COUNTY),
    "auditor": ("auditor", COUNTY),
    "council": ("council", COUNTY),
}
_USERNAMES = {"second_approver": "approver2"}


async def hire(county: County, name: str, username: str, role: str, place: str) -> None:
    """A staff account. The passwords are new in every build, whatever the seed."""
    password = secrets.token_urlsafe(12)
    roles = [{"role": role, "place": place, "from": None, "to": None}]
    with county.ids("staff", name):
        answer = await county.world.staff.create(None, username, password, roles)
    county.staff[name] = Login(answer.ref, username, password, ((role, place),))


def posts(people: int) -> Iterator[tuple[str, str, str, str]]:
    """(key, username, role, place) of everybody on the staff; in a small town the county's worker does it all."""
    for name, (role, place) in PUBLIC_STAFF.items():
        yield name, _USERNAMES.get(name, name), role, place
    for code in STREETS:
        yield code, f"street{code[-1]}", "street_staff", code
    for code in COMMUNITIES if people >= SMALL else ():
        yield code, f"community{code[8]}{code[-2:]}", "community_staff", code


_ASSESSED: Mapping[Purpose, tuple[str, str]] = {
    "publication": (
        "一月一公示和红榜、提醒榜的个人信息保护影响评估",
        "公示只到法人单位和网格合计；居民只有本人同意后才以遮盖的姓名出现，只列加分。上墙与网页同样内容，期满即撤。",
    ),
    "ranking": (
        "网格季度排名的个人信息保护影响评估",
        "按网格人均计算，人数太少的网格不排名，五人以下的数字不显示；未同意参加排名的居民不计入。",
    ),
    "merchant": (
        "商户兑换的个人信息保护影响评估",
        "收银台只看到遮盖的姓名、能不能享受和扣多少分；看不到余额、等级和积分记录。",
    ),
}


async def assess(county: County, today: date) -> None:
    """The county's three impact assessments, for three years: before them nothing is published, ranked or offered."""
    for purpose, (title, summary) in _ASSESSED.items():
        with county.ids("assessment", purpose):
            await county.world.assessments.record(
                county.staff["admin"].actor,
                purpose=purpose,
                place=COUNTY,
                title=title,
                summary=summary,
                conclusion="acceptable",
                made_by="县信用办（演示）",
                valid_until=years_after(today, YEARS_MAX),
            )


# people ----------------------------------------------------------------------------------------------------------


def invent(county: County, today: date) -> list[tuple[NewPerson, Neighbour]]:
    """Everybody, with the hats they wear. The first is the resident whom demo.json names."""
    rng, scale = county.rng("people"), county.scale
    numbers = names.phones(rng, scale.people)
    hats: list[set[str]] = [set() for _ in range(scale.people)]
    order = list(range(1, scale.people))
    for group, count in (
        ("G1", scale.community_workers),
        ("G2", scale.party_members),
        ("G4", scale.building_heads + scale.unit_heads),
    ):
        rng.shuffle(order)
        for index in order[:count]:
            hats[index].add(group)
    seen: set[tuple[str, str]] = set()
    made: list[tuple[NewPerson, Neighbour]] = []
    for index, groups in enumerate(hats):
        home = HOMES[index % len(HOMES)]
        grid = rng.choice(lived_in(home))
        birth = names.birthday(rng, today)
        own_phone = index == 0 or rng.random() < 0.93
        while (grid, name := names.person_name(rng)) in seen:  # two of one name in one grid confuse a first look
            pass
        seen.add((grid, name))
        consents = Consents(1, int(rng.random() < 0.8), int(rng.random() < 0.95), int(rng.random() < 0.9))
        if index == 0:
            birth, consents = date(today.year - 46, 5, 17), Consents(1, 1, 1, 1)
        also = partial(_subject, home, grid, tuple(sorted(groups)))
        person = NewPerson(name, numbers[index] if own_phone else None, birth, home, grid, consents, also)
        keen = 0.0 if index == 0 else rng.paretovariate(1.6)
        elder = age(birth, today) >= ELDER
        made.append(
            (person, Neighbour("", home, grid, frozenset({*groups, "G3"}), keen, elder, bool(consents.merchant)))
        )
    return made


def _subject(home: str, grid: str, groups: Sequence[str], subject: str, now_us: int) -> list[tuple[Table, Row]]:
    return [(SUBJECT, subject_row(subject, "person", home, grid, groups, now_us))]


async def register(county: County, batch: Sequence[tuple[NewPerson, Neighbour]], actor: str) -> None:
    """Open the accounts of one community's people."""
    home = batch[0][1].home
    with county.ids("people", home):
        answer = await county.world.people.register_all([person for person, _ in batch], actor=actor, base=county.base)
    for (_, neighbour), (subject, _) in zip(batch, answer.value, strict=True):
        neighbour.subject, neighbour.standing = subject, county.base
        county.people.setdefault(home, []).append(neighbour)


async def charter(county: County, actor: str) -> None:
    """Register the bodies."""
    rng, scale = county.rng("bodies"), county.scale
    new: list[NewBody] = []
    for source, group, count, coded in (
        (names.teams(), "G8", scale.teams, False),
        (names.shops(), "G5", scale.shops, True),
        (names.property_bodies(), "G6", scale.property_bodies, True),
        (names.units(), "G7", scale.units, False),
    ):
        for name, kind, home in islice(source, count):
            code = names.credit_code(rng) if coded and kind != "业主委员会" else None
            contact, phone = names.person_name(rng), names.phones(rng, 1)[0]
            new.append(NewBody(name, kind, code, group, home, contact, phone))
    with county.ids("bodies"):
        answer = await register_bodies(county.world, new, actor=actor, base=county.base)
    for body, (subject, _) in zip(new, answer.value, strict=True):
        made = Neighbour(subject, body.home, body.home, frozenset({body.group}), type=body.type, standing=county.base)
        county.bodies.setdefault(body.home, []).append(made)

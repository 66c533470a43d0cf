# SPDX-License-Identifier: Apache-2.0
"""A town with two residents, served in this process, for tests of what residents and staff do with reports."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from api import imports
from api.auth import KIND_SCOPES, ROLE_SCOPES, Caller
from api.settings import Settings
from api.sheets.people import parse_people
from api.sheets.places import parse_places
from api.sheets.read import read_sheet
from api.world import World
from rules.ports import Actor
from tests import pg
from tests.application import application
from tests.test_desk_http import HERE, PEOPLE, PLACES, STREET, THERE

START = int(datetime(2022, 5, 10, 2, tzinfo=UTC).timestamp()) * 1_000_000
DAY = "2022-05-09"
DAY_US = 86_400_000_000
ROLES = {
    "clerk": ("community_staff", HERE),
    "colleague": ("grid_worker", HERE),
    "far": ("community_staff", THERE),
    "street": ("street_staff", STREET),
    "approver": ("approver", STREET),
    "admin": ("county_admin", "370321"),
    "auditor": ("auditor", "370321"),
}
PROOF = {"kind": "grid_check", "level": "E2", "reference": "网格员现场核实"}


class Front:
    """Requests as somebody: a name of ROLES, or a subject for the person themself. `now` is the clock."""

    def __init__(self, world: World, client: httpx.AsyncClient) -> None:
        self.world, self.client, self.now, self._keys = world, client, START, 0
        self.people: dict[str, str] = {}

    async def call(self, who: str, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        self._keys += 1
        headers = {"Authorization": f"Bearer token-{who}", "Idempotency-Key": f"k{self._keys}"}
        headers |= {name.replace("_", "-"): value for name, value in more.pop("headers", {}).items()}
        return await self.client.request(method, f"/v1{path}", json=body, headers=headers, **more)

    async def done(self, who: str, method: str, path: str, body: Any = None, **more: Any) -> Any:
        answer = await self.call(who, method, path, body, **more)
        assert answer.status_code < 300, f"{answer.status_code} {answer.text}"
        return answer.json()

    async def upload(self, who: str, data: bytes, query: str = "", kind: str = "image/jpeg") -> httpx.Response:
        headers = {"Authorization": f"Bearer token-{who}", "Content-Type": kind}
        return await self.client.post(f"/v1/evidence{query}", content=data, headers=headers)

    async def photo(self, who: str, data: bytes, query: str = "") -> str:
        answer = await self.upload(who, data, query)
        assert 201 == answer.status_code, answer.text
        return answer.json()["sha256"]

    async def report(self, who: str, **more: Any) -> Any:
        self.now += 1  # so that ids are in the order of the reports
        deed = {"occurred_on": DAY, "place": HERE, "indicator": "RE-03", "text": "4号楼前井盖坏了", **more}
        return await self.done(who, "POST", "/reports", deed)

    def files(self) -> list[Path]:
        return [path for path in (self.world.home / "evidence").rglob("*") if path.is_file()]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def prepared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The town before anything has happened in it: a database and its home, of which every test gets a copy."""
    home = tmp_path_factory.mktemp("town") / "home"
    server: pg.Server | None = None
    if request.param == "sqlite":
        url = f"sqlite:///{home.parent / 'jifen.db'}"
    else:
        server = request.getfixturevalue("postgres_server")
        assert server is not None
        url = server.url()
    asyncio.run(_prepare(Settings(database_url=url, home=home)))
    yield url, home
    if server is not None:
        server.drop(url)


async def _prepare(settings: Settings) -> None:
    world = World(settings, clock=lambda: START)
    await world.init()
    await world.open()
    plan = await imports.plan_places(world, parse_places(read_sheet(PLACES.encode())))
    await imports.commit_places(world, plan, "system")
    people = await imports.plan_people(world, parse_people(read_sheet(PEOPLE.encode())))
    await imports.commit_people(world, people, "system")
    await world.close()


def _copied(request: pytest.FixtureRequest, url: str, folder: Path) -> str:
    if url.startswith("sqlite:"):
        shutil.copyfile(url.removeprefix("sqlite:///"), folder / "jifen.db")
        return f"sqlite:///{folder / 'jifen.db'}"
    server: pg.Server = request.getfixturevalue("postgres_server")
    copy = server.url(template=urlsplit(url).path.lstrip("/"))
    request.addfinalizer(lambda: server.drop(copy))
    return copy


@pytest.fixture
async def front(
    request: pytest.FixtureRequest, prepared: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Front]:
    made: list[Front] = []
    shutil.copytree(prepared[1], tmp_path / "home")
    settings = Settings(database_url=_copied(request, prepared[0], tmp_path), home=tmp_path / "home")
    world = World(settings, clock=lambda: made[0].now if made else START)
    await world.open()

    async def caller(token: str) -> Caller | None:
        name = token.removeprefix("token-")
        if name in ROLES:
            role = ROLES[name]
            actor = Actor(f"stf_{name}", None, (role,))
            return Caller("staff", actor.id, actor, ROLE_SCOPES[role[0]], proved_at=world.clock())
        if name.startswith("sub_"):
            return Caller("resident", name, Actor(name, name), KIND_SCOPES["resident"], name)
        return None

    monkeypatch.setattr(world.gate, "caller", caller)
    transport = httpx.ASGITransport(app=application(world))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        front = Front(world, client)
        made.append(front)
        for name, phone in (("王丽", "13900000001"), ("赵敏", "13900000003")):
            (found,) = await world.people.identify(name=name, phone=phone)
            front.people[name] = found.subject
        yield front
    await world.close()


@pytest.fixture
def wang(front: Front) -> str:
    return front.people["王丽"]


@pytest.fixture
def zhao(front: Front) -> str:
    return front.people["赵敏"]

# SPDX-License-Identifier: Apache-2.0
"""A deployment with nobody in it but staff, reached from any address at any time: for tests of who is let in."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio

from api.settings import Settings
from api.world import World
from tests import pg
from tests.application import application

START = int(datetime(2026, 11, 23, 1, tzinfo=UTC).timestamp()) * 1_000_000  # nine in the morning, on a Monday
MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
HERE = "370321002003"
PASSWORD = "correct horse battery"
OFFICE = "198.51.100.7"
FAR = "203.0.113.9"


class Doors:
    """Requests from an address with a token. `now` is the clock. Tests share a deployment, so each has a morning of its
    own, and every name is its own as well: `name("li")` is how its Li is called."""

    def __init__(self) -> None:
        self.world: World
        self.now = START
        self.staff: dict[str, str] = {}
        self._test = 0

    def another_morning(self) -> None:
        self._test += 1
        self.now = START + self._test * DAY
        self.world.gate.forget()

    def name(self, called: str) -> str:
        return f"{called}.{self._test}"

    async def call(
        self, token: str, method: str, path: str, body: Any = None, address: str = OFFICE, **headers: str
    ) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        transport = httpx.ASGITransport(app=application(self.world), client=(address, 40_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, f"/v1{path}", json=body, headers=sent)

    async def done(self, token: str, method: str, path: str, body: Any = None, **more: Any) -> Any:
        answer = await self.call(token, method, path, body, **more)
        assert answer.status_code < 300, f"{answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    async def code(self, token: str, method: str, path: str, body: Any = None, **more: Any) -> str:
        """The code of a refusal; "" where there was none."""
        answer = await self.call(token, method, path, body, **more)
        return answer.json()["code"] if answer.status_code >= 400 else ""

    async def hire(self, username: str, *roles: tuple[str, str], hours: str | None = None) -> str:
        """A new account, by the operator; its id."""
        held = [{"role": role, "place": place, "hours": hours} for role, place in roles]
        made = await self.world.staff.create(None, self.name(username), PASSWORD, held)
        self.staff[username] = made.ref
        return self.staff[username]

    async def sign_in(self, username: str, password: str = PASSWORD, address: str = OFFICE, **more: Any) -> Any:
        body = {"username": self.name(username), "password": password, **more}
        return await self.done("", "POST", "/sessions", body, address=address)

    async def tries(self, username: str, password: str, address: str = OFFICE, **more: Any) -> str:
        """The code that signing in is refused with; "" where it is not."""
        body = {"username": self.name(username), "password": password, **more}
        return await self.code("", "POST", "/sessions", body, address=address)

    async def token(self, username: str, **more: Any) -> str:
        return (await self.sign_in(username, **more))["token"]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def deployment(
    request: pytest.FixtureRequest, migrated: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """The address of a database and a home, for the tests of one file."""
    folder = tmp_path_factory.mktemp("doors")
    empty = urlsplit(migrated(request.param)).path
    if request.param == "sqlite":
        shutil.copyfile(empty[1:], folder / "jifen.db")
        yield f"sqlite:///{folder / 'jifen.db'}", folder / "home"
        return
    server: pg.Server = request.getfixturevalue("postgres_server")
    url = server.url(template=empty.lstrip("/"))
    yield url, folder / "home"
    server.drop(url)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(deployment: Any) -> AsyncIterator[Doors]:
    made = Doors()
    made.world = World(Settings(*deployment), clock=lambda: made.now)
    await made.world.init()
    await made.world.open()
    yield made
    await made.world.close()


@pytest.fixture
def doors(opened: Doors) -> Doors:
    opened.another_morning()
    return opened

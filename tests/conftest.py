# SPDX-License-Identifier: Apache-2.0
"""What every test may ask for: a fresh database of each kind, and nothing of the developer's own."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import argon2
import httpx
import hypothesis
import pytest

from ledger.engine import Ledger
from tests import contract, pg
from tests.tree import ROOT

# Read once and then removed with every other JIFEN_ name: servers started by tests refuse names they do not
# know, and no test may ever meet the database or the keys of the person who runs it.
_SERVER_URL = os.environ.get("JIFEN_TEST_POSTGRES_URL")
_POSTGRES_REQUIRED = os.environ.get("JIFEN_REQUIRE_POSTGRES") == "1"
for _name in [name for name in os.environ if name.startswith("JIFEN_")]:
    del os.environ[_name]

# Tests start processes by the dozen, and without byte code each of them compiles everything again: three times the
# work. Who does not want it beside the sources gets it in a folder of its own.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None) or sys.dont_write_bytecode:
    sys.dont_write_bytecode = False
    sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = str(ROOT / ".pytest_cache" / "bytecode")

_SKIP_PREFIX = "no PostgreSQL: "

hypothesis.settings.register_profile("jifen", deadline=None, max_examples=60, derandomize=False)
hypothesis.settings.register_profile("long", deadline=None, max_examples=1000)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=60, derandomize=True, print_blob=True)


def pytest_configure(config: pytest.Config) -> None:
    long_run = config.getoption("markexpr") == "long"
    hypothesis.settings.load_profile("long" if long_run else "ci" if os.environ.get("CI") else "jifen")


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """In this process a password is hashed in no time; servers in processes of their own hash as ever."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("api.staff", "api.people.cards"):
            patch.setattr(f"{module}.PasswordHasher", lambda **_: argon2.PasswordHasher(1, 8, 1))
        yield


@pytest.fixture(scope="session", autouse=True)
def answers_looked_at() -> Iterator[None]:
    """Whatever a test asks with httpx, in this process or of a server, the answer is held against the document."""
    send, send_async = httpx.Client.send, httpx.AsyncClient.send

    def looked(self: httpx.Client, request: httpx.Request, **more: Any) -> httpx.Response:
        response = send(self, request, **more)
        contract.look(response)
        return response

    async def looked_async(self: httpx.AsyncClient, request: httpx.Request, **more: Any) -> httpx.Response:
        response = await send_async(self, request, **more)
        contract.look(response)
        return response

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx.Client, "send", looked)
        patch.setattr(httpx.AsyncClient, "send", looked_async)
        yield


@pytest.fixture(autouse=True)
def as_documented() -> Iterator[None]:
    """A test fails for an answer that docs/reference/openapi.json does not tell, whatever else it looks at."""
    contract.broken.clear()
    yield
    found = list(dict.fromkeys(contract.broken))
    assert not found, "not as in docs/reference/openapi.json:\n" + "\n".join(found[:20])


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[pg.Server]:
    """The session's PostgreSQL server; a test that crashes a server makes a `pg.Cluster` of its own."""
    try:
        # Nobody crashes this one, so it need not wait for the disk.
        server = pg.Server(_SERVER_URL) if _SERVER_URL else pg.Cluster(fsync="off").__enter__()
    except pg.PostgresUnavailable as exc:
        if _POSTGRES_REQUIRED:
            pytest.fail(f"JIFEN_REQUIRE_POSTGRES=1, but: {exc}", pytrace=False)
        pytest.skip(f"{_SKIP_PREFIX}{exc}")
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a fresh database; a test that takes this runs once on each kind.

    It is empty, or a copy of one that has had the steps of the rooms in the test's mark `schema`, or of a whole town.
    """
    if request.param == "sqlite":
        made = _with_schema(request, "sqlite")
        if made is not None:
            shutil.copyfile(urlsplit(made).path[1:], tmp_path / "jifen.db")
        yield f"sqlite:///{tmp_path / 'jifen.db'}"
        return
    yield from _postgres(request)


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of such a PostgreSQL database, for what only PostgreSQL does."""
    yield from _postgres(request)


def _postgres(request: pytest.FixtureRequest) -> Iterator[str]:
    server: pg.Server = request.getfixturevalue("postgres_server")
    made = _with_schema(request, "postgresql")
    url = server.url(template=made and urlsplit(made).path.lstrip("/"))
    yield url
    server.drop(url)


def _with_schema(request: pytest.FixtureRequest, kind: str) -> str | None:
    """The database that the test wants a copy of, if it wants one."""
    mark = request.node.get_closest_marker("schema")
    if mark is not None and "town" in mark.kwargs:
        return request.getfixturevalue("built")(kind, mark.kwargs["town"]).url
    return mark and request.getfixturevalue("migrated")(kind, *mark.args)


class Built(NamedTuple):
    """A town that tests get copies of: its database, the home of its deployment, and what its builder knows of it."""

    url: str
    home: Path
    known: Any


@pytest.fixture(scope="session")
def built(
    migrated: Callable[..., str], request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Built]:
    """Kind and builder → its town: built once, then copied.

    A builder is an async function of a migrated database and an empty folder. It closes all that it opens.
    """
    made: dict[tuple[str, Any], Built] = {}

    def built(kind: str, town: Callable[..., Any]) -> Built:
        if (kind, town) not in made:
            folder = tmp_path_factory.mktemp("built")
            url, empty = f"sqlite:///{folder / 'jifen.db'}", urlsplit(migrated(kind)).path
            if kind == "sqlite":
                shutil.copyfile(empty[1:], folder / "jifen.db")
            else:
                url = request.getfixturevalue("postgres_server").url(template=empty.lstrip("/"))
            made[kind, town] = Built(url, folder / "home", asyncio.run(town(url, folder / "home")))
        return made[kind, town]

    return built


@pytest.fixture
def town_copy(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Built:
    """The test's own copy of the town in its mark `schema(town=...)`."""
    town = request.node.get_closest_marker("schema").kwargs["town"]
    built = request.getfixturevalue("built")("sqlite" if database_url.startswith("sqlite") else "postgresql", town)
    shutil.copytree(built.home, tmp_path / "home")
    return built._replace(url=database_url, home=tmp_path / "home")


@pytest.fixture(scope="session")
def migrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Kind and rooms (none: all) → the address of a database that has had their steps: made once, then copied."""
    made: dict[tuple[str, ...], str] = {}

    def migrated(kind: str, *names: str) -> str:
        from api.world import ROOMS  # most of the program, which many a test does without

        if (kind, *names) not in made:
            if kind == "sqlite":
                url = f"sqlite:///{tmp_path_factory.mktemp('schema') / 'jifen.db'}"
            else:
                url = request.getfixturevalue("postgres_server").url()
            asyncio.run(_migrate(url, {name: ROOMS[name] for name in names or ROOMS}))
            made[kind, *names] = url
        return made[kind, *names]

    return migrated


async def _migrate(url: str, rooms: dict[str, Path]) -> None:
    ledger = Ledger(url, bytes(32))
    await ledger.open()
    try:
        await ledger.store.migrate(rooms)
    finally:
        await ledger.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reasons = [
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple) and _SKIP_PREFIX in report.longrepr[2]
    ]
    if reasons:
        terminalreporter.write_line(
            f"{len(reasons)} PostgreSQL tests skipped ({reasons[0]}).\n"
            "To run them: sudo apt-get install postgresql   (macOS: brew install postgresql)",
            yellow=True,
        )

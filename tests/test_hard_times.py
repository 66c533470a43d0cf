# SPDX-License-Identifier: Apache-2.0
"""A real server when the clock leaps and connections run out: clear refusals, nothing half done, and it goes on by
itself. Disks that fail are in test_faults.py, processes that die in test_crashes.py."""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import resource
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil
import pytest

from tests import faults, pg
from tests.serving import Served
from tests.test_races import hours

HOUR, YEAR = 3600, 365 * 86_400
CONNECTIONS_MAX = 40
FILES_MAX = 90


class Hard(Served):
    """Two workers whose wall clock is `ahead` by so many seconds, and whose database has few connections."""

    def __init__(self, cluster: pg.Cluster, folder: Path) -> None:
        super().__init__(cluster.url("hard"), folder / "home", 2)
        self.build()
        control = folder / "clock"
        control.write_bytes(bytes(8))
        with control.open("r+b") as file:
            self._clock = mmap.mmap(file.fileno(), 8)
        self.shim = {"LD_PRELOAD": str(faults.build(folder, "clock.c")), "CLOCK_CONTROL": str(control)}

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, **getattr(self, "shim", {})}

    def set_clock(self, ahead: int) -> None:
        self._clock[:] = struct.pack("q", ahead)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hard]:
    """One town for all of them; afterwards every entry is read again."""
    try:
        cluster = pg.Cluster(max_connections=str(CONNECTIONS_MAX), fsync="off")
    except pg.PostgresUnavailable as reason:
        pytest.skip(f"no PostgreSQL: {reason}")
    with cluster:
        made = Hard(cluster, tmp_path_factory.mktemp("hard"))
        made.start()
        try:
            yield made
        finally:
            made.stop()
        made.jifen("verify")


async def _award(staff: httpx.AsyncClient, server: Hard, key: str) -> tuple[int, Any]:
    """Status and the refusal's code, or the points."""
    body = hours(server.demo["resident"]["subject"], key, 1)
    answer = await staff.post("/v1/awards", json=body, headers={"Idempotency-Key": key})
    if answer.status_code == 503:
        assert int(answer.headers["retry-after"]) > 0
    said = answer.json()
    return answer.status_code, said.get("code", said.get("state"))


async def _sizes(client: httpx.AsyncClient) -> dict[str, int]:
    status = await client.get("/v1/status")
    assert 200 == status.status_code, status.text
    return {one["journal"]: one["seq"] for one in status.json()["journals"]}


@pytest.mark.parametrize("ahead", [-HOUR, YEAR])
async def test_the_clock_leaps(server: Hard, ahead: int) -> None:
    """An hour back or a year on: nothing is posted and nobody's session ends, what is there is still read; set right,
    the same request goes through once."""
    name = f"leap-{ahead}"
    async with server.client(server.sign_in()) as staff, server.client() as anybody:
        assert (201, "posted") == await _award(staff, server, f"before-{name}")
        before = await _sizes(anybody)
        server.set_clock(ahead)
        try:
            if ahead > 0:
                await asyncio.sleep(5.5)  # longer than a worker remembers whom a token stands for
            for _ in range(6):  # either worker
                assert (503, "clock_unsafe") == await _award(staff, server, name)
            assert 503 == (await anybody.get("/ready")).status_code
            assert 200 == (await anybody.get("/health")).status_code
            assert before == await _sizes(anybody)
        finally:
            server.set_clock(0)
        assert (201, "posted") == await _award(staff, server, name)
        assert (201, "posted") == await _award(staff, server, name)
        assert before.keys() == (after := await _sizes(anybody)).keys()
        assert sum(after.values()) == sum(before.values()) + 1
        assert 200 == (await anybody.get("/ready")).status_code


@asynccontextmanager
async def _hogged(url: str) -> AsyncIterator[None]:
    """Nobody else gets a connection to the database, and those who had one have lost it."""
    held: list[asyncpg.Connection] = []

    async def take() -> None:
        while True:
            try:
                held.append(await asyncpg.connect(url, timeout=5))
            except (asyncpg.TooManyConnectionsError, asyncpg.CannotConnectNowError):
                return

    try:
        await take()
        mine = [one.get_server_pid() for one in held]
        await held[0].execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND NOT pid = ANY($1)",
            mine,
        )
        for _ in range(20):
            await take()
            await asyncio.sleep(0.02)
        yield
    finally:
        await asyncio.gather(*(one.close() for one in held), return_exceptions=True)


async def test_the_database_has_no_connection_left(server: Hard) -> None:
    """Others have taken every connection: 503 with a word when to come back; once there are some, it goes on."""
    async with server.client(server.sign_in()) as staff:
        assert (201, "posted") == await _award(staff, server, "hog-before")
        async with _hogged(server.url):
            told = [await _award(staff, server, "hog") for _ in range(6)]
            assert {(503, "database_unavailable")} == set(told)
        async with asyncio.timeout(20):
            while (again := await _award(staff, server, "hog")) != (201, "posted"):
                assert (503, "database_unavailable") == again
                await asyncio.sleep(0.1)
        assert (201, "posted") == await _award(staff, server, "hog")


async def test_the_disk_of_the_database_is_full(server: Hard) -> None:
    """PostgreSQL finds no room: the same, and no half of an award is there."""
    connection = await asyncpg.connect(server.url)
    try:
        async with server.client(server.sign_in()) as staff, server.client() as anybody:
            before = await _sizes(anybody)
            await connection.execute(
                "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;"
                "CREATE TRIGGER no_room AFTER INSERT ON award FOR EACH ROW EXECUTE FUNCTION no_room()"
            )
            assert {(503, "database_unavailable")} == {await _award(staff, server, "full") for _ in range(3)}
            assert before == await _sizes(anybody)
            await connection.execute("DROP TRIGGER no_room ON award")
            assert (201, "posted") == await _award(staff, server, "full")
            assert sum((await _sizes(anybody)).values()) == sum(before.values()) + 1
    finally:
        await connection.close()


async def test_more_connections_than_a_worker_may_open(server: Hard) -> None:
    """Somebody opens as many as they like: who is connected is served, and when they are gone so is everybody."""
    if not hasattr(resource, "prlimit"):
        pytest.skip("limits of another process are set on Linux only")
    workers = psutil.Process(server.pid).children(recursive=True)
    limits = {one.pid: resource.prlimit(one.pid, resource.RLIMIT_NOFILE) for one in workers}
    for pid, (_, most) in limits.items():
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (FILES_MAX, most))
    crowd: list[socket.socket] = []
    async with server.client(server.sign_in()) as staff:
        try:
            assert (201, "posted") == await _award(staff, server, "crowd-before")
            for _ in range(4 * FILES_MAX):
                with contextlib.suppress(OSError):
                    crowd.append(socket.create_connection(("127.0.0.1", server.port), timeout=1))
            await asyncio.sleep(0.5)
            assert (201, "posted") == await _award(staff, server, "crowd-meanwhile")
        finally:
            for one in crowd:
                one.close()
            for pid, limit in limits.items():
                resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
    async with asyncio.timeout(20), server.client(server.sign_in()) as staff:
        assert (201, "posted") == await _award(staff, server, "crowd-after")

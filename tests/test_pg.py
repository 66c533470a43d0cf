# SPDX-License-Identifier: Apache-2.0
"""The tests' own PostgreSQL: what other tests take for granted about it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from api.settings import Settings
from api.world import NotReady, World
from tests import pg


async def test_a_database_address_opens_an_empty_database(database_url: str) -> None:
    """Each test gets a database with no table in it, on both kinds."""
    address = urlsplit(database_url)
    if address.scheme == "sqlite":
        assert address.path.startswith("//"), "four slashes: an absolute path"
        path = Path(address.path[1:])
        assert not path.exists()
        with sqlite3.connect(path) as connection:
            assert [] == connection.execute("SELECT name FROM sqlite_master").fetchall()
        return
    connection = await asyncpg.connect(database_url)
    try:
        count = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        assert 0 == await connection.fetchval(count)
    finally:
        await connection.close()


async def test_a_killed_cluster_comes_back_with_what_it_acknowledged(postgres_server: pg.Server) -> None:
    """kill −9 loses no acknowledged commit, the address stays the same, and nothing is left afterwards."""
    if not isinstance(postgres_server, pg.Cluster):
        pytest.skip("a server given by address is not ours to kill")
    with pg.Cluster(postgres_server.binaries) as cluster:
        url = cluster.url("crash")
        connection = await asyncpg.connect(url)
        assert "on" == await connection.fetchval("SHOW fsync")
        await connection.execute("CREATE TABLE t AS SELECT 1 AS n")
        cluster.kill9()
        with pytest.raises((OSError, asyncpg.PostgresConnectionError)):
            await connection.execute("SELECT 1")
        cluster.restart()
        connection = await asyncpg.connect(url)
        assert 1 == await connection.fetchval("SELECT n FROM t")
        await connection.close()
        copy = await asyncpg.connect(cluster.url("copy", template="crash"))
        assert 1 == await copy.fetchval("SELECT n FROM t")
        await copy.close()
        home, pid = cluster.home, cluster.pid
    assert not home.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_cluster_does_not_outlive_the_process_that_made_it(postgres_server: pg.Server) -> None:
    """A test run that is itself killed leaves neither a server nor its files behind."""
    if not isinstance(postgres_server, pg.Cluster):
        pytest.skip("a server given by address is not ours to end")
    script = "from tests import pg; c = pg.Cluster().__enter__(); print(c.home, flush=True); input()"
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    home = Path((await child.stdout.readline()).decode().strip())
    assert home.exists()
    child.kill()
    await child.wait()
    for _ in range(100):
        if not home.exists():
            break
        await asyncio.sleep(0.1)
    assert not home.exists()


async def test_a_database_in_the_order_of_a_dictionary_is_refused(postgres_server: pg.Server, tmp_path: Path) -> None:
    """There `370321002` does not lie below `370321`, and every list of a place would be empty."""
    try:
        url = postgres_server.url(options="LOCALE_PROVIDER icu ICU_LOCALE 'zh' LOCALE 'C'")
    except asyncpg.PostgresError as error:
        pytest.skip(f"this server sorts in no other way: {error}")
    world = World(Settings(database_url=url, home=tmp_path / "home"))
    await world.init()
    with pytest.raises(NotReady, match="LOCALE 'C'"):
        await world.open()
    postgres_server.drop(url)

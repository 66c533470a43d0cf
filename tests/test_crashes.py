# SPDX-License-Identifier: Apache-2.0
"""kill −9 under load, of the server and of PostgreSQL: what was acknowledged is there, nothing is half done."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import pg
from tests.serving import Served, served
from tests.test_races import hours

CLIENTS = 24


async def under_load(
    server: Served, token: str, acknowledged: dict[str, dict[str, Any]], counter: Any, stop: asyncio.Event
):
    subject = server.demo["resident"]["subject"]

    async def client(staff: httpx.AsyncClient) -> None:
        while not stop.is_set():
            number = next(counter)
            try:
                answer = await staff.post(
                    "/v1/awards",
                    json=hours(subject, f"crash-{number}", 1),
                    headers={"Idempotency-Key": f"crash-{number}"},
                )
            except httpx.HTTPError:
                await asyncio.sleep(0.02)
                continue
            if answer.status_code == 201:
                acknowledged[f"crash-{number}"] = answer.json()
            else:
                assert answer.status_code in (500, 503), answer.text
                await asyncio.sleep(0.02)

    async with server.client(token) as staff:
        await asyncio.gather(*(client(staff) for _ in range(CLIENTS)))


async def check_acknowledged(server: Served, token: str, acknowledged: dict[str, dict[str, Any]], sample: int) -> None:
    """Every acknowledged award is in the chain under the hash that was promised, and is answered again."""
    async with server.client(token) as staff, server.client(server.sign_in("auditor")) as auditor:
        for key in random.sample(sorted(acknowledged), min(sample, len(acknowledged))):
            promised = acknowledged[key]["receipt"]
            entry = await auditor.get(f"/v1/entries/{promised['journal']}/{promised['seq']}")
            assert 200 == entry.status_code, (key, entry.text)
            assert promised["entry_hash"] in entry.text
            number = key.removeprefix("crash-")
            again = await staff.post(
                "/v1/awards",
                json=hours(server.demo["resident"]["subject"], f"crash-{number}", 1),
                headers={"Idempotency-Key": key},
            )
            assert (201, acknowledged[key]["id"]) == (again.status_code, again.json().get("id")), again.text


async def _kill_often(server: Served, times: int) -> None:
    acknowledged: dict[str, dict[str, Any]] = {}
    counter = itertools.count()
    token = server.sign_in()
    for round_ in range(times):
        stop = asyncio.Event()
        load = asyncio.create_task(under_load(server, token, acknowledged, counter, stop))
        before = len(acknowledged)
        for _ in range(400):
            await asyncio.sleep(random.uniform(0.01, 0.05))
            if len(acknowledged) > before + 20:
                break
        server.kill9()
        stop.set()
        await load
        server.start()
        await check_acknowledged(server, token, acknowledged, 8)
        if round_ % 5 == 0:
            server.jifen("verify")
    assert len(acknowledged) > 20 * times
    await check_acknowledged(server, token, acknowledged, 400)
    server.jifen("verify")


async def test_killed_server_keeps_what_it_acknowledged(database_url: str, tmp_path: Path) -> None:
    """Two kills under load."""
    with served(database_url, tmp_path / "home") as server:
        await _kill_often(server, 2)


@pytest.mark.long
async def test_fifty_kills(database_url: str, tmp_path: Path) -> None:
    """Fifty kills under load, two workers where the database allows them."""
    with served(database_url, tmp_path / "home", 1 if database_url.startswith("sqlite") else 2) as server:
        await _kill_often(server, 50)


@pytest.mark.parametrize("times", [2, pytest.param(20, marks=pytest.mark.long)])
async def test_killed_postgresql_keeps_what_was_acknowledged(times: int, tmp_path: Path) -> None:
    """The database dies under load and comes back; the server goes on by itself."""
    try:
        cluster = pg.Cluster()
    except pg.PostgresUnavailable as reason:
        pytest.skip(f"no PostgreSQL: {reason}")
    with cluster, served(cluster.url("crash"), tmp_path / "home", 2) as server:
        acknowledged: dict[str, dict[str, Any]] = {}
        counter = itertools.count()
        token = server.sign_in()
        for _ in range(times):
            stop = asyncio.Event()
            load = asyncio.create_task(under_load(server, token, acknowledged, counter, stop))
            before = len(acknowledged)
            while len(acknowledged) < before + 40:
                await asyncio.sleep(0.02)
            cluster.kill9()
            await asyncio.sleep(0.3)
            cluster.restart()
            resumed = len(acknowledged)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(20):
                    while len(acknowledged) < resumed + 20:
                        await asyncio.sleep(0.05)
            stop.set()
            await load
            assert len(acknowledged) >= resumed + 20, server.log()
            await check_acknowledged(server, token, acknowledged, 20)
        server.jifen("verify")

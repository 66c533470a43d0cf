# SPDX-License-Identifier: Apache-2.0
"""Public events, as pages and as a stream: everything that is published, to everybody, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from api import feed
from api.http import events
from ledger.book import awards
from ledger.model import Act, Draft
from tests.application import application
from tests.test_merchants_http import Do
from tests.till_town import HERE, SECOND, Till, till, till_town

__all__ = ["till"]

pytestmark = pytest.mark.schema(town=till_town)
once = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def _publish(till: Till) -> None:
    """One more entry, under a signed checkpoint."""
    number = await till.world.ledger.fetch("SELECT size FROM head WHERE journal = ?", HERE)
    till.now += SECOND
    act = Act("system", "2022-06-15", b"{}", f"txn_{number[0][0]}", await till.world.people.data_key(till.subject))
    cause = till.world.ledger.cause("T-01", b"f%d" % number[0][0], till.subject)
    draft = Draft("award", HERE, act, subject=till.subject, rule="T-01", cause=cause)
    given = Do(lambda view: awards.award(view, draft, standing=0, points=100, points_lot="2022-12-31"), HERE)
    await till.world.ledger.submit(given)
    await till.world.publisher.publish()


class Listener:
    """One who listens: what came in, event by event; comments as they are."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self.left = asyncio.Event()
        self.slow = asyncio.Event()
        self.slow.set()
        self.over = False

    async def receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        await self.slow.wait()
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        elif message["body"]:
            self.pieces.put_nowait(message["body"])
        self.over = self.over or (message["type"] == "http.response.body" and not message.get("more_body"))

    async def next(self) -> Any:
        """The next event's data; its id and name are held against it."""
        while True:
            piece = (await asyncio.wait_for(self.pieces.get(), 5)).decode()
            if piece.startswith("id:"):
                id_, name, data = (line.partition(": ")[2] for line in piece.strip().split("\n"))
                event = orjson.loads(data)
                assert (id_, name) == (event["id"], event["type"])
                return event


@asynccontextmanager
async def listening(till: Till, *headers: tuple[bytes, bytes], peer: str = "127.0.0.1") -> AsyncIterator[Listener]:
    listener = Listener()
    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": "/v1/events", "raw_path": b"/v1/events", "query_string": b"", "root_path": "",
        "headers": [(b"accept", b"text/event-stream"), *headers], "client": (peer, 1), "server": ("test", 80),
    }  # fmt: skip
    running = asyncio.create_task(application(till.world)(scope, listener.receive, listener.send))
    while not listener.status:
        assert not running.done() or running.result() is None
        await asyncio.sleep(0.005)
    try:
        yield listener
    finally:
        listener.left.set()
        listener.slow.set()
        await asyncio.wait_for(running, 5)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "LOOK_S", 0.02)


async def test_checkpoints_as_they_are_signed(till: Till) -> None:
    """Every listener hears of them, with the root that the checkpoint has; no caller is asked for."""
    async with listening(till) as one, listening(till) as other:
        assert (200, b"text/event-stream") == (one.status, one.headers[b"content-type"])
        await asyncio.sleep(0.1)
        await _publish(till)
        first = await one.next()
        assert first == await other.next()
        assert ("checkpoint.published", HERE) == (first["type"], first["data"]["journal"])
        note = (await till.send("", "GET", f"/journals/{HERE}/checkpoint")).text.split("\n")
        assert int(note[1]) == first["data"]["size"]
        await _publish(till)
        assert first["data"]["size"] + 1 == (await one.next())["data"]["size"]


async def test_who_was_away_is_told_what_was_missed(till: Till) -> None:
    """From Last-Event-ID on, and then live, nothing twice in one stream."""
    await _publish(till)
    till.now += 10 * SECOND
    page = (await till.send("", "GET", "/events")).json()
    (seen,) = page["items"]
    assert page["next"] == seen["id"]
    await _publish(till)
    async with listening(till, (b"last-event-id", seen["id"].encode())) as listener:
        missed = await listener.next()
        assert missed["data"]["size"] == seen["data"]["size"] + 1
        await asyncio.sleep(0.1)
        await _publish(till)
        assert missed["data"]["size"] + 1 == (await listener.next())["data"]["size"]


@once
async def test_pages(till: Till) -> None:
    """What settled comes once, in order; the cursor of an empty page goes on from there."""
    empty = (await till.send("", "GET", "/events")).json()
    assert [] == empty["items"]
    await _publish(till)
    assert [] == (await till.send("", "GET", f"/events?cursor={empty['next']}")).json()["items"]  # too fresh
    till.now += 6 * SECOND
    page = (await till.send("", "GET", f"/events?cursor={empty['next']}&limit=1")).json()
    assert {"id", "type", "timestamp", "data"} == set(page["items"][0])
    assert [] == (await till.send("", "GET", f"/events?cursor={page['next']}")).json()["items"]
    wrong = await till.send("", "GET", "/events?cursor=x")
    assert (400, "request_invalid") == (wrong.status_code, wrong.json()["code"])


@once
async def test_heartbeats_and_the_end(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is broken so that the line stays open; who leaves is forgotten; a server that stops ends all streams."""
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.05)
    async with listening(till) as listener:
        pieces = [await asyncio.wait_for(listener.pieces.get(), 2) for _ in range(2)]
        assert [b"retry: 5000\n\n", b": still here\n\n"] == pieces
    async with listening(till) as listener:
        till.world.stopping.set()
        for _ in range(100):
            if listener.over:
                break
            await asyncio.sleep(0.02)
        assert listener.over
    refused = await till.http.get("/events", headers={"Accept": "text/event-stream"})
    assert (503, "shutting_down") == (refused.status_code, refused.json()["code"])
    till.world.stopping.clear()


@once
async def test_listeners_are_counted(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only so many from one address and altogether; a place that becomes free can be taken."""
    monkeypatch.setattr(feed, "FROM_ONE_ADDRESS_MAX", 1)
    monkeypatch.setattr(feed, "LISTENERS_MAX", 2)

    async def status(peer: str) -> int:
        async with listening(till, peer=peer) as listener:
            return listener.status

    async with listening(till, peer="192.0.2.1"):
        assert [503, 200] == [await status("192.0.2.1"), await status("192.0.2.2")]
        async with listening(till, peer="192.0.2.2"):
            assert 503 == await status("192.0.2.3")
        assert 200 == await status("192.0.2.3")
    assert 200 == await status("192.0.2.1")


@once
async def test_a_listener_that_does_not_listen(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its stream is ended when it lags too far behind or takes nothing for too long; all others go on."""
    monkeypatch.setattr(feed, "QUEUE_MAX", 2)
    monkeypatch.setattr(events, "SEND_S", 0.4)
    async with listening(till) as good, listening(till) as bad:
        await asyncio.sleep(0.1)
        bad.slow.clear()
        for _ in range(5):
            await _publish(till)
            await good.next()
        for _ in range(100):
            if len(till.world.feed._listeners) == 1:
                break
            await asyncio.sleep(0.02)
        assert 1 == len(till.world.feed._listeners)
        await _publish(till)
        await good.next()

# SPDX-License-Identifier: Apache-2.0
"""Many clients at once against a real server: on PostgreSQL with two workers, on SQLite with its one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.serving import Served, served


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[Served]:
    workers = 1 if database_url.startswith("sqlite") else 2
    with served(database_url, tmp_path / "home", workers) as running:
        yield running


def today() -> str:
    return datetime.now(ZoneInfo("Asia/Shanghai")).date().isoformat()


def hours(subject: str, start: str, minutes: int = 60, day: str | None = None, **more: Any) -> dict[str, Any]:
    """A body for POST /v1/awards: volunteer hours on a confirmed list."""
    return {
        "subject": subject,
        "indicator": "RE-01",
        "occurred_on": day or today(),
        "facts": {"minutes": minutes},
        "evidence": [{"kind": "sign_in", "level": "E2"}],
        "cause": {"source": "test", "case": f"{day}-{start}"},
        **more,
    }


async def post(client: httpx.AsyncClient, path: str, body: Any, key: str) -> httpx.Response:
    return await client.post(path, json=body, headers={"Idempotency-Key": key})


async def available(client: httpx.AsyncClient, subject: str) -> int:
    answer = await client.get(f"/v1/subjects/{subject}/balance")
    assert 200 == answer.status_code, answer.text
    return answer.json()["points"]["available"]


async def test_last_points_are_spent_once(server: Served) -> None:
    """256 clients redeem all that a resident has, at once: one succeeds, the others get insufficient_points."""
    subject = server.demo["resident"]["subject"]
    async with server.client(server.demo["merchant"]["key"]) as till, server.client(server.sign_in()) as staff:
        async with server.client(server.sign_in("approver")) as approver:
            price = await available(staff, subject)
            assert price > 0
            offer = await _offer(till, approver, server.demo["merchant"]["id"], price)
        body = {"offer": offer, "quantity": 1, "by": {"subject": subject}, "merchant": server.demo["merchant"]["id"]}
        answers = await asyncio.gather(*(post(staff, "/v1/redemptions", body, f"last-{n}") for n in range(256)))
        outcomes = Counter("held" if a.status_code == 201 else a.json()["code"] for a in answers)

        assert {"held": 1, "insufficient_points": 255} == dict(outcomes)
        assert 0 == await available(staff, subject)
    server.jifen("verify")


async def _offer(till: httpx.AsyncClient, approver: httpx.AsyncClient, merchant: str, price: int) -> str:
    body = {
        "merchant": merchant,
        "scenario": "S13",
        "title": {"zh": "米面油一份", "en": "Household goods"},
        "price": price,
        "cash_fen": 0,
        "stock": 1000,
        "per_person": 500,
        "from": today(),
        "to": "2099-12-31",
    }
    made = await till.post("/v1/offers", json=body)
    assert 201 == made.status_code, made.text
    opened = await approver.post(f"/v1/offers/{made.json()['id']}/approve", json={})
    assert opened.status_code in (200, 201), opened.text
    return made.json()["id"]


async def test_a_daily_cap_holds(server: Served) -> None:
    """300 awards of 80 minutes at once against four hours a day: exactly three count."""
    subject = server.demo["resident"]["subject"]
    day = (datetime.now(ZoneInfo("Asia/Shanghai")) - timedelta(days=3)).date().isoformat()
    async with server.client(server.sign_in()) as staff:
        answers = await asyncio.gather(
            *(post(staff, "/v1/awards", hours(subject, f"{n}", 80, day), f"cap-{n}") for n in range(300))
        )
        assert {201} == {a.status_code for a in answers}, answers[0].text
        points = [a.json()["points"] for a in answers if a.json()["points"]]
    total = sum(points)

    # Three whole ones, unless the town's own history has used part of that day's four hours.
    assert total <= 400 and (total < 400 or 3 == len(points)), points
    server.jifen("verify")


async def test_one_retry_key_in_two_journals(server: Served) -> None:
    """The same retry key for subjects of two journals at the same moment: one 201, one 409."""
    async with server.client(server.sign_in("admin")) as admin, server.client(server.sign_in()) as staff:
        subjects = await _two_homes(server, admin)
        for attempt in range(10):
            one, other = await asyncio.gather(
                *(post(staff, "/v1/awards", hours(s, f"two-{attempt}"), f"both-{attempt}") for s in subjects)
            )
            assert [201, 409] == sorted((one.status_code, other.status_code)), (one.text, other.text)
            refused = one if one.status_code == 409 else other
            assert "idempotency_key_reused" == refused.json()["code"]
    server.jifen("verify")


async def _two_homes(server: Served, admin: httpx.AsyncClient) -> list[str]:
    raise NotImplementedError


async def test_a_batch_again_is_no_points_again(server: Served) -> None:
    """The same batch twice is answered again; half of it under another key brings not one point; same key with
    another body is refused."""
    subject = server.demo["resident"]["subject"]
    items = [hours(subject, f"batch-{n}", 10) for n in range(20)]
    async with server.client(server.sign_in()) as staff:
        first = await post(staff, "/v1/award-batches", {"items": items}, "batch")
        assert 201 == first.status_code, first.text
        after = await available(staff, subject)
        again = await post(staff, "/v1/award-batches", {"items": items}, "batch")
        half = await post(staff, "/v1/award-batches", {"items": items[:10]}, "half")
        other = await post(staff, "/v1/award-batches", {"items": items[:9]}, "batch")

        assert (201, "true") == (again.status_code, again.headers.get("idempotency-replayed"))
        assert first.json()["id"] == again.json()["id"]
        assert {"duplicate"} == {row["state"] for row in half.json()["rows"]}, half.text
        assert (409, "idempotency_key_reused") == (other.status_code, other.json()["code"])
        assert after == await available(staff, subject)
    server.jifen("verify")

# SPDX-License-Identifier: Apache-2.0
"""What we are measured against does what it is said to do, and the tail of latencies is read rightly."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from benchmarks.baselines import fastapi_award
from benchmarks.tail import Tail


async def test_the_baseline_awards_under_a_cap(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four hours a day and no more; the same request again is the same answer, another under its key is none."""
    monkeypatch.setenv("BASELINE_DATABASE_URL", database_url)
    await fastapi_award.prepare(database_url, "a token", ["sub_a"])
    app = fastapi_award.app
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://x") as client:

        async def award(minutes: int, key: str, token: str = "a token") -> tuple[int, Any]:
            body = {
                "subject": "sub_a",
                "indicator": "RE-01",
                "occurred_on": "2026-11-20",
                "facts": {"minutes": minutes},
            }
            headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
            answer = await client.post("/v1/awards", json=body, headers=headers)
            said = answer.json()
            return answer.status_code, (said["outcome"], said["balance"]) if answer.is_success else None

        assert (201, ("posted", 300)) == await award(180, "one")
        assert (201, ("posted", 300)) == await award(180, "one")
        assert (422, None) == await award(60, "one")
        assert (201, ("reduced", 400)) == await award(180, "two")
        assert (201, ("zero", 400)) == await award(60, "three")
        assert (401, None) == await award(60, "four", "another token")
        assert (422, None) == await award(0, "five")


def test_when_the_tail_is_back() -> None:
    """A fault at second 60, ten slow seconds after it: the first five quick ones begin at 70."""
    tail = Tail()
    for tenth in range(1000):
        tail.add(tenth / 10, 2.0 if 600 <= tenth < 700 else 0.02)
    before = tail.part(99, 0, 60)

    assert 0.02 == before
    assert 10.0 == tail.back_after(60.0, before, 2)
    assert float("inf") == tail.back_after(98.0, before, 2)

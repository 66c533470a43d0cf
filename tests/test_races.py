# SPDX-License-Identifier: Apache-2.0
"""Many clients at once against a real server: on PostgreSQL with two workers, on SQLite with its one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests import pg
from tests.serving import Served, served

LAST = 400  # four 分: what four hours earn


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One town and its server for all races here; each leaves behind what the others do not mind."""
    home = tmp_path_factory.mktemp("races")
    if request.param == "sqlite":
        with served(f"sqlite:///{home / 'jifen.db'}", home / "home") as running:
            yield running
        return
    postgres: pg.Server = request.getfixturevalue("postgres_server")
    with served(postgres.url(), home / "home", workers=2) as running:
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
    merchant = server.demo["merchant"]["id"]
    async with server.client(server.sign_in()) as staff, server.client(server.sign_in("approver")) as approver:
        made = await staff.post("/v1/people", json=person(f"{server.demo['journals'][0]}-01", "19900000004"))
        assert 201 == made.status_code, made.text
        subject = made.json()["subject"]
        given = await post(staff, "/v1/awards", hours(subject, "last", 240), "last")
        assert LAST == given.json()["points"], given.text
        offer = await _offer(staff, approver, merchant, LAST)
        body = {"offer": offer, "quantity": 1, "by": {"subject": subject}, "merchant": merchant}
        answers = await asyncio.gather(*(post(staff, "/v1/redemptions", body, f"last-{n}") for n in range(256)))
        outcomes = Counter("held" if a.status_code == 201 else a.json()["code"] for a in answers)

        assert {"held": 1, "insufficient_points": 255} == dict(outcomes)
        assert 0 == await available(staff, subject)
    server.jifen("verify")


async def _offer(proposer: httpx.AsyncClient, approver: httpx.AsyncClient, merchant: str, price: int) -> str:
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
    made = await proposer.post("/v1/offers", json=body)
    assert 201 == made.status_code, made.text
    opened = await approver.post(f"/v1/offers/{made.json()['id']}/approve", json={})
    assert opened.status_code in (200, 201), opened.text
    return made.json()["id"]


async def test_a_daily_cap_holds(server: Served) -> None:
    """300 awards of 80 minutes at once against four hours a day: exactly three count, whole."""
    async with server.client(server.sign_in()) as staff:
        made = await staff.post("/v1/people", json=person(f"{server.demo['journals'][0]}-01", "19900000003"))
        assert 201 == made.status_code, made.text
        subject = made.json()["subject"]
        answers = await asyncio.gather(
            *(post(staff, "/v1/awards", hours(subject, f"{n}", 80), f"cap-{n}") for n in range(300))
        )
        assert {201} == {a.status_code for a in answers}, answers[0].text

        assert [133, 133, 133] == [a.json()["points"] for a in answers if a.json()["points"]]
        assert 399 == await available(staff, subject)
    server.jifen("verify")


async def test_one_retry_key_in_two_journals(server: Served) -> None:
    """The same retry key for subjects of two journals at the same moment: one 201, one 409."""
    async with server.client(server.sign_in()) as staff:
        here, there = await _two_homes(server)
        for attempt in range(10):
            one, other = await asyncio.gather(
                *(post(staff, "/v1/awards", hours(s, f"two-{attempt}"), f"both-{attempt}") for s in (here, there))
            )
            assert [201, 409] == sorted((one.status_code, other.status_code)), (one.text, other.text)
            refused = one if one.status_code == 409 else other
            assert "idempotency_key_reused" == refused.json()["code"]
    server.jifen("verify")


async def _two_homes(server: Served) -> tuple[str, str]:
    """The resident, and somebody registered in another community."""
    async with server.client(server.sign_in("admin")) as admin, server.client(server.sign_in()) as staff:
        me = (await admin.get(f"/v1/subjects/{server.demo['resident']['subject']}")).json()
        other = next(journal for journal in server.demo["journals"] if not me["home"].startswith(journal))
        made = await staff.post("/v1/people", json=person(f"{other}-01", "19900000001"))
        assert 201 == made.status_code, made.text
        return me["subject"], made.json()["subject"]


def person(grid: str, phone: str) -> dict[str, Any]:
    return {
        "name": "张明华",
        "phone": phone,
        "birth": "1980-05-06",
        "grid": grid,
        "groups": ["G3"],
        "consents": {"ledger": True, "publication": False, "merchant": True, "ranking": True},
    }


async def test_a_deed_repeated_after_a_move(server: Served) -> None:
    """Whoever moves takes causes and caps along: the deed again is duplicate_cause, and the day's cap still counts."""
    async with server.client(server.sign_in()) as staff:
        old, new = server.demo["journals"][:2]
        made = await staff.post("/v1/people", json=person(f"{old}-01", "19900000002"))
        subject = made.json()["subject"]
        first = await post(staff, "/v1/awards", hours(subject, "deed", 200, place=old), "first")
        assert (201, 333) == (first.status_code, first.json().get("points")), first.text
        moved = await staff.patch(f"/v1/people/{subject}", json={"grid": f"{new}-01"})
        assert 200 == moved.status_code, moved.text
        again = await post(staff, "/v1/awards", hours(subject, "deed", 200, place=old), "again")
        more = await post(staff, "/v1/awards", hours(subject, "more", 200, place=new), "more")

        assert (409, "duplicate_cause") == (again.status_code, again.json()["code"])
        assert (201, "reduced", 66) == (
            more.status_code,
            more.json()["outcome"],
            more.json()["points"],
        )
    server.jifen("verify")


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

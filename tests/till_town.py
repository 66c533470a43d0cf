# SPDX-License-Identifier: Apache-2.0
"""A shop with a till and a family of three, for tests of who is recognised at the till and what the till learns."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from api.auth import KIND_SCOPES
from api.people.records import Consents, NewPerson
from api.settings import Settings
from api.world import World
from ledger.book import awards
from ledger.model import Act, Draft
from rules.register import SUBJECT, subject_row
from tests.application import application
from tests.conftest import Built
from tests.test_merchants_http import GRID, HERE, NOON, Counter, Do, _furnish, _offer, _shop

__all__ = ["HERE", "Till", "till", "till_town"]

SECOND = 1_000_000


class Till(Counter):
    """The counter of test_merchants_http with a clock that moves.

    王小红 (`resident`) has fifty points, her mother 李桂芳 (`mother`, 82) thirty, her neighbour 赵敏 (`neighbour`) two
    thousand and no wish to be known to shops.
    """

    now: int = NOON
    shop: str
    offer: str
    people: dict[str, str]
    cards: dict[str, dict[str, str]]

    async def token(self, who: str = "resident", **body: Any) -> str:
        made = await self.post(who, "/tokens", body)
        assert 201 == made.status_code, made.text
        return made.json()["token"]

    async def redeem(self, by: dict[str, str], who: str = "till", **more: Any) -> Any:
        """The code of the refusal, or the slip."""
        answer = await self.post(who, "/redemptions", {"offer": self.offer, "by": by, **more})
        return answer.json()["code"] if answer.status_code >= 400 else answer.json()

    async def ask(self, by: dict[str, str], offer: str = "", who: str = "till") -> Any:
        answer = await self.post(who, "/eligibility", {"offer": offer or self.offer, "by": by})
        return answer.json()["code"] if answer.status_code >= 400 else answer.json()

    async def more_offers(self, **changes: Any) -> str:
        return await _offer(self, **changes)

    async def more_shops(self, name: str, till: str) -> str:
        return await _shop(self, name, till)

    async def spent(self, who: str) -> int:
        rows = await self.world.ledger.fetch(
            "SELECT COALESCE(SUM(points), 0) FROM redemption WHERE subject = ?", self.people[who]
        )
        return int(rows[0][0])


async def _join(till: Till, who: str, name: str, phone: str, birth: date, points: int, **agreed: int) -> None:
    world = till.world
    new = NewPerson(
        name,
        phone,
        birth,
        HERE,
        GRID,
        Consents(**agreed),
        lambda subject, now: ((SUBJECT, subject_row(subject, "person", HERE, GRID, (), now)),),
    )
    subject = (await world.people.register(new, actor="system", base=100_000)).ref
    act = Act("system", "2022-06-15", b"{}", "txn_3", await world.people.data_key(subject))
    cause = world.ledger.cause("T-01", b"1", subject)
    draft = Draft("award", HERE, act, subject=subject, rule="T-01", cause=cause)
    given = Do(lambda view: awards.award(view, draft, standing=0, points=points, points_lot="2022-12-31"), HERE)
    await world.ledger.submit(given)
    card = await world.people.cards.issue(subject)
    till.people[who], till.cards[who] = subject, {"card": card.serial, "pin": card.pin}
    issued = await world.staff.sign_in_subject("resident", subject, KIND_SCOPES["resident"])
    till.tokens[who] = issued.token


async def till_town(url: str, home: Path) -> dict[str, Any]:
    """For the mark `schema(town=...)` of whoever takes `till`."""
    world = World(Settings(url, home), clock=lambda: NOON)
    await world.init()
    await world.open()
    till = Till(application(world), world)
    await _furnish(till, world)
    till.people, till.cards = {"resident": till.subject}, {"resident": till.card}
    await _join(till, "mother", "李桂芳", "13800000002", date(1940, 5, 1), 3_000)
    await _join(till, "neighbour", "赵敏", "13800000003", date(1970, 5, 1), 200_000, merchant=0)
    till.shop = await _shop(till)
    till.offer = await _offer(till)
    await till.http.aclose()
    await world.close()
    return till.known()


@pytest.fixture
async def till(town_copy: Built) -> AsyncIterator[Till]:
    made: list[Till] = []
    world = World(Settings(town_copy.url, town_copy.home), clock=lambda: made[0].now if made else NOON)
    await world.open()
    till = Till(application(world), world)
    till.goes_on(town_copy.known)
    made.append(till)
    yield till
    await till.http.aclose()
    await world.close()

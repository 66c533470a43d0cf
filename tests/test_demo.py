# SPDX-License-Identifier: Apache-2.0
"""The demo county: the same twice, true to its scale, open to whoever holds demo.json, careful about what it clears."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from api import demo
from api.commands import UsageError
from api.demo.lane import first_day, sessions
from api.demo.names import teams
from api.demo.places import COMMUNITIES, GRIDS, places
from api.demo.scale import Scale
from api.settings import Settings
from api.world import World
from ledger.audit import audit
from ledger.errors import Refusal
from merchants.model import Asker
from rules.desk import AwardRequest, Evidence
from rules.engine.recount import recount

AS_OF = date(2026, 3, 20)
MORNING = int(datetime(2026, 3, 20, 2, tzinfo=UTC).timestamp()) * 1_000_000  # 10:00 in Shanghai
CONTRACT = {
    "base_url": str,
    "county": str,
    "journals": list,
    "staff": {"username", "password"},
    "approver": {"username", "password"},
    "second_approver": {"username", "password"},
    "auditor": {"username", "password"},
    "admin": {"username", "password"},
    "merchant": {"id", "key", "terminal"},
    "resident": {"subject", "token", "card", "pin"},
    "body": {"subject", "token"},
    "offers": {"id", "scenario", "price"},
    "indicators": {"code", "facts", "evidence"},
}


@dataclass
class Built:
    settings: Settings
    said: demo.Demo


async def build(home: Path, url: str | None = None, people: int = 20, **more: Any) -> Built:
    settings = Settings(url or f"sqlite:///{home / 'jifen.db'}", home)
    return Built(settings, await demo.build(settings, people=people, as_of=AS_OF, **more))


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """One small town for all tests that only use it."""
    return asyncio.run(build(tmp_path_factory.mktemp("town")))


@pytest.fixture
def own(town: Built, tmp_path: Path) -> Built:
    """The same town in a copy, for a test in which something happens."""
    home = tmp_path / "own"
    shutil.copytree(town.settings.home, home)
    return Built(Settings(f"sqlite:///{home / 'jifen.db'}", home), town.said)


@asynccontextmanager
async def opened(built: Built) -> AsyncIterator[World]:
    world = World(built.settings, clock=lambda: MORNING)
    await world.open()
    try:
        yield world
    finally:
        await world.close()


async def story(built: Built) -> dict[str, list[Any]]:
    """What must come out the same: who has what, and the order of what happened."""
    async with opened(built) as world:
        return {
            name: [tuple(row) for row in await world.ledger.fetch(sql)]
            for name, sql in {
                "balances": "SELECT account, unit, lot, amount FROM balance "
                "WHERE account LIKE 'subject:%' OR account LIKE 'minus:%' ORDER BY account, unit, lot",
                "entries": "SELECT journal, seq, kind, subject, recorded_at FROM entry ORDER BY journal, seq",
                "orders": "SELECT redemption, subject, points, day FROM redemption ORDER BY redemption",
                "statements": "SELECT merchant, period, state, points, fen FROM settlement ORDER BY merchant, period",
                "budgets": "SELECT budget, limit_fen, spent FROM budget ORDER BY budget",
                "editions": "SELECT id, list, period, place, version, state FROM edition ORDER BY id",
                "lines": "SELECT edition, line, state, until FROM edition_line ORDER BY edition, line",
                "hats": "SELECT subject, home, grid, groups FROM subject ORDER BY subject",
            }.items()
        }


async def test_the_same_seed_makes_the_same_town(town: Built, database_url: str, tmp_path: Path) -> None:
    """Seed, people and day decide who there is, what they have, and in which order; also on the other database."""
    again = await build(tmp_path / "home", database_url)
    assert await story(town) == await story(again)
    secret = {"staff", "approver", "second_approver", "auditor", "admin"}
    assert not {town.said[name]["password"] for name in secret} & {again.said[name]["password"] for name in secret}
    assert town.said["resident"]["subject"] == again.said["resident"]["subject"]
    assert town.said["resident"]["token"] != again.said["resident"]["token"]
    assert town.said["offers"] == again.said["offers"]
    assert town.said["merchant"]["key"] != again.said["merchant"]["key"]


async def test_another_seed_makes_another_town(town: Built, tmp_path: Path) -> None:
    """Nobody of one town lives in the other."""
    other = await build(tmp_path / "home", seed=2)
    first, second = ({row[0] for row in found["hats"]} for found in (await story(town), await story(other)))
    assert first and second and not first & second


async def test_demo_json_is_what_was_promised(town: Built) -> None:
    """The fields of the contract, for the owner's eyes only."""
    path = town.settings.home / "demo.json"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    said = orjson.loads(path.read_bytes())
    assert dict(town.said) == said
    for name, shape in CONTRACT.items():
        if isinstance(shape, type):
            assert isinstance(said[name], shape)
        else:
            for one in said[name] if isinstance(said[name], list) else [said[name]]:
                assert shape == set(one)
    assert list(COMMUNITIES) == said["journals"] and said["offers"] and said["indicators"]
    assert (20, 1, "2026-03-20") == (said["people"], said["seed"], said["as_of"])


async def test_the_books_hold(town: Built) -> None:
    """The chain is whole and every balance follows from it; no row of the story was refused."""
    counts = town.said.counts
    assert counts["posted"] > 50 and counts["redemptions"] > 0 and counts["reversed"] > 0 and counts["moved"] == 1
    assert not counts.get("refused") and not counts.get("duplicate") and not counts["changed"]
    async with opened(town) as world:
        assert [] == (await audit(world.ledger)).findings
        awards = await world.ledger.fetch("SELECT id FROM award WHERE seq IS NOT NULL")
        records = [await world.desk.records.award(award) for (award,) in awards]
    told = [(record, record.trace) for record in records if record.trace is not None]
    assert len(told) > 50
    assert [] == [one.id for one, trace in told if (one.standing, one.points) != recount(trace)]


async def test_the_listed_awards_count_today(own: Built) -> None:
    """Each listed indicator, as the listed worker would post it, gives the resident points on the spot."""
    async with opened(own) as world:
        signed = await world.staff.sign_in(**own.said["staff"])
        caller = await world.gate.caller(signed.token)
        assert caller is not None
        subject = own.said["resident"]["subject"]
        for one in own.said["indicators"]:
            proof = tuple(Evidence(**item) for item in one["evidence"])
            request = AwardRequest(subject, one["code"], AS_OF, one["facts"], evidence=proof)
            answer = await world.desk.award(caller.actor, request)
            assert "posted" == answer.record.state and answer.record.points > 0


async def test_the_listed_offers_can_be_had_today(own: Built) -> None:
    """At the listed till, with the resident's card and PIN."""
    async with opened(own) as world:
        caller = await world.gate.caller(own.said["merchant"]["key"])
        assert caller is not None and caller.merchant == own.said["merchant"]["id"]
        till = Asker(caller.id, merchant=caller.merchant, terminal=own.said["merchant"]["terminal"])
        by = {name: own.said["resident"][name] for name in ("card", "pin")}
        for offer in own.said["offers"]:
            slip = await world.shop.redeem(till, offer=offer["id"], by=by, capture=True)
            assert ("captured", offer["price"]) == (slip.state, slip.points)
        with pytest.raises(Refusal, match="not_identified"):
            await world.shop.redeem(till, offer=own.said["offers"][0]["id"], by={**by, "pin": "0000000"})


async def test_what_people_carry(own: Built) -> None:
    """The resident has a voucher and stands in for an elder; a neighbour's voucher was shown twice and taken once."""
    async with opened(own) as world:
        resident = own.said["resident"]["subject"]
        [paper] = await world.vouchers.of(resident)
        assert ("open", 1_200) == (paper.state(MORNING), paper.voucher.points)
        assert {"acts", "relative"} == {one.kind for one in await world.counter.proxies.for_whom(resident)}
        lines = await world.ledger.fetch("SELECT result, reason FROM voucher_line ORDER BY counter")
        assert [("captured", ""), ("dispute", "used")] == lines


async def test_the_tokens_stand_for_whom_they_say(own: Built) -> None:
    """Resident, body and every member of staff come in."""
    async with opened(own) as world:
        for name in ("resident", "body"):
            caller = await world.gate.caller(own.said[name]["token"])
            assert caller is not None and (name, own.said[name]["subject"]) == (caller.kind, caller.subject)
        for name in ("approver", "second_approver", "auditor", "admin"):
            assert (await world.staff.sign_in(**own.said[name])).scopes


async def test_a_demo_that_is_there_stays(town: Built) -> None:
    """Without force nothing is built and nothing changes."""
    before = (town.settings.home / "demo.json").read_bytes()
    again = await demo.build(town.settings, people=50, seed=9)
    assert dict(town.said) == dict(again) and "--force" in again.lines[0]
    assert before == (town.settings.home / "demo.json").read_bytes()


async def test_an_empty_deployment_is_used_as_it_is(database_url: str, tmp_path: Path) -> None:
    """Keys that `jifen init` has made, and perhaps somebody has put on paper, stay."""
    settings = Settings(database_url, tmp_path / "home")
    await World(settings).init()
    origin = (settings.home / "origin").read_text()
    await build(settings.home, database_url, people=3)
    assert (settings.home / "origin").read_text() == origin


async def test_force_starts_a_new_origin(database_url: str, tmp_path: Path) -> None:
    """The old county goes, with its keys; also one that was broken off before its logins were written."""
    home = tmp_path / "home"
    first = await build(home, database_url, people=3)
    origin = (home / "origin").read_text()
    second = await build(home, database_url, people=3, force=True)
    assert (home / "origin").read_text() != origin
    assert first.said["resident"]["subject"] == second.said["resident"]["subject"]
    (home / "demo.json").unlink()
    await build(home, database_url, people=3)


async def test_a_real_county_is_left_alone(database_url: str, tmp_path: Path) -> None:
    """With or without force: what no demo has made is refused, and still there."""
    settings = Settings(database_url, tmp_path / "home")
    world = World(settings)
    await world.init()
    await world.open()
    await world.staff.create(None, "admin", "a real password", [{"role": "county_admin", "place": "370321"}])
    await world.close()
    for force in (False, True):
        with pytest.raises(UsageError, match="not a demo's"):
            await demo.build(settings, people=3, as_of=AS_OF, force=force)
    await world.open()
    assert await world.ledger.fetch("SELECT username FROM staff") == [("admin",)]
    await world.close()


@pytest.mark.parametrize(
    "wrong", [{"people": 1}, {"as_of": "yesterday"}, {"as_of": "2999-01-01"}, {"as_of": "2022-06-01"}]
)
async def test_impossible_wishes_are_refused(wrong: dict[str, Any], tmp_path: Path) -> None:
    """A sentence, and nothing made."""
    settings = Settings(f"sqlite:///{tmp_path / 'home' / 'jifen.db'}", tmp_path / "home")
    with pytest.raises(UsageError):
        await demo.build(settings, **wrong)
    assert not settings.home.exists()


async def test_a_year_of_the_county_is_as_on_record(tmp_path: Path) -> None:
    """The peak month's awards to the piece, the year's redemptions, all eight groups, all ends of an order."""
    built = await build(tmp_path / "home", people=400)
    scale = Scale.of(400)
    async with opened(built) as world:
        rows = await world.ledger.fetch(
            "SELECT count(*) FROM award WHERE indicator = 'RE-01' AND occurred_on LIKE '2025-03-%'"
        )
        assert [(scale.peak_awards,)] == [tuple(row) for row in rows]
        groups = await world.ledger.fetch("SELECT DISTINCT grp FROM award ORDER BY grp")
        assert [f"G{n}" for n in range(1, 9)] == [group for (group,) in groups]
        assert 0.8 * scale.redemptions < built.said.counts["redemptions"] <= scale.redemptions + 1
        kinds = {kind for (kind,) in await world.ledger.fetch("SELECT DISTINCT kind FROM entry")}
        assert {"open", "policy", "award", "hold", "capture", "release", "refund", "reverse", "move", "settle"} <= kinds
        paid = await world.ledger.fetch(
            "SELECT DISTINCT period, state FROM settlement WHERE points > 0 ORDER BY period"
        )
        assert {"settled"} == {state for period, state in paid if period < "2026-02"}
        assert {"open", "agreed", "disputed"} >= {state for period, state in paid if period == "2026-02"}
        money = await world.ledger.fetch("SELECT limit_fen, spent FROM budget")
        assert any(spent for _, spent in money) and all(spent <= limit * 100 for limit, spent in money)
        waiting = await world.ledger.fetch("SELECT count(*) FROM approval WHERE state = 'open'")
        assert 1 == waiting[0][0]
        assert [] == (await audit(world.ledger)).findings


def test_the_county_is_drawn_to_scale() -> None:
    """Two streets, fifteen communities, 140 grids; at full size the figures of the public record."""
    levels = [place.level for place in places()]
    assert (1, 2, 15, GRIDS) == tuple(levels.count(level) for level in ("county", "street", "community", "grid"))
    whole = Scale.of(20_000)
    assert (206, 1_967, 3_925) == (whole.teams, whole.building_heads, whole.unit_heads)
    assert (4_572, 4_790, 3_800) == (whole.peak_awards, whole.redemptions, whole.party_members)
    assert 206 <= len({(name, home) for name, _, home in teams()})


@pytest.mark.parametrize("as_of", [date(2026, 3, 1), date(2026, 3, 2), date(2024, 2, 29), date(2025, 12, 31)])
def test_the_history_ends_the_day_before(as_of: date) -> None:
    """Thirteen calendar months; sessions in order, each day of them behind us, every full month with its sheets."""
    made = sessions(as_of)
    assert made == sorted(made, key=lambda one: (one.day, one.sheet)) and made[-1].day < as_of
    assert first_day(as_of) == made[0].since
    assert (13 if as_of.day > 1 else 12) == sum(one.sheet for one in made)

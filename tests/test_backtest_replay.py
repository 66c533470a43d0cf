# SPDX-License-Identifier: Apache-2.0
"""History from the ledger, replayed and compared: what is right is found right, what is wrong is named."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from datetime import date, timedelta

import orjson
import polars as pl
import pytest

from ledger.book import accounts
from ledger.model import Act
from ledger.view import View
from rules.backtest.history import read_history
from rules.backtest.replay import replay
from rules.backtest.report import report
from rules.desk import AwardRequest, Evidence
from rules.desk import assess as desk_assess
from rules.engine.evaluate import Outcome, evaluate
from rules.engine.model import Pack
from rules.engine.values import Fixed
from rules.tables import AWARD, SUBJECT
from tests import ledgers
from tests.town import APPROVER, CLERK, EAST, PEOPLE, SHOP, STREETER, TODAY, WEST, Town, hours

pytestmark = pytest.mark.schema("ledger", "rules")

DAY_US = 86_400_000_000
PROOF = (Evidence("inspection", "E2"),)


class Vault:
    """The town's keys, as the people room gives them."""

    def __init__(self, town: Town) -> None:
        self.safe = town.safe

    async def known_keys(self, subjects: Collection[str]) -> dict[str, bytes]:
        return {one: await self.safe.data_key(one) for one in subjects if one not in self.safe.burnt}


@pytest.fixture
async def town(database_url: str) -> AsyncIterator[Town]:
    town = await Town(database_url).open()
    yield town
    await town.close()


async def live(town: Town) -> None:
    """Some weeks: caps reached, reversals, an approval a month later, a replacement, a move, a deduction."""
    desk = town.desk
    for number, minutes in enumerate((200, 100, 30)):  # four hours a day count
        first = await desk.award(CLERK, hours(PEOPLE[1], minutes, start=f"{number}"))
        if number == 0:
            taken = first.record.id
    await desk.award(CLERK, hours(PEOPLE[2], 240, level="E1"))
    await desk.award(STREETER, hours(PEOPLE[3], 90))
    await desk.reverse(CLERK, taken, reason="登记有误", occurred_on=TODAY.isoformat())
    await desk.award(CLERK, hours(PEOPLE[1], 120, start="9", replaces=None))
    await desk.award(CLERK, hours(PEOPLE[1], 60, start="0", replaces=taken))
    sheet = [(n + 2, hours(PEOPLE[n], 120, level="", start="s")) for n in (4, 5, 6)]
    waiting = (await desk.commit(CLERK, sheet, source="sheet", ask=True)).record
    minus = await desk.award(STREETER, AwardRequest(SHOP, "MK-08", TODAY, evidence=(Evidence("decision", "E3"),)))
    town.now += 40 * DAY_US  # a slow approval is not a late report
    for target in (waiting.id, minus.record.id):
        rows = await town.ledger.fetch("SELECT id FROM approval WHERE target = ?", target)
        await desk.approve(APPROVER, rows[0][0])

    def move(view: View) -> None:
        accounts.move(view, EAST, WEST, Act("system", TODAY.isoformat(), b"{}", "txn_m"), subject=PEOPLE[1])
        row = view.get(SUBJECT, PEOPLE[1])
        assert row is not None
        view.put(SUBJECT, (*row[:2], WEST, WEST, *row[4:]))

    await town.run(move)
    late = TODAY + timedelta(days=20)
    for number in range(3):
        await desk.award(STREETER, hours(PEOPLE[1], 150, day=late, start=f"w{number}"))
    last = await desk.award(STREETER, hours(PEOPLE[1], 600, day=late + timedelta(days=1), start="w"))
    await desk.reverse(STREETER, last.record.id, reason="登记有误", occurred_on=late.isoformat())


async def test_the_packs_of_the_shelf_reproduce_the_ledger(town: Town) -> None:
    """Caps, reversals, approvals, a replacement, a move: to the unit."""
    await live(town)
    done = await replay(town.ledger, Vault(town), town.desk.shelf)
    assert [] == done.differences
    assert (await town.entries("award") + await town.entries("deduct"), 2) == (done.awards, done.reversals)
    assert done.awards == 15


async def test_a_replacement_that_adds_what_is_lacking(town: Town) -> None:
    """What stayed of the award before it counts for the deed: no difference."""
    first = (await town.desk.award(CLERK, hours(PEOPLE[1], 120))).record
    await ledgers.relot(town.ledger, EAST, PEOPLE[1], "2023-12-31", "2024-06-30", 150)
    await town.desk.reverse(CLERK, first.id, reason="登记有误", occurred_on=TODAY.isoformat())
    made = (await town.desk.award(CLERK, hours(PEOPLE[1], 110, replaces=first.id))).record
    assert 183 - 150 == made.points
    assert [] == (await replay(town.ledger, Vault(town), town.desk.shelf)).differences


async def test_a_history_is_in_ledger_order_across_a_move(town: Town) -> None:
    """A subject's awards come in the order of its life; facts only while the key is there."""
    await live(town)
    town.safe.burnt.add(PEOPLE[2])
    history = await read_history(town.ledger, Vault(town))
    row = history.people["subject"].to_list().index(PEOPLE[1])
    mine = history.events.filter(pl.col("subject") == row)
    assert [EAST] * 5 + [WEST] * 4 == mine["journal"].to_list()
    assert [200, 100, 30, 120, 60, 150, 150, 150, 600] == [history.facts[n]["minutes"] for n in mine["facts"]]
    backs = mine.select("order", "back").drop_nulls().rows()
    assert len(backs) == 2 and all(order < back for order, back in backs)
    assert [(None, None)] == history.events.filter(pl.col("facts").is_null()).select("facts", "posted_on").rows()
    part = await read_history(town.ledger, Vault(town), first=TODAY + timedelta(days=1))
    assert part.events.height == 4


async def test_a_wrong_amount_is_listed(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry that a desk got wrong is named, with what should stand there and what does."""
    await town.desk.award(CLERK, hours(PEOPLE[1], 60))

    def generous(*args: object, **given: object) -> object:
        outcome = evaluate(*args, **given)  # type: ignore[arg-type]
        assert isinstance(outcome, Outcome)
        return outcome._replace(points=outcome.points + 1)

    monkeypatch.setattr(desk_assess, "evaluate", generous)
    wrong = (await town.desk.award(CLERK, hours(PEOPLE[2], 60))).record
    monkeypatch.undo()
    done = await replay(town.ledger, Vault(town), town.desk.shelf)
    assert [(EAST, wrong.seq, "points", 100, 101)] == done.differences
    nothing = await replay(town.ledger, Vault(town), town.desk.shelf, first=TODAY + timedelta(days=1))
    assert ([], 0) == (nothing.differences, nothing.awards)


async def test_a_wrong_cap_is_listed_with_all_that_follow(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tally that was not counted shows in that entry, and in the next one that found it so."""

    def forgetful(*args: object, **given: object) -> object:
        outcome = evaluate(*args, **given)  # type: ignore[arg-type]
        assert isinstance(outcome, Outcome)
        return outcome._replace(caps=tuple(cap._replace(let=0) for cap in outcome.caps))

    monkeypatch.setattr(desk_assess, "evaluate", forgetful)
    one = (await town.desk.award(CLERK, hours(PEOPLE[1], 200, start="1"))).record
    monkeypatch.undo()
    two = (await town.desk.award(CLERK, hours(PEOPLE[1], 200, start="2"))).record
    done = await replay(town.ledger, Vault(town), town.desk.shelf)
    assert [(two.seq, "points"), (one.seq, "caps"), (two.seq, "caps")] == [found[1:3] for found in done.differences]
    assert (66, 333) == done.differences[0][3:]  # 40 minutes are left of four hours
    expected, found = done.differences[1][3:]
    let = {cap["id"]: cap["let"] for cap in expected}
    assert (200, 200) == (let["RE-01/day"], let["RE-01/year"])
    assert not any(cap["let"] for cap in found)


async def test_what_the_desk_says_otherwise_than_the_ledger_is_listed(town: Town) -> None:
    """A changed amount in the desk's table, a request that does not open, an award that is gone."""
    records = [(await town.desk.award(CLERK, hours(PEOPLE[n], 60))).record for n in (1, 2, 4, 5)]

    def spoil(view: View) -> None:
        changed, closed = (view.get(AWARD, record.id) for record in records[:2])
        assert changed is not None and closed is not None
        view.put(AWARD, (*changed[:16], 900, *changed[17:]))
        view.put(AWARD, (*closed[:22], b"nothing"))
        view.remove(AWARD, records[2].id)

    await town.run(spoil)
    town.safe.burnt.add(PEOPLE[5])
    done = await replay(town.ledger, Vault(town), town.desk.shelf)
    said = {(seq, what) for _, seq, what, _, _ in done.differences}
    assert {(records[0].seq, "desk"), (records[1].seq, "sealed"), (records[2].seq, "no_award")} == said
    assert (1, 1) == (done.awards, done.erased)


def dearer(pack: Pack) -> Pack:
    """The pack with hours at twice the points, and with monthly inspections at none."""
    rules = dict(pack.indicators)
    points = rules["RE-01"].points
    assert points is not None
    rules["RE-01"] = rules["RE-01"].model_copy(update={"points": points.model_copy(update={"amount": 200})})
    rules["RE-05"] = rules["RE-05"].model_copy(update={"points": Fixed(kind="fixed", amount=0), "standing": None})
    return pack.model_copy(update={"indicators": rules, "version": "2.0.0", "effective_from": date(2030, 1, 1)})


async def test_a_report_says_who_gains_and_who_loses(town: Town) -> None:
    """Old and new points, budget, people newly out; what was taken back is left out, erased people are carried."""
    await live(town)
    for number in range(4, 10):
        place = STREETER if number == 7 else CLERK
        await town.desk.award(place, AwardRequest(PEOPLE[number], "RE-05", TODAY + timedelta(days=30), evidence=PROOF))
    town.safe.burnt.add(PEOPLE[3])
    first, last = TODAY, TODAY + timedelta(days=60)
    said = await report(town.ledger, Vault(town), town.desk.shelf, dearer(town.desk.shelf.newest()), first, last)
    rules = {row["code"]: row for row in said["rules"]}
    hours_points = await town.ledger.fetch(
        "SELECT SUM(CASE WHEN subject = ? THEN points ELSE 2 * points END) FROM award "
        "WHERE indicator = 'RE-01' AND state = 'posted'",
        PEOPLE[3],
    )
    per_inspection = rules["RE-05"]["old"]["points"] // 6
    assert (6, 6, 0) == (rules["RE-05"]["people"], rules["RE-05"]["awards"], rules["RE-05"]["new"]["points"])
    assert per_inspection > 0
    # Doubling before rounding gives up to one hundredth more for each award.
    assert 0 <= rules["RE-01"]["new"]["points"] - int(hours_points[0][0]) <= 15
    assert (2, 1) == (said["deeds"]["taken_back"], said["deeds"]["carried"])
    persons = said["people"][0]
    assert persons["kind"] == "person" and persons["newly_in"] == 0 and persons["newly_out"] is None
    assert "sub_" not in orjson.dumps(said).decode()


async def test_a_pack_that_is_in_force_changes_nothing(town: Town) -> None:
    """The current pack over its own history: old and new are the same in every row."""
    await live(town)
    pack = town.desk.shelf.newest()
    said = await report(town.ledger, Vault(town), town.desk.shelf, pack, TODAY, TODAY + timedelta(days=60))
    for rows in ("months", "rules", "groups", "deciles", "grids"):
        assert all(row["old"] == row["new"] for row in said[rows]), rows
    assert all(cap["old"] == cap["new"] for cap in said["caps"])
    assert said["deeds"]["refused"] == {}

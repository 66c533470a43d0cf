# SPDX-License-Identifier: Apache-2.0
"""Cooling-off: what a pack lets wait is posted on its day, not before, and can be sent back until then."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from rules.desk import Desk
from rules.engine.model import Pack
from rules.engine.pack import builtin_pack
from rules.shelf import Shelf
from tests.test_desk_award import refused
from tests.town import APPROVER, CLERK, EAST, PEOPLE, STREETER, Map, Town, hours

pytestmark = pytest.mark.schema("ledger", "rules")

DAY_US = 86_400_000_000


def cooled(code: str, **more: Any) -> Pack:
    """The founding pack with a cooling-off of three days on one indicator."""
    pack = builtin_pack("huantai")
    changed: Mapping[str, Any] = {code: pack.indicators[code].model_copy(update={"cooling": 3, **more})}
    return pack.model_copy(update={"indicators": {**pack.indicators, **changed}})


@pytest.fixture
async def town(database_url: str) -> AsyncIterator[Town]:
    town = Town(database_url)
    await town.open()
    town.desk = Desk(town.ledger, town.safe, Map(), Shelf([cooled("RE-01")]))
    yield town
    await town.close()


async def test_posted_on_its_day_and_not_before(town: Town) -> None:
    """Three days wait, whoever asks; then the job posts it, as the report would have been judged on its own day."""
    record = (await town.desk.award(CLERK, hours(PEOPLE[0]))).record
    assert (record.state, record.points, record.receipt) == ("awaiting_approval", 100, None)
    (waiting,) = await town.ledger.fetch("SELECT id FROM approval")
    approval = await town.desk.records.approval(waiting[0])
    assert [one["code"] for one in approval.why] == ["cooling_off"] and approval.why[0]["until"] == "2022-06-18"
    for _ in range(3):
        assert await town.desk.ripen() == 0 and await town.points(PEOPLE[0]) == 0
        said = await refused("cooling_off", town.desk.approve(APPROVER, approval.id, etag=approval.etag))
        assert said.facts["until"] == "2022-06-18"
        town.now += DAY_US
    assert await town.desk.ripen() == 1 and await town.desk.ripen() == 0
    done = await town.desk.records.award(record.id)
    assert (done.state, done.points, done.approver) == ("posted", 100, "system")
    assert await town.points(PEOPLE[0]) == 100


async def test_sent_back_before_its_day(town: Town) -> None:
    """Until then an approver may refuse it, and nothing has ever been posted."""
    record = (await town.desk.award(CLERK, hours(PEOPLE[0]))).record
    ((id_,),) = await town.ledger.fetch("SELECT id FROM approval")
    await town.desk.reject(APPROVER, id_, reason="没有到场")
    town.now += 5 * DAY_US
    assert await town.desk.ripen() == 0
    assert (await town.desk.records.award(record.id)).state == "rejected" and await town.entries("award") == 0


async def test_time_alone_confirms_nothing(town: Town) -> None:
    """A sheet that nobody else stood by stays what it was: its hours feed standing only, also after the wait."""
    rows = [(2, hours(PEOPLE[0], 60, level="")), (3, hours(PEOPLE[1], 60, level=""))]
    record = (await town.desk.commit(STREETER, rows, source="sheet")).record
    assert record.state == "awaiting_approval"
    town.now += 3 * DAY_US
    assert await town.desk.ripen() == 1
    done = await town.desk.records.batch(record.id)
    assert (done.state, done.approver, done.points) == ("posted", "system", 0)
    assert await town.entries("award") == 2


async def test_both_a_second_person_and_time(database_url: str) -> None:
    """Where a second person is asked as well, time alone posts nothing, and the person cannot shorten it."""
    town = Town(database_url)
    await town.open()
    town.desk = Desk(town.ledger, town.safe, Map(), Shelf([cooled("RE-01", approval="second_person")]))
    await town.desk.award(CLERK, hours(PEOPLE[0]))
    ((id_,),) = await town.ledger.fetch("SELECT id FROM approval")
    await refused("cooling_off", town.desk.approve(APPROVER, id_))
    town.now += 3 * DAY_US
    assert await town.desk.ripen() == 0
    await town.desk.approve(APPROVER, id_)
    assert await town.points(PEOPLE[0]) == 100
    await town.close()


async def test_the_take_over_window_waits_for_nothing(database_url: str) -> None:
    """Deeds of the past are entered at once."""
    town = Town(database_url)
    await town.open(takeover=True)
    town.desk = Desk(town.ledger, town.safe, Map(), Shelf([cooled("RE-01")]))
    record = (await town.desk.award(CLERK, hours(PEOPLE[0]))).record
    assert record.state == "posted" and record.journal == EAST
    await town.close()

# SPDX-License-Identifier: Apache-2.0
"""What does not look right is found, what only looks odd is left alone, and looking is written down."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from rules.desk import Evidence
from rules.watch.anomalies import HAND_PEOPLE, OWN_GRID_DEEDS, ROWS_ALONE, findings
from rules.watch.deeds import Deed, deeds
from tests.town import CLERK, EAST, PEOPLE, TODAY, Town, hours

pytestmark = pytest.mark.schema("ledger", "rules")

SECOND_US = 1_000_000
_made = iter(range(10**9))


def deed(subject: str = "sub_a", **more: Any) -> Deed:
    """Two hours on one morning, a minute after the one before."""
    number = next(_made)
    plain = Deed(
        f"awd_{number}", subject, "g1", "RE-01", "p1", "2022-06-15", "", 120, "stf_1", None,
        number * 600 * SECOND_US, None, (),
    )  # fmt: skip
    return plain._replace(**more)


def kinds(*there: Deed, **more: Any) -> list[str]:
    return [one.kind for one in findings(there, more.pop("staff", {}), **more)]


def test_more_than_a_day_has() -> None:
    """24 hours are possible and 24 hours and a minute are not; of two people each has a day."""
    assert [] == kinds(deed(minutes=1400), deed(minutes=40), deed("sub_b", minutes=1440))
    assert ["over_24_hours"] == kinds(deed(minutes=1400), deed(minutes=41))
    assert [] == kinds(deed(minutes=1400), deed(minutes=41, day="2022-06-16"))


def test_two_places_at_once() -> None:
    """From nine to eleven here, from half past ten there; one after the other is a full morning."""
    assert ["two_at_once"] == kinds(deed(start="09:00"), deed(start="10:59", place="p2"))
    assert [] == kinds(deed(start="09:00"), deed(start="11:00", place="p2"))
    assert [] == kinds(deed(start="09:00"), deed("sub_b", start="09:30", place="p2"))
    assert [] == kinds(deed(start="第1行"), deed(start="第1行", place="p2"))


def test_hours_that_come_all_at_once() -> None:
    """Three days' deeds of one person within two minutes; not a sheet, and not over an afternoon."""
    days = ("2022-06-13", "2022-06-14", "2022-06-15")
    quick = [deed(day=day, created_at=n * 30 * SECOND_US) for n, day in enumerate(days)]
    assert ["burst"] == kinds(*quick)
    assert [] == kinds(*quick[:2])
    assert [] == kinds(*(one._replace(batch="bat_1") for one in quick))
    assert [] == kinds(*(one._replace(created_at=n * 90 * SECOND_US) for n, one in enumerate(quick)))


def test_one_device_and_one_picture() -> None:
    """A phone shared by two is a family, by three a question; a picture of one event is its proof, reused it is not."""
    phone = ({"kind": "check_in", "level": "E2", "reference": "device-7"},)
    assert [] == kinds(deed("sub_a", evidence=phone), deed("sub_b", evidence=phone))
    assert ["same_device"] == kinds(*(deed(who, evidence=phone) for who in ("sub_a", "sub_b", "sub_c")))
    picture = ({"kind": "photo", "level": "E1", "sha256": "ab" * 32},)
    assert [] == kinds(*(deed(who, evidence=picture) for who in ("sub_a", "sub_b", "sub_c")))
    assert ["same_photo"] == kinds(deed(evidence=picture), deed(evidence=picture, day="2022-06-22"))


def test_more_people_than_one_can_have_seen() -> None:
    """One hand's capacity is its own where it is known."""
    many = [deed(f"sub_{n}", batch="bat_1") for n in range(HAND_PEOPLE + 1)]
    assert [] == kinds(*many[1:])
    assert ["one_hand"] == kinds(*many)
    vouched = ({"kind": "sign_in_sheet", "level": "E2", "confirmed_by": "cfm_1"},)
    few = [deed(f"sub_{n}", evidence=vouched) for n in range(4)]
    assert [] == kinds(*few) and ["one_hand"] == kinds(*few, capacity={"cfm_1": 3})


def test_mostly_the_own_grid() -> None:
    """More than half of ten and more; a grid that is nobody's own is no matter."""
    near = [deed(f"sub_{n}") for n in range(OWN_GRID_DEEDS)]
    far = [deed(f"sub_far{n}", grid="g2") for n in range(OWN_GRID_DEEDS)]
    assert ["own_grid"] == kinds(*near, staff={"stf_1": "g1"})
    assert [] == kinds(*near, *far, staff={"stf_1": "g1"}) and [] == kinds(*near, staff={"stf_1": "g9"})
    assert [] == kinds(*near[1:], staff={"stf_1": "g1"})


def test_a_batch_cut_up() -> None:
    """Two batches of a day that together needed a second person; approved ones and one alone are in order."""
    cut = [deed(f"sub_{n}", batch=f"bat_{n % 2}", created_at=n, minutes=0) for n in range(ROWS_ALONE + 1)]
    assert ["split"] == kinds(*cut)
    assert [] == kinds(*cut[1:]) and [] == kinds(*(one._replace(approver="stf_2") for one in cut))
    assert [] == kinds(*(one._replace(batch="bat_1") for one in cut))
    assert ["split"] == kinds(*(one._replace(batch=None) for one in cut))  # one by one
    assert ["split"] == kinds(*(one._replace(approver="system") for one in cut))  # time saw them, nobody else


@pytest.fixture
async def town(database_url: str) -> AsyncIterator[Town]:
    town = await Town(database_url).open()
    yield town
    await town.close()


async def test_deeds_as_the_desk_stored_them(town: Town) -> None:
    """Reports are opened for the search, of the days and places asked for; who was erased is no longer read."""
    proof = (Evidence("check_in", "E2", None, "device-7"),)
    for subject in PEOPLE[:3]:
        await town.desk.award(CLERK, hours(subject, 60, start="09:00", place=EAST)._replace(evidence=proof))
    there = await deeds(town.ledger, town.safe, EAST, TODAY.isoformat(), TODAY.isoformat())
    assert sorted((one.subject, one.minutes, one.start, one.proposer) for one in there) == [
        (subject, 60, "09:00", CLERK.id) for subject in PEOPLE[:3]
    ]
    assert ["same_device"] == [one.kind for one in findings(there, {})]
    assert [] == await deeds(town.ledger, town.safe, "999", TODAY.isoformat(), TODAY.isoformat())
    assert [] == await deeds(town.ledger, town.safe, EAST, "2022-06-16", "2022-06-30")
    town.safe.burnt.add(PEOPLE[0])
    assert 2 == len(await deeds(town.ledger, town.safe, EAST, TODAY.isoformat(), TODAY.isoformat()))

# SPDX-License-Identifier: Apache-2.0
"""Impact assessments: who records them, who reads what, which of them decides, and that shops wait for one. And who
reads the fairness report."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.errors import Refusal
from tests.assessed import COUNTY, assess
from tests.front import DAY, DAY_US, HERE, PROOF, STREET, THERE, Front, front, prepared  # noqa: F401

pytestmark = pytest.mark.schema()

PAPER = {
    "purpose": "merchant",
    "place": STREET,
    "title": "商户兑换的影响评估",
    "summary": "收银台只看到遮盖的姓名。",
    "conclusion": "acceptable",
    "by": "少海街道办事处",
    "valid_until": "2025-05-10",
    "sha256": "ab" * 32,
}
PATH = "/impact-assessments"
CASE = {"source": "12345"}
AGREED = {"ledger": True, "publication": False, "merchant": False, "ranking": False}


async def _required(front: Front, purpose: Any, place: str) -> str:  # noqa: F811
    try:
        return (await front.world.assessments.require(purpose, place)).id
    except Refusal as refusal:
        assert "assessment_missing" == refusal.code
        return "missing"


async def test_staff_record_and_everybody_sees_the_title(front: Front) -> None:  # noqa: F811
    """Only the street and the county write; the public reads that there is one, staff of the place and auditors all."""
    for who in ("clerk", "approver", "auditor", front.people["王丽"]):
        assert 403 == (await front.call(who, "POST", PATH, PAPER)).status_code, who
    abroad = await front.call("street", "POST", PATH, {**PAPER, "place": COUNTY})
    assert (403, "forbidden") == (abroad.status_code, abroad.json()["code"])
    made = await front.done("street", "POST", PATH, PAPER)
    assert PAPER == {name: made[name] for name in PAPER}
    for who in ("street", "admin", "auditor"):
        assert [made] == (await front.done(who, "GET", PATH))["items"], who
    for headers in (
        {},
        {"Authorization": "Bearer token-clerk"},
        {"Authorization": f"Bearer token-{front.people['王丽']}"},
    ):
        (seen,) = (await front.client.get(f"/v1{PATH}?place={HERE}", headers=headers)).json()["items"]
        assert seen == {name: value for name, value in made.items() if name not in ("summary", "sha256")}
    assert [] == (await front.done("admin", "GET", f"{PATH}?place={COUNTY}"))["items"], "what lies below does not count"
    assert 404 == (await front.call("admin", "GET", f"{PATH}?place=999999")).status_code


@pytest.mark.parametrize(
    ("until", "status"), [("2022-05-09", 400), ("2022-05-10", 201), ("2025-05-10", 201), ("2025-05-11", 400)]
)
async def test_it_is_made_again_within_three_years(front: Front, until: str, status: int) -> None:  # noqa: F811
    """A last day that is over, or further off than three years, is not taken."""
    assert status == (await front.call("street", "POST", PATH, {**PAPER, "valid_until": until})).status_code


async def test_the_nearest_and_newest_decides(front: Front) -> None:  # noqa: F811
    """A wider place's record counts below it until a nearer one says otherwise; each for its purpose and its days."""
    assert "missing" == await _required(front, "ranking", HERE)
    (county,) = await assess(front.world, "ranking")
    assert [county.id, county.id] == [await _required(front, "ranking", place) for place in (HERE, COUNTY)]
    assert "missing" == await _required(front, "publication", HERE), "another purpose"
    front.now += 1
    await assess(front.world, "ranking", place=HERE, conclusion="not_acceptable")
    assert ["missing", county.id] == [await _required(front, "ranking", place) for place in (HERE, THERE)]
    front.now += 1
    (near,) = await assess(front.world, "ranking", place=HERE)
    assert near.id == await _required(front, "ranking", HERE)
    front.now += 400 * DAY_US
    assert ["missing", "missing"] == [await _required(front, "ranking", place) for place in (HERE, THERE)]
    assert 3 == len((await front.done("auditor", "GET", PATH))["items"]), "what has run out is kept"


async def test_no_offer_is_opened_before_one(front: Front) -> None:  # noqa: F811
    """Approving an offer and opening it again wait for the merchants' assessment; what is open stays open."""
    shop = (await front.done("clerk", "POST", "/merchants", {"name": "便民超市", "community": HERE}))["id"]
    body = {"merchant": shop, "scenario": "S13", "title": {"zh": "米", "en": "Rice"}, "price": 1_000, "stock": 5}
    path = f"/offers/{(await front.done('clerk', 'POST', '/offers', body))['id']}"
    missing = await front.call("street", "POST", f"{path}/approve")
    assert (409, "assessment_missing") == (missing.status_code, missing.json()["code"])
    assert "forbidden" == (await front.call("far", "POST", f"{path}/approve")).json()["code"]
    await assess(front.world, "publication", "ranking")
    assert 409 == (await front.call("street", "POST", f"{path}/approve")).status_code
    await front.done("street", "POST", PATH, PAPER)
    assert "open" == (await front.done("street", "POST", f"{path}/approve"))["state"]
    front.now += 1
    await front.done("admin", "POST", PATH, {**PAPER, "place": HERE, "conclusion": "not_acceptable"})
    assert "open" == (await front.done("clerk", "GET", path))["state"]
    await front.done("clerk", "PATCH", path, {"state": "paused"})
    assert "assessment_missing" == (await front.call("clerk", "PATCH", path, {"state": "open"})).json()["code"]


async def test_the_fairness_report_through_the_door(front: Front) -> None:  # noqa: F811
    """Six elders awarded at the desk, five of six younger by reports of their own. Read by those who look after the
    place and nobody else, for quarters that have begun; in none of its forms is there a name, a phone or an id."""
    made: list[str] = []
    for n, name in enumerate("一二三四五六七八九十甲乙"):
        elder = {"name": f"孙{name}", "birth": "1950-01-01"}
        younger = {"name": f"孙{name}", "birth": "1990-05-10", "phone": f"139123400{n:02}"}
        body = {**(elder if n < 6 else younger), "grid": f"{HERE}-04", "groups": [], "consents": AGREED}
        made.append((await front.done("clerk", "POST", "/people", body))["subject"])
    for subject in made[:6]:
        deed = {"subject": subject, "indicator": "RE-03", "occurred_on": DAY, "evidence": [PROOF]}
        await front.done("clerk", "POST", "/awards", deed)
    for n, subject in enumerate(made[6:11]):
        report = await front.report(subject, text=f"{n}号楼前井盖坏了")
        await front.done(
            "clerk",
            "POST",
            f"/reports/{report['id']}/accept",
            {"evidence": [PROOF], "cause": CASE | {"case": f"A-{n}"}},
        )
    path = f"/fairness?period=2022Q2&place={HERE}"
    said = await front.done("auditor", "GET", path)
    assert (14, 11, "2022-04-01", "2022-06-30") == (said["people"], said["reached"], said["from"], said["to"])
    ages = {one["code"]: one for one in said["age"]}
    assert ("unsure", 6, 6) == tuple(ages["60-74"][name] for name in ("state", "people", "reached"))
    assert ["too_few"] * 2 == [ages[band]["state"] for band in ("18-39", "unknown")], (
        "two of unknown age, and the total"
    )
    assert [("counter", 6), ("sheet", 0), ("report", 5)] == [(one["code"], one["awards"]) for one in said["channels"]]
    for who in ("street", "approver", "admin"):
        assert said["grids"] == (await front.done(who, "GET", path))["grids"]
    for who in ("clerk", "far", front.people["王丽"]):
        assert 403 == (await front.call(who, "GET", path)).status_code, who
    for wrong in ("2022-05", "2022Q3", "2022", "2022Q5"):
        assert 400 == (await front.call("admin", "GET", f"/fairness?period={wrong}&place={HERE}")).status_code
    assert 400 == (await front.call("admin", "GET", f"/fairness?period=2022Q2&place={HERE}-04")).status_code
    for form in ("", ".csv", ".html"):
        text = (await front.call("admin", "GET", path.replace("?", f"{form}?"))).text
        assert HERE in text or "兴旺花园" in text
        assert not [word for word in (*made, *front.people.values(), "孙", "王丽", "1391234") if word in text]

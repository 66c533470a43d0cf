# SPDX-License-Identifier: Apache-2.0
"""Objections over HTTP and the command line: who sees and does what, marks in every list, and a whole export after."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from api import imports
from api.auth import KIND_SCOPES, ROLE_SCOPES, Caller
from api.commands import objections as command
from api.commands.export import export
from api.jobs import JOBS
from api.settings import Settings
from api.sheets.people import parse_people
from api.sheets.places import parse_places
from api.sheets.read import read_sheet
from api.world import World
from ledger import verifier
from ledger.book import holds
from ledger.model import Act
from merchants.model import Redemption
from merchants.tables import REDEMPTION
from rules.ports import Actor
from rules.workdays import builtin
from tests.application import application
from tests.ledgers import DAY, Step, assert_whole
from tests.test_desk_http import HERE, PEOPLE, PLACES, STREET, THERE, Front

pytestmark = pytest.mark.schema()

NOW = int(datetime(2022, 4, 1, 2, tzinfo=UTC).timestamp()) * 1_000_000
ROLES = {
    "clerk": ("community_staff", HERE),
    "neighbour": ("community_staff", THERE),
    "approver": ("approver", STREET),
    "other": ("approver", STREET),
    "council": ("council", HERE),
    "auditor": ("auditor", "370321"),
    "admin": ("county_admin", "370321"),
}
DEED = {
    "indicator": "RE-01",
    "occurred_on": "2022-03-30",
    "facts": {"minutes": 60},
    "evidence": [{"kind": "photo", "level": "E2"}],
}


class Counter(Front):
    """Requests as staff or as the two residents, on a day that tests move."""

    now = NOW
    wang: str
    zhao: str

    async def award(self, subject: str, **more: Any) -> dict[str, Any]:
        answer = await self.call("clerk", "POST", "/awards", {"subject": subject, **DEED, **more})
        assert 201 == answer.status_code, answer.text
        return answer.json()

    async def object(self, who: str, body: Any, status: int = 201) -> dict[str, Any]:
        answer = await self.call(who, "POST", "/objections", body)
        assert status == answer.status_code, answer.text
        return answer.json()


@pytest.fixture
async def front(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Counter]:
    world = World(Settings(database_url=database_url, home=tmp_path / "home"), clock=lambda: counter.now)
    counter = Counter(world, httpx.AsyncClient())
    await world.init()
    await world.open()
    await imports.commit_places(
        world, await imports.plan_places(world, parse_places(read_sheet(PLACES.encode()))), "system"
    )
    people = await imports.plan_people(world, parse_people(read_sheet(PEOPLE.encode())))
    await imports.commit_people(world, people, "system")
    counter.wang, counter.zhao = [
        await counter.subject(name, phone) for name, phone in (("王丽", "13900000001"), ("赵敏", "13900000003"))
    ]

    async def caller(token: str) -> Caller | None:
        name = token.removeprefix("token-")
        if name in ("wang", "zhao"):
            own = getattr(counter, name)
            return Caller("resident", own, Actor(own, own), KIND_SCOPES["resident"], own)
        role = ROLES[name]
        actor = Actor(f"stf_{name}", None, (role,))
        return Caller("staff", actor.id, actor, ROLE_SCOPES[role[0]], proved_at=world.clock())

    monkeypatch.setattr(world.gate, "caller", caller)
    transport = httpx.ASGITransport(app=application(world))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        counter.client = client
        yield counter
    await assert_whole(world.ledger)
    await world.close()


async def test_from_objection_to_correction(front: Counter, tmp_path: Path) -> None:
    """Marked wherever the entry is shown, decided with other facts, and the export holds for an outsider."""
    award = await front.award(front.wang)
    at = {name: award["receipt"][name] for name in ("journal", "seq")}
    made = await front.object("wang", {"entry": award["receipt"], "reason": "是两小时"})
    mark = {"id": made["id"], "state": "open", "due": "2022-04-07"}  # over the Qingming holidays
    assert ("2022-04-07", True, False, at) == (made["due"], made["due_sure"], made["overdue"], made["entry"])
    path = f"/entries/{at['journal']}/{at['seq']}"
    assert mark == (await front.call("wang", "GET", path)).json()["objection"]
    assert mark == (await front.call("auditor", "GET", path)).json()["objection"]
    assert mark == (await front.call("clerk", "GET", f"/awards/{award['id']}")).json()["objection"]
    assert mark == (await front.call("clerk", "GET", "/awards")).json()["items"][0]["objection"]
    mine = (await front.call("wang", "GET", "/me/entries")).json()["items"]
    assert [mark] == [one["objection"] for one in mine if one["kind"] == "award"]
    assert ["objection", "award"] == [one["kind"] for one in mine if one["kind"] in ("award", "objection")]
    again = await front.object("wang", {"entry": award["id"], "reason": "再提"}, 409)
    assert "objection_open" == again["code"] and made["id"] in again["detail"]

    said = {"outcome": "partly", "reason": "签到表为两小时", "facts": {"minutes": 120}}
    decision = f"/objections/{made['id']}/decision"
    assert 403 == (await front.call("clerk", "POST", decision, said)).status_code
    assert 403 == (await front.call("admin", "POST", decision, said)).status_code
    assert 403 == (await front.call("wang", "POST", decision, said)).status_code
    longer = await front.call("approver", "POST", f"/objections/{made['id']}/extension", {"reason": "向组织方核对"})
    assert ("2022-04-13", True) == (longer.json()["due"], longer.json()["extended"]), longer.text
    done = await front.call("approver", "POST", decision, said)
    assert (201, "partly") == (done.status_code, done.json()["state"]), done.text
    assert 200 == (await front.call("wang", "GET", "/me/balance")).json()["points"]["available"]
    assert "already_decided" == (await front.call("other", "POST", decision, said)).json()["code"]
    seen = (await front.call("wang", "GET", f"/objections/{made['id']}")).json()
    assert ("是两小时", "签到表为两小时", "向组织方核对") == (
        seen["reason"], seen["decision_reason"], seen["extension_reason"],
    )  # fmt: skip
    assert "partly" == (await front.call("wang", "GET", path)).json()["objection"]["state"]

    result = await export(front.world, tmp_path / "out", [])
    assert not result.status, result.lines
    assert builtin().text == (tmp_path / "out" / "holidays.toml").read_bytes()
    answer = verifier.verify(str(tmp_path / "out"), jobs=1)
    assert answer["ok"], answer["lines"]
    (tmp_path / "out" / "holidays.toml").write_bytes(b"")
    assert not verifier.verify(str(tmp_path / "out"), jobs=1)["ok"]


async def test_who_sees_what(front: Counter) -> None:
    """One's own; for staff their places; reasons only with the single objection; counted when late, and warned of."""
    mine = await front.award(front.wang)
    await front.object("wang", {"entry": f"{HERE}/{mine['receipt']['seq']}", "reason": "理由甲"})
    front.now += 1_000_000
    absent = {"indicator": "RE-01", "occurred_on": "2022-03-20", "place": THERE}
    theirs = await front.object("zhao", {"missing": absent, "reason": "理由乙"})
    assert absent == theirs["missing"] and theirs["place"] == THERE
    seen: dict[str, list[str]] = {}
    for who in ("wang", "zhao", "clerk", "neighbour", "approver", "auditor"):
        answer = await front.call(who, "GET", "/objections")
        seen[who] = [one["subject"] for one in answer.json()["items"]]
        assert "理由" not in answer.text and 0 == answer.json()["overdue"]
        assert (200 if who != "wang" and who != "clerk" else 404) == (
            await front.call(who, "GET", f"/objections/{theirs['id']}")
        ).status_code, who
    wang, zhao = front.wang, front.zhao
    assert [[wang], [zhao], [wang], [zhao]] == [seen[who] for who in ("wang", "zhao", "clerk", "neighbour")]
    assert [zhao, wang] == seen["approver"] == seen["auditor"]
    assert [(f"objection {theirs['id']}",)] == await front.world.ledger.fetch(
        "SELECT what FROM access_log WHERE reader = 'stf_neighbour' AND subject = ?", zhao
    )
    first = (await front.call("auditor", "GET", "/objections?limit=1")).json()
    rest = (await front.call("auditor", "GET", f"/objections?limit=1&cursor={first['next']}")).json()
    assert [[zhao], [wang], None] == [
        [one["subject"] for one in first["items"]], [one["subject"] for one in rest["items"]], rest["next"],
    ]  # fmt: skip
    assert 403 == (await front.call("clerk", "GET", f"/objections?place={THERE}")).status_code
    front.now += 10 * DAY
    late = (await front.call("neighbour", "GET", "/objections?overdue=true")).json()
    assert (1, [True]) == (late["overdue"], [one["overdue"] for one in late["items"]])
    assert 0 == await JOBS["objections"](front.world)
    told = await command.listing(front.world, True, "zh")
    assert (2, 2) == (told.data["overdue"], len(told.data["items"])) and "已过期限（2022-04-07）" in told.lines[0]


async def test_who_may_object(front: Counter) -> None:
    """For oneself; on behalf only where the person lives; to one thing at a time; and not without end."""
    award = await front.award(front.wang)
    body = {"entry": award["id"], "reason": "x"}
    assert "forbidden" == (await front.object("zhao", {**body, "on_behalf_of": front.wang}, 403))["code"]
    assert "not_found" == (await front.object("zhao", body, 404))["code"]
    assert "forbidden" == (await front.object("neighbour", {**body, "on_behalf_of": front.wang}, 403))["code"]
    assert "forbidden" == (await front.object("approver", {**body, "on_behalf_of": front.wang}, 403))["code"]
    assert "/on_behalf_of" == (await front.object("clerk", body, 400))["errors"][0]["pointer"]
    assert "request_invalid" == (await front.object("wang", {"reason": "x"}, 400))["code"]
    assert "request_invalid" == (await front.object("wang", {**body, "redemption": "red_1"}, 400))["code"]
    for unknown in ({"edition_entry": "edn_1"}, {"redemption": "red_1"}, {"entry": f"{HERE}/999999"}):
        assert "not_found" == (await front.object("wang", {**unknown, "reason": "x"}, 404))["code"]
    made = await front.object("clerk", {**body, "on_behalf_of": front.wang})
    assert (True, "stf_clerk", front.wang) == (made["on_behalf"], made["filed_by"], made["subject"])
    assert {"journal": HERE, "seq": award["receipt"]["seq"]} == made["entry"]
    assert 403 == (await front.call("clerk", "POST", f"/objections/{made['id']}/withdrawal")).status_code
    assert 404 == (await front.call("zhao", "POST", f"/objections/{made['id']}/withdrawal")).status_code
    ended = await front.call("wang", "POST", f"/objections/{made['id']}/withdrawal")
    assert (201, "withdrawn") == (ended.status_code, ended.json()["state"]), ended.text
    assert "objection" not in (await front.call("clerk", "GET", f"/awards/{award['id']}")).json()
    tried = [(await front.call("wang", "POST", "/objections", {"reason": "x", "redemption": "red"})) for _ in range(21)]
    assert 429 == tried[-1].status_code and int(tried[-1].headers["retry-after"]) > 60
    front.now += DAY
    await front.object("wang", body)


async def test_an_order_is_disputed_by_its_hold(front: Counter) -> None:
    """The entry that took the points is marked; who served it decides nothing; erasing ends it, unreadable."""
    await front.award(front.wang)
    key = await front.world.people.data_key(front.wang)
    act = Act("stf_approver", "2022-04-01", b"{}", front.world.ledger.new_id("txn"), key)

    def order(view: Any) -> Any:
        sealed = holds.hold(view, HERE, act, subject=front.wang, hold="red_1", amount=50, expires_at=view.now_us + DAY)
        day = (1, 1, 50, 0, 100, "2022-04-01", "", view.now_us + DAY, "stf_approver", "ter_1", view.now_us)
        view.insert(REDEMPTION, Redemption("red_1", HERE, front.wang, "off_1", "mer_1", HERE, "S13", *day).row())
        return sealed

    sealed = (await front.world.ledger.submit(Step(order, (HERE,)))).value
    made = await front.object("wang", {"redemption": "red_1", "reason": "没有拿到东西"})
    assert ("red_1", {"journal": HERE, "seq": sealed.seq}) == (made["redemption"], made["entry"])
    entry = await front.object("wang", {"entry": f"{HERE}/{sealed.seq}", "reason": "x"}, 409)
    assert "objection_open" == entry["code"]
    said = {"outcome": "upheld", "reason": "已补发"}
    refused = await front.call("approver", "POST", f"/objections/{made['id']}/decision", said)
    assert "same_person" == refused.json()["code"]
    await front.world.shop.ledger.submit(
        Step(lambda view: holds.release(view, HERE, act, hold="red_1", expired=False), (HERE,))
    )
    answer = await front.call("clerk", "DELETE", f"/people/{front.wang}")
    assert answer.status_code in (200, 204), answer.text
    assert (
        "subject_erased"
        == (await front.call("other", "POST", f"/objections/{made['id']}/decision", said)).json()["code"]
    )
    assert 1 == await JOBS["objections"](front.world)
    seen = (await front.call("auditor", "GET", f"/objections/{made['id']}")).json()
    assert "erased" == seen["state"] and "reason" not in seen

# SPDX-License-Identifier: Apache-2.0
"""The desk over HTTP: a sheet from preview to approval and back, single awards, lists, and the catalogue."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from api import imports
from api.auth import ROLE_SCOPES, Caller
from api.settings import Settings
from api.sheets.people import parse_people
from api.sheets.places import parse_places
from api.sheets.read import read_sheet
from api.world import World
from rules.ports import Actor
from tests.application import application

pytestmark = pytest.mark.schema()

NOW = int(datetime(2022, 4, 2, 2, tzinfo=UTC).timestamp()) * 1_000_000
HERE, THERE, STREET = "370321002002", "370321002003", "370321002"
PLACES = f"""编码,名称,层级,上级编码
370321,桓台县,county,
{STREET},少海街道,street,370321
{HERE},兴旺花园社区,community,{STREET}
{THERE},中心社区,community,{STREET}
{HERE}-04,兴旺花园第4网格,grid,{HERE}
{THERE}-01,中心第1网格,grid,{THERE}
"""
PEOPLE = """姓名,手机号,所属社区,所属网格,群体
王丽,13900000001,兴旺花园社区,第4网格,
李强,,兴旺花园社区,第4网格,
赵敏,13900000003,中心社区,第1网格,党员
"""
SHEET = """少海街道志愿服务签到表
姓名,手机号,所属社区,所属网格,活动,服务日期,签到时间,签退时间,服务时长(小时),服务社区,备注
王丽,13900000001,兴旺花园社区,第4网格,疫情防控志愿服务,2022-03-05,09:00,11:30,2.5,,
李强,,兴旺花园社区,第4网格,志愿服务,2022-03-05,09:00,15:00,6,,
赵敏,13900000003,中心社区,第1网格,志愿服务,2022-03-06,14:00,16:00,2,兴旺花园社区,
王丽,13900000001,兴旺花园社区,第4网格,疫情防控志愿服务,2022-03-05,09:00,11:30,2.5,,重复
合计,,,,,,,,13,,
"""
BAD = """王芳,13900000001,兴旺花园社区,第4网格,志愿服务,2022-03-07,09:00,10:00,1,,
李强,,中心社区,第1网格,志愿服务,2022-03-07,09:00,10:00,1,,
王丽,13900000001,兴旺花园社区,第4网格,跳广场舞,2022-03-07,09:00,10:00,1,,
"""
ROLES = {
    "clerk": ("community_staff", HERE),
    "street": ("street_staff", STREET),
    "approver": ("approver", STREET),
    "auditor": ("auditor", "370321"),
}


class Front:
    """Requests as somebody, each with a retry key of its own."""

    def __init__(self, world: World, client: httpx.AsyncClient) -> None:
        self.world, self.client, self._keys = world, client, 0

    async def call(self, who: str, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return await self.client.request(method, f"/v1{path}", json=body, headers=self._headers(who, headers))

    async def upload(self, who: str, query: str, sheet: str, **headers: str) -> httpx.Response:
        files = {"file": ("签到.csv", io.BytesIO(sheet.encode()), "text/csv")}
        return await self.client.post(f"/v1/award-batches{query}", files=files, headers=self._headers(who, headers))

    def _headers(self, who: str, headers: dict[str, str]) -> dict[str, str]:
        self._keys += 1
        said = {"Authorization": f"Bearer token-{who}", "Idempotency-Key": f"k{self._keys}"}
        return said | {name.replace("_", "-"): value for name, value in headers.items()}

    async def subject(self, name: str, phone: str) -> str:
        (found,) = await self.world.people.identify(name=name, phone=phone)
        return found.subject


@pytest.fixture
async def front(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Front]:
    world = World(Settings(database_url=database_url, home=tmp_path / "home"), clock=lambda: NOW)
    await world.init()
    await world.open()
    plan = await imports.plan_places(world, parse_places(read_sheet(PLACES.encode())))
    await imports.commit_places(world, plan, "system")
    people = await imports.plan_people(world, parse_people(read_sheet(PEOPLE.encode())))
    await imports.commit_people(world, people, "system")

    async def caller(token: str) -> Caller | None:
        name = token.removeprefix("token-")
        if name not in ROLES:
            return None
        role = ROLES[name]
        actor = Actor(f"stf_{name}", None, (role,))
        return Caller("staff", actor.id, actor, ROLE_SCOPES[role[0]], proved_at=world.clock())

    monkeypatch.setattr(world.gate, "caller", caller)
    transport = httpx.ASGITransport(app=application(world))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield Front(world, client)
    await world.close()


async def test_a_sheet_from_preview_to_reversal(front: Front) -> None:
    """Preview, a second person's yes with If-Match, points in the accounts, and the whole batch back."""
    preview = await front.upload("clerk", "?dry_run=true&approval=ask", SHEET)
    assert (200, "awaiting_approval") == (preview.status_code, preview.json()["state"]), preview.text
    said = [(row["row"], row["state"], row["points"]) for row in preview.json()["rows"]]
    assert [(1, "ignored", 0), (3, "posted", 250), (4, "reduced", 400), (5, "posted", 200)] == said[:4]
    assert [(6, "duplicate", 0), (7, "ignored", 0)] == said[4:]
    stored = await front.upload("clerk", "?approval=ask", SHEET)
    assert (201, 850) == (stored.status_code, stored.json()["points"])
    (waiting,) = (await front.call("approver", "GET", "/approvals")).json()["items"]
    assert (3, "stf_clerk", HERE) == (waiting["rows"], waiting["proposer"], waiting["place"])
    assert "确认" in waiting["why"][0]["detail"]
    path = f"/approvals/{waiting['id']}/approve"
    assert 428 == (await front.call("approver", "POST", path)).status_code
    assert 412 == (await front.call("approver", "POST", path, If_Match='"x"')).status_code
    assert 403 == (await front.call("clerk", "POST", path, If_Match=f'"{waiting["etag"]}"')).status_code
    done = await front.call("approver", "POST", path, {"reason": "已核"}, If_Match=f'"{waiting["etag"]}"')
    assert (200, 850, []) == (done.status_code, done.json()["points"], done.json()["changed"]), done.text
    batch = await front.call("clerk", "GET", f"/award-batches/{stored.json()['id']}")
    assert ("posted", "stf_approver") == (batch.json()["state"], batch.json()["approver"])
    subject = await front.subject("赵敏", "13900000003")
    assert [(THERE,)] == await front.world.ledger.fetch("SELECT journal FROM award WHERE subject = ?", subject)
    listed = await front.call("clerk", "GET", f"/awards?batch={stored.json()['id']}&limit=2")
    assert 2 == len(listed.json()["items"]) and listed.json()["next"]
    rest = await front.call(
        "clerk", "GET", f"/awards?batch={stored.json()['id']}&limit=2&cursor={listed.json()['next']}"
    )
    assert 1 == len(rest.json()["items"]) and rest.json()["next"] is None
    back = {"reason": "活动取消", "occurred_on": "2022-04-02"}
    path = f"/award-batches/{stored.json()['id']}/reverse"
    part = await front.call("clerk", "POST", path, {**back, "rows": [3]})
    assert (201, 1, -250) == (part.status_code, part.json()["reversed"], part.json()["points"])
    rest = await front.call("clerk", "POST", path, back)
    assert (2, -600) == (rest.json()["reversed"], rest.json()["points"])
    assert {"already_reversed", "reversed"} == {row["state"] for row in rest.json()["rows"]}


async def test_refused_rows_come_back(front: Front) -> None:
    """As rows with column, value and what to do, or as a sheet; nothing is stored and no name stays in the clear."""
    answer = await front.upload("clerk", "", SHEET + BAD)
    assert (422, "batch_has_errors") == (answer.status_code, answer.json()["code"])
    wrong = {row["row"]: row for row in answer.json()["rows"] if row["state"] == "refused"}
    assert {8: "name_mismatch", 9: "subject_unknown", 10: "indicator_unknown"} == {
        row: one["code"] for row, one in wrong.items()
    }
    assert ("活动", "跳广场舞") == (wrong[10]["column"], wrong[10]["value"])
    assert all(one["detail"] and one["fix"] for one in wrong.values())
    kept = await front.world.ledger.fetch("SELECT refusal FROM request WHERE refusal <> ''")
    assert kept and not any(word in kept[0][0] for word in ("13900000001", "王芳", "跳广场舞"))
    assert [] == await front.world.ledger.fetch("SELECT id FROM award")
    sheet = await front.upload("clerk", "?errors=xlsx", SHEET + BAD)
    assert 422 == sheet.status_code and sheet.content.startswith(b"PK")
    grid = read_sheet(sheet.content)
    assert ["王芳", "李强", "王丽"] == [row[0] for row in grid.rows[1:]]
    skipped = await front.upload("clerk", "?on_error=skip", SHEET + BAD)
    assert (201, 3, 0) == (skipped.status_code, skipped.json()["counts"]["refused"], skipped.json()["points"])
    other = await front.upload("clerk", "?dry_run=true", SHEET.replace("疫情防控志愿服务", ""))
    assert {"indicator_missing"} == {row["code"] for row in other.json()["rows"] if row["state"] == "refused"}
    assert 400 == (await front.client.post("/v1/award-batches", headers=front._headers("clerk", {}))).status_code


async def test_a_single_award(front: Front) -> None:
    """By name and phone; explained in the reader's language; replayed; read by the home's staff; taken back once."""
    body = {
        "who": {"name": "王丽", "phone": "13900000001"},
        "indicator": "RE-01",
        "occurred_on": "2022-04-01",
        "facts": {"minutes": 300},
        "evidence": [{"kind": "check_in", "level": "E2"}],
    }
    tried = await front.call("clerk", "POST", "/evaluations", body)
    assert (200, "reduced", 400) == (tried.status_code, tried.json()["state"], tried.json()["points"])
    seen = await front.world.ledger.fetch("SELECT reader FROM access_log WHERE what = 'evaluation RE-01'")
    assert [("stf_clerk",)] == [tuple(one) for one in seen]  # it told of their caps, and leaves no entry
    first = await front.call("clerk", "POST", "/awards", body, Idempotency_Key="same")
    assert (201, "posted", 400) == (first.status_code, first.json()["state"], first.json()["points"]), first.text
    again = await front.call("clerk", "POST", "/awards", body, Idempotency_Key="same", Accept_Language="en")
    assert (201, "true") == (again.status_code, again.headers["idempotency-replayed"])
    assert "Volunteer hours" in again.json()["explanation"] and "志愿服务" in first.json()["explanation"]
    assert again.json()["receipt"] == first.json()["receipt"]
    assert 409 == (await front.call("clerk", "POST", "/awards", body)).status_code
    wrong = [
        ({**body, "subject": "sub_x"}, 400, "request_invalid"),
        ({**body, "facts": {"minutes": 1.5}}, 400, "request_invalid"),
        ({**body, "evil": 1}, 400, "request_invalid"),
        ({**body, "indicator": "ZZ-99"}, 404, "not_found"),
        ({**body, "who": {"name": "王小丽", "phone": "13900000001"}}, 422, "name_mismatch"),
        ({**body, "place": THERE}, 403, "forbidden"),
        ({**body, "occurred_on": "2022-04-02", "facts": {}}, 422, "facts_invalid"),
    ]
    for sent, status, code in wrong:
        answer = await front.call("clerk", "POST", "/awards", sent)
        assert (status, code) == (answer.status_code, answer.json()["code"]), answer.text
    why_not = await front.call("clerk", "POST", "/evaluations", {**body, "place": THERE})
    assert ("refused", "forbidden") == (why_not.json()["state"], why_not.json()["code"])
    assert [] == why_not.json()["why_not"]
    proved = {**body, "start": "18:00", "evidence": [{"kind": "own_report", "level": "E0"}]}
    weak = (await front.call("clerk", "POST", "/evaluations", proved)).json()
    holds = {one["check"]: one["holds"] for one in weak["why_not"]}
    assert "evidence_too_weak" == weak["code"]
    assert {"in_force": "yes", "evidence": "no", "other_hat": "yes", "room": "yes"}.items() <= holds.items()
    room = {one["on"]: one["room"] for one in weak["why_not"] if one["check"] == "room" and one["window"] == "day"}
    assert {"minutes": 0} == room and "no" in [one["holds"] for one in weak["why_not"] if one["check"] == "room"]
    path = f"/awards/{first.json()['id']}"
    assert 200 == (await front.call("street", "GET", path)).status_code
    back = {"reason": "记错人", "occurred_on": "2022-04-02"}
    assert 201 == (await front.call("clerk", "POST", f"{path}/reverse", back)).status_code
    twice = await front.call("clerk", "POST", f"{path}/reverse", back)
    assert (409, "already_reversed") == (twice.status_code, twice.json()["code"])
    assert "reversed" == (await front.call("clerk", "GET", path)).json()["state"]
    items = {"items": [{**body, "start": "20:00"}, {**body, "start": "21:00", "facts": {"minutes": 30}}]}
    batch = await front.call("clerk", "POST", "/award-batches", items)
    assert (201, ["reduced", "zero"]) == (batch.status_code, [row["state"] for row in batch.json()["rows"]])


async def test_the_catalogue(front: Front) -> None:
    """Eight groups, indicators with their fields, and the founding pack."""
    groups = (await front.call("auditor", "GET", "/groups")).json()["items"]
    assert [f"G{n}" for n in range(1, 9)] == [group["code"] for group in groups]
    found = (await front.call("auditor", "GET", "/indicators?group=G3")).json()["items"]
    hours = next(one for one in found if one["code"] == "RE-01")
    assert ("minutes", "int", 1, 1440) == tuple(hours["fields"][0][key] for key in ("name", "type", "min", "max"))
    assert {"G3"} == {one["group"] for one in found}
    (pack,) = (await front.call("auditor", "GET", "/packs")).json()["items"]
    assert ("huantai", 64) == (pack["id"], len(pack["hash"]))

# SPDX-License-Identifier: Apache-2.0
"""People, bodies and places over HTTP: who may register, look up, issue and change, and what is written down of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import argon2
import httpx
import pytest

from api import imports
from api.auth import KIND_SCOPES, ROLE_SCOPES, Caller
from api.settings import Settings
from api.sheets.places import parse_places
from api.sheets.read import read_sheet
from api.sheets.values import uscc_check
from api.world import World
from rules.ports import Actor
from tests.application import application

pytestmark = pytest.mark.schema()

NOW = 1_669_075_200_000_000  # 2022-11-22 08:00 in Shanghai
HERE, THERE = "370321002002", "370321002003"
GRID, OTHER = f"{HERE}-04", f"{THERE}-01"
PLACES = f"""编码,名称,层级,上级编码
370321,桓台县,county,
370321002,少海街道,street,370321
{HERE},兴旺花园社区,community,370321002
{THERE},中心社区,community,370321002
{HERE}-01,兴旺花园第1网格,grid,{HERE}
{GRID},兴旺花园第4网格,grid,{HERE}
{OTHER},中心第1网格,grid,{THERE}
"""
ROLES = {
    "clerk": ("community_staff", HERE),
    "centre": ("community_staff", THERE),
    "street": ("street_staff", "370321002"),
    "grid": ("grid_worker", GRID),
    "auditor": ("auditor", "370321"),
}
AGREED = {"ledger": True, "publication": False, "merchant": True, "ranking": True}


class Counter:
    """Requests as somebody."""

    def __init__(self, world: World, client: httpx.AsyncClient) -> None:
        self.world, self.client = world, client

    async def call(self, who: str, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer token-{who}", **more}
        return await self.client.request(method, f"/v1{path}", json=body, headers=headers)

    async def post(self, who: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return await self.call(who, "POST", path, body, **more)

    async def join(self, name: str = "张建国", phone: str | None = "13900000001", **more: Any) -> str:
        body = {"name": name, "grid": GRID, "groups": ["G2"], "consents": AGREED, **more}
        response = await self.post("clerk", "/people", {**body, "phone": phone} if phone else body)
        assert 201 == response.status_code, response.text
        return response.json()["subject"]

    async def seen(self, subject: str) -> list[tuple[str, str]]:
        return await self.world.ledger.fetch(
            "SELECT reader, what FROM access_log WHERE subject = ? ORDER BY id", subject
        )


@pytest.fixture
async def desk(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Counter]:
    world = World(Settings(database_url=database_url, home=tmp_path / "home"), clock=lambda: NOW)
    await world.init()
    await world.open()
    world.people.cards.hasher = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    plan = await imports.plan_places(world, parse_places(read_sheet(PLACES.encode())))
    await imports.commit_places(world, plan, "system")

    async def caller(token: str) -> Caller | None:
        name = token.removeprefix("token-")
        if name in ROLES:
            return Caller(
                "staff", f"stf_{name}", Actor(f"stf_{name}", None, (ROLES[name],)), ROLE_SCOPES[ROLES[name][0]]
            )
        if name.startswith("sub_"):
            return Caller("resident", name, Actor(name, name), KIND_SCOPES["resident"], name)
        return None

    monkeypatch.setattr(world.gate, "caller", caller)
    transport = httpx.ASGITransport(app=application(world))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield Counter(world, client)
    await world.close()


async def test_registering(desk: Counter) -> None:
    """In one's own grids, once, adults, with the hats of persons; everything else has its code."""
    subject = await desk.join()
    assert ("G2", "G3") == (await desk.world.register.subject(subject)).groups
    body = {"name": "李四", "phone": "13900000002", "grid": GRID, "groups": [], "consents": AGREED}
    refused = [
        ("clerk", {**body, "name": "张 建国", "phone": "13900000001"}, 409, "already_registered"),
        ("clerk", {**body, "grid": OTHER}, 403, "forbidden"),
        ("grid", body, 403, "forbidden"),
        ("auditor", body, 403, "forbidden"),
        ("clerk", {**body, "grid": "370321002002-99"}, 422, "grid_unknown"),
        ("clerk", {**body, "grid": HERE}, 422, "grid_unknown"),
        ("clerk", {**body, "birth": "2010-01-01"}, 422, "minor"),
        ("clerk", {**body, "groups": ["G5"]}, 422, "group_mismatch"),
        ("clerk", {**body, "groups": ["G9"]}, 422, "group_unknown"),
        ("clerk", {**body, "consents": {"ledger": False}}, 422, "consent_required"),
        ("clerk", {**body, "phone": "12345"}, 400, "request_invalid"),
        ("clerk", {**body, "name": "李四\n13900000009"}, 400, "request_invalid"),
        ("clerk", {**body, "age": 3}, 400, "request_invalid"),
        ("nobody", body, 401, "unauthenticated"),
    ]
    for who, sent, status, code in refused:
        response = await desk.post(who, "/people", sent)
        assert (status, code) == (response.status_code, response.json()["code"]), (sent, response.text)
        assert "李四" not in response.text and "13900000002" not in response.text
    rows = await desk.world.ledger.fetch("SELECT count(*) FROM person")
    assert [(1,)] == rows
    first = await desk.post("clerk", "/people", body, **{"Idempotency-Key": "k1"})
    again = await desk.post("clerk", "/people", body, **{"Idempotency-Key": "k1"})
    assert (201, first.json(), "true") == (again.status_code, again.json(), again.headers["idempotency-replayed"])


async def test_looking_up(desk: Counter) -> None:
    """Masked, within one's own part unless the whole phone is known; every find is written down."""
    subject = await desk.join()
    found = await desk.post("clerk", "/people/lookup", {"name": "张建国", "phone": "13900000001"})
    item = {"subject": subject, "masked_name": "张*国", "place": GRID, "groups": ["G2", "G3"]}
    assert (200, [item]) == (found.status_code, found.json()["items"])
    assert "张建国" not in found.text
    away = await desk.post("centre", "/people/lookup", {"name": "张建国", "phone": "13900000001"})
    assert [{**item, "place": HERE}] == away.json()["items"]
    for asked in [{"name": "张建国", "phone_tail": "0001"}, {"name": "张建国", "place": THERE}]:
        assert [] == (await desk.post("centre", "/people/lookup", asked)).json()["items"]
    for asked in [{"name": "张", "phone_tail": "0001"}, {"name": "张建国", "place": GRID}]:
        assert [item] == (await desk.post("grid", "/people/lookup", asked)).json()["items"]
    assert 403 == (await desk.post("grid", "/people/lookup", {"name": "张建国", "place": HERE})).status_code
    assert 400 == (await desk.post("clerk", "/people/lookup", {"name": "张建国"})).status_code
    assert 403 == (await desk.post(subject, "/people/lookup", {"name": "张建国", "place": HERE})).status_code
    readers = ["stf_clerk", "stf_centre", "stf_grid", "stf_grid"]
    assert sorted((reader, "lookup") for reader in readers) == sorted(await desk.seen(subject))


async def test_looking_up_has_a_limit(desk: Counter) -> None:
    """A counter serves people one by one; a list is not read out by asking for each."""
    asked = {"name": "张建国", "phone": "13900000001"}
    codes = [(await desk.post("clerk", "/people/lookup", asked)).status_code for _ in range(62)]
    assert [200] * 60 + [429] * 2 == codes
    assert 200 == (await desk.post("street", "/people/lookup", asked)).status_code


async def test_changing_and_moving(desk: Counter) -> None:
    """Name, phone, hats, and a grid in another community for those who serve both."""
    subject = await desk.join()
    changed = await desk.call(
        "clerk", "PATCH", f"/people/{subject}", {"name": "张建军", "groups": ["G4"], "phone": None}
    )
    assert (200, "张*军", ["G3", "G4"]) == (
        changed.status_code,
        changed.json()["masked_name"],
        changed.json()["groups"],
    )
    away = await desk.call("clerk", "PATCH", f"/people/{subject}", {"grid": OTHER})
    assert 403 == away.status_code
    moved = await desk.call("street", "PATCH", f"/people/{subject}", {"grid": OTHER})
    assert (200, OTHER) == (moved.status_code, moved.json()["place"])
    known = await desk.world.register.subject(subject)
    assert (THERE, OTHER, ("G3", "G4")) == (known.home, known.grid, known.groups)
    assert THERE == await desk.world.ledger.home(subject)
    assert 403 == (await desk.call("clerk", "PATCH", f"/people/{subject}", {"name": "张三"})).status_code
    assert 403 == (await desk.call("clerk", "PATCH", "/people/sub_nobody", {"name": "张三"})).status_code
    assert 400 == (await desk.call("street", "PATCH", f"/people/{subject}", {"name": None})).status_code
    assert ["change", "change"] == [what for _, what in await desk.seen(subject)]


async def test_cards_and_codes(desk: Counter) -> None:
    """Issued once, frozen, reissued; the code activates; none of it is anybody else's business."""
    subject = await desk.join()
    assert 403 == (await desk.post("centre", f"/people/{subject}/card", {"action": "issue"})).status_code
    issued = await desk.post("clerk", f"/people/{subject}/card", {"action": "issue"})
    assert (201, "no-store") == (issued.status_code, issued.headers["cache-control"])
    card = issued.json()
    assert subject == await desk.world.people.by_card(card["card"], card["pin"])
    twice = await desk.post("clerk", f"/people/{subject}/card", {"action": "issue"})
    assert "card_active" == twice.json()["code"]
    frozen = await desk.post("clerk", f"/people/{subject}/card", {"action": "freeze"})
    assert {"subject": subject, "state": "frozen", "cards": 1} == frozen.json()
    fresh = (await desk.post("clerk", f"/people/{subject}/card", {"action": "reissue"})).json()
    assert subject == await desk.world.people.by_card(fresh["card"], fresh["pin"])
    code = await desk.post("clerk", f"/people/{subject}/activation-code")
    assert (201, "2022-12-22T00:00:00.000000Z") == (code.status_code, code.json()["expires_at"])
    assert ("resident", subject) == await desk.world.activate(code.json()["code"], fresh["pin"])


async def test_consents(desk: Counter) -> None:
    """Withdrawn in one step, by the person or at the counter; the register knows who has left."""
    subject = await desk.join()
    other = await desk.join("李四", "13900000002")
    mine = await desk.post(subject, f"/people/{subject}/consents", {"publication": True})
    assert (200, {**dict.fromkeys(AGREED, 1)}) == (mine.status_code, mine.json()["consents"])
    assert 403 == (await desk.post(subject, f"/people/{other}/consents", {"merchant": False})).status_code
    assert [] == await desk.seen(subject)
    left = await desk.post("clerk", f"/people/{subject}/consents", {"ledger": 0})
    assert 0 == left.json()["consents"]["ledger"]
    assert "withdrawn" == (await desk.world.register.subject(subject)).state
    await desk.post("clerk", f"/people/{subject}/consents", {"ledger": 1})
    assert "open" == (await desk.world.register.subject(subject)).state
    assert 400 == (await desk.post("clerk", f"/people/{subject}/consents", {"ledger": 2})).status_code


async def test_bodies(desk: Counter) -> None:
    """Registered by code or name, listed by place without their contacts."""
    code = "91370321MA3C00002"
    shop = {"name": "红星超市", "type": "商户", "uscc": code + uscc_check(code), "community": HERE}
    shop |= {"group": "G5", "contact": "王经理", "phone": "0533-8180001"}
    created = await desk.post("clerk", "/bodies", shop)
    assert 201 == created.status_code, created.text
    subject = created.json()["subject"]
    team = {"name": "邻里志愿队", "type": "志愿服务队", "community": THERE}
    assert 201 == (await desk.post("street", "/bodies", team)).status_code
    refused = [
        ("clerk", {**shop, "name": "别的名字"}, "already_registered"),
        ("street", team, "already_registered"),
        ("clerk", team, "forbidden"),
        ("clerk", {**shop, "group": "G3", "uscc": None}, "group_mismatch"),
        ("clerk", {**shop, "community": GRID}, "place_unknown"),
        ("clerk", {**shop, "uscc": code + "0"}, "request_invalid"),
    ]
    for who, sent, expected in refused:
        response = await desk.post(who, "/bodies", sent)
        assert expected == response.json()["code"], response.text
    listed = await desk.call("clerk", "GET", "/bodies")
    item = {"subject": subject, "name": "红星超市", "type": "商户", "uscc": shop["uscc"], "community": HERE}
    assert {"items": [{**item, "groups": ["G5"]}], "next": None} == listed.json()
    assert "王经理" not in listed.text
    first = (await desk.call("street", "GET", "/bodies?limit=1")).json()
    rest = (await desk.call("street", "GET", f"/bodies?limit=1&cursor={first['next']}")).json()
    assert {"红星超市", "邻里志愿队"} == {first["items"][0]["name"], rest["items"][0]["name"]}
    assert None is rest["next"]
    assert [] == (await desk.call("clerk", "GET", f"/bodies?place={THERE}")).json()["items"]


async def test_places(desk: Counter) -> None:
    """Level by level, page by page."""
    top = (await desk.call("clerk", "GET", "/places")).json()
    assert [{"code": "370321", "name": "桓台县", "level": "county", "parent": None}] == top["items"]
    first = (await desk.call("clerk", "GET", f"/places?parent={HERE}&limit=1")).json()
    rest = (await desk.call("clerk", "GET", f"/places?parent={HERE}&limit=1&cursor={first['next']}")).json()
    assert [f"{HERE}-01", GRID] == [first["items"][0]["code"], rest["items"][0]["code"]]
    assert None is rest["next"]
    assert 404 == (await desk.call("clerk", "GET", "/places?parent=999999")).status_code

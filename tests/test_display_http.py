# SPDX-License-Identifier: Apache-2.0
"""A screen's calendar, the day sheet and anomalies of spending through the door: who may, and what they get."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser
from typing import Any

import pytest

from api.auth import KIND_SCOPES
from api.bodies import NewBody, register_bodies
from api.people.tables import PROXY
from ledger.book import awards
from ledger.model import Act, Draft
from ledger.port import PutRows
from tests.test_merchants_http import HERE, NOON, Counter, Do, _offer, _shop, counter_town
from tests.test_merchants_http import counter as counter

pytestmark = pytest.mark.schema(town=counter_town)

DAY = "2022-06-20"


class Text(HTMLParser):
    """The text of a page, and every tag that is opened and not closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        assert not {"style", "onclick"} & {name for name, _ in attrs}
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.words.append(data.strip())


async def _body(counter: Counter, name: str) -> str:
    """A shop of the street with points, signed in under its name."""
    world = counter.world
    new = NewBody(name, "个体工商户", None, "G5", HERE, None, None)
    subject = (await register_bodies(world, [new], actor="system", base=100_000)).ref
    act = Act("system", "2022-06-15", b"{}", f"txn_{subject}", await world.people.data_key(subject))
    draft = Draft("award", HERE, act, subject=subject, rule="T-01", cause=world.ledger.cause("T-01", b"1", subject))
    await world.ledger.submit(
        Do(lambda view: awards.award(view, draft, standing=0, points=5_000, points_lot="2022-12-31"), HERE)
    )
    counter.tokens[name] = (await world.staff.sign_in_subject("body", subject, KIND_SCOPES["body"])).token
    return subject


async def test_a_screen_and_its_calendar(counter: Counter) -> None:
    """Staff set the terms, everybody reads the play list; a member buys minutes, lets its floor go, takes it back."""
    await _shop(counter, "商街大屏")
    offer = await _offer(counter, scenario="S36", title={"zh": "大屏 & 时长", "en": "Screen"}, price=100, stock=None)
    names = ("面馆", "<花店>", "书店")
    members = [await _body(counter, name) for name in names]
    path, body = f"/offers/{offer}/calendar", {"minutes": 20, "floor": 5, "members": members}
    for who in ("till", "resident", "面馆"):
        assert "forbidden" == (await counter.send(who, "PUT", path, body)).json()["code"]
    assert (
        "request_invalid"
        == (await counter.send("staff", "PUT", path, {**body, "members": [counter.subject]})).json()["code"]
    )
    assert "floors_too_long" == (await counter.send("staff", "PUT", path, {**body, "minutes": 14})).json()["code"]
    set_ = await counter.send("staff", "PUT", path, body)
    assert (200, '"1"', "2022-06-15") == (set_.status_code, set_.headers["ETag"], set_.json()["from"]), set_.text
    stale = await counter.send("staff", "PUT", path, body, **{"If-Match": '"0"'})
    assert (412, "precondition_failed") == (stale.status_code, stale.json()["code"])

    order = {"offer": offer, "quantity": 4, "by": {"subject": members[0]}, "slot": {"day": DAY}}
    made = await counter.post("staff", "/redemptions?capture=true", order)
    assert (201, 400) == (made.status_code, made.json()["points"]), made.text
    full = await counter.post("staff", "/redemptions", {**order, "quantity": 2})
    assert (409, "slot_full") == (full.status_code, full.json()["code"])
    assert (
        "slot_closed"
        == (await counter.post("staff", "/redemptions", {**order, "slot": {"day": "2022-06-14"}})).json()["code"]
    )
    [day] = (await counter.send("", "GET", f"{path}?from={DAY}&to={DAY}")).json()["items"]
    assert (20, 5, 1) == (day["minutes"], day["floor"], day["left"])
    assert {"面馆": 9, "<花店>": 5, "书店": 5} == {one["name"]: one["minutes"] for one in day["plays"]}
    assert not any(member in str(day) for member in members)
    assert 7 == len((await counter.send("", "GET", path)).json()["items"])
    for query in ("from=2022-06-20&to=2022-06-19", "from=2022-01-01&to=2022-12-31"):
        assert 400 == (await counter.send("", "GET", f"{path}?{query}")).status_code
    assert 200 == (await counter.send("", "GET", f"{path}?from=9999-12-30")).status_code  # no day comes after the next

    page = await counter.send("", "GET", f"{path}.html?from={DAY}&to=2022-06-21")
    text = Text(page.text)
    assert not text.open and {"大屏 & 时长 播放表", "<花店>", f"{DAY} 星期一"} <= set(text.words)
    assert "script-src" not in page.headers["Content-Security-Policy"]

    floor = f"{path}/{DAY}/floor"
    assert (
        "forbidden" == (await counter.send("书店", "PUT", floor, {"keep": False, "member": members[1]})).json()["code"]
    )
    assert 200 == (await counter.send("书店", "PUT", floor, {"keep": False})).status_code
    more = await counter.post("staff", "/redemptions", {**order, "quantity": 6})
    assert 201 == more.status_code
    gone = await counter.send("书店", "PUT", floor, {"keep": True})
    assert (409, "slot_full") == (gone.status_code, gone.json()["code"])
    assert 200 == (await counter.post("staff", f"/redemptions/{more.json()['id']}/release")).status_code
    assert 200 == (await counter.send("staff", "PUT", floor, {"keep": True, "member": members[2]})).status_code
    booked = await counter.send("staff", "PUT", path, {**body, "minutes": 18, "from": DAY})
    assert (409, "calendar_booked") == (booked.status_code, booked.json()["code"])
    soap = await _offer(counter)
    assert 404 == (await counter.send("", "GET", f"/offers/{soap}/calendar")).status_code
    assert 404 == (await counter.send("staff", "PUT", f"/offers/{soap}/calendar", body)).status_code


async def test_the_day_sheet(counter: Counter) -> None:
    """As a table and as a page: every order, totals by scenario, nobody's name; a shop its own, staff all of theirs."""
    await _shop(counter)
    rice = await _offer(counter, cash_fen=150)
    soap = await _offer(counter, title={"zh": "=香皂", "en": "Soap"}, price=500, cash_fen=70)
    by = {"by": counter.card}
    first = (await counter.post("till", "/redemptions?capture=true", {"offer": rice, "quantity": 2, **by})).json()["id"]
    held = (await counter.post("till", "/redemptions", {"offer": soap, **by})).json()["id"]
    gone = (await counter.post("till", "/redemptions?capture=true", {"offer": soap, **by})).json()["id"]
    await counter.post("till", f"/redemptions/{first}/refunds", {"amount": 1_000, "reason": "少一袋"})
    await counter.post("till", f"/redemptions/{gone}/void", {"reason": "扫错了"})
    await _shop(counter, "别家", till="rival")

    sheet = await counter.send("till", "GET", "/redemptions.csv?day=2022-06-15")
    assert "attachment" in sheet.headers["Content-Disposition"] and "no-store" == sheet.headers["Cache-Control"]
    assert sheet.content.startswith("\ufeff".encode())
    rows = list(csv.DictReader(io.StringIO(sheet.content.decode("utf-8-sig"))))
    said = {row["编号"]: row for row in rows[:-1]}
    assert {first, held, gone} == said.keys()
    assert ("20", "10", "10", "3.00", "部分退分") == tuple(
        said[first][name] for name in ("核销积分", "退回积分", "净积分", "现金(元)", "状态")
    )
    assert ("0", "0.00", "已冻结", "'=香皂", "12:00:00", "1 号收银台") == tuple(
        said[held][name] for name in ("净积分", "现金(元)", "状态", "项目", "时间", "收银设备")
    )
    assert ("5", "5", "0", "0.00", "已撤销") == tuple(
        said[gone][name] for name in ("核销积分", "退回积分", "净积分", "现金(元)", "状态")
    )
    assert ("合计", "1 笔", "2", "25", "15", "10", "3.00") == tuple(
        rows[-1][name] for name in ("时间", "编号", "数量", "核销积分", "退回积分", "净积分", "现金(元)")
    )
    page = await counter.send("till", "GET", "/redemptions.html")
    text = Text(page.text)
    assert not text.open and {"便民超市", "S13 =香皂", "合计 S13", "商户签字"} <= set(text.words)
    for told in (page.text, sheet.text):
        assert not [word for word in ("王", "小红", counter.subject, counter.card["card"]) if word in told]
    assert sheet.content == (await counter.send("staff", "GET", "/redemptions.csv")).content
    assert 1 == len((await counter.send("rival", "GET", "/redemptions.csv")).text.splitlines())
    assert "这一天没有兑换" in (await counter.send("rival", "GET", "/redemptions.html")).text
    for form in ("csv", "html"):
        assert 403 == (await counter.send("resident", "GET", f"/redemptions.{form}")).status_code


async def test_anomalies_of_spending(counter: Counter) -> None:
    """Who spends at the shop of their own body, in words and with the shop's name; looking stands in the access log."""
    shop = await _shop(counter)
    owner = await _body(counter, "王记商行")
    named = await counter.send("staff", "PATCH", f"/merchants/{shop}", {"subject": owner})
    assert 200 == named.status_code, named.text
    row = (owner, counter.subject, "acts", "2022-12-31", b"", "stf_a", NOON, 0)
    await counter.world.ledger.submit(PutRows(puts=((PROXY, row),)))
    offer = await _offer(counter)
    orders = [
        (await counter.post("till", "/redemptions?capture=true", {"offer": offer, "by": counter.card})).json()["id"]
        for _ in range(3)
    ]
    query = f"/anomalies?about=spending&place={HERE}&from=2022-06-01&to=2022-06-30"
    assert "forbidden" == (await counter.send("staff", "GET", query)).json()["code"]
    roles = [{"role": "auditor", "place": "370321", "from": "2022-01-01", "to": None}]
    await counter.world.staff.create(None, "auditor01", "a long enough password 1", roles)
    counter.tokens["auditor"] = (await counter.world.staff.sign_in("auditor01", "a long enough password 1")).token
    said = await counter.send("auditor", "GET", query)
    [found] = said.json()["items"]
    assert ("own_shop", shop, [counter.subject], sorted(orders)) == (
        found["kind"], found["merchant"], found["subjects"], found["redemptions"]
    )  # fmt: skip
    assert "便民超市" in found["detail"] and "3 times" in found["detail"] and "30 points" in found["detail"]
    seen = await counter.world.ledger.fetch("SELECT subject FROM access_log WHERE what LIKE 'anomalies of spending%'")
    assert [(counter.subject,)] == [tuple(one) for one in seen]
    assert [] == (await counter.send("auditor", "GET", query.replace("about=spending&", ""))).json()["items"]
    for n, price in enumerate((300, 400, 500)):
        other = await _offer(counter, title={"zh": f"货 {n}", "en": f"Goods {n}"}, price=price)
        await counter.post("staff", "/redemptions", {"offer": other, "by": {"subject": counter.subject}})
    assert 1 == len((await counter.send("auditor", "GET", query)).json()["items"])  # what is put aside is no try
    elsewhere = query.replace(HERE, "370321002")
    assert 1 == len((await counter.send("auditor", "GET", elsewhere)).json()["items"])

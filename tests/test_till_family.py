# SPDX-License-Identifier: Apache-2.0
"""Who stands in for whom at the till, gifts to relatives, and the slip for somebody without a phone."""

from __future__ import annotations

from typing import Any

import pytest

from api import jobs
from tests.till_town import SECOND, Till, till, till_town

__all__ = ["till"]

pytestmark = pytest.mark.schema(town=till_town)
once = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # where no row is fought over

DAY = 86_400 * SECOND


async def _list(till: Till, kind: str, until: str = "2022-12-31", **more: Any) -> Any:
    """The mother lists her daughter."""
    made = await till.post("mother", "/me/proxies", {"proxy": till.subject, "kind": kind, "until": until, **more})
    return made.json() if made.status_code == 201 else made.json()["code"]


@once
async def test_a_daughter_pays_for_her_mother(till: Till) -> None:
    """With the mother's points, by token, by card and at the desk; the order says who came."""
    mother = till.people["mother"]
    body = {"on_behalf_of": mother}
    refused = await till.post("resident", "/tokens", body)
    assert (403, "not_proxy") == (refused.status_code, refused.json()["code"])
    both = {**till.card, "for_card": till.cards["mother"]["card"]}
    assert "not_identified" == await till.redeem(both)
    assert "not_proxy" == await till.redeem({"subject": mother, "proxy": till.subject}, "staff")
    listed = await _list(till, "acts")
    assert {"proxy": till.subject, "masked_name": "王*红", "kind": "acts", "until": "2022-12-31"} == listed
    assert "小" not in (await till.send("mother", "GET", "/me/proxies")).text
    assert "held" == (await till.redeem({"token": await till.token(**body)}))["state"]
    assert "held" == (await till.redeem(both))["state"]
    assert "held" == (await till.redeem({"subject": mother, "proxy": till.subject}, "staff"))["state"]
    made = await till.world.ledger.fetch("SELECT subject, proxy, way FROM redemption ORDER BY created_at")
    assert {(mother, till.subject)} == {row[:2] for row in made}
    assert ["card", "staff", "token"] == sorted(row[2] for row in made)
    assert 0 == await till.spent("resident")


async def test_a_proxy_ends_at_once(till: Till) -> None:
    """By either of the two; a code that was made before is worth nothing any more. The last day is included."""
    mother, body = till.people["mother"], {"on_behalf_of": till.people["mother"]}
    for who, other in (("mother", till.subject), ("resident", mother)):
        await _list(till, "acts")
        token = await till.token(**body)
        ended = await till.send(who, "DELETE", f"/me/proxies?proxy={other}")
        assert {"ended": 1} == ended.json()
        assert "not_identified" == await till.redeem({"token": token})
        assert {"items": [], "for": []} == (await till.send("mother", "GET", "/me/proxies")).json()
    await _list(till, "acts", "2022-06-16")
    till.now += DAY
    assert "held" == (await till.redeem({"token": await till.token(**body)}))["state"]
    till.now += DAY
    assert "not_proxy" == (await till.post("resident", "/tokens", body)).json()["code"]


@once
async def test_a_proxy_approves_a_charge(till: Till) -> None:
    """On the daughter's phone with the mother's points."""
    made = (await till.post("till", "/charges", {"offer": till.offer})).json()
    body = {"code": made["code"], "on_behalf_of": till.people["mother"]}
    assert "not_proxy" == (await till.post("resident", "/me/charges/approve", body)).json()["code"]
    await _list(till, "acts")
    done = await till.post("resident", "/me/charges/approve", body, key="yes")
    assert "held" == done.json()["state"]
    await till.send("mother", "DELETE", f"/me/proxies?proxy={till.subject}")
    again = await till.post("resident", "/me/charges/approve", body, key="yes")
    assert (201, done.json()) == (again.status_code, again.json()), "what was done is told again"
    assert (0, 1_000) == (await till.spent("resident"), await till.spent("mother"))


@once
async def test_staff_list_proxies_with_a_signed_paper(till: Till) -> None:
    """Where the paper is stays sealed; nobody lists themselves, nobody for ever, and nobody who is not registered."""
    path = f"/people/{till.people['mother']}/proxies"
    body = {"proxy": till.subject, "kind": "acts", "until": "2023-06-15", "consent": "委托书 2022-17，档案柜三"}
    assert "forbidden" == (await till.post("resident", path, body)).json()["code"]
    assert 201 == (await till.post("staff", path, body)).status_code
    for wrong, code in (
        ({**body, "until": "2022-06-14"}, "request_invalid"),
        ({**body, "until": "2042-06-14"}, "request_invalid"),
        ({**body, "proxy": till.people["mother"]}, "request_invalid"),
        ({**body, "proxy": "sub_0000000000000000"}, "subject_unknown"),
        ({**body, "consent": ""}, "request_invalid"),
    ):
        assert code == (await till.post("staff", path, wrong)).json()["code"], wrong
    rows = await till.world.ledger.fetch("SELECT consent FROM proxy")
    assert rows and "委托书".encode() not in bytes(rows[0][0])
    listed = (await till.send("staff", "GET", path)).json()["items"]
    assert [till.subject] == [one["proxy"] for one in listed]
    assert {"ended": 1} == (await till.send("staff", "DELETE", f"{path}?proxy={till.subject}")).json()
    assert [] == (await till.send("staff", "GET", path)).json()["items"]


async def test_erasing_either_forgets_the_pair(till: Till) -> None:
    """A row that names two people goes with the first of them."""
    await _list(till, "acts")
    await _list(till, "relative")
    assert 200 == (await till.send("resident", "DELETE", f"/people/{till.subject}")).status_code
    assert [] == await till.world.ledger.fetch("SELECT subject FROM proxy")
    assert "subject_erased" == await _list(till, "acts")


async def test_what_has_run_out_is_forgotten(till: Till) -> None:
    """Codes after a day, a proxy a year after it ended; what still holds stays."""
    await till.redeem({"token": await till.token()})
    await till.post("till", "/charges", {"offer": till.offer})
    await _list(till, "acts")
    await till.send("mother", "DELETE", f"/me/proxies?proxy={till.subject}")
    await _list(till, "relative", "2025-01-01")
    for days, kept in ((1, (1, 1, 2)), (2, (0, 0, 2)), (367, (0, 0, 1))):
        till.now += days * DAY - (DAY if days > 1 else SECOND)
        await jobs.sessions(till.world)
        await jobs.retention(till.world)
        found = [await till.world.ledger.fetch(f"SELECT 1 FROM {one}") for one in ("pass_used", "charge", "proxy")]
        assert kept == tuple(map(len, found)), days


@once
async def test_a_relative_gives_a_meal(till: Till) -> None:
    """Only inside a scenario that allows it, only by a listed relative, and counted for the one who eats."""
    meal = await till.more_offers(scenario="S31", price=500)
    mother = till.people["mother"]
    gift = {"offer": meal, "by": till.card, "for": {"card": till.cards["mother"]["card"]}}

    async def give(to: dict[str, str] | None = None, who: str = "till", **changes: Any) -> Any:
        answer = await till.post(who, "/redemptions", {**gift, **changes, **({} if to is None else {"for": to})})
        return answer.json()["code"] if answer.status_code >= 400 else answer.json()["state"]

    assert "not_eligible" == await give(), "not a relative"
    await _list(till, "acts")
    assert "not_eligible" == await give(), "acting for somebody is not paying for them"
    await _list(till, "relative")
    assert "held" == await give()
    assert "not_eligible" == await give(offer=till.offer), "a scenario without gifts"
    assert "forbidden" == await give({"subject": mother}), "a till knows nobody's number"
    assert "request_invalid" == await give({})
    assert "held" == await give({"subject": mother}, "staff", by={"subject": till.subject})
    token = {"token": await till.token()}
    assert "not_eligible" == await give({"card": "1" * 13}, by=token), "no such card: as no such relative"
    assert "token_used" == await give(by=token)
    charge = (await till.post("till", "/charges", {"offer": meal})).json()["code"]
    given = await till.post("resident", "/me/charges/approve", {"code": charge, "for": mother})
    assert "held" == given.json()["state"]
    await till.post("mother", f"/people/{mother}/consents", {"ledger": False})
    charge = (await till.post("till", "/charges", {"offer": meal})).json()["code"]
    refused = await till.post("resident", "/me/charges/approve", {"code": charge, "for": mother})
    assert "not_eligible" == refused.json()["code"], "who has left is given nothing"
    assert "not_eligible" == await give({"subject": mother}, "staff", by={"subject": till.subject})
    assert (1_500, 0) == (await till.spent("resident"), await till.spent("mother"))
    rows = await till.world.ledger.fetch("SELECT DISTINCT beneficiary FROM redemption")
    assert [(mother,)] == rows


@once
async def test_a_proxy_gives_nothing_away(till: Till) -> None:
    """Acting for somebody is paying for them: not for oneself with their points, by card, token, phone or desk."""
    meal, mother = await till.more_offers(scenario="S31", price=500), till.people["mother"]
    await till.post("resident", "/me/proxies", {"proxy": mother, "kind": "acts", "until": "2022-12-31"})
    await till.post("mother", "/me/proxies", {"proxy": till.subject, "kind": "relative", "until": "2022-12-31"})
    own = till.cards["mother"]
    for who, by, to in (
        ("till", {**own, "for_card": till.card["card"]}, {"card": own["card"]}),
        ("till", {"token": await till.token("mother", on_behalf_of=till.subject)}, {"card": own["card"]}),
        ("staff", {"subject": till.subject, "proxy": mother}, {"subject": mother}),
    ):
        refused = await till.post(who, "/redemptions", {"offer": meal, "by": by, "for": to})
        assert "not_eligible" == refused.json()["code"], by
    charge = (await till.post("till", "/charges", {"offer": meal})).json()["code"]
    body = {"code": charge, "on_behalf_of": till.subject, "for": mother}
    assert "not_eligible" == (await till.post("mother", "/me/charges/approve", body)).json()["code"]
    assert 0 == await till.spent("resident")


@once
async def test_a_lost_card_is_frozen_by_its_holder(till: Till) -> None:
    """At once and for good; the phone goes on working, and a new card comes with a new PIN."""
    assert "held" == (await till.redeem(till.card))["state"]
    frozen = await till.post("resident", "/me/card", {"action": "freeze"})
    assert {"state": "frozen", "cards": 1} == frozen.json()
    assert "not_identified" == await till.redeem(till.card)
    assert "held" == (await till.redeem({"token": await till.token()}))["state"]
    issued = (await till.post("staff", f"/people/{till.subject}/card", {"action": "reissue"})).json()
    assert "held" == (await till.redeem({"card": issued["card"], "pin": issued["pin"]}))["state"]
    assert "not_identified" == await till.redeem(till.card)


@once
async def test_the_slip_at_the_desk(till: Till) -> None:
    """What an elder takes home: what there is, what lapses when, what happened in words, and a proof of it."""
    paid = await till.redeem(till.cards["mother"])
    await till.post("till", f"/redemptions/{paid['id']}/capture")
    await till.world.publisher.publish()
    path = f"/subjects/{till.people['mother']}/slip"
    page = await till.send("staff", "GET", path)
    assert (200, "text/html; charset=utf-8") == (page.status_code, page.headers["content-type"])
    assert "no-store" == page.headers["cache-control"]
    assert "李*芳" in page.text and "桂芳" not in page.text
    assert "<b>20</b>" in page.text and "使用期限：20 分到 2022年12月31日。" in page.text
    assert "在便民超市兑换“米”：-10 分" in page.text
    assert "<svg" in page.text and "最近一笔的凭证" in page.text
    own = await till.send("mother", "GET", "/me/slip")
    assert page.content == own.content
    for who, code in (("resident", "forbidden"), ("till", "forbidden")):
        assert code == (await till.send(who, "GET", path)).json()["code"]
    seen = await till.world.ledger.fetch("SELECT what FROM access_log WHERE subject = ?", till.people["mother"])
    assert [("slip",)] == seen, "staff's reading is written down, one's own is not"

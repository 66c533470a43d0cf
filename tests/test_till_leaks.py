# SPDX-License-Identifier: Apache-2.0
"""What a till can find out: a masked name, yes or no, the points to deduct. Whatever it asks, in whatever order."""

from __future__ import annotations

import re
from typing import Any

import pytest

from api.people.cards import Cards
from tests.till_town import SECOND, Till, till, till_town

__all__ = ["till"]

# What a till is told does not hang on the database.
pytestmark = [pytest.mark.schema(town=till_town), pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]

OFFER = {"scenario": "S13", "title": {"zh": "米", "en": "Rice"}, "price": 1_000, "stock": 5}
GRADE_GATED = ("S07", "S14", "S16", "S20", "S30", "S34")


def _wrong(pin: str) -> str:
    return f"{(int(pin) + 1) % 10**6:06d}"


async def test_everybody_who_is_not_recognised_is_the_same_nobody(till: Till) -> None:
    """No card, another's PIN, a frozen card, an erased person, somebody who wants no shop to know them, a family that
    is none: the same answer to the byte, for every call that takes a person."""
    card, mother, neighbour = till.card, till.cards["mother"], till.cards["neighbour"]
    answers: set[bytes] = set()
    asked: set[bytes] = set()

    async def nobody(by: dict[str, str]) -> None:
        for path, seen in (("/redemptions", answers), ("/eligibility", asked)):
            answer = await till.post("till", path, {"offer": till.offer, "by": by})
            seen.add(re.sub(rb'"instance":"[^"]*"', b"", answer.content))

    await nobody({"card": "1" * 13, "pin": "000000"})
    await nobody({**card, "pin": _wrong(card["pin"])})
    await nobody(neighbour)
    await nobody({"phone_tail": "0009", "surname": "王", "pin": card["pin"]})
    await nobody({"phone_tail": "0003", "surname": "赵", "pin": neighbour["pin"]})
    await nobody({**card, "for_card": mother["card"]})
    await nobody({**card, "for_card": neighbour["card"]})
    await nobody({**card, "for_card": "1" * 13})
    await nobody({"token": "JT1:AAAA"})
    await till.post("staff", f"/people/{till.people['mother']}/card", {"action": "freeze"})
    await nobody(mother)
    token = await till.token("mother")
    await till.send("mother", "DELETE", f"/people/{till.people['mother']}")
    await nobody({"token": token})
    await nobody(mother)
    assert 1 == len(answers | asked)
    assert b"not_identified" in answers.pop()


async def test_nobody_takes_as_long_as_somebody(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong PIN is one hash and two commits, whether there is somebody whose it could be or not."""
    done: list[str] = []
    fits, commit = Cards._fits, till.world.ledger.store.commit  # pyright: ignore[reportPrivateUsage]

    async def hashing(*args: Any) -> bool:
        done.append("hash")
        return await fits(*args)

    async def committing() -> None:
        done.append("commit")
        await commit()

    monkeypatch.setattr(Cards, "_fits", hashing)
    monkeypatch.setattr(till.world.ledger.store, "commit", committing)
    neighbour, wrong = till.cards["neighbour"], _wrong(till.card["pin"])
    for by in (
        {**till.card, "pin": wrong},
        {"card": "1" * 13, "pin": wrong},
        neighbour,
        {"phone_tail": "0001", "surname": "王", "pin": wrong},
        {"phone_tail": "0009", "surname": "王", "pin": wrong},
        *({**till.card, "pin": wrong} for _ in range(4)),
    ):
        done.clear()
        till.now += 1
        assert "not_identified" == await till.redeem(by)
        assert ["commit", "hash", "commit"] == done, by


async def test_a_stolen_key_does_not_go_through_the_town(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many wrong PINs in an hour a till tries no more, not even the right one; other tills go on."""
    monkeypatch.setattr("api.counter.WRONG_PINS", 3)
    await till.more_shops("别家", "rival")
    for number in range(3):
        assert "not_identified" == await till.redeem({"phone_tail": f"100{number}", "surname": "王", "pin": "123456"})
    assert ["rate_limited"] * 2 == [await till.redeem(till.card), await till.ask(till.card)]
    assert "not_identified" == await till.redeem({"token": "JT1:AAAA"}), "nothing to be guessed there"
    assert "held" == (await till.redeem({"token": await till.token()}))["state"]
    offer = (await till.post("rival", "/offers", OFFER)).json()["id"]
    assert 200 == (await till.post("staff", f"/offers/{offer}/approve")).status_code
    assert (await till.ask(till.card, offer, "rival"))["eligible"]
    till.now += 3_600 * SECOND
    assert "held" == (await till.redeem(till.card))["state"]


async def test_thirty_six_gates(till: Till) -> None:
    """A till that has somebody's PIN hears of five gates a day and not of a sixth; a yes counts as much as a no."""
    offers = [await till.more_offers(scenario=code, price=0) for code in GRADE_GATED]
    told = [await till.ask(till.card, offer) for offer in offers]
    heard = [one for one in told if one != "rate_limited"]
    assert 5 == len(heard)
    assert [told[0]] * 2 == [await till.ask(till.card, offers[0]) for _ in range(2)], "the same again is nothing new"


async def test_gates_at_one_price(till: Till) -> None:
    """Priced alike, the gates of scenarios are asked no oftener than gates without a price."""
    priced = (("S13", 500), ("S31", 500), ("S13", 1_000), ("S17", 1_000), ("S13", 2_000), ("S17", 2_000))
    offers = [await till.more_offers(scenario=code, price=price) for code, price in priced]
    assert "rate_limited" == [await till.ask(till.card, offer) for offer in offers][5]


async def test_prices_do_not_find_a_balance(till: Till) -> None:
    """Five totals that were too much, or were called off, and the till has to wait; what it sells goes on."""
    cheap = await till.more_offers(price=50)

    async def total(quantity: int) -> str:
        answer = await till.post(
            "till", "/redemptions", {"offer": cheap, "quantity": quantity, "by": till.cards["mother"]}
        )
        if answer.status_code < 400:
            await till.post("till", f"/redemptions/{answer.json()['id']}/release")
        return answer.json().get("code", "held")

    found = [await total(quantity) for quantity in (1, 2, 3, 4, 5, 6, 7, 6)]
    assert ["held"] * 5 + ["rate_limited"] * 3 == found
    assert "held" == await total(3)


async def test_points_then_cash_is_no_scale(till: Till) -> None:
    """Called off, it counts as a try, so a till sees a balance by it no oftener than it sells something."""
    seen: list[Any] = []
    for quantity in (7, 6, 5, 4, 3, 2):
        slip = await till.redeem(till.card, quantity=quantity, pay="points_then_cash")
        seen.append(slip)
        if isinstance(slip, dict):
            await till.post("till", f"/redemptions/{slip['id']}/void", {"reason": "换一个"})
    assert "rate_limited" == seen[5]


async def test_a_family_that_is_none_is_kept_under_no_key(till: Till) -> None:
    """Somebody's card and no card at all: the same refusal when it is sent again, to the last header."""
    seen: set[str] = set()
    for number, card in enumerate((till.cards["mother"]["card"], till.cards["neighbour"]["card"], "1" * 13)):
        body = {"offer": till.offer, "by": {**till.card, "for_card": card}}
        for _ in range(2):
            answer = await till.post("till", "/redemptions", body, key=f"same-{number}")
            seen.add(answer.text + str({**answer.headers, "x-request-id": ""}))
    assert 1 == len(seen)


async def test_entries_of_a_shop_join_no_visits(till: Till) -> None:
    """What pays a shop names nobody, whoever's phone agreed to it."""
    charges = [(await till.post("till", "/charges", {"offer": till.offer, "capture": True})).json() for _ in range(2)]
    for charge in charges:
        assert 201 == (await till.post("resident", "/me/charges/approve", {"code": charge["code"]})).status_code
    rows = await till.world.ledger.fetch("SELECT journal, seq FROM turnover ORDER BY seq")
    found = [(await till.send("till", "GET", f"/entries/{journal}/{seq}")).json()["entry"] for journal, seq in rows]
    assert [charge["id"] for charge in charges] == [one["actor"] for one in found]
    assert till.subject not in str(found)


async def test_a_name_is_not_told_any_more(till: Till) -> None:
    """Who does not want to be known to shops is not named to them, for old orders neither."""
    paid, path = await till.redeem(till.card), f"/people/{till.subject}/consents"
    assert "王*红" == paid["masked_name"]
    assert 200 == (await till.post("resident", path, {"merchant": False})).status_code
    assert "" == (await till.send("till", "GET", f"/redemptions/{paid['id']}")).json()["masked_name"]
    assert "" == (await till.post("till", f"/redemptions/{paid['id']}/capture")).json()["masked_name"]
    assert "王*红" in (await till.send("resident", "GET", "/me/slip")).text


async def test_a_hurried_till_learns_nothing(till: Till) -> None:
    """Over its pace a till hears so before the person is looked at, whatever they could pay; and codes stay good."""
    quick = await till.send("staff", "PATCH", f"/merchants/{till.shop}", {"per_minute": 1})
    assert 200 == quick.status_code, quick.text
    assert "held" == (await till.redeem({"token": await till.token("mother")}))["state"]
    answers = [await till.redeem(till.card, quantity=quantity) for quantity in (1, 2, 3, 4, 5, 9)]
    assert ["rate_limited"] * 6 == answers
    by = {"token": await till.token()}
    assert "rate_limited" == await till.redeem(by, quantity=9)
    assert "rate_limited" == await till.ask(by)
    till.now += 30 * SECOND
    by = {"token": await till.token()}
    assert "rate_limited" == await till.redeem(by)
    till.now += 31 * SECOND
    assert "held" == (await till.redeem({"token": await till.token()}))["state"]


async def test_no_answer_to_a_till_has_more(till: Till) -> None:
    """Every call a till can make about somebody, searched for their number, name, grade, standing and balance."""
    texts: list[str] = []
    await till.post("mother", "/me/proxies", {"proxy": till.subject, "kind": "acts", "until": "2022-12-31"})
    gated = await till.more_offers(scenario="S14", price=0)

    async def say(method: str, path: str, body: Any = None) -> Any:
        answer = await till.send("till", method, path, body)
        texts.append(answer.text + str(answer.headers))
        return answer.json()

    for by in (
        till.card,
        {"token": await till.token()},
        {"token": await till.token(on_behalf_of=till.people["mother"])},
        {**till.card, "for_card": till.cards["mother"]["card"]},
        {"phone_tail": "0001", "surname": "王", "pin": till.card["pin"]},
    ):
        asked = await say("POST", "/eligibility", {"offer": till.offer, "by": by})
        assert asked["eligible"]
        made = await say("POST", "/redemptions", {"offer": till.offer, "by": {"visit": asked["visit"]}})
        for call in ("capture", "release", "refunds", "void"):
            body = {"amount": 10, "reason": "x"} if call == "refunds" else {"reason": "x"} if call == "void" else {}
            await say("POST", f"/redemptions/{made['id']}/{call}", body)
        await say("GET", f"/redemptions/{made['id']}")
    await say("POST", "/redemptions", {"offer": gated, "by": till.card})
    await say("POST", "/redemptions", {"offer": till.offer, "quantity": 4, "by": {"token": await till.token("mother")}})
    charge = await say("POST", "/charges", {"offer": till.offer, "quantity": 4})
    await till.post("mother", "/me/charges/approve", {"code": charge["code"]})
    await say("GET", f"/charges/{charge['id']}")
    await till.post("resident", "/me/charges/approve", {"code": charge["code"]})
    await say("GET", f"/charges/{charge['id']}")
    await say("GET", "/redemptions")
    whole = "\n".join(texts)
    assert not [one for one in till.people.values() if one in whole]
    for word in ("小红", "桂芳", "138000", "standing", "grade", "lots", "available", "100000", "reason_code", "proxy"):
        assert word not in whole, word
    assert "王*红" in whole and "李*芳" in whole

# SPDX-License-Identifier: Apache-2.0
"""Codes at the till: a token from a phone, the visit a till keeps, a charge the person approves."""

from __future__ import annotations

import asyncio

import pytest

from merchants.passes import Pass, Passes
from tests.till_town import SECOND, Till, till, till_town

__all__ = ["till"]

pytestmark = pytest.mark.schema(town=till_town)
once = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # where no row is fought over


async def test_a_token_pays_once(till: Till) -> None:
    """Two calls from code to goods; the same code once more is refused by name, the same request is answered again."""
    body = {"offer": till.offer, "by": {"token": await till.token()}}
    paid = await till.post("till", "/redemptions?capture=true", body, key="once")
    assert (201, "captured", 1_000) == (paid.status_code, paid.json()["state"], paid.json()["points"])
    again = await till.post("till", "/redemptions?capture=true", body, key="once")
    assert ("true", paid.json()) == (again.headers["Idempotency-Replayed"], again.json())
    used = await till.post("till", "/redemptions", body)
    assert (409, "token_used") == (used.status_code, used.json()["code"])
    rows = await till.world.ledger.fetch("SELECT way, consent, proxy FROM redemption")
    assert [("token", "", "")] == rows


async def test_a_token_at_two_tills_at_once(till: Till) -> None:
    """One is served, the other hears why."""
    by = {"token": await till.token()}
    outcomes = await asyncio.gather(*(till.redeem(by) for _ in range(4)))
    assert 3 == outcomes.count("token_used")
    assert 1_000 == await till.spent("resident")


async def test_a_token_runs_out(till: Till) -> None:
    """After a minute, by the ledger's clock."""
    token = await till.token()
    till.now += 60 * SECOND
    answer = await till.post("till", "/redemptions", {"offer": till.offer, "by": {"token": token}})
    assert (410, "token_expired") == (answer.status_code, answer.json()["code"])
    till.now -= SECOND
    assert "held" == (await till.redeem({"token": token}))["state"]


@once
async def test_what_is_not_a_token_is_nobody(till: Till) -> None:
    """Forged, flipped, cut, of another deployment, of another kind, in small letters: one answer, byte for byte."""
    token, world = await till.token(), till.world
    secret, origin = world.keys.secret, world.keys.origin
    here, said = Passes(secret, origin), Pass(till.subject)
    last = "A" if token[-1] != "A" else "B"
    answers: set[bytes] = set()
    for text in (
        Passes(secret, origin + "x").make("token", said, till.now)[0],
        Passes(bytes(32), origin).make("token", said, till.now)[0],
        here.make("visit", said, till.now)[0],
        here.make("visit", said, till.now)[0].replace("JTV1:", "JT1:"),
        *(token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :] for at in (0, 4, 20, 60, 100)),
        token[:-1] + last,
        token[:-1],
        token + "A",
        token.lower(),
        token.replace("JT1:", ""),
        "JT1:",
        "JT1:!!!!",
        till.subject,
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzdWJfMSJ9.",
        "字",
    ):
        answer = await till.post("till", "/redemptions", {"offer": till.offer, "by": {"token": text}})
        assert (422, "not_identified") == (answer.status_code, answer.json()["code"]), text
        answers.add(answer.content)
    assert 1 == len(answers)
    assert "held" == (await till.redeem({"token": f" {token}\r\n"}))["state"], "as a scanner types it"


@once
async def test_a_token_says_nothing(till: Till) -> None:
    """Two of the same person have nothing in common, and all are of one length, whoever acts for whomever."""
    await till.post("mother", "/me/proxies", {"proxy": till.subject, "kind": "acts", "until": "2022-12-31"})
    mother = till.people["mother"]
    bodies = [{}, {}, {"pay": "points_then_cash"}, {"on_behalf_of": mother}]
    tokens = [await till.token(**body) for body in bodies]
    assert 1 == len({len(token) for token in tokens})
    for at in range(4, len(tokens[0]) - 3):
        assert 1 == sum(tokens[0][at : at + 12] in one for one in tokens), at


async def test_a_token_answers_for_one_offer(till: Till) -> None:
    """A no uses it up as well as a yes, so that nobody's grade is found by asking offer after offer."""
    gates = [await till.more_offers(scenario=code, price=0) for code in ("S14", "S16")]
    by = {"token": await till.token()}
    assert {"eligible": False} == await till.ask(by, gates[0])
    for offer in (gates[0], gates[1], till.offer):
        assert "token_used" == await till.ask(by, offer)
    by = {"token": await till.token()}
    refused = await till.post("till", "/redemptions", {"offer": gates[0], "by": by})
    assert "not_eligible" == refused.json()["code"]
    assert "token_used" == await till.redeem(by)
    by = {"token": await till.token()}
    assert "out_of_stock" == await till.redeem(by, quantity=9)
    assert "token_used" == await till.redeem(by), "out of stock is a yes to everything before"
    by = {"token": await till.token()}
    assert "not_found" == (await till.post("till", "/redemptions", {"offer": "off_x", "by": by})).json()["code"]
    assert "held" == (await till.redeem(by))["state"], "what says nothing of the person leaves the code as it was"


async def test_a_visit_redeems_what_was_asked_for(till: Till) -> None:
    """For five minutes, once, at the till that asked, for the offer it asked about."""
    other = await till.more_offers()
    await till.more_shops("别家", "rival")
    asked = await till.ask({"token": await till.token(pay="points_then_cash")})
    assert {"eligible", "visit"} == set(asked) and asked["eligible"]
    by = {"visit": asked["visit"]}
    elsewhere = await till.post("till", "/redemptions", {"offer": other, "by": by})
    assert "not_identified" == elsewhere.json()["code"]
    assert "forbidden" == await till.redeem(by, "rival")
    assert "not_identified" == await till.redeem(by, "staff")
    assert "request_invalid" == await till.ask(by)
    assert "not_identified" == await till.redeem({"token": asked["visit"]})
    assert "held" == (await till.redeem(by, pay="points_then_cash"))["state"]
    assert "token_used" == await till.redeem(by)
    asked = await till.ask(till.cards["resident"])
    till.now += 300 * SECOND
    assert "token_expired" == await till.redeem({"visit": asked["visit"]})
    assert {"eligible": True} == await till.ask({"subject": till.subject}, who="staff"), "staff need none"


@once
async def test_cash_is_agreed_to_before_anybody_looks(till: Till) -> None:
    """A token pays the rest in cash only if its holder said so; a shop that asks regardless learns nothing."""
    body, answers = {"quantity": 5, "pay": "points_then_cash"}, set[bytes]()
    for who in ("resident", "mother"):
        by = {"token": await till.token(who)}
        refused = await till.post("till", "/redemptions", {"offer": till.offer, "by": by, **body})
        assert "consent_needed" == refused.json()["code"]
        answers.add(refused.content)
        assert "token_used" != await till.redeem(by)
    assert 1 == len(answers)
    made = await till.world.ledger.fetch("SELECT redemption FROM redemption")
    for (redemption,) in made:
        await till.post("till", f"/redemptions/{redemption}/release")
    paid = await till.redeem({"token": await till.token("mother", pay="points_then_cash")}, **body)
    assert (3_000, 2_000) == (paid["points"], paid["cash_fen"])
    rows = await till.world.ledger.fetch("SELECT consent FROM redemption WHERE cash_fen > 0")
    assert [("token",)] == rows


@once
async def test_only_who_wants_to_be_known_shows_a_token(till: Till) -> None:
    """Without consent to being known to shops there is no code; staff and tills make none either."""
    for who, code in (("neighbour", "merchant_consent_missing"), ("staff", "forbidden"), ("till", "forbidden")):
        assert code == (await till.post(who, "/tokens")).json()["code"]


@pytest.mark.parametrize("consent", ["ledger", "merchant"])
async def test_withdrawn_is_withdrawn_for_codes_that_are_out(till: Till, consent: str) -> None:
    """A code, a visit, a proxy's code and a charge are good for nothing from the next commit on."""
    mother = till.people["mother"]
    await till.post("resident", "/me/proxies", {"proxy": mother, "kind": "acts", "until": "2022-12-31"})
    asked = await till.ask(till.card)
    bys = [
        {"token": await till.token()},
        {"token": await till.token("mother", on_behalf_of=till.subject)},
        {"visit": asked["visit"]},
        till.card,
        {**till.cards["mother"], "for_card": till.card["card"]},
    ]
    charge = (await till.post("till", "/charges", {"offer": till.offer})).json()["code"]
    done = await till.post("resident", f"/people/{till.subject}/consents", {consent: False})
    assert 200 == done.status_code, done.text
    assert ["not_identified"] * 5 == [await till.redeem(by) for by in bys]
    for body in ({"code": charge}, {"code": charge, "on_behalf_of": till.subject}):
        who = "mother" if "on_behalf_of" in body else "resident"
        answer = await till.post(who, "/me/charges/approve", body)
        assert "merchant_consent_missing" == answer.json()["code"]
    voucher = await till.post("resident", "/vouchers", {"offer": till.offer})
    assert "merchant_consent_missing" == voucher.json()["code"]
    assert 0 == await till.spent("resident")


@once
async def test_a_closed_till_is_not_paid(till: Till) -> None:
    """A charge that its till had shown before is over with it."""
    charge = (await till.post("till", "/charges", {"offer": till.offer, "capture": True})).json()
    [(terminal,)] = await till.world.ledger.fetch("SELECT terminal FROM terminal")
    closed = await till.send("staff", "PATCH", f"/merchants/{till.shop}/terminals/{terminal}", {"state": "closed"})
    assert 200 == closed.status_code
    refused = await till.post("resident", "/me/charges/approve", {"code": charge["code"]})
    assert "charge_closed" == refused.json()["code"]


async def test_a_charge_is_approved_on_the_persons_phone(till: Till) -> None:
    """The till shows a code, the person sees what it costs and approves; the till learns the slip and nothing else."""
    made = (await till.post("till", "/charges", {"offer": till.offer, "quantity": 2, "capture": True})).json()
    assert {"id", "code", "expires_at", "qr_svg"} == set(made)
    path, code = f"/charges/{made['id']}", {"code": made["code"]}
    assert "pending" == (await till.send("till", "GET", path)).json()["state"]
    seen = (await till.post("resident", "/me/charges/look", code)).json()
    assert ("便民超市", 2, 2_000, "points") == (seen["merchant"]["name"], seen["quantity"], seen["points"], seen["pay"])
    done = await till.post("resident", "/me/charges/approve", code, key="yes")
    assert (201, "captured", 2_000) == (done.status_code, done.json()["state"], done.json()["points"])
    again = await till.post("resident", "/me/charges/approve", code, key="yes")
    assert ("true", done.json()) == (again.headers["Idempotency-Replayed"], again.json())
    told = (await till.send("till", "GET", path)).json()
    assert ("approved", done.json()) == (told["state"], told["redemption"])
    for call in ("look", "approve", "decline"):
        assert "charge_closed" == (await till.post("mother", f"/me/charges/{call}", code)).json()["code"]
    assert [("charge", "")] == await till.world.ledger.fetch("SELECT way, consent FROM redemption")
    assert 2_000 == await till.spent("resident")


@once
async def test_the_till_does_not_hear_why_a_charge_was_not_approved(till: Till) -> None:
    """Too few points is between us and the person; the charge stays open for whoever can pay."""
    made = (await till.post("till", "/charges", {"offer": till.offer, "quantity": 4})).json()
    path, code = f"/charges/{made['id']}", {"code": made["code"]}
    before = (await till.send("till", "GET", path)).content
    refused = await till.post("mother", "/me/charges/approve", code)
    assert "insufficient_points" == refused.json()["code"]
    assert "merchant_consent_missing" == (await till.post("neighbour", "/me/charges/approve", code)).json()["code"]
    assert before == (await till.send("till", "GET", path)).content
    cash = await till.post("mother", "/me/charges/approve", {**code, "pay": "points_then_cash"})
    assert "insufficient_points" == cash.json()["code"], "the shop did not offer it"
    assert {"state": "declined"} == (await till.post("mother", "/me/charges/decline", code)).json()
    assert "declined" == (await till.send("till", "GET", path)).json()["state"]
    assert 0 == await till.spent("mother")


@once
async def test_a_charge_for_points_then_cash(till: Till) -> None:
    """The shop takes cash and the person agrees to it: both have to say so."""
    made = (await till.post("till", "/charges", {"offer": till.offer, "quantity": 4, "pay": "points_then_cash"})).json()
    approved = {"code": made["code"], "pay": "points_then_cash"}
    assert (
        "insufficient_points"
        == (await till.post("mother", "/me/charges/approve", {"code": made["code"]})).json()["code"]
    )
    slip = (await till.post("mother", "/me/charges/approve", approved)).json()
    assert ("held", 3_000, 1_000) == (slip["state"], slip["points"], slip["cash_fen"])
    assert [("approval",)] == await till.world.ledger.fetch("SELECT consent FROM redemption")


@once
async def test_a_charge_is_its_shops_and_runs_out(till: Till) -> None:
    """Another shop does not find it, a stranger does not guess it, and after five minutes it is over."""
    await till.more_shops("别家", "rival")
    paused = await till.more_offers()
    assert 200 == (await till.send("till", "PATCH", f"/offers/{paused}", {"state": "paused"})).status_code
    for offer in (till.offer, paused):
        assert "forbidden" == (await till.post("rival", "/charges", {"offer": offer})).json()["code"]
    assert "forbidden" == (await till.post("resident", "/charges", {"offer": till.offer})).json()["code"]
    made = (await till.post("till", "/charges", {"offer": till.offer})).json()
    path = f"/charges/{made['id']}"
    assert "not_found" == (await till.send("rival", "GET", path)).json()["code"]
    assert "forbidden" == (await till.send("resident", "GET", path)).json()["code"]
    assert "pending" == (await till.send("staff", "GET", path)).json()["state"]
    wrong = {"code": "JC1:" + "A" * 26}
    assert "not_found" == (await till.post("resident", "/me/charges/look", wrong)).json()["code"]
    till.now += 300 * SECOND
    assert "expired" == (await till.send("till", "GET", path)).json()["state"]
    late = await till.post("resident", "/me/charges/approve", {"code": made["code"]})
    assert "charge_closed" == late.json()["code"]


@once
async def test_a_charge_counts_for_a_meter(till: Till) -> None:
    """The person is asked whose water it is; one meter has one relief a quarter, whoever asks for it."""
    signed = {"scenario": "S21", "number": "供水 7", "from": "2022-01-01"}
    assert 201 == (await till.post("staff", f"/merchants/{till.shop}/agreements", signed)).status_code
    offer = await till.more_offers(scenario="S21", price=3_000)
    codes = [(await till.post("till", "/charges", {"offer": offer})).json()["code"] for _ in range(2)]
    asked = (await till.post("resident", "/me/charges/look", {"code": codes[0]})).json()
    assert "户号" == asked["reference"]["zh"]
    missing = await till.post("resident", "/me/charges/approve", {"code": codes[0]})
    assert "reference_missing" == missing.json()["code"]
    paid = await till.post("resident", "/me/charges/approve", {"code": codes[0], "reference": "SH-0001"})
    assert "held" == paid.json()["state"]
    again = await till.post("mother", "/me/charges/approve", {"code": codes[1], "reference": "sh 0001"})
    assert "limit_reached" == again.json()["code"]


async def test_two_phones_approve_one_charge(till: Till) -> None:
    """One pays."""
    made = (await till.post("till", "/charges", {"offer": till.offer})).json()
    answers = await asyncio.gather(
        *(till.post(who, "/me/charges/approve", {"code": made["code"]}) for who in ("resident", "mother") * 2)
    )
    assert [201, 409, 409, 409] == sorted(answer.status_code for answer in answers)
    assert 1_000 == await till.spent("resident") + await till.spent("mother")

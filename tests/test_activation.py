# SPDX-License-Identifier: Apache-2.0
"""The printed code and its PIN, attacked at the door; and a till's key, which acts for its own till alone."""

from __future__ import annotations

import asyncio

import pytest

from tests.test_merchants_http import Counter, _offer, _shop, counter, counter_town

__all__ = ["counter"]

pytestmark = pytest.mark.schema(town=counter_town)


async def _code(counter: Counter) -> str:
    return (await counter.post("staff", f"/people/{counter.subject}/activation-code")).json()["code"]


async def test_a_code_cannot_be_guessed_raced_or_used_again(counter: Counter) -> None:
    """Wrong codes and wrong PINs are refused in the same words; the right pair gives one session, whoever races; five
    wrong PINs close code, card and PIN, also to who knows the right one, until staff print anew."""
    pin, code = counter.card["pin"], await _code(counter)
    wrong = "000000" if pin != "000000" else "111111"
    first = await counter.post("", "/activations", {"code": "00000-00000", "pin": pin})
    second = await counter.post("", "/activations", {"code": code, "pin": wrong})
    assert "not_identified" == first.json()["code"]
    assert (first.status_code, first.text) == (second.status_code, second.text)
    tries = (counter.post("", "/activations", {"code": code, "pin": pin}) for _ in range(5))
    raced = await asyncio.gather(*tries)
    assert [201, 422, 422, 422, 422] == sorted(one.status_code for one in raced)

    code = await _code(counter)
    for _ in range(5):
        assert 422 == (await counter.post("", "/activations", {"code": code, "pin": wrong})).status_code
    assert 422 == (await counter.post("", "/activations", {"code": code, "pin": pin})).status_code
    fresh = await _code(counter)  # the frozen PIN is gone: the first that is shown with the code becomes it
    assert 422 == (await counter.post("", "/activations", {"code": code, "pin": pin})).status_code
    assert 201 == (await counter.post("", "/activations", {"code": fresh, "pin": "271828"})).status_code


async def test_a_session_from_a_code_is_the_residents_alone(counter: Counter) -> None:
    """It is listed and ended by its owner; it cannot be renewed, proven, or used for anything of staff."""
    body = {"code": await _code(counter), "pin": counter.card["pin"]}
    counter.tokens["phone"] = (await counter.post("", "/activations", body)).json()["token"]
    held = (await counter.send("phone", "GET", "/sessions")).json()["items"]
    assert {("code", True), ("code", False)} == {(one["way"], one["current"]) for one in held}
    (old,) = [one["id"] for one in held if not one["current"]]
    for path, sent in (("/sessions/current/renew", None), ("/sessions/current/prove", {"password": "x"})):
        assert "forbidden" == (await counter.post("phone", path, sent)).json()["code"]
    assert 204 == (await counter.send("phone", "DELETE", f"/sessions/{old}")).status_code
    assert 401 == (await counter.send("resident", "GET", "/me")).status_code
    assert 200 == (await counter.send("phone", "GET", "/me")).status_code


async def test_a_tills_key_orders_for_its_own_till(counter: Counter) -> None:
    """What is ordered under it says which till it was, without the till saying so; it cannot say another."""
    shop = await _shop(counter)
    offer = await _offer(counter)
    terminals = (await counter.send("staff", "GET", f"/merchants/{shop}")).json()["terminals"]
    order = {"offer": offer, "quantity": 1, "by": counter.card}
    assert 400 == (await counter.post("till", "/redemptions", {**order, "terminal": "ter_0"})).status_code
    assert 201 == (await counter.post("till", "/redemptions", order)).status_code
    rows = await counter.world.ledger.fetch("SELECT merchant, terminal FROM redemption")
    assert [(shop, terminals[0]["id"])] == [tuple(row) for row in rows]
    issued = {"kind": "merchant", "merchant": shop, "terminal": "ter_of_another"}
    assert "not_found" == (await counter.post("staff", "/keys", issued)).json()["code"]

# SPDX-License-Identifier: Apache-2.0
"""The Python client against a real server and a network that fails: whatever happens, once is once."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.application import application
from tests.faulty import DONE, FAULTS, LOST, STALL_S, Faulty, faulty_server
from tests.reference_client import client
from tests.till_town import Till, till, till_town

__all__ = ["till"]

pytestmark = pytest.mark.schema(town=till_town)

PRICE = 100
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # what no database has to do with


@pytest.fixture
async def network(till: Till, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Faulty]:
    """The shop's server behind such a network. The client's pauses are short, so that many faults fit into a test."""
    monkeypatch.setattr(client, "PAUSE_S", 0.005)
    till.offer = await till.more_offers(price=PRICE, stock=20)
    async with faulty_server(application(till.world)) as network:
        yield network


def caller(till: Till, network: Faulty, who: str = "till", **more: Any) -> Any:
    return client.Jifen(network.url, till.tokens[who], **{"timeout": 10, "patience": 30, **more})


async def run(call: Callable[..., Any], *args: Any, **more: Any) -> Any:
    """The client waits for its answers; the server is on this loop."""
    return await asyncio.to_thread(call, *args, **more)


def order(till: Till) -> dict[str, Any]:
    """One of the cheap things, for somebody who has thirty points."""
    return {"offer": till.offer, "by": till.cards["mother"]}


async def test_each_fault_alone(till: Till, network: Faulty) -> None:
    """A request or an answer is lost, torn, late, or taken by somebody else's login page: sold once, and told so."""
    for number, fault in enumerate(FAULTS, 1):
        network.plan.append(fault)
        before = len(network.seen)
        jifen = caller(till, network, timeout=STALL_S * 0.6 if fault == "late" else 10)
        sold = await run(jifen.redeem, order(till), key=fault, capture=True)
        assert ("captured", number * PRICE) == (sold["state"], await till.spent("mother")), fault
        assert len(network.seen) >= before + 2, fault
        assert all(f'idempotency-key: "{fault}"'.encode() in one for one in network.seen[before:])
        assert sold == await run(jifen.redeem, order(till), key=fault, capture=True)
    assert len(FAULTS) * PRICE == await till.spent("mother")


async def test_a_bad_day(till: Till, network: Faulty) -> None:
    """Four sales, each captured and partly refunded, through whatever the network does to each request: the books are
    those of a good day."""
    chance = random.Random(time.time_ns())
    jifen = caller(till, network)
    ids = []
    for number in range(4):
        for step in range(3):
            network.plan.clear()
            network.plan.extend(chance.choices([one for one in FAULTS if one != "late"], k=chance.randrange(4)))
            match step:
                case 0:
                    ids.append((await run(jifen.redeem, order(till), key=f"slip-{number}"))["id"])
                case 1:
                    await run(jifen.capture, ids[-1], key=f"slip-{number}-take")
                case _:
                    await run(jifen.refund, ids[-1], 40, "退一件", key=f"slip-{number}-back")
    assert 4 == len(set(ids))
    network.plan.clear()
    listed = await run(lambda: list(jifen.pages("/v1/redemptions", day="2022-06-15", limit=3)))
    assert sorted(ids) == sorted(one["id"] for one in listed)
    balance = (await till.send("staff", "GET", f"/subjects/{till.people['mother']}/balance")).json()
    assert 3_000 - 4 * (PRICE - 40) == balance["points"]["available"]


@ON_SQLITE
async def test_nobody_knows_yet(till: Till, network: Faulty) -> None:
    """When patience ends with the answer lost, that is what is said; the same key, in another program, finds what was
    done. Had it been a "no" at the door meanwhile, it would still not be called a "no"."""
    network.plan.extend(["dropped"] * 50)
    with pytest.raises(client.Unanswered) as unknown:
        await run(caller(till, network, patience=0.3).redeem, order(till), key="slip-1")
    assert "slip-1" == unknown.value.key
    network.plan.clear()
    network.plan.append("dropped")
    robbed = caller(till, network)
    robbed._token = "jk_nobody_0000"
    with pytest.raises(client.Unanswered):
        await run(robbed.redeem, order(till), key="slip-1")
    found = await run(caller(till, network).redeem, order(till), key="slip-1")
    assert "held" == found["state"]
    assert PRICE == await till.spent("mother")


@ON_SQLITE
async def test_a_no_is_not_asked_again(till: Till, network: Faulty) -> None:
    """One request, and the reason in words for people and for programs."""
    with pytest.raises(client.Refused) as refused:
        await run(caller(till, network).redeem, {**order(till), "offer": "off_nobody"}, key="slip-1")
    assert (404, "not_found") == (refused.value.status, refused.value.code)
    with pytest.raises(client.Refused) as refused:
        await run(caller(till, network, "resident", language="en").redeem, order(till), key="slip-2")
    assert (403, "forbidden") == (refused.value.status, refused.value.code)
    assert 2 == len(network.seen)


@ON_SQLITE
async def test_the_server_says_when(till: Till, network: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry-After is waited for; where it is longer than our patience, the caller is told instead."""
    slept: list[float] = []
    monkeypatch.setattr(client.time, "sleep", slept.append)
    answers = iter([(429, {"retry-after": "7"}, b'{"code":"rate_limited"}'), (200, {}, b'{"items":[]}')] * 2)
    jifen = caller(till, network)
    monkeypatch.setattr(jifen, "_once", lambda *_: next(answers))
    assert {"items": []} == jifen.call("GET", "/v1/offers")
    assert [7.0] == slept
    jifen._patience = 5
    with pytest.raises(client.Unanswered) as unknown:
        jifen.call("GET", "/v1/offers")
    assert (7.0, [7.0]) == (unknown.value.retry_after, slept)


@ON_SQLITE
async def test_what_is_not_repeated(till: Till, network: Faulty) -> None:
    """A change without a key is sent again where the server said that it did nothing, and never where it may have."""
    jifen = caller(till, network)
    offer = {"scenario": "S13", "merchant": till.shop, "title": {"zh": "油", "en": "Oil"}, "price": 500, "stock": 1}
    network.plan.extend(["503", "429"])
    assert "proposed" == (await run(jifen.call, "POST", "/v1/offers", offer))["state"]
    jifen = caller(till, network, timeout=STALL_S * 0.6)
    for fault in DONE:
        network.plan.append(fault)
        before = len(network.seen)
        with pytest.raises(client.Unanswered):
            await run(jifen.call, "POST", "/v1/offers", offer)
        assert before + 1 == len(network.seen), fault
    rows = await till.world.ledger.fetch("SELECT COUNT(*) FROM offer WHERE price = 500")
    assert 1 + len(DONE) == rows[0][0]
    network.plan.extend(LOST)
    assert (await run(jifen.call, "GET", "/v1/offers"))["items"]


@ON_SQLITE
async def test_a_till_that_signs(till: Till, network: Faulty, tmp_path: Path) -> None:
    """It makes its key, enrols and sells, over lost answers; and with a clock that is a day wrong, by the server's."""
    jifen = caller(till, network)
    now = datetime.fromtimestamp(till.now / 1e6, UTC)
    real = jifen._once

    def dated(*args: Any) -> Any:  # the server's clock stands at the town's noon, its Date header does not
        status, headers, said = real(*args)
        return status, {**headers, "date": now.strftime("%a, %d %b %Y %H:%M:%S GMT")}, said

    jifen._once = dated
    network.plan.extend(["dropped", "", "503"])
    await run(jifen.sign_from_now_on, tmp_path / "till.pem")
    assert 0o600 == (tmp_path / "till.pem").stat().st_mode & 0o777
    network.plan.append("dropped")
    sold = await run(jifen.redeem, order(till), key="slip-1", capture=True)
    assert ("captured", PRICE) == (sold["state"], await till.spent("mother"))
    signatures = [line for one in network.seen for line in one.split(b"\r\n") if line.startswith(b"signature: ")]
    assert len(network.seen) == len(set(signatures))  # each try with another nonce
    with pytest.raises(client.Refused) as refused:
        await run(caller(till, network).redeem, order(till), key="slip-2")
    assert "signature_required" == refused.value.code
    await run(jifen.sign_from_now_on, tmp_path / "next.pem")
    assert "captured" == (await run(jifen.redeem, order(till), key="slip-3", capture=True))["state"]


def test_what_the_client_will_not_do() -> None:
    """Send a key in the clear over a network, or under a retry key that the server could not read."""
    with pytest.raises(ValueError, match="https"):
        client.Jifen("http://points.example.cn", "jk_a_b")
    with pytest.raises(ValueError, match="address"):
        client.Jifen("points.example.cn", "jk_a_b")
    jifen = client.Jifen("http://10.1.2.3:8000", "jk_a_b", allow_http=True)
    for key in ("", "with space", 'a"b', "钥匙", "k" * 256):
        with pytest.raises(ValueError, match="a key is"):
            jifen.award({}, key=key)


SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()
EVENT = json.dumps({"type": "entry.award", "data": {"journal": "370321002003", "seq": 7}}).encode()


def test_webhooks() -> None:
    """As the reference implementation signs them, and as our server does with its own key; old, changed, of another
    secret or version, without a header: refused."""
    now = time.time()
    hook = standardwebhooks.Webhook(SECRET)
    signature = hook.sign("msg_1", datetime.fromtimestamp(now, UTC), EVENT.decode())
    headers = {"Webhook-Id": "msg_1", "Webhook-Timestamp": str(int(now)), "Webhook-Signature": f"v1,AAAA {signature}"}
    assert json.loads(EVENT) == client.webhook(SECRET, headers, EVENT)
    private = Ed25519PrivateKey.generate()
    public = "whpk_" + base64.b64encode(private.public_key().public_bytes_raw()).decode()
    signed = private.sign(f"msg_1.{int(now)}.".encode() + EVENT)
    both = f"{signature} v1a,{base64.b64encode(signed).decode()}"
    assert json.loads(EVENT) == client.webhook(public, {**headers, "Webhook-Signature": both}, EVENT)
    other = "whsec_" + base64.b64encode(bytes(24)).decode()
    bad: list[tuple[str, dict[str, str], bytes]] = [
        (SECRET, headers, EVENT + b" "),
        (SECRET, {**headers, "Webhook-Id": "msg_2"}, EVENT),
        (SECRET, {**headers, "Webhook-Timestamp": str(int(now) + 1)}, EVENT),
        (SECRET, {**headers, "Webhook-Timestamp": "now"}, EVENT),
        (SECRET, {**headers, "Webhook-Signature": "v2" + signature[2:]}, EVENT),
        (SECRET, {**headers, "Webhook-Signature": "v1,*"}, EVENT),
        (SECRET, {}, EVENT),
        (other, headers, EVENT),
        (public, headers, EVENT),
    ]
    for secret, given, body in bad:
        with pytest.raises(client.BadWebhook):
            client.webhook(secret, given, body)
    with pytest.raises(client.BadWebhook):
        client.webhook(SECRET, headers, EVENT, now=now + 301)

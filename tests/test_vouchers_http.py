# SPDX-License-Identifier: Apache-2.0
"""Vouchers through the door: a resident's phone, the desk's printer, a till's upload; and the reference till against a
server of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.reference_till import FILE
from tests.reference_till import till as reference
from tests.serving import Served
from tests.test_merchants_http import HERE
from tests.till_town import Till, till, till_town

__all__ = ["till"]

pytestmark = pytest.mark.schema(town=till_town)

AT = "2022-06-15T04:00:00Z"


async def made(till: Till, who: str = "resident", **body: Any) -> dict[str, Any]:
    answer = await till.post(who, "/vouchers", {"offer": till.offer, **body})
    assert 201 == answer.status_code, answer.text
    assert "no-store" == answer.headers["cache-control"]
    return answer.json()


async def uploaded(till: Till, *lines: dict[str, Any], who: str = "till", batch: str = "b1") -> httpx.Response:
    return await till.post(who, "/voucher-batches", {"batch": batch, "lines": list(lines)}, key=batch)


async def test_from_the_phone_to_the_shop(till: Till) -> None:
    """A resident sets points aside, a till that knows two public facts reads the voucher, and the upload is answered
    line by line; a second time with the same bytes."""
    voucher = await made(till, quantity=2, days=7)
    assert ("open", 2_000, "2022-06-22T16:00:00.000000Z", "2022-06-25T16:00:00.000000Z") == (
        voucher["state"],
        voucher["points"],
        voucher["ends_at"],
        voucher["returns_at"],
    )
    assert voucher["qr_svg"].startswith("<svg")
    keys = (await till.send("", "GET", "/till-keys")).json()
    read = reference.read(voucher["voucher"], keys["origin"], [bytes.fromhex(one) for one in keys["keys"]])
    assert (voucher["id"], till.shop, HERE, 2) == (read.id, read.merchant, read.community, read.quantity)
    line = {"counter": 1, "voucher": voucher["voucher"], "at": AT}
    first = await uploaded(till, line, {**line, "counter": 2, "voucher": "JV1:0000"})
    assert {
        "batch": "b1",
        "lines": [
            {"counter": 1, "result": "captured", "reason": None, "replayed": False},
            {"counter": 2, "result": "dispute", "reason": "forged", "replayed": False},
        ],
    } == first.json()
    again = await uploaded(till, line, {**line, "counter": 2, "voucher": "JV1:0000"})
    assert (first.content, "true") == (again.content, again.headers["Idempotency-Replayed"])
    mine = (await till.send("resident", "GET", f"/vouchers/{voucher['id']}")).json()
    assert ("used", till.shop, None, None) == (mine["state"], mine["taken_by"], mine["voucher"], mine["qr_svg"])


async def test_who_sees_a_voucher(till: Till) -> None:
    """Whose it is, and staff, who leave a trace; to a shop and to other residents it is not there, like any id that
    nobody gave out."""
    voucher = await made(till)
    for who, status in (("neighbour", 404), ("till", 403)):
        hidden = await till.send(who, "GET", f"/vouchers/{voucher['id']}")
        nobody = await till.send(who, "GET", f"/vouchers/{voucher['id'][:-4]}0000")
        assert (status, hidden.text.replace(voucher["id"], "")) == (
            nobody.status_code,
            nobody.text.replace(voucher["id"][:-4] + "0000", ""),
        )
    listed = (await till.send("resident", "GET", "/vouchers")).json()["items"]
    assert [voucher["id"]] == [one["id"] for one in listed]
    assert "voucher" not in listed[0]
    assert [] == (await till.send("neighbour", "GET", "/vouchers")).json()["items"]
    assert 403 == (await till.send("neighbour", "GET", f"/vouchers?subject={till.subject}")).status_code
    assert listed == (await till.send("staff", "GET", f"/vouchers?subject={till.subject}")).json()["items"]
    assert voucher["voucher"] == (await till.send("staff", "GET", f"/vouchers/{voucher['id']}")).json()["voucher"]
    seen = await till.world.ledger.fetch("SELECT what FROM access_log WHERE subject = ?", till.subject)
    assert {("vouchers",), (f"voucher {voucher['id']}",)} <= set(seen)


async def test_a_coupon_from_the_desk(till: Till) -> None:
    """Staff print one for somebody without a phone: large type, no name, with the code; and none once it is used."""
    voucher = await made(till, "staff", subject=till.subject)
    page = await till.send("staff", "GET", f"/vouchers/{voucher['id']}/slip")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for words in ("兑换券", "便民超市", "2022年7月15日", "10.00", "<svg"):
        assert words in page.text
    assert "王小红" not in page.text
    await uploaded(till, {"counter": 1, "voucher": voucher["voucher"], "at": AT})
    after = (await till.send("resident", "GET", f"/vouchers/{voucher['id']}/slip")).text
    assert "已经用掉" in after
    assert "<svg" not in after


async def test_what_is_refused(till: Till) -> None:
    """A shop makes no vouchers, nobody makes one for somebody else, a resident uploads nothing; and calling one off is
    refused in kind words."""
    for who, body, status in (("till", {}, 403), ("neighbour", {"subject": till.subject}, 403), ("staff", {}, 404)):
        answer = await till.post(who, "/vouchers", {"offer": till.offer, **body})
        assert status == answer.status_code, answer.text
    for wrong in ({"days": 31}, {"days": 0}, {"quantity": 0}, {"pay": "cash"}):
        assert 400 == (await till.post("resident", "/vouchers", {"offer": till.offer, **wrong})).status_code
    voucher = await made(till)
    line = {"counter": 1, "voucher": voucher["voucher"], "at": AT}
    assert 403 == (await uploaded(till, line, who="resident")).status_code
    for wrong in ({"at": "2022-06-15 04:00:00"}, {"at": "2022-02-31T04:00:00Z"}, {"counter": -1}, {"voucher": ""}):
        assert 400 == (await uploaded(till, {**line, **wrong})).status_code
    off = await till.post("staff", f"/redemptions/{voucher['id']}/release", {}, **{"Accept-Language": "zh"})
    assert (409, "voucher_open") == (off.status_code, off.json()["code"])
    assert "不能取消" in off.json()["detail"]


def words(folder: Path, *said: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(FILE), str(folder), *said],
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )


@pytest.mark.long
def test_the_reference_till_by_hand(tmp_path: Path) -> None:
    """Set up once, to sign what it sends; then a voucher is taken with the server stopped, uploaded when it is back."""
    served = Served(f"sqlite:///{tmp_path / 'jifen.db'}", tmp_path / "home")
    served.build()
    try:
        served.start()
        url, demo = f"http://127.0.0.1:{served.port}", served.demo
        shop = demo["merchant"]
        done = words(tmp_path / "till", "setup", url, shop["id"], given=shop["key"] + "\n")
        assert 0 == done.returncode, done.stderr
        done = words(tmp_path / "till", "sign")
        assert 0 == done.returncode, done.stderr
        unsigned = httpx.get(f"{url}/v1/offers", headers={"Authorization": f"Bearer {shop['key']}"})
        assert "signature_required" == unsigned.json()["code"]
        headers = {"Authorization": f"Bearer {demo['resident']['token']}", "Idempotency-Key": "v1"}
        given = httpx.post(f"{url}/v1/vouchers", json={"offer": demo["offers"][0]["id"]}, headers=headers)
        assert 201 == given.status_code, given.text
        served.stop()
        text = given.json()["voucher"]
        assert "ok" in words(tmp_path / "till", "take", "-", given=text + "\n").stdout
        assert 1 == words(tmp_path / "till", "take", text).returncode
        assert "no" in words(tmp_path / "till", "check", text[:-1] + "0").stdout
        served.start()
        done = words(tmp_path / "till", "upload")
        assert 0 == done.returncode, done.stderr
        assert "captured" in words(tmp_path / "till", "list").stdout
        seen = httpx.get(f"{url}/v1/vouchers/{given.json()['id']}", headers=headers).json()
        assert ("used", shop["id"]) == (seen["state"], seen["taken_by"])
    finally:
        served.stop()

# SPDX-License-Identifier: Apache-2.0
"""A till that signs, through the door: enrolling, signing, and everything that somebody without its private key may try
with requests they have seen."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from api import jobs
from api.identity.staff_rows import ChangeKey
from tests.reference_client import client
from tests.till_town import Till, till, till_town

__all__ = ["till"]

pytestmark = pytest.mark.schema(town=till_town)

FOREIGN = "370321002004"
SCOPES = ("redemptions:write", "merchants:write")
INVALID, REQUIRED = (401, "signature_invalid"), (401, "signature_required")
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # what no database has to do with


class Signing:
    """A till that signs with its own key. What it sends can be caught and sent again, changed."""

    def __init__(self, till: Till, id_: str, token: str, file: Path) -> None:
        self.till, self.id, self.token, self.file = till, id_, token, file
        self.public = client.make_signing_key(file)

    def request(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, ahead: float = 0, file: Any = None
    ) -> httpx.Request:
        """A signed request; `ahead`: how many seconds the till's clock is."""
        signer = client.Signer(self.token, file or self.file)
        signer._ahead = self.till.now / 1e6 - time.time() + ahead
        content = b"" if body is None else json.dumps(body).encode()
        headers = {"host": "test", "authorization": f"Bearer {self.token}", "accept-language": "en"}
        headers |= {"content-type": "application/json"} if content else {}
        headers |= {"idempotency-key": f'"{key}"'} if key else {}
        headers |= signer.signed(method, f"/v1{path}", headers, content)
        return self.till.http.build_request(method, path, content=content, headers=headers)

    async def send(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return await self.till.http.send(self.request(method, path, body, **more))

    async def unsigned(self, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", "Accept-Language": "en"}
        return await self.till.http.request(method, path, json=body, headers=headers)

    async def enrol(self) -> None:
        answer = await self.unsigned("PUT", "/me/public-key", {"public_key": self.public})
        assert (200, self.public) == (answer.status_code, answer.json()["public_key"])


@pytest.fixture
async def signing(till: Till, tmp_path: Path) -> Signing:
    """A key for the shop's till whose requests must be signed; nothing is registered yet."""
    issued = await till.post("staff", "/keys", {"merchant": till.shop, "scopes": list(SCOPES), "signed": True})
    assert 201 == issued.status_code, issued.text
    return Signing(till, issued.json()["id"], issued.json()["key"], tmp_path / "till.pem")


def refused(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


INVALID, REQUIRED = (401, "signature_invalid"), (401, "signature_required")


@ON_SQLITE
async def test_a_till_enrols_and_sells(till: Till, signing: Signing) -> None:
    """Until it has registered a public key it can do nothing else; then what it signs is done, and nothing unsigned."""
    first = await signing.unsigned("GET", "/redemptions?day=2022-06-15")
    assert REQUIRED == refused(first)
    assert (
        'sig=("@method" "@authority" "@path" "@query");created;alg="ed25519";tag="jifen"'
        == (first.headers["accept-signature"])
    )
    assert "Bearer" in first.headers["www-authenticate"]
    await signing.enrol()
    listed = await signing.send("GET", "/redemptions?day=2022-06-15&limit=2")
    assert (200, []) == (listed.status_code, listed.json()["items"])
    order = {"offer": till.offer, "by": {"token": await till.token()}}
    sold = await signing.send("POST", "/redemptions?capture=true", order, key="slip-1")
    assert (201, "captured") == (sold.status_code, sold.json()["state"])
    unsigned = await signing.unsigned("POST", "/redemptions?capture=true", order)
    assert REQUIRED == refused(unsigned)
    assert '"content-digest"' in unsigned.headers["accept-signature"]
    shown = (await till.send("staff", "GET", f"/redemptions/{sold.json()['id']}")).json()
    assert "captured" == shown["state"]


async def test_a_request_that_was_seen_is_worth_nothing(till: Till, signing: Signing) -> None:
    """With another body, path, query, method or retry key it is refused; as it was, it gets the first answer again."""
    await signing.enrol()
    seen = signing.request(
        "POST", "/redemptions?capture=true", {"offer": till.offer, "by": {"token": await till.token()}}, key="slip-1"
    )
    first = await till.http.send(seen)
    assert 201 == first.status_code, first.text
    again = await till.http.send(seen)
    assert (201, first.content, "true") == (again.status_code, again.content, again.headers["Idempotency-Replayed"])
    headers = {name: value for name, value in seen.headers.items() if name != "content-length"}
    other = json.dumps({"offer": till.offer, "by": {"token": await till.token()}}).encode()
    bill = client.base64.b64encode(client.hashlib.sha256(other).digest()).decode()
    changed = [
        ("POST", "/redemptions?capture=true", other, {}),
        ("POST", "/redemptions?capture=true", other, {"content-digest": f"sha-256=:{bill}:"}),
        ("POST", "/redemptions?capture=true", other, {"idempotency-key": '"slip-2"'}),
        ("POST", "/redemptions", seen.content, {}),
        ("POST", "/eligibility?capture=true", seen.content, {}),
        ("PATCH", f"/offers/{till.offer}?capture=true", seen.content, {}),
        ("POST", "/redemptions?capture=true", seen.content, {"host": "elsewhere.example"}),
        ("POST", "/redemptions?capture=true", seen.content, {"idempotency-key": '"slip-2"'}),
    ]
    before = await till.spent("resident")
    shapes = set()
    for method, path, content, more in changed:
        answer = await till.http.request(method, path, content=content, headers={**headers, **more})
        assert INVALID == refused(answer), (method, path, more)
        body = {name: value for name, value in answer.json().items() if name != "instance"}
        shapes.add((json.dumps(body), tuple(sorted(set(answer.headers) - {"date"}))))
    assert 1 == len(shapes)  # whatever was wrong, the answer is the same
    assert before == await till.spent("resident")


async def test_without_a_retry_key_it_is_good_once(till: Till, signing: Signing) -> None:
    """Calls that keep no answer are done for one of several copies, wherever and whenever within ten minutes the others
    come; reading can be repeated."""
    await signing.enrol()
    body = {"scenario": "S13", "merchant": till.shop, "title": {"zh": "油", "en": "Oil"}, "price": 500, "stock": 1}
    seen = signing.request("POST", "/offers", body, ahead=290)
    answers = await asyncio.gather(*(till.http.send(seen) for _ in range(5)))
    assert [201, *[401] * 4] == sorted(one.status_code for one in answers)
    assert {INVALID} == {refused(one) for one in answers if one.status_code != 201}
    till.now += 580 * 1_000_000
    assert INVALID == refused(await till.http.send(seen))
    rows = await till.world.ledger.fetch("SELECT COUNT(*) FROM offer WHERE price = 500")
    assert 1 == rows[0][0]
    # The same with a retry key: this call keeps no answer under it, so the key does not open it a second time.
    kept = signing.request("POST", "/offers", body, key="offer-1")
    assert [201, 401] == [(await till.http.send(kept)).status_code for _ in range(2)]
    reading = signing.request("GET", f"/offers/{till.offer}")
    assert [200, 200] == [(await till.http.send(reading)).status_code for _ in range(2)]


@ON_SQLITE
async def test_the_till_has_the_right_time(till: Till, signing: Signing) -> None:
    """Five minutes either way, as at the moment when the request arrives."""
    await signing.enrol()
    for ahead, status in ((-290, 200), (290, 200), (-310, 401), (310, 401)):
        assert status == (await signing.send("GET", "/offers", ahead=ahead)).status_code, ahead


@ON_SQLITE
async def test_who_registers_a_public_key(till: Till, signing: Signing, tmp_path: Path) -> None:
    """The machine its first; with a stolen key alone nobody puts another in its place. The machine that signs may, and
    staff of the place; staff of another place do not even learn that the key exists."""
    thief = Signing(till, signing.id, signing.token, tmp_path / "thief.pem")
    await signing.enrol()
    assert REQUIRED == refused(await thief.unsigned("PUT", "/me/public-key", {"public_key": thief.public}))
    assert INVALID == refused(await thief.send("PUT", "/me/public-key", {"public_key": thief.public}))
    second = Signing(till, signing.id, signing.token, tmp_path / "second.pem")
    changed = await signing.send("PUT", "/me/public-key", {"public_key": second.public})
    assert (200, second.public) == (changed.status_code, changed.json()["public_key"])
    assert INVALID == refused(await signing.send("GET", "/offers"))
    assert 200 == (await second.send("GET", "/offers")).status_code
    path = f"/keys/{signing.id}/public-key"
    assert 403 == (await second.send("PUT", path, {"public_key": None})).status_code
    shown = await till.send("staff", "PUT", path, {"public_key": None})
    assert (200, None, True) == (shown.status_code, shown.json()["public_key"], shown.json()["signed"])
    assert REQUIRED == refused(await second.send("GET", "/offers"))
    await signing.enrol()  # a till that was replaced
    shown = await till.send("staff", "PUT", path, {"public_key": signing.public, "signed": False})
    assert (signing.public, False) == (shown.json()["public_key"], shown.json()["signed"])
    assert 200 == (await signing.unsigned("GET", "/offers")).status_code
    assert INVALID == refused(await thief.send("GET", "/offers"))  # what is signed must be right all the same
    for wrong in ("AAAA", client.base64.b64encode(bytes(32)).decode(), 5):
        assert 400 == (await till.send("staff", "PUT", path, {"public_key": wrong})).status_code
    for who in ("resident", "till"):
        assert 403 == (await till.send(who, "PUT", path, {"public_key": None})).status_code
    roles = [{"role": "community_staff", "place": FOREIGN}]
    await till.world.staff.create(None, "far01", "a long enough password 1", roles)
    till.tokens["far"] = (await till.world.staff.sign_in("far01", "a long enough password 1")).token
    hidden = await till.send("far", "PUT", path, {"public_key": None})
    nobody = await till.send("far", "PUT", "/keys/key_nobody/public-key", {"public_key": None})
    assert (404, nobody.json()["code"]) == refused(hidden)


async def test_two_cannot_both_be_first(till: Till, signing: Signing, tmp_path: Path) -> None:
    """Of several registrations at the same moment one is the first, and the till learns whether it was its own."""
    tills = [signing, *(Signing(till, signing.id, signing.token, tmp_path / f"{n}.pem") for n in range(3))]
    answers = await asyncio.gather(
        *(one.unsigned("PUT", "/me/public-key", {"public_key": one.public}) for one in tills)
    )
    assert [200, 401, 401, 401] == sorted(one.status_code for one in answers)
    for one, answer in zip(tills, answers, strict=True):
        assert answer.status_code == (await one.send("GET", "/offers")).status_code


@ON_SQLITE
async def test_another_process_has_just_heard_of_the_key(till: Till, signing: Signing) -> None:
    """What this process remembers of a key for some seconds does not turn away a till that has enrolled elsewhere."""
    assert REQUIRED == refused(await signing.send("GET", "/offers"))
    await till.world.ledger.submit(ChangeKey(signing.id, {"public_key": signing.public}))
    assert 200 == (await signing.send("GET", "/offers")).status_code


@ON_SQLITE
async def test_a_key_that_need_not_sign(till: Till, signing: Signing) -> None:
    """Without a public key, signatures are not looked at; the list of keys says which key signs."""
    signing.token = till.tokens["till"]
    assert 200 == (await signing.send("GET", "/offers")).status_code
    roles = [{"role": "county_admin", "place": "370321"}]
    await till.world.staff.create(None, "admin01", "a long enough password 1", roles)
    till.tokens["admin"] = (await till.world.staff.sign_in("admin01", "a long enough password 1")).token
    listed = (await till.send("admin", "GET", "/keys")).json()["items"]
    assert [(None, False), (None, True)] == sorted((one["public_key"], one["signed"]) for one in listed)


@ON_SQLITE
async def test_used_nonces_are_forgotten(till: Till, signing: Signing) -> None:
    """A day later nothing of them is left."""
    await signing.enrol()
    assert 400 == (await signing.send("POST", "/offers", {})).status_code
    assert [(1,)] == [tuple(row) for row in await till.world.ledger.fetch("SELECT COUNT(*) FROM nonce")]
    till.now += 25 * 3_600 * 1_000_000
    await jobs.sessions(till.world)
    assert [(0,)] == [tuple(row) for row in await till.world.ledger.fetch("SELECT COUNT(*) FROM nonce")]

# SPDX-License-Identifier: Apache-2.0
"""What meets every request and every answer: limits, deadlines, safe headers, other sites' pages, conditions."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pytest

from api import permissions
from api.server.cors import Cors
from api.server.deadline import DEAR_UNITS, Deadline
from api.server.headers import hook
from api.server.rates import Rates
from api.settings import RATES
from tests.application import application
from tests.front import DAY, DAY_US, HERE, PROOF, STREET, Front, front, prepared, wang, zhao  # noqa: F401 (fixtures)
from tests.tree import ROOT

# ruff: noqa: F811 (a test's arguments are the fixtures)

QUOTA = 32
PAGES = ("/", "/packs", "/lists", "/docs", "/problems/not_found")


def limit(front: Front, **quotas: int) -> None:
    """From now on these quotas hold, as in a process that has been running for a while."""
    front.world.rates = Rates(front.world.ledger, quotas, 1, bytes(32))
    front.now += DAY_US


def left(answer: httpx.Response) -> int:
    """What the RateLimit header says is left."""
    return int(answer.headers["ratelimit"].split("r=")[1].split(";")[0])


# rate limits -------------------------------------------------------------------------------------------------------


async def test_who_asks_too_often_is_told_when_to_come_back(front: Front) -> None:
    """All of the quota goes through, what comes after it is 429 with Retry-After; others are served on."""
    limit(front, staff=QUOTA, resident=QUOTA, public=QUOTA)
    answers = [await front.call("clerk", "GET", "/places") for _ in range(QUOTA + 5)]
    assert [200] * QUOTA + [429] * 5 == [one.status_code for one in answers]
    assert 'staff";q=32;w=60' in answers[0].headers["ratelimit-policy"]
    assert [QUOTA - 1, 0, 0] == [left(answers[0]), left(answers[QUOTA - 1]), left(answers[-1])]
    said = answers[-1]
    assert ("rate_limited", "application/problem+json") == (said.json()["code"], said.headers["content-type"])
    assert said.headers["retry-after"] == str(said.json()["retry_after"])
    assert 200 == (await front.call("colleague", "GET", "/places")).status_code
    assert 200 == (await front.client.get("/v1/packs")).status_code
    front.now += int(said.headers["retry-after"]) * 1_000_000
    assert 200 == (await front.call("clerk", "GET", "/places")).status_code


async def test_a_call_costs_what_its_row_says(front: Front) -> None:
    """Awards two, a batch fifty, being refused as much as being served; health is not counted."""
    limit(front, staff=500, public=QUOTA)
    before = left(await front.call("clerk", "GET", "/places"))
    for method, path, operation in (
        ("POST", "/awards", "createAward"),
        ("POST", "/award-batches", "createBatch"),
        ("POST", "/people/lookup", "lookUpPeople"),
        ("GET", "/staff", "listStaff"),
    ):
        after = left(await front.call("clerk", method, path, {} if method == "POST" else None))
        assert permissions.rules()[operation].cost == before - after, operation
        before = after
    for _ in range(QUOTA * 2):
        assert 200 == (await front.client.get("/health")).status_code


async def test_whoever_guesses_tokens_runs_dry(front: Front) -> None:
    """Wrong tokens are counted by address: a guesser is soon told to wait, and a good token still passes from there."""
    limit(front, staff=QUOTA, public=QUOTA)
    guesses = [
        (await front.client.get("/v1/places", headers={"Authorization": f"Bearer jt_{n:040}"})).status_code
        for n in range(QUOTA + 3)
    ]
    assert [401] * QUOTA + [429] * 3 == guesses
    assert 429 == (await front.client.get("/v1/packs")).status_code
    assert 200 == (await front.call("clerk", "GET", "/places")).status_code


async def test_every_operation_is_counted(front: Front) -> None:
    """No operation is free but asking whether the server is there, and none is dearer than a quota can pay at once."""
    rules = permissions.rules()
    assert {"health", "ready"} >= {name for name, rule in rules.items() if not rule.cost}
    assert max(rule.cost for rule in rules.values()) <= min(RATES.values()) * 3 // 4
    assert {"createBatch", "reverseBatch", "freezeEdition"} <= {n for n, r in rules.items() if r.cost >= DEAR_UNITS}


# deadlines ---------------------------------------------------------------------------------------------------------


async def test_what_takes_too_long_is_given_up(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that does not answer: 503 and what to do, and what ran is stopped."""
    monkeypatch.setattr("api.server.deadline.USUAL_S", 0.05)
    monkeypatch.setattr("api.server.deadline.LOOK_S", 0.02)
    stopped: list[bool] = []

    async def stuck(*_: Any) -> Any:
        try:
            await asyncio.sleep(60)
        finally:
            stopped.append(True)

    monkeypatch.setattr(front.world.ledger, "journals", stuck)
    said = await front.client.get("/v1/journals")
    assert (503, "took_too_long", "5") == (said.status_code, said.json()["code"], said.headers["retry-after"])
    assert [True] == stopped and "nosniff" == said.headers["x-content-type-options"]


@pytest.mark.parametrize("decided", [True, False])
async def test_given_up_is_neither_done_nor_not_done(
    front: Front, wang: str, monkeypatch: pytest.MonkeyPatch, decided: bool
) -> None:
    """Whether the commit was on its way already or not: the same request, sent again, is done once in all."""
    monkeypatch.setattr("api.server.deadline.LOOK_S", 0.02)
    deed = {"subject": wang, "indicator": "RE-03", "occurred_on": DAY, "place": HERE, "evidence": [PROOF], "facts": {}}
    before = (await front.done("clerk", "GET", f"/subjects/{wang}/balance"))["points"]["available"]
    commit = front.world.ledger.sequencer._commit

    async def slow(batch: Any) -> Any:
        if decided:
            done = await commit(batch)
            await asyncio.sleep(0.3)
            return done
        await asyncio.sleep(0.3)
        return await commit(batch)

    with monkeypatch.context() as slowly:
        slowly.setattr("api.server.deadline.USUAL_S", 0.1)
        slowly.setattr(front.world.ledger.sequencer, "_commit", slow)
        said = await front.call("clerk", "POST", "/awards", deed, headers={"Idempotency-Key": "again"})
        assert (503, "took_too_long") == (said.status_code, said.json()["code"])
        await asyncio.sleep(0.5)
    first = await front.call("clerk", "POST", "/awards", deed, headers={"Idempotency-Key": "again"})
    assert (201, "true") == (first.status_code, first.headers.get("Idempotency-Replayed"))
    after = (await front.done("clerk", "GET", f"/subjects/{wang}/balance"))["points"]["available"]
    assert after - before == first.json()["points"] > 0


async def test_half_an_answer_is_not_answered_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once an answer has begun, the connection ends instead."""
    monkeypatch.setattr("api.server.deadline.USUAL_S", 0.05)
    monkeypatch.setattr("api.server.deadline.LOOK_S", 0.02)
    sent: list[str] = []
    begins = hook(hsts=False)
    scope: dict[str, Any] = {"type": "http", "method": "GET"}

    async def slow(scope: Any, _receive: Any, send: Any) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": []}
        await begins(start, scope)
        await send(start)
        await asyncio.sleep(60)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await Deadline(slow)(scope, None, send)
    assert ["http.response.start"] == sent


# headers -----------------------------------------------------------------------------------------------------------


async def test_every_answer_tells_browsers_and_caches_what_to_do(front: Front, wang: str) -> None:
    """Data may do nothing in a browser; what somebody had to sign in for is kept by no cache."""
    for answer in (
        await front.client.get("/v1/packs"),
        await front.client.get("/v1/nowhere"),
        await front.client.get("/v1/me"),
        await front.call(wang, "GET", "/me/balance"),
        await front.call("clerk", "GET", "/awards"),
        await front.call("clerk", "PUT", "/awards"),
    ):
        assert ("nosniff", "DENY", "no-referrer", "same-origin") == tuple(
            answer.headers[name]
            for name in (
                "x-content-type-options",
                "x-frame-options",
                "referrer-policy",
                "cross-origin-resource-policy",
            )
        )
        assert "default-src 'none'; frame-ancestors 'none'" == answer.headers["content-security-policy"]
        public = "authorization" not in answer.request.headers and answer.status_code < 400
        assert ("no-cache" if public else "no-store") == answer.headers["cache-control"], answer.request.url
        assert "strict-transport-security" not in answer.headers


async def test_every_page_says_what_it_needs(front: Front, wang: str) -> None:
    """Pages have a policy of their own, without a script of anybody else's, and no use for a camera."""
    pages = [await front.client.get(path) for path in PAGES]
    pages.append(await front.call(wang, "GET", "/me/slip?wait=0"))
    for page in pages:
        assert (200, True) == (page.status_code, page.headers["content-type"].startswith("text/html")), page.url
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ") and "script-src 'unsafe-inline'" not in policy
        assert "frame-ancestors 'none'" != policy.split("; ")[1] and "base-uri 'none'" in policy
        assert "camera=()" in page.headers["permissions-policy"]
        assert "same-origin" == page.headers["cross-origin-opener-policy"]


async def test_hsts_is_a_switch() -> None:
    """Only where the operator says that the server is reached over TLS."""
    message = {"type": "http.response.start", "status": 200, "headers": []}
    await hook(hsts=True)(message, {"method": "GET"})
    assert b"max-age=31536000" == dict(message["headers"])[b"strict-transport-security"]


async def test_no_cookie_is_read_or_set(front: Front) -> None:
    """A token in a cookie signs nobody in, so no other site can send a request in a visitor's name."""
    for method, path in (("GET", "/places"), ("GET", "/me"), ("POST", "/awards"), ("DELETE", "/sessions/current")):
        answer = await front.client.request(method, f"/v1{path}", headers={"Cookie": "token=token-clerk; session=x"})
        assert 401 == answer.status_code
        assert "set-cookie" not in answer.headers
    for source in (ROOT / "api").rglob("*.py"):
        assert not re.search(r"\.cookies\b|set_cookie|b.cookie.", source.read_text()), source


# other sites' pages ------------------------------------------------------------------------------------------------


async def test_other_sites_are_let_in_by_name_only(front: Front) -> None:
    """Off: not a word of it. On: the page that was named, without credentials; to others not a word either."""
    theirs = {"Origin": "https://pages.example.org"}
    asked = {**theirs, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    for answer in (
        await front.client.get("/v1/packs", headers=theirs),
        await front.client.options("/v1/awards", headers=asked),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]
    app = Cors(application(front.world), ["https://pages.example.org"])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        before = await client.options("/v1/awards", headers=asked)
        assert (204, "https://pages.example.org") == (
            before.status_code,
            before.headers["access-control-allow-origin"],
        )
        assert "Idempotency-Key" in before.headers["access-control-allow-headers"]
        got = await client.get("/v1/me", headers=theirs)
        assert (401, "https://pages.example.org") == (got.status_code, got.headers["access-control-allow-origin"])
        assert "Retry-After" in got.headers["access-control-expose-headers"]
        assert {"Origin", "Accept-Language"} == set(got.headers.get_list("vary"))
        for origin in ("https://pages.example.org.evil.test", "https://evil.test", "null"):
            other = await client.get("/v1/packs", headers={"Origin": origin})
            refused = await client.options("/v1/awards", headers={**asked, "Origin": origin})
            names = {*other.headers, *refused.headers}
            assert not [name for name in names if name.startswith("access-control")]
            assert "Origin" in other.headers.get_list("vary")
        assert "access-control-allow-credentials" not in {*before.headers, *got.headers}


# conditions --------------------------------------------------------------------------------------------------------


async def test_asking_again_for_a_balance_costs_no_body(front: Front, wang: str, zhao: str) -> None:
    """304 until something of one's own changes; what happens to others changes nothing."""
    first = await front.call(wang, "GET", "/me/balance")
    tag = {"If-None-Match": first.headers["etag"]}
    again = await front.call(wang, "GET", "/me/balance", headers=tag)
    assert (304, b"", tag["If-None-Match"]) == (again.status_code, again.content, again.headers["etag"])
    assert "no-store" == again.headers["cache-control"]
    deed = {"indicator": "RE-03", "occurred_on": DAY, "place": HERE, "evidence": [PROOF], "facts": {}}
    await front.done("clerk", "POST", "/awards", {**deed, "subject": zhao})
    assert 304 == (await front.call(wang, "GET", "/me/balance", headers=tag)).status_code
    assert 304 == (await front.call("clerk", "GET", f"/subjects/{wang}/balance", headers=tag)).status_code
    await front.done("clerk", "POST", "/awards", {**deed, "subject": wang})
    newer = await front.call(wang, "GET", "/me/balance", headers=tag)
    assert (200, True) == (newer.status_code, newer.headers["etag"] != first.headers["etag"])
    assert newer.json()["points"] != first.json()["points"]


@pytest.mark.parametrize("path", ["/packs", "/editions", f"/notices?community={HERE}"])
async def test_what_is_public_can_be_polled(front: Front, path: str) -> None:
    """200 with a tag, then 304 for whoever has it, whatever else they name; any other tag gets the whole answer."""
    first = await front.client.get(f"/v1{path}")
    tag = first.headers["etag"]
    for said, status in ((tag, 304), (f'"x", W/{tag}, "y"', 304), ("*", 304), ('"x"', 200), ("x", 200), ("", 200)):
        answer = await front.client.get(f"/v1{path}", headers={"If-None-Match": said})
        assert (status, tag) == (answer.status_code, answer.headers["etag"]), said
        assert "content-type" not in answer.headers or status == 200


async def test_two_who_change_one_record_do_not_overwrite_each_other(front: Front, wang: str) -> None:
    """The second, who saw it as it was before the first, is told so and changes nothing; without a condition the last
    word holds."""
    seen = (await front.call("clerk", "GET", f"/subjects/{wang}")).headers["etag"]
    path = f"/people/{wang}"
    front.now += 1
    first = await front.call("clerk", "PATCH", path, {"phone": "13900000008"}, headers={"If-Match": seen})
    assert 200 == first.status_code and seen != first.headers["etag"]
    late = await front.call("street", "PATCH", path, {"phone": "13900000009"}, headers={"If-Match": seen})
    assert (412, "precondition_failed") == (late.status_code, late.json()["code"])
    record = await front.call("clerk", "GET", f"/subjects/{wang}")
    assert ("13900000008", first.headers["etag"]) == (record.json()["phone"], record.headers["etag"])
    for odd in ("x", '"x"', f"W/{record.headers['etag']}"):
        assert 412 == (await front.call("clerk", "PATCH", path, {"phone": None}, headers={"If-Match": odd})).status_code
    for fine in (record.headers["etag"], "*"):
        assert 200 == (await front.call("clerk", "PATCH", path, {}, headers={"If-Match": fine})).status_code


async def test_an_edition_is_acted_on_as_it_was_seen(front: Front) -> None:
    """Two sit before the same draft: the second act on what one of them changed is refused."""
    front.now += 90 * DAY_US
    codes = [code for code, rule in front.world.pack.lists.items() if rule.kind == "ranking"]
    body = {"list": codes[0], "period": "2022Q2", "place": HERE}
    made = await front.call("clerk", "POST", "/editions", body)
    assert 201 == made.status_code, made.text
    path, seen = f"/editions/{made.json()['id']}", made.headers["etag"]
    assert seen == (await front.call("clerk", "GET", path)).headers["etag"]
    stale = await front.call("clerk", "POST", f"{path}/discard", {"reason": "重做"}, headers={"If-Match": '"99"'})
    assert (412, "precondition_failed") == (stale.status_code, stale.json()["code"])
    gone = await front.call("clerk", "POST", f"{path}/discard", {"reason": "重做"}, headers={"If-Match": seen})
    assert (200, "discarded") == (gone.status_code, gone.json()["state"])
    late = await front.call("street", "POST", f"{path}/discard", {"reason": "不要"}, headers={"If-Match": seen})
    assert 412 == late.status_code

# SPDX-License-Identifier: Apache-2.0
"""The server's edge: what comes in badly formed, what goes out as a problem, who is let in, what a retry key covers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from litestar import Response, get, post
from pydantic import BaseModel, ConfigDict, Field

from api import app as composition
from api import openapi
from api.auth import KIND_SCOPES, Caller
from api.http import body, idempotency, reply
from api.server.logs import JsonLines
from api.settings import Settings
from api.world import World
from ledger.errors import Refusal, Unavailable
from ledger.port import Answer, PutRows, Retry
from ledger.store import StoreLost

pytestmark = pytest.mark.schema()

PASSWORD = "correct horse battery"
PLACE = "370321002003"


class Deed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Annotated[str, Field(max_length=5)]
    amount: int
    note: str | None = None


@post("/echo")
async def echo(world: World, caller: Caller, retry: Retry, data: Deed) -> Response[bytes]:
    """Stores nothing but the retry key."""
    answer = await world.ledger.submit(PutRows(answer=Answer(201, "ref_1"), retry=retry))
    return reply.reply(answer.status, {"name": data.name, "caller": caller.id}, answer.replayed)


@get("/trouble/{kind:str}", opt={"public": True})
async def trouble(kind: str) -> None:
    raise {
        "refusal": Refusal("insufficient_points", available=5, needed=7),
        "busy": Unavailable("queue_full", retry_after=3),
        "lost": StoreLost(OSError("x")),
        "accident": KeyError("13900000000 of 张三"),
    }[kind]


@get("/till")
async def till(caller: Caller) -> None:
    raise Refusal("insufficient_points", available=5, needed=7, rows=[])


class Part:
    routes: list[Any] = [echo, trouble, till]  # noqa: RUF012


class Door(httpx.AsyncClient):
    """A client of an application in this process, which also knows its world."""

    world: World

    async def signed_in(self, *roles: tuple[str, str], username: str = "clerk") -> str:
        held = [{"role": role, "place": place} for role, place in roles]
        await self.world.staff.create(None, username, PASSWORD, held)
        return (await self.world.staff.sign_in(username, PASSWORD)).token


def bearer(token: str, **headers: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", **headers}


@cache
def _with_parts() -> Any:
    """The application with what is here to be asked; put together once, for that takes its time."""
    nowhere: Any = object()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(composition, "RESOURCES", [*composition.RESOURCES, Part])
        return composition.create_app(Settings(), nowhere)


@pytest.fixture
async def door(database_url: str, tmp_path: Path) -> AsyncIterator[Door]:
    world = World(Settings(database_url, tmp_path / "home"))
    await world.init()
    await world.open()
    app = _with_parts()
    app.state.world = world
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with Door(transport=transport, base_url="http://test") as client:
        client.world = world
        yield client
    await world.close()


# bodies ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"a": 1.0}', [("/a", "not_an_integer")]),
        (
            b'{"a": 1e3, "b": [NaN, -0.5]}',
            [("/a", "not_an_integer"), ("/b/0", "not_an_integer"), ("/b/1", "not_an_integer")],
        ),
        (b'{"a": 1000000000001}', [("/a", "number_too_large")]),
        (b'{"a": ' + b"9" * 5000 + b"}", [("/a", "number_too_large")]),
        (b'{"a": 1, "a": 2}', [("/a", "key_twice")]),
        (b'{"a": {"b/c": "\\u0000"}}', [("/a/b~1c", "bad_character")]),
        (b'{"a": "\\ud800"}', [("/a", "bad_character")]),
        (b'{"a\\u0000": 1}', [("", "bad_character")]),
        (b'{"a": "\x00"}', [("", "not_json")]),
        (b"\xff", [("", "not_utf8")]),
        (b'\xef\xbb\xbf{"a": 1}', [("", "not_json")]),
        (b'{"a": 1}}', [("", "not_json")]),
        (b'{"a": 1', [("", "not_json")]),
        (b"", [("", "not_json")]),
        (b"[" * 100_000, [("", "too_deep")]),
    ],
)
def test_json_is_strict_and_every_place_is_named(raw: bytes, expected: list[tuple[str, str]]) -> None:
    """Fractions, huge numbers, keys twice, NUL, half characters and what is no JSON at all."""
    with pytest.raises(Refusal) as caught:
        body.parse(raw)
    assert "request_invalid" == caught.value.code
    assert expected == [(one["pointer"], one["code"]) for one in caught.value.facts["errors"]]


def test_what_only_looks_suspicious_passes() -> None:
    """An escaped backslash before u0000, a surrogate pair, the largest number."""
    raw = b'{"a": "\\\\u0000", "b": "\\ud83d\\ude00", "c": 1000000000000, "d": [true, null]}'
    assert {"a": "\\u0000", "b": "\U0001f600", "c": 10**12, "d": [True, None]} == body.parse(raw)


async def test_every_wrong_field_is_listed_and_nothing_of_it_quoted(door: Door) -> None:
    """All at once, in the language asked for; values are not echoed."""
    token = await door.signed_in(("community_staff", PLACE))
    sent = {"name": "much too long", "amount": "12", "extra": 1}
    headers = bearer(token, **{"Idempotency-Key": "k", "Accept-Language": "en"})
    answer = await door.post("/v1/echo", json=sent, headers=headers)
    assert 400 == answer.status_code
    problem = answer.json()
    found = {one["pointer"]: one["code"] for one in problem["errors"]}
    assert {"/name": "too_long", "/amount": "not_an_integer", "/extra": "field_unknown"} == found
    assert "At most 5 are allowed." in [one["detail"] for one in problem["errors"]]
    assert "much too long" not in answer.text


async def test_a_body_over_ten_megabytes_is_turned_away(door: Door) -> None:
    """Announced or not."""
    token = await door.signed_in(("community_staff", PLACE))
    headers = bearer(token, **{"Idempotency-Key": "k", "Content-Type": "application/json"})
    answer = await door.post("/v1/echo", content=b" " * (body.BYTES_MAX + 1), headers=headers)
    assert (413, "request_invalid") == (answer.status_code, answer.json()["code"])

    async def unannounced() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield b" " * (1024 * 1024)

    answer = await door.post("/v1/echo", content=unannounced(), headers=headers)
    assert (413, "request_invalid") == (answer.status_code, answer.json()["code"])


# problems ----------------------------------------------------------------------------------------------------------


async def test_a_problem_has_all_its_members(door: Door) -> None:
    """RFC 9457 and ours, Chinese unless English is asked for."""
    answer = await door.get("/v1/nothing")
    assert (404, "application/problem+json") == (answer.status_code, answer.headers["content-type"])
    problem = answer.json()
    assert {"type", "title", "status", "detail", "code", "retryable", "instance", "errors", "fix"} == problem.keys()
    assert ("/problems/not_found", "/v1/nothing", "没有找到") == (
        problem["type"],
        problem["instance"],
        problem["title"],
    )
    answer = await door.put("/v1/sessions", headers={"Accept-Language": "en"})
    assert (405, "method_not_allowed", "Method not allowed") == (
        answer.status_code,
        answer.json()["code"],
        answer.json()["title"],
    )
    assert "POST" in answer.headers["allow"]
    page = await door.get(problem["type"])
    assert (200, True) == (page.status_code, "没有找到" in page.text)


async def test_trouble_is_told_without_its_inside(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    """Codes to statuses, Retry-After where waiting helps, and of an accident neither trace nor value."""
    refused = await door.get("/v1/trouble/refusal")
    assert (409, "insufficient_points") == (refused.status_code, refused.json()["code"])
    for kind, code in (("busy", "queue_full"), ("lost", "database_unavailable")):
        answer = await door.get(f"/v1/trouble/{kind}")
        assert (503, code) == (answer.status_code, answer.json()["code"])
        assert int(answer.headers["retry-after"]) >= 1
    with caplog.at_level(logging.ERROR, "jifen.http"):
        answer = await door.get("/v1/trouble/accident")
    assert (500, "internal") == (answer.status_code, answer.json()["code"])
    assert "KeyError" not in answer.text and "13900000000" not in answer.text and "Traceback" not in answer.text
    assert "jifen.http" == caplog.records[-1].name
    assert "13900000000" not in JsonLines().format(caplog.records[-1])


async def test_a_till_learns_no_balance_from_a_refusal(door: Door) -> None:
    """Whatever the refusal knows."""
    issued = await door.world.staff.issue_key(None, "merchant", "till", merchant="mer_1")
    answer = await door.get("/v1/till", headers=bearer(issued.key, **{"Accept-Language": "en"}))
    assert 409 == answer.status_code
    assert not {"5", "7"} & set(answer.json()["detail"])
    assert "available" not in answer.json()


async def test_zero_bytes_in_an_address_reach_no_database(door: Door) -> None:
    """400, not a server error."""
    for path in ("/v1/scenarios?cursor=%00", "/problems/a%00b"):
        answer = await door.get(path)
        assert (400, "request_invalid") == (answer.status_code, answer.json()["code"])


async def test_every_answer_forbids_sniffing(door: Door) -> None:
    """Errors too."""
    for path in ("/health", "/v1/nothing", "/"):
        assert "nosniff" == (await door.get(path)).headers["x-content-type-options"]


# callers -----------------------------------------------------------------------------------------------------------


async def test_everything_needs_a_caller_unless_it_says_it_is_public(door: Door) -> None:
    """A route that forgets to ask is closed."""
    served = await door.get("/openapi.json")
    schema = served.json()
    assert openapi.COMMITTED.read_bytes() == served.content == (await door.get("/openapi")).content
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            if {} in operation["security"]:
                continue
            concrete = path.replace("{seq}", "1").replace("{day}", "2026-01-01")
            answer = await door.request(method, concrete.replace("{", "").replace("}", ""))
            assert (401, "unauthenticated") == (answer.status_code, answer.json()["code"]), (method, path)


@pytest.mark.parametrize("token", ["", "jt_", "jt_" + "a" * 43, "jk_x_y", "jk_abc", "Bearer", "jt_" + "a" * 400])
async def test_every_bad_token_gets_the_same_answer(door: Door, token: str) -> None:
    """Also on public routes: who shows a token means it."""
    for path in ("/v1/me", "/v1/status"):
        answer = await door.get(path, headers={"Authorization": f"Bearer {token}"})
        assert (401, "unauthenticated") == (answer.status_code, answer.json()["code"])
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_signing_in_and_out(door: Door) -> None:
    """A token with the scopes of today's roles, good until it is given back; only its hash is stored."""
    roles = [
        {"role": "grid_worker", "place": f"{PLACE}-04"},
        {"role": "approver", "place": PLACE, "from": "2020-01-01", "to": "2020-12-31"},
        {"role": "auditor", "place": PLACE, "from": "2999-01-01"},
    ]
    await door.world.staff.create(None, "wang", PASSWORD, roles)
    answer = await door.post("/v1/sessions", json={"username": "wang", "password": PASSWORD})
    assert 201 == answer.status_code
    token, scopes = answer.json()["token"], answer.json()["scopes"]
    assert token.startswith("jt_") and answer.json()["expires_at"].endswith("Z")
    assert "awards:write" in scopes and not {"approvals:write", "audit:read"} & set(scopes)
    stored = await door.world.ledger.fetch("SELECT * FROM session")
    assert token.encode() not in repr(stored).encode()
    assert 403 == (await door.get("/v1/me", headers=bearer(token))).status_code
    assert 204 == (await door.delete("/v1/sessions/current", headers=bearer(token))).status_code
    assert 401 == (await door.get("/v1/me", headers=bearer(token))).status_code


async def test_guessing_is_stopped_and_teaches_nothing(door: Door) -> None:
    """Known and unknown names: five tries each, also when they come all at once, then 429, even for the right one."""
    await door.world.staff.create(None, "wang", PASSWORD, [])
    seen: dict[str, list[tuple[int, str]]] = {}
    for name in ("wang", "nobody"):
        tries = [door.post("/v1/sessions", json={"username": name, "password": f"guess {n}"}) for n in range(8)]
        answers = await asyncio.gather(*tries)
        seen[name] = sorted((one.status_code, one.json()["detail"][:4]) for one in answers)
        right = await door.post("/v1/sessions", json={"username": name, "password": PASSWORD})
        assert (429, "rate_limited") == (right.status_code, right.json()["code"])
        assert 0 < int(right.headers["retry-after"]) <= 901
    assert [401] * 5 + [429] * 3 == [status for status, _ in seen["wang"]]
    assert seen["wang"] == seen["nobody"]


async def test_a_key_is_shown_once_and_can_be_taken_back(door: Door) -> None:
    """Its secret is nowhere in the database; a changed secret or a revoked key is nobody."""
    token = await door.signed_in(("county_admin", "370321"))
    sent = {"kind": "client", "name": "volunteers", "scopes": ["awards:write"], "roles": []}
    answer = await door.post("/v1/keys", json=sent, headers=bearer(token))
    assert 201 == answer.status_code
    key, id_ = answer.json()["key"], answer.json()["id"]
    secret = key.split("_")[2]
    assert secret not in (await door.get("/v1/keys", headers=bearer(token))).text
    assert secret not in repr(await door.world.ledger.fetch("SELECT * FROM api_key"))
    assert 403 == (await door.get("/v1/me", headers=bearer(key))).status_code
    assert 401 == (await door.get("/v1/me", headers=bearer(key[:-1] + "_"))).status_code
    assert 204 == (await door.delete(f"/v1/keys/{id_}", headers=bearer(token))).status_code
    assert 401 == (await door.get("/v1/me", headers=bearer(key))).status_code


async def test_a_key_gets_no_more_than_a_machine_may_have(door: Door) -> None:
    """No approving, no staff accounts; no role outside the giver's place."""
    token = await door.signed_in(("county_admin", PLACE))
    for scope in ("approvals:write", "staff:write", "everything"):
        answer = await door.post("/v1/keys", json={"kind": "client", "scopes": [scope]}, headers=bearer(token))
        assert (400, "/scopes") == (answer.status_code, answer.json()["errors"][0]["pointer"])
    roles = [{"role": "community_staff", "place": "370322"}]
    answer = await door.post("/v1/keys", json={"kind": "client", "roles": roles}, headers=bearer(token))
    assert (403, "forbidden") == (answer.status_code, answer.json()["code"])


async def test_staff_are_made_within_ones_place_and_changed_as_seen(door: Door) -> None:
    """Places, names taken, versions, and nobody changes their own roles."""
    token = await door.signed_in(("county_admin", PLACE))
    new = {
        "username": "li",
        "password": PASSWORD,
        "roles": [{"role": "approver", "place": PLACE, "from": "2026-01-01"}],
    }
    made = await door.post("/v1/staff", json=new, headers=bearer(token))
    assert (201, "li") == (made.status_code, made.json()["username"])
    assert PASSWORD not in made.text and "argon2" not in made.text
    assert 409 == (await door.post("/v1/staff", json=new, headers=bearer(token))).status_code
    outside = {**new, "username": "zhao", "roles": [{"role": "approver", "place": "370322"}]}
    assert 403 == (await door.post("/v1/staff", json=outside, headers=bearer(token))).status_code
    unknown = {**new, "username": "zhao", "roles": [{"role": "king", "place": PLACE}]}
    assert 400 == (await door.post("/v1/staff", json=unknown, headers=bearer(token))).status_code

    li = f"/v1/staff/{made.json()['id']}"
    etag = made.headers["etag"]
    theirs = (await door.post("/v1/sessions", json={"username": "li", "password": PASSWORD})).json()["token"]
    assert 200 == (await door.get(li, headers=bearer(theirs))).status_code
    changed = await door.patch(li, json={"roles": []}, headers=bearer(token, **{"If-Match": etag}))
    assert 200 == changed.status_code and etag != changed.headers["etag"]
    stale = await door.patch(li, json={"state": "closed"}, headers=bearer(token, **{"If-Match": etag}))
    assert (412, "precondition_failed") == (stale.status_code, stale.json()["code"])
    own = await door.patch(li, json={"roles": new["roles"]}, headers=bearer(theirs))
    assert (403, "same_person") == (own.status_code, own.json()["code"])
    assert 200 == (await door.patch(li, json={"password": "another one"}, headers=bearer(theirs))).status_code
    assert 401 == (await door.get(li, headers=bearer(theirs))).status_code
    assert 200 == (await door.patch(li, json={"state": "closed"}, headers=bearer(token))).status_code
    gone = await door.post("/v1/sessions", json={"username": "li", "password": "another one"})
    assert (401, "unauthenticated") == (gone.status_code, gone.json()["code"])


async def test_staff_are_listed_page_by_page(door: Door) -> None:
    """Opaque cursors; what we never gave out is refused."""
    token = await door.signed_in(("county_admin", PLACE))
    for name in ("li", "wang", "zhao"):
        await door.world.staff.create(None, name, PASSWORD, [{"role": "approver", "place": PLACE}])
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        query = f"limit=2&cursor={cursor}" if cursor else "limit=2"
        answer = (await door.get(f"/v1/staff?{query}", headers=bearer(token))).json()
        seen += [one["username"] for one in answer["items"]]
        cursor = answer["next"]
    assert ["clerk", "li", "wang", "zhao"] == seen
    for wrong in ("limit=0", "limit=201", "limit=x", "cursor=x", "cursor=WzFd", "cursor=ü", f"cursor={'a' * 600}"):
        answer = await door.get(f"/v1/staff?{wrong}", headers=bearer(token))
        assert (400, "request_invalid") == (answer.status_code, answer.json()["code"]), wrong


async def test_a_revocation_elsewhere_is_noticed_within_seconds(door: Door) -> None:
    """What a token stands for is remembered for five seconds and not longer."""
    issued = await door.world.staff.sign_in_subject("resident", "sub_1", KIND_SCOPES["resident"])
    gate, now = door.world.gate, [100.0]
    assert await gate.caller(issued.token, lambda: now[0])
    rows = await door.world.ledger.fetch("SELECT hash FROM session")
    from api.tables import SESSION

    await door.world.ledger.submit(PutRows(removes=((SESSION, (bytes(rows[0][0]),)),)))
    assert await gate.caller(issued.token, lambda: now[0])
    now[0] += 5.1
    assert await gate.caller(issued.token, lambda: now[0]) is None


# retry keys --------------------------------------------------------------------------------------------------------


async def test_a_retry_key_covers_the_whole_request(door: Door) -> None:
    """Same key and meaning: the first answer. Same key, other body, query or path: 409. No key: 400."""
    token = await door.signed_in(("community_staff", PLACE))

    async def send(raw: str, key: str | None, path: str = "/v1/echo") -> httpx.Response:
        headers = bearer(token, **({"Idempotency-Key": key} if key is not None else {}))
        return await door.post(path, content=raw.encode(), headers=headers)

    first = await send('{"name": "a", "amount": 1}', "k-1")
    assert 201 == first.status_code and "idempotency-replayed" not in first.headers
    again = await send('{"amount":1,\n "name":"\\u0061"}', '"k-1"')
    assert (201, "true", first.content) == (again.status_code, again.headers["idempotency-replayed"], again.content)
    for raw, path in (('{"name": "a", "amount": 2}', "/v1/echo"), ('{"name": "a", "amount": 1}', "/v1/echo?x=1")):
        other = await send(raw, "k-1", path)
        assert (409, "idempotency_key_reused") == (other.status_code, other.json()["code"])
    missing = await send('{"name": "a", "amount": 1}', None)
    assert (400, "idempotency_key_missing") == (missing.status_code, missing.json()["code"])
    for key in ("", '""', "a b", "x" * 256, '"a', "\x7f"):
        answer = await send('{"name": "a", "amount": 1}', key)
        assert (400, "request_invalid") == (answer.status_code, answer.json()["code"]), key


def test_keys_bare_and_quoted_are_one() -> None:
    """Two hundred and fifty-five visible characters, once."""
    assert (
        "abc"
        == idempotency.key_in([(b"idempotency-key", b"abc")])
        == idempotency.key_in([(b"idempotency-key", b'"abc"')])
    )
    assert "x" * 255 == idempotency.key_in([(b"idempotency-key", b"x" * 255)])
    with pytest.raises(Refusal):
        idempotency.key_in([(b"idempotency-key", b"a"), (b"idempotency-key", b"b")])


# pages -------------------------------------------------------------------------------------------------------------


async def test_pages_fetch_nothing_from_elsewhere(door: Door) -> None:
    """The front page and the documentation are whole without the internet."""
    for path in ("/", "/docs", "/lists", "/static/pages.css", "/static/docs.js"):
        answer = await door.get(path)
        assert 200 == answer.status_code
        assert "http://" not in answer.text and "https://" not in answer.text
    assert "社区信用积分" in (await door.get("/")).text
    bundle = await door.get("/static/swagger-ui/swagger-ui-bundle.js")
    assert 200 == bundle.status_code and len(bundle.content) > 1_000_000
    assert 404 == (await door.get("/static/../app.py")).status_code

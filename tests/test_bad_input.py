# SPDX-License-Identifier: Apache-2.0
"""Whatever is sent, the answer is a problem document, it gives nothing away, and nothing has changed.

The cases are made from the OpenAPI document: a new operation is tried without being named here.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import json
import re
import socket
import tempfile
import time
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest
import pytest_asyncio
from hypothesis import strategies

from api import demo, openapi
from api.app import create_app
from api.settings import Settings
from api.world import World
from merchants.model import Asker
from merchants.settlement.statement import month_before
from rules.ports import Actor
from rules.reports.reports import Report
from tests.photos import jpeg
from tests.serving import Served, served
from tests.tree import ROOT

pytestmark = pytest.mark.asyncio(loop_scope="module")

WRITING = ("post", "patch", "put")
# Counters and records of what was tried; everything else must be as it was.
NOT_COMPARED = {"access_log", "attempt", "session", "request", "migration"}
# What must never stand in an answer: traces, SQL, paths of files, names of our modules and of the database's errors.
GIVEAWAYS = re.compile(
    r"Traceback|File \"|\.py\b|SELECT |INSERT |UPDATE |sqlite|asyncpg|psycopg|piccolo|pydantic|litestar|site-packages"
    rf"|KeyError|ValueError|TypeError|0x[0-9a-f]{{8}}|{re.escape(str(ROOT))}|{re.escape(tempfile.gettempdir())}"
)
MEMBERS = {"type", "title", "status", "detail", "code", "retryable", "instance", "errors"}
NOBODY = "sub_0000000000000000"


@dataclass(frozen=True)
class Operation:
    """One operation of the document: its method, its path with `{names}`, and the schema of its JSON body, if any."""

    method: str
    path: str
    schema: dict[str, Any] | None
    names: tuple[str, ...]
    queries: tuple[str, ...]
    needed: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"

    @property
    def writes(self) -> bool:
        return self.method in WRITING

    @property
    def whose(self) -> str:
        """Somebody whom it lets in."""
        return "resident" if self.path.startswith("/v1/me/") else "strong"


@dataclass
class Town:
    """A small demo town, served in this process."""

    world: World
    client: httpx.AsyncClient
    schema: dict[str, Any]
    demo: dict[str, Any]
    tokens: dict[str, str] = field(default_factory=dict[str, str])
    known: dict[str, Any] = field(default_factory=dict[str, Any])
    ids: dict[str, str] = field(default_factory=dict[str, str])
    sent: int = 0

    @property
    def operations(self) -> list[Operation]:
        made: list[Operation] = []
        for path, operations in self.schema["paths"].items():
            for method, one in operations.items():
                content = one.get("requestBody", {}).get("content", {})
                schema = content.get("application/json", {}).get("schema")
                parameters = one.get("parameters", [])
                made.append(
                    Operation(
                        method,
                        path,
                        self._resolve(schema) if schema else None,
                        tuple(re.findall(r"{(\w+)}", path)),
                        tuple(p["name"] for p in parameters if p["in"] == "query"),
                        tuple(p["name"] for p in parameters if p["in"] == "query" and p.get("required")),
                    )
                )
        return made

    def _resolve(self, schema: Any) -> Any:
        """The schema with every reference filled in; of several, the first that is not null."""
        if isinstance(schema, list):
            return [self._resolve(one) for one in schema]
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            return self._resolve(self.schema["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
        for several in ("oneOf", "anyOf"):
            if several in schema:
                return self._resolve(next(one for one in schema[several] if one.get("type") != "null"))
        return {name: self._resolve(value) for name, value in schema.items()}

    def path(self, operation: Operation, **other: str) -> str:
        values = {"epoch": "0", "day": "2026-01-01", **self.ids, **other}
        return operation.path.format(**{name: values.get(name, "nothing_0000") for name in operation.names})

    def asked(self, operation: Operation) -> str:
        """The path with what its query must say, about home."""
        said = {"place": HOME, "community": HOME, "channel": "sms", "from": "2026-01-01", "to": "2026-03-01"}
        query = "&".join(f"{name}={said.get(name, 1)}" for name in operation.needed)
        return f"{self.path(operation)}?{query}" if query else self.path(operation)

    async def send(
        self, method: str, path: str, caller: str | None = "strong", headers: dict[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        """One request, with a retry key of its own unless `headers` has one."""
        self.sent += 1
        sent = {"Idempotency-Key": f"bad-{self.sent}", "Accept-Language": "zh"}
        if caller is not None:
            sent["Authorization"] = f"Bearer {self.tokens[caller]}"
        sent |= headers or {}
        return await self.client.request(method, path, headers={k: v for k, v in sent.items() if v != "-"}, **more)

    async def refused(self, method: str, path: str, caller: str | None = "strong", **more: Any) -> str:
        """Send it, and see that it is turned away as it should be. The code of the refusal; else what is wrong."""
        try:
            answer = await self.send(method, path, caller, **more)
        except Exception as error:
            return f"!raised {type(error).__name__}: {error}"[:300]
        return verdict(answer)

    async def fingerprint(self) -> dict[str, str]:
        """A digest of every row of every table."""
        fetch = self.world.ledger.fetch
        if self.world.settings.sqlite:
            names = await fetch("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        else:
            names = await fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        found: dict[str, str] = {}
        for (name,) in names:
            if name not in NOT_COMPARED:
                rows = sorted(repr(tuple(row)) for row in await fetch(f'SELECT * FROM "{name}"'))
                found[name] = f"{len(rows)} {hashlib.sha256(repr(rows).encode()).hexdigest()}"
        return found

    @asynccontextmanager
    async def unchanged(self) -> AsyncIterator[list[str]]:
        """What is complained of inside is told together; and the town must be as it was."""
        before = await self.fingerprint()
        wrong: list[str] = []
        yield wrong
        assert not wrong, f"{len(wrong)} answers:\n" + "\n".join(wrong[:60])
        assert before == await self.fingerprint()


def verdict(answer: httpx.Response, languages: bool = True) -> str:
    """The code of a proper refusal; anything else starts with `!`."""
    if not 400 <= answer.status_code < 500:
        return f"!{answer.status_code} {answer.text[:300]}"
    if answer.headers.get("content-type") != "application/problem+json":
        return f"!type {answer.headers.get('content-type')} {answer.text[:200]}"
    body = answer.json()
    if missing := MEMBERS - body.keys():
        return f"!without {missing}"
    if body["status"] != answer.status_code or len(answer.content) > 100_000:
        return f"!status {body['status']} in {answer.status_code}, {len(answer.content)} bytes"
    if found := GIVEAWAYS.search(json.dumps({k: v for k, v in body.items() if k != "instance"}, ensure_ascii=False)):
        return f"!gives away {found[0]!r}: {answer.text[:300]}"
    chinese = re.search(r"[\u4e00-\u9fff]", body["detail"]) is not None
    if languages and chinese != (answer.request.headers.get("accept-language") != "en"):
        return f"!language {body['detail'][:100]}"
    return body["code"]


# the town ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    home = tmp_path_factory.mktemp("town")
    if request.param == "sqlite":
        yield f"sqlite:///{home / 'jifen.db'}", home
        return
    server = request.getfixturevalue("postgres_server")
    address = server.url()
    yield address, home
    server.drop(address)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(url: tuple[str, Path]) -> AsyncIterator[Town]:
    settings = Settings(url[0], url[1])
    said = dict(await demo.build(settings, people=20, seed=7))
    world = World(settings)
    await world.open()
    app: Any = create_app(settings, world)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60) as client:
        made = Town(world, client, openapi.document(app), said)
        await _settle(made)
        yield made
    await world.close()


PASSWORD = "correct horse battery"
HOME, ELSEWHERE = "370321001001", "370321002002"


async def _settle(town: Town) -> None:
    """Callers of every kind, and ids of everything that a path can name."""
    world, fetch = town.world, town.world.ledger.fetch
    everything = ("community_staff", "approver", "street_staff", "county_admin", "auditor", "council", "grid_worker")
    callers = {
        "strong": [(role, "370321") for role in everything],
        "plain": [],
        "gridder": [("grid_worker", f"{ELSEWHERE}-01")],
        "auditor": [("auditor", "370321")],
        "far_admin": [("county_admin", ELSEWHERE)],
        "far_staff": [("community_staff", ELSEWHERE), ("approver", ELSEWHERE), ("auditor", ELSEWHERE)],
    }
    for name, roles in callers.items():
        given = [{"role": role, "place": place} for role, place in roles]
        await world.staff.create(None, f"try.{name}", PASSWORD, given)
        town.tokens[name] = (await world.staff.sign_in(f"try.{name}", PASSWORD)).token
    shop = town.demo["merchant"]
    others = await fetch("SELECT merchant FROM merchant WHERE merchant <> ? ORDER BY merchant", shop["id"])
    far = await world.staff.issue_key(None, "merchant", "other", merchant=others[0][0])
    client = await world.staff.issue_key(
        None,
        "client",
        "machine",
        scopes=["awards:write", "people:read", "lists:read", "balances:read"],
        roles=[{"role": "community_staff", "place": ELSEWHERE}],
    )
    gone = await world.staff.issue_key(None, "client", "gone", lasts=-1)
    town.tokens |= {
        "merchant": shop["key"],
        "far_merchant": far.key,
        "client": client.key,
        "expired": gone.key,
        "resident": town.demo["resident"]["token"],
        "body": town.demo["body"]["token"],
    }
    subject = town.demo["resident"]["subject"]
    ids = {"subject": subject, "merchant": shop["id"], "offer": town.demo["offers"][0]["id"], "seq": "1"}
    for name, column, table, which in (
        ("award", "id", "award", f"state = 'posted' AND place = '{HOME}'"),
        ("batch", "id", "batch", f"place = '{HOME}'"),
        ("approval", "id", "approval", f"place <> '{ELSEWHERE}'"),
        ("redemption", "redemption", "redemption", f"community <> '{ELSEWHERE}'"),
        ("staff", "id", "staff", "username = 'approver'"),
        ("key", "id", "api_key", f"merchant = '{shop['id']}'"),
        ("journal", "journal", "head", f"journal = '{HOME}'"),
    ):
        rows = await fetch(f"SELECT {column} FROM {table} WHERE {which} ORDER BY {column} LIMIT 1")
        assert rows, name
        ids[name] = rows[0][0]
    held = await world.sessions.listing(subject, None, 1)
    ids["session"] = held[0].id
    whose = (await fetch("SELECT subject FROM award WHERE id = ?", ids["award"]))[0][0]
    disputed, _ = await world.objections.file(Actor(whose, whose), whose, "entry", ids["award"], "时间不对")
    ids["objection"] = disputed.id
    reported, _ = await world.reports.hand_in(Actor(whose, whose), Report(whose, date(2026, 1, 1), "路灯", HOME))
    street = Actor("stf_street", None, (("street_staff", "370321"),))
    confirmer = await world.confirmers.register(street, who=whose, kind="person", place=HOME, from_day=date(2026, 1, 1))
    sha256, _ = await world.photos.add(whose, jpeg(), "stf_street")
    ids |= {"report": reported.id, "confirmer": confirmer.id, "sha256": sha256}
    paper, _ = await world.vouchers.issue(Asker(subject, subject=subject), subject=subject, offer=ids["offer"])
    ids["voucher"] = paper.voucher.id
    till = Asker(shop["terminal"], merchant=shop["id"], terminal=shop["terminal"])
    offered = await world.shop.offers.get(ids["offer"])
    charge, _ = await world.charges.create(till, offered, quantity=1, capture=False, then_cash=False)
    ids["charge"] = charge.charge
    ids["period"] = month_before(town.demo["as_of"])
    await world.settlements.run(ids["period"])
    keeper = Asker("stf_street", serves=lambda place: True)
    goods, cards = (world.shop.offers.scenario(code) for code in ("S13", "S02"))
    line = await world.budgets.add(keeper, scenario=goods, place=HOME, year="2020", name="日用品", limit_fen=1)
    agreed = await world.shop.offers.agreements.add(
        keeper, ids["merchant"], scenario=cards, number="桓信协 1", from_day="2026-01-01"
    )
    drafted = await world.editions.draft(street, "notice", "2021-01", HOME)
    ids |= {"edition": drafted.id, "notice": drafted.id}
    ids |= {"budget": line.budget, "agreement": agreed.agreement, "terminal": shop["terminal"]}
    admin = await world.gate.caller(town.tokens["strong"])
    assert admin is not None
    told = await world.webhooks.create(admin, "https://hooks.invalid/", ["entry.*"], "", HOME)
    ids["webhook"] = told.id
    town.ids = ids
    town.known = {
        **{name: ids[name] for name in ("subject", "merchant", "offer")},
        "terminal": shop["terminal"],
        "indicator": "RE-02",
        "occurred_on": town.demo["as_of"],
        "place": HOME,
        "community": HOME,
        "grid": f"{HOME}-01",
        "group": "G3",
        "groups": ["G3"],
        "scenario": "S13",
        "facts": {"minutes": 60},
        "role": "approver",
        "type": "志愿服务队",
        "from": "2026-01-01",
        "to": "2099-12-31",
        "username": "newcomer",
        "by": {"subject": ids["subject"]},
        "scopes": ["redemptions:write"],
        "phone": "13912345678",
        "phone_tail": "5678",
        "password": PASSWORD,
        "state": "active",
        "level": "E2",
        "sha256": "0" * 64,
        "start": "09:00",
        "year": "2026",
        "period": "2026-01",
        "hours": {"week": {"mon": [["08:00", "18:00"]]}},
        "at": "2026-01-01T00:00:00Z",
        "url": "https://hooks.invalid/",
        "events": ["entry.*"],
        # these exclude others
        "who": None,
        "uscc": None,
        "rows": None,
        "replaces": None,
        "staff": None,
        "edition_entry": None,
        "redemption": None,
        "missing": None,
        "for": None,
        "entry": {"journal": disputed.target_journal, "seq": disputed.target_seq},
        "on_behalf_of": subject,
    }


# the cases ---------------------------------------------------------------------------------------------------------


_KINDS: dict[type, str] = {str: "string", dict: "object", list: "array", int: "integer"}


def sample(schema: dict[str, Any], known: dict[str, Any], name: str = "") -> Any:
    """A value that the schema allows; the town's own where the name is known."""
    kind = schema.get("type")
    kind = next(one for one in kind if one != "null") if isinstance(kind, list) else kind
    here = known.get(name)
    if (
        here is not None
        and kind in (_KINDS[type(here)], None)
        and here in schema.get("enum", [schema.get("const", here)])
    ):
        return copy.deepcopy(here)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    if kind == "object" or "properties" in schema:
        given = {n: one for n, one in schema.get("properties", {}).items() if n not in known or known[n] is not None}
        return {n: sample(one, known, n) for n, one in given.items()}
    if kind == "array":
        return [sample(schema.get("items", {}), known)]
    if kind == "integer":
        return max(1, schema.get("minimum", 1))
    if kind == "boolean":
        return True
    if schema.get("format") == "date":
        return "2026-01-01"
    if "pattern" in schema:
        return hypothesis.find(
            strategies.from_regex(schema["pattern"], fullmatch=True, alphabet=strategies.characters(codec="ascii")),
            lambda text: "\n" not in text,
        )
    return "x" * max(1, schema.get("minLength", 1))


def leaves(schema: dict[str, Any], at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Every place in a body, with its schema."""
    yield at, schema
    for name, one in schema.get("properties", {}).items():
        yield from leaves(one, (*at, name))
    if isinstance(schema.get("items"), dict):
        yield from leaves(schema["items"], (*at, 0))


def replaced(body: Any, at: tuple[Any, ...], value: Any) -> Any:
    """A copy of `body` with `value` at a place."""
    if not at:
        return value
    made = copy.deepcopy(body)
    inner = made
    for step in at[:-1]:
        if isinstance(inner, dict) and step not in inner:
            inner[step] = {}
        inner = inner[step]
    if isinstance(inner, list):
        inner[:] = [value]
    else:
        inner[at[-1]] = value
    return made


class Raw:
    """JSON that no encoder would write."""

    def __init__(self, text: str) -> None:
        self.text = text


def encoded(body: Any) -> bytes:
    marks: list[str] = []

    def mark(value: Any) -> str:
        assert isinstance(value, Raw), value
        marks.append(value.text)
        return f"@{len(marks) - 1}@"

    text = json.dumps(body, default=mark)
    for number, raw in enumerate(marks):
        text = text.replace(f'"@{number}@"', raw)
    return text.encode()


WRONG_FOR_ALL = [
    Raw("1.5"),
    Raw("1e3"),
    Raw("NaN"),
    Raw("-Infinity"),
    Raw("1" + "0" * 30),
    Raw(str(2**53)),
    Raw("-0.0"),
]
WRONG: dict[str, list[Any]] = {
    "integer": [True, "1", Raw("1.0"), [], {}, -(10**12) - 1, Raw('"\\u0000"')],
    "boolean": ["true", 2, [], {}, "", Raw("1.0")],
    "array": [{}, "x", 1, True, [[[]]], Raw("[" * 10_000 + "]" * 10_000)],
    "object": [[], "x", 1, True, Raw('{"a":' * 10_000 + "1" + "}" * 10_000), {"\u0000": 1}],
    "string": [1, True, [], {}, "x\u0000", Raw('"\\ud800"'), Raw('"\\udfff\\ud800"'), "长" * 100_000, "x" * 10_240],
}


# What could get as far as a database: the others are wrong before anybody looks at a value.
MAY_PASS: dict[str, tuple[Any, ...]] = {"integer": (int, Raw), "string": (str, Raw)}


def wrong_bodies(schema: dict[str, Any], body: Any, *, all_of_them: bool = True) -> Iterator[tuple[str, bytes]]:
    """Bodies of which each has one thing wrong, and what; or only those with a number or a text that may pass."""
    good = encoded(body)
    for at, one in leaves(schema):
        kind = one.get("type")
        kind = next(k for k in kind if k != "null") if isinstance(kind, list) else kind or "object"
        for value in (*WRONG_FOR_ALL, *WRONG.get(str(kind), [])):
            if not all_of_them and (isinstance(value, bool) or not isinstance(value, MAY_PASS.get(str(kind), ()))):
                continue
            said = value.text if isinstance(value, Raw) else repr(value)
            yield f"{at} = {said[:30]}", encoded(replaced(body, at, value))
        if kind == "object" and isinstance(body, dict):
            yield f"{at} unknown", encoded(replaced(body, (*at, "no such field"), 1)) if one.get("properties") else b"{"
    if isinstance(body, dict) and body:
        name = next(iter(body))
        twice = json.dumps({name: body[name]})[1:-1]
        yield "twice", b"{" + twice.encode() + b"," + good[1:]
        yield "escaped twice", b"{" + twice.replace(name[0], f"\\u{ord(name[0]):04x}", 1).encode() + b"," + good[1:]


NOT_JSON = {
    "malformed": b"{'a': 1}",
    "truncated": b'{"a": "b',
    "half a word": b"tru",
    "list": b"[]",
    "list of objects": b"[{}]",
    "text": b'"x"',
    "number": b"1",
    "true": b"true",
    "two": b"{}{}",
    "comment": b"{}//",
    "trailing comma": b'{"a":1,}',
    "not utf-8": b'{"a": "\xff\xfe"}',
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "BOM": b"\xef\xbb\xbf{}",
    "gzip": b"\x1f\x8b\x08\x00",
    "deep list": b"[" * 10_000,
    "deep object": b'{"a":' * 10_000,
    "deep and closed": b"[" * 10_000 + b"]" * 10_000,
    "form": b"subject=x&indicator=y",
    "nul": b"\x00",
    "huge number": b"9" * 100_000,
    "many keys": b"{" + b",".join(b'"k%d":1' % n for n in range(20_000)) + b"}",
}
JSON = {"Content-Type": "application/json"}


async def test_no_body_that_is_wrong_is_taken(town: Town) -> None:
    """On every operation, from its own schema: wrong types, numbers, characters, lengths, depths, keys. What can only
    be taken by nobody having looked is tried on SQLite, which takes anything."""
    all_of_them = town.world.settings.database_url.startswith("sqlite")
    async with town.unchanged() as wrong:
        for operation in filter(lambda one: one.writes, town.operations):
            path = town.path(operation)
            cases = dict(NOT_JSON) if all_of_them else {}
            if operation.schema is not None:
                body = sample(operation.schema, town.known)
                cases |= dict(wrong_bodies(operation.schema, body, all_of_them=all_of_them))
            for what, raw in cases.items():
                code = await town.refused(operation.method, path, content=raw, headers=JSON)
                if code.startswith("!"):
                    wrong.append(f"{operation}: {what}: {code}")


async def test_every_kind_of_caller_is_answered_alike(town: Town) -> None:
    """What is not JSON is nobody's, and is told in the language asked for."""
    async with town.unchanged() as wrong:
        for operation in filter(lambda one: one.writes, town.operations):
            for caller in ("resident", "body", "merchant", "client", "auditor", None):
                for what in ("truncated", "list", "not utf-8", "deep list"):
                    headers = {**JSON, "Accept-Language": "en"}
                    path = town.path(operation)
                    code = await town.refused(operation.method, path, caller, content=NOT_JSON[what], headers=headers)
                    if code.startswith("!"):
                        wrong.append(f"{caller} {operation}: {what}: {code}")


async def test_bodies_are_json_and_of_a_size(town: Town) -> None:
    """Another content type, none at all where one is needed, and eleven megabytes, announced or not."""

    async def unannounced() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b" " * (1024 * 1024)

    big = b'{"a": "' + b"x" * (11 * 1024 * 1024)
    async with town.unchanged() as wrong:
        for operation in filter(lambda one: one.writes, town.operations):
            path = town.path(operation)
            body = encoded(sample(operation.schema, town.known)) if operation.schema else b'{"a": 1}'
            cases: dict[str, dict[str, Any]] = {
                "big": {"content": big, "headers": JSON},
                "big and chunked": {"content": unannounced(), "headers": JSON},
            }
            for other in (
                "text/plain",
                "application/xml",
                "application/x-www-form-urlencoded",
                "x",
                "multipart/form-data",
            ):
                cases[other] = {"content": body, "headers": {"Content-Type": other}}
            if operation.schema and operation.schema.get("required"):
                cases["empty"] = {"content": b"", "headers": JSON}
                cases["white"] = {"content": b" \n", "headers": JSON}
                cases["null"] = {"content": b"null", "headers": JSON}
            for what, case in cases.items():
                code = await town.refused(operation.method, path, **case)
                if code.startswith("!"):
                    wrong.append(f"{operation}: {what}: {code}")


async def test_addresses_that_lead_nowhere(town: Town) -> None:
    """Ids that nothing has, of ten kilobytes, with NUL, with steps upwards, with SQL in them."""
    odd = ["x%00y", "..%2F..%2Fetc%2Fpasswd", "..", "%2e%2e", "'%20OR%201=1--", "%ff%fe", "a" * 10_240, "%F0%9F%8D%86"]
    odd += ["-1", "99999999999999999999", "1.5", "%", "null", "sub_%25", "%5c", ";", NOBODY, "%0d%0aX-A:%20b", "%7F"]
    async with town.unchanged() as wrong:
        for operation in town.operations:
            if not operation.names:
                continue
            body = None if operation.schema is None else encoded(sample(operation.schema, town.known))
            for name in operation.names:
                for value in odd:
                    if value == ".." and len(operation.names) > 1:
                        continue  # the client itself goes up, from one of ours to another: it means what it says
                    path = town.path(operation, **{name: value})
                    code = await town.refused(
                        operation.method, path, content=body, headers=JSON if body is not None else {}
                    )
                    if code.startswith("!"):
                        wrong.append(f"{operation}: {name}={value[:40]}: {code}")


async def test_questions_that_mean_nothing(town: Town) -> None:
    """limit, cursor and every other query name with what it cannot be; an unknown filter finds nothing, not all."""
    odd = {
        "limit": ["-1", "0", "1e9", "1000000000", "9" * 400, "x", "1.5", "", "%00", "true"],
        "cursor": [
            "garbage",
            "%00",
            "",
            "a" * 5000,
            "WzFd",
            "W10",
            "bnVsbA",
            "W251bGxd",
            "e30",
            "WyJcdTAwMDAiXQ",
            "__8",
        ],
    }
    anything = ["%00", "'", "%FF", "a" * 5000, "..%2F", "%F0%9F%8D%86"]
    async with town.unchanged() as wrong:
        for operation in town.operations:
            if operation.method != "get":
                continue
            for name in operation.queries:
                for value in odd.get(name, anything):
                    answer = await town.send("get", f"{town.path(operation)}?{name}={value}")
                    if answer.status_code == 200 and name not in odd and value != "%00":
                        table = not answer.headers["content-type"].endswith("json")
                        if "red_" in answer.text if table else answer.json().get("items"):
                            wrong.append(f"{operation}: {name}={value[:40]}: finds {answer.text[:100]}")
                        continue
                    code = verdict(answer)
                    if code.startswith("!"):
                        wrong.append(f"{operation}: {name}={value[:40]}: {code}")


# what a text may say -----------------------------------------------------------------------------------------------

ODD_TEXTS = [
    "' OR '1'='1",
    '"; DROP TABLE entry; --',
    "{0}{detail}{available:>999999999}%s%n",
    "\u202e\u200b\ufeff\x01\x1b[31m<script>",
    "\r\nSet-Cookie: a=b",
    "=cmd|' /C calc'!A0",
    "\U0001f600\U000e0001",
    "𠮷" * 20,
    "../../../etc/passwd",
    " ",
    "２０２２－０１－０１",
    "9999-12-31",
    "0001-01-01",
]


async def test_odd_texts_are_texts(town: Town) -> None:
    """Taken or refused, in every field of every body: never an accident, and never repeated into a header."""
    wrong: list[str] = []
    for operation in filter(lambda one: one.writes and one.schema is not None, town.operations):
        schema = operation.schema or {}
        body, path = sample(schema, town.known), town.path(operation)
        for at, one in leaves(schema):
            kinds = one.get("type")
            if at and (kinds == "string" or (isinstance(kinds, list) and "string" in kinds)):
                for text in ODD_TEXTS:
                    answer = await town.send(operation.method, path, json=replaced(body, at, text))
                    if answer.status_code >= 500 or "set-cookie" in answer.headers or GIVEAWAYS.search(answer.text):
                        wrong.append(f"{operation} {at} = {text!r}: {answer.status_code} {answer.text[:200]}")
    assert not wrong, "\n".join(wrong)


# sheets ------------------------------------------------------------------------------------------------------------

HEADER = "姓名,手机号,活动,服务日期,服务时长(小时),服务社区\n"
ROW = "查无此人,19912345678,志愿服务,2026-11-20,1,东岳国际社区\n"


def zipped(parts: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in parts.items():
            made.writestr(name, data)
    return stream.getvalue()


def workbook(sheet: bytes, **more: bytes) -> bytes:
    """A workbook whose one sheet is this XML."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    rels = "http://schemas.openxmlformats.org/package/2006/relationships"
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    return zipped(
        {
            "[Content_Types].xml": b"<Types xmlns='http://schemas.openxmlformats.org/package/2006/content-types'/>",
            "_rels/.rels": f"<Relationships xmlns='{rels}'><Relationship Id='r1' Type='{kind}/officeDocument' "
            "Target='xl/workbook.xml'/></Relationships>".encode(),
            "xl/workbook.xml": f"<workbook xmlns='{main}' xmlns:r='{kind}'><sheets><sheet name='S' sheetId='1' "
            "r:id='r1'/></sheets></workbook>".encode(),
            "xl/_rels/workbook.xml.rels": f"<Relationships xmlns='{rels}'><Relationship Id='r1' "
            f"Type='{kind}/worksheet' Target='worksheets/sheet1.xml'/></Relationships>".encode(),
            "xl/worksheets/sheet1.xml": sheet,
            **more,
        }
    )


def rows_of(*rows: str) -> bytes:
    inner = "".join(f"<row r='{n}'>{row}</row>" for n, row in enumerate(rows, start=1))
    return (
        "<worksheet xmlns='http://schemas.openxmlformats.org/spreadsheetml/2006/main'>"
        f"<sheetData>{inner}</sheetData></worksheet>"
    ).encode()


def cells(*values: str, column: str = "A") -> str:
    return "".join(
        f"<c r='{chr(ord(column) + n)}ROW' t='inlineStr'><is><t>{v}</t></is></c>" for n, v in enumerate(values)
    )


def sheets() -> dict[str, bytes]:
    """Files that are no sheet of deeds, or one that nobody should open carelessly."""
    head = cells(*HEADER.strip().split(",")).replace("ROW", "1")
    good = workbook(rows_of(head, cells(*ROW.strip().split(",")).replace("ROW", "2")))
    bomb = workbook(b"<worksheet>" + b" " * (150 * 1024 * 1024) + b"</worksheet>")
    dtd = b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>"
    laughs = (
        b"<!DOCTYPE x [<!ENTITY a 'ha'>"
        + b"".join(b"<!ENTITY %c '%s'>" % (98 + n, b"&%c;" % (97 + n) * 20) for n in range(8))
        + b"]>"
    )
    old = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 4096
    lying = bytearray(good)
    at = good.rfind(b"PK\x01\x02")
    lying[at + 24 : at + 28] = (7).to_bytes(4, "little")
    text = (HEADER + ROW).encode()
    found = {
        "empty": b"",
        "spaces": b" " * (9 * 1024 * 1024),
        "twenty megabytes of spaces": b" " * (20 * 1024 * 1024),
        "broken zip": b"PK\x03\x04" + b"\x00" * 100,
        "cut short": good[: len(good) // 2],
        "only the end": good[-22:],
        "the size lies": bytes(lying),
        "xls": old,
        "encrypted": old + "EncryptedPackage".encode("utf-16-le"),
        "flat bomb": bomb,
        "nested bomb": zipped({"xl/workbook.xml": bomb, "a.zip": zipped({"b.zip": bomb})}),
        "zip of nothing": zipped({}),
        "zip of names": zipped({"../../etc/passwd": b"x", "/etc/cron.d/x": b"x", "C:\\x": b"x"}),
        "doctype": workbook(dtd + rows_of(head)),
        "entities": workbook(laughs + rows_of(head).replace(b"<sheetData>", b"<sheetData>&h;")),
        "no sheet": workbook(b""),
        "a web page": b"<html><table><tr><td>1</td></tr></table></html>",
        "picture": b"\x89PNG\r\n\x1a\n" + b"\0" * 100,
        "pdf": b"%PDF-1.7",
        "a million columns": ("姓名," * 1_000_000).encode(),
        "a million rows": HEADER.encode() + b"\n".join([b"x,1"] * 1_000_000),
        "one long cell": HEADER.encode() + b"x" * 1_000_000,
        "odd quotes": HEADER.encode() + b'"x,1\n' * 10,
        "nul bytes": text.replace("查无此人".encode(), b"\0\0"),
        "utf-16 without a mark": (HEADER + ROW).encode("utf-16-le"),
        "formulas": workbook(rows_of(head, '<c r=\'A2\'><f>HYPERLINK("http://x","y")</f><v>=1+1</v></c>')),
        "far column": workbook(rows_of(head, "<c r='XFD2'><v>1</v></c>")),
        "beyond the last column": workbook(rows_of(head, "<c r='ZZZZZZZZ2'><v>1</v></c>")),
        "row zero": workbook(rows_of(head).replace(b"r='1'", b"r='0'")),
        "row minus one": workbook(rows_of(head).replace(b"r='1'", b"r='-1'")),
        "row far away": workbook(rows_of(head).replace(b"<row r='1'>", b"<row r='99999999999999999999'>")),
        "words as numbers": workbook(rows_of(head, "<c r='A2' t='s'><v>99999999999</v></c>")),
        "numbers as dates": workbook(rows_of(head, "<c r='D2'><v>1e308</v></c>", "<c r='D3'><v>-1e308</v></c>")),
        "not numbers": workbook(rows_of(head, "<c r='E2'><v>nan</v></c>", "<c r='E3'><v>1e999</v></c>")),
        "nobody's": good,
        "utf-8": text,
        "utf-8 with a mark": b"\xef\xbb\xbf" + text,
        "gb18030": (HEADER + ROW).encode("gb18030"),
        "utf-16": (HEADER + ROW).encode("utf-16"),
        "rejected words": (HEADER + "={1+1},@SUM(1),+1,-1,|x,\t\n").encode(),
    }
    return found


async def test_no_sheet_does_harm(town: Town) -> None:
    """Bombs, foreign files, entities, odd encodings, lies about sizes: refused in a moment, and nothing is stored."""
    async with town.unchanged() as wrong:
        for what, data in sheets().items():
            for name in ("表.xlsx", "x.csv") if len(data) < 1024 * 1024 else ("x.csv",):
                for query in ("", "?dry_run=true"):
                    started = time.monotonic()
                    answer = await town.send("post", f"/v1/award-batches{query}", files={"file": (name, data)})
                    took = time.monotonic() - started
                    if took > 3:
                        wrong.append(f"{what}: took {took:.1f} s")
                    if query and answer.status_code == 200:
                        if answer.json()["counts"]["refused"] != answer.json()["counts"]["rows"]:
                            wrong.append(f"{what}: {answer.text[:300]}")
                    elif (code := verdict(answer)).startswith("!"):
                        wrong.append(f"{what} as {name}{query}: {code}")


async def test_what_is_handed_back_is_no_formula(town: Town) -> None:
    """A refused row comes back in the sheet to mend as the text it was, never as something a spreadsheet runs."""
    evil = HEADER + "=cmd|' /C calc'!A0,19912345678,@SUM(1+1),+1,-1,=HYPERLINK(1)\n"
    file = {"file": ("x.csv", evil.encode())}
    answer = await town.send("post", "/v1/award-batches?dry_run=true&errors=xlsx", files=file)
    assert 200 == answer.status_code, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as made:
        sheets = [made.read(name) for name in made.namelist() if name.startswith("xl/worksheets/")]
    assert sheets and not [one for one in sheets if b"<f>" in one or b"<f " in one or b"<hyperlink" in one]


async def test_forms_are_one_file_and_known_names(town: Town) -> None:
    """No file, two files, other names, a file where a word belongs, broken boundaries."""
    file = ("x.csv", (HEADER + ROW).encode())
    evil = ("../../../etc/passwd\u0000.xlsx", b"PK")
    cases: dict[str, dict[str, Any]] = {
        "no file": {"files": {"indicator": (None, "RE-01")}},
        "a word for a file": {"files": {"file": (None, "x")}},
        "two files": {"files": [("file", file), ("file", file)]},
        "another name": {"files": {"sheet": file}},
        "more names": {"files": {"file": file, "x": (None, "y")}},
        "a file for a word": {"files": {"file": file, "indicator": file}},
        "two words": {"files": [("file", file), ("place", (None, HOME)), ("place", (None, ELSEWHERE))]},
        "a place that is none": {"files": {"file": file, "place": (None, "nowhere")}},
        "an indicator that is none": {"files": {"file": file, "indicator": (None, "' OR 1=1")}},
        "a header row": {"files": {"file": file, "header_row": (None, "-1")}},
        "a far header row": {"files": {"file": file, "header_row": (None, "99999")}},
        "names of paths": {"files": {"file": evil}},
        "2000 parts": {"files": [(f"n{n}", (None, "x")) for n in range(2000)]},
        "no boundary": {"content": b"--x\r\n", "headers": {"Content-Type": "multipart/form-data"}},
        "another boundary": {"content": b"--y\r\n\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
        "no end": {
            "content": b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n1',
            "headers": {"Content-Type": "multipart/form-data; boundary=x"},
        },
        "no name": {
            "content": b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n",
            "headers": {"Content-Type": "multipart/form-data; boundary=x"},
        },
        "bad bytes": {
            "content": b'--x\r\nContent-Disposition: form-data; name="\xff\xfe"\r\n\r\n\xff\r\n--x--\r\n',
            "headers": {"Content-Type": "multipart/form-data; boundary=x"},
        },
    }
    async with town.unchanged() as wrong:
        for what, case in cases.items():
            code = await town.refused("post", "/v1/award-batches", **case)
            if code.startswith("!"):
                wrong.append(f"{what}: {code}")
            quoted = await town.refused("post", "/v1/award-batches", **case, caller="plain")
            if quoted.startswith("!"):
                wrong.append(f"{what} by somebody without roles: {quoted}")


# headers -----------------------------------------------------------------------------------------------------------


async def test_headers_that_mean_nothing(town: Town) -> None:
    """Authorization, Idempotency-Key, If-Match and Accept-Language with what they cannot be."""
    tokens = ["", "x", "Bearer", "Bearer ", "Basic eDp5", "Bearer \xff", "Bearer a b", "bearer jt_x", "Bearer jt_\t"]
    tokens += ["Bearer " + "a" * 60_000, f"Bearer {town.tokens['strong']} x", f"Bearer {town.tokens['strong']},x"]
    retries = [
        "",
        " ",
        "a" * 300,
        "a\x01b",
        "a b",
        "\xff",
        '"',
        '""',
        '"a',
        "a\tb",
        '"a"b"',
        "ключ".encode().decode("latin-1"),
    ]
    async with town.unchanged() as wrong:

        def check(what: str, code: str, expected: str) -> None:
            if code != expected:
                wrong.append(f"{what}: {code}, not {expected}")

        for value in tokens:
            for path in ("/v1/me", "/v1/status"):
                raw: Any = {"Authorization": value.encode("latin-1")}
                code = await town.refused("get", path, headers=raw)
                check(f"Authorization {value[:30]!r}", code, "unauthenticated")
        for one, other in (("strong", "strong"), ("strong", "plain"), ("resident", "strong")):
            answer = await town.client.get(
                "/v1/subjects/" + NOBODY,
                headers=[("Authorization", f"Bearer {town.tokens[name]}") for name in (one, other)],
            )
            check(f"two tokens {one} {other}", verdict(answer), "unauthenticated")
        for operation in await _moving(town):
            path = town.path(operation)
            body = encoded(sample(operation.schema, town.known)) if operation.schema else b""
            for value in retries:
                headers = {**JSON, "Idempotency-Key": value.encode("latin-1")}
                code = await town.refused(operation.method, path, operation.whose, content=body, headers=headers)  # type: ignore[arg-type]
                check(f"{operation} key {value[:20]!r}", code, "request_invalid")
        for operation in town.operations:
            if "If-Match" in json.dumps(town.schema["paths"][operation.path][operation.method].get("parameters", [])):
                for value in (
                    '"999999999"',
                    "x",
                    '"a',
                    "a" * 5000,
                    "\xff",
                    '"1", "2"',
                    "W/",
                    '"' + "9" * 300 + '"',
                    "",
                ):
                    body = encoded(sample(operation.schema, town.known)) if operation.schema else b""
                    headers = {**JSON, "If-Match": value.encode("latin-1")}
                    code = await town.refused(operation.method, town.path(operation), content=body, headers=headers)  # type: ignore[arg-type]
                    if code.startswith("!"):
                        wrong.append(f"{operation} If-Match {value[:20]!r}: {code}")
        for value in ("\xff\xfe", "en;q=" + "9" * 400, "," * 60_000, "en-" * 10_000, "*;q=nan", "en;q=-1", "zz, xx"):
            answer = await town.send("get", "/v1/nothing", headers={"Accept-Language": value.encode("latin-1")})  # type: ignore[dict-item]
            if verdict(answer, languages=False) != "not_found":
                wrong.append(f"Accept-Language {value[:20]!r}: {answer.text[:200]}")


async def _moving(town: Town) -> list[Operation]:
    """The operations that move points: those that ask for a retry key when a good body comes without one."""
    found: list[Operation] = []
    for operation in filter(lambda one: one.writes, town.operations):
        moved = re.search(
            r"/(reverse|capture|release|void|refunds|approve|reject|decision|accept|settle)$|/(awards|redemptions)$",
            operation.path,
        )
        if moved and not re.search(r"/(offers|notices)/|{period}/accept$", operation.path):
            found.append(operation)
    return found


async def test_what_moves_points_needs_a_retry_key(town: Town) -> None:
    """400 idempotency_key_missing, before anything else is decided about it."""
    async with town.unchanged() as wrong:
        moving = await _moving(town)
        assert len(moving) >= 10
        for operation in moving:
            body = encoded(sample(operation.schema, town.known)) if operation.schema else b""
            headers = {**JSON, "Idempotency-Key": "-"}
            path = town.path(operation)
            answer = await town.send(operation.method, path, operation.whose, content=body, headers=headers)
            if (answer.status_code, verdict(answer)) != (400, "idempotency_key_missing"):
                wrong.append(f"{operation}: {answer.status_code} {answer.text[:200]}")
        answer = await town.send("post", "/v1/award-batches", json={"items": [{}]}, headers={"Idempotency-Key": "-"})
        assert (400, "idempotency_key_missing") == (answer.status_code, verdict(answer))


# who may what -------------------------------------------------------------------------------------------------------

# Anybody who has signed in, or anybody at all, may read these: they say nothing of anyone.
OPEN = {"/health", "/ready", "/v1/status", "/v1/journals", "/v1/scenarios", "/v1/groups", "/v1/indicators", "/v1/packs"}
OPEN |= {"/v1/places", "/v1/offers", "/v1/offers/{offer}", "/v1/merchants", "/v1/witness/{origin_hash}/checkpoint"}
OPEN |= {"/v1/packs/{pack}", "/v1/public-keys", "/v1/epochs/checkpoint", "/v1/epochs/{epoch}", "/v1/till-keys"}
OPEN |= {f"/v1/journals/{{journal}}/{what}" for what in ("checkpoint", "proof/inclusion", "proof/consistency", "seals")}
OPEN |= {"/v1/offers/{offer}/calendar", "/v1/offers/{offer}/calendar.html"}
OPEN |= {"/v1/impact-assessments", "/v1/editions", "/v1/rankings", "/v1/rankings/{period}", "/v1/notices"}
OPEN |= {"/v1/notices/{period}", "/v1/events"}
PUBLIC_POSTS = (
    "/v1/oidc/authorizations",
    "/v1/oidc/sessions",
    "/v1/sessions",
    "/v1/activations",
    "/v1/witness/add-checkpoint",
)
# The caller's own; a record under /me says only what is the caller's.
OWN = {f"/v1/me{what}" for what in ("", "/balance", "/entries", "/notices", "/redemptions", "/statement")}
OWN |= {f"/v1/sessions{what}" for what in ("", "/current", "/current/renew", "/current/prove")}
OWN |= {"/v1/me/slip", "/v1/me/proxies", "/v1/me/card", "/v1/me/editions", "/v1/tokens"}
OWN |= {"/v1/oidc/proofs", "/v1/me/public-key"}
OUTSIDE = ("plain", "gridder", "far_admin", "far_staff", "client", "far_merchant", "body", "expired", None)
REFUSED = {"unauthenticated", "forbidden", "not_found", "subject_unknown"}


async def test_nobody_acts_or_reads_outside_role_and_place(town: Town) -> None:
    """Every operation on what is at home, by callers from elsewhere, without roles, expired or unknown."""
    seen = await town.send("get", f"/v1/approvals/{town.ids['approval']}")
    async with town.unchanged() as wrong:
        for operation in town.operations:
            if operation.path in OWN:
                continue
            headers = {"If-Match": seen.headers["etag"]} if operation.path.startswith("/v1/approvals") else {}
            body = None if operation.schema is None else sample(operation.schema, town.known)
            for caller in OUTSIDE:
                if operation.path == "/v1/voucher-batches" and caller == "far_merchant":
                    continue  # any shop may say what it has taken; that it is none of ours is written down
                answer = await town.send(operation.method, town.asked(operation), caller, headers, json=body)
                if caller == "expired" and verdict(answer) != "unauthenticated":
                    wrong.append(f"{operation} by expired: {answer.status_code} {answer.text[:200]}")
                if operation.path in PUBLIC_POSTS:
                    if verdict(answer).startswith("!"):
                        wrong.append(f"{operation} by {caller}: {answer.text[:200]}")
                    continue
                if operation.path in OPEN or (
                    operation.path == "/v1/merchants/{merchant}" and caller != "far_merchant"
                ):
                    continue
                table = not answer.headers["content-type"].endswith("json")
                if answer.status_code == 200 and operation.method == "get" and (table or "items" in answer.json()):
                    if HOME in answer.text or town.ids["subject"] in answer.text:
                        wrong.append(f"{operation} by {caller} lists {answer.text[:300]}")
                elif operation.path == "/v1/evaluations" and answer.status_code == 200:
                    if answer.json()["state"] != "refused" or answer.json()["code"] not in REFUSED:
                        wrong.append(f"{operation} by {caller}: {answer.text[:300]}")
                elif operation.path == "/v1/people/lookup" and answer.status_code == 200:
                    if answer.json()["items"]:
                        wrong.append(f"{operation} by {caller}: {answer.text[:300]}")
                elif operation.path == "/v1/award-batches" and caller in ("gridder", "far_staff", "client"):
                    pass  # an empty body is refused as such; places are checked row by row
                elif operation.path == "/v1/evidence" and verdict(answer) in ("photo_kind", "request_invalid"):
                    pass  # an empty body is no photo, whoever sends it
                elif (code := verdict(answer)) not in REFUSED:
                    wrong.append(f"{operation} by {caller}: {code} {answer.text[:200]}")


async def test_an_auditor_changes_nothing(town: Town) -> None:
    """Reads everything there is, writes not one row."""
    async with town.unchanged() as wrong:
        for operation in filter(lambda one: one.writes, town.operations):
            if operation.path.startswith("/v1/sessions/") or operation.path == "/v1/oidc/proofs":
                continue  # the auditor's own session
            body = None if operation.schema is None else sample(operation.schema, town.known)
            answer = await town.send(operation.method, town.path(operation), "auditor", json=body)
            if operation.path in (*PUBLIC_POSTS, "/v1/award-batches"):
                continue  # public, and refused for its empty body
            if (code := verdict(answer)) not in REFUSED:
                wrong.append(f"{operation}: {code} {answer.text[:200]}")


async def test_residents_and_bodies_see_themselves_only(town: Town) -> None:
    """Others' records, entries, awards and orders are as good as not there; existing or not makes no difference."""
    own = {name: town.demo[name]["subject"] for name in ("resident", "body")}
    fetch = town.world.ledger.fetch
    async with town.unchanged() as wrong:
        for caller, subject in own.items():
            others = [row[0] for row in await fetch("SELECT subject FROM subject") if row[0] != subject]
            theirs = {
                "award": await fetch("SELECT id FROM award WHERE subject <> ?", subject),
                "redemption": await fetch("SELECT redemption FROM redemption WHERE subject <> ?", subject),
            }
            ids = {name: [row[0] for row in rows][:5] for name, rows in theirs.items()} | {"subject": others[:5]}
            for operation in town.operations:
                name = operation.names[0] if operation.names else ""
                if name not in ids or operation.method == "delete":
                    continue
                body = None if operation.schema is None else sample(operation.schema, town.known)
                seen = set[str]()
                for value in (*ids[name], "no_such_thing_0000", NOBODY):
                    path = town.path(operation, **{name: value})
                    answer = await town.send(operation.method, path, caller, json=body)
                    seen.add(answer.text.replace(path, ""))
                    if verdict(answer) not in ("forbidden", "not_found"):
                        wrong.append(f"{operation} of {value} by {caller}: {answer.status_code} {answer.text[:200]}")
                if len(seen) > 1:
                    wrong.append(f"{operation} by {caller} tells apart: {seen}")
            for journal, seq in await fetch("SELECT journal, seq FROM entry LIMIT 200"):
                answer = await town.send("get", f"/v1/entries/{journal}/{seq}", caller)
                if answer.status_code == 200 and answer.json()["entry"].get("subject") != subject:
                    wrong.append(f"{caller} reads {journal}/{seq}: {answer.text[:200]}")
            for path in ("", "/balance", "/entries?limit=200"):
                answer = await town.send("get", f"/v1/me{path}", caller)
                assert 200 == answer.status_code
                if [one for one in others if one in answer.text]:
                    wrong.append(f"{caller}: /v1/me{path} names others: {answer.text[:200]}")


async def test_ids_cannot_be_told_apart_by_guessing(town: Town) -> None:
    """Another's and nobody's: the same status and the same words, for callers who may not know."""
    async with town.unchanged() as wrong:
        for operation in town.operations:
            if not operation.names or operation.path in OPEN:
                continue
            body = None if operation.schema is None else sample(operation.schema, town.known)
            name = operation.names[0]
            there = town.path(operation)
            nowhere = town.path(operation, **{name: town.ids[name][:4] + "0" * 16})
            if operation.path.startswith("/v1/entries"):
                nowhere = town.path(operation, seq="9999999")
            for caller in ("plain", "body", "far_merchant", "client"):
                if caller == "client" and (operation.writes or name == "subject"):
                    continue  # looks people up anyway, and is told where its duties end
                if operation.path == "/v1/merchants/{merchant}" and caller != "far_merchant":
                    continue  # shops are public
                one, other = [(await town.send(operation.method, path, caller, json=body)) for path in (there, nowhere)]
                told = [(a.status_code, a.text.replace(p, "")) for a, p in ((one, there), (other, nowhere))]
                if told[0] != told[1]:
                    wrong.append(f"{operation} by {caller}: {told[0]} {told[1]}"[:600])


async def test_a_till_cannot_learn_who_is_who(town: Town) -> None:
    """Unknown, ambiguous, wrong PIN, frozen, without consent: one answer, word for word; and no amount in any."""
    world, shop = town.world, town.demo["merchant"]
    offer = next(one["id"] for one in town.demo["offers"] if one["price"])
    made: list[str] = []
    people = (("孙一", "13100001111", True), ("孙二", "13200001111", True), ("孔三", "13300002222", False))
    for name, phone, consent in people:
        joining = {
            "name": name,
            "phone": phone,
            "birth": "1980-01-01",
            "grid": f"{HOME}-01",
            "consents": {"ledger": True, "merchant": consent},
        }
        answer = await town.send("post", "/v1/people", json=joining)
        assert 201 == answer.status_code, answer.text
        made.append(answer.json()["subject"])
    cards = {subject: await world.people.cards.issue(subject) for subject in made}
    one, _, shy = (cards[subject] for subject in made)
    wrong_pin = "000000" if one.pin != "000000" else "111111"
    ways: dict[str, dict[str, str]] = {
        "unknown card": {"card": "1000000000000", "pin": "123456"},
        "odd card": {"card": "'; --", "pin": "1"},
        "wrong PIN": {"card": one.serial, "pin": wrong_pin},
        "unknown tail": {"phone_tail": "9999", "surname": "孙", "pin": one.pin},
        "ambiguous tail": {"phone_tail": "1111", "surname": "孙", "pin": one.pin},
        "no consent": {"card": shy.serial, "pin": shy.pin},
        "no consent, by tail": {"phone_tail": "2222", "surname": "孔", "pin": shy.pin},
    }
    for _ in range(5):
        await town.send("post", "/v1/redemptions", "merchant", json={"offer": offer, "by": ways["wrong PIN"]})
    ways["frozen, right PIN"] = {"card": one.serial, "pin": one.pin}
    for path in ("/v1/redemptions", "/v1/eligibility"):
        told: dict[str, list[str]] = {}
        for what, by in ways.items():
            answer = await town.send("post", path, "merchant", json={"offer": offer, "by": by})
            told.setdefault(f"{answer.status_code} {answer.text}", []).append(what)
        assert 1 == len(told), told
        assert '"not_identified"' in next(iter(told))
    # Somebody who is known, and has nothing: only that, and no name.
    fresh = await world.people.cards.issue(made[1])
    by = {"card": fresh.serial, "pin": fresh.pin}
    for path in ("/v1/redemptions", "/v1/eligibility"):
        answer = await town.send("post", path, "merchant", json={"offer": offer, "by": by})
        assert not re.search("孙|sub_|available|needed|standing|grade|G3|3703", answer.text), answer.text
        assert answer.json() == {"eligible": False} or answer.json()["code"] == "insufficient_points", answer.text
    # Another shop's offer, and staff's ways: turned away before anybody is looked for, so no PIN is tried there.
    other = await world.ledger.fetch("SELECT offer FROM offer WHERE merchant <> ? AND state = 'open'", shop["id"])
    told_apart = {
        (await town.send("post", "/v1/redemptions", "merchant", json={"offer": other[0][0], "by": way})).text
        for way in (by, ways["unknown card"], {"subject": made[1]}, {"subject": NOBODY})
    }
    assert 1 == len(told_apart), told_apart


# below HTTP --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("served")
    with served(f"sqlite:///{home / 'jifen.db'}", home) as running:
        yield running


def talk(server: Served, *parts: bytes, pause: float = 0.0, wait: float = 1.0, half: bool = False) -> bytes:
    """What the server says to these bytes, sent one after the other; `half` closes our side after them."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
            if half:
                connection.shutdown(socket.SHUT_WR)
        connection.settimeout(wait)
        said = b""
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while chunk := connection.recv(65_536):
                said += chunk
        return said


def statuses(said: bytes) -> list[int]:
    return [int(one) for one in re.findall(rb"(?:^|(?<=\n)|(?<=})|(?<=\.))HTTP/1\.[01] ([0-9]{3})", said)]


async def test_requests_that_are_not_http(server: Served) -> None:
    """Lengths that lie, bodies that trickle, pipelines, old versions, oversized headers: refused or dropped, and the
    next caller is served."""
    key, merchant = server.demo["merchant"]["key"], server.demo["merchant"]["id"]
    body = json.dumps({"offer": server.demo["offers"][0]["id"], "by": {"card": "1", "pin": "1"}}).encode()
    auth = (
        f"Host: x\r\nAuthorization: Bearer {key}\r\nIdempotency-Key: raw\r\nContent-Type: application/json\r\n".encode()
    )
    post, get = b"POST /v1/redemptions HTTP/1.1\r\n" + auth, b"GET /v1/merchants/%s HTTP/1.1\r\n" % merchant.encode()
    length = b"Content-Length: %d\r\n"
    before = httpx.get(f"http://127.0.0.1:{server.port}/v1/status").json()["journals"]

    refused: dict[str, bytes] = {
        "shorter": post + length % (len(body) - 3) + b"\r\n" + body,
        "negative": post + b"Content-Length: -1\r\n\r\n" + body,
        "no number": post + b"Content-Length: ten\r\n\r\n" + body,
        "two lengths": post + length % len(body) + length % 3 + b"\r\n" + body,
        "length and chunks": post + length % len(body) + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "bad chunk": post + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
        "huge, announced": post + b"Content-Length: 99999999999\r\n\r\n" + body,
        "unknown coding": post + b"Transfer-Encoding: gzip\r\n\r\n" + body,
        "a space in a name": get + b"Host : x\r\n\r\n",
        "version 9": b"GET /health HTTP/9.9\r\nHost: x\r\n\r\n",
        "no method": b"/health HTTP/1.1\r\nHost: x\r\n\r\n",
        "bytes": bytes(range(256)) * 4,
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64,
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "a header of 64 kB": get + auth + b"X-Long: " + b"x" * 65_536 + b"\r\n\r\n",
        "a token of 64 kB": get + b"Host: x\r\nAuthorization: Bearer " + b"x" * 65_536 + b"\r\n\r\n",
        "an address of 64 kB": b"GET /v1/" + b"a" * 65_536 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        "two thousand headers": get + b"".join(b"X-%d: y\r\n" % n for n in range(2_000)) + b"\r\n",
        "NUL in a header": get + b"Host: x\r\nX: a\0b\r\n\r\n",
        "an address elsewhere": b"GET http://evil/v1/me HTTP/1.1\r\nHost: x\r\n\r\n",
        "steps upwards": b"GET /static/../../../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
        "steps upwards, disguised": b"GET /static/%2e%2e/%2e%2e/keys.db HTTP/1.1\r\nHost: x\r\n\r\n",
        "CONNECT": b"CONNECT evil:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        "TRACE": b"TRACE /v1/me HTTP/1.1\r\nHost: x\r\n\r\n",
    }
    wrong: list[str] = []
    for what, raw in refused.items():
        said = talk(server, raw, wait=0.5)
        if [one for one in statuses(said) if not 400 <= one < 500] or GIVEAWAYS.search(said.decode(errors="replace")):
            wrong.append(f"{what}: {said[:300]!r}")
    # More was announced than comes: nothing is done with half a request.
    for half in (True, False):
        said = talk(server, post + length % (len(body) + 10) + b"\r\n" + body, wait=0.3, half=half)
        if [one for one in statuses(said) if one < 400]:
            wrong.append(f"longer: {said[:300]!r}")
    assert not wrong, "\n".join(wrong)

    # What is unusual and right is served: one after the other, by the oldest version, byte by byte.
    two = talk(server, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 2, wait=0.5)
    assert [200, 200] == statuses(two), two
    assert [200] == statuses(talk(server, b"GET /health HTTP/1.0\r\n\r\n", wait=0.5))
    slow = [post + length % len(body) + b"\r\n", *(bytes([one]) for one in body)]
    assert [422] == statuses(talk(server, *slow, pause=0.005, wait=2))
    for what in ("a header of 64 kB", "a token of 64 kB", "an address of 64 kB"):
        assert [431] == statuses(talk(server, refused[what], wait=0.5)), what
    trickled = [get + b"X-Long: ", *(b"x" * 4096 for _ in range(40))]
    assert [431] == statuses(talk(server, *trickled, pause=0.001, wait=0.5))

    # Many who never finish do not keep others out.
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
    for one in idle:
        one.sendall(post + length % 1000 + b"\r\n{")
    after = httpx.get(f"http://127.0.0.1:{server.port}/v1/status", timeout=5).json()["journals"]
    for one in idle:
        one.close()
    assert before == after
    assert "unexpected" not in server.log() and "Traceback" not in server.log(), server.log()

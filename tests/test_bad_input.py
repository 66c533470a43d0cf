# SPDX-License-Identifier: Apache-2.0
"""Whatever is sent, the answer is a problem document, it gives nothing away, and nothing has changed.

The cases are made from the OpenAPI document: a new operation is tried without being named here.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest
import pytest_asyncio
from hypothesis import strategies

from api import demo
from api.app import create_app
from api.settings import Settings
from api.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

WRITING = ("post", "patch", "put")
# Counters and records of what was tried; everything else must be as it was.
NOT_COMPARED = {"access_log", "attempt", "session", "request", "migration"}
# What must never stand in an answer: traces, SQL, paths of files, names of our modules and of the database's errors.
GIVEAWAYS = re.compile(
    r"Traceback|File \"|\.py\b|SELECT |INSERT |UPDATE |sqlite|asyncpg|psycopg|piccolo|pydantic|litestar|/work/|/tmp/"
    r"|/usr/|/home/|KeyError|ValueError|TypeError|0x[0-9a-f]{8}",
)
MEMBERS = {"type", "title", "status", "detail", "code", "instance"}
NOBODY = "sub_0000000000000000"


@dataclass(frozen=True)
class Operation:
    """One operation of the document: its method, its path with `{names}`, and the schema of its JSON body, if any."""

    method: str
    path: str
    schema: dict[str, Any] | None
    names: tuple[str, ...]
    queries: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"

    @property
    def writes(self) -> bool:
        return self.method in WRITING


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
        values = {**self.ids, **other}
        return operation.path.format(**{name: values.get(name, "nothing_0000") for name in operation.names})

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
        made = Town(world, client, app.openapi_schema.to_schema(), said)
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
        ("award", "id", "award", "state = 'posted'"),
        ("batch", "id", "batch", "1 = 1"),
        ("approval", "id", "approval", "1 = 1"),
        ("redemption", "redemption", "redemption", "1 = 1"),
        ("staff", "id", "staff", "username = 'approver'"),
        ("key", "id", "api_key", "name = 'machine'"),
        ("journal", "journal", "head", "1 = 1"),
    ):
        rows = await fetch(f"SELECT {column} FROM {table} WHERE {which} ORDER BY {column} LIMIT 1")
        if rows:
            ids[name] = rows[0][0]
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
        "who": None,
    }


# the cases ---------------------------------------------------------------------------------------------------------


def sample(schema: dict[str, Any], known: dict[str, Any], name: str = "") -> Any:
    """A value that the schema allows; the town's own where the name is known."""
    if known.get(name) is not None and schema.get("type") != "object":
        return copy.deepcopy(known[name])
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type")
    kind = next(one for one in kind if one != "null") if isinstance(kind, list) else kind
    if kind == "object" or "properties" in schema:
        given = {n: one for n, one in schema.get("properties", {}).items() if n not in known or known[n] is not None}
        return {n: sample(one, known, n) for n, one in given.items()} or known.get(name, {})
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


WRONG_FOR_ALL = [Raw("1.5"), Raw("1e3"), Raw("NaN"), Raw("-Infinity"), Raw("1" + "0" * 30), Raw(str(2**53)), Raw("-0.0")]
WRONG: dict[str, list[Any]] = {
    "integer": [True, "1", Raw("1.0"), [], {}, -(10**12) - 1, Raw('"\\u0000"')],
    "boolean": ["true", 2, [], {}, "", Raw("1.0")],
    "array": [{}, "x", 1, True, [[[]]], Raw("[" * 10_000 + "]" * 10_000)],
    "object": [[], "x", 1, True, Raw('{"a":' * 10_000 + "1" + "}" * 10_000), {"\u0000": 1}, {"nobody knows": 1}],
    "string": [1, True, [], {}, "x\u0000", Raw('"\\ud800"'), Raw('"\\udfff\\ud800"'), "长" * 100_000, "x" * 10_240],
}


def wrong_bodies(schema: dict[str, Any], body: Any) -> Iterator[tuple[str, bytes]]:
    """Bodies of which each has one thing wrong, and what."""
    good = encoded(body)
    for at, one in leaves(schema):
        kind = one.get("type")
        kind = next(k for k in kind if k != "null") if isinstance(kind, list) else kind or "object"
        for value in (*WRONG_FOR_ALL, *WRONG.get(str(kind), [])):
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
    """On every operation, from its own schema: wrong types, numbers, characters, lengths, depths, keys."""
    async with town.unchanged() as wrong:
        for operation in filter(lambda one: one.writes, town.operations):
            path = town.path(operation)
            cases = dict(NOT_JSON)
            if operation.schema is not None:
                cases |= dict(wrong_bodies(operation.schema, sample(operation.schema, town.known)))
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
            for other in ("text/plain", "application/xml", "application/x-www-form-urlencoded", "x", "multipart/form-data"):
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
                    if name == "seq" and value in ("-1", "99999999999999999999"):
                        pass
                    path = town.path(operation, **{name: value})
                    if operation.method == "delete" and operation.path.endswith("current"):
                        continue
                    code = await town.refused(
                        operation.method, path, content=body, headers=JSON if body is not None else {}
                    )
                    if code.startswith("!"):
                        wrong.append(f"{operation}: {name}={value[:40]}: {code}")


async def test_questions_that_mean_nothing(town: Town) -> None:
    """limit, cursor and every other query name with what it cannot be; an unknown filter finds nothing, not all."""
    odd = {
        "limit": ["-1", "0", "1e9", "1000000000", "9" * 400, "x", "1.0", "", "%00", "１", "true"],
        "cursor": ["garbage", "%00", "", "a" * 5000, "WzFd", "W10", "bnVsbA", "W251bGxd", "e30", "WyJcdTAwMDAiXQ", "__8"],
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
                        if answer.json().get("items"):
                            wrong.append(f"{operation}: {name}={value[:40]}: finds {len(answer.json()['items'])}")
                        continue
                    code = verdict(answer)
                    if code.startswith("!"):
                        wrong.append(f"{operation}: {name}={value[:40]}: {code}")

# SPDX-License-Identifier: Apache-2.0
"""Erasing a person: nothing of them is left in any file, nothing that was proved breaks, and a crash, a reader in the
way or an older database only delay it."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import shutil
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from argon2 import PasswordHasher

from api import erasure, imports, jobs
from api.auth import KIND_SCOPES, ROLE_SCOPES, Caller
from api.people import keystore, traces
from api.people.keystore import Keystore
from api.people.records import NewPerson
from api.people.search import found_in
from api.people.tables import ACTIVATION
from api.permissions import rules
from api.settings import Settings
from api.sheets.places import parse_places
from api.sheets.read import read_sheet
from api.world import World
from ledger.errors import Refusal
from ledger.keys import open_keys
from ledger.port import FORGOTTEN, PutRows, Retry
from ledger.receipt import check, parse_receipt
from ledger.tables import REQUEST
from rules.ports import Actor
from rules.register import subject_row
from rules.tables import SUBJECT
from tests import pg
from tests.serving import Served, served
from tests.test_people_http import GRID, HERE, PLACES

pytestmark = pytest.mark.schema()

DAY_US = 86_400_000_000


def somebody() -> tuple[str, str]:
    """A name and a phone that nobody else has."""
    name = "欧阳" + "".join(chr(random.randrange(0x4E00, 0x9FA5)) for _ in range(2))
    return name, f"139{random.randrange(10**8):08d}"


def spellings(text: str) -> dict[str, bytes]:
    """A text as it might stand in a file."""
    utf8 = text.encode()
    return {
        "utf-8": utf8,
        "utf-16": text.encode("utf-16-le"),
        "utf-16-be": text.encode("utf-16-be"),
        "gb18030": text.encode("gb18030"),
        "escaped": json.dumps(text)[1:-1].encode(),
        "reversed": utf8[::-1],
        "backwards": text[::-1].encode(),
        "hex": utf8.hex().encode(),
        "HEX": utf8.hex().upper().encode(),
        **{f"base64+{shift}": _base64(utf8, shift) for shift in range(3)},
    }


def _base64(data: bytes, shift: int) -> bytes:
    """What is the same in base64 whatever stands before and after."""
    start, end = (0, 2, 3)[shift], (len(data) + shift) // 3 * 4
    return base64.b64encode(bytes(shift) + data)[start + (1 if shift else 0) : end]


async def rows(url: str, sql: str) -> list[tuple[Any, ...]]:
    """Asked beside the server."""
    if url.startswith("sqlite"):
        db = sqlite3.connect(url.removeprefix("sqlite:///"))
        try:
            return db.execute(sql).fetchall()
        finally:
            db.close()
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


async def digests(url: str, subject: str) -> dict[str, bytes]:
    """What the vault's tables say of one person, by column."""
    found: dict[str, bytes] = {}
    for table, columns in {
        "person": "sealed, identity, phone_index, tail_index, name_grid_index",
        "pin": "hash",
        "card": "serial",
        "activation": "digest",
        "identity": "digest",
    }.items():
        for row in await rows(url, f"SELECT {columns} FROM {table} WHERE subject = '{subject}'"):
            for name, value in zip(columns.split(", "), row, strict=True):
                if value is not None:
                    found[f"{table}.{name}"] = value.encode() if isinstance(value, str) else bytes(value)
    return found


def wrapped_key(home: Path, subject: str) -> bytes:
    db = sqlite3.connect(home / "keys.db")
    try:
        return db.execute("SELECT wrapped FROM data_key WHERE subject = ?", (subject,)).fetchone()[0]
    finally:
        db.close()


def files(*folders: Path) -> list[Path]:
    return [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]


# a person with a life, at a running server ----------------------------------------------------------------------


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[Served]:
    home = tmp_path / "home"
    home.mkdir()
    with served(database_url, home) as running:
        yield running


class Desk:
    """The people at a running server."""

    def __init__(self, server: Served) -> None:
        self.server = server
        self.tokens = {who: server.sign_in(who) for who in ("staff", "auditor", "admin", "approver")}
        self.tokens["merchant"] = server.demo["merchant"]["key"]
        self.client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", timeout=60)

    async def call(self, who: str, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens[who]}", **headers}
        return await self.client.request(method, path, json=body, headers=headers)

    async def done(self, who: str, method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = await self.call(who, method, path, body, **headers)
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if "json" in answer.headers.get("content-type", "") else answer.text


async def live(desk: Desk, name: str, phone: str) -> dict[str, Any]:
    """Everything that can happen to a person: registered, looked up, awarded, refused, carded, redeeming, reading."""
    demo = desk.server.demo
    near = await desk.done("staff", "GET", f"/v1/subjects/{demo['resident']['subject']}")
    joining = {
        "name": name,
        "phone": somebody()[1],  # which changes later
        "birth": "1950-05-05",
        "grid": near["grid"],
        "groups": ["G2"],
        "consents": {"ledger": True, "publication": True, "merchant": True, "ranking": True},
    }
    subject = (await desk.done("staff", "POST", "/v1/people", joining, **{"Idempotency-Key": "join"}))["subject"]
    known: dict[str, Any] = {"subject": subject, "joining": joining, "grid": near["grid"], "home": near["home"]}
    known["once"] = await digests(desk.server.url, subject)
    await desk.done("staff", "POST", "/v1/people/lookup", {"name": name, "phone": joining["phone"]})
    await desk.done("staff", "PATCH", f"/v1/people/{subject}", {"groups": ["G1", "G2"], "phone": phone})
    awards = []
    for number, indicator in enumerate(demo["indicators"]):
        deed = {
            "who": {"name": name, "phone": phone},
            "indicator": indicator["code"],
            "occurred_on": date.today().isoformat(),
            "facts": indicator["facts"],
            "evidence": [{**indicator["evidence"][0], "reference": f"{name}的照片"}],
            "note": f"{name}，电话{phone}",
        }
        key = {"Idempotency-Key": f"award-{number}"}
        awards.append({"sent": deed, **await desk.done("staff", "POST", "/v1/awards", deed, **key)})
    wrong = {**awards[0]["sent"], "who": {"name": name[:-1] + "某", "phone": phone}}
    assert 422 == (await desk.call("staff", "POST", "/v1/awards", wrong, **{"Idempotency-Key": "wrong"})).status_code
    last = awards.pop()
    reversal = {"reason": f"{name}没有到场", "occurred_on": date.today().isoformat()}
    await desk.done("staff", "POST", f"/v1/awards/{last['id']}/reverse", reversal, **{"Idempotency-Key": "back"})
    card = await desk.done("staff", "POST", f"/v1/people/{subject}/card", {})
    code = await desk.done("staff", "POST", f"/v1/people/{subject}/activation-code", {})
    own = await desk.done("staff", "POST", "/v1/activations", {"code": code["code"], "pin": card["pin"]})
    desk.tokens["own"] = own["token"]
    await desk.done("staff", "POST", f"/v1/people/{subject}/activation-code", {})
    offer = min((one for one in demo["offers"] if one["price"]), key=lambda one: one["price"])["id"]
    order = {"offer": offer, "by": {"card": card["card"], "pin": card["pin"]}}
    held = await desk.done("merchant", "POST", "/v1/redemptions", order, **{"Idempotency-Key": "hold"})
    taken = await desk.done("merchant", "POST", "/v1/redemptions?capture=true", order, **{"Idempotency-Key": "take"})
    refund = {"amount": 100, "reason": f"{name}退货"}
    path = f"/v1/redemptions/{taken['id']}/refunds"
    await desk.done("merchant", "POST", path, refund, **{"Idempotency-Key": "refund"})
    known |= {"awards": awards, "held": held["id"], "taken": taken["id"], "card": card, "order": order}
    first = awards[0]["receipt"]
    entry = f"/v1/entries/{first['journal']}/{first['seq']}"
    known["entry"] = entry
    known["before"] = await desk.done("auditor", "GET", entry)
    known["receipt"] = await desk.done("own", "GET", f"{entry}/receipt?wait=10")
    await desk.done("own", "GET", "/v1/me")
    newest = await desk.done("own", "GET", "/v1/audit/access?limit=1")
    rest = await desk.done("own", "GET", f"/v1/audit/access?limit=50&cursor={newest['next']}")
    items = newest["items"] + rest["items"]
    assert [{"role": "auditor", "place": demo["county"]}] == items[0]["roles"]
    assert ["activation_code", "lookup"] == [items[1]["what"], items[-1]["what"]] and rest["next"] is None
    assert "community_staff" in {one["role"] for one in items[1]["roles"]}
    return known


async def test_nothing_is_left_and_nothing_breaks(server: Served, request: pytest.FixtureRequest) -> None:
    """Raw files of database, keys, home and log before and after; what is answered afterwards, at every door."""
    desk = Desk(server)
    name, phone = somebody()
    known = await live(desk, name, phone)
    subject = known["subject"]
    secret = await digests(server.url, subject)
    assert 9 == len(secret), sorted(secret)
    secret["wrapped key"] = wrapped_key(server.home, subject)
    store = Keystore(server.home / "keys.db", open_keys(server.home).master)
    secret["data key"] = store.key(subject)
    store.close()
    clear = {f"{what} in {how}": spelt for what in (name, phone) for how, spelt in spellings(what).items()}
    folders = [server.home, server.home.parent]
    if not server.url.startswith("sqlite"):
        cluster = request.getfixturevalue("postgres_server")
        if not isinstance(cluster, pg.Cluster):
            pytest.skip("the files of this PostgreSQL server are not ours to read")
        folders.append(cluster.home)

    def left(what: dict[str, bytes]) -> set[str]:
        found = found_in(files(*folders), what.values())
        return {label for label, needle in what.items() if needle in found}

    assert left(secret) == secret.keys() - {"data key"}  # the search does find what is there
    assert set() == left(clear)  # and nothing is in clear even of the living

    assert 403 == (await desk.call("merchant", "DELETE", f"/v1/people/{subject}")).status_code
    assert 403 == (await desk.call("auditor", "DELETE", f"/v1/people/{subject}")).status_code
    gone = await desk.done("staff", "DELETE", f"/v1/people/{subject}?reason=moved_away")
    assert {"subject": subject, "state": "erased", "traces": "none"} == gone
    assert set() == left(secret | known["once"] | clear)
    erased = await rows(server.url, "SELECT subject, reason, settled_at > 0 FROM erasure")
    assert [(subject, "moved_away", True)] == [(one, why, bool(done)) for one, why, done in erased]

    await _answers_after(desk, known, name, phone)
    await _every_page_still_opens(desk, known)
    joining = {**known["joining"], "phone": phone}
    again = await desk.done("staff", "POST", "/v1/people", joining, **{"Idempotency-Key": "join-again"})
    assert subject != again["subject"]
    balance = await desk.done("staff", "GET", f"/v1/subjects/{again['subject']}/balance")
    assert (0, 0) == (balance["points"]["available"], balance["points"]["held"])
    await desk.client.aclose()
    said = server.jifen("erase", again["subject"], "--as", "staff", "--reason", "mistake", token=desk.tokens["staff"])
    assert again["subject"] in said
    assert set() == left(secret | clear)  # the same digests, for the same phone
    server.stop()
    server.jifen("verify")


async def _answers_after(desk: Desk, known: dict[str, Any], name: str, phone: str) -> None:
    subject, award = known["subject"], known["awards"][0]
    assert 401 == (await desk.call("own", "GET", "/v1/me")).status_code
    joined = await desk.call("staff", "POST", "/v1/people", known["joining"], **{"Idempotency-Key": "join"})
    awarded = await desk.call("staff", "POST", "/v1/awards", award["sent"], **{"Idempotency-Key": "award-0"})
    held = await desk.call("merchant", "POST", "/v1/redemptions", known["order"], **{"Idempotency-Key": "hold"})
    direct = {**award["sent"], "subject": subject}
    del direct["who"]
    reported = await desk.call("staff", "POST", "/v1/awards", direct, **{"Idempotency-Key": "direct"})
    for answer in (
        joined,
        held,
        reported,
        await desk.call("staff", "GET", f"/v1/subjects/{subject}"),
        await desk.call("staff", "GET", f"/v1/subjects/{subject}/balance"),
        await desk.call("auditor", "GET", f"/v1/subjects/{subject}/entries"),
        await desk.call("staff", "PATCH", f"/v1/people/{subject}", {"groups": ["G2"]}),
        await desk.call("staff", "POST", f"/v1/people/{subject}/card", {}),
        await desk.call("staff", "POST", f"/v1/people/{subject}/activation-code", {}),
        await desk.call("staff", "POST", f"/v1/people/{subject}/consents", {"ranking": False}),
        await desk.call("staff", "DELETE", f"/v1/people/{subject}"),
    ):
        assert (410, "subject_erased") == (answer.status_code, answer.json()["code"]), answer.text
    # Nobody of that name is known now, so the report under the old key is another one.
    assert awarded.status_code in (404, 410), awarded.text
    by_card = {"offer": known["order"]["offer"], "by": known["order"]["by"]}
    till = await desk.call("merchant", "POST", "/v1/redemptions", by_card, **{"Idempotency-Key": "new"})
    assert (422, "not_identified") == (till.status_code, till.json()["code"])
    found = await desk.done("staff", "POST", "/v1/people/lookup", {"name": name, "phone": phone})
    assert [] == found["items"]
    shown = await desk.done("staff", "GET", f"/v1/awards/{award['id']}")
    assert (None, "posted", award["points"]) == (shown["explanation"], shown["state"], shown["points"])
    order = await desk.done("merchant", "GET", f"/v1/redemptions/{known['held']}")
    assert ("released", "") == (order["state"], order["masked_name"])
    assert known["before"] == await desk.done("auditor", "GET", known["entry"])
    explained = await desk.done("auditor", "GET", f"{known['entry']}/explain")
    assert explained["trace"] is None and explained["text"]
    check(parse_receipt(known["receipt"].encode()), [open_keys(desk.server.home).signer.verifier])
    (last,) = [
        json.loads(bytes(body))
        for (body,) in await rows(desk.server.url, "SELECT body FROM entry WHERE kind = 'erase'")
    ]
    assert subject == last["subject"] and "data" not in last
    left = await rows(desk.server.url, f"SELECT account FROM balance WHERE account LIKE '%{subject}'")
    assert [] == left
    log = await desk.done("auditor", "GET", f"/v1/audit/access?subject={subject}")
    assert {"lookup", "change", "card_issue"} <= {one["what"] for one in log["items"]}
    assert any(one["roles"] for one in log["items"])
    assert 403 == (await desk.call("staff", "GET", f"/v1/audit/access?subject={subject}")).status_code


async def _every_page_still_opens(desk: Desk, known: dict[str, Any]) -> None:
    """Each address of the interface that only reads, with what the erased person has left behind in it."""
    described = (await desk.client.get("/openapi.json")).json()
    (batches,) = [(await desk.done("staff", "GET", "/v1/award-batches"))["items"]]
    journal = known["awards"][0]["receipt"]["journal"]
    values = {
        "subject": known["subject"], "award": known["awards"][0]["id"], "redemption": known["taken"],
        "journal": journal, "seq": str(known["awards"][0]["receipt"]["seq"]), "merchant": "x", "offer": "x",
        "batch": batches[0]["id"] if batches else "x", "staff": "x", "key": "x", "approval": "x",
    }  # fmt: skip
    seen = 0
    for path, methods in described["paths"].items():
        if "get" not in methods:
            continue
        url = path
        for name, value in values.items():
            url = url.replace(f"{{{name}}}", value)
        for who in ("staff", "auditor", "admin", "approver", "merchant"):
            answer = await desk.call(who, "GET", url)
            assert answer.status_code < 500, f"{who} {url}: {answer.status_code} {answer.text}"
            seen += answer.status_code == 200
    assert seen > 30


# crashes, readers, older databases ---------------------------------------------------------------------------------


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    opened = World(Settings(database_url=database_url, home=tmp_path / "home"))
    await opened.init()
    await opened.open()
    plan = await imports.plan_places(opened, parse_places(read_sheet(PLACES.encode())))
    await imports.commit_places(opened, plan, "system")
    yield opened
    await opened.close()


async def join(world: World) -> str:
    name, phone = somebody()
    new = NewPerson(
        name,
        phone,
        None,
        HERE,
        GRID,
        also=lambda subject, now: [(SUBJECT, subject_row(subject, "person", HERE, GRID, ["G2"], now))],
    )
    subject = (await world.people.register(new, actor="stf_1", base=100_000)).ref
    await world.people.cards.issue(subject)
    return subject


async def reopened(world: World) -> World:
    again = World(world.settings, clock=world.clock)
    await again.open()
    return again


async def gone(world: World, subject: str) -> bool:
    """Settled, and the door says so."""
    done = await world.ledger.fetch("SELECT settled_at FROM erasure WHERE subject = ?", subject)
    with pytest.raises(Refusal, match="subject_erased"):
        await world.people.record(subject)
    return bool(done and done[0][0]) and not await digests(world.settings.database_url, subject)


async def test_a_crash_only_delays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever step it falls on: before the commit nothing has happened, after it the next start finishes the work."""

    def crash(*_args: object, **_more: object) -> Any:
        raise KeyboardInterrupt

    steps: list[Any] = [
        (erasure, "_release"),
        (Keystore, "destroy"),
        (keystore, "overwrite"),
        (traces, "scrub"),
        (erasure, "Settled"),
    ]
    now = world
    for done, (where, name) in enumerate(steps):
        subject = await join(now)
        with monkeypatch.context() as patch:
            patch.setattr(where, name, crash)
            with pytest.raises(KeyboardInterrupt):
                await erasure.erase(now, subject, actor="stf_1", reason="wish")
        await now.close()
        now = await reopened(world)
        if name == "_release":
            assert await now.people.name(subject)
            assert await erasure.erase(now, subject, actor="stf_1", reason="wish")
        assert await gone(now, subject), name
        assert [(done + 1,)] == await now.ledger.fetch("SELECT count(*) FROM entry WHERE kind = 'erase'")
        assert [] == list(now.home.glob("*.new"))
    await now.close()


async def test_a_reader_in_the_way_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who still sees the old rows keeps them in the files: that is said, and done when they have left."""
    monkeypatch.setattr(traces, "WAIT_S", 0.2)
    subject, url = await join(world), world.settings.database_url
    if url.startswith("sqlite"):
        reader: Any = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM person").fetchone()
    else:
        reader = await asyncpg.connect(url)
        await reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await reader.fetch("SELECT count(*) FROM person")
    assert not await erasure.erase(world, subject, actor="stf_1", reason="wish")
    assert 0 == await jobs.erasures(world)
    closing = reader.close()
    if closing is not None:
        await closing
    assert 1 == await jobs.erasures(world)
    assert 0 == await jobs.erasures(world)
    assert await gone(world, subject)


@pytest.mark.parametrize("guarded", [True, False])
async def test_an_older_database_shows_nobody(tmp_path: Path, guarded: bool) -> None:
    """Put back from before the erasure: the person is erased again before anything is served; where the fork guard
    keeps the ledger read-only, their record goes all the same."""
    file, kept = tmp_path / "jifen.db", tmp_path / "kept.db"
    world = World(Settings(database_url=f"sqlite:///{file}", home=tmp_path / "home"))
    await world.init()
    await world.open()
    plan = await imports.plan_places(world, parse_places(read_sheet(PLACES.encode())))
    await imports.commit_places(world, plan, "system")
    subject, other = await join(world), await join(world)
    if guarded:
        await jobs.checkpoints(world)
    await world.close()
    shutil.copyfile(file, kept)
    world = await reopened(world)
    secret = await digests(world.settings.database_url, subject)
    assert await erasure.erase(world, subject, actor="stf_1", reason="wish")
    if guarded:
        await jobs.checkpoints(world)
    await world.close()
    shutil.copyfile(kept, file)
    world = await reopened(world)
    try:
        assert guarded == (world.ledger.frozen is not None)
        with pytest.raises(Refusal, match="subject_erased"):
            await world.people.record(subject)
        with pytest.raises(Refusal, match="subject_erased"):
            world.people.check_not_erased(subject)
        assert {} == await digests(world.settings.database_url, subject)
        assert await world.people.name(other)
        entries = await world.ledger.fetch("SELECT seq FROM entry WHERE kind = 'erase'")
        assert (0 if guarded else 1) == len(entries)
    finally:
        await world.close()
    assert set() == found_in([file, Path(f"{file}-wal")], secret.values())


async def test_who_may_erase(world: World) -> None:
    """The person, and staff who register people where they live; nobody else, and no body."""
    subject, other = await join(world), await join(world)
    await world.ledger.submit(PutRows(inserts=((SUBJECT, subject_row("sub_shop", "body", HERE, HERE, [], 1)),)))

    def caller(kind: Any, id_: str, *roles: tuple[str, str]) -> Caller:
        scopes = ROLE_SCOPES[roles[0][0]] if roles else KIND_SCOPES[kind]
        own = id_ if kind == "resident" else None
        return Caller(kind, id_, Actor(id_, own, roles), scopes, own)

    clerk = caller("staff", "stf_1", ("community_staff", HERE))
    await erasure.check_may(world, caller("resident", subject), subject)
    await erasure.check_may(world, clerk, subject)
    refused = [
        (caller("resident", other), subject, "forbidden"),
        (caller("merchant", "key_1"), subject, "forbidden"),
        (caller("staff", "stf_2", ("community_staff", "370321002003")), subject, "forbidden"),
        (caller("staff", "stf_3", ("grid_worker", HERE)), subject, "forbidden"),
        (caller("staff", "stf_4", ("county_admin", "370321")), subject, "forbidden"),
        (clerk, "sub_shop", "subject_unknown"),
        (clerk, "sub_nobody", "forbidden"),
    ]
    for who, whom, code in refused:
        with pytest.raises(Refusal) as said:
            admitted = rules()["erasePerson"].admit(who, 0)
            assert admitted is not None
            await erasure.check_may(world, admitted, whom)
        assert code == said.value.code, who


async def test_once_is_enough(world: World) -> None:
    """Asked for thrice at the same moment it happens once; who is not there cannot be erased."""
    subject = await join(world)
    with pytest.raises(Refusal, match="subject_unknown"):
        await erasure.erase(world, "sub_nobody", actor="stf_1", reason="wish")
    await asyncio.gather(*(erasure.erase(world, subject, actor="stf_1", reason="wish") for _ in range(3)))
    assert [(1,)] == await world.ledger.fetch("SELECT count(*) FROM entry WHERE kind = 'erase'")
    assert await gone(world, subject)


async def test_a_card_or_code_in_the_making_is_not_finished(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashing a PIN takes a while: whoever is erased meanwhile gets neither card nor code, and nothing stays behind."""
    subject = await join(world)
    erased = threading.Event()
    monkeypatch.setattr(PasswordHasher, "hash", lambda *_: str(erased.wait(20)))
    making = asyncio.create_task(world.people.cards.issue(subject))
    await asyncio.sleep(0.1)
    await erasure.erase(world, subject, actor="stf_1", reason="wish")
    erased.set()
    with pytest.raises(Refusal, match="subject_erased"):
        await making
    with pytest.raises(Refusal, match="subject_erased"):
        await world.people.cards.issue_code(subject)  # past the door that looks first
    assert {} == await digests(world.settings.database_url, subject)


async def test_a_code_that_slipped_in_is_taken_away(world: World) -> None:
    """From a process that had not seen the erasure: the next round of the job finds it like a card."""
    subject = await join(world)
    await erasure.erase(world, subject, actor="stf_1", reason="wish")
    late = (b"c" * 32, subject, world.ledger.clock() + DAY_US, 0)
    await world.ledger.submit(PutRows(puts=((ACTIVATION, late),)))
    await jobs.erasures(world)
    assert {} == await digests(world.settings.database_url, subject)


async def test_moved_pages_are_searched_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite leaves copies of cells that moved to another page; where one is found, the tables are written anew."""
    monkeypatch.setattr(traces, "SMALL", 0)
    world = World(Settings(database_url=f"sqlite:///{tmp_path / 'jifen.db'}", home=tmp_path / "home"))
    await world.init()
    await world.open()
    world.ledger.store._writer.execute("PRAGMA secure_delete = OFF")  # type: ignore[union-attr]
    subjects: list[str] = []
    plan = await imports.plan_places(world, parse_places(read_sheet(PLACES.encode())))
    await imports.commit_places(world, plan, "system")
    for _ in range(5):
        people = [NewPerson(*somebody(), None, HERE, GRID) for _ in range(200)]
        done = await world.people.register_all(people, actor="stf_1", base=0)
        subjects += [subject for subject, _ in done.value]
    secret: set[bytes] = set()
    erased = random.sample(subjects, 15)
    for subject in erased:
        secret |= {*(await digests(world.settings.database_url, subject)).values(), wrapped_key(world.home, subject)}
    await world.close()
    raw = [tmp_path / "jifen.db", tmp_path / "jifen.db-wal", *files(world.home)]
    world = await reopened(world)
    steps: list[str] = []
    for name in ("_write_indexes_anew", "_write_tables_anew"):
        step = getattr(traces, name)

        def counted(db: sqlite3.Connection, step: Any = step, name: str = name) -> None:
            steps.append(name)
            step(db)

        monkeypatch.setattr(traces, name, counted)
    for subject in erased:
        assert await erasure.erase(world, subject, actor="stf_1", reason="wish")
    living = await rows(world.settings.database_url, "SELECT tail_index FROM person")  # some are shared
    assert set() == found_in(raw, secret - {bytes(tail) for (tail,) in living})
    assert steps and len(steps) < 2 * len(erased)
    await world.close()


async def test_retention(world: World) -> None:
    """Refusals after 30 days, codes that are used or over, the log after three years; nothing before its time."""
    subject = await join(world)
    await world.people.cards.issue_code(subject)
    now = world.clock()
    kept = Retry("stf_1", "accepted", bytes(32))
    await world.ledger.submit(
        PutRows(
            puts=(
                (REQUEST, ("stf_1", "refused", bytes([1]) * 32, 0, "", '{"code":"minor","facts":{}}', now)),
                (REQUEST, ("stf_1", "erased", FORGOTTEN, 0, "", '{"code":"subject_erased","facts":{}}', now)),
            ),
            retry=kept,
        )
    )
    caller: Any = type("Caller", (), {"subject": None, "id": "stf_1", "actor": type("A", (), {"roles": ()})})
    await world.saw(caller, subject, "record")

    async def left() -> tuple[int, ...]:
        counts = []
        for table in ("request", "activation", "access_log"):
            counts.append((await world.ledger.fetch(f"SELECT count(*) FROM {table}"))[0][0])
        return tuple(counts)

    assert 0 == await jobs.retention(world) and (3, 1, 1) == await left()
    world.ledger.clock = lambda: now + 29 * DAY_US
    assert 0 == await jobs.retention(world)
    world.ledger.clock = lambda: now + 31 * DAY_US
    assert 2 == await jobs.retention(world) and (2, 0, 1) == await left()
    world.ledger.clock = lambda: now + 1097 * DAY_US
    assert 1 == await jobs.retention(world) and (2, 0, 0) == await left()


async def test_the_copy_of_the_keys(tmp_path: Path) -> None:
    """It opens like the file itself, is nobody else's to read, and what it held before is overwritten."""
    store = Keystore(tmp_path / "keys.db", bytes(32))
    made = store.create(["sub_a", "sub_b"])
    store.roll()
    wrapped = wrapped_key(tmp_path, "sub_a")
    with (tmp_path / "keys.copy.db").open("rb") as old:  # whoever holds on to the old copy finds zeros
        assert wrapped in old.read()
        store.scrub([store.destroy("sub_a", 1)])
        old.seek(0)
        assert set(old.read()) == {0}
    assert set() == found_in(files(tmp_path), [wrapped])
    assert 0o600 == (tmp_path / "keys.copy.db").stat().st_mode & 0o777
    store.close()
    copy = Keystore(tmp_path / "keys.copy.db", bytes(32))
    assert made["sub_b"] == copy.key("sub_b") and copy.destroyed("sub_a")
    copy.close()


async def test_an_older_key_store_opens_nothing(world: World) -> None:
    """Put back from before the erasure: its key is destroyed again before anything is served."""
    subject = await join(world)
    kept = world.home / "kept.db"
    world.people.keystore.roll()
    world.people.keystore.copy.rename(kept)
    secret = wrapped_key(world.home, subject)
    assert await erasure.erase(world, subject, actor="stf_1", reason="wish")
    await world.close()
    kept.replace(world.home / "keys.db")
    again = await reopened(world)
    await again.close()
    assert set() == found_in(files(world.home), [secret])

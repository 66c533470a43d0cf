# SPDX-License-Identifier: Apache-2.0
"""The databases hold the line by themselves: entries are written once, a fork cannot be stored, balances keep their
bounds, and the schema only goes forward. Every attempt here goes around our own code."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from ledger import model
from ledger.engine import MIGRATIONS, Ledger
from ledger.migrate import SchemaError
from ledger.store import Conflict, PostgresStore, SqliteStore, make_store
from ledger.view import Changes
from tests import ledgers
from tests.ledgers import opened

Refused = (sqlite3.IntegrityError, asyncpg.IntegrityConstraintViolationError)


async def raw(url: str, *statements: str, params: tuple[Any, ...] = ()) -> None:
    """Statements on a connection of one's own, in one transaction; `?` for parameters."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        try:
            connection.execute("BEGIN")
            for statement in statements:
                connection.execute(statement, params)
            connection.execute("COMMIT")
        finally:
            connection.close()
        return
    session = await asyncpg.connect(url)
    try:
        async with session.transaction():
            for statement in statements:
                for number in range(1, len(params) + 1):
                    statement = statement.replace("?", f"${number}", 1)
                await session.execute(statement, *params)
    finally:
        await session.close()


async def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    """The database and its log, whatever the umask."""
    async with opened(f"sqlite:///{tmp_path / 'jifen.db'}") as ledger:
        await ledgers.open_journal(ledger, "east")
        assert {0o600} == {path.stat().st_mode & 0o777 for path in tmp_path.glob("jifen.db*")}


@pytest.mark.parametrize(("said", "kept"), [("off", "on"), ("remote_apply", "remote_apply")])
async def test_a_commit_is_on_disk_whatever_the_server_thinks(postgres_url: str, said: str, kept: str) -> None:
    """A database that answers COMMIT before its log is written is overruled; one that waits for more is not."""
    name = postgres_url.rpartition("/")[2]
    await raw(postgres_url, f'ALTER DATABASE "{name}" SET synchronous_commit = {said}')
    store = PostgresStore(postgres_url)
    await store.open()
    try:
        assert kept == await store._writer.fetchval("SHOW synchronous_commit")
    finally:
        await store.close()


async def three_entries(ledger: Ledger) -> None:
    await ledgers.open_journal(ledger, "east")
    await ledgers.open_account(ledger, "east", "sub_1")
    await ledgers.award(ledger, "east", "sub_1", "a", points=100)


INSERT = (
    "INSERT INTO entry (journal, seq, leaf, prev, kind, subject, recorded_at, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


def forged(seq: int, prev: bytes, body: bytes = b"{}") -> tuple[Any, ...]:
    return ("east", seq, hashlib.sha256(b"\0" + body).digest(), prev, "policy", None, 1, body)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entry SET body = body",
        "UPDATE entry SET subject = NULL WHERE seq = 2",
        "UPDATE entry SET seq = 7 WHERE seq = 2",
        "DELETE FROM entry WHERE seq = 2",
        "DELETE FROM entry",
        "DELETE FROM head",
        "UPDATE head SET size = size - 1",
        "UPDATE head SET recorded_at = recorded_at - 1",
        "INSERT INTO head SELECT journal, size - 1, leaf, recorded_at, zone, takeover FROM head WHERE true "
        "ON CONFLICT (journal) DO UPDATE SET size = excluded.size",
        "INSERT INTO entry SELECT * FROM entry WHERE seq = 2 "
        "ON CONFLICT (journal, seq) DO UPDATE SET body = excluded.body",
    ],
)
@pytest.mark.schema("ledger")
async def test_what_is_written_stays(database_url: str, statement: str) -> None:
    """No UPDATE, DELETE, TRUNCATE or REPLACE of entries, and no head goes back."""
    await stays(database_url, statement)


@pytest.mark.parametrize("table", ["entry", "head"])
@pytest.mark.schema("ledger")
async def test_postgresql_truncates_nothing(postgres_url: str, table: str) -> None:
    """TRUNCATE asks no row, so a trigger of its own says no."""
    await stays(postgres_url, f"TRUNCATE {table}")


@pytest.mark.parametrize(
    "statement",
    [
        "REPLACE INTO entry SELECT * FROM entry WHERE seq = 2",
        "REPLACE INTO entry SELECT journal, seq, prev, leaf, kind, subject, recorded_at, body FROM entry WHERE seq = 0",
        "REPLACE INTO head SELECT journal, size - 1, leaf, recorded_at, zone, takeover FROM head",
        "UPDATE OR REPLACE entry SET seq = 1 WHERE seq = 2",
    ],
)
async def test_sqlite_replaces_nothing(tmp_path: Path, statement: str) -> None:
    """REPLACE deletes without asking the triggers for DELETE, so the ones for INSERT say no."""
    await stays(f"sqlite:///{tmp_path / 'jifen.db'}", statement)


async def stays(database_url: str, statement: str) -> None:
    async with opened(database_url) as ledger:
        await three_entries(ledger)
        before = await ledger.fetch("SELECT * FROM entry, head ORDER BY seq")
        with pytest.raises(Refused):
            await raw(database_url, statement)
        assert before == await ledger.fetch("SELECT * FROM entry, head ORDER BY seq")


@pytest.mark.schema("ledger")
async def test_a_fork_cannot_be_stored(database_url: str) -> None:
    """Another entry in a taken place, one that does not follow, a gap, a place before the first: all refused."""
    async with opened(database_url) as ledger:
        await three_entries(ledger)
        leaves = [bytes(row[0]) for row in await ledger.fetch("SELECT leaf FROM entry ORDER BY seq")]
        for entry in (
            forged(2, leaves[1]),
            forged(0, leaves[0]),
            forged(3, leaves[1]),
            forged(3, bytes(32)),
            forged(4, leaves[2]),
            forged(4, bytes(32)),
            forged(-1, bytes(32)),
            (*forged(3, leaves[2])[:2], b"short", *forged(3, leaves[2])[3:]),
        ):
            for insert in (INSERT, INSERT.replace("INSERT", "INSERT OR REPLACE", 1)):
                if "OR REPLACE" in insert and not database_url.startswith("sqlite"):
                    continue
                with pytest.raises(Refused):
                    await raw(database_url, insert, params=entry)
        assert [(3,)] == await ledger.fetch("SELECT COUNT(*) FROM entry")


@pytest.mark.schema("ledger")
async def test_postgresql_hashes_what_it_stores(postgres_url: str) -> None:
    """There a leaf that is not the hash of its bytes is refused by the database itself."""
    async with opened(postgres_url) as ledger:
        await three_entries(ledger)
        leaf = bytes((await ledger.fetch("SELECT leaf FROM entry WHERE seq = 2"))[0][0])
        entry = list(forged(3, leaf))
        entry[2] = bytes(32)
        with pytest.raises(Refused, match="entry_hashed"):
            await raw(postgres_url, INSERT, params=tuple(entry))


@pytest.mark.parametrize(
    "account",
    ["subject:s", "held:h", "merchant:m", "redeemed", "fund:f", "minus:s", "debt:s", "issuer", "expired", "adjustment"],
)
@pytest.mark.schema("ledger")
async def test_balances_keep_their_bounds(database_url: str, account: str) -> None:
    """The CHECK of the database and the decision draw the same line; a zero is no row."""
    low, high = model.bounds(account)
    async with opened(database_url, whole=False) as ledger:
        await three_entries(ledger)
        for amount in (-5, 0, 5):
            row = ("east", account, "points", "2022-12-31", amount)
            insert = "INSERT INTO balance (journal, account, unit, lot, amount) VALUES (?, ?, ?, ?, ?)"
            if amount and low <= amount <= high:
                await raw(database_url, insert, params=row)
                await raw(database_url, "DELETE FROM balance WHERE account = ?", params=(account,))
            else:
                with pytest.raises(Refused):
                    await raw(database_url, insert, params=row)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO balance (journal, account, unit, lot, amount) VALUES ('e', 'issuer', 'gold', '9999-12-31', 1)",
        "INSERT INTO balance (journal, account, unit, lot, amount) VALUES ('e', 'issuer', 'points', '2022-1-1', 1)",
        "INSERT INTO member (journal, subject, kind, state, home, opened_seq) VALUES ('e', 's', 'cat', 'open', 'e', 1)",
        "UPDATE hold SET captured = 60, released = 60",
        "UPDATE hold SET refunded = 1",
        "UPDATE hold SET captured = -1",
        "UPDATE hold SET state = 'lost'",
        "UPDATE head SET takeover = 2",
    ],
)
@pytest.mark.schema("ledger")
async def test_rows_that_mean_nothing_are_refused(database_url: str, statement: str) -> None:
    """Units, days, kinds, states and the sums of a hold are checked where they are stored."""
    async with opened(database_url) as ledger:
        await three_entries(ledger)
        await ledgers.hold(ledger, "east", "sub_1", "h", 100)
        with pytest.raises(Refused):
            await raw(database_url, statement)


@pytest.mark.schema("ledger")
async def test_a_head_that_has_moved_is_a_conflict(database_url: str) -> None:
    """Compare and swap: who read an older head writes nothing."""
    async with opened(database_url) as ledger:
        await three_entries(ledger)
        store = ledger.store
        head = (await store.begin(["east"]))["east"]
        assert head.size == 3
        with pytest.raises(Conflict):
            await store.write(Changes([(head, 2)], [], {}, {}))
        await store.rollback()


@pytest.mark.schema("ledger")
async def test_amounts_as_large_as_an_entry_can_say(database_url: str) -> None:
    """Nothing between the decision and the disk is narrower than 2^53 - 1."""
    huge = 2**53 - 1
    async with opened(database_url) as ledger:
        await three_entries(ledger)
        await ledgers.award(ledger, "east", "sub_1", "b", points=huge - 100)
        assert {"9999-12-31": huge} == await ledgers.lots(ledger, "east", "subject:sub_1")


# schema --------------------------------------------------------------------------------------------------------


async def test_migrations_run_once(database_url: str) -> None:
    """The second start finds nothing to do."""
    store = make_store(database_url)
    await store.open()
    try:
        first = await store.migrate({"ledger": MIGRATIONS})
        assert ["ledger/0001_ledger", "ledger/0002_append_only"] == first[:2]
        assert [] == await store.migrate({"ledger": MIGRATIONS})
    finally:
        await store.close()


async def test_holds_from_before_know_their_merchants(database_url: str) -> None:
    """A database from before holds had a merchant: entries tell whose the captured points are, and refunds go on."""
    async with opened(database_url) as ledger:
        await three_entries(ledger)
        await ledgers.award(ledger, "east", "sub_1", "b", points=500)
        for number, shop in enumerate(("mer_1", "mer_2", "")):
            await ledgers.hold(ledger, "east", "sub_1", f"h_{number}", 100)
            if shop:
                await ledgers.capture(ledger, "east", f"h_{number}", 30, shop)
                await ledgers.capture(ledger, "east", f"h_{number}", 20, shop)
        expected = {"h_0": "mer_1", "h_1": "mer_2", "h_2": ""}
        assert expected == dict(await ledger.fetch("SELECT hold, merchant FROM hold"))
    await owner(database_url, "ALTER TABLE hold DROP COLUMN merchant")
    await owner(database_url, "DELETE FROM migration WHERE step = '0004_hold_merchant'")
    async with opened(database_url) as ledger:
        assert expected == dict(await ledger.fetch("SELECT hold, merchant FROM hold"))
        await ledgers.refund(ledger, "east", "h_1", 50, merchant="mer_2")


async def owner(url: str, sql: str) -> None:
    """One statement with the rights of the database's owner."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        connection.execute(sql)
        connection.commit()
        connection.close()
        return
    session = await asyncpg.connect(url)
    await session.execute(sql)
    await session.close()


async def test_a_step_that_has_run_is_never_edited(database_url: str, tmp_path: Path) -> None:
    """One changed letter in a step that has run stops the start, and names the step."""
    folder = shutil.copytree(MIGRATIONS, tmp_path / "steps")
    store = make_store(database_url)
    await store.open()
    try:
        await store.migrate({"ledger": folder})
        step = folder / "0001_ledger.sql"
        step.write_text(step.read_text("utf-8") + "\n-- a remark", "utf-8")
        with pytest.raises(SchemaError, match="ledger/0001_ledger has changed"):
            await store.migrate({"ledger": folder})
    finally:
        await store.close()


async def test_a_newer_database_is_left_alone(database_url: str, tmp_path: Path) -> None:
    """A step that this software does not know: refused, and nothing of ours is run on it."""
    folder = shutil.copytree(MIGRATIONS, tmp_path / "steps")
    (folder / "0900_future.sql").write_text("CREATE TABLE future (a {int});\n", "utf-8")
    store = make_store(database_url)
    await store.open()
    try:
        await store.migrate({"ledger": folder})
        room = tmp_path / "room"
        room.mkdir()
        (room / "0001_room.sql").write_text("CREATE TABLE room (a {int});\n", "utf-8")
        with pytest.raises(SchemaError, match=r"newer .* ledger/0900_future"):
            await store.migrate({"ledger": MIGRATIONS, "room": room})
        assert [] == [x for x in await store.fetch("SELECT room FROM migration") if x[0] == "room"]
    finally:
        await store.close()


async def test_a_step_that_fails_leaves_nothing(database_url: str, tmp_path: Path) -> None:
    """Steps run in one transaction: a mistake in the last one undoes the first."""
    (tmp_path / "0001_good.sql").write_text("CREATE TABLE good (a {int});\n\nCREATE INDEX i ON good (a);\n", "utf-8")
    (tmp_path / "0002_bad.sql").write_text("CREATE TABLE bad (a {int});\n\nSELECT nothing FROM nowhere;\n", "utf-8")
    store = make_store(database_url)
    await store.open()
    try:
        with pytest.raises((sqlite3.OperationalError, asyncpg.UndefinedTableError)):
            await store.migrate({"room": tmp_path})
        (tmp_path / "0002_bad.sql").unlink()
        assert ["room/0001_good"] == await store.migrate({"room": tmp_path})
    finally:
        await store.close()


def test_only_two_databases_are_known() -> None:
    """Any other address is refused, and its password is not repeated."""
    assert isinstance(make_store("sqlite:///a.db"), SqliteStore)
    assert isinstance(make_store("postgres://localhost/x"), PostgresStore)
    with pytest.raises(ValueError, match="not a database URL") as no:
        make_store("mysql://u:secret@localhost/x")
    assert "secret" not in str(no.value)

# SPDX-License-Identifier: Apache-2.0
"""Replay finds every kind of tampering that a file of its own can show, and names the first bad entry."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from ledger import codec
from ledger.audit import Finding, audit
from ledger.engine import Ledger
from ledger.model import CapUse, Link
from tests import ledgers
from tests.ledgers import FixedClock, opened

pytestmark = pytest.mark.schema("ledger")

DAY = "2022-03-01"


async def history(ledger: Ledger, clock: FixedClock) -> None:
    """Two journals with something of everything."""
    for journal in ("east", "west"):
        await ledgers.open_journal(ledger, journal)
    await ledgers.open_account(ledger, "east", "sub_1")
    await ledgers.open_account(ledger, "east", "sub_2", "body")
    use = CapUse("day", DAY, DAY, 300, 0, 200)
    draft = ledgers.award_draft(ledger, "east", "sub_1", "a", (use,))
    first = await ledgers.run(
        ledger,
        lambda view: ledgers.awards.award(view, draft, standing=100, points=200, points_lot="2022-06-30"),
        "east",
    )
    await ledgers.award(ledger, "east", "sub_2", "b", standing=-50, standing_lot="2022-03-31")
    await ledgers.hold(ledger, "east", "sub_1", "h", 150)
    await ledgers.capture(ledger, "east", "h", 100)
    await ledgers.refund(ledger, "east", "h", 40)
    await ledgers.release(ledger, "east", "h")
    await ledgers.reverse(ledger, first)
    link = Link("replaces", "east", first.seq, first.leaf.hex())
    await ledgers.award(ledger, "east", "sub_1", "a", points=50, replaces=link)
    await ledgers.move(ledger, "east", "west", "sub_1")
    clock.advance(days=40)
    await ledgers.sweep(ledger, "east", "sub_2")
    await ledgers.award(ledger, "west", "sub_1", "c", points=30)


TRIGGERS = ["entry_chained", "entry_once", "entry_kept", "entry_not_deleted", "head_forward", "head_once", "head_kept"]


async def tamper(url: str, *statements: tuple[str, tuple[Any, ...]]) -> None:
    """What somebody with the rights of the database's owner can do, guards out of the way."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        connection.execute("PRAGMA ignore_check_constraints = ON")
        for name in TRIGGERS:
            connection.execute(f"DROP TRIGGER IF EXISTS {name}")
        for sql, params in statements:
            assert connection.execute(sql, params).rowcount, sql
        connection.commit()
        connection.close()
        return
    session = await asyncpg.connect(url)
    for table in ("entry", "head"):
        await session.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    checks = "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'c' AND conrelid > 16384"
    for table, name in await session.fetch(checks):
        await session.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    for sql, params in statements:
        for number in range(1, len(params) + 1):
            sql = sql.replace("?", f"${number}", 1)
        assert not (await session.execute(sql, *params)).endswith(" 0"), sql
    await session.close()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """For faults that look the same on both databases."""
    return f"sqlite:///{tmp_path / 'jifen.db'}"


async def findings(ledger: Ledger) -> list[Finding]:
    report = await audit(ledger)
    assert report.ok == (not report.findings)
    return report.findings


async def test_a_whole_ledger_passes_and_says_what_was_not_checked(database_url: str) -> None:
    """Nothing is found, each journal has its line, and the missing anchor is named."""
    clock, seen = FixedClock(), list[int]()
    async with opened(database_url, clock) as ledger:
        await history(ledger, clock)
        report = await audit(ledger, progress=seen.append)
        assert report.ok
        assert any(line.startswith("east: ") for line in report.lines)
        assert "NOT ANCHORED" in report.lines[-1]
        assert (await audit(ledger, "west")).ok


# statements, and where the first fault must be named (-1: not at an entry)
DERIVED: dict[str, tuple[str, str]] = {
    "a balance": (
        "UPDATE balance SET amount = amount + 1 WHERE account = 'subject:sub_1' AND unit = 'points'",
        "balance",
    ),
    "two balances that still sum to zero": (
        "UPDATE balance SET amount = amount + CASE account WHEN 'issuer' THEN -5 ELSE 5 END "
        "WHERE journal = 'east' AND unit = 'standing' AND account IN ('issuer', 'subject:sub_2')", "balance"
    ),
    "a balance that vanished": ("DELETE FROM balance WHERE account = 'merchant:mer_1'", "balance"),
    "an invented balance": (
        "INSERT INTO balance (journal, account, unit, lot, amount) "
        "VALUES ('east', 'fund:f', 'points', '9999-12-31', 9)",
        "balance",
    ),
    "a tally": ("UPDATE tally SET used = used + 1 WHERE journal = 'east'", "tally"),
    "a tally that was carried along": ("UPDATE tally SET used = used + 1 WHERE journal = 'west'", "tally"),
    "a carried tally that vanished": ("DELETE FROM tally WHERE journal = 'west'", "tally"),
    "a tally that vanished": ("DELETE FROM tally WHERE journal = 'east'", "tally"),
    "a member's state": ("UPDATE member SET state = 'open' WHERE journal = 'east' AND subject = 'sub_1'", "member"),
    "a member's kind": ("UPDATE member SET kind = 'body' WHERE journal = 'west'", "member"),
    "where an account was opened": ("UPDATE member SET opened_seq = 0 WHERE subject = 'sub_2'", "member"),
    "captured points of a hold": ("UPDATE hold SET captured = captured - 10", "hold"),
    "lots of a hold": ("UPDATE hold SET lots = replace(lots, '60', '61')", "hold"),
    "the state of a hold": ("UPDATE hold SET state = 'expired'", "hold"),
    "the end of a hold": ("UPDATE hold SET expires_at = expires_at + 1", "hold"),
    "the subject of a hold": ("UPDATE hold SET subject = 'sub_2'", "hold"),
    "the entry of a hold": ("UPDATE hold SET seq = seq + 1", "hold"),
    "the merchant of a hold": ("UPDATE hold SET merchant = 'mer_2' WHERE captured > 0", "hold"),
    "a hold that vanished": ("DELETE FROM hold", "hold"),
    "a deed forgotten": ("DELETE FROM cause", "deeds"),
    "a deed open again": ("UPDATE cause SET replaced = 0", "deeds"),
    "a reversal forgotten": ("DELETE FROM reversed", "reversals"),
    "a shortfall": ("UPDATE reversed SET shortfall = 0 WHERE shortfall > 0", "reversals"),
    "the window": ("UPDATE head SET takeover = 0 WHERE journal = 'east'", "head"),
    "the head's instant": ("UPDATE head SET recorded_at = recorded_at + 1 WHERE journal = 'west'", "head"),
    "a journal's head": ("DELETE FROM head WHERE journal = 'east'", "without a head"),
}  # fmt: skip


@pytest.mark.parametrize("what", DERIVED)
async def test_forged_rows_are_found(sqlite_url: str, what: str) -> None:
    """Balances, tallies, members, holds, deeds, reversals and heads are what the entries say, or it is told."""
    clock = FixedClock()
    async with opened(sqlite_url, clock, whole=False) as ledger:
        await history(ledger, clock)
        sql, word = DERIVED[what]
        await tamper(sqlite_url, (sql, ()))
        found = await findings(ledger)
        assert found, what
        assert any(word in finding.what for finding in found), found


async def rechained(ledger: Ledger, seq: int, change: Any) -> list[tuple[str, tuple[Any, ...]]]:
    """Statements that change one entry of east and hash everything after it again, links and head included."""
    rows = await ledger.fetch("SELECT seq, prev, body FROM entry WHERE journal = 'east' ORDER BY seq")
    prev, statements, renamed = b"", [], dict[str, str]()
    for number, stored, body in rows:
        entry = codec.decode(bytes(body))
        if number == seq:
            change(entry)
        if number > seq:
            entry["prev"] = prev.hex()
            for link in entry["links"]:
                link["leaf"] = renamed.get(link["leaf"], link["leaf"])
        again = codec.canonical(entry)
        prev = codec.leaf_hash(again)
        renamed[codec.leaf_hash(bytes(body)).hex()] = prev.hex()
        if number >= seq:
            before = bytes(stored) if number == seq else bytes.fromhex(entry["prev"])
            statements.append(
                ("UPDATE entry SET body = ?, leaf = ?, prev = ? WHERE journal = 'east' AND seq = ?",
                 (again, prev, before, number))
            )  # fmt: skip
    return [*statements, ("UPDATE head SET leaf = ? WHERE journal = 'east'", (prev,))]


async def test_one_changed_byte_is_found_where_it_is(database_url: str) -> None:
    """Any byte of any entry: the entry is named."""
    clock = FixedClock()
    async with opened(database_url, clock, whole=False) as ledger:
        await history(ledger, clock)
        rows = await ledger.fetch("SELECT seq, body FROM entry WHERE journal = 'east' ORDER BY seq")
        body = bytearray(rows[4][1])
        body[len(body) // 2] ^= 1
        await tamper(database_url, ("UPDATE entry SET body = ? WHERE journal = 'east' AND seq = ?", (bytes(body), 4)))
        assert ("east", 4) == (await findings(ledger))[0][:2]


@pytest.mark.parametrize(
    ("sql", "seq"),
    [
        ("UPDATE entry SET kind = 'adjust' WHERE journal = 'east' AND seq = 3", 3),
        ("UPDATE entry SET subject = 'sub_2' WHERE journal = 'east' AND seq = 3", 3),
        ("UPDATE entry SET subject = NULL WHERE journal = 'east' AND seq = 5", 5),
        ("UPDATE entry SET recorded_at = recorded_at - 1 WHERE journal = 'east' AND seq = 6", 6),
        ("UPDATE entry SET leaf = prev WHERE journal = 'east' AND seq = 2", 2),
        ("UPDATE entry SET prev = leaf WHERE journal = 'east' AND seq = 2", 2),
        ("UPDATE entry SET journal = 'west', seq = seq + 100 WHERE journal = 'east' AND seq = 7", 7),
        ("DELETE FROM entry WHERE journal = 'east' AND seq = 0", 0),
        ("DELETE FROM entry WHERE journal = 'east' AND seq = 4", 4),
        ("DELETE FROM entry WHERE journal = 'east'", 0),
    ],
)
async def test_edited_columns_and_cuts_are_found_where_they_are(sqlite_url: str, sql: str, seq: int) -> None:
    """Columns beside an entry, a cut at the beginning, a hole, everything gone: the first bad entry is named."""
    clock = FixedClock()
    async with opened(sqlite_url, clock, whole=False) as ledger:
        await history(ledger, clock)
        await tamper(sqlite_url, (sql, ()))
        assert ("east", seq) == (await findings(ledger))[0][:2]


async def test_a_cut_at_the_end_is_found(database_url: str) -> None:
    """The last entry gone: the head counts one more; with a forged head the balances tell."""
    clock = FixedClock()
    async with opened(database_url, clock, whole=False) as ledger:
        await history(ledger, clock)
        rows = await ledger.fetch("SELECT seq, leaf, recorded_at FROM entry WHERE journal = 'east' ORDER BY seq")
        last, before = rows[-1][0], rows[-2]
        await tamper(database_url, ("DELETE FROM entry WHERE journal = 'east' AND seq = ?", (last,)))
        found = await findings(ledger)
        assert ("east", last) == found[0][:2]
        head = "UPDATE head SET size = ?, leaf = ?, recorded_at = ? WHERE journal = 'east'"
        await tamper(database_url, (head, (last, bytes(before[1]), before[2])))
        found = await findings(ledger)
        assert found and "balance" in found[0].what


async def test_two_entries_changed_places(database_url: str) -> None:
    """A swap is found at the first of the two."""
    clock = FixedClock()
    async with opened(database_url, clock, whole=False) as ledger:
        await history(ledger, clock)
        move = "UPDATE entry SET seq = ? WHERE journal = 'east' AND seq = ?"
        await tamper(database_url, (move, (900, 3)), (move, (3, 4)), (move, (4, 900)))
        assert ("east", 3) == (await findings(ledger))[0][:2]


REWRITTEN: dict[str, tuple[int, Any, int, str]] = {
    "an amount on both sides": (
        4, lambda e: [line.update(amount=line["amount"] * 2) for line in e["postings"]], 13, "postings of this expire"
    ),
    "an amount on one side": (4, lambda e: e["postings"][0].update(amount=-51), 4, "sum to zero"),
    "more captured than held": (
        6, lambda e: [line.update(amount=line["amount"] * 9) for line in e["postings"]], 6, "would be"
    ),
    "a cap's count": (3, lambda e: e["caps"][0].update(used_before=5), 3, "counted"),
    "a cap's limit": (3, lambda e: e["caps"][0].update(limit=100), 3, "limit"),
    "a field missing": (3, lambda e: e.pop("cause"), 3, "missing"),
    "another version": (2, lambda e: e.update(v=2), 2, "version"),
    "another journal inside": (2, lambda e: e.update(journal="west"), 2, "journal"),
    "time that stands still": (2, lambda e: e.update(recorded_at="2022-03-01T09:00:00.000000Z"), 2, "recorded_at"),
    "another origin": (0, lambda e: e["data"].update(origin="elsewhere"), 0, "origin"),
    "an account opened twice": (2, lambda e: e.update(subject="sub_1"), 2, "subject"),
    "a hold of nobody's": (
        6, lambda e: e["postings"][0].update(account="held:other"), 6, "never opened"
    ),
    "another deed": (11, lambda e: e.update(cause="ffff" + "00" * 30), 11, "another deed"),
}  # fmt: skip


@pytest.mark.parametrize("what", REWRITTEN)
async def test_a_rewritten_past_is_found(sqlite_url: str, what: str) -> None:
    """Somebody changes an entry and hashes everything after it again: what follows from it does not agree."""
    seq, change, named, word = REWRITTEN[what]
    clock = FixedClock()
    async with opened(sqlite_url, clock, whole=False) as ledger:
        await history(ledger, clock)
        await tamper(sqlite_url, *await rechained(ledger, seq, change))
        found = await findings(ledger)
        assert found
        assert named == found[0].seq, found
        assert word in found[0].what, found


async def test_a_deed_awarded_twice_is_found(database_url: str) -> None:
    """Two awards of one deed, in one journal or in two, whatever the table of deeds says."""
    async with opened(database_url, whole=False) as ledger:
        await ledgers.open_journal(ledger, "east")
        await ledgers.open_account(ledger, "east", "sub_1")
        one = await ledgers.award(ledger, "east", "sub_1", "a", points=10)
        two = await ledgers.award(ledger, "east", "sub_1", "b", points=10)
        cause = (await ledger.entry("east", one.seq)).fields["cause"]
        await tamper(database_url, *await rechained(ledger, two.seq, lambda entry: entry.update(cause=cause)))
        assert ("east", two.seq) == (await findings(ledger))[0][:2]


async def test_forged_rows_are_found_on_both_databases(database_url: str) -> None:
    """The same replay reads both; one fault of each table here, all of them above."""
    clock = FixedClock()
    async with opened(database_url, clock, whole=False) as ledger:
        await history(ledger, clock)
        await tamper(database_url, ("UPDATE balance SET amount = amount + 1 WHERE account = 'merchant:mer_1'", ()))
        assert "balance" in (await findings(ledger))[0].what
        await tamper(database_url, ("UPDATE balance SET amount = amount - 1 WHERE account = 'merchant:mer_1'", ()))
        assert [] == await findings(ledger)
        await tamper(database_url, ("UPDATE hold SET state = 'expired'", ()), ("UPDATE tally SET used = 7", ()))
        assert ["tally", "hold"] == [finding.what.split()[0] for finding in await findings(ledger)]

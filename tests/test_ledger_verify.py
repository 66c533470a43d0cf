# SPDX-License-Identifier: Apache-2.0
"""Verification beyond the entries: trees, checkpoints, epochs, seals, pins, several processes; and the short way
through an award is the long way's answer."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from ledger import audit as door
from ledger import codec, merkle, note
from ledger.audit import Finding, Report, audit
from ledger.engine import Ledger
from ledger.keys import Signer
from ledger.seals import make_seals
from ledger.verify import derived, kinds, replay
from ledger.verify.anchor import BadPin
from ledger.verify.book import Book
from ledger.verify.fast import Fast
from ledger.verify.reading import Fault, read
from tests import ledgers
from tests.ledgers import FixedClock, opened
from tests.test_ledger_audit import history, tamper
from tests.test_publish import SIGNER, Town, town
from tests.tree import ROOT

pytestmark = pytest.mark.schema("ledger")

VECTORS: dict[str, Any] = json.loads((ROOT / "tests/vectors/entry.json").read_text("utf-8"))


async def published(made: Town) -> bytes:
    """300 deeds, two checkpoints with an epoch each, one seal; the first checkpoint of east is what others hold."""
    await made.post("east", 120)
    await made.publisher.publish(epoch=True)
    held = await made.published.note("east")
    await made.post("east", 180, "more")
    await make_seals(made.ledger, "east")
    await made.publisher.publish(epoch=True)
    return held


async def test_what_was_published_holds_and_anchors(database_url: str, tmp_path: Path) -> None:
    """Tiles, checkpoints, epochs and seals agree; a checkpoint from elsewhere anchors; the rest is said to be open."""
    async with town(database_url, tmp_path, "east", "west") as made:
        held = await published(made)
        for quick in (False, True):
            report = await audit(made.ledger, pins=[held], quick=quick)
            assert report.ok, report.findings
            assert "east: anchored up to 122" in report.lines
        epoch = await made.published.note("")
        assert "epochs: anchored up to 2" in (await audit(made.ledger, pins=[epoch])).lines
        await made.post("west", 3)
        report = await audit(made.ledger)
        assert any("3 entries sequenced, not yet published" in line for line in report.lines)
        assert "NOT ANCHORED" in report.lines[-1]


# statements on a published ledger, and a word of what must be said
FORGED: dict[str, tuple[str, str]] = {
    "a tree node": ("UPDATE tree SET hash = leaf FROM (SELECT leaf FROM entry LIMIT 1) AS one", "tree node"),
    "a tree node too many": (
        "INSERT INTO tree SELECT 'east', 16, 0, leaf FROM entry WHERE journal = 'east' AND seq = 1", "tree"
    ),
    "a tree node gone": ("DELETE FROM tree", "tree"),
    "a checkpoint's size": ("UPDATE checkpoint SET size = size - 1 WHERE journal = 'east'", "checkpoint"),
    "a checkpoint's note": (
        "UPDATE checkpoint SET note = (SELECT note FROM checkpoint WHERE journal = 'west') WHERE journal = 'east'",
        "checkpoint",
    ),
    "a rotation that was none": ("UPDATE checkpoint SET rotation = 1 WHERE journal = 'east'", "rotation"),
    "an epoch gone": ("DELETE FROM epoch WHERE epoch = 0", "epoch 0"),
    "an epoch's count": ("UPDATE epoch SET count = 3 WHERE epoch = 1", "epoch 1"),
    "an epoch's members": ("UPDATE epoch SET members = replace(members, '122', '121') WHERE epoch = 0", "epoch 0"),
    "the last epoch": ("DELETE FROM epoch WHERE epoch = 1", "epochs"),
    "the epochs' checkpoint": ("UPDATE checkpoint SET size = 1 WHERE journal = ''", "epochs"),
    "a seal": ("UPDATE seal SET accounts = accounts + 1", "seal"),
    "a seal gone": ("DELETE FROM seal", "seal"),
    "a sealed state": (
        "UPDATE account_state SET version = version + 1 WHERE account = 'subject:sub_east'", "account_state"
    ),
    "a sealed state gone": ("DELETE FROM account_state WHERE account = 'issuer'", "account_state"),
    "a retry key's answer": ("UPDATE request SET status = 0", "request"),
}  # fmt: skip


@pytest.mark.parametrize("what", FORGED)
async def test_forged_publications_are_found(tmp_path: Path, what: str) -> None:
    """What was signed, sealed or stored beside the entries is what follows from them, or it is told."""
    url = f"sqlite:///{tmp_path / 'jifen.db'}"
    async with town(url, tmp_path, "east", "west", whole=False) as made:
        await published(made)
        retry = made.ledger.retry("counter", "k", b"{}")
        await ledgers.award(made.ledger, "west", "sub_west", "with a key", points=10, retry=retry)
        await made.publisher.publish()
        sql, word = FORGED[what]
        forge(url, sql)
        report = await audit(made.ledger)
        assert any(word in finding.what for finding in report.findings), report.findings


def forge(url: str, sql: str) -> None:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    connection.execute("PRAGMA ignore_check_constraints = ON")
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    assert connection.execute(sql).rowcount, sql
    connection.commit()
    connection.close()


async def test_another_history_does_not_contain_the_pin(tmp_path: Path) -> None:
    """A checkpoint of ours over other entries, of more entries than there are, of a stranger, or none at all."""
    url = f"sqlite:///{tmp_path / 'jifen.db'}"
    async with town(url, tmp_path, "east") as made:
        await made.post("east", 5)
        await made.publisher.publish()

        def pin(size: int, root: bytes, signer: Signer = SIGNER, origin: str = "town.example/east") -> bytes:
            text = note.checkpoint_text(note.Checkpoint(origin, size, root))
            return note.format_note(text, [note.sign(text, signer)])

        root = merkle.root((await made.leaves("east"))[:4])
        assert (await audit(made.ledger, pins=[pin(4, root)])).ok
        for bad in (
            pin(4, bytes(32)), pin(9, root), pin(5, root), pin(4, root, Signer("other", b"o" * 32)),
            pin(4, root, origin="town.example/west"),
        ):  # fmt: skip
            for quick in (False, True):
                assert not (await audit(made.ledger, pins=[bad], quick=quick)).ok
        with pytest.raises(BadPin):
            await audit(made.ledger, pins=[b"not a checkpoint\n"])


async def test_quick_finds_bytes_links_and_trees_and_says_what_it_left_out(tmp_path: Path) -> None:
    """A changed byte is named; a forged balance is not looked at, and that is said."""
    url = f"sqlite:///{tmp_path / 'jifen.db'}"
    clock = FixedClock()
    async with opened(url, clock, whole=False) as ledger:
        await history(ledger, clock)
        await tamper(url, ("UPDATE balance SET amount = amount + 1 WHERE account = 'merchant:mer_1'", ()))
        report = await audit(ledger, quick=True)
        assert report.ok and any("not checked (--quick)" in line for line in report.lines)
        other = "CAST(replace(CAST(body AS TEXT), 'sub_1', 'sub_3') AS BLOB)"
        await tamper(
            url,
            (f"UPDATE entry SET body = {other} WHERE journal = 'east' AND seq = 3", ()),
            ("UPDATE entry SET leaf = prev WHERE journal = 'west' AND seq = 1", ()),
        )
        found = [(one.journal, one.seq) for one in (await audit(ledger, quick=True)).findings]
        assert [("east", 3), ("west", 1)] == found


@pytest.mark.parametrize("group", [65_536, 256])
async def test_several_processes_find_the_same(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: int
) -> None:
    """Journals, row groups and the table of deeds shared out over two processes: the same report, good or bad."""
    monkeypatch.setattr(door, "SMALL", 0)
    monkeypatch.setattr(door, "GROUP", group)
    async with town(database_url, tmp_path, "east", "west", whole=False) as made:
        held = await published(made)
        alone = await audit(made.ledger, pins=[held])
        assert alone.ok and alone == await audit(made.ledger, pins=[held], jobs=2)
        await tamper(database_url, ("UPDATE cause SET seq = seq + 1 WHERE journal = 'east' AND seq = 200", ()))
        assert [("east", 200)] == [one[:2] for one in (await audit(made.ledger, jobs=2)).findings]
        await tamper(database_url, ("UPDATE entry SET prev = leaf WHERE journal = 'east' AND seq = 290", ()))
        assert await first(made.ledger, 1) == await first(made.ledger, 2) == ("east", 290)


async def first(ledger: Ledger, jobs: int) -> tuple[str, int]:
    report: Report = await audit(ledger, jobs=jobs)
    found: Finding = report.findings[0]
    return found.journal, found.seq


async def test_putting_aside_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old counts and holds leave memory as soon as they may: the same answer, also when one of them comes back."""
    monkeypatch.setattr(replay, "LIVE_MAX", 0)
    monkeypatch.setattr(replay, "HOLDS_MAX", 0)
    monkeypatch.setattr(replay, "PAST_DAYS", -1)
    monkeypatch.setattr("ledger.verify.source.CHUNK", 1)
    url = f"sqlite:///{tmp_path / 'jifen.db'}"
    aside = 0

    def counted(*args: Any) -> None:
        nonlocal aside
        put_aside(*args)
        aside += args[1].gone

    put_aside = derived.put_aside_holds
    monkeypatch.setattr(derived, "put_aside_holds", counted)
    clock = FixedClock()
    async with opened(url, clock, whole=False) as ledger:
        await history(ledger, clock)
        for number in range(6):
            await ledgers.hold(ledger, "west", "sub_1", f"h{number}", 2)
            await ledgers.capture(ledger, "west", f"h{number}", 2)
        report = await audit(ledger)
        assert report.ok, report.findings
        assert aside
        await ledgers.refund(ledger, "west", "h0", 1)
        report = await audit(ledger)
        assert report.ok, report.findings
        await tamper(url, ("UPDATE hold SET state = 'expired'", ()), ("UPDATE tally SET used = 7", ()))
        assert {"hold", "tally"} <= {one.what.split()[0] for one in (await audit(ledger)).findings}


# reading -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", VECTORS["not_canonical"], ids=lambda case: case["why"])
def test_what_is_not_canonical_cannot_be_read(case: dict[str, str]) -> None:
    """The strict reader refuses every other spelling."""
    with pytest.raises(Fault):
        read(bytes.fromhex(case["body"]))


AWARD = next(one["body"] for one in VECTORS["entries"] if one["name"] == "award")
WRONG: dict[str, Any] = {
    "v": [0, 2, "1"], "seq": ["0", -1, 2**53], "actor": ["", 5, []], "caps": [{}, [{}], ""], "links": [[{"rel": "x"}]],
    "cause": ["0" * 63, "G" * 64, "A" * 64, 7], "evidence": [["a"], [1], "0" * 64], "group": ["G9", "g1"],
    "nonce": ["0" * 64, "0" * 31, "x" * 32], "occurred_on": ["2022-02-30", "2022-2-28", "20220228", "２022-02-28"],
    "postings": [[{"account": "nobody", "amount": 1, "unit": "points"}], [[]], [{"account": "issuer", "amount": 0,
                 "unit": "points"}], [{"account": "issuer", "amount": 1, "unit": "gold"}],
                 [{"account": "issuer", "amount": "1", "unit": "points"}],
                 [{"account": "issuer", "amount": 1, "lot": "2022-01-01", "unit": "points"}],
                 [{"account": "subject:a", "amount": 1, "lot": "9999-12-31", "unit": "points"}]],
    "subject": ["", 7], "trace": [None], "pack": ["p@1"], "unknown": ["x", 1], "data": [[], 5, {"a": [1.5]}],
}  # fmt: skip


@pytest.mark.parametrize("field", WRONG)
def test_fields_of_another_type_or_unknown_cannot_be_read(field: str) -> None:
    """Closed fields, closed types: whatever is put in place of a field of an award, the entry is refused."""
    for value in WRONG[field]:
        entry = {**codec.decode(bytes.fromhex(AWARD)), field: value}
        body = json.dumps(entry, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
        with pytest.raises(Fault):
            read(body)


def _award(**changes: Any) -> bytes:
    entry = codec.decode(bytes.fromhex(AWARD))
    del entry["data"]
    return codec.canonical({**entry, **changes})


def test_the_short_way_says_yes_only_to_what_the_long_way_accepts() -> None:
    """Every single-byte change of an award that the short way takes, the long way takes too, with the same effect."""
    original = _award()
    taken = 0
    for place in range(len(original)):
        for other in b'09af"\\,A ~':
            body = original[:place] + bytes([other]) + original[place + 1 :]
            for taught in (False, True):
                short = _books(body, fast=True, taught=taught)
                if short is not None:
                    taken += 1
                    assert short == _books(body, fast=False), body
    assert taken > 200


def _books(body: bytes, *, fast: bool, taught: bool = False) -> Any:
    """What the entry leaves in a book of one member, or None where that way does not take it. `taught`: the short way
    knows the award that was changed, and need not read this one piece by piece."""
    book = Book("east", lambda *_: None)
    book.enter("sub_5k2r8w0m3x7q9d1f", "person", 1)
    book.size, book.zone, book.recorded_at = 3, "Asia/Shanghai", 1_646_096_640_000_000
    prev = codec.decode(bytes.fromhex(AWARD))["prev"]
    at, subject = "2022-03-01T01:04:00.000000Z", "sub_5k2r8w0m3x7q9d1f"
    if fast:
        way = Fast(book)
        chain = f'{prev}","recorded_at":"{at}'.encode()
        for one in (_award(), body) if taught else (body,):
            found = way.read(["award"], [subject], [one], [chain])
        if way.apply(found, [subject], 0, 1) != 1:
            return None
    else:
        entry = read(body)
        assert (entry["journal"], entry["seq"], entry["prev"], entry["recorded_at"], entry["subject"]) == (
            "east", 3, prev, at, subject
        )  # fmt: skip
        assert entry["kind"] == "award"
        kinds.apply(book, {**entry, "leaf": ""})
    causes = list(book.causes)
    book.settle_up()
    held = {account: lots for account, lots in book.accounts.items() if lots}
    return causes, held, {name: one.counts for name, one in book.members.items()}, book.deeds, book.live

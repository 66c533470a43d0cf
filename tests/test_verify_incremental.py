# SPDX-License-Identifier: Apache-2.0
"""`jifen verify --from`: from a trusted checkpoint and a seal on, with the answer that the full check gives."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ledger import merkle, note
from ledger.audit import Report, audit
from ledger.engine import Ledger
from ledger.keys import Signer
from ledger.model import CapUse, Link
from ledger.seals import make_seals
from tests import ledgers
from tests.ledgers import FixedClock, opened
from tests.test_ledger_random import OPENING, OPS, Op, World
from tests.test_ledger_verify import forge
from tests.test_publish import SIGNER, Town, town

pytestmark = pytest.mark.schema("ledger")


def random_ops(draw: random.Random, count: int) -> list[Op]:
    return [(draw.choice(OPS), draw.randrange(12), draw.randrange(601), draw.randrange(12)) for _ in range(count)]


async def roots(ledger: Ledger, journal: str) -> list[bytes]:
    """Root at every size."""
    tree, found = merkle.Range(), [merkle.EMPTY_ROOT]
    for (leaf,) in await ledger.fetch("SELECT leaf FROM entry WHERE journal = ? ORDER BY seq", journal):
        tree.append(bytes(leaf))
        found.append(tree.root())
    return found


def pin(journal: str, size: int, root: bytes, signer: Signer = SIGNER) -> bytes:
    text = note.checkpoint_text(note.Checkpoint(f"{SIGNER.name}/{journal}", size, root))
    return note.format_note(text, [note.sign(text, signer)])


def resumed(report: Report) -> int:
    """How many journals were read from a seal on."""
    return sum("(seal " in line for line in report.lines)


class Townspeople(World):
    """A random history in journals whose checkpoints can be signed."""

    def __init__(self, made: Town) -> None:
        clock = made.ledger.clock
        assert isinstance(clock, FixedClock)
        super().__init__(made.ledger, clock)
        self.made = made
        self.journals = ["east", "west", "north"]

    async def open(self) -> None:
        self.set_time()
        for journal in self.journals:
            await self.made.open(journal)
        for subject in self.subjects:
            kind = "body" if "shop" in subject else "person"
            await ledgers.open_account(self.ledger, "east", subject, kind)
            self.model.open("east", subject, kind, 100_000)

    async def live(self, draw: random.Random, count: int) -> None:
        """So many operations, with seals in between."""
        for operation in random_ops(draw, count):
            await self.step(operation)
            if draw.random() < 0.15:
                await make_seals(self.ledger, draw.choice(self.journals), span=draw.choice([3, 7, 5_000]))

    async def pins(self, draw: random.Random) -> list[bytes]:
        """A checkpoint of each journal, at any size; sometimes one is left out."""
        found: list[bytes] = []
        for journal in self.journals:
            at = await roots(self.ledger, journal)
            size = draw.randrange(1, len(at))
            if draw.random() < 0.85:
                found.append(pin(journal, size, at[size]))
        return found


async def agree(ledger: Ledger, pins: Sequence[bytes]) -> Report:
    """Both checks, and that they say the same; the report of the one from the pins."""
    whole = await audit(ledger, pins=pins)
    part = await audit(ledger, pins=pins, resume=True)
    assert whole.findings == part.findings, (whole.findings, part.lines)
    return part


@pytest.mark.parametrize("seed", range(3))
async def test_random_histories_from_random_pins(database_url: str, tmp_path: Path, seed: int) -> None:
    """Wherever the pins and seals stand, an untouched history holds, and no full check was needed to see it."""
    draw = random.Random(seed)
    async with town(database_url, tmp_path) as made:
        world = Townspeople(made)
        await world.open()
        for operation in OPENING:
            await world.step(operation)
        started = 0
        for _ in range(3):
            await world.live(draw, 25)
            await made.publisher.publish(epoch=True)
            for _ in range(3):
                report = await agree(made.ledger, await world.pins(draw))
                assert report.ok, report.findings
                assert not any("does not agree" in line and "when it left" not in line for line in report.lines), (
                    report.lines
                )
                started += resumed(report)
        assert started


# damage ------------------------------------------------------------------------------------------------------------


async def lived(made: Town) -> tuple[list[bytes], dict[str, int]]:
    """Two journals that were sealed and published, and went on: the checkpoints from then, and where the seals are."""
    ledger, clock = made.ledger, made.ledger.clock
    assert isinstance(clock, FixedClock)
    for name, kind in (("sub_1", "person"), ("sub_2", "body"), ("sub_3", "person")):
        await ledgers.open_account(ledger, "east", name, kind)
    await made.post("east", 270)
    first = await award_with_cap(ledger, "east", "sub_1", "a", 0, 100)
    await ledgers.award(ledger, "east", "sub_2", "b", standing=-50, standing_lot="2022-03-31")
    await ledgers.award(ledger, "east", "sub_3", "w", points=500, points_lot="2022-12-31")
    await ledgers.hold(ledger, "east", "sub_3", "old", 150)
    await ledgers.hold(ledger, "east", "sub_3", "open", 50)
    await ledgers.capture(ledger, "east", "old", 100)
    await made.post("west", 5)
    await ledgers.move(ledger, "east", "west", "sub_1")
    used = await ledgers.benefit(ledger, "west", "rdm_used")
    gone = await ledgers.benefit(ledger, "west", "rdm_gone")
    listed = await ledgers.edition(ledger, "west", "edn_old")
    await ledgers.fund(ledger, listed, "edn_old", "p1")
    await ledgers.benefit(ledger, "west", "rdm_gone", of=gone.link("undoes"))
    for journal in ("east", "west"):
        await make_seals(ledger, journal)
    await made.publisher.publish(epoch=True)
    held = [await made.published.note("east"), await made.published.note("west")]
    sizes = {journal: await size_of(ledger, journal) for journal in ("east", "west")}
    clock.advance(days=20)
    await ledgers.open_account(ledger, "east", "sub_4")
    await award_with_cap(ledger, "west", "sub_1", "c", 100, 50)
    await award_with_cap(ledger, "east", "sub_4", "d", 0, 200)
    await ledgers.refund(ledger, "east", "old", 40)
    await ledgers.release(ledger, "east", "old")
    await ledgers.hold(ledger, "east", "sub_3", "new", 20)
    await ledgers.capture(ledger, "east", "new", 20)
    await ledgers.reverse(ledger, first)
    await ledgers.move(ledger, "east", "west", "sub_4")
    await ledgers.award(ledger, "west", "sub_4", "e", points=30)
    await made.post("east", 240, "more")
    await made.post("west", 5, "more")
    await ledgers.benefit(ledger, "west", "rdm_used", of=used.link("undoes"))
    await ledgers.fund(ledger, listed, "edn_old", "p2")
    await ledgers.edition(ledger, "west", "edn_new")
    for journal in ("east", "west"):
        await make_seals(ledger, journal)
    await made.publisher.publish(epoch=True)
    await made.post("west", 2, "last")
    return held, sizes


@dataclass
class Past:
    """A history laid down once; each test damages a copy of its own."""

    folder: Path
    copies: Path
    held: list[bytes]
    sizes: dict[str, int]

    @asynccontextmanager
    async def again(self) -> AsyncIterator[Ledger]:
        shutil.copy(self.folder / "jifen.db", self.copies / "jifen.db")
        async with opened(f"sqlite:///{self.copies / 'jifen.db'}", whole=False) as ledger:
            yield ledger


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Past:
    folder = tmp_path_factory.mktemp("past")

    async def lay() -> tuple[list[bytes], dict[str, int]]:
        async with town(f"sqlite:///{folder / 'jifen.db'}", folder, "east", "west") as made:
            return await lived(made)

    return Past(folder, folder, *asyncio.run(lay()))


@pytest.fixture
def past(laid: Past, tmp_path: Path) -> Past:
    return replace(laid, copies=tmp_path)


async def size_of(ledger: Ledger, journal: str) -> int:
    return int((await ledger.fetch("SELECT size FROM head WHERE journal = ?", journal))[0][0])


async def award_with_cap(ledger: Ledger, journal: str, subject: str, deed: str, before: int, let: int) -> Any:
    use = CapUse("month", "2022-03-01", "2022-03-31", 300, before, let)
    draft = ledgers.award_draft(ledger, journal, subject, deed, (use,))
    return await ledgers.run(
        ledger,
        lambda view: ledgers.awards.award(view, draft, standing=let, points=let, points_lot="2022-12-31"),
        journal,
    )


AFTER: dict[str, str] = {
    "a byte": (
        "UPDATE entry SET body = CAST(replace(CAST(body AS TEXT), 'sub_4', 'sub_5') AS BLOB) WHERE journal = "
        "'east' AND subject = 'sub_4'"
    ),
    "a leaf": "UPDATE entry SET leaf = prev WHERE journal = 'east' AND seq = 300",
    "a link": "UPDATE entry SET prev = leaf WHERE journal = 'east' AND seq = 300",
    "the kind beside it": "UPDATE entry SET kind = 'deduct' WHERE journal = 'east' AND seq = 300",
    "the subject beside it": "UPDATE entry SET subject = 'sub_3' WHERE journal = 'east' AND seq = 300",
    "the instant beside it": "UPDATE entry SET recorded_at = recorded_at + 1 WHERE journal = 'east' AND seq = 300",
    "an entry gone": "DELETE FROM entry WHERE journal = 'east' AND seq = 300",
    "the last entry gone": (
        "DELETE FROM entry WHERE journal = 'west' AND seq = (SELECT MAX(seq) FROM entry WHERE journal = 'west')"
    ),
    "a balance": "UPDATE balance SET amount = amount + 1 WHERE account = 'subject:sub_4' AND journal = 'west'",
    "a balance of old": "UPDATE balance SET amount = amount - 1 WHERE account = 'minus:sub_2'",
    "an invented balance": "INSERT INTO balance VALUES ('east', 'fund:f', 'points', '9999-12-31', 9)",
    "a balance that vanished": "DELETE FROM balance WHERE account = 'merchant:mer_1'",
    "a new tally": "UPDATE tally SET used = used + 1 WHERE subject = 'sub_4' AND journal = 'east'",
    "a carried tally": "UPDATE tally SET used = used + 1 WHERE subject = 'sub_4' AND journal = 'west'",
    "a tally counted on": "UPDATE tally SET used = used + 1 WHERE subject = 'sub_1' AND journal = 'west'",
    "a new tally gone": "DELETE FROM tally WHERE subject = 'sub_4' AND journal = 'east'",
    "a new member": "UPDATE member SET state = 'open' WHERE subject = 'sub_4' AND journal = 'east'",
    "a new member's home": "UPDATE member SET home = 'east' WHERE subject = 'sub_4' AND journal = 'west'",
    "a member gone": "DELETE FROM member WHERE subject = 'sub_4' AND journal = 'west'",
    "a new hold": "UPDATE hold SET captured = captured - 10 WHERE hold = 'new'",
    "a new hold's entry": "UPDATE hold SET seq = seq + 1 WHERE hold = 'new'",
    "an old hold, refunded": "UPDATE hold SET lots = replace(lots, '60', '61') WHERE hold = 'old'",
    "an old hold, open": "UPDATE hold SET state = 'closed' WHERE hold = 'open'",
    "a new hold's merchant": "UPDATE hold SET merchant = 'mer_2' WHERE hold = 'new'",
    "an old hold's merchant": "UPDATE hold SET merchant = 'mer_2' WHERE hold = 'old'",
    "an old hold of no merchant": "UPDATE hold SET merchant = '' WHERE hold = 'old'",
    "an old benefit undone elsewhere": "UPDATE reversed SET by_seq = by_seq + 1 WHERE journal = 'west'",
    "an old hold gone": "DELETE FROM hold WHERE hold = 'old'",
    "a deed forgotten": "DELETE FROM cause WHERE journal = 'east' AND seq = 300",
    "a deed of another": "UPDATE cause SET seq = 299 WHERE journal = 'east' AND seq = 300",
    "a deed open again": "UPDATE cause SET reversed = 0 WHERE reversed = 1",
    "a new deed reversed": "UPDATE cause SET reversed = 1 WHERE journal = 'east' AND seq = 300",
    "a reversal forgotten": "DELETE FROM reversed",
    "a reversal of nothing": "INSERT INTO reversed VALUES ('east', 99999, 301, 0)",
    "a reversal of a new deed": "INSERT INTO reversed VALUES ('east', 300, 301, 0)",
    "the head": "UPDATE head SET recorded_at = recorded_at + 1 WHERE journal = 'west'",
    "a tree node": "UPDATE tree SET hash = (SELECT leaf FROM entry WHERE journal = 'east' AND seq = 3) WHERE idx = 1",
    "a tree node gone": "DELETE FROM tree WHERE idx = 1",
    "a later seal": "UPDATE seal SET accounts = accounts + 1 WHERE since > 0",
    "a later seal gone": "DELETE FROM seal WHERE since > 0",
    "a later state": (
        "UPDATE account_state SET version = version + 1 WHERE account = 'subject:sub_4' AND journal = 'west'"
    ),
    "a later state gone": "DELETE FROM account_state WHERE account = 'subject:sub_4' AND journal = 'west'",
    "a state too many": (
        "INSERT INTO account_state SELECT journal, account, as_of + 90, version, head, balances, seqs FROM "
        "account_state WHERE account = 'subject:sub_3'"
    ),
    "a checkpoint": "UPDATE checkpoint SET size = size - 1 WHERE journal = 'east'",
    "an epoch": "UPDATE epoch SET count = count + 1 WHERE epoch = 1",
    "the last epoch": "DELETE FROM epoch WHERE epoch = 1",
    "rows of nobody": "INSERT INTO balance VALUES ('south', 'issuer', 'points', '9999-12-31', -9)",
}  # fmt: skip


@pytest.mark.parametrize("what", AFTER)
async def test_damage_after_the_start_is_found(past: Past, what: str) -> None:
    """Whatever is changed in entries after the start, or in rows that they touch, is said as the full check says it."""
    async with past.again() as ledger:
        if what == next(iter(AFTER)):
            report = await agree(ledger, past.held)
            assert report.ok and resumed(report) == 2, report.lines
        forge(ledger.url, AFTER[what])
        report = await audit(ledger, pins=past.held, resume=True)
        assert not report.ok
        assert report.lines[0].startswith("everything was read")


BEFORE: dict[str, str] = {
    "a tree node": "UPDATE tree SET hash = (SELECT leaf FROM entry WHERE journal = 'east' AND seq = 3) WHERE idx = 0",
    "a tree node gone": "DELETE FROM tree WHERE idx = 0",
    "a leaf at the start": "UPDATE entry SET leaf = prev WHERE journal = 'east' AND seq = 270",
    "a balance": "UPDATE balance SET amount = amount + 1 WHERE account = 'subject:sub_2'",
    "a state": "UPDATE account_state SET version = version + 1 WHERE account = 'minus:sub_2'",
    "a state's balances": (
        "UPDATE account_state SET balances = replace(balances, '50', '51') WHERE account = 'minus:sub_2'"
    ),
    "a state gone": "DELETE FROM account_state WHERE account = 'minus:sub_2'",
    "a first entry": (
        "UPDATE entry SET body = CAST(replace(CAST(body AS TEXT), 'points_validity', 'points_v4lidity') AS BLOB) "
        "WHERE journal = 'east' AND seq = 0"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BEFORE)
async def test_damage_before_the_start_is_found_where_it_is_built_on(past: Past, what: str) -> None:
    """The tree up to the pin, the sealed states and all balances are looked at: what does not agree is read in full."""
    async with past.again() as ledger:
        forge(ledger.url, BEFORE[what])
        assert not (await audit(ledger, pins=past.held, resume=True)).ok


async def test_a_benefit_is_undone_once_whatever_lies_between(past: Past) -> None:
    """Undone before the start and, its row being gone, once more after it: found, as by the full check."""
    async with past.again() as ledger:
        rows = await ledger.fetch(
            "SELECT seq, leaf FROM entry WHERE journal = 'west' AND kind = 'benefit' ORDER BY seq"
        )
        seq, leaf = rows[1]
        ledger.clock.advance(days=30)
        forge(ledger.url, f"DELETE FROM reversed WHERE journal = 'west' AND seq = {seq}")
        await ledgers.benefit(ledger, "west", "rdm_gone", of=Link("undoes", "west", seq, bytes(leaf).hex()))
        assert not (await agree(ledger, past.held)).ok


@pytest.mark.parametrize("kind", ["edition", "fund"])
async def test_a_list_is_published_and_paid_once_whatever_lies_between(past: Past, kind: str) -> None:
    """A list published before the start, or its money granted, and once more after it: found, as by the full check."""
    async with past.again() as ledger:
        sql = "SELECT seq, leaf FROM entry WHERE journal = 'west' AND kind = 'edition' ORDER BY seq"
        seq, leaf = (await ledger.fetch(sql))[0]
        ledger.clock.advance(days=30)
        if kind == "edition":
            await ledgers.edition(ledger, "west", "edn_old")
        else:
            await ledgers.fund(ledger, Link("grants", "west", seq, bytes(leaf).hex()), "edn_old", "p1")
        report = await agree(ledger, past.held)
        assert not report.ok and "a second" in report.findings[0].what


async def test_pins_of_another_history_start_nothing(past: Past) -> None:
    """A checkpoint over other entries, of too many, or signed by a stranger is refused as by the full check."""
    async with past.again() as ledger:
        at = await roots(ledger, "east")
        size = past.sizes["east"]
        for bad in (
            pin("east", size, at[size - 1]), pin("east", len(at), at[-1]), pin("south", size, at[size]),
            pin("east", 5, at[5], Signer("x", b"x" * 32)), pin("east", size, at[size], Signer(SIGNER.name, b"x" * 32)),
        ):  # fmt: skip
            assert not (await agree(ledger, [bad])).ok
            assert not (await agree(ledger, [*past.held, bad])).ok


async def test_an_epoch_starts_every_journal(database_url: str, tmp_path: Path) -> None:
    """A checkpoint of the epoch log is one for each journal; journals that came later are read from their beginning;
    and the report says from where, and what it did not look at."""
    async with town(database_url, tmp_path, "east", "west") as made:
        await lived(made)
        await made.publisher.publish(epoch=True)
        epoch = await made.published.note("")
        await made.open("north")
        await made.post("north", 3)
        await made.post("west", 3, "after")
        report = await agree(made.ledger, [epoch])
        assert report.ok and resumed(report) == 2
        lines = "\n".join(report.lines)
        for said in (
            "north: 5 entries, all of them (no checkpoint",
            "(seal ",
            "not checked (--from)",
            "taken as stored",
        ):
            assert said in lines, lines
        assert "epochs: anchored up to 3" in report.lines
        assert "(seal " not in "\n".join((await audit(made.ledger, pins=[epoch])).lines)

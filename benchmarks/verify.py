# SPDX-License-Identifier: Apache-2.0
"""What `jifen verify` costs, against a bare loop that hashes the same bytes in memory: hashes and links, everything,
two processes, going on from a checkpoint, the exported verify.py, memory; and what chain, tree and digests cost the
commits. On SQLite.

Every figure is CPU time of a process of its own that ran the bare loop just before: a loaded machine slows down both.

The entries are laid down, not posted (that would take hours): fifteen journals, awards with two caps, redemptions and
lapsing lots as the desk and the shop write them, with every derived row that follows from them.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, Self

from api.commands.export import pack_files
from benchmarks.figures import header, table
from benchmarks.town import STAFF, town
from ledger import codec, verifier
from ledger.audit import audit
from ledger.engine import MIGRATIONS, Ledger
from ledger.export import export as export_to
from ledger.guard import ForkGuard
from ledger.keys import Signer
from ledger.model import FOREVER
from ledger.publish import Publisher
from ledger.published import Published
from ledger.seals import make_seals
from ledger.view import local_day, rfc3339
from rules.engine.pack import builtin_names, builtin_pack
from tests.ledgers import OneKey

JOURNALS, PEOPLE = 15, 20_000
BEGIN = int(datetime(2020, 1, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
A_YEAR_OF = 1_000_000  # entries
STEP_US = 365 * 86_400_000_000 * JOURNALS // A_YEAR_OF  # between two entries of one journal
PACK = builtin_pack(builtin_names()[0])
ZONE = "Asia/Shanghai"
SIGNER, RECOVERY = Signer("bench.example", b"s" * 32), Signer("bench.example/recovery", b"r" * 32)
LATER = 10_000  # entries after the checkpoint that is trusted
_BATCH = 20_000


class Laid:
    """One journal while it is laid down: its entries, and the rows that follow from them."""

    def __init__(self, number: int) -> None:
        self.journal = f"3703210010{number:02d}"
        self.size = 0
        self.leaf = b""
        self.at = BEGIN + number
        self.entries: list[tuple[Any, ...]] = []
        self.causes: list[tuple[Any, ...]] = []
        self.balances: dict[tuple[str, str, str], int] = defaultdict(int)
        self.lots: dict[str, dict[tuple[str, str], int]] = defaultdict(dict)
        self.tallies: dict[tuple[str, str, str], int] = {}
        self.holds: list[tuple[Any, ...]] = []
        self.opened: dict[str, int] = {}
        self._append({"kind": "open", "data": self._genesis()}, [], "")

    def _genesis(self) -> dict[str, Any]:
        origin, policy = f"{SIGNER.name}/{self.journal}", {"takeover": 0, "zone": ZONE}
        self.leaf = bytes.fromhex(codec.genesis_prev(origin, SIGNER.vkey, RECOVERY.vkey, policy))
        return {"origin": origin, "policy": policy, "recovery": RECOVERY.vkey, "vkey": SIGNER.vkey}

    @property
    def day(self) -> str:
        return local_day(self.at, ZONE)

    def _append(self, entry: dict[str, Any], lines: list[tuple[str, str, str, int]], subject: str) -> bytes:
        secret = os.urandom(144).hex()
        entry |= {
            "actor": "stf_2m8x4c6v0z1q5w7r", "journal": self.journal, "nonce": secret[:32], "occurred_on": self.day,
            "prev": self.leaf.hex(), "recorded_at": rfc3339(self.at), "request": secret[32:96], "seq": self.size,
            "txn": f"txn_{secret[96:122]}", "v": 1,
            "postings": [
                {"account": account, "amount": amount, "unit": unit} | ({} if lot == FOREVER else {"lot": lot})
                for account, unit, lot, amount in lines
            ],
        }  # fmt: skip
        entry = {"caps": [], "evidence": [], "links": []} | entry
        if subject:
            entry["subject"] = subject
        if entry["kind"] == "award":
            entry |= {"trace": secret[128:192], "evidence": [secret[192:256]], "pack": PACK.hash, "place": self.journal}
        body = codec.encode(entry)
        before, self.leaf = self.leaf, codec.leaf_hash(body)
        row = (self.journal, self.size, self.leaf, before, entry["kind"], subject or None, self.at, body)
        self.entries.append(row)
        self.size += 1
        self.at += STEP_US
        for account, unit, lot, amount in lines:
            if account.startswith("subject:"):
                there = self.lots[account]
                there[unit, lot] = there.get((unit, lot), 0) + amount
                if not there[unit, lot]:
                    del there[unit, lot]
            else:
                self.balances[account, unit, lot] += amount
        return self.leaf

    def open(self, subject: str) -> None:
        lines = [("issuer", "standing", FOREVER, -100_000), (f"subject:{subject}", "standing", FOREVER, 100_000)]
        self.opened[subject] = self.size
        self._append({"kind": "open", "data": {"base": 100_000, "kind": "person"}}, lines, subject)

    def visit(self, subject: str, turn: int) -> None:
        """A deed; now and then lots lapse first, or points are redeemed."""
        account, day = f"subject:{subject}", self.day
        gone = sorted((unit, lot) for unit, lot in self.lots[account] if lot < day)
        if gone:
            gone.sort(key=lambda one: (one[0] != "standing", one[1]))
            lines: list[tuple[str, str, str, int]] = []
            for unit, lot in gone:
                amount = self.lots[account][unit, lot]
                lines += [(account, unit, lot, -amount), ("expired", unit, FOREVER, amount)]
            self._append({"kind": "expire"}, lines, subject)
        lot = _end_of_month(day, 3)
        caps: list[dict[str, Any]] = []
        for name, start, end, limit in (
            ("RE-01/day", day, day, 1_000_000), ("RE-01/month", day[:8] + "01", _end_of_month(day, 0), 10_000_000)
        ):  # fmt: skip
            used = self.tallies.get((start, subject, name), 0)
            caps.append({"from": start, "id": name, "let": 100, "limit": limit, "to": end, "used_before": used})
            self.tallies[start, subject, name] = used + 100
        cause = ((date.fromisoformat(day) - date(2000, 1, 1)).days % 65_535).to_bytes(2, "big") + os.urandom(30)
        self.causes.append((cause, self.journal, self.size, 0, 0))
        lines = [
            ("issuer", "standing", FOREVER, -100), (account, "standing", lot, 100),
            ("issuer", "points", FOREVER, -100), (account, "points", lot, 100),
        ]  # fmt: skip
        self._append(
            {"kind": "award", "caps": caps, "cause": cause.hex(), "group": "G3", "rule": "RE-01"}, lines, subject
        )
        if turn % 24 == 7:
            self._redeem(subject, account, turn)

    def _redeem(self, subject: str, account: str, turn: int) -> None:
        lots = sorted((lot, amount) for (unit, lot), amount in self.lots[account].items() if unit == "points")
        lot, amount = lots[0]
        held = f"held:rdm_{turn:016d}"
        expires, seq, day = self.at + 900_000_000, self.size, self.day
        if lot < day:
            return
        leaf = self._append(
            {"kind": "hold", "data": {"expires_at": rfc3339(expires)}},
            [(account, "points", lot, -amount), (held, "points", lot, amount)], subject,
        )  # fmt: skip
        self.at -= STEP_US - 1_000_000
        link = [{"leaf": leaf.hex(), "rel": "hold", "seq": seq}]
        merchant = f"merchant:mer_{turn % 200}"
        self._append({"kind": "capture", "links": link, "data": {"fen_per_point": 100, "scenario": "shop"}},
                     [(held, "points", lot, -amount), (merchant, "points", FOREVER, amount)], "")  # fmt: skip
        lots_told = json.dumps({lot: [0, amount]}, separators=(",", ":"))
        whose = merchant.removeprefix("merchant:")
        told = (subject, "closed", expires, amount, amount, 0, 0, lots_told, "", seq, leaf, whose)
        self.holds.append((self.journal, held[5:], *told))


def _end_of_month(day: str, months: int) -> str:
    year, month = int(day[:4]), int(day[5:7]) + months + 1
    return (date(year + (month - 1) // 12, (month - 1) % 12 + 1, 1) - timedelta(days=1)).isoformat()


class Ground:
    """A database that entries are laid down in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        asyncio.run(_migrate(path))
        self.laid = [Laid(number) for number in range(JOURNALS)]
        self.people = [f"sub_{number:016x}" for number in range(PEOPLE)]
        self.turn = 0
        for number, subject in enumerate(self.people):
            self.laid[number % JOURNALS].open(subject)

    @property
    def size(self) -> int:
        return sum(one.size for one in self.laid)

    def grow(self, entries: int) -> None:
        """Until there are about so many."""
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.execute("PRAGMA synchronous = OFF")
        sql = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN ('entry', 'head')"
        triggers = connection.execute(sql).fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for one in self.laid:
            head = "SELECT size, leaf, recorded_at FROM head WHERE journal = ?"
            for size, leaf, at in connection.execute(head, (one.journal,)).fetchall():
                one.size, one.leaf, one.at = size, leaf, max(one.at, at + STEP_US)  # others may have written
        step = min(_BATCH, max(1, entries - self.size))
        while self.size < entries:
            for _ in range(step):
                self.laid[self.turn % PEOPLE % JOURNALS].visit(self.people[self.turn % PEOPLE], self.turn)
                self.turn += 1
            _write(connection, self.laid)
        _write_derived(connection, self.laid)
        for _, sql in triggers:
            connection.execute(sql)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()


async def _migrate(path: Path) -> None:
    ledger = Ledger(f"sqlite:///{path}", bytes(32))
    await ledger.open()
    await ledger.store.migrate({"ledger": MIGRATIONS})
    await ledger.close()


def _write(connection: sqlite3.Connection, laid: list[Laid]) -> None:
    connection.execute("BEGIN")
    for one in laid:
        connection.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?)", one.entries)
        connection.executemany("INSERT INTO cause VALUES (?, ?, ?, ?, ?)", one.causes)
        connection.executemany(f"INSERT INTO hold VALUES ({', '.join('?' * 14)})", one.holds)
        one.entries.clear()
        one.causes.clear()
        one.holds.clear()
        old = (date.fromisoformat(one.day) - timedelta(days=62)).isoformat()
        if len(one.tallies) > 100_000:  # written once they are over, so that laying down stays small too
            over = {key: used for key, used in one.tallies.items() if key[0] < old}
            _write_tallies(connection, one, over)
            for key in over:
                del one.tallies[key]
    connection.execute("COMMIT")


def _write_tallies(connection: sqlite3.Connection, one: Laid, tallies: dict[tuple[str, str, str], int]) -> None:
    rows = [(one.journal, *key, used) for key, used in sorted(tallies.items())]
    connection.executemany("INSERT OR REPLACE INTO tally VALUES (?, ?, ?, ?, ?)", rows)


def _write_derived(connection: sqlite3.Connection, laid: list[Laid]) -> None:
    connection.execute("BEGIN")
    for table_ in ("balance", "member", "head"):
        connection.execute(f"DELETE FROM {table_}")
    for one in laid:
        _write_tallies(connection, one, one.tallies)
        rows = [(one.journal, *key, amount) for key, amount in one.balances.items() if amount]
        rows += [
            (one.journal, account, unit, lot, amount)
            for account, lots in one.lots.items() for (unit, lot), amount in lots.items()
        ]  # fmt: skip
        connection.executemany("INSERT INTO balance VALUES (?, ?, ?, ?, ?)", rows)
        rows = [(one.journal, subject, "person", "open", one.journal, seq) for subject, seq in one.opened.items()]
        connection.executemany("INSERT INTO member VALUES (?, ?, ?, ?, ?, ?)", rows)
        last = connection.execute("SELECT MAX(recorded_at) FROM entry WHERE journal = ?", (one.journal,)).fetchone()[0]
        connection.execute(
            "INSERT INTO head VALUES (?, ?, ?, ?, ?, ?)", (one.journal, one.size, one.leaf, last, ZONE, 0)
        )
    connection.execute("COMMIT")


# measuring -----------------------------------------------------------------------------------------------------------


class Took(NamedTuple):
    """Of one process: CPU seconds of the bare loop for each entry, of what was measured, and seconds on the wall; its
    most memory of its own, in MB."""

    bare: float
    cpu: float
    wall: float
    megabytes: float


def bare_loop(path: Path, sample: int = 50_000) -> float:
    """CPU seconds an entry: SHA-256(00 ‖ bytes) of entries that are in memory already."""
    connection = sqlite3.connect(path)
    count = connection.execute("SELECT MAX(rowid) FROM entry").fetchone()[0]
    every = max(1, count // sample)
    bodies = [row[0] for row in connection.execute("SELECT body FROM entry WHERE rowid % ? = 0", (every,))]
    connection.close()
    sha256 = hashlib.sha256

    def once() -> float:
        began = time.process_time()
        for body in bodies:
            sha256(b"\x00" + body).digest()
        return (time.process_time() - began) / len(bodies)

    return statistics.median(once() for _ in range(5))


async def _verify(path: Path, pins: list[str], **how: Any) -> None:
    ledger = Ledger(f"sqlite:///{path}", bytes(32))
    await ledger.open()
    try:
        report = await audit(ledger, pins=[pin.encode() for pin in pins], **how)
    finally:
        await ledger.close()
    if not report.ok or any(line.startswith("everything was read") for line in report.lines):
        raise RuntimeError("\n".join(report.lines))


def _verify_export(folder: str, pins: list[str]) -> None:
    names: list[str] = []
    for number, pin in enumerate(pins):
        name = Path(folder).with_suffix(f".pin{number}")
        name.write_text(pin)
        names.append(str(name))
    found: Any = verifier.verify(folder, names, False, 1)
    if not found["ok"]:
        raise RuntimeError("\n".join(found["lines"]))


def timed(path: Path, runs: int, *, export: str = "", pins: Sequence[str] = (), **how: Any) -> list[Took]:
    """One verification after the other, in processes of their own."""
    said = json.dumps([str(path), export, list(pins), how])
    took: list[Took] = []
    for _ in range(runs):
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.verify", "--child", said], stdout=subprocess.PIPE, text=True, check=True
        )
        took.append(Took(*json.loads(done.stdout)))
    return took


def _child(path: str, export: str, pins: list[str], how: dict[str, Any]) -> None:
    bare = bare_loop(Path(path))
    with _Memory() as memory:
        wall, cpu = time.perf_counter(), time.process_time()
        if export:
            _verify_export(export, pins)
        else:
            asyncio.run(_verify(Path(path), pins, **how))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(json.dumps(Took(bare, cpu, wall, memory.most)))


class _Memory:
    """The most memory this process had of its own while it was measured: what a file maps can be taken back."""

    def __init__(self) -> None:
        self.most = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.25):
            try:
                lines = Path("/proc/self/status").read_text().splitlines()
                self.most = max(self.most, *(float(one.split()[1]) / 1024 for one in lines if "RssAnon" in one), 0.0)
            except OSError:
                return


def run(*, entries: int = 1_000_000, runs: int = 3, memory: bool = False) -> None:
    """Every ratio in one run; `memory` also lays down five times as many and compares."""
    header(f"Verification of {entries:,} entries")
    with tempfile.TemporaryDirectory(prefix="jifen-bench-") as folder:
        path = Path(folder) / "jifen.db"
        ground = Ground(path)
        ground.grow(entries)
        pins = asyncio.run(_publish(path, Path(folder)))
        count = ground.size
        rows: list[tuple[str, ...]] = []

        def say(name: str, took: list[Took], goal: str, entries: int = count) -> None:
            ratio = statistics.median(one.bare * entries / one.cpu for one in took)
            each = statistics.median(one.cpu for one in took) / entries * 1e6
            rows.append((name, f"{each:.2f} µs", f"{ratio:.3f}", goal, f"{max(one.megabytes for one in took):.0f} MB"))
            print(f"{name}: {each:.2f} µs an entry, {ratio:.3f} of the bare loop, load {_load()}", flush=True)

        say("hashes, links, tree (--quick)", timed(path, runs, quick=True), "≥ 0.4")
        full = timed(path, runs)
        say("everything", full, "≥ 0.15")
        two = timed(path, runs, jobs=2)
        export = Path(folder) / "export"
        asyncio.run(_export(path, Path(folder), export))
        say("verify.py on the export", timed(path, runs, export=str(export), pins=pins), "≥ 0.03")
        ground.grow(count + LATER)
        asyncio.run(_publish(path, Path(folder)))
        since = timed(path, runs, pins=pins, resume=True)
        print()
        table(("what", "an entry", "of the bare loop", "goal", "most memory"), rows)
        one, other = (statistics.median(took.wall for took in some) for some in (full, two))
        print(f"two processes over one: {one / other:.2f}× on the wall (goal 1.7); load {_load()}")
        part = statistics.median(took.cpu for took in since) / statistics.median(took.cpu for took in full)
        print(f"{ground.size - count:,} entries after a trusted checkpoint: {part:.1%} of everything (goal 2 %)")
        if memory:
            large = Path(folder) / "large.db"
            Ground(large).grow(5 * entries)
            took = timed(large, 1)[0]
            print(
                f"most memory: {max(one.megabytes for one in full):.0f} MB at {entries:,}, {took.megabytes:.0f} MB at "
                f"{5 * entries:,} ({took.cpu:.0f} s)"
            )
    _commits(runs)


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


async def _publish(path: Path, home: Path) -> list[str]:
    """Seal and sign what is there: the newest checkpoint of each journal."""
    async with _deployment(path, home) as (ledger, publisher):
        for (journal,) in await ledger.fetch("SELECT journal FROM head ORDER BY journal"):
            await make_seals(ledger, journal, span=2**40)
        await publisher.publish(epoch=True)
        rows = await ledger.fetch("SELECT journal FROM head ORDER BY journal")
        return [(await Published(ledger).note(row[0])).decode() for row in rows]


async def _export(path: Path, home: Path, folder: Path) -> None:
    async with _deployment(path, home) as (ledger, publisher):
        await export_to(
            ledger,
            publisher,
            SIGNER,
            folder,
            recovery=RECOVERY.vkey,
            witnesses=(),
            packs={PACK.hash: pack_files(PACK)},
            software="bench",
        )


@asynccontextmanager
async def _deployment(path: Path, home: Path) -> AsyncIterator[tuple[Ledger, Publisher]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        last = connection.execute("SELECT MAX(recorded_at) FROM head").fetchone()[0]
    ledger = Ledger(f"sqlite:///{path}", bytes(32), clock=lambda: last + 1_000_000)  # entries are ahead of the clock
    await ledger.open()
    try:
        yield ledger, Publisher(ledger, ForkGuard(home / "guard.db"), OneKey(SIGNER))
    finally:
        await ledger.close()


# commits -------------------------------------------------------------------------------------------------------------


def _commits(runs: int, posts: int = 6_000) -> None:
    """CPU time of the same awards with chain, tree, digests and signing, and with none of them."""

    async def once(*, proved: bool) -> float:
        async with town("", 2000) as place:
            over = asyncio.Event()

            async def publish() -> None:
                while not over.is_set():
                    await place.world.publisher.publish(epoch=True)
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(over.wait(), 1)

            publishing = asyncio.create_task(publish()) if proved else None
            with contextlib.nullcontext() if proved else _unproved():
                began = time.process_time()
                for start in range(0, posts, 256):
                    await asyncio.gather(
                        *(
                            place.world.desk.award(
                                STAFF, place.report(number), place.world.ledger.retry("bench", f"k{number}", b"{}")
                            )
                            for number in range(start, min(start + 256, posts))
                        )
                    )
                over.set()
                if publishing is not None:
                    await publishing
                return (time.process_time() - began) / posts

    with_, without = [], []
    for _ in range(runs):
        with_.append(asyncio.run(once(proved=True)))
        without.append(asyncio.run(once(proved=False)))
    ratio = statistics.median(b / a for a, b in zip(with_, without, strict=True))
    print(
        f"commits: {statistics.median(with_) * 1e6:.0f} µs with chain, tree and digests, "
        f"{statistics.median(without) * 1e6:.0f} µs without: they cost {1 - ratio:.0%} (goal 15 %); load {_load()}"
    )


@contextlib.contextmanager
def _unproved() -> Iterator[None]:
    """Entries with a constant leaf and constant digests."""
    leaf_hash, opened = codec.leaf_hash, codec.opened
    codec.leaf_hash = lambda entry: b"0" * 32
    codec.opened = lambda key, nonce: lambda field, data: "0" * 64
    try:
        yield
    finally:
        codec.leaf_hash, codec.opened = leaf_hash, opened


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _child(*json.loads(sys.argv[2]))

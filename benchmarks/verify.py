# SPDX-License-Identifier: Apache-2.0
"""What `jifen verify` costs, against a bare loop that hashes the same bytes in memory: hashes and links, everything,
two processes, and memory. On SQLite.

The entries are laid down, not posted (that would take hours): fifteen journals, awards with two caps, redemptions and
lapsing lots as the desk and the shop write them, with every derived row that follows from them.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.figures import header, table
from ledger import codec
from ledger.audit import audit
from ledger.engine import MIGRATIONS, Ledger
from ledger.model import FOREVER
from ledger.view import local_day, rfc3339

JOURNALS, PEOPLE = 15, 20_000
BEGIN = int(datetime(2020, 1, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
A_YEAR_OF = 1_000_000  # entries
STEP_US = 365 * 86_400_000_000 * JOURNALS // A_YEAR_OF  # between two entries of one journal
PACK = "5a" * 32
ZONE = "Asia/Shanghai"
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
        origin, policy = f"bench/{self.journal}", {"takeover": 0, "zone": ZONE}
        self.leaf = bytes.fromhex(codec.genesis_prev(origin, "bench", "bench/recovery", policy))
        return {"origin": origin, "policy": policy, "recovery": "bench/recovery", "vkey": "bench"}

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
            entry |= {"trace": secret[128:192], "evidence": [secret[192:256]], "pack": PACK, "place": self.journal}
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
        cause = os.urandom(32)
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
        self.holds.append(
            (self.journal, held[5:], subject, "closed", expires, amount, amount, 0, 0, lots_told, "", seq, leaf)
        )


def _end_of_month(day: str, months: int) -> str:
    year, month = int(day[:4]), int(day[5:7]) + months + 1
    return (date(year + (month - 1) // 12, (month - 1) % 12 + 1, 1) - timedelta(days=1)).isoformat()


def lay_down(path: Path, entries: int) -> list[Laid]:
    """A database of about so many entries."""
    asyncio.run(_migrate(path))
    connection = sqlite3.connect(path, isolation_level=None)
    triggers = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'entry'"
    ).fetchall()
    for (name,) in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("PRAGMA synchronous = OFF")
    laid = [Laid(number) for number in range(JOURNALS)]
    people = [f"sub_{number:016x}" for number in range(PEOPLE)]
    for number, subject in enumerate(people):
        laid[number % JOURNALS].open(subject)
    turn = 0
    while True:
        laid[turn % PEOPLE % JOURNALS].visit(people[turn % PEOPLE], turn)
        turn += 1
        if turn % _BATCH == 0:
            _write(connection, laid)
            if sum(one.size for one in laid) >= entries:
                break
    _write_derived(connection, laid)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return laid


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
        connection.executemany(f"INSERT INTO hold VALUES ({', '.join('?' * 13)})", one.holds)
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
    connection.executemany("INSERT INTO tally VALUES (?, ?, ?, ?, ?)", rows)


def _write_derived(connection: sqlite3.Connection, laid: list[Laid]) -> None:
    connection.execute("BEGIN")
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


def bare_loop(path: Path, sample: int = 100_000) -> float:
    """Seconds an entry: SHA-256(00 ‖ bytes) of entries that are in memory already."""
    connection = sqlite3.connect(path)
    bodies = [row[0] for row in connection.execute("SELECT body FROM entry LIMIT ?", (sample,))]
    connection.close()
    sha256 = hashlib.sha256

    def once() -> float:
        began = time.perf_counter()
        for body in bodies:
            sha256(b"\x00" + body).digest()
        return (time.perf_counter() - began) / len(bodies)

    return statistics.median(once() for _ in range(5))


async def _verify(path: Path, **how: Any) -> float:
    ledger = Ledger(f"sqlite:///{path}", bytes(32))
    await ledger.open()
    try:
        began = time.perf_counter()
        report = await audit(ledger, **how)
        took = time.perf_counter() - began
    finally:
        await ledger.close()
    if not report.ok:
        raise RuntimeError("\n".join(report.lines))
    return took


def timed(path: Path, runs: int, **how: Any) -> tuple[float, float]:
    """Median seconds of one verification in a process of its own, and the most memory it took, in MB."""
    took: list[tuple[float, float]] = []
    for _ in range(runs):
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.verify", "--child", str(path), json.dumps(how)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        took.append(tuple(json.loads(done.stdout)))
    return statistics.median(one[0] for one in took), max(one[1] for one in took)


def run(*, entries: int = 1_000_000, runs: int = 3, memory: bool = False) -> None:
    """Every ratio in one run; `memory` also lays down five times as many and compares."""
    header(f"Verification of {entries:,} entries")
    with tempfile.TemporaryDirectory(prefix="jifen-bench-") as folder:
        path = Path(folder) / "jifen.db"
        laid = lay_down(path, entries)
        count = sum(one.size for one in laid)
        bare = bare_loop(path)
        rows = [("bare loop", f"{bare * 1e6:.2f} µs", "1.00", "")]
        seconds: dict[str, float] = {}
        for name, how in (
            ("hashes, links, tree (--quick)", {"quick": True, "jobs": 1}),
            ("everything", {"jobs": 1}),
            ("everything, two processes", {"jobs": 2}),
        ):
            took, megabytes = timed(path, runs, **how)
            seconds[name] = took
            rows.append((name, f"{took / count * 1e6:.2f} µs", f"{bare * count / took:.3f}", f"{megabytes:.0f} MB"))
        table(("what", "an entry", "of the bare loop", "most memory"), rows)
        print(
            f"two processes over one: {seconds['everything'] / seconds['everything, two processes']:.2f}×\n", flush=True
        )
        if memory:
            large = Path(folder) / "large.db"
            lay_down(large, 5 * entries)
            _, small_mb = timed(path, 1, jobs=1)
            took, large_mb = timed(large, 1, jobs=1)
            print(
                f"most memory: {small_mb:.0f} MB at {entries:,}, {large_mb:.0f} MB at {5 * entries:,} ({took:.0f} s)\n"
            )


def _child(path: str, how: dict[str, Any]) -> None:
    took = asyncio.run(_verify(Path(path), **how))
    print(json.dumps([took, _most_memory()]))


def _most_memory() -> float:
    """In MB, of this process alone: `ru_maxrss` would begin with that of the process it was started from."""
    try:
        status = Path("/proc/self/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        return float("nan")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _child(sys.argv[2], json.loads(sys.argv[3]))

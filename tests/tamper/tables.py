# SPDX-License-Identifier: Apache-2.0
"""Databases: putting a falsified history into one with everything derived anew, and the judgement of `jifen verify`.

Changes are made inside a savepoint of a copy in memory and undone after the check. `Prepared` is the shortcut: rows of
derived tables are held against a replay that was made once of the untouched entries, and an entry against the replay
of those before it. The functions that compare are those of `jifen verify`; a sample of whole checks shows that both
say the same.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson

from ledger import audit, codec, merkle
from ledger.audit import Finding, Report
from ledger.guard import ForkGuard
from ledger.publish import Forked, check_guard
from ledger.states import States
from ledger.verify import anchor, cross, derived
from ledger.verify import replay as replays
from ledger.verify.source import SqliteSource
from ledger.verify.spine import Spine
from tests.tamper.past import Past, Signing, as_before

TRIGGERS = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
# Tables that follow from the entries, and their keys.
KEYS = {
    "head": ("journal",), "balance": ("journal", "account", "unit", "lot"), "member": ("journal", "subject"),
    "tally": ("journal", "start", "subject", "cap"), "hold": ("journal", "hold"), "reversed": ("journal", "seq"),
    "cause": ("digest",), "tree": ("journal", "level", "idx"), "checkpoint": ("journal", "size"), "epoch": ("epoch",),
    "seal": ("journal", "since"), "account_state": ("journal", "account", "as_of"), "entry": ("journal", "seq"),
}  # fmt: skip


class InMemory(SqliteSource):
    """The verifier's view of a connection that stays ours."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def close(self) -> None:
        pass


def load(path: Path) -> sqlite3.Connection:
    """A copy in memory, in the hands of somebody who may do everything: no triggers, no checks."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    source = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    source.backup(connection)
    source.close()
    connection.execute("PRAGMA ignore_check_constraints = ON")
    for (name,) in connection.execute(TRIGGERS).fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    return connection


@contextmanager
def undone(connection: sqlite3.Connection) -> Generator[None]:
    """What happens in the block did not happen."""
    connection.execute("SAVEPOINT tamper")
    try:
        yield
    finally:
        connection.execute("ROLLBACK TO tamper")
        connection.execute("RELEASE tamper")


def judge(connection: sqlite3.Connection, pins: Sequence[bytes]) -> Report:
    """The whole of `jifen verify --from PIN`."""
    opened = audit.open_source
    audit.open_source = lambda url: InMemory(connection)
    try:
        return asyncio.run(audit.audit(SimpleNamespace(url="memory"), pins=pins))  # type: ignore[arg-type]
    except Exception as error:
        return Report(findings=[Finding("", -2, f"THE CHECK CRASHED: {error!r}")])
    finally:
        audit.open_source = opened


def guard_refuses(connection: sqlite3.Connection, guard: Path) -> Forked | None:
    """What the server says of it when it starts, beside the guard that was left."""

    class Reader:
        async def fetch(self, sql: str, *params: Any) -> list[Any]:
            return connection.execute(sql, params).fetchall()

    return asyncio.run(check_guard(Reader(), ForkGuard(guard)))  # type: ignore[arg-type]


# everything derived anew ------------------------------------------------------------------------------------------


def write(past: Past, connection: sqlite3.Connection, signing: Signing = as_before) -> None:
    """Replace all entries, and every table that follows from them as far as it can be derived."""
    for table in KEYS:
        connection.execute(f"DELETE FROM {table}")
    put = connection.executemany
    for journal, bodies in past.bodies.items():
        rows = past.entries[journal]
        put(
            "INSERT INTO entry (journal, seq, leaf, prev, kind, subject, recorded_at, body) VALUES (?,?,?,?,?,?,?,?)",
            [(journal, seq, past.leaves[journal][seq], bytes.fromhex(e["prev"]), e["kind"], e.get("subject"),
              _us(e["recorded_at"]), bodies[seq]) for seq, e in enumerate(rows)],
        )  # fmt: skip
        if rows:
            data = rows[0].get("data", {}).get("policy", {})
            head = (journal, len(rows), past.leaves[journal][-1], _us(rows[-1]["recorded_at"]), data.get("zone", ""),
                    data.get("takeover", 0))  # fmt: skip
            put("INSERT INTO head VALUES (?,?,?,?,?,?)", [head])
    for log, points in past.checkpoints(signing).items():
        put("INSERT OR REPLACE INTO checkpoint VALUES (?,?,?,?)",
            [(log, size, text.decode(), int(turned)) for size, text, turned in points])  # fmt: skip
    epochs = [(n, root, count, codec.encode(changed).decode(), leaf)
              for n, root, count, changed, _, leaf in past.epoch_rows()]  # fmt: skip
    put("INSERT INTO epoch VALUES (?,?,?,?,?)", epochs)
    for journal, leaves in past.leaves.items():
        tiles = [(journal, 8, n, merkle.root(leaves[n << 8 : (n + 1) << 8])) for n in range(len(leaves) >> 8)]
        put("INSERT INTO tree VALUES (?,?,?,?)", tiles)
    _derive(past, connection)


def _us(instant: str) -> int:
    try:
        at = datetime.fromisoformat(instant)
    except ValueError:
        return 0
    return int(at.replace(microsecond=0).timestamp()) * 1_000_000 + at.microsecond


def _derive(past: Past, connection: sqlite3.Connection) -> None:
    put, source = connection.executemany, InMemory(connection)
    books = {}
    for journal in past.entries:
        replayed = replays.Replay(source, journal, exact=True)
        replayed.run()
        book = books[journal] = replayed.book
        put("UPDATE head SET takeover = ? WHERE journal = ?", [(book.takeover, journal)])
        balances = [(journal, a, u, lot, n) for a, held in book.accounts.items() for (u, lot), n in held.items()]
        put("INSERT INTO balance VALUES (?,?,?,?,?)", balances)
        put("INSERT INTO member VALUES (?,?,?,?,?,?)",
            [(journal, s, m.kind, m.state, m.home, m.opened) for s, m in book.members.items()])  # fmt: skip
        put(
            "INSERT INTO hold (journal, hold, subject, state, expires_at, amount, captured, released, refunded, lots, "
            "grace, seq, leaf, merchant) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            [(journal, name, h.subject, h.state, _us(h.expires_at), h.amount, h.captured, h.released, h.refunded,
              codec.encode(h.lots).decode(), h.grace, h.seq, bytes.fromhex(h.leaf), h.merchant)
             for name, h in book.holds.items()],
        )  # fmt: skip
        seals = [(e["seq"], e["data"]) for e in past.entries[journal] if e["kind"] == "seal" and "data" in e]
        _seals(past, connection, journal, seals)
    _caps(connection, books)
    _deeds(past, connection, books)


def _seals(past: Past, connection: sqlite3.Connection, journal: str, seals: Sequence[tuple[int, Any]]) -> None:
    states, since = States(), 0
    for seq, data in seals:
        try:
            for body, leaf in zip(past.bodies[journal][since : data["as_of_size"]], past.leaves[journal][since:],
                                  strict=False):  # fmt: skip
                states.apply(body, leaf)
        except ValueError:
            return
        rows = states.close(journal)
        connection.executemany("INSERT OR REPLACE INTO account_state VALUES (?,?,?,?,?,?,?)", rows)
        connection.execute("INSERT OR REPLACE INTO seal VALUES (?,?,?,?,?,?)",
                           (journal, since, data["as_of_size"], seq, data["accounts"],
                            bytes.fromhex(data["state_root"])))  # fmt: skip
        since = data["as_of_size"]


def _caps(connection: sqlite3.Connection, books: dict[str, Any]) -> None:
    def brought(place: Any) -> dict[Any, int]:
        found: dict[Any, int] = {}
        while place is not None:
            left = books[place[0]].abroad.departures.get(place[1]) if place[0] in books else None
            if left is None:
                break
            found = {**left.counts, **found}
            place = left.came
        return found

    for journal, book in books.items():
        rows: dict[Any, int] = {}
        for subject, _, place in dict(sorted(book.abroad.arrivals.items())).values():
            rows.update({(start, subject, cap): n for (cap, start), n in brought(place).items()})
        for subject, member in book.members.items():
            rows.update({(start, subject, cap): n for (cap, start), n in member.counts.items()})
        connection.executemany("INSERT INTO tally VALUES (?,?,?,?,?)", [(journal, *key, n) for key, n in rows.items()])


def _deeds(past: Past, connection: sqlite3.Connection, books: dict[str, Any]) -> None:
    reversals = {place: said for book in books.values() for place, said in book.abroad.reversals.items()}
    connection.executemany("INSERT OR REPLACE INTO reversed VALUES (?,?,?,?)",
                           [(*place, seq, shortfall) for place, (seq, shortfall, _) in reversals.items()])  # fmt: skip
    taken = {
        (link.get("journal", j), link["seq"])
        for j, rows in past.entries.items()
        for e in rows
        for link in e["links"]
        if link["rel"] == "replaces"
    }
    first = sorted(
        (e["recorded_at"], j, e["seq"], e["cause"])
        for j, rows in past.entries.items()
        for e in rows
        if e["kind"] in ("award", "deduct") and not e["links"] and "cause" in e
    )
    connection.executemany(
        "INSERT OR IGNORE INTO cause VALUES (?,?,?,?,?)",
        [(bytes.fromhex(cause), j, seq, int((j, seq) in reversals), int((j, seq) in taken))
         for _, j, seq, cause in first],
    )  # fmt: skip


# the shortcut ---------------------------------------------------------------------------------------------------------


class Prepared:
    """The untouched entries of one connection, replayed once."""

    def __init__(self, connection: sqlite3.Connection, pins: Sequence[bytes]) -> None:
        self.connection, self.source = connection, InMemory(connection)
        self.pins = [anchor.read_pin(pin) for pin in pins]
        self.states: list[tuple[Any, ...]] = []
        self.replays: dict[str, replays.Replay] = {}
        self.outcomes: dict[str, replays.Outcome] = {}
        compare_states = derived.compare_states

        def kept(*said: Any) -> list[tuple[int, str]]:
            self.states.append(said)
            return compare_states(*said)

        derived.compare_states = kept
        try:
            for journal, size in connection.execute("SELECT journal, size FROM head ORDER BY journal").fetchall():
                one = replays.Replay(self.source, journal, range(1, size + 1), exact=True)
                self.outcomes[journal] = one.run()
                self.replays[journal] = one
        finally:
            derived.compare_states = compare_states
        rows = connection.execute("SELECT journal, leaf FROM entry ORDER BY journal, seq").fetchall()
        self.leaves = {journal: [leaf for at, leaf in rows if at == journal] for journal in self.replays}
        assert not any(one.fault or one.findings for one in self.outcomes.values())

    def judge(self, journal: str, table: str) -> list[Finding]:
        """Everything that a change of derived rows under this journal can show, as a whole check puts it."""
        try:
            return self._judge(journal, table)
        except Exception as error:
            return [Finding("", -2, f"THE CHECK CRASHED: {error!r}")]

    def _judge(self, journal: str, table: str) -> list[Finding]:
        found: list[Finding] = []
        if table in ("cause", "reversed"):
            found += [Finding(*one) for one in self._across()]
        elif table in ("checkpoint", "epoch"):
            found += self._signed()
        elif table == "account_state":
            for said in self.states:
                if said[1] == journal:
                    found += [Finding(journal, *one) for one in derived.compare_states(*said)]
            found += [Finding(journal, *one) for one in derived._seals(self.source, self.replays[journal].book)]
        else:
            one = self.replays[journal]
            brought = one.outcome.brought
            one.outcome.findings, one.outcome.brought = [], {}
            tiles = derived.tiles(self.source, journal)
            one.spine = Spine(tiles, ())
            one.tiles = tiles
            one.spine.extend(self.leaves[journal])
            one.spine.close()
            derived.compare(one)
            found += [Finding(journal, *what) for what in one.outcome.findings]
            newest = "SELECT MAX(size) FROM checkpoint WHERE journal = ?"
            signed = self.connection.execute(newest, (journal,)).fetchone()[0] or 0
            found += [Finding(journal, *what) for what in derived.missing_tiles(tiles.keys(), signed)]
            if table == "tally" and not found:
                found += [Finding(*one) for one in self._across()]
            if table == "tree" and not found:
                found += self._signed()
            one.outcome.findings, one.outcome.brought = [], brought
        return found or [Finding(*one) for one in cross.strays(self.source)]

    def _across(self) -> Iterator[Any]:
        yield from cross.compare(self.source, self.outcomes, cross.read_deeds(self.source))

    def _signed(self) -> list[Finding]:
        published = anchor.read_published(self.source)
        for point in self.pins:
            published.want(anchor.EPOCHS, point[1].size)
        found = [
            Finding(journal, -1, what)
            for journal, outcome in self.outcomes.items()
            for what in anchor.check_journal(outcome, published.checkpoints.get(journal, []))[0]
        ]
        found += [Finding(*one) for one in anchor.check_epochs(self.source, published, self.outcomes)]
        for pin in self.pins:
            wrong, _ = anchor.check_pin(pin, published, self.outcomes)
            found += [Finding(*wrong)] if wrong else []
        return found

    def entries(self, journal: str) -> Iterator[tuple[tuple[Any, ...], replays.Replay]]:
        """Each row, with a replay that stands right before it. Rows that are refused leave the replay as it was; at
        the end the true rows must have led to the tables as they are."""
        one = replays.Replay(self.source, journal, exact=True)
        for row in self.source.rows(replays._ENTRIES, journal, replays.FIRST):
            yield row, one
            leaves, fault = one._apply([row])
            assert not fault and len(leaves) == 1, fault
            one.spine.extend(leaves)
            one.book.settle_up()
        one.spine.close()
        derived.compare(one)
        assert not one.outcome.findings, one.outcome.findings


def read_json(data: str) -> Any:
    """A value, or nothing where it is none."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None

# SPDX-License-Identifier: Apache-2.0
"""Entries in the database, changed where they lie: nothing after them is made good."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ledger import codec
from tests.tamper import tables
from tests.tamper.stage import (
    Class,
    Miss,
    Stage,
    one_byte,
    other_bytes,
    other_number,
    other_text,
    other_value,
    paths,
    with_value,
)

WHOLE_EVERY = 400  # of the mutations that were judged by the shortcut, one in so many is judged as a whole too
COLUMNS = ("seq", "leaf", "prev", "kind", "subject", "recorded_at", "body")


def _rows(stage: Stage) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
    """This process's share of the entries, each with a replay that stands before it."""
    part, parts = stage.share
    for journal in stage.prepared.replays:
        for row, before in stage.prepared.entries(journal):
            if row[0] % parts == part:
                yield journal, row, before


def _judge(stage: Stage, journal: str, row: tuple[Any, ...], column: str, value: Any, before: Any, seq: int) -> Miss:
    place = COLUMNS.index(column)
    leaves, fault = before._apply([(*row[:place], value, *row[place + 1 :])])
    said = f"{column} of {journal}/{seq} as {value!r:.80}"
    if leaves or not fault or before.book.size != seq:
        return f"{said}: accepted"
    if stage.draw.randrange(WHOLE_EVERY) == 0:
        with tables.undone(stage.connection):
            stage.connection.execute(
                f"UPDATE entry SET {column} = ? WHERE journal = ? AND seq = ?", (value, journal, seq)
            )
            found = tables.judge(stage.connection, stage.pins).findings
        if [one.seq for one in found if one.journal == journal][:1] != [seq]:
            return f"{said}: a whole check says {found[:2]}"
    return None


def entry_bytes(stage: Stage) -> Iterator[Miss]:
    """One byte of an entry's body."""
    each = stage.want // (stage.connection.execute("SELECT COUNT(*) FROM entry").fetchone()[0] // stage.share[1]) + 1
    for journal, row, before in _rows(stage):
        body, start = row[6], stage.draw.random()
        for number in range(each):
            at = int((start + number / each) % 1 * len(body))
            yield _judge(stage, journal, row, "body", one_byte(body, at, stage.draw), before, row[0])


def entry_fields(stage: Stage) -> Iterator[Miss]:
    """Each field of the entry's JSON, to other values of its type and of others; the stored hash is left."""
    for journal, row, before in _rows(stage):
        entry = json.loads(row[6])
        for path in paths(entry):
            for value in stage.draw.sample(found := other_value(_at(entry, path), stage.draw), min(3, len(found))):
                body = codec.encode(with_value(entry, path, lambda _, value=value: value))
                yield _judge(stage, journal, row, "body", body, before, row[0])


def _at(entry: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        entry = entry[key]
    return entry


def entry_columns(stage: Stage) -> Iterator[Miss]:
    """Each column beside the body."""
    for journal, row, before in _rows(stage):
        seq, leaf, prev, kind, subject, at, _ = row
        changes: dict[str, list[Any]] = {
            "leaf": [*other_bytes(leaf, stage.draw), prev], "prev": [*other_bytes(prev, stage.draw), leaf],
            "kind": [*other_text(kind, stage.draw), "award", "adjust"],
            "subject": [*other_text(subject or "sub_a", stage.draw), None, "sub_n1"],
            "recorded_at": other_number(at, stage.draw), "seq": [seq + 1000, seq + 10**6],
        }  # fmt: skip
        for column, values in changes.items():
            for value in values:
                if value != row[COLUMNS.index(column)]:
                    yield _judge(stage, journal, row, column, value, before, seq)


# whole checks ---------------------------------------------------------------------------------------------------------


def _whole(
    stage: Stage, said: str, journal: str, seqs: tuple[int, ...], *statements: tuple[str, tuple[Any, ...]]
) -> Miss:
    with tables.undone(stage.connection):
        before = stage.connection.total_changes
        for sql, params in statements:
            stage.connection.execute(sql, params)
        assert stage.connection.total_changes > before, said
        found = tables.judge(stage.connection, stage.pins).findings
    mine = [one for one in found if one.journal == journal]
    if not mine or mine[0].seq not in seqs:
        return f"{said}: expected {journal} {seqs}, found {[tuple(one) for one in found[:3]]}"
    return None


def _places(stage: Stage) -> Iterator[tuple[str, int, int]]:
    sizes = dict(stage.connection.execute("SELECT journal, size FROM head").fetchall())
    while True:
        journal = stage.draw.choice(sorted(sizes))
        yield journal, stage.draw.randrange(sizes[journal]), sizes[journal]


def entry_rehashed(stage: Stage) -> Iterator[Miss]:
    """A field is changed and the entry's own hash made right: it, or the next one's link, does not hold."""
    for journal, seq, size in _places(stage):
        body = stage.connection.execute(
            "SELECT body FROM entry WHERE journal = ? AND seq = ?", (journal, seq)
        ).fetchone()[0]
        entry = json.loads(body)
        path = stage.draw.choice(list(paths(entry)))
        value = stage.draw.choice(other_value(_at(entry, path), stage.draw))
        made = codec.encode(with_value(entry, path, lambda _, value=value: value))
        sql = "UPDATE entry SET body = ?, leaf = ? WHERE journal = ? AND seq = ?"
        last = (-1,) if seq == size - 1 else (seq + 1,)  # the head, or the next entry
        yield _whole(stage, f"{journal}/{seq} {path} {value!r:.60}", journal, (seq, *last),
                     (sql, (made, codec.leaf_hash(made), journal, seq)))  # fmt: skip


def entries_swapped(stage: Stage) -> Iterator[Miss]:
    """Two entries change places: rows, bodies, or hashes."""
    for journal, one, size in _places(stage):
        two = stage.draw.randrange(size)
        if one == two:
            continue
        columns = stage.draw.choice(
            ("seq", "body", "leaf", "body, leaf", "prev", "leaf, prev, kind, subject, recorded_at, body")
        )
        first = min(one, two)
        if columns == "seq":
            move = "UPDATE entry SET seq = ? WHERE journal = ? AND seq = ?"
            todo = [(move, (10**6, journal, one)), (move, (one, journal, two)), (move, (two, journal, 10**6))]
        else:
            read = f"SELECT {columns} FROM entry WHERE journal = ? AND seq = ?"
            rows = [stage.connection.execute(read, (journal, n)).fetchone()
                    for n in (one, two)]  # fmt: skip
            sets = ", ".join(f"{name} = ?" for name in columns.split(", "))
            sql = f"UPDATE entry SET {sets} WHERE journal = ? AND seq = ?"
            todo = [(sql, (*rows[1], journal, one)), (sql, (*rows[0], journal, two))]
        yield _whole(stage, f"{journal}: {one} and {two} swap {columns}", journal, (first,), *todo)


def entries_doubled(stage: Stage) -> Iterator[Miss]:
    """An entry stands a second time: in another's place, at the end, or in another journal."""
    copy = "leaf, prev, kind, subject, recorded_at, body"
    for journal, seq, _ in _places(stage):
        row = stage.connection.execute(
            f"SELECT {copy} FROM entry WHERE journal = ? AND seq = ?", (journal, seq)
        ).fetchone()
        other, at, _ = next(_places(stage))
        if (other, at) != (journal, seq):
            sql = f"UPDATE entry SET {copy.replace(',', ' = ?,')} = ? WHERE journal = ? AND seq = ?"
            yield _whole(stage, f"{journal}/{seq} over {other}/{at}", other, (at,), (sql, (*row, other, at)))
        for where in sorted({journal, other}):
            end = dict(stage.connection.execute("SELECT journal, size FROM head").fetchall())[where]
            sql = f"INSERT INTO entry (journal, seq, {copy}) VALUES (?,?,?,?,?,?,?,?)"
            yield _whole(
                stage, f"{journal}/{seq} again at the end of {where}", where, (end,), (sql, (where, end, *row))
            )
            yield _whole(
                stage,
                f"{journal}/{seq} again before the beginning of {where}",
                where,
                (-7, 0),
                (sql, (where, -7, *row)),
            )
            head = "UPDATE head SET size = size + 1 WHERE journal = ?"
            yield _whole(
                stage,
                f"the same with a longer head ({where})",
                where,
                (end,),
                (sql, (where, end, *row)),
                (head, (where,)),
            )


def entries_deleted(stage: Stage) -> Iterator[Miss]:
    """One entry is gone, or lies in another journal, or under another number."""
    for journal, seq, size in _places(stage):
        where = " WHERE journal = ? AND seq = ?"
        yield _whole(stage, f"{journal}/{seq} deleted", journal, (seq,), ("DELETE FROM entry" + where, (journal, seq)))
        sql = "UPDATE entry SET journal = ?, seq = seq + 100000" + where
        other = stage.draw.choice([one for one in ("east", "north", "west", "nowhere") if one != journal])
        yield _whole(stage, f"{journal}/{seq} to {other}", journal, (seq,), (sql, (other, journal, seq)))
        sql = "UPDATE entry SET seq = ?" + where
        for new in (size + 5, -1 - seq):
            yield _whole(stage, f"{journal}/{seq} as {new}", journal, (seq, 0), (sql, (new, journal, seq)))


def entries_cut(stage: Stage) -> Iterator[Miss]:
    """A run of entries is gone: from the front, from the middle, from the end; plain, or with what follows renumbered
    and the head set."""
    for journal, seq, size in _places(stage):
        count = stage.draw.randrange(1, max(2, size - seq))
        cut = "DELETE FROM entry WHERE journal = ? AND seq >= ? AND seq < ?"
        move = "UPDATE entry SET seq = -seq - 1 WHERE journal = ? AND seq >= ?"
        back = "UPDATE entry SET seq = -(seq + 1) - ? WHERE journal = ? AND seq < 0"
        head = (
            "UPDATE head SET size = ?, (leaf, recorded_at) = "
            "(SELECT leaf, recorded_at FROM entry WHERE journal = ? AND seq = ?) WHERE journal = ?"
        )
        for start, end in ((0, count), (seq, seq + count), (size - count, size)):
            yield _whole(stage, f"{journal} {start}..{end} cut", journal, (start,), (cut, (journal, start, end)))
            if end < size:
                closed = (move, (journal, end)), (back, (end - start, journal))
                said = f"{journal} {start}..{end} cut and closed up"
                yield _whole(stage, said, journal, (start,), (cut, (journal, start, end)), *closed)
            elif start:
                ends = (head, (start, journal, start - 1, journal))
                said = f"{journal} ends at {start}, the head says so"
                yield _whole(stage, said, journal, (-1, *range(start + 1)), (cut, (journal, start, end)), ends)


CLASSES: dict[str, Class] = {
    "an entry's bytes": entry_bytes,
    "an entry's fields": entry_fields,
    "an entry's columns": entry_columns,
    "an entry with its hash": entry_rehashed,
    "entries swapped": entries_swapped,
    "entries doubled": entries_doubled,
    "entries deleted": entries_deleted,
    "entries cut": entries_cut,
}

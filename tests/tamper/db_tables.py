# SPDX-License-Identifier: Apache-2.0
"""Rows that are derived from entries: every column of every table, rows deleted, invented, exchanged."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

from tests.tamper import tables
from tests.tamper.stage import Class, Miss, Stage, other_bytes, other_number, other_text

WHOLE_EVERY = 300
Row = dict[str, Any]


def _table(stage: Stage, table: str) -> tuple[list[str], list[Row]]:
    """Columns, and this process's share of the rows."""
    assert stage.prepared  # before anything is changed
    columns = [row[1] for row in stage.connection.execute(f"PRAGMA table_info({table})")]
    part, parts = stage.share
    rows = [
        dict(zip(columns, row, strict=True))
        for row in stage.connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3")
    ]
    return columns, rows[part::parts]


def _others(stage: Stage, value: Any, pool: list[Any]) -> list[Any]:
    draw = stage.draw
    change: Callable[..., list[Any]] = (
        other_number if isinstance(value, int) else other_bytes if isinstance(value, bytes) else other_text
    )
    made = [*change(value, draw), *draw.sample(pool, min(3, len(pool)))]
    return [one for one in dict.fromkeys(made) if one != value]


def _is_named(table: str, rows: list[Row], found: Any) -> bool:
    """Does the first finding name the row: by its journal and its key, or the entry that it follows from?"""
    if "CRASHED" in found.what:
        return False
    journals = {row.get("journal", "") for row in rows} | {""}
    if found.journal not in journals:
        return False
    said = found.what
    if "without a head" in said:
        return True
    match table:
        case "balance" | "account_state":
            return any(row["account"] in said or repr(row["account"]) in said for row in rows) or (
                "a seal" in said and any(str(row.get("as_of")) in said for row in rows)
            )
        case "member" | "tally":
            return any(row["subject"] in said or repr(row["subject"]) in said for row in rows)
        case "hold":
            return any(row["hold"] in said or repr(row["hold"]) in said for row in rows)
        case "reversed" | "cause":
            return (
                any((found.journal, found.seq) == (row["journal"], row["seq"]) for row in rows) or found.journal == ""
            )
        case "tree":
            return "tree" in said
        case "epoch":
            return (
                any(f"epoch {row['epoch']}" in said or f"{row['epoch']} follows" in said for row in rows)
                or "epochs" in said
            )
        case "checkpoint":
            return "checkpoint" in said or "key of entry" in said or "pin" in said
        case _:
            return True


def _judge(stage: Stage, table: str, rows: list[Row], said: str) -> Miss:
    """After a change to these rows (as they were and as they are)."""
    logs = dict.fromkeys(row.get("journal", "") for row in rows)
    everywhere = table in ("cause", "reversed", "checkpoint", "epoch")
    found = [one for log in logs if log in stage.prepared.replays or everywhere
             for one in stage.prepared.judge(log, table)]  # fmt: skip
    found = found or (stage.prepared.judge("east", table) if not set(logs) & set(stage.prepared.replays) else [])
    if not found or not any(_is_named(table, rows, one) for one in found):
        return f"{table}: {said}: found {[tuple(one) for one in found[:2]]}"
    if stage.draw.randrange(WHOLE_EVERY) == 0:
        whole = tables.judge(stage.connection, stage.pins).findings
        if not whole or not any(_is_named(table, rows, one) for one in whole):
            return f"{table}: {said}: a whole check found {[tuple(one) for one in whole[:2]]}"
    return None


def _same(table: str, column: str, old: Any, new: Any) -> bool:
    """Is it the same value in another spelling?"""
    if table != "hold" or column != "lots":
        return False
    return tables.read_json(old) == tables.read_json(new)


def columns(table: str) -> Class:
    """Every column of every row of a table, to other values."""

    def mutate(stage: Stage) -> Iterator[Miss]:
        names, rows = _table(stage, table)
        where = " AND ".join(f"{name} = ?" for name in tables.KEYS[table])
        pools = {name: list({row[name] for row in rows}) for name in names}
        while rows:
            for row in rows:
                key = [row[name] for name in tables.KEYS[table]]
                for name in names:
                    for value in _others(stage, row[name], pools[name]):
                        if _same(table, name, row[name], value):
                            continue
                        with tables.undone(stage.connection):
                            try:
                                sql = f"UPDATE {table} SET {name} = ? WHERE {where}"
                                stage.connection.execute(sql, (value, *key))
                            except (sqlite3.IntegrityError, OverflowError):
                                continue  # that key is taken
                            said = f"{name} of {key} from {row[name]!r:.60} to {value!r:.60}"
                            yield _judge(stage, table, [row, {**row, name: value}], said)

    mutate.__doc__ = f"Every column of table {table}."
    return mutate


def _long_text(stage: Stage, table: str, column: str) -> Iterator[Miss]:
    """Every byte of a long text."""
    _, rows = _table(stage, table)
    where = " AND ".join(f"{name} = ?" for name in tables.KEYS[table])
    while rows:
        row = stage.draw.choice(rows)
        text, at = row[column], stage.draw.randrange(len(row[column]))
        new = (
            text[:at]
            + stage.draw.choice([c for c in "0aA+/= \n—,{}9" if c != text[at]])
            + text[at + stage.draw.randrange(2) :]
        )
        if new != text and not _same(table, column, text, new):
            with tables.undone(stage.connection):
                key = [row[name] for name in tables.KEYS[table]]
                stage.connection.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (new, *key))
                yield _judge(stage, table, [row], f"{column} of {key}, character {at}")


def checkpoint_notes(stage: Stage) -> Iterator[Miss]:
    """A character of a signed note."""
    return _long_text(stage, "checkpoint", "note")


def epoch_members(stage: Stage) -> Iterator[Miss]:
    """A character of an epoch's members."""
    return _long_text(stage, "epoch", "members")


def state_texts(stage: Stage) -> Iterator[Miss]:
    """A character of a sealed state."""
    while True:
        yield from (miss for miss, _ in zip(_long_text(stage, "account_state", "balances"), range(20), strict=False))
        yield from (miss for miss, _ in zip(_long_text(stage, "account_state", "seqs"), range(20), strict=False))


def hold_lots(stage: Stage) -> Iterator[Miss]:
    """A character of what a hold has in which lots."""
    return _long_text(stage, "hold", "lots")


DERIVED = [name for name in tables.KEYS if name != "entry"]


def rows_deleted(stage: Stage) -> Iterator[Miss]:
    """One row of a derived table is gone."""
    while True:
        for table in DERIVED:
            _, rows = _table(stage, table)
            if rows:
                row = stage.draw.choice(rows)
                where = " AND ".join(f"{name} = ?" for name in tables.KEYS[table])
                with tables.undone(stage.connection):
                    stage.connection.execute(
                        f"DELETE FROM {table} WHERE {where}", [row[name] for name in tables.KEYS[table]]
                    )
                    if table == "head":
                        found = tables.judge(stage.connection, stage.pins).findings
                        named = any("without a head" in one.what and one.journal == row["journal"] for one in found)
                        yield None if named else f"head of {row['journal']} deleted: {found[:2]}"
                    else:
                        yield _judge(stage, table, [row], f"{[row[name] for name in tables.KEYS[table]]} deleted")


def rows_invented(stage: Stage) -> Iterator[Miss]:
    """A row of a derived table is there that nothing led to: like another, under another key."""
    while True:
        for table in DERIVED:
            names, rows = _table(stage, table)
            if not rows or table == "head":
                continue
            row = dict(stage.draw.choice(rows))
            old = dict(row)
            column = stage.draw.choice(tables.KEYS[table])
            row[column] = stage.draw.choice(_others(stage, row[column], []))
            with tables.undone(stage.connection):
                try:
                    sql = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
                    stage.connection.execute(sql, [row[name] for name in names])
                except (sqlite3.IntegrityError, OverflowError):
                    continue
                yield _judge(stage, table, [row, old], f"{[row[name] for name in tables.KEYS[table]]} invented")


def rows_exchanged(stage: Stage) -> Iterator[Miss]:
    """Two rows of a derived table change what they say; sums stay as they were."""
    while True:
        for table in DERIVED:
            names, rows = _table(stage, table)
            rest = [name for name in names if name not in tables.KEYS[table]]
            if len(rows) < 2:
                continue
            one, two = stage.draw.sample(rows, 2)
            if all(one[name] == two[name] for name in rest):
                continue
            where = " AND ".join(f"{name} = ?" for name in tables.KEYS[table])
            sql = f"UPDATE {table} SET {', '.join(f'{name} = ?' for name in rest)} WHERE {where}"
            with tables.undone(stage.connection):
                for to, values in ((one, two), (two, one)):
                    stage.connection.execute(
                        sql, [*(values[name] for name in rest), *(to[name] for name in tables.KEYS[table])]
                    )
                yield _judge(stage, table, [one, two], f"{[one[n] for n in tables.KEYS[table]]} and "
                                                       f"{[two[n] for n in tables.KEYS[table]]} exchanged")  # fmt: skip


def balances_balanced(stage: Stage) -> Iterator[Miss]:
    """Points go from one balance to another, or from one lot to another: every sum is as before."""
    _, rows = _table(stage, "balance")
    while len(rows) > 1:
        one, two = stage.draw.sample(rows, 2)
        if (one["journal"], one["unit"]) != (two["journal"], two["unit"]):
            continue
        by = stage.draw.choice((1, 5, 100, -100, 10_000))
        sql = "UPDATE balance SET amount = amount + ? WHERE journal = ? AND account = ? AND unit = ? AND lot = ?"
        with tables.undone(stage.connection):
            for row, change in ((one, by), (two, -by)):
                stage.connection.execute(sql, (change, *(row[name] for name in tables.KEYS["balance"])))
            yield _judge(stage, "balance", [one, two], f"{by} from {two['account']} to {one['account']}")


CLASSES: dict[str, Class] = {
    **{f"table {table}": columns(table) for table in DERIVED},
    "a signed note's characters": checkpoint_notes,
    "an epoch's members": epoch_members,
    "sealed states' characters": state_texts,
    "a hold's lots": hold_lots,
    "derived rows deleted": rows_deleted,
    "derived rows invented": rows_invented,
    "derived rows exchanged": rows_exchanged,
    "balances that still balance": balances_balanced,
}

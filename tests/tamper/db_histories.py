# SPDX-License-Identifier: Apache-2.0
"""Whole other histories in the database: chained, sealed and derived anew, by somebody with every right but the pin."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from ledger.keys import Signer
from tests.export_maker import FIRST, NAME, RECOVERY, SECOND, THIRD
from tests.tamper import tables
from tests.tamper.past import Entry, Past, Signing, as_before
from tests.tamper.stage import Class, Miss, Stage

STRANGER = Signer(NAME, b"x" * 32)
STRANGER_RECOVERY = Signer(f"{NAME}/recovery", b"y" * 32)


def with_first(signers: Sequence[Signer]) -> Sequence[Signer]:
    """The retired first key, which was stolen, and nothing else."""
    return [FIRST]


def with_stranger(signers: Sequence[Signer]) -> Sequence[Signer]:
    return [STRANGER if one is not RECOVERY else STRANGER_RECOVERY for one in signers]


def draw_harmless(stage: Stage, past: Past) -> tuple[str, Entry]:
    """An entry, and a change to it that no rule can object to."""
    while True:
        journal = stage.draw.choice(sorted(past.entries))
        entry = stage.draw.choice(past.entries[journal])
        name = stage.draw.choice(("nonce", "request", "actor", "trace", "memo", "evidence", "txn"))
        if name not in entry or (name == "txn" and entry["kind"] in ("move", "refund", "void", "release")):
            continue
        if name == "evidence":
            entry[name] = [*entry[name], f"{stage.draw.getrandbits(256):064x}"]
        elif name in ("actor", "txn"):
            entry[name] += "x"
        else:
            entry[name] = f"{stage.draw.getrandbits(256):064x}"[: len(entry[name])]
        return journal, entry


def _judge(stage: Stage, past: Past, said: str, signing: Signing = as_before, *, points: bool = True) -> Miss:
    """`points` false: the checkpoints, epochs and tiles that were there stay."""
    keep = {t: stage.connection.execute(f"SELECT * FROM {t}").fetchall() for t in ("checkpoint", "epoch", "tree")}
    with tables.undone(stage.connection):
        tables.write(past, stage.connection, signing)
        if not points:
            for table, rows in keep.items():
                stage.connection.execute(f"DELETE FROM {table}")
                if rows:  # a short journal has no tiles yet
                    marks = ", ".join("?" * len(rows[0]))
                    stage.connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        found = tables.judge(stage.connection, stage.pins).findings
        if not any("CRASHED" in one.what for one in found) and found:
            return None
        refused = tables.guard_refuses(stage.connection, stage.deployment.guard)
    return f"{said}: {found}; the guard: {refused}"


def rechained(signing: Signing, *, points: bool = True, strange: bool = False) -> Class:
    """One harmless change, and everything after it made good."""

    def mutate(stage: Stage) -> Iterator[Miss]:
        while True:
            past = stage.past.copy()
            journal, entry = draw_harmless(stage, past)
            if strange:
                for rows in past.entries.values():
                    swap_keys(rows)
            before = past.bodies[journal][entry["seq"]]
            past.mend()
            assert past.bodies[journal][entry["seq"]] != before
            yield _judge(stage, past, f"{journal}/{entry['seq']} changed, chained to the end", signing, points=points)

    return mutate


def swap_keys(rows: list[Entry]) -> None:
    """The stranger's keys in entry 0 and in key entries."""
    for number, entry in enumerate(one for one in rows if "vkey" in one.get("data", {})):
        entry["data"]["vkey"] = STRANGER.vkey if not number else Signer(NAME, bytes([100 + number]) * 32).vkey
        if "recovery" in entry["data"]:
            entry["data"]["recovery"] = STRANGER_RECOVERY.vkey


def cut_and_derived(stage: Stage) -> Iterator[Miss]:
    """Entries are gone from the end of a journal, or of all at a moment; all else follows, the office's keys sign."""
    while True:
        past = stage.past.copy()
        journal = stage.draw.choice(sorted(past.entries))
        if stage.draw.random() < 0.5:
            keep = stage.draw.randrange(1, len(past.entries[journal]))
            said = f"{journal} ends at {keep}"
            del past.entries[journal][keep:]
        else:
            at = stage.draw.choice(past.entries[journal][5:])["recorded_at"]
            said = f"everything ends at {at}"
            for name, rows in past.entries.items():
                past.entries[name] = [one for one in rows if one["recorded_at"] < at]
            past.entries = {name: rows for name, rows in past.entries.items() if rows}
        yield _judge(stage, past.mend(), said)


def left_out(stage: Stage) -> Iterator[Miss]:
    """One entry, or a run of them, was never there: at the front, in the middle, at the end."""
    while True:
        past = stage.past.copy()
        journal = stage.draw.choice(sorted(past.entries))
        rows = past.entries[journal]
        start = stage.draw.choice((0, 1, stage.draw.randrange(len(rows)), len(rows) - 2))
        count = stage.draw.choice((1, 1, 2, 10, stage.draw.randrange(1, len(rows))))
        del rows[start : start + count]
        if rows:
            yield _judge(stage, past.mend(), f"{journal} without {start}..{start + count}")


def journal_deleted(stage: Stage) -> Iterator[Miss]:
    """A journal is gone: all its rows, or as if it had never been."""
    for journal in sorted(stage.past.entries):
        with tables.undone(stage.connection):
            for table, key in tables.KEYS.items():
                if "journal" in key:
                    stage.connection.execute(f"DELETE FROM {table} WHERE journal = ?", (journal,))
            found = tables.judge(stage.connection, stage.pins).findings
        yield None if found and not any("CRASH" in one.what for one in found) else f"{journal} deleted: {found}"
        past = stage.past.copy()
        del past.entries[journal]
        yield _judge(stage, past.mend(), f"{journal} was never there")
        other = stage.past.copy()
        other.entries[journal] = [
            e for e in other.entries[journal] if e["kind"] in ("open", "key") and "subject" not in e
        ]
        yield _judge(stage, other.mend(), f"{journal} is empty")


def renamed_journal(stage: Stage) -> Iterator[Miss]:
    """A journal under another name, everywhere."""
    for journal in sorted(stage.past.entries):
        for name in (journal + "2", journal.upper(), journal + "\u200b"):
            text = json.dumps(stage.past.entries).replace(f'"{journal}"', json.dumps(name))
            past = stage.past.copy()
            past.entries = json.loads(text)
            for rows in past.entries.values():
                for entry in rows:
                    for link in entry["links"]:
                        link["_to"] = tuple(link["_to"])
            past.notes[name] = past.notes.pop(journal)
            past.sizes = {name if key == journal else key: size for key, size in past.sizes.items()}
            past.epochs = [{name if key == journal else key: size for key, size in one.items()} for one in past.epochs]
            yield _judge(stage, past.mend(), f"{journal} is called {name}")


def stale(stage: Stage) -> Iterator[Miss]:
    """The whole database of an earlier day."""
    for path in stage.deployment.stale[:-1]:
        connection = tables.load(path)
        found = tables.judge(connection, stage.pins).findings
        refused = tables.guard_refuses(connection, stage.deployment.guard)
        yield None if found and refused else f"{path.name}: {found}; the guard: {refused}"
        connection.close()


def half_stale(stage: Stage) -> Iterator[Miss]:
    """One table of an earlier day among those of today."""
    for path in reversed(stage.deployment.stale[:-1]):
        old = tables.load(path)
        for table in tables.KEYS:
            rows = old.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall()
            if rows == stage.connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall():
                continue
            with tables.undone(stage.connection):
                stage.connection.execute(f"DELETE FROM {table}")
                if rows:
                    marks = ", ".join("?" * len(rows[0]))
                    stage.connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
                found = tables.judge(stage.connection, stage.pins).findings
            good = found and not any("CRASH" in one.what for one in found)
            yield None if good else f"table {table} of {path.name}: {found}"
        old.close()


def resigned(stage: Stage) -> Iterator[Miss]:
    """Checkpoints with the wrong signatures over the right text."""
    points = stage.past.checkpoints()
    ways: dict[str, Signing] = {
        "the stolen first key": with_first,
        "a stranger": with_stranger,
        "the recovery key": lambda who: [RECOVERY],
        "the second key": lambda who: [SECOND],
        "only the first of two": lambda who: who[:1] if len(who) > 1 else [STRANGER],
        "only the second of two": lambda who: who[1:] or [STRANGER],
        "the key twice": lambda who: [who[0], who[0]] if len(who) > 1 else [STRANGER, STRANGER],
    }
    for said, signing in ways.items():
        forged = stage.past.checkpoints(signing)
        for log, rows in forged.items():
            for (size, text, _), (_, good, _) in zip(rows, points[log], strict=True):
                fine = not log and any(
                    who in (FIRST, SECOND) for who in signing([THIRD])
                )  # any key of ours may sign epochs
                if text == good or fine:
                    continue
                with tables.undone(stage.connection):
                    sql = "UPDATE checkpoint SET note = ? WHERE journal = ? AND size = ?"
                    stage.connection.execute(sql, (text.decode(), log, size))
                    found = tables.judge(stage.connection, stage.pins).findings
                named = any(one.journal == log and "CRASH" not in one.what for one in found)
                yield None if named else f"{log}/{size} signed by {said}: {found}"


CLASSES: dict[str, Class] = {
    "rechained, old checkpoints": rechained(as_before, points=False),
    "rechained and signed again": rechained(as_before),
    "rechained, signed by a stolen old key": rechained(with_first),
    "rechained with strange keys": rechained(with_stranger, strange=True),
    "a cut, all else derived anew": cut_and_derived,
    "entries left out, all else derived anew": left_out,
    "a journal deleted": journal_deleted,
    "a journal renamed": renamed_journal,
    "a stale database": stale,
    "a stale table": half_stale,
    "checkpoints signed by others": resigned,
}

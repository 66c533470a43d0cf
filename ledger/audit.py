# SPDX-License-Identifier: Apache-2.0
"""Replay: every entry is read again, hashed again and applied again, and what follows is held against what is stored.

Says what it checked and what it did not. Trees, checkpoints and signatures are not part of it yet, so a journal that
passes is consistent with itself; that nobody replaced all of it is for a checkpoint held elsewhere to show.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from ledger.engine import Ledger
from ledger.replay import Counts, Departure, HeldSoFar, Replay, check
from ledger.view import rfc3339

CHUNK = 2_000

Progress = Callable[[int], None]


class Finding(NamedTuple):
    """One thing that does not hold, at the first entry where it shows (-1: not at an entry)."""

    journal: str
    seq: int
    what: str


@dataclass(slots=True)
class Report:
    """`lines` for people; `findings` empty when everything that was checked holds."""

    lines: list[str] = field(default_factory=list[str])
    findings: list[Finding] = field(default_factory=list[Finding])

    @property
    def ok(self) -> bool:
        return not self.findings


async def audit(ledger: Ledger, journal: str | None = None, progress: Progress | None = None) -> Report:
    """Replay one journal or all of them. Reads only."""
    report = Report()
    deeds: list[tuple[str, str, str, int, bool]] = []
    replays: list[Replay] = []
    reversals: dict[tuple[str, int], tuple[int, int]] = {}
    for head in await ledger.journals():
        if journal is not None and head["journal"] != journal:
            continue
        replay = Replay(head["journal"])
        before = len(report.findings)
        await _replay_entries(ledger, replay, report, progress)
        if len(report.findings) == before:
            _compare_head(replay, head, report)
            await _compare_derived(ledger, replay, report)
            await _compare_links(ledger, replay, report)
            replays.append(replay)
            deeds += [(at, replay.journal, cause, seq, new) for at, cause, seq, new in replay.deeds]
            for where, seq, by_seq, shortfall in replay.reversals:
                if (where, seq) in reversals:
                    report.findings.append(Finding(where, seq, "reversed twice"))
                reversals[where, seq] = (by_seq, shortfall)
        bad = report.findings[before:]
        report.lines.append(
            f"{replay.journal}: {replay.size} entries, "
            + (f"first fault at entry {bad[0].seq}: {bad[0].what}" if bad else "chain, balances, holds and caps agree")
        )
    if journal is None and report.ok:
        _compare_carried(replays, report)
        await _compare_global(ledger, _owners(deeds, report), reversals, report)
        await _find_strays(ledger, report)
    report.lines.append("not checked: checkpoints and signatures (NOT ANCHORED: consistent with itself only)")
    return report


async def _bodies(ledger: Ledger, journal: str) -> AsyncIterator[tuple[Any, ...]]:
    seq = -1
    while True:
        rows = await ledger.fetch(
            "SELECT seq, leaf, prev, kind, subject, recorded_at, body FROM entry WHERE journal = ? AND seq > ? "
            "ORDER BY seq LIMIT ?",
            journal, seq, CHUNK,
        )  # fmt: skip
        for row in rows:
            yield row
        if len(rows) < CHUNK:
            return
        seq = rows[-1][0]


async def _replay_entries(ledger: Ledger, replay: Replay, report: Report, progress: Progress | None) -> None:
    async for row in _bodies(ledger, replay.journal):
        fault = check(replay, row)
        if fault:
            report.findings.append(Finding(replay.journal, replay.size, fault))
            return
        replay.size += 1
        replay.leaf = bytes(row[1])
        if progress is not None and replay.size % CHUNK == 0:
            progress(CHUNK)


def _compare_head(replay: Replay, head: dict[str, Any], report: Report) -> None:
    stored = (head["size"], head["leaf"], head["recorded_at"], head["takeover"])
    if head["size"] > replay.size:
        report.findings.append(Finding(replay.journal, replay.size, "the head counts this entry, and it is missing"))
    elif stored != (replay.size, replay.leaf.hex(), replay.recorded_at, replay.takeover):
        report.findings.append(Finding(replay.journal, replay.size - 1, "the head does not stand at the last entry"))


async def _compare_derived(ledger: Ledger, replay: Replay, report: Report) -> None:
    def differ(what: str, stored: dict[Any, Any], expected: dict[Any, Any]) -> None:
        for key in stored.keys() | expected.keys():
            if stored.get(key) != expected.get(key):
                report.findings.append(
                    Finding(
                        replay.journal,
                        -1,
                        f"{what} {key}: stored {stored.get(key)}, replay {expected.get(key)}",
                    )
                )
                return

    journal = replay.journal
    rows = await ledger.fetch("SELECT account, unit, lot, amount FROM balance WHERE journal = ?", journal)
    differ("balance", {tuple(row[:3]): row[3] for row in rows}, replay.balances)

    rows = await ledger.fetch("SELECT subject, kind, state, home, opened_seq FROM member WHERE journal = ?", journal)
    differ("member", {row[0]: tuple(row[1:]) for row in rows}, replay.members)

    rows = await ledger.fetch("SELECT subject, cap, start, used FROM tally WHERE journal = ?", journal)
    tallies = {tuple(row[:3]): row[3] for row in rows}
    for key in [key for key in tallies if key[0] in replay.arrivals and key not in replay.tallies]:
        replay.brought.setdefault(key[0], {})[key[1:]] = tallies.pop(key)
    differ("tally", tallies, replay.tallies)

    rows = await ledger.fetch(
        "SELECT hold, subject, expires_at, amount, seq, leaf, state, captured, released, refunded, grace, lots "
        "FROM hold WHERE journal = ?",
        journal,
    )
    holds: dict[str, HeldSoFar] = {}
    for hold, subject, expires_at, amount, seq, leaf, state, captured, released, refunded, grace, lots in rows:
        opened = (subject, rfc3339(expires_at), amount, seq, bytes(leaf).hex())
        holds[hold] = HeldSoFar(*opened, state, captured, released, refunded, grace, orjson.loads(lots))
    differ("hold", holds, replay.holds)


async def _compare_links(ledger: Ledger, replay: Replay, report: Report) -> None:
    for seq, journal, target, leaf in replay.links:
        rows = await ledger.fetch("SELECT leaf FROM entry WHERE journal = ? AND seq = ?", journal, target)
        if not rows or bytes(rows[0][0]).hex() != leaf:
            report.findings.append(
                Finding(replay.journal, seq, f"it links an entry {journal}/{target} that is not there")
            )
            return


def _compare_carried(replays: list[Replay], report: Report) -> None:
    """What a subject's caps had counted when it moved, against what its new journal went on with."""
    departures: dict[Departure, tuple[Counts, Departure | None]] = {}
    for replay in replays:
        departures.update(replay.departures)

    def counted(where: Departure | None) -> Counts:
        own, before = departures.get(where, ({}, None)) if where is not None else ({}, None)
        return {**(counted(before) if before is not None else {}), **own}

    for replay in replays:
        for seq, subject, key, used, where in replay.carried:
            if counted(where).get(key, 0) != used:
                report.findings.append(Finding(replay.journal, seq, f"tally {key} of {subject} was not carried along"))
        for subject, where in replay.arrivals.items():
            own = {key[1:] for key in replay.tallies if key[0] == subject}
            expected = {key: used for key, used in counted(where).items() if key not in own}
            if replay.brought.get(subject, {}) != expected:
                report.findings.append(Finding(replay.journal, -1, f"tally of {subject} differs from what it brought"))


def _owners(deeds: list[tuple[str, str, str, int, bool]], report: Report) -> dict[str, tuple[str, int, int]]:
    """Cause → (journal, seq, replaced): the first award of each deed, and how many took its place (one may)."""
    owners: dict[str, tuple[str, int, int]] = {}
    for _, journal, cause, seq, new in sorted(deeds, key=lambda deed: (not deed[4], deed)):
        first = owners.get(cause)
        if first is None:
            owners[cause] = (journal, seq, 0)
        elif new or first[2]:
            report.findings.append(Finding(journal, seq, f"this deed was awarded before, at {first[0]}/{first[1]}"))
        else:
            owners[cause] = (*first[:2], 1)
    return owners


async def _find_strays(ledger: Ledger, report: Report) -> None:
    """Rows of journals that have no head."""
    for table in ("entry", "balance", "member", "tally", "hold"):
        rows = await ledger.fetch(
            f"SELECT DISTINCT journal FROM {table} WHERE journal NOT IN (SELECT journal FROM head) ORDER BY journal"
        )
        report.findings += [Finding(row[0], -1, f"table {table} has rows of a journal without a head") for row in rows]


async def _compare_global(
    ledger: Ledger,
    owners: dict[str, tuple[str, int, int]],
    reversals: dict[tuple[str, int], tuple[int, int]],
    report: Report,
) -> None:
    """Tables that span journals: causes and reversals."""
    rows = await ledger.fetch("SELECT digest, journal, seq, reversed, replaced FROM cause")
    expected = {cause: (j, seq, int((j, seq) in reversals), replaced) for cause, (j, seq, replaced) in owners.items()}
    if {bytes(row[0]).hex(): tuple(row[1:]) for row in rows} != expected:
        report.findings.append(Finding("", -1, "the table of deeds does not agree with the entries"))
    rows = await ledger.fetch("SELECT journal, seq, by_seq, shortfall FROM reversed")
    if {(journal, seq): (by, short) for journal, seq, by, short in rows} != reversals:
        report.findings.append(Finding("", -1, "the table of reversals does not agree with the entries"))

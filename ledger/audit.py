# SPDX-License-Identifier: Apache-2.0
"""Replay: every entry is read again, hashed again and applied again, and what follows is held against what is stored.

Says what it checked and what it did not. Trees, checkpoints and signatures are not part of it yet, so a journal that
passes is consistent with itself; that nobody replaced all of it is for a checkpoint held elsewhere to show.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from ledger import codec
from ledger.engine import Ledger
from ledger.model import FOREVER, KINDS, bounds

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


@dataclass(slots=True)
class _Replay:
    """One journal, rebuilt from its entries alone."""

    journal: str
    size: int = 0
    leaf: bytes = b""
    recorded_at: str = ""
    takeover: int = 0
    balances: dict[tuple[str, str, str], int] = field(default_factory=dict[tuple[str, str, str], int])
    members: dict[str, tuple[str, str, str]] = field(default_factory=dict[str, tuple[str, str, str]])
    tallies: dict[tuple[str, str, str], int] = field(default_factory=dict[tuple[str, str, str], int])
    newcomers: set[str] = field(default_factory=set[str])
    holds: dict[str, dict[str, list[int]]] = field(default_factory=dict[str, dict[str, list[int]]])
    causes: dict[str, int] = field(default_factory=dict[str, int])
    reversals: list[tuple[str, int, int, int]] = field(default_factory=list[tuple[str, int, int, int]])


async def audit(ledger: Ledger, journal: str | None = None, progress: Progress | None = None) -> Report:
    """Replay one journal or all of them. Reads only."""
    report = Report()
    causes: dict[str, tuple[str, int]] = {}
    reversals: dict[tuple[str, int], tuple[int, int]] = {}
    for head in await ledger.journals():
        if journal is not None and head["journal"] != journal:
            continue
        replay = _Replay(head["journal"])
        before = len(report.findings)
        await _replay_entries(ledger, replay, report, progress)
        if len(report.findings) == before:
            _compare_head(replay, head, report)
            await _compare_derived(ledger, replay, report)
            _merge_causes(replay, causes, report)
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
        await _compare_global(ledger, causes, reversals, report)
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


async def _replay_entries(ledger: Ledger, replay: _Replay, report: Report, progress: Progress | None) -> None:
    async for row in _bodies(ledger, replay.journal):
        fault = _check(replay, row)
        if fault:
            report.findings.append(Finding(replay.journal, replay.size, fault))
            return
        replay.size += 1
        replay.leaf = bytes(row[1])
        if progress is not None and replay.size % CHUNK == 0:
            progress(CHUNK)


def _check(replay: _Replay, row: tuple[Any, ...]) -> str | None:
    """Check one entry against its columns and the replay so far, and apply it; the first fault in words."""
    seq, leaf, prev, kind, subject, recorded_at, body = row
    body = bytes(body)
    if seq != replay.size:
        return f"entry {replay.size} is missing, {seq} follows"
    if codec.leaf_hash(body) != bytes(leaf):
        return "the bytes do not have the stored hash"
    try:
        entry = codec.decode(body)
        return (
            _check_columns(replay, entry, bytes(prev), kind, subject, recorded_at)
            or _apply_postings(replay, entry)
            or _apply_caps(replay, entry)
            or _apply_kind(replay, entry)
        )
    except codec.NotCanonical as error:
        return f"not canonical: {error}"
    except (KeyError, TypeError, ValueError) as error:
        return f"a field is missing or malformed: {error!r}"


def _check_columns(
    replay: _Replay, entry: dict[str, Any], prev: bytes, kind: str, subject: str | None, recorded_at: int
) -> str | None:
    if (entry["v"], entry["journal"], entry["seq"]) != (1, replay.journal, replay.size):
        return "version, journal or seq inside the entry is another"
    if entry["prev"] != prev.hex() or (replay.size and prev != replay.leaf):
        return "prev is not the hash of the entry before"
    if not replay.size:
        data = entry["data"]
        if entry["prev"] != codec.genesis_prev(data["origin"], data["vkey"], data["recovery"], data["policy"]):
            return "entry 0 does not start from its own origin, keys and policy"
        replay.takeover = data["policy"].get("takeover", 0)
    if entry["kind"] != kind or kind not in KINDS or entry.get("subject") != subject:
        return "kind or subject beside the entry is another than inside"
    instant = datetime.strptime(entry["recorded_at"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    if round(instant.timestamp() * 1_000_000) != recorded_at or entry["recorded_at"] <= replay.recorded_at:
        return "recorded_at does not rise or differs from the column"
    replay.recorded_at = entry["recorded_at"]
    return None


def _apply_postings(replay: _Replay, entry: dict[str, Any]) -> str | None:
    sums: dict[str, int] = defaultdict(int)
    for line in entry["postings"]:
        key = (line["account"], line["unit"], line.get("lot", FOREVER))
        sums[line["unit"]] += line["amount"]
        balance = replay.balances.get(key, 0) + line["amount"]
        low, high = bounds(line["account"])
        if not low <= balance <= high:
            return f"balance of {key[0]} in lot {key[2]} would be {balance}"
        if balance:
            replay.balances[key] = balance
        else:
            replay.balances.pop(key, None)
    return "postings do not sum to zero" if any(sums.values()) else None


def _apply_caps(replay: _Replay, entry: dict[str, Any]) -> str | None:
    for cap in entry["caps"]:
        key = (entry["subject"], cap["id"], cap["from"])
        known = replay.tallies.get(key)
        if known is None and entry["subject"] in replay.newcomers:
            known = cap["used_before"]  # carried along by a move; the journal it came from has the sum
        if cap["used_before"] != (known or 0):
            return f"cap {cap['id']} counted {cap['used_before']} before, the replay {known or 0}"
        after = cap["used_before"] + cap["let"]
        if cap["let"] > 0 and after > cap["limit"]:
            return f"cap {cap['id']} let {after} through, its limit is {cap['limit']}"
        replay.tallies[key] = after
    return None


def _apply_kind(replay: _Replay, entry: dict[str, Any]) -> str | None:
    kind, subject, data = entry["kind"], entry.get("subject"), entry.get("data", {})
    if kind == "open" and subject is not None:
        if subject in replay.members:
            return "the account was open already"
        replay.members[subject] = (data["kind"], "open", replay.journal)
    elif kind == "policy" and "takeover" in data:
        replay.takeover = data["takeover"]
    elif kind == "move" and subject is not None and not any(x["rel"] == "released_from" for x in entry["links"]):
        was = replay.members.get(subject, ("", "", ""))
        if "to" in data:
            replay.members[subject] = (was[0], "moved", data["to"])
        else:
            replay.newcomers.add(subject)
            replay.members[subject] = (was[0], "open", replay.journal)
    elif kind in ("award", "deduct"):
        if entry["cause"] in replay.causes and not any(x["rel"] == "replaces" for x in entry["links"]):
            return "this deed was awarded before"
        replay.causes.setdefault(entry["cause"], entry["seq"])
    elif kind == "reverse":
        link = next(x for x in entry["links"] if x["rel"] == "reverses")
        replay.reversals.append((link.get("journal", replay.journal), link["seq"], entry["seq"], data["shortfall"]))
    elif kind in ("hold", "capture", "release", "refund", "void"):
        _apply_hold(replay, entry)
    return None


def _apply_hold(replay: _Replay, entry: dict[str, Any]) -> None:
    """Captured and refunded points per hold and lot; what is still held are the hold's own balances."""
    for line in entry["postings"]:
        if line["account"].startswith("held:"):
            hold = replay.holds.setdefault(line["account"].removeprefix("held:"), {})
            sums = hold.setdefault(entry["kind"], [0])
            sums[0] += line["amount"]


def _compare_head(replay: _Replay, head: dict[str, Any], report: Report) -> None:
    stored = (head["size"], head["leaf"], head["recorded_at"], head["takeover"])
    if stored != (replay.size, replay.leaf.hex(), replay.recorded_at, replay.takeover):
        report.findings.append(Finding(replay.journal, replay.size - 1, "the head does not stand at the last entry"))


async def _compare_derived(ledger: Ledger, replay: _Replay, report: Report) -> None:
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

    rows = await ledger.fetch("SELECT subject, kind, state, home FROM member WHERE journal = ?", journal)
    stored = {row[0]: tuple(row[1:]) for row in rows}
    came = {s: (stored[s][0], *m[1:]) if not m[0] and s in stored else m for s, m in replay.members.items()}
    differ("member", stored, came)

    rows = await ledger.fetch("SELECT subject, cap, start, used FROM tally WHERE journal = ?", journal)
    tallies = {tuple(row[:3]): row[3] for row in rows}
    carried = {key for key in tallies if key[0] in replay.newcomers and key not in replay.tallies}
    differ("tally", {key: used for key, used in tallies.items() if key not in carried}, replay.tallies)

    rows = await ledger.fetch("SELECT hold, captured, released, refunded, lots FROM hold WHERE journal = ?", journal)
    for hold, captured, released, refunded, lots in rows:
        sums = {kind: total[0] for kind, total in replay.holds.get(hold, {}).items()}
        back = sums.get("refund", 0) + sums.get("void", 0)
        expected = (-sums.get("capture", 0), -sums.get("release", 0) - back, back)
        held = {lot: part[0] for lot, part in orjson.loads(lots).items() if part[0]}
        kept = {key[2]: amount for key, amount in replay.balances.items() if key[0] == f"held:{hold}"}
        if (captured, released, refunded) != expected or held != kept:
            report.findings.append(Finding(journal, -1, f"hold {hold} does not agree with its entries"))
    if {row[0] for row in rows} != replay.holds.keys():
        report.findings.append(Finding(journal, -1, "holds are missing or invented"))


def _merge_causes(replay: _Replay, causes: dict[str, tuple[str, int]], report: Report) -> None:
    for cause, seq in replay.causes.items():
        if cause in causes:
            report.findings.append(Finding(replay.journal, seq, f"this deed was awarded in {causes[cause][0]} too"))
        causes[cause] = (replay.journal, seq)


async def _compare_global(
    ledger: Ledger,
    causes: dict[str, tuple[str, int]],
    reversals: dict[tuple[str, int], tuple[int, int]],
    report: Report,
) -> None:
    """Tables that span journals: causes and reversals."""
    rows = await ledger.fetch("SELECT digest, journal, seq FROM cause")
    if {bytes(digest).hex(): (journal, seq) for digest, journal, seq in rows} != causes:
        report.findings.append(Finding("", -1, "the table of deeds does not agree with the entries"))
    rows = await ledger.fetch("SELECT journal, seq, by_seq, shortfall FROM reversed")
    if {(journal, seq): (by, short) for journal, seq, by, short in rows} != reversals:
        report.findings.append(Finding("", -1, "the table of reversals does not agree with the entries"))

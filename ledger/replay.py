# SPDX-License-Identifier: Apache-2.0
"""One journal rebuilt from its entries alone: each entry is checked against the rules of docs/spec/entry.md and applied
to what the entries before it left. Reads no database and knows nothing of what is stored beside the entries."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ledger import codec
from ledger.model import FOREVER, KINDS, bounds

Counts = dict[tuple[str, str], int]  # (cap, first day) → used, of one subject
Departure = tuple[str, int]  # the entry by which a subject left a journal


@dataclass(slots=True)
class HeldSoFar:
    """A hold as its entries tell it: what its row must say."""

    subject: str
    expires_at: str
    amount: int
    seq: int
    leaf: str
    state: str = "held"
    captured: int = 0
    released: int = 0
    refunded: int = 0
    grace: str = ""
    lots: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    passing: int = 0  # refunded by the entry before, and on its way to the person by the next

    def apply(self, kind: str, lines: list[dict[str, Any]], data: dict[str, Any]) -> None:
        amount = sum(line["amount"] for line in lines)
        if kind == "capture":
            self.captured -= amount
            for line in lines:
                part = self.lots[line.get("lot", FOREVER)]
                part[0] += line["amount"]
                part[1] -= line["amount"]
        elif kind in ("refund", "void"):
            self.refunded += amount
            self.passing = amount
            days = [line.get("lot", FOREVER) for line in lines]
            self.grace = next((day for day in days if day not in self.lots), self.grace)
            for lot in sorted(self.lots, reverse=True):
                part = min(amount, self.lots[lot][1])
                self.lots[lot][1] -= part
                amount -= part
        elif self.passing:
            self.passing = 0
        else:
            self.released -= amount
            self.state = "expired" if data.get("expired") else "closed"
            for part in self.lots.values():
                part[0] = 0
        if self.state == "held" and not any(part[0] for part in self.lots.values()):
            self.state = "closed"


@dataclass(slots=True)
class Replay:
    """One journal, rebuilt from its entries alone."""

    journal: str
    size: int = 0
    leaf: bytes = b""
    recorded_at: str = ""
    takeover: int = 0
    balances: dict[tuple[str, str, str], int] = field(default_factory=dict[tuple[str, str, str], int])
    members: dict[str, tuple[str, str, str, int]] = field(default_factory=dict[str, tuple[str, str, str, int]])
    tallies: dict[tuple[str, str, str], int] = field(default_factory=dict[tuple[str, str, str], int])
    holds: dict[str, HeldSoFar] = field(default_factory=dict[str, HeldSoFar])
    deeds: list[tuple[str, str, int, bool]] = field(default_factory=list[tuple[str, str, int, bool]])
    reversals: list[tuple[str, int, int, int]] = field(default_factory=list[tuple[str, int, int, int]])
    links: list[tuple[int, str, int, str]] = field(default_factory=list[tuple[int, str, int, str]])
    arrivals: dict[str, Departure] = field(default_factory=dict[str, Departure])
    departures: dict[Departure, tuple[Counts, Departure | None]] = field(
        default_factory=dict[Departure, tuple[Counts, Departure | None]]
    )
    carried: list[tuple[int, str, tuple[str, str], int, Departure]] = field(
        default_factory=list[tuple[int, str, tuple[str, str], int, Departure]]
    )
    brought: dict[str, Counts] = field(default_factory=dict[str, "Counts"])


def check(replay: Replay, row: tuple[Any, ...]) -> str | None:
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
    replay: Replay, entry: dict[str, Any], prev: bytes, kind: str, subject: str | None, recorded_at: int
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


def _apply_postings(replay: Replay, entry: dict[str, Any]) -> str | None:
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


def _apply_caps(replay: Replay, entry: dict[str, Any]) -> str | None:
    for cap in entry["caps"]:
        key = (entry["subject"], cap["id"], cap["from"])
        known = replay.tallies.get(key)
        if known is None and entry["subject"] in replay.arrivals:
            known = cap["used_before"]  # carried along by a move: compared when the other journals have been read
            where = replay.arrivals[entry["subject"]]
            replay.carried.append((entry["seq"], entry["subject"], (cap["id"], cap["from"]), known, where))
        if cap["used_before"] != (known or 0):
            return f"cap {cap['id']} counted {cap['used_before']} before, the replay {known or 0}"
        after = cap["used_before"] + cap["let"]
        if cap["let"] > 0 and after > cap["limit"]:
            return f"cap {cap['id']} let {after} through, its limit is {cap['limit']}"
        replay.tallies[key] = after
    return None


def _apply_kind(replay: Replay, entry: dict[str, Any]) -> str | None:
    kind, subject, data = entry["kind"], entry.get("subject"), entry.get("data", {})
    for link in entry["links"]:
        if link["rel"] != "hold":  # those are compared with the hold
            replay.links.append((entry["seq"], link.get("journal", replay.journal), link["seq"], link["leaf"]))
    if kind == "open" and subject is not None:
        if subject in replay.members:
            return "the account was open already"
        replay.members[subject] = (data["kind"], "open", replay.journal, entry["seq"])
    elif kind == "policy" and "takeover" in data:
        replay.takeover = data["takeover"]
    elif kind == "move" and subject is not None and not any(x["rel"] == "released_from" for x in entry["links"]):
        was = replay.members.get(subject)
        if "to" in data:
            if was is None or was[1] != "open":
                return "an account that is not here cannot move away"
            replay.members[subject] = (was[0], "moved", data["to"], was[3])
            own = {key[1:]: used for key, used in replay.tallies.items() if key[0] == subject}
            replay.departures[replay.journal, entry["seq"]] = (own, replay.arrivals.get(subject))
        else:
            link = next(x for x in entry["links"] if x["rel"] == "moved_from")
            replay.arrivals[subject] = (link["journal"], link["seq"])
            for key in [key for key in replay.tallies if key[0] == subject]:
                del replay.tallies[key]  # what it brought along stands over what it left
            opened = entry["seq"] if was is None else was[3]
            replay.members[subject] = (data["kind"], "open", replay.journal, opened)
    elif kind in ("award", "deduct"):
        replaces = any(x["rel"] == "replaces" for x in entry["links"])
        replay.deeds.append((entry["recorded_at"], entry["cause"], entry["seq"], not replaces))
    elif kind == "reverse":
        link = next(x for x in entry["links"] if x["rel"] == "reverses")
        replay.reversals.append((link.get("journal", replay.journal), link["seq"], entry["seq"], data["shortfall"]))
    elif kind in ("hold", "capture", "release", "refund", "void"):
        return _apply_hold(replay, entry)
    return None


def _apply_hold(replay: Replay, entry: dict[str, Any]) -> str | None:
    lines = [line for line in entry["postings"] if line["account"].startswith("held:")]
    holds = {line["account"].removeprefix("held:") for line in lines}
    if len(holds) != 1:
        return f"a {entry['kind']} must touch one hold, this touches {len(holds)}"
    hold = holds.pop()
    data = entry.get("data", {})
    if entry["kind"] == "hold":
        if hold in replay.holds:
            return f"hold {hold} was opened before"
        lots = {line.get("lot", FOREVER): [line["amount"], 0] for line in lines}
        amount = sum(part[0] for part in lots.values())
        seq, leaf = entry["seq"], codec.leaf_hash(codec.encode(entry)).hex()
        replay.holds[hold] = HeldSoFar(entry["subject"], data["expires_at"], amount, seq, leaf, lots=lots)
    elif hold not in replay.holds:
        return f"hold {hold} was never opened"
    elif (replay.holds[hold].seq, replay.holds[hold].leaf) not in [(x["seq"], x["leaf"]) for x in entry["links"]]:
        return f"it does not link the entry that opened hold {hold}"
    else:
        replay.holds[hold].apply(entry["kind"], lines, data)
    return None

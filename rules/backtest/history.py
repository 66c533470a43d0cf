# SPDX-License-Identifier: Apache-2.0
"""Every award and deduction there has been, as frames: read from the desk's table and, through the vault, its sealed
requests. No name and no note is read out of them, and nothing is written.

Read journal by journal in pieces, so that memory holds the frames and one piece. What is known of an erased person are
the numbers: such an award has no `facts`.
"""

# Polars states what may be in a literal as a union with an unknown in it.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Any, NamedTuple, Protocol, TypeAlias

import orjson
import polars as pl

from ledger import codec
from ledger.engine import Ledger
from ledger.keys import BadKey, unseal

PIECE = 2_000
"""Awards read at once: a few megabytes of rows, and as many keys as the vault likes to open together."""

Facts: TypeAlias = Mapping[str, int | str]
Progress: TypeAlias = Callable[..., None]

EVENTS: Mapping[str, Any] = {
    "order": pl.UInt32,
    "journal": pl.Categorical,
    "seq": pl.Int64,
    "subject": pl.UInt32,
    "indicator": pl.Categorical,
    "group": pl.Categorical,
    "occurred_on": pl.Date,
    "posted_on": pl.Date,
    "takeover": pl.Boolean,
    "level": pl.Categorical,
    "facts": pl.UInt32,
    "standing": pl.Int64,
    "points": pl.Int64,
    "outcome": pl.Categorical,
    "back": pl.UInt32,
    "pack": pl.Categorical,
}
PEOPLE: Mapping[str, Any] = {
    "subject": pl.String,
    "kind": pl.Categorical,
    "home": pl.Categorical,
    "grid": pl.Categorical,
}


class Keys(Protocol):
    """What is asked of the vault: the data keys of those who still have one."""

    async def known_keys(self, subjects: Collection[str]) -> dict[str, bytes]: ...


@dataclass(frozen=True, slots=True)
class History:
    """Awards and deductions in ledger order.

    `events`: one row each. `order` counts awards and reversals together; `back` is the order of the reversal, null
    where it still stands; `subject` is a row of `people`; `facts` is an index into `facts`, null where they are gone;
    `standing` and `points` (hundredths of a 分) are what was posted, whatever was taken back later.
    `people`: everybody in the register, also those without any award. `unsealed`: awards whose facts could not be
    read although their subject still has a key. `bodies`: see `read_history`.
    """

    events: pl.DataFrame
    people: pl.DataFrame
    facts: Sequence[Facts]
    unsealed: Sequence[tuple[str, int]] = ()
    bodies: pl.DataFrame | None = None


class Stretch(NamedTuple):
    """A journal in which a subject lived from an entry on; `hop` counts its homes."""

    hop: int
    journal: str
    since: int


async def read_history(
    ledger: Ledger,
    keys: Keys,
    *,
    first: date = date.min,
    last: date = date.max,
    entries: bool = False,
    progress: Progress | None = None,
) -> History:
    """Awards for deeds from `first` to `last`, both included.

    `entries`: also what their entries say, in `bodies` (a row per event: standing, points, pack, and digests of the
    caps of the entry and of its reversal), for a replay.
    """
    people, numbers = await _people(ledger)
    stretches = await _stretches(ledger)
    reader = _Reader(numbers, people, stretches, entries)
    journals = [one["journal"] for one in await ledger.journals()]
    made = int((await ledger.fetch("SELECT COUNT(*) FROM award WHERE seq IS NOT NULL"))[0][0])
    if progress is not None:
        progress(0, total=made, what="awards")
    days = (first.isoformat(), last.isoformat())
    for journal in journals:
        after = -1
        while rows := await ledger.fetch(_sql(entries), journal, after, *days, PIECE):
            known = await keys.known_keys({row[2] for row in rows})
            reader.take(journal, rows, known)
            after = rows[-1][0]
            if progress is not None:
                progress(len(rows))
    return reader.history()


def digest(caps: Sequence[Mapping[str, Any]]) -> int:
    """64 bits that stand for the tallies in an entry: equal where id, window, limit, found and let are."""
    return int.from_bytes(sha256(codec.encode([dict(cap) for cap in caps])).digest()[:8], "big")


# reading ---------------------------------------------------------------------------------------------------------


def _sql(entries: bool) -> str:
    columns = (
        "a.seq, a.id, a.subject, a.indicator, a.grp, a.occurred_on, a.level, a.standing, a.points, a.outcome, "
        "a.reversal_journal, a.reversal_seq, a.sealed"
    )
    where = "WHERE a.journal = ? AND a.seq > ? AND a.occurred_on >= ? AND a.occurred_on <= ? ORDER BY a.seq LIMIT ?"
    if not entries:
        return f"SELECT {columns} FROM award a {where}"
    return (
        f"SELECT {columns}, e.body, r.body FROM award a JOIN entry e ON e.journal = a.journal AND e.seq = a.seq "
        f"LEFT JOIN entry r ON r.journal = a.reversal_journal AND r.seq = a.reversal_seq {where}"
    )


async def _people(ledger: Ledger) -> tuple[list[tuple[Any, ...]], dict[str, int]]:
    rows = await ledger.fetch("SELECT subject, kind, home, grid FROM subject ORDER BY subject")
    return rows, {row[0]: number for number, row in enumerate(rows)}


async def _stretches(ledger: Ledger) -> dict[str, list[Stretch]]:
    """Where those who have moved have lived, in order; an account that never moved is not named."""
    if not await ledger.fetch("SELECT 1 FROM member WHERE state = 'moved' LIMIT 1"):
        return {}
    left: dict[str, list[tuple[str, int]]] = {}
    came: dict[tuple[str, str, int], tuple[str, int]] = {}
    for journal, seq, subject, body in await ledger.fetch(
        "SELECT journal, seq, subject, body FROM entry WHERE kind = 'move' ORDER BY journal, seq"
    ):
        said = codec.decode(bytes(body))
        if "to" in said["data"]:
            left.setdefault(subject, []).append((journal, seq))
        else:
            link = said["links"][0]
            came[subject, link["journal"], link["seq"]] = (journal, seq)
    return {subject: _walk(subject, leaving, came) for subject, leaving in left.items()}


def _walk(
    subject: str, left: Sequence[tuple[str, int]], came: Mapping[tuple[str, str, int], tuple[str, int]]
) -> list[Stretch]:
    arrivals = {place: came[subject, *place] for place in left if (subject, *place) in came}
    # The first home is one that was left before anybody came to it.
    journal = next(
        (home for home, seq in left if not any(j == home and s < seq for j, s in arrivals.values())), left[0][0]
    )
    stretches, since = [Stretch(0, journal, -1)], -1
    while leaving := [(home, seq) for home, seq in left if home == journal and seq > since]:
        arrival = arrivals.get(min(leaving))
        if arrival is None:
            break
        journal, since = arrival
        stretches.append(Stretch(len(stretches), journal, since))
    return stretches


class _Reader:
    """Rows of the database on their way into frames."""

    def __init__(
        self,
        numbers: dict[str, int],
        people: list[tuple[Any, ...]],
        stretches: Mapping[str, list[Stretch]],
        entries: bool,
    ) -> None:
        self._numbers = numbers
        self._people = people
        self._stretches = stretches
        self._entries = entries
        self._facts: list[Facts] = []
        self._known: dict[bytes, int] = {}
        self._unsealed: list[tuple[str, int]] = []
        self._frames: list[pl.DataFrame] = []
        self._bodies: list[pl.DataFrame] = []

    def take(self, journal: str, rows: Sequence[tuple[Any, ...]], keys: Mapping[str, bytes]) -> None:
        columns: dict[str, list[Any]] = {name: [] for name in _RAW}
        bodies: dict[str, list[Any]] = {name: [] for name in _BODIES}
        for row in rows:
            seq, id_, subject, indicator, group, day, level, standing, points, outcome, rev_journal, rev_seq = row[:12]
            said: Mapping[str, Any] | None = None
            key = keys.get(subject)
            if key is not None:
                try:
                    said = orjson.loads(unseal(key, bytes(row[12]), id_.encode()))
                except (BadKey, orjson.JSONDecodeError):
                    self._unsealed.append((journal, seq))
            trace = None if said is None else said["trace"]
            back = None if rev_seq is None else (self._hop(subject, rev_journal, rev_seq), rev_journal, rev_seq)
            # What a replacement left out because it had stayed with its subject was given for this deed all the same.
            more = (0, 0) if trace is None else (trace["standing"].get("kept", 0), trace["points"].get("kept", 0))
            standing, points = standing + more[0], points + more[1]
            values = (
                self._hop(subject, journal, seq), journal, seq, self._number(subject, journal), indicator, group,
                date.fromisoformat(day),
                None if trace is None else date.fromisoformat(trace["posted_on"]),
                trace is not None and "takeover" in trace,
                level if trace is None else trace["evidence"],
                None if said is None else self._interned(said["request"]["facts"]),
                standing, points, outcome, *(back or (None, None, None)),
                None if trace is None else trace["pack"]["hash"],
            )  # fmt: skip
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)
            if self._entries:
                for column, value in zip(bodies.values(), _stated(row[13], row[14], more), strict=True):
                    column.append(value)
        self._frames.append(pl.DataFrame(columns, schema=dict(_RAW)))
        if self._entries:
            self._bodies.append(pl.DataFrame(bodies, schema=dict(_BODIES)))

    def history(self) -> History:
        raw = pl.concat(self._frames) if self._frames else pl.DataFrame(schema=dict(_RAW))
        raw = raw.with_row_index("row")
        places = pl.concat(
            [
                raw.select("row", "hop", "journal", "seq", pl.lit(False).alias("undone")),
                raw.filter(pl.col("back_seq").is_not_null()).select(
                    "row",
                    pl.col("back_hop").alias("hop"),
                    pl.col("back_journal").alias("journal"),
                    pl.col("back_seq").alias("seq"),
                    pl.lit(True).alias("undone"),
                ),
            ]
        )
        # For one subject this is the order of the ledger, also across a move; nothing else depends on it.
        ordered = places.sort("hop", pl.col("journal").cast(pl.String), "seq").with_row_index("order")
        made = ordered.filter(~pl.col("undone")).select("row", "order")
        undone = ordered.filter("undone").select("row", pl.col("order").alias("back"))
        joined = raw.join(made, on="row").join(undone, on="row", how="left").sort("order")
        bodies = None
        if self._entries:
            found = pl.concat(self._bodies) if self._bodies else pl.DataFrame(schema=dict(_BODIES))
            bodies = found[joined["row"]] if found.height else found
        return History(
            joined.select(EVENTS.keys()),
            pl.DataFrame(self._people, schema=dict(PEOPLE), orient="row"),
            self._facts,
            self._unsealed,
            bodies,
        )

    def _number(self, subject: str, journal: str) -> int:
        number = self._numbers.get(subject)
        if number is None:  # not in the register: an account that only the ledger knows
            number = self._numbers[subject] = len(self._people)
            self._people.append((subject, None, journal, None))
        return number

    def _hop(self, subject: str, journal: str, seq: int) -> int:
        stretches = self._stretches.get(subject)
        if stretches is None:
            return 0
        return max((one.hop for one in stretches if one.journal == journal and one.since < seq), default=0)

    def _interned(self, facts: Facts) -> int:
        key = orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)
        number = self._known.get(key)
        if number is None:
            number = self._known[key] = len(self._facts)
            self._facts.append(facts)
        return number


def _stated(body: Any, reversal: Any, kept: tuple[int, int]) -> tuple[Any, ...]:
    """What an entry says of an award, with what was `kept` of the one before it: standing, points, pack, its caps and
    those of its reversal."""
    entry = codec.decode(bytes(body))
    sums = dict(zip(("standing", "points"), kept, strict=True))
    for line in entry["postings"]:
        if line["account"] == "issuer":
            sums[line["unit"]] -= line["amount"]
    back = None if reversal is None else digest(codec.decode(bytes(reversal))["caps"])
    return sums["standing"], sums["points"], entry["rule"], entry["pack"], digest(entry["caps"]), back


_RAW: Mapping[str, Any] = {
    "hop": pl.Int32,
    **{name: kind for name, kind in EVENTS.items() if name not in ("order", "back", "pack")},
    "back_hop": pl.Int32,
    "back_journal": pl.Categorical,
    "back_seq": pl.Int64,
    "pack": pl.Categorical,
}
_BODIES: Mapping[str, Any] = {
    "standing": pl.Int64,
    "points": pl.Int64,
    "rule": pl.Categorical,
    "pack": pl.Categorical,
    "caps": pl.UInt64,
    "back_caps": pl.UInt64,
}

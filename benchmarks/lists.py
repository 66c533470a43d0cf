# SPDX-License-Identifier: Apache-2.0
"""What lists cost: the rankings of a county's grids out of five million entries, against DuckDB doing the same on the
same files; and how long the columns take to be made and to grow.

The county is made up: 15 communities, 140 grids, 700,000 residents, three years of awards, some taken back, some
disputed. Every community is ranked as an edition is. Both engines must give the same numbers, in one community those of
the intervals too (SQL has no arithmetic modulo 2^64, so that takes it long).
"""

from __future__ import annotations

import json
import sqlite3
import statistics
import tempfile
import time
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import polars as pl

from benchmarks.figures import header, table
from ledger.engine import MIGRATIONS, Ledger
from rules.engine.lists import ListRule
from rules.engine.pack import builtin_names, builtin_pack
from rules.lists import population
from rules.lists.bootstrap import AT_LEAST
from rules.lists.columns import LINES, PART, Columns, Part, refresh
from rules.lists.compute import compute

PACK = builtin_pack(builtin_names()[0])
GRIDS = PACK.lists["grids"]
COMMUNITIES, UNITS, DAYS = 15, 140, 1_096
FIRST, LAST = date(2024, 10, 1), date(2024, 12, 31)


class Community(NamedTuple):
    """What a ranking is computed from: an edition's header, the population file, and the columns."""

    header: dict[str, Any]
    people: Path
    held: Columns


def made(folder: Path, entries: int, residents: int) -> list[Community]:
    """The county's columns and populations, as files under `folder`."""
    return [
        _community(folder, number, entries // COMMUNITIES, residents // COMMUNITIES) for number in range(COMMUNITIES)
    ]


def _community(folder: Path, number: int, entries: int, residents: int) -> Community:
    code = f"3703210020{number:02d}"
    units = [f"{code}-{grid:02d}" for grid in range(UNITS // COMMUNITIES + (number < UNITS % COMMUNITIES))]
    at = pl.int_range(entries, eager=True)
    chance = at.hash(number).alias("chance")
    names = pl.select(pl.format("sub_{}", pl.int_range(residents).hash(number).cast(pl.String).str.slice(0, 16)))
    names = names.to_series().unique(maintain_order=True)
    residents = names.len()
    rules = pl.Series([code for code, rule in PACK.indicators.items() if rule.group in ("G1", "G3")])
    aim = (at - 1 - (chance % 5_000).cast(pl.Int64)).clip(residents)
    lines = pl.DataFrame({"seq": at, "chance": chance, "aim": aim}).with_columns(
        kind=pl.when(pl.col("seq") < residents)
        .then(pl.lit("open"))
        .when((pl.col("chance") % 211 == 0) & (pl.col("seq") > residents))
        .then(pl.lit("reverse"))
        .when((pl.col("chance") % 997 == 0) & (pl.col("seq") > residents))
        .then(pl.lit("objection"))
        .otherwise(pl.lit("award"))
    )
    # Most awards go to a third of the people; a few are for deeds of up to a month before.
    who = (
        pl.when(pl.col("seq") < residents)
        .then("seq")
        .when(pl.col("chance") % 3 > 0)
        .then(pl.col("chance") // 7 % (residents // 3))
        .otherwise(pl.col("chance") // 7 % residents)
    )
    award, aims = pl.col("kind") == "award", pl.col("kind").is_in(["reverse", "objection"])
    late = pl.when(pl.col("chance") % 10 == 0).then(pl.col("chance") // 11 % 30).otherwise(0).cast(pl.Int64)
    amount = (pl.col("chance") // 13 % 6 * 50).cast(pl.Int64)
    lines = lines.with_columns(who=who.cast(pl.Int64)).select(
        journal=pl.lit(code),
        seq="seq",
        kind="kind",
        subject=names.gather(lines.select(who.cast(pl.UInt32).alias("who"))["who"]),
        group=pl.when(award).then(pl.lit("G3")),
        rule=pl.when(award).then(rules.gather(chance % rules.len())),
        place=pl.when(award).then(pl.Series(units).gather(chance // 17 % len(units))),
        occurred_on=pl.date(2022, 1, 1) + pl.duration(days=(pl.col("seq") * DAYS // entries - late).clip(0)),
        lot=pl.when(award & (pl.col("chance") // 19 % 4 == 0)).then(pl.date(2024, 12, 1)),
        standing=pl.when(pl.col("kind") == "open").then(100_000).when(award).then(amount).otherwise(0),
        points=pl.when(award).then(amount * 2).otherwise(0),
        target_journal=pl.when(aims).then(pl.lit(code)),
        target_seq=pl.when(aims).then("aim"),
        said=pl.when(pl.col("kind") == "objection").then(pl.format("obj_{}", "seq")),
        outcome=pl.lit(None),
    )
    lines = lines.select(pl.col(name).cast(kind) for name, kind in LINES.items())
    parts: list[Part] = []
    for start in range(0, entries, PART):
        part = Part(start, min(start + PART, entries), "0" * 64, folder / f"{code}-{start}.parquet")
        assert isinstance(part.lines, Path)
        lines[start : part.end].write_parquet(part.lines, compression="zstd")
        parts.append(part)
    grids = pl.Series(units).gather(pl.int_range(residents, eager=True) % len(units))
    people = pl.DataFrame({"subject": names, "grid": grids}).with_columns(
        groups=pl.lit(["G3"], dtype=pl.List(pl.String)), listed=pl.lit(True)
    )
    (folder / f"{code}.csv").write_bytes(population.write(people))
    reach = {code: {"leaf": "0" * 64, "size": entries}}
    before = {"as_of": {code: entries * 11 // 12}, "edition": "edn_0", "seen": {code: entries * 11 // 12}}
    return Community(
        {
            "as_of": reach, "from": FIRST.isoformat(), "previous": before, "seed": sha256(code.encode()).hexdigest(),
            "seen": reach, "to": LAST.isoformat(), "units": units,
        },
        folder / f"{code}.csv",
        Columns({code: tuple(parts)}),
    )  # fmt: skip


def ours(one: Community, rule: ListRule = GRIDS) -> dict[str, Any]:
    """A community's result, from the files on."""
    people = population.read(one.people.read_bytes())
    return compute(rule, one.header, people, one.held.lines(one.held.sizes), PACK)


# the same in SQL ------------------------------------------------------------------------------------------------

_SUMS = """
CREATE OR REPLACE TEMP TABLE members AS
WITH lines AS (SELECT * FROM read_parquet({files})),
gone AS (
  SELECT target_seq, seq FROM lines WHERE kind = 'reverse'
  UNION ALL
  SELECT target_seq, seq FROM lines o WHERE kind = 'objection' AND target_seq IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM lines d WHERE d.kind = 'decision' AND d.said = o.said AND d.subject = o.subject)
),
now AS (SELECT DISTINCT target_seq FROM gone),
past AS (SELECT DISTINCT target_seq FROM gone WHERE seq < {before}),
deeds AS (
  SELECT *, seq IN (SELECT target_seq FROM now) AS is_gone, seq IN (SELECT target_seq FROM past) AS was_gone
  FROM lines WHERE kind IN ('open', 'award', 'deduct')
),
found AS (
  SELECT subject,
    SUM(CASE WHEN kind = 'open' OR NOT is_gone AND occurred_on <= {last} AND (lot IS NULL OR lot >= {last})
      THEN standing ELSE 0 END) AS standing,
    SUM(CASE WHEN kind = 'award' AND NOT is_gone AND occurred_on BETWEEN {first} AND {last} AND standing > 0
      THEN standing ELSE 0 END) AS gained,
    MAX(CASE WHEN kind = 'award' AND NOT is_gone AND occurred_on BETWEEN {first} AND {last}
      AND (standing > 0 OR points > 0) THEN 1 ELSE 0 END) AS active,
    SUM(CASE WHEN kind <> 'open' AND occurred_on < {first} AND (seq >= {before} AND NOT is_gone
      OR seq < {before} AND was_gone AND NOT is_gone) THEN standing ELSE 0 END) AS late,
    SUM(CASE WHEN kind <> 'open' AND occurred_on < {first} AND seq < {before} AND is_gone AND NOT was_gone
      THEN standing ELSE 0 END) AS taken_back
  FROM deeds GROUP BY subject
)
SELECT p.line, p.grid, COALESCE(standing, 0)::BIGINT AS value, COALESCE(gained, 0) AS gained,
  COALESCE(active, 0) AS active, COALESCE(late, 0) AS late, COALESCE(taken_back, 0) AS taken_back
FROM (SELECT row_number() OVER (ORDER BY subject) - 1 AS line, *
      FROM read_csv('{people}', header = true, all_varchar = true)) p
LEFT JOIN found USING (subject)
"""

_UNITS = """
SELECT grid, people, active, total, (2 * total + people) // (2 * people) AS per_head, gained, late, taken_back,
  rank() OVER (ORDER BY (2 * total + people) // (2 * people) DESC) AS rank
FROM (SELECT grid, COUNT(*) AS people, SUM(active) AS active, SUM(value) AS total, SUM(gained) AS gained,
        SUM(late) AS late, SUM(taken_back) AS taken_back FROM members GROUP BY grid) ORDER BY rank, grid
"""

_TIMES = "(({} )::UHUGEINT * {}::UHUGEINT % 18446744073709551616::UHUGEINT)::UBIGINT"


def _spreads(seed: int, replicates: int, percent: int) -> str:
    outputs, cut = -(-replicates // 8), replicates * (100 - percent) // 200
    mixed = f"((line * {outputs} + 1 + output)::UHUGEINT * {0x9E3779B97F4A7C15}::UHUGEINT + {seed}::UHUGEINT)"
    mixed = f"({mixed} % 18446744073709551616::UHUGEINT)::UBIGINT"
    reached = " + ".join(f"(byte >= {least})::INTEGER" for least in AT_LEAST)
    sums = ", ".join(f"SUM(w{lane}) AS p{lane}, SUM(w{lane} * value) AS t{lane}" for lane in range(8))
    weights = ", ".join(reached.replace("byte", f"((r >> {8 * lane}) & 255)") + f" AS w{lane}" for lane in range(8))
    lanes = " UNION ALL ".join(
        f"SELECT grid, output * 8 + {lane} AS replicate, p{lane} AS p, t{lane} AS t FROM wide" for lane in range(8)
    )
    return f"""
WITH a AS (SELECT grid, value, output, {mixed} AS s FROM members, range({outputs}) o(output)),
b AS (SELECT grid, value, output, {_TIMES.format("xor(s, s >> 30)", 0xBF58476D1CE4E5B9)} AS s FROM a),
c AS (SELECT grid, value, output, {_TIMES.format("xor(s, s >> 27)", 0x94D049BB133111EB)} AS s FROM b),
d AS (SELECT grid, value, output, xor(s, s >> 31) AS r FROM c),
e AS (SELECT grid, value, output, {weights} FROM d),
wide AS (SELECT grid, output, {sums} FROM e GROUP BY grid, output),
heads AS (SELECT grid, replicate, (2 * t + p) // (2 * p) AS head FROM ({lanes}) WHERE replicate < {replicates}),
ranks AS (SELECT *, rank() OVER (PARTITION BY replicate ORDER BY head DESC) AS rank FROM heads)
SELECT grid, list_sort(list(rank))[{cut + 1}], list_sort(list(rank))[{replicates - cut}],
  list_sort(list(head))[{cut + 1}], list_sort(list(head))[{replicates - cut}] FROM ranks GROUP BY grid
"""


def theirs(one: Community, rule: ListRule = GRIDS) -> dict[str, dict[str, Any]]:
    """The same figures by grid, from DuckDB."""
    (code,) = one.held.parts
    files = "[" + ", ".join(f"'{part.lines}'" for part in one.held.parts[code]) + "]"
    found: dict[str, dict[str, Any]] = {}
    with duckdb.connect() as base:
        before = one.header["previous"]["as_of"][code]
        days = {"first": f"DATE '{FIRST}'", "last": f"DATE '{LAST}'"}
        base.execute(_SUMS.format(files=files, before=before, people=one.people, **days))
        for grid, *row in base.execute(_UNITS).fetchall():
            names = ("people", "active", "total", "per_head", "gained", "late", "taken_back", "rank")
            found[grid] = dict(zip(names, row, strict=True))
        if rule.interval is not None:
            seed = int(one.header["seed"][:16], 16)
            for grid, *row in base.execute(_spreads(seed, rule.interval.replicates, rule.interval.percent)).fetchall():
                found[grid].update(zip(("low", "high", "per_head_low", "per_head_high"), row, strict=True))
    return found


# the columns ----------------------------------------------------------------------------------------------------

_ENTRY = {
    "actor": "stf_2m8x4c6v0z1q5w7r", "cause": "1f9e" * 16, "evidence": ["1d14" * 16], "group": "G3",
    "journal": "east", "kind": "award", "links": [], "memo": "1c7c" * 16, "nonce": "ccda" * 8,
    "occurred_on": "2024-10-02", "pack": "4862" * 16, "place": "370321002001-01", "prev": "32fd" * 16,
    "caps": [{"from": "2024-01-01", "id": "RE-01/year", "let": 60, "limit": 36_000, "to": "2024-12-31",
              "used_before": 200}],
    "postings": [
        {"account": "issuer", "amount": -100, "unit": "standing"},
        {"account": "subject:sub_5k2r8w0m3x7q9d1f", "amount": 100, "lot": "2026-10-02", "unit": "standing"},
        {"account": "issuer", "amount": -200, "unit": "points"},
        {"account": "subject:sub_5k2r8w0m3x7q9d1f", "amount": 200, "lot": "2025-10-02", "unit": "points"},
    ],
    "recorded_at": "2024-10-02T01:04:00.000000Z", "request": "c07b" * 16, "rule": "RE-01", "trace": "a95c" * 16,
    "txn": "txn_05d91dc0bb0500c8f4a23a6e3f", "v": 1,
}  # fmt: skip


async def growing(folder: Path, entries: int, more: int) -> tuple[float, float, float]:
    """Seconds to make the columns of so many entries, to bring them up to date after `more`, to find nothing new."""
    path = folder / "jifen.db"
    ledger = Ledger(f"sqlite:///{path}", bytes(32))
    await ledger.open()
    await ledger.store.migrate({"ledger": MIGRATIONS})
    _lay(path, 0, entries)
    began = time.perf_counter()
    held = await refresh(ledger, folder)
    whole = time.perf_counter() - began
    _lay(path, entries, entries + more)
    began = time.perf_counter()
    held = await refresh(ledger, folder, held)
    grown = time.perf_counter() - began
    began = time.perf_counter()
    await refresh(ledger, folder, held)
    same = time.perf_counter() - began
    assert held.lines(held.sizes).select(pl.len()).collect().item() == entries + more
    await ledger.close()
    return whole, grown, same


def _lay(path: Path, start: int, end: int) -> None:
    """Awards laid down by SQL; hashes are of the right length and no more."""
    connection = sqlite3.connect(path, isolation_level=None)
    chained = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'entry_chained'").fetchone()[0]
    connection.execute("BEGIN")
    connection.execute("DROP TRIGGER entry_chained")
    rows = (
        ("east", seq, sha256(b"%d" % seq).digest(), bytes(32), "award", f"sub_{seq % 20_000:016d}", seq,
         json.dumps({**_ENTRY, "seq": seq, "subject": f"sub_{seq % 20_000:016d}"}, separators=(",", ":")).encode())
        for seq in range(start, end)
    )  # fmt: skip
    columns = "journal, seq, leaf, prev, kind, subject, recorded_at, body"
    connection.executemany(f"INSERT INTO entry ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    head = (end, sha256(b"%d" % (end - 1)).digest(), end)
    if start:
        connection.execute("UPDATE head SET size = ?, leaf = ?, recorded_at = ?", head)
    else:
        connection.execute("INSERT INTO head VALUES ('east', ?, ?, ?, 'UTC', 0)", head)
    connection.execute(chained)
    connection.execute("COMMIT")
    connection.close()


async def run(*, entries: int = 5_000_000, residents: int = 700_000, runs: int = 3) -> None:
    """Everything here."""
    plain = GRIDS.model_copy(update={"interval": None})
    with tempfile.TemporaryDirectory() as name:
        county = made(Path(name), entries, residents)
        rounds = [
            [_timed(ours, county, GRIDS), _timed(ours, county, plain), _timed(theirs, county, plain),
             _timed(ours, county[:1], GRIDS)]
            for _ in range(runs)
        ]  # fmt: skip
        in_sql = _timed(theirs, county[:1], GRIDS)
        (_, mine, sql, whole) = rounds[-1]
        for result, other in [*zip(mine.found, sql.found, strict=True), *zip(whole.found, in_sql.found, strict=True)]:
            for row in result["rows"]:
                assert other[row["grid"]].items() <= row.items(), (row, other[row["grid"]])
        full, figures, duck, one = (
            statistics.median(each.seconds for each in column) for column in zip(*rounds, strict=True)
        )
        header(f"The rankings of {UNITS} grids in {COMMUNITIES} communities: {entries:,} entries, {residents:,} people")
        table(
            ("", "ours, s", "DuckDB, s", "×"),
            [
                ("every community, with intervals", f"{full:.2f}", "", ""),
                ("every community, figures and ranks", f"{figures:.2f}", f"{duck:.2f}", f"{duck / figures:.1f}"),
                ("one community, with intervals", f"{one:.2f}", f"{in_sql.seconds:.2f}", f"{in_sql.seconds / one:.0f}"),
            ],
        )
        made_, grown, same = await growing(Path(name), 100_000, 1_000)
    header("Columns of 100,000 awards on SQLite")
    table(
        ("", "seconds", "µs an entry"),
        [
            ("made", f"{made_:.2f}", f"{made_ / 100_000 * 1e6:.1f}"),
            ("1,000 more", f"{grown:.3f}", f"{grown / 1_000 * 1e6:.0f}"),
            ("nothing new", f"{same:.4f}", ""),
        ],
    )


class _Run(NamedTuple):
    found: list[Any]
    seconds: float


def _timed(function: Any, county: list[Community], rule: ListRule) -> _Run:
    began = time.perf_counter()
    found = [function(one, rule) for one in county]
    return _Run(found, time.perf_counter() - began)

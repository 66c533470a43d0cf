# SPDX-License-Identifier: Apache-2.0
"""How sure a figure is: the edition redone with every member counted 0, 1, 2 … times, by draws that anybody can repeat.

A member's draws follow from the edition's seed and the member's line in the population file, and from nothing else: not
from the order of rows, threads or the version of anything. docs/spec/edition.md has the draw in words.
"""

# Polars states what may be in a literal as a union with an unknown in it.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import polars as pl

LANES = 8  # draws in one output of the generator, a byte each
AT_LEAST = (94, 188, 235, 251, 255)
"""A byte counts as many times as it reaches one of these: a Poisson variable of mean 1, in 256ths."""

_GAMMA, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB  # splitmix64
_ROWS = 1 << 17  # members × outputs in one query: small editions are not worth one for each output
_DIGIT, _HALF, _PAIRED = 20, 2**32 - 1, LANES // 2


@cache
def _counts() -> pl.Series:
    """How often each of two bytes counts, one in either half of a word: both are then multiplied and added at once."""
    one = [sum(byte >= least for least in AT_LEAST) for byte in range(256)]
    return pl.Series([low | high << 32 for high in one for low in one], dtype=pl.UInt64)


def draws(members: pl.DataFrame, units: int, seed: int, replicates: int) -> Iterator[tuple[list[int], list[int]]]:
    """Of each replicate, for unit 0, 1, …: how many members it drew, and the sum of their values.

    `members` has `line` (u64, in the population file), `unit` (u32, below `units`) and `value` (i64).
    """
    outputs = -(-replicates // LANES)
    ends = members.select(low=pl.col("value").min(), high=pl.col("value").max()).row(0)
    lowest, highest = int(ends[0] or 0), int(ends[1] or 0)
    digits = max(1, -(-(highest - lowest).bit_length() // _DIGIT))
    placed, unit_of = _placed(members, lowest, highest, digits, seed, outputs)
    step = max(1, _ROWS // max(1, members.height))
    batches = [range(first, min(outputs, first + step)) for first in range(0, outputs, step)]
    drawn = pl.collect_all([_drawn(placed, batch, len(unit_of), digits) for batch in batches], engine="in-memory")
    for batch, sums in zip(batches, drawn, strict=True):
        people, totals = ([[0] * units for _ in range(LANES * len(batch))] for _ in range(2))
        for run, *parts in sums.iter_rows():
            output, run_of_output = divmod(int(run), len(unit_of))
            unit = unit_of[run_of_output]
            for lane in range(LANES):
                count, *over = (parts[at] >> 32 * (lane % 2) & _HALF for at in range(lane // 2, len(parts), _PAIRED))
                people[output * LANES + lane][unit] += count
                total = count * lowest + sum(part << _DIGIT * at for at, part in enumerate(over))
                totals[output * LANES + lane][unit] += total
        yield from list(zip(people, totals, strict=True))[: replicates - batch.start * LANES]


def _placed(
    members: pl.DataFrame, lowest: int, highest: int, digits: int, seed: int, outputs: int
) -> tuple[pl.DataFrame, list[int]]:
    """Members in order of units: the state of their generator, what their value has over the lowest, digit by digit,
    and the run in which they are added up, too short for half a word to overflow. Also the unit of each run."""
    longest = _HALF // (len(AT_LEAST) * max(1, min(highest - lowest, 2**_DIGIT - 1)))
    at, over = pl.int_range(pl.len(), dtype=pl.UInt32), (pl.col("value") - lowest).cast(pl.UInt64)
    placed = members.sort("unit").select(
        "unit",
        run=pl.struct("unit", (at - at.min().over("unit")) // longest).rle_id().set_sorted(),
        state=(pl.col("line") * _u64(outputs) + _u64(1)) * _u64(_GAMMA) + _u64(seed),
        **{f"digit{n}": over // _u64(1 << _DIGIT * n) & _u64(2**_DIGIT - 1) for n in range(digits)},
    )
    return placed, placed.unique("run", keep="first", maintain_order=True)["unit"].to_list()


def _drawn(placed: pl.DataFrame, batch: range, runs: int, digits: int) -> pl.LazyFrame:
    """By output of the batch and run, for each two lanes in one word: how many members they drew; then digit by digit
    what these have."""
    z = pl.col("z")
    output = pl.int_range(pl.len(), dtype=pl.UInt64) // max(1, placed.height)
    drawn = (pl.concat([placed] * len(batch)) if len(batch) > 1 else placed).lazy()
    drawn = drawn.with_columns(
        run=(output.cast(pl.UInt32) * runs + pl.col("run")).set_sorted(),
        z=pl.col("state") + (output + _u64(batch.start)) * _u64(_GAMMA),
    )
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        drawn = drawn.with_columns(z=(z ^ (z // _u64(1 << shift))) * _u64(factor))
    drawn = drawn.with_columns(z=z ^ (z // _u64(1 << 31)))
    two = [(z // _u64(1 << 16 * n)).cast(pl.UInt16, wrap_numerical=True).cast(pl.UInt32) for n in range(_PAIRED)]
    drawn = drawn.with_columns(pl.lit(_counts()).gather(bytes_).alias(f"w{n}") for n, bytes_ in enumerate(two))
    parts = [pl.col(f"w{pair}").sum() for pair in range(_PAIRED)]
    for digit in range(digits):
        parts += [(pl.col(f"w{n}") * pl.col(f"digit{digit}")).sum().alias(f"{digit}.{n}") for n in range(_PAIRED)]
    return drawn.group_by("run", maintain_order=True).agg(parts)


def _u64(value: int) -> pl.Expr:
    return pl.lit(value, dtype=pl.UInt64)

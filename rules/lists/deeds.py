# SPDX-License-Identifier: Apache-2.0
"""Which deeds count: not what was taken back, and not what is disputed and undecided (during an objection an entry
counts for no list or ranking)."""

# Polars states what may be in a literal as a union with an unknown in it.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

_TARGET = (pl.col("target_journal").alias("journal"), pl.col("target_seq").alias("seq"))


def counted(lines: pl.LazyFrame, as_of: Mapping[str, int], seen: Mapping[str, int]) -> pl.LazyFrame:
    """Rows of `lines` that are awards or deductions among the first `as_of` entries of each journal, not reversed and
    not disputed among the first `seen`. `lines` reach as far as `seen`; a journal not named counts for nothing."""
    deeds = within(lines.filter(pl.col("kind").is_in(["award", "deduct"])), as_of)
    return deeds.filter(~among(gone(lines, seen)))


def among(entries: pl.LazyFrame) -> pl.Expr:
    """Whether a line is one of these few entries (`journal`, `seq`). They are looked up at once, and by one number: a
    join would carry every column of millions of lines along."""
    few = entries.collect()
    names = few["journal"].unique().to_list()
    numbers = few.select(_number(names))["journal"]
    return _number(names).is_in(numbers.implode()).fill_null(False)


def _number(journals: Sequence[str]) -> pl.Expr:
    """One number for an entry of these journals; null for any other."""
    places = [number << 40 for number in range(len(journals))]
    at = pl.col("journal").replace_strict(journals, places, default=None, return_dtype=pl.Int64)
    return at + pl.col("seq")


def gone(lines: pl.LazyFrame, seen: Mapping[str, int]) -> pl.LazyFrame:
    """Entries that do not count: reversed, or disputed and not decided, among the first `seen`: `journal`, `seq`."""
    back = within(lines.filter(pl.col("kind") == "reverse"), seen).select(*_TARGET)
    return pl.concat([back, disputed(lines, seen).select("journal", "seq")])


def disputed(lines: pl.LazyFrame, seen: Mapping[str, int]) -> pl.LazyFrame:
    """Entries that an objection disputes and nobody has decided yet, among the first `seen`: `journal`, `seq`,
    `objection`, sorted."""
    decided = within(lines.filter(pl.col("kind") == "decision"), seen).select("subject", "said")
    return (
        within(lines.filter(pl.col("kind") == "objection"), seen)
        .filter(pl.col("target_seq").is_not_null())
        .join(decided, on=["subject", "said"], how="anti")
        .select(*_TARGET, pl.col("said").alias("objection"))
        .sort("journal", "seq", "objection")
    )


def open_subjects(lines: pl.LazyFrame, as_of: Mapping[str, int]) -> pl.LazyFrame:
    """Whose account is open after the first `as_of` entries, and where: `subject`, `journal`, `kind` (person or body;
    null where it was opened in a journal not named). An account leaves a journal by a move or an erasure."""
    own = within(lines.filter(pl.col("kind").is_in(["open", "move", "erase"])), as_of)
    here = (pl.col("kind") == "open") | (pl.col("said").eq_missing("in"))
    states = own.group_by("subject", "journal").agg(here.sort_by("seq").last().alias("here"))
    kinds = own.filter(pl.col("kind") == "open").group_by("subject").agg(pl.col("said").first().alias("kind"))
    return states.filter("here").drop("here").join(kinds, on="subject", how="left").sort("subject", "journal")


def lived_in(lines: pl.LazyFrame, members: pl.DataFrame) -> list[str]:
    """The journals out of which members (`subject`) moved, or into which, as the journals at the other end say."""
    moved = lines.filter(pl.col("kind") == "move").join(members.lazy().select("subject"), on="subject", how="semi")
    return moved.select("target_journal").unique().collect()["target_journal"].drop_nulls().to_list()


def within(lines: pl.LazyFrame, sizes: Mapping[str, int]) -> pl.LazyFrame:
    """Lines among the first so many entries of each journal named."""
    return lines.filter(up_to(sizes))


def up_to(sizes: Mapping[str, int]) -> pl.Expr:
    """Whether a line is among the first so many entries of its journal; no entry is of a journal not named."""
    ends = pl.col("journal").replace_strict(list(sizes), list(sizes.values()), default=0, return_dtype=pl.Int64)
    return pl.col("seq") < ends

# SPDX-License-Identifier: Apache-2.0
"""The population of an edition: who is counted, where and under which groups, as the file it is frozen in.

`population.csv` has the header `subject,grid,groups,listed`, line feeds, no quoting; one line per member in ascending
order of the subject's bytes; groups in ascending order, joined by `|`; `listed` is 1 where the member may be named on a
list, else 0. There is one way to write a population, so its digest stands for it.
"""

# Polars states what may be in a literal as a union with an unknown in it.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import polars as pl

POPULATION: Mapping[str, Any] = {
    "subject": pl.String,
    "grid": pl.String,
    "groups": pl.List(pl.String),
    "listed": pl.Boolean,
}
_PLAIN = r"^[A-Za-z0-9_.-]+$"
_GROUP = re.compile(r"[A-Za-z0-9]+")
_FILE = {"subject": pl.String, "grid": pl.String, "groups": pl.String, "listed": pl.String}


def write(members: pl.DataFrame) -> bytes:
    """The file of `members` (columns as `POPULATION`, rows in any order). Raises `ValueError` where somebody is in it
    twice, or a value is missing or could be read in two ways."""
    groups = pl.col("groups").list.sort().list.join("|")
    mark = pl.when("listed").then(pl.lit("1")).when(~pl.col("listed")).then(pl.lit("0"))
    numbers = groups.str.count_matches("[^|]+") == pl.col("groups").list.len()
    if not members.select(numbers.all(ignore_nulls=False)).item():
        raise ValueError("population: a group is missing or has signs that it may not have")
    file = members.select("subject", "grid", groups, mark.alias("listed")).sort("subject")
    _check(file)
    return file.write_csv(quote_style="never").encode()


def read(data: bytes) -> pl.DataFrame:
    """The members in a file, as `POPULATION`, in its order. Raises `ValueError` where `write` would spell it
    otherwise."""
    try:
        file = pl.read_csv(data, schema=_FILE, quote_char=None, empty_string_is_null=False)
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"population: {error}") from None
    if file.write_csv(quote_style="never").encode() != data:
        raise ValueError("population: not spelled as it is written")
    _check(file)
    none = pl.lit([], dtype=POPULATION["groups"])
    groups = pl.when(pl.col("groups") == "").then(none).otherwise(pl.col("groups").str.split("|"))
    return file.select("subject", "grid", groups.alias("groups"), pl.col("listed") == "1")


def _check(file: pl.DataFrame) -> None:
    """Raise `ValueError` unless every value is one that may be, and everybody stands in the file once, in order."""
    fits = file.select(
        pl.col("subject", "grid").str.contains(_PLAIN).all(ignore_nulls=False),
        pl.col("listed").is_in(["0", "1"]).all(ignore_nulls=False),
        rising=(pl.col("subject") > pl.col("subject").shift(1)).all(),
    )
    for name, good in fits.row(0, named=True).items():
        if not good:
            what = "somebody is in it twice, or they are not in order" if name == "rising" else f"a {name} cannot be"
            raise ValueError(f"population: {what}")
    for text in file["groups"].unique():
        parts = (text or "").split("|") if text != "" else []
        if parts != sorted(set(parts)) or not all(map(_GROUP.fullmatch, parts)):
            raise ValueError(f"population: groups cannot be {text!r}")

# SPDX-License-Identifier: Apache-2.0
"""One meaning: random programs come out the same from generated Python, polars, CEL and a walk of the tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cel
import polars as pl
import pytest

from rules.engine.language import Enum, Int, LanguageError, Type, check, compile_scalar, parse, source, steps, to_polars
from tests.random_rules import Programs, cel_context, evaluated

ROWS = 6
PROGRAMS_PER_SCOPE = 250


def frames(rows: list[dict[str, Any]], numbers: list[str]) -> Iterator[tuple[pl.DataFrame, list[int]]]:
    """The rows in columns, and which rows stand there: all, none, one, and columns that hold one value only."""
    frame = pl.DataFrame(rows, schema_overrides=dict.fromkeys(numbers, pl.Int64))
    for which in (list(range(len(rows))), [], [1]):
        yield frame[which], which
    yield (
        frame.select(pl.col(numbers[0])).with_columns(
            **{name: pl.lit(frame[name][0], dtype=frame[name].dtype) for name in frame.columns}
        ),
        [0] * len(rows),
    )


def agree(seed: int) -> int:
    """How many programs over one set of fields were accepted; all opinions on each were the same on each row."""
    programs = Programs(seed)
    rows = [programs.row() for _ in range(ROWS)]
    contexts = [cel_context(row) for row in rows]
    columns: dict[str, pl.Expr] = {}
    expected: dict[str, list[int | bool]] = {}
    for index in range(PROGRAMS_PER_SCOPE):
        expr = programs.program()
        text = source(expr)
        assert expr == parse(text), text
        try:
            checked = check(expr, programs.scope)
        except LanguageError as error:
            assert error.code in ("out_of_range", "maybe_negative"), (text, str(error))
            continue
        rule, program = compile_scalar(checked), cel.compile(text)
        values = [rule(row) for row in rows]
        assert [type(value) for value in values] == [int if isinstance(checked.type, Int) else bool] * ROWS
        assert values == [evaluated(checked, row) for row in rows], text
        assert values == [program.execute(context) for context in contexts], text
        assert values[0] == steps(checked, rows[0])[-1]["value"], text
        columns[str(index)] = to_polars(checked).alias(str(index))
        expected[str(index)] = values
    for frame, which in frames(rows, programs.names(Int)):
        found = frame.with_columns(**columns)
        for name, values in expected.items():
            assert [values[row] for row in which] == found[name].to_list()
            assert found[name].dtype in (pl.Int64, pl.Boolean)
    return len(columns)


@pytest.mark.parametrize("count", [2_000, pytest.param(20_000, marks=pytest.mark.long)])
def test_random_programs_mean_one_thing(count: int) -> None:
    """Generated Python = polars = CEL = the walk, on every row; no number ever leaves its proven interval."""
    accepted, seed = 0, count
    while accepted < count:
        accepted += agree(seed)
        seed += 1


def test_columns_that_hold_one_value_keep_their_rows() -> None:
    """Polars knows a literal column for what it is, and then loses rows in places that `to_polars` goes around."""
    scope: dict[str, Type] = {"n": Int(0, 9), "word": Enum(("a", "b"))}
    texts = ["1 != (word == 'a' ? 5 : n)", "2 < n", "'a' == word", "min(n, 3)", "max(0, n, 2)", "n in [5, 6]"]
    texts += ["false || n > 9 ? n : 7", "(false || false) ? n < 2 : false", "(false || false) ? n : 5", "1 + 1"]
    checked = [check(parse(text), scope) for text in texts]
    frame = pl.DataFrame({"row": [1, 2, 3]}).with_columns(n=pl.lit(5, dtype=pl.Int64), word=pl.lit("a"))
    words = frame.with_columns(pl.col("word").cast(pl.Categorical)), frame.with_columns(pl.col("n").cast(pl.UInt8))
    for columns in (frame, *words):
        found = columns.with_columns(**{str(index): to_polars(one) for index, one in enumerate(checked)})
        expected = [compile_scalar(one)({"n": 5, "word": "a"}) for one in checked]
        assert [[value] * 3 for value in expected] == [found[str(index)].to_list() for index in range(len(texts))]


@pytest.mark.parametrize("nest", ["round_half_up({}, 2)", "min({}, n + 1)", "(n > 1 ? {} : n)", "div_floor({}, 2)"])
def test_a_nested_rule_stays_small_in_columns(nest: str) -> None:
    """Each operand stands once in what polars gets: thirty levels are thirty operations, not two to the thirtieth."""
    text = "n"
    for _ in range(30):
        text = nest.format(text)
    checked = check(parse(text), {"n": Int(0, 2**62)})
    facts = {"n": 2**62}
    assert [compile_scalar(checked)(facts)] == pl.DataFrame([facts]).select(found=to_polars(checked))["found"].to_list()

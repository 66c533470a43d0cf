# SPDX-License-Identifier: Apache-2.0
"""The result of a list: a pure function of its rule, an edition's header, its population, the lines and the pack.

The same inputs give the same bytes, whatever the order of rows, threads or versions: all of it is whole numbers.
docs/spec/edition.md says what each figure is.
"""

# Polars states what may be in a literal as a union with an unknown in it.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from rules.engine.lists import ListRule
from rules.engine.model import Pack
from rules.lists.figures import Frame, figures, members, of_members
from rules.lists.honours import honours
from rules.lists.notices import notice
from rules.lists.ranking import ranking
from rules.lists.reminders import reminders


def compute(
    rule: ListRule, header: Mapping[str, Any], population: pl.DataFrame, lines: pl.LazyFrame | pl.DataFrame, pack: Pack
) -> dict[str, Any]:
    """What `result.json` says. `header` needs `from`, `to`, `units`, `as_of`, `seen`, `seed` and, if there is one,
    `previous`; `population` is as read from its file, `lines` reach at least as far as `seen`."""
    frame = Frame(header)
    lines = lines.lazy()
    if rule.kind == "reminder":
        return reminders(rule, frame, members(rule, "body", population, pack), lines, pack)
    found = figures(rule, frame, lines, pack)
    if rule.kind == "ranking":
        residents = members(rule, "person", population, pack).filter(pl.col("grid").is_in(frame.units))
        return ranking(rule, frame, of_members(residents, found))
    if rule.kind == "honour":
        kind = "body" if rule.about == "bodies" else "person"
        return honours(rule, of_members(members(rule, kind, population, pack), found))
    persons = members(rule, "person", population, pack).with_columns(body=pl.lit(False))
    bodies = members(rule, "body", population, pack).with_columns(body=pl.lit(True))
    both = of_members(pl.concat([persons, bodies]), found)
    return notice(rule, frame, both.filter(~pl.col("body")), both.filter("body"))

# SPDX-License-Identifier: Apache-2.0
"""Values and conditions of an indicator as polars expressions over its facts and `occurred_on`."""

# Polars states what may be in a literal as a union with an unknown in it.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import polars as pl

from rules.engine.conditions import scope
from rules.engine.language import check, parse
from rules.engine.language.columns import to_polars
from rules.engine.lowering import lower
from rules.engine.model import Indicator
from rules.engine.values import Brackets, Fixed, Formula, PerUnit, Tier


def worth(indicator: Indicator, value: Fixed | PerUnit | Tier | Brackets | Formula) -> pl.Expr:
    """The amount of a value over the facts that the caps have left, Int64."""
    return to_polars(check(lower(value), scope(indicator, counted=True)))


def condition(indicator: Indicator) -> pl.Expr:
    """Whether `when` holds for the facts as reported, Boolean."""
    return pl.lit(True) if indicator.when is None else to_polars(check(parse(indicator.when), scope(indicator)))

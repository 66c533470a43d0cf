# SPDX-License-Identifier: Apache-2.0
"""Who reaches the thresholds of an honour: bodies, or persons who agreed to be named."""

# Polars states what may be in a literal as a union with an unknown in it.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from typing import Any

import polars as pl

from rules.engine.lists import ListRule


def honours(rule: ListRule, found: pl.DataFrame) -> dict[str, Any]:
    """The result of an honour; `found` are all it is about with their figures. How many these are is told unless they
    are too few."""
    reached = found.filter("listed")
    if rule.min_standing is not None:
        reached = reached.filter(pl.col("standing") >= rule.min_standing)
    if rule.min_gained is not None:
        reached = reached.filter(pl.col("gained") >= rule.min_gained)
    if rule.indicators:
        reached = reached.filter(pl.col("marked") == 1)
    if rule.clean_months is not None:
        reached = reached.filter(pl.col("grey") == 0)
    rows = reached.sort("standing", "subject", descending=[True, False]).select(
        pl.col("subject").alias("line"), "subject", "grid", "standing", "gained", "awards"
    )
    considered = {"considered": found.height} if rule.about == "bodies" or found.height >= rule.suppress_below else {}
    return {"rows": rows.to_dicts(), "totals": considered}

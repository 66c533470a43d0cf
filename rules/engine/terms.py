# SPDX-License-Identifier: Apache-2.0
"""The small words that every part of a pack is written in: codes, names, amounts of text, and where a thing comes from.

What is made of them stands in `model.py` (rules) and `lists.py` (lists).
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field as Constraint

from rules.engine.values import Frozen

Level: TypeAlias = Literal["E0", "E1", "E2", "E3", "E4"]
Code = Annotated[str, Constraint(pattern=r"^[A-Z]{2}-[0-9]{2}$")]
GroupCode = Annotated[str, Constraint(pattern=r"^G[1-9][0-9]?$")]
Word = Annotated[str, Constraint(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Text = Annotated[str, Constraint(min_length=1, max_length=400)]
Integer = Annotated[int, Constraint(ge=-(2**53) + 1, le=2**53 - 1)]


class Name(Frozen):
    """What a thing is called, in both languages."""

    zh: Text
    en: Text


class Citation(Frozen):
    """Where a rule or a list comes from: a source of the pack, and its words where they may be quoted."""

    source: Word
    part: Text | None = None
    quote: Text | None = None

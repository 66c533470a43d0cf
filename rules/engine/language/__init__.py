# SPDX-License-Identifier: Apache-2.0
"""The language in which rules are written: a small, typed part of CEL (docs/spec/rules.md).

`parse` makes a tree of a text, `check` proves that the tree cannot fail, and everything else (one award, a million,
a trace, a sentence) is taken from what was checked.
"""

from __future__ import annotations

from rules.engine.language.check import OCCURRED_ON, Checked, check, conjuncts
from rules.engine.language.columns import to_polars
from rules.engine.language.errors import LanguageError
from rules.engine.language.parser import parse
from rules.engine.language.prose import prose
from rules.engine.language.scalar import compile_scalar
from rules.engine.language.trace import steps
from rules.engine.language.tree import Expr, source, walk
from rules.engine.language.types import Bool, Day, Enum, Int, Type

__all__ = [
    "OCCURRED_ON",
    "Bool",
    "Checked",
    "Day",
    "Enum",
    "Expr",
    "Int",
    "LanguageError",
    "Type",
    "check",
    "compile_scalar",
    "conjuncts",
    "parse",
    "prose",
    "source",
    "steps",
    "to_polars",
    "walk",
]

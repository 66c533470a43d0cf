# SPDX-License-Identifier: Apache-2.0
"""Every refusal has its sentences: a code that the code raises and nobody wrote a sentence for fails here."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.tree import ROOT

_RAISED = re.compile(r'\b(?:Refusal|Unavailable|SheetRefused|Refused)\(\s*"([a-z_]+)"')
_INTERNAL = {"previewed"}  # leaves a dry run, never the desk


def raised() -> set[str]:
    rooms = ("ledger", "rules", "merchants", "api")
    files = (path for room in rooms for path in (ROOT / room).rglob("*.py"))
    return {code for path in files for code in _RAISED.findall(path.read_text(encoding="utf-8"))} - _INTERNAL


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_code_has_a_sentence(lang: str) -> None:
    """Codes found in the sources are all in the locale files."""
    known = tomllib.loads((ROOT / "api" / "locale" / f"{lang}.toml").read_text(encoding="utf-8"))

    assert set() == raised() - known.keys()

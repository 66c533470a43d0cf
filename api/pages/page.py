# SPDX-License-Identifier: Apache-2.0
"""Templates filled in, and what a page of ours may load. Values are escaped by whoever gives them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from string import Template

_TEMPLATES = Path(__file__).parent / "templates"
CSP = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'"


@cache
def _template(name: str) -> Template:
    return Template((_TEMPLATES / name).read_text(encoding="utf-8"))


def filled(name: str, **values: str) -> bytes:
    """The page `name` with every `$word` in it replaced."""
    return _template(name).substitute(values).encode()

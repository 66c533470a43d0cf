# SPDX-License-Identifier: Apache-2.0
"""An edition's files from what was gathered: the population, what is left out, the result, and the header over them."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import polars as pl

from ledger import codec
from rules.engine.lists import ListRule
from rules.engine.model import Pack
from rules.lists import columns, deeds, population
from rules.lists.compute import compute
from rules.lists.freezing import Frozen, Member, changes
from rules.lists.model import CHANGES, HEADER, definition_bytes

_POPULATION = {"subject": pl.String, "grid": pl.String, "groups": pl.List(pl.String), "listed": pl.Boolean}


def made(
    header: dict[str, Any],
    rule: ListRule,
    pack: Pack,
    members: Sequence[Member] | None,
    held: columns.Columns,
    corrected: Frozen | None,
) -> Frozen:
    seen = {journal: at["size"] for journal, at in header["seen"].items()}
    lines = held.lines(seen)
    if members is None:
        assert corrected is not None
        people = corrected.files["population.csv"]
    else:
        people = population.write(pl.DataFrame(members, schema=_POPULATION, orient="row"))
    files = {
        "definition.json": definition_bytes(rule),
        "exclusions.json": codec.canonical({"disputed": deeds.disputed(lines, seen).collect().to_dicts()}),
        "population.csv": people,
    }
    result = compute(rule, header, population.read(people), lines, pack)
    files["result.json"] = codec.canonical(result)
    if corrected is not None:
        files[CHANGES] = codec.canonical(changes(corrected.result, result))
    header = header | {"files": {name: sha256(data).hexdigest() for name, data in sorted(files.items())}}
    return Frozen(header, result, {**files, HEADER: codec.canonical(header)})

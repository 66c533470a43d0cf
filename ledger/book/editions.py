# SPDX-License-Identifier: Apache-2.0
"""Lists that were published, and the money that a place got for its rank: said in entries that move no points.

An edition's files stand outside (docs/spec/export.md); its entry holds their digest, so that none can be changed later,
and nobody is named in it. That an id is published once, and a place granted money once, is for the caller to see to in
the same commit; both verifiers look at it.
"""

from __future__ import annotations

from ledger.model import Act, Draft, Link, Sealed
from ledger.view import View


def edition(
    view: View, journal: str, act: Act, *, id: str, digest: str, list: str, period: str, version: int
) -> Sealed:
    """An edition of the list with this code was published. `digest` is the SHA-256 of its `published.json`, in hex;
    `period` a year, quarter or month (`2026`, `2026Q3`, `2026-09`); `version` counts from 1, corrections included."""
    assert len(digest) == 64 and version > 0, (digest, version)
    data = {"digest": digest, "id": id, "list": list, "period": period, "version": version}
    return view.append(Draft("edition", journal, act, data=data))


def fund(
    view: View, journal: str, act: Act, *, of: Link | Sealed, edition: str, place: str, fen: int, budget: str
) -> Sealed:
    """The place (a grid) is granted `fen` fen from the budget line for its rank in the edition; `of` is the entry of
    that edition in this journal."""
    assert fen > 0, fen
    link = of.link("grants") if isinstance(of, Sealed) else Link("grants", of.journal or journal, of.seq, of.leaf)
    assert link.journal == journal, link
    data = {"budget": budget, "edition": edition, "fen": fen, "place": place}
    return view.append(Draft("fund", journal, act, links=[link], data=data))

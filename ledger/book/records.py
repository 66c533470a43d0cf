# SPDX-License-Identifier: Apache-2.0
"""What is said about entries and moves no points: objections and the decisions on them.

The reasons are the keyed digest of `act.memo`; what was corrected stands in entries of its own (reverse, award, relot).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ledger.book.members import member
from ledger.model import Act, Draft, Link, Sealed
from ledger.view import View

Decision = Literal["upheld", "partly", "rejected", "withdrawn"]


def objection(
    view: View, journal: str, act: Act, *, subject: str, id: str, due: str, links: Sequence[Link] = ()
) -> Sealed:
    """A subject disputes an entry (one link `disputes`), or says that one is missing (no link). `due` is the day by
    which it must be decided. Raises what `member` raises."""
    member(view, journal, subject)
    return view.append(Draft("objection", journal, act, [], subject=subject, links=links, data={"id": id, "due": due}))


def decision(
    view: View, journal: str, act: Act, *, subject: str, id: str, outcome: Decision, links: Sequence[Link]
) -> Sealed:
    """How an objection ended: one link `decides` to its entry. Raises what `member` raises."""
    member(view, journal, subject)
    data = {"id": id, "outcome": outcome}
    return view.append(Draft("decision", journal, act, [], subject=subject, links=links, data=data))

# SPDX-License-Identifier: Apache-2.0
"""Objections and the other rooms: what they ask of redemptions and editions, how they are told, and the mark beside
what is disputed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ledger.engine import Ledger
from ledger.model import Link
from ledger.view import rfc3339
from rules.lists.model import Edition
from rules.objections import Target, lists
from rules.objections.records import ObjectionRecord
from rules.tables import EDITION

# What a line may be in for its subject to object to it: they have been told of it, and it has not been let go.
_DISPUTABLE = frozenset({"notified", "confirmed", "chosen", "passed", "posted"})


class Elsewhere:
    """Redemptions from the shop, lines of editions from the lists."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def redemption(self, id_: str) -> Target | None:
        """An order, with the entry of its hold if it has one: what only asks for a grade holds nothing."""
        rows = await self._ledger.fetch(
            "SELECT r.subject, r.community, r.actor, h.journal, h.seq, h.leaf FROM redemption r "
            "LEFT JOIN hold h ON h.journal = r.journal AND h.hold = r.redemption WHERE r.redemption = ?",
            id_,
        )
        if not rows:
            return None
        subject, community, actor, journal, seq, leaf = rows[0]
        entry = None if seq is None else Link("disputes", journal, seq, bytes(leaf).hex())
        return Target(subject, community, entry, frozenset({actor}))

    async def edition_entry(self, id_: str) -> Target | None:
        """A line of an edition, as `<edition>:<line>`, with the entry that it comes from if it has one: then that is
        disputed, and counts for no list meanwhile. Whoever had a hand in the list does not decide."""
        edition, _, line = id_.partition(":")
        rows = await self._ledger.fetch(
            "SELECT subject, state, journal, seq, decided_by FROM edition_line WHERE edition = ? AND line = ?",
            edition, line,
        )  # fmt: skip
        if not rows or rows[0][1] not in _DISPUTABLE:
            return None
        subject, _, journal, seq, decided_by = rows[0]
        found = await self._ledger.fetch(f"SELECT {', '.join(EDITION.names)} FROM edition WHERE id = ?", edition)
        listed, entry = Edition.of(found[0]), None
        involved = {decided_by, listed.drafted_by, listed.frozen_by, listed.notified_by}
        involved |= {one.by for one in listed.said_yes}
        if journal:
            entry = Link("disputes", journal, seq, (await self._ledger.entry(journal, seq)).leaf)
        return Target(subject, listed.place, entry, frozenset(involved - {""}))

    async def accounts(self, callers: Collection[str]) -> set[str]:
        """Subjects that staff logins are linked to."""
        ids = sorted(callers)
        marks = ", ".join("?" * len(ids))
        rows = await self._ledger.fetch(f"SELECT subject FROM staff WHERE id IN ({marks}) AND subject <> ''", *ids)
        return {subject for (subject,) in rows}

    async def logins(self, subject: str) -> set[str]:
        """All staff logins that are linked to a subject."""
        return {id for (id,) in await self._ledger.fetch("SELECT id FROM staff WHERE subject = ?", subject)}


async def mark(ledger: Ledger, items: Sequence[Any], entries: Sequence[Mapping[str, Any] | None]) -> None:
    """Put `objection` into each item that is disputed, or was. `entries` has the place of each one's entry."""
    places = [None if at is None else (str(at["journal"]), int(at["seq"])) for at in entries]
    found = await lists.marks(ledger, [place for place in places if place is not None])
    for item, place in zip(items, places, strict=True):
        if place is not None and place in found:
            item["objection"] = found[place]


def objection_body(one: ObjectionRecord, today: str) -> dict[str, Any]:
    """As answered; with the reasons only where the record has them."""
    body: dict[str, Any] = {
        "id": one.id,
        "state": one.state,
        "subject": one.subject,
        "place": one.place,
        "kind": one.kind,
        "due": one.due,
        "due_sure": one.sure,
        "overdue": one.overdue(today),
        "extended": one.extended_by is not None,
        "on_behalf": one.on_behalf,
        "filed_by": one.filed_by,
        "filed_at": rfc3339(one.filed_at),
        "receipt": {"journal": one.journal, "seq": one.seq, "entry_hash": bytes(one.leaf).hex()},
        "decided_by": one.decided_by,
        "decided_at": None if one.decided_at is None else rfc3339(one.decided_at),
        "decision": None,
        "correction": one.correction,
    }
    if one.target_seq is not None:
        body["entry"] = {"journal": one.target_journal, "seq": one.target_seq}
    if one.detail is not None:
        body[one.kind] = one.detail.get("id", one.detail)
    if one.decision_seq is not None:
        body["decision"] = {"journal": one.decision_journal, "seq": one.decision_seq}
    if one.said:
        body["reason"] = one.said.get("reason")
        body |= {f"{what}_reason": one.said[what] for what in ("decision", "extension") if what in one.said}
    return body

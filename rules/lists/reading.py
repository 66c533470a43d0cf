# SPDX-License-Identifier: Apache-2.0
"""Editions, lines and comments as they are stored: found, never changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from ledger.engine import Ledger
from ledger.errors import Refusal
from rules.lists.model import PUBLISHED, Comment, Edition, Line
from rules.objections.domain import OPEN
from rules.tables import EDITION, EDITION_COMMENT, EDITION_LINE

_Params = list[Any]
COMMENTS_WAITING = 10  # of one person; who has more unread should wait until they are read
_EDITION = ", ".join(f"e.{name}" for name in EDITION.names)
_LINE = ", ".join(f"l.{name}" for name in EDITION_LINE.names)
_COMMENT = ", ".join(EDITION_COMMENT.names)
_OBJECTED = (
    "edition_line l JOIN edition e ON e.id = l.edition JOIN objection o ON o.subject = l.subject "
    "AND o.target = 'edition_entry:' || l.edition || ':' || l.line"
)
# Not where somebody who was passed over was right, and chosen after that.
_UPHELD = "o.state = 'upheld' AND (l.decided_on = '' OR o.decided_at > e.published_at)"
_SUSPENDED = (
    f"SELECT l.line FROM {_OBJECTED} WHERE l.edition = ? AND (o.state = ? OR {_UPHELD}) UNION "
    "SELECT l.line FROM edition_line l JOIN objection o ON o.target_journal = l.journal AND o.target_seq = l.seq "
    "WHERE l.edition = ? AND l.seq >= 0 AND o.state = ? UNION "
    "SELECT l.line FROM edition_line l JOIN reversed r ON r.journal = l.journal AND r.seq = l.seq "
    "WHERE l.edition = ? AND l.seq >= 0"
)


async def edition(ledger: Ledger, id: str) -> Edition:
    """Raises `not_found`."""
    rows = await ledger.fetch(f"SELECT {_EDITION} FROM edition e WHERE e.id = ?", id)
    if not rows:
        raise Refusal("not_found", what="edition", id=id[:60])
    return Edition.of(rows[0])


async def find(
    ledger: Ledger,
    *,
    list: str | None = None,
    kind: str | None = None,
    period: str | None = None,
    places: Collection[str] | None = None,
    states: Collection[str] | None = None,
    before: str | None = None,
    limit: int = 50,
) -> list[Edition]:
    """Newest first; `before` is the last id of the page before. `places` are exactly these."""
    where = ["1 = 1"]
    params: _Params = []
    for column, value in (("list", list), ("kind", kind), ("period", period)):
        if value is not None:
            where.append(f"e.{column} = ?")
            params.append(value)
    for column, values in (("place", places), ("state", states)):
        if values is not None:
            where.append(f"e.{column} IN ({', '.join('?' * len(values))})" if values else "1 = 0")
            params += sorted(values)
    if before is not None:
        where.append("e.id < ?")
        params.append(before)
    sql = f"SELECT {_EDITION} FROM edition e WHERE {' AND '.join(where)} ORDER BY e.id DESC LIMIT ?"
    return [Edition.of(row) for row in await ledger.fetch(sql, *params, limit)]


async def latest(ledger: Ledger, list: str, place: str, period: str) -> Edition | None:
    """The published edition of the last period before this one."""
    rows = await ledger.fetch(
        f"SELECT {_EDITION} FROM edition e WHERE e.list = ? AND e.place = ? AND e.period < ? AND e.state = ? "
        "ORDER BY e.period DESC LIMIT 1",
        list, place, period, PUBLISHED,
    )  # fmt: skip
    return Edition.of(rows[0]) if rows else None


async def lines(ledger: Ledger, id: str) -> list[Line]:
    """An edition's lines, in the order of their keys."""
    rows = await ledger.fetch(f"SELECT {_LINE} FROM edition_line l WHERE l.edition = ? ORDER BY l.line", id)
    return [Line.of(row) for row in rows]


async def of_subject(ledger: Ledger, subject: str) -> list[tuple[Edition, Line]]:
    """Every line about a subject with its edition, newest first."""
    rows = await ledger.fetch(
        f"SELECT {_LINE}, {_EDITION} FROM edition_line l JOIN edition e ON e.id = l.edition "
        "WHERE l.subject = ? ORDER BY l.edition DESC, l.line LIMIT 500",
        subject,
    )
    width = len(EDITION_LINE.names)
    return [(Edition.of(row[width:]), Line.of(row[:width])) for row in rows]


async def ending(ledger: Ledger, today: str) -> list[tuple[str, str, str]]:
    """(edition, line, why) of what is posted and should not be any more."""
    over = await ledger.fetch(
        "SELECT edition, line FROM edition_line WHERE state = 'posted' AND until <> '' AND until < ?", today
    )
    back = await ledger.fetch(
        "SELECT l.edition, l.line FROM edition_line l JOIN reversed r ON r.journal = l.journal AND r.seq = l.seq "
        "WHERE l.state = 'posted'"
    )
    wrong = await ledger.fetch(f"SELECT l.edition, l.line FROM {_OBJECTED} WHERE l.state = 'posted' AND {_UPHELD}")
    found = {(id, line): "expired" for id, line in over} | {(id, line): "removed" for id, line in (*back, *wrong)}
    return [(id, line, why) for (id, line), why in sorted(found.items())]


async def suspended(ledger: Ledger, found: Iterable[Line]) -> set[str]:
    """Keys of these lines that are under objection or were found wrong, or whose entry was taken back."""
    gone: set[str] = set()
    every = tuple(found)
    for id in {one.edition for one in every}:
        rows = await ledger.fetch(_SUSPENDED, id, OPEN, id, OPEN, id)
        gone |= {line for (line,) in rows}
    return gone & {one.line for one in every}


async def comment(ledger: Ledger, id: str) -> Comment:
    """Raises `not_found`."""
    rows = await ledger.fetch(f"SELECT {_COMMENT} FROM edition_comment WHERE id = ?", id)
    if not rows:
        raise Refusal("not_found", what="comment", id=id[:60])
    return Comment.of(rows[0])


async def elsewhere(ledger: Ledger, edition: str, before: Collection[str]) -> list[tuple[str, str]]:
    """(edition, line) of the same deductions in other editions, apart from the versions `before` this one: for one
    deduction a body is posted once."""
    rows = await ledger.fetch(
        "SELECT o.edition, o.line FROM edition_line l JOIN edition_line o ON o.subject = l.subject AND o.line = l.line "
        "WHERE l.edition = ? AND l.journal <> '' AND o.edition <> l.edition",
        edition,
    )
    return [(other, line) for other, line in rows if other not in before]


async def comments(ledger: Ledger, edition: str, states: Collection[str]) -> list[Comment]:
    """In one of these states, oldest first, at most the first thousand."""
    rows = await ledger.fetch(
        f"SELECT {_COMMENT} FROM edition_comment WHERE edition = ? AND state IN ({', '.join('?' * len(states))}) "
        "ORDER BY id LIMIT 1000",
        edition,
        *sorted(states),
    )
    return [Comment.of(row) for row in rows]


async def waiting(ledger: Ledger, subject: str) -> int:
    """How many comments of somebody have not been read by staff."""
    rows = await ledger.fetch("SELECT COUNT(*) FROM edition_comment WHERE subject = ? AND state = 'waiting'", subject)
    return int(rows[0][0])

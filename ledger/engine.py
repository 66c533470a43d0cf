# SPDX-License-Identifier: Apache-2.0
"""One running ledger: store, sequencer, clock, randomness and the deployment's digest keys behind one door."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from ledger import codec
from ledger.clock import Clock, Guard, system_clock
from ledger.errors import Refusal, Unavailable
from ledger.ids import opaque_id, ordered_id
from ledger.port import Answer, Command, Retry
from ledger.sequencer import Sequencer
from ledger.store import Store, make_store
from ledger.view import rfc3339

MIGRATIONS = Path(__file__).parent / "migrations"


@lru_cache(maxsize=1024)
def _day_number(day: str) -> bytes:
    """Days since 2000, two bytes."""
    return ((date.fromisoformat(day) - date(2000, 1, 1)).days % 0xFFFF).to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry as stored: its bytes, their meaning, and the leaf in hex."""

    body: bytes
    fields: dict[str, Any]
    leaf: str


class Ledger:
    """What the rooms above hold on to. `secret` is 32 random bytes of the deployment; digests of requests and causes
    depend on it, so it belongs to the backup of keys, never to the database."""

    def __init__(
        self,
        url: str,
        secret: bytes,
        *,
        clock: Clock = system_clock,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.url = url
        self.store: Store = make_store(url)
        self.clock = clock
        self.random = random
        self.frozen: Exception | None = None  # why no entries are taken: this is not the ledger that was signed
        self._cause = codec.hmac_sha256(secret, b"jifen/cause/1")
        self._request = codec.hmac_sha256(secret, b"jifen/request/1")
        self.sequencer = Sequencer(self.store, codec.hmac_sha256(secret, b"jifen/entries/1"), Guard(clock), random)

    async def open(self) -> None:
        await self.store.open()

    async def close(self) -> None:
        """Finish queued commands, then close the database."""
        await self.sequencer.close()
        await self.store.close()

    # writing ---------------------------------------------------------------------------------------------------

    async def submit(self, command: Command) -> Answer:
        """Run one command in the next group commit. Raises `Refusal`; `read_only` while the ledger is frozen, for
        whatever would touch a journal (signing in and reading go on)."""
        if self.frozen is not None and command.journals:
            raise Unavailable("read_only", retry_after=60)
        return await self.sequencer.submit(command)

    def retry(self, caller: str, key: str, request: bytes) -> Retry:
        """The retry key of a caller with the digest of the canonical request it stands for."""
        return Retry(caller, key, codec.hmac_sha256(self._request, request))

    def cause(self, rule: str, cause: bytes, subject: str, day: str | None = None) -> bytes:
        """The cause key of a deed, 32 bytes: unique per (rule, cause, subject) over the whole deployment.

        The first two bytes are the number of `day` since 2000 where the cause itself contains the day (ffff where it
        does not), so that the index grows where today's deeds are; the other thirty are the digest.
        """
        digest = codec.hmac_sha256(self._cause, b"\x00".join((rule.encode(), subject.encode(), cause)))
        return (b"\xff\xff" if day is None else _day_number(day)) + digest[:30]

    def new_id(self, kind: str) -> str:
        """An id in order of time, e.g. `awd_…`."""
        return ordered_id(kind, self.clock(), self.random)

    def secret_id(self, kind: str) -> str:
        """An id that cannot be guessed, e.g. `sub_…`."""
        return opaque_id(kind, self.random)

    # reading ---------------------------------------------------------------------------------------------------

    async def fetch(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """Committed rows, `?` for parameters."""
        return await self.store.fetch(sql, *params)

    async def home(self, subject: str) -> str:
        """The journal where the subject's account is. Raises `subject_unknown`, `subject_erased`."""
        rows = await self.fetch("SELECT journal, state FROM member WHERE subject = ?", subject)
        for journal, state in rows:
            if state == "open":
                return journal
        code = "subject_erased" if any(state == "erased" for _, state in rows) else "subject_unknown"
        raise Refusal(code, subject=subject)

    async def entry(self, journal: str, seq: int) -> StoredEntry:
        """One entry. Raises `not_found`."""
        rows = await self.fetch("SELECT body, leaf FROM entry WHERE journal = ? AND seq = ?", journal, seq)
        if not rows:
            raise Refusal("not_found", what="entry", id=f"{journal}/{seq}")
        body = bytes(rows[0][0])
        return StoredEntry(body, codec.decode(body), bytes(rows[0][1]).hex())

    async def entries_of(
        self, subject: str, limit: int, after: tuple[int, str, int] | None = None
    ) -> list[tuple[int, str, int, bytes, bytes]]:
        """(recorded_at µs, journal, seq, leaf, body) of the entries that name a subject, newest first, over all
        journals it has lived in; `after` is the (recorded_at, journal, seq) of the last one seen."""
        homes = await self.fetch(
            "SELECT m.journal, h.size FROM member m JOIN head h ON h.journal = m.journal WHERE m.subject = ?", subject
        )
        found: list[tuple[int, str, int, bytes, bytes]] = []
        for journal, size in homes:
            found += await self._newest(journal, subject, size, limit, after or (2**62, "", 0))
        found.sort(reverse=True)
        return found[:limit]

    async def _newest(
        self, journal: str, subject: str, size: int, limit: int, after: tuple[int, str, int]
    ) -> list[tuple[int, str, int, bytes, bytes]]:
        """One journal's part of `entries_of`: its index lies in buckets of 4,096 entries, sixteen are asked at once."""
        at, where, last = after
        found: list[tuple[int, str, int, bytes, bytes]] = []
        top = (size - 1) // 4096
        while top >= 0 and len(found) < limit:
            buckets = [top - step for step in range(16)]
            rows = await self.fetch(
                "SELECT recorded_at, journal, seq, leaf, body FROM entry WHERE journal = ? "
                f"AND seq / 4096 IN ({', '.join('?' * 16)}) AND subject = ? "
                "AND (recorded_at < ? OR recorded_at = ? AND (journal < ? OR journal = ? AND seq < ?)) "
                "ORDER BY seq DESC LIMIT ?",
                journal, *buckets, subject, at, at, where, where, last, limit - len(found),
            )  # fmt: skip
            found += [(instant, j, seq, bytes(leaf), bytes(body)) for instant, j, seq, leaf, body in rows]
            top -= 16
        return found

    async def journals(self) -> list[dict[str, Any]]:
        """Every journal with its size, last leaf and instant."""
        rows = await self.fetch("SELECT journal, size, leaf, recorded_at, zone, takeover FROM head ORDER BY journal")
        return [
            {
                "journal": j,
                "size": n,
                "leaf": bytes(leaf).hex(),
                "recorded_at": rfc3339(at),
                "zone": zone,
                "takeover": t,
            }
            for j, n, leaf, at, zone, t in rows
        ]

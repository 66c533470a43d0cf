# SPDX-License-Identifier: Apache-2.0
"""Statements that prove themselves (docs/spec/seal.md): what an account held at a seal, and every entry in between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.seals import Seal, SealTrees, newest, seals
from ledger.states import State, owned, state_bytes

Receipt = Callable[[str, int], Awaitable[str]]
"""(journal, seq) → the receipt of that entry as text."""

ENTRIES_AT_ONCE = 200


class Statements:
    """Makes statements. `receipt` gives the receipts of the seal entries."""

    def __init__(self, ledger: Ledger, receipt: Receipt) -> None:
        self._ledger = ledger
        self._receipt = receipt
        self._trees = SealTrees(ledger)

    async def make(
        self,
        journal: str,
        account: str,
        *,
        since: int | None = None,
        until: int | None = None,
        absence: bool = False,
        limit: int | None = None,
    ) -> dict[str, Any]:
        """The statement between two seals, given by their `as_of_size`: from the beginning, up to the newest.

        An account that was not there yet at `since` is stated from the beginning. With `absence` one that is not
        there at all is shown not to be, by its two neighbours, which thereby become known. Raises `not_found` for a
        seal that there is not and an account that no statement is made for, `statement_too_long` for more entries than
        `limit`.
        """
        if not owned(account):
            raise Refusal("not_found", what="account", id=account)
        to = await self._seal(journal, until)
        start = await self._seal(journal, since) if since else None
        if start is not None and start.as_of >= to.as_of:
            raise Refusal("not_found", what="seal", id=f"{journal}/{start.as_of}")
        ending = await self._side(to, account)
        if ending["state"] is None:
            if not absence:
                raise Refusal("not_found", what="account", id=account)
            absent = await self._neighbours(to, account)
            return self._file(journal, account, None, ending, [], absent)
        beginning = await self._side(start, account) if start is not None else None
        if beginning is not None and beginning["state"] is None:
            start = beginning = None
        seqs = await self._seqs(journal, account, start.as_of if start else 0, to.as_of)
        if limit is not None and len(seqs) > limit:
            raise Refusal("statement_too_long", entries=len(seqs), limit=limit)
        return self._file(journal, account, beginning, ending, await self._bodies(journal, seqs), None)

    def _file(
        self,
        journal: str,
        account: str,
        beginning: dict[str, Any] | None,
        ending: dict[str, Any],
        entries: list[str],
        absent: list[dict[str, Any]] | None,
    ) -> dict[str, Any]:
        said = {"v": 1, "journal": journal, "account": account, "from": beginning, "to": ending}
        return {**said, "entries": entries, "absent": absent}

    async def _seal(self, journal: str, as_of: int | None) -> Seal:
        if as_of is None:
            found = await newest(self._ledger, journal)
        else:
            found = next(iter(await seals(self._ledger, journal, as_of + 1, 1)), None)
        if found is None or as_of not in (None, found.as_of):
            raise Refusal("not_found", what="seal", id=f"{journal}/{as_of or ''}")
        return found

    async def _side(self, one: Seal, account: str) -> dict[str, Any]:
        tree = await self._trees.of(one)
        index, there = tree.place(account)
        said: dict[str, Any] = {"receipt": await self._receipt(one.journal, one.seq), "accounts": one.accounts}
        if not there:
            return {**said, "index": None, "state": None, "proof": []}
        return {**said, **await self._proven(one, account, index)}

    async def _proven(self, one: Seal, account: str, index: int) -> dict[str, Any]:
        rows = await self._ledger.fetch(
            "SELECT version, head, balances FROM account_state WHERE journal = ? AND account = ? AND as_of <= ? "
            "ORDER BY as_of DESC LIMIT 1",
            one.journal, account, one.as_of,
        )  # fmt: skip
        version, head, balances = rows[0]
        state = state_bytes(account, State(version, bytes(head), balances)).decode()
        return {"index": index, "state": state, "proof": (await self._trees.of(one)).proof(index)}

    async def _neighbours(self, one: Seal, account: str) -> list[dict[str, Any]]:
        tree = await self._trees.of(one)
        after, _ = tree.place(account)
        beside = [index for index in (after - 1, after) if 0 <= index < len(tree.names)]
        return [await self._proven(one, tree.names[index], index) for index in beside]

    async def _seqs(self, journal: str, account: str, since: int, until: int) -> list[int]:
        rows = await self._ledger.fetch(
            "SELECT seqs FROM account_state WHERE journal = ? AND account = ? AND as_of > ? AND as_of <= ? "
            "ORDER BY as_of",
            journal, account, since, until,
        )  # fmt: skip
        return [seq for (seqs,) in rows for seq in msgspec.json.decode(seqs, type=list[int])]

    async def _bodies(self, journal: str, seqs: list[int]) -> list[str]:
        bodies: list[str] = []
        for start in range(0, len(seqs), ENTRIES_AT_ONCE):
            part = seqs[start : start + ENTRIES_AT_ONCE]
            marks = ", ".join("?" * len(part))
            sql = f"SELECT body FROM entry WHERE journal = ? AND seq IN ({marks}) ORDER BY seq"
            bodies += [bytes(body).decode() for (body,) in await self._ledger.fetch(sql, journal, *part)]
        return bodies

# SPDX-License-Identifier: Apache-2.0
"""What has been published, and the proofs that follow from it: for the command line, the API and the export. Nothing
here reveals anything about entries that no signed checkpoint covers yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ledger import codec, note
from ledger.engine import Ledger
from ledger.errors import Refusal, Unavailable
from ledger.guard import EPOCHS
from ledger.receipt import Receipt
from ledger.tree import Trees


class Published:
    """Checkpoints, proofs and receipts of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.trees = Trees(ledger.fetch)

    async def sizes(self) -> dict[str, int]:
        """Log → size of its newest checkpoint."""
        return dict(await self.ledger.fetch("SELECT journal, MAX(size) FROM checkpoint GROUP BY journal"))

    async def note(self, log: str) -> bytes:
        """The newest signed checkpoint of a log, as bytes. Raises `not_found`, `not_published`."""
        rows = await self.ledger.fetch("SELECT note FROM checkpoint WHERE journal = ? ORDER BY size DESC LIMIT 1", log)
        if rows:
            return rows[0][0].encode()
        if log != EPOCHS and not await self.ledger.fetch("SELECT 1 FROM head WHERE journal = ?", log):
            raise Refusal("not_found", what="journal", id=log)
        raise Unavailable("not_published", retry_after=1)

    async def checkpoint(self, log: str) -> tuple[note.Note, note.Checkpoint]:
        """The same, read."""
        signed = note.parse_note(await self.note(log))
        return signed, note.parse_checkpoint(signed.text)

    async def inclusion(self, log: str, index: int, size: int | None = None) -> tuple[int, list[bytes]]:
        """(size, proof) that the leaf at `index` is in the tree of `size`, the newest published one by default.

        Raises `not_published` for what is above that, `not_found` for an index that is not below `size`.
        """
        size = await self._within(log, size)
        if not 0 <= index < size:
            newest = (await self.checkpoint(log))[1].size
            if newest <= index and size == newest:
                await self._exists(log, index)
                raise Unavailable("not_published", retry_after=1)
            raise Refusal("not_found", what="entry", id=f"{log}/{index}")
        return size, await self.trees.inclusion(log, index, size)

    async def consistency(self, log: str, before: int, size: int | None = None) -> tuple[int, list[bytes]]:
        """(size, proof) that the tree of `size` contains that of `before`. Raises as `inclusion` does."""
        size = await self._within(log, size)
        if not 0 <= before <= size:
            raise Refusal("not_found", what="checkpoint", id=f"{log}/{before}")
        return size, await self.trees.consistency(log, before, size)

    async def receipt(self, journal: str, seq: int) -> Receipt:
        """The receipt of one entry (docs/spec/receipt.md). Raises `not_found`, and `not_published` until a checkpoint
        covers it."""
        entry = await self.ledger.entry(journal, seq)
        signed, point = await self.checkpoint(journal)
        if seq >= point.size:
            raise Unavailable("not_published", retry_after=1)
        # The key in force stands first. A second signature vouches for it once, in the rotation that is kept.
        signed = signed._replace(signatures=signed.signatures[:1])
        return Receipt(entry.body, seq, await self.trees.inclusion(journal, seq, point.size), signed)

    async def _within(self, log: str, size: int | None) -> int:
        newest = (await self.checkpoint(log))[1].size
        if size is None:
            return newest
        if size > newest:
            raise Unavailable("not_published", retry_after=1)
        return size

    async def _exists(self, log: str, index: int) -> None:
        if log != EPOCHS:
            await self.ledger.entry(log, index)


async def public_keys(ledger: Ledger, origin: str, vkey: str, recovery: str, witnesses: Sequence[str] = ()) -> Any:
    """`keys.json` (docs/spec/export.md), as of now; `vkey` stands for a deployment that has no journal yet."""
    sizes = dict(await ledger.fetch("SELECT journal, size FROM head"))
    keys = await keys_in_force(ledger, sizes) or [{"from": {}, "vkey": vkey}]
    return {"keys": keys, "origin": origin, "recovery": recovery, "v": 1, "witnesses": list(witnesses)}


async def keys_in_force(ledger: Ledger, sizes: Mapping[str, int]) -> list[dict[str, Any]]:
    """The `keys` of `keys.json`: in the order in which they came into force, as far as these sizes tell."""
    starts: dict[str, dict[str, int]] = {}
    found: list[tuple[int, str, int, str]] = []
    for journal, size in sizes.items():
        rows = await ledger.fetch(
            "SELECT seq, recorded_at, body FROM entry WHERE journal = ? AND seq = 0 UNION ALL "
            "SELECT seq, recorded_at, body FROM entry WHERE kind IN ('key', 'seal') AND journal = ? AND kind = 'key' "
            "AND seq > 0 AND seq < ?",
            journal,
            journal,
            size,
        )
        for seq, at, body in rows:
            found.append((at, journal, seq, codec.decode(bytes(body))["data"]["vkey"]))
    for _, journal, seq, vkey in sorted(found):
        starts.setdefault(vkey, {})[journal] = seq + 1 if seq else 0
    return [{"from": since, "vkey": vkey} for vkey, since in starts.items()]

# SPDX-License-Identifier: Apache-2.0
"""Taking awards back: who may, which entries are meant, and how each indicator says it is done."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ledger import codec
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.model import FOREVER, Act
from ledger.port import Retry
from ledger.tables import Row
from ledger.view import local_day
from rules.desk.kept import Lot, relotted
from rules.desk.prepare import Preparer, refuse
from rules.desk.records import CHUNK, Records
from rules.desk.reversal import Original, Reversal, ReverseCommand, of_row
from rules.desk.subjects import Known
from rules.ports import APPROVING, AWARDING, Actor


class Reversals:
    """Awards and batches, taken back."""

    def __init__(self, ledger: Ledger, records: Records, preparer: Preparer) -> None:
        self.ledger = ledger
        self.records = records
        self._preparer = preparer
        self.places = preparer.places
        self.shelf = preparer.shelf

    async def reverse(
        self, actor: Actor, award: str, *, reason: str, occurred_on: str, retry: Retry | None = None
    ) -> tuple[Reversal, bool]:
        """Take one award back. Raises `already_reversed`, `not_reversible`."""
        done, replayed = await self._reverse(actor, award, None, None, reason, occurred_on, retry)
        return done[0], replayed

    async def reverse_batch(
        self,
        actor: Actor,
        batch: str,
        *,
        reason: str,
        occurred_on: str,
        rows: Collection[int] | None = None,
        retry: Retry | None = None,
    ) -> tuple[list[Reversal], bool]:
        """Take a batch back, or some of its rows; what is reversed already is said, not refused."""
        return await self._reverse(actor, None, batch, rows, reason, occurred_on, retry)

    async def _reverse(
        self,
        actor: Actor,
        award: str | None,
        batch: str | None,
        rows: Collection[int] | None,
        reason: str,
        occurred_on: str,
        retry: Retry | None,
    ) -> tuple[list[Reversal], bool]:
        try:
            today = local_day(self.ledger.clock(), self.shelf.zone)
            if occurred_on > today:
                wrong = {"pointer": "/occurred_on", "code": "in_future", "found": occurred_on, "allowed": f"..{today}"}
                raise Refusal("facts_invalid", errors=[wrong])
            if batch is None:
                targets, others = [await self.records.award_row(award or "")], []
            else:
                await self.records.batch_row(batch)
                everything = await self.records.award_rows(batch)
                wanted = None if rows is None else set(rows)
                targets = [row for row in everything if wanted is None or row[2] in wanted]
                others = [row[0] for row in everything if wanted is not None and row[2] not in wanted]
                missing = sorted((wanted or set()) - {row[2] for row in everything})
                if missing:
                    raise Refusal("not_found", what="row", id=str(missing[0]), rows=missing[:100])
            for place in {row[10] for row in targets}:
                if not actor.may(AWARDING | APPROVING, place, self.places.covers):
                    raise Refusal("forbidden", place=place)
            originals = await self._originals(actor, targets, reason, occurred_on)
        except Refusal as refusal:
            answer = await refuse(self.ledger, retry, refusal)
        else:
            ref = award or (batch if rows is None else f"{batch}#{','.join(map(str, sorted(rows)))}") or ""
            homes = {one.home for one in originals if isinstance(one, Original)}
            answer = await self.ledger.submit(
                ReverseCommand(
                    originals, targets[0][1] if targets else batch,
                    others if batch is not None else await self._siblings(targets[0]), reason, actor.id, ref, retry,
                    tuple(sorted(homes)), max(1, len(originals)),
                )
            )  # fmt: skip
        if answer.replayed:
            return await self._reversals(answer.ref), True
        return answer.value, False

    async def single(self, actor: Actor, row: Row, reason: str, occurred_on: str) -> ReverseCommand | Reversal:
        """The reversal of one award as part of another command, or why there can be none. Whether this actor may do
        so is for the caller to say."""
        (one,) = await self._originals(actor, [row], reason, occurred_on)
        if isinstance(one, Reversal):
            return one
        others = await self._siblings(row)
        return ReverseCommand([one], row[1], others, reason, actor.id, row[0], None, (one.home,), 1)

    async def _siblings(self, row: Row) -> list[str]:
        """The other awards of a single award's batch, which then may be wholly reversed."""
        if row[1] is None:
            return []
        found = await self.ledger.fetch("SELECT id FROM award WHERE batch = ? AND id <> ?", row[1], row[0])
        return [id_ for (id_,) in found]

    async def _originals(
        self, actor: Actor, targets: Sequence[Row], reason: str, occurred_on: str
    ) -> list[Original | Reversal]:
        txn = self.ledger.new_id("txn")
        bodies = await self._entries([(row[7], row[8]) for row in targets if of_row(row) is None])
        subjects = {row[6] for row in targets}
        known = await self._preparer.subjects.many(subjects)
        alive = [subject for subject, found in known.items() if isinstance(found, Known)]
        keys = await self._preparer.keys(alive)
        originals: list[Original | Reversal] = []
        late: dict[str, frozenset[Lot]] = {}
        for row in targets:
            gone, subject = of_row(row), known[row[6]]
            if gone is not None:
                originals.append(gone)
            elif isinstance(subject, Refusal) or row[6] not in keys:
                code = subject.code if isinstance(subject, Refusal) else "subject_erased"
                originals.append(Reversal(row[0], row[2], code))
            else:
                body, leaf = bodies[row[7], row[8]]
                said = codec.canonical({"award": row[0], "reason": reason, "occurred_on": occurred_on})
                key = keys[row[6]]
                act = Act(actor.id, occurred_on, said, txn, key=key, memo=reason.encode())
                fields = codec.decode(body)
                if self._past_its_day(fields) and row[6] not in late:
                    late[row[6]] = await relotted(self.ledger, row[6])
                lots = late.get(row[6], frozenset[Lot]())
                policy = self._policy(fields)
                originals.append(Original(row[0], row[2], fields, leaf, subject.home, key, act, policy, lots))
        return originals

    def _past_its_day(self, fields: Mapping[str, Any]) -> bool:
        """Is a lot of the award past its day? Then it lapsed, or it was given a later one: somebody has to look."""
        today = local_day(self.ledger.clock(), self.shelf.zone)
        own = [line for line in fields["postings"] if line["account"].startswith("subject:")]
        return any(line.get("lot", FOREVER) < today for line in own)

    def _policy(self, fields: Mapping[str, Any]) -> str:
        """How the indicator, in the pack that the entry names, gives back what was partly spent."""
        for pack in self.shelf.packs:
            if pack.hash == fields.get("pack") and (found := pack.indicators.get(str(fields.get("rule")))):
                return found.reversal
        return "only_available"

    async def _entries(self, places: Sequence[tuple[str, int]]) -> dict[tuple[str, int], tuple[bytes, str]]:
        by_journal: dict[str, list[int]] = {}
        for journal, seq in places:
            by_journal.setdefault(journal, []).append(seq)
        found: dict[tuple[str, int], tuple[bytes, str]] = {}
        for journal, seqs in by_journal.items():
            for start in range(0, len(seqs), CHUNK):
                part = seqs[start : start + CHUNK]
                part += [part[-1]] * (CHUNK - len(part)) if len(part) > 4 else []
                rows = await self.ledger.fetch(
                    f"SELECT seq, body, leaf FROM entry WHERE journal = ? AND seq IN ({', '.join('?' * len(part))})",
                    journal,
                    *part,
                )
                for seq, body, leaf in rows:
                    found[journal, seq] = (bytes(body), bytes(leaf).hex())
        return found

    async def _reversals(self, ref: str) -> list[Reversal]:
        """Reversals as they stand in the store, for who asks again."""
        id_, _, listed = ref.partition("#")
        lines = set(map(int, listed.split(","))) if listed else None
        column = "a.batch" if id_.startswith("bat_") else "a.id"
        rows = await self.ledger.fetch(
            "SELECT a.id, a.line, a.standing, a.points, r.shortfall, e.journal, e.seq, e.leaf FROM award a "
            "JOIN reversed r ON r.journal = a.journal AND r.seq = a.seq "
            "JOIN entry e ON e.journal = a.reversal_journal AND e.seq = a.reversal_seq "
            f"WHERE {column} = ? ORDER BY a.line, a.id",
            id_,
        )
        return [
            Reversal(
                award, line, "reversed", -standing, -points, shortfall,
                {"journal": journal, "seq": seq, "entry_hash": bytes(leaf).hex()},
            )
            for award, line, standing, points, shortfall, journal, seq, leaf in rows
            if lines is None or line in lines
        ]  # fmt: skip

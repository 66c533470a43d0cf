# SPDX-License-Identifier: Apache-2.0
"""What residents say to a published edition (社会监督): read by staff first, then shown beside it or not."""

from __future__ import annotations

from collections.abc import Callable, Collection

from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.port import PutRows
from rules.lists import reading
from rules.lists.model import Comment
from rules.lists.sealing import opened, sealed
from rules.lists.texts import check_public
from rules.ports import Actor, Vault
from rules.tables import EDITION_COMMENT


class Comments:
    """`must(actor, place)` raises `forbidden` for whoever does not look after lists there."""

    def __init__(self, ledger: Ledger, vault: Vault, must: Callable[[Actor, str], None]) -> None:
        self._ledger = ledger
        self._vault = vault
        self._must = must

    async def add(self, subject: str, edition: str, text: str) -> Comment:
        """Somebody who signed in says something about a published edition. Raises `not_found`,
        `personal_data_in_text`, `too_many_comments`."""
        if not (await reading.edition(self._ledger, edition)).is_public:
            raise Refusal("not_found", what="edition", id=edition[:60])
        check_public(text, "/text")
        if await reading.waiting(self._ledger, subject) >= reading.COMMENTS_WAITING:
            raise Refusal("too_many_comments", most=reading.COMMENTS_WAITING)
        id = self._ledger.new_id("cmt")
        words = await sealed(self._vault, subject, text, id)
        made = Comment(id, edition, subject, "waiting", self._ledger.clock(), words)
        await self._ledger.submit(PutRows(inserts=((EDITION_COMMENT, made.row()),)))
        return made

    async def show(self, actor: Actor, id: str, shown: bool) -> Comment:
        """Put it beside its edition, or take it away. Raises `not_found`, `forbidden`."""
        found = await reading.comment(self._ledger, id)
        self._must(actor, (await reading.edition(self._ledger, found.edition)).place)
        made = found.but(state="shown" if shown else "hidden", decided_by=actor.id, decided_at=self._ledger.clock())
        await self._ledger.submit(PutRows(puts=((EDITION_COMMENT, made.row()),)))
        return made

    async def of(self, edition: str, *, states: Collection[str] = ("shown",)) -> list[tuple[Comment, str]]:
        """With their words, oldest first; those of erased people are gone."""
        found = await reading.comments(self._ledger, edition, states)
        said = [(one, await opened(self._vault, one.subject, one.text, one.id)) for one in found]
        return [(one, text) for one, text in said if text]

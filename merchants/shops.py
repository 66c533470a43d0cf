# SPDX-License-Identifier: Apache-2.0
"""The register of shops and of their tills. Only staff of the place write in it."""

from __future__ import annotations

from typing import Any

from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.port import PutRows
from ledger.view import View
from merchants.change import Change, must_serve, one, rows
from merchants.model import Asker, Merchant, Terminal
from merchants.tables import MERCHANT, TERMINAL

TERMINALS_MAX = 1_000


class Shops:
    """Shops and tills, found and changed."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    async def add_merchant(self, asker: Asker, *, name: str, community: str, **more: Any) -> Merchant:
        """A new shop, open; `more` are the other fields of `Merchant` that staff set. Raises `forbidden`."""
        must_serve(asker, community)
        made = Merchant(self.ledger.secret_id("mer"), name, community, "open", 1, self.ledger.clock()).but(**more)
        await self.ledger.submit(PutRows(inserts=((MERCHANT, made.row()),)))
        return made

    async def change_merchant(
        self, asker: Asker, merchant: str, *, version: int | None = None, **changes: Any
    ) -> Merchant:
        """Change a shop's fields; None leaves one as it is. Suspended, it sells and captures nothing: staff wind up
        what is left. Raises `forbidden`, `not_found`, `precondition_failed`."""

        def make(before: Merchant, view: View) -> Merchant:
            must_serve(asker, before.community)
            return before.but(**{name: value for name, value in changes.items() if value is not None})

        return (await self.ledger.submit(Change(MERCHANT, merchant, Merchant.of, make, version))).value

    async def merchant(self, merchant: str) -> Merchant:
        """One shop. Raises `not_found`."""
        return Merchant.of(await one(self.ledger, MERCHANT, merchant))

    async def merchants(self, *, community: str | None = None, after: str = "", limit: int = 100) -> list[Merchant]:
        """Shops by id, from the one after `after`."""
        where, params = "merchant > ?", [after]
        if community is not None:
            where, params = where + " AND community = ?", [*params, community]
        return [Merchant.of(row) for row in await rows(self.ledger, MERCHANT, where, params, "merchant", limit)]

    async def communities(self) -> list[str]:
        """Communities that have shops."""
        found = await self.ledger.fetch("SELECT DISTINCT community FROM merchant ORDER BY community")
        return [community for (community,) in found]

    # tills -----------------------------------------------------------------------------------------------------

    async def add_terminal(self, asker: Asker, merchant: str, *, name: str) -> Terminal:
        """A till of a shop. Raises `forbidden`, `not_found`."""
        must_serve(asker, (await self.merchant(merchant)).community)
        made = Terminal(self.ledger.secret_id("ter"), merchant, name, "open", self.ledger.clock())
        await self.ledger.submit(PutRows(inserts=((TERMINAL, made.row()),)))
        return made

    async def change_terminal(
        self,
        asker: Asker,
        merchant: str,
        terminal: str,
        *,
        version: int | None = None,
        name: str | None = None,
        state: str | None = None,
    ) -> Terminal:
        """Rename, close or reopen a till; while it is closed its keys open nothing. Raises `forbidden`, `not_found`,
        `precondition_failed`."""
        must_serve(asker, (await self.merchant(merchant)).community)

        def make(before: Terminal, view: View) -> Terminal:
            if before.merchant != merchant:
                raise Refusal("not_found", what="terminal", id=terminal)
            return before.but(name=name or before.name, state=state or before.state)

        return (await self.ledger.submit(Change(TERMINAL, terminal, Terminal.of, make, version))).value

    async def terminals(self, merchant: str) -> list[Terminal]:
        """A shop's tills, closed ones too."""
        found = await rows(self.ledger, TERMINAL, "merchant = ?", [merchant], "terminal", TERMINALS_MAX)
        return [Terminal.of(row) for row in found]

# SPDX-License-Identifier: Apache-2.0
"""Merchants, their tills and their offers: a shop proposes, the community approves, and who proposed cannot approve."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.port import Answer, PutRows, Retry
from ledger.tables import Key, Table
from ledger.view import View
from merchants.catalogue import Scenario, Scenarios
from merchants.model import Asker, Merchant, Offer, Terminal
from merchants.tables import MERCHANT, OFFER, TERMINAL

# What the community approved. Changing it asks for approval again; stock and pausing are the shop's daily business.
APPROVED = ("title_zh", "title_en", "price", "cash_fen", "per_person", "from_day", "to_day")
_MOVES_FROM = {"paused": ("open",), "open": ("paused",), "closed": ("proposed", "open", "paused")}


@dataclass(frozen=True, slots=True)
class Change:
    """Read one row, decide, write it back: `make` gets the row as it is in the commit and gives the new one.

    `version` is what the caller saw (If-Match). Raises `not_found`, `precondition_failed` and what `make` raises.
    """

    table: Table
    id: str
    of: Callable[[tuple[Any, ...]], Any]
    make: Callable[[Any, View], Any]
    version: int | None = None
    also: tuple[tuple[Table, Key], ...] = ()
    retry: Retry | None = None
    journals: tuple[str, ...] = ()
    weight: int = field(default=1)

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield self.table, (self.id,)
        yield from self.also

    def decide(self, view: View) -> Answer:
        row = view.get(self.table, self.id)
        if row is None:
            raise Refusal("not_found", what=self.table.name, id=self.id)
        before = self.of(row)
        if self.version is not None and before.version != self.version:
            raise Refusal("precondition_failed", version=before.version)
        after = self.make(before, view)
        if after != before:
            after = after.but(version=before.version + 1)
            view.put(self.table, after.row())
        return Answer(200, self.id, after)


class Offers:
    """The register of shops and of what they offer."""

    def __init__(self, ledger: Ledger, scenarios: Scenarios) -> None:
        self.ledger = ledger
        self.scenarios = scenarios

    # merchants -------------------------------------------------------------------------------------------------

    async def add_merchant(self, asker: Asker, *, name: str, community: str) -> Merchant:
        """A new shop, open. Raises `forbidden`."""
        _staff(asker, community)
        made = Merchant(self.ledger.secret_id("mer"), name, community, "open", 1, self.ledger.clock())
        await self.ledger.submit(PutRows(inserts=((MERCHANT, made.row()),)))
        return made

    async def change_merchant(
        self,
        asker: Asker,
        merchant: str,
        *,
        version: int | None = None,
        name: str | None = None,
        state: str | None = None,
    ) -> Merchant:
        """Rename, suspend or reopen a shop. Raises `forbidden`, `not_found`, `precondition_failed`."""

        def make(before: Merchant, view: View) -> Merchant:
            _staff(asker, before.community)
            return before.but(name=name or before.name, state=state or before.state)

        return (await self.ledger.submit(Change(MERCHANT, merchant, Merchant.of, make, version))).value

    async def merchant(self, merchant: str) -> Merchant:
        """One shop. Raises `not_found`."""
        rows = await self._rows(MERCHANT, "merchant = ?", [merchant], "merchant", 1)
        if not rows:
            raise Refusal("not_found", what="merchant", id=merchant)
        return Merchant.of(rows[0])

    async def merchants(self, *, community: str | None = None, after: str = "", limit: int = 100) -> list[Merchant]:
        """Shops by id, from the one after `after`."""
        where, params = "merchant > ?", [after]
        if community is not None:
            where, params = where + " AND community = ?", [*params, community]
        return [Merchant.of(row) for row in await self._rows(MERCHANT, where, params, "merchant", limit)]

    async def communities(self) -> list[str]:
        """Communities that have shops."""
        rows = await self.ledger.fetch("SELECT DISTINCT community FROM merchant ORDER BY community")
        return [community for (community,) in rows]

    async def add_terminal(self, asker: Asker, merchant: str, *, name: str) -> Terminal:
        """A till of a shop. Raises `forbidden`, `not_found`."""
        _staff(asker, (await self.merchant(merchant)).community)
        made = Terminal(self.ledger.secret_id("ter"), merchant, name, "open", self.ledger.clock())
        await self.ledger.submit(PutRows(inserts=((TERMINAL, made.row()),)))
        return made

    async def terminals(self, merchant: str) -> list[Terminal]:
        rows = await self._rows(TERMINAL, "merchant = ?", [merchant], "terminal", 1_000)
        return [Terminal.of(row) for row in rows]

    # offers ----------------------------------------------------------------------------------------------------

    async def propose(
        self,
        asker: Asker,
        *,
        merchant: str,
        scenario: str,
        title_zh: str,
        title_en: str,
        price: int,
        cash_fen: int = 0,
        stock: int,
        per_person: int = 0,
        from_day: str = "",
        to_day: str = "",
    ) -> Offer:
        """A new offer, waiting for approval. Raises `forbidden`, `not_found`, `price_not_allowed`, `facts_invalid`."""
        shop = await self.merchant(merchant)
        _owner(asker, shop.merchant, shop.community)
        if asker.merchant is not None and shop.state != "open":
            raise Refusal("forbidden", reason="merchant_suspended")
        made = Offer(
            offer=self.ledger.new_id("off"),
            merchant=merchant,
            community=shop.community,
            scenario=scenario,
            title_zh=title_zh,
            title_en=title_en,
            price=price,
            cash_fen=cash_fen,
            stock=stock,
            per_person=per_person,
            from_day=from_day,
            to_day=to_day,
            state="proposed",
            version=1,
            proposer=asker.id,
            approver="",
            created_at=self.ledger.clock(),
        )
        self._check(made)
        await self.ledger.submit(PutRows(inserts=((OFFER, made.row()),)))
        return made

    async def change(self, asker: Asker, offer: str, *, version: int | None = None, **changes: int | str) -> Offer:
        """Change an offer; what the community approved needs its approval again. Raises `forbidden`, `not_found`,
        `precondition_failed`, `offer_state`, `price_not_allowed`, `facts_invalid`."""
        unknown = set(changes) - {*APPROVED, "stock", "state"}
        assert not unknown, unknown

        def make(before: Offer, view: View) -> Offer:
            _owner(asker, before.merchant, before.community)
            if asker.merchant is not None:
                _not_suspended(view, before.merchant)
            state = str(changes.get("state", before.state))
            if before.state == "closed" or (state != before.state and before.state not in _MOVES_FROM.get(state, ())):
                raise Refusal("offer_state", state=before.state, asked=state)
            after = before.but(**changes)
            if any(getattr(after, name) != getattr(before, name) for name in APPROVED) and state != "closed":
                after = after.but(state="proposed", proposer=asker.id, approver="")
            self._check(after)
            return after

        also = ((MERCHANT, (asker.merchant,)),) if asker.merchant else ()
        return (await self.ledger.submit(Change(OFFER, offer, Offer.of, make, version, also))).value

    async def approve(self, asker: Asker, offer: str, *, version: int | None = None) -> Offer:
        """Open a proposed offer. Raises `forbidden`, `same_person`, `offer_state`, `scenario_waits`."""

        def make(before: Offer, view: View) -> Offer:
            _staff(asker, before.community)
            if before.state != "proposed":
                raise Refusal("offer_state", state=before.state, asked="open")
            if before.proposer == asker.id:
                raise Refusal("same_person")
            if self.scenario(before.scenario).waits_for is not None:
                raise Refusal("scenario_waits", scenario=before.scenario)
            return before.but(state="open", approver=asker.id)

        return (await self.ledger.submit(Change(OFFER, offer, Offer.of, make, version))).value

    async def get(self, offer: str) -> Offer:
        """One offer. Raises `not_found`."""
        rows = await self._rows(OFFER, "offer = ?", [offer], "offer", 1)
        if not rows:
            raise Refusal("not_found", what="offer", id=offer)
        return Offer.of(rows[0])

    async def find(
        self,
        *,
        merchant: str | None = None,
        communities: Collection[str] | None = None,
        scenario: str | None = None,
        state: str | None = None,
        after: str = "",
        limit: int = 100,
    ) -> list[Offer]:
        """Offers by id, which is by time, from the one after `after`."""
        where, params = "offer > ?", [after]
        for name, value in (("merchant", merchant), ("scenario", scenario), ("state", state)):
            if value is not None:
                where, params = f"{where} AND {name} = ?", [*params, value]
        if communities is not None:
            if not communities:
                return []
            where += f" AND community IN ({', '.join('?' * len(communities))})"
            params += sorted(communities)
        return [Offer.of(row) for row in await self._rows(OFFER, where, params, "offer", limit)]

    def scenario(self, code: str) -> Scenario:
        """One of the scenarios. Raises `not_found`."""
        found = self.scenarios.get(code)
        if found is None:
            raise Refusal("not_found", what="scenario", id=code)
        return found

    # inside ----------------------------------------------------------------------------------------------------

    def _check(self, offer: Offer) -> None:
        gate = self.scenario(offer.scenario).gate
        if offer.price:
            least, most = (gate.points.least, gate.points.most) if gate.points else (0, 0)
            if not least <= offer.price <= most:
                raise Refusal("price_not_allowed", scenario=offer.scenario, least=least, most=most)
        elif gate.grade is None and gate.attested is None:
            assert gate.points is not None
            raise Refusal("price_not_allowed", scenario=offer.scenario, least=gate.points.least, most=gate.points.most)
        if offer.to_day and offer.to_day < offer.from_day:
            raise Refusal("facts_invalid", errors=[{"pointer": "/to", "code": "before_from", "found": offer.to_day}])

    async def _rows(
        self, table: Table, where: str, params: Collection[Any], order: str, limit: int
    ) -> list[tuple[Any, ...]]:
        sql = f"SELECT {', '.join(table.names)} FROM {table.name} WHERE {where} ORDER BY {order} LIMIT ?"
        return await self.ledger.fetch(sql, *params, limit)


def _staff(asker: Asker, community: str) -> None:
    if not asker.is_staff or not asker.serves(community):
        raise Refusal("forbidden")


def _owner(asker: Asker, merchant: str, community: str) -> None:
    if asker.merchant is not None:
        if asker.merchant != merchant:
            raise Refusal("forbidden")
    else:
        _staff(asker, community)


def _not_suspended(view: View, merchant: str) -> None:
    row = view.get(MERCHANT, merchant)
    if row is None or Merchant.of(row).state != "open":
        raise Refusal("forbidden", reason="merchant_suspended")

# SPDX-License-Identifier: Apache-2.0
"""What shops offer: a shop proposes, the community approves, and who proposed cannot approve."""

from __future__ import annotations

from collections.abc import Collection

from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.port import PutRows
from ledger.view import View
from merchants.agreements import Agreements, check_days
from merchants.catalogue import Scenario, Scenarios
from merchants.change import Change, must_own, must_serve, one, rows
from merchants.model import Asker, Merchant, Offer
from merchants.shops import Shops
from merchants.tables import MERCHANT, OFFER

# What the community approved. Changing it asks for approval again; stock and pausing are the shop's daily business.
APPROVED = ("title_zh", "title_en", "price", "cash_fen", "value_fen", "per_person", "from_day", "to_day")
_MOVES_FROM = {"paused": ("open",), "open": ("paused",), "closed": ("proposed", "open", "paused")}
_SELLING = "state = 'open' AND merchant IN (SELECT merchant FROM merchant WHERE state = 'open')"


class Offers(Shops):
    """The register of shops, and what they offer."""

    def __init__(self, ledger: Ledger, scenarios: Scenarios) -> None:
        super().__init__(ledger)
        self.scenarios = scenarios
        self.agreements = Agreements(ledger, self)

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
        value_fen: int = 0,
        stock: int,
        per_person: int = 0,
        from_day: str = "",
        to_day: str = "",
    ) -> Offer:
        """A new offer, waiting for approval. Raises `forbidden`, `not_found`, `price_not_allowed`, `facts_invalid`."""
        shop = await self.merchant(merchant)
        must_own(asker, shop.merchant, shop.community)
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
            value_fen=value_fen,
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
            must_own(asker, before.merchant, before.community)
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
        """Open a proposed offer. Raises `forbidden`, `same_person`, `offer_state`, `scenario_waits`,
        `agreement_missing`."""
        signed = await self.agreements.signed(await self.get(offer))

        def make(before: Offer, view: View) -> Offer:
            must_serve(asker, before.community)
            if before.state != "proposed":
                raise Refusal("offer_state", state=before.state, asked="open")
            if before.proposer == asker.id:
                raise Refusal("same_person")
            scenario = self.scenario(before.scenario)
            if scenario.waits_for is not None:
                raise Refusal("scenario_waits", scenario=before.scenario)
            signed.check(view, scenario)
            return before.but(state="open", approver=asker.id)

        return (await self.ledger.submit(Change(OFFER, offer, Offer.of, make, version, signed.reads))).value

    async def get(self, offer: str) -> Offer:
        """One offer. Raises `not_found`."""
        return Offer.of(await one(self.ledger, OFFER, offer))

    async def selling(self, offer: str) -> bool:
        """Is this offer there for everybody: open, at a shop that is not suspended?"""
        return bool(await self.ledger.fetch(f"SELECT 1 FROM offer WHERE offer = ? AND {_SELLING}", offer))

    async def find(
        self,
        *,
        merchant: str | None = None,
        communities: Collection[str] | None = None,
        scenario: str | None = None,
        state: str | None = None,
        selling: bool = False,
        after: str = "",
        limit: int = 100,
    ) -> list[Offer]:
        """Offers by id, which is by time, from the one after `after`; `selling`: only what is there for everybody."""
        where, params = "offer > ?", [after]
        for name, value in (("merchant", merchant), ("scenario", scenario), ("state", state)):
            if value is not None:
                where, params = f"{where} AND {name} = ?", [*params, value]
        if selling:
            where += f" AND {_SELLING}"
        if communities is not None:
            if not communities:
                return []
            where += f" AND community IN ({', '.join('?' * len(communities))})"
            params += sorted(communities)
        return [Offer.of(row) for row in await rows(self.ledger, OFFER, where, params, "offer", limit)]

    def scenario(self, code: str) -> Scenario:
        """One of the scenarios. Raises `not_found`."""
        found = self.scenarios.get(code)
        if found is None:
            raise Refusal("not_found", what="scenario", id=code)
        return found

    def _check(self, offer: Offer) -> None:
        scenario = self.scenario(offer.scenario)
        gate = scenario.gate
        if offer.price:
            least, most = (gate.points.least, gate.points.most) if gate.points else (0, 0)
            if not least <= offer.price <= most:
                raise Refusal("price_not_allowed", scenario=offer.scenario, least=least, most=most)
        elif gate.grade is None and gate.attested is None:
            assert gate.points is not None
            raise Refusal("price_not_allowed", scenario=offer.scenario, least=gate.points.least, most=gate.points.most)
        owed = 0 if offer.price else scenario.value_fen_most  # where points are spent, they say what is owed
        if offer.value_fen > owed:
            raise Refusal(
                "facts_invalid", errors=[{"pointer": "/value_fen", "code": "number_too_large", "limit": owed}]
            )
        check_days(offer.from_day, offer.to_day)


def _not_suspended(view: View, merchant: str) -> None:
    row = view.get(MERCHANT, merchant)
    if row is None or Merchant.of(row).state != "open":
        raise Refusal("forbidden", reason="merchant_suspended")

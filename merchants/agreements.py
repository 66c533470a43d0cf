# SPDX-License-Identifier: Apache-2.0
"""What shops have signed: for which scenario, from when to when, and the digest of the scan, so that the paper in the
cabinet can be held against it. Nothing of the paper itself is kept here."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.port import PutRows
from ledger.tables import Key, Table
from ledger.view import View, local_day
from merchants.catalogue import Scenario
from merchants.change import Change, must_serve, rows
from merchants.model import Agreement, Asker, Merchant, Offer
from merchants.shops import Shops
from merchants.tables import AGREEMENT, MERCHANT

AGREEMENTS_MAX = 1_000


class Agreements:
    """Agreements by shop. They are ended, never deleted."""

    def __init__(self, ledger: Ledger, shops: Shops) -> None:
        self.ledger = ledger
        self.shops = shops

    async def add(
        self,
        asker: Asker,
        merchant: str,
        *,
        scenario: Scenario,
        number: str,
        from_day: str,
        to_day: str = "",
        sha256: str = "",
    ) -> Agreement:
        """A signed agreement. Raises `forbidden`, `not_found`, `facts_invalid`."""
        must_serve(asker, (await self.shops.merchant(merchant)).community)
        made = Agreement(
            agreement=self.ledger.new_id("agr"),
            merchant=merchant,
            scenario=scenario.code,
            number=number,
            from_day=from_day,
            to_day=to_day,
            sha256=sha256,
            state="signed",
            version=1,
            created_at=self.ledger.clock(),
        )
        check_days(made.from_day, made.to_day)
        await self.ledger.submit(PutRows(inserts=((AGREEMENT, made.row()),)))
        return made

    async def change(
        self,
        asker: Asker,
        merchant: str,
        agreement: str,
        *,
        version: int | None = None,
        to_day: str | None = None,
        sha256: str | None = None,
        state: str | None = None,
    ) -> Agreement:
        """End an agreement, or set its last day or its scan. What was ended stays so: a new paper is a new agreement.
        Raises `forbidden`, `not_found`, `precondition_failed`, `agreement_ended`, `facts_invalid`."""

        def make(before: Agreement, view: View) -> Agreement:
            shop = view.get(MERCHANT, merchant)
            if shop is None or before.merchant != merchant:
                raise Refusal("not_found", what="agreement", id=agreement)
            must_serve(asker, Merchant.of(shop).community)
            if before.state == "ended":
                raise Refusal("agreement_ended", agreement=agreement)
            changes = {"to_day": to_day, "sha256": sha256, "state": state}
            after = before.but(**{name: value for name, value in changes.items() if value is not None})
            check_days(after.from_day, after.to_day)
            return after

        also = ((MERCHANT, (merchant,)),)
        return (await self.ledger.submit(Change(AGREEMENT, agreement, Agreement.of, make, version, also))).value

    async def of(self, merchant: str) -> list[Agreement]:
        """A shop's agreements, oldest first."""
        found = await rows(self.ledger, AGREEMENT, "merchant = ?", [merchant], "agreement", AGREEMENTS_MAX)
        return [Agreement.of(row) for row in found]

    async def ids(self, offer: Offer) -> tuple[str, ...]:
        """Agreements, in force or not, of an offer's shop for its scenario."""
        sql = "SELECT agreement FROM agreement WHERE merchant = ? AND scenario = ? ORDER BY agreement"
        return tuple(one for (one,) in await self.ledger.fetch(sql, offer.merchant, offer.scenario))

    async def signed(self, offer: Offer) -> Signed:
        """What the shop of an offer has signed for its scenario. A day begins as in the community's journal, or as in
        any other where it has none."""
        zones = await self.ledger.fetch("SELECT zone FROM head ORDER BY journal <> ?, journal LIMIT 1", offer.community)
        return Signed(await self.ids(offer), zones[0][0] if zones else "UTC")


class Signed(NamedTuple):
    """Agreements as they were found, to be looked at again in a commit."""

    agreements: tuple[str, ...]
    zone: str

    @property
    def reads(self) -> tuple[tuple[Table, Key], ...]:
        return tuple((AGREEMENT, (one,)) for one in self.agreements)

    def check(self, view: View, scenario: Scenario) -> None:
        """Raises `agreement_missing` where none is in force today."""
        check_signed(view, scenario, self.agreements, local_day(view.now_us, self.zone))


def check_signed(view: View, scenario: Scenario, agreements: Collection[str], day: str) -> None:
    """Raises `agreement_missing` where the scenario asks for an agreement, or the shop has had one, and none of these
    is in force on this day."""
    found = [Agreement.of(row) for one in agreements if (row := view.get(AGREEMENT, one)) is not None]
    if (found or scenario.agreement == "required") and not any(one.in_force(day) for one in found):
        raise Refusal("agreement_missing", scenario=scenario.code)


def check_days(from_day: str, to_day: str) -> None:
    """Raises `facts_invalid` where the last day lies before the first."""
    if to_day and to_day < from_day:
        raise Refusal("facts_invalid", errors=[{"pointer": "/to", "code": "before_from", "found": to_day}])

# SPDX-License-Identifier: Apache-2.0
"""What is looked up before an order's commit: who may redeem which offer, who is behind what was shown, and what their
scenario asks of them. What may change until the commit is read again there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ledger.errors import Refusal
from ledger.port import Retry
from ledger.view import local_day
from merchants.booking import Request, said
from merchants.catalogue import Scenario
from merchants.display import Slot, with_slot
from merchants.model import Asker, Condition, Offer, Residents, Shown, Traits
from merchants.offers import Offers
from merchants.redeem import Known, Redeem
from merchants.velocity import Velocity
from merchants.windows import named


def by_code(upper: str, lower: str) -> bool:
    """Does one place lie in the other? Codes say it by themselves."""
    return lower.startswith(upper)


class Prepare:
    """Makes the command of an order. `bands` maps a grade to the least standing it takes; `covers(upper, lower)`: does
    one place lie in the other?"""

    def __init__(
        self,
        offers: Offers,
        residents: Residents,
        bands: Mapping[str, int],
        covers: Callable[[str, str], bool],
    ) -> None:
        self._ledger = offers.ledger
        self._offers = offers
        self._residents = residents
        self._bands = bands
        self._covers = covers

    async def order(
        self,
        asker: Asker,
        offer: str,
        by: Mapping[str, str] | Shown,
        merchant: str | None,
        *,
        quantity: int = 1,
        retry: Retry | None = None,
        capture: bool = False,
        then_cash: bool = False,
        reference: str | None = None,
        expires_at: int = 0,
        dry_run: bool = False,
        more: tuple[Condition, ...] = (),
    ) -> Redeem:
        """The command of an order, or of the question whether there could be one. `Shop.redeem` has the arguments."""
        found = await self._offered(asker, offer, by, merchant, dry_run=dry_run)
        shown = by if isinstance(by, Shown) else await self._shown(asker, offer, by)
        scenario, consumer = self._offers.scenarios[found.scenario], shown.beneficiary or shown.subject
        counted = self._reference(scenario, reference)
        body = {
            "offer": offer,
            "quantity": quantity,
            "subject": shown.subject,
            "capture": int(capture),
            "then_cash": int(then_cash),
            **({"for": consumer} if consumer != shown.subject else {}),
            **({"reference": counted} if counted else {}),
            **next(({"slot": one.day} for one in more if isinstance(one, Slot) and one.day), {}),
        }
        try:
            journal = await self._ledger.home(shown.subject)
            key = await self._residents.data_key(shown.subject)
            known = await self._known_of(asker, scenario, shown)
        except Refusal as refusal:
            if asker.merchant is None:
                raise
            raise Refusal("not_identified") from refusal
        day = await self._today(journal)
        till = asker.terminal or asker.id if asker.merchant else ""
        pace = Velocity(till, found.merchant, shown.subject)
        return Redeem(
            Request(asker, retry, said("redeem", body), self._ledger.new_id("txn"), key),
            redemption=self._ledger.secret_id("red"),
            offer=offer,
            merchant=found.merchant,
            scenario=scenario,
            shown=replace(shown, conditions=(*shown.conditions, *with_slot(scenario, offer, more), pace)),
            journal=journal,
            quantity=quantity,
            capture=capture,
            then_cash=then_cash,
            known=known,
            budget=await self._budget(scenario, found.community, day[:4]),
            agreements=await self._offers.agreements.ids(found),
            reference=counted,
            expires_at=expires_at,
            dry_run=dry_run,
            day=day,
        )

    async def _offered(
        self, asker: Asker, offer: str, by: Mapping[str, str] | Shown, merchant: str | None, *, dry_run: bool
    ) -> Offer:
        """The offer, for somebody who may redeem it. Before anyone is identified: a till must not try PINs through
        offers that are not its own."""
        if not isinstance(by, Shown):
            if "subject" in by and not asker.is_staff and asker.subject != by["subject"]:
                raise Refusal("forbidden")
            if asker.subject is not None and not (dry_run and "subject" in by):
                raise Refusal("forbidden")  # a resident may ask about themselves; redeeming is the till's work
        found = await self._offers.get(offer)
        if (asker.merchant or merchant or found.merchant) != found.merchant:
            raise Refusal("forbidden")
        if asker.is_staff and not asker.serves(found.community):
            raise Refusal("forbidden")
        return found

    async def _shown(self, asker: Asker, offer: str, by: Mapping[str, str]) -> Shown:
        if set(by) != {"subject"}:
            return await self._residents.identify(by, asker=asker, offer=offer)
        return Shown(by["subject"], "staff", "staff") if asker.is_staff else Shown(by["subject"], "charge")

    async def _known_of(self, asker: Asker, scenario: Scenario, shown: Shown) -> Known:
        wanted, grade = scenario.eligible, scenario.gate.grade
        gift = bool(shown.beneficiary)
        traits = Traits()
        if wanted.groups or wanted.age_min is not None or gift:
            traits = await self._residents.traits(shown.beneficiary or shown.subject)
        return Known(
            standing_min=None if grade is None else self._bands.get(grade),
            in_group=not wanted.groups or not set(wanted.groups).isdisjoint(traits.groups),
            of_age=_old_enough(asker, wanted.age_min, traits),
            kind=traits.kind,
        )

    async def _today(self, journal: str) -> str:
        rows = await self._ledger.fetch("SELECT zone FROM head WHERE journal = ?", journal)
        return local_day(self._ledger.clock(), rows[0][0])

    async def _budget(self, scenario: Scenario, community: str, year: str) -> str:
        """The line that pays for a scenario in a community: the nearest one that covers it; "" where none is set."""
        if scenario.settlement != "reimburse":
            return ""
        rows = await self._ledger.fetch(
            "SELECT budget, place FROM budget WHERE scenario = ? AND year = ?", scenario.code, year
        )
        near = [(len(place), budget) for budget, place in rows if self._covers(place, community)]
        return max(near)[1] if near else ""

    def _reference(self, scenario: Scenario, number: str | None) -> str:
        """The digest under which a meter, a plate or a home is counted; its number is kept nowhere."""
        plain = named(number or "")
        if scenario.reference is None or not plain:
            return ""
        return self._ledger.cause("reference", plain.encode(), scenario.code).hex()


def _old_enough(asker: Asker, age_min: int | None, traits: Traits) -> bool:
    if age_min is None:
        return True
    if traits.age is None:  # not every elder's birthday is on record; a member of staff can see the person
        return asker.is_staff
    return traits.age >= age_min

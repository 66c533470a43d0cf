# SPDX-License-Identifier: Apache-2.0
"""What a shop may ask about people: who is at the till by whatever was shown there, and what eligibility needs to know.

Whatever is wrong with what a till sent (no such card, a wrong PIN, a code that is not ours, somebody who may not act
for somebody) is the same `not_identified`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from api.counting import MINUTE_US, Counting, check
from api.people.proxies import Kind, Proxies, stands_in
from api.people.records import age
from api.people.tables import PERSON, PROXY
from api.people.vault import People
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.tables import Key, Table
from ledger.view import View, local_day
from merchants.charges import Approved
from merchants.model import Asker, Charge, Condition, Shown, Traits
from merchants.passes import Pass, Passes, UsedUp, check_time
from rules.register import Register

WRONG_PINS = 100
"""So many people may one till fail to recognise by PIN in an hour: a stolen key that goes through the town with the
commonest PINs comes no further, and freezes no more than twenty."""


@dataclass(frozen=True, slots=True)
class StandsIn(Condition):
    """The list says, in the order's own commit, that `agent` stands in for `subject`, who still has an account."""

    subject: str
    agent: str
    kind: Kind

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield PROXY, (self.subject, self.agent, self.kind)
        yield PERSON, (self.subject,)

    def enter(self, view: View, command: Any) -> None:
        person = view.get(PERSON, self.subject)
        listed = stands_in(view, self.subject, self.agent, self.kind, view.today(command.journal))
        if listed and person is not None and person[6]:
            return
        if self.kind == "relative":
            raise Refusal("not_eligible", reason="relative")
        raise Refusal("not_identified" if command.request.asker.merchant else "not_proxy")


@dataclass(frozen=True, slots=True)
class Consented(Condition):
    """The person wants the account, and wants to be known to shops: withdrawn is withdrawn for what is out already."""

    subject: str

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield PERSON, (self.subject,)

    def enter(self, view: View, command: Any) -> None:
        person = view.get(PERSON, self.subject)
        if person is not None and not (person[6] and person[8]):
            raise Refusal("not_identified" if command.request.asker.merchant else "merchant_consent_missing")


class Counter:
    """Answers a shop from the vault, the register and the codes."""

    def __init__(self, ledger: Ledger, people: People, register: Register, zone: str, passes: Passes) -> None:
        self._ledger = ledger
        self._people = people
        self._register = register
        self._zone = zone
        self._passes = passes
        self.proxies = Proxies(ledger)

    # who is there ----------------------------------------------------------------------------------------------

    async def identify(self, by: Mapping[str, str], *, asker: Asker, offer: str) -> Shown:
        """`by` is what the till's request says: a token, a visit, a card and PIN (with `for_card`: the holder stands in
        for another card's), a phone's tail, surname and PIN, or staff's `subject` with the `proxy` who came; and with
        `to_subject` or `to_card`, the relative whom it is a gift for."""
        if "to_subject" in by and not asker.is_staff:
            raise Refusal("forbidden")
        shown = await self._payer(by, asker, offer)
        if "to_subject" in by or "to_card" in by:
            known = by.get("to_subject") or await self._people.cards.holder(by["to_card"]) or ""
            shown = _gift(shown, known)
        return shown

    async def _payer(self, by: Mapping[str, str], asker: Asker, offer: str) -> Shown:
        if "token" in by:
            return self._coded(self._passes.open("token", by["token"]))
        if "visit" in by:
            said = self._passes.open("visit", by["visit"])
            if (said.offer, said.merchant, said.terminal) != (offer, asker.merchant, asker.terminal):
                raise Refusal("not_identified")
            return self._coded(said)
        if "subject" in by:
            shown = Shown(by["subject"], "staff", "staff")
            return _acting(shown, by["proxy"]) if "proxy" in by else shown
        holder = await self._by_pin(by, asker)
        if "card" not in by:
            return Shown(holder, "phone", "pin", conditions=(Consented(holder),))
        if "for_card" not in by:
            return Shown(holder, "card", "pin", conditions=(Consented(holder),))
        subject = await self._people.cards.holder(by["for_card"]) or ""
        if not await self._acts(holder, subject):  # before the commit: its no would be kept under the retry key
            raise Refusal("not_identified")
        return _acting(Shown(subject, "card", "pin", conditions=(Consented(subject),)), holder)

    async def _by_pin(self, by: Mapping[str, str], asker: Asker) -> str:
        wrong = Counting(f"pin:{asker.id}", WRONG_PINS, 60 * MINUTE_US)
        await check(self._ledger, wrong)
        try:
            if "card" in by:
                return await self._people.by_card(by["card"], by["pin"])
            return await self._people.by_tail(by["phone_tail"], by["surname"], by["pin"])
        except Refusal:
            await self._ledger.submit(wrong)
            raise

    def _coded(self, said: Pass) -> Shown:
        check_time(said, self._ledger.clock())
        shown = Shown(said.subject, said.way, said.consent, conditions=(UsedUp(said), Consented(said.subject)))
        return _acting(shown, said.proxy) if said.proxy else shown

    # codes -----------------------------------------------------------------------------------------------------

    async def token(self, agent: str, *, subject: str, then_cash: bool) -> tuple[str, int]:
        """A code for `subject`, shown by `agent`, and when it stops working (µs). `then_cash`: the person agrees to pay
        in cash what the points do not cover. Raises `not_proxy`, `merchant_consent_missing`."""
        await self.check_may(agent, subject)
        said = Pass(subject, proxy=agent if agent != subject else "", consent="token" if then_cash else "")
        return self._passes.make("token", said, self._ledger.clock())

    def visit(self, shown: Shown, asker: Asker, offer: str) -> str:
        """What a till keeps of somebody it may redeem this offer for: for this till and this offer, once."""
        merchant = asker.merchant or ""
        said = Pass(
            shown.subject,
            proxy=shown.proxy,
            consent=shown.consent,
            way=shown.way,
            offer=offer,
            merchant=merchant,
            terminal=asker.terminal,
        )
        return self._passes.make("visit", said, self._ledger.clock())[0]

    async def approving(
        self, agent: str, charge: Charge, *, subject: str, beneficiary: str | None, then_cash: bool
    ) -> Shown:
        """A charge that `agent` approves with the points of `subject`. Raises `not_proxy`,
        `merchant_consent_missing`."""
        await self.check_may(agent, subject)
        consent = "approval" if then_cash else ""
        shown = Shown(subject, "charge", consent, conditions=(Approved(charge), Consented(subject)))
        shown = shown if agent == subject else _acting(shown, agent)
        return shown if beneficiary is None else _gift(shown, beneficiary)

    async def check_may(self, agent: str, subject: str) -> None:
        """May `agent` show a code for `subject`? Raises `not_proxy`; `merchant_consent_missing` where the person does
        not want to be known to shops."""
        if agent != subject and not await self._acts(agent, subject):
            raise Refusal("not_proxy")
        rows = await self._ledger.fetch("SELECT ledger, merchant FROM person WHERE subject = ?", subject)
        if rows and not all(rows[0]):
            raise Refusal("merchant_consent_missing")

    async def _acts(self, agent: str, subject: str) -> bool:
        today = local_day(self._ledger.clock(), self._zone)
        listed = await self.proxies.of(subject)
        return any((p.agent, p.kind) == (agent, "acts") and today <= p.to_day for p in listed)

    # what else is asked ----------------------------------------------------------------------------------------

    async def masked(self, subject: str) -> str:
        """A person's name masked, "" where they do not want to be known to shops; a body's in full: it is public."""
        rows = await self._ledger.fetch("SELECT ledger, merchant FROM person WHERE subject = ?", subject)
        return await self.named(subject) if not rows or all(rows[0]) else ""

    async def named(self, subject: str) -> str:
        """The same for the person's own eyes, whatever shops may know."""
        rows = await self._ledger.fetch("SELECT name FROM body WHERE subject = ?", subject)
        return rows[0][0] if rows else await self._people.masked(subject)

    async def data_key(self, subject: str) -> bytes:
        return await self._people.data_key(subject)

    async def traits(self, subject: str) -> Traits:
        found = await self._register.subject(subject)
        birth = (await self._people.record(subject)).birth if found.kind == "person" else None
        if birth is None:
            return Traits(found.groups, kind=found.kind)
        today = date.fromisoformat(local_day(self._ledger.clock(), self._zone))
        return Traits(found.groups, age(birth, today), found.kind)


def _acting(shown: Shown, agent: str) -> Shown:
    return replace(shown, proxy=agent, conditions=(*shown.conditions, StandsIn(shown.subject, agent, "acts")))


def _gift(shown: Shown, beneficiary: str) -> Shown:
    """`beneficiary` "" is nobody: refused like somebody who is not a relative, after the same code was used up."""
    if beneficiary == shown.subject:
        return shown
    relative = StandsIn(beneficiary, shown.subject, "relative")
    return replace(shown, beneficiary=beneficiary, conditions=(*shown.conditions, relative))

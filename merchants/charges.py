# SPDX-License-Identifier: Apache-2.0
"""Charges: a till shows a code, the person scans it with their own phone, sees what it costs and approves.

The code is 128 random bits and stored as a digest. What the person is refused (too few points, not for them) is theirs
to know: the till sees a charge that is pending, approved, declined or run out, and no more.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ledger import keys
from ledger.codec import hmac_sha256
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.port import Answer
from ledger.tables import Key, Table
from ledger.view import View
from merchants.booking import check_may
from merchants.model import Asker, Charge, Condition, Offer, Terminal
from merchants.tables import CHARGE, MERCHANT, TERMINAL

LASTS_US = 300_000_000
_PREFIX = "JC1:"
_COLUMNS = ", ".join(CHARGE.names)


class Charges:
    """The open charges of one deployment."""

    def __init__(self, ledger: Ledger, secret: bytes, origin: str) -> None:
        self.ledger = ledger
        self._key = keys.derive(secret, f"jifen/charge/1 {origin}")

    async def create(
        self, asker: Asker, offer: Offer, *, quantity: int, capture: bool, then_cash: bool
    ) -> tuple[Charge, str]:
        """A charge and the text of its code, by the offer's own shop or staff who serve there. Raises `forbidden`,
        `offer_closed` for an offer that is not open to anybody."""
        code = _PREFIX + base64.b32encode(self.ledger.random(16)).decode().rstrip("=")
        now = self.ledger.clock()
        charge = Charge(
            charge=self.ledger.secret_id("chg"),
            digest=self._digest(code),
            merchant=offer.merchant,
            terminal=asker.terminal,
            community=offer.community,
            offer=offer.offer,
            quantity=quantity,
            capture=int(capture),
            then_cash=int(then_cash),
            state="pending",
            redemption="",
            created_at=now,
            expires_at=now + LASTS_US,
        )
        if asker.subject is not None or asker.merchant not in (None, offer.merchant):
            raise Refusal("forbidden")  # before anything is said of another shop's offer
        if offer.state != "open":
            raise Refusal("offer_closed", offer=offer.offer, state=offer.state)
        await self.ledger.submit(_Create(asker, charge))
        return charge, code

    async def get(self, asker: Asker, charge: str) -> Charge:
        """A charge, for its shop and for staff who serve there. Raises `not_found`."""
        rows = await self.ledger.fetch(f"SELECT {_COLUMNS} FROM charge WHERE charge = ?", charge)
        found = Charge.of(rows[0]) if rows else None
        sees = found is not None and (
            asker.merchant == found.merchant if asker.merchant else asker.is_staff and asker.serves(found.community)
        )
        if found is None or not sees:
            raise Refusal("not_found", what="charge", id=charge)
        return found

    async def by_code(self, code: str) -> Charge:
        """The charge behind a scanned code, whatever its state. Raises `not_found`."""
        rows = await self.ledger.fetch(f"SELECT {_COLUMNS} FROM charge WHERE digest = ?", self._digest(code.strip()))
        if not rows:
            raise Refusal("not_found", what="charge", id="")
        return Charge.of(rows[0])

    async def decline(self, charge: Charge) -> None:
        """The person does not want it. Raises `charge_closed`."""
        await self.ledger.submit(_Decline(charge))

    def _digest(self, code: str) -> bytes:
        return hmac_sha256(self._key, code.encode())


def state_of(charge: Charge, now_us: int) -> str:
    """As it is now: a pending one runs out."""
    return "expired" if charge.state == "pending" and now_us >= charge.expires_at else charge.state


@dataclass(frozen=True, slots=True)
class _Create:
    asker: Asker
    charge: Charge
    retry: None = None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield MERCHANT, (self.charge.merchant,)

    def decide(self, view: View) -> Answer:
        check_may(view, self.asker, self.charge.merchant, self.charge.community, redeeming=True)
        view.insert(CHARGE, self.charge.row())
        return Answer(201)


@dataclass(frozen=True, slots=True)
class _Decline:
    charge: Charge
    retry: None = None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield CHARGE, (self.charge.charge,)

    def decide(self, view: View) -> Answer:
        view.put(CHARGE, _pending(view, self.charge.charge).but(state="declined").row())
        return Answer()


@dataclass(frozen=True, slots=True)
class Approved(Condition):
    """The charge becomes the order it asked for. First come: a charge is approved once."""

    charge: Charge

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield CHARGE, (self.charge.charge,)
        yield TERMINAL, (self.charge.terminal,)

    def enter(self, view: View, command: Any) -> None:
        charge = _pending(view, self.charge.charge)
        till = view.get(TERMINAL, charge.terminal)
        if till is not None and Terminal.of(till).state != "open":
            raise Refusal("charge_closed", state="expired")
        view.put(CHARGE, charge.but(state="approved", redemption=command.redemption).row())


def _pending(view: View, charge: str) -> Charge:
    row = view.get(CHARGE, charge)
    found = None if row is None else Charge.of(row)
    if found is None or state_of(found, view.now_us) != "pending":
        raise Refusal("charge_closed", state="expired" if found is None else state_of(found, view.now_us))
    return found

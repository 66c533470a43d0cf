# SPDX-License-Identifier: Apache-2.0
"""Giving out vouchers and looking them up.

A voucher is an ordinary order whose points are held until its end and three days longer, for tills that upload late.
Its text is made from its row whenever somebody asks: the signature is always the same.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from ledger.engine import Ledger
from ledger.errors import Refusal, Unavailable
from ledger.keys import Signer
from ledger.model import POINTS, subject_account
from ledger.port import Retry
from ledger.view import View, local_day
from merchants.booking import offer_in
from merchants.model import Asker, Condition, Details, Merchant, Redemption, Shown
from merchants.shop import SYSTEM, Shop
from merchants.tables import MERCHANT, VOUCHER
from merchants.vouchers.format import Voucher, pack, read, write

DAYS_MAX = 30
UPLOAD_DAYS = 3  # after its end, for tills that were without a network
WAY = "voucher"
_US = 1_000_000
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Paper:
    """A voucher that is out: its text, what it says, and what has become of its order."""

    text: str
    voucher: Voucher
    details: Details

    @property
    def returns_at(self) -> int:
        """When points that nobody took come back, in microseconds."""
        return self.voucher.ends * _US + UPLOAD_DAYS * 86_400 * _US

    @property
    def taken(self) -> bool:
        """Has a shop been given the points?"""
        return self.state(0) == "used"

    def state(self, now_us: int) -> str:
        """`open`, `ended` (still held, for late uploads), `used`, `returned` or `voided`."""
        if self.details.state == "held":
            return "open" if now_us < self.voucher.ends * _US else "ended"
        return {"released": "returned", "expired": "returned", "voided": "voided"}.get(self.details.state, "used")


class Vouchers:
    """The desk where points become paper. `key` signs vouchers and nothing else."""

    def __init__(self, ledger: Ledger, shop: Shop, key: Signer) -> None:
        self.ledger = ledger
        self.shop = shop
        self.key = key

    async def issue(
        self,
        asker: Asker,
        *,
        subject: str,
        offer: str,
        quantity: int = 1,
        days: int = DAYS_MAX,
        then_cash: bool = False,
        retry: Retry | None = None,
        more: tuple[Condition, ...] = (),
    ) -> tuple[Paper, bool]:
        """Hold the points and give out the voucher; and whether it had been given out before under this retry key.

        For the subject itself (`asker.subject`) or by staff. It ends with the day `days` from now, or where its
        earliest points would lapse sooner, with theirs. Raises what redeeming the offer raises.
        """
        found = await self.shop.offers.get(offer)
        if not (asker.serves(found.community) if asker.is_staff else asker.subject == subject):
            raise Refusal("forbidden")  # before the subject is looked up
        scenario = self.shop.scenarios[found.scenario]
        signed = scenario.agreement == "required"
        if scenario.benefit == "display":
            raise Refusal("not_by_voucher", scenario=found.scenario)  # its minutes are taken on a day that is chosen
        for _ in range(_TRIES):
            ends = await self._ends(subject, days, spends=bool(found.price))
            shown = Shown(
                subject,
                WAY,
                "staff" if asker.is_staff else "approval",
                conditions=(_Written(days, ends, signed), *more),
            )
            try:
                slip = await self.shop.redeem(
                    asker,
                    offer=offer,
                    by=shown,
                    quantity=quantity,
                    retry=retry,
                    then_cash=then_cash,
                    expires_at=(ends + UPLOAD_DAYS * 86_400) * _US,
                )
            except _Moved:
                continue
            return await self.paper(slip.id), slip.replayed
        raise Unavailable("queue_full")

    async def paper(self, voucher: str) -> Paper:
        """One voucher. Raises `not_found`."""
        rows = await self.ledger.fetch("SELECT fields FROM voucher WHERE voucher = ?", voucher)
        if not rows:
            raise Refusal("not_found", what="voucher", id=voucher)
        return await self._paper(voucher, bytes(rows[0][0]))

    async def of(self, subject: str, *, after: tuple[int, str] | None = None, limit: int = 50) -> list[Paper]:
        """A subject's vouchers, the newest first; `after` is (created_at, id) of the last one seen."""
        created_at, last = after or (2**62, "")
        rows = await self.ledger.fetch(
            "SELECT v.voucher, v.fields FROM redemption r JOIN voucher v ON v.voucher = r.redemption"
            " WHERE r.subject = ? AND (r.created_at < ? OR (r.created_at = ? AND r.redemption < ?))"
            " ORDER BY r.created_at DESC, r.redemption DESC LIMIT ?",
            subject,
            created_at,
            created_at,
            last,
            limit,
        )
        return list(await asyncio.gather(*(self._paper(voucher, bytes(fields)) for voucher, fields in rows)))

    async def _paper(self, voucher: str, fields: bytes) -> Paper:
        text = write(fields, self.key)
        return Paper(text, read(text, self.key.verifier), await self.shop.details(SYSTEM, voucher))

    async def _ends(self, subject: str, days: int, *, spends: bool) -> int:
        """When a voucher of today would end, in seconds."""
        journal = await self.ledger.home(subject)
        rows = await self.ledger.fetch("SELECT zone FROM head WHERE journal = ?", journal)
        zone, account = rows[0][0], subject_account(subject)
        today = local_day(self.ledger.clock(), zone)
        lots = await self.ledger.fetch(
            "SELECT MIN(lot) FROM balance WHERE journal = ? AND account = ? AND unit = ? AND lot >= ? AND amount > 0",
            journal,
            account,
            POINTS,
            today,
        )
        return _end_of(last_day(today, days, lots[0][0] if spends else None), zone)


def last_day(today: str, days: int, lot: str | None) -> str:
    """The voucher's last day: `days` from today, and never after `lot`, the last day of the first points it takes.

    Points that nobody takes come back UPLOAD_DAYS later. Where they would have lapsed by then the voucher lasts as long
    as they do, if that is not longer than a voucher may, or ends early enough for them to come back.
    """
    start, back = date.fromisoformat(today), timedelta(UPLOAD_DAYS)
    end = start + timedelta(days)
    if lot is None or lot >= (end + back).isoformat():  # a lot without a last day has a date beyond all others
        return end.isoformat()
    lapses = date.fromisoformat(lot)
    return (lapses if lapses <= start + timedelta(DAYS_MAX) else lapses - back).isoformat()


def _end_of(day: str, zone: str) -> int:
    following = date.fromisoformat(day) + timedelta(1)
    return int(datetime(following.year, following.month, following.day, tzinfo=ZoneInfo(zone)).timestamp())


class _Moved(Unavailable):
    """The points, the day or the home are not what the end was computed from: compute it again."""

    def __init__(self) -> None:
        super().__init__("queue_full")


@dataclass(frozen=True, slots=True)
class _Written(Condition):
    """Writes the voucher in the commit of its order. Where the scenario asks for a `signed` agreement it is good at the
    shop that has one, and not at its neighbours."""

    days: int
    ends: int
    signed: bool

    def place(self, view: View, order: Redemption) -> None:
        today = view.today(order.journal)
        lots = view.balances(order.journal, subject_account(order.subject), POINTS) if order.points else {}
        first = min((lot for lot, amount in lots.items() if lot >= today and amount > 0), default=None)
        if _end_of(last_day(today, self.days, first), view.head(order.journal).zone) != self.ends:
            raise _Moved
        shop = view.get(MERCHANT, order.merchant)
        assert shop is not None, order.merchant
        at = Merchant.of(shop)
        voucher = Voucher(
            id=order.redemption,
            journal=order.journal,
            merchant=order.merchant,
            community=at.community,
            circle="" if self.signed else at.circle,
            title=offer_in(view, order.offer).title_zh,
            quantity=order.quantity,
            points=order.points,
            cash_fen=order.cash_fen,
            issued=view.now_us // _US,
            ends=self.ends,
        )
        view.insert(VOUCHER, (order.redemption, self.ends * _US, pack(voucher)))

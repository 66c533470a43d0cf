# SPDX-License-Identifier: Apache-2.0
"""The counter: identifies whoever pays, hands the decision to the ledger's commit, and tells the till what it may know.

docs/reference/redemption-states.md has the states. Every call that moves points is answered again, not done again,
under the same retry key.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ledger import keys
from ledger.book.holds import Hold, read_hold
from ledger.engine import Ledger
from ledger.errors import Refusal, Unavailable
from ledger.port import Answer, PutRows, Retry
from ledger.tables import HOLD
from merchants.booking import Request, said
from merchants.catalogue import Scenarios
from merchants.model import (
    Asker,
    Condition,
    Details,
    Redemption,
    Residents,
    Shown,
    Slip,
    state_of,
)
from merchants.offers import Offers
from merchants.orders import Capture, Expire, OnOrder, Refund, Release, Void
from merchants.prepare import Prepare, by_code
from merchants.tables import REDEMPTION

_ORDER = ", ".join(f"r.{name}" for name in REDEMPTION.names)
_HOLD = ", ".join(f"h.{name}" for name in HOLD.names)
_JOIN = "redemption r LEFT JOIN hold h ON h.journal = r.journal AND h.hold = r.redemption"
_SELECT = f"SELECT {_ORDER}, {_HOLD} FROM {_JOIN}"
_WIDTH = len(REDEMPTION.names)
_GONE = ("subject_erased", "subject_unknown")
_NOT_AN_ANSWER = frozenset(
    ["forbidden", "not_found", "not_identified", "not_proxy", "rate_limited", "token_expired", "token_used"]
)
SYSTEM = Asker("system", serves=lambda community: True)


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Yes or no; the reason is for staff and the resident, never for a till. `shown` is who a yes was said of."""

    eligible: bool
    reason_code: str | None = None
    shown: Shown | None = None


class Shop:
    """Redemptions from hold to refund. `bands` maps a grade to the least standing it takes, in hundredths; the shop
    compares inside the commit and never says the number or the grade. `covers(upper, lower)`: does one place lie in the
    other? Codes say it by themselves unless a register knows better."""

    def __init__(
        self,
        ledger: Ledger,
        scenarios: Scenarios,
        residents: Residents,
        bands: Mapping[str, int],
        covers: Callable[[str, str], bool] = by_code,
    ) -> None:
        self.ledger = ledger
        self.scenarios = scenarios
        self.residents = residents
        self.offers = Offers(ledger, scenarios)
        self._prepare = Prepare(self.offers, residents, bands, covers)

    # at the till -----------------------------------------------------------------------------------------------

    async def redeem(
        self,
        asker: Asker,
        *,
        offer: str,
        by: Mapping[str, str] | Shown,
        quantity: int = 1,
        retry: Retry | None = None,
        capture: bool = False,
        then_cash: bool = False,
        merchant: str | None = None,
        reference: str | None = None,
        expires_at: int = 0,
        more: tuple[Condition, ...] = (),
    ) -> Slip:
        """Hold the points for an order, and give them to the merchant at once with `capture`.

        `by` is `{"subject"}` (staff only), `{"card","pin"}`, `{"phone_tail","surname","pin"}` or a code that was shown;
        or what some other door of ours has found `Shown`. `reference` names the meter, plate or home that a limit
        counts for; `expires_at` is another end than in fifteen minutes (µs); `more` must hold too. Raises what `Redeem`
        refuses, and `not_identified`.
        """
        if (slip := await self.again(retry)) is not None:
            return slip
        command = await self._prepare.order(
            asker,
            offer,
            by,
            merchant,
            quantity=quantity,
            retry=retry,
            capture=capture,
            then_cash=then_cash,
            reference=reference,
            expires_at=expires_at,
            more=more,
        )
        return await self._slip(await self.ledger.submit(command))

    async def again(self, retry: Retry | None) -> Slip | None:
        """The first answer of a retry key, before anyone is identified again: a PIN may have changed meanwhile, and a
        try would be counted."""
        if retry is None or not await self.ledger.fetch(
            "SELECT 1 FROM request WHERE caller = ? AND key = ?", retry.caller, retry.key
        ):
            return None
        return await self._slip(await self.ledger.submit(PutRows(retry=retry)))

    async def eligible(self, asker: Asker, *, offer: str, by: Mapping[str, str] | Shown) -> Eligibility:
        """Would one unit be redeemed now? Changes nothing. Being told who is not there is a refusal, not an answer."""
        command = await self._prepare.order(asker, offer, by, None, dry_run=True)
        try:
            await self.ledger.submit(command)
        except Unavailable:
            raise
        except Refusal as refusal:
            if refusal.code in _NOT_AN_ANSWER:
                raise
            return Eligibility(False, None if asker.merchant else refusal.code)
        return Eligibility(True, shown=command.shown)

    async def capture(
        self,
        asker: Asker,
        redemption: str,
        *,
        amount: int | None = None,
        final: bool = True,
        retry: Retry | None = None,
    ) -> Slip:
        """Give held points to the merchant: all, or `amount`; `final` gives the rest back to the person."""
        body = {"final": int(final), **({} if amount is None else {"amount": amount})}
        order, request = await self._on(asker, redemption, "capture", body, retry)
        return await self._settle(Capture(request, order, amount, final))

    async def release(self, asker: Asker, redemption: str, *, retry: Retry | None = None) -> Slip:
        """Give back what is still held."""
        order, request = await self._on(asker, redemption, "release", {}, retry)
        return await self._settle(Release(request, order))

    async def void(self, asker: Asker, redemption: str, *, reason: str, retry: Retry | None = None) -> Slip:
        """Undo the whole order, until midnight of its day."""
        order, request = await self._on(asker, redemption, "void", {"reason": reason}, retry)
        return await self._settle(Void(request, order, reason.encode(), self._seal(request, order, reason)))

    async def refund(
        self, asker: Asker, redemption: str, *, amount: int, reason: str, retry: Retry | None = None
    ) -> Slip:
        """Return captured points to the lots they came from."""
        order, request = await self._on(asker, redemption, "refund", {"amount": amount, "reason": reason}, retry)
        sealed = self._seal(request, order, reason)
        return await self._settle(Refund(request, order, amount, reason.encode(), sealed))

    async def expire(self, order: Redemption) -> Answer:
        """What the sweep does with one order whose time is up. Raises `hold_open`, `redemption_closed`."""
        request = await self._request(SYSTEM, order, "expire", {}, None)
        return await self.ledger.submit(Expire(request, order))

    # looking up ------------------------------------------------------------------------------------------------

    async def slip(self, asker: Asker, redemption: str) -> Slip:
        """An order as the till sees it."""
        return await self.told(await self.details(asker, redemption))

    async def details(self, asker: Asker, redemption: str) -> Details:
        """An order and what has happened to it. Raises `not_found`, also for another shop's order."""
        found = await self._find(redemption)
        if found is None or not _sees(asker, found[0]):
            raise Refusal("not_found", what="redemption", id=redemption)
        return _details(*found)

    async def told(self, details: Details, *, replayed: bool = False) -> Slip:
        """What a till may know of an order."""
        order = details.order
        try:
            masked = await self.residents.masked(order.subject)
        except Refusal as refusal:
            if replayed or refusal.code not in _GONE:
                raise
            masked = ""  # what was just done stands, though nobody can be named any more
        return Slip(order.redemption, details.state, order.points, order.cash_fen, details.expires_at, masked, replayed)

    async def day(
        self,
        day: str,
        *,
        merchant: str | None = None,
        communities: Collection[str] | None = None,
        after: tuple[int, str] | None = None,
        limit: int = 100,
    ) -> list[Details]:
        """A day's orders, oldest first, of one shop or of some communities; `after` is (created_at, id) of the last
        one seen."""
        sql, params = f"{_SELECT} WHERE r.day = ?", [day]
        if merchant is not None:
            sql, params = sql + " AND r.merchant = ?", [*params, merchant]
        if communities is not None:
            if not communities:
                return []
            marks = ", ".join("?" * len(communities))
            sql, params = sql + f" AND r.community IN ({marks})", [*params, *sorted(communities)]
        more: list[Any] = []
        if after is not None:
            sql += " AND (r.created_at > ? OR (r.created_at = ? AND r.redemption > ?))"
            more = [after[0], after[0], after[1]]
        sql += " ORDER BY r.created_at, r.redemption LIMIT ?"
        rows = await self.ledger.fetch(sql, *params, *more, limit)
        return [_details(*_split(row)) for row in rows]

    async def mine(self, subject: str, *, after: tuple[int, str] | None = None, limit: int = 100) -> list[Details]:
        """Orders with a person's points, or for them, newest first."""
        at, last = after or (2**62, "")
        rows = await self.ledger.fetch(
            f"{_SELECT} WHERE (r.subject = ? OR (r.beneficiary = ? AND r.beneficiary <> r.subject))"
            " AND (r.created_at < ? OR (r.created_at = ? AND r.redemption < ?))"
            " ORDER BY r.created_at DESC, r.redemption DESC LIMIT ?",
            subject,
            subject,
            at,
            at,
            last,
            limit,
        )
        return [_details(*_split(row)) for row in rows]

    async def due(self, now_us: int, limit: int = 500) -> list[Redemption]:
        """Orders whose time was up at `now_us` and that still hold something."""
        held = await self.ledger.fetch(
            f"SELECT {_ORDER} FROM hold h JOIN redemption r ON r.redemption = h.hold"
            " WHERE h.state = 'held' AND h.expires_at <= ? ORDER BY h.expires_at LIMIT ?",
            now_us,
            limit,
        )
        free = await self.ledger.fetch(
            f"SELECT {_ORDER} FROM redemption r WHERE r.mark = 'held' AND r.expires_at <= ?"
            " ORDER BY r.expires_at LIMIT ?",
            now_us,
            limit,
        )
        return [Redemption.of(row) for row in (*held, *free)]

    # inside ----------------------------------------------------------------------------------------------------

    async def _on(
        self, asker: Asker, redemption: str, call: str, body: Mapping[str, Any], retry: Retry | None
    ) -> tuple[Redemption, Request]:
        order = (await self.details(asker, redemption)).order
        if asker.subject is not None:
            raise Refusal("forbidden")
        return order, await self._request(asker, order, call, body, retry)

    async def _request(
        self, asker: Asker, order: Redemption, call: str, body: Mapping[str, Any], retry: Retry | None
    ) -> Request:
        try:
            key = await self.residents.data_key(order.subject)
        except Refusal as refusal:
            if refusal.code not in _GONE:
                raise
            key = None  # the order outlives the person: it is wound up without a name
        bytes_ = said(call, {"redemption": order.redemption, **body})
        return Request(asker, retry, bytes_, self.ledger.new_id("txn"), key)

    def _seal(self, request: Request, order: Redemption, reason: str) -> bytes | None:
        if request.key is None:
            return None
        return keys.seal(request.key, reason.encode(), order.redemption.encode())

    async def _settle(self, command: OnOrder) -> Slip:
        return await self._slip(await self.ledger.submit(command))

    async def _slip(self, answer: Answer) -> Slip:
        if answer.value is not None:
            order, hold = answer.value
        else:
            found = await self._find(answer.ref)
            assert found is not None, answer.ref
            order, hold = found
        return await self.told(_details(order, hold), replayed=answer.replayed)

    async def _find(self, redemption: str) -> tuple[Redemption, Hold | None] | None:
        rows = await self.ledger.fetch(f"{_SELECT} WHERE r.redemption = ?", redemption)
        return _split(rows[0]) if rows else None


def _sees(asker: Asker, order: Redemption) -> bool:
    if asker.subject is not None:
        return asker.subject == order.subject
    return asker.serves(order.community) if asker.merchant is None else asker.merchant == order.merchant


def _split(row: tuple[Any, ...]) -> tuple[Redemption, Hold | None]:
    return Redemption.of(row[:_WIDTH]), None if row[_WIDTH] is None else read_hold(row[_WIDTH:])


def _details(order: Redemption, hold: Hold | None) -> Details:
    state = state_of(order, hold)
    if hold is None:
        return Details(order, state, order.expires_at, 0, 0, 0)
    return Details(order, state, hold.expires_at, hold.captured, hold.released, hold.refunded)

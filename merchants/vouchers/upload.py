# SPDX-License-Identifier: Apache-2.0
"""Taking in what tills have taken: each line of a batch is decided once for ever, and the first upload wins.

A line is known by its till, the till's counter and what it says. So a batch may be sent again, in parts, in another
order or twice at once, and every line keeps its first answer. What cannot be captured becomes a dispute line.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ledger import codec
from ledger.engine import Ledger
from ledger.errors import Refusal, Unavailable
from ledger.keys import Verifier
from ledger.port import Answer, PutRows, Retry
from ledger.tables import Key, Table
from ledger.view import View, local_day
from merchants.booking import Request
from merchants.model import Asker, Merchant, Redemption
from merchants.orders import Capture
from merchants.tables import MERCHANT, REDEMPTION, VOUCHER_LINE
from merchants.vouchers.format import BadVoucher, Voucher, read

BATCH_MAX = 500
SKEW_S = 86_400  # a till's clock may be a day off
_CHUNK = 64  # commands in the queue at once: other tills want their turn
_REASONS = {
    "already_captured": "used",
    "hold_expired": "expired",
    "redemption_closed": "closed",
    "forbidden": "suspended",
}


@dataclass(frozen=True, slots=True)
class Line:
    """What a till says: its own number for it, the voucher's text, and when it took it (seconds since 1970)."""

    counter: int
    voucher: str
    at: int

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(codec.canonical({"at": self.at, "voucher": self.voucher})).digest()


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a line: `captured`, or `dispute` with a reason. `replayed`: another batch had brought it."""

    counter: int
    result: str
    reason: str
    replayed: bool


@dataclass(frozen=True, slots=True)
class Take:
    """One line. `voucher` is None for a text that is none of ours, `capture` where its order is not in the books."""

    asker: Asker
    batch: str
    line: Line
    zone: str
    voucher: Voucher | None
    capture: Capture | None
    retry: None = None

    @property
    def journals(self) -> tuple[str, ...]:
        return () if self.capture is None else self.capture.journals

    @property
    def weight(self) -> int:
        return 1

    @property
    def terminal(self) -> str:
        """Who counts: the till, or the key where the shop has one key for all."""
        return self.asker.terminal or self.asker.id

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield VOUCHER_LINE, (self.terminal, self.line.counter)
        yield MERCHANT, (self.asker.merchant,)
        if self.capture is not None:
            yield from self.capture.reads()

    def decide(self, view: View) -> Answer:
        before = view.rows(VOUCHER_LINE, (self.terminal, self.line.counter))
        key = (self.terminal, self.line.counter, self.line.digest)
        row = before.get(key)
        if row is None:
            reason = "counter_reused" if before else self._captured(view)
            voucher = self.voucher
            row = (
                *key,
                self.asker.merchant,
                self.batch,
                voucher.id if voucher else "",
                voucher.points if voucher else 0,
                voucher.cash_fen if voucher else 0,
                "dispute" if reason else "captured",
                reason,
                self.line.at * 1_000_000,
                local_day(view.now_us, self.zone),
                view.now_us,
            )
            view.put(VOUCHER_LINE, row)
        return Answer(value=Told(self.line.counter, row[8], row[9], row[4] != self.batch))

    def _captured(self, view: View) -> str:
        """Give the points to the shop; why not, where it may not be."""
        shop = view.get(MERCHANT, self.asker.merchant)
        assert shop is not None, self.asker.merchant
        at = Merchant.of(shop)
        if self.voucher is None:
            return "forged"
        if not self.voucher.is_for(at.merchant, at.community, at.circle):
            return "other_shop"
        if at.state != "open":
            return "suspended"
        if self.capture is None:
            return "unknown"
        if self.line.at >= self.voucher.ends + SKEW_S:
            return "expired"
        mark = view.mark()
        try:
            self.capture.decide(view)
        except Unavailable:
            raise
        except Refusal as refusal:
            view.undo(mark)
            return _REASONS.get(refusal.code, refusal.code)
        return ""


class Uploads:
    """The door for batches. `zone` says which day it is."""

    def __init__(self, ledger: Ledger, key: Verifier, zone: str) -> None:
        self.ledger = ledger
        self.key = key
        self.zone = zone

    async def upload(
        self, till: Asker, batch: str, lines: Sequence[Line], *, retry: Retry | None = None
    ) -> tuple[list[Told], bool]:
        """What became of each line, in their order; and whether this very request had been answered before.

        The same batch always gets the same answer. Raises `forbidden` unless a shop's key asks,
        `idempotency_key_reused`, and `Unavailable` where only a part could be taken in: send it again.
        """
        if till.merchant is None:
            raise Refusal("forbidden")
        if retry is not None and await self.ledger.fetch(
            "SELECT 1 FROM request WHERE caller = ? AND key = ?", retry.caller, retry.key
        ):
            await self.ledger.submit(PutRows(retry=retry))  # refuses the key where it stood for something else
        told: list[Told] = []
        for start in range(0, len(lines), _CHUNK):
            commands = await self._commands(till, batch, lines[start : start + _CHUNK])
            # In their order into the queue, so that of two lines with one voucher the earlier one wins.
            answers = await asyncio.gather(*map(self.ledger.submit, commands), return_exceptions=True)
            for answer in answers:
                if isinstance(answer, BaseException):
                    raise answer
                told.append(answer.value)
        if retry is None:
            return told, False
        replayed = (await self.ledger.submit(PutRows(retry=retry, answer=Answer(200, batch)))).replayed
        return told, replayed

    async def _commands(self, till: Asker, batch: str, lines: Sequence[Line]) -> list[Take]:
        vouchers = [self._read(line.voucher) for line in lines]
        orders = await self._orders([one.id for one in vouchers if one is not None])
        made: list[Take] = []
        for line, voucher in zip(lines, vouchers, strict=True):
            order = None if voucher is None else orders.get(voucher.id)
            capture = None if order is None else self._capture(till, order, line)
            made.append(Take(till, batch, line, self.zone, voucher, capture))
        return made

    def _read(self, text: str) -> Voucher | None:
        try:
            return read(text, self.key)
        except BadVoucher:
            return None

    async def _orders(self, ids: Sequence[str]) -> dict[str, Redemption]:
        if not ids:
            return {}
        names = ", ".join(REDEMPTION.names)
        marks = ", ".join("?" * len(ids))
        rows = await self.ledger.fetch(f"SELECT {names} FROM redemption WHERE redemption IN ({marks})", *ids)
        return {row[0]: Redemption.of(row) for row in rows}

    def _capture(self, till: Asker, order: Redemption, line: Line) -> Capture:
        said = codec.canonical({"call": "voucher", "counter": line.counter, "redemption": order.redemption})
        # Paper that is out stays good where a shop leaves its circle: the voucher says who may take it.
        # No entry of a capture names the person, so none is opened by their key.
        request = Request(till, None, said, self.ledger.new_id("txn"), None)
        return Capture(request, order, shown_at=till.merchant or "")

# SPDX-License-Identifier: Apache-2.0
"""The counter of shops.py with vouchers: two more shops, one in the first one's circle, one not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from merchants.model import Asker, Merchant
from merchants.vouchers.format import signer
from merchants.vouchers.issue import Paper, Vouchers
from merchants.vouchers.upload import Line, Told, Uploads
from tests.shops import HERE, NOON, STAFF, Town

DAY_S = 86_400
NOON_S = NOON // 1_000_000
ORIGIN = "town.example"


class VoucherTown(Town):
    """A town whose shop, and its neighbour, are of one circle; `far` is of none."""

    async def open(self) -> None:
        await super().open()
        self.key = signer(bytes(32), ORIGIN)
        self.vouchers = Vouchers(self.ledger, self.shop, self.key)
        self.uploads = Uploads(self.ledger, self.key.verifier, "Asia/Shanghai")
        shops = self.shop.offers
        self.merchant = await shops.change_merchant(STAFF, self.merchant.merchant, circle="便民圈")
        self.near: Merchant = await shops.add_merchant(STAFF, name="早点铺", community=HERE, circle="便民圈")
        self.far: Merchant = await shops.add_merchant(STAFF, name="书店", community=HERE)
        self.tills = {
            "own": self.till_of(self.merchant),
            "near": self.till_of(self.near),
            "far": self.till_of(self.far),
        }
        self.batches = 0

    async def check(self) -> None:
        """What must be true at the end of every journey: balanced books, each voucher captured once at the most, and
        every captured line with its order captured at that line's shop."""
        sums = await self.ledger.fetch("SELECT unit, SUM(amount) FROM balance GROUP BY unit")
        assert all(total == 0 for _, total in sums)
        wrong = await self.ledger.fetch("SELECT account FROM balance WHERE amount < 0 AND account LIKE 'subject:%'")
        assert not wrong
        twice = await self.ledger.fetch(
            "SELECT redemption FROM voucher_line WHERE result = 'captured' GROUP BY redemption HAVING COUNT(*) > 1"
        )
        assert not twice
        loose = await self.ledger.fetch(
            "SELECT l.redemption FROM voucher_line l JOIN redemption r ON r.redemption = l.redemption "
            "LEFT JOIN hold h ON h.hold = r.redemption "
            "WHERE l.result = 'captured' AND (r.merchant <> l.merchant OR h.captured <> r.points)"
        )
        assert not loose

    def till_of(self, shop: Merchant, terminal: str = "") -> Asker:
        return Asker(f"key_{shop.merchant}", shop.merchant, terminal=terminal or f"ter_{shop.merchant}")

    async def voucher(self, subject: str, offer: str, **more: Any) -> Paper:
        return (await self.vouchers.issue(Asker(subject, subject=subject), subject=subject, offer=offer, **more))[0]

    def line(self, counter: int, paper: Paper | str, at: int | None = None) -> Line:
        text = paper if isinstance(paper, str) else paper.text
        return Line(counter, text, self.now // 1_000_000 if at is None else at)

    async def upload(self, till: str | Asker, *lines: Line, batch: str | None = None, retry: Any = None) -> list[Told]:
        self.batches += 1
        asker = self.tills[till] if isinstance(till, str) else till
        return (await self.uploads.upload(asker, batch or f"batch{self.batches}", lines, retry=retry))[0]

    async def said(self, till: str | Asker, *lines: Line) -> list[str]:
        """`captured`, or the reason of the dispute."""
        return [one.reason or one.result for one in await self.upload(till, *lines)]


def seconds(text: str) -> int:
    """A till's time, `2022-01-31T08:00:00Z`, in seconds since 1970."""
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())

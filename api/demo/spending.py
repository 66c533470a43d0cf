# SPDX-License-Identifier: Apache-2.0
"""Points spent: most people get what they came for at once; some orders are captured in part, given back, returned,
undone or forgotten."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

from api.demo.county import County, Neighbour
from api.demo.lane import Lane, Later
from ledger.view import local_day
from merchants.display import Slot
from merchants.jobs import expire_holds
from merchants.model import Asker, Offer

GRADE_AA = 103_000
AT_ONCE = 0.78
_ENDS = {"capture": 8, "partial": 3, "release": 3, "expire": 2, "refund": 4, "void": 2}
_TRIES = 40
_MINUTES = 10  # that a shop buys of the screen at a time
_FREE = 3  # of one benefit that costs nothing, for anybody in the year; none is limited to fewer


class Spending:
    """The counter, session by session. `each` is how many redemptions a session has in the whole county."""

    def __init__(self, county: County, each: float, counts: Counter[str]) -> None:
        self.county = county
        self.each = each
        self.counts = counts
        self.free: Counter[tuple[str, str]] = Counter()

    async def spend(self, lane: Lane) -> None:
        """The day's orders of one community, one after the other."""
        lane.spend += self.each * len(lane.people) / self.county.scale.people
        while lane.spend >= 1:
            found = self._wish(lane)
            if found is None:
                return
            lane.spend -= 1
            await self._redeem(lane, *found)

    def _wish(self, lane: Lane) -> tuple[Neighbour, Offer] | None:
        """Somebody of this community and something they can have."""
        rng = lane.rng
        shops = lane.pools.get(("G5", ""), [])
        graded = [one for one in lane.people if one.standing >= GRADE_AA]
        for _ in range(_TRIES):
            turn = rng.random()
            pool = shops if turn < 0.04 else graded if turn < 0.12 else lane.people
            if not pool:
                continue
            one = rng.choice(pool)
            if not one.till or one is self.county.resident:
                continue
            can = [offer for offer in self.county.offers if _may(one, offer, bool(offer.price) == (pool is not graded))]
            can = [offer for offer in can if self.free[one.subject, offer.offer] < _FREE]
            if can:
                near = [offer for offer in can if offer.community == lane.code]
                chosen = near if near and rng.random() < 0.4 else can
                return one, rng.choices(chosen, [300 + offer.price for offer in chosen])[0]
        return None

    async def _redeem(self, lane: Lane, one: Neighbour, offer: Offer) -> None:
        at_once = lane.rng.random() < AT_ONCE or not offer.price
        slip = await self.county.world.shop.redeem(
            self._counter(lane, offer),
            offer=offer.offer,
            by={"subject": one.subject},
            quantity=_quantity(offer),
            capture=at_once,
            more=self._slot(lane, offer),
        )
        one.points -= slip.points
        self.free[one.subject, offer.offer] += not offer.price
        self.counts["redemptions"] += 1
        if at_once:
            self.counts["captured"] += 1
        else:
            end = lane.rng.choices(list(_ENDS), list(_ENDS.values()))[0]
            lane.later.append(Later(slip.id, end, slip.points, one))

    def _slot(self, lane: Lane, offer: Offer) -> tuple[Slot, ...]:
        """Some day of the next four weeks, where it is a screen's minutes that are bought."""
        if offer.scenario != "S36":
            return ()
        today = date.fromisoformat(local_day(self.county.world.ledger.clock(), self.county.world.settings.timezone))
        return (Slot(offer.offer, (today + timedelta(days=lane.rng.randrange(28))).isoformat()),)

    def _counter(self, lane: Lane, offer: Offer) -> Asker:
        """Who stands at the counter: the community's own worker, or the county's for shops elsewhere."""
        login = self.county.clerk(lane.code if offer.community == lane.code else "")
        covers = self.county.world.covers
        return Asker(login.id, serves=lambda where: login.actor.may({"community_staff"}, where, covers))

    async def settle(self, lane: Lane) -> None:
        """What becomes of the orders that were only held."""
        shop, rng = self.county.world.shop, lane.rng
        counter = Asker(self.county.staff["staff"].id, serves=lambda where: True)
        later, lane.later = lane.later, []
        for order, end, points, one in later:
            back = 0
            if end in ("release", "expire"):
                back = points  # an expired hold is swept up later in the day
                if end == "release":
                    await shop.release(counter, order)
            elif end == "partial":
                await shop.capture(counter, order, amount=points // 2)
                back = points - points // 2
            else:
                await shop.capture(counter, order)
            if end == "refund":
                back = points if rng.random() < 0.6 else points // 2
                await shop.refund(counter, order, amount=back, reason="商品有质量问题，退回")
            elif end == "void":
                back = points
                await shop.void(counter, order, reason="录入错误，当日作废")
            one.points += back
            self.counts[{"capture": "captured"}.get(end, f"orders: {end}")] += 1

    async def sweep(self) -> None:
        """Give back what was held too long."""
        world = self.county.world
        self.counts["expired"] += await expire_holds(world.shop, world.ledger.clock())


def _may(one: Neighbour, offer: Offer, wanted: bool) -> bool:
    """Can they have it? `wanted`: is it of the kind they came for, points or a benefit of their grade?"""
    if not wanted or (offer.scenario == "S36") != ("G5" in one.groups) or (offer.scenario == "S31" and not one.elder):
        return False
    return one.points >= offer.price * _quantity(offer) if offer.price else one.standing >= GRADE_AA


def _quantity(offer: Offer) -> int:
    return _MINUTES if offer.scenario == "S36" else 1

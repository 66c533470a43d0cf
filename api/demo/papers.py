# SPDX-License-Identifier: Apache-2.0
"""What people carry on the last evening: vouchers, one of them taken by a till without a network and one shown twice;
and lists of who may stand in for whom."""

from __future__ import annotations

from datetime import date, timedelta

from api.demo.county import County, Neighbour
from api.demo.shops import MARKET
from api.people.proxies import Kind
from merchants.model import Asker, Offer
from merchants.vouchers.upload import Line


async def hand_out(county: County, as_of: date) -> None:
    """Vouchers of the market for the resident and a neighbour, and an elder whom the resident stands in for."""
    resident = county.resident
    assert resident is not None
    county.clock.set(as_of - timedelta(days=1), "20:00")
    neighbours = [one for people in county.people.values() for one in people if one is not resident]
    await _vouchers(county, resident, neighbours)
    elders = [one for one in neighbours if one.elder]
    if elders:
        elder = next((one for one in elders if one.home == resident.home), elders[0])
        await _stand_in(county, elder, resident, as_of)


async def _vouchers(county: County, resident: Neighbour, neighbours: list[Neighbour]) -> None:
    world, merchant = county.world, county.merchants[MARKET]
    soap, rice = [offer for offer in county.offers if offer.merchant == merchant][:2]
    staff = Asker(county.staff["staff"].id, serves=lambda community: True)
    with county.ids("vouchers"):
        await _issue(county, staff, resident, rice)
        rich = next((one for one in neighbours if one.points >= soap.price), None)
        if rich is None:
            return
        text = await _issue(county, staff, rich, soap)
        rich.points -= soap.price
        handheld = await world.shop.offers.add_terminal(staff, merchant, name="手持机")
        till = Asker("key_demo", merchant, terminal=handheld.terminal)
        now = world.ledger.clock() // 1_000_000
        await world.uploads.upload(till, "evening-1", [Line(1, text, now - 3_600), Line(2, text, now - 1_800)])


async def _issue(county: County, staff: Asker, one: Neighbour, offer: Offer) -> str:
    paper, _ = await county.world.vouchers.issue(staff, subject=one.subject, offer=offer.offer)
    return paper.text


async def _stand_in(county: County, elder: Neighbour, resident: Neighbour, as_of: date) -> None:
    """The resident fetches things for the elder, and may pay for the elder's meals."""
    world = county.world
    kinds: tuple[tuple[Kind, int], ...] = (("acts", 1), ("relative", 2))
    for kind, number in kinds:
        await world.counter.proxies.grant(
            elder.subject,
            resident.subject,
            kind,
            to_day=(as_of + timedelta(days=365)).isoformat(),
            consent=f"纸质授权书 {as_of.year}-{number}",
            key=await world.people.data_key(elder.subject),
            actor=county.staff["staff"].id,
        )

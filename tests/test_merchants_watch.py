# SPDX-License-Identifier: Apache-2.0
"""Odd patterns of spending: each is found, and what just misses it is left alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from merchants.hours import hours_text
from merchants.watch import (
    BURST_ORDERS,
    OWN_ORDERS,
    REGULAR_ORDERS,
    TRIED_TOTALS,
    UNDONE_ORDERS,
    Finding,
    Sale,
    Watched,
    findings,
)

ZONE = "Asia/Shanghai"
NOON = int(datetime(2022, 6, 15, 4, tzinfo=UTC).timestamp()) * 1_000_000  # a Wednesday
HOUR = 3_600_000_000
MINUTE = HOUR // 60
DAY = 24 * HOUR


def sale(number: int = 0, *, at: int = NOON, who: str = "sub_a", shop: str = "mer_1", **more: Any) -> Sale:
    day = (datetime.fromtimestamp(at // 1_000_000, UTC) + timedelta(hours=8)).date().isoformat()
    usual = {"points": 1_000, "captured": 1_000, "refunded": 0, "voided": False, "benefit": False}
    return Sale(f"red_{number:03d}", who, who, shop, "ter_1", day, at, **{**usual, **more})


def found(*sales: Sale, shops: Any = None, ties: Any = ()) -> list[Finding]:
    return findings(sales, shops or {}, ties, ZONE)


def kinds(*sales: Sale, **more: Any) -> list[str]:
    return [one.kind for one in found(*sales, **more)]


def days(count: int, **more: Any) -> list[Sale]:
    """One sale a day."""
    return [sale(n, at=NOON - n * DAY, **more) for n in range(count)]


def test_points_that_go_round() -> None:
    """Spending at the shop of one's own body, or of a relative's; an owner's two purchases are nobody's business."""
    shops = {"mer_1": Watched("sub_body")}
    own = [("sub_a", "sub_body")]
    kin = [("sub_a", "sub_b"), ("sub_b", "sub_body")]
    assert ["own_shop"] == kinds(*days(OWN_ORDERS), shops=shops, ties=own)
    assert ["own_shop"] == kinds(*days(OWN_ORDERS, who="sub_body"), shops=shops)
    assert ["kin_shop"] == kinds(*days(OWN_ORDERS), shops=shops, ties=kin)
    assert [] == kinds(*days(OWN_ORDERS - 1), shops=shops, ties=own)
    assert [] == kinds(*days(OWN_ORDERS, who="sub_c"), shops=shops, ties=own)
    assert [] == kinds(*days(OWN_ORDERS, voided=True)[1:], *days(1), shops=shops, ties=own)
    assert [] == kinds(*days(OWN_ORDERS), shops={"mer_1": Watched()}, ties=own)


def test_sales_while_the_shop_is_shut() -> None:
    """By its own hours, an hour's grace on either side; without hours at dead of night; a voucher is no sign."""
    week = {"wed": [("09:00", "18:00")]}
    shops = {"mer_1": Watched(hours=hours_text(week))}
    assert [] == kinds(sale(at=NOON), sale(1, at=NOON + 7 * HOUR - MINUTE), shops=shops)
    assert [] == kinds(sale(at=NOON - 4 * HOUR), shops=shops)
    late = found(sale(at=NOON + 8 * HOUR), sale(1, at=NOON + 9 * HOUR), shops=shops)
    assert [("closed_hours", "2022-06-15", "mer_1", 2)] == [
        (one.kind, one.day, one.merchant, one.facts["orders"]) for one in late
    ]
    assert [] == kinds(sale(at=NOON + 8 * HOUR, at_till=False), shops=shops)
    brief = {"mer_1": Watched(hours=hours_text({"wed": [("12:20", "12:40")]}))}  # a van that stops for some minutes
    assert [] == kinds(sale(at=NOON - 30 * MINUTE), sale(1, at=NOON + 90 * MINUTE), shops=brief)
    assert ["closed_hours"] == kinds(sale(at=NOON - 2 * HOUR), sale(1, at=NOON + 2 * HOUR), shops=brief)
    assert ["closed_hours"] == kinds(sale(at=NOON - 9 * HOUR)) and [] == kinds(sale(at=NOON - 6 * HOUR))


def test_made_and_taken_back() -> None:
    """Three refunds, or three voids, that are half of what one person ordered at one shop in a month."""
    for kind, change in (("refund_loop", {"refunded": 1_000}), ("void_loop", {"voided": True, "refunded": 1_000})):
        undone = [one._replace(**change) for one in days(UNDONE_ORDERS)]
        assert [kind] == kinds(*undone) and [] == kinds(*undone[1:])
        others = [sale(n + 50, at=NOON - n * DAY) for n in range(UNDONE_ORDERS + 1)]
        assert [] == kinds(*undone, *others) and [kind] == kinds(*undone, *others[1:])
        apart = [one._replace(merchant=f"mer_{n}") for n, one in enumerate(undone)]
        assert [] == kinds(*apart)


def test_order_upon_order() -> None:
    """Five for one person at one till within ten minutes."""
    quick = [sale(n, at=NOON + n * 2 * MINUTE) for n in range(BURST_ORDERS)]
    assert [("till_burst", 8)] == [(one.kind, one.facts["minutes"]) for one in found(*quick)]
    assert [] == kinds(*quick[1:])
    before = sale(9, at=NOON - 5 * MINUTE)  # wherever one begins to count
    assert [(BURST_ORDERS, 8)] == [(len(one.redemptions), one.facts["minutes"]) for one in found(before, *quick)]
    hour_later = [one._replace(redemption=f"{one.redemption}b", created_at=one.created_at + HOUR) for one in quick]
    assert ["till_burst"] * 2 == kinds(*quick, *hour_later)
    assert [] == kinds(*(sale(n, at=NOON + n * 3 * MINUTE) for n in range(BURST_ORDERS)))
    assert [] == kinds(*(one._replace(subject=f"sub_{n}") for n, one in enumerate(quick)))
    assert [] == kinds(*(one._replace(at_till=False) for one in quick))


def test_totals_tried() -> None:
    """Orders called off with ever other totals, or to see how far the points reach."""
    called_off = [sale(n, at=NOON + n * HOUR, points=100 * n + 100, captured=0) for n in range(TRIED_TOTALS)]
    assert ["probing"] == kinds(*called_off) and [] == kinds(*called_off[1:])
    assert [] == kinds(*(one._replace(points=100) for one in called_off))
    assert [] == kinds(*(one._replace(held=True) for one in called_off))  # put aside, to be fetched yet
    short = [one._replace(short=True, points=100) for one in called_off[:2]]
    assert ["probing"] == kinds(*short) and [] == kinds(*short[:1])
    assert [] == kinds(*(one._replace(captured=100) for one in short))


def test_a_shop_of_one_customer() -> None:
    """More than half of a shop's points from one hand; gradewise benefits and refunded points do not count."""
    mine = days(REGULAR_ORDERS)
    assert [("one_customer", 100)] == [(one.kind, one.facts["percent"]) for one in found(*mine)]
    assert [] == kinds(*mine[1:])
    others = [sale(n + 50, at=NOON - n * DAY, who=f"sub_{n}") for n in range(REGULAR_ORDERS)]
    assert [] == kinds(*mine, *others) and ["one_customer"] == kinds(*mine, *others[1:])
    assert [] == kinds(*(one._replace(points=0, captured=0, benefit=True) for one in mine))

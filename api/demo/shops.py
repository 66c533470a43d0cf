# SPDX-License-Identifier: Apache-2.0
"""The county's shops: their tills and hours, what they have signed, what they offer, and the money set aside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from api.demo.county import County
from api.demo.places import COMMUNITIES, COUNTY
from api.demo.scale import SMALL
from ledger.view import local_day
from merchants.hours import DAYS, hours_text
from merchants.model import UNCOUNTED, Asker, Offer

MARKET = "惠民信用超市（东岳国际店）"
STATIONS = "红色驿站"
_CIRCLE = "信用超市和红色驿站"  # a voucher of one is good at all of them


class _Good(NamedTuple):
    """`price` in hundredths of a point a unit; `value_fen`: what the payer owes the shop where nothing is spent."""

    scenario: str
    zh: str
    en: str
    price: int
    value_fen: int = 0


class _Shop(NamedTuple):
    name: str
    community: str
    goods: tuple[_Good, ...]
    hours: tuple[str, str]
    circle: str = ""


_SHOPS = (
    _Shop(
        MARKET,
        "370321001001",
        (
            _Good("S13", "洗衣液（2公斤）", "Laundry liquid, 2 kg", 500),
            _Good("S13", "大米（5公斤）", "Rice, 5 kg", 1_200),
            _Good("S32", "电动车充电1小时", "E-bike charging, one hour", 200),
            _Good("S14", "全场九五折", "Five per cent off", 0),
        ),
        ("08:00", "20:30"),
        _CIRCLE,
    ),
    _Shop("便民理发店", "370321001003", (_Good("S17", "理发一次", "A haircut", 1_000),), ("09:00", "19:00")),
    _Shop("县影城", "370321002004", (_Good("S29", "电影票一张", "A cinema ticket", 3_000),), ("10:00", "01:00")),
    _Shop(
        "县公交公司",
        "370321002003",
        (
            _Good("S02", "公交充值卡20元", "Bus card, 20 yuan", 2_000),
            _Good("S01", "公交乘车八折", "Bus fare, 20% off", 0, 40),
        ),
        ("05:30", "21:30"),
    ),
    _Shop(
        "少海长者食堂",
        "370321002003",
        (_Good("S31", "长者助餐一份", "A meal at the elders' canteen", 500),),
        ("10:30", "18:30"),
    ),
    _Shop(
        "永乐巷商街大屏",
        "370321001003",
        (_Good("S36", "大屏广告1分钟", "One minute on the street screen", 100),),
        ("08:30", "17:30"),
    ),
    _Shop("马踏湖景区", "370321002005", (_Good("S11", "门票半价", "Half-price ticket", 0, 2_000),), ("08:00", "18:00")),
)
_STATION = (
    _Good("S13", "抽纸一提", "A pack of tissues", 300),
    _Good("S13", "食用油（1.8升）", "Cooking oil, 1.8 l", 800),
)
# A year's money, by place. The market's own street has set none, so nothing runs out at the till that demo.json names.
_BUDGETS: Mapping[str, tuple[str, str]] = {
    "S13": ("370321002", "少海街道红色驿站物品"),
    "S29": (COUNTY, "县文化惠民"),
    "S31": (COUNTY, "县长者助餐"),
    "S01": (COUNTY, "县公交优惠"),
    "S11": (COUNTY, "县文旅惠民"),
}


async def stock(county: County, years: tuple[int, ...], tick: Callable[[], None]) -> None:
    """Shops, what they have signed, offers that one proposed and another approved, and the budgets of these years."""
    shops = [*_SHOPS]
    if county.scale.people >= SMALL:
        shops += [
            _Shop(f"{name}{STATIONS}", code, _STATION, ("08:30", "17:30"), _CIRCLE)
            for code, name in COMMUNITIES.items()
        ]
    staff = Asker(county.staff["staff"].id, serves=lambda community: True)
    for shop in shops:
        with county.ids("shop", shop.name):
            await _open(county, staff, shop)
        tick()
    await _fund(county, staff, years)


async def _open(county: County, staff: Asker, shop: _Shop) -> None:
    offers = county.world.shop.offers
    await county.world.assessments.require("merchant", shop.community)
    hours = hours_text({day: [shop.hours] for day in DAYS})
    bodies = [one.subject for one in county.bodies.get(shop.community, ()) if "G5" in one.groups]
    subject = bodies[0] if bodies and shop.name == MARKET else ""  # a shop that earns points as a body, too
    made = await offers.add_merchant(
        staff, name=shop.name, community=shop.community, hours=hours, circle=shop.circle, subject=subject
    )
    county.merchants[shop.name] = made.merchant
    for code in sorted({good.scenario for good in shop.goods}):
        if (scenario := county.world.shop.scenarios[code]).agreement == "required":
            paper = {"number": f"桓信协〔2022〕{len(county.merchants)}号", "from_day": "2022-01-01"}
            await offers.agreements.add(staff, made.merchant, scenario=scenario, **paper)
    for good in shop.goods:
        await _sell(county, staff, made.merchant, shop, good)


async def _sell(county: County, staff: Asker, merchant: str, shop: _Shop, good: _Good) -> None:
    street = shop.community[:9]
    approver = Asker(county.staff[street].id, serves=lambda where: where.startswith(street))
    offers = county.world.shop.offers
    made = await offers.propose(
        staff,
        merchant=merchant,
        scenario=good.scenario,
        title_zh=good.zh,
        title_en=good.en,
        price=good.price,
        value_fen=good.value_fen,
        stock=5_000 if good.scenario in ("S13", "S29") else UNCOUNTED,
    )
    county.offers.append(await offers.approve(approver, made.offer))
    if good.scenario == "S36":
        await _screen(county, staff, made)


async def _screen(county: County, staff: Asker, offer: Offer) -> None:
    """A screen that plays by day and night, and every shop of its community for two minutes at least."""
    shops = [one.subject for one in county.bodies.get(offer.community, ()) if "G5" in one.groups]
    world = county.world
    today = local_day(world.ledger.clock(), world.settings.timezone)
    await world.screens.set_plan(staff, offer.offer, from_day=today, minutes=1_440, floor=2, members=shops[:100])


async def _fund(county: County, staff: Asker, years: tuple[int, ...]) -> None:
    """Enough for everything to go through: a year's orders at the dearest that the scenario has."""
    for code, (place, name) in _BUDGETS.items():
        dearest = max(
            max(good.price, good.value_fen) for shop in _SHOPS for good in shop.goods if good.scenario == code
        )
        for year in years:
            await county.world.budgets.add(
                staff,
                scenario=county.world.shop.scenarios[code],
                place=place,
                year=str(year),
                name=f"{year} 年{name}",
                limit_fen=(county.scale.redemptions + 50) * dearest,
            )

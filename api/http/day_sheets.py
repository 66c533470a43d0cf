# SPDX-License-Identifier: Apache-2.0
"""A day's redemptions as a table for a spreadsheet and as a page to print and sign."""

from datetime import date
from typing import Annotated

from litestar import Response, get
from litestar.params import Parameter

from api.auth import Caller
from api.day_sheet import Sheet, page, sheets, table
from api.http.answers import answers
from api.http.merchants import asker
from api.pages.page import CSP
from api.world import World
from ledger.view import local_day

_PRIVATE = {"Cache-Control": "no-store"}
Shop = Annotated[str | None, Parameter(max_length=64)]


async def _found(world: World, caller: Caller, day: date | None, merchant: str | None) -> tuple[list[Sheet], str]:
    """A shop's own day, or of the communities that staff serve."""
    who = asker(world, caller)
    communities: list[str] | None = None
    if who.merchant is not None:
        merchant = who.merchant
    else:
        communities = [one for one in await world.shop.offers.communities() if who.serves(one)]
    said = day.isoformat() if day else local_day(world.ledger.clock(), world.settings.timezone)
    return await sheets(world, said, merchant=merchant, communities=communities), said


@get(
    "/redemptions.csv",
    tags=["redemptions"],
    summary="A day's redemptions as CSV",
    operation_id="daySheetTable",
    responses={200: answers(media="text/csv")},
)
async def as_table(world: World, caller: Caller, day: date | None = None, merchant: Shop = None) -> Response[bytes]:
    """Every order of the day and a line of totals for each shop. Today where no day is said."""
    found, said = await _found(world, caller, day, merchant)
    headers = {**_PRIVATE, "Content-Disposition": f'attachment; filename="redemptions-{said}.csv"'}
    return Response(table(found), media_type="text/csv; charset=utf-8", headers=headers)


@get(
    "/redemptions.html",
    tags=["redemptions"],
    summary="A day's redemptions to print",
    operation_id="daySheetPage",
    responses={200: answers(media="text/html")},
)
async def as_page(world: World, caller: Caller, day: date | None = None, merchant: Shop = None) -> Response[bytes]:
    """A page for each shop: orders, totals by scenario, a place to sign."""
    found, said = await _found(world, caller, day, merchant)
    headers = {**_PRIVATE, "Content-Security-Policy": CSP}
    return Response(page(found, said), media_type="text/html", headers=headers)


routes = [as_table, as_page]

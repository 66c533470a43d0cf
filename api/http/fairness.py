# SPDX-License-Identifier: Apache-2.0
"""The quarter's fairness report: as data, as a table and as a page to print; for those who look after a place."""

from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.params import Parameter

from api import fairness_page
from api.auth import Caller
from api.http.answers import answers
from api.http.awards import lang_of
from api.http.reply import reply
from api.http.rule_shapes import Fairness
from api.lists.frame import headers
from api.world import World
from ledger.errors import Refusal

TAGS = ["assessments"]
_PRIVATE = {"Cache-Control": "no-store"}

Place = Annotated[str, Parameter(max_length=40, description="A county, street or community.")]
Quarter = Annotated[str, Parameter(max_length=6, description="A quarter that has begun, 2026Q3.")]


async def _report(world: World, caller: Caller, period: str, place: str) -> dict[str, Any]:
    from api.fairness import report  # here: polars takes a third of a second to load

    world.register.place(place)
    if not caller.serves(place, world.covers):
        raise Refusal("forbidden", scope="lists:read", place=place)
    return await report(world, period, place)


@get(
    "/fairness",
    tags=TAGS,
    summary="Whom the points reach",
    operation_id="getFairness",
    responses={200: answers(Fairness)},
)
async def as_data(
    request: Request[Any, Any, Any], world: World, caller: Caller, period: Quarter, place: Place
) -> Response[bytes]:
    """Reach by age band, grid, phone and channel, what was given to relatives or to each other, how much a few have;
    with the alarms. Nobody is named and small groups are left out."""
    said = await _report(world, caller, period, place)
    return reply(200, {**said, "said": fairness_page.alarms(said, lang_of(request))}, headers=_PRIVATE)


@get(
    "/fairness.csv",
    tags=TAGS,
    summary="The same as a table",
    operation_id="getFairnessTable",
    responses={200: answers(media="text/csv")},
)
async def as_table(
    request: Request[Any, Any, Any], world: World, caller: Caller, period: Quarter, place: Place
) -> Response[bytes]:
    """One row for each group."""
    made = fairness_page.as_csv(await _report(world, caller, period, place), lang_of(request))
    named = {**_PRIVATE, "Content-Disposition": f'attachment; filename="fairness-{place}-{period}.csv"'}
    return Response(made, media_type="text/csv; charset=utf-8", headers=named)


@get(
    "/fairness.html",
    tags=TAGS,
    summary="The same to print",
    operation_id="getFairnessPage",
    responses={200: answers(media="text/html")},
)
async def as_page(
    request: Request[Any, Any, Any], world: World, caller: Caller, period: Quarter, place: Place
) -> Response[bytes]:
    """Every table on A4."""
    made = fairness_page.render(await _report(world, caller, period, place), lang_of(request))
    return Response(made, media_type="text/html; charset=utf-8", headers={**headers("fairness"), **_PRIVATE})


routes = [as_data, as_table, as_page]

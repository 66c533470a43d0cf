# SPDX-License-Identifier: Apache-2.0
"""Rankings of grids as they were published: of a community, of the communities below a street or county, and who has
had the red flag."""

from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.params import Parameter, QueryParameter

from api.http.answers import answers
from api.http.awards import lang_of
from api.http.editions import FORMS, Form, Tongue, shown
from api.http.list_shapes import FlagPage, ListData, RollUp
from api.http.reply import reply
from api.lists import naming
from api.lists.roll_up import rolled_up
from api.world import World
from ledger.errors import Refusal
from rules.lists.model import PUBLISHED

TAGS = ["lists"]

Place = Annotated[str, Parameter(max_length=40, description="A community; a street or the county for those below.")]
ListCode = Annotated[str | None, QueryParameter(name="list", max_length=40, description="Where there are several.")]


@get(
    "/rankings",
    opt={"public": True},
    tags=TAGS,
    summary="Who has had the flag",
    operation_id="listRankings",
    responses={200: answers(FlagPage)},
)
async def flags(world: World, community: Place, list_: ListCode = None) -> Response[bytes]:
    """The flags that grids of a community reached, newest first, with the money that came with them."""
    world.register.place(community)
    found = await world.editions.find(kind="ranking", list=list_, places=[community], states=[PUBLISHED], limit=1)
    items = await naming.history(world, found[0].list, community) if found else []
    return reply(200, {"community": community, "items": items, "next": None})


@get(
    "/rankings/{period:str}",
    opt={"public": True, "polled": True},
    tags=TAGS,
    summary="A ranking",
    operation_id="getRanking",
    responses={200: answers(ListData | RollUp, media=FORMS)},
)
async def ranking(
    request: Request[Any, Any, Any],
    world: World,
    period: str,
    community: Place,
    list_: ListCode = None,
    form: Form = "a4",
    lang: Tongue = None,
) -> Response[bytes]:
    """The grids of a community, `2026Q4`, with `.html` to read and print and `.csv` as a table. Of a street or the
    county: what its communities have published, beside each other, and together; communities are not ranked."""
    period, _, kind = period.partition(".")
    if kind not in ("", "json", "html", "csv"):
        raise Refusal("not_found", what="ranking", id=f"{period}/{community}"[:60])
    world.register.place(community)
    said = lang or lang_of(request)
    found = await world.editions.find(
        kind="ranking", list=list_, period=period, places=[community], states=[PUBLISHED], limit=1
    )
    if found:
        data = await naming.named(world, found[0].id)
        return await shown(request.scope, data, kind, said, form, file=f"{found[0].list}-{community}-{period}")
    data = await rolled_up(world, period, community, list_)
    return await shown(request.scope, data, kind, said, form, file=f"{data['list']}-{community}-{period}")


routes: list[Any] = [flags, ranking]

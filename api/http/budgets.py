# SPDX-License-Identifier: Apache-2.0
"""Budgets: a year's money for a scenario at a place, and the points that the place should not exceed in a month."""

from typing import Annotated, Literal

from litestar import Response, get, patch, post
from litestar.params import Parameter
from pydantic import Field

from api.auth import Caller
from api.http.answers import answers
from api.http.awards import readable
from api.http.conditions import IfMatch, etag, version_in
from api.http.merchants import Strict, asker
from api.http.money_shapes import BudgetBody, Liability
from api.http.offers import AMOUNT_MAX
from api.http.reply import LIMIT_DEFAULT, Cursor, Limit, key_of, page, reply
from api.http.shapes import Page
from api.liability import budget_body, report, table
from api.world import World
from ledger.errors import Refusal
from merchants.model import Asker

FEN_MAX = 10**11  # a milliard yuan

Title = Annotated[str, Field(min_length=1, max_length=60)]
Fen = Annotated[int, Field(ge=0, le=FEN_MAX)]
IssueLimit = Annotated[int, Field(ge=1, le=AMOUNT_MAX)]
Place = Annotated[str | None, Parameter(max_length=40)]


class NewBudget(Strict):
    """One line a scenario, year and place. `issue_limit`: points in hundredths that the place may give out in a month
    before a second person is asked; null: as many as the rules give."""

    scenario: Annotated[str, Field(pattern=r"^S[0-9]{2}$")]
    place: Annotated[str, Field(min_length=1, max_length=40)]
    year: Annotated[str, Field(pattern=r"^20[0-9]{2}$")]
    name: Title
    limit_fen: Fen
    issue_limit: IssueLimit | None = None


class BudgetChange(Strict):
    """What is not named stays; `issue_limit` null takes the brake off."""

    name: Title | None = None
    limit_fen: Fen | None = None
    issue_limit: IssueLimit | None = None
    state: Literal["open", "closed"] | None = None


@get(
    "/budgets",
    tags=["merchants"],
    summary="Budgets",
    operation_id="listBudgets",
    responses={200: answers(Page[BudgetBody])},
)
async def budgets(
    world: World,
    caller: Caller,
    place: Place = None,
    scenario: Annotated[str | None, Parameter(max_length=8)] = None,
    year: Annotated[str | None, Parameter(max_length=4)] = None,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Response[bytes]:
    """Of the caller's places, of those below and those above, which pay for them too."""
    tree = world.register.tree
    near: set[str] = set()
    for code in readable(caller, place, world):
        near |= {one.code for one in (*tree.below(code), *tree.up(code))}
    (after,) = key_of(cursor, str) or ("",)
    rows = await world.budgets.find(scenario=scenario, year=year, places=near, after=after, limit=limit + 1)
    shown, more = page(rows, limit, lambda one: (one.budget,))
    return reply(200, {"items": [budget_body(one) for one in shown], "next": more})


async def _keeper(world: World, caller: Caller, scenario: str, year: str, place: str) -> Asker:
    """The caller, who may set money at a place. Where a wider place has a line already, a nearer one goes before it: so
    only who looks after the wider place divides it. Raises `forbidden`."""
    keeper = asker(world, caller)
    wider = {one.code for one in world.register.tree.up(place)} - {place}
    for line in await world.budgets.find(places=wider, scenario=scenario, year=year, state="open"):
        if not keeper.serves(line.place):
            raise Refusal("forbidden", place=line.place)
    return keeper


@post(
    "/budgets",
    tags=["merchants"],
    summary="Set a budget",
    operation_id="addBudget",
    responses={201: answers(BudgetBody, etag=True)},
)
async def add(world: World, caller: Caller, data: NewBudget) -> Response[bytes]:
    """By staff of the place, or of the wider place whose money it is a part of. From then on what the scenario costs
    there is drawn on it."""
    world.register.place(data.place)
    made = await world.budgets.add(
        await _keeper(world, caller, data.scenario, data.year, data.place),
        scenario=world.shop.offers.scenario(data.scenario),
        place=data.place,
        year=data.year,
        name=data.name,
        limit_fen=data.limit_fen,
        issue_limit=data.issue_limit or 0,
    )
    world.brake.forget()
    return reply(201, budget_body(made), headers=etag(made.version))


@patch(
    "/budgets/{budget:str}",
    tags=["merchants"],
    summary="Change a budget",
    operation_id="changeBudget",
    responses={200: answers(BudgetBody, etag=True)},
)
async def change(
    world: World, caller: Caller, budget: str, data: BudgetChange, if_match: IfMatch = None
) -> Response[bytes]:
    """More money, less, or none any more. What is spent stays spent."""
    line = await world.budgets.get(budget)
    paid_from_above = any(world.covers(line.place, where) for _, where in caller.actor.roles)
    if not (paid_from_above or caller.serves(line.place, world.covers)):  # not in any list of theirs
        raise Refusal("not_found", what="budget", id=budget)
    made = await world.budgets.change(
        await _keeper(world, caller, line.scenario, line.year, line.place),
        budget,
        version=version_in(if_match),
        name=data.name,
        limit_fen=data.limit_fen,
        issue_limit=(data.issue_limit or 0) if "issue_limit" in data.model_fields_set else None,
        state=data.state,
    )
    world.brake.forget()
    return reply(200, budget_body(made), headers=etag(made.version))


@get(
    "/liability",
    tags=["merchants"],
    summary="What the points would cost",
    operation_id="getLiability",
    responses={200: answers(Liability)},
)
async def liability(world: World, caller: Caller, place: Annotated[str, Parameter(max_length=40)]) -> Response[bytes]:
    """Points that are out at a place and below it, by journal and by the month in which they lapse, and what the year's
    budgets have left."""
    readable(caller, place, world)
    return reply(200, await report(world, place))


@get(
    "/liability.csv",
    tags=["merchants"],
    summary="The same as a table",
    operation_id="getLiabilityTable",
    responses={200: answers(media="text/csv")},
)
async def liability_table(
    world: World, caller: Caller, place: Annotated[str, Parameter(max_length=40)]
) -> Response[bytes]:
    """The points line by line, for a spreadsheet."""
    readable(caller, place, world)
    said = await report(world, place)
    headers = {"Content-Disposition": f'attachment; filename="liability-{said["day"]}.csv"'}
    return Response(table(said), media_type="text/csv; charset=utf-8", headers=headers)


routes = [budgets, add, change, liability, liability_table]

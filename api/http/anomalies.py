# SPDX-License-Identifier: Apache-2.0
"""Where somebody should look: patterns among the awards, or the spending, of a place and a few months."""

from datetime import date, timedelta
from typing import Annotated, Any, Literal

from litestar import Request, Response, get
from litestar.params import Parameter, QueryParameter

from api import messages
from api.anomalies import look, look_at_spending
from api.auth import Caller
from api.http.answers import answers
from api.http.awards import lang_of
from api.http.desk_shapes import FindingBody
from api.http.reply import reply
from api.http.shapes import Page
from api.invalid import invalid
from api.world import World
from ledger.errors import Refusal
from merchants import watch
from rules.engine.explain import amount
from rules.watch.anomalies import Finding

DAYS_MAX = 184


def finding_body(one: Finding, lang: messages.Lang) -> dict[str, Any]:
    """A finding as data and in words."""
    return {
        "kind": one.kind,
        "day": one.day,
        "subjects": list(one.subjects),
        "awards": list(one.awards),
        "facts": dict(one.facts),
        "detail": messages.sentence(f"anomaly_{one.kind}", "detail", lang, {"day": one.day, **one.facts}),
    }


def spending_body(one: watch.Finding, shop: str, lang: messages.Lang) -> dict[str, Any]:
    """The same of a finding among orders."""
    said = {"day": one.day, "shop": shop, **one.facts, "points": amount(int(one.facts["points"]))}
    return {
        "kind": one.kind,
        "day": one.day,
        "merchant": one.merchant,
        "subjects": list(one.subjects),
        "redemptions": list(one.redemptions),
        "facts": dict(one.facts),
        "detail": messages.sentence(f"anomaly_{one.kind}", "detail", lang, said),
    }


@get(
    "/anomalies",
    tags=["awards"],
    summary="What does not look right",
    operation_id="listAnomalies",
    responses={200: answers(Page[FindingBody])},
)
async def listing(
    request: Request[Any, Any, Any],
    world: World,
    caller: Caller,
    place: Annotated[str, Parameter(max_length=40)],
    from_: Annotated[date, QueryParameter(name="from")],
    to: Annotated[date, QueryParameter(name="to")],
    about: Literal["awards", "spending"] = "awards",
) -> Response[bytes]:
    """Deeds, or orders, of these days at a place and below it. It accuses nobody and changes nothing; a person has to
    look."""
    world.register.place(place)
    if not caller.serves(place, world.covers):
        raise Refusal("forbidden", scope="lists:read", place=place)
    if not timedelta(0) <= to - from_ <= timedelta(days=DAYS_MAX):
        raise invalid([{"pointer": "/to", "code": "out_of_range", "allowed": f"{from_} + 0..{DAYS_MAX} d"}])
    days, lang = (from_.isoformat(), to.isoformat()), lang_of(request)
    if about == "spending":
        items = [spending_body(*one, lang) for one in await look_at_spending(world, caller, place, *days)]
    else:
        items = [finding_body(one, lang) for one in await look(world, caller, place, *days)]
    return reply(200, {"items": items, "next": None}, headers={"Cache-Control": "no-store"})


routes = [listing]

# SPDX-License-Identifier: Apache-2.0
"""The scenarios: what points and grades are good for. Public, and the same for everybody."""

from typing import Any

from litestar import Response, get

from api.http.answers import answers
from api.http.money_shapes import ScenarioBody
from api.http.reply import reply
from api.http.shapes import Page
from api.world import World
from merchants.catalogue import Said, Scenario


def said(words: Said | None) -> dict[str, str] | None:
    return None if words is None else {"zh": words.zh, "en": words.en}


def scenario_body(one: Scenario) -> dict[str, Any]:
    points = one.gate.points
    return {
        "code": one.code,
        "title": said(one.title),
        "category": one.category,
        "benefit": one.benefit,
        "eligible": {
            "kinds": one.eligible.kinds,
            "groups": one.eligible.groups,
            "age_min": one.eligible.age_min,
        },
        "gate": {
            "grade": one.gate.grade,
            "points": None if points is None else {"least": points.least, "most": points.most},
            "attested": said(one.gate.attested),
            "needs": one.gate.needs,
        },
        "limits": [
            {
                "count": limit.count,
                "points": limit.points,
                "per": limit.per,
                "by": limit.by,
                "reference": said(limit.reference),
                "note": said(limit.note),
            }
            for limit in one.limits
        ],
        "terms": said(one.terms),
        "own_consent": one.own_consent,
        "gift": one.gift,
        "valid": {"from": str(one.valid.first), "to": None if one.valid.last is None else str(one.valid.last)},
        "provider": said(one.provider),
        "agreement": one.agreement,
        "settlement": one.settlement,
        "value_fen": one.fen_per_point,
        "public_service": one.public_service,
        "ordinary_route": said(one.ordinary_route),
        "waits_for": said(one.waits_for),
        "origin": one.origin,
        "note": said(one.note),
    }


@get(
    "/scenarios",
    opt={"public": True},
    tags=["merchants"],
    summary="The 36 scenarios",
    operation_id="listScenarios",
    responses={200: answers(Page[ScenarioBody])},
)
async def scenarios(world: World) -> Response[bytes]:
    """What each asks, for whom, how often, who provides it, who pays, and the ordinary route beside it."""
    items = [scenario_body(one) for one in world.shop.scenarios.values()]
    return reply(200, {"items": items, "next": None})


routes = [scenarios]

# SPDX-License-Identifier: Apache-2.0
"""The rules as they stand: groups, indicators with the facts they ask for, and the packs they come from."""

from typing import Any

from litestar import Response, get

from api import packs
from api.auth import Caller
from api.http.answers import answers
from api.http.conditions import polled
from api.http.reply import reply
from api.http.rule_shapes import GroupBody, IndicatorBody, PackFiles, Packs
from api.http.shapes import Page
from api.world import World
from ledger.errors import Refusal
from rules.engine.model import Field, Indicator, Pack
from rules.engine.wording import LANGS, statement

TAGS = ["rules"]
_POLLED = {"public": True, "polled": True}


def _field(field: Field) -> dict[str, Any]:
    return {
        "name": field.name,
        "type": field.type,
        "unit": field.unit,
        "min": field.min,
        "max": field.max,
        "values": [{"value": value, "label": label.model_dump()} for value, label in field.values.items()],
        "label": field.label.model_dump(),
        "default": field.default,
    }


def _indicator(pack: Pack, one: Indicator) -> dict[str, Any]:
    """As the pack has it, and as a notice says it: `says` are its sentences in both languages."""
    said = one.model_dump(mode="json", by_alias=True, exclude={"fields", "examples"})
    says = {lang: statement(pack, one, lang) for lang in LANGS}
    return {**said, "fields": [_field(field) for field in one.fields], "says": says}


@get(
    "/groups",
    tags=TAGS,
    summary="The eight groups",
    operation_id="listGroups",
    responses={200: answers(Page[GroupBody])},
)
async def groups(world: World, caller: Caller) -> Response[bytes]:
    """In the order of their codes."""
    pack = world.pack
    items = [{**group.model_dump(mode="json"), "pack": pack.id} for _, group in sorted(pack.groups.items())]
    return reply(200, {"items": items, "next": None})


@get(
    "/indicators",
    tags=TAGS,
    summary="Indicators",
    operation_id="listIndicators",
    responses={200: answers(Page[IndicatorBody])},
)
async def indicators(world: World, caller: Caller, group: str | None = None) -> Response[bytes]:
    """What is awarded for what, with the facts a report must state."""
    pack = world.pack
    if group is not None and group not in pack.groups:
        raise Refusal("not_found", what="group", id=group[:40])
    items = [_indicator(pack, one) for one in pack.indicators.values() if group in (None, one.group)]
    return reply(200, {"items": items, "next": None})


@get("/packs", opt=_POLLED, tags=TAGS, summary="Rule packs", operation_id="listPacks", responses={200: answers(Packs)})
async def listing(world: World, scope: Any) -> Response[bytes]:
    """Every pack of this deployment, oldest first; `hash` is what entries name. A pack that is `coming` is on public
    notice: `days_left` until it takes effect, and `changes` against the one before it."""
    items = await packs.listing(world)
    now = next(item["hash"] for item in items if item["state"] == "in_force")
    coming = [item["hash"] for item in items if item["state"] == "coming"]
    return polled(scope, {"in_force": now, "coming": coming, "items": items, "next": None})


@get(
    "/packs/{pack:str}",
    opt=_POLLED,
    tags=TAGS,
    summary="One rule pack",
    operation_id="getPack",
    responses={200: answers(PackFiles)},
)
async def one(world: World, pack: str, scope: Any) -> Response[bytes]:
    """By its hash, with its files as they were published."""
    return polled(scope, await packs.one(world, pack))


routes: list[Any] = [groups, indicators, listing, one]

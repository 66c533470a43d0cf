# SPDX-License-Identifier: Apache-2.0
"""Keys for machines: tills of merchants, clients of the interface."""

from typing import Annotated, Any, Literal

import orjson
from litestar import Response, delete, get, post
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Caller
from api.http.body import invalid
from api.http.reply import Cursor, Limit, cursor_of, key_of, reply
from api.http.staff import Role
from api.tables import ApiKeyRow
from api.world import World
from ledger.errors import Refusal
from ledger.view import rfc3339


class NewKey(BaseModel):
    """`merchant` keys serve one merchant's tills; `client` keys act in the roles they are given."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    kind: Literal["merchant", "client"] = "merchant"
    name: Annotated[str, Field(max_length=80)] = ""
    merchant: Annotated[str | None, Field(max_length=40)] = None
    terminal: Annotated[str | None, Field(max_length=40)] = None
    scopes: Annotated[list[str], Field(max_length=20)] = []
    roles: Annotated[list[Role], Field(max_length=20)] = []


@post("/keys", tags=["keys"], summary="Issue a key", operation_id="createKey")
async def create(world: World, caller: Caller, data: NewKey) -> Response[bytes]:
    """The key is shown in this answer and never again: only its hash is kept."""
    if data.kind == "merchant":
        caller.require("merchants:write")
        await world.may_serve(caller, data.merchant or "")
        tills = await world.shop.offers.terminals(data.merchant or "")
        if data.terminal and data.terminal not in {till.terminal for till in tills if till.state == "open"}:
            raise Refusal("not_found", what="terminal", id=data.terminal)
    else:
        caller.require("staff:write")
        if data.terminal:
            raise invalid([{"pointer": "/terminal", "code": "field_unknown"}])
    if caller.kind != "staff":
        raise Refusal("forbidden", scope="staff:write")
    issued = await world.staff.issue_key(
        caller,
        data.kind,
        data.name,
        merchant=data.merchant,
        terminal=data.terminal,
        scopes=data.scopes,
        roles=[role.model_dump(by_alias=True) for role in data.roles],
    )
    body = {"id": issued.id, "key": issued.key, "expires_at": rfc3339(issued.expires_at)}
    return reply(201, body, headers={"Cache-Control": "no-store"})


@get("/keys", tags=["keys"], summary="Keys that were issued", operation_id="listKeys")
async def listing(world: World, caller: Caller, limit: Limit = 50, cursor: Cursor = None) -> Response[bytes]:
    """Never the keys themselves; of the caller's place, newest last."""
    caller.require("staff:write")
    last = (key_of(cursor, str) or ("",))[0]
    items: list[dict[str, Any]] = []
    while True:
        rows = await ApiKeyRow.select().where(ApiKeyRow.id > last).order_by(ApiKeyRow.id).limit(limit + 1)
        for row in rows:
            if await _within(world, caller, row):
                if len(items) == limit:
                    return reply(200, {"items": items, "next": cursor_of(items[-1]["id"])})
                items.append(_shown(row))
            last = row["id"]
        if len(rows) <= limit:
            return reply(200, {"items": items, "next": None})


@delete("/keys/{key:str}", status_code=204, tags=["keys"], summary="Revoke a key", operation_id="revokeKey")
async def revoke(world: World, caller: Caller, key: str) -> None:
    """From the next request on, the key is good for nothing; in another process of the server within five seconds."""
    if "staff:write" not in caller.scopes:
        caller.require("merchants:write")
    rows = await ApiKeyRow.select().where(ApiKeyRow.id == key)
    if not rows:
        raise Refusal("not_found", what="key", id=key)
    if "staff:write" not in caller.scopes or not await _within(world, caller, rows[0]):
        caller.require("merchants:write")
        if not rows[0]["merchant"]:
            raise Refusal("forbidden", scope="staff:write")
        await world.may_serve(caller, rows[0]["merchant"])
    await world.staff.revoke_key(key)


async def _within(world: World, caller: Caller, row: dict[str, Any]) -> bool:
    """Does the key act only where the caller administers? A shop's key acts where the shop is."""
    places = [role["place"] for role in orjson.loads(row["roles"])]
    if row["merchant"]:
        found = await world.ledger.fetch("SELECT community FROM merchant WHERE merchant = ?", row["merchant"])
        places += [community for (community,) in found]
    return all(caller.actor.may({"county_admin"}, place, world.covers) for place in places)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "kind": row["kind"],
        "name": row["name"],
        "merchant": row["merchant"] or None,
        "terminal": row["terminal"] or None,
        "scopes": orjson.loads(row["scopes"]),
        "roles": orjson.loads(row["roles"]),
        "state": row["state"],
        "created_by": row["created_by"],
        "created_at": rfc3339(row["created_at"]),
        "expires_at": rfc3339(row["expires_at"]),
    }


routes = [create, listing, revoke]

# SPDX-License-Identifier: Apache-2.0
"""Keys for machines: tills of merchants, clients of the interface. docs/signing-in.md."""

from contextlib import suppress
from typing import Annotated, Any, Literal

import orjson
from litestar import Response, delete, get, patch, post
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Caller
from api.http.answers import TypedDict, answers
from api.http.body import invalid
from api.http.reply import Cursor, Limit, cursor_of, key_of, reply
from api.http.shapes import Instant, Page
from api.http.staff import Role, RoleBody
from api.identity.sessions import HOUR_US
from api.staff import DAY_US, KEY_DAYS, Issue
from api.tables import ApiKeyRow
from api.world import World
from ledger.errors import Refusal
from ledger.view import rfc3339

Addresses = Annotated[list[Annotated[str, Field(min_length=2, max_length=50)]], Field(max_length=20)]
Days = Annotated[int, Field(ge=1, le=2 * KEY_DAYS)]
PublicKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{43}=$", description="Ed25519, base64 of the 32 bytes.")]


class NewKey(BaseModel):
    """`merchant` keys serve one merchant's tills; `client` keys act in the roles they are given. `addresses` are the
    networks that a key may be used from, any if there are none. `signed`: requests must be signed; without a
    `public_key` the machine registers its own first."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    kind: Literal["merchant", "client"] = "merchant"
    name: Annotated[str, Field(max_length=80)] = ""
    merchant: Annotated[str | None, Field(max_length=40)] = None
    terminal: Annotated[str | None, Field(max_length=40)] = None
    scopes: Annotated[list[str], Field(max_length=20)] = []
    roles: Annotated[list[Role], Field(max_length=20)] = []
    addresses: Addresses = []
    public_key: PublicKey | None = None
    signed: bool = False
    days: Days = KEY_DAYS


class KeyChange(BaseModel):
    """Where from the key may be used, from now on."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    addresses: Addresses


class Rotation(BaseModel):
    """How many hours the secret until now stays good beside the new one, and how many days the new one does."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    overlap_hours: Annotated[int, Field(ge=0, le=24)] = 24
    days: Days = KEY_DAYS


class KeyBody(TypedDict):
    """A key that was issued; never its secret."""

    id: str
    kind: Literal["merchant", "client"]
    name: str
    merchant: str | None
    terminal: str | None
    scopes: list[str]
    roles: list[RoleBody]
    addresses: list[str]
    public_key: str | None
    signed: bool
    state: Literal["active", "revoked"]
    created_by: str
    created_at: Instant
    expires_at: Instant


class IssuedKey(TypedDict):
    """`key` is shown this once."""

    id: str
    key: str
    expires_at: Instant


@post(
    "/keys",
    tags=["keys"],
    summary="Issue a key",
    operation_id="createKey",
    responses={201: answers(IssuedKey)},
)
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
    issued = await world.staff.issue_key(
        caller,
        data.kind,
        data.name,
        merchant=data.merchant,
        terminal=data.terminal,
        scopes=data.scopes,
        roles=[role.model_dump(by_alias=True) for role in data.roles],
        addresses=data.addresses,
        public_key=data.public_key,
        signed=data.signed,
        lasts=data.days * DAY_US,
    )
    return _issued(issued)


@post(
    "/keys/{key:str}/rotate",
    tags=["keys"],
    summary="Change a key's secret",
    operation_id="rotateKey",
    responses={201: answers(IssuedKey)},
)
async def rotate(world: World, caller: Caller, key: str, data: Rotation | None = None) -> Response[bytes]:
    """The new secret is shown in this answer and never again. The one until now stays good for a day, or for as many
    hours as are said, so that tills can be changed one by one; after a leak say 0."""
    await found(world, caller, key)
    asked = data or Rotation()
    return _issued(await world.staff.rotate_key(key, asked.overlap_hours * HOUR_US, asked.days * DAY_US))


@patch(
    "/keys/{key:str}",
    tags=["keys"],
    summary="Bind a key to addresses",
    operation_id="changeKey",
    responses={200: answers(KeyBody)},
)
async def change(world: World, caller: Caller, key: str, data: KeyChange) -> Response[bytes]:
    """From elsewhere the key is as good as none; in another process of the server within five seconds."""
    await found(world, caller, key)
    await world.staff.set_addresses(key, data.addresses)
    return reply(200, shown(await found(world, caller, key)))


@get(
    "/keys",
    tags=["keys"],
    summary="Keys that were issued",
    operation_id="listKeys",
    responses={200: answers(Page[KeyBody])},
)
async def listing(world: World, caller: Caller, limit: Limit = 50, cursor: Cursor = None) -> Response[bytes]:
    """Never the keys themselves; of the caller's place, newest last."""
    last = (key_of(cursor, str) or ("",))[0]
    items: list[KeyBody] = []
    while True:
        rows = await ApiKeyRow.select().where(ApiKeyRow.id > last).order_by(ApiKeyRow.id).limit(limit + 1)
        for row in rows:
            if await _within(world, caller, row):
                if len(items) == limit:
                    return reply(200, {"items": items, "next": cursor_of(items[-1]["id"])})
                items.append(shown(row))
            last = row["id"]
        if len(rows) <= limit:
            return reply(200, {"items": items, "next": None})


@delete("/keys/{key:str}", status_code=204, tags=["keys"], summary="Revoke a key", operation_id="revokeKey")
async def revoke(world: World, caller: Caller, key: str) -> None:
    """From the next request on, the key is good for nothing; in another process of the server within five seconds."""
    await found(world, caller, key)
    await world.staff.revoke_key(key)


async def found(world: World, caller: Caller, key: str) -> dict[str, Any]:
    """The key, for an administrator of where it acts and for whoever looks after its merchant. Raises `not_found`."""
    rows = await ApiKeyRow.select().where(ApiKeyRow.id == key)
    if rows and "staff:write" in caller.scopes and await _within(world, caller, rows[0]):
        return rows[0]
    if rows and "merchants:write" in caller.scopes and rows[0]["merchant"]:
        with suppress(Refusal):
            await world.may_serve(caller, rows[0]["merchant"])
            return rows[0]
    raise Refusal("not_found", what="key", id=key)


async def _within(world: World, caller: Caller, row: dict[str, Any]) -> bool:
    """Does the key act only where the caller administers? A shop's key acts where the shop is."""
    places = [role["place"] for role in orjson.loads(row["roles"])]
    if row["merchant"]:
        found = await world.ledger.fetch("SELECT community FROM merchant WHERE merchant = ?", row["merchant"])
        places += [community for (community,) in found]
    return all(caller.actor.may({"county_admin"}, place, world.covers) for place in places)


def shown(row: dict[str, Any]) -> KeyBody:
    return {
        "id": row["id"],
        "kind": row["kind"],
        "name": row["name"],
        "merchant": row["merchant"] or None,
        "terminal": row["terminal"] or None,
        "scopes": orjson.loads(row["scopes"]),
        "roles": orjson.loads(row["roles"]),
        "addresses": orjson.loads(row["addresses"]),
        "public_key": row["public_key"] or None,
        "signed": bool(row["signed"]),
        "state": row["state"],
        "created_by": row["created_by"],
        "created_at": rfc3339(row["created_at"]),
        "expires_at": rfc3339(row["expires_at"]),
    }


def _issued(issued: Issue) -> Response[bytes]:
    body = {"id": issued.id, "key": issued.key, "expires_at": rfc3339(issued.expires_at)}
    return reply(201, body, headers={"Cache-Control": "no-store"})


routes = [create, listing, change, rotate, revoke]

# SPDX-License-Identifier: Apache-2.0
"""Staff accounts: who works here, in which roles, where and until when."""

import re
from typing import Annotated, Any

from litestar import Response, get, patch, post
from litestar.params import Parameter
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Caller
from api.http.body import invalid
from api.http.reply import Cursor, Limit, cursor_of, key_of, reply
from api.staff import staff_record
from api.tables import StaffRow
from api.world import World
from ledger.errors import Refusal
from ledger.view import rfc3339

Day = Annotated[str, Field(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")]
PlaceCode = Annotated[str, Field(pattern=r"^[0-9]{6,12}(-[0-9A-Za-z-]{1,20})?$")]
_ETAG = re.compile(r'"([0-9]{1,9})"')


class Role(BaseModel):
    """One role at one place, from one day to another (both included)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    role: str
    place: PlaceCode
    from_: Annotated[Day | None, Field(alias="from")] = None
    to: Day | None = None


class NewStaff(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    username: Annotated[str, Field(min_length=2, max_length=40)]
    password: Annotated[str, Field(min_length=8, max_length=200)]
    subject: Annotated[str | None, Field(max_length=40)] = None
    roles: Annotated[list[Role], Field(max_length=50)] = []


class StaffChange(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    password: Annotated[str | None, Field(min_length=8, max_length=200)] = None
    subject: Annotated[str | None, Field(max_length=40)] = None
    roles: Annotated[list[Role] | None, Field(max_length=50)] = None
    state: Annotated[str | None, Field(pattern="^(active|closed)$")] = None


def _roles(roles: list[Role]) -> list[dict[str, str | None]]:
    return [role.model_dump(by_alias=True) for role in roles]


def _shown(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "created_at": rfc3339(record["created_at"])}


@post("/staff", tags=["staff"], summary="Add a staff account", operation_id="createStaff")
async def create(world: World, caller: Caller, data: NewStaff) -> Response[bytes]:
    """Only within one's own place. The password is for handing over; its owner changes it."""
    caller.require("staff:write")
    await _may_link(world, caller, data.subject)
    answer = await world.staff.create(caller, data.username, data.password, _roles(data.roles), data.subject)
    record = await world.staff.get(answer.ref)
    return reply(201, _shown(record), headers={"ETag": record["etag"]})


@get("/staff", tags=["staff"], summary="Staff accounts", operation_id="listStaff")
async def listing(world: World, caller: Caller, limit: Limit = 50, cursor: Cursor = None) -> Response[bytes]:
    """Accounts whose roles all lie within the caller's place, by username."""
    caller.require("staff:write")
    after = key_of(cursor, str)
    items: list[dict[str, Any]] = []
    last = after[0] if after else ""
    columns = [StaffRow.id, StaffRow.username, StaffRow.subject, StaffRow.roles, StaffRow.state]
    while True:
        rows = await (
            StaffRow.select(*columns, StaffRow.version, StaffRow.created_at)
            .where(StaffRow.username > last)
            .order_by(StaffRow.username)
            .limit(limit + 1)
        )
        for row in rows:
            record = staff_record(list(row.values()))
            if _within(world, caller, record["roles"]):
                if len(items) == limit:
                    return reply(200, {"items": items, "next": cursor_of(items[-1]["username"])})
                items.append(_shown(record))
            last = row["username"]
        if len(rows) <= limit:
            return reply(200, {"items": items, "next": None})


@get("/staff/{staff:str}", tags=["staff"], summary="One staff account", operation_id="getStaff")
async def one(world: World, caller: Caller, staff: str) -> Response[bytes]:
    """For administrators of the place, and for oneself."""
    if caller.id != staff:
        caller.require("staff:write")
    record = await world.staff.get(staff)
    if caller.id != staff and not _within(world, caller, record["roles"]):
        raise Refusal("forbidden", scope="staff:write")
    return reply(200, _shown(record), headers={"ETag": record["etag"]})


@patch("/staff/{staff:str}", tags=["staff"], summary="Change a staff account", operation_id="changeStaff")
async def change(
    world: World,
    caller: Caller,
    staff: str,
    data: StaffChange,
    if_match: Annotated[str | None, Parameter(header="If-Match")] = None,
) -> Response[bytes]:
    """What is left out stays. `If-Match` says which version was seen. A new password ends every session."""
    if caller.id != staff:
        caller.require("staff:write")
    if caller.kind != "staff":
        raise Refusal("forbidden", scope="staff:write")
    version = None
    if if_match is not None:
        match = _ETAG.fullmatch(if_match)
        if match is None:
            raise Refusal("precondition_failed", etag="")
        version = int(match[1])
    changes = data.model_dump(exclude_unset=True, by_alias=True)
    if nothing := [name for name in ("password", "roles", "state") if name in changes and changes[name] is None]:
        raise invalid([{"pointer": f"/{name}", "code": "field_invalid"} for name in nothing])
    if caller.id != staff:
        await _may_link(world, caller, data.subject)
    await world.staff.change(caller, staff, version, changes)
    record = await world.staff.get(staff)
    return reply(200, _shown(record), headers={"ETag": record["etag"]})


async def _may_link(world: World, caller: Caller, subject: str | None) -> None:
    """An account reads the record of the subject it is linked to, so only that subject's home may link it."""
    if subject:
        known = await world.register.subject(subject)
        if not caller.actor.may({"county_admin"}, known.grid or known.home, world.covers):
            raise Refusal("forbidden", scope="staff:write", place=known.home)


def _within(world: World, caller: Caller, roles: list[dict[str, str]]) -> bool:
    return all(caller.actor.may({"county_admin"}, role["place"], world.covers) for role in roles)


routes = [create, listing, one, change]

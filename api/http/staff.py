# SPDX-License-Identifier: Apache-2.0
"""Staff accounts: who works here, in which roles, where and until when."""

import re
from typing import Annotated, Any, Literal, NotRequired

from litestar import Response, get, patch, post
from litestar.params import HeaderParameter
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Caller
from api.http.answers import TypedDict, answers
from api.http.body import invalid
from api.http.reply import Cursor, Limit, cursor_of, key_of, reply
from api.http.shapes import Instant, Page
from api.identity import passwords
from api.identity.staff_rows import SHOWN, staff_record
from api.tables import StaffRow
from api.world import World
from ledger.errors import Refusal
from ledger.view import rfc3339

Day = Annotated[str, Field(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")]
PlaceCode = Annotated[str, Field(pattern=r"^[0-9]{6,12}(-[0-9A-Za-z-]{1,20})?$")]
Hours = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
_ETAG = re.compile(r'"([0-9]{1,9})"')


class Role(BaseModel):
    """One role at one place, from one day to another (both included), at any time or within `hours` of local time:
    `08:00-18:00`, or a night, `22:00-06:00`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    role: str
    place: PlaceCode
    from_: Annotated[Day | None, Field(alias="from")] = None
    to: Day | None = None
    hours: Hours | None = None


class NewStaff(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    username: Annotated[str, Field(min_length=2, max_length=40)]
    password: Annotated[str | None, Field(min_length=8, max_length=200)] = None
    must_change_password: bool = False
    subject: Annotated[str | None, Field(max_length=40)] = None
    roles: Annotated[list[Role], Field(max_length=50)] = []


class StaffChange(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    password: Annotated[str | None, Field(min_length=8, max_length=200)] = None
    subject: Annotated[str | None, Field(max_length=40)] = None
    roles: Annotated[list[Role] | None, Field(max_length=50)] = None
    state: Annotated[str | None, Field(pattern="^(active|closed)$")] = None


RoleBody = TypedDict(
    "RoleBody",
    {"role": str, "place": str, "from": NotRequired[Day], "to": NotRequired[Day], "hours": NotRequired[Hours]},
)


class StaffBody(TypedDict):
    """An account. `totp`: it has a second factor; `oidc`: it is linked to the identity provider."""

    id: str
    username: str
    subject: str | None
    roles: list[RoleBody]
    state: Literal["active", "closed"]
    etag: str
    created_at: Instant
    totp: bool
    oidc: bool
    must_change_password: bool


class NewStaffBody(StaffBody):
    """`password` is told once, where none was given."""

    password: NotRequired[str]


def _roles(roles: list[Role]) -> list[dict[str, str | None]]:
    return [role.model_dump(by_alias=True) for role in roles]


def _shown(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "created_at": rfc3339(record["created_at"])}


@post(
    "/staff",
    tags=["staff"],
    summary="Add a staff account",
    operation_id="createStaff",
    responses={201: answers(NewStaffBody, etag=True)},
)
async def create(world: World, caller: Caller, data: NewStaff) -> Response[bytes]:
    """Only within one's own place. Where no password is given, one is made, told in this answer and never again, and
    has to be changed by its owner before anything else; `must_change_password` asks the same of one that is given."""
    await _may_link(world, caller, data.subject)
    made = {} if data.password else {"password": passwords.initial(world.random)}
    password = data.password or made["password"]
    must_change = data.must_change_password or bool(made)
    roles = _roles(data.roles)
    answer = await world.staff.create(caller, data.username, password, roles, data.subject, must_change=must_change)
    record = await world.staff.get(answer.ref)
    return reply(201, {**_shown(record), **made}, headers={"ETag": record["etag"], "Cache-Control": "no-store"})


@get(
    "/staff",
    tags=["staff"],
    summary="Staff accounts",
    operation_id="listStaff",
    responses={200: answers(Page[StaffBody])},
)
async def listing(world: World, caller: Caller, limit: Limit = 50, cursor: Cursor = None) -> Response[bytes]:
    """Accounts whose roles all lie within the caller's place, by username."""
    after = key_of(cursor, str)
    items: list[dict[str, Any]] = []
    last = after[0] if after else ""
    columns = [getattr(StaffRow, name) for name in SHOWN]
    while True:
        rows = (
            await StaffRow.select(*columns).where(StaffRow.username > last).order_by(StaffRow.username).limit(limit + 1)
        )
        for row in rows:
            record = staff_record(list(row.values()))
            if await world.staff.within(caller, record):
                if len(items) == limit:
                    return reply(200, {"items": items, "next": cursor_of(items[-1]["username"])})
                items.append(_shown(record))
            last = row["username"]
        if len(rows) <= limit:
            return reply(200, {"items": items, "next": None})


@get(
    "/staff/{staff:str}",
    tags=["staff"],
    summary="One staff account",
    operation_id="getStaff",
    responses={200: answers(StaffBody, etag=True)},
)
async def one(world: World, caller: Caller, staff: str) -> Response[bytes]:
    """For administrators of the place, and for oneself."""
    record = await world.staff.get(staff)
    if caller.id != staff:
        await world.staff.may_administer(caller, record)
    return reply(200, _shown(record), headers={"ETag": record["etag"]})


@patch(
    "/staff/{staff:str}",
    tags=["staff"],
    summary="Change a staff account",
    operation_id="changeStaff",
    responses={200: answers(StaffBody, etag=True)},
)
async def change(
    world: World,
    caller: Caller,
    staff: str,
    data: StaffChange,
    if_match: Annotated[str | None, HeaderParameter(name="If-Match")] = None,
) -> Response[bytes]:
    """What is left out stays. `If-Match` says which version was seen. A new password ends every session."""
    if caller.id == staff:
        caller.require_whole()
    else:
        caller.require("staff:write")
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


routes = [create, listing, one, change]

# SPDX-License-Identifier: Apache-2.0
"""The second factor of a staff account: enrolled and confirmed by its owner. docs/signing-in.md."""

from litestar import Response, delete, post
from pydantic import BaseModel, ConfigDict

from api import qr
from api.auth import Caller
from api.http.answers import TypedDict, answers
from api.http.body import Nothing
from api.http.reply import reply
from api.http.sessions import Code
from api.world import World
from ledger.errors import Refusal


class FirstCode(BaseModel):
    """What the authenticator app shows now."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    totp: Code


class TotpEnrolment(TypedDict):
    """Shown once. `secret` is for typing in, `uri` and its QR code for scanning."""

    secret: str
    uri: str
    qr_svg: str


def _own(caller: Caller, staff: str) -> None:
    if caller.id != staff:
        raise Refusal("not_found", what="staff", id=staff)
    caller.require_whole()


@post(
    "/staff/{staff:str}/totp",
    tags=["staff"],
    summary="Begin a second factor",
    operation_id="enrolTotp",
    responses={201: answers(TotpEnrolment)},
)
async def enrol(world: World, caller: Caller, staff: str, data: Nothing | None = None) -> Response[bytes]:
    """For one's own account. It counts from the moment it is confirmed with a code."""
    _own(caller, staff)
    record = await world.staff.get(staff)
    made = await world.staff.second.enrol(staff, record["username"])
    body: TotpEnrolment = {"secret": made.secret, "uri": made.uri, "qr_svg": qr.svg(made.uri, level="m")}
    return reply(201, body, headers={"Cache-Control": "no-store"})


@post(
    "/staff/{staff:str}/totp/confirm",
    status_code=204,
    tags=["staff"],
    summary="Confirm a second factor",
    operation_id="confirmTotp",
)
async def confirm(world: World, caller: Caller, staff: str, data: FirstCode) -> None:
    """From now on signing in asks for a code."""
    _own(caller, staff)
    await world.staff.second.confirm(staff, data.totp)


@delete(
    "/staff/{staff:str}/totp",
    status_code=204,
    tags=["staff"],
    summary="Take a second factor off",
    operation_id="removeTotp",
)
async def remove(world: World, caller: Caller, staff: str) -> None:
    """For one's own account; for another's by an administrator of its place, who knows that it is its owner who asks:
    the phone is lost. Every session of that account ends."""
    record = await world.staff.get(staff)
    if caller.id == staff:
        caller.require_whole()
    else:
        await world.staff.may_administer(caller, record)
    await world.staff.second.remove(staff)
    if caller.id != staff:
        await world.sessions.end_all(staff)


routes = [enrol, confirm, remove]

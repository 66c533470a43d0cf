# SPDX-License-Identifier: Apache-2.0
"""Signing in and out: staff with a password, residents and bodies with a printed code."""

from typing import Annotated

from litestar import Response, delete, post
from pydantic import BaseModel, ConfigDict, Field

from api.auth import KIND_SCOPES, Caller
from api.http.reply import reply
from api.world import World
from ledger.errors import Refusal
from ledger.view import rfc3339


class SignIn(BaseModel):
    """A staff member's name and password."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    username: Annotated[str, Field(min_length=1, max_length=64)]
    password: Annotated[str, Field(min_length=1, max_length=200)]


class Activation(BaseModel):
    """The code on the printed slip, and the PIN that goes with it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    code: Annotated[str, Field(min_length=1, max_length=64)]
    pin: Annotated[str, Field(min_length=4, max_length=12)]


@post("/sessions", opt={"public": True}, tags=["sessions"], summary="Sign in (staff)", operation_id="signIn")
async def sign_in(world: World, data: SignIn) -> Response[bytes]:
    """A token for twelve hours. Five wrong tries close the name for a quarter of an hour."""
    issued = await world.staff.sign_in(data.username, data.password)
    body = {"token": issued.token, "expires_at": rfc3339(issued.expires_at), "scopes": sorted(issued.scopes)}
    return reply(201, body, headers={"Cache-Control": "no-store"})


@delete("/sessions/current", status_code=204, tags=["sessions"], summary="Sign out", operation_id="signOut")
async def sign_out(world: World, caller: Caller) -> None:
    """End this session at once."""
    if caller.kind not in ("staff", "resident", "body"):
        raise Refusal("forbidden", scope="")
    await world.staff.sign_out(caller)


@post(
    "/activations",
    opt={"public": True},
    tags=["sessions"],
    summary="Sign in (resident or body)",
    operation_id="activate",
)
async def activate(world: World, data: Activation) -> Response[bytes]:
    """A token for whoever holds the printed code and the PIN; the code works once."""
    kind, subject = await world.activate(data.code, data.pin)
    issued = await world.staff.sign_in_subject(kind, subject, KIND_SCOPES[kind])
    body = {
        "token": issued.token,
        "subject": subject,
        "expires_at": rfc3339(issued.expires_at),
        "scopes": sorted(issued.scopes),
    }
    return reply(201, body, headers={"Cache-Control": "no-store"})


routes = [sign_in, sign_out, activate]

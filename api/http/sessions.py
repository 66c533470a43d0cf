# SPDX-License-Identifier: Apache-2.0
"""Signing in and out: staff with a password, residents and bodies with a printed code. docs/signing-in.md."""

from typing import Annotated

import orjson
from litestar import Response, delete, get, post
from litestar.types import Scope
from pydantic import BaseModel, ConfigDict, Field

from api.auth import KIND_SCOPES, ROLE_SCOPES, Caller
from api.http.answers import TypedDict, answers
from api.http.body import Nothing, invalid
from api.http.reply import Cursor, Limit, key_of, page, reply
from api.http.shapes import Instant, Page
from api.identity.address import client_address
from api.identity.sessions import Held, Issued
from api.world import World
from ledger.view import rfc3339

SCOPES = frozenset[str]().union(*ROLE_SCOPES.values())
_PRIVATE = {"Cache-Control": "no-store"}

Code = Annotated[str, Field(pattern=r"^[0-9]{6}$")]
Password = Annotated[str, Field(min_length=1, max_length=200)]


class SignIn(BaseModel):
    """A staff member's name and password, with a one-time code where the account asks for one. `scopes` narrows what
    the session may do."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    username: Annotated[str, Field(min_length=1, max_length=64)]
    password: Password
    totp: Code | None = None
    scopes: Annotated[list[str] | None, Field(max_length=40)] = None


class Showing(BaseModel):
    """The password or, for accounts with a second factor, a one-time code."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    password: Password | None = None
    totp: Code | None = None


class Activation(BaseModel):
    """The code on the printed slip, and the PIN that goes with it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    code: Annotated[str, Field(min_length=1, max_length=64)]
    pin: Annotated[str, Field(min_length=4, max_length=12)]


class Session(TypedDict):
    """A token, shown once: only its hash is kept."""

    token: str
    expires_at: Instant
    scopes: list[str]


class StaffSession(Session):
    """`renewable_until` is the end of all renewals. With `must_change_password` nothing can be done but setting one."""

    renewable_until: Instant
    must_change_password: bool


class OwnSession(Session):
    subject: str


class HeldSession(TypedDict):
    """A session that has not run out; never its token. `scopes` is null where it was not narrowed."""

    id: str
    way: str
    current: bool
    began_at: Instant
    issued_at: Instant
    expires_at: Instant
    proved_at: Instant | None
    scopes: list[str] | None


def staff_session(issued: Issued) -> StaffSession:
    return {
        "token": issued.token,
        "expires_at": rfc3339(issued.expires_at),
        "scopes": sorted(issued.scopes),
        "renewable_until": rfc3339(issued.until),
        "must_change_password": issued.must_change,
    }


def known_scopes(scopes: list[str] | None) -> list[str] | None:
    """Raises `request_invalid` for a word that is no scope of a role."""
    for index, scope in enumerate(scopes or ()):
        if scope not in SCOPES:
            raise invalid([{"pointer": f"/scopes/{index}", "code": "not_a_choice", "limit": ", ".join(sorted(SCOPES))}])
    return scopes


@post(
    "/sessions",
    opt={"public": True},
    tags=["sessions"],
    summary="Sign in (staff)",
    operation_id="signIn",
    responses={201: answers(StaffSession)},
)
async def sign_in(world: World, scope: Scope, data: SignIn) -> Response[bytes]:
    """A token for an hour, to be renewed for up to twelve. Five wrong tries close the name for a quarter of an hour to
    whoever made them. `totp_required` means that the password was right."""
    issued = await world.staff.sign_in(
        data.username,
        data.password,
        totp=data.totp,
        scopes=known_scopes(data.scopes),
        address=client_address(scope),
    )
    return reply(201, staff_session(issued), headers=_PRIVATE)


@get(
    "/sessions",
    tags=["sessions"],
    summary="One's own sessions",
    operation_id="listSessions",
    responses={200: answers(Page[HeldSession])},
)
async def listing(world: World, caller: Caller, limit: Limit = 50, cursor: Cursor = None) -> Response[bytes]:
    """Those that have not run out, newest first: what one does not know, one ends."""
    after = key_of(cursor, int, str)
    held = await world.sessions.listing(caller.id, after and (after[0], after[1]), limit + 1)
    shown, following = page(held, limit, lambda one: (one.issued_at, one.id))
    items = [_held(one, caller.token_hash) for one in shown]
    return reply(200, {"items": items, "next": following}, headers=_PRIVATE)


@delete(
    "/sessions/{session:str}", status_code=204, tags=["sessions"], summary="End a session", operation_id="endSession"
)
async def end(world: World, caller: Caller, session: str) -> None:
    """One of one's own, by the id in the list: a lost phone, a computer one does not sit at any more."""
    await world.sessions.end(caller.id, session)


@delete("/sessions/current", status_code=204, tags=["sessions"], summary="Sign out", operation_id="signOut")
async def sign_out(world: World, caller: Caller) -> None:
    """End this session at once."""
    await world.sessions.sign_out(caller)


@post(
    "/sessions/current/renew",
    tags=["sessions"],
    summary="Renew a session (staff)",
    operation_id="renewSession",
    responses={201: answers(StaffSession)},
)
async def renew(world: World, caller: Caller, data: Nothing | None = None) -> Response[bytes]:
    """A new token for the next hour, at most until `renewable_until`; the one this is asked with ends."""
    return reply(201, staff_session(await world.sessions.renew(caller)), headers=_PRIVATE)


@post(
    "/sessions/current/prove",
    status_code=204,
    tags=["sessions"],
    summary="Prove who one is once more (staff)",
    operation_id="proveSession",
)
async def prove(world: World, caller: Caller, data: Showing) -> None:
    """Approvals and other steps that cannot be taken back ask for a proof within the last quarter of an hour: signing
    in is one, this is another. An account with a second factor shows a one-time code, every other its password."""
    if data.password is None and data.totp is None:
        raise invalid([{"pointer": "/password", "code": "field_missing"}])
    if data.password is not None and data.totp is not None:
        raise invalid([{"pointer": "/totp", "code": "field_unknown"}])
    await world.staff.prove(caller, password=data.password, totp=data.totp)


@post(
    "/activations",
    opt={"public": True},
    tags=["sessions"],
    summary="Sign in (resident or body)",
    operation_id="activate",
    responses={201: answers(OwnSession)},
)
async def activate(world: World, data: Activation) -> Response[bytes]:
    """A token for whoever holds the printed code and the PIN; the code works once."""
    kind, subject = await world.activate(data.code, data.pin)
    issued = await world.staff.sign_in_subject(kind, subject, KIND_SCOPES[kind])
    body: OwnSession = {
        "token": issued.token,
        "subject": subject,
        "expires_at": rfc3339(issued.expires_at),
        "scopes": sorted(issued.scopes),
    }
    return reply(201, body, headers=_PRIVATE)


def _held(one: Held, current: bytes) -> HeldSession:
    return {
        "id": one.id,
        "way": one.way,
        "current": one.hash == current,
        "began_at": rfc3339(one.began_at),
        "issued_at": rfc3339(one.issued_at),
        "expires_at": rfc3339(one.expires_at),
        "proved_at": rfc3339(one.proved_at) if one.proved_at else None,
        "scopes": orjson.loads(one.scopes) if one.scopes else None,
    }


routes = [sign_in, listing, sign_out, renew, prove, end, activate]

# SPDX-License-Identifier: Apache-2.0
"""Signing in with the county's identity provider, and which account there is which here. docs/signing-in.md."""

from typing import Annotated

from litestar import Response, delete, post, put
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Caller
from api.http.answers import TypedDict, answers
from api.http.reply import reply
from api.http.sessions import StaffSession, known_scopes, staff_session
from api.http.shapes import Instant
from api.identity.oidc import Identity, Provider
from api.world import World
from ledger.errors import Refusal
from ledger.view import rfc3339


class OidcStart(BaseModel):
    """`anew` has the provider ask who it is even if it still knows: what a proof for a step-up needs."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    anew: bool = False


class OidcProof(BaseModel):
    """`code`, `state` and, where there is one, `iss` are what the provider sent the browser back with; `transaction` is
    from the beginning."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    code: Annotated[str, Field(min_length=1, max_length=2000)]
    state: Annotated[str, Field(min_length=1, max_length=200)]
    transaction: Annotated[str, Field(min_length=1, max_length=1000)]
    iss: Annotated[str | None, Field(max_length=500)] = None


class OidcSignIn(OidcProof):
    """As a proof; `scopes` narrows what the session may do."""

    scopes: Annotated[list[str] | None, Field(max_length=40)] = None


class OidcLink(BaseModel):
    """Who the account's owner is at the provider: the claim `sub`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    sub: Annotated[str, Field(min_length=1, max_length=255)]


class OidcUnderWay(TypedDict):
    """Keep `transaction` in the browser, send it to `url`, and come back with both before `expires_at`."""

    url: str
    transaction: str
    expires_at: Instant


def _provider(world: World) -> Provider:
    if world.oidc is None:
        raise Refusal("oidc_off")
    return world.oidc


async def _identity(world: World, data: OidcProof) -> Identity:
    return await _provider(world).finish(data.code, data.state, data.transaction, data.iss)


@post(
    "/oidc/authorizations",
    opt={"public": True},
    tags=["sessions"],
    summary="Begin to sign in with the identity provider",
    operation_id="startOidc",
    responses={201: answers(OidcUnderWay)},
)
async def start(world: World, data: OidcStart | None = None) -> Response[bytes]:
    """Where to send the browser. Nothing is stored here."""
    begun = await _provider(world).start(anew=data is not None and data.anew)
    body: OidcUnderWay = {
        "url": begun.url,
        "transaction": begun.transaction,
        "expires_at": rfc3339(begun.expires_at),
    }
    return reply(201, body, headers={"Cache-Control": "no-store"})


@post(
    "/oidc/sessions",
    opt={"public": True},
    tags=["sessions"],
    summary="Sign in with the identity provider (staff)",
    operation_id="signInOidc",
    responses={201: answers(StaffSession)},
)
async def sign_in(world: World, data: OidcSignIn) -> Response[bytes]:
    """A session for the staff account that is linked to who the provider says it is; each answer works once. A second
    factor is the provider's to ask for."""
    scopes = known_scopes(data.scopes)
    identity = await _identity(world, data)
    issued = await world.staff.sign_in_linked(identity.digest, identity.proved_at, scopes)
    return reply(201, staff_session(issued), headers={"Cache-Control": "no-store"})


@post(
    "/oidc/proofs",
    status_code=204,
    tags=["sessions"],
    summary="Prove who one is by the identity provider (staff)",
    operation_id="proveOidc",
)
async def prove(world: World, caller: Caller, data: OidcProof) -> None:
    """As proving with a password, for those who have none to remember: begin with `anew`."""
    identity = await _identity(world, data)
    await world.staff.prove_linked(caller, identity.digest, identity.proved_at)


@put(
    "/staff/{staff:str}/oidc",
    status_code=204,
    tags=["staff"],
    summary="Link an account to the identity provider",
    operation_id="linkOidc",
)
async def link(world: World, caller: Caller, staff: str, data: OidcLink) -> None:
    """Who is here which account there; each account there is one here. Only a digest of it is kept."""
    await world.staff.may_administer(caller, await world.staff.get(staff))
    await world.staff.link(staff, _provider(world).digest(data.sub))


@delete(
    "/staff/{staff:str}/oidc",
    status_code=204,
    tags=["staff"],
    summary="Unlink an account from the identity provider",
    operation_id="unlinkOidc",
)
async def unlink(world: World, caller: Caller, staff: str) -> None:
    """Sessions of the account end, however they began."""
    await world.staff.may_administer(caller, await world.staff.get(staff))
    await world.staff.link(staff, "")


routes = [start, sign_in, prove, link, unlink]

# SPDX-License-Identifier: Apache-2.0
"""What machines sign their requests with: the public key, registered by staff or by the machine itself.
docs/signatures.md."""

from typing import Any

from litestar import Request, Response, put
from pydantic import BaseModel, ConfigDict

from api.auth import Caller
from api.http.answers import answers
from api.http.keys import KeyBody, PublicKey, found, shown
from api.http.reply import reply
from api.identity.signatures import message_of
from api.identity.signed_requests import cover
from api.world import World
from ledger.errors import Refusal


class SigningKey(BaseModel):
    """`null` takes the public key away; with `signed` the machine must then register another before anything else."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    public_key: PublicKey | None
    signed: bool = True


class MySigningKey(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    public_key: PublicKey


@put(
    "/keys/{key:str}/public-key",
    tags=["keys"],
    summary="Say what a key's requests are signed with",
    operation_id="putPublicKey",
    responses={200: answers(KeyBody)},
)
async def put_public_key(world: World, caller: Caller, key: str, data: SigningKey) -> Response[bytes]:
    """From the next request on; for a machine that was replaced or whose key is lost, too."""
    await found(world, caller, key)
    await world.staff.set_public_key(key, data.public_key, data.signed)
    return reply(200, shown(await found(world, caller, key)))


@put(
    "/me/public-key",
    tags=["keys"],
    summary="Register what I sign with",
    operation_id="putMyPublicKey",
    opt={"enrols": True},
    responses={200: answers(MySigningKey)},
)
async def put_my_public_key(
    world: World, caller: Caller, request: Request[Any, Any, Any], data: MySigningKey
) -> Response[bytes]:
    """A machine makes its key pair itself, so that the private key never leaves it. The first public key it registers
    with its key alone; each later one in a request that it signs with the one before. From then on every request under
    this key must be signed."""
    signed = request.scope.get("signed", False)
    wanted = cover(message_of(request.scope), await request.body())
    if caller.public_key and not signed:
        raise Refusal("signature_required", cover=wanted)
    await world.staff.set_public_key(caller.id, data.public_key, True, first="" if signed else wanted)
    return reply(200, {"public_key": data.public_key})


routes = [put_public_key, put_my_public_key]

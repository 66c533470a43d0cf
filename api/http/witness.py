# SPDX-License-Identifier: Apache-2.0
"""We as a witness for others, over HTTP: C2SP tlog-witness, the submission and the monitoring prefix being one."""

import re
from typing import Any

from litestar import Request, Response, get, post
from litestar.exceptions import HTTPException

from api.http.answers import answers, takes
from api.witness.server import Conflict
from api.witness.wire import BODY_MAX, SIZE_TYPE
from api.world import World
from ledger.errors import Refusal

_TEXT = "text/plain"
_HASH = re.compile(r"[0-9a-f]{64}")


@post(
    "/witness/add-checkpoint",
    status_code=200,
    opt={"public": True, **takes(text={"type": "string"})},
    request_max_body_size=BODY_MAX,
    tags=["witness"],
    summary="Cosign a checkpoint",
    operation_id="addCheckpoint",
    media_type="text/plain",
    responses={200: answers(media=_TEXT), 409: answers(description="The size that we cosigned last.", media=SIZE_TYPE)},
)
async def add_checkpoint(world: World, request: Request[Any, Any, Any]) -> Response[bytes]:
    """For logs that this deployment witnesses: an old size, a consistency proof and a signed checkpoint as text (C2SP
    tlog-witness). Answers with our cosignature, or 409 and the size of the latest checkpoint that we cosigned."""
    try:
        body = await request.body()
    except HTTPException as error:
        if error.status_code != 413:
            raise
        raise Refusal("checkpoint_malformed") from None
    found = await world.witness.in_turn(world.witness.add_checkpoint, body)
    if isinstance(found, Conflict):
        # Exactly this type, as the protocol has it: Litestar would add a charset.
        return Response(b"%d\n" % found.size, status_code=409, headers={"Content-Type": SIZE_TYPE})
    return Response(found.encode(), media_type=_TEXT)


@get(
    "/witness/{origin_hash:str}/checkpoint",
    opt={"public": True},
    tags=["witness"],
    summary="The latest checkpoint cosigned for a log",
    operation_id="getCosignedCheckpoint",
    media_type="text/plain",
    responses={200: answers(media=_TEXT)},
)
async def cosigned(world: World, origin_hash: str) -> Response[bytes]:
    """With the log's signature and our cosignature; the log is named by the SHA-256 of its origin in hex."""
    known = _HASH.fullmatch(origin_hash) and await world.witness.in_turn(world.witness.latest, origin_hash)
    if not known:
        raise Refusal("not_found", what="checkpoint", id=origin_hash)
    return Response(known.encode(), media_type=_TEXT, headers={"Cache-Control": "no-cache"})


routes = [add_checkpoint, cosigned]

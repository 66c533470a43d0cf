# SPDX-License-Identifier: Apache-2.0
"""The code that a person shows at a till from their own phone: good for a minute, for one use."""

from typing import Annotated, Literal

from litestar import Response, post
from pydantic import Field

from api import qr
from api.auth import Caller
from api.http.answers import answers
from api.http.merchants import Strict
from api.http.reply import reply
from api.http.shop_shapes import TokenBody
from api.http.subjects import own_subject
from api.world import World
from ledger.view import rfc3339

Subject = Annotated[str, Field(min_length=1, max_length=64)]


class CodeWanted(Strict):
    """`on_behalf_of` is somebody who has listed the caller as acting for them; `points_then_cash` agrees to pay in cash
    what the points do not cover."""

    on_behalf_of: Subject | None = None
    pay: Literal["points", "points_then_cash"] = "points"


@post(
    "/tokens",
    tags=["redemptions"],
    summary="Show a code at a till",
    operation_id="makeToken",
    responses={201: answers(TokenBody)},
)
async def make(world: World, caller: Caller, data: CodeWanted | None = None) -> Response[bytes]:
    """Sealed: it says nothing to whoever reads it. A till redeems with it, or asks about one offer, within a minute."""
    agent, said = own_subject(world, caller), data or CodeWanted()
    text, expires_at = await world.counter.token(
        agent, subject=said.on_behalf_of or agent, then_cash=said.pay == "points_then_cash"
    )
    body = {"token": text, "expires_at": rfc3339(expires_at), "qr_svg": qr.svg(text, level="m")}
    return reply(201, body, headers={"Cache-Control": "no-store"})


routes = [make]

# SPDX-License-Identifier: Apache-2.0
"""Statements that prove themselves: what an account holds at a seal, and every entry on the way there
(docs/spec/seal.md). For whoever may read the entries; a shop for what it was paid."""

from typing import Annotated, Any, Literal

from litestar import Response, get
from litestar.params import Parameter, QueryParameter

from api.auth import Caller
from api.http.answers import answers
from api.http.reply import LIMIT_DEFAULT, Cursor, Limit, cursor_of, key_of, reply
from api.http.rule_shapes import ProvenStatement, SealBody
from api.http.shapes import Page
from api.http.subjects import may_read, own_subject
from api.world import World
from ledger import codec
from ledger.errors import Refusal
from ledger.model import merchant_account
from ledger.seals import seals as seals_of

ENTRIES_MAX = 5_000  # some five megabytes; a longer one is made by `jifen statement`

Journal = Annotated[str | None, Parameter(max_length=64, description="Another journal than the account's home.")]
Since = Annotated[
    int | None,
    QueryParameter(name="from", ge=0, le=codec.INTEGER_MAX, description="`as_of_size` of a seal; else the beginning."),
]
Until = Annotated[int | None, Parameter(ge=1, le=codec.INTEGER_MAX, description="The same; else the newest seal.")]
Role = Annotated[Literal["subject", "minus", "debt"], Parameter(description="A body's `minus` and `debt` are apart.")]


async def _statement(world: World, account: str, journal: str, since: int | None, until: int | None) -> Response[bytes]:
    made = await world.statements.make(journal, account, since=since, until=until, limit=ENTRIES_MAX)
    return reply(200, made, headers={"Cache-Control": "no-store"})


@get(
    "/me/statement",
    tags=["me"],
    summary="My statement, with proof",
    operation_id="getMyStatement",
    responses={200: answers(ProvenStatement)},
)
async def my_statement(
    world: World,
    caller: Caller,
    journal: Journal = None,
    account: Role = "subject",
    since: Since = None,
    to: Until = None,
) -> Response[bytes]:
    """What I hold, and every entry that led to it: `verify.py --statement` checks that no line is missing. A shop's key
    gets the shop's account in a journal."""
    if caller.kind == "merchant" and caller.merchant is not None:
        home = journal or (await world.shop.offers.merchant(caller.merchant)).community
        return await _statement(world, merchant_account(caller.merchant), home, since, to)
    subject = own_subject(world, caller)
    return await _statement(world, f"{account}:{subject}", journal or await world.ledger.home(subject), since, to)


@get(
    "/subjects/{subject:str}/statement",
    tags=["subjects"],
    summary="Statement, with proof",
    operation_id="getStatement",
    responses={200: answers(ProvenStatement)},
)
async def statement(
    world: World,
    caller: Caller,
    subject: str,
    journal: Journal = None,
    account: Role = "subject",
    since: Since = None,
    to: Until = None,
) -> Response[bytes]:
    """The same of somebody else, for those who may read the entries; written down."""
    await may_read(world, caller, subject, "statement")
    return await _statement(world, f"{account}:{subject}", journal or await world.ledger.home(subject), since, to)


@get(
    "/journals/{journal:str}/seals",
    opt={"public": True},
    tags=["journals"],
    summary="Seals",
    operation_id="listSeals",
    responses={200: answers(Page[SealBody])},
)
async def seals(world: World, journal: str, limit: Limit = LIMIT_DEFAULT, cursor: Cursor = None) -> Response[bytes]:
    """Between which sizes there are statements, newest first; the root is over all accounts' states."""
    _, before = key_of(cursor, str, int) or (journal, codec.INTEGER_MAX)
    found = await seals_of(world.ledger, journal, before, limit + 1)
    if not found:
        await world.published.note(journal or " ")  # an unknown journal is not one without seals
    if not found and not await world.ledger.fetch("SELECT 1 FROM head WHERE journal = ?", journal):
        raise Refusal("not_found", what="journal", id=journal)
    items: list[dict[str, Any]] = [
        {"as_of_size": one.as_of, "seq": one.seq, "accounts": one.accounts, "state_root": one.state_root.hex()}
        for one in found[:limit]
    ]
    following = cursor_of(journal, found[limit - 1].as_of) if len(found) > limit else None
    return reply(200, {"items": items, "next": following})


routes = [my_statement, statement, seals]

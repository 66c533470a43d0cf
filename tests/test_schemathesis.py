# SPDX-License-Identifier: Apache-2.0
"""The whole OpenAPI document as schemathesis reads it: no server error, no answer that is not told, and nothing that a
refused call has changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from itertools import count
from typing import Any

import pytest
import pytest_asyncio

from api import slips
from api.auth import KEY_SCOPES, ROLE_SCOPES
from api.permissions import rules
from tests.explored import PHASES, exemplified, explore, guarded
from tests.permission_town import COUNTY, HOME, Matrix, Somebody, matrix
from tests.test_bad_input import PASSWORD, Town, town, url

__all__ = ["town", "url"]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made(town: Town) -> AsyncIterator[Matrix]:
    found = await matrix(town)
    ledger = town.world.ledger
    clock, now = ledger.clock, ledger.clock()
    ticks = count(now)
    ledger.clock = lambda: next(ticks)  # codes at the till are good for a minute, sessions for an hour
    receipt = slips.receipt
    with pytest.MonkeyPatch.context() as patch:
        # Nothing is published meanwhile, so waiting for it would only take long.
        patch.setattr(slips, "receipt", lambda world, journal, seq, wait=0: receipt(world, journal, seq))
        yield found
    ledger.clock = clock


# What ends or narrows somebody's way in, or takes away what the others ask about: asked last.
LAST = (
    "signOut",
    "endSession",
    "renewSession",
    "enrolTotp",
    "confirmTotp",
    "removeTotp",
    "linkOidc",
    "unlinkOidc",
    "changeStaff",
    "putMyPublicKey",
    "putPublicKey",
    "rotateKey",
    "changeKey",
    "revokeKey",
    "changeTerminal",
    "changeMerchant",
    "erasePerson",
)


def others(operation: str, by: Somebody) -> bool:
    """All that leaves everybody where they are."""
    return operation not in LAST


def theirs(operation: str, by: Somebody) -> bool:
    """What such a caller is let in to."""
    rule = rules()[operation]
    allowed = by.kind in rule.own or by.kind in rule.keys or (rule.public and by.kind == "nobody")
    return allowed and operation not in LAST


def only(operation: str) -> Callable[[str, Somebody], bool]:
    return lambda name, _: name == operation


async def campaign(
    made: Matrix, callers: Iterable[Somebody], chosen: Callable[[str, Somebody], bool] = others, **how: Any
) -> list[str]:
    """What is found as these callers on the operations that are chosen for them."""
    found: list[str] = []
    async with guarded(made) as (guard, address):
        for by in callers:
            document = exemplified(made.town.schema, made, by)
            taken = partial(explore, document, address, by, chosen=lambda name, by=by: chosen(name, by), **how)
            cases, wrong = await asyncio.to_thread(taken)
            print(f"{by}: {dict(cases)}, {len(wrong)} wrong", flush=True)
            found += wrong
        print(dict(guard.answers))
        return found + guard.wrong


def named(made: Matrix, *names: str) -> list[Somebody]:
    return [one for one in made.callers if one.name in names]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_walk_over_the_whole_document(made: Matrix) -> None:
    """Each operation with the town's own values as staff with every role; and with others, on what is theirs, as a
    resident, a till and nobody."""
    wrong = await campaign(made, named(made, "everything"), examples=1, phases=["examples"])
    wrong += await campaign(made, named(made, "resident", "till", "nobody"), theirs, examples=1, phases=["fuzzing"])
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_options_allow_what_the_document_has(town: Town) -> None:
    """Each path's methods, whatever order its handlers were registered in."""
    for one in town.operations:
        answer = await town.send("options", town.path(one))
        allowed = set(answer.headers["allow"].lower().split(", "))
        assert town.schema["paths"][one.path].keys() == allowed - {"options", "head"}, one.path


EVERYBODY = [
    "everything",
    *(f"{role} at {HOME}" for role in ROLE_SCOPES),
    "no role",
    "session for lists:read",
    "client with every role",
    "client",
    "till",
    "resident",
    "body",
    "body on a list",
    "nobody",
]


@pytest.mark.long
@pytest.mark.parametrize("name", EVERYBODY)
async def test_everybody_walks_all_of_it(made: Matrix, name: str) -> None:
    """Every phase with all checks, along the links, as everybody; on both databases."""
    wrong = await campaign(made, named(made, name), examples=10)
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong)


async def newcomers(made: Matrix) -> list[Somebody]:
    """Staff with every role, a resident, a till and a client who have just come in."""
    staff, shop, me = made.world.staff, made.town.ids["merchant"], made.town.demo["resident"]["subject"]
    name = f"last.{len(made.callers)}"
    roles = [{"role": role, "place": COUNTY} for role in ROLE_SCOPES]
    id_ = (await staff.create(None, name, PASSWORD, roles)).ref
    till = await staff.issue_key(None, "merchant", name, merchant=shop, scopes=KEY_SCOPES["merchant"])
    client = await staff.issue_key(None, "client", name, scopes=KEY_SCOPES["client"], roles=roles)
    made.callers += [
        Somebody("everything anew", "staff", (await staff.sign_in(name, PASSWORD)).token, id_),
        Somebody("resident anew", "resident", (await staff.sign_in_subject("resident", me, frozenset())).token, me),
        Somebody("till anew", "merchant", till.key, till.id, whose=shop),
        Somebody("client anew", "client", client.key, client.id),
    ]
    return made.callers[-4:]


@pytest.mark.long
async def test_ways_in_are_closed_last(made: Matrix) -> None:
    """What signs somebody out, takes a key away or erases a person: each as callers who were let in for it alone."""
    wrong: list[str] = []
    for operation in LAST:
        wrong += await campaign(made, await newcomers(made), only(operation), examples=10, phases=PHASES[:3])
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong)

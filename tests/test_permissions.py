# SPDX-License-Identifier: Apache-2.0
"""Who may do what: every operation as everybody, against the table; and what an answer tells those who may not."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from statistics import median
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import pytest_asyncio

from api.auth import ROLE_SCOPES, Caller
from api.openapi import permissions as permissions_page
from api.permissions import ANY_ACCOUNT, OWNERS, Rule, bind, read, rules
from ledger.clock import Guard
from rules.ports import Actor
from tests.permission_town import (
    AWAY,
    AWAY_STREET,
    COUNTY,
    ELSEWHERE,
    HOME,
    REHEARSED,
    SIBLING,
    Asked,
    Matrix,
    Somebody,
    covers,
    matrix,
    rehearsing,
)
from tests.test_bad_input import Town, town, url

__all__ = ["town", "url"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

NO = {"unauthenticated", "forbidden", "not_found", "subject_unknown", "step_up_required"}
# A yes that the state of the town stops: the caller was let through to it.
STOPPED = {
    "acceptStatement": {"statement_disputed"},
    "settleStatement": {"statement_disputed"},
    "changeStaff": {"same_person"},
    "confirmTotp": {"proof_wrong", "totp_required"},
    "proveOidc": {"oidc_off"},
    "linkOidc": {"oidc_off"},
    "freezeEdition": {"edition_order"},
    "draftNotice": {"edition_order"},
    **{
        name: {"edition_state"}
        for name in (
            "notifyEdition",
            "publishEdition",
            "correctEdition",
            "decideEditionLine",
            "approveNotice",
            "publishNotice",
        )
    },
    **{name: {"insufficient_points", "not_eligible"} for name in ("approveCharge", "makeVoucher")},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made(town: Town) -> AsyncIterator[Matrix]:
    found = await matrix(town)
    ledger = town.world.ledger
    clock, now = ledger.clock, ledger.clock()
    end = rehearsing(town.world)
    ledger.clock = lambda: now  # codes at the till are good for a minute, and proofs for fifteen
    guard, ledger.sequencer.guard = ledger.sequencer.guard, Guard(ledger.clock, lambda: 0)
    yield found
    ledger.clock, ledger.sequencer.guard = clock, guard
    end()


def expected(made: Matrix, rule: Rule, asked: Asked, by: Somebody) -> bool:
    """Does the table let this caller do this?"""
    if by.dead or rule.public:
        return not by.dead
    if by.kind in OWNERS:
        return by.kind in rule.own and (asked.owners is None or by.whose in asked.owners)
    if (by.kind != "staff" and by.kind not in rule.keys) or by.kind in asked.closed:
        return False
    if rule.scopes and rule.scopes.isdisjoint(by.scopes):
        return False
    if by.kind == "merchant":
        return asked.owners is None or by.whose in asked.owners
    if by.kind == "staff" and rule.step_up and by.stale:
        return False
    roles = rule.staff if asked.roles is None else asked.roles
    if by.id == asked.by or ANY_ACCOUNT in roles:
        return True
    if asked.scope and asked.scope not in by.scopes:
        return False
    at = made.at(rule) if asked.at is None else asked.at
    held = [where for role, where in by.roles if role in roles]
    return any(covers(where, at) for where in held) if at else bool(held) or by.kind == "client"


def verdict(operation: str, rule: Rule, answer: httpx.Response) -> str:
    """`yes`, `no`, or what else came of it."""
    if answer.status_code < 400:
        return "no" if operation == "evaluate" and answer.json().get("code") in NO else "yes"
    code = str(answer.json().get("code"))
    if code == "batch_has_errors":
        code = answer.json()["rows"][0]["code"]
    if code == REHEARSED or code in STOPPED.get(operation, ()):
        return "yes"
    if rule.public and code not in ("unauthenticated", "forbidden", "step_up_required"):
        return "yes"
    return "no" if code in NO else f"{answer.status_code} {code}"


async def tried(made: Matrix, callers: Iterable[Somebody], *, all_reached: bool = False) -> list[str]:
    """Every operation as each of them: where the table and the server do not agree. With `all_reached`, somebody must
    have been let through to each."""
    wrong: dict[str, list[str]] = defaultdict(list)
    reached = {name: rule.public for name, rule in rules().items()}
    for name, rule in rules().items():
        for number, asked in enumerate(made.requests(name)):
            for by in callers:
                if asked.sent_by and by.kind not in asked.sent_by:
                    continue
                answer = await made.ask(name, asked, by)
                found, wanted = verdict(name, rule, answer), expected(made, rule, asked, by)
                reached[name] |= found == "yes"
                if found != ("yes" if wanted else "no"):
                    wrong[f"{name} {number}: {found}, not {'yes' if wanted else 'no'}"].append(by.name)
                elif not by.token and not wanted and answer.status_code != 401:
                    wrong[f"{name} {number}: {answer.status_code}"].append("nobody")
                elif by.dead and (answer.status_code, answer.json()["code"]) != (401, "unauthenticated"):
                    wrong[f"{name} {number}: {answer.status_code}"].append(by.name)
    wrong |= {f"{name}: nobody was let through": [] for name, some in reached.items() if all_reached and not some}
    return [f"{what}: {', '.join(who)}" for what, who in wrong.items()]


def some(made: Matrix) -> list[Somebody]:
    """Those among the callers who differ most; on PostgreSQL, which is asked the same by the same code, fewer."""
    if made.world.settings.sqlite:
        return [by for by in made.callers if not by.name.endswith((SIBLING, AWAY_STREET, ELSEWHERE))]
    kinds = {"everything", "resident", "neighbour", "body", "body on a list", "till", "other shop's till"}
    kinds |= {"client", "client away", "client with every role", "nobody", "no role", "role ended"}
    roles = (f"community_staff at {AWAY}", f"approver at {AWAY}", f"grid_worker at {AWAY}")
    return [by for by in made.callers if by.name in kinds or by.name.endswith((f" {HOME}", *roles))]


async def test_everybody_may_do_what_the_table_says_and_nothing_else(made: Matrix) -> None:
    """Each operation with a request that would be granted to somebody, as every role at home, above and away, every
    kind of key, residents, bodies, sessions and keys that are no longer good, and nobody. Whoever is refused never
    gets as far as a commit, and nothing is kept of the others."""
    async with made.town.unchanged() as wrong:
        wrong += await tried(made, some(made), all_reached=True)


@pytest.mark.long
async def test_so_may_those_at_every_other_place(made: Matrix) -> None:
    """The same for all callers: every role in a community beside, a street beside, and a county beside."""
    async with made.town.unchanged() as wrong:
        wrong += await tried(made, [by for by in made.callers if by not in some(made)])


# what an answer tells those who may not ----------------------------------------------------------------------------

# Operations on something that others may see without being allowed to do this: they are refused by name.
SEEN_BY = {
    "withdrawReport": "getReport",
    **dict.fromkeys(("rotateWebhook", "replayWebhook", "testWebhook"), "getWebhook"),
}
# Ids that are no secret: whoever has signed in may list them, or they are places and days.
OPEN = {"journal", "merchant", "offer", "terminal", "period", "day", "epoch", "origin_hash", "pack"}


def nobodys(name: str, value: str) -> str:
    """An id of the same form that nothing has."""
    if name == "seq":
        return "99999999"
    head, mark, tail = value.rpartition("_")
    return f"{head}{mark}{'0' * len(tail)}"


def told(answer: httpx.Response) -> tuple[Any, ...]:
    """All of an answer but the address that was asked and the number of the request."""
    body = {name: value for name, value in answer.json().items() if name != "instance"}
    headers = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "content-length")}
    return answer.status_code, headers, body


async def test_an_id_out_of_reach_answers_as_one_that_nobody_has(made: Matrix) -> None:
    """On every operation that names something: for whoever is let in by the row and kept out by the place, or by whose
    it is, status, headers and body are the same for what exists and for what does not."""
    wrong: list[str] = []
    for name, rule in rules().items():
        names = [one for one in made.operations[name].names if one not in OPEN]
        reading = SEEN_BY.get(name, name)
        for asked in made.requests(name) if not rule.public else []:
            for by in some(made):
                if by.dead or not by.token or expected(made, rules()[reading], made.requests(reading)[0], by):
                    continue
                if expected(made, rule, asked, by) or (asked.sent_by and by.kind not in asked.sent_by):
                    continue
                ids = {**made.town.ids, **(asked.path(by) if callable(asked.path) else asked.path)}
                if not names or made.public & {ids[one] for one in names}:
                    continue
                there = told(await made.ask(name, asked, by))
                gone = {**ids, **{one: nobodys(one, ids[one]) for one in names}}
                other = told(await made.ask(name, replace(asked, path=gone), by))
                if there != other:
                    wrong.append(
                        f"{name} as {by}: {there[0]} {there[2].get('code')}, {other[0]} {other[2].get('code')}"
                    )
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong)


PROBED = 31


async def _took(made: Matrix, name: str, named: str, by: Somebody) -> tuple[float, float]:
    """Medians in seconds of requests sent in turn: for an id that exists, and for one that does not."""
    asked, ids = made.requests(name)[0], made.town.ids
    gone = replace(asked, path={**ids, named: nobodys(named, ids[named])})
    took: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(PROBED):
        for there in (True, False):
            before = time.perf_counter()
            answer = await made.ask(name, asked if there else gone, by)
            took[there].append(time.perf_counter() - before)
            assert answer.status_code in (403, 404), answer.text
    return median(took[True]), median(took[False])


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("getSubject", "subject"),
        ("card", "subject"),
        ("getAward", "award"),
        ("reverseAward", "award"),
        ("getReport", "report"),
        ("getObjection", "objection"),
        ("getRedemption", "redemption"),
        ("getVoucher", "voucher"),
    ],
)
async def test_an_id_out_of_reach_takes_as_long_as_one_that_nobody_has(made: Matrix, name: str, named: str) -> None:
    """By the clock, too, they are one. On a busy machine one of three tries will do."""
    by = next(one for one in made.callers if one.name == f"community_staff at {AWAY}")
    tries: list[tuple[float, float]] = []
    for _ in range(3):
        tries.append(await _took(made, name, named, by))
        if 2 / 3 < tries[-1][0] / tries[-1][1] < 3 / 2:
            return
    raise AssertionError(f"seconds where it exists, and where it does not: {tries}")


# the table ---------------------------------------------------------------------------------------------------------


def _table(row: str) -> str:
    return f'[sets]\nboth = "approver council"\n[operations]\ndoIt = {row}\n'


@pytest.mark.parametrize(
    "row",
    [
        '{ staff = "mayor" }',
        '{ keys = "robot" }',
        '{ own = "staff" }',
        '{ staff = "approver", place = "moon" }',
        '{ staff = "approver", scope = "staff:write" }',
        '{ scope = "lists:read" }',
        '{ staff = "approver", cost = -1 }',
    ],
)
async def test_a_row_that_cannot_be_meant_is_refused(row: str) -> None:
    """Unknown roles, kinds and places; a role that could never carry the scope; a row that lets nobody in."""
    with pytest.raises(ValueError):
        read(_table(row), ROLE_SCOPES)
    assert {"approver", "council"} == read(_table('{ staff = "both" }'), ROLE_SCOPES)["doIt"].staff


async def test_an_operation_needs_a_row_and_a_row_an_operation() -> None:
    """The server does not start with an operation that nothing is said of, nor with a row for none."""
    handlers = [SimpleNamespace(operation_id=name, opt={}) for name in rules()]
    bind(handlers)
    assert all(handler.opt["rule"].operation == handler.operation_id for handler in handlers)
    with pytest.raises(ValueError, match="brandNew: no row"):
        bind([*handlers, SimpleNamespace(operation_id="brandNew", opt={})])
    with pytest.raises(ValueError, match="createAward"):
        bind(handler for handler in handlers if handler.operation_id != "createAward")


async def test_no_role_lends_another_its_place() -> None:
    """Who may read lists in the county and award in one community awards there only."""
    roles = (("auditor", COUNTY), ("grid_worker", HOME))
    caller = Caller("staff", "stf_1", Actor("stf_1", None, roles), frozenset({"lists:read", "awards:write"}))
    admitted = rules()["createAward"].admit(caller, 0)
    assert admitted is not None and (("grid_worker", HOME),) == admitted.actor.roles
    assert admitted.serves(HOME, covers) and not admitted.serves(AWAY, covers)
    public = rules()["listEditions"].admit(replace(caller, scopes=frozenset()), 0)
    assert public is not None and () == public.actor.roles


async def test_the_page_is_what_the_table_makes_of_it(made: Matrix) -> None:
    """docs/reference/permissions.md; `python -m api.openapi.permissions` makes it anew."""
    assert permissions_page.page(made.town.schema) == permissions_page.PAGE.read_text(encoding="utf-8")

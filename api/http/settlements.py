# SPDX-License-Identifier: Apache-2.0
"""Shops' monthly statements: shown in five forms, disputed and agreed by the shop, answered and settled by staff."""

import asyncio
from typing import Annotated, Any, Literal

from litestar import Response, get, post
from pydantic import Field

from api.auth import Caller
from api.http.answers import answers
from api.http.merchants import Strict
from api.http.money_shapes import MonthStatement, StatementFields, StatementRow
from api.http.reply import reply
from api.http.shapes import Page
from api.pages.page import CSP
from api.settlements.html import render
from api.settlements.paper import paper
from api.settlements.table import table, workbook
from api.world import World
from ledger.errors import Refusal
from ledger.port import Retry
from ledger.view import rfc3339
from merchants.settlement.office import REASON_MAX, REFERENCE_MAX, Shown
from merchants.settlement.state import Settlement, sums

TAGS = ["settlement"]
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FORMS = ("application/json", "text/plain", "text/csv", "text/html", _XLSX)

Number = Annotated[int, Field(ge=1, le=10_000_000)]
Lines = Annotated[tuple[Number, ...], Field(max_length=1_000)]
Reason = Annotated[str, Field(min_length=1, max_length=REASON_MAX)]


class DisputeBody(Strict):
    """The numbers of the lines; none: the statement as a whole, or something that is missing."""

    lines: Lines = ()
    reason: Reason


class AnswerBody(Strict):
    """To these lines (0: the statement as a whole), or to all that wait. What is upheld is put right by entries of its
    own: a statement does not change."""

    lines: Annotated[tuple[Annotated[int, Field(ge=0, le=10_000_000)], ...], Field(max_length=1_000)] = ()
    outcome: Literal["upheld", "rejected"]
    reason: Reason


class SettleBody(Strict):
    """The reference of the payment, as the bank or the office knows it."""

    paid_reference: Annotated[str, Field(min_length=1, max_length=REFERENCE_MAX)]


async def _may(world: World, caller: Caller, merchant: str) -> None:
    """The shop itself, and staff of its place. Raises `forbidden`."""
    if caller.merchant == merchant:
        return
    if caller.kind != "staff" or not caller.serves(
        (await world.shop.offers.merchant(merchant)).community, world.covers
    ):
        raise Refusal("forbidden")


async def _persons(world: World, subject: str | None) -> set[str]:
    """The subject behind a member of staff, and those that it acts for."""
    if not subject:
        return set()
    return {subject, *(one.subject for one in await world.counter.proxies.for_whom(subject) if one.kind == "acts")}


def row_body(one: Settlement) -> dict[str, Any]:
    body: dict[str, Any] = {
        "period": one.period,
        "state": one.state,
        "points": one.points,
        "fen": one.fen,
        "lines": one.lines,
        "sha256": one.sha256,
        "issued_at": rfc3339(one.made_at),
        "disputes_until": one.until_day,
    }
    if one.agreed_at:
        body["agreed_at"] = rfc3339(one.agreed_at)
    if one.settled_at:
        body["settled_at"] = rfc3339(one.settled_at)
        body["settled_with"] = one.settled_with or one.period
        body["paid"] = _by_journal(sums(one.paid))
        if one.reference:
            body["paid_reference"] = one.reference
    return body


def shown_body(shown: Shown) -> dict[str, Any]:
    row = row_body(shown.row) if shown.row else {"period": shown.fields["period"], "state": "preview"}
    return {
        **row,
        "due": _by_journal(shown.due or {}),
        "note": shown.note,
        "disputes": [
            {
                "line": one.row.line,
                "reason": one.reason,
                "at": rfc3339(one.row.at),
                **({"outcome": one.row.outcome, "answer": one.answer} if one.row.outcome else {}),
            }
            for one in shown.disputes
        ],
        "voucher_disputes": list(shown.vouchers),
        "statement": shown.fields,
    }


def _by_journal(found: Any) -> list[dict[str, Any]]:
    return [{"journal": journal, "points": points, "fen": fen} for journal, (points, fen) in found.items()]


@get(
    "/merchants/{merchant:str}/statements",
    tags=TAGS,
    summary="A shop's statements",
    operation_id="listMerchantStatements",
    responses={200: answers(Page[StatementRow])},
)
async def statements(world: World, caller: Caller, merchant: str) -> Response[bytes]:
    """Newest first: one a month, as far as they have been issued."""
    await _may(world, caller, merchant)
    found = await world.settlements.listing(merchant)
    return reply(200, {"items": [row_body(one) for one in found], "next": None})


@get(
    "/merchants/{merchant:str}/statements/{period:str}",
    tags=TAGS,
    summary="A month's statement",
    operation_id="getMerchantStatement",
    responses={200: answers(MonthStatement | StatementFields, media=FORMS)},
)
async def statement(world: World, caller: Caller, merchant: str, period: str) -> Response[bytes]:
    """`2026-10` with its state and disputes; `2026-10.json` are the very bytes that were hashed, `.note` the signature
    under their digest; `.csv`, `.xlsx` and `.html` are for people. A month that is not over is shown as it stands."""
    month, dot, form = period.partition(".")
    if dot and form not in ("json", "note", "csv", "xlsx", "html"):
        raise Refusal("not_found", what="statement", id=period)
    await _may(world, caller, merchant)
    shown = await world.settlements.shown(merchant, month)
    if not dot:
        return reply(200, shown_body(shown), headers={"Cache-Control": "no-store"})
    headers = {"Cache-Control": "no-store"}
    if form == "html":
        page = await asyncio.to_thread(render, await paper(world, merchant, shown), world.settlements.zone)
        return Response(page, media_type="text/html", headers={**headers, "Content-Security-Policy": CSP})
    headers["Content-Disposition"] = f'attachment; filename="statement-{merchant}-{month}.{form}"'
    if form in ("json", "note"):
        if shown.row is None:
            raise Refusal("period_not_over", period=month, last=shown.fields["to"])
        content = shown.body if form == "json" else shown.note.encode()
        return Response(content, media_type="application/json" if form == "json" else "text/plain", headers=headers)
    named = await paper(world, merchant, shown)
    if form == "csv":
        content = await asyncio.to_thread(table, named)
        return Response(content, media_type="text/csv; charset=utf-8", headers=headers)
    return Response(await asyncio.to_thread(workbook, named), media_type=_XLSX, headers=headers)


@post(
    "/merchants/{merchant:str}/statements/{period:str}/dispute",
    status_code=200,
    tags=TAGS,
    summary="Dispute lines of a statement",
    operation_id="disputeStatement",
    responses={200: answers(StatementRow)},
)
async def dispute(world: World, caller: Caller, merchant: str, period: str, data: DisputeBody) -> Response[bytes]:
    """The shop's, within ten days of issue; each line once. Nothing is paid before it is answered."""
    await _may(world, caller, merchant)
    done = await world.settlements.dispute(caller.id, merchant, period, lines=data.lines, reason=data.reason)
    return reply(200, row_body(done))


@post(
    "/merchants/{merchant:str}/statements/{period:str}/answer",
    status_code=200,
    tags=TAGS,
    summary="Answer disputed lines",
    operation_id="answerStatement",
    responses={200: answers(StatementRow)},
)
async def answer(world: World, caller: Caller, merchant: str, period: str, data: AnswerBody) -> Response[bytes]:
    """The community's. The shop then has three more days at least."""
    await _may(world, caller, merchant)
    done = await world.settlements.answer(
        caller.actor.id, merchant, period, lines=data.lines, outcome=data.outcome, reason=data.reason
    )
    return reply(200, row_body(done))


@post(
    "/merchants/{merchant:str}/statements/{period:str}/accept",
    status_code=200,
    tags=TAGS,
    summary="Agree to a statement",
    operation_id="acceptStatement",
    responses={200: answers(StatementRow)},
)
async def accept(world: World, caller: Caller, merchant: str, period: str) -> Response[bytes]:
    """The shop's: it can be paid at once."""
    await _may(world, caller, merchant)
    return reply(200, row_body(await world.settlements.accept(caller.id, merchant, period)))


@post(
    "/merchants/{merchant:str}/statements/{period:str}/settle",
    status_code=200,
    tags=TAGS,
    summary="The shop has been paid",
    operation_id="settleStatement",
    responses={200: answers(StatementRow)},
)
async def settle(
    world: World, caller: Caller, retry: Retry, merchant: str, period: str, data: SettleBody
) -> Response[bytes]:
    """All that was open at the end of the month is paid and its points are retired, one entry a journal. Not by whoever
    answered for the statement, and not by who acts for the body behind the shop."""
    await _may(world, caller, merchant)
    done, replayed = await world.settlements.settle(
        caller.actor.id,
        merchant,
        period,
        persons=await _persons(world, caller.actor.subject),
        reference=data.paid_reference,
        retry=retry,
    )
    return reply(200, row_body(done), replayed)


routes = [statements, statement, dispute, answer, accept, settle]

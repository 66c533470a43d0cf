# SPDX-License-Identifier: Apache-2.0
"""Batches: many deeds in one body or one sheet, previewed, posted or put before a second person, and taken back."""

from typing import Annotated, Any, Literal

import orjson
from litestar import Request, Response, get, post
from litestar.datastructures import UploadFile
from litestar.params import Parameter, QueryParameter
from pydantic import BaseModel, ConfigDict, Field

from api import messages
from api.auth import Caller
from api.http.answers import JSON, answers, takes
from api.http.awards import Reported, TakingBack, lang_of, readable, requests_of, reversal_body
from api.http.body import invalid, read
from api.http.desk_shapes import BatchBody, BatchHead, BatchReversal
from api.http.reply import Cursor, Limit, key_of, page, reply
from api.http.shapes import Page
from api.problems import MEDIA_TYPE, problem, status_of
from api.sheet_awards import SheetRequests, sheet_requests, told
from api.world import World
from ledger.errors import Refusal
from ledger.port import Retry
from ledger.view import rfc3339
from rules.desk import lists
from rules.desk.batch import BatchRefused
from rules.desk.desk import RowIn
from rules.desk.records import BatchRecord, RowResult

TAGS = ["awards"]
_PARTS = ("file", "indicator", "place", "header_row", "replaces")
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_SHEET = {
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {
        "file": {"description": "xlsx or csv", "contentMediaType": "application/octet-stream"},
        "header_row": {"type": "string", "pattern": "^[0-9]{0,5}$"},
        **{name: {"type": "string"} for name in ("indicator", "place", "replaces")},
    },
}


class Items(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    items: Annotated[list[Reported], Field(min_length=1, max_length=5000)]


@post(
    "/award-batches",
    tags=TAGS,
    summary="Report many deeds",
    operation_id="createBatch",
    opt=takes(json=Items, multipart=_SHEET),
    responses={
        200: answers(BatchBody, "A dry run.", media=(JSON, XLSX)),
        201: answers(BatchBody),
        422: answers(media=XLSX),
    },
)
async def create(
    request: Request[Any, Any, Any],
    world: World,
    caller: Caller,
    maybe_retry: Retry | None,
    dry_run: bool = False,
    on_error: Literal["abort", "skip"] = "abort",
    approval: Literal["ask"] | None = None,
    errors: Literal["xlsx"] | None = None,
) -> Response[bytes]:
    """`{"items": […]}`, or multipart with `file` (xlsx or csv) and, for rows that name none, `indicator` and `place`.
    `replaces` names a batch that was taken back: a mended sheet's rows take the place of its reversed ones.

    A refused row refuses the batch unless `on_error=skip`. `approval=ask` puts a small sheet before a second person,
    so that it earns points. `errors=xlsx` (or Accept) answers refused rows as a sheet to mend.
    """
    if not dry_run and maybe_retry is None:
        raise Refusal("idempotency_key_missing")
    sheet: SheetRequests | None = None
    if request.content_type[0] == "multipart/form-data":
        sheet = await _sheet(request, world)
        rows: list[RowIn] = sheet.rows
    else:
        data = await read(request, Items)
        rows = list(enumerate(await requests_of(world, data.items), start=1))
    lang = lang_of(request)
    as_sheet = sheet is not None and (errors == "xlsx" or XLSX in request.headers.get("accept", ""))
    source = "api" if sheet is None else "sheet"
    ask = approval == "ask"
    if dry_run:
        record = await world.desk.preview(caller.actor, rows, source=source, ask=ask)
        if as_sheet and sheet is not None and record.counts["refused"]:
            return _workbook(sheet, record.rows, lang, 200)
        return reply(200, batch_body(record, sheet, lang))
    try:
        answer = await world.desk.commit(
            caller.actor, rows, source=source, on_error=on_error, ask=ask, retry=maybe_retry
        )
    except BatchRefused as refusal:
        if as_sheet and sheet is not None:
            return _workbook(sheet, refusal.rows, lang, 422)
        body = problem(refusal, lang, request.scope["path"])
        body["rows"] = _rows(refusal.rows, sheet, lang)
        return Response(_json(body), status_code=status_of(refusal), media_type=MEDIA_TYPE)
    return reply(201, batch_body(answer.record, sheet, lang), answer.replayed)


def _json(body: dict[str, Any]) -> bytes:
    return orjson.dumps(body, default=str)


async def _sheet(request: Request[Any, Any, Any], world: World) -> SheetRequests:
    form = await request.form()
    names = [name for name, _ in form.multi_items()]
    file = form.get("file")
    wrong = [] if isinstance(file, UploadFile) else [{"pointer": "/file", "code": "field_missing"}]
    for name in dict.fromkeys(names):
        if name not in _PARTS:
            wrong.append({"pointer": f"/{name}"[:80], "code": "field_unknown"})
        elif names.count(name) > 1:
            wrong.append({"pointer": f"/{name}", "code": "key_twice"})
        elif name != "file" and isinstance(form[name], UploadFile):
            wrong.append({"pointer": f"/{name}", "code": "not_a_text"})
    if wrong or not isinstance(file, UploadFile):
        raise invalid(wrong)
    header = form.get("header_row") or None
    if header is not None and not (str(header).isascii() and str(header).isdecimal() and len(str(header)) < 6):
        raise invalid([{"pointer": "/header_row", "code": "not_an_integer"}])
    return await sheet_requests(
        world,
        await file.read(),
        file.filename,
        header_row=None if header is None else int(str(header)),
        indicator=str(form["indicator"]) if form.get("indicator") else None,
        place=str(form["place"]) if form.get("place") else None,
        replaces=str(form["replaces"]) if form.get("replaces") else None,
    )


def _workbook(sheet: SheetRequests, rows: Any, lang: messages.Lang, status: int) -> Response[bytes]:
    headers = {"Content-Disposition": 'attachment; filename="errors.xlsx"', "Cache-Control": "no-store"}
    return Response(sheet.errors(rows, lang), status_code=status, media_type=XLSX, headers=headers)


def _rows(rows: Any, sheet: SheetRequests | None, lang: messages.Lang) -> list[dict[str, Any]]:
    return [_row(one, sheet, lang) for one in rows]


def _row(one: RowResult, sheet: SheetRequests | None, lang: messages.Lang) -> dict[str, Any]:
    if sheet is not None:
        return told(one, sheet.about(one) if one.state == "refused" else (), lang)
    said = told(one, (), lang)
    if one.state == "refused" and one.code is not None:
        said["detail"] = messages.sentence(one.code, "detail", lang, one.facts)
        said["fix"] = messages.sentence(one.code, "fix", lang, one.facts)
    return said


def batch_body(record: BatchRecord, sheet: SheetRequests | None, lang: messages.Lang) -> dict[str, Any]:
    return {**batch_head(record, lang), "rows": _rows(record.rows, sheet, lang)}


def batch_head(record: BatchRecord, lang: messages.Lang) -> dict[str, Any]:
    return {
        "id": record.id or None,
        "state": record.state,
        "source": record.source,
        "proposer": record.proposer,
        "approver": record.approver,
        "place": record.place,
        "counts": {"rows": record.lines, **record.counts},
        "standing": record.standing,
        "points": record.points,
        "why": why_body(record.why, lang),
        "created_at": rfc3339(record.created_at),
    }


def why_body(why: Any, lang: messages.Lang) -> list[dict[str, Any]]:
    """Why a second person is asked, as data and in words."""
    return [{**one, "detail": messages.sentence(f"why_{one['code']}", "detail", lang, one)} for one in why]


@get(
    "/award-batches",
    tags=TAGS,
    summary="Batches",
    operation_id="listBatches",
    responses={200: answers(Page[BatchHead])},
)
async def listing(
    request: Request[Any, Any, Any],
    world: World,
    caller: Caller,
    place: str | None = None,
    state_: Annotated[str | None, QueryParameter(name="state")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[bytes]:
    """Batches over the caller's places and the caller's own, newest first; their rows are with the single batch."""
    places = readable(caller, place, world)
    before = key_of(cursor, str)
    found = await lists.batches(places, caller.id, state=state_, before=before[0] if before else None, limit=limit + 1)
    shown, following = page(found, limit, lambda one: (one.id,))
    return reply(200, {"items": [batch_head(one, lang_of(request)) for one in shown], "next": following})


@get(
    "/award-batches/{batch:str}",
    tags=TAGS,
    summary="One batch",
    operation_id="getBatch",
    responses={200: answers(BatchBody)},
)
async def one(request: Request[Any, Any, Any], world: World, caller: Caller, batch: str) -> Response[bytes]:
    """With every row. For its proposer, and for staff over all its places."""
    record = await world.desk.records.batch(batch)
    over = record.places and all(caller.serves(place, world.covers) for place in record.places)
    if record.proposer != caller.id and not over:
        raise Refusal("not_found", what="batch", id=batch[:60])
    return reply(200, batch_body(record, None, lang_of(request)))


@post(
    "/award-batches/{batch:str}/reverse",
    tags=TAGS,
    summary="Take a batch back",
    operation_id="reverseBatch",
    responses={201: answers(BatchReversal)},
)
async def reverse(
    world: World,
    caller: Caller,
    batch: Annotated[str, Parameter(max_length=60)],
    data: TakingBack,
    retry: Retry,
) -> Response[bytes]:
    """All of it, or the `rows` named; all in one commit. Rows reversed before are said, not refused."""
    record = await world.desk.records.batch(batch)
    if record.proposer != caller.id and not any(caller.serves(place, world.covers) for place in record.places):
        raise Refusal("not_found", what="batch", id=batch[:60])
    done, replayed = await world.desk.reverse_batch(
        caller.actor,
        batch,
        reason=data.reason,
        occurred_on=data.occurred_on.isoformat(),
        rows=data.rows,
        retry=retry,
    )
    reversed_ = [one for one in done if one.state == "reversed"]
    body = {
        "id": batch,
        "reversed": len(reversed_),
        "standing": sum(one.standing for one in reversed_),
        "points": sum(one.points for one in reversed_),
        "shortfall": sum(one.shortfall for one in reversed_),
        "rows": [reversal_body(one) for one in done],
    }
    return reply(201, body, replayed)


routes: list[Any] = [create, listing, one, reverse]

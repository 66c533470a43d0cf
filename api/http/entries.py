# SPDX-License-Identifier: Apache-2.0
"""Single entries, and what they mean in words. For the subject and auditors; a merchant sees what paid it."""

from typing import Annotated, Any, Literal, NotRequired

from litestar import Request, Response, get
from litestar.params import Parameter

from api import messages, slips, statement
from api.auth import Caller
from api.disputes import mark
from api.http.answers import TypedDict, answers
from api.http.desk_shapes import ObjectionMark, Trace
from api.http.reply import reply
from api.http.shapes import Digest, Journal, Seq
from api.world import World
from ledger.errors import Refusal
from rules.engine.explain import amount, render

TAGS = ["entries"]
Wait = Annotated[int, Parameter(ge=0, le=30, description="Seconds to wait for publication.")]
Form = Annotated[Literal["text", "qr", "svg", "slip"], Parameter(description="How it is written.")]
_MERCHANT_KINDS = ("capture", "refund", "void", "benefit", "settle")


class EntryBody(TypedDict):
    """`entry` as docs/spec/entry.md has it."""

    journal: Journal
    seq: Seq
    entry_hash: Digest
    entry: dict[str, Any]
    objection: NotRequired[ObjectionMark]


class Explained(TypedDict):
    """`trace` is null for what was no award, and once the subject's key is gone."""

    journal: Journal
    seq: Seq
    kind: str
    text: str
    trace: Trace | None


async def _shown(world: World, caller: Caller, journal: str, seq: int) -> Any:
    """The entry, if it is the caller's to see. For all others it does not exist, whether it does or not."""
    entry = await statement.stored(world.ledger, journal, seq)
    fields = entry.fields
    subject = fields.get("subject")
    if subject is not None and subject == caller.subject:
        return entry
    if caller.merchant is not None and fields["kind"] in _MERCHANT_KINDS:
        if statement.names_merchant(fields, caller.merchant):
            return entry
    elif caller.serves(journal, world.covers):
        if subject is not None:
            await world.saw(caller, subject, f"entry {journal}/{seq}")
        return entry
    raise Refusal("not_found", what="entry", id=f"{journal}/{seq}")


@get(
    "/entries/{journal:str}/{seq:int}",
    tags=TAGS,
    summary="One entry",
    operation_id="getEntry",
    responses={200: answers(EntryBody)},
)
async def entry(world: World, caller: Caller, journal: str, seq: int) -> Response[bytes]:
    """The entry as it was hashed: written with sorted keys and no white space, `entry` is the leaf's own bytes."""
    found = await _shown(world, caller, journal, seq)
    body = {"journal": journal, "seq": seq, "entry_hash": found.leaf, "entry": found.fields}
    if found.fields.get("subject") is not None:
        await mark(world.ledger, [body], [body])
    return reply(200, body)


@get(
    "/entries/{journal:str}/{seq:int}/explain",
    tags=TAGS,
    summary="Why",
    operation_id="explainEntry",
    responses={200: answers(Explained)},
)
async def explain(
    request: Request[Any, Any, Any], world: World, caller: Caller, journal: str, seq: int
) -> Response[bytes]:
    """An award is explained from the trace that was sealed with it; any other entry in one sentence."""
    found = await _shown(world, caller, journal, seq)
    lang = messages.language(request.headers.get("accept-language", ""))
    trace = None
    if found.fields["kind"] in ("award", "deduct"):
        award = await world.desk.records.award_of_entry(journal, seq)
        trace = award.trace if award is not None else None
    text = render(trace, lang) if trace is not None else sentence(found.fields, caller, lang)
    body = {"journal": journal, "seq": seq, "kind": found.fields["kind"], "text": text, "trace": trace}
    return reply(200, body, headers={"Content-Language": lang, "Vary": "Accept-Language"})


@get(
    "/entries/{journal:str}/{seq:int}/receipt",
    tags=TAGS,
    summary="Receipt",
    operation_id="getReceipt",
    media_type="text/plain",
    responses={200: answers(media=("text/plain", "image/svg+xml", "text/html"))},
)
async def receipt(
    world: World, caller: Caller, journal: str, seq: int, wait: Wait = 0, form: Form = "text"
) -> Response[bytes]:
    """The proof that this entry is in its journal, to be checked without us (docs/spec/receipt.md, `verify.py`).

    `wait` is for how many seconds to wait for publication. `form`: `text` to keep, `qr` the same for a QR code, `svg`
    the QR code drawn, `slip` a page to print.
    """
    await _shown(world, caller, journal, seq)
    found = await slips.receipt(world, journal, seq, wait)
    media, body = slips.render(world, found, form)
    return Response(body, media_type=media, headers=slips.headers(form, f"{journal}-{seq}"))


def sentence(entry: dict[str, Any], caller: Caller, lang: messages.Lang) -> str:
    """What an entry did, in one sentence."""
    account = f"merchant:{caller.merchant}" if caller.merchant else f"subject:{entry.get('subject', '')}"
    moved = {"standing": 0, "points": 0}
    for posting in entry["postings"]:
        role, _, owner = posting["account"].partition(":")
        if posting["account"] == account or (owner == entry.get("subject") and role in ("minus", "debt")):
            moved[posting["unit"]] += posting["amount"]
    facts = {
        "day": entry["occurred_on"],
        "standing": amount(moved["standing"]),
        "points": amount(moved["points"]),
        "journal": entry["journal"],
        "seq": entry["seq"],
    }
    return messages.sentence(f"entry_{entry['kind']}", "detail", lang, facts)


routes = [entry, explain, receipt]

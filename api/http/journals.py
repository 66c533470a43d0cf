# SPDX-License-Identifier: Apache-2.0
"""The journals, one per community, and the log over all of them: what anyone may check. Hashes and signatures only."""

from typing import Annotated, Any, Literal

from litestar import Response, get
from litestar.params import Parameter, QueryParameter

from api.http.answers import TypedDict, answers
from api.http.reply import reply
from api.http.shapes import Digest, Instant, Journal, Page, Seq
from api.world import World
from ledger import codec, epochs
from ledger.errors import Refusal
from ledger.guard import EPOCHS

_PUBLIC = {"public": True}
_TEXT = "text/plain"

Size = Annotated[int, Parameter(ge=0, le=codec.INTEGER_MAX)]
From = Annotated[int, QueryParameter(name="from", ge=0, le=codec.INTEGER_MAX)]
Newest = Annotated[
    int | None, Parameter(ge=0, le=codec.INTEGER_MAX, description="A published size; the newest if left out.")
]


class JournalBody(TypedDict):
    """A journal's last entry, and where its log is published. `published_seq` is null before the first checkpoint."""

    journal: Journal
    name: str
    seq: int
    published_seq: Seq | None
    entry_hash: str
    recorded_at: Instant
    zone: str
    takeover: bool
    origin: str
    vkey: str


class InclusionProof(TypedDict):
    journal: Journal
    seq: Seq
    size: int
    hashes: list[Digest]


ConsistencyProof = TypedDict("ConsistencyProof", {"journal": Journal, "from": int, "to": int, "hashes": list[Digest]})


class EpochMember(TypedDict):
    journal: Journal
    size: int
    root: Digest


class EpochBody(TypedDict):
    count: int
    epoch: int
    journals_root: Digest
    v: Literal[1]
    members: list[EpochMember]
    size: int
    hashes: list[Digest]


SigningKey = TypedDict("SigningKey", {"vkey": str, "from": dict[str, int]})
SigningKey.__doc__ = "A key, and for each journal the size from which it signs."


class PublicKeys(TypedDict):
    """`keys.json` of an export."""

    v: Literal[1]
    origin: str
    keys: list[SigningKey]
    recovery: str
    witnesses: list[str]


@get(
    "/journals",
    opt=_PUBLIC,
    tags=["journals"],
    summary="Every journal",
    operation_id="listJournals",
    responses={200: answers(Page[JournalBody])},
)
async def journals(world: World) -> Response[bytes]:
    """Size, last entry's hash, zone and log name of every journal; public, for it says nothing of anyone."""
    sizes = await world.published.sizes()
    vkey = (await world.signing.current()).vkey
    items: list[dict[str, Any]] = [
        {
            "journal": one["journal"],
            "name": world.place_name(one["journal"]),
            "seq": one["size"] - 1,
            "published_seq": sizes.get(one["journal"], 0) - 1 if one["journal"] in sizes else None,
            "entry_hash": one["leaf"],
            "recorded_at": one["recorded_at"],
            "zone": one["zone"],
            "takeover": bool(one["takeover"]),
            "origin": world.keys.journal_origin(one["journal"]),
            "vkey": vkey,
        }
        for one in await world.ledger.journals()
    ]
    return reply(200, {"items": items, "next": None})


@get(
    "/journals/{journal:str}/checkpoint",
    opt=_PUBLIC,
    tags=["journals"],
    summary="Signed checkpoint",
    operation_id="getCheckpoint",
    media_type="text/plain",
    responses={200: answers(media="text/plain")},
)
async def checkpoint(world: World, journal: str) -> Response[bytes]:
    """The newest signed checkpoint of a journal, as text: keep it, and nobody can replace what stands before it."""
    return await _note(world, journal or " ")


@get(
    "/journals/{journal:str}/proof/inclusion",
    opt=_PUBLIC,
    tags=["journals"],
    summary="That an entry is in a journal",
    operation_id="getInclusionProof",
    responses={200: answers(InclusionProof)},
)
async def inclusion(world: World, journal: str, seq: Size, size: Newest = None) -> Response[bytes]:
    """The siblings of leaf `seq` up to the root of `size`, in hex (RFC 9162 §2.1.3)."""
    within, proof = await world.published.inclusion(journal or " ", seq, size)
    return reply(200, {"journal": journal, "seq": seq, "size": within, "hashes": [one.hex() for one in proof]})


@get(
    "/journals/{journal:str}/proof/consistency",
    opt=_PUBLIC,
    tags=["journals"],
    summary="That a journal has only grown",
    operation_id="getConsistencyProof",
    responses={200: answers(ConsistencyProof)},
)
async def consistency(world: World, journal: str, before: From, to: Newest = None) -> Response[bytes]:
    """That the tree of `to` begins with the tree of `from`: hashes in hex (RFC 9162 §2.1.4)."""
    within, proof = await world.published.consistency(journal or " ", before, to)
    return reply(200, {"journal": journal, "from": before, "to": within, "hashes": [one.hex() for one in proof]})


@get(
    "/epochs/checkpoint",
    opt=_PUBLIC,
    tags=["journals"],
    summary="Signed checkpoint over all journals",
    operation_id="getEpochCheckpoint",
    media_type="text/plain",
    responses={200: answers(media="text/plain")},
)
async def epoch_checkpoint(world: World) -> Response[bytes]:
    """The newest signed checkpoint of the epoch log, with the signatures of its witnesses."""
    return await _note(world, EPOCHS)


@get(
    "/epochs/{epoch:int}",
    opt=_PUBLIC,
    tags=["journals"],
    summary="One epoch",
    operation_id="getEpoch",
    responses={200: answers(EpochBody)},
)
async def one_epoch(world: World, epoch: int) -> Response[bytes]:
    """Where every journal stood: the epoch's own bytes are this without `members` and `hashes`; `hashes` shows that it
    is in the published epoch log of `size`."""
    number, members = await world.publisher.epochs.at(min(epoch, codec.INTEGER_MAX))
    if number != epoch:
        raise Refusal("not_found", what="epoch", id=str(epoch))
    size, proof = await world.published.inclusion(EPOCHS, epoch)
    listed = [member._asdict() for _, member in sorted(members.items())]
    body = {
        "count": len(listed),
        "epoch": epoch,
        "journals_root": epochs.journals_root(members.values()).hex(),
        "v": 1,
        "members": listed,
        "size": size,
        "hashes": [one.hex() for one in proof],
    }
    return reply(200, body)


@get(
    "/public-keys",
    opt=_PUBLIC,
    tags=["journals"],
    summary="The keys that sign",
    operation_id="getPublicKeys",
    responses={200: answers(PublicKeys)},
)
async def public_keys(world: World) -> Response[bytes]:
    """What `verify.py` needs to check a receipt: save it as `keys.json`. docs/spec/export.md says what is in it."""
    return reply(200, await world.public_keys())


async def _note(world: World, log: str) -> Response[bytes]:
    text = await world.published.note(log)
    return Response(text, media_type=_TEXT, headers={"Cache-Control": "no-cache"})


routes = [journals, checkpoint, inclusion, consistency, epoch_checkpoint, one_epoch, public_keys]

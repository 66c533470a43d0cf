# SPDX-License-Identifier: Apache-2.0
"""Photos that prove a deed: handing one in, and looking at it where that is a duty."""

import re
from typing import Any

from litestar import Request, Response, get, post

from api.auth import Caller
from api.http.answers import TypedDict, answers, takes
from api.http.body import header, invalid
from api.http.reply import reply
from api.http.shapes import Digest, Instant
from api.people.evidence import Photo
from api.people.pictures import BYTES_MAX, too_large
from api.world import World
from ledger.errors import Refusal
from ledger.view import rfc3339

TAGS = ["reports"]
_AROUND = 64 * 1024  # what a form may say around its one file
_BOUNDARY = re.compile(rb'boundary="?([0-9A-Za-z\'()+_,./:=? -]{1,70})"?\s*(?:;|$)', re.IGNORECASE)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; sandbox",  # whatever a photo is taken for, nothing in it runs
    "Content-Disposition": "inline; filename=photo",
}


class KeptPhoto(TypedDict):
    """`sha256` names what is kept; `size` in bytes."""

    sha256: Digest
    subject: str
    size: int
    expires_at: Instant


_KINDS = ("image/jpeg", "image/png", "image/webp")
_FORM = {"type": "object", "required": ["file"], "properties": {"file": {"contentMediaType": "image/*"}}}


@post(
    "/evidence",
    tags=TAGS,
    summary="Hand in a photo",
    operation_id="createEvidence",
    opt=takes(multipart=_FORM, **{kind: {"contentMediaType": kind} for kind in _KINDS}),
    responses={201: answers(KeptPhoto)},
)
async def create(request: Request[Any, Any, Any], world: World, caller: Caller, subject: str | None = None) -> Any:
    """JPEG, PNG or WebP of up to 5 MB, as the body itself or as the one file of a form. Staff name the `subject` whose
    deed it shows. The answer's `sha256` is that of what is kept: without the data on where and when it was taken."""
    owner = _owner(caller, subject)
    known = await world.register.subject(owner)
    if known.state != "open":
        raise Refusal("consent_required", purpose="ledger")
    data = await _sent(request)
    sha256, photo = await world.photos.add(owner, data, caller.id)
    body = {"sha256": sha256, "subject": owner, "size": photo.size, "expires_at": rfc3339(photo.expires_at)}
    return reply(201, body, headers={"Cache-Control": "no-store"})


@get(
    "/evidence/{sha256:str}",
    tags=TAGS,
    summary="A photo",
    operation_id="getEvidence",
    responses={200: answers(media=_KINDS)},
)
async def one(world: World, caller: Caller, sha256: str, award: str | None = None) -> Response[bytes]:
    """For its owner, for whoever handed it in, and for staff who decide about the report it stands in or, with `award`,
    about the award that names it. Written down."""
    for photo in await world.photos.everywhere(sha256):
        if await _may_see(world, caller, sha256, photo, award):
            picture = await world.photos.picture(photo)
            await world.saw(caller, photo.subject, "photo")
            return Response(picture.data, media_type=picture.kind, headers=_HEADERS)
    raise Refusal("not_found", what="photo", id=sha256[:64])


def _owner(caller: Caller, subject: str | None) -> str:
    """Residents and bodies hand in what is theirs, staff for somebody they name."""
    if caller.kind in ("resident", "body") and caller.subject is not None:
        if subject not in (None, caller.subject):
            raise Refusal("forbidden", scope="awards:write")
        return caller.subject
    if subject is None:
        raise invalid([{"pointer": "?subject", "code": "field_missing"}])
    return subject


async def _may_see(world: World, caller: Caller, sha256: str, photo: Photo, award: str | None) -> bool:
    if caller.subject == photo.subject or caller.id == photo.uploader:
        return True
    if caller.kind not in ("staff", "client"):
        return False
    places = await world.reports.places_of(photo.digest, photo.subject)
    if award is not None:
        found = await world.desk.records.award(award)
        items = (found.request or {}).get("evidence", ())
        if found.subject == photo.subject and any(item.get("sha256") == sha256 for item in items):
            places.add(found.place)
    return any(caller.serves(place, world.covers) for place in places)


async def _sent(request: Request[Any, Any, Any]) -> bytes:
    """The photo in the body. Raises `photo_too_large` before a byte is read where that is said beforehand."""
    if (request.content_length or 0) > BYTES_MAX + _AROUND:
        raise too_large()
    said = (header(request.scope, b"content-type") or b"").strip()
    kind = said.partition(b";")[0].strip().lower()
    body = await request.body()
    if kind == b"multipart/form-data":
        return _file(said, body)
    if kind.startswith(b"image/") or kind in (b"", b"application/octet-stream"):
        return body  # which of the formats it really is, its first bytes say
    raise Refusal("photo_kind")


def _file(content_type: bytes, body: bytes) -> bytes:
    """The one file of a form, cut out in memory: the server's own reader would write large files to the disk in clear.

    Raises `request_invalid` for anything but exactly one part.
    """
    boundary = _BOUNDARY.search(content_type)
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary[1].rstrip()) if boundary else []
    if len(parts) != 3 or not parts[1].startswith(b"\r\n") or not parts[2].startswith(b"--"):
        raise invalid([{"pointer": "/file", "code": "field_missing"}])
    head, found, data = parts[1].partition(b"\r\n\r\n")
    if not found or len(head) > _AROUND or b'name="file"' not in head:
        raise invalid([{"pointer": "/file", "code": "field_missing"}])
    return data


routes: list[Any] = [create, one]

# SPDX-License-Identifier: Apache-2.0
"""Receipts as people get them: text to keep, a QR code, and a slip to print at the desk."""

from __future__ import annotations

import asyncio
import html
import time

from api import messages, qr
from api.pages.page import CSP, filled
from api.world import World
from ledger import codec
from ledger.errors import Refusal, Unavailable
from ledger.note import parse_checkpoint
from ledger.receipt import BadReceipt, Receipt, format_receipt, pack_qr

_POLL_S, _POLL_MAX_S = 0.1, 2.0  # longer and longer: thousands may wait while nothing can be published
_PLAIN = "text/plain"
_SVG = "image/svg+xml"
_XML = '<?xml version="1.0" encoding="utf-8"?>\n'  # a drawing in a file of its own


async def receipt(world: World, journal: str, seq: int, wait: float = 0) -> Receipt:
    """The receipt of an entry, waited for up to `wait` seconds. Raises `not_published`."""
    deadline = time.monotonic() + wait
    pause = _POLL_S
    while True:
        try:
            return await world.published.receipt(journal, seq)
        except Unavailable:
            # While the ledger is frozen nothing is published, however long we wait.
            if time.monotonic() >= deadline or world.ledger.frozen is not None:
                raise
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _POLL_MAX_S)


def render(world: World, found: Receipt, form: str) -> tuple[str, bytes]:
    """(media type, bytes) of a receipt as `text`, `qr`, `svg` or `slip`. Raises `too_large_for_qr`."""
    if form == "text":
        return _PLAIN, format_receipt(found)
    try:
        packed = pack_qr(found)
    except BadReceipt:
        packed = ""
    if not packed or (form != "qr" and len(packed) > qr.CHARACTERS_MAX):
        raise Refusal("too_large_for_qr")
    if form == "qr":
        return _PLAIN, packed.encode() + b"\n"
    if form == "svg":
        return _SVG, (_XML + qr.svg(packed)).encode()
    return "text/html", _slip(world, found, qr.svg(packed, inline=True))


def headers(form: str, name: str) -> dict[str, str]:
    """A text is a file to keep; a page says what it may load."""
    if form == "text":
        return {"Content-Disposition": f'attachment; filename="{name}.tlog-proof"', "Cache-Control": "no-store"}
    return {"Content-Security-Policy": CSP, "Cache-Control": "no-store"}


def _slip(world: World, found: Receipt, drawn: str) -> bytes:
    entry = codec.decode(found.entry)
    point = parse_checkpoint(found.checkpoint_note.text)
    moved = {"standing": 0, "points": 0}
    for line in entry["postings"]:
        if line["account"].partition(":")[2] == entry.get("subject"):
            moved[line["unit"]] += line["amount"]
    values = {
        "place": world.place_name(entry["journal"]),
        "journal": entry["journal"],
        "seq": str(found.index),
        "kind": messages.sentence(f"entry_{entry['kind']}", "title", "zh", {}),
        "day": entry["occurred_on"],
        "recorded": entry["recorded_at"][:19].replace("T", " "),
        "standing": f"{moved['standing'] / 100:+.2f}",
        "points": f"{moved['points'] / 100:+.2f}",
        "leaf": codec.leaf_hash(found.entry).hex(),
        "root": point.root.hex()[:16],
        "size": str(point.size),
        "origin": point.origin,
    }
    return filled("slip.html", qr=drawn, **{name: html.escape(value) for name, value in values.items()})

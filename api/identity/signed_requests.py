# SPDX-License-Identifier: Apache-2.0
"""Machines that sign what they ask for: whether this request must be signed, whether it is, and that nobody sends it
again. The signature itself is `api/identity/signatures.py`'s business."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from api.identity.signatures import Invalid, Message, components, message_of, verify
from api.tables import NONCE
from ledger.errors import Refusal
from ledger.port import Answer, Retry
from ledger.tables import Key, Table
from ledger.view import View

if TYPE_CHECKING:
    from api.auth import Caller
    from api.world import World

_READING = ("GET", "HEAD", "OPTIONS")
_TAKING_KEYS = {"retry", "posting", "maybe_retry"}  # what handlers call the retry key that they are given


async def check(request: Any, caller: Caller, token: str) -> Caller:
    """The caller, whose request is signed if it must be. Raises `signature_required`, `signature_invalid`.

    Another process may have heard of a new public key seconds before this one: what is refused by what we remember of
    the key is looked at again with what is stored.
    """
    world: World = request.app.state.world
    message, body = message_of(request.scope), await request.body()
    try:
        nonce = _nonce(request, message, body, caller, world.ledger.clock())
    except Refusal:
        fresh = await world.gate.fresh(token)
        if fresh is None or (fresh.public_key, fresh.must_sign) == (caller.public_key, caller.must_sign):
            raise
        caller = fresh
        nonce = _nonce(request, message, body, caller, world.ledger.clock())
    if nonce is not None:
        request.scope["signed"] = True
        if message.method not in _READING and not _kept(request.route_handler, message):
            digest = hashlib.sha256(f"{caller.id}\n{nonce}".encode()).digest()
            await world.ledger.submit(UseNonce(digest, cover(message, body)))
    return caller


def _nonce(request: Any, message: Message, body: bytes, caller: Caller, now_us: int) -> str | None:
    if not caller.public_key:
        if caller.must_sign and not request.route_handler.opt.get("enrols"):
            raise Refusal("signature_required", cover=cover(message, body))
        return None
    try:
        nonce = verify(message, body, base64.b64decode(caller.public_key), caller.id, now_us)
    except Invalid:
        raise Refusal("signature_invalid", cover=cover(message, body)) from None
    if nonce is None and caller.must_sign:
        raise Refusal("signature_required", cover=cover(message, body))
    return nonce


def cover(message: Message, body: bytes) -> str:
    """What a signature of this request must cover, as it stands in `Accept-Signature`."""
    return " ".join(f'"{name}"' for name in components(message, body))


def _kept(handler: Any, message: Message) -> bool:
    """Is the answer kept under a retry key? Then the same bytes get the same answer, and do nothing."""
    return message.field("idempotency-key") is not None and not _TAKING_KEYS.isdisjoint(
        handler.parsed_fn_signature.parameters
    )


@dataclass(frozen=True, slots=True)
class UseNonce:
    """A signed request without a retry key is good once."""

    digest: bytes
    cover: str
    retry: Retry | None = None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        return ((NONCE, (self.digest,)),)

    def decide(self, view: View) -> Answer:
        if view.get(NONCE, self.digest) is not None:
            raise Refusal("signature_invalid", cover=self.cover)
        view.put(NONCE, (self.digest, view.now_us))
        return Answer()

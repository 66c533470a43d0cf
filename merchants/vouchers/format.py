# SPDX-License-Identifier: Apache-2.0
"""A voucher's text: fields, signature, Base45. docs/spec/voucher.md has every byte.

There is one spelling for one voucher and one way to sign it; nothing in the text says how it is to be checked.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ledger.keys import Signer, Verifier, derive
from ledger.receipt import BadReceipt, base45, unbase45

PREFIX = "JV1:"
TEXT_MAX = 4_296  # characters: what the largest QR code holds
_CONTEXT = b"jifen/voucher/1\n"  # before everything that is signed, and for nothing else
_SIGNATURE_BYTES = 64
_NUMBERS = struct.Struct(">IQQQQ")
_TEXTS = 6


class BadVoucher(ValueError):
    """Not a voucher of this deployment. It says no more: whoever tries forgeries learns nothing from the answer."""

    def __init__(self) -> None:
        super().__init__("not a voucher of ours")


@dataclass(frozen=True, slots=True)
class Voucher:
    """What a shop needs to know without a network: good at `merchant`, and at every shop of `circle` in `community`.

    `id` and `journal` are the order's. `points` in hundredths, `cash_fen` is left to pay. `issued` and `ends` are
    seconds since 1970; at `ends` it is over.
    """

    id: str
    journal: str
    merchant: str
    community: str
    circle: str
    title: str
    quantity: int
    points: int
    cash_fen: int
    issued: int
    ends: int

    def is_for(self, merchant: str, community: str, circle: str) -> bool:
        """May this shop take it?"""
        return self.merchant == merchant or (bool(circle) and (self.community, self.circle) == (community, circle))


def signer(secret: bytes, origin: str) -> Signer:
    """The deployment's key for vouchers: it follows from the secret and signs nothing else."""
    return Signer(origin, derive(secret, "jifen/voucher/1"))


def pack(voucher: Voucher) -> bytes:
    """The fields, as they are signed."""
    parts: list[bytes] = []
    for text in (voucher.id, voucher.journal, voucher.merchant, voucher.community, voucher.circle, voucher.title):
        data = text.encode()
        parts += [len(data).to_bytes(2, "big"), data]
    parts.append(_NUMBERS.pack(voucher.quantity, voucher.points, voucher.cash_fen, voucher.issued, voucher.ends))
    return b"".join(parts)


def write(fields: bytes, key: Signer) -> str:
    """The text for a QR code. Signing is deterministic, so the same fields always give the same text."""
    return PREFIX + base45(fields + key.sign(_signed(key.name, fields)))


def read(text: str, key: Verifier) -> Voucher:
    """What the text says, if `key` signed it for the deployment that `key` is named after. Raises `BadVoucher`."""
    if not text.startswith(PREFIX) or len(text) > TEXT_MAX:
        raise BadVoucher
    try:
        data = unbase45(text.removeprefix(PREFIX))
    except BadReceipt:
        raise BadVoucher from None
    fields, signature = data[:-_SIGNATURE_BYTES], data[-_SIGNATURE_BYTES:]
    if not key.verify(signature, _signed(key.name, fields)):
        raise BadVoucher
    return _unpack(fields)


def _signed(origin: str, fields: bytes) -> bytes:
    return _CONTEXT + origin.encode() + b"\n" + fields


def _unpack(fields: bytes) -> Voucher:
    texts: list[str] = []
    at = 0
    try:
        for _ in range(_TEXTS):
            end = at + 2 + int.from_bytes(fields[at : at + 2], "big")
            texts.append(fields[at + 2 : end].decode())
            at = end
        id_, journal, merchant, community, circle, title = texts
        voucher = Voucher(id_, journal, merchant, community, circle, title, *_NUMBERS.unpack(fields[at:]))
    except (UnicodeDecodeError, struct.error):
        raise BadVoucher from None
    if pack(voucher) != fields:
        raise BadVoucher
    return voucher

# SPDX-License-Identifier: Apache-2.0
"""Receipts: one entry, its inclusion proof and a signed checkpoint, as text (C2SP tlog-proof) and for a QR code.

Checking needs no server and no store: an entry, hashes, and keys that the checker trusts. docs/spec/receipt.md has the
two forms byte by byte. Both have one spelling for one receipt, except that the QR form may be compressed differently.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from ledger import codec
from ledger.keys import Cosigner, Verifier
from ledger.merkle import HASH_BYTES, BadProof, check_inclusion, root_of_inclusion
from ledger.note import (
    NOTE_BYTES_MAX,
    BadNote,
    Checkpoint,
    Note,
    Signature,
    b64,
    checkpoint_text,
    format_note,
    parse_checkpoint,
    parse_decimal,
    parse_note,
    verify,
)

_HEADER = "c2sp.org/tlog-proof@v1"
_PROOF_MAX = 63  # hashes: the height of the largest tree
_QR = "JF1:"
_PACKED_MAX = 70_000  # bytes before compression
_TEXT_MAX = 110_000  # characters of a QR form: what that many bytes take if they do not compress
_CRC_BYTES = 4


class BadReceipt(ValueError):
    """Not a receipt, or one that does not prove what it says; the message says which."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """An entry's bytes, its place in the journal, the siblings from its leaf up, and the signed checkpoint."""

    entry: bytes
    index: int
    proof: list[bytes]
    checkpoint_note: Note


class Checked(NamedTuple):
    """What a receipt has been shown to prove: this entry is in this tree, and these keys say so."""

    entry: dict[str, Any]
    checkpoint: Checkpoint
    signed_by: list[Verifier | Cosigner]


def check(receipt: Receipt, keys: Iterable[Verifier | Cosigner], *, allow_unknown: bool = False) -> Checked:
    """What the receipt proves to whoever trusts `keys`: the deployment's key in force, and witnesses if they count.

    At least one signature is by a `Verifier` whose name the journal's origin begins with; witnesses alone do not
    make a journal. A signature that none of `keys` explains is refused unless `allow_unknown`. Raises `BadReceipt`.
    """
    try:
        entry = _entry(receipt.entry)
        note = receipt.checkpoint_note
        checkpoint = parse_checkpoint(note.text)
        if entry["seq"] != receipt.index:
            raise BadReceipt(f"entry {entry['seq']} stands at index {receipt.index}")
        leaf = codec.leaf_hash(receipt.entry)
        check_inclusion(leaf, receipt.index, checkpoint.size, receipt.proof, checkpoint.root)
        signed_by = verify(note, keys)
    except (BadNote, BadProof) as error:
        raise BadReceipt(str(error)) from error
    origins = [f"{key.name}/{entry['journal']}" for key in signed_by if isinstance(key, Verifier)]
    if checkpoint.origin not in origins:
        raise BadReceipt(f"{checkpoint.origin} is not signed by the key of its deployment")
    known = {(key.name, key.id) for key in signed_by}
    unknown = [s.name for s in note.signatures if (s.name, s.id) not in known]
    if unknown and not allow_unknown:
        raise BadReceipt(f"signed by keys that are not known here: {', '.join(unknown)}")
    return Checked(entry, checkpoint, signed_by)


def _entry(data: bytes) -> dict[str, Any]:
    """The entry in `data`, as far as a receipt depends on it. Raises `BadReceipt`."""
    if len(data) > codec.ENTRY_BYTES_MAX:
        raise BadReceipt(f"an entry has at most {codec.ENTRY_BYTES_MAX} bytes")
    try:
        entry = codec.decode(data)
    except codec.NotCanonical as error:
        raise BadReceipt(f"entry: {error}") from error
    if entry.get("v") != 1 or not isinstance(entry.get("seq"), int) or not isinstance(entry.get("journal"), str):
        raise BadReceipt("not an entry of version 1")
    return entry


# text -------------------------------------------------------------------------------------------------------------


def format_receipt(receipt: Receipt) -> bytes:
    """The receipt as text. Raises `BadReceipt` for a checkpoint or hashes that could not be read back."""
    note = receipt.checkpoint_note
    lines = [_HEADER, f"extra {_b64(receipt.entry)}", f"index {receipt.index}", *map(_b64, receipt.proof), ""]
    try:
        data = "\n".join(lines).encode() + b"\n" + format_note(note.text, note.signatures)
    except BadNote as error:
        raise BadReceipt(str(error)) from error
    if parse_receipt(data) != receipt:
        raise BadReceipt("not a receipt")
    return data


def parse_receipt(data: bytes) -> Receipt:
    """The receipt in `data`. Raises `BadReceipt` for anything that `format_receipt` would not have written."""
    if len(data) > NOTE_BYTES_MAX:
        raise BadReceipt(f"a receipt has at most {NOTE_BYTES_MAX} bytes")
    head, _, rest = data.partition(b"\n\n")
    try:
        header, extra, index, *proof = head.decode().split("\n")
        if header != _HEADER or not extra.startswith("extra ") or not index.startswith("index "):
            raise BadReceipt(f"a receipt begins with {_HEADER}, extra and index")
        receipt = Receipt(
            b64(extra.removeprefix("extra ")),
            parse_decimal(index.removeprefix("index ")),
            _proof(list(map(b64, proof))),
            parse_note(rest),
        )
        parse_checkpoint(receipt.checkpoint_note.text)
    except BadReceipt:
        raise
    except ValueError as error:  # BadNote, UnicodeDecodeError, too few lines
        raise BadReceipt(f"not a receipt: {error}") from error
    return receipt


def _proof(hashes: list[bytes]) -> list[bytes]:
    if len(hashes) > _PROOF_MAX or any(len(value) != HASH_BYTES for value in hashes):
        raise BadReceipt(f"the proof is not at most {_PROOF_MAX} hashes of {HASH_BYTES} bytes")
    return hashes


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


# QR code ----------------------------------------------------------------------------------------------------------


def pack_qr(receipt: Receipt) -> str:
    """The receipt for a QR code's alphanumeric mode. Raises `BadReceipt` where `unpack_qr` would not give it back:

    its checkpoint does not follow from entry and hashes, or the first signature is not the deployment's.
    """
    entry, proof, note = receipt.entry, receipt.proof, receipt.checkpoint_note
    try:
        size = parse_checkpoint(note.text).size
        parts = [struct.pack(">H", len(entry)), entry, struct.pack(">QB", size, len(proof)), *proof]
        parts.append(struct.pack(">B", len(note.signatures)))
        for name, key_id, raw in note.signatures:
            for field in (name.encode(), key_id + raw):
                parts += [struct.pack(">B", len(field)), field]
    except (BadNote, struct.error) as error:
        raise BadReceipt(f"does not go into a QR code: {error}") from error
    deflate = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    stream = deflate.compress(b"".join(parts)) + deflate.flush()
    packed = _QR + base45(stream + struct.pack(">I", zlib.crc32(stream)))
    if unpack_qr(packed) != receipt:
        raise BadReceipt("does not go into a QR code: the checkpoint is not that of the entry and its proof")
    return packed


def unpack_qr(text: str) -> Receipt:
    """The receipt in the text of a QR code. Raises `BadReceipt`, also where more than 70,000 bytes would come out."""
    if not text.startswith(_QR) or len(text) > _TEXT_MAX:
        raise BadReceipt(f"a receipt in a QR code begins with {_QR} and has at most {_TEXT_MAX} characters")
    reader = _Reader(_inflate(unbase45(text.removeprefix(_QR))))
    entry = reader.take(reader.number(2))
    size = reader.number(8)
    proof = [reader.take(HASH_BYTES) for _ in range(reader.number(1))]
    fields = [(reader.take(reader.number(1)), reader.take(reader.number(1))) for _ in range(reader.number(1))]
    if not fields or reader.rest:
        raise BadReceipt("ends before its signatures or goes on after them")
    decoded = _entry(entry)
    try:
        signatures = [Signature(name.decode(), raw[:4], raw[4:]) for name, raw in fields]
        root = root_of_inclusion(codec.leaf_hash(entry), decoded["seq"], size, proof)
        checkpoint = Checkpoint(f"{signatures[0].name}/{decoded['journal']}", size, root)
        # The same way through which a note comes from outside, and the same limits.
        note = parse_note(format_note(checkpoint_text(checkpoint), signatures))
    except (BadNote, BadProof, UnicodeDecodeError) as error:
        raise BadReceipt(str(error)) from error
    return Receipt(entry, decoded["seq"], _proof(proof), note)


def _inflate(data: bytes) -> bytes:
    """What a raw DEFLATE stream with its CRC-32 holds. The CRC is over the stream: one content has many streams."""
    stream, crc = data[:-_CRC_BYTES], data[-_CRC_BYTES:]
    if zlib.crc32(stream).to_bytes(_CRC_BYTES, "big") != crc:
        raise BadReceipt("damaged: the check sum differs")
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = inflate.decompress(stream, _PACKED_MAX + 1)
    except zlib.error as error:
        raise BadReceipt("not a DEFLATE stream") from error
    if not inflate.eof or inflate.unused_data or len(content) > _PACKED_MAX:
        raise BadReceipt(f"not one DEFLATE stream of at most {_PACKED_MAX} bytes")
    return content


class _Reader:
    """Takes fields from the front of some bytes; `rest` is what is left."""

    def __init__(self, data: bytes) -> None:
        self.rest = data

    def take(self, length: int) -> bytes:
        if length > len(self.rest):
            raise BadReceipt("ends too early")
        taken, self.rest = self.rest[:length], self.rest[length:]
        return taken

    def number(self, length: int) -> int:
        return int.from_bytes(self.take(length), "big")


# Base45 (RFC 9285) ------------------------------------------------------------------------------------------------

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_DIGIT = {character: digit for digit, character in enumerate(_ALPHABET)}


def base45(data: bytes) -> str:
    """Two bytes as three characters, a last one as two, the least significant first."""
    out: list[str] = []
    for at in range(0, len(data), 2):
        pair = data[at : at + 2]
        rest = int.from_bytes(pair, "big")
        for _ in range(len(pair) + 1):
            rest, digit = divmod(rest, 45)
            out.append(_ALPHABET[digit])
    return "".join(out)


def unbase45(text: str) -> bytes:
    """The bytes of a Base45 text. Raises `BadReceipt` for one that `base45` does not write."""
    out = bytearray()
    try:
        digits = [_DIGIT[character] for character in text]
        for at in range(0, len(digits) - 2, 3):
            out += (digits[at] + 45 * digits[at + 1] + 2025 * digits[at + 2]).to_bytes(2, "big")
        if len(digits) % 3:
            low, high = digits[len(digits) // 3 * 3 :]
            out.append(low + 45 * high)
    except (KeyError, OverflowError, ValueError) as error:  # another character, a value too large, one left over
        raise BadReceipt("not Base45") from error
    return bytes(out)

# SPDX-License-Identifier: Apache-2.0
"""Signed notes, checkpoints and cosignatures (C2SP signed-note, tlog-checkpoint, tlog-cosignature), read strictly.

A note that was parsed and is formatted again gives the same bytes: there is nothing in it to vary without being seen.
Parsing proves nothing; only `verify` does.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ledger.keys import Cosigner, Signer, Verifier, cosigned, is_name
from ledger.merkle import HASH_BYTES, SIZE_MAX

NOTE_BYTES_MAX = 1_000_000
SIGNATURES_MAX = 64
_ID_BYTES = 4
_DASH = "\N{EM DASH} "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


class BadNote(ValueError):
    """Not a note, not a checkpoint, or not signed as it must be; the message says which."""


class Signature(NamedTuple):
    """One signature line: the key's name and id, and what the key made (64 bytes; a cosignature 8 + 64)."""

    name: str
    id: bytes
    raw: bytes


class Note(NamedTuple):
    """A text, which ends with a line feed, and the signatures under it, in their order."""

    text: str
    signatures: tuple[Signature, ...]


class Checkpoint(NamedTuple):
    """What a log says of itself: its origin, its size in leaves and the root over them."""

    origin: str
    size: int
    root: bytes


# the two spellings that a lenient reader gets wrong ---------------------------------------------------------------


def b64(text: str) -> bytes:
    """The bytes of standard base64 (RFC 4648 §4) with its padding and zero unused bits. Raises `BadNote`."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise BadNote("not base64") from error
    if base64.b64encode(raw).decode() != text:
        raise BadNote("base64 with superfluous bits")
    return raw


def parse_decimal(text: str) -> int:
    """An integer from 0 to 2**63 - 1 in ASCII digits without sign, space or leading zero. Raises `BadNote`."""
    if not _DECIMAL.fullmatch(text) or int(text) > SIZE_MAX:
        raise BadNote("not a decimal number")
    return int(text)


# notes ------------------------------------------------------------------------------------------------------------


def parse_note(data: bytes) -> Note:
    """The note in `data`. Raises `BadNote` for anything that `format_note` would not have written."""
    if len(data) > NOTE_BYTES_MAX:
        raise BadNote(f"a note has at most {NOTE_BYTES_MAX} bytes")
    try:
        whole = data.decode()
    except UnicodeDecodeError as error:
        raise BadNote("a note is UTF-8") from error
    text, blank, lines = whole.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise BadNote("a note is a text, an empty line and signature lines, each ending with a line feed")
    note = Note(text + "\n", tuple(map(_parse_signature, _lines(lines[:-1]))))
    _check(note)
    return note


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    if len(lines) > SIGNATURES_MAX:  # before the work of decoding them
        raise BadNote(f"a note has at most {SIGNATURES_MAX} signatures")
    return lines


def _parse_signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH):
        raise BadNote("a signature line begins with an em dash and a space")
    raw = b64(encoded)
    return Signature(name, raw[:_ID_BYTES], raw[_ID_BYTES:])


def format_note(text: str, signatures: Sequence[Signature]) -> bytes:
    """The bytes of a note. Raises `BadNote` for what `parse_note` would not read as the same."""
    _check(Note(text, tuple(signatures)))
    lines = [f"{_DASH}{s.name} {base64.b64encode(s.id + s.raw).decode()}\n" for s in signatures]
    try:
        data = "".join([text, "\n", *lines]).encode()
    except UnicodeEncodeError as error:
        raise BadNote("a note is UTF-8") from error
    if len(data) > NOTE_BYTES_MAX:
        raise BadNote(f"a note has at most {NOTE_BYTES_MAX} bytes")
    return data


def _check(note: Note) -> None:
    if not note.text.endswith("\n") or _CONTROL.search(note.text):
        raise BadNote("the text of a note ends with a line feed and has no other control characters")
    if not 0 < len(note.signatures) <= SIGNATURES_MAX:
        raise BadNote(f"a note has 1 to {SIGNATURES_MAX} signatures")
    for name, key_id, raw in note.signatures:
        if not is_name(name) or len(key_id) != _ID_BYTES or not raw:
            raise BadNote("a signature line has a name, a key id and a signature")


def sign(text: str, signer: Signer) -> Signature:
    """The signature of `signer` (type 01) under `text`."""
    return Signature(signer.name, signer.verifier.id, signer.sign(text.encode()))


def cosign(text: str, signer: Signer, seconds: int) -> Signature:
    """The signature of the witness `signer` (type 04): it saw the checkpoint `text` at `seconds` since 1970."""
    raw = seconds.to_bytes(8, "big") + signer.sign(cosigned(text.encode(), seconds))
    return Signature(signer.name, signer.cosigner.id, raw)


def verify(note: Note, keys: Iterable[Verifier | Cosigner]) -> list[Verifier | Cosigner]:
    """Those of `keys` that signed, each once, in the order of their signatures.

    Signatures of other keys are passed over: a key is known by name and id together. Raises `BadNote` when a known
    key's signature does not verify, or when none of the keys has signed.
    """
    known: dict[tuple[str, bytes], Verifier | Cosigner] = {}
    for key in keys:
        if known.setdefault((key.name, key.id), key) != key:
            raise BadNote(f"two keys are called {key.name}+{key.id.hex()}")
    message = note.text.encode()
    signed: dict[tuple[str, bytes], Verifier | Cosigner] = {}
    for name, key_id, raw in note.signatures:
        if key := known.get((name, key_id)):
            if not key.verify(raw, message):
                raise BadNote(f"the signature of {name} does not verify")
            signed[name, key_id] = key
    if not signed:
        raise BadNote("signed by no known key")
    return list(signed.values())


# checkpoints ------------------------------------------------------------------------------------------------------


def checkpoint_text(checkpoint: Checkpoint) -> str:
    """The text that is signed: origin, size and root, one a line. Raises `BadNote` for what could not be read back."""
    origin, size, root = checkpoint
    text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
    if parse_checkpoint(text) != checkpoint:
        raise BadNote("not a checkpoint")
    return text


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint in a note's text. Raises `BadNote`, also for further lines: ours have none."""
    lines = text.split("\n")
    if len(lines) != 4 or not lines[0] or lines[3]:
        raise BadNote("a checkpoint is three lines: origin, size, root")
    root = b64(lines[2])
    if len(root) != HASH_BYTES or _CONTROL.search(lines[0]):
        raise BadNote("a checkpoint has an origin and a root of 32 bytes")
    return Checkpoint(lines[0], parse_decimal(lines[1]), root)

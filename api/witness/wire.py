# SPDX-License-Identifier: Apache-2.0
"""The body of an `add-checkpoint` call, written and read. C2SP tlog-witness, *add-checkpoint*."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from ledger.merkle import HASH_BYTES
from ledger.note import BadNote, Checkpoint, Note, b64, parse_checkpoint, parse_decimal, parse_note

CALL = "/add-checkpoint"
SIZE_TYPE = "text/x.tlog.size"
PROOF_MAX = 63
BODY_MAX = 128 * 1024  # a proof is below 3 kB; the rest is for signatures of other kinds, some near 5 kB each
_OLD = "old "


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a witness: to cosign `checkpoint`, which `note` carries and `proof` ties to size `old`."""

    old: int
    proof: tuple[bytes, ...]
    note: Note
    checkpoint: Checkpoint


def write(old: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """The body that offers `note`."""
    lines = [f"{_OLD}{old}", *(base64.b64encode(one).decode() for one in proof)]
    return "\n".join(lines).encode() + b"\n\n" + note


def read(body: bytes) -> Asked:
    """What a body asks. Raises `BadNote` for whatever the protocol does not have."""
    head, blank, rest = body.partition(b"\n\n")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise BadNote("an old size and a proof are ASCII") from error
    if not blank or not first.startswith(_OLD):
        raise BadNote("not an old size, a proof and an empty line")
    if len(lines) > PROOF_MAX:
        raise BadNote(f"a proof has at most {PROOF_MAX} lines")
    old = parse_decimal(first.removeprefix(_OLD))
    proof = tuple(map(b64, lines))
    if any(len(one) != HASH_BYTES for one in proof):
        raise BadNote("a line of a proof is a hash of 32 bytes")
    note = parse_note(rest)
    return Asked(old, proof, note, checkpoint_of(note))


def checkpoint_of(note: Note) -> Checkpoint:
    """The checkpoint in a note of any log: after its three lines there may be others, of which a witness knows nothing
    and which it signs with the rest (C2SP tlog-checkpoint). Raises `BadNote`."""
    lines = note.text.split("\n")
    if "" in lines[:-1]:
        raise BadNote("a checkpoint has no empty lines")
    return parse_checkpoint("\n".join([*lines[:3], ""]))

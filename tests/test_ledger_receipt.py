# SPDX-License-Identifier: Apache-2.0
"""Receipts, as text and for a QR code: what they prove, and that no character of them is idle."""

from __future__ import annotations

import base64
import json
import string
import struct
import zlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import codec, merkle, note, receipt
from ledger.keys import Signer
from ledger.note import Checkpoint, Note
from ledger.receipt import BadReceipt, Receipt
from tests import tree_vectors

VECTORS: dict[str, Any] = json.loads(tree_vectors.FILE.read_text("utf-8"))["receipt"]
SIGNER, WITNESS = tree_vectors.SIGNER, tree_vectors.WITNESS
KEYS = [SIGNER.verifier, WITNESS.cosigner]
GOOD = tree_vectors.signed_receipt()
TEXT, QR = receipt.format_receipt(GOOD), receipt.pack_qr(GOOD)
ALPHABET = string.digits + string.ascii_uppercase + " $%*+-./:"


def signed(*entries: bytes, index: int = 0, origin: str = "jifen.example/east", by: Signer = SIGNER) -> Receipt:
    """A receipt for entry `index` of a journal of these entries."""
    leaves = [codec.leaf_hash(entry) for entry in entries]
    text = note.checkpoint_text(Checkpoint(origin, len(leaves), merkle.root(leaves)))
    proof = merkle.inclusion(leaves, index, len(leaves))
    return Receipt(entries[index], index, proof, Note(text, (note.sign(text, by),)))


def resigned(changed: Receipt, **checkpoint: Any) -> Receipt:
    """The receipt over another checkpoint that our key has signed all the same."""
    text = note.checkpoint_text(note.parse_checkpoint(changed.checkpoint_note.text)._replace(**checkpoint))
    return replace(changed, checkpoint_note=Note(text, (note.sign(text, SIGNER),)))


def refused(bad: Receipt, match: str | None = None) -> None:
    with pytest.raises(BadReceipt, match=match):
        receipt.check(bad, KEYS)


def test_golden_receipt() -> None:
    """Both published forms hold the same receipt, and it proves the published entry."""
    assert GOOD == receipt.parse_receipt(VECTORS["text"].encode()) == receipt.unpack_qr(VECTORS["qr"])
    assert VECTORS["text"].encode() == TEXT
    checked = receipt.check(GOOD, KEYS)
    assert checked.signed_by == KEYS
    assert (checked.entry["seq"], checked.entry["kind"], checked.checkpoint.size) == (3, "award", 16)
    assert codec.leaf_hash(GOOD.entry).hex() == VECTORS["leaf"]


def test_every_entry_of_a_journal_has_a_receipt() -> None:
    """Whatever the entry says and wherever it stands, both forms carry it."""
    for index in range(len(tree_vectors.journal())):
        made = tree_vectors.signed_receipt(index)
        assert made == receipt.parse_receipt(receipt.format_receipt(made)) == receipt.unpack_qr(receipt.pack_qr(made))
        assert receipt.check(made, KEYS).entry["seq"] == index


@pytest.mark.parametrize("line", range(TEXT.count(b"\n")))
def test_every_character_of_the_text_counts(line: int) -> None:
    """Each character changed, left out or doubled makes the receipt worthless."""
    lines = TEXT.decode().splitlines(keepends=True)
    text, before, after = lines[line], "".join(lines[:line]), "".join(lines[line + 1 :])
    for at, character in enumerate(text):
        for other in {chr(ord(character) ^ 1), "A", "=", "\n", "", character * 2} - {character}:
            with pytest.raises(BadReceipt):
                changed = before + text[:at] + other + text[at + 1 :] + after
                receipt.check(receipt.parse_receipt(changed.encode()), KEYS)


def test_every_character_of_the_qr_code_counts() -> None:
    """Each character changed into any other of the alphabet, left out or doubled makes the receipt worthless."""
    small = receipt.pack_qr(signed(b'{"journal":"east","seq":0,"v":1}', b"1"))
    for text, step in ((small, 1), (QR, 17)):
        for at, character in enumerate(text):
            for other in {*ALPHABET[at % step :: step], "", character * 2, character.lower()} - {character}:
                with pytest.raises(BadReceipt):
                    receipt.check(receipt.unpack_qr(text[:at] + other + text[at + 1 :]), KEYS)


def test_a_receipt_of_another_entry_is_refused() -> None:
    """An entry that is not the leaf, not at its index, or not in this journal's tree proves nothing."""
    entries = tree_vectors.journal()
    refused(replace(GOOD, entry=entries[4]), "index")
    refused(replace(GOOD, index=4), "index")
    refused(replace(GOOD, entry=entries[4], index=4), "not in the tree")
    refused(replace(GOOD, proof=GOOD.proof[:-1]), "hashes")
    leaves = [codec.leaf_hash(entry) for entry in entries]
    refused(resigned(GOOD, size=15, root=merkle.root(leaves[:15])), "not in the tree")
    refused(resigned(GOOD, size=17), "hashes")
    refused(resigned(GOOD, size=3), "no leaf")
    refused(resigned(GOOD, root=merkle.EMPTY_ROOT), "not in the tree")
    assert receipt.check(signed(*entries[:9], index=8), KEYS).checkpoint.size == 9


@pytest.mark.parametrize(
    "origin", ["jifen.example/west", "jifen.example", "jifen.example/", "other.example/east", "jifen.example/x/east"]
)
def test_the_origin_is_the_journals(origin: str) -> None:
    """A tree of another journal, of the epoch log or of another deployment does not speak for this entry."""
    refused(resigned(GOOD, origin=origin), "not signed by the key of its deployment")


def test_only_the_deployments_key_makes_a_journal() -> None:
    """Witnesses alone do not, nor the deployment's key in a witness's role, nor one whose name is longer."""
    text = GOOD.checkpoint_note.text
    cosigned = note.cosign(text, WITNESS, 1)
    refused(replace(GOOD, checkpoint_note=Note(text, (cosigned,))), "key of its deployment")
    as_witness = replace(GOOD, checkpoint_note=Note(text, (note.cosign(text, SIGNER, 1),)))
    with pytest.raises(BadReceipt, match="key of its deployment"):
        receipt.check(as_witness, [SIGNER.cosigner])
    recovery = Signer("jifen.example/recovery", SIGNER.seed)
    with pytest.raises(BadReceipt, match="key of its deployment"):
        receipt.check(replace(GOOD, checkpoint_note=Note(text, (note.sign(text, recovery),))), [recovery.verifier])


def test_unknown_signatures_are_refused_unless_allowed() -> None:
    """Who does not know a witness is told so and may pass over it; a false signature is never passed over."""
    with pytest.raises(BadReceipt, match=r"not known here: witness\.example/w1"):
        receipt.check(GOOD, [SIGNER.verifier])
    assert receipt.check(GOOD, [SIGNER.verifier], allow_unknown=True).signed_by == [SIGNER.verifier]
    first, second = GOOD.checkpoint_note.signatures
    spoilt = second._replace(raw=second.raw[:-1] + bytes([second.raw[-1] ^ 1]))
    bad = replace(GOOD, checkpoint_note=GOOD.checkpoint_note._replace(signatures=(first, spoilt)))
    with pytest.raises(BadReceipt, match="does not verify"):
        receipt.check(bad, KEYS, allow_unknown=True)
    with pytest.raises(BadReceipt, match="no known key"):
        receipt.check(GOOD, [], allow_unknown=True)


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b"{}",
        b"[]",
        b'{"journal":"east","seq":0}',
        b'{"journal":"east","seq":0,"v":2}',
        b'{"journal":"east","seq":"0","v":1}',
        b'{"journal":1,"seq":0,"v":1}',
        b'{"journal":"east","seq":-1,"v":1}',
        b'{"journal":"east", "seq":0,"v":1}',
        b'{"seq":0,"journal":"east","v":1}',
        b'{"journal":"east","memo":"%b","seq":0,"v":1}' % (b"x" * 66_000),
    ],
)
def test_what_is_no_entry_has_no_receipt(entry: bytes) -> None:
    """Canonical bytes of an entry of version 1, at most 65,535, and nothing else."""
    refused(signed(entry))
    with pytest.raises(BadReceipt):
        receipt.pack_qr(signed(entry))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tlog-proof@v1", "tlog-proof@v2"),
        ("index 3\n", ""),
        ("index 3\n", "3\n"),
        ("index 3\n", "index 03\n"),
        ("index 3\n", "index +3\n"),
        ("index 3\n", "index 3\nindex 3\n"),
        ("index 3\n", "index 3\n" + "A" * 43 + "=\n" * 1),
        ("\n\n", "\n\n\n"),
        ("\n", "\r\n"),
        ("\n16\n", "\n16\n\n"),
    ],
)
def test_a_text_of_another_shape_is_refused(old: str, new: str) -> None:
    """One spelling, and all its lines in their order."""
    changed = TEXT.decode().replace(old, new, 1)
    assert changed != TEXT.decode()
    with pytest.raises(BadReceipt):
        receipt.check(receipt.parse_receipt(changed.encode()), KEYS)


def test_what_could_not_be_read_is_not_written() -> None:
    """The writers refuse what their readers would."""
    for bad in (
        replace(GOOD, index=-1),
        replace(GOOD, proof=[b"short"]),
        replace(GOOD, proof=[merkle.EMPTY_ROOT] * 64),
        replace(GOOD, entry=b"x" * 1_000_000),
        replace(GOOD, checkpoint_note=Note("no checkpoint\n", GOOD.checkpoint_note.signatures)),
        replace(GOOD, checkpoint_note=Note(GOOD.checkpoint_note.text, ())),
    ):
        with pytest.raises(BadReceipt):
            receipt.format_receipt(bad)
        with pytest.raises(BadReceipt):
            receipt.pack_qr(bad)


def test_a_qr_code_holds_only_what_follows_from_it() -> None:
    """Root, origin and index are not in a QR code; a receipt in which they do not follow from it is not packed."""
    signatures = GOOD.checkpoint_note.signatures
    for bad in (
        replace(GOOD, index=4),
        resigned(GOOD, root=merkle.EMPTY_ROOT),
        resigned(GOOD, origin="jifen.example/west"),
        replace(GOOD, checkpoint_note=GOOD.checkpoint_note._replace(signatures=signatures[::-1])),
        replace(
            GOOD, checkpoint_note=GOOD.checkpoint_note._replace(signatures=(signatures[0]._replace(name="x" * 256),))
        ),
    ):
        with pytest.raises(BadReceipt, match=r"QR code|at most|hashes"):
            receipt.pack_qr(bad)


def packed(content: bytes, *, more: bytes = b"", cut: int = 0, crc: int | None = None) -> str:
    """A QR code's text with this content, however wrong."""
    deflate = zlib.compressobj(wbits=-15)
    stream = deflate.compress(content) + deflate.flush() + more
    stream = stream[: len(stream) - cut]
    return "JF1:" + receipt.base45(stream + struct.pack(">I", zlib.crc32(stream) if crc is None else crc))


def content() -> bytes:
    return zlib.decompress(receipt.unbase45(QR.removeprefix("JF1:"))[:-4], -15)


def test_a_qr_code_of_another_shape_is_refused() -> None:
    """Cut short, too long, with bytes after the end, or of another make."""
    assert GOOD == receipt.unpack_qr(packed(content()))
    for text in (
        packed(content() + b"\0"),
        packed(content(), more=b"\0"),
        packed(content(), cut=1),
        packed(content(), crc=0),
        QR.removeprefix("JF1:"),
        QR.replace("JF1:", "JF2:"),
        QR.lower(),
        "JF1:",
        "JF1:" + receipt.base45(content()),
        "JF1:" + receipt.base45(zlib.compress(content())),
        packed(b""),
        *(packed(content()[:length]) for length in range(0, len(content()), 7)),
    ):
        with pytest.raises(BadReceipt):
            receipt.unpack_qr(text)


def test_a_qr_code_that_swells_is_refused() -> None:
    """A few characters that unpack to gigabytes are given up after 70,000 bytes; endless ones are not begun."""
    bomb = packed(b"\0" * 50_000_000)
    assert len(bomb) < 110_000
    for text in (bomb, "JF1:" + "0" * 10_000_000):
        with pytest.raises(BadReceipt, match="at most"):
            receipt.unpack_qr(text)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b"AB", "BB8"),
        (b"Hello!!", "%69 VD92EX0"),
        (b"base-45", "UJCLQE7W581"),
        (b"ietf!", "QED8WEX0"),
        (b"\xff\xff\xff", "FGWU5"),
    ],
)
def test_base45_of_the_rfc(data: bytes, text: str) -> None:
    """The examples of RFC 9285."""
    assert text == receipt.base45(data)
    assert data == receipt.unbase45(text)


@pytest.mark.parametrize("text", ["A", "AAAA", "GGW", ":::", "::", "V5", "bb8", "BB8\n", "ＢＢ8", "BB_"])
def test_what_is_not_base45(text: str) -> None:
    """Odd lengths, values that are no bytes, and characters outside the alphabet."""
    with pytest.raises(BadReceipt):
        receipt.unbase45(text)


@given(st.binary(max_size=200))
def test_base45_is_read(data: bytes) -> None:
    """Every byte string can be written in the alphabet and read."""
    text = receipt.base45(data)
    assert set(text) <= set(ALPHABET)
    assert data == receipt.unbase45(text)


@given(st.text(ALPHABET, max_size=60))
def test_base45_has_one_spelling(text: str) -> None:
    """What is read is written the same."""
    try:
        data = receipt.unbase45(text)
    except BadReceipt:
        return
    assert text == receipt.base45(data)


@given(st.binary(max_size=300), st.integers(0, len(TEXT)), st.integers(0, len(TEXT)))
def test_any_other_bytes_are_a_bad_receipt(noise: bytes, start: int, end: int) -> None:
    """Nonsense, alone or in the middle of a receipt, is refused as such."""
    for data in (noise, TEXT[:start] + noise + TEXT[end:]):
        if data != TEXT:
            with pytest.raises(BadReceipt):
                receipt.check(receipt.parse_receipt(data), KEYS)


@given(st.text(max_size=60) | st.text(ALPHABET), st.binary(max_size=400), st.integers(0, 900))
def test_any_other_text_is_a_bad_qr_code(text: str, noise: bytes, start: int) -> None:
    """Nonsense, also well packed, is refused as such."""
    for bad in (text, "JF1:" + text, packed(noise), packed(content()[:start] + noise + content()[start + 1 :])):
        try:
            changed = receipt.unpack_qr(bad)
        except BadReceipt:
            continue
        if changed != GOOD:
            refused(changed)


def test_the_text_is_what_c2sp_says() -> None:
    """Line by line: header, entry, index, siblings, an empty line and the checkpoint as it was signed."""
    lines = TEXT.decode().split("\n")
    assert lines[:3] == ["c2sp.org/tlog-proof@v1", "extra " + base64.b64encode(GOOD.entry).decode(), "index 3"]
    assert [base64.b64decode(line) for line in lines[3:7]] == GOOD.proof
    assert lines[7] == ""
    assert "\n".join(lines[8:]).encode() == note.format_note(*GOOD.checkpoint_note)

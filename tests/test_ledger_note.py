# SPDX-License-Identifier: Apache-2.0
"""Notes, checkpoints and cosignatures: one spelling, nothing lenient, and only a verified signature counts."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import keys, note
from ledger.keys import BadKey, Signer
from ledger.merkle import EMPTY_ROOT
from ledger.note import BadNote, Checkpoint, Note, Signature
from tests import tree_vectors

VECTORS: dict[str, Any] = json.loads(tree_vectors.FILE.read_text("utf-8"))
SIGNER, WITNESS = tree_vectors.SIGNER, tree_vectors.WITNESS
KEYS = [SIGNER.verifier, WITNESS.cosigner]
TEXT = note.checkpoint_text(Checkpoint("jifen.example/east", 0, EMPTY_ROOT))
SIGNED = note.sign(TEXT, SIGNER)
COSIGNED = note.cosign(TEXT, WITNESS, 1_646_100_000)


def test_golden_file_is_current() -> None:
    """The published bytes are what this code makes; only the QR form may be compressed differently elsewhere."""
    built = tree_vectors.build()
    assert VECTORS["receipt"].pop("qr")[:4] == built["receipt"].pop("qr")[:4]
    assert built == VECTORS


def test_the_example_of_the_specification() -> None:
    """The note and the key that C2SP signed-note shows verify here."""
    data = (
        "This is an example message.\n\n— example.com/foo "
        "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
    ).encode()
    key = keys.parse_vkey("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
    parsed = note.parse_note(data)
    assert [key] == note.verify(parsed, [key])
    assert parsed.text == "This is an example message.\n"
    assert data == note.format_note(*parsed)


def test_golden_checkpoint() -> None:
    """The published checkpoint is read, verified with the published keys, and written the same."""
    stated = VECTORS["checkpoint"]
    vkeys = [keys.parse_vkey(VECTORS["keys"][0]["vkey"]), keys.parse_cosigner(VECTORS["keys"][1]["vkey"])]
    parsed = note.parse_note(stated["cosigned"].encode())
    assert vkeys == note.verify(parsed, vkeys) == KEYS
    assert stated["cosigned"].encode() == note.format_note(*parsed)
    checkpoint = Checkpoint(stated["origin"], stated["size"], bytes.fromhex(stated["root"]))
    assert checkpoint == note.parse_checkpoint(parsed.text)
    assert parsed.text == stated["text"] == note.checkpoint_text(checkpoint)
    assert stated["cosigned_at"] == keys.Cosigner.seconds(parsed.signatures[1].raw)
    assert [vkeys[0]] == note.verify(note.parse_note(stated["signed"].encode()), vkeys)


@pytest.mark.parametrize("case", VECTORS["checkpoint"]["refused"], ids=lambda case: case["why"])
def test_golden_refusals(case: dict[str, str]) -> None:
    """Each published misspelling is refused, though the signature under most of them is good."""
    with pytest.raises(BadNote):
        parsed = note.parse_note(case["note"].encode())
        note.parse_checkpoint(parsed.text)
        note.verify(parsed, KEYS)


@pytest.mark.parametrize(
    "text", ["", "1_000", " 7", "7 ", "007", "+7", "-7", "７", "٣", "7\n", "0x7", "1e3", str(2**63)]
)
def test_a_number_has_one_spelling(text: str) -> None:
    """What `int` would take and a stricter reader would not is refused."""
    with pytest.raises(BadNote):
        note.parse_decimal(text)


@given(st.integers(0, 2**63 - 1))
def test_a_number_is_read(number: int) -> None:
    """Every size of a tree can be written and read."""
    assert number == note.parse_decimal(str(number))


@pytest.mark.parametrize("text", ["A", "AA", "AAA", "AA=", "AAA", "AB==", "AAB=", "A===", "AAAA=", "AA==AAAA", "A-_A"])
def test_base64_has_one_spelling(text: str) -> None:
    """Padding is there and unused bits are zero."""
    with pytest.raises(BadNote):
        note.b64(text)


@pytest.mark.parametrize("space", [" ", "\n", "\r", "\t", "\u3000"])
def test_base64_has_no_space(space: str) -> None:
    """Nothing is passed over inside base64."""
    for text in (f"AAAA{space}", f"{space}AAAA", f"AA{space}AA"):
        with pytest.raises(BadNote):
            note.b64(text)


@given(st.binary(max_size=40))
def test_base64_is_read(data: bytes) -> None:
    """Every byte string can be written and read."""
    assert data == note.b64(base64.b64encode(data).decode())


def test_the_text_of_a_note_may_have_empty_lines() -> None:
    """The last empty line parts text and signatures, whatever the text looks like."""
    for text in ("\n", "a\n\n", "a\n\n— b AAAAAAAA\n", "积分\u2028\x7f\n"):
        data = note.format_note(text, [note.sign(text, SIGNER)])
        parsed = note.parse_note(data)
        assert text == parsed.text
        assert [SIGNER.verifier] == note.verify(parsed, KEYS)


def test_sixteen_and_more_signatures_are_read() -> None:
    """64 lines are read, with unknown ones passed over; the 65th is not."""
    unknown = Signature("stranger.example", b"\0\0\0\0", b"\1")
    parsed = note.parse_note(note.format_note(TEXT, [*[unknown] * 63, SIGNED]))
    assert [SIGNER.verifier] == note.verify(parsed, KEYS)
    for count in (0, 65):
        with pytest.raises(BadNote, match="signatures"):
            note.format_note(TEXT, [unknown] * count)


def test_a_note_has_a_size() -> None:
    """A note of a million bytes is read, and one more is not."""
    base = len(note.format_note("\n", [SIGNED]))
    text = "a" * (note.NOTE_BYTES_MAX - base) + "\n"
    data = note.format_note(text, [SIGNED])
    assert len(data) == note.NOTE_BYTES_MAX
    assert note.parse_note(data).text == text
    with pytest.raises(BadNote, match="bytes"):
        note.parse_note(b"a" + data)
    with pytest.raises(BadNote, match="bytes"):
        note.format_note("a" + text, [SIGNED])


@pytest.mark.parametrize(
    "wrong",
    [
        Signature("", b"1234", b"1"),
        Signature("a+b", b"1234", b"1"),
        Signature("a b", b"1234", b"1"),
        Signature("a\u00a0b", b"1234", b"1"),
        Signature("a\x00b", b"1234", b"1"),
        Signature("a\ud800b", b"1234", b"1"),
        Signature("a", b"123", b"1"),
        Signature("a", b"1234", b""),
    ],
)
def test_what_could_not_be_read_is_not_written(wrong: Signature) -> None:
    """The writer refuses what its reader would."""
    with pytest.raises(BadNote):
        note.format_note(TEXT, [SIGNED, wrong])


@pytest.mark.parametrize("text", ["", "a", "a\r\n", "a\tb\n", "\x00\n", "\ud800\n"])
def test_a_text_that_is_none_is_not_written(text: str) -> None:
    """A text ends with a line feed and has no other control characters."""
    with pytest.raises(BadNote):
        note.format_note(text, [SIGNED])


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint("", 1, EMPTY_ROOT),
        Checkpoint("a\nb", 1, EMPTY_ROOT),
        Checkpoint("a\x07", 1, EMPTY_ROOT),
        Checkpoint("a", -1, EMPTY_ROOT),
        Checkpoint("a", 2**63, EMPTY_ROOT),
        Checkpoint("a", 1, EMPTY_ROOT[:31]),
    ],
)
def test_a_checkpoint_that_is_none_is_not_written(checkpoint: Checkpoint) -> None:
    """Nothing is signed that no reader would take."""
    with pytest.raises(BadNote):
        note.checkpoint_text(checkpoint)


def test_a_key_is_known_by_name_and_id() -> None:
    """Another name with the same key, or the same name with another key, is unknown and passed over."""
    renamed = note.sign(TEXT, Signer("other.example", SIGNER.seed))
    rekeyed = note.sign(TEXT, Signer(SIGNER.name, WITNESS.seed))
    swapped = [Signature("other.example", SIGNED.id, SIGNED.raw), Signature(SIGNER.name, rekeyed.id, SIGNED.raw)]
    others = [renamed, rekeyed, *swapped]
    assert [SIGNER.verifier] == note.verify(Note(TEXT, (*others, SIGNED)), KEYS)
    with pytest.raises(BadNote, match="no known key"):
        note.verify(Note(TEXT, tuple(others)), KEYS)
    with pytest.raises(BadNote, match="no known key"):
        note.verify(Note(TEXT, (SIGNED,)), [])


def test_a_known_key_that_is_wrong_spoils_the_note() -> None:
    """One false signature of a known key refuses the note, however many good ones stand beside it."""
    false = SIGNED._replace(raw=bytes([SIGNED.raw[0] ^ 1]) + SIGNED.raw[1:])
    short, long = SIGNED._replace(raw=SIGNED.raw[:-1]), SIGNED._replace(raw=SIGNED.raw + b"\0")
    for wrong in (false, short, long, COSIGNED._replace(raw=COSIGNED.raw[:7]), COSIGNED._replace(raw=SIGNED.raw)):
        for signatures in ((SIGNED, COSIGNED, wrong), (wrong, SIGNED, COSIGNED)):
            with pytest.raises(BadNote, match="does not verify"):
                note.verify(Note(TEXT, signatures), KEYS)


def test_a_key_that_signs_twice_counts_once() -> None:
    """Repeating a signature line adds no signer, nor do two cosignatures of one witness."""
    later = note.cosign(TEXT, WITNESS, 1_646_100_600)
    assert [WITNESS.cosigner, SIGNER.verifier] == note.verify(Note(TEXT, (COSIGNED, SIGNED, SIGNED, later)), KEYS * 2)


def test_a_cosignature_is_about_its_time_and_text() -> None:
    """Another time or another text is not what the witness signed, nor is its plain signature."""
    other = note.checkpoint_text(Checkpoint("jifen.example/east", 1, EMPTY_ROOT))
    later = COSIGNED._replace(raw=(1_646_100_001).to_bytes(8, "big") + COSIGNED.raw[8:])
    plain = COSIGNED._replace(raw=COSIGNED.raw[:8] + WITNESS.sign(TEXT.encode()))
    for text, signature in ((other, COSIGNED), (TEXT, later), (TEXT, plain)):
        with pytest.raises(BadNote, match="does not verify"):
            note.verify(Note(text, (signature,)), KEYS)


def test_a_cosignature_of_no_time_is_none() -> None:
    """A time beyond 2**63 - 1 is outside the specification."""
    assert [WITNESS.cosigner] == note.verify(Note(TEXT, (note.cosign(TEXT, WITNESS, 2**63 - 1),)), KEYS)
    with pytest.raises(BadNote):
        note.verify(Note(TEXT, (note.cosign(TEXT, WITNESS, 2**63),)), KEYS)


def test_one_key_is_two_keys_in_two_roles() -> None:
    """As a witness a key has another id, and never counts as the log's own."""
    assert SIGNER.cosigner.id != SIGNER.verifier.id
    assert SIGNER.cosigner != SIGNER.verifier
    assert keys.parse_cosigner(SIGNER.cosigner.text) == SIGNER.cosigner
    with pytest.raises(BadKey):
        keys.parse_vkey(SIGNER.cosigner.text)
    with pytest.raises(BadKey):
        keys.parse_cosigner(SIGNER.vkey)


@pytest.mark.parametrize("at", range(len(WITNESS.cosigner.text)))
def test_a_changed_vkey_is_refused(at: int) -> None:
    """The id in a vkey catches a slip in name or key."""
    text = WITNESS.cosigner.text
    for other in "a+ é\ud800=":
        if other != text[at]:
            with pytest.raises(BadKey):
                keys.parse_cosigner(text[:at] + other + text[at + 1 :])


@given(st.binary(max_size=200) | st.builds(lambda a, b: a + b"\n\n\xe2\x80\x94 " + b, st.binary(), st.binary()))
def test_any_other_bytes_are_a_bad_note(data: bytes) -> None:
    """Nonsense is refused as such; what is read is written the same."""
    try:
        parsed = note.parse_note(data)
    except BadNote:
        return
    assert data == note.format_note(*parsed)


@given(st.text(max_size=60) | st.builds("{}\n{}\n{}\n".format, st.text(), st.integers(), st.text()))
def test_any_other_text_is_no_checkpoint(text: str) -> None:
    """Nonsense is refused as such; what is read is written the same."""
    try:
        parsed = note.parse_checkpoint(text)
    except BadNote:
        return
    assert text == note.checkpoint_text(parsed)


@given(st.integers(0, len(VECTORS["checkpoint"]["cosigned"].encode()) - 1), st.integers(0, 255))
def test_any_changed_byte_of_a_checkpoint_counts(at: int, value: int) -> None:
    """Whatever byte is changed, not both keys have signed what is read then."""
    data = bytearray(VECTORS["checkpoint"]["cosigned"].encode())
    if data[at] == value:
        return
    data[at] = value
    try:
        signed = note.verify(note.parse_note(bytes(data)), KEYS)
    except BadNote:
        return
    assert len(signed) == 1

# SPDX-License-Identifier: Apache-2.0
"""Makes tests/vectors/tree.json, the bytes on which a reader of docs/spec/tree.md and receipt.md can try itself.

`python -m tests.tree_vectors` writes the file; a test fails where it is not what `build` gives. All keys are published
with their seeds, and sign nothing else.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from ledger import codec, merkle, note, receipt
from ledger.keys import Signer
from ledger.note import Checkpoint, Note
from ledger.receipt import Receipt
from tests.tree import ROOT

FILE = ROOT / "tests/vectors/tree.json"
SIZE = 12  # of the tree that is written out whole
SECONDS = 1_646_100_000

SIGNER = Signer("jifen.example", bytes(range(32)))
WITNESS = Signer("witness.example/w1", bytes(range(32, 64)))


def journal() -> list[bytes]:
    """The entries of journal `east` in entry.json, in order."""
    entries = json.loads((ROOT / "tests/vectors/entry.json").read_text("utf-8"))["entries"]
    bodies = [bytes.fromhex(entry["body"]) for entry in entries]
    east = {entry["seq"]: body for body in bodies if (entry := codec.decode(body))["journal"] == "east"}
    return [east[seq] for seq in range(len(east))]


def signed_receipt(index: int = 3) -> Receipt:
    """A receipt for one entry of the journal, signed and cosigned."""
    leaves = [codec.leaf_hash(body) for body in journal()]
    text = note.checkpoint_text(Checkpoint("jifen.example/east", len(leaves), merkle.root(leaves)))
    signatures = (note.sign(text, SIGNER), note.cosign(text, WITNESS, SECONDS))
    return Receipt(journal()[index], index, merkle.inclusion(leaves, index, len(leaves)), Note(text, signatures))


def build() -> dict[str, Any]:
    """Everything that stands in the file."""
    data = [bytes(range(length)) for length in range(SIZE)]
    leaves = [codec.leaf_hash(one) for one in data]
    roots = [merkle.root(leaves[:size]).hex() for size in range(SIZE + 1)]
    text = signed_receipt().checkpoint_note.text
    checkpoint = note.parse_checkpoint(text)
    signatures = signed_receipt().checkpoint_note.signatures
    signed = note.format_note(text, signatures).decode()
    return {
        "about": "docs/spec/tree.md and receipt.md. Hashes and other bytes in hex, notes and receipts as text.",
        "tree": {
            "data": [one.hex() for one in data],
            "leaves": [leaf.hex() for leaf in leaves],
            "roots": roots,
            "inclusion": [
                {"index": index, "size": size, "hashes": _hex(merkle.inclusion(leaves, index, size))}
                for size in range(1, SIZE + 1)
                for index in range(size)
            ],
            "consistency": [
                {"from": m, "to": n, "hashes": _hex(merkle.consistency(leaves, m, n))}
                for n in range(SIZE + 1)
                for m in range(n + 1)
            ],
            "refused": _refused_proofs(leaves),
        },
        "keys": [
            {"name": signer.name, "type": kind, "seed": signer.seed.hex(), "vkey": key.text, "id": key.id.hex()}
            for signer, kind, key in [(SIGNER, "01", SIGNER.verifier), (WITNESS, "04", WITNESS.cosigner)]
        ],
        "checkpoint": {
            "origin": checkpoint.origin,
            "size": checkpoint.size,
            "root": checkpoint.root.hex(),
            "text": text,
            "signed": note.format_note(text, signatures[:1]).decode(),
            "cosigned": signed,
            "cosigned_at": SECONDS,
            "refused": [{"why": why, "note": change(signed)} for why, change in _NOTES]
            + [{"why": why, "note": _sign_anyway(change(text))} for why, change in _TEXTS],
        },
        "receipt": {
            "leaf": codec.leaf_hash(signed_receipt().entry).hex(),
            "text": receipt.format_receipt(signed_receipt()).decode(),
            "qr": receipt.pack_qr(signed_receipt()),
        },
    }


def _hex(hashes: list[bytes]) -> list[str]:
    return [value.hex() for value in hashes]


def _refused_proofs(leaves: list[bytes]) -> list[dict[str, Any]]:
    """Proofs that must not be believed: an `inclusion` has index, size, leaf and root, a `consistency` two roots."""
    root, five = merkle.root(leaves[:8]), merkle.root(leaves[:5])
    proof, step = merkle.inclusion(leaves, 5, 8), merkle.consistency(leaves, 5, 8)
    flipped = bytes([proof[0][0] ^ 1]) + proof[0][1:]
    inclusions: list[tuple[str, int, int, list[bytes]]] = [
        ("one bit of a hash", 5, 8, [flipped, *proof[1:]]),
        ("a hash too few", 5, 8, proof[:-1]),
        ("a hash too many", 5, 8, [*proof, root]),
        ("a hash of 31 bytes", 5, 8, [*proof[:-1], proof[-1][:31]]),
        ("two hashes in the other order", 5, 8, [proof[1], proof[0], proof[2]]),
        ("another index", 4, 8, proof),
        ("an index outside", 8, 8, proof),
        ("another size", 5, 9, proof),
    ]
    consistencies: list[tuple[str, int, int, bytes, list[bytes]]] = [
        ("a hash too few", 5, 8, five, step[1:]),
        ("a hash too many", 5, 8, five, [*step, root]),
        ("another root", 5, 8, leaves[0], step),
        ("another size", 6, 8, five, step),
        ("from more to less", 8, 5, root, step),
        ("not empty from the size itself", 8, 8, root, [root]),
        ("not empty from 0", 0, 8, merkle.EMPTY_ROOT, [root]),
        ("from 0 with another root", 0, 8, five, []),
    ]
    return [
        {"why": why, "index": index, "size": size, "leaf": leaves[5].hex(), "root": root.hex(), "hashes": _hex(hashes)}
        for why, index, size, hashes in inclusions
    ] + [
        {"why": why, "from": m, "to": n, "root_from": before.hex(), "root_to": root.hex(), "hashes": _hex(hashes)}
        for why, m, n, before, hashes in consistencies
    ]


def _line(number: int, change: Callable[[str], str]) -> Callable[[str], str]:
    def changed(signed: str) -> str:
        lines = signed.split("\n")
        lines[number] = change(lines[number])
        return "\n".join(lines)

    return changed


def _foreign(line: str) -> str:
    """A signature line with the same name and id over another text."""
    _, name, encoded = line.split(" ")
    raw = base64.b64decode(encoded)[:4] + SIGNER.sign(b"jifen.example/east\n0\n")
    return f"— {name} {base64.b64encode(raw).decode()}"


def _sign_anyway(text: str) -> str:
    """A note over a text that is none: the signature verifies, so that a reader has only its own strictness."""
    raw = SIGNER.verifier.id + SIGNER.sign(text.encode())
    return f"{text}\n— {SIGNER.name} {base64.b64encode(raw).decode()}\n"


def _loose_end(line: str) -> str:
    """The same signature with an unused bit set."""
    return line[:-2] + _ALPHABET[_ALPHABET.index(line[-2]) + 1] + "="


_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_WIDE = {ord("0") + digit: ord("\N{FULLWIDTH DIGIT ZERO}") + digit for digit in range(10)}

# Changes to the cosigned checkpoint that make a reader refuse it, who knows both keys.
_NOTES: list[tuple[str, Callable[[str], str]]] = [
    ("no line feed at the end", lambda signed: signed[:-1]),
    ("another size under the same signature", _line(1, lambda line: line + "0")),
    ("a known key's signature over another text", _line(4, _foreign)),
    ("a second, false signature of a known key", _line(4, lambda line: line + "\n" + _foreign(line))),
    ("no signature", lambda signed: signed.partition("— ")[0]),
    ("no empty line before the signatures", lambda signed: signed.replace("\n\n", "\n")),
    ("an empty line after the signatures", lambda signed: signed + "\n"),
    ("a hyphen for the dash", _line(4, lambda line: line.replace("—", "-"))),
    ("no dash", _line(4, lambda line: line.removeprefix("— "))),
    ("two spaces in a signature line", _line(4, lambda line: line.replace("example ", "example  "))),
    ("a space after a signature", _line(4, lambda line: line + " ")),
    ("a signature without padding", _line(4, lambda line: line.rstrip("="))),
    ("a signature with an unused bit set", _line(4, _loose_end)),
    ("a signature line without a signature", _line(4, lambda line: line + "\n— b.example 9kdbfg==")),
    ("a plus sign in a name", _line(4, lambda line: line + "\n" + line.replace("jifen.", "jifen+"))),
    ("a space of another script in a name", _line(4, lambda line: line + "\n" + line.replace("jifen.", "jifen\u3000"))),
    ("65 signatures", _line(5, lambda line: "\n".join([line] * 64))),
    ("no known key", lambda signed: signed.replace("— jifen.example ", "— a.example ").replace("/w1 ", "/w2 ")),
]

# Changes to the checkpoint's text, which is signed all the same.
_TEXTS: list[tuple[str, Callable[[str], str]]] = [
    ("carriage returns", lambda text: text.replace("\n", "\r\n")),
    ("a control character", _line(0, lambda line: line + "\x01")),
    ("a tab", _line(0, lambda line: line + "\t")),
    ("no origin", _line(0, lambda line: "")),
    ("a leading zero", _line(1, lambda line: "0" + line)),
    ("a sign", _line(1, lambda line: "+" + line)),
    ("less than nothing", _line(1, lambda line: "-" + line)),
    ("a space before", _line(1, lambda line: " " + line)),
    ("a space behind", _line(1, lambda line: line + " ")),
    ("an underscore", _line(1, lambda line: line[0] + "_" + line[1:])),
    ("digits of another script", _line(1, lambda line: line.translate(_WIDE))),
    ("hexadecimal", _line(1, lambda line: hex(int(line)))),
    ("no size", _line(1, lambda line: "")),
    ("a size of 2**63", _line(1, lambda line: str(2**63))),
    ("base64 without padding", _line(2, lambda line: line.rstrip("="))),
    ("base64 with an unused bit set", _line(2, _loose_end)),
    ("base64 of the other alphabet", _line(2, lambda line: "-" + line[1:])),
    ("a space in base64", _line(2, lambda line: line[:8] + " " + line[8:])),
    ("a root of 31 bytes", _line(2, lambda line: base64.b64encode(base64.b64decode(line)[:31]).decode())),
    ("a fourth line", _line(2, lambda line: line + "\nmore")),
    ("two lines", lambda text: "".join(text.splitlines(keepends=True)[:2])),
]


def text() -> str:
    """The file."""
    return json.dumps(build(), ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")

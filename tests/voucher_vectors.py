# SPDX-License-Identifier: Apache-2.0
"""Makes tests/vectors/voucher.json, the bytes on which a reader of docs/spec/voucher.md can try itself.

`python -m tests.voucher_vectors` writes the file; a test fails where it is not what `build` gives. The key is published
with its seed, and signs nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import asdict, replace
from typing import Any

from ledger.keys import Signer
from ledger.receipt import base45, unbase45
from merchants.vouchers.format import PREFIX, Voucher, pack, write
from tests.tree import ROOT

FILE = ROOT / "tests/vectors/voucher.json"
SIGNER = Signer("jifen.example", bytes(range(64, 96)))

VOUCHER = Voucher(
    id="red_0123456789abcdef",
    journal="370321002003",
    merchant="mer_0123456789abcdef",
    community="370321002003",
    circle="便民圈",
    title="洗衣液 2 升",
    quantity=2,
    points=2_000,
    cash_fen=250,
    issued=1_637_553_600,
    ends=1_640_102_400,
)
ALONE = replace(VOUCHER, id="red_zyxwvtsrqpnmkjhg", circle="", title="体检一次", quantity=1, points=0, cash_fen=0)


def forged() -> dict[str, str]:
    """What a till and the server take for no voucher of ours, by what was tried."""
    fields, good = pack(VOUCHER), write(pack(VOUCHER), SIGNER)
    public = SIGNER.verifier.public
    message = b"jifen/voucher/1\njifen.example\n" + fields

    def with_(signature: bytes, data: bytes = fields) -> str:
        return PREFIX + base45(data + signature)

    def stretched(signature: bytes) -> bytes:
        """The same signature with the group's order added to its second half."""
        order = 2**252 + 27742317777372353535851937790883648493
        return signature[:32] + (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")

    cut = unbase45(good.removeprefix(PREFIX))
    return {
        "signed by another key": write(fields, Signer("jifen.example", bytes(32))),
        "signed for another deployment": write(fields, Signer("other.example", SIGNER.seed)),
        "signed without its context": with_(SIGNER.sign(fields)),
        "signed as a note": with_(SIGNER.sign(b"jifen.example\n" + fields)),
        "an HMAC under the public key": with_(hmac.digest(public, message, hashlib.sha512)),
        "a digest for a signature": with_(hashlib.sha512(message).digest()),
        "no signature": with_(bytes(64)),
        "a signature stretched by the order of the group": with_(stretched(SIGNER.sign(message))),
        "another journal": with_(cut[-64:], pack(replace(VOUCHER, journal="370321002002"))),
        "a later end": with_(cut[-64:], pack(replace(VOUCHER, ends=VOUCHER.ends + 1))),
        "one byte less": PREFIX + base45(cut[:-1]),
        "one byte more": PREFIX + base45(cut + b"\0"),
        "signed, with a byte more": write(fields + b"\0", SIGNER),
        "signed, and no text": write(b"\0\1\xff" + fields, SIGNER),
        "another prefix": "JF1:" + good.removeprefix(PREFIX),
        "small letters": good.lower(),
        "an empty text": "",
        "the prefix alone": PREFIX,
    }


def build() -> dict[str, Any]:
    good = [
        {"fields": asdict(one), "packed": pack(one).hex(), "text": write(pack(one), SIGNER)} for one in (VOUCHER, ALONE)
    ]
    return {
        "about": "Vouchers as docs/spec/voucher.md has them. The seed is public and signs nothing else.",
        "origin": SIGNER.name,
        "seed": SIGNER.seed.hex(),
        "public": SIGNER.verifier.public.hex(),
        "good": good,
        "forged": [{"what": what, "text": text} for what, text in forged().items()],
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(build(), ensure_ascii=False, indent=1) + "\n", "utf-8")

# SPDX-License-Identifier: Apache-2.0
"""A second reading of docs/spec/seal.md: checks a statement with nothing of ours, as a stranger would write it."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Amounts = dict[tuple[str, str], int]
OWNED = ("subject", "minus", "debt", "merchant", "fund")


class Wrong(Exception):
    """The statement does not hold; the message says where."""


def must(holds: bool, what: str) -> None:
    if not holds:
        raise Wrong(what)


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def canonical(text: str) -> Any:
    value = json.loads(text)
    again = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    must(again == text and isinstance(value, dict), "not canonical")
    return value


def root_of(leaf: bytes, index: int, size: int, proof: list[bytes]) -> bytes:
    """RFC 9162 §2.1.3.2, word for word."""
    must(0 <= index < size, "index outside")
    at, last, found = index, size - 1, leaf
    for sibling in proof:
        must(last > 0, "proof too long")
        if at & 1 or at == last:
            found = sha(b"\1", sibling, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = sha(b"\1", found, sibling)
        at, last = at >> 1, last >> 1
    must(last == 0, "proof too short")
    return found


def seal_of(receipt: str, vkey: str, journal: str) -> dict[str, Any]:
    """The seal entry in a receipt signed by `vkey`."""
    head, _, note = receipt.partition("\n\n")
    first, extra, index, *hashes = head.split("\n")
    must(first == "c2sp.org/tlog-proof@v1" and extra[:6] == "extra " and index[:6] == "index ", "not a receipt")
    body = base64.b64decode(extra[6:], validate=True)
    entry = canonical(body.decode())
    text, _, signed = note.partition("\n\n")
    origin, size, root = text.split("\n")
    leaf, proof = sha(b"\0", body), [base64.b64decode(one, validate=True) for one in hashes]
    must(root_of(leaf, int(index[6:]), int(size), proof) == base64.b64decode(root), "not in the tree")
    name, _, key = vkey.split("+", 2)
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key)[1:])
    line = next(line for line in signed.split("\n") if line.startswith(f"— {name} "))
    try:
        public.verify(base64.b64decode(line.split(" ")[2])[4:], f"{text}\n".encode())
    except InvalidSignature:
        raise Wrong("signature") from None
    must(origin == f"{name}/{journal}" and entry["journal"] == journal, "another journal")
    must(entry["kind"] == "seal" and entry["seq"] == int(index[6:]), "not a seal")
    must(entry["data"]["as_of_size"] <= entry["seq"], "sealed ahead of itself")
    return entry["data"]


def state_of(side: dict[str, Any], seal: dict[str, Any]) -> dict[str, Any]:
    proof = [bytes.fromhex(one) for one in side["proof"]]
    leaf = sha(b"\0", side["state"].encode())
    must(root_of(leaf, side["index"], seal["accounts"], proof).hex() == seal["state_root"], "state not sealed")
    return canonical(side["state"])


def amounts_of(state: dict[str, Any]) -> Amounts:
    places = [(one["unit"], one.get("lot", "9999-12-31")) for one in state["balances"]]
    must(places == sorted(set(places)) and all(one["amount"] for one in state["balances"]), "not a state")
    must(all(one.get("lot") != "9999-12-31" for one in state["balances"]), "not a state")
    return {(one["unit"], one.get("lot", "9999-12-31")): one["amount"] for one in state["balances"]}


def check(statement: dict[str, Any], vkey: str) -> Amounts | None:
    """What the account holds at the end, None where it is shown not to exist. Raises `Wrong`."""
    journal, account = statement["journal"], statement["account"]
    must(statement["v"] == 1 and account.split(":")[0] in OWNED, "not a statement")
    start, end = statement["from"], statement["to"]
    seals = {id(side): seal_of(side["receipt"], vkey, journal) for side in (start, end) if side}
    must(all(side["accounts"] == seals[id(side)]["accounts"] for side in (start, end) if side), "accounts")
    last = seals[id(end)]
    if end["state"] is None:
        return absent(statement, last)
    must(statement["absent"] is None, "absent and there")
    first = state_of(start, seals[id(start)]) if start else {"account": account, "version": 0, "head": "0" * 64}
    final, low = state_of(end, last), seals[id(start)]["as_of_size"] if start else 0
    must(first["account"] == account and final["account"] == account, "another account")
    head, version, held = bytes.fromhex(first["head"]), first["version"], amounts_of(first) if start else {}
    before = low - 1
    for text in statement["entries"]:
        entry = canonical(text)
        must(entry["journal"] == journal and before < entry["seq"] < last["as_of_size"], "entry out of place")
        lines = [line for line in entry["postings"] if line["account"] == account]
        must(bool(lines), "entry of another account")
        for line in lines:
            where = line["unit"], line.get("lot", "9999-12-31")
            held[where] = held.get(where, 0) + line["amount"]
        before, version, head = entry["seq"], version + 1, sha(b"\2", head, sha(b"\0", text.encode()))
    must(head.hex() == final["head"] and version == final["version"], "entries are missing or changed")
    held = {where: amount for where, amount in held.items() if amount}
    must(held == amounts_of(final), "balances do not follow")
    return held


def absent(statement: dict[str, Any], seal: dict[str, Any]) -> None:
    must(statement["from"] is None and not statement["entries"] and not statement["to"]["proof"], "not an absence")
    beside, count = statement["absent"], seal["accounts"]
    places = {state_of(side, seal)["account"]: side["index"] for side in beside}
    below = [index for name, index in places.items() if name < statement["account"]]
    above = [index for name, index in places.items() if name > statement["account"]]
    must(len(below) < 2 and len(above) < 2 and len(below) + len(above) == len(beside), "too many neighbours")
    must((above or [count])[0] == (below or [-1])[0] + 1, "not neighbours")

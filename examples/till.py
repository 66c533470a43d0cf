#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A till that takes vouchers without a network: the reference for whoever writes one.

It needs Python 3.11, `cryptography`, and of Jifen's only the client beside it, for when there is a network.
docs/spec/voucher.md says what it does and why.

    till.py DIR setup URL MERCHANT < KEY   once, with a network: the shop, and the key that signs vouchers
    till.py DIR sign                       with a network: make a key of our own and sign all requests with it
    till.py DIR check VOUCHER              is it good here and now?
    till.py DIR take VOUCHER               the same, and remember it: hand over the goods only after "ok"
    till.py DIR upload                     with a network: everything not yet answered; safe to repeat
    till.py DIR list                       what was taken and what became of it

`-` as VOUCHER reads it from standard input, as a scanner types it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

sys.path.insert(0, str(Path(__file__).resolve().parent / "client"))
from jifen_client import Jifen, Refused, Unanswered

PREFIX = "JV1:"
TEXT_MAX = 4_296
CONTEXT = b"jifen/voucher/1\n"
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
NUMBERS = struct.Struct(">IQQQQ")
BATCH_MAX = 500
DAY = 86_400


# the voucher -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Voucher:
    """What is written in it: texts, then numbers, in this order."""

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


def read(text: str, origin: str, keys: list[bytes]) -> Voucher | None:
    """The voucher, or None for whatever the deployment has not signed as one. Why not is nobody's business."""
    if not text.startswith(PREFIX) or len(text) > TEXT_MAX:
        return None
    data = unbase45(text[len(PREFIX) :])
    if data is None or len(data) < 64:
        return None
    fields, signature = data[:-64], data[-64:]
    message = CONTEXT + origin.encode() + b"\n" + fields
    if not any(signed(key, signature, message) for key in keys):
        return None
    texts, at = [], 0
    try:
        for _ in range(6):
            end = at + 2 + int.from_bytes(fields[at : at + 2], "big")
            texts.append(fields[at + 2 : end].decode())
            at = end
        return Voucher(*texts, *NUMBERS.unpack(fields[at:]))
    except (UnicodeDecodeError, struct.error):
        return None


def signed(key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def unbase45(text: str) -> bytes | None:
    """RFC 9285, and only what an encoder writes."""
    digits = [ALPHABET.find(character) for character in text]
    if -1 in digits or len(digits) % 3 == 1:
        return None
    out = bytearray()
    try:
        for at in range(0, len(digits) - 2, 3):
            out += (digits[at] + 45 * digits[at + 1] + 2025 * digits[at + 2]).to_bytes(2, "big")
        if len(digits) % 3:
            out.append(digits[-2] + 45 * digits[-1])
    except (OverflowError, ValueError):
        return None
    return bytes(out)


# the till --------------------------------------------------------------------------------------------------------


class Till:
    """A folder: `till.json` (who we are), `key`, `taken.jsonl` (one voucher a line; its number is the counter),
    `answers.jsonl`, and `outbox.json` (the batch that is on its way)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.taken: list[dict[str, Any]] = []
        self.answers: dict[int, dict[str, Any]] = {}

    def load(self) -> None:
        self.settings = json.loads((self.folder / "till.json").read_text("utf-8"))
        self.keys = [bytes.fromhex(one) for one in self.settings["keys"]]
        self.taken = lines(self.folder / "taken.jsonl")
        self.answers = {one["counter"]: one for one in lines(self.folder / "answers.jsonl")}

    def verdict(self, text: str, now: float) -> tuple[str, Voucher | None]:
        """`ok`, or why it is not taken: `not_valid`, `other_shop`, `ended`, `clock`, `taken`."""
        voucher = read(text, self.settings["origin"], self.keys)
        if voucher is None:
            return "not_valid", None
        shop = self.settings
        circle = bool(voucher.circle) and (voucher.community, voucher.circle) == (shop["community"], shop["circle"])
        if voucher.merchant != shop["merchant"] and not circle:
            return "other_shop", None
        if any(one["id"] == voucher.id for one in self.taken):
            return "taken", voucher
        if now >= voucher.ends:
            return "ended", voucher
        if now < voucher.issued - DAY:
            return "clock", voucher
        return "ok", voucher

    def take(self, text: str, now: float) -> tuple[str, Voucher | None]:
        """The verdict; after `ok` it is on the disk, and only then may anything be handed over."""
        said, voucher = self.verdict(text, now)
        if said == "ok" and voucher is not None:
            at = datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            line = {"counter": len(self.taken) + 1, "id": voucher.id, "voucher": text, "at": at}
            add(self.folder / "taken.jsonl", line)
            self.taken.append(line)
        return said, voucher

    def outbox(self) -> dict[str, Any] | None:
        """The batch on its way, else the next one; None when there is nothing to send. It is on the disk before it is
        sent: after a lost answer, or a power cut, the very same batch goes out again under the same key."""
        path = self.folder / "outbox.json"
        if path.exists():
            return json.loads(path.read_text("utf-8"))
        waiting = [one for one in self.taken if one["counter"] not in self.answers][:BATCH_MAX]
        if not waiting:
            return None
        names = ("counter", "voucher", "at")
        batch = {"batch": secrets.token_hex(12), "lines": [{name: one[name] for name in names} for one in waiting]}
        replace(path, json.dumps(batch))
        return batch

    def answered(self, batch: str, answer: list[dict[str, Any]]) -> None:
        """Keep what the server said of a batch. The answers are written before the batch is let go: a line that is
        answered twice says the same twice."""
        for one in answer:
            if one["counter"] not in self.answers:
                add(self.folder / "answers.jsonl", one)
                self.answers[one["counter"]] = one
        path = self.folder / "outbox.json"
        if path.exists() and json.loads(path.read_text("utf-8"))["batch"] == batch:
            path.unlink()


def upload(folder: Path) -> None:
    """Everything, batch by batch; vouchers are taken meanwhile. Raises `Unanswered` when the network gives up first."""
    jifen = connected(folder)
    while True:
        with open_till(folder) as till:
            batch = till.outbox()
        if batch is None:
            return
        said = jifen.call("POST", "/v1/voucher-batches", batch, key=batch["batch"])
        with open_till(folder) as till:
            till.answered(batch["batch"], said["lines"])


def connected(folder: Path) -> Jifen:
    """The server, asked as this till; what is asked is signed once the till has a key of its own."""
    url = json.loads((folder / "till.json").read_text("utf-8"))["url"]
    own = folder / "signing.pem"
    return Jifen(url, (folder / "key").read_text("ascii").strip(), signing_key=own if own.exists() else None)


# files -----------------------------------------------------------------------------------------------------------


def lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file. One that a power cut has torn was never answered with "ok", so it is cut off."""
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        with path.open("r+b") as file:
            file.truncate(len(whole))
            os.fsync(file.fileno())
    return [json.loads(line) for line in whole.splitlines()]


def add(path: Path, line: dict[str, Any]) -> None:
    """One more line, on the disk before we go on."""
    with path.open("ab") as file:
        file.write(json.dumps(line).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, text: str, mode: int = 0o600) -> None:
    """A file, whole or not at all."""
    partial = path.with_name(path.name + ".new")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


@contextlib.contextmanager
def open_till(folder: Path) -> Iterator[Till]:
    """The till as it is on the disk, for one process at a time: two must not give the same counter."""
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        till = Till(folder)
        till.load()
        yield till


# the command line ------------------------------------------------------------------------------------------------

SAID = {
    "ok": "ok 可以用，请发货",
    "not_valid": "no 不是有效的兑换券",
    "other_shop": "no 这张券不能在本店用",
    "ended": "no 已经过期",
    "clock": "no 本机时间不对，请先校准",
    "taken": "no 本机已经收过这张券",
}


def main(arguments: list[str]) -> int:
    """What the words say; 0 when it went well."""
    if len(arguments) < 2:
        print(__doc__)
        return 2
    folder, word, rest = Path(arguments[0]), arguments[1], arguments[2:]
    if word == "setup" and len(rest) == 2:
        setup(folder, rest[0].rstrip("/"), rest[1], sys.stdin.read().strip())
        return 0
    if not (folder / "till.json").exists():
        print("先联网设置：till.py DIR setup URL MERCHANT", file=sys.stderr)
        return 2
    if word in ("check", "take") and len(rest) == 1:
        text = sys.stdin.readline().rstrip("\r\n") if rest[0] == "-" else rest[0]
        with open_till(folder) as till:
            said, voucher = (till.take if word == "take" else till.verdict)(text, time.time())
        print(SAID[said])
        if voucher is not None:
            cash = f"另付 {voucher.cash_fen / 100:.2f} 元"
            print(f"{voucher.title} × {voucher.quantity} · {voucher.points / 100:g} 分 · {cash}")
        return 0 if said == "ok" else 1
    if word in ("upload", "sign") and not rest:
        try:
            if word == "upload":
                upload(folder)
            else:
                connected(folder).sign_from_now_on(folder / "signing.pem")
        except (Refused, Unanswered) as error:
            print(f"没有完成，下次接着来：{error}", file=sys.stderr)
            return 1
        print("都传完了" if word == "upload" else "从现在起都签名")
        return 0
    if word == "list" and not rest:
        with open_till(folder) as till:
            for one in till.taken:
                answer = till.answers.get(one["counter"], {"result": "waiting", "reason": None})
                print(one["counter"], one["at"], one["id"], answer["result"], answer["reason"] or "")
        return 0
    print(__doc__)
    return 2


def setup(folder: Path, url: str, merchant: str, token: str) -> None:
    """Ask once, with a network, what the till must know without one. The key comes on standard input: it would be
    seen in a list of processes."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    jifen = Jifen(url, token)
    keys = jifen.call("GET", "/v1/till-keys")
    shop = jifen.call("GET", f"/v1/merchants/{merchant}")
    settings = {"url": url, "merchant": merchant, "community": shop["community"], "circle": shop.get("circle") or ""}
    replace(folder / "key", token)
    replace(folder / "till.json", json.dumps({**settings, "origin": keys["origin"], "keys": keys["keys"]}))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

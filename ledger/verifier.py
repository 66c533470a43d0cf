#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# pyright: basic
# ruff: noqa: UP017, UP036, B905, RUF007, SIM105 (Python 3.9, and no more imports than a receipt needs)
"""verify.py: checks an audit export, a receipt or a statement without the software that made it.

    python3 verify.py [DIR] [--pin FILE]… [--receipt FILE]… [--statement FILE]… [--key VKEY]… [--quick] [--json]

One file, Python 3.9 or later, standard library only. It is a reading of docs/spec/*.md and imports nothing of the
ledger it judges. Order: canonical form, signatures, trees, the form of an entry, what entries do (one journal), what
only shows over all journals, the folder, receipts and statements, the command line.

Memory grows with accounts and what is open. Caps, holds and hold ids are kept in a temporary SQLite file beyond the
first 200,000; the keys of deeds are sorted through a temporary file; entries that a link names are read again from
`entries.jsonl`, found by bisection. Signatures are checked here and not by a library: there are few of them, and so
there is one answer to what a valid signature is on every machine.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import sys

INTEGER_MAX = 2**53 - 1
ENTRY_BYTES_MAX = 65_535
NEVER = "9999-12-31"  # how a posting without a lot sorts
SLACK_US = 6_000_000  # recorded_at stands at most 5 s and a few µs after the clock that decided (entry.md, Fields)
GRACE_DAYS = 30
STANDING, POINTS = "standing", "points"

HINTS = {
    "copy": "fetch the export again; if this stays, the office's own copy was changed: keep this folder as evidence",
    "rule": "ask the office to explain this entry; the rules of docs/spec/entry.md do not allow it",
    "key": "compare keys.json and the checkpoint with a receipt or a printed root that you trust",
    "pin": "do not trust this export; show the pin and the export to the witness or auditor who gave you the pin",
    "file": "check the file or the option; nothing was verified",
}


class Bad(Exception):
    """What was checked does not hold: where, what, and which hint."""

    def __init__(self, what, hint="rule", place=""):
        super().__init__(what)
        self.what, self.hint, self.place = what, hint, place

    def at(self, place):
        self.place = self.place or place
        return self


class Unusable(Exception):
    """An input that cannot be read at all: exit status 2."""


# canonical form (entry.md) ---------------------------------------------------------------------------------------


def _no_fraction(text):
    raise ValueError("a number that is not a whole number")


_decoder = json.JSONDecoder(parse_float=_no_fraction, parse_constant=_no_fraction)
_decode = _decoder.decode
_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def sha256(data):
    return hashlib.sha256(data).digest()


def canonical(value):
    return _encode(value).encode()


def read_canonical(data):
    """The object in canonical bytes; the types of its values are left to the closed field sets, or to `plain`."""
    try:
        text = data.decode()
        value = _decode(text)
        if type(value) is not dict:
            raise Bad("not a JSON object", "copy")
        if _encode(value) != text:
            raise Bad("not in canonical form (order of keys, spaces, escapes, a key twice)", "copy")
    except (ValueError, RecursionError) as error:
        raise Bad(f"not canonical JSON: {str(error)[:120]}", "copy") from None
    return value


def plain(value):
    """Only objects with ASCII keys, arrays, strings and integers in range: for objects whose fields are free."""
    kind = type(value)
    if kind is dict:
        return all(key.isascii() and plain(item) for key, item in value.items())
    if kind is list:
        return all(map(plain, value))
    return kind is str or (kind is int and -INTEGER_MAX <= value <= INTEGER_MAX)


# Ed25519, RFC 8032 §5.1.7, without the cofactor; every encoding strict -------------------------------------------

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_IDENTITY = (0, 1, 1, 0)


def _add(one, two):
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = two
    a, b = (y1 - x1) * (y2 - x2) % _P, (y1 + x1) * (y2 + x2) % _P
    c, d = 2 * t1 * t2 * _D % _P, 2 * z1 * z2 % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _point(data):
    """The point of 32 bytes, or None: y below p, x on the curve, no -0 (§5.1.3)."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= _P:
        return None
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x = u * pow(v, 3, _P) * pow(u * pow(v, 7, _P), (_P - 5) // 8, _P) % _P
    if (v * x * x + u) % _P == 0:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    if (v * x * x - u) % _P or (not x and sign):
        return None
    x = _P - x if x & 1 != sign else x
    return x, y, 1, x * y % _P


def ed25519_valid(public, message, signature):
    """Whether `signature` is that of `public` over `message`. Keys of small order sign nothing."""
    if len(public) != 32 or len(signature) != 64:
        return False
    key, s = _point(public), int.from_bytes(signature[32:], "little")
    if key is None or s >= _L:
        return False
    small = key
    for _ in range(3):
        small = _add(small, small)
    if small[0] == 0 and small[1] == small[2]:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % _L
    base = _point(bytes.fromhex("58" + "66" * 31))
    minus = (_P - key[0], key[1], 1, _P - key[3])
    table = (_IDENTITY, base, minus, _add(base, minus))
    total = _IDENTITY
    for bit in range(252, -1, -1):  # s·B − h·A
        total = _add(total, total)
        which = (s >> bit & 1) | (h >> bit & 1) << 1
        if which:
            total = _add(total, table[which])
    inverse = pow(total[2], _P - 2, _P)
    x, y = total[0] * inverse % _P, total[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little") == signature[:32]


# keys, notes, checkpoints (tree.md) ------------------------------------------------------------------------------


def b64(text):
    """Base64 with its padding and zero unused bits, or Bad."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raw = b""
    if not raw or base64.b64encode(raw).decode() != text:
        raise Bad(f"not base64 in its one spelling: {text[:80]!r}", "copy")
    return raw


def number(text):
    if not re.fullmatch(r"0|[1-9][0-9]{0,15}", text):
        raise Bad(f"not a plain decimal number: {text[:40]!r}", "copy")
    return int(text)


class Key:
    """A public key from a vkey string: `name`, key `id`, `kind` 1 (signs) or 4 (cosigns), `public`."""

    def __init__(self, text):
        match = re.fullmatch(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)", text) if type(text) is str else None
        raw = b64(match.group(3)) if match else b""
        if not match or len(raw) != 33 or raw[0] not in (1, 4):
            raise Bad(f"not a key (a vkey string is name+id+base64): {str(text)[:80]}", "key")
        self.text, self.name, self.kind, self.public = text, match.group(1), raw[0], raw[1:]
        self.id = sha256(self.name.encode() + b"\n" + raw)[:4]
        if self.id.hex() != match.group(2):
            raise Bad(f"the id of key {self.name} is not that of its bytes", "key")

    def __eq__(self, other):
        return self.text == other.text

    def __hash__(self):
        return hash(self.text)

    def valid(self, text, raw):
        if self.kind == 1:
            return ed25519_valid(self.public, text.encode(), raw)
        if len(raw) != 72:
            return False
        said = b"cosignature/v1\ntime %d\n" % int.from_bytes(raw[:8], "big")
        return ed25519_valid(self.public, said + text.encode(), raw[8:])


class Note:
    """A signed note: `text`, and `lines` of (name, key id, signature)."""

    def __init__(self, data):
        try:
            whole = data.decode()
        except UnicodeDecodeError:
            raise Bad("a note that is not UTF-8", "copy") from None
        head, blank, tail = whole.rpartition("\n\n")
        self.text, lines = head + "\n", tail.split("\n")
        if (
            not blank
            or not head
            or lines.pop()
            or not 0 < len(lines) <= 64
            or re.search(r"[\x00-\x09\x0b-\x1f]", whole)
        ):
            raise Bad("not a signed note (text, empty line, 1 to 64 signature lines)", "copy")
        self.lines = []
        for line in lines:
            match = re.fullmatch(r"— ([^\s+]+) (\S+)", line)
            raw = b64(match.group(2)) if match else b""
            if match is None or len(raw) < 5:
                raise Bad(f"not a signature line: {line[:80]!r}", "copy")
            self.lines.append((match.group(1), raw[:4], raw[4:]))

    def signers(self, keys):
        """(those of `keys` that signed, names of the others). Bad when one that is known does not verify."""
        known = {(key.name, key.id): key for key in keys}
        signed, others = [], []
        for name, id_, raw in self.lines:
            key = known.get((name, id_))
            if key is None:
                others.append(name)
            elif key.valid(self.text, raw):
                signed.append(key)
            else:
                raise Bad(f"the signature of {name} does not verify", "key")
        return signed, others


class Checkpoint:
    def __init__(self, note):
        lines = note.text.split("\n")
        if len(lines) != 4 or not lines[0]:
            raise Bad("not a checkpoint (origin, size, root)", "copy")
        self.note, self.origin, self.size, self.root = note, lines[0], number(lines[1]), b64(lines[2])
        if len(self.root) != 32:
            raise Bad("a root of other than 32 bytes", "copy")


# trees (RFC 9162 §2.1) -------------------------------------------------------------------------------------------


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """The roots of the complete subtrees of what was added so far, largest first."""

    def __init__(self, leaves=()):
        self.size, self.parts = 0, []
        for leaf in leaves:
            self.add(leaf)

    def add(self, leaf):
        n, parts = self.size, self.parts
        while n & 1:
            leaf = hashlib.sha256(b"\x01" + parts.pop() + leaf).digest()
            n >>= 1
        parts.append(leaf)
        self.size += 1

    def root(self):
        if not self.parts:
            return sha256(b"")
        root = self.parts[-1]
        for left in self.parts[-2::-1]:
            root = node(left, root)
        return root


def root_of_inclusion(leaf, index, size, proof):
    """§2.1.3.2; Bad when the proof has a hash too many or too few."""
    if not 0 <= index < size:
        raise Bad(f"index {index} is not below size {size}", "copy")
    at, last, root = index, size - 1, leaf
    for sibling in proof:
        if not last:
            raise Bad("the proof has a hash too many", "copy")
        if at & 1 or at == last:
            root = node(sibling, root)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            root = node(root, sibling)
        at, last = at >> 1, last >> 1
    if last:
        raise Bad("the proof has a hash too few", "copy")
    return root


# the form of an entry (entry.md, Fields) -------------------------------------------------------------------------

_hex64 = re.compile(r"[0-9a-f]{64}").fullmatch
_hex32 = re.compile(r"[0-9a-f]{32}").fullmatch
_instant = re.compile(r"\d{4}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z", re.ASCII).fullmatch
_good_days = set()


def text_(v):
    return type(v) is str and v != ""


def hex_(v):
    return type(v) is str and _hex64(v) is not None


def nonce_(v):
    return type(v) is str and _hex32(v) is not None


def int_(v):
    return type(v) is int and -INTEGER_MAX <= v <= INTEGER_MAX


def count_(v):
    return type(v) is int and 0 <= v <= INTEGER_MAX


def day_(v):
    if type(v) is not str:
        return False
    if v in _good_days:
        return True
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", v, re.ASCII):
        return False
    import datetime

    try:
        datetime.date.fromisoformat(v)
    except ValueError:
        return False
    _good_days.add(v)
    return True


def instant_(v):
    return type(v) is str and _instant(v) is not None and day_(v[:10])


def object_(v):
    return type(v) is dict and plain(v)


def digests_(v):
    return type(v) is list and all(map(hex_, v))


def vkey_(v):
    try:
        return type(v) is str and bool(Key(v))
    except Bad:
        return False


def one_of(*values):
    return lambda v: type(v) in (str, int) and v in values


one_, zero_ = one_of(1), one_of(0)
_POSTING = {
    ("account", "amount", "unit"): False,
    ("account", "amount", "lot", "unit"): True,
}


def postings_(v):
    if type(v) is not list:
        return False
    for line in v:
        if type(line) is not dict:
            return False
        dated = _POSTING.get(tuple(line))
        if (
            dated is None
            or type(line["account"]) is not str
            or type(line["amount"]) is not int
            or not 0 < abs(line["amount"]) <= INTEGER_MAX
            or line["unit"] not in (STANDING, POINTS)
            or (dated and (not day_(line["lot"]) or line["lot"] == NEVER))
        ):
            return False
    return True


def caps_(v):
    if type(v) is not list:
        return False
    for cap in v:
        if type(cap) is not dict or tuple(cap) != ("from", "id", "let", "limit", "to", "used_before"):
            return False
        if not (text_(cap["id"]) and day_(cap["from"]) and day_(cap["to"]) and cap["from"] <= cap["to"]):
            return False
        if not (int_(cap["limit"]) and int_(cap["used_before"]) and int_(cap["let"])):
            return False
    return True


_RELS = ("hold", "reverses", "replaces", "moved_from", "released_from")


def links_(v):
    if type(v) is not list:
        return False
    for link in v:
        if type(link) is not dict or tuple(k for k in link if k != "journal") != ("leaf", "rel", "seq"):
            return False
        if not (
            hex_(link["leaf"]) and link["rel"] in _RELS and count_(link["seq"]) and text_(link.get("journal", "-"))
        ):
            return False
    return True


COMMON = {
    "actor": text_, "caps": caps_, "evidence": digests_, "journal": text_, "kind": text_, "links": links_,
    "nonce": nonce_, "occurred_on": day_, "postings": postings_, "prev": hex_, "recorded_at": instant_,
    "request": hex_, "seq": count_, "txn": text_, "v": one_,
}  # fmt: skip
SOMETIMES = {
    "cause": hex_, "group": one_of(*(f"G{n}" for n in range(1, 9))), "memo": hex_, "pack": hex_, "place": text_,
    "rule": text_, "subject": text_, "trace": hex_,
}  # fmt: skip
_TERMS = {"scenario?": text_, "fen_per_point?": count_}
_SCORED = ("group", "pack", "place", "rule", "subject")
# kind → (fields it has besides COMMON, the forms of its data; a field with ? may be absent, {} is no data). `memo` may
# always stand.
KINDS = {
    "open": ((), [{"origin": text_, "vkey": vkey_, "recovery": vkey_, "policy": object_}]),
    "open account": (("subject",), [{"kind": one_of("person", "body"), "base": count_}]),
    "policy": ((), [{"takeover": zero_}, {"loss": object_}]),
    "award": ((*_SCORED, "cause", "trace"), [{"takeover?": one_}]),
    "deduct": ((*_SCORED, "cause", "trace"), [{"takeover?": one_}]),
    "hold": (("subject",), [{"expires_at": instant_}]),
    "capture": ((), [_TERMS]),
    "release": (("subject",), [{"expired?": one_, "to?": text_}]),
    "refund": ((), [_TERMS]),
    "void": ((), [_TERMS]),
    "reverse": (_SCORED, [{
        "policy": one_of("only_available", "within_balance", "allow_debt"), "shortfall": count_, "lapsed": count_,
        "reason?": text_,
    }]),
    "expire": (("subject",), [{}]),
    "relot": (("subject",), [{"reason": text_}]),
    "settle": ((), []),
    "move": (("subject",), [
        {"to": text_, "tallies": hex_}, {"from": text_, "kind": one_of("person", "body"), "tallies": hex_},
        {"from": text_},
    ]),
    "key": ((), [{"vkey": vkey_, "authority": one_of("signing", "recovery")}]),
    "seal": ((), [{"as_of_size": count_, "state_root": hex_, "accounts": count_}]),
    "erase": (("subject",), [{}]),
}  # fmt: skip
_shapes = {}  # (kind, field names, data field names) that were found good → the checks of the data


def _data_checks(kind, names):
    for form in KINDS[kind][1]:
        checks = {name.rstrip("?"): check for name, check in form.items()}
        must = {name for name in form if not name.endswith("?")}
        if must <= set(names) <= set(checks):
            return [(name, checks[name]) for name in names]
    raise Bad(f"data has other fields than a {kind} entry may have: {', '.join(names) or 'none'}")


def _shape(entry, kind):
    if kind not in KINDS:
        raise Bad(f"kind {kind!r} is not written by version 1")
    fields, forms = KINDS[kind]
    names, must = set(entry), set(COMMON) | set(fields)
    allowed = must | {"memo"} | ({"data"} if forms != [{}] else set())
    if not must <= names <= allowed:
        wrong = sorted(must - names) or sorted(names - allowed)
        raise Bad(f"a field is missing or too many in this {kind} entry: {', '.join(wrong)}")
    data = entry.get("data", {})
    if type(data) is not dict or ("data" in entry and not data):
        raise Bad("data is not an object with fields")
    if kind == "settle":
        if "data" not in entry or not plain(data):
            raise Bad("data of a settle entry is not an object of strings and integers")
        return None
    return _data_checks(kind, tuple(data))


def check_form(entry):
    """Closed field sets and types; Bad names the field."""
    kind, data = entry.get("kind"), entry.get("data")
    if kind == "open" and "subject" in entry:
        kind = "open account"
    key = (kind if type(kind) is str else None, tuple(entry), tuple(data) if type(data) is dict else None)
    checks = _shapes.get(key)
    if checks is None:
        inner = _shape(entry, key[0])
        both = {**COMMON, **SOMETIMES}
        checks = ([(name, both[name]) for name in entry if name != "data"], inner)
        if kind != "settle":
            _shapes[key] = checks
    for name, check in checks[0]:
        if not check(entry[name]):
            raise Bad(f"field {name} is not what it must be: {_encode(entry[name])[:100]}")
    for name, check in checks[1] or ():
        if not check(data[name]):
            raise Bad(f"field data.{name} is not what it must be: {_encode(data[name])[:100]}")


_STR, _HEX, _DAY, _INT = r'"[^"\\\x00-\x1f]+"', '"[0-9a-f]{64}"', r'"\d{4}-\d\d-\d\d"', r"(?:0|-?[1-9]\d{0,14})"
_SIZE = r"(?:0|[1-9]\d{0,14})"
_UTC = r'"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z"'


def _list(item):
    return rf"\[(?:{item}(?:,{item})*)?\]"


_CAP = rf'\{{"from":{_DAY},"id":{_STR},"let":{_INT},"limit":{_INT},"to":{_DAY},"used_before":{_INT}\}}'
_LINK = rf'\{{(?:"journal":{_STR},)?"leaf":{_HEX},"rel":{_STR},"seq":{_SIZE}\}}'
_LINE = rf'\{{"account":{_STR},"amount":-?[1-9]\d{{0,14}},(?:"lot":{_DAY},)?"unit":"(?:points|standing)"\}}'
_DATA = rf'\{{(?:"takeover":1|"expires_at":{_UTC}|"fen_per_point":{_SIZE},"scenario":{_STR})\}}'
_IN_ORDER = [
    ("actor", _STR), ("caps", _list(_CAP)), ("cause?", _HEX), ("data?", _DATA), ("evidence", _list(_HEX)),
    ("group?", '"G[1-8]"'), ("journal", _STR), ("kind", '"[a-z]+"'), ("links", _list(_LINK)), ("memo?", _HEX),
    ("nonce", '"[0-9a-f]{32}"'), ("occurred_on", _DAY), ("pack?", _HEX), ("place?", _STR), ("postings", _list(_LINE)),
    ("prev", _HEX), ("recorded_at", _UTC), ("request", _HEX), ("rule?", _STR), ("seq", _SIZE), ("subject?", _STR),
    ("trace?", _HEX), ("txn", _STR),
]  # fmt: skip
# What nearly every entry looks like: canonical and of the right types, for a tenth of what it costs to find that out
# piece by piece. What does not match is looked at again by the rules above, which have the last word.
_usual = re.compile(
    r"\{"
    + "".join(f'(?:"{n[:-1]}":{form},)?' if n.endswith("?") else f'"{n}":{form},' for n, form in _IN_ORDER)
    + r'"v":1\}',
    re.ASCII,
).fullmatch


def _read_usual(line):
    """The entry, if it is in the usual form and its days are days; else None."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return None
    if _usual(text) is None:
        return None
    entry = _decoder.raw_decode(text)[0]
    kind = entry["kind"]
    if (kind, tuple(entry), tuple(entry["data"]) if "data" in entry else None) not in _shapes or kind == "open":
        return None
    good = _good_days
    if any(link["rel"] not in _RELS for link in entry["links"]):
        return None
    if entry["occurred_on"] not in good or entry["recorded_at"][:10] not in good:
        return None
    for cap in entry["caps"]:
        if cap["from"] not in good or cap["to"] not in good or cap["from"] > cap["to"]:
            return None
    for posting in entry["postings"]:
        lot = posting.get("lot")
        if lot is not None and (lot not in good or lot == NEVER):
            return None
    return entry if kind != "hold" or entry["data"]["expires_at"][:10] in good else None


def read_entry(line):
    """The entry in a line without its line feed."""
    if len(line) > ENTRY_BYTES_MAX:
        raise Bad("longer than 65,535 bytes", "copy")
    entry = _read_usual(line)
    if entry is None:
        entry = read_canonical(line)
        check_form(entry)
    return entry


# reading entries of a folder -------------------------------------------------------------------------------------


class Lines:
    """`entries.jsonl` of one journal, for the few entries that others link to."""

    def __init__(self, folder, journal):
        import mmap

        self.path = os.path.join(folder, journal, "entries.jsonl")
        with open(self.path, "rb") as file:
            self.size = os.path.getsize(self.path)
            self.map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if self.size else b""

    def at(self, seq):
        """The line of an entry without its line feed, or None: bisection, since seq rises."""
        low, high = 0, self.size
        while low < high:
            start = self.map.rfind(b"\n", low, (low + high) // 2) + 1 or low
            end = self.map.find(b"\n", start)
            end = self.size if end < 0 else end
            line = self.map[start:end]
            try:
                found = _decode(line.decode())["seq"]
                if found == seq:
                    return line
                after = found > seq
            except (ValueError, RecursionError, KeyError, TypeError):
                return None
            if after:
                high = start
            else:
                low = end + 1
        return None

    def marked(self, mark):
        """The lines that contain `mark`."""
        where = self.map.find(mark) if self.size else -1
        while where >= 0:
            end = self.map.find(b"\n", where)
            end = self.size if end < 0 else end
            yield self.map[self.map.rfind(b"\n", 0, where) + 1 : end]
            where = self.map.find(mark, end)


class Spill:
    """A dictionary that goes to a temporary SQLite file when it grows."""

    LIMIT = 200_000

    def __init__(self):
        self.hot, self.file = {}, None

    def get(self, key):
        found = self.hot.get(key)
        if found is None and self.file is not None:
            row = self.file.execute("SELECT v FROM s WHERE k = ?", (key,)).fetchone()
            if row is not None:
                found = self.hot[key] = json.loads(row[0])
        return found

    def put(self, key, value):
        self.hot[key] = value
        if len(self.hot) > self.LIMIT:
            self._flush()

    def _flush(self):
        if self.file is None:
            import sqlite3

            self.file = sqlite3.connect("")  # a temporary file that SQLite removes by itself
            self.file.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-65536;")
            self.file.execute("CREATE TABLE s (k TEXT PRIMARY KEY, v TEXT) WITHOUT ROWID")
        rows = ((key, json.dumps(value)) for key, value in sorted(self.hot.items()))
        self.file.executemany("INSERT OR REPLACE INTO s VALUES (?, ?)", rows)
        self.hot.clear()

    def under(self, prefix):
        """(key without prefix, value) of every key that begins with `prefix`."""
        found = {}
        if self.file is not None:
            rows = self.file.execute("SELECT k, v FROM s WHERE k >= ? AND k < ?", (prefix, prefix + "\U0010ffff"))
            found = {key: json.loads(value) for key, value in rows}
        found.update((key, value) for key, value in self.hot.items() if key.startswith(prefix))
        return [(key[len(prefix) :], value) for key, value in found.items()]


# what entries do: one journal (entry.md, Postings to Checking a journal; seal.md) --------------------------------

ISSUER, EXPIRED, REDEEMED = "issuer", "expired", "redeemed"
_ZONES = {"Asia/Shanghai": 8, "Asia/Urumqi": 6}  # for machines without a time zone database
OWNED = ("subject", "minus", "debt", "merchant", "fund")
_SIGN = {"subject": 1, "held": 1, "merchant": 1, "fund": 1, "redeemed": 1, "minus": -1, "debt": -1}
_TODAY_MATTERS = {"hold", "release", "refund", "void", "reverse", "expire", "relot"}


class Book:
    """Balances, members, holds and caps of one journal; `take` checks the next entry against them."""

    def __init__(self, journal, linked):
        self.journal, self.linked = journal, linked  # linked(journal, seq, leaf) → entry, or None where not exported
        self.size, self.prev, self.at = 0, "", ""
        self.balances = {}  # account → {(unit, lot): amount}, what is not zero
        self.owned = {}  # account → [version, head]
        self.touched, self.states = set(), {}  # accounts changed since the last seal; account → leaf of its state
        self.members = {}  # subject → (kind, open | moved | erased, number of the stay)
        self.store = Spill()  # "h" holds by seq, "i" hold ids, "t" what caps have counted
        self.assumed = {}  # (subject, stay) → {(cap, from): (used before, seq)} for stays that began with a move
        self.reversed = {}  # (journal, seq) → seq of the reversal
        self.replaced = []  # [journal and seq of the award that was replaced, seq of the one that took its place]
        self.pending = None  # (hold, lots, txn): the release that must follow a refund
        self.genesis, self.keys, self.recovery, self.takeover = None, [], None, 0
        self.seal_sizes, self.sealed_to, self.folding = {}, -1, False
        self.packs = {}  # pack → the first seq that names it
        self.outs, self.ins = [], []  # moves and releases that cross journals, for `across`
        self.gone = []
        self.counts, self.unlinked = {}, 0
        self._minute, self._day, self.zone = "", "", None

    # small things

    def lots(self, account, unit):
        """[(lot, amount)] in ascending order of the day."""
        found = self.balances.get(account)
        return sorted((lot, n) for (u, lot), n in found.items() if u == unit) if found else []

    def open_member(self, subject):
        member = self.members.get(subject)
        if member is None or member[1] != "open":
            raise Bad(f"subject {subject} has no open account here ({member[1] if member else 'never opened'})")
        return member

    def day(self, at, back_us=0):
        """The day of an instant in the journal's zone."""
        if not back_us and at[:16] == self._minute:
            return self._day
        import datetime as dt

        moment = dt.datetime.fromisoformat(at[:-1]) - dt.timedelta(microseconds=back_us)
        local = moment.replace(tzinfo=dt.timezone.utc).astimezone(self.zone).date().isoformat()
        if not back_us:
            self._minute, self._day = at[:16], local
        return local

    def hold_of(self, entry):
        """The hold that an entry links to, as [seq, id, subject, expires_at, state, grace, held, captured]."""
        link = entry["links"][0]
        hold = self.store.get(f"h{link['seq']}")
        if hold is None or hold[8] != link["leaf"]:
            raise Bad("the link names no hold of this journal by its leaf")
        return hold

    # the next entry

    def take(self, entry, leaf):
        """Check one entry in its place and let it act. Its form has been checked."""
        kind = entry["kind"]
        if entry["recorded_at"] <= self.at:
            raise Bad(f"recorded_at does not rise: {entry['recorded_at']} after {self.at}")
        if (self.size == 0) != (kind == "open" and "subject" not in entry):
            raise Bad("entry 0 opens the journal, and no other")
        if self.pending and kind != "release":
            raise Bad("the entry after a refund or void is not the release that passes it on")
        delta = self._delta(entry["postings"])
        if (entry["links"][0]["rel"] if entry["links"] else "") not in _LINKS.get(kind, ("",)) or len(
            entry["links"]
        ) > 1:
            raise Bad(f"a {kind} entry has no such links")
        for link in entry["links"]:
            if link.get("journal") == self.journal or ("journal" in link and link["rel"] == "hold"):
                raise Bad("the link of this entry names a journal and must not")
            if "journal" not in link and link["seq"] >= self.size:
                raise Bad("the link names an entry that is not earlier")
        if entry["caps"] and kind not in ("award", "deduct", "reverse"):
            raise Bad(f"caps in a {kind} entry")
        step = getattr(self, "_" + kind)
        if kind in _TODAY_MATTERS:
            today = self.day(entry["recorded_at"])
            try:
                act = step(entry, delta, today)
            except Bad:
                before = self.day(entry["recorded_at"], SLACK_US)
                if before == today:
                    raise
                act = step(entry, delta, before)  # just after midnight: the clock that decided may have stood before it
        else:
            act = step(entry, delta)
        self._apply(delta, entry["postings"], leaf)
        if act is not None:
            act(leaf)
        self.size += 1
        self.at = entry["recorded_at"]
        self.counts[kind] = self.counts.get(kind, 0) + 1

    def _delta(self, postings):
        """{(account, unit, lot): amount} without zeros; per unit the amounts sum to zero."""
        delta, standing, points = {}, 0, 0
        for line in postings:
            amount, unit = line["amount"], line["unit"]
            key = (line["account"], unit, line.get("lot", NEVER))
            delta[key] = delta.get(key, 0) + amount
            if unit == STANDING:
                standing += amount
            else:
                points += amount
        if standing or points:
            raise Bad(f"postings do not sum to zero (standing {standing}, points {points})")
        return {key: amount for key, amount in delta.items() if amount}

    def _apply(self, delta, postings, leaf):
        for (account, unit, lot), amount in delta.items():
            balance = self.balances.get(account)
            if balance is None:
                balance = self.balances[account] = {}
            total = balance.get((unit, lot), 0) + amount
            if total < 0 or account[0] in "dm":
                role = account.partition(":")[0]
                if abs(total) > INTEGER_MAX or total * _SIGN.get(role, 0) < 0:
                    raise Bad(f"{account} in {unit}, lot {lot}, would be {total}")
            if total:
                balance[unit, lot] = total
            else:
                balance.pop((unit, lot), None)
                if not balance:
                    del self.balances[account]
        if not self.folding:
            return
        for account in {line["account"] for line in postings}:
            if account.partition(":")[0] in OWNED:
                state = self.owned.setdefault(account, [0, bytes(32)])
                state[0] += 1
                state[1] = hashlib.sha256(b"\x02" + state[1] + leaf).digest()
            self.touched.add(account)

    def _expect(self, delta, want, what):
        want = {key: amount for key, amount in want.items() if amount}
        if delta != want:
            wrong = sorted(set(delta.items()) ^ set(want.items()))
            account, unit, lot = wrong[0][0]
            here, due = delta.get((account, unit, lot), 0), want.get((account, unit, lot), 0)
            raise Bad(f"postings are not those of {what}: {account} {unit} lot {lot} has {here}, not {due}")

    def _count(self, entry, member, reverse_of=None):
        """Check the caps of an entry; what they count to afterwards, as [(key, used)]."""
        subject, stay, after = entry["subject"], member[2], {}
        if reverse_of is not None:
            stated = [(c["id"], c["from"], c["to"], c["limit"], c["let"]) for c in entry["caps"]]
            due = [(c["id"], c["from"], c["to"], c["limit"], -c["let"]) for c in reverse_of["caps"] if c["let"]]
            if stated != due:
                raise Bad("caps do not give back what the reversed award had counted")
        for cap in entry["caps"]:
            window = cap["id"] + "\0" + cap["from"]
            key = f"t{subject}\0{stay}\0{window}"
            used = self.store.get(key)
            if used is None:
                used = 0
                if stay:  # moved here: what it brought along is compared in `across`
                    used = cap["used_before"]
                    self.assumed.setdefault((subject, stay), {})[cap["id"], cap["from"]] = (used, self.size)
            if key in after:
                raise Bad(f"cap {cap['id']} counts twice")
            if cap["used_before"] != used:
                raise Bad(f"cap {cap['id']}: used_before is {cap['used_before']}, but {used} had been counted")
            if reverse_of is None:
                if not cap["from"] <= entry["occurred_on"] <= cap["to"]:
                    raise Bad(f"cap {cap['id']}: the day of the deed is outside its window")
                if cap["let"] < 0 or (cap["let"] and used + cap["let"] > cap["limit"]):
                    raise Bad(f"cap {cap['id']} lets through more than its limit")
            after[key] = used + cap["let"]
        return after

    def _counted(self, after):
        for key, used in after.items():
            self.store.put(key, used)

    # kinds; each checks first and returns what is to be done once the postings have been applied

    def _open(self, entry, delta):
        data = entry["data"]
        if "subject" in entry:
            subject = entry["subject"]
            if subject in self.members:
                raise Bad(f"subject {subject} has an account here already")
            want = {(ISSUER, STANDING, NEVER): -data["base"], ("subject:" + subject, STANDING, NEVER): data["base"]}
            self._expect(delta, want, "opening an account")
            self.members[subject] = (data["kind"], "open", 0)
            return None
        self._expect(delta, {}, "opening a journal")
        policy, key, recovery = data["policy"], Key(data["vkey"]), Key(data["recovery"])
        stated = {name: data[name] for name in ("origin", "policy", "recovery", "vkey")}
        if entry["prev"] != sha256(b"jifen/genesis/1\n" + canonical(stated)).hex():
            raise Bad("prev is not the hash of origin, policy, recovery and vkey", "copy")
        if key.kind != 1 or data["origin"] != key.name + "/" + self.journal or recovery.name != key.name + "/recovery":
            raise Bad("origin, vkey and recovery are not <deployment>/<journal>, <deployment>, <deployment>/recovery")
        if not text_(policy.get("zone")) or policy.get("takeover") not in (0, 1):
            raise Bad("policy names no zone or no takeover")
        self.genesis, self.recovery, self.keys = data, recovery, [(0, key, "")]
        self.zone, self.takeover = _zone(policy["zone"]), policy["takeover"]
        return None

    def _policy(self, entry, delta):
        self._expect(delta, {}, "a policy")
        loss = entry["data"].get("loss")
        if loss is None:
            if not self.takeover:
                raise Bad("the take-over window is closed already")
            self.takeover = 0
            return
        if (
            sorted(loss) != ["log", "reason", "root", "signature", "size"]
            or not count_(loss["size"])
            or not hex_(loss["root"])
        ):
            raise Bad("loss is not log, reason, root, signature and size")
        said = {name: loss[name] for name in ("log", "reason", "root", "size")}
        assert self.recovery is not None
        message = b"jifen/loss/1\n" + canonical(said)
        if not ed25519_valid(self.recovery.public, message, b64(loss["signature"])):
            raise Bad("the recovery key has not accepted this loss", "key")

    def _key(self, entry, delta):
        self._expect(delta, {}, "a key")
        key, before = Key(entry["data"]["vkey"]), self.keys[-1][1]
        if key.kind != 1 or key.name != before.name or key.id == before.id:
            raise Bad("the new key has another name or the same id")
        self.keys.append((self.size, key, entry["data"]["authority"]))

    def _award(self, entry, delta):
        subject, deduct = entry["subject"], entry["kind"] == "deduct"
        member = self.open_member(subject)
        if bool(self.takeover) != ("data" in entry):
            raise Bad("takeover must stand in an award exactly while the take-over window is open")
        number = int(entry["cause"][:4], 16)
        if number != 65_535 and number != _day_number(entry["occurred_on"]) % 65_535:
            raise Bad("cause begins with another day than occurred_on")
        account, want = ("minus:" if deduct else "subject:") + subject, {}
        standing = -delta.get((ISSUER, STANDING, NEVER), 0)
        points = -delta.get((ISSUER, POINTS, NEVER), 0)
        if deduct and (member[0] != "body" or standing >= 0 or points):
            raise Bad("a deduction takes standing, and from a body only")
        if not deduct and (standing < 0 or points < 0):
            raise Bad("an award takes something away")
        repaid = 0
        if points and member[0] == "body":
            for lot, owed in self.lots("debt:" + subject, POINTS):
                want["debt:" + subject, POINTS, lot] = min(points - repaid, -owed)
                repaid += min(points - repaid, -owed)
        for unit, total, rest in ((STANDING, standing, standing), (POINTS, points, points - repaid)):
            want[ISSUER, unit, NEVER] = -total
            lots = [lot for name, u, lot in delta if name == account and u == unit]
            if rest and len(lots) == 1:
                want[account, unit, lots[0]] = rest
            elif rest or lots:
                raise Bad("an award goes to one lot in each unit")
        self._expect(delta, want, "an award (debt is repaid first)" if repaid else "this kind of award")
        after = self._count(entry, member)
        if entry["links"]:
            link = entry["links"][0]
            where = (link.get("journal", self.journal), link["seq"])
            old = self.linked(*where, link["leaf"])
            if old is None:
                self.unlinked += 1
            elif old["kind"] not in ("award", "deduct") or (old["subject"], old["rule"]) != (subject, entry["rule"]):
                raise Bad("replaces no award of this subject under this rule")
            elif where[0] == self.journal and where not in self.reversed and not member[2]:
                raise Bad("replaces an award that has not been reversed")
            self.replaced.append([list(where), self.size])
        self.packs.setdefault(entry["pack"], self.size)
        self._counted(after)

    _deduct = _award

    def _hold(self, entry, delta, today):
        subject = entry["subject"]
        self.open_member(subject)
        if self.lots("debt:" + subject, POINTS):
            raise Bad("points are held while a debt stands")
        accounts = {name for name, _, _ in delta if name.startswith("held:")}
        amount = sum(n for (name, _, _), n in delta.items() if name in accounts)
        if len(accounts) != 1 or amount <= 0:
            raise Bad("a hold sets points aside in one held: account")
        (held,) = accounts
        if self.store.get("i" + held) is not None:
            raise Bad(f"the hold {held} was opened before")
        chosen = _earliest([(lot, n) for lot, n in self.lots("subject:" + subject, POINTS) if lot >= today], amount)
        want = {("subject:" + subject, POINTS, lot): -n for lot, n in chosen}
        want.update(((held, POINTS, lot), n) for lot, n in chosen)
        self._expect(delta, want, "a hold (lots that have not lapsed, earliest first)")

        def act(leaf):
            lots = dict(chosen)
            hold = [self.size, held, subject, entry["data"]["expires_at"], "held", "", lots, {}, leaf.hex()]
            self.store.put(f"h{self.size}", hold)
            self.store.put("i" + held, self.size)

        return act

    def _capture(self, entry, delta):
        hold = self.hold_of(entry)
        seq, held, _, expires_at, state, _, lots, captured, _ = hold
        if state != "held":
            raise Bad("the hold is closed: nothing is left to capture")
        if _microseconds(entry["recorded_at"]) >= _microseconds(expires_at) + SLACK_US:
            raise Bad(f"captured after the hold ran out at {expires_at}")
        merchant, amount = _merchant(delta)
        chosen = _earliest(sorted(lots.items()), amount)
        want = {(held, POINTS, lot): -n for lot, n in chosen}
        want[merchant, POINTS, NEVER] = amount
        if amount <= 0:
            raise Bad("captures nothing")
        self._expect(delta, want, "a capture (what the hold has left, earliest lots first)")
        for lot, n in chosen:
            lots[lot] -= n
            captured[lot] = captured.get(lot, 0) + n
        hold[4] = "held" if any(lots.values()) else "closed"
        self.store.put(f"h{seq}", hold)

    def _refund(self, entry, delta, today):
        hold = self.hold_of(entry)
        seq, held, _, _, _, grace, _, captured, _ = hold
        merchant, amount = _merchant(delta)
        taken = _earliest(sorted(captured.items(), reverse=True), -amount)
        if amount >= 0 or sum(n for _, n in taken) != -amount:
            raise Bad("returns more than was captured and not yet returned")
        back = {}
        for lot, n in taken:
            if lot < today:
                lot = grace = grace or _later(today, GRACE_DAYS)
            back[lot] = back.get(lot, 0) + n
        want = {(held, POINTS, lot): n for lot, n in back.items()}
        want[merchant, POINTS, NEVER] = amount
        self._expect(delta, want, "a refund (latest lots first; lapsed ones get one new day)")

        def act(leaf):
            for lot, n in taken:
                captured[lot] -= n
            hold[5] = grace
            self.store.put(f"h{seq}", hold)
            self.pending = (seq, back, entry["txn"])

        return act

    _void = _refund

    def _release(self, entry, delta, today):
        hold, data = self.hold_of(entry), entry.get("data", {})
        seq, held, subject, expires_at, state, _, lots, _, _ = hold
        expired = "expired" in data
        back = {lot: n for lot, n in lots.items() if n}
        if self.pending:
            if (self.pending[0], self.pending[2]) != (seq, entry["txn"]) or expired:
                raise Bad("the entry after a refund or void is not the release that passes it on")
            back = self.pending[1]
        elif not back:
            raise Bad("the hold has nothing left to release")
        if expired and (state != "held" or entry["recorded_at"] < expires_at):
            raise Bad(f"released as run out before {expires_at}")
        if entry["subject"] != subject:
            raise Bad("releases to another subject than the hold's")
        where, to = self.members[subject][1], data.get("to")
        good, unclaimed = {lot: n for lot, n in back.items() if lot >= today}, False
        if to is not None and (where != "moved" or not good or to == self.journal):
            raise Bad("to names a journal although the subject is here, or nothing good is left")
        if where == "erased" or (where == "moved" and to is None):
            unclaimed, good = where == "moved" and bool(good), {}
        want = {(held, POINTS, lot): -n for lot, n in back.items()}
        want[EXPIRED, POINTS, NEVER] = sum(n for lot, n in back.items() if lot not in good)
        if to is None:
            want.update((("subject:" + subject, POINTS, lot), n) for lot, n in good.items())
        else:
            want[ISSUER, POINTS, NEVER] = sum(good.values())
        self._expect(delta, want, "a release (the lots they came from; lapsed ones to expired)")

        def act(leaf):
            if unclaimed:
                self.gone.append((subject, self.size))  # only who was erased elsewhere is given nothing
            if to is not None:
                self.outs.append(["released_from", self.size, to, subject, 0, None, None])
            if not self.pending:
                hold[6], hold[4] = {}, "expired" if expired else "closed"
                self.store.put(f"h{seq}", hold)
            self.pending = None

        return act

    def _reverse(self, entry, delta, today):
        link, data, subject = entry["links"][0], entry["data"], entry["subject"]
        where = (link.get("journal", self.journal), link["seq"])
        member = self.open_member(subject)
        if where in self.reversed:
            raise Bad(f"{where[0]}/{where[1]} was reversed before, by entry {self.reversed[where]}")
        old = self.linked(*where, link["leaf"])
        if old is None:  # in a journal that is not in this export
            after, self.unlinked = (
                self._count(entry, member, {"caps": [_negative(cap) for cap in entry["caps"]]}),
                self.unlinked + 1,
            )
        else:
            if old["kind"] not in ("award", "deduct") or any(old.get(f) != entry[f] for f in _SCORED):
                raise Bad("reverses no award of this subject, rule, pack, group and place")
            self._taken_back(old, data, delta, subject, member[0], today)
            after = self._count(entry, member, old)

        def act(leaf):
            self.reversed[where] = self.size
            self.packs.setdefault(entry["pack"], self.size)
            self._counted(after)

        return act

    def _taken_back(self, old, data, delta, subject, kind, today):
        want, shortfall, lapsed = {}, 0, 0

        def post(account, unit, lot, n):
            for key, amount in (((account, unit, lot), n), ((ISSUER, unit, NEVER), -n)):
                want[key] = want.get(key, 0) + amount

        for line in old["postings"]:
            account, unit, lot, amount = line["account"], line["unit"], line.get("lot", NEVER), line["amount"]
            role, stock = account.partition(":")[0], dict(self.lots(account, unit))
            if account == ISSUER:
                continue
            if lot < today:
                lapsed += abs(amount)
            elif role == "debt":
                post(account, unit, lot, -amount)
            elif role == "minus":
                post(account, unit, lot, min(-amount, -stock.get(lot, 0)))
            else:
                taken = [(lot, min(amount, stock.pop(lot, 0)))]
                if kind == "body" and data["policy"] != "only_available":
                    rest = sorted(item for item in stock.items() if item[0] >= today)
                    taken += _earliest(rest, amount - taken[0][1])
                for day, n in taken:
                    post(account, unit, day, -n)
                missing = amount - sum(n for _, n in taken)
                if kind == "body" and data["policy"] == "allow_debt" and unit == POINTS:
                    post("debt:" + subject, unit, NEVER, -missing)
                    missing = 0
                shortfall += missing
        self._expect(delta, want, "this reversal")
        if (data["shortfall"], data["lapsed"]) != (shortfall, lapsed):
            said = f"{data['shortfall']} and {data['lapsed']}"
            raise Bad(f"shortfall and lapsed are {said}, not {shortfall} and {lapsed}")

    def _all(self, subject, roles, to, lapsed_by=None):
        """Postings that empty a subject's accounts into `to`; with `lapsed_by` only lots past that day."""
        want = {}
        for role in roles:
            account = role + ":" + subject
            for (unit, lot), n in self.balances.get(account, {}).items():
                if lapsed_by is None or lot < lapsed_by:
                    want[account, unit, lot] = -n
                    want[to, unit, NEVER] = want.get((to, unit, NEVER), 0) + n
        return want

    def _expire(self, entry, delta, today):
        want = self._all(entry["subject"], ("subject", "minus"), EXPIRED, today)
        if not any(key[0] != EXPIRED for key in want):
            raise Bad("no lot of this subject is past its day")
        self._expect(delta, want, "an expiry (every lot past its day, and no other)")

    def _relot(self, entry, delta, today):
        account = "subject:" + entry["subject"]
        self.open_member(entry["subject"])
        lines = sorted((lot, unit, n) for (name, unit, lot), n in delta.items() if name == account)
        if len(delta) != 2 or len(lines) != 2 or lines[0][2] >= 0:
            raise Bad("a relot moves points of one lot of the subject to one later day")
        if lines[0][0] < today:
            raise Bad("a relot of a lot that has lapsed")

    def _settle(self, entry, delta):
        merchant, amount = _merchant(delta)
        if amount >= 0:
            raise Bad("settles nothing")
        self._expect(delta, {(merchant, POINTS, NEVER): amount, (REDEEMED, POINTS, NEVER): -amount}, "a settlement")

    def _erase(self, entry, delta):
        subject = entry["subject"]
        kind, _, stay = self.open_member(subject)
        self._expect(
            delta, self._all(subject, ("subject", "minus", "debt"), EXPIRED), "an erasure (everything to expired)"
        )
        self.members[subject] = (kind, "erased", stay)

    def _seal(self, entry, delta):
        self._expect(delta, {}, "a seal")
        data = entry["data"]
        if not self.sealed_to < data["as_of_size"] <= self.size:
            raise Bad("as_of_size does not rise, or lies ahead")
        found = self.seal_sizes.get(data["as_of_size"])
        if found != (data["accounts"], data["state_root"]):
            count, root = found or ("?", "?")
            said = f"state_root or accounts is not that of the first {data['as_of_size']} entries"
            raise Bad(f"{said}: {count} accounts, {root}")
        self.sealed_to = data["as_of_size"]

    def _move(self, entry, delta):
        subject, data = entry["subject"], entry["data"]
        rel = entry["links"][0]["rel"] if entry["links"] else None
        if ("to" in data) != (rel is None) or ("tallies" in data) == (rel == "released_from"):
            raise Bad("a move has another link than its data says")
        if rel is None:
            kind, _, stay = self.open_member(subject)
            if data["to"] == self.journal:
                raise Bad("moves to its own journal")
            self._expect(delta, self._all(subject, ("subject", "minus", "debt"), ISSUER), "leaving (every lot)")
            tallies = [[*key.split("\0"), used] for key, used in self.store.under(f"t{subject}\0{stay}\0")]
            if not stay and _tallies_hash(tallies) != data["tallies"]:
                raise Bad("tallies is not the hash of what the caps had counted")
            self.members[subject] = (kind, "moved", stay)
            self.outs.append(["moved_from", self.size, data["to"], subject, stay, kind, (data["tallies"], tallies)])
            return
        link, other = entry["links"][0], data["from"]
        if link.get("journal") != other:
            raise Bad("from and the link name different journals")
        if rel == "moved_from":
            member = self.members.get(subject)
            if member is not None and member[1] != "moved":
                raise Bad(f"arrives where its account is {member[1]}")
            stay = member[2] + 1 if member else 1
            self.members[subject] = (data["kind"], "open", stay)
        else:
            stay = self.open_member(subject)[2]
        left = self.linked(other, link["seq"], link["leaf"])
        self.ins.append([rel, self.size, other, link["seq"], subject, stay, data.get("kind"), left is None])
        if left is None:
            self.unlinked += 1
            mine = {"subject:", "minus:", "debt:"}
            if any(name != ISSUER and name not in {m + subject for m in mine} for name, _, _ in delta):
                raise Bad("what arrives goes to others than the subject")
            return
        said = left.get("data", {})
        if (left["kind"], left["subject"], left["txn"]) != (
            "move" if rel == "moved_from" else "release", subject, entry["txn"],
        ) or said.get("to") != self.journal or said.get("tallies") != data.get("tallies"):  # fmt: skip
            raise Bad(f"the linked entry {other}/{link['seq']} is not the other side of this move")
        if rel == "moved_from":
            gone = self._delta(left["postings"])
            want = {key: -n for key, n in gone.items()}
        else:
            want = {}
            lines = {
                line.get("lot", NEVER): -line["amount"] for line in left["postings"] if line["account"][:5] == "held:"
            }
            good = -sum(n for (name, _, _), n in delta.items() if name == ISSUER)
            for lot, n in _earliest(sorted(lines.items(), reverse=True), good):  # those that lapsed are the earliest
                want["subject:" + subject, POINTS, lot] = n
            given = sum(line["amount"] for line in left["postings"] if line["account"] == ISSUER)
            want[ISSUER, POINTS, NEVER] = -given
        self._expect(delta, want, f"arriving (what {other}/{link['seq']} sent)")

    # seals

    def state(self):
        """(accounts, root) over the state of all accounts, seal.md."""
        for account in self.touched:
            held = self.balances.get(account)
            version, head = self.owned.get(account, (0, bytes(32)))
            if not held and account not in self.owned:
                self.states.pop(account, None)
                continue
            lines = []
            for (unit, lot), amount in sorted((held or {}).items(), key=lambda item: item[0]):
                lines.append(
                    {"amount": amount, "unit": unit} if lot == NEVER else {"amount": amount, "lot": lot, "unit": unit}
                )
            said = {"account": account, "balances": lines, "head": head.hex(), "version": version}
            self.states[account] = sha256(b"\0" + canonical(said))
        self.touched.clear()
        names = sorted(self.states, key=str.encode)
        return len(names), Tree(self.states[name] for name in names).root().hex()


_LINKS = {
    "capture": ("hold",), "release": ("hold",), "refund": ("hold",), "void": ("hold",), "reverse": ("reverses",),
    "award": ("", "replaces"), "deduct": ("", "replaces"), "move": ("", "moved_from", "released_from"),
}  # fmt: skip


def _zone(name):
    import datetime

    try:
        import zoneinfo

        return zoneinfo.ZoneInfo(name)
    except Exception:
        if name in _ZONES:
            return datetime.timezone(datetime.timedelta(hours=_ZONES[name]))
        raise Bad(f"this machine does not know the time zone {name!r}: pip install tzdata", "file") from None


def _later(day, days):
    import datetime

    return (datetime.date.fromisoformat(day) + datetime.timedelta(days=days)).isoformat()


_numbers = {}


def _day_number(day):
    if day not in _numbers:
        import datetime

        _numbers[day] = (datetime.date.fromisoformat(day) - datetime.date(2000, 1, 1)).days
    return _numbers[day]


def _microseconds(at):
    return (_day_number(at[:10]) * 86_400 + int(at[11:13]) * 3600 + int(at[14:16]) * 60 + int(at[17:19])) * 10**6 + int(
        at[20:26]
    )


def _earliest(lots, amount):
    """[(lot, part)] of what `amount` takes from lots in the order given; less where there is less."""
    chosen = []
    for lot, n in lots:
        part = min(n, amount)
        if part > 0:
            chosen.append((lot, part))
            amount -= part
    return chosen


def _negative(cap):
    return dict(cap, let=-cap["let"])


def _merchant(delta):
    """The one merchant: account that an entry posts to, and the amount."""
    found = [(name, n) for (name, _, _), n in delta.items() if name.startswith("merchant:")]
    if len(found) != 1:
        raise Bad(f"posts to {len(found)} merchants, not to one")
    return found[0]


def _tallies_hash(tallies):
    return sha256(canonical(sorted(tallies))).hex()


def check_journal(task):
    """One journal from its first line to its last; `across` needs what comes back. Runs in a process of its own."""
    journal, size, wanted = task["journal"], task["size"], task["wanted"]
    files = {}

    def linked(other, seq, leaf):
        if other not in task["journals"]:
            return None
        if other not in files:
            files[other] = Lines(task["folder"], other)
        line = files[other].at(seq)
        if line is None:
            raise Bad(f"links to {other}/{seq}, which is not there")
        if sha256(b"\0" + line).hex() != leaf:
            raise Bad(f"links to {other}/{seq} by another leaf than that entry has")
        return read_entry(line)

    book, result = Book(journal, linked), {"journal": journal, "bad": None}
    try:
        _walk(book, task, size, wanted)
    except Bad as bad:
        bad.at(f"{journal}/{book.size}")
        result["bad"] = (bad.place, bad.what, bad.hint)
    except OSError as error:
        result["bad"] = (journal + "/entries.jsonl", f"cannot be read: {error.strerror}", "copy")
    if result["bad"] is None and _digest(os.path.join(task["folder"], journal, "entries.jsonl")) != task["digest"]:
        result["bad"] = (journal + "/entries.jsonl", "is not the file that the manifest names", "copy")
    erased = [subject for subject, member in book.members.items() if member[1] == "erased"]
    result.update(
        entries=book.size, genesis=book.genesis, keys=[(seq, key.text, why) for seq, key, why in book.keys],
        packs=book.packs, outs=book.outs, ins=book.ins, gone=book.gone, assumed=book.assumed,
        reversed=book.reversed, replaced=book.replaced, erased=erased, counts=book.counts, unlinked=book.unlinked,
        accounts=len(book.members), recovery=book.recovery.text if book.recovery else "",
    )  # fmt: skip
    return result


def _walk(book, task, size, wanted):
    tree, before, quick, seals = Tree(), "", task["quick"], set()
    path = os.path.join(task["folder"], book.journal, "entries.jsonl")
    lines = Lines(task["folder"], book.journal)
    if not quick:
        for line in lines.marked(b'"kind":"seal"'):
            try:
                seals.add(_decode(line.decode())["data"]["as_of_size"])
            except (ValueError, RecursionError, KeyError, TypeError):
                pass  # said when its turn comes
        book.folding = bool(seals)
        if 0 in seals:
            book.seal_sizes[0] = book.state()
    with open(path, "rb") as file, open(task["deeds"], "wb") as deeds:
        for raw in file:
            if book.size >= size:
                raise Bad(f"one entry more than the checkpoint's {size}", "copy")
            if raw[-1:] != b"\n":
                raise Bad("the line does not end with a line feed: its end was cut off", "copy")
            line = raw[:-1]
            entry = read_entry(line) if not quick or not book.size else _glance(line)
            if entry["seq"] != book.size or entry["journal"] != book.journal:
                found = f"{entry['journal']}/{entry['seq']}"
                raise Bad(f"is entry {found}: a line is missing, doubled or in another place", "copy")
            leaf = sha256(b"\0" + line)
            if entry["prev"] != before and book.size:
                raise _broken(book, tree, wanted, path, entry, leaf, next(file, b""))
            if not quick or not book.size:
                book.take(entry, leaf)
            else:
                book.size += 1
                if entry["kind"] == "key":
                    book.keys.append((entry["seq"], Key(entry["data"]["vkey"]), entry["data"]["authority"]))
            before = leaf.hex()
            tree.add(leaf)
            if "cause" in entry:
                deeds.write(bytes.fromhex(entry["cause"]) + entry["seq"].to_bytes(8, "big"))
            if book.size in wanted:
                root = tree.root()
                for source, due in wanted[book.size]:
                    if due != root:
                        said = f"the first {book.size} entries have another root than {source} says"
                        said += ": this entry was changed, or entries up to it were rewritten together"
                        hint = "pin" if source.startswith("pin") else "copy"
                        raise Bad(said, hint, f"{book.journal}/{book.size - 1}")
            if book.size in seals:
                book.seal_sizes[book.size] = book.state()
                book.folding = book.size < max(seals)
    if book.size < size:
        raise Bad(f"is missing: the checkpoint has {size} entries, here are {book.size}", "copy")
    if book.pending:
        raise Bad("the release that must follow a refund is missing")


def _glance(line):
    """For --quick: the fields of the chain, without form; `prev` and what follows it are the last of an entry."""
    try:
        entry = _decode(line.decode())
        if type(entry["seq"]) is int and hex_(entry["prev"]) and (entry["kind"] != "key" or not check_form(entry)):
            entry.pop("cause", None)
            return entry
    except (ValueError, RecursionError, KeyError, TypeError):
        pass
    raise Bad("is not an entry", "copy")


def _broken(book, tree, wanted, path, entry, leaf, following):
    """prev is not the leaf before: was the entry before changed, or this one? The next entry, or the root, knows."""
    this = "prev is not the leaf of the entry before"
    try:
        this_stands = _decode(following.decode())["prev"] == leaf.hex()
    except (ValueError, RecursionError, KeyError, TypeError):
        this_stands = False
    if not following:
        again = Tree()
        with open(path, "rb") as file:
            for _ in range(book.size - 1):
                again.add(sha256(b"\0" + file.readline()[:-1]))
        again.add(bytes.fromhex(entry["prev"]))
        again.add(leaf)
        this_stands = any(due == again.root() for _, due in wanted.get(book.size + 1, ()))
    if this_stands:
        return Bad("was changed: the entry after it names another leaf", "copy", f"{book.journal}/{book.size - 1}")
    return Bad(this, "copy")


def _digest(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


# the folder, and what only shows over all journals (export.md, epoch.md) -----------------------------------------

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}").fullmatch
_OURS = ("manifest", "verify.py")


class Export:
    """An export being checked: `findings` are (place, what, hint), `journals` what each journal's check found."""

    def __init__(self, folder, pins=(), quick=False, jobs=0):
        self.folder, self.quick, self.jobs = folder, quick, jobs
        self.findings, self.journals, self.notes, self.absent, self.witnessed = [], {}, [], [], []
        self.wanted, self.epoch_roots, self.pinned_members, self.points, self.rotations = {}, {}, {}, {}, {}
        self.pins = [read_pin(path) for path in pins]
        if not os.path.isfile(os.path.join(folder, "manifest")):
            raise Unusable(f"{folder} is not an export: there is no manifest in it")

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def read(self, *names):
        try:
            with open(self.path(*names), "rb") as file:
                return file.read()
        except OSError as error:
            raise Bad(f"cannot be read: {error.strerror}", "copy", "/".join(names)) from None

    def check(self):
        for step in (self._manifest, self._keys, self._files, self._epochs, self._checkpoints, self._pins):
            if not self._try(step) and step in (self._manifest, self._keys):
                return
        self._all_journals()
        for step in (self._signatures, self._packs):
            self._try(step)
        if any(result["bad"] for result in self.journals.values()):
            self.notes.append("what only shows over all journals (moves, deeds reversed or replaced): one is not whole")
        else:
            self._across()

    def _try(self, step, *args):
        try:
            step(*args)
            return True
        except Bad as bad:
            self.findings.append((bad.at("manifest").place, bad.what, bad.hint))
        except OSError as error:
            self.findings.append(
                (os.path.relpath(error.filename, self.folder), f"cannot be read: {error.strerror}", "copy")
            )
        return False

    def _manifest(self):
        self.note = Note(self.read("manifest"))
        head, _, rest = self.note.text.partition("\n")
        info = read_canonical(rest[:-1].encode())
        names = set(info) - {"only"}
        if head != "jifen-export/v1" or names != {"epoch", "files", "journals", "made_at", "origin", "software", "v"}:
            raise Bad("not a manifest of version 1", "copy", "manifest")
        points = [info["epoch"], *(info["journals"].values() if type(info["journals"]) is dict else [0])]
        good = all(
            type(p) is dict and sorted(p) == ["root", "size"] and hex_(p["root"]) and count_(p["size"]) for p in points
        )
        if not good or info["v"] != 1 or not object_(info["files"]) or not all(map(hex_, info["files"].values())):
            raise Bad("a field of the manifest is not what it must be", "copy", "manifest")
        if not all(_NAME(name) and name not in ("epoch", "packs", "editions") for name in info["journals"]):
            raise Bad("a journal has a name that cannot be a folder", "copy", "manifest")
        if "only" in info and info["only"] != sorted(info["journals"]):
            raise Bad("only does not list the exported journals", "copy", "manifest")
        self.info, self.origin, self.partial = info, info["origin"], "only" in info

    def _keys(self):
        try:
            said = read_canonical(self.read("keys.json").rstrip(b"\n"))
            if sorted(said) != ["keys", "origin", "recovery", "v", "witnesses"] or said["v"] != 1 or not said["keys"]:
                raise Bad("not a keys.json of version 1")
            self.keys = [(Key(one["vkey"]), one["from"]) for one in said["keys"]]
            self.recovery, self.witnesses = Key(said["recovery"]), [Key(text) for text in said["witnesses"]]
            if not all(type(since) is dict and all(map(count_, since.values())) for _, since in self.keys):
                raise Bad("from is not a size for each journal")
            names = {key.name for key, _ in self.keys}
            if (
                said["origin"] != self.origin
                or names != {self.origin}
                or self.recovery.name != self.origin + "/recovery"
            ):
                raise Bad("names another deployment than the manifest")
        except (KeyError, TypeError):
            raise Bad("not a keys.json of version 1", "copy", "keys.json") from None
        except Bad as bad:
            raise bad.at("keys.json") from None
        self.key = self.keys[-1][0]
        if self.key not in self.note.signers([self.key])[0]:
            raise Bad(f"is not signed by the key in force, {self.key.text}", "key", "manifest")

    def _files(self):
        found = set()
        for top, folders, names in os.walk(self.folder):
            for name in folders + names:
                path = os.path.join(top, name)
                where = os.path.relpath(path, self.folder).replace(os.sep, "/")
                if os.path.islink(path):
                    self.findings.append((where, "is a link, not a file", "copy"))
                elif name in names:
                    found.add(where)
        files = self.info["files"]
        for where in sorted(set(files) - found):
            self.findings.append((where, "is missing: the manifest names it", "copy"))
        for where in sorted(found - set(files) - set(_OURS)):
            self.findings.append((where, "is in no manifest: somebody put it there", "copy"))
        own = {name + "/entries.jsonl" for name in self.info["journals"]}
        for where in sorted((set(files) & found) - own):  # entries are read line by line, which says more
            if _digest(self.path(*where.split("/"))) != files[where]:
                self.findings.append((where, "is not the file that the manifest names", "copy"))
        for name in sorted(own - set(files)):
            self.findings.append((name, "is not in the manifest", "copy"))

    def _want(self, journal, size, source, root):
        self.wanted.setdefault(journal, {}).setdefault(size, []).append((source, root))

    def _epochs(self):
        tree, members, sizes = Tree(), {}, {cp.size for _, cp, _ in self.pins if cp.origin == self.origin}
        with open(self.path("epoch", "leaves.jsonl"), "rb") as file:
            for number_, line in enumerate(file):
                try:
                    members = self._epoch(line, number_, members, tree)
                except Bad as bad:
                    raise bad.at(f"epoch/{number_}") from None
                if tree.size in sizes:
                    self.epoch_roots[tree.size], self.pinned_members[tree.size] = tree.root(), members
        stated = self.info["epoch"]
        if (tree.size, tree.root().hex()) != (stated["size"], stated["root"]):
            raise Bad(
                f"{tree.size} epochs, of another size or root than the manifest says", "copy", "epoch/leaves.jsonl"
            )
        last = {journal: {"root": root, "size": size} for journal, (size, root) in members.items()}
        here = self.info["journals"]
        if {name: last.get(name) for name in here} != here or (set(last) != set(here) and not self.partial):
            raise Bad("the last epoch does not hold exactly the exported journals and sizes: one is missing or older",
                      "copy", "epoch/leaves.jsonl")  # fmt: skip
        self.absent = sorted(set(last) - set(here))
        point = Checkpoint(Note(self.read("epoch", "checkpoint")))
        if (point.origin, point.size, point.root) != (self.origin, tree.size, tree.root()):
            raise Bad("is not the checkpoint of these epochs", "copy", "epoch/checkpoint")
        signed, _ = point.note.signers([self.key, *self.witnesses])
        if self.key not in signed:
            raise Bad("is not signed by the key in force", "key", "epoch/checkpoint")
        self.witnessed = [key.name for key in signed if key.kind == 4]

    def _epoch(self, line, number_, before, tree):
        if line[-1:] != b"\n":
            raise Bad("the line does not end with a line feed", "copy")
        epoch = read_canonical(line[:-1])
        listed = epoch.pop("members", None)
        if sorted(epoch) != ["count", "epoch", "journals_root", "v"] or type(listed) is not list or epoch["v"] != 1:
            raise Bad("not an epoch with members", "copy")
        if epoch["epoch"] != number_ or epoch["count"] != len(listed):
            raise Bad("number or count of the epoch is wrong", "copy")
        leaves, members = [], {}
        for one in listed:
            if type(one) is not dict or sorted(one) != ["journal", "root", "size"] or not hex_(one["root"]):
                raise Bad("a member is not {journal, root, size}", "copy")
            if not text_(one["journal"]) or not count_(one["size"]):
                raise Bad("a member is not {journal, root, size}", "copy")
            leaves.append(sha256(b"\0" + canonical(one)))
            members[one["journal"]] = (one["size"], one["root"])
            old = before.get(one["journal"], (0, ""))
            if one["size"] < old[0] or (one["size"] == old[0] and one["root"] != old[1]):
                raise Bad(f"journal {one['journal']} shrinks or changes", "copy")
            if old != members[one["journal"]]:
                self._want(one["journal"], one["size"], f"epoch {number_}", bytes.fromhex(one["root"]))
        if (
            list(members) != sorted(members, key=str.encode)
            or len(members) != len(listed)
            or set(before) - set(members)
        ):
            raise Bad("members are not in order, or one has disappeared", "copy")
        if Tree(leaves).root().hex() != epoch["journals_root"]:
            raise Bad("journals_root is not the root over the members", "copy")
        tree.add(sha256(b"\0" + canonical(epoch)))
        return members

    def _checkpoints(self):
        for journal, stated in self.info["journals"].items():
            self._try(self._checkpoint, journal, stated)

    def _checkpoint(self, journal, stated):
        self.rotations[journal] = []
        if os.path.exists(self.path(journal, "rotations")):
            text = self.read(journal, "rotations")
            notes = re.findall(rb".*?\n\n(?:\xe2\x80\x94 [^\n]*\n)+", text, re.DOTALL)
            if b"".join(notes) != text:
                raise Bad("is not a row of signed notes", "copy", journal + "/rotations")
            self.rotations[journal] = [Checkpoint(Note(note)) for note in notes]
        point = self.points[journal] = Checkpoint(Note(self.read(journal, "checkpoint")))
        if (point.size, point.root.hex()) != (stated["size"], stated["root"]):
            raise Bad("has another size or root than the manifest", "copy", journal + "/checkpoint")
        for source, one in [("the checkpoint", point), *(("a rotation", one) for one in self.rotations[journal])]:
            if one.origin != f"{self.origin}/{journal}" or one.size > point.size:
                raise Bad(f"{source} is of another log or of a later size", "copy", journal + "/checkpoint")
            self._want(journal, one.size, source, one.root)

    def _pins(self):
        for name, point, _ in self.pins:
            self._try(self._pin, name, point)

    def _pin(self, name, point):
        deployment, _, journal = point.origin.partition("/")
        if deployment != self.origin:
            raise Bad(f"is of {point.origin}; this export is of {self.origin}", "pin", "pin " + name)
        size = self.info["journals"].get(journal, {}).get("size") if journal else self.info["epoch"]["size"]
        if size is None:
            raise Bad(f"journal {journal} is not in this export", "pin", "pin " + name)
        if point.size > size:
            said = f"has {point.size} entries, the export only {size}"
            raise Bad(f"{said}: it is older than the pin, or its end was cut off", "pin", "pin " + name)
        if journal:
            self._want(journal, point.size, "pin " + name, point.root)
        elif point.size and self.epoch_roots.get(point.size) != point.root:
            raise Bad(f"the first {point.size} epochs have another root: this is another history", "pin", "pin " + name)

    def _all_journals(self):
        import tempfile

        names, files = sorted(self.info["journals"]), self.info["files"]
        with tempfile.TemporaryDirectory() as scratch:
            tasks = [
                {
                    "folder": self.folder, "journal": name, "size": self.info["journals"][name]["size"],
                    "wanted": self.wanted.get(name, {}), "journals": names, "quick": self.quick,
                    "digest": files.get(name + "/entries.jsonl"), "deeds": os.path.join(scratch, str(number_)),
                }
                for number_, name in enumerate(names)
            ]  # fmt: skip
            tasks.sort(key=lambda task: -task["size"])
            total = sum(task["size"] for task in tasks)
            jobs = min(len(tasks), self.jobs or (os.cpu_count() or 1 if total > 20_000 else 1))
            if jobs > 1:
                from concurrent.futures import ProcessPoolExecutor

                with ProcessPoolExecutor(jobs) as pool:
                    results = list(pool.map(check_journal, tasks))
            else:
                results = [check_journal(task) for task in tasks]
            self.journals = {result["journal"]: result for result in results}
            self.findings += [result["bad"] for result in results if result["bad"]]
            self._deeds(tasks)

    def _deeds(self, tasks):
        """One award per cause over all journals: records of (cause, seq), read in as many parts as memory asks for."""
        records = [(task["journal"], task["deeds"]) for task in tasks if os.path.exists(task["deeds"])]
        parts = 1 + sum(os.path.getsize(path) for _, path in records) // (40 * 2_000_000)
        taking = {(j, seq): tuple(where) for j, r in self.journals.items() for where, seq in r["replaced"]}
        for part in range(parts):
            first, again = {}, {}
            for journal, path in records:
                with open(path, "rb") as file:
                    for block in iter(lambda: file.read(40 * 4096), b""):
                        for at in range(0, len(block), 40):
                            cause = block[at : at + 32]
                            if cause[2] % parts == part:
                                where = (journal, int.from_bytes(block[at + 32 : at + 40], "big"))
                                if first.setdefault(cause, where) != where:
                                    again.setdefault(cause, [first[cause]]).append(where)
            for rows in again.values():
                roots = [where for where in rows if taking.get(where) not in rows]
                if len(rows) != 2 or len(roots) != 1:
                    late = (
                        sorted(rows)[-1] if len({j for j, _ in rows}) == 1 else max(rows, key=lambda w: w not in roots)
                    )
                    others = ", ".join(f"{j}/{seq}" for j, seq in sorted(rows) if (j, seq) != late)
                    self.findings.append((f"{late[0]}/{late[1]}", f"awards the deed of {others} a second time", "rule"))

    def _signatures(self):
        """The keys that entries name, their rotations, and who signed each checkpoint (tree.md, Which key signs)."""
        since = [{} for _ in self.keys]
        texts = [key.text for key, _ in self.keys]
        for journal, result in sorted(self.journals.items()):
            if result["bad"]:  # the keys that follow are not known
                continue
            keys = [(seq, Key(text), why) for seq, text, why in result["keys"]]
            try:
                if result["genesis"]["recovery"] != self.recovery.text:
                    raise Bad("recovery is not the key of keys.json", "key", journal + "/0")
                last = -1
                for seq, key, _ in keys:
                    if key.text not in texts[last + 1 :]:
                        raise Bad(
                            f"key {key.text} is not in keys.json, or not in this order", "key", f"{journal}/{seq}"
                        )
                    last = texts.index(key.text, last + 1)
                    since[last][journal] = seq + 1 if seq else 0
                self._rotated(journal, keys)
            except Bad as bad:
                self.findings.append((bad.at(journal + "/checkpoint").place, bad.what, bad.hint))
        if not any(result["bad"] for result in self.journals.values()):
            for (key, stated), found in zip(self.keys, since):
                stated = {name: size for name, size in stated.items() if name in self.journals}
                if stated != found:
                    raise Bad(f"from of {key.text} is not what the key entries say", "key", "keys.json")
            if not since[-1] and self.journals and not self.partial:
                raise Bad("the last key was never in force", "key", "keys.json")
        for name, point, note in self.pins:
            journal = point.origin.partition("/")[2]
            known = [Key(text) for _, text, _ in self.journals.get(journal, {}).get("keys", ())]
            self._try(self._pin_signed, name, note, known or [key for key, _ in self.keys])

    def _rotated(self, journal, keys):
        point = self.points.get(journal)
        marks = [*self.rotations.get(journal, ()), *([point] if point else [])]

        def signers(one, extra=()):
            return one.note.signers([key for _, key, _ in keys] + list(extra))[0]

        for (_, before, _), (seq, key, why) in zip(keys, keys[1:]):
            vouching = self.recovery if why == "recovery" else before
            if not any(seq < one.size and {key, vouching} <= set(signers(one, [self.recovery])) for one in marks):
                raise Bad(f"no checkpoint that first contains this key is signed by it and by {vouching.text}",
                          "key", f"{journal}/{seq}")  # fmt: skip
        if point:
            force = [key for seq, key, _ in keys if seq < point.size or not seq][-1]
            if force not in signers(point):
                raise Bad(f"is not signed by the key in force, {force.text}", "key")

    def _pin_signed(self, name, note, keys):
        if not note.signers(keys)[0]:
            raise Bad(
                "is signed by no key of this history: it is another history, or not a pin of ours", "pin", "pin " + name
            )

    def _across(self):
        """Moves and releases between journals, accounts and awards: what no journal shows alone (entry.md, Move)."""
        found, all_ = self.findings, self.journals
        outs = {(j, out[1]): out for j, r in all_.items() for out in r["outs"]}
        arrivals, taken, reversals = {}, set(), {}
        erased = {subject for r in all_.values() for subject in r["erased"]}
        for j, r in sorted(all_.items()):
            for rel, seq, other, at, subject, stay, kind, unlinked in r["ins"]:
                if rel == "moved_from":
                    arrivals[j, subject, stay] = (other, at, seq)
                if unlinked:
                    continue
                if (other, at) in taken:
                    found.append((f"{j}/{seq}", f"a second arrival of what left with {other}/{at}", "rule"))
                taken.add((other, at))
                out = outs.get((other, at))
                if out and rel == "moved_from" and out[5] != kind:
                    found.append((f"{j}/{seq}", f"arrives as {kind}, left as {out[5]}", "rule"))
            for subject, seq in r["gone"]:
                if subject not in erased and not self.partial:
                    found.append((f"{j}/{seq}", f"gives nothing back although {subject} was not erased", "rule"))
            for where, seq in r["reversed"].items():
                if reversals.setdefault(where, (j, seq)) != (j, seq):
                    said = f"reverses {where[0]}/{where[1]} a second time"
                    found.append((f"{j}/{seq}", said, "rule"))
        for j, r in all_.items():
            for where, seq in r["replaced"]:
                if tuple(where) not in reversals and where[0] in all_ and not self.partial:
                    found.append((f"{j}/{seq}", f"replaces {where[0]}/{where[1]}, which was not reversed", "rule"))
        for (j, seq), out in sorted(outs.items()):
            if out[2] in all_ and (j, seq) not in taken:
                found.append((f"{j}/{seq}", f"leaves for {out[2]}, where nothing arrives", "rule"))
        self._tallies(outs, arrivals)

    def _tallies(self, outs, arrivals):
        """What caps had counted goes along: the hash of each departure, and what later entries took it to be."""
        known = {}

        def brought(key):
            """{(cap, from): used} with which a stay began; None where that is not in this export."""
            if key not in known:
                other, at, _ = arrivals.get(key, (None, None, None))
                known[key] = left(outs[other, at], other) if (other, at) in outs else None
            return known[key]

        def left(out, j):
            base = brought((j, out[3], out[4])) if out[4] else {}
            return None if base is None else {**base, **{(cap, day): used for cap, day, used in out[6][1]}}

        for (j, seq), out in sorted(outs.items()):
            if out[4] and out[6]:
                tallies = left(out, j)
                if tallies is not None and _tallies_hash([[*key, used] for key, used in tallies.items()]) != out[6][0]:
                    self.findings.append((f"{j}/{seq}", "tallies is not the hash of what the caps had counted", "rule"))
        for j, r in self.journals.items():
            for (subject, stay), windows in r["assumed"].items():
                base = brought((j, subject, stay))
                for (cap, day), (used, seq) in sorted(windows.items(), key=lambda item: item[1][1]):
                    if base is not None and base.get((cap, day), 0) != used:
                        said = "cap %s: used_before is %d, but %d came along with the move"
                        self.findings.append((f"{j}/{seq}", said % (cap, used, base.get((cap, day), 0)), "rule"))
                        break

    def _packs(self):
        named = {}
        for j, r in sorted(self.journals.items()):
            for pack, seq in r["packs"].items():
                named.setdefault(pack, f"{j}/{seq}")
        here = sorted(os.listdir(self.path("packs"))) if os.path.isdir(self.path("packs")) else []
        for pack in sorted(set(named) - set(here)):
            self.findings.append(("packs/" + pack, f"is missing: {named[pack]} names it", "copy"))
        for pack in here:
            self._try(self._pack, pack)

    def _pack(self, pack):
        data = self.read("packs", pack, "pack.json")
        if sha256(data).hex() != pack:
            raise Bad("has another hash than the name of its folder", "copy", f"packs/{pack}/pack.json")
        if sys.version_info < (3, 11):
            self.notes.append(
                f"that the .toml files of pack {pack[:12]}… say the same as its pack.json (needs Python 3.11)"
            )
            return
        names = [name for name in sorted(os.listdir(self.path("packs", pack))) if name.endswith(".toml")]
        if not names:
            return
        same = pack_json({name: self.read("packs", pack, name) for name in names}) == data
        if not same:
            raise Bad("its .toml files say something else than pack.json", "copy", "packs/" + pack)


def pack_json(files):
    """The bytes whose SHA-256 is a pack's hash, from its .toml files by name; None when they do not make a pack."""
    import tomllib

    try:
        read = {name: tomllib.loads(data.decode()) for name, data in sorted(files.items())}
        said: dict = {"pack": read.pop("pack.toml")}
        for part, key in (("groups", "group"), ("bands", "band")):
            said[part] = sorted(read.pop(part + ".toml")[key], key=lambda one: str(one["code"]))
        tables = [dict(one, group=file["group"]) for file in read.values() for one in file["indicator"]]
        said["indicators"] = sorted(tables, key=lambda one: str(one["code"]))
        form = {
            "sort_keys": True,
            "ensure_ascii": False,
            "separators": (",", ":"),
            "default": lambda day: day.isoformat(),
        }
        return json.dumps(said, **form).encode()
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


# receipts and statements (receipt.md, seal.md) -------------------------------------------------------------------

_BASE45 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"


def _base45(text):
    values = [_BASE45.find(char) for char in text]
    out = bytearray()
    for at in range(0, len(values), 3):
        part = values[at : at + 3]
        number_ = sum(value * 45**power for power, value in enumerate(part))
        if min(part) < 0 or len(part) == 1 or number_ > (65_535 if len(part) == 3 else 255):
            raise Bad("not Base45", "copy")
        out += number_.to_bytes(len(part) - 1, "big")
    return bytes(out)


class Receipt:
    """`line` (the entry's bytes), `entry`, `point` (the checkpoint, its root shown to follow from the entry)."""

    def __init__(self, data):
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise Bad("not a receipt: not text", "file") from None
        if text.startswith("JF1:"):
            self._unpack(text[4:-1] if text.endswith("\n") else text[4:])
        else:
            head, _, rest = text.partition("\n\n")
            lines = head.split("\n")
            if (
                len(lines) < 3
                or lines[0] != "c2sp.org/tlog-proof@v1"
                or lines[1][:6] != "extra "
                or lines[2][:6] != "index "
            ):
                raise Bad("not a receipt", "file")
            self.line, self.index = b64(lines[1][6:]), number(lines[2][6:])
            self.proof = [b64(line) for line in lines[3:]]
            self.entry, self.point = read_entry(self.line), Checkpoint(Note(rest.encode()))
        entry, point = self.entry, self.point
        if any(len(part) != 32 for part in self.proof):
            raise Bad("a hash of other than 32 bytes", "copy")
        if entry["seq"] != self.index or not point.origin.endswith("/" + entry["journal"]):
            raise Bad("index or origin is not that of the entry", "copy")
        self.deployment = point.origin[: -len(entry["journal"]) - 1]
        root = root_of_inclusion(sha256(b"\0" + self.line), self.index, point.size, self.proof)
        if root != point.root:
            raise Bad("the entry is not under the root of the checkpoint: the entry or the proof was changed", "copy")

    def _unpack(self, text):
        import zlib

        packed, stream, data = _base45(text[:110_000]), zlib.decompressobj(-zlib.MAX_WBITS), b""
        if len(packed) > 4 and zlib.crc32(packed[:-4]) == int.from_bytes(packed[-4:], "big"):
            try:
                data = stream.decompress(packed[:-4], 70_001)
            except zlib.error:
                pass
        if not stream.eof or stream.unused_data or len(data) > 70_000:
            raise Bad("not a receipt: what is packed cannot be unpacked; a character was misread or changed", "copy")
        at = 0

        def take(n):
            nonlocal at
            at += n
            if at > len(data):
                raise Bad("a packed receipt that ends too early", "copy")
            return data[at - n : at]

        self.line = take(int.from_bytes(take(2), "big"))
        size = int.from_bytes(take(8), "big")
        self.proof = [take(32) for _ in range(take(1)[0])]
        signatures = [(take(take(1)[0]), take(take(1)[0])) for _ in range(take(1)[0])]
        if at != len(data) or not signatures:
            raise Bad("a packed receipt with something left over, or without signatures", "copy")
        self.entry = read_entry(self.line)
        self.index = self.entry["seq"]
        root = root_of_inclusion(sha256(b"\0" + self.line), self.index, size, self.proof)
        origin = signatures[0][0] + b"/" + self.entry["journal"].encode()
        note = origin + b"\n%d\n%s\n\n" % (size, base64.b64encode(root))
        for name, raw in signatures:
            note += b"\xe2\x80\x94 " + name + b" " + base64.b64encode(raw) + b"\n"
        self.point = Checkpoint(Note(note))

    def signed(self, keys, unknown_too):
        """The key of the deployment, among `keys`, that signed. Bad when another signature is of an unknown key."""
        signed, others = self.point.note.signers(keys)
        ours = [key for key in signed if key.kind == 1 and key.name == self.deployment]
        if others and not (unknown_too and ours):
            said = "carries a signature of %s, whose key was not given: add --key VKEY%s"
            raise Bad(said % (others[0], " or --unknown-too" if ours else ""), "key")
        if not ours:
            raise Bad(f"is not signed by a key of {self.deployment} that was given", "key")
        return ours[0]


def read_pin(path):
    """(name, checkpoint, note) of a checkpoint or a receipt."""
    data = _file(path)
    try:
        point = Receipt(data).point if data[:4] in (b"JF1:", b"c2sp") else Checkpoint(Note(data))
    except Bad as bad:
        raise Unusable(f"pin {path}: {bad.what}") from None
    return path, point, point.note


class Proofs:
    """Checks receipts and statements: under keys that were named, or those of keys.json in `folder`."""

    def __init__(self, folder, keys, unknown_too):
        self.given, self.unknown_too, self.said = [Key(text) for text in keys], unknown_too, []
        path = os.path.join(folder, "keys.json")
        if os.path.isfile(path):
            try:
                said = json.loads(_file(path).decode())
                self.said = [(Key(one["vkey"]), one["from"]) for one in said["keys"]]
                named = [Key(text) for text in [said["recovery"], *said["witnesses"]]]
            except (ValueError, KeyError, TypeError, Bad):
                raise Unusable(f"{path} is not a keys.json") from None
            self.given = self.given or [key for key, _ in self.said] + named
        if not self.given:
            raise Unusable("which key? Add --key VKEY, or put keys.json beside verify.py")

    def receipt(self, data):
        """(the receipt, its key, whether that key has been retired): such a receipt holds only against the history."""
        receipt = Receipt(data)
        key = receipt.signed(self.given, self.unknown_too)
        journal, size = receipt.entry["journal"], receipt.point.size
        since = [
            (one, sizes.get(journal, 0)) for one, sizes in self.said if journal in sizes or one == self.said[-1][0]
        ]
        if key not in [one for one, _ in self.said] or (key == since[-1][0] and size >= since[-1][1]):
            return receipt, key, False
        if key == since[-1][0]:
            raise Bad(f"is signed by a key that came into force later, at size {since[-1][1]}", "key")
        return receipt, key, True

    def statement(self, data):
        """(first size, last size, entries, account, journal) of a complete statement, or Bad."""
        try:
            said = json.loads(data.decode(), parse_float=_no_fraction, parse_constant=_no_fraction)
            if sorted(said) != ["absent", "account", "entries", "from", "journal", "to", "v"] or said["v"] != 1:
                raise Bad("not a statement of version 1", "file")
            return self._statement(said)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise Bad(f"not a statement of version 1: {str(error)[:80]}", "file") from None

    def _statement(self, said):
        account, journal = said["account"], said["journal"]
        if account.partition(":")[0] not in OWNED:
            raise Bad("only the accounts of subjects, merchants and funds have statements")
        first = self._side(said["from"], account, journal) if said["from"] is not None else None
        size, version, head, balances = first or (0, 0, bytes(32), {})
        if said["to"]["state"] is None:
            return self._absent(said, first, account, journal)
        last, due_version, due_head, due_balances = self._side(said["to"], account, journal)
        before = size - 1
        if size > last or said["absent"] is not None:
            raise Bad("the first seal is later than the second, or absent says something too")
        for text in said["entries"]:
            line = text.encode()
            entry = read_entry(line)
            if entry["journal"] != journal or not before < entry["seq"] < last:
                raise Bad(f"entry {entry['journal']}/{entry['seq']} is outside the two seals, or not in order")
            before, posted = entry["seq"], False
            for posting in entry["postings"]:
                if posting["account"] == account:
                    posted, place = True, (posting["unit"], posting.get("lot", NEVER))
                    balances[place] = balances.get(place, 0) + posting["amount"]
            if not posted:
                raise Bad(f"entry {journal}/{before} does not post to {account}")
            head, version = sha256(b"\x02" + head + sha256(b"\0" + line)), version + 1
        if (version, head) != (due_version, due_head):
            said = f"the entries do not lead to the second seal ({version} of {due_version})"
            raise Bad(f"{said}: one is missing, added or changed", "copy")
        if {place: n for place, n in balances.items() if n} != due_balances:
            raise Bad("the entries do not add up to what the second seal holds")
        return size, last, len(said["entries"]), account, journal

    def _seal(self, side, journal):
        receipt, _, retired = self.receipt(side["receipt"].encode())
        entry = receipt.entry
        if entry["kind"] != "seal" or entry["journal"] != journal or entry["data"]["accounts"] != side["accounts"]:
            raise Bad("a receipt of the statement is not that of a seal of this journal")
        if retired:
            raise Bad("is signed by a retired key: check its receipts against the whole export first", "key")
        return entry["data"]

    def _included(self, side, seal):
        state = read_canonical(side["state"].encode())
        proof = [bytes.fromhex(part) for part in side["proof"]]
        root = root_of_inclusion(sha256(b"\0" + side["state"].encode()), side["index"], seal["accounts"], proof)
        if any(len(part) != 32 for part in proof) or root.hex() != seal["state_root"]:
            raise Bad("a state is not under the root of its seal", "copy")
        return state

    def _side(self, side, account, journal):
        """(as_of_size, version, head, balances) of an account at a seal."""
        seal = self._seal(side, journal)
        state = self._included(side, seal)
        if state["account"] != account:
            raise Bad(f"a state is that of {state['account']}, not of {account}")
        balances = {(line["unit"], line.get("lot", NEVER)): line["amount"] for line in state["balances"]}
        return seal["as_of_size"], state["version"], bytes.fromhex(state["head"]), balances

    def _absent(self, said, first, account, journal):
        seal, name, count = self._seal(said["to"], journal), account.encode(), said["to"]["accounts"]
        rows = [(one["index"], self._included(one, seal)["account"].encode()) for one in said["absent"]]
        indexes = [index for index, _ in rows]
        good = first is None and not said["entries"] and said["to"]["index"] is None and said["to"]["proof"] == []
        if len(rows) == 2:
            good = good and indexes[1] == indexes[0] + 1 and rows[0][1] < name < rows[1][1]
        elif len(rows) == 1:
            good = good and ((indexes == [0] and name < rows[0][1]) or (indexes == [count - 1] and rows[0][1] < name))
        else:
            good = good and not rows and count == 0
        if not good:
            raise Bad("absent does not show that there is no such account")
        return 0, seal["as_of_size"], 0, account, journal


# the answer ------------------------------------------------------------------------------------------------------

_CANNOT = (
    "what the keyed digests (request, trace, memo, evidence) stand for: that takes the key of an entry and the papers",
    "that a deed happened, and that a subject is the person or body the office says it is",
    "that points are what the rule pack says: the trace is a keyed digest",
    "what was recorded after the last checkpoint",
)


def _file(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}") from None


def verify(folder, pins=(), quick=False, jobs=0):
    """Check an export. {"ok", "anchored", "journals": […], "findings": […], "cannot": […], "lines": […]}"""
    export = Export(folder, pins, quick, jobs)
    export.check()
    order = {}
    for place, what, hint in export.findings:
        top, _, seq = place.partition("/")
        order.setdefault(top, []).append(
            (int(seq) if seq.isdigit() else -1 if "/" not in place else INTEGER_MAX, place, what, hint)
        )
    findings = [row[1:] for top in sorted(order) for row in sorted(order[top])]
    anchors = _anchors(export)
    lines, journals = [], []
    if not pins:
        lines.append("NOT ANCHORED: without --pin nothing shows that this is the history that others have seen")
    else:
        lines.append(
            f"ANCHORED by {len(pins)} pin{'' if len(pins) == 1 else 's'}" if not findings else f"pins: {len(pins)}"
        )
    said = {finding[0].partition("/")[0] for finding in findings}
    for journal, result in sorted(export.journals.items()):
        row = {
            "journal": journal,
            "entries": result["entries"],
            "ok": journal not in said,
            "anchored_to": anchors.get(journal, 0),
        }
        journals.append(row)
        if row["ok"]:
            lines.append(f"{journal}: {_praise(export, result, row['anchored_to'])}")
    for place, what, hint in findings:
        lines += [f"{place}: {what}", "    → " + HINTS[hint]]
    cannot = [*_CANNOT, *sorted(set(export.notes))]
    unlinked = sum(result["unlinked"] for result in export.journals.values())
    if unlinked or export.absent:
        cannot.append(f"{len(export.absent)} journals that are not in this export, and {unlinked} links into them")
    if quick:
        cannot.append("form, postings, caps, moves and seals: --quick looks at hashes, roots and signatures only")
    lines.append("not checked, and not checkable here:" if not findings else "besides, not checkable here:")
    lines += ["  - " + one for one in cannot]
    bad = [{"place": place, "what": what, "do": HINTS[hint]} for place, what, hint in findings]
    anchored = bool(anchors) and not findings
    return {
        "ok": not bad,
        "anchored": anchored,
        "journals": journals,
        "findings": bad,
        "cannot": cannot,
        "lines": lines,
    }


def _anchors(export):
    """Journal → how many of its entries a pin covers."""
    anchors = {}
    for _, point, _ in export.pins:
        journal = point.origin.partition("/")[2]
        covered = {journal: (point.size, "")} if journal else export.pinned_members.get(point.size, {})
        for name, (size, _) in covered.items():
            anchors[name] = max(anchors.get(name, 0), size)
    return anchors


def _praise(export, result, anchored):
    kinds = result["counts"]
    what = "hashes, chain and root" if export.quick else "form, chain, postings, lots, caps, holds, deeds, root"
    parts = [f"{result['entries']} entries hold ({what})", f"{result['accounts']} accounts"]
    if kinds.get("seal"):
        parts.append(f"{kinds['seal']} seals")
    if kinds.get("move"):
        parts.append(f"{kinds['move']} moves, both sides")
    if len(result["keys"]) > 1:
        parts.append(f"{len(result['keys']) - 1} changes of key")
    parts.append(f"signed by {result['keys'][-1][1]}" if result["keys"] else "")
    if export.witnessed:
        parts.append("cosigned by " + ", ".join(export.witnessed))
    if export.pins:
        parts.append(f"pinned up to entry {anchored - 1}" if anchored else "NOT PINNED")
    return "; ".join(part for part in parts if part)


def _check_proofs(args, folder):
    """Receipts and statements: (ok, lines, documents)."""
    proofs = Proofs(folder, args.key, args.unknown_too)
    ok, lines, documents = True, [], []
    for path in args.receipt:
        try:
            receipt, key, retired = proofs.receipt(_file(path))
            entry, point, how = receipt.entry, receipt.point, "signed by " + key.text
            if retired:
                if not os.path.isfile(os.path.join(folder, entry["journal"], "entries.jsonl")):
                    said = "is signed by a retired key: that holds only against the history"
                    raise Bad(f"{said}; give the folder of an export that has journal {entry['journal']}", "key")
                answer = verify(folder, [path], False, args.jobs)
                if not answer["ok"]:
                    said = f"is signed by a retired key, and the history in {folder} does not hold or contain it"
                    raise Bad(f"{said}: {answer['findings'][0]['place']}", "pin")
                how += f", a retired key; the history in {folder} contains it"
            what = f"{entry['journal']}/{entry['seq']}, {entry['kind']} on {entry['occurred_on']}"
            lines.append(f"receipt {path}: holds. {what}, is in the log at size {point.size}, {how}")
            documents.append(
                {"receipt": path, "ok": True, "journal": entry["journal"], "seq": entry["seq"], "size": point.size}
            )
        except Bad as bad:
            ok = False
            lines += [f"receipt {path}: {bad.what}", "    → " + HINTS[bad.hint]]
            documents.append({"receipt": path, "ok": False, "what": bad.what, "do": HINTS[bad.hint]})
    for path in args.statement:
        try:
            first, last, count, account, journal = proofs.statement(_file(path))
            span = f"{account} in {journal}, entries {first} to {last - 1}"
            lines.append(f"statement {path}: complete. {span}: {count} lines and no other")
            documents.append({"statement": path, "ok": True, "account": account, "journal": journal, "entries": count})
        except Bad as bad:
            ok = False
            lines += [f"statement {path}: {bad.what}", "    → " + HINTS[bad.hint]]
            documents.append({"statement": path, "ok": False, "what": bad.what, "do": HINTS[bad.hint]})
    return ok, lines, documents


def main(arguments=None):
    """The command line: 0 holds, 1 does not, 2 could not be read."""
    import argparse

    parser = argparse.ArgumentParser(prog="verify.py", description="Checks an audit export, a receipt or a statement.")
    parser.add_argument("dir", nargs="?", help="the export (default: the folder of this file)")
    parser.add_argument(
        "--pin", action="append", default=[], metavar="FILE", help="a checkpoint or receipt from elsewhere"
    )
    parser.add_argument(
        "--receipt", action="append", default=[], metavar="FILE", help="check a receipt (text or JF1:…)"
    )
    parser.add_argument("--statement", action="append", default=[], metavar="FILE", help="check a statement")
    parser.add_argument(
        "--key", action="append", default=[], metavar="VKEY", help="a key you trust, instead of keys.json"
    )
    parser.add_argument("--unknown-too", action="store_true", help="pass over signatures of keys that are not known")
    parser.add_argument("--quick", action="store_true", help="hashes, roots and signatures only")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--jobs", type=int, default=0, metavar="N", help="processes (default: one a core)")
    args = parser.parse_args(arguments)
    folder = args.dir or os.path.dirname(os.path.abspath(__file__))
    getattr(sys.stdout, "reconfigure", lambda **_: None)(errors="backslashreplace")
    try:
        if args.receipt or args.statement:
            ok, lines, documents = _check_proofs(args, folder)
            document = {"ok": ok, "proofs": documents}
        else:
            document = verify(folder, args.pin, args.quick, args.jobs)
            ok, lines = document["ok"], document.pop("lines")
    except Unusable as error:
        print(f"{error}\n    → {HINTS['file']}", file=sys.stderr)
        return 2
    except Bad as bad:  # a --key that is none
        print(f"{bad.what}\n    → {HINTS['file']}", file=sys.stderr)
        return 2
    print(json.dumps(document, ensure_ascii=False) if args.json else "\n".join(lines))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())

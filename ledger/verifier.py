#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# pyright: basic
# ruff: noqa: UP017, UP036, B905, RUF007, SIM105 (Python 3.9, and no more imports than a receipt needs)
"""verify.py: checks an audit export, a receipt or a statement without the software that made it.

    python3 verify.py [DIR] [--pin FILE]… [--receipt FILE]… [--statement FILE]… [--key VKEY]…
                      [--unknown-too] [--quick] [--json] [--jobs N]

Without DIR: the folder of this file. A pin is a checkpoint or receipt from elsewhere; --key is one you trust instead of
keys.json; --unknown-too passes over signatures of keys that were not given; --quick looks at hashes, roots and
signatures only. The answer is 0 (holds), 1 (does not) or 2 (could not be read).

One file, Python 3.9 or later, standard library only. It is a reading of docs/spec/*.md and imports nothing of the
ledger it judges. Order: canonical form, signatures, trees, the form of an entry, what entries do (one journal), what
only shows over all journals, the folder, receipts and statements, the command line.

Memory grows with accounts and what is open. Caps, holds and hold ids are kept in a temporary SQLite file beyond the
first 200,000; the keys of deeds are sorted through a temporary file; entries that a link names are read again from
`entries.jsonl`, found by bisection. Signatures are checked here and not by a library: there are few of them, and so
there is one answer to what a valid signature is on every machine.
"""

from __future__ import annotations

import binascii
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
ISSUER, EXPIRED, REDEEMED = "issuer", "expired", "redeemed"

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


class Unusable(Exception):
    """An input that cannot be read at all: exit status 2."""


def need(holds, what, hint="rule", place=""):
    """A rule: what is said where it does not hold."""
    if not holds:
        raise Bad(what, hint, place)


# canonical form (entry.md) ---------------------------------------------------------------------------------------


def _no_fraction(text):
    raise ValueError("a number that is not a whole number")


_decoder = json.JSONDecoder(parse_float=_no_fraction, parse_constant=_no_fraction)
_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def sha256(data):
    return hashlib.sha256(data).digest()


def canonical(value):
    return _encode(value).encode()


def read_canonical(data):
    """The object in canonical bytes. Its values are left to the form that it must have."""
    try:
        text = data.decode()
        value = _decoder.decode(text)
        need(type(value) is dict, "not a JSON object", "copy")
        need(_encode(value) == text, "not in canonical form (order of keys, spaces, escapes, a key twice)", "copy")
    except (ValueError, RecursionError) as error:
        raise Bad(f"not canonical JSON: {str(error)[:120]}", "copy") from None
    return value


def plain(value):
    """Only objects with ASCII keys, arrays, strings and integers in range."""
    kind = type(value)
    if kind is dict:
        return all(key.isascii() and plain(item) for key, item in value.items())
    if kind is list:
        return all(map(plain, value))
    return kind is str or (kind is int and -INTEGER_MAX <= value <= INTEGER_MAX)


def peek(line, *names):
    """A value in a line that may be anything; None where it is not there."""
    try:
        value = _decoder.decode(line.decode())
        for name in names:
            value = value[name]
        return value
    except (ValueError, RecursionError, LookupError, TypeError):
        return None


# Forms: what may stand where, each a pattern of canonical text. An object is a table of its fields; a name with ? may
# be absent, but not the last. \d{0,15} is a digit more than `lines_form` takes: `plain` looks at integers that long.

_STRING = r'"[^"\\\x00-\x1f]*(?:\\(?:["\\bfnrt]|u00(?:0[0-7bef]|1[0-9a-f]))[^"\\\x00-\x1f]*)*"'
_TEXT = f'(?!""){_STRING}'
_HEX = '"[0-9a-f]{64}"'
_COUNT, _INT = r"(?:0|[1-9]\d{0,15})", r"(?:0|-?[1-9]\d{0,15})"
_DATE = (  # a day of the calendar
    r"(?!0000)\d{4}-(?:0[1-9]|1[012])-(?:[012][1-9]|[123]0|31)(?<!02-3\d)(?<!(?:02|04|06|09|11)-31)"
    r"(?:(?<!02-29)|(?<=(?:[02468][048]|[13579][26])-02-29)(?<!00-02-29)|(?<=(?:[02468][048]|[13579][26])00-02-29))"
)
_DAY, _INSTANT = f'"{_DATE}"', rf'"{_DATE}T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{{6}}Z"'
_FREE = r"\{.*\}"


def _list(item, brackets=r"\[\]"):
    start, end = brackets[:2], brackets[2:]
    return f"{start}(?:{item}(?:,(?!{end})|(?={end})))*{end}"


def _object(fields):
    parts = []
    for name, form in sorted(fields.items(), key=lambda item: item[0].rstrip("?")):
        parts.append(f'(?:"{name[:-1]}":{form},)?' if name[-1] == "?" else f'"{name}":{form},')
    return r"\{" + "".join(parts)[:-1] + r"\}"


def _map(item):
    return _list(f"{_TEXT}:{item}", r"\{\}")


def fits(form, value):
    return re.fullmatch(form, _encode(value), re.ASCII) is not None


def read_form(data, form, what):
    value = read_canonical(data)
    need(fits(form, value), f"not {what} of version 1", "copy")
    return value


# Ed25519, RFC 8032 §5.1.7, without the cofactor; every encoding strict -------------------------------------------

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P


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
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x = u * pow(v, 3, _P) * pow(u * pow(v, 7, _P), (_P - 5) // 8, _P) % _P
    if (v * x * x + u) % _P == 0:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    if y >= _P or (v * x * x - u) % _P or (not x and sign):
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
    base, minus = _point(bytes.fromhex("58" + "66" * 31)), (_P - key[0], key[1], 1, _P - key[3])
    table = (None, base, minus, _add(base, minus))
    total = (0, 1, 1, 0)
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
        raw = binascii.a2b_base64(text)
    except ValueError:
        raw = b""
    good = raw and binascii.b2a_base64(raw, newline=False).decode() == text
    need(good, f"not base64 in its one spelling: {text[:80]!r}", "copy")
    return raw


def number(text):
    good = re.fullmatch("0|[1-9][0-9]{0,18}", text) and int(text) < 2**63
    need(good, f"not a plain decimal number: {text[:40]!r}", "copy")
    return int(text)


class Key(str):
    """A vkey string with its `name`, key `id`, `kind` (1 signs, 4 cosigns) and `public` key."""

    name, id, kind, public = "", b"", 0, b""

    def __new__(cls, text):
        self = super().__new__(cls, text)
        match = re.fullmatch(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)", self)
        raw = b64(match.group(3)) if match else b""
        if not match or len(raw) != 33 or raw[0] not in (1, 4):
            raise Bad(f"not a key (a vkey string is name+id+base64): {self[:80]}", "key")
        self.name, self.kind, self.public = match.group(1), raw[0], raw[1:]
        self.id = sha256(self.name.encode(errors="replace") + b"\n" + raw)[:4]
        need(self.id.hex() == match.group(2), f"the id of key {self.name} is not that of its bytes", "key")
        return self

    def valid(self, text, raw):
        said = text.encode()
        if self.kind == 4 and len(raw) == 72:
            said, raw = b"cosignature/v1\ntime %d\n" % int.from_bytes(raw[:8], "big") + said, raw[8:]
        return ed25519_valid(self.public, said, raw)


class Note:
    """A signed note: `text`, and `lines` of (name, key id, signature)."""

    def __init__(self, data):
        try:
            whole = data.decode()
        except UnicodeDecodeError:
            raise Bad("a note that is not UTF-8", "copy") from None
        head, _, tail = whole.rpartition("\n\n")
        self.text, lines = head + "\n", tail.split("\n")
        good = head and not lines.pop() and 0 < len(lines) <= 64 and len(data) <= 10**6
        need(good and not re.search(r"[\x00-\x09\x0b-\x1f]", whole),
             "not a signed note (text, empty line, 1 to 64 signature lines)", "copy")  # fmt: skip
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
            else:
                need(key.valid(self.text, raw), f"the signature of {name} does not verify", "key")
                signed.append(key)
        return signed, others


class Checkpoint:
    """A note whose text is `origin`, `size` and `root`."""

    def __init__(self, note):
        lines = note.text.split("\n")
        need(len(lines) == 4 and lines[0], "not a checkpoint (origin, size, root)", "copy")
        self.note, self.origin, self.size, self.root = note, lines[0], number(lines[1]), b64(lines[2])
        need(len(self.root) == 32, "a root of other than 32 bytes", "copy")


# trees (RFC 9162 §2.1) -------------------------------------------------------------------------------------------


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(leaves):
    """The root over a list of leaves: they are joined in pairs, and a last one without a partner rises as it is."""
    while len(leaves) > 1:
        alone = leaves[len(leaves) & ~1 :]
        pairs = zip(leaves[::2], leaves[1::2])
        leaves = [hashlib.sha256(b"\x01" + left + right).digest() for left, right in pairs] + alone
    return leaves[0] if leaves else sha256(b"")


class Tree:
    """A tree that grows: the roots of its complete subtrees, largest first, over blocks of 64 leaves; and the rest."""

    def __init__(self):
        self.size, self.parts, self.rest = 0, [], []

    def add(self, leaf):
        self.rest.append(leaf)
        self.size += 1
        if len(self.rest) == 64:
            part, n, self.rest = root_of(self.rest), self.size // 64 - 1, []
            while n & 1:
                part, n = node(self.parts.pop(), part), n >> 1
            self.parts.append(part)

    def root(self):
        *parts, root = self.parts + [root_of(self.rest)] * bool(self.rest or not self.parts)
        for left in reversed(parts):
            root = node(left, root)
        return root


def root_of_inclusion(leaf, index, size, proof):
    """§2.1.3.2; Bad when the proof has a hash too many or too few."""
    need(0 <= index < size, f"index {index} is not below size {size}", "copy")
    at, last, root = index, size - 1, leaf
    for sibling in proof:
        need(last, "the proof has a hash too many", "copy")
        if at & 1 or at == last:
            root = node(sibling, root)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            root = node(root, sibling)
        at, last = at >> 1, last >> 1
    need(not last, "the proof has a hash too few", "copy")
    return root


# the form of an entry (entry.md, Fields) -------------------------------------------------------------------------

_RELS = '"(?:hold|reverses|replaces|moved_from|released_from|disputes|decides|undoes|grants)"'
_UNIT, _LOT = '"(?:points|standing)"', f'(?!"{NEVER}){_DAY}'
_CAP = {"from": _DAY, "id": _TEXT, "let": _INT, "limit": _INT, "to": _DAY, "used_before": _INT}
_LINK = {"journal?": _TEXT, "leaf": _HEX, "rel": _RELS, "seq": _COUNT}
_POSTING = {"account": _TEXT, "amount": r"-?[1-9]\d{0,15}", "lot?": _LOT, "unit": _UNIT}
COMMON = {
    "actor": _TEXT, "caps": _list(_object(_CAP)), "evidence": _list(_HEX), "journal": _TEXT, "kind": '"[a-z]+"',
    "links": _list(_object(_LINK)), "memo?": _HEX, "nonce": '"[0-9a-f]{32}"', "occurred_on": _DAY,
    "postings": _list(_object(_POSTING)), "prev": _HEX, "recorded_at": _INSTANT, "request": _HEX, "seq": _COUNT,
    "txn": _TEXT, "v": "1",
}  # fmt: skip
_WHO = {"subject": _TEXT}
_SCORED = {"group": '"G[1-8]"', "pack": _HEX, "place": _TEXT, "rule": _TEXT, "subject": _TEXT}
_DEED = {**_SCORED, "cause": _HEX, "trace": _HEX}
_SORT = '"(?:person|body)"'
_PACK = {"effective_from": _DAY, "hash": _HEX, "id": _TEXT, "version": _TEXT}
_TERMS = [None, {"budget?": _TEXT, "fen_per_point?": _COUNT, "scenario": _TEXT},
          {"budget?": _TEXT, "fen_per_point": _COUNT}, {"budget": _TEXT}]  # fmt: skip
_USED = {"budget?": _TEXT, "fen": _INT, "merchant": _TEXT, "quantity": _INT, "redemption": _TEXT, "scenario": _TEXT}
_PAID = {"fen": _INT, "period": r'(?!"0000)"\d{4}-(?:0[1-9]|1[012])"', "statement": _HEX}
_PERIOD = r'(?!"0000)"\d{4}(?:Q[1-4]|-(?:0[1-9]|1[012]))?"'
_LISTED = {"digest": _HEX, "id": _TEXT, "list": _TEXT, "period": _PERIOD, "version": r"[1-9]\d{0,15}"}
_GRANT = {"budget": _TEXT, "edition": _TEXT, "fen": r"[1-9]\d{0,15}", "place": _TEXT}
# kind → (fields besides COMMON, the forms of its data; None: it may be absent)
KINDS = {
    "open/journal": ({}, [{"origin": _TEXT, "vkey": _TEXT, "recovery": _TEXT, "policy": _FREE}]),
    "open": (_WHO, [{"kind": _SORT, "base": _COUNT}]),
    "policy": ({}, [{"takeover": "0"}, {"loss": _FREE}, {"pack": _object(_PACK)}]),
    "award": (_DEED, [None, {"takeover": "1"}]),
    "deduct": (_DEED, [None, {"takeover": "1"}]),
    "hold": (_WHO, [{"expires_at": _INSTANT}]),
    "capture": ({}, _TERMS),
    "release": (_WHO, [None, {"expired": "1"}, {"to": _TEXT}, {"expired": "1", "to": _TEXT}]),
    "refund": ({}, _TERMS),
    "void": ({}, _TERMS),
    "reverse": (_SCORED, [{"policy": '"(?:only_available|within_balance|allow_debt)"', "shortfall": _COUNT,
                           "lapsed": _COUNT, "reason?": _TEXT}]),
    "expire": (_WHO, [None]),
    "relot": (_WHO, [{"reason": _TEXT}]),
    "settle": ({}, [{**_PAID, "merchant": _TEXT}, _PAID]),
    "benefit": ({}, [_USED]),
    "move": (_WHO, [{"to": _TEXT, "tallies": _HEX}, {"from": _TEXT, "kind": _SORT, "tallies": _HEX}, {"from": _TEXT}]),
    "key": ({}, [{"vkey": _TEXT, "authority": '"(?:signing|recovery)"'}]),
    "seal": ({}, [{"as_of_size": _COUNT, "state_root": _HEX, "accounts": _COUNT}]),
    "erase": (_WHO, [None]),
    "objection": (_WHO, [{"due": _DAY, "id": _TEXT}]),
    "decision": (_WHO, [{"id": _TEXT, "outcome": '"(?:upheld|partly|rejected|withdrawn)"'}]),
    "edition": ({}, [_LISTED]),
    "fund": ({}, [_GRANT]),
}  # fmt: skip


def _wrong(value, fields):
    """The names of fields that are missing in an object, or of those that are too many."""
    must = {name for name in fields if name[-1] != "?"}
    return sorted(must - set(value)) or sorted(set(value) - {name.rstrip("?") for name in fields})


def _closed(value, fields, what, path=""):
    wrong = _wrong(value, fields)
    need(not wrong, f"a field is missing or too many in {what}: {', '.join(wrong)}")
    for name, item in value.items():
        good = plain(item) and fits(fields.get(name) or fields[name + "?"], item)
        need(good, f"field {path}{name} is not what it must be: {_encode(item)[:100]}")


def check_form(entry):
    """Closed field sets and the form of each field; Bad names the field."""
    kind = entry.get("kind")
    kind = "open/journal" if kind == "open" and "subject" not in entry else kind
    need(type(kind) is str and kind in KINDS, f"kind {kind!r} is not written by version 1")
    fields, forms = KINDS[kind]
    _closed({name: item for name, item in entry.items() if name != "data"}, {**COMMON, **fields}, f"this {kind} entry")
    if "data" in entry or None not in forms:
        data = entry.get("data")
        need(type(data) is dict and data and forms != [None], "data is not an object with fields, or must not be there")
        fitting = [form for form in forms if form and not _wrong(data, form)]
        _closed(data, (fitting or forms)[-1], f"data of a {kind} entry", "data.")


_lines_forms, _met = {}, {}  # kind → the pattern of a whole line, once the kind was met often enough to be worth one
OFTEN = 50


def lines_form(kind):
    """What nearly every line looks like: canonical, closed and of the right types, for a third of what it takes to find
    that out piece by piece. What does not match is looked at again by `check_form`, which has the last word."""
    fields, forms = KINDS[kind]
    data = "|".join(form if form == _FREE else _object(form) for form in forms if form)
    with_data = {"data?" if None in forms else "data": f"(?:{data})"} if data else {}
    form = _object({**COMMON, **fields, **with_data, "kind": f'"{kind}"'})
    never = "(?!)" if _FREE in form else ""  # objects with fields of their own take the long way
    return re.compile(never + form.replace("{0,15}", "{0,14}"), re.ASCII).fullmatch


def read_usual(line):
    """The entry, if its kind is frequent and it looks like such lines do; else None."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return None
    end = text.find('","links":[')
    kind = text[text.rfind('"', 0, end) + 1 : end]
    form = _lines_forms.get(kind)
    if form is None and _met.get(kind, 0) >= OFTEN:
        form = _lines_forms[kind] = lines_form(kind)
    return _decoder.raw_decode(text)[0] if form and form(text) else None


def read_entry(line):
    """The entry in a line without its line feed."""
    if len(line) > ENTRY_BYTES_MAX:
        raise Bad("longer than 65,535 bytes", "copy")
    entry = read_usual(line)
    if entry is None:
        entry = read_canonical(line)
        check_form(entry)
        _met[entry["kind"]] = _met.get(entry["kind"], 0) + 1
    return entry


# reading entries of a folder -------------------------------------------------------------------------------------


class Lines:
    """`entries.jsonl` of one journal, for the few entries that others link to."""

    def __init__(self, path):
        import mmap

        self.journal = os.path.basename(os.path.dirname(path))
        with open(path, "rb") as file:
            self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if os.path.getsize(path) else b""

    def around(self, place):
        """(where it begins, the line) around a place in the file."""
        start, end = self.data.rfind(b"\n", 0, place) + 1, self.data.find(b"\n", place)
        return start, self.data[start : end if end >= 0 else len(self.data)]

    def at(self, seq):
        """The line of an entry, or None: bisection, since seq rises; where a line says none that fits, counted."""
        low, high = 0, len(self.data)
        while low < high:
            start, line = self.around((low + high) // 2)
            found = peek(line, "seq")
            if found == seq and peek(line, "journal") == self.journal:
                return line
            if found == seq or type(found) is not int:
                break
            low, high = (low, start) if found > seq else (start + len(line) + 1, high)
        start = 0
        for _ in range(seq):
            start = self.data.find(b"\n", start) + 1
            if not start:
                return None
        return self.around(start)[1]

    def marked(self, mark):
        """The lines that contain `mark`."""
        place = self.data.find(mark)
        while place >= 0:
            start, line = self.around(place)
            yield line
            place = self.data.find(mark, start + len(line))


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
        if len(self.hot) <= self.LIMIT:
            return
        if self.file is None:
            import sqlite3

            self.file = sqlite3.connect("")  # a temporary file that SQLite removes by itself
            self.file.executescript(
                "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-65536;"
                "CREATE TABLE s (k TEXT PRIMARY KEY, v TEXT) WITHOUT ROWID"
            )
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

_ZONES = {"Asia/Shanghai": 8, "Asia/Urumqi": 6}  # for machines without a time zone database
OWNED = ("subject", "minus", "debt", "merchant", "fund")
_SIGN = {"subject": 1, "held": 1, "merchant": 1, "fund": 1, "redeemed": 1, "minus": -1, "debt": -1}
_TODAY_MATTERS = {"hold", "release", "refund", "void", "reverse", "expire", "relot"}
_COUNTING = {"award", "deduct", "reverse"}
_LINKS = {
    "capture": ("hold",), "release": ("hold",), "refund": ("hold",), "void": ("hold",), "reverse": ("reverses",),
    "award": ("", "replaces"), "deduct": ("", "replaces"), "move": ("", "moved_from", "released_from"),
    "objection": ("", "disputes"), "decision": ("decides",), "benefit": ("", "undoes"), "fund": ("grants",),
}  # fmt: skip
_NO_LINKS = ("",)


class Book:
    """Balances, members, holds and caps of one journal; `take` checks the next entry against them.

    A delta is {(account, unit, lot): amount} without zeros. Of each kind there is a method: it checks what such an
    entry may say and post, then notes what later entries will be asked about."""

    def __init__(self, journal, linked):
        self.journal, self.linked = journal, linked  # linked(journal, seq, leaf) → entry, or None where not exported
        self.size, self.at, self.leaf = 0, "", b""
        self.balances = {}  # account → {(unit, lot): amount}, what is not zero
        self.owned = {}  # account → [version, head]
        self.touched, self.states = set(), {}  # accounts changed since the last seal; account → leaf of its state
        self.members = {}  # subject → (person | body, open | moved | erased, number of the stay)
        self.store = Spill()  # "h" holds by seq, "i" hold ids, "t" what caps have counted
        self.assumed = {}  # (subject, stay) → {(cap, from): (used before, seq)} for stays that began with a move
        self.reversed = {}  # (journal, seq) → seq of what reversed or undid it
        self.said = set()  # (objection, decision, benefit, edition or fund, its id)
        self.replaced = []  # (journal and seq of the award that was replaced, seq of the one that took its place)
        self.pending = None  # (seq of the hold, lots, txn): the release that must follow a refund
        self.keys, self.recovery, self.takeover, self.zone = [], None, 0, None
        self.seal_sizes, self.sealed_to, self.folding = {}, -1, False
        self.packs = {}  # pack → the first seq that names it
        self.editions = {}  # id → (seq, data) of the entry that publishes it
        self.outs, self.ins = {}, []  # moves and releases that cross journals, for `across`
        self.gone = []  # (subject, seq) of releases that gave nothing back because it was erased elsewhere
        self.counts, self.unlinked = {}, 0

    def lots(self, account, unit, since=""):
        """[(lot, amount)] in ascending order of the day."""
        found = self.balances.get(account)
        return sorted((lot, n) for (u, lot), n in found.items() if u == unit and lot >= since) if found else []

    def open_member(self, subject):
        member = self.members.get(subject)
        if member is None or member[1] != "open":
            raise Bad(f"subject {subject} has no open account here ({member[1] if member else 'never opened'})")
        return member

    def day(self, at, back_us=0):
        """The day of an instant in the journal's zone."""
        import datetime as dt

        moment = dt.datetime.fromisoformat(at[:-1]) - dt.timedelta(microseconds=back_us)
        return moment.replace(tzinfo=dt.timezone.utc).astimezone(self.zone).date().isoformat()

    def hold_of(self, link):
        hold = self.store.get(f"h{link['seq']}") or {}
        need(hold.get("leaf") == link["leaf"], "the link names no hold of this journal by its leaf")
        return hold

    # the next entry

    def take(self, entry, leaf):
        """Check one entry in its place and let it act. Its form has been checked."""
        kind, at, links = entry["kind"], entry["recorded_at"], entry["links"]
        if at <= self.at:
            raise Bad(f"recorded_at does not rise: {at} after {self.at}")
        if (self.size == 0) != (kind == "open" and "subject" not in entry):
            raise Bad("entry 0 opens the journal, and no other")
        if self.pending and kind != "release":
            raise Bad("the entry after a refund or void is not the release that passes it on")
        if (links[0]["rel"] if links else "") not in _LINKS.get(kind, _NO_LINKS) or len(links) > 1:
            raise Bad(f"a {kind} entry has no such links")
        for link in links:
            other = link.get("journal")
            need(other is None or (other != self.journal and link["rel"] not in ("hold", "undoes", "grants")),
                 "the link of this entry names a journal and must not")  # fmt: skip
            need(other or link["seq"] < self.size, "the link names an entry that is not earlier")
        if entry["caps"] and kind not in _COUNTING:
            raise Bad(f"caps in a {kind} entry")
        delta, self.leaf, step = self.delta(entry["postings"]), leaf, getattr(self, "_" + kind)
        if kind in _TODAY_MATTERS:
            today, before = self.day(at), self.day(at, SLACK_US)
            try:
                step(entry, delta, today)
            except Bad:
                if before == today:
                    raise
                step(entry, delta, before)  # just after midnight: the clock that decided may have stood before it
        else:
            step(entry, delta)
        self._apply(delta)
        if self.folding:
            for account in {line["account"] for line in entry["postings"]}:
                if account.partition(":")[0] in OWNED:
                    version, head = self.owned.get(account, (0, bytes(32)))
                    self.owned[account] = (version + 1, sha256(b"\x02" + head + leaf))
                self.touched.add(account)
        self.size += 1
        self.at = at
        self.counts[kind] = self.counts.get(kind, 0) + 1

    def delta(self, postings):
        """Per unit the amounts sum to zero."""
        delta, standing, points, again = {}, 0, 0, False
        for line in postings:
            amount, unit = line["amount"], line["unit"]
            key = (line["account"], unit, line.get("lot", NEVER))
            if key in delta:
                again, delta[key] = True, delta[key] + amount
            else:
                delta[key] = amount
            if unit == STANDING:
                standing += amount
            else:
                points += amount
        if standing or points:
            raise Bad(f"postings do not sum to zero (standing {standing}, points {points})")
        return {key: amount for key, amount in delta.items() if amount} if again else delta

    def _apply(self, delta):
        balances = self.balances
        for (account, unit, lot), amount in delta.items():
            balance = balances.get(account)
            if balance is None:
                balance = balances[account] = {}
            total = balance.get((unit, lot), 0) + amount
            if (total > 0 and account[0] not in "dm") or (account == ISSUER and -INTEGER_MAX <= total < 0):
                balance[unit, lot] = total
                continue
            if abs(total) > INTEGER_MAX or total * _SIGN.get(account.partition(":")[0], 0) < 0:
                raise Bad(f"{account} in {unit}, lot {lot}, would be {total}")
            if total:
                balance[unit, lot] = total
            else:
                balance.pop((unit, lot), None)
                if not balance:
                    del balances[account]

    def _expect(self, delta, want, what):
        if delta == want:
            return
        want = {key: amount for key, amount in want.items() if amount}
        for key in sorted(set(delta) | set(want)):
            here, due = delta.get(key, 0), want.get(key, 0)
            need(here == due, f"postings are not those of {what}: {' '.join(key)} has {here}, not {due}")

    def _count(self, entry, stay, giving_back=False):
        """The caps of an entry count on from what had been counted."""
        subject, after = entry["subject"], {}
        windows = f"t{subject}\0{stay}\0"
        for cap in entry["caps"]:
            name, start, let, before = cap["id"], cap["from"], cap["let"], cap["used_before"]
            key = f"{windows}{name}\0{start}"
            used = self.store.get(key)
            if used is None:
                used = before if stay else 0
                if stay:  # moved here: what it brought along is compared in `across`
                    self.assumed.setdefault((subject, stay), {})[name, start] = (used, self.size)
            if key in after:
                raise Bad(f"cap {name} counts twice")
            if before != used:
                raise Bad(f"cap {name}: used_before is {before}, but {used} had been counted")
            if not giving_back:
                if not start <= entry["occurred_on"] <= cap["to"]:
                    raise Bad(f"cap {name}: the day of the deed is outside its window")
                if let < 0 or (let and used + let > cap["limit"]):
                    raise Bad(f"cap {name} lets through more than its limit")
            after[key] = used + let
        for key, used in after.items():
            self.store.put(key, used)

    # the journal itself

    def _open(self, entry, delta):
        data, subject = entry["data"], entry.get("subject")
        if subject:
            need(subject not in self.members, f"subject {subject} has an account here already")
            want = {(ISSUER, STANDING, NEVER): -data["base"], ("subject:" + subject, STANDING, NEVER): data["base"]}
            self._expect(delta, want, "opening an account")
            self.members[subject] = (data["kind"], "open", 0)
            return
        self._expect(delta, {}, "opening a journal")
        policy, key, recovery = data["policy"], Key(data["vkey"]), Key(data["recovery"])
        prev = sha256(b"jifen/genesis/1\n" + canonical(data)).hex()
        need(entry["prev"] == prev, "prev is not the hash of origin, policy, recovery and vkey", "copy")
        named = data["origin"] == f"{key.name}/{self.journal}" and recovery.name == key.name + "/recovery"
        said = "origin, vkey and recovery are not <deployment>/<journal>, <deployment>, <deployment>/recovery"
        need(named and key.kind == 1, said)
        good = type(policy.get("zone")) is str and policy.get("takeover") in (0, 1)
        need(good, "policy names no zone or no takeover")
        self.recovery, self.keys = recovery, [(0, key, "")]
        self.zone, self.takeover = _zone(policy["zone"]), policy["takeover"]

    def _policy(self, entry, delta):
        self._expect(delta, {}, "a policy")
        loss = entry["data"].get("loss")
        if "pack" in entry["data"]:
            return
        if loss is None:
            need(self.takeover, "the take-over window is closed already")
            self.takeover = 0
            return
        form = {"log": _STRING, "reason": _STRING, "root": _HEX, "signature": _TEXT, "size": _COUNT}
        need(fits(_object(form), loss), "loss is not log, reason, root, signature and size")
        message = b"jifen/loss/1\n" + canonical({name: loss[name] for name in ("log", "reason", "root", "size")})
        assert self.recovery is not None  # entry 0 named it
        good = ed25519_valid(self.recovery.public, message, b64(loss["signature"]))
        need(good, "the recovery key has not accepted this loss", "key")

    def _key(self, entry, delta):
        self._expect(delta, {}, "a key")
        key, before = Key(entry["data"]["vkey"]), self.keys[-1][1]
        good = key.kind == 1 and key.name == before.name and key.id != before.id
        need(good, "the new key has another name or the same id")
        self.keys.append((self.size, key, entry["data"]["authority"]))

    def _seal(self, entry, delta):
        self._expect(delta, {}, "a seal")
        size, said = entry["data"]["as_of_size"], (entry["data"]["accounts"], entry["data"]["state_root"])
        need(self.sealed_to < size <= self.size and size, "as_of_size does not rise, or lies ahead")
        count, root = found = self.seal_sizes.get(size, ("?", "?"))
        need(found == said, f"state_root or accounts is not that of the first {size} entries: {count} accounts, {root}")
        self.sealed_to = size

    # deeds

    def _award(self, entry, delta):
        subject, deduct = entry["subject"], entry["kind"] == "deduct"
        sort, _, stay = self.open_member(subject)
        if bool(self.takeover) != ("data" in entry):
            raise Bad("takeover must stand in an award exactly while the take-over window is open")
        cause = entry["cause"]
        if cause[:4] != "ffff" and int(cause[:4], 16) != _days(entry["occurred_on"]) % 65_535:
            raise Bad("cause begins with another day than occurred_on")
        rest = dict(delta)  # what is not looked at yet
        standing, points = -rest.pop((ISSUER, STANDING, NEVER), 0), -rest.pop((ISSUER, POINTS, NEVER), 0)
        if deduct:
            need(sort == "body" and standing < 0 and not points, "a deduction takes standing, and from a body only")
        elif standing < 0 or points < 0:
            raise Bad("an award takes something away")
        elif points and sort == "body":
            debt, left = "debt:" + subject, points
            for lot, owed in self.lots(debt, POINTS):
                part = min(left, -owed)
                left -= part
                need(rest.pop((debt, POINTS, lot), 0) == part, "an award repays the debt of a body first")
        account, units = ("minus:" if deduct else "subject:") + subject, set()
        for name, unit, _ in rest:  # the amounts are right, since each unit sums to zero
            if name != account or unit in units:
                raise Bad("an award goes to one lot in each unit")
            units.add(unit)
        self._count(entry, stay)
        for link in entry["links"]:
            where = (link.get("journal", self.journal), link["seq"])
            old = self.linked(*where, link["leaf"])
            if old is None:
                self.unlinked += 1
            else:
                same = old["kind"] in ("award", "deduct") and (old["subject"], old["rule"]) == (subject, entry["rule"])
                need(same, "replaces no award of this subject under this rule")
                here = where[0] == self.journal and not stay  # else another journal may have reversed it: `across`
                need(not here or where in self.reversed, "replaces an award that has not been reversed")
            self.replaced.append((where, self.size))
        if entry["pack"] not in self.packs:
            self.packs[entry["pack"]] = self.size

    _deduct = _award

    def _objection(self, entry, delta):
        self._expect(delta, {}, "an objection")
        self._say_once(entry)
        for link in entry["links"]:
            old = self.linked(link.get("journal", self.journal), link["seq"], link["leaf"])
            self.unlinked += old is None
            theirs = old is None or old.get("subject", entry["subject"]) == entry["subject"]
            need(theirs, "disputes an entry of another subject")

    def _decision(self, entry, delta):
        self._expect(delta, {}, "a decision")
        self._say_once(entry)
        link = entry["links"][0]
        old = self.linked(link.get("journal", self.journal), link["seq"], link["leaf"])
        self.unlinked += old is None
        same = old is None or (old["kind"], old.get("subject"), old.get("data", {}).get("id")) == (
            "objection", entry["subject"], entry["data"]["id"],
        )  # fmt: skip
        need(same, "decides no objection of this subject and id")

    def _say_once(self, entry):
        """About an open account, and of each objection one is made and one decided."""
        self.open_member(entry["subject"])
        self._once(entry["kind"], entry["data"]["id"])

    def _once(self, *said):
        need(said not in self.said, f"a second {said[0]} with id {said[1]}")
        self.said.add(said)

    def _reverse(self, entry, delta, today):
        link, subject = entry["links"][0], entry["subject"]
        where = (link.get("journal", self.journal), link["seq"])
        sort, _, stay = self.open_member(subject)
        before = self.reversed.get(where)
        need(before is None, f"{where[0]}/{where[1]} was reversed before, by entry {before}")
        old = self.linked(*where, link["leaf"])
        if old is None:  # in a journal that is not in this export
            self.unlinked += 1
        else:
            same = old["kind"] in ("award", "deduct") and all(old[name] == entry[name] for name in _SCORED)
            need(same, "reverses no award of this subject, rule, pack, group and place")
            self._taken_back(old, entry["data"], delta, subject, sort == "body", today)
            stated = [(c["id"], c["from"], c["to"], c["limit"], c["let"]) for c in entry["caps"]]
            due = [(c["id"], c["from"], c["to"], c["limit"], -c["let"]) for c in old["caps"] if c["let"]]
            need(stated == due, "caps do not give back what the reversed award had counted")
        self._count(entry, stay, giving_back=True)
        self.reversed[where] = self.size
        self.packs.setdefault(entry["pack"], self.size)

    def _taken_back(self, old, data, delta, subject, body, today):
        want, shortfall, lapsed = {}, 0, 0

        def post(account, unit, lot, n):
            for key, amount in (((account, unit, lot), n), ((ISSUER, unit, NEVER), -n)):
                want[key] = want.get(key, 0) + amount

        for (account, unit, lot), amount in self.delta(old["postings"]).items():
            stock = dict(self.lots(account, unit, today))
            if account == ISSUER:
                continue
            if lot < today:
                lapsed += abs(amount)
            elif account[:5] == "debt:":
                post(account, unit, lot, -amount)
            elif account[:6] == "minus:":
                post(account, unit, lot, min(-amount, -stock.get(lot, 0)))
            else:
                taken = [(lot, min(amount, stock.pop(lot, 0)))]
                if body and data["policy"] != "only_available":
                    taken += _earliest(sorted(stock.items()), amount - taken[0][1])
                for day, n in taken:
                    post(account, unit, day, -n)
                missing = amount - sum(n for _, n in taken)
                if body and data["policy"] == "allow_debt" and unit == POINTS:
                    post("debt:" + subject, unit, NEVER, -missing)
                    missing = 0
                shortfall += missing
        self._expect(delta, want, "this reversal")
        said = f"{data['shortfall']} and {data['lapsed']}, not {shortfall} and {lapsed}"
        need((data["shortfall"], data["lapsed"]) == (shortfall, lapsed), f"shortfall and lapsed are {said}")

    # redemptions

    def _hold(self, entry, delta, today):
        subject, accounts = entry["subject"], {name for name, _, _ in delta if name.startswith("held:")}
        self.open_member(subject)
        need(not self.lots("debt:" + subject, POINTS), "points are held while a debt stands")
        amount = sum(n for (name, _, _), n in delta.items() if name in accounts)
        need(len(accounts) == 1 and amount > 0, "a hold sets points aside in one held: account")
        (held,) = accounts
        need(self.store.get("i" + held) is None, f"the hold {held} was opened before")
        chosen = dict(_earliest(self.lots("subject:" + subject, POINTS, today), amount))
        want = _posted("subject:" + subject, chosen, -1) | _posted(held, chosen)
        self._expect(delta, want, "a hold (lots that have not lapsed, earliest first)")
        self.store.put("i" + held, self.size)
        self.store.put(f"h{self.size}", {
            "seq": self.size, "leaf": self.leaf.hex(), "account": held, "subject": subject, "state": "held",
            "expires_at": entry["data"]["expires_at"], "grace": "", "lots": chosen, "captured": {},
            "merchant": "",
        })  # fmt: skip

    def _capture(self, entry, delta):
        hold = self.hold_of(entry["links"][0])
        lots, captured = hold["lots"], hold["captured"]
        need(hold["state"] == "held", "the hold is closed: nothing is left to capture")
        late = _microseconds(entry["recorded_at"]) - _microseconds(hold["expires_at"])
        need(late < SLACK_US, f"captured after the hold ran out at {hold['expires_at']}")
        merchant, amount = _merchant(delta)
        need(amount > 0, "captures nothing")
        need(hold["merchant"] in ("", merchant), f"captures from a hold of which {hold['merchant']} has captured")
        hold["merchant"] = merchant
        chosen = dict(_earliest(sorted(lots.items()), amount))
        want = _posted(hold["account"], chosen, -1) | {(merchant, POINTS, NEVER): amount}
        self._expect(delta, want, "a capture (what the hold has left, earliest lots first)")
        for lot, n in chosen.items():
            lots[lot] -= n
            captured[lot] = captured.get(lot, 0) + n
        hold["state"] = "held" if any(lots.values()) else "closed"
        self.store.put(f"h{hold['seq']}", hold)

    def _refund(self, entry, delta, today):
        hold = self.hold_of(entry["links"][0])
        merchant, amount = _merchant(delta)
        taken = _earliest(sorted(hold["captured"].items(), reverse=True), -amount)
        need(amount < 0 and sum(n for _, n in taken) == -amount, "returns more than was captured and not yet returned")
        need(hold["merchant"] == merchant, f"returns from {merchant} what {hold['merchant']} has captured")
        back, grace = {}, hold["grace"]
        for lot, n in taken:
            if lot < today:
                lot = grace = grace or _later(today, GRACE_DAYS)
            back[lot] = back.get(lot, 0) + n
        want = _posted(hold["account"], back) | {(merchant, POINTS, NEVER): amount}
        self._expect(delta, want, "a refund (latest lots first; lapsed ones get one new day)")
        for lot, n in taken:
            hold["captured"][lot] -= n
        hold["grace"] = grace
        self.store.put(f"h{hold['seq']}", hold)
        self.pending = (hold["seq"], back, entry["txn"])

    _void = _refund

    def _release(self, entry, delta, today):
        hold, data = self.hold_of(entry["links"][0]), entry.get("data", {})
        subject, expired, to = hold["subject"], "expired" in data, data.get("to")
        back = {lot: n for lot, n in hold["lots"].items() if n}
        if self.pending:
            need(self.pending[::2] == (hold["seq"], entry["txn"]) and not expired,
                 "the entry after a refund or void is not the release that passes it on")  # fmt: skip
            back = self.pending[1]
        need(back, "the hold has nothing left to release")
        if expired:
            early = hold["state"] != "held" or entry["recorded_at"] < hold["expires_at"]
            need(not early, f"released as run out before {hold['expires_at']}")
        need(entry["subject"] == subject, "releases to another subject than the hold's")
        where, good = self.members[subject][1], {lot: n for lot, n in back.items() if lot >= today}
        need(to is None or (where == "moved" and good and to != self.journal),
             "to names a journal although the subject is here, or nothing good is left")  # fmt: skip
        lost = good if where == "erased" or (where == "moved" and to is None) else {}
        want = _posted(hold["account"], back, -1)
        want[EXPIRED, POINTS, NEVER] = sum(n for lot, n in back.items() if lot in lost or lot not in good)
        if to is not None:
            want[ISSUER, POINTS, NEVER] = sum(good.values())
        elif not lost:
            want.update(_posted("subject:" + subject, good))
        self._expect(delta, want, "a release (the lots they came from; lapsed ones to expired)")
        if lost and where == "moved":
            self.gone.append((subject, self.size))  # only who was erased elsewhere is given nothing
        if to is not None:
            self.outs[self.size] = {"to": to, "subject": subject, "kind": None}
        if not self.pending:
            hold.update(lots={}, state="expired" if expired else "closed")
            self.store.put(f"h{hold['seq']}", hold)
        self.pending = None

    def _settle(self, entry, delta):
        data = entry["data"]
        named, posts = "merchant" in data, bool(entry["postings"])
        need(named != posts, "data names the merchant where nothing is posted, and only there")
        if not posts:
            need(data["fen"], "settles nothing")
            return
        merchant, amount = _merchant(delta)
        need(amount < 0, "settles nothing")
        self._expect(delta, {(merchant, POINTS, NEVER): amount, (REDEEMED, POINTS, NEVER): -amount}, "a settlement")

    def _benefit(self, entry, delta):
        self._expect(delta, {}, "a benefit")
        data, links = entry["data"], entry["links"]
        if not links:
            need(data["quantity"] > 0 and data["fen"] >= 0, "a benefit of nothing, or one that the merchant owes")
            self._once("benefit", data["redemption"])
            return
        seq = links[0]["seq"]
        old = self.linked(self.journal, seq, links[0]["leaf"])
        need(old["kind"] == "benefit" and not old["links"], "undoes no benefit")
        want = {**old["data"], "fen": -old["data"]["fen"], "quantity": -old["data"]["quantity"]}
        need(data == want, f"undoes another benefit than that of {seq}, or a part of it")
        before = self.reversed.setdefault((self.journal, seq), self.size)
        need(before == self.size, f"the benefit of {seq} was undone before, by entry {before}")

    # lists

    def _edition(self, entry, delta):
        self._expect(delta, {}, "an edition")
        data = entry["data"]
        self._once("edition", data["id"])
        self.editions[data["id"]] = (self.size, data)

    def _fund(self, entry, delta):
        self._expect(delta, {}, "a fund")
        data, link = entry["data"], entry["links"][0]
        old = self.linked(self.journal, link["seq"], link["leaf"])
        good = (old["kind"], old.get("data", {}).get("id")) == ("edition", data["edition"])
        need(good, "grants money by no edition of this id")
        self._once("fund", data["edition"], data["place"])

    # lots and whole accounts

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
        need(want, "no lot of this subject is past its day")
        self._expect(delta, want, "an expiry (every lot past its day, and no other)")

    def _relot(self, entry, delta, today):
        account = "subject:" + entry["subject"]
        self.open_member(entry["subject"])
        lines = sorted((lot, n) for (name, _, lot), n in delta.items() if name == account)
        good = len(delta) == len(lines) == 2 and lines[0][1] < 0
        need(good, "a relot moves points of one lot of the subject to one later day")
        need(lines[0][0] >= today, "a relot of a lot that has lapsed")

    def _erase(self, entry, delta):
        subject = entry["subject"]
        sort, _, stay = self.open_member(subject)
        want = self._all(subject, ("subject", "minus", "debt"), EXPIRED)
        self._expect(delta, want, "an erasure (everything to expired)")
        self.members[subject] = (sort, "erased", stay)

    def _move(self, entry, delta):
        subject, data = entry["subject"], entry["data"]
        link = entry["links"][0] if entry["links"] else {"rel": ""}
        fields = {"": {"to", "tallies"}, "moved_from": {"from", "kind", "tallies"}, "released_from": {"from"}}
        need(set(data) == fields[link["rel"]], "a move has another link than its data says")
        if "to" in data:
            sort, _, stay = self.open_member(subject)
            need(data["to"] != self.journal, "moves to its own journal")
            self._expect(delta, self._all(subject, ("subject", "minus", "debt"), ISSUER), "leaving (every lot)")
            tallies = {tuple(key.split("\0")): used for key, used in self.store.under(f"t{subject}\0{stay}\0")}
            need(stay or _tallies_hash(tallies) == data["tallies"], _TALLIES)
            self.members[subject] = (sort, "moved", stay)
            out = {"to": data["to"], "subject": subject, "kind": sort, "stay": stay}
            self.outs[self.size] = {**out, "tallies": tallies, "hash": data["tallies"]}
            return
        other, seq, whole = data["from"], link["seq"], "kind" in data
        need(link.get("journal") == other, "from and the link name different journals")
        if whole:
            member = self.members.get(subject, ("", "moved", 0))
            need(member[1] == "moved", f"arrives where its account is {member[1]}")
            self.members[subject] = (data["kind"], "open", member[2] + 1)
        stay = self.open_member(subject)[2]
        left = self.linked(other, seq, link["leaf"])
        self.ins.append((self.size, (other, seq), subject, stay, data.get("kind"), left is None))
        if left is None:
            self.unlinked += 1
            mine = {ISSUER, "subject:" + subject, "minus:" + subject, "debt:" + subject}
            need({name for name, _, _ in delta} <= mine, "what arrives goes to others than the subject")
            return
        said = left.get("data", {})
        there = (left["kind"], left.get("subject"), left["txn"], said.get("to"), said.get("tallies"))
        here = ("move" if whole else "release", subject, entry["txn"], self.journal, data.get("tallies"))
        need(there == here, f"the linked entry {other}/{seq} is not the other side of this move")
        want = {key: -n for key, n in self.delta(left["postings"]).items()}
        if not whole:  # of the lots held, the earliest had lapsed: as many points arrive as went to the issuer
            lots = sorted(((lot, n) for (name, _, lot), n in want.items() if name[:5] == "held:"), reverse=True)
            given = want[ISSUER, POINTS, NEVER]
            want = {(ISSUER, POINTS, NEVER): given} | _posted("subject:" + subject, dict(_earliest(lots, -given)))
        self._expect(delta, want, f"arriving (what {other}/{seq} sent)")

    # seals

    def state(self):
        """(accounts, root) over the state of all accounts, seal.md."""
        for account in self.touched:
            held = self.balances.get(account, {})
            if not held and account not in self.owned:
                self.states.pop(account, None)
                continue
            version, head = self.owned.get(account, (0, bytes(32)))
            lines = [
                {"amount": n, "unit": unit} if lot == NEVER else {"amount": n, "lot": lot, "unit": unit}
                for (unit, lot), n in sorted(held.items())
            ]
            said = {"account": account, "balances": lines, "head": head.hex(), "version": version}
            self.states[account] = sha256(b"\0" + canonical(said))
        self.touched.clear()
        names = sorted(self.states, key=str.encode)
        return len(names), root_of([self.states[name] for name in names]).hex()


def _zone(name):
    import datetime

    try:
        import zoneinfo

        return zoneinfo.ZoneInfo(name)
    except Exception:
        hours = _ZONES.get(name, 0)
        need(hours, f"this machine does not know the time zone {name!r}: pip install tzdata", "file")
        return datetime.timezone(datetime.timedelta(hours=hours))


def _later(day, days):
    import datetime

    return (datetime.date.fromisoformat(day) + datetime.timedelta(days=days)).isoformat()


_numbers = {}


def _days(day):
    """Days since 2000-01-01."""
    if day not in _numbers:
        import datetime

        _numbers[day] = (datetime.date.fromisoformat(day) - datetime.date(2000, 1, 1)).days
    return _numbers[day]


def _microseconds(at):
    seconds = _days(at[:10]) * 86_400 + int(at[11:13]) * 3600 + int(at[14:16]) * 60 + int(at[17:19])
    return seconds * 10**6 + int(at[20:26])


def _earliest(lots, amount):
    """[(lot, part)] of what `amount` takes from lots in the order given; less where there is less."""
    chosen = []
    for lot, n in lots:
        part = min(n, amount)
        if part > 0:
            chosen.append((lot, part))
            amount -= part
    return chosen


def _posted(account, lots, sign=1):
    return {(account, POINTS, lot): sign * n for lot, n in lots.items()}


def _merchant(delta):
    """The one merchant: account that an entry posts to, and the amount."""
    found = [(name, n) for (name, _, _), n in delta.items() if name.startswith("merchant:") and name != "merchant:"]
    need(len(found) == 1, f"posts to {len(found)} merchants, not to one")
    return found[0]


_TALLIES = "tallies is not the hash of what the caps had counted"


def _tallies_hash(tallies):
    return sha256(canonical(sorted([*key, used] for key, used in tallies.items()))).hex()


def check_journal(task):
    """One journal from its first line to its last; `across` needs what comes back. Runs in a process of its own."""
    journal, folder, files = task["journal"], task["folder"], {}
    path = os.path.join(folder, journal, "entries.jsonl")

    def linked(other, seq, leaf):
        if other not in task["journals"]:
            return None
        if other not in files:
            files[other] = Lines(os.path.join(folder, other, "entries.jsonl"))
        line = files[other].at(seq)
        need(line is not None, f"links to {other}/{seq}, which is not there")
        need(sha256(b"\0" + line).hex() == leaf, f"links to {other}/{seq} by another leaf than that entry has")
        try:
            return read_entry(line)
        except Bad as found:
            raise Bad(found.what, found.hint, f"{other}/{seq}") from None

    book, bad = Book(journal, linked), None
    try:
        _walk(book, task, path)
        if _digest(path) != task["digest"]:
            bad = (journal + "/entries.jsonl", "is not the file that the manifest names", "copy")
    except Bad as found:
        bad = (found.place or f"{journal}/{book.size}", found.what, found.hint)
    except OverflowError:
        bad = (f"{journal}/{book.size}", "names a day beyond the calendar", "rule")
    except OSError as error:
        bad = (journal + "/entries.jsonl", f"cannot be read: {error.strerror}", "copy")
    return {
        "journal": journal, "bad": bad, "entries": book.size, "recovery": str(book.recovery), "packs": book.packs,
        "editions": book.editions,
        "keys": [(seq, str(key), why) for seq, key, why in book.keys], "outs": book.outs, "ins": book.ins,
        "gone": book.gone, "assumed": book.assumed, "reversed": book.reversed, "replaced": book.replaced,
        "erased": [subject for subject, member in book.members.items() if member[1] == "erased"],
        "counts": book.counts, "unlinked": book.unlinked, "accounts": len(book.members),
    }  # fmt: skip


def _walk(book, task, path):
    tree, before, seals = Tree(), "", set()
    quick, wanted, size, journal = task["quick"], task["wanted"], task["size"], book.journal
    if not quick:
        sizes = [peek(line, "data", "as_of_size") for line in Lines(path).marked(b'"kind":"seal"')]
        seals = {size for size in sizes if type(size) is int}
        book.folding = bool(seals)
    with open(path, "rb") as file, open(task["deeds"], "wb") as deeds:
        for raw in file:
            at, whole = book.size, not quick or not book.size
            if at >= size:
                raise Bad(f"one entry more than the checkpoint's {size}", "copy")
            if raw[-1:] != b"\n":
                raise Bad("the line does not end with a line feed: its end was cut off", "copy")
            line = raw[:-1]
            entry = read_entry(line) if whole else _glance(line)
            if entry["seq"] != at or entry["journal"] != journal:
                found = f"{entry['journal']}/{entry['seq']}"
                raise Bad(f"is entry {found}: a line is missing, doubled or in another place", "copy")
            leaf = hashlib.sha256(b"\0" + line).digest()
            if entry["prev"] != before and at:
                raise _broken(book, tree, wanted, path, entry, leaf, next(file, b""))
            if whole:
                book.take(entry, leaf)
            else:
                book.size += 1
                if entry["kind"] == "key":
                    book.keys.append((at, Key(entry["data"]["vkey"]), entry["data"]["authority"]))
            before = leaf.hex()
            tree.add(leaf)
            if whole and "cause" in entry:
                deeds.write(bytes.fromhex(entry["cause"]) + at.to_bytes(8, "big"))
            if book.size in wanted:
                root = tree.root()
                for source, due in wanted[book.size]:
                    said = f"the first {book.size} entries have another root than {source} says: "
                    said += "this entry was changed, or entries up to it were rewritten together"
                    need(due == root, said, "pin" if source[:4] == "pin " else "copy", f"{journal}/{at}")
            if book.size in seals:
                book.seal_sizes[book.size] = book.state()
                book.folding = book.size < max(seals)
    need(book.size == size, f"is missing: the checkpoint has {size} entries, here are {book.size}", "copy")
    need(not book.pending, "the release that must follow a refund is missing")


def _glance(line):
    """For --quick: the fields of the chain, without form."""
    entry = peek(line) or {}
    good = type(entry) is dict and {"seq", "journal", "kind", "prev"} <= set(entry) and type(entry["seq"]) is int
    need(good, "is not an entry", "copy")
    if entry["kind"] == "key":
        check_form(entry)
    return entry


def _broken(book, tree, wanted, path, entry, leaf, following):
    """prev is not the leaf before: was the entry before changed, or this one? The next entry, or the root, knows."""
    this_stands = peek(following, "prev") == leaf.hex()
    if not following:
        again = Tree()
        with open(path, "rb") as file:
            for _ in range(book.size - 1):
                again.add(sha256(b"\0" + file.readline()[:-1]))
        again.add(bytes.fromhex(entry["prev"]) if fits(_HEX, entry["prev"]) else b"")
        again.add(leaf)
        this_stands = any(due == again.root() for _, due in wanted.get(book.size + 1, ()))
    if this_stands:
        return Bad("was changed: the entry after it names another leaf", "copy", f"{book.journal}/{book.size - 1}")
    return Bad("prev is not the leaf of the entry before", "copy")


def _digest(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


# the folder, and what only shows over all journals (export.md, epoch.md) -----------------------------------------

_NAME = re.compile(r"(?!(?:epoch|packs|editions)$)[A-Za-z0-9][A-Za-z0-9._-]{0,99}").fullmatch
_POINT = _object({"root": _HEX, "size": _COUNT})
_MANIFEST = _object({
    "epoch": _POINT, "files": _map(_HEX), "journals": _map(_POINT), "made_at": _TEXT, "only?": _list(_TEXT),
    "origin": _TEXT, "software": _TEXT, "v": "1",
})  # fmt: skip
_KEYS = _object({
    "keys": r"(?!\[\])" + _list(_object({"from": _map(_COUNT), "vkey": _TEXT})), "origin": _TEXT, "recovery": _TEXT,
    "v": "1", "witnesses": _list(_TEXT),
})  # fmt: skip
_MEMBER = _object({"journal": _TEXT, "root": _HEX, "size": _COUNT})
_HEADS = _map(_object({"leaf": _HEX, "size": _COUNT}))
_PUBLISHED = {"edition": _TEXT, "frozen": _HEX, "v": "1"}  # what is looked at here; other fields may stand beside it
_FROZEN = {
    "as_of": _HEADS, "files": _map(_HEX), "id": _TEXT, "list": _TEXT, "period": _PERIOD, "seen": _HEADS, "v": "1",
    "version": _COUNT,
}  # fmt: skip
_EPOCH = _object({"count": _COUNT, "epoch": _COUNT, "journals_root": _HEX, "members": _list(_MEMBER), "v": "1"})


class Export:
    """An export being checked: `findings` are (place, what, hint), `journals` what each journal's check found."""

    def __init__(self, folder, pins=(), quick=False, jobs=0):
        self.folder, self.quick, self.jobs = folder, quick, jobs
        self.findings, self.journals, self.notes, self.absent, self.witnessed = [], {}, [], [], []
        self.wanted = {}  # journal → {size: [(who says so, root)]}
        self.points, self.rotations = {}, {}  # journal → its checkpoint; those with two signatures
        self.pins = [read_pin(path) for path in pins]
        self.pinned = {}  # size of the epoch log, where there is a pin of it → (root, members)
        if not os.path.isfile(os.path.join(folder, "manifest")):
            raise Unusable(f"{folder} is not an export: there is no manifest in it")

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def read(self, *names):
        with open(self.path(*names), "rb") as file:
            return file.read()

    def say(self, place, what, hint="copy"):
        self.findings.append((place, what, hint))

    def check(self):
        if not (self._try("manifest", self._manifest) and self._try("keys.json", self._keys)):
            return
        self._files()
        self._try("epoch/leaves.jsonl", self._epochs)
        for journal, stated in self.info["journals"].items():
            self._try(journal + "/checkpoint", self._checkpoint, journal, stated)
        for name, point in self.pins:
            self._try("pin " + name, self._pin, name, point)
        self._all_journals()
        self._signatures()
        self._packs()
        self._editions()
        if any(result["bad"] for result in self.journals.values()):
            self.notes.append("what only shows over all journals (moves, deeds reversed or replaced): one is not whole")
        else:
            self._across()

    def _try(self, place, step, *args):
        try:
            step(*args)
            return True
        except Bad as bad:
            self.say(bad.place or place, bad.what, bad.hint)
        except OSError as error:
            where = os.path.relpath(error.filename, self.folder).replace(os.sep, "/")
            self.say(where, f"cannot be read: {error.strerror}")
        return False

    def _manifest(self):
        self.note = Note(self.read("manifest"))
        head, _, rest = self.note.text.partition("\n")
        need(head == "jifen-export/v1", "not a manifest of version 1", "copy")
        self.info = info = read_form(rest[:-1].encode(), _MANIFEST, "a manifest")
        need(all(map(_NAME, info["journals"])), "a journal has a name that cannot be a folder", "copy")
        self.origin, self.partial = info["origin"], "only" in info
        need(info.get("only", sorted(info["journals"])) == sorted(info["journals"]),
             "only does not list the exported journals", "copy")  # fmt: skip

    def _keys(self):
        said = read_form(self.read("keys.json").rstrip(b"\n"), _KEYS, "a keys.json")
        self.keys = [(Key(one["vkey"]), one["from"]) for one in said["keys"]]
        self.recovery, self.witnesses = Key(said["recovery"]), [Key(text) for text in said["witnesses"]]
        names = {said["origin"], *(key.name for key, _ in self.keys)}
        need(names == {self.origin} and self.recovery.name == self.origin + "/recovery",
             "names another deployment than the manifest")  # fmt: skip
        self.key = self.keys[-1][0]
        self._try("manifest", self._signed, self.note, [self.key], self.key)

    def _signed(self, note, keys, key):
        """Whether the key in force signed; the signers among `keys`."""
        signed, _ = note.signers(keys)
        need(key in signed, f"is not signed by the key in force, {key}", "key")
        return signed

    def _files(self):
        found, files = set(), self.info["files"]
        for top, folders, names in os.walk(self.folder):
            for name in folders + names:
                path = os.path.join(top, name)
                where = os.path.relpath(path, self.folder).replace(os.sep, "/")
                if os.path.islink(path):
                    self.say(where, "is a link, not a file")
                elif name in names:
                    found.add(where)
        for where in sorted(set(files) - found):
            self.say(where, "is missing: the manifest names it")
        for where in sorted(found - set(files) - {"manifest", "verify.py"}):
            self.say(where, "is in no manifest: somebody put it there")
        own = {name + "/entries.jsonl" for name in self.info["journals"]}
        for where in sorted((set(files) & found) - own):  # entries are read line by line, which says more
            if _digest(self.path(*where.split("/"))) != files[where]:
                self.say(where, "is not the file that the manifest names")
        for name in sorted(own - set(files)):
            self.say(name, "is not in the manifest")

    def _want(self, journal, size, source, root):
        self.wanted.setdefault(journal, {}).setdefault(size, []).append((source, root))

    def _epochs(self):
        tree, members, here = Tree(), {}, self.info["journals"]
        sizes = {point.size for _, point in self.pins if point.origin == self.origin}
        with open(self.path("epoch", "leaves.jsonl"), "rb") as file:
            for line in file:
                try:
                    members = self._epoch(line, members, tree)
                except Bad as bad:
                    raise Bad(bad.what, bad.hint, f"epoch/{tree.size}") from None
                if tree.size in sizes:
                    self.pinned[tree.size] = (tree.root(), members)
        point = {"root": tree.root().hex(), "size": tree.size}
        need(point == self.info["epoch"], f"{tree.size} epochs, of another size or root than the manifest says", "copy")
        same = {name: members.get(name) for name in here} == here and (self.partial or set(members) == set(here))
        said = "the last epoch does not hold exactly the exported journals and sizes: one is missing or older"
        need(same, said, "copy")
        self.absent = sorted(set(members) - set(here))
        self._try("epoch/checkpoint", self._epoch_checkpoint, tree)

    def _epoch_checkpoint(self, tree):
        point = Checkpoint(Note(self.read("epoch", "checkpoint")))
        good = (point.origin, point.size, point.root) == (self.origin, tree.size, tree.root())
        need(good, "is not the checkpoint of these epochs", "copy")
        signed = self._signed(point.note, [self.key, *self.witnesses], self.key)
        self.witnessed = [key.name for key in signed if key.kind == 4]

    def _epoch(self, line, before, tree):
        """Members of an epoch, {journal: {"root", "size"}}, after those of the epoch before."""
        need(line[-1:] == b"\n", "the line does not end with a line feed", "copy")
        epoch = read_form(line[:-1], _EPOCH, "an epoch with members")
        listed, members = epoch.pop("members"), {}
        good = (epoch["epoch"], epoch["count"]) == (tree.size, len(listed))
        need(good, "number or count of the epoch is wrong", "copy")
        root = root_of([sha256(b"\0" + canonical(one)) for one in listed])
        for one in listed:
            journal = one.pop("journal")
            old, members[journal] = before.get(journal, {"root": "", "size": 0}), one
            if old != one:
                need(old["size"] < one["size"] or not old["root"], f"journal {journal} shrinks or changes", "copy")
                self._want(journal, one["size"], f"epoch {tree.size}", bytes.fromhex(one["root"]))
        in_order = list(members) == sorted(members, key=str.encode) and len(members) == len(listed)
        need(in_order and set(before) <= set(members), "members are not in order, or one has disappeared", "copy")
        need(root.hex() == epoch["journals_root"], "journals_root is not the root over the members", "copy")
        tree.add(sha256(b"\0" + canonical(epoch)))
        return members

    def _checkpoint(self, journal, stated):
        self.rotations[journal] = []
        if os.path.exists(self.path(journal, "rotations")):
            text = self.read(journal, "rotations")
            notes = re.findall(rb".*?\n\n(?:\xe2\x80\x94 [^\n]*\n)+", text, re.DOTALL)
            need(b"".join(notes) == text, "is not a row of signed notes", "copy", journal + "/rotations")
            self.rotations[journal] = [Checkpoint(Note(note)) for note in notes]
        point = self.points[journal] = Checkpoint(Note(self.read(journal, "checkpoint")))
        same = (point.size, point.root.hex()) == (stated["size"], stated["root"])
        need(same, "has another size or root than the manifest", "copy")
        for source, one in [("the checkpoint", point), *(("a rotation", one) for one in self.rotations[journal])]:
            good = one.origin == f"{self.origin}/{journal}" and one.size <= point.size
            need(good, f"{source} is of another log or of a later size", "copy")
            self._want(journal, one.size, source, one.root)

    def _pin(self, name, point):
        deployment, _, journal = point.origin.partition("/")
        need(deployment == self.origin, f"is of {point.origin}; this export is of {self.origin}", "pin")
        size = self.info["journals"].get(journal, {}).get("size") if journal else self.info["epoch"]["size"]
        need(size is not None, f"journal {journal} is not in this export", "pin")
        said = f"has {point.size} entries, the export only {size}"
        need(point.size <= size, f"{said}: it is older than the pin, or its end was cut off", "pin")
        if journal:
            self._want(journal, point.size, "pin " + name, point.root)
        elif point.size:
            same = self.pinned.get(point.size, ("",))[0] == point.root
            need(same, f"the first {point.size} epochs have another root: this is another history", "pin")

    def _all_journals(self):
        import tempfile

        names, files = sorted(self.info["journals"]), self.info["files"]
        with tempfile.TemporaryDirectory() as scratch:
            tasks = [
                {
                    "folder": self.folder, "journal": name, "size": self.info["journals"][name]["size"],
                    "wanted": self.wanted.get(name, {}), "journals": names, "quick": self.quick,
                    "digest": files.get(name + "/entries.jsonl"), "deeds": os.path.join(scratch, str(place)),
                }
                for place, name in enumerate(names)
            ]  # fmt: skip
            tasks.sort(key=lambda task: -task["size"])
            few = sum(task["size"] for task in tasks) <= 20_000
            jobs = min(len(tasks), self.jobs or (1 if few else os.cpu_count() or 1))
            if jobs > 1:
                from concurrent.futures import ProcessPoolExecutor

                with ProcessPoolExecutor(jobs) as pool:
                    results = list(pool.map(check_journal, tasks))
            else:
                results = [check_journal(task) for task in tasks]
            self.journals = {result["journal"]: result for result in results}
            self.findings += [result["bad"] for result in results if result["bad"]]
            self._deeds([(task["journal"], task["deeds"]) for task in tasks if os.path.exists(task["deeds"])])

    def _deeds(self, files):
        """One award per cause over all journals: records of (cause, seq), read in as many parts as memory asks for."""
        parts = 1 + sum(os.path.getsize(path) for _, path in files) // (40 * 2_000_000)
        taking = {(j, seq): where for j, r in self.journals.items() for where, seq in r["replaced"]}
        for part in range(parts):
            first, again = {}, {}
            for journal, path in files:
                with open(path, "rb") as file:
                    for record in iter(lambda: file.read(40), b""):
                        if record[2] % parts == part:
                            cause, where = record[:32], (journal, int.from_bytes(record[32:], "big"))
                            if first.setdefault(cause, where) != where:
                                again.setdefault(cause, [first[cause]]).append(where)
            for rows in again.values():
                roots = [where for where in rows if taking.get(where) not in rows]
                if len(rows) != 2 or len(roots) != 1:
                    late = max(rows, key=lambda where: (self._recorded_at(*where), where))
                    others = ", ".join(f"{j}/{seq}" for j, seq in sorted(rows) if (j, seq) != late)
                    self.say(f"{late[0]}/{late[1]}", f"awards the deed of {others} a second time", "rule")

    def _recorded_at(self, journal, seq):
        line = Lines(self.path(journal, "entries.jsonl")).at(seq)
        return str(peek(line or b"", "recorded_at"))

    def _signatures(self):
        """The keys that entries name, their rotations, and who signed each checkpoint (tree.md, Which key signs)."""
        since = [{} for _ in self.keys]
        for journal, result in sorted(self.journals.items()):
            if not result["bad"]:  # else the keys that follow are not known
                self._try(journal + "/checkpoint", self._journal_keys, journal, result, since)
        if not any(result["bad"] for result in self.journals.values()):
            self._try("keys.json", self._since, since)
        for name, point in self.pins:
            known = self.journals.get(point.origin.partition("/")[2], {}).get("keys")
            keys = [Key(text) for _, text, _ in known] if known else [key for key, _ in self.keys]
            self._try("pin " + name, self._pin_signed, point, keys)

    def _pin_signed(self, point, keys):
        signed, _ = point.note.signers(keys)
        need(signed, "is signed by no key of this history: it is another history, or not a pin of ours", "pin")

    def _journal_keys(self, journal, result, since):
        keys = [(seq, Key(text), why) for seq, text, why in result["keys"]]
        texts, last = [key for key, _ in self.keys], -1
        same = result["recovery"] == self.recovery
        need(same, "recovery is not the key of keys.json", "key", journal + "/0")
        for seq, key, _ in keys:
            in_order = key in texts[last + 1 :]
            need(in_order, f"key {key} is not in keys.json, or not in this order", "key", f"{journal}/{seq}")
            last = texts.index(key, last + 1)
            since[last][journal] = seq + 1 if seq else 0
        point, own = self.points.get(journal), [key for _, key, _ in keys]
        if not point:
            return
        marks = [(one.size, set(one.note.signers([*own, self.recovery])[0])) for one in self.rotations[journal]]
        force = [key for seq, key, _ in keys if seq < point.size or not seq][-1]
        marks.append((point.size, set(self._signed(point.note, [*own, self.recovery], force))))
        for (_, before, _), (seq, key, why) in zip(keys, keys[1:]):
            vouching = self.recovery if why == "recovery" else before
            good = any(seq < size and {key, vouching} <= signed for size, signed in marks)
            said = f"no checkpoint that first contains this key is signed by it and by {vouching}"
            need(good, said, "key", f"{journal}/{seq}")

    def _since(self, since):
        for (key, stated), found in zip(self.keys, since):
            if self.partial:
                stated = {name: size for name, size in stated.items() if name in self.journals}
            need(stated == found, f"from of {key} is not what the key entries say", "key")
        need(since[-1] or not self.journals or self.partial, "the last key was never in force", "key")

    def _across(self):
        """Moves and releases between journals, accounts and awards: what no journal shows alone (entry.md, Move)."""
        whole = self.journals
        outs = {(j, seq): out for j, r in whole.items() for seq, out in r["outs"].items()}
        arrivals, taken, reversals = {}, set(), {}
        erased = {subject for r in whole.values() for subject in r["erased"]}
        for j, r in sorted(whole.items()):
            for seq, source, subject, stay, sort, unlinked in r["ins"]:
                if sort:
                    arrivals[j, subject, stay] = source
                if unlinked:
                    continue
                if source in taken:
                    self.say(f"{j}/{seq}", f"a second arrival of what left with {source[0]}/{source[1]}", "rule")
                taken.add(source)
                out = outs.get(source)
                if out and sort and out["kind"] != sort:
                    self.say(f"{j}/{seq}", f"arrives as {sort}, left as {out['kind']}", "rule")
            for subject, seq in r["gone"]:
                if subject not in erased and not self.partial:
                    self.say(f"{j}/{seq}", f"gives nothing back although {subject} was not erased", "rule")
            for where, seq in r["reversed"].items():
                if reversals.setdefault(where, (j, seq)) != (j, seq):
                    self.say(f"{j}/{seq}", f"reverses {where[0]}/{where[1]} a second time", "rule")
        for j, r in whole.items():
            for where, seq in r["replaced"]:
                if where not in reversals and where[0] in whole and not self.partial:
                    self.say(f"{j}/{seq}", f"replaces {where[0]}/{where[1]}, which was not reversed", "rule")
        for (j, seq), out in sorted(outs.items()):
            if out["to"] in whole and (j, seq) not in taken:
                self.say(f"{j}/{seq}", f"leaves for {out['to']}, where nothing arrives", "rule")
        self._tallies(outs, arrivals)

    def _tallies(self, outs, arrivals):
        """What caps had counted goes along: the hash of each departure, and what later entries took it to be."""
        known = {}

        def brought(stay):
            """{(cap, from): used} with which a stay (journal, subject, number) began; None where that is not here."""
            if stay not in known:
                source = arrivals.get(stay)
                known[stay] = left(source[0], outs[source]) if source in outs else None
            return known[stay]

        def left(j, out):
            base = brought((j, out["subject"], out["stay"])) if out["stay"] else {}
            return None if base is None else {**base, **out["tallies"]}

        for (j, seq), out in sorted(outs.items()):
            tallies = left(j, out) if out["kind"] else None
            if tallies is not None and _tallies_hash(tallies) != out["hash"]:
                self.say(f"{j}/{seq}", _TALLIES, "rule")
        for j, r in self.journals.items():
            for (subject, stay), windows in r["assumed"].items():
                base = brought((j, subject, stay))
                for window, (used, seq) in windows.items():  # the first that differs says enough
                    if base is not None and base.get(window, 0) != used:
                        said = f"used_before is {used}, but {base.get(window, 0)} came along with the move"
                        self.say(f"{j}/{seq}", f"cap {window[0]}: {said}", "rule")
                        break

    def _packs(self):
        named = {}
        for j, r in sorted(self.journals.items()):
            for pack, seq in r["packs"].items():
                named.setdefault(pack, f"{j}/{seq}")
        here = sorted(os.listdir(self.path("packs"))) if os.path.isdir(self.path("packs")) else []
        for pack in sorted(set(named) - set(here)):
            self.say("packs/" + pack, f"is missing: {named[pack]} names it")
        for pack in here:
            self._try("packs/" + pack, self._pack, pack)

    def _pack(self, pack):
        data = self.read("packs", pack, "pack.json")
        good = sha256(data).hex() == pack
        need(good, "has another hash than the name of its folder", "copy", f"packs/{pack}/pack.json")
        if sys.version_info < (3, 11):
            said = f"that the .toml files of pack {pack[:12]}… say the same as its pack.json (needs Python 3.11)"
            self.notes.append(said)
            return
        names = [name for name in sorted(os.listdir(self.path("packs", pack))) if name.endswith(".toml")]
        same = not names or pack_json({name: self.read("packs", pack, name) for name in names}) == data
        need(same, "its .toml files say something else than pack.json", "copy")

    def _editions(self):
        """Published lists: the files are those that entries name, and made from these entries."""
        named, top = {}, self.path("editions")
        for j, r in sorted(self.journals.items()):
            for edition, (seq, data) in r["editions"].items():
                named.setdefault(edition, []).append((j, seq, data))
        here = sorted(os.listdir(top)) if os.path.isdir(top) else []
        for edition in sorted(set(named) - set(here)):
            self.say("editions/" + edition, "is missing: {}/{} names it".format(*named[edition][0]))
        whole = not self.quick and not any(result["bad"] for result in self.journals.values())
        for edition in here:
            if whole and edition not in named:
                self.say("editions/" + edition, "no entry names it: it was not published")
            self._try("editions/" + edition, self._edition, edition, named.get(edition, []))
        if here:
            self.notes.append("that the figures of lists follow from the entries: jifen lists verify --export DIR")

    def _edition(self, edition, entries):
        files = {name: self.read("editions", edition, name) for name in os.listdir(self.path("editions", edition))}

        def holds(good, name, what, hint="copy"):
            need(good, what, hint, f"editions/{edition}/{name}")

        def document(name, fields):
            holds(name in files, name, "is missing")
            said = read_canonical(files[name])
            good = all(fits(form, said.get(field)) for field, form in fields.items())
            holds(good, name, "not a list of version 1")
            return said

        said = document("published.json", _PUBLISHED)
        digest = sha256(files["published.json"]).hex()
        for journal, seq, data in entries:
            holds(data["digest"] == digest, "published.json", f"is not what was published, says {journal}/{seq}")
        header = document("edition.json", _FROZEN)
        good = said["frozen"] == sha256(files["edition.json"]).hex()
        holds(good, "edition.json", "is not the frozen list that published.json names")
        holds(edition == said["edition"] == header["id"], "edition.json", f"is list {header['id']}, not {edition}")
        for journal, seq, data in entries:
            same = all(header[field] == data[field] for field in ("list", "period", "version"))
            holds(same, "edition.json", f"is of another list, period or version than {journal}/{seq} says")
        for name in sorted(set(files) - {"edition.json", "published.json", "note"} | set(header["files"])):
            good = name in files and header["files"].get(name) == sha256(files[name]).hex()
            holds(good, name, "is not the file that edition.json names, or there is none of this name")
        if "note" in files:
            note = Note(files["note"])
            good = note.text.encode() == b"jifen-edition/v1\n" + files["published.json"] + b"\n"
            holds(good, "note", "is not over published.json")
            holds(note.signers([key for key, _ in self.keys])[0], "note", "is signed by no key of this history", "key")
        for what in ("as_of", "seen"):
            for journal, head in sorted(header[what].items()):
                before = [seq for one, seq, _ in entries if one == journal]
                self._try("", self._head, edition, what, journal, head, min(before, default=INTEGER_MAX))

    def _head(self, edition, what, journal, head, before):
        """The entries that a list was made from are those of this export."""
        place, result = f"editions/{edition}/edition.json", self.journals.get(journal)
        if result is None or result["bad"]:
            need(result or self.partial, f"counts entries of journal {journal}, which there is not", "copy", place)
            self.notes.append("that lists stand on the entries of journals that are not here, or not whole")
            return
        size = head["size"]
        said = f"{what} counts {size} entries of {journal}: more than came before its own, or than there are"
        need(0 < size <= min(before, result["entries"]), said, "copy", place)
        line = Lines(self.path(journal, "entries.jsonl")).at(size - 1) or b""
        said = f"{what} names {journal}/{size - 1} by another leaf: entries up to it were changed since it was frozen"
        need(sha256(b"\0" + line).hex() == head["leaf"], said, "copy", place)


def pack_json(files):
    """The bytes whose SHA-256 is a pack's hash, from its .toml files by name; None when they do not make a pack."""
    import tomllib

    try:
        read = {name: tomllib.loads(data.decode()) for name, data in sorted(files.items())}
        said: dict = {"pack": read.pop("pack.toml")}
        if "lists.toml" in read:
            said["lists"] = sorted(read.pop("lists.toml")["list"], key=lambda one: str(one["code"]))
        for part, key in (("groups", "group"), ("bands", "band")):
            said[part] = sorted(read.pop(part + ".toml")[key], key=lambda one: str(one["code"]))
        tables = [dict(one, group=file["group"]) for file in read.values() for one in file["indicator"]]
        said["indicators"] = sorted(tables, key=lambda one: str(one["code"]))
        days = json.JSONEncoder(
            sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=lambda day: day.isoformat()
        )
        return days.encode(said).encode()
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


# receipts and statements (receipt.md, seal.md) -------------------------------------------------------------------

_BASE45 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"


def _base45(text):
    values, out = [_BASE45.find(char) for char in text], bytearray()
    for at in range(0, len(values), 3):
        part = values[at : at + 3]
        total = sum(value * 45**power for power, value in enumerate(part))
        good = min(part) >= 0 and len(part) > 1 and total < 256 ** (len(part) - 1)
        need(good, "not Base45", "copy")
        out += total.to_bytes(len(part) - 1, "big")
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
            match = re.fullmatch(r"c2sp\.org/tlog-proof@v1\nextra ([^\n]*)\nindex ([^\n]*)((?:\n[^\n]+)*)", head)
            if match is None:
                raise Bad("not a receipt", "file")
            self.line, self.index = b64(match.group(1)), number(match.group(2))
            self.proof = [b64(line) for line in match.group(3).split("\n")[1:]]
            self.entry, self.point = read_entry(self.line), Checkpoint(Note(rest.encode()))
        origin, journal = self.point.origin, self.entry["journal"]
        need(all(len(part) == 32 for part in self.proof), "a hash of other than 32 bytes", "copy")
        good = self.entry["seq"] == self.index and origin.endswith("/" + journal)
        need(good, "index or origin is not that of the entry", "copy")
        self.deployment = origin[: -len(journal) - 1]
        good = self._root(self.point.size) == self.point.root
        need(good, "the entry is not under the root of the checkpoint: the entry or the proof was changed", "copy")

    def _root(self, size):
        return root_of_inclusion(sha256(b"\0" + self.line), self.index, size, self.proof)

    def _unpack(self, text):
        import zlib

        packed, stream, data = _base45(text[:110_000]), zlib.decompressobj(-zlib.MAX_WBITS), b""
        if len(packed) > 4 and zlib.crc32(packed[:-4]) == int.from_bytes(packed[-4:], "big"):
            try:
                data = stream.decompress(packed[:-4], 70_001)
            except zlib.error:
                pass
        good = stream.eof and not stream.unused_data and len(data) <= 70_000
        need(good, "not a receipt: what is packed cannot be unpacked; a character was misread or changed", "copy")
        at = 0

        def take(n):
            nonlocal at
            at += n
            need(at <= len(data), "a packed receipt that ends too early", "copy")
            return data[at - n : at]

        def short():
            return take(take(1)[0])

        self.line = take(int.from_bytes(take(2), "big"))
        size = int.from_bytes(take(8), "big")
        self.proof = [take(32) for _ in range(take(1)[0])]
        signatures = [(short(), short()) for _ in range(take(1)[0])]
        good = at == len(data) and signatures
        need(good, "a packed receipt with something left over, or without signatures", "copy")
        self.entry = read_entry(self.line)
        self.index = self.entry["seq"]
        origin = signatures[0][0] + b"/" + self.entry["journal"].encode()
        note = origin + b"\n%d\n%s\n" % (size, binascii.b2a_base64(self._root(size)))
        for name, raw in signatures:
            note += b"\xe2\x80\x94 " + name + b" " + binascii.b2a_base64(raw)
        self.point = Checkpoint(Note(note))

    def signed(self, keys, unknown_too):
        """The key of the deployment, among `keys`, that signed. Bad when another signature is of an unknown key."""
        signed, others = self.point.note.signers(keys)
        ours = [key for key in signed if key.kind == 1 and key.name == self.deployment]
        if others and not (unknown_too and ours):
            said = "carries a signature of %s, whose key was not given: add --key VKEY%s"
            raise Bad(said % (others[0], " or --unknown-too" if ours else ""), "key")
        need(ours, f"is not signed by a key of {self.deployment} that was given", "key")
        return ours[0]


def read_pin(path):
    """(name, checkpoint) of a checkpoint or a receipt, as copied from a QR code or a mail: see docs/spec/export.md."""
    data = read_file(path)
    data = (data[3:] if data[:3] == b"\xef\xbb\xbf" else data).replace(b"\r\n", b"\n").rstrip(b"\n") + b"\n"
    try:
        return path, Receipt(data).point if data[:4] in (b"JF1:", b"c2sp") else Checkpoint(Note(data))
    except Bad as bad:
        raise Unusable(f"pin {path}: {bad.what}") from None


_BALANCE = _object({"amount": _INT, "lot?": _LOT, "unit": _UNIT})
_STATE = _object({"account": _TEXT, "balances": _list(_BALANCE), "head": _HEX, "version": _COUNT})
_SEALED = {"receipt": _TEXT, "accounts": _COUNT}
_SHOWN = {"index": _COUNT, "state": _TEXT, "proof": _list(_HEX)}
_SIDE = _object({**_SEALED, **_SHOWN})
_WHOLE = {
    "v": "1", "journal": _TEXT, "account": f"(?=.(?:{'|'.join(OWNED)}):){_TEXT}", "from": f"(?:null|{_SIDE})",
    "to": _SIDE, "entries": _list(_TEXT), "absent": "null",
}  # fmt: skip
_ABSENT = {
    **_WHOLE, "from": "null", "to": _object({**_SEALED, "index": "null", "state": "null", "proof": r"\[\]"}),
    "entries": r"\[\]", "absent": _list(_object(_SHOWN)),
}  # fmt: skip


class Proofs:
    """Checks receipts and statements: under keys that were named, or those of keys.json in `folder`."""

    def __init__(self, folder, keys, unknown_too):
        self.given, self.unknown_too, self.said = [Key(text) for text in keys], unknown_too, []
        path = os.path.join(folder, "keys.json")
        if os.path.isfile(path):
            try:
                said = read_form(read_file(path).rstrip(b"\n"), _KEYS, "a keys.json")
                self.said = [(Key(one["vkey"]), one["from"]) for one in said["keys"]]
                others = [Key(text) for text in [said["recovery"], *said["witnesses"]]]
                self.given = self.given or [key for key, _ in self.said] + others
            except Bad:
                raise Unusable(f"{path} is not a keys.json") from None
        if not self.given:
            raise Unusable("which key? Add --key VKEY, or put keys.json beside verify.py")

    def receipt(self, data):
        """(the receipt, its key, whether that key has been retired): such a receipt holds only against the history."""
        receipt = Receipt(data)
        key = receipt.signed(self.given, self.unknown_too)
        journal, known = receipt.entry["journal"], dict(self.said)
        newest = next((one for one, sizes in reversed(self.said) if journal in sizes), next(reversed(known), None))
        if key != newest:
            return receipt, key, key in known
        since = known[key].get(journal, 0)
        need(receipt.point.size >= since, f"is signed by a key that came into force later, at size {since}", "key")
        return receipt, key, False

    def statement(self, data):
        """(first size, last size, number of entries, account, journal) of a complete statement, or Bad."""
        try:
            said = read_canonical(canonical(_decoder.decode(data.decode())))
        except (ValueError, RecursionError):
            raise Bad("not a statement: not JSON", "file") from None
        if fits(_object(_ABSENT), said):
            return self._absent(said)
        good = fits(_object(_WHOLE), said)
        need(good, "not a statement of version 1, of an account of a subject, merchant or fund", "file")
        account, journal = said["account"], said["journal"]
        first, version, head, balances = self._side(said["from"], said) if said["from"] else (0, 0, bytes(32), {})
        last, *due = self._side(said["to"], said)
        need(first <= last, "the first seal is later than the second")
        before = first - 1
        for text in said["entries"]:
            line = text.encode()
            entry = read_entry(line)
            good = entry["journal"] == journal and before < entry["seq"] < last
            need(good, f"entry {entry['journal']}/{entry['seq']} is outside the two seals, or not in order")
            before, lines = entry["seq"], [one for one in entry["postings"] if one["account"] == account]
            need(lines, f"entry {journal}/{before} does not post to {account}")
            _add_up(balances, lines)
            head, version = sha256(b"\x02" + head + sha256(b"\0" + line)), version + 1
        what = f"the entries do not lead to the second seal ({version} of {due[0]}): one is missing, added or changed"
        need([version, head] == due[:2], what, "copy")
        balances = {place: n for place, n in balances.items() if n}
        need(balances == due[2], "the entries do not add up to what the second seal holds")
        return first, last, len(said["entries"]), account, journal

    def _seal(self, side, journal):
        receipt, _, retired = self.receipt(side["receipt"].encode())
        entry = receipt.entry
        good = (entry["kind"], entry["journal"]) == ("seal", journal) and entry["data"]["accounts"] == side["accounts"]
        need(good, "a receipt of the statement is not that of a seal of this journal")
        need(not retired, "is signed by a retired key: check its receipts against the whole export first", "key")
        return entry["data"]

    def _included(self, shown, seal):
        line, proof = shown["state"].encode(), [bytes.fromhex(part) for part in shown["proof"]]
        root = root_of_inclusion(sha256(b"\0" + line), shown["index"], seal["accounts"], proof)
        need(root.hex() == seal["state_root"], "a state is not under the root of its seal", "copy")
        return read_form(line, _STATE, "a state")

    def _side(self, side, said):
        """(as_of_size, version, head, balances) of the account at a seal."""
        seal = self._seal(side, said["journal"])
        state = self._included(side, seal)
        need(state["account"] == said["account"], f"a state is that of {state['account']}, not of {said['account']}")
        return seal["as_of_size"], state["version"], bytes.fromhex(state["head"]), _add_up({}, state["balances"])

    def _absent(self, said):
        """Between which two neighbours the account would stand; at the edges there is one, and none of none."""
        seal, name, count = self._seal(said["to"], said["journal"]), said["account"].encode(), said["to"]["accounts"]
        rows = [(one["index"], self._included(one, seal)["account"].encode()) for one in said["absent"]]
        place = rows[0][0] + (rows[0][1] < name) if rows else 0
        due = [index for index in (place - 1, place) if 0 <= index < count]
        good = all(other < name if index < place else name < other for index, other in rows)
        need(good and [index for index, _ in rows] == due, "absent does not show that there is no such account")
        return 0, seal["as_of_size"], 0, said["account"], said["journal"]


def _add_up(balances, lines):
    for line in lines:
        place = (line["unit"], line.get("lot", NEVER))
        balances[place] = balances.get(place, 0) + line["amount"]
    return balances


# the answer ------------------------------------------------------------------------------------------------------

_CANNOT = (
    "what the keyed digests (request, trace, memo, evidence) stand for: that takes the key of an entry and the papers",
    "that a deed happened, and that a subject is the person or body the office says it is",
    "that points are what the rule pack says: the trace is a keyed digest",
    "what was recorded after the last checkpoint",
)


def read_file(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}") from None


def verify(folder, pins=(), quick=False, jobs=0):
    """Check an export. {"ok", "anchored", "journals": […], "findings": […], "cannot": […], "lines": […]}"""
    export = Export(folder, pins, quick, jobs)
    export.check()

    def rank(finding):
        top, _, seq = finding[0].partition("/")
        return top, int(seq) if seq.isdigit() else INTEGER_MAX if seq else -1, finding

    findings, anchors = sorted(export.findings, key=rank), _anchors(export)
    lines = ["NOT ANCHORED: without --pin nothing shows that this is the history that others have seen"]
    if pins:
        lines = [f"pins: {len(pins)}" if findings else f"ANCHORED by {len(pins)} pin{'s' * (len(pins) > 1)}"]
    said, journals = {finding[0].partition("/")[0] for finding in findings}, []
    for journal, result in sorted(export.journals.items()):
        good, anchored = journal not in said and not result["bad"], anchors.get(journal, 0)
        journals.append({"journal": journal, "entries": result["entries"], "ok": good, "anchored_to": anchored})
        if good:
            lines.append(f"{journal}: {_praise(export, result, anchored)}")
    for place, what, hint in findings:
        lines += [f"{place}: {what}", "    → " + HINTS[hint]]
    cannot = [*_CANNOT, *sorted(set(export.notes))]
    unlinked = sum(result["unlinked"] for result in export.journals.values())
    if unlinked or export.absent:
        cannot.append(f"{len(export.absent)} journals that are not in this export, and {unlinked} links into them")
    if quick:
        cannot.append("form, postings, caps, moves and seals: --quick looks at hashes, roots and signatures only")
    lines.append("besides, not checkable here:" if findings else "not checked, and not checkable here:")
    lines += ["  - " + one for one in cannot]
    return {
        "ok": not findings, "anchored": bool(anchors) and not findings, "journals": journals,
        "findings": [{"place": place, "what": what, "do": HINTS[hint]} for place, what, hint in findings],
        "cannot": cannot, "lines": lines,
    }  # fmt: skip


def _anchors(export):
    """Journal → how many of its entries a pin covers."""
    anchors = {}
    for _, point in export.pins:
        journal = point.origin.partition("/")[2]
        _, members = ("", {journal: {"size": point.size}}) if journal else export.pinned.get(point.size, ("", {}))
        for name, member in members.items():
            anchors[name] = max(anchors.get(name, 0), member["size"])
    return anchors


def _praise(export, result, anchored):
    kinds, keys = result["counts"], result["keys"]
    what = "hashes, chain and root" if export.quick else "form, chain, postings, lots, caps, holds, deeds, root"
    parts = [
        (f"{result['entries']} entries hold ({what})", True),
        (f"{result['accounts']} accounts", True),
        (f"{kinds.get('seal')} seals", "seal" in kinds),
        (f"{kinds.get('move')} moves, both sides", "move" in kinds),
        (f"{len(keys) - 1} changes of key", len(keys) > 1),
        (f"signed by {keys[-1][1]}" if keys else "", keys),
        ("cosigned by " + ", ".join(export.witnessed), export.witnessed),
        (f"pinned up to entry {anchored - 1}" if anchored else "NOT PINNED", export.pins),
    ]
    return "; ".join(said for said, told in parts if told)


def _receipt_holds(proofs, path, folder, jobs):
    receipt, key, retired = proofs.receipt(read_file(path))
    entry, size, how = receipt.entry, receipt.point.size, "signed by " + key
    if retired:
        here = os.path.isfile(os.path.join(folder, entry["journal"], "entries.jsonl"))
        said = "is signed by a retired key: that holds only against the history; give the folder of an export that has"
        need(here, f"{said} journal {entry['journal']}", "key")
        answer = verify(folder, [path], False, jobs)
        said = f"is signed by a retired key, and the history in {folder} does not hold or contain it: "
        need(answer["ok"], said + ", ".join(found["place"] for found in answer["findings"][:1]), "pin")
        how += f", a retired key; the history in {folder} contains it"
    what = f"{entry['journal']}/{entry['seq']}, {entry['kind']} on {entry['occurred_on']}"
    facts = {"journal": entry["journal"], "seq": entry["seq"], "size": size}
    return f"holds. {what}, is in the log at size {size}, {how}", facts


def _statement_holds(proofs, path, folder, jobs):
    first, last, count, account, journal = proofs.statement(read_file(path))
    said = f"complete. {account} in {journal}, entries {first} to {last - 1}: {count} lines and no other"
    return said, {"account": account, "journal": journal, "entries": count}


def _check_proofs(given, folder, jobs):
    """Receipts and statements: (lines, document)."""
    proofs, lines, documents = Proofs(folder, given["--key"], given["--unknown-too"]), [], []
    for what, check in (("receipt", _receipt_holds), ("statement", _statement_holds)):
        for path in given["--" + what]:
            try:
                said, facts = check(proofs, path, folder, jobs)
                lines.append(f"{what} {path}: {said}")
                documents.append({what: path, "ok": True, **facts})
            except Bad as bad:
                lines += [f"{what} {path}: {bad.what}", "    → " + HINTS[bad.hint]]
                documents.append({what: path, "ok": False, "what": bad.what, "do": HINTS[bad.hint]})
    return lines, {"ok": all(one["ok"] for one in documents), "proofs": documents}


def _arguments(words):
    """{option: its values, or whether it was given} and the folder."""
    lists = {name: [] for name in ("--pin", "--receipt", "--statement", "--key", "--jobs", "")}
    flags = dict.fromkeys(("--unknown-too", "--quick", "--json"), False)
    words = list(words)
    while words:
        name, equals, value = words.pop(0).partition("=")
        if name in flags and not equals:
            flags[name] = True
        elif name in lists and (equals or words):
            lists[name].append(value if equals else words.pop(0))
        elif name[:1] == "-" or lists[""]:
            raise Unusable("\n".join((__doc__ or "").split("\n")[2:8]))
        else:
            lists[""].append(name + equals + value)
    return {**lists, **flags}


def main(arguments=None):
    """The command line: 0 holds, 1 does not, 2 could not be read."""
    for stream in (sys.stdout, sys.stderr):
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
    try:
        given = _arguments(sys.argv[1:] if arguments is None else arguments)
        folder = (given[""] or [os.path.dirname(os.path.abspath(__file__))])[0]
        jobs = number((given["--jobs"] or ["0"])[-1])
        if given["--receipt"] or given["--statement"]:
            lines, document = _check_proofs(given, folder, jobs)
        else:
            document = verify(folder, given["--pin"], given["--quick"], jobs)
            lines = document.pop("lines")
    except (Unusable, Bad) as error:  # Bad: an option that is none
        print(f"{error}\n    → {HINTS['file']}", file=sys.stderr)
        return 2
    print(json.dumps(document, ensure_ascii=False) if given["--json"] else "\n".join(lines))
    return 0 if document["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())

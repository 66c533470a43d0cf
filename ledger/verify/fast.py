# SPDX-License-Identifier: Apache-2.0
"""Most entries are awards that look alike: between their ids, hashes and instants stands the same text. The first of a
shape is read by an expression, canonical form, fields, types and postings at once; the next of that shape are cut where
the first was and compared, many together, for a fraction of what reading them piece by piece costs. Whatever is
otherwise, and whatever a check here does not pass, goes the long way through `reading` and `kinds`, which alone say
what is wrong.

So this file may only ever say yes, and only to what the long way accepts with the same effect on the book; a test
holds the two together.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from struct import Struct
from typing import Any

from ledger import codec
from ledger.model import FOREVER, ISSUER, POINTS, STANDING
from ledger.verify.book import Book, Cap
from ledger.verify.reading import Line, day_of_cause, is_day, is_hash

_HASH = rb'"([^"]{64})"'  # that they are hexadecimal is looked at for many together
_TEXT = rb'"([ !#-\[\]-~]+)"'  # ASCII without quotes, escapes and control characters
_PLACE = rb'"([0-9A-Za-z_.:-]+)"'
_DAY = rb'"([^"]{10})"'
_NUMBER = rb"(0|[1-9][0-9]{0,11})"


def _pair(unit: bytes, name: bytes) -> bytes:
    """Issuer to subject."""
    return (
        rb'\{"account":"issuer","amount":-(?P<%b>[1-9][0-9]{0,11}),"unit":"%b"\},'
        rb'\{"account":"subject:(?P<%b_to>[0-9A-Za-z_.-]+)","amount":(?P=%b),'
        rb'(?:"lot":"(?P<%b_lot>[^"]{10})",)?"unit":"%b"\}'
    ) % (name, unit, name, name, name, unit)


def _named(name: bytes, pattern: bytes) -> bytes:
    return pattern.replace(b"(", b"(?P<%b>" % name, 1)


_head = re.compile(rb'\{"actor":' + _TEXT + rb',"caps":\[([^\]]*)').fullmatch
_rest = re.compile(
    rb'\],"cause":' + _named(b"cause", _HASH) + rb',(?:"data":\{"takeover":(?P<takeover>1)\},)?"evidence":\[(?:'
    + _named(b"evidence", _HASH) + rb')?\],"group":"G[1-8]","journal":' + _named(b"journal", _PLACE)
    + rb',"kind":"award","links":\[\],(?:"memo":' + _named(b"memo", _HASH)
    + rb',)?"nonce":"(?P<nonce>[^"]{32})","occurred_on":' + _named(b"day", _DAY) + rb',"pack":'
    + _named(b"pack", _HASH) + rb',"place":' + _TEXT + rb',"postings":\[(?:' + _pair(b"standing", b"high") + rb",)?"
    + _pair(b"points", b"low") + rb'\],"prev":"(?P<chain>[^"]{64}","recorded_at":"[^"]{27})","request":'
    + _named(b"request", _HASH) + rb',"rule":' + _TEXT + rb',"seq":(?P<who>[0-9]+,"subject":"[0-9A-Za-z_.-]+)","trace":'
    + _named(b"trace", _HASH) + rb',"txn":' + _named(b"txn", _TEXT) + rb',"v":1\}'
).fullmatch  # fmt: skip
# What differs from one award to the next, in its order: it is free, or the entry's place and columns say what it is.
# Everything between is the shape's.
_FREE = ("cause", "evidence", "memo", "nonce", "request", "trace", "txn")
_FIELDS = ("cause", "evidence", "memo", "nonce", "high_to", "low_to", "chain", "request", "who", "trace", "txn")
_cap = re.compile(
    rb'\{"from":' + _DAY + rb',"id":' + _TEXT + rb',"let":' + _NUMBER + rb',"limit":' + _NUMBER + rb',"to":' + _DAY
    + rb',"used_before":' + _NUMBER + rb"\}"
)  # fmt: skip
_HEX = b"0123456789abcdef"
_WORD = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_.-"
_PLAIN = bytes(one for one in range(32, 127) if one not in b'"\\')
_KEPT = 20_000  # texts that are remembered, of each sort

Counted = tuple[Cap, int, int]  # which cap, what it had counted, what it has then
# takeover; standing, its lot; points, their lot; how the cause begins that contains the day
Given = tuple[int, int, tuple[str, str], int, tuple[str, str], bytes]
Award = tuple[Given, tuple[Counted, ...], bytes]  # and the deed's key


def posted(award: Award | None, subject: str) -> list[Line]:
    """The postings of an award that was read."""
    assert award is not None
    (_, standing, high, points, low, _), _, _ = award
    account = f"subject:{subject}"
    lines = [(ISSUER, POINTS, FOREVER, -points), (account, *low, points)]
    return [(ISSUER, STANDING, FOREVER, -standing), (account, *high, standing), *lines] if standing else lines


class _Shape:
    """Awards of one layout: where each field begins and ends, and what may stand between them."""

    __slots__ = ("fields", "free", "given", "known", "lengths", "parts", "pieces", "take", "unpack")

    def __init__(self, lengths: tuple[int, ...], fields: tuple[str, ...]) -> None:
        self.lengths = lengths
        self.fields = fields
        self.unpack = Struct("".join(f"{one}s" for one in lengths)).unpack_from
        free = [name in _FREE for name in fields]
        self.take = Struct(
            "".join(f"{text}x{one}{'s' if wanted else 'x'}"
                    for text, one, wanted in zip(lengths[::2], lengths[1::2], free, strict=False))
        ).unpack_from  # fmt: skip
        self.known: dict[tuple[bytes, ...], Given] = {}  # text between the fields → what it gives
        self.given: Given = (0, 0, ("", ""), 0, ("", ""), b"")
        self.pieces: list[bytes] = [b""] * (len(lengths) + 1)  # head; the last text between the fields, and fields
        self.free: list[tuple[bytes, ...]] = []  # fields that have not been looked at yet

    def says(self, body: bytes, start: int, head: bytes, subject: bytes, chain: bytes, who: bytes) -> bytes:
        """The deed's key where the entry is this shape's last text with these fields; nothing otherwise."""
        free = self.take(body, start)
        pieces = self.pieces
        pieces[0] = head
        pieces[2::2] = (
            (*free[:-3], subject, subject, chain, free[-3], who, free[-2], free[-1])
            if len(self.fields) - len(free) == 4
            else (*free[:-3], subject, chain, free[-3], who, free[-2], free[-1])
        )
        if b"".join(pieces) != body:
            return b""
        self.free.append(free)
        return free[0]


class Fast:
    """The short way for one journal."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._days: set[bytes] = set()
        self._heads: dict[bytes, tuple[Counted, ...]] = {}
        self._shapes: dict[int, list[_Shape]] = {}  # by the length behind the caps, the last that was met first

    def read(
        self, kinds: Sequence[str], subjects: Sequence[Any], bodies: Sequence[bytes], chain: Sequence[bytes]
    ) -> list[Award | None]:
        """What the next entries of the journal give, as far as they are ordinary awards with these columns. `chain`:
        what stands from each one's `prev` to its instant. Nothing is applied yet."""
        found: list[Award | None] = [None] * len(bodies)
        if max(map(len, bodies)) > codec.ENTRY_BYTES_MAX:
            return found
        shapes, heads, base = self._shapes, self._heads, self._book.size
        names: list[bytes] = []
        for row, body in enumerate(bodies):
            subject = subjects[row]
            if kinds[row] != "award" or type(subject) is not str:
                continue
            start = body.find(b"]")
            head = body[:start]
            counted = heads.get(head)
            if counted is None:
                counted = self._read_head(head)
                if counted is None:
                    continue
            name = subject.encode()
            who = b'%d,"subject":"%b' % (base + row, name)
            there = shapes.get(len(body) - start)
            shape = there[0] if there else None
            cause = shape.says(body, start, head, name, chain[row], who) if shape is not None else b""
            if not cause:
                shape = self._shape_of(body, start)
                cause = shape.says(body, start, head, name, chain[row], who) if shape is not None else b""
            if shape is not None and cause and cause[:4] in (b"ffff", shape.given[5]):
                names.append(name)
                found[row] = shape.given, counted, cause
        good = not b"".join(names).translate(None, _WORD)
        for there in shapes.values():
            for shape in there:
                if shape.free:
                    *digests, txns = map(b"".join, zip(*shape.free, strict=True))
                    good = good and not b"".join(digests).translate(None, _HEX) and not txns.translate(None, _PLAIN)
                    shape.free.clear()
        return found if good else [None] * len(bodies)

    def apply(self, found: Sequence[Award | None], subjects: Sequence[Any], start: int, end: int) -> int:
        """Apply what was read, from row `start` on, as far as it is an award that holds: where that ends."""
        book = self._book
        if book.passing or found[start] is None:
            return start
        members, takeover = book.members, book.takeover
        causes: list[bytes] = []
        issued_standing = issued_points = 0
        row = start
        for row in range(start, end):
            award = found[row]
            if award is None:
                break
            (inside, standing, high, points, low, _), counted, cause = award
            member = members.get(subjects[row])
            if member is None or member.state != "open" or member.owes or member.came is not None:
                break
            counts, lots = member.counts, member.lots
            for key, was, _ in counted:
                if counts.get(key, 0) != was and not (member.stated and key not in counts):
                    break
            else:
                if inside != takeover:
                    break
                for key, was, then in counted:
                    if not was and key not in counts:
                        book.live += 1
                    counts[key] = then
                if standing:
                    lots[high] = lots.get(high, 0) + standing
                    issued_standing += standing
                lots[low] = lots.get(low, 0) + points
                issued_points += points
                causes.append(cause)
                continue
            break
        else:
            row = end
        book.causes += b" ".join(causes).decode().split()
        book.cause_seqs += range(book.size, book.size + row - start)
        book.issued_standing += issued_standing
        book.issued_points += issued_points
        return row

    def _is_day(self, text: bytes) -> bool:
        if text not in self._days:
            if not (text.isascii() and is_day(text.decode())):
                return False
            self._days.add(text)
        return True

    # shapes ----------------------------------------------------------------------------------------------------

    def _shape_of(self, body: bytes, start: int) -> _Shape | None:
        """The shape of an award that is not that of the one before."""
        there = self._shapes.setdefault(len(body) - start, [])
        for shape in there:
            text = shape.unpack(body, start)[::2]
            given = shape.known.get(text)
            if given is not None:
                break
        else:
            learned = self._learn(body, start)
            if learned is None:
                return None
            shape, text, given = learned
            shape = next((one for one in there if (one.lengths, one.fields) == (shape.lengths, shape.fields)), shape)
            if len(shape.known) >= _KEPT:
                shape.known.clear()
            shape.known[text] = given
        shape.pieces[1::2] = text
        shape.given = given
        if shape in there:
            there.remove(shape)
        there.insert(0, shape)
        return shape

    def _learn(self, body: bytes, start: int) -> tuple[_Shape, tuple[bytes, ...], Given] | None:
        """Read what stands behind the caps piece by piece."""
        match = _rest(body, start)
        if match is None:
            return None
        said = match.groupdict()
        lots = [said[name] or FOREVER.encode() for name in ("high_lot", "low_lot")]
        forever = FOREVER.encode() in (said["high_lot"], said["low_lot"])
        if forever or not all(map(self._is_day, [said["day"], *lots])):
            return None
        if said["journal"].decode() != self._book.journal or not is_hash(said["pack"].decode("latin-1")):
            return None
        fields = tuple(name for name in _FIELDS if said[name] is not None)
        lengths: list[int] = []
        for name in fields:
            begin, end = match.span(name)
            lengths += [begin - start, end - begin]
            start = end
        lengths.append(len(body) - start)
        shape = _Shape(tuple(lengths), fields)
        high, low = [lot.decode() for lot in lots]
        begins = day_of_cause(said["day"].decode()).encode()
        gives = int(said["high"] or 0), (STANDING, high), int(said["low"]), (POINTS, low)
        given = (int(said["takeover"] or 0), *gives, begins)
        return shape, shape.unpack(body, match.start())[::2], given

    def _read_head(self, head: bytes) -> tuple[Counted, ...] | None:
        """Who acted, and what the caps counted."""
        match = _head(head)
        counted = self._read_caps(match[2]) if match is not None else None
        if counted is not None:
            if len(self._heads) >= _KEPT:
                self._heads.clear()
            self._heads[head] = counted
        return counted

    def _read_caps(self, text: bytes) -> tuple[Counted, ...] | None:
        counted: list[Counted] = []
        position = 0
        while text:
            match = _cap.match(text, position)
            if match is None:
                return None
            start, name, let, limit, end, used = match.groups()
            if not (self._is_day(start) and self._is_day(end) and start <= end):
                return None
            key, was, then = (name.decode(), start.decode()), int(used), int(used) + int(let)
            if (then > int(limit) and then > was) or any(key == other for other, _, _ in counted):
                return None
            self._book.until[key] = max(end.decode(), self._book.until.get(key, ""))
            counted.append((key, was, then))
            position = match.end()
            if position == len(text):
                break
            if text[position : position + 1] != b",":
                return None
            position += 1
        return tuple(counted)

# SPDX-License-Identifier: Apache-2.0
"""Most entries are awards that look alike. One expression reads such an award, canonical form, fields, types and
postings at once, for a third of what reading it piece by piece costs; whatever it does not match, and whatever a check
here does not pass, goes the long way through `reading` and `kinds`, which alone say what is wrong.

So this file may only ever say yes, and only to what the long way accepts with the same effect on the book; a test
holds the two together.
"""

from __future__ import annotations

import re
from typing import Any

from ledger.model import FOREVER, POINTS, STANDING
from ledger.verify.book import Book, Cap
from ledger.verify.reading import is_day, is_hash, is_hex

_HASH = '"([^"]{64})"'  # that they are hexadecimal is looked at for many together
_TEXT = r'"([ !#-\[\]-~]+)"'  # ASCII without quotes, escapes and control characters
_PLACE = r'"([0-9A-Za-z_.:-]+)"'
_DAY = '"([^"]{10})"'
_NUMBER = r"(0|[1-9][0-9]{0,11})"
_AMOUNT = "([1-9][0-9]{0,11})"


def _pair(unit: str, amount: int) -> str:
    """Issuer to subject; `amount` is the number of its group."""
    return (
        rf'\{{"account":"issuer","amount":-{_AMOUNT},"unit":"{unit}"\}},'
        rf'\{{"account":"subject:([0-9A-Za-z_.-]+)","amount":\{amount},(?:"lot":{_DAY},)?"unit":"{unit}"\}}'
    )


_award = re.compile(
    rf'\{{"actor":{_TEXT},"caps":\[([^\]]*)\],"cause":{_HASH},(?:"data":\{{"takeover":(1)\}},)?'
    rf'"evidence":\[(?:{_HASH})?\],"group":"G[1-8]","journal":{_PLACE},"kind":"award","links":\[\],'
    rf'(?:"memo":{_HASH},)?"nonce":"([^"]{{32}})","occurred_on":{_DAY},"pack":{_HASH},"place":{_TEXT},'
    rf'"postings":\[(?:{_pair("standing", 12)},)?{_pair("points", 15)}\],'
    rf'"prev":{_HASH},"recorded_at":"([^"]{{27}})","request":{_HASH},"rule":{_TEXT},"seq":{_NUMBER},'
    rf'"subject":"([0-9A-Za-z_.-]+)","trace":{_HASH},"txn":{_TEXT},"v":1\}}'
).fullmatch
_cap = re.compile(
    rf'\{{"from":{_DAY},"id":{_TEXT},"let":{_NUMBER},"limit":{_NUMBER},"to":{_DAY},"used_before":{_NUMBER}\}}'
)
_CAPS_KEPT = 50_000

Counted = tuple[Cap, int, int]  # which cap, what it had counted, what it has then


class Fast:
    """The short way for one journal."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._days: set[str] = set()
        self._packs: set[str] = set()
        self._caps: dict[str, tuple[Counted, ...] | None] = {"": ()}
        self.digests: list[str] = []  # digits that have not been looked at yet

    def digests_are_hex(self) -> bool:
        """Are all digests since the last time lower-case hexadecimal?"""
        text = "".join(self.digests)
        self.digests.clear()
        return is_hex(text)

    def award(self, body: bytes, prev: str, at: str, subject: Any) -> bool:
        """Apply the entry if it is an ordinary award that holds, with this `prev`, instant and subject."""
        try:
            match = _award(body.decode("ascii"))
        except UnicodeDecodeError:
            return False
        if match is None:
            return False
        (
            _, caps, cause, takeover, evidence, journal, memo, nonce, day, pack, _, standing, high, high_lot, points,
            low, low_lot, before, instant, request, _, seq, named, trace, _,
        ) = match.groups()  # fmt: skip
        book = self._book
        if before != prev or instant != at or named != subject or low != named or journal != book.journal:
            return False
        if int(seq) != book.size or (takeover is None) == book.takeover or book.passing:
            return False
        if standing is not None and high != named:
            return False
        days = self._days
        for one in (day, high_lot, low_lot):
            if one is not None and one not in days and not self._is_day(one):
                return False
        if (high_lot == FOREVER) or (low_lot == FOREVER):
            return False
        if pack not in self._packs:
            if not is_hash(pack):
                return False
            self._packs.add(pack)
        found = book.members.get(named)
        if found is None or found.state != "open" or found.owes or found.came is not None:
            return False
        counted = self._caps.get(caps)
        if counted is None:
            counted = self._read_caps(caps)
            if counted is None:
                return False
        counts = found.counts
        for key, was, _ in counted:
            if counts.get(key, 0) != was:
                return False
        # From here on it holds.
        digests = self.digests
        digests += (cause, nonce, request, trace)
        if evidence is not None:
            digests.append(evidence)
        if memo is not None:
            digests.append(memo)
        for key, _, then in counted:
            if key not in counts:
                book.live += 1
            counts[key] = then
        lots = found.lots
        if standing is not None:
            amount = int(standing)
            place = (STANDING, high_lot or FOREVER)
            lots[place] = lots.get(place, 0) + amount
            book.issued_standing += amount
        amount = int(points)
        place = (POINTS, low_lot or FOREVER)
        lots[place] = lots.get(place, 0) + amount
        book.issued_points += amount
        book.causes.append(cause)
        book.cause_seqs.append(book.size)
        return True

    def _is_day(self, text: str) -> bool:
        if not is_day(text):
            return False
        self._days.add(text)
        return True

    def _read_caps(self, text: str) -> tuple[Counted, ...] | None:
        counted: list[Counted] = []
        position = 0
        while True:
            match = _cap.match(text, position)
            if match is None:
                return None
            start, name, let, limit, end, used = match.groups()
            key, was, then = (name, start), int(used), int(used) + int(let)
            if not (is_day(start) and is_day(end) and start <= end) or (then > int(limit) and then > was):
                return None
            if any(key == other for other, _, _ in counted):
                return None
            self._book.until[key] = max(end, self._book.until.get(key, ""))
            counted.append((key, was, then))
            position = match.end()
            if position == len(text):
                break
            if text[position] != ",":
                return None
            position += 1
        if len(self._caps) > _CAPS_KEPT:
            self._caps.clear()
        found = self._caps[text] = tuple(counted)
        return found

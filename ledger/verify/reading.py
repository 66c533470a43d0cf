# SPDX-License-Identifier: Apache-2.0
"""Reading an entry strictly: canonical bytes, closed fields, right types. Nothing here knows what came before it.

docs/spec/entry.md, *Canonical form* and *Fields*. orjson with sorted keys writes the canonical form on the values that
the form allows; that no other values are there is what the types below say, so bytes that come out again as they went
in are canonical.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date, datetime
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
import orjson
from msgspec import UNSET, Meta, Struct, UnsetType

from ledger import codec
from ledger.model import FOREVER

Line = tuple[str, str, str, int]  # account, unit, lot, amount


class Fault(Exception):
    """An entry that does not hold; the message says why."""


_hash = re.compile(r"[0-9a-f]{64}").fullmatch
_day = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII).fullmatch
_period = re.compile(r"(?!0000)\d{4}(?:Q[1-4]|-(?:0[1-9]|1[0-2]))?", re.ASCII).fullmatch
_instant = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII).fullmatch
_role = re.compile(r"(subject|held|minus|debt|merchant|fund):.", re.DOTALL).match

_ALWAYS = frozenset(
    {"actor", "caps", "evidence", "journal", "kind", "links", "nonce", "occurred_on", "postings", "prev",
     "recorded_at", "request", "seq", "txn", "v"}
)  # fmt: skip
_RULE = frozenset({"group", "place", "rule", "pack"})
_SOMETIMES = frozenset({"data", "memo"})
_MORE = {
    "award": _RULE | {"cause", "trace"},
    "deduct": _RULE | {"cause", "trace"},
    "reverse": _RULE,
}
_SUBJECT = frozenset(
    {"award", "deduct", "hold", "release", "reverse", "expire", "relot", "move", "erase", "objection", "decision"}
)
_NOBODY = frozenset({"policy", "key", "capture", "refund", "void", "settle", "benefit", "edition", "fund", "seal"})
_PLAIN = frozenset({"issuer", "expired", "redeemed", "adjustment"})
_HOLDERS = ("subject:", "held:", "minus:", "debt:")


def need(holds: object, what: str) -> None:
    """Raise `Fault(what)` unless it holds."""
    if not holds:
        raise Fault(what)


def is_hash(value: object) -> bool:
    return type(value) is str and _hash(value) is not None


def is_hex(text: str) -> bool:
    """Lower-case hexadecimal digits and nothing else."""
    try:
        return bytes.fromhex(text).hex() == text
    except ValueError:
        return False


def is_whole(value: object, low: int = 0) -> bool:
    """An integer of the form, not below `low`."""
    return type(value) is int and low <= value <= codec.INTEGER_MAX


@lru_cache(maxsize=8192)
def day_of_cause(day: str) -> str:
    """How a cause begins that contains this day: days since 2000-01-01, modulo 65,535, in four hex digits."""
    return f"{(date.fromisoformat(day) - date(2000, 1, 1)).days % 0xFFFF:04x}"


def is_day(value: object) -> bool:
    if type(value) is not str or not _day(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def is_month(value: object) -> bool:
    return type(value) is str and is_day(f"{value}-01")


def is_period(value: object) -> bool:
    """A year, a quarter or a month: `2026`, `2026Q3`, `2026-09`."""
    return type(value) is str and _period(value) is not None


def is_instant(value: object) -> bool:
    if type(value) is not str or not _instant(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return value[17:19] != "60"


def is_name(value: object) -> bool:
    return type(value) is str and bool(value)


def exactly(data: Any, must: Collection[str], may: Collection[str] = ()) -> dict[str, Any]:
    """`data` as an object with these fields and no others."""
    need(type(data) is dict, "data is missing or not an object")
    fields = set(data)
    need(set(must) <= fields and fields <= {*must, *may}, "data has not the fields of its kind")
    return data


_Whole = Annotated[int, Meta(ge=-codec.INTEGER_MAX, le=codec.INTEGER_MAX)]
_Count = Annotated[int, Meta(ge=0, le=codec.INTEGER_MAX)]
_Name = Annotated[str, Meta(min_length=1)]


class _Posting(Struct, forbid_unknown_fields=True, gc=False):
    account: str
    amount: _Whole
    unit: Literal["points", "standing"]
    lot: str | UnsetType = UNSET


class _Cap(Struct, forbid_unknown_fields=True, gc=False, rename={"start": "from", "end": "to"}):
    start: str
    id: _Name
    let: _Whole
    limit: _Count
    end: str
    used_before: _Count


class _Link(Struct, forbid_unknown_fields=True, gc=False):
    leaf: str
    rel: _Name
    seq: _Count
    journal: _Name | UnsetType = UNSET


class _Entry(Struct, forbid_unknown_fields=True, gc=False):
    """The fields and their types; what a kind allows of them, and digits and days, are looked at below."""

    actor: _Name
    caps: list[_Cap]
    evidence: list[str]
    journal: _Name
    kind: _Name
    links: list[_Link]
    nonce: str
    occurred_on: str
    postings: list[_Posting]
    prev: str
    recorded_at: str
    request: str
    seq: _Count
    txn: _Name
    v: Literal[1]
    cause: str | UnsetType = UNSET
    data: dict[str, Any] | UnsetType = UNSET
    group: Literal["G1", "G2", "G3", "G4", "G5", "G6", "G7", "G8"] | UnsetType = UNSET
    memo: str | UnsetType = UNSET
    pack: str | UnsetType = UNSET
    place: _Name | UnsetType = UNSET
    rule: _Name | UnsetType = UNSET
    subject: _Name | UnsetType = UNSET
    trace: str | UnsetType = UNSET


_typed = msgspec.json.Decoder(_Entry).decode
_days: set[str] = set()  # that have been looked at
_forms: set[tuple[str, ...]] = set()  # kinds with their fields, that are allowed


def read(body: bytes) -> dict[str, Any]:
    """The entry in `body`; its lines as tuples. Raises `Fault`."""
    try:
        entry: dict[str, Any] = orjson.loads(body)
        again = orjson.dumps(entry, option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError) as error:
        raise Fault(f"not canonical: {error}") from error
    need(again == body, "not canonical: other white space, key order, escapes or number form")
    need(len(body) <= codec.ENTRY_BYTES_MAX, "longer than an entry may be")
    try:
        _typed(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Fault(_told(error)) from error
    form = (entry["kind"], *entry)
    if form not in _forms:
        _check_form(entry)
        _forms.add(form)
    _check_values(entry)
    entry["lines"] = [_line(one) for one in entry["postings"]]
    return entry


def _told(error: Exception) -> str:
    text = str(error)
    if "missing required field" in text:
        return f"a field is missing: {text.split('`')[1]}"
    return f"version: not an entry of version 1 ({text})" if "$.v" in text else f"a field is malformed: {text}"


def _check_form(entry: dict[str, Any]) -> None:
    """Which fields an entry of its kind has."""
    fields, kind = entry.keys(), entry["kind"]
    more = fields - (_ALWAYS | _SOMETIMES | {"subject"} | _MORE.get(kind, frozenset()))
    need(not more, f"a field that a {kind} does not have: {min(more, default='')}")
    missing = _MORE.get(kind, frozenset()) - fields
    need(not missing, f"a field is missing: {min(missing, default='')}")
    need(kind not in _SUBJECT or "subject" in entry, "a field is missing: subject")
    need(kind not in _NOBODY or "subject" not in entry, f"a {kind} names nobody")


def _check_values(entry: dict[str, Any]) -> None:
    digests = [entry["prev"], entry["request"], *entry["evidence"]]
    if "rule" in entry or "memo" in entry:
        digests += [entry[name] for name in ("pack", "cause", "trace", "memo") if name in entry]
    for link in entry["links"]:
        digests.append(link["leaf"])
        need(link.get("journal") != entry["journal"], "a link is malformed")
    nonce = entry["nonce"]
    need(len(nonce) == 32 and {64}.issuperset(map(len, digests)), "a digest of another length")
    need(is_hex(nonce + "".join(digests)), "a digest that is not lower-case hexadecimal")
    _check_day(entry["occurred_on"])
    for cap in entry["caps"]:
        _check_day(cap["from"])
        _check_day(cap["to"])
        need(cap["from"] <= cap["to"], "a cap's window ends before it begins")
    if "data" in entry:
        try:
            codec.check(entry["data"])
        except (codec.NotCanonical, RecursionError) as error:
            raise Fault(f"not canonical: {error}") from error


def _check_day(text: str) -> None:
    if text not in _days:
        need(is_day(text), "a day that is none")
        _days.add(text)


def _line(line: dict[str, Any]) -> Line:
    account, amount, lot = line["account"], line["amount"], line.get("lot")
    if not amount:
        raise Fault("a posting without an amount")
    if account not in _PLAIN and not _role(account):
        raise Fault("a posting on no account that there is")
    if lot is None:
        return account, line["unit"], FOREVER, amount
    _check_day(lot)
    if lot >= FOREVER or not account.startswith(_HOLDERS):
        raise Fault("a posting in no lot that there can be")
    return account, line["unit"], lot, amount

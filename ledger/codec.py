# SPDX-License-Identifier: Apache-2.0
"""Canonical bytes, leaf hashes and keyed digests: the only file that turns an entry into what is hashed.

The form is JSON restricted to objects, arrays, strings and integers with |n| <= 2**53 - 1; keys sorted, no white
space, UTF-8. On that subset it equals RFC 8785. docs/spec/entry.md has the fields and example bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, cast

import msgspec

_sha256 = hashlib.sha256
INTEGER_MAX = 2**53 - 1
ENTRY_BYTES_MAX = 65_535  # C2SP tlog-tiles carries an entry's length as uint16


class NotCanonical(ValueError):
    """The value or the bytes are outside the canonical form; the message names the first place."""


def check(value: Any) -> None:
    """Raise `NotCanonical` unless `value` is made of what the form allows."""
    if not _fits(value):
        _explain(value, "$")


def _fits(value: Any) -> bool:
    kind: object = type(value)  # pyright: ignore[reportUnknownVariableType]
    if kind is str:
        return value.isascii() or _encodes(value)
    if kind is int:
        return -INTEGER_MAX <= value <= INTEGER_MAX
    if kind is dict:
        for key, item in cast("dict[Any, Any]", value).items():
            if type(key) is not str or not key.isascii() or not _fits(item):
                return False
        return True
    if kind is list or kind is tuple:
        return all(map(_fits, cast("list[Any]", value)))
    return False


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _explain(value: Any, at: str) -> None:
    """Raise for the first place that does not fit; apart from `_fits` because naming the place costs ten times more."""
    if isinstance(value, str):
        if not _encodes(value):
            raise NotCanonical(f"{at}: not valid Unicode")
    elif isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > INTEGER_MAX:
            raise NotCanonical(f"{at}: {value} is outside ±(2^53-1)")
    elif isinstance(value, dict):
        for key, item in cast("dict[Any, Any]", value).items():
            if not isinstance(key, str) or not key.isascii():
                raise NotCanonical(f"{at}: key {key!r} is not an ASCII string")
            _explain(item, f"{at}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(cast("list[Any]", value)):
            _explain(item, f"{at}[{index}]")
    else:
        raise NotCanonical(f"{at}: {value!r} is not an object, array, string or integer")


encode = msgspec.json.Encoder(order="sorted").encode
"""Canonical bytes of a value that is already known to be inside the form (our own entries are)."""


def canonical(value: Any) -> bytes:
    """Canonical bytes of a value that comes from outside. Raises `NotCanonical`."""
    check(value)
    return encode(value)


def decode(data: bytes) -> dict[str, Any]:
    """The object in `data`, accepted only if encoding it again gives the same bytes. Raises `NotCanonical`."""
    try:
        value = msgspec.json.decode(data)
        if not isinstance(value, dict):
            raise NotCanonical("not an object")
        again = canonical(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotCanonical(f"not JSON: {error}") from error
    if again != data:
        raise NotCanonical("not in canonical form: other white space, key order, escapes or number form")
    return cast("dict[str, Any]", value)


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 ‖ entry), 32 bytes. RFC 9162 §2.1.1; the same as `printf '\\0' | cat - entry | sha256sum`."""
    return _sha256(b"\x00" + entry).digest()


def genesis_prev(origin: str, vkey: str, recovery: str, policy: dict[str, Any]) -> str:
    """What stands before entry 0, in hex: a domain-separated hash of who speaks and under which policy.

    Two journals never share it, so entry 0 of one cannot be passed off as entry 0 of another.
    """
    stated = encode({"origin": origin, "policy": policy, "recovery": recovery, "vkey": vkey})
    return hashlib.sha256(b"jifen/genesis/1\n" + stated).hexdigest()


def tallies_hash(tallies: Sequence[tuple[str, str, int]]) -> str:
    """What a move says of the caps that go along: SHA-256, in hex, of the canonical [[cap, first day, used], …]."""
    return _sha256(encode(sorted(tallies))).hexdigest()


_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA-256 (RFC 2104) for keys of at most 64 bytes: `hmac.digest` by another name and a third cheaper, which
    counts because an entry takes four of them."""
    padded = key.ljust(64, b"\0")
    inner = _sha256(padded.translate(_INNER) + data).digest()
    return _sha256(padded.translate(_OUTER) + inner).digest()


def entry_key(key: bytes, nonce: bytes) -> bytes:
    """The key that opens the digests of one entry. Showing it proves that entry and no other."""
    return hmac_sha256(key, b"jifen/entry/1\n" + nonce)


def opened(key: bytes, nonce: bytes) -> Callable[[str, bytes], str]:
    """The digest function of one entry: (field, bytes) → HMAC-SHA-256 in hex under the entry's key.

    The field's name is hashed with the bytes and keeps digests of one value in two fields apart.
    """
    padded = entry_key(key, nonce).ljust(64, b"\0")
    inner, outer = padded.translate(_INNER), padded.translate(_OUTER)

    def digest(field: str, data: bytes) -> str:
        return _sha256(outer + _sha256(inner + field.encode() + b"\n" + data).digest()).hexdigest()

    return digest

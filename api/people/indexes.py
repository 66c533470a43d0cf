# SPDX-License-Identifier: Apache-2.0
"""Blind indexes: keyed digests by which a person is found without anybody's name or phone in clear.

Each index has a key of its own, derived from the deployment secret. Sixteen bytes of HMAC are enough to tell a city's
people apart. A digest of a phone is only as secret as the key, because phones can be counted through.
"""

from __future__ import annotations

from datetime import date

from api.people.names import normal, surname
from ledger.codec import hmac_sha256
from ledger.keys import derive

_BYTES = 16


class Indexes:
    """The digests of one deployment."""

    def __init__(self, secret: bytes) -> None:
        self._identity = derive(secret, "jifen/index/identity/1")
        self._phone = derive(secret, "jifen/index/phone/1")
        self._tail = derive(secret, "jifen/index/surname+tail/1")
        self._name_grid = derive(secret, "jifen/index/name+grid/1")
        self._code = derive(secret, "jifen/index/activation/1")
        self._pin = derive(secret, "jifen/pin/1")

    def identity(self, name: str, phone: str | None, grid: str, birth: date | None) -> bytes:
        """Who is the same person when registered twice: name and phone; without phone, name, grid and birthday."""
        parts = [normal(name), phone] if phone else [normal(name), "", grid, birth.isoformat() if birth else ""]
        return _digest(self._identity, *parts)

    def phone(self, phone: str) -> bytes:
        """Several people may share it: elders give a child's."""
        return _digest(self._phone, phone)

    def tail(self, name: str, phone_tail: str) -> bytes:
        """Surname and the phone's last four digits."""
        return _digest(self._tail, surname(name), phone_tail)

    def name_grid(self, name: str, grid: str) -> bytes:
        return _digest(self._name_grid, normal(name), grid)

    def code(self, code: str) -> bytes:
        """A printed activation code, as typed."""
        typed = "".join(c for c in code.lower() if c.isalnum()).translate(_MISREAD)
        return _digest(self._code, typed)

    def pin(self, subject: str, pin: str) -> str:
        """What is hashed for a PIN: a million PINs are soon tried, unless the trier lacks this key."""
        return hmac_sha256(self._pin, f"{subject}\n{pin}".encode()).hex()


_MISREAD = str.maketrans("oil", "011")


def _digest(key: bytes, *parts: str) -> bytes:
    return hmac_sha256(key, "\n".join(parts).encode())[:_BYTES]

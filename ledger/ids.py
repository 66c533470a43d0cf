# SPDX-License-Identifier: Apache-2.0
"""Identifiers that show their kind: `sub_…`, `awd_…`, `txn_…`.

People's ids are random through and through. Ids of records start with the time, so that their index grows at one end
instead of everywhere (an index with random keys costs more with every million rows).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u to misread on paper

RandomBytes = Callable[[int], bytes]


def _base32(number: int, length: int) -> str:
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(5 * (length - 1), -1, -5))


def opaque_id(kind: str, random: RandomBytes = secrets.token_bytes) -> str:
    """An id that says nothing, 80 random bits: for subjects, holds and whatever a stranger may try to guess."""
    return f"{kind}_{_base32(int.from_bytes(random(10), 'big'), 16)}"


def ordered_id(kind: str, now_us: int, random: RandomBytes = os.urandom) -> str:
    """An id in order of time: 14 hex digits of microseconds, then 48 random bits."""
    return f"{kind}_{now_us:014x}{random(6).hex()}"

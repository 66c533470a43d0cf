# SPDX-License-Identifier: Apache-2.0
"""One-time codes from a phone: RFC 6238 as every authenticator app does it (SHA-1, six digits, half a minute)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import quote

STEP_US = 30_000_000
DIGITS = 6
SECRET_BYTES = 20
_EARLIER_AND_LATER = (0, -1, 1)  # steps by which a phone's clock may differ from ours


def code(secret: bytes, step: int) -> str:
    """The code of one step (RFC 4226 section 5.3)."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), hashlib.sha1)
    at = digest[-1] & 15
    number = int.from_bytes(digest[at : at + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def step_of(secret: bytes, given: str, now_us: int) -> int | None:
    """The step whose code this is, about now; None where it is none. All are compared, whichever is right."""
    now, found = now_us // STEP_US, None
    for offset in _EARLIER_AND_LATER:
        if hmac.compare_digest(code(secret, now + offset).encode(), given.encode()) and found is None:
            found = now + offset
    return found


def uri(secret: bytes, issuer: str, account: str) -> str:
    """What an authenticator app reads from a QR code."""
    label = quote(f"{issuer}:{account}", safe=":")
    text = base64.b32encode(secret).decode().rstrip("=")
    return f"otpauth://totp/{label}?secret={text}&issuer={quote(issuer)}&algorithm=SHA1&digits={DIGITS}&period=30"

# SPDX-License-Identifier: Apache-2.0
"""Codes that stand for a person at a till: shown on a phone for a minute, or kept by a till that has just asked.

Both are sealed, not only signed: whoever reads one learns nothing, and only this deployment can tell one from noise. A
`token` says who and how; a `visit` says for which offer at which till as well. Each works once: its digest is written
in the commit that it was shown for. Capitals and digits, so that they make a small QR code and no scanner's keyboard
spoils them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from ledger import keys
from ledger.errors import Refusal
from ledger.tables import Key, Row, Table
from ledger.view import View
from merchants.model import Condition
from merchants.tables import PASS_USED

Kind = Literal["token", "visit"]

LASTS_US: dict[Kind, int] = {"token": 60_000_000, "visit": 300_000_000}
_PREFIX: dict[Kind, str] = {"token": "JT1:", "visit": "JTV1:"}
_PADDED: dict[Kind, int] = {"token": 80, "visit": 256}  # its length must not say whether somebody acts for somebody
TEXT_MAX = 600
_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Pass:
    """What a code says. `expires_at` in µs, whole seconds; `consent` is how the person agreed to pay the rest in cash
    ("" not); `proxy` acts for the subject. Of a token offer, merchant and terminal are empty."""

    subject: str
    expires_at: int = 0
    proxy: str = ""
    consent: str = ""
    way: str = "token"
    offer: str = ""
    merchant: str = ""
    terminal: str = ""
    digest: bytes = field(default=b"", compare=False)


class Passes:
    """Makes and opens the codes of one deployment. `origin` is in the keys: another's codes are noise here."""

    def __init__(self, secret: bytes, origin: str) -> None:
        self._keys = {kind: keys.derive(secret, f"jifen/pass/{kind}/1 {origin}") for kind in _PREFIX}

    def make(self, kind: Kind, said: Pass, now_us: int) -> tuple[str, int]:
        """The code's text, and when it stops working (µs)."""
        expires_at = (now_us + LASTS_US[kind]) // _SECOND_US
        words = [str(expires_at), said.subject, said.proxy, said.consent, said.way]
        words += [said.offer, said.merchant, said.terminal]
        plain = "\n".join(words).rstrip("\n").encode()
        sealed = keys.seal(self._keys[kind], plain.ljust(_PADDED[kind]), kind.encode())
        return _PREFIX[kind] + base64.b32encode(sealed).decode().rstrip("="), expires_at * _SECOND_US

    def open(self, kind: Kind, text: str) -> Pass:
        """What a code says, run out or not. Raises `not_identified` for whatever this deployment never made."""
        sealed = _bytes(_PREFIX[kind], text.strip())
        try:
            words = keys.unseal(self._keys[kind], sealed, kind.encode()).decode().rstrip(" ").split("\n")
        except keys.BadKey:
            raise Refusal("not_identified") from None
        return Pass(words[1], int(words[0]) * _SECOND_US, *words[2:], digest=hashlib.sha256(sealed).digest())


def _bytes(prefix: str, text: str) -> bytes:
    """What the text encodes; for any text that `make` cannot have written, bytes that open nothing."""
    body = text.removeprefix(prefix)
    try:
        sealed = base64.b32decode(body + "=" * (-len(body) % 8))
    except (binascii.Error, ValueError):
        return bytes(128)
    return sealed if prefix + base64.b32encode(sealed).decode().rstrip("=") == text else bytes(128)


@dataclass(frozen=True, slots=True)
class UsedUp(Condition):
    """The code works now, and never again. Whatever is refused once the person was looked at uses it up as well, or
    one code would answer for every offer of the shop."""

    shown: Pass

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield PASS_USED, (self.shown.digest,)

    def enter(self, view: View, command: Any) -> None:
        check_time(self.shown, view.now_us)
        if view.get(PASS_USED, self.shown.digest) is not None:
            raise Refusal("token_used")
        if command.then_cash and not self.shown.consent:
            raise Refusal("consent_needed")
        view.put(*self._row)

    def leaves(self) -> tuple[tuple[Table, Row], ...]:
        return (self._row,)

    @property
    def _row(self) -> tuple[Table, Row]:
        return PASS_USED, (self.shown.digest, self.shown.expires_at)


def check_time(shown: Pass, now_us: int) -> None:
    """Raises `token_expired`."""
    if now_us >= shown.expires_at:
        raise Refusal("token_expired")

# SPDX-License-Identifier: Apache-2.0
"""The second factor of a staff account: enrolled by its owner, confirmed with a first code, removed by either its owner
or an administrator of their place. The secret is sealed at rest under a key of its own."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from api.counting import Counting
from api.identity import totp
from api.tables import STAFF
from ledger import keys
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.port import Answer
from ledger.tables import Key, Table
from ledger.view import View

TRIES_MAX = 10  # wrong codes an hour; only who knows the password can enter any
_HOUR_US = 3_600_000_000


class Enrolment(NamedTuple):
    """What an authenticator app is given, once: the secret as text and as the URI of a QR code."""

    secret: str
    uri: str


class SecondFactor:
    """Makes, seals and checks. `secret` is the deployment's."""

    def __init__(self, ledger: Ledger, secret: bytes, issuer: str = "Jifen") -> None:
        self._ledger = ledger
        self._key = keys.derive(secret, "jifen/totp/1")
        self._issuer = issuer

    async def enrol(self, id_: str, username: str) -> Enrolment:
        """A new secret, which counts for nothing until it is confirmed. Raises `totp_active`."""
        secret = self._ledger.random(totp.SECRET_BYTES)
        sealed = base64.b64encode(keys.seal(self._key, secret, id_.encode())).decode()
        await self._ledger.submit(Enrol(id_, sealed))
        return Enrolment(base64.b32encode(secret).decode(), totp.uri(secret, self._issuer, username))

    async def confirm(self, id_: str, code: str) -> None:
        """The first code from the app: from now on signing in asks for one. Raises `totp_required`, `totp_active`."""
        rows = await self._ledger.fetch("SELECT totp_pending FROM staff WHERE id = ?", id_)
        pending = rows[0][0] if rows else ""
        if not pending:
            raise Refusal("not_found", what="totp", id=id_)
        step = await self._tried(id_, pending, code)
        await self._ledger.submit(Confirm(id_, pending, step))

    async def remove(self, id_: str) -> None:
        """No code is asked for any more, and one that was begun is forgotten."""
        await self._ledger.submit(Enrol(id_, "", remove=True))

    async def step(self, account: Mapping[str, Any], code: str | None) -> int | None:
        """The step of a right code, which the commit then uses up; None where the account has no second factor. Raises
        `totp_required` without a right one."""
        if not account["totp"]:
            return None
        if code is None:
            raise Refusal("totp_required")
        return await self._tried(account["id"], account["totp"], code)

    def counted(self, id_: str) -> str:
        """Under what codes for an account are counted."""
        return f"totp:{id_}"

    async def _tried(self, id_: str, sealed: str, code: str) -> int:
        await self._ledger.submit(Counting(self.counted(id_), TRIES_MAX, _HOUR_US))
        secret = keys.unseal(self._key, base64.b64decode(sealed), id_.encode())
        step = totp.step_of(secret, code, self._ledger.clock())
        if step is None:
            raise Refusal("totp_required")
        return step


# commands --------------------------------------------------------------------------------------------------------


def _account(view: View, id_: str) -> dict[str, Any]:
    row = view.get(STAFF, id_)
    if row is None:
        raise Refusal("not_found", what="staff", id=id_)
    return dict(zip(STAFF.names, row, strict=True))


def _put(view: View, values: Mapping[str, Any], **changes: Any) -> None:
    changed = {**values, **changes, "version": values["version"] + 1}
    view.put(STAFF, tuple(changed[name] for name in STAFF.names))


@dataclass(frozen=True, slots=True)
class Enrol:
    """Store a secret that waits for its first code, or take all away."""

    id: str
    sealed: str
    remove: bool = False
    retry: None = None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        return ((STAFF, (self.id,)),)

    def decide(self, view: View) -> Answer:
        values = _account(view, self.id)
        if self.remove:
            _put(view, values, totp="", totp_pending="")
        elif values["totp"]:
            raise Refusal("totp_active")
        else:
            _put(view, values, totp_pending=self.sealed)
        return Answer()


@dataclass(frozen=True, slots=True)
class Confirm:
    """The secret that waited is the account's second factor from now on; its first code is used up."""

    id: str
    pending: str
    step: int
    retry: None = None
    journals: tuple[str, ...] = ()
    weight: int = 1

    def reads(self) -> Iterable[tuple[Table, Key]]:
        return ((STAFF, (self.id,)),)

    def decide(self, view: View) -> Answer:
        values = _account(view, self.id)
        if values["totp_pending"] != self.pending:
            raise Refusal("totp_required")
        _put(view, values, totp=self.pending, totp_pending="", totp_step=self.step)
        return Answer()

# SPDX-License-Identifier: Apache-2.0
"""Sessions: opaque tokens that are issued, renewed, proven anew and ended. What one stands for is in the table only.

A staff token lasts an hour and is renewed for up to twelve after the signing in; what is left lying about is soon good
for nothing. `proved_at` says when somebody last showed that it is they who sit there; what cannot be undone asks for
that within a quarter of an hour (`api/permissions.py`).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import orjson

from api.auth import Caller, Gate, roles_held, scopes_of, token_hash
from api.identity.attempts import Attempt, succeeded
from api.tables import ATTEMPT, KNOWN_ADDRESS, SESSION, STAFF
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.port import Answer, PutRows
from ledger.tables import Key, Row, Table
from ledger.view import View

HOUR_US = 3_600_000_000
STAFF_US = HOUR_US
RENEWED_US = 12 * HOUR_US  # for so long after the signing in
ACTIVATED_US = 180 * 24 * HOUR_US  # a resident's phone signs in again twice a year

_HEAD_BYTES = 16
_ID = re.compile(r"ses_([0-9a-f]{32})")

Way = Literal["password", "totp", "oidc", "code"]


class Issued(NamedTuple):
    """A token, shown this once. `until` is the end of all renewals; `must_change`: nothing may be done with it but
    setting a password of one's own."""

    token: str
    expires_at: int
    scopes: frozenset[str]
    until: int
    must_change: bool = False


class Held(NamedTuple):
    """One of somebody's sessions. Its id is the first half of the token's hash: good to point at it, and for nothing
    else."""

    hash: bytes
    way: str
    scopes: str
    began_at: int
    issued_at: int
    expires_at: int
    proved_at: int

    @property
    def id(self) -> str:
        return f"ses_{self.hash[:_HEAD_BYTES].hex()}"


@dataclass(frozen=True, slots=True)
class Proof:
    """What somebody has shown: who they are by which way, with what the account held at that moment, so that the commit
    can see whether it has changed meanwhile. `step` is that of a one-time code; `at` when it was shown (µs); `attempt`
    and `counted` are what was counted on the way, and is given back."""

    way: Way
    account: Mapping[str, Any]
    at: int
    step: int | None = None
    attempt: Attempt | None = None
    counted: str = ""


class Sessions:
    """Issues tokens and takes them back. Changes take effect in this process at once."""

    def __init__(self, ledger: Ledger, gate: Gate) -> None:
        self._ledger = ledger
        self._gate = gate

    async def begin(self, proof: Proof, scopes: Iterable[str] | None = None) -> Issued:
        """A staff session; `scopes` narrows it. Raises `unauthenticated` where the account has changed since."""
        account, now = proof.account, self._ledger.clock()
        narrowed = "" if scopes is None else orjson.dumps(sorted(scopes)).decode()
        token, hashed = self._token()
        row = (hashed, "staff", account["id"], now, now + STAFF_US, narrowed, now, proof.at, proof.way)
        await self._ledger.submit(Begin(row, proof))
        must_change = bool(account["must_change"])
        held = () if must_change else roles_held(account["roles"], self._gate.now())
        return Issued(token, now + STAFF_US, scopes_of(held, narrowed), now + RENEWED_US, must_change)

    async def begin_own(self, kind: str, subject: str, scopes: frozenset[str]) -> Issued:
        """A token for a resident or a body whose activation code and PIN were right."""
        token, hashed = self._token()
        now = self._ledger.clock()
        ends = now + ACTIVATED_US
        row = (hashed, kind, subject, now, ends, "", now, 0, "code")
        await self._ledger.submit(PutRows(inserts=((SESSION, row),)))
        return Issued(token, ends, scopes, ends)

    async def renew(self, caller: Caller) -> Issued:
        """A new token for the hour to come; the one before is good no longer. Of two who renew the same token at once,
        one is refused: it has been copied. Raises `unauthenticated`."""
        token, hashed = self._token()
        answer = await self._ledger.submit(Renew(caller.token_hash, hashed))
        self._gate.forget()
        expires_at, until = answer.value
        return Issued(token, expires_at, caller.scopes, until)

    async def proved(self, caller: Caller, proof: Proof) -> None:
        """Write down that this session's owner has proven who they are."""
        await self._ledger.submit(Prove(caller.token_hash, proof))
        self._gate.forget()

    async def listing(self, owner: str, after: tuple[int, str] | None, limit: int) -> list[Held]:
        """Somebody's sessions that have not run out, newest first; `after` is (issued_at, id) of the last one seen."""
        at, id_ = after or (2**62, "ses_")
        rows = await self._ledger.fetch(
            "SELECT hash, way, scopes, began_at, issued_at, expires_at, proved_at FROM session WHERE owner = ? "
            "AND expires_at > ? AND (issued_at < ? OR (issued_at = ? AND hash < ?)) "
            "ORDER BY issued_at DESC, hash DESC LIMIT ?",
            owner,
            self._ledger.clock(),
            at,
            at,
            _head(id_),
            limit,
        )
        return [Held(bytes(row[0]), *row[1:]) for row in rows]

    async def end(self, owner: str, id_: str) -> None:
        """End one of somebody's own sessions. Raises `not_found`."""
        head = _head(id_)
        rows = await self._ledger.fetch(
            "SELECT hash FROM session WHERE owner = ? AND hash BETWEEN ? AND ?", owner, head, head + b"\xff" * 16
        )
        if len(head) != _HEAD_BYTES or not rows:
            raise Refusal("not_found", what="session", id=id_)
        await self._remove([bytes(rows[0][0])])

    async def sign_out(self, caller: Caller) -> None:
        """End the session that this caller came with. A key is revoked by staff, not by itself."""
        await self._remove([caller.token_hash])

    async def end_all(self, owner: str) -> None:
        """End every session of one person: a lost phone, a changed password, an erasure."""
        while rows := await self._ledger.fetch("SELECT hash FROM session WHERE owner = ?", owner):
            await self._remove([bytes(hashed) for (hashed,) in rows])  # and those that are renewed meanwhile

    async def _remove(self, hashes: list[bytes]) -> None:
        if hashes:
            await self._ledger.submit(PutRows(removes=tuple((SESSION, (one,)) for one in hashes)))
        self._gate.forget()

    def _token(self) -> tuple[str, bytes]:
        token = "jt_" + base64.urlsafe_b64encode(self._ledger.random(32)).rstrip(b"=").decode()
        return token, token_hash(token)


def _head(id_: str) -> bytes:
    """The beginning of the hash that an id points at; empty for what is no id."""
    match = _ID.fullmatch(id_)
    return bytes.fromhex(match[1]) if match else b""


# commands --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Command:
    retry: None = None
    journals: tuple[str, ...] = ()
    weight: int = 1


def _reads(proof: Proof) -> Iterable[tuple[Table, Key]]:
    yield STAFF, (proof.account["id"],)
    if proof.counted:
        yield ATTEMPT, (proof.counted,)
    if proof.attempt is not None:
        yield KNOWN_ADDRESS, (proof.attempt.pair,)
        for what in (proof.attempt.pair, proof.attempt.name, proof.attempt.address):
            yield ATTEMPT, (what,)


def _accept(view: View, proof: Proof) -> None:
    """The account must be as it was when it was looked at, and a one-time code newer than the last that was used."""
    row = view.get(STAFF, proof.account["id"])
    now = dict(zip(STAFF.names, row, strict=True)) if row is not None else {}
    if any(now.get(name) != proof.account[name] for name in ("state", "password", "totp", "oidc")):
        raise Refusal("unauthenticated")
    if proof.step is not None:
        if now["totp_step"] >= proof.step:
            raise Refusal("totp_required")
        view.put(STAFF, tuple((now | {"totp_step": proof.step})[name] for name in STAFF.names))
    if proof.counted:
        view.remove(ATTEMPT, proof.counted)
    if proof.attempt is not None:
        succeeded(view, proof.attempt)


def _live(view: View, hashed: bytes) -> dict[str, Any]:
    row = view.get(SESSION, hashed)
    if row is None or row[SESSION.names.index("expires_at")] <= view.now_us:
        raise Refusal("unauthenticated")
    return dict(zip(SESSION.names, row, strict=True))


@dataclass(frozen=True, slots=True)
class Begin(_Command):
    """A session for whoever has shown who they are."""

    row: Row
    proof: Proof

    def reads(self) -> Iterable[tuple[Table, Key]]:
        return _reads(self.proof)

    def decide(self, view: View) -> Answer:
        _accept(view, self.proof)
        view.insert(SESSION, self.row)
        return Answer(201)


@dataclass(frozen=True, slots=True)
class Renew(_Command):
    """One session in place of another. The value is (expires_at, until)."""

    old: bytes
    new: bytes

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield SESSION, (self.old,)

    def decide(self, view: View) -> Answer:
        values = _live(view, self.old)
        until = values["began_at"] + RENEWED_US
        expires_at = min(view.now_us + STAFF_US, until)
        values |= {"hash": self.new, "issued_at": view.now_us, "expires_at": expires_at}
        view.remove(SESSION, self.old)
        view.insert(SESSION, tuple(values[name] for name in SESSION.names))
        return Answer(201, value=(expires_at, until))


@dataclass(frozen=True, slots=True)
class Prove(_Command):
    """A session's owner has shown once more who they are."""

    hashed: bytes
    proof: Proof

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield SESSION, (self.hashed,)
        yield from _reads(self.proof)

    def decide(self, view: View) -> Answer:
        values = _live(view, self.hashed)
        _accept(view, self.proof)
        view.put(SESSION, tuple((values | {"proved_at": self.proof.at})[name] for name in SESSION.names))
        return Answer()

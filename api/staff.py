# SPDX-License-Identifier: Apache-2.0
"""Staff accounts, sessions and machine keys: issuing them, changing them, taking them away.

Signing in is counted before the password is looked at, under the name that was tried, known or not: whoever guesses
learns neither whether an account exists nor more than five guesses in a quarter of an hour.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from api.auth import KEY_SCOPES, ROLE_SCOPES, Caller, Gate, roles_today, token_hash
from api.invalid import invalid
from api.tables import API_KEY, ATTEMPT, SESSION, STAFF, STAFF_NAME
from ledger.engine import Ledger
from ledger.errors import Refusal, Unavailable
from ledger.ids import opaque_id
from ledger.port import Answer, PutRows, Retry
from ledger.tables import Key, Row, Table
from ledger.view import View

HOUR_US = 3_600_000_000
SESSION_US = 12 * HOUR_US
ACTIVATED_US = 180 * 24 * HOUR_US  # a resident's phone signs in again twice a year
KEY_US = 365 * 24 * HOUR_US
TRIES_MAX = 5
TRIES_WINDOW_US = 15 * 60 * 1_000_000
PASSWORD_MIN = 8
PASSWORD_MAX = 200
HASHES_AT_ONCE = 2  # each takes a core and 19 MiB for some hundredths of a second
HASHES_WAITING_MAX = 64

_USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,39}")


class Issued(NamedTuple):
    """A token, shown this once."""

    token: str
    expires_at: int
    scopes: frozenset[str]


class Issue(NamedTuple):
    """A key, shown this once."""

    id: str
    key: str
    expires_at: int


class Staff:
    """The desk that issues and takes back. Changes take effect in this process at once."""

    def __init__(self, ledger: Ledger, gate: Gate, covers: Callable[[str, str], bool]) -> None:
        self._ledger = ledger
        self._gate = gate
        self._covers = covers
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._hashing = asyncio.Semaphore(HASHES_AT_ONCE)
        self._waiting = 0
        # What an unknown name's password is held against, so that it takes as long as a known one's.
        self._nobody = self._hasher.hash(base64.b64encode(ledger.random(18)).decode())

    # signing in ------------------------------------------------------------------------------------------------

    async def sign_in(self, username: str, password: str) -> Issued:
        """A session for the right password. Raises `unauthenticated`, `rate_limited`; the same for unknown names."""
        what = _attempt("staff", username)
        await self._ledger.submit(Try(what))
        rows = await self._ledger.fetch(
            "SELECT id, password, subject, roles, state FROM staff WHERE username = ?", username
        )
        id_, stored, _, roles, state = rows[0] if rows else ("", self._nobody, "", "[]", "")
        right = await self._in_thread(self._matches, stored, password)
        if not right or state != "active":
            raise Refusal("unauthenticated")
        held = roles_today(roles, self._gate.today())
        scopes = frozenset[str]().union(*(ROLE_SCOPES.get(role, frozenset()) for role, _ in held))
        return await self._issue("staff", id_, SESSION_US, scopes, forget=what)

    async def sign_in_subject(self, kind: str, subject: str, scopes: frozenset[str]) -> Issued:
        """A token for a resident or a body whose activation code and PIN were right."""
        return await self._issue(kind, subject, ACTIVATED_US, scopes)

    async def _issue(self, kind: str, owner: str, lasts: int, scopes: frozenset[str], forget: str = "") -> Issued:
        token = "jt_" + base64.urlsafe_b64encode(self._ledger.random(32)).rstrip(b"=").decode()
        now = self._ledger.clock()
        row: Row = (token_hash(token), kind, owner, now, now + lasts)
        removes: tuple[tuple[Table, Key], ...] = ((ATTEMPT, (forget,)),) if forget else ()
        await self._ledger.submit(PutRows(inserts=((SESSION, row),), removes=removes))
        return Issued(token, now + lasts, scopes)

    async def sign_out(self, caller: Caller) -> None:
        """End the session that this caller came with. A key is revoked by staff, not by itself."""
        await self._ledger.submit(PutRows(removes=((SESSION, (caller.token_hash,)),)))
        self._gate.forget()

    async def sign_out_everywhere(self, owner: str) -> None:
        """End every session of one person: a lost phone, a changed password, an erasure."""
        rows = await self._ledger.fetch("SELECT hash FROM session WHERE owner = ?", owner)
        if rows:
            await self._ledger.submit(PutRows(removes=tuple((SESSION, (bytes(h),)) for (h,) in rows)))
        self._gate.forget()

    def _matches(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerifyMismatchError, InvalidHashError):
            return False
        except Exception:  # argon2 tells apart what we do not
            return False

    async def _in_thread(self, work: Callable[..., Any], *args: Any) -> Any:
        if self._waiting >= HASHES_WAITING_MAX:
            raise Unavailable("rate_limited", retry_after=5)
        self._waiting += 1
        try:
            async with self._hashing:
                return await asyncio.to_thread(work, *args)
        finally:
            self._waiting -= 1

    # staff -----------------------------------------------------------------------------------------------------

    async def create(
        self,
        by: Caller | None,
        username: str,
        password: str,
        roles: Sequence[Mapping[str, str | None]],
        subject: str | None = None,
        retry: Retry | None = None,
    ) -> Answer:
        """A staff account; `by` is None for the operator at the machine. `ref` of the answer is its id.

        Raises `already_registered`, `forbidden` for a place outside the caller's, `request_invalid`.
        """
        if not _USERNAME.fullmatch(username):
            raise invalid([{"pointer": "/username", "code": "not_in_form", "limit": _USERNAME.pattern}])
        _check_password(password)
        self._check_roles(by, roles)
        hashed = await self._in_thread(self._hasher.hash, password)
        row = (
            opaque_id("stf", self._ledger.random),
            username,
            hashed,
            subject or "",
            _roles_text(roles),
            "active",
            1,
            self._ledger.clock(),
        )
        return await self._ledger.submit(Hire(row, retry=retry))

    async def change(self, by: Caller, id_: str, version: int | None, changes: Mapping[str, Any]) -> int:
        """Change `roles`, `subject`, `state` or `password`; the new version. Nobody changes the roles of oneself.

        Raises `not_found`, `precondition_failed`, `same_person`, `forbidden`.
        """
        if by.id == id_ and changes.keys() - {"password"}:
            raise Refusal("same_person")
        current = await self.get(id_)
        if by.id != id_:  # the other's account must be wholly within one's own place, before and after
            self._check_roles(by, current["roles"])
        values: dict[str, Any] = {}
        if "roles" in changes:
            self._check_roles(by, changes["roles"])
            values["roles"] = _roles_text(changes["roles"])
        if "subject" in changes:
            values["subject"] = changes["subject"] or ""
        if "state" in changes:
            values["state"] = changes["state"]
        if "password" in changes:
            _check_password(changes["password"])
            values["password"] = await self._in_thread(self._hasher.hash, changes["password"])
        answer = await self._ledger.submit(Change(id_, version, values))
        if values.keys() & {"password", "state"}:
            await self.sign_out_everywhere(id_)
        self._gate.forget()
        return answer.value

    async def get(self, id_: str) -> dict[str, Any]:
        """One staff account as it is shown: never its password. Raises `not_found`."""
        rows = await self._ledger.fetch(
            "SELECT id, username, subject, roles, state, version, created_at FROM staff WHERE id = ?", id_
        )
        if not rows:
            raise Refusal("not_found", what="staff", id=id_)
        return staff_record(rows[0])

    def _check_roles(self, by: Caller | None, roles: Iterable[Mapping[str, str | None]]) -> None:
        for index, one in enumerate(roles):
            if one["role"] not in ROLE_SCOPES:
                raise invalid(
                    [{"pointer": f"/roles/{index}/role", "code": "not_a_choice", "limit": ", ".join(ROLE_SCOPES)}]
                )
            if (one.get("to") or "9999-12-31") < (one.get("from") or ""):
                raise invalid([{"pointer": f"/roles/{index}/to", "code": "number_too_small", "limit": one["from"]}])
            if by is not None and not by.actor.may({"county_admin"}, str(one["place"]), self._covers):
                raise Refusal("forbidden", scope="staff:write", place=one["place"])

    # keys ------------------------------------------------------------------------------------------------------

    async def issue_key(
        self,
        by: Caller | None,
        kind: str,
        name: str,
        *,
        merchant: str | None = None,
        terminal: str | None = None,
        scopes: Iterable[str] = (),
        roles: Sequence[Mapping[str, str | None]] = (),
        lasts: int = KEY_US,
    ) -> Issue:
        """A key for a till or a client, bound to what is named. Raises `request_invalid`, `forbidden`."""
        allowed = KEY_SCOPES[kind]
        chosen = frozenset(scopes) or (frozenset({"redemptions:write"}) if kind == "merchant" else frozenset())
        if chosen - allowed:
            raise invalid([{"pointer": "/scopes", "code": "not_a_choice", "limit": ", ".join(sorted(allowed))}])
        if (kind == "merchant") != bool(merchant):
            code = "field_missing" if kind == "merchant" else "field_unknown"
            raise invalid([{"pointer": "/merchant", "code": code}])
        self._check_roles(by, roles)
        id_ = opaque_id("key", self._ledger.random)
        secret = base64.b32encode(self._ledger.random(30)).decode().lower()
        now = self._ledger.clock()
        row = (
            id_,
            hashlib.sha256(secret.encode()).digest(),
            kind,
            name,
            merchant or "",
            terminal or "",
            orjson.dumps(sorted(chosen)).decode(),
            _roles_text(roles),
            "active",
            by.id if by is not None else "system",
            now,
            now + lasts,
        )
        await self._ledger.submit(PutRows(inserts=((API_KEY, row),), answer=Answer(201, id_)))
        return Issue(id_, f"jk_{id_.removeprefix('key_')}_{secret}", now + lasts)

    async def revoke_key(self, id_: str) -> None:
        """Take a key back. Raises `not_found`."""
        await self._ledger.submit(Revoke(id_))
        self._gate.forget()


def staff_record(row: Sequence[Any]) -> dict[str, Any]:
    """id, username, subject, roles, state, version, created_at → what a reader sees."""
    return {
        "id": row[0],
        "username": row[1],
        "subject": row[2] or None,
        "roles": orjson.loads(row[3]),
        "state": row[4],
        "etag": f'"{row[5]}"',
        "created_at": row[6],
    }


def _check_password(password: str) -> None:
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        code, limit = ("too_short", PASSWORD_MIN) if len(password) < PASSWORD_MIN else ("too_long", PASSWORD_MAX)
        raise invalid([{"pointer": "/password", "code": code, "limit": limit}])


def _roles_text(roles: Iterable[Mapping[str, str | None]]) -> str:
    kept = [{key: value for key, value in one.items() if value} for one in roles]
    return orjson.dumps(kept).decode()


def _attempt(kind: str, name: str) -> str:
    """What a try is counted under: no name stands in the table."""
    return f"{kind}:{hashlib.sha256(name.encode()).hexdigest()[:32]}"


# commands --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _OneRow:
    """A command about a row or two without a journal."""

    retry: Retry | None = None
    journals: tuple[str, ...] = ()
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Try(_OneRow):
    """Count a try. Raises `rate_limited` when there were too many; waiting is what opens the door again."""

    what: str

    def reads(self) -> Iterable[tuple[Table, Key]]:
        return ((ATTEMPT, (self.what,)),)

    def decide(self, view: View) -> Answer:
        row = view.get(ATTEMPT, self.what)
        fresh = row is None or view.now_us - row[2] >= TRIES_WINDOW_US
        tries, since = (0, view.now_us) if row is None or fresh else (row[1], row[2])
        if tries >= TRIES_MAX:
            wait = (since + TRIES_WINDOW_US - view.now_us) // 1_000_000 + 1
            raise Refusal("rate_limited", retry_after=wait)
        # The window starts again with each try, so that it is a quarter of an hour after the last of them.
        view.put(ATTEMPT, (self.what, tries + 1, view.now_us))
        return Answer()


@dataclass(frozen=True, slots=True)
class Hire(_OneRow):
    """Store a new staff account under a free name."""

    row: Row

    def reads(self) -> Iterable[tuple[Table, Key]]:
        return ((STAFF_NAME, (self.row[1],)),)

    def decide(self, view: View) -> Answer:
        if view.get(STAFF_NAME, self.row[1]) is not None:
            raise Refusal("already_registered", subject="")
        view.put(STAFF_NAME, (self.row[1], self.row[0]))
        view.insert(STAFF, self.row)
        return Answer(201, self.row[0])


@dataclass(frozen=True, slots=True)
class Change(_OneRow):
    """Change columns of a staff account if it is still as the caller saw it."""

    id: str
    version: int | None
    values: Mapping[str, Any]

    def reads(self) -> Iterable[tuple[Table, Key]]:
        return ((STAFF, (self.id,)),)

    def decide(self, view: View) -> Answer:
        row = view.get(STAFF, self.id)
        if row is None:
            raise Refusal("not_found", what="staff", id=self.id)
        values = dict(zip(STAFF.names, row, strict=True))
        if self.version is not None and self.version != values["version"]:
            raise Refusal("precondition_failed", etag=f'"{values["version"]}"')
        values |= {**self.values, "version": values["version"] + 1}
        view.put(STAFF, tuple(values[name] for name in STAFF.names))
        return Answer(200, self.id, values["version"])


@dataclass(frozen=True, slots=True)
class Revoke(_OneRow):
    """A key is good no longer."""

    id: str

    def reads(self) -> Iterable[tuple[Table, Key]]:
        return ((API_KEY, (self.id,)),)

    def decide(self, view: View) -> Answer:
        row = view.get(API_KEY, self.id)
        if row is None:
            raise Refusal("not_found", what="key", id=self.id)
        state = API_KEY.names.index("state")
        view.put(API_KEY, (*row[:state], "revoked", *row[state + 1 :]))
        return Answer(200, self.id)

# SPDX-License-Identifier: Apache-2.0
"""Staff accounts and machine keys: issuing them, changing them, taking them away, and telling who somebody is.

Signing in is counted before the password is looked at (`api/identity/attempts.py`), under the name that was tried,
known or not: whoever guesses learns neither whether an account exists nor more than a few guesses an hour.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import orjson
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from api.auth import KEY_SCOPES, ROLE_SCOPES, Caller, Gate
from api.counting import Counting
from api.identity import passwords, signatures
from api.identity.address import networks
from api.identity.attempts import Attempt, Try
from api.identity.second_factor import SecondFactor
from api.identity.sessions import Issued, Proof, Sessions
from api.identity.staff_rows import SHOWN, Change, ChangeKey, Hire, roles_text, staff_record
from api.invalid import invalid
from api.tables import API_KEY
from ledger import keys
from ledger.engine import Ledger
from ledger.errors import Refusal, Unavailable
from ledger.ids import opaque_id
from ledger.port import Answer, PutRows, Retry

KEY_DAYS = 365
DAY_US = 86_400_000_000
PROOFS_MAX, PROOFS_US = 5, 15 * 60 * 1_000_000
HASHES_AT_ONCE = 2  # each takes a core and 19 MiB for some hundredths of a second
HASHES_WAITING_MAX = 64

_USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,39}")
ACCOUNT = ("id", "password", "roles", "state", "must_change", "totp", "oidc")  # what a proof is held against


class Issue(NamedTuple):
    """A key, shown this once."""

    id: str
    key: str
    expires_at: int


class Staff:
    """The desk that issues and takes back. Changes take effect in this process at once."""

    def __init__(
        self, ledger: Ledger, gate: Gate, sessions: Sessions, covers: Callable[[str, str], bool], secret: bytes
    ) -> None:
        self._ledger = ledger
        self._gate = gate
        self._sessions = sessions
        self._covers = covers
        self._counting_key = keys.derive(secret, "jifen/sign-in/1")
        self.second = SecondFactor(ledger, secret)
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._hashing = asyncio.Semaphore(HASHES_AT_ONCE)
        self._waiting = 0
        # What an unknown name's password is held against, so that it takes as long as a known one's.
        self._nobody = self._hasher.hash(base64.b64encode(ledger.random(18)).decode())

    # signing in ------------------------------------------------------------------------------------------------

    async def sign_in(
        self,
        username: str,
        password: str,
        *,
        totp: str | None = None,
        scopes: Iterable[str] | None = None,
        address: str = "",
    ) -> Issued:
        """A session for the right password, and the right one-time code where the account asks for one.

        `scopes` narrows it; `address` is where the request comes from ("" this machine). Raises `unauthenticated`,
        `rate_limited`, the same for unknown names; `totp_required` after a right password only.
        """
        attempt = Attempt.of(self._counting_key, username, address)
        await self._ledger.submit(Try(attempt))
        account = await self._account("username", username)
        right = await self._in_thread(self._matches, account["password"] if account else self._nobody, password)
        if account is None or not right or account["state"] != "active":
            raise Refusal("unauthenticated")
        step = await self.second.step(account, totp)
        counted = "" if step is None else self.second.counted(account["id"])
        way = "password" if step is None else "totp"
        proof = Proof(way, account, self._ledger.clock(), step, attempt, counted)
        return await self._sessions.begin(proof, scopes)

    async def sign_in_linked(self, digest: str, proved_at: int, scopes: Iterable[str] | None = None) -> Issued:
        """A session for the account that is linked to an identity elsewhere. Raises `oidc_unlinked`."""
        account = await self._linked(digest)
        return await self._sessions.begin(Proof("oidc", account, proved_at), scopes)

    async def prove_linked(self, caller: Caller, digest: str, proved_at: int) -> None:
        """Step-up by the identity provider. Raises `oidc_unlinked` where it vouches for another."""
        account = await self._linked(digest)
        if account["id"] != caller.id:
            raise Refusal("oidc_unlinked")
        await self._sessions.proved(caller, Proof("oidc", account, proved_at))

    async def _linked(self, digest: str) -> dict[str, Any]:
        rows = await self._ledger.fetch("SELECT id FROM staff_link WHERE digest = ?", digest)
        account = await self._account("id", rows[0][0]) if rows else None
        if account is None or account["state"] != "active":
            raise Refusal("oidc_unlinked")
        return account

    async def sign_in_subject(self, kind: str, subject: str, scopes: frozenset[str]) -> Issued:
        """A token for a resident or a body whose activation code and PIN were right."""
        return await self._sessions.begin_own(kind, subject, scopes)

    async def prove(self, caller: Caller, *, password: str | None = None, totp: str | None = None) -> None:
        """Step-up: who has a second factor shows a code, everybody else the password.

        Raises `proof_wrong`, `totp_required`, `rate_limited`.
        """
        account = await self._account("id", caller.id)
        if account is None:
            raise Refusal("unauthenticated")
        step = await self.second.step(account, totp)
        counted, way = self.second.counted(caller.id), "totp"
        if step is None:
            counted, way = f"prove:{caller.id}", "password"
            await self._ledger.submit(Counting(counted, PROOFS_MAX, PROOFS_US))
            if password is None or not await self._in_thread(self._matches, account["password"], password):
                raise Refusal("proof_wrong")
        now = self._ledger.clock()
        await self._sessions.proved(caller, Proof(way, account, now, step, counted=counted))

    async def _account(self, column: Literal["id", "username"], value: str) -> dict[str, Any] | None:
        rows = await self._ledger.fetch(f"SELECT {', '.join(ACCOUNT)} FROM staff WHERE {column} = ?", value)
        return dict(zip(ACCOUNT, rows[0], strict=True)) if rows else None

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
        *,
        must_change: bool = False,
    ) -> Answer:
        """A staff account; `by` is None for the operator at the machine. `must_change`: its owner can do nothing before
        they have set a password of their own. `ref` of the answer is the account's id.

        Raises `already_registered`, `forbidden` for a place outside the caller's, `request_invalid`.
        """
        if not _USERNAME.fullmatch(username):
            raise invalid([{"pointer": "/username", "code": "not_in_form", "limit": _USERNAME.pattern}])
        passwords.check(password, username)
        self._check_roles(by, roles)
        hashed = await self._in_thread(self._hasher.hash, password)
        row = (
            opaque_id("stf", self._ledger.random),
            username,
            hashed,
            subject or "",
            roles_text(roles),
            "active",
            1,
            self._ledger.clock(),
            int(must_change),
            "",
            "",
            0,
            "",
        )
        return await self._ledger.submit(Hire(row, retry=retry))

    async def change(self, by: Caller, id_: str, version: int | None, changes: Mapping[str, Any]) -> int:
        """Change `roles`, `subject`, `state` or `password`; the new version. Nobody changes the roles of oneself, and
        a password that another has set must be changed by its owner before anything else.

        Raises `not_found`, `precondition_failed`, `same_person`, `forbidden`.
        """
        if by.id == id_ and changes.keys() - {"password"}:
            raise Refusal("same_person")
        current = await self.get(id_)
        if by.id != id_:
            await self.may_administer(by, current)
        values: dict[str, Any] = {}
        if "roles" in changes:
            self._check_roles(by, changes["roles"])
            values["roles"] = roles_text(changes["roles"])
        if "subject" in changes:
            values["subject"] = changes["subject"] or ""
        if "state" in changes:
            values["state"] = changes["state"]
        if "password" in changes:
            passwords.check(changes["password"], current["username"])
            if by.id == id_:
                await self._another(id_, changes["password"])
            values["password"] = await self._in_thread(self._hasher.hash, changes["password"])
            values["must_change"] = int(by.id != id_)
        answer = await self._ledger.submit(Change(id_, version, values))
        if values.keys() & {"password", "state"}:
            await self._sessions.end_all(id_)
        self._gate.forget()
        return answer.value

    async def _another(self, id_: str, password: str) -> None:
        """Raises `request_invalid` for the password that the account has already: somebody else may know it."""
        account = await self._account("id", id_)
        if account is not None and await self._in_thread(self._matches, account["password"], password):
            raise invalid([{"pointer": "/password", "code": "password_same"}])

    async def link(self, id_: str, digest: str) -> None:
        """Say which account at the identity provider is this one, "" for none; sessions end. Raises
        `already_registered`."""
        await self._ledger.submit(Change(id_, None, {"oidc": digest}))
        await self._sessions.end_all(id_)

    async def may_administer(self, by: Caller, record: Mapping[str, Any]) -> None:
        """Raises `not_found` unless another's account lies wholly within the place that one administers."""
        if "staff:write" not in by.scopes or not await self.within(by, record):
            raise Refusal("not_found", what="staff", id=record["id"])

    async def within(self, by: Caller, record: Mapping[str, Any]) -> bool:
        """Does the account lie wholly within the place that one administers? One without roles lies where the person
        lives whose record it reads: whoever gave it a password and a role could read that record, too."""
        places = [role["place"] for role in record["roles"]]
        if not places and record["subject"]:
            rows = await self._ledger.fetch("SELECT home, grid FROM subject WHERE subject = ?", record["subject"])
            places = [grid or home for home, grid in rows]
        return all(by.actor.may({"county_admin"}, place, self._covers) for place in places)

    async def get(self, id_: str) -> dict[str, Any]:
        """One staff account as it is shown: never its password. Raises `not_found`."""
        rows = await self._ledger.fetch(f"SELECT {', '.join(SHOWN)} FROM staff WHERE id = ?", id_)
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
            hours = one.get("hours")
            if hours and hours[:5] == hours[6:]:
                raise invalid([{"pointer": f"/roles/{index}/hours", "code": "not_in_form", "limit": "08:00-18:00"}])
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
        addresses: Sequence[str] = (),
        public_key: str | None = None,
        signed: bool = False,
        lasts: int = KEY_DAYS * DAY_US,
    ) -> Issue:
        """A key for a till or a client, bound to what is named; `addresses` are the networks it may be used from,
        `public_key` and `signed` as in `set_public_key`.

        Raises `request_invalid`, `forbidden`.
        """
        allowed = KEY_SCOPES[kind]
        chosen = frozenset(scopes) or (frozenset({"redemptions:write"}) if kind == "merchant" else frozenset())
        if chosen - allowed:
            raise invalid([{"pointer": "/scopes", "code": "not_a_choice", "limit": ", ".join(sorted(allowed))}])
        if (kind == "merchant") != bool(merchant):
            code = "field_missing" if kind == "merchant" else "field_unknown"
            raise invalid([{"pointer": "/merchant", "code": code}])
        self._check_roles(by, roles)
        id_ = opaque_id("key", self._ledger.random)
        secret, hashed = self._secret()
        now = self._ledger.clock()
        row = (
            id_,
            hashed,
            kind,
            name,
            merchant or "",
            terminal or "",
            orjson.dumps(sorted(chosen)).decode(),
            roles_text(roles),
            "active",
            by.id if by is not None else "system",
            now,
            now + lasts,
            _networks_text(addresses),
            _public_text(public_key),
            int(signed),
            "",
            0,
        )
        await self._ledger.submit(PutRows(inserts=((API_KEY, row),), answer=Answer(201, id_)))
        return Issue(id_, _key_text(id_, secret), now + lasts)

    async def rotate_key(self, id_: str, overlap_us: int, lasts: int = KEY_DAYS * DAY_US) -> Issue:
        """A new secret for a key that is in use; the one before stays good for `overlap_us` at most, and the one before
        that no longer. Raises `not_found`, `key_over`."""
        secret, hashed = self._secret()
        now = self._ledger.clock()
        await self._ledger.submit(
            ChangeKey(id_, {"hash": hashed, "old_until": now + overlap_us, "expires_at": now + lasts})
        )
        self._gate.forget()
        return Issue(id_, _key_text(id_, secret), now + lasts)

    async def set_addresses(self, id_: str, addresses: Sequence[str]) -> None:
        """Where from a key may be used, from now on. Raises `not_found`, `request_invalid`."""
        await self._ledger.submit(ChangeKey(id_, {"addresses": _networks_text(addresses)}))
        self._gate.forget()

    async def set_public_key(self, id_: str, public_key: str | None, signed: bool, *, first: str = "") -> None:
        """What a machine's requests are signed with from now on (Ed25519, base64; None: nothing yet), and whether they
        must be. `first`: only while none is registered. Raises `not_found`, `request_invalid`, `signature_required`."""
        values = {"public_key": _public_text(public_key), "signed": int(signed)}
        await self._ledger.submit(ChangeKey(id_, values, first=first))
        self._gate.forget()

    async def revoke_key(self, id_: str) -> None:
        """Take a key back. Raises `not_found`."""
        await self._ledger.submit(ChangeKey(id_, {"state": "revoked"}))
        self._gate.forget()

    def _secret(self) -> tuple[str, bytes]:
        secret = base64.b32encode(self._ledger.random(30)).decode().lower()
        return secret, hashlib.sha256(secret.encode()).digest()


def _key_text(id_: str, secret: str) -> str:
    return f"jk_{id_.removeprefix('key_')}_{secret}"


def _public_text(public_key: str | None) -> str:
    if public_key is not None and signatures.public_key(public_key) is None:
        raise invalid([{"pointer": "/public_key", "code": "not_in_form", "limit": "Ed25519, base64"}])
    return public_key or ""


def _networks_text(addresses: Sequence[str]) -> str:
    for index, one in enumerate(addresses):
        try:
            networks([one])
        except ValueError:
            raise invalid([{"pointer": f"/addresses/{index}", "code": "not_in_form", "limit": "10.1.2.0/24"}]) from None
    return orjson.dumps([str(network) for network in networks(addresses)]).decode()

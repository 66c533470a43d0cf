# SPDX-License-Identifier: Apache-2.0
"""Who is calling, and what that caller's scopes are. Whether an act is right at a place is the domain's to decide.

Every request is authenticated by one hook; a route says `opt={"public": True}` where it is not. What a
token stands for is remembered for a few seconds, so that a till's tenth request costs no look-up; a revocation in this
process takes effect at once, in another within those seconds.
"""

import hashlib
import hmac
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

import orjson

from api.invalid import invalid
from ledger.engine import Ledger
from ledger.errors import Refusal
from rules.ports import Actor

if TYPE_CHECKING:
    from litestar import Request  # not at run time: the command line starts without it

Kind = Literal["staff", "merchant", "resident", "body", "client"]

CACHE_SECONDS = 5.0
CACHE_MAX = 20_000

# Which role may call what. Where it may do so is its place, and that is checked with the deed.
ROLE_SCOPES: dict[str, frozenset[str]] = {
    role: frozenset(scopes.split())
    for role, scopes in {
        "grid_worker": "awards:write people:read lists:read balances:read",
        "community_staff": "awards:write people:write people:read lists:read lists:write balances:read merchants:write "
        "redemptions:write settlements:write",
        "approver": "approvals:write people:read lists:read lists:write balances:read settlements:write",
        "street_staff": "awards:write approvals:write packs:write people:write people:read lists:read lists:write "
        "balances:read merchants:write redemptions:write settlements:write",
        "county_admin": "staff:write packs:write merchants:write people:read lists:read lists:write settlements:write",
        "auditor": "audit:read entries:read balances:read lists:read",
        "council": "approvals:write packs:write lists:read lists:write",
    }.items()
}
KIND_SCOPES: dict[str, frozenset[str]] = {
    "resident": frozenset({"tokens:write", "balances:read", "entries:read"}),
    "body": frozenset({"tokens:write", "balances:read", "entries:read"}),
    "merchant": frozenset({"redemptions:write"}),
}
# A machine's key may be given these and no more; nothing that a person must answer for.
KEY_SCOPES: dict[str, frozenset[str]] = {
    "merchant": frozenset({"redemptions:write", "merchants:write", "settlements:write"}),
    "client": frozenset({"awards:write", "people:read", "lists:read", "balances:read"}),
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. `id` is random and stands in retry keys and logs; `merchant` and `terminal` are a till's."""

    kind: Kind
    id: str
    actor: Actor
    scopes: frozenset[str]
    subject: str | None = None
    merchant: str | None = None
    terminal: str | None = None
    token_hash: bytes = field(default=b"", repr=False)

    def require(self, *scopes: str) -> None:
        """Raises `forbidden` unless the caller has every one of `scopes`."""
        for scope in scopes:
            if scope not in self.scopes:
                raise Refusal("forbidden", scope=scope)

    def has_role(self, roles: Iterable[str]) -> bool:
        """Does the caller hold one of these roles anywhere?"""
        return any(role in roles for role, _ in self.actor.roles)


def token_hash(token: str) -> bytes:
    """What is stored of a token. Tokens are 256 random bits, so a plain hash cannot be searched."""
    return hashlib.sha256(token.encode()).digest()


def roles_today(roles: str, today: str) -> tuple[tuple[str, str], ...]:
    """The (role, place) pairs of a stored list that hold on this day."""
    return tuple(
        (one["role"], one["place"])
        for one in orjson.loads(roles)
        if one.get("from", "") <= today <= (one.get("to") or "9999-12-31")
    )


class Gate:
    """Tells from a token who calls."""

    def __init__(self, ledger: Ledger, zone: str) -> None:
        self._ledger = ledger
        self._zone = ZoneInfo(zone)
        self._known: dict[bytes, tuple[float, Caller]] = {}

    async def caller(self, token: str, monotonic: Callable[[], float] = time.monotonic) -> Caller | None:
        """The caller whom a token stands for now; None for any token that is not good, whatever the reason."""
        hashed = token_hash(token)
        known = self._known.get(hashed)
        now = monotonic()
        if known is not None and known[0] > now:
            return known[1]
        if token.startswith("jt_"):
            found = await self._session(hashed)
        elif token.startswith("jk_"):
            found = await self._key(token, hashed)
        else:
            found = None
        if found is None:
            self._known.pop(hashed, None)
            return None
        caller, left = found
        if len(self._known) >= CACHE_MAX:
            self._known.clear()
        self._known[hashed] = (now + min(CACHE_SECONDS, left), caller)
        return caller

    def forget(self) -> None:
        """Something about staff, sessions or keys has changed."""
        self._known.clear()

    def today(self) -> str:
        return datetime.fromtimestamp(self._ledger.clock() / 1e6, self._zone).date().isoformat()

    async def _session(self, hashed: bytes) -> tuple[Caller, float] | None:
        rows = await self._ledger.fetch(
            "SELECT s.kind, s.owner, s.expires_at, f.subject, f.roles, f.state "
            "FROM session s LEFT JOIN staff f ON f.id = s.owner WHERE s.hash = ?",
            hashed,
        )
        if not rows:
            return None
        kind, owner, expires_at, subject, roles, state = rows[0]
        left = (expires_at - self._ledger.clock()) / 1e6
        if left <= 0:
            return None
        if kind == "staff":
            if state != "active":
                return None
            held = roles_today(roles, self.today())
            scopes = frozenset[str]().union(*(ROLE_SCOPES.get(role, frozenset()) for role, _ in held))
            actor = Actor(owner, subject or None, held)
            return Caller("staff", owner, actor, scopes, subject or None, token_hash=hashed), left
        gone = await self._ledger.fetch(
            "SELECT 1 FROM member WHERE subject = ? AND state IN ('erased', 'closed')", owner
        )
        if gone:
            return None
        return Caller(kind, owner, Actor(owner, owner), KIND_SCOPES[kind], owner, token_hash=hashed), left

    async def _key(self, token: str, hashed: bytes) -> tuple[Caller, float] | None:
        _, _, rest = token.partition("_")
        name, _, secret = rest.partition("_")
        rows = await self._ledger.fetch(
            "SELECT k.id, k.hash, k.kind, k.merchant, k.terminal, k.scopes, k.roles, k.state, k.expires_at, t.state "
            "FROM api_key k LEFT JOIN terminal t ON t.terminal = k.terminal WHERE k.id = ?",
            f"key_{name[:64]}",
        )
        stored = bytes(rows[0][1]) if rows else b"\0" * 32
        if not hmac.compare_digest(hashlib.sha256(secret.encode()).digest(), stored) or not rows:
            return None
        id_, _, kind, merchant, terminal, scopes, roles, state, expires_at, till = rows[0]
        left = (expires_at - self._ledger.clock()) / 1e6
        if state != "active" or left <= 0 or till == "closed":
            return None
        allowed = frozenset(orjson.loads(scopes)) & KEY_SCOPES[kind]
        actor = Actor(id_, None, roles_today(roles, self.today()))
        return Caller(kind, id_, actor, allowed, None, merchant or None, terminal or None, hashed), left


# requests --------------------------------------------------------------------------------------------------------

_BEARER = re.compile(rb"(?i:bearer) +([\x21-\x7e]{8,256})")


async def authenticated(request: "Request[Any, Any, Any]") -> None:
    """What every request meets first: who calls, or `unauthenticated`. Turns away what no route can mean, too."""
    scope: Any = request.scope
    if b"%00" in scope["query_string"] or "\0" in scope["path"]:
        raise invalid([{"pointer": "", "code": "bad_character"}])
    token = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            match = _BEARER.fullmatch(value) if token is None else None  # two mean two callers, so nobody
            token = match[1].decode() if match else ""
    caller = await request.app.state.world.gate.caller(token) if token else None
    if caller is None and (token is not None or not request.route_handler.opt.get("public")):
        raise Refusal("unauthenticated")
    scope["caller"] = caller


def calling(scope: Any) -> Caller:
    """The caller of this request; on public routes that want to know, `unauthenticated` where there is none."""
    caller = scope.get("caller")
    if caller is None:
        raise Refusal("unauthenticated")
    return caller

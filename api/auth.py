# SPDX-License-Identifier: Apache-2.0
"""Who is calling, and what that caller's scopes are. Whether an act is right at a place is the domain's to decide.

Every request is authenticated by one hook and admitted by its operation's row (`api/permissions.py`). What a
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

from api.cursors import listing
from api.identity import signed_requests
from api.identity.address import client_address, networks, within
from api.invalid import invalid
from api.server.deadline import extend
from ledger.engine import Ledger
from ledger.errors import Refusal
from rules.ports import Actor

if TYPE_CHECKING:
    from litestar import Request  # not at run time: the command line starts without it

    from api.world import World

Kind = Literal["staff", "merchant", "resident", "body", "client"]

_NOTHING = bytes(32)  # the hash of no secret
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
        "county_admin": "staff:write packs:write merchants:write people:read lists:read lists:write settlements:write "
        "webhooks:write",
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
    "merchant": frozenset({"redemptions:write", "merchants:write", "settlements:write", "webhooks:write"}),
    "client": frozenset({"awards:write", "people:read", "lists:read", "balances:read", "webhooks:write"}),
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
    proved_at: int = 0  # when a member of staff last proved who they are, µs
    narrowed: bool = False  # a session that may do less than its owner
    addresses: tuple[Any, ...] = ()  # networks where from a machine's key may be used; nothing: anywhere
    public_key: str = ""  # what a machine signs its requests with, and whether it must
    must_sign: bool = False
    # What `Rule.admit` made of this caller, by operation.
    admitted: dict[str, Any] = field(default_factory=dict[str, Any], init=False, repr=False, compare=False)

    def require_whole(self) -> None:
        """Raises `forbidden` in a narrowed session: it must not make itself the account, with a password or a second
        factor of its own, and so come by all that it was not given."""
        if self.narrowed:
            raise Refusal("forbidden", scope="")

    def require(self, *scopes: str) -> None:
        """Raises `forbidden` unless the caller has every one of `scopes`."""
        for scope in scopes:
            if scope not in self.scopes:
                raise Refusal("forbidden", scope=scope)

    def serves(self, place: str, covers: Callable[[str, str], bool]) -> bool:
        """Does one of the caller's roles cover this place? Which roles count, the operation's row has said."""
        return any(covers(where, place) for _, where in self.actor.roles)


def token_hash(token: str) -> bytes:
    """What is stored of a token. Tokens are 256 random bits, so a plain hash cannot be searched."""
    return hashlib.sha256(token.encode()).digest()


def roles_held(roles: str, now: datetime) -> tuple[tuple[str, str], ...]:
    """The (role, place) pairs of a stored list that hold at this local time: within their days and their hours."""
    today, minute = now.date().isoformat(), now.strftime("%H:%M")
    return tuple(
        (one["role"], one["place"])
        for one in orjson.loads(roles)
        if one.get("from", "") <= today <= (one.get("to") or "9999-12-31") and _within(one.get("hours"), minute)
    )


def _within(hours: str | None, minute: str) -> bool:
    """`08:00-18:00`, the end excluded; `22:00-06:00` is a night."""
    if not hours:
        return True
    start, _, end = hours.partition("-")
    return start <= minute < end if start < end else minute >= start or minute < end


def scopes_of(roles: Iterable[tuple[str, str]], session: str = "") -> frozenset[str]:
    """What these roles may do, in a session that was narrowed to a JSON list of scopes ("" not at all)."""
    held = frozenset[str]().union(*(ROLE_SCOPES.get(role, frozenset()) for role, _ in roles))
    return held & frozenset(orjson.loads(session)) if session else held


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

    async def fresh(self, token: str) -> Caller | None:
        """The same, asked anew."""
        self._known.pop(token_hash(token), None)
        return await self.caller(token)

    def forget(self) -> None:
        """Something about staff, sessions or keys has changed."""
        self._known.clear()

    def now(self) -> datetime:
        """The local time."""
        return datetime.fromtimestamp(self._ledger.clock() / 1e6, self._zone)

    def today(self) -> str:
        return self.now().date().isoformat()

    async def _session(self, hashed: bytes) -> tuple[Caller, float] | None:
        rows = await self._ledger.fetch(
            "SELECT s.kind, s.owner, s.expires_at, s.proved_at, s.scopes, f.subject, f.roles, f.state, f.must_change "
            "FROM session s LEFT JOIN staff f ON f.id = s.owner WHERE s.hash = ?",
            hashed,
        )
        if not rows:
            return None
        kind, owner, expires_at, proved_at, narrowed, subject, roles, state, must_change = rows[0]
        left = (expires_at - self._ledger.clock()) / 1e6
        if left <= 0:
            return None
        if kind == "staff":
            if state != "active":
                return None
            # Whoever signs in with a password that somebody else knows holds no role until it is changed.
            held, subject = ((), "") if must_change else (roles_held(roles, self.now()), subject)
            who = Actor(owner, subject or None, held), scopes_of(held, narrowed), subject or None
            more = {"token_hash": hashed, "proved_at": proved_at, "narrowed": bool(narrowed)}
            return Caller("staff", owner, *who, **more), left
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
            "SELECT k.hash, k.old_hash, k.old_until, k.id, k.kind, k.merchant, k.terminal, k.scopes, k.roles, k.state, "
            "k.expires_at, k.addresses, k.public_key, k.signed, t.state "
            "FROM api_key k LEFT JOIN terminal t ON t.terminal = k.terminal WHERE k.id = ?",
            f"key_{name[:64]}",
        )
        stored, before, until = rows[0][:3] if rows else (_NOTHING, "", 0)
        given = hashlib.sha256(secret.encode()).digest()
        new = hmac.compare_digest(given, bytes(stored))
        old = hmac.compare_digest(given, bytes.fromhex(before) or _NOTHING)
        if not rows or not (new or old):
            return None
        id_, kind, merchant, terminal, scopes, roles, state, expires_at, *bound, till = rows[0][3:]
        addresses, public_key, signed = bound
        ends = expires_at if new else min(until, expires_at)
        left = (ends - self._ledger.clock()) / 1e6
        if state != "active" or left <= 0 or till == "closed":
            return None
        allowed = frozenset(orjson.loads(scopes)) & KEY_SCOPES[kind]
        actor = Actor(id_, None, roles_held(roles, self.now()))
        caller = Caller(
            kind,
            id_,
            actor,
            allowed,
            merchant=merchant or None,
            terminal=terminal or None,
            token_hash=hashed,
            addresses=networks(orjson.loads(addresses)),
            public_key=public_key,
            must_sign=bool(signed),
        )
        return caller, left


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
    world: World = request.app.state.world
    caller = await world.gate.caller(token) if token else None
    if caller is not None and caller.addresses and not within(client_address(scope), caller.addresses):
        caller = None
    opt = request.route_handler.opt
    rule = opt.get("rule")
    cost = 1 if rule is None else rule.cost
    await world.rates.charge(scope, caller, cost)
    extend(scope, cost, endless="endless" in opt)
    listing(scope)
    if caller is None and token is not None:
        world.ledger.sequencer.guard.now()  # whose session only a leap of the clock has ended is told of the clock
        raise Refusal("unauthenticated")
    if caller is not None and (caller.public_key or caller.must_sign):
        caller = await signed_requests.check(request, caller, token or "")
    if rule is not None:
        try:
            scope["caller"] = rule.admit(caller, world.clock())
        except Refusal as refusal:
            if refusal.code != "step_up_required" or token is None:
                raise
            # Proven a moment ago, perhaps, in another process of the server.
            scope["caller"] = rule.admit(await world.gate.fresh(token), world.clock())
    elif caller is None and not opt.get("public"):
        raise Refusal("unauthenticated")
    else:  # a page
        scope["caller"] = caller


def calling(scope: Any) -> Caller:
    """The caller of this request; on public routes that want to know, `unauthenticated` where there is none."""
    caller = scope.get("caller")
    if caller is None:
        raise Refusal("unauthenticated")
    return caller

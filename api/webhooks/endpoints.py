# SPDX-License-Identifier: Apache-2.0
"""Endpoints as their owners keep them: made, changed, given new secrets, set back.

An endpoint answers for nobody: whoever made it (or switched it on last) is its owner, and it is told of what the owner
may have today. Without its owner's right it is told nothing more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from api.auth import Caller
from api.tables import WEBHOOK, WEBHOOK_CURSOR
from api.webhooks import events, signing
from api.webhooks.addresses import Resolver, parse
from ledger import keys
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.port import Answer, PutRows, Retry
from ledger.tables import FromRow, Key, Table
from ledger.view import View

ENDPOINTS_MAX = 10  # of one owner, and of one merchant
ROTATION_US = 24 * 3_600_000_000
ACTIVE, PAUSED, DISABLED = "active", "paused", "disabled"
KEEPERS = frozenset({"county_admin"})
SCOPE = "webhooks:write"
STAFF = "stf_"
_COLUMNS = ", ".join(WEBHOOK.names)


@dataclass(frozen=True, slots=True)
class Endpoint(FromRow):
    """A row of `webhook`. `merchant` is told of its own entries everywhere; else `place` says where. `url` is sealed,
    `events` JSON; `former` is the salt of the secrets before, which sign too until `former_until`."""

    id: str
    owner: str
    merchant: str
    place: str
    url: bytes
    events: str
    state: str
    reason: str
    salt: bytes
    former: bytes
    former_until: int
    version: int
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A command about a few rows, without a journal or a retry key."""

    retry: Retry | None = None
    journals: tuple[str, ...] = ()
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Change(Rows):
    """Change columns of an endpoint if it is still as it was seen; `cursors` are set with it."""

    id: str
    version: int | None
    values: Mapping[str, Any]
    cursors: tuple[tuple[Any, ...], ...] = ()

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield WEBHOOK, (self.id,)
        yield from ((WEBHOOK_CURSOR, row[:2]) for row in self.cursors)

    def decide(self, view: View) -> Answer:
        row = view.get(WEBHOOK, self.id)
        if row is None:
            raise Refusal("not_found", what="webhook", id=self.id)
        was = Endpoint.of(row)
        if self.version is not None and self.version != was.version:
            raise Refusal("precondition_failed", etag=f'"{was.version}"')
        values: dict[str, Any] = dict(self.values)
        if "salt" in values:
            values["former"] = was.salt
        now = was.but(**values, version=was.version + 1)
        view.put(WEBHOOK, now.row())
        for cursor in self.cursors:
            view.put(WEBHOOK_CURSOR, cursor)
        return Answer(200, self.id, now)


class Webhooks:
    """`covers` tells whether a place contains another, `today` the day by which roles are held; `secret` is the
    deployment's. With `private`, addresses within the network are allowed (a setting of the operator's)."""

    def __init__(
        self,
        ledger: Ledger,
        secret: bytes,
        covers: Callable[[str, str], bool],
        today: Callable[[], str],
        *,
        private: bool = False,
    ) -> None:
        self.ledger = ledger
        self.covers = covers
        self.private = private
        self.resolver = Resolver()
        self._making = asyncio.Lock()
        self._today = today
        self._secret = secret
        self._sealing = keys.derive(secret, "jifen/webhook/1/address")

    def close(self) -> None:
        self.resolver.close()

    # what belongs to whom --------------------------------------------------------------------------------------

    def sees(self, caller: Caller, endpoint: Endpoint) -> bool:
        """A shop sees its own, a client the key's own, staff those at places that they administer."""
        if caller.kind == "merchant":
            return endpoint.merchant != "" and endpoint.merchant == caller.merchant
        if caller.kind == "client":
            return endpoint.owner == caller.id
        return caller.kind == "staff" and caller.actor.may(KEEPERS, endpoint.place, self.covers)

    async def allowed(self, owner: str, merchant: str, place: str) -> frozenset[str]:
        """The kinds of entries that this account or key may be told of today, at this place or as this merchant."""
        if owner.startswith(STAFF):
            rows = await self.ledger.fetch("SELECT roles FROM staff WHERE id = ? AND state = 'active'", owner)
            held = _held(rows[0][0], self._today()) if rows and not merchant else ()
            here = any(role in KEEPERS and self.covers(where, place) for role, where in held)
            return events.ALL if here else frozenset()
        rows = await self.ledger.fetch(
            "SELECT k.merchant, k.scopes, k.roles FROM api_key k LEFT JOIN terminal t ON t.terminal = k.terminal "
            "WHERE k.id = ? AND k.state = 'active' AND k.expires_at > ? AND COALESCE(t.state, '') <> 'closed'",
            owner,
            self.ledger.clock(),
        )
        if not rows or rows[0][0] != merchant or SCOPE not in orjson.loads(rows[0][1]):
            return frozenset()
        if merchant:
            return events.MERCHANT_KINDS
        here = any(self.covers(where, place) for _, where in _held(rows[0][2], self._today()))
        return events.kinds_of(orjson.loads(rows[0][1])) if here else frozenset()

    async def journals_of(self, endpoint: Endpoint) -> dict[str, int]:
        """The journals that an endpoint is told of, with their sizes."""
        rows = await self.ledger.fetch("SELECT journal, size FROM head")
        return {journal: size for journal, size in rows if self.concerns(endpoint, journal)}

    def concerns(self, endpoint: Endpoint, journal: str) -> bool:
        return endpoint.merchant != "" or self.covers(endpoint.place, journal)

    def url(self, endpoint: Endpoint) -> str:
        return keys.unseal(self._sealing, endpoint.url, endpoint.id.encode()).decode()

    def secrets(self, endpoint: Endpoint) -> list[signing.Secrets]:
        """Those that sign now, the one in force first."""
        salts = [endpoint.salt]
        if endpoint.former and self.ledger.clock() < endpoint.former_until:
            salts.append(endpoint.former)
        return [signing.secrets_of(self._secret, endpoint.id, salt) for salt in salts]

    # keeping them ----------------------------------------------------------------------------------------------

    async def get(self, caller: Caller, id_: str) -> Endpoint:
        """Raises `not_found`, for those that the caller may not see as for those that are not there."""
        rows = await self.ledger.fetch(f"SELECT {_COLUMNS} FROM webhook WHERE id = ?", id_)
        if not rows or not self.sees(caller, found := _read(rows[0])):
            raise Refusal("not_found", what="webhook", id=id_)
        return found

    async def mine(self, caller: Caller, id_: str) -> Endpoint:
        """The same, but secrets of a machine's endpoint, and what it is sent, are nobody else's: staff who switched it
        on would answer for it, and it would be told of all that they may know."""
        found = await self.get(caller, id_)
        if caller.kind == "staff" and not found.owner.startswith(STAFF):
            raise Refusal("forbidden", scope=SCOPE)
        return found

    async def listed(self, caller: Caller, after: str, limit: int) -> list[Endpoint]:
        """Those that the caller sees with ids above `after`, up to `limit`."""
        found: list[Endpoint] = []
        where, value = {"merchant": ("merchant", caller.merchant), "client": ("owner", caller.id)}.get(
            caller.kind, ("''", "")
        )
        sql = f"SELECT {_COLUMNS} FROM webhook WHERE {where} = ? AND id > ? ORDER BY id LIMIT ?"
        while len(found) < limit:
            rows = [_read(row) for row in await self.ledger.fetch(sql, value, after, limit)]
            found += [one for one in rows if self.sees(caller, one)]
            if len(rows) < limit:
                break
            after = rows[-1].id
        return found[:limit]

    async def active(self) -> list[Endpoint]:
        """All that are to be told."""
        return [_read(row) for row in await self.ledger.fetch(f"SELECT {_COLUMNS} FROM webhook WHERE state = 'active'")]

    async def create(self, caller: Caller, url: str, wanted: Sequence[str], merchant: str, place: str) -> Endpoint:
        """From now on: what was committed before is not told (`replay` does that). Raises `forbidden`,
        `webhook_url_refused`, `webhook_events_refused`, `webhooks_too_many`."""
        self._check_url(url)
        await self._check_events(caller.id, merchant, place, wanted)
        async with self._making:  # or many at once would all find room
            return await self._create(caller, url, wanted, merchant, place)

    async def _create(self, caller: Caller, url: str, wanted: Sequence[str], merchant: str, place: str) -> Endpoint:
        column, value = ("merchant", merchant) if merchant else ("owner", caller.id)
        count = await self.ledger.fetch(f"SELECT COUNT(*) FROM webhook WHERE {column} = ?", value)
        if count[0][0] >= ENDPOINTS_MAX:
            raise Refusal("webhooks_too_many", limit=ENDPOINTS_MAX)
        id_ = self.ledger.secret_id("whk")
        sealed = keys.seal(self._sealing, url.encode(), id_.encode())
        salt, now = self.ledger.random(16), self.ledger.clock()
        made = Endpoint(id_, caller.id, merchant, place, sealed, _text(wanted), ACTIVE, "", salt, b"", 0, 1, now)
        sizes = await self.journals_of(made)
        cursors = [(WEBHOOK_CURSOR, (id_, journal, size, 0, 0, 0)) for journal, size in sorted(sizes.items())]
        await self.ledger.submit(PutRows(inserts=((WEBHOOK, made.row()), *cursors)))
        return made

    async def change(
        self,
        caller: Caller,
        endpoint: Endpoint,
        version: int | None,
        *,
        url: str | None = None,
        wanted: Sequence[str] | None = None,
        state: str | None = None,
    ) -> Endpoint:
        """What is None stays. Switched on, it is the caller's from now on, and what waits is tried again at once."""
        values: dict[str, Any] = {}
        cursors: list[tuple[Any, ...]] = []
        owner = caller.id if state == ACTIVE else endpoint.owner
        if url is not None:
            self._check_url(url)
            values["url"] = keys.seal(self._sealing, url.encode(), endpoint.id.encode())
        if wanted is not None or state == ACTIVE:
            asked = orjson.loads(endpoint.events) if wanted is None else wanted
            await self._check_events(owner, endpoint.merchant, endpoint.place, asked)
            values["events"] = _text(asked)
        if state is not None:
            values |= {"state": state, "reason": "", "owner": owner}
        if state == ACTIVE:
            rows = await self.ledger.fetch(
                "SELECT webhook, journal, seq FROM webhook_cursor WHERE webhook = ? AND tries > 0", endpoint.id
            )
            cursors = [(*row, 0, 0, 0) for row in rows]
        return (await self.ledger.submit(Change(endpoint.id, version, values, tuple(cursors)))).value

    async def rotate(self, endpoint: Endpoint) -> Endpoint:
        """New secrets; those before sign beside them for a day."""
        until = self.ledger.clock() + ROTATION_US
        values = {"salt": self.ledger.random(16), "former_until": until}
        return (await self.ledger.submit(Change(endpoint.id, None, values))).value

    async def replay(self, endpoint: Endpoint, journal: str, seq: int) -> Endpoint:
        """Go on from this entry of this journal, back or forth. Raises `not_found`."""
        size = (await self.journals_of(endpoint)).get(journal)
        if size is None or seq > size:
            raise Refusal("not_found", what="entry", id=f"{journal}/{seq}")
        cursor = (endpoint.id, journal, seq, 0, 0, 0)
        return (await self.ledger.submit(Change(endpoint.id, None, {}, (cursor,)))).value

    async def remove(self, endpoint: Endpoint, version: int | None) -> None:
        if version is not None and version != endpoint.version:
            raise Refusal("precondition_failed", etag=f'"{endpoint.version}"')
        rows = await self.ledger.fetch("SELECT webhook, journal FROM webhook_cursor WHERE webhook = ?", endpoint.id)
        removes: list[tuple[Table, Key]] = [(WEBHOOK_CURSOR, tuple(row)) for row in rows]
        await self.ledger.submit(PutRows(removes=((WEBHOOK, (endpoint.id,)), *removes)))

    def _check_url(self, url: str) -> None:
        try:
            parse(url, private=self.private)
        except ValueError as error:
            raise Refusal("webhook_url_refused") from error

    async def _check_events(self, owner: str, merchant: str, place: str, wanted: Sequence[str]) -> None:
        allowed = await self.allowed(owner, merchant, place)
        if not allowed:
            raise Refusal("forbidden", scope=SCOPE, place=place)
        names = events.names(allowed)
        if not set(wanted) <= set(names):
            raise Refusal("webhook_events_refused", allowed=names)


def _read(row: Sequence[Any]) -> Endpoint:
    """A row as it is fetched: bytes are memory views on one of the databases."""
    return Endpoint.of(tuple(bytes(one) if isinstance(one, memoryview) else one for one in row))


def _held(roles: str, today: str) -> list[tuple[str, str]]:
    """The (role, place) pairs that hold on this day. Their hours are a person's: machines are told at night too."""
    return [
        (one["role"], one["place"])
        for one in orjson.loads(roles)
        if one.get("from", "") <= today <= (one.get("to") or "9999-12-31")
    ]


def _text(wanted: Iterable[str]) -> str:
    return orjson.dumps(sorted(set(wanted))).decode()

# SPDX-License-Identifier: Apache-2.0
"""What the commit writes about staff accounts and keys, each command about a row or two without a journal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from api.tables import API_KEY, STAFF, STAFF_LINK, STAFF_NAME
from ledger.errors import Refusal
from ledger.port import Answer, Retry
from ledger.tables import Key, Row, Table
from ledger.view import View

SHOWN = ("id", "username", "subject", "roles", "state", "version", "created_at", "totp", "oidc", "must_change")


def staff_record(row: Sequence[Any]) -> dict[str, Any]:
    """The columns `SHOWN` → what a reader sees: never a password, a secret or whose account it is elsewhere."""
    return {
        "id": row[0],
        "username": row[1],
        "subject": row[2] or None,
        "roles": orjson.loads(row[3]),
        "state": row[4],
        "etag": f'"{row[5]}"',
        "created_at": row[6],
        "totp": bool(row[7]),
        "oidc": bool(row[8]),
        "must_change_password": bool(row[9]),
    }


def roles_text(roles: Iterable[Mapping[str, str | None]]) -> str:
    kept = [{key: value for key, value in one.items() if value} for one in roles]
    return orjson.dumps(kept).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Command:
    retry: Retry | None = None
    journals: tuple[str, ...] = ()
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Hire(_Command):
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
class Change(_Command):
    """Change columns of a staff account if it is still as the caller saw it. A new `oidc` must be nobody else's."""

    id: str
    version: int | None
    values: Mapping[str, Any]

    def reads(self) -> Iterable[tuple[Table, Key]]:
        yield STAFF, (self.id,)
        if self.values.get("oidc"):
            yield STAFF_LINK, (self.values["oidc"],)

    def decide(self, view: View) -> Answer:
        row = view.get(STAFF, self.id)
        if row is None:
            raise Refusal("not_found", what="staff", id=self.id)
        values = dict(zip(STAFF.names, row, strict=True))
        if self.version is not None and self.version != values["version"]:
            raise Refusal("precondition_failed", etag=f'"{values["version"]}"')
        if "oidc" in self.values:
            self._link(view, values["oidc"], self.values["oidc"])
        values |= {**self.values, "version": values["version"] + 1}
        view.put(STAFF, tuple(values[name] for name in STAFF.names))
        return Answer(200, self.id, values["version"])

    def _link(self, view: View, before: str, after: str) -> None:
        if before == after:
            return
        if after:
            if view.get(STAFF_LINK, after) is not None:
                raise Refusal("already_registered", subject="")
            view.put(STAFF_LINK, (after, self.id))
        if before:
            view.get(STAFF_LINK, before)
            view.remove(STAFF_LINK, before)


@dataclass(frozen=True, slots=True)
class ChangeKey(_Command):
    """Change columns of a key that is in use. With `old_until` the secret until now stays good for so long. `first`:
    only while no public key is registered; it says what a signature would have to cover."""

    id: str
    values: Mapping[str, Any]
    first: str = ""

    def reads(self) -> Iterable[tuple[Table, Key]]:
        return ((API_KEY, (self.id,)),)

    def decide(self, view: View) -> Answer:
        row = view.get(API_KEY, self.id)
        if row is None:
            raise Refusal("not_found", what="key", id=self.id)
        values = dict(zip(API_KEY.names, row, strict=True))
        if "old_until" in self.values:
            if values["state"] != "active" or values["expires_at"] <= view.now_us:
                raise Refusal("key_over")
            values["old_hash"] = bytes(values["hash"]).hex()
        if self.first and values["public_key"]:
            raise Refusal("signature_required", cover=self.first)
        values |= self.values
        view.put(API_KEY, tuple(values[name] for name in API_KEY.names))
        return Answer(200, self.id)

# SPDX-License-Identifier: Apache-2.0
"""Who may call what: the rows of `permissions.toml`, and what they say of a caller.

A row lets a caller in and leaves them only the roles that it names. So whatever is asked further on (does one of their
roles cover this place?) is asked of the roles that count for this operation, and a role held elsewhere lends nothing.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ledger.errors import Refusal

if TYPE_CHECKING:
    from api.auth import Caller

ANY_ACCOUNT = "*"
STEP_UP_US = 15 * 60 * 1_000_000
PLACES = ("", "deed", "home", "shop", "list", "office")
MACHINES = frozenset({"client", "merchant"})
OWNERS = frozenset({"resident", "body"})


@dataclass(frozen=True, slots=True)
class Rule:
    """One operation's row; an empty set lets nobody in by that way."""

    operation: str
    public: bool = False
    staff: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    place: str = ""
    step_up: bool = False
    cost: int = 1

    def admit(self, caller: Caller | None, now_us: int) -> Caller | None:
        """The caller with the roles that count here; None for anybody at all.

        Raises `unauthenticated`, `forbidden`, `step_up_required`.
        """
        if caller is None:
            if not self.public:
                raise Refusal("unauthenticated")
            return None
        narrowed = caller.admitted.get(self.operation)
        if narrowed is None:  # the caller is remembered from request to request, and so is what was said of them
            narrowed = caller.admitted[self.operation] = self._judged(caller)
        if self.step_up and caller.kind == "staff" and not 0 <= now_us - caller.proved_at <= STEP_UP_US:
            raise Refusal("step_up_required")
        return narrowed

    def _judged(self, caller: Caller) -> Caller:
        if caller.kind in OWNERS:
            admitted = caller.kind in self.own
        elif caller.kind == "staff":
            admitted = bool(self.staff) and self._carried(caller)
        else:
            admitted = caller.kind in self.keys and self._carried(caller)
        narrowed = self._narrowed(caller, admitted)
        if caller.kind == "staff" and self.staff and ANY_ACCOUNT not in self.staff and not narrowed.actor.roles:
            admitted = False
        if not (admitted or self.public):
            raise Refusal("forbidden", scope=" ".join(sorted(self.scopes)))
        return narrowed

    def _carried(self, caller: Caller) -> bool:
        return not self.scopes or not self.scopes.isdisjoint(caller.scopes)

    def _narrowed(self, caller: Caller, admitted: bool) -> Caller:
        if ANY_ACCOUNT in self.staff and admitted:
            return caller
        roles = tuple(one for one in caller.actor.roles if one[0] in self.staff) if admitted else ()
        if roles == caller.actor.roles:
            return caller
        return replace(caller, actor=replace(caller.actor, roles=roles))


def read(text: str, scopes_of: Mapping[str, frozenset[str]], section: str = "operations") -> dict[str, Rule]:
    """The rows in the text of a table: those of the interface, or of `commands`.

    Raises `ValueError` for one that cannot be meant: an unknown role, kind or place, or a role that could never carry
    the scope that its row asks for."""
    table: dict[str, Any] = tomllib.loads(text)
    sets = {name: frozenset(words.split()) for name, words in table["sets"].items()}
    rules: dict[str, Rule] = {}
    for operation, row in table[section].items():
        staff = frozenset[str]().union(*(sets.get(word, {word}) for word in row.pop("staff", "").split()))
        keys, own, scopes = (frozenset(row.pop(name, "").split()) for name in ("keys", "own", "scope"))
        rule = Rule(operation, staff=staff, keys=keys, own=own, scopes=scopes, **row)
        _check(rule, scopes_of)
        rules[operation] = rule
    return rules


def _check(rule: Rule, scopes_of: Mapping[str, frozenset[str]]) -> None:
    roles = rule.staff - {ANY_ACCOUNT}
    known = ((roles, scopes_of), (rule.keys, MACHINES), (rule.own, OWNERS), ((rule.place,), PLACES))
    for given, allowed in known:
        if unknown := set(given) - set(allowed):
            raise ValueError(f"{rule.operation}: unknown {', '.join(sorted(unknown))}")
    if idle := [role for role in roles if rule.scopes and rule.scopes.isdisjoint(scopes_of[role])]:
        raise ValueError(f"{rule.operation}: no scope for {', '.join(sorted(idle))}")
    if not (rule.public or rule.staff or rule.keys or rule.own):
        raise ValueError(f"{rule.operation}: nobody may")
    if rule.cost < 0:
        raise ValueError(f"{rule.operation}: cost {rule.cost}")


def rules() -> Mapping[str, Rule]:
    """Every operation's row, by its operationId."""
    return _section("operations")


def commands() -> Mapping[str, Rule]:
    """The rows of what only the command line does."""
    return _section("commands")


@cache
def _section(name: str) -> Mapping[str, Rule]:
    from api.auth import ROLE_SCOPES

    text = (Path(__file__).parent / "permissions.toml").read_text(encoding="utf-8")
    return MappingProxyType(read(text, ROLE_SCOPES, name))


def bind(handlers: Iterable[Any]) -> None:
    """Give every documented operation its row. Raises `ValueError` where a handler has none, or a row no handler."""
    left = dict(rules())
    for handler in handlers:
        rule = rules().get(handler.operation_id)
        if rule is None:
            raise ValueError(f"{handler.operation_id}: no row in permissions.toml")
        left.pop(handler.operation_id, None)
        handler.opt["rule"] = rule
    if left:
        raise ValueError(f"permissions.toml: nothing is called {', '.join(sorted(left))}")

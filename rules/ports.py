# SPDX-License-Identifier: Apache-2.0
"""What this room asks of the room above it, and who is acting: the only things rules know of people."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ledger.errors import Refusal

AWARDING = frozenset({"grid_worker", "community_staff", "street_staff"})
APPROVING = frozenset({"approver", "street_staff", "council"})
PROPOSING_PACKS = frozenset({"county_admin", "street_staff", "council"})
ADOPTING_PACKS = frozenset({"council", "approver"})
READING = AWARDING | APPROVING | frozenset({"county_admin", "auditor"})


class Vault(Protocol):
    """Keeper of the subjects' data keys. Raises `Refusal subject_erased` for a key that was destroyed."""

    async def data_key(self, subject: str) -> bytes: ...
    async def data_keys(self, subjects: Collection[str]) -> dict[str, bytes]: ...


async def living_keys(vault: Vault, subjects: Collection[str]) -> Mapping[str, bytes]:
    """Data keys of those who still have one: an erasure under way must not refuse everybody else."""
    try:
        return await vault.data_keys(subjects)
    except Refusal as refusal:
        if refusal.code != "subject_erased":
            raise
    keys: dict[str, bytes] = {}
    for subject in subjects:
        try:
            keys[subject] = await vault.data_key(subject)
        except Refusal as refusal:
            if refusal.code != "subject_erased":
                raise
    return keys


class Room(NamedTuple):
    """What somebody wants given out in a month at `place` and below it, and what was `given` up to a moment ago; points
    in hundredths."""

    place: str
    limit: int
    given: int


Rooms = Mapping[str, Sequence[Room]]
"""By the place of a deed. Places that nothing holds back are left out."""


class Brake(Protocol):
    """Whoever pays for what points buy says how many may be given out before a second person is asked."""

    async def rooms(self, places: Collection[str]) -> Rooms: ...


class NoBrake:
    """Where nobody has said anything."""

    async def rooms(self, places: Collection[str]) -> Rooms:
        return {}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. `id` goes into entries and is random; `subject` is the person's own account, if they have one;
    `roles` are (role, place) pairs that hold today, a place covering everything below it."""

    id: str
    subject: str | None = None
    roles: tuple[tuple[str, str], ...] = ()

    def may(self, roles: Collection[str], place: str, covers: Callable[[str, str], bool]) -> bool:
        """Does the actor hold one of `roles` at `place` or above it?"""
        return any(role in roles and covers(where, place) for role, where in self.roles)


SYSTEM = Actor("system")

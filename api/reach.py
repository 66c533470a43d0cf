# SPDX-License-Identifier: Apache-2.0
"""Whom a caller's roles reach. Somebody out of reach is out of reach, whether there is such an account or not: an
answer never tells an id of another community from one that nobody has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ledger.errors import Refusal
from rules.register import Subject

if TYPE_CHECKING:
    from api.auth import Caller
    from api.world import World


async def reached(world: World, caller: Caller, subject: str, *, erased: bool = False) -> Subject:
    """A registered subject, where one of the caller's roles covers the home; with `erased` one that was erased, too.

    Raises `forbidden`; to whoever looks after every place there is, `subject_unknown`; `subject_erased`.
    """
    known = (await world.register.subjects([subject])).get(subject)
    homes = [known.grid or known.home] if known is not None else [top.code for top in world.register.children(None)]
    if not all(caller.serves(home, world.covers) for home in homes):
        raise Refusal("forbidden")
    if known is None:
        raise Refusal("subject_unknown", subject=subject)
    if not erased:
        world.people.check_not_erased(subject)
        if known.state == "erased":
            raise Refusal("subject_erased", subject=subject)
    return known


async def in_sight(
    world: World, caller: Caller, what: str, id_: str, *, owners: Sequence[str] = ("subject",), places: Sequence[str]
) -> None:
    """Raises `not_found` unless the award, objection or report is the caller's own by one of the columns `owners`, or
    one of the caller's roles covers one of the columns `places`. Nothing of it is opened before, so that one out of
    sight takes as long as one that is not there."""
    rows = await world.ledger.fetch(f"SELECT {', '.join((*owners, *places))} FROM {what} WHERE id = ?", id_)
    if rows:
        own = {caller.subject, caller.id} & set(rows[0][: len(owners)])
        if own or any(caller.serves(place, world.covers) for place in rows[0][len(owners) :] if place):
            return
    raise Refusal("not_found", what=what, id=id_[:60])

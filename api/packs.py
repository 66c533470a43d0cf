# SPDX-License-Identifier: Apache-2.0
"""Rule packs as they are shown: which one is in force, which one is coming and in how many days, what it changes."""

from __future__ import annotations

from datetime import date
from typing import Any

from api.world import World
from ledger.errors import Refusal
from ledger.view import local_day, rfc3339
from rules.engine.list_wording import list_statement
from rules.engine.lists import ListRule
from rules.engine.model import Pack
from rules.engine.wording import LANGS
from rules.publishing.publishing import Proposal

SHORT_MIN = 8  # of a hash: enough to mean one pack


async def listing(world: World) -> list[dict[str, Any]]:
    """Every pack of this deployment, oldest first. Notices what other processes have published."""
    await world.packs.refresh()
    published = await world.publishing.published()
    today = date.fromisoformat(local_day(world.ledger.clock(), world.packs.zone))
    return [_told(world, pack, published.get(pack.hash), today) for pack in world.packs.packs]


async def one(world: World, hash_: str) -> dict[str, Any]:
    """One pack with its files as text. Raises `not_found`."""
    found = next((item for item in await listing(world) if item["hash"] == hash_), None)
    if found is None:
        raise Refusal("not_found", what="pack", id=hash_[:64])
    pack = next(pack for pack in world.packs.packs if pack.hash == hash_)
    files = await world.packs.files(pack)
    return {**found, "files": {name: data.decode() for name, data in files.items()}}


def proposed(world: World, made: Proposal) -> dict[str, Any]:
    """A proposal as whoever decides about it sees it: what it changes, and what each stage of the gate found."""
    return {
        "id": made.id,
        "approval": made.approval,
        "pack": made.pack.id,
        "version": made.version,
        "hash": made.hash,
        "effective_from": made.effective_from,
        "proposer": made.proposer,
        "stages": made.report,
        "changes": [change.data() for change in world.publishing.changes(made.pack)],
    }


def _told(world: World, pack: Pack, published_at: int | None, today: date) -> dict[str, Any]:
    now = world.packs.pack(today)
    state = "in_force" if pack is now else "coming" if pack.effective_from > today else "past"
    return {
        "id": pack.id,
        "version": pack.version,
        "hash": pack.hash,
        "name": pack.name.model_dump(),
        "zone": pack.zone,
        "effective_from": pack.effective_from.isoformat(),
        "state": state,
        "days_left": max(0, (pack.effective_from - today).days),
        "published_at": None if published_at is None else rfc3339(published_at),
        "base_standing": pack.base_standing,
        "adoption": pack.adoption.model_dump(mode="json"),
        "approval": pack.approval.model_dump(mode="json"),
        "bands": [band.model_dump(mode="json") for band in pack.bands],
        "indicators": len(pack.indicators),
        "lists": [_list(pack, rule) for rule in pack.lists.values()],
        "changes": [change.data() for change in world.publishing.changes(pack)],
    }


def _list(pack: Pack, rule: ListRule) -> dict[str, Any]:
    """A list of the pack by its head, and as a notice says it."""
    head = rule.model_dump(mode="json", include={"code", "kind", "name", "about", "period"})
    return {**head, "says": {lang: list_statement(pack, rule, lang) for lang in LANGS}}

# SPDX-License-Identifier: Apache-2.0
"""Packs change only forward (GR-20): a new one is a higher version of the same line, takes effect after all that are
published, and is on the notice board for a week before it does. Days that are past keep the pack they had."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from ledger.errors import Refusal
from rules.engine.model import Pack

NOTICE_DAYS = 7


@dataclass(frozen=True, slots=True)
class Published:
    """What is to be compared of a pack that is published already."""

    version: str
    effective_from: str


@dataclass(frozen=True, slots=True)
class Line:
    """What does not change from pack to pack: the id of all, the zone of their days, the pack they began with."""

    id: str
    zone: str
    first: Published


def check_forward(line: Line, published: Iterable[Published], pack: Pack, today: date, *, noticed: bool) -> None:
    """May `pack` be adopted `today`? `noticed`: the week's notice is due; a take-over is spared it.

    Raises `pack_other_line`, `pack_version_not_higher`, `pack_not_forward`, `pack_notice_too_short`, in this order.
    """
    if (pack.id, pack.zone) != (line.id, line.zone):
        raise Refusal("pack_other_line", id=pack.id, zone=pack.zone, own_id=line.id, own_zone=line.zone)
    for one in sorted({line.first, *published}, key=lambda one: one.effective_from, reverse=True):
        if numbers(pack.version) <= numbers(one.version):
            raise Refusal("pack_version_not_higher", version=pack.version, published=one.version)
        if pack.effective_from.isoformat() <= one.effective_from:
            raise Refusal(
                "pack_not_forward",
                effective_from=pack.effective_from.isoformat(),
                published_version=one.version,
                published=one.effective_from,
            )
    earliest = today + timedelta(days=NOTICE_DAYS)
    if noticed and pack.effective_from < earliest:
        raise Refusal(
            "pack_notice_too_short",
            effective_from=pack.effective_from.isoformat(),
            earliest=earliest.isoformat(),
            days=NOTICE_DAYS,
        )


def numbers(version: str) -> tuple[int, ...]:
    """A version as it is compared: 1.10.0 comes after 1.9.3."""
    return tuple(int(part) for part in version.split("."))

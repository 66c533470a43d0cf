# SPDX-License-Identifier: Apache-2.0
"""How large the county is: the figures of the public record, and what they are for a number of people.

The record counts volunteers, heads, teams and redemptions, but not the people registered; we take 20,000 for the whole.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

WHOLE = 20_000
PEOPLE = 2_000  # a tenth
SMALL = 200  # below: a desk open once a month, one worker for all, no red station in every community

PARTY_SHARE = 0.19
PEAK_AWARDS = 4_572  # volunteers scored in one month
REDEMPTIONS = 4_790  # person-times in most of a year


@dataclass(frozen=True, slots=True)
class Scale:
    """What there is of each kind; a small town keeps at least one of what it cannot do without."""

    people: int
    share: float
    party_members: int
    community_workers: int
    building_heads: int
    unit_heads: int
    teams: int
    shops: int
    property_bodies: int
    units: int
    peak_awards: int
    redemptions: int

    @classmethod
    def of(cls, people: int) -> Scale:
        share = people / WHOLE

        def part(whole: float, least: int = 1) -> int:
            return min(people, max(least, round(whole * share)))

        return cls(
            people=people,
            share=round(share, 6),
            party_members=max(1, round(people * PARTY_SHARE)),
            community_workers=part(300),
            building_heads=part(1_967),
            unit_heads=part(3_925),
            teams=part(206),
            shops=part(400, 2),
            property_bodies=part(42, 2),
            units=part(102),
            peak_awards=part(PEAK_AWARDS),
            redemptions=part(REDEMPTIONS, 4),
        )

    @property
    def said(self) -> dict[str, int | float]:
        return asdict(self)

# SPDX-License-Identifier: Apache-2.0
"""Published lists and the money they bring, as entries: what the book writes, and what the check finds where somebody
wrote otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ledger.audit import audit
from ledger.engine import Ledger
from ledger.model import Draft, Link, Posting, Sealed
from ledger.view import View
from tests import ledgers
from tests.ledgers import edition, fund, opened

pytestmark = pytest.mark.schema("ledger")

DIGEST = "ab" * 32
LISTED = {"digest": DIGEST, "id": "edn_3", "list": "grids", "period": "2022Q1", "version": 1}
GRANT = {"budget": "bud_1", "edition": "edn_1", "fen": 100_000, "place": "p2"}


async def test_a_list_and_its_money_are_entries_that_move_nothing(database_url: str) -> None:
    """What was published under which digest, and what a place got for it; nobody is named, no balance changes."""
    async with opened(database_url) as ledger:
        await ledgers.open_journal(ledger, "east")
        made = await edition(ledger, "east", "edn_3", digest=DIGEST)
        await edition(ledger, "east", "edn_4", list="notice", period="2022-03")
        await edition(ledger, "east", "edn_5", list="models", period="2022", version=2)
        granted = await fund(ledger, made, "edn_3", "p2")
        listed = (await ledger.entry("east", made.seq)).fields
        assert ("edition", [], [], LISTED) == tuple(listed[name] for name in ("kind", "postings", "links", "data"))
        money = (await ledger.entry("east", granted.seq)).fields
        assert ("fund", [], {**GRANT, "edition": "edn_3"}) == tuple(money[n] for n in ("kind", "postings", "data"))
        assert [{"rel": "grants", "seq": made.seq, "leaf": made.leaf.hex()}] == money["links"]
        assert "subject" not in listed and made.subject is None and granted.subject is None
        assert [] == await ledger.fetch("SELECT account FROM balance")
        await fund(ledger, made.link("published"), "edn_3", "p3")  # as a link that was kept


async def test_the_same_list_stands_in_several_journals(database_url: str) -> None:
    """A list over two communities is published in both, under one id and digest."""
    async with opened(database_url) as ledger:
        for journal in ("east", "west"):
            await ledgers.open_journal(ledger, journal)
            await edition(ledger, journal, "edn_3")


# what no book of ours writes ---------------------------------------------------------------------------------------

# Kind, what it links (an edition of this journal, money, an edition elsewhere), `data`, a word of the finding.
WRITTEN: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "published twice": ("edition", "", LISTED | {"id": "edn_1"}, "a second edition"),
    "under no digest": ("edition", "", LISTED | {"digest": DIGEST[:62]}, "fields of its kind"),
    "of no list": ("edition", "", LISTED | {"list": ""}, "fields of its kind"),
    "of no id": ("edition", "", LISTED | {"id": ""}, "fields of its kind"),
    "of a fifth quarter": ("edition", "", LISTED | {"period": "2022Q5"}, "fields of its kind"),
    "of a thirteenth month": ("edition", "", LISTED | {"period": "2022-13"}, "fields of its kind"),
    "of a day": ("edition", "", LISTED | {"period": "2022-03-01"}, "fields of its kind"),
    "of no version": ("edition", "", LISTED | {"version": 0}, "fields of its kind"),
    "with a word more": ("edition", "", LISTED | {"place": "p1"}, "fields of its kind"),
    "linked": ("edition", "edition", LISTED, "other links"),
    "granted twice": ("fund", "edition", GRANT | {"place": "p1"}, "a second fund"),
    "granted by another": ("fund", "edition", GRANT | {"edition": "edn_2"}, "no edition of this id"),
    "granted by money": ("fund", "fund", GRANT, "no edition of this id"),
    "granted by nothing": ("fund", "", GRANT, "other links"),
    "granted elsewhere": ("fund", "elsewhere", GRANT | {"edition": "edn_2"}, "another journal"),
    "granted nothing": ("fund", "edition", GRANT | {"fen": 0}, "fields of its kind"),
    "granted nobody": ("fund", "edition", GRANT | {"place": ""}, "fields of its kind"),
    "granted from nothing": ("fund", "edition", GRANT | {"budget": ""}, "fields of its kind"),
}


@pytest.mark.parametrize("what", WRITTEN)
async def test_what_the_book_does_not_write_is_found(tmp_path: Path, what: str) -> None:
    """An entry chained in by somebody who has the keys: the check names it and says why."""
    kind, linked, data, word = WRITTEN[what]
    async with opened(f"sqlite:///{tmp_path / 'jifen.db'}", whole=False) as ledger:
        for journal in ("east", "west"):
            await ledgers.open_journal(ledger, journal)
        made = {"edition": await edition(ledger, "east", "edn_1"), "elsewhere": await edition(ledger, "west", "edn_2")}
        made["fund"] = await fund(ledger, made["edition"], "edn_1", "p1")
        assert (await audit(ledger)).ok
        await chained_in(ledger, kind, [made[linked].link("grants")] if linked else [], data, word)


@pytest.mark.parametrize("kind", ["edition", "fund"])
async def test_points_that_change_hands_with_it_are_found(tmp_path: Path, kind: str) -> None:
    """Right in all else, but it posts: money for a grid is no points."""
    async with opened(f"sqlite:///{tmp_path / 'jifen.db'}", whole=False) as ledger:
        await ledgers.open_journal(ledger, "east")
        made = await edition(ledger, "east", "edn_1")
        lines = [Posting("issuer", "points", amount=-5), Posting("fund:p1", "points", amount=5)]
        links, data = ([made.link("grants")], GRANT) if kind == "fund" else ([], LISTED)
        await chained_in(ledger, kind, links, data, "posts nothing", lines)


async def chained_in(
    ledger: Ledger, kind: str, links: list[Link], data: dict[str, Any], word: str, lines: Sequence[Posting] = ()
) -> None:
    """Write it, past the book; the check must name this entry."""

    def step(view: View) -> Sealed:
        return view.append(Draft(kind, "east", ledgers.act(ledger), list(lines), links=links, data=data))

    made = await ledgers.run(ledger, step, "east")
    (finding, *_) = (await audit(ledger)).findings
    assert ("east", made.seq) == (finding.journal, finding.seq) and word in finding.what, finding

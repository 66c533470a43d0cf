# SPDX-License-Identifier: Apache-2.0
"""Benefits that cost no points, and one merchant to a hold: what the book writes, and what the check finds where
somebody wrote otherwise."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ledger.audit import audit
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.model import Draft, Posting, Sealed
from ledger.view import View
from tests import ledgers
from tests.ledgers import PAID, FixedClock, benefit, opened

pytestmark = pytest.mark.schema("ledger")

TERMS = {"fen": 450, "merchant": "mer_1", "quantity": 3, "redemption": "rdm_1", "scenario": "S13"}


async def used(ledger: Ledger, **more: Any) -> tuple[Sealed, dict[str, Any]]:
    await ledgers.open_journal(ledger, "east")
    made = await benefit(ledger, "east", "rdm_1", **more)
    return made, (await ledger.entry("east", made.seq)).fields


async def test_a_benefit_moves_nothing_and_names_nobody(database_url: str) -> None:
    """What was used, where, and what is owed for it; the person stands nowhere, and no balance changes."""
    async with opened(database_url) as ledger:
        made, entry = await used(ledger, budget="bud_1")
        assert ("benefit", [], [], {**TERMS, "budget": "bud_1"}) == (
            entry["kind"], entry["postings"], entry["links"], entry["data"],
        )  # fmt: skip
        assert "subject" not in entry and made.subject is None
        assert [] == await ledger.fetch("SELECT account FROM balance")
        assert "budget" not in (await ledger.entry("east", (await benefit(ledger, "east", "rdm_2")).seq)).fields["data"]


async def test_a_benefit_is_undone_once(database_url: str) -> None:
    """All of it, by an entry that names it; of two at the same moment one is refused."""
    async with opened(database_url) as ledger:
        made, _ = await used(ledger)
        steps = [benefit(ledger, "east", "rdm_1", of=made.link("undoes")) for _ in range(2)]
        done = await asyncio.gather(*steps, return_exceptions=True)
        refused = [one for one in done if isinstance(one, Refusal)]
        assert ["redemption_closed"] == [one.code for one in refused]
        (undone,) = (one for one in done if isinstance(one, Sealed))
        entry = (await ledger.entry("east", undone.seq)).fields
        assert {**TERMS, "fen": -450, "quantity": -3} == entry["data"]
        assert [{"rel": "undoes", "seq": made.seq, "leaf": made.leaf.hex()}] == entry["links"]


# what no book of ours writes ---------------------------------------------------------------------------------------

BACK = {"fen": -450, "quantity": -3}
NEW = {"redemption": "rdm_3"}
PAYING = {**PAID, "merchant": "mer_1"}
# Kind, what it undoes (an entry that stands, one that is undone, or what undoes that), `data`, a word of the finding.
WRITTEN: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "used twice": ("benefit", "", TERMS, "a second benefit"),
    "undone twice": ("benefit", "gone", TERMS | BACK | {"redemption": "rdm_2"}, "undone twice"),
    "undone in part": ("benefit", "used", TERMS | BACK | {"quantity": -1}, "a part of it"),
    "undone for more": ("benefit", "used", TERMS | BACK | {"fen": -451}, "a part of it"),
    "undone elsewhere": ("benefit", "used", TERMS | BACK | {"merchant": "mer_2"}, "another benefit"),
    "undone without a link": ("benefit", "", TERMS | BACK | NEW, "fields of its kind"),
    "an undoing undone": ("benefit", "back", TERMS | {"redemption": "rdm_2"}, "undoes no benefit"),
    "of nobody": ("benefit", "", TERMS | NEW | {"merchant": ""}, "fields of its kind"),
    "under no budget line": ("benefit", "", TERMS | NEW | {"budget": ""}, "fields of its kind"),
    "with a word more": ("benefit", "", TERMS | NEW | {"points": 1}, "fields of its kind"),
    "settled without a month": ("settle", "", PAYING | {"period": "2022"}, "fields of its kind"),
    "settled by no statement": ("settle", "", PAYING | {"statement": "x"}, "fields of its kind"),
    "settled for nobody": ("settle", "", PAID, "fields of its kind"),
    "settled for nothing": ("settle", "", PAYING | {"fen": 0}, "fields of its kind"),
    "settled and linked": ("settle", "used", PAYING, "other links"),
}


@pytest.mark.parametrize("what", WRITTEN)
async def test_what_the_book_does_not_write_is_found(tmp_path: Path, what: str) -> None:
    """An entry chained in by somebody who has the keys: the check names it and says why."""
    kind, undone, data, word = WRITTEN[what]
    async with opened(f"sqlite:///{tmp_path / 'jifen.db'}", whole=False) as ledger:
        made, _ = await used(ledger)
        gone = await benefit(ledger, "east", "rdm_2")
        back = await benefit(ledger, "east", "rdm_2", of=gone.link("undoes"))
        assert (await audit(ledger)).ok
        links = [one.link("undoes") for name, one in (("used", made), ("gone", gone), ("back", back)) if name == undone]
        await append(ledger, {"kind": kind, "links": links, "data": data}, 4, word)


@pytest.mark.parametrize("kind", ["capture", "refund", "void"])
async def test_another_merchant_than_the_first_is_found(tmp_path: Path, kind: str) -> None:
    """A hold that one merchant has captured from, in an entry of another that has points enough."""
    async with opened(f"sqlite:///{tmp_path / 'jifen.db'}", FixedClock(), whole=False) as ledger:
        await ledgers.open_journal(ledger, "east")
        await ledgers.open_account(ledger, "east", "sub_1", base=0)
        await ledgers.award(ledger, "east", "sub_1", "a", points=200)
        await ledgers.hold(ledger, "east", "sub_1", "other", 100)
        await ledgers.capture(ledger, "east", "other", 100, "mer_2")
        held = await ledgers.hold(ledger, "east", "sub_1", "h", 100)
        await ledgers.capture(ledger, "east", "h", 40)
        shop, amount = "merchant:mer_2", 40 if kind == "capture" else -40
        lines = [Posting("held:h", "points", amount=-amount), Posting(shop, "points", amount=amount)]
        lines = lines if kind == "capture" else lines[::-1]
        draft = {"kind": kind, "links": [held.link("hold")], "postings": lines}
        await append(ledger, draft, 7, "mer_1 has captured")


async def append(ledger: Ledger, draft: dict[str, Any], seq: int, word: str) -> None:
    """Write it, past the book; the check must name this entry."""

    def step(view: View) -> Sealed:
        return view.append(Draft(journal="east", act=ledgers.act(ledger), **draft))

    assert seq == (await ledgers.run(ledger, step, "east")).seq
    (finding, *_) = (await audit(ledger)).findings
    assert ("east", seq) == (finding.journal, finding.seq) and word in finding.what, finding

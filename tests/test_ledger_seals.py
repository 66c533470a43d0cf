# SPDX-License-Identifier: Apache-2.0
"""Seals and statements: what is sealed is what was held, and a statement with a line missing or changed is refused."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import merkle
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.keys import Signer
from ledger.note import Checkpoint, checkpoint_text, format_note, parse_note, sign
from ledger.receipt import Receipt, format_receipt
from ledger.seals import make_seals, newest, seals
from ledger.statements import Statements
from ledger.states import States, state_bytes
from tests import ledgers
from tests.ledgers import FixedClock, award, capture, hold, lots, open_account, open_journal, opened, release, reverse
from tests.statement_check import Amounts, Wrong, check, root_of, sha
from tests.test_ledger_random import OPENING, World
from tests.test_ledger_random import op as operation
from tests.tree import ROOT

pytestmark = pytest.mark.schema("ledger")

SIGNER = Signer("jifen.example", b"s" * 32)
_numbers = itertools.count()


class Office:
    """Statements of a ledger, with receipts made from its own leaves."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.statements = Statements(ledger, self.receipt)
        self._known: dict[tuple[str, int], str] = {}

    async def receipt(self, journal: str, seq: int) -> str:
        if (journal, seq) not in self._known:
            rows = await self.ledger.fetch("SELECT leaf, body FROM entry WHERE journal = ? ORDER BY seq", journal)
            leaves = [bytes(leaf) for leaf, _ in rows]
            text = checkpoint_text(Checkpoint(f"{SIGNER.name}/{journal}", len(leaves), merkle.root(leaves)))
            note = parse_note(format_note(text, [sign(text, SIGNER)]))
            proof = merkle.inclusion(leaves, seq, len(leaves))
            made = format_receipt(Receipt(bytes(rows[seq][1]), seq, proof, note))
            self._known[journal, seq] = made.decode()
        return self._known[journal, seq]

    async def holds(self, journal: str, account: str, **between: Any) -> Amounts | None:
        """What a statement proves, as a stranger reads it from the file."""
        made = await self.statements.make(journal, account, absence=True, **between)
        return check(orjson.loads(orjson.dumps(made)), SIGNER.vkey)


async def balances(ledger: Ledger, journal: str) -> dict[str, Amounts]:
    """Account → what the balance table says it holds now."""
    found: dict[str, Amounts] = {}
    rows = await ledger.fetch("SELECT account, unit, lot, amount FROM balance WHERE journal = ?", journal)
    for account, unit, lot, amount in rows:
        found.setdefault(account, {})[unit, lot] = amount
    return found


async def furnish(ledger: Ledger) -> tuple[int, int]:
    """A person with a history between two seals, and others beside; the sizes of the seals."""
    await open_journal(ledger, "east")
    for subject in ("sub_a", "sub_b", "sub_c"):
        await open_account(ledger, "east", subject)
    await award(ledger, "east", "sub_a", "first", points=900, points_lot="2022-12-31")
    await make_seals(ledger, "east")
    first = (await newest(ledger, "east")).as_of  # type: ignore[union-attr]
    await award(ledger, "east", "sub_a", "kept", points=200, points_lot="2023-01-31")
    undone = await award(ledger, "east", "sub_a", "undone", standing=500, points=500)
    await reverse(ledger, undone)
    await hold(ledger, "east", "sub_a", "hld_1", 300)
    await capture(ledger, "east", "hld_1", 100)
    await award(ledger, "east", "sub_b", "beside", points=50)
    await make_seals(ledger, "east")
    last = (await newest(ledger, "east")).as_of  # type: ignore[union-attr]
    await release(ledger, "east", "hld_1")
    await make_seals(ledger, "east")
    return first, last


# making --------------------------------------------------------------------------------------------------------


async def test_a_seal_states_what_every_account_held(database_url: str) -> None:
    """The root is the one that the specification gives for the balances of that size, computed here from scratch."""
    async with opened(database_url) as ledger:
        await furnish(ledger)
        found = await seals(ledger, "east", 10**9, 10)
        assert [(0, 5), (5, 12), (12, 14)] == [(one.since, one.as_of) for one in reversed(found)]

        heads: dict[str, tuple[bytes, int]] = {}
        held: dict[str, Amounts] = {}
        rows = await ledger.fetch("SELECT body, leaf FROM entry WHERE journal = 'east' AND seq < 14 ORDER BY seq")
        for body, leaf in rows:
            lines = orjson.loads(bytes(body))["postings"]
            for account in {line["account"] for line in lines}:
                head, version = heads.get(account, (bytes(32), 0))
                heads[account] = (sha(b"\2", head, bytes(leaf)), version + 1)
            for line in lines:
                own = held.setdefault(line["account"], {})
                key = line["unit"], line.get("lot", "9999-12-31")
                own[key] = own.get(key, 0) + line["amount"]
        leaves: list[bytes] = []
        for account in sorted(held):
            amounts = [
                {"amount": amount, "unit": unit} | ({"lot": lot} if lot != "9999-12-31" else {})
                for (unit, lot), amount in sorted(held[account].items())
                if amount
            ]
            head, version = heads[account]
            if account in ("issuer", "expired") or account.startswith("held:"):
                if not amounts:
                    continue
                head, version = bytes(32), 0
            state = {"account": account, "balances": amounts, "head": head.hex(), "version": version}
            leaves.append(sha(b"\0", orjson.dumps(state, option=orjson.OPT_SORT_KEYS)))
        sealed = (await ledger.entry("east", found[0].seq)).fields["data"]
        assert {"accounts": len(leaves), "as_of_size": 14, "state_root": merkle.root(leaves).hex()} == sealed


def test_the_example_on_the_page() -> None:
    """The states, leaves and root in seal.md are those of the first two entries in entry.md."""
    page, entries = ((ROOT / f"docs/spec/{name}.md").read_text("utf-8") for name in ("seal", "entry"))
    blocks = re.findall(r"```json\n(\{.*\})\n```\n\n`leaf ([0-9a-f]{64})`", entries)[:2]
    said = re.findall(r"```json\n(\{.*\})\n```\n\n`leaf ([0-9a-f]{64})`", page)
    states = States()
    for body, leaf in blocks:
        states.apply(body.encode(), bytes.fromhex(leaf))
    states.close("east")
    assert said == [
        (state_bytes(account, state).decode(), leaf.hex())
        for (account, state), leaf in zip(states.sealed(), states.leaves().values(), strict=True)
    ]
    assert said[1][1] == sha(b"\0", said[1][0].encode()).hex()
    assert f"`state_root {states.seal_data()['state_root']}`" in page


async def test_nothing_is_sealed_twice(database_url: str) -> None:
    """A run after a run finds only seals and does nothing; the next posting is sealed again."""
    async with opened(database_url) as ledger:
        await furnish(ledger)
        assert 0 == await make_seals(ledger, "east")
        await award(ledger, "east", "sub_a", "more", points=100)
        assert [1, 0] == [await make_seals(ledger, "east"), await make_seals(ledger, "east")]


async def test_a_long_history_takes_several_seals(database_url: str) -> None:
    """Each covers its span, so no commit is long; every one of them is good for statements."""
    async with opened(database_url) as ledger:
        await furnish(ledger)
        for number in range(9):
            await award(ledger, "east", "sub_a", f"deed-{number}", points=10)
        assert 3 == await make_seals(ledger, "east", span=4)
        office = Office(ledger)
        found = [one.as_of for one in reversed(await seals(ledger, "east", 10**9, 10))]
        assert [5, 12, 14, 18, 22, 24] == found
        for since, until in itertools.combinations(found, 2):
            assert await office.holds("east", "subject:sub_a", since=since, until=until)


async def test_two_processes_make_one_seal(database_url: str) -> None:
    """Of two runs at the same time one seals, the other leaves it; the rows are there once."""
    async with opened(database_url) as ledger:
        other = Ledger(database_url, ledgers.SECRET, clock=FixedClock())
        await other.open()
        try:
            await open_journal(ledger, "east")
            for number in range(40):
                await open_account(ledger, "east", f"sub_{number}")
            made = await asyncio.gather(*(make_seals(one, "east") for one in (ledger, other)))
        finally:
            await other.close()
        assert [0, 1] == sorted(made)
        assert [(1,)] == await ledger.fetch("SELECT COUNT(*) FROM entry WHERE kind = 'seal'")
        assert [(41, 41)] == await ledger.fetch("SELECT COUNT(*), COUNT(DISTINCT account) FROM account_state")


async def test_what_goes_on_meanwhile_is_for_the_next_seal(database_url: str) -> None:
    """An entry that commits while a seal is being made stands between the sealed ones and the seal."""
    async with opened(database_url) as ledger:
        await furnish(ledger)
        await award(ledger, "east", "sub_a", "sealed", points=1000)
        before = ledger.submit

        async def meanwhile(command: Any) -> Any:
            ledger.submit = before  # type: ignore[method-assign]
            await award(ledger, "east", "sub_a", "late", points=5)
            return await before(command)

        ledger.submit = meanwhile  # type: ignore[method-assign]
        await make_seals(ledger, "east")
        last = await newest(ledger, "east")
        assert last is not None and last.seq == last.as_of + 1
        office = Office(ledger)
        held = await office.holds("east", "subject:sub_a")
        assert held is not None and 1000 == held["points", "9999-12-31"]
        await make_seals(ledger, "east")
        held = await office.holds("east", "subject:sub_a", since=last.as_of)
        assert held is not None and 1005 == held["points", "9999-12-31"]


async def test_what_was_sealed_stays(database_url: str) -> None:
    """Neither seals nor states can be changed or deleted, by whoever asks."""
    async with opened(database_url) as ledger:
        await furnish(ledger)
        before = await ledger.fetch("SELECT * FROM account_state ORDER BY account, as_of")
        for statement in (
            "UPDATE seal SET accounts = 1",
            "DELETE FROM seal",
            "UPDATE account_state SET balances = '[]' WHERE account = 'subject:sub_a'",
            "DELETE FROM account_state WHERE as_of = 5",
        ):
            with pytest.raises(Exception, match=r"append-only|read"):
                await _write(ledger, statement)
        assert before == await ledger.fetch("SELECT * FROM account_state ORDER BY account, as_of")


async def _write(ledger: Ledger, statement: str) -> None:
    """Past the sequencer, on the connection that may write."""
    store: Any = ledger.store
    writer = store._write if store.dialect == "sqlite" else store._connection
    done = writer.execute(statement)
    if asyncio.iscoroutine(done):
        await done


# statements ----------------------------------------------------------------------------------------------------


async def test_a_statement_is_everything_between_two_seals(database_url: str) -> None:
    """Person and merchant, from the beginning and between seals; who came later is stated from the beginning."""
    async with opened(database_url) as ledger:
        first, last = await furnish(ledger)
        office = Office(ledger)
        between = await office.statements.make("east", "subject:sub_a", since=first, until=last)
        kinds = [orjson.loads(entry)["kind"] for entry in between["entries"]]
        assert ["award", "award", "reverse", "hold"] == kinds
        held = check(between, SIGNER.vkey)
        expected = {("standing", "9999-12-31"): 100_000, ("points", "2022-12-31"): 600, ("points", "2023-01-31"): 200}
        assert expected == held
        assert {("points", "9999-12-31"): 100} == await office.holds("east", "merchant:mer_1", since=first)
        assert {("points", "9999-12-31"): 100} == await office.holds("east", "merchant:mer_1", since=last)
        whole = await office.holds("east", "subject:sub_a")
        assert whole is not None and 800 == whole["points", "2022-12-31"]
        assert await lots(ledger, "east", "subject:sub_a") == {
            lot: n for (unit, lot), n in whole.items() if unit == "points"
        }


async def test_what_no_statement_is_made_for(database_url: str) -> None:
    """Accounts that nobody owns, seals that there are not, sides the wrong way round, and too many entries."""
    cases: list[tuple[str, dict[str, Any]]]
    async with opened(database_url) as ledger:
        first, last = await furnish(ledger)
        make = Office(ledger).statements.make
        cases = [
            ("issuer", {}),
            ("held:hld_1", {}),
            ("subject:sub_a", {"until": last + 1}),
            ("subject:sub_a", {"since": first + 1}),
            ("subject:sub_a", {"since": last, "until": first}),
            ("subject:sub_a", {"since": last, "until": last}),
            ("subject:nobody", {}),
        ]
        for account, between in cases:
            with pytest.raises(Refusal, match="not_found"):
                await make("east", account, **between)
        with pytest.raises(Refusal, match="statement_too_long"):
            await make("east", "subject:sub_a", limit=3)


@pytest.mark.parametrize("name", ["fund:before_all", "merchant:zz", "subject:sub_aa", "subject:zz"])
async def test_an_account_that_is_not_there(database_url: str, name: str) -> None:
    """Its neighbours show it, also at both ends of the order; one that is there cannot be denied."""
    async with opened(database_url) as ledger:
        await furnish(ledger)
        office = Office(ledger)
        said = await office.statements.make("east", name, absence=True)
        assert check(said, SIGNER.vkey) is None
        neighbours = said["absent"]
        for lie in (neighbours[:1] if len(neighbours) == 2 else [], neighbours[::-1] + neighbours[:1]):
            with pytest.raises(Wrong):
                check({**said, "absent": lie}, SIGNER.vkey)
        with pytest.raises(Wrong, match="neighbours"):
            check({**said, "account": "subject:sub_b"}, SIGNER.vkey)


def omit_pair(said: dict[str, Any]) -> None:
    """The award of 500 and its reversal: the balance is the same without them."""
    del said["entries"][1:3]


def omit_last(said: dict[str, Any]) -> None:
    said["entries"].pop()


def swap(said: dict[str, Any]) -> None:
    said["entries"][0:2] = said["entries"][1::-1]


def repeat(said: dict[str, Any]) -> None:
    said["entries"].insert(1, said["entries"][0])


def rewrite(said: dict[str, Any]) -> None:
    said["entries"][0] = said["entries"][0].replace("200", "300")


def forge_balance(said: dict[str, Any]) -> None:
    said["to"]["state"] = said["to"]["state"].replace('"amount":600', '"amount":601')


def forge_start(said: dict[str, Any]) -> None:
    said["from"]["state"] = said["from"]["state"].replace('"amount":900', '"amount":899')


def from_the_beginning(said: dict[str, Any]) -> None:
    said["from"] = None


def turn_round(said: dict[str, Any]) -> None:
    said["from"], said["to"] = said["to"], said["from"]


def another_seal(said: dict[str, Any]) -> None:
    said["to"]["receipt"] = said["from"]["receipt"]


def wrong_place(said: dict[str, Any]) -> None:
    said["to"]["index"] -= 1


def longer_proof(said: dict[str, Any]) -> None:
    said["to"]["proof"].append("00" * 32)


LIES = [omit_pair, omit_last, swap, repeat, rewrite, forge_balance, forge_start, from_the_beginning, turn_round,
        another_seal, wrong_place, longer_proof]  # fmt: skip


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
async def test_a_statement_that_lies_is_refused(tmp_path: Path, lie: Callable[[dict[str, Any]], None]) -> None:
    """Lines left out, moved, repeated or rewritten; balances forged; sides exchanged."""
    async with opened(f"sqlite:///{tmp_path / 'jifen.db'}") as ledger:
        first, last = await furnish(ledger)
        said = await Office(ledger).statements.make("east", "subject:sub_a", since=first, until=last)
        check(said, SIGNER.vkey)
        changed = deepcopy(said)
        lie(changed)
        assert said != changed
        with pytest.raises((Wrong, ValueError)):
            check(changed, SIGNER.vkey)


async def test_a_statement_in_another_name_is_refused(tmp_path: Path) -> None:
    """Another account's state or entries, an entry from outside the sizes, a receipt of no seal or of nobody's key."""
    async with opened(f"sqlite:///{tmp_path / 'jifen.db'}") as ledger:
        first, last = await furnish(ledger)
        office = Office(ledger)
        make = office.statements.make
        said = await make("east", "subject:sub_a", since=first, until=last)
        beside = await make("east", "subject:sub_b", since=first, until=last)
        whole = await make("east", "subject:sub_a")
        no_seal = await office.receipt("east", first - 1)
        for lie in (
            {"account": "subject:sub_b"},
            {"to": beside["to"]},
            {"to": {**said["to"], **{key: beside["to"][key] for key in ("state", "index", "proof")}}},
            {"entries": [*said["entries"], *beside["entries"]]},
            {"entries": [*whole["entries"][:1], *said["entries"]]},
            {"entries": [*said["entries"], *whole["entries"][-1:]]},
            {"to": {**said["to"], "receipt": no_seal}},
            {"journal": "west"},
            {"account": "issuer"},
        ):
            with pytest.raises(Wrong):
                check({**said, **lie}, SIGNER.vkey)
        with pytest.raises(Wrong, match="signature"):
            check(said, Signer(SIGNER.name, b"t" * 32).vkey)


async def test_nothing_is_built_on_states_that_were_changed(tmp_path: Path) -> None:
    """Whoever may change the table gets no statement out of it, and no seal over what they wrote."""
    async with opened(f"sqlite:///{tmp_path / 'jifen.db'}", whole=False) as ledger:
        await furnish(ledger)
        await _write(ledger, "DROP TRIGGER account_state_kept")
        await _write(ledger, "UPDATE account_state SET version = 9 WHERE account = 'subject:sub_b'")
        with pytest.raises(ValueError, match="not those of the seal"):
            await Office(ledger).statements.make("east", "subject:sub_a")
        await award(ledger, "east", "sub_a", "more", points=100)
        with pytest.raises(ValueError, match="not those of the seal"):
            await make_seals(ledger, "east")


# random histories ----------------------------------------------------------------------------------------------


async def play(url: str, history: list[Any], *, migrate: bool) -> None:
    clock = FixedClock()
    ledger = Ledger(url, ledgers.SECRET, clock=clock)
    await ledger.open()
    try:
        if migrate:
            await ledger.store.migrate({"ledger": ledgers.MIGRATIONS})
        world = World(ledger, clock)
        await world.open()
        seen: dict[tuple[str, int], dict[str, Amounts]] = {}
        for step in [*history, 3]:
            if isinstance(step, int):
                for journal in world.journals:
                    size = (await ledger.fetch("SELECT size FROM head WHERE journal = ?", journal))[0][0]
                    if await make_seals(ledger, journal, span=4 if step == 1 else 1000):
                        seen[journal, size] = await balances(ledger, journal)
            else:
                await world.step(step)
        await compare(ledger, world.journals, seen)
        if migrate:
            await ledgers.assert_whole(ledger)
    finally:
        await ledger.close()


async def compare(ledger: Ledger, journals: list[str], seen: dict[tuple[str, int], dict[str, Amounts]]) -> None:
    """Every account, every two seals: the statement holds and says what the table said at that size."""
    office = Office(ledger)
    for journal in journals:
        found = [one.as_of for one in reversed(await seals(ledger, journal, 10**9, 99))]
        rows = await ledger.fetch("SELECT DISTINCT account FROM account_state WHERE journal = ?", journal)
        accounts = [account for (account,) in rows if account.split(":")[0] in ("subject", "minus", "debt", "merchant")]
        for since, until in itertools.combinations([0, *found], 2):
            for account in accounts:
                held = await office.holds(journal, account, since=since or None, until=until)
                if (journal, until) in seen:
                    assert (held or {}) == seen[journal, until].get(account, {}), (journal, account, since, until)


steps = st.lists(st.one_of(operation, operation, operation, st.integers(1, 2)), min_size=8, max_size=24)


@given(steps)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12)
def test_statements_of_random_histories(tmp_path: Path, history: list[Any]) -> None:
    """Whatever happened and whenever it was sealed, each account's statement over each two seals holds."""
    path = tmp_path / f"{next(_numbers)}.db"
    asyncio.run(play(f"sqlite:///{path}", [*OPENING, *history], migrate=True))


@given(steps)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=3)
def test_statements_of_random_histories_on_postgresql(postgres_url: str, history: list[Any]) -> None:
    """The same on PostgreSQL."""
    asyncio.run(play(postgres_url, [*OPENING, *history], migrate=True))


def test_the_second_reading_refuses_bad_proofs() -> None:
    """The checker of these tests says no by itself: to proofs too long, too short and for places outside."""
    leaves = [bytes([n]) * 32 for n in range(7)]
    for index in range(7):
        proof = merkle.inclusion(leaves, index, 7)
        assert merkle.root(leaves) == root_of(leaves[index], index, 7, proof)
        for bad in (proof[:-1], [*proof, bytes(32)]):
            with pytest.raises(Wrong):
                root_of(leaves[index], index, 7, bad)
    with pytest.raises(Wrong):
        root_of(leaves[0], 7, 7, [])

# SPDX-License-Identifier: Apache-2.0
"""The vault: registering once, matching without clear names, changing, consenting, and cards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import argon2
import pytest

import api
from api.people.cards import CODE_DAYS, TRIES_MAX
from api.people.keystore import Keystore
from api.people.records import Consents, NewPerson, age
from api.people.vault import People, Who
from ledger.book.accounts import open_journal
from ledger.engine import MIGRATIONS, Ledger
from ledger.errors import Refusal
from ledger.model import Act
from ledger.port import Answer
from ledger.view import View

pytestmark = pytest.mark.schema("ledger", "people")

ROOMS = {"ledger": MIGRATIONS, "people": Path(api.__file__).parent / "people" / "migrations"}
HERE, THERE = "370321002002", "370321002003"
DAY_US = 86_400_000_000
SECRET = bytes(range(32))


class Clock:
    """A clock that tests wind on."""

    def __init__(self) -> None:
        self.now = 1_669_075_200_000_000  # 2022-11-22 08:00 in Shanghai

    def __call__(self) -> int:
        self.now += 1
        return self.now


class Opening:
    """Opens a journal."""

    retry, weight = None, 1

    def __init__(self, journal: str) -> None:
        self.journals = (journal,)

    def reads(self) -> tuple[()]:
        return ()

    def decide(self, view: View) -> Answer:
        act = Act("stf_1", "2022-11-22", b"{}", "txn_1")
        open_journal(view, *self.journals, act, origin="o", vkey="v", recovery="r", zone="Asia/Shanghai", policy={})
        return Answer()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def people(database_url: str, tmp_path: Path, clock: Clock) -> AsyncIterator[People]:
    ledger = Ledger(database_url, SECRET, clock=clock)
    await ledger.open()
    await ledger.store.migrate(ROOMS)
    for journal in (HERE, THERE):
        await ledger.submit(Opening(journal))
    hasher = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    vault = People(ledger, Keystore(tmp_path / "keys.db", SECRET), SECRET, hasher=hasher)
    yield vault
    await ledger.close()
    vault.close()


def person(name: str, phone: str | None = None, birth: date | None = None, grid: str = f"{HERE}-04") -> NewPerson:
    return NewPerson(name, phone, birth, grid[:12], grid)


async def join(people: People, new: NewPerson) -> str:
    return (await people.register(new, actor="stf_1", base=100_000)).ref


async def code(work: object) -> str:
    """The code with which something is refused."""
    with pytest.raises(Refusal) as refused:
        await work  # type: ignore[misc]
    return refused.value.code


async def test_a_person_joins_once(people: People) -> None:
    """The same name and phone is the same person wherever they say they live; a refused try leaves no key."""
    first = await join(people, person("张建国", "13900000001"))
    again = person("张 建国", "13900000001", grid=f"{THERE}-01")
    with pytest.raises(Refusal) as refused:
        await join(people, again)
    assert ("already_registered", {"subject": first}) == (refused.value.code, refused.value.facts)
    assert 1 == people.keystore._db.execute("SELECT count(*) FROM data_key").fetchone()[0]
    assert ("张建国", "张*国") == (await people.name(first), await people.masked(first))
    assert {first: "张*国"} == await people.masked_names([first, "sub_nobody"])


async def test_joining_at_once_makes_one_account(people: People) -> None:
    """Of forty tries at the same moment one opens an account, the others are told whose it is."""
    tries = [join(people, person("张建国", "13900000001")) for _ in range(40)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    subjects = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert 1 == len(subjects)
    refusals = [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
    assert [("already_registered", subjects[0])] * 39 == [(r.code, r.facts["subject"]) for r in refusals]
    rows = await people.ledger.fetch("SELECT count(*) FROM member")
    assert 1 == rows[0][0]


async def test_two_processes_register_one_person(people: People, database_url: str, clock: Clock) -> None:
    """In different communities, so that no common head serialises them: still one account."""
    other = Ledger(database_url, SECRET, clock=clock)
    await other.open()
    second = People(other, people.keystore, SECRET)
    outcomes = await asyncio.gather(
        *(join(people, person("李强", f"1390000100{i}")) for i in range(8)),
        *(join(second, person("李强", f"1390000100{i}", grid=f"{THERE}-01")) for i in range(8)),
        return_exceptions=True,
    )
    await other.close()
    assert 8 == sum(isinstance(outcome, str) for outcome in outcomes), outcomes
    assert {"already_registered"} == {o.code for o in outcomes if isinstance(o, Refusal)}
    rows = await people.ledger.fetch("SELECT count(*), count(DISTINCT identity) FROM person")
    assert (8, 8) == rows[0]


async def test_who_may_not_join(people: People) -> None:
    """Children, days that cannot be a birthday, no consent to the ledger, a journal that is not open."""
    refused = [
        (person("赵小小", birth=date(2004, 11, 23)), "minor"),
        (person("赵未来", birth=date(2023, 1, 1)), "birth_invalid"),
        (person("钱一", grid="370321002009-01"), "journal_not_open"),
        (NewPerson("孙一", None, None, HERE, f"{HERE}-04", Consents(ledger=0)), "consent_required"),
    ]
    for new, expected in refused:
        assert expected == await code(join(people, new))
    assert await join(people, person("赵大大", birth=date(2004, 11, 22)))
    assert 1 == people.keystore._db.execute("SELECT count(*) FROM data_key").fetchone()[0]


def test_age_in_full_years() -> None:
    """A birthday counts from its own day; 29 February from 1 March."""
    assert 17 == age(date(2004, 2, 29), date(2022, 2, 28))
    assert 18 == age(date(2004, 2, 29), date(2022, 3, 1))
    assert 18 == age(date(2004, 11, 22), date(2022, 11, 22))


async def test_matching_rows(people: People) -> None:
    """Phone and name; phone right, name different; no phone but one such name in the grid; several; nobody."""
    son = await join(people, person("王强", "13900000001"))
    mother = await join(people, person("王秀英", "13900000001"))
    elder = await join(people, person("李桂兰"))
    await join(people, person("张伟", birth=date(1950, 1, 1)))
    await join(people, person("张伟", birth=date(1960, 1, 1)))
    rows = [
        (Who("王强", "13900000001"), son),
        (Who("王 秀英", "13900000001", f"{THERE}-01"), mother),
        (Who("王小强", "13900000001"), "name_mismatch"),
        (Who("王强", "13900000002"), "subject_unknown"),
        (Who("李桂兰", None, f"{HERE}-04"), elder),
        (Who("王强", None, f"{HERE}-04"), son),
        (Who("张伟", None, f"{HERE}-04"), "ambiguous"),
        (Who("李桂兰", None, f"{HERE}-01"), "subject_unknown"),
        (Who("李桂兰"), "ambiguous"),
    ]
    found = await people.identify_rows([who for who, _ in rows])
    assert [expected for _, expected in rows] == [f.code if isinstance(f, Refusal) else f for f in found]
    assert all("王" not in str(f) and "139" not in str(f) for f in found if isinstance(f, Refusal))


async def test_looking_somebody_up(people: People) -> None:
    """At the counter: name and phone, name or surname with the phone's tail, name within grids."""
    zhang = await join(people, person("张建国", "13900004321"))
    other = await join(people, person("张丽", "13800004321", grid=f"{THERE}-01"))
    assert [(zhang, "张*国")] == [
        (f.subject, f.masked_name) for f in await people.identify(name="张建国", phone="13900004321")
    ]
    assert [] == await people.identify(name="张建军", phone="13900004321")
    assert [zhang] == [f.subject for f in await people.identify(name="张建国", phone_tail="4321")]
    assert sorted([zhang, other]) == [f.subject for f in await people.identify(name="张", phone_tail="4321")]
    assert [] == await people.identify(name="李", phone_tail="4321")
    both = [f"{HERE}-04", f"{THERE}-01"]
    assert [other] == [f.subject for f in await people.identify(name="张丽", grid=both)]
    assert [] == await people.identify(name="张丽")


async def test_nothing_in_clear(people: People) -> None:
    """No name, phone or birthday in any column of any table, nor an index that another secret would give."""
    await join(people, person("张建国", "13900000001", date(1950, 3, 1)))
    for table in ("person", "identity", "consent", "entry", "member", "request"):
        for row in await people.ledger.fetch(f"SELECT * FROM {table}"):
            for value in row:
                data = bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
                assert not any(word in data for word in ("张建国".encode(), b"13900000001", b"1950-03-01"))
    other = People(people.ledger, people.keystore, bytes(32))
    assert ["subject_unknown"] == [
        f.code for f in await other.identify_rows([Who("张建国", "13900000001")]) if isinstance(f, Refusal)
    ]


async def test_a_record_changes_and_its_account_moves(people: People) -> None:
    """Found under the new phone and grid, no longer under the old; standing goes along to the new community."""
    subject = await join(people, person("张建国", "13900000001"))
    taken = await join(people, person("张建国", "13900000002"))
    change = people.change(subject, home=HERE, grid=f"{HERE}-04", actor="stf_1", phone="13900000002")
    assert "already_registered" == await code(change)
    await people.change(subject, home=HERE, grid=f"{THERE}-01", new_home=THERE, actor="stf_1", phone="13900000003")
    rows = [Who("张建国", "13900000001"), Who("张建国", "13900000003"), Who("张建国", None, f"{THERE}-01")]
    found = await people.identify_rows([*rows, Who("张建国", "13900000002")])
    assert "subject_unknown" == found[0].code  # type: ignore[union-attr]
    assert [subject, subject, taken] == found[1:]
    assert THERE == await people.ledger.home(subject)
    balance = await people.ledger.fetch(
        "SELECT journal, amount FROM balance WHERE account = ? ORDER BY journal", f"subject:{subject}"
    )
    assert [(THERE, 100_000)] == balance
    again = await join(people, person("张建国", "13900000001"))
    assert again not in (subject, taken)


async def test_consents_are_kept_with_their_history(people: People) -> None:
    """Each change stays on record; saying the same again adds nothing."""
    subject = await join(people, person("张建国", "13900000001"))
    assert (1, 0, 1, 1) == (await people.consents(subject)).row
    await people.consent(subject, {"publication": 1, "merchant": 0}, actor="stf_2")
    await people.consent(subject, {"publication": 1}, actor="stf_2")
    assert (1, 1, 0, 1) == (await people.consents(subject)).row
    rows = await people.ledger.fetch(
        "SELECT actor, publication, merchant FROM consent WHERE subject = ? ORDER BY at", subject
    )
    assert [("stf_1", 0, 1), ("stf_2", 1, 0)] == rows
    assert "subject_unknown" == await code(people.consent("sub_nobody", {"ranking": 0}, actor="stf_2"))


# cards -----------------------------------------------------------------------------------------------------------


def wrong(pin: str) -> str:
    return f"{(int(pin) + 1) % 10**6:06d}"


async def test_a_card_and_its_pin(people: People) -> None:
    """Recognised by serial as printed or typed with spaces; frozen, replaced and unknown cards are all alike."""
    subject = await join(people, person("张建国", "13900000001"))
    first = await people.cards.issue(subject)
    assert subject == await people.by_card(f"{first.serial[:4]} {first.serial[4:]}", first.pin)
    assert subject == await people.by_tail("0001", "张", first.pin)
    second = await people.cards.issue(subject)
    attempts = [
        people.by_card(first.serial, first.pin),
        people.by_card(second.serial, wrong(second.pin)),
        people.by_card("000000000000", second.pin),
        people.by_card("", ""),
        people.by_tail("0002", "张", second.pin),
        people.by_tail("0001", "李", second.pin),
    ]
    for attempt in attempts:
        with pytest.raises(Refusal) as refused:
            await attempt
        assert ("not_identified", {}) == (refused.value.code, refused.value.facts)
    assert [second.serial] == await people.cards.freeze(subject)
    assert "not_identified" == await code(people.by_card(second.serial, second.pin))
    assert subject == await people.by_tail("0001", "张", second.pin)
    kept = await people.ledger.fetch("SELECT hash FROM pin WHERE subject <> ''")
    assert [True] == [hash_.startswith("$argon2id$") for (hash_,) in kept]


async def test_five_tries_and_no_more(people: People) -> None:
    """Forty wrong guesses at once use five tries; then the right PIN is refused too, until a new one is issued."""
    subject = await join(people, person("张建国", "13900000001"))
    card = await people.cards.issue(subject)
    seen: list[str] = []
    verify = people.cards.hasher.verify

    class Watching(argon2.PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:
            seen.append(str(hash))
            return verify(hash, password)

    people.cards.hasher = Watching(time_cost=1, memory_cost=8, parallelism=1)
    mine = (await people.ledger.fetch("SELECT hash FROM pin WHERE subject <> ''"))[0][0]
    guesses = [people.by_card(card.serial, wrong(card.pin)) for _ in range(20)]
    guesses += [people.by_tail("0001", "张", wrong(card.pin)) for _ in range(20)]
    outcomes = await asyncio.gather(*guesses, return_exceptions=True)
    assert {"not_identified"} == {outcome.code for outcome in outcomes if isinstance(outcome, Refusal)}
    assert TRIES_MAX == seen.count(mine)
    assert 40 == len(seen), "every guess costs the same work"
    assert "not_identified" == await code(people.by_card(card.serial, card.pin))
    fresh = await people.cards.issue(subject)
    assert subject == await people.by_card(fresh.serial, fresh.pin)


async def test_a_right_pin_gives_the_tries_back(people: People) -> None:
    """Four slips of the finger, then the right one, then four more."""
    subject = await join(people, person("张建国", "13900000001"))
    card = await people.cards.issue(subject)
    for _ in range(3):
        for _ in range(TRIES_MAX - 1):
            assert "not_identified" == await code(people.by_card(card.serial, wrong(card.pin)))
        assert subject == await people.by_card(card.serial, card.pin)


async def test_two_of_one_surname_and_tail_are_nobody(people: People) -> None:
    """Ambiguous is the same answer as wrong; and without consent nobody is known to merchants."""
    one = await join(people, person("张建国", "13900004321"))
    card = await people.cards.issue(one)
    assert one == await people.by_tail("4321", "张", card.pin)
    await join(people, person("张丽", "13800004321"))
    assert "not_identified" == await code(people.by_tail("4321", "张", card.pin))
    assert one == await people.by_card(card.serial, card.pin)
    await people.consent(one, {"merchant": 0}, actor="stf_1")
    assert "not_identified" == await code(people.by_card(card.serial, card.pin))


async def test_a_printed_code_is_used_once(people: People, clock: Clock) -> None:
    """The first PIN given with it becomes the subject's; of many at once one wins; letters misread are forgiven."""
    subject = await join(people, person("张建国", "13900000001"))
    printed = await people.cards.issue_code(subject)
    typed = printed.code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    tries = [people.activate(typed, "123456") for _ in range(8)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert [subject] == [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert subject == await people.by_tail("0001", "张", "123456")
    second = await people.cards.issue_code(subject)
    third = await people.cards.issue_code(subject)
    assert "not_identified" == await code(people.activate(second.code, "123456"))
    assert "not_identified" == await code(people.activate(third.code, "654321"))
    assert subject == await people.activate(third.code, "123456")
    late = await people.cards.issue_code(subject)
    clock.now += CODE_DAYS * DAY_US
    assert "not_identified" == await code(people.activate(late.code, "123456"))


async def test_a_code_heals_a_frozen_pin(people: People) -> None:
    """Who has used up the tries comes to the counter, is recognised by a person, and sets a new PIN."""
    subject = await join(people, person("张建国", "13900000001"))
    card = await people.cards.issue(subject)
    for _ in range(TRIES_MAX):
        await code(people.by_card(card.serial, wrong(card.pin)))
    printed = await people.cards.issue_code(subject)
    assert subject == await people.activate(printed.code, "112358")
    assert subject == await people.by_card(card.serial, "112358")

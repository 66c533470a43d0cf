# SPDX-License-Identifier: Apache-2.0
"""Group commit: who waits together commits together, one refusal or poison touches nobody else, every race has one
winner, and an answer is never a guess."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ledger import sequencer
from ledger.book import accounts, awards, holds
from ledger.clock import Guard
from ledger.engine import Ledger
from ledger.errors import Refusal, Unavailable
from ledger.model import CapUse, Sealed
from ledger.store import Conflict, StoreLost
from ledger.tables import CAUSE, HOLD, MEMBER, REQUEST
from ledger.view import View
from tests import ledgers
from tests.ledgers import FixedClock, Step, opened

pytestmark = pytest.mark.schema("ledger")

DAY = "2022-03-01"


async def count(ledger: Ledger, table: str = "entry") -> int:
    return (await ledger.fetch(f"SELECT COUNT(*) FROM {table}"))[0][0]


async def town(ledger: Ledger, *journals: str) -> None:
    """Journals, each with one person `sub_<journal>`."""
    for journal in journals or ("east",):
        await ledgers.open_journal(ledger, journal)
        await ledgers.open_account(ledger, journal, f"sub_{journal}")


def capped(ledger: Ledger, journal: str, subject: str, deed: str, limit: int = 300) -> Step:
    """100 points under a cap counted in the decision; refused when the cap is full."""

    def decide(view: View) -> Sealed:
        before = awards.used(view, journal, subject, "day", DAY)
        if before >= limit:
            raise Refusal("cap_reached", used=before)
        use = CapUse("day", DAY, DAY, limit, before, 100)
        return awards.award(
            view, ledgers.award_draft(ledger, journal, subject, deed, (use,)), standing=100, points=100
        )  # fmt: skip

    return Step(decide, (journal,))


async def settled(*waiting: Any) -> list[Any]:
    return await asyncio.gather(*waiting, return_exceptions=True)


# batches -------------------------------------------------------------------------------------------------------


async def test_who_waits_together_commits_together(database_url: str) -> None:
    """Two hundred callers at once take a few commits, and their entries stand without a gap."""
    async with opened(database_url) as ledger:
        await town(ledger)
        before = ledger.sequencer.batches
        await asyncio.gather(*(ledgers.award(ledger, "east", "sub_east", f"d{i}", points=100) for i in range(200)))
        assert ledger.sequencer.batches - before <= 3
        rows = await ledger.fetch("SELECT seq FROM entry ORDER BY seq")
        assert [(i,) for i in range(202)] == rows
        assert {"9999-12-31": 20_000} == await ledgers.lots(ledger, "east", "subject:sub_east")


async def test_a_heavy_queue_is_cut_into_batches(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch holds so many entries and no more; one command that is heavier goes alone and is never split."""
    monkeypatch.setattr(sequencer, "BATCH_WEIGHT_MAX", 10)
    async with opened(database_url) as ledger:
        await town(ledger)
        before = ledger.sequencer.batches
        steps = [capped(ledger, "east", "sub_east", f"d{i}", 10**6) for i in range(30)]
        steps[7].weight = 50
        await asyncio.gather(*map(ledger.submit, steps))
        assert 4 <= ledger.sequencer.batches - before <= 6


async def test_a_refused_command_leaves_no_trace(database_url: str) -> None:
    """What a command changed before it was refused is undone, alone: neighbours in the batch stand."""
    async with opened(database_url) as ledger:
        await town(ledger)

        def decide(view: View) -> None:
            awards.award(view, ledgers.award_draft(ledger, "east", "sub_east", "x"), standing=100, points=100)
            view.insert(HOLD, ("east", "h", "sub_east", "held", 1, 1, 0, 0, 0, "{}", "", 1, bytes(32), "mer_1"))
            view.set_takeover("east", 0)
            raise Refusal("insufficient_points", available=0, needed=1)

        one, no, two = await settled(
            ledgers.award(ledger, "east", "sub_east", "a", points=100),
            ledger.submit(Step(decide, ("east",))),
            ledgers.award(ledger, "east", "sub_east", "b", points=100),
        )
        assert isinstance(no, Refusal) and no.facts == {"available": 0, "needed": 1}
        assert (one.seq, two.seq) == (2, 3)
        assert two.prev == one.leaf
        assert {"9999-12-31": 200} == await ledgers.lots(ledger, "east", "subject:sub_east")


async def test_what_a_refusal_leaves_stays(database_url: str) -> None:
    """A try that counts though it failed is written; all else that the command changed is undone, and a retry finds the
    refusal without counting again."""
    async with opened(database_url) as ledger:
        await town(ledger)

        def decide(view: View) -> None:
            tries = view.get(REQUEST, "till", "tries")
            no = Refusal("rate_limited")
            no.leaves = ((REQUEST, ("till", "tries", bytes(32), tries[3] + 1 if tries else 1, "", "", 0)),)
            awards.award(view, ledgers.award_draft(ledger, "east", "sub_east", "x"), standing=100, points=100)
            raise no

        retry = ledger.retry("c", "k", b"{}")
        first = [ledger.submit(Step(decide, ("east",), one)) for one in (None, None, retry)]
        again = ledger.submit(Step(decide, ("east",), retry))
        said = [*await settled(*first), *await settled(again)]
        assert ["rate_limited"] * 4 == [one.code for one in said]
        assert [(3,)] == await ledger.fetch("SELECT status FROM request WHERE caller = 'till'")
        assert 2 == await count(ledger)


async def test_a_command_that_raises_fails_alone(database_url: str) -> None:
    """A mistake in one decision is that caller's error; it is not stored under the retry key."""
    async with opened(database_url) as ledger:
        await town(ledger)

        def decide(view: View) -> None:
            awards.award(view, ledgers.award_draft(ledger, "east", "sub_east", "x"), standing=100, points=100)
            raise ZeroDivisionError

        retry = ledger.retry("c", "k", b"{}")
        one, bad, two = await settled(
            ledgers.award(ledger, "east", "sub_east", "a", points=100),
            ledger.submit(Step(decide, ("east",), retry)),
            ledgers.award(ledger, "east", "sub_east", "b", points=100),
        )
        assert isinstance(bad, ZeroDivisionError)
        assert (one.seq, two.seq) == (2, 3)
        assert 0 == await count(ledger, "request")


POISON = {
    "breaks a CHECK": lambda view: view.insert(
        HOLD, ("east", "h", "sub_east", "held", 1, 0, 0, 0, 0, "{}", "", 1, bytes(32), "mer_1")
    ),
    "a key that is there": lambda view: view.insert(
        MEMBER, ("east", "sub_east", "person", "open", "east", 1)
    ),
    "too wide an integer": lambda view: view.insert(
        HOLD, ("east", "h", "sub_east", "held", 2**70, 1, 0, 0, 0, "{}", "", 1, bytes(32), "mer_1")
    ),
    "a type no database takes": lambda view: view.insert(CAUSE, (object(), "east", 1, 0, 0)),
    "a text that is not Unicode": lambda view: view.insert(
        MEMBER, ("east", "sub_\ud800", "person", "open", "east", 1)
    ),
}  # fmt: skip


@pytest.mark.parametrize("poison", POISON)
async def test_a_command_that_the_database_refuses_fails_alone(database_url: str, poison: str) -> None:
    """The batch is split until the poisoned command stands alone; the rest commits, each once."""
    async with opened(database_url) as ledger:
        await town(ledger)
        before = [ledgers.award(ledger, "east", "sub_east", f"a{i}", points=100) for i in range(5)]
        after = [ledgers.award(ledger, "east", "sub_east", f"b{i}", points=100) for i in range(4)]
        outcomes = await settled(*before, ledger.submit(Step(POISON[poison], ("east",))), *after)
        assert isinstance(outcomes[5], Exception) and not isinstance(outcomes[5], Refusal)
        assert list(range(2, 11)) == sorted(one.seq for one in outcomes if isinstance(one, Sealed))
        assert {"9999-12-31": 900} == await ledgers.lots(ledger, "east", "subject:sub_east")


async def test_a_refusal_that_cannot_be_kept_fails_alone(database_url: str) -> None:
    """Facts that are no JSON are a mistake of that command."""

    def decide(view: View) -> None:
        raise Refusal("facts_invalid", found=object())

    async with opened(database_url) as ledger:
        await town(ledger)
        bad, good = await settled(
            ledger.submit(Step(decide, ("east",), ledger.retry("c", "k", b"{}"))),
            ledgers.award(ledger, "east", "sub_east", "a", points=100),
        )
        assert isinstance(bad, Exception)
        assert good.seq == 2


# retry keys ----------------------------------------------------------------------------------------------------


async def test_the_same_request_again_gets_the_same_answer(database_url: str) -> None:
    """Accepted or refused, now or after a restart: the first answer, and the decision is not made again."""
    async with opened(database_url, whole=False) as ledger:
        await town(ledger)
        yes, no = ledger.retry("c", "yes", b"{1}"), ledger.retry("c", "no", b"{2}")
        asked: list[str] = []

        def refuse(view: View) -> None:
            asked.append("no")
            raise Refusal("insufficient_points", available=3, needed=5)

        await ledgers.award(ledger, "east", "sub_east", "a", points=100, retry=yes)
        with pytest.raises(Refusal) as first:
            await ledger.submit(Step(refuse, ("east",), no))
        assert not first.value.replayed
    async with opened(database_url) as ledger:
        again = await ledger.submit(Step(lambda view: pytest.fail("decided twice"), ("east",), yes))
        assert again.replayed and again.status == 200
        with pytest.raises(Refusal) as second:
            await ledger.submit(Step(refuse, ("east",), no))
        assert second.value.replayed
        assert (second.value.code, second.value.facts) == (first.value.code, first.value.facts)
        assert ["no"] == asked
        assert 3 == await count(ledger)


async def test_a_retry_key_stands_for_one_request(database_url: str) -> None:
    """Same key, other request: `idempotency_key_reused`; another caller's key is another key."""
    async with opened(database_url) as ledger:
        await town(ledger)
        await ledgers.award(ledger, "east", "sub_east", "a", points=1, retry=ledger.retry("c", "k", b"{1}"))
        with pytest.raises(Refusal, match="idempotency_key_reused"):
            await ledgers.award(ledger, "east", "sub_east", "b", points=1, retry=ledger.retry("c", "k", b"{2}"))
        await ledgers.award(ledger, "east", "sub_east", "b", points=1, retry=ledger.retry("d", "k", b"{2}"))
        assert {"9999-12-31": 2} == await ledgers.lots(ledger, "east", "subject:sub_east")


async def test_the_same_request_twice_in_one_batch(database_url: str) -> None:
    """A double click is one award."""
    async with opened(database_url) as ledger:
        await town(ledger)
        retry = ledger.retry("c", "k", b"{}")
        steps = [capped(ledger, "east", "sub_east", "a") for _ in range(5)]
        for step in steps:
            step.retry = retry
        answers = await asyncio.gather(*map(ledger.submit, steps))
        assert [False, True, True, True, True] == [answer.replayed for answer in answers]
        assert {"9999-12-31": 100} == await ledgers.lots(ledger, "east", "subject:sub_east")


@pytest.mark.parametrize("same", [True, False])
async def test_one_retry_key_in_two_journals_at_once(database_url: str, same: bool) -> None:
    """Two servers, two journals, no lock in common: one wins; the other replays, or is told that the key is taken."""
    async with opened(database_url) as one, opened(database_url, seed=2) as two:
        await town(one, "east", "west")
        for i in range(8):
            left, right = capped(one, "east", "sub_east", f"{i}", 10**6), capped(two, "west", "sub_west", f"{i}", 10**6)
            left.retry = one.retry("c", f"k{i}", b"{1}")
            right.retry = two.retry("c", f"k{i}", b"{1}" if same else b"{2}")
            outcomes = await settled(one.submit(left), two.submit(right))
            if same:
                assert [False, True] == sorted(answer.replayed for answer in outcomes)
            else:
                assert ["Refusal"] == [type(x).__name__ for x in outcomes if isinstance(x, Exception)]
                assert ["idempotency_key_reused"] == [x.code for x in outcomes if isinstance(x, Refusal)]
            assert 4 + i + 1 == await count(one)


# the queue -----------------------------------------------------------------------------------------------------


async def test_a_full_queue_says_so(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit is told at once to come back; what was accepted is done."""
    monkeypatch.setattr(sequencer, "QUEUE_WEIGHT_MAX", 10)
    async with opened(database_url) as ledger:
        await town(ledger)
        steps = [capped(ledger, "east", "sub_east", f"d{i}", 10**6) for i in range(20)]
        outcomes = await settled(*map(ledger.submit, steps))
        full = [x for x in outcomes if isinstance(x, Unavailable)]
        assert {"queue_full"} == {x.code for x in full}
        assert 10 == len(full) and 1 == full[0].facts["retry_after"]
        assert 12 == await count(ledger)
        await ledger.submit(capped(ledger, "east", "sub_east", "later", 10**6))


async def test_closing_finishes_what_is_queued(database_url: str) -> None:
    """Nobody who was accepted is left without an answer; who comes later is turned away."""
    async with opened(database_url, whole=False) as ledger:
        await town(ledger)
        waiting = [asyncio.create_task(ledgers.award(ledger, "east", "sub_east", f"d{i}", points=1)) for i in range(30)]
        await asyncio.sleep(0)
        await ledger.sequencer.close()
        assert 30 == len(await asyncio.gather(*waiting))
        with pytest.raises(Unavailable, match="read_only"):
            await ledgers.award(ledger, "east", "sub_east", "late", points=1)


async def test_a_caller_that_gave_up_while_queued_asked_for_nothing(database_url: str) -> None:
    """A cancelled command that has not begun is not run."""
    async with opened(database_url) as ledger:
        await town(ledger)
        tasks = [asyncio.create_task(ledgers.award(ledger, "east", "sub_east", f"d{i}", points=1)) for i in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await settled(*tasks)
        assert 4 == await count(ledger)


# the database says no, or nothing ------------------------------------------------------------------------------


async def test_a_lost_race_is_decided_again(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A conflict throws the decision away, memory included; the next one sees what the winner wrote."""
    async with opened(database_url) as ledger, opened(database_url, seed=2) as rival:
        await town(ledger)
        write, lost = ledger.store.write, 0

        async def lose_first(*args: Any) -> None:
            nonlocal lost
            lost += 1
            if lost == 1:
                await ledger.store.rollback()
                await ledgers.award(rival, "east", "sub_east", "theirs", points=250)
                raise Conflict("head of east is not at 2")
            await write(*args)

        monkeypatch.setattr(ledger.store, "write", lose_first)
        sealed = await ledgers.award(ledger, "east", "sub_east", "ours", points=100)
        assert sealed.seq == 3
        assert {"9999-12-31": 350} == await ledgers.lots(ledger, "east", "subject:sub_east")


async def test_a_race_that_is_always_lost_ends(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a few attempts the caller is told; nothing was written."""
    async with opened(database_url) as ledger:
        await town(ledger)

        async def lose(*args: Any) -> None:
            raise Conflict("always")

        with monkeypatch.context() as patched:
            patched.setattr(ledger.store, "write", lose)
            with pytest.raises(Conflict):
                await ledgers.award(ledger, "east", "sub_east", "a", points=100)
        assert 2 == (await ledgers.award(ledger, "east", "sub_east", "a", points=100)).seq


async def test_an_unknown_commit_that_happened_is_answered(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line broke after COMMIT: the head is read, and the caller gets the answer that is true."""
    async with opened(database_url) as ledger:
        await town(ledger)
        commit = ledger.store.commit

        async def commit_and_break() -> None:
            await commit()
            raise StoreLost(OSError("gone"), committing=True)

        with monkeypatch.context() as patched:
            patched.setattr(ledger.store, "commit", commit_and_break)
            sealed = await ledgers.award(ledger, "east", "sub_east", "a", points=100)
        assert sealed.seq == 2
        assert sealed.leaf.hex() == (await ledger.entry("east", 2)).leaf
        assert 3 == (await ledgers.award(ledger, "east", "sub_east", "b", points=100)).seq


async def test_an_unknown_commit_that_did_not_happen_is_not_claimed(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line broke before COMMIT: nothing was decided, and the same request may be sent again."""
    async with opened(database_url) as ledger:
        await town(ledger)
        retry = ledger.retry("c", "k", b"{}")

        async def break_before() -> None:
            raise StoreLost(OSError("gone"), committing=True)

        with monkeypatch.context() as patched:
            patched.setattr(ledger.store, "commit", break_before)
            with pytest.raises(Unavailable, match="database_unavailable"):
                await ledgers.award(ledger, "east", "sub_east", "a", points=100, retry=retry)
        assert 2 == await count(ledger)
        assert 2 == (await ledgers.award(ledger, "east", "sub_east", "a", points=100, retry=retry)).seq


async def test_a_killed_connection_is_replaced(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server ends our session: who is told nothing was decided asks again, and the next ones are served."""
    async with opened(postgres_url) as ledger:
        await town(ledger)
        for moment in ("between two commits", "inside one"):
            kill = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'jifen' AND datname = current_database()"
            )
            if moment == "inside one":
                load = ledger.store.load

                async def load_late(*args: Any, load: Any = load, kill: str = kill) -> Any:
                    await ledger.fetch(kill)
                    monkeypatch.undo()
                    return await load(*args)

                monkeypatch.setattr(ledger.store, "load", load_late)
                retry = ledger.retry("c", "k", b"{}")
                with pytest.raises(Unavailable, match="database_unavailable"):
                    await ledgers.award(ledger, "east", "sub_east", "b", points=100, retry=retry)
            else:
                await ledger.fetch(kill)
                await settled(ledgers.award(ledger, "east", "sub_east", "a", points=100))
            await ledgers.award(ledger, "east", "sub_east", moment, points=100)


# rows in memory ------------------------------------------------------------------------------------------------


async def test_rows_in_memory_stay_few(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many people and holds pass through, memory keeps no more than its bound, and forgets no point."""
    monkeypatch.setattr(sequencer, "CACHE_ROWS_MAX", 40)
    async with opened(database_url) as ledger:
        await ledgers.open_journal(ledger, "east")
        kept: list[int] = []
        for i in range(30):
            await ledgers.open_account(ledger, "east", f"sub_{i}")
            await ledgers.award(ledger, "east", f"sub_{i}", f"d{i}", points=100)
            await ledgers.hold(ledger, "east", f"sub_{i}", f"h{i}", 60)
            kept.append(sum(map(len, ledger.sequencer._cache.values())))
        assert 20 < max(kept) <= 40 + 10  # what the one command of a batch reads comes on top
        for i in range(30):
            assert {"9999-12-31": 40} == await ledgers.lots(ledger, "east", f"subject:sub_{i}")


# several servers -----------------------------------------------------------------------------------------------


async def test_two_servers_keep_one_chain(database_url: str) -> None:
    """Taking turns, each sees what the other wrote: no gap, no fork, no stale balance."""
    async with opened(database_url) as one, opened(database_url, seed=2) as two:
        await town(one)
        for i in range(12):
            ledger = (one, two)[i % 2]
            sealed = await ledgers.award(ledger, "east", "sub_east", f"d{i}", points=100)
            assert sealed.seq == 2 + i
        await ledgers.hold(two, "east", "sub_east", "h1", 1_100)
        with pytest.raises(Refusal, match="insufficient_points") as no:
            await ledgers.hold(one, "east", "sub_east", "h2", 101)
        assert no.value.facts["available"] == 100


async def test_two_servers_at_once_keep_every_cap(database_url: str) -> None:
    """Sixty awards from two servers against a cap of three: three."""
    async with opened(database_url) as one, opened(database_url, seed=2) as two:
        await town(one)
        steps = [(one, two)[i % 2].submit(capped((one, two)[i % 2], "east", "sub_east", f"d{i}")) for i in range(60)]
        outcomes = await settled(*steps)
        assert 57 == sum(isinstance(x, Refusal) and x.code == "cap_reached" for x in outcomes)
        assert {"9999-12-31": 300} == await ledgers.lots(one, "east", "subject:sub_east")


async def test_one_deed_reported_to_two_servers_at_once(database_url: str) -> None:
    """One award; the other report is a duplicate."""
    async with opened(database_url) as one, opened(database_url, seed=2) as two:
        await town(one)
        for i in range(8):
            outcomes = await settled(
                *(ledgers.award(ledger, "east", "sub_east", f"deed{i}", points=100) for ledger in (one, two))
            )
            assert ["duplicate_cause"] == [x.code for x in outcomes if isinstance(x, Refusal)]


async def test_a_row_made_under_another_journals_lock_is_not_written_over(database_url: str) -> None:
    """A counter that several journals share and that no row stands for yet: nobody's count is lost."""
    async with opened(database_url) as one, opened(database_url, seed=2) as two:
        await town(one, "east", "west")

        def bump(view: View, journal: str) -> None:
            view.head(journal)
            row = view.get(REQUEST, "counter", "k")
            view.put(REQUEST, ("counter", "k", bytes(32), (row[3] if row else 0) + 1, "", "", 0))

        for _ in range(10):
            await asyncio.gather(
                one.submit(Step(lambda view: bump(view, "east"), ("east",))),
                two.submit(Step(lambda view: bump(view, "west"), ("west",))),
            )
        assert [(20,)] == await one.fetch("SELECT status FROM request WHERE caller = 'counter'")


async def test_what_was_read_without_a_lock_is_not_kept(database_url: str) -> None:
    """A glance into another journal takes its lock too, so that nothing stale is spent from later."""
    async with opened(database_url) as one, opened(database_url, seed=2) as two:
        await town(one, "east", "west")
        await ledgers.award(one, "east", "sub_east", "a", points=100)
        glance = Step(lambda view: view.balances("east", "subject:sub_east", "points"), ("west",))
        assert {"9999-12-31": 100} == (await two.submit(glance)).value
        await ledgers.hold(one, "east", "sub_east", "h1", 80)
        assert {"9999-12-31": 20} == (await two.submit(glance)).value
        with pytest.raises(Refusal, match="insufficient_points"):
            await ledgers.hold(two, "east", "sub_east", "h2", 50)


async def test_a_cap_counted_in_the_same_commit_moves_along(database_url: str) -> None:
    """Award and move in one batch: the new home knows what the cap has counted."""
    async with opened(database_url) as ledger:
        await town(ledger, "east", "west")
        first, moved = await settled(
            ledger.submit(capped(ledger, "east", "sub_east", "a", 100)),
            ledgers.move(ledger, "east", "west", "sub_east"),
        )
        assert not isinstance(first, Exception) and not isinstance(moved, Exception)
        with pytest.raises(Refusal, match="cap_reached"):
            await ledger.submit(capped(ledger, "west", "sub_east", "b", 100))
        with pytest.raises(Refusal, match="duplicate_cause"):
            await ledger.submit(capped(ledger, "west", "sub_east", "a", 10**6))


async def test_two_servers_open_one_journal(database_url: str) -> None:
    """One opens it; the other hears that it is open."""
    async with opened(database_url) as one, opened(database_url, seed=2) as two:
        outcomes = await settled(ledgers.open_journal(one, "east"), ledgers.open_journal(two, "east"))
        assert ["already_open"] == [x.code for x in outcomes if isinstance(x, Refusal)]


async def test_moves_in_both_directions_at_once(database_url: str) -> None:
    """Two servers, two journals, opposite ways: locks are taken in one order and both moves happen."""
    async with opened(database_url) as one, opened(database_url, seed=2) as two:
        await town(one, "east", "west")
        for _ in range(4):
            await asyncio.gather(
                ledgers.move(one, "east", "west", "sub_east"), ledgers.move(two, "west", "east", "sub_west")
            )
            await asyncio.gather(
                ledgers.move(two, "west", "east", "sub_east"), ledgers.move(one, "east", "west", "sub_west")
            )
        assert 4 + 16 * 2 == await count(one)


async def test_the_last_points_are_spent_once(database_url: str) -> None:
    """A hundred tills at two servers ask for the last points: one gets them."""
    async with opened(database_url) as one, opened(database_url, seed=2) as two:
        await town(one)
        await ledgers.award(one, "east", "sub_east", "a", points=100)
        outcomes = await settled(
            *(ledgers.hold((one, two)[i % 2], "east", "sub_east", f"h{i}", 100) for i in range(100))
        )
        assert 99 == sum(isinstance(x, Refusal) and x.code == "insufficient_points" for x in outcomes)


# composed decisions --------------------------------------------------------------------------------------------


async def test_points_that_a_redemption_earned_go_back_with_its_refund(database_url: str) -> None:
    """Buy, earn, refund: refund and reversal are one command, so nobody keeps both the money and the bonus."""
    async with opened(database_url) as ledger:
        await town(ledger)
        await ledgers.award(ledger, "east", "sub_east", "work", points=500)
        await ledgers.hold(ledger, "east", "sub_east", "h", 500)
        await ledgers.capture(ledger, "east", "h", 500)
        bonus = await ledgers.award(ledger, "east", "sub_east", "redemption h", points=50)
        await ledgers.hold(ledger, "east", "sub_east", "h2", 30)
        entry = await ledger.entry("east", bonus.seq)
        act = ledgers.act(ledger)

        def decide(view: View) -> list[Sealed]:
            reversal = awards.reverse(view, "east", act, entry.fields, entry.leaf, policy="only_available")
            back = holds.refund(view, "east", act, hold="h", merchant="mer_1", amount=500)
            return [reversal, *back]

        sealed = (await ledger.submit(Step(decide, ("east",)))).value
        entries = [(await ledger.entry("east", one.seq)).fields for one in sealed]
        assert 1 == len({one["txn"] for one in entries})
        # All lots here are one lot: the thirty held elsewhere are out of reach, twenty were left to give back.
        assert 30 == entries[0]["data"]["shortfall"]
        assert {"9999-12-31": 500} == await ledgers.lots(ledger, "east", "subject:sub_east")


# the clock -----------------------------------------------------------------------------------------------------


async def test_a_small_step_back_of_the_clock_is_bridged(database_url: str) -> None:
    """Up to five seconds: instants go on by a microsecond."""
    clock = FixedClock()
    async with opened(database_url, clock) as ledger:
        await town(ledger)
        clock.advance(seconds=1)
        first = await ledgers.award(ledger, "east", "sub_east", "a", points=1)
        clock.advance(seconds=-5)
        second = await ledgers.award(ledger, "east", "sub_east", "b", points=1)
        assert second.recorded_at == first.recorded_at + 1


async def test_a_large_step_back_stops_posting(database_url: str) -> None:
    """Beyond five seconds nothing is recorded, refused or remembered until the clock is right again."""
    clock = FixedClock()
    async with opened(database_url, clock) as ledger:
        await town(ledger)
        retry = ledger.retry("c", "k", b"{}")
        clock.advance(seconds=-6)
        with pytest.raises(Unavailable, match="clock_unsafe"):
            await ledgers.award(ledger, "east", "sub_east", "a", points=1, retry=retry)
        assert 0 == await count(ledger, "request")
        clock.advance(seconds=6)
        assert 2 == (await ledgers.award(ledger, "east", "sub_east", "a", points=1, retry=retry)).seq


def test_a_leap_ahead_of_the_wall_clock_is_not_believed() -> None:
    """Far ahead of the monotonic clock: unsafe, until a person accepts it."""
    guard = Guard()
    guard.now()
    guard._wall0 -= 2 * 3_600_000_000
    with pytest.raises(Unavailable, match="clock_unsafe"):
        guard.now()
    guard.accept()
    guard.now()


async def test_opening_needs_no_luck(database_url: str) -> None:
    """A command that names no journal is decided again with the locks it turns out to need."""
    async with opened(database_url) as ledger:
        await town(ledger, "east", "west")
        act = ledgers.act(ledger)
        left, came = (
            await ledger.submit(Step(lambda view: accounts.move(view, "east", "west", act, subject="sub_east")))
        ).value
        assert (left.journal, came.journal) == ("east", "west")
        with pytest.raises(Refusal, match="not_found"):
            await ledger.submit(Step(lambda view: view.head("nowhere")))


async def test_rows_are_locked_in_one_order(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that name the same rows the other way round lock them alike, so two processes never wait in a circle."""
    async with opened(database_url) as ledger:
        loaded: list[str] = []
        load = ledger.store.load

        async def noted(table: Any, prefixes: Any) -> Any:
            loaded.append(table.name)
            return await load(table, prefixes)

        monkeypatch.setattr(ledger.store, "load", noted)
        rows = ((REQUEST, ("caller", "key")), (CAUSE, (b"digest",)))
        for wanted in (rows, rows[::-1]):
            await ledger.submit(Step(lambda view: None, wanted=wanted))
        assert ["cause", "request"] * 2 == loaded

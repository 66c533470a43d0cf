# SPDX-License-Identifier: Apache-2.0
"""Statements as the rooms above meet them: made when a month is over, shown, disputed, answered, agreed and settled.

Who may call what is the door's to check; that a statement is not settled by who answered for it is checked here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ledger import codec, keys, note
from ledger.engine import Ledger
from ledger.errors import Refusal
from ledger.keys import Signer
from ledger.port import PutRows, Retry
from ledger.view import local_day
from merchants.settlement import state
from merchants.settlement.derive import account_before, backfill, lines_of, months_of
from merchants.settlement.lines import Account
from merchants.settlement.state import Dispute, Settlement, due
from merchants.settlement.statement import Statement, is_period, last_day, make, month_before, months, resume
from merchants.tables import SETTLEMENT, SETTLEMENT_DISPUTE, SETTLEMENT_RUN

REASON_MAX = 500
_COMMIT_US = 60_000_000  # what was decided before midnight is committed by then
REFERENCE_MAX = 64
HEADER = "jifen-statement/v1"
_ROW = ", ".join(SETTLEMENT.names)
_DISPUTE = ", ".join(SETTLEMENT_DISPUTE.names)
_VOUCHER_LINES = (
    "SELECT day, terminal, counter, redemption, points, reason FROM voucher_line "
    "WHERE merchant = ? AND day >= ? AND day <= ? AND result = 'dispute' ORDER BY created_at, terminal, counter"
)


class Objection(NamedTuple):
    """A dispute with its words."""

    row: Dispute
    reason: str
    answer: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A statement as it is shown: its fields, and, once it has been issued, its row, bytes and note. `vouchers` are
    uploaded lines of the month that were not captured: they are in nobody's account."""

    fields: dict[str, Any]
    row: Settlement | None = None
    body: bytes = b""
    note: str = ""
    disputes: tuple[Objection, ...] = ()
    vouchers: tuple[dict[str, Any], ...] = ()
    due: Mapping[str, tuple[int, int]] | None = None


class Ran(NamedTuple):
    """What making a month's statements came to. `fen`: open at the end of the month, over all of them."""

    made: int
    there: int
    fen: int


class Settlements:
    """The settlement office. `signer` gives the deployment's key in force; `key` seals what shops and staff write."""

    def __init__(self, ledger: Ledger, signer: Callable[[], Awaitable[Signer]], key: bytes, zone: str) -> None:
        self.ledger = ledger
        self._signer = signer
        self._key = key
        self.zone = zone

    @property
    def today(self) -> str:
        return local_day(self.ledger.clock(), self.zone)

    # making ----------------------------------------------------------------------------------------------------

    async def run(self, period: str) -> Ran:
        """Make every statement up to this month that is not there. Raises `period_not_over`; `statement_unsound` of one
        shop's entries once all others have their statements."""
        await self.check_over(period)
        if not await self.ledger.fetch("SELECT 1 FROM settlement_run LIMIT 1"):
            await backfill(self.ledger)
        signer = await self._signer()
        made, unsound = 0, None
        shops = await self.ledger.fetch("SELECT DISTINCT merchant FROM turnover WHERE month <= ?", period)
        for (merchant,) in sorted(shops):
            try:
                made += await self._run(signer, merchant, period)
            except Refusal as refusal:
                if refusal.code != "statement_unsound":
                    raise
                unsound = refusal
        if unsound is not None:
            raise unsound
        rows = await self.ledger.fetch(
            "SELECT COUNT(*), COALESCE(SUM(fen), 0) FROM settlement WHERE period = ?", period
        )
        count, fen = int(rows[0][0]), int(rows[0][1])
        row = (period, self.ledger.clock(), count)
        await self.ledger.submit(PutRows(puts=((SETTLEMENT_RUN, row),)))
        return Ran(made, count, fen)

    async def ran(self, period: str) -> bool:
        return bool(await self.ledger.fetch("SELECT 1 FROM settlement_run WHERE period = ?", period))

    async def check_over(self, period: str) -> None:
        """Is the month over here, and by the clock of every journal? Raises `period_not_over`, and `not_found` for what
        is no month."""
        if not is_period(period):
            raise Refusal("not_found", what="period", id=period)
        zones = {self.zone, *(zone for (zone,) in await self.ledger.fetch("SELECT DISTINCT zone FROM head"))}
        now = self.ledger.clock() - _COMMIT_US
        if any(local_day(now, zone) <= last_day(period) for zone in zones):
            raise Refusal("period_not_over", period=period, last=last_day(period))

    async def _run(self, signer: Signer, merchant: str, period: str) -> int:
        last = await self._last(merchant, period)
        if last is not None and last["period"] == period:
            return 0
        account = resume(last) if last else Account()
        done = 0
        since = last["period"] if last else ""
        busy = await months_of(self.ledger, merchant, period, since)
        for month in months(since or min(busy, default=period), period):
            # A month without entries has a statement too where something is open: none may be made after a later one.
            if month in busy or (month > since and account.open):
                made = await self._make(signer.name, merchant, month, account)
                answer = await self.ledger.submit(state.Issue(made, _note(made, signer), self.zone))
                done += bool(answer.value)
        return done

    async def _make(self, origin: str, merchant: str, month: str, account: Account) -> Statement:
        """The statement of a month, of which `account` is the beginning and then the end."""
        lines = await lines_of(self.ledger, merchant, month)
        made = await asyncio.to_thread(make, origin, merchant, month, account, lines)  # seconds for a big shop
        account.add(lines)
        return made

    async def _last(self, merchant: str, until: str) -> dict[str, Any] | None:
        rows = await self.ledger.fetch(
            "SELECT body FROM settlement_text WHERE merchant = ? AND period <= ? ORDER BY period DESC LIMIT 1",
            merchant,
            until,
        )
        return codec.decode(bytes(rows[0][0])) if rows else None

    # showing ---------------------------------------------------------------------------------------------------

    async def listing(self, merchant: str) -> list[Settlement]:
        """A shop's statements, newest first."""
        found = await self.ledger.fetch(
            f"SELECT {_ROW} FROM settlement WHERE merchant = ? ORDER BY period DESC", merchant
        )
        return state.rows(found)

    async def shown(self, merchant: str, period: str) -> Shown:
        """A statement that was issued; for a month without one, what it would be now. Raises `not_found`."""
        if not is_period(period):
            raise Refusal("not_found", what="statement", id=f"{merchant}/{period}")
        rows = await self.ledger.fetch(
            "SELECT body, note FROM settlement_text WHERE merchant = ? AND period = ?", merchant, period
        )
        vouchers = await self._vouchers(merchant, period)
        if not rows:
            return Shown(await self._preview(merchant, period), vouchers=vouchers)
        all_ = await self.listing(merchant)
        row = next(one for one in all_ if one.period == period)
        body = bytes(rows[0][0])
        open_ = due(row, all_) if row.state != "settled" else {}
        return Shown(codec.decode(body), row, body, rows[0][1], await self.disputes(merchant, period), vouchers, open_)

    async def _preview(self, merchant: str, period: str) -> dict[str, Any]:
        if period > self.today[:7]:
            raise Refusal("not_found", what="statement", id=f"{merchant}/{period}")
        last = await self._last(merchant, month_before(period))
        account = await account_before(self.ledger, merchant, period, last)
        made = await self._make((await self._signer()).name, merchant, period, account)
        if not made.fields["lines"] and not account.open:
            raise Refusal("not_found", what="statement", id=f"{merchant}/{period}")
        return made.fields

    async def disputes(self, merchant: str, period: str) -> tuple[Objection, ...]:
        """What the shop does not agree with, line by line, with the answers."""
        rows = await self.ledger.fetch(
            f"SELECT {_DISPUTE} FROM settlement_dispute WHERE merchant = ? AND period = ? ORDER BY line",
            merchant,
            period,
        )
        found = [Dispute.of((*row[:5], bytes(row[5]), *row[6:9], bytes(row[9]))) for row in rows]
        return tuple(
            Objection(one, self._unsealed(one, "reason", one.reason), self._unsealed(one, "answer", one.answer))
            for one in found
        )

    async def _vouchers(self, merchant: str, period: str) -> tuple[dict[str, Any], ...]:
        rows = await self.ledger.fetch(_VOUCHER_LINES, merchant, f"{period}-01", last_day(period))
        names = ("day", "terminal", "counter", "redemption", "points", "reason")
        return tuple(dict(zip(names, row, strict=True)) for row in rows)

    # what shop and community do ----------------------------------------------------------------------------------

    async def dispute(self, actor: str, merchant: str, period: str, *, lines: Sequence[int], reason: str) -> Settlement:
        """The shop does not agree with these lines; without any, with the statement as a whole."""
        numbers = tuple(sorted(set(lines))) or (state.WHOLE,)
        sealed = self._sealed(merchant, period, "reason", reason)
        return await self._do(state.Disputed(merchant, period, actor, self.zone, lines=numbers, reason=sealed))

    async def answer(
        self, actor: str, merchant: str, period: str, *, lines: Sequence[int], outcome: str, reason: str
    ) -> Settlement:
        """The community's answer to disputed lines, to all that are open where none is named."""
        sealed = self._sealed(merchant, period, "answer", reason)
        given = tuple(sorted(set(lines)))
        return await self._do(
            state.Answered(merchant, period, actor, self.zone, lines=given, outcome=outcome, answer=sealed)
        )

    async def accept(self, actor: str, merchant: str, period: str) -> Settlement:
        """The shop agrees."""
        return await self._do(state.Agreed(merchant, period, actor, self.zone))

    async def settle(
        self,
        actor: str,
        merchant: str,
        period: str,
        *,
        persons: Collection[str],
        reference: str,
        retry: Retry | None = None,
    ) -> tuple[Settlement, bool]:
        """The shop has been paid all that was open: one entry a journal. `persons` are the subjects that the actor is
        or acts for. True: the answer to a repeat."""
        all_ = await self.listing(merchant)
        row = next((one for one in all_ if one.period == period), None)
        if row is None:
            raise Refusal("not_found", what="statement", id=f"{merchant}/{period}")
        said = {"call": "settle", "merchant": merchant, "period": period, "reference": reference}
        command = state.Settled(
            merchant,
            period,
            actor,
            self.zone,
            retry,
            journals=tuple(due(row, all_)),
            persons=frozenset(persons),
            reference=reference,
            request=codec.canonical(said),
            txn=self.ledger.new_id("txn"),
            periods=tuple(one.period for one in all_ if one.period <= period and one.state != "settled"),
        )
        answer = await self.ledger.submit(command)
        if answer.value is None:
            return next(one for one in await self.listing(merchant) if one.period == period), True
        return answer.value, False

    async def _do(self, command: state.OnStatement) -> Settlement:
        return (await self.ledger.submit(command)).value

    # sealed words ------------------------------------------------------------------------------------------------

    def _sealed(self, merchant: str, period: str, what: str, text: str) -> bytes:
        return keys.seal(self._key, text.encode(), f"{merchant}/{period}/{what}".encode())

    def _unsealed(self, one: Dispute, what: str, sealed: bytes) -> str:
        if not sealed:
            return ""
        return keys.unseal(self._key, sealed, f"{one.merchant}/{one.period}/{what}".encode()).decode()


def _note(made: Statement, signer: Signer) -> str:
    """The signed note: what the statement comes to, and the digest of its bytes."""
    text = note_text(made.fields, made.sha256)
    return note.format_note(text, [note.sign(text, signer)]).decode()


def note_text(fields: Mapping[str, Any], sha256: str) -> str:
    """What is signed of a statement."""
    said = {name: fields[name] for name in ("closing", "merchant", "origin", "period")}
    said |= {"lines": fields["totals"]["lines"], "owed_fen": fields["totals"]["owed_fen"], "sha256": sha256}
    return f"{HEADER}\n{codec.canonical(said).decode()}\n"

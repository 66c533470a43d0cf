# SPDX-License-Identifier: Apache-2.0
"""The shop's tables: Piccolo classes for reading, and the same columns as the commit path sees them.

migrations/ has the SQL and says what the columns mean; nothing here creates or writes."""

from __future__ import annotations

from piccolo.columns import BigInt, Bytea, Text
from piccolo.table import Table

from ledger import tables


class MerchantRow(Table, tablename="merchant"):
    """A shop that takes points."""

    merchant = Text(primary_key=True, default=None)
    name = Text(default=None)
    community = Text(default=None)
    state = Text(default=None)
    version = BigInt(default=None)
    created_at = BigInt(default=None)
    circle = Text(default=None)
    hours = Text(default=None)
    subject = Text(default=None)
    per_minute = BigInt(default=None)
    per_day = BigInt(default=None)


class TerminalRow(Table, tablename="terminal"):
    """A till of a shop."""

    terminal = Text(primary_key=True, default=None)
    merchant = Text(default=None)
    name = Text(default=None)
    state = Text(default=None)
    created_at = BigInt(default=None)
    version = BigInt(default=None)


class OfferRow(Table, tablename="offer"):
    """What a shop gives, for how much, how many and until when."""

    offer = Text(primary_key=True, default=None)
    merchant = Text(default=None)
    community = Text(default=None)
    scenario = Text(default=None)
    title_zh = Text(default=None)
    title_en = Text(default=None)
    price = BigInt(default=None)
    cash_fen = BigInt(default=None)
    stock = BigInt(default=None)
    per_person = BigInt(default=None)
    from_day = Text(default=None)
    to_day = Text(default=None)
    state = Text(default=None)
    version = BigInt(default=None)
    proposer = Text(default=None)
    approver = Text(default=None)
    created_at = BigInt(default=None)
    value_fen = BigInt(default=None)


class RedemptionRow(Table, tablename="redemption"):
    """One order at the till; its id is its hold's id."""

    redemption = Text(primary_key=True, default=None)
    journal = Text(default=None)
    subject = Text(default=None)
    offer = Text(default=None)
    merchant = Text(default=None)
    community = Text(default=None)
    scenario = Text(default=None)
    quantity = BigInt(default=None)
    counted = BigInt(default=None)
    points = BigInt(default=None)
    cash_fen = BigInt(default=None)
    fen_per_point = BigInt(default=None)
    day = Text(default=None)
    mark = Text(default=None)
    expires_at = BigInt(default=None)
    actor = Text(default=None)
    terminal = Text(default=None)
    created_at = BigInt(default=None)
    beneficiary = Text(default=None)
    proxy = Text(default=None)
    value_fen = BigInt(default=None)
    budget = Text(default=None)
    consent = Text(default=None)
    way = Text(default=None)
    windows = Text(default=None)
    benefit_seq = BigInt(default=None)
    benefit_leaf = Text(default=None)
    stocked = BigInt(default=None)


class ReasonRow(Table, tablename="redemption_reason"):
    """Why an order was voided or refunded, sealed."""

    redemption = Text(primary_key=True, default=None)
    txn = Text(default=None)
    kind = Text(default=None)
    actor = Text(default=None)
    created_at = BigInt(default=None)
    sealed = Bytea(default=None)


class UsageRow(Table, tablename="usage"):
    """How much of a limit a person has used."""

    scope = Text(primary_key=True, default=None)
    subject = Text(default=None)
    start = Text(default=None)
    used = BigInt(default=None)


class BudgetRow(Table, tablename="budget"):
    """A year's money for one scenario at a place and below it."""

    budget = Text(primary_key=True, default=None)
    scenario = Text(default=None)
    place = Text(default=None)
    year = Text(default=None)
    name = Text(default=None)
    limit_fen = BigInt(default=None)
    spent = BigInt(default=None)
    state = Text(default=None)
    version = BigInt(default=None)
    created_at = BigInt(default=None)
    issue_limit = BigInt(default=None)


class AgreementRow(Table, tablename="agreement"):
    """What a shop has signed for a scenario."""

    agreement = Text(primary_key=True, default=None)
    merchant = Text(default=None)
    scenario = Text(default=None)
    number = Text(default=None)
    from_day = Text(default=None)
    to_day = Text(default=None)
    sha256 = Text(default=None)
    state = Text(default=None)
    version = BigInt(default=None)
    created_at = BigInt(default=None)


class TurnoverRow(Table, tablename="turnover"):
    """Where the entries of a shop stand, by month."""

    merchant = Text(primary_key=True, default=None)
    month = Text(default=None)
    journal = Text(default=None)
    seq = BigInt(default=None)


class ProbeRow(Table, tablename="probe"):
    """Totals that a shop was refused or called off for one person on one day."""

    merchant = Text(primary_key=True, default=None)
    subject = Text(default=None)
    day = Text(default=None)
    asked = Text(default=None)


class ScreenRow(Table, tablename="screen"):
    """What a screen gives its members, by day."""

    offer = Text(primary_key=True, default=None)
    plans = Text(default=None)
    version = BigInt(default=None)


class ScreenDayRow(Table, tablename="screen_day"):
    """What is sold and let go of a screen's day."""

    offer = Text(primary_key=True, default=None)
    day = Text(default=None)
    booked = BigInt(default=None)
    waived = Text(default=None)


class ScreenSlotRow(Table, tablename="screen_slot"):
    """The minutes of one order."""

    redemption = Text(primary_key=True, default=None)
    offer = Text(default=None)
    day = Text(default=None)
    subject = Text(default=None)
    minutes = BigInt(default=None)


class VelocityRow(Table, tablename="velocity"):
    """How often a till, a shop or a person came in the running minute or day."""

    what = Text(primary_key=True, default=None)
    id = Text(default=None)
    start = Text(default=None)
    used = BigInt(default=None)


class PassUsedRow(Table, tablename="pass_used"):
    """A code that was shown at a till."""

    digest = Bytea(primary_key=True, default=None)
    expires_at = BigInt(default=None)


class ChargeRow(Table, tablename="charge"):
    """What a till asks a person to approve."""

    charge = Text(primary_key=True, default=None)
    digest = Bytea(default=None)
    merchant = Text(default=None)
    terminal = Text(default=None)
    community = Text(default=None)
    offer = Text(default=None)
    quantity = BigInt(default=None)
    capture = BigInt(default=None)
    then_cash = BigInt(default=None)
    state = Text(default=None)
    redemption = Text(default=None)
    created_at = BigInt(default=None)
    expires_at = BigInt(default=None)


class SettlementRow(Table, tablename="settlement"):
    """A month's statement of a shop: what it comes to and how far it has got."""

    merchant = Text(primary_key=True, default=None)
    period = Text(default=None)
    sha256 = Text(default=None)
    points = BigInt(default=None)
    fen = BigInt(default=None)
    lines = BigInt(default=None)
    closing = Text(default=None)
    state = Text(default=None)
    made_at = BigInt(default=None)
    until_day = Text(default=None)
    agreed_by = Text(default=None)
    agreed_at = BigInt(default=None)
    settled_by = Text(default=None)
    settled_at = BigInt(default=None)
    settled_day = Text(default=None)
    settled_with = Text(default=None)
    paid = Text(default=None)
    reference = Text(default=None)


class SettlementTextRow(Table, tablename="settlement_text"):
    """The bytes of a statement, and the note that signs their digest."""

    merchant = Text(primary_key=True, default=None)
    period = Text(default=None)
    body = Bytea(default=None)
    note = Text(default=None)


class SettlementDisputeRow(Table, tablename="settlement_dispute"):
    """A line of a statement that the shop does not agree with, and what the community says to it."""

    merchant = Text(primary_key=True, default=None)
    period = Text(default=None)
    line = BigInt(default=None)
    actor = Text(default=None)
    at = BigInt(default=None)
    reason = Bytea(default=None)
    outcome = Text(default=None)
    answered_by = Text(default=None)
    answered_at = BigInt(default=None)
    answer = Bytea(default=None)


class SettlementRunRow(Table, tablename="settlement_run"):
    """A month whose statements have all been made."""

    period = Text(primary_key=True, default=None)
    made_at = BigInt(default=None)
    statements = BigInt(default=None)


class VoucherRow(Table, tablename="voucher"):
    """A voucher that was given out; its id is its order's."""

    voucher = Text(primary_key=True, default=None)
    ends = BigInt(default=None)
    fields = Bytea(default=None)


class VoucherLineRow(Table, tablename="voucher_line"):
    """What a till uploaded of a voucher, and what became of it."""

    terminal = Text(primary_key=True, default=None)
    counter = BigInt(default=None)
    digest = Bytea(default=None)
    merchant = Text(default=None)
    batch = Text(default=None)
    redemption = Text(default=None)
    points = BigInt(default=None)
    cash_fen = BigInt(default=None)
    result = Text(default=None)
    reason = Text(default=None)
    taken_at = BigInt(default=None)
    day = Text(default=None)
    created_at = BigInt(default=None)


MERCHANT = tables.of(MerchantRow)
TERMINAL = tables.of(TerminalRow)
OFFER = tables.of(OfferRow)
REDEMPTION = tables.of(RedemptionRow)
REASON = tables.of(ReasonRow, key=2)
USAGE = tables.of(UsageRow, key=3)
BUDGET = tables.of(BudgetRow)
AGREEMENT = tables.of(AgreementRow)
TURNOVER = tables.of(TurnoverRow, key=4)
PROBE = tables.of(ProbeRow, key=3)
SCREEN = tables.of(ScreenRow)
SCREEN_DAY = tables.of(ScreenDayRow, key=2)
SCREEN_SLOT = tables.of(ScreenSlotRow)
VELOCITY = tables.of(VelocityRow, key=2)
PASS_USED = tables.of(PassUsedRow)
CHARGE = tables.of(ChargeRow)
VOUCHER = tables.of(VoucherRow)
VOUCHER_LINE = tables.of(VoucherLineRow, key=3, group=2)
SETTLEMENT = tables.of(SettlementRow, key=2, group=1)
SETTLEMENT_TEXT = tables.of(SettlementTextRow, key=2)
SETTLEMENT_DISPUTE = tables.of(SettlementDisputeRow, key=3, group=2)
SETTLEMENT_RUN = tables.of(SettlementRunRow)

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


class TerminalRow(Table, tablename="terminal"):
    """A till of a shop."""

    terminal = Text(primary_key=True, default=None)
    merchant = Text(default=None)
    name = Text(default=None)
    state = Text(default=None)
    created_at = BigInt(default=None)


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


MERCHANT = tables.of(MerchantRow)
TERMINAL = tables.of(TerminalRow)
OFFER = tables.of(OfferRow)
REDEMPTION = tables.of(RedemptionRow)
REASON = tables.of(ReasonRow, key=2)
USAGE = tables.of(UsageRow, key=3)

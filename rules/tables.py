# SPDX-License-Identifier: Apache-2.0
"""The room's tables: once for reading through Piccolo, once for the commit path. The DDL is in `migrations/`."""

from __future__ import annotations

from piccolo.columns import BigInt, Bytea, Text
from piccolo.table import Table

from ledger import tables


class PlaceRow(Table, tablename="place"):
    """One node of the tree county, street, community, grid, building, unit."""

    code = Text(primary_key=True, default=None)
    name = Text(default=None)
    level = Text(default=None)
    parent = Text(default=None, null=True)
    from_day = Text(default=None)
    to_day = Text(default=None, null=True)
    changed_at = BigInt(default=None)


class SubjectRow(Table, tablename="subject"):
    """Whoever has an account: at home in the journal `home`, living or seated in `grid`; `groups` is JSON."""

    subject = Text(primary_key=True, default=None)
    kind = Text(default=None)
    home = Text(default=None)
    grid = Text(default=None)
    groups = Text(default=None)
    state = Text(default=None)
    registered_at = BigInt(default=None)


class BodyRow(Table, tablename="body"):
    """A shop, company, committee or team. Its name is public; `contact` (a person and a phone) is sealed."""

    subject = Text(primary_key=True, default=None)
    name = Text(default=None)
    type = Text(default=None)
    uscc = Text(default=None, null=True)
    claim = Text(default=None)
    community = Text(default=None)
    contact = Bytea(default=None)
    registered_at = BigInt(default=None)


class BodyClaimRow(Table, tablename="body_claim"):
    """Which body a credit code, or a name in a community where there is no code, stands for."""

    claim = Text(primary_key=True, default=None)
    subject = Text(default=None)


PLACE = tables.of(PlaceRow)
SUBJECT = tables.of(SubjectRow)
BODY = tables.of(BodyRow)
BODY_CLAIM = tables.of(BodyClaimRow)


# the desk ------------------------------------------------------------------------------------------------------


class AwardRow(Table, tablename="award"):
    """One reported deed and what became of it. `outcome` is what its evaluation gave, `state` where it stands now;
    request, trace and reasons are in `sealed`, under the subject's data key."""

    id = Text(primary_key=True, default=None)
    batch = Text(default=None, null=True)
    line = BigInt(default=None, null=True)
    state = Text(default=None)
    outcome = Text(default=None)
    code = Text(default=None, null=True)
    subject = Text(default=None)
    journal = Text(default=None, null=True)
    seq = BigInt(default=None, null=True)
    leaf = Bytea(default=None, null=True)
    place = Text(default=None)
    indicator = Text(default=None)
    grp = Text(default=None)
    occurred_on = Text(default=None)
    level = Text(default=None)
    standing = BigInt(default=None)
    points = BigInt(default=None)
    proposer = Text(default=None)
    approver = Text(default=None, null=True)
    created_at = BigInt(default=None)
    reversal_journal = Text(default=None, null=True)
    reversal_seq = BigInt(default=None, null=True)
    sealed = Bytea(default=None)


class BatchRow(Table, tablename="batch"):
    """Many deeds handed in together: one decision, one approval, one reversal. `rest` is JSON of the rows that made
    no award; `places` are those of the deeds, `place` the one above them all."""

    id = Text(primary_key=True, default=None)
    state = Text(default=None)
    source = Text(default=None)
    proposer = Text(default=None)
    approver = Text(default=None, null=True)
    place = Text(default=None)
    places = Text(default=None)
    lines = BigInt(default=None)
    standing = BigInt(default=None)
    points = BigInt(default=None)
    counts = Text(default=None)
    rest = Text(default=None)
    why = Text(default=None)
    created_at = BigInt(default=None)
    decided_at = BigInt(default=None, null=True)


class ApprovalRow(Table, tablename="approval"):
    """What waits for a second person. `version` rises with every change, so nobody approves what they did not see."""

    id = Text(primary_key=True, default=None)
    kind = Text(default=None)
    target = Text(default=None)
    proposer = Text(default=None)
    proposer_subject = Text(default=None, null=True)
    place = Text(default=None)
    places = Text(default=None)
    why = Text(default=None)
    lines = BigInt(default=None)
    standing = BigInt(default=None)
    points = BigInt(default=None)
    state = Text(default=None)
    version = BigInt(default=None)
    created_at = BigInt(default=None)
    decided_by = Text(default=None, null=True)
    decided_at = BigInt(default=None, null=True)
    reason = Text(default=None, null=True)
    changed = Text(default=None)


AWARD = tables.of(AwardRow)
BATCH = tables.of(BatchRow)
APPROVAL = tables.of(ApprovalRow)

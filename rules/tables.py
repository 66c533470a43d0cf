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


# packs ---------------------------------------------------------------------------------------------------------


class PackRow(Table, tablename="pack"):
    """A pack on the shelf: published, or (without a proposal) the one that the first journal was founded on. `files` is
    JSON, each file's name with its text."""

    id = Text(default=None)
    hash = Text(primary_key=True, default=None)
    version = Text(default=None)
    effective_from = Text(default=None)
    published_at = BigInt(default=None)
    proposal = Text(default=None)
    proposer = Text(default=None)
    approver = Text(default=None)
    files = Bytea(default=None)


class PackProposalRow(Table, tablename="pack_proposal"):
    """A pack that somebody wants to publish, with what the gate said of it (`report`, JSON)."""

    id = Text(primary_key=True, default=None)
    pack = Text(default=None)
    version = Text(default=None)
    hash = Text(default=None)
    effective_from = Text(default=None)
    proposer = Text(default=None)
    created_at = BigInt(default=None)
    files = Bytea(default=None)
    report = Bytea(default=None)


class ShelfRow(Table, tablename="shelf"):
    """How many journals have been opened under this shelf: whoever publishes sees that none has been missed."""

    name = Text(primary_key=True, default=None)
    journals = BigInt(default=None)


PACK = tables.of(PackRow, key=2, group=1)  # all packs of one id together
PACK_PROPOSAL = tables.of(PackProposalRow)
SHELF = tables.of(ShelfRow)


# objections ----------------------------------------------------------------------------------------------------


class ObjectionRow(Table, tablename="objection"):
    """What a subject disputes and what became of it. `journal`, `seq`, `leaf` are the entry that says it was made;
    reasons are in `sealed`, under the subject's data key."""

    id = Text(primary_key=True, default=None)
    state = Text(default=None)
    kind = Text(default=None)
    subject = Text(default=None)
    journal = Text(default=None)
    seq = BigInt(default=None)
    leaf = Bytea(default=None)
    place = Text(default=None)
    target = Text(default=None)
    target_journal = Text(default=None, null=True)
    target_seq = BigInt(default=None, null=True)
    detail = Text(default=None, null=True)
    filed_by = Text(default=None)
    on_behalf = BigInt(default=None)
    filed_at = BigInt(default=None)
    filed_on = Text(default=None)
    due = Text(default=None)
    sure = BigInt(default=None)
    extended_by = Text(default=None, null=True)
    decided_by = Text(default=None, null=True)
    decided_at = BigInt(default=None, null=True)
    decision_journal = Text(default=None, null=True)
    decision_seq = BigInt(default=None, null=True)
    correction = Text(default=None, null=True)
    sealed = Bytea(default=None)


class ObjectionMarkRow(Table, tablename="objection_mark"):
    """What is disputed now, so that it is disputed once."""

    target = Text(primary_key=True, default=None)
    objection = Text(default=None)


OBJECTION = tables.of(ObjectionRow)
OBJECTION_MARK = tables.of(ObjectionMarkRow)


# reports and who may confirm -----------------------------------------------------------------------------------


class ReportRow(Table, tablename="report"):
    """A deed that somebody reported of themselves: nothing until staff accept it as an award. Text, facts, photos and
    the reason of a "no" are in `sealed`, under the subject's data key. `settled_at`: its photos' end is fixed."""

    id = Text(primary_key=True, default=None)
    state = Text(default=None)
    subject = Text(default=None)
    place = Text(default=None)
    indicator = Text(default=None, null=True)
    occurred_on = Text(default=None)
    reporter = Text(default=None)
    created_at = BigInt(default=None)
    award = Text(default=None, null=True)
    decided_by = Text(default=None, null=True)
    decided_at = BigInt(default=None, null=True)
    settled_at = BigInt(default=None, null=True)
    sealed = Bytea(default=None)


class ReportPhotoRow(Table, tablename="report_photo"):
    """Which photo, by its keyed digest, stands in which report; the same one in two is shown."""

    digest = Bytea(primary_key=True, default=None)
    report = Text(default=None)
    subject = Text(default=None)


class ReportCaseRow(Table, tablename="report_case"):
    """The report that was first with a case, by the keyed digest of indicator and case."""

    digest = Bytea(primary_key=True, default=None)
    report = Text(default=None)


class ConfirmerRow(Table, tablename="confirmer"):
    """Somebody who may confirm hours at a place: a person, a body or staff, by id. `story` is JSON of what was decided
    about them and why, sealed under their data key; that of staff who have no account lies open."""

    who = Text(primary_key=True, default=None)
    id = Text(default=None)
    kind = Text(default=None)
    place = Text(default=None)
    from_day = Text(default=None)
    to_day = Text(default=None, null=True)
    daily_people = BigInt(default=None, null=True)
    state = Text(default=None)
    version = BigInt(default=None)
    registered_by = Text(default=None)
    registered_at = BigInt(default=None)
    changed_at = BigInt(default=None)
    story = Bytea(default=None)


REPORT = tables.of(ReportRow)
REPORT_PHOTO = tables.of(ReportPhotoRow, key=2, group=1)
REPORT_CASE = tables.of(ReportCaseRow)
CONFIRMER = tables.of(ConfirmerRow, key=2, group=1)


# editions ------------------------------------------------------------------------------------------------------

EDITION = tables.table(
    "edition",
    "id list kind about period place version:int corrects state reason workdays:int approvers:int drafted_by "
    "drafted_at:int frozen_by frozen_at:int notified_by notified_on due sure:int approvals published_at:int "
    "published_on digest note etag:int",
    key=1,
)
EDITION_MARK = tables.table("edition_mark", "list period place edition", key=3)
EDITION_FILE = tables.table("edition_file", "edition name data:blob", key=2, group=1)
EDITION_LINE = tables.table(
    "edition_line",
    "edition line subject journal seq:int indicator grade months:int state delivered_on channel delivered_by due "
    "sure:int reply:blob replied_on asked_on decided_by decided_on why:blob until ended_on ended_by ended_why",
    key=2,
    group=1,
)
EDITION_COMMENT = tables.table(
    "edition_comment", "id edition subject state created_at:int text:blob decided_by decided_at:int", key=1
)

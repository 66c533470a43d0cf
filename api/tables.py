# SPDX-License-Identifier: Apache-2.0
"""The room's own tables: who may sign in, what was issued to them, who read whose record; DDL in `migrations/`."""

from __future__ import annotations

from piccolo.columns import BigInt, Bytea, Text
from piccolo.table import Table

from ledger import tables


class StaffRow(Table, tablename="staff"):
    """One who works with the system. `roles` is JSON: [{role, place, from, to}]."""

    id = Text(primary_key=True, default=None)
    username = Text(default=None)
    password = Text(default=None)
    subject = Text(default=None)
    roles = Text(default=None)
    state = Text(default=None)
    version = BigInt(default=None)
    created_at = BigInt(default=None)


class StaffNameRow(Table, tablename="staff_name"):
    """Each username once."""

    username = Text(primary_key=True, default=None)
    id = Text(default=None)


class SessionRow(Table, tablename="session"):
    """A token that was issued, by its SHA-256: the token itself is nowhere."""

    hash = Bytea(primary_key=True, default=None)
    kind = Text(default=None)
    owner = Text(default=None)
    issued_at = BigInt(default=None)
    expires_at = BigInt(default=None)


class ApiKeyRow(Table, tablename="api_key"):
    """A key of a machine: a till, or a client of the interface. `scopes` and `roles` are JSON."""

    id = Text(primary_key=True, default=None)
    hash = Bytea(default=None)
    kind = Text(default=None)
    name = Text(default=None)
    merchant = Text(default=None)
    terminal = Text(default=None)
    scopes = Text(default=None)
    roles = Text(default=None)
    state = Text(default=None)
    created_by = Text(default=None)
    created_at = BigInt(default=None)
    expires_at = BigInt(default=None)


class AttemptRow(Table, tablename="attempt"):
    """Tries to sign in under one name, known or not, since the first of them."""

    what = Text(primary_key=True, default=None)
    tries = BigInt(default=None)
    since = BigInt(default=None)


class AccessRow(Table, tablename="access_log"):
    """Who read whose record, when, and which part of it."""

    id = Text(primary_key=True, default=None)
    at = BigInt(default=None)
    reader = Text(default=None)
    subject = Text(default=None)
    what = Text(default=None)
    roles = Text(default=None)


class NoticeMarkRow(Table, tablename="notice_mark"):
    """Up to which entry of the home journal, and of which lots about to lapse, a subject was told."""

    subject = Text(primary_key=True, default=None)
    journal = Text(default=None)
    seq = BigInt(default=None)
    warned = Text(default=None)
    channel = Text(default=None)
    told_by = Text(default=None)
    told_at = BigInt(default=None)


class AssessmentRow(Table, tablename="assessment"):
    """An impact assessment for a place and a purpose; `made_by` is the office that answers for it."""

    id = Text(primary_key=True, default=None)
    purpose = Text(default=None)
    place = Text(default=None)
    title = Text(default=None)
    summary = Text(default=None)
    sha256 = Text(default=None)
    conclusion = Text(default=None)
    made_by = Text(default=None)
    valid_until = Text(default=None)
    recorded_by = Text(default=None)
    recorded_at = BigInt(default=None)


STAFF = tables.of(StaffRow)
STAFF_NAME = tables.of(StaffNameRow)
SESSION = tables.of(SessionRow)
API_KEY = tables.of(ApiKeyRow)
ATTEMPT = tables.of(AttemptRow)
ACCESS = tables.of(AccessRow)
NOTICE_MARK = tables.of(NoticeMarkRow)
ASSESSMENT = tables.of(AssessmentRow)

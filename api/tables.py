# SPDX-License-Identifier: Apache-2.0
"""The room's own tables: who may sign in, what was issued to them, who read whose record; DDL in `migrations/`."""

from __future__ import annotations

from piccolo.columns import BigInt, Bytea, Text
from piccolo.table import Table

from ledger import tables


class StaffRow(Table, tablename="staff"):
    """One who works with the system. `roles` is JSON: [{role, place, from, to, hours}]. `totp` and `totp_pending` are
    sealed secrets, `totp_step` the last step that was used, `oidc` a keyed digest; `must_change` where the password was
    set by somebody else."""

    id = Text(primary_key=True, default=None)
    username = Text(default=None)
    password = Text(default=None)
    subject = Text(default=None)
    roles = Text(default=None)
    state = Text(default=None)
    version = BigInt(default=None)
    created_at = BigInt(default=None)
    must_change = BigInt(default=None)
    totp = Text(default=None)
    totp_pending = Text(default=None)
    totp_step = BigInt(default=None)
    oidc = Text(default=None)


class StaffNameRow(Table, tablename="staff_name"):
    """Each username once."""

    username = Text(primary_key=True, default=None)
    id = Text(default=None)


class StaffLinkRow(Table, tablename="staff_link"):
    """Each account at the identity provider once, by its keyed digest."""

    digest = Text(primary_key=True, default=None)
    id = Text(default=None)


class SessionRow(Table, tablename="session"):
    """A token that was issued, by its SHA-256: the token itself is nowhere. `scopes` is JSON, or empty for all that the
    roles give."""

    hash = Bytea(primary_key=True, default=None)
    kind = Text(default=None)
    owner = Text(default=None)
    issued_at = BigInt(default=None)
    expires_at = BigInt(default=None)
    scopes = Text(default=None)
    began_at = BigInt(default=None)
    proved_at = BigInt(default=None)
    way = Text(default=None)


class ApiKeyRow(Table, tablename="api_key"):
    """A key of a machine: a till, or a client of the interface. `scopes`, `roles` and `addresses` are JSON; `old_hash`
    is the hash (hex) of the secret before, good until `old_until`."""

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
    addresses = Text(default=None)
    public_key = Text(default=None)
    signed = BigInt(default=None)
    old_hash = Text(default=None)
    old_until = BigInt(default=None)


class AttemptRow(Table, tablename="attempt"):
    """Tries to sign in under one name, known or not, since the first of them."""

    what = Text(primary_key=True, default=None)
    tries = BigInt(default=None)
    since = BigInt(default=None)


class NonceRow(Table, tablename="nonce"):
    """A nonce that a signed request has used, as a digest with the name of its key."""

    digest = Bytea(primary_key=True, default=None)
    at = BigInt(default=None)


class KnownAddressRow(Table, tablename="known_address"):
    """Whence somebody has signed in before: a keyed digest of name and address together."""

    digest = Text(primary_key=True, default=None)
    seen_at = BigInt(default=None)


class RateRow(Table, tablename="rate"):
    """What a caller has taken lately: when their bucket is full again, µs (api/server/rates.py)."""

    who = Text(primary_key=True, default=None)
    full_at = BigInt(default=None)


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


class WebhookRow(Table, tablename="webhook"):
    """An endpoint that is told of what is committed (api/webhooks/endpoints.py)."""

    id = Text(primary_key=True, default=None)
    owner = Text(default=None)
    merchant = Text(default=None)
    place = Text(default=None)
    url = Bytea(default=None)
    events = Text(default=None)
    state = Text(default=None)
    reason = Text(default=None)
    salt = Bytea(default=None)
    former = Bytea(default=None)
    former_until = BigInt(default=None)
    version = BigInt(default=None)
    created_at = BigInt(default=None)


class WebhookCursorRow(Table, tablename="webhook_cursor"):
    """Which entry of a journal an endpoint is to be told of next, and how often that has failed."""

    webhook = Text(primary_key=True, default=None)
    journal = Text(default=None)
    seq = BigInt(default=None)
    tries = BigInt(default=None)
    since = BigInt(default=None)
    next_at = BigInt(default=None)


class WebhookTryRow(Table, tablename="webhook_try"):
    """One try to deliver one event, and how it went."""

    webhook = Text(primary_key=True, default=None)
    id = Text(default=None)
    journal = Text(default=None)
    seq = BigInt(default=None)
    kind = Text(default=None)
    tries = BigInt(default=None)
    at = BigInt(default=None)
    outcome = Text(default=None)
    status = BigInt(default=None)
    ms = BigInt(default=None)


class WorkLeaseRow(Table, tablename="work_lease"):
    """Which process does what only one may do at a time, and until when (µs) unless it says so again."""

    name = Text(primary_key=True, default=None)
    holder = Text(default=None)
    until = BigInt(default=None)


STAFF = tables.of(StaffRow)
STAFF_NAME = tables.of(StaffNameRow)
STAFF_LINK = tables.of(StaffLinkRow)
SESSION = tables.of(SessionRow)
API_KEY = tables.of(ApiKeyRow)
ATTEMPT = tables.of(AttemptRow)
NONCE = tables.of(NonceRow)
KNOWN_ADDRESS = tables.of(KnownAddressRow)
RATE = tables.of(RateRow)
ACCESS = tables.of(AccessRow)
NOTICE_MARK = tables.of(NoticeMarkRow)
ASSESSMENT = tables.of(AssessmentRow)
WEBHOOK = tables.of(WebhookRow)
WEBHOOK_CURSOR = tables.of(WebhookCursorRow, key=2)
WEBHOOK_TRY = tables.of(WebhookTryRow, key=2)
WORK_LEASE = tables.of(WorkLeaseRow)

# SPDX-License-Identifier: Apache-2.0
"""Editions at every door: how they and their lines are told, and what must be there before one is published."""

from __future__ import annotations

from typing import Any

from api.lists.words import hushed
from api.world import World
from ledger.errors import Refusal
from ledger.view import rfc3339
from rules.lists.model import Comment, Edition, Line
from rules.lists.periods import days_of


def edition_body(one: Edition, *, staff: bool = False) -> dict[str, Any]:
    """Where an edition stands; who did what with it is for `staff`."""
    body: dict[str, Any] = {
        "id": one.id,
        "list": one.list,
        "kind": one.kind,
        "about": one.about,
        "period": one.period,
        "place": one.place,
        "version": one.version,
        "corrects": one.corrects or None,
        "state": one.state,
        "reason": hushed(one.reason) or None,
        "published_on": one.published_on or None,
        "digest": one.digest or None,
    }
    if staff:
        body |= {
            "drafted_by": one.drafted_by,
            "drafted_at": rfc3339(one.drafted_at),
            "frozen_by": one.frozen_by or None,
            "frozen_at": rfc3339(one.frozen_at) if one.frozen_by else None,
            "notified_on": one.notified_on or None,
            "due": one.due or None,
            "due_sure": bool(one.sure),
            "approvers": one.approvers,
            "approvals": [{"by": yes.by, "at": rfc3339(yes.at)} for yes in one.said_yes],
            "etag": one.etag,
        }
    return body


async def line_body(world: World, one: Line) -> dict[str, Any]:
    """How far a line has got, with what its subject says to it and why it was decided so: for staff and the subject."""
    said = await world.editions.said(one)
    return {
        "edition": one.edition,
        "line": one.line,
        "subject": one.subject,
        "entry": {"journal": one.journal, "seq": one.seq} if one.journal else None,
        "indicator": one.indicator or None,
        "class": one.grade or None,
        "months": one.months or None,
        "state": one.state,
        "delivered_on": one.delivered_on or None,
        "channel": one.channel or None,
        "due": one.due or None,
        "due_sure": bool(one.sure),
        "reply": said.reply or None,
        "replied_on": one.replied_on or None,
        "repaired_on": one.asked_on or None,
        "decided_on": one.decided_on or None,
        "reason": said.why or None,
        "until": one.until or None,
        "ended_on": one.ended_on or None,
        "ended_why": one.ended_why or None,
    }


def comment_body(one: Comment, text: str, *, staff: bool) -> dict[str, Any]:
    """What was said and when; who said it is nobody's to know, and its state is for staff and whoever said it."""
    body = {"id": one.id, "text": text, "at": rfc3339(one.created_at)}
    return {**body, "state": one.state} if staff else body


async def assessed(world: World, one: Edition) -> None:
    """Raises `assessment_missing` where nobody has weighed what publishing means for those who are named or ranked."""
    await world.assessments.require("ranking" if one.kind == "ranking" else "publication", one.place)


def notice_code(world: World, period: str) -> str:
    """The code of the notice in the pack in force on the month's last day. Raises `not_found` where it has none."""
    lists = world.packs.pack(days_of(period)[1]).lists.values()
    code = next((one.code for one in lists if one.kind == "notice"), None)
    if code is None:
        raise Refusal("not_found", what="list", id="notice")
    return code

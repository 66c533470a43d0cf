# SPDX-License-Identifier: Apache-2.0
"""The ways into the county: tokens, a card with its PIN, a till's key; tried out, then written to demo.json."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Any

import orjson

from api.auth import KIND_SCOPES
from api.demo.county import County, Neighbour
from api.demo.places import COMMUNITIES, COUNTY
from api.demo.shops import MARKET
from merchants.model import Asker
from rules.desk import AwardRequest, Evidence

BASE_URL = "http://127.0.0.1:8000"
_STAFF = ("staff", "approver", "second_approver", "auditor", "admin")
# Awards that one person may post on the spot; each is tried before it is listed.
_INDICATORS: tuple[tuple[str, dict[str, int | str], str, str], ...] = (
    ("RE-01", {"minutes": 60}, "sign_in_sheet", "E2"),
    ("RE-02", {}, "workflow", "E2"),
    ("RE-03", {}, "photo", "E2"),
    ("RE-04", {}, "sign_in_sheet", "E2"),
    ("RE-08", {}, "workflow", "E2"),
)


async def issue(county: County, as_of: date) -> dict[str, Any]:
    """Everything that demo.json says. Nothing secret in it follows from the seed."""
    world, resident = county.world, county.resident
    assert resident is not None
    body = _body(county)
    card = await world.people.cards.issue(resident.subject)
    token = await world.staff.sign_in_subject("resident", resident.subject, KIND_SCOPES["resident"])
    bodys = await world.staff.sign_in_subject("body", body.subject, KIND_SCOPES["body"])
    merchant = county.merchants[MARKET]
    serving = Asker(county.staff["staff"].id, serves=lambda community: True)
    terminal = await world.shop.offers.add_terminal(serving, merchant, name="1号收银台")
    key = await world.staff.issue_key(
        None,
        "merchant",
        f"{MARKET} 1号收银台",
        merchant=merchant,
        terminal=terminal.terminal,
        scopes=("redemptions:write", "merchants:write"),  # this till may also propose what the shop offers
    )
    return {
        "base_url": BASE_URL,
        "county": COUNTY,
        "journals": list(COMMUNITIES),
        **{name: county.staff[name].said for name in _STAFF},
        "merchant": {"id": merchant, "key": key.key, "terminal": terminal.terminal},
        "resident": {"subject": resident.subject, "token": token.token, "card": card.serial, "pin": card.pin},
        "body": {"subject": body.subject, "token": bodys.token},
        "offers": await _offers(county, resident, merchant, serving),
        "indicators": await _indicators(county, resident, as_of),
        "seed": county.seed,
        "people": county.scale.people,
        "as_of": as_of.isoformat(),
        "scale": county.scale.said,
    }


def _body(county: County) -> Neighbour:
    """A shop, the one with most to show."""
    shops = [one for bodies in county.bodies.values() for one in bodies if "G5" in one.groups]
    return max(shops, key=lambda one: (one.points, one.subject))


async def _offers(county: County, resident: Neighbour, merchant: str, asker: Asker) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = []
    for offer in county.offers:
        if offer.merchant != merchant:
            continue
        answer = await county.world.shop.eligible(asker, offer=offer.offer, by={"subject": resident.subject})
        if answer.eligible:
            listed.append({"id": offer.offer, "scenario": offer.scenario, "price": offer.price})
    return listed


async def _indicators(county: County, resident: Neighbour, as_of: date) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = []
    actor = county.staff["staff"].actor
    for code, facts, kind, level in _INDICATORS:
        request = AwardRequest(resident.subject, code, as_of, facts, evidence=(Evidence(kind, level),))
        judged = await county.world.desk.evaluate(actor, request)
        if judged.state == "posted" and judged.points > 0:
            listed.append({"code": code, "facts": facts, "evidence": [{"kind": kind, "level": level}]})
    return listed


def write(path: Path, said: dict[str, Any]) -> None:
    """Whole or not at all, and only for its owner."""
    partial = path.with_name(path.name + ".new")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(orjson.dumps(said, option=orjson.OPT_INDENT_2) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)

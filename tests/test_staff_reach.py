# SPDX-License-Identifier: Apache-2.0
"""Whose staff accounts an administrator reaches: an account opens the record of the person it is linked to."""

from __future__ import annotations

import pytest

from api.auth import ROLE_SCOPES, Caller
from ledger.errors import Refusal
from rules.ports import Actor
from tests.front import HERE, THERE, Front, front, prepared, wang  # noqa: F401 (fixtures)

# ruff: noqa: F811 (a test's arguments are the fixtures)


def administrator(place: str) -> Caller:
    return Caller("staff", f"stf_{place}", Actor(f"stf_{place}", None, (("county_admin", place),)), SCOPES)


SCOPES = ROLE_SCOPES["county_admin"]


async def test_an_account_without_roles_is_where_its_person_lives(front: Front, wang: str) -> None:
    """Who administers another place can neither give it a password nor a role, nor see it in a list."""
    staff = front.world.staff
    linked = (await staff.create(None, "wang.li", "correct horse battery", [], wang)).ref
    nobody = (await staff.create(None, "nobody", "correct horse battery", [])).ref
    role = [{"role": "grid_worker", "place": THERE}]
    for change in ({"password": "another horse battery"}, {"roles": role}, {"state": "closed"}, {"subject": None}):
        with pytest.raises(Refusal, match="not_found"):
            await staff.change(administrator(THERE), linked, None, change)
    await staff.change(administrator(HERE), linked, None, {"state": "closed"})
    await staff.change(administrator(THERE), nobody, None, {"state": "closed"})
    seen = {place: [await staff.within(administrator(place), await staff.get(one)) for one in (linked, nobody)]
            for place in (HERE, THERE)}  # fmt: skip
    assert {HERE: [True, True], THERE: [False, True]} == seen

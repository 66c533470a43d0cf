# SPDX-License-Identifier: Apache-2.0
"""May this person or body have what a scenario gives? Pure: told what was found out, refuses or says nothing."""

from __future__ import annotations

from ledger.book.members import BODY, PERSON
from ledger.errors import Refusal
from merchants.catalogue import Scenario


def judge(
    scenario: Scenario,
    *,
    kind: str,
    in_group: bool,
    of_age: bool,
    grade_ok: bool,
    attested_ok: bool,
    price: int,
    agreed: bool = True,
) -> None:
    """Raises `not_eligible` with the first `reason` there is: kind, group, age, consent, gate.

    `grade_ok`: standing reaches the gate's grade. `attested_ok`: a member of staff asks, who has looked up what the
    gate says. `price`: hundredths a unit; whoever pays passes a gate of points. `agreed`: the person agreed personally.
    """
    if kind not in scenario.eligible.kinds:
        raise Refusal("not_eligible", reason="kind")
    if kind == BODY and not in_group:
        raise Refusal("not_eligible", reason="group")
    if kind == PERSON and not of_age:
        raise Refusal("not_eligible", reason="age")
    if scenario.own_consent and not agreed:
        raise Refusal("not_eligible", reason="consent")
    gate = scenario.gate
    keys = (gate.points, price > 0), (gate.grade, grade_ok), (gate.attested, attested_ok)
    passed = [fits for asked, fits in keys if asked is not None]
    if not (all(passed) if gate.needs == "all" else any(passed)):
        raise Refusal("not_eligible", reason="gate")

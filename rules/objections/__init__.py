# SPDX-License-Identifier: Apache-2.0
"""Objections: a subject's no to an entry, or to one that is missing; marked at once, decided by somebody else.

What is made in the ledger (objection, decision, later lots, a reversal, an award) is made in the same commit as the
row here that says so.
"""

from rules.objections.domain import Missing, Outcome, Target
from rules.objections.office import Objections

__all__ = ["Missing", "Objections", "Outcome", "Target"]

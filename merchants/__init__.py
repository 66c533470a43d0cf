# SPDX-License-Identifier: Apache-2.0
"""How points are spent: 36 scenarios, offers, redemptions. A client of the ledger like any other; never learns a
member's record, and knows nothing of rules. docs/reference/redemption-states.md has the states of a redemption."""

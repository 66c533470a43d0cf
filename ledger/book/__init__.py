# SPDX-License-Identifier: Apache-2.0
"""Pure decisions of the ledger: each takes a view, checks, refuses by name or appends entries. No I/O, no clock."""

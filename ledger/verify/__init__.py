# SPDX-License-Identifier: Apache-2.0
"""Replay of the whole database (`jifen verify`): entries are read again, hashed again and applied again, and every
derived table is held against what follows. `ledger.audit` is the door; docs/spec/entry.md has the rules."""

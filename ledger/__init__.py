# SPDX-License-Identifier: Apache-2.0
"""What happened: accounts, entries, holds and lots in an append-only, hash-chained ledger. Knows no people, rules
or shops. docs/spec/entry.md has the bytes, docs/life-of-a-point.md the way of one award through the house."""

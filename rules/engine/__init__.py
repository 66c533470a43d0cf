# SPDX-License-Identifier: Apache-2.0
"""The rule engine: packs, evaluation, caps and explanation.

Pure: no clock, no database, no network, and nothing of ours imported. `pack.py` alone reads files (TOML).
The same facts, tallies and days give the same answer in a notebook, in a test and inside a commit.
"""

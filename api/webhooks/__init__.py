# SPDX-License-Identifier: Apache-2.0
"""Telling others' machines what was committed: Standard Webhooks, delivered from the ledger itself."""

# SPDX-License-Identifier: Apache-2.0
"""The vault's tables as the commit path writes them. Nobody lists people: reads are by index, a few rows at a time."""

from __future__ import annotations

from ledger.tables import table

PERSON = table(
    "person",
    "subject sealed:blob identity:blob phone_index:blob tail_index:blob name_grid_index:blob "
    "ledger:int publication:int merchant:int ranking:int registered_at:int changed_at:int",
    key=1,
)
IDENTITY = table("identity", "digest:blob subject", key=1)
CONSENT = table("consent", "subject at:int actor ledger:int publication:int merchant:int ranking:int", key=2, group=1)
PIN = table("pin", "subject hash tries:int changed_at:int", key=1)
CARD = table("card", "serial subject state issued_at:int changed_at:int", key=1)
ACTIVATION = table("activation", "digest:blob subject expires_at:int used_at:int", key=1)
ERASURE = table("erasure", "subject at:int actor reason settled_at:int", key=1)
PHOTO = table("photo", "subject digest:blob id kind size:int uploader at:int expires_at:int", key=2, group=1)
PROXY = table("proxy", "subject agent kind to_day consent:blob actor created_at:int ended_at:int", key=3)

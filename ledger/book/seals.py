# SPDX-License-Identifier: Apache-2.0
"""The seal entry: what all accounts held after the journal's first entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ledger.model import Act, Draft, Sealed
from ledger.tables import ACCOUNT_STATE, SEAL, Row
from ledger.view import View


def seal(
    view: View, journal: str, act: Act, *, since: int, data: dict[str, Any], states: Sequence[Row]
) -> Sealed | None:
    """Seal the journal as of `data["as_of_size"]`; `since` is the size of the seal before it, `states` the rows of the
    accounts that have been posted to in between. None when another seal stands there already."""
    if view.get(SEAL, journal, since) is not None:
        return None
    assert since < data["as_of_size"] <= view.head(journal).size, data
    sealed = view.append(Draft("seal", journal, act, [], data=data))
    root = bytes.fromhex(data["state_root"])
    view.put(SEAL, (journal, since, data["as_of_size"], sealed.seq, data["accounts"], root))
    for row in states:
        view.insert(ACCOUNT_STATE, row)
    return sealed

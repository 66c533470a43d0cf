# SPDX-License-Identifier: Apache-2.0
"""Who agreed to what, as far as lists ask: to be counted in a ranking, or to be named in public."""

from __future__ import annotations

from collections.abc import Collection

from ledger.engine import Ledger

_COLUMNS = {"publication": "publication", "ranking": "ranking"}


class Consents:
    """`rules.lists.freezing.Consents` over the vault. Only ids and the purpose leave it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def consenting(self, purpose: str, homes: Collection[str]) -> set[str]:
        """Persons at home in these communities who agree to the purpose now."""
        found: set[str] = set()
        for home in homes:
            rows = await self._ledger.fetch(
                "SELECT s.subject FROM subject s JOIN person p ON p.subject = s.subject "
                f"WHERE s.home = ? AND s.kind = 'person' AND p.{_COLUMNS[purpose]} = 1",
                home,
            )
            found.update(subject for (subject,) in rows)
        return found

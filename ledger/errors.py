# SPDX-License-Identifier: Apache-2.0
"""Refusals: what the ledger says no to, as values with a stable code.

A refusal is an answer, not an accident: it changes nothing and a client may match on its code. Everything else
(a broken invariant, a lost database) is an ordinary exception. Sentences for people live at the edge, by code.
"""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """A decided "no". `code` is stable for ever; `facts` fill the sentence and must be plain JSON values."""

    def __init__(self, code: str, **facts: Any) -> None:
        super().__init__(code)
        self.code = code
        self.facts = facts
        self.replayed = False  # the same refusal as the first time, found under the retry key
        self.leaves: tuple[tuple[Any, Any], ...] = ()  # (table, row) that stay: a try that counts though it failed

    def __str__(self) -> str:
        listed = ", ".join(f"{name}={value!r}" for name, value in self.facts.items())
        return f"{self.code}({listed})"


class Unavailable(Refusal):
    """Nothing was decided: the queue is full, the clock is unsafe, or the database cannot be reached.

    Never stored under a retry key; the same request may be sent again after `retry_after` seconds.
    """

    def __init__(self, code: str, retry_after: int = 1, **facts: Any) -> None:
        super().__init__(code, retry_after=retry_after, **facts)

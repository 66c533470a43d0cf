# SPDX-License-Identifier: Apache-2.0
"""Words about somebody, or by somebody, under that subject's own data key: whoever is erased takes them along."""

from __future__ import annotations

from ledger.errors import Refusal
from ledger.keys import BadKey, seal, unseal
from rules.ports import Vault


async def sealed(vault: Vault, subject: str, text: str, bound: str) -> bytes:
    """`bound` says what the words are; they can be opened as nothing else. Raises `subject_erased`."""
    return seal(await vault.data_key(subject), text.encode(), bound.encode())


async def opened(vault: Vault, subject: str, words: bytes, bound: str) -> str:
    """'' where there are none, or where the key is gone."""
    if not words:
        return ""
    try:
        return unseal(await vault.data_key(subject), words, bound.encode()).decode()
    except (Refusal, BadKey):
        return ""

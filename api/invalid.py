# SPDX-License-Identifier: Apache-2.0
"""`request_invalid`, as raised by whoever reads what came in. Imports nothing of HTTP: the command line starts fast."""

from __future__ import annotations

from typing import Any

from ledger.errors import Refusal

ERRORS_MAX = 100  # named in one answer


def invalid(errors: list[dict[str, Any]]) -> Refusal:
    """`request_invalid` with the places that are wrong; each has `pointer`, `code` and what its sentence needs."""
    return Refusal("request_invalid", errors=errors[:ERRORS_MAX])

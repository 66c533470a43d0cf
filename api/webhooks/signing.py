# SPDX-License-Identifier: Apache-2.0
"""What makes a message believable: the headers and signatures of Standard Webhooks (standardwebhooks.com, 1.0.0).

Secrets are not kept but derived, from the deployment's secret, the endpoint's id and a salt that changes with every
rotation; so nothing that a database holds can sign. Every endpoint has an Ed25519 key of its own: a message signed for
one receiver says nothing to another.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import NamedTuple

from ledger.keys import Signer, derive


class Secrets(NamedTuple):
    """What signs for one endpoint: `shared` for HMAC-SHA-256 (`v1`), `signer` for Ed25519 (`v1a`)."""

    shared: bytes
    signer: Signer

    @property
    def secret(self) -> str:
        """As the receiver keeps it."""
        return f"whsec_{base64.b64encode(self.shared).decode()}"

    @property
    def public_key(self) -> str:
        return f"whpk_{base64.b64encode(self.signer.verifier.public).decode()}"

    def signatures(self, signed: bytes) -> str:
        mac = hmac.new(self.shared, signed, hashlib.sha256).digest()
        return f"v1,{base64.b64encode(mac).decode()} v1a,{base64.b64encode(self.signer.sign(signed)).decode()}"


def secrets_of(deployment: bytes, webhook: str, salt: bytes) -> Secrets:
    """The secrets of an endpoint under one of its salts."""
    purpose = f"jifen/webhook/1/{webhook}/{salt.hex()}"
    return Secrets(derive(deployment, f"{purpose}/hmac"), Signer("webhook", derive(deployment, f"{purpose}/ed25519")))


def headers(message: str, seconds: int, body: bytes, secrets: Sequence[Secrets]) -> dict[str, str]:
    """The three headers. `message` is the same at every try, `seconds` (since 1970) is this try's; while a secret is
    being changed there are two and both sign."""
    signed = b"%b.%d.%b" % (message.encode(), seconds, body)
    return {
        "webhook-id": message,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(one.signatures(signed) for one in secrets),
    }

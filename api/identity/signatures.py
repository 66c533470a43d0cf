# SPDX-License-Identifier: Apache-2.0
"""Signed requests of machines: HTTP message signatures (RFC 9421, Ed25519) over digests of the body (RFC 9530).

One profile, docs/signatures.md: what a signature must cover, how old it may be, whose it is. The standard lets a signer
choose all three, and each choice left open is an attack that somebody has to think of. Pure: no clock, no database.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from api.identity.structured import InnerList, Malformed, Member, Params, dictionary, serialised

TAG = "jifen"
AGE_MAX_US = 300 * 1_000_000  # either way: a till's clock may be ahead of ours
NONCE_MIN, NONCE_MAX = 8, 64
PUBLIC_BYTES = 32
COMPONENTS_MAX = 32
ALWAYS = ("@method", "@authority", "@path", "@query")
_PARAMS = {"created", "expires", "keyid", "nonce", "alg", "tag"}
_DIGESTS = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}


class Invalid(Exception):
    """Not a good signature of this key over this request. The reason is for tests; the caller learns only that."""


class Message(NamedTuple):
    """A request as it stood on the wire. Nothing of it is decoded; header names are in lower case."""

    method: str
    authority: str
    path: str
    query: str
    headers: Iterable[tuple[str, str]]

    def field(self, name: str) -> str | None:
        """The field's lines as one (RFC 9421 §2.1); None where there is none."""
        lines = [value.strip(" \t") for key, value in self.headers if key == name]
        return ", ".join(lines) if lines else None

    def component(self, name: str) -> str:
        """What a signature that covers `name` signs. Raises `Invalid` for what is not there or what we do not sign."""
        match name:
            case "@method":
                return self.method
            case "@authority":  # without the port that goes without saying, whichever side of a TLS proxy we are on
                return self.authority.lower().removesuffix(":443").removesuffix(":80")
            case "@path":
                return self.path or "/"
            case "@query":
                return f"?{self.query}"
            case _:
                value = None if name.startswith("@") else self.field(name)
                if value is None:
                    raise Invalid(f"no {name}")
                return value


def message_of(scope: Any) -> Message:
    """The request of an ASGI scope. `raw_path` is the path as it was sent."""
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    hosts = [value for name, value in headers if name == "host"]
    authority = hosts[0] if len(hosts) == 1 else ""
    return Message(scope["method"], authority, path, scope["query_string"].decode("latin-1"), headers)


def signature_base(message: Message, covered: InnerList) -> bytes:
    """The bytes that are signed (RFC 9421 §2.5). Raises `Invalid` for components of a form that we do not sign."""
    lines: dict[str, str] = {}
    for name, params in covered.items:
        if type(name) is not str or params or name in lines:
            raise Invalid(f"component {name!r}")
        lines[name] = message.component(name)
    said = [f'"{name}": {value}\n' for name, value in lines.items()]
    return f'{"".join(said)}"@signature-params": {serialised(covered)}'.encode("latin-1")


def components(message: Message, body: bytes) -> tuple[str, ...]:
    """What a signature of this request must cover at least."""
    digest = ("content-digest",) if body else ()
    retry = ("idempotency-key",) if message.field("idempotency-key") is not None else ()
    return (*ALWAYS, *digest, *retry)


def verify(message: Message, body: bytes, public: bytes, keyid: str, now_us: int) -> str | None:
    """The nonce of a request that the key `public` has signed under the name `keyid`; None where nobody has signed it
    for us: what a proxy signs for others is none of our business. Raises `Invalid`."""
    try:
        inputs = dictionary(message.field("signature-input") or "")
        signatures = dictionary(message.field("signature") or "")
        digests = dictionary(message.field("content-digest") or "")
    except Malformed as error:
        raise Invalid(str(error)) from None
    ours = [
        (label, one) for label, one in inputs.items() if isinstance(one, InnerList) and one.params.get("tag") == TAG
    ]
    if not ours:
        return None
    if len(ours) > 1:
        raise Invalid("two signatures for us")
    label, covered = ours[0]
    if len(covered.items) > COMPONENTS_MAX:
        raise Invalid("too much")
    nonce = _check_params(covered.params, keyid, now_us)
    if missing := set(components(message, body)) - {name for name, _ in covered.items}:
        raise Invalid(f"does not cover {sorted(missing)}")
    _check_digest(digests, body)
    signature = signatures.get(label, (b"", {}))[0]
    if not isinstance(signature, bytes) or not _signed(public, signature, signature_base(message, covered)):
        raise Invalid("signature")
    return nonce


def _check_params(params: Params, keyid: str, now_us: int) -> str:
    """What is said of the signature, and the nonce in it (RFC 9421 §2.3)."""
    created, expires, nonce = params.get("created"), params.get("expires"), params.get("nonce")
    if params.keys() - _PARAMS or params.get("alg", "ed25519") != "ed25519":
        raise Invalid("parameters")
    if params.get("keyid") != keyid:
        raise Invalid("keyid")
    if type(created) is not int or abs(created * 1_000_000 - now_us) > AGE_MAX_US:
        raise Invalid("created")
    if expires is not None and (type(expires) is not int or expires * 1_000_000 < now_us):
        raise Invalid("expires")
    if type(nonce) is not str or not NONCE_MIN <= len(nonce) <= NONCE_MAX:
        raise Invalid("nonce")
    return nonce


def _check_digest(digests: dict[str, Member], body: bytes) -> None:
    """Every digest that we know must be that of the body; with a body there is at least one (RFC 9530 §2)."""
    known = [(_DIGESTS[name](body).digest(), value) for name, (value, _) in digests.items() if name in _DIGESTS]
    if body and not known:
        raise Invalid("no digest that we know")
    if not all(isinstance(value, bytes) and hmac.compare_digest(right, value) for right, value in known):
        raise Invalid("content-digest")


def _signed(public: bytes, signature: bytes, base: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, base)
    except InvalidSignature:
        return False
    return True


# public keys -----------------------------------------------------------------------------------------------------

_P = 2**255 - 19
_Y8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL = {0, 1, _P - 1, _Y8, _P - _Y8}  # the ordinates of the points of order 1, 2, 4 and 8


def public_key(text: str) -> bytes | None:
    """The 32 bytes of a public key in base64; None for what is none. A point of small order is none either: anybody
    can sign for it, and a till whose memory was wiped may well send one (all zeros)."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    small = y % _P in _SMALL
    return raw if len(raw) == PUBLIC_BYTES and not small and base64.b64encode(raw).decode() == text else None

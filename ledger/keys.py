# SPDX-License-Identifier: Apache-2.0
"""Keys: sealing under a key, deriving keys, the deployment's key files, and Ed25519 keys as signed notes name them.

What protects what: the master key wraps the deployment secret, the signing key and every subject's data key. The
recovery key is wrapped by none: it can revoke the signing key, so it belongs on paper or a stick, not on this machine.
"""

from __future__ import annotations

import base64
import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
_NONCE_BYTES = 12
_ED25519 = b"\x01"  # the algorithm byte of C2SP signed notes


class BadKey(ValueError):
    """A key file or a sealed value that is not what it should be; the message says which, never what is in it."""


# sealing -------------------------------------------------------------------------------------------------------


def new_key() -> bytes:
    """32 random bytes."""
    return os.urandom(KEY_BYTES)


def seal(key: bytes, data: bytes, aad: bytes) -> bytes:
    """AES-256-GCM: nonce ‖ ciphertext ‖ tag. `aad` says whose and what it is, so that it cannot be put elsewhere."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, aad)


def unseal(key: bytes, sealed: bytes, aad: bytes) -> bytes:
    """What `seal` was given. Raises `BadKey` for another key, another `aad`, or a changed byte."""
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], aad)
    except (InvalidTag, ValueError) as error:
        raise BadKey("sealed under another key or for another purpose, or changed since") from error


def derive(master: bytes, info: str, length: int = KEY_BYTES) -> bytes:
    """HKDF-SHA-256 (RFC 5869) without salt: one key for one purpose; `info` names the purpose."""
    return HKDF(SHA256(), length, salt=None, info=info.encode()).derive(master)


# Ed25519 as signed notes name it -------------------------------------------------------------------------------


class Verifier(NamedTuple):
    """A public key with the name under which it signs; `text` is the C2SP vkey string."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """The four bytes that stand before a signature in a note."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    @property
    def text(self) -> str:
        key = base64.b64encode(_ED25519 + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{key}"

    def verify(self, signature: bytes, message: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature:
            return False
        return True


def parse_vkey(text: str) -> Verifier:
    """A vkey string as a key. Raises `BadKey` unless name, hash and algorithm agree."""
    name, _, rest = text.partition("+")
    hashed, _, encoded = rest.partition("+")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except ValueError as error:
        raise BadKey("vkey: not base64") from error
    if not _is_name(name) or raw[:1] != _ED25519 or len(raw) != 1 + KEY_BYTES:
        raise BadKey("vkey: not an Ed25519 key with a name")
    verifier = Verifier(name, raw[1:])
    if verifier.id.hex() != hashed:
        raise BadKey("vkey: the hash does not belong to this name and key")
    return verifier


def _is_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(c.isspace() for c in name)


@dataclass(frozen=True, slots=True)
class Signer:
    """A private Ed25519 key and its name. Signing is deterministic."""

    name: str
    seed: bytes

    @property
    def verifier(self) -> Verifier:
        return Verifier(self.name, Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw())

    @property
    def vkey(self) -> str:
        return self.verifier.text

    def sign(self, message: bytes) -> bytes:
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(message)

    def __repr__(self) -> str:
        return f"Signer({self.vkey})"


# files ---------------------------------------------------------------------------------------------------------

_SECRET_AAD, _SIGNING_AAD = b"jifen/deployment-secret/1", b"jifen/signing-key/1"


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """The deployment's keys, opened. `recovery` is only the public half: the private one may have left the machine."""

    master: bytes
    secret: bytes
    signer: Signer
    recovery: str

    @property
    def origin(self) -> str:
        """What this deployment's checkpoints are called."""
        return self.signer.name

    @property
    def vkey(self) -> str:
        return self.signer.vkey

    def journal_origin(self, journal: str) -> str:
        """What the checkpoints of one journal are called."""
        return f"{self.origin}/{journal}"


def open_keys(home: Path, master_file: Path | None = None) -> Keys:
    """The keys in `home`. Raises `BadKey` when a file is missing, unreadable or does not fit the master key."""
    master = _read_master(master_file or home / "master.key")
    try:
        origin = (home / "origin").read_text(encoding="ascii").strip()
        recovery = (home / "recovery.vkey").read_text(encoding="ascii").strip()
        secret = unseal(master, (home / "secret.key").read_bytes(), _SECRET_AAD)
        seed = unseal(master, (home / "signing.key").read_bytes(), _SIGNING_AAD + origin.encode())
    except FileNotFoundError as error:
        raise BadKey(
            f"{error.filename} is missing; it cannot be made again, restore it from the backup of keys"
        ) from error
    parse_vkey(recovery)
    if not _is_name(origin):
        raise BadKey(f"{home / 'origin'}: not a name for signed notes")
    return Keys(master, secret, Signer(origin, seed), recovery)


def make_keys(home: Path, master_file: Path | None = None, *, origin: str | None = None) -> Keys:
    """The keys in `home`, made if this is a new deployment. Safe to repeat; never replaces a key that is there."""
    home.mkdir(parents=True, exist_ok=True)
    master_file = master_file or home / "master.key"
    if (home / "signing.key").exists():
        return open_keys(home, master_file)
    if not master_file.exists():
        _write(master_file, base64.b64encode(new_key()) + b"\n")
    master = _read_master(master_file)
    name = origin or f"jifen-{os.urandom(6).hex()}"
    if not _is_name(name):
        raise BadKey(f"{name!r} cannot name a key: no spaces, no plus sign")
    recovery = Signer(f"{name}/recovery", new_key())
    _write(home / "recovery.key", base64.b64encode(recovery.seed) + b"\n", replace=True)
    _write(home / "recovery.vkey", recovery.vkey.encode() + b"\n", replace=True)
    _write(home / "origin", name.encode() + b"\n", replace=True)
    _write(home / "secret.key", seal(master, new_key(), _SECRET_AAD), replace=True)
    # Last: with it the deployment is complete. A crash before leaves files that the next start may replace.
    _write(home / "signing.key", seal(master, new_key(), _SIGNING_AAD + name.encode()), replace=True)
    return open_keys(home, master_file)


def _read_master(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        text = path.read_bytes()
    except OSError as error:
        raise BadKey(f"master key {path}: {error.strerror}") from error
    if mode & 0o077:
        raise BadKey(f"master key {path} can be read by others: chmod 600 {path}")
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise BadKey(f"master key {path}: not 32 bytes in base64")
    return key


def _write(path: Path, data: bytes, *, replace: bool = False) -> None:
    """Write a file that only its owner can read, whole or not at all, and on disk before we go on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".new")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    if replace:
        os.replace(partial, path)
    else:
        with suppress(FileExistsError):  # somebody else was first: two starters end with one key
            os.link(partial, path)
        partial.unlink()
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)

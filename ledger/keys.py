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
_ED25519, _COSIGNATURE = b"\x01", b"\x04"  # type bytes of C2SP signed notes
_TIME_BYTES = 8
_TIME_MAX = 2**63 - 1


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


def is_name(name: str) -> bool:
    """Whether a key may be called so (C2SP signed-note): not empty, UTF-8, no spaces of any script, no plus sign."""
    return bool(name) and not any(c.isspace() or c < " " or c == "+" or "\ud800" <= c <= "\udfff" for c in name)


class Verifier(NamedTuple):
    """A public key with the name under which it signs; `text` is the C2SP vkey string."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """The four bytes that stand before a signature in a note."""
        return _key_id(self.name, _ED25519, self.public)

    @property
    def text(self) -> str:
        return _vkey(self.name, _ED25519, self.public)

    def verify(self, signature: bytes, message: bytes) -> bool:
        return _verifies(self.public, signature, message)


@dataclass(frozen=True, slots=True)
class Cosigner:
    """A witness's public key: vkey type 04, whose signatures carry the time at which the witness saw a checkpoint.

    C2SP tlog-cosignature, Ed25519. A signature is the time (8 bytes, big-endian seconds) and 64 bytes. Not a tuple,
    so that it never equals a `Verifier` with the same name and key.
    """

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """The four bytes that stand before a signature in a note."""
        return _key_id(self.name, _COSIGNATURE, self.public)

    @property
    def text(self) -> str:
        return _vkey(self.name, _COSIGNATURE, self.public)

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Whether `signature` (with its time) is this witness's over the note text `message`."""
        seconds = self.seconds(signature)
        return seconds <= _TIME_MAX and _verifies(self.public, signature[_TIME_BYTES:], cosigned(message, seconds))

    @staticmethod
    def seconds(signature: bytes) -> int:
        """When it was made, in seconds since 1970. Says nothing before the signature has been verified."""
        return int.from_bytes(signature[:_TIME_BYTES], "big")


def cosigned(message: bytes, seconds: int) -> bytes:
    """What a witness signs: the note text under a heading with the time."""
    return b"cosignature/v1\ntime %d\n%b" % (seconds, message)


def parse_vkey(text: str) -> Verifier:
    """A vkey string as the key that signs notes. Raises `BadKey` unless name, id and type agree."""
    return Verifier(*_parse_vkey(text, _ED25519))


def parse_cosigner(text: str) -> Cosigner:
    """A vkey string of type 04 as a witness's key. Raises `BadKey` unless name, id and type agree."""
    return Cosigner(*_parse_vkey(text, _COSIGNATURE))


def _parse_vkey(text: str, kind: bytes) -> tuple[str, bytes]:
    name, _, rest = text.partition("+")
    _, _, encoded = rest.partition("+")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except ValueError as error:
        raise BadKey("vkey: not base64") from error
    if not is_name(name) or raw[:1] != kind or len(raw) != 1 + KEY_BYTES:
        raise BadKey(f"vkey: not an Ed25519 key of type {kind.hex()} with a name")
    if _vkey(name, kind, raw[1:]) != text:
        raise BadKey("vkey: the id does not belong to this name and key")
    return name, raw[1:]


def _vkey(name: str, kind: bytes, public: bytes) -> str:
    return f"{name}+{_key_id(name, kind, public).hex()}+{base64.b64encode(kind + public).decode()}"


def _key_id(name: str, kind: bytes, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + kind + public).digest()[:4]


def _verifies(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Signer:
    """A private Ed25519 key and its name. Signing is deterministic."""

    name: str
    seed: bytes

    @property
    def verifier(self) -> Verifier:
        return Verifier(self.name, Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw())

    @property
    def cosigner(self) -> Cosigner:
        """The same key as a witness's. A key is used as one of the two, never as both."""
        return Cosigner(self.name, self.verifier.public)

    @property
    def vkey(self) -> str:
        return self.verifier.text

    def sign(self, message: bytes) -> bytes:
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(message)

    def __repr__(self) -> str:
        return f"Signer({self.vkey})"


# files ---------------------------------------------------------------------------------------------------------

_SECRET_AAD, _SIGNING_AAD = b"jifen/deployment-secret/1", b"jifen/signing-key/1"
_NEXT_AAD = b"jifen/next-signing-key/1"
SIGNING, RECOVERY = "signing", "recovery"  # who vouches for the next key
_VOUCHERS = {b"S": SIGNING, b"R": RECOVERY}


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
        seed = signing_key(home, master, origin).seed
    except FileNotFoundError as error:
        raise BadKey(
            f"{error.filename} is missing; it cannot be made again, restore it from the backup of keys"
        ) from error
    parse_vkey(recovery)
    if not is_name(origin):
        raise BadKey(f"{home / 'origin'}: not a name for signed notes")
    return Keys(master, secret, Signer(origin, seed), recovery)


def make_keys(home: Path, master_file: Path | None = None, *, origin: str | None = None) -> Keys:
    """The keys in `home`, made if this is a new deployment. Safe to repeat; never replaces a key that is there."""
    home.mkdir(parents=True, exist_ok=True)
    master_file = master_file or home / "master.key"
    # Where data keys are, there is a deployment; without its signing key it waits for `recover`.
    if any((home / name).exists() for name in ("signing.key", "next.key", "keys.db")):
        return open_keys(home, master_file)
    if not master_file.exists():
        _write(master_file, base64.b64encode(new_key()) + b"\n")
    master = _read_master(master_file)
    name = origin or f"jifen-{os.urandom(6).hex()}"
    if not is_name(name):
        raise BadKey(f"{name!r} cannot name a key: no spaces, no plus sign")
    recovery = Signer(f"{name}/recovery", new_key())
    _write(home / "recovery.key", base64.b64encode(recovery.seed) + b"\n", replace=True)
    _write(home / "recovery.vkey", recovery.vkey.encode() + b"\n", replace=True)
    _write(home / "origin", name.encode() + b"\n", replace=True)
    _write(home / "secret.key", seal(master, new_key(), _SECRET_AAD), replace=True)
    # Last: with it the deployment is complete. A crash before leaves files that the next start may replace.
    _write(home / "signing.key", seal(master, new_key(), _SIGNING_AAD + name.encode()), replace=True)
    return open_keys(home, master_file)


def signing_key(home: Path, master: bytes, origin: str) -> Signer:
    """The key in force. Where it is lost and the recovery key vouches for the next one, it is that one."""
    try:
        sealed = (home / "signing.key").read_bytes()
    except FileNotFoundError:
        coming = next_key(home, master, origin)
        if coming is None or coming.authority != RECOVERY:
            raise
        return coming.signer
    return Signer(origin, unseal(master, sealed, _SIGNING_AAD + origin.encode()))


# the next signing key ------------------------------------------------------------------------------------------


class NextKey(NamedTuple):
    """The key that takes over, in a file of its own beside the one in force, until its first checkpoints are out."""

    authority: str
    signer: Signer


def next_key(home: Path, master: bytes, origin: str) -> NextKey | None:
    """The key that is about to take over, if one is."""
    try:
        sealed = (home / "next.key").read_bytes()
    except FileNotFoundError:
        return None
    opened = unseal(master, sealed, _NEXT_AAD + origin.encode())
    return NextKey(_VOUCHERS[opened[:1]], Signer(origin, opened[1:]))


def make_next_key(home: Path, master: bytes, origin: str, authority: str) -> NextKey:
    """A new key that is to take over. There must be none on the way already."""
    voucher = next(letter for letter, name in _VOUCHERS.items() if name == authority)
    _write(home / "next.key", seal(master, voucher + new_key(), _NEXT_AAD + origin.encode()))
    made = next_key(home, master, origin)
    assert made is not None and made.authority == authority
    return made


def install_next_key(home: Path, master: bytes, origin: str) -> None:
    """The next key becomes the signing key; the one before is overwritten. Safe to repeat after a crash."""
    coming = next_key(home, master, origin)
    if coming is None:
        return
    path = home / "signing.key"
    former = path.open("r+b") if path.exists() else None
    _write(path, seal(master, coming.signer.seed, _SIGNING_AAD + origin.encode()), replace=True)
    if former is not None:
        with former:  # its name is gone, its bytes are not yet
            former.write(bytes(path.stat().st_size))
            former.flush()
            os.fsync(former.fileno())
    (home / "next.key").unlink()


def read_recovery_key(path: Path, origin: str) -> Signer:
    """The recovery key in a file, as `init` wrote it. Raises `BadKey`."""
    try:
        seed = base64.b64decode(path.read_bytes().strip(), validate=True)
    except OSError as error:
        raise BadKey(f"recovery key {path}: {error.strerror}") from error
    except ValueError:
        seed = b""
    if len(seed) != KEY_BYTES:
        raise BadKey(f"recovery key {path}: not 32 bytes in base64")
    return Signer(f"{origin}/recovery", seed)


def master_key(home: Path, master_file: Path | None = None) -> bytes:
    """The master key alone, for when others are missing. Raises `BadKey`."""
    return _read_master(master_file or home / "master.key")


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

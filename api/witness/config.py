# SPDX-License-Identifier: Apache-2.0
"""`JIFEN_HOME/witness.toml`: who witnesses us, and whom we witness. Written by the operator, by hand or by
`jifen witness`; nothing that comes over the network changes it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from api.settings import SettingsError
from api.witness.post import address
from api.witness.state import write_file
from ledger.keys import BadKey, Cosigner, Verifier, parse_cosigner, parse_vkey

FILE = "witness.toml"
WITNESSES_MAX = 32  # their signatures must fit into one note, beside our own
_HEAD = """\
# Whom we witness ([[log]]) and who witnesses us ([[witness]]): docs/witnessing.md. Exchange these keys in person, by
# telephone or on paper, never only over the line that they are to watch.
"""


class ConfigError(SettingsError):
    """The file cannot be used as it is; the message says where and what would be right."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One who witnesses us: its key, and the address before `/add-checkpoint`."""

    key: Cosigner
    url: str


@dataclass(frozen=True, slots=True)
class Config:
    """`logs`: the keys trusted for each origin that we witness."""

    witnesses: tuple[Peer, ...] = ()
    logs: Mapping[str, tuple[Verifier, ...]] = field(default_factory=dict[str, tuple[Verifier, ...]])


def read(home: Path) -> Config:
    """What the file says; nothing where there is none. Raises `ConfigError`."""
    path = home / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Config()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    return _parse(text, path)


def _parse(text: str, path: Path) -> Config:
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    for name in said:
        if name not in ("witness", "log"):
            raise ConfigError(f"{path}: {name}: no such table; there are [[witness]] and [[log]]")
    peers: dict[str, Peer] = {}
    for where, one in _tables(said, "witness", path, {"vkey", "url"}, set()):
        key = witness_key(one["vkey"], where)
        if key.text in peers:
            raise ConfigError(f"{where}: this witness stands there twice")
        peers[key.text] = Peer(key, witness_url(one["url"], where))
    if len(peers) > WITNESSES_MAX:
        raise ConfigError(f"{path}: at most {WITNESSES_MAX} [[witness]]")
    logs: dict[str, tuple[Verifier, ...]] = {}
    for where, one in _tables(said, "log", path, {"vkey"}, {"origin"}):
        key = log_key(one["vkey"], where)
        origin = one.get("origin", key.name)
        if not origin or not origin.isprintable():
            raise ConfigError(f"{where}: origin: one line of text, the first of the log's checkpoints")
        known = logs.get(origin, ())
        if key in known:
            raise ConfigError(f"{where}: this key stands there twice")
        logs[origin] = (*known, key)
    return Config(tuple(peers.values()), logs)


def _tables(
    said: Mapping[str, Any], name: str, path: Path, needed: set[str], allowed: set[str]
) -> list[tuple[str, dict[str, str]]]:
    """The tables of that name, each with where it stands, their members checked to be texts that we know."""
    found = said.get(name, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise ConfigError(f"{path}: write [[{name}]] in two pairs of brackets, once for each")
    tables: list[tuple[str, dict[str, str]]] = []
    for number, one in enumerate(found, start=1):
        where = f"{path}: [[{name}]] number {number}"
        for member, value in one.items():
            if member not in needed | allowed:
                raise ConfigError(f"{where}: {member}: no such member; there are {', '.join(sorted(needed | allowed))}")
            if not isinstance(value, str):
                raise ConfigError(f"{where}: {member} must be a text in quotes")
        if missing := sorted(needed - one.keys()):
            raise ConfigError(f"{where}: {missing[0]} is missing")
        tables.append((where, one))
    return tables


def witness_key(text: str, where: str = "vkey") -> Cosigner:
    """The key of a witness. Raises `ConfigError`."""
    try:
        return parse_cosigner(text)
    except BadKey as error:
        if _is(parse_vkey, text):
            raise ConfigError(
                f"{where}: this is a log's key, not a witness's; ask for what `jifen witness show` calls the witness "
                "vkey there"
            ) from error
        raise ConfigError(f"{where}: {_said(error)}; a witness vkey reads name+8 hex digits+base64") from error


def log_key(text: str, where: str = "vkey") -> Verifier:
    """The key of a log. Raises `ConfigError`."""
    try:
        return parse_vkey(text)
    except BadKey as error:
        if _is(parse_cosigner, text):
            raise ConfigError(
                f"{where}: this is a witness's key, not a log's; ask for what `jifen witness show` calls the log vkey "
                "there"
            ) from error
        raise ConfigError(f"{where}: {_said(error)}; a log vkey reads name+8 hex digits+base64") from error


def _said(error: BadKey) -> str:
    return str(error).removeprefix("vkey: ")


def _is(parse: Any, text: str) -> bool:
    try:
        parse(text)
    except BadKey:
        return False
    return True


def witness_url(text: str, where: str = "url") -> str:
    """The address before `/add-checkpoint`, without a slash at its end. Raises `ConfigError`."""
    try:
        address(text)
    except ValueError as error:
        raise ConfigError(f"{where}: {text!r}: {error}; for example https://host/v1/witness") from error
    url = text.rstrip("/")
    if url.endswith("/add-checkpoint"):
        raise ConfigError(f"{where}: leave /add-checkpoint away, it is put there for each call")
    return url


# adding ----------------------------------------------------------------------------------------------------------


def add_witness(home: Path, vkey: str, url: str) -> Config:
    """Write one more witness of ours into the file. Raises `ConfigError`; the file is as it was then."""
    return _add(home, "witness", {"vkey": witness_key(vkey).text, "url": witness_url(url)})


def add_log(home: Path, vkey: str, origin: str | None = None) -> Config:
    """Write one more log that we witness into the file. Raises `ConfigError`; the file is as it was then."""
    key = log_key(vkey)
    other = {"origin": origin} if origin is not None and origin != key.name else {}
    return _add(home, "log", {"vkey": key.text, **other})


def _add(home: Path, table: str, members: Mapping[str, str]) -> Config:
    path = home / FILE
    if not home.is_dir():
        raise ConfigError(f"{home}: there is no such folder; a new deployment starts with: jifen init")
    read(home)  # what cannot be read is not added to
    text = path.read_text(encoding="utf-8") if path.exists() else _HEAD
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in members.items())
    text = f"{text.rstrip()}\n\n[[{table}]]\n{lines}"
    made = _parse(text, path)
    write_file(path, text.encode())
    return made

# SPDX-License-Identifier: Apache-2.0
"""The key store: keys are durable before they are used, wrapped, and gone when destroyed."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from api.people import keystore
from api.people.keystore import Keystore
from ledger.errors import Refusal
from ledger.keys import BadKey

MASTER = bytes(range(32))


def test_keys_outlive_the_process(tmp_path: Path) -> None:
    """What one process made another finds; the file is its owner's and holds no clear key."""
    path = tmp_path / "keys.db"
    store = Keystore(path, MASTER)
    made = store.create([f"sub_{i}" for i in range(1200)])
    assert 1200 == len(set(made.values()))
    store.close()
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert made["sub_7"] not in path.read_bytes()
    again = Keystore(path, MASTER)
    assert made == again.keys(list(made))
    again.close()
    other = Keystore(path, bytes(32))
    with pytest.raises(BadKey):
        other.key("sub_7")
    other.close()


def test_a_destroyed_key_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the file, from this memory and from another process's, and it is told apart from one that never was."""
    monkeypatch.setattr(keystore, "_LOOK_EVERY_S", -1.0)
    path = tmp_path / "keys.db"
    store, other = Keystore(path, MASTER), Keystore(path, MASTER)
    store.create(["sub_a", "sub_b"])
    wrapped = store._db.execute("SELECT wrapped FROM data_key WHERE subject = 'sub_a'").fetchone()[0]
    assert wrapped in path.read_bytes()
    assert store.key("sub_a") == other.key("sub_a")
    store.destroy("sub_a", 1)
    store.destroy("sub_a", 2)
    for each in (store, other):
        with pytest.raises(Refusal, match="subject_erased"):
            each.key("sub_a")
        with pytest.raises(Refusal, match="subject_unknown"):
            each.keys(["sub_b", "sub_c"])
        assert store.key("sub_b") == each.key("sub_b")
    assert wrapped not in path.read_bytes()
    assert [] == [file for file in tmp_path.iterdir() if file.name != "keys.db"]
    store.close()
    other.close()


def test_keys_of_refused_accounts_are_taken_back(tmp_path: Path) -> None:
    """They leave no trace, and creating is all or nothing."""
    store = Keystore(tmp_path / "keys.db", MASTER)
    first = store.create(["sub_a"])
    with pytest.raises(Exception, match="UNIQUE"):
        store.create(["sub_b", "sub_a"])
    with pytest.raises(Refusal, match="subject_unknown"):
        store.key("sub_b")
    assert first == store.keys(["sub_a"])
    store.discard(["sub_a"])
    with pytest.raises(Refusal, match="subject_unknown"):
        store.key("sub_a")
    store.close()

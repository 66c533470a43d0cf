# SPDX-License-Identifier: Apache-2.0
"""Keys: known vectors, files that only their owner reads, and names of keys as signed notes write them."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest

from ledger import keys


def test_sealing_agrees_with_a_known_vector() -> None:
    """AES-256-GCM, the published test case of zero key, zero nonce and one zero block."""
    tag_and_text = bytes.fromhex("cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919")
    assert bytes(16) == keys.unseal(bytes(32), bytes(12) + tag_and_text, b"")


def test_deriving_agrees_with_rfc_5869() -> None:
    """Test case 3: no salt, no info."""
    expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"  # fmt: skip
    assert expected == keys.derive(b"\x0b" * 22, "", 42).hex()


def test_a_sealed_value_opens_only_for_its_key_and_purpose() -> None:
    """Another key, another purpose or one changed byte is refused, and nothing is said of what is inside."""
    key = keys.new_key()
    sealed = keys.seal(key, "张三".encode(), b"sub_1/person")
    assert "张三".encode() == keys.unseal(key, sealed, b"sub_1/person")
    assert sealed != keys.seal(key, "张三".encode(), b"sub_1/person")
    for wrong in [(keys.new_key(), sealed, b"sub_1/person"), (key, sealed, b"sub_2/person")]:
        with pytest.raises(keys.BadKey):
            keys.unseal(*wrong)
    with pytest.raises(keys.BadKey):
        keys.unseal(key, sealed[:-1] + bytes([sealed[-1] ^ 1]), b"sub_1/person")
    with pytest.raises(keys.BadKey):
        keys.unseal(key, b"", b"sub_1/person")


def test_signing_agrees_with_the_published_note() -> None:
    """The key and the note that Go's note package and C2SP signed-note show as their example."""
    vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    seed = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
    text = b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    line = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    signer = keys.Signer("PeterNeumann", seed)
    assert vkey == signer.vkey
    assert base64.b64decode(line) == signer.verifier.id + signer.sign(text)
    assert keys.parse_vkey(vkey).verify(base64.b64decode(line)[4:], text)
    assert not keys.parse_vkey(vkey).verify(base64.b64decode(line)[4:], text + b"!")
    assert "BgoU" not in repr(signer)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+AhpC",
        "PeterNeumann+c74f20a3+!!",
    ],
)
def test_a_vkey_whose_parts_disagree_is_refused(text: str) -> None:
    """Name, hash and algorithm byte must belong together."""
    with pytest.raises(keys.BadKey):
        keys.parse_vkey(text)


def test_keys_are_made_once_and_read_again(tmp_path: Path) -> None:
    """Making twice gives the same keys; every private file is its owner's alone; wrapped files hold no clear key."""
    home = tmp_path / "var"
    made = keys.make_keys(home)
    assert made == keys.make_keys(home) == keys.open_keys(home)
    assert made.secret != made.master != made.signer.seed
    assert f"{made.origin}/370321002003" == made.journal_origin("370321002003")
    for path in home.iterdir():
        assert 0o600 == stat.S_IMODE(path.stat().st_mode), path.name
        assert made.secret not in path.read_bytes()
        assert made.signer.seed not in path.read_bytes()


def test_the_recovery_key_may_leave_the_machine(tmp_path: Path) -> None:
    """Its public half stays and still belongs to the private half that was carried away."""
    made = keys.make_keys(tmp_path)
    seed = base64.b64decode((tmp_path / "recovery.key").read_bytes())
    (tmp_path / "recovery.key").unlink()
    assert keys.Signer(f"{made.origin}/recovery", seed).vkey == keys.open_keys(tmp_path).recovery


def test_a_master_key_kept_elsewhere(tmp_path: Path) -> None:
    """JIFEN_MASTER_KEY_FILE may lie on another disk; without it, or with another one, nothing opens."""
    home, master = tmp_path / "var", tmp_path / "safe" / "master"
    made = keys.make_keys(home, master)
    assert not (home / "master.key").exists()
    assert made == keys.open_keys(home, master)
    with pytest.raises(keys.BadKey, match="master key"):
        keys.open_keys(home)
    keys.make_keys(tmp_path / "other")
    with pytest.raises(keys.BadKey):
        keys.open_keys(home, tmp_path / "other" / "master.key")


def test_a_master_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """The message names the file and the command that mends it."""
    keys.make_keys(tmp_path)
    (tmp_path / "master.key").chmod(0o644)
    with pytest.raises(keys.BadKey, match="chmod 600"):
        keys.open_keys(tmp_path)


def test_a_lost_key_file_is_never_made_again(tmp_path: Path) -> None:
    """A deployment whose secret is gone must be restored: a new secret would orphan every index."""
    keys.make_keys(tmp_path)
    (tmp_path / "secret.key").unlink()
    with pytest.raises(keys.BadKey, match="missing"):
        keys.make_keys(tmp_path)

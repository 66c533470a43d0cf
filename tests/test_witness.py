# SPDX-License-Identifier: Apache-2.0
"""Deployments witness each other: both sides of C2SP tlog-witness, and what each makes of a dishonest other side."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import os
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import strategies

from api import cli, jobs
from api.app import create_app
from api.problems import status_of
from api.settings import Settings
from api.witness import client, config, state, wire
from api.witness import post as posting
from api.witness.post import Answer, Unreachable
from api.witness.server import AGAIN_S, WAITING_MAX, Conflict, Witness
from api.witness.state import Memory
from api.world import World
from ledger import merkle, note
from ledger.book import accounts
from ledger.codec import leaf_hash
from ledger.errors import Refusal
from ledger.keys import BadKey, Signer, make_keys, parse_cosigner, parse_vkey
from ledger.model import Act
from tests.town import Run

pytestmark = pytest.mark.schema()

LOG = Signer("log.example/one", bytes([1]) * 32)
OTHER = Signer("log.example/two", bytes([2]) * 32)
LEAVES = [leaf_hash(b"%d" % n) for n in range(40)]
FORKED = [*LEAVES[:3], *(leaf_hash(b"other %d" % n) for n in range(3, 40))]

GOLDEN_ROOT = "iipcm3aIJ95alVLDigRMZpWcaPbS8htSYK9U0vh9uCc="
GOLDEN_VKEY = "town-b/witness+83712e64+BAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
GOLDEN_LINE = (
    "— town-b/witness g3EuZAAAAABlU/EAxqUDHKheks211jYmscxkDOy9nnsnrA1oSm/FMOvnVs/x"
    "WxMjSv5BhePHsADJiOwd/u1VvgJj6f1LQqXshaN0Cg==\n"
)


class Clock:
    """Stands still until a test moves it; microseconds."""

    def __init__(self, seconds: int = 1_700_000_000) -> None:
        self.seconds = seconds

    def __call__(self) -> int:
        return self.seconds * 1_000_000


def text(size: int, leaves: Sequence[bytes] = LEAVES, origin: str = LOG.name) -> str:
    return note.checkpoint_text(note.Checkpoint(origin, size, merkle.root(leaves[:size])))


def signed(said: str, *signers: Signer) -> bytes:
    return note.format_note(said, [note.sign(said, signer) for signer in signers or (LOG,)])


def call(old: int, size: int, leaves: Sequence[bytes] = LEAVES, *signers: Signer) -> bytes:
    """A call as an honest client writes it: from `old` to `size` of a log."""
    proof = merkle.consistency(leaves, old, size) if old <= size else []
    return wire.write(old, proof, signed(text(size, leaves), *signers))


def parsed(line: str, said: str) -> note.Signature:
    """The cosignature in an answer, as a line under the checkpoint it was made for."""
    assert line.startswith("— ") and line.endswith("\n")
    (signature,) = note.parse_note(said.encode() + b"\n" + line.encode()).signatures
    return signature


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "witness"
    make_keys(home, origin="town-b")
    config.add_log(home, LOG.vkey)
    return home


@pytest.fixture
def witness(home: Path, clock: Clock) -> Any:
    made = Witness(home, make_keys(home), clock)
    yield made
    made.close()


def refused(witness: Witness, body: bytes) -> str:
    with pytest.raises(Refusal) as found:
        witness.add_checkpoint(body)
    return found.value.code


# the witness ---------------------------------------------------------------------------------------------------------


def test_a_cosignature_is_the_one_that_the_protocol_describes(witness: Witness, clock: Clock) -> None:
    """Put together here from the words of C2SP tlog-cosignature, with nothing of ours."""
    line = witness.add_checkpoint(call(0, 5))

    assert isinstance(line, str)
    dash, name, encoded = line.removesuffix("\n").split(" ")
    raw = base64.b64decode(encoded)
    vname, key_id, kind_and_key = witness.vkey.split("+", 2)
    public = base64.b64decode(kind_and_key)
    assert ("—", "town-b/witness", vname) == (dash, name, name)
    assert b"\x04" == public[:1] and 33 == len(public) and 4 + 8 + 64 == len(raw)
    assert hashlib.sha256(name.encode() + b"\n" + public).digest()[:4] == raw[:4] == bytes.fromhex(key_id)
    assert clock.seconds == int.from_bytes(raw[4:12], "big")
    root = base64.b64encode(merkle.root(LEAVES[:5])).decode()
    message = f"cosignature/v1\ntime {clock.seconds}\nlog.example/one\n5\n{root}\n".encode()
    Ed25519PublicKey.from_public_bytes(public[1:]).verify(raw[12:], message)


def test_a_cosignature_has_these_bytes(home: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """One key, one time, one checkpoint: Ed25519 leaves no choice, so other software must come to this line."""
    monkeypatch.setattr(state, "new_key", lambda: bytes(range(32)))
    witness = Witness(home, make_keys(home), clock)
    assert GOLDEN_VKEY == witness.vkey
    assert GOLDEN_LINE == witness.add_checkpoint(wire.write(0, [], signed(f"{LOG.name}\n1\n{GOLDEN_ROOT}\n")))
    witness.close()


def test_a_log_is_followed_as_it_grows(witness: Witness, clock: Clock) -> None:
    """Every step is cosigned, the same size again too; a call from another size is told the right one."""
    assert Conflict(0) == witness.add_checkpoint(call(3, 5))
    old = 0
    for size in (0, 1, 1, 5, 8, 8, 21, 40):
        clock.seconds += AGAIN_S
        signature = parsed(str(witness.add_checkpoint(call(old, size))), text(size))
        assert clock.seconds == int.from_bytes(signature.raw[:8], "big")
        assert size == 40 or Conflict(size) == witness.add_checkpoint(call(size + 1, 40))
        old = size
    assert Conflict(40) == witness.add_checkpoint(call(0, 40))
    assert Conflict(40) == witness.add_checkpoint(call(8, 21))  # a rollback


def test_one_checkpoint_sent_again_at_once_gets_the_same_cosignature(witness: Witness, clock: Clock) -> None:
    """Whoever repeats a public checkpoint a thousand times does not make a thousand writes of it."""
    first = witness.add_checkpoint(call(0, 5))
    clock.seconds += AGAIN_S - 1
    assert first == witness.add_checkpoint(call(5, 5))
    clock.seconds += 1
    assert first != witness.add_checkpoint(call(5, 5))


def test_a_fork_is_refused_and_kept(witness: Witness, home: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Another tree of the same size, another history that is longer: 422, logged, and the proof of it is on disk."""
    witness.add_checkpoint(call(0, 5))
    with caplog.at_level(logging.WARNING, "jifen.witness"):
        assert "checkpoint_inconsistent" == refused(witness, call(5, 5, FORKED))
        assert "checkpoint_inconsistent" == refused(witness, call(5, 9, FORKED))
        assert "checkpoint_inconsistent" == refused(witness, call(5, 9, FORKED))
    assert ["ERROR", "WARNING"] == [record.levelname for record in caplog.records]
    assert all(LOG.name in record.getMessage() for record in caplog.records)
    # From the wrong size it is 409 as the protocol has it, but it is the same proof.
    assert Conflict(5) == witness.add_checkpoint(call(0, 5, [*FORKED[:4], *LEAVES[4:]]))
    memory = Memory(home)
    kept = memory.refused(LOG.name)
    memory.close()
    assert {(5, 1), (9, 0)} == {(one.size, one.fork) for one in kept} and 3 == len(kept)
    for one in (one for one in kept if one.fork):  # the two notes alone convict the log
        mine, theirs = note.parse_note(one.known.encode()), wire.read(one.request).note
        key = parse_vkey(LOG.vkey)
        assert [key] == note.verify(mine, [key]) == note.verify(theirs, [key])
        before, after = note.parse_checkpoint(mine.text), note.parse_checkpoint(theirs.text)
        assert (before.origin, before.size) == (after.origin, after.size) and before.root != after.root
    # The honest continuation is still cosigned; with it there are two roots of size 9, and that is a fork as well.
    assert str(witness.add_checkpoint(call(5, 9))).startswith("— ")
    memory = Memory(home)
    assert [(5, 1), (5, 1), (9, 1)] == sorted((one.size, one.fork) for one in memory.refused(LOG.name))
    memory.close()


def test_what_anybody_could_send_does_not_crowd_out_a_fork(
    witness: Witness, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """True checkpoints with false proofs fill their share of what is kept; a fork is kept beyond it."""
    monkeypatch.setattr(state, "REFUSED_MAX", 4)
    witness.add_checkpoint(call(0, 1))
    for number in range(6):
        leaves = [LEAVES[0], leaf_hash(b"%d" % number)]
        body = wire.write(1, [bytes(32)], signed(text(2, leaves)))
        assert "checkpoint_inconsistent" == refused(witness, body)
    assert "checkpoint_inconsistent" == refused(witness, call(1, 1, FORKED[5:]))
    memory = Memory(home)
    kept = memory.refused(LOG.name)
    memory.close()
    assert (4, 1) == (sum(not one.fork for one in kept), sum(one.fork for one in kept))


def test_each_answer_of_the_protocol(witness: Witness) -> None:
    """Which fault is told for which call."""
    good = wire.read(call(4, 9)).proof
    stranger = Signer(LOG.name, bytes([9]) * 32)
    bent = signed(text(9)).decode().splitlines(keepends=True)
    tail = bytearray(base64.b64decode(bent[-1].split()[-1]))
    tail[-1] ^= 1
    bent[-1] = f"— {LOG.name} {base64.b64encode(tail).decode()}\n"
    at_size_0 = wire.write(0, [], signed(f"{LOG.name}\n0\n{base64.b64encode(bytes(32)).decode()}\n"))
    assert "checkpoint_inconsistent" == refused(witness, at_size_0)
    assert "checkpoint_inconsistent" == refused(witness, wire.write(0, good, signed(text(9))))
    witness.add_checkpoint(call(0, 4))
    cases: dict[str, list[bytes]] = {
        "log_unknown": [wire.write(4, good, signed(text(9, origin=OTHER.name), OTHER))],
        "checkpoint_unsigned": [
            call(4, 9, LEAVES, OTHER),
            call(4, 9, LEAVES, stranger),
            wire.write(4, good, "".join(bent).encode()),
            wire.write(4, good, "".join([*bent, signed(text(9)).decode().splitlines(keepends=True)[-1]]).encode()),
        ],
        "checkpoint_malformed": [call(9, 4)],
        "checkpoint_inconsistent": [
            wire.write(4, [], signed(text(9))),
            wire.write(4, good[:-1], signed(text(9))),
            wire.write(4, [*good, bytes(32)], signed(text(9))),
            wire.write(4, [*good[:-1], bytes(32)], signed(text(9))),
            wire.write(4, good, signed(text(9, FORKED))),
            wire.write(4, good, signed(text(4))),
        ],
    }
    for code, bodies in cases.items():
        for number, body in enumerate(bodies):
            assert code == refused(witness, body), number
    assert Conflict(4) == witness.add_checkpoint(call(0, 9))
    line = str(witness.add_checkpoint(call(4, 9, LEAVES, OTHER, LOG, stranger)))  # unknown signatures are passed over
    kept = witness.latest(hashlib.sha256(LOG.name.encode()).hexdigest())
    assert kept == signed(text(9)).decode() + line
    assert None is witness.latest(hashlib.sha256(OTHER.name.encode()).hexdigest())


def test_other_logs_may_say_more_than_ours(witness: Witness, home: Path) -> None:
    """A log whose origin is not its key's name, with two keys and lines after the root, as C2SP allows."""
    config.add_log(home, OTHER.vkey, "elsewhere.example 日志")
    config.add_log(home, LOG.vkey, "elsewhere.example 日志")
    said = text(3, origin="elsewhere.example 日志") + "an extension line\n"
    parsed(str(witness.add_checkpoint(wire.write(0, [], signed(said, OTHER)))), said)
    said = text(7, origin="elsewhere.example 日志")
    parsed(str(witness.add_checkpoint(wire.write(3, merkle.consistency(LEAVES, 3, 7), signed(said)))), said)


GOOD = call(4, 9)


def test_reading_is_strict(witness: Witness) -> None:
    """Numbers, base64, line ends and empty lines have one spelling; one more or less of anything is refused."""
    head, _, rest = GOOD.partition(b"\n\n")
    _old, *proof = head.split(b"\n")
    joined = b"\n".join(proof)
    wrong = {
        "empty": b"",
        "only a note": rest,
        "no note": head + b"\n\n",
        "no empty line": head + b"\n" + rest,
        "two empty lines": head + b"\n\n\n" + rest,
        "first line empty": b"\n" + GOOD,
        "CRLF": GOOD.replace(b"\n", b"\r\n"),
        "no line feed at the end": GOOD[:-1],
        "something after it": GOOD + b"x",
        "64 lines of proof": b"old 4\n" + b"\n".join([proof[0]] * 64) + b"\n\n" + rest,
        "a hash of 31 bytes": b"old 4\n" + base64.b64encode(bytes(31)) + b"\n\n" + rest,
        "base64 without padding": GOOD.replace(b"=\n", b"\n", 1),
        "base64 of another alphabet": b"old 4\n" + base64.urlsafe_b64encode(b"\xff" * 32) + b"\n\n" + rest,
        "superfluous bits": b"old 4\n" + base64.b64encode(bytes(32))[:-2] + b"B=\n\n" + rest,
        "a size beyond all": b"old 4\n" + joined + b"\n\n" + rest.replace(b"\n9\n", b"\n9223372036854775808\n"),
        "not UTF-8": GOOD.replace(b"log.example", b"log.\xff", 1),
        "a control character": GOOD.replace(b"log.example", b"log\x00example", 1),
        "no signature": GOOD.rpartition("—".encode())[0],
        "an empty extension line": rest and wire.write(4, [], signed(text(9)[:-1] + "\n\nx\n")),
    }
    for old in ("", " 4", "04", "+4", "-4", "4 ", "4.0", "1_0", "４", "4\t", "0x4", "9223372036854775808", "9" * 400):
        wrong[f"old {old!r}"] = f"old {old}\n".encode() + joined + b"\n\n" + rest
    for start in (b"Old 4", b"old4", b"old  4", b" old 4", b"size 4", b"4"):
        wrong[repr(start)] = start + b"\n" + joined + b"\n\n" + rest
    for size in ("09", " 9", "9 ", "+9", "９", "1_0", "9.0", ""):
        wrong[f"size {size!r}"] = head + b"\n\n" + rest.replace(b"\n9\n", f"\n{size}\n".encode())
    for what, body in wrong.items():
        assert GOOD != body, what
        assert "checkpoint_malformed" == refused(witness, body), what


@hypothesis.given(data=strategies.data())
def test_no_bytes_are_too_odd(data: strategies.DataObject) -> None:
    """Whatever is read is written again as the same bytes; everything else is one and the same refusal."""
    body = bytearray(GOOD)
    for _ in range(data.draw(strategies.integers(1, 4))):
        at = data.draw(strategies.integers(0, len(body) - 1))
        piece = data.draw(strategies.binary(max_size=3) | strategies.sampled_from([b"\n", b"\n\n", b" ", b"=", b"0"]))
        body[at : at + data.draw(strategies.integers(0, 3))] = piece
    try:
        asked = wire.read(bytes(body))
    except note.BadNote:
        return
    assert bytes(body) == wire.write(asked.old, asked.proof, note.format_note(*asked.note))


def test_of_two_at_once_the_larger_stays(home: Path, clock: Clock) -> None:
    """Both call from the same size, in two processes' worth of connections: never back to the smaller one."""
    keys = make_keys(home)
    witnesses = [Witness(home, keys, clock) for _ in range(2)]
    witnesses[0].add_checkpoint(call(0, 1))
    old = 1
    for size in range(3, 33, 2):
        gate, found = threading.Barrier(2), {}

        def offer(witness: Witness, to: int, old: int = old, gate: Any = gate, found: Any = found) -> None:
            body = call(old, to)
            gate.wait()
            found[to] = witness.add_checkpoint(body)

        pair = zip(witnesses, (size, size + 1), strict=True)
        threads = [threading.Thread(target=offer, args=one) for one in pair]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        won = [to for to, one in found.items() if isinstance(one, str)]
        lost = [one for one in found.values() if isinstance(one, Conflict)]
        assert 1 == len(won) and [Conflict(won[0])] == lost  # one of them was told to prove it from the other
        old = won[0]
        if old != size + 1:
            assert isinstance(witnesses[0].add_checkpoint(call(old, size + 1)), str)
            old = size + 1
        assert Conflict(old) == witnesses[1].add_checkpoint(call(0, 40))
    for one in witnesses:
        one.close()


def test_a_key_without_its_memory_signs_nothing(home: Path, clock: Clock) -> None:
    """The key is there again after a restart; with the memory lost it is refused, and the way out is told."""
    keys = make_keys(home)
    first = Witness(home, keys, clock)
    vkey = first.vkey
    first.add_checkpoint(call(0, 5))
    first.close()
    again = Witness(home, keys, clock)
    assert vkey == again.vkey and Conflict(5) == again.add_checkpoint(call(0, 9))
    again.close()
    assert 0o600 == (home / "witness.key").stat().st_mode & 0o777 == (home / "witness.db").stat().st_mode & 0o777
    assert keys.master not in (home / "witness.key").read_bytes()
    aside = (home / "witness.db").rename(home / "aside")
    with pytest.raises(BadKey, match=r"Remove witness\.key"):
        _ = Witness(home, keys, clock).vkey
    (home / "witness.key").unlink()
    second = Witness(home, keys, clock)
    renewed = second.vkey
    second.close()
    assert vkey != renewed
    # A new key with the old memory is no harm: it still knows what the old one signed.
    aside.rename(home / "witness.db")
    (home / "witness.key").unlink()
    third = Witness(home, keys, clock)
    assert third.vkey not in (vkey, renewed) and Conflict(5) == third.add_checkpoint(call(0, 9))
    third.close()


def test_a_transaction_is_alone_whoever_looks_in_meanwhile(home: Path) -> None:
    """The client of the same process opens the file every few seconds: no other process gets in because of that."""
    memory = Memory(home)
    looking = threading.Thread(target=lambda: Memory(home).close())
    peek = (
        "import sqlite3, sys\n"
        "try: sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0.2).execute('BEGIN IMMEDIATE')\n"
        "except sqlite3.OperationalError as error: print(error)"
    )
    with memory.transaction():
        looking.start()
        time.sleep(0.3)  # it has opened the file and waits for its turn
        done = subprocess.run([sys.executable, "-c", peek, home / "witness.db"], capture_output=True, check=True)
        assert b"database is locked" == done.stdout.strip()
    looking.join()
    memory.close()


def test_what_cannot_be_kept_is_not_signed(witness: Witness, home: Path) -> None:
    """A disk that refuses the row: no cosignature leaves, and the next call finds the size of before."""
    witness.add_checkpoint(call(0, 5))
    other = sqlite3.connect(home / "witness.db", isolation_level=None)
    other.execute("CREATE TRIGGER full BEFORE INSERT ON cosigned BEGIN SELECT RAISE(FAIL, 'disk full'); END")
    with pytest.raises(sqlite3.Error):
        witness.add_checkpoint(call(5, 9))
    other.execute("DROP TRIGGER full")
    other.close()
    assert Conflict(5) == witness.add_checkpoint(call(0, 9))
    assert isinstance(witness.add_checkpoint(call(5, 9)), str)


# the operator's file -------------------------------------------------------------------------------------------------

W = Signer("town-c/witness", bytes([3]) * 32)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("witness = 1", r"\[\[witness\]\]"),
        ("[witness]\nvkey = 'x'", r"two pairs of brackets"),
        ("[[witnes]]", "no such table"),
        ("[[log]]", "vkey is missing"),
        ("[[log]]\nvkey = 3", "in quotes"),
        ("[[log]]\nvkey = 'x'\nurl = 'y'", "url: no such member"),
        ("[[log]]\nvkey = 'nonsense'", "name\\+8 hex digits"),
        (f"[[log]]\nvkey = '{W.cosigner.text}'", "witness's key, not a log's"),
        (f"[[log]]\nvkey = '{LOG.vkey}'\n[[log]]\nvkey = '{LOG.vkey}'", "twice"),
        (f"[[log]]\nvkey = '{LOG.vkey}'\norigin = ''", "origin"),
        (f"[[witness]]\nvkey = '{LOG.vkey}'\nurl = 'https://x'", "log's key, not a witness's"),
        (f"[[witness]]\nvkey = '{W.cosigner.text}'", "url is missing"),
        (f"[[witness]]\nvkey = '{W.cosigner.text[:-2]}A='\nurl = 'https://x'", "vkey"),
        (f"[[witness]]\nvkey = '{W.cosigner.text}'\nurl = 'file:///etc/passwd'", "https://"),
        (f"[[witness]]\nvkey = '{W.cosigner.text}'\nurl = 'https://u:p@x'", "user"),
        (f"[[witness]]\nvkey = '{W.cosigner.text}'\nurl = 'https://x?a=b'", r"\?"),
        (f"[[witness]]\nvkey = '{W.cosigner.text}'\nurl = 'https://x:99999'", "(?i)port"),
        (f"[[witness]]\nvkey = '{W.cosigner.text}'\nurl = 'https:///p'", "no host"),
        (f"[[witness]]\nvkey = '{W.cosigner.text}'\nurl = 'http://x/a b'", "without spaces"),
        (f"[[witness]]\nvkey = '{W.cosigner.text}'\nurl = 'http://x/y\\r\\nHost: z'", "not TOML|ASCII"),
        (f"[[witness]]\nvkey = '{W.cosigner.text}'\nurl = 'http://x/add-checkpoint'", "leave /add-checkpoint away"),
        ("vkey = ", "not TOML"),
    ],
)
def test_a_file_that_cannot_be_meant_says_why(tmp_path: Path, text: str, said: str) -> None:
    """Each message names the place and what would be right."""
    (tmp_path / "witness.toml").write_text(text, encoding="utf-8")
    with pytest.raises(config.ConfigError, match=said) as found:
        config.read(tmp_path)
    assert "witness.toml" in str(found.value)


def test_the_command_line_writes_the_file(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """add-log and add-witness keep what stood there, refuse what does not fit, and show tells it all."""
    monkeypatch.setenv("JIFEN_HOME", str(home))
    monkeypatch.setenv("LANG", "en_GB.UTF-8")

    def run(*words: str, status: int = 0) -> str:
        assert status == cli.main(["witness", *words])
        told = capsys.readouterr()
        return told.out + told.err

    path = home / "witness.toml"
    path.write_text(path.read_text() + "# ours, from the street office\n")
    before = path.read_text()
    run("add-witness", W.cosigner.text, "https://town-c.example/v1/witness/")
    run("add-log", OTHER.vkey, "--origin", 'an "origin" 日志')
    assert path.read_text().startswith(before)
    found = config.read(home)
    assert [(W.cosigner, "https://town-c.example/v1/witness")] == [(one.key, one.url) for one in found.witnesses]
    assert {LOG.name: (LOG.verifier,), 'an "origin" 日志': (OTHER.verifier,)} == found.logs
    before = path.read_text()
    assert "twice" in run("add-log", LOG.vkey, status=2)
    assert "not a witness's" in run("add-witness", OTHER.vkey, "https://x", status=2)
    assert "https://" in run("add-witness", Signer("w", bytes(32)).cosigner.text, "ftp://x", status=2)
    assert before == path.read_text()
    shown = run("show")
    keys = make_keys(home)
    witness = Witness(home, keys, Clock())
    for vkey in (witness.vkey, keys.vkey):
        assert vkey in shown
    assert "town-c/witness" in shown and LOG.name in shown and "nothing yet" in shown
    witness.add_checkpoint(call(0, 5))
    assert "size 5" in run("show")
    refused(witness, call(5, 5, FORKED))
    assert "FORK" in run("show", status=1)
    witness.close()


def test_a_running_witness_takes_up_the_file(witness: Witness, home: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A log that is added is known at once; a file broken by hand is told, and what it said before stands."""
    body = wire.write(0, [], signed(text(3, origin=OTHER.name), OTHER))
    assert "log_unknown" == refused(witness, body)
    config.add_log(home, OTHER.vkey)
    assert isinstance(witness.add_checkpoint(body), str)
    (home / "witness.toml").write_text("[[log]")
    assert Conflict(3) == witness.add_checkpoint(wire.write(1, [], signed(text(3, origin=OTHER.name), OTHER)))
    assert "not TOML" in caplog.text
    (home / "witness.toml").unlink()
    assert "log_unknown" == refused(witness, body)


# asking a witness ----------------------------------------------------------------------------------------------------


class Epochs:
    """An epoch log in memory."""

    def __init__(self, size: int, leaves: Sequence[bytes] = LEAVES) -> None:
        self.leaves = leaves
        self.kept: list[note.Signature] = []
        self.grow(size)

    def grow(self, size: int) -> None:
        self.kept.clear()
        self.said = text(size, self.leaves)

    async def newest(self) -> note.Note:
        return note.Note(self.said, (note.sign(self.said, LOG), *self.kept))

    async def consistency(self, m: int, n: int) -> list[bytes]:
        return merkle.consistency(self.leaves, m, n)

    async def add_cosignatures(self, size: int, signatures: Sequence[note.Signature]) -> bool:
        self.kept += signatures
        return True


def answering(witness: Witness) -> Callable[[str, bytes], Awaitable[Answer]]:
    """`post`, to this witness, without a network."""

    async def send(url: str, body: bytes) -> Answer:
        try:
            found = witness.add_checkpoint(body)
        except Refusal as refusal:
            return Answer(status_of(refusal), "application/problem+json", b"{}")
        if isinstance(found, Conflict):
            return Answer(409, "text/x.tlog.size", b"%d\n" % found.size)
        return Answer(200, "text/plain", found.encode())

    return send


@pytest.fixture
def ours(tmp_path: Path, witness: Witness) -> Path:
    """The home of a log that `witness` witnesses."""
    home = tmp_path / "log"
    home.mkdir()
    config.add_witness(home, witness.vkey, "https://town-b.example/v1/witness")
    return home


def standing(home: Path, vkey: str) -> Any:
    memory = Memory(home)
    try:
        return memory.standing(vkey)
    finally:
        memory.close()


async def test_a_log_is_cosigned_as_it_grows(ours: Path, witness: Witness, clock: Clock) -> None:
    """Once for each checkpoint; after a lost memory of its own the witness tells where to go on from."""
    epochs, send = Epochs(3), answering(witness)
    assert 1 == await client.offer(ours, epochs, clock, send)
    key = parse_cosigner(witness.vkey)
    assert [key] == note.verify(await epochs.newest(), [key])
    assert 0 == await client.offer(ours, epochs, clock, send)
    epochs.grow(8)
    assert 1 == await client.offer(ours, epochs, clock, send)
    (ours / "witness.db").unlink()
    epochs.grow(21)
    assert 1 == await client.offer(ours, epochs, clock, send)
    assert (21, clock.seconds, "") == (lambda one: (one.size, one.at, one.said))(standing(ours, witness.vkey))


async def test_a_lying_witness_is_not_believed(ours: Path, witness: Witness, clock: Clock) -> None:
    """What does not verify, is of another key, another time or another text is dropped; others are not looked at."""
    epochs = Epochs(5)
    key = Signer("town-b/witness", bytes([7]) * 32)
    config.add_witness(ours, key.cosigner.text, "https://liar.example")
    ours_only = Signer("town-b/witness", bytes([8]) * 32)

    def lines(*signatures: note.Signature) -> bytes:
        return note.format_note("x\n", signatures).partition(b"\n\n")[2]

    right = note.cosign(epochs.said, key, clock.seconds)
    bent = right._replace(raw=right.raw[:-1] + bytes([right.raw[-1] ^ 1]))
    later = right._replace(raw=(clock.seconds + 1).to_bytes(8, "big") + right.raw[8:])
    lies = {
        "bent": lines(bent),
        "another time": lines(later),
        "right and bent": lines(right, bent),
        "another text": lines(note.cosign(text(4), key, clock.seconds)),
        "another key": lines(note.cosign(epochs.said, ours_only, clock.seconds)),
        "signed as a log": lines(note.sign(epochs.said, key)),
        "cut": lines(right._replace(raw=right.raw[:-1])),
        "no time": lines(note.cosign(epochs.said, key, 0)),
        "tomorrow": lines(note.cosign(epochs.said, key, clock.seconds + 86_400)),
        "nothing": b"",
        "a page": b"<html>\n",
        "a note": note.format_note(text(4), [right]),
        "not UTF-8": b"\xff\n",
        "no line feed": lines(right)[:-1],
        "a hundred": lines(right) * 100,
    }
    honest = answering(witness)
    for what, lie in lies.items():

        async def send(url: str, body: bytes, lie: bytes = lie) -> Answer:
            return Answer(200, "text/plain", lie) if "liar" in url else await honest(url, body)

        await client.offer(ours, epochs, clock, send)
        assert [witness.vkey.split("+")[0]] == [one.name for one in epochs.kept], what
        assert parse_cosigner(witness.vkey).id == epochs.kept[0].id, what
        assert "nothing of it was kept" in standing(ours, key.cosigner.text).said, what
        clock.seconds += 3600

    async def truth(url: str, body: bytes) -> Answer:
        return Answer(200, "text/plain", lines(note.cosign(epochs.said, ours_only, 1), right))

    assert 1 == await client.offer(ours, epochs, clock, truth)
    assert right in epochs.kept and 2 == len(epochs.kept)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([Answer(403, "", b"")], "403: .*log vkey"),
        ([Answer(404, "", b"")], "404: .*log vkey"),
        ([Answer(422, "", b"")], "422: .*jifen verify"),
        ([Answer(500, "", b"x" * 1000)], "size 5: 500$"),
        ([Answer(302, "", b"")], "302: .*final address"),
        ([Answer(429, "", b"")], "size 5: 429$"),
        ([Answer(409, "text/x.tlog.size", b"4\n"), Answer(409, "text/x.tlog.size", b"5\n")], "409 twice"),
        ([Answer(409, "text/x.tlog.size", b"6\n")], "ours has only 5"),
        ([Answer(409, "text/plain", b"4\n")], "without the size"),
        ([Answer(409, "text/x.tlog.size", b"4")], "without the size"),
        *(
            ([Answer(409, "text/x.tlog.size", size + b"\n")], "not a size")
            for size in (b"", b"04", b" 4", b"-1", b"1_0", "４".encode(), b"\xff", b"4\n4", b"9" * 30)
        ),
        ([Unreachable("no complete answer within 10 s")], "within 10 s"),
        ([RuntimeError("something of ours")], "RuntimeError"),
    ],
)
async def test_every_other_answer_is_told_and_tried_again_later(
    ours: Path, clock: Clock, witness: Witness, answers: list[Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is raised, nothing kept; said once in the log, asked again after a while, each time a longer one."""
    epochs, left = Epochs(5), list(answers)

    async def send(url: str, body: bytes) -> Answer:
        assert "https://town-b.example/v1/witness/add-checkpoint" == url
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert 0 == await client.offer(ours, epochs, clock, send)
    assert not left and not epochs.kept
    found = standing(ours, witness.vkey)
    assert re.search(said, found.said) and 1 == found.tries and clock.seconds < found.next_at
    assert 0 == await client.offer(ours, epochs, clock, send)  # too early: `send` is not called
    clock.seconds = found.next_at
    left = list(answers)
    await client.offer(ours, epochs, clock, send)
    assert not left and 1 == len(caplog.records)
    again = standing(ours, witness.vkey)
    assert again.next_at - clock.seconds == 2 * client.FIRST_WAIT_S
    clock.seconds = again.next_at
    assert 1 == await client.offer(ours, epochs, clock, answering(witness))
    assert "" == standing(ours, witness.vkey).said


async def test_one_slow_witness_keeps_nobody_waiting(ours: Path, clock: Clock, witness: Witness) -> None:
    """The others are asked meanwhile, and a second round leaves the slow one alone."""
    slow = Signer("slow/witness", bytes([7]) * 32)
    config.add_witness(ours, slow.cosigner.text, "https://slow.example")
    epochs, honest, waiting = Epochs(5), answering(witness), asyncio.Event()
    asked: list[str] = []

    async def send(url: str, body: bytes) -> Answer:
        asked.append(url)
        if "slow" in url:
            await waiting.wait()
        return await honest(url, body)

    first = asyncio.create_task(client.offer(ours, epochs, clock, send))
    while not epochs.kept:
        await asyncio.sleep(0.01)
    assert 0 == await client.offer(ours, epochs, clock, send)
    assert 2 == len(asked)
    waiting.set()
    assert 1 == await first


# the line ------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def speaking(*said: bytes, pause: float = 0.0) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that answers anything with these pieces and closes; its address, and what it heard."""
    heard: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            heard.append(head)
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            heard.append(await reader.readexactly(length))
            for piece in said:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/witness/add-checkpoint", heard
    finally:
        server.close()


async def test_an_answer_is_read_in_each_of_its_forms() -> None:
    """With a length, in chunks, until the end; byte by byte; and what was sent arrives."""
    forms = [
        b"HTTP/1.1 409 Conflict\r\nContent-Type: Text/X.Tlog.Size\r\nContent-Length: 2\r\n\r\n7\nrest",
        b"HTTP/1.1 409 C\r\nTransfer-Encoding: chunked\r\ncontent-type: text/x.tlog.size; a=b\r\n\r\n"
        b"1\r\n7\r\n1\r\n\n\r\n0\r\n\r\n",
        b"HTTP/1.0 409 C\r\nContent-Type: text/x.tlog.size\r\n\r\n7\n",
        b"HTTP/1.1 103 Soon\r\nContent-Type: text/plain\r\n\r\n"
        b"HTTP/1.1 409 C\r\nContent-Type: text/x.tlog.size\r\nContent-Length: 2\r\n\r\n7\n",
        b"HTTP/1.1 409 C\r\nContent-Type: text/x.tlog.size\r\nContent-Length: 2\r\n\r\n7\n"
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n",
    ]
    for form in forms:
        for pieces in ([form], [form[n : n + 1] for n in range(len(form))]):
            async with speaking(*pieces) as (url, heard):
                assert Answer(409, "text/x.tlog.size", b"7\n") == await posting.post(url, b"old 0\n")
            assert heard[0].startswith(b"POST /v1/witness/add-checkpoint HTTP/1.1\r\nHost: 127.0.0.1:")
            assert b"old 0\n" == heard[1]
    async with speaking(b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n") as (
        url,
        _,
    ):
        assert 301 == (await posting.post(url, b"x")).status  # and nobody goes there


@pytest.mark.parametrize(
    ("pieces", "pause", "said"),
    [
        ([b""], 0, "closed the connection"),
        ([b"HTTP/1.1 200 OK\r\nContent-Le"], 0, "closed the connection"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"], 0, "closed the connection"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf"], 0, "closed the connection"),
        ([b"SSH-2.0-OpenSSH_9\r\n"], 0, "not HTTP"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"], 0, "not HTTP"),
        ([b"HTTP/1.1 101 Yes\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"], 0, "not HTTP"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n", *[b"x" * 60_000] * 9], 0, "too long"),
        ([b"HTTP/1.1 200 OK\r\n", *[b"X-Y: %b\r\n" % (b"z" * 60_000)] * 9], 0, "too long|not HTTP"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n", *[b"x"] * 80], 0.05, "within"),
        ([b"H", *[b"T"] * 50], 0.05, "within|not HTTP"),
    ],
)
async def test_an_answer_that_is_none_is_given_up(pieces: list[bytes], pause: float, said: str) -> None:
    """Too long, too slow, cut short, or no HTTP at all: told in words, soon."""
    async with speaking(*pieces, pause=pause) as (url, _):
        with pytest.raises(Unreachable, match=said):
            await posting.post(url, b"x", seconds=0.5)


async def test_nobody_there() -> None:
    """A closed port, a name that nobody has, TLS where there is none."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/", "http://no-such-host.invalid/"):
        with pytest.raises(Unreachable):
            await posting.post(url, b"x", seconds=3)
    async with speaking(b"HTTP/1.1 200 OK\r\n\r\n") as (url, _):
        with pytest.raises(Unreachable):
            await posting.post(url.replace("http:", "https:"), b"x", seconds=0.5)


# two deployments -----------------------------------------------------------------------------------------------------


class Served:
    """A deployment and its server on loopback, in this process."""

    def __init__(self, world: World, url: str) -> None:
        self.world = world
        self.url = url

    async def enter(self, journal: str) -> None:
        """Open one more journal and publish an epoch."""
        keys = self.world.keys

        def work(view: Any) -> None:
            accounts.open_journal(
                view, journal, Act("system", "2026-11-22", b"{}", "txn_open"),
                origin=keys.journal_origin(journal), vkey=keys.vkey, recovery=keys.recovery, zone="Asia/Shanghai",
                policy={},
            )  # fmt: skip

        await self.world.ledger.submit(Run(work, (journal,)))
        await self.world.publisher.publish(epoch=True)


@asynccontextmanager
async def serving(url: str, home: Path) -> AsyncIterator[Served]:
    settings = Settings(url, home)
    world = World(settings)
    await world.init()
    await world.open()
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(settings, world), lifespan="off", log_config=None))
    task = asyncio.create_task(server.serve(sockets=[bound]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield Served(world, f"http://127.0.0.1:{bound.getsockname()[1]}")
    finally:
        server.should_exit = True
        await task
        await world.close()


async def test_two_deployments_witness_each_other(database_url: str, tmp_path: Path) -> None:
    """Over HTTP, both ways, from nothing: exchanged keys, published epochs, cosignatures that a third party can check.
    A fork of one is refused by the other, and an old copy of it is told that it is old."""
    async with (
        serving(database_url, tmp_path / "a") as a,
        serving(f"sqlite:///{tmp_path / 'b.db'}", tmp_path / "b") as b,
    ):
        for us, them in ((a, b), (b, a)):
            config.add_log(us.world.home, them.world.keys.vkey)
            config.add_witness(us.world.home, them.world.witness.vkey, f"{them.url}/v1/witness")
        # Journals, epochs, cosignatures: each side three times.
        for round, journal in enumerate(("370321001001", "370321001002", "370321001003"), start=1):
            for us in (a, b):
                await us.enter(journal)
                assert 1 == await jobs.witnesses(us.world)
                assert 0 == await jobs.witnesses(us.world)
            async with httpx.AsyncClient() as http:
                for us, them in ((a, b), (b, a)):
                    checkpoint = (await http.get(f"{us.url}/v1/epochs/checkpoint")).content
                    known = note.parse_note(checkpoint)
                    keys = [parse_vkey(us.world.keys.vkey), parse_cosigner(them.world.witness.vkey)]
                    assert set(keys) == set(note.verify(known, keys))
                    assert round == note.parse_checkpoint(known.text).size
                    hashed = hashlib.sha256(us.world.keys.origin.encode()).hexdigest()
                    seen = await http.get(f"{them.url}/v1/witness/{hashed}/checkpoint")
                    assert (200, "text/plain; charset=utf-8") == (seen.status_code, seen.headers["content-type"])
                    assert checkpoint == seen.content
                    told = (await http.get(f"{us.url}/v1/public-keys")).json()["witnesses"]
                    assert [them.world.witness.vkey] == told

        # And once more as a server does it, beside everything else.
        await a.enter("370321001004")
        running = asyncio.create_task(jobs.loop(a.world, every=0.05))
        async with asyncio.timeout(20):
            while 2 != len((await a.world.published.checkpoint(""))[0].signatures):
                await asyncio.sleep(0.05)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

        signer = a.world.keys.signer
        origin, url = signer.name, f"{b.url}/v1/witness/add-checkpoint"
        fork = note.checkpoint_text(note.Checkpoint(origin, 4, bytes(32)))
        longer = note.checkpoint_text(note.Checkpoint(origin, 5, bytes(32)))
        _, first = await a.world.published.consistency("", 1, 4)
        newest = await a.world.published.note("")
        async with httpx.AsyncClient(headers={"Accept-Language": "en"}) as http:

            async def status(body: bytes) -> tuple[int, str, str]:
                answer = await http.post(url, content=body)
                kind = answer.headers["content-type"]
                return answer.status_code, kind, answer.json()["code"] if "json" in kind else answer.text

            problem = "application/problem+json"
            inconsistent = (422, problem, "checkpoint_inconsistent")
            assert inconsistent == await status(wire.write(4, [], signed(fork, signer)))
            assert inconsistent == await status(wire.write(4, [bytes(32)] * 2, signed(longer, signer)))
            assert (409, "text/x.tlog.size", "4\n") == await status(wire.write(1, first, newest))
            assert (403, problem, "checkpoint_unsigned") == await status(wire.write(4, [], signed(fork)))
            assert (404, problem, "log_unknown") == await status(call(0, 5))
            for bad in (b"", b"{}", newest, b"old 3\n\n" + b"x" * wire.BODY_MAX):
                assert (400, problem, "checkpoint_malformed") == await status(bad)
            for path in ("0" * 64, "0" * 63, hashed.upper(), "..", "x" * 5000):
                assert 404 == (await http.get(f"{b.url}/v1/witness/{path}/checkpoint")).status_code

        shown = Memory(b.world.home)
        assert [(4, 1), (5, 0)] == [(one.size, one.fork) for one in shown.refused(origin)]
        shown.close()


async def test_calls_beyond_what_is_done_at_once_are_turned_away(database_url: str, tmp_path: Path) -> None:
    """As other public calls are: 429 with Retry-After, and the rest go through."""
    async with serving(database_url, tmp_path / "home") as one:
        config.add_log(one.world.home, LOG.vkey)
        url = f"{one.url}/v1/witness/add-checkpoint"
        assert one.world.witness.vkey
        lock = sqlite3.connect(one.world.home / "witness.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")  # somebody else's transaction: all wait
        async with httpx.AsyncClient(limits=httpx.Limits(max_connections=200), timeout=30) as http:
            body = call(0, 5)
            tasks = [asyncio.create_task(http.post(url, content=body)) for _ in range(WAITING_MAX + 10)]
            while sum(task.done() for task in tasks) < 10:
                await asyncio.sleep(0.01)
            lock.execute("ROLLBACK")
            lock.close()
            found = [await task for task in tasks]
        codes = sorted(answer.status_code for answer in found)
        assert [200, *[409] * (WAITING_MAX - 1), *[429] * 10] == codes
        assert all("retry-after" in answer.headers for answer in found if answer.status_code == 429)


def test_no_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy named in the environment is not asked: the operator's file alone says where a call goes."""
    monkeypatch.setitem(os.environ, "HTTP_PROXY", "http://127.0.0.1:1")

    async def ask() -> Answer:
        async with speaking(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as (url, _):
            return await posting.post(url, b"x")

    assert 200 == asyncio.run(ask()).status

# SPDX-License-Identifier: Apache-2.0
"""verify.py: a good export holds on every Python, and each falsification is named at its place."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger import verifier
from ledger.statements import Statements
from ledger.verify import anchor
from tests.export_maker import FIRST, LISTED, PACK, RECOVERY, THIRD, Forger, Office, notes, rich_history, signed_by
from tests.ledgers import FixedClock, opened

OLD_PYTHONS = sorted(Path.home().glob(".pyenv/versions/3.9*/bin/python"))[:1] + [
    Path(found) for found in [shutil.which("python3.9")] if found and "shims" not in found
]
VERIFY = Path(verifier.__file__)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`out` is the export of a rich history; beside it receipts and checkpoints from along the way.

    `unsealed/out` has no seals: whoever forges history there need not compute them anew."""
    home = tmp_path_factory.mktemp("town")

    async def make() -> None:
        clock = FixedClock()
        async with opened(f"sqlite:///{home}/jifen.db", clock, whole=False) as ledger:
            office = Office(ledger, clock, home)
            changed: Any = office.change_key

            async def change_key(*args: Any) -> None:
                if not office.ring.changes:
                    await office.publisher.publish(epoch=True)
                    (home / "retired.receipt").write_bytes(await office.receipt("east", 7))
                    (home / "retired.checkpoint").write_bytes(await office.published.note("east"))
                    (home / "epochs.checkpoint").write_bytes(await office.published.note(""))
                await changed(*args)

            setattr(office, "change_key", change_key)  # noqa: B010
            await rich_history(office)
            await office.export(home / "out")
            await office.export(home / "east", journals=["east"])
            (home / "text.receipt").write_bytes(await office.receipt("east", 7))
            (home / "qr.receipt").write_bytes(await office.receipt("east", 7, qr=True))
            texts = Statements(ledger, lambda journal, seq: office.text_receipt(journal, seq))
            said = await texts.make("east", "subject:sub_a", since=10)
            (home / "statement.json").write_text(json.dumps(said))
            for name, account in (("aaa", "debt:aaa"), ("sub_bb", "subject:sub_bb"), ("zzz", "subject:zzz")):
                said = await texts.make("east", account, absence=True)
                (home / f"absent-{name}.json").write_text(json.dumps(said))
        clock = FixedClock()
        async with opened(f"sqlite:///{home}/unsealed.db", clock, whole=False) as ledger:
            office = Office(ledger, clock, home / "unsealed")
            await rich_history(office, seals=False)
            await office.export(home / "unsealed" / "out")

    asyncio.run(make())
    return home


@pytest.fixture
def forger(made: Path, tmp_path: Path) -> Forger:
    return Forger(made / "unsealed" / "out", tmp_path / "forged")


def check(folder: Path, *pins: Path, **how: Any) -> dict[str, Any]:
    return verifier.verify(str(folder), [str(pin) for pin in pins], jobs=1, **how)


def run(*arguments: Any, python: Any = sys.executable, script: Path = VERIFY) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(python), str(script), *map(str, arguments)], capture_output=True, text=True,
        env={"PATH": os.environ["PATH"], "PYTHONIOENCODING": "utf-8"}, check=False,
    )  # fmt: skip


# what holds -----------------------------------------------------------------------------------------------------------


def test_a_good_export_holds_by_itself(made: Path) -> None:
    """The file in the export says so without anything of ours: first NOT ANCHORED, exit 0; with a pin, how far."""
    done = run(script=made / "out" / "verify.py")
    assert (0, "") == (done.returncode, done.stderr)
    lines = done.stdout.splitlines()
    assert lines[0].startswith("NOT ANCHORED")
    assert ["east", "west"] == [line.partition(":")[0] for line in lines[1:3]]
    assert "what the keyed digests" in done.stdout and "not checkable" in done.stdout
    done = run("--json", "--pin", made / "epochs.checkpoint", made / "out", "--jobs=2")
    said = json.loads(done.stdout)
    assert said["ok"] and said["anchored"]
    assert all(0 < row["anchored_to"] < row["entries"] for row in said["journals"])


@pytest.mark.parametrize("python", OLD_PYTHONS, ids=str)
def test_an_older_python_says_the_same(made: Path, python: Path) -> None:
    """Python 3.9, without the cryptography package, finds good what is good and bad what is bad."""
    bare = subprocess.run([str(python), "-c", "import cryptography"], capture_output=True, check=False)
    assert bare.returncode, "this Python is meant to have no packages"
    done = run(made / "out", "--pin", made / "retired.receipt", python=python, script=made / "out" / "verify.py")
    assert (0, "") == (done.returncode, done.stderr), done.stdout
    done = run(made / "out", "--pin", made / "east" / "manifest", python=python)
    assert 2 == done.returncode


def test_one_journal_can_be_exported_alone(made: Path) -> None:
    """What the other journals say about moves is then named as not checked."""
    answer = check(made / "east")
    assert answer["ok"], answer["lines"]
    assert any("1 journals that are not in this export" in one for one in answer["cannot"])


def test_quick_looks_at_hashes_and_signatures(made: Path, forger: Forger) -> None:
    """--quick finds a changed byte and says what it leaves out; a rule broken under good hashes it does not see."""
    assert check(made / "out", quick=True)["ok"]
    forger.edit("east", 3, b'"nonce":"', b'"nonce":"0')
    assert ["east/3"] == [found["place"] for found in check(forger.folder, quick=True)["findings"]]


def test_memory_spills_and_the_answer_stays(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With hardly any room for caps and holds in memory they come back from the temporary file as they were."""
    monkeypatch.setattr(verifier.Spill, "LIMIT", 2)
    assert check(made / "out")["ok"]


@pytest.mark.parametrize("name", ["text", "qr"])
def test_a_receipt_holds_without_a_server(made: Path, name: str, tmp_path: Path) -> None:
    """With the key alone, and with keys.json beside; not with another key; not with a character changed."""
    receipt, copy = made / f"{name}.receipt", tmp_path / "verify.py"
    shutil.copy(VERIFY, copy)
    done = run("--receipt", receipt, "--key", THIRD.vkey, script=copy)
    assert 0 == done.returncode and "east/7" in done.stdout, done.stdout + done.stderr
    assert 2 == run("--receipt", receipt, script=copy).returncode  # which key?
    shutil.copy(made / "out" / "keys.json", tmp_path / "keys.json")
    assert 0 == run("--receipt", receipt, script=copy).returncode
    assert 1 == run("--receipt", receipt, "--key", FIRST.vkey, script=copy).returncode
    for at in range(5, len(receipt.read_bytes()) - 1, 97):
        data = bytearray(receipt.read_bytes())
        data[at] = ord("B") if data[at] != ord("B") else ord("C")
        with pytest.raises(verifier.Bad):
            verifier.Proofs("", [THIRD.vkey], False).receipt(bytes(data))


def test_a_receipt_is_checked_in_no_time(made: Path) -> None:
    """Reading verify.py and checking with it takes some 50 ms beyond the start of Python; thrice that is too much."""

    def seconds(*arguments: Any) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-I", *map(str, arguments)], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    check = (VERIFY, "--receipt", made / "qr.receipt", "--key", THIRD.vkey)
    took = min(seconds(*check) for _ in range(5)) - min(seconds("-c", "pass") for _ in range(5))
    assert took < 0.15, took


def omit(said: Any) -> None:
    said["entries"].pop(1)


def change(said: Any) -> None:
    said["entries"][1] = said["entries"][1].replace('"stf_1"', '"stf_2"')


def turn(said: Any) -> None:
    said["entries"][:2] = said["entries"][1::-1]


def enrich(said: Any) -> None:
    said["to"]["state"] = re.sub(
        r'"amount":(\d+)', lambda found: f'"amount":{int(found[1]) + 1}', said["to"]["state"], count=1
    )


def from_nothing(said: Any) -> None:
    said["from"] = None


def other_account(said: Any) -> None:
    said["account"] = "subject:sub_b"


@pytest.mark.parametrize("lie", [None, omit, change, turn, enrich, from_nothing, other_account])
def test_a_statement_holds_whole_and_not_otherwise(
    made: Path, tmp_path: Path, lie: Callable[[Any], None] | None
) -> None:
    """Complete between two seals; with a line missing, changed or out of order, or another balance, it is refused."""
    said = json.loads((made / "statement.json").read_text())
    assert 2 < len(said["entries"])
    if lie:
        lie(said)
    (tmp_path / "s.json").write_text(json.dumps(said))
    done = run(made / "out", "--statement", tmp_path / "s.json")
    assert (1 if lie else 0) == done.returncode, done.stdout + done.stderr
    assert ("→" in done.stdout) == bool(lie)


@pytest.mark.parametrize("name", ["aaa", "sub_bb", "zzz"])
def test_that_an_account_is_not_there_is_shown_by_its_neighbours(made: Path, tmp_path: Path, name: str) -> None:
    """Before the first, between two and after the last account; not for an account that is there."""
    said = json.loads((made / f"absent-{name}.json").read_text())
    (tmp_path / "s.json").write_text(json.dumps(said))
    assert 0 == run(made / "out", "--statement", tmp_path / "s.json").returncode
    said["account"] = "subject:sub_a"
    (tmp_path / "s.json").write_text(json.dumps(said))
    assert 1 == run(made / "out", "--statement", tmp_path / "s.json").returncode


def test_a_retired_key_is_believed_within_the_history_only(made: Path, tmp_path: Path) -> None:
    """Its receipt holds against an export that contains it, and nowhere else; another of its making does not."""
    done = run("--receipt", made / "retired.receipt", made / "out")
    assert 0 == done.returncode and "a retired key" in done.stdout, done.stdout
    shutil.copy(made / "out" / "keys.json", tmp_path / "keys.json")
    done = run("--receipt", made / "retired.receipt", tmp_path)
    assert 1 == done.returncode and "retired key" in done.stdout
    text = (made / "retired.receipt").read_text()
    head, _, signed = text.partition("\n\n")
    origin, size, _ = signed.split("\n", 2)
    forged = signed_by(f"{origin}\n{size}\n{signed.split(chr(10))[2][::-1].lstrip('=')}=\n", FIRST).decode()
    (tmp_path / "leaked").write_text(f"{head}\n\n{forged}")
    assert 1 == run("--receipt", tmp_path / "leaked", made / "out").returncode


def test_ed25519_by_the_book() -> None:
    """RFC 8032 §7.1, test 2; then the encodings that a lenient reader takes."""
    public = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    good = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert verifier.ed25519_valid(public, b"r", good)
    assert not verifier.ed25519_valid(public, b"s", good)
    s = int.from_bytes(good[32:], "little") + 2**252 + 27742317777372353535851937790883648493
    assert not verifier.ed25519_valid(public, b"r", good[:32] + s.to_bytes(32, "little"))
    identity = (1).to_bytes(32, "little")
    assert not verifier.ed25519_valid(identity, b"r", identity + bytes(32))  # a key of small order
    assert not verifier.ed25519_valid((2**255 - 18).to_bytes(32, "little"), b"r", identity + bytes(32))  # y = p + 1


# what does not -----------------------------------------------------------------------------------------------------

Forgery = Callable[[Forger], Any]


def line(journal: str, seq: int, old: bytes, new: bytes) -> Forgery:
    def forge(forger: Forger) -> str:
        forger.edit(journal, seq, old, new)
        return f"{journal}/{seq}"

    return forge


def lines(change: Callable[[list[bytes]], Any]) -> Forgery:
    def forge(forger: Forger) -> None:
        rows = forger.lines("east")
        change(rows)
        forger.put("east", rows)

    return forge


def entry(kind: str, change: Callable[[Any], Any], nth: int = 0, journal: str = "east", **fields: Any) -> Forgery:
    """Change one entry of a kind; chain and signatures are made good."""

    def forge(forger: Forger) -> str:
        seq = forger.find(journal, kind, nth, **fields)
        forger.history(journal, lambda entries: change(entries[seq]))
        return f"{journal}/{seq}"

    return forge


def without(kind: str, nth: int = 0, journal: str = "east", late: int = 0, **fields: Any) -> Forgery:
    """Leave one entry out, the rest made good; the first that shows it stands `late` after its place."""

    def forge(forger: Forger) -> str:
        seq = forger.find(journal, kind, nth, **fields)
        forger.history(journal, lambda entries: entries.pop(seq))
        return f"{journal}/{seq + late}"

    return forge


def again(kind: str, nth: int = 0, journal: str = "east", **fields: Any) -> Forgery:
    """The same entry a second time right after the first."""

    def forge(forger: Forger) -> str:
        seq = forger.find(journal, kind, nth, **fields)

        def insert(entries: list[Any]) -> None:
            copy = json.loads(json.dumps(entries[seq]))
            entries.insert(seq + 1, copy)
            for before, after in itertools.pairwise(entries[seq:]):
                if after["recorded_at"] <= before["recorded_at"]:
                    at = before["recorded_at"]
                    after["recorded_at"] = f"{at[:20]}{int(at[20:26]) + 1:06d}Z"

        forger.history(journal, insert)
        return f"{journal}/{seq + 1}"

    return forge


def file(name: str, change: Callable[[bytes], bytes | None], *, manifest: bool = True) -> Forgery:
    def forge(forger: Forger) -> None:
        path = forger.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = change(path.read_bytes() if path.exists() else b"")
        path.unlink(missing_ok=True)
        if data is not None:
            path.write_bytes(data)
        if manifest:
            forger.manifest()

    return forge


def shift(e: Any, index: int, by: int, other: int | None = None) -> None:
    """Move `by` between two postings of an entry; lots and accounts stay."""
    e["postings"][index]["amount"] += by
    if other is not None:
        e["postings"][other]["amount"] -= by


def later(index: int) -> Callable[[Any], None]:
    return lambda e: e["postings"][index].update(lot="2022-12-30")


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new, 1)

    return change


def lost_journal(forger: Forger) -> None:
    shutil.rmtree(forger.folder / "west")

    def forget(info: Any) -> None:
        del info["journals"]["west"]
        for name in [name for name in info["files"] if name.startswith("west/")]:
            del info["files"][name]

    forger.journals.remove("west")
    forger.manifest(forget)


def unarrived(forger: Forger) -> None:
    """Neither the arrival nor what became of it; and the release to nobody in the old home is left out too."""
    gone = [forger.find("west", "move", subject="sub_d"), forger.find("west", "erase")]
    release = forger.find("east", "release", subject="sub_d")
    forger.history("east", lambda entries: entries.pop(release))
    forger.history(
        "west", lambda entries: entries.__setitem__(slice(None), [e for e in entries if e["seq"] not in gone])
    )


def other_keys(forger: Forger) -> None:
    said = json.loads((forger.folder / "keys.json").read_bytes())
    said["keys"] = said["keys"][-1:]
    (forger.folder / "keys.json").write_bytes(verifier.canonical(said))
    forger.manifest()


def remade(change: Callable[[Any], Any], edition: str = "edn_1", journal: str = "west") -> Forgery:
    """A frozen list says something else, and everything above it is made good: its hashes, entry and signatures."""

    def forge(forger: Forger) -> None:
        folder = forger.folder / "editions" / edition
        header, published = (json.loads((folder / name).read_bytes()) for name in ("edition.json", "published.json"))
        change(header)
        (folder / "edition.json").write_bytes(verifier.canonical(header))
        published["frozen"] = verifier.sha256(verifier.canonical(header)).hex()
        data = verifier.canonical(published)
        (folder / "published.json").write_bytes(data)
        (folder / "note").write_bytes(signed_by(f"jifen-edition/v1\n{data.decode()}\n", THIRD))
        seq, digest = forger.find(journal, "edition"), verifier.sha256(data).hex()
        forger.history(journal, lambda entries: entries[seq]["data"].update(digest=digest))

    return forge


def other_folder(source: str | None, edition: str) -> Forgery:
    """The folder of a list is gone, or another one's copy; the manifest says so."""

    def forge(forger: Forger) -> None:
        top = forger.folder / "editions"
        shutil.rmtree(top / edition, ignore_errors=True)
        if source:
            shutil.copytree(top / source, top / edition)
        names = [path.relative_to(forger.folder).as_posix() for path in top.glob("*/*")]

        def change(info: Any) -> None:
            kept = {name: digest for name, digest in info["files"].items() if not name.startswith("editions/")}
            info["files"] = kept | {name: verifier.sha256((forger.folder / name).read_bytes()).hex() for name in names}

        forger.manifest(change)

    return forge


def one_signature(data: bytes) -> bytes:
    return b"".join(signed_by(one.decode().partition("\n\n")[0] + "\n", FIRST) for one in notes(data))


FORGERIES: dict[str, tuple[Forgery, str, str]] = {
    # bytes, without any key
    "another request": (lambda f: flip(f, "east", 6, b'"request":"'), "east/6", "was changed"),
    "another request in the last entry": (lambda f: flip(f, "west", -1, b'"request":"'), "west/-1", "another root"),
    "prev of an entry": (lambda f: flip(f, "east", 9, b'"prev":"'), "east/9", "prev is not the leaf"),
    "prev of the last entry": (lambda f: flip(f, "west", -1, b'"prev":"'), "west/-1", "prev is not the leaf"),
    "spaces": (line("east", 5, b'"caps":', b'"caps": '), "", "canonical"),
    "order of keys": (line("east", 0, b'"actor":"stf_1","caps":[],', b'"caps":[],"actor":"stf_1",'), "", "canonical"),
    "a key twice": (line("east", 5, b'"v":1', b'"v":1,"v":1'), "", "canonical"),
    "an escape that is not needed": (line("east", 6, b'"G1"', b'"\\u00471"'), "", "canonical"),
    "a fraction": (line("east", 6, b'"amount":-200', b'"amount":-200.0'), "", "whole number"),
    "an exponent": (line("east", 6, b'"amount":-200', b'"amount":-2e2'), "", "whole number"),
    "null": (line("east", 6, b'"place":"p1"', b'"place":null'), "", "field place"),
    "true": (line("east", 1, b'"base":100000', b'"base":true'), "", "data.base"),
    "true in a free object": (line("east", 0, b'"points_validity_months":12', b'"points_validity_months":true'), "",
                              "data.policy"),
    "too large a number": (line("east", 1, b'"base":100000', b'"base":9007199254740992'), "", "data.base"),
    "a field more": (line("east", 5, b'"txn":', b'"tax":"1","txn":'), "", "tax"),
    "a lone surrogate": (line("east", 6, b'"p1"', b'"\\ud800"'), "", "canonical"),
    "not UTF-8": (line("east", 6, b'"p1"', b'"\xff"'), "", "canonical"),
    "a byte order mark": (lines(lambda rows: rows.__setitem__(0, b"\xef\xbb\xbf" + rows[0])), "east/0", "canonical"),
    "carriage returns": (lines(lambda rows: rows.__setitem__(3, rows[3] + b"\r")), "east/3", "canonical"),
    "an empty line": (lines(lambda rows: rows.insert(8, b"")), "east/8", "canonical"),
    "two entries swapped": (lines(lambda rows: rows.insert(8, rows.pop(9))), "east/8", "is entry east/9"),
    "an entry left out": (lines(lambda rows: rows.pop(8)), "east/8", "is entry east/9"),
    "an entry doubled": (lines(lambda rows: rows.insert(8, rows[8])), "east/9", "is entry east/8"),
    "the end cut off": (lines(lambda rows: rows.pop()), "east/-1", "is missing"),
    "the last line feed": (file("east/entries.jsonl", lambda data: data[:-1], manifest=False), "east/-1", "line feed"),
    "an entry of another journal": (lines(lambda rows: rows.__setitem__(8, rows[8].replace(b'"journal":"east"',
                                                                              b'"journal":"west"'))),
                                    "east/8", "is entry west/8"),
    # rules, by somebody who can chain and sign
    "an award that does not sum to zero": (entry("award", lambda e: shift(e, 1, 100)), "", "sum to zero"),
    "an award to somebody else": (entry("award", lambda e: e["postings"][1].update(account="subject:sub_b")), "",
                                  "one lot in each unit"),
    "an award to who was never here": (entry("award", lambda e: (e.update(subject="sub_x"), e["postings"][1].update(
        account="subject:sub_x"), e["postings"][3].update(account="subject:sub_x"))), "", "no open account"),
    "an award that goes on after the window": (entry("award", lambda e: e.update(data={"takeover": 1}), 4), "",
                                               "takeover"),
    "a cap that forgets": (entry("award", lambda e: e["caps"][0].update(used_before=0), 1), "", "used_before"),
    "a cap above its limit": (entry("award", lambda e: e["caps"][0].update(let=99_999)), "", "more than its limit"),
    "a cap of another year": (entry("award", lambda e: e["caps"][0].update({"from": "2021-01-01", "to": "2021-12-31"})),
                              "", "outside its window"),
    "a cap that forgets over a move": (entry("award", lambda e: e["caps"][1].update(used_before=3), 0, "west"), "",
                                       "came along"),
    "a deed awarded twice": (again("award"), "", "used_before"),
    "a deed awarded twice without caps": (again("award", 2), "", "a second time"),
    "a deduction from a person": (entry("deduct", lambda e: e.update(subject="sub_a")), "", "body only"),
    "a hold beyond the balance": (entry("hold", lambda e: (shift(e, 0, -9000, 1)), 1), "", "earliest first"),
    "a hold of the later lot": (entry("hold", later(0), 1), "", "earliest first"),
    "a hold opened twice": (again("hold", 1), "", "was opened before"),
    "a capture of more than is held": (entry("capture", lambda e: shift(e, 0, -9000, 1), 1), "", "the hold has left"),
    "a capture into two merchants": (entry("capture", lambda e: e["postings"].append(
        {"account": "merchant:mer_2", "amount": 1, "unit": "points"}) or shift(e, -2, -1)), "", "merchants"),
    "a capture by nobody": (entry("capture", lambda e: e["postings"][-1].update(account="merchant:")), "", "merchants"),
    "a capture of a hold that is not linked": (entry("capture", lambda e: e["links"][0].update(leaf="0" * 64)), "",
                                               "names no hold"),
    "a capture a second time": (again("capture", 0), "", "closed"),
    "a refund without its release": (without("release"), "",
                                     "not the release"),
    "a refund to an earlier lot": (entry("refund", lambda e: e["postings"][1].update(lot="2022-03-20")), "",
                                   "latest lots first"),
    "a second new day": (entry("refund", lambda e: e["postings"][1].update(lot="2022-05-20"), 2), "", "one new day"),
    "a release to somebody else": (entry("release", lambda e: e.update(subject="sub_b")), "", "another subject"),
    "a release too early": (entry("release", lambda e: e.update(data={"expired": 1}), 1), "", "run out before"),
    "a reversal twice": (again("reverse", 2), "", "was reversed before"),
    "a reversal with less shortfall": (entry("reverse", lambda e: e["data"].update(shortfall=1), 2), "", "shortfall"),
    "a reversal that leaves points": (entry("reverse", lambda e: shift(e, 0, 1, 1), 2), "", "this reversal"),
    "an expiry before its day": (entry("expire", lambda e: e.update(recorded_at="2022-03-11T00:00:00.000000Z")), "",
                                 "does not rise"),
    "an expiry of a lot that is good": (entry("expire", later(0)), "", "past its day"),
    "a relot to an earlier day": (entry("relot", lambda e: e["postings"][1].update(lot="2022-05-01")), "", "relot"),
    "a capture by another merchant": (entry("capture", lambda e: e["postings"][-1].update(account="merchant:mer_2"), 2),
                                      "", "mer_1 has captured"),
    "a refund by another merchant": (entry("refund", lambda e: e["postings"][0].update(account="merchant:mer_2")), "",
                                     "mer_1 has captured"),
    "a void under no budget line": (entry("void", lambda e: e["data"].update(budget="")), "", "data.budget"),
    "a benefit used twice": (again("benefit"), "", "a second benefit"),
    "a benefit of less than nothing": (entry("benefit", lambda e: e["data"].update(fen=-1)), "", "benefit of nothing"),
    "a benefit undone twice": (again("benefit", 2), "", "was undone before"),
    "a benefit undone in part": (entry("benefit", lambda e: e["data"].update(fen=-1), 2), "", "a part of it"),
    "a benefit that posts": (entry("benefit", lambda e: e.update(postings=[
        {"account": "issuer", "amount": -5, "unit": "points"},
        {"account": "merchant:mer_1", "amount": 5, "unit": "points"}])), "", "a benefit"),
    "a settlement of no month": (entry("settle", lambda e: e["data"].update(period="2022-13")), "", "data.period"),
    "a settlement that names nobody": (entry("settle", lambda e: e["data"].pop("merchant"), 1), "", "where nothing"),
    "a settlement of nothing": (entry("settle", lambda e: e["data"].update(fen=0), 1), "", "settles nothing"),
    "a settlement beyond what is owed": (entry("settle", lambda e: shift(e, 0, -99_999, 1)), "", "would be"),
    "a move that leaves a lot": (entry("move", lambda e: (e["postings"].pop(), e["postings"].pop())), "", "every lot"),
    "a move that arrives richer": (entry("move", lambda e: shift(e, 0, -5, 1), 0, "west"), "", "arriving"),
    "a move with other tallies": (entry("move", lambda e: e["data"].update(tallies="0" * 64)), "", "tallies"),
    "an arrival a second time": (again("move", 0, "west"), "", "arrives where its account is open"),
    "an arrival left out": (unarrived, "east/", "nothing arrives"),
    "an erasure that keeps something": (entry("erase", lambda e: (e["postings"].pop(), e["postings"].pop())), "",
                                        "everything to expired"),
    "an objection against somebody else's entry": (entry("objection", lambda e: e.update(subject="sub_b")), "",
                                                   "another subject"),
    "an objection that posts": (entry("objection", lambda e: e.update(postings=[
        {"account": "issuer", "amount": -5, "unit": "points"},
        {"account": "subject:sub_a", "amount": 5, "unit": "points"}])), "", "objection"),
    "an objection made twice": (again("objection"), "", "a second objection"),
    "a decision of an objection that was not made": (entry("decision", lambda e: e["data"].update(id="obj_9")), "",
                                                     "decides no objection"),
    "a decision that is none": (entry("decision", lambda e: e["data"].update(outcome="maybe")), "", "data.outcome"),
    "a decision made twice": (again("decision"), "", "a second decision"),
    "a list published twice": (again("edition"), "", "a second edition"),
    "a list of no version": (entry("edition", lambda e: e["data"].update(version=0)), "", "data.version"),
    "a list that posts": (entry("edition", lambda e: e.update(postings=[
        {"account": "issuer", "amount": -5, "unit": "points"},
        {"account": "fund:p1", "amount": 5, "unit": "points"}])), "", "an edition"),
    "money granted twice": (again("fund"), "", "a second fund"),
    "money by another list": (entry("fund", lambda e: e["data"].update(edition="edn_1")), "", "no edition of this id"),
    "money by no list": (entry("fund", lambda e: e.update(links=[])), "", "no such links"),
    "money that is taken": (entry("fund", lambda e: e["data"].update(fen=-1)), "", "data.fen"),
    "a pack without its hash": (entry("policy", lambda e: e["data"]["pack"].pop("hash"), 1), "", "data.pack"),
    "an account opened twice": (again("open", 1), "", "already"),
    "instants that fall back": (entry("award", lambda e: e.update(recorded_at="2022-03-01T08:00:00.000000Z"), 3), "",
                                "does not rise"),
    "a key that nobody vouched for": (file("east/rotations", one_signature), "east/", "signed by"),
    "another origin": (entry("open", lambda e: e["data"].update(origin="other/east")), "", "hash of origin"),
    # files, signed again where it says so
    "a file too many": (file("east/note.txt", lambda _: b"x"), "east/note.txt", "no manifest"),
    "a file too few": (file("east/checkpoint", lambda _: None, manifest=False), "east/checkpoint", "cannot be read"),
    "a manifest that was changed": (file("manifest", replaced(b'"software":"jifen test"', b'"software":"jifen tesT"'),
                                         manifest=False), "manifest", "does not verify"),
    "a file that was changed": (file("keys.json", lambda data: data + b"\n", manifest=False), "keys.json", "manifest"),
    "a pack that was changed": (file(f"packs/{PACK}/pack.json", lambda data: data.replace(b"tiny", b"tall")),
                                f"packs/{PACK}/pack.json", "another hash"),
    "a pack told otherwise": (file(f"packs/{PACK}/pack.toml", lambda data: data.replace(b"tiny", b"tall")),
                              f"packs/{PACK}", "something else"),
    "a pack whose lists were changed": (file(f"packs/{LISTED}/lists.toml", lambda data: data.replace(b"red", b"rod")),
                                        f"packs/{LISTED}", "something else"),
    "a list's result that was changed": (file("editions/edn_1/result.json", lambda data: data + b" "),
                                         "editions/edn_1/result.json", "edition.json names"),
    "a list's header that was changed": (file("editions/edn_1/edition.json", replaced(b"grids", b"grits")),
                                         "editions/edn_1/edition.json", "published.json names"),
    "a list's publication that was changed": (file("editions/edn_1/published.json", replaced(b"stf_2", b"stf_4")),
                                              "editions/edn_1/published.json", "is not what was published"),
    "a list signed over something else": (file("editions/edn_1/note", lambda _: signed_by("x\n", THIRD)),
                                          "editions/edn_1/note", "not over published.json"),
    "a list signed by a stranger": (file("editions/edn_1/note", lambda data: signed_by(
        data.decode().partition("\n\n")[0] + "\n", RECOVERY)), "editions/edn_1/note", "signed by no key"),
    "a list without its folder": (other_folder(None, "edn_1"), "editions/edn_1", "names it"),
    "a list that was not published": (other_folder("edn_1", "edn_0"), "editions/edn_0", "no entry names it"),
    "another list's folder": (other_folder("edn_2", "edn_1"), "editions/edn_1/published.json", "is not what was"),
    "a list from other entries": (entry("award", lambda e: e.update(request="0" * 64)), "editions/edn_1",
                                  "by another leaf"),
    "a list from an entry that is none": (remade(lambda h: h["seen"]["west"].update(leaf="0" * 64)),
                                          "editions/edn_1/edition.json", "by another leaf"),
    "a list from entries after it": (remade(lambda h: h["as_of"]["west"].update(size=h["as_of"]["west"]["size"] + 1)),
                                     "editions/edn_1/edition.json", "came before its own"),
    "a list from nothing": (remade(lambda h: h["as_of"]["west"].update(size=0)), "editions/edn_1/edition.json",
                            "came before its own"),
    "a list from no journal": (remade(lambda h: h["as_of"].update(north={"leaf": "0" * 64, "size": 1})),
                               "editions/edn_1/edition.json", "which there is not"),
    "a list of another period": (remade(lambda h: h.update(period="2022Q2")), "editions/edn_1/edition.json",
                                 "another list, period"),
    "a list of another form": (remade(lambda h: h.pop("seen")), "editions/edn_1/edition.json", "of version 1"),
    "a list's file in no header": (remade(lambda h: h["files"].pop("result.json")), "editions/edn_1/result.json",
                                   "edition.json names"),
    "a list's file in no folder": (remade(lambda h: h["files"].update(more="0" * 64)), "editions/edn_1/more",
                                   "none of this name"),
    "keys without their past": (other_keys, "east/0", "not in keys.json"),
    "a journal left out": (lost_journal, "epoch/leaves.jsonl", "exactly the exported journals"),
    "an epoch left out": (file("epoch/leaves.jsonl", lambda data: data.split(b"\n", 1)[1]), "epoch/0", "number"),
    "a journal that shrinks": (file("epoch/leaves.jsonl", lambda data: shrunk(data)), "epoch/2", "shrinks"),
    "a checkpoint of a stranger": (file("west/checkpoint", lambda data: signed_by(
        data.decode().partition("\n\n")[0] + "\n", RECOVERY)), "west/checkpoint", "not signed by the key in force"),
    "a checkpoint by a retired key": (file("west/checkpoint", lambda data: signed_by(
        data.decode().partition("\n\n")[0] + "\n", FIRST)), "west/checkpoint", "not signed by the key in force"),
}  # fmt: skip


def flip(forger: Forger, journal: str, seq: int, after: bytes) -> None:
    """Another hex digit right after a name, in one line."""
    rows = forger.lines(journal)
    at = rows[seq].rindex(after) + len(after)
    digit = b"0" if rows[seq][at : at + 1] != b"0" else b"1"
    rows[seq] = rows[seq][:at] + digit + rows[seq][at + 1 :]
    forger.put(journal, rows)


def shrunk(data: bytes) -> bytes:
    rows = [json.loads(row) for row in data.splitlines()]
    rows[2]["members"][0].update(rows[1]["members"][0], size=rows[1]["members"][0]["size"] - 1)
    return b"".join(verifier.canonical(row) + b"\n" for row in rows)


@pytest.mark.parametrize("name", FORGERIES)
def test_each_falsification_is_named_at_its_place(forger: Forger, name: str) -> None:
    """The first finding of the journal (or of the folder) is the line that was falsified, with what to do about it."""
    forge, place, what = FORGERIES[name]
    size = {journal: len(forger.lines(journal)) for journal in forger.journals}
    said = forge(forger)
    answer = check(forger.folder)
    assert not answer["ok"]
    place = place or said
    top, _, seq = place.partition("/")
    place = f"{top}/{size[top] - 1}" if seq == "-1" else place
    found = [one for one in answer["findings"] if one["place"].partition("/")[0] == top]
    assert found and found[0]["place"].startswith(place) and what in found[0]["what"], answer["findings"]
    assert all(one["do"] for one in answer["findings"])
    if seq.isdigit():
        assert found[0]["place"] == place, answer["findings"]


def test_a_seal_must_be_that_of_the_state(made: Path, tmp_path: Path) -> None:
    """A seal with another root, or over entries that were changed after it was made."""
    forger = Forger(made / "out", tmp_path / "forged")
    forger.history("east", lambda entries: entries[10]["data"].update(state_root="0" * 64))
    assert "east/10" == check(forger.folder)["findings"][0]["place"]
    forger = Forger(made / "out", tmp_path / "other")
    forger.history("east", lambda entries: entries[7].update(request="0" * 64))
    found = check(forger.folder)["findings"][0]
    assert "east/10" == found["place"] and "state_root" in found["what"]


def test_a_pin_tells_a_history_that_was_written_anew(made: Path, tmp_path: Path) -> None:
    """Changed, chained and signed again with the office's own key: only who kept a checkpoint or receipt can tell."""
    forger = Forger(made / "out", tmp_path / "forged")
    seq = forger.find("east", "capture", 1)
    forger.history("east", lambda entries: entries[seq].update(request="0" * 64))
    anchored = [check(forger.folder, made / name) for name in ("retired.receipt", "retired.checkpoint")]
    for answer in anchored:
        assert not answer["ok"] and not answer["anchored"]
        assert "pin " in answer["findings"][0]["what"], answer["findings"]
    answer = check(forger.folder, made / "epochs.checkpoint")
    assert any("pin " in found["place"] for found in answer["findings"]), answer["findings"]


def test_an_export_older_than_the_pin_is_refused(made: Path, forger: Forger) -> None:
    """Whoever hands out yesterday's history is told from today's pin; a pin of others is refused too."""
    text = (made / "out" / "east" / "checkpoint").read_text().split("\n")
    ahead = forger.folder.parent / "ahead"
    ahead.write_bytes(signed_by(f"{text[0]}\n{int(text[1]) + 5}\n{text[2]}\n", THIRD))
    assert "older than the pin" in check(made / "out", ahead)["findings"][0]["what"]
    stranger = forger.folder.parent / "stranger"
    stranger.write_bytes(signed_by("other.example/east\n1\n" + text[2] + "\n", THIRD))
    assert "this export is of" in check(made / "out", stranger)["findings"][0]["what"]
    unsigned = forger.folder.parent / "unsigned"
    unsigned.write_bytes(signed_by("\n".join(text[:3]) + "\n", RECOVERY))
    assert "no key of this history" in check(made / "out", unsigned)["findings"][0]["what"]


COPIES: dict[str, Callable[[bytes], bytes]] = {
    "no last line feed": lambda pin: pin[:-1],
    "CRLF": lambda pin: pin.replace(b"\n", b"\r\n"),
    "CRLF but for the last": lambda pin: pin[:-1].replace(b"\n", b"\r\n"),
    "byte order mark": lambda pin: b"\xef\xbb\xbf" + pin,
    "empty lines after it": lambda pin: pin + b"\r\n\n",
}


@pytest.mark.parametrize("copied", [pytest.param(copied, id=name) for name, copied in COPIES.items()])
def test_a_pin_may_have_been_copied(made: Path, forger: Forger, copied: Callable[[bytes], bytes]) -> None:
    """From a QR code into a file, through an editor or a mail: it pins the same, and not a letter more may differ."""
    pin, path = (made / "retired.checkpoint").read_bytes(), forger.folder.parent / "pin.txt"
    path.write_bytes(copied(pin))
    as_it_was, as_copied = check(made / "out", made / "retired.checkpoint"), check(made / "out", path)
    assert as_copied["ok"] and as_copied["anchored"]
    assert as_it_was["journals"] == as_copied["journals"]
    assert anchor.read_pin(pin) == anchor.read_pin(copied(pin))
    at = len(pin) - 12  # in the signature
    path.write_bytes(copied(pin[:at] + (b"B" if pin[at : at + 1] == b"A" else b"A") + pin[at + 1 :]))
    answer = check(made / "out", path)
    assert not answer["ok"] and not answer["anchored"], answer["lines"]


def test_inputs_that_are_none_exit_with_2(made: Path, tmp_path: Path) -> None:
    """A folder without a manifest, a file that is not there, a key that is none; each message says what to do."""
    for arguments in (
        [tmp_path],
        [made / "out", "--pin", tmp_path / "no"],
        ["--receipt", made / "text.receipt", "--key", "x"],
    ):
        done = run(*arguments)
        assert 2 == done.returncode and "→" in done.stderr, done.stderr


def test_the_short_way_to_read_an_entry_takes_nothing_more(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the one pattern accepts, the rules piece by piece accept too, and read as the same; and it reads most."""
    monkeypatch.setattr(verifier, "OFTEN", 1)
    chance = random.Random(7)
    rows = (made / "out" / "east" / "entries.jsonl").read_bytes().splitlines()
    for row in rows:
        verifier.read_entry(row)
    assert sum(verifier.read_usual(row) is not None for row in rows) > len(rows) // 2
    for _ in range(4000):
        data = bytearray(chance.choice(rows))
        for _ in range(chance.choice((1, 1, 2))):
            at = chance.randrange(len(data))
            data[at : at + chance.randrange(2)] = bytes([chance.choice(b'0123456789-.eE"{}[],: ntruf\\\x00\xc3\xa9')])
        found = verifier.read_usual(bytes(data))
        if found is not None:
            slow = verifier.read_canonical(bytes(data))
            verifier.check_form(slow)
            assert slow == found

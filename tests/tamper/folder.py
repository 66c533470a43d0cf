# SPDX-License-Identifier: Apache-2.0
"""Exports: writing a falsified one, and the judgement of verify.py, in this process or in one of its own."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ledger import codec, note, verifier
from ledger.keys import Signer
from ledger.merkle import root as root
from tests.export_maker import NAME, RECOVERY, THIRD, signed_by
from tests.tamper.past import Past, Signing, as_before

verifier.ed25519_valid = functools.lru_cache(4096)(verifier.ed25519_valid)  # pure, and most of the time of a check


class Verdict(NamedTuple):
    """Whether something was found, and where: `<journal>/<seq>`, a file, or nothing."""

    found: bool
    places: list[str]
    said: str


def judge(folder: Path, *pins: Path, jobs: int = 1) -> Verdict:
    """The whole verification."""
    try:
        answer = verifier.verify(str(folder), [str(pin) for pin in pins], jobs=jobs)
    except (verifier.Unusable, verifier.Bad) as error:
        return Verdict(True, [], str(error))
    return Verdict(not answer["ok"], [one["place"] for one in answer["findings"]], str(answer["findings"][:2]))


def judge_outside(folder: Path, *pins: Path) -> Verdict:
    """The same by a process of its own, as somebody does who only has the folder and verify.py."""
    pinned = [word for pin in pins for word in ("--pin", str(pin))]
    script = [sys.executable, "-I", verifier.__file__, str(folder), "--json", *pinned]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1, 2) and "Traceback" not in done.stderr, done.stderr
    findings = json.loads(done.stdout)["findings"] if done.returncode < 2 else []
    return Verdict(done.returncode != 0, [one["place"] for one in findings], done.stderr)


def write(past: Past, folder: Path, signing: Signing = as_before, signer: Signer = THIRD) -> None:
    """An export of these entries, with whatever signatures the caller can make."""
    shutil.rmtree(folder, ignore_errors=True)
    points = past.checkpoints(signing)
    for journal, bodies in past.bodies.items():
        put(folder, f"{journal}/entries.jsonl", b"".join(body + b"\n" for body in bodies))
        put(folder, f"{journal}/checkpoint", next((text for _, text, turned in points[journal] if not turned), b""))
        if any(turned for *_, turned in points[journal]):
            put(folder, f"{journal}/rotations", b"".join(text for _, text, turned in points[journal] if turned))
    lines = [
        codec.encode({"count": count, "epoch": number, "journals_root": root.hex(), "members": members, "v": 1})
        for number, root, count, _, members, _ in past.epoch_rows()
    ]
    put(folder, "epoch/leaves.jsonl", b"".join(line + b"\n" for line in lines))
    put(folder, "epoch/checkpoint", points[""][-1][1])
    stated = {"keys": past.keys(), "origin": NAME, "recovery": RECOVERY.vkey, "v": 1, "witnesses": []}
    put(folder, "keys.json", codec.encode(stated) + b"\n")
    for name, data in past.beside.items():
        put(folder, name, data)
    shutil.copy(verifier.__file__, folder / "verify.py")
    manifest(folder, signer)


def put(folder: Path, name: str, data: bytes) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def manifest(folder: Path, signer: Signer = THIRD, change: Callable[[Any], None] = lambda info: None) -> None:
    """The manifest of the files as they are, signed anew."""
    info: dict[str, Any] = {
        "made_at": "2022-07-01T00:00:00.000000Z", "origin": NAME, "software": "jifen test", "v": 1,
        "files": {}, "journals": {},
    }  # fmt: skip
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in ("manifest", "verify.py"):
            info["files"][name] = hashlib.sha256(path.read_bytes()).hexdigest()
    for path in sorted(folder.glob("*/checkpoint")):
        try:
            point = note.parse_checkpoint(note.parse_note(path.read_bytes()).text)
        except note.BadNote:
            stated = json.loads(note.parse_note((folder / "manifest").read_bytes()).text.split("\n")[1])
            info["epoch" if path.parent.name == "epoch" else "journals"] = stated[
                "epoch" if path.parent.name == "epoch" else "journals"
            ]
            continue
        said = {"root": point.root.hex(), "size": point.size}
        if path.parent.name == "epoch":
            info["epoch"] = said
        else:
            info["journals"][path.parent.name] = said
    change(info)
    text = f"jifen-export/v1\n{codec.encode(info).decode()}\n"
    (folder / "manifest").write_bytes(signed_by(text, signer))

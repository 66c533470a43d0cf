# SPDX-License-Identifier: Apache-2.0
"""The files of an export besides the lines: edited, missing, added, renamed, mixed; and whole other histories in it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ledger import codec, note
from ledger.keys import Signer
from tests.export_maker import FIRST, NAME, SECOND, THIRD, signed_by
from tests.tamper import folder
from tests.tamper.db_histories import STRANGER, draw_harmless, swap_keys, with_first, with_stranger
from tests.tamper.past import Signing, as_before
from tests.tamper.stage import Class, Miss, Stage, one_byte, other_value, paths, with_value

OUTSIDE_EVERY = 40


def _judge(stage: Stage, where: Path, said: str, *tops: str) -> Miss:
    """Found, and (with `tops`) at a place in one of these folders or files."""
    try:
        found = (folder.judge if stage.draw.randrange(OUTSIDE_EVERY) else folder.judge_outside)(
            where, stage.deployment.pin
        )
    except Exception as error:
        return f"{said}: THE CHECK CRASHED: {error!r}"
    named = not tops or not found.places or any(place.partition("/")[0] in tops for place in found.places)
    return None if found.found and named else f"{said}: expected {tops}, found {found.places}"


def _names(good: Path) -> list[str]:
    found = (path.relative_to(good).as_posix() for path in sorted(good.rglob("*")) if path.is_file())
    return [name for name in found if name != "verify.py"]


def file_bytes(stage: Stage) -> Iterator[Miss]:
    """One byte of any file but the lines of entries; the manifest is left."""
    where = stage.fresh()
    names = [name for name in _names(where) if not name.endswith("entries.jsonl")]
    while True:
        for name in names:
            path = where / name
            data = path.read_bytes()
            at = stage.draw.randrange(len(data))
            path.write_bytes(one_byte(data, at, stage.draw))
            top = name.partition("/")[0]
            yield _judge(stage, where, f"{name}, byte {at}", top, "manifest")
            path.write_bytes(data)


def signed_anew(stage: Stage) -> Iterator[Miss]:
    """One byte of what the office signs or counts, and a manifest of the office over it."""
    good = stage.deployment.export
    names = [
        name for name in _names(good) if name.endswith(("entries.jsonl", "checkpoint", "rotations", "leaves.jsonl"))
    ]
    while True:
        for name in names:
            where = stage.fresh()
            data = (where / name).read_bytes()
            at = stage.draw.randrange(len(data))
            (where / name).write_bytes(one_byte(data, at, stage.draw))
            folder.manifest(where)
            yield _judge(stage, where, f"{name}, byte {at}, manifest signed anew")


def manifest_fields(stage: Stage) -> Iterator[Miss]:
    """Fields of the manifest: signed by nobody, by a stranger, by a retired key; with the right key only what the files
    contradict."""
    good = note.parse_note((stage.deployment.export / "manifest").read_bytes())
    info = json.loads(good.text.split("\n")[1])
    where = stage.fresh()
    while True:
        path = stage.draw.choice(list(paths(info)))
        inner = info
        for key in path:
            inner = inner[key]
        value = stage.draw.choice(other_value(inner, stage.draw))
        text = f"jifen-export/v1\n{codec.encode(with_value(info, path, lambda _, value=value: value)).decode()}\n"
        free = path[0] in ("made_at", "software")
        ways: dict[str, bytes] = {
            "the old signature": note.format_note(text, good.signatures),
            "a stranger's": signed_by(text, STRANGER),
            "a retired key's": signed_by(text, stage.draw.choice((FIRST, SECOND))),
        }  # fmt: skip
        if not free:
            ways["the office's"] = signed_by(text, THIRD)
        for said, data in ways.items():
            (where / "manifest").write_bytes(data)
            yield _judge(stage, where, f"{path} {value!r:.50}, {said} signature")


def keys_replaced(stage: Stage) -> Iterator[Miss]:
    """keys.json says something else; the manifest is signed anew, by the office or by the key it then names last."""
    data = json.loads((stage.deployment.export / "keys.json").read_bytes())
    while True:
        path = stage.draw.choice(list(paths(data)))
        if path[0] == "witnesses":
            continue
        inner = data
        for key in path:
            inner = inner[key]
        values = other_value(inner, stage.draw)
        if path[-1] == "vkey" or path == ("recovery",):
            values = [STRANGER.vkey, FIRST.vkey, SECOND.vkey, THIRD.vkey]
        value = stage.draw.choice([one for one in values if one != inner])
        where = stage.fresh()
        (where / "keys.json").write_bytes(codec.encode(with_value(data, path, lambda _, value=value: value)) + b"\n")
        for signer in (THIRD, STRANGER):
            folder.manifest(where, signer)
            yield _judge(stage, where, f"keys.json {path} {value!r:.50}, manifest by {signer.vkey[:30]}")


def files_changed(stage: Stage) -> Iterator[Miss]:
    """Files missing, added, renamed, emptied, linked, under other letters."""
    good = stage.deployment.export
    while True:
        for name in _names(good):
            ways: dict[str, Callable[[Path], Any]] = {
                "deleted": lambda path: path.unlink(),
                "empty": lambda path: path.write_bytes(b""),
                "renamed": lambda path: path.rename(path.with_name(path.name + "~")),
                "in capitals": lambda path: path.rename(path.with_name(path.name.upper())),
                "a copy beside it": lambda path: shutil.copy(path, path.with_name("copy-of-" + path.name)),
                "a folder in its place": lambda path: (path.unlink(), path.mkdir()),
                "a link in its place": lambda path: (
                    shutil.copy(path, stage.folder / "aside"),
                    path.unlink(),
                    os.symlink(stage.folder / "aside", path),
                ),
                "twice as long": lambda path: path.write_bytes(path.read_bytes() * 2),
            }
            for said, change in ways.items():
                where = stage.fresh()
                change(where / name)
                yield _judge(stage, where, f"{name}: {said}")
        for name in ("new", "north/notes.txt", ".hidden", "packs/" + "0" * 64 + "/pack.json", "south/entries.jsonl"):
            where = stage.fresh()
            folder.put(where, name, b"x\n")
            yield _judge(stage, where, f"{name} added", name.partition("/")[0])


def mixed(stage: Stage) -> Iterator[Miss]:
    """Two exports mixed: some files of the older one; its manifest, or one that the office signs over the mixture."""
    older = stage.deployment.old_export
    names = [
        name for name in _names(older) if (older / name).read_bytes() != (stage.deployment.export / name).read_bytes()
    ]
    yield _judge(stage, older, "the whole older export")
    while True:
        for chosen in ([stage.draw.choice(names)], stage.draw.sample(names, stage.draw.randrange(1, len(names)))):
            where = stage.fresh()
            for name in chosen:
                shutil.copy(older / name, where / name)
            yield _judge(stage, where, f"older: {chosen}")
            if set(chosen) != set(names) and "manifest" not in chosen:
                folder.manifest(where)
                yield _judge(stage, where, f"older: {chosen}, manifest signed anew")


def lists_remade(stage: Stage) -> Iterator[Miss]:
    """A file of a published list is another, and so are the hashes and signatures above it, as far as somebody went."""
    top = stage.deployment.export / "editions"
    while True:
        path = stage.draw.choice(sorted(path for path in top.glob("*/*") if path.name != "note"))
        where = stage.fresh() / path.relative_to(stage.deployment.export).parent
        data = path.read_bytes()
        (where / path.name).write_bytes(one_byte(data, stage.draw.randrange(len(data)), stage.draw))
        for file, name in (("edition.json", "files"), ("published.json", "frozen")):
            if path.name == "published.json" or stage.draw.random() < 0.2:
                break
            if path.name == file:
                continue
            said = json.loads((where / file).read_bytes())
            if name == "frozen":
                said[name] = hashlib.sha256((where / "edition.json").read_bytes()).hexdigest()
            elif path.name in said[name]:
                said[name][path.name] = hashlib.sha256((where / path.name).read_bytes()).hexdigest()
            (where / file).write_bytes(codec.canonical(said))
        else:
            published = (where / "published.json").read_bytes().decode()
            (where / "note").write_bytes(signed_by(f"jifen-edition/v1\n{published}\n", THIRD))
        folder.manifest(stage.folder / "export")
        yield _judge(stage, stage.folder / "export", f"editions/{where.name}/{path.name}", "editions")


# whole histories ------------------------------------------------------------------------------------------------------


def rechained(signing: Signing, signer: Signer, strange: bool = False) -> Class:
    """One harmless change, and everything after it made good, signed by whom the forger can."""

    def mutate(stage: Stage) -> Iterator[Miss]:
        while True:
            past = stage.past.copy()
            journal, entry = draw_harmless(stage, past)
            if strange:
                for rows in past.entries.values():
                    swap_keys(rows)
            where = stage.folder / "export"
            folder.write(past.mend(), where, signing, signer)
            yield _judge(stage, where, f"{journal}/{entry['seq']} changed, chained to the end")

    return mutate


def left_out(stage: Stage) -> Iterator[Miss]:
    """Entries, or a journal, are not there and never were; the office signs."""
    while True:
        past = stage.past.copy()
        journal = stage.draw.choice(sorted(past.entries))
        rows = past.entries[journal]
        start = stage.draw.choice((0, stage.draw.randrange(len(rows)), len(rows) - 3, -1))
        count = stage.draw.choice((1, 2, 3, 30))
        if start < 0:
            del past.entries[journal]
        else:
            del rows[start : start + count]
        if rows:
            where = stage.folder / "export"
            folder.write(past.mend(), where)
            yield _judge(stage, where, f"{journal} without {start}..{start + count}")


def cut(stage: Stage) -> Iterator[Miss]:
    """Everything ends earlier, signed by the office: the pin is younger."""
    while True:
        past = stage.past.copy()
        at = stage.draw.choice(past.entries["east"][9:])["recorded_at"]
        past.entries = {
            name: kept for name, rows in past.entries.items() if (kept := [e for e in rows if e["recorded_at"] < at])
        }
        where = stage.folder / "export"
        folder.write(past.mend(), where)
        yield _judge(stage, where, f"everything ends at {at}")


def epoch_fields(stage: Stage) -> Iterator[Miss]:
    """Epochs say something else, chained and signed again by the office."""
    good = (stage.deployment.export / "epoch" / "leaves.jsonl").read_bytes().splitlines()
    while True:
        number = stage.draw.randrange(len(good))
        epoch = json.loads(good[number])
        path = stage.draw.choice(list(paths(epoch)))
        inner = epoch
        for key in path:
            inner = inner[key]
        value = stage.draw.choice(other_value(inner, stage.draw))
        lines = list(good)
        lines[number] = codec.encode(with_value(epoch, path, lambda _, value=value: value))
        if stage.draw.random() < 0.3:
            lines.insert(number, good[number])
        where = stage.fresh()
        folder.put(where, "epoch/leaves.jsonl", b"".join(line + b"\n" for line in lines))
        tops = [codec.leaf_hash(_leaf(line)) for line in lines]
        text = note.checkpoint_text(note.Checkpoint(NAME, len(tops), folder.root(tops)))
        folder.put(where, "epoch/checkpoint", signed_by(text, THIRD))
        folder.manifest(where)
        yield _judge(stage, where, f"epoch {number} {path} {value!r:.50}")


def _leaf(line: bytes) -> bytes:
    said = json.loads(line)
    return codec.encode({k: v for k, v in said.items() if k != "members"})


CLASSES: dict[str, Class] = {
    "a file's bytes": file_bytes,
    "a file's bytes, manifest signed anew": signed_anew,
    "fields of the manifest": manifest_fields,
    "keys.json replaced": keys_replaced,
    "files missing, added, renamed": files_changed,
    "published lists remade": lists_remade,
    "two exports mixed": mixed,
    "fields of epochs": epoch_fields,
    "an export rechained": rechained(as_before, THIRD),
    "an export rechained, signed by a stolen old key": rechained(with_first, FIRST),
    "an export rechained with strange keys": rechained(with_stranger, STRANGER, strange=True),
    "an export without entries or a journal": left_out,
    "an export cut": cut,
}

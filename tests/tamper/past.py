# SPDX-License-Identifier: Apache-2.0
"""A deployment's entries in memory, to be changed as one likes; `mend` then makes everything agree again that can be
computed without being the office: places, links, seals, lists, trees, epochs. Who signs it is the caller's choice.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ledger import codec, merkle, note
from ledger.keys import Signer
from ledger.states import States
from tests.export_maker import FIRST, NAME, RECOVERY, SECOND, THIRD, edition_files, notes, signed_by

SIGNERS = (FIRST, SECOND, THIRD, RECOVERY)
Entry = dict[str, Any]
Signing = Callable[[Sequence[Signer]], Sequence[Signer]]


def as_before(signers: Sequence[Signer]) -> Sequence[Signer]:
    """The office itself signs, with all its keys."""
    return signers


class Past:
    """`entries` by journal. `_was` in an entry is its first place; new ones have none."""

    def __init__(self, folder: Path) -> None:
        self.entries: dict[str, list[Entry]] = {}
        self.leaves: dict[str, list[bytes]] = {}
        self.bodies: dict[str, list[bytes]] = {}
        self.notes: dict[str, list[tuple[int, Sequence[Signer], bool]]] = {}  # size, who signed, whether a rotation
        self.beside = {
            str(path.relative_to(folder)): path.read_bytes()
            for top in ("packs", "editions")
            for path in folder.glob(f"{top}/**/*")
            if path.is_file()
        }
        self.headers = {path.parent.name: path.read_bytes() for path in folder.glob("editions/*/edition.json")}
        self.digests = {id: {self._digest(id)} for id in self.headers}  # what entries state of a list, before and after
        for path in sorted(folder.glob("*/entries.jsonl")):
            journal = path.parent.name
            self.entries[journal] = [json.loads(line) for line in path.read_bytes().splitlines()]
            files = [(path.parent / "rotations", True), (path.parent / "checkpoint", False)]
            self.notes[journal] = [
                self._signed(data, rotation)
                for file, rotation in files
                if file.exists()
                for data in notes(file.read_bytes())
            ]
        self.notes[""] = [self._signed((folder / "epoch" / "checkpoint").read_bytes(), False)]
        lines = (folder / "epoch" / "leaves.jsonl").read_bytes().splitlines()
        self.epochs = [{m["journal"]: m["size"] for m in json.loads(line)["members"]} for line in lines]
        self.sizes = {journal: len(rows) for journal, rows in self.entries.items()}
        for rows in self.entries.values():
            for seq, entry in enumerate(rows):
                entry["_was"] = seq
                for link in entry["links"]:
                    link["_to"] = (link.get("journal", entry["journal"]), link["seq"])

    def _signed(self, data: bytes, rotation: bool) -> tuple[int, Sequence[Signer], bool]:
        signed = note.parse_note(data)
        who = [one for line in signed.signatures for one in SIGNERS if one.verifier.id == line.id]
        return note.parse_checkpoint(signed.text).size, who, rotation

    def copy(self) -> Past:
        """Another one to change."""
        other = copy.copy(self)
        other.entries = json.loads(json.dumps(self.entries))
        for rows in other.entries.values():
            for entry in rows:
                for link in entry["links"]:
                    link["_to"] = tuple(link["_to"])
        other.beside, other.digests = dict(self.beside), {id: set(said) for id, said in self.digests.items()}
        other.epochs = [dict(one) for one in self.epochs]
        other.notes = {log: list(rows) for log, rows in self.notes.items()}
        return other

    def find(self, journal: str, kind: str, nth: int = 0, **fields: Any) -> Entry:
        """The nth entry of a kind with these fields."""
        return [e for e in self.entries[journal] if e["kind"] == kind and fields.items() <= e.items()][nth]

    # chaining --------------------------------------------------------------------------------------------------

    def mend(self) -> Past:
        """Places, links, hashes and seals of all entries, from first to last."""
        self.leaves = {journal: [] for journal in self.entries}
        self.bodies = {journal: [] for journal in self.entries}
        done: dict[tuple[str, int], tuple[int, str]] = {}  # first place → seq and leaf now
        here = {(j, e["_was"]) for j, rows in self.entries.items() for e in rows if e.get("_was") is not None}
        states = {journal: States() for journal in self.entries}
        due = {journal: self._seals_due(journal) for journal in self.entries}
        waiting = {journal: 0 for journal, rows in self.entries.items() if rows}
        while waiting:
            moved = False
            for journal in list(waiting):
                while journal in waiting and self._ready(journal, waiting[journal], done, here):
                    self._chain(journal, waiting[journal], done, states[journal], due[journal])
                    moved = True
                    waiting[journal] += 1
                    if waiting[journal] == len(self.entries[journal]):
                        del waiting[journal]
            if not moved:  # links in a circle: they stay as they are
                here.clear()
        return self

    def _ready(self, journal: str, seq: int, done: Mapping[Any, Any], here: set[Any]) -> bool:
        entry = self.entries[journal][seq]
        if any(link.get("_to") in here and link.get("_to") not in done for link in entry["links"]):
            return False
        heads = self._header(entry).get("as_of", {})
        sizes = {name: self.size_now(name, head["size"]) for name, head in heads.items()}
        return not here or all(len(self.leaves.get(name, ())) >= size for name, size in sizes.items())

    def _header(self, entry: Entry) -> dict[str, Any]:
        """What the list was frozen with that this entry publishes; nothing where it was made to state another."""
        data = entry.get("data")
        if "_keep" in entry or entry["kind"] != "edition" or not isinstance(data, dict):
            return {}
        known = data.get("digest") in self.digests.get(str(data.get("id")), ())
        return json.loads(self.headers[data["id"]]) if known else {}

    def _digest(self, id: str) -> str:
        return hashlib.sha256(self.beside[f"editions/{id}/published.json"]).hexdigest()

    def _freeze(self, entry: Entry, header: dict[str, Any]) -> None:
        """The same list, over the entries as they are now."""
        id = entry["data"]["id"]
        for heads in (header["as_of"], header["seen"]):
            for journal, head in heads.items():
                size = self.size_now(journal, head["size"])
                if 0 < size <= len(self.leaves.get(journal, ())):
                    head.update(size=size, leaf=self.leaves[journal][size - 1].hex())
        files = {name: self.beside[f"editions/{id}/{name}"] for name in header["files"]}
        made = edition_files({**header, "files": files}, THIRD)
        self.beside |= {f"editions/{id}/{name}": data for name, data in made.items()}
        entry["data"]["digest"] = self._digest(id)
        self.digests[id].add(self._digest(id))

    def _seals_due(self, journal: str) -> dict[int, Entry]:
        due: dict[int, Entry] = {}
        for entry in self.entries[journal]:
            if entry["kind"] == "seal" and entry.get("_was") is not None and "_stated" not in entry:
                due[self.size_now(journal, entry["data"]["as_of_size"])] = entry
        return due

    def _chain(self, journal: str, seq: int, done: dict[Any, Any], states: States, due: dict[int, Entry]) -> None:
        entry = self.entries[journal][seq]
        if "_keep" not in entry:
            entry["seq"], entry["journal"] = seq, journal
            if seq:
                entry["prev"] = self.leaves[journal][-1].hex()
            elif set(entry.get("data", {})) >= {"origin", "vkey", "recovery", "policy"}:
                data = entry["data"]
                entry["prev"] = codec.genesis_prev(data["origin"], data["vkey"], data["recovery"], data["policy"])
            for link in entry["links"]:
                if link.get("_to") in done:
                    link["seq"], link["leaf"] = done[link["_to"]]
        if header := self._header(entry):
            self._freeze(entry, header)
        body = plain(entry)
        leaf = codec.leaf_hash(body)
        self.bodies[journal].append(body)
        self.leaves[journal].append(leaf)
        if entry.get("_was") is not None:
            done[journal, entry["_was"]] = (seq, leaf.hex())
        if due:
            states.apply(body, leaf)
            if seq + 1 in due:
                states.close(journal)
                due[seq + 1]["data"] = states.seal_data()

    def size_now(self, journal: str, size: int) -> int:
        """How long the journal is now at the end of what were its first `size` entries."""
        rows = self.entries.get(journal, [])
        if size == self.sizes.get(journal):
            return len(rows)
        return next((i + 1 for i in range(len(rows) - 1, -1, -1) if (rows[i].get("_was") or 0) < size
                     and rows[i].get("_was") is not None), 0)  # fmt: skip

    # signing ---------------------------------------------------------------------------------------------------

    def checkpoints(self, signing: Signing = as_before) -> dict[str, list[tuple[int, bytes, bool]]]:
        """Log → (size, note, whether a rotation), over the entries as they are now."""
        found: dict[str, list[tuple[int, bytes, bool]]] = {}
        for log, rows in self.notes.items():
            leaves = self.leaves.get(log, []) if log else [leaf for *_, leaf in self.epoch_rows()]
            for size, who, rotation in rows:
                now = self.size_now(log, size) if log else len(leaves)
                if now and (not log or log in self.entries):
                    point = note.Checkpoint(f"{NAME}/{log}" if log else NAME, now, merkle.root(leaves[:now]))
                    text = note.checkpoint_text(point)
                    found.setdefault(log, []).append((now, signed_by(text, *signing(who)), rotation))
        return found

    def epoch_rows(self) -> list[tuple[int, bytes, int, list[dict[str, Any]], list[dict[str, Any]], bytes]]:
        """(number, root, count, members that changed, all members, leaf)."""
        found: list[Any] = []
        before: dict[str, Any] = {}
        for sizes in self.epochs:
            members: dict[str, Any] = {}
            for journal in sorted(sizes):
                size = self.size_now(journal, sizes[journal])
                if journal in self.entries and size:
                    root = merkle.root(self.leaves[journal][:size]).hex()
                    members[journal] = {"journal": journal, "root": root, "size": size}
            changed = [one for journal, one in members.items() if before.get(journal) != one]
            if not changed:
                continue
            root = merkle.root([codec.leaf_hash(codec.encode(one)) for one in members.values()])
            number = len(found)
            body = {"count": len(members), "epoch": number, "journals_root": root.hex(), "v": 1}
            leaf = codec.leaf_hash(codec.encode(body))
            found.append((number, root, len(members), changed, list(members.values()), leaf))
            before = members
        return found

    def keys(self) -> list[dict[str, Any]]:
        """`keys` of keys.json."""
        starts: dict[str, dict[str, int]] = {}
        named = sorted(
            (bool(seq), e["recorded_at"], journal, seq, e["data"]["vkey"])
            for journal, rows in self.entries.items()
            for seq, e in enumerate(rows)
            if (not seq or e["kind"] == "key") and "vkey" in e.get("data", {})
        )
        for _, _, journal, seq, vkey in named:
            starts.setdefault(vkey, {})[journal] = seq + 1 if seq else 0
        return [{"from": since, "vkey": vkey} for vkey, since in starts.items()]


def plain(entry: Entry) -> bytes:
    """Its bytes, without what only this file knows."""
    said = {name: value for name, value in entry.items() if name[0] != "_"}
    said["links"] = [{k: v for k, v in link.items() if k[0] != "_"} for link in said["links"]]
    return codec.encode(said)

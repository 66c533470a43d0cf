# SPDX-License-Identifier: Apache-2.0
"""A history in which everything happens that entries can say, its audit export, and ways to falsify that.

A forger here holds no key. Where one is supposed to (`Forger.sign`), the maker's own signer signs again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ledger import codec, merkle, note
from ledger.book import accounts, awards, holds, records
from ledger.engine import Ledger
from ledger.export import Summary, export
from ledger.guard import ForkGuard
from ledger.keys import Signer
from ledger.model import CapUse, Draft, Link, Sealed
from ledger.publish import Publisher
from ledger.published import Published
from ledger.receipt import format_receipt, pack_qr
from ledger.seals import make_seals
from tests.ledgers import (
    PAID,
    POLICY,
    ZONE,
    FixedClock,
    act,
    benefit,
    capture,
    edition,
    fund,
    hold,
    move,
    refund,
    release,
    relot,
    run,
    sweep,
)

NAME = "town.example"
FIRST, SECOND, THIRD = (Signer(NAME, bytes([n]) * 32) for n in (1, 2, 3))
RECOVERY = Signer(f"{NAME}/recovery", b"r" * 32)
PACK_FILES = {
    "pack.toml": b'id = "tiny"\n',
    "groups.toml": b'[[group]]\ncode = "G1"\n',
    "bands.toml": b'[[band]]\ncode = "A"\n',
    "g1.toml": b'group = "G1"\n[[indicator]]\ncode = "V-01"\nname = "\xe6\x89\xab\xe9\x9b\xaa"\n',
}
PACK_JSON = (
    '{"bands":[{"code":"A"}],"groups":[{"code":"G1"}],'
    '"indicators":[{"code":"V-01","group":"G1","name":"扫雪"}],"pack":{"id":"tiny"}}'
).encode()
TERMS = {"budget": "bud_1", "fen_per_point": 100, "scenario": "S01"}
PACK = hashlib.sha256(PACK_JSON).hexdigest()
LISTS = b'[[list]]\ncode = "red"\nkind = "honour"\n[[list]]\ncode = "grids"\nkind = "ranking"\n'
LISTED_JSON = PACK_JSON.replace(
    b'"pack":', b'"lists":[{"code":"grids","kind":"ranking"},{"code":"red","kind":"honour"}],"pack":'
)
LISTED = hashlib.sha256(LISTED_JSON).hexdigest()  # a pack with lists of its own
PACKS = {
    PACK: {**PACK_FILES, "pack.json": PACK_JSON},
    LISTED: {**PACK_FILES, "lists.toml": LISTS, "pack.json": LISTED_JSON},
}


@dataclass
class Ring:
    """Which key signs: the first, until `key` entries name others."""

    ledger: Ledger
    origin: str = NAME
    changes: dict[str, list[tuple[int, Signer, Signer]]] = field(default_factory=dict)

    async def signers(self, log: str, before: int, size: int) -> Sequence[Signer]:
        if not log:
            return [self.newest]
        changes = self.changes.get(log, [])
        signing = [FIRST, *(signer for seq, signer, _ in changes if seq < size)][-1]
        vouching = [voucher for seq, _, voucher in changes if before <= seq < size]
        return [signing, *vouching]

    @property
    def newest(self) -> Signer:
        return next((rows[-1][1] for rows in self.changes.values() if rows), FIRST)


class Office:
    """A ledger with its publisher, and the steps that `tests.ledgers` lacks."""

    def __init__(self, ledger: Ledger, clock: FixedClock, home: Path) -> None:
        self.ledger, self.clock, self.home = ledger, clock, home
        self.ring = Ring(ledger)
        self.publisher = Publisher(ledger, ForkGuard(home / "guard.db"), self.ring)
        self.published = Published(ledger)
        self.editions: dict[str, dict[str, bytes]] = {}

    def act(self) -> Any:
        return act(self.ledger, self.clock.today)

    async def open(self, journal: str) -> None:
        await run(
            self.ledger,
            lambda view: accounts.open_journal(
                view, journal, self.act(), origin=f"{NAME}/{journal}", vkey=FIRST.vkey, recovery=RECOVERY.vkey,
                zone=ZONE, policy=POLICY,
            ),
            journal,
        )  # fmt: skip

    async def member(self, journal: str, subject: str, kind: str = "person") -> None:
        await run(
            self.ledger,
            lambda view: accounts.open_account(view, journal, self.act(), subject=subject, kind=kind, base=100_000),
            journal,
        )

    async def award(
        self, journal: str, subject: str, deed: str, *, caps: Sequence[tuple[str, int, int]] = (),
        replaces: Sealed | None = None, **what: Any,
    ) -> Sealed:  # fmt: skip
        """`caps` are (id, limit, let) in the year of the deed."""
        day = self.clock.today
        first, last = f"{day[:4]}-01-01", f"{day[:4]}-12-31"

        def step(view: Any) -> Sealed:
            used = [awards.used(view, journal, subject, cap, first) for cap, _, _ in caps]
            draft = Draft(
                "award", journal, self.act(), subject=subject, group="G1", place="p1", rule="V-01", pack=PACK,
                cause=self.ledger.cause("V-01", deed.encode(), subject, None), trace=b"{}", evidence=(b"photo",),
                caps=[CapUse(c, first, last, limit, u, let) for (c, limit, let), u in zip(caps, used, strict=True)],
            )  # fmt: skip
            link = replaces.link("replaces") if replaces else None
            return awards.award(view, draft, **{"standing": 0, "points": 0, **what}, replaces=link)

        return await run(self.ledger, step, journal)

    async def reverse(self, original: Sealed, policy: str = "only_available") -> Sealed:
        entry = await self.ledger.entry(original.journal, original.seq)
        home = await self.ledger.home(entry.fields["subject"])
        return await run(
            self.ledger,
            lambda view: awards.reverse(view, home, self.act(), entry.fields, entry.leaf, policy=policy),
            original.journal, home,
        )  # fmt: skip

    async def object(self, journal: str, subject: str, id: str, links: Sequence[Link] = ()) -> Sealed:
        return await run(
            self.ledger,
            lambda view: records.objection(
                view, journal, replace(self.act(), memo=b"why"), subject=subject, id=id, due="2022-05-09", links=links
            ),
            journal,
        )

    async def decide(self, journal: str, objection: Sealed, outcome: records.Decision) -> Sealed:
        made = codec.decode(objection.body)
        return await run(
            self.ledger,
            lambda view: records.decision(
                view,
                journal,
                self.act(),
                subject=made["subject"],
                id=made["data"]["id"],
                outcome=outcome,
                links=[objection.link("decides")],
            ),
            journal,
        )

    async def settle(self, journal: str, merchant: str, amount: int) -> Sealed:
        return await run(
            self.ledger,
            lambda view: holds.settle(view, journal, self.act(), merchant=merchant, amount=amount, **PAID),
            journal,
        )

    async def use(self, journal: str, redemption: str, undone: bool = False) -> None:
        """A benefit that costs no points."""
        used = await benefit(self.ledger, journal, redemption, budget="bud_1")
        if undone:
            await benefit(self.ledger, journal, redemption, budget="bud_1", of=used.link("undoes"))

    async def publish_list(self, id: str, *journals: str, **changed: Any) -> list[Sealed]:
        """A list over these journals as they stand is frozen and published, in each of them."""
        heads: dict[str, Any] = {}
        for journal in journals:
            ((seq, leaf),) = await self.ledger.fetch(
                "SELECT seq, leaf FROM entry WHERE journal = ? ORDER BY seq DESC LIMIT 1", journal
            )
            heads[journal] = {"leaf": bytes(leaf).hex(), "size": seq + 1}
        files = {"definition.json": b'{"code":"grids"}', "population.csv": b"subject,grid,groups,listed\n",
                 "exclusions.json": b'{"disputed":[]}', "result.json": b'{"rows":[]}'}  # fmt: skip
        self.editions[id] = edition_files({
            "as_of": heads, "files": files, "id": id, "list": "grids", "period": "2022Q1", "seen": heads, "v": 1,
            "version": 1, **changed,
        }, self.ring.newest)  # fmt: skip
        digest = hashlib.sha256(self.editions[id]["published.json"]).hexdigest()
        return [await edition(self.ledger, journal, id, digest=digest) for journal in journals]

    async def erase(self, journal: str, subject: str) -> Sealed:
        return await run(self.ledger, lambda view: accounts.erase(view, journal, self.act(), subject=subject), journal)

    async def close_takeover(self, journal: str) -> None:
        await run(self.ledger, lambda view: accounts.close_takeover(view, journal, self.act()), journal)

    async def change_key(self, signer: Signer, authority: str = "signing") -> None:
        voucher = RECOVERY if authority == "recovery" else self.ring.newest
        for (journal,) in await self.ledger.fetch("SELECT journal FROM head ORDER BY journal"):
            data = {"vkey": signer.vkey, "authority": authority}
            draft = Draft("key", journal, self.act(), data=data)
            sealed = await run(self.ledger, lambda view, draft=draft: view.append(draft), journal)
            self.ring.changes.setdefault(journal, []).append((sealed.seq, signer, voucher))
        await self.publisher.publish(epoch=True)

    async def export(self, folder: Path, **more: Any) -> Summary:
        return await export(
            self.ledger, self.publisher, self.ring.newest, folder,
            **{"recovery": RECOVERY.vkey, "witnesses": [], "packs": PACKS, "editions": self.editions,
               "software": "jifen test", **more},
        )  # fmt: skip

    async def receipt(self, journal: str, seq: int, qr: bool = False) -> bytes:
        receipt = await self.published.receipt(journal, seq)
        return pack_qr(receipt).encode() if qr else format_receipt(receipt)

    async def text_receipt(self, journal: str, seq: int) -> str:
        return (await self.receipt(journal, seq)).decode()


def edition_files(header: dict[str, Any], signer: Signer) -> dict[str, bytes]:
    """The folder of a published list; `files` in the header are the bytes, and become their hashes."""
    files: dict[str, bytes] = header["files"]
    header = {**header, "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}}
    frozen = codec.canonical(header)
    published = codec.canonical({
        "approved_by": ["stf_2", "stf_3"], "day": "2022-05-09", "edition": header["id"],
        "frozen": hashlib.sha256(frozen).hexdigest(), "lines": [], "v": 1,
    })  # fmt: skip
    signed = signed_by(f"jifen-edition/v1\n{published.decode()}\n", signer)
    return {**files, "edition.json": frozen, "published.json": published, "note": signed}


async def rich_history(office: Office, seals: bool = True) -> None:
    """Every kind, two journals, moves both ways, three keys, seals; epochs on the way."""
    ledger, clock = office.ledger, office.clock

    async def seal(journal: str) -> None:
        if seals:
            await make_seals(ledger, journal)

    for journal in ("east", "west"):
        await office.open(journal)
    for subject in ("sub_a", "sub_b", "sub_c", "sub_d"):
        await office.member("east", subject)
    await office.member("east", "sub_shop", "body")
    first = await office.award("east", "sub_a", "snow", standing=200, points=1000, points_lot="2022-03-20",
                               caps=[("V-01/year", 3000, 1000), ("V-01/count", 9, 1)])  # fmt: skip
    await office.award("east", "sub_a", "rain", points=900, points_lot="2022-06-30", caps=[("V-01/year", 3000, 900)])
    await office.award("east", "sub_b", "snow", points=500)
    await office.close_takeover("east")
    await office.publisher.publish(epoch=True)
    await seal("east")
    # a body: a deduction that lapses, an award spent and taken back as debt, repaid by the next one
    clock.advance(hours=1)
    await office.award("east", "sub_shop", "litter", standing=-500, standing_lot="2022-03-31")
    spent = await office.award("east", "sub_shop", "help", points=700, points_lot="2022-12-31")
    await hold(ledger, "east", "sub_shop", "h_shop", 600)
    await capture(ledger, "east", "h_shop", 600, "mer_1")
    await office.reverse(spent, "allow_debt")
    repaid = await office.award("east", "sub_shop", "more help", standing=100, points=800, points_lot="2022-12-31")
    await office.reverse(repaid, "within_balance")
    # holds: captured twice, the rest released; refunded within and after the lot's day; voided; run out
    await hold(ledger, "east", "sub_a", "h_1", 1500)
    await capture(ledger, "east", "h_1", 400)
    await capture(ledger, "east", "h_1", 800)
    await refund(ledger, "east", "h_1", 100)
    await release(ledger, "east", "h_1")
    await office.settle("east", "mer_1", 300)
    await hold(ledger, "east", "sub_b", "h_2", 200)
    await capture(ledger, "east", "h_2", 200, **TERMS)
    await refund(ledger, "east", "h_2", 200, "void", **TERMS)
    await hold(ledger, "east", "sub_b", "h_3", 50, hours=1)
    clock.advance(hours=2)
    await release(ledger, "east", "h_3", expired=True)
    await office.change_key(SECOND)
    await relot(ledger, "east", "sub_a", "2022-06-30", "2022-09-30", 100)
    clock.advance(days=25)  # lots of 03-20 have lapsed
    await refund(ledger, "east", "h_1", 300)
    await refund(ledger, "east", "h_1", 800)
    await sweep(ledger, "east", "sub_a")
    clock.advance(days=10)
    await sweep(ledger, "east", "sub_shop")
    # reversed and replaced; then a move, a reversal in the new home, a hold that finds its way, and back
    await office.reverse(first)
    await office.award("east", "sub_a", "snow", points=100, points_lot="2022-12-31", replaces=first,
                       caps=[("V-01/year", 3000, 100)])  # fmt: skip
    late = await office.award("east", "sub_b", "ice", points=300, points_lot="2022-12-31", standing=50,
                              caps=[("V-01/year", 3000, 300)])  # fmt: skip
    await hold(ledger, "east", "sub_b", "h_4", 120)
    await move(ledger, "east", "west", "sub_b")
    await office.award("west", "sub_b", "leaves", points=60, caps=[("V-01/year", 3000, 60), ("V-01/count", 9, 1)])
    await release(ledger, "east", "h_4")
    await office.reverse(late)
    await seal("west")
    await move(ledger, "west", "east", "sub_b")
    await office.award("east", "sub_b", "mud", points=10, caps=[("V-01/year", 3000, 10)])
    # erased while a hold stands, here and after a move
    await office.award("east", "sub_c", "x", points=100)
    await hold(ledger, "east", "sub_c", "h_5", 40)
    await office.erase("east", "sub_c")
    await release(ledger, "east", "h_5")
    await office.award("east", "sub_d", "x", points=100)
    await hold(ledger, "east", "sub_d", "h_6", 40)
    await move(ledger, "east", "west", "sub_d")
    await office.erase("west", "sub_d")
    await release(ledger, "east", "h_6")
    await seal("east")
    await office.change_key(THIRD, "recovery")
    await office.publisher.publish()
    await office.member("east", "sub_last")
    await office.member("west", "sub_late")
    # another pack; objections: against an entry, about a missing one, decided at home and after a move
    adopted = {"id": "tiny", "version": "2.0.0", "hash": "5e" * 32, "effective_from": "2022-05-01"}
    for journal in ("east", "west"):
        await run(ledger, lambda view, j=journal: accounts.adopt_pack(view, j, office.act(), **adopted), journal)
    await office.decide("east", await office.object("east", "sub_a", "obj_1", [first.link("disputes")]), "rejected")
    missing = await office.object("east", "sub_b", "obj_2")
    # benefits that cost no points, one of them undone; a shop that is owed for those alone
    await office.use("east", "rdm_1")
    await office.use("east", "rdm_2", undone=True)
    await office.settle("east", "mer_2", 0)
    await office.decide("east", await office.object("east", "sub_b", "obj_3"), "withdrawn")
    await move(ledger, "east", "west", "sub_b")
    await office.decide("west", missing, "upheld")
    # lists, of one journal and of two, and money for a grid that stood high in one
    await office.publish_list("edn_1", "west")
    ranked, _ = await office.publish_list("edn_2", "east", "west")
    await fund(ledger, ranked, "edn_2")


# falsifying -----------------------------------------------------------------------------------------------------------

SIGNERS = (FIRST, SECOND, THIRD, RECOVERY)


class Forger:
    """A copy of an export that is changed: line by line, or, as the office itself could, chained and signed again."""

    def __init__(self, good: Path, folder: Path) -> None:
        shutil.copytree(good, folder)
        self.folder = folder
        self.journals = sorted(path.parent.name for path in folder.glob("*/entries.jsonl"))

    def lines(self, journal: str) -> list[bytes]:
        return (self.folder / journal / "entries.jsonl").read_bytes().split(b"\n")[:-1]

    def put(self, journal: str, lines: Sequence[bytes]) -> None:
        (self.folder / journal / "entries.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))

    def find(self, journal: str, kind: str, nth: int = 0, **fields: Any) -> int:
        """The seq of the nth entry of a kind with these fields."""
        entries = map(json.loads, self.lines(journal))
        return [e["seq"] for e in entries if e["kind"] == kind and fields.items() <= e.items()][nth]

    def edit(self, journal: str, seq: int, old: bytes, new: bytes) -> None:
        """Other bytes in one line, and nothing else."""
        lines = self.lines(journal)
        assert old in lines[seq], (old, lines[seq])
        lines[seq] = lines[seq].replace(old, new, 1)
        self.put(journal, lines)

    def history(self, journal: str, change: Callable[[list[Any]], None]) -> None:
        """Another history of one journal, with the chain and every link made right again, and signed."""
        made: dict[str, list[tuple[str, Any]]] = {}
        for name in self.journals:
            lines = self.lines(name)
            entries = [json.loads(line) for line in lines]
            known = {id(entry): codec.leaf_hash(line).hex() for entry, line in zip(entries, lines, strict=True)}
            if name == journal:
                change(entries)
            made[name] = [(known.get(id(entry), ""), entry) for entry in entries]
        leaves: dict[str, tuple[str, int]] = {}  # leaf as it was → leaf and seq as they are
        names: dict[str, str] = {}  # leaf as it is in a link → leaf as it was
        for _ in range(12):
            before = dict(leaves)
            for rows in made.values():
                prev = ""
                for seq, (was, entry) in enumerate(rows):
                    entry["seq"] = seq
                    entry["prev"] = prev if seq else entry["prev"]
                    for link in entry["links"]:
                        first = names.get(link["leaf"], link["leaf"])
                        if first in leaves:
                            link["leaf"], link["seq"] = leaves[first]
                            names[link["leaf"]] = first
                    prev = codec.leaf_hash(codec.encode(entry)).hex()
                    if was:
                        leaves[was] = (prev, seq)
            if leaves == before:
                break
        sizes = {name: len(self.lines(name)) for name in self.journals}
        for name, rows in made.items():
            self.put(name, [codec.encode(entry) for _, entry in rows])
        self.sign(sizes)

    def sign(self, sizes: dict[str, int] | None = None) -> None:
        """Checkpoints, epochs and manifest for what the files hold now; `sizes` are those from before."""
        leaves = {name: [codec.leaf_hash(line) for line in self.lines(name)] for name in self.journals}

        def now(name: str, size: int) -> int:
            return len(leaves[name]) if size > len(leaves[name]) or size == (sizes or {}).get(name) else size

        for name in self.journals:
            for file in ("checkpoint", "rotations"):
                path = self.folder / name / file
                if path.exists():
                    path.write_bytes(b"".join(self._again(one, leaves[name], now) for one in notes(path.read_bytes())))
        path, epochs = self.folder / "epoch" / "leaves.jsonl", list[bytes]()
        tops: list[bytes] = []
        for line in path.read_bytes().splitlines():
            epoch = json.loads(line)
            for member in epoch["members"]:
                member["size"] = now(member["journal"], member["size"])
                member["root"] = merkle.root(leaves[member["journal"]][: member["size"]]).hex()
            rows = [codec.leaf_hash(codec.encode(member)) for member in epoch["members"]]
            epoch["journals_root"] = merkle.root(rows).hex()
            epochs.append(codec.encode(epoch) + b"\n")
            tops.append(codec.leaf_hash(codec.encode({k: v for k, v in epoch.items() if k != "members"})))
        path.write_bytes(b"".join(epochs))
        keys = json.loads((self.folder / "keys.json").read_bytes())
        for key in keys["keys"]:
            for name in self.journals:
                for entry in map(json.loads, self.lines(name)):
                    if entry.get("data", {}).get("vkey") == key["vkey"]:
                        key["from"][name] = entry["seq"] + 1 if entry["seq"] else 0
        (self.folder / "keys.json").write_bytes(codec.encode(keys) + b"\n")
        path = self.folder / "epoch" / "checkpoint"
        path.write_bytes(self._again(path.read_bytes(), tops, lambda _, size: min(size, len(tops))))
        self.manifest()

    def manifest(self, change: Callable[[Any], None] = lambda info: None) -> None:
        """The manifest of the files as they are, signed."""
        signed = note.parse_note((self.folder / "manifest").read_bytes())
        info = json.loads(signed.text.split("\n")[1])
        for name in self.journals:
            point = note.parse_checkpoint(note.parse_note((self.folder / name / "checkpoint").read_bytes()).text)
            info["journals"][name] = {"root": point.root.hex(), "size": point.size}
        point = note.parse_checkpoint(note.parse_note((self.folder / "epoch" / "checkpoint").read_bytes()).text)
        info["epoch"] = {"root": point.root.hex(), "size": point.size}
        for name in info["files"]:
            if (self.folder / name).exists():
                info["files"][name] = hashlib.sha256((self.folder / name).read_bytes()).hexdigest()
        change(info)
        text = f"jifen-export/v1\n{codec.encode(info).decode()}\n"
        (self.folder / "manifest").write_bytes(signed_by(text, THIRD))

    def _again(self, data: bytes, leaves: Sequence[bytes], now: Callable[[str, int], int]) -> bytes:
        old = note.parse_note(data)
        point = note.parse_checkpoint(old.text)
        size = now(point.origin.partition("/")[2], point.size)
        signers = [one for line in old.signatures for one in SIGNERS if one.verifier.id == line.id]
        text = note.checkpoint_text(note.Checkpoint(point.origin, size, merkle.root(leaves[:size])))
        return signed_by(text, *signers)


def signed_by(text: str, *signers: Signer) -> bytes:
    return note.format_note(text, [note.sign(text, signer) for signer in signers])


def notes(data: bytes) -> list[bytes]:
    """Signed notes that stand one after the other."""
    found: list[bytes] = []
    for line in data.splitlines(keepends=True):
        if not found or (
            found[-1].rsplit(b"\n", 2)[-2].startswith("— ".encode()) and not line.startswith("— ".encode())
        ):
            found.append(b"")
        found[-1] += line
    return found

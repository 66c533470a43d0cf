# SPDX-License-Identifier: Apache-2.0
"""`jifen lists verify`: every edition computed once more, from the database or from an export alone."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from api.commands import DONE, FAILED, Result, UsageError
from api.messages import Lang
from api.world import World
from ledger import codec
from ledger.errors import Refusal
from rules.engine.model import Pack
from rules.engine.pack import PackError, load_pack
from rules.lists import columns
from rules.lists.model import HEADER, NOTE, PUBLICATION, Edition
from rules.lists.verify import Fault, Heads, header_of, heads_in, reaches, verify_edition

Progress = Callable[[int], None]
Files = Mapping[str, bytes]

_SHOWN = 20  # faults that are said one by one
_EDITIONS_MAX = 1_000_000
_SAID: dict[Lang, dict[str, str]] = {
    "zh": {
        "holds": "{n} 期榜单都能由分录重新算出，一字节不差", "none": "还没有冻结过的榜单",
        "elsewhere": "另有 {n} 期用到的分录不全在这份导出里，没有重算：{ids}",
        "faults": "{n} 期中有 {bad} 期对不上：", "more": "另有 {n} 处",
        "export": "账簿本身是否完整、签名是否有效，请用 jifen verify-export 核对",
        "database": "是哪一笔分录被改，用 jifen verify 查",
    },
    "en": {
        "holds": "{n} editions follow from the entries, to the byte", "none": "no edition has been frozen yet",
        "elsewhere": "{n} more count entries of journals that are not in this export, and were not redone: {ids}",
        "faults": "{bad} of {n} editions do not hold:", "more": "and {n} more",
        "export": "whether the journals are whole and signed: jifen verify-export",
        "database": "which entry was changed, if one was: jifen verify",
    },
}  # fmt: skip


class Named(NamedTuple):
    """An entry that has the digest of a published edition."""

    journal: str
    seq: int
    digest: str


async def verify(world: World, ids: Sequence[str], lang: Lang, progress: Progress | None) -> Result:
    """Those named, or all that were frozen. Entries are read anew: what was kept of them for speed is not trusted."""
    editions = [await world.editions.get(id_) for id_ in ids] or await world.editions.find(limit=_EDITIONS_MAX)
    files = {one.id: await _stored(world, one.id) for one in editions if one.frozen_by}
    if missing := [id_ for id_ in ids if id_ not in files]:
        raise Refusal("not_found", what="edition", id=missing[0])
    rows = await world.ledger.fetch("SELECT body FROM entry WHERE kind = 'edition'")
    named = _named(bytes(body) for (body,) in rows)
    chosen = ids or sorted({*files, *named})
    files |= {id_: {} for id_ in chosen if id_ not in files}
    for one in editions:
        if one.id in files and one.corrects and one.corrects not in files:
            files[one.corrects] = await _stored(world, one.corrects)
        if one.id in files and one.note:
            files[one.id] = {**files[one.id], NOTE: one.note.encode()}
    for one in [header_of(one) for one in files.values()]:  # what an edition counts on from
        if one is not None and (before := one.get("previous", {}).get("edition")) and before not in files:
            files[before] = await _stored(world, before)
    heads = await heads_in(world.ledger, files.values())
    packs = {pack.hash: pack for pack in world.packs.packs}
    with tempfile.TemporaryDirectory(prefix="jifen-") as folder:
        held = await columns.refresh(world.ledger, Path(folder))
        found = await asyncio.to_thread(_all, chosen, files, held, packs, heads, progress)
    public = {one.id for one in editions if one.is_public}
    found += _digests({id_: files[id_] for id_ in chosen}, named, public)
    found += [fault for one in editions if one.id in files for fault in _row(one, files[one.id])]
    return _result(len(chosen), found, [], "database", lang)


async def _stored(world: World, id_: str) -> Files:
    """An edition's files; none where one of them cannot be unpacked, which is said when they are missed."""
    try:
        return await world.editions.files(id_)
    except zlib.error:
        return {}


def _row(edition: Edition, files: Files) -> Iterator[Fault]:
    """Is the header the one of what stands in the database beside it?"""
    header = header_of(files) or {}
    for name in ("list", "kind", "about", "period", "place", "version", "corrects"):
        if header.get(name, "") != getattr(edition, name):
            yield Fault(edition.id, HEADER, f"{name} is not the {getattr(edition, name)} of the edition's row")


def _named(bodies: Iterable[bytes]) -> dict[str, list[Named]]:
    """What the entries of published editions say of them, by id."""
    held: dict[str, list[Named]] = {}
    for body in bodies:
        with contextlib.suppress(ValueError, LookupError, TypeError):  # no such entry: its journal's check says so
            entry = codec.decode(body)
            if entry["kind"] == "edition":
                said = entry["data"]
                held.setdefault(said["id"], []).append(Named(entry["journal"], entry["seq"], said["digest"]))
    return held


def _digests(files: Mapping[str, Files], held: Mapping[str, Sequence[Named]], public: Collection[str]) -> list[Fault]:
    """Does the journal of every community that a published edition is about hold its digest?"""
    found: list[Fault] = []
    for id_, one in files.items():
        said = held.get(id_, ())
        if PUBLICATION not in one:
            if said or id_ in public:
                found.append(Fault(id_, PUBLICATION, "is missing"))
            continue
        digest = sha256(one[PUBLICATION]).hexdigest()
        if not said:
            found.append(Fault(id_, PUBLICATION, "no journal holds its digest"))
        found += [
            Fault(id_, PUBLICATION, f"{entry.journal}/{entry.seq} holds digest {entry.digest}, and this is {digest}")
            for entry in said
            if entry.digest != digest
        ]
    return found


def verify_folder(folder: Path, ids: Sequence[str], lang: Lang) -> Result:
    """The editions of an audit export. Raises `UsageError` for a folder that is none."""
    try:
        partial = b'"only":' in (folder / "manifest").read_bytes()
    except OSError:
        raise UsageError(f"{folder} is no audit export: it has no manifest") from None
    try:
        files = {
            where.name: {file.name: file.read_bytes() for file in where.iterdir() if file.is_file()}
            for where in sorted((folder / "editions").glob("*/"))
        }
        packs = {pack.hash: pack for pack in map(load_pack, sorted((folder / "packs").glob("*/")))}
        held = columns.from_export(folder)
        named = _named(_published(folder))
    except (OSError, PackError, ValueError) as error:
        raise UsageError(f"{folder}: {error}") from error
    if missing := [id_ for id_ in ids if id_ not in files]:
        raise UsageError(f"{folder} has no edition {missing[0]}")
    chosen = ids or sorted({*files, *named})
    files |= {id_: {} for id_ in named.keys() - files.keys()}
    elsewhere = [id_ for id_ in chosen if partial and not _here(files[id_], held)]
    redone = [id_ for id_ in chosen if id_ not in elsewhere]
    found = _all(redone, files, held, packs, None, None)
    found += _digests({id_: files[id_] for id_ in chosen}, named, chosen)
    return _result(len(redone), found, elsewhere, "export", lang)


def _published(folder: Path) -> Iterator[bytes]:
    """The entries of an export that may be about editions."""
    for file in sorted(folder.glob("*/entries.jsonl")):
        with file.open("rb") as entries:
            yield from (line.removesuffix(b"\n") for line in entries if b'"kind":"edition"' in line)


def _here(files: Files, held: columns.Columns) -> bool:
    """Whether every journal that an edition counted is in the export, or cannot be told."""
    try:
        return {journal for journal, _ in reaches(header_of(files) or {})} <= held.parts.keys()
    except (AttributeError, LookupError, TypeError, ValueError):
        return True


def _all(
    chosen: Sequence[str],
    files: Mapping[str, Files],
    held: columns.Columns,
    packs: Mapping[str, Pack],
    heads: Heads | None,
    progress: Progress | None,
) -> list[Fault]:
    found: list[Fault] = []
    for id_ in chosen:
        faults = verify_edition(files[id_], held, packs, heads, files)
        found += [one._replace(edition=id_) for one in faults]
        header = header_of(files[id_])
        if header is not None and header["id"] != id_:
            found.append(Fault(id_, HEADER, f"is that of {header['id']}"))
        if progress is not None:
            progress(1)
    return found


def _result(count: int, found: Sequence[Fault], elsewhere: Sequence[str], source: str, lang: Lang) -> Result:
    """`elsewhere`: editions that count entries of journals which are not in this export."""
    said = _SAID[lang]
    apart = [said["elsewhere"].format(n=len(elsewhere), ids=", ".join(elsewhere[:_SHOWN]))] if elsewhere else []
    faults = [{"edition": one.edition, "where": one.where, "what": one.what} for one in found]
    data = {"ok": not found, "editions": count, "faults": faults, "elsewhere": list(elsewhere)}
    if not found:
        return Result(DONE, [said["holds"].format(n=count) if count else said["none"], *apart], data)
    lines = [said["faults"].format(n=count, bad=len({one.edition for one in found}))]
    lines += [f"{one.edition}: {one.where}: {one.what}" for one in found[:_SHOWN]]
    if more := len(found) - _SHOWN:
        lines += [said["more"].format(n=more)] if more > 0 else []
    return Result(FAILED, [*lines, *apart, said[source]], data)

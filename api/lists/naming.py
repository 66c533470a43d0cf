# SPDX-License-Identifier: Apache-2.0
"""Where names are put to ids, and nowhere else: the last step before anybody sees an edition.

Bodies have public names. A person is masked, and named only who agrees to it today: editions are frozen, consents are
not. What comes out of here is what pages, tables and the public interface show; it has no id of anybody, and only the
fields that are spelled out here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from api.lists.roll_up import LEVELS
from api.lists.words import hushed, short
from api.world import World
from ledger import codec, note
from ledger.errors import Refusal, Unavailable
from ledger.guard import EPOCHS
from ledger.view import local_day
from rules.engine.list_wording import list_statement
from rules.lists.model import CHANGES, CORRECTED, ENDED, HEADER, POSTED, PUBLISHED, Edition, Line
from rules.lists.texts import seen
from rules.register import Place

Row = Mapping[str, Any]

_CHUNK = 500
_KINDS = ("notice", "ranking", "honour", "reminder")
_HISTORY = 12  # periods
_INDEXED = 5_000

# What of a result's rows may be seen, part by part. A field that is not here does not get out.
_GRID = ("grid", "people", "active", "awards", "gained", "points", "late", "taken_back")
_RANKED = (
    "grid", "state", "people", "active", "total", "per_head", "gained", "gained_per_head", "late", "taken_back", "rank",
    "ties", "low", "high", "per_head_low", "per_head_high", "shrunken", "flags",
)  # fmt: skip
_THANKED = ("gained", "points", "awards")
_HONOUR = ("standing", "gained", "awards")
_REMINDER = ("indicator", "class", "months", "occurred_on", "standing", "late")
_CORRECTED = ("rank", "people", "active", "total", "per_head", "standing", "gained", "awards", "points")
_HEAD = (
    "kind",
    "about",
    "period",
    "from",
    "to",
    "place",
    "version",
    "list",
    "frozen_at",
    "as_of",
    "seed",
    "method",
    "zone",
)
_FLAG = ("code", "name", "min_per_head", "min_participation", "fund_fen", "budget")
_RULE = ("name", "metric", "minimum", "suppress_below", "notice_workdays", "decision")
_READ = ("definition.json", "result.json")
_STAFF = ("line", "subject")


async def named(world: World, id: str, *, staff: bool = False) -> dict[str, Any]:
    """A frozen edition as everybody may see it today; `staff`: every row, with its id and how far it has got.

    Who may see an edition that is not published is the caller's to say. Raises `not_found`.
    """
    edition = await world.editions.get(id)
    files = await world.editions.files(id, HEADER, *_READ, CHANGES)
    if HEADER not in files:
        raise Refusal("not_found", what="edition", id=id[:60])
    read = {name: codec.decode(files[name]) for name in (HEADER, *_READ)}
    lines = {line.line: line for line in await world.editions.lines(id)}
    gone = await world.editions.suspended(lines.values())
    later = []
    if edition.state == CORRECTED:
        later = await world.editions.find(list=edition.list, period=edition.period, places=(edition.place,))
        gone |= await _left(world, [one for one in later if one.state == PUBLISHED])
    made = _Naming(world, read[HEADER], read["definition.json"], read["result.json"], edition, lines, gone, staff)
    data = await made.data()
    data |= {"id": id, "state": edition.state, "digest": edition.digest, "published_on": edition.published_on}
    data["comments"] = [
        {"text": hushed(text), "day": local_day(one.created_at, world.packs.zone)}
        for one, text in await world.editions.comments.of(id)
    ]
    if edition.corrects:
        before = await world.editions.get(edition.corrects)
        data |= {"corrects": before.id, "corrects_version": before.version, "reason": hushed(edition.reason)}
        data["changes"] = made.changes(codec.decode(files[CHANGES])) if CHANGES in files else []
    if edition.state == CORRECTED:
        data["corrected_by"] = next((one.id for one in later if one.corrects == id and one.is_public), None)
    return data


async def check_unnamed(world: World, id: str, text: str) -> None:
    """Of words that will be public: raises `name_in_text` where they have the full name of a person whom the edition is
    about, so that the mask is not undone beside it."""
    result = codec.decode((await world.editions.files(id, "result.json")).get("result.json", b"{}"))
    subjects = {row["subject"] for part in ("rows", "persons") for row in result.get(part, ()) if "subject" in row}
    plain = "".join(seen(text).split())
    if any(one.name in plain for one in (await world.people.records(subjects)).values()):
        raise Refusal("name_in_text")


async def dressed(world: World, header: Row, rule: Row, result: Row) -> dict[str, Any]:
    """The same of an edition that was only tried."""
    return await _Naming(world, header, rule, result).data() | {"id": None, "state": "preview"}


async def history(world: World, list: str, place: str) -> list[dict[str, Any]]:
    """Which grids earned which flags, newest period first."""
    found: list[dict[str, Any]] = []
    for edition in await world.editions.find(list=list, places=(place,), states=(PUBLISHED,), limit=_HISTORY):
        files = await world.editions.files(edition.id, *_READ)
        flags = {one["code"]: one for one in codec.decode(files["definition.json"])["flags"]}
        for row in codec.decode(files["result.json"])["rows"]:
            for code in row.get("flags", ()):
                held = {"edition": edition.id, "period": edition.period, "version": edition.version}
                held |= {"grid": row["grid"], "name": world.place_name(row["grid"]), "per_head": row["per_head"]}
                flag = {name: flags[code][name] for name in ("fund_fen", "budget") if name in flags[code]}
                found.append(held | {"flag": code, "flag_name": flags[code]["name"], **flag})
    return sorted(found, key=lambda one: (one["period"], one["grid"]), reverse=True)


async def index(world: World, place: str | None = None) -> dict[str, Any]:
    """What is published: by place, by list, newest first. A street or county also has the periods for which its
    communities have rankings, which stand together on one page. Of a single `place`: what it lies in, and what streets
    and communities lie right under it."""
    tree = world.register.tree
    wanted = None if place is None else [place, *(one.code for one in tree.below(place))]
    found = await world.editions.find(places=wanted, states=(PUBLISHED,), limit=_INDEXED)
    names = {code: rule.name for pack in world.packs.packs for code, rule in pack.lists.items()}
    by_place: dict[str, dict[str, list[Edition]]] = {}
    together: dict[str, dict[str, set[str]]] = {}
    for edition in sorted(found, key=lambda one: one.period, reverse=True):
        by_place.setdefault(edition.place, {}).setdefault(edition.list, []).append(edition)
        for above in tree.up(edition.place) if edition.kind == "ranking" else ():
            if above.level in LEVELS and above.code != edition.place:
                together.setdefault(above.code, {}).setdefault(edition.list, set()).add(edition.period)
    return {
        "place": place,
        "place_name": tree.places[place].name if place in tree.places else "",
        "above": [_called(one) for one in tree.up(place or "") if one.code != place],
        "below": [_called(one) for one in tree.children(place) if place is not None and one.level != "grid"],
        "places": [
            {
                "code": code,
                "name": world.place_name(code),
                "level": tree.places[code].level if code in tree.places else "",
                "lists": [
                    {
                        "list": list,
                        "kind": editions[0].kind,
                        "name": {"zh": names[list].zh, "en": names[list].en},
                        "editions": [{"id": one.id, "period": one.period} for one in editions],
                    }
                    for list, editions in sorted(
                        by_place.get(code, {}).items(), key=lambda one: (_KINDS.index(one[1][0].kind), one[0])
                    )
                ],
                "together": [
                    {
                        "list": list,
                        "name": {"zh": names[list].zh, "en": names[list].en},
                        "periods": sorted(periods)[::-1],
                    }
                    for list, periods in sorted(together.get(code, {}).items())
                ],
            }
            for code in sorted({*by_place, *together})
            if place in (None, code)
        ],
    }


def _called(place: Place) -> dict[str, str]:
    return {"code": place.code, "name": place.name}


class _Naming:
    """One edition on its way out."""

    def __init__(
        self,
        world: World,
        header: Row,
        rule: Row,
        result: Row,
        edition: Edition | None = None,
        lines: Mapping[str, Line] | None = None,
        suspended: Collection[str] = (),
        staff: bool = False,
    ) -> None:
        self.world = world
        self.header, self.rule, self.result = header, rule, result
        self.edition, self.lines, self.suspended, self.staff = edition, lines or {}, suspended, staff
        self.pack = next((one for one in world.packs.packs if one.hash == header["pack"]), world.pack)
        self.names: dict[str, str] = {}
        self.withheld = 0

    async def data(self) -> dict[str, Any]:
        header, rule = self.header, self.rule
        self.names = await _names(self.world, self._subjects())
        data = _only(header, _HEAD) | _only(rule, _RULE)
        data |= {
            "place_name": self.world.place_name(header["place"]),
            "pack": {"id": self.pack.id, "version": self.pack.version, "hash": header["pack"]},
            "totals": self.result.get("totals", {}),
            "digest": "",
            "published_on": "",
            "closing": await self._closing(),
        }
        match header["kind"]:
            case "notice":
                data["grids"] = [self._grid(row, _GRID) for row in self.result["grids"]]
                for part in ("bodies", "persons"):
                    thanked = sorted(self._known(self.result[part]), key=_thanked)
                    data[part] = [self._subject(row, _THANKED) for row in thanked]
            case "ranking":
                data |= {
                    "rows": [self._grid(row, _RANKED) for row in self.result["rows"]],
                    "flags": [_only(one, _FLAG) for one in rule.get("flags", ())],
                    "percent": rule.get("interval", {}).get("percent"),
                    "history": await history(self.world, header["list"], header["place"]),
                    "computed": self.result.get("method", {}),
                }
            case kind:
                fields = _HONOUR if kind == "honour" else _REMINDER
                rows = [await self._listed(row, fields) for row in self.result["rows"]]
                last = sorted(
                    filter(None, rows), key=lambda row: "removed" in row
                )  # their place would tell whose it was
                data["rows"] = [{"no": number, **row} for number, row in enumerate(last, 1)]
                data["conditions"] = self._conditions()
                data["minor"] = self.result.get("totals", {}).get("minor", 0)
        return data | {"withheld": self.withheld}

    def changes(self, found: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
        """What a correction changed: in rankings and notices each figure of a grid or a body that is another now. Of
        rows that came and went, and of persons, the number: from nobody is anything taken back in public."""
        told: list[dict[str, Any]] = []
        for part, said in found.items():
            for one in said["changed"] if self.rule["about"] == "grids" and part != "persons" else ():
                if name := self._called(one["row"]):
                    was, now = (_only(one[side], _CORRECTED) for side in ("was", "is"))
                    told.append({"part": part, "name": name, "was": was, "is": now})
            counted = ("added", "removed", "changed") if part == "persons" else ("added", "removed")
            told += [{"part": part, what: len(said[what])} for what in counted if said[what]]
        return told

    # rows --------------------------------------------------------------------------------------------------------

    def _subjects(self) -> set[str]:
        parts = ("bodies", "persons") if self.header["kind"] == "notice" else ("rows",)
        return {row["subject"] for part in parts for row in self.result.get(part, ()) if "subject" in row}

    def _known(self, rows: Iterable[Row]) -> list[Row]:
        """Those whose subject may be named today."""
        every = list(rows)
        kept = [row for row in every if row["subject"] in self.names]
        self.withheld += len(every) - len(kept)
        return kept

    def _grid(self, row: Row, fields: Sequence[str]) -> dict[str, Any]:
        return {**_only(row, fields), "name": self.world.place_name(row["grid"])}

    def _subject(self, row: Row, fields: Sequence[str]) -> dict[str, Any]:
        grid = self.world.place_name(row["grid"])
        made = {
            "name": self.names[row["subject"]],
            "grid_name": short(grid, self.world.place_name(self.header["place"])),
        }
        made |= {"place_name": self._community(row["grid"]), **_only(row, fields)}
        return made | (_only(row, _STAFF) if self.staff else {})

    async def _listed(self, row: Row, fields: Sequence[str]) -> dict[str, Any] | None:
        """A row of a list whose lines are decided one by one: shown while it is posted, without a name once it has
        ended, and not at all where it never was or is in dispute."""
        line = self.lines.get(row["line"])
        if row["subject"] not in self.names:
            self.withheld += line is None or line.on_show(self.world.editions.today)
            return None
        made = self._subject(row, fields)
        if "indicator" in row:
            made["indicator_name"] = self._indicator(row["indicator"])
        if line is None or self.edition is None:
            return made
        said = await self.world.editions.said(line)
        made |= {"until": line.until, "reply": hushed(said.reply), "reason": hushed(said.why)}
        if self.staff:
            return made | _progress(line)
        replaced = self.edition.state == CORRECTED and self.edition.kind == "reminder"  # the new version says who
        if line.line in self.suspended or not self.edition.is_public or replaced:
            return None
        if line.on_show(self.world.editions.today):
            return made
        if line.state in (POSTED, ENDED):  # it was seen; what never was leaves no row behind
            return {"removed": True, "on": line.ended_on or line.until}
        return None

    def _conditions(self) -> dict[str, list[str]]:
        """The list in sentences, as its pack states it."""
        rule = self.pack.lists.get(self.header["list"])
        return {} if rule is None else {lang: list_statement(self.pack, rule, lang) for lang in ("zh", "en")}

    def _called(self, key: str) -> str | None:
        if key in self.world.register.tree.places:
            return self.world.place_name(key)
        return self.names.get(key)

    def _community(self, place: str) -> str:
        found = self.world.register.tree.community(place)
        return found.name if found is not None else self.world.place_name(place)

    def _indicator(self, code: str) -> dict[str, str]:
        name = self.pack.indicators[code].name
        return {"zh": name.zh, "en": name.en}

    # the closing root --------------------------------------------------------------------------------------------

    async def _closing(self) -> dict[str, Any] | None:
        """The newest signed checkpoint, once it covers what the edition was made from: of the community's journal, or
        for a place with several of the epoch log. Paper with its root on it anchors all that came before."""
        as_of, place = self.header["as_of"], self.header["place"]
        log = place if place in as_of else EPOCHS
        try:
            signed, point = await self.world.published.checkpoint(log)
        except Unavailable:
            return None
        covered = {place: point.size}
        if log == EPOCHS:
            _, members = await self.world.publisher.epochs.at(point.size - 1)
            covered = {journal: member.size for journal, member in members.items()}
        if any(covered.get(name, 0) < as_of[name]["size"] for name in ([place] if log else as_of)):
            return None
        text = note.format_note(signed.text, signed.signatures).decode()
        return {"log": log, "origin": point.origin, "size": point.size, "root": point.root.hex(), "note": text}


def _thanked(row: Row) -> tuple[str, int, int]:
    """By grid, the most first."""
    return row["grid"], -row["gained"], -row["points"]


def _only(row: Row, fields: Iterable[str]) -> dict[str, Any]:
    return {name: row[name] for name in fields if name in row}


def _progress(line: Line) -> dict[str, Any]:
    return {"state": line.state, "delivered_on": line.delivered_on, "due": line.due, "channel": line.channel}


async def _left(world: World, newest: Iterable[Edition]) -> set[str]:
    """Keys of the lines that have ended or are in dispute in the version in force: no older one shows them."""
    gone: set[str] = set()
    for edition in newest:
        lines = await world.editions.lines(edition.id)
        gone |= await world.editions.suspended(lines) | {line.line for line in lines if line.state == ENDED}
    return gone


async def _names(world: World, subjects: Collection[str]) -> dict[str, str]:
    """Names of bodies, masked names of persons who agree to be named; nobody else is in it."""
    every, found, agreeing = sorted(subjects), dict[str, str](), list[str]()
    for start in range(0, len(every), _CHUNK):
        chunk = every[start : start + _CHUNK]
        marks = ", ".join("?" * len(chunk))
        bodies = await world.ledger.fetch(f"SELECT subject, name FROM body WHERE subject IN ({marks})", *chunk)
        found |= {subject: hushed(name) for subject, name in bodies}
        rows = await world.ledger.fetch(
            "SELECT p.subject FROM person p JOIN subject s ON s.subject = p.subject "
            f"WHERE p.publication = 1 AND s.state = 'open' AND p.subject IN ({marks})",
            *chunk,
        )
        agreeing += [subject for (subject,) in rows]
    return found | await world.people.masked_names(agreeing)

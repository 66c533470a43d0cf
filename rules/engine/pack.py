# SPDX-License-Identifier: Apache-2.0
"""Reading a rule pack: the gate that a pack passes whole or not at all.

`read_pack` is pure: it takes the files by name. Only `load_files` touches a disk, and nothing else of the engine
does. All problems are reported at once, each with its place. A pack's hash is taken over what its files say, not over
how they say it: comments, order of files and spacing do not change it; a default that was left out does not enter it,
so a later version of the software still computes the hash that an old entry carries.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from rules.engine.guardrails import Placed, check_catalogue, check_header
from rules.engine.list_guardrails import PlacedList, check_lists
from rules.engine.lists import ListRule
from rules.engine.locate import VALUES_MAX, Misread, Places
from rules.engine.model import LEVELS, Band, Group, Indicator, Pack, PackHeader
from rules.engine.problem import Problem, shown
from rules.engine.quotes import check_quotes
from rules.engine.shape import problems_of
from rules.engine.topics import odd_character

FILES_MAX = 100
TOML_BYTES_MAX = 1_000_000
"""Of all TOML files of a pack together; the founding pack has 60,000."""
TEXT_BYTES_MAX = 400_000
"""Of one source's text; a provincial regulation in Chinese has 40,000."""
TEXTS_BYTES_MAX = 2_000_000
"""Of all texts of a pack together."""
INDICATORS_MAX = 500
PROBLEMS_MAX = 100
"""Problems that are told; who has more has one cause for most of them."""
FIXED_FILES = ("pack.toml", "groups.toml", "bands.toml")
LISTS_FILE = "lists.toml"
"""The one file that a pack may do without: what is made of it enters the hash only where it is there."""
PACKS = Path(__file__).resolve().parent.parent / "packs"

_FILE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}\.(toml|txt)")
_INTEGER_MAX = 2**53 - 1
_TEXT_MAX = 4_000
_KEY_MAX = 100
_LIST_MAX = 300  # rows of a table of brackets, words of a field, examples of a rule
_TOMLLIB_PLACE = re.compile(r" \(at line ([0-9]+), column ([0-9]+)\)$")
_TWICE = ("Cannot overwrite", "Cannot declare", "Cannot mutate", "Cannot redefine", "Duplicate")
_Model = TypeVar("_Model", bound=BaseModel)


class PackError(Exception):
    """A pack that may not be used, with every reason found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def read_pack(files: Mapping[str, bytes]) -> Pack:
    """The pack that these files make, checked; PackError with all problems otherwise.

    `files` by plain name: the TOML, and the texts of the sources (`.txt`) that it names.
    """
    reader = _Reader(files)
    pack = reader.read()
    if pack is None:
        raise PackError(reader.told())
    return pack


def load_files(folder: Path) -> dict[str, bytes]:
    """The TOML and text files of a folder by name; PackError when something there cannot be a pack's file."""
    if not folder.is_dir():
        raise PackError([Problem(str(folder), "", "no_folder", str(folder), "pack.toml")])
    found = sorted(path for path in folder.iterdir() if _is_ours(path))
    if len(found) > FILES_MAX:
        raise PackError([Problem(folder.name, "", "too_many_files", str(len(found)), str(FILES_MAX))])
    files: dict[str, bytes] = {}
    problems: list[Problem] = []
    for path in found:
        try:
            about = path.stat(follow_symlinks=False)
            limit = TEXT_BYTES_MAX if path.suffix.lower() == ".txt" else TOML_BYTES_MAX
            if not stat.S_ISREG(about.st_mode):
                problems.append(Problem(path.name, "", "not_a_file", path.name, path.name))
            elif about.st_size > limit:
                problems.append(Problem(path.name, "", "too_large", str(about.st_size), str(limit)))
            else:
                files[path.name] = path.read_bytes()
        except OSError as error:
            problems.append(Problem(path.name, "", "unreadable", error.strerror or "", path.name))
    if problems:
        raise PackError(problems)
    return files


def load_pack(folder: Path) -> Pack:
    """The pack in this folder, checked; PackError with all problems otherwise."""
    return read_pack(load_files(folder))


@lru_cache(maxsize=64)
def builtin_pack(name: str) -> Pack:
    """A pack that ships with the product, loaded once."""
    if name not in builtin_names():
        raise PackError([Problem(name, "", "unknown_pack", name, ", ".join(builtin_names()))])
    return load_pack(PACKS / name)


def builtin_names() -> tuple[str, ...]:
    """The packs that ship with the product."""
    return tuple(sorted(entry.name for entry in PACKS.iterdir() if (entry / "pack.toml").is_file()))


def canonical(content: Mapping[str, Any]) -> bytes:
    """The bytes that are hashed: JSON with sorted keys, no white space, days as ISO text."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_iso).encode()


def _is_ours(path: Path) -> bool:
    return path.suffix.lower() in (".toml", ".txt") and not path.name.startswith(".")


class _Reader:
    """One reading of one pack; collects problems rather than stopping at the first."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files
        self.problems: list[Problem] = []
        self.places: dict[str, Places] = {}
        self.rules: dict[str, list[str]] = {}  # by file, what its indicators are called

    def read(self) -> Pack | None:
        """The pack, or None with at least one problem."""
        toml = self._contents()
        if self.problems:
            return None
        header = self._model(PackHeader, "pack.toml", "", toml["pack.toml"])
        groups = self._tables(Group, "groups.toml", "group", toml["groups.toml"])
        bands = self._tables(Band, "bands.toml", "band", toml["bands.toml"])
        kinds = {group.code: group.kind for group in groups}
        raw_indicators: list[dict[str, Any]] = []
        indicators: list[Placed] = []
        for name in sorted(toml.keys() - {*FIXED_FILES, LISTS_FILE}):
            for at, raw in self._raw_indicators(name, toml[name]):
                raw_indicators.append(raw)
                filled = _filled(raw, header, kinds)
                person = kinds.get(str(raw["group"])) == "person"
                indicator = self._model(Indicator, name, at, filled, person)
                if indicator is not None:
                    indicators.append(Placed(name, at, indicator, raw))
        raw_lists, lists = self._lists(toml.get(LISTS_FILE))
        if len(raw_indicators) > INDICATORS_MAX:
            self._problem("pack.toml", "", "too_many", f"{len(raw_indicators)} [[indicator]]", f"≤ {INDICATORS_MAX}")
        if header is None or len(self.problems) > PROBLEMS_MAX:
            return None
        by_group = {group.code: group for group in groups}
        self._all(check_header(header, bands, groups))
        whole = len(indicators) == len(raw_indicators)  # a set is not lonely because its rule has a slip in it
        found = check_catalogue(header, by_group, indicators)
        self._all(problem for problem in found if whole or problem.code != "lonely_set")
        found = check_lists(header, by_group, {one.indicator.code: one.indicator for one in indicators}, lists)
        self._all(problem for problem in found if whole or problem.code != "unknown_indicator")
        cited = [(one.file, one.at, one.indicator.citation) for one in indicators]
        cited += [(LISTS_FILE, one.at, one.rule.citation) for one in lists]
        self._all(check_quotes(header.sources, cited, self.files))
        if self.problems:
            return None
        content = {
            "pack": toml["pack.toml"],
            "groups": _by_code(toml["groups.toml"]["group"]),
            "bands": _by_code(toml["bands.toml"]["band"]),
            "indicators": _by_code(raw_indicators),
        }
        if LISTS_FILE in toml:
            content["lists"] = _by_code(raw_lists)
        return Pack(
            **{name: getattr(header, name) for name in PackHeader.model_fields},
            hash=hashlib.sha256(canonical(content)).hexdigest(),
            groups=by_group,
            bands=tuple(bands),
            indicators=dict(sorted((one.indicator.code, one.indicator) for one in indicators)),
            lists=dict(sorted((one.rule.code, one.rule) for one in lists)),
        )

    def told(self) -> list[Problem]:
        """The problems with line, column and rule, file by file from top to bottom, the first hundred."""
        # what stands once at the head of a file is told once, however many rules it spoils
        placed = sorted(
            {self._placed(one): None for one in self.problems}, key=lambda one: (one.file, one.line, one.column)
        )
        if len(placed) > PROBLEMS_MAX:
            more = Problem("pack.toml", "", "more_problems", str(len(placed)), str(PROBLEMS_MAX))
            placed = [*placed[:PROBLEMS_MAX], more]
        return placed

    def _contents(self) -> dict[str, dict[str, Any]]:
        """What the TOML files say; a flood of bytes or values is refused before it is read."""
        names = sorted(self.files)
        size = sum(len(self.files[name]) for name in names if name.endswith(".toml"))
        if len(names) > FILES_MAX:
            self._problem("pack.toml", "", "too_many_files", str(len(names)), str(FILES_MAX))
        elif size > TOML_BYTES_MAX:
            self._problem("pack.toml", "", "too_large", str(size), str(TOML_BYTES_MAX))
        texts = sum(len(self.files[name]) for name in names if name.endswith(".txt"))
        if texts > TEXTS_BYTES_MAX:
            self._problem("pack.toml", "", "too_large", str(texts), str(TEXTS_BYTES_MAX))
        for name in FIXED_FILES:
            if name not in self.files:
                self._problem(name, "", "file_missing", name, ", ".join(FIXED_FILES))
        for name in names:
            if _FILE_NAME.fullmatch(name) is None:
                self._problem(shown(name), "", "file_name", shown(name), "g3-residents.toml")
            elif name.endswith(".txt") and len(self.files[name]) > TEXT_BYTES_MAX:
                self._problem(name, "", "too_large", str(len(self.files[name])), str(TEXT_BYTES_MAX))
        contents: dict[str, dict[str, Any]] = {}
        values = 0
        for name in names if not self.problems else ():
            if not name.endswith(".toml"):
                continue
            content = self._toml(name)
            if content is not None:
                contents[name] = content
                values += self.places[name].count
            if values > VALUES_MAX or len(self.problems) > PROBLEMS_MAX:
                self._problem(name, "", "too_many", str(values), f"≤ {VALUES_MAX}")
                break
        return contents

    def _toml(self, name: str) -> dict[str, Any] | None:
        data = self.files[name]
        if data.startswith(b"\xef\xbb\xbf"):
            self._problem(name, "", "byte_order_mark", "BOM", "UTF-8")
            return None
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            self._problem(name, "", "not_utf8", name, "UTF-8")
            return None
        try:
            self.places[name] = Places(text)
        except Misread as stop:
            self.problems.append(Problem(name, "", stop.code, stop.found, stop.allowed, stop.line, stop.column))
            return None
        try:
            content = tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError, and so is a bad number
            self.problems.append(_not_toml(name, text, str(error)))
            del self.places[name]
            return None
        self._check_plain(name, "", content)
        return content

    def _check_plain(self, file: str, at: str, value: object) -> None:
        """What has no place in a pack, whatever key it stands under."""
        if (
            isinstance(value, dict | list)
            and at != "indicator"
            and (many := len(cast("list[object]", value))) > _LIST_MAX
        ):
            self._problem(file, at, "too_many", str(many), f"≤ {_LIST_MAX}")
        elif isinstance(value, dict):
            for key, inner in cast("dict[str, object]", value).items():
                if (odd := odd_character(key)) is not None:
                    self._problem(file, at, "invisible_character", odd, "zh, en")
                elif len(key) > _KEY_MAX:
                    self._problem(file, at, "wrong_length", shown(key), f"≤ {_KEY_MAX}")
                else:
                    self._check_plain(file, f"{at}.{key}".removeprefix("."), inner)
        elif isinstance(value, list):
            for index, inner in enumerate(cast("list[object]", value)):
                self._check_plain(file, f"{at}[{index}]", inner)
        elif isinstance(value, float):
            self._problem(file, at, "not_an_integer", shown(value), _hundredths(value))
        elif isinstance(value, bool | time | datetime):
            self._problem(file, at, "wrong_type", shown(value), '123, "…", 2022-01-01')
        elif isinstance(value, int) and abs(value) > _INTEGER_MAX:
            self._problem(file, at, "number_too_big", shown(value), f"≤ {_INTEGER_MAX}")
        elif isinstance(value, str) and len(value) > _TEXT_MAX:
            self._problem(file, at, "wrong_length", str(len(value)), f"≤ {_TEXT_MAX}")
        elif isinstance(value, str) and (odd := odd_character(value)) is not None:
            self._problem(file, at, "invisible_character", odd, "zh, en")

    def _raw_indicators(self, file: str, content: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        """The indicator tables of a file with their places, each with the group that stands once at its head."""
        for key in sorted(content.keys() - {"group", "indicator"}):
            self._problem(file, key, "unknown_key", shown(key), "group, [[indicator]]")
        group = content.get("group")
        if not isinstance(group, str):
            self._problem(file, "group", "missing", "", 'group = "G…"')
        raw: list[tuple[str, dict[str, Any]]] = []
        for at, table in self._list(file, "indicator", content):
            if "group" in table:
                self._problem(file, f"{at}.group", "unknown_key", "group", 'group = "G…", [[indicator]]')
            raw.append((at, {**table, "group": group}))
        self.rules[file] = [f"{shown(table.get('code', '?'))} “{_zh(table)}”" for _at, table in raw]
        return raw if isinstance(group, str) else []

    def _lists(self, content: dict[str, Any] | None) -> tuple[list[dict[str, Any]], list[PlacedList]]:
        """The lists as the file states them, and those that could be read."""
        if content is None:
            return [], []
        for key in sorted(content.keys() - {"list"}):
            self._problem(LISTS_FILE, key, "unknown_key", shown(key), "[[list]]")
        tables = self._list(LISTS_FILE, "list", content)
        self.rules[LISTS_FILE] = [f"{shown(raw.get('code', '?'))} “{_zh(raw)}”" for _at, raw in tables]
        lists: list[PlacedList] = []
        for at, raw in tables:
            rule = self._model(ListRule, LISTS_FILE, at, raw, raw.get("about") == "persons")
            if rule is not None:
                lists.append(PlacedList(at, rule, raw))
        return [raw for _at, raw in tables], lists

    def _tables(self, model: type[_Model], file: str, key: str, content: dict[str, Any]) -> list[_Model]:
        for other in sorted(content.keys() - {key}):
            self._problem(file, other, "unknown_key", shown(other), f"[[{key}]]")
        read = [self._model(model, file, at, table) for at, table in self._list(file, key, content)]
        return [one for one in read if one is not None]

    def _list(self, file: str, key: str, content: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        """The tables of a list with their places."""
        tables = content.get(key)
        if not isinstance(tables, list):
            self._problem(file, key, "missing", "", f"[[{key}]]")
            return []
        found: list[tuple[str, dict[str, Any]]] = []
        for index, table in enumerate(cast("list[object]", tables)):
            if isinstance(table, dict):
                found.append((f"{key}[{index}]", cast("dict[str, Any]", table)))
            else:
                self._problem(file, f"{key}[{index}]", "wrong_type", shown(table), f"[[{key}]]")
        return found

    def _model(
        self, model: type[_Model], file: str, at: str, content: dict[str, Any], person: bool = False
    ) -> _Model | None:
        if len(self.problems) > PROBLEMS_MAX:
            return None
        try:
            return model.model_validate(_tuples(content))
        except ValidationError as refused:
            self._all(problems_of(refused, model, file, at, content, person))
            return None

    def _problem(self, file: str, path: str, code: str, found: str, allowed: str) -> None:
        if len(self.problems) <= PROBLEMS_MAX:
            self.problems.append(Problem(file, path, code, found, allowed))

    def _all(self, problems: Iterable[Problem]) -> None:
        self.problems += islice(problems, max(PROBLEMS_MAX + 1 - len(self.problems), 0))

    def _placed(self, problem: Problem) -> Problem:
        """The problem with its place in the file, and with the rule it is about."""
        places = self.places.get(problem.file)
        if places is None:
            return problem
        if problem.line:
            line, column = places.inside(problem.path, problem.line, problem.column)
        else:
            line, column = places.of(problem.path)
        rule = re.match(r"(?:indicator|list)\[([0-9]+)\]", problem.path)
        named = self.rules.get(problem.file, [])
        about = named[int(rule.group(1))] if rule is not None and int(rule.group(1)) < len(named) else ""
        return problem.at(line, column, about)


def _not_toml(name: str, text: str, said: str) -> Problem:
    """What tomllib refuses after the scanner let it pass: mostly a key said twice, or an impossible day."""
    place = _TOMLLIB_PLACE.search(said)
    lines = text.splitlines()
    line, column = (int(place.group(1)), int(place.group(2))) if place is not None else (len(lines) or 1, 1)
    found = shown(lines[line - 1].strip()) if 0 < line <= len(lines) else "…"
    code, allowed = ("duplicate_key", "[[indicator]]") if said.startswith(_TWICE) else ("not_toml", "TOML 1.0")
    return Problem(name, "", code, found, allowed, line, column)


def _hundredths(value: float) -> str:
    return str(round(value * 100)) if abs(value) < 10**12 else "50"


def _zh(table: Mapping[str, Any]) -> str:
    name = table.get("name")
    return shown(cast("dict[str, object]", name).get("zh", "")) if isinstance(name, dict) else ""


def _filled(raw: dict[str, Any], header: PackHeader | None, kinds: Mapping[str, str]) -> dict[str, Any]:
    """An indicator with the defaults that depend on its surroundings: its group, its direction, its pack."""
    minus = raw.get("direction") == "minus"
    filled = dict(raw)
    filled.setdefault("reversal", "within_balance" if kinds.get(str(raw.get("group"))) == "body" else "only_available")
    standing = "E3" if minus else "E1"
    if isinstance(given := raw.get("evidence", {}), dict):
        standing = cast("dict[str, Any]", given).get("standing", standing)
        points = max("E2", standing) if standing in LEVELS else "E2"
        filled["evidence"] = {"standing": standing, "points": points, **given}
    if isinstance(given := raw.get("effective", {}), dict):
        filled["effective"] = {"from": date.min if header is None else header.effective_from, **given}
    if minus and isinstance(given := raw.get("validity", {}), dict):
        filled["validity"] = {"standing": {"years": 1, "end": "day"}, **given}
    return filled


def _tuples(value: object) -> object:
    """Lists as tuples, all the way down: what is read is not changed afterwards."""
    if isinstance(value, dict):
        return {key: _tuples(inner) for key, inner in cast("dict[str, object]", value).items()}
    if isinstance(value, list | tuple):
        return tuple(_tuples(inner) for inner in cast("Sequence[object]", value))
    return value


def _by_code(tables: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(tables, key=lambda table: str(table["code"]))


def _iso(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"a pack cannot say {type(value).__name__}")

# SPDX-License-Identifier: Apache-2.0
"""Reading a rule pack from a folder of TOML: the only place of the engine that touches files.

All problems are reported at once, each with its file and key. A pack's hash is taken over what its files
say, not over how they say it: comments, order of files and spacing do not change it; a default that was
left out does not enter it, so a later version of the software still computes the hash that an old entry
carries.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from rules.engine.coherence import Problem
from rules.engine.guardrails import check_catalogue, check_header
from rules.engine.model import LEVELS, Band, Group, Indicator, Pack, PackHeader

FILE_BYTES_MAX = 1_000_000
FIXED_FILES = ("pack.toml", "groups.toml", "bands.toml")
PACKS = Path(__file__).resolve().parent.parent / "packs"

_Model = TypeVar("_Model", bound=BaseModel)


class PackError(Exception):
    """A pack that may not be used, with every reason found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def load_pack(folder: Path) -> Pack:
    """The pack in this folder, checked; PackError with all problems otherwise."""
    reader = _Reader(folder)
    pack = reader.read()
    if pack is None:
        raise PackError(reader.problems)
    return pack


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


class _Reader:
    """One reading of one folder; collects problems rather than stopping at the first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[Problem] = []

    def read(self) -> Pack | None:
        if not self.folder.is_dir():
            self._problem(str(self.folder), "", "missing", "no such folder", "a folder with pack.toml")
            return None
        files = {path.name: self._toml(path) for path in sorted(self.folder.glob("*.toml"))}
        for name in FIXED_FILES:
            if name not in files:
                self._problem(name, "", "missing", "no such file", ", ".join(FIXED_FILES))
        if self.problems:
            return None
        header = self._model(PackHeader, "pack.toml", "", files["pack.toml"])
        groups = self._tables(Group, "groups.toml", "group", files["groups.toml"])
        bands = self._tables(Band, "bands.toml", "band", files["bands.toml"])
        kinds = {group.code: group.kind for group in groups}
        raw_indicators: list[dict[str, Any]] = []
        indicators: list[tuple[str, Indicator]] = []
        for name, content in files.items():
            if name not in FIXED_FILES:
                for index, raw in enumerate(self._raw_indicators(name, content)):
                    raw_indicators.append(raw)
                    filled = _filled(raw, header, kinds)
                    at = f"indicator[{index}] {raw.get('code', '')}".rstrip()
                    indicator = self._model(Indicator, name, at, filled, kinds.get(str(raw.get("group"))))
                    if indicator is not None:
                        indicators.append((name, indicator))
        if header is None:
            return None
        by_group = {group.code: group for group in groups}
        self.problems += check_header(header, bands, groups)
        self.problems += check_catalogue(header, by_group, indicators)
        if self.problems:
            return None
        content = {
            "pack": files["pack.toml"],
            "groups": _by_code(files["groups.toml"]["group"]),
            "bands": _by_code(files["bands.toml"]["band"]),
            "indicators": _by_code(raw_indicators),
        }
        return Pack(
            **{name: getattr(header, name) for name in PackHeader.model_fields},
            hash=hashlib.sha256(canonical(content)).hexdigest(),
            groups=by_group,
            bands=tuple(bands),
            indicators={indicator.code: indicator for _, indicator in sorted(indicators, key=lambda one: one[1].code)},
        )

    def _toml(self, path: Path) -> dict[str, Any]:
        if path.stat().st_size > FILE_BYTES_MAX:
            self._problem(path.name, "", "too_large", f"{path.stat().st_size} bytes", f"at most {FILE_BYTES_MAX}")
            return {}
        try:
            content = tomllib.loads(path.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            self._problem(path.name, "", "not_toml", str(error) or type(error).__name__, "TOML 1.0 in UTF-8")
            return {}
        self._refuse_fractions(path.name, "", content)
        return content

    def _refuse_fractions(self, file: str, at: str, value: object) -> None:
        """Fractions, switches and times of day have no place in a pack, whatever key they stand under."""
        if isinstance(value, dict):
            for key, inner in cast("dict[str, object]", value).items():
                self._refuse_fractions(file, f"{at}.{key}".lstrip("."), inner)
        elif isinstance(value, list):
            for index, inner in enumerate(cast("list[object]", value)):
                self._refuse_fractions(file, f"{at}[{index}]", inner)
        elif isinstance(value, float):
            allowed = "whole numbers; amounts are in hundredths of a 分, so half a point is 50"
            self._problem(file, at, "not_an_integer", repr(value), allowed)
        elif isinstance(value, bool | time | datetime):
            self._problem(file, at, "wrong_type", str(value), "whole numbers, texts, days, tables and lists")

    def _raw_indicators(self, file: str, content: dict[str, Any]) -> list[dict[str, Any]]:
        """The indicator tables of a file, each with the group that stands once at its head."""
        for key in content.keys() - {"group", "indicator"}:
            self._problem(file, key, "unknown_key", key, "group, [[indicator]]")
        group, tables = content.get("group"), content.get("indicator")
        if not isinstance(group, str) or not isinstance(tables, list):
            self._problem(file, "group", "missing", "no group or no indicator", 'group = "G…" and [[indicator]] tables')
            return []
        raw = [cast("dict[str, Any]", table) for table in cast("list[object]", tables) if isinstance(table, dict)]
        return [{**table, "group": group} for table in raw]

    def _tables(self, model: type[_Model], file: str, key: str, content: dict[str, Any]) -> list[_Model]:
        for other in content.keys() - {key}:
            self._problem(file, other, "unknown_key", other, f"[[{key}]]")
        tables = content.get(key)
        if not isinstance(tables, list):
            self._problem(file, key, "missing", "no table", f"[[{key}]] tables")
            return []
        read = [
            self._model(model, file, f"{key}[{index}]", table)
            for index, table in enumerate(cast("list[object]", tables))
        ]
        return [one for one in read if one is not None]

    def _model(
        self, model: type[_Model], file: str, at: str, content: object, group_kind: str | None = None
    ) -> _Model | None:
        try:
            return model.model_validate(_tuples(content))
        except ValidationError as refused:
            for error in refused.errors(include_url=False):
                path = ".".join((at, *(str(part) for part in error["loc"]))).lstrip(".")
                found = repr(error["input"])[:120]
                negative = isinstance(error["input"], int) and error["input"] < 0
                person_minus = negative and group_kind == "person" and {"standing", "points"} & set(error["loc"])
                code = "GR-01" if person_minus else error["type"]
                self._problem(file, path, code, found, error["msg"])
            return None

    def _problem(self, file: str, path: str, code: str, found: str, allowed: str) -> None:
        self.problems.append(Problem(file, path, code, found, allowed))


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

# SPDX-License-Identifier: Apache-2.0
"""The rules about the building itself. Each was agreed once; a rule that is not a test dies quietly."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.tree import ROOT, files

ROOMS = ("ledger", "rules", "merchants", "api")

# Who may import whom, the longest matching name deciding. `ledger` knows no people, rules or shops; a shop
# never learns a member's record; the engine is pure; the vault of identities knows only the ledger.
MAY_IMPORT: dict[str, set[str]] = {
    "ledger": {"ledger"},
    "rules": {"rules", "ledger"},
    "rules.engine": {"rules.engine"},
    "merchants": {"merchants", "ledger"},
    "api": {"api", "merchants", "rules", "ledger"},
    "api.people": {"api.people", "ledger"},
}

# Clock, chance, environment, disk, network, database: an answer of the engine depends on none of them.
IMPURE = {
    "io",
    "os",
    "random",
    "secrets",
    "shutil",
    "socket",
    "subprocess",
    "tempfile",
    "time",
    "urllib",
    "uuid",
}
IMPURE |= {
    "asyncio",
    "multiprocessing",
    "threading",
    "sqlite3",
    "aiosqlite",
    "asyncpg",
    "piccolo",
    "httpx",
    "litestar",
}
CLOCK_CALLS = {"now", "utcnow", "today"}
DISK_CALLS = {"open", "read_text", "read_bytes", "write_text", "write_bytes", "iterdir", "glob", "rglob"}
READS_PACKS = "rules/engine/pack.py"  # the one file of the engine that opens files: it reads a pack's TOML

HTTP_LIBRARIES = {"litestar", "uvicorn", "httptools", "uvloop", "starlette"}


def modules(*folders: str) -> list[Path]:
    return [path for path in files(".py") if path.relative_to(ROOT).parts[0] in folders]


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def imports(path: Path) -> list[tuple[int, str]]:
    """Every module a file names in an import, wherever it stands, with its line; relative ones made whole."""
    return list(_imports(path))


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    package = name_of(path).split(".") if path.name == "__init__.py" else name_of(path).split(".")[:-1]
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            # `from rules import engine` imports a module too: name both, the finer one decides.
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.lineno, node.args[0].value


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def forbidden(importer: str, imported: str) -> bool:
    if not any(within(imported, room) for room in ROOMS):
        return False
    row = max((row for row in MAY_IMPORT if within(importer, row)), key=len)
    return not any(within(imported, allowed) for allowed in MAY_IMPORT[row])


@pytest.mark.parametrize(
    ("importer", "imported", "expected"),
    [
        ("ledger.book", "ledger.model.Entry", False),
        ("ledger.book", "rules", True),
        ("rules.desk", "ledger.journal.post", False),
        ("rules.engine.caps", "rules.errors", True),
        ("rules.engine.caps", "ledger.errors.Refusal", True),
        ("rules.engine.caps", "rules.engine.model", False),
        ("merchants.offers", "rules.desk", True),
        ("api.people.vault", "api.settings", True),
        ("api.http.awards", "rules.desk", False),
        ("ledgers", "rulesets", False),
    ],
)
def test_the_import_table_is_read_as_meant(importer: str, imported: str, expected: bool) -> None:
    """The check itself says yes and no in the right places."""
    if importer != "ledgers":
        assert expected == forbidden(importer, imported)
    else:
        assert not any(within(imported, room) for room in ROOMS)


def test_imports_run_one_way() -> None:
    """ledger ← rules ← api, ledger ← merchants ← api, and nothing the other way."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {imported}"
        for path in modules(*ROOMS)
        for line, imported in imports(path)
        if forbidden(name_of(path), imported)
    ]
    assert [] == wrong


def test_only_tests_and_benchmarks_import_tests_and_benchmarks() -> None:
    """What is installed runs without what is not."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {imported}"
        for path in modules(*ROOMS)
        for line, imported in imports(path)
        if imported.split(".")[0] in ("tests", "benchmarks", "examples")
    ]
    assert [] == wrong


def test_the_engine_is_pure() -> None:
    """A rule gives the same answer in a notebook, a test and the server: no clock, no I/O, no chance."""
    wrong: list[str] = []
    for path in modules("rules"):
        place = path.relative_to(ROOT).as_posix()
        if not place.startswith("rules/engine/"):
            continue
        wrong += [f"{place}:{line} imports {name}" for line, name in imports(path) if name.split(".")[0] in IMPURE]
        for node in ast.walk(parsed(path)):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in CLOCK_CALLS or (called in DISK_CALLS and place != READS_PACKS):
                wrong.append(f"{place}:{node.lineno} calls {called}()")
    assert [] == wrong


def test_http_stays_in_api() -> None:
    """The three lower rooms can be used without a web server."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {imported}"
        for path in modules("ledger", "rules", "merchants")
        for line, imported in imports(path)
        if imported.split(".")[0] in HTTP_LIBRARIES
    ]
    assert [] == wrong


def test_what_is_imported_is_declared() -> None:
    """Each library that a room imports is a direct dependency, not one that another happens to bring."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    declared = {_plain(re.split(r"[\[<>=~!; ]", line, maxsplit=1)[0]) for line in lines}
    providers = packages_distributions()
    wrong: set[str] = set()
    for path in modules(*ROOMS):
        for _line, imported in imports(path):
            top = imported.split(".")[0]
            if top in sys.stdlib_module_names or top in ROOMS:
                continue
            if not declared & {_plain(name) for name in providers.get(top, [top])}:
                wrong.add(f"{path.relative_to(ROOT)} imports {top}, which pyproject.toml does not name")
    assert [] == sorted(wrong)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_there_is_no_room_for_odds_and_ends() -> None:
    """A helper lives in the room that uses it; if two rooms need it, the lower owns it."""
    names = {"lib", "libs", "util", "utils", "common", "core", "helpers", "misc"}
    parts = {part for path in files() for part in path.relative_to(ROOT).with_suffix("").parts}
    assert set() == parts & names


def test_every_python_file_names_its_licence() -> None:
    """The licence stands in one line at the top (below a `#!`)."""
    line = "# SPDX-License-Identifier: Apache-2.0"
    wrong = [
        str(path.relative_to(ROOT))
        for path in files(".py")
        if line not in path.read_text(encoding="utf-8").splitlines()[:2]
    ]
    assert [] == wrong


def test_every_module_says_what_it_owns() -> None:
    """The docstring of a module with code in it says what the file owns."""
    wrong: list[str] = []
    for path in modules(*ROOMS, "tests", "benchmarks"):
        tree = parsed(path)
        if tree.body and ast.get_docstring(tree) is None:
            wrong.append(str(path.relative_to(ROOT)))
    assert [] == wrong


def test_no_file_names_a_machine_or_a_registry() -> None:
    """The source says nothing of where it was written or fetched from: it must build elsewhere."""
    # Put together from pieces, so that this file does not hold what it forbids.
    hosts = ["py" + "pi.org", "python" + "hosted", "registry." + "npm", "deb." + "debian", "npm" + "mirror"]
    paths = [r"(?<![\w.])/" + name + "/" for name in ("work", "root", "Users", "tmp/scratch", r"home/\w+")]
    pattern = re.compile("|".join([*map(re.escape, hosts), *paths]))
    wrong: list[str] = []
    for path in files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        wrong += [
            f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
            for number, line in enumerate(text.splitlines(), 1)
            if pattern.search(line) and "/linuxbrew/" not in line
        ]
    assert [] == wrong


def test_starting_loads_no_polars() -> None:
    """It takes a third of a second, and neither the server nor most commands need it: it is imported where used."""
    loaded = "import sys, api.world, api.app; print('polars' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "False" == done.stdout.strip()

# SPDX-License-Identifier: Apache-2.0
"""What is written about the project is true of it: links, indexes, dependencies, locks, words, messages."""

from __future__ import annotations

import re
import string
import tomllib
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.tree import ROOT, files

ADR = ROOT / "docs" / "adr"
GLOSSARY = ROOT / "docs" / "glossary.md"
LOCALE = ROOT / "api" / "locale"
CJK = re.compile(r"[㐀-鿿]")


# --- documents ---


def links(path: Path) -> list[tuple[int, str]]:
    """The targets of a Markdown file's links and images, with their lines, code left out."""
    found: list[tuple[int, str]] = []
    fenced = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        elif not fenced:
            text = re.sub(r"`[^`]*`", "", line)
            found += [(number, target) for target in re.findall(r"\]\(\s*<?([^)\s>]+)", text)]
            found += [(number, target) for target in re.findall(r"^\[[^\]]+\]:\s+<?([^\s>]+)", text)]
    return found


def anchors(path: Path) -> set[str]:
    """The names under which a forge lets one link to a Markdown file's headings."""
    names: set[str] = set()
    for heading in re.findall(r"^#{1,6}\s+(.+?)\s*#*$", path.read_text(encoding="utf-8"), re.MULTILINE):
        name = re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", heading).lower()).replace(" ", "-")
        repeats = sum(1 for other in names if other == name or re.fullmatch(rf"{re.escape(name)}-\d+", other))
        names.add(f"{name}-{repeats}" if repeats else name)
    return names


def test_relative_links_lead_somewhere() -> None:
    """Each link in a Markdown file names a file that is there, and a heading that it has."""
    wrong: list[str] = []
    for path in files(".md"):
        for number, target in links(path):
            if re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            name, _, anchor = unquote(target).partition("#")
            aim = (path.parent / name).resolve() if name else path
            where = f"{path.relative_to(ROOT)}:{number}: {target}"
            if not aim.exists() or not aim.is_relative_to(ROOT):
                wrong.append(f"{where} leads nowhere")
            elif anchor and aim.suffix == ".md" and anchor not in anchors(aim):
                wrong.append(f"{where} names no heading there")
    assert [] == wrong


def test_the_index_lists_every_decision() -> None:
    """docs/adr/README.md has one line per decision, with its title, in order, and no number twice."""
    decisions = sorted(path for path in ADR.glob("*.md") if path.name != "README.md")
    assert decisions
    assert len(decisions) == len({path.name[:4] for path in decisions})
    listed = re.findall(r"^\| \[(\d{4})\]\(([^)]+)\) \| (.+?) \|", (ADR / "README.md").read_text("utf-8"), re.MULTILINE)
    expected: list[tuple[str, str, str]] = []
    for path in decisions:
        assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", path.name), path.name
        title = path.read_text("utf-8").splitlines()[0]
        assert title.startswith(f"# {path.name[:4]} "), f"{path.name} must begin `# {path.name[:4]} title`"
        expected.append((path.name[:4], path.name, title.removeprefix(f"# {path.name[:4]} ")))
    assert expected == listed


def test_glossary_rows_have_both_languages() -> None:
    """Each row of the glossary's tables says the word in Chinese and in English, and no word twice."""
    if not GLOSSARY.exists():
        pytest.skip("docs/glossary.md is not written yet")
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in GLOSSARY.read_text("utf-8").splitlines()
        if line.startswith("|") and not re.fullmatch(r"[|:\- ]+", line)
    ]
    heads = [row for row in rows if {"zh", "en"} <= {cell.lower() for cell in row} or {"中文", "English"} <= set(row)]
    assert heads, "a table with the columns 中文 and English (or zh and en)"
    assert len(rows) > len(heads)
    zh = next(i for i, cell in enumerate(heads[0]) if cell.lower() == "zh" or cell == "中文")
    en = next(i for i, cell in enumerate(heads[0]) if cell.lower() == "en" or cell == "English")
    words: list[str] = []
    for row in rows:
        if row in heads:
            continue
        assert len(row) == len(heads[0]), row
        assert CJK.search(row[zh]), f"no Chinese in {row}"
        assert re.search(r"[A-Za-z]", row[en]) and not CJK.search(row[en]), f"no English in {row}"
        words.append(row[en].lower())
    assert len(words) == len(set(words)), "one idea, one word, one row"


# --- dependencies ---


def direct_dependencies() -> dict[str, str]:
    """Name to requirement, of the project itself and of every group."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    lines = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    groups = [*project["dependency-groups"].values(), *project["project"]["optional-dependencies"].values()]
    lines += [line for group in groups for line in group]
    return {re.split(r"[\[<>=~!; ]", line, maxsplit=1)[0]: line for line in lines}


def test_every_direct_dependency_has_its_reason() -> None:
    """docs/dependencies.md gives one line per direct dependency, and none to what is no longer one."""
    text = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
    reasons = re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \|$", text, re.MULTILINE)
    assert sorted(direct_dependencies()) == sorted(name for name, _reason in reasons)
    assert [] == [name for name, reason in reasons if len(reason) < 20]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_the_lock_holds_names_versions_and_hashes_only(name: str) -> None:
    """Each line is `name==version [; marker] \\` or a SHA-256: no address, no path, no comment."""
    requirement = re.compile(r"[a-z0-9-]+==[0-9a-z.]+( ; [a-z_]+ (==|!=) '\w+')? \\")
    digest = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")
    lines = (ROOT / name).read_text("utf-8").splitlines()
    assert [] == [line for line in lines if not requirement.fullmatch(line) and not digest.fullmatch(line)]


def test_the_locks_hold_what_is_asked_for() -> None:
    """Every direct dependency is locked at a version it allows, and both locks say the same."""
    run, dev = (
        dict(re.findall(r"^([a-z0-9-]+)==([0-9a-z.]+)", (ROOT / name).read_text("utf-8"), re.MULTILINE))
        for name in ("requirements.lock", "requirements-dev.lock")
    )
    assert run.items() <= dev.items()
    for name, line in direct_dependencies().items():
        assert name in dev, f"{name}: run make lock"
        for operator, bound in re.findall(r"(>=|<)([0-9.]+)", line):
            locked, limit = (tuple(int(n) for n in re.findall(r"\d+", text)) for text in (dev[name], bound))
            assert locked >= limit if operator == ">=" else locked < limit, f"{line} is locked at {dev[name]}"


# --- messages ---


def fields(sentence: str) -> set[str]:
    return {field for _text, field, _spec, _conversion in string.Formatter().parse(sentence) if field is not None}


def test_both_languages_have_the_same_messages() -> None:
    """Each code has the same sentences with the same placeholders in zh and en, and zh is Chinese."""
    if not (LOCALE / "zh.toml").exists() and not (LOCALE / "en.toml").exists():
        pytest.skip("api/locale is not written yet")
    zh, en = (tomllib.loads((LOCALE / f"{name}.toml").read_text("utf-8")) for name in ("zh", "en"))
    assert sorted(zh) == sorted(en)
    wrong: list[str] = []
    for code, sentences in zh.items():
        if not {"title", "detail"} <= sentences.keys():
            wrong.append(f"{code}: needs title and detail")
        if sentences.keys() != en[code].keys():
            wrong.append(f"{code}: {sorted(sentences.keys() ^ en[code].keys())} in one language only")
            continue
        for part, sentence in sentences.items():
            if fields(sentence) != fields(en[code][part]):
                wrong.append(f"{code}.{part}: placeholders differ: {fields(sentence) ^ fields(en[code][part])}")
            if not CJK.search(sentence):
                wrong.append(f"{code}.{part}: no Chinese in the Chinese sentence")
            # An English sentence may quote a column's head or a cell as they stand in the sheet, no more.
            if len(CJK.findall(en[code][part])) > len(re.findall("[A-Za-z]", en[code][part])):
                wrong.append(f"{code}.{part}: the English sentence is Chinese")
    assert [] == wrong

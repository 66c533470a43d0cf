# SPDX-License-Identifier: Apache-2.0
"""docs/rules-howto.md: what it tells a newcomer to type works, block by block, and says what stands below it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from rules.engine.pack import PACKS
from tests.tree import ROOT
from tests.typed import blocks, clone, typed

EN, ZH = "docs/rules-howto.md", "docs/rules-howto.zh-CN.md"
PUBLISHING = 7  # the first block that needs a deployment


def runnable(lines: Sequence[str]) -> list[str]:
    """The same, where `packs check` and `packs test` may find something: that is what they are there for."""
    return [
        re.sub(r"^(.*packs (?:check|test) mypack)$", r"\1 || test $? = 1", one, flags=re.MULTILINE) for one in lines
    ]


def shown(name: str) -> list[list[str]]:
    """What the document says is printed below each block: words that stay, as ids, days and hashes do not."""
    text = (ROOT / name).read_text(encoding="utf-8")
    below = re.findall(r"^```sh\n.*?^```\n\n```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ids = r"\S*…|apr_\S+|\d{4}-\d\d-\d\d"
    return [[word for word in re.split(ids, output) for word in word.split()] for output in below]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A clone with the pack to copy from."""
    shutil.copytree(PACKS / "huantai", tmp_path / "rules" / "packs" / "huantai")
    return clone(tmp_path)


def test_both_languages_type_the_same() -> None:
    """The English page asks for English, and that is all."""
    en = blocks(EN)
    assert en[0].startswith("export LANG=en\n")
    en[0] = en[0].removeprefix("export LANG=en\n")
    assert en == blocks(ZH)


def test_a_newcomer_adds_a_rule_and_sees_its_examples_run(folder: Path) -> None:
    """Copied, written, refused with its place, mended, run: each block prints what the Chinese page shows."""
    compare(shown(ZH)[:PUBLISHING], typed(runnable(blocks(ZH)[:PUBLISHING]), folder))


@pytest.mark.long
def test_a_newcomer_publishes_the_rule(folder: Path) -> None:
    """The whole English page on the demo county: proposed by one person, adopted by another, coming in ten days."""
    built = typed([".venv/bin/jifen demo --people 20 --seed 7\n", *runnable(blocks(EN))], folder)
    compare(shown(EN), built[1:])
    assert "1.2.0  coming" in built[-1]


def compare(expected: Sequence[Sequence[str]], printed: Sequence[str]) -> None:
    assert len(expected) == len(printed)
    for number, (words, output) in enumerate(zip(expected, printed, strict=True)):
        missing = [word for word in words if word not in output]
        assert not missing, f"block {number} does not say {missing}:\n{output}"

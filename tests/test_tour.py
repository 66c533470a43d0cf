# SPDX-License-Identifier: Apache-2.0
"""The tour in README.md: what it tells a newcomer to type works, block by block, in one shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.serving import served
from tests.tree import ROOT

TOURS = {"README.md": "## A tour of five minutes", "README.zh-CN.md": "## 五分钟走一遍"}
ADDRESS = "http://127.0.0.1:8000"
MARK = "@@ block"
# By block, counted from 0: what must stand in its output whatever the town.
SAID = {
    1: ('"status": "ok"',),
    2: ('"awards:write"',),
    3: ('"available"', '"lots"', '"seq"'),
    4: ("state: posted", "entry_hash"),
    5: ("201", "idempotency-replayed: true"),
    6: ("RE-01", "huantai"),
    7: ('"state": "held"',),
    8: ('"state": "captured"',),
    9: ('"prev"', "True"),
    10: ("holds", "is in the log"),
    11: ("anchored up to",),
    12: ("[hours_mismatch]",),
}


def blocks(name: str) -> list[str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    tour = text[text.index(TOURS[name]) :]
    assert "<!-- output -->" not in tour
    return re.findall(r"^```sh\n(.*?)^```$", tour, re.MULTILINE | re.DOTALL)


def test_both_tours_are_the_same_tour() -> None:
    """The two languages run the same lines, but for remarks and for the language that is asked for."""

    def plain(block: str) -> str:
        block = re.sub(r"  +#.*$", "", block, flags=re.MULTILINE)
        block = block.replace(" -H 'Accept-Language: en'", "").replace("LANG=en ", "")
        return re.sub(r'print\("[^"]+", hashlib', "print(hashlib", block)

    assert [plain(one) for one in blocks("README.md")] == [plain(one) for one in blocks("README.zh-CN.md")]


def test_the_tour_runs(tmp_path: Path) -> None:
    """Every block ends well and prints what it promises, in a folder laid out like a clone after `make run`."""
    jifen = tmp_path / ".venv" / "bin" / "jifen"
    jifen.parent.mkdir(parents=True)
    jifen.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m api "$@"\n', encoding="utf-8")
    jifen.chmod(0o755)
    found = blocks("README.md")
    assert len(found) == len(SAID) + 1
    # `get` ends badly when an answer is not JSON or lacks the field; the last block shows a sheet with a fault, so 1.
    lines = [f"printf '\\n{MARK} {n}\\n'\n{one}" for n, one in enumerate(found)]
    lines[-1] = re.sub(r"^(.*jifen import .*)$", r"\1 || test $? = 1", lines[-1], flags=re.MULTILINE)
    with served(f"sqlite:///{tmp_path / 'var' / 'jifen.db'}", tmp_path / "var") as server:
        script = "set -e\n" + "\n".join(lines).replace(ADDRESS, f"http://127.0.0.1:{server.port}")
        done = subprocess.run(
            ["sh"],
            input=script,
            cwd=tmp_path,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    printed = dict(re.findall(rf"^{MARK} (\d+)\n(.*?)(?=^{MARK}|\Z)", done.stdout, re.MULTILINE | re.DOTALL))
    last = max(map(int, printed), default=-1)
    assert 0 == done.returncode, f"block {last} failed:\n{printed.get(str(last))}\n{done.stderr}"
    for number, words in SAID.items():
        missing = [word for word in words if word not in printed[str(number)]]
        assert not missing, f"block {number} does not say {missing}:\n{printed[str(number)]}"
    assert '"code"' not in done.stdout


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("JIFEN_", "LC_", "LANG"))}

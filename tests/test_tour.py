# SPDX-License-Identifier: Apache-2.0
"""The tour in README.md: what it tells a newcomer to type works, block by block, in one shell."""

from __future__ import annotations

import re
from pathlib import Path

from tests.serving import served
from tests.typed import blocks, clone, typed

TOURS = {"README.md": "## A tour of five minutes", "README.zh-CN.md": "## 五分钟走一遍"}
ADDRESS = "http://127.0.0.1:8000"
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
    9: ("captured\ntoken_used",),
    10: ("核销,red_",),
    11: ('"prev"', "True"),
    12: ("holds", "is in the log"),
    13: ("anchored up to",),
    14: ("370321001001-01", "to the byte"),
    15: ("[hours_mismatch]",),
}


def test_both_tours_are_the_same_tour() -> None:
    """The two languages run the same lines, but for remarks and for the language that is asked for."""

    def plain(block: str) -> str:
        block = re.sub(r"  +#.*$", "", block, flags=re.MULTILINE)
        block = block.replace(" -H 'Accept-Language: en'", "").replace("LANG=en ", "")
        return re.sub(r'print\("[^"]+", hashlib', "print(hashlib", block)

    en, zh = (blocks(name, heading) for name, heading in TOURS.items())
    assert [plain(one) for one in en] == [plain(one) for one in zh]


def test_the_tour_runs(tmp_path: Path) -> None:
    """Every block ends well and prints what it promises, in a folder laid out like a clone after `make run`."""
    found = blocks("README.md", TOURS["README.md"])
    assert len(found) == len(SAID) + 1
    # `get` ends badly when an answer is not JSON or lacks the field; the last block shows a sheet with a fault, so 1.
    found[-1] = re.sub(r"^(.*jifen import .*)$", r"\1 || test $? = 1", found[-1], flags=re.MULTILINE)
    with served(f"sqlite:///{tmp_path / 'var' / 'jifen.db'}", tmp_path / "var") as server:
        here = f"http://127.0.0.1:{server.port}"
        printed = typed([one.replace(ADDRESS, here) for one in found], clone(tmp_path))
    for number, words in SAID.items():
        missing = [word for word in words if word not in printed[number]]
        assert not missing, f"block {number} does not say {missing}:\n{printed[number]}"
    assert '"code"' not in "".join(printed)

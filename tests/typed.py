# SPDX-License-Identifier: Apache-2.0
"""What a document tells its reader to type: taken out of it block by block, and typed into one shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.tree import ROOT

MARK = "@@ block"


def blocks(name: str, since: str = "") -> list[str]:
    """The shell blocks of a document, from the heading `since` on."""
    text = (ROOT / name).read_text(encoding="utf-8")
    text = text[text.index(since) :]
    assert "<!-- output -->" not in text
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def clone(folder: Path) -> Path:
    """A folder laid out like a clone after `make run`: `.venv/bin/jifen` is there, and runs this code."""
    jifen = folder / ".venv" / "bin" / "jifen"
    jifen.parent.mkdir(parents=True)
    jifen.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m api "$@"\n', encoding="utf-8")
    jifen.chmod(0o755)
    return folder


def typed(lines: Sequence[str], folder: Path) -> list[str]:
    """What each block printed when all were typed into one shell there; fails unless every command ended well."""
    script = "\n".join(f"printf '\\n{MARK} {n}\\n'\n{one}" for n, one in enumerate(lines))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("JIFEN_", "LC_", "LANG"))}
    done = subprocess.run(
        ["sh"],
        input=f"set -e\n{script}",
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    printed = re.findall(rf"^{MARK} \d+\n(.*?)(?=^{MARK}|\Z)", done.stdout, re.MULTILINE | re.DOTALL)
    assert 0 == done.returncode, f"block {len(printed) - 1} failed:\n{printed[-1:]}\n{done.stderr}"
    return printed

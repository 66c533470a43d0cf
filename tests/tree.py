# SPDX-License-Identifier: Apache-2.0
"""The files that are the project: what git tracks or would track, or everything where there is no git."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOT_SOURCE = {".git", ".venv", "var", "build", "dist", "__pycache__"}
NOT_SOURCE |= {".hypothesis", ".pytest_cache", ".ruff_cache"}


def files(suffix: str = "") -> list[Path]:
    """Every file of the project whose name ends so."""
    return [path for path in _all() if path.name.endswith(suffix)]


@cache
def _all() -> tuple[Path, ...]:
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split("\0")
        paths = [ROOT / name for name in listed if name]
    except (OSError, subprocess.CalledProcessError):  # an unpacked archive
        paths = [path for path in ROOT.rglob("*") if not NOT_SOURCE & set(path.relative_to(ROOT).parts)]
    return tuple(sorted(path for path in paths if path.is_file()))

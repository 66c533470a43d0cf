# SPDX-License-Identifier: Apache-2.0
"""Looks for byte strings in files, in a process of its own: `search.py FILE…`, one hexadecimal string a line on stdin;
those that were found, on stdout.

Not in the process that has the database open: closing any handle of a SQLite file lets go of all of that process's
locks on it, and then another process may believe that nobody is there.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

CHUNK = 1 << 20


def found_in(paths: Iterable[Path], needles: Iterable[bytes]) -> set[bytes]:
    """Which of these byte strings stand somewhere in the files, deleted or not; a file that is not there has none.

    Blocks for about a second a gigabyte.
    """
    asked = "\n".join({needle.hex() for needle in needles})
    if not asked:
        return set()
    command = [sys.executable, "-I", "-S", __file__, *map(str, paths)]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=True)
    return {bytes.fromhex(line) for line in done.stdout.split()}


def search(path: Path, needles: set[bytes]) -> set[bytes]:
    """The needles in one file. They may lie across the borders of what is read at once."""
    missing, found = set(needles), set[bytes]()
    overlap = max(map(len, missing), default=1) - 1
    try:
        with path.open("rb") as file:
            tail = b""
            while missing and (chunk := file.read(CHUNK)):
                window = tail + chunk
                here = {needle for needle in missing if needle in window}
                found |= here
                missing -= here
                tail = window[-overlap:] if overlap else b""
    except FileNotFoundError:
        pass
    return found


if __name__ == "__main__":
    wanted = {bytes.fromhex(line) for line in sys.stdin.read().split()}
    for name in sys.argv[1:]:
        for hit in search(Path(name), wanted):
            print(hit.hex())

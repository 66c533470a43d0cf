# SPDX-License-Identifier: Apache-2.0
"""A disk that fails on command: the shim is compiled here, and a nursery of processes lives on that disk.

A run is one scripted history (tests/faults/histories.py) in a process of its own, with one fault:

  eio, enospc   one call fails and did nothing; the disk is well again at the next
  short         half of a write is done, and the next write finds the disk full
  full          from this call on forty calls find the disk full
  kill, torn    the process dies before the call, or with half of the write done
  power         the machine dies before the call: what was not synced is gone, removed files are back
  gate          an fsync fails and its pages are lost without a trace; life goes on, and at the end the power goes
"""

from __future__ import annotations

import json
import mmap
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

KINDS = ("none", "eio", "enospc", "short", "full", "kill", "torn", "power", "gate")
SPAN = 40  # calls that a full disk refuses before somebody makes room
DEADLY = ("kill", "torn", "power", "gate")

_CONTROL = struct.Struct("5q")  # struct control in shim.c


def build(folder: Path, source: str = "shim.c") -> Path:
    """Compile a shim into `folder`; skips the test where that cannot be."""
    if sys.platform != "linux":
        pytest.skip("faults are injected on Linux only")
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler to make things fail: sudo apt-get install gcc libc6-dev")
    shim = (folder / source).with_suffix(".so")
    done = subprocess.run(
        [
            compiler,
            "-O1",
            "-Wall",
            "-Wextra",
            "-shared",
            "-fPIC",
            "-o",
            str(shim),
            str(Path(__file__).with_name(source)),
            "-ldl",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if "stdio.h" in done.stderr and "No such file" in done.stderr:
        pytest.skip("no C library headers to make things fail: sudo apt-get install libc6-dev")
    assert done.returncode == 0, done.stderr
    return shim


class Run(NamedTuple):
    """How a history went: the process's end, what was said to callers, and every call as (name, file)."""

    status: int
    said: list[dict[str, Any]]
    calls: list[tuple[str, str]]
    hit: bool


class FailingDisk:
    """The folder `disk` under `folder`, and the switch of its faults."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.disk = self.folder / "disk"
        self._trace = self.folder / "trace"
        self._control = self.folder / "control"
        self._control.write_bytes(bytes(_CONTROL.size))
        with self._control.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _CONTROL.size)
        self._shim = build(folder)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(self._shim),
            "FAULT_DIR": str(self.disk),
            "FAULT_CONTROL": str(self._control),
            "FAULT_TRACE": str(self._trace),
        }

    def arm(self, kind: str = "none", at: int = 0, span: int = SPAN) -> None:
        """Forget what was counted; the fault comes at call number `at` from here."""
        self._trace.write_bytes(b"")
        self._shared[:] = _CONTROL.pack(0, at, KINDS.index(kind), span, 0)

    @property
    def hit(self) -> bool:
        return bool(_CONTROL.unpack(self._shared[:])[4])

    def calls(self) -> list[tuple[str, str]]:
        """(call, file name) since the disk was armed."""
        lines = self._trace.read_text().splitlines()
        return [(call, name) for call, name in (line.split(" ", 1) for line in lines)]


class Nursery:
    """One process that has imported everything and forks for each run: a run costs milliseconds, not an interpreter."""

    def __init__(self, disk: FailingDisk) -> None:
        self.disk = disk
        self._said = disk.folder / "said"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery", str(self._said)],
            env={**os.environ, **disk.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, history: str, kind: str = "none", at: int = 0, template: Path | None = None) -> Run:
        """One run on a fresh disk, or on a copy of `template`."""
        shutil.rmtree(self.disk.disk, ignore_errors=True)
        if template is None:
            self.disk.disk.mkdir()
        else:
            shutil.copytree(template, self.disk.disk)
        self._said.write_bytes(b"")
        self.disk.arm(kind, at)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([history, str(self.disk.disk), kind]) + "\n")
        self._process.stdin.flush()
        status = int(self._process.stdout.readline())
        said = [json.loads(line) for line in self._said.read_text().splitlines()]
        return Run(status, said, self.disk.calls(), self.disk.hit)

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(10)


@contextmanager
def nursery(folder: Path) -> Iterator[Nursery]:
    """A nursery on a failing disk of its own."""
    opened = Nursery(FailingDisk(folder))
    try:
        yield opened
    finally:
        opened.close()

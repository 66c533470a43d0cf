# SPDX-License-Identifier: Apache-2.0
"""Running the classes: how many of each, over processes, and what came of it."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.tamper import db_entries, db_histories, db_tables, export_files, export_lines, rules
from tests.tamper.history import Deployment
from tests.tamper.stage import Class, Stage

CLASSES: dict[str, Class] = {
    f"{where}: {name}": mutate
    for where, found in (
        ("database", db_entries.CLASSES), ("database", db_tables.CLASSES), ("database", db_histories.CLASSES),
        ("export", export_lines.CLASSES), ("export", export_files.CLASSES), ("both", rules.CLASSES),
    )
    for name, mutate in found.items()
}  # fmt: skip

SHARE = 0.1  # of what a class is asked for, in one task at most: so that processes end together
_SHORTCUT = {"an entry's bytes": 70_000, "an entry's fields": 45_000, "an entry's columns": 30_000}
_TABLES = {"balance": 8_000, "tally": 8_000, "account_state": 8_000, "hold": 6_000, "cause": 3_000, "member": 4_000,
           "head": 2_000, "reversed": 3_000, "tree": 1_000, "checkpoint": 3_000, "epoch": 3_000,
           "seal": 3_000}  # fmt: skip


def cheap(name: str) -> bool:
    """Does one of it cost milliseconds rather than a tenth of a second?"""
    where, _, said = name.partition(": ")
    return said in db_tables.CLASSES or said in _SHORTCUT or (where == "export" and said in export_lines.CLASSES)


def long_counts() -> dict[str, int]:
    """How many of each class: 200,000 and more."""
    counts = dict.fromkeys(CLASSES, 6)
    for name in CLASSES:
        where, _, said = name.partition(": ")
        if where == "database":
            if said in _SHORTCUT:
                counts[name] = _SHORTCUT[said]
            elif said.startswith("table "):
                counts[name] = _TABLES[said.removeprefix("table ")]
            elif said in db_tables.CLASSES:
                counts[name] = 1_500
            elif said in db_entries.CLASSES:
                counts[name] = 60
    counts |= {"export: a line's bytes": 4_000, "export: a line's fields": 2_500, "export: a line's spelling": 1_000,
               "export: lines swapped, doubled, cut, misplaced": 300, "export: a file's bytes": 120,
               "export: fields of the manifest": 1_000, "export: keys.json replaced": 300}  # fmt: skip
    return counts


@dataclass
class Tally:
    """What came of it: class → tried, and what was missed."""

    tried: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def lines(self) -> list[str]:
        rows = [f"{count:8,d}  {self.seconds[name]:7.1f} s  {name}" for name, count in sorted(self.tried.items())]
        total = f"{sum(self.tried.values()):8,d}  mutations in {len(self.tried)} classes, {len(self.missed)} missed"
        return [*rows, total]


_stage: list[Stage] = []


def _begin(home: str, scratch: str) -> None:
    _stage.append(Stage(Deployment(Path(home)), Path(tempfile.mkdtemp(dir=scratch))))


def _run(task: tuple[str, int, int, tuple[int, int]]) -> tuple[str, int, list[str], float]:
    name, seed, want, share = task
    started, tried, missed = time.process_time(), 0, list[str]()
    try:
        for miss in CLASSES[name](_stage[0].again(seed, want, share)):
            tried += 1
            if miss is not None:
                missed.append(f"{name}: {miss}")
            if tried >= want:
                break
    except Exception as error:
        missed.append(f"{name}: after {tried} the class itself failed: {error!r}")
    return name, tried, missed, time.process_time() - started


def run(
    deployment: Deployment, counts: dict[str, int], *, seed: int = 1, jobs: int = 1, progress: bool = False
) -> Tally:
    """Try so many of each class; `seed` draws them. `progress`: say what is missed as it comes."""
    tasks: list[tuple[str, int, int, tuple[int, int]]] = []
    for number, (name, count) in enumerate(counts.items()):
        parts = max(1, min(round(1 / SHARE), count // 1_000)) if jobs > 1 else 1
        each = -(-count // parts)
        tasks += [(name, seed * 1_000 + number + 100_000 * part, each, (part, parts)) for part in range(parts)]
    tally = Tally()
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="tamper-", dir=memory) as scratch:
        if jobs == 1:
            _begin(str(deployment.home), scratch)
            _add(tally, map(_run, tasks), progress)
            _stage.clear()
        else:
            spawn = multiprocessing.get_context("spawn")
            with spawn.Pool(jobs, _begin, (str(deployment.home), scratch)) as pool:
                _add(tally, pool.imap_unordered(_run, tasks), progress)
    return tally


def _add(tally: Tally, results: Iterable[tuple[str, int, list[str], float]], progress: bool) -> None:
    for name, tried, missed, seconds in results:
        tally.tried[name] += tried
        tally.missed += missed
        if progress:
            print(f"{name}: {tried} tried in {seconds:.0f} s", *missed, sep="\n  ", flush=True)
        tally.seconds[name] += seconds

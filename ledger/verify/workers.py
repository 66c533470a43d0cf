# SPDX-License-Identifier: Apache-2.0
"""The work of a verification, shared out over processes: journals, row groups of a journal that outweighs the others,
and the table of deeds. All see one instant of the database."""

from __future__ import annotations

import gc
import multiprocessing
import os
import secrets
import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from ledger.verify import cross, quick, replay, resume
from ledger.verify.source import Source, open_source

Progress = Callable[[int], None]
HELLO_SECONDS = 60  # in which a process must have come up


@dataclass(frozen=True, slots=True)
class Task:
    """`what`: replay, resume, hash or deeds; `weight` in entries. `marks` are sizes at which roots are wanted."""

    what: str
    journal: str = ""
    start: int = 0
    end: int = 0
    marks: tuple[int, ...] = ()
    hashing: bool = True
    start_at: resume.Start | None = None  # never leaves this process

    @property
    def weight(self) -> int:
        return self.end - self.start


def run(source: Source, task: Task, progress: Progress | None) -> Any:
    """One task, here."""
    with uncollected():
        return _run(source, task, progress)


@contextmanager
def uncollected() -> Generator[None]:
    """Nothing that is made in the block refers back to itself, and looking for what does would take a third of it."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _run(source: Source, task: Task, progress: Progress | None) -> Any:
    if task.what == "replay":
        return replay.replay(source, task.journal, task.marks, hashing=task.hashing, progress=progress)
    if task.what == "resume":
        seen = resume.Seen()
        exact = task.start_at is not None
        again = replay.Replay(source, task.journal, task.marks, exact=exact, start=task.start_at, seen=seen)
        return again.run(progress)
    if task.what == "hash":
        return quick.hash_group(source, task.journal, task.start, task.end, task.marks, progress)
    return cross.read_deeds(source)


def run_all(url: str, source: Source, tasks: Sequence[Task], jobs: int, progress: Progress | None) -> list[Any]:
    """The results in the order of the tasks; `source` is the caller's own and is used where one process is enough."""
    if jobs <= 1 or len(tasks) < 2:
        return [run(source, task, progress) for task in tasks]
    results: list[Any] = [None] * len(tasks)
    queue = sorted(range(len(tasks)), key=lambda number: tasks[number].weight)
    with _processes(url, source, jobs) as pipes:
        busy: dict[Connection, int] = {}
        for pipe in pipes:
            if queue:
                busy[pipe] = queue.pop()
                pipe.send(tasks[busy[pipe]])
        while busy:
            for pipe in wait(list(busy)):
                assert isinstance(pipe, Connection)
                kind, value = pipe.recv()
                if kind == "progress":
                    if progress is not None:
                        progress(value)
                    continue
                if kind == "error":
                    raise RuntimeError(f"verifying {tasks[busy[pipe]].journal or 'the deeds'} failed: {value}")
                results[busy.pop(pipe)] = value
                if queue:
                    busy[pipe] = queue.pop()
                    pipe.send(tasks[busy[pipe]])
    return results


@contextmanager
def _processes(url: str, source: Source, jobs: int) -> Generator[list[Connection]]:
    """Processes that have opened the database at one instant. They end with the block."""
    spawn = multiprocessing.get_context("spawn")
    pairs = [spawn.Pipe() for _ in range(jobs)]
    shared = source.share()
    workers: list[Any] = []
    try:
        with _same_hashes():
            for _, theirs in pairs:
                worker = spawn.Process(target=_serve, args=(url, shared, theirs), daemon=True)
                worker.start()
                workers.append(worker)
        ours = [pipe for pipe, _ in pairs]
        for _, theirs in pairs:
            theirs.close()
        for pipe in ours:
            _hear(pipe, "up")
        with _no_writers(url):
            for pipe in ours:
                pipe.send("open")
            for pipe in ours:
                _hear(pipe, "open")
        yield ours
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()


def _hear(pipe: Connection, word: str) -> None:
    if not pipe.poll(HELLO_SECONDS):
        raise RuntimeError("a process of the verifier did not start")
    kind, value = pipe.recv()
    if kind != word:
        raise RuntimeError(f"a process of the verifier did not start: {value}")


@contextmanager
def _same_hashes() -> Generator[None]:
    """Processes started in the block draw one key for `hash`, which nobody outside can know: sums of hashes are
    compared between them."""
    before = os.environ.get("PYTHONHASHSEED")
    os.environ["PYTHONHASHSEED"] = str(1 + secrets.randbelow(2**32 - 1))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONHASHSEED"]
        else:
            os.environ["PYTHONHASHSEED"] = before


@contextmanager
def _no_writers(url: str) -> Generator[None]:
    """Nobody commits in the block: for the moment in which all processes begin to read. PostgreSQL hands an instant
    from one to the other and needs no such thing."""
    if not url.startswith("sqlite:///"):
        yield
        return
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, timeout=20)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
    finally:
        connection.close()


def _serve(url: str, shared: str, pipe: Connection) -> None:
    """What a process does: open when told, then one task after the other until its pipe ends."""
    try:
        pipe.send(("up", None))
        pipe.recv()
        source = open_source(url, shared)
        pipe.send(("open", None))
        while True:
            task = pipe.recv()
            result = run(source, task, lambda count: pipe.send(("progress", count)))
            pipe.send(("done", result))
    except (EOFError, OSError, KeyboardInterrupt):
        return
    except Exception as error:
        pipe.send(("error", f"{type(error).__name__}: {error}"))

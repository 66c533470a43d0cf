# SPDX-License-Identifier: Apache-2.0
"""Running clients, timing them, and printing what came of it."""

from __future__ import annotations

import asyncio
import itertools
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple


class Figure(NamedTuple):
    """Requests per second and latencies in milliseconds."""

    per_second: float
    p50: float
    p99: float


async def drive(clients: int, seconds: float, one: Callable[[int], Awaitable[object]], start: int = 0) -> Figure:
    """`clients` callers, each sending its next request when the last one is answered."""
    numbers = itertools.count(start)
    latencies: list[float] = []
    began = time.perf_counter()
    stop = began + seconds

    async def client() -> None:
        while (sent := time.perf_counter()) < stop:
            await one(next(numbers))
            latencies.append(time.perf_counter() - sent)

    await asyncio.gather(*(client() for _ in range(clients)))
    took = time.perf_counter() - began
    latencies.sort()
    return Figure(
        len(latencies) / took,
        latencies[len(latencies) // 2] * 1000,
        latencies[min(len(latencies) - 1, int(len(latencies) * 0.99))] * 1000,
    )


def median(figures: list[Figure]) -> Figure:
    """Column by column."""
    return Figure(*(statistics.median(column) for column in zip(*figures, strict=True)))


def machine() -> str:
    """What these figures were measured on."""
    model = "unknown processor"
    try:
        with open("/proc/cpuinfo") as info:
            model = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), model)
    except OSError:
        model = platform.processor() or model
    return f"{os.cpu_count()} × {model}, Python {platform.python_version()}, {platform.system()} {platform.release()}"


def header(title: str) -> None:
    """Command, machine and revision, before the figures."""
    revision = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    print(f"\n## {title}\n")
    print(f"command: python -m benchmarks {' '.join(sys.argv[1:])}")
    print(f"machine: {machine()}; revision {revision.stdout.strip() or 'unknown'}\n", flush=True)


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """A Markdown table."""
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(flush=True)

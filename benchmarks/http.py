# SPDX-License-Identifier: Apache-2.0
"""Awards, balances and redemptions over HTTP, by connections and workers: against Litestar's own echo of the same body,
and against the same award as FastAPI and SQLAlchemy are commonly put together, all on the same server settings."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator

from benchmarks.baselines import fastapi_award
from benchmarks.figures import Figure, header, median, table
from benchmarks.front import Front, environment, front, serving
from benchmarks.load import together
from benchmarks.town import town

CONNECTIONS = (1, 16, 64, 256)
WORKERS = {"SQLite": (1,), "PostgreSQL": (1, 2)}
BATCH, BATCH_CONNECTIONS = 100, 8
WHAT = ("echo", "plain", "awards", "balances", "redemptions")

Measured = dict[tuple[str, int], list[Figure]]


async def run(databases: dict[str, Callable[[], str]], *, seconds: float = 3, runs: int = 3) -> None:
    """Requests per second with the 99th percentile of their latencies, and what that is of the others."""
    header("HTTP")
    print("echo: Litestar sends the same body back. plain: FastAPI and SQLAlchemy (benchmarks/baselines).\n")
    singles: list[tuple[str, ...]] = []
    batches: list[tuple[str, ...]] = []
    for name, fresh in databases.items():
        for workers in WORKERS[name]:
            measured = await _measure(fresh, workers, seconds, runs)
            medians = {key: median(figures) for key, figures in measured.items()}
            singles += [_row(name, workers, connections, medians) for connections in CONNECTIONS]
            batches.append(_batches(name, workers, medians))
    head = ("database", "workers", "connections", *(f"{what}/s (p99 ms)" for what in WHAT))
    table((*head, "awards of echo", "of plain"), singles)
    table(("database", "workers", f"awards/s in batches of {BATCH} (p99 ms a batch)", "of single awards"), batches)


async def _measure(fresh: Callable[[], str], workers: int, seconds: float, runs: int) -> Measured:
    """Every run has databases of its own, and measures one after the other, so that a busy minute slows all of them."""
    measured: Measured = {}
    for _ in range(runs):
        async with town(fresh(), 2_000) as place:
            made = await front(place)
            await _echo(made, workers, seconds, measured)
            await _plain(fresh(), made, workers, seconds, measured)
            await _ours(made, workers, seconds, measured)
    return measured


async def _echo(made: Front, workers: int, seconds: float, measured: Measured) -> None:
    numbers = itertools.count()
    async with serving("benchmarks.echo:app", workers, {}) as port:
        for connections in CONNECTIONS:
            figure = await together(port, lambda: made.award(next(numbers), "/echo"), seconds, connections)
            measured.setdefault(("echo", connections), []).append(figure)


async def _plain(url: str, made: Front, workers: int, seconds: float, measured: Measured) -> None:
    """`url` is of an empty database; "" stands for a file beside the town's own."""
    url = url or f"sqlite:///{made.place.world.settings.home}/plain{secrets.token_hex(4)}.db"
    await fastapi_award.prepare(url, made.staff, made.place.subjects)
    numbers = itertools.count()
    async with serving("benchmarks.baselines.fastapi_award:app", workers, {"BASELINE_DATABASE_URL": url}) as port:
        for connections in CONNECTIONS:
            figure = await together(port, lambda: made.award(next(numbers)), seconds, connections)
            measured.setdefault(("plain", connections), []).append(figure)


async def _ours(made: Front, workers: int, seconds: float, measured: Measured) -> None:
    deeds, orders, asked = itertools.count(), itertools.count(), itertools.count()
    kinds: dict[str, tuple[Callable[[], bytes], int]] = {
        "awards": (lambda: made.award(next(deeds)), 201),
        "balances": (lambda: made.balance(next(asked)), 200),
        "redemptions": (lambda: made.redemption(next(orders)), 201),
    }
    async with serving("jifen", workers, environment(made.place)) as port:
        for connections, (what, (make, status)) in itertools.product(CONNECTIONS, kinds.items()):
            figure = await together(port, make, seconds, connections, status)
            measured.setdefault((what, connections), []).append(figure)
        figure = await together(port, lambda: made.batch(_some(deeds)), seconds, BATCH_CONNECTIONS)
        measured.setdefault(("batches", BATCH_CONNECTIONS), []).append(figure)


def _some(numbers: Iterator[int]) -> Iterator[int]:
    return itertools.islice(numbers, BATCH)


def _row(name: str, workers: int, connections: int, medians: dict[tuple[str, int], Figure]) -> tuple[str, ...]:
    figures = {what: medians[what, connections] for what in WHAT}
    award = figures["awards"].per_second
    said = [f"{figure.per_second:,.0f} ({figure.p99:.0f})" for figure in figures.values()]
    ratios = [f"{award / figures[other].per_second:.2f}" for other in ("echo", "plain")]
    return (name, str(workers), str(connections), *said, *ratios)


def _batches(name: str, workers: int, medians: dict[tuple[str, int], Figure]) -> tuple[str, ...]:
    figure = medians["batches", BATCH_CONNECTIONS]
    awards = figure.per_second * BATCH
    single = max(medians["awards", connections].per_second for connections in CONNECTIONS)
    return (name, str(workers), f"{awards:,.0f} ({figure.p99:.0f})", f"{awards / single:.1f}×")

# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks [engine|batch|http|growth|verify|rules|lists|till|soak …]`: what, on which databases."""

from __future__ import annotations

import argparse
import contextlib
import gc
import itertools
from collections.abc import Callable, Iterator

import uvloop

from benchmarks import batch, engine, growth, http, lists, rules, soak, till, verify
from tests.pg import Cluster

Fresh = Callable[[], str]


@contextlib.contextmanager
def databases(names: list[str]) -> Iterator[dict[str, Fresh]]:
    """Name → a maker of empty databases; an empty URL stands for a new SQLite file."""
    made: dict[str, Fresh] = {}
    with contextlib.ExitStack() as stack:
        if "sqlite" in names:
            made["SQLite"] = str
        if "postgresql" in names:
            cluster = stack.enter_context(Cluster())
            numbers = itertools.count()
            made["PostgreSQL"] = lambda: cluster.url(f"bench{next(numbers)}")
        yield made


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "what", nargs="*", metavar="what", help="engine, batch, http, growth, verify, rules, lists, till, soak"
    )
    parser.add_argument("--database", action="append", choices=["sqlite", "postgresql"])
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--entries", type=int, default=1_000_000, help="how far `growth` and `verify` go")
    parser.add_argument("--minutes", type=float, default=30, help="how long `soak` goes on")
    parser.add_argument("--memory", action="store_true", help="`verify`: also five times as many entries")
    args = parser.parse_args()
    gc.set_threshold(100_000, 50, 100)
    chosen = args.what or ["engine", "batch", "http"]
    good = True
    with databases(args.database or ["sqlite", "postgresql"]) as urls:
        for what in chosen:
            if what == "engine":
                uvloop.run(engine.run(urls, seconds=args.seconds, runs=args.runs))
            elif what == "batch":
                uvloop.run(batch.run(urls))
            elif what == "http":
                uvloop.run(http.run(urls, seconds=args.seconds, runs=args.runs))
            elif what == "soak":
                good = uvloop.run(soak.run(minutes=args.minutes)) and good
            elif what == "rules":
                rules.run(runs=args.runs)
            elif what == "lists":
                uvloop.run(lists.run(runs=args.runs))
            elif what == "till":
                uvloop.run(till.run(urls, seconds=args.seconds, runs=args.runs))
            elif what == "verify":
                verify.run(entries=args.entries, runs=args.runs, memory=args.memory)
            else:
                uvloop.run(growth.run(urls, entries=args.entries))
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())

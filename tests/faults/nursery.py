# SPDX-License-Identifier: Apache-2.0
"""The process that lives on the failing disk: reads [history, folder, kind], forks, writes how the child ended."""

from __future__ import annotations

import asyncio
import ctypes
import json
import logging
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from ledger import sequencer
from ledger.store import sqlite
from tests.faults import histories

SECONDS_MAX = 30  # a history that does not come to an end is ended, and the test fails


def _live(history: str, folder: Path, kind: str, said: Path) -> int:
    signal.alarm(SECONDS_MAX)
    out = os.open(said, os.O_WRONLY | os.O_APPEND)

    def say(**what: Any) -> None:
        os.write(out, json.dumps(what).encode() + b"\n")

    try:
        asyncio.run(getattr(histories, history)(folder, say))
    except BaseException:
        traceback.print_exc()
        return 1
    if kind == "gate":
        ctypes.CDLL(None).fault_cut()
    return 0


def _connect_with_short_logs(connect: Any) -> Any:
    def connected(path: str, *, query_only: bool = False) -> Any:
        connection = connect(path, query_only=query_only)
        connection.execute("PRAGMA wal_autocheckpoint = 40")  # so that checkpoints fall into the history
        return connection

    return connected


def main() -> None:
    logging.disable(logging.CRITICAL)
    sqlite.connect = _connect_with_short_logs(sqlite.connect)
    sequencer.SETTLE_S["sqlite"] = (0.001, 0.001)
    for line in sys.stdin:
        history, folder, kind = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(_live(history, Path(folder), kind, Path(sys.argv[1])))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()

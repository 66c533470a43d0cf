# SPDX-License-Identifier: Apache-2.0
"""Log lines of the server: one JSON object each, never a value of a request.

An error is told by its kind and by the lines of code it went through; its message may quote what somebody sent, so it
stays out.
"""

from __future__ import annotations

import logging
import traceback
from typing import Any

import orjson

from ledger.view import rfc3339


class JsonLines(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, Any] = {
            "at": rfc3339(int(record.created * 1_000_000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            said["error"] = type(error).__name__
            frames = traceback.extract_tb(error.__traceback__)
            said["frames"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        return orjson.dumps(said, default=str).decode()


# For uvicorn, which applies it before it starts each process.
CONFIG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"lines": {"()": "api.logs.JsonLines"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines", "stream": "ext://sys.stderr"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "uvicorn": {"level": "WARNING"},
        # A refusal of the database to begin, or a decision that failed, is told by the sequencer itself.
        "jifen": {"level": "INFO"},
        "jifen.sequencer": {"level": "WARNING"},
    },
}

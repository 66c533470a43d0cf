# SPDX-License-Identifier: Apache-2.0
"""What the environment says, read once at start. A name we do not know is an error: a typing slip in a setting must
not quietly leave a server on its defaults."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from zoneinfo import ZoneInfo

from ledger.store import make_store

NAMES = (
    "JIFEN_DATABASE_URL",
    "JIFEN_HOME",
    "JIFEN_MASTER_KEY_FILE",
    "JIFEN_TIMEZONE",
    "JIFEN_WORKERS",
)
TOKEN = "JIFEN_TOKEN"  # read by the command line only, for `--as`
_FOR_TESTS = ("JIFEN_TEST_", "JIFEN_REQUIRE_POSTGRES")
_WORKERS_MAX = 64


def software_version() -> str:
    """Of this software, as installed."""
    try:
        return version("jifen")
    except PackageNotFoundError:
        return "0"


class SettingsError(ValueError):
    """A setting that cannot be used; the message names it and says what would be right."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`home` holds keys, the fork guard and uploads; the database stands there too unless it is named."""

    database_url: str = "sqlite:///var/jifen.db"
    home: Path = Path("var")
    master_key_file: Path | None = None
    timezone: str = "Asia/Shanghai"
    workers: int = 1

    @property
    def sqlite(self) -> bool:
        return self.database_url.startswith("sqlite:")

    def check_workers(self, workers: int) -> None:
        """Raises `SettingsError` where a second process would meet the first on one SQLite file."""
        if not 1 <= workers <= _WORKERS_MAX:
            raise SettingsError(f"workers: {workers} is not between 1 and {_WORKERS_MAX}")
        if workers > 1 and self.sqlite:
            raise SettingsError(
                f"{workers} workers need PostgreSQL: one SQLite file is served by one process. Set "
                "JIFEN_DATABASE_URL=postgresql://user:password@host/database, or use --workers 1."
            )


def read(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this process. Raises `SettingsError` for unknown names and values that cannot be meant."""
    known = (*NAMES, TOKEN)
    for name in sorted(environ):
        if name.startswith("JIFEN_") and name not in known and not name.startswith(_FOR_TESTS):
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(NAMES)}"
            raise SettingsError(f"{name}: no such setting; {hint}")
    home = Path(environ.get("JIFEN_HOME") or "var")
    settings = Settings(
        environ.get("JIFEN_DATABASE_URL") or f"sqlite:///{home / 'jifen.db'}",
        home,
        Path(environ["JIFEN_MASTER_KEY_FILE"]) if environ.get("JIFEN_MASTER_KEY_FILE") else None,
        environ.get("JIFEN_TIMEZONE") or "Asia/Shanghai",
        _whole("JIFEN_WORKERS", environ.get("JIFEN_WORKERS") or "1"),
    )
    try:
        make_store(settings.database_url)
    except ValueError as error:
        raise SettingsError(f"JIFEN_DATABASE_URL: {error}") from error
    try:
        ZoneInfo(settings.timezone)
    except (KeyError, ValueError, OSError) as error:
        raise SettingsError(f"JIFEN_TIMEZONE: {settings.timezone!r} is not a time zone, e.g. Asia/Shanghai") from error
    if settings.master_key_file is not None and not settings.master_key_file.is_file():
        raise SettingsError(f"JIFEN_MASTER_KEY_FILE: no file {settings.master_key_file}")
    return settings


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise SettingsError(f"{name}: {text!r} is not a whole number")
    return int(text)

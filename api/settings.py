# SPDX-License-Identifier: Apache-2.0
"""What the environment says, read once at start. A name we do not know is an error: a typing slip in a setting must
not quietly leave a server on its defaults."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from api.identity.address import Network, networks
from ledger.store import make_store

NAMES = (
    "JIFEN_CORS_ORIGINS",
    "JIFEN_DATABASE_URL",
    "JIFEN_HOME",
    "JIFEN_HSTS",
    "JIFEN_MASTER_KEY_FILE",
    "JIFEN_METRICS",
    "JIFEN_RATE_LIMITS",
    "JIFEN_OIDC_CLIENT_ID",
    "JIFEN_OIDC_CLIENT_SECRET_FILE",
    "JIFEN_OIDC_ISSUER",
    "JIFEN_OIDC_REDIRECT_URI",
    "JIFEN_TIMEZONE",
    "JIFEN_TRACING",
    "JIFEN_TRUSTED_PROXIES",
    "JIFEN_WEBHOOK_PRIVATE",
    "JIFEN_WORKERS",
)
TOKEN = "JIFEN_TOKEN"  # read by the command line only, for `--as`
_FOR_TESTS = ("JIFEN_TEST_", "JIFEN_REQUIRE_POSTGRES")
_WORKERS_MAX = 64
_LOOPBACK = {("http", host) for host in ("localhost", "127.0.0.1", "::1")}
# Units a minute by kind of caller (docs/limits.md); most calls are one unit.
RATES = {"staff": 600, "client": 6000, "merchant": 600, "resident": 120, "body": 120, "public": 600}
_RATE_MIN, _RATE_MAX = 16, 10_000_000
_ORIGIN = re.compile(r"https?://[a-z0-9.-]{1,253}(:[0-9]{1,5})?")


def software_version() -> str:
    """Of this software, as installed."""
    try:
        return version("jifen")
    except PackageNotFoundError:
        return "0"


class SettingsError(ValueError):
    """A setting that cannot be used; the message names it and says what would be right."""


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """The identity provider that staff may sign in with: its address, and who we are there. `redirect_uri` is where it
    sends people back to; without a secret file we are a public client, which PKCE is made for."""

    issuer: str
    client_id: str
    redirect_uri: str
    client_secret_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """`home` holds keys, the fork guard and uploads; the database stands there too unless it is named."""

    database_url: str = "sqlite:///var/jifen.db"
    home: Path = Path("var")
    master_key_file: Path | None = None
    timezone: str = "Asia/Shanghai"
    workers: int = 1
    trusted_proxies: tuple[Network, ...] = ()
    oidc: OidcSettings | None = None
    rates: Mapping[str, int] = field(default_factory=dict)  # nobody is held back unless the environment was read
    metrics: tuple[str, int] | None = None  # where /metrics is served; None: nothing is counted
    tracing: bool = False
    hsts: bool = False
    cors_origins: tuple[str, ...] = ()
    webhook_private: bool = False  # may webhooks go to http and to addresses within?

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
        trusted_proxies=_networks("JIFEN_TRUSTED_PROXIES", environ.get("JIFEN_TRUSTED_PROXIES") or ""),
        oidc=_oidc({name: environ[name] for name in NAMES if name.startswith("JIFEN_OIDC_") and environ.get(name)}),
        rates=_rates(environ.get("JIFEN_RATE_LIMITS") or ""),
        metrics=_address("JIFEN_METRICS", environ.get("JIFEN_METRICS") or ""),
        tracing=_switch("JIFEN_TRACING", environ.get("JIFEN_TRACING") or "off"),
        hsts=_switch("JIFEN_HSTS", environ.get("JIFEN_HSTS") or "off"),
        cors_origins=_origins(environ.get("JIFEN_CORS_ORIGINS") or ""),
        webhook_private=_switch("JIFEN_WEBHOOK_PRIVATE", environ.get("JIFEN_WEBHOOK_PRIVATE") or "off"),
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


def _networks(name: str, text: str) -> tuple[Network, ...]:
    try:
        return networks(text.replace(",", " ").split())
    except ValueError as error:
        raise SettingsError(f"{name}: {error}; networks or addresses, e.g. 127.0.0.1 10.0.0.0/8") from error


def _oidc(given: Mapping[str, str]) -> OidcSettings | None:
    """All that is needed, or nothing of it."""
    if not given:
        return None
    needed = ("JIFEN_OIDC_ISSUER", "JIFEN_OIDC_CLIENT_ID", "JIFEN_OIDC_REDIRECT_URI")
    if missing := [name for name in needed if name not in given]:
        raise SettingsError(f"{missing[0]}: not set, but {min(given)} is")
    issuer, client_id, redirect_uri = (given[name] for name in needed)
    for name, url in ((needed[0], issuer), (needed[2], redirect_uri)):
        if not safe_address(url):
            raise SettingsError(f"{name}: {url!r} is not an https address")
    file = Path(given["JIFEN_OIDC_CLIENT_SECRET_FILE"]) if "JIFEN_OIDC_CLIENT_SECRET_FILE" in given else None
    if file is not None and not file.is_file():
        raise SettingsError(f"JIFEN_OIDC_CLIENT_SECRET_FILE: no file {file}")
    return OidcSettings(issuer, client_id, redirect_uri, file)


def safe_address(url: str) -> bool:
    """Is what is sent there read by nobody on the way?"""
    try:
        found = urlsplit(url)
    except ValueError:
        return False
    return bool(found.hostname) and (found.scheme == "https" or (found.scheme, found.hostname) in _LOOPBACK)


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise SettingsError(f"{name}: {text!r} is not a whole number")
    return int(text)


def _address(name: str, text: str) -> tuple[str, int] | None:
    """`9464`, `10.0.0.5:9464`, `[::1]:9464`; a port alone is this machine's own."""
    if not text:
        return None
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise SettingsError(f"{name}: {text!r} is not a port or host:port, e.g. 127.0.0.1:9464")
    return host.strip("[]") or "127.0.0.1", int(port)


def _switch(name: str, text: str) -> bool:
    if text not in ("on", "off"):
        raise SettingsError(f"{name}: {text!r} is neither on nor off")
    return text == "on"


def _rates(text: str) -> dict[str, int]:
    """`off`, or what differs from the rates that hold otherwise: `client=12000 public=off`."""
    if text == "off":
        return {}
    rates = dict(RATES)
    for word in text.split():
        kind, _, said = word.partition("=")
        if kind not in RATES:
            raise SettingsError(f"JIFEN_RATE_LIMITS: {word!r} is not one of {', '.join(RATES)} with =units a minute")
        if said == "off":
            rates.pop(kind, None)
            continue
        rates[kind] = _whole("JIFEN_RATE_LIMITS", said)
        if not _RATE_MIN <= rates[kind] <= _RATE_MAX:
            raise SettingsError(f"JIFEN_RATE_LIMITS: {word}: {_RATE_MIN} to {_RATE_MAX} units a minute, or off")
    return rates


def _origins(text: str) -> tuple[str, ...]:
    found = tuple(text.split())
    for one in found:
        if not _ORIGIN.fullmatch(one):
            raise SettingsError(f"JIFEN_CORS_ORIGINS: {one!r} is not an origin, e.g. https://pages.example.org")
    return found

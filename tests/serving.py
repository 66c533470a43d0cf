# SPDX-License-Identifier: Apache-2.0
"""A real server in a process of its own, on a small demo town: what races and crashes are tried on."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

START_S = 30


class Served:
    """A deployment under `home` and the server on it. `demo` is its demo.json."""

    def __init__(self, url: str, home: Path, workers: int = 1, rates: str = "off") -> None:
        self.url = url
        self.rates = rates
        self.home = home
        self.workers = workers
        self.demo: dict[str, Any] = {}
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        own = {"JIFEN_DATABASE_URL": self.url, "JIFEN_HOME": str(self.home), "JIFEN_RATE_LIMITS": self.rates}
        return {**os.environ, **own}

    @property
    def pid(self) -> int:
        """The process that was started: the server, or the one over its workers."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    def jifen(self, *words: str, status: int = 0, token: str | None = None) -> str:
        """Run the command line; what it printed. Fails the test unless it exits with `status`."""
        extra = {"JIFEN_TOKEN": token} if token else {}
        done = subprocess.run(
            [sys.executable, "-m", "api", *words],
            env={**self.environment, **extra},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert status == done.returncode, f"jifen {' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def build(self, people: int = 20) -> None:
        self.jifen("demo", "--people", str(people), "--seed", "7")
        self.demo = json.loads((self.home / "demo.json").read_text())

    def start(self) -> None:
        """Start the server and wait until it answers."""
        log = (self.home / "server.log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "api", "serve", "--port", str(self.port), "--workers", str(self.workers)],
            env=self.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,  # its workers die with it when the group is killed
        )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, http.client.HTTPException):
                asking = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
                asking.request("GET", "/health")
                if asking.getresponse().status == 200:
                    return
            assert self._process.poll() is None, self.log()
            time.sleep(0.05)
        raise AssertionError(f"the server did not answer within {START_S} s\n{self.log()}")

    def kill9(self) -> None:
        """kill −9, workers included."""
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._signal(signal.SIGTERM)

    def _signal(self, how: signal.Signals) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, how)
        try:
            self._process.wait(25)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(5)
        self._process = None

    def log(self) -> str:
        return (self.home / "server.log").read_text(errors="replace")[-4000:]

    def client(self, token: str | None = None, **options: Any) -> httpx.AsyncClient:
        """A client of this server, signed in if a token is given."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        limits = httpx.Limits(max_connections=320, max_keepalive_connections=320)
        return httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}", headers=headers, limits=limits, timeout=60, **options
        )

    def sign_in(self, who: str = "staff") -> str:
        """A session token of one of the people in demo.json."""
        login = self.demo[who]
        answer = httpx.post(
            f"http://127.0.0.1:{self.port}/v1/sessions",
            json={"username": login["username"], "password": login["password"]},
            timeout=30,
        )
        assert 201 == answer.status_code, answer.text
        return answer.json()["token"]


@contextlib.contextmanager
def served(url: str, home: Path, workers: int = 1, people: int = 20, rates: str = "off") -> Iterator[Served]:
    """A running server on a new town; nobody is held back unless `rates` says so."""
    server = Served(url, home, workers, rates)
    server.build(people)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

# SPDX-License-Identifier: Apache-2.0
"""`jifen serve`: bind, say where, start the processes. What a request meets is `api.app`'s business."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from api.server.logs import CONFIG
from api.server.starting import open_when_there
from api.settings import Settings, SettingsError
from api.world import World

log = logging.getLogger("jifen.server")

GRACE_S = 20  # how long running requests may take to finish when the server is told to stop
HEALTHY_S = 20  # as long may a process be silent on a busy machine before it is given up
PATIENCE_S = 30.0  # for a database that starts beside us


def serve(settings: Settings, host: str, port: int, workers: int, *, as_json: bool = False) -> int:
    """Serve until told to stop. Raises `SettingsError` or `NotReady` before anything was started."""
    settings.check_workers(workers)
    asyncio.run(_check(settings))
    if settings.tracing:
        from api.server import tracing  # here: its packages are an extra

        tracing.provider().shutdown()  # what it lacks is said before anything is started
    os.environ["JIFEN_WORKERS"] = str(workers)  # what each process reads: they share out the rate limits
    bound = _bind(host, port)
    config = uvicorn.Config(
        "api.app:factory",
        factory=True,
        workers=workers,
        loop="uvloop",
        http="api.server.bounds:BoundedHttp",
        ws="none",
        lifespan="on",
        log_config=CONFIG,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # who the client is behind a proxy: api/identity/address.py
        timeout_graceful_shutdown=GRACE_S,
        timeout_worker_healthcheck=HEALTHY_S,
    )
    with contextlib.ExitStack() as beside:
        beside.callback(bound.close)
        gone = None
        if settings.metrics is not None:
            from api.server import metrics  # here: nothing is counted without it

            beside.enter_context(metrics.served(settings.metrics, workers))
            gone = metrics.gone
        _greet(settings, bound, as_json)
        return _run(config, bound, workers, gone)


def _greet(settings: Settings, bound: socket.socket, as_json: bool) -> None:
    for line in (
        [json.dumps(addresses(bound.getsockname()))] if as_json else greeting(settings, bound.getsockname()[:2])
    ):
        print(line, flush=True)


def _run(config: uvicorn.Config, bound: socket.socket, workers: int, gone: Callable[[int], None] | None) -> int:
    # uvicorn stops in good order and then raises the signal again; told to stop and stopped is a success.
    signal.signal(signal.SIGTERM, lambda _signal, _frame: None)
    server = uvicorn.Server(config)
    try:
        if workers > 1:
            several = Workers(config, sockets=[bound])
            several.gone = gone
            several.run()
        else:
            server.run(sockets=[bound])
    except KeyboardInterrupt:
        pass
    return 0 if workers > 1 or server.started else 1


class Workers(Multiprocess):
    """uvicorn's supervisor, which replaces a process that died. Ours says so, and tells `gone`."""

    gone: Callable[[int], None] | None = None

    def keep_subprocess_alive(self) -> None:
        before = {process.pid for process in self.processes}
        super().keep_subprocess_alive()
        for pid in before - {process.pid for process in self.processes}:
            log.error("a process died and was replaced")
            if self.gone is not None and pid is not None:
                self.gone(pid)


async def _check(settings: Settings) -> None:
    world = World(settings)
    await open_when_there(world, PATIENCE_S)
    await world.close()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except (OSError, OverflowError) as error:
        bound.close()
        raise SettingsError(f"cannot listen on {host}:{port}: {error}; try --port with another number") from error
    bound.set_inheritable(True)
    return bound


def addresses(bound: Sequence[Any]) -> dict[str, str]:
    host, port = bound[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    return {"url": url, "docs": f"{url}/docs", "openapi": f"{url}/openapi.json"}


def greeting(settings: Settings, address: tuple[str, int]) -> list[str]:
    """Where it is served, and how to look around if this is the demo county."""
    url = addresses(address)["url"]
    lines = [f"积分 Jifen  {url}", f"  接口说明 docs   {url}/docs"]
    try:
        demo: dict[str, Any] = json.loads((settings.home / "demo.json").read_text(encoding="utf-8"))
        lines += _demo(demo, url)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return lines


def _demo(demo: dict[str, Any], url: str) -> list[str]:
    lines = ["", "演示县的登录 demo logins:"]
    for role in ("staff", "approver", "second_approver", "auditor", "admin"):
        if role in demo:
            lines.append(f"  {role:16} {demo[role]['username']} / {demo[role]['password']}")
    resident = demo["resident"]
    return [
        *lines,
        "",
        "试一下 try:",
        f"  curl -H 'Authorization: Bearer {resident['token']}' {url}/v1/me/balance",
    ]

# SPDX-License-Identifier: Apache-2.0
"""The life of a real server: it waits for its database, replaces what dies, counts over all its processes, leaves in
good order, and writes nothing about anybody."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import psutil
import pytest

from api.server.starting import open_when_there
from api.world import NotReady
from ledger.store import StoreLost
from tests.serving import Served


class Living(Served):
    """A server that is told things, and whose end is waited for."""

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def ended(self) -> int:
        """Its exit status."""
        assert self._process is not None
        status = self._process.wait(30)
        self._process = None
        return status


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(holds: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


# coming back -------------------------------------------------------------------------------------------------------


class Wire:
    """A way to a PostgreSQL server that can be cut: a port which passes bytes on while it is `open`."""

    def __init__(self, url: str) -> None:
        at = urlsplit(url)
        self._server = (at.hostname or "127.0.0.1", at.port or 5432)
        self.port = free_port()
        self.url = urlunsplit(at._replace(netloc=f"{at.netloc.rpartition('@')[0]}@127.0.0.1:{self.port}"))
        self._listener: socket.socket | None = None
        self._ends: list[socket.socket] = []

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """As if the cable were pulled; whoever calls now is refused."""
        for one in (self._listener, *self._ends):
            if one is not None:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
        self._listener, self._ends = None, []

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, far = listener.accept()[0], socket.create_connection(self._server)
                self._ends += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    @staticmethod
    def _pass(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65_536):
                other.sendall(data)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_RDWR)


@pytest.mark.long
@pytest.mark.schema()
def test_it_waits_for_its_database_replaces_what_dies_and_goes_on_counting(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started before its database; a process is killed while the database is away; the sums go on."""
    metrics_port = free_port()
    monkeypatch.setenv("JIFEN_METRICS", str(metrics_port))
    monkeypatch.setattr("tests.serving.START_S", 120)
    wire = Wire(postgres_url)
    server = Living(wire.url, tmp_path / "home", workers=2)
    wire.open()
    server.jifen("init")
    wire.cut()

    def waits(times: int) -> bool:
        return (server.home / "server.log").read_text("utf-8").count("waiting for it") == times

    def open_when_waited_for() -> None:
        until(lambda: (server.home / "server.log").exists() and waits(1), 60)
        wire.open()

    threading.Thread(target=open_when_waited_for, daemon=True).start()
    try:
        server.start()
        address = f"http://127.0.0.1:{server.port}"

        def ask(times: int) -> None:
            for _ in range(times):  # a connection each, so that both processes are asked
                assert 200 == httpx.get(f"{address}/v1/journals", timeout=10).status_code

        def counted() -> float:
            page = httpx.get(f"http://127.0.0.1:{metrics_port}/metrics").text
            found = re.search(r'jifen_requests_total\{operation="listJournals",status="200"\} (\S+)', page)
            assert "pid=" not in page and "jifen_commit_seconds_bucket" in page
            return float(found[1]) if found else 0.0

        def workers() -> set[int]:
            found: set[int] = set()
            for child in psutil.Process(server.pid).children():
                with contextlib.suppress(psutil.Error):  # just gone
                    if "spawn_main" in " ".join(child.cmdline()):
                        found.add(child.pid)
            return found

        ask(20)
        assert 20 == counted()
        first = workers()
        assert 2 == len(first)
        wire.cut()
        os.kill(min(first), signal.SIGKILL)
        until(lambda: len(workers() - first) == 1, 30)
        alive = httpx.get(f"{address}/health", timeout=10), httpx.get(f"{address}/ready", timeout=10)
        assert [200, 503] == [one.status_code for one in alive]
        until(lambda: waits(2), 60)  # the new process, too
        wire.open()
        until(lambda: httpx.get(f"{address}/ready", timeout=10).status_code == 200, 60)
        ask(10)
        assert 30 == counted()
        server.terminate()
        assert 0 == server.ended()
        assert "died and was replaced" in (server.home / "server.log").read_text("utf-8")
    finally:
        server.stop()
        wire.cut()


async def test_waiting_for_a_database_ends_with_it_with_patience_or_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waiting does not mend is not waited for."""
    monkeypatch.setattr("api.server.starting._PAUSES_S", (0.01,))

    class Late:
        def __init__(self, *outcomes: Exception | None) -> None:
            self.outcomes = list(outcomes)
            self.stopping = asyncio.Event()

        async def open(self) -> None:
            outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
            if outcome is not None:
                raise outcome

    away = StoreLost(OSError("refused"))
    here: Any = Late(away, away, None)
    await open_when_there(here)
    assert [None] == here.outcomes
    never: Any = Late(away)
    with pytest.raises(StoreLost):
        await open_when_there(never, 0.05)
    asyncio.get_running_loop().call_later(0.05, never.stopping.set)
    with pytest.raises(NotReady, match="told to stop"):
        await open_when_there(never)
    wrong: Any = Late(NotReady("the database is empty"), None)
    with pytest.raises(NotReady, match="empty"):
        await open_when_there(wrong)


# what it writes ----------------------------------------------------------------------------------------------------


def deed(server: Served) -> dict[str, Any]:
    """One that awards points to the demo's resident today."""
    indicator = server.demo["indicators"][0]
    return {
        "indicator": indicator["code"],
        "occurred_on": time.strftime("%Y-%m-%d", time.gmtime(time.time() + 8 * 3600)),
        "facts": indicator["facts"],
        "evidence": indicator["evidence"],
    }


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    home = tmp_path_factory.mktemp("busy") / "home"
    server = Living(f"sqlite:///{home / 'jifen.db'}", home)
    server.build()
    try:
        server.start()
        yield server
    finally:
        server.stop()


async def test_a_busy_town_leaves_nobody_in_the_log(busy: Living) -> None:
    """Names, phones, PINs, passwords, tokens, codes, texts: sent rightly, wrongly, in every corner of a request. Then
    every line is looked through."""
    demo = busy.demo
    secret: set[str] = {"王小明", "13912345678", "370321199001011234", "不该写下的备注", "wrong-password-7"}
    secret |= {demo["merchant"]["key"], demo["resident"]["token"], demo["resident"]["card"], demo["body"]["token"]}
    secret |= {demo[who]["password"] for who in ("staff", "approver", "admin")}
    staff = await asyncio.to_thread(busy.sign_in)
    admin = await asyncio.to_thread(busy.sign_in, "admin")
    secret |= {staff, admin}
    person = {"name": "王小明", "phone": "13912345678"}
    calls = 0

    async def call(token: str | None, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        nonlocal calls
        calls += 1
        headers = {"Idempotency-Key": f"13912345678-{calls}", **more.pop("headers", {})}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return await client.request(method, path, json=body, headers=headers, **more)

    async with busy.client() as client:
        await call(None, "POST", "/v1/sessions", {"username": "wang-xiaoming", "password": "wrong-password-7"})
        await call(None, "POST", "/v1/activations", {"code": "AAAA-BBBB-CCCC", "pin": "493817"})
        await call(None, "GET", "/v1/me", headers={"Authorization": "Bearer 13912345678"})
        await call(None, "GET", "/13912345678?name=王小明", headers={"X-Request-Id": "13912345678"})
        await call(staff, "GET", "/v1/subjects/13912345678/balance?phone=13912345678")
        await call(staff, "POST", "/v1/people/lookup", person)
        await call(staff, "POST", "/v1/people", {**person, "id_number": "370321199001011234"})
        places = (await call(staff, "GET", "/v1/places?parent=" + demo["journals"][0])).json()["items"]
        consents = {"ledger": True, "publication": False, "merchant": True, "ranking": False}
        grid = {"grid": places[0]["code"] if places else demo["journals"][0], "groups": ["G1"]}
        registered = await call(staff, "POST", "/v1/people", {**person, **grid, "consents": consents})
        awarded = await call(staff, "POST", "/v1/awards", {**deed(busy), "note": "不该写下的备注", "who": person})
        assert (201, 201) == (registered.status_code, awarded.status_code), registered.text + awarded.text
        json_type = {"Content-Type": "application/json"}
        cut_off = '{"who": {"name": "王小明'.encode()
        await call(staff, "POST", "/v1/awards", content=cut_off, headers=json_type)
        await call(
            admin, "POST", "/v1/staff", {"username": "wang-xiaoming", "password": "wrong-password-7", "roles": []}
        )
        sheet = "姓名,手机号,指标编码,服务日期\n王小明,13912345678,RE-01,2022-03-01\n".encode()
        await call(staff, "POST", "/v1/award-batches", files={"file": ("王小明.csv", sheet, "text/csv")})
        by = {"card": demo["resident"]["card"], "pin": demo["resident"]["pin"]}
        for pin in ("493817", demo["resident"]["pin"]):
            await call(
                demo["merchant"]["key"],
                "POST",
                "/v1/redemptions",
                {"offer": demo["offers"][0]["id"], "quantity": 1, "by": {**by, "pin": pin}},
            )
        tail = {"phone_tail": "5678", "surname": "王", "pin": "493817"}
        await call(demo["merchant"]["key"], "POST", "/v1/eligibility", {"offer": demo["offers"][0]["id"], "by": tail})
        issued = await call(demo["resident"]["token"], "POST", "/v1/tokens", {})
        assert issued.status_code < 300, issued.text
        secret.add(issued.json()["token"])
        reported = {"occurred_on": deed(busy)["occurred_on"], "place": demo["journals"][0], "text": "不该写下的备注"}
        await call(demo["resident"]["token"], "POST", "/v1/reports", {**reported, "indicator": "RE-03"})
    log = (busy.home / "server.log").read_text("utf-8")
    log = "\n".join(line for line in log.splitlines() if line.startswith("{"))  # the greeting names the demo's logins
    lines = [json.loads(line) for line in log.splitlines()]
    assert len([one for one in lines if one["logger"] == "jifen.request"]) >= calls
    assert not [one for one in lines if one["level"] == "error"], lines
    assert not [one for one in secret if one in log]
    assert not re.search(r"\b1[3-9]\d{9}\b|\b\d{17}[\dX]\b|j[tk]_[A-Za-z0-9]|[\u4e00-\u9fff]|wang-xiaoming", log)


# going -------------------------------------------------------------------------------------------------------------


async def test_told_to_stop_it_finishes_what_it_took_and_takes_no_more(busy: Living) -> None:
    """`/ready` says no, new requests get 503 with Retry-After, a request that is half sent is answered, awards that
    were acknowledged are there afterwards, and the exit status is 0."""
    staff = await asyncio.to_thread(busy.sign_in)
    half, asking = (http.client.HTTPConnection("127.0.0.1", busy.port, timeout=10) for _ in range(2))
    body = json.dumps({"username": "nobody", "password": "guess"}).encode()
    half.putrequest("POST", "/v1/sessions")
    half.putheader("Content-Type", "application/json")
    half.putheader("Content-Length", str(len(body)))
    half.endheaders(body[:10])

    def ask(path: str) -> tuple[int, dict[str, str], Any]:
        asking.request("GET", path)
        answer = asking.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, json.loads(answer.read())

    async with busy.client(staff) as client:

        async def award(case: int) -> httpx.Response:
            sent = {**deed(busy), "subject": busy.demo["resident"]["subject"]}
            sent["cause"] = {"source": "test", "case": str(case)}
            return await client.post("/v1/awards", json=sent, headers={"Idempotency-Key": str(case)})

        assert 200 == (await asyncio.to_thread(ask, "/ready"))[0]
        under_way = [asyncio.create_task(award(case)) for case in range(60)]
        await asyncio.sleep(0.1)
        busy.terminate()
        await asyncio.to_thread(until, lambda: ask("/ready")[0] == 503, 3)
        status, headers, problem = await asyncio.to_thread(ask, "/v1/status")
        assert (503, "shutting_down", "5", "close") == (
            status,
            problem["code"],
            headers["retry-after"],
            headers["connection"],
        )
        half.send(body[10:])
        assert 401 == (await asyncio.to_thread(half.getresponse)).status
        answers = await asyncio.gather(*under_way)
    assert 0 == await asyncio.to_thread(busy.ended)
    assert {one.status_code for one in answers} <= {201, 409, 422, 429, 503}, {one.text for one in answers}
    await asyncio.to_thread(busy.start)
    async with busy.client(staff) as client:
        for one in answers:
            if one.status_code == 201:
                assert 200 == (await client.get(f"/v1/awards/{one.json()['id']}")).status_code

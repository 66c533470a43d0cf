# SPDX-License-Identifier: Apache-2.0
"""Checkpoints, proofs and receipts over HTTP and by the command line, from a real server on a small town."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger import codec, merkle, note
from ledger.keys import Verifier, parse_vkey
from ledger.receipt import Receipt, check, parse_receipt, unpack_qr
from tests.serving import Served


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("town")
    town = Served(f"sqlite:///{home / 'jifen.db'}", home)
    town.build()
    town.start()
    yield town
    town.stop()


@pytest.fixture
def public(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{served.port}", timeout=30) as client:
        yield client


@pytest.fixture
def auditor(served: Served) -> Iterator[httpx.Client]:
    token = served.sign_in("auditor")
    with httpx.Client(
        base_url=f"http://127.0.0.1:{served.port}", headers={"Authorization": f"Bearer {token}"}, timeout=30
    ) as client:
        yield client


def key(public: httpx.Client) -> Verifier:
    found = parse_vkey(public.get("/v1/public-keys").json()["keys"][-1]["vkey"])
    assert isinstance(found, Verifier)
    return found


def checkpoint(public: httpx.Client, path: str) -> note.Checkpoint:
    answer = public.get(path)
    assert (200, "text/plain; charset=utf-8") == (answer.status_code, answer.headers["content-type"])
    signed = note.parse_note(answer.content)
    note.verify(signed, [key(public)])
    return note.parse_checkpoint(signed.text)


async def award(served: Served) -> dict[str, Any]:
    """Award a deed that nobody has reported yet; the receipt fields of the answer."""
    deed = served.demo["indicators"][0]
    async with served.client(served.sign_in()) as staff:
        body = {
            "subject": served.demo["resident"]["subject"],
            "indicator": deed["code"],
            "occurred_on": served.demo["as_of"],
            "facts": deed["facts"],
            "evidence": deed["evidence"],
            "cause": {"source": "test", "case": uuid.uuid4().hex},
        }
        answer = await staff.post("/v1/awards", json=body, headers={"Idempotency-Key": uuid.uuid4().hex})
    assert 201 == answer.status_code, answer.text
    return answer.json()["receipt"]


async def test_an_entry_is_published_within_a_second(served: Served, public: httpx.Client) -> None:
    """From the answer to an award to the checkpoint that covers it is about half a second; a second is the promise."""
    waits: list[float] = []
    for _ in range(3):
        place = await award(served)
        start = time.monotonic()
        while checkpoint(public, f"/v1/journals/{place['journal']}/checkpoint").size <= place["seq"]:
            await asyncio.sleep(0.02)
            assert time.monotonic() - start < 10
        waits.append(time.monotonic() - start)
    assert min(waits) < 1.0, waits


async def test_proofs_hold_under_the_checkpoints(served: Served, public: httpx.Client) -> None:
    """Inclusion and consistency over HTTP, checked by the root that was signed."""
    for journal in served.demo["journals"][:2]:
        path = f"/v1/journals/{journal}"
        point = checkpoint(public, f"{path}/checkpoint")
        first = public.get(f"{path}/proof/inclusion", params={"seq": 0, "size": 1}).json()
        assert [] == first["hashes"]
        shown = public.get(f"{path}/proof/consistency", params={"from": 1, "to": point.size}).json()
        included = public.get(f"{path}/proof/inclusion", params={"seq": 0, "size": point.size}).json()
        hashes = [bytes.fromhex(one) for one in included["hashes"]]
        opening = json.loads(served.jifen("receipt", journal, "0", "--json"))["receipt"].encode()
        leaf = codec.leaf_hash(parse_receipt(opening).entry)
        merkle.check_inclusion(leaf, 0, point.size, hashes, point.root)
        merkle.check_consistency(1, point.size, leaf, point.root, [bytes.fromhex(one) for one in shown["hashes"]])


def test_an_epoch_covers_every_journal(served: Served, public: httpx.Client) -> None:
    """`jifen checkpoint` writes an epoch; its members are all journals, and its leaf is in the signed epoch log."""
    served.jifen("checkpoint")
    point = checkpoint(public, "/v1/epochs/checkpoint")
    epoch = public.get(f"/v1/epochs/{point.size - 1}").json()
    assert sorted(served.demo["journals"]) == [member["journal"] for member in epoch["members"]]
    leaf = codec.leaf_hash(codec.encode({name: epoch[name] for name in ("count", "epoch", "journals_root", "v")}))
    hashes = [bytes.fromhex(one) for one in epoch["hashes"]]
    merkle.check_inclusion(leaf, epoch["epoch"], point.size, hashes, point.root)
    assert 404 == public.get("/v1/epochs/999999").status_code


async def test_a_receipt_in_every_form(served: Served, public: httpx.Client, auditor: httpx.Client) -> None:
    """Text and QR form prove the same entry; the drawing is an SVG, the slip a page; strangers get none of them."""
    place = await award(served)
    path = f"/v1/entries/{place['journal']}/{place['seq']}/receipt"
    text = auditor.get(path, params={"wait": 5})
    assert 200 == text.status_code, text.text
    shown: list[Receipt] = [parse_receipt(text.content)]
    shown.append(unpack_qr(auditor.get(path, params={"form": "qr", "wait": 5}).text.rstrip("\n")))
    for one in shown:
        checked = check(one, [key(public)])
        assert place["entry_hash"] == codec.leaf_hash(one.entry).hex()
        assert place["seq"] == checked.entry["seq"]
    assert auditor.get(path, params={"form": "svg"}).text.startswith("<?xml")
    slip = auditor.get(path, params={"form": "slip"}).text
    assert f"{place['journal']}/{place['seq']}" in slip and "<svg" in slip
    assert 401 == public.get(path).status_code
    assert 400 == auditor.get(path, params={"form": "pdf"}).status_code
    other = served.demo["body"]["token"]
    assert 404 == public.get(path, headers={"Authorization": f"Bearer {other}"}).status_code


def test_what_cannot_be_proved_is_refused(served: Served, public: httpx.Client) -> None:
    """Impossible questions are 404 or 409 by name; numbers that are none are 400."""
    path = f"/v1/journals/{served.demo['journals'][0]}/proof"
    size = checkpoint(public, f"/v1/journals/{served.demo['journals'][0]}/checkpoint").size
    for query, status in (
        (f"inclusion?seq={size}", 404),
        (f"inclusion?seq=0&size={size + 9}", 409),
        ("inclusion?seq=5&size=5", 404),
        (f"inclusion?seq=0&size={2**63}", 400),
        ("inclusion?seq=-1", 400),
        ("inclusion?seq=1_0", 400),
        ("inclusion?seq=%EF%BC%95", 400),
        ("inclusion", 400),
        (f"consistency?from={size}&to=1", 404),
        (f"consistency?from=1&to={size + 9}", 409),
        ("consistency?to=1", 400),
    ):
        answer = public.get(f"{path}/{query}")
        assert status == answer.status_code, (query, answer.text)
    assert 404 == public.get("/v1/journals/nowhere/checkpoint").status_code


def test_status_tells_how_far_is_published(served: Served, public: httpx.Client) -> None:
    """`published_seq` and `root` are those of the checkpoint, and nothing is read-only."""
    status = public.get("/v1/status").json()
    assert status["read_only"] is None
    for one in status["journals"]:
        point = checkpoint(public, f"/v1/journals/{one['journal']}/checkpoint")
        assert (point.size - 1, point.root.hex()) == (one["published_seq"], one["root"])


def test_the_command_line_gives_the_same(served: Served, public: httpx.Client, tmp_path: Path) -> None:
    """`jifen proof`, `receipt` and `guard show` beside a running server."""
    journal = served.demo["journals"][0]
    size = checkpoint(public, f"/v1/journals/{journal}/checkpoint").size
    said = json.loads(served.jifen("proof", "consistency", journal, "1", str(size), "--json"))
    answer = public.get(f"/v1/journals/{journal}/proof/consistency", params={"from": 1, "to": size}).json()
    assert answer["hashes"] == said["hashes"]
    out = tmp_path / "receipt.tlog-proof"
    served.jifen("receipt", journal, "1", "--out", str(out))
    assert 1 == check(parse_receipt(out.read_bytes()), [key(public)]).entry["seq"]
    served.jifen("receipt", journal, "1", "--out", str(out), status=2)  # never written over
    assert "agrees with what was signed" in served.jifen("guard", "show")

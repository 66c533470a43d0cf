# SPDX-License-Identifier: Apache-2.0
"""The examples in docs/client.md are run: awards on a town with residents, a sale at a shop's till, an event."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks

from tests.application import application
from tests.faulty import faulty_server
from tests.front import DAY, Front, front, prepared, wang
from tests.reference_client import client
from tests.test_desk_http import HERE
from tests.till_town import Till, till, till_town
from tests.tree import ROOT

__all__ = ["front", "prepared", "till", "wang"]

AWARDS, TILL, EVENTS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/client.md").read_text("utf-8"), re.DOTALL)


async def run(block: str, **given: Any) -> dict[str, Any]:
    """The names that the example leaves."""
    assert client.__name__ == "jifen_client"  # what the example imports
    await asyncio.to_thread(exec, block, given)
    return given


@pytest.mark.parametrize("prepared", ["sqlite"], indirect=True)
async def test_awards(front: Front, wang: str) -> None:
    """One award however often it is reported, the points that were announced, a batch that is refused as a whole."""
    async with faulty_server(application(front.world)) as network:
        network.plan.extend(["503", "dropped", "half"])
        left = await run(AWARDS, url=network.url, key="token-street", subject=wang, day=DAY, place=HERE)
    assert left["award"] == left["again"]
    assert left["would"]["points"] == left["award"]["points"] == left["points"] > 0
    assert [left["award"]["id"]] == left["posted"]
    assert [(2, "not_found")] == left["rows"]


@pytest.mark.schema(town=till_town)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_sale(till: Till, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signed, sold once, partly given back."""
    monkeypatch.setattr(time, "time", lambda: till.now / 1e6)  # the client lives in the town's time
    async with faulty_server(application(till.world)) as network:
        given = {"url": network.url, "key": till.tokens["till"], "folder": tmp_path, "offer": till.offer}
        left = await run(TILL, **given, **till.cards["resident"])
    assert "captured" == left["slip"]["state"]
    shown = (await till.send("staff", "GET", f"/redemptions/{left['slip']['id']}")).json()
    assert "partially_refunded" == shown["state"]
    assert (tmp_path / "signing.pem").exists()


async def test_an_event() -> None:
    """A good one is read; a changed one is none."""
    secret, body = "whsec_" + base64.b64encode(bytes(24)).decode(), b'{"type":"entry.award"}'
    at = datetime.fromtimestamp(int(time.time()), UTC)
    signature = standardwebhooks.Webhook(secret).sign("msg_1", at, body.decode())
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}
    assert json.loads(body) == (await run(EVENTS, secret=secret, headers=headers, body=body))["event"]
    assert (await run(EVENTS, secret=secret, headers=headers, body=body + b" "))["event"] is None

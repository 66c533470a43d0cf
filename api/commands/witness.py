# SPDX-License-Identifier: Apache-2.0
"""`jifen witness show|add-log|add-witness`: who witnesses us, whom we witness. Needs the keys, not the database."""

from __future__ import annotations

from typing import Any

from api.commands import DONE, FAILED, Result
from api.settings import Settings
from api.witness import config
from api.witness.state import Memory, Standing
from ledger.keys import open_keys
from ledger.view import rfc3339


def show(settings: Settings) -> Result:
    """Our two vkeys to hand out, and how it stands with everybody. FAILED when a log that we witness has forked."""
    keys = open_keys(settings.home, settings.master_key_file)
    said = config.read(settings.home)
    memory = Memory(settings.home)
    try:
        ours = memory.signer(keys).cosigner.text
        witnesses = [_standing(memory.standing(peer.key.text), peer.key.name, peer.url) for peer in said.witnesses]
        logs = [_log(memory, origin) for origin in said.logs]
    finally:
        memory.close()
    lines = [f"log vkey:      {keys.vkey}", f"witness vkey:  {ours}", "", "who witnesses us:"]
    for one in witnesses:
        lines.append(f"  {one['name']}  {one['url']}")
        lines.append(f"    cosigned: {_until(one)}" + (f"; last try: {one['said']}" if one["said"] else ""))
    lines += ["  nobody yet: jifen witness add-witness VKEY URL"] * (not witnesses) + ["", "whom we witness:"]
    for one in logs:
        lines.append(f"  {one['origin']}  cosigned: {_until(one)}")
        lines += [
            f"    {'FORK' if bad['fork'] else 'not cosigned'}: size {bad['size']}, root {bad['root'][:16]}, {bad['at']}"
            for bad in one["refused"]
        ]
    lines += ["  nobody yet: jifen witness add-log VKEY"] * (not logs)
    forked = any(bad["fork"] for one in logs for bad in one["refused"])
    data = {"log_vkey": keys.vkey, "witness_vkey": ours, "witnesses": witnesses, "logs": logs}
    return Result(FAILED if forked else DONE, lines, data)


def add_log(settings: Settings, vkey: str, origin: str | None) -> Result:
    """Witness one more log. A running server takes it up by itself."""
    found = config.add_log(settings.home, vkey, origin)
    return _added(settings, {"logs": sorted(found.logs)})


def add_witness(settings: Settings, vkey: str, url: str) -> Result:
    """Be witnessed by one more. A running server takes it up by itself."""
    found = config.add_witness(settings.home, vkey, url)
    return _added(settings, {"witnesses": [peer.key.name for peer in found.witnesses]})


def _added(settings: Settings, data: dict[str, Any]) -> Result:
    return Result(DONE, [f"{settings.home / config.FILE} is written"], data)


def _standing(one: Standing, name: str, url: str) -> dict[str, Any]:
    return {"name": name, "url": url, "size": one.size, "at": _instant(one.at), "tries": one.tries, "said": one.said}


def _log(memory: Memory, origin: str) -> dict[str, Any]:
    known = memory.cosigned(origin)
    refused = [
        {"size": bad.size, "root": bad.root.hex(), "fork": bool(bad.fork), "at": _instant(bad.at)}
        for bad in memory.refused(origin)
    ]
    return {
        "origin": origin,
        "size": known.size if known else 0,
        "at": _instant(known.at) if known else None,
        "refused": refused,
    }


def _instant(seconds: int) -> str | None:
    return rfc3339(seconds * 1_000_000) if seconds else None


def _until(one: dict[str, Any]) -> str:
    return f"size {one['size']}, {one['at']}" if one["at"] else "nothing yet"

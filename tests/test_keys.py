# SPDX-License-Identifier: Apache-2.0
"""Keys of machines: bound to addresses, given new secrets, run out; and where a request is said to come from."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from api.identity.address import client_address, household, networks, within
from tests.doors import DAY, FAR, HERE, HOUR, OFFICE, Doors, deployment, doors, opened

__all__ = ["deployment", "doors", "opened"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROLES = [{"role": "community_staff", "place": HERE}]
CLIENT = {"kind": "client", "name": "sync", "scopes": ["lists:read"], "roles": ROLES}


async def _issued(doors: Doors, **more: Any) -> tuple[str, Any]:
    """An administrator's token, and a client's key made with it."""
    await doors.hire("admin", ("county_admin", HERE))
    admin = await doors.token("admin")
    return admin, await doors.done(admin, "POST", "/keys", CLIENT | more)


async def _good(doors: Doors, key: str, address: str = OFFICE, **headers: str) -> bool:
    code = await doors.code(key, "GET", "/approvals", address=address, **headers)
    assert code in ("", "unauthenticated")
    return not code


async def test_after_a_rotation_both_secrets_are_good_for_as_long_as_was_said(doors: Doors) -> None:
    """The one before for the overlap, the one before that no longer, the new one for its year; none is stored."""
    admin, first = await _issued(doors)
    path = f"/keys/{first['id']}/rotate"
    second = await doors.done(admin, "POST", path, {"overlap_hours": 2, "days": 30})
    assert first["id"] == second["id"] and first["key"] != second["key"]
    assert [True, True] == [await _good(doors, one["key"]) for one in (first, second)]
    third = await doors.done(admin, "POST", path, {"overlap_hours": 3})
    assert [False, True, True] == [await _good(doors, one["key"]) for one in (first, second, third)]
    doors.now += 3 * HOUR
    doors.world.gate.forget()  # by itself, what is remembered of a key ends with it
    assert [False, True] == [await _good(doors, one["key"]) for one in (second, third)]
    rows = await doors.world.ledger.fetch("SELECT * FROM api_key WHERE id = ?", first["id"])
    assert not [one for one in (first, second, third) if one["key"].rpartition("_")[2] in str(rows)]


async def test_an_overlap_ends_to_the_second_even_where_the_key_is_remembered(doors: Doors) -> None:
    """What is remembered of the old secret is forgotten with it."""
    admin, first = await _issued(doors)
    await doors.done(admin, "POST", f"/keys/{first['id']}/rotate", {"overlap_hours": 1})
    doors.now += HOUR - 2_000_000
    clock = [0.0]
    for passed, good in ((0.0, True), (1.9, True), (2.1, False)):
        doors.now, clock[0] = doors.now + round((passed - clock[0]) * 1_000_000), passed
        assert good == (await doors.world.gate.caller(first["key"], lambda: clock[0]) is not None)


async def test_a_leaked_secret_is_changed_at_once(doors: Doors) -> None:
    """Without any overlap; a key that was revoked or has run out gets no new secret."""
    admin, first = await _issued(doors, days=1)
    second = await doors.done(admin, "POST", f"/keys/{first['id']}/rotate", {"overlap_hours": 0, "days": 1})
    assert [False, True] == [await _good(doors, one["key"]) for one in (first, second)]
    doors.now += DAY
    doors.world.gate.forget()
    assert not await _good(doors, second["key"])
    admin = await doors.token("admin")
    assert "key_over" == await doors.code(admin, "POST", f"/keys/{first['id']}/rotate")
    other = await doors.done(admin, "POST", "/keys", CLIENT)
    await doors.done(admin, "DELETE", f"/keys/{other['id']}")
    assert "key_over" == await doors.code(admin, "POST", f"/keys/{other['id']}/rotate")


async def test_a_key_is_good_from_its_addresses_only(doors: Doors) -> None:
    """From elsewhere it is answered as a key that does not exist; whoever says to be at home is not believed."""
    admin, key = await _issued(doors, addresses=["198.51.100.0/24", "2001:db8::/32"])
    for address, good in ((OFFICE, True), (FAR, False), ("::ffff:198.51.100.9", True), ("2001:db8:1::5", True)):
        assert good == await _good(doors, key["key"], address)
    assert not await _good(doors, key["key"], FAR, X_Forwarded_For=OFFICE)
    away = await doors.call(key["key"], "GET", "/approvals", address=FAR)
    unknown = await doors.call("jk_0000_aaaa", "GET", "/approvals", address=FAR)
    assert (away.status_code, away.text) == (unknown.status_code, unknown.text)
    changed = await doors.done(admin, "PATCH", f"/keys/{key['id']}", {"addresses": [FAR]})
    assert [f"{FAR}/32"] == changed["addresses"]
    assert [False, True] == [await _good(doors, key["key"], address) for address in (OFFICE, FAR)]
    for wrong in ("198.51.100.7/24", "office", "1.2.3", "10.0.0.0/33"):
        assert "request_invalid" == await doors.code(admin, "PATCH", f"/keys/{key['id']}", {"addresses": [wrong]})


async def test_keys_of_other_places_are_as_unknown_as_any(doors: Doors) -> None:
    """To an administrator elsewhere, who may issue keys but not these; the answers are the same to the byte."""
    _, key = await _issued(doors)
    await doors.hire("far", ("county_admin", "370322001001"))
    far = await doors.token("far")
    for method, tail, body in (("POST", "/rotate", None), ("PATCH", "", {"addresses": []}), ("DELETE", "", None)):
        answers = [
            await doors.call(far, method, f"/keys/{id_}{tail}", body) for id_ in (key["id"], "key_0000000000000000")
        ]
        known, unknown = [(one.status_code, {**one.json(), "instance": ""}) for one in answers]
        assert known == unknown and 404 == known[0]
    assert await _good(doors, key["key"])


async def test_of_a_key_every_part_must_be_right(doors: Doors) -> None:
    """Its id with another's secret, a session's prefix, capitals, an empty secret."""
    _, first = await _issued(doors)
    await doors.hire("second", ("county_admin", HERE))
    second = await doors.done(await doors.token("second"), "POST", "/keys", CLIENT)
    name, secret = first["key"].rsplit("_", 1)
    wrong = [f"{name}_{second['key'].rpartition('_')[2]}", f"{name}_", name, f"jt_{secret}", first["key"].upper()]
    wrong += [f"{name}_{hashlib.sha256(secret.encode()).hexdigest()}", f"{first['key']}a", f"{first['key']}_"]
    assert not any([await _good(doors, one) for one in wrong])
    assert await _good(doors, first["key"])


# addresses ---------------------------------------------------------------------------------------------------------


def _from(peer: str | None, *forwarded: str, trusted: str = "") -> str:
    """Whose request it is, by our reckoning."""
    settings = SimpleNamespace(trusted_proxies=networks(trusted.split()))
    app = SimpleNamespace(state=SimpleNamespace(world=SimpleNamespace(settings=settings)))
    headers = [(b"x-forwarded-for", one.encode()) for one in forwarded]
    return client_address({"client": peer and (peer, 1), "headers": headers, "litestar_app": app})


async def test_only_trusted_proxies_say_where_a_request_comes_from() -> None:
    """The list is read from its end, which they wrote; its beginning is the caller's invention."""
    assert "10.0.0.9" == _from("10.0.0.9", "1.2.3.4")
    assert "1.2.3.4" == _from("10.0.0.9", "1.2.3.4", trusted="10.0.0.0/8")
    assert "1.2.3.4" == _from("10.0.0.9", "6.6.6.6, 1.2.3.4, 10.0.0.8", trusted="10.0.0.0/8")
    assert "1.2.3.4" == _from("10.0.0.9", "6.6.6.6", "1.2.3.4", trusted="10.0.0.0/8")
    assert "1.2.3.4" == _from("1.2.3.4", "6.6.6.6", trusted="10.0.0.0/8")
    assert "10.0.0.8" == _from("10.0.0.9", "6.6.6.6, nonsense, 10.0.0.8", trusted="10.0.0.0/8")
    assert "10.0.0.9" == _from("10.0.0.9", trusted="10.0.0.0/8")
    for said in ("1.2.3.4:50123", "[1.2.3.4]", "6.6.6.6, 1.2.3.4:50123, [10.0.0.8]:1"):  # some proxies add the port
        assert "1.2.3.4" == _from("10.0.0.9", said, trusted="10.0.0.0/8")
    assert "2001:db8::7" == _from("10.0.0.9", "[2001:db8::7]:50123", trusted="10.0.0.0/8")
    assert "10.0.0.9" == _from("10.0.0.9", "1.2.3.4:5:6", trusted="10.0.0.0/8")
    assert "2001:db8::7" == _from("::1", "2001:DB8:0::7", trusted="127.0.0.1 ::1")
    assert "1.2.3.4" == _from("::ffff:10.0.0.9", "::ffff:1.2.3.4", trusted="10.0.0.0/8")
    assert "" == _from(None, "1.2.3.4", trusted="10.0.0.0/8")


async def test_addresses_are_what_they_mean_not_how_they_are_spelt() -> None:
    """IPv4 in IPv6, long and short forms, and a line's sixty-four bits."""
    allowed = networks(["198.51.100.0/24", "2001:db8::/32"])
    assert within("::ffff:198.51.100.7", allowed) and within("2001:0db8:0000::1", allowed)
    assert not within("", allowed) and not within("198.51.101.7", allowed) and not within("::1", allowed)
    assert household("2001:db8::1:2:3:4") == household("2001:db8::ffff") == "2001:db8::/64"
    assert "198.51.100.7" == household("::ffff:198.51.100.7")


async def test_behind_a_trusted_proxy_the_binding_holds_for_who_stands_before_it(doors: Doors) -> None:
    """The proxy's own address opens nothing."""
    _, key = await _issued(doors, addresses=[OFFICE])
    world = doors.world
    world.settings = replace(world.settings, trusted_proxies=networks(["10.0.0.1"]))
    try:
        assert await _good(doors, key["key"], "10.0.0.1", X_Forwarded_For=OFFICE)
        assert not await _good(doors, key["key"], "10.0.0.1", X_Forwarded_For=f"{OFFICE}, {FAR}")
        assert not await _good(doors, key["key"], "10.0.0.1")
    finally:
        world.settings = replace(world.settings, trusted_proxies=())

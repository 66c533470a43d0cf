# SPDX-License-Identifier: Apache-2.0
"""Reported deeds and their photos over HTTP: from the phone to the award, who may do and see what, and what is gone
afterwards."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from api import erasure, jobs
from api.people import evidence
from api.people.pictures import BYTES_MAX, cleaned
from api.people.search import found_in
from api.people.veil import Veil
from api.world import World
from ledger.port import PutRows
from ledger.snapshot import snapshot
from rules.tables import AWARD
from tests import pg
from tests.front import DAY, DAY_US, PROOF, START, Front, front, prepared, wang, zhao  # noqa: F401 (fixtures)
from tests.photos import jpeg, png, webp
from tests.test_desk_http import HERE, THERE

# ruff: noqa: F811 (a test's arguments are the fixtures)


# from the phone to the award -----------------------------------------------------------------------------------


async def test_from_a_photo_to_an_award(front: Front, wang: str) -> None:
    """Handed in, worth nothing; found by staff in the queue; accepted, once, with the photo among the evidence."""
    sha256 = await front.photo(wang, jpeg(orientation=6))
    made = await front.report(wang, evidence=[sha256])
    assert ("open", "E0", None, [sha256]) == tuple(made[n] for n in ("state", "evidence_level", "award", "evidence"))
    assert 0 == (await front.done(wang, "GET", "/me/balance"))["points"]["available"]
    front.now += 3 * DAY_US
    (waiting,) = (await front.done("clerk", "GET", "/reports?state=open"))["items"]
    assert (made["id"], 3) == (waiting["id"], waiting["waited_days"]) and "text" not in waiting
    read = await front.done("clerk", "GET", f"/reports/{made['id']}")
    assert "4号楼前井盖坏了" == read["text"]
    cause = {"source": "12345", "case": "A-1"}
    body = {"evidence": [PROOF], "cause": cause}
    path = f"/reports/{made['id']}/accept"
    award = await front.done("clerk", "POST", path, body, headers={"Idempotency-Key": "accept"})
    assert ("posted", 100, "E2") == (award["state"], award["points"], award["evidence_level"])
    again = await front.call("clerk", "POST", path, body, headers={"Idempotency-Key": "accept"})
    assert (201, award["id"], "true") == (
        again.status_code,
        again.json()["id"],
        again.headers["idempotency-replayed"],
    )
    other = await front.call("colleague", "POST", path, body)
    assert (409, "report_closed") == (other.status_code, other.json()["code"])
    after = await front.done(wang, "GET", f"/reports/{made['id']}")
    assert ("accepted", award["id"], "stf_clerk") == (after["state"], after["award"], after["decided_by"])
    record = await front.world.desk.records.award(award["id"])
    assert record.request is not None
    assert [PROOF["kind"], "photo"] == [one["kind"] for one in record.request["evidence"]]
    assert {"kind": "photo", "level": "E0", "sha256": sha256} == record.request["evidence"][1]
    assert 100 == (await front.done(wang, "GET", "/me/balance"))["points"]["available"]
    seen = await front.world.ledger.fetch("SELECT what FROM access_log WHERE subject = ? ORDER BY id", wang)
    assert (f"report {made['id']}",) in seen


async def test_a_report_alone_earns_nothing(front: Front, wang: str) -> None:
    """Neither without more evidence nor with evidence of its own level; and a case is needed where the rule asks."""
    made = await front.report(wang)
    path = f"/reports/{made['id']}/accept"
    case = {"source": "12345", "case": "A-1"}
    for body, status, code in (
        ({"evidence": [], "cause": case}, 400, "request_invalid"),
        ({"cause": case}, 400, "request_invalid"),
        ({"evidence": [{"kind": "photo", "level": "E0"}], "cause": case}, 422, "evidence_too_weak"),
        ({"evidence": [PROOF]}, 400, "request_invalid"),
        ({"evidence": [PROOF], "cause": case, "indicator": "RE-99"}, 404, "not_found"),
        ({"evidence": [PROOF], "cause": case, "facts": {"minutes": 5}}, 422, "facts_invalid"),
    ):
        answer = await front.call("clerk", "POST", path, body)
        assert (status, code) == (answer.status_code, answer.json()["code"]), answer.text
    assert "open" == (await front.done(wang, "GET", f"/reports/{made['id']}"))["state"]
    assert [(0,)] == await front.world.ledger.fetch("SELECT count(*) FROM award")


async def test_only_the_first_reporter_of_a_case(front: Front, wang: str, zhao: str) -> None:
    """The second report of a case is refused, until the first one's award is taken back."""
    first, second = await front.report(wang), await front.report(zhao)
    body = {"evidence": [PROOF], "cause": {"source": "12345", "case": "A-1"}}
    award = await front.done("clerk", "POST", f"/reports/{first['id']}/accept", body)
    late = await front.call("clerk", "POST", f"/reports/{second['id']}/accept", body)
    assert (409, "already_reported") == (late.status_code, late.json()["code"])
    assert first["id"] in late.json()["detail"]
    other = {**body, "cause": {"source": "12345", "case": "A-2"}}
    third = await front.report(zhao)
    await front.done("clerk", "POST", f"/reports/{third['id']}/accept", other)
    back = {"reason": "并未核实", "occurred_on": "2022-05-10"}
    await front.done("clerk", "POST", f"/awards/{award['id']}/reverse", back)
    await front.done("clerk", "POST", f"/reports/{second['id']}/accept", body)


async def test_two_who_accept_at_once_make_one_award(front: Front, wang: str) -> None:
    """Whatever they do together: one award, one answer with it, the others told that it is decided."""
    made = await front.report(wang)
    body = {"evidence": [PROOF], "cause": {"source": "12345", "case": "A-1"}}
    path = f"/reports/{made['id']}"
    answers = await asyncio.gather(
        *(front.call(who, "POST", f"{path}/accept", body) for who in ("clerk", "colleague", "street", "clerk")),
        front.call("street", "POST", f"{path}/decline", {"reason": "看不清"}),
        front.call(wang, "POST", f"{path}/withdraw"),
    )
    assert [201, 409, 409, 409, 409, 409] == sorted(one.status_code for one in answers)
    after = await front.done(wang, "GET", path)
    awards = await front.world.ledger.fetch("SELECT count(*) FROM award")
    assert [(int(after["state"] == "accepted"),)] == awards


async def test_declined_and_withdrawn(front: Front, wang: str, zhao: str) -> None:
    """The reporter reads why not; takes back what is open; staff take back what they handed in for somebody."""
    made = await front.report(wang)
    path = f"/reports/{made['id']}"
    assert 400 == (await front.call("clerk", "POST", f"{path}/decline", {})).status_code
    declined = await front.done("clerk", "POST", f"{path}/decline", {"reason": "照片看不清，请再拍一张"})
    assert ("declined", "照片看不清，请再拍一张") == (declined["state"], declined["reason"])
    assert "照片看不清，请再拍一张" == (await front.done(wang, "GET", path))["reason"]
    assert 409 == (await front.call(wang, "POST", f"{path}/withdraw")).status_code
    sealed = await front.world.ledger.fetch("SELECT sealed FROM report WHERE id = ?", made["id"])
    assert "看不清".encode() not in bytes(sealed[0][0])
    mine = await front.report(wang)
    assert 404 == (await front.call(zhao, "POST", f"/reports/{mine['id']}/withdraw")).status_code
    assert 403 == (await front.call("clerk", "POST", f"/reports/{mine['id']}/withdraw")).status_code
    assert "withdrawn" == (await front.done(wang, "POST", f"/reports/{mine['id']}/withdraw"))["state"]
    theirs = await front.report("clerk", subject=zhao)
    assert "withdrawn" == (await front.done("clerk", "POST", f"/reports/{theirs['id']}/withdraw"))["state"]
    states = [one["state"] for one in (await front.done(wang, "GET", "/reports"))["items"]]
    assert ["declined", "withdrawn"] == states


async def test_who_may_report_see_and_decide(front: Front, wang: str, zhao: str) -> None:
    """Residents for themselves, staff at the place for others; the queue is that of one's own places."""
    deed = {"occurred_on": DAY, "place": HERE, "text": "路灯不亮"}
    refused = [
        (wang, {**deed, "subject": zhao}, 403, "forbidden"),
        ("far", {**deed, "subject": wang}, 403, "forbidden"),
        ("approver", {**deed, "subject": wang}, 403, "forbidden"),
        ("clerk", deed, 400, "request_invalid"),
        ("clerk", {**deed, "subject": "sub_nobody"}, 404, "subject_unknown"),
        (wang, {**deed, "place": "999"}, 404, "not_found"),
        (wang, {**deed, "indicator": "XX-01"}, 404, "not_found"),
        (wang, {**deed, "occurred_on": "2022-05-11"}, 422, "facts_invalid"),
        (wang, {**deed, "text": "长" * 501}, 400, "request_invalid"),
        (wang, {**deed, "evidence": ["0" * 64]}, 422, "photo_unknown"),
        (wang, {**deed, "evidence": ["../keys.db"]}, 422, "photo_unknown"),
        ("nobody", deed, 401, "unauthenticated"),
    ]
    for who, body, status, code in refused:
        answer = await front.call(who, "POST", "/reports", body)
        assert (status, code) == (answer.status_code, answer.json()["code"]), (body, answer.text)
    one = await front.report(wang)
    two = await front.report("clerk", subject=zhao)
    assert "stf_clerk" == two["reporter"]
    path = f"/reports/{one['id']}"
    for who, ids in (
        (wang, [one["id"]]),
        (zhao, [two["id"]]),
        ("clerk", [one["id"], two["id"]]),
        ("street", [one["id"], two["id"]]),
        ("far", []),
    ):
        assert ids == [shown["id"] for shown in (await front.done(who, "GET", "/reports"))["items"]], who
    first = await front.done("clerk", "GET", f"/reports?state=open&place={HERE}&limit=1")
    rest = await front.done("clerk", "GET", f"/reports?state=open&place={HERE}&limit=1&cursor={first['next']}")
    assert [one["id"], two["id"]] == [first["items"][0]["id"], rest["items"][0]["id"]] and rest["next"] is None
    for who, query in (("far", f"?place={HERE}"), ("auditor", "")):
        assert 403 == (await front.call(who, "GET", f"/reports{query}")).status_code
    assert 400 == (await front.call("clerk", "GET", "/reports?state=done")).status_code
    body = {"evidence": [PROOF], "cause": {"source": "12345", "case": "A-1"}}
    for who, status in ((zhao, 404), ("far", 404), ("auditor", 403)):
        assert status == (await front.call(who, "GET", path)).status_code, who
    for who in (wang, zhao, "far", "approver", "auditor"):
        for act, sent in (("accept", body), ("decline", {"reason": "x"})):
            assert (await front.call(who, "POST", f"{path}/{act}", sent)).status_code in (403, 404), (who, act)
    assert "open" == (await front.done(wang, "GET", path))["state"]


async def test_the_queue_of_one_person_has_an_end(front: Front, wang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has many reports waiting waits with the next one."""
    monkeypatch.setattr("rules.reports.reports.WAITING_MAX", 2)
    made = await front.report(wang)
    body = {"occurred_on": DAY, "place": HERE}
    key = {"Idempotency-Key": "second"}
    second = await front.call(wang, "POST", "/reports", body, headers=key)
    replay = await front.call(wang, "POST", "/reports", body, headers=key)
    assert (second.json()["id"], "true") == (replay.json()["id"], replay.headers["idempotency-replayed"])
    full = await front.call(wang, "POST", "/reports", body)
    assert (409, "reports_too_many") == (full.status_code, full.json()["code"])
    await front.done(wang, "POST", f"/reports/{made['id']}/withdraw")
    await front.done(wang, "POST", "/reports", body)


async def test_the_same_photo_twice_is_shown(front: Front, wang: str, zhao: str) -> None:
    """By two people and with other metadata: each report names the other; a photo alone says nothing yet."""
    one = await front.report(wang, evidence=[await front.photo(wang, jpeg(seed=b"a"))])
    two = await front.report(zhao, evidence=[await front.photo(zhao, jpeg(seed=b"a", orientation=1, tail=b"later"))])
    three = await front.report(zhao, evidence=[await front.photo(zhao, jpeg(seed=b"b"))])
    shown = {item["id"]: item["same_photo"] for item in (await front.done("clerk", "GET", "/reports"))["items"]}
    assert {one["id"]: [two["id"]], two["id"]: [one["id"]], three["id"]: []} == shown
    own = (await front.done(wang, "GET", "/reports"))["items"]  # what others handed in is none of a reporter's business
    assert two["id"] not in str(own) and two["id"] not in str(await front.done(wang, "GET", f"/reports/{one['id']}"))


async def test_nobody_floods_the_queue(front: Front, wang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many an hour, also of those sent all at once, before any of which the queue was full."""
    monkeypatch.setattr("api.http.reports.PER_HOUR", 3)
    body = {"occurred_on": DAY, "place": HERE}
    answers = await asyncio.gather(*(front.call(wang, "POST", "/reports", body) for _ in range(8)))
    assert [201] * 3 + [429] * 5 == sorted(answer.status_code for answer in answers)
    front.now += 3_600_000_001
    await front.done(wang, "POST", "/reports", body)


# photos ----------------------------------------------------------------------------------------------------------


async def test_photos_come_in_and_go_out(front: Front, wang: str) -> None:
    """As a body or in a form, of every kind, under the hash of what is kept; nothing readable lies on the disk."""
    for data, kind in ((jpeg(), "image/jpeg"), (png(), "image/png"), (webp(), "image/webp")):
        kept = cleaned(data).data
        answer = await front.upload(wang, data, kind="application/octet-stream")
        said = answer.json()
        assert (201, len(kept)) == (answer.status_code, said["size"]), answer.text
        assert hashlib.sha256(kept).hexdigest() == said["sha256"]
        assert "2022-11-06" == said["expires_at"][:10]
        form = await front.client.post(
            f"/v1/evidence?subject={wang}",
            files={"file": ("照片.jpg", data, "image/jpeg")},
            headers={"Authorization": "Bearer token-clerk"},
        )
        assert (201, said["sha256"]) == (form.status_code, form.json()["sha256"])
        back = await front.call(wang, "GET", f"/evidence/{said['sha256']}")
        assert (200, kept, kind) == (back.status_code, back.content, back.headers["content-type"])
        assert "sandbox" in back.headers["content-security-policy"]
        assert ("nosniff", "no-store") == (back.headers["x-content-type-options"], back.headers["cache-control"])
    assert 3 == len(front.files())
    assert set() == found_in(front.files(), [cleaned(jpeg()).data[20:60], b"IHDR", b"VP8X"])
    assert all(0 == path.stat().st_mode & 0o077 for path in front.files())


async def test_what_is_not_taken(front: Front, wang: str, zhao: str) -> None:
    """Too large, no photo, half a photo, a form with something else in it; for others only by staff who name them."""
    bomb = png(width=60_000, height=60_000)
    too_long = b"\xff\xd8\xff" + bytes(6 << 20)
    refused: list[tuple[str, bytes, str, str, int, str]] = [
        (wang, too_long, "", "image/jpeg", 413, "photo_too_large"),
        (wang, b"\xff\xd8\xff" + bytes(BYTES_MAX), "", "image/jpeg", 413, "photo_too_large"),
        (wang, bomb, "", "image/png", 413, "photo_too_large"),
        (wang, jpeg()[:-9], "", "image/jpeg", 422, "photo_damaged"),
        (wang, b"", "", "image/jpeg", 415, "photo_kind"),
        (wang, b"<svg onload='alert(1)'/>", "", "image/svg+xml", 415, "photo_kind"),
        (wang, jpeg(), "", "text/html", 415, "photo_kind"),
        (wang, jpeg(), "", "application/json", 415, "photo_kind"),
        (wang, jpeg(), "", "multipart/form-data; boundary=x", 400, "request_invalid"),
        (wang, jpeg(), "", "multipart/form-data", 400, "request_invalid"),
        (wang, jpeg(), f"?subject={zhao}", "image/jpeg", 403, "forbidden"),
        ("clerk", jpeg(), "", "image/jpeg", 400, "request_invalid"),
        ("clerk", jpeg(), "?subject=../../keys.db", "image/jpeg", 404, "subject_unknown"),
        ("approver", jpeg(), f"?subject={wang}", "image/jpeg", 403, "forbidden"),
        ("nobody", jpeg(), "", "image/jpeg", 401, "unauthenticated"),
    ]
    for who, data, query, kind, status, code in refused:
        answer = await front.upload(who, data, query, kind)
        assert (status, code) == (answer.status_code, answer.json()["code"]), (kind, answer.text)
    twice = [("file", ("a.jpg", jpeg())), ("file", ("b.jpg", jpeg()))]
    form = await front.client.post("/v1/evidence", files=twice, headers={"Authorization": f"Bearer token-{wang}"})
    assert (400, "request_invalid") == (form.status_code, form.json()["code"])
    assert [] == front.files()
    assert [(0,)] == await front.world.ledger.fetch("SELECT count(*) FROM photo")


async def test_a_lying_content_type_changes_nothing(front: Front, wang: str) -> None:
    """What a photo is its bytes say: a page hung behind it is gone, and it goes out as what it is."""
    page = b"<html><script>alert(1)</script></html>"
    sha256 = (await front.upload(wang, jpeg(tail=page), kind="image/png")).json()["sha256"]
    back = await front.call(wang, "GET", f"/evidence/{sha256}")
    assert ("image/jpeg", False) == (back.headers["content-type"], page in back.content)


async def test_who_may_look(front: Front, wang: str, zhao: str) -> None:
    """The owner, who handed it in, and who decides about the report or the award in which it stands; written down."""
    sha256 = await front.photo(wang, jpeg())

    async def seen(who: str, query: str = "") -> bool:
        answer = await front.call(who, "GET", f"/evidence/{sha256}{query}")
        assert answer.status_code in (200, 403, 404), answer.text
        return answer.status_code == 200

    everybody = (wang, zhao, "clerk", "colleague", "far", "street", "approver", "auditor", "admin")
    assert {wang} == {who for who in everybody if await seen(who)}
    await front.report(wang, evidence=[sha256])
    deciding = {wang, "clerk", "colleague", "street", "approver"}
    assert deciding == {who for who in everybody if await seen(who)}
    assert 404 == (await front.call("clerk", "GET", f"/evidence/{'0' * 64}")).status_code
    assert 404 == (await front.call("clerk", "GET", "/evidence/..%2f..%2fkeys.db")).status_code
    proof = {**PROOF, "sha256": sha256}
    deed = {"subject": wang, "indicator": "RE-03", "occurred_on": DAY, "place": THERE, "evidence": [proof]}
    award = await front.done("far", "POST", "/awards", {**deed, "cause": {"source": "12345", "case": "A-9"}})
    assert await seen("far", f"?award={award['id']}") and not await seen("far")
    log = await front.world.ledger.fetch("SELECT reader FROM access_log WHERE subject = ? AND what = 'photo'", wang)
    assert {"stf_clerk", "stf_colleague", "stf_street", "stf_approver", "stf_far"} == {reader for (reader,) in log}
    held = await front.photo("clerk", png(), f"?subject={zhao}")
    assert 200 == (await front.call("clerk", "GET", f"/evidence/{held}")).status_code
    assert 404 == (await front.call("street", "GET", f"/evidence/{held}")).status_code


async def test_the_same_photo_lies_there_once(front: Front, wang: str, zhao: str) -> None:
    """For one owner one file however often and at once; another owner has one of their own; sixty are the limit."""
    done = await asyncio.gather(*(front.photo(wang, jpeg()) for _ in range(5)))
    assert 1 == len(set(done)) and 1 == len(front.files())
    front.now += 10 * DAY_US
    later = (await front.upload(wang, jpeg())).json()
    assert ("2022-11-16", 1) == (later["expires_at"][:10], len(front.files()))
    await front.photo(zhao, jpeg())
    assert 2 == len(front.files())
    for path in front.files():  # as in a database that was restored: rows without files
        path.unlink()
    assert 404 == (await front.call(wang, "GET", f"/evidence/{done[0]}")).status_code
    await front.photo(wang, jpeg())
    assert 200 == (await front.call(wang, "GET", f"/evidence/{done[0]}")).status_code


async def test_there_is_room_for_so_many(front: Front, wang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody fills the disk; what is refused leaves no file."""
    monkeypatch.setattr(evidence, "PHOTOS_MAX", 2)
    for seed in (b"1", b"2"):
        await front.photo(wang, jpeg(seed=seed))
    full = await front.upload(wang, jpeg(seed=b"3"))
    assert (409, "photos_too_many", 2) == (full.status_code, full.json()["code"], len(front.files()))


# the end of a photo ----------------------------------------------------------------------------------------------


async def test_photos_expire(front: Front, wang: str) -> None:
    """After half a year, or a month after the decision, the bytes are overwritten and nobody finds them any more."""
    kept = await front.photo(wang, jpeg(seed=b"kept"))
    used = await front.photo(wang, jpeg(seed=b"used"))
    both = await front.photo(wang, jpeg(seed=b"both"))
    made = await front.report(wang, evidence=[used, both])
    still = await front.report(wang, evidence=[both])
    body = {"evidence": [PROOF], "cause": {"source": "12345", "case": "A-1"}}
    await front.done("clerk", "POST", f"/reports/{made['id']}/accept", body)
    assert 0 == await jobs.evidence(front.world)

    async def left() -> list[bool]:
        return [200 == (await front.call(wang, "GET", f"/evidence/{one}")).status_code for one in (kept, used, both)]

    held = [path.open("rb") for path in front.files()]
    front.now += 29 * DAY_US
    assert 0 == await jobs.evidence(front.world) and [True, True, True] == await left()
    front.now += 2 * DAY_US
    assert [True, False, True] == await left()  # also before the job has run
    assert 1 == await jobs.evidence(front.world) and 2 == len(front.files())
    await front.done(wang, "POST", f"/reports/{still['id']}/withdraw")
    assert 0 == await jobs.evidence(front.world)
    front.now += 31 * DAY_US
    assert 1 == await jobs.evidence(front.world) and [True, False, False] == await left()
    front.now += 120 * DAY_US
    assert 1 == await jobs.evidence(front.world) and [] == front.files()
    assert [(0,)] == await front.world.ledger.fetch("SELECT count(*) FROM photo")
    for file in held:
        assert set() == set(file.read()) - {0}
        file.close()
    assert [] == list((front.world.home / "evidence").iterdir())
    shown = await front.done("clerk", "GET", f"/reports/{made['id']}")
    assert [still["id"]] == shown["same_photo"]  # the same picture is still known again


async def test_a_photo_waits_for_the_second_person(front: Front, wang: str) -> None:
    """While the award waits, its photo does not begin to go."""
    sha256 = await front.photo(wang, jpeg())
    made = await front.report(wang, evidence=[sha256], indicator="RE-01", facts={"minutes": 60})
    await front.done("clerk", "POST", f"/reports/{made['id']}/accept", {"evidence": [PROOF]})
    await _as_if_waiting(front.world)
    await jobs.evidence(front.world)
    assert [(None,)] == await front.world.ledger.fetch("SELECT settled_at FROM report")
    assert (START + 180 * DAY_US,) in await front.world.ledger.fetch("SELECT expires_at FROM photo")


async def _as_if_waiting(world: World) -> None:
    """No indicator of the founding pack with a case asks for a second person, so its row is made to say so."""
    ((id_,),) = await world.ledger.fetch("SELECT id FROM award")
    row = await world.desk.records.award_row(id_)
    waiting = (*row[:3], "awaiting_approval", *row[4:7], None, None, None, *row[10:])
    await world.ledger.submit(PutRows(puts=((AWARD, waiting),)))


async def test_what_a_crash_leaves_is_swept(front: Front, wang: str) -> None:
    """A file without its row goes after an hour, not before; a file with one stays."""
    await front.photo(wang, jpeg())
    (known,) = front.files()
    orphan = known.with_name("pho_orphan")
    orphan.write_bytes(b"left by a crash")
    await jobs.evidence(front.world)
    assert {known, orphan} == set(front.files())
    for path in (known, orphan):
        os.utime(path, (1, 1))
    await jobs.evidence(front.world)
    assert [known] == front.files()


# erasure ---------------------------------------------------------------------------------------------------------


async def test_nothing_is_left_of_the_erased(front: Front, wang: str, zhao: str, request: Any) -> None:
    """Photos, their digests, what was written: gone from every file; what others have stays."""
    world = front.world
    shared, own = jpeg(seed=b"shared"), jpeg(seed=b"own")
    hashes = [await front.photo(wang, shared), await front.photo(wang, own)]
    theirs = await front.photo(zhao, shared)
    made = await front.report(wang, evidence=hashes, text="王丽家门口的路灯坏了")
    other = await front.report(zhao, evidence=[theirs])
    sealed = [path.read_bytes()[100:140] for path in front.files() if path.parent.name == wang]
    held = [path.open("rb") for path in front.files() if path.parent.name == wang]
    digest = world.photos.digest(hashes[1])
    folders = [world.home, world.home.parent]
    if not world.settings.sqlite:
        cluster = request.getfixturevalue("postgres_server")
        if isinstance(cluster, pg.Cluster):
            folders.append(cluster.home)
    needles = [*sealed, digest]

    def left() -> set[bytes]:
        return found_in([path for folder in folders for path in folder.rglob("*") if path.is_file()], needles)

    if world.settings.sqlite:
        assert set(needles) == left()
    assert await erasure.erase(world, wang, actor="stf_clerk", reason="wish")
    assert set() == left()
    for file in held:
        assert set() == set(file.read()) - {0}
        file.close()
    assert [zhao] == [path.parent.name for path in front.files()]
    assert [(zhao,)] == await world.ledger.fetch("SELECT subject FROM photo")
    shown = await front.done("clerk", "GET", f"/reports/{made['id']}")
    assert ("withdrawn", False) == (shown["state"], "text" in shown)
    assert [] == (await front.done("clerk", "GET", f"/reports/{other['id']}"))["same_photo"]
    for answer in (
        await front.upload("clerk", own, f"?subject={wang}"),
        await front.upload(wang, own),
        await front.call("clerk", "POST", "/reports", {"subject": wang, "occurred_on": DAY, "place": HERE}),
    ):
        assert (410, "subject_erased") == (answer.status_code, answer.json()["code"]), answer.text
    assert 404 == (await front.call("clerk", "GET", f"/evidence/{hashes[1]}")).status_code
    assert 200 == (await front.call(zhao, "GET", f"/evidence/{theirs}")).status_code


async def test_an_upload_in_the_making_is_not_finished(
    front: Front, wang: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is erased while their photo is being written gets none, and no file stays."""
    write = evidence._write  # pyright: ignore[reportPrivateUsage]
    loop = asyncio.get_running_loop()

    def slowly(path: Path, data: bytes) -> None:
        write(path, data)
        asyncio.run_coroutine_threadsafe(
            erasure.erase(front.world, wang, actor="stf_clerk", reason="wish"), loop
        ).result(20)
        write(path, data)  # after its folder was wiped

    monkeypatch.setattr(evidence, "_write", slowly)
    answer = await front.upload(wang, jpeg())
    assert (410, "subject_erased") == (answer.status_code, answer.json()["code"])
    assert [] == front.files() and [(0,)] == await front.world.ledger.fetch("SELECT count(*) FROM photo")


async def test_an_erasure_is_finished_after_a_crash(front: Front, wang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the commit and the files: the job wipes what is left, without being told which files there were."""
    await front.photo(wang, jpeg())

    def crash(_subject: str) -> None:
        raise OSError("no power")

    with monkeypatch.context() as broken:
        broken.setattr(front.world.photos, "forget", crash)
        with pytest.raises(OSError, match="no power"):
            await erasure.erase(front.world, wang, actor="stf_clerk", reason="wish")
    assert 1 == len(front.files())
    assert 1 == await jobs.erasures(front.world)
    assert [] == front.files()


async def test_a_backup_says_nothing_of_photos(front: Front, wang: str) -> None:
    """Their digests go in sealed, come back as they were, and stay away once the person is erased."""
    await front.report(wang, evidence=[await front.photo(wang, jpeg())])
    world = front.world
    veil = Veil(world.people.keystore)
    hidden: dict[str, Any] = {}
    async with snapshot(world.settings.database_url) as source:
        layouts = await source.layouts()
        for table in ("photo", "report_photo"):
            rows = [row async for some in source.rows(layouts[table]) for row in some]
            hidden[table] = veil.hide(layouts[table], rows)
            at = layouts[table].names.index("digest")
            assert 1 == len(rows) and bytes(rows[0][at]) not in hidden[table][0]
            assert [tuple(row) for row in rows] == veil.show(layouts[table], hidden[table])
    await erasure.erase(world, wang, actor="stf_clerk", reason="wish")
    for table in ("photo", "report_photo"):
        assert [] == veil.show(layouts[table], hidden[table])

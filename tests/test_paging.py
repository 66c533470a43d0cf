# SPDX-License-Identifier: Apache-2.0
"""Walks through lists that grow meanwhile, and cursors in the wrong hands."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

from tests.front import DAY, HERE, PROOF, Front, front, prepared, wang, zhao  # noqa: F401 (fixtures)

# ruff: noqa: F811 (a test's arguments are the fixtures)

Insert = Callable[[], Awaitable[Any]]


class Growing:
    """A list of the town: who reads it where, what tells its items apart, and how another comes into it."""

    def __init__(self, front: Front, who: str, path: str, key: Callable[[Any], Any], insert: Insert) -> None:
        self.front, self.who, self.path, self.key, self.insert = front, who, path, key, insert

    async def page(self, limit: int, cursor: str | None) -> tuple[list[Any], str | None]:
        more = f"{'&' if '?' in self.path else '?'}limit={limit}" + (f"&cursor={cursor}" if cursor else "")
        answer = await self.front.done(self.who, "GET", self.path + more)
        assert len(answer["items"]) <= limit
        return [self.key(item) for item in answer["items"]], answer["next"]


def lists(front: Front, wang: str, zhao: str) -> dict[str, Growing]:
    """By name; ids and instants differ because the clock goes on."""
    cases = iter(range(10_000))

    def award(subject: str) -> Insert:
        async def insert() -> None:
            front.now += 1_000
            deed = {"indicator": "RE-03", "occurred_on": DAY, "place": HERE, "evidence": [PROOF], "facts": {}}
            cause = {"source": "12345", "case": f"case {next(cases)}"}
            await front.done("clerk", "POST", "/awards", {**deed, "subject": subject, "cause": cause})

        return insert

    async def report() -> None:
        front.now += 1_000
        await front.report(wang, text=f"第{next(cases)}处井盖坏了")

    async def read() -> None:
        front.now += 1_000
        await front.done("clerk", "GET", f"/subjects/{wang}")

    def id_of(item: Any) -> Any:
        return item["id"]

    return {
        "awards": Growing(front, "clerk", f"/awards?place={HERE}", id_of, award(zhao)),
        "entries": Growing(front, wang, "/me/entries", lambda one: (one["journal"], one["seq"]), award(wang)),
        "reports": Growing(front, "clerk", "/reports?state=open", id_of, report),
        "access": Growing(front, wang, "/audit/access", lambda one: (one["at"], one["reader"], one["what"]), read),
    }


@pytest.mark.parametrize("name", ["awards", "entries", "reports", "access"])
async def test_a_walk_through_a_growing_list(front: Front, wang: str, zhao: str, name: str) -> None:
    """Whatever is added between two pages: nothing comes twice, nothing that was there is missed, the order stays."""
    growing, chance = lists(front, wang, zhao)[name], Random(name)
    for _ in range(5):
        await growing.insert()
    there, _ = await growing.page(200, None)
    assert 5 <= len(there) == len(set(there))
    walked: list[Any] = []
    cursor: str | None = None
    for _ in range(100):
        items, cursor = await growing.page(chance.randint(1, 2), cursor)
        walked += items
        if cursor is None:
            break
        if len(walked) < 4:  # or a list that grows at its end would be walked for ever
            for _ in range(chance.randint(0, 2)):
                await growing.insert()
    assert len(walked) == len(set(walked))
    assert there == [one for one in walked if one in set(there)]


async def test_a_cursor_opens_the_list_that_gave_it_and_no_other(front: Front, wang: str, zhao: str) -> None:
    """Not another list, not the same with another filter, not for anybody else, not when a bit of it has changed."""
    growing = lists(front, wang, zhao)["awards"]
    for _ in range(3):
        await growing.insert()
    _, cursor = await growing.page(1, None)
    assert cursor is not None
    path = f"/awards?place={HERE}&limit=1&cursor={cursor}"
    assert 200 == (await front.call("clerk", "GET", path)).status_code
    same = f"/awards?cursor={cursor}&limit=2&place={HERE}"  # the order of a query says nothing, nor does the size
    assert 200 == (await front.call("clerk", "GET", same)).status_code
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    raw[-3] ^= 1
    forged = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    for who, other in (
        ("clerk", f"/awards?limit=1&cursor={cursor}"),
        ("clerk", f"/awards?place={HERE}&state=posted&cursor={cursor}"),
        ("clerk", f"/award-batches?place={HERE}&cursor={cursor}"),
        ("colleague", path),
        ("clerk", f"/awards?place={HERE}&cursor={forged}"),
        ("clerk", f"/awards?place={HERE}&cursor={cursor[:-1]}"),
        ("clerk", f"/awards?place={HERE}&cursor=WyJhd2RfMSJd"),
    ):
        answer = await front.call(who, "GET", other)
        assert 400 == answer.status_code, other
        assert ["?cursor"] == [one["pointer"] for one in answer.json()["errors"]]

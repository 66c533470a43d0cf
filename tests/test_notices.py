# SPDX-License-Identifier: Apache-2.0
"""People are told what was done in their name: once, by message or on paper, and of points about to lapse."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pytest

from tests.test_desk_http import HERE, NOW, SHEET, STREET, THERE, Front
from tests.test_desk_http import front as front

pytestmark = pytest.mark.schema()

LATER = int(datetime(2023, 11, 20, 2, tzinfo=UTC).timestamp()) * 1_000_000


async def told(front: Front, channel: str, place: str = STREET, who: str = "street") -> list[dict]:
    """Every notice there is now, page after page."""
    found, cursor = [], ""
    for _ in range(20):
        page = (await front.call(who, "GET", f"/notices-out?channel={channel}&place={place}{cursor}")).json()
        found += page["items"]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"
    raise AssertionError("it does not end")


async def awarded(front: Front) -> None:
    stored = await front.upload("clerk", "?approval=ask", SHEET)
    (waiting,) = (await front.call("approver", "GET", "/approvals")).json()["items"]
    path = f"/approvals/{waiting['id']}/approve"
    done = await front.call("approver", "POST", path, {}, If_Match=f'"{waiting["etag"]}"')
    assert (201, 200) == (stored.status_code, done.status_code)


async def test_by_message_and_on_paper_once(front: Front) -> None:
    """Who has a phone gets a message, who has none a slip; what was delivered is not told again, what follows is."""
    await awarded(front)
    messages, slips = await told(front, "sms"), await told(front, "print")
    assert {"王丽", "赵敏"} == {one["name"] for one in messages} and ["李强"] == [one["name"] for one in slips]
    li = next(one for one in messages if one["name"] == "王丽")
    assert ("13900000001", "【兴旺花园社区】王*：") == (li["phone"], li["text"][:11])
    assert "志愿服务时长：信用分 0，兑换积分 +2.5。" in li["text"] and "起始信用分" in li["text"]
    items = [{"subject": one["subject"], **one["mark"]} for one in messages]
    for _ in range(2):
        done = await front.call("street", "POST", "/notices-out/deliveries", {"channel": "sms", "delivered": items})
        assert (200, 2) == (done.status_code, done.json()["delivered"]), done.text
        assert [] == await told(front, "sms") and 1 == len(await told(front, "print"))
    (batch,) = await front.world.ledger.fetch("SELECT id FROM batch")
    back = {"reason": "活动取消", "occurred_on": "2022-04-02"}
    assert 201 == (await front.call("clerk", "POST", f"/award-batches/{batch[0]}/reverse", back)).status_code
    again = await told(front, "sms")
    assert 2 == len(again) and all([e["kind"] for e in one["entries"]] == ["reverse"] for one in again)
    assert "更正“志愿服务时长”" in again[0]["text"]


async def test_a_mark_never_goes_back(front: Front) -> None:
    """An older delivery reported late does not bring told things up again."""
    await awarded(front)
    (one,) = await told(front, "print")
    mark = {"subject": one["subject"], **one["mark"]}
    for seq in (mark["seq"], 0, -1):
        await front.call(
            "street", "POST", "/notices-out/deliveries", {"channel": "print", "delivered": [{**mark, "seq": seq}]}
        )
        assert [] == await told(front, "print")


async def test_nobody_is_told_of_what_is_to_come(front: Front) -> None:
    """A mark set far ahead, or in another journal, does not keep somebody from being told of what follows."""
    await awarded(front)
    found = await told(front, "sms")
    ahead = {"journal": HERE, "seq": 10**12, "warned": "9999-12-31"}
    items = [{"subject": one["subject"], **one["mark"], **ahead} for one in found]
    body = {"channel": "sms", "delivered": items}
    done = await front.call("street", "POST", "/notices-out/deliveries", body)
    assert 200 == done.status_code, done.text
    assert 1 == done.json()["delivered"]  # the other one lives elsewhere
    front.world.ledger.clock = front.world.clock = lambda: LATER
    lapsing = {one["name"]: [lot["expires_on"] for lot in one["lapsing"]] for one in await told(front, "sms")}
    assert ["2023-12-31"] == lapsing["王丽"]
    front.world.ledger.clock = front.world.clock = lambda: NOW
    (batch,) = await front.world.ledger.fetch("SELECT id FROM batch")
    back = {"reason": "活动取消", "occurred_on": "2022-04-02"}
    await front.call("clerk", "POST", f"/award-batches/{batch[0]}/reverse", back)
    assert {"王丽", "赵敏"} == {one["name"] for one in await told(front, "sms")}


async def test_points_about_to_lapse(front: Front) -> None:
    """From 60 days before the last day, once, with amount and day."""
    await awarded(front)
    for channel in ("sms", "print"):
        items = [{"subject": one["subject"], **one["mark"]} for one in await told(front, channel)]
        await front.call("street", "POST", "/notices-out/deliveries", {"channel": channel, "delivered": items})
    front.world.ledger.clock = front.world.clock = lambda: LATER - 30 * 86_400_000_000
    assert [] == await told(front, "print")
    front.world.ledger.clock = front.world.clock = lambda: LATER
    (one,) = await told(front, "print")
    assert [{"expires_on": "2023-12-31", "amount": 400}] == one["lapsing"] and "4 分到 2023-12-31 到期" in one["text"]
    items = [{"subject": one["subject"], **one["mark"]}]
    await front.call("street", "POST", "/notices-out/deliveries", {"channel": "print", "delivered": items})
    assert [] == await told(front, "print")


async def test_as_a_table_and_as_slips(front: Front) -> None:
    """The sender's table has phone and text; the slips are a page with one cut-out each, nothing is loaded."""
    await awarded(front)
    table = await front.call("street", "GET", f"/notices-out?channel=sms&place={HERE}&form=csv")
    rows = list(csv.DictReader(io.StringIO(table.content.decode("utf-8-sig"))))
    assert ["13900000001"] == [row["手机号"] for row in rows] and "王*" in rows[0]["短信内容"]
    slips = await front.call("street", "GET", f"/notices-out?channel=print&place={HERE}&form=slips")
    assert slips.headers["content-type"].startswith("text/html") and "李强" in slips.text
    assert (
        1 == slips.text.count('<section class="told">')
        and "default-src 'none'" in slips.headers["content-security-policy"]
    )
    nothing = await front.call("street", "GET", f"/notices-out?channel=print&place={THERE}&form=slips")
    assert "没有需要告知的内容" in nothing.text


async def test_only_who_has_to_tell(front: Front) -> None:
    """Staff of the place; auditors, other communities and strangers get nothing, and each reading is written down."""
    await awarded(front)
    assert 403 == (await front.call("auditor", "GET", f"/notices-out?channel=sms&place={HERE}")).status_code
    assert 403 == (await front.call("clerk", "GET", f"/notices-out?channel=sms&place={THERE}")).status_code
    assert 401 == (await front.call("nobody", "GET", f"/notices-out?channel=sms&place={HERE}")).status_code
    assert 1 == len(await told(front, "sms", HERE, "clerk"))
    (read,) = await front.world.ledger.fetch("SELECT reader, what FROM access_log WHERE what LIKE 'notice%'")
    assert ("stf_clerk", "notice sms") == tuple(read)
    (other,) = [one for one in await told(front, "sms", THERE) if one["name"] == "赵敏"]
    body = {"channel": "sms", "delivered": [{"subject": other["subject"], **other["mark"]}]}
    assert 403 == (await front.call("clerk", "POST", "/notices-out/deliveries", body)).status_code

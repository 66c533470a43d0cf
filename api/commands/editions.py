# SPDX-License-Identifier: Apache-2.0
"""`jifen lists` and `jifen notice`: editions drafted, told, published and shown, and the month's notice as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from api.commands import DONE, Result, UsageError, acting
from api.editions import assessed, edition_body, line_body, notice_code
from api.lists import naming, notice_page
from api.messages import Lang
from api.permissions import rules
from api.world import World
from ledger import codec
from rules.lists.model import PUBLISHED, Edition

_SAID: dict[Lang, dict[str, str]] = {
    "zh": {
        "draft": "草稿", "frozen": "已冻结", "notified": "已告知", "decided": "等待同意", "published": "已公布",
        "corrected": "已更正为新版", "discarded": "已作废",
        "edition": "{id}  {list}  {period}  {place}  第 {version} 版  {state}", "none": "没有这样的一期",
        "due": "{due} 之后才能公布", "unsure": "（节假日表没有这一年，按周一至周五算）",
        "digest": "摘要 {digest}", "more": "还差 {n} 人同意",
        "line": "  {line}  {state}", "told": "  {day} 送达，{due} 之前可以回应",
        "wrote": "已写入 {file}", "preview": "还没有公布：这是按现在的账簿试算的预览",
    },
    "en": {
        "edition": "{id}  {list}  {period}  {place}  version {version}  {state}", "none": "there is no such edition",
        "due": "not published before the day after {due}", "unsure": " (no table of holidays for that year)",
        "digest": "digest {digest}", "more": "{n} more must agree",
        "line": "  {line}  {state}", "told": "  told on {day}, may answer until {due}",
        "wrote": "written to {file}", "preview": "not published yet: a preview from the ledger as it is now",
    },
}  # fmt: skip


async def draft(world: World, list_: str, period: str, place: str, user: str, lang: Lang) -> Result:
    """A new edition, of which nothing is computed yet."""
    caller = await acting(world, user, rules()["draftEdition"])
    return _told(world, await world.editions.draft(caller.actor, list_, period, place), lang)


async def step(world: World, verb: str, id_: str, user: str, lang: Lang) -> Result:
    """`freeze` or `notify`."""
    caller = await acting(world, user, rules()["freezeEdition" if verb == "freeze" else "notifyEdition"])
    done = world.editions.freeze if verb == "freeze" else world.editions.notify
    return _told(world, await done(caller.actor, id_), lang)


async def publish(world: World, id_: str, user: str, reason: str, lang: Lang) -> Result:
    """One person's yes, and with the last that is needed the edition is published."""
    caller = await acting(world, user, rules()["publishEdition"])
    await assessed(world, await world.editions.get(id_))
    return _told(world, await world.editions.publish(caller.actor, id_, reason), lang)


async def show(world: World, id_: str | None, place: str | None, period: str | None, lang: Lang) -> Result:
    """One edition with its lines, or the newest ones of a place and a period."""
    if id_ is not None:
        found = await world.editions.get(id_)
        lines = await world.editions.lines(id_)
        result = _told(world, found, lang)
        for one in lines:
            result.lines.append(_SAID[lang]["line"].format(line=one.line, state=one.state))
            if one.delivered_on:
                result.lines.append(_SAID[lang]["told"].format(day=one.delivered_on, due=one.due))
        result.data["lines"] = [await line_body(world, one) for one in lines]
        return result
    if place is not None:
        world.register.place(place)
    editions = await world.editions.find(period=period, places=None if place is None else [place])
    said = [_line(world, one, lang) for one in editions]
    return Result(
        lines=said or [_SAID[lang]["none"]], data={"items": [edition_body(one, staff=True) for one in editions]}
    )


async def notice(world: World, period: str, community: str, out: Path, form: str, lang: Lang) -> Result:
    """The published notice as a page; before it is published, a preview that says so."""
    world.register.place(community)
    found = await world.editions.find(kind="notice", period=period, places=[community], states=[PUBLISHED], limit=1)
    if found:
        data = await naming.named(world, found[0].id)
    else:
        code = notice_code(world, period)
        made = await world.editions.preview(code, period, community)
        data = await naming.dressed(world, made.header, codec.decode(made.files["definition.json"]), made.result)
    try:
        out.write_text(notice_page.notice_page(data, lang, form), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{out}: {error.strerror}") from error
    lines = [_SAID[lang]["wrote"].format(file=out)]
    if not found:
        lines.append(_SAID[lang]["preview"])
    return Result(DONE, lines, {"file": str(out), "edition": found[0].id if found else None, "state": data["state"]})


def _told(world: World, one: Edition, lang: Lang) -> Result:
    said, lines = _SAID[lang], [_line(world, one, lang)]
    if one.due and not one.is_public:
        lines.append(said["due"].format(due=one.due) + ("" if one.sure else said["unsure"]))
    if one.state == "decided":
        lines.append(said["more"].format(n=one.approvers - len(one.said_yes)))
    if one.digest:
        lines.append(said["digest"].format(digest=one.digest))
    return Result(DONE, lines, edition_body(one, staff=True))


def _line(world: World, one: Edition, lang: Lang) -> str:
    said = _SAID[lang]
    facts: dict[str, Any] = {"id": one.id, "list": one.list, "period": one.period, "version": one.version}
    return said["edition"].format(**facts, place=world.place_name(one.place), state=said.get(one.state, one.state))

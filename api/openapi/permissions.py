# SPDX-License-Identifier: Apache-2.0
"""`python -m api.openapi.permissions`: docs/reference/permissions.md from the table, in both languages. With
`--check` it only says whether the page is what the table makes of it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from api.permissions import ANY_ACCOUNT, Rule, commands, rules

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "permissions.md"

ROLES = {
    "grid_worker": "网格员",
    "community_staff": "社区工作人员",
    "approver": "审批人",
    "street_staff": "街道工作人员",
    "county_admin": "县级管理员",
    "auditor": "审计员",
    "council": "社区信用议事会",
    ANY_ACCOUNT: "任何岗位",
}
KEYS = {"client": "接口客户端", "merchant": "商户终端"}
OWN = {"resident": "居民本人", "body": "单位本身"}
PLACES = {
    "": ("—", "—"),
    "deed": ("事发地", "the place of the deed"),
    "home": ("本人所在网格或社区", "where the person or body lives"),
    "shop": ("商户所在地", "where the shop is"),
    "list": ("榜单所属地", "the list's place"),
    "office": ("账号、密钥所管的地方", "the place that the account or key is for"),
}

_HEAD = """# 权限表 · Who may do what

<!-- Made by `python -m api.openapi.permissions` from api/permissions.toml; edit that, not this. -->

每一行是一项操作：谁可以办、要带什么授权范围、岗位要管到哪里。岗位在所管的地方和它下面的各级都有效。🔑 表示工作人员须在
15 分钟内验证过身份。`耗` 是限流时折算的次数。说明见 [permissions.md](../permissions.md)。

Each row is one operation: who may, what scope a staff session or a key must carry (any one of those named), and what
the role must cover; a role counts at its place and everywhere below. 🔑: staff must have proven who they are within a
quarter of an hour. `耗` is what a call costs of the rate limit. [permissions.md](../permissions.md) explains.

"""
_COLUMNS = ("操作 Operation", "谁 Who", "授权范围 Scope", "地方 Place", "耗")


def page(document: Mapping[str, Any]) -> str:
    """The page, with the operations by path under the tags of the OpenAPI document."""
    groups: dict[str, list[str]] = {tag["name"]: [] for tag in document["tags"]}
    for path, operations in sorted(document["paths"].items()):
        for method, one in sorted(operations.items()):
            rule = rules()[one["operationId"]]
            groups[one["tags"][0]].append(_row(f"`{method.upper()} {path}`<br>{rule.operation}", rule))
    parts = [_HEAD, _legend()]
    for tag in document["tags"]:
        if groups[tag["name"]]:
            parts.append(_table(tag["description"], groups[tag["name"]]))
    parts.append(
        _table("命令行 · Only on the command line", [_row(f"`{name}`", one) for name, one in commands().items()])
    )
    return "\n".join(parts)


def _legend() -> str:
    said = [(f"`{name}`", chinese) for name, chinese in (*ROLES.items(), *KEYS.items(), *OWN.items())]
    lines = "".join(f"| {name} | {chinese} |\n" for name, chinese in said)
    return f"## 岗位与身份 · Roles and callers\n\n| | |\n|---|---|\n{lines}"


def _table(title: str, rows: Iterable[str]) -> str:
    rule = "|".join("---" for _ in _COLUMNS)
    return f"## {title}\n\n| {' | '.join(_COLUMNS)} |\n|{rule}|\n" + "".join(rows)


def _row(name: str, rule: Rule) -> str:
    who = ["任何人 anybody"] if rule.public else []
    for named, held in ((ROLES, rule.staff), (KEYS, rule.keys), (OWN, rule.own)):
        who += [f"{chinese} `{one}`" for one, chinese in named.items() if one in held]
    zh, en = PLACES[rule.place]
    place = zh if zh == en else f"{zh}<br>{en}"
    scope = " ".join(f"`{one}`" for one in sorted(rule.scopes)) or "—"
    return f"| {name}{' 🔑' if rule.step_up else ''} | {'、'.join(who)} | {scope} | {place} | {rule.cost} |\n"


def _document() -> Mapping[str, Any]:
    from api.app import create_app
    from api.settings import Settings

    return create_app(Settings("sqlite:///:memory:", Path())).openapi_schema.to_schema()


if __name__ == "__main__":
    made = page(_document())
    if "--check" not in sys.argv:
        PAGE.write_text(made, encoding="utf-8")
    sys.exit(PAGE.read_text(encoding="utf-8") != made)

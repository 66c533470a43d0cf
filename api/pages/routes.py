# SPDX-License-Identifier: Apache-2.0
"""The front page, the interface's documentation and the files they need."""

import asyncio
import html
from pathlib import Path
from typing import Annotated, Any, Literal

from litestar import Litestar, Request, Response, get
from litestar.params import Parameter
from litestar.static_files import create_static_files_router

import ledger
from api import messages, packs
from api.lists import frame, index_page, naming
from api.pages.page import CSP, filled
from api.world import World
from rules.engine.explain import amount
from rules.engine.list_wording import list_statement
from rules.engine.model import Pack
from rules.engine.terms import Name
from rules.engine.wording import statement

VERIFIER = Path(ledger.__file__).parent / "verifier.py"
_HERE = Path(__file__).parent
_PUBLIC = {"public": True}
# Swagger UI sets styles from its script and draws its icons from data: addresses.
_CSP_DOCS = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'"
)


def _page(name: str, csp: str, **values: str) -> Response[bytes]:
    body = filled(name, **values)
    headers = {"Content-Security-Policy": csp, "Cache-Control": "no-cache"}
    return Response(body, media_type="text/html", headers=headers)


@get("/", opt=_PUBLIC, include_in_schema=False)
async def front(world: World) -> Response[bytes]:
    """What this is, how far the books have come, and where to go."""
    rows: list[str] = []
    for one in await world.ledger.journals():
        at = one["recorded_at"][:19].replace("T", " ")
        name, code = html.escape(world.place_name(one["journal"])), html.escape(one["journal"])
        rows.append(
            f'<tr><td><a href="/lists?community={code}">{name}</a></td>'
            f"<td class=code>{code}</td><td class=number>{one['size']:,}</td>"
            f"<td class=code>{one['leaf'][:16]}</td><td class=code>{at}</td></tr>"
        )
    empty = '<tr><td colspan="5">还没有账簿 · No journal yet</td></tr>'
    return _page("front.html", CSP, journals="\n".join(rows) or empty)


@get("/packs", opt=_PUBLIC, include_in_schema=False)
async def rules(world: World) -> Response[bytes]:
    """The rules on notice: what is coming and what it changes, what is in force, what was before."""
    items = await packs.listing(world)
    told = [_pack(item) + (_catalogue(world.pack) if item["state"] == "in_force" else "") for item in reversed(items)]
    return _page("packs.html", CSP, packs="\n".join(told))


def _catalogue(pack: Pack) -> str:
    """Every rule in force in words, by group: what hangs on the wall is made from what runs."""
    bands = "，".join(f"{band.code} {band.name.zh} ≥ {amount(band.min)} 分" for band in pack.bands)
    lines = [f"<section><h2>等级 <span lang=en>Grades</span></h2><p>{html.escape(bands)}</p></section>"]
    for group in pack.groups.values():
        lines.append(f"<section><h2>{group.code} {html.escape(group.name.zh)} ")
        lines.append(f'<span lang="en">{html.escape(group.name.en)}</span></h2><dl class="rules">')
        for one in pack.indicators.values():
            if one.group == group.code:
                lines.append(_said(one.code, one.name, statement(pack, one, "zh")))
        lines.append("</dl></section>")
    if pack.lists:
        lines.append('<section><h2>榜单 <span lang="en">Lists</span></h2><dl class="rules">')
        lines += [_said(one.code, one.name, list_statement(pack, one, "zh")) for one in pack.lists.values()]
        lines.append("</dl></section>")
    return "\n".join(lines)


def _said(code: str, name: Name, sentences: list[str]) -> str:
    said = "".join(f"<li>{html.escape(line)}</li>" for line in sentences)
    called = f'{html.escape(name.zh)} <span lang="en">{html.escape(name.en)}</span>'
    return f'<dt><span class="code">{code}</span> {called}</dt><dd><ul>{said}</ul></dd>'


_PACK_STATES = {"in_force": "现行 · in force", "coming": "公示中 · on notice", "past": "已被替代 · replaced"}
_CHANGES = {"added": "新增 · new", "removed": "取消 · gone", "changed": "调整 · changed"}


def _pack(item: dict[str, Any]) -> str:
    """One pack as a section; every word of it comes from a file that people wrote, so every word is escaped."""
    day = item["effective_from"]
    when = f"{day} 起适用 · from {day}"
    if item["state"] == "coming":
        when += f"，还有 {item['days_left']} 天 · in {item['days_left']} days"
    adopted = "，".join(filter(None, [item["adoption"]["body"], item["adoption"]["adopted_on"]]))
    lines = [
        f"<section><h2>{html.escape(item['name']['zh'])} {html.escape(item['version'])}</h2>",
        f"<p>{_PACK_STATES[item['state']]} · {html.escape(when)}</p>",
        f"<p>{html.escape(item['name']['en'])}</p>",
        f"<p>{html.escape(adopted)}</p>",
        f'<p class="code">{item["hash"]}</p>',
    ]
    if item["changes"]:
        lines.append("<ul>")
        for change in item["changes"]:
            head = " ".join(filter(None, [change["code"], change["name"]["zh"], "·", change["name"]["en"]]))
            told = [f"<li>{_CHANGES[change['kind']]}: {html.escape(head)}"]
            for lang in ("zh", "en"):
                told += [f'<br><span lang="{lang}">{html.escape(one)}</span>' for one in change["details"][lang]]
            lines.append("".join(told) + "</li>")
        lines.append("</ul>")
    return "\n".join([*lines, "</section>"])


@get("/lists", opt=_PUBLIC, include_in_schema=False)
async def lists(
    request: Request,
    world: World,
    community: Annotated[str | None, Parameter(max_length=40)] = None,
    lang: Literal["zh", "en"] | None = None,
) -> Response[bytes]:
    """What has been published: the newest of each place, or everything of one."""
    data = await naming.index(world, community)
    said = lang or messages.language(request.headers.get("accept-language", ""))
    body = index_page.index_page(data, said).encode()
    return Response(body, media_type="text/html", headers=frame.headers("index"))


@get("/docs", opt=_PUBLIC, include_in_schema=False)
async def docs() -> Response[bytes]:
    """The interface, to read and to try."""
    return _page("docs.html", _CSP_DOCS)


@get("/openapi.json", opt=_PUBLIC, include_in_schema=False)
async def openapi(request: Request) -> Response[bytes]:
    """The interface as OpenAPI 3.1."""
    # A second of work for whoever asks first, so beside the requests that are being answered.
    return Response(await asyncio.to_thread(served, request.app), media_type="application/json")


def served(app: Litestar) -> bytes:
    """The document of this application, made once."""
    from api.openapi import document, rendered  # most of pydantic, which no other request needs

    if "openapi_json" not in app.state:
        app.state["openapi_json"] = rendered(document(app))
    return app.state["openapi_json"]


@get("/verify.py", opt=_PUBLIC, include_in_schema=False)
async def verifier() -> Response[bytes]:
    """The verifier that every export carries: one file that needs nothing of ours."""
    headers = {"Content-Disposition": 'attachment; filename="verify.py"'}
    return Response(VERIFIER.read_bytes(), media_type="text/x-python", headers=headers)


@get("/problems/{code:str}", opt=_PUBLIC, include_in_schema=False)
async def problem(request: Request, code: str) -> Response[bytes]:
    """What a problem's `type` points at: the code explained, without the facts of any one case."""
    lang = messages.language(request.headers.get("accept-language", ""))
    if code not in messages.sentences(lang):
        code = "not_found"
    title, detail, fix = (html.escape(messages.sentence(code, part, lang, {})) for part in ("title", "detail", "fix"))
    return _page("problem.html", CSP, lang=lang, code=code, title=title, detail=detail, fix=fix)


static = create_static_files_router(
    path="/static", directories=[_HERE / "static"], opt=_PUBLIC, include_in_schema=False, name="static"
)

routes = [front, rules, lists, docs, openapi, verifier, problem, static]

# SPDX-License-Identifier: Apache-2.0
"""The composition root of the server: which handlers hang where, and what every request passes through.

Importing it does nothing. `create_app` builds an application around a world; `factory` is what server processes call,
once each, after they have been started.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from litestar import Litestar, Router
from litestar.config.app import AppConfig
from litestar.di import Provide
from litestar.enums import HttpMethod
from litestar.exceptions import LitestarDeprecationWarning
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Tag
from litestar.plugins.pydantic import PydanticPlugin, PydanticSchemaPlugin
from litestar.routes import HTTPRoute

from api import jobs, permissions, problems
from api import settings as configuration
from api.auth import authenticated, calling
from api.http import (
    account_statements,
    agreements,
    anomalies,
    approvals,
    assessments,
    audit,
    awards,
    batches,
    bodies,
    budgets,
    calendars,
    charges,
    confirmers,
    day_sheets,
    edition_office,
    editions,
    entries,
    events,
    evidence,
    fairness,
    health,
    indicators,
    journals,
    keys,
    merchants,
    my_editions,
    notices,
    notices_out,
    objections,
    offers,
    oidc,
    people,
    places,
    proxies,
    public_keys,
    rankings,
    redemptions,
    reports,
    scenarios,
    second_factor,
    sessions,
    settlements,
    staff,
    subjects,
    tokens,
    vouchers,
    webhooks,
    witness,
)
from api.http.body import BYTES_MAX, StrictRequest, is_model, validate
from api.http.idempotency import maybe_retry_of, retry_of
from api.pages import routes as page_routes
from api.pages.routes import served
from api.server import headers
from api.server.bounds import BoundedHttp
from api.server.cors import Cors
from api.server.deadline import Deadline
from api.server.starting import open_when_there
from api.server.stopping import Stopping
from api.server.watching import Watching
from api.settings import Settings, software_version
from api.world import NotReady, World

log = logging.getLogger("jifen.server")

RESOURCES: list[Any] = [
    settlements,
    health,
    journals,
    witness,
    entries,
    sessions,
    oidc,
    staff,
    second_factor,
    keys,
    public_keys,
    places,
    people,
    proxies,
    bodies,
    confirmers,
    subjects,
    notices_out,
    account_statements,
    audit,
    indicators,
    awards,
    batches,
    approvals,
    anomalies,
    reports,
    evidence,
    confirmers,
    objections,
    editions,
    edition_office,
    my_editions,
    rankings,
    notices,
    scenarios,
    merchants,
    agreements,
    offers,
    calendars,
    budgets,
    redemptions,
    day_sheets,
    tokens,
    charges,
    vouchers,
    assessments,
    fairness,
    webhooks,
    events,
]

_TAGS = {
    "sessions": "登录 · Signing in: staff with a password, residents and bodies with a printed code",
    "me": "我的 · What residents and bodies see of themselves",
    "subjects": "对象 · Records, balances and entries",
    "entries": "分录 · Single entries and what they mean",
    "journals": "账簿 · The journals, one per community",
    "witness": "见证 · Witnessing other deployments' logs",
    "awards": "积分发放 · Awards, batches, approvals",
    "reports": "随手拍与证据 · Reported deeds, photos, who may confirm",
    "objections": "异议 · Objections and the decisions on them",
    "people": "居民 · People and bodies",
    "lists": "榜单与公示 · Rankings, red and grey lists, honours, the monthly notice",
    "rules": "规则 · Groups, indicators, packs, places",
    "merchants": "商户 · Merchants, offers, scenarios",
    "settlement": "结算 · What shops are owed: statements, disputes, payment",
    "redemptions": "兑换 · Redemptions at the till",
    "vouchers": "兑换券 · Vouchers for shops without a network",
    "assessments": "影响评估与公平 · Impact assessments, and whom the points reach",
    "staff": "工作人员 · Staff accounts",
    "keys": "密钥 · Keys for machines",
    "webhooks": "事件通知 · Webhooks: being told what was committed",
    "operation": "运行 · Health and status",
}


# Litestar resolves dependencies that stand side by side in tasks of their own, at some 40 µs each. So each of ours
# names the one before it and they are resolved one after the other: world, caller, retry.


def _spare_the_collector() -> None:
    """Python's cycle collector walks all that is alive every few hundred allocations; what a server holds on to (its
    code, packs, cached rows) never becomes garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _provide_world(scope: Any) -> Any:
    return scope["litestar_app"].state.world


def _provide_caller(world: Any, scope: Any) -> Any:
    return calling(scope)


async def _provide_retry(caller: Any, request: Any) -> Any:
    return await retry_of(request, caller)


async def _provide_maybe_retry(caller: Any, request: Any) -> Any:
    return await maybe_retry_of(request, caller)


class StrictModels(PydanticPlugin):
    """Litestar's pydantic plugin, except that bodies become models by our reading of them."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        app_config.plugins.append(PydanticSchemaPlugin(prefer_alias=True))
        app_config.type_decoders = [(is_model, validate), *(app_config.type_decoders or [])]
        return app_config


def create_app(settings: Settings, world: World | None = None, *, background: bool = False) -> Litestar:
    """The application. Without a `world` it opens one of its own at start and closes it at the end; `background`
    makes it a server process: it waits for its database, runs the jobs, writes lines, counts, and stops gently."""
    given = world
    watching = Watching(settings) if background else Watching()

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        own = given or World(settings)
        if background:
            Stopping(own.stopping, lambda: BoundedHttp.open)
            BoundedHttp.trusted = settings.trusted_proxies
        if given is None:
            try:
                await open_when_there(own)
            except NotReady as error:
                log.error("cannot start: %s", error)
                raise
        app.state.world = own
        task = None
        if background:
            watching.follow(own)
            _spare_the_collector()
            task = asyncio.create_task(jobs.loop(own))
        try:
            yield
        finally:
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            if given is None:
                await own.close()
            watching.close()

    with warnings.catch_warnings():
        # Litestar 2 announces how 3 will want parameters written; we stay below 3 (docs/dependencies.md).
        warnings.simplefilter("ignore", LitestarDeprecationWarning)
        app = Litestar(
            route_handlers=[
                health.health,
                health.ready,
                Router("/v1", route_handlers=[route for part in RESOURCES for route in part.routes]),
                *page_routes,
            ],
            before_request=authenticated,  # a guard would copy its handler for every request
            dependencies={
                "world": Provide(_provide_world, sync_to_thread=False),
                "caller": Provide(_provide_caller, sync_to_thread=False),
                "retry": Provide(_provide_retry),
                "maybe_retry": Provide(_provide_maybe_retry),
            },
            exception_handlers=problems.HANDLERS,
            request_class=StrictRequest,
            request_max_body_size=BYTES_MAX,
            plugins=[StrictModels()],
            before_send=[headers.hook(hsts=settings.hsts)],
            lifespan=[lifespan],
            openapi_config=_openapi(),
            logging_config=None,
            debug=False,
        )
    permissions.bind(
        handler
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        if getattr(handler, "operation_id", None)
    )
    _allow_all(app)
    if given is not None:
        app.state.world = given
    app.asgi_handler = Deadline(app.asgi_handler)
    if settings.cors_origins:
        app.asgi_handler = Cors(app.asgi_handler, settings.cors_origins)
    app.asgi_handler = watching.around(app.asgi_handler)
    return app


def _allow_all(app: Litestar) -> None:
    """Litestar's answer to OPTIONS allows the methods that a path had when the first of its handlers was registered;
    ours come one by one."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                if HttpMethod.OPTIONS in handler.http_methods:
                    inspect.getclosurevars(handler.fn).nonlocals["self"].methods = route.methods


class _Finished(JsonRenderPlugin):
    """Litestar's own address of the document answers with ours."""

    def render(self, request: Any, openapi_schema: dict[str, Any]) -> bytes:
        return served(request.app)


def _openapi() -> OpenAPIConfig:
    bearer = SecurityScheme(
        type="http",
        scheme="bearer",
        description="A session token `jt_…` (staff, residents, bodies) or a key `jk_…` (tills, clients). Requests of "
        "keys that sign (RFC 9421) carry Signature-Input, Signature and Content-Digest as well: docs/signatures.md.",
    )
    return OpenAPIConfig(
        title="积分 Jifen",
        version=software_version(),
        description=(
            "社区信用积分：公开的规则、任何人都能核对的账簿、商户柜台。\n\n"
            "Points and standing are integers in hundredths of 分; money is integer fen. Instants are RFC 3339 in UTC; "
            "days are those of the community's zone. Every POST that moves points takes an `Idempotency-Key`. Refusals "
            "are `application/problem+json` with a stable `code`. Answers may gain members: ignore what you do not "
            "know. `x-permission` says who may call an operation, and at which place. Every answer has `X-Request-Id`, "
            "and all but the free ones `RateLimit-Policy` and `RateLimit`.\n\n"
            "分值为百分之一分的整数，金额为分（人民币）的整数；动用积分的 POST 都要带 `Idempotency-Key`；"
            "拒绝的原因见稳定的 `code`；回应里可能增加新的成员，不认识的请忽略。"
        ),
        components=[Components(security_schemes={"bearer": bearer})],
        security=[{"bearer": []}],
        tags=[Tag(name=name, description=said) for name, said in _TAGS.items()],
        use_handler_docstrings=True,
        path="/openapi",
        render_plugins=[_Finished()],
        openapi_router=Router("/openapi", route_handlers=[], opt={"public": True}, include_in_schema=False),
    )


def factory() -> Litestar:
    """What each server process calls. The settings are the process's own environment."""
    return create_app(configuration.read(), background=True)

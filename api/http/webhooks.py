# SPDX-License-Identifier: Apache-2.0
"""Webhooks: who is told when something is committed, and how that is going (docs/webhooks.md)."""

from typing import Annotated, Literal, NotRequired

import orjson
from litestar import Response, delete, get, patch, post
from pydantic import Field

from api.auth import Caller
from api.http.answers import TypedDict, answers
from api.http.body import Nothing, invalid
from api.http.merchants import IfMatch, Strict, version_in
from api.http.reply import Cursor, Limit, key_of, page, reply
from api.http.shapes import Instant, Page, PlaceCode, Seq
from api.webhooks import events
from api.webhooks.addresses import URL_MAX, parse
from api.webhooks.delivery import post as send
from api.webhooks.endpoints import STAFF, Endpoint
from api.world import World
from ledger.view import rfc3339

TAGS = ["webhooks"]
_PRIVATE = {"Cache-Control": "no-store"}

Url = Annotated[str, Field(min_length=1, max_length=URL_MAX)]
Events = Annotated[
    list[Annotated[str, Field(pattern=r"^entry\.(\*|[a-z]{1,20})$")]], Field(min_length=1, max_length=30)
]


class NewWebhook(Strict):
    """Where to send, and what. A shop's key is told of the shop's own entries and names no `place`; anybody else names
    one, and is told of the communities there."""

    url: Url
    events: Events
    place: Annotated[str, Field(min_length=1, max_length=40)] | None = None


class WebhookChange(Strict):
    """What is left out stays. `active` also takes up again what was disabled, and makes it the caller's."""

    url: Url | None = None
    events: Events | None = None
    state: Literal["active", "paused"] | None = None


class ReplayFrom(Strict):
    """The entry to go on from."""

    journal: Annotated[str, Field(min_length=1, max_length=40)]
    seq: Annotated[int, Field(ge=0, le=2**53 - 1)]


class WebhookBody(TypedDict):
    """An endpoint. `reason`: why it was disabled: `gone` (it answered 410), `failing` (for days), `owner_ended` (the
    account or key that answers for it may no longer). `public_key` checks signatures `v1a`."""

    id: str
    url: str
    events: list[str]
    merchant: str | None
    place: PlaceCode | None
    owner: str
    state: Literal["active", "paused", "disabled"]
    reason: Literal["gone", "failing", "owner_ended"] | None
    public_key: Annotated[str, Field(pattern="^whpk_")]
    created_at: Instant


class WebhookSecret(WebhookBody):
    """The same with the secret that checks signatures `v1`, which is shown this once. `former_until`: until when the
    secret before it signs as well."""

    secret: Annotated[str, Field(pattern="^whsec_")]
    former_until: Instant | None


class WebhookTry(TypedDict):
    """One try to deliver one event. `attempt` counts from 1; `status` is the receiver's, null where there was none."""

    id: str
    journal: str
    seq: Seq
    type: str
    attempt: int
    at: Instant
    outcome: Literal[
        "delivered", "gone", "redirected", "refused", "timed_out", "no_connection", "bad_tls", "not_http",
        "no_public_address",
    ]  # fmt: skip
    status: int | None
    ms: int


class TestTry(TypedDict):
    """How the receiver took a message of type `webhook.test`."""

    outcome: str
    status: int | None
    ms: int


class WebhookEventData(TypedDict):
    """The entry that was committed. `id`: the award, redemption or edition that it is about."""

    journal: str
    seq: Seq
    kind: str
    id: NotRequired[str]


class WebhookEvent(TypedDict):
    """The body of a message. `timestamp` is when the entry was recorded."""

    type: str
    timestamp: Instant
    data: WebhookEventData


@post(
    "/webhooks",
    tags=TAGS,
    summary="Be told",
    operation_id="createWebhook",
    responses={201: answers(WebhookSecret, etag=True)},
)
async def create(world: World, caller: Caller, data: NewWebhook) -> Response[bytes]:
    """Of what is committed from now on. The secret is shown in this answer and never again."""
    merchant = caller.merchant or ""
    if bool(merchant) == (data.place is not None):
        code = "field_unknown" if merchant else "field_missing"
        raise invalid([{"pointer": "/place", "code": code}])
    place = (await world.shop.offers.merchant(merchant)).community if merchant else data.place or ""
    world.register.place(place)
    made = await world.webhooks.create(caller, data.url, data.events, merchant, place)
    return reply(201, _with_secret(world, made), headers=_headers(made))


@get(
    "/webhooks",
    tags=TAGS,
    summary="Endpoints",
    operation_id="listWebhooks",
    responses={200: answers(Page[WebhookBody])},
)
async def listing(world: World, caller: Caller, limit: Limit = 50, cursor: Cursor = None) -> Response[bytes]:
    """A shop's key lists the shop's, a client's key its own, staff those of the places they administer."""
    after = (key_of(cursor, str) or ("",))[0]
    rows, following = page(await world.webhooks.listed(caller, after, limit + 1), limit, lambda one: (one.id,))
    items = [_shown(world, one, caller) for one in rows]
    return reply(200, {"items": items, "next": following}, headers=_PRIVATE)


@get(
    "/webhooks/{webhook:str}",
    tags=TAGS,
    summary="One endpoint",
    operation_id="getWebhook",
    responses={200: answers(WebhookBody, etag=True)},
)
async def one(world: World, caller: Caller, webhook: str) -> Response[bytes]:
    """Never its secret."""
    found = await world.webhooks.get(caller, webhook)
    return reply(200, _shown(world, found, caller), headers=_headers(found))


@patch(
    "/webhooks/{webhook:str}",
    tags=TAGS,
    summary="Change an endpoint",
    operation_id="changeWebhook",
    responses={200: answers(WebhookBody, etag=True)},
)
async def change(
    world: World, caller: Caller, webhook: str, data: WebhookChange, if_match: IfMatch = None
) -> Response[bytes]:
    """Another address, other events; pause it, or switch it on again: then it is the caller's from now on, and what
    waited meanwhile is sent. Staff may pause a machine's endpoint and no more."""
    found = await world.webhooks.get(caller, webhook)
    if data.state != "paused" or data.url is not None or data.events is not None:
        found = await world.webhooks.mine(caller, webhook)
    changed = await world.webhooks.change(
        caller, found, version_in(if_match), url=data.url, wanted=data.events, state=data.state
    )
    return reply(200, _shown(world, changed, caller), headers=_headers(changed))


@delete(
    "/webhooks/{webhook:str}", status_code=204, tags=TAGS, summary="Remove an endpoint", operation_id="deleteWebhook"
)
async def remove(world: World, caller: Caller, webhook: str, if_match: IfMatch = None) -> None:
    """What is on its way may still arrive."""
    await world.webhooks.remove(await world.webhooks.get(caller, webhook), version_in(if_match))


@post(
    "/webhooks/{webhook:str}/rotate",
    status_code=200,
    tags=TAGS,
    summary="New secrets",
    operation_id="rotateWebhook",
    responses={200: answers(WebhookSecret, etag=True)},
)
async def rotate(world: World, caller: Caller, webhook: str, data: Nothing | None = None) -> Response[bytes]:
    """A new secret and a new Ed25519 key. For 24 hours messages carry signatures of both the new and the former ones;
    where a secret has leaked, rotate twice."""
    made = await world.webhooks.rotate(await world.webhooks.mine(caller, webhook))
    return reply(200, _with_secret(world, made), headers=_headers(made))


@post(
    "/webhooks/{webhook:str}/replay",
    status_code=200,
    tags=TAGS,
    summary="Send again from an entry",
    operation_id="replayWebhook",
    responses={200: answers(WebhookBody, etag=True)},
)
async def replay(world: World, caller: Caller, webhook: str, data: ReplayFrom) -> Response[bytes]:
    """Everything from this entry of this journal on, in order, with the ids that it had before. It also goes forward:
    past an event that the receiver cannot take."""
    found = await world.webhooks.mine(caller, webhook)
    changed = await world.webhooks.replay(found, data.journal, data.seq)
    return reply(200, _shown(world, changed, caller), headers=_headers(changed))


@post(
    "/webhooks/{webhook:str}/test",
    status_code=200,
    tags=TAGS,
    summary="Send a test message",
    operation_id="testWebhook",
    responses={200: answers(TestTry)},
)
async def test(world: World, caller: Caller, webhook: str, data: Nothing | None = None) -> Response[bytes]:
    """One message of type `webhook.test`, now, whatever the endpoint's state; how it was taken is the answer."""
    found = await world.webhooks.mine(caller, webhook)
    stamp = rfc3339(world.ledger.clock())
    body = orjson.dumps({"type": "webhook.test", "timestamp": stamp, "data": {"webhook": found.id}})
    sent = await send(world.webhooks, found, world.ledger.secret_id("evt"), body)
    return reply(200, {"outcome": sent.outcome, "status": sent.status or None, "ms": sent.ms}, headers=_PRIVATE)


@get(
    "/webhooks/{webhook:str}/deliveries",
    tags=TAGS,
    summary="What was tried",
    operation_id="listWebhookDeliveries",
    responses={200: answers(Page[WebhookTry])},
)
async def deliveries(
    world: World, caller: Caller, webhook: str, limit: Limit = 50, cursor: Cursor = None
) -> Response[bytes]:
    """The tries of the last seven days, newest first."""
    found = await world.webhooks.get(caller, webhook)
    before = (key_of(cursor, str) or ("~",))[0]
    rows = await world.ledger.fetch(
        "SELECT id, journal, seq, kind, tries, at, outcome, status, ms FROM webhook_try "
        "WHERE webhook = ? AND id < ? ORDER BY id DESC LIMIT ?",
        found.id,
        before,
        limit + 1,
    )
    shown, following = page(rows, limit, lambda row: (row[0],))
    return reply(200, {"items": [_try(row) for row in shown], "next": following}, headers=_PRIVATE)


def _try(row: tuple[str, str, int, str, int, int, str, int, int]) -> WebhookTry:
    id_, journal, seq, kind, tries, at, outcome, status, ms = row
    return {
        "id": id_,
        "journal": journal,
        "seq": seq,
        "type": events.PREFIX + kind,
        "attempt": tries,
        "at": rfc3339(at),
        "outcome": outcome,  # type: ignore[typeddict-item]
        "status": status or None,
        "ms": ms,
    }


def _shown(world: World, endpoint: Endpoint, to: Caller | None) -> WebhookBody:
    """`to` staff a machine's address is shown without its path: who knows the whole of it can often send there, too."""
    url = world.webhooks.url(endpoint)
    if to is not None and to.kind == "staff" and not endpoint.owner.startswith(STAFF):
        url = f"{url.partition(':')[0]}://{parse(url, private=True).authority}/"
    return {
        "id": endpoint.id,
        "url": url,
        "events": orjson.loads(endpoint.events),
        "merchant": endpoint.merchant or None,
        "place": None if endpoint.merchant else endpoint.place,
        "owner": endpoint.owner,
        "state": endpoint.state,  # type: ignore[typeddict-item]
        "reason": endpoint.reason or None,  # type: ignore[typeddict-item]
        "public_key": world.webhooks.secrets(endpoint)[0].public_key,
        "created_at": rfc3339(endpoint.created_at),
    }


def _with_secret(world: World, endpoint: Endpoint) -> WebhookSecret:
    secrets = world.webhooks.secrets(endpoint)
    return {
        **_shown(world, endpoint, None),
        "secret": secrets[0].secret,
        "former_until": rfc3339(endpoint.former_until) if len(secrets) > 1 else None,
    }


def _headers(endpoint: Endpoint) -> dict[str, str]:
    return {**_PRIVATE, "ETag": f'"{endpoint.version}"'}


routes = [create, listing, one, change, remove, rotate, replay, test, deliveries]

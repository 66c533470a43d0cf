# SPDX-License-Identifier: Apache-2.0
"""A demo town with a caller of every kind at every place, a request for every operation that would be granted to
somebody, and a ledger that decides each of them and keeps nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import httpx
from argon2 import PasswordHasher

from api import jobs
from api.auth import KEY_SCOPES, ROLE_SCOPES, token_hash
from api.counting import Counting
from api.permissions import OWNERS, Rule
from api.staff import Try
from api.tables import ACCESS
from api.world import World
from ledger.errors import Refusal, Unavailable
from ledger.port import Answer, Command, PutRows
from ledger.tables import Key, Table
from ledger.view import View
from merchants.model import Asker
from rules.ports import APPROVING
from tests.photos import jpeg
from tests.test_bad_input import PASSWORD, Operation, Town, encoded, sample

HOME, SIBLING, STREET, COUNTY = "370321001001", "370321001002", "370321001", "370321"
AWAY, AWAY_STREET, ELSEWHERE = "370321002002", "370321002", "370399"
SCREEN_AT = "370321001003"
REHEARSED = "queue_full"  # what the rehearsing ledger says where a decision was a yes
MINUTE_US = 60_000_000
ALWAYS = ("2020-01-01", None)


# callers -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Somebody:
    """Who asks. `whose`: the subject or the shop; `dead`: the token is good for nothing."""

    name: str
    kind: str = "nobody"
    token: str = ""
    id: str = ""
    roles: tuple[tuple[str, str], ...] = ()
    scopes: frozenset[str] = frozenset()
    whose: str = ""
    dead: bool = False
    stale: bool = False

    def __str__(self) -> str:
        return self.name


def covers(upper: str, lower: str) -> bool:
    return lower == upper or (lower.startswith(upper) and upper != ELSEWHERE)


# requests ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """One request. `at`: the place that a role must cover ("": any), where it is not what the row says of it; `owners`:
    the subjects and shops whose it is, where that is not whoever asks; `roles`: those that may do this, where the row
    also has some that may do it with something of their own; `by`: staff who may because it is theirs; `scope`: what
    others must carry beside what the row says; `closed`: kinds of callers to whom this one is not open; `sent_by`: the
    kinds that it is sent as, if not all. `path` and `body` may be made for whoever asks; without a body, a sample
    from the document."""

    path: dict[str, str] | Callable[[Somebody], dict[str, str]] = field(default_factory=dict[str, str])
    query: str = ""
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    at: str | None = None
    owners: frozenset[str] | None = None
    roles: frozenset[str] | None = None
    by: str = ""
    scope: str = ""
    closed: frozenset[str] = frozenset()
    sent_by: frozenset[str] = frozenset()


# the ledger --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rehearsal:
    """A command that is decided as it would be, in a transaction of its own, and then undone."""

    command: Command
    retry: None = None

    @property
    def journals(self) -> Any:
        return self.command.journals

    @property
    def weight(self) -> int:
        return self.command.weight

    def reads(self) -> Iterable[tuple[Table, Key]]:
        return self.command.reads()

    def decide(self, view: View) -> Answer:
        try:
            self.command.decide(view)
        except Refusal as refusal:
            refusal.leaves = ()
            raise
        raise Unavailable(REHEARSED, retry_after=1, queued=0)


def rehearsing(world: World) -> Callable[[], None]:
    """From now on nothing is kept. What only counts a try or notes a reader is passed over, so that the deed behind it
    is what is decided. Answers how to end it."""
    real = world.ledger.submit

    async def submit(command: Command) -> Answer:
        if isinstance(command, Counting | Try):
            return Answer()
        if isinstance(command, PutRows) and command.inserts and all(table is ACCESS for table, _ in command.inserts):
            return Answer()
        return await real(Rehearsal(command))

    world.ledger.submit = submit
    return lambda: setattr(world.ledger, "submit", real)


# the town ----------------------------------------------------------------------------------------------------------


class Matrix:
    """The town with its callers and requests."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.world = town.world
        self.callers: list[Somebody] = []
        self.public: set[str] = set()  # ids that anybody may read
        self.written: dict[str, list[Asked]] = {}
        by_path = {(one.method, one.path): one for one in town.operations}
        self.operations: dict[str, Operation] = {
            one["operationId"]: by_path[method, path]
            for path, listed in town.schema["paths"].items()
            for method, one in listed.items()
        }

    def at(self, rule: Rule) -> str:
        """Where the deed, the home, the shop, the list or the office of a request lies, unless it says otherwise."""
        return {"": "", "home": self.town.ids["grid"]}.get(rule.place, HOME)

    def requests(self, operation: str) -> list[Asked]:
        """Those that are written down here, or one made from the document."""
        return self.written.get(operation, [Asked()])

    async def ask(self, operation: str, asked: Asked, by: Somebody) -> httpx.Response:
        """Send a request as somebody."""
        one = self.operations[operation]
        ids = asked.path(by) if callable(asked.path) else asked.path
        path = self.town.path(one, **ids)
        if asked.query:
            path += f"?{asked.query}"
        elif not ids:
            path = self.town.asked(one)
        self.town.sent += 1
        headers = {"Idempotency-Key": f"perm-{self.town.sent}", **asked.headers}
        if by.token:
            headers["Authorization"] = f"Bearer {by.token}"
        body = asked.body(by) if callable(asked.body) else asked.body
        if body is None and one.schema is not None:
            body = sample(one.schema, self.town.known)
        if body is not None and not isinstance(body, bytes):
            headers["Content-Type"] = "application/json"
            body = encoded(body)
        return await self.town.client.request(one.method, path, headers=headers, content=body)


async def matrix(town: Town) -> Matrix:
    """The town as `settle` of test_bad_input leaves it, with everybody and everything that is asked about."""
    made = Matrix(town)
    await _people(made)
    await _requests(made)
    return made


# everybody ---------------------------------------------------------------------------------------------------------


async def _people(made: Matrix) -> None:
    world, town = made.world, made.town
    world.staff._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)  # forty passwords, none a secret
    everything = tuple((role, COUNTY) for role in ROLE_SCOPES)
    grid = (await world.register.subject(town.demo["resident"]["subject"])).grid
    other = next(code for code in world.register.grids_under(HOME) if code != grid)
    held = [(role, at) for at in (HOME, SIBLING, STREET, AWAY, AWAY_STREET, ELSEWHERE) for role in ROLE_SCOPES]
    held += [("grid_worker", grid), ("grid_worker", other)]
    for role, at in held:
        await _hired(made, f"{role} at {at}", ((role, at),))
    await _hired(made, "no role", ())
    await _hired(made, "everything", everything)
    await _hired(made, "everything, unproven", everything, ago=20 * MINUTE_US)
    await _hired(made, "signed in yesterday", everything, ago=24 * 60 * MINUTE_US, dead=True)
    await _hired(made, "role ended", everything, days=("2020-01-01", "2020-12-31"))
    await _hired(made, "role to come", everything, days=("2099-01-01", None))
    later = [f"{(world.gate.now().hour + hours) % 24:02}:00" for hours in (2, 4)]
    await _hired(made, "out of hours", everything, hours="-".join(later))
    for scope in ("lists:read", "awards:write"):
        await _hired(made, f"session for {scope}", everything, scopes=[scope])
    out = await _hired(made, "signed out", everything, dead=True)
    await made.town.client.delete("/v1/sessions/current", headers={"Authorization": f"Bearer {out.token}"})
    gone = await _hired(made, "account closed", everything, dead=True)
    admin = await world.gate.caller(town.tokens["strong"])
    assert admin is not None
    await world.staff.change(admin, gone.id, None, {"state": "closed"})
    await _subjects(made)
    await _machines(made)
    town.tokens |= {one.name: one.token for one in made.callers}
    made.callers += [Somebody("nobody"), Somebody("made up", "staff", "jt_" + "A" * 43, dead=True)]
    town.ids["staff"] = next(one.id for one in made.callers if one.name == f"approver at {HOME}")
    town.ids["grid"] = grid


async def _hired(
    made: Matrix,
    name: str,
    roles: tuple[tuple[str, str], ...],
    *,
    ago: int = 0,
    days: tuple[str, str | None] = ALWAYS,
    hours: str | None = None,
    scopes: list[str] | None = None,
    dead: bool = False,
) -> Somebody:
    """A member of staff who signed in `ago` µs ago, with roles that hold on these days, at these hours."""
    staff, ledger = made.world.staff, made.world.ledger
    username = f"perm.{len(made.callers)}"
    rows = [{"role": role, "place": at, "from": days[0], "to": days[1], "hours": hours} for role, at in roles]
    id_ = (await staff.create(None, username, PASSWORD, rows)).ref
    clock = ledger.clock
    ledger.clock = lambda: clock() - ago
    try:
        token = (await staff.sign_in(username, PASSWORD, scopes=scopes)).token
    finally:
        ledger.clock = clock
    held = roles if days == ALWAYS and hours is None else ()
    carried = frozenset[str]().union(*(ROLE_SCOPES[role] for role, _ in held))
    carried = carried if scopes is None else carried & frozenset(scopes)
    one = Somebody(name, "staff", token, id_, held, carried, dead=dead, stale=bool(ago))
    made.callers.append(one)
    return one


async def _subjects(made: Matrix) -> None:
    """The demo's resident and body, and another of each."""
    town, staff = made.town, made.world.staff
    rows = await made.world.ledger.fetch("SELECT subject, kind FROM subject WHERE state = 'open' ORDER BY subject")
    others = {kind: subject for subject, kind in rows if subject not in _demo(town)}
    line = (await made.world.ledger.fetch("SELECT edition, line, subject FROM edition_line ORDER BY edition LIMIT 1"))[
        0
    ]
    town.ids |= {"edition_line": line[1], "listed": line[2], "list": line[0], "neighbour": others["person"]}
    for name, kind, subject in (
        ("resident", "resident", town.demo["resident"]["subject"]),
        ("neighbour", "resident", others["person"]),
        ("body", "body", town.demo["body"]["subject"]),
        ("body on a list", "body", line[2]),
    ):
        token = (await staff.sign_in_subject(kind, subject, frozenset())).token
        made.callers.append(Somebody(name, kind, token, subject, whose=subject))


def _demo(town: Town) -> tuple[str, str]:
    return town.demo["resident"]["subject"], town.demo["body"]["subject"]


async def _machines(made: Matrix) -> None:
    """Keys: of two shops' tills and of clients, with all that such a key may carry, with little, and taken back."""
    world, shop = made.world, made.town.demo["merchant"]["id"]
    others = await world.ledger.fetch("SELECT merchant FROM merchant WHERE merchant <> ? ORDER BY merchant", shop)
    keeper = Asker("stf_street", serves=lambda place: True)
    for name, merchant, scopes in (
        ("till", shop, KEY_SCOPES["merchant"]),
        ("other shop's till", others[0][0], KEY_SCOPES["merchant"]),
        ("till that only redeems", shop, frozenset({"redemptions:write"})),
        ("till that only settles", shop, frozenset({"settlements:write"})),
        ("till that is closed", shop, KEY_SCOPES["merchant"]),
    ):
        till = await world.shop.offers.add_terminal(keeper, merchant, name=name)
        key = await world.staff.issue_key(
            None, "merchant", name, merchant=merchant, terminal=till.terminal, scopes=scopes
        )
        dead = name == "till that is closed"
        if dead:
            await world.shop.offers.change_terminal(keeper, merchant, till.terminal, version=None, state="closed")
        made.callers.append(Somebody(name, "merchant", key.key, key.id, scopes=scopes, whose=merchant, dead=dead))
    every = KEY_SCOPES["client"]
    for name, at, roles, scopes, lasts in (
        ("client", HOME, ("community_staff",), every, 1),
        ("client away", AWAY, ("community_staff",), every, 1),
        ("client with every role", COUNTY, tuple(ROLE_SCOPES), every, 1),
        ("client that only reads balances", HOME, ("community_staff",), frozenset({"balances:read"}), 1),
        ("client without a role", HOME, (), every, 1),
        ("client that ran out", COUNTY, tuple(ROLE_SCOPES), every, -1),
        ("client that was revoked", COUNTY, tuple(ROLE_SCOPES), every, 1),
    ):
        held = tuple((role, at) for role in roles)
        rows = [{"role": role, "place": at} for role, at in held]
        key = await world.staff.issue_key(None, "client", name, scopes=scopes, roles=rows, lasts=lasts * 60 * MINUTE_US)
        if name == "client that was revoked":
            await world.staff.revoke_key(key.id)
        dead = lasts < 0 or name == "client that was revoked"
        made.callers.append(Somebody(name, "client", key.key, key.id, held, scopes, dead=dead))


# everything --------------------------------------------------------------------------------------------------------

LOOKING = frozenset({"approver", "street_staff", "county_admin", "auditor"})
PUBLIC_KEY = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
EVIDENCE = [{"kind": "workflow", "level": "E2"}]
WHY = {"reason": "核对过了"}


async def _requests(made: Matrix) -> None:
    """Requests that a sample cannot make: those that need a certain state, or that say whose and where."""
    town, world = made.town, made.world
    ids, me = town.ids, town.demo["resident"]["subject"]
    shop, grid, offer = ids["merchant"], ids["grid"], ids["offer"]
    mine, shops = frozenset({me}), frozenset({shop})
    today, soon = date.fromisoformat(town.demo["as_of"]), date.today() + timedelta(days=30)
    award = {"subject": me, "indicator": "RE-02", "occurred_on": today.isoformat(), "evidence": EVIDENCE, "place": HOME}

    async def done(who: str, method: str, path: str, body: Any = None, **more: Any) -> Any:
        answer = await town.send(method, f"/v1{path}", who, **({"json": body} if body is not None else {}), **more)
        assert answer.status_code < 300, f"{method} {path}: {answer.text}"
        return answer.json()

    fetch = world.ledger.fetch
    own = (await fetch("SELECT id, journal, seq FROM award WHERE subject = ? AND state = 'posted' ORDER BY id", me))[0]
    asked = await done("strong", "POST", "/award-batches?approval=ask", {"items": [award]})
    approval = (await fetch("SELECT id FROM approval WHERE target = ?", asked["id"]))[0][0]
    etag = (await done("strong", "GET", f"/approvals/{approval}"))["etag"]
    photo = await done("resident", "POST", "/evidence", content=jpeg(seed=b"1"), headers={"Content-Type": "image/jpeg"})
    deed = {"occurred_on": today.isoformat(), "place": HOME, "indicator": "RE-02", "evidence": [photo["sha256"]]}
    report = await done("resident", "POST", "/reports", deed)
    entry = {"journal": own[1], "seq": own[2]}
    objection = await done("resident", "POST", "/objections", {"entry": entry, "reason": "时间不对"})
    held = await done("strong", "POST", "/redemptions", {"offer": offer, "by": {"subject": me}, "merchant": shop})
    sold = await done(
        "strong", "POST", "/redemptions?capture=true", {"offer": offer, "by": {"subject": me}, "merchant": shop}
    )
    paid = {"journal": HOME, "seq": str((await fetch("SELECT size FROM head WHERE journal = ?", HOME))[0][0] - 1)}
    proposal = {"scenario": "S13", "title": {"zh": "肥皂", "en": "Soap"}, "price": 500, "merchant": shop}
    proposed = await done("strong", "POST", "/offers", proposal)
    charge = await done("merchant", "POST", "/charges", {"offer": offer})
    token = await done("resident", "POST", "/tokens")
    screen = (await fetch("SELECT offer FROM offer WHERE scenario = 'S36'"))[0][0]
    published = (await fetch("SELECT id FROM edition WHERE kind = 'notice' ORDER BY id LIMIT 1"))[0][0]
    said = await done("resident", "POST", f"/editions/{published}/comments", {"text": "谢谢"})
    ids |= {"approval": approval, "report": report["id"], "objection": objection["id"], "charge": charge["id"]}
    made.public = {published, ids["list"]}
    ids |= {"redemption": held["id"], "award": own[0], "journal": own[1], "seq": str(own[2]), "comment": said["id"]}
    url = {"url": "https://example.org/jifen", "events": ["entry.capture"]}
    hook = (await done("till", "POST", "/webhooks", url))["id"]
    place_hook = (await done("everything", "POST", "/webhooks", {**url, "place": HOME}))["id"]
    ids["confirms"] = (await fetch("SELECT who FROM confirmer WHERE id = ?", ids["confirmer"]))[0][0]
    subjects = frozenset(one.whose for one in made.callers if one.kind in OWNERS)
    admin = frozenset({"county_admin"})
    client, machines = frozenset({"client"}), frozenset({"client", "merchant"})
    keeper = Asker("stf_street", serves=lambda place: True)
    terms = {"from_day": today.isoformat(), "minutes": 600, "floor": 5, "members": [ids["listed"]], "version": None}
    await world.screens.set_plan(keeper, screen, **terms)
    await world.staff.second.enrol(ids["staff"], "somebody")
    await jobs.JOBS["seals"](world)
    await world.publisher.publish(epoch=True)
    line = {"line": ids["edition_line"], **WHY}
    listed = {"edition": ids["list"]}
    pay = {"offer": offer, "quantity": 1}

    def by_kind(**bodies: Any) -> Callable[[Somebody], Any]:
        return lambda by: bodies.get(by.kind, bodies["staff"])

    proxy = {"proxy": ids["neighbour"], "kind": "acts", "until": soon.isoformat()}
    told = {"subject": me, "journal": HOME, "seq": own[2], "warned": None}
    till_line = {"counter": 1, "voucher": "none of ours", "at": "2026-01-01T00:00:00Z"}
    made.written = {
        "getConsistencyProof": [Asked(query="from=1&to=2")],
        "signIn": [Asked(body={"username": "perm.0", "password": PASSWORD})],
        "proveSession": [Asked(body={"password": PASSWORD})],
        "endSession": [Asked(lambda by: {"session": f"ses_{token_hash(by.token).hex()[:32]}"})],
        # staff and keys
        "listStaff": [Asked(at="")],
        "createStaff": [
            Asked(body={"username": "new", "password": PASSWORD, "roles": [{"role": "approver", "place": HOME}]})
        ],
        **{name: [Asked(roles=admin, scope="staff:write", by=ids["staff"])] for name in ("getStaff", "removeTotp")},
        "changeStaff": [Asked(body={"state": "active"}, roles=admin, scope="staff:write", by=ids["staff"])],
        "enrolTotp": [Asked(roles=frozenset(), by=ids["staff"])],
        "confirmTotp": [Asked(body={"totp": "123456"}, roles=frozenset(), by=ids["staff"])],
        **{name: [Asked(at="")] for name in ("listKeys", "listWebhooks")},
        "changeKey": [Asked(body={"addresses": ["192.0.2.0/24"]})],
        "putPublicKey": [Asked(body={"public_key": None})],
        "putMyPublicKey": [Asked(body={"public_key": PUBLIC_KEY})],
        "createWebhook": [
            Asked(body=by_kind(merchant=url, staff={**url, "place": HOME}), sent_by=frozenset({"staff", "merchant"})),
            Asked(body={**url, "place": HOME}, sent_by=client, roles=frozenset(ROLE_SCOPES)),
        ],
        **{
            name: [
                Asked({"webhook": hook}, owners=shops, closed=client, roles=shared),
                Asked({"webhook": place_hook}, closed=machines),
            ]
            for name, shared in {
                **dict.fromkeys(("getWebhook", "deleteWebhook", "listWebhookDeliveries"), None),
                **dict.fromkeys(("rotateWebhook", "testWebhook"), frozenset[str]()),
            }.items()
        },
        "changeWebhook": [
            Asked({"webhook": hook}, body={"state": "paused"}, owners=shops, closed=client),
            Asked({"webhook": place_hook}, body={"state": "active"}, closed=machines),
        ],
        "replayWebhook": [
            Asked({"webhook": hook}, body={"journal": HOME, "seq": 1}, owners=shops, closed=client, roles=frozenset()),
            Asked({"webhook": place_hook}, body={"journal": HOME, "seq": 1}, closed=machines),
        ],
        "createKey": [
            Asked(body={"kind": "merchant", "merchant": shop, "name": "x"}),
            Asked(
                body={"kind": "client", "name": "x", "roles": [{"role": "grid_worker", "place": HOME}]},
                roles=admin,
            ),
        ],
        # people
        "registerPerson": [
            Asked(
                body={
                    "name": "新来的",
                    "birth": "1990-01-01",
                    "grid": grid,
                    "groups": ["G3"],
                    "consents": {"ledger": True},
                }
            )
        ],
        "changePerson": [Asked(body={"groups": ["G3"]})],
        "erasePerson": [Asked(owners=mine)],
        "lookUpPeople": [Asked(body={"name": "某某", "place": grid})],
        "card": [Asked(body={"action": "reissue"})],
        "changeConsents": [Asked(body={"publication": False}, owners=mine)],
        "addProxy": [Asked(body={**proxy, "consent": "纸质授权书"})],
        "endProxy": [Asked(query=f"proxy={ids['neighbour']}")],
        "addMyProxy": [Asked(body=lambda by: {**proxy, "proxy": me if by.whose != me else ids["neighbour"]})],
        "endMyProxy": [Asked(query=f"proxy={ids['neighbour']}")],
        "freezeMyCard": [Asked(body={"action": "freeze"})],
        "listBodies": [Asked(query=f"place={HOME}", at="")],
        "registerBody": [
            Asked(body={"name": "新的队", "type": "志愿服务队", "group": "G8", "community": HOME}, at=HOME)
        ],
        "listConfirmers": [Asked(query=f"place={HOME}")],
        "getConfirmer": [Asked(roles=LOOKING, owners=frozenset({ids["confirms"]}))],
        "createConfirmer": [Asked(body={"subject": me, "place": HOME, "from": "2026-01-01"})],
        # records
        **{name: [Asked(owners=mine)] for name in ("getSubject", "getBalance", "listSubjectEntries", "getStatement")},
        "getSlip": [Asked(query="wait=0", owners=mine)],
        "getMySlip": [Asked(query="wait=0")],
        **{
            name: [Asked(owners=mine, at=HOME), Asked(paid, owners=shops, at=HOME)]
            for name in ("getEntry", "explainEntry", "getReceipt")
        },
        "listAccess": [Asked(query=f"subject={me}", owners=mine)],
        "listNoticesOut": [Asked(query=f"channel=sms&place={grid}")],
        "deliverNotices": [Asked(body={"channel": "print", "delivered": [told]})],
        "answerMyEdition": [
            Asked(body={**listed, "line": ids["edition_line"], "text": "正在整改"}, owners=frozenset({ids["listed"]}))
        ],
        # awards
        **{name: [Asked(body=award)] for name in ("createAward", "evaluate")},
        "createBatch": [Asked(body={"items": [award]})],
        **{
            name: [Asked(query=f"place={HOME}")]
            for name in ("listAwards", "listBatches", "listReports", "listObjections")
        },
        "getAward": [Asked(owners=mine)],
        "listApprovals": [Asked(at="")],
        "getApproval": [Asked(roles=APPROVING)],
        "approve": [Asked(headers={"If-Match": etag}, body={})],
        "reject": [Asked(headers={"If-Match": etag}, body=WHY, roles=APPROVING)],
        "listAnomalies": [Asked(query=f"place={HOME}&from=2026-10-01&to=2026-10-31")],
        # reports, photos, objections
        "createReport": [
            Asked(body=lambda by: {"occurred_on": deed["occurred_on"], "place": HOME, "subject": me}, owners=mine)
        ],
        "getReport": [Asked(owners=mine)],
        "acceptReport": [Asked(body={"evidence": EVIDENCE, "cause": {"source": "网格", "case": "1"}})],
        "withdrawReport": [Asked(owners=mine, roles=frozenset())],
        "createEvidence": [
            Asked(query=f"subject={me}", body=jpeg(), headers={"Content-Type": "image/jpeg"}, owners=mine)
        ],
        "getEvidence": [Asked({"sha256": photo["sha256"]}, owners=mine)],
        "createObjection": [
            Asked(
                body=lambda by: {
                    "missing": {"indicator": "RE-01", "occurred_on": deed["occurred_on"], "place": HOME},
                    "reason": "没有记",
                    "on_behalf_of": me,
                },
                owners=mine,
            )
        ],
        "getObjection": [Asked(owners=mine)],
        "decideObjection": [Asked(body={"outcome": "rejected", **WHY})],
        "withdrawObjection": [Asked(owners=mine)],
        # lists
        "listEditions": [Asked()],
        "draftEdition": [Asked(body={"list": "grids", "period": "2021Q1", "place": HOME}, at=HOME)],
        "decideEditionLine": [Asked(listed, body={**line, "outcome": "confirmed"}, at=STREET)],
        "repairEditionLine": [Asked(listed, body=line, at=STREET)],
        "removeEditionLine": [Asked(listed, body=line, at=STREET)],
        "deliverEditionLine": [Asked(listed, body={"line": ids["edition_line"], "channel": "hand"}, at=STREET)],
        **{
            name: [Asked({"edition": published})]
            for name in ("commentEdition", "showEditionComment", "hideEditionComment")
        },
        "addImpactAssessment": [
            Asked(
                body={
                    "purpose": "merchant",
                    "place": HOME,
                    "title": "评估",
                    "summary": "可以",
                    "conclusion": "acceptable",
                    "by": "县社会信用中心",
                    "valid_until": (today + timedelta(days=300)).isoformat(),
                }
            )
        ],
        **{
            name: [Asked(query=f"period=2026Q3&place={HOME}")]
            for name in ("getFairness", "getFairnessTable", "getFairnessPage")
        },
        # shops
        "addMerchant": [Asked(body={"name": "新店", "community": HOME})],
        "changeMerchant": [Asked(body={"name": "新名"})],
        **{
            name: [Asked(owners=shops)] for name in ("listAgreements", "listMerchantStatements", "getMerchantStatement")
        },
        **{name: [Asked(body={"lines": [], **WHY}, owners=shops)] for name in ("disputeStatement", "acceptStatement")},
        "proposeOffer": [Asked(body=proposal, owners=shops)],
        "changeOffer": [Asked(body={"stock": 5}, owners=shops)],
        "approveOffer": [Asked({"offer": proposed["id"]})],
        "setCalendar": [Asked({"offer": screen}, body={"minutes": 600, "floor": 0, "members": []}, at=SCREEN_AT)],
        "setFloor": [
            Asked(
                {"offer": screen, "day": soon.isoformat()},
                body=lambda by: {"keep": True, "member": by.whose or ids["listed"]},
                owners=frozenset({ids["listed"]}),
                at=SCREEN_AT,
            )
        ],
        **{name: [Asked(query=f"place={HOME}")] for name in ("listBudgets", "getLiability", "getLiabilityTable")},
        "addBudget": [Asked(body={"scenario": "S13", "place": HOME, "year": "2027", "name": "日用品", "limit_fen": 1})],
        # spending
        "redeem": [
            Asked(
                body=by_kind(
                    staff={**pay, "by": {"subject": me}, "merchant": shop},
                    merchant={**pay, "by": {"token": token["token"]}},
                ),
                owners=shops,
            )
        ],
        "eligibility": [
            Asked(
                body=by_kind(
                    staff={"offer": offer, "by": {"subject": me}},
                    merchant={"offer": offer, "by": {"token": token["token"]}},
                ),
                owners=shops | mine,
            )
        ],
        **{name: [Asked(owners=shops, body={})] for name in ("capture", "release")},
        "void": [Asked({"redemption": sold["id"]}, body=WHY, owners=shops)],
        "refund": [Asked({"redemption": sold["id"]}, body={"amount": 100, **WHY}, owners=shops)],
        "getRedemption": [Asked(owners=shops | mine)],
        "makeCharge": [Asked(body={"offer": offer}, owners=shops)],
        "getCharge": [Asked(owners=shops)],
        **{name: [Asked(body={"code": charge["code"]})] for name in ("lookAtCharge", "approveCharge", "declineCharge")},
        "makeToken": [Asked(body={})],
        "makeVoucher": [Asked(body=by_kind(staff={"offer": offer, "subject": me}, resident=pay, body=pay))],
        "listVouchers": [Asked(query=f"subject={me}", owners=mine)],
        **{name: [Asked(owners=mine, at=grid)] for name in ("getVoucher", "getVoucherSlip")},
        **{name: [Asked(owners=shops | subjects)] for name in ("getMerchant", "getMyStatement")},
        **{name: [Asked(at="")] for name in ("listRedemptions", "daySheetTable", "daySheetPage")},
        "uploadVouchers": [Asked(body={"batch": "b1", "lines": [till_line]})],
    }

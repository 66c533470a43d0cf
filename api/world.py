# SPDX-License-Identifier: Apache-2.0
"""Everything a running deployment holds, put together in one place: ledger, vault, register, packs, desk, shop, staff.

The server, the command line and the tests all start here. `init` makes keys and schema and is safe to repeat; `open`
finishes what an erasure has left undone, and refuses to start where a step is missing.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.assessments import Assessments
from api.auth import Caller, Gate
from api.brake import IssueBrake
from api.counter import Counter
from api.db import bind, make_engine
from api.disputes import Elsewhere
from api.erasure import reapply
from api.feed import Feed
from api.identity.oidc import Provider
from api.identity.sessions import Sessions
from api.lists.consents import Consents
from api.people.evidence import Photos
from api.people.keystore import Keystore
from api.people.vault import People
from api.server.rates import Rates
from api.settings import Settings, software_version
from api.staff import Staff
from api.tables import ACCESS
from api.webhooks.endpoints import Webhooks
from api.witness.server import Witness
from ledger import keys
from ledger.clock import Clock, system_clock
from ledger.engine import MIGRATIONS, Ledger
from ledger.errors import Refusal
from ledger.guard import ForkGuard, GuardDamaged
from ledger.migrate import UNFINISHED, SchemaError, steps
from ledger.port import PutRows
from ledger.publish import Publisher, check_guard
from ledger.published import Published, public_keys
from ledger.receipt import format_receipt
from ledger.rotation import SigningKeys
from ledger.statements import Statements
from ledger.view import local_day
from merchants.budgets import Budgets
from merchants.catalogue import load_scenarios
from merchants.charges import Charges
from merchants.passes import Passes
from merchants.screens import Screens
from merchants.settlement.office import Settlements
from merchants.shop import Shop
from merchants.vouchers import format as vouchers
from merchants.vouchers.issue import Vouchers
from merchants.vouchers.upload import Uploads
from rules.desk import Desk
from rules.engine.model import Pack
from rules.lists.freezing import Freezer
from rules.lists.office import Editions, Office
from rules.objections import Objections
from rules.publishing import Publishing
from rules.register import Register
from rules.reports.confirmers import Confirmers
from rules.reports.reports import Reports
from rules.shelf import Shelf, ShelfDamaged
from rules.workdays import HolidaysError, Workdays, load

if TYPE_CHECKING:
    from api.server.metrics import Metrics

log = logging.getLogger("jifen.world")

_ROOT = Path(__file__).parent.parent
ROOMS = {
    "ledger": MIGRATIONS,
    "rules": _ROOT / "rules" / "migrations",
    "people": _ROOT / "api" / "people" / "migrations",
    "merchants": _ROOT / "merchants" / "migrations",
    "api": _ROOT / "api" / "migrations",
}
SERVING = frozenset({"community_staff", "street_staff", "county_admin"})  # who looks after a merchant at its place


class NotReady(RuntimeError):
    """The deployment cannot be opened; the message says what to do."""


class World:
    """One deployment. `clock` and `random` are for tests and the demo; a server uses the machine's."""

    ledger: Ledger
    people: People
    photos: Photos
    register: Register
    packs: Shelf
    publishing: Publishing
    desk: Desk
    reports: Reports
    confirmers: Confirmers
    workdays: Workdays
    objections: Objections
    shop: Shop
    settlements: Settlements
    screens: Screens
    budgets: Budgets
    brake: IssueBrake
    meter: Metrics | None = None  # what counts, where anything does
    counter: Counter
    charges: Charges
    vouchers: Vouchers
    uploads: Uploads
    assessments: Assessments
    editions: Editions
    staff: Staff
    sessions: Sessions
    oidc: Provider | None
    gate: Gate
    webhooks: Webhooks
    feed: Feed
    rates: Rates
    cursor_key: bytes
    keys: keys.Keys
    guard: ForkGuard
    signing: SigningKeys
    publisher: Publisher
    published: Published
    statements: Statements
    witness: Witness

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock = system_clock,
        random: Callable[[int], bytes] = os.urandom,
        restoring: bool = False,
    ) -> None:
        """`restoring`: open a database whose restore has not come to its end."""
        self.settings = settings
        self._restoring = restoring
        self.clock = clock
        self.random = random
        self.stopping = asyncio.Event()  # told to stop: what is under way ends, nothing new begins
        self.traces: dict[str, set[bytes] | None] = {}  # of erased subjects, still to be searched for (api/erasure.py)
        self._opened: list[Any] = []

    @property
    def home(self) -> Path:
        return self.settings.home

    async def init(self) -> list[str]:
        """Make the keys if there are none and bring the schema up to date; the steps that ran."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = keys.make_keys(self.home, self.settings.master_key_file)
        ledger = Ledger(self.settings.database_url, made.secret)
        await ledger.open()
        try:
            return await ledger.store.migrate(ROOMS)
        finally:
            await ledger.close()

    async def open(self) -> None:
        """Raises `NotReady` before anything was changed."""
        try:
            self.keys = keys.open_keys(self.home, self.settings.master_key_file)
        except keys.BadKey as error:
            raise NotReady(f"{error} (a new deployment starts with: jifen init)") from error
        try:
            await self._open()
        except BaseException:
            await self.close()
            raise

    async def _open(self) -> None:
        url, secret = self.settings.database_url, self.keys.secret
        self.ledger = Ledger(url, secret, clock=self.clock, random=self.random)
        self._opened.append(self.ledger)
        await self.ledger.open()
        await self._check_order()
        await self._check_schema()
        self.guard = ForkGuard(self.home / "guard.db")
        try:
            self.ledger.frozen = await check_guard(self.ledger, self.guard)
        except GuardDamaged as error:
            raise NotReady(str(error)) from error
        if self.ledger.frozen is not None:
            log.error("read-only: %s (docs/operations.md)", self.ledger.frozen)
        self.signing = SigningKeys(self.ledger, self.home, self.keys)
        self.publisher = Publisher(self.ledger, self.guard, self.signing)
        self.published = Published(self.ledger)
        self.statements = Statements(self.ledger, self._receipt)
        self.witness = Witness(self.home, self.keys, self.clock)
        self._opened.append(self.witness)
        engine = make_engine(url)
        self._opened.append(engine)
        await engine.open()
        bind(engine)
        self.people = People(self.ledger, Keystore(self.home / "keys.db", self.keys.master), secret)
        self._opened.append(self.people)
        self.photos = Photos(self.people, self.home / "evidence", secret)
        self.register = Register(self.ledger)
        await self.register.reload()
        self.packs = Shelf.founding(self.ledger)
        try:
            await self.packs.refresh()
        except ShelfDamaged as error:
            raise NotReady(str(error)) from error
        self.brake = IssueBrake(self.ledger, self.register.covers, self.packs.zone)
        self.desk = Desk(self.ledger, self.people, self.register, self.packs, self.brake)
        self.reports = Reports(self.ledger, self.people, self.desk)
        self.confirmers = self.desk.confirmers
        try:
            self.workdays = load(self.home)
        except HolidaysError as error:
            raise NotReady(f"{self.home}: {error}") from error
        rooms = (self.register, self.packs, self.workdays, Elsewhere(self.ledger))
        self.objections = Objections(self.ledger, self.people, *rooms)
        freezer = Freezer(self.ledger, self.register, Consents(self.ledger), self.home, f"jifen {software_version()}")
        office = Office(
            self.people, self.register, self.packs, self.workdays, Elsewhere(self.ledger), self.signing.current
        )
        self.editions = Editions(self.ledger, office, freezer)
        zone = self.settings.timezone
        self.counter = Counter(self.ledger, self.people, self.register, zone, Passes(secret, self.keys.origin))
        self.charges = Charges(self.ledger, secret, self.keys.origin)
        grades = Grades(self.packs, self.ledger)
        self.shop = Shop(self.ledger, load_scenarios(), self.counter, grades, self.register.covers)
        voucher_key = vouchers.signer(secret, self.keys.origin)
        self.vouchers = Vouchers(self.ledger, self.shop, voucher_key)
        self.uploads = Uploads(self.ledger, voucher_key.verifier, zone)
        self.screens = Screens(self.ledger, self.shop.offers)
        self.budgets = Budgets(self.ledger)
        sealing = keys.derive(secret, "jifen/settlement/1")
        self.settlements = Settlements(self.ledger, self.signing.current, sealing, zone)
        self.publishing = Publishing(self.ledger, self.register, self.packs, self._last_year_under)
        self.desk.shares_queue("pack", self.publishing)
        self.assessments = Assessments(self.ledger, self.register, zone)
        self.gate = Gate(self.ledger, self.settings.timezone)
        self.cursor_key = keys.derive(secret, "jifen/cursors/1")
        hiding = keys.derive(secret, "jifen/rates/1")
        self.rates = Rates(self.ledger, self.settings.rates, self.settings.workers, hiding)
        self.sessions = Sessions(self.ledger, self.gate)
        self.staff = Staff(self.ledger, self.gate, self.sessions, self.covers, secret)
        self.oidc = None
        if self.settings.oidc is not None:
            self.oidc = Provider(self.settings.oidc, self.ledger, secret)
            self._opened.append(self.oidc)
        self.webhooks = Webhooks(
            self.ledger, secret, self.covers, self.gate.today, private=self.settings.webhook_private
        )
        self.feed = Feed(self.ledger, self.stopping)
        self._opened += [self.webhooks, self.feed]
        await reapply(self)

    async def _check_order(self) -> None:
        """Codes and ids are compared byte by byte: in any other order what lies below a place would not be found."""
        rows = await self.ledger.fetch("SELECT CASE WHEN '9' < '~' AND 'Z' < 'a' AND '-' < '0' THEN 1 ELSE 0 END")
        if not rows[0][0]:
            raise NotReady("the database compares texts as a dictionary does; make it anew with: LOCALE 'C'")

    async def _check_schema(self) -> None:
        try:
            rows = await self.ledger.fetch("SELECT room, step, hash FROM migration")
        except Exception as error:
            raise NotReady("the database is empty; make it with: jifen init") from error
        try:
            done = {(r, s): h for r, s, h in rows if not (self._restoring and r == UNFINISHED)}
            missing = list(steps(ROOMS, self.ledger.store.dialect, done))
        except SchemaError as error:
            raise NotReady(str(error)) from error
        if missing:
            raise NotReady(f"the database lacks {missing[0].room}/{missing[0].name}; run: jifen init")

    async def close(self) -> None:
        """Finish what is queued, then let go of everything, last opened first."""
        while self._opened:
            part = self._opened.pop()
            with suppress(Exception):
                closing = part.close()
                if closing is not None:
                    await closing

    async def _last_year_under(self, pack: Pack) -> dict[str, Any]:
        """What a draft would have made of the last year's deeds: the report that its proposal carries."""
        from rules.backtest.report import report  # here: polars takes a third of a second to load

        last = date.fromisoformat(local_day(self.ledger.clock(), self.packs.zone))
        return await report(self.ledger, self.people, self.packs, pack, last - timedelta(days=364), last)

    async def _receipt(self, journal: str, seq: int) -> str:
        return format_receipt(await self.published.receipt(journal, seq)).decode()

    async def public_keys(self) -> Any:
        """`keys.json`, docs/spec/export.md."""
        witnesses = [peer.key.text for peer in self.witness.configured().witnesses]
        return await public_keys(self.ledger, self.keys.origin, self.keys.vkey, self.keys.recovery, witnesses)

    # small things that several doors ask ---------------------------------------------------------------------------

    @property
    def pack(self) -> Pack:
        """The pack in force now; one that is only published may be on the shelf beside it."""
        return self.packs.at(self.ledger.clock())

    def covers(self, upper: str, lower: str) -> bool:
        return self.register.covers(upper, lower)

    def place_name(self, code: str) -> str:
        place = self.register.tree.places.get(code)
        return place.name if place is not None else code

    async def may_serve(self, caller: Caller, merchant: str) -> None:
        """Raises `not_found`, and `forbidden` unless the caller looks after merchants where this one is."""
        found = await self.shop.offers.merchant(merchant)
        if not caller.actor.may(SERVING, found.community, self.covers):
            raise Refusal("forbidden", scope="merchants:write", place=found.community)

    async def activate(self, code: str, pin: str) -> tuple[str, str]:
        """(`resident` or `body`, subject) for a printed code and its PIN. Raises `not_identified`."""
        subject = await self.people.activate(code, pin)
        known = await self.register.subject(subject)
        return ("body" if known.kind == "body" else "resident"), subject

    async def saw(self, caller: Caller, subject: str, what: str) -> None:
        """Write down that somebody read a record that is not their own."""
        await self.saw_all(caller, (subject,), what)

    async def saw_all(self, caller: Caller, subjects: Iterable[str], what: str) -> None:
        """The same of many records that were read together, in one commit."""
        now, roles = self.ledger.clock(), " ".join(f"{role}@{place}" for role, place in caller.actor.roles)
        rows = [
            (ACCESS, (self.ledger.new_id("acc"), now, caller.id, subject, what, roles))
            for subject in subjects
            if subject != caller.subject
        ]
        if rows:
            await self.ledger.submit(PutRows(inserts=tuple(rows)))


class Grades(Mapping[str, int]):
    """The least standing that each grade takes, in hundredths, by the pack in force now."""

    def __init__(self, packs: Shelf, ledger: Ledger) -> None:
        self._packs = packs
        self._ledger = ledger

    def _now(self) -> dict[str, int]:
        return {band.code: band.min for band in self._packs.at(self._ledger.clock()).bands}

    def __getitem__(self, grade: str) -> int:
        return self._now()[grade]

    def __iter__(self) -> Iterator[str]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())

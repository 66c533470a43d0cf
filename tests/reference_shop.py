# SPDX-License-Identifier: Apache-2.0
"""The shop a second time, as simple as it can be said: dictionaries over the ledger's reference, and nothing imported
from the shop.

Written from docs/reference/redemption-states.md, so that one reading checks the other. It knows offers, stock, limits,
budgets, orders with and without points, and what becomes of them; it knows no databases, keys or names.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.reference_ledger import No, Reference

MINUTE = 60_000_000
ENDLESS = -1  # a stock that does not run out
TOTALS = 5  # so many different totals a till may try in vain with one card and PIN a day


@dataclass(frozen=True)
class Limit:
    """So many units, or so many hundredths of points, in a period ("" all time); counted for a person, for a person at
    one shop, or for what the person names (a meter, a home)."""

    most: int
    per: str = ""
    points: bool = False
    by: str = "person"


@dataclass(frozen=True)
class Scenario:
    """`grade`: the least standing that opens it, None for points alone. `signed`: only shops with an agreement give
    it; `gift`: somebody else may spend their points on it."""

    code: str
    kind: str = "person"
    group: str = ""
    age: int = 0
    grade: int | None = None
    attested: bool = False
    fen: int = 100
    limits: tuple[Limit, ...] = ()
    signed: bool = False
    gift: bool = False

    @property
    def names(self) -> bool:
        """Must something be named at the counter?"""
        return any(limit.by == "reference" for limit in self.limits)


@dataclass
class Offer:
    scenario: Scenario
    merchant: str
    price: int
    cash: int = 0
    stock: int = ENDLESS
    per_person: int = 0
    last_day: str = ""
    value: int = 0
    state: str = "open"


@dataclass
class Budget:
    """A year's money for a scenario, in hundredths of a fen."""

    scenario: str
    year: str
    place: str
    limit: int
    spent: int = 0
    state: str = "open"


@dataclass
class Known:
    """What a shop has found out about one person on one day by card and PIN: totals in vain, and what it holds."""

    in_vain: set[str] = field(default_factory=set[str])
    held: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])  # order → points, total

    def total(self, points: int, scenario: Scenario) -> str:
        """What is asked counts on top of what is held."""
        return f"{scenario.code} {points + sum(held for held, _ in self.held.values())}" if points else scenario.code

    @property
    def totals(self) -> set[str]:
        return {*self.in_vain, *(total for _, total in self.held.values())}


@dataclass(frozen=True)
class Asker:
    """A shop's till, or staff who serve here or elsewhere (`merchant` empty)."""

    merchant: str = ""
    serves: bool = True


@dataclass
class Order:
    offer: str
    subject: str
    merchant: str
    quantity: int
    counted: int
    points: int
    cash: int
    day: str
    expires_at: int
    windows: list[tuple[str, str, str, str, bool]]
    budget: Budget | None
    value: int
    card: bool
    mark: str = ""


@dataclass
class Shop:
    """`ages` and `groups` are what is known of people; an age that is not there is not on record."""

    offers: dict[str, Offer]
    book: Reference = field(default_factory=Reference)
    ages: dict[str, int] = field(default_factory=dict[str, int])
    groups: dict[str, str] = field(default_factory=dict[str, str])
    orders: dict[str, Order] = field(default_factory=dict[str, Order])
    used: dict[tuple[str, str, str, str], int] = field(default_factory=dict[tuple[str, str, str, str], int])
    budgets: list[Budget] = field(default_factory=list[Budget])
    agreed: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])  # paper → (shop, scenario)
    suspended: set[str] = field(default_factory=set[str])
    known: dict[tuple[str, str, str], Known] = field(default_factory=dict[tuple[str, str, str], Known])

    # redeeming -----------------------------------------------------------------------------------------------

    def redeem(
        self, name: str, asker: Asker, offer: str, subject: str, quantity: int, *, right_pin: bool = True,
        capture: bool = False, then_cash: bool = False, reference: str = "", gift_to: str = "",
    ) -> Order:  # fmt: skip
        """A till identifies by card and PIN, staff know who it is. `gift_to`: whom it is for, and counted for."""
        wanted = self.offers[offer]
        if (asker.merchant and asker.merchant != wanted.merchant) or not asker.serves:
            raise No("forbidden")
        if asker.merchant and not right_pin:
            raise No("not_identified")
        if wanted.merchant in self.suspended:
            raise No("forbidden")
        known = self.known.setdefault((wanted.merchant, subject, self.book.today), Known())
        total = known.total(wanted.price * quantity, wanted.scenario)
        if asker.merchant and total not in known.totals and len(known.totals) >= TOTALS:
            raise No("rate_limited")
        try:
            order = self.decide(name, asker, offer, subject, gift_to, quantity, capture, then_cash, reference)
        except No as no:
            if asker.merchant and str(no) not in ("offer_closed", "agreement_missing", "reference_missing"):
                known.in_vain.add(total)
            raise
        order.card = bool(asker.merchant)
        if order.card and not capture:
            known.held[name] = (order.points, total)
        return order

    def decide(
        self, name: str, asker: Asker, offer: str, subject: str, gift_to: str, quantity: int, capture: bool,
        then_cash: bool, reference: str,
    ) -> Order:  # fmt: skip
        book, wanted = self.book, self.offers[offer]
        scenario = wanted.scenario
        if wanted.state != "open" or (wanted.last_day and book.today > wanted.last_day):
            raise No("offer_closed")
        if scenario.signed and (wanted.merchant, scenario.code) not in self.agreed.values():
            raise No("agreement_missing")
        if scenario.names and not reference:
            raise No("reference_missing")
        home, user = book.home(subject), gift_to or subject
        if user != subject and not (scenario.gift and wanted.price):
            raise No("not_eligible")
        if not self.fits(wanted, asker, book.home(user), user):
            raise No("not_eligible")
        if wanted.stock != ENDLESS and wanted.stock < quantity:
            raise No("out_of_stock")
        if wanted.per_person and self.used.get((offer, "", user, ""), 0) + quantity > wanted.per_person:
            raise No("limit_reached")
        total, cash = wanted.price * quantity, wanted.cash * quantity
        there = book.spendable(home, subject)
        points = min(total, there) if then_cash and scenario.fen else total
        if total and (there < points or not points):
            raise No("insufficient_points")
        windows = [(offer, "", user, "", False)]
        for limit in scenario.limits:
            who = reference if limit.by == "reference" else user
            site = wanted.merchant if limit.by == "site" else ""
            scope = f"{scenario.code}.{limit.per or 'ever'}{'.points' if limit.points else ''}"
            window = (scope, site, who, first_day(limit.per, book.today), limit.points)
            if self.used.get(window[:4], 0) + (points if limit.points else quantity) > limit.most:
                raise No("not_eligible" if asker.merchant else "limit_reached")  # a till need not know of other shops
            windows.append(window)
        value = 0 if total else wanted.value * quantity
        budget = self.pays(scenario, value * 100 if not total else points * scenario.fen)
        hundredths = (total - points) * scenario.fen
        cash += hundredths // 100 + (hundredths % 100 > 0)
        ends = book.now + 15 * MINUTE
        order = Order(
            offer, subject, wanted.merchant, quantity, quantity, points, cash, book.today, ends, windows, budget, value,
            False,
        )  # fmt: skip
        self.orders[name] = order
        if points:
            book.hold(home, subject, name, wanted.merchant, points, ends)
            if capture:
                book.capture(name, points)
        else:
            order.mark = "captured" if capture else "held"
        self.count(order, quantity, points)
        self.spend(name, 0)
        return order

    def pays(self, scenario: Scenario, cost: int) -> Budget | None:
        """The line that pays: that of the nearest place."""
        lines = [one for one in self.budgets if (one.scenario, one.year) == (scenario.code, self.book.today[:4])]
        near = max(lines, key=lambda one: len(one.place), default=None)
        if near is not None and cost and (near.state != "open" or near.spent + cost > near.limit):
            raise No("budget_exhausted")
        return near

    def fits(self, offer: Offer, asker: Asker, home: str, subject: str) -> bool:
        scenario, kind = offer.scenario, self.book.accounts[home, subject].kind
        if kind != scenario.kind:
            return False
        if kind == "body" and scenario.group and self.groups.get(subject) != scenario.group:
            return False
        if scenario.age and self.ages.get(subject, 0 if asker.merchant else scenario.age) < scenario.age:
            return False
        if offer.price:
            return True
        if scenario.grade is not None and self.standing(home, subject) >= scenario.grade:
            return True
        return scenario.attested and not asker.merchant

    def standing(self, home: str, subject: str) -> int:
        accounts = (f"subject:{subject}", f"minus:{subject}")
        lots = [item for account in accounts for item in self.book.lots(home, account, "standing").items()]
        return sum(amount for lot, amount in lots if lot >= self.book.today)

    def count(self, order: Order, units: int, points: int) -> None:
        """Units leave the shelf and count in every window, or (negative) come back."""
        offer = self.offers[order.offer]
        if offer.stock != ENDLESS:
            offer.stock -= units
        for *key, in_points in order.windows:
            where = (key[0], key[1], key[2], key[3])
            self.used[where] = self.used.get(where, 0) + (points if in_points else units)
            if not self.used[where]:
                del self.used[where]

    def cost(self, name: str) -> int:
        """What the order takes of its budget as it stands, in hundredths of a fen."""
        order = self.orders[name]
        if not order.points:
            return order.value * 100 if order.mark in ("held", "captured") else 0
        hold = self.book.holds[name]
        return (sum(hold.held.values()) + sum(hold.spent.values())) * self.offers[order.offer].scenario.fen

    def spend(self, name: str, before: int) -> None:
        """Draw on the budget what the order costs now and did not cost before."""
        budget = self.orders[name].budget
        if budget is not None:
            budget.spent += self.cost(name) - before
            assert budget.spent >= 0, budget

    def end(self, paper: str) -> None:
        if self.agreed.pop(paper, None) is None:
            raise No("agreement_ended")

    # afterwards ----------------------------------------------------------------------------------------------

    def state(self, name: str) -> str:
        order = self.orders[name]
        if order.mark:
            return order.mark
        hold = self.book.holds[name]
        held, spent = sum(hold.held.values()), sum(hold.spent.values())
        if not hold.captured:
            return "held" if held else "expired" if hold.state == "expired" else "released"
        if held:
            return "partially_captured"
        if not hold.refunded:
            return "captured"
        return "partially_refunded" if spent else "refunded"

    def find(self, name: str, asker: Asker) -> Order:
        """The order, for whoever may act on it."""
        order = self.orders[name]
        if (asker.merchant and asker.merchant != order.merchant) or not asker.serves:
            raise No("not_found")
        if asker.merchant in self.suspended:
            raise No("forbidden")
        if self.state(name) in ("released", "voided"):
            raise No("redemption_closed")
        return order

    def is_free(self, name: str) -> bool:
        """Does it cost no points?"""
        return not self.orders[name].points

    def paid_units(self, name: str) -> int:
        """Units that captured points have paid for, begun ones included."""
        order = self.orders[name]
        whole, part = divmod(self.book.holds[name].captured * order.quantity, order.points)
        return whole + (part > 0)

    def put_back(self, name: str, left: int, points: int = 0) -> None:
        """Only `left` units stay counted, and `points` less."""
        order = self.orders[name]
        self.told(name)
        self.count(order, left - order.counted, -points)
        order.counted = left

    def told(self, name: str, *, sold: bool = False) -> None:
        """What comes to nothing, by whomever, has told the till as much as a refusal; what is sold has not."""
        order = self.orders[name]
        if order.card:
            known = self.known.setdefault((order.merchant, order.subject, order.day), Known())
            fresh = known.total(order.points, self.offers[order.offer].scenario)
            _, total = known.held.pop(name, (0, fresh))
            known.in_vain |= set() if sold else {total}

    def held(self, name: str) -> int:
        hold = self.book.holds.get(name)
        return sum(hold.held.values()) if hold else 0

    def capture(self, name: str, asker: Asker, amount: int | None, final: bool) -> None:
        order, cost = self.find(name, asker), self.cost(name)
        if self.is_free(name):
            if order.mark == "expired" or (order.mark == "held" and self.book.now >= order.expires_at):
                raise No("hold_expired")
            if order.mark != "held":
                raise No("already_captured")
            if amount:
                raise No("exceeds_original")
            order.mark = "captured"
            self.told(name, sold=True)
            return
        self.book.capture(name, self.held(name) if amount is None else amount)
        if final and (left := self.held(name)):
            self.book.release(name)
            self.put_back(name, self.paid_units(name), left)
        elif not self.held(name):
            self.told(name, sold=True)
        self.spend(name, cost)

    def release(self, name: str, asker: Asker) -> None:
        order, state, cost = self.find(name, asker), self.state(name), self.cost(name)
        if state == "expired":
            raise No("hold_expired")
        if state not in ("held", "partially_captured"):
            raise No("already_captured")
        if self.is_free(name):
            order.mark = "released"
            self.put_back(name, 0)
        else:
            left = self.held(name)
            self.book.release(name)
            self.put_back(name, self.paid_units(name), left)
        self.spend(name, cost)

    def expire(self, name: str) -> None:
        order, cost = self.find(name, Asker()), self.cost(name)
        if self.is_free(name):
            if order.mark != "held" or self.book.now < order.expires_at:
                raise No("hold_open")
            order.mark = "expired"
            self.put_back(name, 0)
        else:
            left = self.held(name)
            self.book.release(name, expired=True)
            self.put_back(name, self.paid_units(name), left)
        self.spend(name, cost)

    def due(self) -> set[str]:
        """Orders whose time is up and that still hold something."""
        waiting = {"held", "partially_captured"}
        return {n for n, o in self.orders.items() if self.state(n) in waiting and self.book.now >= o.expires_at}

    def void(self, name: str, asker: Asker) -> None:
        order, cost = self.find(name, asker), self.cost(name)
        if self.state(name) == "expired":
            raise No("redemption_closed")
        if order.day != self.book.today:
            raise No("void_too_late")
        points = 0
        if not self.is_free(name):
            hold = self.book.holds[name]
            points = order.points - hold.released  # what was released has been taken off already
            if any(hold.spent.values()):
                self.book.refund(name, sum(hold.spent.values()))
            self.book.release(name)
        order.mark = "voided"
        self.put_back(name, 0, points)
        self.spend(name, cost)

    def refund(self, name: str, asker: Asker, amount: int) -> None:
        """The goods stay counted, in every window; the budget gets its money back."""
        self.find(name, asker)
        cost = self.cost(name)
        if self.is_free(name):
            raise No("exceeds_original")
        self.book.refund(name, amount)
        self.told(name)
        self.spend(name, cost)


def first_day(per: str, today: str) -> str:
    """The day on which the period began that today lies in."""
    year, month = int(today[:4]), int(today[5:7])
    starts = {"": "", "day": today, "month": f"{today[:7]}-01", "year": f"{year}-01-01"}
    return starts[per] if per in starts else f"{year}-{3 * ((month - 1) // 3) + 1:02d}-01"

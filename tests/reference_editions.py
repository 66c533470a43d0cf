# SPDX-License-Identifier: Apache-2.0
"""Who may do what with a grey list, and when: a model in plain Python that knows nothing of how editions are kept. It
counts working days by a calendar of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

from tests.list_town import EAST, FAR, STAFF, WEST

# The calendar on the wall. Of 2027 nothing is announced yet.
_OFF = {(1, 1): 3, (2, 15): 9, (4, 4): 3, (5, 1): 5, (6, 19): 3, (9, 25): 3, (10, 1): 7}
ONE = timedelta(days=1)
OFF = {date(2026, month, day) + ONE * n for (month, day), days in _OFF.items() for n in range(days)}
WORKED = {date(2026, *day) for day in ((1, 4), (2, 14), (2, 28), (5, 9), (9, 20), (10, 10))}
HOMES = (EAST, WEST, FAR)  # of the shops
DRAFTING, DECIDING = {"community_staff", "street_staff", "county_admin"}, {"approver", "street_staff", "council"}
GREY_MONTHS = 6


def worked(day: date) -> bool:
    return day in WORKED or (day.weekday() < 5 and day not in OFF)


def heard(told: date | None, today: date) -> bool:
    """Were there five working days after the one day and before the other?"""
    return told is not None and sum(worked(told + ONE * n) for n in range(1, (today - told).days)) >= 5


@dataclass
class Line:
    """What the model knows of a line."""

    body: int
    state: str = "proposed"
    told: date | None = None
    until: date | None = None


@dataclass
class List:
    """An edition of the grey list of one month and place."""

    place: str
    drafter: str
    corrects: str = ""
    state: str = "draft"
    freezer: str = ""
    notified: date | None = None
    yes: list[tuple[str, frozenset[str]]] = field(default_factory=list[tuple[str, frozenset[str]]])
    lines: dict[str, Line] = field(default_factory=dict[str, Line])


@dataclass
class Model:
    """Who may do what when, in the words of docs/lists.md. Each method says whether it is done, and does it."""

    keys: list[str]  # of the three deductions
    today: date
    lists: dict[str, List] = field(default_factory=dict[str, List])
    current: dict[str, str] = field(default_factory=dict[str, str])  # place → its newest version
    disputed: dict[str, str] = field(default_factory=dict[str, str])  # key → objection
    undone: set[str] = field(default_factory=set[str])

    def may(self, who: str, roles: set[str], place: str) -> bool:
        return who in STAFF and STAFF[who][0] in roles and place.startswith(STAFF[who][1])

    def person(self, who: str) -> str:
        """`second` and `again` are one."""
        number = STAFF[who][2] if who in STAFF else None
        return who if number is None else f"person {number}"

    def stands(self, key: str) -> bool:
        """Nothing is said against the deduction, and it was not taken back."""
        return key not in self.disputed and key not in self.undone

    def draft(self, who: str, place: str, id: str) -> bool:
        now = self.current.get(place)
        if not self.may(who, DRAFTING, place) or (now and self.lists[now].state != "discarded"):
            return False
        self.lists[id] = List(place, who)
        self.current[place] = id
        return True

    def correct(self, who: str, old: str, id: str) -> bool:
        one = self.lists[old]
        if not self.may(who, DRAFTING, one.place) or self.current[one.place] != old or one.state != "published":
            return False
        self.lists[id] = List(one.place, who, corrects=old)
        self.current[one.place] = id
        return True

    def before(self, id: str) -> list[str]:
        """The versions that it corrects, the last one first."""
        corrected = self.lists[id].corrects
        return [corrected, *self.before(corrected)] if corrected else []

    def elsewhere(self, id: str) -> set[str]:
        """What other lists show or have shown: one deduction is posted once."""
        others = self.lists.keys() - {id, *self.before(id)}
        return {k for one in others for k, line in self.lists[one].lines.items() if line.state in ("posted", "ended")}

    def freeze(self, who: str, id: str) -> bool:
        one = self.lists[id]
        if not self.may(who, DRAFTING, one.place) or one.state != "draft":
            return False
        earlier: dict[str, Line] = {}
        for before in self.before(id):
            earlier = self.lists[before].lines | earlier
        # What is disputed or taken back is on no list; what was not counted the first time is for the next one.
        for body, key in enumerate(self.keys):
            if not HOMES[body].startswith(one.place) or not self.stands(key):
                continue
            one.lines[key] = Line(body)
            if key in earlier:
                old = earlier[key]
                state = "confirmed" if old.state == "posted" else old.state
                one.lines[key] = Line(body, state, old.told, old.until)
        one.state, one.freezer = "frozen", who
        return True

    def notify(self, who: str, id: str) -> bool:
        one = self.lists[id]
        if not self.may(who, DRAFTING, one.place) or one.state != "frozen":
            return False
        one.state, one.notified = "notified", self.today
        for line in one.lines.values():
            if line.state == "proposed":
                line.state = "notified"
        return True

    def discard(self, who: str, id: str) -> bool:
        one = self.lists[id]
        waiting = one.state in ("draft", "frozen", "notified", "decided")
        if not self.may(who, DRAFTING | DECIDING, one.place) or not waiting:
            return False
        one.state = "discarded"
        if one.corrects:
            self.current[one.place] = one.corrects
        return True

    def deliver(self, who: str, id: str, key: str, channel: str) -> bool:
        one, line = self.lists[id], self.lists[id].lines[key]
        own = who == f"body {line.body}" and channel == "read"
        if not own and not self.may(who, DRAFTING | DECIDING, one.place):
            return False
        if line.state == "notified" and line.told is None:
            line.told = self.today
        return True

    def answer(self, who: str, id: str, key: str) -> bool:
        one, line = self.lists[id], self.lists[id].lines[key]
        shown = one.state in ("notified", "decided", "published")
        return who == f"body {line.body}" and shown and line.state not in ("dropped", "ended")

    def decide(self, who: str, id: str, key: str, outcome: str) -> bool:
        one, line = self.lists[id], self.lists[id].lines[key]
        if not self.may(who, DECIDING, one.place) or one.state not in ("frozen", "notified", "decided"):
            return False
        if line.state == "ended" or outcome not in ("confirmed", "dropped"):
            return False
        if outcome == "confirmed" and (not heard(line.told, self.today) or not self.stands(key)):
            return False
        line.state = outcome
        return True

    def publish(self, who: str, id: str) -> bool:
        one = self.lists[id]
        if not self.may(who, DECIDING, one.place) or one.state not in ("notified", "decided"):
            return False
        if not heard(one.notified, self.today):
            return False
        earlier = self.lists[one.corrects].lines if one.corrects else {}
        over = {key for key in one.lines if key in earlier and earlier[key].state == "ended"}
        ready = {key for key, line in one.lines.items() if line.state == "confirmed" and self.stands(key)}
        shown = frozenset(ready - over - self.elsewhere(id))
        yes = [(by, what) for by, what in one.yes if what == shown]
        if {self.person(who)} & {self.person(by) for by in (one.drafter, one.freezer)}:
            return False
        # Who agreed to other lines may agree to these, under the same name.
        if any(self.person(by) == self.person(who) and (what == shown or by != who) for by, what in one.yes):
            return False
        one.yes, one.state = [*yes, (who, shown)], "decided"
        if len(one.yes) == 2:
            one.state = "published"
            for key in over:
                one.lines[key].state, one.lines[key].until = "ended", earlier[key].until
            for key in shown:
                line = one.lines[key]
                line.until = line.until or _months_on(self.today, GREY_MONTHS)
                if line.until >= self.today:  # a correction may come after the end of a line
                    line.state = "posted"
            if one.corrects:
                self.lists[one.corrects].state = "corrected"
        return True

    def repair(self, who: str, id: str, key: str) -> bool:
        one, line = self.lists[id], self.lists[id].lines[key]
        if not self.may(who, DECIDING, one.place) or line.state != "posted":
            return False
        line.state = "ended"
        return True

    def sweep(self) -> None:
        for one in self.lists.values():
            for key, line in one.lines.items():
                if line.state == "posted" and (key in self.undone or (line.until and line.until < self.today)):
                    line.state = "ended"


def _months_on(day: date, months: int) -> date:
    """The day before the same day of the month, so many months later; none of these days is a 29th or later."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, day.day) - ONE

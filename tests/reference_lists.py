# SPDX-License-Identifier: Apache-2.0
"""Lists a second time, as simply as they can be said: one member and one entry at a time, nothing of ours imported.

Written from docs/spec/edition.md, so that one reading of it checks the other. A town is a list of entries (dictionaries
with the fields of the columns), a population a list of (subject, grid, groups, listed); a rule and a pack are given as
they are and only read.
"""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction
from math import floor
from typing import Any

WORD = 2**64


def result(rule: Any, header: dict[str, Any], population: list[Any], entries: list[Any], pack: Any) -> dict[str, Any]:
    """What `result.json` has to say."""
    return _Edition(rule, header, population, entries, pack).result()


class _Edition:
    def __init__(self, rule: Any, header: Any, population: Any, entries: Any, pack: Any) -> None:
        self.rule, self.header, self.pack = rule, header, pack
        self.first, self.last = date.fromisoformat(header["from"]), date.fromisoformat(header["to"])
        self.as_of = {journal: at["size"] for journal, at in header["as_of"].items()}
        self.seen = {journal: at["size"] for journal, at in header["seen"].items()}
        self.entries = entries
        self.everybody = [(line, *member) for line, member in enumerate(sorted(population))]
        self.now = self.standing_deeds(self.as_of, self.seen)
        before = header.get("previous")
        self.before = before and before["as_of"]
        self.then = self.standing_deeds(before["as_of"], before["seen"]) if before else {}

    def standing_deeds(self, as_of: dict[str, int], seen: dict[str, int]) -> dict[tuple[str, int], Any]:
        """What counts: by (journal, seq)."""

        def among(entry: Any, sizes: dict[str, int]) -> bool:
            return entry["seq"] < sizes.get(entry["journal"], 0)

        gone = set()
        for one in self.entries:
            if one["kind"] == "reverse" and among(one, seen):
                gone.add((one["target_journal"], one["target_seq"]))
            if one["kind"] == "objection" and among(one, seen):
                answers = [
                    other
                    for other in self.entries
                    if other["kind"] == "decision"
                    and other["said"] == one["said"]
                    and other["subject"] == one["subject"]
                    and among(other, seen)
                ]
                if not answers:
                    gone.add((one["target_journal"], one["target_seq"]))
        return {
            (one["journal"], one["seq"]): one
            for one in self.entries
            if one["kind"] in ("award", "deduct") and among(one, as_of) and (one["journal"], one["seq"]) not in gone
        }

    def kind_of(self, groups: Any) -> set[str]:
        return {self.pack.groups[code].kind for code in groups if code in self.pack.groups}

    def about(self, kind: str) -> list[Any]:
        """(line, subject, grid, listed) of the members of that kind and of the list's groups."""
        found = []
        for line, subject, grid, groups, listed in self.everybody:
            wanted = set(groups)
            if self.rule.groups and self.rule.kind != "notice":
                wanted &= set(self.rule.groups)
            if kind in self.kind_of(wanted):
                found.append((line, subject, grid, listed))
        return found

    def asks(self, code: str) -> str:
        known = self.pack.indicators.get(code)
        return "E1" if known is None else known.evidence.standing

    def of(self, subject: str) -> dict[str, int]:
        """One member's figures."""
        mine = [deed for deed in self.now.values() if deed["subject"] == subject]
        standing = sum(
            one["standing"]
            for one in self.entries
            if one["kind"] == "open" and one["subject"] == subject and one["seq"] < self.as_of.get(one["journal"], 0)
        )
        for deed in mine:
            if deed["occurred_on"] <= self.last and (deed["lot"] is None or deed["lot"] >= self.last):
                standing += deed["standing"]
        here = [deed for deed in mine if self.first <= deed["occurred_on"] <= self.last]
        awards = [deed for deed in here if deed["kind"] == "award"]
        if self.rule.kind == "honour":
            awards = [deed for deed in awards if self.asks(deed["rule"]) >= max(self.rule.level, "E1")]
        gave = [deed for deed in awards if deed["standing"] > 0 or deed["points"] > 0]
        late = taken_back = 0
        if self.before:
            for key, deed in self.now.items():
                known = deed["journal"] in self.before
                if deed["subject"] == subject and deed["occurred_on"] < self.first and known and key not in self.then:
                    late += deed["standing"]
            for key, deed in self.then.items():
                if deed["subject"] == subject and deed["occurred_on"] < self.first and key not in self.now:
                    taken_back += deed["standing"]
        grey = 0
        if self.rule.clean_months:
            since = self.last + timedelta(days=1)
            since = date(
                since.year + (since.month - 1 - self.rule.clean_months) // 12,
                (since.month - 1 - self.rule.clean_months) % 12 + 1,
                1,
            )
            for deed in mine:
                indicator = self.pack.indicators.get(deed["rule"])
                if since <= deed["occurred_on"] <= self.last and indicator and indicator.grey and deed["standing"] < 0:
                    grey += 1
        return {
            "standing": standing,
            "gained": sum(deed["standing"] for deed in awards if deed["standing"] > 0),
            "points": sum(deed["points"] for deed in awards),
            "awards": len(gave),
            "active": int(bool(gave)),
            "marked": int(any(deed["rule"] in self.rule.indicators for deed in awards)),
            "grey": grey,
            "late": late,
            "taken_back": taken_back,
        }

    def result(self) -> dict[str, Any]:
        return getattr(self, self.rule.kind)()

    # small numbers -------------------------------------------------------------------------------------------------

    def quiet(self, counts: dict[str, int], already: set[str]) -> tuple[set[str], bool]:
        """The units of which nothing is told, and whether their sum is told."""
        found, bare = set(), []
        communities: dict[str, list[str]] = {}
        for unit in counts:
            names = [journal for journal in self.as_of if unit.startswith(journal)]
            communities.setdefault(max(names, key=len, default=""), []).append(unit)
        for units in communities.values():
            small = {unit for unit in units if counts[unit] < self.rule.suppress_below or unit in already}
            others = sorted(set(units) - small, key=lambda unit: (counts[unit], unit))
            if small and self.tells([counts[unit] for unit in small]):
                small.update(others[:1])
            if small and self.tells([counts[unit] for unit in small]):
                bare.append(sum(counts[unit] for unit in small))
            found.update(small)
        return found, not (bare and self.tells(bare))

    def tells(self, hidden: list[int]) -> bool:
        return len(hidden) < 2 or sum(hidden) < self.rule.suppress_below

    # the four kinds ------------------------------------------------------------------------------------------------

    def honour(self) -> dict[str, Any]:
        members = self.about("body" if self.rule.about == "bodies" else "person")
        rows = []
        for _line, subject, grid, listed in members:
            has = self.of(subject)
            if (
                listed
                and (self.rule.min_standing is None or has["standing"] >= self.rule.min_standing)
                and (self.rule.min_gained is None or has["gained"] >= self.rule.min_gained)
                and (not self.rule.indicators or has["marked"])
                and not has["grey"]
            ):
                rows.append({"line": subject, "subject": subject, "grid": grid}
                            | {name: has[name] for name in ("standing", "gained", "awards")})  # fmt: skip
        rows.sort(key=lambda row: (-row["standing"], row["subject"]))
        told = self.rule.about == "bodies" or len(members) >= self.rule.suppress_below
        return {"rows": rows, "totals": {"considered": len(members)} if told else {}}

    def reminder(self) -> dict[str, Any]:
        grids = {subject: grid for _line, subject, grid, _listed in self.about("body")}
        rows, minor = [], 0
        for (journal, seq), deed in self.now.items():
            items = [item for item in self.rule.items if item.indicator == deed["rule"]]
            late = self.before and deed["occurred_on"] < self.first and seq >= self.before.get(journal, seq + 1)
            if not items or deed["subject"] not in grids or deed["standing"] >= 0:
                continue
            if self.asks(deed["rule"]) < self.rule.level or not (
                self.first <= deed["occurred_on"] <= self.last or late
            ):
                continue
            if items[0].class_ == "minor" or -deed["standing"] < (items[0].least or 0):
                minor += 1
                continue
            row = {
                "line": f"{journal}/{seq}", "journal": journal, "seq": seq, "subject": deed["subject"],
                "grid": grids[deed["subject"]], "indicator": deed["rule"], "class": items[0].class_,
                "months": items[0].months, "occurred_on": deed["occurred_on"].isoformat(), "standing": deed["standing"],
            }  # fmt: skip
            rows.append(row | {"late": 1} if late else row)
        rows.sort(key=lambda row: (row["occurred_on"], row["journal"], row["seq"]))
        return {"rows": rows, "totals": {"minor": minor}}

    def notice(self) -> dict[str, Any]:
        persons, bodies = self.about("person"), self.about("body")
        names = ("active", "awards", "gained", "points", "late", "taken_back")
        rows = []
        for unit in self.header["units"]:
            have = [self.of(subject) for _line, subject, grid, _listed in persons if grid == unit]
            rows.append({"grid": unit, "people": len(have)} | {name: sum(one[name] for one in have) for name in names})
        totals = {name: sum(row[name] for row in rows) for name in ("people", *names)}
        lived_in = [row for row in rows if row["people"]]
        unnamed, people_told = self.quiet({row["grid"]: row["people"] for row in lived_in}, set())
        unsaid, deeds_told = self.quiet({row["grid"]: row["active"] for row in lived_in}, unnamed)
        for row in rows:
            for name in (*("people" for _ in [0] if row["grid"] in unnamed), *(names if row["grid"] in unsaid else ())):
                del row[name]
        for told, about in ((people_told, ("people",)), (deeds_told, names)):
            totals = {name: value for name, value in totals.items() if told or name not in about}
        said: dict[str, list[Any]] = {"bodies": [], "persons": []}
        for part, members in (("bodies", bodies), ("persons", persons)):
            for _line, subject, grid, listed in members:
                has = self.of(subject)
                if listed and (has["gained"] > 0 or has["points"] > 0):
                    said[part].append({"line": subject, "subject": subject, "grid": grid, "gained": has["gained"],
                                       "points": has["points"], "awards": has["awards"]})  # fmt: skip
        return {"grids": rows, **said, "totals": totals}

    def ranking(self) -> dict[str, Any]:
        rule = self.rule
        lived: dict[str, list[tuple[int, int, dict[str, int]]]] = {}  # unit → (line, value, figures)
        for line, subject, grid, _listed in self.about("person"):
            if grid in self.header["units"]:
                has = self.of(subject)
                gained = has["gained"] + has["late"] - has["taken_back"]
                lived.setdefault(grid, []).append((line, has["standing"] if rule.metric == "standing" else gained, has))
        ranked, few, empty = {}, {}, []
        for unit in self.header["units"]:
            people = lived.get(unit)
            if people is None:
                empty.append(unit)
                continue
            active = sum(has["active"] for _line, _value, has in people)
            enough = active >= rule.minimum.active and (rule.metric == "standing" or active >= rule.suppress_below)
            if len(people) >= max(rule.minimum.people, rule.suppress_below) and enough:
                ranked[unit] = people
            else:
                few[unit] = people
        heads = {unit: _half_up(sum(p[1] for p in people), len(people)) for unit, people in ranked.items()}
        spreads = self.spreads(ranked, heads)
        between, drawn_in = _drawn_in({unit: [p[1] for p in people] for unit, people in ranked.items()})
        active = {unit: sum(p[2]["active"] for p in people) for unit, people in ranked.items()}
        quiet, told = self.quiet(active, set())
        rows = []
        for unit, people in ranked.items():
            row = {"grid": unit, "state": "ranked", "people": len(people), "total": sum(p[1] for p in people)}
            row |= {"per_head": heads[unit], "rank": 1 + sum(head > heads[unit] for head in heads.values())}
            row["ties"] = sum(head == heads[unit] for head in heads.values())
            sums = {n: sum(p[2][n] for p in people) for n in ("active", "gained", "late", "taken_back")}
            row["flags"] = [
                flag.code
                for flag in rule.flags
                if (flag.min_per_head is None or heads[unit] >= flag.min_per_head)
                and Fraction(sums["active"], len(people)) >= Fraction(flag.min_participation or 0, 100)
            ]
            if unit not in quiet:
                row |= sums | {"gained_per_head": _half_up(sums["gained"], len(people))}
            if rule.interval is not None:
                row |= spreads[unit]
            if rule.shrink is not None and drawn_in:
                row["shrunken"] = drawn_in[unit]
            rows.append(row)
        rows.sort(key=lambda row: (row["rank"], row["grid"]))
        unnamed, _ = self.quiet({unit: len(people) for unit, people in few.items()}, set())
        for unit in sorted(few):
            row = {"grid": unit, "state": "too_few", "people": len(few[unit])}
            rows.append({k: v for k, v in row.items() if k != "people" or unit not in unnamed})
        rows += [{"grid": unit, "state": "empty"} for unit in sorted(empty)]
        everyone = [p for people in ranked.values() for p in people]
        totals = {"people": len(everyone), "total": sum(p[1] for p in everyone)}
        if told:
            totals |= {n: sum(p[2][n] for p in everyone) for n in ("active", "gained", "late", "taken_back")}
        totals |= {"ranked": len(ranked), "too_few": len(few), "empty": len(empty)}
        return {"rows": rows, "totals": totals, "method": between if rule.shrink is not None else {}}

    def spreads(self, ranked: Any, heads: dict[str, int]) -> dict[str, dict[str, int]]:
        if self.rule.interval is None:
            return {}
        seed = int(self.header["seed"][:16], 16)
        count = self.rule.interval.replicates
        words = (count + 7) // 8
        redone: dict[str, list[int]] = {unit: [] for unit in ranked}
        for replicate in range(count):
            for unit, people in ranked.items():
                drawn = total = 0
                for line, value, _has in people:
                    word = _splitmix(seed, line * words + replicate // 8)
                    byte = word >> (8 * (replicate % 8)) & 255
                    weight = sum(byte >= least for least in (94, 188, 235, 251, 255))
                    drawn, total = drawn + weight, total + weight * value
                redone[unit].append(_half_up(total, drawn) if drawn else heads[unit])
        cut = count * (100 - self.rule.interval.percent) // 200
        found = {}
        for unit, mine in redone.items():
            ranks = sorted(
                1 + sum(other[replicate] > head for other in redone.values()) for replicate, head in enumerate(mine)
            )
            found[unit] = {"low": ranks[cut], "high": ranks[-1 - cut]}
            found[unit] |= {"per_head_low": sorted(mine)[cut], "per_head_high": sorted(mine)[-1 - cut]}
        return found


def _half_up(numerator: int | Fraction, denominator: int = 1) -> int:
    return floor(Fraction(numerator) / denominator + Fraction(1, 2))


def _splitmix(seed: int, number: int) -> int:
    """Output `number`, from 0, of splitmix64 started with `seed`."""
    z = (seed + (number + 1) * 0x9E3779B97F4A7C15) % WORD
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % WORD
    z = (z ^ z >> 27) * 0x94D049BB133111EB % WORD
    return z ^ z >> 31


def _drawn_in(values: dict[str, list[int]]) -> tuple[dict[str, int], dict[str, int]]:
    """The method's figures, and each unit's mean drawn towards the mean of all."""
    every = [value for many in values.values() for value in many]
    if len(values) < 2 or len(every) <= len(values):
        return {}, {}
    means = {unit: Fraction(sum(many), len(many)) for unit, many in values.items()}
    grand = Fraction(sum(every), len(every))
    inside = sum(((value - means[unit]) ** 2 for unit, many in values.items() for value in many), Fraction(0))
    within = inside / (len(every) - len(values))
    squares = ((means[unit] - grand) ** 2 * len(many) for unit, many in values.items())
    apart = sum(squares, Fraction(0)) / (len(values) - 1)
    size = (len(every) - Fraction(sum(len(many) ** 2 for many in values.values()), len(every))) / (len(values) - 1)
    between = max(Fraction(0), (apart - within) / size)
    drawn_in = {}
    for unit, many in values.items():
        known = Fraction(1) if between == within == 0 else between / (between + within / len(many))
        drawn_in[unit] = _half_up(grand + known * (means[unit] - grand))
    return {"mean": _half_up(grand), "between": _half_up(between), "within": _half_up(within)}, drawn_in

# SPDX-License-Identifier: Apache-2.0
"""Random packs and random histories for them, and what the engine says of each event, asked one by one
and counted again from its trace."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random
from typing import Any

import polars as pl

from rules.backtest.history import EVENTS, PEOPLE, Facts, History
from rules.engine.calendar import WINDOWS, iso
from rules.engine.evaluate import Outcome, evaluate
from rules.engine.model import LEVELS, ExclusionSet, HighestSet, Indicator, Pack
from rules.engine.recount import recount

FIRST = date(2024, 1, 1)
WORDS = {"gold": {"zh": "金", "en": "gold"}, "tin": {"zh": "锡", "en": "tin"}}
BANDS = tuple(
    {"code": code, "name": {"zh": code, "en": code}, "min": least} for code, least in (("AAA", 105_000), ("B", 0))
)
NAME = {"zh": "名", "en": "name"}


def indicator(code: str, **said: Any) -> Indicator:
    """A rule over whole `minutes` and a `prize`; what is not said is as plain as it can be."""
    given = {
        "code": code,
        "name": NAME,
        "group": "G3",
        "category": "volunteering",
        "effective": {"from": FIRST},
        "fields": (
            {"name": "minutes", "type": "int", "unit": "minute", "label": NAME, "min": 0, "max": 600},
            {"name": "prize", "type": "enum", "label": NAME, "values": WORDS, "default": "tin"},
        ),
        "reversal": "only_available",
        "citation": {"source": "proposal"},
        **said,
    }
    return Indicator.model_validate(given)


def pack_of(*rules: Indicator, **said: Any) -> Pack:
    """A pack of exactly these indicators."""
    given = {
        "id": "made",
        "version": "1.0.0",
        "name": NAME,
        "effective_from": FIRST,
        "adoption": {"status": "draft", "body": "test"},
        "sources": {},
        "categories": {},
        "hash": "00" * 32,
        "groups": {},
        "bands": BANDS,
        "indicators": {rule.code: rule for rule in rules},
        **said,
    }
    return Pack.model_validate(given)


def random_pack(rng: Random) -> Pack:
    """One to four indicators with nested caps, all value forms, and now and then a set over some of them."""
    codes = [f"XX-{number:02d}" for number in range(1, rng.randint(1, 4) + 1)]
    highest = {"best": HighestSet.model_validate({"name": NAME, "window": rng.choice(WINDOWS[1:])})}
    hats = {"hats": ExclusionSet.model_validate({"name": NAME, "by": rng.choice(["day", "day", "case"])})}
    sets = rng.random() < 0.4
    rules: list[Indicator] = []
    for code in codes:
        said = _rule(rng)
        if sets and "standing" in said and said["standing"]["kind"] != "ladder" and rng.random() < 0.6:
            said["highest_only"] = "best"
        if sets and rng.random() < 0.6:
            said["exclusion"] = "hats"
        rules.append(indicator(code, **said))
    return pack_of(*rules, highest_sets=highest if sets else {}, exclusion_sets=hats if sets else {})


def _rule(rng: Random) -> dict[str, Any]:
    caps: list[dict[str, Any]] = []
    on_minutes = _nested(rng, "minutes", 240)
    said: dict[str, Any] = {"evidence": {"standing": rng.choice(["E0", "E1"]), "points": rng.choice(LEVELS[1:4])}}
    if rng.random() < 0.2:
        said["effective"] = {"from": FIRST + timedelta(days=20), "to": FIRST + timedelta(days=120)}
    books = rng.choice(["standing", "points", "both"])
    if books != "points":
        said["standing"] = _ladder(rng, on_minutes) if on_minutes and rng.random() < 0.3 else _value(rng)
    if books != "standing":
        said["points"] = _value(rng)
    if said.get("standing", {}).get("kind") != "ladder" and rng.random() < 0.1:
        said["direction"] = "minus"
    if rng.random() < 0.3:
        said["when"] = rng.choice(["minutes >= 30", "prize == 'gold' || minutes > 100", "weekday(occurred_on) < 6"])
    caps += on_minutes
    for on, amount in (("count", 3), ("standing", 400), ("points", 400)):
        if on in ("count", *said):
            caps += _nested(rng, on, amount)
    return {**said, "caps": tuple(caps)}


def _nested(rng: Random, on: str, amount: int) -> list[dict[str, Any]]:
    chosen = [window for window in WINDOWS if rng.random() < 0.35]
    most, caps = 0, list[dict[str, Any]]()
    for window in chosen:
        most += rng.randint(1, amount)
        caps.append({"id": f"{on}_{window}", "on": on, "window": window, "max": most})
    return caps


def _ladder(rng: Random, caps: list[dict[str, Any]]) -> dict[str, Any]:
    ats = sorted(rng.sample(range(1, 600), rng.randint(1, 4)))
    levels = sorted(rng.sample(range(1, 900), len(ats)))
    steps = tuple({"at": at, "level": level} for at, level in zip(ats, levels, strict=True))
    return {"kind": "ladder", "field": "minutes", "cap": rng.choice(caps)["id"], "steps": steps}


def _value(rng: Random) -> dict[str, Any]:
    rounding = rng.choice(["unit", "hundredth"])
    match rng.randrange(5):
        case 0:
            return {"kind": "fixed", "amount": rng.randint(0, 200)}
        case 1:
            return {"kind": "tier", "field": "prize", "amounts": {word: rng.randint(0, 300) for word in WORDS}}
        case 2:
            low, high = sorted(rng.sample(range(1, 500), 2))
            stretches = [low, high, None]
            brackets = tuple(
                {"up_to": up_to, "unit": rng.randint(1, 60), "amount": rng.randint(0, 90)} for up_to in stretches
            )
            return {"kind": "brackets", "field": "minutes", "brackets": brackets, "rounding": rounding}
        case 3:
            return {"kind": "formula", "expr": "prize == 'gold' ? div_floor(minutes * 7, 3) : min(minutes, 90) + 1"}
    unit, amount = rng.randint(1, 60), rng.randint(0, 90)
    return {"kind": "per_unit", "field": "minutes", "unit": unit, "amount": amount, "rounding": rounding}


def random_history(rng: Random, codes: list[str], size: int) -> History:
    """Deeds of a few people over half a year, in the order of their entry: late ones, wrong ones, taken-back ones."""
    deeds = sorted((rng.randrange(180), rng.random()) for _ in range(size))
    rows: list[dict[str, Any]] = []
    facts: list[Facts] = []
    moment = 0
    open_rows: list[int] = []
    for posted, _ in deeds:
        while open_rows and rng.random() < 0.12:  # taken back before the next deed is entered
            rows[open_rows.pop(rng.randrange(len(open_rows)))]["back"] = moment
            moment += 1
        said: dict[str, int | str] = {"minutes": rng.choice([0, 20, 60, 60, 120, 240, 600, 601])}
        if rng.random() < 0.5:
            said["prize"] = rng.choice(["gold", "tin", "tin", "clay"])
        if rng.random() < 0.02:
            said["other"] = 1
        if said not in facts:
            facts.append(said)
        posted_on = FIRST + timedelta(days=posted)
        late = rng.choice([0, 0, 1, 3, 20, 45, -1])
        open_rows.append(len(rows))
        rows.append(
            {
                "order": moment, "journal": "east", "seq": moment, "subject": rng.randrange(3),
                "indicator": rng.choice(codes), "group": "G3", "occurred_on": posted_on - timedelta(days=late),
                "posted_on": posted_on, "takeover": rng.random() < 0.1, "level": rng.choice(LEVELS),
                "facts": None if rng.random() < 0.02 else facts.index(said),
                "standing": 7, "points": 5, "outcome": "posted", "back": None, "pack": None,
            }
        )  # fmt: skip
        moment += 1
    people = [(f"sub_{number}", "person", "east", f"east-{number % 2}") for number in range(3)]
    return History(
        pl.DataFrame(rows, schema=dict(EVENTS), orient="row"),
        pl.DataFrame(people, schema=dict(PEOPLE), orient="row"),
        facts,
    )


def asked_one_by_one(history: History, pack: Pack) -> list[tuple[Any, ...]]:
    """(order, state, code, standing, points) of every event, from the engine, with tallies kept as the ledger does."""
    rows = {row["order"]: row for row in history.events.iter_rows(named=True)}
    backs = {row["back"]: row for row in rows.values() if row["back"] is not None}
    used: dict[int, dict[tuple[str, str], int]] = {}
    made: dict[int, Outcome] = {}
    said: list[tuple[Any, ...]] = []
    for moment in sorted(rows | backs):
        row = rows.get(moment)
        if row is None:
            row = backs[moment]
            for cap in made[row["order"]].caps if row["order"] in made else ():
                used[row["subject"]][cap.id, iso(cap.start)] -= cap.let
            continue
        if row["facts"] is None:
            said.append((moment, "carried", None, row["standing"], row["points"]))
            continue
        rule = pack.indicators.get(row["indicator"])
        if rule is None:
            said.append((moment, "refused", "not_in_pack", 0, 0))
            continue
        tallies = used.setdefault(row["subject"], {})
        outcome = evaluate(
            pack, rule, facts=history.facts[row["facts"]], evidence_level=row["level"],
            occurred_on=row["occurred_on"], posted_on=row["posted_on"], used=tallies, takeover=row["takeover"],
        )  # fmt: skip
        if isinstance(outcome, Outcome):
            made[moment] = outcome
            for cap in outcome.caps:
                tallies[cap.id, iso(cap.start)] = cap.used_before + cap.let
            assert recount(outcome.trace) == (outcome.standing, outcome.points)
            said.append((moment, outcome.state, None, outcome.standing, outcome.points))
        else:
            said.append((moment, "refused", outcome.code, 0, 0))
    return said

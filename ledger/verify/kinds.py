# SPDX-License-Identifier: Apache-2.0
"""What each kind of entry may do: `data`, links and postings follow from what was there before, and are compared with
what the entry says. docs/spec/entry.md, *Kinds*. Each function takes the book and an entry that `reading` has passed,
raises `Fault`, and leaves the book as it is after the entry."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from ledger import codec
from ledger.model import EXPIRED, FOREVER, ISSUER, POINTS, REDEEMED, STANDING, UNITS
from ledger.verify.book import SKEW_US, Book, Counts, Departure, Held, Member, lines_of
from ledger.verify.reading import (
    Fault,
    Line,
    day_of_cause,
    exactly,
    is_day,
    is_hash,
    is_instant,
    is_month,
    is_name,
    is_period,
    is_whole,
    need,
)

GRACE_DAYS = 30
Entry = dict[str, Any]


def apply(book: Book, entry: Entry) -> None:
    """Check an entry against the book and apply it."""
    kind, seq = entry["kind"], entry["seq"]
    need((seq == 0) == (kind == "open" and "subject" not in entry), "a journal is opened by its entry 0, once")
    need(not book.passing or kind == "release", "the refund before was not passed on")
    rule = _RULES.get(kind)
    if rule is None:
        raise Fault(f"entries of kind {kind} are not written")
    points = standing = 0
    for _, unit, _, amount in entry["lines"]:
        if unit == POINTS:
            points += amount
        else:
            standing += amount
    need(not points and not standing, "postings do not sum to zero")
    if entry["caps"] and kind not in ("award", "deduct", "reverse"):
        raise Fault(f"a {kind} counts in no cap")
    if len(entry["links"]) != (1 if kind in _LINKED else 0) and kind not in _MAY_LINK:
        raise Fault(f"a {kind} has other links")
    rule(book, entry)


def _link(entry: Entry, rel: str) -> dict[str, Any]:
    links = entry["links"]
    need(len(links) == 1 and links[0]["rel"] == rel, f"a {entry['kind']} links one {rel}")
    return links[0]


def _expect(book: Book, entry: Entry, made: Callable[[str], list[Line]]) -> None:
    """The postings are those that follow, on the day of the entry."""
    if not any(entry["lines"] == made(day) for day in book.days()):
        raise Fault(f"these are not the postings of this {entry['kind']}")


def _no_data(entry: Entry) -> None:
    if "data" in entry:
        raise Fault(f"a {entry['kind']} has no data")


# opening and policy ------------------------------------------------------------------------------------------------


def _open(book: Book, entry: Entry) -> None:
    if entry["seq"] == 0:
        data = exactly(entry.get("data"), ("origin", "policy", "recovery", "vkey"))
        need(all(is_name(data[name]) for name in ("origin", "recovery", "vkey")), "entry 0 does not say who signs")
        policy = exactly(data["policy"], ("takeover", "zone"), data["policy"])
        need(is_name(policy["zone"]), "entry 0 has no zone")
        need(policy.get("takeover") in (0, 1), "entry 0 does not say whether the take-over window is open")
        need(entry["lines"] == [], "entry 0 posts nothing")
        book.genesis = data
        book.zone, book.takeover = str(policy["zone"]), int(policy["takeover"])
        return
    subject = entry["subject"]
    data = exactly(entry.get("data"), ("base", "kind"))
    need(data["kind"] in ("person", "body") and is_whole(data["base"]), "data has not the fields of its kind")
    need(subject not in book.members, "the account was open already")
    base = data["base"]
    lines = [(ISSUER, STANDING, FOREVER, -base), (f"subject:{subject}", STANDING, FOREVER, base)] if base else []
    need(entry["lines"] == lines, "these are not the postings of this open")
    book.enter(subject, data["kind"], entry["seq"])
    book.post(lines)


def _policy(book: Book, entry: Entry) -> None:
    need(entry["lines"] == [], "a policy posts nothing")
    data = exactly(entry.get("data"), (), ("takeover", "loss", "pack"))
    need(len(data) == 1, "data has not the fields of its kind")
    if "pack" in data:
        pack = exactly(data["pack"], ("effective_from", "hash", "id", "version"))
        named = is_name(pack["id"]) and is_name(pack["version"]) and is_hash(pack["hash"])
        need(named and is_day(pack["effective_from"]), "data has not the fields of its kind")
        return
    if "takeover" in data:
        need(data["takeover"] == 0 and book.takeover == 1, "the take-over window is closed once")
        book.takeover = 0
        return
    loss = exactly(data["loss"], ("log", "reason", "root", "signature", "size"))
    texts = all(type(loss[name]) is str for name in ("log", "reason", "signature"))
    need(texts and is_hash(loss["root"]) and is_whole(loss["size"], 1), "data has not the fields of its kind")
    book.losses.append((entry["seq"], loss))


def _key(book: Book, entry: Entry) -> None:
    data = exactly(entry.get("data"), ("vkey", "authority"))
    need(is_name(data["vkey"]) and data["authority"] in ("signing", "recovery"), "data has not the fields of its kind")
    need(entry["lines"] == [], "a key posts nothing")
    book.keys.append((entry["seq"], data["vkey"], data["authority"]))


def _seal(book: Book, entry: Entry) -> None:
    data = exactly(entry.get("data"), ("accounts", "as_of_size", "state_root"))
    need(is_hash(data["state_root"]) and is_whole(data["accounts"]), "data has not the fields of its kind")
    before = book.seals[-1][1]["as_of_size"] if book.seals else 0
    need(is_whole(data["as_of_size"], before + 1) and data["as_of_size"] <= entry["seq"], "seals rise in as_of_size")
    need(entry["lines"] == [], "a seal posts nothing")
    need(book.sealed.get(data["as_of_size"]) == data, "the seal is not the root over the accounts")
    book.seals.append((entry["seq"], data))


# deeds -------------------------------------------------------------------------------------------------------------


def _award(book: Book, entry: Entry) -> None:
    subject, lines, seq = entry["subject"], entry["lines"], entry["seq"]
    found = book.member(subject)
    expected: list[Line] = []
    standing = points = 0
    rest = list(lines)
    if rest and rest[0][:2] == (ISSUER, STANDING):
        standing = -rest[0][3]
        role = "subject" if standing > 0 else "minus"
        lot = rest[1][2] if len(rest) > 1 else FOREVER
        expected += [(ISSUER, STANDING, FOREVER, -standing), (f"{role}:{subject}", STANDING, lot, standing)]
        rest = rest[2:]
    if rest:
        points = left = -rest[0][3]
        need(points > 0, "an award gives")
        expected.append((ISSUER, POINTS, FOREVER, -points))
        owed = book.lots(f"debt:{subject}", POINTS) if found.kind == "body" else []
        for lot, debt in owed:
            repaid = min(left, -debt)
            if repaid:
                expected.append((f"debt:{subject}", POINTS, lot, repaid))
                left -= repaid
        if left:
            expected.append((f"subject:{subject}", POINTS, rest[-1][2], left))
    need(lines == expected, f"these are not the postings of this {entry['kind']}")
    need((entry["kind"] == "deduct") == (standing < 0), f"these are not the postings of this {entry['kind']}")
    need(standing >= 0 or found.kind == "body", "only a body can lose standing")
    if book.takeover:
        need(entry.get("data") == {"takeover": 1}, "inside the take-over window an award says so")
    else:
        _no_data(entry)
    begins = entry["cause"][:4]
    need(begins in ("ffff", day_of_cause(entry["occurred_on"])), "cause begins with another day than occurred_on")
    if entry["links"]:
        link = _link(entry, "replaces")
        place = link.get("journal", book.journal), link["seq"]
        there = book.entry(*place, link["leaf"])
        need(there.get("cause") == entry["cause"], "it replaces an award of another deed")
        book.abroad.replaced.append((seq, entry["recorded_at"], entry["cause"], place))
    else:
        book.causes.append(entry["cause"])
        book.cause_seqs.append(seq)
    for cap in entry["caps"]:
        need(cap["let"] >= 0, "a cap lets nothing back in an award")
        book.count(seq, subject, found, cap)
    book.post(lines)
    book.note_debt(subject)


def _reverse(book: Book, entry: Entry) -> None:
    subject = entry["subject"]
    found = book.member(subject)
    link = _link(entry, "reverses")
    place = (link.get("journal", book.journal), link["seq"])
    original = book.entry(*place, link["leaf"])
    need(original.get("kind") in ("award", "deduct"), "only awards and deductions are reversed")
    for name in ("subject", "group", "place", "rule", "pack"):
        need(entry.get(name) == original.get(name), f"{name} is another than that of the entry it reverses")
    need(place not in book.abroad.reversals, "reversed twice")
    data = exactly(entry.get("data"), ("lapsed", "policy", "shortfall"), ("reason",))
    need(data["policy"] in ("only_available", "within_balance", "allow_debt"), "data has not the fields of its kind")
    need(is_whole(data["shortfall"]) and is_whole(data["lapsed"]), "data has not the fields of its kind")
    need("reason" not in data or is_name(data["reason"]), "data has not the fields of its kind")
    policy = data["policy"] if found.kind == "body" else ""
    said = (entry["lines"], data["shortfall"], data["lapsed"])
    fitting = [_undone(book, subject, lines_of(original), policy, day) for day in book.days()]
    need(any(said[0] == lines for lines, _, _ in fitting), "these are not the postings of this reverse")
    need(said in fitting, "shortfall or lapsed is another than what was not given back")
    counted = [{**cap, "let": -cap["let"]} for cap in original["caps"] if cap["let"]]
    told = [{name: cap[name] for name in cap if name != "used_before"} for cap in entry["caps"]]
    for cap in counted:
        del cap["used_before"]
    need(told == counted, "it gives back other caps than the entry it reverses had counted")
    for cap in entry["caps"]:
        book.count(entry["seq"], subject, found, cap)
    first = "" if any(one["rel"] == "replaces" for one in original["links"]) else original["cause"]
    book.abroad.reversals[place] = (entry["seq"], data["shortfall"], first)
    book.post(entry["lines"])
    book.note_debt(subject)


def _undone(book: Book, subject: str, lines: list[Line], policy: str, day: str) -> tuple[list[Line], int, int]:
    """Postings, shortfall and what had lapsed, when these lines of an award are taken back on that day."""
    back: list[Line] = []
    shortfall = lapsed = 0
    for account, unit, lot, amount in lines:
        if account == ISSUER:
            continue
        if lot < day:
            lapsed += abs(amount)
        elif account.startswith("debt:"):
            back += [(account, unit, lot, -amount), (ISSUER, unit, FOREVER, amount)]
        elif account.startswith("minus:"):
            part = min(-amount, -dict(book.lots(account, unit)).get(lot, 0))
            back += [(account, unit, lot, part), (ISSUER, unit, FOREVER, -part)]
        else:
            taken, missing = _taken(book, account, unit, lot, amount, policy, day)
            if missing and policy == "allow_debt" and unit == POINTS:
                taken.append((f"debt:{subject}", unit, FOREVER, -missing))
                missing = 0
            back += [*taken, (ISSUER, unit, FOREVER, -sum(line[3] for line in taken))]
            shortfall += missing
    return [line for line in back if line[3]], shortfall, lapsed


def _taken(book: Book, account: str, unit: str, lot: str, amount: int, policy: str, day: str) -> tuple[list[Line], int]:
    """What `account` gives back, from the award's own lot first, and what it cannot."""
    stock = dict(book.lots(account, unit))
    days = [lot]
    if policy in ("within_balance", "allow_debt"):
        days += [one for one in stock if one != lot and one >= day]
    taken: list[Line] = []
    for one in days:
        part = min(amount, stock.get(one, 0))
        if part > 0:
            taken.append((account, unit, one, -part))
            amount -= part
    return taken, amount


# objections --------------------------------------------------------------------------------------------------------


def _objection(book: Book, entry: Entry) -> None:
    data = exactly(entry.get("data"), ("due", "id"))
    need(is_name(data["id"]) and is_day(data["due"]), "data has not the fields of its kind")
    if entry["links"]:
        disputed = _linked(book, entry, "disputes")
        need(disputed.get("subject", entry["subject"]) == entry["subject"], "it disputes an entry of somebody else")
    _said(book, entry)


def _decision(book: Book, entry: Entry) -> None:
    data = exactly(entry.get("data"), ("id", "outcome"))
    need(data["outcome"] in ("upheld", "partly", "rejected", "withdrawn"), "data has not the fields of its kind")
    made = _linked(book, entry, "decides")
    same = (made["kind"], made.get("subject"), made.get("data", {}).get("id"))
    need(same == ("objection", entry["subject"], data["id"]), "it decides no objection of this subject and id")
    _said(book, entry)


def _said(book: Book, entry: Entry) -> None:
    """About an account that is open; nothing is posted, and of each objection one is made and one decided."""
    book.member(entry["subject"])
    need(entry["lines"] == [], f"a {entry['kind']} posts nothing")
    _once(book, entry["kind"], entry["data"]["id"])


def _once(book: Book, *said: str) -> None:
    need(said not in book.once, f"a second {said[0]} with this id")
    book.once.add(said)


def _linked(book: Book, entry: Entry, rel: str) -> dict[str, Any]:
    """The earlier entry that the one link names."""
    link = _link(entry, rel)
    found = book.find(link.get("journal", entry["journal"]), link["seq"])
    there = found is not None and found[1].hex() == link["leaf"]
    need(there and ("journal" in link or link["seq"] < entry["seq"]), "the entry it links is not there")
    assert found is not None
    return codec.decode(found[0])


# lots --------------------------------------------------------------------------------------------------------------


def _expire(book: Book, entry: Entry) -> None:
    _no_data(entry)
    subject = entry["subject"]

    def made(day: str) -> list[Line]:
        lines: list[Line] = []
        for account in (f"subject:{subject}", f"minus:{subject}"):
            if min([lot for _, lot in book.accounts.get(account, ())], default=day) >= day:
                continue
            for unit in UNITS:
                for lot, amount in book.lots(account, unit):
                    if lot < day:
                        lines += [(account, unit, lot, -amount), (EXPIRED, unit, FOREVER, amount)]
        return lines

    need(entry["lines"], "nothing lapses in it")
    _expect(book, entry, made)
    book.post(entry["lines"])


def _relot(book: Book, entry: Entry) -> None:
    subject, lines = entry["subject"], entry["lines"]
    book.member(subject)
    data = exactly(entry.get("data"), ("reason",))
    need(is_name(data["reason"]), "data has not the fields of its kind")
    need(len(lines) == 2, "these are not the postings of this relot")
    (account, unit, lot, out), (into, other, later, amount) = lines
    need(account == into == f"subject:{subject}" and unit == other, "these are not the postings of this relot")
    need(out == -amount < 0 and later > lot, "these are not the postings of this relot")
    need(lot >= min(book.days()), "a lot past its day gets no later one")
    book.post(lines)


def _erase(book: Book, entry: Entry) -> None:
    _no_data(entry)
    subject = entry["subject"]
    found = book.member(subject)
    lines: list[Line] = []
    for account, unit, lot, amount in book.everything(subject):
        lines += [(account, unit, lot, -amount), (EXPIRED, unit, FOREVER, amount)]
    need(entry["lines"] == lines, "these are not the postings of this erase")
    book.post(lines)
    found.state = "erased"
    book.abroad.erased.add(subject)


# spending ----------------------------------------------------------------------------------------------------------


def _hold(book: Book, entry: Entry) -> None:
    subject, lines = entry["subject"], entry["lines"]
    book.member(subject)
    data = exactly(entry.get("data"), ("expires_at",))
    need(is_instant(data["expires_at"]), "data has not the fields of its kind")
    need(len(lines) >= 2 and lines[1][0].startswith("held:"), "these are not the postings of this hold")
    account, held = f"subject:{subject}", lines[1][0]
    name = held.removeprefix("held:")
    need(name not in book.holds, f"hold {name} was opened before")
    need(not book.lots(f"debt:{subject}", POINTS), "while a debt stands nothing is set aside")
    amount = sum(line[3] for line in lines if line[0] == held)

    def made(day: str) -> list[Line]:
        expected: list[Line] = []
        left = amount
        for lot, there in book.lots(account, POINTS):
            part = min(left, there)
            if lot >= day and part > 0:
                expected += [(account, POINTS, lot, -part), (held, POINTS, lot, part)]
                left -= part
        return expected

    stock = dict(book.lots(account, POINTS))
    for line in lines:
        if line[0] == account and -line[3] > stock.get(line[2], 0):
            raise Fault(f"balance of {account} in lot {line[2]} would be {stock.get(line[2], 0) + line[3]}")
    _expect(book, entry, made)
    book.post(lines)
    lots = {line[2]: [line[3], 0] for line in lines[1::2]}
    book.holds[name] = Held(subject, data["expires_at"], amount, entry["seq"], entry["leaf"], lots)


def _held(book: Book, entry: Entry) -> tuple[str, Held]:
    """The hold that an entry touches and links."""
    accounts = {line[0] for line in entry["lines"] if line[0].startswith("held:")}
    need(len(accounts) == 1, f"a {entry['kind']} must touch one hold, this touches {len(accounts)}")
    name = accounts.pop().removeprefix("held:")
    found = book.holds.get(name)
    if found is None:
        found = book.recall(name, entry["links"][0]["seq"] if entry["links"] else 0)
    link = _link(entry, "hold")
    same = "journal" not in link and (link["seq"], link["leaf"]) == (found.seq, found.leaf)
    need(same, f"it does not link the entry that opened hold {name}")
    return name, found


def _terms(entry: Entry) -> None:
    if "data" in entry:
        data = exactly(entry["data"], (), ("budget", "fen_per_point", "scenario"))
        named = is_name(data.get("scenario", "-")) and is_name(data.get("budget", "-"))
        need(named and is_whole(data.get("fen_per_point", 0)), "data has not the fields of its kind")


def _at(instant: str) -> int:
    moment = datetime.fromisoformat(instant)
    return int(moment.replace(microsecond=0).timestamp()) * 1_000_000 + moment.microsecond


def _capture(book: Book, entry: Entry) -> None:
    _terms(entry)
    lines = entry["lines"]
    name, found = _held(book, entry)
    need(found.state == "held", f"hold {name} is {found.state}")
    need(book.recorded_at - SKEW_US < _at(found.expires_at), f"hold {name} had run out")
    amount = left = lines[-1][3]
    need(lines[-1][0].startswith("merchant:") and amount > 0, "these are not the postings of this capture")
    merchant = lines[-1][0].removeprefix("merchant:")
    need(found.merchant in ("", merchant), f"{found.merchant} has captured from hold {name}, another does now")
    there = sum(part[0] for part in found.lots.values())
    need(amount <= there, f"balance of held:{name} would be {there - amount}")
    expected: list[Line] = []
    parts: list[tuple[list[int], int]] = []
    for lot in sorted(found.lots):
        part = min(left, found.lots[lot][0])
        if part:
            expected.append((f"held:{name}", POINTS, lot, -part))
            parts.append((found.lots[lot], part))
            left -= part
    need(lines == [*expected, (lines[-1][0], POINTS, FOREVER, amount)], "these are not the postings of this capture")
    book.post(lines)
    for lot_parts, part in parts:
        lot_parts[0] -= part
        lot_parts[1] += part
    found.captured += amount
    found.merchant = merchant
    if not any(part[0] for part in found.lots.values()):
        found.state = "closed"


def _refund(book: Book, entry: Entry) -> None:
    _terms(entry)
    lines = entry["lines"]
    name, found = _held(book, entry)
    merchant, amount = lines[0][0], -lines[0][3]
    need(merchant.startswith("merchant:") and amount > 0, f"these are not the postings of this {entry['kind']}")
    need(amount <= sum(part[1] for part in found.lots.values()), f"more is given back than hold {name} captured")
    need(
        merchant == f"merchant:{found.merchant}", f"{found.merchant} has captured from hold {name}, another gives back"
    )
    graces: dict[str, str] = {}

    def made(day: str) -> list[Line]:
        back: dict[str, int] = {}
        left, grace = amount, found.grace
        for lot in sorted(found.lots, reverse=True):
            part = min(left, found.lots[lot][1])
            if part:
                if lot < day:
                    grace = grace or (date.fromisoformat(day) + timedelta(days=GRACE_DAYS)).isoformat()
                where = lot if lot >= day else grace
                back[where] = back.get(where, 0) + part
                left -= part
        graces[day] = grace
        held = [(f"held:{name}", POINTS, lot, part) for lot, part in back.items()]
        return [(merchant, POINTS, FOREVER, -amount), *held]

    _expect(book, entry, made)
    day = next(one for one in book.days() if made(one) == lines)
    book.post(lines)
    left, found.grace = amount, graces[day]
    for lot in sorted(found.lots, reverse=True):
        part = min(left, found.lots[lot][1])
        found.lots[lot][1] -= part
        left -= part
    found.refunded += amount
    book.passing, book.passing_txn = name, entry["txn"]
    book.passed = sorted((line[2], line[3]) for line in lines[1:])


def _release(book: Book, entry: Entry) -> None:
    data = exactly(entry.get("data", {}), (), ("expired", "to"))
    name, found = _held(book, entry)
    subject, lines = entry["subject"], entry["lines"]
    need(subject == found.subject, f"hold {name} is somebody else's")
    passing = bool(book.passing)
    if passing:
        same = (name, entry["txn"]) == (book.passing, book.passing_txn)
        need(same and "expired" not in data, "the refund before was not passed on")
    else:
        need(found.state == "held", f"hold {name} is {found.state}")
    ran_out = data.get("expired")
    need(ran_out in (None, 1), "data has not the fields of its kind")
    need(ran_out is None or book.recorded_at >= _at(found.expires_at), f"hold {name} has not run out")
    here = book.members.get(subject)
    to = data.get("to")
    if to is not None:
        need(is_name(to) and to != book.journal and here is not None and here.state == "moved",
             "the account has not moved")  # fmt: skip
    back = book.passed if passing else book.lots(f"held:{name}", POINTS)

    def made(day: str, there: bool = True) -> list[Line]:
        given: dict[tuple[str, str], int] = {}
        good: list[tuple[str, int]] = []
        for lot, part in back:
            given[f"held:{name}", lot] = -part
            if there and lot >= day:
                good.append((lot, part))
            else:
                given[EXPIRED, FOREVER] = given.get((EXPIRED, FOREVER), 0) + part
        for lot, part in good:
            where = (f"subject:{subject}", lot) if to is None else (ISSUER, FOREVER)
            given[where] = given.get(where, 0) + part
        return [(account, POINTS, lot, part) for (account, lot), part in given.items()]

    open_here = here is not None and here.state == "open"
    expected = [made(day) for day in book.days()] if open_here or to is not None else []
    fits = lines in expected and (to is None or any(line[0] == ISSUER for line in lines))
    if not fits and not open_here and to is None:  # nobody to give it to: all lots were past their day, or erased
        need(lines == made("", there=False), "these are not the postings of this release")
        if any(lot >= min(book.days()) for lot, _ in back):
            book.abroad.lapsed.append((entry["seq"], subject))
        fits = True
    need(fits, "these are not the postings of this release")
    book.post(lines)
    if to is not None:
        book.abroad.sent[entry["seq"]] = (subject, to)
    if passing:
        book.passing = ""
        return
    found.released += sum(part for _, part in back)
    found.state = "expired" if ran_out else "closed"
    for part in found.lots.values():
        part[0] = 0


def _settle(book: Book, entry: Entry) -> None:
    lines = entry["lines"]
    data = exactly(entry.get("data"), ("fen", "period", "statement", *([] if lines else ["merchant"])))
    need(type(data["fen"]) is int and is_month(data["period"]) and is_hash(data["statement"]),
         "data has not the fields of its kind")  # fmt: skip
    if not lines:
        need(is_name(data["merchant"]) and data["fen"], "data has not the fields of its kind")
        return
    need(len(lines) == 2, "these are not the postings of this settle")
    merchant, amount = lines[0][0], -lines[0][3]
    need(merchant.startswith("merchant:") and amount > 0, "these are not the postings of this settle")
    need(lines == [(merchant, POINTS, FOREVER, -amount), (REDEEMED, POINTS, FOREVER, amount)],
         "these are not the postings of this settle")  # fmt: skip
    book.post(lines)


def _benefit(book: Book, entry: Entry) -> None:
    """A benefit that cost no points, or all of an earlier one taken back, once."""
    data = exactly(entry.get("data"), ("fen", "merchant", "quantity", "redemption", "scenario"), ("budget",))
    named = (data["merchant"], data["redemption"], data["scenario"], data.get("budget", "-"))
    need(all(map(is_name, named)), "data has not the fields of its kind")
    need(entry["lines"] == [], "a benefit posts nothing")
    if not entry["links"]:
        need(is_whole(data["fen"]) and is_whole(data["quantity"], 1), "data has not the fields of its kind")
        _once(book, "benefit", data["redemption"])
        return
    link = _link(entry, "undoes")
    need("journal" not in link, "it undoes a benefit of another journal")
    made = _linked(book, entry, "undoes")
    need(made["kind"] == "benefit" and not made["links"], "it undoes no benefit")
    back = {**made["data"], "fen": -made["data"]["fen"], "quantity": -made["data"]["quantity"]}
    need(data == back, "it undoes another benefit than it links, or a part of it")
    place = book.journal, link["seq"]
    need(place not in book.abroad.reversals, "undone twice")
    book.abroad.reversals[place] = (entry["seq"], 0, "")


# lists -------------------------------------------------------------------------------------------------------------


def _edition(book: Book, entry: Entry) -> None:
    data = exactly(entry.get("data"), ("digest", "id", "list", "period", "version"))
    named = is_name(data["id"]) and is_name(data["list"]) and is_period(data["period"])
    need(named and is_hash(data["digest"]) and is_whole(data["version"], 1), "data has not the fields of its kind")
    need(entry["lines"] == [], "an edition posts nothing")
    _once(book, *published(entry))


def _fund(book: Book, entry: Entry) -> None:
    """Money for a place that stands in an edition of this journal, once."""
    data = exactly(entry.get("data"), ("budget", "edition", "fen", "place"))
    named = is_name(data["budget"]) and is_name(data["edition"]) and is_name(data["place"])
    need(named and is_whole(data["fen"], 1), "data has not the fields of its kind")
    need(entry["lines"] == [], "a fund posts nothing")
    link = _link(entry, "grants")
    need("journal" not in link, "it grants by an edition of another journal")
    made = _linked(book, entry, "grants")
    need(made["kind"] == "edition" and made["data"]["id"] == data["edition"], "it links no edition of this id")
    _once(book, *published(entry))


def published(entry: Entry) -> tuple[str, ...]:
    """What an edition or a fund says, and may say once in its journal."""
    data = entry["data"]
    return ("edition", data["id"]) if entry["kind"] == "edition" else ("fund", data["edition"], data["place"])


# moving ------------------------------------------------------------------------------------------------------------


def _move(book: Book, entry: Entry) -> None:
    data = entry.get("data")
    need(type(data) is dict, "data is missing or not an object")
    if "to" in entry["data"]:
        _leave(book, entry)
    elif "tallies" in entry["data"]:
        _arrive(book, entry)
    else:
        _receive(book, entry)


def _leave(book: Book, entry: Entry) -> None:
    data = exactly(entry["data"], ("tallies", "to"))
    need(is_name(data["to"]) and data["to"] != book.journal and is_hash(data["tallies"]),
         "data has not the fields of its kind")  # fmt: skip
    need(not entry["links"], "a move has other links")
    subject = entry["subject"]
    found = book.member(subject)
    lines: list[Line] = []
    for account, unit, lot, amount in book.everything(subject):
        lines += [(account, unit, lot, -amount), (ISSUER, unit, FOREVER, amount)]
    need(entry["lines"] == lines, "these are not the postings of this move")
    counts = book.all_counts(subject, found)
    if found.came is None and not found.stated:
        need(tallies(counts) == data["tallies"], "what its caps had counted is not what goes along")
    book.post(lines)
    book.note_debt(subject)
    found.state, found.home = "moved", data["to"]
    departure = Departure(subject, data["to"], found.kind, counts, found.came, data["tallies"], found.stated)
    book.abroad.departures[entry["seq"]] = departure


def tallies(counts: Counts) -> str:
    """What a move states of the caps that go along."""
    return codec.tallies_hash([(cap, start, used) for (cap, start), used in counts.items()])


def _arrive(book: Book, entry: Entry) -> None:
    data = exactly(entry["data"], ("from", "kind", "tallies"))
    subject, seq = entry["subject"], entry["seq"]
    link = _link(entry, "moved_from")
    origin = link.get("journal", book.journal)
    need(data["from"] == origin != book.journal, "it arrives from another journal than it links")
    there = book.entry(origin, link["seq"], link["leaf"])
    said = there.get("data", {})
    need(there.get("kind") == "move" and there.get("subject") == subject and said.get("to") == book.journal,
         "the entry it links did not leave for here")  # fmt: skip
    need(there.get("txn") == entry["txn"], "the entry it links is of another transaction")
    need(said.get("tallies") == data["tallies"], "what its caps had counted is not what goes along")
    need(data["kind"] in ("person", "body"), "data has not the fields of its kind")
    left = lines_of(there)
    lines = [line for pair in zip(left[1::2], left[::2], strict=True) for line in pair]
    lines = [(account, unit, lot, -amount) for account, unit, lot, amount in lines]
    need(entry["lines"] == lines, "these are not the postings of this move")
    before = book.members.get(subject)
    need(before is None or before.state == "moved", "the account is here already")
    found: Member = book.enter(subject, data["kind"], seq)
    if before is not None:
        book.live -= len(before.counts)  # what it brings stands over what it left
    found.came = (origin, link["seq"])
    book.post(lines)
    book.note_debt(subject)
    book.abroad.arrivals[seq] = (subject, data["kind"], found.came)


def _receive(book: Book, entry: Entry) -> None:
    data = exactly(entry["data"], ("from",))
    subject = entry["subject"]
    link = _link(entry, "released_from")
    origin = link.get("journal", book.journal)
    need(data["from"] == origin != book.journal, "it arrives from another journal than it links")
    there = book.entry(origin, link["seq"], link["leaf"])
    need(there.get("kind") == "release" and there.get("subject") == subject, "the entry it links released nothing")
    need(there.get("data", {}).get("to") == book.journal, "the entry it links released to another journal")
    need(there.get("txn") == entry["txn"], "the entry it links is of another transaction")
    book.member(subject)
    released = lines_of(there)
    total = sum(line[3] for line in released if line[0] == ISSUER)
    parts = [(lot, -amount) for account, _, lot, amount in released if account.startswith("held:")]
    lapsed = sum(line[3] for line in released if line[0] == EXPIRED)
    while lapsed > 0 and parts:  # the earliest lots had lapsed
        lapsed -= parts.pop(0)[1]
    lines = [(ISSUER, POINTS, FOREVER, -total), *((f"subject:{subject}", POINTS, lot, part) for lot, part in parts)]
    need(entry["lines"] == lines, "these are not the postings of this move")
    book.post(lines)
    book.abroad.received[entry["seq"]] = (origin, link["seq"])


_RULES: dict[str, Callable[[Book, Entry], None]] = {
    "open": _open, "policy": _policy, "key": _key, "seal": _seal, "award": _award, "deduct": _award,
    "reverse": _reverse, "expire": _expire, "relot": _relot, "erase": _erase, "hold": _hold, "capture": _capture,
    "refund": _refund, "void": _refund, "release": _release, "settle": _settle, "benefit": _benefit, "move": _move,
    "objection": _objection, "decision": _decision, "edition": _edition, "fund": _fund,
}  # fmt: skip
_LINKED = frozenset({"capture", "refund", "void", "release", "reverse", "fund"})
_MAY_LINK = frozenset({"award", "deduct", "move", "objection", "decision", "benefit"})

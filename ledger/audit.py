# SPDX-License-Identifier: Apache-2.0
"""Verification of the database: entries, derived tables, trees and signatures, and what was not checked.

The rules are in `ledger.verify`; this file plans the work, puts the parts together and says in lines what came of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from ledger import codec, merkle, note
from ledger.engine import Ledger
from ledger.verify import anchor, cross, cross_since, derived
from ledger.verify.book import Unsure
from ledger.verify.quick import GROUP, Group
from ledger.verify.replay import Outcome
from ledger.verify.resume import Doubt, Start, Trusted, begin, finder, trusted_members
from ledger.verify.source import Source, open_source
from ledger.verify.spine import Peaks
from ledger.verify.workers import Task, run_all, uncollected

Progress = Callable[[int], None]
SMALL = 50_000  # entries below which more processes only cost
_NOT_CHECKED = (
    "not checked: what keyed digests stand for (request, trace, memo, evidence, and the digests of retry keys), and "
    "whether people are who the office says they are"
)


class Finding(NamedTuple):
    """One thing that does not hold, at the first entry where it shows (-1: not at an entry). Journal '' is the epoch
    log, or a table that spans journals."""

    journal: str
    seq: int
    what: str


@dataclass(slots=True)
class Report:
    """`lines` for people; `findings` empty when everything that was checked holds."""

    lines: list[str] = field(default_factory=list[str])
    findings: list[Finding] = field(default_factory=list[Finding])

    @property
    def ok(self) -> bool:
        return not self.findings


async def audit(
    ledger: Ledger,
    journal: str | None = None,
    progress: Progress | None = None,
    *,
    pins: Sequence[bytes] = (),
    resume: bool = False,
    quick: bool = False,
    jobs: int = 1,
) -> Report:
    """Verify one journal or all of them, as of now, on connections of its own. Reads only.

    `pins` are checkpoints or receipts from elsewhere (raises `BadPin`). `resume`: trust the pins, and read a journal
    only from the newest seal that its pin covers; where anything does not agree on that way, everything is read after
    all. `quick`: hashes, links, trees and signatures only. `jobs` processes share the work.
    """
    read = [anchor.read_pin(pin) for pin in pins]
    loop = asyncio.get_running_loop()

    def advance(count: int) -> None:
        if progress is not None:
            loop.call_soon_threadsafe(progress, count)

    check = _Check(ledger.url, journal, read, resume and not quick, quick, jobs, advance)
    report = await asyncio.to_thread(check.run)
    await asyncio.sleep(0)  # progress that is still on its way
    return report


class _Check:
    """One verification."""

    def __init__(
        self,
        url: str,
        journal: str | None,
        pins: Sequence[tuple[note.Note, note.Checkpoint]],
        resume: bool,
        quick: bool,
        jobs: int,
        progress: Progress,
    ) -> None:
        self.url = url
        self.only = journal
        self.pins = pins
        self.resume = resume
        self.quick = quick
        self.jobs = jobs
        self.progress = progress
        self.report = Report()

    def run(self) -> Report:
        source = open_source(self.url)
        try:
            with uncollected():
                why = self._try_from_pins(source) if self.resume else ""
            if why is not None:
                self.report = Report([f"everything was read: {why}"] if why else [])
                self._run(source, {}, {})
        finally:
            source.close()
        return self.report

    def _try_from_pins(self, source: Source) -> str | None:
        """Verify from the seals that the pins cover; why that is not enough, or None when it was."""
        try:
            starts, why = self._starts(source)
            if not starts:
                return f"no pin leads to a start ({'; '.join(why.values())})"
            self._run(source, starts, why)
        except Doubt as doubt:
            return f"from the pins on it does not agree ({doubt.journal or 'epochs'}: {doubt.why})"
        except Unsure:
            return "what had been put aside came back"
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
            return f"from the pins on something is malformed ({error!r})"
        if self.report.findings:
            journal, _, what = self.report.findings[0]
            return f"from the pins on it does not agree ({journal or 'epochs'}: {what})"
        return None

    def _starts(self, source: Source) -> tuple[dict[str, Start], dict[str, str]]:
        """Where each journal is read from, by the largest pin; why others are read from their first entry."""
        origins = self._journals(source)
        trusted: dict[str, note.Checkpoint] = {}
        why: dict[str, str] = {}
        for _, point in self.pins:
            for journal, (origin, _) in origins.items():
                if point.origin == origin and (journal not in trusted or trusted[journal].size < point.size):
                    trusted[journal] = point
            if any(point.origin == origin.rpartition("/")[0] for origin, _ in origins.values()) and point.size:
                for member in trusted_members(source, point.size, point.root):
                    if member.journal in origins and (
                        member.journal not in trusted or trusted[member.journal].size < member.size
                    ):
                        trusted[member.journal] = note.Checkpoint("", member.size, bytes.fromhex(member.root))
        starts: dict[str, Start] = {}
        logs: dict[str, Trusted] = {}
        for journal in origins:
            point = trusted.get(journal)
            try:
                if point is None:
                    raise Doubt(journal, "no checkpoint of it was given")
                starts[journal] = begin(source, journal, point.size, point.root, finder(source, logs))
                logs[journal] = starts[journal].log
            except Doubt as doubt:
                why[journal] = doubt.why
        return starts, why

    def _run(self, source: Source, starts: dict[str, Start], why: dict[str, str]) -> None:
        published = anchor.read_published(source, starts)
        origins = self._journals(source)
        for _, point in self.pins:
            for journal, (origin, _) in origins.items():
                if point.origin == origin:
                    published.want(journal, point.size)
                elif point.origin == origin.rpartition("/")[0]:
                    published.want(anchor.EPOCHS, point.size)
        total = sum(size for _, size in origins.values())
        jobs = self.jobs if total >= SMALL and not starts else 1
        tasks = self._tasks(origins, published, total, jobs, starts)
        results = run_all(self.url, source, tasks, jobs, self.progress)
        outcomes = self._put_together(source, origins, published, tasks, results)
        for journal, start in starts.items():
            earlier = {size for size in published.wanted.get(journal, ()) if size <= start.size}
            outcomes[journal].roots |= {size: start.log.root(size) for size in earlier}
        sizes = self._check_published(source, published, outcomes)
        if self.only is None and not self._bad(outcomes):
            self._check_together(source, published, outcomes, tasks, results, starts)
        self._say(outcomes, sizes, published, starts, why)

    # planning --------------------------------------------------------------------------------------------------

    def _journals(self, source: Source) -> dict[str, tuple[str, int]]:
        """Journal → the origin it gives itself, and how many entries it has."""
        found: dict[str, tuple[str, int]] = {}
        for journal, size in source.rows("SELECT journal, size FROM head ORDER BY journal"):
            if self.only is not None and journal != self.only:
                continue
            rows = source.rows("SELECT MAX(seq) FROM entry WHERE journal = ?", journal)
            last = rows[0][0]
            origin = _genesis(source, journal).get("origin", "")
            found[journal] = (origin if isinstance(origin, str) else "", size if last is None else max(size, last + 1))
        return found

    def _tasks(
        self,
        origins: dict[str, tuple[str, int]],
        published: anchor.Published,
        total: int,
        jobs: int,
        starts: dict[str, Start],
    ) -> list[Task]:
        if starts:
            return [
                Task("resume", journal, end=size, marks=tuple(sorted(published.wanted.get(journal, ()))),
                     start_at=starts.get(journal))
                for journal, (_, size) in origins.items()
            ]  # fmt: skip
        tasks: list[Task] = []
        for journal, (_, size) in origins.items():
            marks = tuple(sorted(published.wanted.get(journal, ())))
            shared_out = self.quick or (jobs > 1 and size > max(GROUP, total // jobs))
            if not self.quick:
                tasks.append(Task("replay", journal, 0, size, marks, not shared_out))
            if shared_out:
                groups = range(0, max(size, 1), GROUP)
                tasks += [Task("hash", journal, start, min(start + GROUP, size), marks) for start in groups]
        if self.only is None and not self.quick:
            tasks.append(Task("deeds", end=total // 10))
        return tasks

    # putting together ------------------------------------------------------------------------------------------

    def _put_together(
        self,
        source: Source,
        origins: dict[str, tuple[str, int]],
        published: anchor.Published,
        tasks: Sequence[Task],
        results: Sequence[Any],
    ) -> dict[str, Outcome]:
        outcomes: dict[str, Outcome] = {}
        groups: dict[str, list[Group]] = {}
        for task, result in zip(tasks, results, strict=True):
            if task.what in ("replay", "resume"):
                outcomes[task.journal] = result
            elif task.what == "hash":
                groups.setdefault(task.journal, []).append(result)
        for journal in origins:
            outcome = outcomes.get(journal)
            if outcome is None:
                outcome = outcomes[journal] = _unread(source, journal)
            if journal in groups:
                _join(source, outcome, groups[journal])
            if outcome.fault is not None:
                self.report.findings.append(Finding(journal, *outcome.fault))
            self.report.findings += [Finding(journal, *one) for one in outcome.findings]
        return outcomes

    def _bad(self, outcomes: dict[str, Outcome]) -> bool:
        return any(outcome.fault or outcome.findings for outcome in outcomes.values())

    def _check_published(
        self, source: Source, published: anchor.Published, outcomes: dict[str, Outcome]
    ) -> dict[str, int]:
        """Checkpoints of journals that hold; the size of the newest of each."""
        sizes: dict[str, int] = {}
        for journal, outcome in outcomes.items():
            rows = published.checkpoints.get(journal, [])
            sizes[journal] = rows[-1][0] if rows else 0
            if outcome.fault is None:
                wrong, _ = anchor.check_journal(outcome, rows)
                self.report.findings += [Finding(journal, -1, what) for what in wrong]
                stored = derived.tiles(source, journal).keys()
                more = [*derived.missing_tiles(stored, sizes[journal]), *anchor.check_losses(outcome)]
                self.report.findings += [Finding(journal, *one) for one in more]
        return sizes

    def _check_together(
        self,
        source: Source,
        published: anchor.Published,
        outcomes: dict[str, Outcome],
        tasks: Sequence[Task],
        results: Sequence[Any],
        starts: dict[str, Start],
    ) -> None:
        findings: list[cross.Finding] = [*anchor.check_epochs(source, published, outcomes)]
        if starts:
            findings += cross_since.compare(source, outcomes, starts)
        elif not self.quick:
            deeds = next(result for task, result in zip(tasks, results, strict=True) if task.what == "deeds")
            findings += cross.compare(source, outcomes, deeds)
            findings += cross.requests(source)
        findings += cross.strays(source)
        self.report.findings += [Finding(*one) for one in findings]

    # saying ----------------------------------------------------------------------------------------------------

    def _say(
        self,
        outcomes: dict[str, Outcome],
        sizes: dict[str, int],
        published: anchor.Published,
        starts: dict[str, Start],
        why: dict[str, str],
    ) -> None:
        report = self.report
        anchored: list[str] = []
        for pin in self.pins:
            wrong, said = anchor.check_pin(pin, published, outcomes)
            if wrong is not None:
                report.findings.append(Finding(*wrong))
            else:
                anchored.append(said)
        checked = "hashes and links agree" if self.quick else "chain, balances, holds and caps agree"
        for journal, outcome in outcomes.items():
            bad = [one for one in report.findings if one.journal == journal]
            if bad:
                first = bad[0]
                where = f"at entry {first.seq}" if first.seq >= 0 else "in what is derived"
                report.lines.append(f"{journal}: {outcome.size} entries, first fault {where}: {first.what}")
                continue
            waiting = outcome.size - sizes.get(journal, 0)
            late = f" ({waiting} entries sequenced, not yet published: self-consistent only)" if waiting else ""
            count = f"{outcome.size} entries"
            if journal in starts:
                start = starts[journal]
                count = (
                    f"{outcome.size - start.size} of {count}, from {start.size} on (seal {start.seal}, in the "
                    f"checkpoint of {start.pinned})"
                )
            elif starts:
                count += f", all of them ({why.get(journal, '')})"
            report.lines.append(f"{journal}: {count}, {checked}{late}")
        report.lines += [one.what for one in report.findings if one.journal not in outcomes]
        if starts:
            report.lines += _taken_as_stored(published)
        if self.quick:
            report.lines.append("not checked (--quick): what the entries say, and every table derived from them")
        elif self.only is not None:
            report.lines.append("not checked (one journal): epochs, deeds awarded elsewhere, the other side of moves")
        report.lines.append(_NOT_CHECKED)
        report.lines += anchored or [
            "NOT ANCHORED: consistent with itself only; a checkpoint or receipt from elsewhere (--from) would show "
            "that it is the history that others have seen"
        ]


def _taken_as_stored(published: anchor.Published) -> list[str]:
    """What a check from pins does not look at."""
    older = f" and the {published.first} epochs before" if published.first else ""
    return [
        f"not checked (--from), older than the starts: entries{older}, except that the tree over them is the one in "
        "the checkpoint; earlier seals; rows of members, caps, holds, deeds and reversals that no later entry touches; "
        "retry keys",
        "taken as stored (--from): what the rows of members, caps and closed holds that later entries touch said at "
        "the start; that the deeds and holds of later entries were not there before under other rows",
    ]


def _genesis(source: Source, journal: str) -> dict[str, Any]:
    """`data` of entry 0 as it stands there."""
    rows = source.rows("SELECT body FROM entry WHERE journal = ? AND seq = 0", journal)
    try:
        data = codec.decode(rows[0][0])["data"]
    except (codec.NotCanonical, KeyError, IndexError):
        return {}
    return data if isinstance(data, dict) else {}  # pyright: ignore[reportUnknownVariableType]


def _unread(source: Source, journal: str) -> Outcome:
    """What --quick knows of a journal: who signs it, and no more."""
    outcome = Outcome(journal, genesis=_genesis(source, journal))
    sql = "SELECT seq, body FROM entry WHERE journal = ? AND kind = 'key' AND kind IN ('key', 'seal') ORDER BY seq"
    for seq, body in source.rows(sql, journal):
        try:
            data = orjson.loads(body)["data"]
            outcome.keys.append((seq, data["vkey"], data["authority"]))
        except (orjson.JSONDecodeError, KeyError, TypeError):
            outcome.fault = (seq, "a key entry that names no key")
    return outcome


def _join(source: Source, outcome: Outcome, groups: Sequence[Group]) -> None:
    """One journal's row groups as if they had been read in one go."""
    tiles = derived.tiles(source, outcome.journal)
    high = {key: value for key, value in tiles.items() if key[0] > 16}
    peaks = Peaks(high)
    fault: tuple[int, str] | None = None
    seen, bad = 0, None
    for group in groups:
        for size, parts in group.marked.items():
            outcome.roots[size] = merkle.fold(peaks.with_more(parts))
        for level, grown in group.peaks:
            peaks.add(level, grown)
        seen, bad = seen + group.seen, bad or group.bad
        if group.fault is not None:
            fault = group.fault
            break
    outcome.size = max(outcome.size, peaks.size)
    if fault is not None and (outcome.fault is None or fault[0] <= outcome.fault[0]):
        outcome.fault = fault
        outcome.findings.clear()
    if outcome.fault is None:
        outcome.findings += derived.compare_tiles(tiles, seen + peaks.seen, bad or peaks.bad)
        rows = source.rows("SELECT size FROM head WHERE journal = ?", outcome.journal)
        if rows and rows[0][0] != peaks.size:
            outcome.findings.append((peaks.size, "the head counts other entries than there are"))

# SPDX-License-Identifier: Apache-2.0
"""Lines of `entries.jsonl`, changed where they lie. The journal alone is checked by verify.py's own `check_journal`,
with what a whole check asked of it; a sample is checked as a whole, some of that in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ledger import codec, verifier
from tests.tamper import folder
from tests.tamper.stage import Class, Miss, Stage, one_byte, other_value, paths, with_value

WHOLE_EVERY, OUTSIDE_EVERY = 150, 6  # one in so many is checked as a whole; of those, one in so many in a process


class Lines:
    """One journal of a copy of the export, with the task that a whole check would have given."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.folder = stage, stage.fresh()
        tasks: list[Any] = []
        check = verifier.check_journal

        def kept(task: Any) -> Any:
            tasks.append(task)
            return check(task)

        verifier.check_journal = kept
        try:
            good = folder.judge(self.folder, stage.deployment.pin)
        finally:
            verifier.check_journal = check
        assert not good.found, good
        self.tasks = {task["journal"]: {**task, "deeds": str(stage.folder / "deeds")} for task in tasks}
        self.data = {name: self.path(name).read_bytes() for name in self.tasks}
        self.lines = {name: data.split(b"\n")[:-1] for name, data in self.data.items()}

    def path(self, journal: str) -> Path:
        return self.folder / journal / "entries.jsonl"

    def judge(self, journal: str, data: bytes, place: str, said: str) -> Miss:
        assert data != self.data[journal], said
        stage, path = self.stage, self.path(journal)
        path.write_bytes(data)
        try:
            bad = verifier.check_journal(self.tasks[journal])["bad"]
            if not bad or bad[0] != place:
                return f"{said}: expected {place}, found {bad}"
            if stage.draw.randrange(WHOLE_EVERY) == 0:
                outside = stage.draw.randrange(OUTSIDE_EVERY) == 0
                whole = (folder.judge_outside if outside else folder.judge)(self.folder, stage.deployment.pin)
                if place not in whole.places:
                    return f"{said}: expected {place}, a whole check found {whole.places}"
        except Exception as error:
            return f"{said}: THE CHECK CRASHED: {error!r}"
        finally:
            path.write_bytes(self.data[journal])
        return None

    def line(self, journal: str, seq: int, line: bytes, said: str, end: bytes = b"\n") -> Miss:
        """One line is another; the entry is to be named."""
        lines = self.lines[journal]
        data = (
            b"".join(one + b"\n" for one in lines[:seq])
            + line
            + end
            + b"".join(one + b"\n" for one in lines[seq + 1 :])
        )
        return self.judge(journal, data, f"{journal}/{seq}", f"{journal}/{seq} {said}")

    def places(self) -> Iterator[tuple[str, int]]:
        part, parts = self.stage.share
        for journal, lines in self.lines.items():
            yield from ((journal, seq) for seq in range(part, len(lines), parts))


def line_bytes(stage: Stage) -> Iterator[Miss]:
    """One byte of a line, its line feed included."""
    files = Lines(stage)
    each = stage.want // len(list(files.places())) + 1
    for journal, seq in files.places():
        line, start = files.lines[journal][seq] + b"\n", stage.draw.random()
        for number in range(each):
            at = int((start + number / each) % 1 * len(line))
            made = one_byte(line, at, stage.draw)
            if made[: len(line)] != line:  # else it is the next line that was changed: an empty one stands before it
                yield files.line(journal, seq, made, f"byte {at}", b"")


def line_fields(stage: Stage) -> Iterator[Miss]:
    """Each field of the entry's JSON, to other values; written in canonical form."""
    files = Lines(stage)
    places = list(files.places())
    each = stage.want // len(places) + 1
    for journal, seq in places:
        entry = json.loads(files.lines[journal][seq])
        found = list(paths(entry))
        for path in stage.draw.sample(found, min(each, len(found))):
            inner = entry
            for key in path:
                inner = inner[key]
            value = stage.draw.choice([*other_value(inner, stage.draw), ...])
            made = codec.encode(with_value(entry, path, lambda _, value=value: value))
            yield files.line(journal, seq, made, f"{path} {value!r:.60}")


def line_spelling(stage: Stage) -> Iterator[Miss]:
    """The same values in another spelling: white space, line ends, escapes, numbers, order, keys twice."""
    files = Lines(stage)
    draw = stage.draw
    for journal, seq in files.places():
        line = files.lines[journal][seq]
        text, entry = line.decode(), json.loads(line)
        number = draw.choice(['"seq":', '"v":', '"amount":']) if '"amount":' in text else '"seq":'
        ways = {
            "CRLF": line + b"\r", "a space at the end": line + b" ", "a space before": b" " + line,
            "a byte order mark": b"\xef\xbb\xbf" + line, "a space after a colon": line.replace(b":", b": ", 1),
            "a tab": line.replace(b",", b",\t", 1), "an empty line before": b"\n" + line,
            "escaped": text.replace("a", "\\u0061", 1).encode(), "capital hex": _capitals(line),
            "a zero before a number": text.replace(number, number + "0", 1).encode(),
            "a plus": text.replace(number, number + "+", 1).encode(),
            "a fraction": text.replace(f'"seq":{seq}', f'"seq":{seq}.0').encode(),
            "an exponent": text.replace(f'"seq":{seq}', f'"seq":{seq}e0').encode(),
            "an underscore": text.replace(f'"seq":{seq}', f'"seq":1_{seq}').encode(),
            "wide digits": text.replace(f'"seq":{seq}', f'"seq":{str(seq).translate(_WIDE)}').encode(),
            "a true": text.replace('"v":1', '"v":true').encode(),
            "a null": text.replace('"v":1', '"v":1,"w":null').encode(),
            "other order": _dumped(dict(reversed(entry.items()))),
            "a key twice": text.replace('"v":1', '"v":1,"v":1').encode(),
            "a key twice, the first another": text.replace('{"actor"', '{"actor":"x","actor"').encode(),
            "more after it": line + b"{}", "a comment": line + b"//", "NUL": line + b"\0",
            "in brackets": b"[" + line + b"]",
            "a surrogate": text.replace('"actor":"', '"actor":"\\ud800').encode(),
            "not UTF-8": line.replace(b"a", b"\xe1", 1),
            "decomposed": text.replace('"actor":"', '"actor":"e\u0301').encode(),
            "empty": b"", "half": line[: len(line) // 2],
        }  # fmt: skip
        for said, made in draw.sample(sorted(ways.items()), min(len(ways), max(3, stage.want // 200))):
            if made != line:
                yield files.line(journal, seq, made, said)


_WIDE = str.maketrans("0123456789", "０１２３４５６７８９")


def _dumped(entry: Any) -> bytes:
    return json.dumps(entry, separators=(",", ":"), ensure_ascii=False).encode()


def _capitals(line: bytes) -> bytes:
    start = line.find(b'"nonce":"') + 9
    return line[:start] + line[start : start + 32].upper() + line[start + 32 :]


def lines_moved(stage: Stage) -> Iterator[Miss]:
    """Lines swapped, doubled, deleted, in another file, in two files, cut at the front, in the middle, at the end."""
    files = Lines(stage)
    draw = stage.draw
    while True:
        journal = draw.choice(sorted(files.lines))
        lines = files.lines[journal]
        one, two = sorted(draw.sample(range(len(lines)), 2))
        other = draw.choice([name for name in files.lines if name != journal])
        foreign = draw.choice(files.lines[other])
        count = draw.randrange(1, len(lines))
        ways = [
            (
                [*lines[:one], lines[two], *lines[one + 1 : two], lines[one], *lines[two + 1 :]],
                one,
                f"{one} and {two} swapped",
            ),
            ([*lines[:two], lines[one], *lines[two:]], two, f"{one} again at {two}"),
            ([*lines[: one + 1], lines[one], *lines[one + 1 :]], one + 1, f"{one} twice"),
            ([*lines, lines[one]], len(lines), f"{one} again at the end"),
            ([*lines[:one], *lines[one + 1 :]], one, f"{one} deleted"),
            ([*lines[:one], foreign, *lines[one + 1 :]], one, f"{one} is a line of {other}"),
            ([*lines[:one], foreign, *lines[one:]], one, f"a line of {other} at {one}"),
            (lines[count:], 0, f"the first {count} cut"),
            ([*lines[:one], *lines[two:]], one, f"{one}..{two} cut"),
            (lines[:-count], len(lines) - count, f"the last {count} cut"),
            ([*lines[:one], *lines[one:two][::-1], *lines[two:]], one, f"{one}..{two} reversed"),
            ([*lines[:one], b"", *lines[one:]], one, f"an empty line at {one}"),
        ]
        for made, seq, said in ways:
            data = b"".join(line + b"\n" for line in made)
            if data != files.data[journal]:
                yield files.judge(journal, data, f"{journal}/{seq}", f"{journal}: {said}")


CLASSES: dict[str, Class] = {
    "a line's bytes": line_bytes,
    "a line's fields": line_fields,
    "a line's spelling": line_spelling,
    "lines swapped, doubled, cut, misplaced": lines_moved,
}

# SPDX-License-Identifier: Apache-2.0
"""The loader under attack: whatever the files hold, it answers with problems, within a second, in little memory."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rules.engine.pack import FILES_MAX, PACKS, PROBLEMS_MAX, PackError, load_files, load_pack, read_pack
from tests.test_rules_forbidden import founding, with_rule
from tests.tree import ROOT

CPU_SECONDS_MAX = 1.0
MEMORY_KILOBYTES_MAX = 150_000
"""Above what the interpreter and the engine take; the largest attack brings 20 MB itself."""

NAME = 'name = { zh = "参加清扫", en = "Cleaning" }\n'
FIXED = 'standing = { kind = "fixed", amount = 100 }\n'


def rule(text: str) -> dict[str, bytes]:
    return with_rule(NAME + text)


def alone(text: str | bytes, file: str = "xx.toml") -> dict[str, bytes]:
    """The frame with one more file, or with one of its own replaced."""
    return {**founding(), file: text if isinstance(text, bytes) else text.encode()}


def formula(expr: str) -> dict[str, bytes]:
    return rule(f'standing = {{ kind = "formula", expr = "{expr}" }}\n')


def everywhere(expr: str) -> dict[str, bytes]:
    """Four hundred rules, each with this formula."""
    (one,) = formula(expr).keys() - founding().keys()
    head, _, table = formula(expr)[one].decode().partition("[[indicator]]")
    tables = (
        table.replace("XX-99", f"X{chr(65 + n // 100)}-{n % 100:02d}").replace("加", f"加{n}") for n in range(400)
    )
    return alone(head + "".join("[[indicator]]" + each.replace("Clean", f"Clean{n}") for n, each in enumerate(tables)))


def brackets(count: int) -> dict[str, bytes]:
    rows = "".join(f"{{ up_to = {n + 1}, unit = 1, amount = 1 }}, " for n in range(count))
    return rule(f'standing = {{ kind = "brackets", field = "x", rounding = "unit", brackets = [{rows}] }}\n')


# fmt: off
ATTACKS: dict[str, tuple[Callable[[], dict[str, bytes]], set[str]]] = {
    # not TOML, or not text
    "nothing in it": (lambda: alone(""), {"missing"}),
    "an open list": (lambda: alone('group = "G3"\nindicator = [\n'), {"not_toml"}),
    "an open text": (lambda: alone('group = "G3\n'), {"not_toml"}),
    "an open long text": (lambda: alone('group = """' + 'x"' * 400_000), {"not_toml"}),
    "an open escape": (lambda: alone('group = "' + "\\" * 400_001), {"not_toml"}),
    "an impossible day": (lambda: rule(FIXED + "effective = { from = 2022-02-30 }\n"), {"not_toml"}),
    "a wrong escape": (lambda: rule(FIXED + 'note = "\\q"\n'), {"not_toml"}),
    "a duplicate key": (lambda: rule(FIXED + FIXED), {"duplicate_key"}),
    "a duplicate table": (lambda: alone("[a]\n[a]\n"), {"duplicate_key"}),
    "a key that is a table": (lambda: alone("a = 1\n[a.b]\n"), {"duplicate_key"}),
    "a lone carriage return": (lambda: alone('group = "G3"\rx = 1'), {"not_toml"}),
    "NUL": (lambda: alone(b'group = "G\x003"\n'), {"not_toml"}),
    "random bytes": (lambda: alone(random.Random(1).randbytes(200_000)), {"not_utf8"}),
    "GB 18030": (lambda: alone('group = "居民"\n'.encode("gb18030")), {"not_utf8"}),
    "UTF-16": (lambda: alone('group = "G3"\n'.encode("utf-16")), {"not_utf8"}),
    "a byte order mark": (lambda: alone(b"\xef\xbb\xbfgroup = 1"), {"byte_order_mark"}),
    # too much
    "a huge file": (lambda: alone("# " + "x" * 20_000_000), {"too_large"}),
    "a large remark": (lambda: alone("# " + "x" * 900_000), {"missing"}),
    "many files": (lambda: {**founding(), **{f"f{n}.toml": b"x = 1" for n in range(5_000)}}, {"too_many_files"}),
    "a huge text": (lambda: {**founding(), "law.txt": b"x" * 5_000_000}, {"too_large"}),
    "many tables": (lambda: alone('group = "G3"\n' + "[[indicator]]\n" * 60_000), {"too_many"}),
    "many empty rules": (
        lambda: alone('group = "G3"\n' + "[[indicator]]\n" * 20_000),
        {"missing", "more_problems"},
    ),
    "many keys": (lambda: alone("".join(f"k{n} = 1\n" for n in range(80_000))), {"too_many"}),
    "many values": (lambda: alone("a = [" + "1," * 450_000 + "]"), {"too_many"}),
    "many wrong values": (lambda: rule(FIXED + "aliases = [" + "1," * 20_000 + "]\n"), {"too_many"}),
    "many fractions": (
        lambda: rule(FIXED + "aliases = [" + "0.5," * 20_000 + "]\n"),
        {"too_many"},
    ),
    "many wrong groups": (lambda: alone("[[group]]\n" * 20_000, "groups.toml"), {"too_many"}),
    "many brackets": (lambda: brackets(6_000), {"too_many"}),
    "300 brackets": (lambda: brackets(300), {"unknown_field"}),
    "many wrong examples": (
        lambda: rule(FIXED + f"examples = [{'{x = 1},' * 299}]\n"),
        {"missing", "unknown_key", "more_problems"},
    ),
    "a long text": (lambda: rule(FIXED + f'note = "{"x" * 900_000}"\n'), {"wrong_length"}),
    "a long key": (lambda: rule(FIXED + f"{'x' * 900_000} = 1\n"), {"wrong_length"}),
    # too deep
    "deep lists": (lambda: alone("a = " + "[" * 400_000), {"too_deep"}),
    "deep closed lists": (lambda: alone("a = " + "[" * 400_000 + "]" * 400_000), {"too_deep"}),
    "deep tables": (lambda: alone("a = " + "{a=" * 300_000), {"too_deep"}),
    "a deep key": (lambda: alone("a." * 400_000 + "a = 1"), {"too_deep"}),
    "a deep header": (lambda: alone("[" + "a." * 400_000 + "a]"), {"too_deep"}),
    "a deep header of tables": (lambda: alone("[[" + "a." * 400_000 + "a]]"), {"too_deep"}),
    "a deep expression": (lambda: formula("(" * 900 + "1" + ")" * 900), {"expression.too_deep"}),
    # numbers
    "a huge number": (lambda: rule(f'standing = {{ kind = "fixed", amount = {"9" * 900_000} }}\n'), {"number_too_big"}),
    "a huge hexadecimal": (
        lambda: rule(f'standing = {{ kind = "fixed", amount = 0x{"f" * 900_000} }}\n'),
        {"number_too_big"},
    ),
    "an integer of 65 bits": (
        lambda: rule('standing = { kind = "fixed", amount = 36893488147419103232 }\n'),
        {"number_too_big"},
    ),
    "infinity": (lambda: rule('standing = { kind = "fixed", amount = inf }\n'), {"not_an_integer"}),
    "no number": (lambda: rule('standing = { kind = "fixed", amount = -nan }\n'), {"not_an_integer"}),
    "an exponent": (lambda: rule('standing = { kind = "fixed", amount = 1e308 }\n'), {"not_an_integer"}),
    "a time": (lambda: rule(FIXED + "deadline = 12:00:00\n"), {"wrong_type"}),
    # expressions
    "a million terms": (lambda: formula("+".join(["1"] * 1_000_000)), {"too_large"}),
    "400,000 terms": (lambda: formula("+".join(["1"] * 400_000)), {"wrong_length"}),
    "600 terms": (lambda: formula("+".join(["1"] * 600)), {"expression.too_deep"}),
    "expressions everywhere": (lambda: everywhere("+".join(["min(1, max(0, 3))"] * 20)), {"too_large"}),
    "a number that overflows": (lambda: formula("*".join(["9999999"] * 12)), {"expression.out_of_range"}),
    "code": (lambda: formula("__import__('os').system('true')"), {"expression.not_in_language"}),
    # look-alikes and names
    "a Cyrillic code": (lambda: alone('group = "G3"\n[[indicator]]\ncode = "ХХ-01"\n'), {"invisible_character"}),
    "a full-width code": (lambda: alone("ｇｒｏｕｐ = 1\n"), {"not_toml"}),
    "a hidden key": (lambda: rule(FIXED + '"no\u200bte" = 1\n'), {"invisible_character"}),
    "right to left": (lambda: rule(FIXED + 'note = "\u202eabc"\n'), {"invisible_character"}),
    "a file elsewhere": (lambda: {**founding(), "../x.toml": b""}, {"file_name"}),
    "a file with no name": (lambda: {**founding(), ".toml": b""}, {"file_name"}),
    "a long file name": (lambda: {**founding(), "x" * 5_000 + ".toml": b""}, {"file_name"}),
    "no files": (lambda: {}, {"file_missing"}),
}
# fmt: on


PROGRAM = """
import json, resource, sys, time
from tests.test_rules_loader_fuzz import ATTACKS, PackError, read_pack

def kilobytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)

before, answers = kilobytes(), {}
for name, (make, _) in ATTACKS.items():
    files, began = make(), time.process_time()
    try:
        read_pack(files)
        problems = ()
    except PackError as error:
        problems = error.problems
    said = [text for one in problems for text in (str(one), one.says("zh"), one.says("en"))]
    longest, spent = max(map(len, said), default=0), time.process_time() - began
    codes = sorted({one.code for one in problems})
    answers[name] = {"codes": codes, "spent": spent, "count": len(problems), "longest": longest}
print(json.dumps({"answers": answers, "kilobytes": kilobytes() - before}))
"""


@pytest.fixture(scope="module")
def answered() -> dict[str, Any]:
    """All attacks in one process of their own, so that what it grew by is theirs."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True, text=True, cwd=ROOT)
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_is_answered_in_time(answered: dict[str, Any], name: str) -> None:
    """With its own code, within a second of work, in at most a hundred problems, all of them short."""
    answer = answered["answers"][name]
    assert answer["codes"] and set(answer["codes"]) <= ATTACKS[name][1]
    assert answer["spent"] < CPU_SECONDS_MAX
    assert answer["count"] <= PROBLEMS_MAX + 1
    assert answer["longest"] < 1_000


def test_memory_is_bounded(answered: dict[str, Any]) -> None:
    """The worst of all attacks stays far below what a small machine has."""
    assert answered["kilobytes"] < MEMORY_KILOBYTES_MAX


def test_broken_packs_never_crash_the_loader() -> None:
    """A hundred random damages to the files that ship: a pack or problems with places, nothing else."""
    chance = random.Random(20220101)
    files = {name: data for name, data in load_files(PACKS / "huantai").items() if len(data) < 6_000}
    files |= founding()
    for _ in range(100):
        name = chance.choice(sorted(name for name in files if name.endswith(".toml")))
        damaged = {**files, name: _damaged(files[name], chance)}
        try:
            read_pack(damaged)
        except PackError as error:
            for problem in error.problems:
                assert problem.says("zh") and problem.says("en")
                assert problem.line > 0 or problem.code in {"not_utf8", "byte_order_mark"}


def _damaged(data: bytes, chance: random.Random) -> bytes:
    """A few bytes lost, doubled, moved or replaced by what TOML cares about."""
    text = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(text))
        length = chance.choice((1, 1, 2, 20, 200))
        match chance.randrange(4):
            case 0:
                del text[at : at + length]
            case 1:
                text[at:at] = text[at : at + length]
            case 2:
                text[at : at + 1] = chance.choice((b'"', b"[", b"]", b"{", b"}", b"=", b"\n", b"#", b"-", b"9", b"."))
            case _:
                text[at:at] = chance.choice((b"true", b'"""', b"'''", b"[[indicator]]\n", b"\xe4", b"\\u0000", b"1.5"))
    return bytes(text)


# folders ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in rule(FIXED).items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def codes(folder: Path) -> set[str]:
    with pytest.raises(PackError) as caught:
        load_pack(folder)
    return {problem.code for problem in caught.value.problems}


def test_only_files_are_read(folder: Path) -> None:
    """A folder, a pipe and a link named like a file are named, not opened; hidden and other files are left alone."""
    (folder / ".hidden.toml").write_text("[", "utf-8")
    (folder / "README.md").write_text("[", "utf-8")
    assert load_pack(folder).indicators.keys() == {"XX-99"}
    (folder / "a.toml").mkdir()
    os.mkfifo(folder / "b.toml")
    (folder / "c.toml").symlink_to("/dev/zero")
    (folder / "d.txt").symlink_to(folder / "nowhere")
    with pytest.raises(PackError) as caught:
        load_pack(folder)
    found = {(problem.file, problem.code) for problem in caught.value.problems}
    assert {(name, "not_a_file") for name in ("a.toml", "b.toml", "c.toml", "d.txt")} == found


def test_a_folder_is_not_read_beyond_its_limits(folder: Path) -> None:
    """Neither one file of gigabytes nor very many."""
    with (folder / "huge.toml").open("wb") as file:
        file.truncate(2**32)
    assert {"too_large"} == codes(folder)
    (folder / "huge.toml").unlink()
    for number in range(FILES_MAX):
        (folder / f"f{number}.toml").touch()
    assert {"too_many_files"} == codes(folder)


def test_line_ends_change_nothing(folder: Path) -> None:
    """A pack saved on another system has other line ends and the same hash; the sources' texts stay as they are."""
    files = load_files(folder)
    other = {k: v.replace(b"\n", b"\r\n") if k.endswith(".toml") else v for k, v in files.items()}
    assert other != files and read_pack(other).hash == read_pack(files).hash

# SPDX-License-Identifier: Apache-2.0
"""How the loader speaks: a line and a column for every key, one zh and one en sentence for every code."""

from __future__ import annotations

import ast
import hashlib
import re
import tomllib
from pathlib import Path

import pytest

from ledger.verifier import pack_json
from rules.engine.language.errors import SENTENCES as EXPRESSION_SENTENCES
from rules.engine.locate import Places
from rules.engine.pack import PACKS, builtin_pack, load_files, read_pack
from rules.engine.problem import EXPRESSION, Problem, sentence
from rules.engine.sentences import SENTENCES
from tests.test_rules_forbidden import founding, problems, with_edit, with_rule
from tests.tree import ROOT

NAME = 'name = { zh = "参加清扫", en = "Cleaning" }\n'
FIXED = 'standing = { kind = "fixed", amount = 100 }\n'
MARKED = 'caps = [{ id = "mark", on = "count", window = "day", max = 1 }]\n'
SINCE = '[[indicator.fields]]\nname = "since"\ntype = "day"\nunit = "day"\nlabel = { zh = "起", en = "From" }\n'
MINUTES = """
[[indicator.fields]]
name = "minutes"
type = "int"
unit = "minute"
min = 0
max = 600
label = { zh = "时长", en = "Time" }
"""


def only(files: dict[str, bytes]) -> Problem:
    """The one problem for which these files are refused."""
    (problem,) = problems(files)
    return problem


# places ----------------------------------------------------------------------------------------------------

TEXT = '''# a remark
title = "one" # more
"quoted key" = 1
a.b.c = 2
days = [2022-01-01, 2022-01-01 10:00:00, 'x]', """two
lines"""]
[table]
inner = { name = "n", list = [ { id = "first" }, { id = "second", max = 3 } ] }
[[row]]
code = "R1"
caps = [
  { id = "day", max = 1 }, # remark ]
  { id = "year", max = 2 },
]
[[row]]
code = "R2"
[row.deep]
key = true
'''


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        ("title", 2, 1),
        ("quoted key", 3, 1),
        ("a.b.c", 4, 1),
        ("days", 5, 1),
        ("days[0]", 5, 9),
        ("days[2]", 5, 42),
        ("table", 7, 1),
        ("table.inner.name", 8, 11),
        ("table.inner.list[1].max", 8, 67),
        ("table.inner.list.second.max", 8, 67),
        ("row[0]", 9, 1),
        ("row[0].caps[1].max", 13, 18),
        ("row.R1.caps.year.max", 13, 18),
        ("row[1].code", 16, 1),
        ("row[1].deep.key", 18, 1),
        ("row[1].missing", 15, 1),
        ("row[0].caps.nowhere.max", 11, 1),
        ("row[9].code", 9, 1),
        ("nothing", 1, 1),
    ],
)
def test_every_key_has_its_place(path: str, line: int, column: int) -> None:
    """Bare, quoted and dotted keys, lists, inline tables, tables of tables; what is missing is where it belongs."""
    assert (line, column) == Places(TEXT).of(path)
    assert (line, column) == Places(TEXT.replace("\n", "\r\n")).of(path)


@pytest.mark.parametrize("path", sorted([*PACKS.rglob("*.toml"), *ROOT.glob("merchants/scenarios/*.toml")]), ids=str)
def test_the_scanner_sees_what_the_reader_sees(path: Path) -> None:
    """The same keys and list lengths as `tomllib`, each at the text of that key."""
    text = path.read_text("utf-8")
    places, lines = Places(text), text.split("\n")

    def walk(value: object, at: str) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                here = f"{at}.{key}".removeprefix(".")
                line, column = places.of(here)
                assert re.match(rf"(\[+)?([\w.]+\.)?{re.escape(key)}\b", lines[line - 1][column - 1 :]), here
                walk(inner, here)
        elif isinstance(value, list):
            found = [places.of(f"{at}[{index}]") for index in range(len(value))]
            assert sorted(set(found)) == found
            assert places.of(f"{at}[{len(value)}]") == places.of(at)
            for index, inner in enumerate(value):
                walk(inner, f"{at}[{index}]")

    walk(tomllib.loads(text), "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a remark",
        "a = 1",
        "[ a . 'b' ]\nc = 1\n[[ d ]]\n[d.e]\n[[d.f]]\n[[d.f]]\n",
        "'' = 1\n\"\\u00e9\" = 2\n1.2 = 3\n",
        "a = {}\nb = []\nc = [ [1, 2], [ { d = [] } ], ]\n",
        "a = [ # one\n 1, # two ]\n\n 2 # three\n]\n",
        "a = 1979-05-27T07:32:00Z\nb = 1979-05-27 07:32:00.5+01:00\nc = 07:32:00\nd = 1979-05-27\n",
        "a = +nan\nb = -inf\nc = 0xdead_beef\nd = 1_000e-3\ne = true\n",
        'a = """\\"""x\\""" "" """""\nb = \'\'\'\'x\'\'\'\'\'\nc = "#]}"\nd = \'\\\'\n',
        'a = """\n\n  x \\\n   y"""\n\tb\t=\t1\t# z',
        "a.b = 1\na.c.d = { e.f = 2, g = 'x' }\n[h]\ni.j = 1\n",
    ],
)
def test_nothing_that_is_toml_is_refused(text: str) -> None:
    """The less common ways to write it, with either line end."""
    for written in (text, text.replace("\n", "\r\n")):
        tomllib.loads(written)
        Places(written)


@pytest.mark.parametrize(
    ("written", "line", "column"),
    [
        ('"minutes + hours"', 9, 50),
        ("'minutes + hours'", 9, 50),
        ('"""\n  minutes\n  + hours"""', 11, 5),
        ('"""minutes \\\n   + hours"""', 10, 6),
        ('"minutes \\u002b hours"', 9, 55),
    ],
)
def test_an_error_in_an_expression_is_where_it_stands_in_the_file(written: str, line: int, column: int) -> None:
    """Quotes, several lines and escapes move the language's own line and column."""
    rule = f'{NAME}\n\nstanding = {{ kind = "formula", expr = {written} }}\n{MINUTES}'
    problem = only(with_rule(rule))
    assert ("expression.unknown_name", line, column) == (problem.code, problem.line, problem.column)
    assert "hours" in problem.says("zh") and "XX-99" in problem.says("zh")


# sentences ----------------------------------------------------------------------------------------------------


def produced() -> set[str]:
    """Every code that the engine's source writes down as a problem's code."""
    found: set[str] = set()
    for path in (ROOT / "rules" / "engine").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                at = {"Problem": 2, "_problem": 2, "_stop": 0}.get(name)
                if at is not None and len(node.args) > at:
                    inside = (one for one in ast.walk(node.args[at]) if isinstance(one, ast.Constant))
                    found |= {one.value for one in inside if isinstance(one.value, str)}
    return found - {EXPRESSION}


def test_every_code_has_a_sentence_in_both_languages() -> None:
    """With the same blanks, and none that nobody can meet."""
    codes = produced()
    assert len(codes) > 40
    assert codes <= SENTENCES.keys()
    sources = "".join(
        path.read_text("utf-8") for path in (ROOT / "rules" / "engine").glob("*.py") if path.name != "sentences.py"
    )
    assert [] == [code for code in SENTENCES if f'"{code}"' not in sources]
    for code in [*SENTENCES, *(EXPRESSION + one for one in EXPRESSION_SENTENCES)]:
        zh, en = sentence(code)
        blanks = [set(re.findall(r"\{(\w+)\}", text)) for text in (zh, en)]
        assert blanks[0] == blanks[1] <= {"found", "allowed", "key"}, code
        problem = Problem("g3.toml", "indicator[0].caps", code, "FOUND", "ALLOWED", 3, 4, "RE-01 “志愿服务”")
        assert "g3.toml第3行第4个字，规则 RE-01 “志愿服务”：" in problem.says("zh")
        assert "g3.toml, line 3, column 4, rule RE-01 “志愿服务”: " in problem.says("en")
        assert re.search("[\u4e00-\u9fff]", zh) and not re.search("[\u4e00-\u9fff]", en)


@pytest.mark.parametrize(
    ("rule", "code", "key", "found", "allowed"),
    [
        (NAME + FIXED + "colour = 1\n", "unknown_key", "colour", "colour", "category, direction"),
        (NAME + 'standing = { kind = "fixed", amount = 1, more = 2 }\n', "unknown_key", "more", "more", "kind, amount"),
        (NAME + FIXED + 'deadline = "1"\n', "wrong_type", "deadline", '"1"', "123"),
        (NAME + FIXED + "deadline = 99\n", "out_of_range", "deadline", "99", "≤ 12"),
        (NAME + 'standing = { kind = "fxed", amount = 1 }\n', "unknown_word", "kind", "fxed", "fixed, per_unit"),
        (NAME + "standing = { amount = 1 }\n", "missing", "kind", "", "kind"),
        (NAME + 'standing = { kind = "fixed" }\n', "missing", "amount", "", "amount"),
        (NAME + FIXED + "when = 'category'\n", "expression.unknown_name", "when", "category", "occurred_on"),
        (NAME + FIXED + "when = '1 + 2'\n", "not_a_condition", "when", "1 + 2", "minutes >= 60"),
        (NAME + 'standing = { kind = "formula", expr = "1 < 2" }\n', "not_an_amount", "expr", "1 < 2", "100 * times"),
        (NAME + 'standing = { kind = "formula", expr = "10000001" }\n', "out_of_range", "expr", "1", "0.."),
        (NAME + FIXED + 'exclusion = "hats"\n', "unknown_set", "exclusion", "hats", "exclusion_sets"),
        (NAME + FIXED + 'highest_only = "prizes"\n', "unknown_set", "highest_only", "prizes", "highest_sets"),
        (NAME + FIXED + "cooling = 61\n", "out_of_range", "cooling", "61", "≤ 60"),
        (NAME + FIXED + MARKED, "reserved_name", "id", "mark", "mark_1"),
        (NAME + FIXED + SINCE, "field_shape", "since", "day", "name, type, label"),
        (NAME + FIXED + 'group = "G5"\n', "unknown_key", "group", "group", "[[indicator]]"),
        ('name = { zh = "参\u200b加", en = "x" }\n' + FIXED, "invisible_character", "zh", "U+200B", "zh, en"),
        ('name = { zh = "参加", en = "Сleaning" }\n' + FIXED, "invisible_character", "en", "U+0421", "zh, en"),
    ],
)  # fmt: skip
def test_slips_are_told_where_they_are(rule: str, code: str, key: str, found: str, allowed: str) -> None:
    """One problem for one slip, with what was found, what may stand there, and the place of the key."""
    problem = only(with_rule(rule))
    assert (code, found) == (problem.code, problem.found if found not in problem.found else found)
    assert allowed in problem.allowed and key in problem.path
    assert problem.line > 0 and "xx.toml" in str(problem)


def test_a_body_may_lose_but_no_formula_is_negative() -> None:
    """For a body the same slip is no guardrail's matter: a deduction, too, is written as a positive number."""
    rule = NAME + 'standing = { kind = "formula", expr = "0 - 1" }\n'
    assert "negative_amount" == only(with_rule(rule, "G5")).code


def test_sets_are_used_and_used_rightly() -> None:
    """A set that is declared is named by enough rules; a highest-only set is about standing."""
    header = founding()["pack.toml"].decode()
    hats = '[exclusion_sets.hats]\nname = { zh = "一事一帽", en = "Hats" }\nby = "day"\n'
    top = '[highest_sets.top]\nname = { zh = "只计最高", en = "Top" }\nwindow = "year"\n'

    def with_sets(rule: str) -> tuple[str, ...]:
        files = {**with_rule(rule), "pack.toml": (header + hats + top).encode()}
        return tuple(problem.code for problem in problems(files))

    two = f'exclusion = "hats"\n[[indicator]]\ncode = "XX-98"\n{NAME.replace("参加", "组织").replace("Cl", "Gl")}'
    source = next(iter(tomllib.loads(header)["sources"]))
    second = f'category = "service"\ncitation = {{ source = "{source}" }}\nexclusion = "hats"\n'
    rest = second + FIXED
    assert ("lonely_set", "lonely_set") == with_sets(NAME + FIXED)
    assert () == with_sets(NAME + FIXED + 'highest_only = "top"\n' + two + rest)
    points = 'points = { kind = "fixed", amount = 100 }\n'
    assert ("standing_only",) == with_sets(NAME + FIXED + points + 'highest_only = "top"\n' + two + rest)
    cap = 'caps = [{ id = "month", on = "standing", window = "month", max = 500 }]\n'
    assert ("windows_not_nested",) == with_sets(NAME + FIXED + cap + 'highest_only = "top"\n' + two + rest)


# sources ----------------------------------------------------------------------------------------------------

LAW = "第一条　为了规范志愿服务，制定本条例。\n第二条　志愿服务组织应当如实记录\n服务时长。\n".encode()


def quoting(
    quote: str, *, text: bytes | None = LAW, digest: str | None = None, declared: bool = True
) -> Problem | None:
    """What is wrong with a rule that quotes this from the law beside the pack, if anything."""
    said = hashlib.sha256(LAW).hexdigest() if digest is None else digest
    source = (
        f'law = {{ title = "条例", text = "law.txt", sha256 = "{said}" }}' if declared else 'law = { title = "条例" }'
    )
    files = with_rule(NAME + FIXED + f'citation = {{ source = "law", quote = "{quote}" }}\n')
    rule = files["xx.toml"].decode()
    first = rule.index("citation")
    files["xx.toml"] = (rule[:first] + rule[rule.index("\n", first) + 1 :]).encode()
    files["pack.toml"] = files["pack.toml"].replace(b"[sources]\n", b"[sources]\n" + source.encode() + b"\n", 1)
    found = problems(files if text is None else {**files, "law.txt": text})
    assert len(found) < 2
    return found[0] if found else None


def test_a_quotation_stands_in_its_source() -> None:
    """Word for word, line ends and width aside."""
    assert quoting("志愿服务组织应当如实记录服务时长") is None
    assert quoting("志愿服务组织 应当如实记录，服务时长") is not None


@pytest.mark.parametrize(
    ("problem", "code", "file", "said"),
    [
        (quoting("志愿服务组织应该如实记录"), "quote_not_found", "xx.toml", "2: 第二条　志愿服务组织应当如实记录"),
        (quoting("为了", text=LAW + b" "), "source_changed", "pack.toml", hashlib.sha256(LAW + b" ").hexdigest()),
        (quoting("为了", text=None), "source_text_missing", "pack.toml", "law.txt"),
        (quoting("为了", declared=False), "source_without_text", "xx.toml", "sha256"),
    ],
)
def test_a_source_that_does_not_say_it(problem: Problem | None, code: str, file: str, said: str) -> None:
    """The nearest line is shown; a text that was changed or is not there is told apart."""
    assert problem is not None
    assert (code, file) == (problem.code, problem.file)
    assert said in problem.says("zh") and problem.line > 0


def test_the_hash_is_the_verifier_s() -> None:
    """The loader and the independent verifier agree on what a pack says; a source's text enters by its digest."""
    for name in ("huantai",):
        files = load_files(PACKS / name)
        toml = {name: data for name, data in files.items() if name.endswith(".toml")}
        said = pack_json(toml)
        assert said is not None and builtin_pack(name).hash == hashlib.sha256(said).hexdigest()
    files = with_edit({"file": "pack.toml", "find": "[categories]", "put": "[categories]"})
    assert read_pack(files).hash == read_pack({**files, "unused.txt": b"x"}).hash

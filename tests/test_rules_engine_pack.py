# SPDX-License-Identifier: Apache-2.0
"""The loader: what it refuses and how it says so, and that a pack's hash is about content and not layout."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rules.engine.examples import failures
from rules.engine.pack import PACKS, PackError, builtin_pack, load_pack
from tests.test_rules_forbidden import founding

HEAD = 'group = "{group}"\n[[indicator]]\ncode = "XX-01"\nname = {{ zh = "{name}", en = "Test" }}\n'
REST = 'category = "service"\ncitation = { source = "proposal" }\n'
FIXED = 'standing = { kind = "fixed", amount = 100 }\n'
MINUTES = (
    'fields = [{ name = "minutes", type = "int", unit = "minute", min = 1, max = 600, '
    'label = { zh = "时长", en = "Time" } }]\n'
)
HOURLY = 'standing = { kind = "per_unit", field = "minutes", unit = 60, amount = 100, rounding = "unit" }\n'
POINTS = 'points = { kind = "fixed", amount = 1 }\n'
STANDING_CAP = '{ id = "s", on = "standing", window = "year", max = 1 }'
LADDER_CAP = '{ id = "ladder", on = "minutes", window = "day", max = 1 }'
LADDER = 'standing = { kind = "ladder", field = "minutes", cap = "year", steps = [{ at = 60, level = 100 }] }\n'
YEAR = '{ id = "year", on = "minutes", window = "year", max = 6000 }'
MINUS = 'direction = "minus"\n'
SECOND = 'approval = "second_person"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A pack with the founding pack's frame and no indicator."""
    for name, data in founding().items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def indicator(folder: Path, *lines: str, group: str = "G3", name: str = "测试") -> Path:
    """The same pack with one indicator of these lines."""
    (folder / "one.toml").write_text(HEAD.format(group=group, name=name) + REST + "".join(lines), "utf-8")
    return folder


def codes(folder: Path) -> set[str]:
    """The problems for which the pack is refused; none when it loads."""
    try:
        load_pack(folder)
    except PackError as error:
        assert all(problem.file and problem.allowed for problem in error.problems)
        return {problem.code for problem in error.problems}
    return set()


def test_a_small_pack_loads_with_its_defaults(folder: Path) -> None:
    """E1 and E2, one month, persons never in debt, in force with the pack."""
    one = load_pack(indicator(folder, FIXED)).indicators["XX-01"]
    assert (
        one.evidence.standing,
        one.evidence.points,
        one.deadline,
        one.reversal,
        one.effective.from_.isoformat(),
    ) == (
        "E1",
        "E2",
        1,
        "only_available",
        "2022-01-01",
    )
    body = load_pack(indicator(folder, FIXED, MINUS, SECOND, group="G5")).indicators["XX-01"]
    assert (body.evidence.standing, body.evidence.points, body.reversal) == ("E3", "E3", "within_balance")


def test_deductions_from_persons_are_refused(folder: Path) -> None:
    """GR-01, whether written as a direction or as a negative amount."""
    assert "GR-01" in codes(indicator(folder, FIXED, MINUS, SECOND))
    assert "GR-01" in codes(indicator(folder, 'standing = { kind = "fixed", amount = -100 }\n'))


def test_a_person_cannot_be_put_in_debt(folder: Path) -> None:
    """GR-01 covers reversals too."""
    assert codes(indicator(folder, FIXED, 'reversal = "allow_debt"\n')) == {"GR-01"}


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('evidence = { standing = "E2" }\n' + SECOND, "GR-03"),
        ('evidence = { standing = "E3" }\n', "GR-03"),
        (SECOND + 'validity = { standing = { years = 2, end = "day" } }\n', "GR-04"),
        (SECOND + 'validity = { standing = { years = 1, end = "month" } }\n', "GR-04"),
        (SECOND + 'points = { kind = "fixed", amount = 100 }\n', "minus_points"),
    ],
)
def test_deductions_from_bodies_are_fenced(folder: Path, line: str, code: str) -> None:
    """A document, a second person, at most a year, standing only."""
    assert codes(indicator(folder, FIXED, MINUS, line, group="G5")) == {code}


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (('standing = { kind = "fixed", amount = 0.5 }\n',), "not_an_integer"),
        ((FIXED, 'caps = [{ id = "a", on = "standing", window = "week", max = 1 }]\n'), "unknown_word"),
        ((FIXED, "colour = 1\n"), "unknown_key"),
        ((FIXED, 'deadline = "1"\n'), "wrong_type"),
        (('standing = { kind = "magic", amount = 1 }\n',), "unknown_word"),
        ((), "missing"),
        ((FIXED, 'caps = [{ id = "a", on = "minutes", window = "day", max = 1 }]\n'), "unknown_counter"),
        ((FIXED, 'cause = ["subject", "indicator", "colour"]\n'), "unknown_field"),
        ((FIXED, 'cause = ["day"]\n'), "cause_too_wide"),
        ((FIXED, "effective = { from = 2021-01-01 }\n"), "GR-20"),
        ((FIXED, "effective = { from = 2023-01-01, to = 2022-01-01 }\n"), "ends_before_it_starts"),
        ((FIXED, 'evidence = { standing = "E0" }\n'), "evidence_too_low"),
        ((FIXED, POINTS, 'evidence = { points = "E1" }\n'), "evidence_too_low"),
        ((HOURLY,), "unknown_field"),
        ((LADDER, MINUTES), "unknown_counter"),
        ((LADDER, MINUTES, f"caps = [{YEAR}, {STANDING_CAP}]\n"), "ladder_is_its_own_cap"),
        ((FIXED, MINUTES, f"caps = [{LADDER_CAP}]\n"), "reserved_name"),
    ],
)
def test_slips_are_refused_by_name(folder: Path, lines: tuple[str, ...], code: str) -> None:
    """Each with a code of its own, and nothing but the slip is reported."""
    assert codes(indicator(folder, *lines)) == {code}


@pytest.mark.parametrize(
    "windows",
    [(("year", 9), ("month", 9)), (("month", 1), ("month", 2)), (("month", 9), ("year", 2))],
)
def test_windows_must_nest(folder: Path, windows: tuple[tuple[str, int], ...]) -> None:
    """From the inside out, each window once, and no outer cap tighter than an inner one."""
    caps = [
        f'{{ id = "cap_{index}", on = "count", window = "{window}", max = {most} }}'
        for index, (window, most) in enumerate(windows)
    ]
    assert codes(indicator(folder, FIXED, f"caps = [{', '.join(caps)}]\n")) == {"windows_not_nested"}


def test_names_are_given_once(folder: Path) -> None:
    """Two indicators cannot share a code or an alias, whatever the width or case."""
    indicator(folder, FIXED, 'aliases = ["Ａbc"]\n')
    text = other = (folder / "one.toml").read_text("utf-8")
    for old, new in {"XX-01": "XX-02", "测试": "另一", '"Test"': '"Other"', "Ａbc": "aBC"}.items():
        other = other.replace(old, new)
    (folder / "two.toml").write_text(other, "utf-8")
    assert codes(folder) == {"duplicate_alias"}
    (folder / "two.toml").write_text(text, "utf-8")
    assert codes(folder) == {"duplicate_code"}


def test_all_problems_come_at_once_with_file_and_key(folder: Path) -> None:
    """A person who fixes a pack sees the whole list."""
    indicator(folder, 'standing = { kind = "fixed", amount = 0.5 }\ncolour = 1\n', group="G99")
    with pytest.raises(PackError) as caught:
        load_pack(folder)
    (first, *_) = caught.value.problems
    assert (first.file, first.path, first.found) == ("one.toml", "indicator[0].standing.amount", "0.5")
    assert "50" in first.allowed


def test_what_is_not_a_pack_is_said(tmp_path: Path, folder: Path) -> None:
    """A missing folder, missing files, broken TOML, an unknown name."""
    assert codes(tmp_path / "nowhere") == {"no_folder"}
    (folder / "bands.toml").write_text("[[band]\n", "utf-8")
    assert codes(folder) == {"not_toml"}
    (folder / "bands.toml").unlink()
    assert codes(folder) == {"file_missing"}
    with pytest.raises(PackError):
        builtin_pack("../../etc")


def test_the_hash_is_about_content_and_not_layout(folder: Path, tmp_path: Path) -> None:
    """Comments, file names and order do not change it; any amount, example or name does."""
    source = PACKS / "huantai"
    other = tmp_path / "copy"
    shutil.copytree(source, other)
    (other / "g1-community-workers.toml").rename(other / "zz.toml")
    (other / "bands.toml").write_text("# another remark\n" + (other / "bands.toml").read_text("utf-8"), "utf-8")
    assert load_pack(other).hash == builtin_pack("huantai").hash
    text = (other / "g3-residents.toml").read_text("utf-8")
    (other / "g3-residents.toml").write_text(text.replace("max = 240", "max = 241"), "utf-8")
    assert load_pack(other).hash != builtin_pack("huantai").hash


def test_a_limit_for_second_persons_cannot_be_loosened(folder: Path) -> None:
    """GR-18: a pack may ask for approval earlier than 200 rows, never later."""
    header = (folder / "pack.toml").read_text("utf-8")
    (folder / "pack.toml").write_text(header.replace("rows = 200", "rows = 201", 1), "utf-8")
    assert codes(indicator(folder, FIXED)) == {"GR-18"}


def test_a_wrong_example_is_found(folder: Path) -> None:
    """An example that does not come out as it says is reported with what was found."""
    example = 'examples = [{ says = "一次", on = 2022-03-05, standing = 101 }]\n'
    (failure,) = failures(load_pack(indicator(folder, FIXED, example)))
    assert (failure.indicator, failure.example) == ("XX-01", "一次")
    assert "'standing': 100" in failure.found

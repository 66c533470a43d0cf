# SPDX-License-Identifier: Apache-2.0
"""Worked examples: what they can say of windows, caps and lots, and how one that is wrong is reported."""

from __future__ import annotations

import pytest

from rules.engine.examples import failures, run
from rules.engine.model import Pack
from rules.engine.pack import PACKS, load_files, read_pack

RULE = """
group = "G3"
[[indicator]]
code = "XX-01"
name = {{ zh = "测试", en = "Test" }}
category = "service"
fields = [{{ name = "n", type = "int", unit = "count", min = 1, max = 9, label = {{ zh = "数", en = "Number" }} }}]
standing = {{ kind = "per_unit", field = "n", unit = 1, amount = 100, rounding = "unit" }}
caps = [{{ id = "month", on = "standing", window = "month", max = 500 }}]
validity = {{ standing = {{ years = 0, end = "never" }} }}
citation = {{ source = "proposal" }}
examples = [{{ says = "例", {example} }}]
"""


def found(example: str, effective_from: str = "2022-01-01") -> tuple[Pack, dict[str, object]]:
    """A pack with one rule and this example, and what the example gives."""
    files = {name: data for name, data in load_files(PACKS / "huantai").items() if name[0] not in "gl"}
    files["groups.toml"] = (PACKS / "huantai" / "groups.toml").read_bytes()
    header = files["pack.toml"].decode()
    header = header[: header.index("# Of awards for one matter")]  # sets need members
    files["pack.toml"] = header.replace("effective_from = 2022-01-01", f"effective_from = {effective_from}").encode()
    files["one.toml"] = RULE.format(example=example).encode()
    pack = read_pack(files)
    indicator = pack.indicators["XX-01"]
    return pack, run(pack, indicator, indicator.examples[0])


@pytest.mark.parametrize(
    ("day", "standing", "state"),
    [("2022-05-31", 100, "reduced"), ("2022-05-01", 100, "reduced"), ("2022-04-30", 300, "posted")],
)
def test_what_was_used_was_used_on_a_day(day: str, standing: int, state: str) -> None:
    """Used in the same month it leaves less room, used the day before that month it leaves all."""
    _, gave = found(f"on = 2022-05-31, facts = {{ n = 3 }}, used = {{ month = 400 }}, used_on = {day}")
    assert (gave["state"], gave["standing"]) == (state, standing)


def test_what_a_deed_was_worth_and_how_long_it_counts() -> None:
    """`worth` is before the caps on the result; a lot without an end is called never."""
    said = 'on = 2022-05-31, facts = { n = 9 }, state = "reduced", standing = 500'
    pack, gave = found(f'{said}, worth = 900, standing_lot = "never"')
    assert (gave["worth"], gave["standing_lot"]) == (900, "never")
    assert list(failures(pack)) == []
    (failure,) = failures(found(f"{said}, worth = 800, standing_lot = 2023-05-31")[0])
    assert (failure.expected, failure.found) == (
        "{'worth': 800, 'standing_lot': '2023-05-31'}",
        "{'worth': 900, 'standing_lot': 'never'}",
    )


def test_an_example_may_be_older_than_its_pack() -> None:
    """A later version keeps its examples, but for the one that is about the day on which it begins."""
    said = "on = 2022-05-31, facts = { n = 1 }"
    assert found(f"{said}, standing = 100", "2027-01-01")[1]["state"] == "posted"
    refused = 'state = "refused", code = "indicator_not_in_force"'
    assert found(f"{said}, {refused}", "2027-01-01")[1]["code"] == "indicator_not_in_force"


def test_only_where_it_differs_is_an_example_wrong() -> None:
    """A report names what the example says otherwise, not all that it says."""
    (failure,) = failures(found("on = 2022-05-31, facts = { n = 1 }, standing = 101")[0])
    assert (failure.indicator, failure.expected, failure.found) == ("XX-01", "{'standing': 101}", "{'standing': 100}")


def test_a_tally_that_is_not_there_is_said() -> None:
    """A slip in the name of a tally is never taken for an unused one."""
    _, gave = found("on = 2022-05-31, facts = { n = 1 }, used = { monat = 1 }")
    assert gave == {"state": "unknown_counter", "code": "XX-01/monat"}

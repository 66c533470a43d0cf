# SPDX-License-Identifier: Apache-2.0
"""Names: how they compare, where the surname ends, and what others may see of them."""

from __future__ import annotations

import pytest

from api.people import names


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("张三", "张*"),
        ("张小华", "张*华"),
        ("张王小华", "张**华"),
        ("欧阳小华", "欧阳**"),
        ("欧阳华", "欧阳*"),
        ("欧阳", "欧*"),
        ("王 丽", "王*"),
        ("阿卜杜拉·买买提", "阿***·***"),
        ("John Smith", "J*** *****"),
        ("张", "*"),
        ("", "*"),
        ("𠮷田", "𠮷*"),
    ],
)
def test_masked(name: str, shown: str) -> None:
    """A surname stays, most of the rest does not; compound surnames and dotted names too."""
    assert shown == names.masked(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("张三", "张"),
        ("张", "张"),
        ("欧阳小华", "欧阳"),
        ("欧阳", "欧阳"),
        ("阿卜杜拉•买买提", "阿卜杜拉"),
        ("John Smith", "john"),
    ],
)
def test_surname(name: str, expected: str) -> None:
    """Of a whole name, or of a surname typed alone."""
    assert expected == names.surname(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("王 丽", "王丽"),
        ("阿卜杜拉・买买提", "阿卜杜拉·买买提"),
        ("ＪＯＨＮ  smith", "John Smith"),
        ("　张三 ", "张三"),
    ],
)
def test_the_same_name_written_twice(one: str, other: str) -> None:
    """Width, spaces, dots and case make no other person."""
    assert names.normal(one) == names.normal(other)

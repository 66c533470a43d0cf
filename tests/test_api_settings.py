# SPDX-License-Identifier: Apache-2.0
"""What the environment may say, and how languages are chosen."""

from __future__ import annotations

from pathlib import Path

import pytest

from api import messages, settings
from api.settings import SettingsError


def test_nothing_said_means_the_defaults() -> None:
    """The documented defaults."""
    read = settings.read({})
    assert ("sqlite:///var/jifen.db", Path("var"), "Asia/Shanghai", 1) == (
        read.database_url,
        read.home,
        read.timezone,
        read.workers,
    )


def test_the_database_stands_at_home() -> None:
    """Keys and database of one deployment stay together unless the database is named."""
    assert "sqlite:////srv/jifen/jifen.db" == settings.read({"JIFEN_HOME": "/srv/jifen"}).database_url
    url = "postgresql://u:p@h/d"
    assert url == settings.read({"JIFEN_HOME": "/srv/jifen", "JIFEN_DATABASE_URL": url}).database_url


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"JIFEN_DATABSE_URL": "x"}, "did you mean JIFEN_DATABASE_URL"),
        ({"JIFEN_WORKERS": "two"}, "not a whole number"),
        ({"JIFEN_WORKERS": "２"}, "not a whole number"),
        ({"JIFEN_DATABASE_URL": "mysql://h/d"}, "sqlite:/// or postgresql://"),
        ({"JIFEN_TIMEZONE": "Asia/Nowhere"}, "not a time zone"),
        ({"JIFEN_TIMEZONE": "../etc/passwd"}, "not a time zone"),
        ({"JIFEN_MASTER_KEY_FILE": "/no/such/file"}, "no file"),
        ({"JIFEN_RATE_LIMITS": "till=60"}, "staff, client"),
        ({"JIFEN_RATE_LIMITS": "staff=many"}, "not a whole number"),
        ({"JIFEN_RATE_LIMITS": "staff=1"}, "16 to"),
        ({"JIFEN_HSTS": "yes"}, "neither on nor off"),
        ({"JIFEN_CORS_ORIGINS": "*"}, "not an origin"),
        ({"JIFEN_CORS_ORIGINS": "https://a.example/"}, "not an origin"),
    ],
)
def test_what_cannot_be_meant_is_named(environ: dict[str, str], said: str) -> None:
    """A slip in a setting stops the start and says which and what would be right."""
    with pytest.raises(SettingsError, match=said) as caught:
        settings.read(environ)
    assert next(iter(environ)) in str(caught.value)


def test_limits_are_changed_one_by_one() -> None:
    """What is not named stays as documented; one can be lifted, or all of them."""
    assert settings.RATES == settings.read({}).rates
    changed = settings.read({"JIFEN_RATE_LIMITS": "client=12000 public=off"}).rates
    assert {**settings.RATES, "client": 12_000}.items() - {("public", 600)} == changed.items()
    assert {} == settings.read({"JIFEN_RATE_LIMITS": "off"}).rates


def test_names_for_tests_and_the_command_line_are_not_slips() -> None:
    """A developer's shell may hold them."""
    settings.read({"JIFEN_TEST_POSTGRES_URL": "x", "JIFEN_REQUIRE_POSTGRES": "1", "JIFEN_TOKEN": "jt_x", "PATH": ""})


def test_one_sqlite_file_is_served_by_one_process() -> None:
    """More is refused, and the way out is named."""
    with pytest.raises(SettingsError, match="postgresql://"):
        settings.read({}).check_workers(2)
    settings.read({"JIFEN_DATABASE_URL": "postgresql://h/d"}).check_workers(2)


@pytest.mark.parametrize(
    ("accept", "lang"),
    [
        ("", "zh"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB, en;q=0.9", "en"),
        ("fr;q=1, en;q=0.5, zh;q=0.4", "en"),
        ("de", "zh"),
        ("*", "zh"),
        ("en;q=0, zh;q=0.1", "zh"),
        (";;q=9,\x00", "zh"),
    ],
)
def test_the_language_asked_for(accept: str, lang: str) -> None:
    """Chinese unless English is wanted more."""
    assert lang == messages.language(accept)


def test_a_sentence_is_never_blank_nor_broken() -> None:
    """A fact that is missing reads "…"; a code without a sentence says itself."""
    assert "…" in messages.sentence("rate_limited", "detail", "zh", {})
    assert "no_such_code" == messages.sentence("no_such_code", "detail", "en", {})

# SPDX-License-Identifier: Apache-2.0
"""What every test may ask for: a fresh database of each kind, and nothing of the developer's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests import pg

# Read once and then removed with every other JIFEN_ name: servers started by tests refuse names they do not
# know, and no test may ever meet the database or the keys of the person who runs it.
_SERVER_URL = os.environ.get("JIFEN_TEST_POSTGRES_URL")
_POSTGRES_REQUIRED = os.environ.get("JIFEN_REQUIRE_POSTGRES") == "1"
for _name in [name for name in os.environ if name.startswith("JIFEN_")]:
    del os.environ[_name]

_SKIP_PREFIX = "no PostgreSQL: "

hypothesis.settings.register_profile("jifen", deadline=None, max_examples=60, derandomize=False)
hypothesis.settings.register_profile("long", deadline=None, max_examples=1000)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=60, derandomize=True, print_blob=True)


def pytest_configure(config: pytest.Config) -> None:
    long_run = config.getoption("markexpr") == "long"
    hypothesis.settings.load_profile("long" if long_run else "ci" if os.environ.get("CI") else "jifen")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[pg.Server]:
    """The session's PostgreSQL server; a test that crashes a server makes a `pg.Cluster` of its own."""
    try:
        server = pg.Server(_SERVER_URL) if _SERVER_URL else pg.Cluster().__enter__()
    except pg.PostgresUnavailable as exc:
        if _POSTGRES_REQUIRED:
            pytest.fail(f"JIFEN_REQUIRE_POSTGRES=1, but: {exc}", pytrace=False)
        pytest.skip(f"{_SKIP_PREFIX}{exc}")
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database; a test that takes this runs once on each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'jifen.db'}"
        return
    server: pg.Server = request.getfixturevalue("postgres_server")
    url = server.url()
    yield url
    server.drop(url)


@pytest.fixture
def postgres_url(postgres_server: pg.Server) -> Iterator[str]:
    """The address of an empty PostgreSQL database, for what only PostgreSQL does."""
    url = postgres_server.url()
    yield url
    postgres_server.drop(url)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reasons = [
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple) and _SKIP_PREFIX in report.longrepr[2]
    ]
    if reasons:
        terminalreporter.write_line(
            f"{len(reasons)} PostgreSQL tests skipped ({reasons[0]}).\n"
            "To run them: sudo apt-get install postgresql   (macOS: brew install postgresql)",
            yellow=True,
        )

# SPDX-License-Identifier: Apache-2.0
"""What is handed to operators is right: the settings are all described, the unit is a unit, the container has all of
the program, and the dependency audit says what it found out."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from api import settings
from api.settings import SettingsError
from tests.tree import ROOT

DEPLOY = ROOT / "deploy"


def test_every_setting_is_described_and_nothing_else() -> None:
    """The table of docs/configuration.md and the names that the program knows are the same."""
    text = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    rows = re.findall(r"^\| ((?:`JIFEN_[A-Z_]+`(?:, )?)+) \|", text, re.MULTILINE)
    described = [name for row in rows for name in re.findall(r"JIFEN_[A-Z_]+", row)]
    assert sorted((*settings.NAMES, settings.TOKEN)) == sorted(described)


def test_names_in_files_for_operators_are_settings() -> None:
    """A unit, a container or a guide that sets a name which is none would not start."""
    files = [*DEPLOY.iterdir(), ROOT / "docs" / "deployment.md", ROOT / "docs" / "compliance.md"]
    named = {name for path in files for name in re.findall(r"JIFEN_[A-Z_]+", path.read_text("utf-8"))}
    assert set() == named - {*settings.NAMES, settings.TOKEN}


@pytest.mark.parametrize(
    ("said", "meant"),
    [("9464", ("127.0.0.1", 9464)), ("10.0.0.5:9464", ("10.0.0.5", 9464)), ("[::1]:9464", ("::1", 9464)), ("", None)],
)
def test_where_figures_are_served(said: str, meant: tuple[str, int] | None) -> None:
    """A port alone is this machine's own."""
    assert meant == settings.read({"JIFEN_METRICS": said}).metrics


@pytest.mark.parametrize("said", ["x", "0", "65536", "host:", "1.2.3.4", "９４６４"])
def test_no_address_is_no_address(said: str) -> None:
    """The message names the setting and shows one that would do."""
    with pytest.raises(SettingsError, match=r"JIFEN_METRICS: .*127\.0\.0\.1:9464"):
        settings.read({"JIFEN_METRICS": said})


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    """Checked by systemd itself where there is one; the program it names is somewhere else here."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    text = (DEPLOY / "jifen.service").read_text("utf-8")
    unit = tmp_path / "jifen.service"
    unit.write_text(text.replace("/opt/jifen/.venv/bin/jifen", sys.executable), "utf-8")
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=30, check=False)
    assert (0, "") == (done.returncode, done.stderr)


def test_stopping_is_given_the_time_it_takes() -> None:
    """systemd and the container wait longer than the server drains and finishes."""
    from api.server.serving import GRACE_S
    from api.server.stopping import DRAIN_S

    unit = re.search(r"^TimeoutStopSec=(\d+)$", (DEPLOY / "jifen.service").read_text("utf-8"), re.MULTILINE)
    container = re.search(r"--stop-timeout (\d+)", (ROOT / "docs" / "deployment.md").read_text("utf-8"))
    for found in (unit, container):
        assert found is not None and int(found[1]) > GRACE_S + DRAIN_S + 10


def test_the_container_has_every_room_and_what_it_is_locked_to() -> None:
    """A room that is not copied would only be missed at run time."""
    text = (DEPLOY / "Containerfile").read_text("utf-8")
    copied = set(re.findall(r"^COPY (\w+) \1$", text, re.MULTILINE))
    packages = re.search(r"^packages = (\[.*\])$", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert packages is not None and copied == set(json.loads(packages[1]))
    assert "--require-hashes -r requirements.lock" in text and "\nUSER jifen\n" in text


# the dependency audit ----------------------------------------------------------------------------------------------

SAID = {
    "sound": '{"dependencies": [{"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "unknown"}]}',
    "known": '{"dependencies": [{"name": "a", "version": "1", "vulns": '
    '[{"id": "PYSEC-2026-1", "aliases": ["CVE-2026-1"], "fix_versions": ["1.1"]}]}]}',
    "blind": '{"dependencies": [{"name": "a", "skip_reason": "not found"}]}',
    "away": "",
}


@pytest.mark.parametrize(
    ("service", "required", "status", "told"),
    [
        ("sound", "0", 0, "2 packages, 0 advisories"),
        ("known", "0", 1, "a 1: PYSEC-2026-1 CVE-2026-1; mended in 1.1"),
        ("blind", "0", 0, "NOT DONE"),
        ("away", "0", 0, "NOT DONE, the advisory service could not be asked (no route to host)"),
        ("away", "1", 1, "NOT DONE"),
    ],
)
def test_the_audit_says_what_it_found_out(tmp_path: Path, service: str, required: str, status: int, told: str) -> None:
    """Nothing known, something known, a mirror without advisories, nobody there; pip-audit is played by a script."""
    tool = tmp_path / "pip-audit"
    answer = f"open(sys.argv[sys.argv.index('--output') + 1], 'w').write({SAID[service]!r})" if SAID[service] else ""
    answer = answer or "sys.exit('no route to host')"
    tool.write_text(f"#!{sys.executable}\nimport sys\nassert '--require-hashes' in sys.argv\n{answer}\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    environment = {**os.environ, "PIP_AUDIT": str(tool), "REQUIRE_AUDIT": required}
    done = subprocess.run(
        [sys.executable, ROOT / ".ci" / "audit.py"], env=environment, capture_output=True, text=True, check=False
    )
    assert status == done.returncode, done.stderr
    assert told in done.stdout + done.stderr

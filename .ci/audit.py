#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Is anything that Jifen is installed with known to be vulnerable? Asks the advisory service about the locked versions.

    .ci/audit.py [LOCK]      0 nothing known, or nobody to ask; 1 something is known

A service that cannot be reached is said in capitals and is no failure: a mirror or a firewall must not stop a mended
release. REQUIRE_AUDIT=1 makes it one.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_S = 300


def audit(lock: Path) -> tuple[list[dict[str, Any]] | None, str]:
    """What pip-audit says of each package, or None and why it found nothing out."""
    tool = shlex.split(os.environ.get("PIP_AUDIT", "")) or [str(ROOT / ".venv/bin/python"), "-m", "pip_audit"]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ["--disable-pip", "--no-deps", "--require-hashes", "--progress-spinner", "off", "--timeout", "10"]
        command = [*tool, *options, "--format", "json", "--output", str(report), "--requirement", str(lock)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return None, str(error)
        try:
            packages = json.loads(report.read_text(encoding="utf-8"))["dependencies"]
        except (OSError, ValueError):
            said = [line for line in done.stderr.splitlines() if line.strip()]
            return None, said[-1] if said else f"exit status {done.returncode}"
        if all("skip_reason" in package for package in packages):  # a mirror that has the files and not the advisories
            return None, "it knows none of the packages"
        return packages, ""


def main() -> int:
    lock = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "requirements.lock"
    packages, why = audit(lock)
    if packages is None:
        print(f"dependency audit: NOT DONE, the advisory service could not be asked ({why})", file=sys.stderr)
        print("dependency audit: going on without; REQUIRE_AUDIT=1 would end here", file=sys.stderr)
        return int(os.environ.get("REQUIRE_AUDIT") == "1")
    known = 0
    unasked: list[str] = []
    for package in packages:
        if "skip_reason" in package:
            unasked.append(package["name"])
        for advisory in package.get("vulns", ()):
            known += 1
            mended = ", ".join(advisory["fix_versions"]) or "no version yet"
            names = " ".join([advisory["id"], *advisory.get("aliases", ())])
            print(f"{package['name']} {package['version']}: {names}; mended in {mended}", file=sys.stderr)
    if unasked:
        print(f"dependency audit: nothing is known of {', '.join(unasked)}", file=sys.stderr)
    print(f"dependency audit: {len(packages)} packages, {known} advisories")
    return int(known > 0)


if __name__ == "__main__":
    sys.exit(main())

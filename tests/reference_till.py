# SPDX-License-Identifier: Apache-2.0
"""examples/till.py as a module: it is a program of its own and stands in no package."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

from tests.tree import ROOT

FILE = ROOT / "examples/till.py"


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("reference_till", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["reference_till"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


till = _load()

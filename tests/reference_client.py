# SPDX-License-Identifier: Apache-2.0
"""examples/client/jifen_client.py as a module: it is a file to be copied and stands in no package."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

from tests.tree import ROOT

FILE = ROOT / "examples/client/jifen_client.py"


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("jifen_client", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["jifen_client"] = module
    spec.loader.exec_module(module)
    return module


client = _load()

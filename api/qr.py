# SPDX-License-Identifier: Apache-2.0
"""QR codes drawn as SVG."""

from __future__ import annotations

import io

import segno

CHARACTERS_MAX = 4_200  # capitals and digits that the largest code holds


def svg(text: str | bytes, *, inline: bool = False, level: str = "l") -> str:
    """The code of a text, to stand in a page (`inline`) or in a file of its own. `level`: how much dirt it survives."""
    drawn = io.BytesIO()
    segno.make(text, error=level, boost_error=False, micro=False).save(
        drawn, kind="svg", xmldecl=False, svgns=not inline, omitsize=True, nl=False
    )
    return drawn.getvalue().decode()

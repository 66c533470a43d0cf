# SPDX-License-Identifier: Apache-2.0
"""Whether a source says what a rule quotes from it.

A quotation stands word for word in the text that lies beside the pack, white space and width aside, and the text
is the one whose SHA-256 the pack declares. Nothing else of a source is judged here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from rules.engine.model import Source, plain
from rules.engine.problem import Problem, shown
from rules.engine.terms import Citation

HINTS_MAX, LINES_MAX = 5, 5_000
"""Wrong quotations that get the nearest line with them, and lines of a source that are compared; the verdict comes for
all quotations and is about all lines."""


def check_quotes(
    sources: Mapping[str, Source], citations: Iterable[tuple[str, str, Citation]], files: Mapping[str, bytes]
) -> Iterator[Problem]:
    """Every declared text is there and unchanged, and every quotation stands in its source's text.

    `citations` come with the file and place of what cites (`indicator[3]`).
    """
    digests: dict[str, str] = {}
    folded: dict[str, str] = {}  # by file: two sources may share one
    for name, source in sources.items():
        at = f"sources.{name}"
        if source.text is None:
            continue
        data = files.get(source.text)
        if data is None:
            yield Problem("pack.toml", f"{at}.text", "source_text_missing", source.text, source.text)
            continue
        if source.text not in digests:
            digests[source.text] = hashlib.sha256(data).hexdigest()
            try:
                folded[source.text] = plain(data.decode("utf-8"))
            except UnicodeDecodeError:
                yield Problem(source.text, "", "not_utf8", source.text, "UTF-8")
        digest = digests[source.text]
        if source.sha256 is None:
            yield Problem("pack.toml", f"{at}.sha256", "missing", "", f'sha256 = "{digest}"')
        elif source.sha256 != digest:
            yield Problem("pack.toml", f"{at}.sha256", "source_changed", source.sha256, digest)
    hints = 0
    for file, at, citation in citations:
        if citation.quote is None or citation.source not in sources:
            continue
        here, text = f"{at}.citation.quote", sources[citation.source].text
        if text is None:
            yield Problem(file, here, "source_without_text", citation.source, 'text = "….txt", sha256 = "…"')
        elif text in folded and not _says(folded[text], citation.quote):
            hints += 1
            nearest = _nearest(citation.quote, files[text].decode("utf-8")) if hints <= HINTS_MAX else "…"
            yield Problem(file, here, "quote_not_found", shown(citation.quote), nearest)


def _says(text: str, quote: str) -> bool:
    return bool(wanted := plain(quote)) and wanted in text


def _nearest(quote: str, text: str) -> str:
    """The line of a text that shares most pairs of characters with the quotation, with its number."""
    wanted = plain(quote)
    pairs = {wanted[at : at + 2] for at in range(0, max(len(wanted) - 1, 1), max(len(wanted) // 40, 1))}
    best, most = "–", 0
    for number, line in enumerate(text.splitlines()[:LINES_MAX], 1):
        said = plain(line)
        shared = sum(pair in said for pair in pairs)
        if shared > most:
            best, most = f"{number}: {shown(line.strip())}", shared
    return best

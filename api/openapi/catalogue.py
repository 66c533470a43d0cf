# SPDX-License-Identifier: Apache-2.0
"""docs/reference/errors.md, made from where codes really live: their status and whether to try again from problems.py,
their sentences from locale/, and from the sources which of them are refusals and which only stand beside a field.

`python -m api.openapi.catalogue` writes the page, `--check` says whether it is current.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from pathlib import Path

from api import messages, problems

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "errors.md"

RAISED = re.compile(r'\b(Refusal|Unavailable|SheetRefused|Refused)\(\s*"([a-z_]+)"')
# Sentences of other things than errors, unless they are raised.
_NO_ERRORS = re.compile(r"(entry|why|anomaly|redemption|notice|slip)_")

_HEAD = """\
# Errors

Every refusal is one JSON document (`application/problem+json`, RFC 9457). Programs go by `code`, whose meaning never
changes, and by `retryable`; `title`, `detail` and `fix` are for people, in Chinese or, with `Accept-Language: en`, in
English.

```json
{"type": "/problems/insufficient_points", "title": "…", "status": 409, "detail": "…", "code": "insufficient_points",
 "retryable": false, "instance": "/v1/redemptions", "fix": "…", "errors": []}
```

- `retryable: true`: this is no answer yet. Send the very same request again, with the same `Idempotency-Key`, after
  `Retry-After` seconds. Anything else is an answer: the same key will be answered with it again.
- `errors` names single fields: `pointer` is a JSON pointer into the body, `?name` a parameter, a bare word a header;
  `code` is one of [those at the end](#in-errors-and-in-the-rows-of-sheets).
- No answer at all (a time-out, a broken connection) is like `retryable`, as long as the request has its key.
- `{words}` in braces are filled in.

In short, in Chinese: `code` 供程序判断，含义永不改变；`retryable` 为 `true` 表示还没有结果，可用同一个
`Idempotency-Key` 原样重试；`title`、`detail`、`fix` 供人阅读。

This page is generated: `python -m api.openapi.catalogue`.
"""


def raised() -> dict[str, set[str]]:
    """Code → the classes that it is raised as anywhere in the sources."""
    found: dict[str, set[str]] = {}
    for room in ("ledger", "rules", "merchants", "api"):
        for path in sorted((ROOT / room).rglob("*.py")):
            for kind, code in RAISED.findall(path.read_text(encoding="utf-8")):
                found.setdefault(code, set()).add(kind)
    return found


def page() -> str:
    known = messages.sentences("en")
    refusals = {code for code in known if code in problems.STATUS} | {code for code in raised() if code in known}
    by_status: dict[int, list[str]] = {}
    for code in refusals:
        by_status.setdefault(problems.status_of_code(code), []).append(code)
    beside = [code for code in known if code not in refusals and not _NO_ERRORS.match(code)]
    parts = [_HEAD]
    for status, codes in sorted(by_status.items()):
        parts += [f"\n## {status} {HTTPStatus(status).phrase}\n", *_table(sorted(codes), status=True)]
    parts += ["\n## In `errors` and in the rows of sheets\n", *_table(sorted(beside), status=False)]
    return "\n".join(parts) + "\n"


def _table(codes: Iterable[str], *, status: bool) -> Iterator[str]:
    yield "| code | again? | 中文 | English |" if status else "| code | 中文 | English |"
    yield "|---|---|---|---|" if status else "|---|---|---|"
    for code in codes:
        again = [("yes" if code in problems.RETRYABLE else "no")] if status else []
        yield "| " + " | ".join([f"`{code}`", *again, _said(code, "zh"), _said(code, "en")]) + " |"


def _said(code: str, lang: messages.Lang) -> str:
    """Title, what happened, what to do."""
    told = messages.sentences(lang)[code]
    text = f"**{told['title']}** {told['detail']}" + (f" → {told['fix']}" if told.get("fix") else "")
    return re.sub(r"[\\*_<>|`]", lambda sign: sign[0] if sign[0] == "*" else "\\" + sign[0], " ".join(text.split()))


def main(arguments: list[str] | None = None) -> int:
    check = (sys.argv[1:] if arguments is None else arguments) == ["--check"]
    made = page()
    if check:
        current = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == made
        print("current" if current else f"{PAGE.name} is not current: run python -m api.openapi.catalogue")
        return 0 if current else 1
    PAGE.write_text(made, encoding="utf-8")
    print(PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())

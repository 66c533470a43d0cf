# SPDX-License-Identifier: Apache-2.0
"""What a class of mutations works on, and the small changes that all of them make.

A class is a function (stage) → iterator: None for each mutation that was found and named where it is, else a text that
says what was missed. A mutation that would change nothing is not tried. `stage.want` is how many are asked for.
"""

from __future__ import annotations

import json
import random
import shutil
import string
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.tamper import tables
from tests.tamper.history import Deployment
from tests.tamper.past import Past

Miss = str | None
Class = Callable[["Stage"], Iterator[Miss]]


class Stage:
    """One process's hold on the deployment; `folder` is for files of its own."""

    def __init__(
        self, deployment: Deployment, folder: Path, seed: int = 1, want: int = 10, share: tuple[int, int] = (0, 1)
    ) -> None:
        self.deployment, self.folder, self.want, self.share = deployment, folder, want, share
        self.draw = random.Random(seed)
        folder.mkdir(parents=True, exist_ok=True)

    def again(self, seed: int, want: int, share: tuple[int, int]) -> Stage:
        """The same with other draws: what was prepared stays."""
        self.draw, self.want, self.share = random.Random(seed), want, share
        return self

    @cached_property
    def pins(self) -> list[bytes]:
        return [self.deployment.pin.read_bytes()]

    @cached_property
    def connection(self) -> Any:
        return tables.load(self.deployment.database)

    @cached_property
    def prepared(self) -> tables.Prepared:
        return tables.Prepared(self.connection, self.pins)

    @cached_property
    def past(self) -> Past:
        return Past(self.deployment.export).mend()

    def fresh(self, good: Path | None = None) -> Path:
        """A copy of the export to spoil."""
        folder = self.folder / "export"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(good or self.deployment.export, folder)
        return folder


# changes ------------------------------------------------------------------------------------------------------------

_WIDE = str.maketrans("0123456789", "０１２３４５６７８９")
_LIKE = str.maketrans("aceopxys-", "асеорхуѕ‐")  # letters that only look like them


def other_text(text: str, draw: random.Random) -> list[str]:
    """Texts that are not this one, most of them close to it."""
    made = [text + " ", " " + text, text + "\u200b", text.swapcase(), text.translate(_WIDE), text.translate(_LIKE), "",
            text[:-1], text[1:], text + text[-1:], text[::-1], text + "\0", text.replace("0", "O", 1)]  # fmt: skip
    for _ in range(6):
        if text:
            at = draw.randrange(len(text))
            made.append(text[:at] + draw.choice(string.ascii_lowercase + string.digits) + text[at + 1 :])
    return [one for one in dict.fromkeys(made) if one != text]


def other_number(number: int, draw: random.Random) -> list[int]:
    made = [number + 1, number - 1, -number, 0, number * 10, number * 2, number + 100, number - 100, 1, -1,
            number + draw.randrange(2, 10**6), number + 2**31, 2**53, number ^ 1 << draw.randrange(16)]  # fmt: skip
    return [one for one in dict.fromkeys(made) if one != number]


def other_bytes(data: bytes, draw: random.Random) -> list[bytes]:
    made = [bytes(len(data)), data[:-1], data + b"\0", data[::-1], b"\xff" * len(data), b""]
    for _ in range(8):
        if data:
            flipped = bytearray(data)
            flipped[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
            made.append(bytes(flipped))
    return [one for one in dict.fromkeys(made) if one != data]


def other_value(value: Any, draw: random.Random) -> list[Any]:
    """JSON values that are not this one."""
    if isinstance(value, str):
        return [*other_text(value, draw), 0, [value]]
    if isinstance(value, int):
        return [*other_number(value, draw), str(value), [value]]
    if isinstance(value, list):
        made: list[Any] = [value[1:], [*value, *value[-1:]], value[::-1], [], {}, "", [*value, "x"], [*value, {}]]
        return [one for one in made if one != value]
    made = [{}, [], {**value, "more": 1}, *({k: v for k, v in value.items() if k != name} for name in value)]
    return [one for one in made if one != value]


def paths(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value."""
    if here:
        yield here
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from paths(item, (*here, key))


def with_value(entry: Any, path: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    """A copy in which the value at a place is another; a change to `...` removes it."""
    made = json.loads(json.dumps(entry))
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    value = change(inner[path[-1]])
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return made


def one_byte(data: bytes, at: int, draw: random.Random) -> bytes:
    """Another byte at a place, one more, or one less; always other bytes."""
    how = draw.randrange(8)
    new = bytes([draw.choice([b for b in range(256) if b != data[at]])]) if how else b""
    if how == 1:
        new = data[at : at + 1] + new
    elif how in (2, 3):  # a character like it: a digit for a digit, a letter for a letter
        pools = (b"0123456789abcdef", b"ghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        pool = next((one for one in pools if data[at] in one), b" \t\n,:")
        new = bytes([draw.choice([b for b in pool if b != data[at]])])
    made = data[:at] + new + data[at + 1 :]
    return made if made != data else one_byte(data, at, draw)

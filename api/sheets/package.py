# SPDX-License-Identifier: Apache-2.0
"""The zip around a workbook and the XML in it, opened under budgets: a small file is small work."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from typing import Any
from xml.parsers import expat

from api.sheets.grid import SheetRefused

MAX_UNPACKED = 200 * 1024 * 1024
MAX_RATIO = 200
MAX_MARKS = 12_000_000
"""Opening angle brackets over all parts read: what the largest sheet allowed has, and time for no more."""
MAX_DIRECTORY = 1024 * 1024
_BIG_PART = 4 * 1024 * 1024
_CHUNK = 256 * 1024


def _swollen() -> SheetRefused:
    return SheetRefused("sheet_too_large", what="unpacked", limit=MAX_UNPACKED // (1024 * 1024))


class Done(Exception):
    """Everything wanted from a part was read."""


class Package:
    """The zip, opened only after its directory was judged, and read under one budget of unpacked bytes."""

    def __init__(self, data: bytes) -> None:
        end = data.rfind(b"PK\x05\x06")
        if end < 0 or len(data) - end < 22:
            raise SheetRefused("sheet_unreadable", reason="broken")
        if int.from_bytes(data[end + 12 : end + 16], "little") > MAX_DIRECTORY:
            raise SheetRefused("sheet_unreadable", reason="broken")
        self.zip = zipfile.ZipFile(io.BytesIO(data))
        self.left = MAX_UNPACKED
        self.marks = MAX_MARKS
        self.parts: dict[str, zipfile.ZipInfo] = {}
        total = 0
        for info in self.zip.infolist():
            total += info.file_size
            crowded = info.file_size > _BIG_PART and info.file_size > MAX_RATIO * max(1, info.compress_size)
            if total > MAX_UNPACKED or crowded:
                raise _swollen()
            self.parts[info.filename.replace("\\", "/").lstrip("/").lower()] = info
        if total > _BIG_PART and total > MAX_RATIO * len(data):
            raise _swollen()

    def chunks(self, part: str) -> Iterator[bytes]:
        info = self.parts[part.lower()]
        if info.flag_bits & 1:
            raise SheetRefused("sheet_unreadable", reason="encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise SheetRefused("sheet_unreadable", reason="broken")
        with self.zip.open(info) as stream:
            while chunk := stream.read(_CHUNK):
                self.left -= len(chunk)  # the directory may lie about sizes: count what really comes out
                self.marks -= chunk.count(b"<")
                if self.left < 0 or self.marks < 0:
                    raise SheetRefused("sheet_too_large", what="unpacked", limit=MAX_UNPACKED // (1024 * 1024))
                yield chunk

    def parse(
        self,
        part: str,
        start: Callable[[str, dict[str, str]], Any] | None,
        end: Callable[[str], Any] | None = None,
        text: Callable[[str], Any] | None = None,
    ) -> None:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _no_doctype
        parser.StartElementHandler = start
        parser.EndElementHandler = end
        parser.CharacterDataHandler = text
        try:
            for chunk in self.chunks(part):
                parser.Parse(chunk, False)
            parser.Parse(b"", True)
        except Done:
            return


def _no_doctype(*_: Any) -> None:
    raise SheetRefused("sheet_unreadable", reason="broken")  # workbooks have none; entity bombs do


class LocalNames(dict[str, str]):
    """Element names without their namespace prefix: `x:row` is `row`."""

    def __missing__(self, name: str) -> str:
        if len(self) > 10_000:
            raise SheetRefused("sheet_unreadable", reason="broken")
        local = name.rpartition(":")[2]
        self[name] = local
        return local

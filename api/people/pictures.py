# SPDX-License-Identifier: Apache-2.0
"""Photos as they come in: which of three formats, whole or not, and everything taken out that is not the picture.

Where and when a photo was taken, with which phone and by whom stands in segments of its own; so does whatever somebody
hides behind the end of the picture. A segment is kept only if it is needed to show the picture. Pixels are never
decoded here: nothing that unpacks to more than it is can hurt.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import NamedTuple

from ledger.errors import Refusal

BYTES_MAX = 5 * 1024 * 1024
SEGMENTS_MAX = 20_000  # a photo in pieces of a quarter of a kilobyte; cameras make a few hundred at most
PIXELS_MAX = 64_000_000  # what unpacks to more than a quarter of a gigabyte in the browser of whoever looks at it

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"pHYs"})
_WEBP_KEPT = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ICCP"})
_WEBP_ANIMATED, _WEBP_TOLD = 0x02, 0x0C  # the flags of VP8X for animation, and for EXIF and XMP
# In the coded picture a 0xff is followed by 0x00 or by a restart mark; anything else is the next segment.
_JPEG_NEXT = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
_JPEG_MARK = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)  # with whatever fills up before it
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_TABLES = frozenset({0xC4, 0xCC, 0xDB, 0xDD})
_ICC = b"ICC_PROFILE\0"
_ORIENTATION = 0x0112
_ENTRIES_MAX = 512


class Picture(NamedTuple):
    """A photo without its metadata: the bytes that are kept and served, and their media type."""

    data: bytes
    kind: str


class _Damaged(Exception):
    """The bytes end or go wrong where more of the picture should be."""


def cleaned(data: bytes) -> Picture:
    """The picture in `data`, whatever it was said to be. Raises `photo_too_large`, `photo_kind`, `photo_damaged`."""
    if len(data) > BYTES_MAX:
        raise too_large()
    try:
        if data[:3] == b"\xff\xd8\xff":
            return Picture(_jpeg(data), "image/jpeg")
        if data[:8] == _PNG:
            return Picture(_png(data), "image/png")
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return Picture(_webp(data), "image/webp")
    except (_Damaged, struct.error, IndexError):
        raise Refusal("photo_damaged") from None
    raise Refusal("photo_kind")


def too_large() -> Refusal:
    return Refusal("photo_too_large", megabytes=BYTES_MAX >> 20, megapixels=PIXELS_MAX // 10**6)


def _check_size(width: int, height: int) -> None:
    if not width or not height:
        raise _Damaged
    if width * height > PIXELS_MAX:
        raise too_large()


# JPEG: segments of 0xff, mark, length; the coded picture stands open behind "start of scan" --------------------------


def _jpeg(data: bytes) -> bytes:
    kept = [data[:2]]
    turned = 1
    framed = scanned = False
    at = 2
    for _ in range(SEGMENTS_MAX):
        found = _JPEG_MARK.match(data, at)
        if found is None:
            raise _Damaged
        mark, at = found[1][0], found.end()
        if mark == 0xD9:  # end of image: what follows is no part of it
            break
        length = int.from_bytes(data[at : at + 2], "big")
        body = data[at + 2 : at + length]
        if length < 2 or len(body) != length - 2:
            raise _Damaged
        at += length
        if mark == 0xE1 and body[:6] == b"Exif\0\0":
            turned = _orientation(body[6:])
        if mark in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", body, 1)
            _check_size(width, height)
            framed = True
        if mark in _JPEG_FRAMES or mark in _JPEG_TABLES or _shows(mark, body):
            kept.append(b"\xff%c" % mark + length.to_bytes(2, "big") + body)
        elif mark == 0xDA:
            end = _JPEG_NEXT.search(data, at)
            if end is None or not framed:
                raise _Damaged
            kept += [b"\xff\xda" + length.to_bytes(2, "big") + body, data[at : end.start()]]
            at = end.start()
            scanned = True
    else:
        raise _Damaged
    if not scanned:
        raise _Damaged
    kept.insert(1, _turned(turned))
    return b"".join([*kept, b"\xff\xd9"])


def _shows(mark: int, body: bytes) -> bool:
    """Does this segment of an application say how the picture is to be shown: its colours, or that it is a JPEG?"""
    return (
        (mark == 0xE0 and body[:5] == b"JFIF\0" and len(body) == 14)  # longer ones carry a small picture
        or (mark == 0xE2 and body.startswith(_ICC))
        or (mark == 0xEE and body[:5] == b"Adobe" and len(body) == 12)
    )


def _orientation(tiff: bytes) -> int:
    """How a phone was held, 1 to 8; 1 where it does not say."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return 1
    (at,) = struct.unpack_from(f"{order}I", tiff, 4)
    if at + 2 > len(tiff):
        return 1
    (count,) = struct.unpack_from(f"{order}H", tiff, at)
    for number in range(min(count, _ENTRIES_MAX)):
        entry = tiff[at + 2 + 12 * number :][:12]
        if len(entry) < 12:
            break
        tag, kind, _, value = struct.unpack(f"{order}HHIH2x", entry)
        if tag == _ORIENTATION and kind == 3:
            return value if 1 <= value <= 8 else 1
    return 1


def _turned(orientation: int) -> bytes:
    """An EXIF segment that says nothing else; without it a photo taken upright would lie on its side."""
    if orientation == 1:
        return b""
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, _ORIENTATION, 3, 1, orientation, 0, 0)
    return b"\xff\xe1" + (len(tiff) + 8).to_bytes(2, "big") + b"Exif\0\0" + tiff


# PNG: chunks of length, name, body, checksum ------------------------------------------------------------------------


def _png(data: bytes) -> bytes:
    kept = [_PNG]
    at = len(_PNG)
    names: list[bytes] = []
    while not names or names[-1] != b"IEND":
        if len(names) > SEGMENTS_MAX:
            raise _Damaged
        (length,) = struct.unpack_from(">I", data, at)
        chunk = data[at : at + length + 12]
        name = chunk[4:8]
        if len(chunk) != length + 12 or zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
            raise _Damaged
        if not names:
            if name != b"IHDR" or length != 13:
                raise _Damaged
            _check_size(*struct.unpack_from(">II", chunk, 8))
        names.append(name)
        if name in _PNG_KEPT:
            kept.append(chunk)
        at += len(chunk)
    if b"IDAT" not in names:
        raise _Damaged
    return b"".join(kept)


# WebP: chunks of name, length, body, filled up to an even length ----------------------------------------------------


def _webp(data: bytes) -> bytes:
    (size,) = struct.unpack_from("<I", data, 4)
    end = size + 8
    if end > len(data):
        raise _Damaged
    kept: list[bytes] = []
    shown = False
    at = 12
    for _ in range(SEGMENTS_MAX):
        if at >= end:
            break
        name = data[at : at + 4]
        (length,) = struct.unpack_from("<I", data, at + 4)
        body = data[at + 8 : at + 8 + length]
        if len(body) != length or at + 8 + length > end:
            raise _Damaged
        at += 8 + length + length % 2
        if name == b"VP8X":
            if body[0] & _WEBP_ANIMATED:
                raise Refusal("photo_kind")
            _check_size(1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little"))
            body = bytes([body[0] & ~_WEBP_TOLD]) + body[1:]
        elif name in (b"VP8 ", b"VP8L"):
            _check_size(*(_lossy(body) if name == b"VP8 " else _lossless(body)))
            shown = True
        if name in _WEBP_KEPT:
            kept.append(name + length.to_bytes(4, "little") + body + b"\0" * (length % 2))
    if not shown or at < end:
        raise _Damaged
    chunks = b"".join(kept)
    return b"RIFF" + (len(chunks) + 4).to_bytes(4, "little") + b"WEBP" + chunks


def _lossy(body: bytes) -> tuple[int, int]:
    if body[3:6] != b"\x9d\x01\x2a":
        raise _Damaged
    width, height = struct.unpack_from("<HH", body, 6)
    return width & 0x3FFF, height & 0x3FFF


def _lossless(body: bytes) -> tuple[int, int]:
    if body[:1] != b"\x2f":
        raise _Damaged
    (bits,) = struct.unpack_from("<I", body, 1)
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1

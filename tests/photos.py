# SPDX-License-Identifier: Apache-2.0
"""Photos made by hand, byte by byte, with everything in them that must not be kept."""

from __future__ import annotations

import struct
import zlib

SECRET = b"GPS 36.9N 118.1E, Zhang Jianguo's phone"


def segment(mark: int, body: bytes) -> bytes:
    return b"\xff%c" % mark + struct.pack(">H", len(body) + 2) + body


def exif(orientation: int = 1, order: str = ">") -> bytes:
    """An EXIF segment with an orientation, and where the photo was taken."""
    head = b"MM\0*" if order == ">" else b"II*\0"
    entries = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0) + struct.pack(f"{order}HHII", 0x8825, 4, 1, 99)
    tiff = head + struct.pack(f"{order}IH", 8, 2) + entries + SECRET
    return segment(0xE1, b"Exif\0\0" + tiff)


def jpeg(*, seed: bytes = b"", orientation: int = 1, width: int = 640, height: int = 480, tail: bytes = b"") -> bytes:
    """A JPEG as a phone makes it: EXIF, XMP, a comment, a small picture, an editor's segment, and two scans."""
    coded = b"\x11\xff\x00\x22\xff\xd0\x33" + seed
    return b"".join(
        [
            b"\xff\xd8",
            segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
            exif(orientation),
            segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + SECRET),
            segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(20)),
            segment(0xE2, b"MPF\0" + SECRET),
            segment(0xED, b"Photoshop 3.0\0" + SECRET),
            segment(0xFE, SECRET),
            segment(0xDB, b"\0" + bytes(range(1, 65))),
            b"\xff\xff" + segment(0xC2, struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0"),
            segment(0xC4, bytes(18)),
            segment(0xDA, b"\1\1\0\0\0\0") + coded,
            segment(0xDA, b"\1\1\0\1\5\0") + coded,
            b"\xff\xd9",
            tail,
        ]
    )


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(*, width: int = 8, height: int = 8, tail: bytes = b"") -> bytes:
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
            chunk(b"tEXt", b"Author\0" + SECRET),
            chunk(b"eXIf", SECRET),
            chunk(b"gAMA", struct.pack(">I", 45455)),
            chunk(b"IDAT", zlib.compress(bytes((width + 1) * height) if width < 100 else b"")),
            chunk(b"IEND", b""),
            tail,
        ]
    )


def riff(*chunks: tuple[bytes, bytes], tail: bytes = b"") -> bytes:
    body = b"WEBP" + b"".join(
        name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body + tail


def webp(*, flags: int = 0x0C, width: int = 8, height: int = 8, tail: bytes = b"") -> bytes:
    extended = bytes([flags, 0, 0, 0]) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    lossy = b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width & 0x3FFF, height & 0x3FFF) + b"\7" * 5
    return riff((b"VP8X", extended), (b"VP8 ", lossy), (b"EXIF", SECRET), (b"XMP ", SECRET), tail=tail)

# SPDX-License-Identifier: Apache-2.0
"""Photos are kept without what they say beside the picture; whatever is no whole photo is turned away quickly."""

from __future__ import annotations

import random
import struct
import time

import pytest

from api.people.pictures import BYTES_MAX, cleaned
from ledger.errors import Refusal
from tests.photos import SECRET, chunk, exif, jpeg, png, riff, segment, webp

WHOLE = {"jpeg": jpeg(), "png": png(), "webp": webp()}


def code(data: bytes) -> str:
    try:
        cleaned(data)
    except Refusal as refusal:
        return refusal.code
    return ""


@pytest.mark.parametrize(("name", "kind"), [("jpeg", "image/jpeg"), ("png", "image/png"), ("webp", "image/webp")])
def test_only_the_picture_is_kept(name: str, kind: str) -> None:
    """Place, time, phone, comments and what hangs behind the end are gone; cleaning twice changes nothing more."""
    page = b"<script>alert(1)</script>PK\3\4 and a whole archive"
    for data in (WHOLE[name], WHOLE[name] + page):
        picture = cleaned(data)
        assert kind == picture.kind
        assert SECRET not in picture.data and page not in picture.data
        assert cleaned(picture.data) == picture
    assert cleaned(WHOLE[name]) == cleaned(WHOLE[name] + page)


def test_a_jpeg_keeps_its_coded_picture_and_how_it_is_shown() -> None:
    """Both scans, tables, frame and colours byte for byte; of EXIF only which way up."""
    data = cleaned(jpeg(orientation=6)).data
    for kept in (b"\x11\xff\x00\x22\xff\xd0\x33", b"ICC_PROFILE\0", b"JFIF\0", bytes(range(1, 65))):
        assert jpeg().count(kept) == data.count(kept)
    assert b"MPF\0" not in data and b"Photoshop" not in data
    assert data.startswith(b"\xff\xd8\xff\xe1") and data.endswith(b"\xff\xd9")
    (turned,) = struct.unpack_from(">H", data, data.index(b"\x01\x12\0\3\0\0\0\1") + 8)
    assert 6 == turned
    assert b"Exif" not in cleaned(jpeg(orientation=1)).data
    other = jpeg().replace(exif(1), exif(8, "<"))
    assert b"\x01\x12\0\3\0\0\0\1\0\x08" in cleaned(other).data


def test_a_png_keeps_what_paints_it() -> None:
    """Header, picture and colours; still a file whose every checksum is right."""
    data = cleaned(png()).data
    assert all(name in data for name in (b"IHDR", b"gAMA", b"IDAT", b"IEND"))
    assert b"tEXt" not in data and b"eXIf" not in data
    assert png(tail=b"x") != png() and cleaned(png(tail=b"x")).data == data


def test_a_webp_says_itself_that_nothing_else_is_in_it() -> None:
    """Its flags for EXIF and XMP are cleared and its length is that of what is left."""
    data = cleaned(webp()).data
    assert len(data) == struct.unpack_from("<I", data, 4)[0] + 8
    assert 0 == data[20] & 0x0C
    lossless = riff((b"VP8L", b"\x2f" + struct.pack("<I", 7 | 7 << 14) + b"x"), (b"EXIF", SECRET))
    assert SECRET not in cleaned(lossless).data


@pytest.mark.parametrize("name", ["jpeg", "png", "webp"])
def test_half_a_photo_is_no_photo(name: str) -> None:
    """Cut off anywhere it is turned away, and so is one with a byte missing from the middle."""
    whole = WHOLE[name]
    for end in range(len(whole)):
        assert code(whole[:end]) in ("photo_damaged", "photo_kind"), end


def test_what_is_no_photo() -> None:
    """Pages, archives, documents, films, a photo's first bytes alone, nothing at all."""
    others = (
        b"",
        b"\xff\xd8\xff",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"<html><script>",
        b"GIF89a" + bytes(100),
        b"PK\3\4" + bytes(100),
        b"%PDF-1.7",
        b"\0\0\0\x18ftypheic" + bytes(50),
        b"RIFF\x24\0\0\0WAVEfmt ",
        webp(flags=0x02),
    )
    for data in others:
        assert code(data) in ("photo_kind", "photo_damaged"), data[:20]
    assert "photo_kind" == code(webp(flags=0x02))  # it moves


def test_what_is_too_large() -> None:
    """More than 5 MB, or a small file that unpacks to gigabytes: nothing is decoded to find out."""
    assert "" == code(jpeg(seed=bytes(BYTES_MAX - len(jpeg()) >> 1)))
    assert "photo_too_large" == code(jpeg(seed=bytes(3 << 20)))
    for bomb in (
        png(width=50_000, height=50_000),
        png(width=2**31 - 1, height=2**31 - 1),
        jpeg(width=65_535, height=65_535),
        webp(width=16_383, height=16_383),
    ):
        assert len(bomb) < 2000 and "photo_too_large" == code(bomb)
    assert "photo_damaged" == code(png(width=0))


def test_nothing_makes_it_slow() -> None:
    """Five megabytes of the worst that each walker can meet are answered in less than two seconds."""
    signed = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0))
    started = segment(0xC0, struct.pack(">BHHB", 8, 8, 8, 1) + b"\1\x11\0") + segment(0xDA, bytes(6))
    hostile = {
        "fill bytes": b"\xff\xd8" + b"\xff" * (BYTES_MAX - 2),
        "fill bytes in a scan": b"\xff\xd8" + started + b"\xff" * (BYTES_MAX - 100),
        "restart marks": b"\xff\xd8" + started + b"\xff\xd0" * (BYTES_MAX // 2 - 100),
        "tiny segments": b"\xff\xd8" + b"\xff\xfe\0\2" * (BYTES_MAX // 4 - 10),
        "tiny chunks": signed + chunk(b"tEXt", b"") * (BYTES_MAX // 12 - 20),
        "empty chunks": b"RIFF" + struct.pack("<I", BYTES_MAX - 8) + b"WEBP" + b"abcd\0\0\0\0" * (BYTES_MAX // 8 - 2),
        "many scans": b"\xff\xd8" + started * 180_000,
    }
    for name, data in hostile.items():
        begun = time.perf_counter()
        assert "photo_damaged" == code(data[:BYTES_MAX]), name
        assert time.perf_counter() - begun < 2, name


def test_random_damage_is_answered() -> None:
    """A few bytes changed: a photo or one of three refusals, never an accident."""
    chance = random.Random(4)
    for whole in WHOLE.values():
        for _ in range(400):
            data = bytearray(whole)
            for _ in range(chance.randint(1, 4)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            assert code(bytes(data)) in ("", "photo_damaged", "photo_kind", "photo_too_large")

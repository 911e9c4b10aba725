"""A picture whose metadata is damaged, and whose pixels are sound, is read; damaged pixels are refused."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms
from user_pictures import encoded, picture

from laureate.imaging.headers import read_header
from laureate.imaging.image_io import PictureError, decode, examine
from laureate.imaging.signatures import format_of, other_format_of

SOUND = picture(50)
PNG, JPEG = encoded(SOUND, "PNG"), encoded(SOUND, "JPEG", quality=95)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def chunk(kind: bytes, body: bytes, check: int | None = None) -> bytes:
    """A PNG's chunk; `check`: in place of its right checksum."""
    check = zlib.crc32(kind + body) if check is None else check
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 255, marker, 2 + len(body)) + body


CHUNKS = {
    "text, wrong checksum": chunk(b"tEXt", b"a\0b", 5),
    "packed text by an unknown method": chunk(b"zTXt", b"workflow\0\7" + zlib.compress(b"x")),
    "private, wrong checksum": chunk(b"teSt", b"abc", 5),
    "profile, wrong checksum": chunk(b"iCCP", b"x\0\0" + zlib.compress(SRGB), 1),
    "profile of 5 MB": chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(5_000_000))),
    "profile and text too large": chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(5_000_000)))
    + chunk(b"zTXt", b"w\0\0" + zlib.compress(bytes(3_000_000))),
    **{f"{kind.decode()} too short": chunk(kind, b"\0") for kind in (b"gAMA", b"pHYs", b"cHRM", b"tRNS")},
    "sRGB empty": chunk(b"sRGB", b""),
    "animation cut": chunk(b"acTL", b"\0\0"),
}
SEGMENTS = {
    "Photoshop's, cut": segment(0xED, b"Photoshop 3.0\x008BIM\x04\xff"),
    "profile without a number": segment(0xE2, b"ICC_PROFILE\0"),
    "profile, one part missing": segment(0xE2, b"ICC_PROFILE\0\2\3" + SRGB[:200]),
    "second frame that is not there": segment(0xE2, b"MPF\0MM\0*\0\0\0\x08\xff\xff" + b"\1" * 10),
}
DAMAGED = {name: PNG[:33] + damage + PNG[33:] for name, damage in CHUNKS.items()} | {
    name: JPEG[:2] + damage + JPEG[2:] for name, damage in SEGMENTS.items()
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_metadata_does_not_matter(name: str, tmp_path: Path) -> None:
    data = DAMAGED[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        info, read = examine(data)
        (tmp_path / "a").write_bytes(data)
        assert read_header(tmp_path / "a")[0] == SOUND.size
    assert np.array_equal(np.asarray(read), np.asarray(decode(PNG if name in CHUNKS else JPEG)))
    assert info.size == SOUND.size
    assert all("metadata is damaged or too large" in note or "profile" in note for note in info.notes)


def test_the_turn_of_a_picture_outlives_other_damage() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(SOUND.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif)
    info, read = examine(data[:2] + SEGMENTS["Photoshop's, cut"] + data[2:])
    assert (info.turned, read.size) == (True, SOUND.size)


def test_sound_transparency_outlives_other_damage() -> None:
    white = Image.new("RGB", (9, 9), (1, 2, 3))
    data = encoded(white, "PNG", transparency=(1, 2, 3))
    assert decode(data[:33] + CHUNKS["text, wrong checksum"] + data[33:]).getpixel((4, 4)) == (255, 255, 255)


@pytest.mark.parametrize("data", [PNG[:-400], JPEG[:-400], PNG[:41] + b"\xff" * 60 + PNG[101:], JPEG[:20]])
def test_damaged_pixels_are_refused(data: bytes) -> None:
    with pytest.raises(PictureError, match="cannot be"):
        decode(data)


@given(st.data())
def test_no_damage_of_a_jpeg_ends_in_another_error(data: st.DataObject) -> None:
    start = data.draw(st.binary(max_size=60))
    marker = data.draw(st.integers(0xC0, 0xFE))
    try:
        picture = decode(JPEG[:2] + segment(marker, start) + JPEG[2:])
    except PictureError:
        return
    assert picture.mode == "RGB"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (encoded(SOUND, "BMP"), "BMP"),
        (encoded(SOUND, "AVIF"), "AVIF"),
        (encoded(SOUND, "JPEG2000"), "JPEG 2000"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIF"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(9), "JPEG XL"),
        (b"8BPS\0\1" + bytes(20), "Photoshop"),
    ],
)
def test_a_format_that_is_not_read_is_named(data: bytes, name: str) -> None:
    assert (format_of(data[:16]), other_format_of(data[:16])) == (None, name)
    with pytest.raises(PictureError, match=f"it is {name}, no picture of a known format"):
        decode(data)


@pytest.mark.parametrize("start", [b"BMW and other cars\n", b"\0\0\0\x18ftypmp42\0\0\0\0", b"PK\3\4", b""])
def test_other_files_are_no_pictures(start: bytes) -> None:
    assert (format_of(start), other_format_of(start)) == (None, None)


@pytest.mark.parametrize("large", [False, True])
def test_both_kinds_of_tiff_are_known(large: bool) -> None:
    data = encoded(SOUND, "TIFF", big_tiff=large)
    assert format_of(data[:16]) == "TIFF"
    assert np.array_equal(np.asarray(decode(data)), np.asarray(SOUND))

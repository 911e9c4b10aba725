"""Depths beyond 8 bits in every layout of TIFF and PNG: read as they look, or refused with the reason."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import pytest

from laureate.imaging.image_io import PictureError, decode, examine

GREY = np.add.outer(np.arange(24), 8 * np.arange(20)).astype(float)  # 0..175
GREY *= 255 / GREY.max()
COLOUR = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=2)
BIG, LITTLE = ">", "<"


def tiff(pixels: Any, photometric: int, sample_format: int = 1, alpha: bool = False) -> bytes:
    """An uncompressed TIFF of one strip, written by hand: Pillow writes few of the kinds it can read."""
    order = BIG if pixels.dtype.byteorder == ">" else LITTLE
    bits, samples = 8 * pixels.dtype.itemsize, 1 if pixels.ndim == 2 else pixels.shape[2]
    data = pixels.tobytes()
    height, width = pixels.shape[:2]
    tags: list[tuple[int, int, list[int]]] = [  # number, type (3: 16 bits, 4: 32 bits), values
        (256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * samples), (259, 3, [1]),
        (262, 3, [photometric]), (273, 4, [8]), (277, 3, [samples]), (278, 4, [height]),
        (279, 4, [len(data)]), (284, 3, [1]), *([(338, 3, [2])] if alpha else []),
        (339, 3, [sample_format] * samples),
    ]  # fmt: skip
    start, more = 8 + len(data), b""
    place, rows = start + 2 + 12 * len(tags) + 4, b""
    for number, kind, values in tags:
        packed = struct.pack(order + ("H" if kind == 3 else "I") * len(values), *values)
        if len(packed) > 4:
            rows += struct.pack(order + "HHII", number, kind, len(values), place + len(more))
            more += packed
        else:
            rows += struct.pack(order + "HHI", number, kind, len(values)) + packed.ljust(4, b"\0")
    mark = b"MM\0*" if order == BIG else b"II*\0"
    head = mark + struct.pack(order + "I", start)
    return head + data + struct.pack(order + "H", len(tags)) + rows + bytes(4) + more


def png(pixels: Any, kind: int) -> bytes:
    """A PNG of 16 bits a channel; `kind` 0: grey, 2: RGB, 4: grey and alpha, 6: RGBA."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def with_alpha(pixels: Any, alpha: float) -> Any:
    """One more channel of this value."""
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    return np.concatenate([pixels, np.full((*pixels.shape[:2], 1), alpha)], axis=2)


CLEAR = np.full_like(GREY, 255)
READ: dict[str, tuple[bytes, Any]] = {
    **{
        f"{name}, {order}": (tiff(pixels.astype(order + kind), photometric, form, alpha), want)
        for order in (BIG, LITTLE)
        for name, pixels, kind, photometric, form, alpha, want in (
            ("16 bits, grey", GREY * 257, "u2", 1, 1, False, GREY),
            ("16 bits, RGB", COLOUR * 257, "u2", 2, 1, False, COLOUR),
            ("16 bits, RGBA", with_alpha(COLOUR, 255) * 257, "u2", 2, 1, True, COLOUR),
            ("16 bits, RGBA, clear", with_alpha(COLOUR, 0) * 257, "u2", 2, 1, True, CLEAR),
            ("32-bit floats, grey", GREY / 255, "f4", 1, 3, False, GREY),
            ("signed 16 bits, grey", GREY * 32767 / 255, "i2", 1, 2, False, GREY),
            ("white is zero, 8 bits", 255 - GREY, "u1", 0, 1, False, GREY),
        )
    },
    "white is zero, 16 bits": (tiff((65535 - GREY * 257).astype("<u2"), 0), GREY),
    "32 bits, grey": (tiff((GREY * 16843009).astype("<u4"), 1), GREY),
    **{
        f"floats, {name}": (tiff(pixels.astype("<f4"), 1, 3), want)
        for name, pixels, want in (
            ("resampled 0..1", GREY / 255 * 1.06 - 0.03, GREY * 1.06 - 7.65),
            ("resampled 0..255", GREY * 1.06 - 7.65, GREY * 1.06 - 7.65),
            ("a little below 0", GREY / 255 - 1e-6, GREY),
            ("of 10 bits", GREY * 1023 / 255, GREY),
            ("of 12 bits", GREY * 4095 / 255, GREY),
            ("of 16 bits", GREY * 257, GREY),
        )
    },
    "PNG, grey": (png(GREY * 257, 0), GREY),
    "PNG, RGB": (png(COLOUR * 257, 2), COLOUR),
    "PNG, grey and alpha": (png(with_alpha(GREY, 255) * 257, 4), GREY),
    "PNG, grey, clear": (png(with_alpha(GREY, 0) * 257, 4), CLEAR),
    "PNG, RGBA": (png(with_alpha(COLOUR, 255) * 257, 6), COLOUR),
    "PNG, RGBA, clear": (png(with_alpha(COLOUR, 0) * 257, 6), CLEAR),
    "PNG, black": (png(COLOUR * 0, 2), COLOUR * 0),
}
REFUSED = {
    "12 bits in 16, RGB": (tiff((COLOUR * 16).astype("<u2"), 2), "use 12 bits only"),
    "12 bits in 16, RGBA": (tiff((with_alpha(COLOUR, 255) * 16).astype(">u2"), 2, alpha=True), "12 bits"),
    "10 bits in 16, PNG, RGB": (png(COLOUR * 4, 2), "use 10 bits only"),
    "14 bits in 16, PNG, grey and alpha": (png(with_alpha(GREY, 255) * 64, 4), "use 14 bits only"),
    "32-bit floats, RGB": (tiff((COLOUR / 255).astype("<f4"), 2, 3), "three channels of floats"),
    "floats of a scene brighter than white": (tiff((GREY / 255 * 3.5).astype("<f4"), 1, 3), "neither those"),
    "floats of -1..1": (tiff((GREY / 127.5 - 1).astype("<f4"), 1, 3), "start at 0"),
    "64-bit floats": (tiff((GREY / 255).astype("<f8"), 1, 3), "a TIFF of a kind that cannot be read"),
    "white is zero, 16 bits, big-endian": (tiff((65535 - GREY * 257).astype(">u2"), 0), "of a kind"),
}


@pytest.mark.parametrize("name", READ)
def test_a_depth_is_scaled_to_what_the_picture_looks_like(name: str) -> None:
    data, want = READ[name]
    want = want if want.ndim == 3 else np.repeat(want[..., None], 3, axis=2)
    assert np.abs(np.asarray(decode(data), float) - want.clip(0, 255)).max() <= 1.5


@pytest.mark.parametrize("name", REFUSED)
def test_a_depth_that_would_be_black_or_cannot_be_read_is_refused(name: str) -> None:
    data, reason = REFUSED[name]
    with pytest.raises(PictureError, match=reason):
        examine(data)


def test_a_jpeg_that_is_no_more_than_its_first_bytes_is_called_one() -> None:
    with pytest.raises(PictureError, match="a JPEG whose header cannot be read"):
        decode(b"\xff\xd8\xff")


def corner(high: float, kind: str, form: int = 1) -> tuple[list[str], int, int]:
    """Notes on a picture of zeros but for one pixel of this value, the 8 bits of that and of the others."""
    pixels = np.zeros((4, 4), kind)
    pixels[1, 2] = high
    info, picture = examine(tiff(pixels, 1, form))
    read = np.asarray(picture)
    assert len(np.unique(read)) <= 2
    return list(info.notes), int(read[1, 2, 0]), int(read[0, 0, 0])


@pytest.mark.parametrize("order", [BIG, LITTLE])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_integers_are_read_by_the_smallest_depth_that_holds_them(bits: int, order: str) -> None:
    said = [] if bits == 16 else [f"it holds values of {bits} bits"]
    assert corner(2**bits - 1, f"{order}u2") == (said, 255, 0)
    if bits < 16:  # one more needs the next depth
        more = {8: 10, 10: 12, 12: 14, 14: 16}[bits]
        assert corner(2**bits, f"{order}u2")[1] == round(2**bits * 255 / (2**more - 1))


@pytest.mark.parametrize(
    ("high", "kind", "form", "said", "white"),
    [
        (4095, "<u4", 1, ["it holds values of 12 bits"], 255),
        (32767, "<i4", 2, ["it holds values of 15 bits"], 255),
        (32768, "<u4", 1, ["it holds values of 16 bits"], 128),
        (65536, "<u4", 1, [], 0),
        (2**31, "<u4", 1, [], 128),
        (2**32 - 1, "<u4", 1, [], 255),
        (1.0, "<f4", 3, [], 255),
        (1.0999, "<f4", 3, [], 255),
        (255, "<f4", 3, ["it holds floats of 0..255"], 255),
        (1023, "<f4", 3, ["it holds floats of 0..1023"], 255),
        (65535, "<f4", 3, ["it holds floats of 0..65535"], 255),
        (16, "<f4", 3, ["it holds floats of 0..255"], 16),
    ],
)
def test_the_range_that_was_taken_is_said(
    high: float, kind: str, form: int, said: list[str], white: int
) -> None:
    assert corner(high, kind, form) == (said, white, 0)


@pytest.mark.parametrize(
    ("high", "kind", "form", "reason"),
    [
        (np.nan, "<f4", 3, "some of its values are not numbers"),
        (np.inf, "<f4", 3, "some of its values are not numbers"),
        (-np.inf, "<f4", 3, "some of its values are not numbers"),
        (-1, "<i4", 2, "its values go from -1 to 0, and a picture's start at 0"),
        (-0.2, "<f4", 3, "its values go from -0.2 to 0"),
        (1.2, "<f4", 3, "its values go up to 1.2, neither those of 0..1 nor of 0..255"),
        (80000, "<f4", 3, "its values go up to 80000, more than 65535"),
    ],
)
def test_a_range_that_nobody_can_know_is_refused(high: float, kind: str, form: int, reason: str) -> None:
    with pytest.raises(PictureError, match=reason):
        corner(high, kind, form)

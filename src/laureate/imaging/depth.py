"""Reduce pictures of more than 8 bits a channel, or of floats, to 8 bits by the range of their values."""

from typing import Any

import numpy as np
from PIL import Image

BITS = (8, 10, 12, 14, 16, 32)  # what scanners, cameras and renderers store in 16 or 32 bits
FLOATS = (1.0, *(2.0**bits - 1 for bits in BITS[:-1]))  # what the largest value of floats may stand for
BEYOND = 0.1  # share of the range by which resampled floats may lie outside of it; these are cut off
BITS_PER_SAMPLE, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339  # tags of TIFF
DEEP = ("I", "F")  # how Pillow's modes of more than 8 bits begin


def is_deep(image: Image.Image) -> bool:
    """Whether a pixel has more than 8 bits: modes I, I;16, I;16B and F."""
    return image.mode.startswith(DEEP)


def eight_bits(image: Image.Image, clear: object = None) -> tuple[Image.Image, str | None]:
    """A picture of a deep mode => (mode L, a note where its range is not that of its mode).

    Integers are read as the smallest of `BITS` that holds their largest value, but 16 bits where that is
    unlikely to be meant: at least 8. Floats are read by the smallest of `FLOATS` that they do not exceed by
    more than `BEYOND`, and what lies outside of the range is cut off. `clear` is the value that PNG calls
    transparent: it becomes white.

    Raises ValueError for NaN, infinities and negative values, for floats between 0..1 and 0..255 and for
    those above 65535: nobody can know their range.
    """
    values: Any = np.asarray(image)
    if values.dtype == np.int32 and values.size and values.min() < 0 and _unsigned(image):
        values = values.view(np.uint32)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError("some of its values are not numbers (NaN or infinite)")
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if values.dtype.kind == "f":
        top, note = _range_of_floats(low, high)
    else:
        if low < 0:
            raise ValueError(f"its values go from {low:g} to {high:g}, and a picture's start at 0")
        bits = next(bits for bits in BITS if high < 2**bits)
        top = float(2**bits - 1)
        note = None if bits == (16 if "16" in image.mode else 32) else f"values of {bits} bits"
        if bits == 16 and high < 2**15 and image.mode == "I":  # half of the range of signed ones
            top, note = float(2**15 - 1), "values of 15 bits"
    scaled = np.clip(np.rint(values * (255.0 / top)), 0, 255).astype(np.uint8)
    if _white_is_zero(image):
        scaled = 255 - scaled
    if isinstance(clear, int):
        scaled[values == clear] = 255
    return Image.fromarray(scaled, "L"), note


def _range_of_floats(low: float, high: float) -> tuple[float, str | None]:
    """The value of white, and a note where that is not 1. Raises ValueError where it cannot be known."""
    top = next((top for top in FLOATS if high <= top * (1 + BEYOND)), None)
    if top is None:
        raise ValueError(f"its values go up to {high:g}, more than 65535")
    if low < -BEYOND * top:
        raise ValueError(f"its values go from {low:g} to {high:g}, and a picture's start at 0")
    if top > 1.0 and high < 16:  # a picture of 0..255 that is almost black, or a scene of more than white
        raise ValueError(f"its values go up to {high:g}, neither those of 0..1 nor of 0..255")
    return top, None if top == 1.0 else f"floats of 0..{top:.0f}"


def check_wide(image: Image.Image, data: bytes) -> None:
    """Refuse a decoded picture of 16 bits a channel in colour whose values are those of 14 bits or fewer.

    Pillow decodes the upper 8 bits of such a picture only, in which a sensor's 12 bits, stored as they are,
    are almost black. Raises ValueError.
    """
    if image.mode not in ("RGB", "RGBA", "LA") or _depth(image, data) != 16:
        return
    found: Any = image.getextrema()
    high = max(top for _, top in found[: len(found) - ("A" in image.mode)])
    if 0 < high < 64:  # 0: a black picture
        used = 8 + high.bit_length()
        raise ValueError(f"its values of 16 bits a channel use {used} bits only, and would be almost black")


def _depth(image: Image.Image, data: bytes) -> int:
    """Bits a channel in the file."""
    if image.format == "PNG":
        return data[24]  # in its header
    tags: Any = getattr(image, "tag_v2", {})
    return int(max(tags.get(BITS_PER_SAMPLE, (8,))))


def _unsigned(image: Image.Image) -> bool:
    """Whether the integers of a TIFF are unsigned, as they are without a word about it (tag SampleFormat)."""
    tags: Any = getattr(image, "tag_v2", {})
    return tuple(tags.get(SAMPLE_FORMAT, (1,))) == (1,)


def _white_is_zero(image: Image.Image) -> bool:
    """Whether a TIFF stores white as 0, as scanners do; Pillow turns only 8 bits of these."""
    tags: Any = getattr(image, "tag_v2", {})
    return bool(tags.get(PHOTOMETRIC) == 0)

"""Image bytes become RGB pictures: modes, orientation, profiles, broken bytes, squares, sizes."""

import io
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from laureate.imaging.image_io import FILTERS, PictureError, decode, examine, identify, resized, square


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    """A picture as a file's bytes."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def coloured(colour: Any, size: tuple[int, int] = (40, 60), mode: str = "RGB") -> Image.Image:
    """A plain picture."""
    return Image.new(mode, size, colour)


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize(
    ("data", "colour"),
    [
        (encoded(coloured((200, 10, 60))), (200, 10, 60)),
        (encoded(coloured(90, mode="L")), (90, 90, 90)),
        (encoded(coloured(1, mode="1")), (255, 255, 255)),
        (encoded(coloured((200, 10, 60, 0), mode="RGBA")), (255, 255, 255)),
        (encoded(coloured((0, 0, 0, 51), mode="RGBA")), (204, 204, 204)),
        (encoded(coloured((30, 255), mode="LA")), (30, 30, 30)),
        (encoded(coloured(0x8080, mode="I;16")), (128, 128, 128)),
        (encoded(coloured(65535, mode="I;16")), (255, 255, 255)),
        (encoded(coloured((0, 0, 0, 0), mode="CMYK"), "JPEG"), (255, 255, 255)),
        (encoded(coloured((200, 10, 60)).quantize(4)), (200, 10, 60)),
        (encoded(coloured((200, 10, 60)), "WEBP", lossless=True), (200, 10, 60)),
        (encoded(coloured((9, 9, 9)), icc_profile=SRGB), (9, 9, 9)),
    ],
    ids=[
        "rgb",
        "grey",
        "1 bit",
        "clear",
        "alpha",
        "grey alpha",
        "16 bit",
        "16 bit white",
        "cmyk",
        "palette",
        "webp",
        "icc",
    ],
)
def test_every_mode_becomes_rgb(data: bytes, colour: tuple[int, int, int]) -> None:
    picture = decode(data)
    assert (picture.mode, picture.size) == ("RGB", (40, 60))
    assert np.abs(np.asarray(picture, int) - colour).max() <= 1


def test_exif_orientation_is_applied() -> None:
    image = Image.new("RGB", (60, 40), "white")
    image.paste("black", (0, 0, 60, 10))  # a bar at the top
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    picture = decode(encoded(image, exif=exif))
    assert picture.size == (40, 60)
    assert picture.getpixel((38, 30)) == (0, 0, 0)
    assert picture.getpixel((2, 30)) == (255, 255, 255)


def test_a_broken_colour_profile_is_ignored_and_noted() -> None:
    info, picture = examine(encoded(coloured((9, 9, 9)), icc_profile=b"no profile"))
    assert picture.getpixel((3, 3)) == (9, 9, 9)
    assert "ICC profile cannot be read" in info.notes[0]


FRAMES = [coloured((i, 0, 0)) for i in (0, 99, 200)]
PICTURE = encoded(Image.effect_noise((64, 64), 90).convert("RGB"))
BAD = {
    "empty": (b"", "it is empty"),
    "page": (b"  <!DOCTYPE html><html>", "it is a web page"),
    "text": (b"hello", "no picture of a known format"),
    "cut png": (PICTURE[:-900], "cannot be decoded"),
    "cut jpeg": (encoded(Image.effect_noise((64, 64), 90), "JPEG")[:-400], "cannot be decoded"),
    "another format": (encoded(coloured((1, 2, 3)), "BMP"), "no picture of a known format"),
    "too large": (encoded(coloured(0, (1200, 1000), "1")), "1200 x 1000 pixels, more than 1 million"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_usable_picture_says_why(name: str) -> None:
    data, reason = BAD[name]
    with pytest.raises(PictureError, match=reason):
        decode(data, megapixels=1.0)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF", "MPO"])
def test_the_first_frame_is_the_picture(form: str) -> None:
    frames = [coloured(colour) for colour in ((200, 10, 60), (0, 0, 0), (9, 9, 200))]
    info, picture = examine(encoded(frames[0], form, save_all=True, append_images=frames[1:]))
    assert (info.format, info.frames) == ("JPEG" if form == "MPO" else form, 3)
    assert np.abs(np.asarray(picture, int) - (200, 10, 60)).max() <= 4


def test_identify_reads_what_the_bytes_are() -> None:
    found = identify(encoded(coloured((1, 2, 3)), "JPEG"))
    assert (found.format, found.size, found.mode, found.frames) == ("JPEG", (40, 60), "RGB", 1)


@given(st.binary(max_size=200), st.integers(0, 300))
def test_no_bytes_break_the_reading(noise: bytes, cut: int) -> None:
    for data in (noise, PICTURE[:cut] + noise, PICTURE[: len(PICTURE) - cut]):
        with suppress(PictureError):
            assert decode(data).mode == "RGB"


@given(st.integers(1, 90), st.integers(1, 90), st.floats(0, 1))
def test_a_square_is_as_large_as_can_be_and_inside(width: int, height: int, head: float) -> None:
    cut = square(Image.new("RGB", (width, height)), head)
    assert cut.size == (min(width, height),) * 2


def test_the_square_of_a_portrait_keeps_its_head() -> None:
    tall = Image.new("RGB", (20, 30), "white")
    tall.paste("black", (0, 0, 20, 10))
    assert np.asarray(square(tall))[:10].max() == 0
    assert np.asarray(square(tall, head=1.0)).min() == 255


@pytest.mark.parametrize("name", FILTERS)
def test_a_plain_picture_stays_plain_at_any_size(name: str) -> None:
    small = resized(coloured((7, 77, 177), (50, 50)), 16, name)
    assert small.size == (16, 16)
    assert np.ptp(np.asarray(small), axis=(0, 1)).max() == 0
    assert small.getpixel((3, 3)) == (7, 77, 177)

"""From a photo's bytes to the square picture that a portrait starts from."""

import hashlib
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from laureate.config.params import Prepare
from laureate.core.errors import LaureateError
from laureate.imaging import paper
from laureate.img2img import photo

SHEET = (240, 236, 225)


def encoded(picture: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    data = io.BytesIO()
    picture.save(data, form, **options)
    return data.getvalue()


def snapshot(width: int, height: int) -> Image.Image:
    """Left half red, right half blue, a white dot in the upper left corner."""
    picture = Image.new("RGB", (width, height), (200, 30, 30))
    picture.paste((30, 30, 200), (width // 2, 0, width, height))
    picture.paste((255, 255, 255), (0, 0, width // 8, height // 8))
    return picture


def loaded(data: bytes, side: int = 32, **options: Any) -> photo.Photo:
    return photo.load(data, Prepare(), side, 50.0, SHEET, **({"background": "keep"} | options))


@settings(max_examples=40, deadline=None)
@given(st.integers(16, 90), st.integers(16, 90), st.sampled_from([16, 24, 32]))
def test_any_photo_becomes_a_square_named_by_its_bytes(width: int, height: int, side: int) -> None:
    data = encoded(snapshot(width, height))
    seen = loaded(data, side)
    assert seen.picture.size == seen.start.size == (side, side)
    assert seen.picture.mode == "RGB"
    assert seen.sha256 == hashlib.sha256(data).hexdigest()
    assert seen.ground == "kept"


def test_an_upright_photo_is_what_the_camera_meant() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    turned = encoded(snapshot(64, 64).transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif, quality=95)
    corner = np.asarray(loaded(turned).picture)[:3, :3]
    assert corner.min() > 200  # the white dot is in the upper left corner again


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_the_box_is_what_is_seen(data: st.DataObject) -> None:
    left, top = data.draw(st.integers(0, 40)), data.draw(st.integers(0, 40))
    width, height = data.draw(st.integers(16, 80 - left)), data.draw(st.integers(16, 80 - top))
    colours = np.random.default_rng(0).integers(0, 256, (80, 80, 3)).astype(np.uint8)
    whole = Image.fromarray(colours)
    box = photo.read_box(f"{left},{top},{width},{height}")
    boxed = loaded(encoded(whole), box=box)
    cropped = loaded(encoded(whole.crop((left, top, left + width, top + height))))
    assert boxed.picture.tobytes() == cropped.picture.tobytes()


@pytest.mark.parametrize(
    "text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "0,0,0,10", "0,0,10,-1", "1.5,0,10,10"]
)
def test_a_box_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(LaureateError, match="--box is "):
        photo.read_box(text)


@pytest.mark.parametrize("box", [(-1, 0, 20, 20), (0, -1, 20, 20), (50, 0, 20, 20), (0, 50, 20, 20)])
def test_a_box_outside_is_refused(box: photo.Box) -> None:
    with pytest.raises(LaureateError, match=r"is not inside me\.jpg, which has 64 x 64 pixels"):
        loaded(encoded(snapshot(64, 64)), box=box, name="me.jpg")


def test_a_mask_puts_the_person_on_paper() -> None:
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (32, 0, 64, 64))
    seen = loaded(encoded(snapshot(64, 64)), background="paper", mask=encoded(mask))
    start = np.asarray(seen.start, dtype=int)
    assert np.abs(start[:, :14] - SHEET).max() <= 1
    assert np.abs(start[:, 18:] - np.array((30, 30, 200))).max() <= 2
    assert seen.ground == "made paper by the mask"
    assert seen.picture.getpixel((5, 20)) != SHEET  # the photo itself, which is captioned, is left


def test_a_mask_is_cut_as_the_photo_is() -> None:
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (32, 0, 64, 64))
    options = {"background": "paper", "mask": encoded(mask)}
    seen = loaded(encoded(snapshot(64, 64)), box=(32, 0, 32, 32), **options)
    assert np.abs(np.asarray(seen.start, dtype=int) - np.array((30, 30, 200))).max() <= 2


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(LaureateError, match="the mask has 63 x 64 pixels, the photo 64 x 64"):
        loaded(encoded(snapshot(64, 64)), mask=encoded(Image.new("L", (63, 64))))
    with pytest.raises(LaureateError, match="the mask cannot be used: it is no picture"):
        loaded(encoded(snapshot(64, 64)), mask=b"nothing")


def test_without_a_ground_that_can_be_told_it_is_kept_and_said() -> None:
    seen = loaded(encoded(Image.new("RGB", (64, 64), (9, 90, 160))), background="paper")
    assert seen.start.tobytes() == seen.picture.tobytes()
    assert seen.ground == "kept: the fill from the edges took 100%, too much for a ground; a mask would help"
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    seen = loaded(encoded(Image.fromarray(noise)), 64, background="paper")
    assert "too little for a ground" in seen.ground


def test_a_plain_ground_becomes_paper() -> None:
    picture = Image.new("RGB", (64, 64), (120, 140, 160))
    ImageDraw.Draw(picture).ellipse((16, 12, 48, 60), fill=(90, 20, 20))
    seen = loaded(encoded(picture), background="paper")
    assert seen.start.getpixel((1, 1)) == SHEET
    assert seen.ground.endswith("% of the picture made paper")


def test_tones_of_ink_are_those_of_the_picture_on_paper() -> None:
    picture = Image.new("RGB", (64, 64), (120, 140, 160))
    ImageDraw.Draw(picture).ellipse((16, 12, 48, 60), fill=(90, 20, 20))
    plain = loaded(encoded(picture), background="paper")
    inked = loaded(encoded(picture), background="paper", ink=True)
    assert (plain.tones, inked.tones) == ("photo", "ink")
    assert inked.start.tobytes() == paper.inked(plain.start, SHEET).tobytes()
    assert inked.picture.tobytes() == plain.picture.tobytes()  # the captioner sees the photo


def test_the_first_frame_of_a_photo_is_used() -> None:
    first = snapshot(64, 64)
    data = encoded(first, "MPO", save_all=True, append_images=[first.rotate(90)])  # as phones write them
    assert loaded(data).picture.tobytes() == loaded(encoded(first, "JPEG")).picture.tobytes()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "me cannot be used: it is empty"),
        (b"GIF89a no", "me cannot be used: it"),
        (b"<html></html>", "it is a web page"),
        (encoded(snapshot(64, 64).effect_spread(30), "JPEG")[:900], "it cannot be decoded"),
        (encoded(Image.new("L", (8000, 8000))), "more than 50 million"),
        (
            encoded(snapshot(15, 64)),
            "me is too small: 15 x 64 pixels, and a portrait of 32 needs at least 16",
        ),
    ],
)
def test_a_photo_that_cannot_be_used_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(LaureateError, match=says):
        loaded(data, name="me")


def test_the_box_may_be_too_small_too() -> None:
    with pytest.raises(LaureateError, match="the box is too small: 15 x 20 pixels"):
        loaded(encoded(snapshot(64, 64)), box=(0, 0, 15, 20))

"""A picture is blank when it is black, or of one colour; anything drawn on it makes it a picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from laureate.imaging.blank import BLACK, LEVELS, blankness, is_blank

levels = st.integers(0, 255)


@given(st.tuples(levels, levels, levels), st.integers(0, 2**32 - 1))
def test_one_colour_is_blank_also_with_what_rounding_leaves(colour: tuple[int, int, int], seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, LEVELS + 1, (6, 5, 3))
    picture = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
    assert is_blank(Image.fromarray(picture))


@given(st.tuples(levels, levels, levels), st.integers(0, 2))
def test_one_other_pixel_in_one_channel_is_enough(colour: tuple[int, int, int], channel: int) -> None:
    picture = np.full((4, 4, 3), colour, np.uint8)
    picture[1, 2, channel] = 200 if picture[1, 2, channel] < 100 else 20
    black = picture.max() <= BLACK
    assert is_blank(Image.fromarray(picture)) == black


@pytest.mark.parametrize(
    ("colour", "reason"),
    [((0, 0, 0), "is black"), ((1, 0, 8), "is black"), ((9, 9, 9), "has one colour only")],
)
def test_the_reason_is_named(colour: tuple[int, int, int], reason: str) -> None:
    assert blankness(Image.new("RGB", (8, 8), colour)) == reason


def test_dark_noise_is_black() -> None:
    picture = Image.new("RGB", (8, 8))
    picture.putpixel((1, 1), (0, BLACK, 0))
    assert blankness(picture) == "is black"
    picture.putpixel((1, 1), (0, BLACK + 1, 0))
    assert blankness(picture) is None

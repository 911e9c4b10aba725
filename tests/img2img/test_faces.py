"""The face in a photo, found by the detector that scikit-image ships, on the photograph that it ships too."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from laureate.config.params import Prepare
from laureate.img2img import faces, photo


@pytest.fixture(scope="module")
def astronaut() -> Image.Image:
    """Eileen Collins, NASA, 512 x 512 pixels; her face is near the upper middle."""
    from skimage import data

    return Image.fromarray(data.astronaut())


def centre(box: faces.Box | None) -> tuple[float, float]:
    assert box is not None
    return box[0] + box[2] / 2, box[1] + box[3] / 2


def test_it_is_where_the_face_is(astronaut: Image.Image) -> None:
    assert centre(faces.find(astronaut)) == pytest.approx((223, 118), abs=12)


def test_it_moves_and_grows_with_the_photo(astronaut: Image.Image) -> None:
    x, y = centre(faces.find(astronaut))
    wide = Image.new("RGB", (900, 600), (90, 90, 90))
    wide.paste(astronaut, (350, 80))
    assert centre(faces.find(wide)) == pytest.approx((x + 350, y + 80), abs=15)
    large = astronaut.resize((1536, 1536))
    assert centre(faces.find(large)) == pytest.approx((3 * x, 3 * y), abs=40)


def test_a_picture_without_a_face_has_none() -> None:
    assert faces.find(Image.new("RGB", (300, 200), (120, 100, 90))) is None
    noise = np.random.default_rng(2).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    assert faces.find(Image.fromarray(noise)) is None
    assert faces.find(Image.new("RGB", (20, 20))) is None


@given(
    st.integers(0, 300),
    st.integers(0, 300),
    st.integers(24, 300),
    st.integers(310, 900),
    st.integers(310, 900),
)
def test_the_square_is_inside_and_shows_the_face(
    left: int, top: int, face: int, width: int, height: int
) -> None:
    left, top = min(left, width - face), min(top, height - face)
    x, y, side, tall = faces.square_around((left, top, face, face), (width, height))
    assert side == tall == min(round(2.8 * face), width, height)
    assert x >= 0
    assert y >= 0
    assert x + side <= width
    assert y + side <= height
    assert x <= left
    assert x + side >= left + face
    assert y <= top
    assert y + side >= top + face


def test_a_photo_is_cut_around_the_face_unless_told_otherwise(astronaut: Image.Image) -> None:
    wide = Image.new("RGB", (1400, 700), (90, 90, 90))
    wide.paste(astronaut, (800, 100))
    data = io.BytesIO()
    wide.save(data, "PNG")

    def seen(**options: object) -> photo.Photo:
        given: dict[str, object] = {"background": "keep"} | options
        return photo.load(data.getvalue(), Prepare(), 64, 50.0, (9, 9, 9), **given)  # type: ignore[arg-type]

    assert seen().square == "around the face"
    assert seen(find_face=False).square == "the whole photo"
    assert seen(box=(0, 0, 700, 700)).square == "the box"
    x, y, side, _ = faces.square_around(faces.find(wide) or (0, 0, 1, 1), wide.size)
    assert seen().picture.tobytes() == seen(box=(x, y, side, side)).picture.tobytes()


def test_a_face_too_small_to_be_drawn_is_none(astronaut: Image.Image) -> None:
    data = io.BytesIO()
    astronaut.save(data, "PNG")
    loaded = photo.load(data.getvalue(), Prepare(), 640, 50.0, (9, 9, 9), background="keep")
    assert loaded.square == "the whole photo"


def test_without_the_package_photos_are_cut_as_portraits_are(
    astronaut: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = io.BytesIO()
    astronaut.save(data, "PNG")
    monkeypatch.setattr(faces, "find_spec", lambda name: None)
    assert photo.load(data.getvalue(), Prepare(), 64, 50.0, (9, 9, 9)).square == "the whole photo"

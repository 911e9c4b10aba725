"""The colour of paper, a ground made paper, PNGs that say how they were made."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from laureate.imaging import paper, png
from laureate.simulator.portraits import attributes, portrait

SHEET = (240, 236, 225)
colours = st.tuples(*[st.integers(0, 255)] * 3)


def person(
    ground: tuple[int, int, int], side: int = 96, grain: float = 3.0, slope: float = 20.0
) -> Image.Image:
    """A dark disc on shoulders, before a ground with grain and a slope of light."""
    picture = Image.new("RGB", (side, side), ground)
    draw = ImageDraw.Draw(picture)
    draw.ellipse((side * 0.3, side * 0.2, side * 0.7, side * 0.6), fill=(30, 20, 120))
    draw.rectangle((side * 0.2, side * 0.65, side * 0.8, side), fill=(120, 10, 10))
    values = np.asarray(picture, dtype=float)
    values += np.linspace(-slope, slope, side)[None, :, None]
    values += np.random.default_rng(3).normal(0, grain, values.shape)
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


@given(colours, st.integers(16, 70), st.integers(16, 70))
def test_a_sheet_of_paper_has_the_colour_of_paper(
    colour: tuple[int, int, int], width: int, height: int
) -> None:
    sheet = Image.new("RGB", (width, height), colour)
    assert paper.colour([sheet, sheet]) == colour
    assert paper.distance(sheet, colour) == 0


def test_the_colour_is_that_of_most_corners_and_a_dark_shoulder_does_not_count() -> None:
    with_shoulder = Image.new("RGB", (64, 64), SHEET)
    with_shoulder.paste((0, 0, 0), (0, 60, 64, 64))
    assert paper.colour([with_shoulder, Image.new("RGB", (64, 64), SHEET)]) == SHEET
    assert paper.distance(with_shoulder, SHEET) == 0
    with pytest.raises(ValueError, match="at least one"):
        paper.colour([])


def test_the_distance_is_that_of_the_worst_channel() -> None:
    red, green, blue = SHEET
    assert paper.distance(Image.new("RGB", (32, 32), (red, green - 30, blue + 7)), SHEET) == 30


@settings(max_examples=30, deadline=None)
@given(st.tuples(*[st.integers(90, 220)] * 3))
def test_the_ground_is_found_and_the_person_is_left(ground: tuple[int, int, int]) -> None:
    picture = person(ground)
    filled = paper.ground(picture)
    assert filled[:15].all()
    assert not filled[30:50, 40:56].any()
    assert not filled[70:, 30:66].any()
    made, share, taken = paper.without_ground(picture, SHEET)
    assert taken
    assert 0.4 < share < 0.8
    assert paper.distance(made, SHEET) == 0
    assert np.array_equal(np.asarray(made)[34:46, 42:54], np.asarray(picture)[34:46, 42:54])


@pytest.mark.parametrize("kind", ["plain", "noise"])
def test_a_fill_of_nearly_all_or_nothing_is_no_ground(kind: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    picture = Image.new("RGB", (64, 64), (90, 120, 30)) if kind == "plain" else Image.fromarray(noise)
    made, share, taken = paper.without_ground(picture, SHEET)
    assert not taken
    assert made is picture
    assert share > 0.8 if kind == "plain" else share < 0.1


def test_the_grounds_of_drawn_photographs_become_paper() -> None:
    """Held against where the same person, drawn by the same hand, leaves paper in the true portrait."""
    wrong = []
    for number in range(24):
        who = attributes.random_attributes(np.random.default_rng([7, number]))
        photo = portrait.draw(who, "photograph", number)
        true = np.asarray(portrait.draw(who, "laureate", number), dtype=int)
        blank = np.abs(true - SHEET).max(axis=2) <= 2
        made, _, taken = paper.without_ground(photo, SHEET)
        assert taken
        assert paper.distance(made, SHEET) <= 2
        is_paper = np.abs(np.asarray(made, dtype=int) - SHEET).max(axis=2) <= 2
        wrong.append(float((is_paper & ~blank).mean()))
    assert max(wrong) < 0.1
    assert np.mean(wrong) < 0.03


def test_a_mask_is_laid_with_its_shares() -> None:
    picture = Image.new("RGB", (2, 1), (0, 100, 200))
    mask = Image.fromarray(np.array([[255, 51]], dtype=np.uint8), "L")
    made = np.asarray(paper.on_paper(picture, mask, (100, 100, 100)))
    assert made.tolist() == [[[0, 100, 200], [80, 100, 120]]]
    with pytest.raises(ValueError, match="the mask has"):
        paper.on_paper(picture, Image.new("L", (1, 1)), SHEET)


@given(colours)
def test_tones_of_ink_lie_between_the_picture_and_the_sheet(colour: tuple[int, int, int]) -> None:
    """Of a plain picture: halfway to the sheet, with half the colour; black is ink; paper stays paper."""
    made = np.asarray(paper.inked(Image.new("RGB", (20, 20), colour), SHEET), dtype=float)
    grey = sum(colour) / 3
    assert (made == made[0, 0]).all()
    if grey >= paper.BLACK:
        expected = [(s + (c + grey) / 2) / 2 for s, c in zip(SHEET, colour, strict=True)]
        assert np.abs(made[0, 0] - expected).max() <= 0.51
    if grey <= paper.BLACK - paper.BLACK_STEP:
        assert (made[0, 0] == 20).all()
    sheet = Image.new("RGB", (20, 20), SHEET)
    assert paper.distance(paper.inked(sheet, SHEET), SHEET) <= 4


def test_edges_become_ink() -> None:
    made = np.asarray(paper.inked(person((200, 200, 200), grain=0, slope=0), SHEET).convert("L"))
    edges = np.asarray(paper.line_art(person((200, 200, 200), grain=0, slope=0)).convert("L")) > 250
    assert edges.any()
    assert made[edges].max() <= 25


def test_line_art_is_white_on_black_where_edges_are() -> None:
    lines = np.asarray(paper.line_art(person((200, 200, 200), grain=0, slope=0)).convert("L"))
    assert lines[:10].max() == 0
    assert lines[30:50, 40:56].max() == 0  # inside the head
    assert lines.max() > 200
    assert paper.line_art(Image.new("RGB", (20, 30))).size == (20, 30)


@given(st.dictionaries(st.text(max_size=9), st.one_of(st.integers(), st.text(max_size=20), st.booleans())))
@settings(max_examples=30, deadline=None)
def test_a_png_gives_its_record_back(record: dict[str, object]) -> None:
    try:
        str(record).encode()
    except UnicodeEncodeError:
        return  # half a character, which no file can hold
    data = png.encode(Image.new("RGB", (3, 2), (1, 2, 3)), "generated: é", record)
    assert png.record_of(data) == record
    assert data == png.encode(Image.new("RGB", (3, 2), (1, 2, 3)), "generated: é", record)
    with Image.open(io.BytesIO(data)) as found:
        assert found.info["Description"] == "generated: é"
        assert "trainedAlgorithmicMedia" in found.info["XML:com.adobe.xmp"]
        assert found.getpixel((0, 0)) == (1, 2, 3)


def test_a_picture_without_a_record_has_none() -> None:
    data = io.BytesIO()
    Image.new("RGB", (2, 2)).save(data, "PNG")
    assert png.record_of(data.getvalue()) is None
    assert png.record_of(b"no picture") is None

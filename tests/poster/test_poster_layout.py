"""Posters: every box in its place, whatever is written in whichever script."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pytest
import scripts
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from laureate.core.errors import LaureateError
from laureate.imaging import png
from laureate.poster import colours, compose, fonts, layout, template
from laureate.poster.template import Pixels

SHEET = (240, 236, 225)
LONGEST = {"subject": 40, "name": 22, "second_name": 22, "contribution": 110, "footer": 40}
one, two = template.load("one"), template.load("two")


def portrait(side: int = 64) -> Image.Image:
    picture = Image.new("RGB", (side, side), SHEET)
    picture.paste((20, 20, 20), (side // 4, side // 3, side // 2, side))
    return picture


@st.composite
def written(draw: st.DrawFn) -> dict[str, str]:
    """Texts of a poster, each in a script of its own."""
    return {
        name: draw(st.sampled_from(scripts.SCRIPTS).flatmap(lambda script, n=most: scripts.texts(script, n)))
        for name, most in LONGEST.items()
    }


def inside(inner: Pixels, outer: Pixels) -> bool:
    return outer[0] <= inner[0] <= inner[2] <= outer[2] and outer[1] <= inner[1] <= inner[3] <= outer[3]


def apart(a: Pixels, b: Pixels) -> bool:
    return a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def check_boxes(planned: compose.Plan, chosen: template.Template, texts: Mapping[str, str]) -> None:
    width, height = planned.size
    boxes = [*planned.portraits]
    for name, text in planned.texts.items():
        place, setting = chosen.texts[name], text.setting
        assert round(place.smallest * height) <= setting.size <= round(place.largest * height)
        assert len(setting.lines) <= place.lines
        said = "".join(line.text for line in setting.lines).replace(" ", "")
        assert said == compose.clean(texts[name]).replace(" ", "")  # nothing is cut off
        for line in setting.lines:
            assert inside(line.box, text.region), name
            boxes.append(line.box)
    for box in boxes:
        assert inside(box, (0, 0, width, height))
    for a, b in combinations(boxes, 2):
        assert apart(a, b)


def fitted(chosen: template.Template, texts: dict[str, str], width: int, people: int) -> compose.Plan | None:
    """The plan, or None where a text is refused for its length."""
    try:
        return compose.plan(chosen, texts, [scripts.CJK], width, people)
    except LaureateError as refused:
        if "is too long" in str(refused):
            return None
        raise


@settings(max_examples=60, deadline=None)
@given(written(), st.integers(240, 1600), st.booleans())
def test_every_box_is_inside_its_region_and_none_overlap(
    texts: dict[str, str], width: int, second: bool
) -> None:
    chosen = two if second else one
    if not second:
        texts = {name: text for name, text in texts.items() if name != "second_name"}
    people = 2 if second else 1
    planned = fitted(chosen, texts, width, people)
    if planned is None:  # refused: the shortest texts there are do fit
        texts = {name: next(iter(text)) for name, text in texts.items()}
        planned = fitted(chosen, texts, width, people)
    if planned is not None:
        check_boxes(planned, chosen, texts)


@settings(max_examples=8, deadline=None)
@given(written())
def test_the_ink_is_where_the_plan_says_and_the_bytes_are_the_same(texts: dict[str, str]) -> None:
    """Drawn without texts and with them: pixels differ inside the boxes only."""
    texts.pop("second_name")
    try:
        planned = compose.plan(one, texts, [scripts.CJK], 400, 1)
    except LaureateError:
        return
    made = compose.draw(one, planned, [portrait()])
    again = compose.draw(one, planned, [portrait()])
    assert png.encode(made, "", {}) == png.encode(again, "", {})
    bare = compose.draw(one, compose.Plan(planned.size, planned.portraits, planned.band, {}), [portrait()])
    differs = (np.asarray(made) != np.asarray(bare)).any(axis=2)
    assert differs.any()
    for text in planned.texts.values():
        for line in text.setting.lines:
            left, top, right, bottom = line.box
            differs[top:bottom, left:right] = False
    assert not differs.any()


@pytest.mark.parametrize("width", [240, 333, 1080, 2000])
def test_the_portrait_touches_head_and_band(width: int) -> None:
    for chosen, count in ((one, 1), (two, 2)):
        texts = {"subject": "A", "name": "B"} | ({"second_name": "C"} if count == 2 else {})
        planned = compose.plan(chosen, texts, [], width, count)
        assert planned.size == (width, round(width * 1.89))
        assert {box[3] for box in planned.portraits} == {planned.band[1]}
        assert planned.band[2:] == planned.size
        assert (planned.portraits[0][0], planned.portraits[-1][2]) == (0, width)
        if count == 2:
            assert planned.portraits[0][2] == planned.portraits[1][0]
        made = np.asarray(compose.draw(chosen, planned, [portrait()] * count))
        edge = planned.band[1]
        assert (made[edge - 1, -1] == SHEET).all()
        assert (made[edge] == colours.rgb("#5E2931")).all()
        assert (made[0] == SHEET).all()


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_the_head_can_be_read_on_any_ground(ground: tuple[int, int, int]) -> None:
    choices = [one.colours[key] for key in one.texts["subject"].colour]
    chosen = colours.readable(ground, choices)
    assert colours.contrast(ground, colours.rgb(chosen)) >= colours.READABLE
    if colours.contrast(ground, colours.rgb(choices[0])) >= colours.READABLE:
        assert chosen == choices[0]  # gold, wherever it can be


def test_every_other_colour_can_be_read_on_its_ground() -> None:
    for chosen in (one, two):
        band = colours.rgb(chosen.colours[chosen.band.colour])
        for name, text in chosen.texts.items():
            if name != "subject":
                assert colours.contrast(band, colours.rgb(chosen.colours[text.colour[0]])) >= 3


def test_contrast_is_that_of_wcag() -> None:
    assert colours.contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert colours.contrast((118, 118, 118), (255, 255, 255)) == pytest.approx(4.54, abs=0.01)


def test_the_ground_of_the_head_is_the_most_common_colour_of_the_top_row() -> None:
    picture = Image.new("RGB", (5, 3), (9, 9, 9))
    picture.paste((1, 2, 3), (0, 0, 3, 1))
    assert colours.top_colour(picture) == (1, 2, 3)


def test_paper_passes_into_the_head_and_hair_stays() -> None:
    picture = Image.new("RGB", (40, 100), (236, 232, 222))
    picture.paste((10, 10, 10), (10, 0, 20, 100))
    made = np.asarray(colours.blended(picture, SHEET), dtype=int)
    assert np.abs(made[0, :10] - SHEET).max() == 0
    assert (made[:, 10:20] == 10).all()
    assert np.abs(np.diff(made[:, 5], axis=0)).max() <= 1  # no seam
    assert (made[10:, 25] == (236, 232, 222)).all()


def test_a_text_that_is_too_long_is_named_and_never_cut() -> None:
    texts = {"subject": "Physics", "name": "Ada", "contribution": "word " * 200}
    with pytest.raises(LaureateError, match="the contribution is too long: 999 characters do not fit into 4"):
        compose.plan(one, texts, [], 1080, 1)
    with pytest.raises(LaureateError, match="the name is too long: 90 characters do not fit into 1 line in"):
        compose.plan(one, {"subject": "Physics", "name": "x" * 90}, [], 1080, 1)


@pytest.mark.parametrize("empty", ["", "  \n", "\u200b\u200e"])
def test_an_empty_name_is_refused_and_an_empty_footer_is_left_out(empty: str) -> None:
    with pytest.raises(LaureateError, match="the name is empty"):
        compose.plan(one, {"subject": "Physics", "name": empty}, [], 1080, 1)
    with pytest.raises(LaureateError, match="the subject is empty"):
        compose.plan(one, {"subject": empty, "name": "Ada"}, [], 1080, 1)
    planned = compose.plan(one, {"subject": "Physics", "name": "Ada", "footer": empty}, [], 1080, 1)
    assert sorted(planned.texts) == ["name", "subject"]


def test_characters_that_no_font_has_are_named() -> None:
    with pytest.raises(LaureateError) as caught:
        compose.plan(one, {"subject": "物理学 Physics", "name": "Ada"}, [], 1080, 1)
    said = str(caught.value)
    assert "the subject: 物 (U+7269), 理 (U+7406), 学 (U+5B66) are missing" in said
    assert "--font" in said
    planned = compose.plan(one, {"subject": "物理学 Physics", "name": "Ada"}, [scripts.CJK], 1080, 1)
    assert planned.texts["subject"].font == scripts.CJK
    with pytest.raises(LaureateError, match=r"\(U\+0007\) is missing|the name: \(U\+0007\)"):
        compose.plan(one, {"subject": "Physics", "name": "Ada\a"}, [], 1080, 1)
    with pytest.raises(LaureateError, match=r"U\+DCFF"):
        compose.plan(one, {"subject": "Physics", "name": "Ada\udcff"}, [], 1080, 1)


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Ada Lovelace", "ltr"),
        ("عالية", "rtl"),
        ("שלום", "rtl"),
        ("2026 جائزة", "rtl"),
        ("123", "ltr"),
        ("物理", "ltr"),
    ],
)
def test_the_direction_is_that_of_the_first_letter(text: str, script: str) -> None:
    assert fonts.direction(text) == script


def test_arabic_is_joined_and_hebrew_runs_from_right_to_left() -> None:
    from PIL import ImageFont, features

    assert features.check("raqm")
    font = fonts.Font(fonts.shipped("DejaVuSans.ttf"))
    word, apart_by = "محمد", "\u200c"  # a sign that keeps letters from joining
    assert font.at(60).getlength(word) != font.at(60).getlength(apart_by.join(word))
    unshaped = ImageFont.truetype(str(font.path), 60, layout_engine=ImageFont.Layout.BASIC)
    word = "שלום"
    assert bytes(font.at(60).getmask(word, direction="rtl")) == bytes(unshaped.getmask(word[::-1]))
    assert bytes(font.at(60).getmask(word, direction="rtl")) != bytes(unshaped.getmask(word))


def test_marks_over_marks_never_leave_the_region() -> None:
    """Ink is measured, not guessed from the size: a tower of accents makes a text smaller."""
    region = (0, 0, 400, 50)
    font = fonts.Font(fonts.shipped("DejaVuSans.ttf"))
    measure = lambda line, size: font.extent(line, size, "ltr")  # noqa: E731
    plain = layout.fit("ae", region, 1, 50, 10, measure, "name")
    tower = layout.fit("a\u0301\u0301\u0301e", region, 1, 50, 10, measure, "name")
    assert tower.size < plain.size
    assert inside(tower.lines[0].box, region)
    with pytest.raises(LaureateError, match="the name is too long"):
        layout.fit("a" + "\u0301" * 40, region, 1, 50, 30, measure, "name")


def test_widths_and_people_that_a_template_is_not_made_for() -> None:
    texts = {"subject": "Physics", "name": "Ada"}
    for width in (239, 8001):
        with pytest.raises(LaureateError, match=f"--width is {width}: it must be between 240 and 8000"):
            compose.plan(one, texts, [], width, 1)
    with pytest.raises(LaureateError, match="the template for one person has 1 portraits, got 2"):
        compose.plan(one, texts, [], 1080, 2)
    with pytest.raises(LaureateError, match="has no place for a second name"):
        compose.plan(one, texts | {"second_name": "Bo"}, [], 1080, 1)

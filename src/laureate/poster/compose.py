"""Compose a poster of portraits and texts: a plan of every box first, then the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageOps

from laureate.core.errors import LaureateError
from laureate.poster import colours, fonts, layout
from laureate.poster.fonts import Font
from laureate.poster.line_breaking import clean
from laureate.poster.template import Pixels, Template

NOTE = "Not an award of the Nobel Foundation"
NARROWEST, WIDEST = 240, 8000  # pixels


@dataclass(frozen=True)
class TextPlan:
    """One text: its region in pixels, the font, the direction, and where its lines go."""

    region: Pixels
    font: Font
    direction: str
    setting: layout.Setting


@dataclass(frozen=True)
class Plan:
    """Where everything on a poster goes."""

    size: tuple[int, int]
    portraits: list[Pixels]
    band: Pixels
    texts: dict[str, TextPlan]


def plan(
    template: Template, texts: Mapping[str, str], own_fonts: Sequence[Font], width: int, people: int
) -> Plan:
    """Lay out texts (name => text; empty ones are left out) on a canvas of `width` pixels.

    Raises LaureateError, naming the text: one that is needed and empty, a text that the template has no place
    for, a character that no font has, a text that is too long; and for a width or a number of people that the
    template is not made for.
    """
    if not NARROWEST <= width <= WIDEST:
        raise LaureateError(f"--width is {width}: it must be between {NARROWEST} and {WIDEST} pixels")
    if people != len(template.portraits):
        raise LaureateError(
            f"the template for {template.title} has {len(template.portraits)} portraits, got {people}"
        )
    height = round(width * template.aspect)
    planned = {}
    for name, given in texts.items():
        text, what = clean(given), name.replace("_", " ")
        if not text.strip("".join(fonts.INVISIBLE)):
            if name in ("subject", "name", "second_name"):
                raise LaureateError(f"the {what} is empty: say what is to stand there")
            continue
        if name not in template.texts:
            raise LaureateError(f"the template for {template.title} has no place for a {what}")
        place = template.texts[name]
        region = place.on(width, height)
        known = [*own_fonts, *(Font(fonts.shipped(file)) for file in template.fonts[place.fonts])]
        font, way = fonts.choose(text, known, what), fonts.direction(text)
        setting = layout.fit(
            text,
            region,
            place.lines,
            max(1, round(place.largest * height)),
            max(1, round(place.smallest * height)),
            lambda line, size, font=font, way=way: font.extent(line, size, way),  # type: ignore[misc]
            what,
        )
        planned[name] = TextPlan(region, font, way, setting)
    pictures = [region.on(width, height) for region in template.portraits]
    return Plan((width, height), pictures, template.band.on(width, height), planned)


def draw(template: Template, planned: Plan, portraits: Sequence[Image.Image]) -> Image.Image:
    """The poster, RGB. Portraits cover their regions: they are scaled to fill them and cut evenly."""
    head = colours.top_colour(portraits[0])
    poster = Image.new("RGB", planned.size, head)
    for (left, top, right, bottom), portrait in zip(planned.portraits, portraits, strict=True):
        covered = ImageOps.fit(
            portrait.convert("RGB"), (right - left, bottom - top), Image.Resampling.LANCZOS
        )
        poster.paste(colours.blended(covered, head), (left, top))
    band = colours.rgb(template.colours[template.band.colour])
    poster.paste(band, planned.band)
    canvas = ImageDraw.Draw(poster)
    for name, text in planned.texts.items():
        choices = [template.colours[key] for key in template.texts[name].colour]
        inside = text.region[1] >= planned.band[1] and text.region[3] <= planned.band[3]
        colour = colours.readable(band if inside else head, choices)
        for line in text.setting.lines:
            text.font.draw(canvas, line.at, line.text, text.setting.size, text.direction, colour)
    return poster

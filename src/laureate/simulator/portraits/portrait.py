"""Draw a portrait from attributes, a style and a seed."""

from __future__ import annotations

import numpy as np
from PIL import Image

from laureate.simulator.portraits import figure, ink_renderers, renderers
from laureate.simulator.portraits.attributes import Attributes
from laureate.simulator.portraits.styles import LAUREATE, STYLES

RENDERERS: dict[str, type[renderers.Renderer]] = {
    "photograph": renderers.Photograph,
    "poster": renderers.Poster,
    "pencil": renderers.Pencil,
    "watercolour": ink_renderers.Watercolour,
    "woodcut": ink_renderers.Woodcut,
    "comic": ink_renderers.Comic,
    LAUREATE: ink_renderers.Laureate,
}


def draw(who: Attributes, style: str, seed: int, size: tuple[int, int] = (128, 128)) -> Image.Image:
    """Draw `who` in `style`: RGB, uint8, `size` (width, height) in pixels; same arguments, same bytes.

    The upper square of a taller picture shows what the square picture shows. Proportions depend on
    (attributes, seed) alone, so one person can be drawn in two styles.
    """
    if style not in RENDERERS:
        raise ValueError(f"style is {style!r}; it must be one of {', '.join(STYLES)}")
    marks = figure.build(who, np.random.default_rng([seed, 1]))
    return RENDERERS[style](who, np.random.default_rng([seed, 2]), size).draw(marks)

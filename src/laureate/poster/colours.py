"""Colours of a poster: the ground of its head, and a text colour that can be read on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageColor

Colour = tuple[int, int, int]
BLEND, LIKE = 0.06, 24.0  # share of a picture's height, levels
READABLE = 3.0  # WCAG 2.2, success criterion 1.4.3: for large text


def top_colour(portrait: Image.Image) -> Colour:
    """The most common colour of a picture's top row; the darkest of those that are equally common."""
    row = np.asarray(portrait.convert("RGB"))[0]
    colours, counts = np.unique(row, axis=0, return_counts=True)
    red, green, blue = colours[int(counts.argmax())].tolist()
    return red, green, blue


def blended(portrait: Image.Image, ground: Colour) -> Image.Image:
    """A picture whose paper runs into the ground above it without a seam.

    Over the upper part of the picture, pixels that are nearly of the ground's colour pass into it; others,
    such as hair that reaches the edge, stay.
    """
    pixels = np.asarray(portrait.convert("RGB"), dtype=np.float64)
    rows = max(1, round(len(pixels) * BLEND))
    strip = pixels[:rows]
    ramp = np.linspace(1, 0, rows, endpoint=False)[:, None, None]
    off = np.abs(strip - ground).max(axis=2, keepdims=True)
    share = ramp * np.clip(2 - 2 * off / LIKE, 0, 1)
    found = pixels.copy()
    found[:rows] = strip + share * (np.array(ground) - strip)
    return Image.fromarray(found.round().astype(np.uint8), "RGB")


def luminance(colour: Colour) -> float:
    """WCAG's relative luminance, 0 (black) to 1 (white)."""
    shares = [value / 255 for value in colour]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Colour, other: Colour) -> float:
    """WCAG's contrast ratio, 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def readable(ground: Colour, choices: Sequence[str]) -> str:
    """The first of `choices` (#RRGGBB) with a contrast of at least 3 : 1 to the ground, else the one with
    the most."""
    ratios = [contrast(ground, rgb(choice)) for choice in choices]
    for choice, ratio in zip(choices, ratios, strict=True):
        if ratio >= READABLE:
            return choice
    return choices[ratios.index(max(ratios))]


def rgb(colour: str) -> Colour:
    """#RRGGBB => (red, green, blue)."""
    red, green, blue = ImageColor.getrgb(colour)[:3]
    return red, green, blue

"""Textures of the size of a canvas: hatching, halftone dots, gold leaf, pigment; cached."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from laureate.simulator.portraits.canvas import Colour


@lru_cache(maxsize=16)
def hatching(
    size: tuple[int, int], step: float, width: float, ink: Colour, ground: Colour, slope: float = 1.0
) -> Image.Image:
    """Parallel lines `step` apart and `width` thick (both in widths of the picture), rising by `slope`."""
    image = Image.new("RGB", size, ground)
    draw = ImageDraw.Draw(image)
    w, h = size
    for x in np.arange(-abs(slope) * h, w + abs(slope) * h, step * w):
        draw.line((x, h, x + slope * h, 0), fill=ink, width=max(1, round(width * w)))
    return image


@lru_cache(maxsize=16)
def halftone(size: tuple[int, int], step: float, radius: float, ink: Colour, ground: Colour) -> Image.Image:
    """Dots on a diagonal grid."""
    image = Image.new("RGB", size, ground)
    draw = ImageDraw.Draw(image)
    w, h = size
    s, r = step * w, radius * w
    for row, y in enumerate(np.arange(0, h + s, s / 2)):
        for x in np.arange((row % 2) * s / 2, w + s, s):
            draw.ellipse((x - r, y - r, x + r, y + r), fill=ink)
    return image


def _clouds(size: tuple[int, int], cells: int, seed: int) -> np.ndarray:
    """Smooth noise of shape (height, width), float32 in [0, 1]."""
    rng = np.random.default_rng(seed)
    rows = max(2, round(cells * size[1] / size[0]))
    small = Image.fromarray(rng.integers(0, 256, (rows, cells), dtype=np.uint8))
    return np.asarray(small.resize(size, Image.Resampling.BICUBIC), dtype=np.float32) / 255


@lru_cache(maxsize=4)
def gold_leaf(size: tuple[int, int], seed: int = 7) -> Image.Image:
    """Gold foil: warm metal with broad lights, creases and small flecks."""
    broad, creases = _clouds(size, 9, seed), _clouds(size, 40, seed + 1)
    light = np.clip(0.55 * broad + 0.25 * creases + 0.1, 0, 1)[:, :, None]
    dark, middle, bright = (
        np.array(c, dtype=np.float32) for c in ((158, 108, 22), (205, 155, 46), (248, 218, 130))
    )
    colour = np.where(
        light < 0.5, dark + (middle - dark) * light * 2, middle + (bright - middle) * (light * 2 - 1)
    )
    crack = np.abs(creases - 0.5) < 0.012
    colour[crack] = (232, 196, 104)
    return Image.fromarray(np.clip(colour, 0, 255).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(size[0] / 900)
    )


@lru_cache(maxsize=8)
def pigment(size: tuple[int, int], seed: int) -> np.ndarray:
    """Density of watercolour pigment, (height, width) float32 around 0 in about [-1, 1]."""
    return _clouds(size, 7, seed) * 1.2 + _clouds(size, 30, seed + 1) * 0.8 - 1.0

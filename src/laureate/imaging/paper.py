"""The paper that portraits are drawn on: its colour, a photo's ground made paper, how far a ground is off.

Pictures are RGB, uint8; a mask is a (height, width) bool array, True where the person is. Colours are
(red, green, blue), 0..255.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Colour = tuple[int, int, int]
Mask = NDArray[np.bool_]

CORNER = 1 / 16  # side of a corner, as a share of the picture's shorter side
LEAST, MOST = 0.10, 0.80  # shares of the picture between which a fill is taken for the ground
NARROW, WIDE = 14.0, 40.0  # levels by which a pixel of the ground may differ from the smooth surface
FADE, INK = 0.5, 20.0  # of a picture's colours; levels of ink
BLACK, BLACK_STEP = (
    48.0,
    14.0,
)  # levels under which a tone begins to be ink; over which it is all ink
SPREAD = 4.0  # the same, in standard deviations of the edge's pixels


def corners(picture: Image.Image, upper: bool = False) -> NDArray[np.float64]:
    """The median colour of each corner: (4, 3), or (2, 3) for the two upper ones, where no shoulder is."""
    pixels = np.asarray(picture.convert("RGB"))
    side = max(1, round(min(pixels.shape[:2]) * CORNER))
    rows = [slice(None, side)] if upper else [slice(None, side), slice(-side, None)]
    columns = [slice(None, side), slice(-side, None)]
    return np.array([np.median(pixels[r, c].reshape(-1, 3), axis=0) for r in rows for c in columns])


def colour(portraits: Iterable[Image.Image]) -> Colour:
    """The median colour of the corners of all `portraits`. Raises ValueError without any portrait."""
    found = [corners(portrait) for portrait in portraits]
    if not found:
        raise ValueError("the paper's colour needs at least one portrait")
    red, green, blue = np.median(np.concatenate(found), axis=0).round().astype(int).tolist()
    return red, green, blue


def distance(picture: Image.Image, paper: Colour) -> float:
    """How far a picture's ground is off the paper, in levels of 0..255: per upper corner the channel that
    differs most, then the mean of both corners."""
    return float(np.abs(corners(picture, upper=True) - np.array(paper)).max(axis=1).mean())


def ground(picture: Image.Image) -> Mask:
    """True where a picture shows the ground behind a person, found by a flood fill from its edges.

    A ground is a smooth surface: a quadratic polynomial of the position, fitted to the pixels of the left,
    right and upper edge by least squares, twice without those that lie far off it. Filled is what lies near
    that surface and is connected to one of these edges. The picture is blurred a little first: grain is no
    edge.
    """
    from scipy import ndimage

    width, height = picture.size
    blurred = picture.convert("RGB").filter(ImageFilter.GaussianBlur(max(width, height) / 128))
    pixels = np.asarray(blurred, dtype=np.float64)
    edge = np.zeros((height, width), dtype=bool)
    thick = max(1, round(min(width, height) / 64))
    edge[:thick] = True
    edge[: height * 3 // 4, :thick] = edge[: height * 3 // 4, -thick:] = True  # below it may be a shoulder
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    used, wanted = terms[edge], pixels[edge]
    surface = np.linalg.lstsq(used, wanted, rcond=None)[0]
    for _ in range(2):
        off = np.abs(used @ surface - wanted).max(axis=1)
        near = off <= max(NARROW, float(np.median(off)) * SPREAD)
        surface = np.linalg.lstsq(used[near], wanted[near], rcond=None)[0]
    off = np.abs(used @ surface - wanted).max(axis=1)
    allowed = float(np.clip(1.4826 * np.median(off) * SPREAD, NARROW, WIDE))
    like = np.abs(terms @ surface - pixels).max(axis=2) <= allowed
    labels, _ = ndimage.label(like)
    reached = np.unique(labels[edge & like])
    filled = np.isin(labels, reached[reached > 0])
    return np.asarray(ndimage.binary_closing(filled, iterations=thick) | filled)


def on_paper(picture: Image.Image, person: Mask | Image.Image, paper: Colour) -> Image.Image:
    """`picture` where the person is and paper elsewhere. `person`: a mask, or a picture in mode L of the
    same size whose levels are shares of the picture. Raises ValueError for another size."""
    mask = person if isinstance(person, Image.Image) else Image.fromarray(person.astype(np.uint8) * 255, "L")
    if mask.size != picture.size:
        raise ValueError(f"the mask has {mask.size} pixels, the picture {picture.size}")
    sheet = Image.new("RGB", picture.size, paper)
    sheet.paste(picture, (0, 0), mask.convert("L"))
    return sheet


def without_ground(picture: Image.Image, paper: Colour) -> tuple[Image.Image, float, bool]:
    """Make the ground of a picture paper: the picture, the share that was filled, whether it was taken.

    A fill of less than LEAST or more than MOST of the picture is no ground: the picture is given as it is.
    """
    filled = ground(picture)
    share = float(filled.mean())
    if not LEAST <= share <= MOST:
        return picture, share, False
    return on_paper(picture, softened(~filled), paper), share, True


def softened(person: Mask) -> Image.Image:
    """A mask as a picture in mode L whose edge is blurred over a pixel or two, so that no step shows."""
    mask = Image.fromarray(person.astype(np.uint8) * 255, "L")
    return mask.filter(ImageFilter.GaussianBlur(max(mask.size) / 256))


def inked(picture: Image.Image, sheet: Colour) -> Image.Image:
    """A picture in the tones of an ink drawing: half as strong as before on the sheet, half as colourful,
    with its edges and what is nearly black as ink. RGB, of the same size.

    An image model that draws in ink has less to change then, so that more of the person is left, whatever the
    skin: filled faces become paper with shadows.
    """
    colours = np.asarray(picture.convert("RGB"), dtype=np.float64)
    grey = colours.mean(axis=2, keepdims=True)
    faded = (np.array(sheet) + grey + FADE * (colours - grey)) / 2
    lines = np.asarray(line_art(picture).convert("L"), dtype=np.float64)[..., None] / 255
    ink = np.maximum(lines, np.clip((BLACK - grey) / BLACK_STEP, 0, 1))
    drawn = faded * (1 - ink) + INK * ink
    return Image.fromarray(drawn.round().clip(0, 255).astype(np.uint8), "RGB")


def line_art(picture: Image.Image) -> Image.Image:
    """Edges as white lines on black, RGB of the same size: what a line-art ControlNet is shown.

    A difference of Gaussians with a soft threshold (XDoG: Winnemöller, Kyprianidis & Olsen 2012).
    """
    grey = np.asarray(picture.convert("L"), dtype=np.float64) / 255
    sigma = max(picture.size) / 512 + 0.5
    fine, coarse = (_blurred(grey, s) for s in (sigma, 1.6 * sigma))
    difference = fine - coarse
    lines = np.where(difference >= -0.005, 0.0, np.tanh(-40 * (difference + 0.005)))
    return Image.fromarray((lines * 255).round().astype(np.uint8), "L").convert("RGB")


def _blurred(values: NDArray[np.float64], sigma: float) -> NDArray[Any]:
    from scipy import ndimage

    return np.asarray(ndimage.gaussian_filter(values, sigma))

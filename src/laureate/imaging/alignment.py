"""Find the picture that another one was copied from, though it was cropped, moved, mirrored or recoloured.

Template matching by normalised cross-correlation (Lewis 1995, "Fast Template Matching") over scales, in two
steps: coarse with every known picture and its mirror image, fine with the most likely ones. Then the known
picture is laid over the other and both are compared place by place, where a different mouth or tie shows.
Brightness and contrast have no effect, colour hardly any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

Floats = NDArray[np.float32]

SIDE, FINE, COARSE = 128, 64, 32  # pixels of a side: when compared, and in the two steps of the search
PART = 0.7  # of the other picture's side, from its middle: what is looked for
SCALES = (1.0, 0.9, 0.8, 0.7)  # of the coarse search: side of the part copied, in sides of the known picture
# of the fine search: pixels of the side, about the coarse one's
STEPS, LAST_STEPS = (-4, -2, 0, 2, 4), (-1, 1)
CANDIDATES = 3  # known pictures that the fine search looks at
WINDOW = 15  # pixels of a side of the places that are compared
FLAT = 1.0  # grey levels squared, added to what a correlation is divided by: nothing is no division by 0
DRAWN = 100.0  # variance from which on a place counts
WORST = 0.1  # quantile over the places: nine in ten must agree at least as well as the result says
OVERLAP = 0.4  # of the picture that the known one must cover


@dataclass(frozen=True)
class Match:
    """The known picture that a picture is most like."""

    likeness: float  # at most 1: the worst tenth of all places correlates as much; -1: none fits
    known: int  # its row


class KnownPictures:
    """Pictures that others may be copies of, ready to be searched."""

    def __init__(self, pictures: Sequence[Image]) -> None:
        plain = [_grey(picture) for picture in pictures]
        self.count = len(plain)
        self.grey = [*plain, *(picture[:, ::-1].copy() for picture in plain)]  # and mirrored
        small = np.stack([_resized(picture, COARSE) for picture in self.grey])
        self.coarse = [_Window(small, round(COARSE * scale)) for scale in SCALES]
        self.fine = lru_cache(maxsize=4096)(self._fine)

    def matches(self, pictures: Sequence[Image], without: Sequence[int] | None = None) -> list[Match]:
        """For each picture the most alike known one; `without`: one known row for each that is not asked."""
        rows = without if without is not None else [-1] * len(pictures)
        return [self._match(_grey(p), row) for p, row in zip(pictures, rows, strict=True)]

    def _match(self, picture: Floats, without: int) -> Match:
        best = np.full(len(self.grey), -1.0)
        scale = np.zeros(len(self.grey))
        small = {size: _resized(picture, size) for size in (FINE, COARSE)}
        for window in self.coarse:
            found = window.correlation(small[COARSE]).reshape(len(self.grey), -1).max(axis=1)
            scale[found > best] = window.side / COARSE
            best = np.maximum(best, found)
        if without >= 0:
            best[[without, without + self.count]] = -2.0
        placed = _Placed(-2.0, 0, 1.0, 0.0, 0.0)
        for row in np.argsort(-best, kind="stable")[:CANDIDATES]:
            if best[row] >= -1:
                placed = self._better(placed, small[FINE], int(row), round(FINE * scale[row]), STEPS)
        if placed.correlation < -1:
            return Match(-1.0, 0)
        placed = self._better(placed, small[FINE], placed.known, round(FINE * placed.scale), LAST_STEPS)
        known = _laid_over(self.grey[placed.known], placed)
        return Match(_likeness(picture, known), placed.known % self.count)

    def _better(self, so_far: _Placed, picture: Floats, row: int, side: int, steps: Sequence[int]) -> _Placed:
        found = [self.fine(row, min(side + step, FINE)).place(picture, row) for step in steps]
        return max(so_far, *found, key=lambda placed: placed.correlation)

    def _fine(self, row: int, side: int) -> _Window:
        return _Window(_resized(self.grey[row], FINE)[None], side)


@dataclass(frozen=True)
class _Placed:
    """Where a picture fits into a known one: its point (x, y) is that one's (scale·x + left, scale·y + top).

    Points are in sides of the pictures.
    """

    correlation: float
    known: int
    scale: float
    left: float
    top: float


class _Window:
    """Known pictures (k, s, s) at one scale: where the middle of a smaller picture fits best."""

    def __init__(self, known: Floats, side: int) -> None:
        from scipy import fft

        self.size, self.side = known.shape[1], side  # side: of the other picture, in pixels of the known one
        self.part = round(self.side * PART)
        self.margin = (self.side - self.part) // 2
        self.places = self.size - self.part + 1
        box = np.zeros((self.size, self.size), np.float32)
        box[: self.part, : self.part] = 1
        self.known, of_box = fft.rfft2(known), np.conj(fft.rfft2(box))
        total = self._cut(fft.irfft2(self.known * of_box, s=box.shape))
        squares = self._cut(fft.irfft2(fft.rfft2(known**2) * of_box, s=box.shape))
        self.spread = np.sqrt(np.maximum(squares - total**2 / self.part**2, 1.0))

    def correlation(self, picture: Floats) -> Floats:
        """Normalised cross-correlation of the middle of `picture` with the known ones at every place.

        `picture` (s, s) => (k, p, p).
        """
        from scipy import fft

        end = self.margin + self.part
        middle = _resized(picture, self.side)[self.margin : end, self.margin : end]
        padded = np.zeros((self.size, self.size), np.float32)
        padded[: self.part, : self.part] = middle - middle.mean()
        product = fft.irfft2(self.known * np.conj(fft.rfft2(padded)), s=padded.shape)
        length = max(float(np.sqrt((padded**2).sum())), 1.0)
        return np.asarray(self._cut(product) / (self.spread * length), dtype=np.float32)

    def place(self, picture: Floats, row: int) -> _Placed:
        """The best place of `picture` in the first of the known ones, which is number `row`."""
        found = self.correlation(picture)[0]
        y, x = (int(place) for place in np.unravel_index(int(found.argmax()), found.shape))
        left, top = ((at - self.margin) / self.size for at in (_peak(found[y, :], x), _peak(found[:, x], y)))
        return _Placed(float(found[y, x]), row, self.side / self.size, left, top)

    def _cut(self, everywhere: Floats) -> Floats:
        return everywhere[:, : self.places, : self.places]


def _likeness(one: Floats, other: Floats) -> float:
    """The `WORST` quantile of the local correlation of two pictures, where both are and one has lines."""
    from scipy.ndimage import gaussian_filter, uniform_filter

    rows, columns = (np.flatnonzero(np.isfinite(other).any(axis=axis)) for axis in (1, 0))
    if len(rows) * len(columns) < OVERLAP * other.size:
        return -1.0
    part = np.ix_(rows, columns)
    a, b = (gaussian_filter(picture[part], 1.5) for picture in (one, other))
    mean_a, mean_b = uniform_filter(a, WINDOW), uniform_filter(b, WINDOW)
    of_a = np.maximum(uniform_filter(a * a, WINDOW) - mean_a**2, 0)
    of_b = np.maximum(uniform_filter(b * b, WINDOW) - mean_b**2, 0)
    both = uniform_filter(a * b, WINDOW) - mean_a * mean_b
    local = both / (np.sqrt(of_a * of_b) + FLAT)  # 0 where one is empty and the other is not
    lines = np.maximum(of_a, of_b) > DRAWN
    return float(np.quantile(local[lines], WORST)) if lines.any() else -1.0


def _laid_over(known: Floats, placed: _Placed) -> Floats:
    """The known picture in the frame of the other one, (SIDE, SIDE); NaN where it does not reach."""
    from PIL import Image

    left, top = placed.left * SIDE, placed.top * SIDE
    rows, columns = (placed.scale * (np.arange(SIDE) + 0.5) + start for start in (top, left))
    inside = [(at >= 1) & (at <= SIDE - 1) for at in (rows, columns)]
    coefficients = (placed.scale, 0, left, 0, placed.scale, top)
    laid = Image.fromarray(known).transform(
        (SIDE, SIDE), Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC
    )
    return np.where(np.logical_and.outer(*inside), np.asarray(laid), np.float32(np.nan))


def _peak(values: Floats, at: int) -> float:
    """The place of a maximum between samples, by a parabola through it and its neighbours."""
    if not 0 < at < len(values) - 1:
        return float(at)
    before, here, after = (float(values[at + step]) for step in (-1, 0, 1))
    bend = before - 2 * here + after
    return at if bend > -1e-9 else at + min(0.5, max(-0.5, 0.5 * (before - after) / bend))


def _grey(picture: Image) -> Floats:
    """RGB => (SIDE, SIDE) float32, grey levels."""
    return _resized(np.asarray(picture.convert("L"), dtype=np.float32), SIDE)


def _resized(grey: Floats, side: int) -> Floats:
    from PIL import Image

    if grey.shape == (side, side):
        return grey
    return np.asarray(Image.fromarray(grey).resize((side, side), Image.Resampling.BICUBIC), dtype=np.float32)

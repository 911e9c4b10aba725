"""Fit texts into the regions of a template: a text shrinks until it fits, and is never cut off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from laureate.core.errors import LaureateError
from laureate.poster.line_breaking import break_lines
from laureate.poster.template import Pixels

LEADING = 1.2  # from baseline to baseline, in sizes
GAP = 0.08  # between the ink of two lines, in sizes
Measure = Callable[
    [str, int], tuple[int, int, int, int]
]  # (line, size) => its ink around the baseline's middle


@dataclass(frozen=True)
class Line:
    """One line of text: where the middle of its baseline is, and the box of its ink, in pixels."""

    text: str
    at: tuple[int, int]
    box: Pixels


@dataclass(frozen=True)
class Setting:
    """A text that fits: its size in pixels to the em, and its lines."""

    size: int
    lines: list[Line]


def fit(
    text: str, region: Pixels, lines: int, largest: int, smallest: int, measure: Measure, what: str
) -> Setting:
    """Set a cleaned text into a region, centred, in the largest size that fits with at most `lines` lines.

    Sizes are pixels to the em. All ink lies inside the region, and no line touches another. Raises
    LaureateError naming `what` when the text does not fit even in the smallest size.
    """
    for size in range(largest, smallest - 1, -1):
        found = _set(text, region, lines, size, measure)
        if found is not None:
            return found
    raise LaureateError(
        f"the {what} is too long: {len(text)} characters do not fit into {lines} "
        f"{'line' if lines == 1 else 'lines'} in the smallest size; shorten it"
    )


def _set(text: str, region: Pixels, most: int, size: int, measure: Measure) -> Setting | None:
    """The lines of a text in one size, or None if they do not fit."""
    left, top, right, bottom = region

    def width(line: str) -> float:
        box = measure(line, size)
        return float(box[2] - box[0])

    broken = break_lines(text, right - left, most, width)
    if broken is None:
        return None
    boxes = [measure(line, size) for line in broken]
    gap = max(1, round(GAP * size))
    baselines = [0]
    for above, below in pairwise(boxes):
        pitch = max(round(LEADING * size), above[3] - below[1] + gap)
        baselines.append(baselines[-1] + pitch)
    ink_top = min(base + box[1] for base, box in zip(baselines, boxes, strict=True))
    ink_bottom = max(base + box[3] for base, box in zip(baselines, boxes, strict=True))
    if ink_bottom - ink_top > bottom - top:
        return None
    first = top - ink_top + (bottom - top - (ink_bottom - ink_top)) // 2
    set_lines = []
    for line, base, box in zip(broken, baselines, boxes, strict=True):
        start = left + (right - left - (box[2] - box[0])) // 2  # of the ink
        x, y = start - box[0], first + base
        set_lines.append(Line(line, (x, y), (x + box[0], y + box[1], x + box[2], y + box[3])))
    return Setting(size, set_lines)

"""Five drawn styles that the shipped base has never seen: the laureates' and four made from the simulator's
drawings by what a printer or engraver would do to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from laureate.simulator.portraits import portrait
from laureate.simulator.portraits.attributes import Attributes

Pixels = NDArray[np.uint8]  # (side, side, 3)
SCREEN = 4  # pixels from line to line


def draw(who: Attributes, style: str, seed: int) -> Pixels:
    """A portrait of `who` in one of `STYLES`, (128, 128, 3) uint8; same arguments, same bytes."""
    source, change = STYLES[style]
    return change(np.asarray(portrait.draw(who, source, seed)))


def _as_drawn(pixels: Pixels) -> Pixels:
    return pixels


def _between(light: NDArray[Any], dark: tuple[int, ...], pale: tuple[int, ...]) -> Pixels:
    """Lightness (h, w) in 0..1 => colours on the line from `dark` to `pale`."""
    ends = np.array([dark, pale], dtype=np.float64)
    mixed: Pixels = np.rint(ends[0] + light[..., None] * (ends[1] - ends[0])).astype(np.uint8)
    return mixed


def _lightness(pixels: Pixels) -> NDArray[np.float64]:
    """Rec. 601 luma, (h, w) in 0..1."""
    return np.asarray(pixels @ np.array([0.299, 0.587, 0.114]) / 255)


def _cyanotype(pixels: Pixels) -> Pixels:
    return _between(_stretched(_lightness(pixels)), (12, 38, 84), (236, 242, 248))


def _scratchboard(pixels: Pixels) -> Pixels:
    """Pale lines on black."""
    return _between(1 - _lightness(pixels), (18, 16, 14), (232, 205, 120))


def _line_screen(pixels: Pixels) -> Pixels:
    """Lines of one ink, as thick as what they cover is dark."""
    light = _stretched(_lightness(pixels))
    side = light.shape[0]
    dark = 1 - light.reshape(side // SCREEN, SCREEN, side).mean(axis=1)
    away = np.abs((np.arange(SCREEN) + 0.5) / SCREEN - 0.5)
    thick = np.repeat(dark, SCREEN, axis=0) / 2
    edge = np.clip((thick - np.tile(away, side // SCREEN)[:, None]) * SCREEN + 0.5, 0, 1)
    return _between(1 - edge, (150, 30, 40), (246, 238, 220))


def _three_inks(pixels: Pixels) -> Pixels:
    """Every picture in the same three colours, by lightness."""
    inks = np.array([(24, 42, 92), (232, 110, 84), (250, 236, 206)], dtype=np.uint8)
    found: Pixels = inks[np.digitize(_stretched(_lightness(pixels)), [0.33, 0.66])]
    return found


def _stretched(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lightness whose 5 and 95 % quantiles are 0 and 1."""
    low, high = np.quantile(light, [0.05, 0.95])
    return np.clip((light - low) / max(high - low, 1e-6), 0, 1)


STYLES: dict[str, tuple[str, Callable[[Pixels], Pixels]]] = {  # name => simulator's style, what is done to it
    "laureate": ("laureate", _as_drawn),
    "cyanotype": ("photograph", _cyanotype),
    "line screen": ("photograph", _line_screen),
    "scratchboard": ("laureate", _scratchboard),
    "three inks": ("poster", _three_inks),
}

"""Colours of skin, hair and cloth, and grey tones for styles without colour."""

from __future__ import annotations

import numpy as np

from laureate.simulator.portraits.attributes import Attributes
from laureate.simulator.portraits.canvas import Colour

SKIN: dict[str, Colour] = {
    "pale": (247, 217, 196),
    "tan": (222, 170, 128),
    "brown": (163, 107, 70),
    "dark": (95, 60, 43),
}
HAIR: dict[str, Colour] = {
    "black": (36, 32, 36),
    "brown": (104, 66, 40),
    "blond": (226, 188, 106),
    "red": (184, 80, 36),
    "white": (226, 224, 220),
}
HAIR_TONE = {"black": 0.06, "brown": 0.3, "red": 0.42, "blond": 0.7, "white": 0.97}
CLOTH: tuple[Colour, ...] = ((46, 58, 92), (44, 88, 72), (116, 44, 52), (88, 66, 116), (120, 104, 88))
ACCENT: tuple[Colour, ...] = ((36, 108, 178), (192, 54, 48), (42, 132, 84))
TIE: tuple[Colour, ...] = ((158, 34, 46), (30, 52, 120), (34, 32, 36))
SCARF: tuple[Colour, ...] = ((204, 62, 50), (56, 128, 140), (232, 178, 58))
HAT: tuple[Colour, ...] = ((84, 70, 60), (62, 70, 84), (150, 120, 84))
BACKGROUND: tuple[Colour, ...] = ((126, 136, 148), (98, 112, 104), (150, 122, 104), (170, 172, 166))

Palette = dict[str, Colour]


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """`a` moved towards `b` by `share` in [0, 1]."""
    return tuple(round(x + (y - x) * share) for x, y in zip(a, b, strict=True))  # type: ignore[return-value]


def grey(tone: float, dark: Colour = (20, 20, 22), light: Colour = (250, 249, 245)) -> Colour:
    """Colour between `dark` (0) and `light` (1)."""
    return mix(dark, light, tone)


def colours(who: Attributes, rng: np.random.Generator) -> Palette:
    """A colour for every role that a figure uses."""

    def one(choices: tuple[Colour, ...]) -> Colour:
        return choices[int(rng.integers(len(choices)))]

    hair, skin, hat = HAIR[who.hair_colour], SKIN[who.skin], one(HAT)
    dark_skin = who.skin in ("brown", "dark")
    return {
        "skin": skin,
        "hair": hair,
        "beard": mix(hair, (40, 30, 30), 0.12),
        "brow": mix(hair, (40, 30, 26), 0.55),
        "strand": mix(hair, (20, 16, 16), 0.35) if who.hair_colour != "black" else (86, 80, 88),
        "beard strand": mix(hair, (20, 16, 16), 0.4) if who.hair_colour != "black" else (86, 80, 88),
        "shine": mix(skin, (255, 255, 255), 0.5),
        "cloth": one(CLOTH),
        "accent": one(ACCENT),
        "tie": one(TIE),
        "scarf": one(SCARF),
        "scarf fold": (90, 40, 30),
        "shirt": (246, 245, 241),
        "hat": hat,
        "hat fold": mix(hat, (0, 0, 0), 0.4),
        "band": mix(hat, (20, 14, 14), 0.6),
        "frame": (26, 24, 28),
        "pearl": (250, 240, 214),
        "eye": (252, 251, 247),
        "iris": (40, 30, 28),
        "lid": (44, 28, 26),
        "nose": mix(skin, (70, 30, 20), 0.5),
        "fold": (0, 0, 0),
        "mouth": (112, 26, 32),
        "lip": mix((206, 74, 84), skin, 0.15 if dark_skin else 0.25),
        "tooth": (252, 251, 247),
    }


def tones(who: Attributes) -> dict[str, float]:
    """Lightness in [0, 1] for every role, for styles with one ink."""
    hair = HAIR_TONE[who.hair_colour]
    return {
        "skin": 1.0,
        "hair": hair,
        "beard": hair,
        "cloth": 0.62,
        "accent": 0.55,
        "tie": 0.12,
        "scarf": 0.5,
        "shirt": 1.0,
        "hat": 0.55,
        "band": 0.18,
        "pearl": 1.0,
        "eye": 1.0,
        "iris": 0.0,
        "mouth": 0.08,
        "lip": 0.45,
        "tooth": 1.0,
    }

"""Draw hats and caps."""

from __future__ import annotations

import numpy as np

from laureate.simulator.portraits.attributes import Attributes
from laureate.simulator.portraits.geometry import ellipse, smooth
from laureate.simulator.portraits.marks import Head


def draw(head: Head, who: Attributes) -> None:
    """A hat with a brim and a band, or a cap with a visor to one side."""
    if who.headwear == "hat":
        crown = smooth(
            [
                (-0.86, -0.62),
                (-0.84, -1.1),
                (-0.66, -1.52),
                (-0.2, -1.5),
                (0.0, -1.44),
                (0.2, -1.5),
                (0.66, -1.52),
                (0.84, -1.1),
                (0.86, -0.62),
            ]
        )
        head.fill("hat", head.place(crown), 0.014)
        band = [(-0.87, -0.64), (-0.86, -0.92), (0.0, -0.84), (0.86, -0.92), (0.87, -0.64)]
        head.fill("band", head.place(band), 0.008)
        brim = smooth(
            [
                (-1.62, -0.66),
                (-0.8, -0.72),
                (0.0, -0.64),
                (0.8, -0.72),
                (1.62, -0.66),
                (1.0, -0.48),
                (0.0, -0.42),
                (-1.0, -0.48),
            ],
            closed=True,
        )
        head.fill("hat", head.place(brim), 0.014)
    elif who.headwear == "cap":
        dome = smooth(
            [
                (-1.06, -0.5),
                (-1.0, -0.98),
                (-0.6, -1.34),
                (0.0, -1.44),
                (0.6, -1.34),
                (1.0, -0.98),
                (1.06, -0.5),
            ]
        )
        head.fill(
            "hat",
            head.place(np.concatenate([dome, smooth([(1.06, -0.5), (0.0, -0.62), (-1.06, -0.5)])])),
            0.014,
        )
        for x in (-0.5, 0.5):
            head.stroke("hat fold", head.place(smooth([(0.0, -1.42), (x, -1.1), (x * 1.25, -0.6)])), 0.007)
        head.fill("band", head.place(ellipse((0.0, -1.44), (0.09, 0.05), 12)), 0.006)
        side = 1.0 if head.turn > 0.1 else -1.0 if head.turn < -0.1 else 0.0
        visor = smooth(
            [
                (-0.92 + 0.2 * side, -0.6),
                (0.0 + 0.3 * side, -0.7),
                (0.92 + 0.2 * side, -0.6),
                (0.8 + 0.6 * side, -0.42),
                (0.1 + 0.5 * side, -0.36),
                (-0.8 + 0.5 * side, -0.42),
            ],
            closed=True,
        )
        head.fill("band", head.place(visor), 0.013)

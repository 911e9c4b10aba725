"""Marks of a drawing (fills, brush strokes, shadows), and the head's coordinate system.

Coordinates: one unit is the picture's width, x to the right and y down; the upper unit square holds the head.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from laureate.simulator.portraits.geometry import Points


@dataclass(frozen=True)
class Fill:
    """A closed shape of one material (`skin`, `hair` …); `outline` is the brush width around it, or 0."""

    role: str
    points: Points
    outline: float = 0.0


@dataclass(frozen=True)
class Stroke:
    """A brush stroke along `points`; `start` and `end` are the relative widths at its ends."""

    role: str
    points: Points
    width: float
    start: float = 0.3
    end: float = 0.3


@dataclass(frozen=True)
class Shade:
    """The shadow side: `points` clipped to what is drawn of `role`; `hatch` are strokes along its border."""

    role: str
    points: Points
    hatch: tuple[Points, ...] = ()


Mark = Fill | Stroke | Shade


@dataclass
class Head:
    """Where the head is and how it is turned: face half-width `w`, half-height `h`, centre, tilt, turn."""

    w: float
    h: float
    centre: tuple[float, float]
    tilt: float
    turn: float
    shadow: float
    marks: list[Mark] = field(default_factory=list)

    def place(self, points: list[tuple[float, float]] | Points) -> Points:
        """From head units (1 is half a face's width in x, height in y; origin mid-face) to the picture."""
        p = np.asarray(points, dtype=np.float64) * (self.w, self.h)
        c, s = np.cos(self.tilt), np.sin(self.tilt)
        return p @ np.array([[c, s], [-s, c]]) + self.centre

    def feature(self, points: list[tuple[float, float]] | Points) -> Points:
        """As `place`, moved sideways with the turn of the head: for eyes, nose, mouth and glasses."""
        p = np.asarray(points, dtype=np.float64)
        return self.place(p + (self.turn, 0.0))

    def fill(self, role: str, points: Points, outline: float = 0.0) -> None:
        self.marks.append(Fill(role, points, outline))

    def stroke(self, role: str, points: Points, width: float, start: float = 0.3, end: float = 0.3) -> None:
        self.marks.append(Stroke(role, points, width, start, end))

"""Curves and outlines as arrays of points: `(n, 2)` float64, x right, y down, in widths of the picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


def ellipse(centre: tuple[float, float], radii: tuple[float, float], n: int = 36) -> Points:
    """Closed outline of an ellipse, clockwise from its rightmost point."""
    t = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.stack([centre[0] + radii[0] * np.cos(t), centre[1] + radii[1] * np.sin(t)], axis=1)


def smooth(points: list[tuple[float, float]] | Points, closed: bool = False, per: int = 6) -> Points:
    """Catmull-Rom spline through `points`, `per` samples a segment (Catmull and Rom, 1974)."""
    p = np.asarray(points, dtype=np.float64)
    if closed:
        padded = np.concatenate([p[-1:], p, p[:2]])
    else:
        padded = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    p0, p1, p2, p3 = (padded[i : len(padded) - 3 + i, None, :] for i in range(4))
    t = np.linspace(0, 1, per, endpoint=False)[None, :, None]
    curve = 0.5 * (
        2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )
    flat = curve.reshape(-1, 2)
    return flat if closed else np.concatenate([flat, p[-1:]])


def normals(points: Points, closed: bool = False) -> Points:
    """Unit normals of a polyline, to the left of its direction."""
    if closed:
        tangent = np.roll(points, -1, axis=0) - np.roll(points, 1, axis=0)
    else:
        tangent = np.gradient(points, axis=0)
    length = np.maximum(np.hypot(tangent[:, 0], tangent[:, 1]), 1e-9)
    return np.stack([tangent[:, 1], -tangent[:, 0]], axis=1) / length[:, None]


def ribbon(points: Points, widths: NDArray[np.float64]) -> Points:
    """Outline of an open brush stroke: `points` thickened by `widths` (full width at each point)."""
    offset = normals(points) * (widths[:, None] / 2)
    return np.concatenate([points + offset, (points - offset)[::-1]])


def ring(points: Points, widths: NDArray[np.float64]) -> Points:
    """Outline of a closed brush stroke, as one polygon with a seam (to be filled even-odd)."""
    offset = normals(points, closed=True) * (widths[:, None] / 2)
    outer, inner = points + offset, points - offset
    return np.concatenate([outer, outer[:1], inner[:1], inner[::-1]])


def pressure(n: int, start: float = 0.3, end: float = 0.3) -> NDArray[np.float64]:
    """Relative width along a brush stroke, 1 in the middle, `start` and `end` at its ends."""
    t = np.linspace(0, 1, n)
    low = start + (end - start) * t
    return low + (1 - low) * np.sin(np.pi * t) ** 0.6


def bumps(points: Points, count: int, depth: float, sharp: bool = False) -> Points:
    """Closed outline with `count` bumps of `depth` along its normals: curls, or tufts when `sharp`."""
    phase = np.linspace(0, count, len(points), endpoint=False) % 1.0
    wave = 1 - np.abs(2 * phase - 1) if sharp else np.sqrt(np.maximum(0, 1 - (2 * phase - 1) ** 2))
    return points + normals(points, closed=True) * (wave[:, None] * depth)

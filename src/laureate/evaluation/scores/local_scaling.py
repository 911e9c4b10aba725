"""Cross-domain similarity local scaling (CSLS): cosines corrected for points that are near to everything."""

from __future__ import annotations

import numpy as np

from laureate.core.errors import LaureateError
from laureate.evaluation.scores.base import Array, Doubles, finite

NEIGHBOURS = 10  # as published


def cosines(x: Array, y: Array) -> Doubles:
    """Cosine of every pair: (n, d) and (m, d), no row 0 => (n, m)."""
    a, b = finite(x, "features"), finite(y, "reference features")
    lengths = [np.linalg.norm(z, axis=1, keepdims=True) for z in (a, b)]
    if any(not length.all() for length in lengths):
        raise LaureateError("features of a row are all 0, so they have no direction; check that picture")
    found: Doubles = (a / lengths[0]) @ (b / lengths[1]).T
    return found


def locally_scaled(similarity: Array, neighbours: int = NEIGHBOURS) -> Doubles:
    """2 s(x, y) − r(x) − r(y), from cosines s (n, m) => (n, m).

    Conneau et al. 2018, arXiv:1710.04087, section 2.3. r(x) is the mean similarity of x to its `neighbours`
    most similar y, r(y) that of y to its most similar x; to all where there are fewer. Raises LaureateError
    for less than one neighbour.
    """
    s = finite(similarity, "similarities")
    if neighbours < 1:
        raise LaureateError(f"local scaling needs one neighbour or more, got {neighbours}")
    rows, columns = (np.sort(s, axis=axis) for axis in (1, 0))
    of_x = rows[:, -neighbours:].mean(axis=1)
    of_y = columns[-neighbours:, :].mean(axis=0)
    return np.asarray(2 * s - of_x[:, None] - of_y[None, :], dtype=np.float64)

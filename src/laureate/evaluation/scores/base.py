"""Base class of the scores, checks of their input, and distances."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from laureate.core.errors import LaureateError

Array = NDArray[np.floating]
Doubles = NDArray[np.float64]
Rows = NDArray[np.intp]


class Score:
    """A score that can be computed over any resample of its pictures and references.

    A subclass stores a matrix of inner products or distances, and computes the score from it in `resampled`.
    """

    pictures: int | None = None  # n; None where the score does not know it
    references: int | None = None  # m

    def __call__(self, rows: Rows | None = None, others: Rows | None = None) -> float:
        """The score over the pictures `rows` and the references `others`, with repeats; None: all."""
        u, v = counts(rows, self.pictures), counts(others, self.references)
        return float(self.resampled(u[None], v[None])[0])

    def resampled(self, u: Doubles, v: Doubles) -> Doubles:
        """The score in each of b resamples => (b,); NaN where it is undefined.

        `u` (b, n), `v` (b, m): how often each picture, and each reference, occurs in a resample.
        """
        raise NotImplementedError


def counts(rows: Rows | None, n: int | None) -> Doubles:
    """How often each of n rows occurs in `rows` => (n,); None: once each."""
    if rows is None:
        return np.ones(n or 0)
    return np.bincount(rows, minlength=n or 0).astype(np.float64)


def finite(values: Array, what: str) -> Doubles:
    """`values` as float64 (n, d). Raises LaureateError for other shapes, NaN and infinity."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2:
        raise LaureateError(f"{what} must have the shape (pictures, features), got {array.shape}")
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(bad):
        raise LaureateError(f"{what} of row {bad[0]} are not finite; check that picture")
    return array


def pair(x: Array, y: Array) -> tuple[Doubles, Doubles]:
    """Two checked feature sets of equal width, each of two pictures or more."""
    a, b = finite(x, "features"), finite(y, "reference features")
    if a.shape[1] != b.shape[1]:
        raise LaureateError(f"features and reference features differ in width: {a.shape[1]} and {b.shape[1]}")
    if min(len(a), len(b)) < 2:
        raise LaureateError(
            f"a distance between sets needs two pictures or more in each, got {len(a)} and {len(b)}"
        )
    return a, b


def squared_distances(a: Doubles, b: Doubles) -> Doubles:
    """Squared Euclidean distances of all pairs: (n, d) and (m, d) => (n, m), at least 0."""
    squares = np.sum(a * a, axis=1)[:, None] + np.sum(b * b, axis=1)[None, :]
    return np.maximum(squares - 2 * (a @ b.T), 0.0)

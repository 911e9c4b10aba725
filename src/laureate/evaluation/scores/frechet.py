"""Fréchet distance (FID), exact and without a matrix square root."""

from __future__ import annotations

import numpy as np

from laureate.evaluation.scores.base import Array, Doubles, Score, pair


class Frechet(Score):
    """Fréchet distance of two Gaussians fitted to features (Heusel et al. 2017, arXiv:1706.08500, eq. 6).

        |μx − μy|² + Tr Σx + Tr Σy − 2 Tr √(Σx Σy)

    With centred rows scaled by 1/√(n−1), the last trace is the nuclear norm of X Yᵀ, so everything follows
    from inner products between pictures: exact, and no square root of a d × d matrix.

    `x` (n, d), `y` (m, d), any float dtype, n and m ≥ 2. Raises LaureateError for other shapes and NaN.
    """

    def __init__(self, x: Array, y: Array) -> None:
        x, y = pair(x, y)
        self.pictures, self.references = len(x), len(y)
        centre = np.concatenate([x, y]).mean(axis=0)  # inner products of small numbers lose fewer digits
        x, y = x - centre, y - centre
        self.xx, self.xy, self.yy = x @ x.T, x @ y.T, y @ y.T

    def resampled(self, u: Doubles, v: Doubles) -> Doubles:
        """See `Score.resampled`; a picture that occurs k times weighs √k in the nuclear norm."""
        return np.array([self._once(a, b) for a, b in zip(u, v, strict=True)])

    def _once(self, u: Doubles, v: Doubles) -> float:
        a, b = np.flatnonzero(u), np.flatnonzero(v)
        u, v = u[a], v[b]
        n, m = u.sum(), v.sum()
        xx, xy, yy = self.xx[np.ix_(a, a)], self.xy[np.ix_(a, b)], self.yy[np.ix_(b, b)]
        mean_xx, mean_yy = u @ xx @ u / n**2, v @ yy @ v / m**2
        of_rows, of_columns = xy @ v / m, u @ xy / n
        mean_xy = u @ of_rows / n
        spread = (u @ np.diagonal(xx) - n * mean_xx) / (n - 1) + (v @ np.diagonal(yy) - m * mean_yy) / (m - 1)
        centred = (xy - of_columns - of_rows[:, None] + mean_xy) * np.sqrt(
            u[:, None] * v / ((n - 1) * (m - 1))
        )
        return float(mean_xx + mean_yy - 2 * mean_xy + spread - 2 * nuclear_norm(centred))


def frechet_distance(x: Array, y: Array) -> float:
    """Fréchet distance ("FID" on Inception features) between `x` (n, d) and `y` (m, d); 0 is best.

    See `Frechet`. No matrix is larger than n × d or d × d: a set that has more pictures than features is
    replaced by the triangular factor of its centred rows, which has the same covariance.
    """
    x, y = pair(x, y)
    d = x.shape[1]
    if max(len(x), len(y)) <= d:
        return Frechet(x, y)()
    factors = [(z - z.mean(axis=0)) / np.sqrt(len(z) - 1) for z in (x, y)]
    factors = [np.asarray(np.linalg.qr(f, mode="r")) if len(f) > d else f for f in factors]
    overlap = nuclear_norm(factors[0] @ factors[1].T)
    means = np.sum((x.mean(axis=0) - y.mean(axis=0)) ** 2)
    return float(means + sum(np.sum(f**2) for f in factors) - 2 * overlap)


def nuclear_norm(matrix: Array) -> float:
    """Sum of singular values."""
    return float(np.linalg.svd(np.asarray(matrix, dtype=np.float64), compute_uv=False).sum())

"""Nearest-neighbour scores: precision and recall, density and coverage, memorisation."""

from __future__ import annotations

from typing import Literal

import numpy as np

from laureate.core.errors import LaureateError
from laureate.evaluation.scores.base import Array, Doubles, Score, finite, pair, squared_distances

Share = Literal["precision", "recall", "density", "coverage"]


class Manifold(Score):
    """Precision or recall (Kynkäänniemi et al. 2019, arXiv:1904.06991), density or coverage (Naeem et al.
    2020, arXiv:2002.09797), by balls around pictures that reach to the k-th nearest neighbour.

    `x` (n, d), `y` (m, d), more than k pictures each. Precision: the share of generated pictures in a ball of
    a reference. Recall: the share of references in a ball of a generated picture. Density: in how many balls
    of references a generated picture lies, per k. Coverage: the share of references with a generated picture
    in their ball. Radii are computed over all pictures: a resample leaves out balls, but a repeated picture
    does not get a radius of 0.
    """

    def __init__(self, x: Array, y: Array, share: Share, k: int = 3) -> None:
        x, y = pair(x, y)
        if not 1 <= k < min(len(x), len(y)):
            raise LaureateError(
                f"a k-th neighbour needs 1 ≤ k < pictures, got k = {k} for {len(x)} and {len(y)}"
            )
        self.share, self.k = share, k
        self.pictures, self.references = len(x), len(y)
        between = squared_distances(x, y)
        around = x if share == "recall" else y
        radii = _kth(squared_distances(around, around), k)
        # (n, m): is the picture in the reference's ball, or for recall the reference in the picture's?
        self.inside = (between <= (radii[:, None] if share == "recall" else radii)).astype(np.float64)

    def resampled(self, u: Doubles, v: Doubles) -> Doubles:
        """See `Score.resampled`."""
        if self.share == "density":
            values: Doubles = np.sum((u @ self.inside) * v, axis=1) / (self.k * u.sum(axis=1))
        elif self.share == "precision":
            values = np.sum(u * (v @ self.inside.T > 0), axis=1) / u.sum(axis=1)
        else:
            values = np.sum(v * (u @ self.inside > 0), axis=1) / v.sum(axis=1)
        return values


def precision_recall(x: Array, y: Array, k: int = 3) -> tuple[float, float]:
    """Precision (do the pictures resemble the references?) and recall (do the pictures cover the
    references?).

    `x` (n, d) generated, `y` (m, d) references, more than k each; both between 0 and 1, higher is better. See
    `Manifold`.
    """
    return Manifold(x, y, "precision", k)(), Manifold(x, y, "recall", k)()


def density_coverage(x: Array, y: Array, k: int = 3) -> tuple[float, float]:
    """Density (at least 0) and coverage (0 to 1): as precision and recall, but less sensitive to outliers."""
    return Manifold(x, y, "density", k)(), Manifold(x, y, "coverage", k)()


class Memorisation(Score):
    """The share of memorised pictures: nearer to a training picture than new pictures of the style would be.

    The threshold is the `nearest` quantile of the distances from held-out pictures to their nearest training
    picture (1 %: nearer than 99 in 100 held-out pictures). After Carlini et al. 2023, arXiv:2301.13188,
    section 5, with this threshold in place of a fixed one.

    `x` (n, d), `train` (t, d), `holdout` (m, d): features with Euclidean distances. With m held-out pictures
    a model that memorised nothing still scores up to about 1/(m + 1).
    """

    def __init__(self, x: Array, train: Array, holdout: Array, nearest: float = 0.01) -> None:
        x, train = (finite(z, what) for z, what in ((x, "features"), (train, "training features")))
        holdout = finite(holdout, "reference features")
        if not min(len(x), len(train), len(holdout)) or len({z.shape[1] for z in (x, train, holdout)}) != 1:
            raise LaureateError(
                "memorisation needs pictures, training pictures and held-out pictures with features of one "
                f"width, got {x.shape}, {train.shape} and {holdout.shape}"
            )
        if not 0 <= nearest <= 1:
            raise LaureateError(f"memorisation needs a quantile between 0 and 1, got {nearest}")
        self.pictures, self.references, self.nearest = len(x), len(holdout), nearest
        self.distance = squared_distances(x, train).min(
            axis=1
        )  # (n,) to the nearest training picture, squared
        self.chance = squared_distances(holdout, train).min(axis=1)  # (m,)

    @classmethod
    def of_distances(cls, distance: Array, chance: Array, nearest: float = 0.01) -> Memorisation:
        """From squared distances to the nearest training picture, such as LPIPS: (n,) of pictures, (m,) held
        out."""
        score = cls.__new__(cls)
        score.pictures, score.references, score.nearest = len(distance), len(chance), nearest
        score.distance, score.chance = (np.asarray(z, dtype=np.float64) for z in (distance, chance))
        return score

    def resampled(self, u: Doubles, v: Doubles) -> Doubles:
        """See `Score.resampled`; the references are the held-out pictures."""
        shares = np.empty(len(u))
        for draw, (a, b) in enumerate(zip(u, v, strict=True)):
            chance = np.sqrt(np.repeat(self.chance, b.astype(np.intp)))
            shares[draw] = a @ (np.sqrt(self.distance) < np.quantile(chance, self.nearest)) / a.sum()
        return shares


def memorisation(x: Array, train: Array, holdout: Array, nearest: float = 0.01) -> float:
    """The share of memorised pictures, 0 to 1, lower is better; see `Memorisation`."""
    return Memorisation(x, train, holdout, nearest)()


def _kth(distances: Doubles, k: int) -> Doubles:
    """Each picture's distance to its k-th nearest other picture: (n, n) => (n,)."""
    distances = distances.copy()
    np.fill_diagonal(distances, np.inf)
    kth: Doubles = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return kth

"""Kernel distances (KID, CMMD, style distance): unbiased at any number of pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from laureate.core.errors import LaureateError
from laureate.evaluation.scores.base import Array, Doubles, Rows, Score, pair, squared_distances

SIGMA, SCALE = 10.0, 1000.0  # of CMMD, as published


class Kernel(Score):
    """Unbiased squared maximum mean discrepancy from kernel matrices (Gretton et al. 2012, JMLR 13, eq. 3).

    `xx` (n, n), `xy` (n, m), `yy` (m, m). Pairs of a picture with itself are left out, also where a
    resample repeats the picture: the estimate stays unbiased under the bootstrap.

    `trainings`: the rows of the pictures of each training, where several adapters of one kind drew them. Then
    it is the mean distance of one adapter, weighted by its pictures, and not the distance of the mixture of
    all: only pairs of pictures of the same training count, as what trainings differ by is no diversity that
    one of them has.
    """

    def __init__(self, xx: Array, xy: Array, yy: Array, trainings: Sequence[Rows] = ()) -> None:
        self.xx, self.xy, self.yy = (np.asarray(k, dtype=np.float64) for k in (xx, xy, yy))
        self.pictures, self.references = self.xy.shape
        # of each training: the rows of its pictures, and the kernel among them
        several = trainings if len(trainings) > 1 else ()
        self.trainings = [(rows, self.xx[np.ix_(rows, rows)]) for rows in several]

    def resampled(self, u: Doubles, v: Doubles) -> Doubles:
        """See `Score.resampled`."""
        cross = np.sum((u @ self.xy) * v, axis=1) / (u.sum(axis=1) * v.sum(axis=1))
        return self._among_pictures(u) + _within(self.yy, v) - 2 * cross

    def _among_pictures(self, u: Doubles) -> Doubles:
        """Mean of the kernel over pairs of different pictures of one training; a training with fewer than two
        pictures has none."""
        if not self.trainings:
            return _within(self.xx, u)
        total, weight = np.zeros(len(u)), np.zeros(len(u))
        for rows, among in self.trainings:
            part = u[:, rows]
            size = part.sum(axis=1)
            within = _within(among, part)
            total += np.where(np.isfinite(within), size * within, 0.0)
            weight += np.where(np.isfinite(within), size, 0.0)
        mean: Doubles = np.divide(total, weight, out=np.full(len(u), np.nan), where=weight > 0)
        return mean


def polynomial_kernel(x: Array, y: Array, trainings: Sequence[Rows] = ()) -> Kernel:
    """Kernel Inception Distance's kernel (⟨a, b⟩ / d + 1)³ (Bińkowski et al. 2018, arXiv:1801.01401, eq. 4).

    `x` (n, d), `y` (m, d), n and m ≥ 2 => a `Kernel`; `trainings` as there.
    """
    x, y = pair(x, y)
    xx, xy, yy = ((a @ b.T / x.shape[1] + 1) ** 3 for a, b in ((x, x), (x, y), (y, y)))
    return Kernel(xx, xy, yy, trainings)


def kernel_distance(x: Array, y: Array) -> float:
    """Kernel Inception Distance, unbiased, over all pictures at once (no sub-sampling); 0 is best.

    `x` (n, d), `y` (m, d), n and m ≥ 2. Can be slightly below 0, as an unbiased estimate of 0 must be.
    """
    return polynomial_kernel(x, y)()


def gaussian_kernel(
    x: Array, y: Array, sigma: float = SIGMA, scale: float = SCALE, trainings: Sequence[Rows] = ()
) -> Kernel:
    """`scale` · exp(−|a − b|² / 2σ²) => a `Kernel`; features as they are, CMMD gives it unit vectors."""
    x, y = pair(x, y)
    xx, xy, yy = (
        scale * np.exp(-squared_distances(a, b) / (2 * sigma**2)) for a, b in ((x, x), (x, y), (y, y))
    )
    return Kernel(xx, xy, yy, trainings)


def clip_kernel(x: Array, y: Array, trainings: Sequence[Rows] = ()) -> Kernel:
    """The `Kernel` behind `cmmd`: CLIP features (n, d) and (m, d), not 0, scaled to unit length."""
    x, y = pair(x, y)
    lengths = [np.linalg.norm(z, axis=1, keepdims=True) for z in (x, y)]
    for name, length in zip(("features", "reference features"), lengths, strict=True):
        if not length.all():
            raise LaureateError(f"{name} of row {length.argmin()} are all 0; check that picture")
    return gaussian_kernel(x / lengths[0], y / lengths[1], trainings=trainings)


def cmmd(x: Array, y: Array) -> float:
    """CLIP maximum mean discrepancy (Jayasumana et al. 2024, arXiv:2401.09603); 0 is best.

    `x` (n, d), `y` (m, d): CLIP features. Gaussian kernel with σ = 10 on unit vectors, times 1000, as
    published. This is the unbiased U-statistic, which leaves out pairs of a picture with itself and can be
    slightly below 0; the published code averages over these pairs too (the V-statistic), which at n = 100
    adds about as much as a good model's whole distance.
    """
    return clip_kernel(x, y)()


def style_features(layers: Sequence[Array]) -> Array:
    """Style features: the Gram matrices of early layers (Gatys et al. 2016, CVPR, eq. 4).

    `layers`: per layer (n, c, h, w), shallow ones. Every position is scaled to unit length over channels, as
    in LPIPS, so that contrast does not dominate. The mean outer product over positions does not depend on
    where things are => (n, Σ c(c+1)/2) float32, each layer's part with a root mean square of 1, so that wide
    layers do not dominate.
    """
    by_layer = []
    for layer in layers:
        f = np.asarray(layer, dtype=np.float32).reshape(*layer.shape[:2], -1)
        f = f / (np.linalg.norm(f, axis=1, keepdims=True) + np.float32(1e-10))
        gram = f @ f.transpose(0, 2, 1) / np.float32(f.shape[2])
        above = np.triu_indices(f.shape[1])
        flat = gram[:, *above] * np.where(above[0] == above[1], 1, np.sqrt(2)).astype(np.float32)
        by_layer.append(flat / np.sqrt(np.mean(flat**2, axis=1, keepdims=True)))
    return np.concatenate(by_layer, axis=1)


def style_distance(layers: Sequence[Array], reference_layers: Sequence[Array]) -> float:
    """Kernel distance in style space: layers (n, c, h, w) of pictures and (m, c, h, w) of references; 0 is
    best."""
    return kernel_distance(style_features(layers), style_features(reference_layers))


def _within(k: Doubles, u: Doubles) -> Doubles:
    """Mean of a kernel over pairs of two different pictures, by how often both occur in each row of u (b, n);
    NaN where there is none."""
    pairs = u.sum(axis=1) ** 2 - np.sum(u * u, axis=1)
    pairs = np.where(pairs > 0, pairs, np.nan)  # one picture repeated has no pairs
    mean: Doubles = (np.sum((u @ k) * u, axis=1) - (u * u) @ np.diagonal(k)) / pairs
    return mean

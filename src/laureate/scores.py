"""Features to numbers: every score is a pure function of float arrays.

Notation: `x` are features of generated pictures, shape (n, d); `y` those of reference pictures, shape (m, d).
Features are computed once; a score first reduces them to a matrix of inner products or distances between
pictures, and both the value and its bootstrap interval read that matrix, so an interval costs no forward pass
and does not depend on d.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from laureate.errors import LaureateError

Array = NDArray[np.floating]
Rows = NDArray[np.intp]


class Frechet:
    """Fréchet distance of two Gaussians fitted to features (Heusel et al. 2017, arXiv:1706.08500, eq. 6).

        |μx − μy|² + Tr Σx + Tr Σy − 2 Tr √(Σx Σy)

    With centred rows scaled by 1/√(n−1), the last trace is the nuclear norm of X Yᵀ, so everything follows
    from inner products between pictures: exact, and no square root of a d × d matrix.

    `x` (n, d), `y` (m, d), any float dtype, n and m ≥ 2. Raises LaureateError for other shapes and NaN.
    """

    def __init__(self, x: Array, y: Array) -> None:
        x, y = _pair(x, y)
        centre = np.concatenate([x, y]).mean(axis=0)  # inner products of small numbers lose fewer digits
        x, y = x - centre, y - centre
        self.xx, self.xy, self.yy = x @ x.T, x @ y.T, y @ y.T

    def __call__(self, rows: Rows | None = None, others: Rows | None = None) -> float:
        """The distance over the pictures named by `rows` of x and `others` of y (all, where None)."""
        xx, xy, yy = _pick(self.xx, rows, rows), _pick(self.xy, rows, others), _pick(self.yy, others, others)
        means = xx.mean() + yy.mean() - 2 * xy.mean()
        n, m = xy.shape
        spread = (np.trace(xx) - n * xx.mean()) / (n - 1) + (np.trace(yy) - m * yy.mean()) / (m - 1)
        centred = xy - xy.mean(axis=0) - xy.mean(axis=1, keepdims=True) + xy.mean()
        overlap = _nuclear_norm(centred) / np.sqrt((n - 1) * (m - 1))
        return float(means + spread - 2 * overlap)


def frechet_distance(x: Array, y: Array) -> float:
    """Fréchet distance ("FID" on Inception features) between `x` (n, d) and `y` (m, d); 0 is best.

    See `Frechet`. Takes the n × m form or the d × d form, whichever is smaller: where both sets have more
    pictures than features, each is replaced by the triangular factor of its centred rows, which has the same
    covariance.
    """
    x, y = _pair(x, y)
    if min(len(x), len(y)) <= x.shape[1]:
        return Frechet(x, y)()
    factors = [np.asarray(np.linalg.qr((z - z.mean(axis=0)) / np.sqrt(len(z) - 1), mode="r")) for z in (x, y)]
    overlap = _nuclear_norm(factors[0] @ factors[1].T)
    means = np.sum((x.mean(axis=0) - y.mean(axis=0)) ** 2)
    return float(means + sum(np.sum(f**2) for f in factors) - 2 * overlap)


class Kernel:
    """Unbiased squared maximum mean discrepancy from kernel matrices (Gretton et al. 2012, JMLR 13, eq. 3).

    `xx` (n, n), `xy` (n, m), `yy` (m, m). Pairs of a picture with itself are left out, also where a
    resample repeats the picture: the estimate stays unbiased under the bootstrap.
    """

    def __init__(self, xx: Array, xy: Array, yy: Array) -> None:
        self.xx, self.xy, self.yy = xx, xy, yy

    def __call__(self, rows: Rows | None = None, others: Rows | None = None) -> float:
        """The discrepancy over the pictures named by `rows` of x and `others` of y (all, where None)."""
        n, m = self.xy.shape
        u, v = _counts(rows, n), _counts(others, m)
        cross = u @ self.xy @ v / (u.sum() * v.sum())
        return float(_within(self.xx, u) + _within(self.yy, v) - 2 * cross)


def polynomial_kernel(x: Array, y: Array) -> Kernel:
    """Kernel Inception Distance's kernel (⟨a, b⟩ / d + 1)³ (Bińkowski et al. 2018, arXiv:1801.01401, eq. 4).

    `x` (n, d), `y` (m, d), n and m ≥ 2 => a `Kernel`.
    """
    x, y = _pair(x, y)
    xx, xy, yy = ((a @ b.T / x.shape[1] + 1) ** 3 for a, b in ((x, x), (x, y), (y, y)))
    return Kernel(xx, xy, yy)


def kernel_distance(x: Array, y: Array) -> float:
    """Kernel Inception Distance, unbiased, over all pictures at once (no sub-sampling); 0 is best.

    `x` (n, d), `y` (m, d), n and m ≥ 2. Can be slightly below 0, as an unbiased estimate of 0 must be.
    """
    return polynomial_kernel(x, y)()


def inception_score(p: Array, splits: int = 1) -> float:
    """exp of the mean KL(p(class | picture) || p(class)) (Salimans et al. 2016, arXiv:1606.03498).

    `p` (n, k): rows are probabilities. Between 1 and k; higher is better. With more splits, the mean over
    that many equal parts.
    Raises LaureateError where there are fewer pictures than splits.
    """
    p = _finite(p, "class probabilities")
    if splits < 1 or len(p) < splits:
        raise LaureateError(
            f"the Inception Score needs at least as many pictures as splits, got {len(p)} for {splits}"
        )
    log = np.log(np.maximum(p, np.finfo(np.float64).tiny))
    values = []
    for part in np.array_split(np.arange(len(p)), splits):
        mean = p[part].mean(axis=0)
        entropy_of_mean = -np.sum(mean * np.log(np.maximum(mean, np.finfo(np.float64).tiny)))
        values.append(np.exp(entropy_of_mean + np.sum(p[part] * log[part], axis=1).mean()))
    return float(np.mean(values))


def clip_score(pictures: Array, texts: Array) -> Array:
    """100 · cos(picture, its text), at least 0, per pair (Hessel et al. 2021, arXiv:2104.08718).

    `pictures` (n, d), `texts` (n, d), of any length => (n,), 0 to 100; higher is better.
    """
    a, b = _finite(pictures, "picture features"), _finite(texts, "text features")
    if a.shape != b.shape:
        raise LaureateError(f"CLIP needs one text per picture, got features of shape {a.shape} and {b.shape}")
    cosine = np.sum(a * b, axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return np.maximum(100 * cosine, 0.0)


def clip_content(pictures: Array, contents: Array) -> Array:
    """`clip_score` against the prompt without its style suffix: did the picture keep what was asked?"""
    return clip_score(pictures, contents)


def lpips_embedding(layers: Sequence[Array], weights: Sequence[Array] | None = None) -> list[Array]:
    """Layer features in which LPIPS (Zhang et al. 2018, arXiv:1801.03924, eq. 1) is a squared distance.

    `layers`: per layer (n, c, h, w), any float dtype; `weights`: per layer (c,), at least 0, the learned
    channel weights, or None for weights of 1. Every position is scaled to unit length over channels
    => per layer (n, c·h·w) float32. Computed once per picture, so n + m forward passes score all n · m pairs.
    """
    embedded = []
    for index, layer in enumerate(layers):
        f = np.asarray(layer, dtype=np.float32)
        f = f / (
            np.sqrt(np.sum(f * f, axis=1, keepdims=True)) + 1e-10
        )  # the lpips package's normalize_tensor
        if weights is not None:
            f = f * np.sqrt(np.asarray(weights[index], dtype=np.float32))[None, :, None, None]
        embedded.append(f.reshape(len(f), -1) / np.float32(np.sqrt(f.shape[2] * f.shape[3])))
    return embedded


def lpips(x: Sequence[Array], y: Sequence[Array]) -> Array:
    """LPIPS of all pairs, from `lpips_embedding`s: per layer (n, D) and (m, D) => (n, m), 0 is best."""
    total = np.zeros((len(x[0]), len(y[0])))
    for a, b in zip(x, y, strict=True):
        a, b = _finite(a, "layer features"), _finite(b, "layer features")
        squares = np.sum(a * a, axis=1)[:, None] + np.sum(b * b, axis=1)[None, :]
        total += np.maximum(squares - 2 * (a @ b.T), 0.0)
    return total


def mean_over_pairs(distances: Array) -> Callable[..., float]:
    """`distances` (n, m) => a function of `rows` and `others` that gives their mean over all pairs."""
    distances = _finite(distances, "distances")

    def mean(rows: Rows | None = None, others: Rows | None = None) -> float:
        n, m = distances.shape
        u, v = _counts(rows, n), _counts(others, m)
        return float(u @ distances @ v / (u.sum() * v.sum()))

    return mean


def mean_over_pictures(values: Array) -> Callable[..., float]:
    """`values` (n,) or (n, k), NaN where a picture has none => a function of `rows` that gives their mean.

    With k columns every value that is not NaN weighs the same. Raises LaureateError where all are NaN.
    """
    values = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    known = np.isfinite(values)
    sums, counts = np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1)
    if not counts.sum():
        raise LaureateError("none of the pictures has a value to average")

    def mean(rows: Rows | None = None, others: Rows | None = None) -> float:
        chosen = slice(None) if rows is None else rows
        count = counts[chosen].sum()
        return float(sums[chosen].sum() / count) if count else float("nan")

    return mean


def bootstrap(
    score: Callable[[Rows, Rows], float],
    clusters: Sequence[Hashable],
    references: int,
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Interval of `score(rows, others)` by the cluster bootstrap (Davison and Hinkley 1997, chapter 3.8).

    `clusters`: per generated picture, its prompt: pictures of one prompt are drawn together, as they are not
    independent, with replacement. The `references` reference pictures are drawn with replacement one by one.
    Repeats in a resample bias a distance upwards, so the draws are moved to have the estimate as their mean.
    The draws depend on the seed and the clusters only: models that share prompts share resamples.
    Returns (low, high), low ≤ value ≤ high up to skew; both NaN where the score is.
    """
    if draws < 1 or not 0 < level < 1:
        raise LaureateError(
            f"the bootstrap needs draws ≥ 1 and a level between 0 and 1, got {draws} and {level}"
        )
    members: dict[Hashable, list[int]] = {}
    for row, cluster in enumerate(clusters):
        members.setdefault(cluster, []).append(row)
    groups = [np.array(rows, dtype=np.intp) for rows in members.values()]
    rng = np.random.default_rng(seed)
    values = np.empty(draws)
    for draw in range(draws):
        rows = np.concatenate([groups[i] for i in rng.integers(len(groups), size=len(groups))])
        others = rng.integers(references, size=references)
        values[draw] = score(rows, others)
    value = score(np.arange(len(clusters)), np.arange(references))
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values - values.mean() + value, [(1 - level) / 2, (1 + level) / 2])
    return float(min(low, value)), float(max(high, value))


def wilson_interval(share: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share among `n` independent draws (Wilson 1927, JASA 22).

    Where all agree, the bootstrap has no spread, but n pictures still leave room: 0 of n is not never.
    """
    from statistics import NormalDist

    if n < 1 or not 0 <= share <= 1:
        raise LaureateError(f"a share must be between 0 and 1 among at least one, got {share} among {n}")
    z = NormalDist().inv_cdf((1 + level) / 2)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # rounding alone may leave a share of 0 or 1 outside by 1e-17
    return float(max(0.0, min(share, centre - half))), float(min(1.0, max(share, centre + half)))


def _finite(values: Array, what: str) -> NDArray[np.float64]:
    """As float64, 2-D; refuses NaN and infinity, which would pass through every score unseen."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2:
        raise LaureateError(f"{what} must have the shape (pictures, features), got {array.shape}")
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(bad):
        raise LaureateError(f"{what} of row {bad[0]} are not finite; look at that picture")
    return array


def _pair(x: Array, y: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two checked feature sets of one width, two pictures or more each."""
    a, b = _finite(x, "features"), _finite(y, "reference features")
    if a.shape[1] != b.shape[1]:
        raise LaureateError(f"features and reference features differ in width: {a.shape[1]} and {b.shape[1]}")
    if min(len(a), len(b)) < 2:
        raise LaureateError(
            f"a distance between sets needs two pictures or more in each, got {len(a)} and {len(b)}"
        )
    return a, b


def _nuclear_norm(matrix: Array) -> float:
    """Sum of singular values."""
    return float(np.linalg.svd(np.asarray(matrix, dtype=np.float64), compute_uv=False).sum())


def _pick(matrix: Array, rows: Rows | None, columns: Rows | None) -> Array:
    """The sub-matrix of these rows and columns, with repeats; None: all."""
    matrix = matrix if rows is None else matrix[rows]
    return matrix if columns is None else matrix[:, columns]


def _counts(rows: Rows | None, n: int) -> NDArray[np.float64]:
    """How often each of n pictures occurs in a resample."""
    return np.ones(n) if rows is None else np.bincount(rows, minlength=n).astype(np.float64)


def _within(k: Array, counts: NDArray[np.float64]) -> float:
    """Mean of a kernel over pairs of two different pictures, weighted by how often both occur."""
    diagonal = counts @ (np.diagonal(k) * counts)
    pairs = counts.sum() ** 2 - counts @ counts
    return float((counts @ k @ counts - diagonal) / pairs)

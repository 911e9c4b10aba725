"""Significance tests: permutation within prompts, several tests at once, shares that all agree."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np

from laureate.core.errors import LaureateError
from laureate.evaluation.scores.base import Array, Score
from laureate.evaluation.scores.bootstrap import resample


def swap_test(
    kernel: Callable[[Array, Array], Score],
    a: Array,
    b: Array,
    y: Array,
    prompts: Sequence[Hashable],
    draws: int = 1000,
    seed: int = 0,
) -> float:
    """p-value of "two models are equally far from the references", by permuting them within prompts.

    `a` and `b` (n, d): features of two models' pictures of the same prompts and seeds, row by row; `y` (m,
    d); `kernel` is `polynomial_kernel` or `clip_kernel`. If the models did not differ, all pictures of a
    prompt could change sides; the p-value is how often that moves the two distances at least as far apart as
    they are, two-sided, never 0 (Phipson and Smyth 2010, arXiv:1603.05766).
    """
    if a.shape != b.shape or len(prompts) != len(a):
        raise LaureateError(f"a paired test needs the same pictures of both, got {a.shape} and {b.shape}")
    both, n = kernel(np.concatenate([a, b]), y), len(a)
    groups = resample(prompts, 0, 1).groups
    sides = np.random.default_rng(seed).integers(2, size=(draws, len(groups)))
    sides = np.concatenate(
        [np.ones((1, len(groups)), sides.dtype), sides]
    )  # the first row: the observed sides
    stays = np.empty((draws + 1, n))
    for group, rows in enumerate(groups):
        stays[:, rows] = sides[:, group, None]
    first = np.concatenate([stays, 1 - stays], axis=1)
    everyone = np.ones((draws + 1, len(y)))
    apart = np.abs(both.resampled(first, everyone) - both.resampled(1 - first, everyone))
    return float((1 + np.sum(apart[1:] >= apart[0] * (1 - 1e-9))) / (1 + draws))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values of several tests => adjusted p-values (Holm 1979, Scand. J. of Statistics 6).

    A hypothesis may be rejected at 5 % where its adjusted value is at most 0.05; the chance of one false
    rejection or more among all is then at most 5 %.
    """
    adjusted = [1.0] * len(p_values)
    so_far = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        so_far = max(so_far, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = so_far
    return adjusted


def wilson_interval(share: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share among `n` independent draws (Wilson 1927, JASA 22).

    Where all pictures agree, the bootstrap has no spread; this interval still has: 0 of n does not mean 0 %.
    """
    from statistics import NormalDist

    if n < 1 or not 0 <= share <= 1:
        raise LaureateError(f"a share must be between 0 and 1 among at least one, got {share} among {n}")
    z = NormalDist().inv_cdf((1 + level) / 2)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # rounding alone may leave a share of 0 or 1 outside by 1e-17
    return float(max(0.0, min(share, centre - half))), float(min(1.0, max(share, centre + half)))

"""How sure a score is: resamples of prompts and references, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np

from laureate.errors import LaureateError
from laureate.scores.arrays import Rows


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

"""How far one training of a rank lies from the next, beside what prompts and portraits do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BOOTSTRAP, LEVEL = 2000, 0.95


@dataclass(frozen=True)
class Luck:
    """Standard deviations of a score in a study of one training."""

    training: float
    training_low: float  # of a 95 % interval
    training_high: float
    prompts: float
    portraits: float


def decompose(
    values: Sequence[float], of_prompts: Sequence[float], of_portraits: float, seed: int = 0
) -> Luck:
    """Split the variance of trainings, each scored on prompts of its own against the same portraits.

    `values` (t,): the score of each training; `of_prompts` (t,): variance of each by its prompts, and
    `of_portraits` by the portraits of a study, from the jackknife. The variance between values is that of
    trainings and prompts together, so the trainings' is the rest (the method of moments of a one-way random
    effects model, Searle et al. 1992, chapter 3), at least 0. Interval: percentiles of a bootstrap over
    trainings.
    """
    x, prompts = np.asarray(values, dtype=np.float64), np.asarray(of_prompts, dtype=np.float64)
    rows = np.random.default_rng(seed).integers(len(x), size=(BOOTSTRAP, len(x)))
    between = x[rows].var(axis=1, ddof=1) * len(x) / (len(x) - 1)  # repeats make a resample too narrow
    draws = np.sqrt(np.maximum(0.0, between - prompts[rows].mean(axis=1)))
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    found = float(np.sqrt(max(0.0, x.var(ddof=1) - prompts.mean())))
    return Luck(
        found,
        float(min(low, found)),
        float(max(high, found)),
        float(np.sqrt(prompts.mean())),
        float(np.sqrt(of_portraits)),
    )

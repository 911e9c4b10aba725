"""Uncertainty of scores: bootstrap resamples, intervals, jackknife variances, and tests."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from laureate.core.errors import LaureateError
from laureate.evaluation.scores.base import Array, Doubles, Rows, Score

LEVEL = 0.95


@dataclass(frozen=True)
class Resamples:
    """b draws with replacement of whole prompts and of single references, as counts of each.

    They depend on the prompts, the number of references and the seed, and not on a score: models with the
    same prompts share them, so the draws of two models can be subtracted.
    """

    groups: tuple[Rows, ...]  # rows of the pictures of each prompt
    references: int
    prompt_counts: Doubles  # (b, g)
    reference_counts: Doubles  # (b, m)

    @property
    def pictures(self) -> int:
        """How many pictures there are."""
        return sum(len(rows) for rows in self.groups)

    def draws(self, score: Score) -> Doubles:
        """The score in every draw => (b,)."""
        return score.resampled(self.of_pictures(self.prompt_counts), self.reference_counts)

    def of_pictures(self, prompt_counts: Doubles) -> Doubles:
        """How often each prompt occurs, (b, g) => how often each of its pictures does, (b, n)."""
        counts = np.empty((len(prompt_counts), self.pictures))
        for group, rows in enumerate(self.groups):
            counts[:, rows] = prompt_counts[:, group, None]
        return counts


def resample(prompts: Sequence[Hashable], references: int, draws: int = 1000, seed: int = 0) -> Resamples:
    """The cluster bootstrap (Davison and Hinkley 1997, chapter 3.8) of pictures and references.

    `prompts`: of each picture, n of them; pictures of one prompt are drawn together, as they are not
    independent. Raises LaureateError for no draws or no pictures.
    """
    if draws < 1 or not len(prompts):
        raise LaureateError(f"a bootstrap needs draws and pictures, got {draws} and {len(prompts)}")
    members: dict[Hashable, list[int]] = {}
    for row, prompt in enumerate(prompts):
        members.setdefault(prompt, []).append(row)
    groups = tuple(np.array(rows, dtype=np.intp) for rows in members.values())
    rng = np.random.default_rng(seed)

    def counted(n: int) -> Doubles:
        return (
            rng.multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float64) if n else np.ones((draws, 0))
        )

    return Resamples(groups, references, counted(len(groups)), counted(references))


class PairedDifference(Score):
    """One model's score minus another's, paired: over the same prompts, seeds and references."""

    def __init__(self, of: Score, less: Score) -> None:
        self.of, self.less = of, less
        self.pictures, self.references = of.pictures, of.references
        if of.pictures != less.pictures:
            raise LaureateError(
                "a paired difference needs the same prompts and seeds, "
                f"got {of.pictures} and {less.pictures} pictures"
            )

    def resampled(self, u: Doubles, v: Doubles) -> Doubles:
        """See `Score.resampled`."""
        return self.of.resampled(u, v) - self.less.resampled(u, v)


@dataclass(frozen=True)
class Estimate:
    """A score with its interval and the parts of its variance."""

    value: float
    low: float  # of the interval
    high: float
    from_prompts: float  # variance that more prompts would reduce
    from_references: float  # variance that only more references would reduce
    freedom: float  # degrees of freedom of the standard error

    @property
    def error(self) -> float:
        """The standard error."""
        return float(np.sqrt(self.from_prompts + self.from_references))

    @property
    def p(self) -> float:
        """Two-sided p-value of the hypothesis that the true value is 0, by Student's t."""
        from scipy.special import stdtr  # scipy.stats takes three times as long to import

        if not self.error > 0:  # no variance, or it is unknown
            return 0.0 if self.error == 0 and self.value else 1.0
        return float(2 * stdtr(self.freedom, -abs(self.value) / self.error))


def estimate(score: Score, resamples: Resamples, level: float = LEVEL) -> Estimate:
    """A score over all pictures, with its interval from the cluster bootstrap.

    Repeats in a resample bias a distance upwards, so the draws are moved to have the estimate as their mean.
    With few prompts a percentile interval is too narrow, so its quantiles are moved outwards as Student's t
    requires: the expanded percentile interval (Hesterberg 2015, The American Statistician 69, section 3.4).
    low ≤ value ≤ high up to skew; NaN where the score is. Raises LaureateError for a level outside (0, 1).
    """
    from scipy.special import ndtr, stdtrit

    if not 0 < level < 1:
        raise LaureateError(f"an interval needs a level between 0 and 1, got {level}")
    value = float(score.resampled(np.ones((1, resamples.pictures)), np.ones((1, resamples.references)))[0])
    from_prompts, from_references, freedom = jackknife(score, resamples)
    draws = resamples.draws(score)
    draws = draws[np.isfinite(draws)]
    if not len(draws) or not np.isfinite(value):
        return Estimate(value, float("nan"), float("nan"), from_prompts, from_references, freedom)
    tail = (1 - level) / 2
    if np.isfinite(freedom):
        tail = float(ndtr(np.sqrt((freedom + 1) / freedom) * stdtrit(freedom, tail)))
    low, high = np.quantile(draws - draws.mean() + value, [tail, 1 - tail])
    return Estimate(
        value, float(min(low, value)), float(max(high, value)), from_prompts, from_references, freedom
    )


def jackknife(score: Score, resamples: Resamples) -> tuple[float, float, float]:
    """Variance of a score by leaving out one prompt, then one reference, at a time (Efron and Stein 1981,
    Annals of Statistics 9) => (from prompts, from references, degrees of freedom).

    Degrees of freedom of their sum by Welch and Satterthwaite. A variance is NaN where there is only one
    prompt, or only one reference.
    """
    g, m, n = len(resamples.groups), resamples.references, resamples.pictures
    parts = []
    for count, u, v in (
        (g, resamples.of_pictures(1 - np.eye(g)), np.ones((g, m))),
        (m, np.ones((m, n)), 1 - np.eye(m)),
    ):
        if count < 2:
            parts.append(float("nan") if count else 0.0)
            continue
        left = score.resampled(u, v)
        parts.append(float((count - 1) / count * np.sum((left - left.mean()) ** 2)))
    squares = sum(part**2 / max(count - 1, 1) for part, count in zip(parts, (g, m), strict=True))
    return parts[0], parts[1], sum(parts) ** 2 / squares if squares > 0 else float(max(g - 1, 1))


def bootstrap(
    score: Score | Callable[[Rows, Rows], float],
    clusters: Sequence[Hashable],
    references: int,
    draws: int = 1000,
    seed: int = 0,
    level: float = LEVEL,
) -> tuple[float, float]:
    """The interval of `estimate`, for a `Score` or any function of (rows, others) => (low, high)."""
    as_score = score if isinstance(score, Score) else _FunctionScore(score)
    result = estimate(as_score, resample(clusters, references, draws, seed), level)
    return result.low, result.high


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


class _FunctionScore(Score):
    """A function of (rows, others) as a `Score`."""

    def __init__(self, function: Callable[[Rows, Rows], float]) -> None:
        self.function = function

    def resampled(self, u: Doubles, v: Doubles) -> Doubles:
        """See `Score.resampled`."""
        return np.array([
            self.function(*(np.repeat(np.arange(len(c)), c.astype(np.intp)) for c in pair))
            for pair in zip(u, v, strict=True)
        ])  # fmt: skip

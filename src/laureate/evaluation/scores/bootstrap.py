"""Uncertainty of scores: bootstrap resamples, intervals, jackknife variances, and tests."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from laureate.core.errors import LaureateError
from laureate.evaluation.scores.base import Doubles, Rows, Score

LEVEL = 0.95
FARTHEST = -2.0  # standard deviations: a quantile that some hundred draws show well


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
    trainings: tuple[Rows, ...] = ()  # rows of the pictures of each training; empty: one training

    @property
    def pictures(self) -> int:
        """How many pictures there are."""
        return sum(len(rows) for rows in self.groups)

    def draws(self, score: Score) -> Doubles:
        """The score in every draw => (b,)."""
        return score.resampled(self.of_pictures(self.prompt_counts), self.reference_counts)

    @property
    def without_training(self) -> Doubles:
        """Weights of the pictures that leave one training out at a time, (t, n)."""
        weights = np.ones((len(self.trainings), self.pictures))
        for training, rows in enumerate(self.trainings):
            weights[training, rows] = 0
        return weights

    @property
    def prompts_of_trainings(self) -> tuple[Rows, ...]:
        """The numbers of the prompts that each training drew."""
        number = np.empty(self.pictures, dtype=np.intp)
        for group, rows in enumerate(self.groups):
            number[rows] = group
        return tuple(np.unique(number[rows]) for rows in self.trainings)

    def of_pictures(self, prompt_counts: Doubles) -> Doubles:
        """How often each prompt occurs, (b, g) => how often each of its pictures does, (b, n)."""
        counts = np.empty((len(prompt_counts), self.pictures))
        for group, rows in enumerate(self.groups):
            counts[:, rows] = prompt_counts[:, group, None]
        return counts


def rows_by(labels: Sequence[Hashable]) -> tuple[Rows, ...]:
    """The rows of each label, in order of first occurrence."""
    members: dict[Hashable, list[int]] = {}
    for row, label in enumerate(labels):
        members.setdefault(label, []).append(row)
    return tuple(np.array(rows, dtype=np.intp) for rows in members.values())


def resample(
    prompts: Sequence[Hashable],
    references: int,
    draws: int = 1000,
    seed: int = 0,
    trainings: Sequence[Hashable] = (),
) -> Resamples:
    """The cluster bootstrap (Davison and Hinkley 1997, chapter 3.8) of pictures and references.

    `prompts`: of each picture, n of them; pictures of one prompt are drawn together, as they are not
    independent. `trainings`: the training of the adapter that drew each picture. Raises LaureateError for no
    draws or no pictures, and for a prompt that several trainings drew.
    """
    if draws < 1 or not len(prompts):
        raise LaureateError(f"a bootstrap needs draws and pictures, got {draws} and {len(prompts)}")
    groups, by_training = rows_by(prompts), rows_by(trainings)
    rng = np.random.default_rng(seed)

    def counted(n: int) -> Doubles:
        return (
            rng.multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float64) if n else np.ones((draws, 0))
        )

    if len(by_training) < 2:
        by_training = ()
    for rows in groups if by_training else ():
        drawn_by = {trainings[row] for row in rows}
        if len(drawn_by) > 1:
            name = prompts[rows[0]]
            raise LaureateError(f"prompt {name!r} was drawn by {len(drawn_by)} trainings, not one")
    return Resamples(groups, references, counted(len(groups)), counted(references), by_training)


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
    from_trainings: float = 0.0  # variance that only more trainings would reduce; 0 where there was one

    @property
    def error(self) -> float:
        """The standard error."""
        return float(np.sqrt(self.from_prompts + self.from_references + self.from_trainings))

    @property
    def p(self) -> float:
        """Two-sided p-value of the hypothesis that the true value is 0, by Student's t."""
        from scipy.special import stdtr  # scipy.stats takes three times as long to import

        if not self.error > 0:  # no variance, or it is unknown
            return 0.0 if self.error == 0 and self.value else 1.0
        return float(2 * stdtr(self.freedom, -abs(self.value) / self.error))


def estimate(
    score: Score, resamples: Resamples, level: float = LEVEL, *, these_trainings: bool = False
) -> Estimate:
    """A score over all pictures, with its interval from the cluster bootstrap.

    Repeats in a resample bias a distance upwards, so the draws are moved to have the estimate as their mean.
    With few prompts a percentile interval is too narrow, so its quantiles are moved outwards as Student's t
    requires: the expanded percentile interval (Hesterberg 2015, The American Statistician 69, section 3.4).
    Trainings are too few to be drawn from: where there are several, the draws are stretched until their
    standard deviation is the standard error of `jackknife`. `these_trainings`: the question is about the
    adapters that there are, and not about what further trainings would give: only prompts and references
    vary.
    low ≤ value ≤ high up to skew; NaN where the score is. Raises LaureateError for a level outside (0, 1).
    """
    if not 0 < level < 1:
        raise LaureateError(f"an interval needs a level between 0 and 1, got {level}")
    value = float(score.resampled(np.ones((1, resamples.pictures)), np.ones((1, resamples.references)))[0])
    parts = jackknife(score, resamples, these_trainings=these_trainings)
    several = len(resamples.trainings) > 1 and not these_trainings
    low = high = float("nan")
    draws = resamples.draws(score)
    draws = draws[np.isfinite(draws)]
    if len(draws) and np.isfinite(value):
        low, high = value + _tails(draws - draws.mean(), parts, (1 - level) / 2, several)
        low, high = float(min(low, value)), float(max(high, value))
    return Estimate(
        value, low, high, parts.from_prompts, parts.from_references, parts.freedom, parts.from_trainings
    )


def _tails(draws: Doubles, parts: VarianceParts, tail: float, several: bool) -> Doubles:
    """The two quantiles of centred draws (b,) that leave out `tail` on each side => (2,), below and above."""
    from scipy.special import ndtr, stdtrit

    stretch, freedom = 1.0, parts.freedom
    if several:
        # a few trainings ask for quantiles so far out that hardly a draw lies there
        out = float(stdtrit(freedom, tail))
        if not draws.std() > 0:  # the draws have no shape
            return np.array([1.0, -1.0]) * out * np.sqrt(parts.total)
        stretch = float(np.sqrt(parts.total) / draws.std()) * max(1.0, out / FARTHEST)
        tail = float(ndtr(max(out, FARTHEST)))
    elif np.isfinite(freedom):
        tail = float(ndtr(np.sqrt((freedom + 1) / freedom) * stdtrit(freedom, tail)))
    found: Doubles = stretch * np.quantile(draws, [tail, 1 - tail])
    return found


@dataclass(frozen=True)
class VarianceParts:
    """The variance of a score by what it comes from, and the degrees of freedom of their sum."""

    from_prompts: float  # NaN where there is only one
    from_references: float
    freedom: float
    from_trainings: float = 0.0  # 0 where there is only one

    @property
    def total(self) -> float:
        """The sum."""
        return self.from_prompts + self.from_references + self.from_trainings

    @property
    def half_width(self) -> float:
        """Of the 95 % interval by Student's t."""
        from scipy.special import stdtrit

        return float(np.sqrt(self.total) * stdtrit(self.freedom, (1 + LEVEL) / 2))


def jackknife(score: Score, resamples: Resamples, *, these_trainings: bool = False) -> VarianceParts:
    """Variance of a score by leaving out one prompt, then one reference, at a time (Efron and Stein 1981,
    Annals of Statistics 9). Degrees of freedom of the sum by Welch and Satterthwaite.

    Where there are several trainings, one of them is left out at a time too. As each draws prompts of its
    own, that shows the luck of prompts and trainings together, but only as well as so few trainings can: with
    three, by a t distribution of two degrees of freedom. That interval covers whatever the trainings' share
    is. The variance is taken from it, unless the prompts alone make a wider one, or `these_trainings` are not
    to be taken for a sample of others.
    """
    g, m, n = len(resamples.groups), resamples.references, resamples.pictures
    left = score.resampled(resamples.of_pictures(1 - np.eye(g)), np.ones((g, m))) if g > 1 else np.zeros(g)
    prompts = _variance_left(left, resamples.prompts_of_trainings or (np.arange(g),))
    references = float("nan") if m == 1 else 0.0
    if m > 1:
        references = _variance_left(score.resampled(np.ones((m, n)), 1 - np.eye(m)), (np.arange(m),))
    found = _sum_of((prompts, g - max(1, len(resamples.trainings))), (references, m - 1))
    count = len(resamples.trainings)
    if count < 2 or these_trainings:
        return found
    left = score.resampled(resamples.without_training, np.ones((count, m)))
    both = _variance_left(left, (np.arange(count),))
    across = _sum_of((both, count - 1), (references, m - 1))
    if not across.half_width > found.half_width:
        return found
    less = min(prompts, both)
    return VarianceParts(less, references, across.freedom, both - less)


def _variance_left(left: Doubles, parts: Sequence[Rows]) -> float:
    """Jackknife variance of a score from its values with one member left out, (k,), whose members belong to
    `parts`: the differences between parts do not count. NaN for a single member."""
    if len(left) < 2:
        return float("nan") if len(left) else 0.0
    k, total = len(left), 0.0
    for rows in parts:
        if len(rows) > 1:
            total += len(rows) / (len(rows) - 1) * float(np.sum((left[rows] - left[rows].mean()) ** 2))
    return total * ((k - 1) / k) ** 2


def _sum_of(prompts: tuple[float, int], references: tuple[float, int]) -> VarianceParts:
    """Two variances, each with its degrees of freedom."""
    squares = sum(part**2 / max(freedom, 1) for part, freedom in (prompts, references))
    total = prompts[0] + references[0]
    return VarianceParts(
        prompts[0], references[0], total**2 / squares if squares > 0 else float(max(prompts[1], 1))
    )


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

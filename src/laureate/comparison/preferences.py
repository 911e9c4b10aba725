"""Strengths of models from paired comparisons by people: Bradley–Terry with ties, and its bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from laureate.core.errors import LaureateError
from laureate.evaluation.scores.base import Array, Doubles
from laureate.formats.vote_file import Vote

LEVEL = 0.95
PRIOR = 3.0  # standard deviation of the normal prior of every strength and of the tie parameter
STEPS, TOLERANCE = 100, 1e-9
FIRST, SECOND, TIE = range(3)  # outcomes of a comparison

Ints = NDArray[np.intp]


@dataclass(frozen=True)
class Comparisons:
    """n votes as numbers."""

    models: Sequence[str]  # m of them, at least two
    pairs: Ints  # (p, 2): places of the two models of every pair
    pair: Ints  # (n,): which pair a vote compares
    outcome: Ints  # (n,): FIRST where the pair's first model won, SECOND or TIE
    rater: Ints  # (n,): whose vote it is

    def counts(self, weights: Doubles) -> Doubles:
        """Votes weighted by (b, n) => (b, p, 3): how often each pair had each outcome."""
        cells = np.zeros((len(self.pair), len(self.pairs) * 3))
        cells[np.arange(len(self.pair)), self.pair * 3 + self.outcome] = 1.0
        return (weights @ cells).reshape(len(weights), len(self.pairs), 3)


@dataclass(frozen=True)
class Strength:
    """One model's strength: the logarithm of its odds against a model of average strength."""

    model: str
    value: float
    low: float  # of the 95 % interval
    high: float
    share: float  # of comparisons won against the other models, ties count half; 0 to 1
    share_low: float
    share_high: float
    votes: int
    tied: bool  # the best, or not shown to be weaker than it


def comparisons(votes: Sequence[Vote], order: Sequence[str] = ()) -> Comparisons:
    """Votes as numbers; models in the order given, those that it lacks after them by name."""
    named = {name for vote in votes for name in (vote.left, vote.right)}
    models = [name for name in order if name in named] + sorted(named - set(order))
    place = {name: number for number, name in enumerate(models)}
    pairs = list(combinations(range(len(models)), 2))
    number = {pair: at for at, pair in enumerate(pairs)}
    raters = {name: at for at, name in enumerate(dict.fromkeys(vote.rater for vote in votes))}
    pair, outcome = [], []
    for vote in votes:
        first, second = place[vote.left], place[vote.right]
        pair.append(number[min(first, second), max(first, second)])
        won = {"left": first < second, "right": second < first}
        outcome.append(TIE if vote.choice == "tie" else FIRST if won[vote.choice] else SECOND)
    rater = [raters[vote.rater] for vote in votes]
    places, which, what, whose = (np.array(v, dtype=np.intp) for v in (pairs, pair, outcome, rater))
    return Comparisons(models, places, which, what, whose)


def fit(counts: Doubles, pairs: Ints, models: int) -> Doubles:
    """The strengths of `models` models in each of b sets of votes (b, p, 3) => (b, m + 1), the last is ν.

    Bradley–Terry with ties (Davidson 1970, JASA 65, equation 2.3): with strengths λ and a tie parameter ν,
    the outcomes "first", "second" and "tie" of a pair have weights exp λ₁, exp λ₂ and exp(ν + (λ₁ + λ₂) / 2).
    Normal priors of standard deviation `PRIOR` keep the strength of a model finite that won or lost all, and
    make the mean strength 0. The posterior is log-concave; its maximum is found by Newton's method with
    steps that are halved until they climb. Without ties in the data and with a wide prior it is the maximum
    that the MM algorithm of Hunter 2004 (Annals of Statistics 32) finds.
    """
    features = np.zeros((len(pairs), 3, models + 1))
    for at, (first, second) in enumerate(pairs):
        features[at, FIRST, first] = features[at, SECOND, second] = 1.0
        features[at, TIE, [first, second]] = 0.5
        features[at, TIE, models] = 1.0
    total = counts.sum(axis=2)
    theta = np.zeros((len(counts), models + 1))
    height, chance = _posterior(theta, counts, features)
    for _ in range(STEPS):
        expected = total[:, :, None] * chance
        slope = np.einsum("bpo,pok->bk", counts - expected, features) - theta / PRIOR**2
        mean = np.einsum("bpo,pok->bpk", chance, features)
        curve = np.einsum("bpo,pok,pol->bkl", expected, features, features, optimize=True)
        curve -= np.einsum("bp,bpk,bpl->bkl", total, mean, mean, optimize=True)
        curve += np.eye(models + 1) / PRIOR**2
        step = np.linalg.solve(curve, slope[:, :, None])[:, :, 0]
        if np.abs(step).max(initial=0.0) < TOLERANCE:
            break
        size = np.ones(len(counts))
        for _ in range(30):
            reached, chance = _posterior(theta + size[:, None] * step, counts, features)
            short = reached < height - TOLERANCE
            if not short.any():
                break
            size[short] /= 2
        theta, height = theta + size[:, None] * step, reached
    return theta


def share_won(theta: Doubles) -> Doubles:
    """Strengths and tie parameter (b, m + 1) => (b, m): expected share won against the other models, 0 to 1.

    The mean over the others of the probability to win and half of that of a tie.
    """
    strength, tie = theta[:, :-1], theta[:, -1, None, None]
    more = strength[:, :, None] - strength[:, None, :]
    weight = np.exp(tie)  # relative to sqrt(e^λ₁ e^λ₂)
    won = (np.exp(more / 2) + weight / 2) / (np.exp(more / 2) + np.exp(-more / 2) + weight)
    models = strength.shape[1]
    shares: Doubles = (won.sum(axis=2) - 0.5) / (models - 1)  # against itself: 0.5
    return shares


def resampled(of: Comparisons, draws: int = 1000, seed: int = 0) -> Doubles:
    """How often each vote occurs in each bootstrap resample => (draws, n).

    Raters are drawn with replacement, and then the votes of each drawn rater. To draw raters alone, as
    Davison and Hinkley 1997, section 3.8, advise for nested data, needs many of them: docs/votes.md shows
    how often the intervals of both hold the true strength.
    """
    rng = np.random.default_rng(seed)
    raters = int(of.rater.max()) + 1
    times = rng.multinomial(raters, np.full(raters, 1 / raters), size=draws)
    weights = np.zeros((draws, len(of.pair)))
    for rater in range(raters):
        rows = np.flatnonzero(of.rater == rater)
        weights[:, rows] = rng.multinomial(times[:, rater] * len(rows), np.full(len(rows), 1 / len(rows)))
    return weights


def strengths(of: Comparisons, draws: int = 1000, seed: int = 0) -> tuple[list[Strength], Doubles]:
    """The strength of every model, the strongest first, and the strengths in all resamples => (draws, m).

    Raises LaureateError where the models fall into groups that no vote compares.
    """
    check_connected(of)
    models = len(of.models)
    point = fit(of.counts(np.ones((1, len(of.pair)))), of.pairs, models)
    drawn = fit(of.counts(resampled(of, draws, seed)), of.pairs, models)
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(drawn[:, :-1], [tail, 100 - tail], axis=0)
    shares, share = share_won(drawn), share_won(point)[0]
    share_low, share_high = np.percentile(shares, [tail, 100 - tail], axis=0)
    votes = np.bincount(of.pairs[of.pair].ravel(), minlength=models)
    weaker = shown_weaker(point[0, :-1], drawn[:, :-1])
    found = [
        Strength(
            of.models[at],
            float(point[0, at]),
            float(min(low[at], point[0, at])),
            float(max(high[at], point[0, at])),
            float(share[at]),
            float(min(share_low[at], share[at])),
            float(max(share_high[at], share[at])),
            int(votes[at]),
            not weaker[at],
        )
        for at in range(models)
    ]
    found.sort(key=lambda strength: -strength.value)
    return found, drawn[:, :-1]


def shown_weaker(point: Array, drawn: Doubles) -> NDArray[np.bool_]:
    """Which of m models are shown to be weaker than the strongest, at 5 % over all of them (Holm).

    `point` (m,), `drawn` (b, m). The p-value of a model is twice the share of resamples in which it is at
    least as strong as the strongest.
    """
    best = int(np.argmax(point))
    above = (drawn >= drawn[:, [best]]).sum(axis=0)
    p = 2 * (above + 1) / (len(drawn) + 1)
    weaker = np.zeros(len(point), dtype=bool)
    others = [at for at in np.argsort(p, kind="stable") if at != best]
    for left, at in zip(range(len(others), 0, -1), others, strict=True):
        if left * p[at] > 1 - LEVEL:
            break
        weaker[at] = True
    return weaker


def check_connected(of: Comparisons) -> None:
    """Raise LaureateError where some models are never compared, directly or through others, with the rest."""
    group = {0}
    while True:
        more = {int(b) for pair in of.pairs[np.unique(of.pair)] for b in pair if set(map(int, pair)) & group}
        if more <= group:
            break
        group |= more
    rest = [name for at, name in enumerate(of.models) if at not in group]
    if rest:
        raise LaureateError(
            f"no vote compares {', '.join(rest)} with {of.models[0]}, directly or through other models: "
            "more votes are needed, at least one round of every pair"
        )


def _posterior(theta: Doubles, counts: Doubles, features: Doubles) -> tuple[Doubles, Doubles]:
    """Logarithm of the posterior up to a constant (b,), and the outcomes' probabilities (b, p, 3)."""
    logits = np.einsum("pok,bk->bpo", features, theta)
    top = logits.max(axis=2, keepdims=True)
    weights = np.exp(logits - top)
    total = weights.sum(axis=2, keepdims=True)
    likelihood = (counts * (logits - top - np.log(total))).sum(axis=(1, 2))
    return likelihood - (theta**2).sum(axis=1) / (2 * PRIOR**2), weights / total

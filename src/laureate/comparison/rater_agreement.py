"""Agreement between people who voted: Krippendorff's α over comparisons that several of them have seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from laureate.comparison.preferences import LEVEL
from laureate.evaluation.scores.base import Array, Doubles
from laureate.formats.vote_file import Vote


@dataclass(frozen=True)
class RaterAgreement:
    """α with its 95 % interval: 1 where all agree, 0 as by chance, below where they contradict each other."""

    alpha: float
    low: float
    high: float
    comparisons: int  # seen by at least two raters
    raters: int  # who have seen one of these


def alpha(units: Sequence[Array]) -> float:
    """Krippendorff's α with the interval metric (Krippendorff 2019, Content Analysis, 4th ed., chapter 12).

    `units`: per unit the values that it was given, two or more each. NaN where all values are equal, as
    there is no disagreement to be expected.
    """
    observed = sum(2 * len(v) * np.sum((v - v.mean()) ** 2) / (len(v) - 1) for v in units)
    values = np.concatenate([np.asarray(unit, dtype=float) for unit in units])
    n = len(values)
    expected = 2 * n * np.sum((values - values.mean()) ** 2) / (n - 1)
    return float(1 - observed / expected) if expected > 0 else float("nan")


def comparisons_seen(votes: Sequence[Vote]) -> list[dict[str, float]]:
    """Per pair of pictures: rater => 1 where the first model by name won, −1 the second, 0 for a tie.

    A rater's votes on the same two pictures are averaged.
    """
    units: dict[tuple[str, int, str, str], dict[str, list[float]]] = {}
    for vote in votes:
        first, second = sorted((vote.left, vote.right))
        value = {"left": 1.0, "right": -1.0, "tie": 0.0}[vote.choice] * (1 if vote.left == first else -1)
        unit = units.setdefault((vote.prompt, vote.seed, first, second), {})
        unit.setdefault(vote.rater, []).append(value)
    return [{rater: float(np.mean(v)) for rater, v in unit.items()} for unit in units.values()]


def agreement(votes: Sequence[Vote], draws: int = 1000, seed: int = 0) -> RaterAgreement | None:
    """α over the comparisons that at least two raters have seen, bootstrapped over these comparisons.

    Krippendorff's α takes any number of raters and missing votes, and a tie counts as half a disagreement.
    Every comparison is counted both ways round: which of two models is the first has no meaning, and without
    this, raters who all prefer the same model everywhere would show no agreement beyond chance. None where
    fewer than two comparisons were seen by two raters, or all votes are ties.
    """
    seen = [unit for unit in comparisons_seen(votes) if len(unit) > 1]
    if len(seen) < 2:
        return None
    values = [np.array(list(unit.values())) for unit in seen]
    value = _both_ways(values)
    if value != value:
        return None
    rng = np.random.default_rng(seed)
    drawn: Doubles = np.array(
        [_both_ways([values[at] for at in rng.integers(0, len(values), len(values))]) for _ in range(draws)]
    )
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.nanpercentile(drawn, [tail, 100 - tail])
    raters = {rater for unit in seen for rater in unit}
    return RaterAgreement(value, float(min(low, value)), float(max(high, value)), len(seen), len(raters))


def _both_ways(values: Sequence[Array]) -> float:
    return alpha([*values, *(-v for v in values)])

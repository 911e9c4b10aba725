"""Who wins a race, what that gains over the naive choice, and what more steps would do.

The best of many candidates looks better than it is where it was chosen. So the choice is made twice more, on
each half of the prompts and portraits, and each is measured on the other half (cross-fitting; Chernozhukov et
al. 2018, The Econometrics Journal 21). The mean is unbiased for what choosing on half of the pictures gains.
"""

from __future__ import annotations

import math
from typing import Any

from laureate.sampling.choosing.panel_share import LEVEL, Difference
from laureate.sampling.choosing.race import NAIVE, Race, rounded


def winner(race: Race) -> int:
    """The best candidate by all pictures, if it is shown to be better than the naive one; else the naive one:
    ties are its.

    Shown means twice: by a paired test on all pictures (one-sided, 5 %), and by a cross-fitted gain above 0,
    which the best of many by luck has in half of all cases only. Where all candidates are truly equal, both hold
    in about a tenth of the studies: docs/choosing.md.
    """
    best = race.best(None)
    if not measurable(race) or best == NAIVE:
        return best
    shown = apparent(race, best).p_above <= LEVEL and cross_fitted(race).value > 0
    return best if shown else NAIVE


def measurable(race: Race) -> bool:
    """Whether the naive candidate was drawn: where a training of it failed, it may not be."""
    return all(NAIVE in alive for alive in race.alive.values())


def cross_fitted(race: Race) -> Difference:
    """The naive candidate's score less that of the best one by the other half, mean of both halves.

    A score is the panel's share of the base's distance, so 0.1 is a tenth of the way from the base to the
    portraits. NaN where a half has too few pictures.
    """
    found = []
    for chosen_on, measured_on in ((0, 1), (1, 0)):
        choice = race.best(chosen_on)
        found.append(
            Difference(0.0, 0.0, math.inf)
            if choice == NAIVE
            else race.difference(NAIVE, choice, measured_on, race.setting.prompts)
        )
    variances = [one.error**2 for one in found]
    squares = sum(v**2 / one.freedom for v, one in zip(variances, found, strict=True))
    return Difference(
        sum(one.value for one in found) / 2,
        math.sqrt(sum(variances)) / 2,
        max(1.0, sum(variances) ** 2 / squares) if squares > 0 else 1.0,
    )


def apparent(race: Race, chosen: int) -> Difference:
    """The same where the choice was made, by all pictures: flattered."""
    if chosen == NAIVE:
        return Difference(0.0, 0.0, 1.0)
    return race.difference(NAIVE, chosen, None, race.setting.prompts)


def steps(race: Race, chosen: int) -> list[dict[str, Any]]:
    """Every other step of the chosen rate and strength less the chosen one, over the prompts that both have.

    A difference above 0: that step is worse. Steps that left before a picture was drawn are not known.
    """
    own, found = race.setting.candidates[chosen], []
    for index, one in enumerate(race.setting.candidates):
        same = (one.learning_rate, one.strength) == (own.learning_rate, own.strength)
        if same and index != chosen and index in race.features:
            prompts = race.prompts_of(index)
            found.append({"step": one.step, "prompts": prompts}
                         | as_json(race.difference(index, chosen, None, prompts)))  # fmt: skip
    return sorted(found, key=lambda row: int(row["step"]))


def as_json(one: Difference) -> dict[str, float | None]:
    """Value, ends of the 95 % interval, and the one-sided p-value of "it is 0 or below"."""
    low, high = one.interval
    return {
        "value": rounded(one.value),
        "low": rounded(low),
        "high": rounded(high),
        "p": rounded(one.p_above),
    }


def about_steps(found: list[dict[str, Any]], step: int, last: int) -> str:
    """`hurts` where the last step is worse than the chosen one, `helps` where the chosen one is the last and
    better than the one before it, `unknown` where the snapshots cannot tell."""
    known = {int(row["step"]): row for row in found}
    before = max((other for other in known if other < step), default=None)
    if step < last:
        return "hurts" if last in known and (known[last]["p"] or 1.0) <= LEVEL else "unknown"
    if before is not None and (known[before]["p"] or 1.0) <= LEVEL:
        return "helps"
    return "unknown"

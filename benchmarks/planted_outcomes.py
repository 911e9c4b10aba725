"""Planted studies, what `laureate.sampling.choosing` chooses in them, and whether that is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.planted_choices import (
    BASE,
    JUDGES,
    Plan,
    Study,
    candidates,
    distance_of,
    share_of,
)
from laureate.sampling.choosing import gain, panel_share, race
from laureate.sampling.choosing.candidates import Candidate

MARGIN = 0.05  # of the way from the base to the portraits: truly as good
TABLE = 98  # pictures of the table's row
SEVERAL = (42, 43, 44)


def best_step() -> Plan:
    """The middle of three steps is the best: training on makes it worse."""
    far = {240: 1.0, 160: 0.3, 80: 0.8}
    return Plan({one: far[one.step] + 0.4 * abs(one.strength - 1) for one in candidates()})


def another_rate() -> Plan:
    """A higher learning rate is the best; the others are far behind."""
    far = {1e-3: 1.0, 3e-4: 1.3, 3e-3: 0.3}
    return Plan({one: far[one.learning_rate] + 0.4 * abs(one.strength - 1) for one in candidates()})


def tie() -> Plan:
    """All candidates are equal."""
    return Plan(dict.fromkeys(candidates(), 0.5))


def failed_seed() -> Plan:
    """One training of the rate that would be the best has failed; the others are equal."""
    far = {1e-3: 0.4, 3e-4: 0.4, 3e-3: 0.1}
    failed = {3e-3: {43: "the loss is nan at step 90"}}
    plan = {one: far[one.learning_rate] for one in candidates()}
    return Plan(plan, luck=0.1, seeds=SEVERAL, failed=failed)


def collapsed_seed() -> Plan:
    """One training of the rate that would be the best draws the same wrong picture for every prompt."""
    far = {1e-3: 0.4, 3e-4: 0.4, 3e-3: 0.1}
    plan = {one: far[one.learning_rate] for one in candidates()}
    return Plan(plan, luck=0.1, seeds=SEVERAL, collapsed=((3e-3, 43),))


PLANS: dict[str, Callable[[], Plan]] = {
    "best step before the last": best_step,
    "another rate": another_rate,
    "tie": tie,
    "failed seed": failed_seed,
    "collapsed seed": collapsed_seed,
}
RANK_OF_OTHER_RATE = 4
RANKS: dict[int, Callable[[], Plan]] = {
    RANK_OF_OTHER_RATE: another_rate,  # the best of all, at another rate; at the main one the worst
    16: lambda: Plan({one: 0.7 + 0.4 * (one.learning_rate != 1e-3) for one in candidates()}),
    64: lambda: Plan({one: 0.8 + 0.4 * (one.learning_rate != 1e-3) for one in candidates()}),
}


@dataclass(frozen=True)
class Outcome:
    """What one study came to; shares are of the way from the base to the portraits."""

    chosen: Candidate
    right: bool  # the best of the candidates without a failed training, or within MARGIN of it
    best_apparent: float  # gain of the best by all pictures over the naive one, where it is the best
    best_gained: float  # its true gain
    cross_fitted: float
    fitted_gained: float  # true gain of what the halves chose, mean
    covered: bool  # the interval of the cross-fitted gain holds that
    same: float  # the best's row of the table less the truth: its portraits are those of the choice
    other: float  # the same with new portraits
    pictures: int


def outcome(plan: Plan, seed: int) -> Outcome:
    """Simulate one study and hold its choice against the truth."""
    study = Study(plan, seed)
    running = study.run()
    known, truth = plan.candidates, {one: share_of(plan, one) for one in plan.candidates}
    chosen, best = known[gain.winner(running)], running.best(None)
    allowed = [one for one in known if not plan.failed.get(one.learning_rate)] or known
    naive = truth[known[race.NAIVE]]
    found = gain.cross_fitted(running)
    fitted = naive - float(np.mean([truth[known[running.best(view)]] for view in (0, 1)]))
    low, high = found.interval
    new, other = Study(plan, seed + 10**6, TABLE), Study(plan, seed + 2 * 10**6)
    row = new.draw(known[best], 0, TABLE)
    return Outcome(
        chosen,
        chosen in allowed and truth[chosen] <= min(truth[one] for one in allowed) + MARGIN,
        gain.apparent(running, best).value,
        naive - truth[known[best]],
        found.value,
        fitted,
        bool(low - 1e-9 <= fitted <= high + 1e-9),
        _row(row, study.real) - truth[known[best]],
        _row(row, other.real) - truth[known[best]],
        sum(one["pictures"] for one in running.rounds),
    )


def best_rank(seed: int, chosen: bool = True) -> int:
    """The rank with the best row of a table, each drawn with its choice or naively."""
    rows = {}
    for rank, plan in RANKS.items():
        study, new = Study(plan(), seed, number=rank), Study(plan(), seed + 10**6, TABLE, number=rank)
        place = gain.winner(study.run()) if chosen else race.NAIVE
        rows[rank] = _row(new.draw(plan().candidates[place], 0, TABLE), study.real)
    return min(rows, key=rows.__getitem__)


def _row(pictures: panel_share.Features, portraits: panel_share.Features) -> float:
    """The panel share of pictures, on the base's true distance."""
    scales = dict.fromkeys(JUDGES, distance_of(BASE))
    return panel_share.share(pictures, portraits, scales)()

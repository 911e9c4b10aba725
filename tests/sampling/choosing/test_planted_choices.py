"""The choice where the truth is planted: a best step before the last, another rate, a tie, failed trainings.

`python -m benchmarks choosing` runs a hundred studies and more of each kind and writes docs/choosing.md; here
are a few of each, whose number of errors would be unlikely if fewer than nine in ten were right.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from benchmarks import planted_choices as planted
from benchmarks import planted_outcomes as outcomes
from laureate.core.errors import LaureateError
from laureate.evaluation import scores

STUDIES = 20
FEWEST = 15  # with 90 % right, fewer in 1 of 100 runs


@cache
def outcomes_of(name: str) -> list[outcomes.Outcome]:
    """What STUDIES of a kind came to."""
    return [outcomes.outcome(outcomes.PLANS[name](), seed) for seed in range(STUDIES)]


@pytest.mark.slow
@pytest.mark.parametrize("name", outcomes.PLANS)
def test_planted_truths_are_found(name: str) -> None:
    plan, found = outcomes.PLANS[name](), outcomes_of(name)
    assert sum(one.right for one in found) >= FEWEST, [one.chosen.title for one in found]
    if name == "tie":
        assert sum(one.chosen == plan.candidates[0] for one in found) >= FEWEST, "ties are the naive one's"


@pytest.mark.slow
def test_the_best_rank_only_at_another_rate_is_the_best_rank_of_the_study() -> None:
    right = [outcomes.best_rank(seed) == outcomes.RANK_OF_OTHER_RATE for seed in range(STUDIES)]
    assert sum(right) >= FEWEST


def test_a_failed_seed_is_in_the_record_and_its_rate_is_out() -> None:
    plan = outcomes.PLANS["failed seed"]()
    running = planted.Study(plan, 1).run()
    said = [row["out"] for row in running.rounds[0]["candidates"] if row["out"]]
    assert said
    assert all("training seed 43 failed: the loss is nan at step 90" in one for one in said)


def test_every_rate_failed_says_so() -> None:
    known = planted.candidates(2, 1, 1)
    why = {42: "the loss is nan at step 2"}
    plan = planted.Plan(dict.fromkeys(known, 0.5), failed={one.learning_rate: why for one in known})
    with pytest.raises(LaureateError, match=r"every training of the rank has failed .*nan at step 2"):
        planted.Study(plan, 0).run()


def test_a_rate_with_a_failed_seed_is_raced_where_no_other_is_whole() -> None:
    known = planted.candidates(1, 2, 1)
    plan = planted.Plan(
        dict(zip(known, (0.9, 0.1), strict=True)),
        seeds=(42, 43),
        failed={known[0].learning_rate: {43: "nan"}},
    )
    running = planted.Study(plan, 3).run()
    assert running.rounds[0]["candidates"][0]["out"] is None
    assert set(running.setting.trainings[known[0].learning_rate]) == {42}


def test_the_true_distance_is_what_many_pictures_show() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((3000, planted.WIDTH)), rng.standard_normal((3000, planted.WIDTH))
    x[:, 0] += 1.0
    base = rng.standard_normal(y.shape)
    base[:, 0] += planted.BASE
    share = scores.kernel_distance(x, y) / scores.kernel_distance(base, y)
    assert share == pytest.approx(planted.true_share(1.0), abs=0.03)


def test_the_race_draws_less_than_all_and_each_candidate_once(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, calls = outcomes.PLANS["another rate"](), []
    monkeypatch.setattr(planted.Study, "draw", counted_method(calls))
    running = planted.Study(plan, 5).run()
    drawn = sum(one["pictures"] for one in running.rounds)
    assert drawn == sum(calls)
    assert drawn < 0.75 * planted.PROMPTS * (1 + len(plan.candidates))
    halves = [row["in_halves"] for row in running.rounds[-1]["candidates"]]
    assert max(halves) == 2


def counted_method(calls: list[int]) -> Callable[..., object]:
    """`Study.draw`, whose numbers of prompts go into a list."""
    draw = planted.Study.draw

    def wrapped(self: planted.Study, one: object, start: int, stop: int) -> object:
        calls.append(stop - start)
        return draw(self, one, start, stop)  # type: ignore[arg-type]

    return wrapped


def test_the_gain_is_measured_where_it_was_not_chosen() -> None:
    """Of equal candidates the best by all pictures looks better, and the cross-fitted gain is about 0."""
    found = outcomes_of("tie")
    apparent, fitted = [one.best_apparent for one in found], [one.cross_fitted for one in found]
    assert min(apparent) >= 0
    error = np.std(fitted, ddof=1) / np.sqrt(STUDIES)
    assert abs(np.mean(fitted)) < 3 * error
    assert np.mean(apparent) > 3 * error

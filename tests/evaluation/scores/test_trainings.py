"""Scores of a rank that was trained several times: the luck of a training is part of the interval."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laureate.core.errors import LaureateError
from laureate.evaluation import scores

PROMPTS, PICTURES = 16, 2  # of each training, and of each prompt


def labels(trainings: int) -> tuple[list[int], list[int]]:
    """The prompt and the training of every picture: each prompt is drawn by one training."""
    prompts = np.repeat(np.arange(trainings * PROMPTS), PICTURES)
    return prompts.tolist(), (prompts % trainings).tolist()


@given(st.integers(1, 4), st.integers(0, 1000))
def test_a_kernel_distance_is_that_of_one_adapter(trainings: int, seed: int) -> None:
    _, drawn_by = labels(trainings)
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(len(drawn_by), 3)), rng.normal(size=(9, 3))
    x += np.asarray(drawn_by)[:, None]  # trainings differ
    rows = scores.rows_by(drawn_by)
    alone = [scores.polynomial_kernel(x[of], y)() for of in rows]
    together = scores.polynomial_kernel(x, y, rows)
    assert together() == pytest.approx(np.mean(alone))
    if trainings > 1:  # one training left out: the mean of the others
        resamples = scores.resample(labels(trainings)[0], 9, 1, trainings=drawn_by)
        left = together.resampled(resamples.without_training, np.ones((trainings, 9)))
        expected = [(sum(alone) - one) / (trainings - 1) for one in alone]
        np.testing.assert_allclose(left, expected)


def test_without_a_second_training_nothing_changes() -> None:
    prompts, drawn_by = labels(1)
    score = scores.mean_over_pictures(np.random.default_rng(1).normal(size=len(prompts)))
    one, none = (scores.resample(prompts, 5, 50, trainings=of) for of in (drawn_by, ()))
    assert scores.estimate(score, one) == scores.estimate(score, none)
    assert scores.estimate(score, one).from_trainings == 0


def test_a_prompt_belongs_to_one_training() -> None:
    with pytest.raises(LaureateError, match="prompt 'a' was drawn by 2 trainings"):
        scores.resample(["a", "a", "b"], 3, trainings=[1, 2, 1])


def test_leaving_out_trainings_gives_their_textbook_variance() -> None:
    prompts, drawn_by = labels(3)
    values = np.random.default_rng(2).normal(size=len(prompts)) + 5 * np.asarray(drawn_by)
    parts = scores.jackknife(
        scores.mean_over_pictures(values), scores.resample(prompts, 4, trainings=drawn_by)
    )
    means = [values[rows].mean() for rows in scores.rows_by(drawn_by)]
    assert parts.total == pytest.approx(np.var(means, ddof=1) / 3)
    within = np.mean([values[rows].reshape(-1, PICTURES).mean(axis=1).var(ddof=1)
                      for rows in scores.rows_by(drawn_by)])  # fmt: skip
    assert parts.from_prompts == pytest.approx(within / (3 * PROMPTS))
    assert parts.freedom == pytest.approx(2)  # known from three trainings


@pytest.mark.parametrize("luck", [0.0, 0.2, 1.0])
def test_intervals_cover_across_trainings(luck: float) -> None:
    """95 % intervals of three trainings cover; those that see one training do not, the more so the more the
    trainings differ."""
    rng = np.random.default_rng(4)
    prompts, drawn_by = labels(3)
    alone = np.repeat(np.arange(3 * PROMPTS), PICTURES).tolist()
    several, single = scores.resample(prompts, 4, 400, trainings=drawn_by), scores.resample(alone, 4, 400)
    covers = {"several": 0, "single": 0}
    for _ in range(300):
        noise = np.repeat(rng.normal(size=3 * PROMPTS), PICTURES)
        effects = luck * rng.normal(size=3)
        for kind, resamples, effect in (
            ("several", several, effects[np.asarray(drawn_by)]),
            ("single", single, effects[0]),
        ):
            found = scores.estimate(scores.mean_over_pictures(noise + effect), resamples)
            covers[kind] += found.low <= 0 <= found.high
    assert covers["several"] >= 0.93 * 300
    assert covers["single"] <= {0.0: 300, 0.2: 0.9 * 300, 1.0: 0.4 * 300}[luck]


@given(st.floats(0, 5), st.integers(0, 50))
def test_these_trainings_are_no_sample_of_others(luck: float, seed: int) -> None:
    """However far the trainings lie apart, the error is that of the prompts within them."""
    rng = np.random.default_rng(seed)
    prompts, drawn_by = labels(3)
    noise = rng.normal(size=len(prompts))
    resamples = scores.resample(prompts, 4, 100, trainings=drawn_by)
    alike = scores.estimate(scores.mean_over_pictures(noise), resamples, these_trainings=True)
    apart = scores.mean_over_pictures(noise + luck * rng.normal(size=3)[np.asarray(drawn_by)])
    found = scores.estimate(apart, resamples, these_trainings=True)
    assert found.error == pytest.approx(alike.error)
    assert found.from_trainings == 0
    assert found.freedom == pytest.approx(alike.freedom)
    assert found.freedom > 2

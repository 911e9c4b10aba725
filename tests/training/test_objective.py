"""The random numbers of a step, which do not depend on what ran before, and the learning rate."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from laureate.config import params  # noqa: E402
from laureate.training import objective  # noqa: E402
from laureate.training import trainer as training  # noqa: E402


def test_a_step_draws_the_same_whatever_ran_before() -> None:
    first = objective.draw(7, 3, 4, 10, (4, 8, 8), 1000, 0.5)
    objective.draw(7, 4, 4, 10, (4, 8, 8), 1000, 0.5)
    torch.randn(5)
    again = objective.draw(7, 3, 4, 10, (4, 8, 8), 1000, 0.5)
    other = objective.draw(7, 4, 4, 10, (4, 8, 8), 1000, 0.5)
    for name in ("rows", "posterior", "noise", "t", "empty"):
        assert torch.equal(getattr(first, name), getattr(again, name))
    assert not torch.equal(first.noise, other.noise)


def test_an_epoch_shows_every_picture_once() -> None:
    rows = torch.cat([objective.draw(7, step, 4, 10, (1, 1, 1), 1000, 0.0).rows for step in range(15)]).view(
        6, 10
    )
    for epoch in rows:
        assert sorted(epoch.tolist()) == list(range(10))
    assert len(rows.unique(dim=0)) == 6


def test_time_steps_and_empty_captions_cover_their_range() -> None:
    draws = [objective.draw(0, step, 8, 10, (1, 1, 1), 1000, 0.25) for step in range(400)]
    t = torch.cat([draw.t for draw in draws])
    assert int(t.min()) < 10
    assert int(t.max()) > 989
    assert float(t.float().mean()) == pytest.approx(499.5, abs=25)
    assert float(torch.cat([draw.empty for draw in draws]).float().mean()) == pytest.approx(0.25, abs=0.03)


def test_the_held_out_numbers_are_fixed_and_even() -> None:
    draw = objective.holdout_draw(3, 5, (1, 2, 2), 1000)
    assert torch.equal(draw.noise, objective.holdout_draw(3, 5, (1, 2, 2), 1000).noise)
    assert draw.rows.bincount().tolist() == [objective.HOLDOUT_STEPS] * 5
    assert draw.t.sort().values.diff().unique().tolist() == [1000 // (5 * objective.HOLDOUT_STEPS)]
    assert not draw.empty.any()


def test_the_learning_rate_rises_and_falls() -> None:
    section = params.Train(steps=100, warmup=10)
    rates = [training.learning_rate_factor(section, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == 1.0
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.001
    # still full where the warm-up ends: the cosine does not start before
    assert rates[9] == rates[10] == 1.0
    assert rates[10] - rates[11] < rates[50] - rates[51], "and it starts level"
    expected = [(1 + math.cos(math.pi * (step - 10) / 90)) / 2 for step in range(10, 100)]
    assert rates[10:] == pytest.approx(expected)
    flat = section.model_copy(update={"schedule": "constant"})
    assert training.learning_rate_factor(flat, 99) == 1.0

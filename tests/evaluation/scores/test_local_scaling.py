"""Local scaling: what it does to a reference that everything is similar to, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest

from laureate.core.errors import LaureateError
from laureate.evaluation.scores import local_scaling


def test_a_hub_is_less_often_the_nearest_after_scaling() -> None:
    """Pictures of ten styles, a reference of each, and a hub: the mean of all pictures."""
    rng = np.random.default_rng(0)
    references = rng.normal(size=(10, 64))
    truth = np.repeat(np.arange(10), 8)
    pictures = 0.5 * references[truth] + rng.normal(size=(80, 64)) + 2 * references.mean(axis=0)
    everything = np.vstack([references, pictures.mean(axis=0)])
    cosines = local_scaling.cosines(pictures, everything)
    scaled = local_scaling.locally_scaled(cosines, neighbours=5)
    hub, right = (
        [float((values.argmax(axis=1) == wanted).mean()) for values in (cosines, scaled)]
        for wanted in (10, truth)
    )
    assert hub[1] < 0.6 * hub[0]
    assert right[1] > 2 * right[0]


def test_a_shift_of_all_similarities_changes_nothing() -> None:
    cosines = np.random.default_rng(1).uniform(-0.5, 0.5, size=(7, 9))
    one, other = (local_scaling.locally_scaled(values, 3) for values in (cosines, cosines + 0.2))
    np.testing.assert_allclose(one, other, atol=1e-12)


def test_the_formula_by_hand() -> None:
    found = local_scaling.locally_scaled(np.array([[0.9, 0.1], [0.5, 0.3]]), neighbours=1)
    np.testing.assert_allclose(
        found, [[1.8 - 0.9 - 0.9, 0.2 - 0.9 - 0.3], [1.0 - 0.5 - 0.9, 0.6 - 0.5 - 0.3]]
    )


def test_cosines_are_of_directions() -> None:
    x = np.random.default_rng(2).normal(size=(4, 5))
    np.testing.assert_allclose(local_scaling.cosines(x, 3 * x), local_scaling.cosines(x, x))
    np.testing.assert_allclose(np.diagonal(local_scaling.cosines(x, x)), 1)


def test_what_cannot_be_scaled_is_refused() -> None:
    with pytest.raises(LaureateError, match="one neighbour or more, got 0"):
        local_scaling.locally_scaled(np.zeros((2, 2)), 0)
    with pytest.raises(LaureateError, match="all 0"):
        local_scaling.cosines(np.zeros((2, 2)), np.ones((2, 2)))

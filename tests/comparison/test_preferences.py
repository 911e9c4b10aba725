"""Strengths from votes: the fit against another algorithm, a planted order, intervals, symmetry."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from benchmarks.votes import simulated
from laureate.comparison import preferences
from laureate.core.errors import LaureateError
from laureate.evaluation.scores.base import Doubles
from laureate.formats.vote_file import Vote

PAIRS = np.array(list(combinations(range(4), 2)))


def hunter(wins: Doubles) -> Doubles:
    """Bradley–Terry strengths by the MM algorithm of Hunter 2004, equation 3; `wins` (m, m): of row over
    column."""
    gamma = np.ones(len(wins))
    for _ in range(20_000):
        games = wins + wins.T
        new = wins.sum(axis=1) / (games / (gamma[:, None] + gamma[None])).sum(axis=1)
        new /= np.exp(np.log(new).mean())
        if np.abs(new - gamma).max() < 1e-13:
            break
        gamma = new
    return np.log(gamma)


def test_without_ties_and_prior_it_is_hunters_maximum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preferences, "PRIOR", 1e4)
    rng = np.random.default_rng(1)
    counts = rng.integers(2, 30, (1, len(PAIRS), 3)).astype(float)
    counts[:, :, preferences.TIE] = 0
    wins = np.zeros((4, 4))
    for (first, second), outcome in zip(PAIRS, counts[0], strict=True):
        wins[first, second], wins[second, first] = outcome[:2]
    found = preferences.fit(counts, PAIRS, 4)[0, :4]
    assert found - found.mean() == pytest.approx(hunter(wins), abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=18, max_size=18))
def test_it_is_the_maximum_of_davidsons_posterior(cells: list[int]) -> None:
    counts = np.array(cells, dtype=float).reshape(1, 6, 3)

    def loss(theta: Doubles) -> float:
        total = 0.0
        for (first, second), outcome in zip(PAIRS, counts[0], strict=True):
            a, b = theta[first], theta[second]
            logits = np.array([a, b, theta[4] + (a + b) / 2])
            total += outcome @ (np.logaddexp.reduce(logits) - logits)
        return total + theta @ theta / (2 * preferences.PRIOR**2)

    found = preferences.fit(counts, PAIRS, 4)[0]
    best = minimize(loss, np.zeros(5), method="BFGS", options={"gtol": 1e-8})
    assert loss(found) <= best.fun + 1e-6
    assert found[:4].mean() == pytest.approx(0, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=18, max_size=18), st.permutations(range(4)))
def test_names_and_sides_have_no_part_in_it(cells: list[int], names: list[int]) -> None:
    votes = [
        Vote("s", "r", "p", 1, f"m{first}", f"m{second}", choice, 1.0)
        for at, (first, second) in enumerate(PAIRS)
        for choice, count in zip(("left", "right", "tie"), cells[3 * at : 3 * at + 3], strict=True)
        for _ in range(count + 1)
    ]
    other = {"left": "right", "right": "left", "tie": "tie"}

    def name(model: str) -> str:
        return f"m{names[int(model[1])]}"

    renamed = [Vote("s", "r", "p", 1, name(v.right), name(v.left), other[v.choice], 1.0) for v in votes]
    one, two = (
        {found.model: found.value for found in preferences.strengths(preferences.comparisons(rows), 2)[0]}
        for rows in (votes, renamed)
    )
    assert two == pytest.approx({name(model): value for model, value in one.items()}, abs=1e-6)


def test_shares_won_are_those_of_the_model() -> None:
    theta = np.array([[1.0, 0.0, -1.0, -0.5]])
    shares = preferences.share_won(theta)[0]
    assert shares.mean() == pytest.approx(0.5)

    def win(a: float, b: float) -> float:
        w = np.exp([a, b, -0.5 + (a + b) / 2])
        return float((w[0] + w[2] / 2) / w.sum())

    assert shares[0] == pytest.approx((win(1, 0) + win(1, -1)) / 2)


def test_simulated_raters_of_known_accuracy_recover_the_order_in_95_of_100_runs() -> None:
    """Five raters who pick the better one of two neighbours in 73 % of decided votes: docs/votes.md."""
    true = [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0]
    recovered = 0
    for seed in range(100):
        votes = simulated(true, raters=5, rounds=9, rng=np.random.default_rng(seed))
        of = preferences.comparisons(votes)
        point = preferences.fit(of.counts(np.ones((1, len(votes)))), of.pairs, 6)[0, :6]
        recovered += list(np.argsort(point)) == list(range(6))
    assert recovered >= 95


def test_intervals_hold_the_true_strengths() -> None:
    true = np.linspace(-1.5, 1.5, 5)
    inside = []
    for seed in range(40):
        votes = simulated(list(true), 4, 4, np.random.default_rng(seed), taste=0.4)
        for found in preferences.strengths(preferences.comparisons(votes), draws=200, seed=seed)[0]:
            at = true[int(found.model[1])]
            assert found.low <= found.value <= found.high
            inside.append(found.low <= at <= found.high)
    assert 0.88 <= np.mean(inside) <= 1.0


def test_equal_models_are_tied_and_a_weak_one_is_not() -> None:
    votes = simulated([1.0, 1.0, -2.0], 5, 10, np.random.default_rng(0))
    found, drawn = preferences.strengths(preferences.comparisons(votes), draws=300)
    assert {one.model for one in found if one.tied} == {"m0", "m1"}
    assert found[-1].model == "m2"
    assert drawn.shape == (300, 3)
    assert sum(one.votes for one in found) == 2 * len(votes)


def test_a_model_that_won_everything_has_a_finite_strength() -> None:
    rows = [Vote("s", "r", f"p{i}", 1, "a", "b", "left", 1.0) for i in range(30)]
    (best, worst), _ = preferences.strengths(preferences.comparisons(rows), draws=50)
    assert (best.model, worst.model) == ("a", "b")
    assert 2 < best.value < 20
    assert best.share > 0.95


def test_models_that_nothing_compares_are_named() -> None:
    rows = [Vote("s", "r", "p", 1, *pair, "left", 1.0) for pair in (("a", "b"), ("c", "d"), ("d", "e"))]
    with pytest.raises(LaureateError, match="no vote compares c, d, e with a, directly or through other"):
        preferences.strengths(preferences.comparisons(rows))
    assert preferences.comparisons(rows, ["d", "x", "a"]).models == ["d", "a", "b", "c", "e"]


def test_a_resample_has_as_many_votes_of_as_many_raters() -> None:
    of = preferences.comparisons(simulated([0.0, 1.0, 2.0], 4, 2, np.random.default_rng(0)))
    drawn = preferences.resampled(of, draws=200, seed=3)
    assert (drawn.sum(axis=1) == len(of.pair)).all()  # all raters have voted equally often
    assert drawn.mean(axis=0) == pytest.approx(np.ones(len(of.pair)), abs=0.5)
    per_rater = np.stack([drawn[:, of.rater == rater].sum(axis=1) for rater in range(4)], axis=1)
    assert (per_rater % 6 == 0).all()
    assert (per_rater == 0).any()

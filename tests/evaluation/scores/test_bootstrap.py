"""Intervals and tests: coverage and error rates where the true value is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laureate.core.errors import LaureateError
from laureate.evaluation import scores

few = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def prompts_of(g: int, per: int) -> list[str]:
    return [f"prompt-{i}" for i in range(g) for _ in range(per)]


def clustered(rng: np.random.Generator, g: int, per: int, d: int) -> np.ndarray:
    """Pictures of one prompt are alike: half of the variance lies between prompts."""
    return (np.repeat(rng.normal(size=(g, d)), per, axis=0) + rng.normal(size=(g * per, d))) / np.sqrt(2)


def test_intervals_cover_known_truths_with_few_prompts() -> None:
    """12 prompts of 3 pictures, 10 references: mean, mean over pairs and kernel distance, each in 250
    studies."""
    rng = np.random.default_rng(5)
    covered = dict.fromkeys(("mean", "pairs", "kernel"), 0)
    studies = 250
    for study in range(studies):
        x, y = clustered(rng, 12, 3, 2), rng.normal(size=(10, 2)) + 1
        resamples = scores.resample(prompts_of(12, 3), 10, draws=300, seed=study)
        inner = x @ y.T
        linear = scores.Kernel(x @ x.T, inner, y @ y.T)  # its distance is |mean x − mean y|², here 2
        for name, score, truth in (
            ("mean", scores.mean_over_pictures(x[:, 0]), 0.0),
            ("pairs", scores.mean_over_pairs(x[:, :1] + y[:, :1].T), 1.0),
            ("kernel", linear, 2.0),
        ):
            found = scores.estimate(score, resamples)
            covered[name] += found.low <= truth <= found.high
    # 95 % of 250, within three standard errors; a plain percentile interval of the mean covers 91 in 100
    assert all(0.91 * studies <= count <= 0.99 * studies for count in covered.values()), covered


def test_p_values_of_paired_differences_are_even_where_nothing_differs() -> None:
    rng = np.random.default_rng(6)
    found = []
    for study in range(300):
        of, less = (scores.mean_over_pictures(clustered(rng, 15, 2, 1)) for _ in range(2))
        resamples = scores.resample(prompts_of(15, 2), 4, draws=2, seed=study)
        found.append(scores.estimate(scores.PairedDifference(of, less), resamples).p)
    for level in (0.05, 0.2, 0.5):
        share = np.mean(np.array(found) <= level)
        assert abs(share - level) < 3 * np.sqrt(level * (1 - level) / len(found)), (level, share)


def test_pairing_takes_out_what_both_models_share() -> None:
    rng = np.random.default_rng(7)
    prompt, noise = np.repeat(rng.normal(size=20), 2), 0.1 * rng.normal(size=(2, 40))
    of, less = (scores.mean_over_pictures(prompt + part) for part in noise)
    resamples = scores.resample(prompts_of(20, 2), 5)
    assert (
        scores.estimate(scores.PairedDifference(of, less), resamples).error
        < 0.3 * scores.estimate(of, resamples).error
    )
    itself = scores.estimate(scores.PairedDifference(of, of), resamples)
    assert (itself.value, itself.low, itself.high, itself.error, itself.p) == (0, 0, 0, 0, 1)


@few
@given(st.integers(2, 8), st.integers(1, 3), st.integers(2, 6), seeds)
def test_an_interval_holds_its_value_and_shifts_with_it(g: int, per: int, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(g * per, m))
    resamples = scores.resample(prompts_of(g, per), m, draws=60, seed=seed)
    found = scores.estimate(scores.mean_over_pairs(table), resamples)
    assert found.low <= found.value <= found.high
    assert found.value == pytest.approx(table.mean())
    moved = scores.estimate(scores.mean_over_pairs(table * 3 + 1), resamples)
    assert (moved.low, moved.high) == pytest.approx((found.low * 3 + 1, found.high * 3 + 1))
    assert scores.estimate(scores.mean_over_pairs(table), resamples, 0.5).high <= found.high
    assert 0 <= found.p <= 1


def test_the_jackknife_of_a_mean_is_its_textbook_variance() -> None:
    values = np.random.default_rng(8).normal(size=30)
    resamples = scores.resample(list(range(30)), 6)
    found = scores.jackknife(scores.mean_over_pictures(values), resamples)
    assert found.total == pytest.approx(found.from_prompts) == pytest.approx(values.var(ddof=1) / 30)
    assert found.freedom == pytest.approx(29)
    table = np.random.default_rng(9).normal(size=(30, 1)) + np.random.default_rng(10).normal(size=6)
    parts = scores.jackknife(scores.mean_over_pairs(table), resamples)
    assert parts.from_prompts == pytest.approx(table.mean(axis=1).var(ddof=1) / 30)
    assert parts.from_references == pytest.approx(table.mean(axis=0).var(ddof=1) / 6)


def test_the_swap_test_sees_a_difference_and_no_difference() -> None:
    rng = np.random.default_rng(11)
    y, prompts = rng.normal(size=(20, 3)), prompts_of(16, 2)
    a = clustered(rng, 16, 2, 3)
    assert scores.swap_test(scores.polynomial_kernel, a, a, y, prompts, 200) == 1
    assert scores.swap_test(scores.polynomial_kernel, a, a + 2, y, prompts, 200) == pytest.approx(1 / 201)
    even = [
        scores.swap_test(
            scores.polynomial_kernel,
            clustered(rng, 8, 2, 2),
            clustered(rng, 8, 2, 2),
            y[:, :2],
            prompts[:16],
            99,
            seed,
        )
        for seed in range(200)
    ]
    assert abs(np.mean(np.array(even) <= 0.2) - 0.2) < 4 * np.sqrt(0.16 / 200)
    with pytest.raises(LaureateError, match="same pictures of both"):
        scores.swap_test(scores.polynomial_kernel, a, a[:4], y, prompts)


@few
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_never_bolder_than_one_test_and_never_meeker_than_bonferroni(p: list[float]) -> None:
    adjusted = scores.holm(p)
    for one, together in zip(p, adjusted, strict=True):
        assert one <= together <= min(1.0, one * len(p))
    order = np.argsort(p, kind="stable")
    assert all(np.diff(np.array(adjusted)[order]) >= 0)


def test_holm_by_hand() -> None:
    assert scores.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_what_has_no_interval_is_said_or_is_nan() -> None:
    with pytest.raises(LaureateError, match="needs draws and pictures, got 0 and 2"):
        scores.resample(["a", "b"], 2, draws=0)
    with pytest.raises(LaureateError, match="level between 0 and 1, got 1"):
        scores.estimate(scores.mean_over_pictures(np.ones(2)), scores.resample(["a", "b"], 0), level=1)
    with pytest.raises(LaureateError, match="same prompts and seeds, got 2 and 3"):
        scores.PairedDifference(*(scores.mean_over_pictures(np.ones(n)) for n in (2, 3)))
    one = scores.estimate(scores.mean_over_pictures(np.array([1.0, 2.0])), scores.resample(["a", "a"], 2))
    assert one.value == 1.5
    assert one.p == 1  # one prompt says nothing about others

"""Scores: agreement with the field's own formulas, and what must hold for any features."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from laureate.core.errors import LaureateError
from laureate.evaluation import scores

shapes = st.tuples(st.integers(2, 12), st.integers(2, 12), st.integers(1, 20))
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=40, deadline=None)


def features(seed: int, n: int, d: int, shift: float = 0.0) -> np.ndarray:
    """Correlated features: independent ones would hide mistakes in the covariances."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + shift


def frechet_by_square_root(x: np.ndarray, y: np.ndarray) -> float:
    """The textbook formula, with a matrix square root."""
    root = sqrtm(np.cov(x, rowvar=False) @ np.cov(y, rowvar=False))
    traces = np.trace(np.cov(x, rowvar=False)) + np.trace(np.cov(y, rowvar=False)) - 2 * np.trace(root).real
    return float(np.sum((x.mean(0) - y.mean(0)) ** 2) + traces)


def kernel_by_double_loop(x: np.ndarray, y: np.ndarray) -> float:
    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / len(a) + 1) ** 3)

    within = [
        sum(k(z[i], z[j]) for i in range(len(z)) for j in range(len(z)) if i != j) / (len(z) * (len(z) - 1))
        for z in (x, y)
    ]
    return sum(within) - 2 * float(np.mean([[k(a, b) for b in y] for a in x]))


@pytest.mark.parametrize(("n", "m", "d"), [(200, 300, 8), (60, 45, 24), (30, 200, 16)])
def test_frechet_agrees_with_the_matrix_square_root(n: int, m: int, d: int) -> None:
    x, y = features(1, n, d), features(2, m, d, shift=0.5)
    assert scores.frechet_distance(x, y) == pytest.approx(frechet_by_square_root(x, y), rel=1e-6)


@pytest.mark.filterwarnings("ignore")  # of the package that it is compared with
def test_frechet_agrees_with_clean_fid() -> None:
    from cleanfid.fid import frechet_distance

    x, y = features(3, 150, 12), features(4, 120, 12, shift=0.3)
    moments = (x.mean(0), np.cov(x, rowvar=False), y.mean(0), np.cov(y, rowvar=False))
    assert scores.frechet_distance(x, y) == pytest.approx(frechet_distance(*moments), rel=1e-6)


@few
@given(shapes, seeds)
def test_both_forms_of_frechet_agree(shape: tuple[int, int, int], seed: int) -> None:
    n, m, d = shape
    x, y = features(seed, n, d), features(seed + 1, m, d, shift=1.0)
    by_pictures = scores.Frechet(x, y)()
    assert scores.frechet_distance(x, y) == pytest.approx(by_pictures, rel=1e-6, abs=1e-9 * scale(x, y))


@few
@given(shapes, seeds)
def test_a_set_is_at_no_distance_from_itself_and_order_does_not_matter(
    shape: tuple[int, int, int], seed: int
) -> None:
    n, m, d = shape
    x, y = features(seed, n, d), features(seed + 1, m, d, shift=1.0)
    rng = np.random.default_rng(seed)
    mixed = rng.permutation(x), rng.permutation(y)
    assert abs(scores.frechet_distance(x, mixed[0])) < 1e-6 * scale(x, x)
    for distance in (scores.frechet_distance, scores.kernel_distance):
        size = abs(distance(x, y)) + scale(x, y)
        assert distance(*mixed) == pytest.approx(distance(x, y), abs=1e-9 * size**3)
        assert distance(y, x) == pytest.approx(distance(x, y), abs=1e-9 * size**3)


def scale(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.trace(np.atleast_2d(np.cov(x, rowvar=False))) + np.sum((x.mean(0) - y.mean(0)) ** 2) + 1)


@few
@given(shapes, seeds)
def test_kernel_distance_is_the_double_loop(shape: tuple[int, int, int], seed: int) -> None:
    n, m, d = shape
    x, y = features(seed, n, d), features(seed + 1, m, d, shift=0.2)
    loop = kernel_by_double_loop(x, y)
    size = float(np.abs((x @ x.T / d + 1) ** 3).max() + np.abs((y @ y.T / d + 1) ** 3).max())
    assert scores.kernel_distance(x, y) == pytest.approx(loop, rel=1e-6, abs=1e-12 * size)


def test_kernel_distance_is_unbiased_also_under_repeats() -> None:
    """The mean over many draws from one distribution is 0, with and without resampling."""
    rng = np.random.default_rng(0)
    once, again = [], []
    for _ in range(400):
        kernel = scores.polynomial_kernel(rng.normal(size=(12, 4)), rng.normal(size=(10, 4)))
        once.append(kernel())
        again.append(kernel(rng.integers(12, size=12), rng.integers(10, size=10)))
    for values in (once, again):
        assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))


def test_moving_the_pictures_away_raises_both_distances() -> None:
    x, y = features(5, 40, 6), features(6, 30, 6)
    for distance in (scores.frechet_distance, scores.kernel_distance):
        assert distance(x, y + 3) > distance(x, y + 1) > distance(x, y)


@few
@given(st.integers(2, 30), st.integers(2, 6), seeds)
def test_inception_score_lies_between_1_and_the_number_of_classes(n: int, k: int, seed: int) -> None:
    p = np.random.default_rng(seed).dirichlet(np.full(k, 0.3), size=n)
    assert 1 - 1e-9 <= scores.inception_score(p) <= k + 1e-9


def test_inception_score_at_its_ends_and_against_its_definition() -> None:
    assert scores.inception_score(np.full((8, 4), 0.25)) == pytest.approx(1)
    assert scores.inception_score(np.tile(np.eye(4), (5, 1))) == pytest.approx(4)
    p = np.random.default_rng(1).dirichlet(np.ones(5), size=30)
    parts = [p[:10], p[10:20], p[20:]]
    defined = np.mean([np.exp(np.mean(np.sum(q * np.log(q / q.mean(0)), axis=1))) for q in parts])
    assert scores.inception_score(p, splits=3) == pytest.approx(defined, rel=1e-9)
    with pytest.raises(LaureateError, match="at least as many pictures as splits"):
        scores.inception_score(p[:2], splits=3)


@few
@given(st.integers(1, 10), st.integers(1, 8), seeds, st.floats(0.1, 10))
def test_clip_score_ignores_length_and_stays_between_0_and_100(
    n: int, d: int, seed: int, factor: float
) -> None:
    a, b = features(seed, n, d, 0.1), features(seed + 1, n, d, 0.1)
    found = scores.clip_score(a, b)
    assert found.shape == (n,)
    assert ((found >= 0) & (found <= 100 + 1e-9)).all()
    np.testing.assert_allclose(scores.clip_score(a * factor, b), found, atol=1e-9)
    np.testing.assert_allclose(scores.clip_score(a, a), 100)
    np.testing.assert_allclose(scores.clip_score(a, -a), 0)


@pytest.mark.filterwarnings("ignore")  # of the package that it is compared with
def test_lpips_over_all_pairs_is_the_lpips_package_pair_by_pair() -> None:
    import lpips
    import torch

    torch.manual_seed(0)
    for learned in (False, True):
        theirs = lpips.LPIPS(net="squeeze", pretrained=False, pnet_rand=True, lpips=learned, verbose=False)
        if learned:  # learned channel weights are never negative
            for line in theirs.lins:
                line.model[-1].weight.data.abs_()
        x, y = torch.rand(3, 3, 40, 40) * 2 - 1, torch.rand(2, 3, 40, 40) * 2 - 1
        with torch.no_grad():
            layers = [list(theirs.net(theirs.scaling_layer(z))) for z in (x, y)]
            expected = [[float(theirs(a[None], b[None])) for b in y] for a in x]
        weights = (
            [line.model[-1].weight.detach().numpy().ravel() for line in theirs.lins] if learned else None
        )
        embedded = [scores.lpips_embedding([f.numpy() for f in part], weights) for part in layers]
        np.testing.assert_allclose(scores.lpips(*embedded), expected, atol=1e-5)
        np.testing.assert_allclose(np.diagonal(scores.lpips(embedded[0], embedded[0])), 0, atol=1e-6)


@few
@given(st.integers(1, 6), st.integers(2, 8), seeds)
def test_bootstrap_holds_the_value_and_repeats_itself(pictures: int, prompts: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=pictures * prompts)
    clusters = [i % prompts for i in range(len(values))]
    score = scores.mean_over_pictures(values)
    low, high = scores.bootstrap(score, clusters, 3, draws=50, seed=seed)
    assert low <= values.mean() <= high
    assert (low, high) == scores.bootstrap(score, clusters, 3, draws=50, seed=seed)


def test_bootstrap_knows_that_pictures_of_one_prompt_are_not_independent() -> None:
    """Ten copies per prompt say no more than one: the interval of the clusters must not shrink."""
    once = np.random.default_rng(2).normal(size=12)
    widths = []
    for copies in (1, 10):
        score = scores.mean_over_pictures(np.repeat(once, copies))
        low, high = scores.bootstrap(score, np.repeat(np.arange(12), copies).tolist(), 2, draws=500, seed=3)
        widths.append(high - low)
    assert widths[1] == pytest.approx(widths[0], rel=1e-9)


def test_bootstrap_covers_the_truth() -> None:
    """95 % intervals of a mean and of a kernel distance hold the true value about that often."""
    rng = np.random.default_rng(7)
    covered = {"mean": 0, "kid": 0}
    for trial in range(120):
        x, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 3)) + 0.5
        truth = 1.496  # of this kernel between these two normals, from 8,000,000 pairs
        low, high = scores.bootstrap(scores.polynomial_kernel(x, y), range(40), 40, draws=200, seed=trial)
        covered["kid"] += low <= truth <= high
        low, high = scores.bootstrap(scores.mean_over_pictures(x[:, 0]), range(40), 40, draws=200, seed=trial)
        covered["mean"] += low <= 0 <= high
    assert all(0.88 * 120 <= count <= 0.99 * 120 for count in covered.values()), covered


def test_wilson_leaves_room_where_all_agree() -> None:
    from scipy.stats import binomtest

    for k, n in ((0, 30), (30, 30), (7, 19)):
        expected = binomtest(k, n).proportion_ci(method="wilson")
        assert scores.wilson_interval(k / n, n) == pytest.approx((expected.low, expected.high))


def test_missing_values_do_not_count() -> None:
    mean = scores.mean_over_pictures(np.array([[1.0, np.nan], [0.0, 1.0], [np.nan, np.nan]]))
    assert mean() == pytest.approx(2 / 3)
    assert mean(np.array([0, 0, 1])) == pytest.approx(3 / 4)
    assert np.isnan(mean(np.array([2])))
    with pytest.raises(LaureateError, match="none of the pictures"):
        scores.mean_over_pictures(np.full(3, np.nan))


@pytest.mark.parametrize(
    ("x", "y", "sentence"),
    [
        (np.zeros((1, 3)), np.zeros((4, 3)), "two pictures or more"),
        (np.zeros((4, 3)), np.zeros((4, 2)), "differ in width: 3 and 2"),
        (np.zeros(3), np.zeros((4, 3)), r"got \(3,\)"),
        (np.array([[0.0], [np.nan]]), np.zeros((4, 1)), "row 1 are not finite"),
    ],
)
def test_what_cannot_be_scored_is_refused_with_a_sentence(
    x: np.ndarray, y: np.ndarray, sentence: str
) -> None:
    for distance in (scores.frechet_distance, scores.kernel_distance):
        with pytest.raises(LaureateError, match=sentence):
            distance(x, y)

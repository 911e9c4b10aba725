"""CMMD, style, neighbours, diversity, memorisation: definitions written plainly, and what must hold."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laureate.core.errors import LaureateError
from laureate.evaluation import scores

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=25, deadline=None)
shapes = st.tuples(st.integers(4, 12), st.integers(4, 12), st.integers(1, 12))


def features(seed: int, n: int, d: int, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + shift


@pytest.mark.parametrize(("n", "m"), [(3000, 8), (8, 3000), (3000, 2900)])
def test_frechet_distance_holds_no_matrix_of_all_pairs(n: int, m: int) -> None:
    import tracemalloc

    x, y = features(1, n, 16), features(2, m, 16)
    small = scores.Frechet(x[:200], y[:200])()
    assert scores.frechet_distance(x[:200], y[:200]) == pytest.approx(small, rel=1e-6)
    tracemalloc.start()
    scores.frechet_distance(x, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < max(n, m) ** 2 * 8 / 10


def test_frechet_agrees_with_the_eigenvalues_where_there_are_fewer_pictures_than_features() -> None:
    """n < d, where a square root of a singular product loses digits: against the eigenvalues instead."""
    x, y = features(1, 45, 300), features(2, 60, 300, shift=0.2)
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = np.sqrt(np.maximum(np.linalg.eigvals(a @ b).real, 0)).sum()
    expected = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(a) + np.trace(b) - 2 * root
    assert scores.frechet_distance(x, y) == pytest.approx(expected, rel=1e-6)


@few
@given(shapes, seeds)
def test_cmmd_is_its_double_loop_over_different_pictures(shape: tuple[int, int, int], seed: int) -> None:
    n, m, d = shape
    x, y = features(seed, n, d), features(seed + 1, m, d, 0.5)
    a, b = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (x, y))

    def k(p: np.ndarray, q: np.ndarray) -> float:
        return 1000 * float(np.exp(-np.sum((p - q) ** 2) / 200))

    within = [np.mean([k(p, q) for i, p in enumerate(z) for j, q in enumerate(z) if i != j]) for z in (a, b)]
    loop = sum(within) - 2 * np.mean([[k(p, q) for q in b] for p in a])
    assert scores.cmmd(x, y) == pytest.approx(loop, rel=1e-6, abs=1e-9)
    assert scores.cmmd(3 * x, y / 7) == pytest.approx(scores.cmmd(x, y), abs=1e-9)


def test_cmmd_is_unbiased_where_the_published_form_is_not() -> None:
    rng = np.random.default_rng(0)
    found, published = [], []
    for _ in range(300):
        kernel = scores.clip_kernel(rng.normal(size=(10, 5)), rng.normal(size=(8, 5)))
        found.append(kernel())
        published.append(kernel.xx.mean() + kernel.yy.mean() - 2 * kernel.xy.mean())
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found)) < 4 * error
    assert np.mean(published) > 10 * error


@few
@given(st.integers(2, 6), st.integers(2, 5), seeds)
def test_style_forgets_where_things_are_and_not_what_they_are(n: int, c: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    layer = rng.normal(size=(n, c, 4, 4)).astype(np.float32)
    moved = layer.reshape(n, c, 16)[:, :, rng.permutation(16)].reshape(n, c, 4, 4)
    found = scores.style_features([layer, layer[:, :, :2]])
    assert found.shape == (n, c * (c + 1))
    np.testing.assert_allclose(scores.style_features([moved]), scores.style_features([layer]), atol=1e-4)
    np.testing.assert_allclose(scores.style_features([3 * layer]), scores.style_features([layer]), atol=1e-4)
    unit = layer / np.linalg.norm(layer, axis=1, keepdims=True)
    gram = np.einsum("nchw,ndhw->ncd", unit, unit) / 16
    inner = np.einsum("ncd,mcd->nm", gram, gram)
    size = np.sqrt(np.diagonal(inner) * 2 / (c * (c + 1)))
    flat = scores.style_features([layer])
    np.testing.assert_allclose(flat @ flat.T, inner / np.outer(size, size), rtol=1e-3)


def test_style_distance_tells_stripes_from_dots() -> None:
    rng = np.random.default_rng(3)

    def drawn(turned: bool, n: int) -> list[np.ndarray]:
        field = rng.normal(size=(n, 1, 8, 8))
        layer = np.concatenate([field, field if turned else -field, rng.normal(size=(n, 1, 8, 8))], axis=1)
        return [layer.astype(np.float32)]

    same = scores.style_distance(drawn(True, 20), drawn(True, 20))
    other = scores.style_distance(drawn(True, 20), drawn(False, 20))
    assert other > 20 * abs(same)


def inside_by_loop(x: np.ndarray, y: np.ndarray, k: int) -> float:
    """Share of x within a ball around a y that reaches to y's k-th neighbour, written plainly."""
    radii = [sorted(np.linalg.norm(y - b, axis=1))[k] for b in y]
    return float(
        np.mean(
            [any(np.linalg.norm(a - b) <= r * (1 + 1e-9) for b, r in zip(y, radii, strict=True)) for a in x]
        )
    )


@few
@given(shapes, seeds, st.integers(1, 3))
def test_precision_and_recall_are_their_definition(shape: tuple[int, int, int], seed: int, k: int) -> None:
    n, m, d = shape
    x, y = features(seed, n, d), features(seed + 1, m, d, 0.3)
    precision, recall = scores.precision_recall(x, y, k)
    assert precision == pytest.approx(inside_by_loop(x, y, k))
    assert recall == pytest.approx(inside_by_loop(y, x, k))
    assert scores.precision_recall(y, x, k) == pytest.approx((recall, precision))
    rng = np.random.default_rng(seed)
    assert scores.precision_recall(rng.permutation(x), rng.permutation(y), k) == pytest.approx(
        (precision, recall)
    )
    density, coverage = scores.density_coverage(x, y, k)
    assert density >= 0
    assert 0 <= coverage <= 1


def test_fewer_kinds_of_picture_lower_recall_and_coverage_but_not_precision() -> None:
    rng = np.random.default_rng(1)
    kinds = rng.normal(size=(4, 6)) * 8
    y = np.repeat(kinds, 15, axis=0) + rng.normal(size=(60, 6))
    all_kinds = np.repeat(kinds, 15, axis=0) + rng.normal(size=(60, 6))
    one_kind = np.repeat(kinds[:1], 60, axis=0) + rng.normal(size=(60, 6))
    good, poor = scores.precision_recall(all_kinds, y), scores.precision_recall(one_kind, y)
    assert poor[1] < 0.4 < 0.8 < good[1]
    assert min(poor[0], good[0]) > 0.7
    assert scores.density_coverage(one_kind, y)[1] < 0.4 < scores.density_coverage(all_kinds, y)[1]
    assert scores.precision_recall(y, y) == (1.0, 1.0)


def test_diversity_is_the_mean_over_pairs_of_one_prompt() -> None:
    rng = np.random.default_rng(2)
    x = scores.lpips_embedding([rng.normal(size=(6, 3, 4, 4)), rng.normal(size=(6, 2, 2, 2))])
    prompts = ["a", "b", "a", "c", "a", "b"]
    all_pairs = scores.lpips(x, x)
    found = scores.lpips_diversity(x, prompts)
    assert found[0] == pytest.approx((all_pairs[0, 2] + all_pairs[0, 4]) / 2, abs=1e-6)
    assert found[1] == found[5] == pytest.approx(all_pairs[1, 5], abs=1e-6)
    assert np.isnan(found[3])
    np.testing.assert_allclose(
        scores.lpips_diversity([layer[[0, 0]] for layer in x], ["a", "a"]), 0, atol=1e-6
    )
    with pytest.raises(LaureateError, match="one prompt per picture, got 2 for 6"):
        scores.lpips_diversity(x, ["a", "b"])


@few
@given(st.integers(20, 60), st.integers(1, 20), seeds)
def test_memorisation_counts_the_copies(n: int, copies: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    train, holdout = rng.normal(size=(80, 6)), rng.normal(size=(40, 6))
    fresh = rng.normal(size=(n, 6)) + 4  # far from all: no copies among them
    nearly = train[:copies] + 1e-3
    found = scores.memorisation(np.concatenate([fresh, nearly]), train, holdout)
    assert found == pytest.approx(copies / (n + copies))
    assert scores.memorisation(fresh, train, holdout) == 0
    assert scores.memorisation(train, train, holdout) == 1
    # the held-out pictures themselves: none but the quantile's own share
    assert scores.memorisation(holdout, train, holdout) <= 1 / 40
    mixed = rng.permutation(np.concatenate([fresh, nearly])), rng.permutation(train), rng.permutation(holdout)
    assert scores.memorisation(*mixed) == pytest.approx(found)


def test_memorisation_finds_little_by_chance() -> None:
    rng = np.random.default_rng(4)
    found = [
        scores.memorisation(rng.normal(size=(98, 4)), rng.normal(size=(80, 4)), rng.normal(size=(34, 4)))
        for _ in range(200)
    ]
    assert 0 < np.mean(found) < 2 / 35


@few
@given(seeds)
def test_a_resample_by_counts_is_the_score_of_the_repeated_pictures(seed: int) -> None:
    """What the interval reads is the score itself: FID, LPIPS, IS and the means of pictures with repeats."""
    rng = np.random.default_rng(seed)
    x, y = features(seed, 9, 4), features(seed + 1, 7, 4)
    rows, others = rng.integers(9, size=9), rng.integers(7, size=7)
    assert scores.Frechet(x, y)(rows, others) == pytest.approx(
        scores.frechet_distance(x[rows], y[others]), rel=1e-6, abs=1e-9
    )
    p = rng.dirichlet(np.ones(4), size=9)
    assert scores.InceptionScore([p])(rows) == pytest.approx(scores.inception_score(p[rows]))
    table = rng.normal(size=(9, 7))
    assert scores.mean_over_pairs(table)(rows, others) == pytest.approx(table[rows][:, others].mean())
    assert scores.mean_over_pictures(table)(rows) == pytest.approx(table[rows].mean())


@few
@given(seeds)
def test_many_resamples_at_once_are_each_as_if_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = features(seed, 9, 4), features(seed + 1, 7, 4)
    u = rng.multinomial(9, np.full(9, 1 / 9), size=5).astype(float) + 0
    v = rng.multinomial(7, np.full(7, 1 / 7), size=5).astype(float)
    all_scores = [
        scores.Frechet(x, y), scores.polynomial_kernel(x, y), scores.clip_kernel(x, y),
        scores.Manifold(x, y, "precision"), scores.Manifold(x, y, "recall"),
        scores.Manifold(x, y, "density"), scores.Manifold(x, y, "coverage"),
        scores.Memorisation(x, y + 1, y), scores.InceptionScore([rng.dirichlet(np.ones(3), size=9)]),
        scores.mean_over_pairs(rng.normal(size=(9, 7))), scores.mean_over_pictures(rng.normal(size=9)),
    ]  # fmt: skip
    for score in all_scores:
        together = score.resampled(u, v)
        assert together.shape == (5,)
        for a, b, value in zip(u, v, together, strict=True):
            rows, others = np.repeat(np.arange(9), a.astype(int)), np.repeat(np.arange(7), b.astype(int))
            assert score(rows, others) == pytest.approx(value, rel=1e-9, abs=1e-12)


def test_moving_away_raises_every_distance_and_lowers_precision() -> None:
    x, y = features(5, 40, 6), features(5, 40, 6) + 0.1
    steps = [0.0, 1.0, 3.0, 9.0]
    for distance in (scores.frechet_distance, scores.kernel_distance):
        found = [distance(x + step, y) for step in steps]
        assert all(a < b for a, b in pairwise(found))
    assert scores.precision_recall(x + 9, y)[0] < scores.precision_recall(x, y)[0]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda z: scores.precision_recall(z[:3], z), "got k = 3 for 3 and 6"),
        (lambda z: scores.cmmd(np.zeros((3, 2)), z), "row 0 are all 0"),
        (lambda z: scores.memorisation(z, z[:, :1], z), "features of one width"),
        (lambda z: scores.memorisation(z, z[:0], z), "needs pictures, training pictures"),
        (lambda z: scores.memorisation(z, z, z, nearest=2), "quantile between 0 and 1, got 2"),
        (lambda z: scores.lpips([np.full((2, 3), np.nan)], [z]), "row 0 are not finite"),
    ],
)
def test_what_cannot_be_scored_is_refused_with_a_sentence(call, sentence: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(LaureateError, match=sentence):
        call(features(1, 6, 2))

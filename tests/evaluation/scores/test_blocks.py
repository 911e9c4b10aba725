"""Scores over blocks: the same numbers as over single pictures, from far smaller matrices."""

import tracemalloc

import numpy as np
import pytest

from laureate.evaluation import scores
from laureate.evaluation.scores import blocks

rng = np.random.default_rng(0)


def sets(n: int = 24, m: int = 10, d: int = 12) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=(n, d)) + 0.3, rng.normal(size=(m, d))


@pytest.mark.parametrize(
    ("function", "single"),
    [(blocks.polynomial, scores.polynomial_kernel), (blocks.gaussian_of_unit, scores.clip_kernel)],
)
def test_a_kernel_over_blocks_is_the_kernel_over_pictures(function, single) -> None:  # type: ignore[no-untyped-def]
    x, y = sets()
    of_x = blocks.blocks_of([f"p{i % 7}" for i in range(len(x))])
    of_y = blocks.blocks_of(range(len(y)))
    whole, summed = single(x, y), blocks.BlockKernel.of(function, x, y, of_x, of_y)
    assert summed.xx.shape == (7, 7)
    assert summed() == pytest.approx(whole(), abs=1e-12)
    u, v = rng.integers(0, 3, (50, 7)).astype(float), rng.integers(0, 3, (50, 10)).astype(float)
    np.testing.assert_allclose(summed.resampled(u, v), whole.resampled(u[:, of_x], v), atol=1e-9)


def test_rows_are_summed_in_parts_of_any_length(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = sets()
    of_x, of_y = (
        blocks.blocks_of([i % 5 for i in range(len(x))]),
        blocks.blocks_of([i % 3 for i in range(len(y))]),
    )
    whole = blocks.summed(blocks.polynomial, x, y, of_x, of_y)
    monkeypatch.setattr(blocks, "ROWS", 7)
    np.testing.assert_allclose(blocks.summed(blocks.polynomial, x, y, of_x, of_y), whole)
    assert whole.sum() == pytest.approx(blocks.polynomial(x, y).sum())


def test_the_intervals_are_those_of_prompts() -> None:
    x, y = sets()
    prompts = [f"p{i // 3}" for i in range(len(x))]
    of_x, of_y = blocks.blocks_of(prompts), blocks.blocks_of(range(len(y)))
    kernel = blocks.BlockKernel.of(blocks.polynomial, x, y, of_x, of_y)
    found = scores.estimate(kernel, blocks.resample_blocks(8, 10, 200, 3))
    single = scores.estimate(scores.polynomial_kernel(x, y), scores.resample(prompts, 10, 200, 3))
    for name in ("value", "low", "high", "from_prompts", "from_references", "freedom"):
        assert getattr(found, name) == pytest.approx(getattr(single, name), rel=1e-9), name
    inner = scores.Frechet(x, y)
    drawn = scores.estimate(blocks.OfPictures(inner, of_x, of_y), blocks.resample_blocks(8, 10, 50, 3))
    single = scores.estimate(inner, scores.resample(prompts, 10, 50, 3))
    assert (drawn.low, drawn.high) == pytest.approx((single.low, single.high))


def test_two_sets_beside_each_other_permute_as_their_pictures_do() -> None:
    (x, y), z = sets(), rng.normal(size=(24, 12)) + 0.6
    prompts = [f"p{i // 3}" for i in range(24)]
    of_x, of_y = blocks.blocks_of(prompts), blocks.blocks_of(range(10))
    a, b = (blocks.BlockKernel.of(blocks.polynomial, s, y, of_x, of_y) for s in (x, z))
    both = a.beside(b, blocks.summed(blocks.polynomial, x, z, of_x, of_x))
    places = np.zeros((8, 1))
    p = scores.swap_test(lambda *_: both, places, places, np.zeros((10, 1)), range(8), 300, 5)
    assert p == scores.swap_test(scores.polynomial_kernel, x, z, y, prompts, 300, 5)


def test_many_clusters_share_blocks_and_keep_the_value() -> None:
    x, y = sets(60, 20)
    of_x = blocks.blocks_of(range(60), most=16)
    assert of_x.max() == 15
    assert np.bincount(of_x).max() == 4
    kernel = blocks.BlockKernel.of(blocks.polynomial, x, y, of_x, blocks.blocks_of(range(20), most=6))
    assert kernel() == pytest.approx(scores.kernel_distance(x, y))


def test_unpaired_sets_are_drawn_each_on_its_own() -> None:
    x, y = sets(40, 20)
    z = rng.normal(size=(30, 12)) + 0.3  # of the same kind as x, of other prompts
    a, b = (
        blocks.BlockKernel.of(
            blocks.polynomial, s, y, blocks.blocks_of(range(len(s))), blocks.blocks_of(range(20))
        )
        for s in (x, z)
    )
    drawn = blocks.resample_apart(40, 30, 20, 400, 1)
    np.testing.assert_array_equal(drawn.prompt_counts[:, :40].sum(axis=1), 40)
    np.testing.assert_array_equal(drawn.prompt_counts[:, 40:].sum(axis=1), 30)
    found = scores.estimate(blocks.Apart(a, b), drawn)
    assert found.value == pytest.approx(a() - b())
    assert found.low < 0 < found.high
    # the variance is that of both together, and the references' part does not count twice
    parts = [scores.jackknife(k, blocks.resample_blocks(k.pictures, 20)).from_prompts for k in (a, b)]
    assert found.from_prompts == pytest.approx(sum(parts), rel=0.1)


def test_memory_does_not_grow_with_the_square_of_the_pictures() -> None:
    """4,000 pictures: a matrix of all pairs in float64 would be 128 MB, and a kernel takes three."""
    x, y = rng.normal(size=(4000, 8)).astype(np.float32), rng.normal(size=(50, 8)).astype(np.float32)
    of_x, of_y = blocks.blocks_of(range(4000)), blocks.blocks_of(range(50))
    tracemalloc.start()
    blocks.BlockKernel.of(blocks.polynomial, x, y, of_x, of_y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 70e6

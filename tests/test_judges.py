"""Judges: what they return does not depend on how they are asked."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from laureate import scores
from laureate.atelier import attributes, portrait
from laureate.errors import LaureateError
from laureate.judges import ClipJudge, VisionJudge

TEXTS = ["A calm woman, in the style of Nobel Laureate.", "A man with a hat.", "x" * 2000]


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    people = [attributes.random_attributes(np.random.default_rng(i)) for i in range(5)]
    return [
        portrait.draw(who, style, 1) for who, style in zip(people, ["laureate", "comic"] * 3, strict=False)
    ]


def test_clip_gives_unit_features_whatever_the_batch(tiny_models: Path, pictures: list[Image.Image]) -> None:
    whole, parts = ClipJudge.load(tiny_models / "clip"), ClipJudge.load(tiny_models / "clip", batch=2)
    for found, again in (
        (whole.pictures(pictures), parts.pictures(pictures)),
        (whole.texts(TEXTS), parts.texts(TEXTS)),
    ):
        assert found.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(found, again, atol=1e-5)
    assert whole.pictures(pictures).shape == (5, whole.texts(TEXTS).shape[1])


def test_vision_reads_the_same_whatever_the_batch_and_the_order(
    tiny_models: Path, pictures: list[Image.Image]
) -> None:
    judge = VisionJudge.load(tiny_models / "vision")
    found, again = (
        judge.read(pictures),
        VisionJudge.load(tiny_models / "vision", batch=2).read(pictures[::-1]),
    )
    np.testing.assert_allclose(found.features, again.features[::-1], atol=1e-5)
    np.testing.assert_allclose(np.mean(found.features**2, axis=1), 1, rtol=1e-4)
    assert set(found.probabilities) == set(judge.classes) == {*attributes.VOCABULARY, "style"}
    for name, values in found.probabilities.items():
        assert values.shape == (5, len(judge.classes[name]))
        np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-5)
    for layer, other in zip(found.layers, again.layers, strict=True):
        assert layer.shape[0] == 5
        np.testing.assert_allclose(layer, other[::-1], atol=1e-4)


def test_pictures_of_any_size_are_brought_to_the_judges_own(
    tiny_models: Path, pictures: list[Image.Image]
) -> None:
    judge = VisionJudge.load(tiny_models / "vision")
    large = [p.resize((300, 300), Image.Resampling.NEAREST) for p in pictures]
    fitting = [p.resize((128, 128), Image.Resampling.BICUBIC) for p in large]
    np.testing.assert_array_equal(judge.read(large).features, judge.read(fitting).features)


def test_a_picture_is_at_no_lpips_from_itself_and_closer_to_itself_than_to_another(
    tiny_models: Path, pictures: list[Image.Image]
) -> None:
    embedded = scores.lpips_embedding(VisionJudge.load(tiny_models / "vision").read(pictures).layers)
    distances = scores.lpips(embedded, embedded)
    np.testing.assert_allclose(np.diagonal(distances), 0, atol=1e-6)
    assert (distances[~np.eye(5, dtype=bool)] > 1e-3).all()


@pytest.mark.parametrize("load", [ClipJudge.load, VisionJudge.load])
def test_a_missing_judge_is_one_sentence_naming_the_file(tmp_path: Path, load: object) -> None:
    with pytest.raises(LaureateError, match=r"config\.json is missing"):
        load(tmp_path)  # type: ignore[operator]


def test_no_pictures_are_refused(tiny_models: Path) -> None:
    with pytest.raises(LaureateError, match="no pictures"):
        VisionJudge.load(tiny_models / "vision").read([])

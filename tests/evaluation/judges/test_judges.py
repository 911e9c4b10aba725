"""Judges: their features do not depend on batch, order and size of the pictures."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from laureate.core.errors import LaureateError
from laureate.evaluation import feature_extraction, scores
from laureate.evaluation.judges import ClipJudge, VisionJudge
from laureate.evaluation.judges.batching import pixels
from laureate.formats import vocabulary
from laureate.simulator.portraits import attributes, portrait

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


def test_vision_outputs_do_not_depend_on_batch_and_order(
    tiny_models: Path, pictures: list[Image.Image]
) -> None:
    judge = VisionJudge.load(tiny_models / "vision")
    found, again = (
        judge.read(pictures),
        VisionJudge.load(tiny_models / "vision", batch=2).read(pictures[::-1]),
    )
    np.testing.assert_allclose(found.features, again.features[::-1], atol=1e-5)
    np.testing.assert_allclose(np.mean(found.features**2, axis=1), 1, rtol=1e-4)
    assert np.abs(found.features - found.features[::-1]).max() > 1e-3  # else any order would do
    assert set(found.probabilities) == set(judge.classes) == {*vocabulary.VOCABULARY, "style"}
    for name, values in found.probabilities.items():
        assert values.shape == (5, len(judge.classes[name]))
        np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-5)
    for layer, other in zip(found.layers, again.layers, strict=True):
        assert layer.shape[0] == 5
        np.testing.assert_allclose(layer, other[::-1], atol=1e-4)


def test_pictures_of_any_size_are_resized_as_clean_fid_does(
    tiny_models: Path, pictures: list[Image.Image]
) -> None:
    import torch
    from cleanfid.resize import make_resizer

    judge = VisionJudge.load(tiny_models / "vision")
    large = [p.resize((300, 300), Image.Resampling.NEAREST) for p in pictures]
    resize = make_resizer("PIL", False, "bicubic", (128, 128))
    theirs = np.stack([resize(np.asarray(p)) for p in large]).transpose(0, 3, 1, 2)
    ours = pixels(large, 128).numpy()
    np.testing.assert_array_equal(ours, theirs)
    by_hand = judge.extractor(torch.from_numpy(theirs)).detach().numpy()
    np.testing.assert_allclose(judge.read(large).features, by_hand, atol=1e-4)
    assert np.abs(by_hand - judge.read(pictures).features).max() > 1e-3  # other than without a resize
    np.testing.assert_array_equal(
        pixels(pictures, 128).numpy(), np.stack([np.asarray(p) for p in pictures]).transpose(0, 3, 1, 2)
    )


@pytest.mark.filterwarnings("ignore")  # of the package that calls the judge
def test_clean_fid_can_use_the_vision_judge(
    tiny_models: Path, pictures: list[Image.Image], tmp_path: Path
) -> None:
    """Its own function for a folder, with our extractor in place of its Inception."""
    import torch
    from cleanfid import fid

    for index, picture in enumerate(pictures):
        picture.save(tmp_path / f"{index}.png")
    judge = VisionJudge.load(tiny_models / "vision")
    theirs = fid.get_folder_features(
        str(tmp_path),
        model=judge.extractor,
        num_workers=0,
        device=torch.device("cpu"),
        custom_fn_resize=lambda array: array,  # they have the judge's size
        verbose=False,
    )
    np.testing.assert_allclose(theirs, judge.read(pictures).features, rtol=1e-4, atol=1e-5)


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.permutations(range(5)))
def test_all_pairs_lpips_is_the_lpips_package_with_the_judges_net_whatever_batch_and_order(
    tiny_models: Path, seed: int, batch: int, order: list[int]
) -> None:
    import torch

    rng = np.random.default_rng(seed)
    noise = [Image.fromarray(rng.integers(0, 256, (128, 128, 3)).astype(np.uint8)) for _ in range(5)]
    judge = VisionJudge.load(tiny_models / "vision", batch=batch)
    embedded = [
        feature_extraction.lpips_of(judge.extract(part)) for part in ([noise[i] for i in order], noise)
    ]
    found = scores.lpips(*embedded)
    metric, images = judge.metric(), pixels(noise, 128) / 127.5 - 1
    with torch.inference_mode():
        expected = [[float(metric(images[i : i + 1], images[j : j + 1])) for j in range(5)] for i in order]
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5)
    for row, picture in enumerate(order):
        assert found[row, picture] == pytest.approx(0, abs=1e-5)


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

"""Evaluate: a whole drawn study with random judges, and the readings one by one."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from drawn_study import draw_study
from PIL import Image

from laureate import params, table
from laureate.errors import LaureateError
from laureate.judges import Reading
from laureate.stages import evaluate

CLASSES = {"hair": ("bald", "short", "long"), "headwear": ("none", "hat"), "style": ("comic", "laureate")}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory, tiny_models: Path) -> Path:
    folder = draw_study(tmp_path_factory.mktemp("study"))
    for judge in ("clip", "vision"):
        shutil.copytree(tiny_models / judge, folder / "models/embedded" / judge)
    return folder


@pytest.fixture
def study(drawn: Path, working_copy: Callable[[Path], Path]) -> Path:
    return working_copy(drawn)


def one_hot(*classes: int, of: int) -> np.ndarray:
    return np.eye(of, dtype=np.float32)[list(classes)]


def reading(**heads: np.ndarray) -> Reading:
    return Reading(np.zeros((3, 2), np.float32), heads, [])


def test_every_model_gets_the_same_flat_keys(study: Path) -> None:
    found = {}
    for model in ("noise-floor", "baseline", "rank-16"):
        evaluate.run(params.load(), model)
        found[model] = json.loads((study / f"metrics/models/{model}.json").read_text())
    for model, values in found.items():
        assert set(values) == set(table.COLUMNS) - set(table.NAMES), model
        assert values["n_generated"] == 8  # 8 portraits to train on; 4 prompts with 2 seeds each
        assert values["n_reference"] == 6
        for score in table.SCORES:
            value, low, high = (values[score.key + end] for end in ("", "_low", "_high"))
            if (model, score.key) == ("noise-floor", "content"):
                assert value is low is high is None  # real portraits were asked for nothing
            else:
                assert math.isfinite(value)
                assert low <= value <= high
                assert low < high or score.key.startswith("clip"), (model, score.key)  # random: cut at 0
    assert found["rank-16"]["lpips"] < found["baseline"]["lpips"]  # drawn in the style, and in another


def test_the_same_pictures_give_the_same_bytes(study: Path) -> None:
    written = []
    for _ in range(2):
        evaluate.run(params.load(), "rank-4")
        written.append((study / "metrics/models/rank-4.json").read_bytes())
    assert written[0] == written[1]


def test_only_pictures_of_the_manifest_are_scored(study: Path) -> None:
    evaluate.run(params.load(), "rank-4")
    before = (study / "metrics/models/rank-4.json").read_bytes()
    Image.new("RGB", (128, 128)).save(study / "data/samples/rank-4/left-over_1.png")
    evaluate.run(params.load(), "rank-4")
    assert (study / "metrics/models/rank-4.json").read_bytes() == before


@pytest.mark.parametrize(
    ("remove", "sentence"),
    [
        ("data/samples/rank-4/manifest.json", "laureate sample --model rank-4"),
        ("data/dataset/holdout/metadata.jsonl", "laureate prepare"),
        ("models/embedded/clip/model.safetensors", r"clip/model\.safetensors is missing"),
        ("models/embedded/vision/config.json", r"vision/config\.json is missing"),
    ],
)
def test_what_is_missing_is_named(study: Path, remove: str, sentence: str) -> None:
    (study / remove).unlink()
    with pytest.raises(LaureateError, match=sentence):
        evaluate.run(params.load(), "rank-4")


def test_a_broken_picture_is_named(study: Path) -> None:
    file = next((study / "data/samples/rank-4").glob("*.png"))
    file.write_bytes(b"not a picture")
    with pytest.raises(LaureateError, match=file.name):
        evaluate.run(params.load(), "rank-4")


def test_an_unknown_style_is_refused_with_the_known_ones(study: Path) -> None:
    values = yaml.safe_load(Path("params.yaml").read_text())
    values["evaluate"]["style"] = "cubist"
    Path("params.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(LaureateError, match=r"evaluate\.style is 'cubist'.*woodcut"):
        evaluate.run(params.load(), "rank-4")


def test_what_was_asked_is_read_back_attribute_by_attribute() -> None:
    seen = reading(hair=one_hot(0, 1, 2, of=3), headwear=one_hot(0, 0, 1, of=2), style=one_hot(0, 1, 1, of=2))
    asked = [{"hair": "bald", "headwear": "hat"}, {}, {"hair": "short"}]
    found = evaluate.content_read(seen, CLASSES, asked)
    np.testing.assert_array_equal(found, [[1, 0], [np.nan, np.nan], [0, np.nan]])
    score = evaluate.share(found)
    assert score is not None
    assert score() == pytest.approx(1 / 3)
    assert evaluate.share(evaluate.content_read(seen, CLASSES, [{}, {}, {}])) is None


def test_the_style_is_read_by_its_name() -> None:
    seen = reading(style=one_hot(0, 1, 1, of=2))
    np.testing.assert_array_equal(evaluate.style_read(seen, CLASSES, "laureate"), [0, 1, 1])
    np.testing.assert_array_equal(evaluate.style_read(seen, CLASSES, "comic"), [1, 0, 0])


def test_the_inception_score_is_a_mean_over_the_attribute_heads() -> None:
    same, varied = one_hot(0, 0, 0, of=3), one_hot(0, 1, 2, of=3)
    score = evaluate.inception({"hair": same, "headwear": varied, "style": varied})
    assert score() == pytest.approx(math.sqrt(3))  # of 1 and 3; the style does not count
    assert score(np.array([1, 1])) == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("A man with a hat, in the style of Nobel Laureate.", "A man with a hat."),
        ("A man in the style of Nobel Laureate", "A man"),
        ("A man with a hat.", "A man with a hat."),
    ],
)
def test_the_content_of_a_prompt_is_all_but_the_style(text: str, content: str) -> None:
    assert evaluate.content_of(text, "in the style of Nobel Laureate") == content


def test_a_share_where_all_agree_still_has_an_interval(study: Path) -> None:
    score = evaluate.share(np.ones((4, 1)))
    values = evaluate.with_interval("style_read", score, list("abcd"), 5, params.load())
    assert values["style_read"] == values["style_read_high"] == 1
    assert 0.4 < (values["style_read_low"] or 0) < 0.6  # four of four is no proof of nine in ten

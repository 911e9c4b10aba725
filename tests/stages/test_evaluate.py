"""Evaluate: a whole drawn study with random judges, and the readings one by one."""

import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from drawn_study import draw_study
from PIL import Image

from laureate import cli
from laureate.comparison import results_table
from laureate.config import params
from laureate.core import paths
from laureate.core.errors import LaureateError
from laureate.evaluation import evidence, feature_extraction, score_catalog, scores, scoring
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


def test_every_model_gets_the_same_flat_keys(study: Path) -> None:
    found = {}
    for model in ("noise-floor", "baseline", "rank-16"):
        evaluate.run(params.load(), model)
        found[model] = json.loads((study / f"metrics/models/{model}.json").read_text())
    without = {  # real portraits were asked for nothing, and are themselves what was trained on
        "noise-floor": {"content", "lpips_diversity", "memorisation", "dino"},
        "baseline": {"dino"},  # no judge for it in this world
        "rank-16": {"dino"},
    }
    for model, values in found.items():
        assert set(values) == set(results_table.METRICS), model
        assert values["n_generated"] == 8  # 8 portraits to train on; 4 prompts with 2 seeds each
        assert values["n_prompts"] == (8 if model == "noise-floor" else 4)
        assert values["n_reference"] == 6
        for score in score_catalog.SCORES:
            value, low, high = (values[score.key + end] for end in ("", "_low", "_high"))
            if score.key in without[model]:
                assert value is low is high is None, (model, score.key)
            else:
                assert math.isfinite(value)
                assert low <= value <= high
                assert low < high or score.key.startswith("clip"), (model, score.key)  # random: cut at 0
        original = [values[key] for key in results_table.ORIGINAL]
        if model == "noise-floor":
            assert original == [0, None, None, None, None]  # there are no prompts
        else:
            assert original[0] == 4  # one picture per prompt
            assert all(math.isfinite(value) for value in original[1:])
    assert found["rank-16"]["lpips"] < found["baseline"]["lpips"]  # drawn in the style, and in another
    assert found["rank-16"]["style"] < found["baseline"]["style"]


def test_a_warm_cache_gives_the_same_bytes_as_a_cold_one_and_looks_at_nothing(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [study / "metrics/models/rank-4.json", study / "data/evidence/rank-4.safetensors"]
    evaluate.run(params.load(), "rank-4")
    cold = [file.read_bytes() for file in files]
    kept = sorted((study / paths.WORK / "judged").iterdir())
    kept[0].write_bytes(kept[0].read_bytes()[:-7])  # a damaged answer is asked for again
    evaluate.run(params.load(), "rank-4")
    assert [file.read_bytes() for file in files] == cold

    def refuse(*_: object) -> None:
        raise AssertionError("a judge was loaded although its answers are kept")

    monkeypatch.setattr("laureate.evaluation.judges.panel.load", refuse)
    for file in files:
        file.unlink()
    evaluate.run(params.load(), "rank-4")
    assert [file.read_bytes() for file in files] == cold
    with pytest.raises(AssertionError, match="was loaded"):
        evaluate.run(params.load(), "baseline")  # the held-out portraits are known, its own pictures are not


def test_the_batch_changes_the_last_digits_at_most(study: Path) -> None:
    found = []
    for batch in (32, 3):
        loaded = params.load()
        evaluate.run(
            loaded.model_copy(update={"evaluate": loaded.evaluate.model_copy(update={"batch": batch})}),
            "rank-4",
        )
        found.append(json.loads(Path("metrics/models/rank-4.json").read_text()))
    for key, value in found[0].items():
        assert value == found[1][key] or value == pytest.approx(found[1][key], rel=1e-4, abs=1e-5), key


def test_the_evidence_holds_what_the_scores_were_taken_from(study: Path) -> None:
    evaluate.run(params.load(), "rank-4")
    values = json.loads(Path("metrics/models/rank-4.json").read_text())
    kept = evidence.load("data/evidence/rank-4.safetensors", "rank-4")
    for key, score in scoring.scores_of(kept, params.load().evaluate.neighbours).items():
        if score is None:
            assert values[key] is None
        else:
            assert values[key] == pytest.approx(score(), rel=1e-5)
            assert len(kept.draws[key]) == 1 + 50 + 4 + 6  # all, the draws, all but one prompt or portrait
    assert set(kept.judges) == {"vision", "clip"}
    about = kept.judges["vision"]
    assert about["sha256"].keys() == {"config.json", "model.safetensors"}
    assert about["version"].startswith("torch ")
    assert "resize" in about["preprocessing"]
    Path("data/evidence/rank-4.safetensors").write_bytes(b"no")
    with pytest.raises(
        LaureateError, match=r"rank-4\.safetensors is damaged.*laureate evaluate --model rank-4"
    ):
        evidence.load("data/evidence/rank-4.safetensors", "rank-4")


def test_a_role_without_a_judge_leaves_its_scores_empty(study: Path) -> None:
    values = yaml.safe_load(Path("params.yaml").read_text())
    values["evaluate"]["roles"] |= {"attributes": None, "lpips": None, "cmmd": None, "text": None}
    Path("params.yaml").write_text(yaml.safe_dump(values))
    evaluate.run(params.load(), "rank-4")
    found = json.loads(Path("metrics/models/rank-4.json").read_text())
    empty = {score.key for score in score_catalog.SCORES if found[score.key] is None}
    assert empty == {
        "dino", "cmmd", "lpips", "lpips_diversity", "memorisation", "style_read", "content", "clip",
        "clip_content",
    }  # fmt: skip
    assert set(found) == set(results_table.METRICS)


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
    seen = {
        "hair": one_hot(0, 1, 2, of=3),
        "headwear": one_hot(0, 0, 1, of=2),
        "style": one_hot(0, 1, 1, of=2),
    }
    asked = [{"hair": "bald", "headwear": "hat"}, {}, {"hair": "short"}]
    found = feature_extraction.content_read(seen, CLASSES, asked)
    np.testing.assert_array_equal(found, [[1, 0], [np.nan, np.nan], [0, np.nan]])
    assert np.isnan(feature_extraction.content_read(seen, CLASSES, [{}, {}, {}])).all()


def test_the_style_is_read_by_its_name() -> None:
    seen = {"style": one_hot(0, 1, 1, of=2)}
    np.testing.assert_array_equal(feature_extraction.style_read(seen, CLASSES, "laureate"), [0, 1, 1])
    np.testing.assert_array_equal(feature_extraction.style_read(seen, CLASSES, "comic"), [1, 0, 0])


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("A man with a hat, in the style of Nobel Laureate.", "A man with a hat."),
        ("A man in the style of Nobel Laureate", "A man"),
        ("A man with a hat.", "A man with a hat."),
    ],
)
def test_the_content_of_a_prompt_is_all_but_the_style(text: str, content: str) -> None:
    assert feature_extraction.content_of(text, "in the style of Nobel Laureate") == content


def test_a_share_where_all_agree_still_has_an_interval() -> None:
    kept = evidence.Evidence("m", list("abcd"), list("abcd"), {}, {}, {}, {}, {})
    score = scores.mean_over_pictures(np.ones((4, 1)))
    values, _ = scoring.with_interval("style_read", score, scores.resample(kept.clusters, 5))
    assert values["style_read"] == values["style_read_high"] == 1
    assert 0.4 < (values["style_read_low"] or 0) < 0.6  # four of four is no proof of nine in ten


def edit(file: str, change: Callable[[list[dict]], None]) -> None:
    """Change the rows of a manifest or of metadata.jsonl."""
    path = Path(file)
    if path.suffix == ".json":
        manifest = json.loads(path.read_text())
        change(manifest["pictures"])
        path.write_text(json.dumps(manifest))
    else:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        change(rows)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def twin(study: Path) -> str:
    train, held = (sorted((study / "data/dataset" / part).glob("*.png"))[0] for part in ("train", "holdout"))
    with Image.open(train) as picture:
        picture.save(held, compress_level=1)  # other bytes, the same pixels
    return rf"holdout/{held.name} is the same picture as .*train/{train.name}"


def caption(study: Path) -> str:
    prompt = yaml.safe_load((study / "data/prompts.yaml").read_text())[2]["text"]
    edit("data/dataset/holdout/metadata.jsonl", lambda rows: rows[3].update(text=prompt.upper()))
    row = json.loads((study / "data/dataset/holdout/metadata.jsonl").read_text().splitlines()[3])
    return rf"the prompt .* is the caption of data/dataset/holdout/{row['file_name']}"


def sizes(study: Path) -> str:
    file = sorted((study / "data/samples/rank-4").glob("*.png"))[3]
    with Image.open(file) as picture:
        picture.resize((64, 64)).save(file)
    return rf"rank-4/{file.name} has 64 x 64 pixels, but .* has 128 x 128"


def reference_sizes(study: Path) -> str:
    file = sorted((study / "data/dataset/holdout").glob("*.png"))[1]
    with Image.open(file) as picture:
        picture.resize((64, 64)).save(file)
    return rf"holdout/{file.name} has 64 x 64 pixels"


def not_a_number(study: Path) -> str:
    from safetensors.torch import load_file, save_file

    weights = study / "models/embedded/vision/model.safetensors"
    tensors = {name: value.clone() for name, value in load_file(weights).items()}
    tensors["stem.bias"][0] = float("nan")
    save_file(tensors, weights)
    first = json.loads((study / "data/samples/rank-4/manifest.json").read_text())["pictures"][0]["file"]
    return rf"rank-4/{first}: the judge vision sees values that are not finite"


def one_picture(study: Path) -> str:
    edit("data/samples/rank-4/manifest.json", lambda rows: rows.__delitem__(slice(1, None)))
    return r"samples/rank-4/manifest\.json lists 1 pictures.*laureate sample --model rank-4"


def two_pictures(study: Path) -> str:
    edit("data/samples/rank-4/manifest.json", lambda rows: rows.__delitem__(slice(2, None)))
    return r"lists 2 pictures, and scores need 3"


def one_prompt(study: Path) -> str:
    path = study / "data/samples/rank-4/manifest.json"
    manifest = json.loads(path.read_text())
    chosen = manifest["pictures"][0]
    manifest["pictures"] = [
        row | {key: chosen[key] for key in ("prompt", "text")} | {"seed": seed}
        for seed, row in enumerate(manifest["pictures"], 1)
    ]
    path.write_text(json.dumps(manifest))
    return r"rank-4/manifest\.json are of one prompt, and intervals need 2"


def two_references(study: Path) -> str:
    edit("data/dataset/holdout/metadata.jsonl", lambda rows: rows.__delitem__(slice(2, None)))
    return r"holdout/metadata\.jsonl lists 2 pictures, and scores need 3"


def no_picture(study: Path) -> str:
    edit("data/samples/rank-4/manifest.json", lambda rows: rows.clear())
    return r"samples/rank-4/manifest\.json lists 0 pictures"


def one_reference(study: Path) -> str:
    edit("data/dataset/holdout/metadata.jsonl", lambda rows: rows.__delitem__(slice(1, None)))
    return r"holdout/metadata\.jsonl lists 1 pictures.*laureate prepare"


def black(study: Path) -> str:
    file = sorted((study / "data/samples/rank-4").glob("*.png"))[5]
    Image.new("RGB", (128, 128), (1, 0, 2)).save(file)
    return rf"rank-4/{file.name} is black"


def constant(study: Path) -> str:
    file = sorted((study / "data/samples/rank-4").glob("*.png"))[2]
    Image.new("RGB", (128, 128), (200, 180, 160)).save(file)
    return rf"rank-4/{file.name} has one colour only"


def constant_reference(study: Path) -> str:
    file = sorted((study / "data/dataset/holdout").glob("*.png"))[2]
    Image.new("RGB", (128, 128), "white").save(file)
    return rf"holdout/{file.name} has one colour only"


def bad_row(study: Path) -> str:
    edit("data/dataset/holdout/metadata.jsonl", lambda rows: rows[3].pop("text"))
    return r"holdout/metadata\.jsonl, row 4 must be JSON with file_name and text"


def bad_sample(study: Path) -> str:
    edit("data/samples/rank-4/manifest.json", lambda rows: rows[3].pop("seed"))
    return r"rank-4/manifest\.json, picture 4: it needs seed"


SPOILT = (
    twin, caption, sizes, reference_sizes, not_a_number, one_picture, no_picture, one_reference,
    two_pictures, one_prompt, two_references, black,
    constant, constant_reference, bad_row, bad_sample,
)  # fmt: skip


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda spoil: spoil.__name__)
def test_what_would_make_the_table_a_lie_stops_the_run_and_names_the_file(
    study: Path, spoil: Callable[[Path], str], capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = spoil(study)
    assert cli.main(["evaluate", "--model", "rank-4"]) == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.search(sentence, said), said
    assert said.startswith("laureate: ")
    for left in ("metrics/models/rank-4.json", "data/evidence/rank-4.safetensors"):
        assert not (study / left).exists()

"""Evaluate: the outputs for a whole drawn study with random judges."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from drawn_study import draw_judged_study
from PIL import Image

from laureate.comparison import results_table
from laureate.config import params
from laureate.core import paths
from laureate.core.errors import LaureateError
from laureate.evaluation import evidence, score_catalog, scores, scoring
from laureate.evaluation.judges.panel import Panel, open_set
from laureate.stages import evaluate


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory, tiny_models: Path) -> Path:
    return draw_judged_study(tmp_path_factory.mktemp("study"), tiny_models)


@pytest.fixture
def study(drawn: Path, working_copy: Callable[[Path], Path]) -> Path:
    return working_copy(drawn)


def test_every_model_gets_the_same_flat_keys(study: Path) -> None:
    found = {}
    for model in ("noise-floor", "vae-ceiling", "baseline", "rank-16"):
        evaluate.run(params.load(), model)
        found[model] = json.loads((study / f"metrics/models/{model}.json").read_text())
    plain = {"drift", "leak", "plain_clip", "plain_content"}
    of_portraits = {"content", "lpips_diversity", "memorisation", "copies"} | plain
    without = {  # portraits have no prompt, and are the training pictures themselves
        "noise-floor": of_portraits,
        "vae-ceiling": of_portraits,
        "baseline": {"drift"},  # it is what an adapter drifts from
        "rank-16": set(),
    }
    no_judge = {"dino", "fid_dino", "kid_imagenet", "fid_imagenet", "style_imagenet"}  # in this world
    for model, values in found.items():
        assert set(values) == set(results_table.METRICS), model
        assert values["n_generated"] == 8  # 8 portraits to train on; 4 prompts with 2 seeds each
        assert values["n_prompts"] == (8 if model in params.REFERENCES else 4)
        assert values["n_reference"] == 6
        for score in score_catalog.SCORES:
            value, low, high = (values[score.key + end] for end in ("", "_low", "_high"))
            if score.key in without[model] | no_judge:
                assert value is low is high is None, (model, score.key)
            else:
                assert math.isfinite(value)
                assert low <= value <= high
                cut = "clip" in score.key and value == 0  # random judges: all cosines below 0
                assert (low < high) == (not cut), (model, score.key)
        original = [values[key] for key in results_table.ORIGINAL]
        if model in params.REFERENCES:
            assert original == [0, None, None, None, None]  # there are no prompts
        else:
            assert original[0] == 4  # one picture per prompt
            assert all(math.isfinite(value) for value in original[1:])
    assert found["rank-16"]["lpips"] < found["baseline"]["lpips"]  # drawn in the style, and in another
    assert found["rank-16"]["style"] < found["baseline"]["style"]


def test_a_warm_cache_gives_the_same_bytes_as_a_cold_one_and_loads_no_judge(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [study / "metrics/models/rank-4.json", study / "data/evidence/rank-4.safetensors"]
    evaluate.run(params.load(), "rank-4")
    cold = [file.read_bytes() for file in files]
    kept = sorted((study / paths.WORK / "judged").iterdir())
    kept[0].write_bytes(kept[0].read_bytes()[:-7])  # a damaged file is computed again
    evaluate.run(params.load(), "rank-4")
    assert [file.read_bytes() for file in files] == cold

    def refuse(*_: object) -> None:
        raise AssertionError("a judge was loaded although its features are stored")

    monkeypatch.setattr("laureate.evaluation.judges.loading.load", refuse)
    for file in files:
        file.unlink()
    evaluate.run(params.load(), "rank-4")
    assert [file.read_bytes() for file in files] == cold
    with pytest.raises(AssertionError, match="was loaded"):
        evaluate.run(params.load(), "baseline")  # the held-out portraits are known, its own pictures are not


def test_the_batch_changes_the_last_digits_at_most(study: Path) -> None:
    found, judged = [], []
    for batch in (32, 3):
        loaded = params.load()
        evaluate.run(
            loaded.model_copy(update={"evaluate": loaded.evaluate.model_copy(update={"batch": batch})}),
            "rank-4",
        )
        found.append(json.loads(Path("metrics/models/rank-4.json").read_text()))
        judged.append(len(list((study / paths.WORK / "judged").iterdir())))
    assert judged[1] == 2 * judged[0]  # nothing was taken from the cache
    empty = [{key for key, value in values.items() if value is None} for values in found]
    assert empty[0] == empty[1]
    one, other = ({key: v for key, v in values.items() if v is not None} for values in found)
    assert one == pytest.approx(other, rel=1e-4, abs=1e-5)


def test_the_evidence_holds_what_the_scores_were_taken_from(study: Path) -> None:
    evaluate.run(params.load(), "rank-4")
    values = json.loads(Path("metrics/models/rank-4.json").read_text())
    kept = evidence.load("data/evidence/rank-4.safetensors", "rank-4")
    resamples = scores.resample(kept.clusters, 6, 50, params.load().evaluate.seed)
    for key, score in scoring.scores_of(kept, params.load().evaluate.neighbours).items():
        if score is None:
            assert values[key] is None
        else:
            written = {name: values[name] for name in (key, f"{key}_low", f"{key}_high")}
            assert written == scoring.columns(key, scoring.estimate(key, score, resamples)[0])
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
        "clip_content", "drift", "leak", "plain_content", "plain_clip", "fid_dino", "kid_imagenet",
        "fid_imagenet", "style_imagenet",
    }  # fmt: skip
    assert set(found) == set(results_table.METRICS)


def test_portraits_through_the_vae_are_farther_than_the_portraits_and_no_pictures_of_a_prompt(
    study: Path,
) -> None:
    found = {}
    for model in params.REFERENCES:
        evaluate.run(params.load(), model)
        found[model] = json.loads((study / f"metrics/models/{model}.json").read_text())
    assert found["noise-floor"]["kid"] < found["vae-ceiling"]["kid"]
    assert found["noise-floor"]["style"] < found["vae-ceiling"]["style"]
    next(Path("data/reconstructed").iterdir()).unlink()
    with pytest.raises(LaureateError, match=r"reconstructed/.* cannot be read"):
        evaluate.run(params.load(), "vae-ceiling")


def test_every_judge_of_the_panel_has_distances_of_its_own(study: Path) -> None:
    """Each is the function of that judge's features, and the columns of the others stay as they are."""
    evaluate.run(params.load(), "rank-4")
    before = json.loads(Path("metrics/models/rank-4.json").read_text())
    values = yaml.safe_load(Path("params.yaml").read_text())
    values["compare"]["judges"] = ["imagenet", "vision", "clip"]
    Path("params.yaml").write_text(yaml.safe_dump(values))
    evaluate.run(params.load(), "rank-4")
    after = json.loads(Path("metrics/models/rank-4.json").read_text())
    new = {key for key in after if before[key] is None and after[key] is not None}
    families = ("kid_imagenet", "fid_imagenet", "style_imagenet")
    assert new == {key + end for key in families for end in ("", "_low", "_high")}
    assert {key: value for key, value in after.items() if key not in new} == {
        key: value for key, value in before.items() if key not in new
    }
    judged = Panel(params.load().evaluate, Path("empty"), ["imagenet"])
    files = [sorted(Path("data").glob(f"{part}/*.png")) for part in ("samples/rank-4", "dataset/holdout")]
    x, y = (judged.of_judge("imagenet", open_set(part)) for part in files)
    distance = scores.kernel_distance(x["features"], y["features"])
    assert after["kid_imagenet"] == pytest.approx(distance, rel=1e-4)
    style = scores.style_distance(*([o["layers/0"], o["layers/1"]] for o in (x, y)))
    assert after["style_imagenet"] == pytest.approx(style, rel=1e-3)
    kept = evidence.load("data/evidence/rank-4.safetensors", "rank-4")
    np.testing.assert_array_equal(kept.sets["panel_clip"][1], kept.sets["cmmd"][1])
    assert set(kept.judges) == {"vision", "clip", "imagenet"}


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

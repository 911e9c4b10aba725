"""Stage compare: the tables, tests and advice that it writes from the metrics and evidence of a study."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from drawn_study import ROOT, evidence_of, write_metrics

from laureate.comparison import paired_tests, results_table
from laureate.config import params
from laureate.core.errors import LaureateError
from laureate.evaluation import evidence, scoring
from laureate.stages import compare

RANKS = (4, 16)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `laureate evaluate` leaves it."""
    folder = tmp_path_factory.mktemp("study")
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values |= {"ranks": list(RANKS), "selected": "rank-16"}
    values["sample"]["prompts"] = [str(ROOT / "data/prompts.yaml")]
    values["evaluate"]["bootstrap"] = 50
    values["compare"]["published"] = str(ROOT / "data/published.yaml")
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    write_metrics(folder, RANKS)
    return folder


def judged_by(judges: list[str]) -> params.Params:
    """The parameters of the study with another panel."""
    loaded = params.load()
    section = loaded.compare.model_copy(update={"judges": judges})
    return loaded.model_copy(update={"compare": section})


@pytest.fixture
def study(evaluated: Path, working_copy: Callable[[Path], Path]) -> Path:
    return working_copy(evaluated)


def test_one_row_per_model_in_the_order_of_the_study(study: Path) -> None:
    compare.run(params.load())
    table = results_table.read_csv("metrics/comparison.csv")
    assert list(table.index) == ["noise-floor", "vae-ceiling", "baseline", "rank-4", "rank-16"]
    assert table["rank"].fillna(-1).tolist() == [-1, -1, 0, 4, 16]
    for model in table.index:
        written = json.loads((study / f"metrics/models/{model}.json").read_text())
        row = results_table.metrics_of(table, model)
        assert {key: row.get(key) for key in written} == written


def test_a_model_that_left_the_study_leaves_the_table(study: Path) -> None:
    write_metrics(study, (4, 16, 999))
    compare.run(params.load())
    assert "rank-999" not in Path("metrics/comparison.csv").read_text()


def test_a_missing_evaluation_is_named_with_the_command_that_makes_it(study: Path) -> None:
    Path("metrics/models/rank-4.json").unlink()
    with pytest.raises(LaureateError, match=r"rank-4\.json does not exist.*laureate evaluate --model rank-4"):
        compare.run(params.load())


def test_metrics_of_an_older_version_are_refused(study: Path) -> None:
    path = Path("metrics/models/rank-4.json")
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "kid"}))
    with pytest.raises(LaureateError, match=r"rank-4\.json lacks kid"):
        compare.run(params.load())


def test_the_best_is_marked_by_paired_tests_and_the_noise_floor_never(study: Path) -> None:
    compare.run(params.load())
    table = results_table.read_csv("metrics/comparison.csv")
    differences = paired_tests.read_csv("metrics/differences.csv")
    best = table.loc[["baseline", "rank-4", "rank-16"], "kid"].idxmin()
    tests = differences.query("score == 'kid' and role == 'best'").set_index("model")
    assert set(tests.index) == {"baseline", "rank-4", "rank-16"} - {best}
    assert (tests["against"] == best).all()
    assert (tests["n"] == 98).all()
    assert tests["p_holm"]["baseline"] <= 0.05  # far off by construction
    assert table["kid_mark"].isna()["baseline"]
    for model, test in tests.iterrows():
        expected = table["kid"][model] - table["kid"][best]
        assert test["value"] == pytest.approx(expected, rel=1e-4)
        assert test["low"] <= test["value"] <= test["high"]
        assert test["p"] <= test["p_holm"]
    assert table.loc["noise-floor", list(results_table.MARKS)].isna().all()
    assert set(differences.query("role == 'baseline'")["against"]) == {"baseline"}


def test_a_model_is_tied_with_itself_and_intervals_of_paired_differences_are_narrower(study: Path) -> None:
    """The same pictures under another name: no difference, however wide both intervals are."""
    kept = evidence.load("data/evidence/rank-16.safetensors", "rank-16")
    evidence.save("data/evidence/rank-4.safetensors", replace(kept, model="rank-4"))
    text = Path("metrics/models/rank-16.json").read_text()
    Path("metrics/models/rank-4.json").write_text(text)
    compare.run(params.load())
    table = results_table.read_csv("metrics/comparison.csv")
    differences = paired_tests.read_csv("metrics/differences.csv")
    same = differences[(differences["model"] != "baseline") & (differences["against"] != "baseline")]
    scores = results_table.scores_with_values(table)
    assert 0 < len(same) <= len(scores)  # one for every score that an adapter is best in
    assert (same[["value", "low", "high"]] == 0).all(axis=None)
    assert (same["p"] > 0.5).all()
    for score in scores:
        marks = table[f"{score.key}_mark"].fillna("")
        assert marks["rank-4"] == marks["rank-16"]
    row = table.loc["rank-16"]
    wide = row["clip_content_high"] - row["clip_content_low"]
    tests = differences[differences["score"] == "clip_content"]
    assert len(tests) > 0
    assert (tests["high"] - tests["low"] < wide / 2).all()  # the effect of a prompt on both cancels out


def test_models_with_other_pictures_are_compared_over_those_that_both_have(study: Path) -> None:
    write_metrics(study, RANKS, external=("served",))
    loaded = params.load().model_copy(update={"external": {"served": params.External()}})
    kept = evidence.load("data/evidence/served.safetensors", "served")
    some = scoring.drawn(kept.only(range(59, 19, -1)), 30, loaded.evaluate)  # fewer, and in another order
    evidence.save("data/evidence/served.safetensors", some)
    compare.run(loaded)
    differences = paired_tests.read_csv("metrics/differences.csv")
    served = (differences[["model", "against"]] == "served").any(axis=1)
    assert set(differences.loc[served, "n"]) == {40}
    assert set(differences.loc[~served, "n"]) == {98}
    tests = differences.query("score == 'clip' and model == 'served' and role == 'baseline'")
    base = evidence.load("data/evidence/baseline.safetensors", "baseline").only(range(20, 60))
    assert tests["value"].item() == pytest.approx(
        some.values["clip"].mean() - base.values["clip"].mean(), rel=1e-4
    )


def test_an_adapter_with_other_pictures_than_the_baseline_is_refused(study: Path) -> None:
    kept = evidence.load("data/evidence/rank-4.safetensors", "rank-4").only(range(20, 60))
    evidence.save("data/evidence/rank-4.safetensors", scoring.drawn(kept, 30, params.load().evaluate))
    with pytest.raises(LaureateError, match=r"rank-4 and the baseline.*laureate sample --model rank-4"):
        compare.run(params.load())


def test_models_that_others_judged_are_not_compared(study: Path) -> None:
    kept = evidence.load("data/evidence/rank-4.safetensors", "rank-4")
    evidence.save("data/evidence/rank-4.safetensors", replace(kept, judges={"vision": {"kind": "clip"}}))
    with pytest.raises(LaureateError, match="rank-4 was scored by other judges than noise-floor"):
        compare.run(params.load())


def test_missing_evidence_is_named_with_the_command_that_makes_it(study: Path) -> None:
    Path("data/evidence/baseline.safetensors").unlink()
    with pytest.raises(
        LaureateError, match=r"baseline\.safetensors does not exist.*evaluate --model baseline"
    ):
        compare.run(params.load())
    assert not Path("metrics/comparison.csv").exists()


def test_the_judges_are_written_down_once_for_all_models(study: Path) -> None:
    compare.run(params.load())
    judges = json.loads(Path("metrics/judges.json").read_text())
    assert judges["vision"]["sha256"] == {"model.safetensors": "a" * 64}


def test_scores_of_other_parameters_are_not_compared(study: Path) -> None:
    loaded = params.load()
    other = loaded.evaluate.model_copy(update={"seed": 1})
    with pytest.raises(LaureateError, match=r"baseline was scored with other parameters.*evaluate --model"):
        compare.run(loaded.model_copy(update={"evaluate": other}))


def test_the_recommendation_and_its_statistics_are_written(study: Path) -> None:
    """Both ranks are far from the baseline and near each other, and rank 16 is the nearer to the style."""
    compare.run(judged_by(["vision"]))
    advice = json.loads(Path("metrics/adviser.json").read_text())
    assert advice["criterion"] == "kid"
    assert (advice["rank"], advice["best"], advice["enough"]) == (4, 16, True)
    verdicts = {finding["rank"]: finding["verdict"] for finding in advice["findings"]}
    assert verdicts == {4: "tied", 16: "best"}
    assert (advice["pictures"], advice["prompts"]) == (98, 49)
    assert set(advice["prices"]) == {"content", "clip_content", "copies"}
    first, meaning, way, price, leak, luck = advice["sentences"]
    assert leak.startswith("It does not leak beyond chance: ")
    assert first == "Take rank 4: the smallest that is tied with the best, rank 16."
    assert meaning.startswith("Tied means that these pictures show it to lie within 5 % of the way")
    assert price.startswith("Its price, against the untuned base: Content ")
    assert way.startswith("Of the way from the untuned base to training portraits that the base's VAE has ")
    assert way.endswith(" by vision.")
    assert luck.startswith("Every rank was trained once: ")
    together = f"\n{first}\n{meaning}\n{way}\n{price}\n{leak}\n{luck}\n"
    assert together in Path("metrics/comparison.md").read_text()


def test_the_panel_must_agree_before_a_smaller_rank_is_recommended(study: Path) -> None:
    """To the judge imagenet rank 4 is tied with the best; to the others that is not shown."""
    compare.run(judged_by(["imagenet"]))
    assert json.loads(Path("metrics/adviser.json").read_text())["rank"] == 4
    compare.run(params.load())
    advice = json.loads(Path("metrics/adviser.json").read_text())
    assert set(advice["judges"]["imagenet"]["way_to_ceiling"]) == {"4", "16"}
    assert (advice["rank"], advice["best"], advice["lead"], advice["enough"]) == (16, 16, "imagenet", False)
    verdicts = {
        name: {finding["rank"]: finding["verdict"] for finding in judge["findings"]}
        for name, judge in advice["judges"].items()
    }
    assert verdicts["imagenet"] == {4: "tied", 16: "best"}
    assert verdicts["vision"] == verdicts["clip"] == {4: "undecided", 16: "best"}
    assert advice["agreement"]["outcome"] == "agree"
    assert len(advice["agreement"]["pairs"]) == 3
    assert advice["sentences"][3].startswith("The judges agree: all prefer rank 16 (Kendall's τ ")
    table = results_table.read_csv("metrics/comparison.csv")
    for name, key in (("imagenet", "kid_imagenet"), ("vision", "kid"), ("clip", "kid_clip")):
        assert advice["judges"][name]["score"] == key
        values = {finding["rank"]: finding["value"] for finding in advice["judges"][name]["findings"]}
        assert values[4] == pytest.approx(table.loc["rank-4", key], rel=1e-5)


def test_a_judge_without_scores_is_named(study: Path) -> None:
    for path in Path("data/evidence").iterdir():
        kept = evidence.load(path, path.stem)
        sets = {name: pair for name, pair in kept.sets.items() if name != "panel_imagenet"}
        evidence.save(path, replace(kept, sets=sets))
    with pytest.raises(LaureateError, match=r"computes kid_imagenet; run `laureate evaluate` again"):
        compare.run(params.load())


def test_the_adviser_admits_that_there_are_not_enough_pictures(study: Path) -> None:
    """Ranks that are the base but for noise: nobody could say which is best."""
    for number, rank in enumerate(RANKS):
        same = evidence_of(f"rank-{rank}", 2.0, np.random.default_rng(50 + number))
        evidence.save(
            f"data/evidence/rank-{rank}.safetensors", scoring.drawn(same, 30, params.load().evaluate)
        )
    compare.run(judged_by(["vision"]))
    advice = json.loads(Path("metrics/adviser.json").read_text())
    assert advice["rank"] is None
    assert advice["enough"] is False
    assert advice["prices"] == {}
    assert advice["sentences"][0].startswith("Not enough pictures to tell: with 98 pictures")
    assert advice["prompts_wanted"] > 49
    assert advice["sentences"][1:] == [
        f"About {2 * advice['prompts_wanted']} pictures ({advice['prompts_wanted']} prompts) would tell."
    ]
    assert advice["sentences"][0] in Path("metrics/comparison.md").read_text()


def test_a_criterion_without_a_judge_is_refused(study: Path) -> None:
    loaded = params.load()
    section = loaded.compare.model_copy(update={"criterion": "dino"})
    with pytest.raises(LaureateError, match=r"compare\.criterion is 'dino'.*evaluate\.roles"):
        compare.run(loaded.model_copy(update={"compare": section}))

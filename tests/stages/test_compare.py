"""Compare: the table holds exactly the models that the parameters name, and reads back as it was written."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from drawn_study import ROOT, evidence_of, write_metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from laureate.comparison import paired_tests, results_table
from laureate.config import params
from laureate.core.errors import LaureateError
from laureate.evaluation import evidence, score_catalog, scoring
from laureate.stages import compare

RANKS = (4, 16)
numbers = st.none() | st.floats(-1e6, 1e6).map(lambda v: float(f"{v:.6g}"))


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values |= {"ranks": list(RANKS), "selected": "rank-16"}
    values["sample"]["prompts"] = [str(ROOT / "data/prompts.yaml")]
    values["evaluate"]["bootstrap"] = 50
    values["compare"]["published"] = str(ROOT / "data/published.yaml")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    write_metrics(tmp_path, RANKS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def row(model: str, **values: float | None) -> results_table.Row:
    metrics: results_table.Row = {"n_generated": 98, "n_prompts": 49, "n_reference": 30} | dict.fromkeys(
        results_table.ORIGINAL
    )
    for score in score_catalog.SCORES:
        value = values.get(score.key, 1.0)
        for end, step in (("", 0.0), ("_low", -0.1), ("_high", 0.1)):
            metrics[score.key + end] = None if value is None else value + step
    return results_table.row(model, metrics)


def test_one_row_per_model_in_the_order_of_the_study(study: Path) -> None:
    compare.run(params.load())
    rows = results_table.read_csv("metrics/comparison.csv")
    assert [r["model"] for r in rows] == ["noise-floor", "baseline", "rank-4", "rank-16"]
    assert [r["rank"] for r in rows] == [None, 0, 4, 16]
    for r in rows:
        written = json.loads((study / f"metrics/models/{r['model']}.json").read_text())
        assert {key: r[key] for key in written} == written


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


def test_a_table_of_other_columns_is_refused() -> None:
    with pytest.raises(LaureateError, match="other columns"):
        results_table.from_csv("model,fid\nbaseline,1\n")


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.lists(numbers, min_size=len(results_table.METRICS), max_size=len(results_table.METRICS)),
            st.sampled_from(["best", "tied", None]),
        ),
        max_size=4,
    )
)
def test_a_table_reads_back_as_it_was_written(values: list[tuple[list[float | None], str | None]]) -> None:
    rows, marks = [], {}
    for i, (line, mark) in enumerate(values):
        metrics = dict(zip(results_table.METRICS, line, strict=True))
        counts = dict.fromkeys((k for k in results_table.METRICS if k in results_table.WHOLE), i)
        rows.append(results_table.row(f"rank-{2**i}", metrics | counts))
        marks |= {("kid", f"rank-{2**i}"): mark} if mark else {}
    rows = results_table.marked(rows, marks)
    assert results_table.from_csv(results_table.to_csv(rows)) == rows


def difference(model: str, against: str, p_holm: float, score: str = "kid") -> paired_tests.Difference:
    return paired_tests.Difference(score, model, against, "best", 98, 0.1, 0.0, 0.2, p_holm / 2, p_holm)


def test_a_best_value_is_best_only_where_it_differs_from_every_other() -> None:
    clear = [difference("baseline", "rank-4", 0.001), difference("rank-8", "rank-4", 0.05)]
    assert paired_tests.marks(clear) == {("kid", "rank-4"): "best"}
    close = [difference("baseline", "rank-4", 0.001), difference("rank-8", "rank-4", 0.051)]
    assert paired_tests.marks(close) == {("kid", "rank-4"): "tied", ("kid", "rank-8"): "tied"}
    assert paired_tests.marks([]) == {}


def test_the_best_is_marked_by_paired_tests_and_the_noise_floor_never(study: Path) -> None:
    compare.run(params.load())
    rows = {str(row["model"]): row for row in results_table.read_csv("metrics/comparison.csv")}
    found = paired_tests.read_csv("metrics/differences.csv")
    kids = {d.model: d for d in found if d.score == "kid" and d.role == "best"}
    best = min(("baseline", "rank-4", "rank-16"), key=lambda name: float(rows[name]["kid"] or 0))
    assert set(kids) == {"baseline", "rank-4", "rank-16"} - {best}
    assert all(d.against == best and d.n == 98 for d in kids.values())
    assert kids["baseline"].p_holm <= 0.05  # far off by construction
    assert rows["baseline"]["kid_mark"] is None
    for name, d in kids.items():
        assert d.value == pytest.approx(
            float(rows[name]["kid"] or 0) - float(rows[best]["kid"] or 0), rel=1e-4
        )
        assert d.low <= d.value <= d.high
        assert d.p <= d.p_holm
    assert all(rows["noise-floor"][f"{score.key}_mark"] is None for score in score_catalog.SCORES)
    assert {d.against for d in found if d.role == "baseline"} == {"baseline"}


def test_a_model_is_tied_with_itself_and_intervals_of_paired_differences_are_the_narrower(
    study: Path,
) -> None:
    """The same pictures under another name: no difference, however wide both intervals are."""
    kept = evidence.load("data/evidence/rank-16.safetensors", "rank-16")
    evidence.save("data/evidence/rank-4.safetensors", replace(kept, model="rank-4"))
    text = Path("metrics/models/rank-16.json").read_text()
    Path("metrics/models/rank-4.json").write_text(text)
    compare.run(params.load())
    rows = {str(row["model"]): row for row in results_table.read_csv("metrics/comparison.csv")}
    for d in paired_tests.read_csv("metrics/differences.csv"):
        if {d.model, d.against} == {"rank-4", "rank-16"}:
            assert (d.value, d.low, d.high) == (0, 0, 0), d
            assert d.p > 0.5, d
    for score in results_table.valued(list(rows.values())):
        assert rows["rank-4"][f"{score.key}_mark"] == rows["rank-16"][f"{score.key}_mark"]
    clip = [d for d in paired_tests.read_csv("metrics/differences.csv") if d.score == "clip_content"]
    wide = float(rows["rank-16"]["clip_content_high"] or 0) - float(rows["rank-16"]["clip_content_low"] or 0)
    assert all(d.high - d.low < wide / 2 for d in clip)  # what a prompt does to both cancels out


def test_models_with_other_pictures_are_compared_over_those_that_both_have(study: Path) -> None:
    write_metrics(study, RANKS, external=("served",))
    loaded = params.load().model_copy(update={"external": {"served": params.External()}})
    kept = evidence.load("data/evidence/served.safetensors", "served")
    some = scoring.drawn(kept.only(range(59, 19, -1)), 30, loaded.evaluate)  # fewer, and in another order
    evidence.save("data/evidence/served.safetensors", some)
    compare.run(loaded)
    found = paired_tests.read_csv("metrics/differences.csv")
    assert {d.n for d in found if "served" in (d.model, d.against)} == {40}
    assert {d.n for d in found if "served" not in (d.model, d.against)} == {98}
    pairs = [d for d in found if (d.score, d.model, d.role) == ("clip", "served", "baseline")]
    base = evidence.load("data/evidence/baseline.safetensors", "baseline").only(range(20, 60))
    assert pairs[0].value == pytest.approx(some.values["clip"].mean() - base.values["clip"].mean(), rel=1e-4)


def test_an_adapter_with_other_pictures_than_the_baseline_is_refused(study: Path) -> None:
    kept = evidence.load("data/evidence/rank-4.safetensors", "rank-4").only(range(20, 60))
    evidence.save("data/evidence/rank-4.safetensors", scoring.drawn(kept, 30, params.load().evaluate))
    with pytest.raises(LaureateError, match=r"rank-4 and the baseline.*laureate sample --model rank-4"):
        compare.run(params.load())


def test_models_that_others_judged_are_not_compared(study: Path) -> None:
    kept = evidence.load("data/evidence/rank-4.safetensors", "rank-4")
    evidence.save("data/evidence/rank-4.safetensors", replace(kept, judges={"vision": {"kind": "clip"}}))
    with pytest.raises(LaureateError, match="rank-4 was judged by other judges than noise-floor"):
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


def test_markdown_shows_value_interval_n_and_direction() -> None:
    rows = [row("baseline", kid=2.0, content=None), row("rank-4", kid=-0.05, content=0.5, dino=None)]
    rows[0]["dino"] = None
    text = results_table.to_markdown(
        results_table.marked(rows, {("kid", "rank-4"): "best", ("clip", "baseline"): "tied"})
    )
    lines = text.splitlines()
    assert "KID ↓" in lines[0]
    assert "CLIP ↑" in lines[0]
    assert "DINO" not in lines[0]  # nobody has a value
    assert "Recall" not in lines[0]  # it is in comparison.csv
    assert lines[2].startswith("| baseline | 98 | ")
    assert " – |" in lines[2]
    assert "≈ 1.00 <sub>0.90–1.10</sub>" in lines[2]
    assert "**−0.05** <sub>−0.15 – 0.05</sub>" in lines[3]
    assert "| 50 % <sub>40–60</sub>" in lines[3]
    assert len({line.count("|") for line in lines}) == 1


@pytest.mark.parametrize(
    ("model", "rank", "title"),
    [("baseline", 0, "Baseline"), ("rank-128", 128, "Rank 128"), ("noise-floor", None, "Noise floor")],
)
def test_names(model: str, rank: int | None, title: str) -> None:
    assert results_table.rank_of(model) == rank
    assert results_table.title(model) == title


def test_scores_of_other_parameters_are_not_compared(study: Path) -> None:
    loaded = params.load()
    other = loaded.evaluate.model_copy(update={"seed": 1})
    with pytest.raises(LaureateError, match=r"baseline was scored with other parameters.*evaluate --model"):
        compare.run(loaded.model_copy(update={"evaluate": other}))


def test_the_adviser_speaks_in_the_table_and_its_reasons_are_kept(study: Path) -> None:
    compare.run(params.load())
    advised = json.loads(Path("metrics/adviser.json").read_text())
    assert advised["criterion"] == "kid"
    assert advised["best"] in RANKS
    assert [finding["rank"] for finding in advised["findings"]] == list(RANKS)
    assert advised["pictures"] == 98
    assert advised["prompts"] == 49
    text = Path("metrics/comparison.md").read_text()
    for sentence in advised["sentences"]:
        assert sentence in text
    if advised["rank"]:
        assert set(advised["prices"]) == {"content", "clip_content", "memorisation"}
        assert "Its price, against the untuned base: Content " in text
    else:
        assert "Not enough pictures to tell" in text


def test_the_adviser_admits_that_there_are_not_enough_pictures(study: Path) -> None:
    """Ranks that are the base but for noise: nobody could say which is best."""
    for number, rank in enumerate(RANKS):
        found = evidence_of(f"rank-{rank}", 2.0, np.random.default_rng(50 + number))
        evidence.save(
            f"data/evidence/rank-{rank}.safetensors", scoring.drawn(found, 30, params.load().evaluate)
        )
    compare.run(params.load())
    advised = json.loads(Path("metrics/adviser.json").read_text())
    assert advised["rank"] is None
    assert advised["enough"] is False
    assert advised["prices"] == {}
    assert advised["sentences"][0].startswith("Not enough pictures to tell: with 98 pictures")
    assert "would tell" in advised["sentences"][1] or "would not tell" in advised["sentences"][1]
    assert advised["sentences"][0] in Path("metrics/comparison.md").read_text()


def test_a_criterion_without_a_judge_is_refused(study: Path) -> None:
    loaded = params.load()
    section = loaded.compare.model_copy(update={"criterion": "dino"})
    with pytest.raises(LaureateError, match=r"compare\.criterion is 'dino'.*evaluate\.roles"):
        compare.run(loaded.model_copy(update={"compare": section}))

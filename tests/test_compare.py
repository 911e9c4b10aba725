"""Compare: the table holds exactly the models that the parameters name, and reads back as it was written."""

import json
from pathlib import Path

import pytest
import yaml
from drawn_study import ROOT, write_metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from laureate import params, table
from laureate.errors import LaureateError
from laureate.stages import compare

RANKS = (4, 16)
numbers = st.none() | st.floats(-1e6, 1e6).map(lambda v: float(f"{v:.6g}"))


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values |= {"ranks": list(RANKS), "selected": "rank-16"}
    values["sample"]["prompts"] = [str(ROOT / "data/prompts.yaml")]
    values["compare"]["published"] = str(ROOT / "data/published.yaml")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    write_metrics(tmp_path, RANKS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def row(model: str, **values: float | None) -> table.Row:
    metrics: table.Row = {"n_generated": 98, "n_reference": 30}
    for score in table.SCORES:
        value = values.get(score.key, 1.0)
        for end, step in (("", 0.0), ("_low", -0.1), ("_high", 0.1)):
            metrics[score.key + end] = None if value is None else value + step
    return table.row(model, metrics)


def test_one_row_per_model_in_the_order_of_the_study(study: Path) -> None:
    compare.run(params.load())
    rows = table.read_csv("metrics/comparison.csv")
    assert [r["model"] for r in rows] == ["noise-floor", "baseline", "rank-4", "rank-16"]
    assert [r["rank"] for r in rows] == [None, 0, 4, 16]
    for r in rows:
        written = json.loads((study / f"metrics/models/{r['model']}.json").read_text())
        assert {key: r[key] for key in written} == written


def test_the_selected_row_is_what_dvc_shows_of_an_experiment(study: Path) -> None:
    compare.run(params.load())
    selected = json.loads(Path("metrics/selected.json").read_text())
    assert selected["model"] == "rank-16"
    assert selected["rank"] == 16
    written = json.loads(Path("metrics/models/rank-16.json").read_text())
    assert {key: selected[key] for key in written} == written
    compare.run(params.load().model_copy(update={"selected": "noise-floor"}))
    assert "content" not in json.loads(Path("metrics/selected.json").read_text())  # null is no metric


def test_a_model_that_left_the_study_leaves_the_table(study: Path) -> None:
    write_metrics(study, (4, 16, 999))
    compare.run(params.load())
    assert "999" not in Path("metrics/comparison.csv").read_text()


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
        table.from_csv("model,fid\nbaseline,1\n")


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.lists(numbers, min_size=len(table.COLUMNS) - 2, max_size=len(table.COLUMNS) - 2), max_size=4)
)
def test_a_table_reads_back_as_it_was_written(values: list[list[float | None]]) -> None:
    keys = [key for key in table.COLUMNS if key not in table.NAMES]
    rows = [
        table.row(f"rank-{2**i}", dict(zip(keys, [i, i, *line[2:]], strict=True)))
        for i, line in enumerate(values)
    ]
    assert table.from_csv(table.to_csv(rows)) == rows


def test_the_best_is_marked_with_all_that_overlap_but_never_the_noise_floor() -> None:
    rows = [
        row("noise-floor", kid=0.0),
        row("baseline", kid=2.0),
        row("rank-4", kid=0.5),
        row("rank-8", kid=0.65),
    ]
    by_key = {score.key: score for score in table.SCORES}
    assert table.best(rows, by_key["kid"]) == {"rank-4", "rank-8"}
    assert table.best(rows[:2], by_key["kid"]) == {"baseline"}
    higher = [row("baseline", clip=20.0), row("rank-4", clip=30.0), row("rank-8", clip=None)]
    assert table.best(higher, by_key["clip"]) == {"rank-4"}
    assert table.best([row("baseline", content=None)], by_key["content"]) == set()


def test_markdown_shows_value_interval_n_and_direction() -> None:
    text = table.to_markdown([row("baseline", kid=2.0, content=None), row("rank-4", kid=-0.05, content=0.5)])
    lines = text.splitlines()
    assert "KID ↓" in lines[0]
    assert "CLIP ↑" in lines[0]
    assert lines[2].startswith("| baseline | 98 | ")
    assert " – |" in lines[2]
    assert "**−0.05** <sub>−0.15 – 0.05</sub>" in lines[3]
    assert "**50 %** <sub>40–60</sub>" in lines[3]
    assert len({line.count("|") for line in lines}) == 1


@pytest.mark.parametrize(
    ("model", "rank", "title"),
    [("baseline", 0, "Baseline"), ("rank-128", 128, "Rank 128"), ("noise-floor", None, "Noise floor")],
)
def test_names(model: str, rank: int | None, title: str) -> None:
    assert table.rank_of(model) == rank
    assert table.title(model) == title
